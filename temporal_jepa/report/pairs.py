"""Distances between embeddings in words, by their place among those of all pairs."""

from functools import cached_property

import numpy as np

from .svg import Array

FEWEST = 3  # sequences between which distances mean anything
MAX_PAIRS = 200_000  # of sequences, whose distances are measured


class Pairs:
    """Euclidean distances between rows `(n, F)`, at least two."""

    def __init__(self, rows: Array):
        self.rows = rows

    @cached_property
    def distances(self) -> Array:
        """Distances of pairs of different rows, ascending: of all, or of many at random."""
        n = len(self.rows)
        first, second = np.triu_indices(n, 1) if n <= 600 else _random_pairs(n)
        # in parts, so that memory stays small
        parts = np.array_split(np.arange(len(first)), -(-len(first) // 10_000))
        distances = [
            np.linalg.norm(self.rows[first[k]] - self.rows[second[k]], axis=1)
            for k in parts
        ]
        return np.sort(np.concatenate(distances))

    def farther(self, distance: float) -> float:
        """The share of all pairs that are farther apart than a distance."""
        place = np.searchsorted(self.distances, distance * (1 + 1e-9), side="right")
        return 1 - float(place) / len(self.distances)

    def placed(self, distance: float) -> str:
        """A distance in words, by its place among all pairs: "closer than 98% of pairs"."""
        if not distance:
            return "the same to the encoder"
        share = self.farther(distance)
        if share == 0:
            return "as far apart as any pair"
        return f"closer than {_percent(share)} of pairs"


def _random_pairs(n: int) -> tuple[Array, Array]:
    draw = np.random.default_rng(0)
    first = draw.integers(0, n, MAX_PAIRS)
    others = draw.integers(1, n, MAX_PAIRS)
    return first, (first + others) % n


def _percent(share: float) -> str:
    """A share in percent that is never rounded to all or to none."""
    if 0.01 <= share <= 0.99:
        return f"{share:.0%}"
    return f"{min(max(share, 0.001), 0.999):.1%}"
