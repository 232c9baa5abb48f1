"""JSON to a table: records, lines, columns, and the layouts that pandas writes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import ReadOptions
from .readings import AmbiguousError, Reading
from .sequences import listed
from .tables import Table
from .textfiles import kind_of, read_text

if TYPE_CHECKING:
    import pandas as pd

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
    if kind_of(path, options.table) not in (".jsonl", ".ndjson"):
        try:
            return json.loads(text)
        except RecursionError as error:
            raise ValueError("not valid JSON: nested too deeply") from error
        except ValueError as error:
            first, _, others = text.strip().partition("\n")
            if not others.strip() or not _is_complete(first):
                raise ValueError(
                    f"not valid JSON: {error}; is the file cut short?"
                ) from error
    values = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            if line.strip():
                values.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"line {number} is not valid JSON: {error}; is the file cut short?"
            ) from error
    return values


def _is_complete(line: str) -> bool:
    """Whether a line is a JSON value by itself."""
    try:
        return isinstance(json.loads(line), (dict, list))
    except (ValueError, RecursionError):
        return False


def is_geojson(data: Any) -> bool:
    """Whether JSON holds places in the way of RFC 7946."""
    return isinstance(data, dict) and data.get("type") in GEOMETRIES


def read_json(data: Any, options: ReadOptions) -> Table:
    """The table in JSON: a list of records, columns, rows, or one of these under a key.

    `options.table` chooses one of several keys.

    Raises:
        AmbiguousError: several keys hold tables.
        ValueError: the JSON holds no table.
    """
    notes: list[str] = []
    data = _under_key(data, options, notes)
    frame = _from_records(data) if isinstance(data, list) else _from_columns(data)
    return Table(frame, replace(options, table=None), notes)


def _under_key(data: Any, options: ReadOptions, notes: list[str]) -> Any:
    """The part of an object that holds the table, the whole if it is one."""
    if options.table is not None:
        if not isinstance(data, dict) or options.table not in data:
            keys = listed(data) if isinstance(data, dict) else "a list"
            raise ValueError(
                f"table={options.table!r}: expected a key of the file, got {keys}"
            )
        return data[options.table]
    if not isinstance(data, dict) or (
        "data" in data and {"columns", "schema"} & {*data}
    ):
        return data
    tables = [name for name, value in data.items() if _is_records(value)]
    if len(tables) > 1:
        readings = []
        for name in tables:
            header = list(data[name][0])
            rows = [[row.get(key) for key in header] for row in data[name][:3]]
            sentence = f"{len(data[name])} records"
            readings.append(Reading(sentence, {"table": name}, header, rows))
        raise AmbiguousError("several keys hold records", readings)
    if tables and not any(
        isinstance(value, list) for name, value in data.items() if name != tables[0]
    ):
        others = [name for name in data if name != tables[0]]
        left = f", {listed(others)} left out" if others else ""
        notes.append(f"the records under the key {tables[0]!r} are the table{left}")
        return data[tables[0]]
    return data


def _is_records(value: Any) -> bool:
    """Whether a value is a list of objects."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(row, dict) for row in value)
    )


def _from_records(data: list[Any]) -> pd.DataFrame:
    """A list of objects, of rows or of numbers as a frame."""
    import pandas as pd

    if not data:
        raise ValueError("expected records, got an empty list")
    if _is_records(data):
        return pd.json_normalize(data)
    if all(isinstance(row, list) for row in data):
        if all(isinstance(name, str) for name in data[0]) and data[0]:
            widths = {len(row) for row in data}
            if len(widths) > 1:
                raise ValueError(
                    f"expected rows of {len(data[0])} fields, as the first names, got "
                    f"{listed(sorted(widths))}"
                )
            return pd.DataFrame(data[1:], columns=data[0])
        return pd.DataFrame({"value": data})
    if all(isinstance(x, (int, float)) or x is None for x in data):
        return pd.DataFrame({"value": pd.Series(data, dtype="float64")})
    kinds = sorted({type(row).__name__ for row in data})
    raise ValueError(
        f"expected a list of records, of rows or of numbers, got {listed(kinds)}"
    )


def _from_columns(data: Any) -> pd.DataFrame:
    """An object of columns, or one that pandas wrote, as a frame."""
    import pandas as pd

    if not isinstance(data, dict) or not data:
        raise ValueError(f"expected records or columns, got {type(data).__name__}")
    if {"columns", "data"} <= data.keys() and isinstance(data["data"], list):
        return pd.DataFrame(data["data"], data.get("index"), data["columns"])
    if {"schema", "data"} <= data.keys() and _is_records(data["data"]):
        frame = pd.json_normalize(data["data"])
        unnamed = _index_names(data["schema"]) == ["index"]
        return frame.drop(columns="index") if unnamed else frame
    if all(isinstance(column, list) for column in data.values()):
        lengths = {name: len(column) for name, column in data.items()}
        if len({*lengths.values()}) > 1:
            found = listed(f"{name} ({length})" for name, length in lengths.items())
            raise ValueError(
                f"expected columns of one length, got {found}; write series of unequal length as "
                "records with a list each"
            )
        return pd.DataFrame(data)
    if all(isinstance(column, dict) for column in data.values()):
        return _from_nested(data)
    if any(isinstance(value, (dict, list)) for value in data.values()):
        found = listed(f"{name} ({type(v).__name__})" for name, v in data.items())
        raise ValueError(
            f"expected records or columns, got an object of {found}; choose one with table=KEY"
        )
    return pd.json_normalize([data])


def _index_names(schema: Any) -> list[str]:
    """The row index in a table schema."""
    names = schema.get("primaryKey", []) if isinstance(schema, dict) else []
    return [names] if isinstance(names, str) else list(names)


def _from_nested(data: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Columns that are objects of row -> value, as `DataFrame.to_json` writes them."""
    import pandas as pd

    rows = list(next(iter(data.values())))
    if any(list(column) != rows for column in data.values()):
        raise ValueError(
            "expected columns with the same rows each; read it with pandas.read_json(PATH, "
            "orient=...) and pass the frame"
        )
    if rows == [str(k) for k in range(len(rows))]:
        return pd.DataFrame(
            {name: list(column.values()) for name, column in data.items()}
        )
    if list(data) == [str(k) for k in range(len(data))]:
        return pd.DataFrame(list(data.values()))
    raise ValueError(
        "expected objects whose keys count the rows, and nothing says which keys are the columns; "
        "read it with pandas.read_json(PATH, orient='columns' or 'index') and pass the frame"
    )
