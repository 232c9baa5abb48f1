"""KML, TCX and FIT files as tables of fixes with the columns id, time, lon, lat and z."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..sequences import listed
from .geo import table_of
from .libraries import needs, readable
from .markup import elements, tag, text_of

if TYPE_CHECKING:
    import pandas as pd

    Row = dict[str, Any]

SEMICIRCLE = 180 / 2**31  # degrees, the unit of places in FIT files


def read_kml(path: Path) -> pd.DataFrame:
    """Read a .kml file: each gx:Track and LineString is a track; points with a time are fixes.

    Raises:
        ValueError: the XML is broken, or holds no tracks, lines or points with times.
    """
    rows: list[Row] = []
    points: list[Row] = []
    count = 0
    for element in elements(path, "KML"):
        if tag(element) != "Placemark":
            continue
        name = text_of(element, "name")
        for inner in element.iter():
            if tag(inner) == "Track":
                found = _kml_track(inner)
            elif tag(inner) == "LineString":
                found = [{"time": None, **place} for place in _kml_places(inner)]
            elif tag(inner) == "Point" and text_of(element, "when"):
                place = _kml_places(inner)[0]
                points.append({"time": text_of(element, "when"), **place})
                continue
            else:
                continue
            count += 1
            rows += [{"id": f"{count} {name or ''}".strip(), **row} for row in found]
        element.clear()
    return table_of(rows or points, "a gx:Track, a LineString, or Points with a time")


def _kml_track(track: ET.Element) -> list[Row]:
    """The fixes of a gx:Track: as many times as coordinates."""
    times = [(e.text or "").strip() or None for e in track if tag(e) == "when"]
    coordinates = [(e.text or "").strip() for e in track if tag(e) == "coord"]
    if len(times) != len(coordinates):
        raise ValueError(
            f"expected a gx:coord for each when of a gx:Track, got {len(times)} times and "
            f"{len(coordinates)} coordinates"
        )
    return [
        {"time": time, **_place(text.split())}
        for time, text in zip(times, coordinates, strict=True)
        if text
    ]


def _kml_places(geometry: ET.Element) -> list[Row]:
    """The places of a geometry: "lon,lat,height lon,lat,height"."""
    texts = re.sub(r"\s*,\s*", ",", text_of(geometry, "coordinates") or "").split()
    if not texts:
        raise ValueError(f"expected coordinates in each {tag(geometry)}, got none")
    return [_place(text.split(",")) for text in texts]


def _place(numbers: list[str]) -> Row:
    try:
        place = dict(zip(("lon", "lat", "z"), map(float, numbers), strict=False))
    except ValueError as error:
        raise ValueError(
            f"expected numbers as coordinates, got {listed(numbers)[:80]!r}"
        ) from error
    if len(place) < 2:
        raise ValueError(f"expected lon and lat as coordinates, got {numbers}")
    return place


def read_tcx(path: Path) -> pd.DataFrame:
    """Read a .tcx file: each activity or course is a track, its sport is the label.

    Trackpoints without a position are left out if others have one.

    Raises:
        ValueError: the XML is broken, or holds no trackpoints.
    """
    rows: list[Row] = []
    count = 0
    for element in elements(path, "TCX"):
        if tag(element) not in ("Activity", "Course"):
            continue
        count += 1
        shared = {
            "id": f"{count} {text_of(element, 'Id') or text_of(element, 'Name') or ''}".strip(),
            "label": element.get("Sport"),
        }
        points = (inner for inner in element.iter() if tag(inner) == "Trackpoint")
        rows += [{**shared, **_trackpoint(point)} for point in points]
        element.clear()
    return _with_places(rows, "trackpoints (Trackpoint)")


def _trackpoint(point: ET.Element) -> Row:
    """The time, place and numbers of a trackpoint."""
    names = {
        "LongitudeDegrees": "lon",
        "LatitudeDegrees": "lat",
        "AltitudeMeters": "z",
        "DistanceMeters": "distance",
    }
    row: Row = {"time": text_of(point, "Time")}
    heart_rate = next((e for e in point if tag(e) == "HeartRateBpm"), None)
    if heart_rate is not None:
        text = text_of(heart_rate, "Value") or "nan"
        try:
            row["heart_rate"] = float(text)
        except ValueError as error:
            raise ValueError(
                f"expected a number in HeartRateBpm, got {text[:80]!r}"
            ) from error
    for element in point.iter():
        name = names.get(tag(element), tag(element))
        text = (element.text or "").strip()
        if name != "Value" and re.fullmatch(r"[+-]?\d+\.?\d*(?:[eE][+-]?\d+)?", text):
            row.setdefault(name, float(text))
    return row


def _with_places(rows: list[Row], wanted: str) -> pd.DataFrame:
    """The rows as a table, without those that lack a place if others have one."""
    placed = [row for row in rows if row.get("lon") is not None]
    return table_of(placed or rows, wanted)


def read_fit(path: Path) -> pd.DataFrame:
    """Read a .fit file: each session is a track, its sport is the label.

    Raises:
        ModuleNotFoundError: without garmin-fit-sdk.
        ValueError: the file is damaged, or holds no records.
    """
    needs("garmin_fit_sdk", "fit", "reading .fit")
    from garmin_fit_sdk import Decoder, Stream

    messages: Any
    with readable(path, "FIT file", RuntimeError, ValueError, IndexError, EOFError):
        content = bytearray(path.read_bytes())
        if not Decoder(Stream.from_byte_array(content)).check_integrity():
            raise ValueError("the check sum is wrong")
        messages, errors = Decoder(Stream.from_byte_array(content)).read()
        if errors:
            raise ValueError(errors[0])
    sessions = sorted(
        (s for s in messages.get("session_mesgs", []) if s.get("start_time")),
        key=lambda session: session["start_time"],
    )
    rows = [_fit_row(record, sessions) for record in messages.get("record_mesgs", [])]
    return _with_places(rows, "records of an activity")


def _fit_row(record: dict[Any, Any], sessions: list[dict[str, Any]]) -> Row:
    """The time, place and numbers of a record, and the session in which it lies."""
    time = record.get("timestamp")
    row: Row = {"id": "1", "time": time, "label": None}
    for k, session in enumerate(sessions, 1):
        if k == 1 or (time and session["start_time"] <= time):
            sport = session.get("sport")
            row |= {"id": str(k), "label": sport and str(sport)}
    for name, value in record.items():
        if not isinstance(value, (int, float)) or not isinstance(name, str):
            continue
        place = {"position_long": "lon", "position_lat": "lat"}.get(name)
        if place is not None:
            row[place] = value * SEMICIRCLE
            continue
        name = name.removeprefix("enhanced_")
        row["z" if name == "altitude" else name] = float(value)
    return row
