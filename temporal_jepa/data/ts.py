"""Text files of the UEA archive (.ts) to series."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from .sequences import Array, Sequences, Task, listed, located
from .textfiles import read_text

TASKS: dict[str, Task] = {"class": "classification", "target": "regression"}
"""What @classLabel and @targetLabel say."""


def read_ts(path: Path) -> Sequences:
    """A .ts file: a header, then one series a line, ``channel:channel:label``, "?" is missing.

    Lengths may differ between series, and between channels of a series (the shorter is padded with
    NaN).

    Raises:
        ValueError: with the line, for timestamps, a wrong number of channels or values, and an
            unknown label.
    """
    text, notes = read_text(path)
    header, rows = _ts_header(text)
    kind = "target" if header.get("@targetlabel", "").startswith("true") else "class"
    labeled, *classes = header.get(f"@{kind}label", "false").split()
    equal = header.get("@equallength") == "true"
    length = int(header.get("@serieslength") or 0) if equal else 0
    series = []
    labels = []
    for number, line in rows:
        with located(f"line {number}"):
            if labeled == "true":
                line, _, label = line.rpartition(":")
                labels.append(_ts_label(label.strip(), classes))
            series.append([_ts_numbers(field, length) for field in line.split(":")])
            width = int(header.get("@dimensions") or len(series[0]))
            if len(series[-1]) != width:
                raise ValueError(
                    f"expected {width} channels, got {len(series[-1])}; is the file cut short?"
                )
    notes.append(
        f".ts: the {kind} label is last in each line" if labels else ".ts: no labels"
    )
    return Sequences(
        _padded(series, notes),
        labels=np.array(labels) if labels else None,
        source=str(path),
        notes=tuple(notes),
        task=TASKS[kind] if labels else None,
    )


def _ts_header(text: str) -> tuple[dict[str, str], list[tuple[int, str]]]:
    """The header in lower case by its keys, and the lines of series with their numbers."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1)]
    lines = [(number, line) for number, line in lines if line and line[0] not in "#%"]
    starts = [at for at, (_, line) in enumerate(lines, 1) if line.lower() == "@data"]
    if not starts or starts[0] == len(lines):
        raise ValueError("expected series after a line @data; is the file cut short?")
    rows = lines[starts[0] :]
    header = {}
    for _, line in lines[: starts[0]]:
        key, _, value = line.lower().partition(" ")
        header[key] = value.strip()
    if header.get("@timestamps") == "true" or "(" in rows[0][1]:
        raise ValueError(
            ".ts files with timestamps are not read; write the values alone, or a long table (id, "
            "time, values) as .csv"
        )
    return header, rows


def _ts_label(label: str, classes: list[str]) -> str:
    """The label; ValueError when the header names others, as text and as numbers (1.0 and 1)."""
    with contextlib.suppress(ValueError):
        if float(label) in map(float, classes):
            return label
    if classes and label.lower() not in classes:
        raise ValueError(
            f"the label {label!r} is not among {listed(classes)}; is the file cut short?"
        )
    return label


def _ts_numbers(field: str, length: int) -> Array:
    """The values of a channel; ValueError unless they are numbers, and `length` (if not 0)."""
    try:
        numbers = np.array(field.replace("?", "nan").split(","), dtype=np.float64)
    except ValueError as error:
        got = str(error).rpartition(": ")[2]
        raise ValueError(f"expected numbers, commas and '?', got {got}") from error
    if length and len(numbers) != length:
        raise ValueError(
            f"expected {length} values in each channel (@seriesLength), got {len(numbers)}; is "
            "the file cut short?"
        )
    return numbers


def _padded(series: list[list[Array]], notes: list[str]) -> list[Array]:
    """The channels of each series as ``(time, channels)``, NaN after the end of a short one."""
    out = []
    padded = 0
    for channels in series:
        lengths = [len(channel) for channel in channels]
        padded += min(lengths) < max(lengths)
        out.append(np.full((max(lengths), len(channels)), np.nan))
        for i, channel in enumerate(channels):
            out[-1][: len(channel), i] = channel
    if padded:
        notes.append(
            f"{padded} series have channels of unequal length, padded with NaN"
        )
    return out
