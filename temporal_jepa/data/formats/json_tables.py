"""JSON to a table: records, lines, columns, and the layouts that pandas writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config import ReadOptions
from ...files.sealed import json_type
from ..sequences import listed
from ..tables.build import Table
from ..tables.columns import are_columns
from ..tables.readings import AmbiguousError, Reading
from .libraries import BROKEN, check_size
from .textfiles import inner_suffix, read_text

if TYPE_CHECKING:
    import pandas as pd

OBJECTS = 8  # bytes of Python's objects for a character of JSON, about
GEOMETRIES = {
    "Point",
    "LineString",
    "Polygon",
    "MultiPoint",
    "MultiLineString",
    "MultiPolygon",
    "GeometryCollection",
    "Feature",
    "FeatureCollection",
}


def load_json(path: Path, options: ReadOptions) -> Any:
    """The content of a JSON file, or a list of the values of a file with one on each line.

    Raises:
        ValueError: the JSON is broken, with the line.
    """
    text, _ = read_text(path, options)
    check_size(OBJECTS * len(text), path, "write it as .parquet or .csv")
    if inner_suffix(path, options.table) not in (".jsonl", ".ndjson"):
        try:
            return _parsed(text)
        except ValueError:
            first, _, others = text.strip().partition("\n")
            if not others.strip() or not _is_complete(first):
                raise
    values = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            values.append(_parsed(line, f"line {number} is not valid JSON"))
    return values


def _parsed(text: str, error: str = "not valid JSON") -> Any:
    """The value of a JSON text; ValueError where it is broken."""
    try:
        return json.loads(text)
    except RecursionError as cause:
        raise ValueError(f"{error}: nested too deeply") from cause
    except ValueError as cause:
        raise ValueError(f"{error}: {cause}; is the file cut short?") from cause


def _is_complete(line: str) -> bool:
    """Whether a line is a JSON value by itself."""
    try:
        return isinstance(_parsed(line), (dict, list))
    except ValueError:
        return False


def is_geojson(data: Any) -> bool:
    """Whether JSON holds places in the way of RFC 7946."""
    return isinstance(data, dict) and data.get("type") in GEOMETRIES


def read_json(data: Any, options: ReadOptions) -> Table:
    """The table in JSON: a list of records, columns, rows, or one of these under a key.

    `options.table` chooses a key, "A.B" the key B under A; with `layout` "long", each key with
    records is a series.

    Raises:
        AmbiguousError: several keys hold tables, or keys can be channels or series.
        ValueError: the JSON holds no table.
    """
    notes: list[str] = []
    data = _under_key(data, options, notes)
    try:
        frame = (
            _from_records(data)
            if isinstance(data, list)
            else _from_columns(data, options)
        )
    except BROKEN as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ValueError(
            f"expected records or columns of numbers and texts, which no table holds ({reason})"
        ) from error
    return Table(frame, replace(options, table=None), notes)


def _under_key(data: Any, options: ReadOptions, notes: list[str]) -> Any:
    """The part of an object that holds the table, the whole if it is one."""
    if options.table is not None:
        return _at(data, options.table)
    if not isinstance(data, dict) or _is_columns(data) or _is_of_pandas(data):
        return data
    tables = {name: data[name] for name in data if _is_table(data[name])}
    if len(tables) > 1:
        return _series_of_keys(tables, options)
    return _only_table(data, next(iter(tables)), notes) if tables else data


def _only_table(data: dict[str, Any], name: str, notes: list[str]) -> Any:
    """The table under a key, the whole if other keys hold lists."""
    others = {other: data[other] for other in data if other != name}
    if any(isinstance(value, list) for value in others.values()):
        return data
    left = f", {listed(others)} left out" if others else ""
    notes.append(f"the key {name!r} holds the table{left}")
    return data[name]


def _is_table(value: Any) -> bool:
    return _is_records(value) or _is_columns(value)


def _series_of_keys(
    tables: dict[str, Any], options: ReadOptions
) -> list[dict[str, Any]]:
    """Records of several keys as one list in which the key is the id, as `layout` "long" asks."""
    if options.layout != "long" or not all(map(_is_records, tables.values())):
        raise AmbiguousError("several keys hold tables", _choices(tables))
    return [{"id": name, **row} for name, rows in tables.items() for row in rows]


def _at(data: Any, key: str) -> Any:
    """What stands under a key, or under "A.B"."""
    if isinstance(data, dict) and key in data:
        return data[key]
    first, _, rest = key.partition(".")
    if rest and isinstance(data, dict) and first in data:
        return _at(data[first], rest)
    keys = listed(data) if isinstance(data, dict) else "no object"
    raise ValueError(f"table={key!r}: expected a key of the file, got {keys}")


def _choices(tables: Mapping[str, Any]) -> list[Reading]:
    """Each table as a reading, and all of them as series if they have the same fields."""
    readings = []
    headers = set()
    for name, table in tables.items():
        rows = table[:3] if isinstance(table, list) else None
        if rows is None:
            width = len(next(iter(table.values())))
            rows = [
                {column: values[k] for column, values in table.items()}
                for k in range(min(width, 3))
            ]
        header = list(rows[0])
        headers.add(tuple(header))
        cells = [[row.get(column) for column in header] for row in rows]
        readings.append(Reading("the table", {"table": name}, header, cells))
    if len(headers) == 1 and all(map(_is_records, tables.values())):
        header = ["id", *next(iter(headers))]
        cells = [[name, *table[0].values()] for name, table in tables.items()]
        readings.append(
            Reading("each key names a series", {"layout": "long"}, header, cells)
        )
    return readings


def _is_records(value: Any) -> bool:
    """Whether a value is a list of objects."""
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(row, dict) for row in value)


def _is_columns(value: Any) -> bool:
    """Whether a value is an object of lists."""
    if not isinstance(value, dict) or not value or _is_of_pandas(value):
        return False
    columns = value.values()
    return all(isinstance(column, list) and column for column in columns) and not any(
        map(_is_records, columns)
    )


def _is_of_pandas(data: Mapping[str, Any]) -> bool:
    """Whether an object is one that `DataFrame.to_json` writes with orient split or table."""
    header = {"columns", "schema"} & {*data}
    return bool(header) and isinstance(data.get("data"), list)


def _from_records(data: list[Any]) -> pd.DataFrame:
    """A list of objects, of rows or of numbers as a frame."""
    import pandas as pd

    if not data:
        raise ValueError("expected records, got an empty list")
    if _is_records(data):
        return pd.json_normalize(data)
    kinds = {type(row) for row in data}
    if kinds == {list}:
        has_names = data[0] and all(isinstance(name, str) for name in data[0])
        return _from_rows(data) if has_names else pd.DataFrame({"value": data})
    if kinds <= {int, float, bool, type(None)}:
        return pd.DataFrame({"value": pd.Series(data, dtype="float64")})
    names = sorted(kind.__name__ for kind in kinds)
    raise ValueError(
        f"expected a list of records, of rows or of numbers, got {listed(names)}"
    )


def _from_rows(rows: list[list[Any]]) -> pd.DataFrame:
    """Rows of one length as a frame; the first holds the names of the columns."""
    import pandas as pd

    widths = {*map(len, rows)}
    if len(widths) > 1:
        raise ValueError(
            f"expected rows of {len(rows[0])} fields, as the first names, got "
            f"{listed(sorted(widths))}"
        )
    return pd.DataFrame(rows[1:], columns=rows[0])


def _from_columns(data: Any, options: ReadOptions) -> pd.DataFrame:
    """An object of columns or of series, or one that pandas wrote, as a frame."""
    import pandas as pd

    if not isinstance(data, dict) or not data:
        raise ValueError(f"expected records or columns, got {json_type(data)}")
    if _is_of_pandas(data):
        return _from_pandas(data)
    if _is_columns(data):
        return _from_lists(data, options)
    kinds = {type(value) for value in data.values()}
    if kinds == {dict}:
        return _from_nested(data)
    if list in kinds and dict not in kinds:
        return pd.DataFrame([data])  # one series, and what is known of it
    found = listed(f"{name} ({json_type(v)})" for name, v in data.items())
    raise ValueError(
        f"expected records or columns, got an object of {found}; choose one with table=KEY"
    )


def _from_lists(data: dict[str, list[Any]], options: ReadOptions) -> pd.DataFrame:
    """An object of lists as a frame: they are its columns, or a series each."""
    import pandas as pd

    nested = any(isinstance(column[0], list) for column in data.values())
    if nested and len({*map(len, data.values())}) > 1:
        raise ValueError(f"expected lists of one length, got {listed(data)}")
    if nested or are_columns(data, options):
        return pd.DataFrame(data)
    return pd.DataFrame({"id": list(data), "value": list(data.values())})


def _from_pandas(data: Mapping[str, Any]) -> pd.DataFrame:
    """An object of orient split (columns, index, data) or table (schema, data) as a frame."""
    import pandas as pd

    if "columns" in data:
        try:
            return pd.DataFrame(data["data"], data.get("index"), data["columns"])
        except ValueError as error:
            raise ValueError(
                "expected as many rows in data as names in index, and as many values in each as "
                f"names in columns ({error})"
            ) from error
    frame = pd.json_normalize(data["data"])
    keys = (
        data["schema"].get("primaryKey") if isinstance(data["schema"], dict) else None
    )
    is_index = keys in ("index", ["index"]) and "index" in frame
    return frame.drop(columns="index") if is_index else frame


def _from_nested(data: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Columns that are objects of row -> value, as `DataFrame.to_json` writes them."""
    import pandas as pd

    rows = list(next(iter(data.values())))
    if all(list(column) == rows for column in data.values()):
        if rows == [str(k) for k in range(len(rows))]:
            return pd.DataFrame(
                {name: [*column.values()] for name, column in data.items()}
            )
        if list(data) == [str(k) for k in range(len(data))]:
            return pd.json_normalize([{**row} for row in data.values()])
    raise ValueError(
        "expected records or columns, got objects, and nothing says which keys are the columns; "
        "choose one with table=KEY, or pass pandas.read_json(PATH, orient=...) to read"
    )
