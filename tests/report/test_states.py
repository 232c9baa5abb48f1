"""States in the report: for which runs, what is drawn, names, size, and the same bytes."""

import re
from pathlib import Path

import numpy as np
import pytest
from factories import TINY

from temporal_jepa import PretrainConfig, Sequences, pretrain
from temporal_jepa.evaluation.states import Segment, States
from temporal_jepa.report import plots
from temporal_jepa.report.report import write_report
from temporal_jepa.report.states import TIMESTEPS_DRAWN, states_section

EVIL = "<script>alert('$x$')</script>"
CONFIG = PretrainConfig(steps=2, batch_size=4, device="cpu")


def recordings(n: int = 4, length: int = 90, **options: object) -> Sequences:
    draw = np.random.default_rng(0)
    scale = np.repeat([0.1, 3.0, 0.1], -(-length // 3))[:length, None]
    values = [scale * draw.normal(size=(length, 4)) for _ in range(n)]
    return Sequences(values, **options)


def report(folder: Path, data: Sequences, objective: str, **options: object) -> str:
    settings = {**TINY, "patch_len": 3, **options}
    run = pretrain(data, folder / "run", CONFIG, settings, objective=objective)
    return write_report(run, sequences=data).read_text("utf-8")


def test_a_run_of_next_latents_shows_its_states(tmp_path: Path) -> None:
    ids = [EVIL, "b", "c", "d"]
    data = recordings(
        ids=ids, channels=[EVIL, "u&v", "w", "x"], labels=np.array([EVIL] * 4)
    )
    text = report(tmp_path, data, "next")
    section = text.split('<section id="states">')[1].split("</section>")[0]
    assert text.count("<script") == 2  # the data and the script of the map
    assert "<script>alert" not in text
    assert "&lt;script&gt;" in section
    assert "u&amp;v" in section
    assert "the first 3 of 4 channels" in section
    count = int(re.findall(r"<b>(\d+) states</b>", section)[0])
    assert section.count("% of the time</span>") == count
    assert section.count('<svg role="img"') == section.count("<svg")
    assert re.findall(r'aria-label="[^"]*segments, of the states [\d, ]+"', section)
    assert len(text) < 1_000_000


def test_the_same_inputs_give_the_same_bytes(tmp_path: Path) -> None:
    data = recordings()
    run = pretrain(
        data, tmp_path / "run", CONFIG, TINY | {"patch_len": 3}, objective="next"
    )
    first = write_report(run, sequences=data, out=tmp_path / "a.html")
    second = write_report(run, sequences=data, out=tmp_path / "b.html")
    assert first.read_bytes() == second.read_bytes()
    assert 'id="states"' in first.read_text("utf-8")


def test_masked_latents_and_short_series_show_no_states(tmp_path: Path) -> None:
    assert 'id="states"' not in report(tmp_path / "a", recordings(), "masked")
    short = recordings(length=24)
    assert 'id="states"' not in report(tmp_path / "b", short, "next")


def found(states: list[list[int]]) -> States:
    """States by hand, one segment a run, without typical moments."""
    arrays = [np.array(own) for own in states]
    segments = [[Segment(0, len(own), own[0])] for own in states]
    return States(2, arrays, segments, np.array([0.5, 0.5]), [[], []], 5, True)


def test_long_sequences_are_cut_and_small() -> None:
    draw = np.random.default_rng(0)
    values = [draw.normal(size=(40_000, 9)) for _ in range(5)]
    own = (np.arange(40_000) // 7 % 2).tolist()
    section = states_section(Sequences(values), found([own] * 5))
    assert section["cut"] == TIMESTEPS_DRAWN
    assert sum(len(figure["svg"]) for figure in section["figures"]) < 400_000


@pytest.mark.parametrize("level", [np.nan, 7.0])
def test_channels_that_do_not_vary_are_drawn(level: float) -> None:
    values = np.random.default_rng(0).normal(size=(30, 2))
    values[:, 0] = level
    section = states_section(Sequences([values] * 2), found([[0] * 30] * 2))
    assert "nan" not in str(section["figures"][0]["svg"]).lower()


def test_states_without_a_color_of_their_own_are_drawn() -> None:
    states = np.repeat(np.arange(20), 5)
    drawn = str(plots.over_states("a", np.zeros((100, 1)), states))
    assert ">19<" in drawn
    assert plots.state_color(8) == plots.state_color(0)
