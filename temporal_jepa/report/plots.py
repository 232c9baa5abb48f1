"""How a sequence is drawn, small in a gallery and large with its mask: a path on a map, a strip of film, or curves."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from ..data.sequences import Sequences
from ..data.wgs84 import to_ecef, to_local, to_lonlat
from . import svg as figures
from .svg import COLOURS, Array

CHANNELS = 3  # of a sequence without places: the first are drawn
AGENTS = 40  # of a scene: the first are drawn
# of a film: drawn in a gallery, and with its mask
TILE_FRAMES = 3
STRIP_FRAMES = 8
# of what is hidden in a film: its colour, and how much of the picture it covers
GREY = 128
COVER = 0.8
NAMES = ("x", "y")
Row = dict[str, Any]


def paths(sequences: Sequences) -> list[Array] | None:
    """Where each sequence went: `(time_i, agents, 2)` on a plane with one scale for all directions; None if unknown.

    It is where `places` says, else where channels named x and y say, of each agent of a scene. Degrees become metres
    east and north of the middle of the track: a sketch, for tracks that are small against the Earth.
    """
    if sequences.places is not None:
        return [
            (_metres(p) if sequences.degrees else np.asarray(p))[:, None] for p in sequences.places
        ]
    rows, agents, width = sequences.frame or (1, 1, sequences.n_channels)
    names = [name.lower().rpartition(":")[2] for name in sequences.channels[:width]]
    if rows > 1 or not {*NAMES} <= {*names}:
        return None
    columns = [names.index(name) for name in NAMES]
    return [
        x.reshape(len(x), agents, width)[..., columns].astype(np.float64) for x in sequences.values
    ]


def _metres(degrees: Array) -> Array:
    """Longitude and latitude `(n, 2)` as metres `(n, 2)` east and north of their middle, on its tangent plane."""
    middle = to_lonlat(to_ecef(degrees).mean(0, keepdims=True))
    return to_local(degrees, middle)[:, :2]


def _box(path: Array) -> Array:
    """West, south and east, north of a path `(time, agents, 2)`: `(2, 2)`; zeros of one that is nowhere."""
    seen = path[np.isfinite(path).all(axis=2)]
    return np.stack([seen.min(0), seen.max(0)]) if len(seen) else np.zeros((2, 2))


def _across(path: Array) -> str:
    size = float(np.ptp(_box(path), axis=0).max())
    return (
        f"{size / 1000:,.{0 if size >= 1e5 else 1}f} km across"
        if size >= 1000
        else f"{size:.3g} m across"
    )


def _is_film(sequences: Sequences) -> bool:
    return sequences.frame is not None and sequences.frame[0] > 1


def legend(sequences: Sequences) -> Row:
    """What the colours of the drawings mean: the channels drawn, of how many, and whether they are maps or films."""
    shown = figures.legend(sequences.channels[:CHANNELS])
    mapped = paths(sequences.select([0])) is not None
    return {
        "shown": shown,
        "total": sequences.n_channels,
        "map": mapped,
        "film": _is_film(sequences),
    }


def row(name: str, query: Sequences, near: Sequences, distance: Array) -> list[Row]:
    """A query and its neighbours, nearest first: the drawing of each, all on one scale, and what to write below it."""
    parts = (query, near)
    labels = [
        x
        for part in parts
        for x in (part.labels if part.labels is not None else [None] * len(part))
    ]
    sizes = [
        _across(path) for part in parts if part.places is not None for path in paths(part) or ()
    ]
    captions = zip(
        _gallery(name, parts),
        [id for part in parts for id in part.ids],
        labels,
        sizes if len(sizes) == len(labels) else [""] * len(labels),
        ["", *(f"{far:.1f}" for far in distance)],
        strict=True,
    )
    return [
        {
            "svg": svg,
            "id": id,
            "label": label,
            "size": size,
            "distance": far,
            "query": not far,
            "same": label == labels[0],
        }
        for svg, id, label, size, far in captions
    ]


def _gallery(name: str, parts: Sequence[Sequences]) -> list[Markup]:
    """Small drawings of all sequences of the parts, on one scale; each map is centred on its own path."""
    found = [paths(part) for part in parts]
    if all(map(_is_film, parts)):
        films = [_pictures(part, i) for part in parts for i in range(len(part))]
        return [
            _strip(f"{name}-{k}", film[_evenly(len(film), TILE_FRAMES)])
            for k, film in enumerate(films)
        ]
    if None in found:
        shown = [x[:, :CHANNELS] for part in parts for x in part.values]
        limits = figures.bound(shown)
        longest = max(map(len, shown))
        return [figures.tile(f"{name}-{k}", x, longest, limits) for k, x in enumerate(shown)]
    chosen = [path for several in found for path in several or ()]
    side = max(float(np.ptp(_box(path), axis=0).max()) for path in chosen)
    return [_map(f"{name}-{k}", path, side) for k, path in enumerate(chosen)]


def _map(name: str, path: Array, side: float) -> Markup:
    """A small map of `side` x `side` around the middle of a path."""
    figure = Figure(figsize=(2.2, 1.6))
    figure.patch.set_visible(False)
    ax = figure.add_axes((0.02, 0.02, 0.96, 0.96))
    ax.set_axis_off()
    _draw(ax, path, 1.2)
    middle = _box(path).mean(0)
    half = 0.54 * side or 1.0
    ax.set_ylim(middle[1] - half, middle[1] + half)
    ax.set_xlim(middle[0] - half * 2.2 / 1.6, middle[0] + half * 2.2 / 1.6)
    return figures.render(figure, name)


def _draw(ax: Axes, path: Array, width: float) -> None:
    """Draw paths `(time, agents, 2)`, each with a dot where it starts."""
    for k, walk in enumerate(path.transpose(1, 0, 2)[:AGENTS]):
        seen = walk[np.isfinite(walk).all(axis=1)]
        colour = COLOURS[k % len(COLOURS)]
        ax.plot(*seen.T, color=colour, linewidth=width)
        ax.plot(
            *seen[:1].T,
            linestyle="",
            marker="o",
            markersize=3 * width,
            color=colour,
            markeredgewidth=0,
        )


def _evenly(n: int, most: int) -> Array:
    """At most `most` of the indices 0..n-1, each in the middle of its share."""
    count = min(n, most)
    return ((np.arange(count) + 0.5) * n / count).astype(int)


def _pictures(sequences: Sequences, i: int) -> Array:
    """Film `i` as uint8 `(time, rows, columns, 1 or 3)`; what is missing is black."""
    rows, columns, width = sequences.frame or (1, 1, 1)
    x = sequences.values[i].reshape(-1, rows, columns, width)[..., : 3 if width >= 3 else 1]
    return (
        x if x.dtype == np.uint8 else (np.nan_to_num(x).clip(0, 1) * 255).round().astype(np.uint8)
    )


def _row(frames: Array) -> Array:
    """Pictures `(n, rows, columns, 1 or 3)` side by side, gaps between them: RGBA `(rows, wide, 4)`."""
    n, rows, columns, _ = frames.shape
    gap = max(columns // 16, 1)
    out = np.zeros((n, rows, columns + gap, 4), dtype=np.uint8)
    out[:, :, :columns, :3] = frames
    out[:, :, :columns, 3] = 255
    return out.transpose(1, 0, 2, 3).reshape(rows, -1, 4)[:, :-gap]


def _strip(name: str, frames: Array) -> Markup:
    """A small strip of film without axes."""
    picture = _row(frames)
    figure = Figure(figsize=(2.2, 2.2 * picture.shape[0] / picture.shape[1]))
    figure.patch.set_visible(False)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.set_axis_off()
    ax.imshow(picture, interpolation="none", aspect="auto")
    return figures.render(figure, name)


def covered(film: Array, hidden: Array, box: tuple[int, int]) -> Array:
    """Frames of a film, evenly spaced, what is hidden in grey: uint8 `(n, rows, columns, 1 or 3)`, n at most 8.

    film: uint8 `(time, rows, columns, 1 or 3)`. hidden: bool `(tokens, cells)`. box: timesteps and side of a token.
    """
    (patch, side) = box
    (rows, columns) = film.shape[1:3]
    times = _evenly(len(hidden), STRIP_FRAMES)
    cells = hidden[times].reshape(len(times), -(-rows // side), -(-columns // side))
    cover = cells.repeat(side, 1).repeat(side, 2)[:, :rows, :columns, None]
    frames = film[times * patch]
    return np.where(cover, COVER * GREY + (1 - COVER) * frames, frames).astype(np.uint8)


def _masked_film(
    name: str, frames: Array, steps: int, patch: int, bars: Array | None, limit: float
) -> Markup:
    """A strip of film of `steps` timesteps, and below it the error of each time."""
    figure, axes = figures.panel(
        4.6, 0.8 if bars is None else 1.9, (1,) if bars is None else (2, 3), sharex=False
    )
    axes[0].imshow(_row(frames), interpolation="none", aspect="equal")
    axes[0].set_axis_off()
    if bars is not None:
        figures.bars(axes[1], bars, patch, limit)
        axes[1].set_xlim(-0.5, max(steps - 0.5, 0.5))
        axes[1].set_xlabel("frame", fontsize=9)
    return figures.render(figure, name)


def masked(
    name: str,
    sequences: Sequences,
    i: int,
    hidden: Array,
    box: tuple[int, int],
    error: Array | None,
    limit: float,
) -> Markup:
    """One sequence with its hidden tokens in grey and, below, their error: bool and float `(tokens, cells)`.

    A token is a box of (timesteps, side in pixels). Bars share the scale 0..`limit`, mean over cells; without an error
    there are none.
    """
    patch = box[0]
    bars = None if error is None else _mean(error)
    if _is_film(sequences):
        frames = covered(_pictures(sequences, i), hidden, box)
        return _masked_film(name, frames, len(hidden) * patch, patch, bars, limit)
    found = paths(sequences.select([i]))
    if found is None:
        width = min(CHANNELS, (sequences.frame or (1, 1, CHANNELS))[2])
        x = sequences.values[i][: len(hidden) * patch, :width]
        return figures.masked(name, x, hidden[:, 0], patch, bars, limit)
    path = found[0][: len(hidden) * patch]
    figure, axes = figures.panel(
        4.6, 3.0 if bars is None else 3.7, (1,) if bars is None else (4, 1), sharex=False
    )
    for agent, column in enumerate(hidden.T[: min(path.shape[1], AGENTS)]):
        spans = [
            path[max(a * patch - 1, 0) : b * patch + 1, agent] for a, b in figures.runs(column)
        ]
        axes[0].add_collection(
            LineCollection(spans, color=figures.INK, alpha=0.25, linewidth=8, capstyle="butt")
        )
    _draw(axes[0], path, 1.2)
    axes[0].set_aspect("equal", adjustable="datalim")
    axes[0].set_axis_off()
    if bars is not None:
        figures.bars(axes[1], bars, patch, limit)
        axes[1].set_xlim(-0.5, max(len(path) - 0.5, 0.5))
        axes[1].set_xlabel("timestep", fontsize=9)
    return figures.render(figure, name)


def _mean(error: Array) -> Array:
    """The mean over cells of `(tokens, cells)`, NaN where no cell has an error."""
    count = np.isfinite(error).sum(1)
    return np.where(count > 0, np.nansum(error, axis=1) / np.maximum(count, 1), np.nan)
