"""Errors of the libraries that read files: packages that are missing, files that are damaged."""

from __future__ import annotations

import contextlib
import importlib.util
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ...files.memory import available
from ...files.printable import printable

LARGE = (
    2**30
)  # bytes from which a file that is compressed more than RATIO times is refused
RATIO = 200
BROKEN = (  # what libraries raise for bytes that make no sense
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    UnicodeDecodeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


class TooLargeError(ValueError):
    """A file promises more values than it can hold, or than fit into memory."""


def check_size(promised: int, path: Path, advice: str) -> None:
    """TooLargeError for a file whose content is far larger than itself, or than free memory.

    It comes before anything is allocated: the promise stands in the header of the file.

    Args:
        promised: bytes of the content in memory.
        path: the file.
        advice: what to do, such as "save the array with numpy.save".
    """
    check_ratio(promised, path, advice)
    free = available()
    if free is not None and promised > free:
        raise TooLargeError(
            f"needs {size(promised)} of memory, of which {size(free)} is free; {advice}"
        )


def check_ratio(promised: int, path: Path, advice: str) -> None:
    """TooLargeError for a file whose content is far larger than itself, see `check_size`."""
    most = max(LARGE, RATIO * path.stat().st_size)
    if promised > most:
        raise TooLargeError(
            f"promises {size(promised)}, more than {RATIO} times the size of the file and than "
            f"{size(LARGE)}; {advice}"
        )


def size(count: int) -> str:
    """A number of bytes for a message.

    >>> size(2 * 10**12)
    '2,000 GB'
    """
    return f"{count / 1e9:,.0f} GB" if count > 1e10 else f"{count / 1e9:.2g} GB"


@contextlib.contextmanager
def understood(path: Path) -> Iterator[None]:
    """Raise what no reader foresaw in a file as ValueError, and keep NumPy from warning.

    An infinite number is refused by its place later, so its arithmetic needs no warning.
    """
    try:
        with np.errstate(all="ignore"):
            yield
    except ModuleNotFoundError:
        raise
    except (*BROKEN, AssertionError, AttributeError, BufferError) as error:
        if isinstance(error, OSError):  # of the disk: the command line prints it
            raise
        reason = printable(str(error).partition("\n")[0])[:200]
        raise ValueError(
            f"{path}: the content was not understood ({type(error).__name__}: {reason}); check the "
            "file, or write it anew, for example as .csv with a header line"
        ) from error


def needs(package: str, extra: str, what: str) -> None:
    """ModuleNotFoundError with the command to install a package, unless it is installed."""
    if importlib.util.find_spec(package) is None:
        raise ModuleNotFoundError(
            f"{what} needs {package}: pip install 'temporal-jepa[{extra}]'"
        )


@contextlib.contextmanager
def readable(
    path: Path, kind: str, *errors: type[Exception], doubt: str = "is it cut short?"
) -> Iterator[None]:
    """Raise the errors of a library as ValueError, with the first line of what it says.

    Args:
        path: the file.
        kind: what it should be, such as "HDF5 file".
        *errors: what the library raises for a file that it cannot read, besides `BROKEN`.
        doubt: what may be wrong with the file.
    """
    broken: tuple[type[Exception], ...] = (*errors, *BROKEN)
    try:
        yield
    except broken as error:
        if isinstance(error, TooLargeError):
            raise
        reason = str(error).partition("\n")[0].removeprefix(f"{path}: ")
        reason = reason or type(error).__name__
        raise ValueError(f"not a readable {kind}; {doubt} ({reason})") from error
