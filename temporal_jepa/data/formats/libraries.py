"""Errors of the libraries that read files: packages that are missing, files that are damaged."""

from __future__ import annotations

import contextlib
import importlib.util
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

BROKEN = (  # what libraries raise for bytes that make no sense
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


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
        reason = str(error).partition("\n")[0].removeprefix(f"{path}: ")
        reason = reason or type(error).__name__
        raise ValueError(f"not a readable {kind}; {doubt} ({reason})") from error
