"""Write a store series by series, so that a killed writer goes on where it was."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ...files import write_atomically
from ...version import __version__
from ..sequences import Sequences, listed
from .description import FORMAT, STORE, VERSION, dumped
from .facts import Facts
from .flat import SHARD, Appending, Flat
from .stored import StoredTexts

JOURNAL = "journal.json"
AT_ONCE = 2**22  # bytes that are written together
STREAMS = (
    "values",
    "starts",
    "lengths",
    "ids",
    "id-ends",
    "label-texts",
    "label-ends",
    "times",
    "time-starts",
    "places",
    "place-starts",
)


class LosesError(ValueError):
    """The type of the values in a store loses those of a series."""


class StoreWriter:
    """Appends series to a store that is being made in a folder of its own.

    After `commit` everything so far survives a kill: a writer that is opened again in the folder
    goes on there, and `unit` says up to where. Bytes that came later are cut off.

    Args:
        folder: where the store is made; created if missing.
        plan: what is made, in JSON: the source, its size and the options.
        shard: bytes of each file.

    Raises:
        ValueError: when the folder holds the beginning of another store.
    """

    def __init__(self, folder: Path, plan: Mapping[str, Any], shard: int = SHARD):
        self.folder = folder
        self.plan = json.loads(json.dumps(plan))
        self.shard = shard
        if folder.is_symlink():
            raise ValueError(
                f"{folder} is a symbolic link, which is not written through"
            )
        folder.mkdir(parents=True, exist_ok=True)
        state = self._journal()
        self.unit: Any = state.get("unit")
        self.head: dict[str, Any] = state.get("head", {})
        self.facts = Facts(**state.get("facts", {}))
        self.streams: dict[str, Appending] = {}
        for name in STREAMS:
            size, sums = state.get("streams", {}).get(name, (0, []))
            self.streams[name] = Appending(folder, name, size, sums, shard)

    def _journal(self) -> dict[str, Any]:
        path = self.folder / JOURNAL
        if not path.exists():
            return {}
        try:
            state: dict[str, Any] = json.loads(path.read_bytes())
        except ValueError as error:
            raise ValueError(
                f"{path} is damaged ({error}); delete {self.folder} and start again"
            ) from None
        if state["plan"] != self.plan:
            differ = [k for k, v in self.plan.items() if state["plan"].get(k) != v]
            raise ValueError(
                f"{self.folder} holds the beginning of another store: its {listed(differ)} differ "
                "(the file changed, or the options); start anew with overwrite=True (--overwrite), "
                "or choose another --out"
            )
        return state

    def add(self, part: Sequences) -> None:
        """Append the series of a part.

        Raises:
            ValueError: when it has other channels or times than what came before, or a series
                without an observed value.
        """
        self._check_head(part)
        self.facts.add(part)
        put = self.streams
        self._arrays("values", part.values)
        self._starts("starts", put["values"], [x.nbytes for x in part.values])
        lengths = np.asarray(part.lengths, np.int64)
        put["lengths"].add(lengths.tobytes())
        self._texts("ids", "id-ends", part.ids)
        if part.labels is not None:
            self._texts("label-texts", "label-ends", part.labels.tolist())
        for name, arrays in (("time", part.times), ("place", part.places)):
            if arrays is not None:
                self._arrays(f"{name}s", arrays)
                sizes = [x.nbytes for x in arrays]
                self._starts(f"{name}-starts", put[f"{name}s"], sizes)

    def extend(self, piece: Sequences, *, dtype: str, last: bool) -> None:
        """Append timesteps of a series that takes several pieces.

        Args:
            piece: one series, its values in float64.
            dtype: of the values in the store.
            last: whether the series ends with it.

        Raises:
            LosesError: when `dtype` loses the values of the series.
            ValueError: as `add`, and when the times do not follow those before.
        """
        self._check_head(piece)
        self.facts.extend(piece)
        values = piece.values[0].astype(dtype)
        self._arrays("values", [values])
        if piece.times is not None:
            self._arrays("times", piece.times)
        if not last:
            return
        length, loses = self.facts.end(piece, dtype)
        if loses:
            raise LosesError(f"{dtype} loses values of the series")
        sizes = [length * values[:1].nbytes]
        self._starts("starts", self.streams["values"], sizes)
        self.streams["lengths"].add(np.int64(length).tobytes())
        self._texts("ids", "id-ends", piece.ids)
        if piece.labels is not None:
            self._texts("label-texts", "label-ends", piece.labels.tolist())
        if piece.times is not None:
            sizes = [length * piece.times[0].itemsize]
            self._starts("time-starts", self.streams["times"], sizes)

    def ids(self) -> Sequence[str]:
        """The ids of all series so far."""
        for name in ("ids", "id-ends"):
            self.streams[name].sync()
        flat = [
            Flat(self.folder, name, self.streams[name].size, self.shard)
            for name in ("ids", "id-ends")
        ]
        return StoredTexts(self.facts.series, *flat)

    def _arrays(self, name: str, arrays: Sequence[Any]) -> None:
        """Append the bytes of arrays, many small ones at once."""
        joined: list[bytes] = []
        total = 0
        for x in arrays:
            joined.append(np.ascontiguousarray(x).tobytes())
            total += x.nbytes
            if total > AT_ONCE:
                self.streams[name].add(b"".join(joined))
                joined, total = [], 0
        self.streams[name].add(b"".join(joined))

    def _starts(self, name: str, stream: Appending, sizes: list[int]) -> None:
        """Where each array of a stream begins, and behind the last one its end."""
        begin = stream.size - sum(sizes)
        starts = begin + np.cumsum(np.array(sizes, np.int64))
        if not self.streams[name].size:
            starts = np.concatenate([[0], starts])
        self.streams[name].add(starts.astype(np.int64).tobytes())

    def _texts(self, name: str, ends: str, texts: Any) -> None:
        encoded = [text.encode(errors="replace") for text in texts]
        begin = self.streams[name].size
        self.streams[name].add(b"".join(encoded))
        sizes = np.array([len(text) for text in encoded], np.int64)
        self.streams[ends].add((begin + np.cumsum(sizes)).tobytes())

    def _check_head(self, part: Sequences) -> None:
        """ValueError unless a part has the columns of the first."""
        head = {
            "channels": part.channels,
            "frame": None if part.frame is None else list(part.frame),
            "times": None if part.times is None else str(part.times[0].dtype),
            "places": part.places is not None,
            "degrees": part.degrees,
            "has_labels": part.labels is not None,
            "task": part.task,
        }
        self.head = self.head or head
        for name, value in head.items():
            if value != self.head[name]:
                raise ValueError(
                    f"{part.source}: expected the {name} {self.head[name]} of the series before, "
                    f"got {value}; choose the columns with --values and --time"
                )

    def commit(self, unit: Any) -> None:
        """Make everything so far last; `unit` says up to where the source was used."""
        for stream in self.streams.values():
            stream.sync()
        state = {
            "plan": self.plan,
            "unit": unit,
            "head": self.head,
            "facts": vars(self.facts),
            "streams": {name: (s.size, s.sums) for name, s in self.streams.items()},
        }
        write_atomically(self.folder / JOURNAL, json.dumps(state).encode())
        self.unit = unit

    def described(self, details: Mapping[str, Any]) -> dict[str, Any]:
        """The content of `store.json`; no more can be added then.

        Args:
            details: "source", "notes", "options", "clip", "plan".

        Raises:
            ValueError: when a channel has no observed value in any series.
        """
        self.facts.check_channels(self.head, details["source"])
        width = self._write_labels()
        files: dict[str, Any] = {}
        for stream in self.streams.values():
            files |= stream.files()
        lengths = self._extent()
        self._labels.close()
        found = {
            "format": FORMAT,
            "version": VERSION,
            "made_by": f"temporal-jepa {__version__}",
            "series": self.facts.series,
            "timesteps": self.facts.timesteps,
            "lengths": lengths,
            "channels": self.head["channels"],
            "frame": self.head["frame"],
            "dtypes": sorted(self.facts.dtypes),
            "times": self.head["times"],
            "places": self.head["places"],
            "degrees": self.head["degrees"],
            "task": self.head["task"],
            "label_width": width,
            "facts": self.facts.recorded(self.head),
            "shard_bytes": self.shard,
            "files": {**files, **self._label_files},
            **details,
        }
        content: dict[str, Any] = json.loads(json.dumps(found))
        return content

    def close(self) -> None:
        """Close all files."""
        for stream in self.streams.values():
            stream.close()

    def seal(self, content: Mapping[str, Any]) -> None:
        """Write `store.json`; the store is whole then, and the journal is gone."""
        content = json.loads(json.dumps(content))
        write_atomically(self.folder / STORE, dumped(content))
        (self.folder / JOURNAL).unlink(missing_ok=True)

    def _extent(self) -> list[int]:
        """The smallest, the median and the largest number of timesteps."""
        count = self.facts.series
        stream = Flat(self.folder, "lengths", 8 * count, self.shard)
        lengths = stream.read(0, np.int64, (count,))
        return [int(lengths.min()), int(np.median(lengths)), int(lengths.max())]

    def _write_labels(self) -> int | None:
        """Labels of one width each, so that they can be read by number; the width in characters."""
        self._labels = Appending(self.folder, "labels", 0, (), self.shard)
        self._label_files: dict[str, Any] = {}
        if not self.head["has_labels"]:
            return None
        for name in ("label-texts", "label-ends"):
            self.streams[name].sync()
        sizes = {
            name: self.streams[name].size for name in ("label-texts", "label-ends")
        }
        texts = StoredTexts(
            self.facts.series,
            *(
                Flat(self.folder, name, size, self.shard)
                for name, size in sizes.items()
            ),
        )
        width = max(self.facts.label_width, 1)
        for start in range(0, len(texts), 4096):
            block = np.array(texts[start : start + 4096], dtype=f"<U{width}")
            self._labels.add(block.tobytes())
        self._label_files = self._labels.files()
        for name in sizes:  # only needed up to here
            self.streams[name].close()
            for path in self.folder.glob(f"{name}-*.bin"):
                path.unlink()
            del self.streams[name]
        return width


def before(folder: Path) -> Path:
    """Where a store is while another takes its place."""
    return folder.with_name(f".{folder.name}.old")


def replace_folder(new: Path, old: Path) -> None:
    """Put a finished folder in the place of another, which is deleted."""
    if old.exists():
        shutil.rmtree(before(old), ignore_errors=True)
        os.replace(old, before(old))
    os.replace(new, old)
    shutil.rmtree(before(old), ignore_errors=True)
