"""The rows of a text table: by pandas' parser where it reads as `read` does, else by that."""

from __future__ import annotations

import csv
import io
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...config import ReadOptions
from ..formats.registry import read_table
from ..sequences import Sequences
from ..tables.build import prepared, series_of
from ..tables.iso_dates import iso_instants
from ..tables.numbers import missing_texts
from ..tables.roles import Roles
from ..tables.series import series_codes
from ..trajectories import OF_ALL_TRACKS, NoTrackError
from .runs import runs
from .text import TextPlan, check_empty, repeated, unlocated

if TYPE_CHECKING:
    import pandas as pd

CLOSE = 2.0**-48  # a fast parser is right up to this relative error


class Rows(NamedTuple):
    """What some rows of a table hold.

    Attributes:
        series: the series; None where all tracks have a single fix.
        owners: the names that the columns of ids give, each once; tracks may be split further.
    """

    series: Sequences | None
    owners: list[str]


@dataclass(frozen=True)
class RowReader:
    """How the rows of a table are read.

    Attributes:
        plan: what the columns are.
        fast: whether pandas' parser reads the first rows as `read` does.
        raw_time: whether the times are the numbers or instants as they are written.
    """

    plan: TextPlan
    fast: bool
    raw_time: bool


def with_parser(plan: TextPlan) -> RowReader:
    """Choose the fast parser if it gives the series of `read` for the first rows."""
    slow = RowReader(plan, False, False)
    if not _may_be_fast(plan):
        return slow
    try:
        expected = _slowly(plan, plan.head, last=False).series
    except ValueError:
        return slow
    for raw_time in (True, False):
        reader = RowReader(plan, True, raw_time)
        try:
            found = _fast(reader, plan.head)
        except ValueError:
            found = None
        if found and found.series and expected and same_series(found.series, expected):
            return reader
    return slow


def _may_be_fast(plan: TextPlan) -> bool:
    """Whether pandas' parser can read such a table."""
    if "other" in plan.kinds or len(plan.separator) != 1 or plan.separator == " ":
        return False
    return len(plan.names) > 1  # an empty line is no row


def same_series(a: Sequences, b: Sequences) -> bool:
    """Whether two sets of series are equal to the last bit, with their names, labels and times."""
    if list(a.ids) != list(b.ids) or a.channels != b.channels:
        return False
    if not np.array_equal(_or_none(a.labels), _or_none(b.labels)):
        return False
    pairs = [*zip(a.values, b.values, strict=True)]
    if (a.times is None) != (b.times is None):
        return False
    if a.times is not None and b.times is not None:
        pairs += [*zip(a.times, b.times, strict=True)]
    if a.places is not None and b.places is not None:
        pairs += [*zip(a.places, b.places, strict=True)]
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in pairs)


def _or_none(labels: Any) -> Any:
    return np.empty(0) if labels is None else labels


def read_rows(reader: RowReader, start: int, stop: int, last: bool) -> Rows:
    """The series in the bytes `start` to `stop` of a file."""
    plan = reader.plan
    with plan.path.open("rb") as file:
        file.seek(start)
        rows = file.read(stop - start)
    if len(rows) < stop - start:
        raise ValueError(f"{plan.source} became shorter while it was read")
    try:
        found = _fast(reader, rows) if reader.fast and not last else None
        return found or _slowly(plan, rows, last)
    except ValueError as error:
        message = str(error).removeprefix(f"{plan.source}: ")
        raise ValueError(
            f"{plan.source}: in the bytes {start} to {stop} of the file: {message}"
        ) from error


def _slowly(plan: TextPlan, rows: bytes, last: bool) -> Rows:
    """The series of some rows, as `read` reads a file of them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"rows{plan.path.suffix.lower()}"
        file.write_bytes(plan.prefix + rows)
        options = replace(plan.options, encoding=plan.encoding)
        with unlocated(file):
            frame, own, notes = read_table(file, options)
    frame, own = prepared(frame, own, [])
    if tuple(frame.columns) != plan.names:
        raise ValueError(f"expected the columns {plan.names}, got {(*frame.columns,)}")
    check_empty(frame, plan.empty)
    footers = [note for note in notes if note.startswith("footers")]
    if footers and not last:
        raise ValueError(
            f"rows that look like a total or a remark amid data: {footers[0]}"
        )
    left_out = [
        f"{note.partition(' in line')[0]}: left out"
        for note in notes
        if note.endswith(": left out")
    ]
    return _series(plan, frame, own, left_out)


def _series(
    plan: TextPlan, frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> Rows:
    return rows_of(frame, plan.columns, options, plan.source, notes)


def rows_of(
    frame: pd.DataFrame,
    columns: Roles,
    options: ReadOptions,
    source: Path,
    notes: list[str],
) -> Rows:
    """The series of some rows of a table, and the names of all series that they hold.

    Args:
        frame: the rows.
        columns: the part of each column, which the first rows of the table gave.
        options: how to read.
        source: the file.
        notes: what was inferred; more is added.
    """
    if columns.layout == "tracks":
        _, owners = series_codes(frame, columns.ids, "track")
        pinned = replace(options, values=columns.values)
        try:
            found = series_of(frame, columns, pinned, str(source), notes)
        except NoTrackError:
            return Rows(None, owners)
        kept = [note for note in found.notes if not OF_ALL_TRACKS.match(note)]
        return Rows(replace(found, notes=tuple(kept)), owners)
    exact = columns.layout == "recording"
    found = series_of(frame, columns, options, str(source), notes, exact=exact)
    return Rows(found, list(found.ids))


def _fast(reader: RowReader, rows: bytes) -> Rows | None:
    """The series of some rows by pandas' parser; None where it may read them otherwise."""
    plan = reader.plan
    bare = _bare(plan, rows)
    if bare is None:
        return None
    rows, lines = bare
    found = _nearly_right(reader, rows, lines)
    if found is not None:
        return Rows(found, list(found.ids))
    frame = _parsed(plan, rows, lines, "round_trip")
    return None if frame is None else _series(plan, frame, plan.options, [])


def _nearly_right(reader: RowReader, rows: bytes, lines: int) -> Sequences | None:
    """The series by the fastest parser; None where its last digit could matter."""
    plan = reader.plan
    kinds = dict(zip(plan.names, plan.kinds, strict=True))
    times_are_real = any(kinds[name] == "number" for name in plan.columns.times)
    if times_are_real or plan.columns.layout not in ("long", "wide"):
        return None
    frame = _parsed(plan, rows, lines, "high")
    if frame is None or not _is_exact(frame, plan):
        return None
    found = runs(plan, frame) if reader.raw_time else None
    found = found or _series(plan, frame, plan.options, []).series
    return None if found is None or "float64" in found.dtypes else found


def _bare(plan: TextPlan, rows: bytes) -> tuple[bytes, int] | None:
    """Rows without quotation marks, and their number; None for what only `read` understands."""
    mark = plan.separator.encode()
    if b'"' in rows:
        if not _is_simply_quoted(rows, mark):
            return None
        rows = rows.replace(b'"', b"")
    lines = rows.count(b"\n") + (not rows.endswith(b"\n"))
    marks = len(plan.names) - 1
    # Pandas refuses rows with too many fields, but for the first, and fills up short ones.
    first = rows.partition(b"\n")[0]
    if first.count(mark) != marks or rows.count(mark) != lines * marks:
        return None
    if not _is_plain(rows, mark):
        return None
    return rows, lines


def _is_simply_quoted(rows: bytes, mark: bytes) -> bool:
    """Whether each quotation mark begins or ends a field, and none stands within one."""
    begins = rows.count(mark + b'"') + rows.count(b'\n"') + rows.startswith(b'"')
    ends = rows.count(b'"' + mark) + rows.count(b'"\n') + rows.count(b'"\r')
    ends += rows.endswith(b'"')
    return begins == ends and begins + ends == rows.count(b'"')


def _is_plain(rows: bytes, mark: bytes) -> bool:
    """Whether there are no comments, no NUL and no spaces around fields.

    Looking for one byte is several times faster than for two.
    """
    if b"\x00" in rows or rows[:1] in b"#%/\r\n":
        return False
    if any(byte in rows and b"\n" + byte in rows for byte in (b"#", b"%", b"/")):
        return False
    spaces = (b" \n", b" \r", b" " + mark)
    return b" " not in rows or not any(text in rows for text in spaces)


def _parsed(
    plan: TextPlan, rows: bytes, lines: int, precision: Any
) -> pd.DataFrame | None:
    """The rows as a frame, None for a field that does not fit its column."""
    import pandas as pd

    types = {
        "number": "float64",
        "whole": "int64",
        "text": "category",
        "instant": "str",
    }
    dtypes: Any = {
        name: types[kind] for name, kind in zip(plan.names, plan.kinds, strict=True)
    }
    missing = missing_texts(plan.options)
    absent = {form(text) for text in missing for form in (str, str.lower, str.upper)}
    try:
        frame = pd.read_csv(
            io.BytesIO(rows),
            sep=plan.separator,
            header=None,
            names=list(plan.names),
            dtype=dtypes,
            index_col=False,
            engine="c",
            quoting=csv.QUOTE_NONE,
            skipinitialspace=True,
            keep_default_na=False,
            na_values=sorted(absent),
            float_precision=precision,
            encoding=plan.encoding.replace("utf-8-sig", "utf-8"),
        )
    except (ValueError, OverflowError):
        return None
    if any(frame[name].notna().any() for name in plan.empty):
        return None
    return frame if len(frame) == lines and _with_instants(frame, plan) else None


def _is_exact(frame: pd.DataFrame, plan: TextPlan) -> bool:
    """Whether numbers that are nearly right are right in float32."""
    for name in plan.columns.values:
        x = frame[name].to_numpy()
        with np.errstate(over="ignore", invalid="ignore"):
            low = (x * (1 - CLOSE)).astype(np.float32)
            high = (x * (1 + CLOSE)).astype(np.float32)
        differ = low != high
        if differ.any() and not np.isnan(x[differ]).all():
            return False
    return True


def _with_instants(frame: pd.DataFrame, plan: TextPlan) -> bool:
    """Whether dates are written as 2024-01-31 23:59:50, and then replaced by instants."""
    for name, kind in zip(plan.names, plan.kinds, strict=True):
        if kind != "instant":
            continue
        count = len(frame)
        column = frame[name]
        if column.isna().any():
            return False
        instants = iso_instants(column if count > 20_000 else repeated(column))
        if instants is None:
            return False
        frame[name] = instants[:count]
    return True
