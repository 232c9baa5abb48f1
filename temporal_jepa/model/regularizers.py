"""Regularizers against collapse: they reward tokens that spread over all directions.

Legend of shapes: `B` batch, `K` tokens of a sample, `N` positions of the grid, `D` width. Under
`torch.distributed` all statistics are taken over all processes.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ..config import TemporalJEPAConfig
from .encoder import Encoded
from .losses import sums_over_processes
from .part import Part

DIRECTIONS = 256  # of `SIGReg`
FREQUENCIES = 17  # at which `SIGReg` compares characteristic functions
HIGHEST_FREQUENCY = 5.0


class Regularizer(Part):
    """A term of the loss that depends on the encoded tokens alone."""

    def setup(self, config: TemporalJEPAConfig) -> None:
        """Create buffers; called once per model."""

    def forward(self, encoded: Encoded) -> dict[str, Tensor]:
        """The terms of a batch, scalars; "regularizer" is added to the loss."""
        raise NotImplementedError


def check_regularizer(regularizer: object) -> None:
    """ValueError unless it is a regularizer or None."""
    if regularizer is not None and not isinstance(regularizer, Regularizer):
        raise ValueError(
            f"regularizer must be a Regularizer, as SIGReg(), or None, got {regularizer!r}"
        )


class VICReg(Regularizer):
    """Variance and covariance terms, see `variance_covariance`.

    Args:
        variance: weight of the variance term.
        covariance: weight of the covariance term.
    """

    def __init__(self, variance: float = 0.5, covariance: float = 0.02):
        super().__init__()
        self.variance = variance
        self.covariance = covariance

    def forward(self, encoded: Encoded) -> dict[str, Tensor]:
        """`regularizer`, `variance_loss` and `covariance_loss`."""
        tokens = encoded.layers[-1]
        is_used = self.variance + self.covariance > 0
        # In fp32: products of bf16 are too coarse for covariances.
        with (
            torch.set_grad_enabled(is_used and torch.is_grad_enabled()),
            torch.autocast(tokens.device.type, enabled=False),
        ):
            terms = variance_covariance(
                tokens, encoded.positions, encoded.valid, encoded.num_tokens
            )
        return {
            "regularizer": self.variance * terms.variance
            + self.covariance * terms.covariance,
            "variance_loss": terms.variance,
            "covariance_loss": terms.covariance,
        }


class SIGReg(Regularizer):
    """Sketched isotropic Gaussian regularization (LeJEPA, arXiv 2511.08544).

    The tokens of a batch, projected on random directions, are compared with a standard normal
    distribution: the squared distance of their characteristic functions, weighted by a Gaussian
    (Epps and Pulley 1983). The 256 directions are drawn with the weights and stay, unlike in the
    paper, which draws them for each step; the distance is not multiplied by the number of tokens.

    Args:
        weight: of the term.
    """

    directions: Tensor

    def __init__(self, weight: float = 1.0):
        super().__init__()
        self.weight = weight

    def setup(self, config: TemporalJEPAConfig) -> None:
        """Draw the directions."""
        directions = torch.randn(config.embed_dim, DIRECTIONS)
        self.register_buffer("directions", F.normalize(directions, dim=0))

    def forward(self, encoded: Encoded) -> dict[str, Tensor]:
        """`regularizer` and `sigreg_loss`, the mean squared distance."""
        tokens = encoded.layers[-1]
        with torch.autocast(tokens.device.type, enabled=False):
            distance = gaussian_distance(tokens.float(), encoded.valid, self.directions)
        return {"regularizer": self.weight * distance, "sigreg_loss": distance}


def gaussian_distance(
    tokens: Tensor, valid: Tensor | None, directions: Tensor
) -> Tensor:
    """Squared distance of the characteristic functions of projected tokens and of a normal one.

    Args:
        tokens: float `(B, K, D)`.
        valid: bool `(B, K)`, None if all are.
        directions: `(D, S)`, of length 1.

    Returns:
        The mean over directions of the integral over frequencies from -5 to 5, a scalar.
    """
    rows = tokens.flatten(0, 1) if valid is None else tokens[valid]  # (n, D)
    projected = rows @ directions  # (n, S)
    # The characteristic functions at -t are the conjugates of those at t.
    frequency = torch.linspace(0, HIGHEST_FREQUENCY, FREQUENCIES, device=rows.device)
    normal = torch.exp(-frequency.square() / 2)  # real: (17,)
    real = torch.stack([torch.cos(t * projected).sum(0) for t in frequency])  # (17, S)
    imaginary = torch.stack([torch.sin(t * projected).sum(0) for t in frequency])
    count, real, imaginary = sums_over_processes(
        projected.new_tensor(float(len(rows))), real, imaginary
    )
    count = count.clamp(min=1)
    distances = (real / count - normal[:, None]).square() + (imaginary / count).square()
    weighted = distances * normal[:, None]
    return 2 * torch.trapezoid(weighted, frequency, dim=0).mean()


@dataclass(frozen=True)
class VICRegTerms:
    """The two terms of `variance_covariance`, each a scalar tensor."""

    variance: Tensor
    covariance: Tensor


def variance_covariance(
    tokens: Tensor, positions: Tensor, valid: Tensor | None, num_positions: int
) -> VICRegTerms:
    """VICReg's variance and covariance terms (arXiv 2105.04906, eq. 1-3) on tokens.

    The variance hinge `max(0, 1 - std)` is computed twice and averaged: across the sequences of the
    batch at each position, and across time inside each sequence; a pooled variance can be 1 while
    either of them is 0. The covariance term is the mean square of the off-diagonal covariances over
    all tokens, times D - 1.

    Args:
        tokens: float `(B, K, D)`, the last layer of the context encoder.
        positions: int64 `(B, K)`, the grid position of every token.
        valid: bool `(B, K)` or None.
        num_positions: size of the grid, `N`.

    Returns:
        The two terms.
    """
    batch, count, width = tokens.shape
    if valid is None:
        weight = tokens.new_ones(batch, count).float()
    else:
        weight = valid.float()
    flat = tokens.float().flatten(0, 1)  # (B*K, D)
    mass = weight.flatten()  # (B*K,)
    at = positions.flatten()
    samples = mass.new_zeros(num_positions).index_add(0, at, mass)  # (N,)
    total, summed, samples = sums_over_processes(
        mass.sum(), (flat * mass[:, None]).sum(0), samples
    )
    total = total.clamp(min=1)
    centered = (flat - summed / total) * mass[:, None]

    rows = centered.view(batch, count, width)
    across_time, used_sequences = _variance_hinge(
        rows.sum(1), rows.square().sum(1), weight.sum(1)
    )
    zeros = centered.new_zeros(num_positions, width)
    products, sums, squares, across_time, used_sequences = sums_over_processes(
        centered.T @ centered,  # (D, D)
        zeros.index_add(0, at, centered),  # (N, D)
        zeros.index_add(0, at, centered.square()),  # (N, D)
        across_time,
        used_sequences,
    )
    across_batch, used_positions = _variance_hinge(sums, squares, samples)
    covariance = products / (total - 1).clamp(min=1)
    off_diagonal = covariance.square().sum() - covariance.diagonal().square().sum()
    variance = (
        across_batch / used_positions.clamp(min=1)
        + across_time / used_sequences.clamp(min=1)
    ) / 2
    return VICRegTerms(variance, off_diagonal / width)


def _variance_hinge(
    sums: Tensor, squares: Tensor, samples: Tensor
) -> tuple[Tensor, Tensor]:
    """Sum of `max(0, 1 - std)` over the groups of two samples or more, and their number.

    Args:
        sums: `(n, D)`, sum of the samples of each group.
        squares: `(n, D)`, sum of their squares.
        samples: `(n,)`, number of samples of each group.
    """
    number = samples.clamp(min=1)[:, None]
    variance = squares / number - (sums / number).square()
    unbiased = variance * (samples / (samples - 1).clamp(min=1))[:, None]
    hinge = F.relu(1.0 - (unbiased.clamp(min=0) + 1e-4).sqrt()).mean(1)  # (n,)
    enough = (samples >= 2).to(hinge.dtype)
    return (hinge * enough).sum(), enough.sum()
