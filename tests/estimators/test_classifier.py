"""Fine-tuning: labels help where they can, and never silently harm."""

from typing import ClassVar

import numpy as np
import pytest
import sklearn
import torch
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from temporal_jepa import Sequences
from temporal_jepa.estimators import classifier as finetuning
from temporal_jepa.estimators.classifier import (
    TemporalJEPAClassifier,
    TemporalJEPARegressor,
    finetune,
)
from temporal_jepa.estimators.embedder import TemporalJEPAEmbedder

BASE = {
    "steps": 2,
    "embed_dim": 8,
    "encoder_depth": 1,
    "num_heads": 2,
    "pool": "mean",
    "random_state": 0,
}


def small(cls: type = TemporalJEPAClassifier, **changes: object):
    return cls(
        **{"base": None, "steps": 4, "batch_size": 8, "random_state": 0, **changes}
    )


def waves(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A bump at an unknown place in noise: its width is the target."""
    rng = np.random.default_rng(seed)
    width = rng.uniform(1, 6, n)
    center = rng.uniform(10, 54, n)
    bump = np.exp(-(((np.arange(64) - center[:, None]) / width[:, None]) ** 2))
    return (bump + 0.3 * rng.normal(size=(n, 64)))[:, None], width


class _Small:
    """An estimator, small enough for scikit-learn's fifty checks."""

    settings = BASE

    def _initial_embedder(self, X: object, seed: int) -> TemporalJEPAEmbedder:
        return TemporalJEPAEmbedder(**{**self.settings, "random_state": seed}).fit(X)


class _Quick(_Small, TemporalJEPAClassifier):
    pass


class _QuickRegressor(_Small, TemporalJEPARegressor):
    settings: ClassVar = {**BASE, "pool": "all", "embed_dim": 48}  # R2 must be above .5


WEIGHTS = "check_sample_weight_equivalence_on_dense_data"
REASON = "how many series are held out depends on their number, not on their weights"


@parametrize_with_checks(
    [_Quick(steps=2, random_state=0), _QuickRegressor(steps=2, random_state=0)],
    expected_failed_checks=lambda _: {WEIGHTS: REASON},
)
def test_scikit_learn_checks(estimator: BaseEstimator, check) -> None:
    check(estimator)


def test_fine_tuning_improves_a_weak_encoder() -> None:
    X, y = waves(240, 0)
    T, truth = waves(120, 1)
    base = TemporalJEPAEmbedder(**BASE).fit(X)
    frozen = small(TemporalJEPARegressor, base=base, steps=0).fit(X, y)
    tuned = small(
        TemporalJEPARegressor, base=base, steps=150, batch_size=32, lr=3e-3
    ).fit(X, y)
    assert frozen.steps_ == 0
    assert tuned.steps_ > 0
    assert not np.allclose(tuned.embedder_.transform(X), base.transform(X), atol=1e-3)
    assert tuned.score(T, truth) > frozen.score(T, truth) + 0.05
    assert set(tuned.scores_) == {0, 37, 75, 112, 150}


def test_zero_steps_are_chosen_if_fine_tuning_harms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    X, y = waves(60, 0)
    base = TemporalJEPAEmbedder(**BASE).fit(X)

    def harm(embedder, labeled, stages, options, seed):
        for stage in stages:
            if stage > 0:
                with torch.no_grad():
                    for weight in embedder.model_.target_encoder.parameters():
                        weight.zero_()
            yield stage

    monkeypatch.setattr(finetuning, "_finetune", harm)
    harmed = small(TemporalJEPARegressor, base=base, steps=8).fit(X, y)
    assert set(harmed.scores_) == {0, 2, 4, 6, 8}
    assert harmed.steps_ == 0
    frozen = small(TemporalJEPARegressor, base=base, steps=0).fit(X, y)
    np.testing.assert_array_equal(harmed.predict(X), frozen.predict(X))


def test_labels_of_sequences_are_the_default_targets() -> None:
    X = np.random.default_rng(0).normal(size=(20, 1, 32))
    y = np.repeat(["low", "high"], 10)
    X[y == "high"] += 2
    options = {
        "base": TemporalJEPAEmbedder(**BASE).fit(X),
        "steps": 2,
        "random_state": 0,
    }
    labelled = Sequences.from_arrays(X, y)
    found = finetune(labelled, **options)
    assert isinstance(found, TemporalJEPAClassifier)
    assert found.classes_.tolist() == ["high", "low"]
    np.testing.assert_array_equal(
        found.predict(labelled), finetune(X, y, **options).predict(X)
    )
    numbers = np.linspace(0.1, 2, 20)
    assert isinstance(finetune(labelled, numbers, **options), TemporalJEPARegressor)
    for bare in (X, Sequences.from_arrays(X)):
        with pytest.raises(ValueError, match="needs labels"):
            finetune(bare, **options)
    assert isinstance(
        finetune(Sequences.from_arrays(X, numbers), **options), TemporalJEPARegressor
    )


def test_the_base_is_not_changed(tmp_path) -> None:
    X, width = waves(40, 0)
    y = np.where(width > 3, "wide", "narrow")
    base = TemporalJEPAEmbedder(**BASE).fit(X)
    before = base.transform(X)
    first = small(base=base, lr=1e-2).fit(X, y)
    np.testing.assert_array_equal(base.transform(X), before)
    base.save_pretrained(tmp_path)
    from_folder = small(base=tmp_path).fit(X, y)
    assert set(first.predict(X)) <= {"wide", "narrow"}
    assert from_folder.decision_function(X).shape == (40,)
    again = small(base=base, lr=1e-2).fit(X, y)
    np.testing.assert_array_equal(
        first.decision_function(X), again.decision_function(X)
    )
    base.pool = "all"  # what a folder is loaded with
    same = small(base=base).fit(X, y)
    np.testing.assert_allclose(
        same.decision_function(X), from_folder.decision_function(X), atol=1e-6
    )
    assert np.isfinite(cross_val_score(small(base=base), X, y, cv=3)).all()


@pytest.mark.parametrize(
    ("cls", "y", "message"),
    [
        (
            TemporalJEPAClassifier,
            ["a"] * 20,
            "at least 2 classes, got 20 series of 1 class",
        ),
        (TemporalJEPAClassifier, np.linspace(0, 1, 20), "continuous"),
        (TemporalJEPAClassifier, ["a", "b"] * 9, "inconsistent numbers"),
        (TemporalJEPARegressor, [np.nan] * 20, "y contains NaN"),
    ],
)
def test_labels_that_cannot_be_learned(cls: type, y: object, message: str) -> None:
    X, _ = waves(20, 0)
    with pytest.raises(ValueError, match=message):
        small(cls, base=TemporalJEPAEmbedder(**BASE).fit(X)).fit(X, y)


def test_settings_out_of_range() -> None:
    X, y = waves(20, 0)
    with pytest.raises(ValueError, match="steps must be at least 0"):
        small(TemporalJEPARegressor, steps=-1).fit(X, y)


def noisy_classes(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Three kinds of sines, of which a fifth have a random label."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, n)
    phase = rng.uniform(0, 6, (n, 1))
    X = np.sin(np.arange(48) * (0.2 + 0.2 * y[:, None]) + phase)
    drawn = rng.random(n) < 0.2
    y[drawn] = rng.integers(0, 3, drawn.sum())
    return X[:, None] + 0.3 * rng.normal(size=(n, 1, 48)), y


@pytest.mark.parametrize("steps", [0, 8])
def test_probabilities_are_those_of_new_series(steps: int) -> None:
    X, y = noisy_classes(150, 0)
    T, truth = noisy_classes(300, 1)
    base = TemporalJEPAEmbedder(**BASE).fit(X)
    fitted = small(base=base, steps=steps).fit(X, y)
    probabilities = fitted.predict_proba(T)
    np.testing.assert_allclose(probabilities.sum(1), 1)
    np.testing.assert_array_equal(probabilities.argmax(1), fitted.predict(T))
    chosen = fitted.temperature_
    loss = log_loss(truth, probabilities)
    assert abs(probabilities.max(1).mean() - fitted.score(T, truth)) < 0.15
    for other in (chosen / 3, chosen * 3):
        fitted.temperature_ = other
        assert log_loss(truth, fitted.predict_proba(T)) > loss
    two = fitted.fit(X, y > 0)
    p = two.predict_proba(T)
    assert p.shape == (300, 2)
    np.testing.assert_array_equal(p[:, 1] > 0.5, two.predict(T))
    assert roc_auc_score(truth > 0, p[:, 1]) > 0.7


def test_probabilities_where_many_features_separate_the_classes() -> None:
    X, y = noisy_classes(30, 0)
    y = np.arange(30) % 2
    X[y == 1] += 3 * np.sin(np.arange(48))
    general = TemporalJEPAClassifier("series-small", steps=0).fit(X, y)
    assert general.head_[-1].alpha_ < 0.1  # in float32 it makes the products singular
    assert general.predict_proba(X)[y == 1, 1].min() > 0.9


def test_probabilities_with_classes_of_one_series() -> None:
    X, y = noisy_classes(20, 0)
    base = TemporalJEPAEmbedder(**BASE).fit(X)
    y[0] = 7
    fitted = small(base=base, steps=0).fit(X, y)
    assert fitted.predict_proba(X).shape == (20, 4)
    alone = fitted.fit(X, np.arange(20))  # none can be held out
    assert alone.temperature_ == 1
    probable = alone.predict_proba(X).argmax(1)
    np.testing.assert_array_equal(alone.predict(X), probable)


@pytest.mark.parametrize("cls", [TemporalJEPAClassifier, TemporalJEPARegressor])
def test_weights_count(cls: type) -> None:
    X, y = noisy_classes(60, 0)
    y = y + 1
    base = TemporalJEPAEmbedder(**BASE).fit(X)
    weights = np.repeat([1.0, 0.0, 2.0], 20)
    kept = weights > 0
    for steps in (0, 4):  # a series without weight is left out
        weighted = small(cls, base=base, steps=steps).fit(X, y, weights)
        same = small(cls, base=base, steps=steps).fit(X[kept], y[kept], weights[kept])
        np.testing.assert_array_equal(weighted.predict(X), same.predict(X))
    y[:20] = 4 - y[:20]  # the others are right
    few = small(cls, base=base).fit(X, y, np.repeat([1e-3, 1.0], [20, 40]))
    many = small(cls, base=base).fit(X, y, np.repeat([1.0, 1e-3], [20, 40]))
    assert few.score(X[20:], y[20:]) > many.score(X[20:], y[20:])
    assert many.score(X[:20], y[:20]) > few.score(X[:20], y[:20])
    for wrong in (np.ones(59), -weights, np.full(60, np.nan)):
        with pytest.raises(ValueError, match="sample_weight"):
            small(cls, base=base).fit(X, y, wrong)


@pytest.mark.parametrize("cls", [TemporalJEPAClassifier, TemporalJEPARegressor])
def test_weights_are_routed_in_a_cross_validation(cls: type) -> None:
    X, y = noisy_classes(40, 0)
    base = TemporalJEPAEmbedder(**BASE).fit(X)
    seen = []

    class Recorded(cls):
        def fit(self, X: object, y: object, sample_weight: object = None) -> object:
            seen.append(sample_weight)
            return super().fit(X, y, sample_weight)

    weights = np.arange(40) + 1.0
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = small(Recorded, base=base).set_fit_request(sample_weight=True)
        estimator.set_score_request(sample_weight=True)
        given = {"sample_weight": weights}
        cross_val_score(estimator, X, y, cv=2, params=given, error_score="raise")
    assert sorted(np.concatenate(seen)) == weights.tolist()
    assert small(cls, base=base).fit(X, y).predict(X).shape == (40,)


def test_a_clone_keeps_a_fitted_base_and_does_not_share_its_parameters() -> None:
    X, _ = noisy_classes(20, 0)
    base = TemporalJEPAEmbedder(**BASE).fit(X)
    copied = clone(small(base=base)).set_params(base__lr=0.5)
    assert base.lr is None
    np.testing.assert_array_equal(copied.base.transform(X), base.transform(X))
    unfitted = clone(small(base=TemporalJEPAEmbedder(**BASE)))
    assert not hasattr(unfitted.base, "model_")
