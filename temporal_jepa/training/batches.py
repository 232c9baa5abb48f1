"""Training batches: sequences, crops and masks as functions of the step.

Every random choice is a function of the seed and the place in training: the order of sequences of
(seed, epoch); a crop, its masks and whatever else an objective draws for it of (seed, epoch,
sequence); the share of a sequence that is cropped of (seed, step). So a process draws its own rows
alone, at a cost that does not depend on the number of processes, and all numbers of processes train
on the same samples and masks.
"""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ..config import PretrainConfig
from ..data.lazy import LazyArrays
from ..data.sequences import Sequences, missing, stack
from ..embed import check_channels
from ..model.jepa import TemporalJEPA
from ..model.objectives.objective import Drawn
from .channels import SingleChannels
from .order import permuted

SAMPLING = 2
"""Version of the functions of this module; runs of version 1 had the batches of all processes
drawn together."""

# What the random numbers are for.
ORDER, SHARE, CROP, MASK = 1, 2, 3, 4


@dataclass(frozen=True)
class Batch:
    """Rows of a step.

    Attributes:
        x: `(B, T, C)`, float32 or bytes, NaN after the end of a short row.
        drawn: what the objective draws for them, `(V, B, ...)` or a generator.
    """

    x: Tensor
    drawn: Drawn


class Batches:
    """The training batches as functions of the step, so there is no state to save.

    Args:
        sequences: at least two.
        config: its `batch_size`, `crop` and `seed` decide the batches.
        seq_len: longest crop, in timesteps.
        shortest: shortest crop, in timesteps; shorter sequences are not cropped.
    """

    def __init__(
        self,
        sequences: Sequences | SingleChannels,
        config: PretrainConfig,
        seq_len: int,
        shortest: int,
    ):
        if len(sequences) < 2:
            raise ValueError(
                f"{sequences.source}: pretraining compares sequences and needs at least 2, got "
                f"{len(sequences)}; cut a long recording into windows with window=LENGTH"
            )
        self.longest = int(sequences.lengths.max())
        if min(self.longest, seq_len) < shortest:
            raise ValueError(
                f"{sequences.source}: the longest training window has "
                f"{min(self.longest, seq_len)} timesteps, but "
                f"the patches that the objective compares need {shortest}; choose a smaller "
                "patch_len, a larger seq_len or longer series"
            )
        self.sequences = sequences
        self.config = config
        self.seq_len = seq_len
        self.shortest = shortest
        self.count = len(sequences)
        self.size = min(config.batch_size, self.count)
        self._key = lru_cache(maxsize=2)(self._key_of_epoch)

    def rows(self, rank: int = 0, world: int = 1) -> list[int]:
        """The rows of a batch that a process trains on, those of its first part first.

        A batch is split into `accumulate` parts, and each part into the shares of the processes.
        """
        count = self.size // (world * self.config.accumulate)
        starts = [
            (part * world + rank) * count for part in range(self.config.accumulate)
        ]
        return [row for start in starts for row in range(start, start + count)]

    def values(self, step: int, rows: list[int] | None = None) -> Tensor:
        """Rows of the batch of a step, `(B, T, C)`, cropped: float32, padded with NaN.

        Video of equal length stays as bytes, see `as_float`: a fourth of the copy to the device.

        Args:
            step: from 0.
            rows: from `rows`; None: all.
        """
        share = self._random(SHARE, step).uniform(self.config.crop, 1.0)
        crops = [self._crop(*self._sample(step, row), share) for row in self._all(rows)]
        is_bytes = all(crop.dtype == np.uint8 for crop in crops)
        if is_bytes and len({len(crop) for crop in crops}) == 1:
            return torch.from_numpy(np.stack(crops))
        return torch.from_numpy(stack(crops))

    @torch.no_grad()
    def draw(
        self, model: TemporalJEPA, x: Tensor, step: int, rows: list[int] | None = None
    ) -> Batch:
        """Rows `x` of the batch of a step, from `values`, with what the objective draws."""
        drawn = model.draw_each(x, self.generators(step, rows))
        if drawn is None:
            return Batch(x, model.draw(x, self.generator(step)))
        return Batch(x, drawn)

    def generators(
        self, step: int, rows: list[int] | None = None
    ) -> list[torch.Generator]:
        """The random generators that draw the masks of rows, one for each."""
        samples = [self._sample(step, row) for row in self._all(rows)]
        return [
            torch.Generator().manual_seed(random_seed(self.config.seed, MASK, *sample))
            for sample in samples
        ]

    def generator(self, step: int) -> torch.Generator:
        """The random generator of an objective that draws nothing for single sequences."""
        return torch.Generator().manual_seed(random_seed(self.config.seed, MASK, step))

    def epoch(self, step: int) -> int:
        """Epoch of the first sequence of step `step` (0-based)."""
        return step * self.size // self.count

    def _all(self, rows: list[int] | None) -> list[int]:
        return list(range(self.size)) if rows is None else rows

    def _sample(self, step: int, row: int) -> tuple[int, int]:
        """Epoch and index of the sequence in a row of a batch."""
        epoch, within = divmod(step * self.size + row, self.count)
        return epoch, permuted(within, self.count, self._key(epoch))

    def _crop(self, epoch: int, index: int, share: float) -> npt.NDArray[Any]:
        """A random crop of a sequence."""
        values = self.sequences.values
        if isinstance(values, LazyArrays):  # only the crop is read
            total = int(values.lengths[index])
            read = partial(values.span, index)
        else:
            x = values[index]
            total = len(x)
            read = partial(_slice, x)
        length = min(max(round(share * total), self.shortest), total, self.seq_len)
        random = self._random(CROP, epoch, index)
        start = int(random.random() * (total - length + 1))
        crop = read(start, start + length)
        if not missing(crop):
            return crop
        observed = np.flatnonzero(~np.isnan(read(0, total)).all(1))
        if not len(observed):
            raise ValueError(
                f"{self.sequences.source}: series {index} has no observed value any more; the data "
                "was changed after it was opened. Start again with the data as it was; "
                "temporal-jepa prepare STORE --verify checks a store"
            )
        anchor = random.choice(observed)  # move to where something was observed
        start = int(np.clip(anchor - length // 2, 0, total - length))
        return read(start, start + length)

    def _key_of_epoch(self, epoch: int) -> int:
        return int(self._random(ORDER, epoch).integers(2**63))

    def _random(self, *purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, *purpose])


def _slice(x: npt.NDArray[Any], start: int, stop: int) -> npt.NDArray[Any]:
    return x[start:stop]


def as_float(x: Tensor) -> Tensor:
    """A batch as float32; bytes 0..255 as 0..1."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x


def random_seed(*entropy: int) -> int:
    """A seed for torch from the numbers that identify a random choice."""
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


AS_IT_IS = (
    "too few to train on; embed with the encoder as it is: TemporalJEPAEmbedder(frozen=True), or "
    "temporal-jepa embed series-small FILE"
)


def plan_batches(
    model: TemporalJEPA, sequences: Sequences, config: PretrainConfig
) -> Batches:
    """The batches on which a model is trained.

    A multi-resolution model is trained on single channels, each resampled to its `seq_len`.

    Args:
        model: to be trained.
        sequences: at least two, checked by `Sequences.check_observed`.
        config: how to train.

    Raises:
        ValueError: if the model cannot be trained on these sequences.
    """
    check_channels(model, sequences)
    least = model.trainable().fewest_tokens * model.config.patch
    longest = int(sequences.lengths.max())
    if len(sequences) < 2 and longest < 2 * least:
        raise ValueError(
            f"{sequences.source}: one series of {longest} timesteps is {AS_IT_IS}"
        )
    if not model.config.channel_independent or len(sequences) < 2:
        return Batches(sequences, config, model.config.seq_len, least)
    channels = SingleChannels(model.config, sequences)
    if int(channels.lengths.max()) < least:
        raise ValueError(
            f"{sequences.source}: the longest series has {longest} timesteps, {AS_IT_IS}"
        )
    return Batches(channels, config, model.config.seq_len, least)
