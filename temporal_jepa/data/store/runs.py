"""Rows of which those of a series stand together and in order: series without sorting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..sequences import Array, Sequences, rounds_away
from ..tables.series import explain, layout_line
from .text import TextPlan

if TYPE_CHECKING:
    import pandas as pd


def runs(plan: TextPlan, frame: pd.DataFrame) -> Sequences | None:
    """The series of a long table as `from_rows` gives them, several times faster.

    None where more is needed: rows out of order, steps that are not equal, values that float32
    loses, several columns of ids or times.
    """
    columns = plan.columns
    if columns.layout != "long" or len(columns.ids) != 1 or len(columns.times) > 1:
        return None
    found = _run_starts(frame[columns.ids[0]])
    if found is None:
        return None
    starts, names = found
    times = None
    if columns.times:
        clock = frame[columns.times[0]].to_numpy()
        if not _are_equal_steps(clock, starts):
            return None
        times = np.split(clock, starts[1:])
    labels = None
    if columns.label is not None:
        labels = _labels(frame[columns.label], starts)
        if labels is None:
            return None
    matrix = _matrix(frame, columns.values, starts)
    if matrix is None:
        return None
    channels = list(columns.values)
    notes = [layout_line(columns, plan.options)]
    explain(frame, columns, plan.options, channels, notes)
    return Sequences(
        np.split(matrix, starts[1:]),
        labels=labels,
        ids=names,
        channels=channels,
        times=times,
        source=str(plan.source),
        notes=tuple(notes),
    )


def _run_starts(column: pd.Series[Any]) -> tuple[Array, list[str]] | None:
    """The first row and the name of each series; None if a name is missing or comes back."""
    codes = column.cat.codes.to_numpy()
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    own = codes[starts]
    if (codes < 0).any() or len(np.unique(own)) < len(own):
        return None
    return starts, column.cat.categories.to_numpy()[own].tolist()


def _are_equal_steps(clock: Array, starts: Array) -> bool:
    """Whether all steps within series are one positive number."""
    if clock.dtype.kind not in "iM":
        return False
    steps = np.diff(clock).astype(np.int64)
    inside = np.ones(len(steps), bool)
    inside[starts[1:] - 1] = False
    steps = steps[inside]
    return not len(steps) or bool(steps[0] > 0 and (steps == steps[0]).all())


def _labels(column: pd.Series[Any], starts: Array) -> Array | None:
    """The label of each series, None if one is missing or changes within a series."""
    codes = column.cat.codes.to_numpy()
    lengths = np.diff(np.r_[starts, len(codes)])
    if (codes < 0).any() or (np.repeat(codes[starts], lengths) != codes).any():
        return None
    return np.array(column.cat.categories.to_numpy()[codes[starts]].tolist())


def _matrix(frame: pd.DataFrame, names: tuple[str, ...], starts: Array) -> Array | None:
    """The values ``(rows, channels)`` in float32, None where it loses some."""
    out = np.empty((len(frame), len(names)), np.float32)
    for k, name in enumerate(names):
        x = frame[name].to_numpy()
        low, high = np.fmin.reduceat(x, starts), np.fmax.reduceat(x, starts)
        if rounds_away(low, high).any():
            return None
        with np.errstate(over="ignore"):  # inf is refused later, with its place
            out[:, k] = x
    return out
