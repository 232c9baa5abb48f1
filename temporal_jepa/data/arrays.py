"""Arrays to series: .ts files of the UEA archive, .npy and .npz files, arrays in memory."""

from __future__ import annotations

import contextlib
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
from .delimited import is_recording, read_text
from .sequences import Array, Sequences, listed, located
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


def read_ts(path: Path) -> Sequences:
    """A .ts file: a header, then one series a line, ``channel:channel:label``, "?" is missing.

    Lengths may differ between series, and between channels of a series (the shorter is padded with
    NaN).

    Raises:
        ValueError: with the line, for timestamps, a wrong number of channels or values, and an
            unknown label.
    """
    text, notes = read_text(path)
    header, rows = _ts_header(text)
    kind = "target" if header.get("@targetlabel", "").startswith("true") else "class"
    labeled, *classes = header.get(f"@{kind}label", "false").split()
    equal = header.get("@equallength") == "true"
    length = int(header.get("@serieslength") or 0) if equal else 0
    series = []
    labels = []
    for number, line in rows:
        with located(f"line {number}"):
            if labeled == "true":
                line, _, label = line.rpartition(":")
                labels.append(_ts_label(label.strip(), classes))
            series.append([_ts_numbers(field, length) for field in line.split(":")])
            width = int(header.get("@dimensions") or len(series[0]))
            if len(series[-1]) != width:
                raise ValueError(
                    f"expected {width} channels, got {len(series[-1])}; is the file cut short?"
                )
    notes.append(
        f".ts: the {kind} label is last in each line" if labels else ".ts: no labels"
    )
    return Sequences(
        _padded(series, notes),
        labels=np.array(labels) if labels else None,
        source=str(path),
        notes=tuple(notes),
    )


def _ts_header(text: str) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """The header in lower case by its keys, and the lines of series with their numbers."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and line[0] not in "#%"]
    starts = [at for at, (_, line) in enumerate(lines, 1) if line.lower() == "@data"]
    if not starts or starts[0] == len(lines):
        raise ValueError("expected series after a line @data; is the file cut short?")
    rows = lines[starts[0] :]
    header = {}
    for _, line in lines[: starts[0]]:
        key, _, value = line.lower().partition(" ")
        header[key] = value.strip()
    if header.get("@timestamps") == "true" or "(" in rows[0][1]:
        raise ValueError(
            ".ts files with timestamps are not read; write the values alone, or a long table (id, "
            "time, values) as .csv"
        )
    return header, rows


def _ts_label(label: str, classes: list[str]) -> str:
    """The label; ValueError when the header names others, as text and as numbers (1.0 and 1)."""
    with contextlib.suppress(ValueError):
        if float(label) in map(float, classes):
            return label
    if classes and label.lower() not in classes:
        raise ValueError(
            f"the label {label!r} is not among {listed(classes)}; is the file cut short?"
        )
    return label


def _ts_numbers(field: str, length: int) -> Array:
    """The values of a channel; ValueError unless they are numbers, and `length` (if not 0)."""
    try:
        numbers = np.array(field.replace("?", "nan").split(","), dtype=np.float64)
    except ValueError as error:
        got = str(error).rpartition(": ")[2]
        raise ValueError(f"expected numbers, commas and '?', got {got}") from error
    if length and len(numbers) != length:
        raise ValueError(
            f"expected {length} values in each channel (@seriesLength), got {len(numbers)}; is "
            "the file cut short?"
        )
    return numbers


def _padded(series: list[list[Array]], notes: list[str]) -> list[Array]:
    """The channels of each series as ``(time, channels)``, NaN after the end of a short one."""
    out = []
    padded = 0
    for channels in series:
        lengths = [len(channel) for channel in channels]
        padded += min(lengths) < max(lengths)
        out.append(np.full((max(lengths), len(channels)), np.nan))
        for i, channel in enumerate(channels):
            out[-1][: len(channel), i] = channel
    if padded:
        notes.append(
            f"{padded} series have channels of unequal length, padded with NaN"
        )
    return out


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
