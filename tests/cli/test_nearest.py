"""`temporal-jepa nearest`: the table, the page, and queries from a file."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import TINY
from terminal import Terminal

from temporal_jepa import PretrainConfig, pretrain


@pytest.fixture(scope="module")
def turns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of tracks that turn left or right."""
    tables = []
    for i in range(8):
        angle = np.linspace(0, 2, 20) * (1 if i % 2 else -1)
        x = np.sin(angle) * (9 + i)
        y = np.cos(angle) * (9 + i)
        columns = {
            "track": f"t{i}",
            "time": np.arange(20),
            "x": x,
            "y": y,
            "kind": "LR"[i % 2],
        }
        tables.append(pd.DataFrame(columns))
    file = tmp_path_factory.mktemp("nearest") / "tracks.csv"
    pd.concat(tables).to_csv(file, index=False)
    return file


@pytest.fixture(scope="module")
def turns_run(turns: Path) -> Path:
    config = PretrainConfig(steps=2, device="cpu")
    options = {"layout": "tracks", "label": "kind"}
    return pretrain(turns, turns.with_name("run"), config, TINY, data_options=options)


def table(printed: str) -> list[list[str]]:
    """The rows of the printed table, without notes, title and header."""
    return [line.split() for line in lines(printed)[2:]]


def lines(printed: str) -> list[str]:
    """The printed lines that are no notes on how a file was read."""
    return [line for line in printed.splitlines() if not line.startswith("note:")]


def test_table_and_page(tj: Terminal, turns_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    printed = tj.succeeds("nearest", turns_run, "t3", "--k", "3", "--out", out)
    assert lines(printed)[1].split() == ["query", "nearest", "label", "distance"]
    rows = table(printed)[:3]
    assert rows[0][0] == "t3"
    assert [row[-2] for row in rows] == ["R", "R", "R"]
    assert "t3" not in {row[-3] for row in rows}
    text = out.read_text("utf-8")
    assert text.count("<figure") == 4
    assert "A dot marks the start of each path." in text
    assert "m across" in text
    assert "<script" not in text
    assert "closer than" in text
    assert text.count("<small>distance ") == 3
    assert f"<small>distance {rows[0][-1]}</small>" in text
    assert "--overwrite" in tj.refuses("nearest", turns_run, "t3", "--out", out)


def test_queries_from_the_searched_file_do_not_find_themselves(
    tj: Terminal, turns: Path, turns_run: Path, tmp_path: Path
) -> None:
    rows = table(tj.succeeds("nearest", turns_run, turns, "--k", "1"))
    assert len(rows) == 8
    assert all(row[0] != row[1] for row in rows)
    copy = tmp_path / "copy.csv"
    copy.write_bytes(turns.read_bytes())
    rows = table(tj.succeeds("nearest", turns_run, copy, "--k", "1"))
    assert len(rows) == 8
    assert all(row[0] == row[1] and row[-1] == "0.00" for row in rows)


def test_an_unknown_query_is_one_line(tj: Terminal, turns_run: Path) -> None:
    assert "nobody" in tj.refuses("nearest", turns_run, "nobody")


def test_what_cannot_be_compared_is_named(tj: Terminal, tmp_path: Path) -> None:
    one = tmp_path / "one.csv"
    pd.DataFrame({"a": np.sin(np.arange(60.0))}).to_csv(one, index=False)
    two = tmp_path / "two.csv"
    pd.DataFrame(
        np.random.default_rng(0).normal(size=(60, 2)), columns=["a", "b"]
    ).to_csv(two, index=False)
    words = ["nearest", "series-small", one, "--among"]
    said = tj.refuses(*words, two, "--layout", "recording")
    assert "expected 2 channels" in said
    assert "got 1" in said
    assert "holds one sequence" in tj.refuses(*words, one, "--layout", "recording")


def test_a_model_of_the_package_has_no_report(tj: Terminal) -> None:
    expected = "--data data.csv --out runs/data && temporal-jepa report runs/data"
    assert expected in tj.refuses("report", "series-small")
    assert "a report is about a run" in tj.refuses("report", __file__)
