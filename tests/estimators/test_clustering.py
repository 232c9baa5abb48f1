"""Clusters of compact embeddings, judged by classes that nobody told them."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.metrics import normalized_mutual_info_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from temporal_jepa.estimators import TemporalJEPAClusterer, TemporalJEPAEmbedder

Labeled = tuple[np.ndarray, np.ndarray]


def waves() -> Labeled:
    """Noisy sines of five frequencies, of any phase."""
    rng = np.random.default_rng(0)
    kinds = np.arange(75) % 5
    phase = rng.uniform(0, 6, (75, 1))
    X = np.sin(np.arange(80) * (0.2 + 0.25 * kinds[:, None]) + phase)
    return X[:, None] + 0.2 * rng.normal(size=(75, 1, 80)), kinds


def processes() -> Labeled:
    """Autoregressive processes of order 1 with four coefficients."""
    rng = np.random.default_rng(0)
    kinds = np.arange(80) % 4
    coefficient = np.array([-0.8, 0.0, 0.7, 0.97])[kinds]
    X = np.zeros((80, 200))
    steps = rng.normal(size=(80, 200))
    for t in range(1, 200):
        X[:, t] = coefficient * X[:, t - 1] + steps[:, t]
    return X[:, None], kinds


LEVELS = TemporalJEPAEmbedder(
    steps=2,
    embed_dim=8,
    encoder_depth=1,
    num_heads=2,
    pool="mean",
    init_from="scratch",
    random_state=0,
)
"""Keeps levels, which the blobs of a check differ in."""


@parametrize_with_checks(
    [TemporalJEPAClusterer(2, LEVELS, random_state=0)],
)
def test_scikit_learn_checks(estimator: BaseEstimator, check) -> None:
    check(estimator)


def test_the_clusters_are_those_of_the_recipe() -> None:
    X, _ = waves()
    k_means = KMeans(5, n_init=10, random_state=0)
    recipe = make_pipeline(TemporalJEPAEmbedder(frozen=True, dim=128), k_means)
    clusterer = TemporalJEPAClusterer(5, random_state=0).fit(X)
    np.testing.assert_array_equal(clusterer.labels_, recipe.fit_predict(X))
    np.testing.assert_array_equal(clusterer.predict(X), clusterer.labels_)


@pytest.mark.parametrize("make", [waves, processes])
def test_k_means_finds_the_kinds_that_values_do_not_show(make) -> None:
    X, kinds = make()
    k_means = KMeans(len(np.unique(kinds)), n_init=10, random_state=0)
    ours = TemporalJEPAClusterer(k_means.n_clusters, random_state=0)
    found = normalized_mutual_info_score(kinds, ours.fit_predict(X))
    of_values = normalized_mutual_info_score(kinds, k_means.fit_predict(X[:, 0]))
    assert found > 0.9
    assert of_values < 0.6


def test_hdbscan_counts_the_kinds_itself() -> None:
    X, kinds = waves()
    density = HDBSCAN(min_cluster_size=5, copy=True)
    clusterer = TemporalJEPAClusterer(clusterer=density).fit(X)
    assert clusterer.labels_.max() == 4
    assert normalized_mutual_info_score(kinds, clusterer.labels_) > 0.9
    with pytest.raises(ValueError, match="HDBSCAN has no clusters for new series"):
        clusterer.predict(X)
