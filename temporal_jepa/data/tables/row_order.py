"""The order of rows: by series and time, and what becomes of rows of one time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..intervals import by_months, in_words
from ..sequences import Array, moment

FEW = 4  # equal steps that are no accident


@dataclass(frozen=True)
class Order:
    """Rows of a table by series and time.

    Attributes:
        rows: the row of each timestep, ``(m,)``.
        first: for each row of the table, the row that stands for its time, ``(n,)``.
        mean: whether rows of one time are averaged.
        in_place: whether every row is a timestep and stays where it is.
    """

    rows: Array
    first: Array
    mean: bool = False
    in_place: bool = False

    def take(self, matrix: Array) -> Array:
        """Values ``(n,)`` or ``(n, k)`` of rows as those of timesteps, ``(m,)`` or ``(m, k)``.

        A mean leaves out missing values (NaN).
        """
        if self.in_place:
            return matrix
        if not self.mean:
            return matrix[self.rows]
        import pandas as pd

        columns = pd.DataFrame(matrix.reshape(len(matrix), -1))
        means = columns.groupby(self.first).mean().loc[self.rows]
        shape = (len(self.rows), *matrix.shape[1:])
        return means.to_numpy(dtype=matrix.dtype, copy=True).reshape(shape)


def in_order(
    times: Array,
    codes: Array,
    names: Sequence[str],
    duplicates: str,
    notes: list[str],
    matrix: Array | None = None,
    what: tuple[str, str] = ("rows", "series"),
    advice: Sequence[str] = (),
) -> Order:
    """Rows sorted by series and time, with one row for each time of a series.

    Args:
        times: of `read_times`, ``(n,)``.
        codes: the number of the series of each row, ``(n,)``.
        names: of the series, by number.
        duplicates: "error", "first", "last" or "mean" of the rows of one series at one time.
        notes: what was sorted, left out or averaged is added, and for series unequal steps.
        matrix: values of the rows ``(n, k)``, to say whether duplicates are identical.
        what: the words for rows and a series in messages.
        advice: options with which no time repeats.

    Raises:
        ValueError: `duplicates` is "error", and a series has two rows at one time whose values
            differ, or which columns of `advice` tell apart.
    """
    many, series = what
    mean = duplicates == "mean"
    if _are_in_order(times, codes):
        if series == "series":
            _note_spacing(times, codes, len(names), notes)
        rows = np.arange(len(times))
        return Order(rows, rows, mean, in_place=True)
    order = np.lexsort((times, codes))
    _note_moved(order, codes, many, notes)
    again = _are_repeated(times[order], codes[order])
    count = int(again.sum())
    are_copies = not advice and _are_copies(matrix, order, again)
    if count and duplicates == "error" and not are_copies:
        raise _duplicates(times, codes, names, order, again, matrix, advice)
    starts = np.flatnonzero(~again)
    rows = order[starts]
    if duplicates == "last":
        rows = order[np.r_[starts[1:], len(order)] - 1]
    if count:
        alike = " and with its values" if are_copies else ""
        notes.append(
            f"{count} {many} at the time of another of the same {series}{alike} are "
            + ("averaged with it" if mean else "left out")
        )
    if series == "series":
        _note_spacing(times[rows], codes[rows], len(names), notes)
    first = np.empty_like(order)
    first[order] = rows[np.cumsum(~again) - 1]
    return Order(rows, first, mean)


def _note_moved(order: Array, codes: Array, many: str, notes: list[str]) -> None:
    """A note on the rows that were not in time order."""
    moved = int((order != np.argsort(codes, kind="stable")).sum())
    if moved:
        notes.append(f"{moved} {many} were not in time order and were sorted")


def _are_in_order(times: Array, codes: Array) -> bool:
    """Whether rows are sorted by series and time, with one row for each time of a series."""
    steps = np.diff(times)
    later = steps > np.zeros(1, dtype=steps.dtype)
    next_series = np.diff(codes)
    return bool(((next_series > 0) | ((next_series == 0) & later)).all())


def _are_repeated(times: Array, codes: Array) -> Array:
    """Which sorted rows are at the time of the row before them in their series, ``(n,)`` bool."""
    again = np.zeros(len(times), dtype=bool)
    again[1:] = (np.diff(codes) == 0) & (times[1:] == times[:-1])
    return again


def _are_copies(matrix: Array | None, order: Array, again: Array) -> bool:
    """Whether all sorted rows that repeat a time have the values of the row before them."""
    if matrix is None:
        return False
    later = np.flatnonzero(again)
    return np.array_equal(
        matrix[order[later - 1]], matrix[order[later]], equal_nan=True
    )


def _duplicates(
    times: Array,
    codes: Array,
    names: Sequence[str],
    order: Array,
    again: Array,
    matrix: Array | None,
    advice: Sequence[str],
) -> ValueError:
    second = int(np.flatnonzero(again)[0])
    one, other = order[second - 1], order[second]
    identical = ""
    if matrix is not None and np.array_equal(
        matrix[one], matrix[other], equal_nan=True
    ):
        identical = ", with the same values"
    ways = [
        *advice,
        "duplicates='first', duplicates='last' or duplicates='mean' of the values",
    ]
    if not advice:
        ways.append("id=COLUMN if the table holds several series")
    ways.append("time='' to go by the order of the rows")
    return ValueError(
        f"{again.sum()} duplicate timestamps, the first is {moment(times[one])} in series "
        f"{names[codes[one]]!r} (data rows {one + 1} and {other + 1}{identical}); choose "
        f"{', '.join(ways[:-1])}, or {ways[-1]}"
    )


def _note_spacing(times: Array, codes: Array, count: int, notes: list[str]) -> None:
    """A note when the steps of one of `count` series are not equal; times are in order."""
    same = np.diff(codes) == 0
    if not same.any():
        return
    steps = np.diff(by_months(times))[same].astype(np.float64)
    usual = np.median(steps)
    steps -= usual
    odd = np.abs(steps, out=steps) > 0.01 * usual
    uneven = len(np.unique(codes[1:][same][odd])) if odd.any() else 0
    if uneven:
        real = np.diff(times)[same]
        sizes = (
            f"median step {in_words(np.median(real))}, largest {in_words(real.max())}"
        )
        notes.append(
            f"{uneven} of {count} series are not equally spaced in time ({sizes}): each row is "
            "one timestep"
        )


def steps_within(numbers: Array, codes: Array) -> Array:
    """The steps between the rows of one code each, in the order of rows; numbers are ``(n,)``."""
    order = np.argsort(codes, kind="stable")
    same = np.diff(codes[order]) == 0
    steps: Array = np.diff(numbers[order])[same]
    return steps


def spacing(times: Array, codes: Array | None) -> str:
    """Whether the rows of each series are in order: in "equal" steps, "sorted" or "mixed".

    Repeated times do not count. Steps of whole months are equal.
    """
    one_series = np.zeros(len(times), dtype=np.int64)
    steps = steps_within(by_months(times), one_series if codes is None else codes)
    zero = np.zeros(1, dtype=steps.dtype)[0]
    if not ((steps >= zero).all() or (steps <= zero).all()):
        return "mixed"
    moved = steps[steps != zero]
    return "equal" if len(moved) >= FEW and (moved == moved[0]).all() else "sorted"
