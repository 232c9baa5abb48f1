"""Outputs that are whole or absent: written beside what they replace, then renamed.

A symbolic link is never followed for writing, and what is no file (a pipe, a device) is refused
before it is opened.
"""

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

try:
    import fcntl
except ImportError:  # Windows, where an open file cannot be deleted or replaced anyway
    fcntl = None  # type: ignore[assignment]

TEMPORARY = re.compile(r"\.temporal-jepa-[0-9a-f]{16}(\.\w+)?")
"""Names of files that are being written. They are hidden: no reader takes them for data."""
DISK_ERRORS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS),
    *(errno.EMFILE, errno.ENFILE),
)
CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_cleaned: set[str] = set()  # folders whose leftovers this process has removed


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file as `replacing` does; missing folders are created."""
    with replacing(path) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of `path` when the block ends.

    Whatever stops the block or the process, `path` is what it was, or the new file, whole and on
    disk. Missing folders are created. A library that writes by name gets `file.name`.

    Args:
        path: file to create or to replace.

    Yields:
        A file beside `path` with the same ending, open for binary writing.

    Raises:
        OSError: if the file cannot be written, with `path` as the name; if `path` is a link, a
            folder, a pipe or a device.
    """
    with naming(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        check_replaceable(path)
        _remove_leftovers(path.parent)
        descriptor, temporary = _create_beside(path)
    try:
        with (
            naming(path, temporary),
            open(temporary, "wb", opener=lambda name, flags: descriptor) as file,
        ):
            yield file
            file.flush()
            os.fsync(descriptor)
            if (
                fcntl is not None
            ):  # still locked, so that nobody takes it for a leftover
                os.replace(temporary, path)
        if fcntl is None:
            with naming(path, temporary):
                os.replace(temporary, path)
        flush_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def append_line(path: Path, line: str) -> None:
    """Add a line to a file, created if missing; a link is not followed.

    Raises:
        OSError: if it cannot be written, or `path` is no file. Half a line may then be left.
    """
    check_replaceable(path)
    content = line.encode() + b"\n"
    with naming(path):
        descriptor = os.open(path, APPEND, 0o666)
        try:
            while content:
                content = content[os.write(descriptor, content) :]
        finally:
            os.close(descriptor)


def read_file(path: Path, limit: int) -> bytes:
    """The bytes of a file.

    Raises:
        OSError: if the file is missing, cannot be read, or is no file, as a pipe.
        ValueError: for more than `limit` bytes.
    """
    check_file(path)
    with open(path, "rb", opener=lambda name, flags: os.open(name, READ)) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(
            f"{path} is larger than {limit:,} bytes, more than any file of its kind; it is "
            "damaged, or another file: copy it again"
        )
    return content


def check_file(path: Path) -> None:
    """OSError unless `path` is a file, or a link to one: a pipe would wait for ever."""
    kind = stat.S_IFMT(path.stat().st_mode)
    if kind != stat.S_IFREG:
        raise OSError(f"{path} is {KINDS.get(kind, 'no file')}, expected a file")


def check_replaceable(path: Path) -> None:
    """OSError unless `path` is missing or a file: neither links nor pipes are written through."""
    try:
        kind = stat.S_IFMT(path.lstat().st_mode)
    except FileNotFoundError:
        return
    if kind == stat.S_IFLNK:
        raise FileExistsError(
            f"{path} is a symbolic link, and a link is not followed for writing; name the file "
            f"that it points to ({os.readlink(path)}), or delete the link"
        )
    if kind != stat.S_IFREG:
        raise FileExistsError(
            f"{path} is {KINDS.get(kind, 'no file')}, expected a file to write; choose another "
            "name"
        )


@contextlib.contextmanager
def naming(path: Path, temporary: str = "") -> Iterator[None]:
    """Give errors of the disk the name of the file that a person knows."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        is_ours = error.filename is None and error.errno in DISK_ERRORS
        if is_ours or (temporary and os.fspath(error.filename or "") == temporary):
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise


def _create_beside(path: Path) -> tuple[int, str]:
    """A new file in the folder of `path`, locked while it is open: its descriptor and name.

    The name cannot be guessed, and O_EXCL refuses one that exists, also as a link.
    """
    while True:
        name = f".temporal-jepa-{secrets.token_hex(8)}{path.suffix}"
        if not TEMPORARY.fullmatch(name):  # a strange ending
            name = name[: -len(path.suffix)]
        temporary = str(path.with_name(name))
        try:
            descriptor = os.open(temporary, CREATE, 0o666)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
        _lock(descriptor)
        if os.path.lexists(temporary):
            return descriptor, temporary
        os.close(descriptor)  # deleted as a leftover before it was locked


def _lock(descriptor: int, wait: bool = True) -> bool:
    """Lock an open file until it is closed, or its process is gone; False if it is locked."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:  # locked, or a file system without locks
        return False
    return True


def _remove_leftovers(folder: Path) -> None:
    """Delete what killed writers left in a folder, once for each process.

    Only files with names of ours that no living process, of any machine, has locked.
    """
    if str(folder.absolute()) in _cleaned:
        return
    _cleaned.add(str(folder.absolute()))
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        names = [entry.path for entry in entries if TEMPORARY.fullmatch(entry.name)]
        for name in names:
            _remove_leftover(name)


def _remove_leftover(name: str) -> None:
    flags = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    with contextlib.suppress(OSError):
        descriptor = os.open(name, flags)
        try:
            if stat.S_ISREG(os.fstat(descriptor).st_mode) and _lock(descriptor, False):
                os.unlink(name)
        finally:
            os.close(descriptor)


def flush_folder(folder: Path) -> None:
    """Make a rename in a folder last through a loss of power, where the system can."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):  # not every file system can
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
