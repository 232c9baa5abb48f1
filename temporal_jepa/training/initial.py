"""The model before the first training step: pretrained weights or random ones."""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..checkpoint import from_pretrained
from ..config import RECIPE, VIDEO, TemporalJEPAConfig, make_config
from ..data.sequences import Sequences, listed, loses_in_float32
from ..embed import centered
from ..files import BUNDLED, GENERAL, SCRATCH
from ..model.jepa import TemporalJEPA, draw_model
from ..model.modules import Modules
from ..model.multiscale import HIGHEST
from ..model.objectives import Objective, as_objective
from .choice import choose
from .slow import slow_mixtures

FloatArray = npt.NDArray[np.float64]

# Longer series are trained on in random windows of this many timesteps.
LONGEST_WINDOW = 1024
# Channel statistics come from at most this many sequences and about this many values.
STATISTICS_SEQUENCES = 4096
STATISTICS_VALUES = 2**23
# Options that only masked latents have, or that next latents decide themselves.
OF_MASKED_LATENTS = frozenset(
    {
        "predict",
        "mask",
        "mask_ratio",
        "num_masks",
        "momentum",
        "variance_weight",
        "covariance_weight",
        "tokenizer",
        "attention",
        "resolutions",
        "frame",
    }
)
# Rounding errors of float32 above this share of the range of a series are warned of.
LOST = 0.01


@dataclass(frozen=True)
class Start:
    """Where training starts.

    Args:
        source: "series-small" (the general encoder of the package), "scratch" (random weights), a
            folder with a model (an absolute path), or a model on the hub.
        architecture: the requested fields of `TemporalJEPAConfig`. From scratch they replace those
            of `RECIPE`; a pretrained model must have them already.
        reason: why training starts there, for people; empty if they asked for it.
        has_checkpoint: whether a checkpoint of the run replaces the weights of the source, which
            may be gone by now.
        objective: what to train on from scratch, see `TemporalJEPA`. A pretrained model keeps its
            own.
        modules: a tokenizer or an encoder of one's own, see `Modules`.
    """

    source: str
    architecture: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    has_checkpoint: bool = False
    objective: Objective | None = None
    modules: Modules | None = None

    def __str__(self) -> str:
        return f"{self.source}; {self.reason}" if self.reason else self.source

    @classmethod
    def stored(cls, config: Mapping[str, Any]) -> "Start":
        """Where a run started, according to its `config.json`."""
        return cls(str(config.get("init_from") or SCRATCH))

    @property
    def pretrained(self) -> bool:
        """Whether training continues from trained weights."""
        return self.source != SCRATCH

    def model(
        self, sequences: Sequences, seed: int, meta: bool = False
    ) -> TemporalJEPA:
        """The model before the first step.

        Args:
            sequences: training data.
            seed: of random weights.
            meta: leave out random weights: another process has them.

        Raises:
            ValueError: if a pretrained model has another architecture than requested, or as
                `initial_model` and `from_pretrained`.
            FileNotFoundError: if there is no such model.
        """
        if self.has_checkpoint:
            config = make_config(**self.architecture)
            return draw_model(config, seed, self.objective, self.modules, meta)
        if not self.pretrained:
            return initial_model(
                sequences,
                seed,
                self.objective,
                self.modules,
                meta=meta,
                **self.architecture,
            )
        model = from_pretrained(
            BUNDLED / GENERAL if self.source == GENERAL else self.source,
            modules=self.modules,
        )
        stored = vars(model.config)
        requested = make_config(**{**stored, **self.architecture})
        differing = [
            name for name, value in vars(requested).items() if value != stored[name]
        ]
        if differing:
            raise ValueError(
                f"init_from brings its own architecture; leave out {', '.join(differing)}, "
                "or start from scratch"
            )
        if model.config.channel_independent and not bool(model.offset.any()):
            channel_statistics(set_offset(model, sequences))  # warns of flat channels
        return model


def start_of(
    sequences: Sequences,
    init_from: str | os.PathLike[str] | None = None,
    architecture: Mapping[str, Any] | None = None,
    objective: Objective | str | None = None,
    modules: Modules | None = None,
) -> Start:
    """Decide where training starts.

    Without `init_from`, plain series of up to 65,536 timesteps start from "series-small", except
    for many noisy channels: next latents are trained from scratch on them, see `choose`.
    Trajectories, scenes, video, longer series, a requested architecture and an objective start from
    scratch. A requested architecture is trained on next latents where nothing requested would be,
    unless it has options of masked latents alone.

    Args:
        sequences: training data.
        init_from: "series-small", "scratch", a folder with a model, a model on the hub, or None.
        architecture: requested fields of `TemporalJEPAConfig`.
        objective: what to train on, see `TemporalJEPA`.
        modules: a tokenizer or an encoder of one's own, see `Modules`.

    Raises:
        ValueError: for an empty `init_from`, an unknown objective, or an objective with a
            pretrained model, which keeps its own.
    """
    architecture = dict(architecture or {})
    objective = as_objective(objective)
    if objective is not None:
        start = _start_with(objective, init_from, architecture)
    elif init_from is not None:
        start = Start(_source(init_from), architecture)
    elif modules is not None:
        start = Start(SCRATCH, architecture)
    elif architecture:
        start = _shaped_start(sequences, architecture)
    else:
        start = _chosen_start(sequences)
    return replace(start, modules=modules)


def _shaped_start(sequences: Sequences, architecture: Mapping[str, Any]) -> Start:
    """Where training starts if only the architecture is requested: from random weights."""
    shape = f"the model is shaped by {', '.join(architecture)}"
    is_masked = not OF_MASKED_LATENTS.isdisjoint(architecture)
    is_masked = is_masked or architecture.get("normalize") == "instance"
    natural = _chosen_start(sequences)
    if natural.objective is None or is_masked:
        reason = f"{shape}; trains masked latents (--objective masked)"
        return Start(SCRATCH, architecture, reason)
    chosen, _, _ = natural.reason.rpartition(";")
    reason = f"{shape}; {chosen}; --objective masked trains masked latents"
    return Start(SCRATCH, architecture, reason, objective=natural.objective)


def _source(init_from: str | os.PathLike[str]) -> str:
    """What training starts from, as text; a folder by its absolute path."""
    source = os.fspath(init_from)
    if not source:
        raise ValueError(
            "init_from is empty; name a run folder, series-small or scratch"
        )
    if source not in (GENERAL, SCRATCH) and os.path.isdir(source):
        source = os.path.abspath(source)
    return source


def _chosen_start(sequences: Sequences) -> Start:
    """Where training starts if nothing is requested."""
    if sequences.frame is not None or sequences.places is not None:
        return Start(
            SCRATCH, reason="trajectories and video have no pretrained encoder yet"
        )
    if sequences.lengths.max() > HIGHEST:
        return Start(
            SCRATCH,
            reason=f"some series have more than {HIGHEST} timesteps",
        )
    if sequences.n_channels == 1:
        return Start(
            GENERAL, reason="--init-from scratch trains an encoder from random weights"
        )
    choice = choose(sequences)
    if choice.objective is None:
        return Start(GENERAL, reason=str(choice))
    objective = as_objective(choice.objective)
    return Start(SCRATCH, reason=str(choice), objective=objective)


def _start_with(
    objective: Objective,
    init_from: str | os.PathLike[str] | None,
    architecture: Mapping[str, Any],
) -> Start:
    """Where training on an objective starts: from random weights."""
    if init_from not in (None, SCRATCH):
        raise ValueError(
            f"an objective needs random weights, got init_from={os.fspath(init_from or '')!r}, "
            "whose model keeps its own; leave out one of them"
        )
    reason = "" if init_from else f"the objective is {objective!r}"
    return Start(SCRATCH, architecture, reason, objective=objective)


def initial_model(
    sequences: Sequences,
    seed: int = 0,
    objective: Objective | str | None = None,
    modules: Modules | None = None,
    *,
    meta: bool = False,
    **overrides: Any,
) -> TemporalJEPA:
    """A model with random weights for these sequences, with the architecture of `RECIPE`.

    Pretraining from scratch starts from it, and every score is compared with it.

    Args:
        sequences: training data; decides `input_dim`, the default `seq_len` and the channel
            statistics of the normalizer.
        seed: of the weights; the global random state is left alone.
        objective: what to train on, see `TemporalJEPA`; its `recipe`, and for video its
            `video_recipe`, replace parts of `RECIPE` and `VIDEO`.
        modules: a tokenizer or an encoder of one's own, see `Modules`.
        meta: leave out the weights, see `draw_model`.
        overrides: fields of `TemporalJEPAConfig`.

    Raises:
        ValueError: for an unknown option, values that do not fit the data, or an architecture that
            the objective cannot train.
    """
    objective = as_objective(objective)
    if objective is not None:
        recipe = dict(objective.recipe)
        if _is_video(sequences):
            recipe.update(objective.video_recipe)
        overrides = {**recipe, **overrides}
    config = _recommended_config(sequences, overrides)
    model = draw_model(config, seed, objective, modules, meta)
    sequences = set_offset(model, sequences)
    if model.config.normalize != "none":
        mean, std, slope = channel_statistics(sequences)
        mixing = None
        if model.config.normalize == "slow":
            some = [_as_float64(sequences.values[i]) for i in _sample(sequences)]
            mixtures, slope = slow_mixtures(some, mean, std, model.config.patch)
            mixing = torch.from_numpy(mixtures)
        model.set_normalizer(
            torch.from_numpy(mean),
            torch.from_numpy(std),
            torch.from_numpy(slope),
            mixing,
        )
    return model


def set_offset(model: TemporalJEPA, sequences: Sequences) -> Sequences:
    """Set the offset of a model for its training data; returns the data without it.

    Warns of series that float32 cannot hold even then.
    """
    offset = channel_offset(sequences)
    if offset.any():
        model.offset = torch.from_numpy(offset)
        sequences = centered(sequences, offset.astype(np.float64))
    rows = _rows_to_check(sequences)
    lost = [
        sequences.ids[i]
        for i in rows
        if loses_in_float32(sequences.values[i], LOST).any()
    ]
    is_common = len(lost) > 0.1 * len(rows)  # a short series may do so by chance
    if is_common and not model.config.channel_independent:
        warnings.warn(
            f"{sequences.source}: {len(lost)} series ({listed(lost)}) vary by less than float32 "
            "can hold, at levels that are far apart; subtract the level of each series",
            stacklevel=3,
        )
    return sequences


def _rows_to_check(sequences: Sequences) -> list[int]:
    """The sequences that are tried in float32: all, or a sample of a store; none if all are."""
    if "float64" not in sequences.dtypes:
        return []
    rows = _sample(sequences) if sequences.is_stored else np.arange(len(sequences))
    return [int(row) for row in rows]


def channel_offset(sequences: Sequences) -> npt.NDArray[np.float32]:
    """What to subtract from each channel so that float32 holds how it varies, `(C,)`.

    It is 0 except where float32 cannot hold the values of all series together: there it is their
    mean, rounded to float32.
    """
    width = sequences.n_channels if sequences.frame is None else sequences.frame[2]
    if "float64" not in sequences.dtypes:
        return np.zeros(sequences.n_channels, dtype=np.float32)
    rows = [sequences.values[i].astype(np.float64) for i in _sample(sequences)]
    rows = [x.reshape(-1, width) for x in rows]
    mean, _ = _mean_and_std(rows)
    extremes = [np.stack([np.fmin.reduce(x), np.fmax.reduce(x)]) for x in rows]
    lost = loses_in_float32(np.concatenate(extremes))
    offset = np.where(lost, mean, 0.0).astype(np.float32)
    return np.tile(offset, sequences.n_channels // width)


def _is_video(sequences: Sequences) -> bool:
    """Whether a timestep is a frame of pixels, not a scene of agents."""
    return sequences.frame is not None and sequences.frame[0] > 1


def _recommended_config(
    sequences: Sequences, overrides: Mapping[str, Any]
) -> TemporalJEPAConfig:
    longest = int(sequences.lengths.max())
    settings = {
        **RECIPE,
        "input_dim": sequences.n_channels,
        "seq_len": min(longest, LONGEST_WINDOW),
        "frame": sequences.frame,
    }
    if _is_video(sequences):
        settings.update(VIDEO)
        if overrides.get("tokenizer", "tubelet") != "tubelet":
            settings["frame"] = None  # one token sees all pixels of its timesteps
    settings.update(overrides)
    return make_config(**settings)


def channel_statistics(sequences: Sequences) -> tuple[npt.NDArray[np.float32], ...]:
    """Mean, standard deviation and slope of each channel over its observed values.

    The slope is the standard deviation of first differences, divided by the channel's own standard
    deviation. A constant channel gets standard deviation and slope 1. All cells of a frame share
    their statistics.

    Returns:
        Three arrays, float32 `(channels,)`.
    """
    width = sequences.n_channels if sequences.frame is None else sequences.frame[2]
    values = [_as_float64(sequences.values[i]) for i in _sample(sequences)]
    mean, std = _mean_and_std([x.reshape(-1, width) for x in values])
    _, slope = _mean_and_std([np.diff(x, axis=0).reshape(-1, width) for x in values])
    is_double = "float64" in sequences.dtypes
    too_flat = (std > 0) & (std < 1e-6 * np.abs(mean))
    if too_flat.any() and not is_double:
        names = ", ".join(sequences.channels[i] for i in np.flatnonzero(too_flat))
        warnings.warn(
            f"{sequences.source}: channel {names} varies by less than a millionth of its mean, "
            "which float32 cannot hold; pass float64, or subtract the offset before",
            stacklevel=3,
        )
    resolution = 1e-13 if is_double else 1e-7
    varies = std > np.maximum(resolution * np.abs(mean), 1e-37)
    std = np.where(varies, std, 1.0)
    slope = np.where(slope > 1e-6 * std, slope / std, 1.0)
    cells = sequences.n_channels // width
    return tuple(
        np.tile(statistic.astype(np.float32), cells) for statistic in (mean, std, slope)
    )


def _sample(sequences: Sequences) -> npt.NDArray[np.int64]:
    """Evenly spaced sequences, few enough for statistics in float64."""
    total = int(sequences.lengths.sum()) * sequences.n_channels
    most = max(16, STATISTICS_VALUES * len(sequences) // total)
    count = min(most, STATISTICS_SEQUENCES)
    return np.unique(np.linspace(0, len(sequences) - 1, count).astype(int))


def _as_float64(x: npt.NDArray[Any]) -> FloatArray:
    """Values of a sequence; the bytes of a video become 0..1."""
    values = x.astype(np.float64)
    return values / 255 if x.dtype == np.uint8 else values


def _mean_and_std(arrays: list[FloatArray]) -> tuple[FloatArray, FloatArray]:
    """Over all observed rows of all arrays `(n_i, channels)`; 0 for a channel without any."""
    count = np.maximum(sum((~np.isnan(x)).sum(0) for x in arrays), 1)
    mean = sum(np.nansum(x, axis=0) for x in arrays) / count
    return mean, np.sqrt(
        sum(np.nansum((x - mean) ** 2, axis=0) for x in arrays) / count
    )
