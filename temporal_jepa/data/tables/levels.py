"""Frames whose rows or columns have names of several levels, as plain tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...config import ReadOptions
from ..sequences import listed
from .names import says_channel, says_id, says_time
from .readings import AmbiguousError, Reading, likely
from .time_columns import candidates

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
    """Levels of the row index as columns: of the time, and of the names of series or channels."""
    names, times = _named_levels(frame.index, options)
    others = [name for name in names if name not in times]
    channel = options.channel
    if channel is None and frame.shape[1] == 1 < len(others):
        channel = _only(filter(says_channel, others))
    ids = [name for name in others if name != channel]
    sentence = f"of the levels of the row index, {listed(times)} is the time"
    if ids:
        sentence += f" and {listed(ids)} names the series"
    notes.append(likely(sentence, "id=, time="))
    return frame.reset_index(names=names), replace(
        options,
        layout=options.layout or ("long" if ids else None),
        channel=channel,
        id=",".join(ids) if options.id is None else options.id,
        time=",".join(times) if options.time is None else options.time,
    )


def _named_levels(
    index: pd.Index[Any], options: ReadOptions
) -> tuple[list[str], list[str]]:
    """The names of the levels of a row index, and those that are the time."""
    time = _time_level(index)
    usual = ["time", "id"] if time == 0 else ["id", "time"]
    names = _level_names(index, usual if index.nlevels == 2 else ())
    levels = index.to_frame(index=False, name=tuple(names))
    return names, _time_levels(levels, options) or [names[time]]


def _only(names: Iterable[str]) -> str | None:
    """The name, None if there is not exactly one."""
    found = list(names)
    return found[0] if len(found) == 1 else None


def _level_names(index: pd.Index[Any], usual: Sequence[str] = ()) -> list[str]:
    """The names of the levels; those without one have the usual name, or level_0, level_1, ...

    All are numbered so where two have one name.
    """
    numbered = [f"level_{k}" for k in range(index.nlevels)]
    pairs = zip(index.names, usual or numbered, strict=True)
    names = [other if name is None else str(name) for name, other in pairs]
    return names if len({*names}) == len(names) else numbered


def _time_levels(levels: pd.DataFrame, options: ReadOptions) -> list[str]:
    """Levels that are one time together: a date and a clock, or year, month and day."""
    options = replace(options, time=None)
    together = (t.names for t in candidates(levels, options) if len(t.names) > 1)
    return list(next(together, ()))


def _time_level(index: pd.Index[Any]) -> int:
    """The level of the times: dates, else one named so, else the last."""
    levels = range(index.nlevels)
    kinds = [index.get_level_values(k).dtype.kind for k in levels]
    if kinds.count("M") == 1:
        return kinds.index("M")
    named = [k for k in levels if says_time(str(index.names[k]))]
    return named[0] if len(named) == 1 else index.nlevels - 1


def _flat_columns(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> tuple[pd.DataFrame, ReadOptions]:
    """Column names of one level: joined, or with the levels that name series moved to the rows."""
    names = _level_names(frame.columns)
    frame = frame.set_axis(frame.columns.set_names(names), axis=1)
    time = _steps_level(frame.columns)
    if time is not None and len(names) == 2 and not _rows_are_times(frame):
        notes.append("column names with two levels: channel, then time")
        options = replace(options, layout=options.layout or "wide")
        return _numbered_columns(frame if time else frame.swaplevel(axis=1)), options
    chosen = _chosen_levels(frame, names, options)
    if not chosen:
        return frame.set_axis(_joined_names(frame), axis=1), options
    sentence = f"the level {listed(chosen)} of the column names is the series"
    notes.append(likely(sentence, "layout='recording'"))
    return _stacked(frame, chosen, options)


def _chosen_levels(
    frame: pd.DataFrame, names: list[str], options: ReadOptions
) -> list[str]:
    """The levels that name series: those of the option `id`, else by their names."""
    if options.id is not None:
        return [name for name in options.id.split(",") if name in names]
    if options.layout == "recording":
        return []
    return _series_levels(frame, names)


def _joined_names(frame: pd.DataFrame) -> list[str]:
    """The levels of each column name in one: Close_AA."""
    names = frame.columns.tolist()
    if frame.columns.nlevels == 1:
        return [str(name) for name in names]
    return ["_".join(str(part) for part in name if part != "") for name in names]


def _stacked(
    frame: pd.DataFrame, chosen: list[str], options: ReadOptions
) -> tuple[pd.DataFrame, ReadOptions]:
    """A long table in which levels of the column names are columns; rows are times."""
    index = frame.index
    is_count = index.nlevels == 1 and index.name is None and index.dtype.kind in "iu"
    time = "row" if is_count else str(index.names[0] or "time")
    stacked: Any = frame.rename_axis(index=time).stack(chosen, future_stack=True)
    long: pd.DataFrame = stacked.to_frame("value") if stacked.ndim == 1 else stacked
    long = long.set_axis(_joined_names(long), axis=1).reset_index()
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
    joined = _joined_names(frame)
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
    channels = frame.columns.to_frame(index=False).drop(columns=name).drop_duplicates()
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
    pairs: list[Any] = frame.columns.tolist()
    for channel, time in pairs:
        names.append(str(channel) if time == "" else f"{channel}_{counts[channel]}")
        counts[channel] += 1
    return frame.set_axis(names, axis=1)


def _without_fillers(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> pd.DataFrame:
    """Without unnamed columns that are empty or count the rows, and without empty rows."""
    named = {options.id, options.time, options.label, *(options.values or ())}
    fillers = []
    for name in frame.columns:
        unnamed = name.startswith("Unnamed: ") and name not in named
        if unnamed and _holds_nothing(frame[name]):
            fillers.append(name)
    if fillers and len(fillers) < frame.shape[1]:
        notes.append("left out unnamed columns that are empty or only count the rows")
        frame = frame.drop(columns=fillers)
    return _without_empty_rows(frame, notes)


def _holds_nothing(column: pd.Series[Any]) -> bool:
    if column.isna().all():
        return True
    if column.dtype.kind not in "iu":
        return False
    return bool((np.diff(column.to_numpy()) > 0).all())  # of rows that were kept


def _without_empty_rows(frame: pd.DataFrame, notes: list[str]) -> pd.DataFrame:
    """Without empty rows, where texts or times in the others tell rows apart.

    In a table of numbers alone such a row is a timestep without values.
    """
    filled = np.zeros(len(frame), dtype=bool)
    for k in range(frame.shape[1]):
        if filled.all():  # the first column often settles it
            return frame
        filled |= frame.iloc[:, k].notna().to_numpy()
    tells_apart = any(kind.kind not in "fiub" for kind in frame.dtypes)
    tells_apart = tells_apart or any(map(says_time, frame.columns))
    if filled.all() or not filled.any() or not tells_apart:
        return frame
    notes.append(f"{int((~filled).sum())} empty rows are left out")
    kept: pd.DataFrame = frame.loc[filled]
    return kept
