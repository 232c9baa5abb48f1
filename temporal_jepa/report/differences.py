"""What tells the members of a group from all others, in the units of the data.

The groups are of embeddings, and are described afterwards: these differences are no test.
"""

import warnings

import numpy as np
from scipy.stats import rankdata

from ..data import Sequences
from .svg import Array

LARGE = 0.85  # probability that a member has more (or less) than another, from which it is said
MOST = 3  # differences of a group that are said
CHANNELS = 64  # the first channels are described
PARTS = 4  # a trend is the last of so many parts less the first


def describe_groups(sequences: Sequences, of: Array) -> list[list[str]]:
    """For each group, sentences on its largest differences from all other sequences.

    A difference is large if a member has a higher (or lower) number than another sequence with
    probability `LARGE`: the area under the ROC curve, from ranks.

    Args:
        sequences: series or tracks; of video and scenes nothing is said.
        of: group of each sequence, int `(n,)`.
    """
    count = int(of.max()) + 1
    if sequences.frame is not None:
        return [[] for _ in range(count)]
    names, numbers = _numbers(sequences)
    ranks = rankdata(numbers, axis=0, nan_policy="omit")
    return [_sentences(names, numbers, ranks, of == group) for group in range(count)]


def _numbers(sequences: Sequences) -> tuple[list[tuple[str, str]], Array]:
    """What describes a sequence: (channel, property) of each number, and the numbers `(n, S)`."""
    channels = sequences.channels[:CHANNELS]
    names = [("", "length in timesteps"), ("", "share of missing values")]
    names += [
        (channel, what) for what in ("mean", "spread", "trend") for channel in channels
    ]
    rows = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of channels without a value
        for x in sequences.values:
            values = x[:, : len(channels)].astype(np.float64)
            part = max(1, len(values) // PARTS)
            trend = np.nanmean(values[-part:], axis=0) - np.nanmean(
                values[:part], axis=0
            )
            about = [float(len(x)), float(np.isnan(values).mean())]
            mean = np.nanmean(values, axis=0)
            rows.append(np.concatenate([about, mean, np.nanstd(values, axis=0), trend]))
    return names, np.array(rows)


def _sentences(
    names: list[tuple[str, str]], numbers: Array, ranks: Array, inside: Array
) -> list[str]:
    """The largest differences of the sequences `inside` (n,), one for each channel at most."""
    known = ~np.isnan(numbers)
    members = (known & inside[:, None]).sum(0)
    others = (known & ~inside[:, None]).sum(0)
    total = np.nansum(np.where(inside[:, None], ranks, 0.0), axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        area = (total - members * (members + 1) / 2) / (members * others)
    certainty = np.nan_to_num(np.abs(area - 0.5))
    found: dict[str, str] = {}
    for k in np.argsort(-certainty, kind="stable"):
        channel, what = names[k]
        if certainty[k] < LARGE - 0.5 or len(found) == MOST:
            break
        if (channel or what) in found:
            continue
        here = float(np.nanmedian(numbers[inside, k]))
        there = float(np.nanmedian(numbers[~inside, k]))
        name = f"{what} of {channel}" if channel else what
        found[channel or what] = f"{name} {here:.4g}, elsewhere {there:.4g}"
    return list(found.values())
