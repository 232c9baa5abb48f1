"""What the name of a column says about its part.

A name alone never decides: `roles` uses it to choose among the readings that the values allow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


MONTHS = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
LABELS = ("label", "class", "target", "y", "labels", "classes", "category")
VALUE_LIKE = ("target", "y")  # forecasting tables call their value so

OWNERS = _words(
    "aircraft animal bearing bed bird boat bus car case cell child client cow customer device "
    "dog driver engine episode equipment experiment farm fish flight household house individual "
    "item journey locomotive lot machine meter mouse motor participant patient person pilot plant "
    "player product pump rat recording ride robot room run sample series session shop site sku "
    "specimen station stock store subject symbol taxi ticker track train trajectory trial trip "
    "truck turbine unit user vehicle vessel ship batch well worker mmsi imo icao24 callsign imei "
    "tid uid pid guid uuid ids serial ric isin cusip file segment block house home building "
    "employee staff student pupil platform buoy mooring department dept entity nation "
    "territory area zone municipality sector industry "
    "country region city province county district hospital school branch account company fund "
    "host server endpoint page article keyword wafer tool asset node name"
)
"""Nouns for what a series belongs to."""
SURE_IDS = _words("tid series track trajectory sample case item subject session")
"""Names that are those of ids where they stand alone."""
NUMBERS = _words("no nr num number nummer code key name ref idx")
"""Words after such a noun: batch no, machine name."""
COUNTERS = _words(
    "no nr num number index idx row rows rownum record obs observation seq sequence counter count "
    "n id line lfd"
)
"""Words for columns that number the rows."""
CHANNELS = _words(
    "channel sensor variable var parameter param metric measure measurement measurand signal "
    "feature attribute quantity indicator element observable electrode lead analyte tag "
    "datatype field statistic"
)
"""Nouns for what a channel measures."""
TIME_PREFIXES = _words(
    "t time step timestep timepoint tp value val lag obs observation frame tick h hour "
    "hr d day w week wk month yr year quarter min minute sec second"
)
"""Prefixes of numbered columns that are timesteps: t0, t1, ..."""
CHANNEL_PREFIXES = CHANNELS | _words(
    "ch chan chn s x y z dim ax axis acc accel gyro gyr mag emg eeg ecg imu temp temperature "
    "pressure current voltage motor valve pump series item asset stock store node probe unit "
    "input output in out u cell bus phase f feat col column pc comp component coeff mfcc"
)
"""Prefixes of numbered columns that may be channels: ch1, ch2, ..."""

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
    "year years jahr año annee année anno jaar month week day hour minute second jour monat tag"
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


def words(name: str) -> list[str]:
    """The words of a name in lower case: "deviceID" is device, id; "Batch_No." is batch, no."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\W\d_]+", name)
    return [part.lower() for part in parts]


def is_id(name: str) -> bool:
    """Whether a name can be nothing but one of ids: unique_id, deviceID, Subject."""
    return words(name)[-1:] == ["id"] or name.lower() in SURE_IDS


def says_id(name: str) -> bool:
    """Whether a name is one of ids: unique_id, machine, batch_no, Patient."""
    parts = words(name)
    if not parts or is_id(name):
        return bool(parts)
    if len(parts) > 1 and parts[-1] in NUMBERS:
        return parts[-2] in OWNERS
    if "individual" in parts and parts[-1] == "identifier":
        return True
    return parts[-1] in OWNERS and len(parts) <= 2


def says_channel(name: str) -> bool:
    """Whether a name is one of channels: sensor, Variable, indicator_name, sensor_id."""
    parts = words(name)
    while len(parts) > 1 and parts[-1] in NUMBERS | {"id", "type"}:
        parts.pop()
    return bool(parts) and parts[-1] in CHANNELS


def says_part(name: str) -> bool:
    """Whether a name is the usual one of a label, or one of times or ids."""
    return name.lower() in LABELS or says_time(name) or is_id(name)


def says_count(name: str) -> bool:
    """Whether a name is one of row numbers: no, Index, row_number, #."""
    parts = words(name)
    return name.strip() == "#" or (bool(parts) and COUNTERS.issuperset(parts))


def find_label(names: Iterable[str]) -> str | None:
    """The column that is named like a label; y beside x is a coordinate."""
    by_lower = {name.lower(): name for name in names}
    for usual in LABELS:
        if usual in by_lower and not (usual == "y" and "x" in by_lower):
            return by_lower[usual]
    return None


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
