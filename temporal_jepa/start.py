"""Where training starts: at the general encoder that comes with the package where it suits the data, else at random."""

import os
from collections.abc import Mapping
from typing import Any

from .checkpoint import BUNDLED, from_pretrained
from .data.sequences import Sequences
from .embedding import initial_model
from .model import TemporalJEPA

GENERAL, SCRATCH = "series-small", "scratch"
LONGEST = 2048  # timesteps of a series that the general encoder, which sees at most 512 of them, still stands for


def start_of(
    sequences: Sequences, init_from: str | os.PathLike[str] | None = None, model: Mapping[str, Any] | None = None
) -> str:
    """What to start from: `init_from` if there is one, else "series-small" or "scratch" (weights drawn from the seed).

    The general encoder suits plain series of up to 2048 timesteps. Tracks, scenes and films, longer series, and
    settings of the architecture start from scratch.
    """
    if init_from is not None and not os.fspath(init_from):
        raise ValueError("init_from is empty; name a run folder, series-small or scratch")
    if init_from is not None:
        return os.fspath(init_from)
    plain = sequences.frame is None and sequences.places is None and int(sequences.lengths.max()) <= LONGEST
    return GENERAL if plain and not model else SCRATCH


def is_folder(start: str) -> bool:
    """Whether training starts from a folder; `series-small` and `scratch` are names, whatever folders there are."""
    return start not in (GENERAL, SCRATCH) and os.path.isdir(start)


def reason(sequences: Sequences, start: str, chosen: bool, model: Mapping[str, Any] | None = None) -> str:
    """Why training starts there, for people; `chosen` if they said so."""
    if chosen:
        return start
    if start == GENERAL:
        return f"{start}; --init-from scratch trains an encoder of its own"
    if model:
        return f"{start}, as {', '.join(model)} shape the model"
    if sequences.frame is not None or sequences.places is not None:
        return f"{start}, as usual for tracks and frames"
    return f"{start}, as there are series of more than {LONGEST} timesteps"


def first_model(
    sequences: Sequences, start: str, seed: int = 0, model: Mapping[str, Any] | None = None
) -> TemporalJEPA:
    """The model before the first step of training.

    Args:
        sequences: training data.
        start: from `start_of`.
        seed: of weights that are drawn.
        model: fields of `TemporalJEPAConfig` that differ from `RECIPE`; none where weights are given.

    Raises:
        ValueError: for settings beside given weights, or as `initial_model` and `from_pretrained`.
        FileNotFoundError: if there is no model to start from.
    """
    if start == SCRATCH:
        return initial_model(sequences, seed, **dict(model or {}))
    if model:
        raise ValueError(f"init_from brings its own architecture; leave out {', '.join(model)}, or start from scratch")
    return from_pretrained(BUNDLED / GENERAL if start == GENERAL else start)
