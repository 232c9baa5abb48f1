"""How the members of a group differ from all others, in the units of the data.

Groups are formed by the embedding and described afterwards, so a difference here is no test.
"""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from ..data.sequences import Sequences
from .plots import extent_of, is_video, path_of
from .svg import Array
from .timeline import duration_of

LARGE_AUC = (
    0.85  # share of the pairs of a member and another in which one is the higher
)
LARGE_D = 0.8  # Cohen's d, "large" in Cohen 1988
NEARLY_ALL = 0.98  # AUC from which a trait tells the group from the rest
MOST = 3  # differences of a group
FEWEST = 3  # members, and others, that are compared
SOME = 5  # members, and others, from which a trait may stand for a clear group
CHANNELS = 16  # that are described: the first ones


@dataclass(frozen=True)
class Trait:
    """One number of each sequence, NaN where it has none.

    Args:
        name: in words.
        values: `(n,)`.
        kind: how it is written: "plain", "meters", "meters/s", "seconds" or "share".
        channel: the number of the channel that it is of; None: of all.
    """

    name: str
    values: Array
    kind: str = "plain"
    channel: int | None = None


@dataclass(frozen=True)
class Difference:
    """A trait in which a group differs: medians, AUC (0.5 to 1) and Cohen's d (0 or more)."""

    name: str
    inside: str
    outside: str
    auc: float
    d: float
    channel: int | None = None


def traits(sequences: Sequences) -> list[Trait]:
    """What is compared: length, missing values, and of each channel its level, spread and trend.

    Of tracks, their extent, duration and speed instead of their channels. Of video, the length.
    """
    found = [Trait("timesteps", sequences.lengths.astype(np.float64))]
    if is_video(sequences):
        return found
    missing = np.array([np.isnan(x).mean() for x in sequences.values])
    found.append(Trait("missing", missing, "share"))
    if path_of(sequences, 0) is not None:
        return found + _of_tracks(sequences)
    return found + _of_channels(sequences)


def _of_tracks(sequences: Sequences) -> list[Trait]:
    kind = "meters" if sequences.degrees else "plain"
    is_dated = sequences.times is not None and sequences.times[0].dtype.kind == "M"
    count = len(sequences)
    extent = np.zeros(count)
    way = np.zeros(count)
    duration = np.full(count, np.nan)
    for i in range(count):
        path = path_of(sequences, i)
        assert path is not None
        extent[i] = extent_of(path)
        steps = np.linalg.norm(np.diff(path[:, 0], axis=0), axis=1)
        way[i] = np.nansum(steps)
        duration[i] = duration_of(sequences, i)
    found = [Trait("size across", extent, kind)]
    if sequences.frame is not None:  # a scene of several agents
        return found
    found.append(Trait("distance traveled", way, kind))
    if np.isfinite(duration).any():
        speed = way / np.where(duration > 0, duration, np.nan)
        unit = "meters/s" if is_dated and kind == "meters" else "plain"
        found.append(Trait("duration", duration, "seconds" if is_dated else "plain"))
        found.append(Trait("mean speed", speed, unit))
    return found


def _of_channels(sequences: Sequences) -> list[Trait]:
    found = []
    for k, channel in enumerate(sequences.channels[:CHANNELS]):
        rows = np.array([_course(x[:, k]) for x in sequences.values])
        words = ("mean", "standard deviation", "change from start to end")
        for word, column in zip(words, rows.T, strict=True):
            found.append(Trait(f"{channel}: {word}", column, channel=k))
    return found


def _course(y: Array) -> tuple[float, float, float]:
    """Mean, standard deviation, and change along a straight line of `(time,)`; NaN without any."""
    steps = np.flatnonzero(~np.isnan(y))
    if not len(steps):
        return np.nan, np.nan, np.nan
    known = y[steps].astype(np.float64)
    mean = known.mean()
    away = steps - steps.mean()
    slope = 0.0
    if len(steps) > 1:
        slope = float(away @ (known - mean) / (away @ away))
    return float(mean), float(known.std()), slope * float(steps[-1] - steps[0])


def differences(described: list[Trait], is_member: Array) -> list[Difference]:
    """The large differences between members and all others, the largest first.

    Args:
        described: from `traits`.
        is_member: bool `(n,)`.
    """
    found = []
    for trait in described:
        inside = trait.values[is_member]
        outside = trait.values[~is_member]
        inside = inside[np.isfinite(inside)]
        outside = outside[np.isfinite(outside)]
        if min(len(inside), len(outside)) < FEWEST:
            continue
        auc = _auc(inside, outside)
        d = _cohens_d(inside, outside)
        if auc < LARGE_AUC or d < LARGE_D:
            continue
        texts = [
            in_units(float(np.median(part)), trait.kind) for part in (inside, outside)
        ]
        if texts[0] != texts[1]:
            found.append(
                Difference(trait.name, texts[0], texts[1], auc, d, trait.channel)
            )
    found.sort(key=lambda difference: (-difference.auc, -difference.d))
    return found[:MOST]


def is_told_by(difference: Difference, is_member: Array) -> bool:
    """Whether a difference tells nearly all members of a group of some size from the others."""
    smaller = min(int(is_member.sum()), int((~is_member).sum()))
    return smaller >= SOME and difference.auc >= NEARLY_ALL


def _auc(inside: Array, outside: Array) -> float:
    """Share of the pairs in which one side is the higher, 0.5 to 1; ties count half."""
    ranks = rankdata(np.concatenate([inside, outside]))[: len(inside)]
    above = ranks.sum() - len(inside) * (len(inside) + 1) / 2
    share = float(above) / (len(inside) * len(outside))
    return max(share, 1 - share)


def _cohens_d(inside: Array, outside: Array) -> float:
    """The distance of the means in pooled standard deviations."""
    away = abs(float(inside.mean() - outside.mean()))
    freedom = len(inside) + len(outside) - 2
    squares = len(inside) * inside.var() + len(outside) * outside.var()
    deviation = float(np.sqrt(squares / freedom))
    if deviation == 0:
        return np.inf if away else 0.0
    return away / deviation


def in_units(value: float, kind: str = "plain") -> str:
    """A number in words.

    >>> in_units(12_345.6), in_units(38.94), in_units(2500.0, "meters"), in_units(0.25, "share")
    ('12,346', '38.9', '2.5 km', '25%')
    """
    if kind == "share":
        return f"{100 * value:.2g}%" if 0 < value < 0.01 else f"{value:.0%}"
    if kind.startswith("meters") and abs(value) >= 1000:
        return f"{value / 1000:,.3g} k{_unit(kind)}"
    if kind == "seconds" and value >= 7200:
        return f"{value / 3600:,.3g} hours"
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{text} {_unit(kind)}".rstrip()


def _unit(kind: str) -> str:
    return {"meters": "m", "meters/s": "m/s", "seconds": "s"}.get(kind, "")
