"""What a page shows of states: sequences over their states, and typical moments of each state."""

from typing import Any

import numpy as np

from ..data.sequences import Sequences
from ..evaluation.states import GAIN, MOST, States
from . import plots, svg
from .nouns import noun_of
from .svg import Array
from .timeline import time_axis, when_or_step

Row = dict[str, Any]

SEQUENCES_DRAWN = 3  # evenly spaced over the data
TIMESTEPS_DRAWN = 1500  # of a long sequence: the first ones
OUTER = (0.5, 99.5)  # percentiles of the values that are drawn at the edges
SAMPLE = 64  # sequences that decide them


def states_section(sequences: Sequences, states: States) -> Row:
    """What `templates/states.html` shows.

    Args:
        sequences: series or trajectories.
        states: those of the same sequences.
    """
    scaled = _Scale(sequences)
    drawn = svg.spread(len(sequences), SEQUENCES_DRAWN).tolist()
    return {
        "figures": [_over_states(scaled, states, i) for i in drawn],
        "states": [_typical(scaled, states, k) for k in range(states.count)],
        "n": len(sequences),
        "noun": noun_of(sequences),
        "moment": states.moment,
        "gain": GAIN,
        "is_chosen": states.is_chosen and states.count < MOST,
        "channels": sequences.channels[: plots.MAX_CHANNELS],
        "total": sequences.n_channels,
        "cut": TIMESTEPS_DRAWN if sequences.lengths.max() > TIMESTEPS_DRAWN else None,
    }


class _Scale:
    """The first channels of sequences in 0..1, on the same scale in all of them."""

    def __init__(self, sequences: Sequences):
        self.sequences = sequences
        chosen = svg.spread(len(sequences), SAMPLE)
        rows = np.concatenate(
            [sequences.values[i][:, : plots.MAX_CHANNELS] for i in chosen]
        )
        rows[:, np.isnan(rows).all(axis=0)] = 0.0
        low, high = np.nanpercentile(rows, OUTER, axis=0)
        self.low = low
        self.range = np.where(high > low, high - low, 1.0)

    def values(self, i: int) -> Array:
        """Sequence i, `(time, channels)`."""
        x = self.sequences.values[i][:, : plots.MAX_CHANNELS]
        scaled: Array = ((x - self.low) / self.range).clip(0, 1)
        return scaled


def _over_states(scaled: _Scale, states: States, i: int) -> Row:
    """Sequence i over its states."""
    sequences = scaled.sequences
    x = scaled.values(i)[:TIMESTEPS_DRAWN]
    segments = [part.state for part in states.segments[i] if part.start < len(x)]
    times = None if sequences.times is None else sequences.times[i][: len(x)]
    drawn = plots.both_widths(
        f"states{i}",
        plots.over_states,
        x=x,
        states=states.timesteps[i][:TIMESTEPS_DRAWN],
        axis=time_axis(times, len(x)),
        alt=f"{sequences.ids[i]}: {_in_words(segments)}",
    )
    label = None if sequences.labels is None else sequences.labels[i]
    return {"svg": drawn, "id": sequences.ids[i], "label": label}


def _typical(scaled: _Scale, states: States, state: int) -> Row:
    """How often a state occurs, and typical moments of it."""
    sequences = scaled.sequences
    tiles = []
    for rank, (i, start, stop) in enumerate(states.typical[state]):
        drawn = plots.state_tile(
            f"state{state}-{rank}",
            scaled.values(i)[start:stop],
            state,
            f"A typical moment of state {state}",
        )
        first = when_or_step(sequences, i, start)
        tiles.append({"svg": drawn, "id": sequences.ids[i], "first": first})
    segments = [part for own in states.segments for part in own]
    return {
        "color": plots.state_color(state),
        "share": states.shares[state],
        "segments": sum(part.state == state for part in segments),
        "tiles": tiles,
    }


def _in_words(states: list[int]) -> str:
    """The order of states, for those who do not see the drawing."""
    order = ", ".join(map(str, states[:40]))
    rest = ", ..." if len(states) > 40 else ""
    return f"{len(states)} segments, of the states {order}{rest}"
