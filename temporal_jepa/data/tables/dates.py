"""Texts of dates and clock times: one format for all of them, or none.

A format is a regular expression whose groups name the parts. Numeric dates leave the order of day,
month and year open: `readings` gives every order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..sequences import Array

if TYPE_CHECKING:
    import pandas as pd

PIVOT = 69  # two-digit years are 1969 to 2068, as in POSIX
ORDERS = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}
PLAUSIBLE = (1900, 2100)  # years of dates that are written as digits alone
MONTHS: dict[str, int] = {}
for _number, _names in enumerate(
    (
        "jan january januar janvier janv enero ene gennaio gen janeiro januari jän jänner",
        "feb february februar février fevrier févr fevr fév febrero febbraio fevereiro fev "
        "februari",
        "mar march märz maerz mär mrz mars marzo março marco maart mrt",
        "apr april avril avr abril abr aprile",
        "may mai mayo maggio mag maio mei",
        "jun june juni juin junio giugno giu junho",
        "jul july juli juillet juil julio luglio lug julho",
        "aug august août aout aoû agosto ago augustus",
        "sep sept september septembre septiembre settembre set setembro",
        "oct october oktober okt octobre octubre ottobre ott outubro out",
        "nov november novembre noviembre novembro",
        "dec december dezember dez décembre decembre déc diciembre dic dicembre dezembro",
    ),
    start=1,
):
    MONTHS.update(dict.fromkeys(_names.split(), _number))
WEEKDAYS = {
    name: number
    for number, names in enumerate(
        (
            "mon monday mo montag",
            "tue tues tuesday di dienstag",
            "wed wednesday mi mittwoch",
            "thu thur thurs thursday do donnerstag",
            "fri friday fr freitag",
            "sat saturday sa samstag",
            "sun sunday so sonntag",
        )
    )
    for name in names.split()
}

_WORD = r"(?P<name>[^\W\d_]{3,10})\.?"
_TICKS = (
    r"(?P<hour>\d{1,2})(?:(?P<tick>[:.h])(?P<minute>\d\d)"
    r"(?:(?P=tick)(?P<second>\d\d)(?:[.,:](?P<fraction>\d+))?)?)?(?:\s*(?P<half>[ap])\.?\s?m\.?)?"
)
_ZONE = (
    r"(?:\s*(?P<zone>Z|(?:UTC|GMT)?[+-]\d\d?(?::?\d\d)?|(?-i:[A-Z]{2,5}|[A-Z][a-z]+/[A-Za-z_/]+))"
    r"(?:\s*\(.*\)|\[.*\])?)?"
)
_YEAR = r"(?:(?P<year>\d{4})|(?P<c>\d\d))"
_CLOCK = rf"(?:(?:[T_:]|-(?=\d\d\.)|,?\s+(?:at\s+|-\s+)?){_TICKS}{_ZONE})?"
_DAY_OF_WEEK = (
    r"(?:(?:mo|tu|we|th|fr|sa|su|di|mi|do|so|lu|ma|me|je|ve|vi|ju|gi|sá)"
    r"[^\W\d_]*\.?,?\s+)?"
)
_COMPACT = r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
_TIGHT = r"(?P<hour>\d\d)(?:(?P<minute>\d\d)(?:(?P<second>\d\d)(?:[.,]?(?P<fraction>\d{1,9}))?)?)?"
_SOURCES = {
    "ymd": r"(?P<year>\d{4})(?P<sep>[-/. _])\s?(?P<month>\d{1,2})(?P=sep)\s?(?P<day>\d{1,2})\.?"
    + _CLOCK,
    "cjk": r"(?P<year>\d{4})\s?[年년]\s?(?P<month>\d{1,2})\s?[月월]\s?(?P<day>\d{1,2})\s?[日일]"
    + _CLOCK,
    "numeric": rf"{_DAY_OF_WEEK}(?P<a>\d{{1,2}})(?P<sep>[-/.])\s?(?P<b>\d{{1,2}})(?P=sep)\s?"
    rf"{_YEAR}{_CLOCK}",
    "dotted": r"(?P<hour>\d\d?)\.(?P<minute>\d\d)\.(?P<second>\d\d)",
    "day name year": rf"{_DAY_OF_WEEK}(?P<day>\d{{1,2}})(?:st|nd|rd|th|\.)?[-/\s._]*"
    rf"(?:(?:de|of)\s+)?{_WORD},?[-/\s._]*(?:del?\s+)?{_YEAR}{_CLOCK}",
    "name day year": rf"{_DAY_OF_WEEK}{_WORD}[-/\s]*(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?[-/\s]+"
    rf"{_YEAR}{_CLOCK}",
    "year name day": rf"(?P<year>\d{{4}})[-/\s._]*{_WORD}[-/\s._]*(?P<day>\d{{1,2}}){_CLOCK}",
    "ctime": rf"{_DAY_OF_WEEK}{_WORD}\s+(?P<day>\d{{1,2}})\s+{_TICKS}{_ZONE}\s+"
    r"(?P<year>\d{4})",
    "compact": rf"{_COMPACT}(?:[T_ -]?{_TIGHT}{_ZONE})?",
    "compact date": rf"{_COMPACT}[T_ -]{_TICKS}{_ZONE}",
    "compact reversed": r"(?P<a>\d\d)(?P<b>\d\d)(?P<year>\d{4})",
    "week": r"(?P<year>\d{4})-?\s?W(?P<week>\d\d)(?:-?(?P<weekday>\d))?",
    "ordinal": rf"(?P<year>\d{{4}})-(?P<ordinal>\d{{3}}){_CLOCK}",
    "quarter": r"(?P<year>\d{4})[-/\s.]?Q(?P<quarter>\d)",
    "quarter year": r"Q(?P<quarter>\d)[-/\s]?(?P<year>\d{4})",
    "month": r"(?P<year>\d{4})(?:[-/._]|-?M)(?P<month>\d{1,2})",
    "month year": r"(?P<month>\d{1,2})[-/.](?P<year>\d{4})",
    "name year": rf"{_WORD}[-/\s,']*(?P<year>\d{{4}})",
    "year name": rf"(?P<year>\d{{4}})[-/\s.]*{_WORD}",
    "name short": rf"{_WORD}[-/\s.'_]?(?P<short>\d\d)",
    "short name": rf"(?P<short>\d\d?)[-/\s.'_]?{_WORD}",
    "duration": r"(?P<days>\d+)\s+days?,?\s+\+?(?P<hour>\d{1,2}):(?P<minute>\d\d):"
    r"(?P<second>\d\d)(?:\.(?P<fraction>\d+))?",
    "clock": r"(?P<hour>\d{1,4}):(?P<minute>\d\d)(?::(?P<second>\d\d)"
    rf"(?:[.,:](?P<fraction>\d+))?)?(?:\s*(?P<half>[ap])\.?\s?m\.?)?{_ZONE}",
    "hours": r"(?P<hour>\d{1,2})\s*(?:h(?P<minute>\d\d)?|(?P<half>[ap])\.?\s?m\.?)",
    "minutes": r"(?P<minute>\d{1,4}):(?P<second>\d\d)[.,](?P<fraction>\d+)",
}
FORMATS = {name: re.compile(text, re.IGNORECASE) for name, text in _SOURCES.items()}
CLOCKS = ("clock", "dotted", "hours", "minutes")
UNTELLING = (
    "dotted",
    "compact reversed",
    "ordinal",
    "name short",
    "short name",
    "minutes",
)


WORDS = ("name", "half", "zone", "sep")  # parts that are not numbers
CHUNK = 50_000
SOME = 20
SAMPLE = 1000
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
    def has_clock(self) -> bool:
        """Whether a text holds an hour."""
        return bool((self.numbers("hour") >= 0).any())

    def __len__(self) -> int:
        return len(next(iter(self.parts.values())))


def parse(texts: list[str], formats: Iterable[str] = FORMATS) -> Texts | None:
    """The parts of texts in the first format that fits them all and gives times; else None."""
    if not texts or max(map(len, texts)) > LONGEST:
        return None
    return _best([_matched(texts, name) for name in formats])


def _best(found: Iterable[Texts | None]) -> Texts | None:
    """The first in which all texts are times, else the first in which some are; None without."""
    fitting = [texts for texts in found if texts is not None and _may_be_time(texts)]
    certain = (texts for texts in fitting if _possible(texts).all())
    return next(certain, fitting[0] if fitting else None)


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
    out: dict[str, Array] = {}
    for part in pattern.groupindex:
        if part in WORDS:
            out[part] = np.full(len(texts), "", dtype=object)
        elif part != "tick":
            out[part] = np.full(len(texts), -1, dtype=np.int32)
    for k, row in enumerate(first):
        match = pattern.fullmatch(texts[row])
        if match is None or not texts[row].isprintable():
            return None
        rows = np.flatnonzero(shape == k)
        for part, text in match.groupdict().items():
            if text is None or part == "tick":
                continue
            span = slice(*match.span(part))
            if part in WORDS:
                out[part][rows] = [texts[row][span].lower() for row in rows]
            else:
                fraction = part == "fraction"
                out[part][rows] = _as_numbers(chars[rows, span], fraction)
    return out


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


def _as_numbers(digits: Array, fraction: bool) -> Array:
    """The characters of digits ``(n, k)`` as numbers; a fraction of a second in nanoseconds."""
    if fraction:
        digits = digits[:, :9]
    powers = 10 ** np.arange(digits.shape[1])[::-1]
    if fraction:
        powers = powers * 10 ** (9 - digits.shape[1])
    numbers: Array = (digits.astype(np.int64) - ord("0")) @ powers
    return numbers


def _may_be_time(texts: Texts) -> bool:
    """Whether some text is a time in this format; digits alone must all be, in a usual year."""
    possible = _possible(texts)
    if texts.format.startswith("compact"):
        return bool(possible.all()) and is_plausible(texts)
    return bool(possible.any())


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
    fitting = [pattern for pattern in FORMATS.values() if pattern.fullmatch(texts[0])]
    for k, text in enumerate(texts):
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
    month = np.array([MONTHS.get(name, 0) for name in texts.words["name"].tolist()])
    day = texts.numbers("day", 1)
    c = texts.numbers("c")
    last = days(np.where(c < 0, year, full_years(c)), month, day)
    if texts.format != "day name year" or not two_digits(texts).all():
        return {"": last}
    return {"dmy": last, "ymd": days(full_years(day), month, c)}


def _short_months(texts: Texts) -> dict[str, Array]:
    """Jan-15 is a month of a year ("my"), or a day without a year ("md", in the leap year 2000)."""
    month = np.array([MONTHS.get(name, 0) for name in texts.words["name"].tolist()])
    short = texts.numbers("short")
    return {
        "my": days(full_years(short), month, np.ones_like(month)),
        "md": days(np.full_like(month, 2000), month, short),
    }


def two_digits(texts: Texts) -> Array:
    """Where the year is written with two digits, ``(n,)``."""
    short: Array = texts.numbers("c") >= 0
    return short


def full_years(short: Array) -> Array:
    """Two-digit years with their century: 69 to 99 are 1969 to 1999, 0 to 68 are 2000 to 2068."""
    years: Array = short + np.where(short >= PIVOT, 1900, 2000)
    return years


def days(year: Array, month: Array, day: Array) -> Array:
    """Days as datetime64[D], NaT where month or day does not exist."""
    start = _months(year, np.clip(month, 1, 12))
    found: Array = start.astype("datetime64[D]") + (day - 1)
    wrong = (
        (month < 1)
        | (month > 12)
        | (day < 1)
        | (found.astype("datetime64[M]") != start)
    )
    found[wrong] = np.datetime64("NaT")
    return found


def _months(year: Array, month: Array) -> Array:
    counted: Array = (12 * (year - 1970) + month - 1).astype("datetime64[M]")
    return counted


def ordinal_days(year: Array, ordinal: Array) -> Array:
    """Days of the year, from 1, as datetime64[D]; NaT where the year has no such day."""
    found = _months(year, np.ones_like(year)).astype("datetime64[D]") + (ordinal - 1)
    same = found.astype("datetime64[Y]").astype(np.int64) + 1970 == year
    return np.where(same, found, np.datetime64("NaT", "D"))


def weeks(year: Array, week: Array, weekday: Array) -> Array:
    """Days of ISO weeks; the fourth of January lies in week 1, weeks begin on Monday."""
    fourth = days(year, np.ones_like(year), np.full_like(year, 4))
    monday = fourth - (fourth.astype(np.int64) + 3) % 7 + 7 * (week - 1)
    thursday = (monday + 3).astype("datetime64[Y]").astype(np.int64) + 1970
    right = (thursday == year) & (weekday >= 1) & (weekday <= 7)
    return np.where(right, monday + (weekday - 1), np.datetime64("NaT", "D"))


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


def instants(day: Array, since_midnight: Array) -> Array:
    """Days and nanoseconds since midnight as datetime64[ns], or [us] where years need it."""
    years = day.astype("datetime64[Y]").astype(np.int64) + 1970
    found: Array
    if len(years) and (years.min() < 1678 or years.max() > 2261):
        found = day.astype("datetime64[us]") + (since_midnight // 1000).astype(
            "timedelta64[us]"
        )
        return found
    found = day.astype("datetime64[ns]") + since_midnight.astype("timedelta64[ns]")
    return found


def recognize(texts: list[str]) -> Texts | None:
    """The parts of the first texts, in a format that fits nine of ten of all; None without."""
    if max(map(len, texts)) > LONGEST:
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
    separators = set(texts.words["sep"].tolist()) if "sep" in texts.words else set()
    usual = ("dmy",) if separators == {"."} else ("dmy", "mdy")
    if ratio < 1 or (separators == {"-"} and ratio <= 2):
        usual = (*usual, "ymd")
    return usual


ISO_LINES = re.compile(
    r"(?:(?:1[7-9]|2[01])\d\d-\d\d-\d\d(?:[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)?\n)+"
)
PIECE = 2**14  # rows of a long column that are text at once


def iso_instants(column: pd.Series[Any]) -> Array | None:
    """A long column of dates such as "2024-01-31 23:59:50" as datetime64[ns], a piece at a time.

    None for a short column, and where a text is written in another way or is missing.
    """
    if len(column) < PIECE or str(column.dtype) == "category":
        return None
    instants = np.empty(len(column), dtype="datetime64[ns]")
    for start in range(0, len(column), PIECE):
        texts = column.iloc[start : start + PIECE].tolist()
        if not all(isinstance(text, str) for text in texts):
            return None
        if not ISO_LINES.fullmatch("\n".join([*texts, ""])):
            return None
        try:
            instants[start : start + PIECE] = np.array(texts, dtype="datetime64[ns]")
        except ValueError:  # the 31st of June
            return None
    return instants
