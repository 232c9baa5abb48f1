"""The questions that a table leaves open, each with its readings and the options for them."""

from __future__ import annotations

import numpy as np

from ..sequences import listed, moment
from .facts import Facts, first_rows
from .readings import AmbiguousError, Reading
from .times import joined_with

MOST = 4  # columns that a question offers


def which_id(facts: Facts, names: list[str]) -> AmbiguousError:
    """Each of several columns can name the series."""
    readings = [_series_of(facts, name) for name in names[:MOST]]
    return AmbiguousError(
        f"the columns {listed(names)} can each name the series", readings
    )


def id_or_state(
    facts: Facts, *names: str, may_be_label: bool = False
) -> AmbiguousError:
    """A column can name the series, be a state of one series, or label rows that are series."""
    extra = {"layout": "long"} if may_be_label else {}
    whole = {"layout": "recording"} if may_be_label else {}
    readings = [_series_of(facts, name, extra) for name in names[:MOST]]
    if may_be_label:
        sentence = "each row is a series with this label"
        options = {"label": names[0], "layout": "wide"}
        rows = first_rows(facts.frame, [names[0]])
        readings.insert(0, Reading(sentence, options, ["label"], rows))
    one = Reading(
        f"one series, which {listed(map(repr, names))} does not divide",
        {"id": "", "label": "", **whole},
        ["series", "timesteps"],
        [["0", len(facts.frame)]],
    )
    return AmbiguousError(
        f"column {listed(map(repr, names))} can name the series or be something else",
        [*readings, one],
    )


def id_or_clock(facts: Facts, name: str) -> AmbiguousError:
    """Numbers that count within each time can name series, or steps of a finer clock."""
    times = list(facts.times)
    rows = first_rows(facts.frame, [*times, name])
    one = Reading(
        f"one series in the order of the rows; {name!r} counts steps within {listed(times)}",
        {"id": "", "time": "", "values": _others(facts, name)},
        [*times, name],
        rows,
    )
    readings = [_series_of(facts, name), one]
    joined = joined_with(facts.frame, facts.times, name)
    if joined is not None:
        time, clock = joined
        cells = [[*row, moment(at)] for row, at in zip(rows, clock, strict=False)]
        what = f"one series, {name!r} is a time of the day"
        options = {"id": "", "time": time}
        header = [*times, name, "is read as"]
        readings.insert(0, Reading(what, options, header, cells))
    return AmbiguousError(
        f"column {name!r} counts within each {listed(times)}: it can name the series, or be a "
        "finer clock",
        readings,
    )


def _others(facts: Facts, name: str) -> str:
    """The columns of values but one, as the option `values` takes them."""
    return ",".join(n for n in facts.numbers if n != name)


def _series_of(facts: Facts, name: str, more: dict[str, str] | None = None) -> Reading:
    counts = facts.frame[name].value_counts(sort=False)
    rows = [[value, count] for value, count in counts.head(3).items()]
    options = {"id": name, **(more or {})}
    return Reading(f"{len(counts)} series", options, [name, "timesteps"], rows)


def id_or_channel(
    facts: Facts, ids: tuple[str, ...], may_be_channels: list[str]
) -> AmbiguousError:
    """Columns that make times unique can name series, or the channels of series."""
    groups = facts.frame.groupby(list(ids), sort=False).size()
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
        owners = facts.frame[rest[0]].unique().tolist() if rest else ["0"]
        channels = facts.frame[channel].unique().tolist()
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


def time_of_channels(facts: Facts, channel: str) -> AmbiguousError:
    """A column names channels, and no column is surely the time."""
    times = []
    for name in facts.numbers:
        if facts.is_whole(name) and facts.is_key(name, channel):
            times.append(name)
    readings = [
        Reading(
            f"{channel!r} names channels, rows are in the order of time",
            {"channel": channel},
            [channel],
            [[entry] for entry in facts.frame[channel].unique()[:3]],
        )
    ]
    for time in times[:2]:
        readings.append(
            Reading(
                f"{channel!r} names channels, {time!r} is the time",
                {"channel": channel, "time": time},
                [time, channel],
                first_rows(facts.frame, [time, channel]),
            )
        )
    left_out = Reading(f"{channel!r} is left out", {"channel": ""})
    return AmbiguousError(
        f"column {channel!r} may name the channel of each row, and nothing says the time",
        [*readings, left_out],
    )


def end_of_rows(facts: Facts, ends: list[str]) -> AmbiguousError:
    """First or last columns of whole numbers, without a header, beside numbers with decimals."""
    rest = len(facts.names) - 1
    readings = []
    for name in ends:
        entries = first_rows(facts.frame, [name])
        for part, verb in (("id", "names"), ("label", "is the label of")):
            sentence = f"column {name} {verb} the rows, series of {rest} timesteps"
            options = {part: name, "layout": "wide"}
            readings.append(Reading(sentence, options, [part], entries))
        if facts.frame[name].is_monotonic_increasing:
            sentence = f"column {name} is the time of rows of {rest} channels"
            options = {"time": name, "layout": "recording"}
            readings.append(Reading(sentence, options, ["time"], entries))
    first, second = facts.names[:2]
    if facts.counts_within(second, first):
        sentence = f"column {first} names the series, column {second} is the time"
        options = {"id": first, "time": second, "layout": "long"}
        rows = first_rows(facts.frame, [first, second])
        readings.insert(0, Reading(sentence, options, ["id", "time"], rows))
    value = Reading(
        f"all columns are values, and rows are series of {rest + 1} timesteps",
        {"label": "", "id": "", "layout": "wide"},
        facts.names,
        first_rows(facts.frame, facts.names),
    )
    channels = Reading(
        f"all columns are channels, rows are {len(facts.frame)} timesteps of one series",
        {"label": "", "id": "", "time": "", "layout": "recording"},
        facts.names,
        value.rows,
    )
    return AmbiguousError(
        f"whole numbers beside decimals in column {listed(ends)}, without a header",
        [*readings, value, channels],
    )


def wide_or_rows(facts: Facts, steps: dict[str, list[str]]) -> AmbiguousError:
    """Numbered columns can be the timesteps of rows, or the channels of a recording."""
    columns = [name for names in steps.values() for name in names]
    length = len(columns) // len(steps)
    rows = first_rows(facts.frame, columns)
    readings = [
        Reading(
            f"each row is a series of {length} timesteps",
            {"layout": "wide"},
            ["", *columns],
            [[f"series {k}", *row] for k, row in enumerate(rows)],
        )
    ]
    for name in label_like_ends(facts):
        readings.append(
            Reading(
                f"the same, but column {name} is the label",
                {"layout": "wide", "label": name},
                ["label"],
                first_rows(facts.frame, [name]),
            )
        )
    readings.append(
        Reading(
            f"each row is one timestep of {len(columns)} channels",
            {"layout": "long" if facts.repeating_ids else "recording"},
            ["", *columns],
            [[f"time {k}", *row] for k, row in enumerate(rows)],
        )
    )
    return AmbiguousError(
        f"the columns {listed(columns)} can be timesteps or channels", readings
    )


def label_like_ends(facts: Facts) -> list[str]:
    """Without a header, a first or last column of whole numbers of which some repeat."""
    if not facts.is_unnamed or facts.options.label is not None:
        return []
    ends = dict.fromkeys((facts.names[0], facts.names[-1]))
    return [n for n in ends if facts.is_whole_valued(n) and facts.repeats(n)]
