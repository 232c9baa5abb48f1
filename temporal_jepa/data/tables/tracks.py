"""Tables of GPS fixes: find the columns of track, time and place, and turn the rows into tracks.

A fix is a row with a track, a time and a place: longitude and latitude in degrees, or x and y in
meters.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ...config import TIME_UNITS, ReadOptions
from ..sequences import Array, Sequences, listed
from ..trajectories import NoTrackError, Track, featurize
from .epochs import SINCE_1970, may_be_excel, since_1970
from .names import DATE_NAMES, says_id, unit_in_name
from .readings import AmbiguousError, Reading, likely
from .roles import Places, Roles
from .row_order import Order, in_order
from .series import as_matrix, series_codes, series_labels
from .time_columns import TimeColumns
from .times import missing_times, read_times
from .unused import left_out

if TYPE_CHECKING:
    import pandas as pd

HEIGHTS = ("z", "ele", "elevation", "alt", "altitude", "height")
NOT_MEASURED = (*HEIGHTS, "year", "month", "day", "hour", "minute", "second")
UNKNOWN_PLACE = (181.0, 91.0)  # longitude and latitude of AIS
UNKNOWN_VALUES = {
    "sog": 102.3,
    "speedoverground": 102.3,
    "cog": 360.0,
    "courseoverground": 360.0,
    "heading": 511.0,
    "trueheading": 511.0,
    "hdg": 511.0,
}
"""Column of an AIS table, its letters in lower case -> the number that stands for unknown."""
ELSEWHERE = 0.1  # fixes of a track that may be at two places at one time
FARTHEST = 1e12  # meters, beyond Saturn


def from_fixes(
    frame: pd.DataFrame,
    columns: Roles,
    options: ReadOptions,
    source: str,
    notes: list[str],
) -> Sequences:
    """Read the tracks of a table of fixes, one series each.

    Channels are the features of `options`, then the further columns of numbers, or those that
    `options.values` names. Notes say what was inferred, repaired or left out.

    Args:
        frame: a table with one level of text names.
        columns: the part of each column, with the layout "tracks" or "scene".
        options: how to read; their column names are in `columns`.
        source: where the table comes from, for messages.
        notes: what was inferred so far; more is added.

    Raises:
        ValueError: a place or a time is impossible, a label changes within a track, a feature
            needs times that are missing, or no track has two fixes.
    """
    columns = with_values(frame, columns, options)
    _note_columns(columns, frame, notes)
    if options.label is None and columns.label is None and columns.ids:
        _note_possible_labels(frame, columns, notes)
    if "z" in (options.features or ()):
        frame = frame.assign(z=frame[_find_height(frame)])
        others = tuple(name for name in columns.values if name != "z")
        columns = replace(columns, values=("z", *others))
    tracks = _tracks(frame, columns, options, notes)
    return featurize(tracks, list(columns.values), options, source, notes)


def with_values(frame: pd.DataFrame, columns: Roles, options: ReadOptions) -> Roles:
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
        is_number = frame[name].dtype.kind in "fiub"
        if name in spent or not (measured and is_number):
            continue
        if not (_is_ais(frame) and (frame[name] == _unknown(name)).all()):
            values.append(name)
    return replace(columns, values=tuple(values))


def _note_columns(columns: Roles, frame: pd.DataFrame, notes: list[str]) -> None:
    assert columns.places is not None
    x, y, degrees = columns.places
    what = "longitude and latitude in degrees" if degrees else "x and y in meters"
    ids = ", ".join(map(repr, columns.ids))
    times = ", ".join(map(repr, columns.times))
    owner = f"{ids} names the track" if ids else "one track"
    verb = "are" if len(columns.times) > 1 else "is"
    clock = f", {times} {verb} the time" if times else ""
    notes.append(
        f"layout {columns.layout}: {what} are the columns {x!r} and {y!r}, {owner}{clock}"
    )
    unused = [name for name in frame.columns if name not in columns.used]
    if unused:
        notes.append(left_out(frame, unused))


def _note_possible_labels(
    frame: pd.DataFrame, columns: Roles, notes: list[str]
) -> None:
    """A note on each text that has one entry in each track, and several in all."""
    owners = frame.groupby(list(columns.ids), sort=False, dropna=False)
    for name in frame.columns:
        is_text = frame[name].dtype.kind not in "fiubMm"
        if name in columns.used or says_id(name) or not is_text:
            continue
        if frame[name].nunique() > 1 and owners[name].nunique(dropna=False).max() == 1:
            hint = f"label={name!r} if it is the label"
            notes.append(f"column {name!r} is the same throughout each track; {hint}")


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
    stable = np.argsort(codes, kind="stable")
    order = Order(stable, np.arange(len(codes)))
    times = None
    if columns.time is not None:
        times = _read_times(frame, columns.time, codes, options, notes)
        how = options.duplicates or "first"
        order = in_order(times, codes, names, how, notes, what=("fixes", "track"))
        if options.duplicates is None:
            _check_owners(places, order)
        times = times[order.rows]
    matrix = as_matrix(frame, columns.values, options)
    values = order.take(_without_ais_unknown(frame, matrix, columns, notes))
    places = _places_in_order(places, order, columns.places.degrees)
    codes = codes[order.rows]
    tracks = []
    cuts = np.flatnonzero(np.diff(codes)) + 1
    for rows in np.split(np.arange(len(codes)), cuts):
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
    places = as_matrix(frame, [x, y], options)
    if degrees:
        places = _without_unknown(places, _is_ais(frame), notes)
    _check_places(places, columns.places)
    if degrees:
        places[:, 0] = _within_180(places[:, 0])
    missing = {"place": np.isnan(places).any(axis=1)}
    if columns.time is not None:
        missing["time"] = missing_times(frame, columns.time)
    for what, rows in missing.items():
        if rows.any():
            notes.append(f"{rows.sum()} fixes without a {what} are left out")
    complete = ~np.any(list(missing.values()), axis=0)
    if not complete.any():
        raise NoTrackError(f"no row has a {' and a '.join(missing)}")
    return frame.loc[complete], places[complete]


def _is_ais(frame: pd.DataFrame) -> bool:
    """Whether a table holds messages of ships, which have an MMSI."""
    return any(name.lower() == "mmsi" for name in frame.columns)


def _without_unknown(places: Array, is_ais: bool, notes: list[str]) -> Array:
    """Longitudes and latitudes, NaN where a ship says that it does not know them (181, 91)."""
    matches = places == UNKNOWN_PLACE
    unknown = matches.any(axis=1) if is_ais else matches.all(axis=1)
    if unknown.any():
        notes.append(
            f"{unknown.sum()} fixes at longitude 181 or latitude 91 are missing: AIS writes so "
            "what it does not know"
        )
        places = np.where(unknown[:, None], np.nan, places)
    at_zero = (places == 0).all(axis=1)
    if at_zero.any() and not at_zero.all():
        notes.append(
            f"{at_zero.sum()} fixes are at longitude 0, latitude 0, where recorders put a place "
            "that they do not know; max_speed=50 drops such jumps"
        )
    return places


def _without_ais_unknown(
    frame: pd.DataFrame, values: Array, columns: Roles, notes: list[str]
) -> Array:
    """Values ``(n, channels)``, NaN where AIS writes that a speed, course or heading is unknown."""
    if not _is_ais(frame):
        return values
    for k, name in enumerate(columns.values):
        unknown = _unknown(name)
        found = values[:, k] == unknown
        if unknown is not None and found.any():
            notes.append(
                f"{found.sum()} values {unknown:g} of {name!r} are missing: AIS writes so what it "
                "does not know"
            )
            values[found, k] = np.nan
    return values


def _unknown(name: str) -> float | None:
    """The number that AIS writes in a column of this name for what it does not know."""
    return UNKNOWN_VALUES.get("".join(filter(str.isalpha, name.lower())))


def _check_places(places: Array, columns: Places) -> None:
    limits = [("number of meters", -FARTHEST, FARTHEST)] * 2
    hint = "leave the field empty where it is missing"
    if columns.degrees:
        limits = [("longitude", -180, 360), ("latitude", -90, 90)]
        hint += ", and name the columns x and y if they are meters"
        largest = np.nanmax(np.abs(places), axis=0, initial=0)
        if largest[0] <= 90 < largest[1] <= 360:
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


def _check_owners(places: Array, order: Order) -> None:
    """ValueError where many fixes are elsewhere at the time of another: they are of two tracks."""
    elsewhere = (places != places[order.first]).any(axis=1)
    if elsewhere.mean() > ELSEWHERE:
        raise ValueError(
            f"{elsewhere.sum()} of {len(places)} fixes are elsewhere at the time of another fix of "
            "their track; name the column of the tracks with id=COLUMN, or choose "
            "duplicates='first', duplicates='last' or duplicates='mean' if they are of one track"
        )


def _places_in_order(places: Array, order: Order, degrees: bool) -> Array:
    """Places ``(m, 2)`` of the timesteps; the mean of longitudes is on the side of the first."""
    if not degrees or not order.mean:
        return order.take(places)
    places = places.copy()
    first = places[order.first, 0]
    places[:, 0] = first + _within_180(places[:, 0] - first)
    taken = order.take(places)
    taken[:, 0] = _within_180(taken[:, 0])
    return taken


def _within_180(degrees: Array) -> Array:
    """Angles from -180 to below 180; those that are so already keep every digit."""
    outside = (degrees < -180) | (degrees >= 180)
    return np.where(outside, (degrees + 180) % 360 - 180, degrees)


def _read_times(
    frame: pd.DataFrame,
    columns: TimeColumns,
    codes: Array,
    options: ReadOptions,
    notes: list[str],
) -> Array:
    """Times as datetime64 or seconds; large numbers count ms, us or ns from 1970."""
    times = read_times(frame, columns, options, notes, codes)
    if times.dtype.kind == "M" or columns.kind == "clock":
        return times
    name = columns.names[0]
    if not np.isfinite(times).all():
        raise ValueError(f"column {name!r} holds infinite times; leave them empty")
    if options.time_unit is not None or frame[name].dtype.kind == "m":
        return times
    size = float(np.median(np.abs(times)))
    for part, least in SINCE_1970:
        if size >= least:
            sentence = f"numbers in {name!r} are taken as {part} since 1970"
            notes.append(likely(sentence, "time_unit='s'"))
            return since_1970(times, part)
    unit = unit_in_name(name)
    if unit is not None:
        notes.append(f"numbers in {name!r} count {unit}, as its name says")
        return times * TIME_UNITS[unit]
    _ask_for_calendar(name, times)
    sentence = f"numbers in {name!r} are taken as seconds"
    notes.append(likely(sentence, "time_unit='ms'"))
    return times


def _ask_for_calendar(name: str, times: Array) -> None:
    """AmbiguousError for numbers under the name of a date that are days of Excel since 1970."""
    if name.lower() not in DATE_NAMES or not may_be_excel(times):
        return
    readings = [
        Reading("days of Excel", {"time_unit": "excel"}),
        Reading("seconds", {"time_unit": "s"}),
    ]
    raise AmbiguousError(f"numbers in {name!r} can be two kinds of times", readings)
