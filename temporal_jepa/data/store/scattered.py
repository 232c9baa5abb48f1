"""Text tables whose series do not stand together: rows are sorted into files by series first."""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...files import write_atomically
from ..notes import merged_notes
from ..sequences import Sequences
from ..tables.series import series_codes
from .description import is_store, read_description
from .opening import sequences_of
from .rows import RowReader, Rows, read_rows
from .text import TextPlan, key_of
from .writer import StoreWriter

SORTED = (
    "sorted"  # the folder of these files, within that of the store that is being made
)
LARGEST = 2**26  # bytes of text of one of these files, if ids are spread evenly
MOST = 500  # files
TOGETHER = 2**24  # bytes of values that are one part
DONE = "sorted.json"


def scattered(
    reader: RowReader, folder: Path, begin: Any
) -> Iterator[tuple[Sequences, int, int]]:
    """The series of a table in the order in which their ids first appear, some at a time.

    The rows go into files by a hash of their id, each of these becomes a store, and the series of
    all of these are read in order. This takes three times the size of the table on disk.

    Args:
        reader: how the table is read.
        folder: for the files, which are used again after a kill.
        begin: the number of series that are there already.

    Returns:
        Series, the number of all so far, and the number of all.
    """
    parts = _sorted_parts(reader, folder / SORTED)
    if not parts:
        return
    firsts = np.concatenate([first for _, first in parts])
    owner = np.repeat(np.arange(len(parts)), [len(first) for _, first in parts])
    own = np.concatenate([np.arange(len(first)) for _, first in parts])
    order = np.argsort(firsts, kind="stable")
    sizes = np.concatenate([part.lengths for part, _ in parts])[order]
    sizes = sizes * parts[0][0].n_channels * 8
    notes: list[str] = []
    for part, _ in parts:
        notes = merged_notes(notes, part.notes)
    start = int(begin or 0)
    while start < len(order):
        total = np.cumsum(sizes[start : start + 65536])
        stop = start + max(1, int(np.searchsorted(total, TOGETHER)))
        stop = min(stop, len(order))
        chosen = order[start:stop]
        found = _gathered(parts, owner[chosen], own[chosen])
        yield replace(found, notes=() if start else tuple(notes)), stop, len(order)
        start = stop


def _sorted_parts(reader: RowReader, place: Path) -> list[tuple[Sequences, Any]]:
    """The stores of all files of rows, made where they are missing."""
    if not (place / DONE).is_file():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        count = _spread(reader.plan, place)
        write_atomically(place / DONE, json.dumps({"files": count}).encode())
    count = json.loads((place / DONE).read_bytes())["files"]
    stored = [
        _stored(reader, place, k)
        for k in range(count)
        if (place / f"{k}{_ending(reader.plan)}").is_file()
        or is_store(place / f"{k}.store")
    ]
    return [part for part in stored if part is not None]


def _spread(plan: TextPlan, place: Path) -> int:
    """Write each row to a file by its id, and its number beside it; the number of files."""
    count = min(MOST, os.stat(plan.path).st_size // LARGEST + 1)
    with ExitStack() as stack:
        rows, numbers = (
            [
                stack.enter_context((place / f"{k}{kind}").open("wb"))
                for k in range(count)
            ]
            for kind in (_ending(plan), ".numbers")
        )
        file = stack.enter_context(plan.path.open("rb"))
        file.seek(len(plan.prefix))
        row = 0
        while lines := file.readlines(2**24):
            own: list[list[bytes]] = [[] for _ in range(count)]
            which: list[list[int]] = [[] for _ in range(count)]
            for line in lines:
                if not line.strip(b" \r\n"):
                    continue
                k = _place_of(plan, line, count)
                own[k].append(line.removesuffix(b"\n") + b"\n")
                which[k].append(row)
                row += 1
            for k in range(count):
                rows[k].write(b"".join(own[k]))
                numbers[k].write(np.array(which[k], np.int64).tobytes())
        for stream in (*rows, *numbers):
            stream.flush()
            os.fsync(stream.fileno())
    for path in place.glob(f"*{_ending(plan)}"):
        if not path.stat().st_size:
            path.unlink()
    return count


def _ending(plan: TextPlan) -> str:
    """Of the names of files of rows: `read_rows` reads them by it."""
    return f".rows{plan.path.suffix.lower()}"


def _place_of(plan: TextPlan, line: bytes, count: int) -> int:
    """Which of `count` files takes a line: the same for all lines of a series."""
    return zlib.crc32(b"\0".join(key_of(plan, line))) % count


def _stored(reader: RowReader, place: Path, k: int) -> tuple[Sequences, Any] | None:
    """The series of one of the files as a store, and the row where each begins.

    None for a file that holds no series.
    """
    folder = place / f"{k}.store"
    if not is_store(folder):
        shutil.rmtree(folder, ignore_errors=True)
        plan = reader.plan
        path = place / f"{k}{_ending(plan)}"
        own = replace(plan, path=path)
        rows = read_rows(replace(reader, plan=own), 0, path.stat().st_size, last=False)
        if rows.series is None:  # tracks of a single fix
            path.unlink()
            return None
        found = rows.series
        first = _first_rows(own, np.fromfile(place / f"{k}.numbers", np.int64), rows)
        writer = StoreWriter(folder, {"source": str(path)})
        writer.add(found)
        np.save(folder / "first.npy", first)
        content = writer.described(
            {
                "source": str(plan.source),
                "notes": found.notes,
                "options": {},
                "clip": None,
                "plan": writer.plan,
            }
        )
        writer.seal(content)
        path.unlink()
    return sequences_of(folder, read_description(folder)), np.load(folder / "first.npy")


def _first_rows(plan: TextPlan, numbers: Any, rows: Rows) -> Any:
    """The row in the whole table at which each series begins, or the track that it is of."""
    import pandas as pd

    keys = []
    with plan.path.open("rb") as file:
        for line in file:
            keys.append(b"\0".join(key_of(plan, line)).decode(plan.encoding, "replace"))
    names = [plan.names[k] for k in plan.where]
    columns = pd.Series(keys).str.split("\0", expand=True).set_axis(names, axis=1)
    codes, owners = series_codes(columns, tuple(names), "series")
    first = dict(
        zip(owners, numbers[np.unique(codes, return_index=True)[1]], strict=True)
    )
    if {*rows.owners} != {*owners} or rows.series is None:
        raise ValueError(
            f"{plan.source}: rows of a series stand in several places, and there are lines that "
            "hold no row (comments, repeated headers, rows of empty fields, line breaks within "
            "quotation marks) or ids that are written in several ways; remove these, or sort the "
            "rows by id"
        )
    found = []
    for name in rows.series.ids:
        owner = name if name in first else name.rpartition("#")[0]  # a part of a track
        found.append(first[owner])
    return np.array(found)


def _gathered(parts: list[tuple[Sequences, Any]], owner: Any, own: Any) -> Sequences:
    """Series of several stores, in this order, in memory."""
    at = [(int(p), int(i)) for p, i in zip(owner, own, strict=True)]
    first = parts[0][0]

    def chosen(name: str) -> Any:
        fields = [getattr(part, name) for part, _ in parts]
        return None if fields[0] is None else [fields[p][i] for p, i in at]

    labels = chosen("labels")
    return replace(
        first,
        values=chosen("values"),
        ids=chosen("ids"),
        labels=None if labels is None else np.array(labels),
        times=chosen("times"),
        places=chosen("places"),
    )
