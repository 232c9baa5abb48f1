"""Where training starts: at the general encoder that comes with the package where it suits the data, else at random."""

import os
import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..checkpoint import from_pretrained
from ..config import RECIPE, VIDEO, make_config
from ..data.sequences import Sequences
from ..files import BUNDLED, GENERAL, SCRATCH
from ..model.jepa import TemporalJEPA, draw_model

LONGEST_WINDOW = 1024  # default limit of `seq_len`: longer series are trained on in random windows of this length
STATISTICS_FROM = 4096  # channel statistics come from at most this many sequences, evenly spaced,
STATISTICS_VALUES = 2**23  # and about this many values
LONGEST = 2048  # timesteps of a series that the general encoder, which sees at most 512 of them, still stands for


def start_of(
    sequences: Sequences,
    init_from: str | os.PathLike[str] | None = None,
    model: Mapping[str, Any] | None = None,
) -> str:
    """What to start from: `init_from` if there is one, else "series-small" or "scratch" (weights drawn from the seed).

    The general encoder suits plain series of up to 2048 timesteps. Tracks, scenes and films, longer series, and
    settings of the architecture start from scratch.
    """
    if init_from is not None and not os.fspath(init_from):
        raise ValueError("init_from is empty; name a run folder, series-small or scratch")
    if init_from is not None:
        return os.fspath(init_from)
    plain = (
        sequences.frame is None
        and sequences.places is None
        and int(sequences.lengths.max()) <= LONGEST
    )
    return GENERAL if plain and not model else SCRATCH


def is_folder(start: str) -> bool:
    """Whether training starts from a folder; `series-small` and `scratch` are names, whatever folders there are."""
    return start not in (GENERAL, SCRATCH) and os.path.isdir(start)


def reason(
    sequences: Sequences, start: str, chosen: bool, model: Mapping[str, Any] | None = None
) -> str:
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
        raise ValueError(
            f"init_from brings its own architecture; leave out {', '.join(model)}, or start from scratch"
        )
    return from_pretrained(BUNDLED / GENERAL if start == GENERAL else start)


def initial_model(sequences: Sequences, seed: int = 0, **overrides: Any) -> TemporalJEPA:
    """The untrained model for these sequences: `RECIPE` with overrides, normaliser fitted, weights drawn from `seed`.

    It is where pretraining starts and the control that every score is compared with.

    Args:
        sequences: training data; decides `input_dim`, the default `seq_len` and the channel statistics.
        seed: of the weights; the global random state is left alone.
        overrides: fields of `TemporalJEPAConfig`.

    Raises:
        ValueError: for an unknown option or a series shorter than two patches throughout the data.
    """
    longest = int(sequences.lengths.max())
    settings = {
        "seq_len": min(longest, LONGEST_WINDOW),
        **RECIPE,
        "input_dim": sequences.n_channels,
    }
    if sequences.frame is not None:
        film = sequences.frame[0] > 1
        settings |= VIDEO if film else {}
        flat = (
            film and overrides.get("tokenizer", "tubelet") != "tubelet"
        )  # then a picture is one timestep's values
        settings |= {"frame": None if flat else sequences.frame}
    config = make_config(**{**settings, **overrides})
    if longest < 2 * config.patch:
        raise ValueError(
            f"the longest series has {longest} timesteps, but a masked and a visible patch need {2 * config.patch} "
            f"(patch_len {config.patch}); choose a smaller patch_len or longer windows"
        )
    model = draw_model(config, seed)
    if config.normalize != "none":
        model.set_normalizer(*(torch.from_numpy(a) for a in channel_statistics(sequences)))
    return model


def channel_statistics(sequences: Sequences) -> tuple[npt.NDArray[np.float32], ...]:
    """Mean, standard deviation and slope of each channel over observed values, each float32 `(channels,)`.

    The slope is the standard deviation of the first difference in units of the channel's own; constant channels get 1.
    The cells of a frame share their statistics.
    """
    width = sequences.frame[2] if sequences.frame is not None else sequences.n_channels
    most = max(16, STATISTICS_VALUES * len(sequences) // sum(x.size for x in sequences.values))
    picked = np.unique(np.linspace(0, len(sequences) - 1, min(STATISTICS_FROM, most)).astype(int))
    scales = [255.0 if sequences.values[i].dtype == np.uint8 else 1.0 for i in picked]
    whole = [
        sequences.values[i].astype(np.float64) / scale
        for i, scale in zip(picked, scales, strict=True)
    ]
    chosen = [x.reshape(-1, width) for x in whole]
    steps = [np.diff(x, axis=0).reshape(-1, width) for x in whole if len(x) > 1]
    mean, std = _moments(chosen)
    _, slope = _moments(steps) if steps else (mean, std)
    lost = (std > 0) & (std < 1e-6 * np.abs(mean))
    if lost.any():
        names = ", ".join(name for name, bad in zip(sequences.channels, lost, strict=True) if bad)
        warnings.warn(
            f"{sequences.source}: channel {names} varies by less than a millionth of its mean, which float32 "
            "cannot hold; subtract the offset before reading",
            stacklevel=3,
        )
    varies = std > np.maximum(1e-7 * np.abs(mean), 1e-37)
    std = np.where(varies, std, 1.0)
    slope = np.where(slope > 1e-6 * std, slope / std, 1.0)
    cells = sequences.n_channels // width
    return tuple(np.tile(a.astype(np.float32), cells) for a in (mean, std, slope))


def _moments(
    arrays: list[npt.NDArray[np.float64]],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation over the observed rows of all arrays, `(channels,)` each; 0 where none is."""
    count = np.maximum(sum((~np.isnan(a)).sum(0) for a in arrays), 1)
    mean = sum(np.nansum(a, axis=0) for a in arrays) / count
    return mean, np.sqrt(sum(np.nansum((a - mean) ** 2, axis=0) for a in arrays) / count)
