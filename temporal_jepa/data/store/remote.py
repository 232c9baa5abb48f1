"""Stores in an object store, as `s3://bucket/data.store`: files are cached when they are read.

fsspec reads them, with the package for the protocol: the extra `[s3]` has that of S3.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from ...files.atomic import replacing, write_atomically

REMOTE = "remote.json"
CACHE = "TEMPORAL_JEPA_CACHE"  # in the environment: where stores are cached
BLOCK = 2**22  # bytes that are read at a time


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

    def fetch(self, name: str) -> None:
        """Download a file into the cache unless it is there; processes take turns.

        Raises:
            OSError: if it cannot be read, or there is no space.
            ValueError: if it is not what `store.json` says.
        """
        path = self.folder / name
        with FileLock(self.folder / f".{name}.lock"):
            if path.is_file():
                return
            digest = hashlib.sha256()
            with replacing(path) as out:
                with _opened(f"{self.url}/{name}") as file:
                    while block := file.read(BLOCK):
                        digest.update(block)
                        out.write(block)
                if digest.hexdigest() != self.files[name]["sha256"]:
                    raise ValueError(
                        f"{self.url}/{name} is not what store.json describes: its checksum "
                        "differs; upload the store again"
                    )


def is_remote(path: Any) -> bool:
    """Whether a path names a place that fsspec reads."""
    return isinstance(path, str) and "://" in path


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
        with _opened(f"{url}/store.json") as file:
            content = file.read()
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{url}: no store.json ({error}); expected a store that temporal-jepa prepare made, "
            "uploaded with all of its files"
        ) from None
    default = Path("~/.cache/temporal-jepa").expanduser()
    key = hashlib.sha256(url.encode() + content).hexdigest()[:24]
    folder = Path(os.environ.get(CACHE) or default) / key
    write_atomically(folder / REMOTE, json.dumps({"url": url}).encode())
    write_atomically(folder / "store.json", content)
    return folder


def remote_of(folder: Path, files: dict[str, Any]) -> Remote | None:
    """Where the files of a folder come from; None for a store on this machine."""
    path = folder / REMOTE
    if not path.is_file():
        return None
    return Remote(str(json.loads(path.read_text())["url"]), folder, files)


def _opened(url: str) -> Any:
    """A remote file, open for reading."""
    protocol = url.partition("://")[0]
    try:
        import fsspec

        return fsspec.open(url, "rb").open()
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
        raise
    except Exception as error:  # noqa: BLE001 - every file system has exceptions of its own
        raise OSError(
            f"{url} cannot be read ({type(error).__name__}: {error}); check the address, the "
            "credentials and the network"
        ) from None
