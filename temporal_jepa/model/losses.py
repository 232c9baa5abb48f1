"""The objective: smooth L1 between predicted and target representations, and what keeps them from collapsing.

Legend: `B` batch, `K` tokens of a sample, `D` width. `valid` marks the real tokens among padding.
"""

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor


def loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Smooth L1 (Huber with beta 1), mean over all elements: `0.5 d^2` where `|d| < 1`, else `|d| - 0.5`.

    Args:
        predicted: float, any shape.
        target: float, the same shape.

    Returns:
        A scalar tensor.

    Raises:
        ValueError: if the shapes differ (broadcasting would hide a mistake).

    >>> float(loss(torch.tensor([0.0, 3.0]), torch.tensor([1.0, 0.0])))
    1.5
    """
    if not predicted.numel():
        raise ValueError("predicted and target hold no element: there is nothing to compare")
    if predicted.shape != target.shape:
        raise ValueError(
            f"predicted and target must have one shape, got {tuple(predicted.shape)} and {tuple(target.shape)}"
        )
    return F.smooth_l1_loss(predicted, target)


def token_loss(predicted: Tensor, target: Tensor, valid: Tensor | None = None) -> Tensor:
    """`loss` over the real tokens of a padded batch; the mean runs over the tokens of all processes.

    Args:
        predicted: float `(B, K, D)`.
        target: float `(B, K, D)`.
        valid: bool `(B, K)`, or None when every token is real.

    Returns:
        A scalar tensor whose average over processes is the mean over their union.
    """
    if valid is None and _processes() == 1:
        return loss(predicted, target)
    valid = valid if valid is not None else torch.ones_like(predicted[..., 0], dtype=torch.bool)
    each = F.smooth_l1_loss(predicted, target, reduction="none").mean(-1)  # (B, K)
    count = _reduced(valid.sum().to(each.dtype)) / _processes()
    return (each * valid).sum() / count.clamp(min=1e-6)


@torch.no_grad()
def mean_predictor_loss(target: Tensor, valid: Tensor | None = None) -> Tensor:
    """What `token_loss` a predictor scores that always answers the mean target: the unit of the relative loss.

    Args:
        target: float `(B, K, D)`.
        valid: bool `(B, K)` or None.

    Returns:
        A scalar tensor.
    """
    rows = target.flatten(0, 1) if valid is None else target[valid]  # (n, D)
    count = _reduced(rows.new_tensor(float(len(rows)))).clamp(min=1)
    mean = _reduced(rows.sum(0)) / count
    return _reduced(F.smooth_l1_loss(mean.expand_as(rows), rows, reduction="sum")) / (
        count * target.shape[-1]
    )


@dataclass(frozen=True)
class VICRegTerms:
    """The two terms of `variance_covariance`, each a scalar tensor."""

    variance: Tensor
    covariance: Tensor


def variance_covariance(
    tokens: Tensor, index: Tensor, valid: Tensor | None, positions: int
) -> VICRegTerms:
    """VICReg's variance and covariance terms (arXiv 2105.04906, eq. 1-3) on tokens.

    The variance hinge `max(0, 1 - std)` is taken twice and averaged: across the sequences of the batch at each
    position, and across time inside each sequence; a pooled variance can be 1 while either of them is 0. The
    covariance term is the mean square of the off-diagonal covariances over all tokens, times D - 1.

    Args:
        tokens: float `(B, K, D)`, the last layer of the context encoder.
        index: int64 `(B, K)`, the grid position of every token.
        valid: bool `(B, K)` or None.
        positions: size of the grid, `index < positions`.

    Returns:
        `VICRegTerms(variance, covariance)`; statistics are summed over all processes.
    """
    batch, count, width = tokens.shape
    weight = tokens.new_ones(batch, count) if valid is None else valid.to(tokens.dtype)
    tokens = tokens.float()
    weight = weight.float()
    # (B*K, D), (B*K,), (B*K,)
    flat = tokens.flatten(0, 1)
    place = index.flatten()
    mass = weight.flatten()
    total = _reduced(mass.sum()).clamp(min=1)
    centred = (flat - _reduced((flat * mass[:, None]).sum(0)) / total) * mass[:, None]
    covariance = _reduced(centred.T @ centred) / (total - 1).clamp(min=1)  # (D, D)
    off_diagonal = covariance.square().sum() - covariance.diagonal().square().sum()

    number = _reduced(
        mass.new_zeros(positions).index_add(0, place, mass)
    )  # (N,) samples at each position
    mean = (
        _reduced(centred.new_zeros(positions, width).index_add(0, place, centred))
        / number.clamp(min=1)[:, None]
    )
    square = _reduced(centred.new_zeros(positions, width).index_add(0, place, centred.square()))
    across_batch = square / number.clamp(min=1)[:, None] - mean.square()  # (N, D)
    hinge_batch, positions_used = _hinge(across_batch, number)

    own = weight.sum(1)  # (B,) tokens of each sequence
    rows = centred.view(batch, count, width)
    mean = rows.sum(1) / own.clamp(min=1)[:, None]
    across_time = rows.square().sum(1) / own.clamp(min=1)[:, None] - mean.square()  # (B, D)
    hinge_time, sequences_used = (_reduced(part) for part in _hinge(across_time, own))
    variance = (
        hinge_batch / positions_used.clamp(min=1) + hinge_time / sequences_used.clamp(min=1)
    ) / 2
    return VICRegTerms(variance, off_diagonal / width)


def _hinge(variance: Tensor, number: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of `max(0, 1 - std)` over the rows of at least two samples, and their count; `(n, D)`, `(n,)`."""
    unbiased = variance * (number / (number - 1).clamp(min=1))[:, None]
    gap = F.relu(1.0 - (unbiased.clamp(min=0) + 1e-4).sqrt()).mean(1)  # (n,)
    enough = (number >= 2).to(gap.dtype)
    return (gap * enough).sum(), enough.sum()


def _processes() -> int:
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def _reduced(value: Tensor) -> Tensor:
    """Sum over processes, differentiable; the value itself when there is one process."""
    if _processes() == 1:
        return value
    total: Tensor = _AllReduce.apply(value)  # type: ignore[no-untyped-call]
    return total


class _AllReduce(torch.autograd.Function):
    """Sum over processes; its gradient is the sum of the gradients of all processes."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        dist.all_reduce(total)
        return total
