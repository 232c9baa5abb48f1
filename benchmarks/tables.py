"""Tables with the truth known: drawn from a seed, written as the programs of the world write them.

`draw(seed, number)` gives a `Case`: the files, what they hold, and whether that follows from them.
A case is a layout (wide, long, recording, tidy, pivot, tracks, folder) in a dialect (separator,
decimal mark, thousands, quotes, encoding), with times, a header, ids and labels in one of many
writings. The writings are those of public files (UCI, Monash, PhysioNet, AIS, World Bank, prices,
wide counts by day), of spreadsheets in several languages, of loggers, R, MATLAB and pandas.
"""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

Rng = np.random.Generator
Array = np.ndarray[Any, Any]
DAY = 86400.0
EXCEL_EPOCH = 25569  # days from 1899-12-30 to 1970-01-01


def words(text: str) -> tuple[str, ...]:
    """`a|b` -> ("a", "b")."""
    return tuple(text.split("|"))


USUAL_IDS = words("id|ID|series_id|subject|patient_id|unique_id|tid|device id")
OTHER_IDS = words("batch_no|machine|Patient|station|Country|ticker|unit number|vin")
USUAL_LABELS = ("label", "class", "target", "Label")
OTHER_LABELS = ("species", "diagnosis", "activity", "Klasse", "outcome")
DATE_NAMES = words(
    "time|timestamp|date|Date|datetime|Datum|Zeit|ds|Date/Time|recorded_at|"
    "UTC|DateTime|Fecha|TIMESTAMP"
)
NUMBER_NAMES = words("time|t|timestamp|Time|step|frame|timestep")
ODD_NUMBER_NAMES = words("time_s|Time (s)|Time [s]|seconds|unix_time|ts|elapsed")
CHANNEL_NAMES = words(
    "temperature|humidity|pressure|load|acc_x|acc_y|acc_z|Open|High|Low|Close|Volume|CO(GT)|PM2.5|"
    "Global_active_power|T (degC)|rpm|voltage|current|HR|O2Sat|Resp|price|demand|wind speed|NO2"
)
NUMBERED_CHANNELS = words("sensor_{}|ch{}|V_{}|feature {}|s{}|AF{}")
UNITS = {"temperature": "°C", "humidity": "%", "pressure": "hPa", "load": "kW"}
CITIES = words("Basel|Lyon|Graz|Malmö|Bergen|Turin|Ulm|Gent|Porto|Brno")
CLASSES = words("up|down|walk|run|normal|faulty|cat A|cat B|setosa|N/S")
MONTHS = words("Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec")


@dataclass(frozen=True)
class Truth:
    """What a reader should find.

    Args:
        values: ``(time, channels)`` per series.
        channels: their names, empty where the file does not name them.
        ids: the names of the series, or several lists of which each would do.
        labels: of the series; empty for none.
        times: ``(time,)`` per series; seconds since 1970 if `clock` is "date", else numbers.
        clock: what the times are: "" (none), "date", "number" or "order" (a clock without a day).
        places: longitude and latitude ``(time, 2)`` per series, instead of values.
        optional: what may be missing from a right reading: "ids", "labels", "times".
    """

    values: list[Array]
    channels: list[str] = field(default_factory=list)
    ids: tuple[list[str], ...] = ()
    labels: list[str] = field(default_factory=list)
    times: list[Array] = field(default_factory=list)
    clock: str = ""
    places: list[Array] = field(default_factory=list)
    optional: frozenset[str] = frozenset()


@dataclass
class Column:
    """A column of a table: its name, cells as they are written, and its values for a frame."""

    name: str
    cells: list[str]
    role: str
    typed: list[Any]


@dataclass
class Case:
    """A table as files.

    Args:
        recipe: the choices that made it.
        files: name -> bytes; several for a folder.
        truths: the right readings; more than one where a table can be understood in several ways
            that all keep its values.
        open: why the truth does not follow from the file at all: a right reading is a guess.
        unsure: why asking is as good as a right reading.
        refusable: why a refusal is right.
        columns: the table, for the same in memory.
        rows: the series of each row, of a folder.
    """

    recipe: dict[str, Any]
    files: dict[str, bytes]
    truths: list[Truth]
    open: list[str]
    unsure: list[str]
    refusable: list[str]
    columns: list[Column]
    rows: list[int] = field(default_factory=list)  # the series of each row


def pick(
    rng: Rng, options: Sequence[Any], weights: Sequence[float] | None = None
) -> Any:
    """One of the options."""
    if weights is None:
        return options[int(rng.integers(len(options)))]
    share = np.cumsum(weights) / np.sum(weights)
    return options[int(np.searchsorted(share, rng.random(), side="right"))]


def chance(rng: Rng, share: float) -> bool:
    """True with this probability."""
    return bool(rng.random() < share)


# Recipes


def dialect(rng: Rng) -> dict[str, Any]:
    """Separator, decimal mark and thousands, as a program of some country writes them."""
    country = pick(
        rng,
        words("us|us_thousands|german|french|swiss|swedish|logger|mixed"),
        (40, 8, 12, 7, 5, 5, 10, 13),
    )
    chosen: dict[str, Any] = {
        "country": country,
        "sep": ",",
        "decimal": ".",
        "thousands": "",
    }
    if country == "us_thousands":
        chosen.update(thousands=",")
    elif country == "german":
        chosen.update(
            sep=pick(rng, ";;;\t"), decimal=",", thousands=pick(rng, ["", "", "."])
        )
    elif country == "french":
        thousands = pick(rng, ["", "", " ", "\u202f", "\xa0"])
        chosen.update(sep=pick(rng, ";;\t"), decimal=",", thousands=thousands)
    elif country == "swiss":
        chosen.update(sep=pick(rng, ";;\t"), thousands=pick(rng, ["", "'", "\u2019"]))
    elif country == "swedish":
        chosen.update(
            sep=pick(rng, ";\t"), decimal=",", thousands=pick(rng, ["", "\xa0"])
        )
    elif country == "logger":
        chosen.update(sep=pick(rng, [" ", "\t", ";", "|"]))
    elif country == "mixed":
        decimal = pick(rng, ".,")
        thousands = pick(rng, ["", "", "", " ", "'", "," if decimal == "." else "."])
        chosen.update(sep=pick(rng, ",;\t|"), decimal=decimal, thousands=thousands)
        if chosen["sep"] == "," and thousands == ".":  # 2.680 there is no 2680
            chosen["thousands"] = ""
    return chosen


DAY_FIRST = ("german", "french", "swiss")


def date_writing(rng: Rng, country: str) -> str:
    """How dates are written, by country where that is usual."""
    if country in ("german", "swiss") and chance(rng, 0.6):
        return str(pick(rng, ("d.m.Y", "d.m.y", "d.m.Y", "clock", "date+clock")))
    if country == "french" and chance(rng, 0.6):
        return str(pick(rng, ("d/m/Y", "d/m/Y", "d/m/y", "date+clock")))
    names = words(
        "iso|isoT|d/m/Y|m/d/Y|m/d/y|M/D/YYYY|d-m-Y|m-d-Y|d.m.Y|d Mon Y|d-Mon-y|"
        "Mon d, Y|compact|epoch|epoch_ms|excel|date+clock|ymd|ymdh|clock|index|"
        "seconds|none|year|month|quarter|iso.f|iso+01|12h"
    )
    weights = (
        *(20, 8, 4, 5, 4, 4, 2, 2, 3, 2, 2, 2, 5, 4, 3, 2, 5, 3, 2, 3, 9, 6, 9),
        *(4, 3, 1, 3, 3, 2),
    )
    return str(pick(rng, names, weights))


LAYOUTS = ("wide", "long", "recording", "tidy", "pivot", "tracks", "folder")


def recipe(rng: Rng) -> dict[str, Any]:
    """The choices of a case, before those that exclude each other are mended."""
    chosen = {"layout": pick(rng, LAYOUTS, (28, 24, 20, 9, 3, 10, 6)), **dialect(rng)}
    chosen["dates"] = date_writing(rng, chosen["country"])
    chosen["header"] = pick(
        rng,
        words("plain|none|preamble|units|comments|index|footer"),
        (62, 10, 6, 6, 6, 6, 4),
    )
    chosen["ids"] = pick(
        rng, ("none", "text", "numbers", "zeros", "large"), (18, 36, 26, 10, 10)
    )
    chosen["usual_id"] = chance(rng, 0.6)
    chosen["labels"] = pick(
        rng, words("none|text|numbers|zeros|NA|other|floats"), (48, 20, 14, 6, 2, 8, 2)
    )
    chosen["label_place"] = pick(rng, ("first", "last", "middle"))
    chosen["order"] = pick(rng, ("sorted", "shuffled", "descending"), (70, 18, 12))
    chosen["columns"] = pick(rng, ("usual", "shuffled"), (80, 20))
    chosen["quotes"] = pick(rng, ("minimal", "all", "texts"), (70, 12, 18))
    chosen["encoding"] = pick(
        rng, ("utf-8", "utf-8-sig", "utf-16", "cp1252"), (78, 10, 6, 6)
    )
    chosen["padded"] = chance(rng, 0.3 if chosen["sep"] == " " else 0.04)
    chosen["newline"] = pick(rng, ("\n", "\r\n"), (75, 25))
    chosen["gzip"] = chance(rng, 0.06)
    chosen["missing"] = pick(
        rng, ("none", "", "NA", "NaN", "null", "?"), (68, 14, 6, 6, 3, 3)
    )
    chosen["lengths"] = pick(rng, ("equal", "unequal"), (70, 30))
    chosen["extra"] = pick(rng, ("none", "text", "empty"), (80, 12, 8))
    chosen["shared_start"] = chance(rng, 0.6)
    chosen["jitter"] = chance(rng, 0.15)
    chosen["wide_names"] = wide_names(rng)
    chosen.update(sizes(rng, chosen["layout"]))
    return settled(rng, chosen)


def wide_names(rng: Rng) -> str:
    """How the columns of a wide table are named."""
    names = words(
        "t0|0|value_1|iso|isoT|m/d/y|d/m/Y|yyyymmdd|yyyy-mm|X.date|Mon-yy|"
        "Mon Y|year|hour|h|Jan|V1|d.m.Y"
    )
    weights = (16, 8, 8, 12, 2, 8, 3, 5, 5, 3, 3, 3, 8, 4, 2, 4, 3, 3)
    return str(pick(rng, names, weights))


def sizes(rng: Rng, layout: str) -> dict[str, int]:
    """Series, channels and timesteps; few cells, so that thousands of cases are quick."""
    most = 8000 if chance(rng, 0.02) else 900
    n = 1 if chance(rng, 0.05) else int(np.exp(rng.uniform(np.log(2), np.log(200))))
    channels = 1 if chance(rng, 0.3) else int(np.exp(rng.uniform(0, np.log(50))))
    steps = int(np.exp(rng.uniform(np.log(2), np.log(400))))
    if layout == "recording":
        n = 1
    if layout == "folder":
        n = min(max(n, 2), 5)
    if layout in ("tidy", "pivot"):
        channels = min(max(channels, 2), 8)
    while n * channels * steps > most:
        if channels > 2 and channels >= n:
            channels //= 2
        elif steps > 4 and steps >= n:
            steps //= 2
        else:
            n = max(2, n // 2) if n > 2 else n
            steps = max(4, steps // 2) if n <= 2 else steps
    return {"n": n, "channels": channels, "steps": max(2, steps)}


def settled(rng: Rng, chosen: dict[str, Any]) -> dict[str, Any]:
    """The choices without those that no file can have together."""
    layout = chosen["layout"]
    if layout in ("recording", "folder"):
        chosen["ids"] = chosen["labels"] = "none"
        chosen["lengths"] = "equal" if layout == "recording" else chosen["lengths"]
    if chosen["n"] < 2:
        chosen["usual_id"] = True
    if layout in ("long", "tidy", "pivot") and chosen["ids"] == "none":
        chosen["ids"] = "text"
    if layout == "tracks":
        chosen["ids"] = "large" if chosen["ids"] == "none" else chosen["ids"]
        chosen["labels"] = (
            pick(rng, ("none", "text")) if chosen["labels"] != "none" else "none"
        )
    if layout in ("tidy", "pivot"):
        chosen["labels"] = "none"
    if layout in ("tidy", "pivot", "tracks", "folder") and chosen["header"] == "none":
        chosen["header"] = "plain"
    if layout == "folder":
        chosen.update(header="plain", gzip=False, padded=False)
    if chosen["header"] == "none":
        settle_without_header(rng, chosen)
    if chosen["labels"] == "floats" and layout != "wide":
        chosen["labels"] = "text"
    settle_times(rng, chosen)
    settle_dialect(rng, chosen)
    return chosen


def settle_without_header(rng: Rng, chosen: dict[str, Any]) -> None:
    """Without names only content can tell."""
    chosen.update(columns="usual", extra="none", usual_id=True, order="sorted")
    if chosen["layout"] in ("wide", "long"):
        chosen["n"] = max(4, chosen["n"])
    elif chosen["channels"] == 1:  # one column shows no separator
        chosen.update(sep=",", decimal=".", thousands="")
    if chosen["layout"] == "wide":
        chosen.update(ids="none", channels=1)
        chosen["labels"] = pick(rng, ("none", "text", "text", "numbers"))
        chosen["label_place"] = pick(rng, ("first", "last"))
    else:
        chosen["labels"] = "none"
        chosen["dates"] = pick(rng, ("iso", "isoT", "iso", "none"))
        if (
            chosen["layout"] == "long"
        ):  # without times these are classes of a wide table
            chosen["ids"] = "text"
            chosen["dates"] = pick(rng, ("iso", "isoT"))
            chosen["dates"] = pick(rng, ("iso", "isoT"))


def settle_times(rng: Rng, chosen: dict[str, Any]) -> None:
    """Times that a layout can have."""
    layout = chosen["layout"]
    if layout in ("wide", "pivot"):
        chosen["order"] = pick(rng, ("sorted", "descending", "shuffled"), (90, 6, 4))
        if chosen["header"] == "none":
            chosen["order"] = "sorted"
        if chosen["wide_names"] in ("Jan", "V1", "h", "hour"):
            chosen["order"] = "sorted"
        if layout == "pivot" and not is_dated(chosen["wide_names"]):
            chosen["wide_names"] = pick(rng, ("year", "iso", "yyyy-mm"))
        if chosen["channels"] > 1 and layout == "wide":
            chosen["wide_names"] = "numbered"
        return
    if layout in ("tidy", "tracks") and chosen["dates"] in ("none", "clock"):
        chosen["dates"] = "iso"
    if layout == "tracks" and chosen["dates"] in ("index", "excel", *CALENDAR):
        chosen["dates"] = "epoch"
    if layout == "tracks" and chosen["dates"] == "ymd":
        chosen["dates"] = "date+clock"
    if chosen["dates"] in ("none", "clock"):
        chosen["order"] = "sorted"
    if chosen["dates"] == "index":
        chosen["jitter"] = False


def is_dated(names: str) -> bool:
    return names not in ("t0", "0", "value_1", "V1", "numbered", "Jan", "hour", "h")


def settle_dialect(rng: Rng, chosen: dict[str, Any]) -> None:
    """Separators that do not occur in bare cells, encodings that have the characters."""
    if chosen["sep"] == " ":
        chosen["quotes"] = "minimal"
        if chosen["missing"] == "":
            chosen["missing"] = "NaN"
        if chosen["extra"] == "empty":
            chosen["extra"] = "none"
        if chosen["header"] in ("index", "units", "preamble"):
            chosen["header"] = "plain"
        if chosen["thousands"] == " ":
            chosen["thousands"] = ""
    if chosen["thousands"] in ("\u202f",) and chosen["encoding"] == "cp1252":
        chosen["encoding"] = "utf-8"
    if chosen["header"] == "none" and chosen["missing"] not in ("none", "", "NaN"):
        chosen["missing"] = "NaN"


# Numbers

KINDS = words("counter|flag") + words(
    "small|ints|volume|milli|unit|decimal|price|offset|exp|repr"
)
KIND_WEIGHTS = (5, 4, 14, 10, 10, 14, 8, 18, 10, 4, 3, 9)


def numbers(rng: Rng, kind: str, count: int) -> list[str]:
    """Numbers as text with a decimal point: a walk, so that series look like series."""
    walk = rng.normal(size=count).cumsum()
    if kind == "counter":
        return [str(v) for v in (rng.integers(0, 3, count) + 1).cumsum()]
    if kind == "flag":
        return [str(v) for v in rng.integers(0, 2, count)]
    if kind == "small":
        return [str(v) for v in rng.integers(0, 60, count)]
    if kind == "ints":
        return [str(int(v * 37)) for v in walk]
    if kind == "volume":
        low = float(np.exp(rng.uniform(np.log(1200), np.log(4e6))))
        return [str(int(low * np.exp(0.05 * v) + 1000)) for v in walk]
    if kind == "milli":
        return [f"{12 + 0.1 * v:.3f}" for v in walk % 80]
    if kind == "unit":
        return [f"{v:.3f}" for v in (walk % 1.0)]
    if kind == "decimal":
        digits = int(pick(rng, (1, 2, 2, 4, 6)))
        return [f"{20 + v:.{digits}f}" for v in walk]
    if kind == "price":
        low = float(pick(rng, (90, 1800, 45000)))
        return [f"{low * (1.5 + v % 1):.2f}" for v in 0.02 * walk]
    if kind == "offset":
        return [f"{101325 + 0.001 * v:.3f}" for v in np.round(walk * 40)]
    if kind == "exp":
        return [f"{v * 1e-5:.4e}" for v in walk]
    return [repr(float(v)) for v in walk]


def written(text: str, chosen: dict[str, Any]) -> str:
    """A number in a dialect."""
    mantissa, letter, exponent = text.partition("e")
    whole, point, part = mantissa.partition(".")
    sign = "-" if whole.startswith("-") else ""
    whole = whole.removeprefix("-")
    if chosen["thousands"]:
        whole = re.sub(r"(?<=\d)(?=(\d{3})+$)", lambda _: chosen["thousands"], whole)
    mark = chosen["decimal"] if point else ""
    return f"{sign}{whole}{mark}{part}{letter.upper()}{exponent}"


def proof(cell: str) -> str:
    """What a cell says of its writing: "proved" marks, "open" (1.234), or "" (no mark)."""
    bare = re.sub(r"[ \xa0\u202f'\u2019]", "", cell.strip().lstrip("+-"))
    grouped = len(bare) != len(cell.strip().lstrip("+-"))
    marks = re.findall(r"[.,]", bare)
    if not marks:  # 1234 beside 1.234: thousands are not separated
        return "whole" if len(bare) > 3 and bare.isdigit() and not grouped else ""
    if len(marks) > 1 or grouped or "E" in bare or "e" in bare:
        return "proved"
    before, after = re.split(r"[.,]", bare)
    if len(after) == 3 and 1 <= len(before) <= 3 and not before.startswith("0"):
        return "open"
    return "proved"


def judge_numbers(case: Case, chosen: dict[str, Any]) -> None:
    """Whether the decimal mark follows from the numbers of the file."""
    roles = ["value", "place", "extra"]
    if chosen["labels"] == "floats":
        roles.append("label")
    if chosen["dates"] in ("seconds", "excel"):
        roles.append("time")
    columns = [c for c in case.columns if c.role in roles]
    proofs = [{proof(cell) for cell in column.cells} for column in columns]
    proved = any("proved" in found for found in proofs)
    unproved = [found for found in proofs if "open" in found]
    unproved = [found for found in unproved if not found & {"proved", "whole"}]
    if not unproved:
        return
    if any("whole" in found for found in proofs):
        case.unsure.append("whole numbers above 999 in another column")
        return
    point = chosen["decimal"] == "." and not chosen["thousands"]
    if proved:  # a column decides for the others
        return
    if chosen["sep"] in ";\t":
        case.open.append("all numbers look like 1.234")
    elif not (point and chosen["sep"] == ","):
        case.unsure.append("all numbers look like 1,234")


# Times


@dataclass
class Clock:
    """The times of the rows: seconds since 1970 (or numbers), and how they are written."""

    kind: str
    seconds: list[Array]  # per series


def clocks(rng: Rng, chosen: dict[str, Any], lengths: list[int]) -> Clock:
    """Times of each series."""
    kind = chosen["dates"]
    if kind == "none":
        return Clock("", [])
    if kind == "index":
        start = int(pick(rng, (0, 0, 1)))
        return Clock(
            "number", [np.arange(start, start + n, dtype=float) for n in lengths]
        )
    if kind == "seconds":
        step = float(pick(rng, (0.01, 0.1, 0.5, 2.5)))
        return Clock("number", [np.round(np.arange(n) * step, 2) for n in lengths])
    if kind in CALENDAR:
        return calendar_clock(rng, chosen, lengths)
    starts = start_seconds(rng, chosen, len(lengths))
    steps = float(pick(rng, step_choices(kind)))
    seconds = []
    for start, n in zip(starts, lengths, strict=True):
        ticks = np.arange(n, dtype=float)
        if chosen["jitter"] and n > 2:
            ticks = np.sort(rng.choice(2 * n, n, replace=False)).astype(float)
        seconds.append(start + ticks * steps)
    return Clock("order" if kind == "clock" else "date", seconds)


CALENDAR = {"year": 12, "quarter": 3, "month": 1}  # months a step


def calendar_clock(rng: Rng, chosen: dict[str, Any], lengths: list[int]) -> Clock:
    """Times in years, quarters or months, which are not equally long."""
    months = CALENDAR[chosen["dates"]]
    first = int(rng.integers(0, 240)) // months * months + 240  # since 1970
    stamps = [first + months * np.arange(n) for n in lengths]
    if chosen["dates"] == "year":
        return Clock("number", [1970.0 + s // 12 for s in stamps])
    return Clock("date", [in_seconds(s.astype("datetime64[M]")) for s in stamps])


def step_choices(kind: str) -> tuple[float, ...]:
    """Steps in seconds that a writing can show."""
    if kind in ("iso", "isoT", "d/m/Y", "m/d/Y", "d.m.Y", "epoch", "epoch_ms"):
        return (1.0, 60.0, 900.0, 3600.0, DAY, DAY, 7 * DAY, 30 * DAY)
    if kind == "iso.f":
        return (0.1, 0.5, 60.25)
    if kind in ("compact", "date+clock", "M/D/YYYY", "excel", "12h", "iso+01"):
        return (60.0, 900.0, 3600.0, DAY)
    if kind == "ymdh":
        return (3600.0,)
    if kind == "clock":
        return (1.0, 60.0, 600.0)
    return (DAY, DAY, 7 * DAY)


def start_seconds(rng: Rng, chosen: dict[str, Any], n: int) -> Array:
    """Where each series starts: at one time, or each at its own."""
    first = np.datetime64("1998-01-01").astype("datetime64[s]").astype(float)
    days = rng.integers(0, 27 * 365, 1 if chosen["shared_start"] else n)
    hours = rng.integers(0, 24) if chosen["dates"] not in DAILY else 0
    return np.resize(first + days * DAY + hours * 3600.0, n)


DAILY = words("m/d/y|d.m.y|d/m/y|d-m-Y|m-d-Y|d Mon Y|d-Mon-y|Mon d, Y|ymd")


def moments(seconds: Array) -> list[datetime]:
    """Seconds since 1970 as datetimes."""
    return list(np.round(seconds * 1e3).astype("datetime64[ms]").astype(datetime))


def clocked(when: list[datetime]) -> bool:
    return any((t.hour, t.minute, t.second) != (0, 0, 0) for t in when)


WRITINGS: dict[str, str] = {
    "iso": "%Y-%m-%d",
    "d/m/Y": "%d/%m/%Y",
    "m/d/Y": "%m/%d/%Y",
    "d.m.Y": "%d.%m.%Y",
    "d/m/y": "%d/%m/%y",
    "m/d/y": "%m/%d/%y",
    "d.m.y": "%d.%m.%y",
    "d-m-Y": "%d-%m-%Y",
    "m-d-Y": "%m-%d-%Y",
    "d Mon Y": "%d %b %Y",
    "d-Mon-y": "%d-%b-%y",
    "Mon d, Y": "%b %d, %Y",
}


HOUR = timedelta(hours=1)


def written_dates(when: list[datetime], kind: str) -> list[str]:
    """Datetimes in a writing."""
    if kind == "isoT":
        return [t.strftime("%Y-%m-%dT%H:%M:%SZ") for t in when]
    if kind == "compact":
        form = "%Y%m%d%H%M%S" if clocked(when) else "%Y%m%d"
        return [t.strftime(form) for t in when]
    if kind == "iso.f":
        return [f"{t:%Y-%m-%d %H:%M:%S}.{t.microsecond // 1000:03}" for t in when]
    if kind == "iso+01":
        return [(t + HOUR).strftime("%Y-%m-%dT%H:%M:%S+01:00") for t in when]
    if kind == "12h":
        return [t.strftime("%m/%d/%Y %I:%M %p") for t in when]
    if kind == "month":
        return [t.strftime("%Y-%m") for t in when]
    if kind == "quarter":
        return [f"{t.year}Q{(t.month + 2) // 3}" for t in when]
    if kind == "M/D/YYYY":
        return [f"{t.month}/{t.day}/{t.year} {t.hour}:{t.minute:02}" for t in when]
    form = WRITINGS[kind]
    if clocked(when):
        form += " %H:%M:%S"
    return [t.strftime(form) for t in when]


def time_columns(
    rng: Rng, chosen: dict[str, Any], clock: Clock, seconds: Array
) -> list[Column]:
    """The columns of the time of all rows."""
    kind = chosen["dates"]
    if not clock.kind:
        return []
    if kind == "year":
        texts = [str(int(v)) for v in seconds]
        return [
            Column(pick(rng, ("year", "Year")), texts, "time", list(map(int, texts)))
        ]
    if clock.kind == "number":
        odd = chance(rng, 0.25)
        chosen["odd_time"] = odd
        name = pick(rng, ODD_NUMBER_NAMES if odd else NUMBER_NAMES)
        texts = [
            written(f"{v:.2f}", chosen) if kind == "seconds" else str(int(v))
            for v in seconds
        ]
        return [Column(name, texts, "time", list(seconds))]
    when = moments(seconds)
    if kind in ("epoch", "epoch_ms", "excel"):
        return [stamp_column(rng, chosen, seconds)]
    if kind in ("ymd", "ymdh"):
        return part_columns(rng, kind, when)
    if kind == "date+clock":
        day = pick(rng, ("iso", DAY_WRITING.get(chosen["country"], "iso"), "compact"))
        chosen["day_writing"] = day
        days = [
            t.strftime("%Y%m%d") if day == "compact" else t.strftime(WRITINGS[day])
            for t in when
        ]
        names = pick(
            rng,
            (("date", "time"), ("Date", "Time"), ("Datum", "Uhrzeit"), ("DATE", "UTC")),
        )
        form = pick(rng, ("%H:%M:%S", "%H:%M"))
        clock_cells = [t.strftime(form) for t in when]
        return [
            Column(names[0], days, "time", days),
            Column(names[1], clock_cells, "time", clock_cells),
        ]
    if kind == "clock":
        texts = [t.strftime("%H:%M:%S") for t in when]
        return [
            Column(
                pick(rng, ("time", "Time", "Uhrzeit", "clock")), texts, "time", texts
            )
        ]
    names = ("date", "Date", "time", "DATE") if kind == "compact" else DATE_NAMES
    typed = list(np.array(when, dtype="datetime64[ns]"))
    return [Column(pick(rng, names), written_dates(when, kind), "time", typed)]


DAY_WRITING = {"german": "d.m.Y", "swiss": "d.m.Y", "french": "d/m/Y", "us": "m/d/Y"}


def stamp_column(rng: Rng, chosen: dict[str, Any], seconds: Array) -> Column:
    """Times as numbers since a day."""
    kind = chosen["dates"]
    if kind == "excel":
        days = [f"{EXCEL_EPOCH + s / DAY:.6f}".rstrip("0").rstrip(".") for s in seconds]
        cells = [written(day, {**chosen, "thousands": ""}) for day in days]
        name = pick(rng, ("date", "Date", "time"))
        return Column(name, cells, "time", list(map(float, days)))
    scale = 1000 if kind == "epoch_ms" else 1
    texts = [str(int(s * scale)) for s in seconds]
    name = pick(rng, ("timestamp", "time", "Timestamp", "t"))
    return Column(name, texts, "time", list(map(int, texts)))


def part_columns(rng: Rng, kind: str, when: list[datetime]) -> list[Column]:
    """Times in columns of year, month, day and hour."""
    parts = ("year", "month", "day", "hour")[: 3 if kind == "ymd" else 4]
    form: Callable[[str], str] = pick(rng, (str.lower, str.title))
    columns = []
    for part in parts:
        typed = [getattr(t, part) for t in when]
        columns.append(Column(form(part), list(map(str, typed)), "time", typed))
    return columns


def swapped(when: list[datetime]) -> list[datetime] | None:
    """The datetimes with day and month exchanged; None if one is impossible so or none changes."""
    if any(t.day > 12 for t in when) or all(t.day == t.month for t in when):
        return None
    return [t.replace(day=t.month, month=t.day) for t in when]


def judge_dates(case: Case, kind: str, rows: list[list[datetime]]) -> None:
    """Whether day and month follow from the dates, which are in the order of the file."""
    if kind not in (
        "d/m/Y",
        "m/d/Y",
        "d/m/y",
        "m/d/y",
        "d-m-Y",
        "m-d-Y",
        "M/D/YYYY",
        "12h",
    ):
        return
    if swapped([t for series in rows for t in series]) is None:
        return
    other = [swapped(series) or series for series in rows]
    if all(map(monotone, rows)) and not all(map(monotone, other)):
        case.unsure.append("only the order of the rows tells day from month")
    else:
        case.open.append("day and month can be exchanged")


def monotone(when: list[datetime]) -> bool:
    return when in (sorted(when), sorted(when, reverse=True))


# Ids, labels, channels


def id_texts(rng: Rng, kind: str, n: int) -> list[str]:
    """Names of the series, all different."""
    if kind == "numbers":
        start = int(pick(rng, (1, 1, 0, 17)))
        return [str(k) for k in range(start, start + n)]
    if kind == "zeros":
        return [f"{k:03d}" for k in rng.permutation(200)[:n]]
    if kind == "large":
        return [str(219_000_000 + int(k)) for k in rng.permutation(90_000)[:n]]
    if n <= len(CITIES) and chance(rng, 0.4):
        return [str(CITIES[k]) for k in rng.permutation(len(CITIES))[:n]]
    return [f"{'ABC'[k % 3]}{k:02d}x" for k in range(n)]


def label_texts(rng: Rng, kind: str, n: int) -> list[str]:
    """A label for each series."""
    if kind == "floats":
        return [f"{v:.2f}" for v in rng.normal(size=n)]
    classes = {
        "text": list(rng.permutation(CLASSES)[:3]),
        "numbers": ["1", "2", "3"],
        "zeros": ["01", "02", "1"],
        "NA": ["NA", "EU", "AS"],
        "other": list(rng.permutation(CLASSES)[:2]),
    }[kind]
    return [str(pick(rng, classes)) for _ in range(n)]


def channel_names(rng: Rng, count: int, chosen: dict[str, Any]) -> list[str]:
    """Names of channels: of quantities, or numbered."""
    chosen["numbered"] = False
    if count == 1 and chosen["labels"] == "none" and chance(rng, 0.2):
        return [str(pick(rng, ("y", "target", "value", "v")))]
    if count == 3 and chance(rng, 0.2):
        return ["x", "y", "z"]
    chosen["numbered"] = count > 10 or (count > 1 and chance(rng, 0.3))
    if chosen["numbered"]:
        form = pick(rng, NUMBERED_CHANNELS)
        return [form.format(k) for k in range(1, count + 1)]
    return [str(name) for name in rng.permutation(CHANNEL_NAMES)[:count]]


def measured(
    rng: Rng, chosen: dict[str, Any], lengths: list[int]
) -> list[list[list[str]]]:
    """Numbers as text, by channel, series and timestep; missing ones are "".

    The first timestep is always there, so that no series and no channel is empty.
    """
    table = []
    for _ in range(chosen["channels"]):
        kind = pick(rng, KINDS, KIND_WEIGHTS)
        if chosen["header"] == "none" and chosen["labels"] == "numbers":
            kind = "decimal"  # else nothing hints at the label
        texts = numbers(rng, kind, sum(lengths))
        series = []
        for n in lengths:
            own, texts = texts[:n], texts[n:]
            if chosen["missing"] != "none":
                lost = rng.random(n) < 0.08
                own = ["" if k and lost[k] else text for k, text in enumerate(own)]
            series.append(own)
        table.append(series)
    return table


def as_numbers(table: list[list[list[str]]]) -> list[Array]:
    """``(time, channels)`` per series of numbers as text by channel and series."""
    arrays = []
    for k in range(len(table[0])):
        columns = [[float(text or "nan") for text in channel[k]] for channel in table]
        arrays.append(np.array(columns).T)
    return arrays


def cell(text: str, chosen: dict[str, Any]) -> str:
    """A number, or what stands for a missing one, as it is written."""
    if text:
        return written(text, chosen)
    return "" if chosen["missing"] == "none" else str(chosen["missing"])


def trimmed(values: Array) -> Array:
    """Without missing timesteps at the end."""
    seen = np.flatnonzero(~np.isnan(values).all(1))
    return values[: seen[-1] + 1]


def value_column(name: str, texts: list[str], chosen: dict[str, Any]) -> Column:
    typed = [float(text or "nan") for text in texts]
    return Column(name, [cell(text, chosen) for text in texts], "value", typed)


def name_columns(
    rng: Rng, chosen: dict[str, Any], ids: list[str], labels: list[str], rows: Array
) -> tuple[list[Column], list[Column]]:
    """The columns of the id and of the label, for rows that are numbers of series."""
    id_columns, label_columns = [], []
    if ids:
        name = pick(rng, USUAL_IDS if chosen["usual_id"] else OTHER_IDS)
        texts = [ids[k] for k in rows]
        typed = (
            [int(t) for t in texts] if chosen["ids"] in ("numbers", "large") else texts
        )
        id_columns.append(Column(name, texts, "id", list(typed)))
    if labels:
        name = pick(rng, OTHER_LABELS if chosen["labels"] == "other" else USUAL_LABELS)
        texts = [labels[k] for k in rows]
        cells = (
            [written(t, chosen) for t in texts]
            if chosen["labels"] == "floats"
            else texts
        )
        label_columns.append(Column(name, cells, "label", list(texts)))
    return id_columns, label_columns


# Layouts


def wide_case(rng: Rng, chosen: dict[str, Any]) -> Case:
    """A row is a series."""
    n, steps, channels = chosen["n"], chosen["steps"], chosen["channels"]
    names = chosen["wide_names"]
    steps = {"Jan": 12, "hour": 24, "h": 24}.get(names, steps)
    if names in ("year", "Mon-yy"):
        steps = min(steps, 60)
    lengths = [steps] * n
    if chosen["lengths"] == "unequal":
        chosen["missing"] = "" if chosen["missing"] == "none" else chosen["missing"]
        if chosen["sep"] == " ":
            chosen["missing"] = "NaN"
        lengths = [steps, *(int(v) for v in rng.integers(2, steps + 1, n - 1))]
    table = measured(rng, chosen, lengths)
    values = [trimmed(x) for x in as_numbers(table)]
    ids = [] if chosen["ids"] == "none" else id_texts(rng, chosen["ids"], n)
    labels = [] if chosen["labels"] == "none" else label_texts(rng, chosen["labels"], n)
    id_columns, label_columns = name_columns(rng, chosen, ids, labels, np.arange(n))
    channel = channel_names(rng, channels, chosen) if channels > 1 else []
    if 1 < channels <= len(CHANNEL_NAMES):
        chosen["numbered"] = False
        channel = [str(name) for name in rng.permutation(CHANNEL_NAMES)[:channels]]
    heads, seconds, open_, unsure = wide_heads(rng, chosen, steps, channel)
    value_columns = []
    for c, name, t in heads:
        texts = [table[c][k][t] if t < lengths[k] else "" for k in range(n)]
        value_columns.append(value_column(name, texts, chosen))
    columns = placed(rng, chosen, id_columns, label_columns, value_columns)
    optional = {"times"}
    if ids and not chosen["usual_id"] and chosen["ids"] != "text":
        optional.add("ids")
    if chosen["labels"] == "other":
        optional.add("labels")
    truth = Truth(
        values,
        channel,
        (ids,) if ids else (),
        labels,
        [] if seconds is None else [seconds[: len(x)] for x in values],
        "" if seconds is None else "date",
        optional=frozenset(optional),
    )
    case = Case(chosen, {}, [truth], open_, unsure, [], columns)
    judge_wide(case, chosen, steps)
    return case


def placed(
    rng: Rng,
    chosen: dict[str, Any],
    ids: list[Column],
    labels: list[Column],
    values: list[Column],
) -> list[Column]:
    """The columns of a wide table in an order: ids, values, and the label somewhere."""
    place = chosen["label_place"]
    extra = extra_columns(rng, chosen, len(values[0].cells))
    if place == "first":
        return [*labels, *ids, *extra, *values]
    if place == "middle" and len(values) > 1:
        return [
            *ids,
            *extra,
            *values[: len(values) // 2],
            *labels,
            *values[len(values) // 2 :],
        ]
    return [*ids, *extra, *values, *labels]


def extra_columns(rng: Rng, chosen: dict[str, Any], rows: int) -> list[Column]:
    """A column of text that is neither id nor label, the same in all rows or different."""
    if chosen["extra"] != "text" or chosen["header"] == "none":
        return []
    if (
        chosen["layout"] == "wide"
        and is_dated(chosen["wide_names"])
        and chance(rng, 0.4)
    ):
        return coordinate_columns(rng, chosen, rows)
    texts = [
        str(pick(rng, ("ok", "checked", "see log", "ok, rainy"))) for _ in range(rows)
    ]
    return [
        Column(pick(rng, ("comment", "remarks", "note")), texts, "text", list(texts))
    ]


def coordinate_columns(rng: Rng, chosen: dict[str, Any], rows: int) -> list[Column]:
    """Where each row was counted, beside columns of days."""
    columns = []
    for name, most in (("Lat", 60), ("Long", 150)):
        texts = [f"{v:.4f}" for v in rng.uniform(-most, most, rows)]
        cells = [written(t, {**chosen, "thousands": ""}) for t in texts]
        columns.append(Column(name, cells, "extra", list(map(float, texts))))
    return columns


def wide_heads(
    rng: Rng, chosen: dict[str, Any], steps: int, channel: list[str]
) -> tuple[list[tuple[int, str, int]], Array | None, list[str], list[str]]:
    """(channel, name, timestep) of each column of values in the order of the file, and times."""
    open_: list[str] = []
    unsure: list[str] = []
    seconds = None
    if channel:
        form = pick(rng, ("{}_{}", "{}.{}", "{}_t{}"))
        first = int(pick(rng, (0, 1)))
        heads = [
            (c, form.format(name, t + first), t)
            for c, name in enumerate(channel)
            for t in range(steps)
        ]
        if chance(rng, 0.3):
            heads.sort(key=lambda head: (head[2], head[0]))
        if chosen["numbered"]:
            unsure.append("names with two numbers")
    else:
        names, seconds = step_names(rng, chosen["wide_names"], steps)
        heads = [(0, name, t) for t, name in enumerate(names)]
        if chosen["order"] == "descending":
            heads.reverse()
        elif chosen["order"] == "shuffled":
            heads = [heads[k] for k in rng.permutation(steps)]
        judge_heads(chosen, heads, seconds, open_, unsure)
    return heads, seconds, open_, unsure


def judge_heads(
    chosen: dict[str, Any],
    heads: list[tuple[int, str, int]],
    seconds: Array | None,
    open_: list[str],
    unsure: list[str],
) -> None:
    """Whether day and month follow from the names of the columns."""
    names = chosen["wide_names"]
    if names in ("m/d/y", "d/m/Y") and seconds is not None:
        when = [moments(seconds)[t] for _, _, t in heads]
        other = swapped(when)
        if other is None:
            return
        if chosen["order"] == "sorted" and other != sorted(other):
            unsure.append("only the order of the columns tells day from month")
        elif (
            chosen["order"] == "sorted"
            and len({b - a for a, b in itertools.pairwise(other)}) > 1
        ):
            unsure.append("only equal steps of the columns tell day from month")
        else:
            open_.append("day and month of the columns can be exchanged")
    if names in ("0", "year", "yyyymmdd", "V1", "h"):
        unsure.append("columns are named by numbers")


def step_names(rng: Rng, kind: str, steps: int) -> tuple[list[str], Array | None]:
    """Names of the timesteps of a wide table, and their seconds since 1970."""
    if kind in ("t0", "0", "value_1", "V1"):
        form, first = {
            "t0": ("t{}", 0),
            "0": ("{}", 0),
            "value_1": ("value_{}", 1),
            "V1": ("V{}", 1),
        }[kind]
        return [form.format(k + first) for k in range(steps)], None
    if kind == "Jan":
        return list(MONTHS), None
    if kind == "hour":
        return [f"{k:02d}:00" for k in range(24)], None
    if kind == "h":
        return [f"h{k}" for k in range(24)], None
    start = np.datetime64(
        f"{rng.integers(1990, 2023)}-{rng.integers(1, 13):02d}-{rng.integers(1, 29):02d}"
    )
    if kind == "year":
        stamps = start.astype("datetime64[Y]") + np.arange(steps)
        return [str(s) for s in stamps], in_seconds(stamps)
    if kind in ("yyyy-mm", "Mon-yy", "Mon Y"):
        stamps = start.astype("datetime64[M]") + np.arange(steps)
        when = [s.astype(datetime) for s in stamps]
        form = {"yyyy-mm": "%Y-%m", "Mon-yy": "%b-%y", "Mon Y": "%b %Y"}[kind]
        return [t.strftime(form) for t in when], in_seconds(stamps)
    stamps = start + np.arange(steps) * int(pick(rng, (1, 1, 1, 7)))
    when = [s.astype(datetime) for s in stamps]
    if kind == "m/d/y":
        names = [f"{t.month}/{t.day}/{t.strftime('%y')}" for t in when]
    else:
        form = {
            "iso": "%Y-%m-%d",
            "isoT": "%Y-%m-%d %H:%M:%S",
            "d/m/Y": "%d/%m/%Y",
            "d.m.Y": "%d.%m.%Y",
            "yyyymmdd": "%Y%m%d",
            "X.date": "X%Y.%m.%d",
        }[kind]
        names = [datetime(t.year, t.month, t.day).strftime(form) for t in when]
    return names, in_seconds(stamps)


def in_seconds(stamps: Array) -> Array:
    return stamps.astype("datetime64[s]").astype(float)


def judge_wide(case: Case, chosen: dict[str, Any], steps: int) -> None:
    """What does not follow from a wide table."""
    names = chosen["wide_names"]
    if (steps < 3 or chosen["n"] < 2) and not is_dated(names):
        case.unsure.append("few timesteps or series")
    if names in ("t0", "0", "value_1", "V1", "h") and chosen["order"] != "sorted":
        case.unsure.append("numbered columns out of order")
    if chosen["labels"] == "NA":
        case.refusable.append("a label NA")
    if names == "V1" and chosen["header"] != "none":
        case.unsure.append("V1 is a usual name of anything")
    if chosen["header"] != "none":
        return
    texts = any(c.role != "value" for c in case.columns)
    values = [c for c in case.columns if c.role == "value"]
    decimals = all(
        proof(cell) for c in values for cell in c.cells if re.search(r"\d", cell)
    )
    if chosen["labels"] == "numbers" and not decimals:
        case.open.append("a label that is a number, without a header")
    elif not texts and 3 < len(values) <= 16:
        case.open.append("numbers without a header")
    else:
        case.unsure.append("no header")


def long_rows(
    rng: Rng, chosen: dict[str, Any], lengths: list[int]
) -> tuple[Array, Array]:
    """(series, timestep) of each row in the order of the file."""
    series = np.repeat(np.arange(len(lengths)), lengths)
    step = np.concatenate([np.arange(n) for n in lengths])
    if chosen["order"] == "descending":
        order = np.lexsort((-step, series))
    elif chosen["order"] == "shuffled":
        order = rng.permutation(len(series))
    elif chance(rng, 0.3):
        order = np.lexsort((series, step))  # interleaved
    else:
        order = np.arange(len(series))
    return series[order], step[order]


def long_case(rng: Rng, chosen: dict[str, Any]) -> Case:
    """A row is a timestep of a series, or of the only one."""
    recording = chosen["layout"] in ("recording", "folder")
    n = chosen["n"]
    lengths = [chosen["steps"]] * n
    if chosen["lengths"] == "unequal":
        lengths = [int(v) for v in rng.integers(2, chosen["steps"] + 1, n)]
    table = measured(rng, chosen, lengths)
    clock = clocks(rng, chosen, lengths)
    rows, steps = long_rows(rng, chosen, lengths)
    ids = [] if recording else id_texts(rng, chosen["ids"], n)
    labels = [] if chosen["labels"] == "none" else label_texts(rng, chosen["labels"], n)
    id_columns, label_columns = name_columns(rng, chosen, ids, labels, rows)
    seconds = (
        np.array([clock.seconds[k][t] for k, t in zip(rows, steps, strict=True)])
        if clock.kind
        else np.array([])
    )
    times = time_columns(rng, chosen, clock, seconds)
    names = channel_names(rng, chosen["channels"], chosen)
    values = []
    for name, channel in zip(names, table, strict=True):
        texts = [channel[k][t] for k, t in zip(rows, steps, strict=True)]
        values.append(value_column(name, texts, chosen))
    extra = extra_columns(rng, chosen, len(rows))
    columns = [*id_columns, *times, *extra, *values, *label_columns]
    if chosen["columns"] == "shuffled":
        columns = [columns[k] for k in rng.permutation(len(columns))]
    truth = Truth(
        as_numbers(table),
        [] if chosen["header"] == "none" else names,
        (ids,) if ids else (),
        labels,
        clock.seconds,
        clock.kind,
        optional=frozenset({"labels"} if chosen["labels"] == "other" else set()),
    )
    truth = in_stamps(truth, chosen)
    case = Case(chosen, {}, [truth], [], [], [], columns, rows.tolist())
    judge_long(case, chosen, rows, seconds)
    return case


def in_stamps(truth: Truth, chosen: dict[str, Any]) -> Truth:
    """Times as the file has them, where they are numbers since some day."""
    if chosen["dates"] == "excel":
        times = [np.round(EXCEL_EPOCH + s / DAY, 6) for s in truth.times]
        return replace(truth, times=times, clock="number")
    return truth


def judge_long(case: Case, chosen: dict[str, Any], rows: Array, seconds: Array) -> None:
    """What does not follow from a table of timesteps."""
    if chosen["labels"] == "NA":
        case.refusable.append("a label NA")
    if chosen["header"] == "none":
        judge_unnamed(case, chosen)
    if chosen["layout"] == "long":
        whole = any(
            c.role == "value" and all(map(str.isdigit, c.cells)) for c in case.columns
        )
        if whole and not chosen["usual_id"] and chosen["ids"] in ("numbers", "large"):
            case.unsure.append("an id of numbers beside a channel of whole numbers")
        disjoint = not chosen["usual_id"] and (
            not chosen["shared_start"] or not len(seconds)
        )
        if disjoint or chosen["n"] < 2:
            case.unsure.append("an id that only its name or little else tells")
    if chosen["layout"] != "long" and not len(seconds):
        folder = chosen["layout"] == "folder"
        named = any(c.name.startswith("ch") and c.role == "value" for c in case.columns)
        if chosen["numbered"] and chosen["channels"] >= 5 and not (folder or named):
            case.open.append("numbered columns without a time: channels or timesteps")
        else:
            case.unsure.append("rows without a time")
    if chosen.get("odd_time"):
        case.unsure.append("a time that is a number under an odd name")
    if chosen["dates"] == "clock":
        case.unsure.append("a clock without a day")
    dated(case, chosen, rows, seconds)


def dated(case: Case, chosen: dict[str, Any], rows: Array, seconds: Array) -> None:
    """Judge the dates of a table of rows."""
    kind = chosen["dates"]
    if kind == "date+clock":
        kind = chosen["day_writing"]
    if len(seconds):
        when = moments(seconds)
        judge_dates(
            case,
            kind,
            [[when[i] for i in np.flatnonzero(rows == k)] for k in range(chosen["n"])],
        )


def judge_unnamed(case: Case, chosen: dict[str, Any]) -> None:
    if chosen["dates"] == "none" and 3 < chosen["channels"] <= 16:
        case.open.append("numbers without a header")
    else:
        case.unsure.append("no header")


def tidy_case(rng: Rng, chosen: dict[str, Any]) -> Case:
    """A row is a value: (id, time, channel, value)."""
    n = chosen["n"]
    lengths = [chosen["steps"]] * n
    if chosen["lengths"] == "unequal":
        lengths = [int(v) for v in rng.integers(2, chosen["steps"] + 1, n)]
    chosen["missing"] = "none"
    table = measured(rng, chosen, lengths)
    clock = clocks(rng, chosen, lengths)
    ids = id_texts(rng, chosen["ids"], n)
    count = chosen["channels"]
    names = channel_names(rng, count, chosen)
    rows, steps = long_rows(rng, chosen, lengths)
    rows, steps = np.repeat(rows, count), np.repeat(steps, count)
    which = np.resize(np.arange(count), len(rows))
    if chosen["order"] == "shuffled":
        order = rng.permutation(len(rows))
        rows, steps, which = rows[order], steps[order], which[order]
    seconds = np.array([clock.seconds[k][t] for k, t in zip(rows, steps, strict=True)])
    times = time_columns(rng, chosen, clock, seconds)
    id_columns, _ = name_columns(rng, chosen, ids, [], rows)
    plain = chance(rng, 0.85)
    pairs = (
        ("sensor", "value"),
        ("variable", "value"),
        ("parameter", "reading"),
        ("channel", "value"),
    )
    channel_name, value_name = pick(rng, pairs) if plain else ("kind", "amount")
    channels = [names[c] for c in which]
    texts = [table[c][k][t] for c, k, t in zip(which, rows, steps, strict=True)]
    columns = [
        *id_columns,
        *times,
        Column(channel_name, channels, "channel", list(channels)),
        value_column(value_name, texts, chosen),
    ]
    if chosen["columns"] == "shuffled":
        columns = [columns[k] for k in rng.permutation(len(columns))]
    truth = Truth(as_numbers(table), names, (ids,), [], clock.seconds, clock.kind)
    case = Case(chosen, {}, [in_stamps(truth, chosen)], [], [], [], columns)
    if not plain:
        case.unsure.append("a column of channels under an odd name")
    if n < 2:
        case.unsure.append("a single series")
    if chosen.get("odd_time"):
        case.unsure.append("a time that is a number under an odd name")
    dated(case, chosen, rows, seconds)
    return case


def pivot_case(rng: Rng, chosen: dict[str, Any]) -> Case:
    """A row is a channel of a series, its columns are times, as the World Bank has it."""
    n, count, steps = chosen["n"], chosen["channels"], min(chosen["steps"], 60)
    table = measured(rng, {**chosen, "missing": "none"}, [steps] * n)
    ids = id_texts(rng, chosen["ids"], n)
    names = channel_names(rng, count, chosen)
    heads, seconds, open_, unsure = wide_heads(rng, chosen, steps, [])
    rows, which = np.repeat(np.arange(n), count), np.resize(np.arange(count), n * count)
    id_columns, _ = name_columns(rng, chosen, ids, [], rows)
    channels = [names[c] for c in which]
    columns = [
        *id_columns,
        Column(pick(rng, ("indicator", "variable")), channels, "channel", channels),
    ]
    for _, name, t in heads:
        texts = [table[c][k][t] for c, k in zip(which, rows, strict=True)]
        columns.append(value_column(name, texts, chosen))
    values = as_numbers(table)
    times = [seconds] * n if seconds is not None else []
    clock = "" if seconds is None else "date"
    optional = frozenset({"times"})
    truth = Truth(values, names, (ids,), [], times, clock, optional=optional)
    flat = [values[k][:, [c]] for c, k in zip(which, rows, strict=True)]
    single = Truth(
        flat,
        [],
        (),
        [],
        [t for t in times for _ in range(count)],
        clock,
        optional=optional,
    )
    unsure.append("a row for each channel of each series")
    return Case(chosen, {}, [truth, single], open_, unsure, [], columns)


def tracks_case(rng: Rng, chosen: dict[str, Any]) -> Case:
    """A row is a fix."""
    n = chosen["n"]
    steps = max(3, chosen["steps"])
    lengths = [steps] * n
    if chosen["lengths"] == "unequal":
        lengths = [int(v) for v in rng.integers(2, steps + 1, n)]
    chosen.update(jitter=False, channels=1)
    clock = clocks(rng, chosen, lengths)
    places = []
    for length in lengths:
        start = rng.uniform((-20, -40), (40, 60))
        places.append(
            np.round(start + 1e-3 * rng.normal(size=(length, 2)).cumsum(0), 5)
        )
    rows, order = long_rows(rng, chosen, lengths)
    ids = id_texts(rng, chosen["ids"], n)
    labels = [] if chosen["labels"] == "none" else label_texts(rng, "text", n)
    id_columns, label_columns = name_columns(rng, chosen, ids, labels, rows)
    seconds = np.array([clock.seconds[k][t] for k, t in zip(rows, order, strict=True)])
    times = time_columns(rng, chosen, clock, seconds)
    here = np.array([places[k][t] for k, t in zip(rows, order, strict=True)])
    columns = [*id_columns, *times, *place_columns(rng, chosen, here), *label_columns]
    if chosen["columns"] == "shuffled":
        columns = [columns[k] for k in rng.permutation(len(columns))]
    truth = Truth([], [], (ids,), labels, clock.seconds, clock.kind, places)
    case = Case(chosen, {}, [in_stamps(truth, chosen)], [], [], [], columns)
    if n < 2:
        case.unsure.append("a single track")
    if not chosen["usual_id"]:
        case.unsure.append("an odd name of the id")
    if chosen.get("odd_time"):
        case.unsure.append("a time that is a number under an odd name")
    dated(case, chosen, rows, seconds)
    return case


def place_columns(rng: Rng, chosen: dict[str, Any], here: Array) -> list[Column]:
    """Longitude and latitude as two columns, or as one of points."""
    if chance(rng, 0.1) and chosen["sep"] not in " " and chosen["decimal"] == ".":
        texts = [f"POINT ({x:.5f} {y:.5f})" for x, y in here]
        return [
            Column(
                pick(rng, ("geometry", "wkt", "location")), texts, "text", list(texts)
            )
        ]
    pairs = (("lat", "lon"), ("latitude", "longitude"), ("LAT", "LON"), ("Lat", "Lng"))
    north, east = pick(rng, pairs)
    columns = []
    for name, values in ((north, here[:, 1]), (east, here[:, 0])):
        texts = [written(f"{v:.5f}", {**chosen, "thousands": ""}) for v in values]
        columns.append(Column(name, texts, "place", list(values)))
    return columns


CASES = {
    "wide": wide_case,
    "long": long_case,
    "recording": long_case,
    "folder": long_case,
    "tidy": tidy_case,
    "pivot": pivot_case,
    "tracks": tracks_case,
}


# Files


def draw(seed: int, number: int) -> Case:
    """The case of this number."""
    rng = np.random.default_rng([seed, number])
    chosen = recipe(rng)
    chosen["number"] = number
    case = CASES[chosen["layout"]](rng, chosen)
    judge_numbers(case, chosen)
    clear = not case.refusable
    if clear and chosen["layout"] in ("long", "recording") and chance(rng, 0.04):
        dress(rng, case)
    if chosen["layout"] == "folder":
        case.files = folder_files(rng, case)
    else:
        cells = itertools.chain.from_iterable([c.name, *c.cells] for c in case.columns)
        if chosen["quotes"] != "minimal" or any(
            chosen["sep"] in cell or not cell for cell in cells
        ):
            chosen["padded"] = False
        case.files = {file_name(rng, chosen): table_bytes(rng, case.columns, chosen)}
    return case


def dress(rng: Rng, case: Case) -> None:
    """Give the numbers of a column a unit."""
    column = next(c for c in case.columns if c.role == "value")
    form = str(pick(rng, ("{} %", "{}%", "${}", "{} kg", "{} €")))
    column.cells = [
        form.format(cell) if re.search(r"\d", cell) else cell for cell in column.cells
    ]
    case.recipe["dressed"] = form
    case.refusable.append(f"numbers such as {form.format(1)}")


def file_name(rng: Rng, chosen: dict[str, Any]) -> str:
    suffix = ".csv"
    if chosen["sep"] != "," and chosen["header"] != "none" and chance(rng, 0.4):
        suffix = ".tsv" if chosen["sep"] == "\t" else ".txt"
    return "table" + suffix + (".gz" if chosen["gzip"] else "")


def folder_files(rng: Rng, case: Case) -> dict[str, bytes]:
    """A file for each series."""
    names = [f"run{k}.csv" for k in range(case.recipe["n"])]
    files = {}
    for k, name in enumerate(names):
        rows = [i for i, series in enumerate(case.rows) if series == k]
        columns = [
            Column(
                c.name, [c.cells[i] for i in rows], c.role, [c.typed[i] for i in rows]
            )
            for c in case.columns
        ]
        files[f"runs/{name}"] = table_bytes(rng, columns, case.recipe)
    case.truths = [replace(case.truths[0], ids=(names,))]
    return files


def table_bytes(rng: Rng, columns: list[Column], chosen: dict[str, Any]) -> bytes:
    """The table as the bytes of a file."""
    names = [column.name for column in columns]
    rows = [
        list(row) for row in zip(*(column.cells for column in columns), strict=True)
    ]
    if chosen["header"] == "index":
        start = int(pick(rng, (0, 1)))
        names.insert(0, pick(rng, ("", "", "Unnamed: 0")))
        for k, row in enumerate(rows):
            row.insert(0, str(k + start))
    if chosen["extra"] == "empty":
        names.append("")
        for row in rows:
            row.append("")
    lines = [] if chosen["header"] == "none" else [names]
    if chosen["header"] == "units":
        lines.append(
            [unit(column) for column in columns] + [""] * (len(names) - len(columns))
        )
    text = "\n".join([*before(rng, chosen), joined([*lines, *rows], chosen)])
    text += after(rng, chosen)
    return encoded(text, chosen)


def unit(column: Column) -> str:
    """What a row of units says of a column."""
    if column.role == "value":
        return UNITS.get(column.name, "V")
    return {"time": "yyyy-mm-dd", "place": "deg"}.get(column.role, "")


def joined(rows: list[list[str]], chosen: dict[str, Any]) -> str:
    """Rows as text, with quotes where the dialect has them."""
    quoting = {
        "minimal": csv.QUOTE_MINIMAL,
        "all": csv.QUOTE_ALL,
        "texts": csv.QUOTE_NONNUMERIC,
    }[chosen["quotes"]]
    if chosen["padded"]:
        return padded(rows, chosen["sep"])
    buffer = io.StringIO()
    writer = csv.writer(
        buffer, delimiter=chosen["sep"], quoting=quoting, lineterminator="\n"
    )
    if chosen["quotes"] != "texts":
        writer.writerows(rows)
        return buffer.getvalue()
    for row in rows:
        writer.writerow(
            [Bare(cell) if NUMBER.fullmatch(cell) else cell for cell in row]
        )
    return buffer.getvalue()


def padded(rows: list[list[str]], sep: str) -> str:
    """Rows of right-aligned cells, or with a space after each separator."""
    if sep != " ":
        return "".join(f"{sep} ".join(row) + "\n" for row in rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.rjust, row, widths)) for row in rows]
    return "".join(f"{line}\n" for line in lines)


NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?(E-?\d+)?")


class Bare(float):
    """A number that the csv module writes as its text, without quotes."""

    text: str

    def __new__(cls, text: str) -> Bare:
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __repr__(self) -> str:
        return self.text

    __str__ = __repr__


def before(rng: Rng, chosen: dict[str, Any]) -> list[str]:
    """Lines above the header."""
    if chosen["header"] == "preamble":
        return list(
            pick(
                rng,
                (
                    ["Data exported from Station Monitor 4.2"],
                    ["World Development Indicators", "Last updated: 2024-03-28", ""],
                    [
                        f"Device:{chosen['sep']}Logger 7",
                        f"Serial:{chosen['sep']}00123",
                        "",
                    ],
                ),
            )
        )
    if chosen["header"] == "comments":
        mark = pick(rng, ("#", "#", "%", "//"))
        return [f"{mark} recorded with a logger", f"{mark} unit: see manual"][
            : rng.integers(1, 3)
        ]
    return []


def after(rng: Rng, chosen: dict[str, Any]) -> str:
    """Lines below the table."""
    if chosen["header"] != "footer":
        return ""
    return str(
        pick(rng, ("\nSource: Office of Statistics\n", "# end of file\n", "\n\n"))
    )


def encoded(text: str, chosen: dict[str, Any]) -> bytes:
    """Text as bytes; an encoding that lacks a character gives way to UTF-8."""
    text = text.replace("\n", chosen["newline"])
    try:
        raw = text.encode(chosen["encoding"])
    except UnicodeEncodeError:
        raw = text.encode("utf-8")
    return gzip.compress(raw, mtime=0) if chosen["gzip"] else raw
