from pathlib import Path

import pytest
from terminal import FAST, READ, Terminal, write_csv

from temporal_jepa.cli.main import main
from temporal_jepa.evaluation import probes


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("data") / "data.csv")


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "a"
    assert (
        main(["pretrain", "--data", str(data), "--out", str(folder), *READ, *FAST]) == 0
    )
    return folder


@pytest.fixture
def tj(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)


@pytest.fixture
def no_minirocket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "has_minirocket", lambda: False)
