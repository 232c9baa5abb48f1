"""Files, frames and arrays in, `Sequences` out: `read` is the one door.

from temporal_jepa.data import read
sequences = read("data.csv", id="track", values=["x", "y"], window=60)
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import from_array, read_numpy, read_ts
from .delimited import Columns, read_delimited, read_parquet
from .geo import from_object, read_geojson, read_gpx
from .scenes import as_scenes
from .sequences import Sequences as Sequences
from .sequences import listed
from .series_tables import from_frame
from .trajectories import Motion
from .trajectory_tables import from_fixes, is_track_table
from .video import CLIP, VIDEOS, Sampling, is_video, read_video

if TYPE_CHECKING:
    import pandas as pd

    _Table = tuple[pd.DataFrame, Columns, list[str]]

ROUTES = (".gpx", ".geojson", ".json")
TABLES = (".csv", ".tsv", ".txt", ".parquet", ".pq")
FILES = (*TABLES, *ROUTES, ".ts", ".npy", ".npz", *VIDEOS)
LONG = 1000  # timesteps from which one series is worth a word about windows


def read(
    data: Any,
    *,
    layout: str | None = None,
    id: str | None = None,
    time: str | None = None,
    label: str | None = None,
    values: str | Sequence[str] | None = None,
    window: int | None = None,
    stride: int | None = None,
    features: str | Sequence[str] | None = None,
    step: float | None = None,
    gap: float | None = None,
    max_speed: float | None = None,
    agents: int | None = None,
    time_unit: float | None = None,
    fps: float | None = None,
    size: str | int | None = None,
    area: str | None = None,
) -> Sequences:
    """Read series from a file, a folder with one series a file, a pandas or GeoPandas object, or arrays.

    data: path of a .csv .tsv .txt .parquet .gpx .geojson .ts .npy .npz or video file or of a folder; a DataFrame or
        Series; a GeoDataFrame or the trajectories of movingpandas; an array ``(n, channels, time)`` or ``(n, time)``,
        or a list of ``(channels, time_i)``; or `Sequences`.
    layout: "wide" (a row is a series), "long" (a row is a timestep of the series named in `id`), "recording" (all rows
        are one series), "folder", "tracks" (a row is a fix: where something was when) or "scene" (the same, and all
        that moves at one time is one sample), "video" (an array of pictures). Inferred when None, like the next four.

    id, time, label: names of columns, "" for none. values: names of the value columns, a list or "A,B,C".

    window, stride: cut each series into windows of so many timesteps, one every `stride` (default: `window`). Films
        are cut into clips of 16 frames when no window is given.
    features: of tracks, a list or "A,B,C" of x, y, z, lon, lat, dx, dy, speed, acceleration, heading, turn, dt, see
        `tracks.movement`. step: seconds between resampled fixes. gap: seconds without a fix that split a track.
        max_speed: m/s from which a fix is a jump and left out. agents: how many a scene holds (default: as many as
        the fullest one needs). time_unit: seconds that a number in the time column counts, 3600 for hours.
    fps, size, area: of video: frames a second (default: 8, or the films' own rate when it is lower); "64" pixels for a
        square or "WIDTHxHEIGHT"; "center" (default), "none" (the whole picture, squeezed) or "WIDTHxHEIGHT+LEFT+TOP".

    `notes` of the result tells each inference in a line. Raises ValueError (or FileNotFoundError, or
    ModuleNotFoundError for a missing reader) with what was found, where, and what to do.
    """
    id, time, label = (None if c is None else str(c) for c in (id, time, label))
    columns = Columns(layout, id, time, label, _names(values))
    sampling = Sampling(fps, size, area)
    motion = Motion(_names(features), step, gap, max_speed, agents, time_unit)
    if stride is not None and window is None:
        raise ValueError(f"stride={stride} needs a window: the number of timesteps in each piece")
    if agents is not None and layout != "scene":
        raise ValueError(
            f"agents={agents} needs layout=scene, in which all that moves at one time is one sample"
        )
    films = isinstance(data, (str, Path)) and is_video(Path(data))
    if films:
        found = _films(Path(data), columns, motion, sampling)
    elif layout == "scene" and isinstance(data, (str, Path)) and Path(data).is_dir():
        found = _scenes(Path(data), columns, motion, sampling, window, stride)
        window = None
    else:
        found = _found(data, columns, motion, sampling)
        if layout == "scene" and found.places is not None:
            found = as_scenes(found, window, stride, agents)
            window = None
    if (
        window is None
        and found.frame is not None
        and found.frame[0] > 1
        and (films or len(found) == 1)
    ):
        window = min(CLIP, int(found.lengths.max()))
    found = _checked(found, window is None)
    return found if window is None else found.windows(window, stride)


def _scenes(
    folder: Path,
    columns: Columns,
    motion: Motion,
    sampling: Sampling,
    window: int | None,
    stride: int | None,
) -> Sequences:
    """Scenes of the files of a folder, each with a clock of its own, all with room for as many agents."""
    files = sorted(f for f in folder.iterdir() if not f.name.startswith("."))
    if not files:
        raise ValueError(f"{folder}: expected files with scenes, found none")
    tracks = [_found(file, columns, motion, sampling) for file in files]
    parts = [as_scenes(part, window, stride, motion.agents) for part in tracks]
    widest = max(part.frame[1] for part in parts if part.frame is not None)
    for k, part in enumerate(parts):
        if part.frame is not None and part.frame[1] < widest:
            parts[k] = as_scenes(tracks[k], window, stride, widest)
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


def _names(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    named = given.split(",") if isinstance(given, str) else given
    return None if named is None else tuple(str(name).strip() for name in named)


def _films(path: Path, columns: Columns, motion: Motion, sampling: Sampling) -> Sequences:
    plain = replace(columns, layout=None) if columns.layout in ("video", "folder") else columns
    if given := [*plain.given(), *motion.given()]:
        raise ValueError(f"{path}: {listed(given)}: for tables only; leave it out")
    return read_video(path, sampling)


def _found(data: Any, columns: Columns, motion: Motion, sampling: Sampling) -> Sequences:
    """What is no film."""
    if given := sampling.given():
        raise ValueError(
            f"{listed(given)}: for video files and folders of pictures only; leave it out"
        )
    pandas = sys.modules.get("pandas")  # a pandas object can only come from an imported pandas
    if isinstance(data, Sequences):
        found = data
    elif isinstance(data, (str, Path)):
        found = _read_path(Path(data), columns, motion)
    elif pandas is not None and (fixes := from_object(data)) is not None:
        columns = replace(columns, layout=columns.layout or "tracks")
        found = _from_table(fixes, columns, motion, type(data).__name__)
    elif pandas is not None and isinstance(data, (pandas.DataFrame, pandas.Series)):
        frame = data if isinstance(data, pandas.DataFrame) else data.to_frame(data.name or "value")
        found = _from_table(frame, columns, motion)
    else:
        found = from_array(data, columns)
    if motion.given() and found.places is None:
        raise ValueError(
            f"{found.source}: {listed(motion.given())} describe movement, and these series have no "
            "places; say layout=tracks, and values=A,B for the columns of the places"
        )
    return found


def _from_table(
    frame: pd.DataFrame,
    columns: Columns,
    motion: Motion,
    source: str = "frame",
    notes: Sequence[str] = (),
) -> Sequences:
    if is_track_table(frame, columns, motion):
        return from_fixes(frame, columns, motion, source, notes)
    return from_frame(frame, columns, source, notes)


def _read_path(path: Path, columns: Columns, motion: Motion) -> Sequences:
    if path.is_dir():
        return _read_folder(path, columns, motion)
    if not path.exists():
        near = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, near, 1)
        raise FileNotFoundError(
            f"no file or folder {path}" + (f"; did you mean {close[0]!r}?" if close else "")
        )
    if columns.layout == "folder":
        raise ValueError(
            f"{path}: layout folder expects a folder with one series a file, got a file"
        )
    kind = path.suffix.lower()
    if kind not in FILES:
        raise ValueError(
            f"{path}: unknown extension {kind or '(none)'!r}; expected one of {' '.join(FILES)}"
        )
    if kind == ".ts":
        if given := columns.given():
            raise ValueError(
                f"{path}: a .ts file says itself what it holds; leave out {listed(given)}"
            )
        return read_ts(path)
    if kind in (".npy", ".npz"):
        return read_numpy(path, columns)
    frame, columns, notes = _read_table(path, columns)
    return _from_table(frame, columns, motion, str(path), notes)


def _read_table(path: Path, columns: Columns) -> _Table:
    """A file of rows as a frame, what is known of its columns, and notes."""
    kind = path.suffix.lower()
    if kind in ROUTES:
        frame = read_gpx(path) if kind == ".gpx" else read_geojson(path)
        return (
            frame,
            replace(columns, layout=columns.layout or "tracks", values=columns.values or ()),
            [],
        )
    if kind in (".parquet", ".pq"):
        return read_parquet(path), columns, []
    return read_delimited(path, columns)


def _read_folder(folder: Path, columns: Columns, motion: Motion) -> Sequences:
    """One series a file, all of one type; in a folder of folders the inner ones are the labels."""
    if columns.layout not in (None, "folder", "tracks"):
        raise ValueError(
            f"{folder}: a folder has the layout folder (one series a file), got {columns.layout!r}; for "
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
        layout = "tracks" if kinds <= {*ROUTES} or columns.layout == "tracks" else None
        first, known, _ = _read_table(files[0], replace(columns, layout="recording"))
        if is_track_table(first, replace(known, layout=layout), motion):
            return _joined_tracks(folder, files, labelled, columns, motion)
    columns = replace(columns, layout="recording")
    return _joined(folder, files, [_read_path(f, columns, motion) for f in files], labelled)


def _joined_tracks(
    folder: Path, files: list[Path], labelled: bool, columns: Columns, motion: Motion
) -> Sequences:
    """Files of fixes, with one track each or several; a file of a single fix is left out."""
    tables = {file: _read_table(file, replace(columns, layout="tracks")) for file in files}
    kept = {file: table for file, table in tables.items() if len(table[0]) > 1}
    if not kept:
        raise ValueError(f"{folder}: no track has two fixes or more")
    parts = [
        from_fixes(frame, own, motion, str(file), notes)
        for file, (frame, own, notes) in kept.items()
    ]
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
