"""Groups of similar sequences: k-means over the embeddings, with typical and odd members."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist, pdist
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score

from ..data.sequences import Sequences
from ..evaluation.states import GAIN
from . import plots, svg
from .differences import CHANNELS, Difference, differences, is_told_by, traits
from .embeddings import Embedded
from .run import Row
from .scale import Scale, scale_of
from .svg import Array
from .timeline import begins

COMPONENTS = 16  # principal components that are clustered
MOST = 8  # groups
FEWEST = 12  # sequences that are divided
SAMPLE = 2000  # sequences that the silhouette is computed of
TYPICAL = 3  # members that are drawn: the nearest to the center,
ODD = 3  # and the farthest from it
FEW = 0.1  # share of the sequences up to which a group can be odd ones, or
FEW_AT_LEAST = 3  # so many
NAMED = 8  # odd ones whose names are listed
CLEAR = 0.5  # silhouettes from which groups are reasonably separated, or weakly:
NEARLY = 0.8  # of the highest silhouette
WEAK = 0.25  # the usual reading, Kaufman and Rousseeuw 1990


@dataclass(frozen=True)
class Groups:
    """A division of sequences, the largest group first.

    Args:
        of: group of each sequence, int `(n,)`; -1 for those that are unlike all others.
        distance: of each sequence from the center of its group, `(n,)`.
        silhouette: mean silhouette, -1 to 1; how well the groups are separated. 0 for one group.
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
    """Divide sequences into at most 8 groups, and those that are unlike all others.

    K-means divides them into as many as explain at least `GAIN` of the variance each and have
    nearly the highest silhouette: the highest alone often stops at two groups of groups. A small
    division whose members are far from each other too is no group.

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
    away = points - chosen.clusters.cluster_centers_[labels]
    distance = np.linalg.norm(away, axis=1)
    of = _by_size(labels, _odd_ones(points, labels))
    if (of >= 0).all():
        return Groups(of, distance, chosen.silhouette)
    return Groups(of, distance, _silhouette(points[of >= 0], of[of >= 0]))


def _odd_ones(points: Array, labels: Array) -> Array:
    """Which divisions of points `(n, D)` hold odd ones, bool `(divisions,)`; not the largest.

    They are few, and even the nearest neighbor of each is farther than half of all pairs are.
    """
    sizes = np.bincount(labels)
    usual = np.median(pdist(points[svg.spread(len(points), SAMPLE)]))
    few = max(FEW_AT_LEAST, FEW * len(points))
    odd = np.zeros(len(sizes), dtype=bool)
    for k in np.flatnonzero(sizes <= few):
        to_all = cdist(points[labels == k], points)
        odd[k] = (np.partition(to_all, 1, axis=1)[:, 1] > usual).all()
    odd[sizes.argmax()] = False
    return odd


def _by_size(labels: Array, odd: Array) -> Array:
    """Numbers of the divisions, the largest 0; -1 in those of odd ones."""
    sizes = np.where(odd, 0, np.bincount(labels))
    rank = np.empty(len(sizes), dtype=int)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    rank[odd] = -1
    return rank[labels]


def _silhouette(points: Array, labels: Array) -> float:
    """The mean silhouette of a sample; 0 for one division."""
    sample = svg.spread(len(points), SAMPLE)
    count = len(np.unique(labels[sample]))
    if not 1 < count < len(sample):
        return 0.0
    return float(silhouette_score(points[sample], labels[sample]))


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
        found.append(_Division(clusters, _silhouette(points, clusters.labels_), gain))
    return found


def groups_section(embedded: Embedded, groups: Groups | None) -> Row | None:
    """What `templates/groups.html` shows: of each group its size, labels and some members."""
    if groups is None:
        return None
    sequences = embedded.sequences
    described = traits(sequences)
    drawings = _Drawings(embedded)
    rows = []
    told = []  # groups that one trait tells from the rest
    for group in range(groups.count):
        members = np.flatnonzero(groups.of == group)
        members = members[np.argsort(groups.distance[members], kind="stable")]
        typical = members[:TYPICAL]
        odd = members[TYPICAL:][-ODD:][::-1]
        shown = sequences.select(np.concatenate([typical, odd]))
        is_member = groups.of == group
        unlike = differences(described, is_member)
        shown, scale = drawings.of(shown, unlike)
        tiles = plots.tiles(f"group{group}", shown, scale)
        for i, tile in enumerate(tiles):
            tile["start"] = begins(shown, i)
        if unlike and is_told_by(unlike[0], is_member):
            told.append((group + 1, unlike[0]))
        rows.append(
            {
                "number": group + 1,
                "size": len(members),
                "share": len(members) / len(sequences),
                "unlike": unlike,
                "labels": _labels(sequences.class_labels, members),
                "channels": None
                if shown.channels == sequences.channels
                else plots.channel_legend(shown, scale),
                "typical": tiles[: len(typical)],
                "odd": tiles[len(typical) :],
            }
        )
    return {
        "rows": rows,
        "level": _level(groups),
        "told": told,
        "alone": _alone(embedded, groups),
        "silhouette": groups.silhouette,
        "channels": plots.channel_legend(sequences, embedded.scale),
    }


class _Drawings:
    """Draws the channels in which a group differs, where they are not among the first."""

    def __init__(self, embedded: Embedded):
        self.embedded = embedded

    def of(
        self, shown: Sequences, unlike: list[Difference]
    ) -> tuple[Sequences, Scale | None]:
        """The sequences with those channels first, and the scale of their drawings."""
        named = [part.channel for part in unlike if part.channel is not None]
        if self.embedded.scale is None or not any(
            k >= plots.MAX_CHANNELS for k in named
        ):
            return shown, self.embedded.scale
        rest = [k for k in range(shown.n_channels) if k not in named]
        order = [*dict.fromkeys(named), *rest]
        moved = replace(
            shown,
            values=[x[:, order] for x in shown.values],
            channels=[shown.channels[k] for k in order],
        )
        return moved, self._all.of(order[: plots.MAX_CHANNELS])

    @cached_property
    def _all(self) -> Scale:
        """The scale of all channels that are described."""
        return scale_of(list(self.embedded.sequences.values), CHANNELS)


def _level(groups: Groups) -> str:
    """How well the groups are separated: "one" if there is only one, "clear", "weak", "none"."""
    if groups.count == 1:
        return "one"
    if groups.silhouette >= CLEAR:
        return "clear"
    return "weak" if groups.silhouette >= WEAK else "none"


def _alone(embedded: Embedded, groups: Groups) -> Row | None:
    """The sequences that are unlike all others, with drawings; None if there are none."""
    alone = np.flatnonzero(groups.of < 0)
    if not len(alone):
        return None
    shown = embedded.sequences.select(alone[:NAMED])
    tiles = plots.tiles("alone", shown, embedded.scale)
    for i, tile in enumerate(tiles):
        tile["start"] = begins(shown, i)
    return {"count": len(alone), "names": shown.ids, "tiles": tiles}


def _labels(labels: Array | None, members: Array) -> list[tuple[str, float]]:
    """The most frequent labels of a group, with their shares."""
    if labels is None:
        return []
    names, counts = np.unique(labels[members], return_counts=True)
    order = np.argsort(-counts, kind="stable")[:3]
    return [(str(names[i]), float(counts[i]) / len(members)) for i in order]
