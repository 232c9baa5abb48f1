"""Which columns of a table can be its time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...config import ReadOptions
from ..sequences import did_you_mean, listed
from . import dates
from .column_types import kind_by_name
from .date_parts import (
    PART_OF,
    by_part,
    chain,
    in_limits,
    is_sorted,
    part_of,
    valid_parts,
)
from .digits import are_clock_times, clock_in_digits, dates_in_digits
from .names import (
    LABELS,
    PERIODS,
    says_clock,
    says_count_of_time,
    says_moment,
    says_time,
)
from .time_values import (
    distinct,
    holds_dates,
    is_whole,
    to_instants,
    to_numbers,
    with_numbers,
)

if TYPE_CHECKING:
    import pandas as pd

HEAD = 9999  # rows of a long column that are looked at first
NUMBERS = "fiubc"  # letters of NumPy's types of numbers
YEARS = (1500, 2299)  # what a column of years holds


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


@dataclass(frozen=True)
class _Content:
    """What a column can be: its kind, as of `TimeColumns`, and whether its dates hold hours."""

    kind: str
    hours: bool
    named: bool

    @property
    def is_day(self) -> bool:
        """Whether the column holds dates without hours, which a clock time can complete."""
        return self.kind in ("date", "stamp") and not self.hours


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
    if options.time is not None:
        return [named_columns(frame, options.time)] if options.time else []
    frame = with_numbers(frame)
    contents = {}
    for name, kind in kind_by_name(frame).items():
        named = says_time(name)
        if not named and kind in NUMBERS and name.lower() not in PERIODS:
            continue  # numbers are no time without its name
        content = _content(frame, name, named)
        if content is not None:
            contents[name] = content
    ranked = []
    for names in _joined(frame, contents):
        ranked.append(((0, 0), TimeColumns(names, "date+clock", True)))
    parts = _parts(frame, contents)
    if parts:
        rank = _rank_of_parts(parts, contents)
        ranked.append((rank, TimeColumns(parts, "parts", True)))
    for name, content in contents.items():
        rank = _tier(frame[name], name, content), -frame[name].nunique()
        ranked.append((rank, TimeColumns((name,), content.kind, content.named)))
    return [columns for _, columns in sorted(ranked, key=lambda pair: pair[0])]


def _rank_of_parts(
    parts: tuple[str, ...], contents: Mapping[str, _Content]
) -> tuple[int, int]:
    """First, but among other dates without a year or beside a column of dates with hours."""
    full = any(content.hours for content in contents.values())
    has_year = part_of(parts[0], parts) == "year"
    return (0, 1) if has_year and not full else (5, 0)


def _tier(column: pd.Series[Any], name: str, content: _Content) -> int:
    """The rank of a single column: named times, dates with hours, counts, other dates, periods."""
    if content.kind == "other":
        return 8
    if content.named and (content.hours or content.kind == "stamp"):
        return 1
    if says_moment(name):
        return 2
    if content.hours or column.dtype.kind == "M":
        return 3
    if says_count_of_time(name):
        return 4
    if content.kind == "date":
        return 5
    return 6 if content.named else 7


def named_columns(frame: pd.DataFrame, time: str) -> TimeColumns:
    """The columns that an option names: "A", or "A,B" joined.

    Raises:
        ValueError: a column does not exist, or several make no time together.
    """
    frame = with_numbers(frame)
    names = _existing(frame, time)
    contents = {name: _content(frame, name, named=True) for name in names}
    if len(names) == 1:
        content = contents[names[0]]
        kind = content.kind if content else "other"
        return TimeColumns(names, kind, says_time(names[0]))
    parts = chain(names)
    if len(parts) > 1:
        _check_rest(time, parts, [n for n in names if n not in parts.values()])
        return TimeColumns(names, "parts", True)
    for order in (names, names[::-1]):
        first = contents[order[0]]
        if first and first.is_day:
            _check_finer(time, order[2:])
            return TimeColumns(order, "date+clock", True)
    raise _no_join(time, [n for n in names if n not in parts.values()])


def _check_finer(time: str, names: Sequence[str]) -> None:
    """Raise ValueError unless columns after a date and a clock are minutes and seconds."""
    finer = [part_of(name) for name in names]
    if finer != ["minute", "second"][: len(finer)]:
        raise _no_join(time, names)


def _existing(frame: pd.DataFrame, time: str) -> tuple[str, ...]:
    """The columns that an option names; ValueError where one does not exist or comes twice."""
    names: tuple[str, ...] = (time,)
    if time not in frame.columns:
        names = tuple(part.strip() for part in time.split(","))
    for name in names:
        if name not in frame.columns:
            raise ValueError(
                f"time names a column {name!r} that does not exist, got the columns "
                f"{listed(frame.columns)}{did_you_mean(name, frame.columns)}"
            )
    if len({*names}) < len(names):
        raise ValueError(f"time={time!r} names a column twice")
    return names


def _check_rest(time: str, parts: Mapping[str, str], rest: list[str]) -> None:
    """Raise ValueError where a column beside year, month, ... can be no clock time of a day."""
    is_day = [*parts][-1] in ("day", "ordinal")
    other_parts = [name for name in rest if part_of(name) not in (None, "hour")]
    if other_parts or len(rest) > is_day:
        raise _no_join(time, other_parts or rest)


def _no_join(time: str, names: Sequence[str]) -> ValueError:
    """The error for columns of an option that make no time with the others."""
    return ValueError(
        f"time={time!r} names several columns, expected a date and a clock time, or year, month, "
        f"day, hour, ... in columns that are named so; rename {listed(map(repr, names))}"
    )


def _content(frame: pd.DataFrame, name: str, named: bool) -> _Content | None:
    """What a column can be; None if it is no time."""
    column = frame[name]
    kind = column.dtype.kind
    if column.isna().all() or kind in "bc":
        return None
    if holds_dates(column):
        times = to_instants(column.dropna())
        hours = bool((times != times.astype("datetime64[D]")).any())
        return _Content("date", hours, named)
    if kind in "fiu":
        if not named and not _is_period(frame, name):
            return None
        return _Content(_kind_of_numbers(column, name), False, named)
    if kind == "m":
        return _Content("number", False, named) if named else None
    return _content_of_texts(column, name, named)


def _kind_of_numbers(column: pd.Series[Any], name: str) -> str:
    numbers = column.dropna()
    if not is_whole(column):
        return "number"
    if dates_in_digits(numbers):
        return "stamp"
    return "number" if clock_in_digits(numbers, name) is None else "clock"


def _is_period(frame: pd.DataFrame, name: str) -> bool:
    """Whether whole numbers named year, month, ... never repeat, or not beside another column."""
    column = frame[name]
    if name.lower() not in PERIODS or not is_whole(column):
        return False
    if column.is_unique:
        return True
    if PART_OF.get(name.lower()) == "year" and column.between(*YEARS).all():
        return True
    return any(
        frame[other].duplicated().any() and not frame.duplicated([other, name]).any()
        for other in frame.columns
        if other != name and _may_name_series(frame[other])
    )


def _may_name_series(column: pd.Series[Any]) -> bool:
    """Whether a column holds texts or whole numbers that are no part of dates."""
    return column.dtype.kind not in "fcmM" and part_of(str(column.name)) is None


def _content_of_texts(
    column: pd.Series[Any], name: str, named: bool
) -> _Content | None:
    if not named and (name.lower() in LABELS or _begins_without_dates(column)):
        return None
    texts, _ = distinct(column)
    found = dates.recognize(texts)
    if found is None:
        if not named or not texts:
            return None
        kind = "other" if to_numbers(column) is None else "number"
        return _Content(kind, False, named)
    sure = named or name.lower() in PERIODS
    if not sure and not dates.is_telling(found, texts):
        return None
    kind = "date" if found.has_date else "clock"
    return _Content(kind, found.has_hours, named)


def _begins_without_dates(column: pd.Series[Any]) -> bool:
    """Whether the first rows of a long column hold texts that are no dates."""
    if len(column) <= HEAD:
        return False
    texts, _ = distinct(column.iloc[:HEAD])
    return bool(texts) and dates.recognize(texts) is None


def _joined(
    frame: pd.DataFrame, contents: Mapping[str, _Content]
) -> list[tuple[str, ...]]:
    """Columns of dates without hours, each with the column of its clock time.

    Hours as numbers belong to a date only if the date alone repeats.
    """
    if any(content.named and content.hours for content in contents.values()):
        return []
    names = list(frame.columns)
    clocks = [name for name in names if _is_clock(frame, name, contents)]
    found: list[tuple[str, ...]] = []
    for day in [name for name, content in contents.items() if content.is_day]:
        if not clocks:
            break
        after = (name for name in clocks if names.index(name) > names.index(day))
        clock = next(after, clocks[-1])
        clocks.remove(clock)
        found.append((day, clock, *_finer(frame, clock)))
    return found


def _is_clock(frame: pd.DataFrame, name: str, contents: Mapping[str, _Content]) -> bool:
    """Whether a column holds times of day: 10:30 under the name of a time, 1030, or hours."""
    content = contents.get(name)
    is_hour = part_of(name) == "hour"
    if content is not None and content.kind == "clock":
        return content.named or is_hour
    if content is not None and content.is_day:
        return False
    if not is_hour and not says_clock(name):
        return False
    column = frame[name]
    if column.dtype.kind not in "fiu" or not is_whole(column):
        return False
    if is_hour and in_limits(column, "hour"):
        return True
    return are_clock_times(column, name)


def _finer(frame: pd.DataFrame, clock: str) -> list[str]:
    """The columns of minutes and seconds beside a column of hours."""
    if part_of(clock) != "hour" or not in_limits(frame[clock], "hour"):
        return []
    parts = by_part(frame.columns)
    finer = {part: parts[part] for part in parts if part in ("minute", "second")}
    return list(valid_parts(frame, finer).values())


def _parts(frame: pd.DataFrame, contents: Mapping[str, _Content]) -> tuple[str, ...]:
    """Columns year, month, day, ... as one time, without those that hold other numbers."""
    parts = valid_parts(frame, chain(frame.columns))
    names = tuple(parts.values())
    if len(parts) < 2:
        return ()
    if "year" not in parts:
        dated = any(content.kind in ("date", "stamp") for content in contents.values())
        return () if dated or not is_sorted(frame, parts) else names
    if [*parts][-1] not in ("day", "ordinal"):
        return names
    others = [name for name in frame.columns if name not in names]
    clocks = [name for name in others if _is_clock(frame, name, contents)]
    return (*names, *clocks[:1])
