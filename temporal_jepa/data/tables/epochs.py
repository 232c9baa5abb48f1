"""Numbers that count from a fixed moment: units since 1970, days of Excel, Julian days."""

from __future__ import annotations

import numpy as np

from ...config import TIME_UNITS
from ..sequences import Array
from .calendars import instants

SINCE_1970 = (("ns", 1e17), ("us", 1e14), ("ms", 1e11))
"""Units that can count from 1970, and the number from which they are taken to."""
UNIX_EPOCH = {"excel": 25569.0, "julian": 2440587.5}  # 1970-01-01 in days of a calendar


def may_be_excel(times: Array) -> bool:
    """Whether numbers are in the range of the days of Excel from 1970 to 2100."""
    low, high = UNIX_EPOCH["excel"], 73050
    return bool(len(times)) and low <= times.min() and times.max() <= high


def in_unit(times: Array, name: str, unit: str | float, notes: list[str]) -> Array:
    """Numbers in a unit as seconds, or as dates if they count from a fixed day.

    Raises:
        ValueError: a number is infinite, or no day of the calendar that the unit names.
    """
    if not np.isfinite(times).all():
        raise ValueError(f"column {name!r} holds infinite times; leave them empty")
    if unit in UNIX_EPOCH:
        return _from_calendar(times, name, str(unit))
    least = dict(SINCE_1970).get(str(unit), np.inf)
    if np.median(np.abs(times)) >= least:
        notes.append(f"numbers in {name!r} count {unit} since 1970")
        return since_1970(times, str(unit))
    seconds = TIME_UNITS.get(str(unit), unit)
    notes.append(f"numbers in {name!r} count {seconds:g} seconds each")
    return times * float(seconds)


def since_1970(times: Array, unit: str) -> Array:
    """Numbers of "ms", "us" or "ns" since 1970 as datetime64[ns]."""
    counted = times.astype(np.int64).astype(f"datetime64[{unit}]")
    return counted.astype("datetime64[ns]")


def _from_calendar(times: Array, name: str, calendar: str) -> Array:
    """Days of Excel or Julian days as dates, to the millisecond that these numbers hold.

    Raises:
        ValueError: the numbers are no days of the years 1 to 9999.
    """
    day = times - UNIX_EPOCH[calendar]
    if (day < -719162).any() or (day > 2932896).any():
        raise ValueError(
            f"numbers in {name!r} are no {calendar} days of the years 1 to 9999, such as "
            f"{times[np.argmax(np.abs(day))]:g}; leave out time_unit={calendar!r}"
            " (modified Julian days: add 2400000.5)"
        )
    whole = np.floor(day)
    within = np.rint((day - whole) * 86_400_000).astype(np.int64) * 1_000_000
    return instants(whole.astype(np.int64).astype("datetime64[D]"), within)
