"""xarray's labeled arrays to sequences, by the names of their dimensions."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import ReadOptions
from .sequences import Array, Sequences, as_labels, as_text, listed, located
from .tables.build import Table, from_table
from .tables.names import find_label, says_id, says_time
from .tables.readings import AmbiguousError, Reading

if TYPE_CHECKING:
    import pandas as pd

CHANNELS = re.compile(
    r"channels?|sensors?|variables?|bands?|features?|axis|components?|electrodes?",
    re.IGNORECASE,
)
VARIABLES = "variables of the dataset"  # a dimension
SERIES = re.compile(
    r"n|samples?|instances?|series|cases?|trials?|subjects?|stations?|locations?|sites?|batch|"
    r"items?|examples?|records?|persons?",
    re.IGNORECASE,
)


def from_xarray(data: Any, options: ReadOptions) -> Sequences:
    """A DataArray or Dataset: time is a dimension, the others are series or channels by name.

    The variables of a Dataset are channels. `options.time`, `id` and `channel` name dimensions,
    `values` variables, `label` a variable or coordinate along the series.

    Raises:
        AmbiguousError: a dimension can be series or channels.
        ValueError: no dimension is the time, or too many are left.
    """
    with located("xarray"):
        if options.layout is not None:
            raise ValueError(
                "dimensions decide how xarray is read; leave out layout=, and name them with "
                "id=, time=, channel="
            )
        notes: list[str] = []
        grid = _as_grid(data, options, notes)
        time = _time_dim(grid, options)
        series, channels = _other_dims(grid, time, options)
        table = _as_table(grid, (series, time, channels), data, options)
        what = {"the time": [time], "the series": [series], "the channels": channels}
        named = [
            f"{listed(map(repr, dims))} {part}"
            for part, found in what.items()
            if (dims := [dim for dim in found if dim not in (None, VARIABLES)])
        ]
        notes.insert(0, f"dimensions: {', '.join(named)}")
        return from_table(Table(*table, notes), "xarray")


def _as_grid(data: Any, options: ReadOptions, notes: list[str]) -> Any:
    """One DataArray; several variables of a Dataset are a dimension of it."""
    if not hasattr(data, "data_vars"):
        return data
    names = list(data.data_vars)
    chosen = _chosen(data, options)
    left = [name for name in names if name not in (*chosen, options.label)]
    if left:
        notes.append(f"variables left out: {listed(left)}")
    if not chosen:
        raise ValueError(
            f"expected variables of numbers, got {listed(names) or 'none'}"
        )
    if len({frozenset(data[name].dims) for name in chosen}) > 1:
        raise ValueError(
            f"expected variables of the same dimensions, got {listed(chosen)}; choose some with "
            "values=A,B"
        )
    if len(chosen) == 1:
        return data[chosen[0]]
    return data[chosen].to_array(VARIABLES)


def _chosen(data: Any, options: ReadOptions) -> list[Any]:
    """The variables that options name, else those of numbers with the most dimensions."""
    for name in options.values or ():
        _check_name("values", name, data.data_vars, "variable")
    numeric = [name for name in data.data_vars if data[name].dtype.kind in "fiub"]
    most = max((data[name].ndim for name in numeric), default=0)
    widest = [name for name in numeric if data[name].ndim == most]
    return list(options.values or widest)


def _check_name(option: str, name: Any, known: Collection[Any], what: str) -> None:
    """ValueError for an option that names what does not exist."""
    if name and name not in known:
        raise ValueError(
            f"{option} names a {what} {name!r} that does not exist, got {listed(known)}"
        )


def _time_dim(grid: Any, options: ReadOptions) -> Any:
    """The dimension of time: named by `time`, with dates as coordinates, or called so."""
    dims = list(grid.dims)
    if options.time:
        _check_name("time", options.time, dims, "dimension")
        return options.time
    dated = [dim for dim in dims if dim in grid.coords and _is_dates(grid.coords[dim])]
    named = [dim for dim in dims if says_time(str(dim))]
    for found in (dated, named, dims):
        if len(found) == 1:
            return found[0]
    raise ValueError(
        f"expected one dimension of time, got {listed(dims)}; name it with time=NAME"
    )


def _is_dates(coordinate: Any) -> bool:
    if coordinate.dtype.kind == "M":
        return True
    if coordinate.size and hasattr(coordinate.values.flat[0], "calendar"):  # cftime
        raise ValueError(
            f"the dates of {coordinate.name!r} are of another calendar; convert them with "
            "data.convert_calendar('standard')"
        )
    return False


def _other_dims(grid: Any, time: Any, options: ReadOptions) -> tuple[Any, list[Any]]:
    """The dimension of the series, None for one series, and those of the channels."""
    others = [dim for dim in grid.dims if dim not in (time, VARIABLES)]
    _check_name("id", options.id, others, "dimension")
    _check_name("channel", options.channel, others, "dimension")
    own = _channels(others, options)
    variables = [VARIABLES] if VARIABLES in grid.dims else []
    channels = variables + own
    series = options.id or _find_series(others, own)
    left = [dim for dim in others if dim not in (series, *own)]
    if not left:
        return series, channels
    if len(left) == 1 and series is None:
        return _series_beside(grid, left[0], time, own), channels
    if len(left) == 1 and not channels:
        return series, left
    raise ValueError(
        f"expected dimensions of time, series and channels, got {listed([time, *others])}; "
        "select from the others, or stack them: data.stack(series=[...])"
    )


def _series_beside(grid: Any, dim: Any, time: Any, channels: list[Any]) -> Any:
    """The last dimension beside channels, which is that of the series.

    Raises:
        AmbiguousError: there are no channels, and it may be theirs.
    """
    if channels:
        return dim
    shown = grid.transpose(..., dim, time).values
    rows = shown.reshape(-1, *shown.shape[-2:])[0, :4, :4].tolist()
    readings = [
        Reading("each is a series", {"id": dim}, (), rows),
        Reading("each is a channel of one series", {"channel": dim}, (), rows),
    ]
    raise AmbiguousError(
        f"nothing says what the dimension {dim!r} of {grid.sizes[dim]} is", readings
    )


def _find_series(dims: list[Any], channels: list[Any]) -> Any | None:
    """The first dimension that is named like series, None if none is."""
    for dim in dims:
        if dim not in channels and (SERIES.fullmatch(str(dim)) or says_id(str(dim))):
            return dim
    return None


def _channels(dims: list[Any], options: ReadOptions) -> list[Any]:
    """The dimensions of channels: by option, else by name."""
    if options.channel:
        return [options.channel]
    others = [dim for dim in dims if dim != options.id]
    return [dim for dim in others if CHANNELS.fullmatch(str(dim))]


def _as_table(
    grid: Any,
    dims: tuple[Any, Any, list[Any]],
    data: Any,
    options: ReadOptions,
) -> tuple[pd.DataFrame, ReadOptions]:
    """A long table with a row for each time of each series, and the options that say so."""
    import pandas as pd

    series, time, channels = dims
    grid = grid.transpose(*filter(None, (series, time)), *channels)
    steps = grid.sizes[time]
    names = [str(grid.name or "value")]
    if channels:
        names = [
            "_".join(parts) for parts in product(*(_names(grid, c) for c in channels))
        ]
    values = grid.values.reshape(-1, len(names))
    frame = pd.DataFrame(values, columns=names)
    columns: dict[str, Any] = {}
    if series is not None:
        columns["id"] = np.repeat(_names(grid, series), steps)
    if time in grid.coords and options.time != "":
        columns["time"] = np.tile(grid.coords[time].values, len(values) // steps)
    labels = _labels(data, series, options)
    if labels is not None:
        columns["label"] = np.repeat(labels, steps)
    parts = {}
    for part, column in columns.items():
        parts[part] = part if part not in names else f"{part} of the data"
        frame[parts[part]] = column
    own = replace(
        options,
        layout="recording" if series is None else "long",
        id=parts.get("id", ""),
        time=parts.get("time", ""),
        label=parts.get("label", ""),
        values=tuple(names),
        channel=None,
    )
    return frame, own


def _names(grid: Any, dim: Any) -> list[str]:
    """The coordinates along a dimension as text, or its counts."""
    if dim not in grid.coords:
        return [str(k) for k in range(grid.sizes[dim])]
    return [as_text(name) for name in grid.coords[dim].values.tolist()]


def _labels(data: Any, series: Any | None, options: ReadOptions) -> Array | None:
    """The labels along the series: the variable or coordinate that is named so."""
    if series is None or options.label == "":
        return None
    known = {*data.coords, *getattr(data, "data_vars", ())}
    if options.label is not None and options.label not in known:
        raise ValueError(
            f"label names {options.label!r}, which does not exist, got {listed(known)}"
        )
    along = [name for name in known - {series} if data[name].dims == (series,)]
    name = options.label or find_label(map(str, along))
    return None if name is None else as_labels(data[name].values)
