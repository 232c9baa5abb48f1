"""Files, frames and arrays in, `Sequences` out: `read` is the one entry point.

from temporal_jepa.data import read
sequences = read("data.csv", id="track", values=["x", "y"], window=60)
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import OF_TABLES, RENAMED_READ_OPTIONS, ReadOptions
from .folders import read_folder
from .formats.libraries import understood
from .formats.registry import OF_FILES, read_file
from .labels import with_task
from .memory import from_memory
from .sequences import Sequences, did_you_mean, listed, located
from .store.description import is_store, read_description, stored_options
from .store.opening import sequences_of
from .store.remote import local
from .store.unfinished import refuse_no_store
from .trajectories import MOVEMENT_OPTIONS, check_features
from .video import CLIP, VIDEO_OPTIONS, holds_video, read_video

OF_STORES = ("window", "stride", "task")  # options that apply to a store
LONG = 1000  # timesteps from which a note on a single series names the option window


def read(data: Any, options: ReadOptions | None = None, **keywords: Any) -> Sequences:
    """Read sequences from a file, a folder, a pandas object, or arrays.

    Args:
        data: path of a file, folder (docs/data.md lists the formats) or store; the address of a
            store, as `s3://bucket/data.store`; a table of pandas, polars, pyarrow or duckdb, or a
            list of tables; an array or tensor (n, channels, time) or (n, time); a list of arrays
            (channels, time_i); xarray; a map-style Dataset of PyTorch, whose items are (channels,
            time_i), alone or with a label; or `Sequences`.
        options: how to read, see `ReadOptions`.
        **keywords: the fields of `ReadOptions`, in place of `options`.

    Returns:
        The sequences. Each entry of their `notes` states one thing that was inferred.

    Raises:
        ValueError: for data or options that cannot be used, with what was expected and found.
        FileNotFoundError: when there is no such file.
        ModuleNotFoundError: when a format needs a package that is not installed.

    >>> import pandas as pd
    >>> table = pd.DataFrame({"id": list("aab"), "day": [1, 2, 1], "heat": [3.0, 4.0, 5.0]})
    >>> found = read(table)
    >>> found.ids, found.channels, found.lengths.tolist()
    (['a', 'b'], ['heat'], [2, 1])
    """
    options = _options_from(options, keywords)
    check_features(options)
    data = local(data)
    if is_store(data):
        return _read_store(Path(data), options)
    found, clip = read_whole(data, options)
    return _cut(found, options, clip)


def read_whole(data: Any, options: ReadOptions) -> tuple[Sequences, int | None]:
    """As `read`, before series are cut; and the default window, which only frames have."""
    found, clip = read_unchecked(data, options)
    found = with_task(found.check_observed(), options.task)
    constant = [] if found.is_stored else found.constant()
    return with_constant(found, len(constant), constant), clip


def with_constant(found: Sequences, count: int, names: Sequence[str]) -> Sequences:
    """The same sequences with a note on those that never change, of which some are named."""
    if not count:
        return found
    note = f"constant throughout: {count} of {len(found)} series ({listed(names)})"
    return replace(found, notes=(*found.notes, note))


def read_unchecked(data: Any, options: ReadOptions) -> tuple[Sequences, int | None]:
    """As `read_whole`, before anything is said about all series together."""
    is_video = isinstance(data, (str, Path)) and holds_video(Path(data))
    if is_video:
        found = _read_video(Path(data), options)
    elif isinstance(data, (str, Path)):
        found = checked(_from_path(Path(data), options), options)
    else:
        reason = "options of files do not apply to objects in memory"
        _refuse(options, OF_FILES, reason)
        found = checked(from_memory(data, options), options)
    return found, default_window(found, options, is_video)


def _cut(found: Sequences, options: ReadOptions, clip: int | None) -> Sequences:
    """The series, or windows of them as requested; `clip` is the default window."""
    scenes = _are_scenes(found, options)  # `as_scenes` has cut them
    window = clip if options.window is None else options.window
    if window is not None and not scenes:
        return found.windows(window, options.stride)
    if len(found) > 1 or found.lengths[0] < LONG:
        return found
    note = (
        f"one series of {found.lengths[0]} timesteps: window=LENGTH cuts it into many"
    )
    return replace(found, notes=(*found.notes, note))


def _read_store(path: Path, options: ReadOptions) -> Sequences:
    """The sequences of a store, cut into windows as requested."""
    content = read_description(path)
    check_options_of_store(path, content, options)
    found = with_task(sequences_of(path, content), options.task)
    options = replace(options, layout=content["options"].get("layout"))
    return _cut(found, options, content["clip"])


def check_options_of_store(
    path: Path, content: Mapping[str, Any], options: ReadOptions
) -> None:
    """ValueError for an option with which the store was not made and that can no longer apply."""
    stored = stored_options(path, content)
    wrong = [
        name
        for name in options.given()
        if name not in OF_STORES and getattr(options, name) != getattr(stored, name)
    ]
    if wrong:
        named = listed(f"{name}=" for name in wrong)
        raise ValueError(
            f"{path} is a store, whose source was read when it was made; leave out {named}, or "
            "make a store with it: temporal-jepa prepare"
        )


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


def recording_window(length: int) -> int | None:
    """Timesteps of the windows into which training cuts a single recording of `length`.

    An eighth of it, at most 256; None for a recording too short for windows of 8.
    """
    window = min(length // 8, 256)
    return window if window >= 8 else None


def default_window(
    found: Sequences, options: ReadOptions, is_video: bool
) -> int | None:
    """Timesteps of the windows into which frames are cut by default, None for others."""
    if _are_scenes(found, options):
        return None
    rows = 1 if found.frame is None else found.frame[0]
    if is_video or (rows > 1 and len(found) == 1):
        return min(CLIP, int(found.lengths.max()))
    return None


def _are_scenes(found: Sequences, options: ReadOptions) -> bool:
    """Whether tracks became scenes; scenes that come as an array have no times."""
    return options.layout == "scene" and found.times is not None


def _read_video(path: Path, options: ReadOptions) -> Sequences:
    with located(path):
        refuse_for_video(options)
        return read_video(path, options)


def refuse_for_video(options: ReadOptions) -> None:
    """ValueError for options that do not apply to video."""
    names = [*OF_TABLES, *OF_FILES, *MOVEMENT_OPTIONS]
    if options.layout in ("video", "folder"):
        names.remove("layout")
    _refuse(options, names, "options of tables and tracks do not apply to video")


def _from_path(path: Path, options: ReadOptions) -> Sequences:
    """The sequences of a file, or of a folder."""
    with contextlib.suppress(OSError):  # a name that is too long
        refuse_no_store(path)
    try:
        is_there = path.exists()
    except OSError as error:  # a name that is too long
        raise FileNotFoundError(f"no file or folder: {error.strerror}") from error
    if not is_there:
        hint = did_you_mean(path.name, (other.name for other in path.parent.glob("*")))
        raise FileNotFoundError(f"no file or folder {path}{hint}")
    with located(path), understood(path):
        if path.is_dir():
            return read_folder(path, options)
        if not path.is_file():
            raise ValueError("expected a file or a folder, got a pipe or a device")
        if options.layout == "folder":
            raise ValueError("layout folder expects a folder with one series a file")
        return read_file(path, options)


def checked(found: Sequences, options: ReadOptions) -> Sequences:
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
