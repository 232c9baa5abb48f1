"""Parquet files in parts: each is a range of rows that holds whole series."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...config import ReadOptions
from ..formats.arrow import TOO_LARGE, frame_from_arrow
from ..formats.libraries import check_size, needs, readable
from ..sequences import listed, located
from ..tables.build import prepared
from ..tables.roles import Roles, roles
from .part import NotInPartsError
from .rows import Rows, rows_of
from .text import LONGEST, check_empty, empty_columns, in_parts

if TYPE_CHECKING:
    import pandas as pd

ROWS = 2**17  # that are read at once


@dataclass(frozen=True)
class ParquetTable:
    """One table in Parquet files, whose rows follow each other.

    Attributes:
        source: the file or folder, for messages.
        files: the files in order.
        keys: for each file, columns that its place in the folder adds (year=2024).
    """

    source: Path
    files: tuple[Path, ...]
    keys: tuple[dict[str, str | None], ...]

    def row_counts(self) -> list[int]:
        """The number of rows of each file; ValueError for one that cannot be read."""
        counts = []
        for path in self.files:
            with _opened(path) as file:
                for k in range(file.metadata.num_row_groups):
                    size = file.metadata.row_group(k).total_byte_size
                    check_size(size, path, TOO_LARGE)
                counts.append(int(file.metadata.num_rows))
        return counts

    def frames(self, start: int, counts: list[int]) -> Iterator[pd.DataFrame]:
        """The rows from `start` on, some at a time."""
        names: list[str] | None = None
        for path, keys, count in zip(self.files, self.keys, counts, strict=True):
            if start >= count:
                start -= count
                continue
            for frame in _frames(path, start):
                names = names or [str(name) for name in frame.columns]
                yield _in_order(frame, names, path).assign(**keys)
            start = 0


class ParquetPart(NamedTuple):
    """Some rows of a table.

    Attributes:
        rows: their series.
        row: the row behind them.
        total: the number of all rows.
        unique: whether rows name their series, so that a series in two parts is a fault.
        layout: of the table.
    """

    rows: Rows
    row: int
    total: int
    unique: bool
    layout: str


def parquet_parts(
    table: ParquetTable, options: ReadOptions, begin: Any
) -> Generator[ParquetPart]:
    """The series of a table, some at a time.

    The columns are understood from the first rows, and held to for all of them.

    Args:
        table: the files.
        options: how to read them.
        begin: the row where a part begins and the number of series before it; None for the first.

    Raises:
        NotInPartsError: for a table that can be read only as a whole, with the reason.
        ValueError: as `read`, and for a series that takes more than 1 GiB.
    """
    needs("pyarrow", "parquet", "reading .parquet")
    counts = table.row_counts()
    total = sum(counts)
    notes: list[str] = []
    head = next(table.frames(0, counts), None)
    if head is None:
        raise NotInPartsError("it has no rows")
    frame, own = prepared(head, options, notes)
    found = in_parts(roles(frame, own, notes), frame, own)
    row, count = begin or (0, 0)
    empty = empty_columns(frame, found, own)
    frames = _prepared(table, row, counts, options, tuple(frame.columns), empty)
    for part in _whole_series(frames, found, table.source):
        size = len(part)
        rows = rows_of(part, found, own, table.source, [])
        if rows.series is not None:
            series = rows.series
            if found.layout == "wide" and not found.ids:
                ids = [str(k) for k in range(count, count + len(series))]
                series = replace(series, ids=ids)
            if row == 0:
                series = replace(series, notes=(*notes, *series.notes))
            count += len(series)
            rows = Rows(series, rows.owners)
        row += size
        yield ParquetPart(rows, row, total, bool(found.ids), found.layout)


def _prepared(
    table: ParquetTable,
    start: int,
    counts: list[int],
    options: ReadOptions,
    names: tuple[Any, ...],
    empty: tuple[str, ...],
) -> Iterator[pd.DataFrame]:
    """The rows from `start` on, with the columns of the first rows.

    Raises:
        ValueError: for other columns, and for numbers in one of those that were `empty`.
    """
    for rows in table.frames(start, counts):
        frame, _ = prepared(rows, options, [])
        if tuple(frame.columns) != names:
            raise ValueError(
                f"{table.source}: expected the columns {listed(names)} from row {start} on too, "
                f"got {listed(frame.columns)}"
            )
        with located(table.source):
            check_empty(frame, empty)
        start += len(rows)
        yield frame


def _opened(path: Path) -> Any:
    """A file, whose `metadata` is read."""
    import pyarrow.parquet

    with located(path), readable(path, "Parquet file", ValueError):
        return pyarrow.parquet.ParquetFile(path)


def _in_order(frame: pd.DataFrame, names: list[str], path: Path) -> pd.DataFrame:
    """A frame with the columns of the first one, in their order."""
    own = [str(name) for name in frame.columns]
    if own == names:
        return frame
    if sorted(own) != sorted(names):
        raise ValueError(
            f"{path}: expected the columns of the first part ({listed(names)}), got {listed(own)}"
        )
    return frame.iloc[:, [own.index(name) for name in names]]


def _frames(path: Path, start: int) -> Iterator[pd.DataFrame]:
    """The rows of a file from `start` on; groups of rows before it are not read."""
    import pyarrow as pa

    with _opened(path) as file:
        first = 0
        metadata = file.metadata
        sizes = [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
        while first < len(sizes) and start >= sizes[first]:
            start -= sizes[first]
            first += 1
        groups = [*range(first, len(sizes))]
        if not groups:
            return
        batches = file.iter_batches(ROWS, row_groups=groups)
        while True:
            with located(path), readable(path, "Parquet file", ValueError):
                batch = next(batches, None)
                if batch is None:
                    return
                batch.validate(full=True)
            skipped = min(start, batch.num_rows)
            start -= skipped
            if skipped < batch.num_rows:
                yield frame_from_arrow(pa.Table.from_batches([batch.slice(skipped)]))


def _whole_series(
    frames: Iterator[pd.DataFrame], found: Roles, path: Path
) -> Iterator[pd.DataFrame]:
    """Rows cut where another series begins; rows of wide tables and recordings as they come."""
    import pandas as pd

    if not found.ids or found.layout == "wide":
        yield from frames
        return
    rest: pd.DataFrame | None = None
    for frame in frames:
        rows = frame if rest is None else pd.concat([rest, frame], ignore_index=True)
        keys = rows[list(found.ids)].astype(str).to_numpy()
        begins = (keys[1:] != keys[:-1]).any(axis=1).nonzero()[0] + 1
        cut = int(begins[-1]) if len(begins) else 0
        if cut:
            yield rows.iloc[:cut].reset_index(drop=True)
        rest = rows.iloc[cut:].reset_index(drop=True)
        if rest.memory_usage(index=False).sum() > LONGEST:
            raise ValueError(
                f"{path}: a series takes more than {LONGEST} bytes; expected series that fit into "
                "memory each: cut it, with an id for each part"
            )
    if rest is not None:
        yield rest
