"""One table in part files, as Spark, Dask and hive write it."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from ..config import ReadOptions
from .folder_files import MARKS, check_files, visible
from .formats.registry import TABLES, kind_of, read_table
from .formats.textfiles import open_text
from .paths import natural_key, walk
from .sequences import Sequences, listed, located
from .tables.build import Table, from_table
from .tables.columns import plain
from .tables.names import says_id, says_part
from .tables.readings import AmbiguousError, Reading, likely

if TYPE_CHECKING:
    import pandas as pd

PART = re.compile(r"part[-_.]?\d+.*|\d+\.part|.*[-_.]part[-_.]?\d+\..*", re.IGNORECASE)
HIVE = re.compile(r"([^=]+)=([^=]*)")  # folders such as year=2024
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"
TEXT = (".csv", ".tsv", ".txt")
BLOCK = 2**22  # characters that are copied at once


def is_in_parts(folder: Path) -> bool:
    """Whether a folder holds one table in parts, by the names that Spark, Dask and hive write."""
    if any((folder / name).exists() for name in MARKS):
        return True
    inside = visible(folder)
    if not inside:
        return False
    if folder.suffix.lower() in TABLES:  # a folder named data.parquet
        return True
    if all(path.is_dir() for path in inside):
        return all(HIVE.fullmatch(path.name) for path in inside)
    return all(path.is_file() and PART.fullmatch(path.name) for path in inside)


def read_parts(folder: Path, options: ReadOptions) -> Sequences:
    """The parts of a table, in the order of their numbers, read like one file."""
    files = part_files(folder, options)
    kind = kind_of(files[0], options)
    if is_one_text(files, kind):
        with tempfile.TemporaryDirectory() as place:
            whole = Path(place) / f"parts{kind}"
            join_text(files, options, whole)
            table = read_table(whole, replace(options, encoding=None, table=None))
    else:
        table = _joined_frames(folder, files, options)
    notes = [*note_on_parts(files, options), *table.notes]
    return from_table(Table(table.frame, table.options, notes), str(folder))


def part_files(folder: Path, options: ReadOptions) -> list[Path]:
    """The parts of a table, in the order of their numbers, without empty ones."""
    found = (path for path in walk(folder) if path.name not in MARKS)
    files = sorted(found, key=natural_key)
    check_files(folder, files, options)
    return [file for file in files if file.stat().st_size] or files


def is_one_text(files: list[Path], kind: str) -> bool:
    """Whether parts are text that can be joined: their folders add no column."""
    return kind in TEXT and len({file.parent for file in files}) == 1


def note_on_parts(files: list[Path], options: ReadOptions) -> list[str]:
    """The note that files are parts of one table, where that was inferred."""
    if options.layout == "long":
        return []
    sentence = f"part files of one table: {len(files)}"
    return [likely(sentence, "layout='folder', one series a file")]


def join_text(files: list[Path], options: ReadOptions, whole: Path) -> None:
    """Write parts in text as one text in UTF-8, with the header that starts all of them once."""
    texts = []
    firsts = []
    for file in files:
        with located(file):
            text = open_text(file, options)
            with text.lines() as lines:
                firsts.append(lines.readline().removesuffix("\n"))
        texts.append(text)
    repeated = _repeat_a_header(firsts, options)
    with whole.open("w", encoding="utf-8") as out:
        for k, text in enumerate(texts):
            with text.lines() as lines:
                if k and repeated:
                    lines.readline()
                ends = True
                while block := lines.read(BLOCK):
                    out.write(block)
                    ends = block.endswith("\n")
                if not ends:
                    out.write("\n")


def keys_of(folder: Path, file: Path) -> dict[str, str | None]:
    """The columns that the hive folders of a part add (year=2024)."""
    parts = file.relative_to(folder).parts[:-1]
    found = [match for match in map(HIVE.fullmatch, parts) if match]
    return {match[1]: _hive_value(match[1], match[2]) for match in found}


def _repeat_a_header(lines: list[str], options: ReadOptions) -> bool:
    """Whether the first lines of all parts are one header.

    Raises:
        AmbiguousError: they are equal, and hold numbers.
    """
    if len(lines) < 2 or options.header == 0:
        return False
    cells = _cells(lines[0])
    if len({*lines}) > 1:
        is_name = says_part(cells[0]) or says_id(cells[0])
        if is_name and {_cells(line)[0] for line in lines} == {cells[0]}:
            raise ValueError(
                f"the first lines of {len(lines)} part files begin with {cells[0]!r} and differ; "
                "expected one header; join the files, or choose layout='folder'"
            )
        return False
    numbers = [cell for cell in cells if re.fullmatch(r"[+-]?\d+([.,]\d+)?", cell)]
    if not numbers or options.header is not None:
        return True
    raise AmbiguousError(
        f"{len(lines)} part files start with the same line",
        [
            Reading("it names the columns", {"header": 1}, cells),
            Reading("it is data", {"header": 0}, (), [cells]),
        ],
    )


def _cells(line: str) -> list[str]:
    """The fields of a line, without quotation marks."""
    return [cell.strip(" \"'") for cell in re.split(r"[,;\t|]", line)]


def _joined_frames(folder: Path, files: list[Path], options: ReadOptions) -> Table:
    """Parts as one frame, with the keys of hive folders as columns."""
    import pandas as pd

    tables = [read_table(file, options) for file in files]
    first = tables[0]
    frames = []
    for file, table in zip(files, tables, strict=True):
        frame = plain(table.frame)
        if sorted(map(str, frame.columns)) != sorted(map(str, first.frame.columns)):
            raise ValueError(
                f"{file}: expected the columns of the first part "
                f"({listed(first.frame.columns)}), got {listed(frame.columns)}"
            )
        frames.append(frame.assign(**keys_of(folder, file)))
    _check_kinds(frames, files)
    counted = all(isinstance(frame.index, pd.RangeIndex) for frame in frames)
    whole = pd.concat(frames, ignore_index=counted)
    return Table(whole, first.options, first.notes)


def _check_kinds(frames: list[pd.DataFrame], files: list[Path]) -> None:
    """ValueError when a column holds numbers in one part and text in another."""
    for name in frames[0].columns:
        kinds: dict[bool, Path] = {}
        for file, frame in zip(files, frames, strict=True):
            if not frame[name].isna().all():
                kinds.setdefault(frame[name].dtype.kind in "fiub", file)
        if len(kinds) > 1:
            raise ValueError(
                f"column {name!r} holds numbers in {kinds[True].name} and something else in "
                f"{kinds[False].name}"
            )


def _hive_value(key: str, value: str) -> str | None:
    """The value of a hive key as text; it is no measurement, so numbers keep their key."""
    value = unquote(value)
    if value == NO_VALUE:
        return None
    return f"{key}={value}" if re.fullmatch(r"[\d.]+", value) else value
