"""Folders: one series a file, or one table in parts (Spark, Dask, hive)."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import numpy as np

from ..config import ReadOptions
from .formats.kinds import refuse
from .formats.registry import (
    FIXES,
    TABLES,
    kind_of,
    read_file,
    read_table,
)
from .formats.textfiles import read_text
from .paths import natural_key, walk
from .sequences import Sequences, listed, located
from .tables.build import Table, from_table, from_tables, joined, roles_of
from .tables.columns import plain
from .tables.names import TIME_PREFIXES, says_id, says_part
from .tables.readings import AmbiguousError, Reading, likely
from .tables.roles import Roles

if TYPE_CHECKING:
    import pandas as pd

PART = re.compile(r"part[-_.]?\d+.*|\d+\.part|.*[-_.]part[-_.]?\d+\..*", re.IGNORECASE)
HIVE = re.compile(r"([^=]+)=([^=]*)")  # folders such as year=2024
MARKS = ("_SUCCESS", "_metadata", "_common_metadata")  # files beside parts
LAYOUTS = ("folder", "long", "wide", "recording", "tracks", "scene")
SPLIT = re.compile(r".*_(train|test)", re.IGNORECASE | re.DOTALL)
OF_FOLDERS = (*TABLES, ".npy", ".edf", ".bdf")
NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def read_folder(folder: Path, options: ReadOptions) -> Sequences:
    """One series a file, all of one type; in a folder of folders the inner ones are the labels.

    Part files are one table, and so are all files with `layout` "long".

    Raises:
        AmbiguousError: files of rows with ids can be one table, or a series each.
        ValueError: the files are of several types, or have other columns than the first.
    """
    if options.layout not in (None, *LAYOUTS):
        raise ValueError(
            f"expected one of the layouts {', '.join(LAYOUTS)} for a folder, got "
            f"{options.layout!r}"
        )
    refuse(folder, folder.suffix.lower())
    may_be_parts = options.layout != "folder" and _is_in_parts(folder)
    if options.layout == "long" or may_be_parts:
        return _read_parts(folder, options)
    files = _visible(folder)
    labeled = bool(files) and all(map(Path.is_dir, files))
    if labeled:
        files = [file for inner in files for file in _visible(inner)]
    _check_files(folder, files, options)
    if options.layout == "scene":
        parts = _scenes(files, options)
    elif kind_of(files[0], options) not in TABLES:
        options = replace(options, layout="recording")
        parts = {file: read_file(file, options) for file in files}
    else:
        parts = _series_or_tracks(files, options, labeled)
    return _one_series_a_file(folder, parts, labeled, len(files))


def _one_series_a_file(
    folder: Path, parts: dict[Path, Sequences], labeled: bool, count: int
) -> Sequences:
    """The series of all files under their names, with the inner folders as labels if `labeled`."""
    named = {}
    for file, part in parts.items():
        if labeled:
            labels = np.full(len(part), file.parent.name.rpartition("=")[2])
            part = replace(part, labels=labels, task="classification")
        named[str(file.relative_to(folder))] = part
    found = joined(named, str(folder))
    first = next(iter(named))
    notes = [
        f"layout folder: {len(parts)} files, {len(found)} series; all read like {first}"
    ]
    if labeled:
        notes.append("labels are the names of the inner folders")
    if len(parts) < count:
        notes.append(f"{count - len(parts)} files of a single fix are left out")
    return replace(found, notes=(*notes, *found.notes))


def _visible(folder: Path) -> list[Path]:
    """The files and folders that are not hidden, without the marks that Spark and Dask leave."""
    found = (p for p in folder.iterdir() if not p.name.startswith("."))
    return sorted(path for path in found if path.name not in MARKS)


def _check_files(folder: Path, files: list[Path], options: ReadOptions) -> None:
    """ValueError unless the files are of one type that can hold a series each."""
    if (folder / "_delta_log").exists():
        raise ValueError(
            "a Delta table; pass deltalake.DeltaTable(PATH).to_pandas() to read"
        )
    splits = [file.name for file in files if SPLIT.fullmatch(file.stem)]
    if splits:
        raise ValueError(
            f"holds the splits {listed(splits)} of a set; name one of these files"
        )
    strays = []
    kinds = set()
    for file in files:
        kind = _known_kind(file, options)
        if kind in OF_FOLDERS:
            kinds.add(kind)
        else:
            strays.append(file.relative_to(folder))
    if strays or len(kinds) != 1:
        raise ValueError(
            f"expected files of one type with one series each ({' '.join(OF_FOLDERS)}), got "
            f"{listed(strays or sorted(kinds)) or 'none'}; move others away, or name one file"
        )


def _known_kind(path: Path, options: ReadOptions) -> str:
    """The kind of a file, "" for folders, pipes, devices, broken links and what is not read."""
    try:
        return kind_of(path, options) if path.is_file() else ""
    except ValueError:
        return ""


def _series_or_tracks(
    files: list[Path], options: ReadOptions, labeled: bool
) -> dict[Path, Sequences]:
    """Tracks from each file if the first holds some, else one series, or one of each id."""
    layout = options.layout if options.layout in ("tracks", "wide") else None
    if kind_of(files[0], options) in FIXES:
        layout = layout or "tracks"
    own = replace(options, layout=layout or "recording")
    tables = {str(file): read_table(file, own) for file in files}
    id = None
    if layout is None:
        layout, id = _layout_of(tables, options, labeled)
    return {Path(s): part for s, part in from_tables(tables, layout, id).items()}


def _layout_of(
    tables: dict[str, Table], options: ReadOptions, labeled: bool
) -> tuple[str, str | None]:
    """What each file of a folder is by the first, and the columns that tell its series apart.

    Raises:
        AmbiguousError: files of rows with ids can be one table, or a series each; or columns can
            be times or channels.
    """
    if options.layout == "recording":
        return "recording", None
    try:
        found = roles_of(next(iter(tables.values())))
    except AmbiguousError:
        if options.layout != "folder":
            raise
        return "recording", None
    if found.layout == "wide" and options.layout is None:
        _check_wide(tables, found)
        return "wide", None
    if found.layout == "tracks":
        return "tracks", None
    if options.id is not None:
        return "recording", None
    may_be_one = options.layout is None and not labeled
    return "recording", _id_within(tables, found, may_be_one)


def _id_within(tables: dict[str, Table], found: Roles, may_be_one: bool) -> str | None:
    """The columns that tell the series of each file apart, None for one series a file.

    Raises:
        AmbiguousError: files share ids, and `may_be_one` table.
    """
    id = ",".join(_sure_ids(next(iter(tables.values())), found)) or _shared_id(tables)
    if id is None:
        return None
    values = [_keys(table.frame, id.split(",")) for table in tables.values()]
    if may_be_one and sum(map(len, values)) > len(set.union(*values)):
        raise _one_table_or_many(tables, id)
    return id if max(map(len, values)) > 1 else None


def _sure_ids(table: Table, found: Roles) -> tuple[str, ...]:
    """The ids of a file: by name, or because its times repeat without them."""
    times = [name for name in found.times if name in table.frame]
    repeat = bool(times) and bool(table.frame.duplicated(times).any())
    is_sure = repeat or all(map(says_id, found.ids))
    return found.ids if is_sure else ()


def _check_wide(tables: dict[str, Table], found: Roles) -> None:
    """AmbiguousError unless names of times, or of rows, say that files hold a series in each row.

    A file of a folder is a recording at least as often, and V_1, V_2, ... its channels.
    """
    columns = [name for names in found.steps.values() for name in names]
    prefixes = {re.sub(r"[\s_.-]?\d+$", "", name).lower() for name in columns}
    if found.clock is not None or found.ids or prefixes <= TIME_PREFIXES:
        return
    rows = next(iter(tables.values())).frame[columns].head(3).values.tolist()
    raise AmbiguousError(
        f"{len(tables)} files with the numbered columns {listed(columns)}",
        [
            Reading(
                "each file is a recording, and its rows are timesteps",
                {"layout": "recording"},
                ["", *columns],
                [[f"time {k}", *row] for k, row in enumerate(rows)],
            ),
            Reading(
                "each row of a file is a series",
                {"layout": "wide"},
                ["", *columns],
                [[f"series {k}", *row] for k, row in enumerate(rows)],
            ),
        ],
    )


def _keys(frame: pd.DataFrame, names: list[str]) -> set[tuple[Any, ...]]:
    """The distinct values of some columns, as text."""
    keys = frame[names].dropna().astype(str).drop_duplicates()
    return set(keys.itertuples(index=False, name=None))


def _shared_id(tables: dict[str, Table]) -> str | None:
    """A column named like an id that all files have, and that does not count their rows."""
    frames = [table.frame for table in tables.values()]
    for name in frames[0].columns:
        if not says_id(str(name)):
            continue
        if all(name in frame and not _counts(frame[name]) for frame in frames):
            return str(name)
    return None


def _counts(column: pd.Series[Any]) -> bool:
    """Whether a column counts the rows."""
    numbers = plain(column.to_frame()).iloc[:, 0]
    if numbers.dtype.kind not in "iuf":
        numbers = numbers.astype(str)
        if not numbers.str.fullmatch(r"\d+").all():
            return False
    steps = np.diff(numbers.to_numpy(np.float64))
    return len(steps) > 0 and bool((steps == 1).all())


def _one_table_or_many(tables: dict[str, Table], id: str) -> AmbiguousError:
    frames = {Path(source).name: table.frame for source, table in tables.items()}
    header = ["file", *next(iter(frames.values())).columns]
    rows = [
        [name, *row] for name, f in frames.items() for row in f.head(2).values.tolist()
    ]
    return AmbiguousError(
        f"{len(tables)} files with the same values in their column {id!r}",
        [
            Reading(
                f"one table in {len(tables)} files, {id!r} names the series",
                {"layout": "long"},
                header,
                rows,
            ),
            Reading(
                "the series of each file are its own",
                {"layout": "folder"},
                header,
                rows,
            ),
        ],
    )


def _scenes(files: list[Path], options: ReadOptions) -> dict[Path, Sequences]:
    """The scenes of each file, which has a clock of its own; all have room for as many agents."""
    parts = {file: read_file(file, options) for file in files}
    widest = max(parts.values(), key=lambda part: part.n_channels).frame
    assert widest is not None
    options = replace(options, agents=widest[1])
    for file, part in parts.items():
        if part.frame != widest:
            parts[file] = read_file(file, options)
    return parts


def _is_in_parts(folder: Path) -> bool:
    """Whether a folder holds one table in parts, by the names that Spark, Dask and hive write."""
    if any((folder / name).exists() for name in MARKS):
        return True
    inside = _visible(folder)
    if not inside:
        return False
    if folder.suffix.lower() in TABLES:  # a folder named data.parquet
        return True
    if all(path.is_dir() for path in inside):
        return all(HIVE.fullmatch(path.name) for path in inside)
    return all(path.is_file() and PART.fullmatch(path.name) for path in inside)


def _read_parts(folder: Path, options: ReadOptions) -> Sequences:
    """The parts of a table, in the order of their numbers, read like one file."""
    found = (path for path in walk(folder) if path.name not in MARKS)
    files = sorted(found, key=natural_key)
    _check_files(folder, files, options)
    files = [file for file in files if file.stat().st_size] or files
    kind = kind_of(files[0], options)
    if kind in (".csv", ".tsv", ".txt") and len({f.parent for f in files}) == 1:
        table = _joined_text(files, kind, options)
    else:
        table = _joined_frames(folder, files, options)
    notes = table.notes
    if options.layout != "long":
        sentence = f"part files of one table: {len(files)}"
        notes = [likely(sentence, "layout='folder', one series a file"), *notes]
    return from_table(Table(table.frame, table.options, notes), str(folder))


def _joined_text(files: list[Path], kind: str, options: ReadOptions) -> Table:
    """Parts in text as one text, with the header that starts all of them once."""
    texts = []
    for file in files:
        with located(file):
            texts.append(read_text(file, options)[0])
    repeated = _repeat_a_header([text.partition("\n")[0] for text in texts], options)
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / f"parts{kind}"
        with whole.open("w", encoding="utf-8") as out:
            for k, text in enumerate(texts):
                kept = text.partition("\n")[2] if k and repeated else text
                out.write(kept if kept.endswith("\n") or not kept else f"{kept}\n")
        return read_table(whole, replace(options, encoding=None, table=None))


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
        keys = [HIVE.fullmatch(part) for part in file.relative_to(folder).parts[:-1]]
        own = {m[1]: _hive_value(m[1], m[2]) for m in keys if m}
        frames.append(frame.assign(**own))
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
