"""Delimited text to a pandas frame in bounded memory; each inference becomes a note."""

from __future__ import annotations

import collections
import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...config import ReadOptions
from ..sequences import listed
from ..tables.build import check_width
from ..tables.columns import is_recording
from ..tables.numbers import (
    EUROPEAN,
    Dialect,
    convert,
    is_text,
    missing_texts,
    split_unit,
)
from ..tables.readings import likely
from .headers import MONTH, RULER, Head, Record, find_head, is_comment, kind
from .text_columns import TextColumn
from .textfiles import TextFile, inner_suffix, open_text

if TYPE_CHECKING:
    import pandas as pd

SEPARATORS = {
    "\t": "tabs",
    ";": "semicolons",
    ",": "commas",
    "|": "bars",
    " ": "spaces",
}
STAMP = re.compile(r"\d{8} \d{4,9}")
SAMPLE = 400  # lines at the head of the file that show its separator and its header
SAMPLE_CHARACTERS = 2**18
CELLS = 20_000  # that are text at once; more are slower, as they leave the cache
SEP_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
FOOTER = re.compile(
    r"(?i)(grand |sub)?totals?|sums?|means?|averages?|avg|gesamt|summe|source|quelle|notes?|eof|end"
    r"|\W*(source|quelle|notes?|total|generated|exported|created|copyright|end of)\b.*|\x1a"
)


def read_delimited(
    path: Path, options: ReadOptions
) -> tuple[pd.DataFrame, ReadOptions, list[str]]:
    """A .csv, .tsv or .txt file as a frame.

    The file is read as a stream: at no time is its text in memory. Columns of numbers are numbers,
    others text, categories where texts repeat in a long file. Dates stay text, but for those of a
    long file that are all written as 2024-01-31 23:59:50.

    Columns without a header line are named "0", "1", .... A .tsv or .txt file without a header is
    a file of the UCR archive: the label, then the values of one series.

    Returns:
        The frame, the options with the roles that the absence of a header decides, and notes.

    Raises:
        AmbiguousError: the header, or the decimal mark of a column, can be read in two ways.
        ValueError: for an empty or binary file, rows of unequal length, columns of the same name.
    """
    file = open_text(path, options)
    suffix = inner_suffix(path, options.table)
    notes = list(file.notes)
    sample, whole = _sample(file)
    separator, start = _separator(sample, options)
    records, comment = _records(sample, separator, start, whole)
    if not records:
        raise ValueError("the file holds comments and no data")
    check_width(max(len(record.cells) for record in records))
    records = _with_header(records, sample, separator, options.header)
    records, end = _without_line_ends(records)
    head = find_head(records, comment, options.header, separator)
    notes += head.notes
    if end:
        notes.append(f"lines end with {end!r}, which is left out")
    names = [str(k) for k in range(head.width)]
    if head.names is not None:
        names = _checked_names(head.names)
    notes += _dialect_note(suffix, separator, head.width)
    table = _Table(file, separator, head, names, options, end)
    frame, dialect = table.read(notes)
    frame = convert(frame, options, notes, dialect)
    if head.names is None:
        last = len(names) - 1
        notes.append(
            f"no header line: columns are numbered 0 to {last} (label=0: the first)"
        )
        if _looks_like_ucr(suffix, frame, options):
            options = _ucr_roles(frame, options, notes)
    if head.levels:
        frame = _leveled(frame, head.levels)
    return frame, options, notes


def _leveled(frame: pd.DataFrame, levels: list[list[str]]) -> pd.DataFrame:
    """The frame whose first column is the index, with the levels of the other names."""
    import pandas as pd

    *levels, (index,) = levels
    parts = [level[1:] for level in levels]
    names = [level[0] or None for level in levels]
    columns = pd.MultiIndex.from_arrays(parts, names=names)
    frame = frame.set_index(frame.columns[0]).set_axis(columns, axis=1)
    return frame.rename_axis(index=index or None)


def _sample(file: TextFile) -> tuple[list[str], bool]:
    """The first lines of a file, and whether these are all."""
    sample: list[str] = []
    total = 0
    with file.lines() as lines:
        for line in lines:
            if len(sample) >= SAMPLE or (total > SAMPLE_CHARACTERS and len(sample) > 9):
                return sample, False
            sample.append(line)
            total += len(line)
    return sample, True


def _separator(sample: Sequence[str], options: ReadOptions) -> tuple[str, int]:
    """The separator of the fields, and the number of lines to skip before the table."""
    start = next((k for k, line in enumerate(sample) if line.strip()), 0)
    found = SEP_LINE.fullmatch(sample[start])
    if found:
        return found[1], start + 1
    lines = _without_comments(sample)
    if _is_one_column(lines):
        return "\t", 0
    scores = _scores(lines, options)
    spaces = scores.pop(" ")
    best = max(scores, key=lambda separator: scores[separator])
    if spaces > scores[best] and scores[best] < 0.9:
        return " ", 0
    is_one_column = not scores[best] and "," in scores
    return "," if is_one_column else best, 0


def _scores(lines: Sequence[str], options: ReadOptions) -> dict[str, float]:
    """How well each separator cuts the lines; commas do not where they are decimal marks."""
    scores = {separator: _score(lines, separator) for separator in SEPARATORS}
    quoted = '"' in "".join(lines)
    if options.decimal == "," and not quoted and not _names_by_commas(lines[0], scores):
        del scores[","]
    return scores


def _names_by_commas(first: str, scores: dict[str, float]) -> bool:
    """Whether the first line is names with commas between, and nothing else cuts lines."""
    alone = not any(score for mark, score in scores.items() if mark != ",")
    return alone and "," in first and kind(first.strip()) == "t"


def _is_one_column(lines: Sequence[str]) -> bool:
    """Whether lines below a single word are a number with a unit each, such as 1,5 m."""
    name, *rows = (line.strip() for line in lines)
    if not rows or kind(name) != "t" or set(name) & {*SEPARATORS}:
        return False
    found = [split_unit(row) for row in rows]
    return all(pair and pair[1] and kind(pair[0]) == "n" for pair in found)


def _without_comments(sample: Sequence[str]) -> list[str]:
    """The lines of a table, or those in comments if there are no others."""
    lines = [line for line in sample if line.strip() and not is_comment(line, ";")]
    return lines or [line.lstrip().lstrip("#%/;") for line in sample]


def _score(lines: Sequence[str], separator: str) -> float:
    """How well a separator cuts lines into as many fields each, of numbers, dates and nothing.

    From 1 on, nearly all lines have as many fields; 0 is none. Fields of two numbers with a space
    between are cut in the wrong place.
    """
    rows = list(filter(None, _parse(lines, separator)))
    counts = Counter(len(cells) for cells in rows if len(cells) > 1)
    if not counts:
        return 0.0
    width, count = counts.most_common(1)[0]
    full = itertools.chain.from_iterable(row for row in rows if len(row) == width)
    cells = _trimmed(itertools.islice(full, 4000))
    if width == 2 and not any(cells[1::2]):  # it only ends lines
        return 0.0
    if 4 * sum(map(_is_pair, cells)) * width > 3 * len(cells):
        return 0.1
    typed = 1 - [*map(kind, cells)].count("t") / len(cells)
    return count / len(rows) * (1 + typed)


def _is_pair(cell: str) -> bool:
    """Whether a cell holds two numbers, as where spaces separate and commas are decimal marks.

    20240131 235900 is a date and its hour.
    """
    if STAMP.fullmatch(cell):
        return False
    first, _, second = cell.partition(" ")
    return kind(cell) == "t" and kind(first) == "n" == kind(second)


def _parse(lines: Iterable[str], separator: str) -> Any:
    """A csv reader of lines; where spaces separate, any number of them counts as one."""
    csv.field_size_limit(max(csv.field_size_limit(), 2**31 - 1))
    if separator == " ":
        lines = (" ".join(line.split()) + "\n" for line in lines)
    return csv.reader(lines, delimiter=separator, skipinitialspace=True)


def _records(
    sample: Sequence[str], separator: str, start: int, whole: bool
) -> tuple[list[Record], Record | None]:
    """The rows of a sample without blank lines and comments, and the last comment before them."""
    comment = None
    for line in sample[start:]:
        text = line.strip()
        if text and not is_comment(text, separator):
            break
        start += 1
        if text:
            comment = Record(start, _comment_cells(text, separator))
    records: list[Record] = []
    marked: list[Record] = []
    number = start + 1
    reader = _parse(sample[start:], separator)
    for cells in reader:
        own = sample[number - 1]
        record = Record(number, _trimmed(cells))
        if any(record.cells) and not RULER.fullmatch(own):
            (marked if is_comment(own, separator) else records).append(record)
        number = start + reader.line_num + 1
    if len(marked) > len(records):  # names that start as comments do: #1, #2
        records = sorted([*records, *marked])
    if not whole and len(records) > 2:  # the last may be cut
        records.pop()
    return records, comment


def _trimmed(cells: Iterable[str]) -> list[str]:
    """Cells without spaces around."""
    return [cell.strip() for cell in cells]


def _comment_cells(line: str, separator: str) -> list[str]:
    """The fields of a comment without its mark; "#" stays where it is a field of its own."""
    cells = _trimmed(next(iter(_parse([line], separator)), []))
    first = "".join(cells[:1]).lstrip("#%/;").strip()
    if not first and separator == " ":
        return cells[1:]
    return [first or "#", *cells[1:]] if any(cells) else []


def _with_header(
    records: list[Record], sample: Sequence[str], separator: str, header: int | None
) -> list[Record]:
    """The rows and a header that starts as a comment: the line `header`, or names after "#"."""
    number = header
    if header is None and separator != " ":
        number = _marked_line(sample, separator)
    if not number or number in {record.line for record in records}:
        return records
    text = "".join(sample[number - 1 : number])
    own = Record(number, _comment_cells(text, separator))
    fits = header is not None or _is_first_of_width(records, own)
    return sorted([*records, own]) if own.cells and fits else records


def _is_first_of_width(records: list[Record], own: Record) -> bool:
    """Whether a row has as many fields as most rows, and none above it has."""
    widths = Counter(len(record.cells) for record in records)
    usual = widths.most_common(1)[0][0]
    above = [record for record in records if record.line < own.line]
    return len(own.cells) == usual and usual not in [len(r.cells) for r in above]


def _marked_line(sample: Sequence[str], separator: str) -> int:
    """The first line whose first field is the mark "#", from 1; 0 for none."""
    mark = re.compile(rf'\s*"?#"?\s*{re.escape(separator)}')
    return next((k for k, line in enumerate(sample, 1) if mark.match(line)), 0)


def _without_line_ends(records: list[Record]) -> tuple[list[Record], str]:
    """The rows without a mark after the last number of nearly all, and this mark: 19.9;."""
    last = [record.cells[-1] for record in records]
    for end in (";", ",", "|"):
        ended = [cell[:-1] for cell in last if cell.endswith(end)]
        numbers = [cell for cell in ended if kind(cell) == "n"]
        if 10 * len(numbers) >= 9 * max(2, len(last) - 1):
            rows = [[*r.cells[:-1], r.cells[-1].removesuffix(end)] for r in records]
            return [
                Record(r.line, row) for r, row in zip(records, rows, strict=True)
            ], end
    return records, ""


def _checked_names(names: list[str]) -> list[str]:
    """The names of the columns; ValueError where two are equal."""
    repeated = [name for name, count in Counter(names).items() if name and count > 1]
    if repeated:
        raise ValueError(
            f"several columns have the same name: {', '.join(repeated)}; rename them in the header "
            "line (channels of a wide table: x_0, x_1, ..., y_0, y_1, ...)"
        )
    return [name or f"Unnamed: {k}" for k, name in enumerate(names)]


def _dialect_note(suffix: str, separator: str, width: int) -> list[str]:
    usual = "\t" if suffix == ".tsv" else ","
    if separator == usual or width == 1:
        return []
    return [f"columns are separated by {SEPARATORS.get(separator, repr(separator))}"]


@dataclass
class _Table:
    """The rows of a text file below its header."""

    file: TextFile
    separator: str
    head: Head
    names: list[str]
    options: ReadOptions
    end: str = ""
    skipped: dict[str, list[int]] = field(default_factory=dict)
    rows: int = 0

    def read(self, notes: list[str]) -> tuple[pd.DataFrame, Dialect]:
        """The table as a frame, and what its numbers say about the decimal mark."""
        import pandas as pd

        columns = self._columns()
        notes += self._skipped_notes()
        dialect = Dialect(self.separator)
        large = self.rows > CELLS
        values = {}
        for name, column in zip(self.names, columns, strict=True):
            if column.mark and not column.is_text:
                dialect.read[name] = (column.mark, column.writing.example)
            values[name] = column.values(categories=large)
        return pd.DataFrame(values, copy=not large or len(columns) > 99), dialect

    def _columns(self) -> list[TextColumn]:
        """The values of all columns.

        A number that was read has lost its writing. Columns in which a text comes later, and those
        whose points may separate thousands, are read a second time as text.
        """
        missing = frozenset(text.lower() for text in missing_texts(self.options))
        columns = [
            TextColumn(is_text(name, self.options), missing) for name in self.names
        ]
        self._fill(columns)
        european = self.separator in EUROPEAN or self.options.decimal == ","
        european = european or any(c.has_commas for c in columns)
        again: list[TextColumn | None] = [None] * len(columns)
        for k, column in enumerate(columns):
            asks = column.open and (european or column.mark == ",")
            if column.lost or asks:
                again[k] = columns[k] = TextColumn(column.exact, missing, is_text=True)
        if any(again):
            self._fill(again)
        return columns

    def _fill(self, columns: Sequence[TextColumn | None]) -> None:
        self.rows = 0
        for rows in self._chunks():
            self.rows += len(rows)
            if self.end:
                for row in rows:
                    row[-1] = row[-1].rstrip().removesuffix(self.end)
            for column, texts in zip(columns, zip(*rows, strict=True), strict=True):
                if column is not None:
                    column.add(texts)

    def _chunks(self) -> Iterator[list[list[str]]]:
        """Rows with a field for each column, many at a time, without comments and footers.

        Raises:
            ValueError: for a row with another number of fields.
        """
        self.skipped = {}
        odd: list[Record] = []
        previous: list[list[str]] = []
        last: list[str] = []
        size = max(16, CELLS // self.head.width)
        line = self.head.first.line
        with self.file.lines() as lines:
            for _ in range(self.head.first.line - 1):
                next(lines)
            reader = _parse(lines, self.separator)
            while rows := list(itertools.islice(reader, size)):
                last = rows[-1]
                if odd or not self._is_clean(rows):
                    rows = self._cleaned(rows, line, odd)
                line = self.head.first.line + reader.line_num
                if rows and previous:
                    yield previous
                previous = rows or previous
        self._check_closed(last, line)
        yield self._without_footers(previous, odd, line)

    def _without_footers(
        self, rows: list[list[str]], odd: list[Record], end: int
    ) -> list[list[str]]:
        """The last rows without totals and remarks.

        odd: the rows of another number of fields below them.
        end: the line behind the last.

        Raises:
            ValueError: for a row that is cut short.
        """
        for record in odd:
            if not self._is_footer(record.cells):
                raise self._ragged(record)
            self.skipped.setdefault("footers", []).append(record.line)
        end = odd[0].line if odd else end
        while len(rows) > 1 and self._is_footer(rows[-1]):
            end -= 1
            self.skipped.setdefault("footers", []).insert(0, end)
            rows.pop()
        return rows

    def _check_closed(self, last: list[str], end: int) -> None:
        """ValueError where a quotation mark that is left open takes the rest of the file."""
        taken = sum(cell.count("\n") for cell in last)
        if not taken:
            return
        with self.file.lines() as lines:
            (final,) = collections.deque(filter(str.strip, lines), maxlen=1)
        if not final.rstrip().endswith('"'):
            spanned = taken + (not last[-1].endswith("\n"))
            raise ValueError(
                f"not read: a quotation mark is left open in line {end - spanned}"
            )

    def _is_clean(self, rows: list[list[str]]) -> bool:
        """Whether all rows are data by their number of fields and first characters."""
        width = self.head.width
        marks = {row[0][:1] if row else "" for row in rows}
        return (
            all(len(row) == width for row in rows)
            and not marks & {"#", "%", "/"}
            and self.head.names not in rows
        )

    def _cleaned(
        self, rows: list[list[str]], line: int, odd: list[Record]
    ) -> list[list[str]]:
        """The rows that are data; those of another number of fields are added to `odd`."""
        kept = []
        for row in rows:
            own = line
            line += 1 + sum(cell.count("\n") for cell in row)
            what = self._what(row)
            if what == "odd":
                odd.append(Record(own, _trimmed(row)))
            elif what == "data":
                if odd:
                    raise self._ragged(odd[0])
                kept.append(row[: self.head.width])
            elif what:
                self.skipped.setdefault(what, []).append(own)
        return kept

    def _what(self, row: list[str]) -> str:
        """What a row is: "data", "odd" for another number of fields, or what is left out."""
        width = self.head.width
        cells = _trimmed(row)
        if not any(cells) and len(row) < width:
            return "blank lines" if width == 1 else ""
        if cells == self.head.names:
            return "repeated headers"
        if self._is_comment(row):
            return "comments"
        return "odd" if len(row) < width or any(row[width:]) else "data"

    def _is_comment(self, row: list[str]) -> bool:
        """Whether a row starts as a comment does, where that is no text of the first column."""
        line = self.separator.join(row)
        if RULER.fullmatch(line):
            return True
        starts_with_text = kind(self.head.first.cells[0]) == "t"
        is_text = starts_with_text and len(row) == self.head.width
        return is_comment(line, ";") and not is_text

    def _is_footer(self, row: Sequence[str]) -> bool:
        """Whether a row at the end of the file is a total or a remark, and no data cut short."""
        cells = _trimmed(row)
        filled = list(filter(None, cells))
        if not filled or kind(filled[0]) != "t" or self._is_known(cells, filled[0]):
            return False
        named = FOOTER.fullmatch(filled[0]) is not None
        alone = len(filled) == 1
        if not len(cells) == self.head.width > 1:
            return named or (alone and re.search(r"[\s:]", filled[0]) is not None)
        alone = alone and cells[0] != ""
        first = self.head.first.cells[0]
        if kind(first) in ("n", "d") or MONTH.fullmatch(first):
            return named or alone
        return named and alone

    def _is_known(self, cells: list[str], text: str) -> bool:
        """Whether the first field of another row starts with this text."""
        rows = (record.cells for record in self.head.rows)
        return any(row[0].startswith(text) and row != cells for row in rows)

    def _ragged(self, record: Record) -> ValueError:
        return ValueError(
            f"expected {self.head.width} fields as in the first row, got {len(record.cells)} in "
            f"line {record.line}; write a missing value as an empty field, and check that the file "
            "is not cut short"
        )

    def _skipped_notes(self) -> list[str]:
        notes = []
        for what, numbers in self.skipped.items():
            lines = "line" if len(numbers) == 1 else "lines"
            notes.append(f"{what} in {lines} {listed(numbers)}: left out")
        return notes


def _looks_like_ucr(suffix: str, frame: pd.DataFrame, options: ReadOptions) -> bool:
    """Whether a table without a header is a file of the UCR archive: whole numbers, then values.

    The label repeats, and the first value is no whole number: otherwise the first columns can be an
    id and a time.
    """
    if suffix == ".csv" or options.given("id", "time", "label", "values"):
        return False
    if options.layout not in (None, "wide") or frame.shape[1] < 3:
        return False
    if any(dtype.kind not in "fiu" for dtype in frame.dtypes):
        return False
    first, second = frame.iloc[:, 0], frame.iloc[:, 1]
    if first.isna().any() or (first % 1 != 0).any() or (second % 1 == 0).all():
        return False
    return len(first) < 5 or first.nunique() <= len(first) / 2


def _ucr_roles(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> ReadOptions:
    """The label and the values of a file of the UCR archive; ValueError for a table of times."""
    if is_recording(*frame.shape):
        raise ValueError(
            "expected the UCR layout (a label, then the values of one series), got "
            f"{len(frame)} rows of {frame.shape[1]} numbers; choose layout=recording (rows are "
            "time), tracks (rows are fixes) or scene, or name columns by number: id=1, time=0"
        )
    sentence = "UCR layout: the first column is the label, the others are one series"
    notes.append(likely(sentence, "label='', layout='recording'"))
    return replace(options, layout="wide", label="0")
