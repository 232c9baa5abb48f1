"""The scale of small drawings: a lane for each channel, from its lowest to its highest value."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .svg import Array

VARIED = (
    10.0  # times that a channel's range may exceed that of a series with a small one
)
SMALL = 0.25  # quantile of the ranges of series that is a small one


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

    def of(self, channels: Sequence[int]) -> "Scale":
        """The scale of these channels, in this order."""
        chosen = list(channels)
        return Scale(self.low[chosen], self.high[chosen], self.own[chosen])

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
    """The scale of series `(time_i, all channels)`, of which the first `channels` are drawn.

    Limits are the lowest and the highest value, so that no peak is cut. If a quarter of the series
    would then be nearly flat, or an outlier makes them so, each has a scale of its own.
    """
    ends = []
    for x in values:
        ends.append([_ends(y) for y in x[:, :channels].T])
    table = np.array(ends, dtype=np.float64)  # (series, channels, 2)
    low = _known(np.fmin.reduce(table[..., 0]))
    high = _known(np.fmax.reduce(table[..., 1]))
    widths = table[..., 1] - table[..., 0]
    own = np.zeros(len(low), dtype=bool)
    for k, width in enumerate(widths.T):
        varied = width[width > 0]
        if len(varied):
            own[k] = high[k] - low[k] > VARIED * np.quantile(varied, SMALL)
    return Scale(low, high, own)


def _ends(y: Array) -> tuple[float, float]:
    """The lowest and the highest of `(time,)`, NaN without any."""
    known = y[~np.isnan(y)]
    if not len(known):
        return np.nan, np.nan
    return float(known.min()), float(known.max())


def _known(limits: Array) -> Array:
    return np.nan_to_num(limits)
