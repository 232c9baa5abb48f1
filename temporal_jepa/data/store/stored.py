"""Arrays and texts of a store, read by number."""

from __future__ import annotations

import numpy as np

from ..lazy import Array, Ints, LazyArrays, LazyList
from .flat import Flat


class StoredArrays(LazyArrays):
    """Arrays one after the other in a stream of bytes.

    Args:
        stream: the values.
        lengths: timesteps of each array.
        starts: the byte at which each begins, and the end, ``(n + 1,)``; None if they all have
            one number of bytes for each timestep.
        shape: of a timestep.
        dtypes: the types that occur; the bytes of an array say which of them it has.
        digest: identifies the values.
    """

    def __init__(
        self,
        stream: Flat,
        lengths: Ints,
        starts: Flat,
        shape: tuple[int, ...],
        dtypes: frozenset[str],
        digest: str,
    ):
        super().__init__(len(lengths))
        self.stream = stream
        self.lengths = lengths
        self.starts = starts
        self.shape = shape
        self.dtypes = dtypes
        self.digest = digest
        self._width = int(np.prod(shape, dtype=np.int64))
        self._by_size = {np.dtype(name).itemsize: np.dtype(name) for name in dtypes}

    def span(self, i: int, start: int, stop: int) -> Array:
        """The timesteps `start` to `stop` of array `i`.

        Raises:
            ValueError: when the bytes of the array do not fit its timesteps, or values of the
                store are infinite, or missing where it was made without missing ones: they were
                changed.
        """
        length = int(self.lengths[i])
        begin, end = self.starts.read(8 * i, np.int64, (2,)).tolist()
        size, rest = divmod(end - begin, max(length * self._width, 1))
        dtype = self._by_size.get(size)
        if dtype is None or rest:
            raise self.starts.damage(
                8 * i,
                f"series {i} has {length} timesteps and {end - begin} bytes, which do not fit",
            )
        start, stop, _ = slice(start, stop).indices(length)
        begin += start * self._width * size
        found = self.stream.read(begin, dtype, (max(stop - start, 0), *self.shape))
        if self.facts is not None and dtype.kind == "f":
            wrong = self._wrong(found, is_whole=stop - start == length)
            if wrong:
                raise self.stream.damage(begin, f"series {i} has {wrong}")
        return found

    def _wrong(self, x: Array, is_whole: bool) -> str:
        """What values have that no store was made with, "" if nothing.

        Args:
            x: of one series.
            is_whole: whether these are all of its timesteps.
        """
        assert self.facts is not None
        with np.errstate(all="ignore"):
            if np.isfinite(x.sum()):
                return ""
        if np.isinf(x).any():
            return "infinite values"
        absent = np.isnan(x)
        if absent.any() and not self.facts["missing"]:
            return "missing values (NaN), and the store was made without any"
        return "no value (all NaN)" if is_whole and absent.all() else ""


class StoredTexts(LazyList):
    """Texts one after the other in a stream, and where each ends in another."""

    def __init__(self, length: int, stream: Flat, ends: Flat):
        super().__init__(length)
        self.stream = stream
        self.ends = ends

    def _entry(self, i: int) -> str:
        start, stop = 0, 0
        if i:
            start, stop = self.ends.read(8 * (i - 1), np.int64, (2,)).tolist()
        else:
            stop = int(self.ends.read(0, np.int64, (1,))[0])
        if stop < start:
            raise self.ends.damage(8 * i, f"text {i} ends before it begins")
        data = self.stream.read(start, np.uint8, (stop - start,)).tobytes()
        return data.decode(errors="replace")
