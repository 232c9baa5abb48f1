"""Text files of the Monash forecasting archive (.tsf) to series."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import numpy as np

from ...config import ReadOptions
from ..sequences import Array, Sequences, as_labels, listed, located
from .textfiles import read_text

UNITS = {
    "seconds": (1, "s"),
    "secondly": (1, "s"),
    "minutely": (1, "m"),
    "minutes": (1, "m"),
    "half_hourly": (30, "m"),
    "hourly": (1, "h"),
    "hours": (1, "h"),
    "daily": (1, "D"),
    "days": (1, "D"),
    "weekly": (7, "D"),
    "weeks": (7, "D"),
    "monthly": (1, "M"),
    "months": (1, "M"),
    "quarterly": (3, "M"),
    "yearly": (12, "M"),
    "years": (12, "M"),
}
"""Words for a frequency -> its length in units of NumPy."""


def read_tsf(path: Path, options: ReadOptions) -> Sequences:
    """A .tsf file: a header, then one series a line, ``attribute:attribute:1,2,?``.

    The start of a series and the frequency give its times. `options.id` and `options.label` name
    attributes.

    Raises:
        ValueError: with the line, for a wrong number of attributes, values that are no numbers, and
            dates that are no dates.
    """
    text, notes = read_text(path, options)
    header, kinds, rows = _parse(text)
    start = next((name for name, kind in kinds.items() if kind == "date"), None)
    id = _id_of(list(kinds), start, options)
    fields, values = _read_rows(list(kinds), rows)
    left = [name for name in kinds if name not in (id, start, options.label)]
    if left:
        notes.append(f"attributes left out (label=NAME takes one): {listed(left)}")
    frequency = header.get("@frequency", "")
    times = None
    if start is not None:
        starts = zip(fields[start], values, strict=True)
        times = [_times(when, frequency, len(x)) for when, x in starts]
    elif frequency:
        notes.append(f"series without a start, {frequency}: they have no times")
    return Sequences(
        values,
        labels=as_labels(fields[options.label]) if options.label else None,
        ids=fields[id] if id else [],
        channels=["value"],
        times=times,
        source=str(path),
        notes=tuple(notes),
    )


def _id_of(names: list[str], start: str | None, options: ReadOptions) -> str:
    """The attribute that names the series: by option, else the first but the start; "" for none.

    Raises:
        ValueError: an option names an attribute that does not exist.
    """
    for option, name in (("id", options.id), ("label", options.label)):
        if name and name not in names:
            raise ValueError(
                f"{option} names an attribute {name!r} that does not exist, got {listed(names)}"
            )
    if options.id is not None:
        return options.id
    return next((name for name in names if name != start), "")


def _read_rows(
    names: list[str], rows: list[tuple[int, str]]
) -> tuple[dict[str, list[str]], list[Array]]:
    """The attributes of all series by name, and their values ``(time, 1)``."""
    fields: dict[str, list[str]] = {name: [] for name in names}
    values = []
    for number, line in rows:
        with located(f"line {number}"):
            cells = line.split(":", len(names))
            if len(cells) != len(names) + 1:
                raise ValueError(
                    f"expected {len(names)} attributes and values between colons, got "
                    f"{len(cells)} fields; is the file cut short?"
                )
            for name, cell in zip(names, cells, strict=False):
                fields[name].append(cell.strip())
            values.append(_values(cells[-1])[:, None])
    return fields, values


def _parse(
    text: str,
) -> tuple[dict[str, str], dict[str, str], list[tuple[int, str]]]:
    """The header, the types of the attributes, and the lines of series with their numbers."""
    header: dict[str, str] = {}
    kinds: dict[str, str] = {}
    lines = list(enumerate(map(str.strip, text.splitlines()), 1))
    for number, line in lines:
        word, *rest = line.split() or [""]
        key = word.lower()
        if key == "@data":
            rows = [(n, row) for n, row in lines[number:] if row and row[0] != "#"]
            if rows:
                return header, kinds, rows
            break
        if key == "@attribute" and len(rest) == 2:
            kinds[rest[0]] = rest[1].lower()
        elif key.startswith("@"):
            header[key] = " ".join(rest).lower()
    raise ValueError("expected series after a line @data; is the file cut short?")


def _values(field: str) -> Array:
    """Numbers between commas, NaN for "?"."""
    words = [word.strip() for word in field.split(",")]
    try:
        return np.array([np.nan if word == "?" else float(word) for word in words])
    except ValueError as error:
        got = str(error).partition(": ")[2]
        raise ValueError(f"expected numbers, commas and '?', got {got[:80]}") from error


def _times(start: str, frequency: str, length: int) -> Array:
    """The times of a series, seconds apart or months, the day of the month kept."""
    found = re.fullmatch(r"(\d+)?_?(\D+)", frequency)
    if found is None or found[2] not in UNITS:
        raise ValueError(
            f"@frequency {frequency[:40]!r}: expected one of {listed(UNITS)}, or 10_minutes"
        )
    size, unit = UNITS[found[2]]
    size *= int(found[1] or 1)
    day, _, clock = start.partition(" ")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a time with a zone becomes UTC
            first = np.datetime64(f"{day}T{clock.replace('-', ':') or '00:00'}", "s")
    except ValueError as error:
        raise ValueError(
            f"expected a start such as 1979-01-01 00-00-00, got {start[:80]!r}"
        ) from error
    steps = np.arange(length) * size
    if unit != "M":
        times: Array = first + steps.astype(f"timedelta64[{unit}]")
        return times
    month = first.astype("datetime64[M]")
    months = month + steps.astype("timedelta64[M]")
    after = (months + np.timedelta64(1, "M")).astype("datetime64[D]")
    longest = after - months.astype("datetime64[D]") - np.timedelta64(1, "D")
    days = np.minimum(
        first.astype("datetime64[D]") - month.astype("datetime64[D]"), longest
    )
    clock = first - first.astype("datetime64[D]")
    moments: Array = months.astype("datetime64[s]") + days + clock
    return moments
