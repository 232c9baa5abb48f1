"""Which objective when: the default of training, chosen from the data alone, without labels.

The thresholds are measured, see `benchmarks/when.py` and docs/decisions/0016-which-objective.md.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..data.sequences import Sequences

Array = npt.NDArray[np.float64]

# Next latents are the default from so many channels, if less than so much is predictable.
FEWEST_CHANNELS = 6
CLEAN = 0.5
# Less data says too little, and is too little to train an encoder on.
FEWEST_SEQUENCES = 32
FEWEST_TIMESTEPS = 16
LONGEST = 1024  # as `LONGEST_WINDOW` of training
# Predictability is measured on at most this many sequences, timesteps of each and channels.
SEQUENCES = 64
TIMESTEPS = 256
CHANNELS = 32
PAST = 4  # timesteps from which the next one is predicted
PENALTY = 10.0  # of the ridge regression


@dataclass(frozen=True)
class Choice:
    """What training starts with when nobody says otherwise.

    Args:
        objective: "next" (`NextLatent`, from random weights), or None: the general encoder.
        reason: why, for people, with the measured numbers.
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
    is predictable, see `predictable_share`; else the general encoder. Small sets keep the general
    encoder, too: at least 32 sequences are needed, the shortest of which has 16 timesteps and an
    eighth of the longest.

    Args:
        sequences: training data, no trajectories, scenes or video.
    """
    channels = sequences.n_channels
    shortest = int(sequences.lengths.min())
    longest = int(sequences.lengths.max())
    jointly = "--objective next trains one encoder of all channels"
    if channels < FEWEST_CHANNELS:
        reason = (
            f"it reads each of the {channels} channels by itself, which is best below "
            f"{FEWEST_CHANNELS} channels"
        )
        return Choice(None, reason, jointly)
    # A token is up to a 32nd of the longest sequence, and a prediction needs a few tokens.
    needed = max(FEWEST_TIMESTEPS, min(longest, LONGEST) // 8)
    if len(sequences) < FEWEST_SEQUENCES or shortest < needed:
        span = f"{len(sequences)} sequences of {shortest} to {longest} timesteps"
        return Choice(
            None, f"{span} are too few, short or unequal to train on", jointly
        )
    share = predictable_share(sequences)
    predicted = (
        f"{PAST} timesteps predict {round(100 * share)} % of how the next one varies"
    )
    if share >= CLEAN:
        reason = f"the {channels} channels are clean ({predicted})"
        return Choice(None, reason, f"{jointly}, often better for single moments")
    reason = f"trains next latents (--objective next): {channels} noisy channels ({predicted})"
    return Choice("next", reason, "--init-from series-small takes the general encoder")


def predictable_share(sequences: Sequences) -> float:
    """How much of what varies in a sequence its own past predicts, from 0 to 1.

    A linear map from four timesteps of all channels to the next one is fitted on every second
    sequence and tried on the others. The share of variance that it explains is the mean over
    channels; the mean of each sequence is taken away before. The rest is noise, or what no linear
    map of so short a past predicts. A bounded sample is read, evenly spaced.

    Args:
        sequences: any lengths and scale, NaN where missing.

    Returns:
        The share; 1 if nothing varies, or if no two sequences are longer than four timesteps.
    """
    parts = [x - x.mean(axis=0) for x in _standardized(sequences) if len(x) > PAST]
    if len(parts) < 2:
        return 1.0
    past, following = _pairs(parts[::2])
    gram = past.T @ past + PENALTY * np.eye(past.shape[1])
    weights = np.linalg.solve(gram, past.T @ following)
    past, following = _pairs(parts[1::2])
    error = float(np.square(following - past @ weights).sum())
    variance = float(np.square(following).sum())
    return max(0.0, 1.0 - error / variance) if variance else 1.0


def _standardized(sequences: Sequences) -> list[Array]:
    """The middle of some sequences, some channels: `(time_i, channels)` each.

    A channel has mean 0 and variance 1 over all of them; constant ones are left out.
    """
    channels = _evenly(sequences.n_channels, CHANNELS)
    parts: list[Array] = []
    for row in _evenly(len(sequences), SEQUENCES):
        x = sequences.values[row]
        first = max(0, (len(x) - TIMESTEPS) // 2)
        part = x[first : first + TIMESTEPS, channels].astype(np.float64)
        parts.append(_bridged(part))
    everything = np.concatenate(parts)
    largest = np.fmax.reduce(np.abs(everything))  # NaN in a channel without any value
    unit = np.where(largest > 0, largest, 1.0)  # squares of any values are finite then
    everything = everything / unit
    count = np.maximum((~np.isnan(everything)).sum(axis=0), 1)
    level = np.nansum(everything, axis=0) / count
    spread = np.sqrt(np.nansum((everything - level) ** 2, axis=0) / count)
    varies = spread > 1e-6  # less is rounding
    return [
        np.nan_to_num((x / unit - level)[:, varies] / spread[varies]) for x in parts
    ]


def _evenly(total: int, most: int) -> npt.NDArray[np.int64]:
    """At most `most` of `total` indices, evenly spaced."""
    return np.linspace(0, total - 1, min(total, most)).astype(int)


def _bridged(x: Array) -> Array:
    """`(time, channels)` with missing values interpolated, except in a channel without any."""
    time = np.arange(len(x))
    for channel in x.T:
        observed = ~np.isnan(channel)
        if observed.any() and not observed.all():
            channel[:] = np.interp(time, time[observed], channel[observed])
    return x


def _pairs(parts: list[Array]) -> tuple[Array, Array]:
    """All runs of PAST timesteps, `(n, PAST * channels)`, and what follows, `(n, channels)`."""
    past: list[Array] = []
    following: list[Array] = []
    for x in parts:
        runs = [x[lag : len(x) - PAST + lag] for lag in range(PAST)]
        past.append(np.hstack(runs))
        following.append(x[PAST:])
    return np.concatenate(past), np.concatenate(following)
