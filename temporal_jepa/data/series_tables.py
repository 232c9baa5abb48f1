"""Tables to series.

Three layouts: wide (one series per row), long (one timestep per row of a named series), recording
(all rows are one series).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import ReadOptions
from .arrays import trim
from .delimited import IDS, LABELS, TIMES, is_recording
from .sequences import Array, Sequences, as_text, did_you_mean, listed
from .times import check_times, is_dates
from .times import read_column as read_times

if TYPE_CHECKING:
    import pandas as pd

LAYOUTS = ("wide", "long", "recording", "tracks", "scene")
VALUE_LIKE = ("target", "y")  # forecasting tables call their value so
NUMBERED = re.compile(r"(.*?)[\s_.-]?(\d+)")
CHANNEL_LIKE = {
    "ch",
    "channel",
    "sensor",
    "feature",
    "var",
    "dim",
    "x",
    "y",
    "z",
    "v",
    "signal",
}
PLAIN = {"t", "time", "step", "timestep", "value"}


class MissingColumnError(ValueError):
    """An option names a column that the table does not have.

    Args:
        message: what was expected and found.
        option: the option: "id", "time", "label" or "values".
    """

    def __init__(self, message: str, option: str) -> None:
        super().__init__(message)
        self.option = option


@dataclass
class Roles:
    """The columns of id, time and label, and all columns that hold no values (`reserved`)."""

    id: str | None
    time: str | None
    label: str | None
    reserved: set[str | None]


def from_frame(
    frame: pd.DataFrame,
    options: ReadOptions,
    source: str = "frame",
    notes: Iterable[str] = (),
) -> Sequences:
    """The series of a table. What `options` leave open is inferred, and each inference is a note.

    A frame with a row index (id, time) is long, one with column names (channel, time) is wide.

    Raises:
        ValueError: for text among values, duplicate or missing times, a label that changes within
            a series, columns that do not exist, and a table without rows or columns of numbers.
    """
    lines = list(notes)
    frame, options = tidy(frame, options, lines)
    roles = find_roles(frame, options)
    layout = options.layout or _layout(frame, options, roles)
    if layout == "wide":
        return _wide(frame, options, roles, source, lines)
    if layout == "recording":
        roles.id = options.id or None
    elif roles.id is None:
        raise ValueError(
            "layout long needs a column that names the series; choose id=COLUMN, one of "
            f"{listed(frame.columns)}"
        )
    return _long(frame, options, roles, source, lines)


def tidy(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> tuple[pd.DataFrame, ReadOptions]:
    """A frame whose columns have text names, and the options that its levels of names imply.

    A row index that is more than a count becomes columns; unnamed columns that hold nothing go.

    Raises:
        ValueError: for an empty table, two columns of the same name, and columns that do not exist.
    """
    frame, options = _index_to_columns(frame, options, notes)
    if frame.columns.nlevels == 2:
        frame = _one_level_of_names(frame)
        options = replace(options, layout=options.layout or "wide")
        notes.append("column names with two levels: channel, then time")
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    if not frame.size:
        raise ValueError(f"the table has no {'columns' if len(frame) else 'rows'}")
    _check_columns(frame, options)
    return _without_fillers(frame, options, notes), options


def _index_to_columns(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> tuple[pd.DataFrame, ReadOptions]:
    """The row index as columns, unless it only counts: two levels are id and time."""
    index = frame.index
    if index.nlevels == 2:
        id = str(index.names[0] or "id")
        time = str(index.names[1] or "time")
        notes.append(
            f"row index with two levels: {id!r} names the series, {time!r} is the time"
        )
        options = replace(options, layout=options.layout or "long", id=options.id or id)
        if options.time is None:
            options = replace(options, time=time)
        return frame.reset_index(names=[id, time]), options
    if index.name is None and index.dtype.kind in "iu":
        return frame, options
    name = str(index.name or ("time" if index.dtype.kind == "M" else "id"))
    if name not in frame.columns:
        frame = frame.reset_index(names=name)
    return frame, options


def _one_level_of_names(frame: pd.DataFrame) -> pd.DataFrame:
    """Columns (channel, time) as channel_0, channel_1, ..., in the order of the table."""
    counts: Counter[Any] = Counter()
    names = []
    for name in frame.columns:
        channel, time = tuple(name)
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
        if (
            name.startswith("Unnamed: ")
            and name not in named
            and _holds_nothing(frame[name])
        ):
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


def _check_columns(frame: pd.DataFrame, options: ReadOptions) -> None:
    if not frame.columns.is_unique:
        repeated = listed(frame.columns[frame.columns.duplicated()])
        raise ValueError(f"several columns have the same name: {repeated}")
    if options.layout not in (None, *LAYOUTS):
        raise ValueError(
            f"expected one of the layouts {', '.join(LAYOUTS)} for a table, got {options.layout!r}"
        )
    named = [("id", options.id), ("time", options.time), ("label", options.label)]
    named += [("values", name) for name in options.values or ()]
    for option, name in named:
        if name and name not in frame.columns:
            raise MissingColumnError(
                f"{option} names a column {name!r} that does not exist, got the columns "
                f"{listed(frame.columns)}{did_you_mean(name, frame.columns)}",
                option,
            )


def find_roles(frame: pd.DataFrame, options: ReadOptions) -> Roles:
    """The part of each column: what `options` name, else what its name and values suggest."""
    likely_time = find_time(frame)
    time = _chosen(options.time, likely_time)
    likely_label = find_label(list(frame.columns), time)
    if likely_label in (options.values or ()):
        likely_label = None
    label = _chosen(options.label, likely_label)
    ids = find_ids(frame, time)
    ident = _chosen(options.id, next(iter(ids), None))
    reserved = {ident, time, label, likely_time, *ids}
    if options.label == "":
        reserved.add(likely_label)
    return Roles(ident, time, label, reserved)


def _chosen(option: str | None, likely: str | None) -> str | None:
    """The column that an option names, None where it is "", the likely one where it is not set."""
    return likely if option is None else option or None


def _layout(frame: pd.DataFrame, options: ReadOptions, roles: Roles) -> str:
    """Long when an id repeats, wide when most columns of numbers are numbered, else recording."""
    if roles.id is not None and frame[roles.id].duplicated().any():
        return "long"
    steps = _numbered(_candidates(frame, options, roles))
    count = sum(map(len, steps.values()))
    numeric = frame.select_dtypes(["number", "bool"]).shape[1]
    if roles.time is not None or count < 2 or 2 * count < numeric:
        return "recording"
    return "wide" if _is_wide(frame, options, steps) else "recording"


def _is_wide(
    frame: pd.DataFrame, options: ReadOptions, steps: dict[str, list[str]]
) -> bool:
    """Whether numbered columns are the timesteps of series, not the channels of a recording."""
    channel = next(iter(steps))
    count = sum(map(len, steps.values()))
    if (
        len(steps) == 1 and count < 5 and channel.lower() in CHANNEL_LIKE
    ):  # ch1, ch2, ch3
        return False
    if options.label is not None or count < frame.shape[1] or len(steps) > 1:
        return True
    if channel == "value" and not frame.columns[0].isdigit():  # t0, t1, ...
        return True
    return not is_recording(*frame.shape)


def _candidates(frame: pd.DataFrame, options: ReadOptions, roles: Roles) -> list[str]:
    """The columns that may hold values: those that `options` name, else all but the reserved."""
    if options.values:
        return list(filter(None, options.values))
    return [name for name in frame.columns if name not in roles.reserved]


def find_time(frame: pd.DataFrame) -> str | None:
    """The column of times: by its name, else the first of dates."""
    names = list(frame.columns)
    for usual in TIMES:
        for name in names:
            if name.lower() == usual:
                return name
    for name in names:
        if frame[name].dtype.kind == "M":
            return name
    for name in names:
        if name.lower() not in LABELS and is_dates(frame[name]):
            return name
    return None


def find_label(names: list[str], time: str | None) -> str | None:
    """The column that is named like a label; y beside x is a coordinate."""
    by_lower = {name.lower(): name for name in names if name != time}
    for usual in LABELS:
        if usual in by_lower and not (usual == "y" and "x" in by_lower):
            return by_lower[usual]
    return None


def find_ids(frame: pd.DataFrame, time: str | None) -> list[str]:
    """Columns named like ids.

    First those whose times never repeat, then those that name several rows, then the others.
    """
    names = [n for n in frame.columns if n != time and IDS.fullmatch(n)]

    def rank(name: str) -> int:
        if not frame[name].duplicated().any():
            return 2
        unique = time is not None and not frame.duplicated([name, time]).any()
        return 0 if unique else 1

    return sorted(names, key=rank)


def _numbered(names: Iterable[str]) -> dict[str, list[str]]:
    """Numbered columns by channel, in the order of their numbers: t0, t1, ... or x_0, x_1, y_0, ...

    The channels are those that have as many numbers as any; none if these are fewer than two.
    """
    groups: dict[str, dict[int, str]] = {}
    for name in names:
        match = NUMBERED.fullmatch(name)
        if match:
            groups.setdefault(match[1], {})[int(match[2])] = name
    largest = max(groups.values(), key=len, default={})
    if len(largest) < 2:
        return {}
    steps = {}
    for prefix, group in groups.items():
        if group.keys() == largest.keys():
            steps[prefix or "value"] = [group[number] for number in sorted(group)]
    if len(steps) == 1 and next(iter(steps)).lower() in PLAIN:
        return {"value": next(iter(steps.values()))}
    return steps


def _is_numeric(column: pd.Series[Any]) -> bool:
    return column.dtype.kind in "fiub"


def _parsed(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column as numbers, NaN where it holds text."""
    import pandas as pd

    if _is_numeric(column):
        return column
    return pd.to_numeric(column.astype(str), errors="coerce")


def numeric_only(frame: pd.DataFrame, names: list[str]) -> list[str]:
    """These columns without those of text and dates.

    A column with more numbers than text stays, so that the text in it is reported.
    """
    kept = []
    for name in names:
        column = frame[name]
        if column.dtype.kind in "mM":
            continue
        count = column.notna().sum()
        if not count or 2 * _parsed(column).notna().sum() > count:
            kept.append(name)
    return kept


def as_matrix(frame: pd.DataFrame, names: list[str]) -> Array:
    """The columns as ``(rows, columns)`` float64; ValueError for a cell that is no number."""
    columns = frame[names]
    parsed = columns.apply(_parsed)
    wrong = np.argwhere((parsed.isna() & columns.notna()).to_numpy())
    if len(wrong):
        row, k = wrong[0]
        raise ValueError(
            f"column {names[k]!r} holds {columns.iat[row, k]!r} in data row {row + 1}, expected a "
            f"number ({len(wrong)} such fields); leave a field empty where the value is missing, "
            "or leave the column out with values="
        )
    return parsed.to_numpy(dtype=np.float64, na_value=np.nan, copy=True)


def _wide(
    frame: pd.DataFrame,
    options: ReadOptions,
    roles: Roles,
    source: str,
    notes: list[str],
) -> Sequences:
    """A series from each row."""
    if roles.id is not None and not options.id and frame[roles.id].duplicated().any():
        roles.id = None
    candidates = _candidates(frame, options, roles)
    steps = _numbered(candidates)
    if not steps:
        steps = {
            "value": candidates if options.values else numeric_only(frame, candidates)
        }
    values = [name for columns in steps.values() for name in columns]
    length = len(values) // len(steps)
    notes.append(f"layout wide: each row is a series of {length} timesteps")
    roles.time = None
    _explain(frame, roles, list(steps), values, notes)
    cube = as_matrix(frame, values).reshape(len(frame), len(steps), length)
    series, trimmed = trim([x.T for x in cube])
    labels = None
    if roles.label is not None:
        labels = np.array(as_texts(frame, roles.label, "label"))
    return Sequences(
        series,
        labels=labels,
        ids=[] if roles.id is None else as_texts(frame, roles.id, "id"),
        channels=list(steps),
        source=source,
        notes=(*notes, *trimmed),
    )


def _long(
    frame: pd.DataFrame,
    options: ReadOptions,
    roles: Roles,
    source: str,
    notes: list[str],
) -> Sequences:
    """Rows to series by id, in the order in which the ids first appear, each sorted by time."""
    values = _candidates(frame, options, roles)
    if not options.values:
        values = numeric_only(frame, values)
    if roles.label is not None and options.label is None:
        _settle_label(frame, roles, values, notes)
    line = "layout recording: one recording, rows are time"
    if roles.id is not None:
        line = f"layout long: column {roles.id!r} names the series"
    if roles.time is not None:
        line += f", column {roles.time!r} is the time"
    notes.append(line)
    _explain(frame, roles, values, values, notes)
    matrix = as_matrix(frame, values)
    codes, names = series_codes(frame, roles.id, Path(source).stem)
    labels = None
    if roles.label is not None:
        labels = series_labels(frame, codes, names, roles.label)
    order = np.argsort(codes, kind="stable")
    times = None
    if roles.time is not None:
        clock = read_times(frame[roles.time], notes)
        by_time = np.lexsort((clock, codes))
        moved = int((by_time != order).sum())
        if moved:
            notes.append(
                f"{moved} rows were not in the order of {roles.time!r} and were sorted"
            )
        order = by_time
        times = clock[order]
        check_times(times, codes[order], order, names, notes)
    cuts = np.flatnonzero(np.diff(codes[order])) + 1
    return Sequences(
        np.split(matrix[order], cuts),
        labels=labels,
        ids=names,
        channels=values,
        times=None if times is None else np.split(times, cuts),
        source=source,
        notes=tuple(notes),
    )


def _settle_label(
    frame: pd.DataFrame,
    roles: Roles,
    values: list[str],
    notes: list[str],
) -> None:
    """A label that was inferred and changes in time is a channel if it is named so (target, y).

    Others that change along a recording are left out.
    """
    label = roles.label
    codes, _ = series_codes(frame, roles.id, "")
    classes = frame[label].groupby(codes).nunique(dropna=False)
    changes = bool((classes > 1).any())
    is_value = str(label).lower() in VALUE_LIKE and _is_numeric(frame[label])
    if is_value and changes:
        values.append(str(label))
        notes.append(
            f"column {label!r} is a channel, not a label (label={label} if it is one)"
        )
        roles.label = None
    elif changes and roles.id is None:
        notes.append(f"column {label!r} changes along the recording and is left out")
        roles.label = None


def _explain(
    frame: pd.DataFrame,
    roles: Roles,
    channels: list[str],
    values: list[str],
    notes: list[str],
) -> None:
    """Notes on the part of each column; ValueError when no column holds values."""
    if not values:
        raise ValueError(
            "expected a column of numbers besides id, time and label, got "
            f"{listed(frame.columns)}; name the columns to learn from with values=A,B"
        )
    if roles.label is not None:
        notes.append(f"label: column {roles.label!r}")
    notes.append(f"channels: {listed(channels)}")
    used = {roles.id, roles.time, roles.label, *values}
    unused = [name for name in frame.columns if name not in used]
    if unused:
        notes.append(f"columns left out: {listed(unused)}")


def series_codes(
    frame: pd.DataFrame, id: str | None, alone: str
) -> tuple[Array, list[str]]:
    """The number of the series of each row, in order of appearance, and the names of the series.

    Without a column `id` all rows are one series, named `alone`.
    """
    import pandas as pd

    if id is None:
        return np.zeros(len(frame), dtype=np.int64), [alone]
    codes, names = pd.factorize(np.array(as_texts(frame, id, "id"), dtype=object))
    return codes, names.tolist()


def as_texts(frame: pd.DataFrame, name: str, option: str) -> list[str]:
    """An id or label column as text, "3" for 3.0; ValueError where it is empty."""
    column = frame[name]
    empty = np.flatnonzero(column.isna())
    if empty.size:
        raise ValueError(
            f"column {name!r} is empty (or reads NA, None, ...) in {empty.size} rows, the first "
            f"is data row {empty[0] + 1}; fill it, or choose {option}='' for none"
        )
    return [as_text(value) for value in column.tolist()]


def series_labels(
    frame: pd.DataFrame,
    codes: Array,
    names: list[str],
    label: str,
) -> Array:
    """The label of each series ``(n,)``; ValueError when it changes within one.

    codes: the number of the series of each row, counted up in order of appearance.
    """
    texts = np.array(as_texts(frame, label, "label"))
    first = texts[np.unique(codes, return_index=True)[1]]
    wrong = np.flatnonzero(texts != first[codes])
    if wrong.size:
        row = wrong[0]
        series = codes[row]
        raise ValueError(
            f"expected one label in each series, but column {label!r} changes within "
            f"series {names[series]!r}: {str(first[series])!r}, then {str(texts[row])!r} in data "
            f"row {row + 1}; name another column with label=, or choose label='' for none"
        )
    return first
