"""Columns as texts, numbers and dates, and the rows that hold none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from ...config import ReadOptions
from ..sequences import Array
from .column_types import kinds
from .dates import first_unlike, parse
from .names import says_clock
from .numbers import EMPTY as MISSING

if TYPE_CHECKING:
    import pandas as pd

TYPED = "fiubcmM"  # letters of NumPy's types of numbers, dates and durations
MOST_ROWS = 5  # that an error names
FOOTER = re.compile(
    r"(?i)\W*(grand |sub)?(totals?|sums?|means?|averages?|avg|gesamt|summe|mittelwert|source|"
    r"quelle|notes?)\b"
)
INTERVAL = re.compile(
    r"(.*\d)\s+(?:[-\u2013/]|to|bis)\s+(\d.*)|(\S+T\S+)/(\S+T\S+)", re.IGNORECASE
)
LONGEST = 200  # characters of an interval; matching takes the square of a text's length
DIGITS_OF_CLOCK = re.compile(r"([01]\d|2[0-4])[0-5]\d([0-5]\d)?")


def holds_dates(column: pd.Series[Any]) -> bool:
    """Whether the type of a column is one of dates."""
    types = ("period", "date32", "date64")
    return column.dtype.kind == "M" or str(column.dtype).startswith(types)


def is_text(column: pd.Series[Any]) -> bool:
    """Whether a column holds neither numbers nor dates nor durations by its type."""
    return column.dtype.kind not in TYPED and not holds_dates(column)


def is_whole(column: pd.Series[Any]) -> bool:
    """Whether a column holds whole numbers only, also as floats because some are missing."""
    numbers = column.dropna()
    if not len(numbers):
        return False
    return column.dtype.kind in "iu" or bool((numbers % 1 == 0).all())


def distinct(column: pd.Series[Any]) -> tuple[list[str], Array]:
    """The distinct texts of a column, and the number of the text of each row, -1 for none."""
    import pandas as pd

    codes, values = pd.factorize(column)
    texts = [_as_text(value) for value in np.asarray(values, dtype=object)]
    absent = np.array([text.lower() in MISSING for text in texts], dtype=bool)
    if absent.any():
        renumbered = np.where(absent, -1, np.cumsum(~absent) - 1)
        codes = np.where(codes < 0, -1, renumbered[codes])
        texts = [text for k, text in enumerate(texts) if not absent[k]]
    return texts, codes


def _as_text(value: Any) -> str:
    """A cell as text; dates and clock times in ISO 8601."""
    if isinstance(value, str):
        return value.strip()
    if hasattr(value, "isoformat"):
        return str(value.isoformat())
    return str(value)


def to_numbers(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """A column of text as numbers; None where one is none."""
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce")
    return None if (numbers.isna() & column.notna()).any() else numbers


def _padded_clock(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """Texts of a clock, 0030 or 003000 with zeros in front, as 00:30 or 00:30:00; else None."""
    if not says_clock(str(column.name)):
        return None
    texts, _ = distinct(column)
    all_clock = all(map(DIGITS_OF_CLOCK.fullmatch, texts))
    hours = {text[:2] for text in texts}
    if not all_clock or len({*map(len, texts)}) > 1 or hours == {"00"}:
        return None
    if not any(hour.startswith("0") for hour in hours):
        return None
    read = {text: ":".join(re.findall("..", text)) for text in texts}
    return column.str.strip().map(read)


def interval_starts(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """The beginnings of intervals of time such as "1.1.2024 00:00 - 1.1.2024 01:00"; else None."""
    texts, _ = distinct(column)
    if max(map(len, texts), default=0) >= LONGEST:
        return None
    matches = [INTERVAL.fullmatch(text) for text in texts]
    parts = [match.groups() for match in matches if match is not None]
    if not parts or len(parts) < len(texts) or parse(texts) is not None:
        return None
    starts, ends = _halves(parts)
    if parse(starts) is None or parse(ends) is None:
        return None
    return column.str.strip().map(dict(zip(texts, starts, strict=True)))


def _halves(parts: list[tuple[str, ...]]) -> tuple[list[str], list[str]]:
    """The first and the second text of each interval."""
    pairs = [[text for text in part if text] for part in parts]
    return [pair[0] for pair in pairs], [pair[-1] for pair in pairs]


def with_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with texts that are numbers as numbers, 0930 as 09:30, intervals as their start."""
    found = {}
    for name, kind in zip(frame.columns, kinds(frame), strict=True):
        if kind in TYPED:
            continue
        column = frame[name]
        if not is_text(column):
            continue
        filled = column.dropna()
        first = _as_text(filled.iloc[0]) if len(filled) else ""
        if len(first) < LONGEST and INTERVAL.fullmatch(first):
            starts = interval_starts(column)
            found.update({} if starts is None else {name: starts})
        if first.replace(".", "", 1).isdecimal():
            read = _padded_clock(column)
            read = to_numbers(column) if read is None else read
            if read is not None:
                found[name] = read
    return frame.assign(**found) if found else frame


def to_instants(column: pd.Series[Any]) -> Array:
    """A column of dates as datetime64[ns] (UTC), or [us] where years need it."""
    if str(column.dtype).startswith("period"):
        column = column.dt.to_timestamp()
    if str(column.dtype).startswith(("date32", "date64")):
        column = column.astype("datetime64[us]")
    if getattr(column.dt, "tz", None) is not None:
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    times = column.to_numpy()
    if times.dtype.kind != "M":
        times = column.to_numpy(dtype="datetime64[us]")
    day = times.astype("datetime64[D]")
    in_range = day.size and day.min() >= np.datetime64("1678")
    if in_range and day.max() < np.datetime64("2262"):
        return times.astype("datetime64[ns]")
    return times.astype("datetime64[us]")


def missing(column: pd.Series[Any]) -> Array:
    """The rows of a column without a value, ``(n,)`` bool."""
    if is_text(column):
        return distinct(column)[1] < 0
    return np.asarray(column.isna())


def check_missing(column: pd.Series[Any]) -> None:
    """Raise ValueError where a row has no value."""
    rows = np.flatnonzero(missing(column))
    if rows.size:
        raise no_time(column, rows)


def check_unused(
    column: pd.Series[Any], options: ReadOptions, held: str, name: str, *fitting: str
) -> None:
    """Raise ValueError where an option is given that what a column holds does not need.

    Args:
        column: of times.
        options: how to read.
        held: what the column holds.
        name: the option.
        fitting: values of the option that agree with it.
    """
    value = getattr(options, name)
    if value is not None and value not in fitting:
        raise ValueError(
            f"column {column.name!r} holds {held}, which need no {name}={value!r}; leave it out"
        )


def no_time(column: pd.Series[Any], rows: Array, why: str = "") -> ValueError:
    """The error for rows that hold no time."""
    value = column.iloc[rows[0]]
    what = "fill in the time or delete these rows"
    if isinstance(value, str) and FOOTER.match(value):
        what = f"{value!r} looks like a footer: delete this row"
    shown = f"{value!r}" if isinstance(value, str) else str(value)
    listed_rows = ", ".join(str(row + 1) for row in rows[:MOST_ROWS])
    more = ", ..." if len(rows) > MOST_ROWS else ""
    others = f" (all: {listed_rows}{more})" if len(rows) > 1 else ""
    return ValueError(
        f"column {column.name!r} holds {len(rows)} rows that are no time, the first "
        f"{shown} in data row {rows[0] + 1}{others}{why}; {what}, or choose time='' to go by the "
        "order of the rows"
    )


def unlike(column: pd.Series[Any], texts: list[str], index: Array) -> ValueError:
    """The error for texts that are no numbers as the most, or in no format of those before."""
    import pandas as pd

    wrong = np.asarray(pd.to_numeric(pd.Series(texts), errors="coerce").isna())
    if 2 * wrong.sum() > len(texts):
        wrong = np.arange(len(texts)) == first_unlike(texts)
    return no_time(column, np.flatnonzero(wrong[index] & (index >= 0)))
