"""The times of the rows of a table, read from the columns that hold them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...config import ReadOptions
from ..sequences import Array, moment
from . import dates
from .calendars import days, full_years, instants, ordinal_days, weeks
from .date_formats import CLOCKS
from .date_order import (
    LEAP_YEAR,
    WrittenDates,
    ask_for_order,
    in_equal_steps,
    note_century,
    read_dates,
)
from .date_parts import chain, in_limits, part_numbers
from .digits import DAY, clock_in_digits, clock_of_digits, dates_in_digits
from .epochs import in_unit, may_be_excel
from .iso_dates import iso_instants
from .readings import AmbiguousError, Reading, likely
from .row_order import spacing
from .time_columns import TimeColumns
from .time_names import says_date
from .time_values import (
    check_missing,
    distinct,
    holds_dates,
    is_text,
    is_whole,
    missing,
    no_time,
    to_instants,
    to_numbers,
    with_numbers,
)

if TYPE_CHECKING:
    import pandas as pd


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
    frame = with_numbers(frame[list(columns.names)])
    first, *others = columns.names
    if not others:
        return _read_column(frame[first], codes, options, notes)
    for name in columns.names:
        check_missing(frame[name])
    if columns.kind == "parts":
        return _read_parts(frame, columns, codes, notes)
    day = _read_column(frame[first], codes, options, notes)
    if day.dtype.kind != "M":
        raise ValueError(
            f"column {first!r} holds no dates, which the time joins with a clock time"
        )
    times: Array = day + _read_clock(frame, others)
    notes.append(_together(columns, times))
    return times


def missing_times(frame: pd.DataFrame, columns: TimeColumns) -> Array:
    """The rows without a time, ``(n,)`` bool."""
    rows: Array = np.any([missing(frame[name]) for name in columns.names], axis=0)
    return rows


# One column.


def _read_column(
    column: pd.Series[Any], codes: Array | None, options: ReadOptions, notes: list[str]
) -> Array:
    if is_text(column):
        instants = iso_instants(column)
        if instants is None:
            return _read_texts(column, codes, options, notes)
        _check_no_unit(column, options)
        return instants
    check_missing(column)
    if holds_dates(column):
        _check_no_unit(column, options)
        return to_instants(column)
    if column.dtype.kind == "m":
        return np.asarray(column.dt.total_seconds())
    return _read_numbers(column, codes, options, notes)


def _read_texts(
    column: pd.Series[Any], codes: Array | None, options: ReadOptions, notes: list[str]
) -> Array:
    """Texts of dates, clock times, durations or numbers."""
    texts, index = distinct(column)
    if (index < 0).any():
        raise no_time(column, np.flatnonzero(index < 0))
    parsed = dates.parse(texts)
    if parsed is None:
        numbers = to_numbers(column)
        if numbers is None:
            raise _unlike(column, texts, index)
        return _read_numbers(numbers, codes, options, notes)
    if parsed.has_date:
        _check_no_unit(column, options)
        written = WrittenDates(column, texts, index, parsed, codes)
        return read_dates(written, options, notes)
    since = _valid_clock(column, dates.clock_ns(parsed)[index])
    if parsed.format in ("duration", "minutes") or since.max() > DAY:
        _check_hours(column, parsed, since, codes)
        return _duration(column, parsed, since, options) / 1e9
    return _in_file_order(since, str(column.name), codes, notes)


def _check_no_unit(column: pd.Series[Any], options: ReadOptions) -> None:
    if options.time_unit is not None:
        raise ValueError(
            f"column {column.name!r} holds dates, which need no time_unit=; leave it out"
        )


def _unlike(column: pd.Series[Any], texts: list[str], index: Array) -> ValueError:
    """The error for the first text that is not in a format of those before it."""
    wrong = dates.first_unlike(texts)
    return no_time(column, np.flatnonzero(index == wrong))


def _read_numbers(
    column: pd.Series[Any], codes: Array | None, options: ReadOptions, notes: list[str]
) -> Array:
    """Numbers as they are, in seconds of a unit, or as the dates that their digits write."""
    name = str(column.name)
    unit = options.time_unit
    if unit is None and is_whole(column):
        by_order = dates_in_digits(column)
        if by_order:
            return _read_digits(column, by_order, codes, options, notes)
        since = clock_in_digits(column, name)
        if since is not None:
            return _in_file_order(since, name, codes, notes)
    whole = column.dtype.kind in "iu" and column.max() < 2**63
    # Nanoseconds since 1970 do not fit float64.
    times = column.to_numpy(dtype=np.int64 if whole else np.float64)
    if unit is not None:
        return in_unit(times, name, unit, notes)
    if says_date(name) and may_be_excel(times):
        sentence = f"numbers in {name!r} are taken as they are"
        notes.append(likely(sentence, "time_unit='excel'"))
    return times


def _read_digits(
    column: pd.Series[Any],
    by_order: dict[str, Array],
    codes: Array | None,
    options: ReadOptions,
    notes: list[str],
) -> Array:
    """Numbers whose digits write dates, in the one order that the option or the steps leave."""
    name = str(column.name)
    order: str | None = next(iter(by_order))
    if options.date_order in by_order:
        order = options.date_order
    elif len(by_order) > 1:
        order = in_equal_steps(name, by_order, codes, notes)
    if order is None:
        raise ask_for_order(name, list(map(str, column)), by_order)
    times = by_order[order]
    example = f"{column.iloc[0]:.0f} is {moment(times[0])}"
    notes.append(likely(f"numbers in {name!r} are dates: {example}", "time_unit='s'"))
    return times


# Clock times.


def _valid_clock(column: pd.Series[Any], since: Array) -> Array:
    wrong = np.flatnonzero(since < 0)
    if wrong.size:
        raise no_time(column, wrong)
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
    import pandas as pd

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
    midnights = np.empty_like(order)
    midnights[order] = pd.Series(falls).groupby(codes[order]).cumsum()
    sentence = (
        f"clock times in {name!r} have no date: rows stay in the order of the file"
    )
    if falls.any():
        sentence += f", midnights passed: {falls.sum()}"
    notes.append(likely(sentence, "time='DATE,CLOCK' with a column of dates"))
    total: Array = since + midnights * DAY
    whole = not (total % 10**9).any()
    return np.asarray(total // 10**9 if whole else total / 1e9)


def _read_clock(frame: pd.DataFrame, names: Sequence[str]) -> Array:
    """Times of day as timedelta64[ns], from a clock time, or from hours, minutes and seconds."""
    column = frame[names[0]]
    since: Array
    if column.dtype.kind == "m":
        return column.to_numpy(dtype="timedelta64[ns]")
    if column.dtype.kind not in "fiu":
        texts, index = distinct(column)
        parsed = dates.parse(texts, CLOCKS)
        if parsed is None:
            raise _unlike(column, texts, index)
        since = _valid_clock(column, dates.clock_ns(parsed)[index])
    elif len(names) > 1 or in_limits(column, "hour"):
        seconds = np.zeros(len(frame))
        for name, unit in zip(names, (3600, 60, 1), strict=False):
            seconds += frame[name].to_numpy(dtype=np.float64) * unit
        since = np.rint(seconds * 1e9).astype(np.int64)
    else:
        since = clock_of_digits(column.to_numpy(dtype=np.float64), str(column.name))
        since = _valid_clock(column, since)
    return since.astype("timedelta64[ns]")


# Columns of year, month, day, ....


def _read_parts(
    frame: pd.DataFrame,
    columns: TimeColumns,
    codes: Array | None,
    notes: list[str],
) -> Array:
    """Columns of year, month, day, ... as datetime64."""
    parts = chain(columns.names)
    numbers = {part: part_numbers(frame[name], part) for part, name in parts.items()}
    clock = [parts[part] for part in ("hour", "minute", "second") if part in parts]
    clock += [name for name in columns.names if name not in parts.values()]
    if "year" not in parts and "day" not in parts:
        since = _read_clock(frame, clock).astype(np.int64)
        return _in_file_order(since, columns.names[0], codes, notes)
    year = numbers.get("year", np.full(len(frame), 2000))
    has_century = bool((year >= 100).any())
    day = _days_of_parts(year if has_century else full_years(year), numbers)
    _check_days(day, frame[list(parts.values())])
    times = instants(day, np.zeros_like(year))
    if not has_century:
        note_century(parts["year"], times, notes)
    if clock:
        times = times + _read_clock(frame, clock)
    if "year" not in parts:
        return _without_year(times, columns, codes)
    notes.append(_together(columns, times))
    return times


def _check_days(day: Array, parts: pd.DataFrame) -> None:
    """Raise ValueError where the parts of a row are no day of the calendar."""
    wrong = np.flatnonzero(np.isnat(day))
    if wrong.size:
        row = wrong[0]
        values = ", ".join(f"{name} {parts[name].iloc[row]}" for name in parts.columns)
        raise ValueError(
            f"data row {wrong[0] + 1} is no date: {values} ({wrong.size} such rows); choose "
            "time='' to go by the order of the rows"
        )


def _days_of_parts(year: Array, numbers: dict[str, Array]) -> Array:
    """Days as datetime64[D], the first of a month, quarter or week where there is no day."""
    one = np.ones_like(year)
    if "ordinal" in numbers:
        return ordinal_days(year, numbers["ordinal"])
    if "week" in numbers:
        return weeks(year, numbers["week"], one)
    month = numbers.get("month", 3 * numbers.get("quarter", one) - 2)
    return days(year, month, numbers.get("day", one))


def _without_year(times: Array, columns: TimeColumns, codes: Array | None) -> Array:
    """Times of the year 2000 as seconds since it began.

    Raises:
        ValueError: they go back, so that a month or a year may have passed.
    """
    seconds: Array = (times - LEAP_YEAR) / np.timedelta64(1, "s")
    if codes is not None and spacing(seconds, codes) == "mixed":
        raise ValueError(
            f"the columns {columns} hold no year and go back: the order of the rows is not clear; "
            "add a column of the year, name the column of the series with id=COLUMN, or choose "
            "time='' to go by the order of the rows"
        )
    return seconds


def _together(columns: TimeColumns, times: Array) -> str:
    return f"the time is {columns}, the first is {moment(times[0])}"
