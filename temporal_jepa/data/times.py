"""Columns of time: which they are, what their texts mean, and the order of the rows."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from .delimited import DATE
from .sequences import Array, moment

if TYPE_CHECKING:
    import pandas as pd

UTC_OFFSET = r":\d\d.*(?:Z|[+-]\d\d:?\d\d)$"


def is_dates(column: pd.Series[Any]) -> bool:
    """Whether a column of text begins with dates."""
    import pandas as pd

    some = column.dropna().head(20)
    if not len(some) or pd.to_numeric(some.astype(str), errors="coerce").notna().any():
        return False
    if not all(isinstance(value, str) and DATE.search(value) for value in some):
        return False
    return bool(_dates(some)[0].notna().all())


def _dates(column: pd.Series[Any]) -> tuple[pd.Series[Any], str]:
    """Times (UTC) in the reading that parses the most rows, NaT elsewhere, and its first part."""
    import pandas as pd

    readings: list[dict[str, Any]] = [{"format": "ISO8601"}, {}, {"dayfirst": True}]
    with warnings.catch_warnings():
        # pandas warns when it cannot infer one format, and when dayfirst does not apply.
        warnings.simplefilter("ignore", UserWarning)
        parsed = [
            pd.to_datetime(column, errors="coerce", utc=True, **how).dt.tz_localize(
                None
            )
            for how in readings
        ]
    best = int(np.argmax([times.notna().sum() for times in parsed]))
    return parsed[best], ("year", "month", "day")[best]


def read_times(column: pd.Series[Any], notes: list[str]) -> Array:
    """A time column as int64, float64 or datetime64[ns] (UTC).

    Raises:
        ValueError: where a row has no time, or holds something else.
    """
    if column.dtype.kind == "m":
        column = column.dt.total_seconds()
    times = column
    if column.dtype.kind not in "fiub":
        times, first = _dates(column)
        _note_dates(column, first, notes)
    wrong = np.flatnonzero(times.isna())
    if wrong.size:
        raise ValueError(
            f"column {column.name!r} holds {wrong.size} rows that are no time, the first "
            f"{column.iloc[wrong[0]]!r} in data row {wrong[0] + 1}; choose time='' to go by the "
            "order of the rows"
        )
    if times.dtype.kind not in "fiub":
        return times.to_numpy(dtype="datetime64[ns]")
    # Nanoseconds since 1970 do not fit float64.
    whole = times.dtype.kind in "iu" and times.max() < 2**63
    return times.to_numpy(dtype=np.int64 if whole else np.float64)


def _note_dates(column: pd.Series[Any], first: str, notes: list[str]) -> None:
    """Notes on what dates in text leave open: the offset from UTC, and the order of their parts."""
    if column.dtype.kind != "O":
        return
    texts = column.astype(str)
    offsets = int(texts.str.contains(UTC_OFFSET).sum())
    if 0 < offsets < len(column):
        without = len(column) - offsets
        notes.append(
            f"{without} times in {column.name!r} have no offset from UTC: taken as UTC"
        )
    if re.match(r"\d{1,2}[-/. ]\d", texts.iloc[0]):
        notes.append(f"dates in {column.name!r} are read with the {first} first")


def check_times(
    times: Array,
    codes: Array,
    rows: Array,
    names: list[str],
    notes: list[str],
) -> None:
    """ValueError for two rows at one time; a note when steps are not equal. All are in order."""
    same = codes[1:] == codes[:-1]
    steps = np.diff(times).astype(np.float64)
    repeated = np.flatnonzero(same & (steps == 0))
    if repeated.size:
        k = repeated[0]
        raise ValueError(
            f"{repeated.size} duplicate timestamps, the first is {moment(times[k])} in "
            f"series {names[codes[k]]!r} (data rows {rows[k] + 1} and {rows[k + 1] + 1}); drop one "
            "of them, choose time='' to go by the order of the rows, or id=COLUMN if the table "
            "holds several series"
        )
    usual = np.median(steps[same]) if same.any() else 0.0
    odd = np.abs(steps - usual) > 0.01 * usual
    uneven = len(np.unique(codes[1:][same & odd]))
    if uneven:
        notes.append(
            f"{uneven} of {len(names)} series are not equally spaced in time: each row is one "
            "timestep"
        )
