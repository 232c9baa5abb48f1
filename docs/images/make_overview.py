"""Draw overview.svg, the figure of the README. Needs aeon, which ships the data.

python docs/images/make_overview.py

BasicMotions: acceleration and rotation of a wrist during four activities, 40 training and 40 test
series of 6 channels and 100 timesteps.
"""

from pathlib import Path

import aeon
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler

from temporal_jepa import from_pretrained, read
from temporal_jepa.embed import embed_sequences
from temporal_jepa.evaluation.probes import probe
from temporal_jepa.model.masks import draw_visible

DATA = Path(aeon.__file__).parent / "datasets" / "data" / "BasicMotions"
OUT = Path(__file__).with_name("overview.svg")

INK = "#24292f"
QUIET = "#8b949e"
MASKED = "#e3e6ea"
CONTEXT = "#1f6feb"
TARGET = "#d9730d"
CLASSES = ["#0072b2", "#e69f00", "#009e73", "#cc79a7"]

TOKENS = 20
LEFT = 0.2
SEED = 25  # of the mask
WIDTH = 2.9  # of a strip of tokens


def strip(ax: Axes, x: float, y: float, colors: list[str], width: float) -> None:
    """A row of token squares whose left end is (x, y)."""
    step = width / len(colors)
    for i, color in enumerate(colors):
        ax.add_patch(
            Rectangle((x + i * step, y), 0.8 * step, 0.17, color=color, linewidth=0)
        )


def box(ax: Axes, x: float, y: float, text: str, color: str) -> None:
    """A rounded box with centered text."""
    shape = FancyBboxPatch(
        (x, y),
        1.15,
        0.5,
        boxstyle="round,pad=0.02,rounding_size=0.09",
        facecolor=color + "18",
        edgecolor=color,
        linewidth=1.2,
    )
    ax.add_patch(shape)
    ax.text(
        x + 0.575, y + 0.25, text, color=color, ha="center", va="center", fontsize=9.5
    )


def arrow(
    ax: Axes, start: tuple[float, float], end: tuple[float, float], style: str = "-|>"
) -> None:
    """A thin straight arrow."""
    shape = FancyArrowPatch(
        start,
        end,
        arrowstyle=style,
        mutation_scale=9,
        color=QUIET,
        linewidth=1.1,
        shrinkA=0,
        shrinkB=0,
    )
    ax.add_patch(shape)


def draw_method(ax: Axes, series: np.ndarray, visible: list[bool]) -> None:
    """The series, its tokens, and the two encoders that read them; `series` is (time, channels)."""
    time = np.linspace(LEFT, LEFT + WIDTH, len(series))
    step = WIDTH / TOKENS
    for i in np.flatnonzero(~np.array(visible)):
        ax.add_patch(
            Rectangle((LEFT + i * step, 2.02), step, 0.86, color=MASKED, linewidth=0)
        )
    for channel, shade in zip(series.T, (1.0, 0.7, 0.4), strict=True):
        ax.plot(time, 2.45 + 0.115 * channel, color=INK, alpha=shade, linewidth=1.0)
    ax.text(LEFT, 2.98, "a series, 60 % of it masked", fontsize=9.5, color=INK)

    seen = [CONTEXT if v else MASKED for v in visible]
    predicted = [MASKED if v else CONTEXT for v in visible]
    wanted = [MASKED if v else TARGET for v in visible]
    strip(ax, LEFT, 1.5, seen, WIDTH)
    strip(ax, LEFT, 0.5, [TARGET] * TOKENS, WIDTH)
    ax.text(LEFT, 1.77, "visible tokens", fontsize=8.5, color=CONTEXT)
    ax.text(LEFT, 0.27, "all tokens", fontsize=8.5, color=TARGET)

    box(ax, 3.5, 1.34, "context\nencoder", CONTEXT)
    box(ax, 5.05, 1.34, "predictor", CONTEXT)
    box(ax, 3.5, 0.34, "target\nencoder", TARGET)
    arrow(ax, (3.14, 1.585), (3.46, 1.585))
    arrow(ax, (4.69, 1.585), (5.01, 1.585))
    arrow(ax, (3.14, 0.585), (3.46, 0.585))
    arrow(ax, (4.075, 1.3), (4.075, 0.9))
    ax.text(4.15, 1.1, "moving average", fontsize=8.5, color=QUIET, va="center")

    arrow(ax, (6.24, 1.585), (6.56, 1.585))
    arrow(ax, (4.69, 0.585), (6.56, 0.585))
    strip(ax, 6.65, 1.5, predicted, 1.9)
    strip(ax, 6.65, 0.5, wanted, 1.9)
    ax.text(6.65, 1.77, "predicted representations", fontsize=8.5, color=CONTEXT)
    ax.text(6.65, 0.27, "target representations", fontsize=8.5, color=TARGET)
    arrow(ax, (7.6, 1.44), (7.6, 0.73), style="<|-|>")
    ax.text(7.7, 1.085, "loss", fontsize=9.5, color=INK, va="center")

    ax.set_xlim(0, 8.7)
    ax.set_ylim(0.1, 3.15)
    ax.axis("off")


def draw_plane(ax: Axes, features: np.ndarray, labels: np.ndarray, title: str) -> None:
    """The first two principal components of standardized features, colored by class."""
    plane = PCA(2, svd_solver="full").fit_transform(
        StandardScaler().fit_transform(features)
    )
    for color, name in zip(CLASSES, sorted(set(labels)), strict=True):
        x, y = plane[labels == name].T
        ax.scatter(
            x, y, s=26, color=color, label=name, edgecolor="white", linewidth=0.5
        )
    ax.set_title(title, fontsize=9, color=INK, pad=5)
    ax.margins(0.1)
    ax.set_xticks([])
    ax.set_yticks([])
    for side in ax.spines.values():
        side.set_color("#d0d7de")


def main(out: Path = OUT) -> None:
    """Embed BasicMotions with the bundled encoder and draw."""
    train, test = (read(DATA / f"BasicMotions_{part}.ts") for part in ("TRAIN", "TEST"))
    raw = [np.stack([x.T.ravel() for x in part.values]) for part in (train, test)]
    model = from_pretrained("series-small")
    embedded = [embed_sequences(model, part) for part in (train, test)]

    series = train.values[list(train.labels).index("Running")][:, :3]
    series = (series - series.mean(0)) / series.std(0)
    observed = torch.ones(1, TOKENS, dtype=torch.bool)
    generator = torch.Generator().manual_seed(SEED)
    visible = draw_visible(observed, "block", 0.6, generator)[0].tolist()

    matplotlib.rcParams["svg.hashsalt"] = "temporal-jepa"
    figure = plt.figure(figsize=(11, 3.05))
    draw_method(figure.add_axes((0.0, 0.02, 0.6, 0.96)), series, visible)
    panels = (("raw values", raw, 0.618), ("embeddings", embedded, 0.812))
    for name, (learn, ask), left in panels:
        accuracy = probe(learn, train.labels, ask, test.labels)
        ax = figure.add_axes((left, 0.16, 0.175, 0.7))
        draw_plane(ax, ask, test.labels, f"{name}: accuracy {accuracy:.2f}")
    handles, names = ax.get_legend_handles_labels()
    figure.legend(
        handles,
        names,
        loc="lower center",
        bbox_to_anchor=(0.8, 0.0),
        ncols=4,
        frameon=False,
        fontsize=9,
        handletextpad=0.2,
        columnspacing=1.2,
    )
    figure.savefig(out, metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
    print(OUT)
