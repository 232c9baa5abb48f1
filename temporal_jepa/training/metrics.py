"""The log of a run: `metrics.jsonl`, a row of metrics a line, each line with its checksum."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..files.atomic import append_line, read_file, write_atomically
from ..files.sealed import read_line, seal_line

METRICS = "metrics.jsonl"
OF_POSITIONS = "_per_position"  # the end of the names of lists
MOST_STEPS = 2**53
LARGEST = 2**31  # bytes of a log that is read
Row = dict[str, Any]


def append_row(folder: Path, row: Mapping[str, Any]) -> None:
    """Add a row to the log of a run.

    Raises:
        OSError: if it cannot be written.
    """
    try:
        append_line(folder / METRICS, seal_line(row))
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{folder} was removed or renamed while it was written to; start the run again"
        ) from None


def read_rows(folder: Path) -> list[Row]:
    """The rows of a run by step, of a step that was logged twice the later one.

    A last line that a killed run left unfinished is left out.

    Raises:
        ValueError: if another line was changed after it was written.
        OSError: if the log cannot be read.
    """
    rows, damaged = _read(folder / METRICS)
    if damaged:
        raise ValueError(
            f"{folder / METRICS}: line {damaged[0]} was changed after it was written; copy the "
            "file again, or delete the line"
        )
    last = {row["step"]: row for row in rows}
    return [last[step] for step in sorted(last)]


def truncate_rows(folder: Path, up_to: int) -> None:
    """Drop the rows after step `up_to`, an unfinished last line, and damaged ones with a warning.

    Raises:
        OSError: if the log cannot be read or written.
    """
    path = folder / METRICS
    rows, damaged = _read(path)
    if damaged:
        listed = ", ".join(map(str, damaged[:8]))
        warnings.warn(
            f"{path}: {len(damaged)} lines were changed after they were written and are left out "
            f"(line {listed}); training is not affected",
            stacklevel=2,
        )
    kept = [seal_line(row) + "\n" for row in rows if row["step"] <= up_to]
    write_atomically(path, "".join(kept).encode())


def missing_rows(folder: Path, rows: list[Row], config: Mapping[str, Any]) -> str:
    """What a log lacks at its end, in words: it reaches at least to the newest checkpoint.

    Args:
        folder: the run folder.
        rows: from `read_rows`.
        config: the content of `config.json`.
    """
    found = [path.name for path in folder.glob("checkpoint/step-*")]
    matches = [re.fullmatch(r"step-(\d{1,18})(\.pt)?", name) for name in found]
    newest = max((int(match[1]) for match in matches if match), default=0)
    training = config.get("pretrain", {})
    if newest != training.get("steps"):  # the last step is logged in any case
        every = training.get("log_every") or 1
        newest -= newest % every
    last = rows[-1]["step"] if rows else 0
    if last >= newest:
        return ""
    return (
        f"{METRICS} ends at step {last}, but step {newest} was trained and logged: the end of the "
        "file is missing."
    )


def _read(path: Path) -> tuple[list[Row], list[int]]:
    """The rows in the order of the file, and the numbers of damaged lines, from 1."""
    try:
        content = read_file(path, LARGEST)
    except FileNotFoundError:
        return [], []
    *lines, rest = content.split(b"\n")
    rows = []
    damaged = []
    for number, line in enumerate(lines, 1):
        row = _row_of(line)
        if row is not None:
            rows.append(row)
        elif line.strip():
            damaged.append(number)
    row = _row_of(rest)  # without a line end: whole, or cut short
    if row is not None:
        rows.append(row)
    return rows, damaged


def _row_of(line: bytes) -> Row | None:
    """The row in a line; None unless it has a step, a text as verdict and numbers."""
    row = read_line(line)
    if row is None or type(row.get("step")) is not int:
        return None
    is_row = 0 <= row["step"] < MOST_STEPS and isinstance(row.get("verdict", ""), str)
    others = (_is_metric(name, row[name]) for name in row if name != "verdict")
    return row if is_row and all(others) else None


def _is_metric(name: str, value: Any) -> bool:
    """Whether a value is a number, none, or under such a name a number for each position."""
    if isinstance(value, list) and name.endswith(OF_POSITIONS):
        return all(type(part) in (int, float) for part in value)
    return value is None or type(value) in (int, float)
