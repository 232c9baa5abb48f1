"""Text files of the UEA archive (.ts) to series."""

from __future__ import annotations

import contextlib
import re
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...config import ReadOptions
from ..sequences import Array, Sequences, Task, listed, located
from ..tables.numbers import parse
from ..tables.readings import AmbiguousError, Reading, likely
from .textfiles import read_text

TASKS: dict[str, Task] = {"class": "classification", "target": "regression"}
"""What @classLabel and @targetLabel say."""

YEARS = (1678, 2262)  # between which nanoseconds hold a date
PAIR = re.compile(r"\(([^()]*),([^(),]*)\)")  # (time, value)


@dataclass
class Header:
    """What stands before @data in a .ts file.

    Attributes:
        fields: the values in lower case by their keys.
        classes: the labels it lists, as they are written.
        kind: "class" or "target", None for series without labels.
    """

    fields: dict[str, str]
    classes: list[str]
    kind: str | None

    def count(self, key: str) -> int:
        """The whole number at a key, 0 if there is none; ValueError for anything else."""
        text = self.fields.get(key, "")
        if not text:
            return 0
        if not re.fullmatch(r"[0-9]{1,18}", text):
            raise ValueError(f"expected a whole number after {key}, got {text[:80]!r}")
        return int(text)


def read_ts(path: Path, options: ReadOptions) -> Sequences:
    """A .ts file: a header, then one series a line, ``channel:channel:label``, "?" is missing.

    Values are ``1,2,?``, or with times ``(2024-01-01 00:00:00,1),(2024-01-01 01:00:00,2)``. Lengths
    may differ between series, and between channels of a series (the shorter is padded with NaN).
    Channels with other times are NaN where they have none. `options.label` says whether the last
    field is the label ("" for none), where the header does not.

    Raises:
        ValueError: with the line, for a wrong number of channels or values, times that are no
            times, and an unknown label.
    """
    text, notes = read_text(path, options)
    header, rows = _parse(text)
    timed = header.fields.get("@timestamps") == "true" or rows[0][1].startswith("(")
    _settle_label(header, [line for _, line in rows], options, notes)
    series: list[_Series] = []
    for number, line in rows:
        with located(f"line {number}"):
            width = series[0].values.shape[1] if series else 0
            series.append(_series(line, timed, header, width))
    labels, times, values, padded = zip(*series, strict=True)
    if any(padded):
        notes.append(
            f"{sum(padded)} series have channels of unequal length, padded with NaN"
        )
    found = f"the {header.kind} label is last in each line"
    notes.append(f".ts: {found if header.kind else 'no labels'}")
    return Sequences(
        list(values),
        labels=np.array(labels) if header.kind else None,
        times=list(times) if timed else None,
        source=str(path),
        notes=tuple(notes),
        task=TASKS[header.kind] if header.kind else None,
    )


class _Series(NamedTuple):
    """A line of a .ts file: its label, times, values ``(time, channels)``, and if NaN pads them."""

    label: str
    times: Array
    values: Array
    padded: bool


def _series(line: str, timed: bool, header: Header, width: int) -> _Series:
    """The series of a line.

    width: number of channels of the first series, 0 for that itself.
    """
    label = ""
    if header.kind is not None:
        line, label = _split_label(line, header)
    channels = _split_channels(line, timed, header, width)
    if timed:
        return _Series(label, *_timed(channels), padded=False)
    numbers = [_numbers(field, _length(header)) for field in channels]
    padded = len({*map(len, numbers)}) > 1
    return _Series(label, np.empty(0), _padded(numbers), padded)


def _split_channels(line: str, timed: bool, header: Header, width: int) -> list[str]:
    """The channels of a series, as many as the header or the first series has."""
    fields = re.split(r":(?=\(|$)", line) if timed else line.split(":")
    width = header.count("@dimensions") or width or len(fields)
    if len(fields) != width:
        raise ValueError(
            f"expected {width} channels, got {len(fields)}; is the file cut short?"
        )
    return fields


def _parse(text: str) -> tuple[Header, list[tuple[int, str]]]:
    """The header, and the lines of series with their numbers."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and line[0] not in "#%"]
    starts = [at for at, (_, line) in enumerate(lines, 1) if line.lower() == "@data"]
    if not starts or starts[0] == len(lines):
        raise ValueError("expected series after a line @data; is the file cut short?")
    rows = lines[starts[0] :]
    fields: dict[str, str] = {}
    words: dict[str, list[str]] = {}
    for _, line in lines[: starts[0]]:
        key, *values = line.split()
        fields[key.lower()] = " ".join(values).lower()
        words[key.lower()] = values
    kind = None
    classes: list[str] = []
    for name in ("class", "target"):
        if fields.get(f"@{name}label", "false").startswith("true"):
            kind = name
            classes = words[f"@{name}label"][1:]
    return Header(fields, classes, kind), rows


def _settle_label(
    header: Header, lines: list[str], options: ReadOptions, notes: list[str]
) -> None:
    """Whether the last field of each line is a label, where the header does not say.

    Raises:
        AmbiguousError: the last field holds one value, and the others several.
    """
    if options.label is not None:
        header.kind = (header.kind or "class") if options.label else None
        return
    fields = [line.split(":") for line in lines]
    if not {"@classlabel", "@targetlabel"}.isdisjoint(header.fields) or not all(
        map(_may_end_with_label, fields)
    ):
        return
    one = header.fields.get("@univariate") == "true"
    width = header.count("@dimensions") or int(one)
    if not width:
        if all(_may_be_channel(parts[-1].strip()) for parts in fields):
            raise _label_or_channel(fields)
        header.kind = "class"
        notes.append("the last field is the label: not all are numbers")
    if width == len(fields[0]) - 1:
        header.kind = "class"
        sentence = f"the header names {width} channels, the last field is the label"
        notes.append(likely(sentence, "label=''"))


def _may_end_with_label(fields: list[str]) -> bool:
    """Whether the last field of a line holds one value, and the one before it several."""
    last = fields[-1].strip()
    is_one = last != "" and not set(last) & set(",()")
    return is_one and len(fields) > 1 and "," in fields[-2]


def _may_be_channel(text: str) -> bool:
    """Whether a field is a number or missing."""
    return text == "?" or parse(text, ".") is not None


def _label_or_channel(fields: list[list[str]]) -> AmbiguousError:
    rows = [[*parts[0].split(",")[:3], "...", parts[-1]] for parts in fields[:3]]
    return AmbiguousError(
        "the last field of each line holds one value, and the header has no @classLabel",
        [
            Reading("it is the label", {"label": "last"}, (), rows),
            Reading("it is a channel of one timestep", {"label": ""}, (), rows),
        ],
    )


def _length(header: Header) -> int:
    """The number of values that each channel must have, 0 for any."""
    if header.fields.get("@equallength") != "true":
        return 0
    return header.count("@serieslength")


def _split_label(line: str, header: Header) -> tuple[str, str]:
    """A line without its label, and the label, which may hold colons if the header lists it.

    Raises:
        ValueError: when the header lists others, as text and as numbers (1.0 and 1).
    """
    for name in sorted(header.classes, key=len, reverse=True):
        if line.lower().endswith(f":{name.lower()}"):
            return line[: -len(name) - 1], line[-len(name) :]
    line, _, label = line.rpartition(":")
    label = label.strip()
    if not label or label == "?":
        raise ValueError("the label is missing; give every series a label, or none")
    with contextlib.suppress(ValueError):
        if float(label) in map(float, header.classes):
            return line, label
    if header.classes and label.lower() not in map(str.lower, header.classes):
        raise ValueError(
            f"the label {label!r} is not among {listed(header.classes)}; is the file cut short?"
        )
    return line, label


def _numbers(field: str, length: int) -> Array:
    """The values of a channel; ValueError unless they are numbers, and `length` (if not 0)."""
    try:
        numbers = np.array(field.replace("?", "nan").split(","), dtype=np.float64)
    except ValueError as error:
        got = str(error).rpartition(": ")[2]
        raise ValueError(f"expected numbers, commas and '?', got {got[:80]}") from error
    if length and len(numbers) != length:
        raise ValueError(
            f"expected {length} values in each channel (@seriesLength), got {len(numbers)}; is "
            "the file cut short?"
        )
    return numbers


def _padded(channels: list[Array]) -> Array:
    """Channels as ``(time, channels)``, NaN after the end of a short one."""
    out = np.full((max(map(len, channels)), len(channels)), np.nan)
    for i, channel in enumerate(channels):
        out[: len(channel), i] = channel
    return out


def _timed(fields: list[str]) -> tuple[Array, Array]:
    """The times of a series, and its values ``(time, channels)``, NaN where one has none."""
    pairs = [_pairs(field) for field in fields]
    times = np.unique(np.concatenate([clock for clock, _ in pairs]))
    values = np.full((len(times), len(pairs)), np.nan)
    for i, (clock, numbers) in enumerate(pairs):
        if len(np.unique(clock)) < len(clock):
            raise ValueError(f"channel {i} holds two values at one time")
        values[np.searchsorted(times, clock), i] = numbers
    return times, values


def _pairs(field: str) -> tuple[Array, Array]:
    """The times and values of a channel, ``(time,value),(time,value)``."""
    pairs = PAIR.findall(field)
    rest = PAIR.sub("", field).replace(",", "").strip()
    if rest or not pairs:
        raise ValueError(
            f"expected (time,value) pairs between commas, got {(rest or field)[:40]!r}"
        )
    numbers = _numbers(",".join(value for _, value in pairs), 0)
    return _clock([time.strip() for time, _ in pairs]), numbers


def _clock(texts: list[str]) -> Array:
    """Times as numbers, or dates with the year first as datetime64[ns]."""
    with contextlib.suppress(ValueError):
        return np.array(texts, dtype=np.float64)
    try:
        dates = [text.replace("/", "-") for text in texts]
        years = [int(date[: date.index("-", 1)]) for date in dates]
        if min(years) < 32:
            raise ValueError("the year does not come first")
        whole = min(years) > YEARS[0] and max(years) < YEARS[1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # times with a zone become UTC
            return np.array(dates, "datetime64[ns]" if whole else "datetime64[us]")
    except ValueError as error:
        raise ValueError(
            "expected times as numbers, or such as 2024-01-31 12:00:00, got "
            f"{texts[0][:80]!r}"
        ) from error
