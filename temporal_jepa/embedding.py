"""From sequences to arrays: a model fitted to the shape of the data, and embeddings in batches of similar length."""

import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .config import RECIPE, VIDEO, Pool, TemporalJEPAConfig, make_config
from .data.sequences import Sequences
from .model import TemporalJEPA
from .views import at_timesteps, bridged, embed_views, standardised, view_tokens

LONGEST_WINDOW = 1024  # default limit of `seq_len`: longer series are trained on in random windows of this length
STATISTICS_FROM = 4096  # channel statistics come from at most this many sequences, evenly spaced,
STATISTICS_VALUES = 2**23  # and about this many values


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
    settings = {"seq_len": min(longest, LONGEST_WINDOW), **RECIPE, "input_dim": sequences.n_channels}
    if sequences.frame is not None:
        film = sequences.frame[0] > 1
        settings |= VIDEO if film else {}
        flat = film and overrides.get("tokenizer", "tubelet") != "tubelet"  # then a picture is one timestep's values
        settings |= {"frame": None if flat else sequences.frame}
    config = make_config(**{**settings, **overrides})
    if longest < 2 * config.patch:
        raise ValueError(
            f"the longest series has {longest} timesteps, but a masked and a visible patch need {2 * config.patch} "
            f"(patch_len {config.patch}); choose a smaller patch_len or longer windows"
        )
    model = _drawn(config, seed)
    if config.normalize != "none":
        model.set_normalizer(*(torch.from_numpy(a) for a in channel_statistics(sequences)))
    return model


def untrained_twin(model: TemporalJEPA, seed: int) -> TemporalJEPA:
    """The same architecture and channel statistics, weights drawn from `seed`: the control of a trained model."""
    twin = _drawn(model.config, seed)
    normalizer = model.context_encoder.normalizer
    twin.set_normalizer(normalizer.mean, normalizer.std, normalizer.slope)
    return twin.eval()


def _drawn(config: TemporalJEPAConfig, seed: int) -> TemporalJEPA:
    """A model with weights from `seed`; the global random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return TemporalJEPA(config)


def channel_statistics(sequences: Sequences) -> tuple[npt.NDArray[np.float32], ...]:
    """Mean, standard deviation and slope of each channel over observed values, each float32 `(channels,)`.

    The slope is the standard deviation of the first difference in units of the channel's own; constant channels get 1.
    The cells of a frame share their statistics.
    """
    width = sequences.frame[2] if sequences.frame is not None else sequences.n_channels
    most = max(16, STATISTICS_VALUES * len(sequences) // sum(x.size for x in sequences.values))
    picked = np.unique(np.linspace(0, len(sequences) - 1, min(STATISTICS_FROM, most)).astype(int))
    scales = [255.0 if sequences.values[i].dtype == np.uint8 else 1.0 for i in picked]
    whole = [sequences.values[i].astype(np.float64) / scale for i, scale in zip(picked, scales, strict=True)]
    chosen = [x.reshape(-1, width) for x in whole]
    steps = [np.diff(x, axis=0).reshape(-1, width) for x in whole if len(x) > 1]
    mean, std = _moments(chosen)
    _, slope = _moments(steps) if steps else (mean, std)
    lost = (std > 0) & (std < 1e-6 * np.abs(mean))
    if lost.any():
        names = ", ".join(name for name, bad in zip(sequences.channels, lost, strict=True) if bad)
        warnings.warn(f"{sequences.source}: channel {names} varies by less than a millionth of its mean, which float32 "
                      "cannot hold; subtract the offset before reading", stacklevel=3)  # fmt: skip
    varies = std > np.maximum(1e-7 * np.abs(mean), 1e-37)
    std = np.where(varies, std, 1.0)
    slope = np.where(slope > 1e-6 * std, slope / std, 1.0)
    cells = sequences.n_channels // width
    return tuple(np.tile(a.astype(np.float32), cells) for a in (mean, std, slope))


def _moments(arrays: list[npt.NDArray[np.float64]]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and standard deviation over the observed rows of all arrays, `(channels,)` each; 0 where none is."""
    count = np.maximum(sum((~np.isnan(a)).sum(0) for a in arrays), 1)
    mean = sum(np.nansum(a, axis=0) for a in arrays) / count
    return mean, np.sqrt(sum(np.nansum((a - mean) ** 2, axis=0) for a in arrays) / count)


def embed_sequences(
    model: TemporalJEPA, sequences: Sequences, pool: Pool = "all", batch_tokens: int = 4096
) -> npt.NDArray[np.float32]:
    """One embedding per sequence, in the order given; the batches hold sequences of similar length.

    A model with `views` takes any channels and gives features for each of them, see `views.embed_views`.

    Args:
        model: as trained or loaded; used on the device it is on.
        sequences: any lengths, NaN where missing; the channels the model was trained on.
        pool: see `TemporalJEPA.embed`.
        batch_tokens: tokens a batch, a bound on memory.

    Returns:
        float32 `(n, features)`.

    Raises:
        ValueError: if the number of channels differs from the model's, or a sequence has no observed value.
    """
    if model.config.views:
        return embed_views(model.encode_channels(pool), model.config.views, sequences.values)
    out: npt.NDArray[np.float32] | None = None
    for rows, x in _batches(model, sequences, batch_tokens):
        features = model.embed(x, pool).float().cpu().numpy()
        if out is None:
            out = np.empty((len(sequences), features.shape[1]), dtype=np.float32)
        out[rows] = features
    assert out is not None
    return out


def single_channels(sequences: Sequences, length: int) -> Sequences:
    """Every channel a sequence of its own, as a model with `views` is trained on them: `(length, 1)` each."""
    rows = [row[:, None].astype(np.float32) for x in sequences.values for row in standardised(bridged(x), length)]
    names = [f"{name} {channel}" for name in sequences.ids for channel in sequences.channels]
    alone = sequences.n_channels == 1
    return Sequences(rows, ids=sequences.ids if alone else names, channels=sequences.channels if alone else ["value"],
                     source=sequences.source)  # fmt: skip


def embed_timesteps(
    model: TemporalJEPA, sequences: Sequences, batch_tokens: int = 4096
) -> list[npt.NDArray[np.float32]]:
    """One embedding per timestep: a list of float32 `(time_i, embed_dim)`; NaN where a whole patch is unobserved.

    Of a model with `views`, the tokens of the longest view, linear in between, its channels added with fixed signs;
    NaN before the first and after the last observed timestep.
    """
    if model.config.views:
        tokens = view_tokens(model.encode_tokens, max(model.config.views), sequences.values)
        return [at_timesteps(t, x, model.config.patch) for t, x in zip(tokens, sequences.values, strict=True)]
    out: list[npt.NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(sequences)
    for rows, x in _batches(model, sequences, batch_tokens):
        for row, tokens in zip(rows, model.embed_timesteps(x).float().cpu().numpy(), strict=True):
            out[row] = tokens[: len(sequences.values[row])]
    return out


def embed_tokens(
    model: TemporalJEPA, sequences: Sequences, batch_tokens: int = 4096
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """The tokens of every sequence: float32 `(n, N, embed_dim)`, 0 where there is none, and bool `(n, N)`.

    `N` is what the longest sequence has; the others' tokens come first. Of a model with `views`, those of the longest
    view, its channels added with fixed signs. Raises as `embed_sequences`.
    """
    if model.config.views:
        all_tokens = view_tokens(model.encode_tokens, max(model.config.views), sequences.values)
        return all_tokens, np.ones(all_tokens.shape[:2], dtype=bool)
    count = -(-int(sequences.lengths.max()) // model.config.patch) * math.prod(model.config.cells)
    out = np.zeros((len(sequences), count, model.config.embed_dim), dtype=np.float32)
    there = np.zeros((len(sequences), count), dtype=bool)
    for rows, x in _batches(model, sequences, batch_tokens):
        tokens, seen = model.embed_tokens(x)
        out[rows, : tokens.shape[1]] = tokens.float().cpu().numpy()
        there[rows, : seen.shape[1]] = seen.cpu().numpy()
    return out, there


def _batches(
    model: TemporalJEPA, sequences: Sequences, batch_tokens: int
) -> Iterator[tuple[npt.NDArray[np.int64], torch.Tensor]]:
    check_channels(model, sequences)
    device = next(model.parameters()).device
    lengths, cells = sequences.lengths, math.prod(model.config.cells)
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and (
            (end - start + 1) * cells * -(-lengths[order[end]] // model.config.patch) <= batch_tokens
        ):
            end += 1
        rows = order[start:end]
        yield rows, torch.from_numpy(sequences.batch(rows)).to(device)
        start = end


def check_channels(model: TemporalJEPA, sequences: Sequences) -> None:
    """Raise ValueError unless the model takes the channels of the sequences; one with `views` takes any."""
    if model.config.views and sequences.frame is None:
        return
    frames = model.config.frame, sequences.frame
    if None not in frames and frames[0] != frames[1]:
        raise ValueError(f"{sequences.source}: the model expects frames of {frames[0]} (rows, columns, channels), got "
                         f"{frames[1]}; read films at the size, scenes with the agents= it was trained on")  # fmt: skip
    if sequences.n_channels != model.config.input_dim:
        names = ", ".join(sequences.channels[:8])
        raise ValueError(
            f"{sequences.source}: the model expects {model.config.input_dim} channels, got {sequences.n_channels} "
            f"({names}); choose the channels it was trained on, in the same order"
        )
