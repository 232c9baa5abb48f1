"""Exact k-nearest-neighbor search over embeddings.

Legend of shapes: `n` indexed vectors, `m` queries, `F` features, `k` neighbors.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array

Array = npt.NDArray[Any]
CONSTANT = 1e-9  # a feature with a smaller standard deviation is constant


def standardize(Z: npt.ArrayLike, reference: npt.ArrayLike | None = None) -> Array:
    """Features with mean 0 and standard deviation 1 over the reference vectors.

    A missing value (NaN) counts as the mean and becomes 0; so does every value of a feature that is
    constant in the reference.

    Args:
        Z: float `(m, F)`.
        reference: float `(n, F)`; None: `Z` itself.

    Returns:
        float64 `(m, F)`.
    """
    Z = np.asarray(Z, dtype=np.float64)
    if reference is None:
        reference = Z
    reference = np.asarray(reference, dtype=np.float64)
    with np.errstate(
        invalid="ignore"
    ):  # the mean of a feature that is missing everywhere
        scaler = StandardScaler().fit(reference)
    rows: Array = scaler.transform(Z)
    varies = scaler.var_ > CONSTANT**2
    observed = ~np.isnan(rows)
    return np.where(varies & observed, rows, 0.0)


class Index:
    """Vectors to search by Euclidean distance, over standardized features unless `scale` is False.

    Args:
        Z: float `(n, F)`, for example embeddings; NaN is a missing value and counts as the mean.
        ids: names of the rows; None: their positions 0..n-1.
        scale: standardize the features over the indexed vectors. False for compact embeddings,
            which are on one scale already: on the development sets of the benchmark, standardizing
            them again lowers the precision of a search.

    Raises:
        ValueError: if `Z` is not a table of at least one row, or the lengths differ.

    >>> index = Index([[0.0], [1.0], [3.0], [8.0]], ["a", "b", "c", "d"])
    >>> ids, distances = index.nearest([[0.9]], k=2)
    >>> ids.tolist()
    [['b', 'a']]
    """

    def __init__(
        self,
        Z: npt.ArrayLike,
        ids: Sequence[str] | Array | None = None,
        scale: bool = True,
    ):
        self.Z = check_array(Z, dtype=np.float64, ensure_all_finite="allow-nan")
        n = len(self.Z)
        self.ids = np.asarray(range(n) if ids is None else ids)
        if self.ids.shape != (n,):
            raise ValueError(
                f"expected {n} ids, one per vector, got shape {self.ids.shape}"
            )
        self.scale = scale
        self.rows = self._as_compared(self.Z)
        self.search = NearestNeighbors(algorithm="brute", metric="euclidean").fit(
            self.rows
        )

    def nearest(
        self,
        z: npt.ArrayLike,
        k: int = 5,
        exclude: Array | None = None,
        *,
        but: Array | None = None,
    ) -> tuple[Array, Array]:
        """The `k` nearest rows of each query, nearest first; of equal distances, the first row.

        Args:
            z: float `(m, F)`, or one vector `(F,)`.
            k: number of neighbors, at most `n` (with `exclude`, `n - 1`).
            exclude: int `(m,)`, the position of a row to leave out for each query, typically the
                query itself; -1 leaves out none.
            but: old name of `exclude`, deprecated.

        Returns:
            ids `(m, k)` and distances `(m, k)`, in standard deviations of the indexed vectors (in
            units of the vectors if `scale` is False); `(k,)` each for one vector.

        Raises:
            ValueError: for another number of features, or `k` out of range.
        """
        if but is not None:
            warnings.warn("but= is now exclude=", DeprecationWarning, stacklevel=2)
            exclude = but
        queries = self._as_compared(np.atleast_2d(z))
        excluded = 0 if exclude is None else 1
        available = len(self.Z) - excluded
        if not 1 <= k <= available:
            raise ValueError(
                f"expected k from 1 to {available}, the number of vectors, got {k}"
            )
        found: Array = self.search.kneighbors(
            queries, k + excluded, return_distance=False
        )
        # scikit-learn expands the square, which rounds: copies would not have the distance 0.
        distance = np.empty(found.shape)
        for row, near, query in zip(distance, found, queries, strict=True):
            difference = self.rows[near] - query
            row[:] = np.linalg.norm(difference, axis=1)
        if exclude is not None:
            distance[found == exclude[:, None]] = np.inf
        order = np.lexsort((found, distance))
        order = order[:, :k]
        found = np.take_along_axis(found, order, axis=1)
        ids = self.ids[found]
        distance = np.take_along_axis(distance, order, axis=1)
        if np.ndim(z) == 1:
            return ids[0], distance[0]
        return ids, distance

    def _as_compared(self, Z: npt.ArrayLike) -> Array:
        """Vectors `(m, F)` as distances are computed of them; NaN is the mean of its feature."""
        if self.scale:
            return standardize(Z, self.Z)
        rows: Array = np.asarray(Z, dtype=np.float64)
        if rows.shape[1] != self.Z.shape[1]:
            raise ValueError(
                f"expected {self.Z.shape[1]} features, got {rows.shape[1]}"
            )
        observed = np.maximum((~np.isnan(self.Z)).sum(0), 1)
        return np.where(np.isnan(rows), np.nansum(self.Z, axis=0) / observed, rows)

    def neighbors(self, k: int = 5) -> tuple[Array, Array]:
        """The `k` nearest other rows of every row: as `nearest`, `(n, k)`."""
        return self.nearest(self.Z, k, exclude=np.arange(len(self.Z)))

    def neighbours(self, k: int = 5) -> tuple[Array, Array]:
        """Deprecated name of `neighbors`."""
        warnings.warn(
            "neighbours() is now neighbors()", DeprecationWarning, stacklevel=2
        )
        return self.neighbors(k)
