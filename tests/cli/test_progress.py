"""Progress: every verb that computes for long counts up to its end, with the time left."""

import io
import re
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from terminal import Terminal

from temporal_jepa.cli import console, progress
from temporal_jepa.cli.main import main
from temporal_jepa.config import PretrainConfig
from temporal_jepa.evaluation import probes


@pytest.mark.usefixtures("no_minirocket")
@pytest.mark.parametrize(
    "words",
    [
        "embed RUN DATA",
        "nearest RUN s3",
        "nearest RUN DATA --among OTHER",
        "detect RUN DATA",
        "detect RUN DATA --normal-prefix 100%",
        "states RUN DATA",
        "states RUN DATA --reference OTHER",
        "probe RUN --dim 2",
        "probe RUN --kind attentive",
        "report RUN",
    ],
)
def test_it_ends_with_all_that_there_is(
    tj: Terminal,
    run: Path,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: str,
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", -1)
    monkeypatch.setattr(progress, "INTERVAL", 0)
    other = tmp_path / "other.csv"
    other.write_bytes(data.read_bytes())
    named = {"RUN": run, "DATA": data, "OTHER": other}
    line = [named.get(word, word) for word in words.split()]
    if line[0] != "nearest":
        suffix = {"probe": "json", "report": "html", "embed": "npz"}.get(line[0], "csv")
        line += ["--out", tmp_path / f"out.{suffix}"]
    code, _, error = tj(*line)
    assert code == 0, error
    counted = re.findall(r"(\d+) of (\d+) \w+, \S+ left", error)
    assert len(counted) > 1
    assert counted[-1][0] == counted[-1][1]
    assert int(counted[0][0]) < int(counted[-1][0])


def test_probe_counts_the_series_of_minirocket(
    tj: Terminal, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def quick(train, test, seed, on_sequences):
        on_sequences(len(train))
        on_sequences(len(test))
        return tuple(np.ones((len(part), 1)) for part in (train, test))

    monkeypatch.setattr(progress, "PATIENCE", -1)
    monkeypatch.setattr(progress, "INTERVAL", 0)
    monkeypatch.setattr(probes, "has_minirocket", lambda: True)
    monkeypatch.setattr(probes, "minirocket_features", quick)
    _, _, error = tj("probe", run, "--out", tmp_path / "p.json")
    counted = re.findall(r"(\d+) of (\d+) embeddings", error)
    assert counted[1] == ("12", "36")  # train and test, of three kinds of features
    assert counted[-1] == ("36", "36")


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_what_has_no_known_end_shows_its_time_on_a_terminal(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0)
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    out = str(tmp_path / "m.pt2")
    assert main(["inspect", str(data)]) == 0
    assert main(["export", str(run), "--format", "torch", "--out", out]) == 0
    shown = screen.getvalue()
    for what in ("reading data.csv", "writing the graph"):
        assert f"\r{what}, 0:00:0" in shown
    assert shown.endswith(f"\r{'':<70}\r")  # it is removed


def test_a_long_reading_shows_lines_off_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "INTERVAL", 0.01)
    with progress.Clock("reading data.csv"):
        time.sleep(0.1)
    assert "reading data.csv, 0:00:00 so far\n" in capsys.readouterr().err


def test_slow_steps_are_counted_between_the_lines_of_metrics(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    with console.Progress(PretrainConfig(steps=100)) as shown:
        for step in range(14):
            shown.count(step)
            now += 1.0
    assert capsys.readouterr().out.splitlines() == [
        "step 0/100",
        "step 2/100  0:01:38 left",
        "step 12/100  0:01:28 left",
    ]


def test_steps_are_counted_on_a_terminal_before_the_first_metrics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr(console.time, "monotonic", lambda: now)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with console.Progress(PretrainConfig(steps=100)) as shown:
        shown.count(0)
        now = 1.0
        shown.count(1)
        assert shown.live is not None
        task = shown.live.tasks[0]
    assert (task.completed, task.fields["facts"]) == (1, "0:01:39 left")


def test_quick_verbs_show_none_and_no_clock_off_a_terminal(
    tj: Terminal, run: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, error = tj("nearest", run, "s3")
    assert (code, error) == (0, "")
    monkeypatch.setattr(progress, "PATIENCE", 0)
    code, _, error = tj("inspect", data)
    assert (code, error) == (0, "")
