"""Progress: every verb that computes for long counts up to its end, with the time left."""

import re
from pathlib import Path

import pytest
from terminal import Terminal

from temporal_jepa.cli import progress


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


def test_quick_verbs_show_none(tj: Terminal, run: Path, data: Path) -> None:
    code, _, error = tj("nearest", run, "s3")
    assert (code, error) == (0, "")
