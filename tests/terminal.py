"""Shared by the tests of the command line: a small data set, quick settings, a way to run verbs."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import TINY

from temporal_jepa.cli.main import main

READ = ["--id", "track", "--time", "t", "--label", "kind"]
TINY_FLAGS = [f"--{name.replace('_', '-')}={value}" for name, value in TINY.items()]
FAST = [
    *TINY_FLAGS,
    "--steps",
    "4",
    "--log-every",
    "2",
    "--watch-every",
    "2",
    "--batch-size",
    "4",
]


def write_csv(
    path: Path,
    n: int = 12,
    length: int = 16,
    labels: bool = True,
    channels: int = 2,
    seed: int = 0,
) -> Path:
    """A long table: two classes of noisy waves; series 0 is shorter than the others."""
    draw = np.random.default_rng(seed)
    header = ["track", "t", *(f"x{c}" for c in range(channels))]
    lines = [",".join([*header, "kind"] if labels else header)]
    for i in range(n):
        for t in range(length - 4 if i == 0 else length):
            values = np.sin(t * (1 + i % 2) / 2) + 0.1 * draw.standard_normal(channels)
            row = [f"s{i}", str(t), *(f"{v:.4f}" for v in values)]
            lines.append(",".join([*row, "ab"[i % 2]] if labels else row))
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


class Terminal:
    """Runs a command and gives its exit code, standard output and standard error."""

    def __init__(self, capsys: pytest.CaptureFixture[str]):
        self.capsys = capsys

    def __call__(self, *words: Any) -> tuple[int, str, str]:
        self.capsys.readouterr()
        code = main([str(word) for word in words])
        return code, *self.capsys.readouterr()

    def succeeds(self, *words: Any) -> str:
        """Standard output of a command that must succeed."""
        code, out, error = self(*words)
        assert code == 0, error
        return out

    def refuses(self, *words: Any, code: int = 1) -> str:
        """The one line on standard error of a command that must fail."""
        got, _, error = self(*words)
        assert got == code, error
        assert error.startswith("error: "), error
        assert error.count("\n") == 1, error
        return error.strip()
