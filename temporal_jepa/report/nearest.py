"""Sequences beside their nearest neighbors, and how often neighbors share a label."""

import numpy as np

from . import plots
from .embeddings import Embedded
from .run import Row
from .svg import Array, spread
from .timeline import begins

QUERIES = 4


def neighbors_section(embedded: Embedded) -> Row:
    """What `report.html` shows of neighbors."""
    sequences = embedded.sequences
    near, distance = embedded.nearest
    rows = []
    for q in _queries(sequences.class_labels, len(sequences)).tolist():
        members = sequences.select([q, *near[q]])
        tiles = plots.tiles(f"near{q}", members, embedded.scale)
        for i, tile in enumerate(tiles):
            tile["start"] = begins(members, i)
            tile["note"] = embedded.pairs.placed(distance[q, i - 1]) if i else ""
        rows.append(tiles)
    return {
        "rows": rows,
        "n": len(sequences),
        "k": near.shape[1],
        "dim": embedded.dim,
        "channels": plots.channel_legend(sequences, embedded.scale),
    }


def _queries(labels: Array | None, n: int) -> Array:
    """The first sequences of the largest classes; without labels, evenly spaced ones."""
    if labels is None:
        return spread(n, QUERIES)
    _, first, counts = np.unique(labels, return_index=True, return_counts=True)
    largest = np.argsort(-counts, kind="stable")[:QUERIES]
    return np.sort(first[largest])
