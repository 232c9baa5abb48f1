"""Tables in parts: text by ranges of bytes, Parquet by ranges of rows."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from ...config import ReadOptions
from ..reader import checked
from .columnar import ParquetTable, parquet_parts
from .part import NotInPartsError, Part, in_order
from .rows import RowReader, read_rows, with_parser
from .scattered import scattered
from .text import TextPlan, cuts, plan_text
from .unpacked import PlainText

TEXT = (".csv", ".tsv", ".txt")
PARQUET = (".parquet", ".pq")


def text_table(
    text: PlainText,
    source: Path,
    options: ReadOptions,
    jobs: int,
    folder: Path,
    state: dict[str, Any],
) -> Generator[Part]:
    """A text table by ranges of bytes.

    Args:
        text: the bytes.
        source: the file or folder that the user named.
        options: how it is read, for what is refused.
        jobs: processes that parse.
        folder: for rows that are sorted by series.
        state: "next" and "sorted", see `parts_of`.

    Raises:
        NotInPartsError: for a table that can be read only as a whole.
    """
    plan = plan_text(text, source)
    if not state["sorted"]:
        yield from _in_file_order(plan, options, jobs, state["next"])
    elif plan.columns.layout == "wide":
        raise NotInPartsError("ids of rows repeat, and are numbered")
    else:
        yield from _by_series(plan, options, folder, state["next"])


def _in_file_order(
    plan: TextPlan, options: ReadOptions, jobs: int, begin: Any
) -> Generator[Part]:
    """Ranges of bytes, parsed in `jobs` processes."""
    size = plan.path.stat().st_size
    position, count = begin or (len(plan.prefix), 0)
    ranges = cuts(plan, position)
    reader = with_parser(plan)
    layout = plan.columns.layout
    for (_, stop, last), rows in in_order(read_rows, _with(reader, ranges), jobs):
        found, owners = rows
        if found is not None:
            if layout == "wide" and not plan.columns.ids:
                ids = [str(k) for k in range(count, count + len(found))]
                found = replace(found, ids=ids)
            if position == len(plan.prefix):
                found = replace(found, notes=(*plan.notes, *found.notes))
            count += len(found)
            found = checked(found, options)
        position = stop
        yield Part(
            found,
            (stop, count),
            stop,
            size,
            owners=tuple(owners) if plan.columns.ids else (),
            piece=piece_of(layout, last),
        )


def piece_of(layout: str, last: bool) -> Literal["", "open", "last"]:
    """What `Part.piece` is for some rows of a table."""
    if layout != "recording":
        return ""
    return "last" if last else "open"


def _by_series(
    plan: TextPlan, options: ReadOptions, folder: Path, begin: Any
) -> Generator[Part]:
    """A text table of which the rows of a series stand in several places."""
    for found, count, total in scattered(with_parser(plan), folder, begin):
        notes = plan.notes if begin is None else ()
        begin = count
        found = replace(found, notes=(*notes, *found.notes))
        yield Part(checked(found, options), count, count, total)


def _with(
    reader: RowReader, ranges: Iterator[tuple[int, int, bool]]
) -> Iterator[tuple[Any, ...]]:
    for start, stop, last in ranges:
        yield reader, start, stop, last


def parquet_table(
    table: ParquetTable, options: ReadOptions, begin: Any
) -> Generator[Part]:
    """A table in Parquet files by ranges of rows.

    Raises:
        NotInPartsError: if a range is not understood by itself.
    """
    count = begin[1] if begin else 0
    for rows, row, total, unique, layout in parquet_parts(table, options, begin):
        found = rows.series
        if found is not None:
            count += len(found)
            found = checked(found, options)
        yield Part(
            found,
            (row, count),
            row,
            total,
            owners=tuple(rows.owners) if unique else (),
            piece=piece_of(layout, row == total),
        )
