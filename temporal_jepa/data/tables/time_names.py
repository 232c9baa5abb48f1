"""What the name of a column says about times."""

from __future__ import annotations

from .names import words


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


DATE_NAMES = _words(
    "date datetime timestamp ds datum fecha dato stamp dateheure horodatage zeitstempel tijdstip"
)
CLOCK_NAMES = _words(
    "time clock utc zeit uhrzeit hora heure orario ora tijd hhmm hhmmss hms"
)
TIME_NAMES = DATE_NAMES | CLOCK_NAMES | {"epoch", "unixtime"}
COUNT_NAMES = _words("t ts frame step timestep index tick elapsed")
NUMBERING = _words(
    "idx index number no num nr in cycle cycles step steps sample samples frames"
)
PERIODS = _words(
    "year years jahr año annee année anno jaar month week day hour jour monat tag"
)
UNITS = {
    "s": "s sec secs second seconds sekunden",
    "ms": "ms msec millis millisecond milliseconds",
    "us": "us usec micros microsecond microseconds",
    "ns": "ns nsec nanos nanosecond nanoseconds",
    "min": "min mins minutes",
    "h": "h hr hrs hours",
    "d": "d days",
}
UNIT_OF = {name: unit for unit, names in UNITS.items() for name in names.split()}
QUALIFIERS = _words(
    "unix posix epoch gmt utc gps local event sample record recorded recording measurement "
    "measured obs observation log logged system sys iso relative rel elapsed sim start begin "
    "acquisition packet capture stamp open trade server device of the and"
)


def says_time(name: str) -> bool:
    """Whether a name of a column says that it holds times or counts timesteps."""
    return says_moment(name) or says_count_of_time(name)


def says_moment(name: str) -> bool:
    """Whether a name says that a column holds dates or clock times: "recorded_time"."""
    if _has_digits(name):  # time_0, time_1, ... are steps
        return False
    parts = {*words(name)}
    if "".join(words(name)) in TIME_NAMES:
        return True
    usual = TIME_NAMES | QUALIFIERS | UNIT_OF.keys()
    return not parts.isdisjoint(TIME_NAMES) and parts <= usual


def says_count_of_time(name: str) -> bool:
    """Whether a name says that a column counts timesteps or units of time: "time (s)"."""
    parts = words(name)
    if _has_digits(name) or not parts:  # t0, t1, ... are steps
        return False
    first, *rest = parts
    if not rest and len(first) > 3 and first in UNIT_OF:  # hours; min is a minimum
        return True
    if first in COUNT_NAMES or (first == "time" and rest):
        return (NUMBERING | UNIT_OF.keys()).issuperset(rest)
    return False


def says_clock(name: str) -> bool:
    """Whether a word of a name is one of clock times."""
    return not CLOCK_NAMES.isdisjoint(words(name))


def says_date(name: str) -> bool:
    """Whether a word of a name is one of dates."""
    return not DATE_NAMES.isdisjoint(words(name))


def unit_in_name(name: str) -> str | None:
    """The unit that a name ends with, "ms" of "timestamp_ms"; None without."""
    parts = words(name)
    return UNIT_OF.get(parts[-1]) if len(parts) > 1 else None


def unit_of(name: str) -> str | None:
    """The unit that a name is, "h" of "Hrs"; None if it is none."""
    return UNIT_OF.get(name.lower())


def _has_digits(name: str) -> bool:
    return any(map(str.isdecimal, name))
