"""A store as `Sequences` whose arrays, ids and times are read when they are asked for."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from ..sequences import Array, Sequences
from .description import digest_of
from .flat import OPEN_FILES, Flat
from .remote import remote_of
from .stored import StoredArrays, StoredTexts

BLOCK = 2**16  # labels that are checked at once
SMALL = 2**20  # bytes up to which labels are read into memory, and not mapped


def sequences_of(folder: Path, content: dict[str, Any]) -> Sequences:
    """The sequences of a store with this description."""
    shard = int(content["shard_bytes"])
    sizes = _sizes(content["files"])
    remote = remote_of(folder, content["files"])
    fetch = None if remote is None else remote.open
    notes = [] if remote is None else remote.note()
    keep = 0 if notes else OPEN_FILES  # a store that its cache cannot hold

    def flat(name: str) -> Flat:
        return Flat(folder, name, sizes.get(name, 0), shard, fetch, keep)

    n = int(content["series"])
    lengths = _lengths(flat("lengths"), n, content["lengths"])
    digest = digest_of(content, "values")

    def arrays(name: str, starts: str, shape: tuple[int, ...], types: Any) -> Any:
        if types is None:
            return None
        return StoredArrays(
            flat(name), lengths, flat(starts), shape, frozenset(types), digest
        )

    channels = list(content["channels"])
    values = arrays("values", "starts", (len(channels),), content["dtypes"])
    values.facts = content["facts"]
    time_type = content["times"]
    return Sequences(
        values=values,
        labels=_labels(folder, content, flat("labels")),
        ids=StoredTexts(n, flat("ids"), flat("id-ends")),
        channels=channels,
        times=arrays("times", "time-starts", (), time_type and [time_type]),
        source=str(folder) if remote is None else remote.url,
        notes=(*content["notes"], *notes),
        frame=None if content["frame"] is None else tuple(content["frame"]),
        places=arrays(
            "places", "place-starts", (2,), ["float64"] if content["places"] else None
        ),
        degrees=bool(content["degrees"]),
        task=content["task"],
    )


def _sizes(files: dict[str, Any]) -> dict[str, int]:
    """Bytes of each stream, from those of its files."""
    sizes: dict[str, int] = {}
    for name, facts in files.items():
        stream = name.rpartition("-")[0]
        sizes[stream] = sizes.get(stream, 0) + int(facts["bytes"])
    return sizes


def _lengths(stream: Flat, n: int, extent: list[int]) -> Array:
    """Timesteps of each series ``(n,)``; equal ones take no memory.

    Raises:
        ValueError: when there are not as many as series, or one is not between the extremes.
    """
    low, _, high = extent
    if stream.size != 8 * n:
        raise ValueError(f"{stream.folder}: {stream.size // 8} lengths of {n} series")
    if low == high:
        return np.broadcast_to(np.int64(low), (n,))
    lengths = stream.read(0, np.int64, (n,))
    if lengths.min() != low or lengths.max() != high:
        raise stream.damage(0, "the lengths of the series do not fit store.json")
    return lengths


def _labels(folder: Path, content: dict[str, Any], stream: Flat) -> Any:
    """The labels ``(n,)``, mapped from disk if they are many; None if there are none."""
    width = content["label_width"]
    if width is None:
        return None
    n = int(content["series"])
    kind = np.dtype(f"<U{width}")
    if stream.size != n * kind.itemsize:
        raise ValueError(f"{folder}: the labels do not fit the {n} series")
    labels: Array
    if stream.fetch or stream.size <= SMALL or stream.size > stream.shard:
        labels = stream.read(0, kind, (n,))
    else:
        file = folder / "labels-00000.bin"
        labels = np.memmap(file, dtype=kind, mode="r", shape=(n,))
    for start in range(0, n, BLOCK):  # NumPy does not look, and fails at the first use
        letters = labels[start : start + BLOCK].view(np.uint32)
        if letters.max() > sys.maxunicode:
            raise ValueError(
                f"{folder}: the labels hold numbers that are no letters; the store is damaged: "
                "prepare it again"
            )
    return labels
