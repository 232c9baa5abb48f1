"""Wide tables, in which each row is a series: which columns are timesteps, and what names rows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ..sequences import Array, listed
from . import questions
from .facts import Facts
from .names import CHANNEL_PREFIXES, MONTHS, TIME_PREFIXES, says_channel, says_id
from .naming import MOST_PAIRS
from .times import names_as_times

NUMBERED = re.compile(r"(.*?)[\s_.-]?(\d+)")
STEP_WORD = re.compile(r"[\s_.-]+(t|time|step|timestep)$", re.IGNORECASE)  # acc_x_t0
FEW = 8  # rows in which labels may all differ
NARROW = 16  # columns of a recording without names; longer series are plausible
TALL = 64  # rows a column from which rows of few values are timesteps


@dataclass(frozen=True)
class Steps:
    """Columns that may be timesteps.

    Attributes:
        columns: channel -> its columns in the order of time.
        clock: the times of the columns, where their names are times.
    """

    columns: dict[str, list[str]]
    clock: Array | None = None

    @property
    def names(self) -> list[str]:
        """All columns, channel by channel."""
        return [name for names in self.columns.values() for name in names]

    @property
    def length(self) -> int:
        """The number of timesteps."""
        return len(next(iter(self.columns.values()), ()))

    def without(self, name: str | None) -> Steps:
        """The same without one column."""
        rest = {}
        for channel, columns in self.columns.items():
            rest[channel] = [column for column in columns if column != name]
        return Steps(rest, self.clock)


def find_steps(facts: Facts) -> Steps:
    """The columns that may be timesteps: named by dates, or numbered."""
    names = list(facts.given_values) or facts.numbers
    dated = names
    if not facts.given_values:  # text among the values of a date is reported later
        texts = [n for n in facts.texts if n not in facts.given and _is_date_like(n)]
        dated = [n for n in facts.names if n in {*names, *texts}]
    return _dated(facts, dated) or Steps(numbered(names))


def _dated(facts: Facts, names: list[str]) -> Steps | None:
    """Columns whose names are dates, months, hours or years, in the order of time."""
    choices = [names]
    if not facts.given_values:
        choices = [
            list(filter(_may_be_date, names)),
            list(filter(_is_date_like, names)),
        ]
    for chosen in choices:
        clock = names_as_times(chosen, facts.options) if len(chosen) > 1 else None
        if clock is not None:
            order = np.argsort(clock, kind="stable")
            return Steps({"value": [chosen[k] for k in order]}, clock[order])
    return None


def _may_be_date(name: str) -> bool:
    """Whether a name is no number, or one with the digits of a year, month or day."""
    return not name.isdigit() or len(name) in (4, 6, 8)


def _is_date_like(name: str) -> bool:
    """Whether a name holds digits or begins with a month."""
    has_digits = re.search(r"\d", name) is not None
    return _may_be_date(name) and (has_digits or name[:3].lower() in MONTHS)


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


def is_wide(facts: Facts, steps: Steps) -> bool:
    """Whether each row is a series of `steps`.

    Raises:
        AmbiguousError: when rows can be series or timesteps.
    """
    count = len(steps.names)
    if count < 2 or 2 * count < len(facts.numbers):
        return False
    _refuse_unnamed_text(facts)
    wide = _says_wide(facts, steps)
    if wide is None:
        raise questions.wide_or_rows(facts, steps.columns)
    return wide


def _says_wide(facts: Facts, steps: Steps) -> bool | None:
    """Whether columns are timesteps; None where both readings are plausible."""
    if steps.clock is not None:
        return None if facts.time is not None else True
    if facts.time is not None:
        return False
    prefixes = {_prefix(columns[0]) for columns in steps.columns.values()}
    if len(prefixes) == 1 and prefixes <= TIME_PREFIXES:
        return True
    if facts.repeating_ids:  # rows of one id: series, or timesteps of one series
        return None
    if len(prefixes) > 1:
        return True if _has_row_names(facts) or steps.length > 4 else None
    may_be_channels = prefixes <= CHANNEL_PREFIXES and prefixes != {""}
    return _by_shape(facts, steps.length, may_be_channels)


def _by_shape(facts: Facts, length: int, may_be_channels: bool) -> bool | None:
    """The layout of columns of one numbered name, by ids or labels of rows, else by the shape."""
    if _has_row_names(facts):
        return None if may_be_channels and length < NARROW else True
    rows = len(facts.frame)
    if rows >= TALL * length and length <= NARROW:
        return False
    if may_be_channels:
        return None
    return True if facts.is_unnamed and length >= max(4 * rows, NARROW) else None


def _refuse_unnamed_text(facts: Facts) -> None:
    """AmbiguousError where, without a header, a text can be an id or a label."""
    if not facts.is_unnamed or facts.given or facts.time is not None:
        return
    if len(facts.texts) != 1:
        return
    name = facts.texts[0]
    column = facts.frame[name]
    is_few = column.is_unique and len(column) < FEW
    is_constant = column.nunique() == 1 and len(column) > 1
    if is_few or is_constant or facts.is_in_blocks(name):
        raise questions.id_or_state(facts, name, may_be_label=True)


def _has_row_names(facts: Facts) -> bool:
    """Whether columns name or label each row: an id without repeats, or a label."""
    if facts.given_ids or find_label(facts) is not None:
        return True
    if facts.is_unnamed and len(facts.texts) == 1:
        return True
    return any(_is_row_name(facts, name) for name in facts.names)


def _is_row_name(facts: Facts, name: str) -> bool:
    """Whether a column is text or named like an id, and differs in each row, not by chance."""
    may_be = facts.is_text(name) and len(facts.frame) >= FEW
    may_be |= says_id(name) and not facts.is_real(name)
    return may_be and facts.is_filled(name) and not facts.repeats(name)


def _prefix(name: str) -> str:
    match = NUMBERED.fullmatch(name)
    return match[1].lower() if match else ""


def find_label(facts: Facts) -> str | None:
    """The label: by option or name; without a header, whole numbers at an end beside decimals.

    Raises:
        AmbiguousError: when such numbers do not repeat, so that they may be ids or values.
    """
    may_be_end = facts.is_unnamed and not facts.given and not facts.texts
    if facts.named_label is not None or not may_be_end or len(facts.names) < 3:
        return facts.named_label
    inner = facts.names[1:-1]
    if 2 * sum(map(facts.is_real, inner)) < len(inner):
        return None
    ends = [facts.names[0], facts.names[-1]]
    ends = [n for n in ends if facts.is_whole_valued(n) and facts.changes(n)]
    if not ends:
        return None
    if len(ends) > 1 or not facts.repeats(ends[0]):
        raise questions.end_of_rows(facts, ends)
    sentence = f"column {ends[0]} holds whole numbers beside decimals: the label"
    facts.note(sentence, f"label='', id={ends[0]!r}")
    return ends[0]


def row_channel(facts: Facts, others: list[str]) -> str | None:
    """A column such as Indicator, where rows of one id are channels of one series."""
    if facts.options.channel is not None:
        return facts.options.channel or None
    for name in others:
        if facts.is_text(name) and says_channel(name) and facts.repeats(name):
            facts.note(f"column {name!r} names the channel of a row", "channel=''")
            return name
    return None


def row_ids(facts: Facts, others: list[str], channel: str | None) -> tuple[str, ...]:
    """The columns that name rows: an id, a text without repeats, or a pair of texts."""
    if facts.given_ids or facts.options.id == "":
        return facts.given_ids
    more = (channel,) if channel else ()
    free = [n for n in others if n != channel and facts.is_filled(n)]
    named = list(filter(says_id, free))
    texts = list(filter(facts.is_text, free))
    whole = [n for n in free if facts.is_whole(n) and not facts.counts_rows(n)]
    for name in (*named, *texts, *whole):
        if facts.is_key(name, *more):
            return (name,)
    for pair in combinations(texts[:MOST_PAIRS], 2):
        if facts.is_key(*pair, *more):
            facts.note(f"columns {listed(pair)} together name the series", "id=''")
            return pair
    return tuple(named[:1])


def only_text(facts: Facts, names: list[str]) -> str | None:
    """Without a header, the one column of text is the label."""
    texts = list(filter(facts.is_text, names))
    if not facts.is_unnamed or facts.options.label is not None or len(texts) != 1:
        return None
    sentence = f"column {texts[0]} is the only one of text: taken as the label"
    facts.note(sentence, f"id={texts[0]!r}")
    return texts[0]
