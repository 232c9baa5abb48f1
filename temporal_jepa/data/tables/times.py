"""Columns of time: which they are, what they hold, and the order of the rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...config import TIME_UNITS, ReadOptions
from ..formats.delimited import LABELS
from ..formats.headers import EMPTY as MISSING
from ..sequences import Array, did_you_mean, listed, moment
from . import dates
from .readings import AmbiguousError, Reading, likely

if TYPE_CHECKING:
    import pandas as pd


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DATE_NAMES = _words(
    "date datetime timestamp ds datum fecha dato stamp dateheure horodatage zeitstempel tijdstip"
)
CLOCK_NAMES = _words(
    "time clock utc zeit uhrzeit hora heure orario ora tijd hhmm hhmmss hms"
)
TIME_NAMES = DATE_NAMES | CLOCK_NAMES | {"epoch", "unixtime"}
COUNT_NAMES = _words("t ts frame step timestep index tick elapsed")
NUMBERING = _words(
    "idx index number no num nr in cycle cycles step steps sample samples frames"
)
PERIODS = _words(
    "year years jahr año annee année anno jaar month week day hour jour monat tag"
)
UNITS = {
    "s": "s sec secs second seconds sekunden",
    "ms": "ms msec millis millisecond milliseconds",
    "us": "us usec micros microsecond microseconds",
    "ns": "ns nsec nanos nanosecond nanoseconds",
    "min": "min mins minutes",
    "h": "h hr hrs hours",
    "d": "d days",
}
UNIT_OF = {name: unit for unit, names in UNITS.items() for name in names.split()}
QUALIFIERS = _words(
    "unix posix epoch gmt utc gps local event sample record recorded recording measurement "
    "measured obs observation log logged system sys iso relative rel elapsed sim start begin "
    "acquisition packet capture stamp open trade server device of the and"
)
PARTS = {
    "year": "year yyyy yr yy jahr anno año annee année jaar",
    "month": "month mon mo mnth monat mes mese mois maand",
    "day": "day dd mday dom tag dia día giorno dag",
    "ordinal": "doy dayofyear yday ordinal",
    "week": "week wk kw woche semana semaine isoweek",
    "quarter": "quarter qtr quartal trimestre",
    "hour": "hour hh hr stunde hora heure ora uur",
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
SINCE_1970 = (("ns", 1e17), ("us", 1e14), ("ms", 1e11))
YEARS = (1500, 2299)  # what a column of years holds
UNIX_EPOCH = {"excel": 25569.0, "julian": 2440587.5}  # 1970-01-01 in days of a calendar
DAY = 86400 * 10**9
FEW = 4  # equal steps that are no accident


@dataclass(frozen=True)
class TimeColumns:
    """Columns that together give the time of each row.

    Attributes:
        names: one column, or several that are joined.
        kind: "date" (texts or values of dates), "clock" (times of day without a date), "stamp"
            (digits such as 20240131), "number", "parts" (year, month, day, ...), "date+clock", or
            "other" (a column that is named as the time and holds none of these).
        named: whether the name says that it is a time.
    """

    names: tuple[str, ...]
    kind: str
    named: bool

    def __str__(self) -> str:
        return " + ".join(map(repr, self.names))


# Names.


def _tokens(name: str) -> list[str]:
    """The words of a column name in lower case: "Time (s)", "unixTime", "date_heure"."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return re.findall(r"[^\W\d_]+", spaced.lower())


def says_time(name: str) -> bool:
    """Whether a name of a column says that it holds times or counts timesteps."""
    return _names_time(name) or _names_count(name)


def _names_time(name: str) -> bool:
    tokens = _tokens(name)
    if re.search(r"\d", name):  # time_0, time_1, ... are steps
        return False
    if "".join(tokens) in TIME_NAMES:
        return True
    usual = TIME_NAMES | QUALIFIERS | UNIT_OF.keys()
    return bool(TIME_NAMES & {*tokens}) and usual.issuperset(tokens)


def _names_count(name: str) -> bool:
    if re.search(r"\d", name):  # t0, t1, ... are steps
        return False
    first, *rest = _tokens(name) or [""]
    if (
        not rest and len(first) > 3 and first in UNIT_OF
    ):  # seconds, hours; min is a minimum
        return True
    if first in COUNT_NAMES or (first == "time" and rest):
        return (NUMBERING | UNIT_OF.keys()).issuperset(rest)
    return False


def unit_in_name(name: str) -> str | None:
    """The unit that a name ends with, "ms" of "timestamp_ms"; None without."""
    tokens = _tokens(name)
    return UNIT_OF.get(tokens[-1]) if len(tokens) > 1 else None


# Which columns.


@dataclass(frozen=True)
class _Content:
    """What a column can be: its kind, as of `TimeColumns`, and whether its dates hold hours."""

    kind: str
    hours: bool
    named: bool


def candidates(frame: pd.DataFrame, options: ReadOptions) -> list[TimeColumns]:
    """The columns, or joined columns, that can be the time, best first.

    `options.time` leaves only what it names. Numbers are a time only by their name; dates in text
    and values of dates are one whatever their name.

    Args:
        frame: its columns have text names.
        options: `time` is "A", "A,B" (joined; a name that holds a comma wins), "" for none.

    Raises:
        ValueError: `options.time` names columns that do not exist or make no time together.
    """
    frame = _with_numbers(frame)
    if options.time is not None:
        return [named_columns(frame, options.time)] if options.time else []
    contents = {}
    for name in frame.columns:
        content = _content(frame[name], name, frame=frame)
        if content is not None:
            contents[name] = content
    found = [_ranked((0, 0), names, "date+clock") for names in _joined(frame, contents)]
    full = any(content.hours for content in contents.values())
    for names in _parts(frame, contents):
        yearless = _part_of(names[0], names) != "year"
        rank = (5, 0) if full or yearless else (0, 1)
        found.append(_ranked(rank, names, "parts"))
    for name, content in contents.items():
        tier = _tier(frame, name, content)
        columns = TimeColumns((name,), content.kind, content.named)
        found.append(((tier, -frame[name].nunique()), columns))
    return [columns for _, columns in sorted(found, key=lambda pair: pair[0])]


def _with_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """The table with columns of text that hold numbers only, such as 0930, as numbers."""
    numbers = {}
    for name in frame.columns:
        column = frame[name]
        if column.dtype.kind in "fiubcmM" or _holds_dates(column):
            continue
        filled = column.dropna()
        first = _as_text(filled.iloc[0]) if len(filled) else ""
        if first.replace(".", "", 1).isdecimal():
            found = _as_numbers(column)
            if found is not None:
                numbers[name] = found
    return frame.assign(**numbers) if numbers else frame


def _ranked(
    rank: tuple[int, int], names: tuple[str, ...], kind: str
) -> tuple[tuple[int, int], TimeColumns]:
    return rank, TimeColumns(names, kind, True)


def _tier(frame: pd.DataFrame, name: str, content: _Content) -> int:
    """The rank of a single column: named times, dates with hours, counts, other dates, periods."""
    if content.kind == "other":
        return 8
    if content.named and (content.hours or content.kind == "stamp"):
        return 1
    if content.named and _names_time(name):
        return 2
    if content.hours or frame[name].dtype.kind == "M":
        return 3
    if content.named and _names_count(name):
        return 4
    if content.kind == "date":
        return 5
    return 6 if content.named else 7


def named_columns(frame: pd.DataFrame, time: str) -> TimeColumns:
    """The columns that an option names: "A", or "A,B" joined.

    Raises:
        ValueError: a column does not exist, or several make no time together.
    """
    frame = _with_numbers(frame)
    names: tuple[str, ...] = (time,)
    if time not in frame.columns:
        names = tuple(part.strip() for part in time.split(","))
    for name in names:
        if name not in frame.columns:
            raise ValueError(
                f"time names a column {name!r} that does not exist, got the columns "
                f"{listed(frame.columns)}{did_you_mean(name, frame.columns)}"
            )
    if len(names) == 1:
        content = _content(frame[names[0]], names[0], named=True)
        return TimeColumns(
            names, content.kind if content else "other", says_time(names[0])
        )
    parts = _chain([name for name in names if name in _by_part(names).values()])
    if len(parts) > 1:
        return TimeColumns(names, "parts", True)
    for order in (names, names[::-1]):
        first = _content(frame[order[0]], order[0], named=True)
        if first and first.kind in ("date", "stamp") and not first.hours:
            return TimeColumns(order, "date+clock", True)
    raise ValueError(
        f"time={time!r} names several columns, expected a date and a clock time, or year, month, "
        "day, ..."
    )


def _content(
    column: pd.Series[Any],
    name: str,
    named: bool | None = None,
    frame: pd.DataFrame | None = None,
) -> _Content | None:
    """What a column can be; None if it is no time."""
    named = says_time(name) if named is None else named
    kind = column.dtype.kind
    if column.isna().all() or kind in "bc":
        return None
    if _holds_dates(column):
        return _Content("date", _has_hours(column), named)
    if kind in "fiu":
        if not named and not _is_period(column, name, frame):
            return None
        return _Content(_kind_of_numbers(column, name), False, named)
    if kind == "m":
        return _Content("number", False, named) if named else None
    return _content_of_texts(column, name, named)


def _holds_dates(column: pd.Series[Any]) -> bool:
    return column.dtype.kind == "M" or str(column.dtype).startswith(
        ("period", "date32", "date64")
    )


def _has_hours(column: pd.Series[Any]) -> bool:
    times = _as_instants(column.dropna())
    return bool((times != times.astype("datetime64[D]")).any())


def _kind_of_numbers(column: pd.Series[Any], name: str) -> str:
    numbers = column.dropna()
    if not _is_whole(column):
        return "number"
    if _stamps(numbers):
        return "stamp"
    return "number" if _clock_digits(numbers, name) is None else "clock"


def _is_period(column: pd.Series[Any], name: str, frame: pd.DataFrame | None) -> bool:
    """Whether whole numbers named year, month, ... never repeat, or not beside another column."""
    if name.lower() not in PERIODS or not _is_whole(column):
        return False
    if column.is_unique or frame is None:
        return column.is_unique
    if PART_OF.get(name.lower()) == "year" and column.between(*YEARS).all():
        return True
    others = [
        n
        for n in frame.columns
        if n != name and frame[n].dtype.kind not in "fcmM" and _part_of(n) is None
    ]
    repeating = (n for n in others if frame[n].duplicated().any())
    return any(not frame.duplicated([n, name]).any() for n in repeating)


def _is_whole(column: pd.Series[Any]) -> bool:
    """Whether a column holds whole numbers only, also as floats because some are missing."""
    numbers = column.dropna()
    return bool(len(numbers)) and (
        column.dtype.kind in "iu" or bool((numbers % 1 == 0).all())
    )


def _content_of_texts(
    column: pd.Series[Any], name: str, named: bool
) -> _Content | None:
    if not named and len(column) > 9999:
        texts, _ = _distinct(column.iloc[:9999])
        if texts and dates.recognize(texts) is None:
            return None
    texts, _ = _distinct(column)
    found = dates.recognize(texts) if texts else None
    if found is None:
        if named and texts and _as_numbers(column) is not None:
            return _Content("number", False, named)
        return _Content("other", False, named) if named and texts else None
    sure = named or name.lower() in PERIODS
    if not sure and (name.lower() in LABELS or not dates.is_telling(found, texts)):
        return None
    return _Content(
        "date" if found.has_date else "clock", found.has_date and found.has_clock, named
    )


def _as_numbers(column: pd.Series[Any]) -> pd.Series[Any] | None:
    """A column of text as numbers; None where one is none."""
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce")
    return None if (numbers.isna() & column.notna()).any() else numbers


def _joined(
    frame: pd.DataFrame, contents: dict[str, _Content]
) -> list[tuple[str, ...]]:
    """Columns of dates without hours, each with the column of its clock time.

    Hours as numbers belong to a date only if the date alone repeats.
    """
    names = list(frame.columns)
    days = [
        n for n, c in contents.items() if c.kind in ("date", "stamp") and not c.hours
    ]
    if any(content.named and content.hours for content in contents.values()):
        return []
    clocks = [name for name in names if _is_clock(frame, name, contents)]
    found: list[tuple[str, ...]] = []
    for day in days:
        at = names.index(day)
        after = [name for name in clocks if names.index(name) > at]
        before = [name for name in clocks if names.index(name) < at]
        if after or before:
            clock = after[0] if after else before[-1]
            clocks.remove(clock)
            found.append((day, clock, *_finer(frame, clock)))
    return found


def _is_clock(frame: pd.DataFrame, name: str, contents: dict[str, _Content]) -> bool:
    """Whether a column holds times of day: 10:30 under the name of a time, 1030, or hours."""
    content = contents.get(name)
    hour = _part_of(name) == "hour"
    if content is not None and content.kind == "clock":
        return content.named or hour
    if frame[name].dtype.kind not in "fiu" or not _is_whole(frame[name]):
        return False
    if hour and _in_limits(frame[name], "hour"):
        return True
    if not hour and not {*_tokens(name)} & CLOCK_NAMES:
        return False
    numbers = frame[name].dropna().to_numpy(dtype=np.float64)
    if (_digital_clock(numbers[:9999], name) < 0).any():
        return False
    return bool(numbers.max() >= 100 and (_digital_clock(numbers, name) >= 0).all())


def _finer(frame: pd.DataFrame, clock: str) -> list[str]:
    """The columns of minutes and seconds beside a column of hours."""
    if _part_of(clock) != "hour" or not _in_limits(frame[clock], "hour"):
        return []
    parts = _by_part(frame.columns)
    return _valid_chain(frame, [parts[p] for p in ("minute", "second") if p in parts])


def _valid_chain(frame: pd.DataFrame, names: list[str]) -> list[str]:
    """The first of these columns of parts, up to one whose values are impossible."""
    kept = []
    for name in names:
        if not _in_limits(frame[name], _part_of(name, names)):
            break
        kept.append(name)
    return kept


def _parts(frame: pd.DataFrame, contents: dict[str, _Content]) -> list[tuple[str, ...]]:
    """Columns year, month, day, ... as one time, without those that hold other numbers."""
    names = _chain(_by_part(frame.columns).values())
    ordered = _valid_chain(frame, list(names.values()))
    if len(ordered) < 2:
        return []
    if _part_of(ordered[0], ordered) != "year":
        dated = any(content.kind in ("date", "stamp") for content in contents.values())
        return [] if dated or not _goes_up(frame, ordered) else [tuple(ordered)]
    last = _part_of(ordered[-1], ordered)
    if last in ("day", "ordinal"):
        clocks = [
            n
            for n in frame.columns
            if n not in ordered and _is_clock(frame, n, contents)
        ]
        ordered += clocks[:1]
    return [tuple(ordered)]


def _goes_up(frame: pd.DataFrame, parts: list[str]) -> bool:
    """Whether rows follow the parts, such as day and hour, over all or beside another column."""
    numbers = [_part(frame[name], str(_part_of(name, parts))) for name in parts]
    since = np.ravel_multi_index(numbers, [100] * len(numbers))
    others = [n for n in frame.columns if n not in parts and _names_blocks(frame[n])]
    for groups in (np.zeros(len(frame)), *(_distinct(frame[n])[1] for n in others)):
        order = np.argsort(groups, kind="stable")
        same = np.diff(groups[order]) == 0
        steps = np.diff(since[order])[same]
        if (steps >= 0).all() and (steps > 0).any():
            return True
    return False


def _names_blocks(column: pd.Series[Any]) -> bool:
    """Whether a column of texts or whole numbers could name series of many rows."""
    return column.dtype.kind not in "fcmM" and 2 * column.nunique() <= len(column)


def _part_of(name: str, names: Iterable[str] = ()) -> str | None:
    """The part of a date that a column holds, by its name; mm is a month beside no other."""
    plain = "".join(_tokens(name))
    if plain != "mm":
        return PART_OF.get(plain)
    others = ["".join(_tokens(other)) for other in names if other != name]
    if "mm" in others:  # MM and mm
        return "minute" if name.islower() else "month"
    return "minute" if "month" in map(PART_OF.get, others) else "month"


def _by_part(names: Iterable[str]) -> dict[str, str]:
    """Part of a date -> the first column that is named so."""
    names = list(names)
    found: dict[str, str] = {}
    for name in names:
        part = _part_of(name, names)
        if part is not None and not re.search(r"\d", name):
            found.setdefault(part, name)
    return found


def _chain(names: Iterable[str]) -> dict[str, str]:
    """The longest run of parts without a gap: year, month, day, hour, ...."""
    parts = _by_part(names)
    best: dict[str, str] = {}
    for chain in CHAINS if "year" in parts else YEARLESS:
        run = {}
        for part in chain:
            if part not in parts:
                break
            run[part] = parts[part]
        best = max(best, run, key=len)
    return best


def _in_limits(column: pd.Series[Any], part: str | None) -> bool:
    """Whether the values of a column can be a part of dates; months can be names."""
    if part == "month" and column.dtype.kind not in "fiub":
        return set(column.dropna().astype(str).str.lower()) <= dates.MONTHS.keys()
    if part is None or column.dtype.kind not in "fiu":
        return False
    low, high = LIMITS[part]
    numbers = column.dropna()
    whole = part == "second" or _is_whole(column)
    return (
        whole
        and bool(len(numbers))
        and bool(((numbers >= low) & (numbers <= high)).all())
    )


# Their values.


def read_times(
    frame: pd.DataFrame,
    columns: TimeColumns,
    options: ReadOptions,
    notes: list[str],
    codes: Array | None = None,
) -> Array:
    """The time of each row, ``(n,)`` int64, float64 or datetime64 in UTC.

    Dates are datetime64[ns], or [us] where a year is before 1678 or after 2261. Clock times without
    a date are seconds since the first midnight, in the order of the rows of each series.

    Args:
        frame: the table.
        columns: of `candidates`.
        options: `date_order` and `time_unit`.
        notes: what was inferred is added.
        codes: the number of the series of each row, ``(n,)``; None if the series are not known yet:
            clock times are those of one day.

    Raises:
        AmbiguousError: day and month can be exchanged.
        ValueError: a row has no time or an impossible one.
    """
    frame = _with_numbers(frame[list(columns.names)])
    if len(columns.names) > 1:
        _check_missing(frame, columns.names)
    if columns.kind == "parts":
        times = _read_parts(frame, columns, codes, options, notes)
    elif len(columns.names) > 1:
        day, *clock = columns.names
        times = _as_dates(frame, day, codes, options, notes) + _read_clock(frame, clock)
        notes.append(_together(columns, times))
    else:
        times = _read_column(frame[columns.names[0]], codes, options, notes)
    return times


def missing_times(frame: pd.DataFrame, columns: TimeColumns) -> Array:
    """The rows without a time, ``(n,)`` bool."""
    rows = np.zeros(len(frame), dtype=bool)
    for name in columns.names:
        column = frame[name]
        is_text = not _holds_dates(column) and column.dtype.kind not in "fiubm"
        rows |= _distinct(column)[1] < 0 if is_text else column.isna().to_numpy()
    return rows


def _check_missing(frame: pd.DataFrame, names: Sequence[str]) -> None:
    for name in names:
        rows = np.flatnonzero(missing_times(frame, TimeColumns((name,), "", False)))
        if rows.size:
            raise _no_time(frame[name], rows)


def _no_time(column: pd.Series[Any], rows: Array, why: str = "") -> ValueError:
    value = column.iloc[rows[0]]
    return ValueError(
        f"column {column.name!r} holds {len(rows)} rows that are no time, the first "
        f"{value!r} in data row {rows[0] + 1}{why}; choose time='' to go by the order of the rows"
    )


def _distinct(column: pd.Series[Any]) -> tuple[list[str], Array]:
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


def _read_column(
    column: pd.Series[Any], codes: Array | None, options: ReadOptions, notes: list[str]
) -> Array:
    if column.dtype.kind in "fiubmM" or _holds_dates(column):
        _check_missing(column.to_frame(), [str(column.name)])
    if _holds_dates(column):
        _check_no_unit(column, options)
        return _as_instants(column)
    if column.dtype.kind == "m":
        return np.asarray(column.dt.total_seconds())
    if column.dtype.kind not in "fiub":
        instants = dates.iso_instants(column)
        if instants is not None:
            _check_no_unit(column, options)
            return instants
        texts, index = _distinct(column)
        if (index < 0).any():
            raise _no_time(column, np.flatnonzero(index < 0))
        parsed = dates.parse(texts)
        if parsed is not None and parsed.has_date:
            _check_no_unit(column, options)
            return _dates_of(column, texts, parsed, index, codes, options, notes)
        if parsed is not None:
            since = _valid_clock(column, dates.clock_ns(parsed)[index])
            if parsed.format in ("duration", "minutes") or since.max() > DAY:
                _check_hours(column, parsed, since, codes)
                return _duration(column, parsed, since, options) / 1e9
            return _in_file_order(since, str(column.name), codes, notes)
        numbers = _as_numbers(column)
        if numbers is None:
            wrong = dates.first_unlike(texts)
            raise _no_time(column, np.flatnonzero(index == wrong))
        column = numbers
    return _read_numbers(column, codes, options, notes)


def _check_no_unit(column: pd.Series[Any], options: ReadOptions) -> None:
    if options.time_unit is not None:
        raise ValueError(
            f"column {column.name!r} holds dates, which need no time_unit=; leave it out"
        )


def _as_instants(column: pd.Series[Any]) -> Array:
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


def _as_dates(
    frame: pd.DataFrame,
    name: str,
    codes: Array | None,
    options: ReadOptions,
    notes: list[str],
) -> Array:
    """A column as datetime64.

    Raises:
        ValueError: it holds no dates.
    """
    times = _read_column(frame[name], codes, options, notes)
    if times.dtype.kind != "M":
        raise ValueError(
            f"column {name!r} holds no dates, which the time joins with a clock time"
        )
    return times


def _dates_of(
    column: pd.Series[Any],
    texts: list[str],
    parsed: dates.Texts,
    index: Array,
    codes: Array | None,
    options: ReadOptions,
    notes: list[str],
) -> Array:
    """Distinct texts of dates as the datetime64 of each row."""
    name = str(column.name)
    since = dates.clock_ns(parsed)
    wrong = np.flatnonzero(since < 0)
    if wrong.size:
        raise _no_time(column, np.flatnonzero(index == wrong[0]))
    try:
        offset, given = dates.offsets_ns(parsed)
    except ValueError as error:
        raise ValueError(f"column {name!r} {error}") from error
    without = int((~given[index]).sum())
    if given.any() and without:
        notes.append(
            f"{without} times in {name!r} have no offset from UTC: taken as UTC"
        )
    found = {
        order: dates.instants(day, since - offset)
        for order, day in dates.readings(parsed).items()
    }
    order = _settled(column, texts, parsed, found, index, codes, options, notes)
    if order == "md":  # days of an unknown year
        return (found[order] - np.datetime64("2000-01-01"))[index] / np.timedelta64(
            1, "D"
        )
    if dates.two_digits(parsed).any() or order == "my":
        _note_century(name, found[order], notes)
    return found[order][index]


def _note_century(name: str, times: Array, notes: list[str]) -> None:
    """A note on the century of two-digit years.

    Raises:
        ValueError: some are before 2000 and some after 2040, so that one century may be split.
    """
    years = times.astype("datetime64[Y]").astype(np.int64) + 1970
    if years.min() < 2000 and years.max() > 2040:
        raise ValueError(
            f"column {name!r} holds two-digit years of which the century is not clear: "
            f"{years.min() % 100:02} and {years.max() % 100:02}; write the years with four digits"
        )
    notes.append(f"two-digit years in {name!r} are 1969 to 2068")


def _settled(
    column: pd.Series[Any],
    texts: list[str],
    parsed: dates.Texts,
    found: dict[str, Array],
    index: Array,
    codes: Array | None,
    options: ReadOptions,
    notes: list[str],
) -> str:
    """The one order of day, month and year of a column."""
    rows = {order: times[index] for order, times in found.items()}
    possible = [order for order, times in found.items() if not np.isnat(times).any()]
    if options.date_order is not None and len(found) > 1:
        return _chosen_order(column, found, index, options.date_order)
    if not possible:
        raise _impossible(column, texts, found, index)
    named = _order_in_name(str(column.name))
    if named in possible:
        return named
    if "my" in found:
        return _year_or_day(column, parsed, rows, codes)
    plausible = _plausible(str(column.name), parsed, possible, rows, codes, notes)
    if len(plausible) > 1:
        shown = {order: found[order] for order in plausible}
        raise _ambiguous(str(column.name), texts, shown)
    order = plausible[0]
    if order in dates.ORDERS:
        notes.append(
            f"dates in {str(column.name)!r} are read with the {dates.ORDERS[order]}"
        )
    return order


def _order_in_name(name: str) -> str:
    """The order that a name spells, "mdy" of "Date (MM/DD/YYYY)"; "" without."""
    found = re.search(
        r"(?i)(?<![a-z])(d+|m+|y+)\W?(d+|m+|y+)\W?(d+|m+|y+)(?![a-z])", name
    )
    return "".join(part[0].lower() for part in found.groups()) if found else ""


def _year_or_day(
    column: pd.Series[Any],
    parsed: dates.Texts,
    rows: dict[str, Array],
    codes: Array | None,
) -> str:
    """Whether Jan-15 is a month of 2015 ("my"), as usual, and 15-Jan a day ("md")."""
    usual = ["my", "md"] if parsed.format == "name short" else ["md", "my"]
    possible = [order for order in usual if not np.isnat(rows[order]).any()]
    for order in possible:
        sure = len(possible) == 1 or codes is None
        if sure or _spacing(rows[order], codes) != "mixed":
            return order
    raise ValueError(
        f"column {column.name!r} holds {column.iloc[0]!r}, a month of a year or a day without a "
        "year, and neither is in order; write the year with four digits"
    )


def _chosen_order(
    column: pd.Series[Any], found: dict[str, Array], index: Array, order: str
) -> str:
    """The order that an option gives; ValueError where a value does not have it."""
    if order not in found:
        raise ValueError(
            f"date_order={order!r} does not fit column {column.name!r}, which holds "
            f"{column.iloc[0]!r}"
        )
    wrong = np.flatnonzero(np.isnat(found[order])[index])
    if wrong.size:
        raise _no_time(column, wrong, f" with date_order={order!r}")
    return order


def _impossible(
    column: pd.Series[Any], texts: list[str], found: dict[str, Array], index: Array
) -> ValueError:
    """The error for a column whose values fit no one order."""
    rows = np.flatnonzero(
        np.all([np.isnat(times) for times in found.values()], axis=0)[index]
    )
    if rows.size:
        return _no_time(column, rows)
    shown = []
    for order in ("dmy", "mdy"):
        if order in found:
            row = int(np.flatnonzero(np.isnat(found[order])[index])[0])
            what = dates.ORDERS[order]
            shown.append(
                f"{texts[index[row]]!r} (data row {row + 1}) is none with the {what}"
            )
    return ValueError(
        f"dates in column {column.name!r} have no single order of day and month: "
        f"{', but '.join(shown)}; write all in one order, best as 2024-01-31, or choose time='' "
        "to go by the order of the rows"
    )


def _ambiguous(name: str, texts: list[str], found: dict[str, Array]) -> AmbiguousError:
    """The question for the order of dates, with the first rows in time order of each."""
    shown = []
    for order, times in found.items():
        rows = [
            (texts[k], moment(times[k])) for k in np.argsort(times, kind="stable")[:4]
        ]
        what = f"the {dates.ORDERS[order]}"
        shown.append(Reading(what, {"date_order": order}, (name, "is read as"), rows))
    return AmbiguousError(f"dates in {name!r} can be read in {len(shown)} ways", shown)


def _plausible(
    name: str,
    parsed: dates.Texts,
    possible: list[str],
    rows: dict[str, Array],
    codes: Array | None,
    notes: list[str],
) -> list[str]:
    """The possible orders without unusual ones, and without those that give the same dates.

    An unusual order stays if only in it the rows do not go back and forth.
    """
    different = {rows[order].tobytes(): order for order in reversed(possible)}
    possible = [order for order in possible if order in different.values()]
    usual = dates.usual_orders(parsed)
    possible = [o for o in possible if o in usual or o == "ymd"] or possible
    if len(possible) < 2:
        return possible
    found = _by_steps(name, possible, rows, codes, notes)
    if found:
        return found
    expected = [order for order in possible if order in usual]
    mixed = [order for order in possible if _spacing(rows[order], codes) == "mixed"]
    if set(expected) <= {*mixed} < {*possible}:
        return possible
    return expected or possible


def _by_steps(
    name: str,
    possible: list[str],
    rows: dict[str, Array],
    codes: Array | None,
    notes: list[str],
) -> list[str]:
    """The one order in which rows follow in equal steps, if they go back and forth in others."""
    spacing = {order: _spacing(rows[order], codes) for order in possible}
    equal = [order for order, kind in spacing.items() if kind == "equal"]
    if len(equal) != 1 or list(spacing.values()).count("mixed") != len(possible) - 1:
        return []
    other = next(order for order in possible if order != equal[0])
    what = dates.ORDERS[equal[0]]
    sentence = (
        f"dates in {name!r} have the {what}: only so do rows follow in equal steps"
    )
    notes.append(likely(sentence, f"date_order={other!r}"))
    return equal


def _spacing(times: Array, codes: Array | None) -> str:
    """Whether the rows of each series are in order: in "equal" steps, "sorted" or "mixed".

    Repeated times do not count. Steps of whole months are equal.
    """
    codes = np.zeros(len(times), dtype=np.int64) if codes is None else codes
    order = np.argsort(codes, kind="stable")
    same = np.diff(codes[order]) == 0
    steps = np.diff(_by_months(times)[order])[same]
    zero = np.zeros(1, dtype=steps.dtype)[0]
    if not ((steps >= zero).all() or (steps <= zero).all()):
        return "mixed"
    moved = steps[steps != zero]
    return "equal" if len(moved) >= FEW and (moved == moved[0]).all() else "sorted"


def _by_months(times: Array) -> Array:
    """Times counted in months where all are at one moment of their month."""
    if times.dtype.kind != "M" or not len(times):
        return times
    month = times.astype("datetime64[M]")
    within = times - month
    return month if (within == within[0]).all() else times


def _valid_clock(column: pd.Series[Any], since: Array) -> Array:
    wrong = np.flatnonzero(since < 0)
    if wrong.size:
        raise _no_time(column, wrong)
    return since


def _check_hours(
    column: pd.Series[Any], parsed: dates.Texts, since: Array, codes: Array | None
) -> None:
    """ValueError for minutes that begin anew each hour, as Excel shows times with hours."""
    if codes is None or parsed.format != "minutes" or since.max() >= 3600 * 10**9:
        return
    order = np.argsort(codes, kind="stable")
    back = np.flatnonzero((np.diff(since[order]) < 0) & (np.diff(codes[order]) == 0))
    if back.size:
        raise ValueError(
            f"column {column.name!r} holds minutes and seconds that go back in data row "
            f"{order[back[0] + 1] + 1}: their hours are not in the file; export them as "
            "10:59:59.5, or choose time='' to go by the order of the rows"
        )


def _duration(
    column: pd.Series[Any], parsed: dates.Texts, since: Array, options: ReadOptions
) -> Array:
    """Durations in nanoseconds; those such as 75:10 by an option.

    Raises:
        AmbiguousError: two parts can be hours and minutes, or minutes and seconds.
    """
    if parsed.format != "clock" or (parsed.numbers("second") >= 0).any():
        return since
    if options.time_unit in ("s", "min"):
        return since // 60 if options.time_unit == "s" else since
    shown = [[text] for text in column.head(3)]
    readings = [
        Reading(what, {"time_unit": unit}, [column.name], shown)
        for what, unit in (("minutes and seconds", "s"), ("hours and minutes", "min"))
    ]
    raise AmbiguousError(
        f"column {column.name!r} holds durations of two parts", readings
    )


def _in_file_order(
    since: Array, name: str, codes: Array | None, notes: list[str]
) -> Array:
    """Clock times in nanoseconds as seconds since the first midnight of each series.

    The rows keep their order: a time that falls by more than half a day is of the next day.

    Raises:
        ValueError: times fall by less.
    """
    if codes is None:
        return since / 1e9
    order = np.argsort(codes, kind="stable")
    steps = np.r_[0, np.diff(since[order])]
    steps[np.flatnonzero(np.diff(codes[order])) + 1] = 0
    falls = steps < 0
    back = np.flatnonzero(falls & (steps >= -DAY // 2))
    if back.size:
        row = order[back[0]]
        raise ValueError(
            f"clock times in column {name!r} have no date and go back {len(back)} times, first in "
            f"data row {row + 1}: the order of the rows is not clear; name the column of the date "
            "too with time='DATE,CLOCK', the column of the series with id=COLUMN if there are "
            "several, or choose time='' to go by the order of the rows"
        )
    past = np.cumsum(falls)
    first = np.r_[True, np.diff(codes[order]) != 0]
    past -= np.repeat(past[first], np.diff(np.r_[np.flatnonzero(first), len(past)]))
    days = np.empty_like(past)
    days[order] = past
    midnights = f", midnights passed: {int(falls.sum())}" if falls.any() else ""
    sentence = (
        f"clock times in {name!r} have no date: rows stay in the order of the file"
    )
    sentence += midnights
    notes.append(likely(sentence, "time='DATE,CLOCK' with a column of dates"))
    total: Array = since + days * DAY
    whole = not (total % 10**9).any()
    return np.asarray(total // 10**9 if whole else total / 1e9)


def _read_clock(frame: pd.DataFrame, names: Sequence[str]) -> Array:
    """Times of day as timedelta64[ns], from a clock time, or from hours, minutes and seconds."""
    column = frame[names[0]]
    since: Array
    if column.dtype.kind == "m":
        return column.to_numpy(dtype="timedelta64[ns]")
    if column.dtype.kind not in "fiu":
        texts, index = _distinct(column)
        parsed = dates.parse(texts, dates.CLOCKS)
        if parsed is None:
            raise _no_time(column, np.flatnonzero(index == dates.first_unlike(texts)))
        since = _valid_clock(column, dates.clock_ns(parsed)[index])
    elif len(names) > 1 or _in_limits(column, "hour"):
        seconds = np.zeros(len(frame))
        for name, unit in zip(names, (3600, 60, 1), strict=False):
            seconds += frame[name].to_numpy(dtype=np.float64) * unit
        since = np.rint(seconds * 1e9).astype(np.int64)
    else:
        since = _digital_clock(column.to_numpy(dtype=np.float64), str(column.name))
        since = _valid_clock(column, since)
    return since.astype("timedelta64[ns]")


def _digital_clock(numbers: Array, name: str) -> Array:
    """The numbers 905 or 90500 as nanoseconds since midnight, -1 where one is no time of day."""
    if numbers.max() <= 2400 and "hhmmss" not in name.lower():
        numbers = numbers * 100
    minutes, second = np.divmod(numbers, 100)
    hour, minute = np.divmod(minutes, 100)
    seconds = 3600 * hour + 60 * minute + second
    wrong = (numbers < 0) | (second >= 60) | (minute >= 60) | (seconds > 86400)
    since: Array = np.where(wrong, -1, np.rint(seconds * 1e9)).astype(np.int64)
    return since


def _read_numbers(
    column: pd.Series[Any], codes: Array | None, options: ReadOptions, notes: list[str]
) -> Array:
    """Numbers as they are, in seconds of a unit, or as the dates that their digits write."""
    name = str(column.name)
    unit = options.time_unit
    if unit is None and _is_whole(column):
        stamps = _stamps(column)
        if stamps:
            return _stamped(column, stamps, codes, options, notes)
        since = _clock_digits(column, name)
        if since is not None:
            return _in_file_order(since, name, codes, notes)
    whole = column.dtype.kind in "iu" and column.max() < 2**63
    # Nanoseconds since 1970 do not fit float64.
    times = column.to_numpy(dtype=np.int64 if whole else np.float64)
    if unit is None:
        if {*_tokens(name)} & DATE_NAMES and may_be_excel(times):
            sentence = f"numbers in {name!r} are taken as they are"
            notes.append(likely(sentence, "time_unit='excel'"))
        return times
    if not np.isfinite(times).all():
        raise ValueError(f"column {name!r} holds infinite times; leave them empty")
    return _in_unit(times, name, unit, notes)


def may_be_excel(times: Array) -> bool:
    """Whether numbers are in the range of the days of Excel from 1970 to 2100."""
    low, high = UNIX_EPOCH["excel"], 73050
    return bool(len(times)) and low <= times.min() and times.max() <= high


def _in_unit(times: Array, name: str, unit: str | float, notes: list[str]) -> Array:
    """Numbers in a unit as seconds, or as dates if they count from a fixed day."""
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
    found: Array = (
        times.astype(np.int64).astype(f"datetime64[{unit}]").astype("datetime64[ns]")
    )
    return found


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
    return dates.instants(whole.astype(np.int64).astype("datetime64[D]"), within)


def _stamps(column: pd.Series[Any]) -> dict[str, Array]:
    """The dates that whole numbers write by the order of their digits; empty if they write none.

    20240131, 202401312359, 2024013023 (an hour), 20240131235950, 31012024, 2024031 (a day of the
    year).
    """
    numbers = column.to_numpy(dtype=np.int64) if column.max() < 2**63 else np.zeros(0)
    if not numbers.size or numbers.min() < 10**6:
        return {}
    distinct, index = np.unique(numbers, return_inverse=True)
    texts = [str(number) for number in distinct.tolist()]
    written = {"compact": texts, "compact reversed": [text.zfill(8) for text in texts]}
    written["ordinal"] = [f"{text[:4]}-{text[4:]}" for text in texts]
    found: dict[str, Array] = {}
    for format, digits in written.items():
        if len({len(text) for text in digits}) > 1:
            continue
        parsed = dates.parse(digits, (format,))
        if parsed is None or not dates.is_plausible(parsed):
            continue
        since = dates.clock_ns(parsed)
        for order, day in dates.readings(parsed).items():
            if not np.isnat(day).any():
                found[order or "ymd"] = dates.instants(day, since)[index]
    return found


def _stamped(
    column: pd.Series[Any],
    stamps: dict[str, Array],
    codes: Array | None,
    options: ReadOptions,
    notes: list[str],
) -> Array:
    """Numbers whose digits write dates, in the one order that the option or the steps leave."""
    name = str(column.name)
    orders = list(stamps)
    if options.date_order in stamps:
        orders = [str(options.date_order)]
    if len(orders) > 1:
        orders = _by_steps(name, orders, stamps, codes, notes) or orders
    if len(orders) > 1:
        raise _ambiguous(name, [str(value) for value in column], stamps)
    times = stamps[orders[0]]
    example = f"{column.iloc[0]:.0f} is {moment(times[0])}"
    notes.append(likely(f"numbers in {name!r} are dates: {example}", "time_unit='s'"))
    return times


def _clock_digits(column: pd.Series[Any], name: str) -> Array | None:
    """Whole numbers under a name of time as nanoseconds since midnight, if they write clock times.

    They are clock times, 2358, 2359, 0, rather than counts if only so their steps are equal, if
    many of them skip 60 to 99 in their last digits, or if they fall once a day.
    """
    if not _names_time(name) or not {*_tokens(name)} & CLOCK_NAMES:
        return None
    numbers = column.to_numpy(dtype=np.float64)
    if len(numbers) > 9999 and (_digital_clock(numbers[:9999], name) < 0).any():
        return None
    since = _digital_clock(numbers, name)
    distinct = np.unique(numbers)
    if (since < 0).any() or len(distinct) < 3 or distinct[-1] < 100:
        return None
    steps = np.diff(since)
    count = _regularity(np.diff(numbers))
    clock = _regularity(steps % DAY)
    skips = len(distinct) >= 10 and count < 0.5 and len(np.unique(distinct // 100)) > 1
    falls = steps[steps < 0]
    wraps = len(falls) and len(distinct) == len(numbers) and (falls < -DAY // 2).all()
    return since if skips or wraps or (clock >= 0.9 and clock > count) else None


def _regularity(steps: Array) -> float:
    """The share of the most frequent step, without those that do not move."""
    _, counts = np.unique(steps[steps != 0], return_counts=True)
    return float(counts.max() / counts.sum())


def _read_parts(
    frame: pd.DataFrame,
    columns: TimeColumns,
    codes: Array | None,
    options: ReadOptions,
    notes: list[str],
) -> Array:
    """Columns of year, month, day, ... as datetime64."""
    parts = _chain(columns.names)
    numbers = {part: _part(frame[name], part) for part, name in parts.items()}
    clock = [parts[part] for part in ("hour", "minute", "second") if part in parts]
    clock += [name for name in columns.names if name not in parts.values()]
    if "year" not in parts and "day" not in parts:
        since = _read_clock(frame, clock).astype(np.int64)
        return _in_file_order(since, columns.names[0], codes, notes)
    year = numbers.get("year", np.full(len(frame), 2000))
    two_digits = bool((year < 100).all())
    if two_digits:
        year = dates.full_years(year)
    day = _days_of_parts(year, numbers)
    wrong = np.flatnonzero(np.isnat(day))
    if wrong.size:
        values = ", ".join(
            f"{name} {frame[name].iloc[wrong[0]]}" for name in parts.values()
        )
        raise ValueError(
            f"data row {wrong[0] + 1} is no date: {values} ({wrong.size} such rows); choose "
            "time='' to go by the order of the rows"
        )
    times = dates.instants(day, np.zeros_like(year))
    if two_digits:
        _note_century(parts["year"], times, notes)
    if clock:
        times = times + _read_clock(frame, clock)
    if "year" not in parts:
        return _without_year(times, columns, codes)
    notes.append(_together(columns, times))
    return times


def _days_of_parts(year: Array, numbers: dict[str, Array]) -> Array:
    """Days as datetime64[D], the first of a month, quarter or week where there is no day."""
    one = np.ones_like(year)
    if "ordinal" in numbers:
        return dates.ordinal_days(year, numbers["ordinal"])
    if "week" in numbers:
        return dates.weeks(year, numbers["week"], one)
    month = numbers.get("month", 3 * numbers.get("quarter", one) - 2)
    return dates.days(year, month, numbers.get("day", one))


def _without_year(times: Array, columns: TimeColumns, codes: Array | None) -> Array:
    """Times of the year 2000 as seconds since it began.

    Raises:
        ValueError: they go back, so that a month or a year may have passed.
    """
    seconds: Array = (times - np.datetime64("2000-01-01")) / np.timedelta64(1, "s")
    if codes is not None and _spacing(seconds, codes) == "mixed":
        raise ValueError(
            f"the columns {columns} hold no year and go back: the order of the rows is not clear; "
            "add a column of the year, name the column of the series with id=COLUMN, or choose "
            "time='' to go by the order of the rows"
        )
    return seconds


def _together(columns: TimeColumns, times: Array) -> str:
    return f"the time is {columns}, the first is {moment(times[0])}"


def _part(column: pd.Series[Any], part: str) -> Array:
    """A part of dates as ``(n,)`` int64; months may be names."""
    if part == "month" and column.dtype.kind not in "fiub":
        names = column.astype(str).str.strip().str.lower()
        return np.array([dates.MONTHS.get(name, 0) for name in names], dtype=np.int64)
    try:
        return np.asarray(column.to_numpy(dtype=np.float64)).astype(np.int64)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"column {column.name!r} holds {column.iloc[0]!r}, expected numbers: it is the "
            f"{part} of the time"
        ) from error


# Their order.


@dataclass(frozen=True)
class Order:
    """Rows of a table by series and time.

    Attributes:
        rows: the row of each timestep, ``(m,)``.
        first: for each row of the table, the row that stands for its time, ``(n,)``.
        mean: whether rows of one time are averaged.
    """

    rows: Array
    first: Array
    mean: bool = False

    def take(self, matrix: Array) -> Array:
        """Values ``(n,)`` or ``(n, k)`` of rows as those of timesteps, ``(m,)`` or ``(m, k)``.

        A mean leaves out missing values (NaN).
        """
        if self.rows is self.first:  # every row is its own timestep already
            return matrix
        taken = matrix[self.rows]
        many = np.bincount(self.first, minlength=len(self.first))[self.rows] > 1
        if not self.mean or not many.any():
            return taken
        observed = ~np.isnan(matrix)
        total = np.zeros(matrix.shape)
        count = np.zeros(matrix.shape)
        np.add.at(total, self.first, np.where(observed, matrix, 0))
        np.add.at(count, self.first, observed)
        with np.errstate(invalid="ignore"):  # 0 / 0 where no value is observed
            mean = total / count
        taken[many] = mean[self.rows][many]
        return taken


def in_order(
    times: Array,
    codes: Array,
    names: Sequence[str],
    duplicates: str,
    notes: list[str],
    matrix: Array | None = None,
    what: tuple[str, str] = ("rows", "series"),
) -> Order:
    """Rows sorted by series and time, with one row for each time of a series.

    Args:
        times: of `read_times`, ``(n,)``.
        codes: the number of the series of each row, ``(n,)``.
        names: of the series, by number.
        duplicates: "error", "first", "last" or "mean" of the rows of one series at one time.
        notes: what was sorted, left out or averaged is added, and for series unequal steps.
        matrix: values of the rows ``(n, k)``, to say whether duplicates are identical.
        what: the words for rows and a series in messages.

    Raises:
        ValueError: `duplicates` is "error", and a series has two rows at one time.
    """
    many, series = what
    if _are_in_order(times, codes):
        if series == "series":
            note_spacing(times, codes, len(names), notes)
        rows = np.arange(len(times))
        return Order(rows, rows, duplicates == "mean")
    order = np.lexsort((times, codes))
    moved = int((order != np.argsort(codes, kind="stable")).sum())
    if moved:
        notes.append(f"{moved} {many} were not in time order and were sorted")
    again = np.zeros(len(order), dtype=bool)
    again[1:] = (np.diff(codes[order]) == 0) & (times[order][1:] == times[order][:-1])
    count = int(again.sum())
    if count and duplicates == "error":
        raise _repeated(times, codes, names, order, again, matrix)
    starts = np.flatnonzero(~again)
    rows = order[starts]
    if duplicates == "last":
        rows = order[np.r_[starts[1:], len(order)] - 1]
    if count:
        fate = "averaged with it" if duplicates == "mean" else "left out"
        notes.append(
            f"{count} {many} at the time of another of the same {series} are {fate}"
        )
    if series == "series":
        note_spacing(times[rows], codes[rows], len(names), notes)
    first = np.empty_like(order)
    first[order] = rows[np.cumsum(~again) - 1]
    return Order(rows, first, duplicates == "mean")


def _are_in_order(times: Array, codes: Array) -> bool:
    """Whether rows are sorted by series and time, with one row for each time of a series."""
    steps = np.diff(times)
    later = steps > np.zeros(1, dtype=steps.dtype)
    next_series = np.diff(codes)
    return bool(((next_series > 0) | ((next_series == 0) & later)).all())


def _repeated(
    times: Array,
    codes: Array,
    names: Sequence[str],
    order: Array,
    again: Array,
    matrix: Array | None,
) -> ValueError:
    second = int(np.flatnonzero(again)[0])
    one, other = order[second - 1], order[second]
    identical = ""
    if matrix is not None and np.array_equal(
        matrix[one], matrix[other], equal_nan=True
    ):
        identical = ", with the same values"
    return ValueError(
        f"{again.sum()} duplicate timestamps, the first is {moment(times[one])} in series "
        f"{names[codes[one]]!r} (data rows {one + 1} and {other + 1}{identical}); choose "
        "duplicates='first', 'last' or 'mean' of the values, time='' to go by the order of the "
        "rows, or id=COLUMN if the table holds several series"
    )


def note_spacing(times: Array, codes: Array, count: int, notes: list[str]) -> None:
    """A note when the steps of a series are not equal.

    Args:
        times: in order within each series, ``(m,)``.
        codes: the number of the series of each time, ``(m,)``.
        count: number of series.
        notes: where the note is added.
    """
    same = np.diff(codes) == 0
    if not same.any():
        return
    steps = np.diff(_by_months(times))[same].astype(np.float64)
    usual = np.median(steps)
    steps -= usual
    odd = np.abs(steps, out=steps) > 0.01 * usual
    uneven = len(np.unique(codes[1:][same][odd])) if odd.any() else 0
    if uneven:
        real = np.diff(times)[same]
        sizes = f"median step {_step(np.median(real))}, largest {_step(real.max())}"
        notes.append(
            f"{uneven} of {count} series are not equally spaced in time ({sizes}): each row is "
            "one timestep"
        )


def _step(step: Any) -> str:
    """A time between two rows, in the largest unit of which it has one."""
    if not isinstance(step, np.timedelta64):
        return f"{step:g}"
    seconds = step / np.timedelta64(1, "s")
    for unit in ("d", "h", "min", "s", "ms", "us"):
        if seconds >= TIME_UNITS[unit]:
            return f"{seconds / TIME_UNITS[unit]:.4g} {unit}"
    return f"{seconds * 1e9:g} ns"


# Names of columns that are times.


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
    notes = [] if notes is None else notes
    texts = [str(name).strip() for name in names]
    if all(re.match(r"X\d", text) for text in texts):
        texts = [text[1:] for text in texts]
    cycle = _in_cycle(texts)
    if cycle is not None:
        return cycle
    if all(re.fullmatch(r"(1[5-9]|2[0-2])\d\d", text) for text in texts):
        years = np.array(texts, dtype="datetime64[Y]").astype("datetime64[D]")
        return dates.instants(years, np.zeros(len(texts), dtype=np.int64))
    if all(re.fullmatch(r"(19|20)\d\d(0[1-9]|1[0-2])", text) for text in texts):
        texts = [f"{text[:4]}-{text[4:]}" for text in texts]
    parsed = dates.parse(texts)
    if parsed is None or not parsed.has_date:
        return None
    column = pd.Series(texts, name="column names", dtype=object)
    index = np.arange(len(texts))
    codes = np.zeros(len(texts), dtype=np.int64)
    return _dates_of(column, texts, parsed, index, codes, options, notes)


def _in_cycle(texts: list[str]) -> Array | None:
    """Names of months or weekdays, or times of day, that count on past the end of their cycle."""
    for known, length in ((dates.MONTHS, 12), (dates.WEEKDAYS, 7)):
        numbers = [known.get(text.lower().rstrip(".")) for text in texts]
        if len(texts) > 2 and None not in numbers:
            return _unrolled(np.array(numbers, dtype=np.float64), length)
    hours = [re.sub(r"(?i)^h(?:our)?[ _]?(\d\d?)$", r"\1h", text) for text in texts]
    parsed = dates.parse(hours, dates.CLOCKS)
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
