"""Stores: speed and memory of `prepare`, of reading, and of training on one larger than memory.

    python benchmarks/store.py csv long.csv 200        # a long table of about 200 MB
    python benchmarks/store.py prepare long.csv S 1    # MB/s beside pandas' parser, peak memory
    python benchmarks/store.py make S 20               # a store of about 20 GB, without a source
    python benchmarks/store.py reading S               # ms a batch, resident memory
    python benchmarks/store.py memory -- COMMAND       # peak memory of a command and its children
    python benchmarks/store.py kinds FOLDER 300        # peak memory for sources of 300 MB each
    python benchmarks/store.py kill small.csv 200      # SIGKILL at random moments, bytes compared

Nothing that it makes belongs into the repository.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from temporal_jepa.data.sequences import Sequences
from temporal_jepa.data.store.prepare import prepare
from temporal_jepa.data.store.writer import StoreWriter

STEPS = 512
BATCH = 64


def csv(path: str, megabytes: str) -> None:
    """A long table of series of 500 timesteps with three channels, seed 0."""
    random_numbers = np.random.default_rng(0)
    size = int(megabytes) * 10**6
    with Path(path).open("w") as file:
        file.write("id,time,a,b,c\n")
        k = 0
        while file.tell() < size:
            x = np.cumsum(random_numbers.normal(size=(500, 3)), axis=0)
            rows = [
                f"s{k},{t},{a:.5f},{b:.5f},{c:.5f}\n"
                for t, (a, b, c) in enumerate(x.tolist())
            ]
            file.write("".join(rows))
            k += 1


def recording(path: Path, rows: int, first: int = 0) -> None:
    """One recording of a value each second in three channels, seed 0."""
    random_numbers = np.random.default_rng(first)
    start = np.datetime64("2020-01-01T00:00:00")
    with path.open("w") as file:
        file.write("time,a,b,c\n")
        for k in range(first, first + rows, 50_000):
            times = np.char.replace(
                (start + np.arange(k, k + 50_000)).astype(str), "T", " "
            )
            x = random_numbers.normal(size=(50_000, 3))
            file.writelines(
                f"{time},{a:.6f},{b:.6f},{c:.6f}\n"
                for time, (a, b, c) in zip(times.tolist(), x.tolist(), strict=True)
            )


def tracks(path: Path, count: int) -> None:
    """Tracks of 1,000 fixes in degrees, seed 0."""
    random_numbers = np.random.default_rng(0)
    with path.open("w") as file:
        file.write("id,time,lon,lat\n")
        for k in range(count):
            steps = random_numbers.normal(0, 1e-4, (1000, 2))
            places = np.add([8.5, 47.3], steps.cumsum(0))
            file.writelines(
                f"t{k},{1_600_000_000 + 5 * t},{lon:.7f},{lat:.7f}\n"
                for t, (lon, lat) in enumerate(places.tolist())
            )


def kinds(place: str, megabytes: str) -> None:
    """Peak memory and time of `prepare` for several kinds of sources, a process for each."""
    folder = Path(place)
    many = folder / "folder"
    many.mkdir(parents=True)
    blocks_of_rows = max(1, int(megabytes) * 10**6 // (49 * 50_000))
    recording(folder / "recording.csv", 50_000 * blocks_of_rows)
    with (
        (folder / "recording.csv").open("rb") as source,
        gzip.open(folder / "packed.csv.gz", "wb", compresslevel=1) as target,
    ):
        shutil.copyfileobj(source, target)
    for k in range(blocks_of_rows):
        recording(many / f"{k:04d}.csv", 50_000, 50_000 * k)
    tracks(folder / "tracks.csv", int(megabytes) * 10**6 // 38_000)
    rows = int(megabytes) * 10**6 // 24
    np.save(folder / "recording.npy", np.random.default_rng(0).normal(size=(rows, 3)))
    for name in (
        "recording.csv",
        "packed.csv.gz",
        "folder",
        "tracks.csv",
        "recording.npy",
    ):
        words = [sys.executable, __file__, "peak", str(folder / name)]
        subprocess.run(words, check=True)


def peak(path: str) -> None:
    """Peak memory and time of one `prepare`."""
    out = f"{path}.store"
    cpu, wall = _prepared(path, out, 1)
    found = Path(path)
    files = found.rglob("*") if found.is_dir() else [found]
    size = sum(file.stat().st_size for file in files) / 1e6
    print(
        f"{found.name}: {size:.0f} MB, {wall:.0f} s, {cpu:.0f} s of the processor, peak memory "
        f"{_status('self', 'VmHWM') / 1e3:.0f} MB",
        flush=True,
    )


def _status(pid: int | str, entry: str) -> int:
    """A number of /proc/PID/status in kB, 0 for a process that is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(entry)), 0)


def _prepared(path: str, out: str, jobs: int) -> tuple[float, float]:
    """CPU seconds of `prepare` with all its processes, and wall seconds."""
    shutil.rmtree(out, ignore_errors=True)
    before = [
        resource.getrusage(who)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    began = time.perf_counter()
    prepare(path, out, jobs=jobs)
    wall = time.perf_counter() - began
    after = [
        resource.getrusage(who)
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    pairs = zip(before, after, strict=True)
    return sum(
        b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime for a, b in pairs
    ), wall


def measure_prepare(path: str, out: str, jobs: str = "1") -> None:
    """`prepare` beside pandas' C parser alone, on the same file in the same process."""
    import pandas as pd

    size = Path(path).stat().st_size / 1e6
    parser = []
    for precision in ("high", "round_trip"):
        began = time.process_time()
        chunks = pd.read_csv(path, chunksize=200_000, float_precision=precision)  # type: ignore[call-overload]
        rows = sum(len(chunk) for chunk in chunks)
        parser.append(time.process_time() - began)
        print(
            f"pandas, float_precision={precision}: {size / parser[-1]:.0f} MB/s, {rows} rows"
        )
    cpu, wall = _prepared(path, out, int(jobs))
    print(
        f"prepare, {jobs} processes: {size / cpu:.0f} MB per CPU second, {size / wall:.0f} MB/s"
    )
    print(
        f"CPU against pandas' fast parser: {cpu / parser[0]:.2f}, its exact {cpu / parser[1]:.2f}"
    )
    print(f"peak memory {_status('self', 'VmHWM') / 1e3:.0f} MB")


def make(out: str, gigabytes: str) -> None:
    """A store of random walks of 512 timesteps and 4 channels, seed 0."""
    folder = Path(out)
    plan = {"source": "benchmarks/store.py", "bytes": 0, "modified": 0, "options": {}}
    writer = StoreWriter(folder, plan)
    random_numbers = np.random.default_rng(0)
    count = int(float(gigabytes) * 1e9 / (STEPS * 4 * 4))
    for start in range(0, count, 1024):
        n = min(1024, count - start)
        x = random_numbers.standard_normal((n, STEPS, 4), dtype=np.float32)
        x = np.cumsum(x, axis=1)
        writer.add(Sequences(list(x), ids=[str(k) for k in range(start, start + n)]))
    details = {
        "source": str(folder),
        "notes": [],
        "options": {},
        "clip": None,
        "plan": plan,
    }
    writer.seal(writer.described(details))
    print(f"{count} series")


def reading(store: str) -> None:
    """Random batches of 64 crops of 256 timesteps."""
    from temporal_jepa.data import read

    began = time.perf_counter()
    sequences = read(store)
    print(f"opened in {time.perf_counter() - began:.3f} s, {len(sequences)} series")
    random_numbers = np.random.default_rng(0)
    cpu, wall = time.process_time(), time.perf_counter()
    batches = 500
    for _ in range(batches):
        rows = random_numbers.integers(0, len(sequences), BATCH)
        np.stack([sequences.values[int(row)][:256] for row in rows])
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(
        f"{1e3 * cpu / batches:.2f} ms CPU and {1e3 * wall / batches:.2f} ms wall a batch"
    )
    print(
        f"anon {_status('self', 'RssAnon') / 1e3:.0f} MB, "
        f"file {_status('self', 'RssFile') / 1e3:.0f} MB"
    )


def memory(*words: str) -> None:
    """The peak of the resident memory of a command, and how anonymous memory goes on."""
    child = subprocess.Popen(words)
    seen: list[tuple[float, int, int]] = []
    began = time.perf_counter()
    while child.poll() is None:
        row = (
            time.perf_counter() - began,
            _status(child.pid, "RssAnon"),
            _status(child.pid, "VmRSS"),
        )
        seen.append(row)
        time.sleep(0.2)
    anon = [row[1] for row in seen]
    print(
        f"peak: resident {max(row[2] for row in seen) / 1e3:.0f} MB, anon {max(anon) / 1e3:.0f} MB"
    )
    marks = np.linspace(0, len(seen) - 2, 11).astype(int)
    print(
        "anon over time:",
        ", ".join(f"{seen[k][0]:.0f} s {seen[k][1] / 1e3:.0f} MB" for k in marks),
    )


def _bytes_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()


def kill(path: str, tries: str, seed: str = "0") -> None:
    """SIGKILL at random moments of `prepare`, which is then repeated; bytes are compared.

    Children are forked from a process that has imported everything, so that kills hit the work.
    """
    random.seed(int(seed))
    _small_parts(commit=1000, shard=7000)
    kills = begun = losses = 0
    with tempfile.TemporaryDirectory() as place:
        whole, out = Path(place, "whole"), Path(place, "killed")
        for _ in range(2):  # the first loads libraries
            shutil.rmtree(whole, ignore_errors=True)
            since = time.perf_counter()
            prepare(path, whole)
            seconds = time.perf_counter() - since
        expected = _bytes_of(whole)
        while kills < int(tries):
            status = -1
            for attempt in range(26):  # the last one is left alone
                limit = random.uniform(0, 0.6 * seconds) if attempt < 25 else None
                status = _forked(path, out, limit)
                if status != -signal.SIGKILL:
                    break
                kills += 1
                begun += Path(place, ".killed.partial", "journal.json").exists()
            left = {entry.name for entry in Path(place).iterdir()} - {"whole", "killed"}
            if status != 0 or left or _bytes_of(out) != expected:
                losses += 1
                print(f"loss: exit code {status}, left over: {left}")
            shutil.rmtree(out, ignore_errors=True)
            shutil.rmtree(Path(place, ".killed.partial"), ignore_errors=True)
    print(
        f"{kills} kills, {begun} of them with something to go on from, {losses} losses"
    )


def _forked(path: str, out: Path, limit: float | None) -> int:
    """The exit code of `prepare` in a child, which is killed after some seconds."""
    pid = os.fork()
    if pid == 0:
        code = 3
        try:
            prepare(path, out)
            code = 0
        finally:
            os._exit(code)
    end = time.perf_counter() + (1e9 if limit is None else limit)
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.perf_counter() > end:
            os.kill(pid, signal.SIGKILL)
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        time.sleep(0.0003)


def small(path: str, out: str, jobs: str) -> None:
    """`prepare` in small parts that are all made to last, so that a kill finds many states."""
    _small_parts(commit=20_000, shard=100_000)
    prepare(path, out, jobs=int(jobs))


def _small_parts(commit: int, shard: int) -> None:
    from temporal_jepa.data.store import blocks, flat, parts, scattered, text, writer
    from temporal_jepa.data.store import prepare as preparing

    parts.WHOLE = 0
    text.UNIT = 20_000
    text.HEAD = 20_000
    preparing.COMMIT = commit
    scattered.LARGEST = 200_000
    scattered.TOGETHER = 20_000
    blocks.WHOLE = 0
    blocks.BLOCK = 20_000
    blocks.MAPPED_BYTES = 0
    for kind in (writer.StoreWriter, flat.Flat, flat.Appending):
        # SHARD was bound when these were defined.
        defaults = kind.__init__.__defaults__ or ()
        kind.__init__.__defaults__ = tuple(
            shard if value == flat.SHARD else value for value in defaults
        )


COMMANDS = {
    "csv": csv,
    "prepare": measure_prepare,
    "make": make,
    "reading": reading,
    "memory": memory,
    "kinds": kinds,
    "peak": peak,
    "kill": kill,
    "small": small,
}

if __name__ == "__main__":
    COMMANDS[sys.argv[1]](*[word for word in sys.argv[2:] if word != "--"])
