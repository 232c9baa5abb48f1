"""Tables with a whole track in each row: LINESTRING (...), or a list of places."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...config import ReadOptions
from ..sequences import Array, listed
from .facts import Facts
from .names import find_label
from .numbers import convert
from .points import ORDERS, SAMPLED, WGS84, choose_order, is_place_name, without
from .readings import AmbiguousError, Reading, likely
from .roles import check_exists, find_places, row_names
from .steps import find_steps

if TYPE_CHECKING:
    import pandas as pd

LINE_NAME = re.compile(
    r"poly_?line|line(_?string)?|path|route|track|traj(ectory)?|trace|shape",
    re.IGNORECASE,
)
WKT_LINE = re.compile(
    r"\s*(?:SRID=(\d+);)?\s*LINESTRING\s*(?:Z|M|ZM)?\s*(\(.*\)|EMPTY)\s*",
    re.IGNORECASE | re.DOTALL,
)
SHORTEST = 3  # numbered columns that may be a series
ENCODED = re.compile(r"[?-~]{12,}")  # the letters of Google's polylines


def split_lines(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> tuple[pd.DataFrame, ReadOptions]:
    """A table with a track in each row as one with a fix in each row, without times.

    LINESTRING (...) is a track under any name. Lists of places, such as [[8.5, 47.4], ...], need a
    name of lines or places, or a request as in `split_points`. The other columns belong to the
    whole track: one that names it, and its label, are kept. A table without such a column, or with
    columns of places, is returned itself.

    Raises:
        AmbiguousError: nothing says what the two numbers of a place are.
        ValueError: a field is no list of places, or holds an encoded polyline.
    """
    if options.layout not in (None, "tracks", "scene"):
        return frame, options
    column = _line_column(frame, options)
    if column is None or find_places(frame, options) is not None:
        return frame, options
    if not _is_read_as_tracks(frame, column, options):
        return frame, options
    rows, places = _fixes(frame[column], notes)
    order = _order(frame[column], places, options, notes)
    names = frame.drop(columns=column)
    ids = row_names(names, options)
    label = _label(names, options)
    kept = [*ids, *([label] if label else [])]
    table = {str(name): names[name].to_numpy()[rows] for name in kept}
    if not ids:
        table["id"] = rows
    table |= dict(zip(order, places.T, strict=True))
    _note_lines(column, names, kept, ids, notes)
    options = replace(
        options,
        layout=options.layout or "tracks",
        id=",".join(map(str, ids)) or "id",
        time="",
        label=label or "",
        values=without(options.values, column, *order),
    )
    return _frame(table), options


def _is_read_as_tracks(frame: pd.DataFrame, column: Any, options: ReadOptions) -> bool:
    """Whether each row is a track: on request, or because nothing else says what it is."""
    requested = options.layout is not None or options.given("values")
    return bool(requested) or _are_rows_tracks(frame, column, options)


def _label(names: pd.DataFrame, options: ReadOptions) -> str | None:
    """The column of the label: the requested one, or one of such a name."""
    label = options.label if options.label is not None else find_label(map(str, names))
    if label:
        check_exists(names, "label", label)
    return label


def _fixes(column: pd.Series[Any], notes: list[str]) -> tuple[Array, Array]:
    """The row of each fix of all lines ``(n,)``, and its place ``(n, 2)``."""
    lines = [_places(cell, column.name) for cell in column]
    lengths = [len(line) for line in lines]
    if not any(lengths):
        raise ValueError(f"column {column.name!r} holds no line with a place")
    empty = lengths.count(0)
    if empty:
        notes.append(f"{empty} rows without a line are left out")
    places = np.concatenate([line[:, :2] for line in lines if len(line)])
    return np.repeat(np.arange(len(lines)), lengths), places


def _frame(table: dict[str, Any]) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame(table)


def _note_lines(
    column: Any,
    names: pd.DataFrame,
    kept: list[str],
    ids: tuple[str, ...],
    notes: list[str],
) -> None:
    owner = f"column {listed(map(repr, ids))}" if ids else "its row"
    sentence = (
        f"each row of column {column!r} is a track without times, named by {owner}"
    )
    notes.append(likely(sentence, "layout='long', or 'wide'"))
    unused = [n for n in names.columns if n not in kept]
    if unused:
        notes.append(f"columns of the whole track left out: {listed(unused)}")


def _line_column(frame: pd.DataFrame, options: ReadOptions) -> Any | None:
    """The column of lines, None if there is none."""
    for name in frame.select_dtypes(include=["object", "string"]).columns:
        cells = frame[name].dropna().head(SAMPLED).tolist()
        if not cells:
            continue
        if all(map(_is_wkt, cells)):
            return name
        if _may_be_lines(name, options) and all(map(_is_list_of_places, cells)):
            return name
        if "polyline" in str(name).lower() and all(map(_is_encoded, cells)):
            raise ValueError(
                f"column {name!r} holds encoded polylines (Google), which are not read; decode "
                "them with the package polyline: frame[column].map(polyline.decode), and pass "
                "values='lat,lon'"
            )
    return None


def _may_be_lines(name: Any, options: ReadOptions) -> bool:
    """Whether a column may hold lines, by its name or on request."""
    requested = options.values in ORDERS or str(name) in (options.values or ())
    return requested or is_place_name(name) or bool(LINE_NAME.search(str(name)))


def _is_wkt(cell: Any) -> bool:
    return isinstance(cell, str) and WKT_LINE.fullmatch(cell) is not None


def _are_rows_tracks(frame: pd.DataFrame, column: Any, options: ReadOptions) -> bool:
    """Whether rows are tracks, and not timesteps of series that lie along a line.

    Raises:
        AmbiguousError: rows may as well be series of numbered columns.
    """
    rest = convert(frame.drop(columns=column), options, [])
    rest.columns = rest.columns.map(str)
    numbers = [n for n in rest.columns if rest[n].dtype.kind in "fiu"]
    if numbers and frame[column].map(str).duplicated().any():
        return False
    steps = find_steps(Facts(rest, options, [])).names
    if len(steps) < SHORTEST:
        return True
    lines = [[cell] for cell in frame[column].head(SHORTEST)]
    rows = rest[steps].head(SHORTEST).to_numpy().tolist()
    raise AmbiguousError(
        f"column {column!r} holds a line in each row, beside {len(steps)} numbered columns",
        [
            Reading("each row is a track", {"layout": "tracks"}, [column], lines),
            Reading("each row is a series", {"layout": "wide"}, steps, rows),
        ],
    )


def _is_encoded(cell: Any) -> bool:
    return isinstance(cell, str) and ENCODED.fullmatch(cell) is not None


def _is_list_of_places(cell: Any) -> bool:
    """Whether a cell is a list of two or three numbers each, or empty; not all can be empty."""
    if isinstance(cell, str):
        return re.match(r"\s*\[\s*([\[(]|\])", cell) is not None
    if not isinstance(cell, (list, tuple, np.ndarray)):
        return False
    return all(np.ndim(place) == 1 and np.shape(place)[0] in (2, 3) for place in cell)


def _places(cell: Any, column: Any) -> Array:
    """The places of a line, float64 ``(n, 2 or more)``; none for a missing one."""
    if not isinstance(cell, str):
        cell = [] if np.ndim(cell) == 0 else cell
        return np.asarray([list(place) for place in cell], dtype=np.float64)
    try:
        array = np.asarray(_in_text(cell), dtype=np.float64)
        if array.size and (array.ndim != 2 or array.shape[1] < 2):
            raise ValueError(f"an array of shape {array.shape}")
    except ValueError as error:
        raise ValueError(
            f"expected a list of places in each field of column {column!r}, got "
            f"{cell[:60]!r} ({error})"
        ) from error
    return array


def _in_text(text: str) -> Any:
    """The places of LINESTRING (...), or of a list in text."""
    found = WKT_LINE.fullmatch(text)
    if found is None:
        return json.loads(text.replace("(", "[").replace(")", "]"))
    if found[2].upper() == "EMPTY":
        return []
    return [place.split() for place in found[2].strip()[1:-1].split(",")]


def _order(
    column: pd.Series[Any], places: Array, options: ReadOptions, notes: list[str]
) -> tuple[str, str]:
    """What the first and the second number of all places are."""
    first = column.dropna().iloc[0]
    found = WKT_LINE.fullmatch(first) if isinstance(first, str) else None
    if found and found[1] and found[1] != WGS84:
        raise ValueError(
            f"column {column.name!r} has the coordinate system SRID={found[1]}; expected longitude "
            f"and latitude (SRID={WGS84}); convert the places"
        )
    for order in ORDERS:
        if options.values == order:
            return order
    orders = [("lon", "lat")] if found else list(ORDERS)
    numbers = np.abs(places[:1000].ravel()).tolist()
    decimals = max(len(repr(number).partition(".")[2]) for number in numbers)
    return choose_order(f"column {column.name!r}", places, orders, decimals, notes)
