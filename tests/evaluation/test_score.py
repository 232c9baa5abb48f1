"""Scores of an embedding beside its controls, and the split that holds recordings out."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import TINY

from temporal_jepa import PretrainConfig, Sequences, from_pretrained, pretrain, read
from temporal_jepa.evaluation import attentive, probes
from temporal_jepa.evaluation.score import score, split

CONTROLS = ["raw values", "mean/std/min/max"]


def waves(n: int, seed: int) -> Sequences:
    """Two classes of noisy waves, two channels."""
    rng = np.random.default_rng(seed)
    kinds = np.arange(n) % 2
    t = np.arange(24)[None, None, :] * (1 + kinds)[:, None, None] / 3
    X = np.sin(t) + 0.1 * rng.normal(size=(n, 2, 24))
    return Sequences.from_arrays(X, np.array(["slow", "fast"])[kinds])


@pytest.fixture(scope="module")
def train() -> Sequences:
    return waves(14, seed=0)


@pytest.fixture(scope="module")
def test() -> Sequences:
    return waves(9, seed=1)


@pytest.fixture(scope="module")
def run(train: Sequences, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("score") / "run"
    return pretrain(train, folder, PretrainConfig(steps=2, seed=3, device="cpu"), TINY)


@pytest.fixture
def no_minirocket(monkeypatch: pytest.MonkeyPatch) -> None:
    def controls(train: list, test: list, seed: int) -> dict:
        return dict.fromkeys(
            CONTROLS, (probes.stat_features(train), probes.stat_features(test))
        )

    monkeypatch.setattr(probes, "controls", controls)


@pytest.mark.usefixtures("no_minirocket")
def test_a_run_and_its_model_get_the_same_scores(
    run: Path, train: Sequences, test: Sequences
) -> None:
    result = score(run, train, test, kind="knn", pool="mean")
    assert json.loads(json.dumps(result)) == result
    names = [row["features"] for row in result["scores"]]
    assert names == [*CONTROLS, "untrained encoder", "pretrained encoder"]
    assert (result["probe"], result["pool"]) == ("knn", "mean")
    assert (result["n_train"], result["n_test"], result["n_classes"]) == (14, 9, 2)
    assert (result["commonest"], result["majority"]) == ("fast", pytest.approx(4 / 9))
    model = score(from_pretrained(run), train, test, kind="knn", pool="mean")
    assert model["scores"][-1] == result["scores"][-1]
    assert score(str(run), train, test, kind="knn", pool="mean") == result


@pytest.mark.usefixtures("no_minirocket")
def test_a_model_by_its_name_and_the_encoder_that_a_run_started_from(
    train: Sequences, test: Sequences, tmp_path: Path
) -> None:
    general = score("series-small", train, test)["scores"]
    assert general[-1]["features"] == "pretrained encoder"
    run = pretrain(
        train,
        tmp_path / "run",
        PretrainConfig(steps=1, device="cpu"),
        init_from="series-small",
    )
    started = score(run, train, test)["scores"]
    assert started[-1] == {**general[-1], "features": "series-small as it is"}


def test_minirocket_is_the_last_row(
    run: Path, train: Sequences, test: Sequences, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        probes, "controls", lambda *_: {"MiniRocket": (np.eye(14), np.eye(9, 14))}
    )
    names = [row["features"] for row in score(run, train, test)["scores"]]
    assert names == ["untrained encoder", "pretrained encoder", "MiniRocket"]


def test_attentive_scores_read_tokens(
    run: Path, train: Sequences, test: Sequences, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attentive, "STEPS", (20, 20))
    result = score(run, train, test, kind="attentive")
    names = [row["features"] for row in result["scores"]]
    assert names == ["raw values", "untrained encoder", "pretrained encoder"]
    assert "pool" not in result


def test_what_cannot_be_scored(run: Path, train: Sequences, test: Sequences) -> None:
    with pytest.raises(ValueError, match=r"no labels.*label="):
        score(run, Sequences(train.values), test)
    videos = Sequences.from_arrays(np.zeros((2, 3, 8, 8), dtype=np.uint8))
    with pytest.raises(ValueError, match=r"no labels.*folder"):
        split(videos)
    narrow = Sequences([x[:, :1] for x in test.values], labels=test.labels)
    with pytest.raises(ValueError, match="expects 2 channels, got 1"):
        score(run, train, narrow)


def test_split_keeps_windows_of_a_series_together() -> None:
    windows = waves(12, seed=0).windows(8)
    train, test = split(windows, seed=0)
    owners = [{name.split("@")[0] for name in part.ids} for part in (train, test)]
    assert not owners[0] & owners[1]
    assert len(owners[1]) == 4
    assert set(test.labels.tolist()) == {"slow", "fast"}
    with pytest.raises(ValueError, match="--test"):
        split(waves(1, seed=0).windows(8))


def test_split_keeps_parts_of_a_track_together() -> None:
    time = [10 * k + 1000 * (k >= 8) for k in range(16)]
    frames = [
        pd.DataFrame(
            {
                "id": f"t{k}",
                "time": time,
                "lon": np.arange(16) / 1e3,
                "lat": k,
                "label": "ab"[k % 2],
            }
        )
        for k in range(8)
    ]
    tracks = read(pd.concat(frames), gap=500, window=4)
    assert tracks.ids[:3] == ["t0#1@0", "t0#1@4", "t0#2@0"]
    owners = [
        {name.split("#")[0] for name in part.ids} for part in split(tracks, seed=0)
    ]
    assert not owners[0] & owners[1]
