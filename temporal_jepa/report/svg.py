"""Arrays in, inline SVG out: the drawings of the report. Pure functions; text of the user never enters a figure.

Ink is `currentColor`, so a drawing follows the light or dark page it stands in. Labels and names are left to the page,
which escapes them and wraps them on a narrow screen.
"""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

Array = npt.NDArray[Any]
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#A08C00", "#7F52A8")
"""Told apart by colour-blind readers on light and on dark (after Okabe and Ito, the yellow darkened)."""
MARKS = {"o": "M1 0A1 1 0 1 1-1 0A1 1 0 1 1 1 0Z", "s": "M-.9-.9H.9V.9H-.9Z", "^": "M0-1L1 .9H-1Z"}
"""Matplotlib's name of each mark, and its outline for a legend: with the colours, 24 classes."""
OTHER = "#999999"
INK = "#010203"  # stands for the colour of the page's text until the SVG is written
_MARKED = re.compile(r'<g( clip-path="[^"]*")?>\s*((?:<use [^>]*/>\s*){2,})</g>')


def render(figure: Figure, name: str) -> Markup:
    """The figure as an `<svg>` element for a page; `name`, unique on the page, makes its ids unique and repeatable."""
    out = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with rc_context({"svg.hashsalt": name, "svg.fonttype": "none", "path.simplify_threshold": 0.3}):
        figure.savefig(out, format="svg", metadata=nothing)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = (
        re.sub(r'<g id="[^"]*"', "<g", text)
        .replace("xlink:href", "href")
        .replace(INK, "currentColor")
    )
    text = re.sub(
        r' (?:d|x|y|transform)="[^"]*"', lambda m: re.sub(r"(\.\d\d)\d+", r"\1", m[0]), text
    )
    text = _MARKED.sub(_share_style, text)
    text = re.sub(r'<svg ([^>]*?)width="[^"]*"', r'<svg aria-hidden="true" \1', text, count=1)
    return Markup(re.sub(r' (?:height|version)="[^"]*"', "", text, count=2))


def _share_style(match: re.Match[str]) -> str:
    """Write the style of a group of equal markers once, on the group: thousands of points stay small."""
    styles = set(re.findall(r' style="([^"]*)"', match[2]))
    if len(styles) != 1:
        return match[0]
    points = re.sub(r' style="[^"]*"', "", match[2])
    return f'<g{match[1] or ""} style="{styles.pop()}">{points}</g>'


def panel(
    width: float = 4.6, height: float = 2.7, rows: Sequence[float] = (1,), sharex: bool = True
) -> tuple[Figure, list[Axes]]:
    """A figure of `width` x `height` inches with one axes for each entry of `rows`, one above the other."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.patch.set_visible(False)
    axes = figure.subplots(len(rows), 1, squeeze=False, sharex=sharex, height_ratios=list(rows))[
        :, 0
    ].tolist()
    for ax in axes:
        ax.patch.set_visible(False)
        ax.spines[["top", "right"]].set_visible(False)
        ax.spines[["left", "bottom"]].set_color(INK)
        ax.spines[["left", "bottom"]].set_alpha(0.4)
        ax.tick_params(colors=INK, labelsize=9, length=3)
        ax.locator_params(axis="x", integer=True)
        ax.xaxis.label.set_color(INK)
        ax.yaxis.label.set_color(INK)
    return figure, axes


def lines(
    name: str, x: Array, curves: Mapping[str, Array], xlabel: str, level: float | None = None
) -> Markup:
    """Curves `(n,)` over x `(n,)`, coloured in order from `COLOURS`; a dashed line at `level`. One point is a dot."""
    figure, (ax,) = panel()
    for colour, y in zip(COLOURS, curves.values(), strict=False):
        ax.plot(x, y, color=colour, linewidth=1.6, marker="o" if len(x) < 3 else None, markersize=4)
    if level is not None:
        ax.axhline(level, color=INK, linewidth=1, linestyle=(0, (4, 3)), alpha=0.6)
    top = max(
        [float(np.nanmax(y)) for y in curves.values() if np.isfinite(y).any()] + [level or 0, 1e-9]
    )
    ax.set_ylim(0, 1.06 * top)
    ax.grid(axis="y", color=INK, alpha=0.12, linewidth=0.8)
    ax.set_xlabel(xlabel, fontsize=9)
    return render(figure, name)


def heat(name: str, x: Array, values: Array, xlabel: str, ylabel: str) -> Markup:
    """A map of values `(n, positions)`: column i is at x `(n,)`, the first position is on top."""
    figure, (ax,) = panel()
    top = float(np.nanmax(values)) if np.isfinite(values).any() else 1.0
    picture = ax.imshow(
        values.T, aspect="auto", interpolation="nearest", cmap="viridis", vmin=0, vmax=top or 1.0
    )
    ticks = np.unique(np.linspace(0, len(x) - 1, 6).astype(int))
    ax.set_xticks(ticks, [f"{x[i]:g}" for i in ticks])
    ax.set_yticks(
        [0, values.shape[1] - 1] if values.shape[1] > 1 else [0],
        ["start", "end"][: values.shape[1]],
    )
    ax.spines[:].set_visible(False)
    ax.set_xlabel(xlabel, fontsize=9)
    ax.set_ylabel(ylabel, fontsize=9)
    bar = figure.colorbar(picture, ax=ax, pad=0.02, aspect=14)
    bar.ax.tick_params(colors=INK, labelsize=9, length=3)
    bar.outline.set_visible(False)
    return render(figure, name)


def scatter(name: str, xy: Array, shares: Array, codes: Array) -> Markup:
    """Points `(n, 2)`, coloured and shaped by their code `(n,)`; -1 is grey. `shares` of variance name the axes."""
    figure, (ax,) = panel(4.6, 3.6)
    size = 5.0 if len(xy) < 400 else 3.6
    for code in np.unique(codes).tolist():
        colour, marker = _look(code)
        ax.plot(
            *xy[codes == code].T,
            linestyle="",
            marker=marker,
            markersize=size,
            color=colour,
            alpha=0.75,
            markeredgewidth=0,
        )
    ax.set_xlabel(f"first component ({shares[0]:.0%} of variance)", fontsize=9)
    ax.set_ylabel(f"second ({shares[1]:.0%})", fontsize=9)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_aspect("equal", adjustable="datalim")
    return render(figure, name)


def legend(names: Iterable[str]) -> list[tuple[str, str]]:
    """Each name with the colour that its curve has."""
    return list(zip(names, COLOURS, strict=False))


def mark(code: int) -> Markup:
    """The mark that `scatter` gives to a code, as a small `<svg>` for a legend."""
    colour, shape = _look(code)
    return Markup(
        f'<svg class="mark" viewBox="-1.2 -1.2 2.4 2.4"><path d="{MARKS[shape]}" fill="{colour}"/></svg>'
    )


def _look(code: int) -> tuple[str, str]:
    return (
        (COLOURS[code % len(COLOURS)], list(MARKS)[code // len(COLOURS) % len(MARKS)])
        if code >= 0
        else (OTHER, "o")
    )


def _draw(ax: Axes, x: Array, most: int, width: float, first: int = 0) -> None:
    """Draw the channels of x `(time, channels)` from at most `most` samples each; peaks and single samples survive.

    The first sample stands at `first`.
    """
    for colour, values in zip(COLOURS, x.T, strict=False):
        step = np.arange(len(values))
        if len(values) > most:
            kept = [_extremes(values[part], part) for part in np.array_split(step, most // 2)]
            step = np.unique(np.concatenate(kept))
        y = values[step]
        at = first + step
        ax.plot(at, y, color=colour, linewidth=width)
        seen = np.isfinite(np.concatenate([[np.nan], y, [np.nan]]))
        alone = seen[1:-1] & ~seen[:-2] & ~seen[2:]  # no line leads there
        ax.plot(
            at[alone],
            y[alone],
            linestyle="",
            marker="o",
            markersize=2 * width,
            color=colour,
            markeredgewidth=0,
        )


def _extremes(values: Array, step: Array) -> Array:
    """The steps of the lowest and the highest value, `(2,)`; where one is missing, the first missing instead."""
    if np.isnan(values).any():
        return step[
            [int(np.isnan(values).argmax()), int(np.nanargmax(np.nan_to_num(values, nan=-np.inf)))]
        ]
    return step[[int(values.argmin()), int(values.argmax())]]


def tile(name: str, x: Array, longest: int, limits: tuple[float, float]) -> Markup:
    """A small drawing of x `(time, channels)` without axes, on a canvas of `longest` timesteps and given limits."""
    figure = Figure(figsize=(2.2, 1.1))
    figure.patch.set_visible(False)
    ax = figure.add_axes((0.02, 0.03, 0.96, 0.94))
    ax.set_axis_off()
    _draw(ax, x, 160, 1.2)
    ax.set_xlim(0, max(longest - 1, 1))
    ax.set_ylim(*limits)
    return render(figure, name)


def masked(
    name: str, x: Array, hidden: Array, patch: int, error: Array | None, limit: float
) -> Markup:
    """A series `(time, channels)` with its hidden tokens shaded (bool `(tokens,)`) and below it the error `(tokens,)`.

    A token covers `patch` timesteps. Bars share the scale 0..`limit`; without an error there are none.
    """
    figure, axes = panel(4.6, 2.5 if error is None else 3.1, (1,) if error is None else (3, 1))
    _draw(axes[0], x, 600, 1.2)
    for start, end in runs(hidden):
        axes[0].axvspan(
            start * patch - 0.5, min(end * patch, len(x)) - 0.5, color=INK, alpha=0.13, linewidth=0
        )
    if error is not None:
        bars(axes[1], error, patch, limit)
    axes[0].set_xlim(-0.5, max(len(x) - 0.5, 0.5))
    axes[-1].set_xlabel("timestep", fontsize=9)
    return render(figure, name)


def scored(
    name: str,
    x: Array,
    score: Array,
    alarms: Sequence[tuple[int, int]],
    first: int = 0,
    wide: bool = False,
) -> Markup:
    """A series `(time, channels)` with its alarms, (start, end) each, shaded, and its score `(time,)` below.

    `first` is the timestep at which x starts; alarms are counted from 0 of the whole series. 1, from where a score is
    an alarm, is dashed.
    """
    figure, axes = panel(9.6 if wide else 4.6, 3.4 if wide else 2.9, (2, 1))
    for start, end in alarms:
        if first < end and start < first + len(x):
            for ax in axes:
                ax.axvspan(start - 0.5, end - 0.5, color=COLOURS[4], alpha=0.18, linewidth=0)
    _draw(axes[0], x, 1600 if wide else 600, 1.0 if wide else 1.2, first)
    _draw_score(axes[1], score, 1600 if wide else 600, first)
    axes[0].set_xlim(first - 0.5, first + len(x) - 0.5)
    axes[1].set_xlabel("timestep", fontsize=9)
    axes[1].set_ylabel("surprise", fontsize=9)
    return render(figure, name)


def _draw_score(ax: Axes, score: Array, most: int, first: int) -> None:
    _draw(ax, score[:, None], most, 1.2, first)
    ax.lines[0].set_color(COLOURS[4])
    ax.axhline(1, color=INK, linewidth=1, linestyle=(0, (4, 3)), alpha=0.6)
    top = float(np.nanmax(score)) if np.isfinite(score).any() else 1.0
    ax.set_ylim(min(0.0, float(np.nanmin(score, initial=0.0))), 1.08 * max(top, 1.2))


def bars(ax: Axes, error: Array, patch: int, limit: float) -> None:
    """The error `(tokens,)` of each token, which covers `patch` timesteps, on the scale 0..`limit`."""
    middle = np.arange(len(error)) * patch + (patch - 1) / 2
    shown = np.isfinite(error)
    ax.bar(middle[shown], error[shown], width=0.92 * patch, color=COLOURS[4], linewidth=0)
    ax.set_ylim(0, limit)
    ax.set_ylabel("error", fontsize=9)


def runs(hidden: Array) -> list[tuple[int, int]]:
    """Where hidden tokens `(tokens,)` follow one another: (first, one past the last) of each run.

    >>> runs(np.array([False, True, True, False, True]))
    [(1, 3), (4, 5)]
    """
    edges = np.flatnonzero(
        np.diff(np.concatenate([[0], hidden.astype(int), [0]]))
    )  # start, end, start, end, ...
    return [(start, end) for start, end in edges.reshape(-1, 2).tolist()]


def bound(values: Sequence[Array]) -> tuple[float, float]:
    """Lowest and highest observed value over all arrays, with a margin: limits that drawings share."""
    seen = np.concatenate([v[np.isfinite(v)] for v in values])
    low, high = (float(seen.min()), float(seen.max())) if len(seen) else (0.0, 1.0)
    margin = 0.06 * (high - low) or 1.0
    return low - margin, high + margin


def plane(Z: Array) -> tuple[Array, Array]:
    """First two principal components `(n, 2)` of centred `(n, F)`, signs fixed, and their shares of the variance."""
    wide = len(Z) < Z.shape[1]
    left, scale, _ = np.linalg.svd(Z @ Z.T if wide else Z.T @ Z, hermitian=True)
    xy = left[:, :2] * np.sqrt(scale[:2]) if wide else Z @ left[:, :2]
    xy = np.pad(xy, ((0, 0), (0, 2 - xy.shape[1])))
    two = np.pad(scale[:2], (0, 2))[:2]
    return xy * np.where(xy[np.abs(xy).argmax(0), [0, 1]] < 0, -1.0, 1.0), two / max(
        float(scale.sum()), 1e-12
    )
