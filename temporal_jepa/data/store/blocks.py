"""Arrays in parts: each is a block of series, or of timesteps of a recording."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...config import OF_TABLES, ReadOptions
from ..formats.arrays import (
    DAMAGED,
    MAPPED_BYTES,
    StoredArray,
    choose_array,
    from_array,
    headers,
    is_one_series,
    note_on_recording,
    notes_on_axes,
)
from ..formats.hdf5 import datasets_of, labels_of, own_values
from ..formats.libraries import check_ratio
from ..lazy import HeldArrays
from ..notes import PADDED
from ..reader import checked
from ..sequences import Sequences
from .part import WHOLE, NotInPartsError, Part
from .unpacked import unpacked

BLOCK = 2**25  # bytes of a part


def array_parts(
    path: Path, kind: str, options: ReadOptions, folder: Path, begin: Any
) -> Generator[Part]:
    """An array in a file by blocks of its first axis.

    Args:
        path: the file.
        kind: its extension.
        options: how to read it.
        folder: for the values of a compressed array.
        begin: the series, or the timestep, at which a part begins; None for the first.

    Raises:
        NotInPartsError: for an array of other axes, or of few values.
    """
    if kind in (".npy", ".npz"):
        yield from _numpy(path, options, folder, begin)
        return
    with datasets_of(path) as arrays:
        name, label, notes = choose_array(arrays, options.table)
        array = own_values(arrays[name])
        labels = None if label is None else labels_of(own_values(arrays[label]))
        yield from _blocks(path, array, labels, options, begin, notes)


def _numpy(
    path: Path, options: ReadOptions, folder: Path, begin: Any
) -> Generator[Part]:
    """A .npy file, or the arrays of an .npz archive."""
    try:
        arrays = headers(path)
        name, label, notes = choose_array(arrays, options.table)
        stored = arrays[name]
        labels = None if label is None else arrays[label].load()
        array = _mapped(stored, folder)
    except DAMAGED as error:  # reading it as a whole says what is wrong
        raise NotInPartsError("it is damaged") from error
    yield from _blocks(path, array, labels, options, begin, notes)


def _mapped(stored: StoredArray, folder: Path) -> Any:
    """The values on disk; those of an archive are copied first."""
    size = stored.size * stored.dtype.itemsize
    if size <= max(WHOLE, MAPPED_BYTES):
        raise NotInPartsError("it holds few values")
    if stored.member is None:
        return np.load(stored.path, mmap_mode="r")
    check_ratio(size, stored.path, "save the array with numpy.save if that is right")
    member = stored.member

    def write(out: Path) -> None:
        with (
            zipfile.ZipFile(stored.path) as archive,
            archive.open(member) as source,
            out.open("wb") as target,
        ):
            shutil.copyfileobj(source, target, 2**22)

    return np.load(unpacked(folder, "array.npy", write), mmap_mode="r")


def _blocks(
    path: Path,
    array: Any,
    labels: Any,
    options: ReadOptions,
    begin: Any,
    notes: list[str],
) -> Generator[Part]:
    """An array of series, or a recording ``(time, channels)``, some of its first axis at a time."""
    is_plain = array.dtype.kind in "fiub" and array.size > 0
    if not is_plain or array.nbytes <= WHOLE or options.given(*OF_TABLES):
        raise NotInPartsError("it holds few values, or options of tables are given")
    own = replace(options, table=None)
    if array.ndim == 2 and is_one_series(array, options.layout, labels is not None):
        yield from _recording(path, array, own, begin, notes)
        return
    if array.ndim not in (2, 3) or len(array) < 2 or options.layout == "video":
        raise NotInPartsError(f"its shape is {array.shape}")
    if array.ndim == 2:
        lines = notes_on_axes(array, options.layout, labels is not None)
        notes = [*notes, *lines]
        own = replace(own, layout="wide")
    yield from _series(path, array, labels, own, begin, notes)


def _series(
    path: Path,
    array: Any,
    labels: Any,
    options: ReadOptions,
    begin: Any,
    notes: list[str],
) -> Generator[Part]:
    """Series ``(n, channels, time)`` or ``(n, time)``."""
    if labels is not None and len(labels) != len(array):
        raise NotInPartsError("it has other labels than series")
    size = max(1, BLOCK // max(array[:1].nbytes, 1))
    for start in range(begin or 0, len(array), size):
        stop = min(start + size, len(array))
        y = None if labels is None else labels[start:stop]
        block = np.array(array[start:stop])
        found = from_array(block, options, str(path), y, () if start else notes)
        found = replace(found, ids=[str(k) for k in range(start, stop)])
        yield Part(checked(found, options), stop, stop, len(array))


def _recording(
    path: Path, array: Any, options: ReadOptions, begin: Any, notes: list[str]
) -> Generator[Part]:
    """Timesteps of one recording, without missing ones at its end."""
    size = max(1, BLOCK // max(array[:1].nbytes, 1))
    end = _observed_end(array, size)
    for start in range(begin or 0, end, size):
        stop = min(start + size, end)
        block = np.array(array[start:stop], np.float64)
        found = Sequences(
            HeldArrays([block]),
            ids=["0"],
            channels=[str(k) for k in range(array.shape[1])],
            source=str(path),
            notes=_notes(array, end, notes) if start == 0 else (),
        )
        is_last = stop == end
        piece: Any = "last" if is_last else "open"
        yield Part(checked(found, options), stop, stop, end, piece=piece)


def _observed_end(array: Any, size: int) -> int:
    """Behind the last timestep with a value; all of them where none has one."""
    end = len(array)
    while end:
        block = np.array(array[max(0, end - size) : end], np.float64)
        seen = np.flatnonzero(~np.isnan(block).all(axis=1))
        if len(seen):
            return max(0, end - size) + int(seen[-1]) + 1
        end = max(0, end - size)
    return len(array)


def _notes(array: Any, end: int, notes: list[str]) -> tuple[str, ...]:
    """What `read` says of a recording."""
    cut = [PADDED.format(1, end, end)] if end < len(array) else []
    return (*notes, note_on_recording(array.shape), *cut)
