"""The part of each column of a table: one decision from all columns, their values and options.

The rules are the table "How columns are read" of docs/data.md. Names choose among the readings
that the values allow; where two readings are left, `AmbiguousError` shows both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from ...config import ReadOptions
from ..sequences import Array, did_you_mean, listed
from .facts import Facts, split
from .names import VALUE_LIKE, says_id
from .naming import ids_and_channel, owners
from .steps import Steps, find_steps
from .time_columns import TimeColumns, named_columns
from .wide import (
    is_wide,
    note_possible_labels,
    only_text,
    row_channel,
    row_ids,
    row_label,
)

if TYPE_CHECKING:
    import pandas as pd

LAYOUTS = ("wide", "long", "recording", "tracks", "scene")
LONGITUDE = re.compile(
    r"(.*[\s_.:-])?(lon|lng|long|longitude|l(?:ä|ae)nge(?:ngrad)?|longitud|longitudine)",
    re.IGNORECASE,
)
LATITUDE = re.compile(
    r"(.*[\s_.:-])?(lat|latitude|breite(?:ngrad)?|latitud|latitudine)", re.IGNORECASE
)
METERS = (("x", "y"), ("easting", "northing"), ("east", "north"))
MOVEMENT = ("features", "step", "gap", "max_speed", "agents")


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
    facts = Facts(frame, options, notes)
    layout = options.layout
    if layout in ("tracks", "scene"):
        return _tracks(facts, layout)
    if layout is None and _holds_tracks(facts):
        return _tracks(facts, "tracks")
    steps = find_steps(facts)
    if layout == "wide" or (layout is None and is_wide(facts, steps)):
        return _wide(facts, steps)
    return _rows(facts, layout or "long")


def check_columns(frame: pd.DataFrame, options: ReadOptions) -> None:
    """ValueError for an unknown layout, columns of one name, and options without a column."""
    if not frame.columns.is_unique:
        repeated = listed(frame.columns[frame.columns.duplicated()])
        raise ValueError(f"several columns have the same name: {repeated}")
    if options.layout not in (None, *LAYOUTS):
        raise ValueError(
            f"expected one of the layouts {', '.join(LAYOUTS)} for a table, got {options.layout!r}"
        )
    values = options.values or ()
    for option in ("id", "time", "label", "channel"):
        given = getattr(options, option)
        names = split(frame, given) if option in ("id", "time") else [given or ""]
        for name in filter(None, names):
            if name in values:
                raise ValueError(f"values and {option} both name the column {name!r}")
            check_exists(frame, option, name)
    for name in filter(None, values):
        check_exists(frame, "values", name)


def check_exists(frame: pd.DataFrame, option: str, name: str) -> None:
    """MissingColumnError for an option that names a column which does not exist."""
    if name not in frame.columns:
        raise MissingColumnError(
            f"{option} names a column {name!r} that does not exist, got the columns "
            f"{listed(frame.columns)}{did_you_mean(name, frame.columns)}",
            option,
        )


def row_names(frame: pd.DataFrame, options: ReadOptions) -> tuple[str, ...]:
    """The columns that name the rows where each row holds a whole series in one cell.

    Those of the option `id`, else a column that is named like an id, filled and without repeats;
    none where there is no such column.
    """
    if options.id is not None:
        given = split(frame, options.id)
        for name in given:
            check_exists(frame, "id", name)
        return given
    for name in frame.columns:
        if says_id(str(name)) and frame[name].is_unique and frame[name].notna().all():
            return (name,)
    return ()


def _wide(facts: Facts, steps: Steps) -> Roles:
    """The roles of a table whose rows are series."""
    if not steps.columns:
        steps = Steps({"value": list(facts.given_values) or facts.numbers})
    values = tuple(steps.names)
    label = row_label(facts)
    if label in values and facts.options.label is None:
        steps = steps.without(label)
        values = tuple(steps.names)
    spent = {*values, label}
    others = [name for name in facts.names if name not in spent]
    channel = row_channel(facts, others)
    ids = row_ids(facts, others, channel)
    if label is None:
        free = [name for name in others if name not in (*ids, channel)]
        label = only_text(facts, free)
        if label is None:
            note_possible_labels(facts, free)
    facts.notes += steps.notes
    return Roles("wide", ids, None, label, channel, values, steps.columns, steps.clock)


def _rows(facts: Facts, layout: str) -> Roles:
    """The roles of a table whose rows are timesteps."""
    ids, channel = facts.given_ids, facts.options.channel or None
    if layout == "long":
        ids, channel = ids_and_channel(facts)
        if not ids and facts.options.layout == "long":
            raise ValueError(
                "layout long needs a column that names the series; choose id=COLUMN, one of "
                f"{listed(facts.names)}"
            )
    values = _values(facts, {*ids, channel})
    time = facts.time or _ramp(facts, ids, values)
    if time is not None:
        values = [name for name in values if name not in time.names]
    label = _settled_label(facts, ids, values)
    if label is None:
        _note_constant_columns(facts, ids)
    layout = "long" if ids else "recording"
    return Roles(layout, ids, time, label, channel, tuple(values))


def _ramp(facts: Facts, ids: tuple[str, ...], values: list[str]) -> TimeColumns | None:
    """The one column that rises by equal steps in each series, which then is the time.

    In a recording a channel may rise so too, so that it is only noted.
    """
    options = facts.options
    if options.time is not None or options.values is not None or len(values) < 2:
        return None
    if len(ids) == 1:
        ramps = [name for name in values if facts.counts_within(name, ids[0])]
    else:
        ramps = [name for name in values if facts.is_ramp(name)]
    if len(ramps) != 1 or len(ids) > 1:
        return None
    if not ids:
        hint = f"time={ramps[0]!r} if it is the time"
        facts.notes.append(f"column {ramps[0]!r} rises by equal steps; {hint}")
        return None
    facts.note(f"column {ramps[0]!r} rises by equal steps: the time", "time=''")
    return TimeColumns((ramps[0],), "number", False)


def _values(facts: Facts, spent: set[str | None]) -> list[str]:
    """The columns of values: those of the option, else the numbers that have no other part."""
    if facts.options.values is not None:
        return list(facts.given_values)
    kept = [n for n in facts.numbers if n not in spent and _may_be_value(facts, n)]
    filled = [name for name in kept if facts.frame[name].notna().any()]
    if not filled or len(filled) == len(kept):
        return kept
    empty = listed(name for name in kept if name not in filled)
    facts.notes.append(f"columns without any value are left out: {empty}")
    return filled


def _may_be_value(facts: Facts, name: str) -> bool:
    """Whether a column of numbers neither names series nor counts rows."""
    is_id = says_id(name) and not facts.is_real(name)
    return not is_id and not facts.counts_rows(name)


def _settled_label(facts: Facts, ids: tuple[str, ...], values: list[str]) -> str | None:
    """The label, unless it was inferred and changes within a series.

    Then it is a channel if it is named so (target, y), and left out otherwise.
    """
    label = facts.named_label
    if label is None or label in values:
        return None
    if facts.options.label is not None or facts.is_same_within(label, ids):
        return label
    if label.lower() in VALUE_LIKE and facts.is_number(label):
        if facts.options.values is None:
            values.append(label)
        facts.notes.append(
            f"column {label!r} is a channel, not a label (label={label} if it is one)"
        )
        return None
    if ids:
        return label
    facts.notes.append(f"column {label!r} changes along the recording and is left out")
    return None


def _note_constant_columns(facts: Facts, ids: tuple[str, ...]) -> None:
    """A note on columns that have one entry in each series, and several in all."""
    if facts.options.label == "" or not ids:
        return
    taken = {*ids, *facts.all_times, *facts.given}
    for name in facts.names:
        may_be = facts.is_text(name) or facts.is_whole_valued(name)
        if name in taken or not may_be or not facts.changes(name):
            continue
        if facts.is_same_within(name, ids):
            hint = f"label={name!r} if it is the label"
            line = f"column {name!r} is the same throughout each series; {hint}"
            facts.notes.append(line)


def places_move(frame: pd.DataFrame, options: ReadOptions) -> bool:
    """Whether a table is read as tracks: its longitude and latitude change along a series."""
    return _holds_tracks(Facts(frame, options, []))


def _holds_tracks(facts: Facts) -> bool:
    """Whether longitude and latitude change along series.

    x and y can be anything, so they are places only if an option of tracks is given.
    """
    places = find_places(facts.frame, facts.options)
    if places is None or {*places[:2]} & {*facts.given_values}:
        return False
    if not (facts.is_number(places.x) and facts.is_number(places.y)):
        return False
    if not places.degrees:
        return bool(facts.options.given(*MOVEMENT))
    if find_steps(facts).is_dated:  # columns of dates beside the place of each row
        return False
    if facts.time is None and not facts.repeating_ids and len(facts.names) > 2:
        return False
    n_places = len(facts.frame[[places.x, places.y]].drop_duplicates())
    ids = owners(facts)
    return n_places > (facts.frame[ids[0]].nunique() if ids else 1)


def _tracks(facts: Facts, layout: str) -> Roles:
    """The roles of a table of fixes."""
    if facts.names == ["0", "1", "2", "3"] and not facts.options.given("id", "time"):
        facts.note(
            "four columns without names are time, id, x and y", "id=, time=, values="
        )
        time = named_columns(facts.frame, "0")
        return Roles(layout, ("1",), time, places=Places("2", "3", degrees=False))
    ids = facts.given_ids
    if facts.options.id is None:
        ids = tuple(owners(facts)[:1])
    places, values = _places_and_values(facts, ids)
    label = facts.named_label
    is_inferred = facts.options.label is None and label is not None
    if is_inferred and not facts.is_filled(str(label)):
        facts.notes.append(
            f"column {label!r} is not filled in every row, so it is not the label"
        )
        label = None
    return Roles(layout, ids, facts.time, label, None, values, places=places)


def _places_and_values(
    facts: Facts, ids: tuple[str, ...]
) -> tuple[Places | None, tuple[str, ...]]:
    """The columns of places, and those that `values` names besides them."""
    places = find_places(facts.frame, facts.options)
    values = facts.given_values
    if places is not None and {*places[:2]} <= {*values}:
        return places, tuple(n for n in values if n not in places[:2])
    if places is not None and places.degrees:
        return places, values
    if len(values) > 1:
        return Places(values[0], values[1], degrees=False), values[2:]
    numbers = [n for n in facts.numbers if n not in ids]
    if places is None and len(numbers) == 2:
        facts.note(f"columns {listed(numbers)} are x and y in meters", "values=A,B")
        places = Places(numbers[0], numbers[1], degrees=False)
    return places, values


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


def _by_prefix(pattern: re.Pattern[str], names: list[str]) -> dict[str, str]:
    """The names that match a pattern, by their part before lon or lat."""
    return {
        match[1] or "": match[0] for match in map(pattern.fullmatch, names) if match
    }
