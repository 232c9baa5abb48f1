"""Stores in an object store, as `s3://bucket/data.store`: files are cached when they are read.

fsspec reads them, with the package for the protocol: the extra `[s3]` has that of S3.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from ...files.atomic import replacing, write_atomically

REMOTE = "remote.json"
CACHE = "TEMPORAL_JEPA_CACHE"  # in the environment: where stores are cached
CACHE_SIZE = "TEMPORAL_JEPA_CACHE_GB"  # and gigabytes that they take at most
RESERVE = 2**30  # bytes of the disk that the cache leaves free
BLOCK = 2**22  # bytes that are read at a time
LARGEST_JSON = 2**26  # bytes of a description; a longer one is not read
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
OPEN = os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True)
class Remote:
    """A store that is not on this machine.

    Args:
        url: as `s3://bucket/data.store`.
        folder: where its files are cached.
        files: name -> bytes and checksum of each.
    """

    url: str
    folder: Path
    files: dict[str, Any]

    def open(self, name: str) -> int:
        """Descriptor of a file in the cache; it is downloaded unless it is there.

        Processes take turns with the download. What is open can be read after it was deleted to
        make room for others.

        Raises:
            OSError: if it cannot be read, or there is no space.
            ValueError: if it is not what `store.json` says.
        """
        path = self.folder / name
        if name not in self.files:
            raise ValueError(
                f"{self.url}: store.json does not list {name}; upload the store again"
            )
        size = int(self.files[name]["bytes"])
        with contextlib.suppress(FileNotFoundError):
            return _open_whole(path, size)
        with FileLock(self.folder / f".{name}.lock"):
            with contextlib.suppress(FileNotFoundError):  # another process was first
                return _open_whole(path, size)
            _make_room(self.folder.parent, size)
            try:
                self._download(path)
            except FileNotFoundError as error:
                raise FileNotFoundError(
                    f"{error}, and store.json lists it; upload the store again"
                ) from None
            return _open_whole(path, size)

    def _download(self, path: Path) -> None:
        url = f"{self.url}/{path.name}"
        expected = self.files[path.name]
        digest = hashlib.sha256()
        size = 0
        with replacing(path) as out:
            for block in _blocks(url, int(expected["bytes"]) + 1):
                digest.update(block)
                size += out.write(block)
            if size != expected["bytes"] or digest.hexdigest() != expected["sha256"]:
                raise ValueError(
                    f"{url} is not what store.json describes: its size or checksum differs; "
                    "upload the store again"
                )

    def note(self) -> list[str]:
        """What to know if the cache cannot hold the store."""
        size = sum(int(facts["bytes"]) for facts in self.files.values())
        room = _room(self.folder.parent)
        if size <= room:
            return []
        return [
            f"the store has {size / 1e9:.3g} GB and its cache, {self.folder.parent}, room for "
            f"{max(room, 0) / 1e9:.3g}: pretraining, which reads at random, downloads files again "
            f"and again; see {CACHE_SIZE} and {CACHE}"
        ]


def is_remote(path: Any) -> bool:
    """Whether a path names a place that fsspec reads."""
    return isinstance(path, str) and ADDRESS.match(path) is not None


def refuse_address(path: Any, run: str | os.PathLike[str], repeat: str) -> None:
    """Refuse to open an address that stands only in a run folder, perhaps of a stranger.

    Args:
        path: of the data, from the `config.json` of the run.
        run: the run folder.
        repeat: how to give the address.

    Raises:
        ValueError: if it is an address.
    """
    if is_remote(path):
        raise ValueError(
            f"{run} names {path} as its data; an address that stands only in a run folder is not "
            f"opened, repeat it: {repeat}"
        )


def local(data: Any) -> Any:
    """The folder on this machine of a remote store; anything else as it is."""
    return mirror(data) if is_remote(data) else data


def mirror(url: str) -> Path:
    """A folder on this machine for a remote store: its description now, its files when read.

    A store that was made anew gets a new folder. Folders lie in the cache of the user, or where
    `TEMPORAL_JEPA_CACHE` says; delete them to free space.

    Raises:
        ModuleNotFoundError: without the package for the protocol.
        FileNotFoundError: if there is no store.
        OSError: if it cannot be read.
    """
    url = url.rstrip("/")
    try:
        content = b"".join(_blocks(f"{url}/store.json", LARGEST_JSON + 1))
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{url}: no store.json ({error}); expected a store that temporal-jepa prepare made, "
            "uploaded with all of its files"
        ) from None
    key = hashlib.sha256(url.encode() + content).hexdigest()[:24]
    folder = _cache() / key
    address = json.dumps({"url": url}).encode()
    for path, expected in (
        (folder / REMOTE, address),
        (folder / "store.json", content),
    ):
        # A cache that is full and cannot be written, as of another user, is used as it is.
        if not path.is_file() or path.read_bytes() != expected:
            write_atomically(path, expected)
    return folder


def _cache() -> Path:
    """Where remote stores are cached."""
    default = Path("~/.cache/temporal-jepa").expanduser()
    return Path(os.environ.get(CACHE) or default)


def is_cached(folder: Path) -> bool:
    """Whether a folder is the cache of a remote store, whose files may still have to come."""
    return (
        folder.absolute().parent == _cache().absolute() and (folder / REMOTE).is_file()
    )


def remote_of(folder: Path, files: dict[str, Any]) -> Remote | None:
    """Where the files of a folder come from; None for a store on this machine.

    Only the cache is asked: the folder of a stranger must not make this program call a server.
    """
    if not is_cached(folder):
        return None
    url = json.loads((folder / REMOTE).read_text())["url"]
    return Remote(str(url), folder, files)


def _open_whole(path: Path, size: int) -> int:
    """Descriptor of a cached file, whose time says when it was used.

    Raises:
        FileNotFoundError: if it is not there, or not whole.
    """
    descriptor = os.open(path, OPEN)
    if os.fstat(descriptor).st_size != size:
        os.close(descriptor)
        raise FileNotFoundError(f"{path} has not {size} bytes")
    with contextlib.suppress(OSError):  # a cache that another user owns
        os.utime(path)
    return descriptor


def _room(cache: Path) -> int:
    """Bytes that the files of all stores may take in the cache."""
    free = shutil.disk_usage(cache).free - RESERVE
    room = free + sum(size for _, size, _ in _cached(cache))
    text = os.environ.get(CACHE_SIZE)
    if not text:
        return room
    try:
        limit = float(text)
    except ValueError:
        limit = math.nan
    if not 0 <= limit < math.inf:
        raise ValueError(f"{CACHE_SIZE}: expected gigabytes, got {text!r}")
    return min(room, int(limit * 1e9))


def _make_room(cache: Path, size: int) -> None:
    """Delete the files that were not used for longest, until one of `size` bytes fits."""
    files = sorted(_cached(cache))
    excess = size + sum(size for _, size, _ in files) - _room(cache)
    for _, freed, path in files:
        if excess <= 0:
            return
        with contextlib.suppress(OSError):
            os.unlink(path)
            excess -= freed


def _cached(cache: Path) -> list[tuple[int, int, str]]:
    """Time of use, bytes and path of the downloaded files; of those of other folders none."""
    found = []
    for remote in cache.glob(f"*/{REMOTE}"):
        for path in remote.parent.glob("*.bin"):
            with contextlib.suppress(FileNotFoundError):  # deleted by another process
                facts = path.stat()
                found.append((facts.st_mtime_ns, facts.st_size, str(path)))
    return found


def _blocks(url: str, most: int) -> Iterator[bytes]:
    """The bytes of a remote file, but not more than `most`.

    Raises:
        ModuleNotFoundError: without the package for the protocol.
        FileNotFoundError: if there is no such file.
        OSError: if it cannot be read.
        ValueError: for an unknown protocol.
    """
    with _translated(url):
        import fsspec

        file = fsspec.open(url, "rb").open()
    with file:
        while most:
            with _translated(url):
                block = file.read(min(BLOCK, most))
            if not block:
                return
            most -= len(block)
            yield block


@contextlib.contextmanager
def _translated(url: str) -> Iterator[None]:
    """Say in words what a file system reports."""
    protocol = url.partition("://")[0]
    try:
        yield
    except ImportError as error:
        install = "pip install 'temporal-jepa[s3]'"
        if protocol not in ("s3", "s3a"):
            install = f"install the package of fsspec for {protocol}"
        raise ModuleNotFoundError(
            f"reading {protocol}:// needs a package that is missing ({error}): {install}"
        ) from None
    except ValueError as error:  # an unknown protocol
        raise ValueError(
            f"{url}: {error}; expected a path, or a place that fsspec reads"
        ) from None
    except FileNotFoundError:
        raise FileNotFoundError(f"{url} does not exist") from None
    except Exception as error:  # noqa: BLE001 - every file system has exceptions of its own
        raise OSError(
            f"{url} cannot be read ({type(error).__name__}: {error}); check the address, the "
            "credentials and the network"
        ) from None
