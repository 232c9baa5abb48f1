"""Files of rows and columns: delimited text and Parquet to a pandas frame; every guess is noted."""

from __future__ import annotations

import csv
import importlib.util
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import ReadOptions

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {"\t": "tabs", ";": "semicolons", ",": "commas", "|": "bars"}
MISSING = {"", "nan", "na", "n/a", "null", "none", "?"}
DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
IDS = re.compile(
    r"(.*[_\s.-])?[iI][dD]|ID|.*[a-z]I[dD]|(?i:tid|series|track|trajectory|sample|case|item|subject|session)"
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
COLUMN_OPTIONS = ("layout", "id", "time", "label", "values")  # of `ReadOptions`, for tables


def read_text(path: Path) -> tuple[str, list[str]]:
    """The text of a file and notes on its encoding; ValueError when it is empty or binary."""
    raw = path.read_bytes()
    if not raw.strip():
        raise ValueError(f"{path}: the file is empty")
    if any(byte < 9 or 13 < byte < 27 for byte in raw[:4096]):
        raise ValueError(
            f"{path}: holds binary data, expected {path.suffix} text; does the extension fit the file?"
        )
    raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    try:
        return raw.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        note = f"line {line} is not UTF-8 (byte 0x{raw[error.start]:02x}): the text was read as Windows-1252"
        return raw.decode("cp1252", errors="replace"), [note]


def read_delimited(path: Path, options: ReadOptions) -> tuple[pd.DataFrame, ReadOptions, list[str]]:
    """A .csv, .tsv or .txt file as a frame; columns without a header line are named "0", "1", ....

    A .tsv or .txt without a header is a file of the UCR archive: the label first, then the values of one series.
    Raises ValueError for ragged rows, an empty file, binary data, two columns of one name.
    """
    import pandas as pd

    text, notes = read_text(path)
    lines = [line for line in text.splitlines() if line.strip()]
    sep = _separator(lines[:20])
    first = _fields(lines[0], sep)
    header = _has_header(first, [_fields(line, sep) for line in lines[1:20]])
    width = _check_rectangle(path, text, sep, header)
    comma = _decimal_comma(lines[1:20], sep) if sep != "," else ""
    if sep != ("\t" if path.suffix.lower() == ".tsv" else ",") and width > 1:
        decimals = (
            f", decimals are commas: {comma} is {float(comma.replace(',', '.')):g}" if comma else ""
        )
        notes.append(f"columns are separated by {SEPARATORS.get(sep, 'spaces')}{decimals}")
    if header:
        _check_header(path, first, len(lines), notes)
    how: dict[str, Any] = {"sep": sep, "header": 0 if header else None, "skipinitialspace": True}
    try:
        frame = pd.read_csv(
            io.StringIO(text),
            decimal="," if comma else ".",
            na_values=["?"],
            low_memory=False,
            **how,
        )
    except ValueError as error:  # pandas.errors.ParserError
        raise ValueError(f"{path}: not read: {error}; is a quotation mark left open?") from error
    frame.columns = pd.Index([str(name).strip() for name in frame.columns])
    _keep_id_texts(frame, text, options, how)
    if not header:
        notes.append(f"no header line: columns are numbered 0 to {width - 1}")
        options, frame = _without_header(path, frame, options, _texts_at(first), notes)
    return frame, options, notes


def _check_header(path: Path, names: list[str], lines: int, notes: list[str]) -> None:
    names = [name.strip() for name in names]
    if lines == 1:
        raise ValueError(f"{path}: the file holds a header line and no data")
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise ValueError(
            f"{path}: several columns have the same name: {', '.join(twice)}; rename them in the header "
            f"line (channels of a wide table: x_0, x_1, ..., y_0, y_1, ...)"
        )
    numbers, named = (
        sum(1 for name in names if name and _is_number(name) is is_number)
        for is_number in (True, False)
    )
    if numbers and named < 2:
        notes.append("the first line counts up: taken as the header")


def _keep_id_texts(
    frame: pd.DataFrame, text: str, options: ReadOptions, how: dict[str, Any]
) -> None:
    """Put back the text of ids that numbers would merge: 01 and 1, 1e3 and 1000, or more digits than a float has."""
    import pandas as pd

    names = [str(name) for name in frame.columns]
    wanted = [options.id] if options.id else [name for name in names if IDS.fullmatch(name)]
    for name in wanted:
        if name in names and frame[name].dtype.kind in "iuf":
            texts = (
                pd.read_csv(io.StringIO(text), usecols=[names.index(name)], dtype=str, **how)
                .iloc[:, 0]
                .str.strip()
            )
            if texts.str.fullmatch(r"[+-]?0\d+|\d+[eE]\d+|\d{16,}").any():
                frame[name] = texts


def _without_header(
    path: Path, frame: pd.DataFrame, options: ReadOptions, texts: list[int], notes: list[str]
) -> tuple[ReadOptions, pd.DataFrame]:
    """The label of a table without a header: its one column of text, or the first of a file of the UCR archive."""
    free = (
        options.label is None
        and options.layout in (None, "wide")
        and not options.id
        and not options.time
    )
    if len(texts) == 1 and free and frame.shape[1] > 2:
        notes.append(
            f"column {texts[0]} is the only one of text: taken as the label (id={texts[0]} if it names the series)"
        )
        return replace(options, label=str(texts[0])), frame
    if path.suffix.lower() in (".tsv", ".txt") and set(options.given(*COLUMN_OPTIONS)) <= {"label"}:
        return _ucr(path, frame, options, notes)
    if (
        options.label is None
        and frame.dtypes.iloc[0].kind in "iu"
        and 2 * frame["0"].nunique() <= len(frame)
    ):
        notes.append("column 0 holds few different whole numbers: label=0 if they are the labels")
    return options, frame


def read_parquet(path: Path) -> pd.DataFrame:
    """A Parquet file as a frame; ModuleNotFoundError without pyarrow, ValueError for a damaged file."""
    import pandas as pd

    if importlib.util.find_spec("pyarrow") is None:
        raise ModuleNotFoundError(
            "reading .parquet needs pyarrow: pip install 'temporal-jepa[parquet]'"
        )
    if not path.stat().st_size:
        raise ValueError(f"{path}: the file is empty")
    try:
        return pd.read_parquet(path, engine="pyarrow")
    except (ValueError, OSError) as error:  # pyarrow's own errors are subclasses of these
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{path}: not a readable Parquet file; is it cut short? ({reason})"
        ) from error


def is_recording(rows: int, columns: int) -> bool:
    """Whether a bare table is tall enough to be one recording, rows are time, and not one series a row."""
    return columns <= 16 and rows >= 64 * columns


def _ucr(
    path: Path, frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> tuple[ReadOptions, pd.DataFrame]:
    rows, width = frame.shape
    if is_recording(rows, width):
        raise ValueError(
            f"{path}: {rows} rows of {width} numbers is not the UCR layout (a label, then the values of one series); "
            f"for a table name its columns by number, such as id=1, time=0, or say layout=recording (rows are time), "
            "tracks (rows are fixes) or scene"
        )
    if options.label is None:
        frame = frame.rename(columns={frame.columns[0]: "label"})
        notes.append(
            "UCR layout: the first column is the label, the others are the values of one series"
        )
        return replace(options, layout="wide", label="label"), frame
    return replace(options, layout="wide"), frame


def _separator(lines: list[str]) -> str:
    for sep in SEPARATORS:  # the same number of them in every line
        if len({line.count(sep) for line in lines}) == 1 and sep in lines[0]:
            return sep
    for sep in SEPARATORS:
        if sep in lines[0] or all(sep in line for line in lines[1:] or lines):
            return sep
    return r"\s+" if all(len(line.split()) > 1 for line in lines) else ","


def _fields(line: str, sep: str) -> list[str]:
    return line.split() if sep == r"\s+" else next(csv.reader([line], delimiter=sep))


def _is_number(text: str) -> bool:
    try:
        float(text.strip().replace(",", "."))
    except ValueError:
        return text.strip().lower() in MISSING
    return True


def _texts_at(cells: list[str]) -> list[int]:
    """Where a line holds neither a number nor a date."""
    return [
        k
        for k, cell in enumerate(cells)
        if not _is_number(cell) and not re.search(r"\d[-/.:T]\d", cell)
    ]


def _has_header(cells: list[str], below: list[list[str]]) -> bool:
    """A first line of numbers is data, unless it counts (0, 1, 2, ...); one of its cells may be a label or a date.

    Beside a label that no column is usually called, or that names rows too, a short count from 1 is a series: up,1,2,3.
    """
    cells = [cell.strip() for cell in cells]
    names = [k for k, cell in enumerate(cells) if not _is_number(cell)]
    rest = [
        cell for k, cell in enumerate(cells) if k not in names and (k or cell)
    ]  # an index has no name
    if len(names) > 1 or not rest:
        return bool(names)
    whole = [int(cell) for cell in rest if cell.isdigit()]
    counts = len(whole) == len(rest) and whole == list(range(whole[0], whole[0] + len(whole)))
    if names and counts:
        name = cells[names[0]]
        usual = name.lower() in (*LABELS, *TIMES) or IDS.fullmatch(name) is not None
        again = any(len(row) > names[0] and row[names[0]].strip() == name for row in below)
        return (usual or whole[0] == 0 or len(whole) > 5) and not again and bool(_texts_at([name]))
    return counts and len(cells) > 1 and (whole[0] in (0, 1) or len(whole) > 2)


def _check_rectangle(path: Path, text: str, sep: str, header: bool) -> int:
    """The number of fields, the same in every line; ValueError naming the first line that differs."""
    lines = io.StringIO(text)
    reader = (line.split() for line in lines) if sep == r"\s+" else csv.reader(lines, delimiter=sep)
    width = 0
    number = 0
    for number, fields in enumerate(_rows(path, reader), 1):
        if not fields or (len(fields) == 1 and not fields[0].strip()):
            continue
        width = width or len(fields)
        if len(fields) != width:
            raise ValueError(
                f"{path}: expected {width} fields in every row as in the {'header' if header else 'first row'}, got "
                f"{len(fields)} in line {number}; write missing values and the ends of short series as empty fields "
                f"(or is the file cut short?)"
            )
    return width


def _rows(path: Path, reader: Iterable[list[str]]) -> Iterator[list[str]]:
    try:
        yield from reader
    except csv.Error as error:
        line = getattr(reader, "line_num", 1)
        raise ValueError(
            f"{path}: not read: {error}, line {line}; is a quotation mark left open?"
        ) from error


def _decimal_comma(lines: list[str], sep: str) -> str:
    """The first number with a decimal comma, "" when there is none or others have a decimal point."""
    cells = [cell.strip() for line in lines for cell in _fields(line, sep)]
    point = any("." in cell and _is_number(cell) for cell in cells)
    return next((cell for cell in cells if DECIMAL_COMMA.fullmatch(cell) and not point), "")
