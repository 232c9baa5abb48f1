"""Parquet files in parts: each is a range of rows that holds whole series."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config import ReadOptions
from ..formats.arrow import TOO_LARGE, frame_from_arrow
from ..formats.libraries import check_size, needs, readable
from ..sequences import Sequences
from ..tables.build import prepared
from ..tables.roles import Roles, roles
from ..tables.series import from_rows
from .text import LONGEST, NotInPartsError, check_layout

if TYPE_CHECKING:
    import pandas as pd

ROWS = 2**17  # that are read at once


def parquet_parts(
    path: Path, options: ReadOptions, begin: Any
) -> Generator[tuple[Sequences, int, int, bool]]:
    """The series of a Parquet file, some at a time.

    The columns are understood from the first rows, and held to for all of them.

    Args:
        path: the file.
        options: how to read it.
        begin: the row where a part begins and the number of series before it; None for the first.

    Yields:
        Series; the row behind them; the number of rows; whether rows name their series.

    Raises:
        NotInPartsError: for a table that can be read only as a whole, with the reason.
        ValueError: as `read`, and for a series that takes more than 1 GiB.
    """
    needs("pyarrow", "parquet", "reading .parquet")
    import pyarrow.parquet

    with readable(path, "Parquet file", ValueError):
        file = pyarrow.parquet.ParquetFile(path)
    with file:
        for k in range(file.metadata.num_row_groups):
            check_size(file.metadata.row_group(k).total_byte_size, path, TOO_LARGE)
        notes: list[str] = []
        head = next(_frames(file, path, 0), None)
        if head is None:
            raise NotInPartsError("it has no rows")
        frame, own = prepared(head, options, notes)
        found = roles(frame, own, notes)
        check_layout(found, frame, own)
        row, count = begin or (0, 0)
        frames = _prepared(file, path, row, options, tuple(frame.columns))
        for part in _whole_series(frames, found, path):
            series = from_rows(part, found, own, str(path), [])
            if found.layout == "wide" and not found.ids:
                ids = [str(k) for k in range(count, count + len(series))]
                series = replace(series, ids=ids)
            if row == 0:
                series = replace(series, notes=(*notes, *series.notes))
            row += len(part)
            count += len(series)
            yield series, row, file.metadata.num_rows, bool(found.ids)


def _prepared(
    file: Any, path: Path, start: int, options: ReadOptions, names: tuple[Any, ...]
) -> Iterator[pd.DataFrame]:
    """The rows from `start` on, with the columns of the first rows."""
    for rows in _frames(file, path, start):
        frame, _ = prepared(rows, options, [])
        if tuple(frame.columns) != names:
            raise ValueError(
                f"{path}: expected the columns {names} from row {start} on too, got "
                f"{(*frame.columns,)}"
            )
        start += len(rows)
        yield frame


def _frames(file: Any, path: Path, start: int) -> Iterator[pd.DataFrame]:
    """The rows from `start` on as frames; groups of rows before it are not read."""
    import pyarrow as pa

    first = 0
    sizes = [
        file.metadata.row_group(k).num_rows for k in range(file.metadata.num_row_groups)
    ]
    while first < len(sizes) and start >= sizes[first]:
        start -= sizes[first]
        first += 1
    groups = [*range(first, len(sizes))]
    if not groups:
        return
    batches = file.iter_batches(ROWS, row_groups=groups)
    while True:
        with readable(path, "Parquet file", ValueError):
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
    """Rows cut where another series begins; every row is a series in a wide table."""
    import pandas as pd

    if found.layout == "wide":
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
