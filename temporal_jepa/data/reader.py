"""Files, frames and arrays in, `Sequences` out: `read` is the one door.

from temporal_jepa.data import read
sequences = read("data.csv", id="track", values=["x", "y"], window=60)
"""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import RENAMED_READ_OPTIONS, ReadOptions
from .arrays import from_array, read_numpy, read_ts
from .delimited import COLUMN_OPTIONS, read_delimited, read_parquet
from .geo import read_geojson, read_gpx
from .scenes import as_scenes
from .sequences import Sequences as Sequences
from .sequences import listed
from .series_tables import from_frame
from .trajectories import MOVEMENT_OPTIONS, check_features
from .trajectory_tables import from_fixes, is_track_table
from .video import CLIP, VIDEO_OPTIONS, VIDEOS, holds_video, read_video

if TYPE_CHECKING:
    import pandas as pd

    _Table = tuple[pd.DataFrame, ReadOptions, list[str]]

ROUTES = (".gpx", ".geojson", ".json")
TABLES = (".csv", ".tsv", ".txt", ".parquet", ".pq")
FILES = (*TABLES, *ROUTES, ".ts", ".npy", ".npz", *VIDEOS)
LONG = 1000  # timesteps from which one series is worth a word about windows


def read(data: Any, options: ReadOptions | None = None, **keywords: Any) -> Sequences:
    """Read sequences from a file, a folder, a pandas object, or arrays.

    Args:
        data: path of a .csv .tsv .txt .parquet .gpx .geojson .ts .npy .npz or video file, or of a
            folder; a DataFrame or Series; an array (n, channels, time) or (n, time); a list of
            arrays (channels, time_i); or `Sequences`.
        options: how to read, see `ReadOptions`.
        **keywords: the fields of `ReadOptions`, in place of `options`.

    Returns:
        The sequences. Each entry of their `notes` states one thing that was inferred.

    Raises:
        ValueError: for data or options that cannot be used, with what was expected and found.
        FileNotFoundError: when there is no such file.
        ModuleNotFoundError: when a format needs a package that is not installed.
    """
    if options is None:
        options = _options_from(keywords)
    elif keywords:
        raise ValueError(f"pass options or keywords to read, not both: {listed(keywords)}")
    check_features(options)
    window = options.window
    films = isinstance(data, (str, Path)) and holds_video(Path(data))
    if films:
        found = _films(Path(data), options)
    elif options.layout == "scene" and isinstance(data, (str, Path)) and Path(data).is_dir():
        found = _scenes(Path(data), options)
        window = None
    else:
        found = _found(data, options)
        if options.layout == "scene" and found.places is not None:
            found = as_scenes(found, options)
            window = None
    if (
        window is None
        and found.frame is not None
        and found.frame[0] > 1
        and (films or len(found) == 1)
    ):
        window = min(CLIP, int(found.lengths.max()))
    found = _checked(found, window is None)
    return found if window is None else found.windows(window, options.stride)


def _options_from(keywords: dict[str, Any]) -> ReadOptions:
    for old, name in RENAMED_READ_OPTIONS.items():
        if old in keywords:
            warnings.warn(f"{old}= of read is now {name}=", DeprecationWarning, stacklevel=3)
    return ReadOptions.from_dict(keywords)


def _scenes(folder: Path, options: ReadOptions) -> Sequences:
    """Scenes of the files of a folder, each with a clock of its own, all with room for as many agents."""
    files = sorted(f for f in folder.iterdir() if not f.name.startswith("."))
    if not files:
        raise ValueError(f"{folder}: expected files with scenes, found none")
    tracks = [_found(file, options) for file in files]
    parts = [as_scenes(part, options) for part in tracks]
    widest = max(part.frame[1] for part in parts if part.frame is not None)
    for k, part in enumerate(parts):
        if part.frame is not None and part.frame[1] < widest:
            parts[k] = as_scenes(tracks[k], options, widest)
    return _joined(folder, files, parts, labelled=False)


def _checked(found: Sequences, whole: bool) -> Sequences:
    """The same with notes on what may surprise; ValueError for a series or a channel without values."""
    found.check_observed()
    notes = []
    if flat := found.constant():
        notes.append(f"constant throughout: {len(flat)} of {len(found)} series ({listed(flat)})")
    if whole and len(found) == 1 and found.lengths[0] >= LONG:
        notes.append(f"one series of {found.lengths[0]} timesteps: window=LENGTH cuts it into many")
    return replace(found, notes=(*found.notes, *notes))


def _films(path: Path, options: ReadOptions) -> Sequences:
    given = options.given(*COLUMN_OPTIONS, *MOVEMENT_OPTIONS)
    if options.layout in ("video", "folder"):
        given.remove("layout")
    if given:
        raise ValueError(f"{path}: {listed(given)}: for tables only; leave it out")
    return read_video(path, options)


def _found(data: Any, options: ReadOptions) -> Sequences:
    """What is no film."""
    if given := options.given(*VIDEO_OPTIONS):
        raise ValueError(
            f"{listed(given)}: for video files and folders of pictures only; leave it out"
        )
    pandas = sys.modules.get("pandas")  # a pandas object can only come from an imported pandas
    if isinstance(data, Sequences):
        found = data
    elif isinstance(data, (str, Path)):
        found = _read_path(Path(data), options)
    elif pandas is not None and isinstance(data, (pandas.DataFrame, pandas.Series)):
        frame = data if isinstance(data, pandas.DataFrame) else data.to_frame(data.name or "value")
        found = _from_table(frame, options)
    else:
        found = from_array(data, options)
    if options.given(*MOVEMENT_OPTIONS) and found.places is None:
        raise ValueError(
            f"{found.source}: {listed(options.given(*MOVEMENT_OPTIONS))} describe movement, and these series have no "
            "places; say layout=tracks, and values=A,B for the columns of the places"
        )
    return found


def _from_table(
    frame: pd.DataFrame,
    options: ReadOptions,
    source: str = "frame",
    notes: Sequence[str] = (),
) -> Sequences:
    if is_track_table(frame, options):
        return from_fixes(frame, options, source, notes)
    return from_frame(frame, options, source, notes)


def _read_path(path: Path, options: ReadOptions) -> Sequences:
    if path.is_dir():
        return _read_folder(path, options)
    if not path.exists():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, near, 1)
        raise FileNotFoundError(
            f"no file or folder {path}" + (f"; did you mean {close[0]!r}?" if close else "")
        )
    if options.layout == "folder":
        raise ValueError(
            f"{path}: layout folder expects a folder with one series a file, got a file"
        )
    kind = path.suffix.lower()
    if kind not in FILES:
        raise ValueError(
            f"{path}: unknown extension {kind or '(none)'!r}; expected one of {' '.join(FILES)}"
        )
    if kind == ".ts":
        if given := options.given(*COLUMN_OPTIONS):
            raise ValueError(
                f"{path}: a .ts file says itself what it holds; leave out {listed(given)}"
            )
        return read_ts(path)
    if kind in (".npy", ".npz"):
        return read_numpy(path, options)
    frame, options, notes = _read_table(path, options)
    return _from_table(frame, options, str(path), notes)


def _read_table(path: Path, options: ReadOptions) -> _Table:
    """A file of rows as a frame, what is known of its columns, and notes."""
    kind = path.suffix.lower()
    if kind in ROUTES:
        frame = read_gpx(path) if kind == ".gpx" else read_geojson(path)
        return (
            frame,
            replace(options, layout=options.layout or "tracks", values=options.values or ()),
            [],
        )
    if kind in (".parquet", ".pq"):
        return read_parquet(path), options, []
    return read_delimited(path, options)


def _read_folder(folder: Path, options: ReadOptions) -> Sequences:
    """One series a file, all of one type; in a folder of folders the inner ones are the labels."""
    if options.layout not in (None, "folder", "tracks"):
        raise ValueError(
            f"{folder}: a folder has the layout folder (one series a file), got {options.layout!r}; for "
            f"another layout name one of its files"
        )
    entries = sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    inner = [p for p in entries if p.is_dir()]
    labelled = bool(inner) and len(inner) == len(entries)
    files = (
        [f for p in inner for f in sorted(p.iterdir()) if not f.name.startswith(".")]
        if labelled
        else entries
    )
    if splits := [f.name for f in files if f.stem.upper().endswith(("_TRAIN", "_TEST"))]:
        raise ValueError(
            f"{folder}: holds the splits {listed(splits)} of a set; name one of these files"
        )
    allowed = (*TABLES, *ROUTES, ".npy")
    kinds = {f.suffix.lower() for f in files if f.suffix.lower() in allowed}
    if strays := [
        f.relative_to(folder) for f in files if f.is_dir() or f.suffix.lower() not in kinds
    ]:
        raise ValueError(
            f"{folder}: expected only files with one series each ({' '.join(allowed)}), but "
            f"found {listed(strays)}; move them away, or name one file"
        )
    if len(kinds) != 1:
        raise ValueError(
            f"{folder}: expected files of one type, got {listed(sorted(kinds)) or 'none'}"
        )
    if kinds != {".npy"}:
        layout = "tracks" if kinds <= {*ROUTES} or options.layout == "tracks" else None
        first, known, _ = _read_table(files[0], replace(options, layout="recording"))
        if is_track_table(first, replace(known, layout=layout)):
            return _joined_tracks(folder, files, labelled, options)
    options = replace(options, layout="recording")
    return _joined(folder, files, [_read_path(f, options) for f in files], labelled)


def _joined_tracks(
    folder: Path, files: list[Path], labelled: bool, options: ReadOptions
) -> Sequences:
    """Files of fixes, with one track each or several; a file of a single fix is left out."""
    tables = {file: _read_table(file, replace(options, layout="tracks")) for file in files}
    kept = {file: table for file, table in tables.items() if len(table[0]) > 1}
    if not kept:
        raise ValueError(f"{folder}: no track has two fixes or more")
    parts = [from_fixes(frame, own, str(file), notes) for file, (frame, own, notes) in kept.items()]
    found = _joined(folder, list(kept), parts, labelled)
    left = len(files) - len(kept)
    return (
        replace(found, notes=(*found.notes, f"{left} files of a single fix are left out"))
        if left
        else found
    )


def _joined(folder: Path, files: list[Path], parts: list[Sequences], labelled: bool) -> Sequences:
    first = parts[0]
    for part in parts:
        alike = (part.times is None) == (first.times is None) and part.degrees == first.degrees
        if part.channels != first.channels or not alike:
            raise ValueError(
                f"{part.source}: expected the columns of {files[0].name} ({listed(first.channels)}), got "
                f"{listed(part.channels)}; name the columns to read with values=, time="
            )
    own = [label for p in parts if p.labels is not None for label in p.labels]
    ids = [(f.relative_to(folder), p, i) for f, p in zip(files, parts, strict=True) for i in p.ids]
    labels = [f.parent.name for f, *_ in ids] if labelled else own if len(own) == len(ids) else None
    notes = [f"layout folder: {len(files)} files, {len(ids)} series; all read like {files[0].name}"]
    if labelled:
        notes.append("labels are the names of the inner folders")
    elif 0 < len(own) < len(ids):
        notes.append("some files have no labels: there are none")
    return Sequences(
        [x for p in parts for x in p.values],
        None if labels is None else np.array(labels),
        [str(f) if len(p) == 1 else f"{f}:{i}" for f, p, i in ids],
        first.channels,
        None if first.times is None else [t for p in parts for t in p.times or ()],
        str(folder),
        (*notes, *first.notes),
        first.frame,
        None if first.places is None else [place for p in parts for place in p.places or ()],
        first.degrees,
    )
