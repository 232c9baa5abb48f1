"""What is alike? The nearest of many vectors, exactly. Arrays in, arrays out.

Legend: `n` indexed vectors, `m` asked for, `F` features.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
BLOCK = 2**22  # distances held at once


def standard(Z: npt.ArrayLike, by: npt.ArrayLike | None = None) -> Array:
    """Every feature of `(m, F)` with the mean 0 and deviation 1 that it has in `by` `(n, F)`, default in `Z` itself.

    A NaN becomes the mean, 0; so does what does not vary.
    """
    Z = np.asarray(Z, dtype=np.float64)
    rows = Z if by is None else np.asarray(by, dtype=np.float64)
    seen = ~np.isnan(rows)
    count = np.maximum(seen.sum(0), 1)
    mean = np.where(seen, rows, 0.0).sum(0) / count
    spread = np.sqrt(np.where(seen, (rows - mean) ** 2, 0.0).sum(0) / count)
    varies = spread > 1e-9
    return np.where(varies & ~np.isnan(Z), (Z - mean) / np.where(varies, spread, 1.0), 0.0)


class Index:
    """Vectors to be searched, by Euclidean distance over standardised features.

    Args:
        Z: float `(n, F)`, for example embeddings; NaN is a missing value and counts as the mean.
        ids: names of the rows, default their positions 0..n-1.

    Raises:
        ValueError: if `Z` is no table of at least one row, or `ids` are not one for each row.

    >>> near, distance = Index([[0.0], [1.0], [3.0], [8.0]], ["a", "b", "c", "d"]).nearest([[0.9]], k=2)
    >>> near.tolist()
    [['b', 'a']]
    """

    def __init__(self, Z: npt.ArrayLike, ids: Sequence[str] | Array | None = None):
        self.Z = np.asarray(Z, dtype=np.float64)
        if self.Z.ndim != 2 or not len(self.Z):
            raise ValueError(
                f"expected vectors of shape (n, features), at least one, got {self.Z.shape}"
            )
        self.ids = np.arange(len(self.Z)) if ids is None else np.asarray(ids)
        if self.ids.shape != (len(self.Z),):
            raise ValueError(
                f"expected {len(self.Z)} ids, one for each vector, got shape {self.ids.shape}"
            )
        self.rows = standard(self.Z)

    def nearest(
        self, z: npt.ArrayLike, k: int = 5, but: Array | None = None
    ) -> tuple[Array, Array]:
        """The `k` nearest rows of each of `m` vectors, nearest first.

        Args:
            z: float `(m, F)`, or one vector `(F,)`.
            k: how many, at most `n` (with `but`, `n - 1`).
            but: int `(m,)`, for each vector the position of a row to leave out (itself), or -1 for none.

        Returns:
            ids `(m, k)` and distances `(m, k)` in standard deviations of the indexed vectors; `(k,)` for one vector.

        Raises:
            ValueError: for another number of features, or a `k` out of range.
        """
        asked = np.asarray(z, dtype=np.float64)
        if asked.shape[-1:] != self.Z.shape[1:] or asked.ndim not in (1, 2):
            raise ValueError(
                f"expected vectors of {self.Z.shape[1]} features as indexed, got shape {asked.shape}"
            )
        most = len(self.rows) - (but is not None)
        if not 1 <= k <= most:
            raise ValueError(
                f"expected k from 1 to {most}, the number of vectors to choose from, got {k}"
            )
        queries = standard(np.atleast_2d(asked), self.Z)
        near = np.empty((len(queries), k), np.int64)
        distance = np.empty((len(queries), k))
        step = max(1, BLOCK // len(self.rows))
        for part in np.split(np.arange(len(queries)), range(step, len(queries), step)):
            near[part], distance[part] = self._nearest(
                queries[part], k, None if but is None else but[part]
            )
        return (self.ids[near], distance) if asked.ndim == 2 else (self.ids[near[0]], distance[0])

    def neighbours(self, k: int = 5) -> tuple[Array, Array]:
        """The `k` nearest other rows of every row: as `nearest`, `(n, k)`."""
        return self.nearest(self.Z, k, np.arange(len(self.Z)))

    def _nearest(self, z: Array, k: int, but: Array | None) -> tuple[Array, Array]:
        square = (self.rows**2).sum(1) - 2 * z @ self.rows.T  # the distance but for |z|, (m, n)
        if but is not None:
            square[but >= 0, but[but >= 0]] = np.inf
        near = np.argsort(square, axis=1, kind="stable")[:, :k]
        distance = np.stack(
            [
                np.linalg.norm(self.rows[rows] - one, axis=1)
                for rows, one in zip(near, z, strict=True)
            ]
        )
        order = np.argsort(
            distance, axis=1, kind="stable"
        )  # exact where the sum of squares was rounded
        return np.take_along_axis(near, order, axis=1), np.take_along_axis(distance, order, axis=1)
