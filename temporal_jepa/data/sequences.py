"""The container between files and models: series of any length, with labels, names and times."""

from __future__ import annotations

import difflib
import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..files.printable import printable
from .datasets import with_labels
from .intervals import usual_interval
from .lazy import ChosenTexts, LazyArrays
from .tensors import unpacked

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.floating[Any]]
Frame = tuple[int, int, int]
Task = Literal["classification", "regression"]
AGENTS = 16  # most features of an agent; a longer last axis holds the columns of a video frame
ABSENT = ("?", b"?")  # a label that is not known, in arrays
ROUNDING = (
    1e-4  # largest rounding error of float32, as a share of the range of a channel
)
SPACING = 2.0**-150  # rounding error of float32 next to 0
CONSTANT = 2e-15  # changes below this share of the level are rounding errors of float64
SOME = 8  # names that a message lists before "..."
LONGEST_MESSAGE = 4000  # characters


def listed(names: Iterable[Any]) -> str:
    """The first few names, for a message: ``a, b, c, ...``."""
    texts = [printable(str(name)) for name in names]
    if len(texts) > SOME:
        texts = [*texts[:SOME], "..."]
    return ", ".join(texts)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A question for a message: "; did you mean 'speed'?", "" if no known name is near."""
    near = difflib.get_close_matches(name, known, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


@contextmanager
def located(source: object) -> Iterator[None]:
    """Put `source` in front of the message of a ValueError that does not begin with it.

    What files hold is quoted there: control characters become escapes, and the message has an end.
    """
    try:
        yield
    except UnicodeEncodeError as error:
        text = ascii(error.object[error.start : error.end])
        raise ValueError(
            f"{source}: {error.object!a} holds {text}, half of a character (a surrogate without "
            "the other); write the text anew"
        ) from error
    except ValueError as error:
        text = printable(str(error), keep="\n")
        if len(text) > LONGEST_MESSAGE:
            text = f"{text[:LONGEST_MESSAGE]}... ({len(text):,} characters)"
        is_there = text.startswith(str(source))
        error.args = (text if is_there else f"{source}: {text}",)
        raise


@dataclass(frozen=True, eq=False)
class Sequences:
    """Series of any length that share their channels; NaN is a missing value.

    Args:
        values: one float32 array ``(time_i, channels)`` per series, time at least 1, no inf. A
            series that varies too little for float32, see `loses_in_float32`, stays float64. With a
            frame, uint8 stays as it is, without a copy: 0..255 stands for 0..1. `LazyArrays`, those
            of a store, were checked when it was made and are not read here.
        labels: ``(n,)`` text, or None.
        ids: names of the series (default: "0".."n-1").
        channels: names of the channels (default: "0".."channels-1").
        times: one ``(time_i,)`` array per series, int64, float64 or datetime64 ([ns], or [us]
            where a year is before 1678 or after 2261); None for equally spaced timesteps.
        source: where the values come from, for messages.
        notes: one line for each thing that the reader inferred.
        frame: (rows, columns, channels) of a timestep that is a video frame, or (1, agents,
            features) of a scene; the channels are these three, flattened, the last fastest. None: a
            timestep is a point.
        places: one float64 ``(time_i, 2)`` per series, where each timestep was: (x, y), or
            (longitude, latitude).
        degrees: whether places are longitude and latitude, in degrees.
        task: what the labels are: classes, or numbers to predict; None if the source does not say.

    Raises:
        ValueError: when a series is empty or holds inf, or when shapes do not agree.

    >>> Sequences([np.zeros((5, 2)), np.ones((3, 2))], labels=["up", "down"], ids=["a", "b"])
    <Sequences: 2 series, 3 to 5 timesteps, 2 channels (0, 1), labels>
    """

    values: Sequence[FloatArray]
    labels: npt.NDArray[np.str_] | None = None
    ids: Sequence[str] = field(default_factory=list)
    channels: list[str] = field(default_factory=list)
    times: Sequence[Array] | None = None
    source: str = "arrays"
    notes: tuple[str, ...] = ()
    frame: Frame | None = None
    places: Sequence[npt.NDArray[np.float64]] | None = None
    degrees: bool = False
    task: Task | None = None

    def __post_init__(self) -> None:
        if isinstance(self.values, LazyArrays):
            return
        with located(self.source):
            self._normalize()
            self._check()

    def _normalize(self) -> None:
        """Text for names and labels, float32 (or bytes) for values, and default names."""
        if not len(self.values):
            raise ValueError("expected at least one series, got none")
        ids = [str(name) for name in self.ids or range(len(self.values))]
        self._check_counts(ids)
        kept = () if self.frame is None else (np.uint8,)
        values = [
            _as_floats(x, f"series {name!r}", kept)
            for name, x in zip(ids, self.values, strict=True)
        ]
        channels = [str(name) for name in self.channels or range(values[0].shape[1])]
        if self.times is not None:
            object.__setattr__(self, "times", _in_one_unit(self.times))
        object.__setattr__(self, "ids", ids)
        object.__setattr__(self, "values", values)
        object.__setattr__(self, "channels", channels)
        if self.labels is not None:
            object.__setattr__(self, "labels", as_labels(self.labels))
        self._check_text()
        if self.task == "regression":
            self.targets()

    def _check_text(self) -> None:
        """UnicodeEncodeError for half of a character, which no file can hold."""
        for texts in (self.ids, self.channels, self.labels):
            for text in () if texts is None else texts:
                text.encode()

    def _check_counts(self, ids: list[str]) -> None:
        """ValueError unless there is one id, label, ... per series."""
        per_series = {
            "ids": ids,
            "labels": self.labels,
            "times": self.times,
            "places": self.places,
        }
        count = len(self.values)
        for what, entries in per_series.items():
            if entries is not None and len(entries) != count:
                raise ValueError(
                    f"expected {count} {what}, one per series, got {len(entries)}"
                )

    def _check(self) -> None:
        """ValueError when the fields do not fit each other, or a value is infinite."""
        if self.frame is not None and math.prod(self.frame) != self.n_channels:
            raise ValueError(
                f"a frame of {' x '.join(map(str, self.frame))} (rows, columns, channels) has "
                f"{math.prod(self.frame)} values, but a timestep has {self.n_channels}"
            )
        for name, x in zip(self.ids, self.values, strict=True):
            if x.shape[1] != self.n_channels:
                raise ValueError(
                    f"expected {self.n_channels} channels ({listed(self.channels)}) in every "
                    f"series, got {x.shape[1]} in {name!r}; arrays are (time, channels)"
                )
            infinite = _infinite(x)
            if infinite.any():
                step, channel = np.argwhere(infinite)[0]
                raise ValueError(
                    f"{infinite.sum()} values of series {name!r} are infinite in float32, the "
                    f"first at timestep {step} of channel {self.channels[channel]!r}; write NaN "
                    "where a value is missing"
                )
        for what, arrays in (("times", self.times), ("places", self.places)):
            if arrays is not None and [len(x) for x in arrays] != self.lengths.tolist():
                raise ValueError(
                    f"expected {what} for each timestep, {listed(self.lengths)}, got "
                    f"{listed(map(len, arrays))}"
                )

    def __len__(self) -> int:
        return len(self.values)

    @property
    def n_channels(self) -> int:
        """Number of channels, the same in every series."""
        return len(self.channels)

    @property
    def shape(self) -> tuple[int]:
        """``(n,)``: with a shape, scikit-learn takes rows as of an array, not as of a list."""
        return (len(self),)

    def __getitem__(self, key: Any) -> Any:
        """A series as estimators take it, or several as `Sequences`.

        With this and `shape`, scikit-learn's `cross_val_score`, `GridSearchCV` and
        `train_test_split` take `Sequences`, and every fold keeps names, times and places.

        Args:
            key: an integer, for an array ``(channels, time_i)`` (of video ``(time_i, rows, columns,
                channels)``, of scenes ``(time_i, 1, agents, features)``); or a slice, integers or a
                boolean mask, as `select`. ``data[key, ...]`` is ``data[key]``, as of an array.

        Raises:
            IndexError: if there is no such series.

        >>> data = Sequences.from_arrays(np.arange(24.0).reshape(3, 2, 4), y=["a", "b", "a"])
        >>> data[0].shape, data[:2]
        ((2, 4), <Sequences: 2 series, 4 timesteps, 2 channels (0, 1), labels>)
        """
        if isinstance(key, tuple) and key[1:] == (...,):
            key = key[0]
        if not isinstance(key, (int, np.integer)):
            chosen = np.arange(len(self))[key] if isinstance(key, slice) else key
            return self.select(chosen)
        if not -len(self) <= key < len(self):
            raise IndexError(f"there are {len(self)} series, got the index {key}")
        x = self.values[int(key) % len(self)]
        return x.T if self.frame is None else x.reshape(len(x), *self.frame)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Number of timesteps of each series, ``(n,)``."""
        if isinstance(self.values, LazyArrays):
            return self.values.lengths
        return np.array([len(x) for x in self.values], dtype=np.int64)

    @property
    def is_stored(self) -> bool:
        """Whether the values are read one by one from a store, and may be larger than memory."""
        return isinstance(self.values, LazyArrays)

    @property
    def dtypes(self) -> frozenset[str]:
        """The types of the values: "float32", "float64", "uint8"."""
        if isinstance(self.values, LazyArrays):
            return self.values.dtypes
        return frozenset(str(x.dtype) for x in self.values)

    @property
    def class_labels(self) -> npt.NDArray[np.str_] | None:
        """The label of each series `(n,)`; None if there are none, or numbers to predict."""
        return None if self.task == "regression" else self.labels

    def targets(self) -> npt.NDArray[np.float64]:
        """The labels as numbers ``(n,)``; ValueError if there are none, or if they are text."""
        if self.labels is None:
            raise ValueError(
                "task='regression' needs labels; name the column with label=COL"
            )
        numbers = as_numbers(self.labels)
        if numbers is None:
            raise ValueError(
                "task='regression' needs labels that are numbers, got "
                f"{listed(np.unique(self.labels))}"
            )
        return numbers

    def select(self, indices: npt.ArrayLike) -> Sequences:
        """The series at these indices (integers or a boolean mask), in this order, as views."""
        chosen = np.arange(len(self))[np.asarray(indices)]
        if isinstance(self.values, LazyArrays):
            rows = np.atleast_1d(chosen)
            ids = ChosenTexts(self.ids, rows)
            return self._lazy_pieces(rows, 0 * rows, self.lengths[rows], ids)
        spans = [(int(i), slice(None)) for i in np.atleast_1d(chosen)]
        return self._pieces(spans, [self.ids[i] for i, _ in spans])

    def windows(self, length: int, stride: int | None = None) -> Sequences:
        """Each series cut into windows of `length` timesteps, one every `stride`, as views.

        The window that starts at timestep 40 of series "a" is named "a@40". A series shorter than
        `length` is kept whole, a window without an observed value is left out; notes count both.

        Args:
            length: timesteps of a window.
            stride: timesteps between the starts of windows (default: `length`).

        Raises:
            ValueError: when `length` is longer than every series, or not positive.
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
        if isinstance(self.values, LazyArrays):
            return self._lazy_windows(length, stride)
        kept = []
        blank = 0
        for i, x in enumerate(self.values):
            for start in range(0, max(len(x) - length, 0) + 1, stride):
                span = slice(start, start + length)
                if missing(x[span]):
                    blank += 1
                else:
                    kept.append((i, span))
        if not kept:
            raise ValueError(
                f"{self.source}: every window of {length} timesteps is missing throughout (all NaN)"
            )
        notes = self._window_notes(length, stride, len(kept), blank)
        ids = [f"{self.ids[i]}@{span.start}" for i, span in kept]
        return replace(self._pieces(kept, ids), notes=(*self.notes, *notes))

    def _window_notes(
        self, length: int, stride: int, count: int, blank: int
    ) -> list[str]:
        """What became of the series that were cut into `count` windows."""
        unused = int((np.maximum(self.lengths - length, 0) % stride).sum())
        counts = {
            "timesteps at the ends that fill no window are left out": unused,
            "series shorter than the window are kept whole": int(
                (self.lengths < length).sum()
            ),
            "windows without one observed value are left out": blank,
        }
        notes = [f"cut into {count} windows of {length} timesteps, one every {stride}"]
        return notes + [f"{number} {what}" for what, number in counts.items() if number]

    def _lazy_windows(self, length: int, stride: int) -> Sequences:
        """As `windows`; the values are read only where some timesteps have no observed value."""
        assert isinstance(self.values, LazyArrays)
        counts = np.maximum(self.lengths - length, 0) // stride + 1
        rows = np.repeat(np.arange(len(self)), counts)
        first = np.repeat(np.cumsum(counts) - counts, counts)
        starts = (np.arange(len(rows)) - first) * stride
        stops = np.minimum(starts + length, self.lengths[rows])
        facts = self.values.facts
        if facts is None or facts["blank"] >= min(length, int(self.lengths.min())):
            spans = zip(rows, starts, stops, strict=True)
            kept = np.array(
                [not missing(self.values.span(*map(int, s))) for s in spans]
            )
            if not kept.any():
                raise ValueError(
                    f"{self.source}: every window of {length} timesteps is missing throughout "
                    "(all NaN)"
                )
            rows, starts, stops = rows[kept], starts[kept], stops[kept]
        blank = int(counts.sum()) - len(rows)
        notes = self._window_notes(length, stride, len(rows), blank)
        found = self._lazy_pieces(
            rows, starts, stops, ChosenTexts(self.ids, rows, starts)
        )
        return replace(found, notes=(*self.notes, *notes))

    def _lazy_pieces(
        self, rows: Array, starts: Array, stops: Array, ids: Sequence[str]
    ) -> Sequences:
        """Spans of timesteps of these series, as series named `ids`; nothing is read."""

        def cut(arrays: Any) -> Any:
            return None if arrays is None else arrays.pieces(rows, starts, stops)

        return replace(
            self,
            values=cut(self.values),
            labels=None if self.labels is None else self.labels[rows],
            ids=ids,
            times=cut(self.times),
            places=cut(self.places),
        )

    def _pieces(self, spans: list[tuple[int, slice]], ids: list[str]) -> Sequences:
        """Slices of timesteps of these series, as series named `ids`; no copies."""

        def cut(arrays: Sequence[Array]) -> list[Array]:
            return [arrays[i][span] for i, span in spans]

        return replace(
            self,
            values=cut(self.values),
            labels=None if self.labels is None else self.labels[[i for i, _ in spans]],
            ids=ids,
            times=None if self.times is None else cut(self.times),
            places=None if self.places is None else cut(self.places),
        )

    def batch(
        self, indices: Sequence[int] | npt.NDArray[np.int64], length: int = 0
    ) -> FloatArray:
        """These series as one array ``(b, longest of these, channels)``, see `stack`."""
        return stack([self.values[i] for i in indices], length)

    def reordered(self, order: Sequence[int]) -> Sequences:
        """The same series with their channels in another order, by number."""
        names = [self.channels[k] for k in order]
        if not isinstance(self.values, LazyArrays):
            values: Any = [x[:, order] for x in self.values]
        else:
            chosen = partial(_with_channels, order=list(order))
            values = self.values.mapped(chosen, self.dtypes, f"channels {list(order)}")
        return replace(self, values=values, channels=names)

    def check_observed(self) -> Sequences:
        """These sequences; ValueError when a series or a channel has no observed value."""
        if self.is_stored or self.dtypes == {"uint8"}:
            return self
        observed = np.array(
            [~np.isnan(x).all(axis=0) for x in self.values]
        )  # (n, channels)
        somewhere = observed.any(axis=0)
        if self.frame is not None:  # a scene may have room for more agents
            somewhere = somewhere.reshape(-1, self.frame[2]).any(axis=0)
        empty = [self.channels[k] for k in np.flatnonzero(~somewhere)]
        if empty:
            others = ",".join(name for name in self.channels if name not in empty)
            advice = f"leave it out (of a table, with values={others})"
            if not others:
                advice = "no other channel is left to learn from; check the file"
            raise ValueError(
                f"{self.source}: no observed value in any series (all NaN) in channel "
                f"{listed(map(repr, empty))}; {advice}"
            )
        blank = [self.ids[k] for k in np.flatnonzero(~observed.any(axis=1))]
        if blank:
            raise ValueError(
                f"{self.source}: {len(blank)} series have no observed value (length zero or all "
                f"NaN): {listed(map(repr, blank))}; leave them out"
            )
        return self

    def constant(self) -> list[str]:
        """Ids of the series in which no channel ever changes; a store names the first few.

        A series with at most one value in each channel is too short to change, and none of them.
        """
        if isinstance(self.values, LazyArrays) and self.values.facts is not None:
            return list(self.values.facts["constant_ids"])
        return [
            name
            for name, x in zip(self.ids, self.values, strict=True)
            if not (is_too_short(x) or _moves(x))
        ]

    @classmethod
    def from_arrays(
        cls,
        X: Any,
        y: Any = None,
        source: str = "arrays",
    ) -> Sequences:
        """Series from arrays as scikit-learn and aeon have them; NaN is a missing value.

        Args:
            X: ``(n, channels, time)``, ``(n, time)`` or a list of ``(channels, time_i)`` or
                ``(time_i,)``, or of DataFrames ``(time_i, channels)``; scenes ``(n, time, agents,
                features)``, at most 16 features; video ``(n, time, rows, columns, channels)`` or
                ``(n, time, rows, columns)``, uint8 or float in 0..1; lists of video ``(time_i,
                rows, columns, channels)`` or scenes ``(time_i, 1, agents, features)``; or a Dataset
                of PyTorch, whose items are ``(channels, time_i)``, alone or with a label.
            y: ``(n,)`` labels of any type; None: those of the dataset, if it has some.
            source: where the arrays come from, for messages.

        Raises:
            ValueError: when the axes are surely in another order, a series is empty, or values are
                no numbers.
        """
        X, y = with_labels(X, y)
        labels = None if y is None else as_labels(y, ABSENT)
        X = unpacked(X)
        if isinstance(X, (list, tuple)):
            if X and all(_is_frame(x) for x in X):
                values = _values_of_frames(X)
                names = [str(name) for name in X[0].columns]
                return cls(values, labels, channels=names, source=source)
        else:
            X = _numbers(X, "X")
        framed = _framed(X)
        if framed is not None:
            flat, frame = framed
            return cls(flat, labels, source=source, frame=frame)
        series = _two_axes(X)
        notes = _check_axes([x.shape for x in series])
        return cls([x.T for x in series], labels, source=source, notes=notes)

    def __repr__(self) -> str:
        """One line; `summary` has more."""
        low = int(self.lengths.min())
        high = int(self.lengths.max())
        timesteps = f"{low}" if low == high else f"{low} to {high}"
        if self.frame is None:
            content = f"{self.n_channels} channels ({listed(self.channels)})"
        else:
            content = f"frames of {' x '.join(map(str, self.frame))}"
        optional = ("labels", "times", "places")
        present = [name for name in optional if getattr(self, name) is not None]
        parts = [f"{len(self)} series", f"{timesteps} timesteps", content, *present]
        return f"<Sequences: {', '.join(parts)}>"

    def summary(self) -> list[tuple[str, str]]:
        """What was understood, as (name, text) rows for ``inspect``."""
        return [(name, text) for name, text, _ in self.facts()]

    def facts(self) -> list[tuple[str, str, Any]]:
        """The rows of `summary`, each with its value for programs: (name, text, value)."""
        low = int(self.lengths.min())
        high = int(self.lengths.max())
        middle = int(np.median(self.lengths))
        timesteps = f"{low} / {middle} / {high} (min / median / max)"
        timesteps = f"{low}" if low == high else timesteps
        rows: list[tuple[str, str, Any]] = [
            ("source", self.source, self.source),
            ("series", f"{len(self)}", len(self)),
            ("timesteps", timesteps, {"min": low, "median": middle, "max": high}),
        ]
        if self.frame is None:
            channels = f"{self.n_channels}: {listed(self.channels)}"
            rows.append(("channels", channels, list(self.channels)))
        else:
            size = f"{' x '.join(map(str, self.frame))} (rows, columns, channels)"
            rows.append(("frame", size, list(self.frame)))
        facts = self.values.facts if isinstance(self.values, LazyArrays) else None
        missing = self._missing_share(facts)
        percent = f"{100 * missing:.2f} %" if missing else "none"
        rows.append(("missing", percent, missing))
        rows.append(("labels", *self._label_facts(facts)))
        if self.times is not None:
            times = self._first_and_last_time(facts)
            rows.append(("times", " to ".join(times), times))
            interval = None if self.places is not None else usual_interval(self.times)
            rows += [] if interval is None else [("interval", *interval)]
        return rows + self._odd_facts()

    def _odd_facts(self) -> list[tuple[str, str, Any]]:
        """Rows of `facts` on copies and constant channels, where there are some."""
        rows: list[tuple[str, str, Any]] = []
        copies = self._copies()
        if copies:
            pairs = listed(f"{first} = {second}" for first, second in copies)
            what = f"series with the values of another: {pairs}"
            rows.append(("identical", f"{len(copies)} {what}", copies))
        constant = self._constant_channels()
        if constant:
            text = f"{len(constant)}: {listed(constant)}"
            rows.append(("constant channels", text, constant))
        return rows

    def _copies(self) -> list[tuple[str, str]]:
        """Names of series with the values of an earlier one: (earlier, later).

        None of a store and of video, whose values would all have to be read.
        """
        if isinstance(self.values, LazyArrays) or self.frame is not None:
            return []
        first = first_equal(self.values)
        later = np.flatnonzero(first != np.arange(len(first)))
        return [(self.ids[first[k]], self.ids[k]) for k in later]

    def _missing_share(self, facts: dict[str, Any] | None) -> float:
        """The share of the values that are NaN, from the facts of a store if given."""
        if facts is not None:
            size = int(self.lengths.sum()) * self.n_channels
            return float(facts["missing"]) / size if facts["missing"] else 0.0
        absent = 0
        size = 0
        for x in self.values:  # bytes are never missing
            absent += 0 if x.dtype == np.uint8 else int(np.isnan(x).sum())
            size += x.size
        return absent / size if absent else 0.0

    def _label_facts(self, facts: dict[str, Any] | None) -> tuple[str, Any]:
        """Classes and the number of series of each, or the range of targets: text and value.

        A store has no counts for very many classes.
        """
        if self.labels is None:
            return "none", None
        if self.task == "regression":
            low, high = float(min(self.targets())), float(max(self.targets()))
            text = f"numbers from {low:g} to {high:g} (regression)"
            return text, {"min": low, "max": high}
        if facts is None:
            names, numbers = np.unique(self.labels, return_counts=True)
            counts = dict(zip(names.tolist(), numbers.tolist(), strict=True))
        elif facts["labels"] is None:
            return "very many", None
        else:
            counts = {name: facts["labels"][name] for name in sorted(facts["labels"])}
        entries = [f"{name} ({count})" for name, count in counts.items()]
        return f"{len(entries)}: {listed(entries)}", counts

    def _first_and_last_time(self, facts: dict[str, Any] | None) -> list[str]:
        """The first and the last of all times as text, from the facts of a store if given."""
        if facts is not None:
            return list(facts["times"])
        assert self.times is not None
        first = min(times[0] for times in self.times)
        last = max(times[-1] for times in self.times)
        return [moment(first), moment(last)]

    def _constant_channels(self) -> list[str]:
        """Names of the channels that never change in any series, none for video and scenes."""
        if self.frame is not None:
            return []
        if isinstance(self.values, LazyArrays) and self.values.facts is not None:
            return list(self.values.facts["constant_channels"])
        changing = np.any([_changes(x) for x in self.values], axis=0)  # (channels,)
        return [self.channels[k] for k in np.flatnonzero(~changing)]


def _with_channels(x: Array, order: list[int]) -> Array:
    """The channels of ``(time, channels)`` in another order."""
    return x[:, order]


def _is_frame(x: Any) -> bool:
    """Whether an object is a DataFrame, whose rows are timesteps."""
    return hasattr(x, "columns") and hasattr(x, "to_numpy")


def _values_of_frames(frames: Sequence[Any]) -> list[Array]:
    """The values ``(time_i, channels)`` of DataFrames; ValueError if their columns differ."""
    names = [str(name) for name in frames[0].columns]
    for i, frame in enumerate(frames):
        if [str(name) for name in frame.columns] != names:
            raise ValueError(
                f"expected the columns {listed(names)} in every DataFrame, got "
                f"{listed(frame.columns)} in X[{i}]"
            )
    try:
        return [_numbers(frame, f"X[{i}]") for i, frame in enumerate(frames)]
    except ValueError as error:
        raise ValueError(
            f"{error}; every column ({listed(names)}) must be a channel: leave the others out, or "
            "pass the list to temporal_jepa.read"
        ) from None


def _two_axes(X: Any) -> list[Array]:
    """Series as arrays ``(channels, time_i)``."""
    series = [_numbers(x, f"X[{i}]") for i, x in enumerate(X)]
    shapes = [x.shape for x in series if x.ndim not in (1, 2)]
    if shapes:
        raise ValueError(
            "expected X of shape (n, channels, time) or (n, time), or a list of arrays "
            f"(channels, time_i); got X[i] of shape {listed(shapes)} "
            "(for one series write X[None])"
        )
    return [np.atleast_2d(x) for x in series]


def _in_one_unit(times: Sequence[Array]) -> Sequence[Array]:
    """Dates of several units, of which [ns] does not hold all years, as datetime64[us]."""
    units = {x.dtype for x in times if x.dtype.kind == "M"}
    if len(units) < 2:
        return times
    return [x.astype("datetime64[us]") if x.dtype.kind == "M" else x for x in times]


def stack(values: Sequence[Array], length: int = 0) -> FloatArray:
    """Arrays ``(time_i, channels)`` as ``(b, longest, channels)``, bytes as 0..1.

    float32, or float64 if one of them is. NaN stands after the end of a short one. The result has
    at least `length` timesteps.
    """
    longest = max(length, *map(len, values))
    shape = (len(values), longest, values[0].shape[1])
    is_double = any(x.dtype == np.float64 for x in values)
    out = np.full(shape, np.nan, dtype=np.float64 if is_double else np.float32)
    for row, x in zip(out, values, strict=True):
        row[: len(x)] = x
        if x.dtype == np.uint8:
            row[: len(x)] /= 255
    return out


def as_text(name: Any) -> str:
    """An id or label as text; whole floats lose their ".0", so that 1, 1.0 and "1" are the same."""
    if isinstance(name, float) and name.is_integer():
        return str(int(name))
    if isinstance(name, bytes):
        return name.decode(errors="replace")
    return str(name)


def is_missing(label: Any, absent: Sequence[Any] = ()) -> bool:
    """Whether a label is None, NaN, NaT, pandas' NA, empty, or among `absent`."""
    try:
        return bool(label is None or label != label or label == "" or label in absent)
    except TypeError:  # pandas' NA is neither equal nor unequal to itself
        return True


def as_numbers(labels: npt.NDArray[np.str_]) -> npt.NDArray[np.float64] | None:
    """Labels ``(n,)`` as numbers, None if one of them is text.

    "01" is a code, not the number 1.
    """
    if any(re.match(r"[+-]?0\d", label) for label in labels.tolist()):
        return None
    try:
        numbers: npt.NDArray[np.float64] = labels.astype(np.float64)
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def as_labels(y: Any, absent: Sequence[Any] = ()) -> npt.NDArray[np.str_]:
    """Labels ``(n,)`` as text, see `as_text`.

    Args:
        y: labels of any type.
        absent: texts that stand for a missing label.

    Raises:
        ValueError: when a label is missing or `y` is not one-dimensional.
    """
    array = np.asanyarray(y)
    if array.ndim != 1:
        raise ValueError(f"expected labels of shape (n,), got {array.shape}")
    if array.dtype.kind == "f" and array.dtype.itemsize < 8:
        array = np.array([float(str(x)) for x in array])  # 0.1, not 0.10000000149
    labels = array.tolist()  # a masked label becomes None
    for i, label in enumerate(labels):
        if is_missing(label, absent):
            raise ValueError(
                f"the label of series {i} is missing, got {label!r}; give every series a label, "
                "or none"
            )
    return np.array([as_text(label) for label in labels], dtype=np.str_)


def moment(when: Any) -> str:
    """A time for a message, without the zeros of its nanoseconds."""
    if isinstance(when, np.datetime64):
        return str(np.datetime_as_string(when, unit="auto"))
    if isinstance(when, (int, np.integer)):
        return str(when)
    return f"{when:.15g}"


def missing(x: Array) -> bool:
    """Whether an array has no observed value; bytes are always observed."""
    return x.dtype != np.uint8 and bool(np.isnan(x).all())


def is_too_short(x: Array) -> bool:
    """Whether no channel of ``(time, channels)`` has two observed values, which could differ."""
    if len(x) < 2 or x.dtype == np.uint8:
        return len(x) < 2
    return bool(((~np.isnan(x)).sum(0) < 2).all())


def _moves(x: Array) -> bool:
    """Whether a channel of ``(time, channels)`` changes.

    Bytes may lie on disk: reading stops at the first timestep that differs.
    """
    if x.dtype == np.uint8:
        return any(not np.array_equal(step, x[0]) for step in x[1:])
    return bool(_changes(x).any())


def _changes(x: FloatArray) -> npt.NDArray[np.bool_]:
    """Which channels of ``(time, channels)`` take more than one observed value, ``(channels,)``."""
    return np.asarray(np.fmin.reduce(x) < np.fmax.reduce(x))  # these pass over NaN


def _numbers(x: Any, name: str) -> Array:
    """An array of numbers, NaN where a masked array is masked."""
    try:
        array = np.asanyarray(unpacked(x))
    except ValueError as error:  # ragged nested lists
        raise ValueError(
            f"{name}: expected an array of numbers; give series of unequal length as a list of "
            f"(channels, time_i) arrays ({error})"
        ) from error
    if array.dtype.kind not in "fiub":
        raise ValueError(f"{name}: expected numbers, got dtype {array.dtype}")
    if isinstance(array, np.ma.MaskedArray):
        real = np.result_type(array.dtype, np.float32)  # integers have no NaN
        array = np.ma.filled(array.astype(real), np.nan)
    return np.asarray(array)


def loses_in_float32(x: Array, share: float = ROUNDING) -> npt.NDArray[np.bool_]:
    """Which channels of ``(time, channels)`` vary too little for float32, ``(channels,)``.

    Its rounding errors are more than `share` of their range, and those of float64 are far less: 1e9
    and 1e9 + 7, or a pressure of 101325 and 101326 Pa.
    """
    if x.dtype.itemsize <= 2 or x.dtype == np.float32:
        return np.zeros(x.shape[1], dtype=bool)
    low = np.fmin.reduce(x).astype(np.float64)  # these pass over NaN
    high = np.fmax.reduce(x).astype(np.float64)
    return rounds_away(low, high, share)


def rounds_away(
    low: Array, high: Array, share: float = ROUNDING
) -> npt.NDArray[np.bool_]:
    """Whether float32 loses values between `low` and `high`, see `loses_in_float32`."""
    with np.errstate(over="ignore", invalid="ignore"):  # inf is refused elsewhere
        extent = high - low
        largest = np.maximum(np.abs(low), np.abs(high))
        rounded = (low.astype(np.float32) != low) | (high.astype(np.float32) != high)
    error = np.maximum(largest * 2.0**-24, SPACING)
    return np.asarray(
        rounded & (extent > CONSTANT * largest) & (error > share * extent)
    )


def _infinite(x: Array) -> npt.NDArray[np.bool_]:
    """Which values are infinite in float32."""
    if x.dtype == np.float64:
        return np.asarray(np.abs(x) > np.finfo(np.float32).max)
    return np.isinf(x)


def _as_floats(x: Any, name: str, kept: tuple[type, ...]) -> FloatArray:
    """A series ``(time, channels)`` as `Sequences.values` has it; a type among `kept` stays."""
    array = _numbers(x, name)
    if array.ndim != 2 or not array.shape[1]:
        raise ValueError(f"{name}: expected shape (time, channels), got {array.shape}")
    if not len(array):
        raise ValueError(
            f"{name}: expected at least one timestep, got a series of length zero"
        )
    if array.dtype in kept:
        return array
    if loses_in_float32(array).any():
        return array.astype(np.float64, copy=False)
    with np.errstate(
        over="ignore"
    ):  # what does not fit becomes inf, which is then refused
        return array.astype(np.float32, copy=False)


def first_equal(arrays: Iterable[Array]) -> npt.NDArray[np.int64]:
    """For each array, the index of the first one with the same shape and values, ``(n,)``."""
    seen: dict[tuple[tuple[int, ...], bytes], int] = {}
    found = []
    for k, x in enumerate(arrays):
        digest = hashlib.blake2b(np.ascontiguousarray(x).data, digest_size=16).digest()
        found.append(seen.setdefault((x.shape, digest), k))
    return np.array(found, dtype=np.int64)


def _framed(X: Any) -> tuple[list[Array], Frame] | None:
    """Scenes and video as arrays ``(time_i, values)`` and their frame; None for series.

    Raises:
        ValueError: for a list of frames of several sizes, and as `_as_frames`.
    """
    if isinstance(X, (list, tuple)):
        if not X or not all(getattr(x, "ndim", 0) == 4 for x in X):
            return None
        clips = _listed_frames([_numbers(x, "X[i]") for x in X])
    elif X.ndim in (4, 5) and X.size:
        clips = list(_as_frames(X))
    else:
        return None
    sizes = sorted({x.shape[1:] for x in clips})
    if len(sizes) > 1:
        raise ValueError(
            f"expected frames of one size (rows, columns, channels), got {listed(sizes)}"
        )
    return [x.reshape(len(x), -1) for x in clips], sizes[0]


def _listed_frames(arrays: list[Array]) -> list[Array]:
    """Scenes ``(time_i, 1, agents, features)`` as they are, and videos as `_as_frames`."""
    if all(x.shape[1] == 1 and x.shape[3] <= AGENTS for x in arrays):
        return arrays
    return [_as_frames(x[None])[0] for x in arrays]


def _as_frames(array: Array) -> Array:
    """Scenes or video as ``(n, time, rows, columns, channels)``.

    Raises:
        ValueError: for axes in another order, and numbers in another unit.
    """
    bytes_ = array.dtype == np.uint8
    if array.ndim == 4 and not bytes_ and array.shape[3] <= AGENTS:
        return array[:, :, None]  # agents stand in one row
    if array.ndim == 4:
        array = array[..., None]
    elif array.shape[2] in (1, 3) and array.shape[4] > 4:
        raise ValueError(
            f"expected video (n, time, rows, columns, channels), got {array.shape}: the axes look "
            "like PyTorch's; pass X.transpose(0, 1, 3, 4, 2)"
        )
    if not bytes_ and array.min() >= 0 and 2 < array.max() <= 255:
        raise ValueError(
            f"expected video as bytes (uint8, 0..255) or as numbers in 0..1, got {array.dtype} up "
            f"to {array.max():g}; pass X.astype(np.uint8), or X / 255"
        )
    return array


def _check_axes(shapes: list[tuple[int, ...]]) -> tuple[str, ...]:
    """A note when series look like (time, channels) instead of (channels, time).

    Raises:
        ValueError: when they surely are, or when their numbers of channels differ.
    """
    if not shapes:
        raise ValueError("expected at least one series in X, got none")
    channels = sorted({shape[0] for shape in shapes})
    if len(channels) > 1:
        raise ValueError(
            f"expected arrays (channels, time_i) with one number of channels, got "
            f"{listed(channels)} channels (shapes {listed(shapes)}); if they are (time, channels), "
            "pass [x.T for x in X]"
        )
    c = channels[0]
    t = max(shape[1] for shape in shapes)
    if t <= 8 and c >= 8 * max(t, 4):
        raise ValueError(
            f"expected (channels, time), got series of {c} channels and only {t} timesteps: the "
            "axes look swapped; pass X.transpose(0, 2, 1), or Sequences([x.T for x in X]) if they "
            "are right"
        )
    if c > t:
        return (
            f"more channels ({c}) than timesteps ({t}): check that X is (n, channels, time)",
        )
    return ()
