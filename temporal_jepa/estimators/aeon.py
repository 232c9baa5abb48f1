"""The estimators for aeon. Needs `pip install "temporal-jepa[aeon]"`.

Each takes an estimator of this package as its settings, and passes aeon's collections and series to
it: univariate or multivariate, of any lengths, NaN where missing.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Self, TypeVar

import numpy as np
import numpy.typing as npt
from aeon.classification.base import BaseClassifier
from aeon.clustering.base import BaseClusterer
from aeon.regression.base import BaseRegressor
from aeon.transformations.collection.base import BaseCollectionTransformer
from sklearn.base import BaseEstimator, clone

try:
    from aeon.anomaly_detection.series.base import BaseSeriesAnomalyDetector
except ImportError:  # before 1.3
    from aeon.anomaly_detection.base import (
        BaseAnomalyDetector as BaseSeriesAnomalyDetector,
    )

from .anomaly import AnomalyDetector
from .classifier import TemporalJEPAClassifier, TemporalJEPARegressor
from .clusterer import TemporalJEPAClusterer
from .embedder import NESTED, TemporalJEPAEmbedder, is_nested

Array = npt.NDArray[Any]
Estimator = TypeVar("Estimator")

TAGS: dict[str, Any] = {
    "X_inner_type": ["np-list", "numpy3D"],
    "capability:multivariate": True,
    "capability:unequal_length": True,
    "capability:missing_values": True,
    "algorithm_type": "deeplearning",
    "python_dependencies": "torch",
}
"""Of estimators of collections."""
TINY: dict[str, Any] = {
    "steps": 2,
    "embed_dim": 8,
    "encoder_depth": 1,
    "num_heads": 2,
    "random_state": 0,
}
"""An embedder for the checks of aeon."""


def _own(estimator: Estimator | None, default: Callable[[], Estimator]) -> Estimator:
    """A clone of the estimator with the settings; a default one without."""
    if estimator is None:
        return default()
    own: Estimator = clone(estimator)
    return own


class _NoNestedFrames:
    """Refuses the nested DataFrames of sktime before aeon looks at `X`."""

    def _preprocess_collection(self, X: Any, *args: Any, **options: Any) -> Any:
        if is_nested(X):
            raise ValueError(NESTED)
        return super()._preprocess_collection(X, *args, **options)  # type: ignore[misc]


class TemporalJEPACollectionTransformer(_NoNestedFrames, BaseCollectionTransformer):
    """Transforms a collection of series into a table of embeddings, float32 `(n, features)`.

    Args:
        embedder: the settings; it is cloned, not fitted. None: `TemporalJEPAEmbedder()`.

    Attributes:
        embedder_: the fitted embedder.

    >>> X = np.random.default_rng(0).normal(size=(6, 2, 40)).cumsum(-1)
    >>> frozen = TemporalJEPAEmbedder(frozen=True, dim=128)
    >>> TemporalJEPACollectionTransformer(frozen).fit_transform(X).shape
    (6, 128)
    """

    _tags: ClassVar[dict[str, Any]] = {
        **TAGS,
        "output_data_type": "Tabular",
        "removes_unequal_length": True,
        "removes_missing_values": True,
    }

    def __init__(self, embedder: TemporalJEPAEmbedder | None = None):
        self.embedder = embedder
        super().__init__()

    def _fit(self, X: Any, y: Any = None) -> Self:
        self.embedder_ = _own(self.embedder, TemporalJEPAEmbedder).fit(X)
        return self

    def _transform(self, X: Any, y: Any = None) -> npt.NDArray[np.float32]:
        return self.embedder_.transform(X)

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> dict[str, Any]:
        return {"embedder": TemporalJEPAEmbedder(**TINY)}


class TemporalJEPACollectionClassifier(_NoNestedFrames, BaseClassifier):
    """Classifies series with an encoder that is fine-tuned on their labels.

    Args:
        classifier: the settings; it is cloned, not fitted. None: `TemporalJEPAClassifier()`.

    Attributes:
        classifier_: the fitted classifier.

    >>> X, y = np.random.default_rng(0).normal(size=(12, 1, 40)), np.arange(12) % 2
    >>> X[y == 1] += np.sin(np.arange(40))
    >>> settings = TemporalJEPAClassifier("series-small", steps=0)
    >>> TemporalJEPACollectionClassifier(settings).fit(X, y).predict_proba(X).shape
    (12, 2)
    """

    _tags: ClassVar[dict[str, Any]] = TAGS

    def __init__(self, classifier: TemporalJEPAClassifier | None = None):
        self.classifier = classifier
        super().__init__()

    def _fit(self, X: Any, y: Array) -> Self:
        self.classifier_ = _own(self.classifier, TemporalJEPAClassifier).fit(X, y)
        return self

    def _predict(self, X: Any) -> Array:
        return self.classifier_.predict(X)

    def _predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        return self.classifier_.predict_proba(X)

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> dict[str, Any]:
        base = TemporalJEPAEmbedder(**TINY)
        return {"classifier": TemporalJEPAClassifier(base, steps=2, random_state=0)}


class TemporalJEPACollectionRegressor(_NoNestedFrames, BaseRegressor):
    """Predicts one number for each series with an encoder that is fine-tuned on such numbers.

    Args:
        regressor: the settings; it is cloned, not fitted. None: `TemporalJEPARegressor()`.

    Attributes:
        regressor_: the fitted regressor.

    >>> X = np.random.default_rng(0).normal(size=(12, 1, 40)).cumsum(-1)
    >>> settings = TemporalJEPARegressor("series-small", steps=0)
    >>> TemporalJEPACollectionRegressor(settings).fit(X, X.mean((1, 2))).predict(X).shape
    (12,)
    """

    _tags: ClassVar[dict[str, Any]] = TAGS

    def __init__(self, regressor: TemporalJEPARegressor | None = None):
        self.regressor = regressor
        super().__init__()

    def _fit(self, X: Any, y: Array) -> Self:
        self.regressor_ = _own(self.regressor, TemporalJEPARegressor).fit(X, y)
        return self

    def _predict(self, X: Any) -> npt.NDArray[np.float64]:
        return self.regressor_.predict(X)

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> dict[str, Any]:
        base = TemporalJEPAEmbedder(**TINY)
        return {"regressor": TemporalJEPARegressor(base, steps=2, random_state=0)}


class TemporalJEPACollectionClusterer(_NoNestedFrames, BaseClusterer):
    """Clusters the embeddings of series, by k-means unless another algorithm is given.

    Args:
        n_clusters: as this and the others of `TemporalJEPAClusterer`.
        embedder: the settings of the embedder.
        clusterer: used in place of k-means.
        random_state: of k-means.

    Attributes:
        clusterer_: the fitted `TemporalJEPAClusterer`.
        labels_: the cluster of each series, int64 `(n,)`; -1: none.

    >>> X = np.random.default_rng(0).normal(size=(10, 1, 40))
    >>> X[::2] += 3 * np.sin(np.arange(40))
    >>> labels = TemporalJEPACollectionClusterer(n_clusters=2, random_state=0).fit_predict(X)
    >>> len(set(labels[::2])), len(set(labels[1::2]))
    (1, 1)
    """

    _tags: ClassVar[dict[str, Any]] = TAGS

    def __init__(
        self,
        n_clusters: int = 8,
        embedder: TemporalJEPAEmbedder | None = None,
        clusterer: BaseEstimator | None = None,
        random_state: int | None = None,
    ):
        self.n_clusters = n_clusters
        self.embedder = embedder
        self.clusterer = clusterer
        self.random_state = random_state
        super().__init__()

    def _fit(self, X: Any, y: Any = None) -> Self:
        self.clusterer_ = TemporalJEPAClusterer(
            self.n_clusters, self.embedder, self.clusterer, self.random_state
        ).fit(X)
        self.labels_ = self.clusterer_.labels_
        return self

    def _predict(self, X: Any) -> npt.NDArray[np.int64]:
        return self.clusterer_.predict(X)

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> dict[str, Any]:
        embedder = TemporalJEPAEmbedder(**TINY)
        return {"n_clusters": 2, "embedder": embedder, "random_state": 0}


class TemporalJEPASeriesAnomalyDetector(BaseSeriesAnomalyDetector):
    """Scores every timestep of a long series by its distance to the series given to `fit`.

    A score above 1 is an anomaly, see `AnomalyDetector`. NaN where whole windows are missing.

    Args:
        detector: the settings; it is cloned, not fitted. None: `AnomalyDetector()`.

    Attributes:
        detector_: the fitted detector.

    >>> x = np.sin(np.arange(400) / 5)
    >>> x[300:310] = 0
    >>> detector = TemporalJEPASeriesAnomalyDetector(AnomalyDetector(window=32)).fit(x[:200])
    >>> 290 < int(detector.predict(x).argmax()) < 320
    True
    """

    _tags: ClassVar[dict[str, Any]] = {
        "X_inner_type": "np.ndarray",
        "capability:univariate": True,
        "capability:multivariate": True,
        "capability:missing_values": True,
        "algorithm_type": None,
        "python_dependencies": "torch",
        "fit_is_empty": False,
        "anomaly_output_type": "anomaly_scores",
        "learning_type:unsupervised": True,
        "learning_type:semi_supervised": True,
    }

    def __init__(self, detector: AnomalyDetector | None = None):
        self.detector = detector
        super().__init__(axis=1)

    def _fit(self, X: Array, y: Any = None) -> Self:
        self.detector_ = _own(self.detector, AnomalyDetector).fit(X)
        return self

    def _predict(self, X: Array) -> npt.NDArray[np.float32]:
        return self.detector_.score(X)

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> dict[str, Any]:
        return {"detector": AnomalyDetector(window=4)}
