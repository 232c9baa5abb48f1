"""Which lines of a text table are its header and its data, decided from all columns together."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ..tables.names import MONTHS, says_part, says_time
from ..tables.numbers import EMPTY, LONGEST, MARKS, PLAIN, UNIT, parse, split_unit
from ..tables.readings import AmbiguousError, Reading, likely

COMMENTS = ("#", "%", "//", '"#', ";")
COUNTS = "the first line counts up: taken as the header"
RULER = re.compile(r"[-+=|:\s]*[-=]{2}[-+=|:\s]*")  # as psql and Markdown draw one
_MONTH = rf"(?i:{'|'.join(MONTHS)})[a-z]*"
MONTH = re.compile(_MONTH)
DATE = re.compile(
    r"X?\d{1,4}[-/.:]\d[\d\s:./TZ+-]*(,\d{1,9})?(\s*(?i:[ap]\.?m\.?))?(\s*[A-Z]{3,5})?"
    rf"|\d{{8}}T\d[\d:.Z+-]*|[\w ,]{{0,12}}\b{_MONTH}\b[\w .,:-]*\d[\w .,:+-]*"
    rf"|\d[\d -]*{_MONTH}[\w .,:+-]*"
)
UNIT_NAME = re.compile(
    rf"\[.*\]|\(.*\)|{UNIT}|.*[/°%²³^·].*"
    r"|(?i:deg(rees?)?( ?[CFK]| celsius|[ _](north|east))?|celsius"
    r"|kelvin|volts?|amps?|watts?|met(er|re)s?|percent"
    r"|seconds?|minutes?|hours?|days?|counts?|units?|unitless|dimensionless|none|text|float|int"
    r"|string|ts|rn|avg|smp|std|tot|date|time|datetime|yyyy.*|hh:.*)"
)


class Record(NamedTuple):
    """The fields of a row, without spaces around, and the line on which it starts, from 1."""

    line: int
    cells: list[str]


@dataclass
class Head:
    """Where a table starts.

    Attributes:
        names: of the columns, None for a table without a header.
        width: number of columns.
        first: the first row of data.
        notes: what was skipped or inferred.
        rows: rows of data at the head of the file.
        levels: lines that name the columns together, each a level of their names.
    """

    names: list[str] | None
    width: int
    first: Record
    notes: list[str] = field(default_factory=list)
    rows: list[Record] = field(default_factory=list)
    levels: list[list[str]] = field(default_factory=list)


def kind(cell: str) -> str:
    """What a cell holds: "n" a number, also with a unit, "d" a date, "t" text, "" nothing."""
    if len(cell) <= LONGEST and PLAIN.fullmatch(cell):
        return "n"
    if cell.lower() in EMPTY:
        return ""
    if len(cell) > LONGEST:
        return "t"
    if _is_number(cell):
        return "n"
    if DATE.fullmatch(cell):
        return "d"
    found = split_unit(cell)
    return "n" if found is not None and _is_number(found[0]) else "t"


def _is_number(text: str) -> bool:
    return any(parse(text, mark) is not None for mark in MARKS)


def is_comment(line: str, separator: str) -> bool:
    """Whether a line starts as a comment does: #, %, //, or ; where that is no separator."""
    text = line.lstrip()
    return text.startswith(tuple(mark for mark in COMMENTS if mark != separator))


def find_head(
    records: Sequence[Record],
    comment: Record | None,
    header: int | None,
    separator: str,
) -> Head:
    """The header and the first row of data among the rows at the head of a file.

    Args:
        records: rows without blank lines and comments.
        comment: the fields of the last comment before the first row; it can name the columns.
        header: the line of the header if an option names it, 0 for none.
        separator: of the fields.

    Raises:
        AmbiguousError: several lines can be the header, or the first line can be data.
        ValueError: there is no such line, no data, or a header of another number of fields.
    """
    width = _width(records)
    if header:
        return _at(records, header, width)
    start = next(k for k, record in enumerate(records) if len(record.cells) == width)
    before, rows = _named_apart(
        list(records[:start]), list(records[start:]), width, separator
    )
    full = _of_width(rows, width)
    if header == 0:
        return Head(None, width, full[0], _skipped(before), full)
    n_titles = _titles(full, width)
    before += full[:n_titles]
    full = full[n_titles:]
    n_lead = _lead(full)
    head = _without_lead(full, width) if not n_lead else _from_lead(full, n_lead, width)
    if head.names is None:
        _check_before(before, full[0], width)
        if (
            comment is not None
            and len(comment.cells) == width
            and _are_names(comment.cells)
        ):
            head.names = comment.cells
            head.notes.append(
                likely(
                    f"the comment in line {comment.line} names the columns", "header=0"
                )
            )
    head.notes = _skipped(before) + head.notes
    return head


def _width(records: Sequence[Record]) -> int:
    """The usual number of fields; of several, that which comes first."""
    counts = Counter(len(record.cells) for record in records)
    several = {width: count for width, count in counts.items() if width > 1}
    if several and 2 * max(several.values()) >= counts[1]:
        counts = Counter(several)
    return counts.most_common(1)[0][0]


def _at(records: Sequence[Record], line: int, width: int) -> Head:
    """The table whose header is on the line that an option names."""
    at = next((k for k, record in enumerate(records) if record.line == line), None)
    if at is None:
        raise ValueError(
            f"header={line} is no line of the head of the file with names; header=0 says that "
            "there are none"
        )
    names = records[at].cells
    rows = records[at + 1 :]
    if not rows:
        raise ValueError("the file holds a header line and no data")
    if len(names) == width + 1 and not names[-1]:
        names = names[:width]
    if len(names) != width:
        raise ValueError(
            f"header={line}: the line has {len(names)} fields, the rows have {width}"
        )
    full = _of_width(rows, width) or [*rows]
    kinds = _column_kinds(full)
    notes = []
    while len(full) > 1 and _is_header_like(full[0], kinds):
        notes.append(f"line {full[0].line} holds no numbers and is left out")
        full = full[1:]
    return Head(names, width, full[0], notes, full)


def _of_width(records: Sequence[Record], width: int) -> list[Record]:
    """The rows with this number of fields."""
    return [record for record in records if len(record.cells) == width]


def _named_apart(
    before: list[Record], rows: list[Record], width: int, separator: str
) -> tuple[list[Record], list[Record]]:
    """Let a header with one field more or less than the rows have as many."""
    if not before:
        return before, rows
    line, cells = before[-1]
    names = _fitted(cells, _of_width(rows, width), width, separator)
    if names is None:
        return before, rows
    return before[:-1], [Record(line, names), *rows]


def _fitted(
    names: list[str], rows: list[Record], width: int, separator: str
) -> list[str] | None:
    """A header as long as the rows, None where it does not fit.

    It lacks a separator that ends each row, has one that ends no row, or has no name for the names
    of the rows, as R writes tables.
    """
    if len(names) == width + 1 and not names[-1]:
        return names[:-1]
    if len(names) != width - 1:
        return None
    if not any(record.cells[-1] for record in rows):
        return [*names, ""]
    first = {record.cells[0] for record in rows}
    is_index = len(first) == len(rows) and (separator in (" ", "\t") or _count(rows))
    return ["", *names] if width > 2 and is_index and _are_names(names) else None


def _count(rows: list[Record]) -> bool:
    """Whether first fields count, beside others that no decimal comma cut: dates, 1.5, text."""
    first = [record.cells[0] for record in rows]
    start = int(first[0]) if first[0].isdecimal() else 0
    counted = [str(k) for k in range(start, start + len(first))]
    others = [cell for cell in rows[0].cells[1:] if cell]
    return first == counted and any("." in cell or kind(cell) != "n" for cell in others)


def _are_names(cells: list[str]) -> bool:
    return any(cells) and all(kind(cell) in ("t", "") for cell in cells)


def _column_kinds(rows: Sequence[Record]) -> list[str]:
    """What most cells of each column hold, in the later half of the rows; "t" if none has most."""
    half = rows[min(len(rows) - 1, max(1, len(rows) // 2)) :]
    kinds = []
    for column in zip(*(record.cells for record in half), strict=True):
        counts = Counter(filter(None, map(kind, column)))
        most, count = max(counts.items(), key=lambda item: item[1], default=("", 0))
        kinds.append(most if 2 * count > sum(counts.values()) or not counts else "t")
    return kinds


def _lead(rows: Sequence[Record]) -> int:
    """The number of rows above the first whose cells are as those of their columns."""
    kinds = _column_kinds(rows)
    names, second = rows[0], rows[min(1, len(rows) - 1)]
    has_units = _is_header_like(second, kinds) and _are_units(second, names)
    for k, record in enumerate(rows[:-1]):
        if k == 0 and has_units and len(rows) > 2:  # names that are numbers, then units
            continue
        own = map(kind, record.cells)
        pairs = zip(own, kinds, strict=True)
        if all(found in ("", usual) for found, usual in pairs if usual in ("n", "d")):
            return k
    return len(rows) - 1


def _is_header_like(record: Record, kinds: list[str]) -> bool:
    """Whether no column of numbers or dates holds one in this row, and some hold text."""
    own = [kind(cell) for cell in record.cells]
    pairs = [
        (found, usual)
        for found, usual in zip(own, kinds, strict=True)
        if usual in ("n", "d")
    ]
    return any(found for found, _ in pairs) and all(
        found != usual for found, usual in pairs
    )


def _from_lead(rows: list[Record], n: int, width: int) -> Head:
    """The table below `n` rows that are unlike their columns: titles, header, units."""
    kinds = _column_kinds(rows)
    lead, data = rows[:n], rows[n:]
    levels = _levels(lead)
    if levels:
        *parts, (index,) = levels
        names = [index, *map("_".join, [*zip(*parts, strict=True)][1:])]
        notes = [f"lines {lead[0].line} to {lead[-1].line} name the columns together"]
        return Head(names, width, data[0], notes, data, levels)
    notes = _without_units(lead)
    while len(lead) > 1 and not _is_header_like(lead[-1], kinds):
        data = [lead.pop(), *data]  # numbers beside a text that should be one
    named = [record for record in lead if _is_header_like(record, kinds)]
    if len(lead) > 2 and named == [lead[-1]]:
        notes += _skipped(lead[:-1])
        lead = named
    if len(lead) > 1:
        raise _two_headers(lead, data)
    if not named:
        notes.append(_names_by_number(lead[0], data) or _counting(lead[0], data))
    return Head(lead[0].cells, width, data[0], notes, data)


def _without_units(lead: list[Record]) -> list[str]:
    """Take the rows of units from the end of others, and note them."""
    notes = []
    while len(lead) > 1 and _are_units(lead[-1], lead[-2]):
        units = lead.pop()
        shown = ", ".join(filter(None, units.cells))
        notes.append(f"line {units.line} holds units and is left out: {shown}")
    return notes


def _levels(lead: list[Record]) -> list[list[str]]:
    """Lines that name the columns only together, and a line with the name of the index.

    As pandas writes them; also with the names of groups above their first column alone, and with
    the name of the index in the last line of names. Empty where the lines are something else.
    """
    *levels, last = (record.cells for record in lead)
    index = last[0]
    has_own_line = not any(last[1:])
    if not has_own_line:
        if len(levels) > 1 and _are_units(lead[-1], lead[-2]):
            return []
        levels, index = _with_index(levels, last)
    if len(levels) < 2:
        return []
    levels = [_filled(levels[0]), *levels[1:]]
    columns = [*zip(*levels, strict=True)][1:]
    if not all(map(all, columns)) or len({*columns}) < len(columns):
        return []
    repeats = [len({*level[1:]}) < len(columns) for level in levels]
    may_be_levels = repeats[0] or (any(repeats) and has_own_line)
    return [*levels, [index]] if may_be_levels else []


def _with_index(
    levels: list[list[str]], last: list[str]
) -> tuple[list[list[str]], str]:
    """The levels with the last line of names, and the name of the index in one of them."""
    first = levels[0] if levels else last
    own = (line[0] for line in (first, last) if says_time(line[0]))
    index = next(own, "" if first[0] else last[0])
    every = [*levels, last]
    return [["" if index else level[0], *level[1:]] for level in every], index


def _filled(names: list[str]) -> list[str]:
    """Names of groups above each of their columns."""
    filled = names[:2]
    for name in names[2:]:
        filled.append(name or filled[-1])
    return filled


def _counting(first: Record, data: list[Record]) -> str:
    """A note on a row whose numbers rise; AmbiguousError where they do not."""
    numbers = _numbers(first)
    if not (_rises(numbers) or _steps(numbers)):
        raise _header_or_data(first, data)
    return COUNTS


def _names_by_number(first: Record, data: list[Record]) -> str:
    """A note on names in any order: words, and different whole numbers above decimals; "" else."""
    words, places = _words_and_numbers(first)
    are_parts = all(map(says_part, words))
    if not words or (len(places) < 5 and not are_parts):
        return ""
    sentence = f"line {first.line}, words and whole numbers"
    if _are_decimals(data, places):
        return likely(f"{sentence} above decimals, is the header", "header=0")
    if are_parts and _count_out_of_order(first, places):
        return likely(f"{sentence} in another order, is the header", "header=0")
    return ""


def _words_and_numbers(first: Record) -> tuple[list[str], list[int]]:
    """The words of a row, and the places of its numbers; none unless the row holds no more.

    There are two numbers or more, whole and all different.
    """
    words = [cell for cell in first.cells if kind(cell) == "t"]
    places = [k for k, cell in enumerate(first.cells) if re.fullmatch(r"\d+", cell)]
    different = len({first.cells[k] for k in places})
    if different < 2 or different != len(first.cells) - len(words):
        return [], []
    return words, places


def _count_out_of_order(first: Record, places: list[int]) -> bool:
    """Whether cells are 0, 1, 2, ... or 1, 2, 3, ... in another order."""
    numbers = [int(first.cells[k]) for k in places]
    in_order = sorted(numbers)
    counts = all(k - j == 1 for j, k in itertools.pairwise(in_order))
    return counts and in_order[0] <= 1 and numbers != in_order


def _are_decimals(data: list[Record], places: list[int]) -> bool:
    """Whether nearly all cells of some columns have decimals, the empty ones left out."""
    filled = [row.cells[k] for row in data for k in places if row.cells[k]]
    decimals = [cell for cell in filled if re.search(r"[.,]\d", cell)]
    return 0 < 0.9 * len(filled) <= len(decimals)


def _titles(rows: Sequence[Record], width: int) -> int:
    """The number of titles among the rows: one text, or a name and its value, above the header."""
    kinds = _column_kinds(rows)
    names = [k for k, record in enumerate(rows[:9]) if _is_header_like(record, kinds)]
    for k in range(max(names, default=0)):
        filled = [cell for cell in rows[k].cells if cell]
        named = filled[0].endswith(":")
        is_title = len(filled) == 1 < width or (
            len(filled) == 2 and (width > 3 or named) and rows[k].cells[0] != ""
        )
        if not is_title or kind(filled[0]) != "t":
            return k
    return max(names, default=0)


def _are_units(record: Record, names: Record) -> bool:
    cells = [cell.strip("'") for cell in record.cells if cell]
    if record.cells == names.cells:
        return False
    if cells and all(map(RULER.fullmatch, cells)):
        return True
    units = sum(UNIT_NAME.fullmatch(cell) is not None for cell in cells)
    return 2 * units > len(cells) and all(len(cell) < 20 for cell in cells)


def _numbers(record: Record) -> list[float]:
    """The numbers of a row, dates such as 2024-01-31 left out."""
    found = (parse(cell, ".") for cell in record.cells if kind(cell) == "n")
    return [number for number in found if number is not None]


def _rises(numbers: Sequence[float]) -> bool:
    return all(a < b for a, b in itertools.pairwise(numbers))


def _steps(numbers: Sequence[float]) -> bool:
    """Whether numbers rise in equal steps, or are different years, months or days."""
    if len(numbers) < 2:
        return False
    first = numbers[1] - numbers[0]
    even = all(
        abs(b - a - first) < 1e-6 * first for a, b in itertools.pairwise(numbers)
    )
    if first > 0 and even and (first == 1 or len(numbers) > 2):
        return True
    return len(set(numbers)) == len(numbers) and all(map(_is_date, numbers))


def _is_date(number: float) -> bool:
    """Whether a number is a year, a month as 202401, or a day as 20240131."""
    if number != int(number):
        return False
    if 1500 <= number <= 2200:
        return True
    year, rest = divmod(number, 10_000 if number > 1e7 else 100)
    month, day = divmod(rest, 100) if number > 1e7 else (rest, 1)
    return 1500 <= year <= 2200 and 1 <= month <= 12 and 1 <= day <= 31


def _without_lead(rows: list[Record], width: int) -> Head:
    """The table whose first row is as its columns: data, or names that are text or count up."""
    first, *below = rows
    note = _names_above(first, below)
    if note is None:
        return Head(None, width, first, [], rows)
    if not below:
        raise ValueError("the file holds a header line and no data")
    return Head(first.cells, width, below[0], [note] if note else [], below)


def _names_above(first: Record, below: list[Record]) -> str | None:
    """The note on a row of names, "" where these are text; None where the row is data."""
    words = {k: cell for k, cell in enumerate(first.cells) if kind(cell) == "t"}
    repeated = any(record.cells[k] == words[k] for record in below for k in words)
    numbers = _numbers(first)
    if not {"n", "d"}.isdisjoint(map(kind, first.cells)):
        return None if repeated else _counted(first, below, numbers, words)
    if words and not repeated:
        return ""
    return "" if len(words) == len(first.cells) else None


def _counted(
    first: Record, below: list[Record], numbers: list[float], words: dict[int, str]
) -> str | None:
    """The note on names of which some are numbers, None for data; AmbiguousError for either."""
    note = _names_by_number(first, below)
    if note:
        return note
    return COUNTS if _counts_up(first, below, numbers, words) else None


def _counts_up(
    first: Record, below: list[Record], numbers: list[float], words: dict[int, str]
) -> bool:
    """Whether a row is names that count up, which the rows below do not.

    Raises:
        AmbiguousError: it can be data as well.
    """
    if not below or not _steps(numbers) or "d" in map(kind, first.cells):
        return False
    if not words and any(map(_steps, map(_numbers, below))):
        return False
    if not _counts_as_header([*words.values()], numbers, first, below):
        raise _header_or_data(first, below)
    return True


def _counts_as_header(
    words: list[str], numbers: list[float], first: Record, below: list[Record]
) -> bool:
    """Whether names that count up can be nothing but names."""
    if words:
        return all(map(says_part, words)) or _starts_as_names(first, numbers)
    if _starts_as_names(first, numbers):
        return True
    values = [number for record in below[:9] for number in _numbers(record)]
    return any(x != int(x) for x in values if abs(x) < 1e15)


def _starts_as_names(first: Record, numbers: list[float]) -> bool:
    """Whether a row that counts up has no first name, starts at 0 or is long, or has no years."""
    return (
        not first.cells[0] or numbers[0] == 0 or len(numbers) > 5 or numbers[0] >= 1500
    )


def _check_before(before: list[Record], first: Record, width: int) -> None:
    """ValueError for a line above data without a header, unless it is a title."""
    if not before:
        return
    line, cells = before[-1]
    text = " ".join(cells)
    if len(cells) > 1 or not re.search(r"[\s:]", text):
        raise ValueError(
            f"expected {len(cells)} fields as in line {line}, got {width} in line {first.line}; "
            "write a missing value as an empty field, and check that the file is not cut short "
            "(decimal=',' if commas are decimal marks, header=0 to skip the line)"
        )


def _skipped(records: Sequence[Record]) -> list[str]:
    """A note on lines above the table."""
    if not records:
        return []
    first, last = records[0].line, records[-1].line
    lines = f"line {first}" if first == last else f"lines {first} to {last}"
    return [f"{lines} above the table: left out"]


def _header_or_data(first: Record, below: Sequence[Record]) -> AmbiguousError:
    rows = [record.cells for record in below[:2]]
    return AmbiguousError(
        f"line {first.line} can be the names of the columns or data",
        [
            Reading(
                f"line {first.line} names the columns",
                {"header": first.line},
                first.cells,
                rows,
            ),
            Reading("there is no header", {"header": 0}, (), [first.cells, *rows]),
        ],
    )


def _two_headers(lead: list[Record], data: Sequence[Record]) -> AmbiguousError:
    rows = [record.cells for record in data[:2]]
    named = [
        record
        for record in lead
        if 2 * len(set(filter(None, record.cells))) > len(record.cells)
    ]
    return AmbiguousError(
        f"{len(lead)} lines above the data can be the header",
        [
            Reading(
                f"line {record.line} names the columns",
                {"header": record.line},
                record.cells,
                rows,
            )
            for record in named or lead
        ],
    )
