"""Numbers in text: the decimal mark of a column is decided from all of its values.

Two readings of a text are tried: a decimal point (commas separate thousands) and a decimal comma
(points do). A value that only one of them accepts proves it: "0,5", "1,234,567" or "1.234,5". In a
column without a proof the rest of the file decides, then `decimal=`; else there is an error.
"""

from __future__ import annotations

import itertools
import numbers
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from ...config import ReadOptions
from ..sequences import Array, listed
from .column_types import OBJECTS, kinds, textual
from .names import LABELS, VALUE_LIKE, is_id, says_time
from .readings import AmbiguousError, Reading

if TYPE_CHECKING:
    import pandas as pd

MISSING = frozenset(
    "? NaN nan -nan NaT NA N/A n/a #N/A #NA <NA> NULL Null null None".split()  # noqa: SIM905
)
EMPTY = frozenset(("", *map(str.lower, MISSING)))
MARKS = (".", ",")
EUROPEAN = (";", "\t", "|")  # separators beside which a decimal comma is usual
LONGEST = 999  # characters of a number
PIECE = 2**14  # rows that are converted at once
SPACES = " \u00a0\u2009\u202f"
APOSTROPHES = "'\u2019"
MINUS = "\u2212\u2013-"  # the hyphen is last, as in a set of characters
CURRENCY = r"R\$|[$€£¥₹₽₩₺₪฿]|USD|EUR|GBP|JPY|CHF|INR|CNY|RUB|BRL|AUD|CAD|SEK|NOK|DKK|PLN|zł|kr\.?"
UNIT = (
    r"%|‰|°\s?[CFK]?|℃|℉|[munµμ]?s|sec|min|hrs?|h|d|[kmcµμ]?m|[kmµμ]?g|lbs?|oz|ft|in|inch"
    r"|[kMG]?Hz|[mkµμ]?[VAW]|[kM]?Wh|[hkM]?Pa|m?bar|psi|dB[Am]?|bpm|rpm|mph|kmh|km/h|m/s"
    r"|m/s[²2]|mmHg|m?[lL]|m?mol|m?mol/[lL]|mg/d[lL]|[mµμ]g/m[³3]|pp[mb]|px|kts?|kn|kcal|k?J"
    r"|[NKCF]"
)
PARTS = frozenset("%‰")
TIGHT = re.compile(r"[A-Z]")  # 3C is rather a name: such a unit needs a space
IP_ADDRESS = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}")
MONTH = re.compile(r"(?:0?[1-9]|1[0-2])\.(?:19|20)\d\d")
PADDED = re.compile(r"[+-]?0\d+")
UNGROUPED = re.compile(rf"[+{MINUS}]?\d{{4,}}")
PLACE = re.compile(
    r"(?i)coord|location|position|point|geom|wkt|polyline|place|lat.?lo?ng?|lo?ng?.?lat"
)
AXIS = re.compile(r"(?i)(.*[\s_.:-])?(lon|lng|long|longitude|lat|latitude)")


@dataclass
class Dialect:
    """What the file around a column says about its numbers.

    Attributes:
        separator: of the fields; "" for a table in memory.
        read: columns that were read as numbers already -> the decimal mark that they prove, and
            a number with a point in the place of that mark.
    """

    separator: str = ""
    read: dict[str, tuple[str, str]] = field(default_factory=dict)


@dataclass
class Evidence:
    """How the values of a column can be read.

    Attributes:
        missing: texts in lower case that stand for a missing value.
        proofs: decimal mark -> the first value that is a number with this mark only.
        open: the first values that are two different numbers, at most four.
        ungrouped: whether a whole number has four digits in a row: no mark groups thousands.
        odd: the first value that programs would write in another way.
        padded: whether a whole number has a leading zero.
        wrong: the first value that is no number.
        seen: whether there is any value.
    """

    missing: frozenset[str]
    proofs: dict[str, str] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    ungrouped: bool = False
    odd: str | None = None
    padded: bool = False
    wrong: Any = None
    seen: bool = False

    def add(self, values: Iterable[Any]) -> None:
        """Look at more values of the column, up to the first that is no number."""
        for value in values:
            if self.wrong is not None:
                return
            if isinstance(value, str):
                self._add_text(value)
            else:
                self.seen = True
                is_number = isinstance(value, numbers.Real | Decimal)
                self.wrong = None if is_number else value

    def _add_text(self, value: str) -> None:
        text = value.strip()
        if text.lower() in self.missing:
            return
        self.seen = True
        point, comma = (parse(text, mark) for mark in MARKS)
        if point is None and comma is None:
            self.wrong = value
        elif point is None or comma is None:
            self.proofs.setdefault("," if point is None else ".", text)
        elif point != comma and len(self.open) < 4:
            self.open.append(text)
        if self.wrong is None:
            self._note_writing(text)

    def _note_writing(self, text: str) -> None:
        """Take note of how a number is written."""
        self.padded = self.padded or PADDED.fullmatch(text) is not None
        self.ungrouped = self.ungrouped or UNGROUPED.fullmatch(text) is not None
        if self.odd is None and not PLAIN.fullmatch(text):
            self.odd = text

    @property
    def mark(self) -> str | None:
        """The decimal mark that the values themselves prove, None where they leave it open."""
        if len(self.proofs) == 1:
            return next(iter(self.proofs))
        return self.only_mark if self.ungrouped else None

    @property
    def only_mark(self) -> str | None:
        """The one mark in the open values, None if both occur or none."""
        found = {mark for text in self.open for mark in MARKS if mark in text}
        return found.pop() if len(found) == 1 else None


PLAIN = re.compile(
    r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?inf(?:inity)?", re.I
)


def _pattern(mark: str, other: str) -> re.Pattern[str]:
    """Numbers with this decimal mark, of which the other separates thousands."""
    groups = (
        rf"[1-9]\d{{0,2}}(?P<g>[{other}{SPACES}{APOSTROPHES}])\d{{3}}(?:(?P=g)\d{{3}})*"
    )
    if other == ",":  # 12,34,567 in India
        groups += r"|[1-9]\d?(?:,\d\d)+,\d{3}"
    whole = rf"(?:{groups}|\d+)"
    mark = re.escape(mark)
    body = rf"(?P<body>{whole}(?:{mark}\d*)?|{mark}\d+)"
    exponent = r"(?P<exponent>[eEdD][+-]?\d+)?"
    return re.compile(
        rf"(?P<open>\()?\s*(?P<sign>[+{MINUS}]?)\s*{body}{exponent}(?P<minus>[{MINUS}]?)\s*(?(open)\))"
    )


_NUMBER = {".": _pattern(".", ","), ",": _pattern(",", ".")}
_INFINITY = re.compile(r"([+-]?)inf(inity)?", re.IGNORECASE)


def parse(text: str, mark: str) -> float | None:
    """The number that a text is with this decimal mark, None if it is none.

    >>> parse("1.234,5", ","), parse("(1,234)", "."), parse("1,23,456", "."), parse("12,34", ".")
    (1234.5, -1234.0, 123456.0, None)
    """
    match = _NUMBER[mark].fullmatch(text) if len(text) <= LONGEST else None
    if match is None:
        found = _INFINITY.fullmatch(text)
        return None if found is None else float(found[0])
    body = match["body"]
    if match["minus"] and not re.search(r"[.,]|\d{3}", body):  # "2-" is rather a grade
        return None
    minuses = _minuses(match, mark)
    if minuses > 1:
        return None
    digits = re.sub(rf"[{SPACES}{APOSTROPHES}{',' if mark == '.' else '.'}]", "", body)
    exponent = (match["exponent"] or "").lower().replace("d", "e")
    value = float(digits.replace(mark, ".") + exponent)
    return -value if minuses else value


def _minuses(match: re.Match[str], mark: str) -> int:
    """How often a number is written as negative: in parentheses, with a minus before or behind."""
    before = match["sign"] != "" and match["sign"] in MINUS
    is_price = match["body"].endswith(mark)  # "1000,-" has no cents
    behind = match["minus"] != "" and not is_price
    return bool(match["open"]) + before + behind


def missing_texts(options: ReadOptions) -> frozenset[str]:
    """Texts that stand for a missing value; an empty text always does."""
    given = MISSING if options.missing is None else options.missing
    return frozenset((*given, ""))


def plain(
    texts: Sequence[str], missing: frozenset[str], exact: bool = False
) -> Array | None:
    """Texts as an array of numbers, None unless all are plainly written and nothing is lost.

    Plain is what programs write: a decimal point, no thousands separator. Whole numbers become
    int64, others float64; missing texts are NaN.

    Args:
        texts: the values of a column.
        missing: texts in lower case that stand for a missing value.
        exact: only whole numbers whose text can be written again from the number, as ids need.
    """
    joined = "\n".join(texts)
    if "_" in joined:  # Python would read 1_000
        return None
    if "." not in joined and re.search(r"(?m)^\s*[+-]?0\d", joined):
        return None
    array = np.array(texts, dtype=object)
    values = _floats(array, missing)
    if values is None:
        return None
    whole = not re.search(r"[.eEnN]", joined) and not np.isnan(values).any()
    if exact and (not whole or re.search(r"\+|-0", joined)):
        return None
    return _as_whole(array) if whole else _unless_lossy(values, joined)


def _as_whole(texts: Array) -> Array | None:
    """Texts of whole numbers as int64, None if one is too large."""
    try:
        return texts.astype(np.int64)
    except OverflowError:
        return None


def _unless_lossy(values: Array, joined: str) -> Array | None:
    """The numbers, None if a whole one among their texts has more digits than float64 holds."""
    large = (np.abs(values) >= 2**53).any()
    lossy = large and re.search(r"(?m)^\s*[+-]?\d{16,}\s*$", joined)
    return None if lossy else values


def _floats(array: Array, missing: frozenset[str]) -> Array | None:
    """An array of texts as float64, None if one is neither a plain number nor missing."""
    try:
        return array.astype(np.float64)
    except ValueError:
        empty = np.array([text.strip().lower() in missing for text in array])
    if not empty.any():
        return None
    array[empty] = "nan"
    try:
        return array.astype(np.float64)
    except ValueError:
        return None


@dataclass
class Writing:
    """Whether plain numbers prove that their point is a decimal mark; "1.231" does not.

    Attributes:
        proven: whether some do.
        example: the first of them, or the first number with a point.
        ungrouped: whether a whole number has four digits in a row: no mark groups thousands.
    """

    proven: bool = False
    example: str = ""
    ungrouped: bool = False

    def add(self, texts: Sequence[str]) -> None:
        """Look at more values of a column."""
        if self.proven:
            return
        joined = "\n".join(texts)
        self.ungrouped = self.ungrouped or bool(_UNGROUPED_LINE.search(joined))
        proof = _PROOF_LINE.search(joined)
        if proof or not self.example:
            found = proof or re.search(r"(?m)^.*\..*$", joined)
            self.example = found[0].strip() if found else ""
        self.proven = proof is not None or bool(self.example and self.ungrouped)


_UNGROUPED_LINE = re.compile(r"(?m)^\s*[+-]?\d{4,}\s*$")
_PROOF_LINE = re.compile(r"(?m)^(?!\s*[+-]?[1-9]\d{0,2}\.\d{3}\s*$)[^\n]*\.[^\n]*$")


def is_text(name: str, options: ReadOptions) -> bool:
    """Whether a column stays as it is written: ids, and what options name as id or label."""
    named = [text for text in (options.id, options.label, options.channel) if text]
    parts = [part.strip() for text in named for part in text.split(",")]
    return name in (*named, *parts) or is_id(name)


def convert(
    frame: pd.DataFrame,
    options: ReadOptions,
    notes: list[str],
    dialect: Dialect | None = None,
) -> pd.DataFrame:
    """A table in which the columns of text that are numbers are numbers; all others stay.

    As text stay ids, labels that `options` name, whole numbers with leading zeros or more digits
    than a float holds, and columns whose names say place. Missing texts become NaN everywhere.

    Args:
        frame: columns of any type; those of text, categories and objects are converted.
        options: `decimal`, `missing`, `strip_units` and the names of columns matter.
        notes: to which is added what was written in another way than programs write numbers.
        dialect: what is known of the file.

    Raises:
        AmbiguousError: a column can be read with a decimal point and with a decimal comma.
        ValueError: a column needs both marks, or holds units that `strip_units` does not remove.
    """
    dialect = dialect or Dialect()
    frame = _without_missing(frame, options)
    found = _texts_of_numbers(frame, options, notes)
    marks = _file_marks([text.evidence for text in found], dialect)
    read: dict[str, list[tuple[str, str]]] = {".": [], ",": _with_commas(dialect)}
    out = frame.copy(deep=False)
    for text in found:
        mark = None if _is_name(text) else _mark(text, marks, options, dialect)
        values = None if mark is None else _converted(text, mark)
        if mark is None or values is None:
            continue
        out.isetitem(text.place, values)
        grouped = text.evidence.open[:1] if mark == "," else []  # 1.234 is 1234
        for example in [*filter(None, [text.evidence.odd]), *grouped][:1]:
            read[mark].append((text.name, example))
    _convert_booleans(out, options)
    _note_marks(read, notes)
    _note_other_mark(found, dialect, options, notes)
    return out


def _with_commas(dialect: Dialect) -> list[tuple[str, str]]:
    """The columns that the reader of the file read with decimal commas, with an example each."""
    found = []
    for name, (mark, example) in dialect.read.items():
        if mark == ",":
            found.append((name, example.replace(".", mark)))
    return found


def _texts_of_numbers(
    frame: pd.DataFrame, options: ReadOptions, notes: list[str]
) -> list[_Text]:
    """The columns of text whose values are all numbers or missing, without their units."""
    found = []
    names = list(map(str, frame.columns))
    n_axes = sum(AXIS.fullmatch(name) is not None for name in names)
    for k in textual(frame):
        name = names[k]
        if _may_be_numbers(name, n_axes, options):
            column = frame.iloc[:, k]
            text = _Text(name, k, *_stripped(name, column, options, notes))
            if text.evidence.seen and text.evidence.wrong is None:
                found.append(text)
    return found


@dataclass
class _Text:
    """A column of text by its name, place and content, and how it can be read."""

    name: str
    place: int
    column: pd.Series[Any]
    evidence: Evidence


def _is_textual(column: pd.Series[Any]) -> bool:
    return column.dtype.kind == OBJECTS


def _without_missing(frame: pd.DataFrame, options: ReadOptions) -> pd.DataFrame:
    """The frame with NaN for missing texts, and for the numbers that `missing` names."""
    texts = missing_texts(options)
    written = map(_written, options.missing or ())
    given = [number for number in written if number is not None]
    out = frame.copy(deep=False)
    for k, kind in enumerate(kinds(frame)):
        if kind != OBJECTS and not (given and kind in "iuf"):
            continue
        column = frame.iloc[:, k]
        wrong = column.isin(texts if kind == OBJECTS else given)
        if wrong.any():
            out.isetitem(k, column.mask(wrong).array)
    return out


def _written(text: str) -> float | None:
    """The number that stands for a missing value: -9.99, or -9,99."""
    point = parse(text.strip(), ".")
    return parse(text.strip(), ",") if point is None else point


def _may_be_numbers(name: str, n_axes: int, options: ReadOptions) -> bool:
    """Whether a column of text may hold numbers, by its name.

    n_axes: how many columns of the table are named like an axis.
    """
    if is_text(name, options):
        return False
    if AXIS.fullmatch(name):  # one axis alone may hold both: "47.5 8.2"
        return n_axes > 1
    return not PLACE.search(name)


def _pieces(column: pd.Series[Any]) -> Iterator[tuple[Array, list[Any]]]:
    """Parts of a column as codes (-1 is missing) and the values that they stand for."""
    import pandas as pd

    for start in range(0, len(column), PIECE):
        codes, values = pd.factorize(column.iloc[start : start + PIECE])
        yield codes, list(values)


def _values(column: pd.Series[Any]) -> Iterator[Any]:
    """Values that occur in a column, without the missing ones, in the order of appearance."""
    for _, values in _pieces(column):
        yield from values


def _evidence(column: pd.Series[Any], options: ReadOptions) -> Evidence:
    evidence = Evidence(frozenset(text.lower() for text in missing_texts(options)))
    try:
        evidence.add(_values(column))
    except TypeError:  # lists and arrays have no hash
        evidence.wrong = column.dropna().iloc[0]
    return evidence


def mostly_numbers(column: pd.Series[Any]) -> bool:
    """Whether a column of text holds numbers in some writing, with a few texts among them.

    More than half of its values are numbers, or a tenth and all others are one or two texts such as
    "n.d." or "<0.05".
    """
    count = good = 0
    distinct: set[Any] = set()
    texts: set[Any] = set()
    try:
        for codes, values in _pieces(column):
            found = np.array([_is_some_number(value) for value in values], dtype=bool)
            filled = codes[codes >= 0]
            count += len(filled)
            good += int(found[filled].sum())
            for value, is_number in zip(values, found, strict=True):
                (distinct if is_number else texts).add(value)
    except TypeError:  # lists and arrays have no hash
        return False
    is_marked = len(texts) <= 2 < len(distinct) and 10 * good >= count
    return 2 * good > count or not count or is_marked


def _is_some_number(value: Any) -> bool:
    if not isinstance(value, str):
        return isinstance(value, numbers.Real | Decimal)
    return any(parse(value.strip(), mark) is not None for mark in MARKS)


def first_text(column: pd.Series[Any]) -> Any:
    """The first value of a column of text that is no number, None for other columns."""
    if not _is_textual(column):
        return None
    values = column.dropna().astype(object)
    return next((value for value in values if not _is_some_number(value)), None)


def _row(column: pd.Series[Any], value: Any) -> int:
    """The first row, counted from 1, that holds a value (texts without spaces around)."""
    texts = column.astype(object).map(str).str.strip()
    return int(np.flatnonzero(texts == str(value).strip())[0]) + 1


def _is_name(text: _Text) -> bool:
    """Whether values that could be numbers are rather names: 007, 192.168.1.10, (1), 03.2024."""
    evidence = text.evidence
    if evidence.padded and not evidence.proofs and not evidence.open:
        return True
    patterns = (IP_ADDRESS, MONTH, re.compile(r"\(.*\)"))
    return any(_all(text.column, _matcher(pattern)) for pattern in patterns)


def _matcher(pattern: re.Pattern[str]) -> Callable[[Any], bool]:
    return lambda value: pattern.fullmatch(str(value).strip()) is not None


def _file_marks(found: Iterable[Evidence], dialect: Dialect) -> set[str]:
    """The decimal marks that columns of the file prove."""
    marks = {evidence.mark for evidence in found if evidence.mark}
    return marks | {mark for mark, _ in dialect.read.values()}


def _needed(name: str, options: ReadOptions) -> bool:
    """Whether a column may become values, so that it has to be read."""
    return (
        options.values is None or name in options.values or bool(AXIS.fullmatch(name))
    )


def _mark(
    text: _Text, marks: set[str], options: ReadOptions, dialect: Dialect
) -> str | None:
    """The decimal mark of a column; None for one that is open and not needed.

    Raises:
        AmbiguousError: nothing in the column, the file or the options decides.
        ValueError: some values need a decimal point, others a decimal comma.
    """
    evidence = text.evidence
    needed = _needed(text.name, options)
    if len(evidence.proofs) > 1:
        if needed:
            raise _two_marks(text)
        return None
    if not evidence.open:
        return evidence.mark or "."
    found = evidence.mark or options.decimal or _likely_mark(text, marks, dialect)
    if found is None and needed:
        raise _ambiguous(text)
    return found


def _likely_mark(text: _Text, marks: set[str], dialect: Dialect) -> str | None:
    """The decimal mark of an open column by its name and the file, None where these do not tell.

    marks: those that other columns prove.
    """
    only = text.evidence.only_mark
    if only and AXIS.fullmatch(text.name):  # no degree has a thousand
        return only
    if only in marks:  # a mark does not both separate and group
        return only
    if len(marks) == 1:
        return next(iter(marks))
    may_be_point = not marks and dialect.separator not in EUROPEAN
    return "." if only == "." and may_be_point else None


def _two_marks(text: _Text) -> ValueError:
    point, comma = (text.evidence.proofs[mark] for mark in MARKS)
    return ValueError(
        f"column {text.name!r} holds {point!r} (data row {_row(text.column, point)}), which "
        f"has a decimal point, and {comma!r} (data row {_row(text.column, comma)}), which has "
        "a decimal comma; write both alike, or leave the column out with values="
    )


def _ambiguous(text: _Text) -> AmbiguousError:
    first = text.evidence.open[0]
    shown = [str(value) for value in itertools.islice(_values(text.column), 4)]
    what = {
        ".": "points are decimal marks, commas separate thousands",
        ",": "commas are decimal marks, points separate thousands",
    }
    readings = [
        Reading(
            f"{what[mark]}: {first} is {parse(first, mark):.10g}",
            {"decimal": mark},
            ("in the file", text.name),
            [(value, f"{parse(value.strip(), mark):.10g}") for value in shown],
        )
        for mark in MARKS
    ]
    return AmbiguousError(
        f"column {text.name!r} holds {first!r}, which can be two numbers, and nothing else in the "
        "table tells which",
        readings,
    )


def _converted(text: _Text, mark: str) -> Array | None:
    """A column of numbers as int64 or float64, None if a float cannot hold them."""
    array = _parsed(text.column, mark)
    finite = array[np.isfinite(array)]
    if (np.abs(finite) >= 2**53).any():
        return None
    whole = not text.evidence.proofs and not text.evidence.open
    if whole and len(finite) == len(array) and (finite == np.rint(finite)).all():
        return array.astype(np.int64)
    return array


def _parsed(column: pd.Series[Any], mark: str) -> Array:
    """A column of which all values are numbers or missing, as float64."""
    parts = [np.empty(0)]
    for codes, values in _pieces(column):
        parsed = np.array([*(_number(value, mark) for value in values), np.nan])
        parts.append(parsed[codes])
    return np.concatenate(parts)


def _number(value: Any, mark: str) -> float:
    if not isinstance(value, str):
        return float(value)
    found = parse(value.strip(), mark)
    return np.nan if found is None else found


def _convert_booleans(frame: pd.DataFrame, options: ReadOptions) -> None:
    """Make columns of true and false booleans, unless their names are those of labels."""
    for k in textual(frame):
        name = str(frame.columns[k])
        if name.lower() in LABELS or is_text(name, options):
            continue
        column = frame.iloc[:, k]
        if _all(column, _is_boolean):
            lower = column.astype(object).map(str).str.lower()
            values = lower.to_numpy() == "true"
            missing = column.isna().to_numpy()
            frame.isetitem(
                k, np.where(missing, np.nan, values) if missing.any() else values
            )


def _is_boolean(value: Any) -> bool:
    return str(value).lower() in ("true", "false")


def _all(column: pd.Series[Any], test: Callable[[Any], Any]) -> bool:
    """Whether all values of a column pass a test, False if it has none."""
    try:
        values = _values(column)
        first = next(values, None)
        return first is not None and bool(test(first)) and all(map(test, values))
    except TypeError:  # lists and arrays have no hash
        return False


def _note_marks(read: dict[str, list[tuple[str, str]]], notes: list[str]) -> None:
    """One note for each decimal mark, with an example."""
    for mark, columns in read.items():
        if not columns:
            continue
        _, text = columns[0]
        names = listed(name for name, _ in columns)
        is_comma = mark == "," and "," in text
        start = "decimals are commas: " if is_comma else "numbers in text: "
        notes.append(f"{start}{text} is {parse(text, mark):.10g} (columns {names})")


def _note_other_mark(
    found: list[_Text], dialect: Dialect, options: ReadOptions, notes: list[str]
) -> None:
    """A note where a column proves another decimal mark than the option states."""
    proven = [(name, mark) for name, (mark, _) in dialect.read.items()]
    for text in found:
        proven += [(text.name, mark) for mark in text.evidence.proofs]
    for name, mark in proven:
        if options.decimal is not None and mark != options.decimal:
            notes.append(
                f"decimal={options.decimal!r} does not fit column {name!r}, whose decimal mark is "
                f"{mark!r}"
            )
            return


_WITH_UNIT = re.compile(
    rf"(?P<sign>[+(]?[{MINUS}]?)\s*(?P<before>{CURRENCY})?\s*"
    rf"(?P<number>[+{MINUS}]?(?:[.,]?\d)(?:[\d.,{APOSTROPHES}{SPACES}]*\d)?[.,]?(?:[eE][+-]?\d+)?)"
    rf"(?P<space>\s*)(?P<after>{UNIT}|{CURRENCY})?(?P<close>\)?[{MINUS}]?)"
)
_ANY_UNIT = re.compile(
    r"(?P<number>[+-]?[.,]?\d[\d.,]*)(?P<space>\s*)(?P<after>\D.{0,9})"
)


def split_unit(text: str, any_unit: bool = False) -> tuple[str, str] | None:
    """A number in text and its unit, "" for none; None where the text is something else.

    >>> split_unit("$1,200"), split_unit("12 %"), split_unit("3"), split_unit("4x4")
    (('1,200', '$'), ('12', '%'), ('3', ''), None)

    Args:
        text: without spaces around.
        any_unit: accept also units that are not known.
    """
    if len(text) > LONGEST:
        return None
    match = _WITH_UNIT.fullmatch(text)
    if match is not None:
        unit = match["before"] or match["after"] or ""
        if match["after"] and TIGHT.fullmatch(match["after"]) and not match["space"]:
            return None
        return f"{match['sign']}{match['number']}{match['close']}", unit
    match = _ANY_UNIT.fullmatch(text) if any_unit else None
    return None if match is None else (match["number"], match["after"])


def _units(column: pd.Series[Any], any_unit: bool) -> dict[str, str]:
    """Units of a column -> a value with each; empty where a value is no number with a unit."""
    units: dict[str, str] = {}
    for value in _values(column):
        found = split_unit(value.strip(), any_unit) if isinstance(value, str) else None
        if found is None or not _is_some_number(found[0]):
            return {}
        units.setdefault(found[1], value)
    if not PARTS & units.keys():  # 5% and 0.06 are both parts of a whole
        units.pop("", None)
    return {} if units.keys() == {""} else units


def _stripped(
    name: str, column: pd.Series[Any], options: ReadOptions, notes: list[str]
) -> tuple[pd.Series[Any], Evidence]:
    """The column without its unit if it has one, and how its numbers can be read."""
    evidence = _evidence(column, options)
    is_label = name.lower() in LABELS and name.lower() not in VALUE_LIKE
    named = is_label or says_time(name)
    if not isinstance(evidence.wrong, str) or (named and not options.strip_units):
        return column, evidence
    any_unit = bool(options.strip_units) and name in (options.values or ())
    units = _units(column, any_unit)
    if not units or not (options.strip_units or _needed(name, options)):
        return column, evidence
    unit = _one_unit(name, column, units, options)
    value = units[unit]

    def number(text: str) -> str:
        return (split_unit(text.strip(), any_unit) or ("", ""))[0]

    notes.append(
        f"the unit {unit!r} of column {name!r} is removed: {value} is {number(value)}"
    )
    column = column.astype(object).map(number, na_action="ignore")
    return column, _evidence(column, options)


def _one_unit(
    name: str, column: pd.Series[Any], units: dict[str, str], options: ReadOptions
) -> str:
    """The unit of a column; ValueError unless it is to be removed, and the only one."""
    (unit, first), *others = sorted(units.items(), key=lambda item: item[0] == "")
    if not options.strip_units:
        raise ValueError(
            f"column {name!r} holds {first!r} in data row {_row(column, first)}, a number with a "
            "unit; strip_units=True removes it, values= can leave the column out"
        )
    if others:
        second = others[0][1]
        raise ValueError(
            f"column {name!r} holds {first!r} (data row {_row(column, first)}) and {second!r} "
            f"(data row {_row(column, second)}): strip_units=True needs one unit in a column"
        )
    return unit


def as_numbers(column: pd.Series[Any], options: ReadOptions) -> Array:
    """A column as float64, also if its whole numbers have leading zeros; NaN where it is missing.

    Raises:
        AmbiguousError: the column can be read with a decimal point and with a decimal comma.
        ValueError: with column, value and data row, for a value that is no number.
    """
    if not _is_textual(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    name = str(column.name)
    options = replace(options, values=(name,))
    column = _without_missing(column.to_frame(), options).iloc[:, 0]
    stripped, evidence = _stripped(name, column, options, [])
    if evidence.wrong is not None:
        raise _no_number(name, column, options, evidence)
    text = _Text(name, 0, stripped, evidence)
    mark = _mark(text, set(), options, Dialect())
    assert mark is not None
    return _parsed(stripped, mark)


def _no_number(
    name: str, column: pd.Series[Any], options: ReadOptions, evidence: Evidence
) -> ValueError:
    """The error for a column of values that holds text."""
    counts = column.astype(object).map(str).value_counts()
    wrong = {
        text: int(count)
        for text, count in counts.items()
        if text != "nan"
        and all(parse(str(text).strip(), mark) is None for mark in MARKS)
    }
    hint = "leave a field empty where the value is missing"
    if len(wrong) == 1 and sum(wrong.values()) < len(column) / 2:
        hint += f" (missing={next(iter(wrong))!r} if that is what it means)"
    return ValueError(
        f"column {name!r} holds {evidence.wrong!r} in data row {_row(column, evidence.wrong)}, "
        f"expected a number ({sum(wrong.values())} such fields); {hint}, or leave the column out "
        "with values="
    )
