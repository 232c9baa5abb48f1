"""Facts of a table from which the parts of its columns are decided."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ...config import ReadOptions
from ..sequences import Array
from .column_types import kind_by_name
from .names import (
    PERIODS,
    find_label,
    says_clock,
    says_count,
    says_date,
    says_id,
    says_moment,
)
from .numbers import mostly_numbers
from .readings import likely
from .row_order import steps_within
from .time_columns import TimeColumns, candidates
from .times import read_times

if TYPE_CHECKING:
    import pandas as pd

FIRST_ROWS = 10_000
REGULAR = 0.9  # share of equal steps of a regular clock


class Facts:
    """The columns of a table, what options say of them, and what their values show.

    Args:
        frame: a table with unique text names; numbers are numeric columns.
        options: how to read it.
        notes: one line is added for each inference.
    """

    def __init__(
        self, frame: pd.DataFrame, options: ReadOptions, notes: list[str]
    ) -> None:
        self.frame = frame
        self.options = options
        self.notes = notes
        self.names = list(frame.columns)
        self._kinds = kind_by_name(frame)
        self.given_ids = split(frame, options.id)
        self.given_times = split(frame, options.time)
        self.given_values = tuple(filter(None, options.values or ()))
        others = {options.label, options.channel}
        self.given = {*self.given_ids, *self.given_times, *self.given_values, *others}
        self.given -= {None, ""}

    def note(self, sentence: str, otherwise: str) -> None:
        """Note a likely reading, and what would change it."""
        line = likely(sentence, otherwise)
        if line not in self.notes:
            self.notes.append(line)

    # Parts that names and types decide.

    @cached_property
    def time_candidates(self) -> list[TimeColumns]:
        """The columns that can be the time, best first."""
        return candidates(self.frame, self.options)

    @cached_property
    def time(self) -> TimeColumns | None:
        """The columns of the time: those of the option, else the best candidate."""
        if self.given_times or self.options.time == "":
            return next(iter(self.time_candidates), None)
        for time in self.time_candidates:
            if not self.given & {*time.names} and not self._is_of_owner(time):
                return time
        return None

    def _is_of_owner(self, time: TimeColumns) -> bool:
        """Whether dates are ids, or the same for all rows of an id, as a date of birth is."""
        name = time.names[0]
        if len(time.names) > 1 or time.kind != "date":
            return False
        if says_id(name) and not time.named:
            return True
        for owner in filter(says_id, self.names):
            if owner == name or self.is_real(owner) or not self.repeats(owner):
                continue
            if self.is_same_within(name, (owner,)):
                return self.changes(name)
        return False

    @property
    def times(self) -> tuple[str, ...]:
        """The names of the columns of the time."""
        return self.time.names if self.time else ()

    @cached_property
    def all_times(self) -> set[str]:
        """The columns of every candidate for the time; none of them holds values or ids."""
        found: set[str] = set(self.times)
        for time in self.time_candidates:
            is_id = not time.named and any(map(says_id, time.names))
            name = time.names[0]
            is_named = says_moment(name) or says_clock(name) or says_date(name)
            may_be_value = time.kind == "number" and not is_named
            if not is_id and not may_be_value:
                found.update(time.names)
        return found

    @cached_property
    def named_label(self) -> str | None:
        """The column of the label: that of the option, else one that is named so."""
        if self.options.label is not None:
            return self.options.label or None
        taken = {*self.given, *self.times}
        return find_label(name for name in self.names if name not in taken)

    @property
    def is_unnamed(self) -> bool:
        """Whether columns are named 0, 1, 2, ..., as those of a file without a header."""
        return self.names == [str(k) for k in range(len(self.names))]

    @cached_property
    def texts(self) -> list[str]:
        """The columns of text."""
        return [name for name in self.names if self.is_text(name)]

    @cached_property
    def numbers(self) -> list[str]:
        """Columns of numbers that no option claims for something else than values."""
        columns = (self.options.channel, self.named_label)
        claimed = {*self.given_ids, *self.given_times, *self.all_times, *columns}
        return [n for n in self.names if n not in claimed and self.is_mostly_number(n)]

    # Types of columns.

    def is_number(self, name: str) -> bool:
        """Whether a column is of numbers by its type."""
        return self._kinds[name] in "fiub"

    def is_text(self, name: str) -> bool:
        """Whether a column is neither of numbers nor of times by its type."""
        return self._kinds[name] not in "fiubmM"

    def is_whole(self, name: str) -> bool:
        """Whether a column is of whole numbers by its type."""
        return self._kinds[name] in "iu"

    def is_real(self, name: str) -> bool:
        """Whether a column holds numbers with decimals."""
        if self._kinds[name] != "f":
            return False
        return bool((self.frame[name].dropna() % 1 != 0).any())

    def is_digits(self, name: str) -> bool:
        """Whether every entry of a column is made of digits."""
        return bool(self.frame[name].astype(str).str.isdigit().all())

    def is_filled(self, name: str) -> bool:
        """Whether no value of a column is missing."""
        return not self.frame[name].isna().any()

    def is_whole_valued(self, name: str) -> bool:
        """Whether a column holds whole numbers in every row, of any type."""
        return self.is_number(name) and self.is_filled(name) and not self.is_real(name)

    def is_mostly_number(self, name: str) -> bool:
        """Whether a column holds numbers; those of which some are text are reported later."""
        if self.is_number(name):
            return True
        column = self.frame[name]
        if column.dtype.kind in "mM" or says_id(name):
            return False
        return mostly_numbers(column)

    # Values of columns.

    def repeats(self, name: str) -> bool:
        """Whether some rows of a column are equal."""
        return not self.is_key(name)

    def changes(self, name: str) -> bool:
        """Whether a column has more than one value."""
        return self.frame[name].nunique() > 1

    def is_same_within(self, name: str, groups: tuple[str, ...]) -> bool:
        """Whether a column has one entry in each group; without groups, in all rows.

        The first rows are tried alone, since they often settle it in little memory.
        """
        for frame in (self.frame.head(FIRST_ROWS), self.frame):
            if groups:
                counts = frame.groupby(list(groups))[name].nunique(dropna=False)
                differs = bool((counts > 1).any())
            else:
                differs = frame[name].nunique(dropna=False) > 1
            if differs:
                return False
        return True

    def is_key(self, *names: str) -> bool:
        """Whether no two rows are equal in these columns."""
        columns = self.frame[names[0] if len(names) == 1 else list(names)]
        return not columns.duplicated().any()

    def repeated(self, *names: str) -> int:
        """The number of rows that repeat these columns of a row above."""
        return int(self.frame[list(names)].duplicated().sum())

    def counts_rows(self, name: str) -> bool:
        """Whether a column is named like a number of the row, and counts: 1, 2, 3, ..."""
        if name in self.given or not (says_count(name) and self.is_whole(name)):
            return False
        if not (np.diff(self.frame[name].to_numpy()) == 1).all():
            return False
        self.note(f"column {name!r} counts the rows and is left out", "values=A,B")
        return True

    def is_in_blocks(self, name: str) -> bool:
        """Whether equal values stand together, two rows or more of each."""
        column = self.frame[name]
        changes = int(column.ne(column.shift())[1:].sum())
        counts = column.value_counts()
        return changes == len(counts) - 1 > 0 and bool((counts > 1).all())

    def codes(self, name: str) -> Array:
        """The rows' values as numbers in order of appearance, ``(n,)``."""
        import pandas as pd

        codes: Array = pd.factorize(self.frame[name])[0]
        return codes

    def distinct(self, names: Iterable[str]) -> list[str]:
        """One column of each partition of the rows; names of ids and texts come first."""
        ranked = sorted(names, key=lambda n: (not says_id(n), not self.is_text(n)))
        kept: dict[bytes, str] = {}
        for name in ranked:
            kept.setdefault(self.codes(name).tobytes(), name)
        return list(kept.values())

    def same_as(self, name: str) -> set[str]:
        """The columns that divide the rows as this one does."""
        codes = self.codes(name)
        return {n for n in self.names if np.array_equal(self.codes(n), codes)}

    def may_name_series(self) -> list[str]:
        """Columns that hold no decimals, repeat, and have no other part.

        They are filled; an id by name that is not filled counts where no other is.
        """
        taken = {*self.all_times, *self.given, self.named_label}
        free = [n for n in self.names if n not in taken and not self.is_real(n)]
        kept = list(filter(self._divides, filter(self.repeats, free)))
        filled = list(filter(self.is_filled, kept))
        if any(map(says_id, filled)):
            return filled
        return [name for name in kept if name in filled or says_id(name)]

    def _divides(self, name: str) -> bool:
        """Whether a column is named like an id, or has several entries that are no times."""
        if says_id(name):
            return True
        is_time = self.frame[name].dtype.kind in "mM" or name.lower() in PERIODS
        return self.changes(name) and not is_time

    @cached_property
    def repeating_ids(self) -> list[str]:
        """Columns named like ids of which some rows share a value."""
        return [name for name in self.may_name_series() if says_id(name)]

    # The spacing of times.

    @cached_property
    def _clock(self) -> Array:
        """The time of each row as float64 since the first row."""
        assert self.time is not None
        clock = read_times(self.frame, self.time, self.options, [])
        since: Array = (clock - clock[0]).astype(np.float64)
        return since

    def is_regular(self, *names: str) -> bool:
        """Whether times are equally spaced, over all rows or in each group of these columns.

        Rows must be in order of time, or the reverse.
        """
        steps = self._steps(names)
        groups = self.frame[list(names)].drop_duplicates().shape[0] if names else 1
        if len(steps) < 2 * groups or not _have_one_sign(steps):
            return False
        usual = np.median(steps)
        equal = np.abs(steps - usual) <= 0.01 * np.abs(usual)
        return bool(equal.mean() > REGULAR)

    def is_ordered(self, *names: str) -> bool:
        """Whether times only rise, or only fall, over all rows or in each group of columns."""
        steps = self._steps(names)
        return len(steps) > 1 and _have_one_sign(steps)

    def is_ramp(self, name: str) -> bool:
        """Whether a column of at least 4 numbers has equal steps."""
        if not self.is_number(name) or not self.is_filled(name) or len(self.frame) < 4:
            return False
        steps = np.diff(self.frame[name].to_numpy(dtype=np.float64))
        return bool(steps[0] != 0 and np.allclose(steps, steps[0], rtol=1e-6, atol=0))

    def counts_within(self, name: str, groups: str) -> bool:
        """Whether a column has equal steps, all alike in sign, in each block of another one."""
        if not self.is_number(name) or not self.is_filled(name):
            return False
        codes = self.codes(groups)
        same = np.diff(codes) == 0
        steps = np.diff(self.frame[name].to_numpy(dtype=np.float64))[same]
        if len(steps) < 2 or int((~same).sum()) != codes.max() or steps[0] == 0:
            return False
        return bool((steps == steps[0]).all())

    def is_clustered(self, name: str) -> bool:
        """Whether each entry has a time span of its own, with gaps wider than any step within."""
        order = np.argsort(self._clock, kind="stable")
        steps = np.diff(self._clock[order])
        changes = np.diff(self.codes(name)[order]) != 0
        count = int(changes.sum())
        if not 0 < count == self.frame[name].nunique() - 1 or changes.all():
            return False
        return bool(steps[changes].min() > steps[~changes].max())

    def _steps(self, names: tuple[str, ...]) -> Array:
        """The steps of time between the rows of each group."""
        codes: Array = np.zeros(len(self.frame), dtype=np.int64)
        if names:
            groups = self.frame.groupby(list(names), sort=False, dropna=False)
            codes = groups.ngroup().to_numpy()
        return steps_within(self._clock, codes)


def _have_one_sign(steps: Array) -> bool:
    return bool((steps > 0).all() or (steps < 0).all())


def split(frame: pd.DataFrame, option: str | None) -> tuple[str, ...]:
    """The columns that an option names: one, or several as "A,B"."""
    if not option:
        return ()
    if option in frame.columns:
        return (option,)
    return tuple(name.strip() for name in option.split(","))


def first_rows(frame: pd.DataFrame, names: list[str], count: int = 3) -> list[Any]:
    """The cells of the first rows, for a table in a message."""
    rows: list[Any] = frame[names].head(count).to_numpy().tolist()
    return rows
