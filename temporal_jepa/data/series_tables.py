"""Tables to series: wide (a row is a series), long (a row is a timestep of a named series), or one recording."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..config import ReadOptions
from .arrays import trim
from .delimited import IDS, LABELS, TIMES, is_recording
from .sequences import Sequences, listed, moment

if TYPE_CHECKING:
    import pandas as pd

LAYOUTS = ("wide", "long", "recording", "tracks", "scene")
VALUE_LIKE = ("target", "y")  # forecasting tables call their value so
NUMBERED = re.compile(r"(.*?)[\s_.-]?(\d+)")
CHANNEL_LIKE = {"ch", "channel", "sensor", "feature", "var", "dim", "x", "y", "z", "v", "signal"}
PLAIN = {"", "t", "time", "step", "timestep", "value", "v"}


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
class _Plan:
    """What each column is for; `steps` are the columns of each channel in time order (wide only)."""

    layout: str
    id: str | None
    time: str | None
    label: str | None
    values: list[str]
    steps: dict[str, list[str]]
    notes: list[str]


def from_frame(
    frame: pd.DataFrame, options: ReadOptions, source: str = "frame", notes: Iterable[str] = ()
) -> Sequences:
    """The series of a table; what `options` leave open is inferred, and each inference is a note.

    A frame with a (id, time) row index is long, one with (channel, time) column names is wide.
    Raises ValueError for text among values, duplicate or missing times, labels that change within a series, columns
    that do not exist, and a table without rows or without a column of numbers.
    """
    lines = list(notes)
    frame, options = tidy(frame, options, source, lines)
    plan = _plan(frame, options, source, lines)
    return (_wide if plan.layout == "wide" else _long)(frame, plan, source)


def tidy(
    frame: pd.DataFrame, options: ReadOptions, source: str, notes: list[str]
) -> tuple[pd.DataFrame, ReadOptions]:
    """The frame with text column names, its index a column if it means something; ValueError for absent columns."""
    frame, options = _flat(frame, options, notes)
    if not frame.size:
        raise ValueError(f"{source}: the table has no {'columns' if len(frame) else 'rows'}")
    frame = _without_unnamed(frame, options, notes)
    _check_columns(frame, options, source)
    return frame, options


def _flat(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> tuple[pd.DataFrame, ReadOptions]:
    """The frame with plain text column names, its index moved into columns when it means something."""
    import pandas as pd

    index = frame.index
    if index.nlevels == 2 and frame.columns.nlevels == 1:
        names = [
            str(n) if n is not None else d for n, d in zip(index.names, ("id", "time"), strict=True)
        ]
        frame = frame.reset_index(names=names)
        time = names[1] if options.time is None else options.time
        options = replace(
            options, layout=options.layout or "long", id=options.id or names[0], time=time
        )
        notes.append(
            f"row index with two levels: {names[0]!r} names the series, {names[1]!r} is the time"
        )
    elif (
        isinstance(index, pd.DatetimeIndex)
        or index.name is not None
        or index.dtype.kind not in "iu"
    ):
        name = (
            str(index.name)
            if index.name is not None
            else "time"
            if isinstance(index, pd.DatetimeIndex)
            else "id"
        )
        if name not in frame.columns:
            frame = frame.reset_index(names=name)
    if frame.columns.nlevels == 2:
        tops, subs = (frame.columns.get_level_values(level) for level in (0, 1))
        at = (
            tops.to_series().groupby(tops, sort=False).cumcount()
        )  # the order in the table is the order in time
        names = [
            str(top) if sub == "" else f"{top}_{k}"
            for top, sub, k in zip(tops, subs, at, strict=True)
        ]
        options = replace(options, layout=options.layout or "wide")
        notes.append("column names with two levels: channel, then time")
        frame = frame.set_axis(names, axis=1)
    return frame.set_axis([str(name) for name in frame.columns], axis=1), options


def _without_unnamed(frame: pd.DataFrame, options: ReadOptions, notes: list[str]) -> pd.DataFrame:
    """Without unnamed columns that are empty (a separator at the end of each line) or count the rows (an index)."""
    unnamed = [
        n for n in frame.columns if n.startswith("Unnamed: ") and n not in vars(options).values()
    ]
    counts = [
        n
        for n in unnamed
        if frame[n].dtype.kind in "iu" and (np.diff(frame[n].to_numpy()) == 1).all()
    ]
    empty = [n for n in unnamed if frame[n].isna().all()]
    if empty or (counts and frame.shape[1] > 1):
        notes.append("left out unnamed columns that are empty or only count the rows")
        return frame.drop(columns=[*counts, *empty])
    return frame


def _check_columns(frame: pd.DataFrame, options: ReadOptions, source: str) -> None:
    if not frame.columns.is_unique:
        twice = listed(frame.columns[frame.columns.duplicated()])
        raise ValueError(f"{source}: several columns have the same name: {twice}")
    if options.layout not in (None, *LAYOUTS):
        raise ValueError(
            f"{source}: expected layout {', '.join(LAYOUTS[:-1])} or {LAYOUTS[-1]} for a table, got {options.layout!r}"
        )
    named = {"id": options.id, "time": options.time, "label": options.label}
    for role, name in [*named.items(), *(("values", v) for v in options.values or ())]:
        if name and name not in frame.columns:
            near = difflib.get_close_matches(name, map(str, frame.columns), 1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise MissingColumnError(
                f"{source}: {role} names a column {name!r} that does not exist; {hint}the columns "
                f"are {listed(frame.columns)}",
                role,
            )


def _plan(frame: pd.DataFrame, options: ReadOptions, source: str, notes: list[str]) -> _Plan:
    """Decide the layout and the part of each column."""
    names = [str(name) for name in frame.columns]
    guessed = {"time": find_time(frame)}
    time = guessed["time"] if options.time is None else options.time or None
    guessed["label"] = find_label(names, time)
    label = guessed["label"] if options.label is None else options.label or None
    ids = find_ids(frame, time)
    guessed["id"] = ids[0] if ids else None
    ident = guessed["id"] if options.id is None else options.id or None
    repeated = ident is not None and bool(frame[ident].duplicated().any())
    numbered = _steps([n for n in names if n not in (ident, time, label)], options.values)
    layout = options.layout or _layout(frame, options, time, numbered, repeated)
    if layout == "long" and ident is None:
        raise ValueError(
            f"{source}: layout long needs a column that names the series; say id=COLUMN, one of "
            f"{listed(names)}"
        )
    spent = {ident, time, label} | {
        name for role, name in guessed.items() if vars(options)[role] == ""
    }
    if layout == "recording" or (layout == "wide" and repeated and options.id is None):
        ident = options.id or None
    rest = [n for n in names if n not in spent] if options.values is None else list(options.values)
    if layout == "wide":
        steps = _steps(rest, options.values, wide=True) or {
            "value": rest if options.values else numeric_only(frame, rest)
        }
        plan = _Plan(
            layout, ident, None, label, [n for group in steps.values() for n in group], steps, notes
        )
    else:
        if options.values is None:  # other ids, and counters of rows, are no measurements
            rest = numeric_only(frame, [n for n in rest if n not in ids] or rest)
        plan = _Plan(layout, ident, time, label, rest, {}, notes)
        if options.label is None and label is not None and label not in rest:
            _settle_label(frame, plan, label)
    if not plan.values:
        texts = [f"{n} ({frame[n].iloc[0]!r})" for n in names if n not in spent]
        raise ValueError(
            f"{source}: expected at least one column of numbers to learn from, got only "
            f"{listed(texts) or 'id, time and label columns'}; name them with values=A,B"
        )
    _explain(plan, names)
    return plan


def _layout(
    frame: pd.DataFrame,
    options: ReadOptions,
    time: str | None,
    steps: dict[str, list[str]],
    repeated: bool,
) -> str:
    if repeated:
        return "long"
    many = sum(map(len, steps.values()))
    if time is not None or many < 2 or 2 * many < sum(_is_numeric(frame[n]) for n in frame.columns):
        return "recording"
    told = (
        many < frame.shape[1]
        or len(steps) > 1
        or ("value" in steps and not str(frame.columns[0]).isdigit())
    )
    return (
        "wide"
        if told or options.label is not None or not is_recording(*frame.shape)
        else "recording"
    )


def _settle_label(frame: pd.DataFrame, plan: _Plan, label: str) -> None:
    """A guessed label that changes in time is a value if its name allows (target, y), else left out of recordings."""
    owner = np.zeros(len(frame)) if plan.id is None else frame[plan.id]
    changes = bool((frame[label].groupby(owner).nunique(dropna=False) > 1).any())
    if label.lower() in VALUE_LIKE and _is_numeric(frame[label]) and (changes or not plan.values):
        plan.values.append(label)
        plan.notes.append(
            f"column {label!r} is a channel, not a label (label={label} if it is one)"
        )
        plan.label = None
    elif changes and plan.id is None:
        plan.notes.append(f"column {label!r} changes along the recording and is left out")
        plan.label = None


def _explain(plan: _Plan, names: list[str]) -> None:
    steps = len(next(iter(plan.steps.values()), ()))
    line = {
        "wide": f"each row is a series of {steps} timesteps",
        "recording": "one recording, rows are time"
        if plan.id is None
        else f"one recording for each {plan.id!r}",
        "long": f"column {plan.id!r} names the series",
    }[plan.layout]
    plan.notes.append(
        f"layout {plan.layout}: {line}"
        + (f", column {plan.time!r} is the time" if plan.time else "")
    )
    if plan.label is not None:
        plan.notes.append(f"label: column {plan.label!r}")
    plan.notes.append(f"channels: {listed(list(plan.steps) or plan.values)}")
    if unused := [n for n in names if n not in (plan.id, plan.time, plan.label, *plan.values)]:
        plan.notes.append(f"columns left out: {listed(unused)}")


def find_time(frame: pd.DataFrame) -> str | None:
    """The column of times: by its name, else the first of dates."""
    names = [str(n) for n in frame.columns]
    known = [n for want in TIMES for n in names if n.lower() == want]
    dates = [n for n in names if frame[n].dtype.kind == "M"]
    texts = (
        n
        for n in names
        if not _is_numeric(frame[n]) and n.lower() not in LABELS and _is_dates(frame[n])
    )
    return next(iter([*known, *dates]), None) or next(texts, None)


def _is_dates(column: pd.Series[Any]) -> bool:
    some = column.dropna().head(20)
    if not len(some) or not all(isinstance(v, str) and re.search(r"\d[-/.:T]\d", v) for v in some):
        return False
    return bool(_dates(some)[0].notna().all())


def find_label(names: list[str], time: str | None) -> str | None:
    """The column that is named like a label."""
    lower = {n.lower(): n for n in names if n != time}
    return next(
        (lower[n] for n in LABELS if n in lower and not (n == "y" and "x" in lower)), None
    )  # x, y: a place


def find_ids(frame: pd.DataFrame, time: str | None) -> list[str]:
    """Columns named like ids; first those whose times never repeat, then those that name several rows."""
    names = [str(n) for n in frame.columns if n != time and IDS.fullmatch(str(n))]
    many = [n for n in names if frame[n].duplicated().any()]
    clean = [n for n in many if time is not None and not frame.duplicated([n, time]).any()]
    return list(dict.fromkeys([*clean, *many, *names]))


def _steps(
    names: list[str], values: tuple[str, ...] | None, wide: bool = False
) -> dict[str, list[str]]:
    """Numbered columns by channel, in the order of their numbers: t0, t1, ... or x_0, x_1, ..., y_0, y_1, ..."""
    groups: dict[str, dict[int, str]] = {}
    for name in names if values is None else values:
        if match := NUMBERED.fullmatch(name):
            groups.setdefault(match[1], {})[int(match[2])] = name
    numbers = next(
        (set(g) for g in groups.values() if len(g) == max(map(len, groups.values()))), set()
    )
    kept = {prefix: group for prefix, group in groups.items() if set(group) == numbers}
    if len(numbers) < 2 or (
        not wide and len(numbers) < 5 and len(kept) == 1 and {*map(str.lower, kept)} < CHANNEL_LIKE
    ):
        return {}  # ch1, ch2, ch3 are channels of a recording
    plain = len(kept) == 1 and next(iter(kept)).lower() in PLAIN
    return {
        "value" if plain else prefix or "value": [group[k] for k in sorted(group)]
        for prefix, group in kept.items()
    }


def _is_numeric(column: pd.Series[Any]) -> bool:
    return column.dtype.kind in "fiub"


def _parsed(column: pd.Series[Any]) -> pd.Series[Any]:
    import pandas as pd

    return column if _is_numeric(column) else pd.to_numeric(column.astype(str), errors="coerce")


def numeric_only(frame: pd.DataFrame, names: list[str]) -> list[str]:
    """These columns without text and dates; a column with more numbers than text stays, to be reported."""
    known = {n: int(frame[n].notna().sum()) for n in names if frame[n].dtype.kind not in "mM"}
    return [
        n for n, count in known.items() if not count or 2 * _parsed(frame[n]).notna().sum() > count
    ]


def as_matrix(frame: pd.DataFrame, names: list[str], source: str) -> npt.NDArray[np.float64]:
    """The columns as ``(rows, columns)`` float64; ValueError for the first cell that is no number."""
    out = np.empty((len(frame), len(names)))
    for k, name in enumerate(names):
        column = frame[name]
        parsed = _parsed(column)
        if (wrong := np.flatnonzero(parsed.isna() & column.notna())).size:
            raise ValueError(
                f"{source}: column {name!r} holds {wrong.size} values that are no numbers, the first "
                f"{column.iloc[wrong[0]]!r} in data row {wrong[0] + 1}; leave the field empty where "
                f"it is missing, or leave the column out with values="
            )
        out[:, k] = parsed.to_numpy(dtype=np.float64, na_value=np.nan)
    return out


def _wide(frame: pd.DataFrame, plan: _Plan, source: str) -> Sequences:
    steps = len(next(iter(plan.steps.values())))
    cube = as_matrix(frame, plan.values, source).reshape(len(frame), len(plan.steps), steps)
    if (blank := np.flatnonzero(np.isnan(cube).all(axis=(1, 2)))).size:
        raise ValueError(
            f"{source}: {blank.size} rows hold no value, a series of length zero; the first is data row "
            f"{blank[0] + 1}"
        )
    ids = [] if plan.id is None else as_texts(frame, plan.id, "id", source)
    labels = None if plan.label is None else np.array(as_texts(frame, plan.label, "label", source))
    with np.errstate(over="ignore"):  # what does not fit becomes inf, which Sequences reports
        values, trimmed = trim([x.T for x in cube.astype(np.float32)])
    return Sequences(
        values, labels, ids, list(plan.steps), source=source, notes=(*plan.notes, *trimmed)
    )


def _long(frame: pd.DataFrame, plan: _Plan, source: str) -> Sequences:
    """Rows to series by id, in the order in which the ids first appear, each sorted by time."""
    import pandas as pd

    matrix = as_matrix(frame, plan.values, source)
    names = [Path(source).stem]
    codes = np.zeros(len(frame), dtype=np.int64)
    if plan.id is not None:
        codes, uniques = pd.factorize(
            np.array(as_texts(frame, plan.id, "id", source), dtype=object)
        )
        names = [str(name) for name in uniques]
    order = np.argsort(codes, kind="stable")
    times = None
    if plan.time is not None:
        clock = read_times(frame[plan.time], plan.notes, source)
        in_time = np.lexsort((clock, codes))
        if moved := int((in_time != order).sum()):
            plan.notes.append(
                f"{moved} rows were not in the order of {plan.time!r} and were sorted"
            )
        order = in_time
        times = clock[in_time]
        _check_times(times, codes[order], order, names, plan, source)
    labels = None if plan.label is None else series_labels(frame, codes, names, plan.label, source)
    cuts = np.flatnonzero(np.diff(codes[order])) + 1
    with np.errstate(over="ignore"):
        values = np.split(matrix[order].astype(np.float32), cuts)
    clocks = None if times is None else np.split(times, cuts)
    return Sequences(values, labels, names, plan.values, clocks, source, tuple(plan.notes))


def as_texts(frame: pd.DataFrame, name: str, option: str, source: str) -> list[str]:
    """An id or label column as text, "3" for 3.0; ValueError where it is empty."""
    column = frame[name]
    if (empty := np.flatnonzero(column.isna())).size:
        raise ValueError(
            f"{source}: column {name!r} is empty (or reads NA, None, ...) in {empty.size} rows, the first "
            f"is data row {empty[0] + 1}; fill it, or say {option}='' to do without"
        )
    return [
        str(int(v)) if isinstance(v, float) and v.is_integer() else str(v) for v in column.tolist()
    ]


def series_labels(
    frame: pd.DataFrame, codes: npt.NDArray[Any], names: list[str], label: str, source: str
) -> npt.NDArray[np.str_]:
    """The label of each series `(n,)`; ValueError when it changes within one. codes: the series of each row."""
    texts = np.array(as_texts(frame, label, "label", source))
    first = texts[np.unique(codes, return_index=True)[1]]  # codes count up in order of appearance
    if (wrong := np.flatnonzero(texts != first[codes])).size:
        i = codes[wrong[0]]
        raise ValueError(
            f"{source}: expected one label in each series, but column {label!r} changes within series "
            f"{names[i]!r}: {str(first[i])!r}, then {str(texts[wrong[0]])!r} in data row {wrong[0] + 1}; "
            f"name another column with label=, or say label='' for none"
        )
    return first


def _dates(column: pd.Series[Any]) -> tuple[pd.Series[Any], str]:
    """Times (UTC) in the reading that understands the most rows, NaT where it fails; and which part came first."""
    import pandas as pd

    readings: list[dict[str, Any]] = [{"format": "ISO8601"}, {}, {"dayfirst": True}]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # pandas: the format could not be inferred, or dayfirst is ignored
        parsed = [
            pd.to_datetime(column, errors="coerce", utc=True, **how).dt.tz_localize(None)
            for how in readings
        ]
    best = int(np.argmax([times.notna().sum() for times in parsed]))
    return parsed[best], ("year", "month", "day")[best]


def read_times(column: pd.Series[Any], notes: list[str], source: str) -> npt.NDArray[Any]:
    """A time column as int64, float64 or datetime64[ns] (UTC); ValueError where it is missing or no time."""
    if column.dtype.kind == "m":
        column = column.dt.total_seconds()
    times, first = (column, "") if _is_numeric(column) else _dates(column)
    offset = r":\d\d.*(?:Z|[+-]\d\d:?\d\d)$"
    offsets = (
        int(column.astype(str).str.contains(offset).sum())
        if first and column.dtype.kind == "O"
        else 0
    )
    if 0 < offsets < len(column):
        notes.append(
            f"{len(column) - offsets} times in {column.name!r} have no offset from UTC: taken as UTC"
        )
    if first and re.match(r"\d{1,2}[-/. ]\d", str(column.iloc[0])):
        notes.append(f"dates in {column.name!r} are read with the {first} first")
    if (wrong := np.flatnonzero(times.isna())).size:
        raise ValueError(
            f"{source}: column {column.name!r} holds {wrong.size} rows that are no time, the first "
            f"{column.iloc[wrong[0]]!r} in data row {wrong[0] + 1}; say time='' to go by the order of the "
            f"rows"
        )
    if (
        times.dtype.kind in "iu" and times.max() < 2**63
    ):  # nanoseconds since 1970 do not fit float64
        return times.to_numpy(dtype=np.int64)
    return times.to_numpy(dtype=np.float64 if _is_numeric(times) else "datetime64[ns]")


def _check_times(
    times: npt.NDArray[Any],
    codes: npt.NDArray[Any],
    rows: npt.NDArray[Any],
    names: list[str],
    plan: _Plan,
    source: str,
) -> None:
    """ValueError for two rows at one time; a note when steps are not equal. Everything is in sorted order."""
    same = codes[1:] == codes[:-1]
    steps = np.diff(times).astype(np.float64)
    if (twice := np.flatnonzero(same & (steps == 0))).size:
        k = twice[0]
        raise ValueError(
            f"{source}: {twice.size} duplicate timestamps, the first is {moment(times[k])} in series "
            f"{names[codes[k]]!r} (data rows {rows[k] + 1} and {rows[k + 1] + 1}); drop one of them, or say time='' to "
            f"go by the order of the rows"
            + ("" if plan.id else ", or id=COLUMN if the table holds several series")
        )
    usual = np.median(steps[same]) if same.any() else 0.0
    odd = np.abs(steps - usual) > 0.01 * usual
    if uneven := len(set(codes[1:][same & odd].tolist())):
        plan.notes.append(
            f"{uneven} of {len(names)} series are not equally spaced in time: each row is one timestep"
        )
