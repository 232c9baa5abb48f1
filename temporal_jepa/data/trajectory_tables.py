"""Tables of GPS fixes: find the columns of track, time and place, and turn the rows into tracks.

A fix is a row with a track, a time and a place: longitude and latitude in degrees, or x and y in
meters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..config import ReadOptions
from .points import refuse_degrees_and_minutes, split_points
from .sequences import Array, Sequences, listed
from .series_tables import (
    Roles,
    as_matrix,
    find_roles,
    numeric_only,
    series_codes,
    series_labels,
    tidy,
)
from .times import read_column as read_times
from .trajectories import MOVEMENT_OPTIONS, Track, featurize

if TYPE_CHECKING:
    import pandas as pd

LONGITUDE = re.compile(r"(.*[\s_.:-])?(lon|lng|long|longitude)", re.IGNORECASE)
LATITUDE = re.compile(r"(.*[\s_.:-])?(lat|latitude)", re.IGNORECASE)
METERS = (("x", "y"), ("easting", "northing"), ("east", "north"))
HEIGHTS = ("z", "ele", "elevation", "alt", "altitude", "height")
OWNERS = re.compile(
    r"trip|user|person|animal|vehicle|vessel|ship|mmsi|imo|icao24|flight|callsign|imei|taxi|bus|"
    r"driver|device|name|(individual|tag)[_-]local[_-]identifier",
    re.IGNORECASE,
)
NOT_MEASURED = (*HEIGHTS, "year", "month", "day", "hour", "minute", "second")
FARTHEST = 1e12  # meters, beyond Saturn


class Places(NamedTuple):
    """The columns of longitude and latitude (`degrees`), or of x and y in meters."""

    x: str
    y: str
    degrees: bool


@dataclass(frozen=True)
class FixColumns:
    """What each column of a table of fixes is for.

    Attributes:
        places: the two columns of the places.
        id: the column that names the track, None for a single track.
        time: the column of the time, None if there is none.
        label: the column of the label, None if there is none.
        values: further columns of numbers.
    """

    places: Places
    id: str | None
    time: str | None
    label: str | None
    values: list[str]


def is_track_table(frame: pd.DataFrame, options: ReadOptions) -> bool:
    """Whether a table holds fixes: by its layout, or because longitude and latitude change.

    x and y can be anything, so they are places only if an option of tracks is given, such as
    `features` or `step`.
    """
    if options.layout is not None:
        return options.layout in ("tracks", "scene")
    split, own = _places_from_text(frame, options, [])
    if own is not options and options.values is not None:
        return True  # `values` asked for it
    table, options = tidy(split, own, [])
    places = _find_places(_may_be_places(table.columns, options))
    if places is None or {places.x, places.y} & {*(options.values or ())}:
        return False
    if not places.degrees and split is frame:
        return bool(options.given(*MOVEMENT_OPTIONS))
    roles = _find_track_roles(table, options, [])
    if roles.id is None and roles.time is None and table.shape[1] > 2:
        return False
    n_tracks = 1 if roles.id is None else table[roles.id].nunique()
    return len(table[[places.x, places.y]].drop_duplicates()) > n_tracks


def from_fixes(
    frame: pd.DataFrame,
    options: ReadOptions,
    source: str = "frame",
    notes: Iterable[str] = (),
) -> Sequences:
    """Read the tracks of a table of fixes, one series each.

    Channels are the features of `options`, then the further columns of numbers, or those that
    `options.values` names. Notes say what was inferred, repaired or left out.

    Raises:
        ValueError: a place or a time is impossible, a label changes within a track, a feature
            needs times that are missing, a column does not exist, or no track has two fixes.
    """
    lines = list(notes)
    frame, options = _places_from_text(frame, options, lines)
    frame, options = tidy(frame, options, lines)
    if list(frame.columns) == ["0", "1", "2", "3"] and not options.given("id", "time"):
        options = replace(options, id="1", time="0")
        lines.append("four columns without names are time, id, x and y")
    columns = _find_columns(frame, options, lines)
    if "z" in (options.features or ()):
        frame = frame.assign(z=frame[_find_height(frame)])
        columns = replace(
            columns, values=["z", *(n for n in columns.values if n != "z")]
        )
    tracks = _tracks(frame, columns, options.time_unit, lines)
    return featurize(tracks, columns.values, options, source, lines)


def _find_columns(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> FixColumns:
    """Decide what each column is for; what `options` leave open is inferred and noted."""
    roles = _find_track_roles(frame, options, notes)
    places = _find_places(_may_be_places(frame.columns, options))
    values = list(filter(None, options.values or ()))
    if options.values is None:
        spent = {*roles.reserved, *(places or ()), *(options.features or ())}
        rest = [
            n for n in frame.columns if n not in spent and n.lower() not in NOT_MEASURED
        ]
        values = numeric_only(frame, rest)
    if places is None:
        if len(values) < 2:
            raise ValueError(
                "expected columns of places, lon and lat or x and y, got "
                f"{listed(frame.columns)}; name two with values=A,B"
            )
        places = Places(values.pop(0), values.pop(0), degrees=False)
    columns = FixColumns(places, roles.id, roles.time, roles.label, values)
    _note_columns(columns, list(frame.columns), options, notes)
    return columns


def _note_columns(
    columns: FixColumns, names: list[str], options: ReadOptions, notes: list[str]
) -> None:
    x, y, degrees = columns.places
    layout = "scene" if options.layout == "scene" else "tracks"
    what = "longitude and latitude in degrees" if degrees else "x and y in meters"
    owner = f"{columns.id!r} names the track" if columns.id else "one track"
    clock = f", {columns.time!r} is the time" if columns.time else ""
    notes.append(
        f"layout {layout}: {what} are the columns {x!r} and {y!r}, {owner}{clock}"
    )
    used = (x, y, columns.id, columns.time, columns.label, *columns.values)
    unused = [name for name in names if name not in used]
    if unused:
        notes.append(f"columns left out: {listed(unused)}")


def _find_track_roles(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> Roles:
    """The columns of id, time and label, as far as they fit a table of fixes."""
    roles = find_roles(frame, options)
    if roles.time is not None and frame[roles.time].isna().all():
        roles.time = None
    if (
        options.label is None
        and roles.label is not None
        and frame[roles.label].isna().any()
    ):
        notes.append(
            f"column {roles.label!r} is not filled in every row, so it is not the label"
        )
        roles.label = None
    owners = [n for n in frame.columns if OWNERS.fullmatch(n)]
    if roles.id is not None:
        owners.insert(0, roles.id)
    roles.reserved.update(owners)
    if options.id is None:  # an id that never repeats counts the rows
        repeating = (name for name in owners if frame[name].duplicated().any())
        roles.id = next(repeating, None)
    return roles


def _find_height(frame: pd.DataFrame) -> str:
    names = {name.lower(): name for name in frame.columns}
    for height in HEIGHTS:
        if height in names:
            return names[height]
    raise ValueError(
        f"the feature z needs a column of heights ({', '.join(HEIGHTS)}), got "
        f"{listed(frame.columns)}"
    )


def _may_be_places(names: Iterable[str], options: ReadOptions) -> list[str]:
    return [n for n in names if n not in (options.id, options.time, options.label)]


def _find_places(names: list[str]) -> Places | None:
    """The columns of lon and lat (also location-long and location-lat), else of x and y."""
    lon = _by_prefix(LONGITUDE, names)
    lat = _by_prefix(LATITUDE, names)
    prefixes = lon.keys() & lat.keys()
    if (
        "" in prefixes or len(prefixes) == 1
    ):  # of several pairs, only plain lon and lat are clear
        prefix = min(prefixes)
        return Places(lon[prefix], lat[prefix], degrees=True)
    lower = {name.lower(): name for name in reversed(names)}
    for x, y in METERS:
        if x in lower and y in lower:
            return Places(lower[x], lower[y], degrees=False)
    return None


def _by_prefix(pattern: re.Pattern[str], names: list[str]) -> dict[str, str]:
    """The names that match a pattern, by their part before lon or lat."""
    return {
        match[1] or "": match[0] for match in map(pattern.fullmatch, names) if match
    }


def _places_from_text(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> tuple[pd.DataFrame, ReadOptions]:
    """The table with places that are text split in two columns, and its options."""
    names = [str(name) for name in frame.columns]
    if _find_places(_may_be_places(names, options)) is not None:
        return frame, options
    return split_points(frame, options, notes)


def _tracks(
    frame: pd.DataFrame, columns: FixColumns, unit: float | None, notes: list[str]
) -> list[Track]:
    """The fixes of each track in time order, without those that lack a place or repeat a time."""
    frame, places = _complete_fixes(frame, columns, notes)
    codes, names = series_codes(frame, columns.id, "track")
    labels = [None] * len(names)
    if columns.label is not None:
        labels = series_labels(frame, codes, names, columns.label).tolist()
    order = np.argsort(codes, kind="stable")
    times = None
    if columns.time is not None:
        times = _read_times(frame[columns.time], unit, notes)
        order = _time_order(times, codes, notes)
    values = as_matrix(frame, columns.values)
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
    frame: pd.DataFrame, columns: FixColumns, notes: list[str]
) -> tuple[pd.DataFrame, Array]:
    """The rows with a place and a time, and their places ``(n, 2)``."""
    x, y, degrees = columns.places
    for name in (x, y):
        refuse_degrees_and_minutes(frame[name])
    places = as_matrix(frame, [x, y])
    _check_places(places, columns.places)
    if degrees:
        places[:, 0] = (places[:, 0] + 180) % 360 - 180
    missing = {"place": np.isnan(places).any(axis=1)}
    if columns.time is not None:
        missing["time"] = frame[columns.time].isna().to_numpy()
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


def _read_times(column: pd.Series[Any], unit: float | None, notes: list[str]) -> Array:
    """Times as datetime64 or seconds; large numbers count ms, us or ns from 1970."""
    times = read_times(column, notes)
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
