"""Files in folders, in the order of their numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path


def walk(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """All files in a folder and below, without hidden ones and links back to a folder above."""
    above = (*above, folder.resolve())
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            yield entry
        elif entry.resolve() not in above:
            yield from walk(entry, above)


def natural_key(path: Path) -> list[tuple[str, int]]:
    """A sort key that puts frame2 before frame10."""
    pairs = re.findall(r"(\D*)(\d*)", str(path))
    return [(text, int(number or -1)) for text, number in pairs]
