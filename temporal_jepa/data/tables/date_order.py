"""The order of day, month and year in a column of dates, proved by its values or asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...config import ReadOptions
from ..sequences import Array, moment
from . import dates
from .calendars import instants, years_of
from .readings import AmbiguousError, Reading, likely
from .row_order import spacing
from .time_values import check_unused, no_time

if TYPE_CHECKING:
    import pandas as pd

ORDERS = {"dmy": "day first", "mdy": "month first", "ymd": "year first"}
ORDER_OF = {"day name year": "dmy", "name day year": "mdy", "ctime": "mdy"}
LEAP_YEAR = np.datetime64("2000-01-01")  # days without a year are of this one


@dataclass(frozen=True)
class WrittenDates:
    """A column of dates in text.

    Attributes:
        column: as it is in the table, ``(n,)``.
        texts: its distinct texts, ``m`` of them.
        index: the text of each row, ``(n,)``.
        parsed: the parts of the texts.
        codes: the number of the series of each row, ``(n,)``; None if it is not known yet.
    """

    column: pd.Series[Any]
    texts: list[str]
    index: Array
    parsed: dates.Texts
    codes: Array | None

    @property
    def name(self) -> str:
        """The name of the column."""
        return str(self.column.name)

    def rows(self, wrong: Array) -> Array:
        """The rows of texts that are marked in ``(m,)`` bool."""
        return np.flatnonzero(wrong[self.index])


def read_dates(written: WrittenDates, options: ReadOptions, notes: list[str]) -> Array:
    """The datetime64 of each row in UTC; days of an unknown year as float64, ``(n,)``.

    Raises:
        AmbiguousError: day and month can be exchanged.
        ValueError: a row is no date, the dates fit no one order, or name a time zone.
    """
    if dates.are_seasons(written.parsed):
        raise ValueError(
            f"column {written.name!r} holds {written.texts[0]!r}, {written.texts[1]!r}, ...: "
            "seasons of two years, or months; write the first year alone, 2000, for seasons, or "
            "2000-01-01 for months"
        )
    since = dates.clock_ns(written.parsed)
    wrong = written.rows(since < 0)
    if wrong.size:
        raise no_time(written.column, wrong)
    try:
        offset, given = dates.offsets_ns(written.parsed)
    except ValueError as error:
        raise ValueError(f"column {written.name!r} {error}") from error
    without = len(written.rows(~given))
    if given.any() and without:
        notes.append(
            f"{without} times in {written.name!r} have no offset from UTC: taken as UTC"
        )
    found = {
        order: instants(day, since - offset)
        for order, day in dates.readings(written.parsed).items()
    }
    order = _settled(written, found, options, notes)
    times = found[order]
    if order == "md":
        return ((times - LEAP_YEAR) / np.timedelta64(1, "D"))[written.index]
    if order == "my" or dates.two_digits(written.parsed).any():
        note_century(written.name, times, notes)
    return times[written.index]


def note_century(name: str, times: Array, notes: list[str]) -> None:
    """A note on the century of two-digit years.

    Raises:
        ValueError: some are before 2000 and some after 2040, so that one century may be split.
    """
    years = years_of(times)
    if years.min() < 2000 and years.max() > 2040:
        raise ValueError(
            f"column {name!r} holds two-digit years of which the century is not clear: "
            f"{years.min() % 100:02} and {years.max() % 100:02}; write the years with four digits"
        )
    notes.append(f"two-digit years in {name!r} are 1969 to 2068")


def _settled(
    written: WrittenDates,
    found: dict[str, Array],
    options: ReadOptions,
    notes: list[str],
) -> str:
    """The one order of day, month and year of a column."""
    if options.date_order is not None and len(found) > 1:
        return _chosen(written, found, options.date_order)
    clear = "dates in one order, such as " + written.texts[0]
    fitting = ORDER_OF.get(written.parsed.format, "ymd")
    check_unused(written.column, options, clear, "date_order", fitting)
    possible = [order for order, times in found.items() if not np.isnat(times).any()]
    if not possible:
        raise _impossible(written, found)
    named = _order_in_name(written.name)
    if named in possible:
        return named
    rows = {order: found[order][written.index] for order in possible}
    if "my" in found:
        return _year_or_day(written, rows)
    plausible = _plausible(written, rows, notes)
    if len(plausible) > 1:
        shown = {order: found[order] for order in plausible}
        raise ask_for_order(written.name, written.texts, shown)
    order = plausible[0]
    if order in ORDERS:
        notes.append(f"dates in {written.name!r} are read with the {ORDERS[order]}")
    return order


def _order_in_name(name: str) -> str:
    """The order that a name spells, "mdy" of "Date (MM/DD/YYYY)"; "" without."""
    found = re.search(
        r"(?i)(?<![a-z])(d+|m+|y+)\W?(d+|m+|y+)\W?(d+|m+|y+)(?![a-z])", name
    )
    return "".join(part[0].lower() for part in found.groups()) if found else ""


def _year_or_day(written: WrittenDates, rows: dict[str, Array]) -> str:
    """Whether Jan-15 and 15-Jan are a month of 2015 ("my") or a day ("md").

    Raises:
        AmbiguousError: in both the rows are in order.
        ValueError: in neither they are.
    """
    month_first = written.parsed.format == "name short"
    usual = ["my", "md"] if month_first else ["md", "my"]
    possible = [order for order in usual if order in rows]
    if written.codes is None or len(rows) == 1:
        return possible[0]
    steady = [o for o in possible if spacing(rows[o], written.codes) != "mixed"]
    if not steady:
        raise ValueError(
            f"column {written.name!r} holds {written.column.iloc[0]!r}, a month of a year or a day "
            "without a year, and neither is in order; write the year with four digits"
        )
    if len(steady) == 1 or _has_usual_digits(written, steady[0]):
        return steady[0]
    raise _ask_for_year(written, rows)


def _has_usual_digits(written: WrittenDates, order: str) -> bool:
    """Whether Jan-15, Feb-15, ... (one number) are months, or 1-Jan (one digit) is a day."""
    if order == "my":
        return bool(np.ptp(written.parsed.numbers("short")) == 0)
    return any(re.match(r"\d\D", text) for text in written.texts)


def _ask_for_year(written: WrittenDates, rows: dict[str, Array]) -> AmbiguousError:
    """The question whether the number beside the name of a month is a year or a day."""
    day = "mdy" if written.parsed.format == "name short" else "dmy"
    header = (written.name, "is read as")
    texts = written.column.head(4).tolist()
    months = rows["my"][:4].astype("datetime64[M]").astype(str)
    days = [str(value)[5:] for value in rows["md"][:4].astype("datetime64[D]")]
    shown = [
        Reading(
            what, {"date_order": order}, header, list(zip(texts, read, strict=True))
        )
        for what, order, read in (
            ("months of a year", "ymd", months),
            ("days of a year that is not written (month-day)", day, days),
        )
    ]
    return AmbiguousError(f"column {written.name!r} holds years or days", shown)


def _chosen(written: WrittenDates, found: dict[str, Array], order: str) -> str:
    """The order that an option gives; ValueError where a value does not have it."""
    if "my" in found:
        order = "my" if order == "ymd" else "md"
    if order not in found:
        raise ValueError(
            f"date_order={order!r} does not fit column {written.name!r}, which holds "
            f"{written.column.iloc[0]!r}"
        )
    wrong = written.rows(np.isnat(found[order]))
    if wrong.size:
        raise no_time(written.column, wrong, f" with date_order={order!r}")
    return order


def _impossible(written: WrittenDates, found: dict[str, Array]) -> ValueError:
    """The error for a column whose values fit no one order."""
    wrong = {order: np.isnat(times) for order, times in found.items()}
    rows = written.rows(np.all([*wrong.values()], axis=0))
    if rows.size:
        return no_time(written.column, rows)
    shown = []
    for order in ("dmy", "mdy"):
        if order in wrong:
            row = written.rows(wrong[order])[0]
            text = written.texts[written.index[row]]
            shown.append(
                f"{text!r} (data row {row + 1}) is none with the {ORDERS[order]}"
            )
    return ValueError(
        f"dates in column {written.name!r} have no single order of day and month: "
        f"{', but '.join(shown)}; write all in one order, best as 2024-01-31, or choose time='' "
        "to go by the order of the rows"
    )


def ask_for_order(
    name: str, texts: list[str], found: dict[str, Array]
) -> AmbiguousError:
    """The question for the order of dates, with the first rows in time order of each."""
    shown = []
    for order, times in found.items():
        first = np.argsort(times, kind="stable")[:4]
        rows = [(texts[k], moment(times[k])) for k in first]
        what = f"the {ORDERS[order]}"
        shown.append(Reading(what, {"date_order": order}, (name, "is read as"), rows))
    return AmbiguousError(f"dates in {name!r} can be read in {len(shown)} ways", shown)


def _plausible(
    written: WrittenDates, rows: dict[str, Array], notes: list[str]
) -> list[str]:
    """The possible orders without unusual ones, and without those that give the same dates.

    An unusual order stays if only in it the rows do not go back and forth.
    """
    different = {rows[order].tobytes(): order for order in reversed(rows)}
    usual = {*dates.usual_orders(written.parsed)}
    possible = sorted(different.values())
    possible = sorted({*possible} & (usual | {"ymd"})) or possible
    if len(possible) < 2:
        return possible
    even = in_equal_steps(
        written.name, {order: rows[order] for order in possible}, written.codes, notes
    )
    if even is not None:
        return [even]
    expected = sorted({*possible} & usual) or possible
    steady = {o for o in possible if spacing(rows[o], written.codes) != "mixed"}
    if steady and steady.isdisjoint(expected):
        return possible
    return sorted({*expected, *steady}) if len(expected) > 1 else expected


def in_equal_steps(
    name: str, rows: dict[str, Array], codes: Array | None, notes: list[str]
) -> str | None:
    """The one order in which rows follow in equal steps, if they go back and forth in others.

    Args:
        name: of the column.
        rows: the times of all rows by the order of day, month and year.
        codes: the number of the series of each row, ``(n,)``; None if it is not known yet.
        notes: the order is added.
    """
    kinds = {order: spacing(times, codes) for order, times in rows.items()}
    if sorted(kinds.values()) != ["equal"] + ["mixed"] * (len(rows) - 1):
        return None
    equal = next(order for order, kind in kinds.items() if kind == "equal")
    other = next(order for order in rows if order != equal)
    sentence = f"dates in {name!r} have the {ORDERS[equal]}: only so do rows follow in equal steps"
    notes.append(likely(sentence, f"date_order={other!r}"))
    return equal
