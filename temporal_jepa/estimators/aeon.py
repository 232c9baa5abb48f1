"""`TemporalJEPAEmbedder` as an aeon transformer. Needs `pip install "temporal-jepa[aeon]"`."""

from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from aeon.transformations.collection.base import BaseCollectionTransformer
from sklearn.base import clone

from .embedder import TemporalJEPAEmbedder


class TemporalJEPACollectionTransformer(BaseCollectionTransformer):
    """Transforms a collection of series into a table of embeddings, float32 `(n, features)`.

    Takes univariate and multivariate series of any lengths, NaN where missing.

    Args:
        embedder: the settings; it is cloned, not fitted. None: `TemporalJEPAEmbedder()`.

    Attributes:
        embedder_: the fitted embedder.
    """

    _tags: ClassVar[dict[str, Any]] = {
        "X_inner_type": ["np-list", "numpy3D"],
        "output_data_type": "Tabular",
        "capability:multivariate": True,
        "capability:unequal_length": True,
        "capability:missing_values": True,
        "removes_unequal_length": True,
        "removes_missing_values": True,
        "algorithm_type": "deeplearning",
        "python_dependencies": "torch",
    }

    def __init__(self, embedder: TemporalJEPAEmbedder | None = None):
        self.embedder = embedder
        super().__init__()

    def _fit(self, X: Any, y: Any = None) -> Self:
        embedder = (
            TemporalJEPAEmbedder() if self.embedder is None else clone(self.embedder)
        )
        self.embedder_ = embedder.fit(X)
        return self

    def _transform(self, X: Any, y: Any = None) -> npt.NDArray[np.float32]:
        return self.embedder_.transform(X)

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> dict[str, Any]:
        tiny = TemporalJEPAEmbedder(steps=2, embed_dim=8, encoder_depth=1, num_heads=2)
        return {"embedder": tiny}
