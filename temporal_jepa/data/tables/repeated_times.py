"""What makes the times of a series unique, where rows repeat them: advice for the error."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from ...config import ReadOptions
from ..sequences import Array
from .names import says_channel, says_id
from .roles import Roles
from .time_columns import named_columns
from .time_values import holds_dates, is_text, is_whole
from .times import read_times

if TYPE_CHECKING:
    import pandas as pd

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
    free = [name for name in frame.columns if _may_be_key(frame, name, columns)][:MOST]
    found = [*_joined_times(frame, columns, codes, free)]
    for names in (*((name,) for name in free), *combinations(free, 2)):
        if found and len(names) > 1:
            break
        others = frame[[*names]].reset_index(drop=True)
        if not pd.concat([keys, others], axis=1).duplicated().any():
            found.append(_told_apart(frame, columns, names))
    constant = keys.groupby("series")["time"].nunique() == 1
    if codes.max() > 0 and constant.all():
        name = columns.times[0]
        found.insert(0, f"time=COLUMN ({name!r} is the same throughout each series)")
    return found


def _may_be_key(frame: pd.DataFrame, name: str, columns: Roles) -> bool:
    """Whether a column could tell rows of one time apart."""
    column = frame[name]
    if name in (*columns.ids, *columns.times, columns.label) or holds_dates(column):
        return False
    if column.isna().any() or not column.duplicated().any():
        return False
    return is_text(column) or (column.dtype.kind in "fiu" and is_whole(column))


def _joined_times(
    frame: pd.DataFrame, columns: Roles, codes: Array, names: list[str]
) -> Iterator[str]:
    """Further columns with which the time of no row repeats."""
    import pandas as pd

    for name in names:
        time = ",".join((*columns.times, name))
        try:
            joined = named_columns(frame, time)
            clock = read_times(frame, joined, ReadOptions(), [], np.zeros_like(codes))
        except ValueError:
            continue
        if not pd.DataFrame({"series": codes, "time": clock}).duplicated().any():
            yield f"time={time!r}"


def _told_apart(frame: pd.DataFrame, columns: Roles, names: tuple[str, ...]) -> str:
    """The option for columns that tell rows of one time apart: a channel or ids."""
    [first, *others] = names
    is_name = is_text(frame[first]) and not says_id(first)
    if not others and (is_name or says_channel(first)):
        return f"channel={first!r}"
    return f"id={','.join((*columns.ids, *names))!r}"
