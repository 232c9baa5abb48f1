"""The parts of a source: series that are read together and written one after the other."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

from ...config import ReadOptions
from ..formats.registry import kind_of
from ..formats.textfiles import COMPRESSED
from ..reader import read_unchecked
from .blocks import array_parts
from .columnar import ParquetTable
from .folders import folder_parts, folder_size
from .part import WHOLE, NotInPartsError, Part
from .tables import PARQUET, TEXT, parquet_table, text_table
from .unpacked import plain_text

LONGEST = 2**30  # bytes of text that are read as a whole
PACKED = 8  # times that a compressed text is larger, about
ARRAYS = (".npy", ".npz", ".h5", ".hdf5", ".hdf")


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
        state: "next", where to begin, None for the first part; "sorted", whether the rows of a
            series stand in several places; "whole", whether it is read as a whole in any case.

    Raises:
        ValueError: for a large text table that can be read only as a whole.
    """
    begin = state["next"]
    size = _size(path)
    if size > WHOLE and not state["whole"]:
        try:
            yield from _in_parts(path, options, jobs, folder, state)
            return
        except NotInPartsError as error:
            _check_whole(path, size, options, error)
    if begin is None:
        found, clip = read_unchecked(path, options)
        yield Part(found, 1, 1, 1, clip)


def _size(path: Path) -> int:
    """Bytes of a file or folder, about, if it was not compressed."""
    if path.is_dir():
        return folder_size(path)
    size = path.stat().st_size
    return PACKED * size if path.suffix.lower() in COMPRESSED else size


def _check_whole(
    path: Path, size: int, options: ReadOptions, error: NotInPartsError
) -> None:
    """ValueError for text that can be read only as a whole, and is too large for that."""
    if size > LONGEST and path.is_file() and kind_of(path, options) in TEXT:
        raise ValueError(
            f"{path} has about {size / 1e9:.1f} GB of text and can be read only as a whole, which "
            f"takes about 12 times as much memory: {error}; write it as a table with one row a "
            "timestep and a column that names the series, or as Parquet or NumPy arrays"
        ) from error


def _in_parts(
    path: Path, options: ReadOptions, jobs: int, folder: Path, state: dict[str, Any]
) -> Generator[Part]:
    """The parts of a large source.

    Raises:
        NotInPartsError: when it can be read only as a whole; before the first part.
    """
    if path.is_dir():
        yield from folder_parts(path, options, jobs, folder, state)
        return
    kind = kind_of(path, options, [])
    if kind in TEXT:
        text = plain_text(path, options, folder)
        yield from text_table(text, path, options, jobs, folder, state)
    elif kind in PARQUET and not state["sorted"]:
        table = ParquetTable(path, (path,), ({},))
        yield from parquet_table(table, options, state["next"])
    elif kind in ARRAYS:
        yield from array_parts(path, kind, options, folder, state["next"])
    else:
        raise NotInPartsError(f"{kind} files are not read in parts")
