"""GPX, GeoJSON, GeoPandas and movingpandas to one table of fixes with the columns id, time, lon, lat (or x, y)."""

from __future__ import annotations

import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .delimited import IDS, LABELS, read_text
from .sequences import listed

if TYPE_CHECKING:
    import pandas as pd

TIME_LISTS = ("times", "coordTimes", "timestamps")


def read_gpx(path: Path) -> pd.DataFrame:
    """The points of tracks and routes of a .gpx file: a row each, a track for each segment; `type` is the label.

    Elevation is z; numbers in extensions (heart rate, cadence, ...) are columns under their own names.
    Raises ValueError for broken XML, a document type or entities (never expanded), a file without points.
    """
    text, _ = read_text(path)
    if forbidden := re.search(r"<!(DOCTYPE|ENTITY)", text, re.IGNORECASE):
        raise ValueError(
            f"{path}: holds {forbidden[0]}, which no GPX file needs and which can be an attack; remove it"
        )
    rows: list[dict[str, Any]] = []
    tracks = 0
    try:
        # The text is decoded already: what the XML declaration says of its encoding no longer holds.
        content = re.sub(r"^\s*<\?xml[^>]*\?>", "", text).encode()
        for _, element in ET.iterparse(io.BytesIO(content), events=("end",)):
            if (kind := _name(element)) in ("trk", "rte"):
                tracks += 1
                rows += _gpx_track(element, "trkpt" if kind == "trk" else "rtept", tracks, path)
                element.clear()
    except ET.ParseError as error:
        raise ValueError(f"{path}: not read as GPX: {error}; is the file cut short?") from error
    return _table(rows, path, "a track or route with points (trkpt or rtept)")


def read_geojson(path: Path) -> pd.DataFrame:
    """The fixes of a .geojson or .json file: lines and multipoints with times in their properties, or points.

    Times are a list as long as the line, in the properties `times`, `coordTimes` or `coordinateProperties.times`.
    Raises ValueError for broken JSON, other geometries, and times that do not fit the line.
    """
    text, _ = read_text(path)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not read as JSON: {error}; is the file cut short?") from error
    return from_features(data, str(path))


def from_features(data: Any, source: str) -> pd.DataFrame:
    """A GeoJSON object, already parsed, as a table of fixes; points beside lines are no fixes and are left out."""
    features = data.get("features", [data]) if isinstance(data, dict) else []
    if not isinstance(features, list):
        raise ValueError(
            f"{source}: expected a list of features (GeoJSON), got {type(features).__name__}"
        )
    points: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    names: set[str] = set()
    for number, feature in enumerate(features):
        try:
            geometry = feature.get("geometry") if feature["type"] == "Feature" else feature
            if geometry is not None and geometry["type"] == "Point":
                points.append(_point(feature, geometry))
            elif geometry is not None:
                rows += _lines(feature, geometry, number, names)
        except (TypeError, KeyError, AttributeError, IndexError, OverflowError) as error:
            raise ValueError(
                f"{source}: feature {number} is not as GeoJSON has it (RFC 7946): {error!r}"
            ) from error
        except ValueError as error:
            raise ValueError(f"{source}: feature {number}: {error}") from error
    return _table(
        rows or points, source, "a LineString, MultiLineString, MultiPoint or Points (GeoJSON)"
    )


def from_object(data: Any) -> pd.DataFrame | None:
    """The fixes of a GeoDataFrame, a movingpandas Trajectory or TrajectoryCollection; None for other objects."""
    import pandas as pd

    if hasattr(data, "trajectories"):
        parts = [part for part in map(from_object, data.trajectories) if part is not None]
        if not parts:
            raise ValueError(f"{type(data).__name__}: expected trajectories, got none")
        return pd.concat(parts, ignore_index=True)
    if hasattr(data, "df") and hasattr(
        data.df, "geometry"
    ):  # a Trajectory, its times are the index
        table = from_object(data.df)
        return None if table is None else table.assign(id=str(data.id))
    if not hasattr(data, "__geo_interface__"):
        return None
    if not isinstance(data, pd.DataFrame) or set(data.geom_type) - {"Point"}:
        return from_features(data.__geo_interface__, type(data).__name__)
    degrees = data.crs is None or data.crs.is_geographic
    names = ("lon", "lat") if degrees else ("x", "y")
    table = pd.DataFrame(data.drop(columns=[data.geometry.name, *(n for n in names if n in data)]))
    if isinstance(table.index, pd.DatetimeIndex):
        table = table.reset_index(names="time" if "time" not in table else None)
    return table.assign(
        **{names[0]: data.geometry.x.to_numpy(), names[1]: data.geometry.y.to_numpy()}
    )


def _table(rows: list[dict[str, Any]], source: object, wanted: str) -> pd.DataFrame:
    import pandas as pd

    if not rows:
        raise ValueError(f"{source}: expected {wanted}, found none")
    frame = pd.DataFrame(rows)
    return frame.drop(
        columns=[n for n in ("label", "time") if n in frame and frame[n].isna().all()]
    )


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _gpx_track(track: ET.Element, point: str, number: int, path: Path) -> Iterator[dict[str, Any]]:
    own = {_name(child): (child.text or "").strip() for child in track}
    segments = [s for s in track if _name(s) == "trkseg"] or [track]
    filled = [s for s in segments if any(_name(p) == point for p in s)]
    for k, segment in enumerate(filled, 1):
        name = f"{number} {own.get('name', '')}".strip() + f"#{k}" * (len(filled) > 1)
        for fix in segment:
            if _name(fix) == point:
                yield {**_gpx_point(fix, path), "id": name, "label": own.get("type") or None}


def _gpx_point(fix: ET.Element, path: Path) -> dict[str, Any]:
    row: dict[str, Any] = {"time": None}
    try:
        row |= {"lon": float(fix.attrib["lon"]), "lat": float(fix.attrib["lat"])}
        for leaf in fix.iter():
            text = (leaf.text or "").strip()
            if leaf is fix or len(leaf) or not text:
                continue
            if (name := _name(leaf)) == "time":
                row["time"] = row["time"] or text  # an extension may have one of its own
            elif name == "ele" or re.fullmatch(r"[+-]?\d+\.?\d*", text):
                row.setdefault("z" if name == "ele" else name, float(text))
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{path}: expected numbers in lat, lon and ele of each point, got {fix.attrib} ({error})"
        ) from error
    return row


def _point(feature: dict[str, Any], geometry: dict[str, Any]) -> dict[str, Any]:
    """A row with the properties of a point as columns."""
    properties = (feature.get("properties") or {}).items()
    return {
        **{k: v for k, v in properties if not isinstance(v, (list, dict))},
        **_place(geometry["coordinates"]),
    }


def _lines(
    feature: dict[str, Any], geometry: dict[str, Any], number: int, names: set[str]
) -> list[dict[str, Any]]:
    """A row a coordinate, with the properties that are ids and labels."""
    properties = feature.get("properties") or {}
    kind = geometry["type"]
    found = geometry["coordinates"]
    if kind not in ("LineString", "MultiPoint", "MultiLineString"):
        raise ValueError(
            f"expected a LineString, MultiLineString, MultiPoint or Point, got a {kind}"
        )
    lines = found if kind == "MultiLineString" else [found]
    times = _times_of(properties, lines)
    named = [
        v
        for k, v in properties.items()
        if v is not None and (IDS.fullmatch(k) or k.lower() == "name")
    ]
    name = str(named[0] if named else feature.get("id", number))
    name += f" ({number})" * (name in names)  # two lines of one name stay two tracks
    names.add(name)
    label = next((properties[k] for k in properties if k.lower() in LABELS), None)
    own = {
        k: v for k, v in properties.items() if isinstance(v, (str, int, float))
    }  # for those who ask by name
    return [
        {
            **own,
            "id": name + f"#{k}" * (len(lines) > 1),
            "label": label,
            "time": time,
            **_place(place),
        }
        for k, (line, clock) in enumerate(zip(lines, times, strict=True), 1)
        for place, time in zip(line, clock, strict=True)
    ]


def _place(coordinates: list[Any]) -> dict[str, float]:
    return {
        name: float(value) for name, value in zip(("lon", "lat", "z"), coordinates, strict=False)
    }


def _times_of(properties: dict[str, Any], lines: list[Any]) -> list[Any]:
    """The list of times of each line, None for each place where there are none."""
    nested = properties.get("coordinateProperties") or {}
    found = next((d[k] for d in (properties, nested) for k in TIME_LISTS if d.get(k)), None)
    if found is None:
        return [[None] * len(line) for line in lines]
    if len(lines) == 1 and not isinstance(found[0], list):
        found = [found]
    flat = [t for clock in found for t in clock] if isinstance(found[0], list) else list(found)
    if len(flat) != sum(map(len, lines)):
        raise ValueError(
            f"expected a time for each of {sum(map(len, lines))} coordinates, got {len(flat)} times, "
            f"such as {listed(flat[:2])}"
        )
    clock = iter(flat)
    return [[next(clock) for _ in line] for line in lines]
