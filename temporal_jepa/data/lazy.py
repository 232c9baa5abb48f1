"""Lists of arrays and texts that are read one by one: nothing is held for each of them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Ints = npt.NDArray[np.int64]


class LazyList(Sequence[Any]):
    """A list whose entries are made when they are asked for, by number."""

    def __init__(self, length: int):
        self._length = length

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        """An entry by number, or a list of the entries of a slice."""
        if isinstance(index, slice):
            return [self._entry(i) for i in range(*index.indices(len(self)))]
        i = int(index)
        if not -len(self) <= i < len(self):
            raise IndexError(f"expected an index below {len(self)}, got {i}")
        return self._entry(i % len(self))

    def __iter__(self) -> Iterator[Any]:
        return map(self._entry, range(len(self)))

    def __eq__(self, other: object) -> bool:
        """Whether all entries are equal, as for lists; it reads them."""
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(
            bool(np.all(a == b)) for a, b in zip(self, other, strict=True)
        )

    __hash__ = None  # type: ignore[assignment]

    def _entry(self, i: int) -> Any:
        raise NotImplementedError


class LazyArrays(LazyList):
    """Arrays ``(time_i, ...)`` that are read one by one.

    Attributes:
        lengths: timesteps of each, ``(n,)``.
        dtypes: the types that occur among them.
        digest: text that identifies all values without reading them.
        facts: what is known of all of them without reading, None for a part.
    """

    lengths: Ints
    dtypes: frozenset[str]
    digest: str
    facts: dict[str, Any] | None = None

    def span(self, i: int, start: int, stop: int) -> Array:
        """The timesteps `start` to `stop` of array `i`; only these are read."""
        raise NotImplementedError

    def _entry(self, i: int) -> Array:
        return self.span(i, 0, int(self.lengths[i]))

    def pieces(self, rows: Ints, starts: Ints, stops: Ints) -> LazyArrays:
        """Spans of timesteps of some of these arrays."""
        return Pieces(self, rows, starts, stops)

    def mapped(
        self, function: Callable[[Array], Array], dtypes: frozenset[str], tag: str
    ) -> LazyArrays:
        """These arrays after a function that keeps the timesteps; `tag` says which, for digests."""
        return Mapped(self, function, dtypes, tag)


class HeldArrays(LazyArrays):
    """Arrays in memory that keep their types: `Sequences` takes them as they are."""

    def __init__(self, arrays: Sequence[Array]):
        super().__init__(len(arrays))
        self.arrays = arrays
        self.lengths = np.array([len(x) for x in arrays], np.int64)
        self.dtypes = frozenset(str(x.dtype) for x in arrays)
        self.digest = ""

    def span(self, i: int, start: int, stop: int) -> Array:
        """The timesteps `start` to `stop` of array `i`."""
        return self.arrays[i][start:stop]


class Pieces(LazyArrays):
    """Spans of timesteps of some arrays; rows, starts and stops are ``(n,)``."""

    def __init__(self, whole: LazyArrays, rows: Ints, starts: Ints, stops: Ints):
        super().__init__(len(rows))
        self.whole = whole
        self.rows = rows
        self.starts = starts
        self.lengths = stops - starts
        self.dtypes = whole.dtypes
        parts = (whole.digest.encode(), rows, starts, stops)
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part if isinstance(part, bytes) else part.tobytes())
        self.digest = digest.hexdigest()

    def span(self, i: int, start: int, stop: int) -> Array:
        """The timesteps `start` to `stop` of piece `i`."""
        start, stop, _ = slice(start, stop).indices(int(self.lengths[i]))
        first = int(self.starts[i])
        return self.whole.span(int(self.rows[i]), first + start, first + stop)


class Mapped(LazyArrays):
    """Arrays after a function of their timesteps."""

    def __init__(
        self,
        whole: LazyArrays,
        function: Callable[[Array], Array],
        dtypes: frozenset[str],
        tag: str,
    ):
        super().__init__(len(whole))
        self.whole = whole
        self.function = function
        self.lengths = whole.lengths
        self.dtypes = dtypes
        self.digest = hashlib.sha256(f"{whole.digest} {tag}".encode()).hexdigest()

    def span(self, i: int, start: int, stop: int) -> Array:
        """The timesteps `start` to `stop` of array `i`, mapped."""
        return self.function(self.whole.span(i, start, stop))


class ChosenTexts(LazyList):
    """Some of the texts of a list, each with "@START" where `starts` is given."""

    def __init__(self, whole: Sequence[str], rows: Ints, starts: Ints | None = None):
        super().__init__(len(rows))
        self.whole = whole
        self.rows = rows
        self.starts = starts

    def _entry(self, i: int) -> str:
        name = str(self.whole[int(self.rows[i])])
        return name if self.starts is None else f"{name}@{int(self.starts[i])}"
