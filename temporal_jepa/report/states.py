"""What a page shows of states: sequences over their states, and typical moments of each state."""

from typing import Any

import numpy as np

from ..data.sequences import Sequences, moment
from ..evaluation.states import GAIN, MOST, States
from . import plots, svg
from .svg import Array

Row = dict[str, Any]

SEQUENCES_DRAWN = 3  # evenly spaced over the data
TIMESTEPS_DRAWN = 1500  # of a long sequence: the first ones
TICKS = 6
OUTER = (0.5, 99.5)  # percentiles of the values that are drawn at the edges
SAMPLE = 64  # sequences that decide them


def states_section(sequences: Sequences, states: States) -> Row:
    """What `templates/states.html` shows.

    Args:
        sequences: series or trajectories.
        states: those of the same sequences.
    """
    scaled = _Scale(sequences)
    figures = []
    for i in svg.spread(len(sequences), SEQUENCES_DRAWN).tolist():
        x = scaled.values(i)[:TIMESTEPS_DRAWN]
        own = states.timesteps[i][:TIMESTEPS_DRAWN]
        drawn = plots.over_states(f"states{i}", x, own, _ticks(sequences, i, len(x)))
        segments = [part for part in states.segments[i] if part.start < len(x)]
        figures.append(
            {
                "svg": drawn,
                "id": sequences.ids[i],
                "label": None if sequences.labels is None else sequences.labels[i],
                "alt": _in_words([part.state for part in segments]),
            }
        )
    rows = []
    for state, places in enumerate(states.typical):
        tiles = []
        for rank, (i, start, stop) in enumerate(places):
            x = scaled.values(i)[start:stop]
            tiles.append(
                {
                    "svg": plots.state_tile(f"state{state}-{rank}", x, state),
                    "id": sequences.ids[i],
                    "first": _when(sequences, i, start),
                }
            )
        rows.append(
            {
                "color": plots.state_color(state),
                "share": states.shares[state],
                "segments": sum(
                    part.state == state for own in states.segments for part in own
                ),
                "tiles": tiles,
            }
        )
    return {
        "figures": figures,
        "states": rows,
        "n": len(sequences),
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


def _in_words(states: list[int]) -> str:
    """The order of states, for those who do not see the drawing."""
    order = ", ".join(map(str, states[:40]))
    rest = ", ..." if len(states) > 40 else ""
    return f"{len(states)} segments, of the states {order}{rest}"


def _when(sequences: Sequences, i: int, step: int) -> str:
    """The time of a timestep, its number if there are no times."""
    if sequences.times is None:
        return str(step)
    date, _, clock = moment(sequences.times[i][step]).partition("T")
    if "." in clock:
        clock = clock.rstrip("0")
    return f"{date} {clock}".rstrip()


def _ticks(sequences: Sequences, i: int, length: int) -> list[tuple[int, str]]:
    """Evenly spaced timesteps with their times; none if there are no times.

    A date is written once.
    """
    if sequences.times is None:
        return []
    ticks = []
    date = ""
    for step in svg.spread(length, TICKS).tolist():
        text = _when(sequences, i, step)
        day, _, clock = text.partition(" ")
        ticks.append((step, clock if clock and day == date else text))
        date = day
    return ticks
