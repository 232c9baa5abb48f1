"""The scale of small drawings: a lane for each channel, from its lowest to its highest value."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .svg import Array

VARIED = 10.0  # times that a channel's range exceeds that of a usual series: each has its own scale


@dataclass(frozen=True)
class Scale:
    """Limits of the first channels.

    Args:
        low: lowest values, `(channels,)`.
        high: highest values, `(channels,)`.
        own: whether each series is drawn on a scale of its own, bool `(channels,)`.
    """

    low: Array
    high: Array
    own: Array

    def limits(self, x: Array) -> list[tuple[float, float]]:
        """Lowest and highest of the lanes of a series `(time, channels)`."""
        found = []
        for k, (low, high) in enumerate(zip(self.low, self.high, strict=True)):
            if self.own[k]:
                low, high = _ends(x[:, k])
            found.append((float(low), float(high)))
        return found

    def lanes(self, x: Array) -> Array:
        """The first channels of a series `(time, channels)` in 0..1; constant ones are at 0.5."""
        lanes = np.full((len(x), len(self.low)), np.nan)
        for k, (low, high) in enumerate(self.limits(x)):
            y = x[:, k].astype(np.float64)
            lanes[:, k] = (y - low) / (high - low) if high > low else 0 * y + 0.5
        return lanes


def scale_of(values: Sequence[Array], channels: int) -> Scale:
    """The scale of series `(time_i, all channels)`, of which the first `channels` are drawn."""
    ends = []
    for x in values:
        ends.append([_ends(y) for y in x[:, :channels].T])
    table = np.array(ends, dtype=np.float64)  # (series, channels, 2)
    low = _known(np.fmin.reduce(table[..., 0]))
    high = _known(np.fmax.reduce(table[..., 1]))
    width = np.nan_to_num(table[..., 1] - table[..., 0])
    own = high - low > VARIED * np.median(width, axis=0)
    varies = width.any(axis=0)
    return Scale(low, high, own & varies)


def _ends(y: Array) -> tuple[float, float]:
    """The lowest and the highest of `(time,)`, NaN without any."""
    known = y[~np.isnan(y)]
    if not len(known):
        return np.nan, np.nan
    return float(known.min()), float(known.max())


def _known(limits: Array) -> Array:
    return np.nan_to_num(limits)
