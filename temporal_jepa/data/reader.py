"""Files, frames and arrays in, `Sequences` out: `read` is the one entry point.

from temporal_jepa.data import read
sequences = read("data.csv", id="track", values=["x", "y"], window=60)
"""

from __future__ import annotations

import itertools
import sys
import warnings
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import RENAMED_READ_OPTIONS, ReadOptions
from .arrays import from_array, read_numpy
from .arrow import read_parquet
from .delimited import COLUMN_OPTIONS, read_delimited
from .geo import read_geojson, read_gpx
from .labels import with_task
from .scenes import as_scenes
from .sequences import Sequences, did_you_mean, listed, located
from .series_tables import from_frame
from .trajectories import MOVEMENT_OPTIONS, check_features
from .trajectory_tables import from_fixes, is_track_table
from .ts import read_ts
from .video import CLIP, VIDEO_OPTIONS, VIDEOS, holds_video, read_video

if TYPE_CHECKING:
    import pandas as pd

GEOGRAPHIC = (".gpx", ".geojson", ".json")
TABLES = (".csv", ".tsv", ".txt", ".parquet", ".pq", *GEOGRAPHIC)
FILES = (*TABLES, ".ts", ".npy", ".npz", *VIDEOS)
LONG = 1000  # timesteps from which a note on a single series names the option window


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
    options = _options_from(options, keywords)
    check_features(options)
    is_video = isinstance(data, (str, Path)) and holds_video(Path(data))
    if is_video:
        found = _read_video(Path(data), options)
    elif isinstance(data, (str, Path)):
        found = _from_path(Path(data), options)
    else:
        found = _from_memory(data, options)
    found = with_task(found.check_observed(), options.task)
    notes = []
    constant = found.constant()
    if constant:
        count = f"{len(constant)} of {len(found)} series"
        notes.append(f"constant throughout: {count} ({listed(constant)})")
    window = _window(found, options, is_video)
    if window is None and len(found) == 1 and found.lengths[0] >= LONG:
        notes.append(
            f"one series of {found.lengths[0]} timesteps: window=LENGTH cuts it into many"
        )
    found = replace(found, notes=(*found.notes, *notes))
    return found if window is None else found.windows(window, options.stride)


def _options_from(options: ReadOptions | None, keywords: dict[str, Any]) -> ReadOptions:
    """The options, or those that the keywords of `read` make."""
    if options is not None:
        if keywords:
            raise ValueError(
                f"pass options or keywords to read, not both: {listed(keywords)}"
            )
        return options
    for old, name in RENAMED_READ_OPTIONS.items():
        if old in keywords:
            warnings.warn(
                f"{old}= of read is now {name}=", DeprecationWarning, stacklevel=3
            )
    return ReadOptions.from_dict(keywords)


def _refuse(options: ReadOptions, names: Iterable[str], reason: str) -> None:
    """ValueError when one of the options is set."""
    given = options.given(*names)
    if given:
        named = listed(f"{name}=" for name in given)
        raise ValueError(f"{reason}; leave out {named}")


def _window(found: Sequences, options: ReadOptions, is_video: bool) -> int | None:
    """Timesteps of the windows to cut, None for none."""
    if _are_scenes(found, options):  # `as_scenes` has cut them
        return None
    if options.window is not None:
        return options.window
    rows = 1 if found.frame is None else found.frame[0]
    if is_video or (rows > 1 and len(found) == 1):
        return min(CLIP, int(found.lengths.max()))
    return None


def _are_scenes(found: Sequences, options: ReadOptions) -> bool:
    """Whether tracks became scenes; scenes that come as an array have no times."""
    return options.layout == "scene" and found.times is not None


def _read_video(path: Path, options: ReadOptions) -> Sequences:
    names = [*COLUMN_OPTIONS, *MOVEMENT_OPTIONS]
    if options.layout in ("video", "folder"):
        names.remove("layout")
    with located(path):
        _refuse(options, names, "options of tables and tracks do not apply to video")
        return read_video(path, options)


def _from_path(path: Path, options: ReadOptions) -> Sequences:
    """The sequences of a file, or of a folder with one series a file."""
    if not path.exists():
        hint = did_you_mean(path.name, (other.name for other in path.parent.glob("*")))
        raise FileNotFoundError(f"no file or folder {path}{hint}")
    with located(path):
        if path.is_dir():
            found = _read_folder(path, options)
        elif options.layout == "folder":
            raise ValueError("layout folder expects a folder with one series a file")
        else:
            found = _read_file(path, options)
        return _checked(found, options)


def _from_memory(data: Any, options: ReadOptions) -> Sequences:
    """The sequences of a pandas object or of arrays."""
    pandas = sys.modules.get(
        "pandas"
    )  # a pandas object can only come from an imported pandas
    if isinstance(data, Sequences):
        found = data
    elif pandas is not None and isinstance(data, pandas.Series):
        found = _from_table(data.to_frame(data.name or "value"), options)
    elif pandas is not None and isinstance(data, pandas.DataFrame):
        found = _from_table(data, options)
    else:
        with located("arrays"):
            found = from_array(data, options)
    return _checked(found, options)


def _checked(found: Sequences, options: ReadOptions) -> Sequences:
    """The same; ValueError for options that had no effect on it."""
    _refuse(
        options,
        VIDEO_OPTIONS,
        "options of video apply to video files and folders of images",
    )
    if found.places is None and not _are_scenes(found, options):
        reason = (
            "movement needs places, from layout=tracks and values=A,B for their columns"
        )
        _refuse(options, MOVEMENT_OPTIONS, reason)
    return found


def _read_file(path: Path, options: ReadOptions) -> Sequences:
    kind = path.suffix.lower()
    if kind not in FILES:
        raise ValueError(
            f"{path}: unknown extension {kind or '(none)'!r}; expected one of {' '.join(FILES)}"
        )
    if kind in TABLES:
        return _from_table(*_read_table(path, options), source=str(path))
    with located(path):
        if kind != ".ts":
            return read_numpy(path, options)
        _refuse(options, COLUMN_OPTIONS, "a .ts file describes its own columns")
        return read_ts(path)


def _read_table(
    path: Path, options: ReadOptions
) -> tuple[pd.DataFrame, ReadOptions, list[str]]:
    """A file of rows as a frame, the options with what is known of its columns, and notes."""
    kind = path.suffix.lower()
    with located(path):
        if kind in GEOGRAPHIC:
            frame = read_gpx(path) if kind == ".gpx" else read_geojson(path)
            layout = options.layout or "tracks"
            return (
                frame,
                replace(options, layout=layout, values=options.values or ()),
                [],
            )
        if kind in (".parquet", ".pq"):
            return read_parquet(path), options, []
        return read_delimited(path, options)


def _from_table(
    frame: pd.DataFrame,
    options: ReadOptions,
    notes: list[str] | None = None,
    source: str = "frame",
) -> Sequences:
    """The series, tracks or scenes of a table."""
    with located(source):
        if not is_track_table(frame, options):
            return from_frame(frame, options, source, notes or [])
        tracks = from_fixes(frame, options, source, notes or [])
        return as_scenes(tracks, options) if options.layout == "scene" else tracks


def _read_folder(folder: Path, options: ReadOptions) -> Sequences:
    """One series a file, all of one type; in a folder of folders the inner ones are the labels."""
    if options.layout not in (None, "folder", "tracks", "scene"):
        raise ValueError(
            "expected layout folder (one series a file), tracks or scene for a folder, "
            f"got {options.layout!r}; for another layout name one of its files"
        )
    files = _visible(folder)
    labeled = bool(files) and all(file.is_dir() for file in files)
    if labeled:
        files = [file for inner in files for file in _visible(inner)]
    _check_files(folder, files)
    if options.layout == "scene":
        parts = _scenes(files, options)
    elif files[0].suffix.lower() == ".npy":
        options = replace(options, layout="recording")
        parts = {file: _read_file(file, options) for file in files}
    else:
        parts = _series_or_tracks(files, options)
    if not parts:
        raise ValueError("no track has two fixes or more")
    found = _joined(folder, parts, labeled)
    if len(parts) == len(files):
        return found
    note = f"{len(files) - len(parts)} files of a single fix are left out"
    return replace(found, notes=(*found.notes, note))


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _check_files(folder: Path, files: list[Path]) -> None:
    """ValueError unless the files are of one type that can hold a series each."""
    splits = [
        file.name for file in files if file.stem.upper().endswith(("_TRAIN", "_TEST"))
    ]
    if splits:
        raise ValueError(
            f"holds the splits {listed(splits)} of a set; name one of these files"
        )
    allowed = (*TABLES, ".npy")
    kinds = {file.suffix.lower() for file in files}
    strays = [file for file in files if file.suffix.lower() not in allowed]
    if strays or len(kinds) != 1:
        names = listed(file.relative_to(folder) for file in strays)
        raise ValueError(
            f"expected files of one type with one series each ({' '.join(allowed)}), got "
            f"{names or listed(sorted(kinds)) or 'none'}; move others away, or name one file"
        )


def _series_or_tracks(files: list[Path], options: ReadOptions) -> dict[Path, Sequences]:
    """Tracks from each file if the first holds some, else one series. Single fixes are left out."""
    geographic = files[0].suffix.lower() in GEOGRAPHIC
    layout = "tracks" if geographic or options.layout == "tracks" else "recording"
    tables = [_read_table(file, replace(options, layout=layout)) for file in files]
    frame, own, _ = tables[0]
    if layout == "recording" and is_track_table(frame, replace(own, layout=None)):
        layout = "tracks"
    parts = {}
    for file, (frame, own, notes) in zip(files, tables, strict=True):
        if layout == "recording" or len(frame) > 1:
            parts[file] = _from_table(
                frame, replace(own, layout=layout), notes, str(file)
            )
    return parts


def _scenes(files: list[Path], options: ReadOptions) -> dict[Path, Sequences]:
    """The scenes of each file, which has a clock of its own; all have room for as many agents."""
    parts = {file: _read_file(file, options) for file in files}
    widest = max(parts.values(), key=lambda part: part.n_channels).frame
    assert widest is not None
    options = replace(options, agents=widest[1])
    for file, part in parts.items():
        if part.frame != widest:
            parts[file] = _read_file(file, options)
    return parts


def _joined(folder: Path, parts: dict[Path, Sequences], labeled: bool) -> Sequences:
    """The series of all files; ValueError when the columns of one differ from the first's."""
    name = next(iter(parts)).name
    first = next(iter(parts.values()))
    ids: list[str] = []
    labels: list[str] = []
    for file, part in parts.items():
        if _columns(part) != _columns(first):
            raise ValueError(
                f"{part.source}: expected the columns of {name} ({listed(first.channels)}), got "
                f"{listed(part.channels)}; name the columns to read with values=, time="
            )
        ids += _ids(str(file.relative_to(folder)), part)
        if labeled:
            labels += [file.parent.name] * len(part)
        elif part.labels is not None:
            labels += part.labels.tolist()
    notes = [
        f"layout folder: {len(parts)} files, {len(ids)} series; all read like {name}"
    ]
    if labeled:
        notes.append("labels are the names of the inner folders")
    elif 0 < len(labels) < len(ids):
        notes.append("some files have no labels: there are none")

    def joined(field: str) -> Any:
        if getattr(first, field) is None:
            return None
        return list(
            itertools.chain.from_iterable(getattr(p, field) for p in parts.values())
        )

    has_labels = len(labels) == len(ids)
    return replace(
        first,
        values=joined("values"),
        labels=np.array(labels) if has_labels else None,
        task="classification" if labeled else first.task if has_labels else None,
        ids=ids,
        times=joined("times"),
        source=str(folder),
        notes=(*notes, *first.notes),
        places=joined("places"),
    )


def _columns(part: Sequences) -> tuple[list[str], bool, bool]:
    """What the files of a folder share: the channels, and the kind of their times and places."""
    return part.channels, part.times is None, part.degrees


def _ids(file: str, part: Sequences) -> list[str]:
    """The name of the file, with the name of the series where it holds several."""
    if len(part) == 1:
        return [file]
    return [f"{file}:{name}" for name in part.ids]
