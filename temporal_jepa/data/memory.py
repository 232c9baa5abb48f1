"""Objects in memory to sequences: arrays, tensors, frames of any library, and lists of these."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import ReadOptions
from .datasets import axes_of, is_labeled, is_stream, items_of, kind_of
from .formats.arrays import from_array
from .formats.arrow import frame_from_arrow
from .grids import from_xarray
from .sequences import Sequences, listed, located
from .tables.build import Table, from_table, from_tables, joined, roles_of
from .tables.columns import are_columns
from .tables.readings import AmbiguousError, likely
from .tensors import is_tensor, unpacked

if TYPE_CHECKING:
    import pandas as pd

VALUES = (
    type(None),
    int,
    float,
    np.generic,
    str,
    os.PathLike,
    bytes,
    bytearray,
    memoryview,
)
LAZY = {
    "collect": "pass data.collect()",  # polars.LazyFrame
    "compute": "pass data.compute()",  # dask
    "toPandas": "pass data.toPandas()",  # pyspark
    "toarray": "pass data.toarray()",  # scipy.sparse
}
"""Methods of objects that hold no values yet -> what to do."""


def from_memory(data: Any, options: ReadOptions) -> Sequences:
    """The sequences of an object in memory.

    Raises:
        AmbiguousError: a dict of columns that may be series.
        ValueError: for iterators, lazy tables, and anything that holds no numbers.
    """
    if isinstance(data, Sequences):
        return data
    frame = as_frame(data)
    if frame is not None:
        return from_table(Table(frame, options, []))
    if _is_from("xarray", data):
        return from_xarray(data, options)
    with located("arrays"):
        first = data[0] if isinstance(data, (list, tuple)) and data else data
        if isinstance(first, (str, os.PathLike)) or hasattr(first, "read"):
            raise ValueError(
                f"expected arrays or tables, got {kind_of(first)}; pass the path of one file or "
                "folder"
            )
        if isinstance(data, Mapping):
            return _from_mapping(data, options)
        return _from_arrays(as_arrays(data), options)


def as_frame(data: Any) -> pd.DataFrame | None:
    """A table of any library as a pandas frame, None for what is no table.

    Tables are pandas objects, structured arrays, and what exports Arrow streams of columns: frames
    of polars, tables of pyarrow, relations of duckdb.
    """
    if _is_of_pandas(data):
        is_series = _is_series(data)
        name = "value" if getattr(data, "name", None) is None else data.name
        frame: pd.DataFrame = data.to_frame(name) if is_series else data
        return frame
    if isinstance(data, np.ndarray) and data.dtype.names is not None:
        return _from_structured(data)
    if hasattr(data, "columns" if _is_from("dask", data) else "collect"):
        _refuse_lazy(data)
    if _is_from("polars", data) and hasattr(data, "to_frame"):
        data = data.to_frame(data.name or "value")  # a Series
    return frame_from_arrow(data) if _has_columns(data) else None


def _is_of_pandas(data: Any) -> bool:
    """Whether an object is a frame or a Series of pandas."""
    pandas = sys.modules.get("pandas")  # else there can be no pandas object
    if pandas is None:
        return False
    return isinstance(data, (pandas.Series, pandas.DataFrame))


def _has_columns(data: Any) -> bool:
    """Whether an object exports a stream of columns, and is no array."""
    is_table = hasattr(data, "columns") or not hasattr(data, "__array__")
    return is_table and hasattr(data, "__arrow_c_stream__")


def _is_table(data: Any) -> bool:
    """Whether `as_frame` makes a frame of it."""
    return _is_of_pandas(data) or _is_from("polars", data) or _has_columns(data)


def _is_series(data: Any) -> bool:
    """Whether a table is a single column of pandas or polars."""
    return hasattr(data, "to_frame") and not hasattr(data, "columns")


def _from_structured(array: np.ndarray[Any, Any]) -> pd.DataFrame:
    """A structured array as a frame; ValueError for fields that are arrays."""
    import pandas as pd

    names = array.dtype.names or ()
    nested = [name for name in names if array.dtype[name].shape]
    if nested or array.ndim != 1:
        raise ValueError(
            f"expected a structured array of one axis with a number in each field, got shape "
            f"{array.shape}, arrays in {listed(nested) or 'no field'}; pass one field at a time"
        )
    return pd.DataFrame({name: array[name] for name in names})


def as_arrays(data: Any) -> Any:
    """Tensors as arrays, data sets as lists; ValueError for what would have to be iterated."""
    if isinstance(data, (list, tuple)):
        return [as_arrays(item) for item in data]
    if isinstance(data, Mapping):
        return {name: as_arrays(item) for name, item in data.items()}
    if isinstance(data, np.ndarray) or is_tensor(data):
        return unpacked(data)
    is_whole = isinstance(data, VALUES) or _is_table(data) or hasattr(data, "__array__")
    return data if is_whole else _as_list(data)


def _as_list(data: Any) -> Any:
    """The items of a data set as arrays; what is none as it is, and refused later."""
    _refuse_lazy(data)
    if is_stream(data) or hasattr(data, "__getitem__"):
        return [as_arrays(item) for item in items_of(data)]
    return data


def _refuse_lazy(data: Any) -> None:
    """ValueError for an object that holds no values yet, with how it gets them."""
    for method, advice in LAZY.items():
        if hasattr(data, method):
            raise ValueError(
                f"expected values, got {kind_of(data)}, which holds none yet; {advice}"
            )


def _is_from(package: str, data: Any) -> bool:
    """Whether an object is of a class of this package."""
    return type(data).__module__.split(".")[0] == package


def _from_arrays(data: Any, options: ReadOptions) -> Sequences:
    """Arrays, or a list of arrays, of (array, label) pairs, of records or of tables."""
    if not isinstance(data, (list, tuple)) or not len(data):
        return from_array(data, options)
    if all(isinstance(item, Mapping) for item in data):
        return _from_rows(data, options)
    if any(map(_is_table, data)):
        return _from_frames({str(k): item for k, item in enumerate(data)}, options)
    if all(map(is_labeled, data)):
        y = [np.asarray(label).item() for _, label in data]
        notes = ["each item is a pair of a series and its label"]
        return from_array([x for x, _ in data], options, y=y, notes=notes)
    if not any(map(axes_of, data)):
        return from_array(np.asarray(data), options)  # the values of one series
    for k, item in enumerate(data):
        _check_parts(k, item)
    return from_array(data, options)


def _from_rows(rows: Any, options: ReadOptions) -> Sequences:
    """Records, or columns by name, as a table."""
    import pandas as pd

    return from_table(Table(pd.DataFrame(rows), options, []))


def _check_parts(k: int, item: Any) -> None:
    """ValueError for an item of a list whose parts are arrays of several shapes."""
    if axes_of(item) != 1:
        return
    shapes = [np.shape(x) for x in item if axes_of(x)]
    if len({*shapes}) > 1 or 0 < len(shapes) < len(item):
        raise ValueError(
            f"expected each item to be a series, or a pair of a series and its label, got "
            f"{len(item)} parts in item {k}; pass a list of arrays (channels, time)"
        )


def _from_frames(items: Mapping[str, Any], options: ReadOptions) -> Sequences:
    """A recording from each frame, or tracks, named by the keys; columns go by their names.

    Raises:
        ValueError: naming the frame that is no table or lacks a column of the first.
    """
    tables = {}
    for name, item in items.items():
        frame = as_frame(item)
        if frame is None:
            raise ValueError(
                f"expected tables only, got {kind_of(item)} as item {name!r}"
            )
        if frame.shape[1] == 1 and _is_series(item):
            frame = frame.set_axis(["value"], axis=1)  # Series differ in their names
        tables[f"frame {name}"] = Table(frame, options, [])
    layout, id = _layout_of(tables, options)
    parts = from_tables(tables, layout, id)
    found = joined(parts, "frames")
    ids = [id.removeprefix("frame ") for id in found.ids]
    note = likely(f"{len(items)} tables, one recording each", "layout='wide'")
    notes = found.notes if layout == "wide" else (note, *found.notes)
    return replace(found, ids=ids, notes=notes)


def _layout_of(
    tables: Mapping[str, Table], options: ReadOptions
) -> tuple[str, str | None]:
    """What each of a list of tables is, and the columns that tell its series apart.

    They are recordings, unless the first holds tracks or names several series.
    """
    if options.layout is not None:
        return options.layout, None
    try:
        found = roles_of(next(iter(tables.values())))
    except AmbiguousError:
        return "recording", None
    if found.layout == "tracks":
        return "tracks", None
    ids = list(found.ids)
    several = found.layout == "long" and any(
        len(table.frame[ids].drop_duplicates()) > 1
        for table in tables.values()
        if {*ids} <= {*table.frame.columns}
    )
    return "recording", ",".join(ids) if several else None


def _from_mapping(data: Mapping[Any, Any], options: ReadOptions) -> Sequences:
    """A dict of frames or arrays, each a series; of columns of one table; or of `X` and `y`.

    Raises:
        AmbiguousError: columns of numbers of one length can be channels or series.
        ValueError: for anything else.
    """
    if not len(data):
        raise ValueError(f"expected arrays or tables, got an empty {kind_of(data)}")
    items = {str(name): _as_table(item) for name, item in data.items()}
    if {*items} <= {"X", "y"} and "X" in items:
        return from_array(as_arrays(items["X"]), options, y=items.get("y"))
    columns = {name: _as_column(item) for name, item in items.items()}
    wide = [item for name, item in items.items() if columns[name] is None]
    if any(map(_is_table, wide)):
        return _from_frames(items, options)
    if not wide and are_columns(columns, options):
        return _from_rows(columns, options)
    arrays = list(map(as_arrays, items.values()))
    own = replace(options, layout=None) if options.layout == "wide" else options
    return replace(from_array(arrays, own), ids=list(items))


def _as_table(item: Any) -> Any:
    """A dict of columns as a frame, anything else as it is."""
    if not isinstance(item, Mapping):
        return item
    import pandas as pd

    return pd.DataFrame(as_arrays(item))


def _as_column(item: Any) -> Any:
    """A value of a dict as a column of one axis, None if it has more axes or is a table."""
    if _is_table(item) and not _is_series(item):
        return None
    item = item if _is_table(item) else as_arrays(item)
    if isinstance(item, (list, tuple)) and any(np.ndim(x) for x in item):
        return None
    column = np.asarray(item)
    return column if column.ndim == 1 else None
