"""The examples run as they stand, on data that packages ship, and write what they promise."""

import importlib
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("name", ["series", "trajectories", "video"])
def test_an_example_learns_and_writes_a_report(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("aeon")
    assert len((EXAMPLES / f"{name}.py").read_text("utf-8").splitlines()) < 60
    monkeypatch.syspath_prepend(str(EXAMPLES))
    scores = importlib.import_module(name).main(tmp_path / "run", steps=3)
    assert set(scores) == {"untrained", "pretrained"}
    assert min(scores.values()) > 0.5  # of three or four kinds: guessing is below .4
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert ("Each path starts at its dot." in page) == (name == "trajectories")


@pytest.mark.slow
def test_the_figure_of_the_readme_can_be_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("aeon")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.syspath_prepend(str(EXAMPLES.parent / "docs" / "images"))
    importlib.import_module("make_overview").main(tmp_path / "overview.svg")
    assert 10_000 < (tmp_path / "overview.svg").stat().st_size < 150_000
