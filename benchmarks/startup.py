"""Seconds to start: the import beside torch's own, and the command line's help.

python benchmarks/startup.py [--rounds 11]

Each command is a fresh process; rounds are interleaved. CPU seconds (of the process) are printed beside wall seconds:
they are the steadier ones on a busy machine.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

PYTHON = [sys.executable, "-P"]
SCRIPT = Path(sys.executable).with_name("temporal-jepa")
COMMANDS = {
    "import torch": [*PYTHON, "-c", "import torch"],
    "import temporal_jepa": [*PYTHON, "-c", "import temporal_jepa"],
    "from temporal_jepa import TemporalJEPA": [
        *PYTHON,
        "-c",
        "from temporal_jepa import TemporalJEPA",
    ],
    "temporal-jepa --help": [str(SCRIPT), "--help"]
    if SCRIPT.exists()
    else [*PYTHON, "-m", "temporal_jepa", "--help"],
    "temporal-jepa pretrain --help": [*PYTHON, "-m", "temporal_jepa", "pretrain", "--help"],
}


def measure(command: list[str], folder: str) -> tuple[float, float]:
    """Wall and CPU seconds of a command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    names = list(COMMANDS)
    with tempfile.TemporaryDirectory() as folder:
        for command in COMMANDS.values():  # files into the page cache, byte code written
            measure(command, folder)
        found = np.array(
            [[measure(COMMANDS[name], folder) for name in names] for _ in range(options.rounds)]
        )
    base = found[:, :1]  # (rounds, 1, 2)
    print(
        "| command | wall seconds, median | CPU seconds, median | x import torch, wall | x import torch, CPU |"
    )
    print("|---|---|---|---|---|")
    for place, name in enumerate(names):
        wall, cpu = np.median(found[:, place], axis=0)
        times_wall, times_cpu = np.median(found[:, place] / base[:, 0], axis=0)
        print(f"| `{name}` | {wall:.2f} | {cpu:.2f} | {times_wall:.2f} | {times_cpu:.2f} |")


if __name__ == "__main__":
    main()
