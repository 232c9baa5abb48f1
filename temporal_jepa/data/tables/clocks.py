"""Clock times without a date, and durations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ...config import ReadOptions
from ..sequences import Array
from . import dates
from .date_formats import CLOCKS
from .date_parts import in_limits, part_of
from .digits import DAY, are_clock_times, clock_of_digits
from .names import says_clock, unit_of
from .readings import AmbiguousError, Reading, likely
from .time_values import check_unused, distinct, no_time, unlike

if TYPE_CHECKING:
    import pandas as pd


def read_clock_texts(
    column: pd.Series[Any],
    parsed: dates.Texts,
    since: Array,
    codes: Array | None,
    options: ReadOptions,
    notes: list[str],
) -> Array:
    """Clock times or durations as seconds, ``(n,)``.

    Args:
        column: of texts.
        parsed: the parts of its distinct texts.
        since: the nanoseconds that each row says, ``(n,)``; -1 where no clock shows them.
        codes: the number of the series of each row, ``(n,)``; None if it is not known yet.
        options: `time_unit` is the last part of durations of two parts.
        notes: what was inferred is added.

    Raises:
        AmbiguousError: two parts can be hours and minutes, or minutes and seconds.
        ValueError: a row is no time, or clock times go back.
    """
    _check_clock(column, since)
    if parsed.format in ("duration", "minutes") or since.max() > DAY:
        _check_hours(column, parsed, since, codes)
        return _duration(column, parsed, since, options) / 1e9
    check_unused(column, options, "clock times", "time_unit")
    return in_file_order(since, str(column.name), codes, notes)


def _check_clock(column: pd.Series[Any], since: Array) -> None:
    rows = np.flatnonzero(since < 0)
    if rows.size:
        raise no_time(column, rows)


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
        check_unused(column, options, "durations", "time_unit")
        return since
    by_unit = {"s": since // 60, "min": since}
    if options.time_unit in ("s", "min"):
        return by_unit[options.time_unit]
    readings = []
    for what, unit in (("minutes and seconds", "s"), ("hours and minutes", "min")):
        spans = [_hours_of(span) for span in by_unit[unit][:3].tolist()]
        rows = [*zip(column, spans, strict=False)]
        header = (column.name, "is read as")
        readings.append(Reading(what, {"time_unit": unit}, header, rows))
    raise AmbiguousError(
        f"column {column.name!r} holds durations of two parts", readings
    )


def _hours_of(nanoseconds: int) -> str:
    """A duration such as "75 h 10 min 00 s"."""
    minutes, seconds = divmod(nanoseconds // 10**9, 60)
    return f"{minutes // 60} h {minutes % 60:02} min {seconds:02} s"


def in_file_order(
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


def time_of_day(frame: pd.DataFrame, names: Sequence[str]) -> Array:
    """Times of day as timedelta64[ns], from a clock time, or from hours, minutes and seconds.

    Raises:
        ValueError: a row holds no time of day.
    """
    column = frame[names[0]]
    since: Array
    if column.dtype.kind == "m":
        return column.to_numpy(dtype="timedelta64[ns]")
    if column.dtype.kind not in "fiu":
        texts, index = distinct(column)
        parsed = dates.parse(texts, CLOCKS)
        if parsed is None:
            raise unlike(column, texts, index)
        since = dates.clock_ns(parsed)[index]
    elif len(names) > 1 or _are_hours(column):
        seconds = np.zeros(len(frame))
        for name, unit in zip(names, (3600, 60, 1), strict=False):
            seconds += frame[name].to_numpy(dtype=np.float64) * unit
        since = np.rint(seconds * 1e9).astype(np.int64)
    elif are_clock_times(column, str(column.name)):
        since = clock_of_digits(column.to_numpy(dtype=np.float64), str(column.name))
    else:
        since = _periods_of_day(column)
    _check_clock(column, since)
    return since.astype("timedelta64[ns]")


def _are_hours(column: pd.Series[Any]) -> bool:
    """Whether a column holds hours, and its name does not say something else."""
    name = str(column.name)
    is_named = part_of(name) == "hour" or says_clock(name) or unit_of(name) == "h"
    return is_named and in_limits(column, "hour")


def _periods_of_day(column: pd.Series[Any]) -> Array:
    """Numbers that count the periods of a day as nanoseconds since midnight, when they begin.

    They are 1, 2, ..., n or 0, 1, ..., n - 1, of a length of whole minutes and at most an hour, or
    0, 5, 10, ... in minutes or seconds.

    Raises:
        ValueError: they do not fill a day.
    """
    numbers = column.to_numpy(dtype=np.float64)
    counted = np.unique(numbers)
    step = counted[1] - counted[0] if len(counted) > 1 else 0
    first, count = counted[0], len(counted)
    if step and (np.diff(counted) == step).all():
        whole_minutes = step == 1 and count >= 24 and 1440 % count == 0
        if whole_minutes and first in (0, 1):
            return np.asarray((numbers - first) * (DAY // count), dtype=np.int64)
        if first == 0 and count * step in (1440, 86400):
            return np.asarray(numbers * (DAY // (count * step)), dtype=np.int64)
    raise ValueError(
        f"column {column.name!r} holds {first:g} to {counted[-1]:g} beside a date, expected clock "
        "times such as 10:30 or 1030, hours in a column named hour, or numbers of the periods "
        "of a day such as 1 to 48"
    )
