"""`temporal-jepa states`: the table in the time of the data, the page, a reference."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import TINY
from terminal import Terminal

from temporal_jepa import PretrainConfig, pretrain

CALM = 300  # timesteps, then as many that shake


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A calm half and one that shakes, with times and an ugly name."""
    draw = np.random.default_rng(0)
    scale = np.repeat([0.1, 3.0], CALM)[:, None]
    x = scale * draw.normal(size=(2 * CALM, 2))
    when = pd.date_range("2026-01-01", periods=2 * CALM, freq="h")
    file = tmp_path_factory.mktemp("states") / "all.csv"
    pd.DataFrame({"when": when, "a<b>": x[:, 0], "c": x[:, 1]}).to_csv(
        file, index=False
    )
    return file


@pytest.fixture(scope="module")
def run(recording: Path) -> Path:
    """A run on windows of the recording."""
    return pretrain(
        recording,
        recording.with_name("run"),
        PretrainConfig(steps=2),
        {**TINY, "patch_len": 5},
        data_options={"window": 60},
        objective="next",
    )


def test_table_and_page(tj: Terminal, recording: Path, run: Path) -> None:
    words = ["states", run, recording, "--count", 2]
    printed = tj.succeeds(*words)
    table = pd.read_csv(run / "states.csv")
    assert list(table) == ["id", "start", "stop", "first_time", "last_time", "state"]
    assert table.start[0] == 0
    assert (table.start[1:].to_numpy() == table.stop[:-1].to_numpy()).all()
    assert table.stop.iloc[-1] == 2 * CALM  # the whole recording, not a window
    states = np.repeat(table.state, table.stop - table.start).to_numpy()
    same = states[:, None] == states
    assert same[:CALM, :CALM].mean() > 0.9
    assert same[CALM:, CALM:].mean() > 0.9
    assert same[:CALM, CALM:].mean() < 0.1
    first = pd.Timestamp("2026-01-01")
    starts = first + pd.to_timedelta(table.start, unit="h")
    lasts = first + pd.to_timedelta(table.stop - 1, unit="h")
    assert (pd.to_datetime(table.first_time) == starts).all()
    assert (pd.to_datetime(table.last_time) == lasts).all()
    assert f"{len(table)}" in printed
    page = (run / "states.html").read_text("utf-8")
    assert "a&lt;b&gt;" in page
    assert "<script" not in page
    assert "2 states" in page
    assert "2026-01-01" in page
    assert "://" not in page.replace("http://www.w3.org", "")
    assert "--overwrite" in tj.refuses(*words)


def test_without_times(
    tj: Terminal, recording: Path, run: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare.csv"
    pd.read_csv(recording)[["a<b>", "c"]].to_csv(bare, index=False)
    tj.succeeds("states", run, bare, "--count", 2, "--out", tmp_path / "s.csv")
    assert list(pd.read_csv(tmp_path / "s.csv")) == ["id", "start", "stop", "state"]
    assert (tmp_path / "s.html").is_file()


def test_states_of_a_reference_keep_their_numbers(
    tj: Terminal, recording: Path, run: Path, tmp_path: Path
) -> None:
    table = pd.read_csv(recording)
    known = tmp_path / "known.csv"
    table[100:].to_csv(known, index=False)  # shakes most of the time
    calm = tmp_path / "calm.csv"
    table[:200].to_csv(calm, index=False)
    words = ["states", run, calm, "--count", 2]
    tj.succeeds(*words, "--reference", known, "--out", tmp_path / "a.csv")
    assert set(pd.read_csv(tmp_path / "a.csv").state) == {1}
    tj.succeeds(*words, "--out", tmp_path / "b.csv")
    assert set(pd.read_csv(tmp_path / "b.csv").state) == {0, 1}


def test_refusals(tj: Terminal, recording: Path, run: Path, tmp_path: Path) -> None:
    words = ["states", run, recording, "--out", tmp_path / "x.csv"]
    assert "from 1, got 0" in tj.refuses(*words, "--count", 0)
    assert "999 states" in tj.refuses(*words, "--count", 999)
    assert ".csv" in tj.refuses("states", run, recording, "--out", tmp_path / "x.txt")
    assert not (tmp_path / "x.csv").exists()
