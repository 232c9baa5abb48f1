"""An address that stands only in a run folder, perhaps of a stranger, is never opened."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from terminal import Terminal

from temporal_jepa.config import PretrainConfig, ReadOptions
from temporal_jepa.data.store import remote
from temporal_jepa.report.report import write_report
from temporal_jepa.training.run import plan

URL = "http://192.0.2.1/data.store"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were opened."""
    found: list[str] = []

    def blocks(url: str, most: int) -> Iterator[bytes]:
        found.append(url)
        raise FileNotFoundError("nothing there")

    monkeypatch.setattr(remote, "_blocks", blocks)
    return found


@pytest.fixture
def strange(run: Path, tmp_path: Path) -> Path:
    """A run folder that names an address as its data."""
    folder = Path(shutil.copytree(run, tmp_path / "strange"))
    change(folder, lambda config: config["data"].update(path=URL))
    return folder


def change(folder: Path, edit: Any) -> None:
    config = json.loads((folder / "config.json").read_text())
    del config["sha256"]
    edit(config)
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("words", "repeat"),
    [
        ("probe RUN", "--train"),
        ("nearest RUN s3", "--among"),
        ("detect RUN DATA", "--reference"),
        ("report RUN --overwrite", "--data"),
        ("pretrain --out RUN --resume", "--data"),
    ],
)
def test_it_is_refused_until_it_is_repeated(
    tj: Terminal, strange: Path, data: Path, asked: list[str], words: str, repeat: str
) -> None:
    line = [{"RUN": strange, "DATA": data}.get(word, word) for word in words.split()]
    said = tj.refuses(*line)
    assert "stands only in a run folder is not opened" in said
    assert f"repeat it: {repeat} {URL}" in said
    assert asked == []
    tj.refuses(*line, repeat, URL)
    assert asked == [f"{URL}/store.json"]


def test_an_address_that_is_the_query_or_the_data_was_given(
    tj: Terminal, strange: Path, asked: list[str]
) -> None:
    for verb in ("nearest", "detect"):
        assert "no store.json" in tj.refuses(verb, strange, URL)
    assert len(asked) == 2


def test_other_data_is_read_without_asking(
    tj: Terminal, strange: Path, data: Path, tmp_path: Path, asked: list[str]
) -> None:
    out = tmp_path / "e.npz"
    said = tj.succeeds("embed", strange, data, "--out", out)
    assert "12 sequences" in said  # read with the columns of training
    assert f"report {strange} --data {URL}" in tj.succeeds("inspect", strange)
    assert asked == []


def test_python_is_told_too(strange: Path, asked: list[str]) -> None:
    with pytest.raises(ValueError, match="stands only in a run folder"):
        write_report(strange, overwrite=True)
    assert asked == []


def test_a_start_on_the_hub_is_not_downloaded_unasked(
    run: Path, tmp_path: Path, data: Path
) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "strange"))
    shutil.rmtree(folder / "checkpoint")
    change(folder, lambda config: config.update(init_from="someone/model"))
    with pytest.raises(ValueError, match="repeat it: init_from='someone/model'"):
        plan(str(data), folder, PretrainConfig(), options=ReadOptions(), resume=True)
