"""Days, weeks and moments of the calendar, counted with numpy."""

from __future__ import annotations

import numpy as np

from ..sequences import Array

PIVOT = 69  # two-digit years are 1969 to 2068, as in POSIX


def full_years(short: Array) -> Array:
    """Two-digit years with their century: 69 to 99 are 1969 to 1999, 0 to 68 are 2000 to 2068."""
    years: Array = short + np.where(short >= PIVOT, 1900, 2000)
    return years


def years_of(times: Array) -> Array:
    """The years of datetime64 as ``(n,)`` int64."""
    years: Array = times.astype("datetime64[Y]").astype(np.int64) + 1970
    return years


def days(year: Array, month: Array, day: Array) -> Array:
    """Days as datetime64[D], NaT where month or day does not exist."""
    start = _months(year, np.clip(month, 1, 12))
    found: Array = start.astype("datetime64[D]") + in_days(day - 1)
    wrong = (
        (month < 1)
        | (month > 12)
        | (day < 1)
        | (found.astype("datetime64[M]") != start)
    )
    found[wrong] = np.datetime64("NaT", "D")
    return found


def in_days(count: Array) -> Array:
    """Numbers of days as timedelta64[D]; NumPy 2.5 adds no bare number to a date."""
    lengths: Array = count.astype("timedelta64[D]")
    return lengths


def _months(year: Array, month: Array) -> Array:
    counted: Array = (12 * (year - 1970) + month - 1).astype("datetime64[M]")
    return counted


def ordinal_days(year: Array, ordinal: Array) -> Array:
    """Days of the year, from 1, as datetime64[D]; NaT where the year has no such day."""
    first = _months(year, np.ones_like(year)).astype("datetime64[D]")
    found = first + in_days(ordinal - 1)
    return np.where(years_of(found) == year, found, np.datetime64("NaT", "D"))


def weeks(year: Array, week: Array, weekday: Array) -> Array:
    """Days of ISO weeks; the fourth of January lies in week 1, weeks begin on Monday."""
    fourth = days(year, np.ones_like(year), np.full_like(year, 4))
    first = fourth - in_days((fourth.astype(np.int64) + 3) % 7)
    monday = first + in_days(7 * (week - 1))
    thursday = monday + np.timedelta64(3, "D")
    right = (years_of(thursday) == year) & (weekday >= 1) & (weekday <= 7)
    return np.where(right, monday + in_days(weekday - 1), np.datetime64("NaT", "D"))


def instants(day: Array, since_midnight: Array) -> Array:
    """Days and nanoseconds since midnight as datetime64[ns], or [us] where years need it."""
    years = years_of(day)
    found: Array
    if len(years) and (years.min() < 1678 or years.max() > 2261):
        microseconds = (since_midnight // 1000).astype("timedelta64[us]")
        found = day.astype("datetime64[us]") + microseconds
    else:
        found = day.astype("datetime64[ns]") + since_midnight.astype("timedelta64[ns]")
    return found
