"""Folders: one series a file, or one table in parts (see `part_files`)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import ReadOptions
from .folder_files import check_files, visible
from .formats.kinds import refuse
from .formats.registry import FIXES, TABLES, kind_of, read_file, read_table
from .part_files import is_in_parts, read_parts
from .related import refuse_related
from .sequences import Sequences, listed
from .tables.build import Table, as_first, from_one, joined, roles_of
from .tables.column_types import textual
from .tables.columns import plain
from .tables.names import TIME_PREFIXES, says_id
from .tables.readings import AmbiguousError, Reading
from .tables.roles import Roles

if TYPE_CHECKING:
    import pandas as pd

LAYOUTS = ("folder", "long", "wide", "recording", "tracks", "scene")
TIME_LIKE = re.compile(r"\d[-/.:]\d")
SHOWN = 8  # files of which a question shows rows


def read_folder(folder: Path, options: ReadOptions) -> Sequences:
    """One series a file, all of one type; in a folder of folders the inner ones are the labels.

    Part files are one table, and so are all files with `layout` "long".

    Raises:
        AmbiguousError: files of rows with ids can be one table, or a series each.
        ValueError: the files are of several types, or have other columns than the first.
    """
    if is_one_table(folder, options):
        return read_parts(folder, options)
    files, labeled = files_of(folder, options)
    hints: list[str] = []
    if options.layout == "scene":
        parts = _scenes(files, options)
    else:
        reader = FolderReader.of(folder, files, labeled, options, keep=True)
        found = {file: reader.read(file) for file in files}
        parts = {file: part for file, part in found.items() if part is not None}
        hints = reader.possible_labels()
    whole = _one_series_a_file(folder, parts, labeled, len(files))
    if whole.labels is not None:
        return whole
    return replace(whole, notes=(*whole.notes, *hints))


def is_one_table(folder: Path, options: ReadOptions) -> bool:
    """Whether the files of a folder are parts of one table.

    Raises:
        ValueError: for a layout that no folder has, and for a folder of another program.
    """
    if options.layout not in (None, *LAYOUTS):
        raise ValueError(
            f"expected one of the layouts {', '.join(LAYOUTS)} for a folder, got "
            f"{options.layout!r}"
        )
    refuse(folder, folder.suffix.lower())
    if options.layout == "long":
        return True
    return options.layout != "folder" and is_in_parts(folder)


def files_of(folder: Path, options: ReadOptions) -> tuple[list[Path], bool]:
    """The files of a folder in order, and whether they lie in inner folders, the labels.

    Raises:
        ValueError: unless all are of one type that can hold a series each.
    """
    files = visible(folder)
    labeled = bool(files) and all(map(Path.is_dir, files))
    if labeled:
        files = [file for inner in files for file in visible(inner)]
    check_files(folder, files, options)
    return files, labeled


@dataclass(frozen=True)
class FolderReader:
    """How each file of a folder is read.

    Attributes:
        folder: the folder.
        labeled: whether inner folders are the labels.
        options: of each file.
        id: columns that tell the series of a file apart, None for one series a file.
        tables: the tables that were read before, by path.
        texts: of the files that were read, the columns with one text in all rows, by path; None
            if they are not collected.
    """

    folder: Path
    labeled: bool
    options: ReadOptions
    id: str | None
    tables: Mapping[str, Table]
    texts: dict[str, dict[str, str]] | None = None

    @classmethod
    def of(
        cls,
        folder: Path,
        files: list[Path],
        labeled: bool,
        options: ReadOptions,
        *,
        keep: bool,
    ) -> FolderReader:
        """Decide how the files are read, from the first one and from the ids of all.

        Args:
            folder: the folder.
            files: its files.
            labeled: whether inner folders are the labels.
            options: how to read.
            keep: whether tables that are read for this stay in memory.

        Raises:
            AmbiguousError: files of rows with ids can be one table, or a series each.
        """
        if kind_of(files[0], options) not in TABLES:
            own = replace(options, layout="recording")
            return cls(folder, labeled, own, None, {})
        layout = options.layout if options.layout in ("tracks", "wide") else None
        if kind_of(files[0], options) in FIXES:
            layout = layout or "tracks"
        own = replace(options, layout=layout or "recording")
        tables = _Tables(files, own, keep)
        id = None
        if layout is None:
            layout, id = _layout_of(tables, options, labeled)
        own = replace(own, layout=layout)
        if not keep:
            return cls(folder, labeled, own, id, {})
        may_be_labeled = id is None and not labeled and options.label is None
        texts: dict[str, dict[str, str]] | None = {} if may_be_labeled else None
        return cls(folder, labeled, own, id, tables.kept, texts)

    def read(self, file: Path) -> Sequences | None:
        """The series of a file; None for a track of a single fix, which has no movement."""
        if kind_of(file, self.options) not in TABLES:
            return read_file(file, self.options)
        table = self.tables.get(str(file)) or read_table(file, self.options)
        if self.texts is not None:
            self.texts[str(file)] = _constant_texts(table.frame)
        layout = self.options.layout or "recording"
        return from_one(table, layout, self.id, str(file))

    def possible_labels(self) -> list[str]:
        """Notes on columns that have one text in each file read, and fewer in all than files."""
        found = [*(self.texts or {}).values()]
        notes = []
        for name in found[0] if found else ():
            texts = {each.get(name) for each in found}
            if None not in texts and 1 < len(texts) < len(found):
                hint = f"label={name!r} if it is the label"
                notes.append(
                    f"column {name!r} is the same throughout each file; {hint}"
                )
        return notes

    def name(self, file: Path) -> str:
        """The name of the series of a file."""
        return str(file.relative_to(self.folder))

    def named(
        self, file: Path, part: Sequences, first: tuple[Path, Sequences]
    ) -> Sequences:
        """The series of a file as they stand among those of the folder, see `joined`.

        first: the first file with its series.
        """
        part = as_first(part, first[1], self.name(file), self.name(first[0]))
        if self.labeled:
            part = replace(part, labels=_label_of(file, part), task="classification")
        return part


def _constant_texts(frame: pd.DataFrame) -> dict[str, str]:
    """The columns that have one text in all rows, which is no time, with this text."""
    found: dict[str, str] = {}
    if not len(frame):
        return found
    for k in textual(frame):
        column, name = frame.iloc[:, k], str(frame.columns[k])
        first = column.iloc[0]
        if not isinstance(first, str) or says_id(name) or TIME_LIKE.search(first):
            continue
        if column.nunique(dropna=False) == 1:
            found[name] = first
    return found


class _Tables(Mapping[str, Table]):
    """The tables of files, read when they are needed.

    keep: hold them for the next time.
    """

    def __init__(self, files: list[Path], options: ReadOptions, keep: bool):
        self.names = [str(file) for file in files]
        self.options = options
        self.keep = keep
        self.kept: dict[str, Table] = {}

    def __getitem__(self, name: str) -> Table:
        table = self.kept.get(name) or read_table(Path(name), self.options)
        if self.keep or name == self.names[0]:
            self.kept[name] = table
        return table

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _label_of(file: Path, part: Sequences) -> Any:
    """The inner folder of a file as the label of each of its series."""
    return np.full(len(part), file.parent.name.rpartition("=")[2])


def _one_series_a_file(
    folder: Path, parts: dict[Path, Sequences], labeled: bool, count: int
) -> Sequences:
    """The series of all files under their names, with the inner folders as labels if `labeled`."""
    if not parts:
        raise ValueError("no track has two fixes or more")
    named = {}
    for file, part in parts.items():
        if labeled:
            labels = _label_of(file, part)
            part = replace(part, labels=labels, task="classification")
        named[str(file.relative_to(folder))] = part
    found = joined(named, str(folder))
    notes = notes_on(count, len(parts), len(found), next(iter(named)), labeled)
    return replace(found, notes=(*notes, *found.notes))


def notes_on(
    files: int, read: int, series: int, first: str, labeled: bool
) -> list[str]:
    """What is said of a folder: how many files were read, and like which one."""
    notes = [f"layout folder: {read} files, {series} series; all read like {first}"]
    if labeled:
        notes.append("labels are the names of the inner folders")
    if read < files:
        notes.append(f"{files - read} files of a single fix are left out")
    return notes


def _layout_of(
    tables: _Tables, options: ReadOptions, labeled: bool
) -> tuple[str, str | None]:
    """What each file of a folder is by the first, and the columns that tell its series apart.

    Raises:
        AmbiguousError: files of rows with ids can be one table, or a series each; or columns can
            be times or channels.
        ValueError: two files are related tables.
    """
    if options.layout is None and options.id is None:
        refuse_related(tables)
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


def _id_within(tables: _Tables, found: Roles, may_be_one: bool) -> str | None:
    """The columns that tell the series of each file apart, None for one series a file.

    Raises:
        AmbiguousError: files share ids, and `may_be_one` table.
    """
    id = ",".join(_sure_ids(next(iter(tables.values())), found)) or _shared_id(tables)
    if id is None:
        return None
    counts = []
    distinct: set[tuple[Any, ...]] = set()
    names = id.split(",")
    for source, table in tables.items():
        missing = [name for name in names if name not in table.frame]
        if missing:
            raise ValueError(
                f"{source}: expected the column {listed(map(repr, missing))} of the first file, "
                f"which names its series, got {listed(table.frame.columns)}; move the file away, "
                "or choose layout='recording' for one series a file"
            )
        keys = _keys(table.frame, names)
        counts.append(len(keys))
        distinct |= keys
    if may_be_one and sum(counts) > len(distinct):
        raise _one_table_or_many(tables, id)
    return id if max(counts) > 1 else None


def _sure_ids(table: Table, found: Roles) -> tuple[str, ...]:
    """The ids of a file: by name, or because its times repeat without them."""
    times = [name for name in found.times if name in table.frame]
    repeat = bool(times) and bool(table.frame.duplicated(times).any())
    is_sure = repeat or all(map(says_id, found.ids))
    return found.ids if is_sure else ()


def _check_wide(tables: _Tables, found: Roles) -> None:
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


def _shared_id(tables: _Tables) -> str | None:
    """A column named like an id that all files have, and that does not count their rows."""
    first = next(iter(tables.values())).frame
    for name in filter(says_id, map(str, first.columns)):
        frames = (table.frame for table in tables.values())
        if all(name in frame and not _counts(frame[name]) for frame in frames):
            return name
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


def _one_table_or_many(tables: _Tables, id: str) -> AmbiguousError:
    header = ["file", *next(iter(tables.values())).frame.columns]
    rows = []
    for source in list(tables)[:SHOWN]:
        for row in tables[source].frame.head(2).values.tolist():
            rows.append([Path(source).name, *row])
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
