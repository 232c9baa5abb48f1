"""Sequences as a map-style Dataset of PyTorch, for training loops of one's own."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from ..data.sequences import Sequences, as_text

Item = Tensor | tuple[Tensor, Tensor]


class TemporalJEPADataset(Dataset[Item]):
    """Series as tensors ``(channels, time_i)``, by number; those of a store are read when asked.

    It can be pickled, so the workers of a DataLoader share no memory but that of a store.

    Args:
        sequences: from `read` or `prepare`, or arrays as `Sequences.from_arrays` takes them.
        labels: also give the label of each series: the number of its class, int64, see `classes`;
            or the number to predict, float32, where ``sequences.task`` is "regression".

    Attributes:
        sequences: the series.
        classes: names of the classes in order, ``[]`` without.

    Raises:
        ValueError: if labels are asked for and there are none.

    >>> data = TemporalJEPADataset(Sequences.from_arrays([[[1, 2, 3]], [[4, 5]]]))
    >>> data[1]
    tensor([[4., 5.]])
    >>> TemporalJEPADataset.collate([data[0], data[1]]).shape
    torch.Size([2, 3, 1])
    """

    def __init__(self, sequences: Any, labels: bool = False):
        if not isinstance(sequences, Sequences):
            sequences = Sequences.from_arrays(sequences)
        self.sequences: Sequences = sequences
        self.classes: list[str] = []
        self._numbers: Tensor | None = None
        if labels:
            self._numbers = self._label_numbers()

    def _label_numbers(self) -> Tensor:
        """The labels as numbers ``(n,)``."""
        if self.sequences.task == "regression":
            return torch.from_numpy(self.sequences.targets()).float()
        if self.sequences.labels is None:
            raise ValueError(
                f"{self.sequences.source}: there are no labels; name their column with label=COL "
                "of read, pass y to Sequences.from_arrays, or leave out labels=True"
            )
        names, numbers = np.unique(self.sequences.labels, return_inverse=True)
        self.classes = [as_text(name) for name in names]
        return torch.from_numpy(numbers.reshape(-1).astype(np.int64))

    def __len__(self) -> int:
        return len(self.sequences)

    def __getitem__(self, index: int) -> Item:
        """A series, alone or with its label.

        Args:
            index: of the series; a negative one counts from the end.

        Returns:
            ``(channels, time_i)``: float32, float64 where float32 would lose how it varies; NaN
            where a value is missing, bytes of video as 0..1. With labels, the pair of it and a
            tensor of one number.

        Raises:
            IndexError: for an index that is too large.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"expected an index below {len(self)}, got {index}")
        row = index % len(self)
        # a copy: the arrays of a store cannot be written to
        x = torch.from_numpy(self.sequences.batch([row])[0].T.copy())
        return x if self._numbers is None else (x, self._numbers[row])

    @staticmethod
    def collate(items: Sequence[Item]) -> Item:
        """Items of any lengths as a batch for `TemporalJEPA`: ``collate_fn`` of a DataLoader.

        Args:
            items: tensors ``(channels, time_i)``, or pairs of one and its label.

        Returns:
            ``(batch, longest, channels)``, NaN after the end of a short series; with labels, the
            pair of it and the labels ``(batch,)``.
        """
        series = [x if isinstance(x, Tensor) else x[0] for x in items]
        batch = torch.nn.utils.rnn.pad_sequence(
            [x.T for x in series], batch_first=True, padding_value=torch.nan
        )
        labels = [x[1] for x in items if not isinstance(x, Tensor)]
        return (batch, torch.stack(labels)) if labels else batch
