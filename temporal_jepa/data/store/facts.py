"""What is known of all series of a store, collected while they are written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..sequences import Array, Sequences, is_too_short, listed, moment, rounds_away

NAMED = 9  # series that are named in a message
COUNTED = 1000  # classes that are counted; more are not


class Facts:
    """Counts over series, see `add`; all entries go into JSON."""

    def __init__(self, **entries: Any):
        self.series = 0
        self.timesteps = 0
        self.missing = 0  # values that are NaN
        self.blank = 0  # timesteps without any observed value
        self.constant = 0  # series in which no channel ever changes
        self.constant_ids: list[str] = []
        self.changes: list[bool] = []  # whether a channel changes in some series
        self.observed: list[bool] = []  # whether a channel has a value in some series
        self.dtypes: list[str] = []
        self.labels: dict[str, int] | None = {}
        self.label_width = 0
        self.first: Any = None  # time
        self.last: Any = None
        self.open: dict[str, Any] | None = None  # the series that is not whole yet
        vars(self).update(entries)

    def add(self, part: Sequences) -> None:
        """Count the series of a part.

        Raises:
            ValueError: when a series has no observed value.
        """
        short = np.array([is_too_short(x) for x in part.values])
        self._add_extremes(part, *_extremes(part), short)
        for x in part.values:
            self._count_missing(x)
        self.dtypes = sorted({*self.dtypes, *(str(x.dtype) for x in part.values)})
        self.series += len(part)
        self.timesteps += int(part.lengths.sum())
        self._count_labels(part)
        self._count_times(part)

    def extend(self, piece: Sequences) -> None:
        """Count timesteps of a series that is not whole yet.

        Args:
            piece: one series, its values in float64.

        Raises:
            ValueError: when its times do not follow those before, its label is another, or a value
                is infinite.
        """
        x = piece.values[0]
        low, high = np.fmin.reduce(x), np.fmax.reduce(x)
        label = None if piece.labels is None else str(piece.labels[0])
        if self.open is None:
            nan = [np.nan] * piece.n_channels
            self.open = {"length": 0, "low": nan, "high": nan, "label": label}
        start = self.open["length"]
        _check_finite(x, piece, start)
        if label != self.open["label"]:
            raise ValueError(
                f"the label is {self.open['label']!r}, and from timestep {start} on {label!r}; a "
                "series has one label: choose label='' for none"
            )
        if piece.times is not None and start:
            _check_follows(piece.times[0][0], self.last, start)
        self.open = {
            "length": start + len(x),
            "low": np.fmin(self.open["low"], low).tolist(),
            "high": np.fmax(self.open["high"], high).tolist(),
            "label": label,
        }
        self._count_missing(x)
        self.timesteps += len(x)
        self._count_times(piece)

    def end(self, piece: Sequences, dtype: str) -> tuple[int, bool]:
        """Count the series of which `piece` was the last.

        dtype: of its values in the store.

        Returns:
            Its timesteps, and whether `dtype` loses its values.
        """
        assert self.open is not None
        low, high = np.array([self.open["low"]]), np.array([self.open["high"]])
        loses = dtype == "float32" and bool(rounds_away(low, high).any())
        short = np.array([self.open["length"] < 2])
        self._add_extremes(piece, low.astype(dtype), high.astype(dtype), short)
        self.dtypes = [dtype]
        self.series += 1
        self._count_labels(piece)
        length = int(self.open["length"])
        self.open = None
        return length, loses

    def _add_extremes(
        self, part: Sequences, low: Array, high: Array, short: Array
    ) -> None:
        """Count series by the smallest and largest value of their channels, ``(n, channels)``.

        Those that are `short` ``(n,)`` have no two values that could differ, and are not constant.

        Raises:
            ValueError: when a series has no observed value.
        """
        width = part.n_channels
        self.changes = self.changes or [False] * width
        self.observed = self.observed or [False] * width
        seen: Array = np.equal(low, low)  # not NaN
        blank = np.flatnonzero(~seen.any(axis=1))
        if len(blank):
            names = listed(repr(part.ids[int(k)]) for k in blank)
            raise ValueError(
                f"{part.source}: {len(blank)} series have no observed value (length zero or all "
                f"NaN): {names}; leave them out"
            )
        moves = low < high
        self.observed = (np.array(self.observed) | seen.any(axis=0)).tolist()
        self.changes = (np.array(self.changes) | moves.any(axis=0)).tolist()
        still = np.flatnonzero(~moves.any(axis=1) & ~short)
        self.constant += len(still)
        room = NAMED - len(self.constant_ids)
        self.constant_ids += [part.ids[int(k)] for k in still[:room]]

    def _count_missing(self, x: Array) -> None:
        if x.dtype.kind != "f" or not np.isnan(x.min()):
            return
        absent = np.isnan(x)
        self.missing += int(absent.sum())
        self.blank += int(absent.all(axis=1).sum())

    def _count_labels(self, part: Sequences) -> None:
        if part.labels is None:
            self.labels = None
            return
        names, counts = np.unique(part.labels, return_counts=True)
        self.label_width = max(self.label_width, max(map(len, names.tolist())))
        if self.labels is None:
            return
        for name, count in zip(names.tolist(), counts.tolist(), strict=True):
            self.labels[name] = self.labels.get(name, 0) + count
        if len(self.labels) > COUNTED:
            self.labels = None

    def _count_times(self, part: Sequences) -> None:
        """The first and the last time, as whole numbers or floats."""
        if part.times is None:
            return
        first = _plain(min(times[0] for times in part.times))
        last = _plain(max(times[-1] for times in part.times))
        self.first = first if self.first is None else min(self.first, first)
        self.last = last if self.last is None else max(self.last, last)

    def check_channels(self, head: Mapping[str, Any], source: str) -> None:
        """ValueError when a channel has no observed value in any series."""
        somewhere: Array = np.array(self.observed)
        if head["frame"] is not None:  # a scene may have room for more agents
            somewhere = np.any(somewhere.reshape(-1, head["frame"][2]), axis=0)
        names = head["channels"]
        empty = [names[k] for k in np.flatnonzero(~somewhere)]
        if not empty:
            return
        others = ",".join(name for name in names if name not in empty)
        advice = f"leave it out (of a table, with values={others})"
        if not others:
            advice = "no other channel is left to learn from; check the file"
        raise ValueError(
            f"{source}: no observed value in any series (all NaN) in channel "
            f"{listed(map(repr, empty))}; {advice}"
        )

    def recorded(self, head: Mapping[str, Any]) -> dict[str, Any]:
        """The entries of `store.json`; times as text for people."""
        names = [] if head["frame"] is not None else head["channels"]
        still = [
            name for name, moves in zip(names, self.changes, strict=False) if not moves
        ]
        span = None
        if self.first is not None:
            kind = np.dtype(head["times"])
            ends = [np.array(t).astype(kind)[()] for t in (self.first, self.last)]
            span = [moment(t) for t in ends]
        return {
            "missing": self.missing,
            "blank": self.blank,
            "constant": self.constant,
            "constant_ids": self.constant_ids,
            "constant_channels": still,
            "labels": self.labels,
            "times": span,
        }


def _check_finite(x: Array, piece: Sequences, start: int) -> None:
    """ValueError for a value of ``(time, channels)`` that is infinite in float32."""
    infinite = np.abs(x) > np.finfo(np.float32).max
    if infinite.any():
        step, channel = np.argwhere(infinite)[0]
        raise ValueError(
            f"values are infinite in float32, the first at timestep {start + int(step)} of channel "
            f"{piece.channels[channel]!r}; write NaN where a value is missing"
        )


class NotInOrderError(ValueError):
    """Rows of a recording are not in the order of time."""


def _check_follows(time: Any, last: Any, start: int) -> None:
    """NotInOrderError unless a time, that of timestep `start`, is after the last one before."""
    if _plain(time) > last:
        return
    what = "repeats" if _plain(time) == last else "goes back"
    raise NotInOrderError(
        f"the time {what} at timestep {start}, {moment(time)}; sort the rows by time and leave out "
        "repeated ones, or choose time='' to go by the order of the rows"
    )


def _plain(time: Any) -> int | float:
    number = time.astype(np.int64) if isinstance(time, np.datetime64) else time
    return number.item() if isinstance(number, np.generic) else number


def _extremes(part: Sequences) -> tuple[Array, Array]:
    """The smallest and the largest value of each channel of each series, ``(n, channels)``."""
    kinds = {x.dtype for x in part.values}
    if len(kinds) > 1 or sum(x.nbytes for x in part.values) > 2**28:
        low = [np.fmin.reduce(x) for x in part.values]
        high = [np.fmax.reduce(x) for x in part.values]
        return np.array(low), np.array(high)
    whole = np.concatenate(list(part.values))
    starts = np.concatenate([[0], np.cumsum(part.lengths)[:-1]])
    return np.fmin.reduceat(whole, starts), np.fmax.reduceat(whole, starts)
