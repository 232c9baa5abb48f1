"""Slow features: uncorrelated mixtures of channels, ordered by how slowly they change."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FLOOR = 1e-5  # least variance of a direction, as a share of the mean variance
Array = npt.NDArray[np.float32]


def slow_mixtures(
    values: Sequence[npt.NDArray[Any]], mean: Array, std: Array, lag: int
) -> tuple[Array, Array]:
    """Linear mixtures of standardized channels with variance 1, the slowest first.

    Channels are whitened, and the mixtures are the eigenvectors of their covariance with themselves
    some timesteps later: linear slow feature analysis (Wiskott and Sejnowski 2002) with a lag,
    also known as TDSEP and AMUSE. What does not last, as white noise, comes last. A missing value
    counts as the mean of its channel.

    Args:
        values: sequences `(time_i, C)`.
        mean: of each channel, `(C,)`.
        std: of each channel, `(C,)`.
        lag: timesteps.

    Returns:
        The mixing `(C, C)`, so that the mixtures are `(x - mean) / std @ mixing`, and the standard
        deviation of first differences of each mixture, `(C,)`, 1 for a constant one.
    """
    standardized = [np.nan_to_num((x.astype(np.float64) - mean) / std) for x in values]
    width = len(mean)
    covariance = _covariance(standardized, standardized)
    variance, directions = np.linalg.eigh(covariance)
    least = max(FLOOR * float(variance.mean()), 1e-12)
    whitening = directions / np.sqrt(np.maximum(variance, least))
    long_enough = [x for x in standardized if len(x) > lag]
    rotation = np.eye(width)
    if long_enough:
        lagged = _covariance(
            [x[lag:] for x in long_enough], [x[:-lag] for x in long_enough]
        )
        lagged = whitening.T @ (lagged + lagged.T) @ whitening
        rotation = np.linalg.eigh(lagged)[1][:, ::-1]
    mixing = whitening @ rotation
    mixing *= np.where(
        mixing.sum(0) < 0, -1.0, 1.0
    )  # the sign of an eigenvector is arbitrary
    steps = [np.diff(x, axis=0) for x in standardized]
    squares = np.diag(mixing.T @ _covariance(steps, steps) @ mixing)
    slope = np.sqrt(np.maximum(squares, 0.0))
    slope = np.where(slope > 1e-6, slope, 1.0)
    return mixing.astype(np.float32), slope.astype(np.float32)


def _covariance(
    left: Sequence[npt.NDArray[np.float64]], right: Sequence[npt.NDArray[np.float64]]
) -> npt.NDArray[np.float64]:
    """Mean product of the rows of both, `(C, C)`."""
    count = max(sum(len(x) for x in left), 1)
    total = sum(x.T @ y for x, y in zip(left, right, strict=True))
    return np.asarray(total / count)
