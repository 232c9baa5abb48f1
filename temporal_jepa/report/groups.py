"""Groups of similar sequences: k-means over the embeddings, with typical and odd members."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score

from ..evaluation.states import GAIN
from . import plots, svg
from .differences import differences, is_told_by, traits
from .embeddings import Embedded
from .run import Row
from .svg import Array
from .timeline import begins

COMPONENTS = 16  # principal components that are clustered
MOST = 8  # groups
FEWEST = 12  # sequences that are divided
SAMPLE = 2000  # sequences that the silhouette is computed of
TYPICAL = 3  # members that are drawn: the nearest to the center,
ODD = 3  # and the farthest from it
CLEAR = 0.5  # silhouettes from which groups are reasonably separated, or weakly:
NEARLY = 0.8  # of the highest silhouette
WEAK = 0.25  # the usual reading, Kaufman and Rousseeuw 1990


@dataclass(frozen=True)
class Groups:
    """A division of sequences, the largest group first.

    Args:
        of: group of each sequence, int `(n,)`.
        distance: of each sequence from the center of its group, `(n,)`.
        silhouette: mean silhouette, -1 to 1; how well the groups are separated.
    """

    of: Array
    distance: Array
    silhouette: float

    @property
    def count(self) -> int:
        """Number of groups."""
        return int(self.of.max()) + 1


class _Division(NamedTuple):
    clusters: KMeans
    silhouette: float
    gain: float  # share of the variance that the last group explains


def find_groups(embedded: Embedded) -> Groups | None:
    """Divide sequences into 2 to 8 groups.

    They are as many as explain at least `GAIN` of the variance each and have nearly the highest
    silhouette: the highest alone often stops at two groups of groups.

    Returns:
        None for few sequences, and if nearly all have the same embedding.
    """
    n, width = embedded.trained.shape
    if n < FEWEST:
        return None
    pca = PCA(min(COMPONENTS, n, width), random_state=0)
    with np.errstate(invalid="ignore"):  # no variance if all embeddings are the same
        points = pca.fit_transform(embedded.trained)
    divisions = _divisions(points)
    if not divisions:
        return None
    best = max(division.silhouette for division in divisions)
    worthwhile = [
        division
        for division in divisions
        if division.silhouette >= NEARLY * best and division.gain >= GAIN
    ]
    chosen = (worthwhile or divisions[:1])[-1]
    labels = chosen.clusters.labels_
    sizes = np.bincount(labels)
    rank = np.empty(len(sizes), dtype=int)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    away = points - chosen.clusters.cluster_centers_[labels]
    distance = np.linalg.norm(away, axis=1)
    return Groups(rank[labels], distance, chosen.silhouette)


def _divisions(points: Array) -> list[_Division]:
    """K-means of points `(n, D)` into 2 groups, 3, ..., as far as they differ."""
    distinct = len(np.unique(points.round(6), axis=0))
    total = float(((points - points.mean(0)) ** 2).sum())
    before = total
    found = []
    for count in range(2, min(MOST, distinct - 1) + 1):
        clusters = KMeans(count, n_init=4, random_state=0).fit(points)
        gain = (before - float(clusters.inertia_)) / total
        before = float(clusters.inertia_)
        sample = svg.spread(len(points), SAMPLE)
        labels = clusters.labels_[sample]
        if 1 < len(np.unique(labels)) < len(sample):
            silhouette = float(silhouette_score(points[sample], labels))
            found.append(_Division(clusters, silhouette, gain))
    return found


def groups_section(embedded: Embedded, groups: Groups | None) -> Row | None:
    """What `templates/groups.html` shows: of each group its size, labels and some members."""
    if groups is None:
        return None
    sequences = embedded.sequences
    described = traits(sequences)
    rows = []
    told = []  # groups that one trait tells from the rest
    for group in range(groups.count):
        members = np.flatnonzero(groups.of == group)
        members = members[np.argsort(groups.distance[members], kind="stable")]
        typical = members[:TYPICAL]
        odd = members[TYPICAL:][-ODD:][::-1]
        shown = sequences.select(np.concatenate([typical, odd]))
        tiles = plots.tiles(f"group{group}", shown, embedded.scale)
        for i, tile in enumerate(tiles):
            tile["start"] = begins(shown, i)
        is_member = groups.of == group
        unlike = differences(described, is_member)
        if unlike and is_told_by(unlike[0], is_member):
            told.append((group + 1, unlike[0]))
        rows.append(
            {
                "number": group + 1,
                "size": len(members),
                "share": len(members) / len(sequences),
                "unlike": unlike,
                "labels": _labels(sequences.class_labels, members),
                "typical": tiles[: len(typical)],
                "odd": tiles[len(typical) :],
            }
        )
    level = "clear" if groups.silhouette >= CLEAR else "weak"
    if groups.silhouette < WEAK:
        level = "none"
    return {
        "rows": rows,
        "level": level,
        "told": told,
        "silhouette": groups.silhouette,
        "channels": plots.channel_legend(sequences, embedded.scale),
    }


def _labels(labels: Array | None, members: Array) -> list[tuple[str, float]]:
    """The most frequent labels of a group, with their shares."""
    if labels is None:
        return []
    names, counts = np.unique(labels[members], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:3]
    return [(str(names[i]), float(counts[i]) / len(members)) for i in order]
