"""Growth: the benchmark runs, and memory does not grow with the number of series."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from growth import AXES, exponent

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "growth.py"


def test_an_exponent_is_the_slope_in_log_log() -> None:
    points = [10, 100, 1000]
    assert exponent(points, [3e-3 * n**2 for n in points]) == pytest.approx(2)
    assert exponent(points, [5.0] * 3) == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_series() -> None:
    """Measured in a process that has no threads, since it forks."""
    command = [sys.executable, str(SCRIPT), "--quick", "--model", "random"]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    rows = [line for line in text.splitlines() if line.startswith("| exponent")]
    assert len(rows) == len(AXES)
    cells = [[cell.strip() for cell in row.split("|")] for row in rows]
    exponents = np.array([[row[2], row[4]] for row in cells], dtype=float)
    assert np.isfinite(exponents).all()
    assert exponents[list(AXES).index("n"), 1] < 0.4  # 4 times as many series
