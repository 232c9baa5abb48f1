"""Does a process that is killed at any moment lose anything?

python benchmarks/faults.py [--tries 200] [--seed 0] [--only NAME ...] [--signal INT] [--work DIR]

SIGKILL for every verb that writes, on one process and on two. Half of the tries kill at a random
time, half at a random call that changes the disk (open, write, flush, rename, delete), just before
it, just after it, or, where a file is flushed, with only a part of it on disk. After each kill
every output must be as before or as it should become, whole; the same command, or `--resume`, must
then succeed, leave no temporary file, and give the bytes of a run that was never killed.

With `--signal` TERM, HUP or INT (sent twice, as by an impatient person) at a random time the exit
code must be 143, 129 or 130, without a traceback.

Torch is loaded once: each verb runs in a fork of this process.
"""

import argparse
import os
import random
import re
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from damage import write_data

import temporal_jepa.checkpoint
import temporal_jepa.estimators.anomaly
import temporal_jepa.evaluation.neighbors
import temporal_jepa.evaluation.score
import temporal_jepa.evaluation.states
import temporal_jepa.model.export
import temporal_jepa.report.pages
import temporal_jepa.report.report
import temporal_jepa.training.run  # noqa: F401
from temporal_jepa.cli.main import main as command_line

CHANGES = ("open", "write", "fsync", "replace", "rename", "unlink", "mkdir", "rmdir")
"""Functions of `os` that change the disk, or come before a change."""
TRAINING = [
    *("--embed-dim", "16", "--predictor-embed-dim", "16", "--num-heads", "2"),
    *("--encoder-depth", "1", "--predictor-depth", "1", "--batch-size", "4"),
    *("--steps", "6", "--save-every", "2", "--log-every", "1", "--watch-every", "3"),
    *("--device", "cpu"),
]
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OLD = b"what was here before"
LONGEST = 600  # seconds of a verb that is not killed
TEMPORARY = re.compile(r"\.temporal-jepa-[0-9a-f]{16}")


@dataclass(frozen=True)
class Case:
    """A command that writes.

    Args:
        name: what the table calls it.
        words: the command; RUN is the folder of a trained run, NEW one that may not exist.
        makes: the files that it writes, with RUN or NEW.
        again: the command after a kill; `words` if it is empty.
        start: the folder that NEW is a copy of, "" for none.
        processes: how many run the command together.
    """

    name: str
    words: str
    makes: tuple[str, ...]
    again: str = ""
    start: str = ""
    processes: int = 1


def cases(data: Path) -> list[Case]:
    """The commands, in the order of the table. Extend the list with every new verb that writes."""
    weights = ("NEW/model.safetensors", "NEW/config.json", "NEW/README.md")
    read = f"--data {data} --id track --time t --label kind"
    train = f"pretrain --out NEW {read} {' '.join(TRAINING)}"
    resume = "pretrain --out NEW --resume"
    html = "RUN/anomalies.html"
    return [
        Case("pretrain", train, weights, again=resume),
        Case("resume", resume, weights, again=resume, start="stopped"),
        Case("pretrain --overwrite", f"{train} --overwrite", weights, start="other"),
        Case("pretrain, 2 processes", train, weights, again=resume, processes=2),
        Case("resume, 2 processes", resume, weights, resume, "stopped2", 2),
        Case("embed .npz", f"embed RUN {data} --overwrite", ("RUN/embeddings.npz",)),
        Case(
            "embed .csv",
            f"embed RUN {data} --out RUN/e.csv --overwrite",
            ("RUN/e.csv",),
        ),
        Case(
            "embed parts",
            f"embed RUN {data} --out NEW --parts npy",
            tuple(f"NEW/part-0000{k}.npy" for k in range(6)),
        ),
        Case("prepare", f"prepare {data} --out NEW", ("NEW/store.json",)),
        Case("probe", "probe RUN --overwrite", ("RUN/probe.json",)),
        Case("report", "report RUN --overwrite", ("RUN/report.html",)),
        Case("detect", f"detect RUN {data} --overwrite", ("RUN/anomalies.csv", html)),
        Case(
            "states",
            f"states RUN {data} --overwrite",
            ("RUN/states.csv", "RUN/states.html"),
        ),
        Case("nearest", "nearest RUN s3 --out RUN/n.html --overwrite", ("RUN/n.html",)),
        Case(
            "export torch", "export RUN --format torch --overwrite", ("RUN/model.pt2",)
        ),
        Case("export onnx", "export RUN --overwrite", ("RUN/model.onnx",)),
    ]


class Killer:
    """Kills its own process at one call of a function in `CHANGES`; counts the calls before it."""

    def __init__(self, at: int, how: float):
        self.at = at
        self.how = (
            how  # in thirds of 0 to 1: before the call, after it, with half a file
        )
        self.calls = 0

    def install(self) -> None:
        for name in CHANGES:
            setattr(os, name, self._counted(getattr(os, name), name))

    def _counted(self, real: Callable[..., Any], name: str) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            self.calls += 1
            is_the_one = self.calls == self.at
            if is_the_one and self.how < 1 / 3:
                os.kill(os.getpid(), signal.SIGKILL)
            if is_the_one and self.how > 2 / 3 and name == "fsync":
                size = os.fstat(given[0]).st_size
                os.ftruncate(given[0], int(size * (3 * self.how - 2)))
                os.kill(os.getpid(), signal.SIGKILL)
            result = real(*given, **named)
            if is_the_one:
                os.kill(os.getpid(), signal.SIGKILL)
            return result

        return counted


def start(
    words: Sequence[str], log: Path, rank: int, count: int, port: int, killer: Killer
) -> int:
    """Fork this process and run a command in it; the number of the new process."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)  # until the command runs
    number = os.fork()
    if number:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        return number
    code = 99
    try:
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        if count > 1:
            os.environ |= {
                "RANK": f"{rank}",
                "LOCAL_RANK": f"{rank}",
                "WORLD_SIZE": f"{count}",
                "MASTER_ADDR": "127.0.0.1",
                "MASTER_PORT": f"{port}",
            }
        killer.install()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPS)
        code = command_line(words)
        signal.pthread_sigmask(signal.SIG_BLOCK, STOPS)
        sys.stdout.flush()
    finally:
        log.with_suffix(f".calls{rank}").write_text(str(killer.calls), "utf-8")
        os._exit(code)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def wait(processes: list[int], until: float) -> list[int | None]:
    """Exit codes by a point in time, None for a process that still runs; negative for a signal."""
    codes: list[int | None] = [None] * len(processes)
    while None in codes and time.monotonic() < until:
        for i, process in enumerate(processes):
            if codes[i] is None:
                done, status = os.waitpid(process, os.WNOHANG)
                if done:
                    codes[i] = os.waitstatus_to_exitcode(status)
        if any(code not in (None, 0) for code in codes):
            break  # as torchrun, which ends the others
        time.sleep(0.002)
    return codes


def end(processes: list[int], codes: list[int | None]) -> list[int]:
    """Kill what still runs; all exit codes."""
    final = []
    for process, code in zip(processes, codes, strict=True):
        if code is None:
            os.kill(process, signal.SIGKILL)
            code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
        final.append(code)
    return final


class Campaign:
    """Kills commands in copies of prepared folders, and looks at what is left."""

    def __init__(self, work: Path, seed: int, only: Sequence[str], signal: str):
        self.work = work
        self.signal = signal
        self.rng = random.Random(seed)
        self.data = write_data(work / "data.csv")
        self.log = work / "log"
        self.cases = [
            case
            for case in cases(self.data)
            if not only or any(name in case.name for name in only)
        ]
        self._prepare()
        self.whole: dict[str, dict[str, bytes]] = {}
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        for case in self.cases:
            self._run_whole(case)

    def _prepare(self) -> None:
        """Runs: trained, stopped after 4 of 6 steps (1 and 2 processes), of another seed."""
        train = cases(self.data)[0]
        shutil.rmtree(self.work / "base", ignore_errors=True)
        for name, processes, words in (
            ("base", 1, train.words),
            ("base2", 2, train.words),
            ("other", 1, f"{train.words} --seed 5"),
        ):
            if processes > max(case.processes for case in self.cases):
                continue
            case = Case(name, words, (), processes=processes)
            new = self.work / name
            shutil.rmtree(new, ignore_errors=True)
            codes = self._call(case, case.words, new, Killer(0, 0))
            assert codes == [0] * processes, self.log.read_text("utf-8")
        for name in ("", "2"):
            if not (self.work / f"base{name}").exists():
                continue
            stopped = self.work / f"stopped{name}"
            shutil.rmtree(stopped, ignore_errors=True)
            shutil.copytree(self.work / f"base{name}", stopped)
            newest = max((stopped / "checkpoint").iterdir())
            shutil.rmtree(newest) if newest.is_dir() else newest.unlink()
            (stopped / "model.safetensors").unlink()

    def _call(self, case: Case, text: str, new: Path, killer: Killer) -> list[int]:
        """Run a command to its end; the exit codes of its processes."""
        return end(*self._launch(case, text, new, killer, LONGEST))

    def _launch(
        self, case: Case, text: str, new: Path, killer: Killer, seconds: float
    ) -> tuple[list[int], list[int | None]]:
        words = [self._path(word, new) for word in text.split()]
        port = free_port()
        until = time.monotonic() + seconds
        processes = []
        for rank in range(case.processes):
            one = killer if rank == 0 else Killer(0, 0)
            processes.append(start(words, self.log, rank, case.processes, port, one))
        return processes, wait(processes, until)

    def _path(self, word: str, new: Path) -> str:
        run = self.work / "run"
        return re.sub(r"^RUN\b", str(run), re.sub(r"^NEW\b", str(new), word))

    @contextmanager
    def _folders(self, case: Case) -> Iterator[Path]:
        """Fresh copies: a run whose outputs hold `OLD`, and NEW as the case starts it."""
        run = self.work / "run"
        new = self.work / "new"
        shutil.copytree(self.work / "base", run)
        if case.start:
            shutil.copytree(self.work / case.start, new)
        for name in case.makes:
            if name.startswith("RUN"):
                Path(self._path(name, new)).write_bytes(OLD)
        try:
            yield new
        finally:
            shutil.rmtree(run)
            shutil.rmtree(new, ignore_errors=True)

    def _made(self, case: Case, new: Path) -> dict[str, bytes]:
        paths = {name: Path(self._path(name, new)) for name in case.makes}
        return {
            name: path.read_bytes() for name, path in paths.items() if path.exists()
        }

    def _run_whole(self, case: Case) -> None:
        with self._folders(case) as new:
            began = time.monotonic()
            codes = self._call(case, case.words, new, Killer(0, 0))
            assert codes == [0] * case.processes, self.log.read_text("utf-8")[-2000:]
            self.seconds[case.name] = time.monotonic() - began
            self.calls[case.name] = int(self.log.with_suffix(".calls0").read_text())
            self.whole[case.name] = self._made(case, new)

    def kill(self, case: Case) -> tuple[bool, str]:
        """Kill a command once; whether it was killed before its end, and what was lost."""
        self.log.write_bytes(b"")
        with self._folders(case) as new:
            before = self._made(case, new)
            if self.rng.random() < 0.5:
                killer = Killer(0, 0)
                seconds = self.rng.uniform(0, 1.05 * self.seconds[case.name])
            else:
                at = self.rng.randint(1, self.calls[case.name])
                killer = Killer(at, self.rng.random())
                seconds = LONGEST
            if self.signal == "KILL":
                codes = end(*self._launch(case, case.words, new, killer, seconds))
                is_killed = -signal.SIGKILL in codes
                lost = self._halves(case, before, new)
            else:
                seconds = self.rng.uniform(0.01, 1.05 * self.seconds[case.name])
                processes, ended = self._launch(
                    case, case.words, new, Killer(0, 0), seconds
                )
                is_killed, lost = self._stop(processes, ended)
                lost += self._halves(case, before, new)
            again = case.words
            if case.again and (new / "config.json").exists():
                again = case.again
            if self._call(case, again, new, Killer(0, 0)) != [0] * case.processes:
                lost.append("not repeated")
            elif self._made(case, new) != self.whole[case.name]:
                lost.append("other result")
            lost += self._leftovers(new)
        return is_killed, ", ".join(lost)

    def _stop(
        self, processes: list[int], codes: list[int | None]
    ) -> tuple[bool, list[str]]:
        """Send the signal; whether something still ran, and what was wrong with its end."""
        running = [p for p, code in zip(processes, codes, strict=True) if code is None]
        number = signal.Signals[f"SIG{self.signal}"]
        for _ in range(2 if self.signal == "INT" else 1):
            for process in running:
                os.kill(process, number)
            time.sleep(self.rng.uniform(0, 0.03))
        ended = wait(running, time.monotonic() + 60)
        final = end(running, ended)
        expected = [0, 128 + number]
        if len(processes) > 1:
            expected.append(-signal.SIGKILL)  # by `end`, once the other one has stopped
        lost = [f"exit code {code}" for code in final if code not in expected]
        shown = self.log.read_text("utf-8", "replace")
        if "Traceback" in shown:
            lost.append(f"traceback {shown[-1500:]}")
        return bool(running), lost

    def _halves(self, case: Case, before: dict[str, bytes], new: Path) -> list[str]:
        """Outputs that are neither as before nor as they should become."""
        lost = []
        found = self._made(case, new)
        is_replaced = case.name.endswith("--overwrite")  # clears the old run first
        for name in case.makes:
            may_be = [before.get(name), self.whole[case.name][name]]
            if name == "NEW/config.json":
                continue  # of each start: the rerun reads it
            if found.get(name) not in may_be and not (
                is_replaced and name not in found
            ):
                lost.append(f"half {name}")
        return lost

    def _leftovers(self, new: Path) -> list[str]:
        return [
            f"left {path.name}"
            for folder in (self.work / "run", new)
            for path in folder.rglob(".*")
            if TEMPORARY.match(path.name)
        ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tries", type=int, default=200, help="in all")
    parser.add_argument("--minutes", type=float, default=1e4, help="at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", default=[], help="parts of names of cases")
    parser.add_argument(
        "--signal", choices=("KILL", "INT", "TERM", "HUP"), default="KILL"
    )
    parser.add_argument("--work", type=Path, help="keep the folders here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        work = (options.work or Path(temporary)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        campaign = Campaign(work, options.seed, options.only, options.signal)
        tries = {case.name: 0 for case in campaign.cases}
        killed = dict.fromkeys(tries, 0)
        losses = dict.fromkeys(tries, 0)
        until = time.monotonic() + 60 * options.minutes
        for i in range(options.tries):
            if time.monotonic() > until:
                break
            case = campaign.cases[i % len(campaign.cases)]
            is_killed, lost = campaign.kill(case)
            tries[case.name] += 1
            killed[case.name] += is_killed
            losses[case.name] += bool(lost)
            if lost:
                tail = campaign.log.read_text("utf-8", "replace")[-600:]
                print(f"{case.name}, try {i}: {lost}\n{tail}", flush=True)
    print("| command | tries | stopped before the end | losses |\n|---|---|---|---|")
    for name in tries:
        print(f"| {name} | {tries[name]} | {killed[name]} | {losses[name]} |")
    total = sum(losses.values())
    print(f"| all | {sum(tries.values())} | {sum(killed.values())} | {total} |")
    sys.exit(total > 0)


if __name__ == "__main__":
    main()
