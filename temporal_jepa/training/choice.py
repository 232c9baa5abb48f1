"""Which objective when: the default of training, chosen by traits of the data, without labels.

The thresholds are measured, see `benchmarks/when.py` and docs/decisions/0016-which-objective.md.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..data.sequences import Sequences

Array = npt.NDArray[np.float64]
Pairs = list[tuple[Array, Array]]

# Statistics come from at most this many sequences, timesteps of each and channels.
SEQUENCES = 64
TIMESTEPS = 256
CHANNELS = 32
PAST = 4  # timesteps from which the next one is predicted
PENALTY = 10.0  # of the ridge regression
FLAT = 1e-4  # directions with less than this share of the largest variance are left out
# Next latents are the default from so many channels, unless more than so much is predictable.
FEWEST_CHANNELS = 6
CLEAN = 0.5
# Less data says too little, and is too little to train an encoder on.
FEWEST_SEQUENCES = 32
FEWEST_TIMESTEPS = 16


@dataclass(frozen=True)
class Traits:
    """What recordings look like, measured without labels.

    Args:
        channels: of a sequence.
        sequences: number of sequences.
        timesteps: of a sequence, median.
        constant: share of the variance of a channel that lies between sequences, from 0 to 1.
        predictable: share of the variance within sequences that a linear map of the four timesteps
            before predicts in other sequences, mean over channels, from 0 to 1. The rest is noise,
            or what no linear map of so short a past predicts.
        directions: the same, mean over the principal components at unit variance. It is above
            `predictable` where something predictable is hidden under strong noise.
    """

    channels: int
    sequences: int
    timesteps: int
    constant: float
    predictable: float
    directions: float


@dataclass(frozen=True)
class Choice:
    """What training starts with when nobody says otherwise.

    Args:
        objective: "next" (`NextLatent`, from random weights), or None: the general encoder.
        reason: half a sentence for people, with the measured numbers.
        alternative: the flag that chooses the other one, and what it does.
    """

    objective: str | None
    reason: str
    alternative: str

    def __str__(self) -> str:
        return f"{self.reason}; {self.alternative}"


def choose(sequences: Sequences) -> Choice:
    """The default for plain series of several channels.

    Next latents, if there are at least 6 channels and less than half of what varies in a sequence
    can be predicted from the timesteps before; else the general encoder. Small sets keep the
    general encoder, too: at least 32 sequences with a median of 16 timesteps are needed.

    Args:
        sequences: training data, no trajectories, scenes or video.
    """
    traits = measure(sequences)
    channels = traits.channels
    noise = round(100 * (1 - traits.predictable))
    if traits.sequences < FEWEST_SEQUENCES or traits.timesteps < FEWEST_TIMESTEPS:
        reason = f"{traits.sequences} sequences of {traits.timesteps} timesteps are few"
    elif channels < FEWEST_CHANNELS:
        reason = f"{channels} channels are few"
    elif traits.predictable >= CLEAN:
        reason = f"{noise} % of what varies in a sequence cannot be predicted, less than half"
    else:
        reason = f"{channels} channels, and {noise} % of what varies in a sequence cannot be predicted"
        return Choice(
            "next", reason, "--init-from series-small encodes each channel separately"
        )
    return Choice(None, reason, "--objective next trains an encoder of all channels")


def measure(sequences: Sequences) -> Traits:
    """Measure recordings, on a bounded sample, evenly spaced: a tenth of a second.

    Args:
        sequences: any lengths, NaN where missing, any scale.

    Returns:
        Their traits. Without any channel that varies, or for sequences too short to predict
        anything, the shares are 0.
    """
    lengths = sequences.lengths
    parts = _standardized(sequences)
    constant = 0.0
    predictable = 0.0
    directions = 0.0
    if parts[0].shape[1]:
        constant = _share_between(parts)
        pairs = [_lagged(x - x.mean(0)) for x in parts if len(x) > PAST]
        predictable = _explained(pairs)
        whiten = _whitening(np.concatenate(parts))
        pairs = [_lagged((x - x.mean(0)) @ whiten) for x in parts if len(x) > PAST]
        directions = _explained(pairs)
    return Traits(
        sequences.n_channels,
        len(sequences),
        int(np.median(lengths)),
        constant,
        predictable,
        directions,
    )


def _evenly(total: int, most: int) -> npt.NDArray[np.int64]:
    """At most `most` of `total` indices, evenly spaced."""
    return np.unique(np.linspace(0, total - 1, min(total, most)).astype(int))


def _standardized(sequences: Sequences) -> list[Array]:
    """The middle of some sequences, some channels: `(time_i, channels)` each.

    Channels have mean 0 and variance 1 over all of them, and constant ones are left out.
    """
    channels = _evenly(sequences.n_channels, CHANNELS)
    parts: list[Array] = []
    for row in _evenly(len(sequences), SEQUENCES):
        x = sequences.values[row]
        first = max(0, (len(x) - TIMESTEPS) // 2)
        part = x[first : first + TIMESTEPS, channels].astype(np.float64)
        parts.append(_bridged(part))
    everything = np.concatenate(parts)
    largest = np.abs(everything).max(0)
    level = everything.mean(0)
    spread = everything.std(0)
    varies = spread > 1e-6 * largest  # less is rounding
    return [(x - level)[:, varies] / spread[varies] for x in parts]


def _bridged(x: Array) -> Array:
    """`(time, channels)` with missing values interpolated; 0 in a channel without any."""
    time = np.arange(len(x))
    for channel in x.T:
        observed = ~np.isnan(channel)
        if not observed.any():
            channel[:] = 0.0
        elif not observed.all():
            channel[:] = np.interp(time, time[observed], channel[observed])
    return x


def _share_between(parts: list[Array]) -> float:
    """The share of the variance that lies between the means of sequences."""
    total = sum(np.square(x).sum() for x in parts)
    between = sum(len(x) * np.square(x.mean(0)).sum() for x in parts)
    return float(between / total)


def _whitening(x: Array) -> Array:
    """Principal components at unit variance: `(channels, kept)`."""
    variance, axes = np.linalg.eigh(np.cov(x.T).reshape(x.shape[1], x.shape[1]))
    kept = variance > FLAT * variance.max()
    whiten: Array = axes[:, kept] / np.sqrt(variance[kept])
    return whiten


def _lagged(x: Array) -> tuple[Array, Array]:
    """Each PAST timesteps `(n, PAST * channels)` and the next one `(n, channels)`."""
    past = [x[lag : len(x) - PAST + lag] for lag in range(PAST)]
    return np.hstack(past), x[PAST:]


def _explained(pairs: Pairs) -> float:
    """The share of the variance of every second sequence that the others teach to predict."""
    if len(pairs) < 2:
        return 0.0
    past, following = _joined(pairs[::2])
    gram = past.T @ past + PENALTY * np.eye(past.shape[1])
    weights = np.linalg.solve(gram, past.T @ following)
    past, following = _joined(pairs[1::2])
    error = np.square(following - past @ weights).sum()
    variance = np.square(following).sum()
    return float(max(0.0, 1.0 - error / variance)) if variance else 0.0


def _joined(pairs: Pairs) -> tuple[Any, Any]:
    return np.concatenate([a for a, _ in pairs]), np.concatenate([b for _, b in pairs])
