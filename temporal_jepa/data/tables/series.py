"""Series from the rows of a table: wide (a series in each row) or long (a timestep in each row)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...config import ReadOptions
from ..lazy import HeldArrays
from ..sequences import Array, Sequences, as_text, listed, rounds_away
from .column_types import kind_by_name
from .numbers import as_numbers, first_text
from .readings import likely
from .repeated_times import ways_out
from .roles import Roles
from .row_order import in_order
from .times import read_times
from .unused import left_out

if TYPE_CHECKING:
    import pandas as pd

PARTS = 16  # in which a table is turned into a matrix, so that its columns can be freed


def from_rows(
    frame: pd.DataFrame,
    columns: Roles,
    options: ReadOptions,
    source: str,
    notes: list[str],
    *,
    exact: bool = False,
) -> Sequences:
    """The series of a table.

    Args:
        frame: a table with one level of text names.
        columns: the part of each column, with the layout "wide", "long" or "recording".
        options: how to read; their column names are in `columns`.
        source: where the table comes from, for messages.
        notes: what was inferred so far; more is added.
        exact: the values of long tables are float64, whatever float32 would lose.

    Raises:
        ValueError: for text among values, duplicate or missing times, a label that changes within
            a series, and a table without columns of numbers.
    """
    if columns.layout == "wide":
        return _wide(frame, columns, options, source, notes)
    return _long(frame, columns, options, source, notes, exact)


def _wide(
    frame: pd.DataFrame,
    columns: Roles,
    options: ReadOptions,
    source: str,
    notes: list[str],
) -> Sequences:
    """A series from each row, or from the rows of an id that differ in their channel."""
    channels = list(columns.steps)
    line = _described(columns)
    notes.append(line if options.layout else likely(line, "layout='recording'"))
    explain(frame, columns, options, channels, notes)
    cube = _cube(frame, columns.steps, options)
    ids = _row_ids(frame, columns.ids)
    labels = None
    if columns.label is not None:
        labels = np.array(as_texts(frame, columns.label, "label"))
    if columns.channel is not None:
        cube, kept, channels = _rows_to_channels(frame, columns, cube)
        ids = [ids[k] for k in kept]
        labels = None if labels is None else labels[kept]
    elif len(set(ids)) < len(ids):
        ids = _told_apart(ids, notes)
    series, trimmed = trim([x.T for x in cube])
    times = None
    if columns.clock is not None:
        times = [columns.clock[: len(x)] for x in series]
    return Sequences(
        series,
        labels=labels,
        ids=ids,
        channels=channels,
        times=times,
        source=source,
        notes=(*notes, *trimmed),
    )


def _described(columns: Roles) -> str:
    """What the rows and the columns of a wide table are."""
    length = len(columns.values) // max(len(columns.steps), 1)
    what = "a series" if columns.channel is None else "a channel"
    line = f"layout wide: each row is {what} of {length} timesteps"
    if columns.clock is not None:
        first, last = columns.values[0], columns.values[-1]
        is_number = columns.clock.dtype.kind != "M" and any(map(str.isdigit, first))
        what = "numbers in the names" if is_number else "names"
        line += f", the {what} of the columns are times, {first} to {last}"
    if columns.ids:
        verb = "names" if len(columns.ids) == 1 else "name"
        line += f", {_quoted(columns.ids)} {verb} the series"
    return line


def _row_ids(frame: pd.DataFrame, ids: tuple[str, ...]) -> list[str]:
    if not ids:
        return []
    codes, names = series_codes(frame, ids, "row")
    return [names[code] for code in codes]


def _told_apart(ids: list[str], notes: list[str]) -> list[str]:
    """Ids of which some repeat; those are numbered: a#1, a#2."""
    counts = Counter(ids)
    seen: Counter[str] = Counter()
    out = []
    for name in ids:
        seen[name] += 1
        out.append(f"{name}#{seen[name]}" if counts[name] > 1 else name)
    notes.append("ids repeat: the rows of one id are numbered, as in a#1")
    return out


def _rows_to_channels(
    frame: pd.DataFrame, columns: Roles, cube: Array
) -> tuple[Array, Array, list[str]]:
    """Rows ``(n, 1, time)`` of an id as channels ``(series, channels, time)``, NaN if absent."""
    import pandas as pd

    names = as_texts(frame, columns.channel or "", "channel")
    codes, channels = pd.factorize(np.array(names, dtype=object))
    rows, _ = series_codes(frame, columns.ids, "series")
    shape = (rows.max() + 1, len(channels), cube.shape[2])
    out = np.full(shape, np.nan, cube.dtype)
    repeated = pd.DataFrame({"row": rows, "channel": codes}).duplicated()
    if repeated.any():
        k = int(np.flatnonzero(repeated)[0])
        raise ValueError(
            f"column {columns.channel!r} names {names[k]!r} twice for one series, the second time "
            f"in data row {k + 1}; choose channel='' or id=COLUMN"
        )
    out[rows, codes] = cube[:, 0]
    return out, np.unique(rows, return_index=True)[1], channels.tolist()


def _long(
    frame: pd.DataFrame,
    columns: Roles,
    options: ReadOptions,
    source: str,
    notes: list[str],
    exact: bool,
) -> Sequences:
    """Rows to series by id, in the order in which the ids first appear, each sorted by time."""
    notes.append(layout_line(columns, options))
    explain(frame, columns, options, list(columns.values), notes)
    codes, names = series_codes(frame, columns.ids, Path(source).stem)
    labels = None
    if columns.label is not None:
        labels = series_labels(frame, codes, names, columns.label)
    clock = None
    if columns.time is not None:
        clock = read_times(frame, columns.time, options, notes, codes)
    advice = ways_out(frame, columns, options, codes, clock)
    channels = list(columns.values)
    matrix = as_matrix(frame, channels, options, None if exact else codes)
    how = options.duplicates or "error"
    if columns.channel is not None:
        keys = _keys(frame, columns.channel, codes, clock)
        codes, clock, matrix, channels = _pivoted(keys, matrix, channels, how, notes)
        entries = f"channels are the entries of {columns.channel!r}: {listed(channels)}"
        notes.append(entries)
    frame.drop(columns=list(frame.columns), inplace=True)  # frees what was read
    order = np.argsort(codes, kind="stable")
    if clock is not None:
        merged = in_order(clock, codes, names, how, notes, matrix, advice=advice)
        order = merged.rows
        matrix = merged.take(matrix)
    else:
        matrix = matrix[order]
    cuts = np.flatnonzero(np.diff(codes[order])) + 1
    times = None
    if clock is not None and columns.time is not None:
        times = np.split(clock[order], cuts)
    series = np.split(matrix, cuts)
    return Sequences(
        HeldArrays(series) if exact else series,
        labels=labels,
        ids=names,
        channels=channels,
        times=times,
        source=source,
        notes=tuple(notes),
    )


def layout_line(columns: Roles, options: ReadOptions) -> str:
    """The note on the layout, the ids and the time."""
    line = "layout recording: one recording, rows are time"
    otherwise = "id=COLUMN, layout='wide'"
    if columns.ids:
        otherwise = "id=COLUMN, layout='recording'"
    if len(columns.ids) == 1:
        line = f"layout long: column {columns.ids[0]!r} names the series"
    elif columns.ids:
        line = f"layout long: columns {_quoted(columns.ids)} name the series"
    if len(columns.times) == 1:
        line += f", column {columns.times[0]!r} is the time"
    elif columns.times:
        line += f", columns {_quoted(columns.times)} are the time"
    return line if options.layout or options.id else likely(line, otherwise)


def _keys(
    frame: pd.DataFrame, channel: str, codes: Array, clock: Array | None
) -> pd.DataFrame:
    """The series, channel and time of each row; without times the count of its rows so far."""
    import pandas as pd

    keys = pd.DataFrame(
        {"series": codes, "channel": as_texts(frame, channel, "channel")}
    )
    if clock is None:
        clock = keys.groupby(["series", "channel"]).cumcount().to_numpy()
    return keys.assign(time=clock)


def _pivoted(
    keys: pd.DataFrame,
    matrix: Array,
    values: list[str],
    duplicates: str,
    notes: list[str],
) -> tuple[Array, Array, Array, list[str]]:
    """Rows (series, time, channel) as rows (series, time) of channels.

    Args:
        keys: a table with the columns series, time and channel.
        matrix: the values ``(n, columns)``.
        values: the names of their columns.
        duplicates: "error", "first", "last" or "mean" of rows with the same keys.
        notes: what was left out or averaged is added.

    Returns:
        The series, the times and the values ``(m, channels)`` of the rows, and the channels.

    Raises:
        ValueError: with "error", when two rows have the same keys.
    """
    repeated = keys.duplicated()
    if repeated.any() and duplicates == "error":
        row = int(np.flatnonzero(repeated)[0])
        raise ValueError(
            f"{int(repeated.sum())} rows repeat the time of a channel, the first is data row "
            f"{row + 1} ({keys['channel'].iat[row]!r}); choose duplicates='first', "
            "duplicates='last' or duplicates='mean'"
        )
    if repeated.any():
        fate = "averaged with it" if duplicates == "mean" else "left out"
        notes.append(
            f"{int(repeated.sum())} rows at the time of another of the same channel are {fate}"
        )
    how = "first" if duplicates == "error" else duplicates
    by = ["series", "time", "channel"]
    table = keys.assign(**{f"value {k}": column for k, column in enumerate(matrix.T)})
    merged = table.groupby(by, sort=False).agg(how)
    channels = keys["channel"].unique().tolist()
    cube = merged.unstack("channel")
    names = []
    order = []
    for channel in channels:
        for k, value in enumerate(values):
            names.append(channel if len(values) == 1 else f"{value}_{channel}")
            order.append((f"value {k}", channel))
    rows = cube.index
    return (
        rows.get_level_values("series").to_numpy(),
        rows.get_level_values("time").to_numpy(),
        cube[order].to_numpy(),
        names,
    )


def _quoted(names: tuple[str, ...]) -> str:
    return ", ".join(map(repr, names))


def _rounded(frame: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """The columns of whole numbers that float64 does not hold."""
    kinds = kind_by_name(frame)
    whole = [name for name in names if kinds[name] in "iu"]
    found: list[str] = []
    for chosen in _parts(whole):
        is_large = (frame[chosen].abs() > 2**53).any()
        found += is_large.index[is_large].tolist()
    return found


def _parts(names: Sequence[str]) -> Iterator[list[str]]:
    """The names in parts of equal size."""
    size = max(math.ceil(len(names) / PARTS), 1)
    for start in range(0, len(names), size):
        yield list(names[start : start + size])


def _no_values(frame: pd.DataFrame, columns: Roles) -> ValueError:
    """The error for a table without a column of values, with the texts that are no numbers."""
    used = columns.used
    rest = [name for name in frame.columns if name not in used]
    texts = {name: first_text(frame[name]) for name in rest}
    wrong = [
        f"{name!r} holds {texts[name]!r}" for name in rest if texts[name] is not None
    ]
    shown = f" ({listed(wrong)}, no number)" if wrong else ""
    return ValueError(
        "expected a column of numbers besides id, time and label, got "
        f"{listed(frame.columns)}{shown}; name the columns to learn from with values=A,B. Events "
        "without a measured value are counted first: table.groupby([ID, TIME]).size().reset_index()"
    )


def explain(
    frame: pd.DataFrame,
    columns: Roles,
    options: ReadOptions,
    channels: list[str],
    notes: list[str],
) -> None:
    """Notes on the part of each column; ValueError when no column holds values."""
    if not columns.values:
        raise _no_values(frame, columns)
    if columns.label is not None:
        line = f"label: column {columns.label!r}"
        notes.append(likely(line, "label=''") if options.label is None else line)
    if columns.channel is None:
        notes.append(f"channels: {listed(channels)}")
    large = _rounded(frame, columns.values)
    if large:
        notes.append(
            f"whole numbers beyond 2**53 in {listed(large)} are rounded: subtract an offset first"
        )
    used = columns.used
    unused = [name for name in frame.columns if name not in used]
    if unused:
        notes.append(left_out(frame, unused))


def as_matrix(
    frame: pd.DataFrame,
    names: Sequence[str],
    options: ReadOptions,
    codes: Array | None = None,
) -> Array:
    """The columns as ``(rows, columns)``; ValueError for a cell that is no number.

    Args:
        frame: the table.
        names: its columns of values.
        options: how numbers are written.
        codes: the number of the series of each row. With it, columns are float32 unless a series
            varies too little for that, and each is dropped from the frame once it is read, which
            frees its memory. None: float64.
    """
    kind = np.float64 if codes is None else np.float32
    out: Array = np.empty((len(frame), len(names)), kind)
    for start, block in _blocks(frame, names, options, release=codes is not None):
        for k, column in enumerate(block.T, start):
            if codes is not None and out.dtype == np.float32 and _loses(column, codes):
                with np.errstate(all="ignore"):  # columns that are not read yet
                    out = out.astype(np.float64)
            with np.errstate(over="ignore"):  # inf is refused later, with its place
                out[:, k] = column
    return out


def _blocks(
    frame: pd.DataFrame, names: Sequence[str], options: ReadOptions, release: bool
) -> Iterator[tuple[int, Array]]:
    """Parts of the columns as float64 ``(rows, k)``, each with the number of its first column.

    release: drop the columns of a part from the frame once they are read.
    """
    start = 0
    for chosen in _parts(names):
        part = frame[chosen]
        if all(kind.kind in "fiub" for kind in part.dtypes):
            block = part.to_numpy(np.float64, na_value=np.nan)
        else:
            columns = [as_numbers(part[name], options) for name in chosen]
            block = np.column_stack(columns)
        if release:
            frame.drop(columns=chosen, inplace=True)
        yield start, block
        start += len(chosen)


def _loses(column: Array, codes: Array) -> bool:
    """Whether float32 loses the values of a series."""
    import pandas as pd

    groups = pd.Series(column).groupby(codes, sort=False)
    return bool(rounds_away(groups.min().to_numpy(), groups.max().to_numpy()).any())


def _cube(
    frame: pd.DataFrame, steps: Mapping[str, list[str]], options: ReadOptions
) -> Array:
    """The columns of a wide table as ``(rows, channels, time)``.

    They are float32, or float64 where a series varies too little for that. Each is dropped from the
    frame once it is read, which frees its memory.
    """
    length = len(next(iter(steps.values()), ()))
    loses = any(_loses_in_row(frame, names, options) for names in steps.values())
    kind = np.float64 if loses else np.float32
    out: Array = np.empty((len(frame), len(steps), length), kind)
    for channel, names in enumerate(steps.values()):
        for start, block in _blocks(frame, names, options, release=True):
            with np.errstate(over="ignore"):  # inf is refused later, with its place
                out[:, channel, start : start + block.shape[1]] = block
    return out


def _loses_in_row(frame: pd.DataFrame, names: list[str], options: ReadOptions) -> bool:
    """Whether float32 loses the values of a row."""
    low = high = np.full(len(frame), np.nan)
    for _, block in _blocks(frame, names, options, release=False):
        low = np.fmin(low, np.fmin.reduce(block, axis=1))
        high = np.fmax(high, np.fmax.reduce(block, axis=1))
    return bool(rounds_away(low, high).any())


def series_codes(
    frame: pd.DataFrame, ids: tuple[str, ...], alone: str
) -> tuple[Array, list[str]]:
    """The number of the series of each row, in order of appearance, and the names of the series.

    Without columns `ids` all rows are one series, named `alone`.
    """
    import pandas as pd

    if not ids:
        return np.zeros(len(frame), dtype=np.int64), [alone]
    if len(ids) == 1:
        return text_codes(frame, ids[0], "id")
    if frame[list(ids)].isna().all(axis=1).any():  # a part of an id may be missing
        text_codes(frame, ids[0], "id")
    filled = frame[list(ids)].astype(object).where(frame[list(ids)].notna(), "")
    columns = [text_codes(filled, name, "id") for name in ids]
    codes = pd.DataFrame(dict(enumerate(codes for codes, _ in columns)))
    joined = codes.groupby(list(codes), sort=False).ngroup().to_numpy()
    first = codes[~pd.Series(joined).duplicated()].to_numpy()
    texts = [texts for _, texts in columns]
    names = []
    for row in first:
        parts = [texts[k][code] for k, code in enumerate(row)]
        names.append(" ".join(filter(None, parts)))
    return joined, names


def text_codes(frame: pd.DataFrame, name: str, option: str) -> tuple[Array, list[str]]:
    """A column as codes into its texts, in order of appearance, "3" for 3.0.

    Raises:
        ValueError: where a field is empty.
    """
    import pandas as pd

    column = frame[name]
    empty = np.flatnonzero(column.isna())
    if empty.size:
        raise ValueError(
            f"column {name!r} is empty (or reads NA, None, ...) in {empty.size} rows, the first "
            f"is data row {empty[0] + 1}; fill it, choose missing='' if NA is a name, or "
            f"{option}='' for none"
        )
    codes, entries = pd.factorize(column)
    texts = np.array([as_text(entry) for entry in entries], dtype=object)
    merged, names = pd.factorize(texts)
    return merged[codes], names.tolist()


def as_texts(frame: pd.DataFrame, name: str, option: str) -> list[str]:
    """A column as text, see `text_codes`."""
    codes, texts = text_codes(frame, name, option)
    return [texts[code] for code in codes]


def series_labels(
    frame: pd.DataFrame,
    codes: Array,
    names: list[str],
    label: str,
) -> Array:
    """The label of each series ``(n,)``; ValueError when it changes within one.

    codes: the number of the series of each row, counted up in order of appearance.
    """
    own, texts = text_codes(frame, label, "label")
    first = own[np.unique(codes, return_index=True)[1]]
    wrong = np.flatnonzero(own != first[codes])
    if wrong.size:
        row = wrong[0]
        series = codes[row]
        raise ValueError(
            f"expected one label in each series, but column {label!r} changes within "
            f"series {names[series]!r}: {texts[first[series]]!r}, then {texts[own[row]]!r} in data "
            f"row {row + 1}; name another column with label=, or choose label='' for none"
        )
    return np.array(texts)[first]


def trim(values: Sequence[Array]) -> tuple[list[Array], list[str]]:
    """Series without missing timesteps at their ends, and a note.

    Files of series of unequal length pad them so. A series without any value stays as it is.
    """
    trimmed = []
    for x in values:
        end = len(x)
        if np.isnan(x[-1]).all():
            observed = np.flatnonzero(~np.isnan(x).all(axis=1))
            end = observed[-1] + 1 if observed.size else end
        trimmed.append(x[:end])
    lengths = [len(x) for x in trimmed]
    count = sum(len(x) < len(old) for x, old in zip(trimmed, values, strict=True))
    if not count:
        return trimmed, []
    return trimmed, [
        f"padding (missing values at the end) cut off {count} series: lengths {min(lengths)} to "
        f"{max(lengths)}"
    ]
