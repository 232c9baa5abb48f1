"""The outcomes of reading: a note for what is likely, an error for what is ambiguous."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ROWS = 4  # of the table that shows a reading
COLUMNS = 6
WIDTH = 24  # characters of a cell


@dataclass(frozen=True)
class Reading:
    """One way in which a file can be read.

    Args:
        sentence: what the reading is, such as "the day comes first".
        options: the fields of `ReadOptions` that choose it.
        header: names of the columns of a small table that shows it.
        rows: the cells of the first rows of that table.
    """

    sentence: str
    options: Mapping[str, Any]
    header: Sequence[Any] = field(default=())
    rows: Sequence[Sequence[Any]] = field(default=())

    def __str__(self) -> str:
        chosen = " ".join(f"{name}={value!r}" for name, value in self.options.items())
        lines = [f"  {chosen}    {self.sentence}"]
        if self.rows:
            table = (
                [self.header, *self.rows[:ROWS]] if self.header else self.rows[:ROWS]
            )
            lines += _aligned(table)
        return "\n".join(lines)


class AmbiguousError(ValueError):
    """A file has several plausible readings, and the options choose none.

    Args:
        question: what is open, such as "column 'date' can be read in two ways".
        readings: the readings; the message shows each with its options and first rows.
    """

    def __init__(self, question: str, readings: Sequence[Reading]) -> None:
        shown = "\n".join(map(str, readings))
        super().__init__(f"{question}; choose one:\n{shown}")
        self.readings = tuple(readings)

    def __reduce__(self) -> tuple[Any, ...]:
        """How it is sent from another process."""
        return _again, (self.args, self.readings)


def _again(args: tuple[Any, ...], readings: Sequence[Reading]) -> AmbiguousError:
    error = AmbiguousError("", readings)
    error.args = args
    return error


def likely(sentence: str, otherwise: str) -> str:
    """A note on a reading that was inferred, with what would change it.

    >>> likely("each row is a series", "layout='recording'")
    "each row is a series (otherwise: layout='recording')"
    """
    return f"{sentence} (otherwise: {otherwise})"


def _aligned(table: Sequence[Sequence[Any]]) -> list[str]:
    """The rows of a table as indented lines with aligned columns."""
    cells = [[_cell(value) for value in row[:COLUMNS]] for row in table]
    if any(len(row) > COLUMNS for row in table):
        cells = [[*row, "..."] for row in cells]
    columns = itertools.zip_longest(*cells, fillvalue="")
    widths = [max(map(len, column)) for column in columns]
    return ["      " + "  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]


def _cell(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
