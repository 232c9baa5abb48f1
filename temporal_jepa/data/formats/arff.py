"""Attribute-relation files (.arff) of Weka and the UEA archive to a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ...config import ReadOptions
from ..sequences import Array
from ..tables.build import Table
from ..tables.readings import AmbiguousError, Reading, likely
from ..tables.steps import NUMBERED
from .textfiles import read_text

ATTRIBUTE = re.compile(r"@attribute\s+('[^']*'|\"[^\"]*\"|\S+)\s+(.+)", re.IGNORECASE)
CELL = re.compile(
    r"(?:^|[,\t])\s*(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|([^,\t]*))(?=\s*(?:[,\t]|$))"
)
NUMBERS = ("numeric", "real", "integer")

DATE_LETTERS = {
    "yyyy": "%Y",
    "yy": "%y",
    "MMM": "%b",
    "MM?": "%m",
    "dd?": "%d",
    "HH?": "%H",
    "mm?": "%M",
    "ss?": "%S",
    "SSS?": "%f",
}
"""Letters of the formats of dates in Java, with a code of `datetime.strptime`."""


@dataclass
class Attribute:
    """A column of an .arff file.

    Attributes:
        name: its name.
        kind: "numeric", "nominal", "text" or "relational".
        inner: names of the attributes of each row of a relational one.
        dates: how its dates are written, as `datetime.strptime` takes it; "" if it does not say.
    """

    name: str
    kind: str
    inner: list[str] = field(default_factory=list)
    dates: str = ""


def read_arff(path: Path, options: ReadOptions) -> Table:
    """An .arff file as a table. A relational attribute holds the channels of a series as lists.

    In the UEA archive each row of a relational cell is a channel, and its numbered attributes are
    the timesteps; with other names the attributes are channels, and each row is a timestep.

    Raises:
        ValueError: with the line, for sparse rows, and rows of another width than the header.
    """
    import pandas as pd

    text, notes = read_text(path, options)
    attributes, rows = _parse(text)
    columns: dict[str, Any] = {}
    for k, attribute in enumerate(attributes):
        cells = [cells[k] for _, cells in rows]
        numbers = [number for number, _ in rows]
        if attribute.kind == "relational":
            columns.update(_relational(attribute, cells, numbers, notes))
        elif attribute.kind == "numeric":
            columns[attribute.name] = [
                _number(cell, n) for cell, n in zip(cells, numbers, strict=True)
            ]
        else:
            columns[attribute.name] = [
                None if cell == "?" else _moment(cell, attribute.dates, n)
                for cell, n in zip(cells, numbers, strict=True)
            ]
    return Table(pd.DataFrame(columns), _with_roles(attributes, options, notes), notes)


def _with_roles(
    attributes: list[Attribute], options: ReadOptions, notes: list[str]
) -> ReadOptions:
    """The options with the roles that the types of the attributes decide.

    Numbers of nominal attributes are names of classes. Beside a relational attribute, or the
    numbered ones of the UCR archive, the only nominal attribute is the label.
    """
    names: dict[str, list[str]] = {}
    for attribute in attributes:
        names.setdefault(attribute.kind, []).append(attribute.name)
    nominal = names.get("nominal", [])
    numeric = names.get("numeric", [])
    if not nominal:
        return options
    relational = "relational" in names
    numbered = len(numeric) > 1 and all(re.fullmatch(r"att\d+", n) for n in numeric)
    if options.label is None and len(nominal) == 1 and (relational or numbered):
        notes.append(likely(f"the label is the attribute {nominal[0]!r}", "label=''"))
        options = replace(options, label=nominal[0])
    elif _may_be_rows(options, attributes, nominal):
        raise _rows_or_times(nominal[0], numeric)
    if options.values is None and not relational:
        options = replace(options, values=tuple(numeric))
    return options


def _may_be_rows(
    options: ReadOptions, attributes: list[Attribute], nominal: list[str]
) -> bool:
    """Whether rows of numbers end with a class, so that each may be a series."""
    is_open = (
        options.label is None and options.layout is None and options.values is None
    )
    ends = len(attributes) > 2 and [attributes[-1].name] == nominal
    return is_open and ends and {a.kind for a in attributes} == {"nominal", "numeric"}


def _rows_or_times(label: str, numeric: list[str]) -> AmbiguousError:
    return AmbiguousError(
        f"each row ends with the nominal attribute {label!r}",
        [
            Reading(
                f"each row is a series of {len(numeric)} timesteps with this label",
                {"layout": "wide", "label": label, "values": ",".join(numeric)},
            ),
            Reading(
                f"each row is one timestep of {len(numeric)} channels",
                {"layout": "recording", "label": ""},
            ),
        ],
    )


def _parse(text: str) -> tuple[list[Attribute], list[tuple[int, list[str]]]]:
    """The attributes of the header, and the cells of each row with its line number."""
    numbered = enumerate(map(str.strip, text.splitlines()), 1)
    lines = ((n, line) for n, line in numbered if line and not line.startswith("%"))
    attributes = _attributes(lines)
    rows = [(number, _cells(line, number, attributes)) for number, line in lines]
    if not rows or not attributes:
        raise ValueError(
            "expected attributes, and rows after a line @data; is the file cut short?"
        )
    return attributes, rows


def _attributes(lines: Iterator[tuple[int, str]]) -> list[Attribute]:
    """The attributes of the header, of which no line is left."""
    attributes: list[Attribute] = []
    relation: Attribute | None = None
    for number, line in lines:
        word = line.split(None, 1)[0].lower()
        if word == "@data":
            break
        if word == "@end":
            relation = None
        if word != "@attribute":
            continue
        attribute = _attribute(line, number)
        if relation is not None:
            relation.inner.append(attribute.name)
        else:
            attributes.append(attribute)
        if attribute.kind == "relational":
            relation = attribute
    return attributes


def _attribute(line: str, number: int) -> Attribute:
    match = ATTRIBUTE.match(line)
    if match is None:
        raise ValueError(f"line {number}: expected @attribute NAME TYPE, got {line!r}")
    kind = match[2].strip().lower()
    name = match[1].strip("'\"")
    if kind.startswith("{"):
        return Attribute(name, "nominal")
    if kind.startswith(NUMBERS):
        return Attribute(name, "numeric")
    if kind.startswith("date"):
        return Attribute(name, "text", dates=_date_format(match[2].strip()[4:]))
    return Attribute(name, "relational" if kind.startswith("relational") else "text")


def _date_format(java: str) -> str:
    """The format "dd/MM/yyyy" of an attribute for `datetime.strptime`; "" if it has none.

    It has no other letters, and no part twice.
    """
    text = java.strip().strip("'\"").replace("%", "%%")
    for letters, code in DATE_LETTERS.items():
        text = re.sub(rf"(?<![%A-Za-z]){letters}(?![A-Za-z])", code, text)
    codes = re.findall("%[A-Za-z]", text)
    has_others = re.search(r"(?<!%)[A-Za-z]", text) is not None
    return "" if has_others or len({*codes}) < len(codes) else text


def _moment(cell: str, dates: str, line: int) -> str:
    """A cell of text; of dates in a format that the header states in ISO 8601."""
    if not dates:
        return cell
    try:
        return datetime.strptime(cell, dates).isoformat()
    except ValueError as error:
        raise ValueError(
            f"line {line}: {cell!r} is not written in the format of its attribute"
        ) from error


def _cells(line: str, number: int, attributes: list[Attribute]) -> list[str]:
    """The cells of a row, without their quotation marks."""
    if line.startswith("{"):
        raise ValueError(
            f"line {number}: sparse rows are not read; write all values (Weka: "
            "SparseToNonSparse)"
        )
    cells = [
        next((part for part in cell.groups() if part is not None), "").strip()
        for cell in CELL.finditer(line)
    ]
    if len(cells) != len(attributes):
        raise ValueError(
            f"line {number}: expected {len(attributes)} values, one for each attribute, got "
            f"{len(cells)}; is the file cut short?"
        )
    return cells


def _number(cell: str, line: int) -> float:
    """A cell as a number, NaN for "?"."""
    try:
        return np.nan if cell == "?" else float(cell)
    except ValueError as error:
        raise ValueError(
            f"line {line}: expected a number or '?', got {cell!r}"
        ) from error


def _relational(
    attribute: Attribute, cells: list[str], lines: list[int], notes: list[str]
) -> dict[str, list[Any]]:
    """The channels of each row, as columns of lists."""
    names = attribute.inner
    matrices = [
        _matrix(*pair, attribute.name) for pair in zip(cells, lines, strict=True)
    ]
    if all(map(NUMBERED.fullmatch, names)):
        names = [str(k) for k in range(max(map(len, matrices)))]
        notes.append(
            f"each row of {attribute.name!r} is a channel, its numbered attributes are timesteps"
        )
    else:
        matrices = [x.T for x in matrices]
    for x, line in zip(matrices, lines, strict=True):
        if len(x) != len(names):
            raise ValueError(
                f"line {line}: expected {len(names)} channels in {attribute.name!r}, got {len(x)}"
            )
    series = list(map(_without_padding, matrices))
    return {name: [x[k] for x in series] for k, name in enumerate(names)}


def _matrix(cell: str, line: int, attribute: str) -> Array:
    """The rows of a relational cell; ValueError unless they are numbers, and of one length."""
    rows = [
        [_number(word.strip(), line) for word in row.split(",")]
        for row in cell.replace("\\n", "\n").splitlines()
    ]
    if len({*map(len, rows)}) > 1:
        raise ValueError(f"line {line}: expected rows of one length in {attribute!r}")
    return np.array(rows)


def _without_padding(series: Array) -> Array:
    """A series ``(channels, time)`` without the timesteps at its end that hold no value."""
    observed = np.flatnonzero(~np.isnan(series).all(axis=0))
    return series[:, : observed[-1] + 1] if observed.size else series
