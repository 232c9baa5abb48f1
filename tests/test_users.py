"""What four users do, in at most 15 lines without imports (`tests/users/`), runs as it stands."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

USERS = Path(__file__).parent / "users"
MOST_LINES = 15


def run(words: list[str], folder: Path) -> str:
    """The output of a script of a user, in a folder, with the verb `temporal-jepa` in the path."""
    (folder / "bin").mkdir()
    verb = folder / "bin" / "temporal-jepa"
    verb.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m temporal_jepa "$@"\n')
    verb.chmod(0o755)
    package = Path(__file__).parents[1]
    environment = {
        **os.environ,
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{package}{os.pathsep}{package / 'examples'}",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("path", sorted(USERS.iterdir()), ids=lambda path: path.name)
def test_a_script_is_short(path: Path) -> None:
    lines = path.read_text().splitlines()
    left_out = ("import ", "from ", "#", '"""')
    own = [line for line in lines if line and not line.startswith(left_out)]
    assert len(own) <= MOST_LINES


@pytest.mark.slow
def test_a_page_from_the_csv_of_a_factory(tmp_path: Path) -> None:
    minutes = pd.date_range("2024-03-01", periods=3000, freq="min")
    noise = np.random.default_rng(0).normal(size=(3000, 6))
    phase = np.arange(3000)[:, None] / np.array([10, 15, 20, 30, 45, 60])
    table = pd.DataFrame(np.sin(phase) + 0.2 * noise, columns=[*"abcdef"])
    table.insert(0, "time", minutes)
    table.to_csv(tmp_path / "factory.csv", index=False)
    run(["sh", str(USERS / "factory.sh"), "factory.csv"], tmp_path)
    page = (tmp_path / "runs" / "factory" / "report.html").read_text("utf-8")
    assert "2024-03-01" in page  # axes are in the time of the data
    assert len(page) < 2e6


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("jq") is None, reason="needs jq")
def test_a_pipeline_of_the_shell(tmp_path: Path) -> None:
    random_numbers = np.random.default_rng(0)
    rows = []
    for k in range(40):
        period = 5 if k % 2 else 12
        x = np.sin(np.arange(50) / period) + 0.1 * random_numbers.normal(size=50)
        rows += [(f"s{k}", "ab"[k % 2], t, value) for t, value in enumerate(x)]
    table = pd.DataFrame(rows, columns=["id", "label", "time", "value"])
    table.to_csv(tmp_path / "data.csv", index=False)
    said = run(["sh", str(USERS / "shell.sh"), "data.csv"], tmp_path)
    assert "no file or folder missing.csv" in said
    scores = (tmp_path / "scores.tsv").read_text().splitlines()
    accuracy = {name: float(score) for name, score in (x.split("\t") for x in scores)}
    assert accuracy["pretrained encoder"] > 0.9
    neighbors = (tmp_path / "neighbors.txt").read_text().split()
    assert len(neighbors) >= 3
    assert all(int(name.removeprefix("s")) % 2 == 0 for name in neighbors)


@pytest.mark.slow
def test_a_pipeline_of_aeon(tmp_path: Path) -> None:
    pytest.importorskip("aeon")
    assert float(run([sys.executable, str(USERS / "archive.py")], tmp_path)) > 0.9


@pytest.mark.slow
def test_a_researcher_under_torchrun(tmp_path: Path) -> None:
    tracker = "mlflow" if importlib.util.find_spec("mlflow") else "tensorboard"
    pytest.importorskip(tracker)
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    words += ["--nproc-per-node", "2", str(USERS / "researcher.py"), tracker]
    run(words, tmp_path)
    rows = (tmp_path / "runs" / "own" / "metrics.jsonl").read_text().splitlines()
    last = json.loads(rows[-1])
    assert last["step"] == 6
    assert 0 <= last["right"] <= 1  # a metric of the objective
    kept = {"tensorboard": "tensorboard/events*", "mlflow": "mlflow*"}[tracker]
    assert [*(tmp_path / "runs" / "own").glob(kept)]
