"""What a file is, by its name and its first bytes, and the reader for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ...config import OF_TABLES, ReadOptions
from ..sequences import Sequences, listed, located
from ..tables.build import Table, from_table
from ..video import VIDEOS
from .activities import read_fit, read_kml, read_tcx
from .arff import read_arff
from .arrays import read_numpy
from .arrow import read_feather, read_parquet
from .delimited import read_delimited
from .geo import read_geojson, read_gpx
from .hdf5 import read_hdf5
from .json_tables import is_geojson, load_json, read_json
from .kinds import identify, is_archive
from .signals import read_edf
from .ts import read_ts
from .tsf import read_tsf
from .workbooks import read_workbook


def _text_table(path: Path, options: ReadOptions) -> Table:
    return Table(*read_delimited(path, options))


def _parquet(path: Path, options: ReadOptions) -> Table:
    return Table(read_parquet(path), options, [])


def _feather(path: Path, options: ReadOptions) -> Table:
    return Table(read_feather(path), options, [])


def _gpx(path: Path, options: ReadOptions) -> Table:
    notes: list[str] = []
    return Table(read_gpx(path, notes), _of_tracks(options), notes)


def _kml(path: Path, options: ReadOptions) -> Table:
    return Table(read_kml(path), _of_tracks(options), [])


def _tcx(path: Path, options: ReadOptions) -> Table:
    frame = read_tcx(path)
    return Table(frame, _of_tracks(options) if "lon" in frame else options, [])


def _fit(path: Path, options: ReadOptions) -> Table:
    frame = read_fit(path)
    return Table(frame, _of_tracks(options) if "lon" in frame else options, [])


def _json(path: Path, options: ReadOptions) -> Table:
    """GeoJSON is a table of fixes, anything else a table of records or columns."""
    data = load_json(path, options)
    if is_geojson(data) or kind_of(path, options) == ".geojson":
        return Table(*read_geojson(data, _of_tracks(options)))
    return read_json(data, options)


def _of_tracks(options: ReadOptions) -> ReadOptions:
    """The options of a file of fixes: tracks, without further columns as channels."""
    return replace(
        options, layout=options.layout or "tracks", values=options.values or ()
    )


TABLES: dict[str, Callable[[Path, ReadOptions], Table]] = {
    ".csv": _text_table,
    ".tsv": _text_table,
    ".txt": _text_table,
    ".parquet": _parquet,
    ".pq": _parquet,
    ".feather": _feather,
    ".arrow": _feather,
    ".ipc": _feather,
    ".xlsx": read_workbook,
    ".xlsm": read_workbook,
    ".json": _json,
    ".jsonl": _json,
    ".ndjson": _json,
    ".geojson": _json,
    ".arff": read_arff,
    ".gpx": _gpx,
    ".kml": _kml,
    ".tcx": _tcx,
    ".fit": _fit,
}
"""Extension -> the reader of a file of rows."""
SERIES: dict[str, Callable[[Path, ReadOptions], Sequences]] = {
    ".ts": read_ts,
    ".tsf": read_tsf,
    ".npy": read_numpy,
    ".npz": read_numpy,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".hdf": read_hdf5,
    ".edf": read_edf,
    ".bdf": read_edf,
}
"""Extension -> the reader of a file that knows its series."""
OWN_OPTIONS = {
    ".ts": ("label",),
    ".tsf": ("id", "label"),
    ".edf": ("values",),
    ".bdf": ("values",),
    ".npy": ("layout",),
    ".npz": ("layout",),
    ".h5": ("layout",),
    ".hdf5": ("layout",),
    ".hdf": ("layout",),
}
"""Extension -> which options of tables its reader takes."""
FIXES = (".gpx", ".geojson", ".kml", ".tcx", ".fit")
FILES = (*TABLES, *SERIES, *VIDEOS)
OF_FILES = {
    "table": (".xlsx", ".xlsm", ".json", ".npz", ".h5", ".hdf5", ".hdf"),
    "header": (".csv", ".tsv", ".txt", ".xlsx", ".xlsm"),
    "encoding": (
        ".csv",
        ".tsv",
        ".txt",
        ".json",
        ".jsonl",
        ".ndjson",
        ".geojson",
        ".arff",
        ".ts",
        ".tsf",
    ),
}
"""Option of `ReadOptions` about the file -> the extensions of the files that it applies to."""


def kind_of(path: Path, options: ReadOptions, notes: list[str] | None = None) -> str:
    """The extension that says how a file is read, see `identify`; ValueError for an unknown one."""
    kind = identify(path, options, [] if notes is None else notes)
    if kind not in FILES:
        raise ValueError(
            f"{path}: unknown extension {kind or '(none)'!r}; expected one of {' '.join(FILES)}"
            " (rename a table in text to .csv)"
        )
    return kind


def read_file(path: Path, options: ReadOptions) -> Sequences:
    """The sequences of a file."""
    notes: list[str] = []
    kind = kind_of(path, options, notes)
    with located(path):
        if kind in TABLES:
            return from_table(read_table(path, options), str(path))
        _check_file_options(path, kind, options)
        taken = OWN_OPTIONS[kind]
        given = [name for name in options.given(*OF_TABLES) if name not in taken]
        if given:
            named = listed(f"{name}=" for name in given)
            raise ValueError(
                f"a {kind} file describes its own columns; leave out {named}"
            )
        found = SERIES[kind](path, options)
        return replace(found, notes=(*notes, *found.notes))


def read_table(path: Path, options: ReadOptions) -> Table:
    """A file of rows as a frame, the options with what is known of its columns, and notes."""
    notes: list[str] = []
    kind = kind_of(path, options, notes)
    with located(path):
        _check_file_options(path, kind, options)
        frame, own, more = TABLES[kind](path, options)
        return Table(frame, own, [*notes, *more])


def _check_file_options(path: Path, kind: str, options: ReadOptions) -> None:
    """ValueError for an option about the file that does not apply to files of its kind."""
    for name, kinds in OF_FILES.items():
        if getattr(options, name) is None or kind in kinds:
            continue
        if name == "table" and is_archive(path):
            continue
        what = " holds one table" if name == "table" else f" has no {name} to choose"
        raise ValueError(f"a {kind} file{what}; leave out {name}=")
