"""Figures as inline SVG, and two charts of arrays: curves and a heat map.

Functions of arrays only. Names and labels that come from the user are left to the HTML page, which
escapes them. Ink is `currentColor`, so a figure follows the light or dark page it stands in.
"""

import io
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .timeline import TimeAxis

Array = npt.NDArray[Any]
COLORS = (
    "#0072b2",
    "#d37004",
    "#812272",
    "#5c938e",
    "#4b4e10",
    "#936ef7",
    "#825a5b",
    "#1d3bb9",
)
"""Of curves and classes on a light page: at least 3 to 1 against it, and told apart with the
commonest color vision deficiencies."""
DARK_COLORS = (
    "#56b4e9",
    "#ddb598",
    "#d1508f",
    "#c0ea35",
    "#725fe8",
    "#6cf6fc",
    "#916609",
    "#80a81a",
)
"""The same on a dark page."""
INK = "#010203"  # replaced by `currentColor` when the SVG is written
STYLE: Any = {  # when axes and curves are made
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "axes.edgecolor": INK + "66",
    "axes.labelcolor": INK,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "xtick.labelsize": 9,
    "xtick.major.size": 3,
    "ytick.color": INK,
    "ytick.labelsize": 9,
    "ytick.major.size": 3,
    "path.simplify_threshold": 0.4,  # in points; bounds the size of a curve of any length
}
DASHED: dict[str, Any] = {
    "color": INK,
    "alpha": 0.6,
    "linewidth": 1,
    "linestyle": (0, (4, 3)),
}
_MARKED = re.compile(r'<g( clip-path="[^"]*")?>\s*((?:<use [^>]*/>\s*){2,})</g>')


def color_of(code: int) -> str:
    """The color of a curve or a class in CSS, which follows the light or dark page."""
    return f"var(--c{code % len(COLORS)})"


def render(figure: Figure, name: str, alt: str = "") -> Markup:
    """The figure as an `<svg>` element.

    Args:
        figure: a Matplotlib figure.
        name: unique on the page; makes the ids in the SVG unique and the same in every run.
        alt: what it shows, for those who do not see it; "": the text beside it says so.
    """
    out = io.StringIO()
    no_metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    with rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(out, format="svg", metadata=no_metadata)
    text = out.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    text = text.replace("xlink:href", "href").replace(INK, "currentColor")
    for code, color in enumerate(COLORS):
        text = text.replace(f": {color}", f": {color_of(code)}")
    text = re.sub(r' (?:d|x|y)="[^"]*"', _two_decimals, text)
    text = re.sub(r' transform="[^"]*"', _five_decimals, text)
    text = _MARKED.sub(_share_style, text)
    role = 'aria-hidden="true"'
    if alt:
        role = Markup('role="img" aria-label="{}"').format(alt)
    # Without a width and a height, CSS scales the figure by its viewBox.
    text = re.sub(
        r'<svg ([^>]*?)width="[^"]*"',
        lambda found: f"<svg {role} {found[1]}",
        text,
        count=1,
    )
    return Markup(re.sub(r' (?:height|version)="[^"]*"', "", text, count=2))


def _two_decimals(match: re.Match[str]) -> str:
    return re.sub(r"(\.\d\d)\d+", r"\1", match[0])


def _five_decimals(match: re.Match[str]) -> str:
    """For scales: an image of a thousand pixels is placed to a hundredth of a pixel."""
    return re.sub(r"(\.\d{5})\d+", r"\1", match[0])


def _share_style(match: re.Match[str]) -> str:
    """Write the style of a group of equal markers once, so that thousands of points stay small."""
    styles = set(re.findall(r' style="([^"]*)"', match[2]))
    if len(styles) != 1:
        return match[0]
    points = re.sub(r' style="[^"]*"', "", match[2])
    return f'<g{match[1] or ""} style="{styles.pop()}">{points}</g>'


def panel(
    *heights: float, width: float = 4.6, sharex: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure with one axes for each of the heights (in inches), one above the other."""
    with rc_context(STYLE):
        figure = Figure(figsize=(width, sum(heights)), layout="constrained")
        grid = figure.subplots(
            len(heights), sharex=sharex, squeeze=False, height_ratios=heights
        )
    axes = grid[:, 0].tolist()
    for ax in axes:
        ax.locator_params(axis="x", integer=True, min_n_ticks=1)
    return figure, axes


def bare(height: float, width: float = 2.2) -> tuple[Figure, Axes]:
    """A small figure (in inches) without frame, ticks and labels."""
    figure = Figure(figsize=(width, height), facecolor="none")
    ax = figure.add_axes((0.02, 0.02, 0.96, 0.96))
    ax.set_axis_off()
    return figure, ax


def spread(n: int, count: int) -> Array:
    """At most `count` of the indices 0..n-1, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, count)).astype(np.int64))


def lines(
    name: str,
    x: Array,
    curves: Mapping[str, Array],
    axis: TimeAxis,
    level: float | None = None,
    alt: str = "",
) -> Markup:
    """Non-negative curves `(n,)` over x `(n,)` in the order of `COLORS`; `level` is dashed."""
    figure, (ax,) = panel(2.7)
    shape = "o" if len(x) < 3 else None
    for color, y in zip(COLORS, curves.values(), strict=False):
        ax.plot(
            x,
            y,
            color=color,
            linewidth=1.6,
            marker=shape,
            markersize=4,
        )
    if level is not None:
        ax.axhline(level, **DASHED)
    ax.set_ylim(0, 1.05 * ax.get_ylim()[1])
    ax.grid(axis="y", color=INK, alpha=0.12, linewidth=0.8)
    axis.put_on(ax)
    return render(figure, name, alt)


def heat(
    name: str, x: Array, values: Array, xlabel: str, ylabel: str, alt: str = ""
) -> Markup:
    """A heat map of values `(positions, n)`: column i is at x[i], the first position is on top."""
    figure, (ax,) = panel(2.7)
    top = float(np.nanmax(values, initial=0.0))
    image = ax.imshow(
        values,
        aspect="auto",
        interpolation="nearest",
        cmap="viridis",
        vmin=0,
        vmax=top or 1.0,
    )
    columns = spread(len(x), 6)
    ax.set_xticks(columns, [f"{x[i]:g}" for i in columns])
    ends = {0: "start", len(values) - 1: "end"}
    ax.set_yticks(list(ends), list(ends.values()))
    ax.spines[:].set_visible(False)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    bar = figure.colorbar(image, ax=ax, pad=0.02, aspect=14)
    bar.ax.tick_params(colors=INK, labelsize=STYLE["ytick.labelsize"], length=3)
    bar.outline.set_visible(False)
    return render(figure, name, alt)


def legend(names: Iterable[str]) -> list[tuple[str, str]]:
    """Each name with the color of its curve."""
    codes = range(len(COLORS))
    return [(name, color_of(code)) for name, code in zip(names, codes, strict=False)]
