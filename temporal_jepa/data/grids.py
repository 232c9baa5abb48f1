"""xarray's labeled arrays to sequences, by the names of their dimensions."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from ..config import ReadOptions
from .names import find_label, says_id
from .readings import AmbiguousError, Reading
from .sequences import Array, Sequences, as_labels, as_text, listed, located
from .times import says_time

CHANNELS = re.compile(
    r"channels?|sensors?|variables?|bands?|features?|axis|components?|electrodes?",
    re.IGNORECASE,
)
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
        notes: list[str] = []
        grid, own_channels = _as_grid(data, options, notes)
        time = _time_dim(grid, options)
        series, channel = _other_dims(grid, time, own_channels, options)
        grid = grid.transpose(*filter(None, (series, time, channel)))
        values = np.asarray(grid.values)
        if series is None:
            values = values[None]
        if channel is None:
            values = values[..., None]
        ids = ["0"] if series is None else _names(grid, series)
        what = f"dimension {time!r} is the time"
        what += f", {series!r} the series" if series is not None else ""
        what += (
            f", {channel!r} the channels" if channel not in (None, own_channels) else ""
        )
        name = [str(grid.name or "value")]
        times = grid.coords[time].values if time in grid.coords else None
        return Sequences(
            list(values),
            labels=_labels(data, series, options),
            ids=ids,
            channels=name if channel is None else _names(grid, channel),
            times=None if times is None else [times] * len(values),
            source="xarray",
            notes=(what, *notes),
        )


def _as_grid(
    data: Any, options: ReadOptions, notes: list[str]
) -> tuple[Any, str | None]:
    """One DataArray, and the dimension of its variables, None for a DataArray."""
    if not hasattr(data, "data_vars"):
        return data, None
    names = list(data.data_vars)
    if options.values:
        missing = [name for name in options.values if name not in names]
        if missing:
            raise ValueError(
                f"values names a variable {missing[0]!r} that does not exist, got {listed(names)}"
            )
        chosen = list(options.values)
    else:
        widest = max((data[name].ndim for name in names), default=0)
        chosen = [
            name
            for name in names
            if data[name].ndim == widest and data[name].dtype.kind in "fiub"
        ]
    left = [name for name in names if name not in chosen and name != options.label]
    if left:
        notes.append(f"variables left out: {listed(left)}")
    if not chosen:
        raise ValueError(
            f"expected variables of numbers, got {listed(names) or 'none'}"
        )
    dims = {data[name].dims for name in chosen}
    if len({frozenset(dim) for dim in dims}) > 1:
        raise ValueError(
            f"expected variables of the same dimensions, got {listed(dims)}; choose some with "
            "values=A,B"
        )
    inner = "variable" if "variable" not in data.dims else "variables of the dataset"
    return data[chosen].to_array(inner), inner


def _time_dim(grid: Any, options: ReadOptions) -> Any:
    """The dimension of time: named by `time`, with dates as coordinates, or called so."""
    dims = list(grid.dims)
    if options.time:
        if options.time not in dims:
            raise ValueError(
                f"time names a dimension {options.time!r} that does not exist, got {listed(dims)}"
            )
        return options.time
    dated = [dim for dim in dims if dim in grid.coords and _is_dates(grid.coords[dim])]
    named = [dim for dim in dims if says_time(str(dim))]
    for found in (dated, named):
        if len(found) == 1:
            return found[0]
    if len(dims) == 1:
        return dims[0]
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


def _other_dims(
    grid: Any, time: Any, own_channels: str | None, options: ReadOptions
) -> tuple[Any | None, Any | None]:
    """The dimensions of the series and of the channels."""
    others = [dim for dim in grid.dims if dim not in (time, own_channels)]
    channel: Any | None = own_channels
    if channel is None:
        channel = options.channel or next(
            (dim for dim in others if CHANNELS.fullmatch(str(dim))), None
        )
    series = options.id or next(
        (dim for dim in others if _names_series(dim) and dim != channel), None
    )
    left = [dim for dim in others if dim not in (series, channel)]
    if len(left) == 1 and channel is not None and series is None:
        return left[0], channel
    if len(left) == 1 and series is not None and channel is None:
        return series, left[0]
    if len(left) == 1 and series is None:
        name = left[0]
        shown = grid.transpose(name, time).values[:4, :4].tolist()
        raise AmbiguousError(
            f"dimension {name!r} of {grid.sizes[name]}",
            [
                Reading("each is a series", {"id": name}, (), shown),
                Reading(
                    "each is a channel of one series", {"channel": name}, (), shown
                ),
            ],
        )
    if left:
        raise ValueError(
            f"expected dimensions of time, series and channels, got {listed(grid.dims)}; select "
            "from the others, or stack them: data.stack(series=[...])"
        )
    return series, channel


def _names_series(dim: Any) -> bool:
    name = str(dim)
    return SERIES.fullmatch(name) is not None or says_id(name)


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
