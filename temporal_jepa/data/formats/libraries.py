"""Errors of the libraries that read files: packages that are missing, files that are damaged."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path


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
        *errors: what the library raises for a file that it cannot read.
        doubt: what may be wrong with the file.
    """
    try:
        yield
    except errors as error:
        reason = str(error).partition("\n")[0].removeprefix(f"{path}: ")
        raise ValueError(f"not a readable {kind}; {doubt} ({reason})") from error
