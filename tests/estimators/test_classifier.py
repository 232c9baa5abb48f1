"""Fine-tuning: labels help where they can, and never silently harm."""

import numpy as np
import pytest
import torch
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


class _Quick(TemporalJEPAClassifier):
    """The classifier, small enough for scikit-learn's fifty checks."""

    def _initial_embedder(self, X: object, seed: int) -> TemporalJEPAEmbedder:
        return TemporalJEPAEmbedder(**{**BASE, "random_state": seed}).fit(X)


@parametrize_with_checks([_Quick(steps=2, random_state=0)])
def test_scikit_learn_checks(estimator: TemporalJEPAClassifier, check) -> None:
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

    def harm(embedder, sequences, targets, stages, options, seed):
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
