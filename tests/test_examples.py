"""The examples run as they stand, and write what they promise."""

import importlib
import json
from pathlib import Path

import pytest
import torch

from temporal_jepa import TemporalJEPA, from_pretrained
from temporal_jepa.cli.main import main
from temporal_jepa.evaluation import probes
from temporal_jepa.model.modules import Modules

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("name", ["series", "trajectories", "video"])
def test_an_example_learns_and_writes_a_report(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("aeon")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    # MiniRocket takes most of the time and is no part of the example.
    monkeypatch.setattr(probes, "controls", lambda *_: {})
    result = importlib.import_module(name).main(tmp_path / "run", steps=3)
    accuracy = {row["features"]: row["accuracy"] for row in result["scores"]}
    assert {"untrained encoder", "pretrained encoder"} <= set(accuracy)
    assert (
        min(accuracy.values()) > 0.5
    )  # guessing one of three or more classes is below .4
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert ("A dot marks the start of each path." in page) == (name == "trajectories")


def test_an_encoder_of_ones_own_embeds_after_it_was_loaded_and_is_exported(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    example = importlib.import_module("own_encoder")
    assert example.main(tmp_path / "run", steps=2).shape[0] == 64
    assert "Convolutions" in (tmp_path / "run" / "config.json").read_text("utf-8")
    words = ["export", str(tmp_path / "run"), "--format", "torch"]
    assert main(words) == 1
    told = "--encoder FILE.py:Convolutions"
    assert told in capsys.readouterr().err
    code = f"{EXAMPLES / 'own_encoder.py'}:Convolutions"
    assert main([*words, "--encoder", code]) == 0
    program = torch.export.load(tmp_path / "run" / "model.pt2").module()
    model = from_pretrained(
        tmp_path / "run", modules=Modules(encoder=example.Convolutions)
    )
    x = torch.randn(3, 30, 2)
    torch.testing.assert_close(program(x), model.embed(x))


def test_a_mask_of_ones_own_hides_as_many_tokens_of_every_series(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    example = importlib.import_module("own_mask")
    observed = torch.ones(50, 10 * 4, dtype=torch.bool)
    random = torch.Generator().manual_seed(0)
    visible = example.around_a_moment(observed, random, (10, 2, 2))
    assert visible.sum(1).unique().tolist() == [6 * 4]
    assert len(visible.unique(dim=0)) > 10
    example.main(tmp_path / "run", steps=2)
    assert (tmp_path / "run" / "model.safetensors").exists()


def test_an_objective_of_ones_own_learns_the_arrow_of_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    run = importlib.import_module("own_objective").main(tmp_path / "run", steps=20)
    rows = (run / "metrics.jsonl").read_text("utf-8").splitlines()
    assert json.loads(rows[-1])["right"] > 0.8  # guessing is .5


@pytest.mark.filterwarnings("ignore")
def test_lightning_trains_the_model_and_moves_its_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("lightning")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    momenta = []
    update = TemporalJEPA.update_target

    def counted(self, momentum):
        momenta.append(momentum)
        update(self, momentum)

    monkeypatch.setattr(TemporalJEPA, "update_target", counted)
    example = importlib.import_module("with_lightning")
    example.main(tmp_path / "run", steps=4)
    assert len(momenta) == 4
    assert momenta == sorted(momenta)
    assert momenta[-1] == 1.0
    assert (tmp_path / "run" / "model.safetensors").exists()


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
