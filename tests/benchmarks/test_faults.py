"""A handful of what `benchmarks/faults.py` and `benchmarks/damage.py` try by the hundred."""

import subprocess
import sys
from pathlib import Path

import pytest
from damage import READERS, Campaign, cut, flip, folder, link

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.mark.slow
def test_no_damage_to_a_run_is_believed(tmp_path: Path) -> None:
    campaign = Campaign(tmp_path, seed=0)
    for name, readers in READERS.items():
        file = campaign.rng.choice(campaign.files(name))
        for how in (cut, flip, folder, link):
            verb = campaign.rng.choice(readers)
            assert campaign.damage(file, how, verb), (file, how, verb)


@pytest.mark.slow
def test_killed_commands_lose_nothing() -> None:
    command = [sys.executable, "-W", "ignore", str(BENCHMARKS / "faults.py")]
    only = ["--only", "pretrain --overwrite", "embed .csv"]
    done = subprocess.run(
        [*command, "--tries", "6", *only], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| all | 6 |" in done.stdout
