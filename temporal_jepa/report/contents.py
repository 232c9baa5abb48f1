"""What is in the data: their facts, what the reader inferred or left out, and ranges of values."""

import numpy as np

from ..data.sequences import Sequences, first_equal, is_too_short
from ..data.trajectories import UNITS
from . import plots, svg
from .differences import in_units
from .nouns import noun_of
from .places import places_of
from .run import Row, Run
from .scale import Scale
from .timeline import is_even

CHANNELS = 8  # whose values are described: the first ones
SERIES = 2000  # of which they are computed, evenly spaced; fewer if they are long:
TIMESTEPS = 2**24  # in all, about
DRAWN = 3
ELSEWHERE = 8  # tracks that are named
NAMED = {"series", "source", "frame"}  # they stand elsewhere on the page


def contents_section(run: Run, scale: Scale | None) -> Row | None:
    """What `templates/contents.html` shows; None if the data could not be read.

    Args:
        run: with the sequences.
        scale: of the drawings of the page; None: that of the series drawn here.
    """
    sequences = run.sequences
    if sequences is None:
        return None
    usual = max(1, int(np.median(sequences.lengths)))
    count = max(DRAWN, min(SERIES, TIMESTEPS // usual))
    sample = sequences.select(svg.spread(len(sequences), count))
    shown = sequences.select(svg.spread(len(sequences), DRAWN))
    facts = [(name, text) for name, text, _ in sequences.facts() if name not in NAMED]
    is_map = shown.places is not None
    return {
        "facts": facts,
        "cautions": _cautions(sample, "identical" in dict(facts)),
        "notes": list(sequences.notes),
        "ranges": [] if plots.is_video(sample) else _ranges(sample),
        "more": max(0, sequences.n_channels - CHANNELS),
        "sampled": len(sample),
        "total": len(sequences),
        "noun": noun_of(sequences),
        "maps": _maps(sample) if is_map else None,
        "tiles": [] if is_map else plots.tiles("data", shown, scale),
        "channels": plots.channel_legend(shown, scale),
    }


def _maps(tracks: Sequences) -> Row:
    """A map of each place with several tracks, and the names of tracks that are elsewhere."""
    places = places_of(tracks)
    drawn = []
    for k, members in enumerate(places.together):
        figure = plots.all_tracks(f"tracks{k}", tracks.select(members))
        drawn.append({"svg": figure, "count": len(members)})
    elsewhere = [tracks.ids[i] for i in places.elsewhere]
    return {"drawn": drawn, "elsewhere": elsewhere[:ELSEWHERE], "away": len(elsewhere)}


def _ranges(sample: Sequences) -> list[tuple[str, str, str, str]]:
    """Channel, lowest, median and highest value; a channel without values has none."""
    found = []
    units = UNITS if sample.places is not None and sample.degrees else {}
    for k, name in enumerate(sample.channels[:CHANNELS]):
        name = f"{name} ({units[name]})" if name in units else name
        y = np.concatenate([x[:, k] for x in sample.values]).astype(np.float64)
        y = y[~np.isnan(y)]
        if len(y):
            low, middle, high = np.quantile(y, [0, 0.5, 1]).tolist()
            found.append((name, in_units(low), in_units(middle), in_units(high)))
        else:
            found.append((name, "none", "none", "none"))
    return found


def _cautions(sample: Sequences, are_copies_named: bool) -> list[str]:
    """What may surprise: irregular times, copies, and what is too short."""
    found = []
    noun = noun_of(sample)
    if is_even(sample) is False:
        found.append("The times are not evenly spaced.")
    short = sum(map(is_too_short, sample.values))
    if short:
        found.append(
            f"Too short, with one value in each channel at most: {short:,} of "
            f"{len(sample):,} {noun.many}."
        )
    copies = len(sample) - len(np.unique(first_equal(sample.values)))
    if copies and not are_copies_named:
        found.append(
            f"With the same values as another: {copies:,} of {len(sample):,} {noun.many}."
        )
    return found
