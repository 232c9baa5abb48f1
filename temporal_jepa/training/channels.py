"""Single channels of sequences, computed when they are read: what a model with resolutions sees."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..config import TemporalJEPAConfig
from ..data.sequences import FloatArray, Sequences, stack
from ..embed import centered
from ..model.jepa import TemporalJEPA
from ..model.multiscale import highest, standardize_at


class SingleChannels:
    """The channels of sequences as sequences of their own, standardized and resampled.

    Row `i * channels + k` is channel `k` of sequence `i`, at the highest resolution of the model
    and at most `seq_len`. Nothing is stored: a row is computed from its sequence when it is read.

    Args:
        config: of a model that encodes channels separately.
        sequences: any channels.

    Attributes:
        lengths: timesteps of each row at most; values missing at both ends make it shorter.
        source: as of the sequences.
    """

    def __init__(self, config: TemporalJEPAConfig, sequences: Sequences):
        self.config = config
        self.sequences = sequences
        self.source = sequences.source
        each, place = np.unique(sequences.lengths, return_inverse=True)
        resampled = np.array([self._length(int(length)) for length in each])
        self.lengths = np.repeat(resampled[place], sequences.n_channels)

    @property
    def values(self) -> "SingleChannels":
        """What is indexed for the values of a row."""
        return self

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, row: int) -> npt.NDArray[np.float32]:
        """The values of a row, float32 `(time, 1)`."""
        index, channel = divmod(row, self.sequences.n_channels)
        values = self.sequences.values[index]
        observed = np.flatnonzero(~np.isnan(values).all(axis=1))
        x = _without_gaps(values[observed[0] : observed[-1] + 1, channel])
        length = self._length(len(x))
        standardized = standardize_at(torch.from_numpy(x)[None, :, None], length)
        out: npt.NDArray[np.float32] = standardized[0, 0].float().numpy()[:, None]
        return out

    def batch(
        self, rows: Sequence[int] | npt.NDArray[np.int64], length: int = 0
    ) -> FloatArray:
        """Rows as one array, as `Sequences.batch`."""
        return stack([self[int(row)] for row in rows], length)

    def _length(self, timesteps: int) -> int:
        return min(self.config.seq_len, highest(self.config, timesteps))


def _without_gaps(x: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """A channel `(T,)` with missing values interpolated linearly; 0 if all are missing."""
    x = x.astype(np.float64)
    observed = ~np.isnan(x)
    if observed.all():
        return x
    if not observed.any():
        return np.zeros_like(x)
    time = np.arange(len(x))
    return np.asarray(np.interp(time, time[observed], x[observed]))


def as_training_data(model: TemporalJEPA, sequences: Sequences) -> Sequences:
    """The sequences on which the objective of a model is computed, in memory.

    A model that encodes channels separately trains on `SingleChannels`. For other models the offset
    of the model is subtracted; if it is 0, the sequences are returned as they are.
    """
    if not model.config.channel_independent:
        return centered(sequences, model.offset.detach().cpu().double().numpy())
    rows = SingleChannels(model.config, sequences)
    values = [rows[k] for k in range(len(rows))]
    names = list(sequences.ids)
    channels = sequences.channels
    if sequences.n_channels > 1:
        names = [f"{name} {channel}" for name in names for channel in channels]
        channels = ["value"]
    return Sequences(values, ids=names, channels=channels, source=sequences.source)
