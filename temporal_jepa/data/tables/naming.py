"""The columns that name the series and the channels of a table whose rows are timesteps.

Ids are found by their structure: with them, no time repeats, or every series has a regular clock.
Names choose where the structure leaves several.
"""

from __future__ import annotations

from itertools import combinations

from ..sequences import listed
from . import questions
from .facts import Facts
from .names import says_channel, says_id

FEW_DUPLICATES = 0.5  # of the rows that a column of channels tells apart
MOST_PAIRS = 8  # columns of which pairs are tried as an id

Naming = tuple[tuple[str, ...], str | None]


def ids_and_channel(facts: Facts) -> Naming:
    """The columns that name the series (none: one series), and the column that names channels.

    Raises:
        AmbiguousError: when several columns can have this part.
    """
    channel = facts.options.channel or None
    if facts.given_ids or facts.options.id == "":
        return facts.given_ids, channel or _channel_of(facts, facts.given_ids)
    may = [name for name in facts.may_name_series() if name != channel]
    if facts.time is None:
        return _without_time(facts, may), channel
    keys = [*facts.times, channel] if channel else list(facts.times)
    if facts.is_key(*keys):
        return _by_spacing(facts, may, keys), channel
    if facts.options.channel is not None:
        return _by_key(facts, may, keys), channel
    return _key_or_channel(facts, may, keys)


def owners(facts: Facts) -> list[str]:
    """Columns that may name tracks, the likeliest first; fixes of a track may repeat a time."""
    if facts.given_ids:
        return list(facts.given_ids)
    may = sorted(facts.repeating_ids, key=lambda name: not name.lower().endswith("id"))
    if not may:
        return list(ids_and_channel(facts)[0])
    if facts.time is None:
        return may

    def repeated(name: str) -> int:
        return int(facts.frame.duplicated([name, *facts.times]).sum())

    return sorted(may, key=repeated)


def _named(facts: Facts, may: list[str]) -> tuple[str, ...]:
    """The one column that is named like an id; AmbiguousError for several that differ."""
    named = facts.distinct(filter(says_id, may))
    if len(named) > 1:
        raise questions.which_id(facts, named)
    return tuple(named)


def _without_time(facts: Facts, may: list[str]) -> tuple[str, ...]:
    """Ids of a table without times: by name; a text in blocks can be an id or a state."""
    named = _named(facts, may)
    texts = [name for name in may if facts.is_text(name) and name not in named]
    channels = list(filter(says_channel, texts))
    if channels and facts.options.channel is None and len(_values(facts, may)) <= 1:
        raise questions.time_of_channels(facts, channels[0])
    blocks = list(filter(facts.is_in_blocks, texts))
    if blocks and not named:
        raise questions.id_or_state(facts, blocks[0])
    return named


def _by_spacing(facts: Facts, may: list[str], keys: list[str]) -> tuple[str, ...]:
    """Ids of a table in which no time of a channel repeats: by name, or by the spacing of times.

    keys: the columns of the time, and the one that names channels.
    """
    channel = [name for name in keys if name not in facts.times]
    named = _named(facts, may)
    if named or not may:
        return named
    if facts.is_regular(*channel) and not any(map(facts.is_clustered, may)):
        return ()  # one clock: one series
    found = _regular(facts, may, channel)
    if found and _looks_like_id(facts, found[0]):
        return _noted(facts, tuple(found))
    # numbers may divide a few irregular times so by chance
    open_ = found or _may_be_ids(facts, may, channel)
    if open_:
        raise questions.id_or_state(facts, *facts.distinct(open_))
    return ()


def _regular(facts: Facts, may: list[str], channel: list[str]) -> list[str]:
    """The column of which each entry has regular times; AmbiguousError for several that differ."""
    found = facts.distinct(n for n in may if facts.is_regular(n, *channel))
    if len(found) > 1:
        raise questions.which_id(facts, found)
    return found


def _may_be_ids(facts: Facts, may: list[str], channel: list[str]) -> list[str]:
    """Columns that may name series whose times do not repeat, all beside a column of channels."""
    return may if channel else [name for name in may if _may_be_id(facts, name)]


def _may_be_id(facts: Facts, name: str) -> bool:
    """Whether a column is text, or numbers that fit."""
    if facts.is_text(name) or _has_own_label(facts, name):
        return True
    if facts.is_clustered(name):
        return True
    return facts.is_ordered(name) and not facts.is_ordered()


def _has_own_label(facts: Facts, name: str) -> bool:
    """Whether the label changes along the table, but not among the rows of one entry."""
    label = facts.named_label
    if label is None or label == name or not facts.changes(label):
        return False
    return bool((facts.frame[label].groupby(facts.frame[name]).nunique() == 1).all())


def _channel_of(facts: Facts, ids: tuple[str, ...]) -> str | None:
    """The column of channels beside ids that an option gives; None where no time repeats."""
    keys = [*ids, *facts.times]
    if facts.options.channel is not None or facts.time is None or facts.is_key(*keys):
        return None
    may = facts.may_name_series()
    texts = [name for name in may if facts.is_text(name) and says_channel(name)]
    found = facts.distinct(name for name in texts if facts.is_key(name, *keys))
    if not found or len(_values(facts, may)) > 1:
        return None
    facts.note(f"column {found[0]!r} names the channel of a row", "channel=''")
    return found[0]


def _key_or_channel(facts: Facts, may: list[str], keys: list[str]) -> Naming:
    """Ids and the channel of a table in which times repeat."""
    has_one_value = len(_values(facts, may)) <= 1
    channels = facts.distinct(filter(says_channel, may))
    if channels and has_one_value:
        ids = _ids_beside(facts, channels[0], may, keys)
        if ids is not None:
            return ids, channels[0]
    ids = _by_key(facts, may, keys)
    open_ = [name for name in ids if facts.is_text(name) and not says_id(name)]
    if has_one_value and open_:
        raise questions.id_or_channel(facts, ids, open_)
    return ids, None


def _ids_beside(
    facts: Facts, channel: str, may: list[str], keys: list[str]
) -> tuple[str, ...] | None:
    """The ids of a table with a column of channels; None if it is none.

    A few rows may repeat a time of a channel: they are duplicates.
    """
    alike = facts.same_as(channel)
    if any(map(says_id, alike - {channel})):  # a channel of its own for each id
        return None
    rest = [name for name in may if name not in alike]
    ids = _by_key(facts, rest, [*keys, channel]) if rest else ()
    repeated = facts.repeated(*ids, *keys, channel)
    if repeated > FEW_DUPLICATES * facts.repeated(*ids, *keys):
        return None
    facts.note(f"column {channel!r} names the channel of a row", f"id={channel!r}")
    return ids


def _values(facts: Facts, may: list[str]) -> list[str]:
    """Columns of numbers that change and do not look like ids."""
    kept = []
    for name in facts.numbers:
        looks_like_id = name in may and not facts.is_real(name)
        if not looks_like_id and facts.frame[name].nunique() > 1:
            kept.append(name)
    return kept


def _by_key(facts: Facts, may: list[str], keys: list[str]) -> tuple[str, ...]:
    """The columns that, with `keys`, no two rows share; by name where none does."""
    if facts.is_key(*keys):
        return _by_spacing(facts, may, keys)
    found = facts.distinct(n for n in may if _is_sure_key(facts, n, keys))
    if not found:
        return _pair(facts, may, keys) or _named(facts, may) or _of_single_rows(facts)
    named = list(filter(says_id, found))
    best = named or found
    if len(best) > 1:
        raise questions.which_id(facts, best)
    if not named and facts.counts_within(best[0], keys[0]):
        raise questions.id_or_clock(facts, best[0])
    return _noted(facts, tuple(best))


def _of_single_rows(facts: Facts) -> tuple[str, ...]:
    """An id of letters that differs in each row, where times repeat: series of one timestep."""
    taken = {*facts.all_times, *facts.given, facts.named_label}
    for name in facts.names:
        is_free = name not in taken and says_id(name) and facts.is_filled(name)
        if is_free and facts.is_key(name) and not facts.is_digits(name):
            return (name,)
    return ()


def _looks_like_id(facts: Facts, name: str) -> bool:
    """Whether a column is named like an id, is text, or has one value in a block of rows."""
    return says_id(name) or facts.is_text(name) or facts.is_in_blocks(name)


def _is_sure_key(facts: Facts, name: str, keys: list[str]) -> bool:
    """Whether a column with `keys` is unique, and not by chance as numbers can be."""
    if not facts.is_key(name, *keys):
        return False
    if _looks_like_id(facts, name):
        return True
    counts = facts.frame[name].value_counts()
    return bool((counts == counts.iloc[0]).all()) or facts.is_regular(name)


def _pair(facts: Facts, may: list[str], keys: list[str]) -> tuple[str, ...]:
    """The one pair of columns that, with `keys`, no two rows share: subject and trial."""
    names = [n for n in may if facts.is_text(n) or says_id(n)][:MOST_PAIRS]
    pairs = [p for p in combinations(names, 2) if facts.is_key(*p, *keys)]
    named = [pair for pair in pairs if all(map(says_id, pair))]
    if len(pairs) == 1 or len(named) == 1:
        return _noted(facts, (named or pairs)[0])
    return ()


def _noted(facts: Facts, ids: tuple[str, ...]) -> tuple[str, ...]:
    """The ids, with a note where their names do not say so."""
    if len(ids) > 1:
        what = f"columns {listed(ids)} together name"
    elif says_id(ids[0]):
        return ids
    else:
        what = f"column {ids[0]!r} names"
    facts.note(f"{what} the series: without it, times repeat or go back", "id=COLUMN")
    return ids
