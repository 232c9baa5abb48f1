"""The estimators in aeon: its own checks, and the same results as without it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from factories import ragged_walks, random_walks
from sklearn.base import clone
from sklearn.cluster import HDBSCAN
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import normalized_mutual_info_score, roc_auc_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

pytest.importorskip("aeon", reason="needs the extra [aeon], which CI installs")

from aeon.testing.estimator_checking import parametrize_with_checks

from temporal_jepa.estimators.aeon import (
    TINY,
    TemporalJEPACollectionClassifier,
    TemporalJEPACollectionClusterer,
    TemporalJEPACollectionRegressor,
    TemporalJEPACollectionTransformer,
    TemporalJEPASeriesAnomalyDetector,
)
from temporal_jepa.estimators.anomaly import AnomalyDetector
from temporal_jepa.estimators.classifier import (
    TemporalJEPAClassifier,
    TemporalJEPARegressor,
)
from temporal_jepa.estimators.embedder import TemporalJEPAEmbedder

COLLECTIONS: list[type[Any]] = [
    TemporalJEPACollectionTransformer,
    TemporalJEPACollectionClassifier,
    TemporalJEPACollectionRegressor,
    TemporalJEPACollectionClusterer,
]
X = ragged_walks(20)
Y = np.arange(20) % 2


def tiny() -> TemporalJEPAEmbedder:
    return TemporalJEPAEmbedder(**TINY)


@parametrize_with_checks([*COLLECTIONS, TemporalJEPASeriesAnomalyDetector])
def test_aeon_checks(check: Any) -> None:
    check()


def test_embeddings_are_those_of_the_embedder() -> None:
    embedder = tiny()
    found = TemporalJEPACollectionTransformer(embedder).fit_transform(X)
    assert not hasattr(embedder, "model_")
    np.testing.assert_array_equal(found, tiny().fit_transform(X))


def test_predictions_are_those_of_the_estimators() -> None:
    settings = {"base": tiny().fit(X), "steps": 2, "random_state": 0}
    labels = np.array(["a", "b"])[Y]
    plain = TemporalJEPAClassifier(**settings)
    found = TemporalJEPACollectionClassifier(plain).fit(X, labels)
    plain.fit(X, labels)
    np.testing.assert_array_equal(found.predict(X), plain.predict(X))
    np.testing.assert_array_equal(found.predict_proba(X), plain.predict_proba(X))
    assert 0 < found.predict_proba(X).max() < 1
    numbers = np.linspace(0, 1, 20)
    regressor = TemporalJEPARegressor(**settings)
    predicted = TemporalJEPACollectionRegressor(regressor).fit(X, numbers).predict(X)
    np.testing.assert_array_equal(predicted, regressor.fit(X, numbers).predict(X))


def test_missing_values_and_tools_of_scikit_learn() -> None:
    series = random_walks(12)
    series[:, 0, 3:5] = np.nan
    transformer = TemporalJEPACollectionTransformer(tiny())
    pipeline = make_pipeline(transformer, RidgeClassifier())
    scores = cross_val_score(pipeline, series, Y[:12], cv=2, error_score="raise")
    assert np.isfinite(scores).all()
    assert clone(transformer).set_params(embedder__steps=3).embedder.steps == 3


def test_series_of_one_kind_are_one_cluster() -> None:
    rng = np.random.default_rng(0)
    kinds = np.arange(45) % 3
    phase = rng.uniform(0, 6, (45, 1))
    waves = np.sin(np.arange(80) * (0.2 + 0.25 * kinds[:, None]) + phase)
    waves = waves[:, None] + 0.2 * rng.normal(size=(45, 1, 80))
    clusterer = TemporalJEPACollectionClusterer(3, random_state=0).fit(waves)
    assert normalized_mutual_info_score(kinds, clusterer.labels_) > 0.9
    np.testing.assert_array_equal(clusterer.predict(waves), clusterer.labels_)
    assert clusterer.clusterer_.embedder_.transform(waves).shape == (45, 128)
    density = HDBSCAN(min_cluster_size=5, copy=True)
    found = TemporalJEPACollectionClusterer(clusterer=density).fit(waves)
    assert normalized_mutual_info_score(kinds, found.labels_) > 0.7
    with pytest.raises(ValueError, match="HDBSCAN has no clusters for new series"):
        found.predict(waves)


def test_an_anomaly_is_found_along_either_axis() -> None:
    rng = np.random.default_rng(0)
    x = np.sin(np.arange(600) / 5) + 0.1 * rng.normal(size=600)
    x[500:520] = np.sin(np.arange(20) * 1.5)
    truth = np.isin(np.arange(600), np.arange(500, 520))
    detector = TemporalJEPASeriesAnomalyDetector(AnomalyDetector(window=32))
    score = detector.fit(x[:300]).predict(x)
    assert roc_auc_score(truth, score) > 0.95
    rows = detector.fit(x[:300, None], axis=0).predict(pd.DataFrame(x), axis=0)
    np.testing.assert_array_equal(rows, score)


@pytest.mark.parametrize("kind", COLLECTIONS)
def test_a_nested_frame_of_sktime_is_refused(kind: type[Any]) -> None:
    nested = pd.DataFrame({"a": [pd.Series(np.arange(9.0)) for _ in range(4)]})
    with pytest.raises(ValueError, match="nested DataFrame, as sktime") as caught:
        kind().fit(nested, np.arange(4.0))
    assert "\n" not in str(caught.value)
