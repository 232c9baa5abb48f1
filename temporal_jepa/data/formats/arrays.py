"""Arrays to series: .npy and .npz files, arrays in memory."""

from __future__ import annotations

import math
import tokenize
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from ...config import OF_TABLES, ReadOptions
from ..sequences import Array, Sequences, listed
from ..tables.columns import is_recording
from ..tables.readings import AmbiguousError, Reading, likely
from ..tables.series import trim
from ..video import from_frames
from .libraries import BROKEN, TooLargeError, check_size

DAMAGED = (
    ValueError,
    tokenize.TokenError,
    *BROKEN,
)  # what is raised for a broken file
NPY: Any = np.lib.format  # has no types
SHOWN = 8  # arrays that a question shows
MAPPED_BYTES = 2**26  # larger .npy files stay on disk and are read through a memory map


def read_numpy(path: Path, options: ReadOptions) -> Sequences:
    """A .npy array or the arrays `X` and `y` of an .npz file, with the shapes of `from_array`.

    The content of a file decides which of the two it is. Large .npy files are memory-mapped.

    Raises:
        AmbiguousError: several arrays hold numbers, and none is named X.
        ValueError: for a damaged file, and for arrays of Python objects, which are never loaded.
    """
    try:
        arrays = headers(path)
        name, labels, notes = choose_array(arrays, options.table)
        X = arrays[name].load()
        y = None if labels is None else arrays[labels].load()
    except DAMAGED as error:
        if isinstance(
            error, (ObjectsError, TooLargeError, ChoiceError, AmbiguousError)
        ):
            raise
        raise ValueError(
            "not read: expected arrays of numbers as numpy.save and numpy.savez write them; the "
            "file is empty, cut short or damaged"
        ) from error
    return from_array(X, replace(options, table=None), str(path), y, notes)


class ObjectsError(ValueError):
    """A file holds an array of Python objects."""


class ChoiceError(ValueError):
    """None of the arrays in a file can be read, or none has the name that was asked for."""


@dataclass(frozen=True)
class StoredArray:
    """An array in a .npy file or an .npz archive, of which only the header was read.

    Attributes:
        path: the file.
        member: the name of the array in an archive, None for a .npy file.
        shape: axes, whose values fit into what the file holds.
        dtype: type of the values.
    """

    path: Path
    member: str | None
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    def load(self) -> Array:
        """The values; those of a large .npy file stay on disk."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a header that Python 2 wrote
            return self._load()

    def _load(self) -> Array:
        if self.member is None:
            mapped = self.path.stat().st_size > MAPPED_BYTES
            return np.asarray(np.load(self.path, "r" if mapped else None))
        advice = "save the array with numpy.save if that is right: a .npy file is read from disk"
        check_size(self.size * self.dtype.itemsize, self.path, advice)
        with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as file:
            return np.asarray(NPY.read_array(file, allow_pickle=False))

    def __getitem__(self, index: Any) -> Any:
        return self.load()[index]


def read_array(path: Path) -> Array:
    """The array in a .npy file, whose header promises no more values than the file holds.

    Raises:
        ObjectsError: it holds Python objects.
        ValueError: it is no .npy file, or its header is damaged.
    """
    with path.open("rb") as file:
        header = _header(file, path.stat().st_size, path.name)
    return StoredArray(path, None, *header).load()


def headers(path: Path) -> dict[str, StoredArray]:
    """The arrays of a file by name; a .npy file holds one, "X"."""
    with path.open("rb") as file:
        if file.read(2) != b"PK":  # no zip archive
            file.seek(0)
            size = path.stat().st_size
            return {"X": StoredArray(path, None, *_header(file, size, "X"))}
    found = {}
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.filename.endswith(".npy"):
                continue
            name = info.filename.removesuffix(".npy")
            with archive.open(info) as member:
                header = _header(member, info.file_size, name)
            found[name] = StoredArray(path, info.filename, *header)
    return found


def _header(file: IO[bytes], size: int, name: str) -> tuple[tuple[int, ...], Any]:
    """The shape and the type of an array whose file has `size` bytes.

    Raises:
        ObjectsError: it holds Python objects.
        ValueError: the header is damaged, or promises more values than the file has.
    """
    version = NPY.read_magic(file)
    if version == (3, 0):
        raise ObjectsError(
            f"the array {name!r} has fields with names; save each field as an array of numbers"
        )
    reads = {
        (1, 0): NPY.read_array_header_1_0,
        (2, 0): NPY.read_array_header_2_0,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a header that Python 2 wrote
        shape, _, dtype = reads[version](file)
    if dtype.hasobject:
        advice = "numbers, and pad series of unequal length with NaN"
        if name.lower().startswith(("y", "label")):
            advice = f"text: {name}.astype(str)"
        raise ObjectsError(
            f"the array {name!r} holds Python objects, which are never loaded; save it as {advice}"
        )
    fits = math.prod(shape) * dtype.itemsize <= size and min(shape, default=1) >= 0
    if not fits or (shape and not dtype.itemsize):
        raise ValueError(f"the header promises an array {shape} of {dtype}")
    return shape, dtype


def _described(arrays: Mapping[str, Any]) -> str:
    """The names of arrays with the types of their values."""
    return listed(f"{name} ({array.dtype})" for name, array in arrays.items())


def choose_array(
    arrays: Mapping[str, Any], chosen: str | None
) -> tuple[str, str | None, list[str]]:
    """Which of the arrays in a file holds the series, which their labels, and notes.

    Args:
        arrays: the arrays by name. Labels of X are y, of X_train y_train.
        chosen: the option `table`.

    Raises:
        AmbiguousError: several arrays hold numbers, and none is named X.
        ChoiceError: no array holds numbers, or none has the chosen name.
    """
    partners = {name: _labels_of(name, arrays) for name in arrays}
    if chosen is not None:
        name = chosen.strip("/")
        if name not in arrays:
            raise ChoiceError(
                f"table={chosen!r}: expected an array, got {listed(arrays) or 'none'}"
            )
        return name, partners[name], []
    name = _array_of_series(arrays, {*partners.values()})
    notes = [] if name == "X" else [f"the array {name!r} was taken as X"]
    left = [other for other in arrays if other not in (name, partners[name])]
    if left:
        notes.append(f"arrays left out: {listed(left)}")
    return name, partners[name], notes


def _array_of_series(arrays: Mapping[str, Any], labels: set[str | None]) -> str:
    """The array X, or the only one of numbers that are no labels.

    Raises:
        AmbiguousError: several arrays hold numbers, and none is named X.
        ChoiceError: no array holds numbers.
    """
    numeric = []
    for name, array in arrays.items():
        if array.dtype.kind in "fiubV" and name not in labels:
            numeric.append(name)
    if not numeric:
        raise ChoiceError(
            f"expected an array of numbers, got {_described(arrays) or 'none'}"
        )
    if "X" in numeric:
        return "X"
    if len(numeric) > 1:
        readings = [_reading(name, arrays[name]) for name in numeric[:SHOWN]]
        raise AmbiguousError(
            f"{len(numeric)} arrays hold numbers ({listed(numeric)})", readings
        )
    return numeric[0]


def _labels_of(name: str, arrays: Mapping[str, Any]) -> str | None:
    """The array of the labels of an array, by their names: X and y, x_train and y_train."""
    folder, slash, last = name.rpartition("/")
    if last[:1] not in ("X", "x"):
        return None
    label = f"{folder}{slash}y{last[1:]}"
    if label not in arrays or (name == "x" and arrays[name].ndim < 2):
        return None  # x and y are coordinates
    return label if name == "X" or arrays[label].ndim == 1 else None


def _reading(name: str, array: Any) -> Reading:
    """An array as one of several that could be read."""
    shape = " x ".join(map(str, array.shape))
    first: Any = array[(0,) * (array.ndim - 1)] if array.size else []
    rows = [[str(value) for value in np.atleast_1d(first)[:4].tolist()]]
    return Reading(f"{shape}, {array.dtype}", {"table": name}, (), rows)


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
    _check_options(options)
    lines = list(notes)
    if not isinstance(array, (list, tuple)):
        array = np.asanyarray(array)
        _check_array(array)
        array, more = _as_series(array, options.layout, y is not None)
        lines += more
    found = Sequences.from_arrays(array, y, source)
    values, trimmed = trim(found.values)
    return replace(found, values=values, notes=(*lines, *found.notes, *trimmed))


def _check_options(options: ReadOptions) -> None:
    """ValueError for options that arrays cannot have."""
    given = [name for name in options.given(*OF_TABLES) if name != "layout"]
    if given:
        raise ValueError(
            f"{listed(f'{name}=' for name in given)} are about columns of a table, and arrays "
            "have none; leave them out"
        )
    if options.layout not in (None, "wide", "recording", "scene", "video"):
        raise ValueError(
            "expected layout wide (rows are series), recording (rows are time), scene (agents) or "
            f"video (frames) for an array, got {options.layout!r}"
        )


def _check_array(array: Array) -> None:
    """ValueError for a single number and for an array of records."""
    if not array.ndim:
        raise ValueError(f"expected an array of series, got a {array.dtype} alone")
    if not array.size and len(array):
        raise ValueError(
            f"expected values, got an array of shape {array.shape} without any"
        )
    if array.dtype.names:
        raise ValueError(
            f"a structured array with the fields {listed(array.dtype.names)}; pass it as "
            "pandas.DataFrame(array) to read"
        )


def _as_series(
    array: Array, layout: str | None, labeled: bool
) -> tuple[Array, list[str]]:
    """An array with the series on its first axis, and notes on how it is read."""
    holds_frames = layout in ("scene", "video") or (layout is None and array.ndim > 3)
    if array.size and holds_frames:
        return from_frames(array, layout)
    if array.size and is_one_series(array, layout, labeled):
        series = array.reshape(1, len(array), -1).transpose(0, 2, 1)
        return series, [note_on_recording(array.shape)]
    return array, notes_on_axes(array, layout, labeled)


def note_on_recording(shape: tuple[int, ...]) -> str:
    """The note that an array is one recording."""
    return (
        f"an array of shape {shape} is one recording: rows are time (layout=wide: rows are "
        "series)"
    )


def notes_on_axes(array: Array, layout: str | None, labeled: bool) -> list[str]:
    """The note that the rows of an array are series, where that was inferred."""
    if not array.size or array.ndim != 2 or layout is not None or labeled:
        return []
    line = f"an array of shape {array.shape}: rows are series"
    return [likely(line, "layout='recording'")]


def is_one_series(array: Array, layout: str | None, labeled: bool) -> bool:
    """Whether an array is one recording: it has one axis, or is tall, narrow and has no labels."""
    if array.ndim != 2:
        return array.ndim == 1
    if layout is None:
        return not labeled and is_recording(*array.shape)
    return layout == "recording"
