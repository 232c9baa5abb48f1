"""The examples run as they stand, on data that packages ship, and write what they promise."""

import importlib
from pathlib import Path

import pytest

from temporal_jepa.evaluation import probes

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("name", ["series", "trajectories", "video"])
def test_an_example_learns_and_writes_a_report(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("aeon")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    # MiniRocket takes most of the time and is no part of the example.
    monkeypatch.setattr(probes, "controls", lambda train, test, seed: {})
    result = importlib.import_module(name).main(tmp_path / "run", steps=3)
    accuracy = {row["features"]: row["accuracy"] for row in result["scores"]}
    assert {"untrained encoder", "pretrained encoder"} <= set(accuracy)
    assert (
        min(accuracy.values()) > 0.5
    )  # guessing one of three or more classes is below .4
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert ("A dot marks the start of each path." in page) == (name == "trajectories")


@pytest.mark.slow
def test_the_figure_of_the_readme_can_be_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("aeon")
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.syspath_prepend(str(EXAMPLES.parent / "docs" / "images"))
    importlib.import_module("make_overview").main(tmp_path / "overview.svg")
    assert 10_000 < (tmp_path / "overview.svg").stat().st_size < 150_000


def test_the_examples_of_the_data_page_print_what_they_show(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES.parent / "docs"))
    examples = importlib.import_module("inspect_examples")
    page = examples.PAGE.read_text("utf-8")
    assert len(examples.EXAMPLE.findall(page)) > 5
    assert examples.brought_up_to_date(page) == page
