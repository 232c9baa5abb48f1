"""Names of columns that are times."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from ...config import ReadOptions
from ..sequences import Array
from . import dates
from .calendars import instants
from .date_formats import CLOCKS, MONTHS, WEEKDAYS
from .date_order import WrittenDates, read_dates


def names_as_times(
    names: Sequence[str], options: ReadOptions, notes: list[str] | None = None
) -> Array | None:
    """Column names that are all times of one format, ``(n,)`` datetime64 or float64; else None.

    Dates, months, quarters, weeks and years, also as R writes them (X2015.07.01); names of months
    or weekdays, and hours. Names of months, weekdays and hours may begin anywhere in their cycle:
    Jul to Jun.

    Raises:
        AmbiguousError: day and month can be exchanged.
        ValueError: dates fit no one order.
    """
    import pandas as pd

    if not len(names):
        return None
    texts = _plain(names)
    cycle = _in_cycle(texts)
    if cycle is not None:
        return cycle
    if all(re.fullmatch(r"(1[5-9]|2[0-2])\d\d", text) for text in texts):
        years = np.array(texts, dtype="datetime64[D]")
        return instants(years, np.zeros(len(texts), dtype=np.int64))
    parsed = dates.parse(texts)
    if parsed is None or not parsed.has_date:
        return None
    column = pd.Series(texts, name="column names", dtype=object)
    one_series = np.zeros(len(texts), dtype=np.int64)
    written = WrittenDates(column, texts, np.arange(len(texts)), parsed, one_series)
    return read_dates(written, options, [] if notes is None else notes)


def _plain(names: Sequence[str]) -> list[str]:
    """The texts of names without the X that R writes before them, 201507 as 2015-07."""
    texts = [str(name).strip() for name in names]
    if all(re.match(r"X\d", text) for text in texts):
        texts = [text[1:] for text in texts]
    if all(re.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])", text) for text in texts):
        texts = [f"{text[:4]}-{text[4:]}" for text in texts]
    return texts


def _in_cycle(texts: list[str]) -> Array | None:
    """Names of months or weekdays, or times of day, that count on past the end of their cycle."""
    for known, length in ((MONTHS, 12), (WEEKDAYS, 7)):
        numbers = [known.get(text.lower().rstrip(".")) for text in texts]
        if len(texts) > 2 and None not in numbers:
            return _unrolled(np.array(numbers, dtype=np.float64), length)
    hours = [re.sub(r"(?i)^h(?:our)?[ _]?(\d\d?)$", r"\1h", text) for text in texts]
    parsed = dates.parse(hours, CLOCKS)
    if parsed is None:
        return None
    since = dates.clock_ns(parsed)
    return None if (since < 0).any() else _unrolled(since / 1e9, 86400)


def _unrolled(numbers: Array, length: float) -> Array:
    """Numbers of a cycle in order; if they fall once and end before they began, they count on."""
    falls = np.flatnonzero(np.diff(numbers) < 0)
    if len(falls) == 1 and numbers[-1] < numbers[0]:
        numbers = numbers + length * (np.arange(len(numbers)) > falls[0])
    return numbers
