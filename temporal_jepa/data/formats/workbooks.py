"""Sheets of a workbook (.xlsx) to a table, through the rules of text tables."""

from __future__ import annotations

import csv
import datetime
import re
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ...config import ReadOptions
from ...files.printable import printable
from ..sequences import listed
from ..tables.build import Table
from ..tables.readings import AmbiguousError, Reading
from .delimited import read_delimited
from .libraries import (
    LARGE,
    RATIO,
    TooLargeError,
    check_size,
    needs,
    readable,
    size,
)

if TYPE_CHECKING:
    import pandas as pd


BLOCK = 2**20  # bytes
CELL = 100  # bytes of Python's objects for a cell, about
CHARACTERS = 20  # of XML for a cell, at least
MOST_COLUMNS = 16_384  # of a sheet
PLACE = re.compile(rb'\br="([A-Z]{0,3})([0-9]{1,7})"')  # of a cell or a row
SPARSE = 5 * 10**7  # places up to the last cell, which may all be empty


def read_workbook(path: Path, options: ReadOptions) -> Table:
    """A sheet of a workbook as a table. Its header, title lines and units are found as in text.

    `options.table` names the sheet; without it, the only one that holds numbers is taken.

    Raises:
        AmbiguousError: several sheets hold numbers.
        ModuleNotFoundError: without openpyxl.
        ValueError: for a damaged file, one without numbers, and an unknown sheet.
    """
    needs("openpyxl", "excel", "reading .xlsx")
    import pandas as pd

    doubt = "is it cut short, or protected by a password?"
    with readable(path, "workbook", doubt=doubt):
        _check_archive(path)
    with readable(path, "workbook", ValueError, doubt=doubt):
        sheets = pd.read_excel(path, sheet_name=None, header=None, engine="openpyxl")
    name, notes = _choose(sheets, options.table)
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder) / "sheet.csv"
        _write(sheets[name], text)
        frame, own, more = read_delimited(text, replace(options, table=None))
    return Table(frame, own, [*notes, *more])


def _check_archive(path: Path) -> None:
    """ValueError for a workbook that would fill the memory: before anything is parsed.

    Its parts must not be far larger than the file, must declare no document type or entities, and
    its sheets must not be a vast empty area with a cell at its end.
    """
    with zipfile.ZipFile(path) as archive:
        parts = [part for part in archive.infolist() if not part.is_dir()]
        packed = max(path.stat().st_size, 1)
        unpacked = sum(part.file_size for part in parts)
        if unpacked > max(LARGE // 4, RATIO * packed):
            raise TooLargeError(
                f"unpacks to {size(unpacked)}, over {RATIO} times its size; save the sheet as .csv "
                "if that is right"
            )
        check_size(unpacked * CELL // CHARACTERS, path, "save the sheet as .csv")
        for part in parts:
            if part.filename.lower().endswith((".xml", ".rels")):
                with archive.open(part) as stream:
                    _check_part(stream, part.filename)


def _check_part(stream: IO[bytes], name: str) -> None:
    """ValueError for a part with a document type, or a sheet that is nearly all empty."""
    rows = columns = cells = 0
    rest = b""
    while block := stream.read(BLOCK):
        text = rest + block.replace(b"\0", b"")  # UTF-16 as if it were UTF-8
        forbidden = re.search(rb"<!(DOCTYPE|ENTITY)", text, re.IGNORECASE)
        if forbidden:
            raise ValueError(
                f"{printable(name)} contains {forbidden[0].decode()}, which no workbook needs, and "
                "entities can exhaust the memory; save it anew in a spreadsheet"
            )
        for column, row in PLACE.findall(text):
            cells += 1
            rows = max(rows, int(row))
            columns = max(columns, len(column))
        rest = text[-100:]
    area = rows * min(26**columns, MOST_COLUMNS)
    if area > max(SPARSE, 1000 * cells):
        raise TooLargeError(
            f"{printable(name)} has a cell in row {rows:,} and few others; delete the empty rows "
            "and columns, or save the sheet as .csv"
        )


def _choose(
    sheets: dict[str, pd.DataFrame], chosen: str | None
) -> tuple[str, list[str]]:
    """The sheet to read, and a note where others are left out."""
    if chosen is not None:
        if chosen not in sheets:
            raise ValueError(
                f"table={chosen!r}: expected a sheet of the workbook, got {listed(sheets)}"
            )
        return chosen, []
    full = _full(sheets)
    if not full:
        raise ValueError(f"no sheet holds a table of numbers, got {listed(sheets)}")
    if len(full) > 1:
        readings = [_reading(name, sheets[name]) for name in full]
        raise AmbiguousError("several sheets hold numbers", readings)
    (name,) = full
    others = [other for other in sheets if other != name]
    note = f"sheet {name!r} is the only one with numbers; left out: {listed(others)}"
    return name, [note] if others else []


def _full(sheets: dict[str, pd.DataFrame]) -> list[str]:
    """The sheets that hold numbers, else those that may hold them as text."""
    full = [name for name, sheet in sheets.items() if _holds_numbers(sheet)]
    return full or [name for name, sheet in sheets.items() if min(sheet.shape) > 1]


def _reading(name: str, sheet: pd.DataFrame) -> Reading:
    """A sheet as one of several that could be read."""
    rows = sheet.dropna(how="all").head(4).astype(object).fillna("").values.tolist()
    return Reading(f"a sheet of {len(sheet)} rows", {"table": name}, (), rows)


def _holds_numbers(sheet: pd.DataFrame) -> bool:
    """Whether a sheet has at least two cells of numbers below each other."""
    for name in sheet.columns:
        numbers = [
            isinstance(cell, (int, float)) and cell == cell for cell in sheet[name]
        ]
        if sum(numbers) > 1:
            return True
    return False


def _write(sheet: pd.DataFrame, path: Path) -> None:
    """The cells of a sheet as text, without empty columns. Rows keep their numbers."""
    filled = sheet.notna()
    has_begun = filled.any(axis=1).cummax()
    sheet = sheet.loc[has_begun, filled.any(axis=0)]
    columns = [_texts(sheet[name].tolist()) for name in sheet.columns]
    with path.open("w", newline="", encoding="utf-8") as file:
        file.write("\n" * int((~has_begun).sum()))
        csv.writer(file).writerows(zip(*columns, strict=True))


def _texts(cells: list[Any]) -> list[str]:
    """The cells of a column as text: dates in one ISO format, whole numbers without a point."""
    dates = [cell for cell in cells if isinstance(cell, datetime.datetime)]
    spec = "seconds"
    if any(date.microsecond for date in dates):
        spec = "microseconds"
    elif all(date.time() == datetime.time() for date in dates):
        spec = "days"
    return [_text(cell, spec) for cell in cells]


def _text(cell: Any, spec: str) -> str:
    """A cell as text; `spec` is the last part of dates."""
    if cell is None or cell != cell:
        return ""
    if isinstance(cell, datetime.datetime):
        return str(cell.date()) if spec == "days" else cell.isoformat(" ", spec)
    is_whole = isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53
    return str(int(cell) if is_whole else cell)
