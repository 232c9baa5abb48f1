"""Bytes in numbered files of one size, read by position and written at the end."""

from __future__ import annotations

import hashlib
import math
import os
import shlex
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..sequences import Array

SHARD = 2**28  # bytes of a file; only the last one of a stream is smaller
OPEN_FILES = 64  # files of a stream that stay open; others are opened for each read
NO_LINKS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


def shard_name(name: str, number: int) -> str:
    """The file of a part of a stream."""
    return f"{name}-{number:05d}.bin"


class Flat:
    """A stream of bytes in the files ``NAME-00000.bin``, ..., read by position.

    Reading is safe in threads and after a fork, takes no memory beside its result, and works in
    another process after pickling.

    Args:
        folder: where the files are.
        name: of the stream.
        size: bytes of the stream.
        shard: bytes of each file but the last.
        fetch: gives the descriptor of a file by its name, where files may still have to come.
        open_files: files that stay open; 0 so that what is deleted frees its space at once.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        size: int,
        shard: int = SHARD,
        fetch: Callable[[str], int] | None = None,
        open_files: int = OPEN_FILES,
    ):
        self.folder = folder
        self.fetch = fetch
        self.open_files = open_files
        self.name = name
        self.size = size
        self.shard = shard
        self._open: dict[int, int] = {}
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs: no open files."""
        return {**vars(self), "_open": {}, "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Continue in another process."""
        vars(self).update(state)
        self._lock = threading.Lock()

    def __del__(self) -> None:
        """Close the files."""
        for descriptor in vars(self).get("_open", {}).values():
            os.close(descriptor)

    def read(self, start: int, dtype: Any, shape: tuple[int, ...]) -> Array:
        """The array of this type and shape that begins at byte `start`.

        Raises:
            ValueError: when it ends behind the stream, or a file has become shorter.
        """
        count = math.prod(shape) * np.dtype(dtype).itemsize
        if start < 0 or start + count > self.size:  # before memory is taken
            raise self.damage(
                start,
                f"bytes {start} to {start + count} are meant, and there are {self.size}",
            )
        out = np.empty(shape, dtype)
        if out.nbytes:
            self._fill(memoryview(out.reshape(-1).view(np.uint8).data), start)
        return out

    def damage(self, start: int, what: str) -> ValueError:
        """The error for bytes that were changed after they were written.

        Args:
            start: where they are in the stream.
            what: is wrong.
        """
        number = min(max(start, 0), max(self.size - 1, 0)) // self.shard
        advice = (
            f"temporal-jepa prepare {shlex.quote(str(self.folder))} --verify finds all files that "
            "were changed; make the store again, or copy it again"
        )
        if self.fetch is not None:
            advice = f"delete {self.folder}, which is downloaded again"
        return ValueError(
            f"{self.folder / shard_name(self.name, number)}: {what}; the store is damaged: {advice}"
        )

    def _fill(self, view: memoryview, start: int) -> None:
        """Read the bytes from `start` on into a buffer."""
        while len(view):
            number, within = divmod(start, self.shard)
            part = view[: self.shard - within]
            count = self._read_shard(number, part, within)
            if not count:
                raise ValueError(
                    f"{self.folder / shard_name(self.name, number)} is cut short at byte {within}; "
                    "prepare the store again, or copy this file again"
                )
            view = view[count:]
            start += count

    def _read_shard(self, number: int, part: memoryview, within: int) -> int:
        descriptor = self._open.get(number)
        if descriptor is not None:
            return os.preadv(descriptor, [part], within)
        path = self.folder / shard_name(self.name, number)
        if self.fetch is None:
            descriptor = _opened(path)
        else:
            descriptor = self.fetch(path.name)
        try:
            return os.preadv(descriptor, [part], within)
        finally:
            with self._lock:
                if len(self._open) < self.open_files and number not in self._open:
                    self._open[number] = descriptor
                else:
                    os.close(descriptor)


def _opened(path: Path) -> int:
    """Descriptor of a file of a store; ValueError where it is missing."""
    try:
        return os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError:
        raise ValueError(
            f"{path} of the store is missing; prepare the store again, or copy this file again"
        ) from None


class Appending:
    """A stream of bytes that is being written; `sums` has a checksum for each full file.

    Args:
        folder: where the files are written.
        name: of the stream.
        size: bytes that are known to be right; what is behind them is cut off.
        sums: the checksums of the full files up to there.
        shard: bytes of each file but the last.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        size: int = 0,
        sums: Sequence[str] = (),
        shard: int = SHARD,
    ):
        self.folder = folder
        self.name = name
        self.size = size
        self.shard = shard
        self.sums = list(sums)
        self._digest = hashlib.sha256()
        self._descriptor = -1
        self._resume()

    def _resume(self) -> None:
        """Cut off what is behind the known size, and read the last file for its checksum."""
        number, within = divmod(self.size, self.shard)
        for path in self.folder.glob(f"{self.name}-*.bin"):
            text = path.stem.rpartition("-")[2]
            own = path.stem[: -len(text) - 1] == self.name and text.isdigit()
            if own and (int(text) > number or (int(text) == number and not within)):
                path.unlink()
        for k in range(number):
            self._check_size(self.folder / shard_name(self.name, k), self.shard)
        if not within:
            return
        path = self.folder / shard_name(self.name, number)
        self._check_size(path, within)
        self._descriptor = os.open(path, os.O_RDWR | NO_LINKS)
        os.ftruncate(self._descriptor, within)
        while data := os.read(self._descriptor, 2**20):
            self._digest.update(data)

    def _check_size(self, path: Path, size: int) -> None:
        """ValueError unless a file has at least the bytes that are known to be right."""
        if not path.is_file() or path.stat().st_size < size:
            raise ValueError(
                f"{path} is missing or shorter than its journal says; delete {self.folder} and "
                "start again"
            )

    def add(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        view = memoryview(data).cast("B")
        while len(view):
            if self._descriptor < 0:
                name = shard_name(self.name, self.size // self.shard)
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | NO_LINKS
                self._descriptor = os.open(self.folder / name, flags, 0o666)
            part = view[: self.shard - self.size % self.shard]
            written = os.write(self._descriptor, part)
            self._digest.update(part[:written])
            self.size += written
            view = view[written:]
            if self.size % self.shard == 0:
                self.sums.append(self._digest.hexdigest())
                self.close()

    def sync(self) -> None:
        """Put what was written on the disk."""
        if self._descriptor >= 0:
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close the last file."""
        if self._descriptor >= 0:
            self.sync()
            os.close(self._descriptor)
        self._descriptor = -1
        self._digest = hashlib.sha256()

    def files(self) -> dict[str, dict[str, Any]]:
        """Name, bytes and checksum of each file; the stream is closed."""
        sums = self.sums
        if self._descriptor >= 0:
            sums = [*sums, self._digest.hexdigest()]
        self.close()
        return {
            shard_name(self.name, k): {
                "bytes": min(self.shard, self.size - k * self.shard),
                "sha256": text,
            }
            for k, text in enumerate(sums)
        }
