"""Clusters of series, as a scikit-learn clusterer: k-means on compact embeddings."""

from typing import Any, Self

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClusterMixin, clone
from sklearn.cluster import KMeans
from sklearn.utils.validation import check_is_fitted

from ..model.compact import COMPONENTS
from .embedder import TemporalJEPAEmbedder

Labels = npt.NDArray[np.int64]


class TemporalJEPAClusterer(ClusterMixin, BaseEstimator):
    """Clusters the embeddings of series, by k-means unless another algorithm is given.

    `X` is what `TemporalJEPAEmbedder` takes: an array `(n, channels, time)`, a list of arrays of
    any lengths, a table of univariate series, or `Sequences`; NaN is a missing value.

    The default embedder compares shapes: it leaves out level and scale. Where these tell the series
    apart, raw values can be better.

    Args:
        n_clusters: number of clusters of k-means; another `clusterer` has its own.
        embedder: the settings; it is cloned, not fitted. None: 128 numbers of "series-small",
            without training.
        clusterer: any clusterer of scikit-learn with `labels_`, used in place of k-means; it is
            cloned. New series need one with `predict`, which HDBSCAN has not.
        random_state: of k-means.

    Attributes:
        embedder_: the fitted embedder.
        clusterer_: the fitted clusterer.
        labels_: the cluster of each series, int64 `(n,)`; -1: none.
        n_features_in_: columns of a table, else channels.

    >>> time = np.arange(60)
    >>> X = np.stack([np.sin(time * speed + k) for k in range(5) for speed in (0.2, 0.9)])
    >>> labels = TemporalJEPAClusterer(2, random_state=0).fit_predict(X)
    >>> len(set(labels[::2])), len(set(labels[1::2])), labels[0] != labels[1]
    (1, 1, np.True_)
    """

    def __init__(
        self,
        n_clusters: int = 8,
        embedder: TemporalJEPAEmbedder | None = None,
        clusterer: BaseEstimator | None = None,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.n_clusters = n_clusters
        self.embedder = embedder
        self.clusterer = clusterer
        self.random_state = random_state

    def fit(self, X: Any, y: Any = None) -> Self:
        """Embed the series and cluster the embeddings; `y` is ignored.

        Raises:
            ValueError: as `TemporalJEPAEmbedder.fit`, or for fewer series than clusters.
        """
        embedder = self.embedder
        if embedder is None:
            embedder = TemporalJEPAEmbedder(frozen=True, dim=COMPONENTS)
        clusterer = self.clusterer
        if clusterer is None:
            clusterer = KMeans(
                self.n_clusters, n_init=10, random_state=self.random_state
            )
        self.embedder_ = clone(embedder).fit(X)
        self.n_features_in_ = self.embedder_.n_features_in_
        self.clusterer_ = clone(clusterer).fit(self.embedder_.transform(X))
        self.labels_: Labels = np.asarray(self.clusterer_.labels_, dtype=np.int64)
        return self

    def predict(self, X: Any) -> Labels:
        """The cluster of each series, int64 `(n,)`.

        Raises:
            ValueError: if the clusterer has no clusters for new series, or as
                `TemporalJEPAEmbedder.transform`.
            NotFittedError: before `fit`.
        """
        check_is_fitted(self)
        if not hasattr(self.clusterer_, "predict"):
            name = type(self.clusterer_).__name__
            raise ValueError(
                f"{name} has no clusters for new series; read labels_, or use one that predicts, "
                "as KMeans"
            )
        found = self.clusterer_.predict(self.embedder_.transform(X))
        return np.asarray(found, dtype=np.int64)

    def __sklearn_tags__(self) -> Any:
        """Series may have missing values and several channels."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags
