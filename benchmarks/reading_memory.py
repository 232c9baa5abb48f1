"""How much memory does a text table take while it is read, in bytes per byte of file?

python benchmarks/reading_memory.py [--megabytes 50] [--kinds long wide ...]

Each table is written to a file and read by a fresh process, which reports its resident memory
after the imports and at the peak. The sequences that come out are counted: float32 values of text
of four characters are as large as the text.

long     id and time as whole numbers, three columns of decimals; 1,000 timesteps a series
dates    an id of text, dates, two columns of decimals; 10,000 timesteps a series
wide     a row is a series of 200 decimals
short    whole numbers of one or two digits: twice as many numbers a byte
text     the same, with a column of free text and one of two words
comma    the same as dates, with decimal commas and semicolons
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from results import markdown_table, parser_of

CHUNK = 20_000  # rows that are made at once
STATUS = Path("/proc/self/status")
CHILD = """
import json, sys, time
from pathlib import Path
sys.path.insert(0, {folder!r})
from reading_memory import memory, options_of
import pandas, pyarrow
from temporal_jepa.data import read
before = memory("VmRSS")
began = time.perf_counter()
found = read({path!r}, **options_of({kind!r}))
seconds = time.perf_counter() - began
kept = sum(x.nbytes for x in found.values)
shape = [len(found), int(found.lengths.sum()), found.n_channels]
print(json.dumps([memory("VmHWM") - before, kept / 1e6, seconds, shape]))
"""


def memory(name: str) -> float:
    """A line of /proc/self/status, in MB."""
    for line in STATUS.read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024 * 1.048576
    raise ValueError(f"no {name} in {STATUS}")


def options_of(kind: str) -> dict[str, str]:
    """Options of `read` for a table."""
    return {"layout": "recording"} if kind == "short" else {}


def header(kind: str) -> str:
    """The first line of a table."""
    if kind == "wide":
        return ",".join(["id", *(f"t{k}" for k in range(200))])
    if kind == "short":
        return ",".join(f"channel{k}" for k in range(12))
    names = ["id", "time", "a", "b", *(["c"] if kind == "long" else [])]
    names += ["comment", "state"] if kind == "text" else []
    return (";" if kind == "comma" else ",").join(names)


def chunk(kind: str, start: int, rng: np.random.Generator) -> list[str]:
    """Rows of a table from number `start` on."""
    if kind == "wide":
        table = np.round(rng.normal(size=(CHUNK // 50, 200)), 3)
        return [
            ",".join([f"s{start + k}", *map(str, row)])
            for k, row in enumerate(table.tolist())
        ]
    if kind == "short":
        return [
            ",".join(map(str, row)) for row in rng.integers(0, 60, (CHUNK, 12)).tolist()
        ]
    if kind == "long":
        values = np.round(rng.normal(size=(CHUNK, 3)).cumsum(0), 5).tolist()
        rows = [
            f"{(start + k) // 1000},{k % 1000}," + ",".join(map(str, row))
            for k, row in enumerate(values)
        ]
        return rows
    first = np.datetime64("2020-01-01T00:00:00")
    times = (first + (start + np.arange(CHUNK))).astype(str).tolist()
    values = np.round(rng.normal(size=(CHUNK, 2)).cumsum(0) + 20, 3).tolist()
    rows = []
    for k, (moment, (a, b)) in enumerate(zip(times, values, strict=True)):
        cells = [f"unit{(start + k) // 10_000}", moment.replace("T", " ")]
        cells += [str(a), str(b)]
        if kind == "text":
            cells += [f"seen by {k * 7919 % 10007} at {start}", ("ok", "late")[k % 2]]
        if kind == "comma":
            cells[2:] = [cell.replace(".", ",") for cell in cells[2:]]
        rows.append((";" if kind == "comma" else ",").join(cells))
    return rows


def lines(kind: str, size: float) -> Iterator[str]:
    """The lines of a table of about `size` bytes, in chunks."""
    rng = np.random.default_rng(0)
    yield header(kind) + "\n"
    written = start = 0
    while written < size:
        rows = chunk(kind, start, rng)
        text = "\n".join(rows) + "\n"
        start += len(rows)
        written += len(text)
        yield text


def measure(path: Path, kind: str) -> tuple[float, float, float, list[int]]:
    """MB above the imports at the peak, MB of values kept, seconds, and the shape, of one read."""
    code = CHILD.format(folder=str(Path(__file__).parent), path=str(path), kind=kind)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    peak, kept, seconds, shape = json.loads(done.stdout.splitlines()[-1])
    return peak, kept, seconds, shape


def main() -> None:
    """Write each table, read it in a fresh process, and print bytes of memory per byte."""
    parser = parser_of(__doc__)
    kinds = ("long", "dates", "wide", "short", "text", "comma")
    parser.add_argument("--megabytes", type=float, default=50)
    parser.add_argument("--kinds", nargs="*", default=kinds, choices=kinds)
    options = parser.parse_args()
    rows = []
    for kind in options.kinds:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{kind}.csv"
            with path.open("w") as file:
                file.writelines(lines(kind, options.megabytes * 1e6))
            size = path.stat().st_size / 1e6
            began = time.perf_counter()
            peak, kept, seconds, shape = measure(path, kind)
        rows.append(
            [
                kind,
                f"{size:.0f}",
                " x ".join(map(str, shape)),
                f"{peak:.0f}",
                f"{peak / size:.2f}",
                f"{kept / size:.2f}",
                f"{seconds:.1f}",
            ]
        )
        print(rows[-1], f"{time.perf_counter() - began:.0f} s", file=sys.stderr)
    head = ["table", "MB", "series x rows x channels", "peak MB", "per byte"]
    print(markdown_table([*head, "of it values", "seconds"], rows))


if __name__ == "__main__":
    main()
