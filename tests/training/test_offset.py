"""Values that vary by less than float32 holds keep their shape: an offset changes nothing."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories import TINY

from temporal_jepa import PretrainConfig, TemporalJEPAEmbedder
from temporal_jepa.checkpoint import from_pretrained, save_pretrained
from temporal_jepa.data import read
from temporal_jepa.data.sequences import Sequences, loses_in_float32
from temporal_jepa.embed import embed_sequences
from temporal_jepa.estimators.anomaly import AnomalyDetector
from temporal_jepa.evaluation.probes import probe, raw_features
from temporal_jepa.evaluation.score import score
from temporal_jepa.model.jepa import random_init_like
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.run import pretrain

BIG = 1e9
LABELS = np.arange(24) % 2


def waves(channels: int = 2, seed: int = 0) -> np.ndarray:
    """Two classes that differ in frequency, float64 `(24, channels, 40)`."""
    rng = np.random.default_rng(seed)
    t = np.arange(40) * (1 + LABELS)[:, None] / 4
    X = np.sin(t)[:, None] + 0.1 * rng.normal(size=(24, channels, 40))
    return X


def embedder(**options: Any) -> TemporalJEPAEmbedder:
    return TemporalJEPAEmbedder(steps=2, random_state=0, **options)


# Which values stay float64.


@pytest.mark.parametrize(
    ("x", "lost"),
    [
        ([1e9, 1e9 + 7], True),
        ([2**24 + 1, 2**24 + 2], True),
        ([101325.001, 101325.002], True),
        ([1e9, 2e9], False),
        ([0.0, 1.0], False),
        ([0.1, 0.1], False),
        ([0.1, 0.1 + 1e-17], False),
        ([np.nan, 1e9, 1e9 + 7], True),
        ([np.nan, np.nan], False),
    ],
)
def test_what_float32_loses(x: list[float], lost: bool) -> None:
    column = np.array(x)[:, None]
    assert loses_in_float32(column).tolist() == [lost]
    assert not loses_in_float32(column.astype(np.float32)).any()
    expected = np.float64 if lost else np.float32
    if not np.isnan(x).all():
        assert Sequences([column]).values[0].dtype == expected
    integers = np.array([[2**40], [2**40 + 3]])
    np.testing.assert_array_equal(Sequences([integers]).values[0], integers)


def test_a_series_with_an_offset_is_not_constant(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("time,pressure\n0,1000000000\n1,1000000007\n2,1000000014\n")
    found = read(path)
    assert found.constant() == []
    assert not any("constant" in note for note in found.notes)
    np.testing.assert_array_equal(np.diff(found.values[0][:, 0]), [7, 7])


def test_values_beyond_float32_are_still_refused() -> None:
    with pytest.raises(ValueError, match="infinite in float32"):
        Sequences([np.array([[1e39], [1e39 + 1e33]])])


# Embeddings.


@pytest.mark.parametrize(
    "options",
    [
        {"pool": "mean"},
        {"init_from": "scratch", "embed_dim": 16, "encoder_depth": 1, "num_heads": 2},
        {
            "init_from": "scratch",
            "embed_dim": 16,
            "encoder_depth": 1,
            "num_heads": 2,
            "normalize": "instance",
        },
    ],
    ids=["series-small", "dataset", "instance"],
)
def test_an_offset_hardly_changes_the_embedding(options: dict[str, Any]) -> None:
    X = waves()
    near = embedder(**options).fit(X)
    far = embedder(**options).fit(X + BIG)
    new = waves(seed=1)
    Z = near.transform(new)
    moved = far.transform(new + BIG)
    scale = Z.std(0) + 1e-3 * Z.std()
    assert np.median(np.abs((Z - Z.mean(0)) - (moved - moved.mean(0))) / scale) < 0.05
    train, test = far.transform(X + BIG), moved
    assert probe(train, LABELS, test, LABELS) > 0.9
    # A series alone is embedded as among others.
    np.testing.assert_array_equal(far.transform(new[:1] + BIG), moved[:1])


def test_levels_at_an_offset_stay_apart() -> None:
    X = 0.1 * waves() + BIG
    X[LABELS == 1] += 2
    Z = embedder(pool="mean").fit(X).transform(X)
    assert probe(Z, LABELS, Z, LABELS, "knn") == 1
    own = embedder(init_from="scratch", embed_dim=16, encoder_depth=1, num_heads=2)
    Z = own.fit(X).transform(X)
    assert probe(Z, LABELS, Z, LABELS) == 1


def test_without_an_offset_the_model_has_none() -> None:
    data = Sequences.from_arrays(waves())
    assert not initial_model(data, **TINY).offset.any()
    one = np.concatenate([waves(1), waves(1) + BIG], axis=1)
    offset = initial_model(Sequences.from_arrays(one), **TINY).offset
    assert offset[0] == 0
    assert offset[1] == pytest.approx(BIG)


def test_the_offset_is_stored_with_the_model(tmp_path: Path) -> None:
    data = Sequences.from_arrays(waves() + BIG)
    model = initial_model(data, **TINY).eval()
    save_pretrained(model, tmp_path)
    loaded = from_pretrained(tmp_path)
    expected = embed_sequences(model, data)
    np.testing.assert_array_equal(embed_sequences(loaded, data), expected)
    control = random_init_like(model, 0)
    assert torch.equal(control.offset, model.offset)
    x = torch.from_numpy(data.batch(range(3)))
    assert x.dtype == torch.float64
    np.testing.assert_allclose(model.embed(x).numpy(), expected[:3], atol=1e-5)


def test_a_run_and_its_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # no MiniRocket
    data = Sequences.from_arrays(waves() + BIG, LABELS)
    config = PretrainConfig(steps=2, device="cpu")
    run = pretrain(data, tmp_path / "run", config, TINY)
    test = Sequences.from_arrays(waves(seed=1) + BIG, LABELS)
    rows = score(run, data, test, pool="mean")["scores"]
    accuracy = {row["features"]: row["accuracy"] for row in rows}
    assert len(accuracy) == 4
    assert min(accuracy.values()) > 0.8, accuracy


def test_a_resumed_run_ends_as_a_whole_one(tmp_path: Path) -> None:
    data = Sequences.from_arrays(waves() + BIG)
    config = PretrainConfig(steps=4, save_every=2, log_every=1, device="cpu")

    def stop(row: dict[str, Any]) -> None:
        if row["step"] == 3:
            raise KeyboardInterrupt

    whole = pretrain(data, tmp_path / "whole", config, TINY)
    with pytest.raises(KeyboardInterrupt):
        pretrain(data, tmp_path / "cut", config, TINY, on_row=stop)
    cut = pretrain(data, tmp_path / "cut", config, TINY, resume=True)
    first, second = (from_pretrained(run).state_dict() for run in (whole, cut))
    assert first["offset"].any()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_raw_values_of_the_controls_keep_their_variation() -> None:
    X = [x.T for x in waves() + BIG]
    Z = raw_features(Sequences(X).values, 40)
    assert probe(Z, LABELS, Z, LABELS) == 1


def test_anomalies_at_an_offset() -> None:
    x = np.sin(np.arange(240) / 4) + 0.05 * np.random.default_rng(0).normal(size=240)
    x[180:184] += 3
    near = AnomalyDetector(window=16).fit(x[:120]).score(x)
    far = AnomalyDetector(window=16).fit(x[:120] + BIG).score(x + BIG)
    assert abs(int(np.nanargmax(far)) - int(np.nanargmax(near))) < 16
    assert np.nanmax(far) == pytest.approx(np.nanmax(near), rel=0.05)


# What cannot be helped.


def test_float32_that_has_lost_its_variation_is_warned_of() -> None:
    X = (waves() * 100 + BIG).astype(np.float32)
    with pytest.warns(UserWarning, match="float32"):
        embedder(pool="mean").fit(X)


def test_levels_that_are_far_apart_are_warned_of() -> None:
    X = waves()
    X[::2] += BIG
    with pytest.warns(UserWarning, match="float32"):
        initial_model(Sequences.from_arrays(X), **TINY)
