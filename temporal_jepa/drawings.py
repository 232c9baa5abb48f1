"""How a sequence is drawn, small for a gallery and large with its mask: a track as a path on a map, others as curves."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from . import figures
from .data.sequences import Sequences
from .figures import COLOURS, Array

CHANNELS = 3  # of a series without places: the first are drawn
AGENTS = 40  # of a scene: paths drawn
METRES = 111_195.0  # a degree of latitude on a sphere of the Earth's mean radius, 6371 km
NAMES = ("x", "y")


def paths(sequences: Sequences) -> list[Array] | None:
    """Where each sequence went: `(time_i, agents, 2)` on a plane with one scale for all directions; None if unknown.

    It is where `places` says, else where channels named x and y say, of each agent of a scene. Degrees become metres
    east and north of the middle of the track, a cosine of the latitude for all of it, across the antimeridian too.
    """
    if sequences.places is not None:
        found = sequences.places
        return [(_metres(p) if sequences.degrees else np.asarray(p))[:, None] for p in found]
    _, agents, width = sequences.frame or (1, 1, sequences.n_channels)
    names = [name.lower().split(":")[-1].strip() for name in sequences.channels[:width]]
    if (sequences.frame or (1,))[0] > 1 or not {*NAMES} <= {*names}:
        return None
    columns = [names.index(name) for name in NAMES]
    return [x.reshape(len(x), agents, width)[..., columns].astype(np.float64) for x in sequences.values]


def _metres(degrees: Array) -> Array:
    """Longitude and latitude `(n, 2)` as metres `(n, 2)` from their middle."""
    lon, lat = np.unwrap(degrees[:, 0], period=360.0), degrees[:, 1]
    middle = [(np.nanmin(a) + np.nanmax(a)) / 2 for a in (lon, lat)]
    return METRES * np.stack([(lon - middle[0]) * np.cos(np.radians(middle[1])), lat - middle[1]], axis=1)


def across(path: Array, sequences: Sequences) -> str:
    """The larger side of the box around a path `(time, agents, 2)` for a caption: "2.4 km across"; "" without places."""
    if sequences.places is None:
        return ""
    size = float(np.nanmax(np.nanmax(path, axis=(0, 1)) - np.nanmin(path, axis=(0, 1))))
    return f"{size / 1000:.3g} km across" if size >= 1000 else f"{size:.3g} m across"


def gallery(name: str, sequences: Sequences, members: Sequence[int]) -> list[Markup]:
    """Small drawings of some sequences, all on one scale. A path starts at its dot; each map is centred on its own."""
    found = paths(sequences)
    if found is None:
        shown = [sequences.values[i][:, :CHANNELS] for i in members]
        limits, longest = figures.bound(shown), max(map(len, shown))
        return [figures.tile(f"{name}-{k}", x, longest, limits) for k, x in enumerate(shown)]
    chosen = [found[i] for i in members]
    half = max(float(np.nanmax(np.nanmax(p, axis=(0, 1)) - np.nanmin(p, axis=(0, 1)))) for p in chosen) / 2
    return [_map(f"{name}-{k}", path, half) for k, path in enumerate(chosen)]


def hits(
    name: str, asked: Sequences, query: int, among: Sequences, near: Sequence[int], distance: Array
) -> list[dict[str, Any]]:
    """A row of the page: the query and its neighbours, each with its drawing and what to write below it."""
    both = [asked.select([query]), among.select(near)]
    labels = [None if part.labels is None else part.labels for part in both]
    both = [replace(part, labels=None, times=None) for part in both]
    drawn = gallery(name, *both)
: str, path: Array, half: float) -> Markup:
    figure = Figure(figsize=(2.2, 1.5))
    figure.patch.set_visible(False)
    ax = figure.add_axes((0.02, 0.02, 0.96, 0.96))
    ax.set_axis_off()
    middle = (np.nanmax(path, axis=(0, 1)) + np.nanmin(path, axis=(0, 1))) / 2
    _draw(ax, path, 1.2)
    half = 1.08 * half or 1.0
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_ylim(middle[1] - half, middle[1] + half)
    ax.set_xlim(middle[0] - half, middle[0] + half)
    return figures.render(figure, name)


def _draw(ax: Axes, path: Array, width: float) -> None:
    """Draw paths `(time, agents, 2)`, each with a dot where it starts."""
    for colour, walk in zip(COLOURS * AGENTS, path.transpose(1, 0, 2)[:AGENTS], strict=False):
        seen = walk[np.isfinite(walk).all(axis=1)]
        if len(seen):
            ax.plot(*seen.T, color=colour, linewidth=width)
            ax.plot(*seen[:1].T, linestyle="", marker="o", markersize=3 * width, color=colour, markeredgewidth=0)


def masked(
    name: str, sequences: Sequences, i: int, hidden: Array, patch: int, error: Array | None, limit: float
) -> Markup:
    """One sequence with its hidden tokens in grey and, below, the error of each: bool and float `(tokens, cells)`.

    A token covers `patch` timesteps. Bars share the scale 0..`limit`, mean over cells; without an error there are none.
    """
    cells = None if error is None else _mean(error)
    found = paths(sequences.select([i]))
    if found is None:
        width = min(CHANNELS, sequences.frame[2] if sequences.frame else CHANNELS)
        x = sequences.values[i][: len(hidden) * patch, :width]
        return figures.masked(name, x, hidden[:, 0], patch, cells, limit)
    path = found[0][: len(hidden) * patch]
    figure, axes = figures.panel(4.6, 3.1 if cells is None else 3.7, (1,) if cells is None else (4, 1), sharex=False)
    for agent in range(min(path.shape[1], AGENTS)):
        spans = [path[max(a * patch - 1, 0) : b * patch + 1, agent] for a, b in figures.runs(hidden[:, agent])]
        bands = LineCollection(spans, color=figures.INK, alpha=0.22, linewidth=9, capstyle="butt", joinstyle="round")
        axes[0].add_collection(bands)
    _draw(axes[0], path, 1.2)
    axes[0].set_aspect("equal", adjustable="datalim")
    axes[0].set_axis_off()
    if cells is not None:
        figures.bars(axes[1], cells, patch, limit)
        axes[1].set_xlim(-0.5, max(len(path) - 0.5, 0.5))
        axes[1].set_xlabel("timestep", fontsize=9)
    return figures.render(figure, name)


def _mean(error: Array) -> Array:
    """The mean over cells of `(tokens, cells)`, NaN where no cell has an error."""
    count = np.isfinite(error).sum(1)
    return np.where(count > 0, np.nansum(error, axis=1) / np.maximum(count, 1), np.nan)
