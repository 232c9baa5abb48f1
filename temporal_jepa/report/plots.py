"""How sequences are drawn: as frames of a video, as paths on a map, or as curves.

A sequence is drawn small beside its nearest neighbors, and large with its mask or anomaly scores.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path

from ..data.sequences import Sequences
from ..data.wgs84 import to_ecef, to_local, to_lonlat
from .pairs import Pairs
from .scale import Scale, scale_of
from .svg import COLORS, DASHED, INK, STYLE, Array, bare, legend, panel, render, spread
from .timeline import STEPS, TimeAxis, show_dates, time_axis

WIDE = 9.6  # inches of a drawing that is as wide as the page
NARROW = 4.6  # of one that is half as wide, or as wide as a phone
MAX_CHANNELS = 3  # drawn as curves: the first ones
MAX_AGENTS = 40  # of a scene that are drawn: the first ones
MAX_TRACKS = 200  # on one map, evenly spaced
EACH_ITS_OWN = "each drawing on its own scale, named below it"
LANE_HEIGHT = 0.85  # inches of a channel in a large drawing
LANE = 0.9  # share of the height of a lane that its curve has
TILE_FRAMES = 3  # of a video in a row of neighbors
MASK_FRAMES = 8  # of a video with its mask
MASK_OPACITY = 0.8
MID_GRAY = 128
BAND_OPACITY = 0.35  # of a state behind a curve
LABELED = 0.025  # share of the width that a state covers to have its number written
WARM = COLORS[1]  # of errors and anomalies

BOX = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY]

Row = dict[str, Any]
Member = tuple[Sequences, int]  # one sequence and where it stands


def is_video(sequences: Sequences) -> bool:
    """Whether a timestep is a frame of a video; the one row of a scene's frame holds its agents."""
    return sequences.frame is not None and sequences.frame[0] > 1


def path_of(sequences: Sequences, i: int) -> Array | None:
    """Where sequence i was, on a plane with the same scale in all directions.

    Returns:
        float `(time, agents, 2)` from `places`, else from channels named x and y (one pair for
        each agent of a scene); None without either. Degrees become meters east and north of the
        middle of the track, which suits tracks that are small against the Earth.
    """
    if sequences.places is not None:
        places = np.asarray(sequences.places[i])
        if sequences.degrees:
            places = _meters(places)
        return places[:, None]
    rows, agents, width = sequences.frame or (1, 1, sequences.n_channels)
    names = [name.lower().rpartition(":")[2] for name in sequences.channels[:width]]
    if rows > 1 or "x" not in names or "y" not in names:
        return None
    columns = [names.index("x"), names.index("y")]
    x = sequences.values[i].astype(np.float64)
    return x.reshape(-1, agents, width)[..., columns]


def is_curves(sequences: Sequences, i: int) -> bool:
    """Whether sequence i is drawn as curves over time, not as frames or as a path."""
    return not is_video(sequences) and path_of(sequences, i) is None


def _meters(degrees: Array) -> Array:
    """(longitude, latitude) `(n, 2)` as meters `(n, 2)` east and north of their middle."""
    middle = to_ecef(degrees).mean(0, keepdims=True)
    local = to_local(degrees, to_lonlat(middle))
    return local[:, :2]


def _box(path: Array) -> Array:
    """Lowest and highest x and y of a path `(time, agents, 2)`: `(2, 2)`; 0 without any fix."""
    fixes = path[np.isfinite(path).all(axis=2)]
    if not len(fixes):
        return np.zeros((2, 2))
    return np.stack([fixes.min(0), fixes.max(0)])


def extent_of(path: Array) -> float:
    """The longer side of the box around a path `(time, agents, 2)`."""
    sides = np.ptp(_box(path), axis=0)
    return float(sides.max())


def channel_legend(sequences: Sequences, scale: Scale | None = None) -> Row:
    """How to read the drawings of these sequences, for `gallery.html`.

    Args:
        sequences: those that are drawn.
        scale: of their tiles, whose ends are named; None: no ends are named.
    """
    shown = legend(sequences.channels[:MAX_CHANNELS])
    ranges = [""] * len(shown)
    if scale is not None:
        ranges = [
            EACH_ITS_OWN if own else f"{low:.4g} to {high:.4g} in all drawings"
            for low, high, own in zip(scale.low, scale.high, scale.own, strict=True)
        ]
    return {
        "shown": [(*entry, text) for entry, text in zip(shown, ranges, strict=True)],
        "total": sequences.n_channels,
        "video": is_video(sequences),
        "map": path_of(sequences, 0) is not None,
    }


def tiles(name: str, sequences: Sequences, scale: Scale | None = None) -> list[Row]:
    """Draw sequences small, for `gallery.html`.

    Args:
        name: unique on the page.
        sequences: few of them. Each channel has a lane of its own, each map its own scale.
        scale: of the lanes; None: that of these sequences.

    Returns:
        For each sequence its drawing, id and label.
    """
    members = [(sequences, i) for i in range(len(sequences))]
    return _gallery(name, members, scale)


def neighbor_row(
    name: str,
    query: Sequences,
    near: Sequences,
    distance: Array,
    pairs: Pairs | None = None,
    scale: Scale | None = None,
) -> list[Row]:
    """Draw a query and its nearest neighbors.

    Args:
        name: unique on the page.
        query: a single sequence.
        near: its neighbors, nearest first.
        distance: of each neighbor, `(len(near),)`.
        pairs: distances that tell what is near; None: the distance is shown alone.
        scale: of the lanes; None: that of these sequences.

    Returns:
        The tiles of the row for `gallery.html`, the query first.
    """
    members = [(query, 0)] + [(near, i) for i in range(len(near))]
    row = _gallery(name, members, scale)
    for tile, away in zip(row[1:], distance, strict=True):
        tile["note"] = f"distance {away:.2f}"
        if pairs is not None:
            tile["detail"] = tile["note"]
            tile["note"] = pairs.placed(float(away))
    return row


def _gallery(
    name: str, members: Sequence[Member], scale: Scale | None = None
) -> list[Row]:
    has_curves = is_curves(*members[0])
    if has_curves and scale is None:
        scale = scale_of([part.values[i] for part, i in members], MAX_CHANNELS)
    row = []
    for k, figure in enumerate(_tiles(members, scale)):
        part, i = members[k]
        tile: Row = {
            "svg": render(figure, f"{name}-{k}", described(part, i)),
            "id": part.ids[i],
            "label": None if part.labels is None else part.labels[i],
            "start": None,
            "note": "",
        }
        path = path_of(part, i)
        if part.places is not None and path is not None:
            tile["meters"] = extent_of(path)
        if has_curves and scale is not None and scale.own.any():
            tile["ends"] = _own_ends(part, i, scale)
        row.append(tile)
    return row


def _own_ends(sequences: Sequences, i: int, scale: Scale) -> list[str]:
    """The ends of the channels that sequence i has on a scale of its own, in words."""
    limits = scale.limits(sequences.values[i])
    names = sequences.channels
    found = []
    for name, (low, high), own in zip(names, limits, scale.own, strict=False):
        if own and np.isfinite(low):
            found.append(f"{name} {low:.3g} to {high:.3g}")
    return found


def described(sequences: Sequences, i: int) -> str:
    """A sequence in words, for those who do not see its drawing."""
    x = sequences.values[i]
    if is_video(sequences):
        return f"{sequences.ids[i]}: {len(x)} frames"
    path = path_of(sequences, i)
    if path is not None:
        return f"{sequences.ids[i]}: path of {len(x)} timesteps"
    observed = x[~np.isnan(x)]
    if not len(observed):
        return f"{sequences.ids[i]}: no values"
    low, high = observed.min(), observed.max()
    return f"{sequences.ids[i]}: {len(x)} timesteps from {low:.3g} to {high:.3g}"


def _tiles(members: Sequence[Member], scale: Scale | None) -> list[Figure]:
    if all(is_video(part) for part, _ in members):
        return [_video_tile(video_frames(part, i)) for part, i in members]
    paths = [path_of(part, i) for part, i in members]
    known = [path for path in paths if path is not None]
    if len(known) == len(members):
        return [_map_tile(path) for path in known]
    assert scale is not None
    return _curve_tiles([part.values[i] for part, i in members], scale)


def _curve_tiles(values: list[Array], scale: Scale) -> list[Figure]:
    """Lanes of arrays `(time_i, channels)`, the first channel on top, as long as the longest."""
    figures = []
    longest = max(map(len, values))
    count = len(scale.low)
    below = np.arange(count)[::-1]  # where each lane starts
    for x in values:
        figure, ax = bare(max(1.1, 0.5 * count))
        _draw_curves(ax, LANE * scale.lanes(x) + below)
        ax.set_xlim(0, max(longest - 1, 1))
        ax.set_ylim(-0.05, count - 0.05)
        figures.append(figure)
    return figures


def all_tracks(name: str, sequences: Sequences) -> Markup:
    """Draw where sequences with places were, on one map."""
    assert sequences.places is not None
    chosen = sequences.select(spread(len(sequences), MAX_TRACKS))
    assert chosen.places is not None
    parts = [np.asarray(places) for places in chosen.places]
    whole = np.concatenate(parts)
    fixes = np.isfinite(whole).all(axis=1)
    if sequences.degrees and fixes.any():
        whole = whole.copy()
        whole[fixes] = _meters(whole[fixes])
    ends = np.cumsum([len(places) for places in parts])[:-1]
    figure, ax = bare(3.0, width=4.6)
    lines = LineCollection(
        np.split(whole, ends), color=COLORS[0], alpha=0.6, linewidth=0.8
    )
    ax.add_collection(lines)
    starts = whole[[0, *ends.tolist()]]
    ax.plot(*starts.T, "o", color=COLORS[0], markersize=2, markeredgewidth=0)
    ax.autoscale_view()
    ax.set_aspect("equal", adjustable="datalim")
    return render(figure, name, f"Map of {len(chosen)} tracks")


def _map_tile(path: Array) -> Figure:
    """A map around the middle of a path."""
    figure, ax = bare(1.6)
    _draw_paths(ax, path)
    x, y = _box(path).mean(0)
    half = 0.54 * extent_of(path) or 1.0
    ax.set_xlim(x - half, x + half)
    ax.set_ylim(y - half, y + half)
    ax.set_aspect("equal")
    return figure


def _video_tile(frames: Array) -> Figure:
    shown = spread(len(frames), TILE_FRAMES)
    strip = _side_by_side(frames[shown])
    height, width, _ = strip.shape
    figure, ax = bare(2.2 * height / width)
    ax.imshow(strip, interpolation="none", aspect="auto")
    return figure


def _draw_curves(ax: Axes, x: Array, first: int = 0, width: float = 1.2) -> None:
    """Draw the first channels of x `(time, channels)`; its first timestep is number `first`."""
    steps = first + np.arange(len(x))
    for color, y in zip(COLORS, x.T[:MAX_CHANNELS], strict=False):
        # samples between missing values, which a line does not show
        missing = np.pad(np.isnan(y), 1, constant_values=True)
        alone = ~missing[1:-1] & missing[:-2] & missing[2:]
        with rc_context(STYLE):
            ax.plot(
                steps,
                y,
                color=color,
                linewidth=width,
                marker="o",
                markersize=2 * width,
                markeredgewidth=0,
                markevery=np.flatnonzero(alone),
            )


def _lane_heights(x: Array, height: float) -> list[float]:
    """Inches of the axes of each drawn channel of `(time, channels)`; a single one has `height`."""
    count = min(x.shape[1], MAX_CHANNELS)
    return [height] if count == 1 else [LANE_HEIGHT] * count


def _draw_channels(
    axes: Sequence[Axes], x: Array, first: int = 0, width: float = 1.2
) -> None:
    """Draw the first channels of x `(time, channels)`, each in axes of its own."""
    for k, ax in enumerate(axes):
        _draw_curves(ax, x[:, [k]], first, width)
        ax.lines[0].set_color(COLORS[k])
        if len(axes) > 1:
            ax.locator_params(axis="y", nbins=3)


def _draw_paths(ax: Axes, path: Array) -> None:
    """Draw the paths of agents `(time, agents, 2)`, each with a dot where it starts."""
    for k, agent in enumerate(path.transpose(1, 0, 2)[:MAX_AGENTS]):
        fixes = agent[np.isfinite(agent).all(axis=1)]
        if not len(fixes):
            continue
        ax.plot(
            *fixes.T,
            color=COLORS[k % len(COLORS)],
            linewidth=1.2,
            marker="o",
            markersize=3.6,
            markeredgewidth=0,
            markevery=[0],
        )


def video_frames(sequences: Sequences, i: int) -> Array:
    """Video i as uint8 `(time, rows, columns, 1 or 3)`; missing values are black."""
    assert sequences.frame is not None
    channels = sequences.frame[2]
    x = sequences.values[i].reshape(-1, *sequences.frame)
    x = x[..., : 3 if channels >= 3 else 1]
    if x.dtype == np.uint8:
        return x
    return (255 * np.nan_to_num(x).clip(0, 1)).round().astype(np.uint8)


def _side_by_side(frames: Array) -> Array:
    """Frames `(n, rows, columns, 1 or 3)` in one image with gaps: RGBA `(rows, width, 4)`."""
    n, rows, columns, _ = frames.shape
    gap = max(columns // 16, 1)
    image = np.zeros((rows, n, columns + gap, 4), dtype=np.uint8)
    image[:, :, :columns, :3] = frames.transpose(1, 0, 2, 3)
    image[:, :, :columns, 3] = 255
    return image.reshape(rows, -1, 4)[:, :-gap]


def masked_frames(frames: Array, masked: Array, patch: int, side: int) -> Array:
    """Frames of a video, evenly spaced, with the masked tokens in gray.

    Args:
        frames: uint8 `(time, rows, columns, 1 or 3)`.
        masked: bool `(tokens in time, cells of a frame)`.
        patch: timesteps of a token.
        side: rows and columns of a token.

    Returns:
        uint8 `(n, rows, columns, 1 or 3)`, n at most `MASK_FRAMES`.
    """
    rows, columns = frames.shape[1:3]
    times = spread(len(masked), MASK_FRAMES)
    grid = (-(-rows // side), -(-columns // side))
    cells = masked[times].reshape(len(times), *grid)
    pixels = cells.repeat(side, axis=1).repeat(side, axis=2)
    pixels = pixels[:, :rows, :columns, None]
    shown = frames[times * patch]
    gray = MASK_OPACITY * MID_GRAY + (1 - MASK_OPACITY) * shown
    return np.where(pixels, gray, shown).astype(np.uint8)


def masked(
    name: str,
    sequences: Sequences,
    i: int,
    *,
    mask: Array,
    error: Array,
    limit: float,
    token: tuple[int, int],
    axis: TimeAxis,
    unit: str = "",
    alt: str = "",
) -> Markup:
    """Draw sequence i with its masked tokens in gray and, below, the error of predicting them.

    Args:
        name: unique on the page.
        sequences: where the sequence is from.
        i: its index.
        mask: bool `(tokens in time, cells of a timestep)`, True where masked.
        error: mean error of the masked cells `(tokens in time,)`, NaN without any.
        limit: top of the scale of the error.
        token: timesteps of a token, and its rows and columns in a video frame.
        axis: below the drawing.
        unit: of the values of a curve.
        alt: see `svg.render`.
    """
    patch, side = token
    steps = min(len(sequences.values[i]), len(mask) * patch)
    path = path_of(sequences, i)
    if is_video(sequences):
        figure, (above, below) = panel(0.8, 0.9)
        frames = masked_frames(video_frames(sequences, i), mask, patch, side)
        strip = _side_by_side(frames)
        above.imshow(strip, interpolation="none", aspect="equal")
        above.set_axis_off()
    elif path is not None:
        figure, (above, below) = panel(3.0, 0.9)
        _draw_masked_paths(above, path[:steps], mask, patch)
    else:
        # of a scene without places, the channels of the first agent
        width = sequences.frame[2] if sequences.frame else None
        x = sequences.values[i][:steps, :width]
        figure, (*lanes, below) = panel(*_lane_heights(x, 2.2), 0.9, sharex=True)
        _draw_channels(lanes, x)
        for ax in lanes:
            _shade(ax, mask[:, 0], patch, steps)
        lanes[0].set_ylabel(unit)
    middle = np.arange(len(error)) * patch + (patch - 1) / 2
    below.bar(
        middle,
        np.nan_to_num(error),
        width=0.92 * patch,
        color=WARM,
        linewidth=0,
    )
    below.set_xlim(-0.5, steps - 0.5)
    below.set_ylim(0, limit)
    axis.put_on(below)
    below.set_ylabel("error")
    return render(figure, name, alt)


def _shade(ax: Axes, mask: Array, patch: int, steps: int) -> None:
    """Gray behind the masked tokens `(tokens in time,)` of `patch` timesteps each."""
    spans = [
        (start * patch - 0.5, min(end * patch, steps) - 0.5)
        for start, end in runs(mask)
    ]
    _draw_spans(ax, spans, INK, 0.13)


def _draw_spans(
    ax: Axes, spans: Sequence[tuple[float, float]], color: str, opacity: float
) -> None:
    """Fill the height between each two positions: one path, which stays small for many."""
    if not spans:
        return
    boxes = [Path([(a, 0), (a, 1), (b, 1), (b, 0), (a, 0)], BOX) for a, b in spans]
    patch = PathPatch(
        Path.make_compound_path(*boxes),
        transform=ax.get_xaxis_transform(),
        color=color,
        alpha=opacity,
        linewidth=0,
    )
    ax.add_patch(patch)


def _draw_masked_paths(ax: Axes, path: Array, mask: Array, patch: int) -> None:
    """Paths `(time, agents, 2)` over a wide gray line where their tokens are masked."""
    agents = min(path.shape[1], mask.shape[1], MAX_AGENTS)
    for agent in range(agents):
        spans = []
        for start, end in runs(mask[:, agent]):
            # one timestep more on either side: the line reaches the tokens next to it
            first = max(start * patch - 1, 0)
            last = end * patch
            spans.append(path[first : last + 1, agent])
        wide = LineCollection(
            spans,
            color=INK,
            alpha=0.25,
            linewidth=8,
            capstyle="butt",
        )
        ax.add_collection(wide)
    _draw_paths(ax, path)
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_axis_off()


def scored(
    name: str,
    x: Array,
    score: Array,
    first: int = 0,
    width: float = NARROW,
    times: Array | None = None,
    alt: str = "",
) -> Markup:
    """Draw a series above its anomaly score, and shade where the score is above 1.

    Each channel has an axis of its own.

    Args:
        name: unique on the page.
        x: float `(time, channels)`.
        score: float `(time,)`.
        first: number of the first timestep, on an axis without times.
        width: in inches.
        times: of the timesteps `(time,)`; None if there are none.
        alt: see `svg.render`.
    """
    heights = [*_lane_heights(x, 2.0), 1.1]
    figure, (*lanes, below) = panel(*heights, width=width, sharex=True)
    if times is not None:
        first = 0
    _draw_channels(lanes, x, first, 1.0 if width == WIDE else 1.2)
    _draw_curves(below, score[:, None], first)
    below.lines[0].set_color(WARM)
    below.axhline(1, **DASHED)
    edge = first - 0.5  # of the first timestep
    high = [(edge + start, edge + end) for start, end in runs(score > 1)]
    for ax in (*lanes, below):
        _draw_spans(ax, high, WARM, 0.18)
    below.set_xlim(edge, edge + len(x))
    time_axis(times, len(x)).put_on(below)
    below.set_ylabel("score")
    return render(figure, name, alt)


def both_widths(
    name: str, draw: Callable[..., Markup], **arguments: Any
) -> dict[str, Markup]:
    """A drawing that is "wide" as the page and one that is "narrow", for a phone.

    The page shows the one that fits, `chart` in `gallery.html`.

    Args:
        name: unique on the page.
        draw: called with a name, a width in inches and the arguments.
        **arguments: what is drawn.
    """
    widths = {"wide": WIDE, "narrow": NARROW}
    return {
        kind: draw(f"{name}-{kind}", width=width, **arguments)
        for kind, width in widths.items()
    }


def over_time(
    name: str, times: Array, y: Array, alt: str = "", width: float = WIDE
) -> Markup:
    """Draw a number of each window `(n,)` over the times at which they begin `(n,)`."""
    figure, (ax,) = panel(2.2, width=width)
    ax.plot(
        times,
        y,
        color=WARM,
        linewidth=1.2,
        marker="o",
        markersize=4,
        markeredgewidth=0,
    )
    ax.axhline(1, **DASHED)
    ax.set_ylim(0, 1.05 * max(1.0, float(np.nanmax(y))))
    if times.dtype.kind == "M":
        show_dates(ax)
    ax.set_xlabel("time")
    ax.set_ylabel("error")
    return render(figure, name, alt)


def over_states(
    name: str,
    x: Array,
    states: Array,
    axis: TimeAxis = STEPS,
    alt: str = "",
    width: float = WIDE,
) -> Markup:
    """Draw a series over bands in the colors of its states, with their numbers where they fit.

    Args:
        name: unique on the page.
        x: the channels to draw, one above the other, each in 0..1, `(time, channels)`.
        states: `(time,)`, -1 where there is none.
        axis: below the drawing.
        alt: see `svg.render`.
        width: in inches.
    """
    channels = x.shape[1]
    figure, (ax,) = panel(0.7 + 0.55 * channels, width=width)
    steps = len(x)
    _draw_bands(ax, states, BAND_OPACITY, (-0.1, channels + 0.25))
    _draw_bands(ax, states, 1.0, (-0.3, -0.1))
    _draw_lanes(ax, x, 0.9)
    edges = np.flatnonzero(np.diff(states)) + 1
    starts = [0, *edges.tolist()]
    for start, stop in zip(starts, [*edges.tolist(), steps], strict=True):
        if states[start] >= 0 and stop - start >= LABELED * steps:
            middle = (start + stop - 1) / 2
            ax.text(
                middle,
                channels + 0.08,
                str(states[start]),
                color=INK,
                fontsize=8,
                ha="center",
                va="center",
            )
    ax.set_xlim(-0.5, steps - 0.5)
    ax.set_ylim(-0.3, channels + 0.25)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)
    axis.put_on(ax)
    return render(figure, name, alt)


def state_tile(name: str, x: Array, state: int, alt: str = "") -> Markup:
    """Draw a short stretch of a series on the color of its state; `x` as in `over_states`."""
    channels = x.shape[1]
    figure, ax = bare(0.35 + 0.25 * channels)
    _draw_bands(ax, np.full(len(x), state), BAND_OPACITY, (-0.1, channels))
    _draw_lanes(ax, x, 1.2)
    ax.set_xlim(-0.5, len(x) - 0.5)
    ax.set_ylim(-0.1, channels)
    return render(figure, name, alt)


def state_color(state: int) -> str:
    """The color of a state; the ninth has that of the first."""
    return COLORS[state % len(COLORS)]


def _draw_bands(
    ax: Axes, states: Array, opacity: float, height: tuple[float, float]
) -> None:
    """Fill the height with the colors of the states `(time,)`: an image of one row."""
    colors = np.array([to_rgba(color, opacity) for color in COLORS] + [(0, 0, 0, 0)])
    codes = np.where(states < 0, len(COLORS), states % len(COLORS))
    ax.imshow(
        colors[codes][None],
        extent=(-0.5, len(states) - 0.5, *height),
        aspect="auto",
        interpolation="none",
    )


def _draw_lanes(ax: Axes, x: Array, width: float) -> None:
    """Draw channels in 0..1 `(time, channels)` one above the other, the first on top."""
    channels = x.shape[1]
    for channel, y in enumerate(x.T):
        with rc_context(STYLE):
            ax.plot(y * 0.9 + channels - 1 - channel, color=INK, linewidth=width)


def runs(flags: Array) -> list[tuple[int, int]]:
    """Runs of True in `(n,)`: the first index of each, and one past its last.

    >>> runs(np.array([False, True, True, False, True]))
    [(1, 3), (4, 5)]
    """
    padded = np.pad(flags.astype(int), 1)
    edges = np.flatnonzero(np.diff(padded))  # start, end, start, end, ...
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))
