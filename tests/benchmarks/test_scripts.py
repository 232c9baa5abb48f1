"""Every benchmark starts: what it imports exists, and its help can be printed."""

import importlib
import sys
from pathlib import Path

import pytest

SCRIPTS = [
    path.stem
    for path in sorted((Path(__file__).parents[2] / "benchmarks").glob("*.py"))
    if "def main(" in path.read_text("utf-8")
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SCRIPTS)
def test_help(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    if name == "tracks":
        pytest.importorskip("aeon")
    script = importlib.import_module(name)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit) as done:
        script.main()
    assert done.value.code == 0
    assert script.__doc__.splitlines()[0] in capsys.readouterr().out


def test_gpu_step_runs_on_a_cpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    script = importlib.import_module("gpu_step")
    monkeypatch.setattr(sys, "argv", ["gpu_step.py", "--toy"])
    script.main()
    assert "| ours |" in capsys.readouterr().out
