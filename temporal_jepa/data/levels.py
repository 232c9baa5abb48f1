"""Frames whose rows or columns have names of several levels, as plain tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import ReadOptions
from .names import says_channel, says_id
from .readings import AmbiguousError, Reading, likely
from .sequences import listed
from .times import says_time

if TYPE_CHECKING:
    import pandas as pd


def tidy(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> tuple[pd.DataFrame, ReadOptions]:
    """A frame with one level of text names, and the options that its levels imply.

    A row index that is more than a count becomes columns; unnamed columns that hold nothing go.

    Raises:
        AmbiguousError: when the levels of the column names have two readings.
        ValueError: for a table without rows or columns.
    """
    if not frame.size:
        raise ValueError(f"the table has no {'columns' if len(frame) else 'rows'}")
    if frame.columns.nlevels > 1:
        frame, options = _flat_columns(frame, options, notes)
    frame, options = _index_to_columns(frame, options, notes)
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    return _without_fillers(frame, options, notes), options


def _index_to_columns(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> tuple[pd.DataFrame, ReadOptions]:
    """The row index as columns, unless it only counts."""
    index = frame.index
    if index.nlevels > 1:
        return _levels_to_columns(frame, options, notes)
    if index.name is None and index.dtype.kind in "iu":
        return frame, options
    is_time = index.dtype.kind in "mMf" or index.dtype.name.startswith("period")
    name = str(index.name or ("time" if is_time else "id"))
    if name in map(str, frame.columns):
        return frame, options
    return frame.reset_index(names=name), options


def _levels_to_columns(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> tuple[pd.DataFrame, ReadOptions]:
    """Levels of the row index as columns: one is the time, the others name series or channels."""
    index = frame.index
    count = index.nlevels
    names = [
        str(name) if name is not None else f"level_{k}"
        for k, name in enumerate(index.names)
    ]
    time = _time_level([index.get_level_values(k) for k in range(count)], names)
    if count == 2 and index.names[time] is None:
        names[time] = "time"
    if count == 2 and index.names[1 - time] is None:
        names[1 - time] = "id"
    others = [name for k, name in enumerate(names) if k != time]
    channels = [n for n in others if says_channel(n) and frame.shape[1] == 1]
    if options.channel is None and len(channels) == 1 and len(others) > 1:
        options = replace(options, channel=channels[0])
    ids = [name for name in others if name != options.channel]
    sentence = (
        f"of the levels of the row index, {names[time]!r} is the time and {listed(ids)}"
    )
    notes.append(likely(f"{sentence} names the series", "id=, time="))
    options = replace(
        options,
        layout=options.layout or "long",
        id=",".join(ids) if options.id is None else options.id,
        time=names[time] if options.time is None else options.time,
    )
    return frame.reset_index(names=names), options


def _time_level(levels: list[Any], names: list[str]) -> int:
    """The level of the times: dates, else one named so, else the last."""
    kinds = [level.dtype.kind for level in levels]
    if kinds.count("M") == 1:
        return kinds.index("M")
    named = [k for k, name in enumerate(names) if says_time(name)]
    return named[0] if len(named) == 1 else len(levels) - 1


def _flat_columns(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> tuple[pd.DataFrame, ReadOptions]:
    """Column names of one level: joined, or with the levels that name series moved to the rows."""
    names = [
        str(name) if name is not None else f"level_{k}"
        for k, name in enumerate(frame.columns.names)
    ]
    frame = frame.set_axis(frame.columns.set_names(names), axis=1)
    time = _steps_level(frame.columns)
    if time is not None and len(names) == 2 and not _rows_are_times(frame):
        if time == 0:
            frame = frame.swaplevel(axis=1)
        notes.append("column names with two levels: channel, then time")
        options = replace(options, layout=options.layout or "wide")
        return _numbered_columns(frame), options
    chosen = [n for n in (options.id or "").split(",") if n in names]
    if not chosen and options.layout != "recording" and options.id is None:
        chosen = _series_levels(frame, names)
    if not chosen:
        joined = [
            "_".join(str(part) for part in name if part != "") for name in frame.columns
        ]
        return frame.set_axis(joined, axis=1), options
    sentence = f"the level {listed(chosen)} of the column names is the series"
    notes.append(likely(sentence, "layout='recording'"))
    return _stacked(frame, chosen, options)


def _stacked(
    frame: pd.DataFrame, chosen: list[str], options: ReadOptions
) -> tuple[pd.DataFrame, ReadOptions]:
    """A long table in which levels of the column names are columns; rows are times."""
    index = frame.index
    is_count = index.nlevels == 1 and index.name is None and index.dtype.kind in "iu"
    time = "row" if is_count else str(index.names[0] or "time")
    long = frame.rename_axis(index=time).stack(chosen, future_stack=True)
    if long.ndim == 1:
        long = long.to_frame("value")
    if long.columns.nlevels > 1:
        joined = ["_".join(map(str, name)) for name in long.columns]
        long = long.set_axis(joined, axis=1)
    long = long.reset_index()
    options = replace(
        options, layout="long", id=",".join(chosen), time=options.time or time
    )
    return long.set_axis([str(name) for name in long.columns], axis=1), options


def _series_levels(frame: pd.DataFrame, names: list[str]) -> list[str]:
    """The levels that name series, by their names."""
    ids = [name for name in names if says_id(name)]
    if ids and len(ids) < len(names):
        return ids
    channels = [name for name in names if says_channel(name)]
    if len(channels) == 1:
        return [name for name in names if name not in channels]
    readings = [_level_reading(frame, name) for name in names]
    joined = ["_".join(map(str, name)) for name in frame.columns]
    rows = frame.head(3).to_numpy().tolist()
    whole = Reading(
        f"one series of {len(joined)} channels", {"layout": "recording"}, joined, rows
    )
    raise AmbiguousError(
        f"the column names have {len(names)} levels: {listed(names)}",
        [*readings, whole],
    )


def _level_reading(frame: pd.DataFrame, name: str) -> Reading:
    entries = frame.columns.get_level_values(name).unique().tolist()
    channels = frame.columns.droplevel(name).unique().tolist()
    sentence = f"{len(entries)} series of {len(channels)} channels"
    return Reading(
        sentence, {"id": name}, ["series"], [[entry] for entry in entries[:3]]
    )


def _steps_level(columns: Any) -> int | None:
    """The level of the column names that counts timesteps or holds dates."""
    for k in reversed(range(columns.nlevels)):
        level = columns.get_level_values(k)
        if level.dtype.kind in "iuM" or all(str(entry).isdigit() for entry in level):
            return k
    return None


def _rows_are_times(frame: pd.DataFrame) -> bool:
    index = frame.index
    if index.dtype.kind in "mM" or index.dtype.name.startswith("period"):
        return True
    return any(name is not None and says_time(str(name)) for name in index.names)


def _numbered_columns(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns (channel, time) as channel_0, channel_1, ..., in the order of the table."""
    counts: Counter[Any] = Counter()
    names = []
    for channel, time in frame.columns.tolist():
        names.append(str(channel) if time == "" else f"{channel}_{counts[channel]}")
        counts[channel] += 1
    return frame.set_axis(names, axis=1)


def _without_fillers(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> pd.DataFrame:
    """Without unnamed columns that are empty (a separator ends each line) or count the rows."""
    named = {options.id, options.time, options.label, *(options.values or ())}
    fillers = []
    for name in frame.columns:
        unnamed = name.startswith("Unnamed: ") and name not in named
        if unnamed and _holds_nothing(frame[name]):
            fillers.append(name)
    if fillers and len(fillers) < frame.shape[1]:
        notes.append("left out unnamed columns that are empty or only count the rows")
        return frame.drop(columns=fillers)
    return frame


def _holds_nothing(column: pd.Series[Any]) -> bool:
    if column.isna().all():
        return True
    if column.dtype.kind not in "iu":
        return False
    return bool((np.diff(column.to_numpy()) == 1).all())
