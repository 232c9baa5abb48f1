"""The times of the rows of a table, read from the columns that hold them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...config import ReadOptions
from ..sequences import Array, moment
from . import dates
from .calendars import days, full_years, instants, ordinal_days, weeks
from .clocks import in_file_order, read_clock_texts, time_of_day
from .date_order import (
    LEAP_YEAR,
    WrittenDates,
    ask_for_order,
    in_equal_steps,
    note_century,
    read_dates,
)
from .date_parts import chain, part_numbers
from .digits import clock_in_digits, dates_in_digits
from .epochs import in_unit, may_be_excel
from .iso_dates import iso_instants
from .names import says_date
from .readings import AmbiguousError, Reading, likely
from .row_order import spacing
from .time_columns import TimeColumns, named_columns
from .time_values import (
    check_missing,
    check_unused,
    distinct,
    holds_dates,
    interval_starts,
    is_text,
    is_whole,
    missing,
    no_time,
    to_instants,
    to_numbers,
    unlike,
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
    for name in columns.names:
        if is_text(frame[name]) and interval_starts(frame[name].head(9)) is not None:
            notes.append(f"intervals in {name!r} are read as the time when they begin")
    frame = with_numbers(frame[list(columns.names)])
    first, *others = columns.names
    if not others:
        return _read_column(frame[first], codes, options, notes)
    for name in columns.names:
        check_missing(frame[name])
    check_unused(frame[others[-1]], options, "a part of the time", "time_unit")
    if columns.kind == "parts":
        check_unused(frame[first], options, "a part of the time", "date_order")
        return _read_parts(frame, columns, codes, notes)
    day = _read_column(frame[first], codes, options, notes)
    if day.dtype.kind != "M":
        raise ValueError(
            f"column {first!r} holds no dates, which the time joins with a clock time"
        )
    times: Array = day + time_of_day(frame, others)
    notes.append(_together(columns, times))
    return times


def joined_with(
    frame: pd.DataFrame, times: tuple[str, ...], name: str
) -> tuple[str, Array] | None:
    """The option that joins a further column to those of the time, and the times of the rows.

    None where they make no time together.
    """
    try:
        columns = named_columns(frame, ",".join((*times, name)))
        clock = read_times(frame, columns, ReadOptions(), [])
    except ValueError:
        return None
    return ",".join(columns.names), clock


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
        check_unused(column, options, "dates", "time_unit")
        check_unused(column, options, "dates with the year first", "date_order", "ymd")
        return instants
    check_missing(column)
    if holds_dates(column):
        check_unused(column, options, "dates", "time_unit")
        check_unused(column, options, "values of dates", "date_order")
        return to_instants(column)
    if column.dtype.kind == "m":
        check_unused(column, options, "durations", "time_unit")
        check_unused(column, options, "durations", "date_order")
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
            raise unlike(column, texts, index)
        return _read_numbers(numbers, codes, options, notes)
    if parsed.has_date:
        check_unused(column, options, "dates", "time_unit")
        written = WrittenDates(column, texts, index, parsed, codes)
        return read_dates(written, options, notes)
    check_unused(column, options, "times without a date", "date_order")
    since = dates.clock_ns(parsed)[index]
    return read_clock_texts(column, parsed, since, codes, options, notes)


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
    check_unused(column, options, "numbers that are no dates", "date_order")
    if unit is None and is_whole(column):
        since = clock_in_digits(column, name)
        if since is not None:
            return in_file_order(since, name, codes, notes)
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
    short = order != "my" and column.max() < 10**6
    if options.date_order is not None:
        order = options.date_order
        if order not in by_order:
            held = f"{column.iloc[0]}, no date in this order"
            check_unused(column, options, held, "date_order")
    elif short and not says_date(name):
        raise _ask_for_digits(column, by_order)
    elif len(by_order) > 1:
        order = in_equal_steps(name, by_order, codes, notes)
    if order is None and short:
        raise _ask_for_digits(column, by_order)
    if order is None:
        raise ask_for_order(name, list(map(str, column)), by_order)
    times = by_order[order]
    if short:
        note_century(name, times, notes)
    example = f"{column.iloc[0]:.0f} is {moment(times[0])}"
    notes.append(likely(f"numbers in {name!r} are dates: {example}", "time_unit='s'"))
    return times


def _ask_for_digits(
    column: pd.Series[Any], by_order: dict[str, Array]
) -> AmbiguousError:
    """The question for digits of two-digit years, 240131: dates in each order, or numbers."""
    name = str(column.name)
    orders = {times.tobytes(): order for order, times in by_order.items()}
    different = {order: by_order[order] for order in sorted(orders.values())}
    as_dates = ask_for_order(name, list(map(str, column)), different).readings
    shown = [[number] for number in column.head(4)]
    plain = Reading("seconds, no dates", {"time_unit": "s"}, [name], shown)
    return AmbiguousError(f"numbers in {name!r} can be dates", [*as_dates, plain])


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
        since = time_of_day(frame, clock).astype(np.int64)
        return in_file_order(since, columns.names[0], codes, notes)
    year = numbers.get("year", np.full(len(frame), 2000))
    has_century = bool((year >= 100).any())
    day = _days_of_parts(year if has_century else full_years(year), numbers)
    _check_days(day, frame[list(parts.values())])
    times = instants(day, np.zeros_like(year))
    if not has_century:
        note_century(parts["year"], times, notes)
    if clock:
        times = times + time_of_day(frame, clock)
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
