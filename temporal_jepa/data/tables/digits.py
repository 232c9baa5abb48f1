"""Whole numbers whose digits write dates or clock times: 20240131, 235950."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..sequences import Array
from . import dates
from .calendars import instants
from .names import (
    says_clock,
    says_count_of_time,
    says_date,
    says_moment,
    unit_in_name,
)

if TYPE_CHECKING:
    import pandas as pd

DAY = 86400 * 10**9
FIRST = 1000  # texts of which all must be dates before the others are looked at
MIDNIGHT = 240000  # as digits


def dates_in_digits(column: pd.Series[Any]) -> dict[str, Array]:
    """The dates that whole numbers write by the order of their digits; empty if they write none.

    20240131, 202401312359, 2024013023 (an hour), 20240131235950, 31012024, 2024031 (a day of the
    year). Under a name of a time, or of a month, also 202401 (a month) and 240131.
    """
    if not len(column) or column.min() < 10**4 or column.max() >= 2**63:
        return {}
    numbers = column.to_numpy(dtype=np.int64)
    distinct, index = np.unique(numbers, return_inverse=True)
    texts = list(map(str, distinct.tolist()))
    found: dict[str, Array] = {}
    if distinct[0] >= 10**6:
        written = {
            "compact": texts,
            "compact reversed": [text.zfill(8) for text in texts],
            "ordinal": [f"{text[:4]}-{text[4:]}" for text in texts],
        }
        for form, digits in written.items():
            if len({*map(len, digits)}) == 1:
                found.update(_dates_of(digits, form))
    elif distinct[-1] < 10**6:
        found = _short_dates(str(column.name), texts)
    return {order: times[index] for order, times in found.items()}


def _short_dates(name: str, texts: list[str]) -> dict[str, Array]:
    """Months ("my") of digits such as 202401, else days such as 240131 in each order."""
    if says_count_of_time(name) or unit_in_name(name) or len(texts) < 2:
        return {}
    months = _dates_of([f"{text[:4]}-{text[4:]}" for text in texts], "month")
    if months:
        return {"my": months["ymd"]}
    if not says_moment(name):
        return {}
    padded = [text.zfill(6) for text in texts]
    days = [f"{text[:2]}/{text[2:4]}/{text[4:]}" for text in padded]
    parsed = dates.parse(days, ("numeric",))
    found = {} if parsed is None else _moments(parsed)
    return found if says_date(name) or "ymd" in found else {}


def _dates_of(texts: list[str], form: str) -> dict[str, Array]:
    """The moments of texts of digits in a format, by the order of day, month and year."""
    if dates.parse(texts[:FIRST], (form,)) is None:
        return {}
    parsed = dates.parse(texts, (form,))
    if parsed is None or not dates.is_plausible(parsed):
        return {}
    return _moments(parsed)


def _moments(parsed: dates.Texts) -> dict[str, Array]:
    """The moments of parsed texts by each order that is possible."""
    since = dates.clock_ns(parsed)
    return {
        order or "ymd": instants(day, since)
        for order, day in dates.readings(parsed).items()
        if not np.isnat(day).any()
    }


def clock_in_digits(column: pd.Series[Any], name: str) -> Array | None:
    """Whole numbers under a name of time as nanoseconds since midnight, if they write clock times.

    They are clock times, 2358, 2359, 0, rather than counts if only so their steps are equal, if
    many of them skip 60 to 99 in their last digits, or if they fall once a day.
    """
    if not says_moment(name) or not says_clock(name):
        return None
    if not are_clock_times(column, name):
        return None
    if "hhmm" in name.lower():
        return clock_of_digits(column.to_numpy(dtype=np.float64), name)
    numbers = column.to_numpy(dtype=np.float64)
    distinct = np.unique(numbers)
    if len(distinct) < 3:
        return None
    since = clock_of_digits(numbers, name)
    return since if _run_like_a_clock(numbers, distinct, since) else None


def _run_like_a_clock(numbers: Array, distinct: Array, since: Array) -> bool:
    """Whether numbers run as clock times do, with the nanoseconds that they would be."""
    count = _regularity(np.diff(numbers))
    hours = np.unique(distinct // 100)
    if count < 0.5 and len(distinct) >= 10 and len(hours) > 1:
        return True
    steps = np.diff(since)
    falls = steps[steps < 0]
    never_twice = len(distinct) == len(numbers)
    if len(falls) and never_twice and (falls < -DAY // 2).all():
        return True
    clock = _regularity(steps % DAY)
    return clock >= 0.9 and clock > count


def are_clock_times(column: pd.Series[Any], name: str) -> bool:
    """Whether numbers such as 905 or 90500, one of three digits or more, are all times of day."""
    if not 100 <= column.max() <= MIDNIGHT:
        return False
    numbers = column.dropna().unique().astype(np.float64)
    return bool((clock_of_digits(numbers, name) >= 0).all())


def clock_of_digits(numbers: Array, name: str) -> Array:
    """The numbers 905 or 90500 as nanoseconds since midnight, -1 where one is no time of day."""
    if numbers.max() <= 2400 and "hhmmss" not in name.lower():
        numbers = numbers * 100
    minutes, second = np.divmod(numbers, 100)
    hour, minute = np.divmod(minutes, 100)
    seconds = 3600 * hour + 60 * minute + second
    wrong = (numbers < 0) | (second >= 60) | (minute >= 60) | (seconds > 86400)
    since: Array = np.where(wrong, -1, np.rint(seconds * 1e9)).astype(np.int64)
    return since


def _regularity(steps: Array) -> float:
    """The share of the most frequent step, without those that do not move."""
    _, counts = np.unique(steps[steps != 0], return_counts=True)
    return float(counts.max() / counts.sum())
