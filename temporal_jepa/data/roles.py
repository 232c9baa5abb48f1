"""The part of each column of a table: one decision from all columns, their values and options.

The rules are the table "How columns are read" of docs/data.md. Names choose among the readings
that the values allow; where two readings are left, `AmbiguousError` shows both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..config import ReadOptions
from .names import (
    CHANNEL_PREFIXES,
    TIME_PREFIXES,
    VALUE_LIKE,
    find_label,
    says_channel,
    says_count,
    says_id,
)
from .readings import AmbiguousError, Reading, likely
from .sequences import Array, did_you_mean, listed
from .times import (
    TimeColumns,
    candidates,
    named_columns,
    names_as_times,
    read_times,
)

if TYPE_CHECKING:
    import pandas as pd

LAYOUTS = ("wide", "long", "recording", "tracks", "scene")
NUMBERED = re.compile(r"(.*?)[\s_.-]?(\d+)")
STEP_WORD = re.compile(r"[\s_.-]+(t|time|step|timestep)$", re.IGNORECASE)  # acc_x_t0
LONGITUDE = re.compile(r"(.*[\s_.:-])?(lon|lng|long|longitude)", re.IGNORECASE)
LATITUDE = re.compile(r"(.*[\s_.:-])?(lat|latitude)", re.IGNORECASE)
METERS = (("x", "y"), ("easting", "northing"), ("east", "north"))
MOVEMENT = ("features", "step", "gap", "max_speed", "agents", "time_unit")
FEW = 8  # rows in which labels may all differ
REGULAR = 0.9  # share of equal steps of a regular clock
MOST_PAIRS = 8  # columns of which pairs are tried as an id


class MissingColumnError(ValueError):
    """An option names a column that the table does not have.

    Args:
        message: what was expected and found.
        option: the option: "id", "time", "label", "channel" or "values".
    """

    def __init__(self, message: str, option: str) -> None:
        super().__init__(message)
        self.option = option


class Places(NamedTuple):
    """The columns of longitude and latitude (`degrees`), or of x and y in meters."""

    x: str
    y: str
    degrees: bool


@dataclass(frozen=True)
class Roles:
    """What each column of a table is for.

    Attributes:
        layout: "wide", "long", "recording", "tracks" or "scene".
        ids: the columns that together name the series; empty if all rows are one series, or each
            row is.
        time: the columns that together are the time; None for the order of the rows.
        label: the column of the label.
        channel: the column that names the channel of a row, in tables (id, time, channel, value).
        values: the columns of values; in a wide table those of `steps`.
        steps: wide tables: channel -> its columns in the order of time.
        clock: wide tables: the times of the columns, where their names are times.
        places: the columns of places, for tracks and scenes.
    """

    layout: str
    ids: tuple[str, ...] = ()
    time: TimeColumns | None = None
    label: str | None = None
    channel: str | None = None
    values: tuple[str, ...] = ()
    steps: Mapping[str, list[str]] = field(default_factory=dict)
    clock: Array | None = None
    places: Places | None = None

    @property
    def times(self) -> tuple[str, ...]:
        """The names of the columns of the time."""
        return self.time.names if self.time else ()

    @property
    def used(self) -> set[str | None]:
        """All columns that have a part."""
        places = self.places[:2] if self.places else ()
        return {*self.ids, *self.times, *self.values, *places, self.label, self.channel}


def roles(frame: pd.DataFrame, options: ReadOptions, notes: list[str]) -> Roles:
    """The part of each column of a table.

    Args:
        frame: a table with unique text names; numbers are numeric columns.
        options: what is not None here is not inferred.
        notes: one line is added for each inference.

    Raises:
        AmbiguousError: when two readings are plausible.
        MissingColumnError: when an option names a column that does not exist.
        ValueError: when no column holds values.
    """
    check_columns(frame, options)
    return _Decision(frame, options, notes).roles()


def check_columns(frame: pd.DataFrame, options: ReadOptions) -> None:
    """ValueError for an unknown layout, columns of one name, and options without a column."""
    if not frame.columns.is_unique:
        repeated = listed(frame.columns[frame.columns.duplicated()])
        raise ValueError(f"several columns have the same name: {repeated}")
    if options.layout not in (None, *LAYOUTS):
        raise ValueError(
            f"expected one of the layouts {', '.join(LAYOUTS)} for a table, got {options.layout!r}"
        )
    named = [(o, n) for o in ("id", "time") for n in split(frame, getattr(options, o))]
    named += [("label", options.label or ""), ("channel", options.channel or "")]
    named += [("values", name) for name in options.values or ()]
    for option, name in named:
        if name and name not in frame.columns:
            raise MissingColumnError(
                f"{option} names a column {name!r} that does not exist, got the columns "
                f"{listed(frame.columns)}{did_you_mean(name, frame.columns)}",
                option,
            )


def split(frame: pd.DataFrame, option: str | None) -> tuple[str, ...]:
    """The columns that an option names: one, or several as "A,B"."""
    if not option:
        return ()
    if option in frame.columns:
        return (option,)
    return tuple(name.strip() for name in option.split(","))


class _Decision:
    """The facts of a table and the steps that decide from them."""

    def __init__(
        self, frame: pd.DataFrame, options: ReadOptions, notes: list[str]
    ) -> None:
        self.frame = frame
        self.options = options
        self.notes = notes
        self.names = list(frame.columns)
        self.given_ids = split(frame, options.id)
        self.given_times = split(frame, options.time)
        self.given = {
            *self.given_ids,
            *self.given_times,
            options.label,
            options.channel,
            *(options.values or ()),
        }

    def roles(self) -> Roles:
        layout = self.options.layout
        places = self.places
        if layout in ("tracks", "scene") or (layout is None and self._is_track_table()):
            return self._tracks(layout or "tracks", places)
        steps, clock = self.steps
        if layout is None:
            layout = self._layout(steps, clock)
        if layout == "wide":
            return self._wide(steps, clock)
        return self._rows(layout)

    # Facts of columns.

    @cached_property
    def time(self) -> TimeColumns | None:
        """The columns of the time: those of the option, else the best candidate."""
        if self.options.time == "":
            return None
        found = candidates(self.frame, self.options)
        if self.given_times:
            return found[0]
        spoken_for = self.given - {None}
        free = [time for time in found if not spoken_for & {*time.names}]
        return free[0] if free else None

    @property
    def times(self) -> tuple[str, ...]:
        return self.time.names if self.time else ()

    @cached_property
    def all_times(self) -> set[str]:
        """The columns of every candidate for the time; none of them holds values or ids."""
        found = candidates(self.frame, self.options)
        certain = [t for t in found if t.kind != "number" or t.names == self.times]
        return {name for time in certain for name in time.names}

    @cached_property
    def label(self) -> str | None:
        if self.options.label is not None:
            return self.options.label or None
        free = [n for n in self.names if n not in self.given and n not in self.times]
        return find_label(free) or self._unnamed_label()

    @property
    def is_unnamed(self) -> bool:
        """Whether columns are named 0, 1, 2, ..., as those of a file without a header."""
        return self.names == [str(k) for k in range(len(self.names))]

    def _unnamed_label(self) -> str | None:
        """Without a header, a first or last column of whole numbers beside decimals is a label.

        Raises:
            AmbiguousError: when no such number repeats, so that they may be ids or values.
        """
        if not self.is_unnamed or self.given - {None} or len(self.names) < 3:
            return None
        if any(map(self.is_text, self.names)):
            return None
        inner = self.names[1:-1]
        if 2 * sum(map(self._is_real, inner)) < len(inner):
            return None
        ends = [n for n in (self.names[0], self.names[-1]) if self._is_whole_valued(n)]
        for name in ends:
            if self._repeats(name):
                sentence = (
                    f"column {name} holds whole numbers beside decimals: the label"
                )
                self.notes.append(likely(sentence, f"label='', id={name!r}"))
                return name
            raise self._id_or_value(name)
        return None

    def _label_like_ends(self) -> list[str]:
        """Without a header, a first or last column of whole numbers that repeat."""
        if not self.is_unnamed or self.options.label is not None:
            return []
        ends = dict.fromkeys((self.names[0], self.names[-1]))
        return [n for n in ends if self._is_whole_valued(n) and self._repeats(n)]

    def _is_whole_valued(self, name: str) -> bool:
        column = self.frame[name]
        return (
            self.is_number(name) and not column.isna().any() and not self._is_real(name)
        )

    def _id_or_value(self, name: str) -> AmbiguousError:
        length = len(self.names)
        entries = [[entry] for entry in self.frame[name].head(3)]
        id_ = Reading(
            f"it names the rows, which are series of {length - 1} timesteps",
            {"id": name, "layout": "wide"},
            ["id"],
            entries,
        )
        value = Reading(
            f"it is a value, and rows are series of {length} timesteps",
            {"label": "", "id": "", "layout": "wide"},
            self.names,
            self.frame.head(3).to_numpy().tolist(),
        )
        time = Reading(
            f"it is the time of the rows, which have {length - 1} channels",
            {"time": name, "layout": "recording"},
            ["time"],
            entries,
        )
        label = Reading(
            f"it is the label of the rows, which are series of {length - 1} timesteps",
            {"label": name, "layout": "wide"},
            ["label"],
            entries,
        )
        readings = [id_, label, value]
        if self.frame[name].is_monotonic_increasing:
            readings.append(time)
        return AmbiguousError(
            f"column {name} holds whole numbers without repeats beside decimals",
            readings,
        )

    @cached_property
    def places(self) -> Places | None:
        return find_places(self.frame, self.options)

    def is_number(self, name: str) -> bool:
        return self.frame[name].dtype.kind in "fiub"

    def is_mostly_number(self, name: str) -> bool:
        """Whether a column holds numbers; those of which some are text are reported later."""
        import pandas as pd

        column = self.frame[name]
        if self.is_number(name):
            return True
        count = column.notna().sum()
        if column.dtype.kind in "mM" or says_id(name):
            return False
        parsed = pd.to_numeric(column.astype("string"), errors="coerce").notna().sum()
        return bool(not count or 2 * parsed > count)

    def is_whole(self, name: str) -> bool:
        return self.frame[name].dtype.kind in "iu"

    def is_text(self, name: str) -> bool:
        return self.frame[name].dtype.kind not in "fiubmM"

    @cached_property
    def numeric(self) -> list[str]:
        """Columns of numbers that no option claims for something else than values."""
        claimed = {*self.given_ids, *self.given_times, self.options.channel, self.label}
        claimed |= self.all_times
        return [n for n in self.names if n not in claimed and self.is_mostly_number(n)]

    # Wide tables.

    @cached_property
    def steps(self) -> tuple[dict[str, list[str]], Array | None]:
        """The columns that may be timesteps, by channel, and their times if names are times."""
        names = list(filter(None, self.options.values or ())) or self.numeric
        dated = self._dated(names)
        if dated is not None:
            return dated
        return numbered(names), None

    def _dated(self, names: list[str]) -> tuple[dict[str, list[str]], Array] | None:
        """Columns whose names are dates, months, hours or years, in the order of time."""
        dated = [n for n in names if not n.isdigit() or len(n) in (4, 6, 8)]
        if self.options.values:
            dated = names
        while len(dated) > 1:
            clock = names_as_times(dated, self.options)
            if clock is not None:
                order = np.argsort(clock, kind="stable")
                return {"value": [dated[k] for k in order]}, clock[order]
            shorter = [n for n in dated if any(c.isdigit() for c in n) or _is_month(n)]
            if len(shorter) == len(dated):
                return None
            dated = shorter
        return None

    def _layout(self, steps: dict[str, list[str]], clock: Array | None) -> str:
        """Wide, long or recording."""
        count = sum(map(len, steps.values()))
        if count >= 2 and 2 * count >= len(self.numeric):
            self._refuse_unnamed_text()
            wide = self._is_wide(steps, clock)
            if wide is not None:
                return "wide" if wide else "long"
            raise self._wide_or_rows(steps)
        return "long"

    def _is_wide(self, steps: dict[str, list[str]], clock: Array | None) -> bool | None:
        """Whether numbered columns are timesteps; None where both readings are plausible."""
        if self.time is not None:
            return None if clock is not None else False
        if clock is not None:
            return True
        prefixes = {_prefix(columns[0]) for columns in steps.values()}
        length = len(next(iter(steps.values())))
        if len(steps) == 1 and prefixes <= TIME_PREFIXES:
            return True
        rows = len(self.frame)
        named = self._names_rows()
        may_be_channels = prefixes <= CHANNEL_PREFIXES and prefixes != {""}
        if self._repeating_ids():  # rows of one id: series, or timesteps of one series
            return None
        if len(steps) > 1:
            return True if named or length > 4 else None
        if named:
            return None if may_be_channels and length < 16 else True
        if rows >= 64 * length and length <= 16:
            return False
        if may_be_channels:
            return None if length >= 8 else False
        return True if length >= max(4 * rows, 16) else None

    def _refuse_unnamed_text(self) -> None:
        """AmbiguousError where a text in blocks can be the id of rows in time, or a label."""
        if not self.is_unnamed or self.time is not None or self.given - {None}:
            return
        texts = [n for n in self.names if self.is_text(n)]
        if len(texts) != 1:
            return
        column = self.frame[texts[0]]
        few = column.is_unique and len(column) < FEW
        constant = column.nunique() == 1 and len(column) > 1
        if few or constant or self._is_in_blocks(texts[0]):
            raise self._id_or_state(texts[0], wide=True)

    def _names_rows(self) -> bool:
        """Whether columns name or label each row: an id without repeats, or a label."""
        if self.label is not None:
            return True
        if self.given_ids or any(self._is_row_name(n) for n in self.names):
            return True
        return self.is_unnamed and sum(map(self.is_text, self.names)) == 1

    def _is_row_name(self, name: str) -> bool:
        """Whether a column is text or named like an id, and differs in each row."""
        column = self.frame[name]
        if column.dtype.kind in "fmM" or column.isna().any():
            return False
        return (self.is_text(name) or says_id(name)) and column.is_unique

    def _wide_or_rows(self, steps: dict[str, list[str]]) -> AmbiguousError:
        columns = [name for names in steps.values() for name in names]
        table = self.frame[columns]
        first = table.head(3)
        over_time = [
            [f"time {k}", *row] for k, row in enumerate(first.to_numpy().tolist())
        ]
        as_series = [
            [f"series {k}", *row] for k, row in enumerate(first.to_numpy().tolist())
        ]
        length = len(columns) // len(steps)
        labeled = [
            Reading(
                f"the same, but column {name} is the label",
                {"layout": "wide", "label": name},
                ["label"],
                [[entry] for entry in self.frame[name].head(3)],
            )
            for name in self._label_like_ends()
        ]
        return AmbiguousError(
            f"the numbered columns {listed(columns)} can be timesteps or channels",
            [
                Reading(
                    f"each row is a series of {length} timesteps",
                    {"layout": "wide"},
                    ["", *columns],
                    as_series,
                ),
                *labeled,
                Reading(
                    f"each row is one timestep of {len(columns)} channels",
                    {"layout": "long" if self._repeating_ids() else "recording"},
                    ["", *columns],
                    over_time,
                ),
            ],
        )

    def _wide(self, steps: dict[str, list[str]], clock: Array | None) -> Roles:
        if not steps:
            names = list(filter(None, self.options.values or ())) or self.numeric
            steps = {"value": names}
        values = tuple(name for names in steps.values() for name in names)
        label = None if self.label in values else self.label
        others = [n for n in self.names if n not in (*values, label)]
        channel = self.options.channel or None
        if self.options.channel is None:
            channel = self._wide_channel(others)
        ids = self.given_ids or self._wide_ids(others, channel)
        if self.options.id == "":
            ids = ()
        if label is None and self.options.label is None:
            label = self._only_text([n for n in others if n not in (*ids, channel)])
        return Roles("wide", ids, None, label, channel, values, steps, clock)

    def _wide_channel(self, others: list[str]) -> str | None:
        """A column such as Indicator, where rows of one id are channels of one series."""
        for name in others:
            if self.is_text(name) and says_channel(name) and self._repeats(name):
                self.notes.append(
                    likely(f"column {name!r} names the channel of a row", "channel=''")
                )
                return name
        return None

    def _wide_ids(self, others: list[str], channel: str | None) -> tuple[str, ...]:
        """The columns that name rows: an id, a text without repeats, or the fewest texts."""
        free = [n for n in others if n != channel and not self.frame[n].isna().any()]
        named = [n for n in free if says_id(n)]
        texts = [n for n in free if self.is_text(n)]
        whole = [n for n in free if self.is_whole(n) and not self._counts_rows(n)]
        for name in (*named, *texts, *whole):
            if self._is_key((name,), channel):
                return (name,)
        for pair in combinations(texts[:MOST_PAIRS], 2):
            if self._is_key(pair, channel):
                self.notes.append(
                    likely(f"columns {listed(pair)} together name the series", "id=''")
                )
                return pair
        return tuple(named[:1])

    def _is_key(self, names: tuple[str, ...], more: str | None = None) -> bool:
        columns = [*names, more] if more else list(names)
        return not self.frame.duplicated(columns).any()

    def _only_text(self, names: list[str]) -> str | None:
        """Without a header, the one column of text that repeats is the label."""
        if not self.is_unnamed:
            return None
        texts = [n for n in names if self.is_text(n)]
        if len(texts) != 1:
            return None
        self.notes.append(
            likely(
                f"column {texts[0]} is the only one of text: taken as the label",
                f"id={texts[0]!r}",
            )
        )
        return texts[0]

    # Tables whose rows are timesteps.

    def _rows(self, layout: str) -> Roles:
        ids: tuple[str, ...] = ()
        channel = self.options.channel or None
        if layout == "long":
            ids, channel = self._naming()
            if not ids and self.options.layout == "long":
                raise ValueError(
                    "layout long needs a column that names the series; choose id=COLUMN, one of "
                    f"{listed(self.names)}"
                )
        elif self.given_ids:
            ids = self.given_ids
        values = self._values({*ids, channel})
        label = self._settled_label(ids, values)
        layout = "long" if ids else "recording"
        return Roles(layout, ids, self.time, label, channel, tuple(values))

    def _values(self, spent: set[str | None]) -> list[str]:
        """The columns of values: those of the option, else the numbers that have no other part."""
        if self.options.values is not None:
            return list(filter(None, self.options.values))
        spent = spent | {self.label} | self._row_names
        return [n for n in self.numeric if n not in spent and not self._counts_rows(n)]

    @cached_property
    def _row_names(self) -> set[str]:
        """Columns named like ids that have no part: they hold no values."""
        return {n for n in self.names if says_id(n) and not self._is_real(n)}

    def _is_real(self, name: str) -> bool:
        """Whether a column holds numbers with decimals."""
        column = self.frame[name]
        if column.dtype.kind != "f":
            return False
        return bool((column.dropna() % 1 != 0).any())

    def _counts_rows(self, name: str) -> bool:
        """Whether a column is named like a number of the row, and counts: 1, 2, 3, ..."""
        column = self.frame[name]
        if name in self.given or not (says_count(name) and self.is_whole(name)):
            return False
        if not (np.diff(column.to_numpy()) == 1).all():
            return False
        self.notes.append(
            likely(f"column {name!r} counts the rows and is left out", "values=A,B")
        )
        return True

    def _naming(self) -> tuple[tuple[str, ...], str | None]:
        """The columns that name the series, and the column that names channels."""
        channel = self.options.channel or None
        if self.given_ids or self.options.id == "":
            return self.given_ids, channel
        may = [n for n in self._repeating() if n != channel]
        if not self.times:
            return self._without_time(may), channel
        keys = [*self.times, channel] if channel else list(self.times)
        if not self.frame.duplicated(keys).any():
            return self._where_times_differ(may), channel
        if channel is not None or self.options.channel == "":
            return self._key_of(may, keys), channel
        return self._key_or_channel(may, keys)

    def _repeating(self) -> list[str]:
        """Columns that may name series: filled, not real, with repeats, without another part."""
        kept = []
        for name in self.names:
            if name in self.all_times or name in self.given or name == self.label:
                continue
            column = self.frame[name]
            if column.dtype.kind in "mM" or self._is_real(name) or column.isna().any():
                continue
            if self._repeats(name) and (column.nunique() > 1 or says_id(name)):
                kept.append(name)
        return kept

    def _repeating_ids(self) -> list[str]:
        return [n for n in self._repeating() if says_id(n)]

    def _repeats(self, name: str) -> bool:
        return bool(self.frame[name].duplicated().any())

    def _without_time(self, may: list[str]) -> tuple[str, ...]:
        """Ids of a table without times: by name; a text in blocks can be an id or a state."""
        named = self._alike([n for n in may if says_id(n)])
        if len(named) == 1:
            return (named[0],)
        if len(named) > 1:
            raise self._which_id(named)
        channels = [n for n in may if says_channel(n) and self.is_text(n)]
        if channels and self.options.channel is None:
            raise self._time_of_channels(channels[0])
        blocks = [n for n in may if self.is_text(n) and self._is_in_blocks(n)]
        if blocks:
            raise self._id_or_state(blocks[0])
        return ()

    def _time_of_channels(self, channel: str) -> AmbiguousError:
        """A table of channels without a time: its order, or a column of whole numbers."""
        times = [
            n
            for n in self.numeric
            if self.is_whole(n) and not self.frame.duplicated([n, channel]).any()
        ]
        entries = [[entry] for entry in self.frame[channel].unique()[:3]]
        readings = [
            Reading(
                f"{channel!r} names channels, rows are in the order of time",
                {"channel": channel},
                [channel],
                entries,
            )
        ]
        for time in times[:2]:
            rows = self.frame[[time, channel]].head(3).to_numpy().tolist()
            readings.append(
                Reading(
                    f"{channel!r} names channels, {time!r} is the time",
                    {"channel": channel, "time": time},
                    [time, channel],
                    rows,
                )
            )
        left_out = Reading(f"{channel!r} is left out", {"channel": ""})
        return AmbiguousError(
            f"column {channel!r} may name the channel of each row, and nothing says the time",
            [*readings, left_out],
        )

    def _where_times_differ(self, may: list[str]) -> tuple[str, ...]:
        """Ids of a table in which no time repeats: by name, or by the spacing of times."""
        named = self._alike([n for n in may if says_id(n)])
        if len(named) > 1:
            raise self._which_id(named)
        if named:
            return (named[0],)
        if not may or self._spacing(None) > REGULAR:  # one clock for all rows
            return ()
        found = self._alike([n for n in may if self._spacing(n) > REGULAR])
        if len(found) == 1:
            return self._noted((found[0],))
        if found:
            raise self._which_id(found)
        texts = [n for n in may if self.is_text(n)]
        if texts:
            raise self._id_or_state(texts[0])
        return ()

    @cached_property
    def _clock(self) -> Array:
        """The time of each row as float64."""
        assert self.time is not None
        clock = read_times(self.frame, self.time, self.options, [])
        return (clock - clock[0]).astype(np.float64)

    def _spacing(self, name: str | None) -> float:
        """The share of steps between rows, of one group each, that are equal in their group.

        Rows must be in order of time, or the reverse; otherwise the share is 0.
        """
        import pandas as pd

        codes = np.zeros(len(self.frame), dtype=np.int64)
        if name is not None:
            codes, _ = pd.factorize(self.frame[name])
        order = np.argsort(codes, kind="stable")
        steps = np.diff(self._clock[order])[np.diff(codes[order]) == 0]
        if len(steps) < 2 or not ((steps > 0).all() or (steps < 0).all()):
            return 0.0
        usual = np.median(steps)
        return float((np.abs(steps - usual) <= 0.01 * np.abs(usual)).mean())

    def _changes(self, name: str) -> Array:
        """Whether the value of each row but the first differs from that of the row above."""
        column = self.frame[name]
        return np.asarray(column.ne(column.shift())[1:], dtype=bool)

    def _is_in_blocks(self, name: str) -> bool:
        """Whether equal values stand together, two rows or more of each."""
        changes = int(self._changes(name).sum())
        counts = self.frame[name].value_counts()
        return changes == len(counts) - 1 > 0 and bool((counts > 1).all())

    def _key_or_channel(
        self, may: list[str], keys: list[str]
    ) -> tuple[tuple[str, ...], str | None]:
        """Ids and the channel of a table in which times repeat."""
        sole_value = (
            len([n for n in self.numeric if n not in may or self._is_real(n)]) <= 1
        )
        channels = [n for n in may if says_channel(n) and self.is_text(n)]
        if channels and sole_value:
            channel = self._alike(channels)[0]
            rest = [n for n in may if n not in self._equal_to(channel)]
            ids = self._key_of(rest, [*keys, channel]) if rest else ()
            if not self.frame.duplicated([*ids, *keys, channel]).any():
                self.notes.append(
                    likely(
                        f"column {channel!r} names the channel of a row",
                        f"id={channel!r}",
                    )
                )
                return ids, channel
        ids = self._key_of(may, keys)
        open_ = [n for n in ids if self.is_text(n) and not says_id(n)]
        if sole_value and open_:
            raise self._id_or_channel(ids, open_)
        return ids, None

    def _key_of(self, may: list[str], keys: list[str]) -> tuple[str, ...]:
        """The columns that, with `keys`, no two rows share; by name where none does."""
        if not self.frame.duplicated(keys).any():
            return self._where_times_differ(may)
        unique = [n for n in may if not self.frame.duplicated([n, *keys]).any()]
        sure = [
            n for n in unique if says_id(n) or self.is_text(n) or self._is_designed(n)
        ]
        found = self._alike(sure)
        named = [n for n in found if says_id(n)]
        if len(found) == 1 or len(named) == 1:
            return self._noted(((named or found)[0],))
        if found:
            raise self._which_id(named or found)
        texts = [n for n in may if self.is_text(n) or says_id(n)]
        pairs = []
        for pair in combinations(texts[:MOST_PAIRS], 2):
            if not self.frame.duplicated([*pair, *keys]).any():
                pairs.append(pair)
        by_name = [pair for pair in pairs if all(map(says_id, pair))]
        if len(pairs) == 1 or len(by_name) == 1:
            return self._noted((by_name or pairs)[0])
        named = self._alike([n for n in may if says_id(n)])
        if len(named) > 1:
            raise self._which_id(named)
        return tuple(named)

    def _noted(self, ids: tuple[str, ...]) -> tuple[str, ...]:
        if not all(map(says_id, ids)) or len(ids) > 1:
            what = (
                f"column {ids[0]!r} names"
                if len(ids) == 1
                else f"columns {listed(ids)} name"
            )
            self.notes.append(
                likely(
                    f"{what} the series: without it, times repeat or go back",
                    "id=COLUMN",
                )
            )
        return ids

    def _is_designed(self, name: str) -> bool:
        """Whether whole numbers are in blocks, on a regular clock each, or equally frequent."""
        if self._is_in_blocks(name) or self._spacing(name) > REGULAR:
            return True
        counts = self.frame[name].value_counts()
        return bool((counts == counts.iloc[0]).all())

    def _alike(self, names: list[str]) -> list[str]:
        """One column of each partition of the rows; names of ids and texts come first."""
        import pandas as pd

        ranked = sorted(names, key=lambda n: (not says_id(n), not self.is_text(n)))
        kept: dict[bytes, str] = {}
        for name in ranked:
            codes, _ = pd.factorize(self.frame[name])
            kept.setdefault(codes.tobytes(), name)
        return list(kept.values())

    def _equal_to(self, name: str) -> set[str]:
        """The columns that divide the rows as this one does."""
        import pandas as pd

        codes = pd.factorize(self.frame[name])[0]
        same = {name}
        for other in self.names:
            if np.array_equal(pd.factorize(self.frame[other])[0], codes):
                same.add(other)
        return same

    def _which_id(self, names: list[str]) -> AmbiguousError:
        readings = []
        for name in names[:4]:
            counts = self.frame[name].value_counts(sort=False)
            rows = [[value, count] for value, count in counts.head(3).items()]
            sentence = f"{len(counts)} series"
            readings.append(Reading(sentence, {"id": name}, [name, "timesteps"], rows))
        return AmbiguousError(
            f"the columns {listed(names)} can each name the series", readings
        )

    def _id_or_state(self, name: str, wide: bool = False) -> AmbiguousError:
        """The readings of a text in blocks of rows; `wide`: rows can be series as well."""
        counts = self.frame[name].value_counts(sort=False)
        rows = [[value, count] for value, count in counts.head(3).items()]
        long = {"layout": "long"} if wide else {}
        recording = {"layout": "recording"} if wide else {}
        readings = [
            Reading(
                f"{len(counts)} series",
                {"id": name, **long},
                [name, "timesteps"],
                rows,
            ),
            Reading(
                f"one series; {name!r} is left out",
                {"id": "", "label": "", **recording},
                ["series", "timesteps"],
                [["0", len(self.frame)]],
            ),
        ]
        if wide:
            label = Reading(
                "each row is a series with this label",
                {"label": name, "layout": "wide"},
                ["label"],
                [[entry] for entry in self.frame[name].head(3)],
            )
            readings.insert(0, label)
        return AmbiguousError(
            f"column {name!r} holds text that stays the same over blocks of rows",
            readings,
        )

    def _id_or_channel(
        self, ids: tuple[str, ...], may_be_channels: list[str]
    ) -> AmbiguousError:
        groups = self.frame.groupby(list(ids), sort=False).size()
        names = [" ".join(map(str, np.atleast_1d(name))) for name in groups.index[:3]]
        readings = [
            Reading(
                f"{len(groups)} series of one channel",
                {"id": ",".join(ids)},
                ["series", "channels"],
                [[name, 1] for name in names],
            )
        ]
        for channel in may_be_channels:
            rest = [n for n in ids if n != channel]
            owners = self.frame[rest[0]].unique().tolist() if rest else ["0"]
            channels = self.frame[channel].unique().tolist()
            readings.append(
                Reading(
                    f"{len(owners)} series of {len(channels)} channels",
                    {"channel": channel},
                    ["series", "channels"],
                    [[owner, listed(channels)] for owner in owners[:3]],
                )
            )
        return AmbiguousError(
            f"{listed(map(repr, may_be_channels))} can name the series or the channels",
            readings,
        )

    def _settled_label(self, ids: tuple[str, ...], values: list[str]) -> str | None:
        """The label, unless it was inferred and changes within a series.

        Then it is a channel if it is named so (target, y), and left out otherwise.
        """
        label = self.label
        if label is None or label in values:
            self._note_possible_labels(ids)
            return None
        if self.options.label is not None:
            return label
        column = self.frame[label]
        groups: list[Any] = [self.frame[name] for name in ids]
        groups = groups or [np.zeros(len(self.frame))]
        changes = bool((column.groupby(groups).nunique(dropna=False) > 1).any())
        if not changes:
            return label
        if label.lower() in VALUE_LIKE and self.is_number(label):
            if self.options.values is None:
                values.append(label)
            self.notes.append(
                f"column {label!r} is a channel, not a label (label={label} if it is one)"
            )
            return None
        if not ids:
            self.notes.append(
                f"column {label!r} changes along the recording and is left out"
            )
            return None
        return label

    def _note_possible_labels(self, ids: tuple[str, ...]) -> None:
        """A note on columns of text that have one entry in each series, and few in all."""
        if self.options.label == "" or not ids:
            return
        groups = [self.frame[name] for name in ids]
        for name in self.names:
            free = name not in {*ids, *self.all_times, *self.given}
            if not (free and self.is_text(name) and self.frame[name].nunique() > 1):
                continue
            if (self.frame[name].groupby(groups).nunique(dropna=False) == 1).all():
                hint = f"label={name!r} if it is the label"
                self.notes.append(
                    f"column {name!r} is the same throughout each series; {hint}"
                )

    # Tracks.

    def _is_track_table(self) -> bool:
        """Whether longitude and latitude change along series.

        x and y can be anything, so they are places only if an option of tracks is given.
        """
        places = self.places
        if places is None or {*places[:2]} & {*(self.options.values or ())}:
            return False
        if not (self.is_number(places.x) and self.is_number(places.y)):
            return False
        if not places.degrees:
            return bool(self.options.given(*MOVEMENT))
        if self.steps[1] is not None:  # columns of dates beside the place of each row
            return False
        if self.time is None and not self._repeating_ids() and len(self.names) > 2:
            return False
        n_places = len(self.frame[[places.x, places.y]].drop_duplicates())
        owners = self._owners()
        n_tracks = self.frame[owners[0]].nunique() if owners else 1
        return n_places > n_tracks

    def _tracks(self, layout: str, places: Places | None) -> Roles:
        values = list(filter(None, self.options.values or ()))
        if self.names == ["0", "1", "2", "3"] and not self.options.given("id", "time"):
            sentence = "four columns without names are time, id, x and y"
            self.notes.append(likely(sentence, "id=, time=, values="))
            clock = named_columns(self.frame, "0")
            return Roles(layout, ("1",), clock, places=Places("2", "3", degrees=False))
        if places is not None and {*places[:2]} <= {*values}:
            values = [n for n in values if n not in places[:2]]
        elif (
            self.options.values and not (places and places.degrees) and len(values) > 1
        ):
            places = Places(values.pop(0), values.pop(0), degrees=False)
        ids = self.given_ids
        if not ids and self.options.id is None:
            ids = tuple(self._owners()[:1])
        numbers = [n for n in self.numeric if n not in ids]
        if places is None and not self.options.values and len(numbers) == 2:
            places = Places(numbers[0], numbers[1], degrees=False)
            sentence = f"columns {listed(numbers)} are x and y in meters"
            self.notes.append(likely(sentence, "values=A,B"))
        label = self.label
        inferred = self.options.label is None and label is not None
        if inferred and self.frame[label].isna().any():
            self.notes.append(
                f"column {label!r} is not filled in every row, so it is not the label"
            )
            label = None
        return Roles(layout, ids, self.time, label, None, tuple(values), places=places)

    def _owners(self) -> list[str]:
        """Columns that may name tracks, the likeliest first."""
        if self.given_ids:
            return list(self.given_ids)
        may = sorted(self._repeating_ids(), key=lambda n: not n.lower().endswith("id"))
        if not may:
            return list(self._naming()[0])
        if not self.times:
            return may

        def repeats(name: str) -> int:
            return int(self.frame.duplicated([name, *self.times]).sum())

        return sorted(may, key=repeats)


def find_places(frame: pd.DataFrame, options: ReadOptions) -> Places | None:
    """The columns of lon and lat (also location-long and location-lat), else of x and y."""
    spoken_for = {*split(frame, options.id), *split(frame, options.time), options.label}
    names = [str(n) for n in frame.columns if n not in spoken_for]
    lon = _by_prefix(LONGITUDE, names)
    lat = _by_prefix(LATITUDE, names)
    prefixes = lon.keys() & lat.keys()
    if "" in prefixes or len(prefixes) == 1:  # of several pairs, plain ones are clear
        prefix = min(prefixes)
        return Places(lon[prefix], lat[prefix], degrees=True)
    lower = {name.lower(): name for name in reversed(names)}
    for x, y in METERS:
        if x in lower and y in lower:
            return Places(lower[x], lower[y], degrees=False)
    return None


def numbered(names: Iterable[str]) -> dict[str, list[str]]:
    """Numbered columns by channel, in the order of their numbers: t0, t1, ... or x_0, x_1, y_0, ...

    The channels are those that have as many numbers as any; none if these are fewer than two.
    """
    groups: dict[str, dict[int, str]] = {}
    for name in names:
        match = NUMBERED.fullmatch(name)
        if match:
            groups.setdefault(match[1], {})[int(match[2])] = name
    largest = max(groups.values(), key=len, default={})
    if len(largest) < 2:
        return {}
    steps = {}
    for prefix, group in groups.items():
        if group.keys() == largest.keys():
            channel = STEP_WORD.sub("", prefix) or "value"
            steps[channel] = [group[number] for number in sorted(group)]
    if len(steps) == 1 and next(iter(steps)).lower() in TIME_PREFIXES:
        return {"value": next(iter(steps.values()))}
    return steps


def _prefix(name: str) -> str:
    match = NUMBERED.fullmatch(name)
    return match[1].lower() if match else ""


def _is_month(name: str) -> bool:
    return name[:3].lower() in (
        [
            "jan",
            "feb",
            "mar",
            "apr",
            "may",
            "jun",
            "jul",
            "aug",
            "sep",
            "oct",
            "nov",
            "dec",
        ]
    )


def _by_prefix(pattern: re.Pattern[str], names: list[str]) -> dict[str, str]:
    """The names that match a pattern, by their part before lon or lat."""
    return {
        match[1] or "": match[0] for match in map(pattern.fullmatch, names) if match
    }
