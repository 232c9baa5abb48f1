"""Files that already are sets of series: .ts of the UEA archive and aeon, .npy and .npz of NumPy."""

from __future__ import annotations

import struct
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config import ReadOptions
from .delimited import COLUMN_OPTIONS, is_recording, read_text
from .sequences import Sequences, listed
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
NPY_START = b"\x93NUMPY"
MAPPED_BYTES = 2**26  # larger .npy files stay on disk and are read through a memory map


def read_ts(path: Path) -> Sequences:
    """A .ts file: header lines with @, then one series a line, ``channel:channel:label``, "?" is missing.

    Lengths may differ between series, and between channels of a series (the shorter is padded with NaN).
    Raises ValueError with the line for timestamps, a wrong number of channels or values, an unknown label.
    """
    text, notes = read_text(path)
    header, rows = _ts_header(path, text)
    if header.get("timestamps", "false").lower() == "true" or "(" in rows[0][1]:
        raise ValueError(
            f"{path}: .ts files with timestamps are not read; write the values alone, or a long table "
            f"(id, time, values) as .csv"
        )
    kind = "target" if header.get("targetlabel", "false").lower().startswith("true") else "class"
    has_label, *classes = header.get(f"{kind}label", "false").split()
    labelled = has_label.lower() == "true"
    width = int(header["dimensions"]) if header.get("dimensions", "").isdigit() else None
    length = (
        header.get("serieslength", "") if header.get("equallength", "").lower() == "true" else ""
    )
    values = []
    labels = []
    padded = 0
    for number, line in rows:
        where = f"{path}, line {number}"
        *fields, label = line.split(":") if labelled else [*line.split(":"), ""]
        width = width or len(fields)
        if len(fields) != width:
            raise ValueError(
                f"{where}: expected {width} channels"
                + " and a label" * labelled
                + f", got {len(fields)}"
                + " and a label" * labelled
                + "; is the file cut short?"
            )
        if classes and not _known(label.strip(), classes):
            raise ValueError(
                f"{where}: the label {label.strip()!r} is not among {listed(classes)}; is the file cut "
                "short?"
            )
        channels = [
            _ts_numbers(field, where, int(length) if length.isdigit() else None) for field in fields
        ]
        padded += len({len(channel) for channel in channels}) > 1
        values.append(_padded(channels))
        labels.append(label.strip())
    if padded:
        notes.append(
            f"{padded} series have channels of unequal length: the shorter ones are padded with NaN"
        )
    notes.append(f".ts: the {kind} label is last in each line" if labelled else ".ts: no labels")
    return Sequences(
        values, np.array(labels) if labelled else None, source=str(path), notes=tuple(notes)
    )


def read_numpy(path: Path, options: ReadOptions) -> Sequences:
    """A .npy array or the arrays `X` and `y` of an .npz file, with the shapes of `from_array`."""
    notes: tuple[str, ...] = ()
    try:
        with path.open("rb") as file:
            start = file.read(6)
        if start[:2] == b"PK" or (path.suffix.lower() == ".npz" and start != NPY_START):
            array, y, notes = _read_npz(path)
        else:
            array = np.load(path, mmap_mode="r" if path.stat().st_size > MAPPED_BYTES else None)
            y = None
    except DAMAGED as error:
        reason = f"{(str(error) or 'no reason given').splitlines()[0]}; is it empty, cut short or damaged?"
        if "Object arrays" in str(error):
            reason = "it holds Python objects, and pickles are never loaded; pad unequal lengths with NaN"
        elif "pickle" in str(error):  # what NumPy makes of everything else
            reason = f"it is no {path.suffix} file, or cut short; write it with numpy.save or savez"
        elif "expected arrays" in str(error):
            reason = str(error)
        raise ValueError(f"{path}: not read: {reason}") from error
    return from_array(array, options, str(path), y, notes)


def _read_npz(path: Path) -> tuple[Any, Any, tuple[str, ...]]:
    """X, y or None, and notes."""
    with path.open("rb") as file, np.load(file) as archive:
        names = list(archive.files)
        name = "X" if "X" in names else names[0] if len(set(names) - {"y"}) == 1 else None
        if name is None:
            raise ValueError(f"expected arrays named X and y, got {listed(names) or 'none'}")
        y = archive["y"] if "y" in names else None
        return archive[name], y, () if name == "X" else (f"the array {name!r} was taken as X",)


def from_array(
    array: Any,
    options: ReadOptions,
    source: str = "arrays",
    y: Any = None,
    notes: Sequence[str] = (),
) -> Sequences:
    """Arrays ``(n, channels, time)``, ``(n, time)``, one recording ``(time,)`` or ``(time, channels)``, or a list.

    A tall and narrow 2-D array is taken as one recording; `options.layout` "wide" or "recording" settles it. For arrays
    of pictures see `from_frames`; others with four axes are scenes ``(n, time, agents, features)``.
    Raises ValueError for options that arrays cannot have, and what `Sequences.from_arrays` raises.
    """
    if named := [name for name in options.given(*COLUMN_OPTIONS) if name != "layout"]:
        raise ValueError(
            f"{source}: {listed(named)} name columns of a table, and arrays have none; leave them out"
        )
    if options.layout not in (None, "wide", "recording", "scene", "video"):
        raise ValueError(
            f"{source}: expected layout wide (rows are series), recording (rows are time), scene (agents) "
            f"or video (pictures), got {options.layout!r}"
        )
    lines = list(notes)
    if not isinstance(array, (list, tuple)):
        array = array if isinstance(array, np.ma.MaskedArray) else np.asarray(array)
        shape = array.shape
        tall = len(shape) == 2 and y is None and options.layout is None and is_recording(*shape)
        if (
            array.size
            and len(shape) < 3
            and (tall or len(shape) == 1 or options.layout == "recording")
        ):
            lines.append(
                f"an array of shape {shape} is one recording: rows are time (layout=wide: rows are series)"
            )
            array = array.reshape(1, len(array), -1).transpose(0, 2, 1)
        if array.size and (len(shape) > 3 or options.layout in ("scene", "video")):
            array, lines[len(lines) :] = from_frames(array, options.layout, source)
    try:
        found = Sequences.from_arrays(array, y)
    except ValueError as error:
        raise ValueError(f"{source}: {str(error).removeprefix('arrays: ')}") from error
    values, trimmed = trim(found.values)
    return replace(found, values=values, source=source, notes=(*lines, *found.notes, *trimmed))


def trim(values: list[npt.NDArray[np.float32]]) -> tuple[list[npt.NDArray[np.float32]], list[str]]:
    """Series without the missing timesteps at their ends, which padded files of unequal lengths have, and a note."""
    seen = [
        np.flatnonzero(~np.isnan(x).all(axis=1)) if np.isnan(x[-1]).all() else [len(x) - 1]
        for x in values
    ]
    ends = [
        int(at[-1]) + 1 if len(at) else len(x) for at, x in zip(seen, values, strict=True)
    ]  # no value: reported later
    cut = sum(end < len(x) for end, x in zip(ends, values, strict=True))
    note = f"padding (missing values at the end) cut off {cut} series: lengths {min(ends)} to {max(ends)}"
    return [x[:end] for end, x in zip(ends, values, strict=True)], [note] if cut else []


def _ts_header(path: Path, text: str) -> tuple[dict[str, str], list[tuple[int, str]]]:
    header: dict[str, str] = {}
    lines = [(i, line.strip()) for i, line in enumerate(text.splitlines(), 1)]
    lines = [(i, line) for i, line in lines if line and not line.startswith(("#", "%"))]
    for at, (_, line) in enumerate(lines):
        if line.lower() == "@data":
            if at + 1 == len(lines):
                raise ValueError(f"{path}: no series after @data; is the file cut short?")
            return header, lines[at + 1 :]
        name, _, value = line[1:].partition(" ")
        header[name.lower()] = value.strip()
    raise ValueError(f"{path}: no @data line; it is not a .ts file, or cut short")


def _known(label: str, classes: list[str]) -> bool:
    if label.casefold() in {name.casefold() for name in classes}:
        return True
    try:  # "1.0" in a line and "1" in the header
        return float(label) in {float(name) for name in classes}
    except ValueError:
        return False


def _ts_numbers(field: str, where: str, length: int | None) -> npt.NDArray[np.float64]:
    texts = field.replace("?", "nan").split(",")
    try:
        numbers = np.array(texts, dtype=np.float64)
    except ValueError as error:
        got = str(error).rpartition(": ")[2]
        raise ValueError(f"{where}: expected numbers, commas and '?', got {got}") from error
    if length is not None and len(numbers) != length:
        raise ValueError(
            f"{where}: expected {length} values in each channel (@seriesLength), got {len(numbers)}; is "
            "the file cut short?"
        )
    return numbers


def _padded(channels: list[npt.NDArray[np.float64]]) -> npt.NDArray[np.float32]:
    out = np.full((max(map(len, channels)), len(channels)), np.nan)
    for i, channel in enumerate(channels):
        out[: len(channel), i] = channel
    with np.errstate(over="ignore"):  # what does not fit becomes inf, which Sequences reports
        return out.astype(np.float32)
