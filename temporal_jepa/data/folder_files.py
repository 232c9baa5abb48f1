"""The files of a folder, which have to be of one type."""

from __future__ import annotations

import re
from pathlib import Path

from ..config import ReadOptions
from .formats.registry import TABLES, kind_of
from .sequences import listed

MARKS = ("_SUCCESS", "_metadata", "_common_metadata")  # files beside parts of a table
SPLIT = re.compile(r".*_(train|test)", re.IGNORECASE | re.DOTALL)
OF_FOLDERS = (*TABLES, ".npy", ".edf", ".bdf")


def visible(folder: Path) -> list[Path]:
    """The files and folders that are not hidden, without the marks that Spark and Dask leave."""
    found = (p for p in folder.iterdir() if not p.name.startswith("."))
    return sorted(path for path in found if path.name not in MARKS)


def check_files(folder: Path, files: list[Path], options: ReadOptions) -> None:
    """ValueError unless the files are of one type that can hold a series each."""
    if (folder / "_delta_log").exists():
        raise ValueError(
            "a Delta table; pass deltalake.DeltaTable(PATH).to_pandas() to read"
        )
    splits = [file.name for file in files if SPLIT.fullmatch(file.stem)]
    if splits:
        raise ValueError(
            f"holds the splits {listed(splits)} of a set; name one of these files"
        )
    strays = []
    kinds = set()
    for file in files:
        kind = _known_kind(file, options)
        if kind in OF_FOLDERS:
            kinds.add(kind)
        else:
            strays.append(file.relative_to(folder))
    if not files:
        raise ValueError("the folder holds no files; hidden ones do not count")
    if strays or len(kinds) != 1:
        raise ValueError(
            f"expected files of one type with one series each ({' '.join(OF_FOLDERS)}), got "
            f"{listed(strays or sorted(kinds))}; move others away, or name one file"
        )


def _known_kind(path: Path, options: ReadOptions) -> str:
    """The kind of a file, "" for folders, pipes, devices, broken links and what is not read."""
    try:
        return kind_of(path, options) if path.is_file() else ""
    except ValueError:
        return ""
