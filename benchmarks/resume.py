"""Interrupted anywhere, the same weights: a run killed again and again against one left alone.

python benchmarks/resume.py [--kills 10] [--steps 60] [--seed 0] [--work FOLDER]

Runs the command line on series of unequal lengths with gaps. One run is left alone; one gets SIGKILL at `--kills`
random moments (the first while it starts or soon after, the others spread over training, where it writes a checkpoint
every 3 steps) and is resumed each time; one gets SIGINT and one SIGTERM. All must end with model.safetensors equal byte
for byte and with the same losses in metrics.jsonl. Exits with 1 if one does not.
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
        """Begin, or resume when there is something to resume."""
        command = [sys.executable, "-m", "temporal_jepa", "pretrain", "--out", str(self.out)]
        if (self.out / "config.json").exists():
            command.append("--resume")
        else:
            command += [
                "--data",
                str(self.data),
                "--steps",
                str(self.steps),
                "--save-every",
                "3",
                "--log-every",
                "1",
                "--device",
                "cpu",
                "--overwrite",
            ]
        with (self.out.parent / f"{self.out.name}.log").open("ab") as log:
            return subprocess.Popen(command, stdout=log, stderr=log)

    def step(self) -> int:
        """The last step in metrics.jsonl; 0 when there is none."""
        rows = self.rows()
        return max(rows, default=0)

    def rows(self) -> dict[int, float]:
        """Step -> loss; a line being written at this moment does not count yet."""
        path = self.out / "metrics.jsonl"
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        found = [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]
        return {row["step"]: row["loss"] for row in found}

    def interrupt(self, number: signal.Signals, at: int, delay: float) -> tuple[int, int]:
        """Start, wait for step `at` and then `delay` seconds, send the signal: (step reached, exit code)."""
        process = self.start()
        while process.poll() is None and self.step() < at:
            time.sleep(0.002)
        time.sleep(delay)
        process.send_signal(number)
        return self.step(), process.wait()

    def finish(self) -> int:
        return self.start().wait()

    def digest(self) -> str:
        path = self.out / "model.safetensors"
        return hashlib.sha256(path.read_bytes()).hexdigest()[:16] if path.exists() else "missing"


def compare(name: str, run: Run, whole: Run) -> bool:
    same = run.digest() == whole.digest()
    losses = run.rows() == whole.rows()
    print(
        f"| {name} | finished | {run.step()} | weights {'equal' if same else 'DIFFER'} ({run.digest()}), "
        f"losses {'equal' if losses else 'DIFFER'} |",
        flush=True,
    )
    return same and losses


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--work", type=Path, help="keep the runs in this folder")
    options = parser.parse_args()
    chance = random.Random(options.seed)
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
                f"the uninterrupted run failed with {code}: see {folder}/whole.log (keep it with --work)"
            )
        print(
            f"Uninterrupted: {options.steps} steps, {seconds:.1f} s, weights {whole.digest()}\n\n"
            "| run | event | at step | result |\n|---|---|---|---|",
            flush=True,
        )
        good = True
        moments = [0, *sorted(chance.randrange(1, options.steps) for _ in range(options.kills - 1))]
        for at in moments:
            delay = chance.uniform(0, 0.5 * seconds) if at == 0 else chance.uniform(0, 0.1)
            reached, code = killed.interrupt(signal.SIGKILL, at, delay)
            good &= code == EXITS[signal.SIGKILL]
            print(f"| killed | SIGKILL | {reached} | exit {code} |", flush=True)
        good &= killed.finish() == 0 and compare("killed", killed, whole)
        for run, number in zip(others, (signal.SIGINT, signal.SIGTERM), strict=True):
            reached, code = run.interrupt(number, chance.randrange(1, options.steps - 5), 0.0)
            good &= code == EXITS[number]
            print(
                f"| {number.name} | {number.name} | {reached} | exit {code}, expected {EXITS[number]} |",
                flush=True,
            )
            good &= run.finish() == 0 and compare(number.name, run, whole)
    print(f"\n{'All equal.' if good else 'NOT EQUAL.'}")
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
