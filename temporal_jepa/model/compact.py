"""Compact embeddings: features projected on principal components.

Features are standardized with the mean and standard deviation of the series on which the components
were fitted, then projected on the directions in which those vary most. A vector of 128 numbers
replaces one of thousands.

Components of thousands of series of all kinds are whitened: each is scaled to variance 1, so that
distances weigh many correlated features as one. Components of one data set are not: there the
directions of large variance are those that matter, and whitening costs precision.

Legend of shapes: `n` series, `F` features, `K` components.
"""

import numpy as np
import torch
from torch import Tensor, nn

from ..config import Pool

COMPONENTS = 128  # stored at most
SERIES_PER_COMPONENT = 2  # components beyond are noise
SHRINKAGE = 1000.0  # times F / n ** 2, added to variances that few series underrate
CONSTANT = 1e-5  # features that vary by less than this share of their size are constant
NO_VARIANCE = 1e-10  # a share of the largest variance that is a rounding error


class Components(nn.Module):
    """Mean and standard deviation of features, and principal components of them.

    Args:
        mean: `(F,)`.
        std: `(F,)`, 1 for a constant feature.
        directions: `(K, F)`, the first one has the largest variance. Standardized features are
            projected on them; the variances of the projections have mean 1.
    """

    mean: Tensor
    std: Tensor
    directions: Tensor

    def __init__(self, mean: Tensor, std: Tensor, directions: Tensor):
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)
        self.register_buffer("directions", directions)

    @property
    def count(self) -> int:
        """Number of components, `K`."""
        return len(self.directions)

    def forward(self, features: Tensor) -> Tensor:
        """Project features on all components: `(B, F)` -> `(B, K)`.

        On the CPU each row is a product of its own, in one shape, so that its bits do not depend on
        the batch.
        """
        standardized = (features - self.mean) / self.std
        if torch.compiler.is_exporting() or features.device.type != "cpu":
            return standardized @ self.directions.T
        return torch.stack([self.directions @ row for row in standardized])


def empty_components(count: int, features: int) -> Components:
    """Components to load stored ones into: `K` = `count`, `F` = `features`."""
    directions = torch.zeros(count, features, dtype=torch.float32)
    return Components(torch.zeros_like(directions[0]), directions[0] + 1, directions)


def count_possible(n: int, features: int) -> int:
    """How many components can be fitted on `n` series: half of them, at most 128.

    >>> count_possible(50, 4320), count_possible(1000, 4320), count_possible(1000, 48)
    (25, 128, 48)
    """
    return min(COMPONENTS, n // SERIES_PER_COMPONENT, features)


def principal_components(features: Tensor, whiten: bool = False) -> Components | None:
    """Fit components on the features of `n` series.

    Args:
        features: float `(n, F)`.
        whiten: scale each projection to variance 1, somewhat less if there are few series.
            Otherwise only their mean variance is 1.

    Returns:
        float32 components, as many as `count_possible` unless features vary in fewer directions;
        None if they do not vary, or there are too few series.
    """
    Z = features.detach().cpu().double()
    mean = Z.mean(0)
    std = Z.std(0, unbiased=False)
    varies = std > CONSTANT * Z.abs().amax(0)
    std = torch.where(varies, std, 1.0)
    X = torch.where(varies, (Z - mean) / std, 0.0)
    variances, directions = _eigen(X)
    n, width = X.shape
    count = min(
        count_possible(n, width),
        int((variances > NO_VARIANCE * variances[0]).sum()),
    )
    if count == 0:
        return None
    directions = directions[:count]
    # A direction and its opposite are equivalent: the largest entry is made positive.
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    scale = variances[:count].mean().expand(count)
    if whiten:
        scale = variances[:count] + SHRINKAGE * width / n**2
    directions = directions * largest.sign() / scale.sqrt()[:, None]
    return Components(mean.float(), std.float(), directions.float())


def _eigen(X: Tensor) -> tuple[Tensor, Tensor]:
    """Variances of centered `X`, largest first, and their directions: `(n, F)` -> `(r,)`, `(r, F)`.

    `r` is the smaller of `n` and `F`.
    """
    n, width = X.shape
    if n >= width:
        variances, vectors = torch.linalg.eigh(X.T @ X / n)
        return variances.flip(0), vectors.T.flip(0)
    variances, vectors = torch.linalg.eigh(X @ X.T / n)
    directions = vectors.T @ X
    length = torch.linalg.vector_norm(directions, dim=1, keepdim=True)
    return variances.flip(0), (directions / length.clamp(min=1e-300)).flip(0)


def check_dim(dim: int, pool: Pool, count: int, origin: str) -> None:
    """ValueError unless an embedding can have `dim` numbers.

    Args:
        dim: requested.
        pool: requested; components are those of "all".
        count: number of components.
        origin: where they come from, the end of "... principal components".
    """
    is_whole = isinstance(dim, int | np.integer) and not isinstance(dim, bool)
    if not is_whole or dim < 1:
        raise ValueError(
            f"dim must be a whole number from 1, or None for all features, got {dim!r}"
        )
    if pool != "all":
        raise ValueError(
            f'dim={dim} needs pool="all", whose components are stored, got pool={pool!r}; '
            "leave out one of the two"
        )
    if dim > count:
        advice = "leave it out for all features"
        if count:
            advice = f"choose a dim from 1 to {count}, or {advice}"
        else:
            advice += ", or fit components: temporal_jepa.training.components"
        raise ValueError(
            f"dim={dim} is more than the {count} principal components {origin}; {advice}"
        )
