"""What makes the times of a series unique, where rows repeat them: advice for the error."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

from ...config import ReadOptions
from ..sequences import Array
from .names import says_channel, says_id
from .roles import Roles
from .time_values import holds_dates, is_text, is_whole
from .times import joined_with

if TYPE_CHECKING:
    import pandas as pd

CLOCK = r"^\s*\d{1,2}:\d\d"  # of a time of day, which names nothing
MOST = 8  # columns that are tried


def ways_out(
    frame: pd.DataFrame,
    columns: Roles,
    options: ReadOptions,
    codes: Array,
    clock: Array | None,
) -> list[str]:
    """The options with which no series repeats a time; none where no time repeats.

    Args:
        frame: the table, with all its columns.
        columns: the part of each.
        options: how to read.
        codes: the number of the series of each row, ``(n,)``.
        clock: the time of each row, ``(n,)``.
    """
    import pandas as pd

    if clock is None or columns.channel is not None or options.duplicates is not None:
        return []
    keys = pd.DataFrame({"series": codes, "time": clock})
    if not keys.duplicated().any():
        return []
    joined = _joined_times(frame, columns, codes)
    free = [name for name in frame.columns if _may_be_key(frame, name, columns)][:MOST]
    free = [name for name in free if name not in joined]
    found = [*joined.values(), *_told_apart_by(frame, columns, keys, free, 1)]
    found = found or _told_apart_by(frame, columns, keys, free, 2)
    constant = keys.groupby("series")["time"].nunique() == 1
    if codes.max() > 0 and constant.all():
        name = columns.times[0]
        found.insert(0, f"time=COLUMN ({name!r} is the same throughout each series)")
    return found


def _told_apart_by(
    frame: pd.DataFrame,
    columns: Roles,
    keys: pd.DataFrame,
    names: list[str],
    count: int,
) -> list[str]:
    """The options for so many of the columns with which no series repeats a time."""
    import pandas as pd

    found = []
    for some in combinations(names, count):
        others = frame[[*some]].reset_index(drop=True)
        if not pd.concat([keys, others], axis=1).duplicated().any():
            found.append(_told_apart(frame, columns, some))
    return found


def _may_be_key(frame: pd.DataFrame, name: str, columns: Roles) -> bool:
    """Whether a column could tell rows of one time apart."""
    column = frame[name]
    if name in (*columns.ids, *columns.times, columns.label) or holds_dates(column):
        return False
    if column.isna().any() or not column.duplicated().any():
        return False
    if column.astype(str).str.contains(CLOCK).all():
        return False
    return is_text(column) or (column.dtype.kind in "fiu" and is_whole(column))


def _joined_times(frame: pd.DataFrame, columns: Roles, codes: Array) -> dict[str, str]:
    """Further columns with which the time of no row repeats -> the option that joins them."""
    import pandas as pd

    found = {}
    others = [n for n in frame.columns if n not in (*columns.ids, *columns.times)]
    for name in others[:MOST]:
        joined = joined_with(frame, columns.times, name)
        if joined is None:
            continue
        time, clock = joined
        if not pd.DataFrame({"series": codes, "time": clock}).duplicated().any():
            found[name] = f"time={time!r}"
    return found


def _told_apart(frame: pd.DataFrame, columns: Roles, names: tuple[str, ...]) -> str:
    """The option for columns that tell rows of one time apart: a channel or ids."""
    [first, *others] = names
    is_name = is_text(frame[first]) and not says_id(first)
    if not others and (is_name or says_channel(first)):
        return f"channel={first!r}"
    return f"id={','.join((*columns.ids, *names))!r}"
