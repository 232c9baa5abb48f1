"""Files of a folder that are related tables: one names the rows of another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .tables.build import Table
from .tables.names import says_id, words

if TYPE_CHECKING:
    import pandas as pd

FILES = 4  # more are hardly the tables of one database
BYTES = 2**26  # of all files together; larger ones are read in parts
READERS = {".csv": "read_csv", ".parquet": "read_parquet", ".json": "read_json"}


def refuse_related(tables: Mapping[str, Table]) -> None:
    """ValueError with the lines that join two tables, if a column of one names rows of another.

    Files with the same columns are no such tables.
    """
    names = list(tables)
    if not 1 < len(names) <= FILES:
        return
    if sum(Path(name).stat().st_size for name in names) > BYTES:
        return
    for many in names:
        for one in names:
            key = _key(tables[many].frame, tables[one].frame)
            if key is not None:
                raise ValueError(_advice(many, one, *key))


def _key(many: pd.DataFrame, one: pd.DataFrame) -> tuple[str, str] | None:
    """The column of the first table that names rows of the second, and the column of these."""
    if set(many.columns) == set(one.columns):
        return None
    for theirs in filter(says_id, map(str, one.columns)):
        known = one[theirs]
        if len(known) < 2 or known.isna().any() or known.duplicated().any():
            continue
        values = set(known.astype(str))
        for ours in filter(says_id, map(str, many.columns)):
            named = many[ours].dropna().astype(str)
            repeats = len(named) > 0 and named.duplicated().any()
            if repeats and _is_named(ours, theirs) and set(named) <= values:
                return ours, theirs
    return None


def _is_named(ours: str, theirs: str) -> bool:
    """Whether a column is called like the key of another table: track_id and id, or track_id."""
    if ours == theirs:
        return len(words(ours)) > 1  # a bare id is of its own table
    return ours.lower().endswith(theirs.lower())


def _advice(many: str, one: str, ours: str, theirs: str) -> str:
    """What the two files are, and how to make one table of them."""
    left, right = Path(many), Path(one)
    reads = [
        f"pd.{READERS.get(file.suffix, 'read_csv')}({str(file)!r})"
        for file in (left, right)
    ]
    target = f"{left.stem}_joined.csv"
    join = f"left_on={ours!r}, right_on={theirs!r}, suffixes=('', '_{right.stem}')"
    return (
        f"{left.name} and {right.name} are two related tables: column {ours!r} of the first names "
        f"rows of the second by their {theirs!r}; name one of the files, or join them with pandas, "
        f"{reads[0]}.merge({reads[1]}, {join}).to_csv({target!r}, index=False), and read "
        f"{target} with id={ours!r}"
    )
