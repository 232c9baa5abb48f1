"""Does any file make a reader crash, hang, or answer with an unclear error?

python benchmarks/fuzz.py [KIND ...] [--seconds 60] [--start 0] [--corpus FOLDER] [--coverage]

Damages small valid files of each kind (`hostile_files.py`) and reads them in a child process whose
memory is limited. With --coverage atheris (pip install atheris) guides the damage by the branches
of this package that it reaches. Prints executions, and each finding once; the bytes that show it
are in FOLDER.
"""

import argparse
import collections
import contextlib
import faulthandler
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

if "--coverage" in sys.argv and "--child" in sys.argv:
    import atheris

    with atheris.instrument_imports(include=["temporal_jepa.data"]):
        import hostile_files as hostile
else:
    import hostile_files as hostile

LIMIT = 6 * 2**30  # bytes of address space of the child
HANG = 60  # seconds after which a file counts as a hang


def child(kind: str, args: argparse.Namespace) -> None:
    """Read damaged files of a kind until the time is up; findings go to standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    faulthandler.enable()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    seen: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"file{'.csv' if kind in hostile.PACKED else ''}{kind}"
        found = hostile.seeds((kind,))[kind]
        for data in found:
            path.write_bytes(data)
            hostile.attempt(path)  # imports, caches
        top = 0.0
        end = time.monotonic() + args.seconds
        for k, data in enumerate(hostile.cases(kind, args.start, found), args.start):
            path.write_bytes(data)
            args.last.write_bytes(data)
            signal.alarm(HANG)
            finding = hostile.attempt(path)
            signal.alarm(0)
            top = max(top, hostile.peak())
            if finding is not None:
                new = finding.what not in seen
                seen.add(finding.what)
                if new:
                    name = args.corpus / f"{kind[1:]}-{k}{kind}"
                    name.write_bytes(data)
                text = finding.text if new else ""
                print("\n" + json.dumps([k, finding.what, text]), flush=True)
            if time.monotonic() > end or k - args.start >= args.count:
                print("\n" + json.dumps([k + 1, "done", f"{top:.0f}"]), flush=True)
                return


def guided(kind: str, args: argparse.Namespace) -> None:
    """The same with atheris, whose bytes choose the seed and the damage, or are the file."""
    resource.setrlimit(resource.RLIMIT_AS, (3 * LIMIT, 3 * LIMIT))
    found = hostile.seeds((kind,))[kind]
    folder = Path(tempfile.mkdtemp())
    path = folder / f"file{'.csv' if kind in hostile.PACKED else ''}{kind}"
    corpus = folder / "corpus"
    corpus.mkdir()
    for k, data in enumerate(found):
        (corpus / str(k)).write_bytes(data)
    seen: set[str] = set()
    count = 0

    def one(data: bytes) -> None:
        nonlocal count
        count += 1
        path.write_bytes(data)
        finding = hostile.attempt(path)
        if finding is not None and finding.what not in seen:
            seen.add(finding.what)
            (args.corpus / f"{kind[1:]}-a{count}{kind}").write_bytes(data)
            print(json.dumps([count, finding.what, finding.text]), flush=True)
        if count % 1000 == 0:
            print(json.dumps([count, "so far", f"{hostile.peak():.0f}"]), flush=True)

    def custom(data: bytes, max_size: int, seed: int) -> bytes:
        import random

        rng = random.Random(seed)
        if rng.random() < 0.5:
            return hostile.mutated(data or found[0], kind, rng, found)[:max_size]
        return bytes(atheris.Mutate(data, max_size))

    def safe(data: bytes, max_size: int, seed: int) -> bytes:
        with contextlib.suppress(Exception):
            return custom(data, max_size, seed)
        return bytes(atheris.Mutate(data, max_size))

    options = [
        sys.argv[0], f"-max_total_time={args.seconds}", "-max_len=60000", "-timeout=60",
        "-rss_limit_mb=6000", f"-artifact_prefix={args.corpus}/crash-{kind[1:]}-", "-verbosity=0",
        "-print_final_stats=1", f"-seed={args.start + 1}", str(corpus),
    ]  # fmt: skip
    atheris.Setup(options, one, custom_mutator=safe)
    atheris.Fuzz()


def run(kind: str, args: argparse.Namespace) -> dict[str, Any]:
    """Children on one kind until its time is up; after a crash the next goes on behind it."""
    end = time.monotonic() + args.seconds
    start = args.start
    findings: collections.Counter[str] = collections.Counter()
    total = 0
    top = 0.0
    last = args.corpus / f"{kind[1:]}.last"
    while time.monotonic() < end - 1 and total < args.count:
        command = [sys.executable, __file__, kind, "--child", "--start", str(start)]
        command += [
            "--seconds",
            str(int(end - time.monotonic()) + 1),
            "--last",
            str(last),
        ]
        command += ["--corpus", str(args.corpus), "--count", str(args.count - total)]
        command += ["--coverage"] if args.coverage else []
        errors = args.corpus / f"{kind[1:]}.err"
        with errors.open("wb") as log:
            done = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=log, text=True
            )
        k = start
        finished = False
        for line in done.stdout.splitlines():
            if not line.startswith("["):
                continue
            k, what, text = json.loads(line)
            finished = finished or what == "done"
            if what in ("done", "so far"):
                top = max(top, float(text))
                continue
            if not findings[what]:
                print(f"{kind} #{k}: {what}\n    {text.strip()[:900]}", flush=True)
            findings[what] += 1
        if args.coverage:
            said = errors.read_text(errors="replace")
            total += max(
                k,
                *(
                    int(x)
                    for x in hostile.re.findall(
                        r"number_of_executed_units: (\d+)", said
                    )
                ),
                0,
            )
            if done.returncode:
                findings[f"exit {done.returncode}"] += 1
            break
        if not finished:
            what = f"crash {done.returncode}"
            tail = errors.read_text(errors="replace")[-1500:]
            name = args.corpus / f"{kind[1:]}-crash{sum(findings.values())}{kind}"
            os.replace(last, name)
            print(f"{kind} {name}: {what}\n{tail}", flush=True)
            findings[what] += 1
            k += 1000  # somewhere behind the last finding
        total += k - start
        start = k + 1
    print(f"{kind}: {total} executions, {sum(findings.values())} findings of {len(findings)} kinds,"
          f" peak {top / 1e6:.0f} MB", flush=True)  # fmt: skip
    return {"executions": total, "findings": dict(findings), "peak_mb": top / 1e6}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kinds", nargs="*")
    parser.add_argument("--seconds", type=int, default=60, help="for each kind")
    parser.add_argument(
        "--count", type=int, default=10**9, help="executions for each kind"
    )
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--corpus", type=Path, default=Path("runs/fuzz"))
    parser.add_argument("--coverage", action="store_true")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--last", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.corpus.mkdir(parents=True, exist_ok=True)
    if args.child:
        (guided if args.coverage else child)(args.kinds[0], args)
        return
    kinds = args.kinds or [*hostile.TEXTS, *hostile.BINARY]
    results = {kind: run(kind, args) for kind in kinds}
    total = sum(result["executions"] for result in results.values())
    findings = sum(sum(result["findings"].values()) for result in results.values())
    print(f"all: {total} executions, {findings} findings")
    (args.corpus / "results.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
