"""The formats in which dates and clock times are written.

A format is a regular expression whose groups name the parts.
"""

from __future__ import annotations

import re


def _numbered(names: tuple[str, ...], first: int) -> dict[str, int]:
    """Each of the names of a line -> the number of its line, from the first."""
    lines = enumerate(names, first)
    return {name: number for number, line in lines for name in line.split()}


MONTHS = _numbered(
    (
        "jan january januar janvier janv enero ene gennaio gen janeiro januari jän jänner",
        "feb february februar février fevrier févr fevr fév febrero febbraio fevereiro fev "
        "februari",
        "mar march märz maerz mär mrz mars marzo março marco maart mrt",
        "apr april avril avr abril abr aprile",
        "may mai mayo maggio mag maio mei",
        "jun june juni juin junio giugno giu junho",
        "jul july juli juillet juil julio luglio lug julho",
        "aug august août aout aoû agosto ago augustus",
        "sep sept september septembre septiembre settembre set setembro",
        "oct october oktober okt octobre octubre ottobre ott outubro out",
        "nov november novembre noviembre novembro",
        "dec december dezember dez décembre decembre déc diciembre dic dicembre dezembro",
    ),
    first=1,
)
WEEKDAYS = _numbered(
    (
        "mon monday mo montag",
        "tue tues tuesday di dienstag",
        "wed wednesday mi mittwoch",
        "thu thur thurs thursday do donnerstag",
        "fri friday fr freitag",
        "sat saturday sa samstag",
        "sun sunday so sonntag",
    ),
    first=0,
)

_WORD = r"(?P<name>[^\W\d_]{3,10})\.?"
_TICKS = (
    r"(?P<hour>\d{1,2})(?:(?P<tick>[:.h])(?P<minute>\d\d)"
    r"(?:(?P=tick)(?P<second>\d\d)(?:[.,:](?P<fraction>\d+))?)?)?(?:\s*(?P<half>[ap])\.?\s?m\.?)?"
)
_ZONE = (
    r"(?:\s*(?P<zone>Z|(?:UTC|GMT)?[+-]\d\d?(?::?\d\d)?|(?-i:[A-Z]{2,5}|[A-Z][a-z]+/[A-Za-z_/]+))"
    r"(?:\s*\(.*\)|\[.*\])?)?"
)
_YEAR = r"(?:(?P<year>\d{4})|(?P<c>\d\d))"
_CLOCK = rf"(?:(?:[T_:]|-(?=\d\d\.)|,?\s+(?:at\s+|-\s+)?){_TICKS}{_ZONE})?"
_DAY_OF_WEEK = (
    r"(?:(?:mo|tu|we|th|fr|sa|su|di|mi|do|so|lu|ma|me|je|ve|vi|ju|gi|sá)"
    r"[^\W\d_]*\.?,?\s+)?"
)
_COMPACT = r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)"
_TIGHT = r"(?P<hour>\d\d)(?:(?P<minute>\d\d)(?:(?P<second>\d\d)(?:[.,]?(?P<fraction>\d{1,9}))?)?)?"
_SOURCES = {
    "ymd": r"(?P<year>\d{4})(?P<sep>[-/. _])\s?(?P<month>\d{1,2})(?P=sep)\s?(?P<day>\d{1,2})\.?"
    + _CLOCK,
    "cjk": r"(?P<year>\d{4})\s?[年년]\s?(?P<month>\d{1,2})\s?[月월]\s?(?P<day>\d{1,2})\s?[日일]"
    + _CLOCK,
    "numeric": rf"{_DAY_OF_WEEK}(?P<a>\d{{1,2}})(?P<sep>[-/.])\s?(?P<b>\d{{1,2}})(?P=sep)\s?"
    rf"{_YEAR}{_CLOCK}",
    "dotted": r"(?P<hour>\d\d?)\.(?P<minute>\d\d)\.(?P<second>\d\d)",
    "day name year": rf"{_DAY_OF_WEEK}(?P<day>\d{{1,2}})(?:st|nd|rd|th|\.)?[-/\s._]*"
    rf"(?:(?:de|of)\s+)?{_WORD},?[-/\s._]*(?:del?\s+)?{_YEAR}{_CLOCK}",
    "name day year": rf"{_DAY_OF_WEEK}{_WORD}[-/\s]*(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?[-/\s]+"
    rf"{_YEAR}{_CLOCK}",
    "year name day": rf"(?P<year>\d{{4}})[-/\s._]*{_WORD}[-/\s._]*(?P<day>\d{{1,2}}){_CLOCK}",
    "ctime": rf"{_DAY_OF_WEEK}{_WORD}\s+(?P<day>\d{{1,2}})\s+{_TICKS}{_ZONE}\s+"
    r"(?P<year>\d{4})",
    "compact": rf"{_COMPACT}(?:[T_ -]?{_TIGHT}{_ZONE})?",
    "compact date": rf"{_COMPACT}[T_ -]{_TICKS}{_ZONE}",
    "compact reversed": r"(?P<a>\d\d)(?P<b>\d\d)(?P<year>\d{4})",
    "week": r"(?P<year>\d{4})-?\s?W(?P<week>\d\d)(?:-?(?P<weekday>\d))?",
    "ordinal": rf"(?P<year>\d{{4}})-(?P<ordinal>\d{{3}}){_CLOCK}",
    "quarter": r"(?P<year>\d{4})[-/\s.]?Q(?P<quarter>\d)",
    "quarter year": r"Q(?P<quarter>\d)[-/\s]?(?P<year>\d{4})",
    "month": r"(?P<year>\d{4})(?:[-/._]|-?M)(?P<month>\d{1,2})",
    "month year": r"(?P<month>\d{1,2})[-/.](?P<year>\d{4})",
    "name year": rf"{_WORD}[-/\s,']*(?P<year>\d{{4}})",
    "year name": rf"(?P<year>\d{{4}})[-/\s.]*{_WORD}",
    "name short": rf"{_WORD}[-/\s.'_]?(?P<short>\d\d)",
    "short name": rf"(?P<short>\d\d?)[-/\s.'_]?{_WORD}",
    "duration": r"(?P<days>\d+)\s+days?,?\s+\+?(?P<hour>\d{1,2}):(?P<minute>\d\d):"
    r"(?P<second>\d\d)(?:\.(?P<fraction>\d+))?",
    "clock": r"(?P<hour>\d{1,4}):(?P<minute>\d\d)(?::(?P<second>\d\d)"
    rf"(?:[.,:](?P<fraction>\d+))?)?(?:\s*(?P<half>[ap])\.?\s?m\.?)?{_ZONE}",
    "hours": r"(?P<hour>\d{1,2})\s*(?:h(?P<minute>\d\d)?|(?P<half>[ap])\.?\s?m\.?)",
    "minutes": r"(?P<minute>\d{1,4}):(?P<second>\d\d)[.,](?P<fraction>\d+)",
}
FORMATS = {name: re.compile(text, re.IGNORECASE) for name, text in _SOURCES.items()}
CLOCKS = ("clock", "dotted", "hours", "minutes")
UNTELLING = (
    "dotted",
    "compact reversed",
    "ordinal",
    "name short",
    "short name",
    "minutes",
)
WORDS = ("name", "half", "zone", "sep")  # parts that are not numbers
