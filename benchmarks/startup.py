"""Seconds to start: the import beside torch's own, and `--help` of the command line.

python benchmarks/startup.py [--rounds 11]

Each command is a fresh process; rounds are interleaved. CPU seconds of the process are printed
beside wall seconds: they vary less on a busy machine.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from results import markdown_table, parser_of

PYTHON = [sys.executable, "-P"]
MODULE = [*PYTHON, "-m", "temporal_jepa"]
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
    else [*MODULE, "--help"],
    "temporal-jepa pretrain --help": [*MODULE, "pretrain", "--help"],
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
    parser = parser_of(__doc__)
    parser.add_argument("--rounds", type=int, default=11)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for (
            command
        ) in COMMANDS.values():  # files into the page cache, byte code written
            measure(command, folder)
        rounds = [
            [measure(command, folder) for command in COMMANDS.values()]
            for _ in range(options.rounds)
        ]
    seconds = np.array(rounds)  # (rounds, commands, wall and CPU)
    ratio = seconds / seconds[:, :1]
    rows = []
    for i, name in enumerate(COMMANDS):
        values = [*np.median(seconds[:, i], axis=0), *np.median(ratio[:, i], axis=0)]
        rows.append([f"`{name}`", *(f"{value:.2f}" for value in values)])
    header = [
        "command",
        "wall seconds, median",
        "CPU seconds, median",
        "x import torch, wall",
        "x import torch, CPU",
    ]
    print(markdown_table(header, rows))


if __name__ == "__main__":
    main()
