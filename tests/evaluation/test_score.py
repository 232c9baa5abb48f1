"""Scores of an embedding beside its controls, and the split that holds recordings out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from factories import TINY

from temporal_jepa import PretrainConfig, Sequences, from_pretrained, pretrain, read
from temporal_jepa.data.tables.readings import AmbiguousError
from temporal_jepa.evaluation import attentive, probes
from temporal_jepa.evaluation.score import score, score_splits, split

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
    def controls(train: list, test: list, *_: object) -> dict:
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


@pytest.mark.usefixtures("no_minirocket")
def test_a_compact_embedding_is_one_more_row(
    run: Path, train: Sequences, test: Sequences
) -> None:
    whole = score(run, train, test)["scores"]
    result = score(run, train, test, dim=4)
    assert result["dim"] == 4
    assert result["scores"][:-1] == whole
    assert result["scores"][-1]["features"] == "pretrained encoder, dim 4"
    with pytest.raises(ValueError, match="dim=8 is more than the 7"):
        score(run, train, test, dim=8)


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


def test_split_keeps_copies_of_a_series_together() -> None:
    values = [np.full((5, 1), k // 2) + np.arange(5.0)[:, None] for k in range(20)]
    copied = Sequences(values, labels=np.array(["a", "b"] * 5).repeat(2))
    for seed in range(5):
        train, test = split(copied, seed)
        first = {x[0, 0] for x in train.values}
        assert first.isdisjoint(x[0, 0] for x in test.values)


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


# Numbers to predict.


def slopes(n: int, seed: int, task: str | None = "regression") -> Sequences:
    """The target is the amplitude of a noisy wave, which its standard deviation shows."""
    rng = np.random.default_rng(seed)
    amplitude = rng.uniform(1, 3, n)
    X = amplitude[:, None, None] * np.sin(np.arange(24) / 3)[None, None]
    X = X + 0.05 * rng.normal(size=(n, 2, 24))
    return Sequences([x.T for x in X], labels=amplitude, task=task)


@pytest.mark.usefixtures("no_minirocket")
@pytest.mark.parametrize("kind", ["ridge", "linear", "knn"])
def test_a_regression_gives_r2_beside_the_mean_and_never_an_accuracy(
    run: Path, kind: str
) -> None:
    train, test = slopes(40, 0), slopes(20, 1)
    result = score(run, train, test, kind=kind, pool="mean")
    assert json.loads(json.dumps(result)) == result
    assert result["task"] == "regression"
    assert "accuracy" not in json.dumps(result)
    names = [row["features"] for row in result["scores"]]
    assert names == [*CONTROLS, "untrained encoder", "pretrained encoder"]
    rows = {row["features"]: row for row in result["scores"]}
    assert rows["mean/std/min/max"]["r2"] > 0.9
    assert rows["mean/std/min/max"]["rmse"] < 0.2
    mean = train.targets().mean()
    error = np.sqrt(np.mean((test.targets() - mean) ** 2))
    assert result["mean"]["predicted"] == pytest.approx(mean)
    assert result["mean"]["rmse"] == pytest.approx(error)
    assert result["mean"]["r2"] <= 0


@pytest.mark.usefixtures("no_minirocket")
def test_the_task_is_inferred_asked_or_requested(run: Path) -> None:
    result = score(run, slopes(12, 0, None), slopes(8, 1, None))
    assert result["task"] == "regression"
    counts = Sequences(slopes(12, 0).values, labels=np.arange(12))
    with pytest.raises(AmbiguousError, match="task"):
        score(run, counts, slopes(8, 1, None))
    with pytest.raises(AmbiguousError, match="task"):
        split(counts)
    assert score(run, counts, slopes(8, 1), task="regression")["task"] == "regression"
    with pytest.raises(ValueError, match="task="):
        score(run, slopes(12, 0), slopes(8, 1, "classification"))


@pytest.mark.parametrize("kind", ["attentive", "svm"])
def test_probes_of_classes_refuse_a_regression(run: Path, kind: str) -> None:
    with pytest.raises(ValueError, match=f"{kind}.*ridge"):
        score(run, slopes(12, 0), slopes(8, 1), kind=kind)


def test_split_holds_out_a_share_of_the_recordings_of_a_regression() -> None:
    train, test = split(slopes(20, 0), seed=0)
    assert (len(train), len(test)) == (14, 6)
    assert not {*train.ids} & {*test.ids}
    assert split(slopes(20, 0), seed=1)[1].ids != test.ids


# Classes of unequal size.


@pytest.mark.usefixtures("no_minirocket")
def test_classes_are_counted_and_weigh_the_same_in_balanced_accuracy(run: Path) -> None:
    whole = waves(30, 0)
    is_slow = whole.labels == "slow"
    train = whole.select(np.flatnonzero(is_slow | (np.arange(30) < 8)))
    labels = train.labels.copy()
    result = score(run, train, waves(9, 1))
    assert result["classes"] == {
        "fast": [int((labels == "fast").sum()), 4],
        "slow": [int((labels == "slow").sum()), 5],
    }
    # A collapsed encoder predicts the most frequent class: of the other, none is found.
    constant = np.ones((len(train), 2)), np.ones((9, 2))
    row = probes.compare({"x": constant}, labels, waves(9, 1).labels)[0]
    assert row["accuracy"] == pytest.approx(5 / 9)
    assert row["balanced_accuracy"] == 0.5


@pytest.mark.usefixtures("no_minirocket")
def test_test_sequences_that_are_the_train_sequences_are_warned_of(
    run: Path, train: Sequences, test: Sequences
) -> None:
    with pytest.warns(UserWarning, match="train sequences"):
        score(run, train, train.select(range(len(train))))
    score(run, train, test)


@pytest.mark.usefixtures("no_minirocket")
def test_a_class_that_train_lacks_is_named(run: Path, train: Sequences) -> None:
    other = waves(6, 1)
    labels = other.labels.astype(object)
    labels[0] = "still"
    with pytest.warns(UserWarning, match="still"):
        result = score(run, train, Sequences(other.values, labels=labels))
    assert result["classes"]["still"] == [0, 1]


@pytest.mark.usefixtures("no_minirocket")
def test_scores_of_splits_are_means_of_the_scores_of_each(run: Path) -> None:
    sequences = waves(15, seed=0)
    found = score_splits(run, sequences, splits=3, seed=2)
    each = [score(run, *split(sequences, 6 + i))["scores"] for i in range(3)]
    for row, *rows in zip(found["scores"], *each, strict=True):
        values = [entry["accuracy"] for entry in rows]
        assert row["accuracy"] == pytest.approx(np.mean(values))
        assert row["accuracy_std"] == pytest.approx(np.std(values, ddof=1))
    assert (found["splits"], found["n_train"], found["n_test_each"]) == (3, 11, 4)
    assert 4 < found["n_test"] <= 12
    assert sum(tested for _, tested in found["classes"].values()) == found["n_test"]


@pytest.mark.usefixtures("no_minirocket")
def test_splits_of_numbers(run: Path) -> None:
    numbers = np.arange(18.0).astype(str)
    sequences = replace(waves(18, seed=0), labels=numbers, task="regression")
    found = score_splits(run, sequences, splits=3)
    assert {"r2", "r2_std", "rmse", "rmse_std"} < set(found["scores"][0])
    assert found["splits"] == 3
