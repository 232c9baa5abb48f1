"""The one container between files and models: a list of series of any length, with labels, names and times."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Frame = tuple[int, int, int]
AGENTS = (
    16  # most features of an agent: with more, the last axis of four is the columns of a picture
)
SOME = 8  # how many names a message lists before "..."


def listed(names: Iterable[Any]) -> str:
    """The first few names, for a message: ``a, b, c, ...``."""
    texts = [str(name) for name in names]
    return ", ".join(texts[:SOME]) + (", ..." if len(texts) > SOME else "")


@dataclass(frozen=True, eq=False)
class Sequences:
    """Series of any length that share their channels; NaN is a missing value.

    values: one float32 array ``(time_i, channels)`` a series, time at least 1, no inf. With a frame, uint8 stays as
        it is, without a copy: 0..255 stands for 0..1.

    labels: ``(n,)`` array of str, or None. ids: names of the series, "0".."n-1" when not given.
    channels: names of the channels, "0".."channels-1" when not given.
    times: one ``(time_i,)`` array a series, int64, float64 or datetime64[ns], or None: equally spaced.
    source: where the values come from, for messages. notes: one line for each thing the reader inferred.

    frame: (rows, columns, channels) of a timestep that is a picture, or (1, agents, features) of a scene; the channels
        are these three, flattened, the last fastest. None: a timestep is a point.

    places: one float64 ``(time_i, 2)`` a series, where each timestep was: (x, y), or (longitude, latitude).
    degrees: whether places are longitude and latitude, in degrees.

    Raises ValueError when a series is empty or holds inf, or when shapes do not agree.
    """

    values: list[FloatArray]
    labels: npt.NDArray[np.str_] | None = None
    ids: list[str] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    times: list[npt.NDArray[Any]] | None = None
    source: str = "arrays"
    notes: tuple[str, ...] = ()
    frame: Frame | None = None
    places: list[npt.NDArray[np.float64]] | None = None
    degrees: bool = False

    def __post_init__(self) -> None:
        if not len(self.values):
            raise ValueError(f"{self.source}: expected at least one series, got none")
        ids = [str(i) for i in self.ids] or [str(i) for i in range(len(self.values))]
        beside_values = {
            "ids": ids,
            "labels": self.labels,
            "times": self.times,
            "places": self.places,
        }
        for name, beside in beside_values.items():
            if beside is not None and len(beside) != len(self.values):
                raise ValueError(
                    f"{self.source}: expected {len(self.values)} {name}, one for each series, got "
                    f"{len(beside)}"
                )
        kept = (np.uint8,) if self.frame is not None else ()
        values = [
            _as_float32(v, f"{self.source}: series {i!r}", kept)
            for v, i in zip(self.values, ids, strict=True)
        ]
        channels = [str(c) for c in self.channels] or [str(c) for c in range(values[0].shape[1])]
        labels = None if self.labels is None else as_labels(self.labels)
        for name, value in {
            "values": values,
            "ids": ids,
            "channels": channels,
            "labels": labels,
        }.items():
            object.__setattr__(self, name, value)
        self._check()

    def _check(self) -> None:
        where = self.source
        if self.frame is not None and math.prod(self.frame) != self.n_channels:
            raise ValueError(
                f"{where}: a frame of {' x '.join(map(str, self.frame))} (rows, columns, channels) has "
                f"{math.prod(self.frame)} values, but a timestep has {self.n_channels}"
            )
        for i, (name, x) in enumerate(zip(self.ids, self.values, strict=True)):
            if x.shape[1] != self.n_channels:
                raise ValueError(
                    f"{where}: expected {self.n_channels} channels ({listed(self.channels)}) in every "
                    f"series, got {x.shape[1]} in {name!r}; arrays are (time, channels)"
                )
            for what, beside in (("times", self.times), ("places", self.places)):
                if beside is not None and len(beside[i]) != len(x):
                    raise ValueError(
                        f"{where}: series {name!r} has {len(x)} timesteps but {len(beside[i])} {what}"
                    )
            if x.dtype != np.uint8 and np.isinf(x).any():
                step, channel = np.argwhere(np.isinf(x))[0]
                raise ValueError(
                    f"{where}: {np.isinf(x).sum()} values of series {name!r} are infinite in float32, the "
                    f"first at timestep {step} of channel {self.channels[channel]!r}; write NaN where a "
                    f"value is missing"
                )

    def __len__(self) -> int:
        return len(self.values)

    @property
    def n_channels(self) -> int:
        """Number of channels, the same in every series."""
        return len(self.channels)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of timesteps of each series, ``(n,)``."""
        return np.array([len(x) for x in self.values], dtype=np.int64)

    def select(self, indices: npt.ArrayLike) -> Sequences:
        """The series at these indices (integers or a boolean mask), in this order; values are not copied."""
        chosen = np.arange(len(self))[np.asarray(indices)].reshape(-1)
        return replace(
            self,
            values=[self.values[i] for i in chosen],
            labels=None if self.labels is None else self.labels[chosen],
            ids=[self.ids[i] for i in chosen],
            times=None if self.times is None else [self.times[i] for i in chosen],
            places=None if self.places is None else [self.places[i] for i in chosen],
        )

    def windows(self, length: int, stride: int | None = None) -> Sequences:
        """Each series cut into windows of `length` timesteps, one every `stride` (default: `length`), as views.

        The window that starts at timestep 40 of series "a" is named "a@40". A series shorter than `length` is kept
        whole, a window without one observed value is left out; the notes count both.
        Raises ValueError when `length` is longer than every series or not positive.
        """
        stride = length if stride is None else stride
        if length < 1 or stride < 1:
            raise ValueError(
                f"expected window and stride of at least 1 timestep, got {length} and {stride}"
            )
        longest = int(self.lengths.max())
        if length > longest:
            raise ValueError(
                f"{self.source}: a window of {length} timesteps is longer than the longest series "
                f"({longest}); choose at most {longest}"
            )
        cuts = [
            (i, s)
            for i, x in enumerate(self.values)
            for s in range(0, max(len(x) - length, 0) + 1, stride)
        ]
        kept = [(i, s) for i, s in cuts if not missing(self.values[i][s : s + length])]
        if not kept:
            raise ValueError(
                f"{self.source}: every window of {length} timesteps is missing throughout (all NaN)"
            )
        notes = [f"cut into {len(kept)} windows of {length} timesteps, one every {stride}"]
        if rest := sum(max(n - length, 0) % stride for n in self.lengths.tolist()):
            notes.append(f"{rest} timesteps at the ends that fill no window are left out")
        if short := int((self.lengths < length).sum()):
            notes.append(f"{short} series shorter than the window are kept whole")
        if len(kept) < len(cuts):
            notes.append(f"{len(cuts) - len(kept)} windows without one observed value are left out")
        owner = [i for i, _ in kept]
        return replace(
            self,
            values=[self.values[i][s : s + length] for i, s in kept],
            labels=None if self.labels is None else self.labels[owner],
            ids=[f"{self.ids[i]}@{s}" for i, s in kept],
            times=None if self.times is None else [self.times[i][s : s + length] for i, s in kept],
            places=None
            if self.places is None
            else [self.places[i][s : s + length] for i, s in kept],
            notes=(*self.notes, *notes),
        )

    def batch(self, indices: Sequence[int] | npt.NDArray[np.int64]) -> FloatArray:
        """These series as one float32 array ``(b, longest of these, channels)``, see `stack`."""
        return stack([self.values[i] for i in indices])

    def check_observed(self) -> Sequences:
        """These sequences, when each series and each channel has an observed value somewhere; else ValueError."""
        if all(x.dtype == np.uint8 for x in self.values):
            return self
        seen = np.array([~np.isnan(x).all(axis=0) for x in self.values])  # (n, channels)
        cells = (
            1 if self.frame is None else self.frame[0] * self.frame[1]
        )  # a scene may have room for more agents
        somewhere = np.tile(seen.any(axis=0).reshape(cells, -1).any(axis=0), cells)
        if empty := [self.channels[k] for k in np.flatnonzero(~somewhere)]:
            raise ValueError(
                f"{self.source}: channel {listed(map(repr, empty))} has no observed value in any series (all NaN); "
                f"leave it out (the others: {','.join(c for c in self.channels if c not in empty) or 'none'})"
            )
        if blank := [self.ids[k] for k in np.flatnonzero(~seen.any(axis=1))]:
            raise ValueError(
                f"{self.source}: {len(blank)} series have no observed value (length zero or all NaN): "
                f"{listed(map(repr, blank))}; leave them out"
            )
        return self

    def constant(self) -> list[str]:
        """Ids of the series in which no channel ever changes."""
        return [i for i, x in zip(self.ids, self.values, strict=True) if not _moves(x)]

    @classmethod
    def from_arrays(cls, X: Any, y: Any = None) -> Sequences:
        """Series from the scikit-learn and aeon faces; NaN is a missing value.

        X: ``(n, channels, time)``, ``(n, time)`` or a list of ``(channels, time_i)`` or ``(time_i,)``; scenes
            ``(n, time, agents, features)``, at most 16 features; films ``(n, time, rows, columns, channels)`` or
            ``(n, time, rows, columns)``, uint8 or float in 0..1.
        y: ``(n,)`` labels of any type, or None.
        Raises ValueError when the axes are surely in another order, a series is empty, or values are no numbers.
        """
        if isinstance(X, (list, tuple)):
            series = [_numbers(x, f"X[{i}]") for i, x in enumerate(X)]
            if wrong := [i for i, x in enumerate(series) if x.ndim not in (1, 2)]:
                raise ValueError(
                    f"expected arrays (channels, time) in the list, got shape {series[wrong[0]].shape} "
                    f"at X[{wrong[0]}]"
                )
            series = [x.reshape(1, -1) if x.ndim == 1 else x for x in series]
        else:
            array = _numbers(X, "X")
            if array.ndim in (4, 5) and array.size:
                scene = array.ndim == 4 and array.dtype != np.uint8 and array.shape[3] <= AGENTS
                rows = (1,) if scene else ()  # agents stand in one row
                frame = (*rows, *array.shape[2:], 1)[:3]
                if array.ndim == 5 and array.shape[2] in (1, 3) and array.shape[4] > 4:
                    raise ValueError(
                        f"expected films (n, time, rows, columns, channels), got {array.shape}: the axes "
                        "look like PyTorch's; pass X.transpose(0, 1, 3, 4, 2)"
                    )
                if (
                    not scene
                    and array.dtype != np.uint8
                    and array.min() >= 0
                    and 2 < array.max() <= 255
                ):
                    raise ValueError(
                        f"expected a film as bytes (uint8, 0..255) or as numbers in 0..1, got {array.dtype} up to "
                        f"{array.max():g}; pass X.astype(np.uint8), or X / 255"
                    )
                flat = array.reshape(*array.shape[:2], -1)
                return cls(list(flat), None if y is None else as_labels(y), frame=frame)
            if array.ndim not in (2, 3):
                raise ValueError(
                    f"expected X of shape (n, channels, time) or (n, time), got {array.shape}"
                    + ("; for one series write X[None]" if array.ndim == 1 else "")
                )
            series = list(array[:, None, :] if array.ndim == 2 else array)
        if not series:
            raise ValueError("expected at least one series in X, got none")
        notes = _check_axes([x.shape for x in series])
        return cls([x.T for x in series], labels=None if y is None else as_labels(y), notes=notes)

    def summary(self) -> list[tuple[str, str]]:
        """What was understood, as (name, text) rows for ``inspect``."""
        lengths = self.lengths
        total = sum(x.size for x in self.values)
        missing = sum(int(np.isnan(x).sum()) for x in self.values if x.dtype != np.uint8)
        span = f"{lengths.min()} / {int(np.median(lengths))} / {lengths.max()}"
        rows = [
            ("source", self.source),
            ("series", str(len(self))),
            (
                "timesteps",
                f"{lengths[0]}"
                if lengths.min() == lengths.max()
                else f"{span} (min / median / max)",
            ),
            ("channels", f"{self.n_channels}: {listed(self.channels)}")
            if self.frame is None
            else ("frame", " x ".join(map(str, self.frame)) + " (rows, columns, channels)"),
            ("missing", f"{100 * missing / total:.2f} %" if missing else "none"),
        ]
        if self.labels is None:
            rows.append(("labels", "none"))
        else:
            names, counts = np.unique(self.labels, return_counts=True)
            counted = (f"{name} ({count})" for name, count in zip(names, counts, strict=True))
            rows.append(("labels", f"{len(names)}: {listed(counted)}"))
        if self.times is not None:
            first = min(t[0] for t in self.times)
            last = max(t[-1] for t in self.times)
            rows.append(("times", f"{moment(first)} to {moment(last)}"))
        if self.frame is None:
            changing = np.logical_or.reduce([_changes(x) for x in self.values])  # (channels,)
            if still := [self.channels[k] for k in np.flatnonzero(~changing)]:
                rows.append(("constant channels", f"{len(still)}: {listed(still)}"))
        if flat := self.constant():
            rows.append(("constant series", f"{len(flat)}: {listed(flat)}"))
        return rows


def stack(values: Sequence[npt.NDArray[Any]]) -> FloatArray:
    """Arrays ``(time_i, channels)`` as one ``(b, longest, channels)``, NaN after a short one; 0..255 becomes 0..1."""
    out = np.full(
        (len(values), max(map(len, values)), values[0].shape[1]), np.nan, dtype=np.float32
    )
    for row, x in zip(out, values, strict=True):
        row[: len(x)] = x
        if x.dtype == np.uint8:
            row[: len(x)] /= 255
    return out


def as_labels(y: Any) -> npt.NDArray[np.str_]:
    """Labels ``(n,)`` as text; whole floats lose their ".0", so that 1, 1.0 and "1" are the same class.

    Raises ValueError when a label is missing or `y` is not one-dimensional.
    """
    array = np.asanyarray(y)  # a masked label becomes None
    if array.ndim != 1:
        raise ValueError(f"expected labels of shape (n,), got {array.shape}")
    out: list[str] = []
    for i, label in enumerate(array.tolist()):
        if label is None or label != label:
            raise ValueError(
                f"the label of series {i} is missing; give every series a label, or none"
            )
        out.append(
            str(int(label)) if isinstance(label, float) and label.is_integer() else str(label)
        )
    return np.array(out, dtype=np.str_)


def moment(when: Any) -> str:
    """A time for a message, without the zeros of its nanoseconds."""
    if isinstance(when, np.datetime64):
        return str(np.datetime_as_string(when, unit="auto"))
    return f"{when:d}" if isinstance(when, (int, np.integer)) else f"{when:g}"


def missing(x: npt.NDArray[Any]) -> bool:
    """Whether nothing of an array is observed; bytes always are."""
    return x.dtype != np.uint8 and bool(np.isnan(x).all())


def _moves(x: npt.NDArray[Any]) -> bool:
    """Whether any channel of ``(time, channels)`` changes; of bytes, which may lie on disk, it reads few timesteps."""
    if x.dtype == np.uint8:
        return any(not np.array_equal(step, x[0]) for step in x[1:])
    return bool(_changes(x).any())


def _changes(x: FloatArray) -> npt.NDArray[np.bool_]:
    """Which channels of ``(time, channels)`` take more than one observed value, ``(channels,)``."""
    return np.asarray(np.fmin.reduce(x) < np.fmax.reduce(x))  # these pass over NaN


def _numbers(x: Any, name: str) -> npt.NDArray[Any]:
    try:
        array = np.asanyarray(x)
    except ValueError as error:  # ragged nested lists
        raise ValueError(
            f"{name}: expected an array of numbers; give series of unequal length as a list of "
            f"(channels, time_i) arrays ({error})"
        ) from error
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name}: expected numbers, got dtype {array.dtype}")
    if isinstance(array, np.ma.MaskedArray):  # what is masked is missing
        array = np.ma.filled(array.astype(np.result_type(array.dtype, np.float32)), np.nan)
    return np.asarray(array)


def _as_float32(x: Any, name: str, kept: tuple[type, ...]) -> FloatArray:
    array = _numbers(x, name)
    if array.ndim != 2 or not array.shape[1]:
        raise ValueError(f"{name}: expected shape (time, channels), got {array.shape}")
    if not len(array):
        raise ValueError(f"{name}: expected at least one timestep, got a series of length zero")
    if array.dtype in kept:
        return array
    with np.errstate(
        over="ignore"
    ):  # what does not fit float32 becomes inf and is reported as such
        return array.astype(np.float32, copy=False)


def _check_axes(shapes: list[tuple[int, ...]]) -> tuple[str, ...]:
    """Refuse series that are surely (time, channels) instead of (channels, time); a note when it only looks so."""
    channels = {s[0] for s in shapes}
    times = {s[1] for s in shapes}
    if len(channels) > 1:
        swapped = len(times) == 1 and max(times) < min(channels)
        raise ValueError(
            f"expected arrays (channels, time_i) with one number of channels, got {listed(sorted(channels))} channels "
            f"(shapes {listed(shapes)}); "
            + (
                "they look like (time, channels): pass [x.T for x in X]"
                if swapped
                else "give every series the same"
            )
        )
    c = shapes[0][0]
    t = max(times)
    if t <= 8 and c >= 8 * max(t, 4):
        raise ValueError(
            f"expected (channels, time), got series of {c} channels and only {t} timesteps: the axes look swapped; "
            f"pass X.transpose(0, 2, 1), or Sequences([x.T for x in X]) if they are right"
        )
    return (
        (f"more channels ({c}) than timesteps ({t}): check that X is (n, channels, time)",)
        if c > t
        else ()
    )
