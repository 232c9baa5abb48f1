"""Does any file make a reader crash, hang, or answer with an unclear error?

python benchmarks/fuzz.py [KIND ...] [--seconds 60] [--start 0] [--corpus FOLDER] [--coverage]

Damages small valid files of each kind (`hostile_files.py`, and `hostile_folders.py`: the kinds
without a point) and reads them in a child process whose memory is limited. With --coverage
atheris (pip install atheris) guides the damage by the branches of this package that it reaches.
Prints executions, and each finding once; the bytes that show it are in FOLDER.
"""

import argparse
import collections
import contextlib
import faulthandler
import itertools
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

if "--coverage" in sys.argv and "--child" in sys.argv:
    import atheris

    with atheris.instrument_imports(include=["temporal_jepa"]):
        import hostile_files as hostile

        if sys.argv[1][0] != ".":
            import hostile_folders as folders
else:
    import hostile_files as hostile

    if "--child" not in sys.argv or sys.argv[1][0] != ".":  # it loads torch
        import hostile_folders as folders

LIMIT = 6 * 2**30  # bytes of address space of the child
HANG = 60  # seconds after which a file counts as a hang


class Target:
    """A kind of file: where it lies, how it is damaged and read."""

    def __init__(self, kind: str, folder: Path) -> None:
        self.kind = kind
        self.is_file = kind.startswith(".")
        if self.is_file:
            inner = ".csv" if kind in hostile.PACKED else ""
            self.path = folder / f"file{inner}{kind}"
            self.seeds = hostile.seeds((kind,))[kind]
        else:
            self.path = folders.placed(kind, folder)
            self.seeds = folders.seeds(kind)

    def damaged(self, data: bytes, rng: random.Random) -> bytes:
        """A damaged copy of a file."""
        if self.is_file:
            return hostile.mutated(data, self.kind, rng, self.seeds)
        return folders.KINDS[self.kind].damage(data, rng)

    def case(self, k: int) -> bytes:
        """The k-th damaged file, which depends on k alone."""
        rng = random.Random(f"{self.kind} {k}")
        return self.damaged(rng.choice(self.seeds), rng)

    def attempt(self, data: bytes) -> Any:
        """The finding of a file, None if it is read or refused in words."""
        self.path.write_bytes(data)
        if self.is_file:
            return hostile.attempt(self.path)
        return folders.attempt(self.kind, self.path)

    def keep(self, corpus: Path, number: str, data: bytes) -> None:
        """Write the bytes that show a finding."""
        name = self.kind.lstrip(".")
        suffix = self.kind if self.is_file else self.path.suffix
        (corpus / f"{name}-{number}{suffix}").write_bytes(data)


def child(kind: str, args: argparse.Namespace) -> None:
    """Read damaged files of a kind until the time is up; findings go to standard output."""
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    faulthandler.enable()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    seen: set[str] = set()
    with tempfile.TemporaryDirectory() as folder:
        target = Target(kind, Path(folder))
        for data in target.seeds:
            target.attempt(data)  # imports, caches
        top = 0.0
        end = time.monotonic() + args.seconds
        for k in itertools.count(args.start):
            data = target.case(k)
            if target.is_file:  # a library may end the process
                args.last.write_bytes(data)
            signal.alarm(HANG)
            finding = target.attempt(data)
            signal.alarm(0)
            top = max(top, hostile.peak())
            if finding is not None:
                new = finding.what not in seen
                seen.add(finding.what)
                if new:
                    target.keep(args.corpus, str(k), data)
                text = finding.text if new else ""
                print("\n" + json.dumps([k, finding.what, text]), flush=True)
            if time.monotonic() > end or k - args.start >= args.count:
                used = f"{top:.0f} {time.process_time():.0f}"
                print("\n" + json.dumps([k + 1, "done", used]), flush=True)
                return


def guided(kind: str, args: argparse.Namespace) -> None:
    """The same with atheris, whose bytes choose the seed and the damage, or are the file."""
    resource.setrlimit(resource.RLIMIT_AS, (3 * LIMIT, 3 * LIMIT))
    folder = Path(tempfile.mkdtemp())
    target = Target(kind, folder)
    found = target.seeds
    corpus = folder / "corpus"
    corpus.mkdir()
    for k, data in enumerate(found):
        (corpus / str(k)).write_bytes(data)
    seen: set[str] = set()
    count = 0

    def one(data: bytes) -> None:
        nonlocal count
        count += 1
        finding = target.attempt(data)
        if finding is not None and finding.what not in seen:
            seen.add(finding.what)
            target.keep(args.corpus, f"a{count}", data)
            print(json.dumps([count, finding.what, finding.text]), flush=True)
        if count % 1000 == 0:
            print(json.dumps([count, "so far", f"{hostile.peak():.0f}"]), flush=True)

    def custom(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return target.damaged(data or found[0], rng)[:max_size]
        return bytes(atheris.Mutate(data, max_size))

    def safe(data: bytes, max_size: int, seed: int) -> bytes:
        with contextlib.suppress(Exception):
            return custom(data, max_size, seed)
        return bytes(atheris.Mutate(data, max_size))

    options = [
        sys.argv[0], f"-max_total_time={args.seconds}", "-max_len=60000", "-timeout=60",
        "-rss_limit_mb=6000", f"-artifact_prefix={args.corpus}/crash-{kind.lstrip('.')}-",
        "-verbosity=0", "-print_final_stats=1", f"-seed={args.start + 1}", str(corpus),
    ]  # fmt: skip
    atheris.Setup(options, one, custom_mutator=safe)
    atheris.Fuzz()


def started(kind: str, args: argparse.Namespace, errors: Path) -> tuple[int, str]:
    """Exit code and output of a child on a kind.

    It is a fork of this process, which has imported what it needs; atheris needs a process that
    imports anew.
    """
    if args.coverage:
        command = [sys.executable, __file__, kind, "--child", "--coverage"]
        command += ["--start", str(args.start), "--seconds", str(args.seconds)]
        command += ["--corpus", str(args.corpus), "--count", str(args.count)]
        with errors.open("wb") as log:
            done = subprocess.run(
                command, stdout=subprocess.PIPE, stderr=log, text=True
            )
        return done.returncode, done.stdout
    output = errors.with_suffix(".out")
    with output.open("wb") as out, errors.open("wb") as log:
        process = os.fork()
        if process == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(log.fileno(), 2)
            try:
                child(kind, args)
                os._exit(0)
            except BaseException:  # noqa: BLE001 - the parent counts it as a crash
                traceback.print_exc()
                os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return code, output.read_text()


def run(kind: str, args: argparse.Namespace) -> dict[str, Any]:
    """Children on one kind until its time is up; after a crash the next goes on behind it."""
    end = time.monotonic() + args.seconds
    start = args.start
    findings: collections.Counter[str] = collections.Counter()
    total = 0
    top = 0.0
    name = kind.lstrip(".")
    last = args.corpus / f"{name}.last"
    cpu = 0.0
    while time.monotonic() < end - 1 and total < args.count:
        errors = args.corpus / f"{name}.err"
        own = argparse.Namespace(**vars(args))
        own.seconds = int(end - time.monotonic()) + 1
        own.start, own.count, own.last = start, args.count - total, last
        code, said = started(kind, own, errors)
        k = start
        finished = False
        for line in said.splitlines():
            if not line.startswith("["):
                continue
            k, what, text = json.loads(line)
            finished = finished or what == "done"
            if what in ("done", "so far"):
                most, *used = map(float, text.split())
                top = max(top, most)
                cpu += sum(used)
                continue
            if not findings[what]:
                print(f"{kind} #{k}: {what}\n    {text.strip()[:900]}", flush=True)
            findings[what] += 1
        if args.coverage:
            log = errors.read_text(errors="replace")
            total += max(
                k,
                *(
                    int(x)
                    for x in hostile.re.findall(r"number_of_executed_units: (\d+)", log)
                ),
                0,
            )
            if code:
                findings[f"exit {code}"] += 1
            break
        if not finished:
            what = f"crash {code}"
            tail = errors.read_text(errors="replace")[-1500:]
            kept = args.corpus / f"{name}-crash{sum(findings.values())}"
            with contextlib.suppress(FileNotFoundError):
                os.replace(last, kept)
            print(f"{kind} {kept}: {what}\n{tail}", flush=True)
            findings[what] += 1
            k += 1000  # somewhere behind the last finding
        total += k - start
        start = k + 1
    print(f"{kind}: {total} executions, {sum(findings.values())} findings of {len(findings)} kinds,"
          f" peak {top / 1e6:.0f} MB, {cpu:.0f} s of the processor", flush=True)  # fmt: skip
    return {
        "executions": total,
        "findings": dict(findings),
        "peak_mb": top / 1e6,
        "cpu_s": cpu,
    }


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
    args = parser.parse_args()
    args.corpus.mkdir(parents=True, exist_ok=True)
    if args.child:
        guided(args.kinds[0], args)
        return
    kinds = args.kinds or [*hostile.TEXTS, *hostile.BINARY, *folders.KINDS]
    if not args.coverage and any(kind in folders.KINDS for kind in kinds):
        folders.bases()  # once, not in each child
    results = {kind: run(kind, args) for kind in kinds}
    total = sum(result["executions"] for result in results.values())
    findings = sum(sum(result["findings"].values()) for result in results.values())
    print(f"all: {total} executions, {findings} findings")
    (args.corpus / "results.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
