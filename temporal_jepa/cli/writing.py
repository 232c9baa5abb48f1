"""Files that a verb writes: where they go, what may be replaced, tables."""

import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ..files import replacing
from ..files.atomic import check_replaceable

if TYPE_CHECKING:
    import pandas as pd


def output_path(
    out: str | None,
    run: str,
    name: str,
    overwrite: bool,
    suffixes: tuple[str, ...] = (),
) -> Path:
    """Where to write: `out`, or `default_path`, if it can be written.

    Raises:
        ValueError: for a name that does not end in one of `suffixes`.
        FileExistsError: if the file exists and may not be overwritten, or is a link, a pipe, a
            device or a folder.
        NotADirectoryError: if a folder of the path is a file.
        ModuleNotFoundError: for .parquet without pyarrow.
    """
    path = Path(out or default_path(run, name))
    check_output(path, overwrite, suffixes)
    return path


def default_path(run: str, name: str) -> Path:
    """A file in the run folder; for a bundled model or one on the hub, in the current folder."""
    return Path(run, name) if Path(run).is_dir() else Path(name)


def check_output(path: Path, overwrite: bool, suffixes: tuple[str, ...] = ()) -> None:
    """Raise as `output_path` unless a file can be written here."""
    if suffixes and path.suffix not in suffixes:
        raise ValueError(
            f"--out {path}: expected a name that ends in {', '.join(suffixes)}"
        )
    if path.suffix == ".parquet":
        check_parquet()
    check_folder(path.parent)
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} already exists; pass --overwrite to replace it, or another --out"
        )
    check_replaceable(path)


def check_parquet() -> None:
    """ModuleNotFoundError without pyarrow."""
    if importlib.util.find_spec("pyarrow") is None:
        raise ModuleNotFoundError(
            "writing .parquet needs pyarrow: pip install 'temporal-jepa[parquet]'"
        )


def check_folder(path: Path) -> None:
    """Raise if nothing can be written there.

    Raises:
        NotADirectoryError: if the folder, or one above it, is a file.
        ValueError: for an address, as s3://bucket/name.
    """
    first = path.parts[0] if path.parts else ""
    if re.fullmatch("[A-Za-z][A-Za-z0-9+.-]+:", first) and not Path(first).exists():
        raise ValueError(
            f"--out {first}//...: outputs are written on this machine; name a folder or file here "
            "and upload it, for example with aws s3 cp --recursive"
        )
    for part in (path, *path.parents):
        if part.exists() and not part.is_dir():
            raise NotADirectoryError(f"--out: {part} is a file, expected a folder")


def write_page_and_table(
    page: Path, html: bytes, path: Path, table: "pd.DataFrame"
) -> None:
    """Write a page and its table: if either cannot be written, both are as before."""
    with replacing(page) as file:
        file.write(html)
        file.flush()  # a full disk is noticed before the table is replaced
        write_table(path, table)


def write_table(path: Path, table: "pd.DataFrame") -> None:
    """Write a table as .csv or .parquet."""
    with replacing(path) as file:
        if path.suffix == ".csv":
            table.to_csv(file, index=False)
        else:
            table.to_parquet(file, index=False)
