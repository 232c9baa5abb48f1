"""Probes on arrays, and the control features."""

import importlib.util
import warnings

import numpy as np
import pytest
import torch

from temporal_jepa.evaluation import probes
from temporal_jepa.evaluation.probes import (
    classify,
    compare,
    controls,
    minirocket_features,
    probe,
    raw_features,
    regress,
    stat_features,
)

KINDS = ["ridge", "linear", "knn", "svm"]


def blobs(
    n: int = 60, features: int = 4, seed: int = 0, gap: float = 4.0
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 3
    return rng.normal(size=(n, features)) + gap * np.eye(3, features)[y], np.array(
        ["a", "b", "c"], dtype=object
    )[y]


@pytest.mark.parametrize("kind", KINDS)
def test_separable_classes_score_one_and_noise_scores_chance(kind: str) -> None:
    train = blobs()
    test = blobs(seed=1)
    assert probe(*train, *test, kind=kind) > 0.95
    noise = np.random.default_rng(2).normal(size=(90, 4))
    assert probe(noise[:60], train[1], noise[60:], test[1][:30], kind=kind) < 0.6


@pytest.mark.parametrize("kind", KINDS)
def test_a_probe_repeats_itself(kind: str) -> None:
    train = blobs(gap=0.7)
    test = blobs(seed=1, gap=0.7)
    assert probe(*train, *test, kind=kind, seed=3) == probe(
        *train, *test, kind=kind, seed=3
    )


@pytest.mark.parametrize("kind", ["ridge", "linear", "knn"])
def test_scale_and_offset_of_a_feature_do_not_matter(kind: str) -> None:
    (train_Z, train_y) = blobs(gap=0.7)
    (test_Z, test_y) = blobs(seed=1, gap=0.7)
    scale = np.array([1.0, 1e4, 1e-4, 1.0])
    offset = np.array([0.0, 1.0, 5.0, -1e3])
    moved = probe(
        train_Z * scale + offset, train_y, test_Z * scale + offset, test_y, kind=kind
    )
    assert moved == pytest.approx(
        probe(train_Z, train_y, test_Z, test_y, kind=kind), abs=1e-12
    )


def test_svm_follows_the_published_protocol() -> None:
    few = np.array(list("ab") * 20)
    many = np.array(list("ab") * 30)
    for labels in (
        few,
        np.arange(60).astype(str),
    ):  # below 50 rows, below 5 rows a class
        assert np.isinf(probes._classifier("svm", labels, 0).C)
    grid = probes._classifier("svm", many, 0).param_grid["C"]
    powers = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0, 1e3, 1e4, np.inf]
    assert grid == pytest.approx(powers)


@pytest.mark.parametrize("kind", KINDS)
def test_constant_columns_are_left_out(kind: str) -> None:
    (train_Z, train_y) = blobs(gap=0.7)
    (test_Z, test_y) = blobs(seed=1, gap=0.7)
    plain = probe(train_Z, train_y, test_Z, test_y, kind=kind)
    for constant in (7, np.nan):
        still = probe(
            np.c_[train_Z, np.full(60, constant)],
            train_y,
            np.c_[test_Z, np.full(60, 1e6)],
            test_y,
            kind=kind,
        )
        assert still == plain


@pytest.mark.parametrize("kind", KINDS)
def test_collapsed_features_predict_the_most_frequent_class(kind: str) -> None:
    y = np.array(["a"] * 2 + ["b"] * 4)
    collapsed = np.ones((6, 5), dtype=np.float32)
    collapsed[0] += np.finfo(np.float32).eps / 2
    assert probe(collapsed, y, collapsed, y, kind=kind) == pytest.approx(4 / 6)


def test_a_missing_feature_takes_the_train_mean() -> None:
    (train_Z, train_y) = blobs()
    (test_Z, test_y) = blobs(seed=1)
    filled = test_Z.copy()
    missing = test_Z.copy()
    missing[::2, 1] = np.nan
    filled[::2, 1] = train_Z[:, 1].mean()
    assert probe(train_Z, train_y, missing, test_y) == probe(
        train_Z, train_y, filled, test_y
    )


def test_a_rare_class_and_an_unseen_label() -> None:
    (Z, y) = blobs()
    (test_Z, test_y) = blobs(seed=1)
    y[0] = "rare"
    assert probe(Z, y, test_Z, test_y, kind="svm") > 0.9
    test_y[:6] = "new"
    with pytest.warns(
        UserWarning, match=r"6 of 60 test rows have labels that train lacks \(new\)"
    ):
        assert probe(*blobs(), test_Z, test_y) <= 0.9


Z, Y = blobs(6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Z, Y, Z, None), "test data has no labels"),
        ((Z, None, Z, Y), "train data has no labels"),
        ((Z, Y[:5], Z, Y), r"expected 6 train labels.*\(5,\)"),
        ((Z, Y, Z, [*"abcab", None]), "1 test labels are missing.*row 5"),
        ((Z, Y, Z, [0, 1, 2, 0, 1, float("nan")]), "labels are missing"),
        ((Z, ["a"] * 6, Z, Y), "at least two classes in train, got only 'a'"),
        ((Z, Y, Z, ["x"] * 6), r"no test label \(x\) occurs in train \(a, b, c\)"),
        ((Z, Y, Z[:, :2], Y), "expected 4 test features as in train, got 2"),
        ((Z[0], Y, Z, Y), "Expected 2D array, got 1D array"),
        ((np.where(Z > 2, np.inf, Z), Y, Z, Y), "train features contains infinity"),
        ((Z, Y, np.full_like(Z, np.nan), Y), "6 of 6 test rows are all NaN"),
        ((Z, Y, Z, Y, "forest"), "one of ridge, linear, knn, svm, got 'forest'"),
    ],
)
def test_mistakes_are_explained(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        probe(*arguments)


def test_compare_keeps_the_order_and_names_the_features_of_an_error() -> None:
    (train_Z, train_y) = blobs()
    (test_Z, test_y) = blobs(seed=1)
    rows = compare(
        {"one": (train_Z, test_Z), "nothing": (train_Z * 0, test_Z)}, train_y, test_y
    )
    assert rows[0] == {
        "features": "one",
        "probe": "ridge",
        **classify(train_Z, train_y, test_Z, test_y),
    }
    assert rows[0]["accuracy"] == probe(train_Z, train_y, test_Z, test_y)
    assert rows[1] == {
        "features": "nothing",
        "probe": "ridge",
        "accuracy": pytest.approx(1 / 3),
        "balanced_accuracy": pytest.approx(1 / 3),
    }
    with pytest.raises(ValueError, match="two: expected 4 test features"):
        compare({"two": (train_Z, test_Z[:, :3])}, train_y, test_y)


def test_raw_features_resample_bridge_gaps_and_keep_whole_series() -> None:
    x = np.random.default_rng(0).normal(size=(7, 2)).astype(np.float32)
    np.testing.assert_array_equal(raw_features([x], 7), x.reshape(1, -1))
    ramp = np.arange(5, dtype=np.float32)[:, None]
    np.testing.assert_allclose(
        raw_features([ramp, ramp[:1]], 9), [np.arange(9) / 2, np.zeros(9)]
    )
    gap = np.array([[np.nan, 1], [2, 1], [np.nan, 1], [4, 1], [np.nan, 1]])
    np.testing.assert_allclose(raw_features([gap], 5)[0, ::2], [2, 2, 3, 4, 4])
    gap[:, 0] = np.nan
    assert np.isnan(raw_features([gap], 5)[0, ::2]).all()
    with pytest.raises(ValueError, match="at least 1, got 0"):
        raw_features([gap], 0)


def test_stat_features_read_observed_values_only() -> None:
    x = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    np.testing.assert_allclose(stat_features([x])[0, ::2], [2, 1, 1, 3])
    assert np.isnan(stat_features([x])[0, 1::2]).all()


def test_controls_without_aeon_are_raw_values_and_statistics(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    series = [
        np.random.default_rng(i).normal(size=(length, 2))
        for i, length in enumerate([5, 8, 1500])
    ]
    found = controls(series, series[:1])
    assert {name: (a.shape, b.shape) for name, (a, b) in found.items()} == {
        "raw values": ((3, 2048), (1, 2048)),
        "mean/std/min/max": ((3, 8), (1, 8)),
    }


@pytest.mark.slow
def test_minirocket_is_fitted_on_train_only_for_any_length(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("aeon")
    rng = np.random.default_rng(0)
    train = [rng.normal(size=(length, 2)) for length in (4, 6, 7)]
    train[0][1, 0] = np.nan
    test = [rng.normal(size=(length, 2)) for length in (5, 30)]
    test[0][:, 1] = np.nan
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setattr(probes, "MINIROCKET_ROWS", 2)
        told: list[int] = []
        train_Z, test_Z = minirocket_features(train, test, 1, told.append)
    assert told == [2, 1, 2]
    monkeypatch.undo()
    assert (np.random.get_state()[1] == state).all()  # noqa: NPY002
    assert train_Z.shape == (3, 9996)
    assert test_Z.shape == (2, 9996)
    assert np.isfinite(test_Z).all()
    again, other = minirocket_features(train, test[1:], seed=1)
    np.testing.assert_array_equal(again, train_Z)
    np.testing.assert_array_equal(other[0], test_Z[1])
    assert "MiniRocket" in controls(train, test)


def test_minirocket_leaves_the_threads_of_torch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    convolutions = pytest.importorskip(
        "aeon.transformations.collection.convolution_based"
    )
    before = torch.get_num_threads()

    class StartsNumba:
        def __init__(self, random_state: int) -> None:
            pass

        def fit(self, X: np.ndarray) -> "StartsNumba":
            torch.set_num_threads(before + 1)  # as numba's OpenMP layer, once a process
            return self

        def transform(self, X: np.ndarray) -> np.ndarray:
            return X[:, 0]

    monkeypatch.setattr(convolutions, "MiniRocket", StartsNumba)
    try:
        minirocket_features([np.zeros((9, 1))], [np.zeros((9, 1))])
        assert torch.get_num_threads() == before
    finally:
        torch.set_num_threads(before)


# Regression.


def line(n: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    Z = np.random.default_rng(seed).normal(size=(n, 3))
    return Z, 5 + 2 * Z[:, 0] - Z[:, 1]


@pytest.mark.parametrize("kind", ["ridge", "linear"])
def test_a_linear_target_is_predicted(kind: str) -> None:
    scores = regress(*line(), *line(seed=1), kind)
    assert scores["r2"] > 0.999
    assert scores["rmse"] < 0.1


def test_nearest_neighbors_average_targets() -> None:
    Z = np.arange(10.0)[:, None]
    scores = regress(Z, Z[:, 0], Z, Z[:, 0], "knn")
    assert 0.5 < scores["r2"] < 1


def test_a_collapsed_encoder_predicts_the_mean() -> None:
    (train, y), (test, z) = line(), line(seed=1)
    scores = regress(train * 0, y, test * 0, z)
    assert scores["rmse"] == pytest.approx(np.sqrt(np.mean((z - y.mean()) ** 2)))
    assert scores["r2"] <= 0


def test_what_is_no_regression_is_refused() -> None:
    (train, y), (test, z) = line(), line(seed=1)
    with pytest.raises(ValueError, match=r"svm.*ridge"):
        regress(train, y, test, z, "svm")
    with pytest.raises(ValueError, match="all train targets are 1"):
        regress(train, y * 0 + 1, test, z)
    with pytest.raises(ValueError, match="test targets are missing"):
        regress(train, y, test, z * np.nan)
    with pytest.raises(ValueError, match="expected 30 train targets"):
        regress(train, y[1:], test, z)


def test_labels_of_numbers_and_their_texts_are_the_same() -> None:
    Z = np.array([[0.0], [1], [0], [1]])
    assert probe(Z, [1.0, 2.0, 1.0, 2.0], Z, ["1", "2", "1", "2"], "knn") == 1
    assert probe(Z, [1, 2, 1, 2], Z, [b"1", b"2", b"1", b"2"], "knn") == 1
