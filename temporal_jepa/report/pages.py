"""Self-contained HTML pages from templates, and the pages of `detect`, `states` and `nearest`."""

import base64
import hashlib
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..data.sequences import Sequences, moment
from ..estimators.anomaly import Peak
from ..evaluation.states import States
from ..version import __version__
from . import plots
from .pairs import FEWEST, Pairs
from .scale import scale_of
from .states import states_section
from .svg import COLORS, DARK_COLORS, Array
from .timeline import when_or_step

SERIES_DRAWN = 6
SCRIPT = "templates/map.js"


def render_page(template: str, **context: Any) -> bytes:
    """An HTML page that loads nothing, from a template in `templates/`.

    A page runs no script but its own, and only if it includes it: the policy in its head names the
    digest of `templates/map.js`, so that a browser runs nothing else.
    """
    environment = Environment(
        loader=PackageLoader("temporal_jepa.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {
        "ensure_ascii": False,
        "separators": (",", ":"),
    }
    environment.filters["breakable"] = _breakable
    script = resources.files(__package__).joinpath(SCRIPT).read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = environment.get_template(template).render(
        context,
        version=__version__,
        script=Markup(script),
        digest=digest,
        colors=COLORS,
        dark_colors=DARK_COLORS,
    )
    return page.encode()


def _breakable(name: str) -> Markup:
    """A name that wraps at its punctuation, so that a file keeps its suffix in one piece."""
    parts = re.split(r"(?=\.)|(?<=[-_/:@])", name)
    return Markup("<wbr>").join(parts)


def anomaly_page(
    series: Sequences,
    scores: Sequence[Array],
    peaks: Sequence[Peak],
    *,
    window: int,
    quantile: float,
    reference: str,
    cautions: Sequence[str],
    command: str,
) -> bytes:
    """The page of `detect`: series above their anomaly scores, and a close view of each peak.

    Args:
        series: what was scored.
        scores: one `(time_i,)` for each series; above 1 is an anomaly.
        peaks: the highest scores, best first.
        window: timesteps of the windows that were compared.
        quantile: of the reference scores that maps to 1.
        reference: what the scores are calibrated on, in words.
        cautions: sentences on what the number of anomalies does not say.
        command: the command line that makes the page again.
    """
    closeups = []
    for rank, peak in enumerate(peaks):
        i = peak.series
        first = max(0, peak.start - 2 * window)
        part = slice(first, peak.end + 2 * window)
        title = describe_timestep(series, i, peak.timestep)
        closeup = {
            "svg": plots.scored(
                f"peak{rank}",
                series.values[i][part],
                scores[i][part],
                first,
                times=_times(series, i, part),
                alt=f"The series and its score around {title}",
            ),
            "title": title,
            "score": scores[i][peak.timestep],
            "first": when_or_step(series, i, peak.start),
            "last": when_or_step(series, i, peak.end - 1),
        }
        closeups.append(closeup)
    highest = [np.nanmax(score, initial=-np.inf) for score in scores]
    order = np.argsort(-np.array(highest), kind="stable")
    drawn = []
    for i in order[:SERIES_DRAWN].tolist():
        figure = plots.both_widths(
            f"series{i}",
            plots.scored,
            x=series.values[i],
            score=scores[i],
            times=_times(series, i, slice(None)),
            alt=f"{series.ids[i]} above its anomaly score",
        )
        drawn.append((series.ids[i], figure))
    return render_page(
        "anomalies.html",
        source=Path(series.source).name,
        n=len(series),
        timesteps=sum(map(len, scores)),
        anomalous=sum(int((score > 1).sum()) for score in scores),
        intervals=sum(len(plots.runs(score > 1)) for score in scores),
        drawn=drawn,
        closeups=closeups,
        legend={**plots.channel_legend(series), "map": False},  # always curves
        window=window,
        quantile=quantile,
        reference=reference,
        cautions=cautions,
        command=command,
    )


def _times(series: Sequences, i: int, part: slice) -> Array | None:
    """Times of a part of series i, None if there are none."""
    return None if series.times is None else series.times[i][part]


def describe_timestep(series: Sequences, i: int, step: int) -> str:
    """A timestep in words: the id of series i if there are several, and its time if it has one."""
    text = str(step)
    if series.times is not None:
        time = moment(series.times[i][step])
        if time != text:
            text = f"{text} ({time})"
    return text if len(series) == 1 else f"{series.ids[i]}: {text}"


def states_page(sequences: Sequences, states: States, *, command: str) -> bytes:
    """The page of `states`: sequences over their states, and typical moments of each.

    Args:
        sequences: series or trajectories.
        states: those of the same sequences.
        command: the command line that makes the page again.
    """
    return render_page(
        "states_page.html",
        source=Path(sequences.source).name,
        states=states_section(sequences, states),
        command=command,
    )


def neighbors_page(
    queries: Sequences,
    among: Sequences,
    near: Array,
    distance: Array,
    *,
    run: str,
    total: int,
    dim: int | None = None,
    vectors: Array | None = None,
) -> bytes:
    """The page of `nearest`: each query beside its nearest neighbors.

    Args:
        queries: sequences to draw, one a row.
        among: the sequences that were searched.
        near: rows of `among`, int `(queries, k)`, nearest first.
        distance: of each neighbor, `(queries, k)`.
        run: name of the encoder.
        total: number of queries, drawn or not.
        dim: numbers of the compact embeddings that were compared; None: all features.
        vectors: of `among`, as they were compared, `(n, F)`. With at least three, distances are
            shown by their place among those of all pairs.
    """
    scale = None
    if plots.is_curves(among, 0):
        values = [*queries.values, *among.select(np.unique(near)).values]
        scale = scale_of(values, plots.MAX_CHANNELS)
    pairs = None
    if vectors is not None and len(vectors) >= FEWEST:
        pairs = Pairs(vectors)
    rows = []
    for q in range(len(queries)):
        query = queries.select([q])
        found = among.select(near[q])
        rows.append(
            plots.neighbor_row(f"q{q}", query, found, distance[q], pairs, scale)
        )
    return render_page(
        "nearest.html",
        run=run,
        source=Path(among.source).name,
        n=len(among),
        total=total,
        dim=dim,
        placed=pairs is not None,
        rows=rows,
        legend=plots.channel_legend(among, scale),
    )
