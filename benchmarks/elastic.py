"""Do runs on several processes survive killed processes, other numbers of them, lost machines?

python benchmarks/elastic.py restart [--tries 20] [--seed 0] [--shard] [--work FOLDER]
python benchmarks/elastic.py reshard [--tries 5] [--seed 0] [--shard] [--work FOLDER]
python benchmarks/elastic.py hosts [--tries 5] [--seed 0] [--work FOLDER]

restart: `torchrun --nproc-per-node 2 --max-restarts 5`. In each try one or two processes get
SIGKILL, at a random time or just after a random step. The run must end by itself, within
five minutes of the kill, in the bytes of a run that was left alone.
reshard: a run on 2 processes is killed, all of it, and resumed on 4 and on 1; the losses of the
remaining steps must be within 1e-5 of the run that was left alone.
hosts: two torchrun agents, each in a network namespace of its own, so that each sees only its own
loopback and a cable to the other (needs root and `ip` of iproute2; only those two namespaces are
touched). Killed in turn: a process of one, and a whole agent with its processes, which is started
again as a scheduler would do.

The exit code is 1 if any try failed.
"""

import argparse
import contextlib
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from resume import write_series

PATIENCE = 300
"""Seconds after the last kill, within which a run has to end."""
TOLERANCE = 1e-5
"""Of losses on another number of processes."""
ADDRESSES = ("10.199.77.1", "10.199.77.2")
PORT = 29400


class Run:
    """A run folder, and the torchrun agents that work on it."""

    def __init__(self, out: Path, steps: int, extra: Sequence[str] = ()):
        self.out = out
        self.steps = steps
        self.extra = tuple(extra)
        self.agents: list[subprocess.Popen[bytes]] = []

    def start(
        self,
        torchrun: Sequence[str],
        *,
        before: Sequence[str] = (),
        resume: bool = False,
        **environment: str,
    ) -> "subprocess.Popen[bytes]":
        """Start an agent; its output goes to a log beside the run folder."""
        command = [*before, sys.executable, "-m", "torch.distributed.run", *torchrun]
        command += ["-m", "temporal_jepa", "pretrain", "--out", str(self.out)]
        command += ["--resume"] if resume else self._settings()
        with (self.out.parent / f"{self.out.name}.log").open("ab") as log:
            agent = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={
                    **os.environ,
                    "OMP_NUM_THREADS": "1",
                    "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
                    **environment,
                },
            )
        self.agents.append(agent)
        return agent

    def _settings(self) -> list[str]:
        data = self.out.parent / "series.npy"
        text = f"--steps {self.steps} --batch-size 8 --save-every 3 --log-every 1"
        rates = "--lr 3e-4 --device cpu"
        return ["--data", str(data), *text.split(), *rates.split(), *self.extra]

    def workers(self, agent: "subprocess.Popen[bytes]") -> dict[int, int]:
        """Rank -> process id of the training processes of an agent that are alive."""
        found = {}
        for child in children(agent.pid):
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{child}/environ").read_bytes()
                entries = dict(
                    entry.split(b"=", 1) for entry in text.split(b"\0") if b"=" in entry
                )
                if b"RANK" in entries:
                    found[int(entries[b"RANK"])] = child
        return found

    def losses(self) -> dict[int, float]:
        """Loss of each step in metrics.jsonl; a line that is just being written is left out."""
        path = self.out / "metrics.jsonl"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        rows = [json.loads(line) for line in lines]
        return {row["step"]: row["loss"] for row in rows}

    def step(self) -> int:
        """The last step in metrics.jsonl, or 0."""
        with contextlib.suppress(ValueError):  # read in the middle of a write
            return max(self.losses(), default=0)
        return 0

    def wait_for_step(self, step: int, agent: "subprocess.Popen[bytes]") -> None:
        """Return when the step is logged, or the agent has ended."""
        while agent.poll() is None and self.step() < step:
            time.sleep(0.002)

    def finish(self, agent: "subprocess.Popen[bytes]", within: float = PATIENCE) -> str:
        """Wait for an agent; the reason why it failed, or ''."""
        try:
            code = agent.wait(within)
        except subprocess.TimeoutExpired:
            return f"hung for {within:.0f} s"
        return f"exit {code}" if code else ""

    def digest(self) -> str:
        """A hash of the weights."""
        path = self.out / "model.safetensors"
        if not path.exists():
            return "missing"
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16]

    def stop(self) -> None:
        """SIGKILL for whatever is left of the agents and their processes."""
        for agent in self.agents:
            kill_all(agent)


def children(parent: int) -> list[int]:
    """Process ids of the children of a process."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(fields[1]) == parent:
                found.append(int(folder.name))
    return found


def kill_all(agent: "subprocess.Popen[bytes]") -> None:
    """SIGKILL for an agent and all processes below it, as if the machine lost its power."""
    pids = [agent.pid] if agent.poll() is None else []
    for pid in pids:
        pids.extend(children(pid))
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    agent.wait()


def one_machine(processes: int) -> list[str]:
    """Flags of torchrun for one machine."""
    return ["--standalone", f"--nproc-per-node={processes}", "--max-restarts=5"]


def left_alone(run: Run, processes: int = 2) -> float:
    """Run to the end without a kill; returns the seconds that it took."""
    began = time.perf_counter()
    if reason := run.finish(run.start(one_machine(processes)), within=600):
        run.stop()
        sys.exit(f"the run that was left alone failed: {reason}; see {run.out}.log")
    return time.perf_counter() - began


def difference(run: Run, whole: Run) -> str:
    """In what a finished run differs from the one that was left alone, or ''."""
    if run.digest() != whole.digest():
        return "other weights"
    if run.losses() != whole.losses():
        return "other losses"
    return ""


def restart(folder: Path, options: argparse.Namespace) -> bool:
    """Kill ranks under `--max-restarts`."""
    rng = random.Random(options.seed)
    whole = Run(folder / "whole", options.steps, options.extra)
    seconds = left_alone(whole)
    print(f"Left alone: {seconds:.1f} s, weights {whole.digest()}\n", flush=True)
    print("| try | killed | result | seconds after the last kill |\n|---|---|---|---|")
    failures = 0
    for number in range(options.tries):
        run = Run(folder / f"restart-{number}", options.steps, options.extra)
        agent = run.start(one_machine(2))
        killed = []
        since = time.perf_counter()
        for _ in range(rng.choice([1, 1, 2])):
            if rng.random() < 0.5:
                time.sleep(rng.uniform(0.2, 0.9) * seconds)
            else:
                run.wait_for_step(rng.randrange(1, options.steps + 1), agent)
                time.sleep(rng.uniform(0, 0.05))
            workers = run.workers(agent)
            if workers:
                rank = rng.choice(sorted(workers))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(workers[rank], signal.SIGKILL)
                    killed.append(f"rank {rank} at step {run.step()}")
                    since = time.perf_counter()
        result = run.finish(agent) or difference(run, whole)
        failures += bool(result)
        took = time.perf_counter() - since
        run.stop()
        words = f"{', '.join(killed) or 'none: it had ended'} | {result or 'equal'}"
        print(f"| {number} | {words} | {took:.1f} |", flush=True)
    print(f"\n{options.tries - failures} of {options.tries} equal.")
    return not failures


def reshard(folder: Path, options: argparse.Namespace) -> bool:
    """Kill a run on 2 processes, all of it; resume it on 4 and on 1."""
    rng = random.Random(options.seed)
    whole = Run(folder / "whole", options.steps, options.extra)
    left_alone(whole)
    expected = whole.losses()
    print("| try | killed at step | resumed on | largest difference of a loss |")
    print("|---|---|---|---|")
    failures = 0
    for number in range(options.tries):
        for processes in (4, 1, 2):
            run = Run(
                folder / f"reshard-{number}-{processes}", options.steps, options.extra
            )
            agent = run.start(one_machine(2))
            run.wait_for_step(rng.randrange(4, options.steps - 2), agent)
            time.sleep(rng.uniform(0, 0.05))
            kill_all(agent)
            at = run.step()
            result = run.finish(run.start(one_machine(processes), resume=True))
            run.stop()
            losses = run.losses()
            if not result and losses.keys() != expected.keys():
                result = "steps are missing"
            if not result:
                worst = max(abs(losses[step] - expected[step]) for step in expected)
                is_wrong = worst > TOLERANCE
                result = f"{worst:.1e}"
            else:
                is_wrong = True
            failures += is_wrong
            print(f"| {number} | {at} | {processes} | {result} |", flush=True)
    print(
        f"\n{3 * options.tries - failures} of {3 * options.tries} within {TOLERANCE}."
    )
    return not failures


@contextlib.contextmanager
def two_machines() -> Iterator[tuple[str, str]]:
    """Two network namespaces with one cable between them, deleted at the end."""
    names = tuple(f"jepa{os.getpid()}{side}" for side in "ab")
    cables = tuple(f"v{os.getpid()}{side}" for side in "ab")

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)

    try:
        for name in names:
            ip("netns", "add", name)
        first, second = names
        ip(
            *("-n", first, "link", "add", cables[0], "type", "veth"),
            *("peer", "name", cables[1], "netns", second),
        )
        for name, cable, address in zip(names, cables, ADDRESSES, strict=True):
            ip("-n", name, "addr", "add", f"{address}/30", "dev", cable)
            ip("-n", name, "link", "set", cable, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield first, second
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False)


def start_on(run: Run, names: tuple[str, str], side: int) -> "subprocess.Popen[bytes]":
    """Start the agent of one of the two machines."""
    cable = f"v{os.getpid()}{'ab'[side]}"
    return run.start(
        [
            "--nnodes=2",
            "--nproc-per-node=1",
            "--max-restarts=5",
            f"--rdzv-id={run.out.name}",
            "--rdzv-backend=c10d",
            f"--rdzv-endpoint={ADDRESSES[0]}:{PORT}",
            f"--local-addr={ADDRESSES[side]}",
            f"--rdzv-conf=is_host={int(side == 0)}",  # hosts have no names here
        ],
        before=["ip", "netns", "exec", names[side]],
        GLOO_SOCKET_IFNAME=cable,
    )


def hosts(folder: Path, options: argparse.Namespace) -> bool:
    """Two agents in network namespaces; kill a process, then an agent of the second machine."""
    rng = random.Random(options.seed)
    whole = Run(folder / "whole", options.steps, options.extra)
    left_alone(whole)
    print("| try | event | at step | result | seconds after the kill |")
    print("|---|---|---|---|---|")
    failures = 0
    tries = 0
    for number in range(options.tries):
        for event in ("none", "process", "machine"):
            run = Run(folder / f"{event}-{number}", options.steps, options.extra)
            with two_machines() as names:
                agents = [start_on(run, names, side) for side in (0, 1)]
                at = 0
                if event != "none":
                    run.wait_for_step(rng.randrange(1, options.steps - 5), agents[0])
                    at = run.step()
                if event == "process":
                    side = rng.choice([0, 1])
                    for pid in run.workers(agents[side]).values():
                        os.kill(pid, signal.SIGKILL)
                if event == "machine":  # the second: the first holds the rendezvous
                    kill_all(agents[1])
                    agents[1] = start_on(run, names, 1)
                since = time.perf_counter()
                reasons = [run.finish(agent, 2 * PATIENCE) for agent in agents]
                took = time.perf_counter() - since
                run.stop()
            result = next(filter(None, reasons), "") or difference(run, whole)
            tries += 1
            failures += bool(result)
            words = f"{event} | {at} | {result or 'equal'} | {took:.1f}"
            print(f"| {number} | {words} |", flush=True)
    print(f"\n{tries - failures} of {tries} equal.")
    return not failures


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = {"restart": restart, "reshard": reshard, "hosts": hosts}
    parser.add_argument("what", choices=list(verbs))
    parser.add_argument("--tries", type=int, default=20)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--shard", action="store_true", help="split the weights")
    parser.add_argument("--work", type=Path, help="keep the runs in this folder")
    options = parser.parse_args()
    options.extra = ["--shard"] if options.shard else []
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.work or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        write_series(folder / "series.npy")
        is_right = verbs[options.what](folder, options)
    sys.exit(not is_right)


if __name__ == "__main__":
    main()
