"""Wide tables, in which each row is a series: which columns are timesteps, and what names rows."""

from __future__ import annotations

from itertools import combinations, filterfalse

from ..sequences import listed
from . import questions
from .facts import Facts
from .names import CHANNEL_PREFIXES, TIME_PREFIXES, says_channel, says_id
from .naming import MOST_PAIRS
from .steps import NUMBER_FIRST, NUMBERED, Steps

FEW = 8  # rows in which labels may all differ
NARROW = 16  # columns of a recording without names; longer series are plausible
BROAD = 64  # columns of numbers alone that are rather timesteps than channels
TALL = 64  # rows a column from which rows of few values are timesteps


def is_wide(facts: Facts, steps: Steps) -> bool:
    """Whether each row is a series of `steps`.

    Raises:
        AmbiguousError: when rows can be series or timesteps.
    """
    count = len(steps.names)
    if count < 2 or (not steps.is_dated and 2 * count < len(facts.numbers)):
        return False
    _refuse_unnamed_text(facts)
    wide = _says_wide(facts, steps)
    if wide is None:
        raise questions.wide_or_rows(facts, steps.columns)
    return wide


def _says_wide(facts: Facts, steps: Steps) -> bool | None:
    """Whether columns are timesteps; None where both readings are plausible."""
    if steps.is_dated:
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
    return True if facts.is_unnamed and length >= max(4 * rows, BROAD) else None


def _refuse_unnamed_text(facts: Facts) -> None:
    """AmbiguousError where, without a header, a text can be an id or a label."""
    if not facts.is_unnamed or facts.given or facts.time is not None or not facts.texts:
        return
    name = facts.texts[0]
    column = facts.frame[name]
    is_few = column.is_unique and len(column) < FEW
    is_constant = column.nunique() == 1 and len(column) > 1
    is_inside = len(facts.texts) > 1 or name not in (facts.names[0], facts.names[-1])
    if is_inside or is_few or is_constant or facts.is_in_blocks(name):
        raise questions.id_or_state(facts, name, may_be_label=True)


def _has_row_names(facts: Facts) -> bool:
    """Whether columns name or label each row: an id without repeats, or a label."""
    if facts.given_ids or row_label(facts) is not None:
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
    match = NUMBERED.fullmatch(name) or NUMBER_FIRST.fullmatch(name)
    return match["prefix"].lower() if match else ""


def row_label(facts: Facts) -> str | None:
    """The label: by option or name; without a header, whole numbers at an end beside decimals.

    Raises:
        AmbiguousError: when such numbers do not repeat, so that they may be ids or values.
    """
    may_be_end = facts.is_unnamed and not facts.given and not facts.texts
    if facts.named_label is not None or not may_be_end or len(facts.names) < 3:
        return facts.named_label
    first, *inner, last = facts.names
    if 2 * sum(map(facts.is_real, inner)) < len(inner):
        return None
    whole = filter(facts.is_whole_valued, (first, last))
    ends = list(filter(facts.changes, whole))
    if not ends:
        return None
    restarts = facts.counts_within(facts.names[1], facts.names[0])
    are_few = 2 * facts.frame[ends[0]].nunique() <= len(facts.frame)
    if restarts or len(ends) > 1 or not are_few:
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
    free = [name for name in others if name != channel]
    for name in _may_name_rows(facts, free):
        if facts.is_key(name, *more):
            return (name,)
    texts = list(filter(facts.is_text, free))
    pair = _pair(facts, texts, more)
    if pair:
        return pair
    named = list(filter(says_id, filter(facts.is_filled, free)))
    named = named or list(filter(says_id, texts))
    return tuple(named[:1])


def _may_name_rows(facts: Facts, free: list[str]) -> list[str]:
    """Filled columns: ids by name, then texts, then whole numbers that do not count the rows."""
    filled = list(filter(facts.is_filled, free))
    named = list(filter(says_id, filled))
    rest = (name for name in filled if name not in named)
    whole = filterfalse(facts.counts_rows, filter(facts.is_whole, rest))
    return [*named, *filter(facts.is_text, filled), *whole]


def _pair(facts: Facts, texts: list[str], more: tuple[str, ...]) -> tuple[str, ...]:
    """The first two columns of text that name rows together, none if there are no such two."""
    for pair in combinations(texts[:MOST_PAIRS], 2):
        if facts.is_key(*pair, *more):
            facts.note(f"columns {listed(pair)} together name the series", "id=''")
            return pair
    return ()


def note_possible_labels(facts: Facts, others: list[str]) -> None:
    """A note on columns beside the timesteps whose entries repeat, so that they can be classes."""
    if facts.options.label == "":
        return
    for name in others:
        may_be = facts.is_text(name) or facts.is_whole_valued(name)
        if not may_be or says_id(name) or not facts.is_filled(name):
            continue
        count = facts.frame[name].nunique()
        if 1 < count <= len(facts.frame) // 2:
            facts.notes.append(
                f"column {name!r} has {count} different entries; label={name!r} if it is the label"
            )


def only_text(facts: Facts, names: list[str]) -> str | None:
    """Without a header, the one column of text is the label."""
    texts = list(filter(facts.is_text, names))
    if not facts.is_unnamed or facts.options.label is not None or len(texts) != 1:
        return None
    sentence = f"column {texts[0]} is the only one of text: taken as the label"
    facts.note(sentence, f"id={texts[0]!r}")
    return texts[0]
