"""Files in folders, in the order of their numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ..files.atomic import check_file


def walk(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """All files in a folder and below, without hidden ones and links back to a folder above.

    Raises:
        OSError: for a pipe or a device, which a reader would wait on for ever.
    """
    above = (*above, folder.resolve())
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            if entry.exists():
                check_file(entry)
            yield entry
        elif entry.resolve() not in above:
            yield from walk(entry, above)


def natural_key(path: Path) -> list[tuple[str, int]]:
    """A sort key that puts frame2 before frame10."""
    pairs = re.findall(r"(\D*)(\d*)", str(path))
    return [(text, int(number or -1)) for text, number in pairs]
