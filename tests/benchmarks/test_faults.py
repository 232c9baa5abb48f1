"""A handful of what `benchmarks/faults.py` and `benchmarks/damage.py` try by the hundred."""

from pathlib import Path

import pytest
from damage import READERS, Campaign, cut, flip, folder, link
from processes import start_script, wait

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
def test_killed_commands_lose_nothing(tmp_path: Path) -> None:
    """In a process that has no threads, since it forks."""
    said = tmp_path / "said.txt"
    words = ["--tries", "6", "--only", "pretrain --overwrite", "embed .csv"]
    process = start_script(BENCHMARKS / "faults.py", *words, output=said)
    assert wait([process]) == [0], said.read_text()
    assert "| all | 6 |" in said.read_text()
