"""Tables of fixes to trajectories: which columns say who was where when, and which rows can be believed.

A fix is a row: an id, a time and a place, which is longitude and latitude in degrees or x and y in metres.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..config import ReadOptions
from .sequences import Sequences, listed
from .series_tables import (
    as_matrix,
    as_texts,
    find_ids,
    find_label,
    find_time,
    numeric_only,
    read_times,
    series_labels,
    tidy,
)
from .trajectories import MOVEMENT_OPTIONS, Floats, Track, described

if TYPE_CHECKING:
    import pandas as pd

DEGREES = re.compile(
    r"(?P<prefix>.*[\s_.:-])?(?P<axis>lon|lng|long|longitude|lat|latitude)", re.IGNORECASE
)
METRES = (("x", "y"), ("easting", "northing"), ("east", "north"))
HEIGHTS = ("z", "ele", "elevation", "alt", "altitude", "height")
OWNERS = re.compile(
    r"(?i:trip|user|person|animal|vehicle|vessel|ship|mmsi|imo|icao24|flight|callsign|imei|taxi|bus|driver|device|name|"
    r"(individual|tag)[_-]local[_-]identifier)"
)
KINDS = (
    "mode",
    "transport_mode",
    "activity",
    "species",
    "behaviour",
    "behavior",
    "kind",
    "type",
    "vehicle_type",
)
FARTHEST = 1e12  # metres, beyond Saturn
CALENDAR = {"year", "month", "day", "hour", "minute", "second"}  # parts of a time, no measurements
NUMBER = r"[+-]?\d+\.?\d*(?:[eE][+-]?\d+)?"
POINT = re.compile(
    rf"\s*(?:POINT\s*Z?\s*\()?\s*({NUMBER})[\s,;]+({NUMBER})(?:[\s,;]+{NUMBER})?\s*\)?\s*"
)


@dataclass
class _Roles:
    """What each column of a table of fixes is for; `degrees`: places are longitude and latitude."""

    places: tuple[str, str]
    degrees: bool
    id: str | None
    time: str | None
    label: str | None
    values: list[str]


def is_track_table(frame: pd.DataFrame, options: ReadOptions) -> bool:
    """Whether a table holds fixes: its layout says so, or it has longitude and latitude that change along a series.

    A table with x and y is one when a feature, step, gap or max_speed is asked for: x and y alone can be anything.
    """
    if options.layout is not None:
        return options.layout in ("tracks", "scene")
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    found = _find_places(frame, options)
    if found is None or not frame.columns.is_unique or set(found[0]) & set(options.values or ()):
        return False
    names, degrees = found
    if not degrees and len(set(names)) == 2:
        return bool(options.given(*MOVEMENT_OPTIONS))
    ids = _owners(frame, None) if not options.id else [options.id]
    repeated = bool(ids) and ids[0] in frame and bool(frame[ids[0]].duplicated().any())
    alone = set(names) >= {*frame.columns}
    timed = bool(options.time) or (options.time is None and find_time(frame) is not None)
    owners = frame[ids[0]].nunique() if repeated else 1
    return (repeated or alone or timed) and len(frame[list(set(names))].drop_duplicates()) > owners


def from_fixes(
    frame: pd.DataFrame,
    options: ReadOptions,
    source: str = "frame",
    notes: Iterable[str] = (),
) -> Sequences:
    """The tracks of a table of fixes, one series each, with the features of `options` as channels.

    Then come the further columns of numbers, or those that `options.values` names. What was repaired or left out is a
    note. Raises ValueError for impossible places and times, a label that changes, features that need times, columns
    that do not exist, and when no track has two fixes.
    """
    lines = [note for note in notes if not note.endswith("if they are the labels")]
    frame, options = tidy(frame, options, source, lines)
    frame, roles = _roles(frame, options, source, lines)
    tracks = _tracks(frame, roles, options.time_unit, source, lines)
    together = options.layout == "scene"
    return described(
        tracks, roles.values, options, source, lines, degrees=roles.degrees, together=together
    )


def _roles(
    frame: pd.DataFrame, options: ReadOptions, source: str, notes: list[str]
) -> tuple[pd.DataFrame, _Roles]:
    """Decide the part of each column; a column of text points becomes two of numbers."""
    if [*frame.columns] == ["0", "1", "2", "3"] and options.id is None and options.time is None:
        options = replace(options, id="1", time="0")
        notes.append("four columns without names are time, id, x and y")
    ident, time, label, spent = _named(frame, options, notes)
    found = _find_places(frame, options)
    if found is None:
        rest = list(
            options.values or numeric_only(frame, [n for n in frame.columns if n not in spent])
        )
        if len(rest) < 2:
            raise ValueError(
                f"{source}: expected columns of places, lon and lat or x and y, got "
                f"{listed(frame.columns)}; name two with values=A,B"
            )
        found = (rest[0], rest[1]), False
        options = replace(options, values=tuple(rest[2:]) if options.values else None)
    places, degrees = found
    if places[0] == places[1]:
        frame, places = _split_points(frame, places[0], degrees, source, notes)
    spent |= {*places, *(options.features or ())}
    others = [n for n in frame.columns if n not in spent and n.lower() not in {*CALENDAR, *HEIGHTS}]
    values = (
        numeric_only(frame, others) if options.values is None else [n for n in options.values if n]
    )
    if "z" in (options.features or ()):
        values = [_height(frame, source), *values]
    what = "longitude and latitude in degrees" if degrees else "x and y in metres"
    owner = f"{ident!r} names the track" if ident else "one track"
    clock = f", {time!r} is the time" * bool(time)
    notes.append(
        f"layout {options.layout or 'tracks'}: {what} are the columns {places[0]!r} and {places[1]!r}, {owner}"
        + clock
    )
    if unused := [n for n in frame.columns if n not in (ident, time, label, *places, *values)]:
        notes.append(f"columns left out: {listed(unused)}")
    return frame, _Roles(places, degrees, ident, time, label, values)


def _named(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> tuple[str | None, str | None, str | None, set[str | None]]:
    """The columns of id, time and label, and those that are no values: these, further ids, and what was ruled out."""
    time = find_time(frame) if options.time is None else options.time or None
    label = (
        find_label([str(n) for n in frame.columns], time)
        if options.label is None
        else options.label or None
    )
    if label is not None and options.label is None and frame[label].isna().any():
        notes.append(f"column {label!r} is not filled in every row: it is no label")
        label = None
    ids = _owners(frame, time)
    several = (n for n in ids if frame[n].duplicated().any())  # another id counts the rows
    ident = next(several, None) if options.id is None else options.id or None
    if label is None and options.label is None and ident is not None:
        kinds = (
            n
            for n in frame.columns
            if n.lower() in KINDS and n not in (ident, time) and frame[n].notna().all()
        )
        label = next((n for n in kinds if (frame.groupby(ident)[n].nunique() == 1).all()), None)
    spent = {ident, time, label, *ids}
    if options.time == "":
        spent.add(find_time(frame))
    return ident, time, label, spent


def _owners(frame: pd.DataFrame, time: str | None) -> list[str]:
    """Columns named like ids, else like what moves."""
    return find_ids(frame, time) or [n for n in frame.columns if OWNERS.fullmatch(n)]


def _height(frame: pd.DataFrame, source: str) -> str:
    height = next((n for want in HEIGHTS for n in frame.columns if n.lower() == want), None)
    if height is None:
        raise ValueError(
            f"{source}: the feature z needs a column of heights ({', '.join(HEIGHTS)}), got "
            f"{listed(frame.columns)}"
        )
    return str(height)


def _find_places(frame: pd.DataFrame, options: ReadOptions) -> tuple[tuple[str, str], bool] | None:
    """Two columns of places and whether they are degrees; one column twice when it holds both numbers as text."""
    names = [str(n) for n in frame.columns if n not in (options.id, options.time, options.label)]
    pairs: dict[str, dict[str, str]] = {}
    for name in names:
        if match := DEGREES.fullmatch(name):
            pairs.setdefault(match["prefix"] or "", {})[
                ["lon", "lat"][match["axis"].lower().startswith("lat")]
            ] = name
    whole = {prefix: pair for prefix, pair in pairs.items() if len(pair) == 2}
    if "" in whole or len(whole) == 1:
        pair = whole.get("") or next(iter(whole.values()))
        return (pair["lon"], pair["lat"]), True
    lower = {n.lower(): n for n in reversed(names)}
    for x, y in METRES:
        if x in lower and y in lower:
            return (lower[x], lower[y]), False
    for name in names:
        some = frame[name].dropna().head(20)
        if len(some) and all(isinstance(v, str) and POINT.fullmatch(v) for v in some):
            return (name, name), name.lower().startswith(("lat", "lon", "lng"))
    return None


def _split_points(
    frame: pd.DataFrame, name: str, degrees: bool, source: str, notes: list[str]
) -> tuple[pd.DataFrame, tuple[str, str]]:
    """A column of text such as "1.5 2.5" or "POINT (1.5 2.5)" as two columns of numbers."""
    parts = frame[name].astype("object").str.extract(POINT).astype(np.float64)
    wrong = np.flatnonzero(parts[0].isna() & frame[name].notna())
    if wrong.size:
        raise ValueError(
            f"{source}: expected two numbers in each field of column {name!r}, got "
            f"{frame[name].iloc[wrong[0]]!r} in data row {wrong[0] + 1}"
        )
    new = ("lon", "lat") if degrees else ("x", "y")
    first = new[::-1] if name.lower().startswith("lat") else new
    notes.append(f"column {name!r} holds two numbers: {first[0]} and {first[1]}")
    return frame.drop(columns=name).assign(**{first[0]: parts[0], first[1]: parts[1]}), new


def _tracks(
    frame: pd.DataFrame, roles: _Roles, unit: float | None, source: str, notes: list[str]
) -> list[Track]:
    """The fixes of each track in the order of time, without those that have no place, no time or a time twice."""
    import pandas as pd

    places = as_matrix(frame, list(roles.places), source)
    _check_places(places, roles, source)
    if roles.degrees:
        places[:, 0] = (places[:, 0] + 180) % 360 - 180
    has_place = ~np.isnan(places).any(axis=1)
    has_time = np.ones(len(frame), bool)
    if roles.time is not None:
        has_time = frame[roles.time].notna().to_numpy()
        if not has_time.any():
            roles.time = None
            has_time = ~has_time
    for missing, what in ((~has_place, "place"), (~has_time, "time")):
        if missing.any():
            notes.append(f"{missing.sum()} fixes without a {what} are left out")
    frame = frame[has_place & has_time]
    places = places[has_place & has_time]
    if not len(frame):
        raise ValueError(f"{source}: no row has a place" + " and a time" * (roles.time is not None))
    codes = np.zeros(len(frame), np.int64)
    names = ["track"]
    if roles.id is not None:
        codes, uniques = pd.factorize(
            np.array(as_texts(frame, roles.id, "id", source), dtype=object)
        )
        names = [str(name) for name in uniques]
    labels = (
        None if roles.label is None else series_labels(frame, codes, names, roles.label, source)
    )
    values = as_matrix(frame, roles.values, source)
    times = None if roles.time is None else _clock(frame[roles.time], unit, notes, source)
    order = _in_time(times, codes, notes)
    cuts = np.flatnonzero(np.diff(codes[order])) + 1
    return [
        Track(
            names[codes[rows[0]]],
            None if labels is None else str(labels[codes[rows[0]]]),
            None if times is None else times[rows],
            places[rows],
            values[rows],
        )
        for rows in np.split(order, cuts)
    ]


def _check_places(places: Floats, roles: _Roles, source: str) -> None:
    limits = ((-180, 360), (-90, 90)) if roles.degrees else ((-FARTHEST, FARTHEST),) * 2
    names = ("longitude", "latitude") if roles.degrees else ("number of metres",) * 2
    for k, (name, (low, high)) in enumerate(zip(names, limits, strict=True)):
        wrong = np.flatnonzero((places[:, k] < low) | (places[:, k] > high))
        if wrong.size:
            swapped = (
                roles.degrees
                and k
                and np.abs(places[wrong, 1]).max() <= 360
                and np.abs(places[:, 0]).max() <= 90
            )
            hint = (
                "are latitude and longitude swapped?"
                if swapped
                else "leave the field empty where it is missing"
            )
            raise ValueError(
                f"{source}: expected a {name} from {low:g} to {high:g} in column {roles.places[k]!r}, got "
                f"{places[wrong[0], k]:g} in data row {wrong[0] + 1} ({wrong.size} such rows); {hint}"
                + "; call metres x and y"
                * roles.degrees
            )


def _clock(
    column: pd.Series[Any], unit: float | None, notes: list[str], source: str
) -> npt.NDArray[Any]:
    """Times as datetime64 or numbers of seconds; numbers too large for seconds count from 1970 in smaller units."""
    times = read_times(column, notes, source)
    if times.dtype.kind == "M":
        if unit is not None:
            raise ValueError(
                f"{source}: column {column.name!r} holds dates, which need no time_unit=; leave it out"
            )
        return times
    if not np.isfinite(times).all():
        raise ValueError(f"{source}: column {column.name!r} holds infinite times; leave them empty")
    if unit is not None:
        notes.append(f"numbers in {column.name!r} count {unit:g} seconds each")
        return times * unit
    size = float(np.median(np.abs(times)))
    for least, part in ((1e17, "ns"), (1e14, "us"), (1e11, "ms")):
        if size >= least:
            notes.append(f"numbers in {column.name!r} are taken as {part} since 1970")
            return times.astype(np.int64).astype(f"datetime64[{part}]").astype("datetime64[ns]")
    notes.append(
        f"numbers in {column.name!r} are taken as seconds; time_unit=3600 if they are hours"
    )
    return times


def _in_time(
    times: npt.NDArray[Any] | None, codes: npt.NDArray[np.int64], notes: list[str]
) -> npt.NDArray[np.int64]:
    """Row numbers by track and time, the first row alone where a track has several at one time."""
    order = np.argsort(codes, kind="stable")
    if times is None:
        return order
    in_time = np.lexsort((times, codes))
    if moved := int((in_time != order).sum()):
        notes.append(f"{moved} fixes were not in the order of time and were sorted")
    again = (np.diff(codes[in_time]) == 0) & (times[in_time][1:] == times[in_time][:-1])
    if again.any():
        notes.append(
            f"{again.sum()} fixes at the time of another fix of the same track are left out"
        )
    kept: npt.NDArray[np.int64] = in_time[np.r_[True, ~again]]
    return kept
