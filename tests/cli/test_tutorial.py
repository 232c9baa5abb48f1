"""The commands of docs/tutorials/for_the_shell.md, in one process."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pandas as pd
import pytest
from terminal import Terminal

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "for_the_shell.md"
EXIT_CODE = re.compile(r"  # exit code (\d+)$")
# The words of the verb; a pipe, or a file for its output; the rest of the line.
COMMAND = re.compile(r"temporal-jepa (.*?)(?: ([|>]) (.*))?")


def has_run(tj: Terminal, line: str) -> None:
    """Run a line with the exit code in its comment, else 0, and what stands behind its pipe."""
    found = EXIT_CODE.search(line)
    expected = int(found[1]) if found else 0
    command = COMMAND.fullmatch(EXIT_CODE.sub("", line))
    assert command is not None, line
    words, mark, rest = command.groups()
    code, out, error = tj(*shlex.split(words))
    assert code == expected, f"{line}\n{error}"
    if "--json" in words:
        assert isinstance(json.loads(out), dict)
    if mark == "|" and shutil.which("jq"):
        subprocess.run(["sh", "-c", rest], input=out, text=True, check=True)


@pytest.mark.slow
@pytest.mark.usefixtures("no_minirocket")
@pytest.mark.skipif(shutil.which("awk") is None, reason="needs awk")
def test_every_command_of_the_tutorial_runs(
    tj: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)
    for block in blocks:
        if block.startswith("temporal-jepa"):
            for line in block.splitlines():
                has_run(tj, line)
        else:
            subprocess.run(["sh", "-c", block], check=True)
    assert len(Path("machines.csv").read_text().splitlines()) == 1 + 60 * 120
    assert Path("runs/machines/report.html").exists()
    scores = Path("runs/machines/probe.json").read_text()
    accuracy = {
        row["features"]: row["accuracy"] for row in json.loads(scores)["scores"]
    }
    assert accuracy["mean/std/min/max"] < 0.8  # as the page says
    assert accuracy["untrained encoder"] > 0.9
    table = pd.read_csv("anomalies.csv")
    assert 1190 <= table["timestep"][table["score"].idxmax()] <= 1240
