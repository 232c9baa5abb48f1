"""Columns of year, month, day, hour, ...: what each holds, and which belong together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ..sequences import Array
from .date_formats import MONTHS
from .dates import month_numbers
from .row_order import steps_within
from .time_values import distinct, is_whole

if TYPE_CHECKING:
    import pandas as pd

PARTS = {
    "year": "year yyyy yr yy jahr anno año anio annee année jaar",
    "month": "month mon mo mth mnth monat mes mese mois maand",
    "day": "day dd dy mday dom jour tag dia día giorno dag",
    "ordinal": "doy dayofyear yday ordinal",
    "week": "week wk kw woche semana semaine isoweek",
    "quarter": "quarter qtr quartal trimestre",
    "hour": "hour hh hr hrs hours std stunde hora heure ora uur",
    "minute": "minute min mi mn minuto",
    "second": "second sec ss segundo seconde sekunde",
}
PART_OF = {name: part for part, names in PARTS.items() for name in names.split()}
CHAINS = (
    ("year", "month", "day", "hour", "minute", "second"),
    ("year", "ordinal", "hour", "minute", "second"),
    ("year", "week"),
    ("year", "quarter"),
)
YEARLESS = (
    ("month", "day", "hour", "minute", "second"),
    ("day", "hour", "minute", "second"),
    ("hour", "minute", "second"),
)
LIMITS = {
    "year": (0, 9999),
    "month": (1, 12),
    "day": (1, 31),
    "ordinal": (1, 366),
    "week": (1, 53),
    "quarter": (1, 4),
    "hour": (0, 24),
    "minute": (0, 59),
    "second": (0, 60),
}


def part_of(name: str, names: Iterable[str] = ()) -> str | None:
    """The part of a date that a column holds, by its name.

    Beside no other part, mm is a month, and hr the heart rate.
    """
    plain = _letters(name)
    if plain not in ("mm", "hr"):
        return PART_OF.get(plain)
    others = [_letters(other) for other in names if other != name]
    parts = set(map(PART_OF.get, others))
    if plain == "hr":
        return None if parts.isdisjoint({"month", "day", "ordinal"}) else "hour"
    if "mm" in others:  # MM and mm
        return "minute" if name.islower() else "month"
    return "minute" if "month" in parts else "month"


def _letters(name: str) -> str:
    return "".join(filter(str.isalpha, name.lower()))


def by_part(names: Iterable[str]) -> dict[str, str]:
    """Part of a date -> the first column that is named so."""
    names = list(names)
    found: dict[str, str] = {}
    for name in names:
        if any(map(str.isdecimal, name)):
            continue
        part = part_of(name, names)
        if part is not None:
            found.setdefault(part, name)
    return found


def chain(names: Iterable[str]) -> dict[str, str]:
    """The longest run of parts without a gap: year, month, day, hour, ...."""
    parts = by_part(names)
    best: dict[str, str] = {}
    for parts_in_order in CHAINS if "year" in parts else YEARLESS:
        run = {}
        for part in parts_in_order:
            if part not in parts:
                break
            run[part] = parts[part]
        best = max(best, run, key=len)
    return best


def valid_parts(frame: pd.DataFrame, parts: dict[str, str]) -> dict[str, str]:
    """The first of these columns of parts, up to one whose values are impossible."""
    kept = {}
    for part, name in parts.items():
        if not in_limits(frame[name], part):
            break
        kept[part] = name
    return kept


def in_limits(column: pd.Series[Any], part: str) -> bool:
    """Whether the values of a column can be a part of dates; months can be names."""
    if part == "month" and column.dtype.kind not in "fiub":
        return set(column.dropna().astype(str).str.lower()) <= MONTHS.keys()
    if column.dtype.kind not in "fiu":
        return False
    if part != "second" and not is_whole(column):
        return False
    numbers = column.dropna()
    return bool(len(numbers)) and bool(numbers.between(*LIMITS[part]).all())


def is_sorted(frame: pd.DataFrame, parts: dict[str, str]) -> bool:
    """Whether rows follow the parts, such as day and hour, over all or beside another column."""
    numbers = [part_numbers(frame[name], part) for part, name in parts.items()]
    since = np.ravel_multi_index(numbers, [100] * len(numbers))
    if _goes_up(since, np.zeros(len(frame))):
        return True
    others = [name for name in frame.columns if name not in parts.values()]
    names_blocks = (name for name in others if _names_blocks(frame[name]))
    return any(_goes_up(since, distinct(frame[name])[1]) for name in names_blocks)


def _goes_up(since: Array, groups: Array) -> bool:
    """Whether numbers ``(n,)`` never fall within a group of rows and rise at least once."""
    steps = steps_within(since, groups)
    return bool((steps >= 0).all() and (steps > 0).any())


def _names_blocks(column: pd.Series[Any]) -> bool:
    """Whether a column of texts or whole numbers could name series of many rows."""
    return column.dtype.kind not in "fcmM" and 2 * column.nunique() <= len(column)


def part_numbers(column: pd.Series[Any], part: str) -> Array:
    """A part of dates as ``(n,)`` int64; months may be names."""
    if part == "month" and column.dtype.kind not in "fiub":
        return month_numbers(column.astype(str).str.strip().str.lower().to_numpy())
    try:
        return np.asarray(column.to_numpy(dtype=np.float64)).astype(np.int64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"column {column.name!r} holds {column.iloc[0]!r}, expected numbers: it is the "
            f"{part} of the time"
        ) from error
