"""Copies of sources that can be read by position: decompressed, joined, or in another encoding."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ...config import ReadOptions
from ...files import flush_folder
from ..formats.registry import kind_of
from ..formats.textfiles import COMPRESSED, open_text

UNPACKED = (
    "unpacked"  # the folder of copies, within that of the store that is being made
)
HEAD = 2**20  # bytes in which carriage returns are looked for
BLOCK = 2**22  # characters that are copied at once
ENCODINGS = ("utf-8", "utf-8-sig", "ascii", "cp1252", "latin-1")


class PlainText(NamedTuple):
    """A text that is read by ranges of bytes.

    Attributes:
        path: the file, or its copy.
        options: how to read it.
        notes: what was inferred.
    """

    path: Path
    options: ReadOptions
    notes: tuple[str, ...]


def unpacked(folder: Path, name: str, write: Callable[[Path], None]) -> Path:
    """A copy in the folder of a preparation, made by `write` unless it is there already."""
    place = folder / UNPACKED
    whole = place / name
    if whole.is_file():
        return whole
    place.mkdir(exist_ok=True)
    part = place / f"{name}.part"
    part.unlink(missing_ok=True)
    write(part)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, whole)
    flush_folder(place)
    return whole


def plain_text(path: Path, options: ReadOptions, folder: Path) -> PlainText:
    """A text file as bytes that can be cut at line feeds.

    One that is compressed, in an encoding of several bytes, with carriage returns, or named
    otherwise than it is written, is copied first.

    Args:
        path: the file.
        options: how to read it.
        folder: for the copy.

    Raises:
        ValueError: for a file that is no text, see `open_text`.
    """
    notes: list[str] = []
    kind = kind_of(path, options, notes)
    file = open_text(path, options)
    notes += file.notes
    encoding = file.encoding.lower().replace("_", "-")
    is_plain = path.suffix.lower() == kind and encoding in ENCODINGS
    if is_plain and not _has_returns(path):
        return PlainText(path, replace(options, encoding=file.encoding), tuple(notes))

    def write(out: Path) -> None:
        with file.lines() as lines, out.open("w", encoding="utf-8") as stream:
            while block := lines.read(BLOCK):
                stream.write(block)

    copy = unpacked(folder, f"{_stem(path)}{kind}", write)
    own = replace(options, encoding="utf-8", table=None)
    return PlainText(copy, own, tuple(notes))


def _has_returns(path: Path) -> bool:
    """Whether lines end with carriage returns alone."""
    with path.open("rb") as stream:
        head = stream.read(HEAD)
    return b"\r" in head.replace(b"\r\n", b"")


def _stem(path: Path) -> str:
    """The name of a file without the suffixes of compression and kind."""
    inner = path.stem if path.suffix.lower() in COMPRESSED else path.name
    return Path(inner).stem
