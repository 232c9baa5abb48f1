"""Columns of frames as plain NumPy types, and columns of lists, one series a row."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...config import ReadOptions
from ..sequences import Array, listed
from .column_types import kinds
from .names import find_label, says_id, says_time
from .numbers import EMPTY
from .points import ORDERS, is_place_name
from .readings import AmbiguousError, Reading, likely
from .roles import find_places, row_names
from .time_columns import candidates

if TYPE_CHECKING:
    import pandas as pd

PLAIN = "fiubmM"  # letters of NumPy's types that stay as they are
SHORT = 3  # entries of a list that may as well be channels
LARGEST_WHOLE = 2**53  # float64 holds all whole numbers up to it
LIST = re.compile(r"\s*\[[^\[\]]*\]\s*", re.DOTALL)  # "[1, 2]", also NumPy's "[1. 2.]"
SCALAR = re.compile(r"np\.\w+\(([^()]*)\)")  # NumPy's repr of an element


def plain(frame: pd.DataFrame) -> pd.DataFrame:
    """The same table without extension types: NumPy numbers with NaN, dates, and text.

    Raises:
        ValueError: naming a column of bytes that are no UTF-8 text, or of complex numbers.
    """
    import pandas as pd

    changed: dict[int, Any] = {}
    for position, dtype in enumerate(frame.dtypes):
        if isinstance(dtype, np.dtype) and dtype.kind in PLAIN:
            continue
        column = frame.iloc[:, position]
        if column.dtype.kind == "c":
            raise ValueError(
                f"column {str(column.name)!r} holds complex numbers; make two columns of them, "
                ".real and .imag, or abs"
            )
        new = _plain(column)
        if new is not column:
            changed[position] = new
    if changed:
        columns = [changed.get(k, frame.iloc[:, k]) for k in range(frame.shape[1])]
        names = frame.columns
        frame = pd.concat(columns, axis=1)
        frame.columns = names
    if frame.index.nlevels == 1 and _is_extension(frame.index):
        index = _plain(frame.index.to_series())
        if index.dtype != frame.index.dtype:
            frame = frame.set_axis(pd.Index(index.array, name=frame.index.name), axis=0)
    return frame


def _is_extension(column: pd.Series[Any] | pd.Index[Any]) -> bool:
    return not isinstance(column.dtype, np.dtype)


def _plain(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column with a NumPy type where pandas has one for its values, else itself."""
    import pandas as pd

    kind = column.dtype
    if isinstance(kind, pd.ArrowDtype):
        import pyarrow as pa

        values = pa.array(column.array).to_pandas(date_as_object=False)
        return _plain(pd.Series(values.array, index=column.index, name=column.name))
    if isinstance(kind, pd.SparseDtype):
        return column.astype(kind.subtype)
    if isinstance(kind, pd.CategoricalDtype):
        if column.cat.categories.dtype.kind not in "fiub":
            return column
        return _plain(column.astype(object).infer_objects())
    if _is_extension(column):
        return _without_mask(column) if kind.kind in "fiub" else column
    return _decoded(column) if kind.kind in "OS" else column


def _without_mask(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column of Int64, Float32, boolean, ... as NumPy numbers; float64 where some are missing.

    Whole numbers that float64 cannot hold stay exact, as Python's.
    """
    dtype: Any = column.dtype
    if not column.isna().any():
        return column.astype(dtype.numpy_dtype)
    if dtype.kind in "iu" and column.abs().max() > LARGEST_WHOLE:
        return column.astype(object).where(column.notna(), None)
    return column.astype("float64")


def _decoded(column: pd.Series[Any]) -> pd.Series[Any]:
    """A column of bytes as text; ValueError with its name where they are no text."""
    filled = column[column.notna()] if column.dtype.kind == "O" else column
    if not any(isinstance(value, bytes) for value in filled.iloc[:20]):
        return column
    try:
        return column.map(
            lambda value: value.decode() if isinstance(value, bytes) else value
        )
    except UnicodeDecodeError as error:
        raise ValueError(
            f"column {column.name!r} holds bytes that are no text (UTF-8); leave it out, or decode "
            "it before (geometry in WKB: write the columns lon and lat)"
        ) from error


def spread_lists(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> tuple[pd.DataFrame, ReadOptions]:
    """A table with a series in each cell, as one with a timestep in each row.

    Cells are lists, arrays, or text such as "[1, 2, 3]". Several columns of lists are channels;
    one of dates, or named like a time, is the time. A table without lists is returned itself.

    Raises:
        AmbiguousError: rows can be series, or timesteps with a list of channels each.
        ValueError: lists of one row differ in length, are empty or nested.
    """
    frame, lists = _list_columns(frame, options)
    if not lists:
        return frame, options
    rest = frame.drop(columns=list(lists))
    if rest.index.nlevels > 1 or rest.index.name is not None:
        rest = rest.reset_index()
    elif rest.index.dtype.kind not in "iu":
        rest = rest.reset_index(names="id")
    lists = _of_series(lists, options, notes)
    lengths = _lengths(lists)
    width = int(lengths[0]) if len(set(lengths.tolist())) == 1 else None
    if width and _rows_are_time(rest, lists, options, width):
        names = [f"{name}_{k}" for name in lists for k in range(width)]
        matrix = np.hstack([np.vstack(cells) for cells in lists.values()])
        rest = rest.assign(**dict(zip(names, matrix.T, strict=True)))
        return rest, replace(options, values=tuple(names))
    return _one_row_a_step(rest, lists, lengths, options, notes)


def _list_columns(
    frame: pd.DataFrame, options: ReadOptions
) -> tuple[pd.DataFrame, dict[Any, list[Array]]]:
    """The columns of lists of numbers or times, by name, with an array for each row.

    Two or three numbers under the name of a place, or where `options` ask for places, are a place,
    not a series; they become text in the table that is returned.
    """
    found = {}
    points: dict[Any, Any] = {}
    places = list(filter(is_place_name, frame.columns))
    asked = options.values in ORDERS or options.layout in ("tracks", "scene")
    for name, kind in zip(frame.columns, kinds(frame), strict=True):
        cells = _lists_of(frame[name]) if kind in "OT" else None
        if cells is None:
            continue
        if (asked or places == [name]) and {*map(len, cells)} <= {0, 2, 3}:
            points[name] = [str(cell.tolist()) if len(cell) else None for cell in cells]
        else:
            found[name] = cells
    return (frame.assign(**points) if points else frame), found


def _lists_of(column: Any) -> list[Array] | None:
    """The lists of a column, an array for each row; None for other columns.

    Raises:
        ValueError: its name, for a column of objects and for lists of lists.
    """
    if getattr(column, "ndim", 1) != 1 or column.dtype.kind not in "OT":
        return None
    present = column.notna().to_numpy()
    first = column.iloc[int(present.argmax())] if present.any() else None
    if isinstance(first, str):
        return _from_text(column) if LIST.fullmatch(first) else None
    if isinstance(first, (Mapping, set, frozenset)):
        raise ValueError(
            f"column {column.name!r} holds objects; flatten it with pandas.json_normalize, or "
            "leave it out"
        )
    if not _is_list(first):
        return None
    return [_as_array(cell, column.name, row) for row, cell in enumerate(column)]


def _from_text(column: pd.Series[Any]) -> list[Array] | None:
    """The lists that a column of text holds, None unless each field holds one."""
    filled = column.dropna()
    if not LIST.fullmatch(filled.iloc[0]):
        return None
    if not all(LIST.fullmatch(str(text)) for text in filled):
        return None
    cells: list[Array] = []
    for text in column:
        cell = _numbers_in(text) if isinstance(text, str) else []
        if cell is None:
            return None
        if "..." in cell:
            raise ValueError(
                f"column {column.name!r} holds lists that were shortened ('...') when they were "
                "written; write them again in full, for example as .parquet"
            )
        cells.append(_as_array(cell, column.name, len(cells)))
    return cells


def _numbers_in(text: str) -> list[Any] | None:
    """The entries of a list in text, None if they are neither numbers nor quoted texts."""
    if "'" in text or '"' in text:
        try:
            return list(ast.literal_eval(text.strip()))
        except (ValueError, SyntaxError, TypeError):
            return None
    if ";" in text and "," in text:
        return None  # decimal commas
    words = re.split(r"[\s,;]+", SCALAR.sub(r"\1", text).strip()[1:-1].strip())
    if "..." in words:
        return ["..."]
    try:
        return [
            np.nan if word.lower() in EMPTY else float(word) for word in words if word
        ]
    except ValueError:
        return None


def _is_list(cell: Any) -> bool:
    """Whether a cell holds several values: a list, an array, or a Series."""
    if isinstance(cell, (list, tuple)):
        return True
    return hasattr(cell, "__array__") and getattr(cell, "ndim", 0) > 0


def _as_array(cell: Any, name: Any, row: int) -> Array:
    """A cell as ``(time,)``; ValueError with its place where it is nested."""
    if not _is_list(cell):
        return np.empty(0)
    if hasattr(cell, "__array__"):
        cell = np.asarray(cell)
    nested = getattr(cell, "ndim", 1) > 1 or (len(cell) > 0 and _is_list(cell[0]))
    if nested:
        raise ValueError(
            f"column {name!r} holds lists of lists (row {row + 1}), and nothing says which axis is "
            "time; write one column of lists for each channel, or pass a list of arrays "
            "(channels, time)"
        )
    values = np.asarray(cell)
    if values.dtype.kind in "fiubMm":
        return values
    if any(isinstance(value, Mapping) for value in cell):
        raise ValueError(
            f"column {name!r} holds lists of objects (row {row + 1}); choose the inner table, or "
            "flatten it with pandas.json_normalize"
        )
    try:
        return np.asarray(
            [np.nan if value is None else value for value in cell], dtype=np.float64
        )
    except (TypeError, ValueError):
        return np.asarray(cell, dtype=object)


def _of_series(
    lists: dict[Any, list[Array]], options: ReadOptions, notes: list[str]
) -> dict[Any, list[Array]]:
    """The columns of lists that `options` name, or all but lists of one beside longer ones."""
    if options.values:
        named = {*options.values, options.time}
        kept = {n: lists[n] for n in lists if str(n) in named or says_time(str(n))}
        return kept or lists
    longer = {n: lists[n] for n in lists if max(map(len, lists[n])) > 1}
    if not longer:
        return lists
    short = [*filter(lambda name: name not in longer, lists)]
    if short:
        notes.append(f"lists of one entry are left out: {listed(short)}")
    return longer


def _lengths(lists: dict[Any, list[Array]]) -> Array:
    """The number of timesteps of each row.

    Raises:
        ValueError: a row has no list, or lists of several lengths.
    """
    first, *others = lists
    lengths = np.array([len(cell) for cell in lists[first]])
    for name in others:
        own = np.array([len(cell) for cell in lists[name]])
        wrong = np.flatnonzero(own != lengths)
        if wrong.size:
            row = wrong[0]
            raise ValueError(
                f"expected lists of one length in each row, got {lengths[row]} in column "
                f"{first!r} and {own[row]} in column {name!r} of row {row + 1}; choose columns of "
                "one length with values="
            )
    empty = np.flatnonzero(lengths == 0)
    if empty.size:
        raise ValueError(
            f"column {first!r} holds no list in row {empty[0] + 1} ({empty.size} such rows); leave "
            "these rows out"
        )
    return lengths


def _rows_are_time(
    rest: pd.DataFrame, lists: dict[Any, list[Array]], options: ReadOptions, width: int
) -> bool:
    """Whether each row is a timestep with a list of channels; AmbiguousError where it may be."""
    if options.layout is not None:
        return options.layout in ("long", "recording")
    if _time_of(lists) is not None:
        return False
    rest = rest.set_axis(list(map(str, rest.columns)), axis=1)
    given = list(row_names(rest, options)) if options.id else []
    ids = given or list(filter(says_id, rest.columns))
    keys = [given] if given else [[name] for name in ids]
    repeated = any(rest.duplicated(key).any() for key in keys)
    if not repeated and not _may_be_steps(rest, options, ids, width):
        return False
    name, cells = next(iter(lists.items()))
    raise _series_or_steps(name, cells, "long" if repeated else "recording")


def _series_or_steps(name: Any, cells: list[Array], layout: str) -> AmbiguousError:
    """The question whether each row is a series, or a timestep as `layout` has it."""
    width = len(cells[0])
    shown = [cell[:4].tolist() for cell in cells[:3]]
    places = range(len(shown[0]))
    series = Reading(
        f"each row is a series of {width} timesteps",
        {"layout": "wide"},
        [f"step {k}" for k in places],
        shown,
    )
    steps = Reading(
        f"each row is one timestep of {width} channels",
        {"layout": layout},
        [f"{name}_{k}" for k in places],
        shown,
    )
    question = f"column {name!r} holds a list of {width} numbers in each row"
    return AmbiguousError(question, [series, steps])


def _may_be_steps(
    rest: pd.DataFrame, options: ReadOptions, ids: list[str], width: int
) -> bool:
    """Whether rows without repeated ids can be timesteps: by a time, or few entries in each."""
    if options.time or any(candidates(rest, options)):
        return True
    if ids or options.label or find_label(rest.columns) is not None:
        return False
    return width <= SHORT or is_recording(len(rest), width)


def _time_of(lists: dict[Any, list[Array]]) -> Any | None:
    """The first column of lists of times: dates, or numbers under the name of a time."""
    for name, cells in lists.items():
        if cells[0].dtype.kind in "MO" or says_time(str(name)):
            return name
    return None


def _one_row_a_step(
    rest: pd.DataFrame,
    lists: dict[Any, list[Array]],
    lengths: Array,
    options: ReadOptions,
    notes: list[str],
) -> tuple[pd.DataFrame, ReadOptions]:
    """A long table with the lists one below the other, and the options that say so."""
    rest, id = _with_id(rest, options)
    found = _time_of(lists)
    time = "" if found is None else str(found)
    rows = np.repeat(np.arange(len(rest)), lengths)
    table = rest.iloc[rows].reset_index(drop=True)
    table = table.assign(**{str(n): np.concatenate(c) for n, c in lists.items()})
    values = tuple(str(name) for name in lists if str(name) != time)
    sentence = f"each row is a series, its values are in the lists {listed(values)}"
    notes.append(likely(sentence, "layout='recording'"))
    own = replace(options, layout=None, id=id, time=options.time or time)
    if options.layout in ("tracks", "scene"):
        return table, replace(own, layout=options.layout)
    places = find_places(table, own) if options.layout is None else None
    if places is not None and places.degrees:
        return table, own
    return table, replace(own, layout="long", values=options.values or values)


def _with_id(rest: pd.DataFrame, options: ReadOptions) -> tuple[pd.DataFrame, str]:
    """The table and its columns that name the rows, their number where these repeat."""
    ids = row_names(rest, options)
    if ids and not rest.duplicated(list(ids)).any():
        return rest, ",".join(ids)
    number = "row" if "row" not in rest.columns else "row of the table"
    return rest.assign(**{number: np.arange(len(rest))}), number


def is_recording(rows: int, columns: int) -> bool:
    """Whether a table without names is tall and narrow: rows are time, not one series each."""
    return columns <= 16 and rows >= 64 * columns


def are_columns(columns: Mapping[str, Any], options: ReadOptions) -> bool:
    """Whether lists under names are the columns of a table, not one series each.

    Raises:
        AmbiguousError: nothing says which.
        ValueError: they are columns, and have several lengths.
    """
    lengths = {name: len(column) for name, column in columns.items()}
    is_table = _are_named_like_columns(columns, options)
    if len({*lengths.values()}) > 1:
        if is_table:
            found = listed(f"{name} ({length})" for name, length in lengths.items())
            raise ValueError(f"expected columns of one length, got {found}")
        return False
    if options.layout is not None:
        return options.layout != "wide"
    if is_table or len(columns) == 1:
        return True
    rows = [list(column[:4]) for column in columns.values()]
    raise AmbiguousError(
        f"{len(columns)} lists of one length ({listed(columns)})",
        [
            Reading(
                "the names are the channels of one recording",
                {"layout": "recording"},
                list(columns),
                [list(row) for row in zip(*rows, strict=True)],
            ),
            Reading(
                "each name is a series",
                {"layout": "wide"},
                [],
                [[name, *row] for name, row in zip(columns, rows, strict=True)],
            ),
        ],
    )


def _are_named_like_columns(columns: Mapping[str, Any], options: ReadOptions) -> bool:
    """Whether the names, types or options say that lists are columns of a table."""
    if options.given("id", "time", "label", "values", "channel"):
        return True
    if any(says_id(name) or says_time(name) for name in columns):
        return True
    if find_label(columns) is not None:
        return True
    filled = [[x for x in column if x is not None] for column in columns.values()]
    return any(np.asarray(column).dtype.kind not in "fiub" for column in filled)
