"""Losses between predicted and target representations: smooth L1 and InfoNCE.

Legend: `B` batch, `K` tokens of a sample, `N` positions of the grid, `D` width. `valid` marks the
tokens that are not padding. Under `torch.distributed` all statistics are taken over all processes.
"""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor

COMPARED = 512  # tokens of a batch that a contrastive loss compares


def loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Smooth L1 with beta 1, mean over all elements: `0.5 d^2` where `|d| < 1`, else `|d| - 0.5`.

    Args:
        predicted: float, any shape.
        target: float, the same shape.

    Returns:
        A scalar tensor.

    Raises:
        ValueError: if the shapes differ (broadcasting would hide a mistake) or are empty.

    >>> float(loss(torch.tensor([0.0, 3.0]), torch.tensor([1.0, 0.0])))
    1.5
    """
    if not predicted.numel():
        raise ValueError(
            f"predicted and target must not be empty, got {tuple(predicted.shape)}"
        )
    if predicted.shape != target.shape:
        raise ValueError(
            "predicted and target must have one shape, got "
            f"{tuple(predicted.shape)} and {tuple(target.shape)}"
        )
    return F.smooth_l1_loss(predicted, target)


def token_loss(
    predicted: Tensor, target: Tensor, valid: Tensor | None = None
) -> Tensor:
    """`loss` over the valid tokens of a padded batch; the mean runs over all processes.

    Args:
        predicted: float `(B, K, D)`.
        target: float `(B, K, D)`.
        valid: bool `(B, K)`, or None if there is no padding.

    Returns:
        A scalar tensor whose average over processes is the mean over their union.
    """
    if valid is None and world_size() == 1:
        return loss(predicted, target)
    if valid is None:
        valid = torch.ones_like(predicted[..., 0], dtype=torch.bool)
    each = F.smooth_l1_loss(predicted, target, reduction="none").mean(-1)  # (B, K)
    count = sum_over_processes(valid.sum().to(each.dtype)) / world_size()
    return (each * valid).sum() / count.clamp(min=1e-6)


@torch.no_grad()
def mean_predictor_loss(target: Tensor, valid: Tensor | None = None) -> Tensor:
    """Loss of the constant predictor (the mean target); denominator of `relative_loss`.

    Args:
        target: float `(B, K, D)`.
        valid: bool `(B, K)` or None.

    Returns:
        A scalar tensor.
    """
    rows = target.flatten(0, 1) if valid is None else target[valid]  # (n, D)
    count, total = sums_over_processes(rows.new_tensor(float(len(rows))), rows.sum(0))
    count = count.clamp(min=1)
    mean = total / count
    total = F.smooth_l1_loss(mean.expand_as(rows), rows, reduction="sum")
    return sum_over_processes(total) / (count * target.shape[-1])


def contrastive_loss(
    predicted: Tensor,
    target: Tensor,
    valid: Tensor | None,
    negatives: str,
    temperature: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """InfoNCE (arXiv 1807.03748, eq. 4) on cosine similarities.

    Args:
        predicted: `(B, K, D)`.
        target: `(B, K, D)`, what each prediction must find.
        valid: bool `(B, K)`, None if all are.
        negatives: "within" a sequence, "across" the batch (under `torch.distributed`, the share of
            each process), or "both".
        temperature: of the similarities.
        generator: random state (CPU); draws the 512 tokens that are compared across the batch.

    Returns:
        The loss, and the loss of guessing. Both are 0 if no token is valid.
    """
    predicted = F.normalize(predicted.float(), dim=-1)
    target = F.normalize(target.float(), dim=-1)
    if negatives == "both":
        parts = [
            contrastive_loss(predicted, target, valid, kind, temperature, generator)
            for kind in ("within", "across")
        ]
        loss, chance = (torch.stack(part).mean() for part in zip(*parts, strict=True))
        return loss, chance
    if negatives == "across":
        return _across(predicted, target, valid, temperature, generator)
    return _within(predicted, target, valid, temperature)


def contrastive_terms(losses: list[Tensor], chances: list[Tensor]) -> dict[str, Tensor]:
    """The terms of an objective from several results of `contrastive_loss`: their means.

    Results in which there was nothing to tell apart do not count.
    """
    chance = sum_over_processes(torch.stack(chances)) / world_size()
    count = (chance > 0).sum().clamp(min=1)
    loss = torch.stack(losses).sum() / count
    mean_chance = chance.sum() / count
    is_guess = mean_chance == 0
    relative = torch.where(is_guess, 1.0, loss.detach() / mean_chance)
    return {"loss": loss, "prediction_loss": loss, "relative_loss": relative}


def _across(
    predicted: Tensor,
    target: Tensor,
    valid: Tensor | None,
    temperature: float,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Each of some tokens of the batch is told apart from the others; see above."""
    predicted = predicted.flatten(0, 1)
    target = target.flatten(0, 1)
    if valid is not None:
        predicted = predicted[valid.flatten()]
        target = target[valid.flatten()]
    if not len(predicted):
        nothing = 0 * (predicted.sum() + target.sum())
        return nothing, nothing.detach()
    rows = torch.randperm(len(predicted), generator=generator)[:COMPARED]
    rows = rows.to(predicted.device)
    similarity = predicted[rows] @ target[rows].T / temperature
    own = torch.arange(len(rows), device=similarity.device)
    chance = similarity.new_tensor(float(len(rows))).log()
    return F.cross_entropy(similarity, own), chance


def _within(
    predicted: Tensor, target: Tensor, valid: Tensor | None, temperature: float
) -> tuple[Tensor, Tensor]:
    """Each token is told apart from the others of its sequence; see above."""
    similarity = predicted @ target.transpose(1, 2) / temperature  # (B, K, K)
    batch, count, _ = similarity.shape
    own = torch.arange(count, device=similarity.device).repeat(batch)
    if valid is None and count and world_size() == 1:
        chance = similarity.new_tensor(float(count)).log()
        return F.cross_entropy(similarity.flatten(0, 1), own), chance
    if valid is None:
        valid = torch.ones_like(predicted[..., 0], dtype=torch.bool)
    total = sum_over_processes(valid.sum().float()) / world_size()
    total = total.clamp(min=1e-6)
    similarity = similarity.masked_fill(~valid[:, None], -1e9)
    each = F.cross_entropy(similarity.flatten(0, 1), own, reduction="none")
    loss = (each * valid.flatten()).sum() / total
    candidates = valid.sum(1, keepdim=True).clamp(min=1).expand_as(valid)
    return loss, (candidates.float().log() * valid).sum() / total


def world_size() -> int:
    """Number of processes that train together."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_world_size()
    return 1


def sum_over_processes(value: Tensor) -> Tensor:
    """Sum over processes, differentiable; the value itself if there is one process."""
    if world_size() == 1:
        return value
    total: Tensor = _Sum.apply(value)  # type: ignore[no-untyped-call]
    return total


def sums_over_processes(*values: Tensor) -> list[Tensor]:
    """`sum_over_processes` of several float tensors, in one collective operation."""
    if world_size() == 1:
        return list(values)
    packed = sum_over_processes(torch.cat([value.flatten() for value in values]))
    parts = torch.split(packed, [value.numel() for value in values])
    return [part.view(value.shape) for part, value in zip(parts, values, strict=True)]


class _Sum(torch.autograd.Function):
    """Sum over processes; the gradients of all processes are summed as well."""

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        total = value.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total
