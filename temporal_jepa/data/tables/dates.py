"""Texts of dates and clock times: one format for all of them, or none.

Numeric dates leave the order of day, month and year open: `readings` gives every order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..sequences import Array
from .calendars import days, full_years, ordinal_days, weeks
from .date_formats import FORMATS, MONTHS, UNTELLING, WORDS

if TYPE_CHECKING:
    pass

ORDERS = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}
PLAUSIBLE = (1900, 2100)  # years of dates that are written as digits alone
CHUNK = 50_000  # texts that are matched at once
SOME = 20  # texts of which one must fit, for a format to be tried on all
SAMPLE = 1000  # texts from which the parts of a column are known
LONGEST = 80  # characters of a date


@dataclass(frozen=True)
class Texts:
    """The parts of texts of one format.

    Attributes:
        format: its name, a key of `FORMATS`.
        parts: numbers by the name of the part, each ``(n,)`` int32, -1 where it is absent.
        words: the parts that are words, each ``(n,)`` lower case, "" where it is absent.
    """

    format: str
    parts: dict[str, Array]
    words: dict[str, Array]

    def numbers(self, part: str, absent: int = -1) -> Array:
        """A part as ``(n,)`` int64."""
        found = self.parts.get(part)
        if found is None:
            return np.full(len(self), absent, dtype=np.int64)
        return np.where(found < 0, absent, found).astype(np.int64)

    @property
    def has_date(self) -> bool:
        """Whether the texts hold more than clock times."""
        return not {"year", "short"}.isdisjoint(self.parts)

    @property
    def has_hours(self) -> bool:
        """Whether the texts are dates and one holds an hour."""
        return self.has_date and bool((self.numbers("hour") >= 0).any())

    def __len__(self) -> int:
        return len(next(iter(self.parts.values())))


def parse(texts: list[str], formats: Iterable[str] = FORMATS) -> Texts | None:
    """The parts of texts in the first format that fits them all and gives times; else None."""
    if not texts or max(map(len, texts)) > LONGEST:
        return None
    return _best(_matched(texts, name) for name in formats)


def _best(found: Iterable[Texts | None]) -> Texts | None:
    """The first in which all texts are times, else the first in which some are; None without.

    Digits alone must all be times, in a usual year.
    """
    partly = None
    for texts in found:
        if texts is None:
            continue
        possible = _possible(texts)
        digits = texts.format.startswith("compact")
        if possible.all() and (is_plausible(texts) or not digits):
            return texts
        if partly is None and possible.any() and not digits:
            partly = texts
    return partly


def _matched(texts: list[str], name: str) -> Texts | None:
    """The parts of all texts in this format, None if it does not fit one of them."""
    pattern = FORMATS[name]
    if not texts or pattern.fullmatch(texts[0]) is None:
        return None
    chunks = []
    for start in range(0, len(texts), CHUNK):
        chunk = _parts_of(texts[start : start + CHUNK], pattern)
        if chunk is None:
            return None
        chunks.append(chunk)
    joined = {
        part: np.concatenate([chunk[part] for chunk in chunks]) for part in chunks[0]
    }
    words = {part: joined.pop(part) for part in WORDS if part in joined}
    return Texts(name, joined, words)


def _parts_of(texts: list[str], pattern: re.Pattern[str]) -> dict[str, Array] | None:
    """The parts of texts in one format.

    Texts of one shape, which differ in digits only, have their parts at the same characters: one of
    them is matched, and the digits of the others are read as columns of a matrix.
    """
    chars, first, shape = _shapes(texts)
    out = _absent(len(texts), pattern)
    for k, row in enumerate(first):
        match = pattern.fullmatch(texts[row])
        if match is None or not texts[row].isprintable():
            return None
        rows = np.flatnonzero(shape == k)
        for part, text in match.groupdict().items():
            if text is None or part not in out:
                continue
            span = slice(*match.span(part))
            if part in WORDS:
                out[part][rows] = [texts[row][span].lower() for row in rows]
            elif part == "fraction":
                out[part][rows] = _nanoseconds(chars[rows, span])
            else:
                out[part][rows] = _as_numbers(chars[rows, span])
    return out


def _absent(count: int, pattern: re.Pattern[str]) -> dict[str, Array]:
    """The parts of a format for texts without any of them."""
    parts: dict[str, Array] = {}
    for part in pattern.groupindex:
        if part in WORDS:
            parts[part] = np.full(count, "", dtype=object)
        elif part != "tick":  # the mark between hour and minute
            parts[part] = np.full(count, -1, dtype=np.int32)
    return parts


def _shapes(texts: list[str]) -> tuple[Array, list[int], Array]:
    """The characters of texts, the first row of each shape, and the shape of each text.

    Texts have one shape if they differ in digits only.
    """
    width = max(map(len, texts))
    chars = (
        np.array(texts, dtype=f"U{width}").view(np.uint32).reshape(len(texts), width)
    )
    shapes = np.where((chars >= ord("0")) & (chars <= ord("9")), ord("0"), chars)
    if (shapes == shapes[0]).all():
        return chars, [0], np.zeros(len(texts), dtype=np.int64)
    rows = np.ascontiguousarray(shapes).view(f"V{4 * width}").ravel()
    _, first, index = np.unique(rows, return_index=True, return_inverse=True)
    return chars, first.tolist(), index


def _as_numbers(digits: Array) -> Array:
    """The characters of digits ``(n, k)`` as numbers ``(n,)``."""
    powers = 10 ** np.arange(digits.shape[1])[::-1]
    numbers: Array = (digits.astype(np.int64) - ord("0")) @ powers
    return numbers


def _nanoseconds(digits: Array) -> Array:
    """The digits of a fraction of a second ``(n, k)`` in nanoseconds ``(n,)``."""
    nine = digits[:, :9]
    numbers: Array = _as_numbers(nine) * 10 ** (9 - nine.shape[1])
    return numbers


def _possible(texts: Texts) -> Array:
    """Which texts are a time in this format, ``(n,)``."""
    possible: Array = clock_ns(texts) >= 0
    if texts.has_date:
        found = readings(texts).values()
        possible &= np.any([~np.isnat(day) for day in found], axis=0)
    return possible


def is_plausible(texts: Texts) -> bool:
    """Whether all years are those that digits alone can write."""
    first, last = PLAUSIBLE
    year = texts.numbers("year")
    return bool(((year >= first) & (year <= last)).all())


def first_unlike(texts: list[str]) -> int:
    """The number of the first text that is not in a format of those before it."""
    fitting = list(FORMATS.values())
    for k, text in enumerate(texts):
        if len(text) > LONGEST:  # matching takes the square of its length
            return k
        fitting = [pattern for pattern in fitting if pattern.fullmatch(text)]
        if not fitting:
            return k
    return 0


def readings(texts: Texts) -> dict[str, Array]:
    """Days ``(n,)`` datetime64[D] by the order of day, month and year, NaT where it is impossible.

    A date that is clear has one reading, named "".
    """
    year = texts.numbers("year")
    if "a" in texts.parts:
        return _numeric(texts, year)
    if "short" in texts.parts:
        return _short_months(texts)
    if "name" in texts.words:
        return _named_months(texts, year)
    if "week" in texts.parts:
        return {"": weeks(year, texts.numbers("week"), texts.numbers("weekday", 1))}
    if "ordinal" in texts.parts:
        return {"": ordinal_days(year, texts.numbers("ordinal"))}
    if "quarter" in texts.parts:
        quarter = texts.numbers("quarter")
        month = np.where((quarter >= 1) & (quarter <= 4), 3 * quarter - 2, 0)
        return {"": days(year, month, np.ones_like(year))}
    return {"": days(year, texts.numbers("month"), texts.numbers("day", 1))}


def are_seasons(texts: Texts) -> bool:
    """Whether all texts are a year and the next, 2000/01, of which two or more differ."""
    if texts.format != "month":
        return False
    year, following = texts.numbers("year"), texts.numbers("month")
    return len(np.unique(year)) > 1 and bool((following == (year + 1) % 100).all())


def _numeric(texts: Texts, year: Array) -> dict[str, Array]:
    """Numbers in three orders; the year can be first only if it has two digits."""
    a, b, c = (texts.numbers(part) for part in "abc")
    last = np.where(c < 0, year, full_years(c))
    found = {"dmy": days(last, b, a), "mdy": days(last, a, b)}
    if two_digits(texts).all():
        found["ymd"] = days(full_years(a), b, c)
    return found


def _named_months(texts: Texts, year: Array) -> dict[str, Array]:
    """Names of months; of two numbers with two digits around a name, either can be the year."""
    month = month_numbers(texts.words["name"])
    day = texts.numbers("day", 1)
    c = texts.numbers("c")
    last = days(np.where(c < 0, year, full_years(c)), month, day)
    if texts.format != "day name year" or not two_digits(texts).all():
        return {"": last}
    return {"dmy": last, "ymd": days(full_years(day), month, c)}


def month_numbers(names: Array) -> Array:
    """The numbers of names of months in lower case, ``(n,)`` int64; 0 for other words."""
    return np.array([MONTHS.get(name, 0) for name in names.tolist()], dtype=np.int64)


def _short_months(texts: Texts) -> dict[str, Array]:
    """Jan-15 is a month of a year ("my"), or a day without a year ("md", in the leap year 2000)."""
    month = month_numbers(texts.words["name"])
    short = texts.numbers("short")
    return {
        "my": days(full_years(short), month, np.ones_like(month)),
        "md": days(np.full_like(month, 2000), month, short),
    }


def two_digits(texts: Texts) -> Array:
    """Where the year is written with two digits, ``(n,)``."""
    short: Array = texts.numbers("c") >= 0
    return short


def clock_ns(texts: Texts) -> Array:
    """Nanoseconds since midnight, ``(n,)`` int64; -1 where a clock shows no such time.

    24:00:00 is the next midnight, 23:59:60 a leap second. Without a date the hours may count on.
    """
    hour, minute, second, fraction = (
        texts.numbers(part, 0) for part in ("hour", "minute", "second", "fraction")
    )
    half = texts.words.get("half", np.array(""))
    wrong = (half != "") & ((hour < 1) | (hour > 12))
    hour = np.where(half == "", hour, hour % 12 + 12 * (half == "p"))
    if texts.format == "minutes":
        wrong |= second > 59
    else:
        wrong |= (minute > 59) | (second > 60) | ((second == 60) & (minute != 59))
    if texts.format != "clock":
        wrong |= (hour > 24) | ((hour == 24) & (minute + second + fraction > 0))
    seconds = 86400 * texts.numbers("days", 0) + 3600 * hour + 60 * minute + second
    since_midnight: Array = np.where(wrong, -1, seconds * 10**9 + fraction)
    return since_midnight


def offsets_ns(texts: Texts) -> tuple[Array, Array]:
    """Offsets from UTC in nanoseconds ``(n,)``, and whether each text has one.

    Raises:
        ValueError: for the name of a time zone, such as CET.
    """
    zone = texts.words.get("zone", np.full(len(texts), "", dtype=object))
    known = {name: _offset(name) for name in set(zone.tolist())}
    minutes = np.array([known[name] for name in zone.tolist()], dtype=np.int64)
    return minutes * 60 * 10**9, zone != ""


def _offset(zone: str) -> int:
    """Minutes of an offset: Z, UTC, +01:00, -0530, UTC+1; 0 for none."""
    text = zone.upper().removeprefix("UTC").removeprefix("GMT")
    if text in ("", "Z"):
        return 0
    match = re.fullmatch(r"([+-])(\d\d?):?(\d\d)?", text)
    if match is None:
        raise ValueError(
            f"holds the time zone {zone.upper()!r}, which is not read: the file does not give its "
            "offset from UTC; write offsets such as +01:00, or leave the name out if all times are "
            "of one zone"
        )
    minutes = 60 * int(match[2]) + int(match[3] or 0)
    return -minutes if match[1] == "-" else minutes


def recognize(texts: list[str]) -> Texts | None:
    """The parts of the first texts, in a format that fits nine of ten of all; None without."""
    if not texts or max(map(len, texts)) > LONGEST:
        return None
    found = []
    for name, pattern in FORMATS.items():
        if not any(map(pattern.fullmatch, texts[:SOME])):
            continue
        fitting = _fitting(texts, pattern)
        if 10 * fitting.sum() >= 9 * len(texts):
            some = np.flatnonzero(fitting)[:SAMPLE]
            found.append(_matched([texts[k] for k in some], name))
    return _best(found)


def _fitting(texts: list[str], pattern: re.Pattern[str]) -> Array:
    """Which texts a pattern fits, ``(n,)``."""
    chunks = []
    for start in range(0, len(texts), CHUNK):
        chunk = texts[start : start + CHUNK]
        _, first, shape = _shapes(chunk)
        fits = np.array([pattern.fullmatch(chunk[row]) is not None for row in first])
        chunks.append(fits[shape])
    return np.concatenate(chunks)


def is_telling(found: Texts, texts: list[str]) -> bool:
    """Whether texts are dates whatever their column is called.

    Digits alone, 1.2.14 (a version), 2024-123 and May-12 could be something else.
    """
    if found.format in UNTELLING or all(map(str.isdigit, texts)):
        return False
    return not all(
        re.fullmatch(r"\d\.\d\.\d\d|\d\.\d\d\.\d\d|\d\d\.\d\.\d\d", t) for t in texts
    )


def usual_orders(texts: Texts) -> tuple[str, ...]:
    """The orders of day, month and year that are usual, if none is impossible.

    Dots mean that the day is first. A two-digit year can be first where the first number varies
    less than the last, as years do, and between dashes also where it does not vary much more.
    """
    if "c" not in texts.parts:
        return ("dmy", "mdy")
    first = texts.numbers("day" if "name" in texts.words else "a")
    ratio = len(np.unique(first)) / len(np.unique(texts.numbers("c")))
    separators = {*texts.words.get("sep", np.array([])).tolist()}
    usual = ("dmy",) if separators == {"."} else ("dmy", "mdy")
    if ratio < 1 or (separators == {"-"} and ratio <= 2):
        usual = (*usual, "ymd")
    return usual
