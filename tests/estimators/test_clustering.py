"""Clusters of compact embeddings, judged by classes that nobody told them."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.metrics import normalized_mutual_info_score
from sklearn.pipeline import make_pipeline

from temporal_jepa import TemporalJEPAEmbedder

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


def clustered(X: np.ndarray, clusterer: BaseEstimator) -> np.ndarray:
    return make_pipeline(
        TemporalJEPAEmbedder(frozen=True, dim=128), clusterer
    ).fit_predict(X)


@pytest.mark.parametrize("make", [waves, processes])
def test_k_means_finds_the_kinds_that_values_do_not_show(make) -> None:
    X, kinds = make()
    k_means = KMeans(len(np.unique(kinds)), n_init=10, random_state=0)
    found = normalized_mutual_info_score(kinds, clustered(X, k_means))
    of_values = normalized_mutual_info_score(kinds, k_means.fit_predict(X[:, 0]))
    assert found > 0.9
    assert of_values < 0.6


def test_hdbscan_counts_the_kinds_itself() -> None:
    X, kinds = waves()
    found = clustered(X, HDBSCAN(min_cluster_size=5, copy=True))
    assert found.max() == 4
    assert normalized_mutual_info_score(kinds, found) > 0.9
