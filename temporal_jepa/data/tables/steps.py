"""The columns of a wide table that may be timesteps: named by times, by numbers, or numbered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..sequences import Array, listed
from .facts import Facts
from .header_times import names_as_times
from .names import MONTHS, TIME_PREFIXES

NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d+)?")
NUMBERED = re.compile(r"(?P<prefix>.*?)[\s_.-]?(?P<number>\d+)")
NUMBER_FIRST = re.compile(r"(?P<number>\d+)[\s_.-]?(?P<prefix>[^\d\s_.-].*)")
STEP_WORD = re.compile(r"[\s_.-]+(t|time|step|timestep)$", re.IGNORECASE)  # acc_x_t0
DATE_LIKE = re.compile(
    r"\D*\d{4}[-/.]\d{1,2}[-/.]\d{1,2}.*|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}.*"
)


@dataclass(frozen=True)
class Steps:
    """Columns that may be timesteps.

    Attributes:
        columns: channel -> its columns in the order of time.
        clock: the times of the columns, where their names state them.
        is_dated: whether the names are times, and not names with numbers.
        notes: what was inferred about the times.
    """

    columns: dict[str, list[str]]
    clock: Array | None = None
    is_dated: bool = False
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """All columns, channel by channel."""
        return [name for names in self.columns.values() for name in names]

    @property
    def length(self) -> int:
        """The number of timesteps."""
        return len(next(iter(self.columns.values()), ()))

    def without(self, name: str | None) -> Steps:
        """The same without one column; the times are then those of no column."""
        rest = {}
        for channel, columns in self.columns.items():
            rest[channel] = [column for column in columns if column != name]
        return Steps(rest)


def find_steps(facts: Facts) -> Steps:
    """The columns that may be timesteps: named by dates or numbers, or numbered.

    Raises:
        AmbiguousError: when day and month of the names can be exchanged.
        ValueError: when names look like dates and are none, or two names have one number.
    """
    names = list(facts.given_values) or facts.numbers
    may_be_dated = names
    if not facts.given_values:  # text among the values of a date is reported later
        texts = [n for n in facts.texts if n not in facts.given and _is_date_like(n)]
        chosen = {*names, *texts}
        may_be_dated = [name for name in facts.names if name in chosen]
    found = _dated(facts, may_be_dated) or _by_numbers(names)
    if found is None:
        _refuse_broken_dates(names)
        found = numbered(names)
    return Steps(found.columns) if facts.is_unnamed else found


def _dated(facts: Facts, names: list[str]) -> Steps | None:
    """Columns whose names are dates, months, hours or years, in the order of time."""
    choices = [names]
    if not facts.given_values:
        choices = [
            list(filter(_may_be_date, names)),
            list(filter(_is_date_like, names)),
        ]
    for chosen in choices:
        if len(chosen) < 2:
            continue
        notes: list[str] = []
        clock = names_as_times(chosen, facts.options, notes)
        if clock is not None:
            return replace(_in_order(chosen, clock), notes=tuple(notes))
    return None


def _in_order(names: Sequence[str], clock: Array) -> Steps:
    """Steps of one channel; ValueError where two columns have one time."""
    order = np.argsort(clock, kind="stable")
    clock = clock[order]
    columns = [names[k] for k in order]
    same = np.flatnonzero(clock[1:] == clock[:-1])
    if same.size:
        pair = columns[same[0] : same[0] + 2]
        raise ValueError(
            f"the columns {listed(map(repr, pair))} have the same time or number; rename one, or "
            "name the columns in the order of time with values=A,B"
        )
    return Steps({"value": columns}, clock, is_dated=True)


def _may_be_date(name: str) -> bool:
    """Whether a name is no number, or one with the digits of a year, month or day."""
    return not name.isdigit() or len(name) in (4, 6, 8)


def _is_date_like(name: str) -> bool:
    """Whether a name holds digits or begins with a month."""
    has_digits = re.search(r"\d", name) is not None
    return _may_be_date(name) and (has_digits or name[:3].lower() in MONTHS)


def _by_numbers(names: list[str]) -> Steps | None:
    """Columns named by numbers with signs or decimals: -1, -0.5, 0."""
    numbers = [name for name in names if NUMBER.fullmatch(name)]
    if len(numbers) < 2 or all(map(str.isdigit, numbers)):
        return None
    clock = np.array([float(name.replace(",", ".")) for name in numbers])
    return _in_order(numbers, clock)


def _refuse_broken_dates(names: list[str]) -> None:
    """ValueError where most names begin like dates, but not all can be read."""
    dates = [name for name in names if DATE_LIKE.fullmatch(name)]
    if len(dates) > 1 and 2 * len(dates) > len(names):
        raise ValueError(
            f"the names of the columns {listed(dates)} look like dates, but not all of them are "
            "dates of one format; rename them, or name the columns in order with values=A,B"
        )


def numbered(names: Iterable[str]) -> Steps:
    """Numbered columns by channel, in the order of their numbers: t0, t1, ... or x_0, x_1, y_0, ...

    The channels are those that have as many numbers as any; none if these are fewer than two.

    Raises:
        ValueError: when two names have one number: t1, t01.
    """
    names = list(names)
    found = _grouped(names, NUMBERED)
    return found if found.columns else _grouped(names, NUMBER_FIRST)


def _grouped(names: list[str], pattern: re.Pattern[str]) -> Steps:
    """The columns of timesteps: those whose prefix has as many numbers as any has."""
    groups = _by_prefix(names, pattern)
    largest = max(groups.values(), key=len, default={})
    if len(largest) < 2:
        return Steps({})
    columns = {}
    for prefix, group in groups.items():
        if group.keys() == largest.keys():
            channel = STEP_WORD.sub("", prefix) or "value"
            columns[channel] = [group[number] for number in sorted(group)]
    if len(columns) == 1:
        [channel] = columns
        is_time = channel.lower() in TIME_PREFIXES
        if len(largest) < 3 and not is_time and min(largest) > 1:  # F3, F7 are no steps
            return Steps({})
        columns = {"value" if is_time else channel: columns[channel]}
    clock = np.array(sorted(largest))
    return Steps(columns, None if (np.diff(clock) == 1).all() else clock)


def _by_prefix(names: list[str], pattern: re.Pattern[str]) -> dict[str, dict[int, str]]:
    """Numbered names by their prefix and number; ValueError for two of one number."""
    groups: dict[str, dict[int, str]] = {}
    for match in filter(None, map(pattern.fullmatch, names)):
        group = groups.setdefault(match["prefix"], {})
        number = int(match["number"])
        if number in group:
            raise ValueError(
                f"the columns {group[number]!r} and {match[0]!r} have the same number; rename one"
            )
        group[number] = match[0]
    return groups
