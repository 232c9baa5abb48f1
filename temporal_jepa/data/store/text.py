"""Text tables in parts: each is a range of bytes that holds whole series."""

from __future__ import annotations

import contextlib
import csv
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config import ReadOptions
from ..formats import delimited
from ..formats.headers import find_head
from ..formats.registry import read_table
from ..formats.textfiles import open_text
from ..tables.build import prepared
from ..tables.iso_dates import iso_instants
from ..tables.roles import Roles, roles
from ..tables.tracks import with_values
from .part import NotInPartsError
from .unpacked import HEAD, PlainText

if TYPE_CHECKING:
    import pandas as pd

UNIT = 2**23  # bytes of a part
TAIL = 2**16  # bytes at the end that are read as `read` does, for they may hold totals
LONGEST = 2**30  # bytes of text that one series may take


@dataclass(frozen=True)
class TextPlan:
    """How a text table is read in parts, decided from its head.

    Attributes:
        path: the file with the bytes.
        source: the file that the user named, which messages name.
        options: how to read it.
        encoding: of the text.
        prefix: the bytes above the first row.
        head: the bytes of the first rows.
        separator: between fields.
        names: of the columns.
        columns: the part of each column.
        kinds: of each column, "number", "text" or "instant".
        notes: on the head.
        where: positions of the columns of ids.
        empty: columns that were left out because the head has no value of them.
    """

    path: Path
    source: Path
    options: ReadOptions
    encoding: str
    prefix: bytes
    head: bytes
    separator: str
    names: tuple[str, ...]
    columns: Roles
    kinds: tuple[str, ...]
    notes: tuple[str, ...]
    where: tuple[int, ...]
    empty: tuple[str, ...]


def plan_text(text: PlainText, source: Path) -> TextPlan:
    """Decide from the head of a text how all of it is read.

    Args:
        text: the text.
        source: the file that the user named, which messages name.

    Raises:
        NotInPartsError: for a table that can be read only as a whole, with the reason.
        ValueError: as `read`.
    """
    path, options, _ = text
    notes = [*text.notes]
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    head = head[: _last_line_end(head) or head.rfind(b"\n") + 1]
    if not head:
        raise NotInPartsError("its lines do not end with line feeds")
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder) / path.name
        sample.write_bytes(head)
        with unlocated(sample):
            separator, line, names = _layout_of(sample, options)
            table = read_table(sample, options)
    notes += table.notes
    frame, own = prepared(table.frame.copy(), table.options, notes)
    if list(frame.columns) != list(names):
        raise NotInPartsError("its columns are split or joined")
    found = roles(frame, own, notes)
    found = in_parts(found, frame, own)
    prefix = b"".join(head.splitlines(keepends=True)[: line - 1])
    return TextPlan(
        path,
        source,
        own,
        options.encoding or "utf-8",
        prefix,
        head[len(prefix) :],
        separator,
        names,
        found,
        tuple(_kinds(frame, found)),
        tuple(notes),
        tuple(names.index(name) for name in found.ids),
        empty_columns(frame, found, own),
    )


def empty_columns(
    frame: pd.DataFrame, found: Roles, options: ReadOptions
) -> tuple[str, ...]:
    """The columns that were left out because they have no value in the first rows."""
    if options.values is not None:
        return ()
    rest = [name for name in frame.columns if name not in found.used]
    return tuple(name for name in rest if frame[name].isna().all())


def check_empty(frame: pd.DataFrame, empty: tuple[str, ...]) -> None:
    """ValueError for numbers in a column that had none in the first rows."""
    for name in empty:
        column = frame[name]
        if column.dtype.kind in "iufb" and column.notna().any():
            raise ValueError(
                f"column {name!r} has no value in the first rows, by which the channels are "
                f"chosen, and {column.dropna().iloc[0]} here; name all channels with values= "
                "(--values), with or without it"
            )


@contextlib.contextmanager
def unlocated(file: Path) -> Iterator[None]:
    """Take the name of a temporary file off the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        error.args = (str(error).removeprefix(f"{file}: "), *error.args[1:])
        raise


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


def in_parts(found: Roles, frame: pd.DataFrame, options: ReadOptions) -> Roles:
    """The part of each column where the rows of a series can be read without the others.

    The rows of one recording are read some at a time too.

    Raises:
        NotInPartsError: for a table that is understood only as a whole.
    """
    if found.layout == "scene":
        raise NotInPartsError("a scene shows all tracks together")
    if found.channel is not None:
        raise NotInPartsError("its rows are channels")
    if found.layout == "tracks":
        _check_tracks(found, options)
        found = with_values(frame, found, options)
    if found.layout == "recording" and options.duplicates is not None:
        raise NotInPartsError("rows at one time are merged")
    _check_dates(found, frame, options)
    return found


def _check_tracks(found: Roles, options: ReadOptions) -> None:
    """NotInPartsError for what is known only of all fixes together."""
    if not found.ids:
        raise NotInPartsError("it is one track")
    if options.step is not None and options.gap is None:
        raise NotInPartsError(
            "the gap that splits tracks comes from the fixes of all of them; choose --gap"
        )


def _check_dates(found: Roles, frame: pd.DataFrame, options: ReadOptions) -> None:
    """NotInPartsError unless times mean the same in all rows."""
    time = found.time
    if time is None:
        return
    if time.kind == "clock" and found.layout == "recording":
        raise NotInPartsError(
            "clock times without a date go on after midnight by the rows before them"
        )
    texts = [name for name in time.names if frame[name].dtype.kind not in "iufM"]
    is_iso = all(
        iso_instants(repeated(frame[name].astype(str))) is not None for name in texts
    )
    if texts and not is_iso and options.date_order is None:
        raise NotInPartsError(
            "its dates are not written as 2024-01-31, so that the order of day and month comes "
            "from all of them; choose --date-order"
        )


def repeated(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column repeated until it is long enough for `iso_instants`."""
    import pandas as pd

    texts = column.tolist()
    return pd.Series(texts * (20_000 // len(texts) + 1))


def _kinds(frame: pd.DataFrame, found: Roles) -> Iterator[str]:
    """What each column is parsed as."""
    values = {*found.values, *(found.places[:2] if found.places else ())}
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
                if len(block) < min(length, size - begin):
                    raise ValueError(f"{plan.source} became shorter while it was read")
                if begin + len(block) >= size:
                    stop = _last_cut(plan, block[:-TAIL])
                    if stop:
                        yield begin, begin + stop, False
                    yield begin + stop, size, True
                    return
                stop = _last_cut(plan, block)
                if stop:
                    break
                length *= 2
                if length > LONGEST:
                    raise ValueError(
                        f"{plan.source}: the series at byte {begin} takes more than {LONGEST} "
                        "bytes of text; expected series that fit into memory each: cut it, with "
                        "an id for each part"
                    )
            yield begin, begin + stop, False
            begin += stop


def _last_line_end(block: bytes) -> int:
    """Behind the last line feed that is not within quotation marks, 0 if there is none."""
    end = block.rfind(b"\n") + 1
    marks = block.count(b'"', 0, end)
    while end and marks % 2:
        before = block.rfind(b"\n", 0, end - 1) + 1
        marks -= block.count(b'"', before, end)
        end = before
    return end


def _last_cut(plan: TextPlan, block: bytes) -> int:
    """Where the last whole series of a block ends, 0 if none does."""
    end = _last_line_end(block)
    if not end or not plan.where:
        return end
    own = None
    start = end
    while start:
        before = block.rfind(b"\n", 0, start - 1) + 1
        line = block[before:start]
        if line.strip(b" \r\n"):  # an empty line belongs to the series around it
            key = key_of(plan, line)
            if own is not None and key != own:
                return start
            own = key
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
