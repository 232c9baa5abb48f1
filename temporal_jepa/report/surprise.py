"""What is surprising: moments of a recording, or the sequences that are least like the others."""

import numpy as np

from ..data.sequences import Sequences
from ..estimators.anomaly import AnomalyDetector, Peak, peaks
from . import plots
from .embeddings import NEIGHBORS, Embedded
from .run import Row, Run
from .timeline import begins, when_or_step

RECORDINGS = 3  # that are scored at most: the first ones
TIMESTEPS = 50_000  # of a recording that are scored: the first ones
QUANTILE = 0.99  # of the scores that is drawn as 1, as in `detect`
PEAKS = 4  # that are drawn closely
MEMBERS = 6  # least similar sequences that are drawn


def surprise_section(
    run: Run, embedded: Embedded | None, recordings: Sequences | None
) -> Row | None:
    """What `templates/surprise.html` shows: of a recording that was cut, its surprising moments."""
    if recordings is not None and run.model is not None:
        cut = _first(recordings)
        detector = AnomalyDetector(run.model, quantile=QUANTILE)
        try:
            detector.fit(cut)
        except ValueError:  # too short for windows that do not overlap
            return _members(embedded)
        return _moments(recordings, cut, detector)
    return _members(embedded)


def _first(recordings: Sequences) -> Sequences:
    """The first timesteps of the first recordings."""
    chosen = recordings.select(np.arange(min(len(recordings), RECORDINGS)))
    return Sequences(
        [x[:TIMESTEPS] for x in chosen.values],
        ids=chosen.ids,
        channels=chosen.channels,
        times=None if chosen.times is None else [t[:TIMESTEPS] for t in chosen.times],
        source=chosen.source,
    )


def _moments(whole: Sequences, series: Sequences, detector: AnomalyDetector) -> Row:
    scores = detector.score_each(series)
    top = peaks(scores, detector.window_, PEAKS)
    figures = []
    for i, x in enumerate(series.values):
        times = None if series.times is None else series.times[i]
        figure = plots.both_widths(
            f"surprise{i}",
            plots.scored,
            x=x,
            score=scores[i],
            times=times,
            alt=_alt(series, i, top),
        )
        figures.append((series.ids[i], figure))
    closeups = []
    for rank, peak in enumerate(top):
        margin = 2 * detector.window_
        first = max(0, peak.start - margin)
        part = slice(first, peak.end + margin)
        times = None if series.times is None else series.times[peak.series][part]
        closeup = plots.scored(
            f"moment{rank}",
            series.values[peak.series][part],
            scores[peak.series][part],
            first,
            times=times,
        )
        closeups.append(
            {
                "svg": closeup,
                "id": series.ids[peak.series],
                "at": when_or_step(series, peak.series, peak.timestep),
                "from": when_or_step(series, peak.series, peak.start),
                "to": when_or_step(series, peak.series, peak.end - 1),
                "score": float(scores[peak.series][peak.timestep]),
            }
        )
    return {
        "kind": "moments",
        "figures": figures,
        "closeups": closeups,
        "total": len(whole),
        "cut": TIMESTEPS if whole.lengths.max() > TIMESTEPS else None,
        "window": detector.window_,
        "share": 1 - detector.quantile,
        "has_times": series.times is not None,
        "channels": {**plots.channel_legend(series), "map": False},
    }


def _alt(series: Sequences, i: int, top: list[Peak]) -> str:
    """In words, where the scores of series i are highest."""
    places = [
        when_or_step(series, i, peak.timestep) for peak in top if peak.series == i
    ]
    found = f"highest at {', '.join(places)}" if places else "without a high peak"
    return f"{series.ids[i]} and its surprise, {found}"


def _members(embedded: Embedded | None) -> Row | None:
    """The sequences whose nearest neighbors are the farthest."""
    if embedded is None:
        return None
    sequences = embedded.sequences
    _, distance = embedded.nearest
    mean = distance.mean(axis=1)
    if not mean.any():  # all are the same
        return None
    order = np.argsort(-mean, kind="stable")[:MEMBERS]
    shown = sequences.select(order)
    tiles = plots.tiles("odd", shown, embedded.scale)
    for i, tile in enumerate(tiles):
        tile["start"] = begins(shown, i)
        tile["note"] = f"neighbors {embedded.pairs.placed(float(mean[order[i]]))}"
    usual = embedded.pairs.placed(float(np.median(mean)))
    return {
        "kind": "members",
        "tiles": tiles,
        "usual": usual,
        "k": min(NEIGHBORS, len(sequences) - 1),
        "n": len(sequences),
        "channels": plots.channel_legend(sequences, embedded.scale),
    }
