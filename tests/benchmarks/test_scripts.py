"""Every benchmark starts: what it imports exists, and its help can be printed."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import numpy as np
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


@pytest.mark.parametrize(
    ("name", "row"), [("gpu_step", "| ours |"), ("gpu_series", "| train | cpu |")]
)
def test_scripts_for_a_gpu_run_on_a_cpu(
    name: str, row: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    script = load(name)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--toy"])
    script.main()
    assert row in capsys.readouterr().out


def test_moving_digits_are_the_same_over_every_background() -> None:
    script = load("moving_digits")
    black, labels = script.digits(8, "train", 3, 8, 24)
    others = [name for name in script.BACKGROUNDS if name != "none"]
    for name in others:
        videos, ours = script.digits(8, "train", 3, 8, 24, name)
        for task, values in labels.items():
            np.testing.assert_array_equal(values, ours[task])
        assert (videos >= black).all()
        assert (videos > black).any()
        tested, _ = script.digits(8, "test", 3, 8, 24, name)
        shared = {row.tobytes() for row in videos[:, :, :2]}
        assert not shared & {row.tobytes() for row in tested[:, :, :2]}


@pytest.mark.parametrize("develop", [False, True])
def test_moving_digits_compares_next_latents_with_the_autoencoder(
    develop: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    script = load("moving_digits")
    sizes = ["--clips", "120", "--frames", "8", "--size", "16", "--seeds", "1"]
    rows = ["--background", "drift", "--embedders", "autoencoder", "next latent"]
    out = ["--out", str(tmp_path / "digits.csv")]
    small = ["steps=1", "embed_dim=16", "predictor_embed_dim=16", "encoder_depth=1"]
    arguments = [*sizes, *rows, *out, "--set", *small]
    if develop:
        arguments.append("--develop")
    monkeypatch.setattr(sys, "argv", ["moving_digits.py", *arguments])
    script.main()
    assert "| next latent - autoencoder |" in capsys.readouterr().out
    script.main()
    assert "seed 1" not in capsys.readouterr().out, "what is done is not repeated"
