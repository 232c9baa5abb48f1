"""Tables of GPS fixes: find the columns of track, time and place, and turn the rows into tracks.

A fix is a row with a track, a time and a place: longitude and latitude in degrees, or x and y in
meters.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import ReadOptions
from .names import says_id
from .points import refuse_degrees_and_minutes
from .roles import Places, Roles
from .sequences import Array, Sequences, listed
from .series_tables import as_matrix, series_codes, series_labels
from .times import read_times
from .trajectories import Track, featurize

if TYPE_CHECKING:
    import pandas as pd

HEIGHTS = ("z", "ele", "elevation", "alt", "altitude", "height")
NOT_MEASURED = (*HEIGHTS, "year", "month", "day", "hour", "minute", "second")
FARTHEST = 1e12  # meters, beyond Saturn


def from_fixes(
    frame: pd.DataFrame,
    columns: Roles,
    options: ReadOptions,
    source: str = "frame",
    notes: list[str] | None = None,
) -> Sequences:
    """Read the tracks of a table of fixes, one series each.

    Channels are the features of `options`, then the further columns of numbers, or those that
    `options.values` names. Notes say what was inferred, repaired or left out.

    Args:
        frame: a table with one level of text names.
        columns: the part of each column, with the layout "tracks" or "scene".
        options: how to read; their column names are in `columns`.
        source: where the table comes from, for messages.
        notes: what was inferred so far.

    Raises:
        ValueError: a place or a time is impossible, a label changes within a track, a feature
            needs times that are missing, or no track has two fixes.
    """
    lines = [] if notes is None else notes
    columns = _with_values(frame, columns, options)
    _note_columns(columns, list(frame.columns), lines)
    if "z" in (options.features or ()):
        frame = frame.assign(z=frame[_find_height(frame)])
        others = tuple(name for name in columns.values if name != "z")
        columns = replace(columns, values=("z", *others))
    tracks = _tracks(frame, columns, options, lines)
    return featurize(tracks, list(columns.values), options, source, lines)


def _with_values(frame: pd.DataFrame, columns: Roles, options: ReadOptions) -> Roles:
    """The roles with all columns of numbers that have no other part as values."""
    if columns.places is None:
        raise ValueError(
            "expected columns of places, lon and lat or x and y, got "
            f"{listed(frame.columns)}; name two with values=A,B"
        )
    if options.values is not None:
        return columns
    spent = {*columns.used, *(options.features or ())}
    values = []
    for name in frame.columns:
        measured = name.lower() not in NOT_MEASURED and not says_id(name)
        if name not in spent and measured and frame[name].dtype.kind in "fiub":
            values.append(name)
    return replace(columns, values=tuple(values))


def _note_columns(columns: Roles, names: list[str], notes: list[str]) -> None:
    assert columns.places is not None
    x, y, degrees = columns.places
    what = "longitude and latitude in degrees" if degrees else "x and y in meters"
    ids = ", ".join(map(repr, columns.ids))
    times = ", ".join(map(repr, columns.times))
    owner = f"{ids} names the track" if ids else "one track"
    clock = f", {times} is the time" if times else ""
    notes.append(
        f"layout {columns.layout}: {what} are the columns {x!r} and {y!r}, {owner}{clock}"
    )
    unused = [name for name in names if name not in columns.used]
    if unused:
        notes.append(f"columns left out: {listed(unused)}")


def _find_height(frame: pd.DataFrame) -> str:
    names = {name.lower(): name for name in frame.columns}
    for height in HEIGHTS:
        if height in names:
            return names[height]
    raise ValueError(
        f"the feature z needs a column of heights ({', '.join(HEIGHTS)}), got "
        f"{listed(frame.columns)}"
    )


def _tracks(
    frame: pd.DataFrame, columns: Roles, options: ReadOptions, notes: list[str]
) -> list[Track]:
    """The fixes of each track in time order, without those that lack a place or repeat a time."""
    assert columns.places is not None
    frame, places = _complete_fixes(frame, columns, options, notes)
    codes, names = series_codes(frame, columns.ids, "track")
    labels = [None] * len(names)
    if columns.label is not None:
        labels = series_labels(frame, codes, names, columns.label).tolist()
    order = np.argsort(codes, kind="stable")
    times = None
    if columns.times:
        times = _read_times(frame, columns, options, notes)
        order = _time_order(times, codes, notes)
    values = as_matrix(frame, columns.values, options)
    tracks = []
    for rows in np.split(order, np.flatnonzero(np.diff(codes[order])) + 1):
        code = codes[rows[0]]
        track = Track(
            id=names[code],
            label=labels[code],
            times=np.arange(len(rows)) if times is None else times[rows],
            places=places[rows],
            values=values[rows],
            timed=times is not None,
            degrees=columns.places.degrees,
        )
        tracks.append(track)
    return tracks


def _complete_fixes(
    frame: pd.DataFrame, columns: Roles, options: ReadOptions, notes: list[str]
) -> tuple[pd.DataFrame, Array]:
    """The rows with a place and a time, and their places ``(n, 2)``."""
    assert columns.places is not None
    x, y, degrees = columns.places
    for name in (x, y):
        refuse_degrees_and_minutes(frame[name])
    places = as_matrix(frame, [x, y], options)
    _check_places(places, columns.places)
    if degrees:
        places[:, 0] = (places[:, 0] + 180) % 360 - 180
    missing = {"place": np.isnan(places).any(axis=1)}
    if columns.times:
        missing["time"] = frame[list(columns.times)].isna().any(axis=1).to_numpy()
    for what, rows in missing.items():
        if rows.any():
            notes.append(f"{rows.sum()} fixes without a {what} are left out")
    complete = ~np.any(list(missing.values()), axis=0)
    if not complete.any():
        raise ValueError(f"no row has a {' and a '.join(missing)}")
    return frame.loc[complete], places[complete]


def _check_places(places: Array, columns: Places) -> None:
    limits = [("number of meters", -FARTHEST, FARTHEST)] * 2
    hint = "leave the field empty where it is missing"
    if columns.degrees:
        limits = [("longitude", -180, 360), ("latitude", -90, 90)]
        hint += ", and name the columns x and y if they are meters"
        if np.abs(places[:, 0]).max() <= 90 < np.abs(places[:, 1]).max() <= 360:
            hint = "are latitude and longitude swapped?"
    for column, numbers, (what, low, high) in zip(
        columns, places.T, limits, strict=False
    ):
        wrong = np.flatnonzero((numbers < low) | (numbers > high))
        if wrong.size:
            raise ValueError(
                f"expected a {what} from {low:g} to {high:g} in column {column!r}, got "
                f"{numbers[wrong[0]]:g} in data row {wrong[0] + 1} ({wrong.size} such rows); {hint}"
            )


def _read_times(
    frame: pd.DataFrame, columns: Roles, options: ReadOptions, notes: list[str]
) -> Array:
    """Times as datetime64 or seconds; large numbers count ms, us or ns from 1970."""
    assert columns.time is not None
    column = frame[columns.times[0]]
    unit = options.time_unit
    times = read_times(frame, columns.time, options, notes)
    if times.dtype.kind == "M":
        if unit is not None:
            raise ValueError(
                f"column {column.name!r} holds dates, which need no time_unit=; leave it out"
            )
        return times
    if not np.isfinite(times).all():
        raise ValueError(
            f"column {column.name!r} holds infinite times; leave them empty"
        )
    if unit is not None:
        notes.append(f"numbers in {column.name!r} count {unit:g} seconds each")
        return times * unit
    size = float(np.median(np.abs(times)))
    for least, part in ((1e17, "ns"), (1e14, "us"), (1e11, "ms")):
        if size >= least:
            notes.append(f"numbers in {column.name!r} are taken as {part} since 1970")
            return (
                times.astype(np.int64)
                .astype(f"datetime64[{part}]")
                .astype("datetime64[ns]")
            )
    notes.append(
        f"numbers in {column.name!r} are taken as seconds; time_unit=3600 if they are hours"
    )
    return times


def _time_order(times: Array, codes: Array, notes: list[str]) -> Array:
    """Row numbers sorted by track and time; of several fixes of a track at one time, the first."""
    order = np.lexsort((times, codes))
    moved = (order != np.argsort(codes, kind="stable")).sum()
    if moved:
        notes.append(f"{moved} fixes were not in time order and were sorted")
    same_track = np.diff(codes[order]) == 0
    times = times[order]
    repeated = np.r_[False, same_track & (times[1:] == times[:-1])]
    if repeated.any():
        notes.append(
            f"{repeated.sum()} fixes at the time of another fix of the same track are left out"
        )
    kept: Array = order[~repeated]
    return kept
