"""The parts of a source: series that are read together and written one after the other."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...config import OF_TABLES, ReadOptions
from ..formats.arrays import MAPPED_BYTES, choose_array, from_array
from ..formats.hdf5 import datasets_of, labels_of, own_values
from ..formats.registry import kind_of
from ..reader import checked, read_unchecked
from ..sequences import Sequences
from .columnar import parquet_parts
from .rows import RowReader, read_rows, with_parser
from .scattered import scattered
from .text import LONGEST, NotInPartsError, cuts, plan_text

WHOLE = 2**26  # bytes up to which a file is read as a whole
BLOCK = 2**25  # bytes of an array that are one part
TEXT = (".csv", ".tsv", ".txt")
PARQUET = (".parquet", ".pq")
HDF5 = (".h5", ".hdf5", ".hdf")


class Part(NamedTuple):
    """Some series of a source.

    Attributes:
        sequences: the series.
        next: where the next part begins, in JSON; what `parts_of` starts from.
        done: how much of the source has been read, of `total`.
        total: the size of the source.
        clip: timesteps of the windows into which video is cut by default, None for others.
        unique: whether another part with one of these ids means that rows of one series do not
            stand together.
    """

    sequences: Sequences
    next: Any
    done: int
    total: int
    clip: int | None = None
    unique: bool = False


def parts_of(
    path: Path, options: ReadOptions, jobs: int, folder: Path, state: dict[str, Any]
) -> Generator[Part]:
    """The parts of a file or folder.

    What cannot be read in parts, or is small, is one part.

    Args:
        path: of the file or folder.
        options: how to read it.
        jobs: processes that parse.
        folder: for intermediate files.
        state: "next", where to begin, None for the first part; and "sorted", whether the rows of a
            series stand in several places.

    Raises:
        ValueError: for a large text table that can be read only as a whole.
    """
    begin = state["next"]
    if path.is_file() and path.stat().st_size > WHOLE:
        kind = kind_of(path, options, [])
        if kind in TEXT and state["sorted"]:
            return _sorted_text(path, options, folder, begin)
        if kind in TEXT:
            return _text(path, options, jobs, begin)
        if kind in PARQUET and not state["sorted"]:
            return _parquet(path, options, begin)
        if kind == ".npy" and path.stat().st_size > MAPPED_BYTES:
            return _npy(path, options, begin)
        if kind in HDF5:
            return _hdf5(path, options, begin)
    return whole(path, options, begin)


def whole(path: Path, options: ReadOptions, begin: Any) -> Generator[Part]:
    """A source as one part."""
    if begin is None:
        found, clip = read_unchecked(path, options)
        yield Part(found, 1, 1, 1, clip)


def _text(path: Path, options: ReadOptions, jobs: int, begin: Any) -> Generator[Part]:
    """A text table by ranges of bytes."""
    size = path.stat().st_size
    try:
        plan = plan_text(path, options)
    except NotInPartsError as error:
        if size > LONGEST:
            raise ValueError(
                f"{path} has {size} bytes and can be read only as a whole, which takes about 12 "
                f"times as much memory: {error}; write it as a table with one row a timestep and a "
                "column that names the series, or as Parquet or NumPy arrays"
            ) from error
        yield from whole(path, options, begin)
        return
    position, count = begin or (len(plan.prefix), 0)
    ranges = cuts(plan, position)
    reader = with_parser(plan)
    numbered = plan.columns.layout == "wide" and not plan.columns.ids
    for (_, stop, _), found in in_order(read_rows, _with(reader, ranges), jobs):
        if numbered:
            ids = [str(k) for k in range(count, count + len(found))]
            found = replace(found, ids=ids)
        if position == len(plan.prefix):
            found = replace(found, notes=(*plan.notes, *found.notes))
        count += len(found)
        position = stop
        unique = bool(plan.columns.ids)
        found = checked(found, options)
        yield Part(found, (stop, count), stop, size, unique=unique)


def _sorted_text(
    path: Path, options: ReadOptions, folder: Path, begin: Any
) -> Generator[Part]:
    """A text table of which the rows of a series stand in several places."""
    plan = plan_text(path, options)
    if plan.columns.layout == "wide":
        if path.stat().st_size > LONGEST:
            raise ValueError(
                f"{path}: ids of rows repeat, and the file is too large to number them; expected "
                "an id of its own for each row; choose id='' for none"
            )
        yield from whole(path, options, begin)
        return
    for found, count, total in scattered(with_parser(plan), folder, begin):
        notes = plan.notes if begin is None else ()
        begin = count
        found = replace(found, notes=(*notes, *found.notes))
        yield Part(found, count, count, total)


def _parquet(path: Path, options: ReadOptions, begin: Any) -> Generator[Part]:
    """A Parquet file by ranges of rows; as a whole if a range is not understood by itself."""
    count = begin[1] if begin else 0
    try:
        for found, row, total, unique in parquet_parts(path, options, begin):
            count += len(found)
            found = checked(found, options)
            yield Part(found, (row, count), row, total, unique=unique)
    except NotInPartsError:
        yield from whole(path, options, begin)


def _with(
    reader: RowReader, ranges: Iterator[tuple[int, int, bool]]
) -> Iterator[tuple[Any, ...]]:
    for start, stop, last in ranges:
        yield reader, start, stop, last


def in_order(
    work: Callable[..., Sequences], calls: Iterator[tuple[Any, ...]], jobs: int
) -> Iterator[tuple[Any, Sequences]]:
    """The arguments without the first and the results of calls, in order, in `jobs` processes."""
    if jobs < 2:
        for call in calls:
            yield call[1:], work(*call)
        return
    waiting: deque[tuple[Any, Future[Sequences]]] = deque()
    pool = ProcessPoolExecutor(
        jobs, get_context("spawn"), initializer=_end_with, initargs=(os.getpid(),)
    )
    try:
        for call in calls:
            waiting.append((call[1:], pool.submit(work, *call)))
            if len(waiting) > 2 * jobs:
                arguments, future = waiting.popleft()
                yield arguments, future.result()
        while waiting:
            arguments, future = waiting.popleft()
            yield arguments, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _end_with(parent: int) -> None:
    """End this process when the one that started it was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _npy(path: Path, options: ReadOptions, begin: Any) -> Generator[Part]:
    """A .npy array a block of series at a time."""
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    array = None if is_zip else _mapped(path)
    if array is None or not _has_series(array, options):
        yield from whole(path, options, begin)
        return
    yield from _blocks(path, array, None, options, begin, [])


def _mapped(path: Path) -> Any:
    try:
        return np.load(path, mmap_mode="r")
    except ValueError:  # `whole` says what is wrong
        return None


def _has_series(array: Any, options: ReadOptions) -> bool:
    """Whether series stand on the first axis of an array of numbers."""
    if array.dtype.kind not in "fiub" or options.given(*OF_TABLES):
        return False
    return array.ndim == 3 and len(array) > 1 and array.size > 0


def _blocks(
    path: Path,
    array: Any,
    labels: Any,
    options: ReadOptions,
    begin: Any,
    notes: list[str],
) -> Generator[Part]:
    """Series on the first axis of an array, some at a time."""
    size = max(1, BLOCK // max(array[:1].nbytes, 1))
    options = replace(options, table=None)
    for start in range(begin or 0, len(array), size):
        stop = min(start + size, len(array))
        y = None if labels is None else labels[start:stop]
        block = np.array(array[start:stop])
        found = from_array(block, options, str(path), y, notes)
        found = replace(found, ids=[str(k) for k in range(start, stop)])
        yield Part(checked(found, options), stop, stop, len(array))


def _hdf5(path: Path, options: ReadOptions, begin: Any) -> Generator[Part]:
    """A dataset of an HDF5 file a block of series at a time."""
    with datasets_of(path) as arrays:
        name, label, notes = choose_array(arrays, options.table)
        array = own_values(arrays[name])
        if array.nbytes > WHOLE and _has_series(array, options):
            labels = None if label is None else labels_of(own_values(arrays[label]))
            yield from _blocks(path, array, labels, options, begin, notes)
            return
    yield from whole(path, options, begin)
