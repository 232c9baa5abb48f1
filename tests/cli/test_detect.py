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
    # the series, wide and for a phone, and the peaks
    assert page.count("<svg") == 2 + len(peaks([table.score.to_numpy()], 40))
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


def test_series_of_different_scales_are_judged_each_by_itself(
    tj: Terminal, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    small, large = (np.sin(np.arange(600) / 3) + random.normal(0, 0.1, (2, 600))) * [
        [0.01],
        [1000],
    ]
    small[500:520] = 0
    large[250:300] += 500
    folder = tmp_path / "servers"
    folder.mkdir()
    for name, x in (("a", small), ("b", large), ("c", small[::-1])):
        pd.DataFrame({"value": x}).to_csv(folder / f"{name}.csv", index=False)
    words = ["detect", "series-small", folder, "--normal-prefix", "200"]
    together = tj.succeeds(*words, "--out", tmp_path / "together.csv")
    assert "note: the scales of the series differ up to 1" in together
    highest = pd.read_csv(tmp_path / "together.csv").groupby("id").score.max()
    page = (tmp_path / "together.html").read_text("utf-8")
    drawn = [page.index(f"Series {name}") for name in "abc"]
    assert (np.argsort(drawn) == np.argsort(-highest)).all()  # the highest first
    alone = tj.succeeds(*words, "--each", "--out", tmp_path / "each.csv")
    assert "the scales" not in alone
    assert "each series by itself" in alone
    table = pd.read_csv(tmp_path / "each.csv")
    scores = table[table.id == "a.csv"].score.to_numpy()
    assert 480 < scores.argmax() < 540
    assert scores.max() > 1
    words = ["detect", "series-small", folder, "--each", "--reference", folder]
    assert "give --each or --reference" in tj.refuses(*words, code=2)


def test_a_reference_of_the_series_themselves_is_said(
    tj: Terminal, recording: Path, tmp_path: Path
) -> None:
    words = ["detect", "series-small", recording, "--each"]
    printed = tj.succeeds(*words, "--out", tmp_path / "x.csv")
    note = "the reference is the series themselves, so about 0.01 of all timesteps"
    assert note in printed
    assert note in (tmp_path / "x.html").read_text("utf-8")


def test_too_many_anomalies_are_said(
    tj: Terminal, recording: Path, tmp_path: Path
) -> None:
    changed = pd.read_csv(recording)
    changed.loc[400:, "c"] = np.sin(np.arange(800))
    changed.to_csv(tmp_path / "changed.csv", index=False)
    words = ["detect", "series-small", tmp_path / "changed.csv"]
    printed = tj.succeeds(*words, "--normal-prefix", "400", "--out", tmp_path / "x.csv")
    assert "of the timesteps score above 1: the reference does not" in printed
