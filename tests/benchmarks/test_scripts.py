"""Every benchmark starts: what it imports exists, and its help can be printed."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = [
    path.stem
    for path in sorted(FOLDER.glob("*.py"))
    if "def main(" in path.read_text("utf-8")
]


def load(name: str) -> ModuleType:
    """The script, not as `name` in `sys.modules`: an example has the same name."""
    spec = spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # as dataclasses need it
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", SCRIPTS)
def test_help(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    if name == "tracks":
        pytest.importorskip("aeon")
    script = load(name)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--help"])
    with pytest.raises(SystemExit) as done:
        script.main()
    assert done.value.code == 0
    assert script.__doc__.splitlines()[0] in capsys.readouterr().out


def test_gpu_step_runs_on_a_cpu(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    script = load("gpu_step")
    monkeypatch.setattr(sys, "argv", ["gpu_step.py", "--toy"])
    script.main()
    assert "| ours |" in capsys.readouterr().out
