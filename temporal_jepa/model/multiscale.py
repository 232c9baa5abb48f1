"""One encoder for any series: every channel by itself, stretched to several lengths, the features side by side.

A model whose configuration names `views` was trained on single channels of one length. It embeds sequences of any
number of channels, any length and any scale, without a normaliser fitted to them. Legend of shapes: `n` sequences,
`C` channels, `L` timesteps of a view, `F` features of a view, `V` views.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
ROWS = 64  # channels encoded together
# values of a sequence that stand beside its features; least and most of a channel
VALUES = 2048
POINTS = (8, 256)


def embed_views(
    encode: Callable[[FloatArray], FloatArray], views: Sequence[int], values: Sequence[FloatArray]
) -> npt.NDArray[np.float32]:
    """One embedding per sequence: what the encoder says of its channels at each length, then the values themselves.

    The features of the channels are added up, each with a sign of its own drawn once for all (feature hashing, arXiv
    0902.2206): as good as side by side for a linear probe where it was measured, and of one size for any number of
    channels. The encoder sees standardised channels; level and scale are in the values, of which each channel gives
    `VALUES / C`, evenly spaced, with its mean and standard deviation to three digits of the latter: of series that came
    standardised, the rest is rounding, which a scaler after this would blow up.

    Args:
        encode: standardised channels `(rows, L)`, without gaps -> features `(rows, F)`.
        views: the lengths `L`.
        values: `(time_i, C)` each, NaN where missing. Timesteps at both ends without any value are cut off, gaps are
            bridged linearly, a channel without any value counts as constant 0.

    Returns:
        float32 `(n, V * F + C * (points + 2))`.

    Raises:
        ValueError: if a sequence has no value at all, or infinite ones.
    """
    if any(np.isinf(x).any() for x in values):
        raise ValueError("a sequence holds infinite values; write NaN for what is missing")
    if any(np.isnan(x).all() for x in values):
        raise ValueError(
            "every sequence needs at least one observed value; got one that is all missing"
        )
    filled = [bridged(x) for x in values]
    channels = filled[0].shape[1]
    parts: list[FloatArray] = []
    for length in views:
        x = np.concatenate([standardised(v, length) for v in filled])  # (n * C, L)
        features = np.concatenate(
            [encode(x[i : i + ROWS]) for i in range(0, len(x), ROWS)]
        )  # (n * C, F)
        parts.append(
            (
                features.reshape(len(filled), channels, -1)
                * channel_signs(channels, features.shape[1])
            ).sum(1)
        )
    parts.append(values_beside(filled))
    embedding: FloatArray = np.concatenate(parts, axis=1)
    return embedding.astype(np.float32)


def view_tokens(
    encode: Callable[[FloatArray], FloatArray], length: int, values: Sequence[FloatArray]
) -> npt.NDArray[np.float32]:
    """Tokens of one view, the channels added with fixed signs and divided by the root of their number: `(n, N, D)`.

    Args:
        encode: standardised channels `(rows, length)` -> tokens `(rows, N, D)`.
        length: of the view.
        values: as in `embed_views`.
    """
    x = np.concatenate([standardised(bridged(v), length) for v in values])
    tokens = np.concatenate([encode(x[i : i + ROWS]) for i in range(0, len(x), ROWS)])
    channels = values[0].shape[1]
    signs = channel_signs(channels, tokens.shape[2]) / channels**0.5
    together: FloatArray = np.einsum(
        "ncld,cd->nld", tokens.reshape(len(values), channels, *tokens.shape[1:]), signs
    )
    return together.astype(np.float32)


def at_timesteps(
    tokens: npt.NDArray[np.float32], x: FloatArray, patch: int
) -> npt.NDArray[np.float32]:
    """Tokens `(N, D)` of a view at the timesteps of the sequence `(time, C)` it was stretched from: `(time, D)`.

    Linear between the middles of patches; NaN before the first and after the last observed timestep.
    """
    seen = np.flatnonzero(~np.isnan(x).all(1))
    first = int(seen[0])
    last = int(seen[-1])
    share = (np.arange(first, last + 1) - first) / max(last - first, 1)  # 0 to 1
    place = np.clip(
        (share * (len(tokens) * patch - 1) - (patch - 1) / 2) / patch, 0, len(tokens) - 1
    )
    low = np.minimum(place.astype(int), max(len(tokens) - 2, 0))
    part = (place - low)[:, None]
    out = np.full((len(x), tokens.shape[1]), np.nan, dtype=np.float32)
    out[first : last + 1] = (
        tokens[low] * (1 - part) + tokens[np.minimum(low + 1, len(tokens) - 1)] * part
    )
    return out


def values_beside(filled: Sequence[FloatArray]) -> FloatArray:
    """The values that stand beside the features: `n` times `(time_i, C)` without gaps -> `(n, C * (points + 2))`."""
    points = points_of(filled[0].shape[1])
    return np.stack([np.concatenate([_stretched(x, points).ravel(), *_moments(x)]) for x in filled])


def channel_signs(channels: int, features: int) -> FloatArray:
    """The fixed random signs with which features of channels are added: -1 and 1, `(C, F)`."""
    return np.array(
        [np.random.default_rng(c).choice([-1.0, 1.0], features) for c in range(channels)]
    )


def points_of(channels: int) -> int:
    """How many values of each of so many channels stand beside the features."""
    return min(max(VALUES // channels, POINTS[0]), POINTS[1])


def bridged(x: FloatArray) -> FloatArray:
    """Ends without any value cut off, gaps bridged: `(time, C)` -> `(time', C)` without NaN, float64."""
    x = np.asarray(x, dtype=np.float64)
    rows = np.flatnonzero(~np.isnan(x).all(1))
    x = x[rows[0] : rows[-1] + 1].copy()
    time = np.arange(len(x))
    for channel in np.flatnonzero(np.isnan(x).any(0)):
        there = np.flatnonzero(~np.isnan(x[:, channel]))
        x[:, channel] = np.interp(time, there, x[there, channel]) if len(there) else 0.0
    return x


def _stretched(x: FloatArray, length: int) -> FloatArray:
    """Each channel resampled linearly: `(time, C)` -> `(C, length)`."""
    grid = np.linspace(0, len(x) - 1, length)
    time = np.arange(len(x))
    return np.stack([np.interp(grid, time, channel) for channel in x.T])


def _moments(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of each channel, to the third digit of the latter: `(time, C)` -> twice `(C,)`."""
    mean = x.mean(0)
    std = x.std(0)
    digit = 10.0 ** np.floor(np.log10(np.where(std > 0, std, 1.0)) - 2)
    return np.where(std > 0, np.round(mean / digit) * digit, mean), np.round(std / digit) * digit


def standardised(x: FloatArray, length: int) -> FloatArray:
    """Each channel resampled linearly, with mean 0 and std 1: `(time, C)` -> `(C, length)`; a constant becomes 0."""
    out = _stretched(x, length)
    out -= out.mean(1, keepdims=True)
    std = out.std(1, keepdims=True)
    out /= np.where(std > 1e-9 * np.abs(x).max(0)[:, None], std, np.inf)
    return out
