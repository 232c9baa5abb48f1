"""Places of tracks: where they are together, so that each place has a map of its own."""

from typing import NamedTuple

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

from ..data.sequences import Sequences
from ..data.wgs84 import to_ecef
from .svg import Array

APART = 10.0  # sizes of a usual track between tracks of two places, at least
SHARE = 0.1  # of the tracks that a place has, at least, or
FEWEST = 3  # so many
MOST = 3  # places
SMALLER = 3.0  # times that a map of everything exceeds those of places, at least


class Places(NamedTuple):
    """Tracks by place.

    Args:
        together: the tracks of each place, the largest first: indices `(n_k,)`.
        elsewhere: tracks that are at none, indices.
    """

    together: list[Array]
    elsewhere: Array


def places_of(tracks: Sequences) -> Places:
    """Divide tracks into places that are far from each other; one place if they are not.

    Tracks are joined to their nearest (single linkage) up to a distance of ten usual tracks. Few
    tracks far from all others are at no place.
    """
    assert tracks.places is not None
    boxes = [_box(np.asarray(path), tracks.degrees) for path in tracks.places]
    known = np.array([box is not None for box in boxes])
    everywhere = Places([np.arange(len(tracks))], np.array([], dtype=int))
    if known.sum() <= FEWEST:
        return everywhere
    table = np.array([box for box in boxes if box is not None])  # (n, 2, axes)
    large = _large(table)
    covered = sum(map(len, large))
    if covered < len(table) / 2:
        return everywhere
    widest = max(_size(table[group]) for group in large)
    if _size(table) < SMALLER * widest:
        return everywhere
    index = np.flatnonzero(known)
    together = [index[group] for group in large]
    return Places(together, np.setdiff1d(index, np.concatenate(together)))


def _large(boxes: Array) -> list[Array]:
    """The places of boxes `(n, 2, axes)` that several tracks share, the largest first."""
    usual = float(np.median(np.ptp(boxes, axis=1).max(axis=1)))
    codes = fcluster(linkage(boxes.mean(axis=1)), APART * usual, "distance")
    fewest = max(FEWEST, SHARE * len(boxes))
    groups = [np.flatnonzero(codes == code) for code in np.unique(codes)]
    large = [group for group in groups if len(group) >= fewest]
    return sorted(large, key=len, reverse=True)[:MOST]


def _box(path: Array, degrees: bool) -> Array | None:
    """Lowest and highest coordinates of a path, in meters, `(2, 2 or 3)`; None without any."""
    path = path[np.isfinite(path).all(axis=1)]
    if not len(path):
        return None
    points = (
        to_ecef(path) if degrees else path
    )  # degrees of the whole Earth, in one frame
    return np.stack([points.min(axis=0), points.max(axis=0)])


def _size(boxes: Array) -> float:
    """The longer side of the box around boxes `(n, 2, 2 or 3)`."""
    return float((boxes[:, 1].max(axis=0) - boxes[:, 0].min(axis=0)).max())
