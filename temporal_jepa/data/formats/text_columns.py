"""Columns of a text table in bounded memory: numbers as long as they are plainly written."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..sequences import Array
from ..tables.iso_dates import iso_instants
from ..tables.numbers import MARKS, Writing, parse, plain


@dataclass
class _Growing:
    """An array to which values are added; it grows in place, so that none is held twice."""

    array: Array
    size: int = 0

    def add(self, values: Array) -> None:
        """Append values; whole numbers become float64 at the first that is not whole."""
        if values.dtype.kind == "f" and self.array.dtype.kind == "i":
            self.array = self.array.astype(np.float64)
        end = self.size + len(values)
        if end > len(self.array):
            self.array.resize(max(end, len(self.array) * 5 // 4), refcheck=False)
        self.array[self.size : end] = values
        self.size = end

    def finished(self) -> Array:
        """The values, without the room for more."""
        self.array.resize(self.size, refcheck=False)
        return self.array


@dataclass
class TextColumn:
    """The values of a column so far: numbers until one is not plainly written, then texts."""

    exact: bool
    missing: frozenset[str]
    is_text: bool = False
    lost: bool = False
    numbers: _Growing | None = None
    texts: list[Any] = field(default_factory=list)
    codes: dict[str, int] | None = field(default_factory=dict)
    mark: str = ""
    writing: Writing = field(default_factory=Writing)

    def add(self, texts: Sequence[str]) -> None:
        """Take more values."""
        if not self.is_text:
            values = self._plain(texts)
            if values is not None:
                self.numbers = self.numbers or _Growing(np.empty(0, values.dtype))
                self.numbers.add(values)
                return
            self.is_text = True
            self.lost = self.numbers is not None  # how they were written
            self.numbers = None
        if not self.lost:
            self._add_texts([text.strip() for text in texts])

    def _plain(self, texts: Sequence[str]) -> Array | None:
        """The texts as numbers, None unless all are plain with one decimal mark."""
        joined = "".join(texts)
        marks = {mark for mark in MARKS if mark in joined}
        if len(marks | {self.mark} - {""}) > 1:
            return None
        mark = next(iter(marks), self.mark)
        if mark == ",":
            texts = [text.replace(",", ".") for text in texts]
        values = plain(texts, self.missing, self.exact)
        if values is not None:
            self.mark = mark
            self.writing.add(texts)
        return values

    @property
    def open(self) -> bool:
        """Whether the decimal mark of numbers that were read can separate thousands."""
        return bool(self.mark) and not self.is_text and not self.writing.proven

    @property
    def has_commas(self) -> bool:
        """Whether some of the first values have a decimal comma."""
        if not self.is_text:
            return self.mark == "," and not self.open
        first: Iterable[str] = self.codes or itertools.chain.from_iterable(
            self.texts[:1]
        )
        some = list(itertools.islice(first, 99))
        return any(
            parse(text, ",") is not None and parse(text, ".") is None for text in some
        )

    def _add_texts(self, texts: list[str]) -> None:
        codes = self.codes
        if codes is None:
            self.texts.append(_as_series(texts))
            return
        coded = (codes.setdefault(text, len(codes)) for text in texts)
        self.numbers = self.numbers or _Growing(np.empty(0, np.int32))
        self.numbers.add(np.fromiter(coded, np.int32, len(texts)))
        if len(codes) > max(1000, self.numbers.size // 4):  # few repeat
            every = np.array(list(codes), dtype=object)
            self.texts = [_as_series(every[self.numbers.finished()].tolist())]
            self.numbers = None
            self.codes = None

    def values(self, categories: bool) -> Any:
        """All values as an array or Series; the column is empty afterwards.

        categories: whether texts that repeat become a categorical.
        """
        import pandas as pd

        if self.codes is None:
            texts, self.texts = self.texts, []
            column = pd.concat(texts, ignore_index=True)
            del texts
            instants = None if self.exact else iso_instants(column)
            return column if instants is None else instants
        assert self.numbers is not None
        numbers = self.numbers.finished()
        self.numbers = None
        if not self.is_text:
            return numbers
        names: Any = list(self.codes)
        if categories:
            return pd.Categorical.from_codes(numbers, names)
        return _as_series([names[code] for code in numbers])


def _as_series(texts: list[str]) -> Any:
    import pandas as pd

    return pd.Series(texts)
