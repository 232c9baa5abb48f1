"""Places written as text, two numbers in a field: "47.37, 8.54", "POINT (8.54 47.37)"."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...config import ReadOptions
from ..sequences import Array
from .numbers import convert
from .readings import AmbiguousError, Reading, likely
from .roles import places_move

if TYPE_CHECKING:
    import pandas as pd

ORDERS = {
    ("lat", "lon"): "latitude and longitude in degrees",
    ("lon", "lat"): "longitude and latitude in degrees",
    ("x", "y"): "x and y in meters",
}
"""What the two numbers can be, in their order -> the sentence for it."""
PLACE_NAMES = re.compile(
    r"loc(ation)?|pos(ition)?|place|gps|pt|point|coords?|coordinates?|geom(etry)?|wkt|xy|"
    r"lat(itude)?|lng|lon(gitude)?|lat(lon|long|lng)|(lon|long|lng)lat"
)
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
WKT = r"(?:SRID=(?P<srid>\d+);)?\s*(?P<wkt>POINT\s*(?:Z|M|ZM)?)\s*"
POINT = re.compile(
    rf"\s*(?:{WKT})?[(\[]?\s*(?P<first>{NUMBER})(?P<sep>\s*[,;]\s*|\s+)(?P<second>{NUMBER})"
    rf"(?:(?P=sep){NUMBER})?(?:\s+{NUMBER})?\s*[)\]]?\s*",
    re.IGNORECASE,
)
ONE_NUMBER = re.compile(r"\s*[+-]?(?:\d{1,3}(?:[ ,]\d{3})+(?:\.\d+)?|\d+,\d+)\s*")
GEOJSON = re.compile(
    rf'\s*\{{\s*"type":\s*"Point",\s*"coordinates":\s*\[\s*({NUMBER})\s*,\s*({NUMBER})[^\]]*\]'
    r".*",
    re.IGNORECASE,
)
COMPASS = r"\s*[\"'\u2033]*\s*[NSEW]\b"
DEGREES_AND_MINUTES = re.compile(
    r"\W*(?:"
    r"\d{1,3}\s*[°º]"  # 47°12'
    rf"|\d{{1,3}}[\s:]+\d{{1,2}}(?:[\s:'.\u2032]+\d+)*{COMPASS}"  # 47 12 30 N
    rf"|\d{{1,3}}\.\d+{COMPASS}"  # 47.21 N
    r"|[NSEW]\s*\d{1,3}[°º\s:.]+\d"  # N 47 12
    r").*",
    re.IGNORECASE,
)
WGS84 = "4326"
SAMPLED = 20  # fields that decide whether a column holds points
DEGREE_DECIMALS = 3  # a place in degrees has at least as many; fewer are 1 km or more


def split_points(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> tuple[pd.DataFrame, ReadOptions]:
    """Split a column of places written as text into two columns of numbers.

    Points are believed under the name of a place, as "POINT (8.5 47.4)", or on request:
    `layout="tracks"` with the column in `values`, or `values` "lon,lat", "lat,lon" or "x,y" in a
    table without such columns. Without a request they must change along a series: the place of a
    station stays text. A table without points is returned itself.

    Returns:
        The table with the columns lon and lat, or x and y, and the options without the request.

    Raises:
        AmbiguousError: the fields can be single numbers, or nothing says what the two are.
        ValueError: some fields are no points, or hold degrees and minutes.
    """
    if options.layout not in (None, "tracks", "scene"):
        return frame, options
    order = _requested_order(frame, options)
    column = _point_column(frame, options, order is not None)
    if column is None:
        return frame, options
    filled = frame[column].notna()
    texts = _as_wkt(frame[column].astype("string").fillna(""))
    parts = texts.str.extract(POINT)
    wrong = texts[filled & parts["first"].isna()]
    if len(wrong):
        raise ValueError(
            f"expected two numbers in each field of column {column!r}, got {wrong.iloc[0]!r} "
            f"({len(wrong)} such rows)"
        )
    rest = frame.drop(columns=column)
    if order is None:
        if options.layout is None and not _move(rest, parts, options):
            return frame, options
        order = _order(column, parts[filled], texts[filled], notes)
    if options.values is not None:
        options = replace(options, values=without(options.values, column, *order))
    table = rest.assign(
        **{
            name: parts[part]
            for name, part in zip(order, ("first", "second"), strict=True)
        }
    )
    table = table.astype(dict.fromkeys(order, np.float64))
    notes.append(f"column {column!r} holds two numbers: {' and '.join(order)}")
    return table, options


def without(names: Iterable[str] | None, *others: Any) -> tuple[str, ...]:
    """The names that are not among others; none for None."""
    return tuple(name for name in names or () if name not in others)


def refuse_degrees_and_minutes(column: pd.Series[Any]) -> None:
    """ValueError when a column holds text such as 47°12.5'N."""
    if column.dtype.kind in "fiub":
        return
    texts = column.dropna().astype(str).head(SAMPLED)
    found = [text for text in texts if DEGREES_AND_MINUTES.fullmatch(text)]
    if found and len(found) == len(texts):
        raise ValueError(
            f"column {column.name!r} holds degrees and minutes, such as {found[0]!r}, which are "
            "not read; convert them to decimal degrees: degrees + minutes / 60 + seconds / 3600, "
            "negative in the south and west"
        )


def _move(rest: pd.DataFrame, parts: pd.DataFrame, options: ReadOptions) -> bool:
    """Whether places change along a series of a table with these other columns."""
    numbers = parts[["first", "second"]].astype(np.float64)
    table = rest.assign(lon=numbers["first"], lat=numbers["second"])
    return places_move(convert(table, options, []), options)


def _as_wkt(texts: pd.Series[Any]) -> pd.Series[Any]:
    """Texts with points of GeoJSON, which are longitude and latitude, as well-known text."""
    return texts.str.replace(GEOJSON, rf"SRID={WGS84};POINT(\1 \2)", regex=True)


def is_place_name(name: object) -> bool:
    """Whether a word of a column's name is a word for a place.

    >>> is_place_name("pickup_location"), is_place_name("GPS position"), is_place_name("close")
    (True, True, False)
    """
    words = re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", str(name)).lower())
    return any(PLACE_NAMES.fullmatch(word) for word in [*words, "".join(words)])


def _requested_order(
    frame: pd.DataFrame, options: ReadOptions
) -> tuple[str, ...] | None:
    """`options.values` if it says what the two numbers of a point are."""
    values = options.values
    if values in ORDERS and not {*values} & {*map(str, frame.columns)}:
        return values
    return None


def _point_column(
    frame: pd.DataFrame, options: ReadOptions, requested: bool
) -> Any | None:
    """The column of points, None if there is none."""
    texts = frame.select_dtypes(include=["object", "string", "category"])
    others = (options.id, options.time, options.label)
    on_request = options.layout in ("tracks", "scene")
    chosen = options.values or () if on_request else ()
    for name in texts.columns:
        if str(name) in others:
            continue
        named = requested or str(name) in chosen
        if _holds_points(frame, name, named, options.decimal):
            return name
    return None


def _holds_points(
    frame: pd.DataFrame, name: Any, named: bool, decimal: str | None
) -> bool:
    """Whether a column of text holds points, for any two numbers if an option names it.

    Raises:
        AmbiguousError: the fields can be single numbers.
        ValueError: they are degrees and minutes.
    """
    fields = _as_wkt(frame[name].dropna().head(SAMPLED).astype(str))
    if is_place_name(name):
        refuse_degrees_and_minutes(fields)
    found = [match for match in map(POINT.fullmatch, fields) if match]
    if not found or len(found) < len(fields):
        return False
    if named or all(match["wkt"] for match in found):
        return True
    if not is_place_name(name):
        return False
    if decimal is None and all(map(ONE_NUMBER.fullmatch, fields)):
        raise _number_or_point(frame, name)
    return not all(map(ONE_NUMBER.fullmatch, fields))


def _number_or_point(frame: pd.DataFrame, name: Any) -> AmbiguousError:
    texts = [str(text).strip() for text in frame[name].dropna().head(SAMPLED)]
    pairs = [re.split(r"[\s,;]+", text)[:2] for text in texts]
    points = [
        Reading(f"two numbers, {sentence}", {"values": ",".join(order)}, order, pairs)
        for order, sentence in ORDERS.items()
    ]
    rows = [[text.replace(",", ".")] for text in texts]
    one = Reading("one number with a decimal comma", {"decimal": ","}, [name], rows)
    rows = [[re.sub(r"[ ,]", "", text)] for text in texts]
    large = Reading(
        "one number with thousands separators", {"decimal": "."}, [name], rows
    )
    question = (
        f"column {name!r} holds one number or the two numbers of a place in each field"
    )
    return AmbiguousError(question, [*points, one, large])


def _order(
    name: Any, parts: pd.DataFrame, texts: pd.Series[Any], notes: list[str]
) -> tuple[str, ...]:
    """What the first and the second number of all points are."""
    others = {*parts["srid"].dropna()} - {WGS84}
    if others:
        raise ValueError(
            f"column {name!r} has the coordinate system SRID={min(others)}; expected longitude "
            f"and latitude (SRID={WGS84}); convert the places"
        )
    if parts["srid"].notna().all():
        return ("lon", "lat")
    named = _order_in_name(str(name))
    if named is not None:
        return named
    numbers = parts[["first", "second"]].to_numpy(np.float64)
    orders = [("lon", "lat")] if parts["wkt"].notna().all() else list(ORDERS)
    return choose_order(f"column {name!r}", numbers, orders, _decimals(parts), notes)


def choose_order(
    what: str,
    numbers: Array,
    orders: list[tuple[str, str]],
    decimals: int,
    notes: list[str],
) -> tuple[str, str]:
    """What two numbers without names are, out of `orders` or meters.

    Args:
        what: where they stand, for messages.
        numbers: ``(n, 2)``.
        orders: the orders of degrees that the way of writing allows.
        decimals: how many they are written with.
        notes: gets what was inferred.

    Raises:
        AmbiguousError: more than one order fits the numbers.
    """
    meters = ("x", "y")
    limits = {"lon": 180, "lat": 90}
    largest = np.nanmax(np.abs(numbers), axis=0)
    fitting = [
        order
        for order in orders
        if order != meters
        and all(x <= limits[axis] for axis, x in zip(order, largest, strict=True))
    ]
    if not fitting:
        notes.append(
            likely(f"the two numbers of {what} are x and y in meters", "values='A,B'")
        )
        return meters
    if len(fitting) == 1 and decimals >= DEGREE_DECIMALS:
        sentence = f"the two numbers of {what} are {ORDERS[fitting[0]]}"
        notes.append(likely(sentence, "values='x,y'"))
        return fitting[0]
    readings = [
        Reading(ORDERS[order], {"values": ",".join(order)}, order, numbers[:4].tolist())
        for order in [*fitting, meters]
    ]
    raise AmbiguousError(f"nothing says what the two numbers of {what} are", readings)


def _order_in_name(name: str) -> tuple[str, str] | None:
    """The order that a name such as LatLon, lat_lng or xy states."""
    letters = re.sub(r"[^a-z]", "", name.lower())
    found = re.search(
        r"(lat(?:itude)?)(?:lon|lng)|(?:lon|lng|long|longitude)(lat)|(xy)$", letters
    )
    if found is None:
        return None
    if found[3]:
        return ("x", "y")
    return ("lat", "lon") if found[1] else ("lon", "lat")


def _decimals(parts: pd.DataFrame) -> int:
    """The most decimals with which the two numbers are written."""
    decimals = parts[["first", "second"]].stack().str.extract(r"\.(\d+)")[0]
    return int(decimals.str.len().max()) if decimals.notna().any() else 0
