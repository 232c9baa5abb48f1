"""Measures of an embedding besides the probes: few labels, retrieval, clustering.

Distances are Euclidean. Features are standardized over TRAIN, without labels, and divided by the
root of their number; compact embeddings are compared as they are, as `nearest` does.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.cluster import KMeans
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics import normalized_mutual_info_score

Array = npt.NDArray[Any]

MEASURES = ("1nn", "few1", "few5", "map", "nmi")
DRAWS = 5  # of the labels, and of the clusters
PENALTIES = np.logspace(-3, 3, 7)
RESOLUTION = (
    1e-7  # features that vary by less than this share of their size are constant
)


def measure(kind: str, train: Array, y: Array, test: Array, test_y: Array) -> float:
    """One of `MEASURES` of features `(n, F)`, as `comparable` returns them.

    "1nn": accuracy on TEST of the nearest series of TRAIN.
    "few1", "few5": accuracy on TEST of ridge on 1 or 5 labeled series of each class of TRAIN, mean
    of five draws. "map": mean average precision of a search, each series of both splits a query
    among the others. "nmi": normalized mutual information of the classes of TEST and as many
    clusters of k-means, mean of five starts.
    """
    if kind == "1nn":
        return float(np.mean(y[_distances(test, train).argmin(1)] == test_y))
    if kind == "map":
        both = np.concatenate([train, test])
        return mean_average_precision(both, np.concatenate([y, test_y]))
    if kind == "nmi":
        return clustering(test, test_y)
    count = int(kind.removeprefix("few"))
    scores = []
    for draw in range(DRAWS):
        rng = np.random.default_rng(draw)
        rows = np.concatenate(
            [rng.permutation(np.flatnonzero(y == c))[:count] for c in np.unique(y)]
        )
        model = RidgeClassifierCV(PENALTIES).fit(train[rows], y[rows])
        scores.append(np.mean(model.predict(test) == test_y))
    return float(np.mean(scores))


def comparable(train: Array, test: Array, is_compact: bool) -> tuple[Array, Array]:
    """Features in the space in which they are compared, float64."""
    train = train.astype(np.float64)
    test = test.astype(np.float64)
    if is_compact:
        return train, test
    mean = train.mean(0)
    std = train.std(0)
    std[std <= RESOLUTION * np.abs(train).max(0)] = np.inf
    scale = std * np.sqrt(train.shape[1])
    return (train - mean) / scale, (test - mean) / scale


def mean_average_precision(Z: Array, y: Array) -> float:
    """Over the queries of which there is another series of the same class."""
    distances = _distances(Z, Z)
    np.fill_diagonal(distances, np.inf)
    order = distances.argsort(1, kind="stable")[:, :-1]
    hits = y[order] == y[:, None]
    precision = hits.cumsum(1) / np.arange(1, hits.shape[1] + 1)
    found = hits.sum(1)
    has_any = found > 0
    return float(np.mean((precision * hits).sum(1)[has_any] / found[has_any]))


def clustering(Z: Array, y: Array) -> float:
    """Normalized mutual information of classes and clusters."""
    count = len(np.unique(y))
    clusters = [
        KMeans(count, n_init=3, random_state=draw).fit_predict(Z)
        for draw in range(DRAWS)
    ]
    return float(np.mean([normalized_mutual_info_score(y, c) for c in clusters]))


def _distances(A: Array, B: Array) -> Array:
    """Squared distances `(len(A), len(B))`."""
    return (A**2).sum(1)[:, None] + (B**2).sum(1) - 2 * A @ B.T
