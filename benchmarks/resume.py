"""Does an interrupted run end in the weights of an uninterrupted one?

python benchmarks/resume.py [--kills 10] [--steps 60] [--seed 0] [--work FOLDER]

Trains by the command line on series of unequal lengths with missing values. One run is left alone.
One gets SIGKILL at `--kills` random moments (the first while it starts or soon after, the others
spread over training, which writes a checkpoint every 3 steps) and is resumed each time. One gets
SIGINT and one SIGTERM. All must end with the same bytes in model.safetensors and the same losses in
metrics.jsonl; otherwise the exit code is 1.
"""

import argparse
import hashlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

EXITS = {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}


def write_series(path: Path, n: int = 48, channels: int = 2) -> None:
    """Random walks of 40 to 90 timesteps, one missing value in twenty, padded with NaN."""
    rng = np.random.default_rng(0)
    values = np.full((n, channels, 90), np.nan, dtype=np.float32)
    for row in values:
        length = int(rng.integers(40, 91))
        row[:, :length] = rng.normal(size=(channels, length)).cumsum(1)
        row[:, :length][rng.random((channels, length)) < 0.05] = np.nan
    np.save(path, values)


class Run:
    """One run folder, and how to start it."""

    def __init__(self, data: Path, out: Path, steps: int):
        self.data = data
        self.out = out
        self.steps = steps

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the run, or resume it if it has been started."""
        flags = f"--steps {self.steps} --save-every 3 --log-every 1 --device cpu --overwrite"
        command = [
            sys.executable,
            "-m",
            "temporal_jepa",
            "pretrain",
            "--out",
            str(self.out),
        ]
        if (self.out / "config.json").exists():
            command.append("--resume")
        else:
            command += ["--data", str(self.data), *flags.split()]
        with (self.out.parent / f"{self.out.name}.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def step(self) -> int:
        """The last step in metrics.jsonl, or 0."""
        return max(self.rows(), default=0)

    def rows(self) -> dict[int, float]:
        """Loss of each step; a line that is just being written is left out."""
        path = self.out / "metrics.jsonl"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        found = [
            json.loads(line)
            for line in text.splitlines(keepends=True)
            if line.endswith("\n")
        ]
        return {row["step"]: row["loss"] for row in found}

    def interrupt(self, number: signal.Signals, at: int, delay: float) -> bool:
        """Start, wait for step `at` and `delay` seconds, send a signal; True if it took effect."""
        process = self.start()
        while process.poll() is None and self.step() < at:
            time.sleep(0.002)
        time.sleep(delay)
        process.send_signal(number)
        reached = self.step()
        code = process.wait()
        print(
            f"| {self.out.name} | {number.name} | {reached} | exit {code} |", flush=True
        )
        return code == EXITS[number]

    def finish(self) -> int:
        """Run to the end; returns the exit code."""
        return self.start().wait()

    def digest(self) -> str:
        """A hash of the weights."""
        path = self.out / "model.safetensors"
        return (
            hashlib.sha256(path.read_bytes()).hexdigest()[:16]
            if path.exists()
            else "missing"
        )


def finishes_as(whole: Run, run: Run) -> bool:
    """Resume a run to its end; True if weights and losses equal those of `whole`."""
    differing = []
    if run.finish() != 0:
        differing.append("exit code")
    if run.digest() != whole.digest():
        differing.append("weights")
    if run.rows() != whole.rows():
        differing.append("losses")
    result = (
        f"different {', '.join(differing)}" if differing else "equal weights and losses"
    )
    print(f"| {run.out.name} | finished | {run.step()} | {result} |", flush=True)
    return not differing


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--work", type=Path, help="keep the runs in this folder")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.work or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        write_series(folder / "series.npy")
        whole, killed, *others = (
            Run(folder / "series.npy", folder / name, options.steps)
            for name in ("whole", "killed", "SIGINT", "SIGTERM")
        )
        began = time.perf_counter()
        code = whole.finish()
        seconds = time.perf_counter() - began
        if code != 0:
            sys.exit(
                f"the uninterrupted run failed with {code}; see whole.log in --work"
            )
        print(
            f"Uninterrupted: {options.steps} steps, {seconds:.1f} s, weights {whole.digest()}\n\n"
            "| run | event | at step | result |\n|---|---|---|---|",
            flush=True,
        )
        moments = [
            0,
            *sorted(rng.randrange(1, options.steps) for _ in range(options.kills - 1)),
        ]
        checks = []
        for at in moments:
            delay = rng.uniform(0, 0.1 if at else 0.5 * seconds)
            checks.append(killed.interrupt(signal.SIGKILL, at, delay))
        checks.append(finishes_as(whole, killed))
        for run, number in zip(others, (signal.SIGINT, signal.SIGTERM), strict=True):
            checks.append(
                run.interrupt(number, rng.randrange(1, options.steps - 5), 0.0)
            )
            checks.append(finishes_as(whole, run))
    print("\nAll equal." if all(checks) else "\nNOT EQUAL.")
    sys.exit(not all(checks))


if __name__ == "__main__":
    main()
