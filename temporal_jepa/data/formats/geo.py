"""Read GPX and GeoJSON files as one table of fixes with the columns id, time, lon, lat and z."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config import ReadOptions
from ...files.sealed import json_type
from ..sequences import listed
from ..tables.names import LABELS, says_id
from ..tables.readings import likely
from .markup import elements, tag

if TYPE_CHECKING:
    import pandas as pd

    Row = dict[str, Any]

GPX_TRACKS = ("trk", "rte")
GPX_SEGMENTS = ("trk", "trkseg", "rte")  # what may hold points
GPX_POINTS = ("trkpt", "rtept")
TIME_LISTS = ("times", "coordTimes", "timestamps")
LINES = ("LineString", "MultiPoint", "MultiLineString")
MEASURE = "m"  # the column of a fourth coordinate
EPOCH = (2e8, 4e9)  # seconds since 1970 of the years 1976 to 2096
DATED = re.compile(r"date|time|stamp|year|month|day|begin|start|end$", re.IGNORECASE)


def read_gpx(path: Path, notes: list[str]) -> pd.DataFrame:
    """Read a .gpx file as a table with one row per point of a track or route.

    Each segment is a track of its own. The type of a track is its label, elevation is the column
    z, and numbers in extensions (heart rate, cadence, ...) are columns under their own names. In a
    file without tracks, waypoints that all have a time are one track, with a note.

    Raises:
        ValueError: the XML is broken, declares a document type or entities, or has no points.
    """
    rows: list[Row] = []
    waypoints: list[Row] = []
    n_tracks = 0
    for element in elements(path, "GPX"):
        if tag(element) in GPX_TRACKS:
            n_tracks += 1
            rows += _gpx_rows(element, n_tracks)
            element.clear()
        elif tag(element) == "wpt":
            waypoints.append(_gpx_point(element))
            element.clear()
    if waypoints and not rows:
        if not all(row["time"] for row in waypoints):
            raise ValueError(
                f"holds {len(waypoints)} waypoints (wpt) without times, and no track or route: "
                "places without an order; write them as a table (lon, lat) if they are a path"
            )
        notes.append(
            f"{len(waypoints)} waypoints are one track, in the order of their times"
        )
        rows = waypoints
    return table_of(rows, "a track or route with points (trkpt or rtept)")


def _gpx_rows(track: ET.Element, number: int) -> list[Row]:
    """The points of a track or route, with the id "NUMBER NAME#SEGMENT"."""
    fields = {tag(child): (child.text or "").strip() for child in track}
    name = f"{number} {fields.get('name', '')}".strip()
    segments = []
    for element in track.iter():
        points = [child for child in element if tag(child) in GPX_POINTS]
        if points and tag(element) in GPX_SEGMENTS:
            segments.append(points)
    rows = []
    for k, points in enumerate(segments, 1):
        owner = name if len(segments) == 1 else f"{name}#{k}"
        for point in points:
            row = _gpx_point(point)
            row["id"] = owner
            row["label"] = fields.get("type") or None
            rows.append(row)
    return rows


def _gpx_point(point: ET.Element) -> Row:
    row: Row = {"time": None}
    try:
        row["lon"] = float(point.attrib["lon"])
        row["lat"] = float(point.attrib["lat"])
        for element in point.iter():
            name = tag(element)
            text = (element.text or "").strip()
            if not text:
                continue
            if name == "time":
                row["time"] = (
                    row["time"] or text
                )  # an extension may have a time of its own
            elif name == "ele":
                row.setdefault("z", float(text))
            elif re.fullmatch(r"[+-]?\d+\.?\d*", text):
                row.setdefault(name, float(text))
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"expected numbers in lat, lon and ele of each point, got {str(point.attrib)[:200]} "
            f"({str(error)[:80]})"
        ) from error
    return row


def read_geojson(
    data: Any, options: ReadOptions
) -> tuple[pd.DataFrame, ReadOptions, list[str]]:
    """GeoJSON as a table of fixes.

    Lines and multipoints are tracks, with one row per coordinate. Their times are a list in the
    properties `times`, `coordTimes` or `coordinateProperties.times`, or a fourth coordinate. In a
    file without lines each point is a fix, and its properties are columns.

    Returns:
        The table, the options with what is known of its columns, and notes.

    Raises:
        ValueError: a geometry or the coordinate system is not supported, or the number of times
            differs from the number of coordinates.
    """
    _check_crs(data)
    features = data.get("features", [data]) if isinstance(data, dict) else []
    if not isinstance(features, list):
        raise ValueError(
            f"expected a list of features (GeoJSON), got {json_type(features)}"
        )
    points: list[Row] = []
    lines: list[Row] = []
    names: set[str] = set()
    for number, feature in enumerate(features):
        try:
            geometry = (
                feature.get("geometry") if feature["type"] == "Feature" else feature
            )
            if geometry is None:
                continue
            if geometry["type"] == "Point":
                points.append(_point_row(feature, geometry))
            else:
                lines += _line_rows(feature, geometry, number, names)
        except (
            TypeError,
            KeyError,
            AttributeError,
            IndexError,
            OverflowError,
        ) as error:
            raise ValueError(
                f"feature {number} is not valid GeoJSON (RFC 7946): {error!r}"
            ) from error
        except ValueError as error:
            raise ValueError(f"feature {number}: {error}") from error
    wanted = "a LineString, MultiLineString, MultiPoint or Points (GeoJSON)"
    frame = table_of(lines or points, wanted)
    notes: list[str] = []
    frame = _with_time_of_coordinates(frame, options, notes)
    if lines:
        options = _options_of_lines(frame, options, notes)
    return frame, options, notes


def _check_crs(data: Any) -> None:
    """ValueError when a file names another coordinate system than WGS84."""
    crs = data.get("crs") if isinstance(data, dict) else None
    if not isinstance(crs, dict):
        return
    properties = crs.get("properties")
    name = str(properties.get("name") if isinstance(properties, dict) else crs)
    if not re.search(r"CRS84h?$|\b(4326|4979)$|WGS ?84$", name, re.IGNORECASE):
        raise ValueError(
            f"the coordinate system is {name!r}; expected longitude and latitude in degrees "
            "(WGS84, EPSG:4326): convert it, with ogr2ogr -t_srs EPSG:4326 or to_crs(4326) of "
            "GeoPandas"
        )


def _with_time_of_coordinates(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> pd.DataFrame:
    """The table with a third or fourth coordinate as the time if it counts since 1970."""
    for name, what in ((MEASURE, "fourth"), ("z", "third")):
        if name not in frame or "time" in frame or options.time is not None:
            continue
        for unit in (1.0, 1e3):  # seconds, milliseconds
            if frame[name].between(EPOCH[0] * unit, EPOCH[1] * unit).all():
                sentence = f"the {what} coordinate is the time since 1970"
                keep = f"time='', and values={name!r} for a channel"
                notes.append(likely(sentence, keep))
                return frame.rename(columns={name: "time"})
        if name == MEASURE:
            notes.append(f"the fourth coordinate is the column {name!r}, not a time")
    return frame


def _options_of_lines(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> ReadOptions:
    """The options with the id and the time of lines, whose other properties are of whole lines."""
    if options.time is None and "time" not in frame:
        dates = [name for name in frame.columns if DATED.search(name)]
        whole = f": {listed(dates)} is of the whole line" if dates else ""
        notes.append(f"the points of the lines have no times{whole}")
    return replace(
        options,
        id="id" if options.id is None else options.id,
        time=options.time or ("time" if "time" in frame else ""),
    )


def _point_row(feature: dict[str, Any], geometry: dict[str, Any]) -> Row:
    """The coordinates of a point, and its properties as further columns."""
    properties = feature.get("properties") or {}
    row = {name: v for name, v in properties.items() if not isinstance(v, (list, dict))}
    row.update(_coordinates(geometry["coordinates"]))
    return row


def _line_rows(
    feature: dict[str, Any], geometry: dict[str, Any], number: int, names: set[str]
) -> list[Row]:
    """One row per coordinate, with the id, the label and the other properties of the feature."""
    kind = geometry["type"]
    if kind not in LINES:
        raise ValueError(f"expected a Point, {', '.join(LINES)}, got a {kind}")
    coordinates = geometry["coordinates"]
    lines = coordinates if kind == "MultiLineString" else [coordinates]
    properties = feature.get("properties") or {}
    times = iter(_line_times(properties, sum(map(len, lines))))
    name = _line_name(feature, properties, number, names)
    shared: Row = {
        k: v for k, v in properties.items() if isinstance(v, (str, int, float))
    }
    shared["label"] = next(
        (v for k, v in properties.items() if k.lower() in LABELS), None
    )
    rows = []
    for k, line in enumerate(lines, 1):
        shared["id"] = name if len(lines) == 1 else f"{name}#{k}"
        for place in line:
            rows.append({**shared, "time": next(times), **_coordinates(place)})
    return rows


def _line_name(
    feature: dict[str, Any], properties: dict[str, Any], number: int, names: set[str]
) -> str:
    """The id or name of a line; lines that share a name stay separate tracks."""
    name = str(feature.get("id", number))
    for key, value in properties.items():
        if value is not None and says_id(key):
            name = str(value)
            break
    if name in names:
        name += f" ({number})"
    names.add(name)
    return name


def _line_times(properties: dict[str, Any], n_coordinates: int) -> list[Any]:
    """The times of all coordinates of a feature, None where it has none."""
    nested = properties.get("coordinateProperties") or {}
    lists = [place.get(key) for place in (properties, nested) for key in TIME_LISTS]
    times = next(filter(None, lists), None)
    if times is None:
        return [None] * n_coordinates
    if isinstance(times[0], list):  # one list per line
        times = [time for line in times for time in line]
    if len(times) != n_coordinates:
        raise ValueError(
            f"expected a time for each of {n_coordinates} coordinates, got {len(times)} times, "
            f"such as {listed(times[:2])}"
        )
    return list(times)


def _coordinates(position: list[Any]) -> dict[str, float]:
    return {
        name: float(x)
        for name, x in zip(("lon", "lat", "z", MEASURE), position, strict=False)
    }


def table_of(rows: list[Row], wanted: str) -> pd.DataFrame:
    """The rows as a frame without empty labels and times; ValueError if there are none."""
    import pandas as pd

    if not rows:
        raise ValueError(f"expected {wanted}, found none")
    frame = pd.DataFrame(rows)
    empty = [
        name for name in ("label", "time") if name in frame and frame[name].isna().all()
    ]
    return frame.drop(columns=empty)
