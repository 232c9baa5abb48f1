"""Arrays to series: .npy and .npz files, arrays in memory."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..config import ReadOptions
from .delimited import is_recording
from .sequences import Array, Sequences, listed
from .video import from_frames

DAMAGED = (  # what NumPy and zipfile raise for a broken file
    ValueError,
    TypeError,
    EOFError,
    RuntimeError,
    SyntaxError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
MAPPED_BYTES = 2**26  # larger .npy files stay on disk and are read through a memory map


def read_numpy(path: Path, options: ReadOptions) -> Sequences:
    """A .npy array or the arrays `X` and `y` of an .npz file, with the shapes of `from_array`.

    The content of a file decides which of the two it is. Large .npy files are memory-mapped.

    Raises:
        ValueError: for a damaged file, and for arrays of Python objects, which are never loaded.
    """
    try:
        arrays = _load(path)
    except DAMAGED as error:
        raise ValueError(
            "not read: expected arrays of numbers as numpy.save and numpy.savez write them; the "
            "file is empty, cut short or damaged, or holds Python objects, which are never loaded "
            "(pad series of unequal length with NaN)"
        ) from error
    y = arrays.pop("y", None)
    names = list(arrays)
    if "X" in names:
        return from_array(arrays["X"], options, str(path), y)
    if len(names) != 1:
        raise ValueError(
            f"expected arrays named X and y, got {listed(names) or 'none'}"
        )
    notes = [f"the array {names[0]!r} was taken as X"]
    return from_array(arrays[names[0]], options, str(path), y, notes)


def _load(path: Path) -> dict[str, Any]:
    """The arrays of a file by name; a .npy file holds one, "X"."""
    with path.open("rb") as file:
        if file.read(2) == b"PK":  # a zip archive
            file.seek(0)
            with np.load(file) as archive:
                return dict(archive)
    mapped = path.stat().st_size > MAPPED_BYTES
    return {"X": np.load(path, mmap_mode="r" if mapped else None)}


def from_array(
    array: Any,
    options: ReadOptions,
    source: str = "arrays",
    y: Any = None,
    notes: Iterable[str] = (),
) -> Sequences:
    """Arrays ``(n, channels, time)`` or ``(n, time)``, a list of series, or one recording.

    A recording is ``(time,)`` or ``(time, channels)``; a tall and narrow array is taken as one.
    `options.layout` "wide" or "recording" decides. Arrays of video frames and of scenes have more
    axes, see `from_frames`.

    Raises:
        ValueError: for options that arrays cannot have, and as `Sequences.from_arrays`.
    """
    columns = options.given("id", "time", "label", "values")
    if columns:
        raise ValueError(
            f"{listed(columns)} name columns of a table, and arrays have none; leave them out"
        )
    layout = options.layout
    if layout not in (None, "wide", "recording", "scene", "video"):
        raise ValueError(
            "expected layout wide (rows are series), recording (rows are time), scene (agents) or "
            f"video (frames) for an array, got {layout!r}"
        )
    lines = list(notes)
    if not isinstance(array, (list, tuple)):
        array = np.asanyarray(array)
        if not array.ndim:
            raise ValueError(f"expected an array of series, got a {array.dtype} alone")
        holds_frames = layout in ("scene", "video") or (
            layout is None and array.ndim > 3
        )
        if array.size and holds_frames:
            array, more = from_frames(array, layout)
            lines += more
        elif array.size and _is_one_series(array, layout, y is not None):
            lines.append(
                f"an array of shape {array.shape} is one recording: rows are time (layout=wide: "
                "rows are series)"
            )
            array = array.reshape(1, len(array), -1).transpose(0, 2, 1)
    found = Sequences.from_arrays(array, y, source)
    values, trimmed = trim(found.values)
    return replace(found, values=values, notes=(*lines, *found.notes, *trimmed))


def _is_one_series(array: Array, layout: str | None, labeled: bool) -> bool:
    """Whether an array is one recording: it has one axis, or is tall, narrow and has no labels."""
    if array.ndim != 2:
        return array.ndim == 1
    if layout is None:
        return not labeled and is_recording(*array.shape)
    return layout == "recording"


def trim(values: list[Array]) -> tuple[list[Array], list[str]]:
    """Series without missing timesteps at their ends, and a note.

    Files of series of unequal length pad them so. A series without any value stays as it is.
    """
    trimmed = []
    for x in values:
        end = len(x)
        if np.isnan(x[-1]).all():
            observed = np.flatnonzero(~np.isnan(x).all(axis=1))
            end = observed[-1] + 1 if observed.size else end
        trimmed.append(x[:end])
    lengths = [len(x) for x in trimmed]
    count = sum(len(x) < len(old) for x, old in zip(trimmed, values, strict=True))
    if not count:
        return trimmed, []
    return trimmed, [
        f"padding (missing values at the end) cut off {count} series: lengths {min(lengths)} to "
        f"{max(lengths)}"
    ]
