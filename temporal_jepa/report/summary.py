"""The first words of a report, about the data: how much there is, and what stands out in it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..data.sequences import Sequences, listed
from .differences import in_units
from .nouns import Noun, noun_of
from .plots import is_video
from .run import Row
from .timeline import UNITS, even_step, when

LONGEST = 40  # characters of a name
TIMED = 2000  # series whose times are looked at, evenly spaced


def in_time(nanoseconds: float) -> str:
    """A length of time in its largest unit: "14 days", "1.5 hours".

    >>> in_time(300e9), in_time(86_400e9), in_time(0.25e9)
    ('5 minutes', '1 day', '250 milliseconds')
    """
    units = [unit for unit, size in UNITS.items() if nanoseconds >= size]
    unit = units[0] if units else "nanoseconds"
    text = in_units(nanoseconds / UNITS[unit])
    return f"{text} {unit.removesuffix('s') if text == '1' else unit}"


def summary_of(
    sequences: Sequences,
    recordings: Sequences | None,
    groups: Row | None,
    surprise: Row | None,
) -> list[str]:
    """Sentences on the data: how many sequences, how long, how often measured; what stands out.

    Args:
        sequences: those that are drawn.
        recordings: what they were cut from; None if they were not cut.
        groups: of `groups_section`.
        surprise: of `surprise_section`.
    """
    whole = sequences if recordings is None else recordings
    noun = noun_of(sequences)
    is_one = len(whole) == 1 or recordings is not None
    whole_noun = Noun("recording", "recordings") if is_one else noun
    parts = [f"{_amount(len(whole), whole_noun)} of {_lengths(whole)}{_spans(whole)}"]
    if not is_video(whole):
        count = whole.n_channels
        names = f"{count} channel{'' if count == 1 else 's'}: {_names(whole.channels)}"
        parts.append(names)
    if recordings is not None:
        parts.append(f"cut into {_amount(len(sequences), noun)}")
    sentences = [_ended("; ".join(parts))]
    return [*sentences, *_standing_out(whole, groups, surprise, noun)]


def _names(names: Sequence[str]) -> str:
    """The first few names, long ones cut."""
    cut = [name if len(name) <= LONGEST else f"{name[:LONGEST]}…" for name in names]
    return listed(cut)


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith("...") else f"{sentence}."


def _amount(count: int, noun: Noun) -> str:
    return f"{count:,} {noun.one if count == 1 else noun.many}"


def _lengths(sequences: Sequences) -> str:
    low, high = int(sequences.lengths.min()), int(sequences.lengths.max())
    unit = "frame" if is_video(sequences) else "timestep"
    if low == high:
        return f"{low:,} {unit}{'' if low == 1 else 's'}"
    middle = int(np.median(sequences.lengths))
    return f"{low:,} to {high:,} {unit}s (median {middle:,})"


def _spans(sequences: Sequences) -> str:
    """How long and how often sequences were measured, and when, if their times are dates."""
    times = sequences.times
    if times is None or not _is_dated(sequences):
        return ""
    chosen = np.unique(np.linspace(0, len(times) - 1, TIMED).astype(int))
    firsts = np.array([times[i][0] for i in chosen])
    lasts = np.array([times[i][-1] for i in chosen])
    text = ""
    usual = float(np.median((lasts - firsts) / np.timedelta64(1, "ns")))
    if usual > 0:
        about = "" if len(times) == 1 else "each about "
        text += f", {about}{in_time(usual)}"
    step = even_step(sequences)
    how = "one every"
    if step is None and sequences.lengths.max() > 1:
        parts = [np.diff(times[i]) for i in chosen]
        step = float(np.median(np.concatenate(parts) / np.timedelta64(1, "ns")))
        how = "mostly one every"
    if step:
        text += f", {how} {in_time(step).removeprefix('1 ')}"
    first, last = _day(firsts.min()), _day(lasts.max())
    return f"{text}, on {first}" if first == last else f"{text}, from {first} to {last}"


def _is_dated(sequences: Sequences) -> bool:
    return sequences.times is not None and sequences.times[0].dtype.kind == "M"


def _day(time: Any) -> str:
    return when(np.array([time]), 0).partition(" ")[0]


def _standing_out(
    whole: Sequences, groups: Row | None, surprise: Row | None, noun: Noun
) -> list[str]:
    """The most unusual moment of recordings, what is unlike all others, and groups."""
    found = []
    if surprise is not None and surprise["kind"] == "moments" and surprise["closeups"]:
        found.append(_top_moment(surprise, whole))
    if groups is None:
        return found
    if groups["alone"]:
        found.append(_unlike(groups["alone"], noun))
    return found + _grouped(groups, noun)


def _top_moment(surprise: Row, whole: Sequences) -> str:
    """The moment with the highest score, which is that of windows around it."""
    top = surprise["closeups"][0]
    place = top["at"] if surprise["has_times"] else f"timestep {top['at']}"
    where = f" of {top['id']}" if len(surprise["figures"]) > 1 else ""
    step = even_step(whole)
    length = f"{surprise['window']:,} timesteps"
    if step is not None and surprise["has_times"] and _is_dated(whole):
        length = in_time(step * surprise["window"])
    return f"The most unusual moment{where} is within {length} of {place}."


def _unlike(alone: Row, noun: Noun) -> str:
    verb = "is" if alone["count"] == 1 else "are"
    who = _amount(alone["count"], noun)
    return _ended(f"{who} {verb} unlike all others: {_names(alone['names'])}")


def _grouped(groups: Row, noun: Noun) -> list[str]:
    others = f"other {noun.many}" if groups["alone"] else noun.many
    if groups["level"] == "none":
        return [f"No clear groups stand out among the {others}."]
    if groups["level"] == "one":
        return []
    how = "are clearly apart" if groups["level"] == "clear" else "overlap in part"
    *sizes, last = [row["size"] for row in groups["rows"]]
    counts = f"{', '.join(map(str, sizes))} and {last}"
    return [f"The {others} form {len(sizes) + 1} groups that {how}, of {counts}."]
