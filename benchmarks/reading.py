"""Is a table read as what it is? Thousands of tables with the truth known are written and read.

python benchmarks/reading.py [--n 5000] [--seed 0] [--out results.json] [--case NUMBER]

`tables.py` draws each table: a layout in a dialect, with times, header, ids and labels in one of
many writings. It is written to a file and read without any option. The outcome is one of

right      the values, ids, labels, channels, order and times are those of the table;
asked      an `AmbiguousError`: one, and only one, of the readings it offers must be right;
refused    another error, which is counted by its kind;
guessed    right, where the truth does not follow from the file;
wrong      anything else: read as another table, a crash, an error that offers no right reading.

A tenth of the tables is also read from memory, as frames of pandas, polars and pyarrow.
--case shows one table, how it was read and what differs.
"""

from __future__ import annotations

import json
import signal
import sys
import tempfile
import time
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from results import markdown_table, parser_of
from tables import Case, Truth, draw

from temporal_jepa.data import read
from temporal_jepa.data.tables.readings import AmbiguousError

OUTCOMES = ("right", "asked", "refused", "guessed", "wrong")
LIMIT = 20  # seconds after which a table counts as hung
DEPTH = 4  # questions in a row


@dataclass
class Result:
    """What came of one table: an outcome, why, and what the reader said."""

    number: int
    outcome: str
    why: str
    layout: str
    source: str = "file"
    expected: str = "follows"
    said: str = ""


# Comparing


def difference(found: Any, truth: Truth) -> str:
    """The first thing in which sequences differ from the truth, "" if nothing does."""
    count = len(truth.places or truth.values)
    if len(found) != count:
        return f"{len(found)} series, not {count}"
    order, problem = matched(found, truth)
    if problem:
        return problem
    checks = (
        (differing_places,) if truth.places else (differing_channels, differing_values)
    )
    for check in (*checks, differing_labels, differing_times):
        problem = check(found, truth, order)
        if problem:
            return problem
    return ""


def matched(found: Any, truth: Truth) -> tuple[list[int], str]:
    """For each series of the truth the one that was found, by id or else by position."""
    straight = list(range(len(found)))
    if not truth.ids:
        return straight, ""
    for ids in truth.ids:
        if sorted(ids) == sorted(found.ids):
            return [found.ids.index(name) for name in ids], ""
    if len(found) == 1 or (
        "ids" in truth.optional and found.ids == list(map(str, straight))
    ):
        return straight, ""
    return straight, f"ids {found.ids[:3]}, not {truth.ids[0][:3]}"


def differing_channels(found: Any, truth: Truth, order: list[int]) -> str:
    width = truth.values[0].shape[1]
    if found.n_channels != width:
        return f"{found.n_channels} channels, not {width}: {found.channels[:6]}"
    if truth.channels and sorted(plain(found)) != sorted(truth.channels):
        return f"channels {found.channels[:4]}, not {truth.channels[:4]}"
    return ""


def plain(found: Any) -> list[str]:
    """The names of the channels, "load" where columns are called load_t0, load_t1, ..."""
    return [name.removesuffix("_t") for name in found.channels]


def differing_values(found: Any, truth: Truth, order: list[int]) -> str:
    columns = list(range(found.n_channels))
    if truth.channels:
        columns = [plain(found).index(name) for name in truth.channels]
    for k, values in zip(order, truth.values, strict=True):
        got = found.values[k][:, columns]
        if got.shape != values.shape:
            return f"{len(got)} timesteps, not {len(values)}, in {found.ids[k]!r}"
        if not np.allclose(
            got, values.astype(got.dtype), rtol=2e-7, atol=0, equal_nan=True
        ):
            same = np.allclose(
                np.sort(got, 0), np.sort(values, 0), rtol=1e-5, equal_nan=True
            )
            return "values in another order" if same else "other values"
    return ""


def differing_places(found: Any, truth: Truth, order: list[int]) -> str:
    if found.places is None:
        return "no places"
    for k, places in zip(order, truth.places, strict=True):
        got = found.places[k]
        if got.shape != places.shape:
            return f"{len(got)} fixes, not {len(places)}"
        if not np.allclose(got, places, rtol=0, atol=1e-7):
            return "other places"
    return ""


def differing_labels(found: Any, truth: Truth, order: list[int]) -> str:
    if not truth.labels:
        return (
            ""
            if found.labels is None
            else f"labels {found.labels[:3].tolist()}, not none"
        )
    if found.labels is None:
        return "" if "labels" in truth.optional else "no labels"
    got = [str(found.labels[k]) for k in order]
    if got != truth.labels and got == [
        f"{float(t):g}" for t in truth.labels if "." in t
    ]:
        return ""
    return "" if got == truth.labels else f"labels {got[:4]}, not {truth.labels[:4]}"


def differing_times(found: Any, truth: Truth, order: list[int]) -> str:
    if truth.clock in ("", "order"):
        return ""
    if found.times is None:
        return "" if "times" in truth.optional else "no times"
    for k, times in zip(order, truth.times, strict=True):
        got = found.times[k]
        dated = got.dtype.kind == "M"
        seconds = (
            got.astype("datetime64[us]").astype(float) / 1e6
            if dated
            else got.astype(float)
        )
        if not same_times(seconds, times, truth.clock, dated, bool(truth.places)):
            return f"times {got[:3]}, not {times[:3]}"
    return ""


def same_times(got: Any, times: Any, clock: str, dated: bool, relative: bool) -> bool:
    """Whether times are those of the truth; epochs may come as numbers or as dates."""
    if len(got) != len(times):
        return False
    units = (1.0,) if dated else (1.0, 1e3)
    if clock == "date" and not dated and np.all((got > 1900) & (got < 2200)):
        years = np.datetime64("1970") + (got - 1970).astype("timedelta64[Y]")
        return bool(np.all(years.astype("datetime64[s]").astype(float) == times))
    if clock == "number" and dated:
        return bool(np.all(np.diff(got) > 0) == np.all(np.diff(times) > 0))
    if relative and clock == "date" and not dated:
        got, times = got - got[0], times - times[0]
    return any(np.allclose(got / unit, times, rtol=0, atol=2e-3) for unit in units)


# Reading


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """TimeoutError after so many seconds."""

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def attempt(
    data: Any, case: Case, options: dict[str, Any], depth: int = 0
) -> tuple[str, str, str]:
    """(outcome, why, what the reader said) of reading with these options."""
    try:
        with at_most(LIMIT):
            found = read(data, **options)
    except AmbiguousError as error:
        if depth == DEPTH:
            return "wrong", "asks without end", str(error)
        return answered(data, case, options, error, depth)
    except (ValueError, OSError) as error:
        return "refused", str(error), str(error)
    except Exception as error:  # noqa: BLE001 - a crash is an outcome
        return (
            "wrong",
            f"crash: {type(error).__name__}",
            f"{type(error).__name__}: {error}",
        )
    problems = [difference(found, truth) for truth in case.truths]
    if "" in problems:
        return "right", "", "; ".join(found.notes)
    return "wrong", problems[0], "; ".join(found.notes)


def answered(
    data: Any, case: Case, options: dict[str, Any], error: AmbiguousError, depth: int
) -> tuple[str, str, str]:
    """The outcome of a question: right if exactly one of its answers is."""
    outcomes = []
    for reading in error.readings:
        options_then = {**options, **reading.options}
        if options_then == options:
            return "wrong", "asks what was answered", str(error)
        outcomes.append(attempt(data, case, options_then, depth + 1))
    if case.refusable and all(outcome == "refused" for outcome, _, _ in outcomes):
        return outcomes[0]
    right = sum(outcome in ("right", "asked") for outcome, _, _ in outcomes)
    if right == 1:
        return "asked", str(error).splitlines()[0], str(error)
    answers = "; ".join(f"{outcome} ({why[:80]})" for outcome, why, _ in outcomes)
    if right == 0 and any(outcome == "refused" for outcome, _, _ in outcomes):
        return "wrong", "asks, and refuses the answers", f"{error}\n{answers}"
    return (
        "wrong",
        f"asks, {right or 'none'} of the answers right",
        f"{error}\n{answers}",
    )


def judged(case: Case, data: Any, source: str) -> Result:
    """The outcome of one table."""
    outcome, why, said = attempt(data, case, {})
    if outcome in ("refused", "wrong", "asked") and "dressed" in case.recipe:
        outcome, why, said = stripped(data, case, why, said)
    if outcome == "right" and case.open:
        outcome, why = "guessed", case.open[0]
    expected = "open" if case.open else "unsure" if case.unsure else "follows"
    if case.refusable:
        expected = "refusable"
    number = case.recipe["number"]
    return Result(number, outcome, why, case.recipe["layout"], source, expected, said)


def stripped(data: Any, case: Case, why: str, said: str) -> tuple[str, str, str]:
    """The outcome of a table with units: refused, and right once they are stripped."""
    then, reason, said_then = attempt(data, case, {"strip_units": True})
    if then in ("right", "asked") and "strip_units" in said:
        return "refused", why, said
    return "wrong", f"strip_units: {then}: {reason}", f"{said}\n{said_then}"


def as_frames(case: Case) -> Iterator[tuple[str, Any]]:
    """The table as frames, of numbers and times as such."""
    import pandas as pd

    frame = pd.DataFrame({column.name: column.typed for column in case.columns})
    number = case.recipe["number"]
    yield "pandas", frame if number % 20 else frame.astype(object)
    indices = [
        c.name for role in ("id", "time") for c in case.columns if c.role == role
    ]
    if case.recipe["layout"] in ("long", "recording") and indices:
        yield "index", frame.set_index(indices)
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False)
    yield "pyarrow", table
    import polars as pl

    yield "polars", pl.from_arrow(table)


def run(case: Case, folder: Path) -> list[Result]:
    """The outcomes of a table as a file and, for every tenth, in memory."""
    for name, raw in case.files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(raw)
    data = path.parent if len(case.files) > 1 else path
    results = [judged(case, data, "file")]
    for name in case.files:
        (folder / name).unlink()
    clear = not (case.open or case.unsure or case.refusable)
    named = case.recipe["header"] != "none" and case.recipe["layout"] != "folder"
    if clear and named and case.recipe["number"] % 10 == 0:
        results += [judged(case, data, name) for name, data in as_frames(case)]
    return results


def outcomes(n: int, seed: int = 0) -> list[Result]:
    """The outcomes of tables 0 to n - 1."""
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(n):
            results += run(draw(seed, number), Path(folder))
    return results


# Reporting


def kind(result: Result) -> str:
    """What went wrong, without the names and numbers of the case."""
    words = []
    for word in result.why.split("\n")[0].replace("'", " ").split():
        if not word.endswith(":") or "/" not in word:
            words.append("N" if any(c.isdigit() for c in word) else word)
    return f"{result.layout}: {' '.join(words[:14])}"


def table_of(results: list[Result]) -> str:
    """Counts by layout and outcome."""
    rows = []
    for layout in (*sorted({r.layout for r in results}), "all"):
        some = [r for r in results if layout in (r.layout, "all")]
        counts = Counter(r.outcome for r in some)
        clear = [r for r in some if r.expected == "follows"]
        share = sum(r.outcome == "right" for r in clear) / max(1, len(clear))
        rows.append(
            [layout, len(some), *(counts[o] for o in OUTCOMES), f"{100 * share:.1f} %"]
        )
    return markdown_table(
        ["layout", "tables", *OUTCOMES, "right where it follows"], rows
    )


def listing(
    results: list[Result], seed: int, outcome: str, shown: int = 25
) -> list[str]:
    """The kinds of one outcome, most frequent first, each with its smallest tables."""
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        if result.outcome == outcome:
            groups[kind(result)].append(result)
    lines = []
    for name, members in sorted(groups.items(), key=lambda g: -len(g[1]))[:shown]:
        members.sort(key=lambda r: size(seed, r.number))
        cases = " ".join(
            f"{r.number}{'' if r.source == 'file' else r.source}" for r in members[:4]
        )
        lines.append(f"{len(members):5d}  {name}  [{cases}]")
    return lines


def size(seed: int, number: int) -> int:
    return sum(map(len, draw(seed, number).files.values()))


def shown(case: Case, results: list[Result], lines: int = 8, width: int = 110) -> str:
    """A table, its recipe, and how it was read."""
    usual = {"usual", "none", "sorted", "plain", "minimal", "utf-8", "\n", "equal", ""}
    choices = {
        k: v for k, v in case.recipe.items() if not (isinstance(v, str) and v in usual)
    }
    name, raw = next(iter(case.files.items()))
    if name.endswith(".gz"):
        import gzip

        raw = gzip.decompress(raw)
    encoding = {"utf-16": "utf-16", "cp1252": "cp1252"}.get(
        case.recipe["encoding"], "utf-8"
    )
    text = raw.decode(encoding, errors="replace")
    parts = [
        f"recipe: {choices}",
        f"open: {case.open}, unsure: {case.unsure}",
        f"{name}:",
    ]
    parts += [f"    {line[:width]}" for line in text.splitlines()[:lines]]
    for result in results:
        parts.append(f"{result.source}: {result.outcome}: {result.why[:300]}")
        parts += [f"    {line[:240]}" for line in result.said.splitlines()[:16]]
    return "\n".join(parts)


def examples(results: list[Result], seed: int, kinds: int = 30) -> Iterator[str]:
    """The smallest table of each kind of wrong or guessed reading."""
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        if result.outcome in ("wrong", "guessed"):
            groups[f"{result.outcome}, {kind(result)}"].append(result)
    for name, members in sorted(groups.items(), key=lambda g: -len(g[1]))[:kinds]:
        least = min(members, key=lambda r: size(seed, r.number))
        yield f"### {len(members)} x {name} (--case {least.number}, {least.source})\n\n```\n"
        yield shown(draw(seed, least.number), [least]) + "\n```\n"


def main() -> None:
    """Read tables with the truth known and count the outcomes."""
    parser = parser_of(__doc__)
    parser.add_argument("--n", type=int, default=5000, help="number of tables")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--out", type=Path, help="JSON file of all outcomes that are not right"
    )
    parser.add_argument("--case", type=int, help="show this table and how it is read")
    parser.add_argument(
        "--examples", type=Path, help="Markdown file of the wrong readings"
    )
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.case is not None:
        with tempfile.TemporaryDirectory() as folder:
            case = draw(options.seed, options.case)
            print(shown(case, run(case, Path(folder)), lines=16))
        return
    began = time.perf_counter()
    results = outcomes(options.n, options.seed)
    report = [
        table_of(results),
        f"\n{time.perf_counter() - began:.0f} s, seed {options.seed}",
    ]
    for outcome in ("wrong", "guessed", "refused", "asked"):
        report += [f"\n{outcome}:", *listing(results, options.seed, outcome)]
    print("\n".join(report))
    if options.out:
        kept = [vars(r) for r in results if r.outcome != "right"]
        options.out.write_text(
            json.dumps(
                {"counts": Counter(r.outcome for r in results), "cases": kept}, indent=1
            )
        )
    if options.examples:
        text = "\n".join(examples(results, options.seed))
        options.examples.write_text("```\n" + "\n".join(report) + "\n```\n\n" + text)
    if any(r.outcome in ("wrong", "guessed") for r in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
