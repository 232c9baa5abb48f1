"""`temporal-jepa detect`: the table, the page, a normal start, and the old verb."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from terminal import Terminal

from temporal_jepa import PretrainConfig, pretrain
from temporal_jepa.estimators.anomaly import peaks

TIMESTEPS = np.arange(1200)
IS_ODD = (TIMESTEPS >= 900) & (TIMESTEPS < 940)


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noisy periods of 40 timesteps; in channel c one of them runs at another speed."""
    noise = 0.1 * np.random.default_rng(0).normal(size=(2, 1200))
    x = np.sin(2 * np.pi * TIMESTEPS / 40 + np.arange(2)[:, None]) + noise
    x[1, IS_ODD] = np.sin(2 * np.pi * np.arange(40) / 8) + noise[1, IS_ODD]
    when = pd.date_range("2026-01-01", periods=1200, freq="h")
    file = tmp_path_factory.mktemp("detect") / "all.csv"
    pd.DataFrame({"when": when, "a<b>": x[0], "c": x[1]}).to_csv(file, index=False)
    return file


@pytest.fixture(scope="module")
def normal_run(recording: Path) -> Path:
    """A run on the first half of the recording."""
    file = recording.with_name("normal.csv")
    pd.read_csv(recording)[:600].to_csv(file, index=False)
    options = {"window": 60}
    config = PretrainConfig(steps=2)
    return pretrain(file, recording.with_name("run"), config, data_options=options)


def test_table_and_page(tj: Terminal, recording: Path, normal_run: Path) -> None:
    words = ["detect", normal_run, recording, "--window", "40"]
    printed = tj.succeeds(*words)
    table = pd.read_csv(normal_run / "anomalies.csv")
    assert list(table) == ["id", "timestep", "time", "score", "anomaly"]
    assert len(table) == 1200
    assert roc_auc_score(IS_ODD, table.score) > 0.97
    assert ((table.score > 1) == table.anomaly).all()
    assert f"{table.anomaly.sum()} of 1200 timesteps" in printed
    page = (normal_run / "anomalies.html").read_text("utf-8")
    assert "a&lt;b&gt;" in page
    assert "<script" not in page
    assert "://" not in page.replace("http://www.w3.org", "")
    assert page.count("<svg") == 1 + len(peaks([table.score.to_numpy()], 40))
    assert "--overwrite" in tj.refuses(*words)


def test_a_normal_start(
    tj: Terminal, recording: Path, normal_run: Path, tmp_path: Path
) -> None:
    words = ["detect", normal_run, recording, "--window", "40"]
    scores = []
    for prefix in ("600", "50%", "0.5"):
        out = tmp_path / "a new folder" / f"{prefix}.csv"
        tj.succeeds(*words, "--normal-prefix", prefix, "--out", out)
        scores.append(pd.read_csv(out).score)
    assert scores[0].equals(scores[1])
    assert scores[0].equals(scores[2])
    assert scores[0].notna().all()
    assert scores[0].max() > 1


@pytest.mark.parametrize("prefix", ["0", "much", "1.5", "2.0.0", "-3", "120%"])
def test_a_normal_start_that_is_none(
    tj: Terminal, recording: Path, normal_run: Path, tmp_path: Path, prefix: str
) -> None:
    words = ["detect", normal_run, recording, "--out", tmp_path / "x.csv"]
    message = tj.refuses(*words, f"--normal-prefix={prefix}")
    assert (
        f"--normal-prefix {prefix}: expected a number of timesteps, or a share"
        in message
    )


def test_the_old_verb_writes_where_it_did(
    tj: Terminal, recording: Path, normal_run: Path
) -> None:
    words = ["surprise", normal_run, recording, "--window", "40", "--clean", "600"]
    code, _, error = tj(*words)
    assert code == 0, error
    assert "surprise is now detect" in error
    assert "--clean is now --normal-prefix" in error
    assert len(pd.read_csv(normal_run / "surprise.csv")) == 1200
    assert (normal_run / "surprise.html").is_file()
