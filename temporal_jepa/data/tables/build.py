"""Frames to sequences: series, tracks or scenes; and parts that are read alike joined to one."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ...config import ReadOptions
from ..notes import FileNotes
from ..scenes import as_scenes
from ..sequences import Sequences, listed, located
from ..trajectories import OF_ALL_TRACKS, notes_on_all
from .column_types import textual
from .columns import plain, spread_lists
from .levels import tidy
from .lines import split_lines
from .numbers import convert
from .points import refuse_degrees_and_minutes, split_points
from .roles import Roles, find_places, roles
from .series import from_rows
from .tracks import from_fixes

if TYPE_CHECKING:
    import pandas as pd


MOST_COLUMNS = 100_000
LONGEST_NAME = 1000  # characters of the name of a column


def check_width(count: int) -> None:
    """ValueError for more columns than a table has: what they are is asked of each."""
    if count > MOST_COLUMNS:
        raise ValueError(
            f"{count:,} columns, of which at most {MOST_COLUMNS:,} are read; write long series "
            "below each other (id,time,value), or as an array with numpy.save"
        )


class Table(NamedTuple):
    """A frame, the options with what is known of its columns, and notes."""

    frame: pd.DataFrame
    options: ReadOptions
    notes: list[str]


def from_table(table: Table, source: str = "frame") -> Sequences:
    """The series, tracks or scenes of a table."""
    with located(source):
        notes = [*table.notes]
        frame, options = prepared(table.frame, table.options, notes)
        del table  # its columns are freed as they are read
        columns = roles(frame, options, notes)
        _check_time_options(columns, options)
        return series_of(frame, columns, options, source, notes)


def series_of(
    frame: pd.DataFrame,
    columns: Roles,
    options: ReadOptions,
    source: str,
    notes: list[str],
    *,
    exact: bool = False,
) -> Sequences:
    """The series, tracks or scenes of a frame whose columns have their parts.

    exact: values of series are float64, whatever float32 would lose.
    """
    if columns.layout not in ("tracks", "scene"):
        return from_rows(frame, columns, options, source, notes, exact=exact)
    tracks = from_fixes(frame, columns, options, source, notes)
    return as_scenes(tracks, options) if columns.layout == "scene" else tracks


def _check_time_options(columns: Roles, options: ReadOptions) -> None:
    """Raise ValueError for an option about times of a table without any."""
    needed = ["date_order"] if columns.clock is None else []
    if columns.time is not None:
        return
    for name in ("duplicates", "time_unit", *needed):
        value = getattr(options, name)
        if value is not None:
            raise ValueError(
                f"{name}={value!r} is about times, and no column is the time; leave it out, or "
                "name the column with time=COLUMN"
            )


def prepared(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> tuple[pd.DataFrame, ReadOptions]:
    """A frame with one level of text names, a value in each cell and two columns for places."""
    _check_names(frame)
    frame, options = split_lines(plain(frame), options, notes)
    frame, options = spread_lists(frame, options, notes)
    _check_cells(frame)
    frame, options = tidy(frame, options, notes)
    places = find_places(frame, options)
    if places is not None and places.degrees:  # the letter is a sign, no unit
        for name in (places.x, places.y):
            refuse_degrees_and_minutes(frame[name])
    if places is None:
        table, options = split_points(frame, options, notes)
        if table is not frame:
            options = replace(options, layout=options.layout or "tracks")
            frame = table
    return convert(frame, options, notes), options


def _check_names(frame: pd.DataFrame) -> None:
    """ValueError for too many columns, and for a name so long that it is text that went astray."""
    check_width(frame.shape[1])
    for k, name in enumerate(frame.columns):
        length = len(name) if isinstance(name, str) else 0
        if length > LONGEST_NAME:
            raise ValueError(
                f"the name of column {k} has {length:,} characters, more than {LONGEST_NAME}; is a "
                "quotation mark or the header line missing?"
            )


def _check_cells(frame: pd.DataFrame) -> None:
    """ValueError for an object or a list among cells that are numbers, texts or dates."""
    for k in textual(frame):
        column = frame.iloc[:, k]
        name = frame.columns[k]
        if column.dtype != object:
            continue
        for row, cell in enumerate(column, 1):
            if isinstance(cell, (dict, list, set)):
                raise ValueError(
                    f"column {str(name)!r} holds {str(cell)[:80]!r} in data row {row}, expected "
                    "one number, text or date in each cell, or a list in each"
                )


def roles_of(table: Table) -> Roles:
    """The part of each column of a table, whose layout is inferred."""
    options = replace(table.options, layout=None)
    frame, options = prepared(table.frame, options, [])
    return roles(frame, options, [])


def from_tables(
    tables: Mapping[str, Table], layout: str, id: str | None = None
) -> dict[str, Sequences]:
    """The series of each table, all of one layout, by source; see `from_one`."""
    found = {
        source: from_one(table, layout, id, source) for source, table in tables.items()
    }
    parts = {source: part for source, part in found.items() if part is not None}
    if not parts:
        raise ValueError("no track has two fixes or more")
    return parts


def from_one(
    table: Table, layout: str, id: str | None, source: str
) -> Sequences | None:
    """The series of one of several tables.

    With `id`, these columns tell the series of a recording apart. None for a track of a single
    fix, which has no movement.
    """
    frame, options, notes = table
    if layout == "tracks" and len(frame) < 2:
        return None
    own = replace(options, layout=layout)
    if layout == "recording" and id is not None:
        own = replace(options, layout="long", id=id)
    return from_table(Table(frame, own, notes), source)


def joined(parts: Mapping[str, Sequences], source: str) -> Sequences:
    """The series of all parts, named by them; channels are in the order of the first.

    Raises:
        ValueError: when a part has other channels than the first.
    """
    name, first = next(iter(parts.items()))
    ids: list[str] = []
    labels: list[str] = []
    aligned = []
    on_files = FileNotes()
    for own, part in parts.items():
        on_files.add(own, (x for x in part.notes if not OF_ALL_TRACKS.match(x)))
        part = as_first(part, first, own, name)
        aligned.append(part)
        ids += part.ids
        if part.labels is not None:
            labels += part.labels.tolist()
    notes = on_files.lines()
    if 0 < len(labels) < len(ids):
        notes.append("some have no labels: there are none")

    def chained(field: str) -> Any:
        if getattr(first, field) is None:
            return None
        return list(itertools.chain.from_iterable(getattr(p, field) for p in aligned))

    has_labels = len(labels) == len(ids)
    found = replace(
        first,
        values=chained("values"),
        labels=np.array(labels) if has_labels else None,
        task=first.task if has_labels else None,
        ids=ids,
        times=chained("times"),
        source=source,
        places=chained("places"),
    )
    return replace(found, notes=(*notes, *notes_on_all(found)))


def as_first(
    part: Sequences, first: Sequences, name: str, first_name: str
) -> Sequences:
    """The series of a part under its name, with the channels in the order of the first part.

    Raises:
        ValueError: when it has other channels than the first, or times of another kind.
    """
    part = _in_order(part, first.channels)
    if _columns(part) != _columns(first):
        raise ValueError(
            f"{part.source}: expected the columns of {first_name} ({_described(first)}), got "
            f"{_described(part)}; name the columns to read with values=, time="
        )
    ids = [name] if len(part) == 1 else [f"{name}:{id}" for id in part.ids]
    return replace(part, ids=ids)


def _in_order(part: Sequences, channels: list[str]) -> Sequences:
    """The same series with their channels in this order, if they are the same channels."""
    if part.channels == channels or sorted(part.channels) != sorted(channels):
        return part
    order = [part.channels.index(name) for name in channels]
    values = [x[:, order] for x in part.values]
    return replace(part, values=values, channels=channels)


def _columns(part: Sequences) -> tuple[list[str], str, bool]:
    """What parts share: the channels, and the kind of their times and places."""
    clock = "none"
    if part.times is not None:
        clock = "dates" if part.times[0].dtype.kind == "M" else "numbers"
    return part.channels, clock, part.degrees


def _described(part: Sequences) -> str:
    clock = _columns(part)[1]
    return listed(part.channels) + ("" if clock == "none" else f"; times are {clock}")
