"""The aeon face: a collection transformer for aeon's pipelines. Needs `pip install "temporal-jepa[aeon]"`."""

import os
from typing import Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
from aeon.transformations.collection.base import BaseCollectionTransformer

from ..config import Pool, PretrainConfig
from .embedder import TemporalJEPAEmbedder


class TemporalJEPACollectionTransformer(BaseCollectionTransformer):
    """`TemporalJEPAEmbedder` as an aeon transformer: a collection to a table `(n, features)` of float32.

    Takes univariate and multivariate series of any lengths, NaN where missing. The arguments are those of
    `TemporalJEPAEmbedder`; the fitted one is `embedder_`.
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

    def __init__(
        self,
        steps: int = PretrainConfig.steps,
        batch_size: int = PretrainConfig.batch_size,
        lr: float | None = PretrainConfig.lr,
        pool: Pool = "all",
        embed_dim: int | None = None,
        encoder_depth: int | None = None,
        num_heads: int | None = None,
        patch_len: int | None = None,
        mask_ratio: float | None = None,
        normalize: str | None = None,
        init_from: str | os.PathLike[str] | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str = "cpu",
    ):
        self.steps = steps
        self.batch_size = batch_size
        self.lr = lr
        self.pool = pool
        self.embed_dim = embed_dim
        self.encoder_depth = encoder_depth
        self.num_heads = num_heads
        self.patch_len = patch_len
        self.mask_ratio = mask_ratio
        self.normalize = normalize
        self.init_from = init_from
        self.random_state = random_state
        self.device = device
        super().__init__()

    def _fit(self, X: Any, y: Any = None) -> Self:
        self.embedder_ = TemporalJEPAEmbedder(**self.get_params()).fit(X)
        return self

    def _transform(self, X: Any, y: Any = None) -> npt.NDArray[np.float32]:
        return self.embedder_.transform(X)

    @classmethod
    def _get_test_params(cls, parameter_set: str = "default") -> dict[str, Any]:
        return {"steps": 2, "embed_dim": 8, "encoder_depth": 1, "num_heads": 2}
