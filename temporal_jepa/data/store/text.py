"""Text tables in parts: each is a range of bytes that holds whole series."""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...config import ReadOptions
from ..formats import delimited
from ..formats.headers import find_head
from ..formats.registry import kind_of, read_table
from ..formats.textfiles import open_text
from ..sequences import Sequences
from ..tables.build import prepared
from ..tables.iso_dates import iso_instants
from ..tables.numbers import missing_texts
from ..tables.roles import Roles, roles
from ..tables.series import from_rows

if TYPE_CHECKING:
    import pandas as pd

HEAD = 2**20  # bytes from which everything about the columns is inferred
UNIT = 2**23  # bytes of a part
LONGEST = 2**30  # bytes of text that one series may take
CLOSE = 2.0**-48  # a fast parser is right up to this relative error
ENCODINGS = ("utf-8", "utf-8-sig", "ascii", "cp1252", "latin-1")


class NotInPartsError(ValueError):
    """A table that is understood only as a whole."""


class ScatteredError(ValueError):
    """Rows of one series stand in several places."""


@dataclass(frozen=True)
class TextPlan:
    """How a text table is read in parts, decided from its head.

    Attributes:
        path: the file.
        options: how to read it.
        encoding: of the text.
        prefix: the bytes above the first row.
        separator: between fields.
        names: of the columns.
        columns: the part of each column.
        kinds: of each column, "number", "text" or "instant".
        fast: whether pandas' parser reads the head as `read` does.
        notes: on the head.
        where: positions of the columns of ids.
    """

    path: Path
    options: ReadOptions
    encoding: str
    prefix: bytes
    separator: str
    names: tuple[str, ...]
    columns: Roles
    kinds: tuple[str, ...]
    fast: bool
    notes: tuple[str, ...]
    where: tuple[int, ...]


def plan_text(path: Path, options: ReadOptions) -> TextPlan:
    """Decide from the head of a file how all of it is read.

    Raises:
        NotInPartsError: for a table that can be read only as a whole, with the reason.
        ValueError: as `read`.
    """
    notes: list[str] = []
    kind = kind_of(path, options, notes)
    if path.suffix.lower() != kind:
        raise NotInPartsError("it is compressed, or named otherwise than it is written")
    file = open_text(path, options)
    if file.encoding.lower().replace("_", "-") not in ENCODINGS:
        raise NotInPartsError(f"it is written in {file.encoding}")
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    head = head[: head.rfind(b"\n") + 1]
    if not head or b"\r" in head.replace(b"\r\n", b""):
        raise NotInPartsError("its lines do not end with line feeds")
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder) / f"{path.stem}{kind}"
        sample.write_bytes(head)
        pinned = replace(options, encoding=file.encoding)
        separator, line, names = _layout_of(sample, pinned)
        table = read_table(sample, pinned)
    notes += [*file.notes, *table.notes]
    frame, own = prepared(table.frame.copy(), table.options, notes)
    if list(frame.columns) != list(names):
        raise NotInPartsError("its columns are split or joined")
    found = roles(frame, own, notes)
    _check_layout(found, frame, own)
    prefix = b"".join(head.splitlines(keepends=True)[: line - 1])
    plan = TextPlan(
        path,
        own,
        file.encoding,
        prefix,
        separator,
        names,
        found,
        tuple(_kinds(frame, found)),
        True,
        tuple(notes),
        tuple(names.index(name) for name in found.ids),
    )
    return replace(plan, fast=_agree(plan, head[len(prefix) :]))


def _layout_of(sample: Path, options: ReadOptions) -> tuple[str, int, tuple[str, ...]]:
    """The separator, the line of the first row (from 1) and the names of the columns."""
    file = open_text(sample, options)
    lines, whole = delimited._sample(file)
    separator, start = delimited._separator(lines, options)
    records, comment = delimited._records(lines, separator, start, whole)
    records = delimited._with_header(records, lines, separator, options.header)
    records, end = delimited._without_line_ends(records)
    head = find_head(records, comment, options.header, separator)
    if end or head.levels:
        raise NotInPartsError(
            "its lines end with a mark, or its header has several lines"
        )
    names = [str(k) for k in range(head.width)]
    if head.names is not None:
        names = delimited._checked_names(head.names)
    return separator, head.first.line, tuple(names)


def _check_layout(found: Roles, frame: pd.DataFrame, options: ReadOptions) -> None:
    """NotInPartsError unless the rows of each series can be read without the others."""
    if found.layout not in ("wide", "long"):
        raise NotInPartsError(f"its layout is {found.layout}")
    if found.channel is not None:
        raise NotInPartsError("its rows are channels")
    if found.layout == "long" and not found.ids:
        raise NotInPartsError("it is one series")
    time = found.time
    if time is None:
        return
    texts = [name for name in time.names if frame[name].dtype.kind not in "iufM"]
    is_iso = all(
        iso_instants(_long(frame[name].astype(str))) is not None for name in texts
    )
    if texts and not is_iso and options.date_order is None:
        raise NotInPartsError(
            "its dates are not written as 2024-01-31, so that the order of day and month comes "
            "from all of them; choose --date-order"
        )


def _long(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column repeated until it is long enough for `iso_instants`."""
    import pandas as pd

    texts = column.tolist()
    return pd.Series(texts * (20_000 // len(texts) + 1))


def _kinds(frame: pd.DataFrame, found: Roles) -> Iterator[str]:
    """What each column is parsed as."""
    values = set(found.values)
    for name in frame.columns:
        kind = frame[name].dtype.kind
        if kind == "M":
            yield "instant"
        elif name in values or (name in found.times and kind in "if"):
            yield "whole" if name in found.times and kind == "i" else "number"
        elif name in found.times:
            yield "instant"
        elif kind == "f" and name in (*found.ids, found.label):
            yield "other"
        else:
            yield "text"


def _agree(plan: TextPlan, rows: bytes) -> bool:
    """Whether the fast parser gives the series of `read` for the first rows."""
    if "other" in plan.kinds or len(plan.separator) != 1 or plan.separator == " ":
        return False
    try:
        slow = _slowly(plan, rows, last=False)
        fast = _fast(plan, rows)
    except ValueError:
        return False
    return fast is not None and same_series(fast, slow)


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
    return all(x.dtype == y.dtype and x.tobytes() == y.tobytes() for x, y in pairs)


def _or_none(labels: Any) -> Any:
    return np.empty(0) if labels is None else labels


def read_rows(plan: TextPlan, start: int, stop: int, last: bool) -> Sequences:
    """The series in the bytes `start` to `stop` of a file."""
    with plan.path.open("rb") as file:
        file.seek(start)
        rows = file.read(stop - start)
    if len(rows) < stop - start:
        raise ValueError(f"{plan.path} became shorter while it was read")
    try:
        found = _fast(plan, rows) if plan.fast and not last else None
        return found or _slowly(plan, rows, last)
    except ValueError as error:
        message = str(error).removeprefix(f"{plan.path}: ")
        raise ValueError(
            f"{plan.path}: in the bytes {start} to {stop} of the file: {message}"
        ) from error


def _slowly(plan: TextPlan, rows: bytes, last: bool) -> Sequences:
    """The series of some rows, as `read` reads a file of them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"rows{plan.path.suffix.lower()}"
        file.write_bytes(plan.prefix + rows)
        options = replace(plan.options, encoding=plan.encoding)
        frame, own, notes = read_table(file, options)
    frame, own = prepared(frame, own, [])
    if tuple(frame.columns) != plan.names:
        raise ValueError(f"expected the columns {plan.names}, got {(*frame.columns,)}")
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
) -> Sequences:
    return from_rows(frame, plan.columns, options, str(plan.path), notes)


def _fast(plan: TextPlan, rows: bytes) -> Sequences | None:
    """The series of some rows by pandas' parser; None where it may read them otherwise."""
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
    precise = "number" in [
        kind
        for name, kind in zip(plan.names, plan.kinds, strict=True)
        if name in plan.columns.times
    ]
    frame = None if precise else _parsed(plan, rows, "high")
    if frame is None or not _is_exact(frame, plan):
        frame = _parsed(plan, rows, "round_trip")
        precise = True
    if frame is None or len(frame) != lines or not _with_instants(frame, plan):
        return None
    found = _series(plan, frame, plan.options, [])
    if not precise and "float64" in found.dtypes:
        frame = _parsed(plan, rows, "round_trip")
        if frame is None or not _with_instants(frame, plan):
            return None
        found = _series(plan, frame, plan.options, [])
    return found


def _is_simply_quoted(rows: bytes, mark: bytes) -> bool:
    """Whether each quotation mark begins or ends a field, and none stands within one."""
    begins = rows.count(mark + b'"') + rows.count(b'\n"') + rows.startswith(b'"')
    ends = rows.count(b'"' + mark) + rows.count(b'"\n') + rows.count(b'"\r')
    ends += rows.endswith(b'"')
    return begins == ends and begins + ends == rows.count(b'"')


def _is_plain(rows: bytes, mark: bytes) -> bool:
    """Whether there are no comments, empty lines or spaces around fields."""
    odd = [
        b"\x00",
        b"\n#",
        b"\n%",
        b"\n/",
        b"\n\n",
        b"\n\r",
        b" \n",
        b" \r",
        b" " + mark,
    ]
    return rows[:1] not in b"#%/\r\n" and not any(text in rows for text in odd)


def _parsed(plan: TextPlan, rows: bytes, precision: Any) -> pd.DataFrame | None:
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
        return pd.read_csv(
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
        instants = iso_instants(column if count > 20_000 else _long(column))
        if instants is None:
            return False
        frame[name] = instants[:count]
    return True


def cuts(plan: TextPlan, begin: int) -> Iterator[tuple[int, int, bool]]:
    """Ranges of bytes from `begin` on that hold whole series, and whether each is the last.

    Raises:
        ValueError: for a series of more than `LONGEST` bytes.
    """
    size = os.stat(plan.path).st_size
    with plan.path.open("rb") as file:
        while begin < size:
            length = UNIT
            while True:
                file.seek(begin)
                block = file.read(length)
                if begin + len(block) >= size:
                    yield begin, size, True
                    return
                stop = _last_cut(plan, block)
                if stop:
                    break
                length *= 2
                if length > LONGEST:
                    raise ValueError(
                        f"{plan.path}: the series at byte {begin} takes more than {LONGEST} bytes "
                        "of text; expected series that fit into memory each: cut it, with an id "
                        "for each part"
                    )
            yield begin, begin + stop, False
            begin += stop


def _last_cut(plan: TextPlan, block: bytes) -> int:
    """Where the last whole series of a block ends, 0 if none does."""
    end = block.rfind(b"\n") + 1
    while end and block.count(b'"', 0, end) % 2:  # within quotation marks
        end = block.rfind(b"\n", 0, end - 1) + 1
    if not end or not plan.where:
        return end
    start = block.rfind(b"\n", 0, end - 1) + 1
    own = key_of(plan, block[start:end])
    while start:
        before = block.rfind(b"\n", 0, start - 1) + 1
        if key_of(plan, block[before:start]) != own:
            return start
        start = before
    return 0


def key_of(plan: TextPlan, line: bytes) -> tuple[bytes, ...]:
    """The fields that name the series of a line."""
    mark = plan.separator.encode()
    if b'"' in line:
        text = line.decode(plan.encoding, errors="replace")
        cells = next(iter(csv.reader([text], delimiter=plan.separator)), [])
        fields = [cell.encode() for cell in cells]
    else:
        fields = line.split(mark, max(plan.where) + 1)
    return tuple(fields[k].strip() for k in plan.where if k < len(fields))
