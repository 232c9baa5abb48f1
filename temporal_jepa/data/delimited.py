"""Delimited text to a pandas frame; each inference becomes a note."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import ReadOptions
from .textfiles import read_text

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas", "|": "bars"}
MISSING = {"", "nan", "na", "n/a", "null", "none", "?"}
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
DATE = re.compile(r"\d[-/.:T]\d")
HEAD = (
    20  # lines from which the separator, the header and the decimal comma are inferred
)
IDS = re.compile(
    r"(.*[_\s.-])?[iI][dD]|ID|.*[a-z]I[dD]"
    r"|(?i:tid|series|track|trajectory|sample|case|item|subject|session)"
)
TIMES = (
    "time",
    "timestamp",
    "datetime",
    "date",
    "ds",
    "t",
    "frame",
    "step",
    "timestep",
    "time_idx",
    "index",
)
LABELS = ("label", "class", "target", "y", "labels", "classes", "category")
COLUMN_OPTIONS = (
    "layout",
    "id",
    "time",
    "label",
    "values",
)  # of `ReadOptions`, for tables


def read_delimited(
    path: Path, options: ReadOptions
) -> tuple[pd.DataFrame, ReadOptions, list[str]]:
    """A .csv, .tsv or .txt file as a frame.

    Columns without a header line are named "0", "1", .... A .tsv or .txt file without a header is
    a file of the UCR archive: the label, then the values of one series.

    Returns:
        The frame, the options with the roles that the absence of a header decides, and notes.

    Raises:
        ValueError: for an empty or binary file, rows of unequal length, columns of the same name.
    """
    import pandas as pd

    text, notes = read_text(path, options)
    sep, text = _separator(text)
    head = _checked_head(text, sep)
    has_header = _has_header(head[0], head[1:])
    names = [str(k) for k in range(len(head[0]))]
    if has_header:
        names = _names_in_header(head, notes)
    comma = "" if sep == "," else _decimal_comma(head[1:])
    notes += _dialect_note(path, sep, comma, len(names))
    # As numbers, the ids 01 and 1 would be one; so would two ids of more digits than a float has.
    is_id = re.compile(re.escape(options.id)) if options.id else IDS
    ids = [name for name in names if is_id.fullmatch(name)]
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            sep=sep,
            names=names,
            header=0 if has_header else None,
            dtype=dict.fromkeys(ids, str),
            decimal="," if comma else ".",
            na_values=["?"],
            skipinitialspace=True,
            low_memory=False,
        )
    except ValueError as error:  # pandas.errors.ParserError
        raise ValueError(
            f"not read: {error}; is a quotation mark left open?"
        ) from error
    frame[ids] = frame[ids].apply(lambda column: column.str.strip())
    if not has_header:
        last = len(names) - 1
        notes.append(
            f"no header line: columns are numbered 0 to {last} (label=0: the first)"
        )
        options = _roles_without_header(path, frame, head[0], options, notes)
    return frame, options, notes


def is_recording(rows: int, columns: int) -> bool:
    """Whether a table without names is tall and narrow: rows are time, not one series each."""
    return columns <= 16 and rows >= 64 * columns


def _separator(text: str) -> tuple[str, str]:
    """The separator of a text, and the text, in which one space is left where spaces separate."""
    lines = list(itertools.islice(filter(str.strip, io.StringIO(text)), HEAD))
    for sep in SEPARATORS:
        counts = {line.count(sep) for line in lines}
        if len(counts) == 1 and counts != {0}:
            return sep, text
    for (
        sep
    ) in SEPARATORS:  # rows of unequal length, or separators within quotation marks
        if sep in lines[0]:
            return sep, text
    if all(len(line.split()) > 1 for line in lines):
        return " ", "\n".join(" ".join(line.split()) for line in text.splitlines())
    return ",", text


def _checked_head(text: str, sep: str) -> list[list[str]]:
    """The cells of the first lines; ValueError for a line with another number of cells."""
    head: list[list[str]] = []
    reader = csv.reader(io.StringIO(text), delimiter=sep, skipinitialspace=True)
    try:
        for cells in reader:
            if not any(cells) and len(cells) < 2:  # a blank line
                continue
            if head and len(cells) != len(head[0]):
                raise ValueError(
                    f"expected {len(head[0])} fields as in the first row, got "
                    f"{len(cells)} in line {reader.line_num}; write a missing value as an empty "
                    "field, and check that the file is not cut short"
                )
            if len(head) < HEAD:
                head.append([cell.strip() for cell in cells])
    except csv.Error as error:
        raise ValueError(
            f"not read: {error}, line {reader.line_num}; is a quotation mark left open?"
        ) from error
    return head


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return cell.lower() in MISSING
    return True


def _counts_up(cells: list[str]) -> bool:
    """Whether cells are consecutive whole numbers: 0, 1, 2, ... or 1, 2, 3, ...."""
    if not cells or not all(cell.isdigit() for cell in cells):
        return False
    start = int(cells[0])
    return [int(cell) for cell in cells] == list(range(start, start + len(cells)))


def _has_header(cells: list[str], below: list[list[str]]) -> bool:
    """Whether a first line names the columns.

    Two or more words are names. Numbers are data, also beside one label or date, unless they count
    up. Beside a word that no column is usually called, a short count from 1 is data: up,1,2,3.
    """
    if not cells[0]:  # the index that pandas writes has no name
        cells = cells[1:]
    words = [cell for cell in cells if not _is_number(cell)]
    numbers = list(filter(_is_number, cells))
    if len(words) > 1 or not numbers:
        return bool(words)
    if not _counts_up(numbers):
        return False
    if not words:
        return len(numbers) > 2 or numbers in (["0", "1"], ["1", "2"])
    repeated = any(words[0] in row for row in below)
    return not repeated and _names_rows(words[0], numbers)


def _names_rows(word: str, numbers: list[str]) -> bool:
    """Whether a word beside numbers that count up is the name of a column."""
    if DATE.search(word):
        return False
    usual = word.lower() in (*LABELS, *TIMES) or IDS.fullmatch(word) is not None
    return usual or numbers[0] == "0" or len(numbers) > 5


def _names_in_header(head: list[list[str]], notes: list[str]) -> list[str]:
    """The names of the columns; ValueError where two are equal, or where no data follows."""
    names = head[0]
    if len(head) == 1:
        raise ValueError("the file holds a header line and no data")
    repeated = [name for name, count in Counter(names).items() if name and count > 1]
    if repeated:
        raise ValueError(
            f"several columns have the same name: {', '.join(repeated)}; rename them in the header "
            "line (channels of a wide table: x_0, x_1, ..., y_0, y_1, ...)"
        )
    if _counts_up(names[1:]):
        notes.append("the first line counts up: taken as the header")
    return [name or f"Unnamed: {k}" for k, name in enumerate(names)]


def _decimal_comma(rows: list[list[str]]) -> str:
    """The first number with a decimal comma; "" if there is none, or if others have a point."""
    cells = list(itertools.chain.from_iterable(rows))
    if any("." in cell and _is_number(cell) for cell in cells):
        return ""
    return next(filter(DECIMAL_COMMA.fullmatch, cells), "")


def _dialect_note(
    path: Path,
    sep: str,
    comma: str,
    width: int,
) -> list[str]:
    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    if sep == usual or width == 1:
        return []
    note = f"columns are separated by {SEPARATORS.get(sep, 'spaces')}"
    if comma:
        note += f", decimals are commas: {comma} is {float(comma.replace(',', '.')):g}"
    return [note]


def _roles_without_header(
    path: Path,
    frame: pd.DataFrame,
    first: list[str],
    options: ReadOptions,
    notes: list[str],
) -> ReadOptions:
    """The label of a table without a header: its one column of text, or the first of a UCR file."""
    if options.layout not in (None, "wide") or options.id or options.time:
        return options
    texts = [
        k for k, cell in enumerate(first) if not (_is_number(cell) or DATE.search(cell))
    ]
    if options.label is None and len(texts) == 1 and len(first) > 2:
        column = texts[0]
        notes.append(
            f"column {column} is the only one of text: taken as the label "
            f"(id={column} if it names the series)"
        )
        return replace(options, label=str(column))
    if path.suffix.lower() == ".csv" or options.given("layout", "values"):
        return options
    return _ucr_roles(frame, options, notes)


def _ucr_roles(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> ReadOptions:
    """The label and the values of a file of the UCR archive; ValueError for a table of times."""
    if is_recording(*frame.shape):
        raise ValueError(
            "expected the UCR layout (a label, then the values of one series), got "
            f"{len(frame)} rows of {frame.shape[1]} numbers; choose layout=recording (rows are "
            "time), tracks (rows are fixes) or scene, or name columns by number: id=1, time=0"
        )
    if options.label is None:
        options = replace(options, label="0")
        notes.append(
            "UCR layout: the first column is the label, the others are one series"
        )
    return replace(options, layout="wide")
