"""The map of embeddings: a point for each sequence, drawn on the page, and what `map.js` shows.

The points are paths of one dot each, so that ten thousand of them stay small, print, and need no
script. The script finds the point under the pointer by its position in these paths.
"""

import json

import numpy as np
from markupsafe import Markup
from sklearn.decomposition import PCA

from .embeddings import Embedded
from .groups import Groups
from .run import Row
from .sketch import sketches
from .svg import COLORS, Array, color_of
from .timeline import begins

WIDTH = 4000  # of the map, in its own units
HEIGHT = 3000
MARGIN = 160
SHAPES = ("dot", "square", "ring")
MAX_CLASSES = len(COLORS) * len(SHAPES)  # with a marker of their own; the rest are gray
BUDGET = 1_000_000  # bytes of the data of the map, about
NAMES = 350_000  # of them for ids; a long id is cut
LONGEST_NAME = 60
SHORTEST_NAME = 16


def map_section(embedded: Embedded, groups: Groups | None) -> Row:
    """What `templates/map.html` shows.

    Args:
        embedded: the sequences of the map.
        groups: color the points where there are no labels.
    """
    sequences = embedded.sequences
    n = len(sequences)
    labels = sequences.class_labels
    colored = "label"
    names = labels
    if names is None and groups is not None:
        colored = "group"
        names = np.array(
            [f"group {k + 1}" if k >= 0 else "unlike all others" for k in groups.of]
        )
    codes, legend = classes(np.zeros(n) if names is None else names)
    order = np.argsort(codes, kind="stable")
    panels = []
    for title, rows in (
        ("After training", embedded.trained),
        (f"Control: {embedded.control_name}", embedded.control),
    ):
        xy, shares = _plane(rows)
        panel = {
            "title": title,
            "paths": _paths(xy[order], codes[order]),
            "shares": shares,
        }
        panels.append(panel)
    return {
        "panels": panels,
        "n": n,
        "dim": embedded.dim,
        "colored": colored if names is not None else None,
        "legend": legend if names is not None else [],
        "width": WIDTH,
        "height": HEIGHT,
        "data": _data(embedded, groups, order),
    }


def _plane(rows: Array) -> tuple[Array, Array]:
    """The first two principal components `(n, 2)`, and their shares of the variance."""
    pca = PCA(2, random_state=0)
    with np.errstate(invalid="ignore"):  # no variance if all embeddings are the same
        xy = pca.fit_transform(rows)
    return xy, np.nan_to_num(pca.explained_variance_ratio_)


def _paths(xy: Array, codes: Array) -> list[tuple[str, str, Markup]]:
    """Shape, color and path of each class, for points `(n, 2)` sorted by their class."""
    middle = (xy.max(0) + xy.min(0)) / 2
    room = np.array([WIDTH, HEIGHT]) - 2 * MARGIN
    scale = (room / np.maximum(np.ptp(xy, axis=0), 1e-12)).min()
    at = (xy - middle) * scale * np.array([1, -1]) + np.array([WIDTH, HEIGHT]) / 2
    found = []
    for code in np.unique(codes).tolist():
        dots = at[codes == code].round().astype(int).tolist()
        path = "".join(f"M{x} {y}h0" for x, y in dots)
        found.append((*look(code), Markup(path)))
    return found


def classes(labels: Array) -> tuple[Array, list[tuple[str, str, str, int]]]:
    """A code for the marker of each label, -1 for all but the most frequent; and their legend.

    Returns:
        codes `(n,)`; and for each class its shape, its color, its name and how many it has.
    """
    names, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    frequent = np.sort(np.argsort(-counts, kind="stable")[:MAX_CLASSES])
    code_of = np.full(len(names), -1)
    code_of[frequent] = np.arange(len(frequent))
    legend = [
        (*look(code), str(names[i]), int(counts[i])) for code, i in enumerate(frequent)
    ]
    rare = len(names) - len(frequent)
    if rare:
        rest = int(counts[code_of < 0].sum())
        legend.insert(0, (*look(-1), f"{rare} rarer classes", rest))
    return code_of[index], legend


def look(code: int) -> tuple[str, str]:
    """Shape and color of a class: all colors as dots first, then as squares, then as rings."""
    if code < 0:
        return "dot", "var(--other)"
    return SHAPES[code // len(COLORS)], color_of(code)


def _data(embedded: Embedded, groups: Groups | None, order: Array) -> Row:
    """What is known of each point, in the order of the paths; JSON for `map.js`."""
    sequences = embedded.sequences.select(order)
    place = np.argsort(order)  # of each sequence among the points
    near = place[embedded.nearest[0][order]]
    starts = [begins(sequences, i) for i in range(len(sequences))]
    longest = min(max(NAMES // len(sequences), SHORTEST_NAME), LONGEST_NAME)
    data: Row = {
        "ids": [_short(name, longest) for name in sequences.ids],
        "near": near.ravel().tolist(),
        "nearCount": near.shape[1],
    }
    if sequences.labels is not None:
        names, index = np.unique(sequences.labels, return_inverse=True)
        data["labels"] = [_short(str(name), longest) for name in names]
        data["label"] = index.tolist()
    if groups is not None:
        data["group"] = (groups.of[order] + 1).tolist()
    if any(starts):
        data["starts"] = [start or "" for start in starts]
    used = len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())
    data["sketch"] = sketches(sequences, BUDGET - used)
    return data


def _short(name: str, longest: int) -> str:
    """A name, cut if it is longer than `longest` characters."""
    return name if len(name) <= longest else name[: longest - 1] + "…"
