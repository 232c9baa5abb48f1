"""From sequences to arrays: a model fitted to the shape of the data, and embeddings in batches of similar length."""

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import torch

from .config import Pool
from .data.sequences import Sequences
from .model.jepa import TemporalJEPA
from .model.multiscale import at_timesteps, bridged, embed_views, standardised, view_tokens


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
    if model.config.resolutions:
        return embed_views(model.encode_channels(pool), model.config.resolutions, sequences.values)
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
    rows = [
        row[:, None].astype(np.float32)
        for x in sequences.values
        for row in standardised(bridged(x), length)
    ]
    names = [f"{name} {channel}" for name in sequences.ids for channel in sequences.channels]
    alone = sequences.n_channels == 1
    return Sequences(
        rows,
        ids=sequences.ids if alone else names,
        channels=sequences.channels if alone else ["value"],
        source=sequences.source,
    )


def embed_timesteps(
    model: TemporalJEPA, sequences: Sequences, batch_tokens: int = 4096
) -> list[npt.NDArray[np.float32]]:
    """One embedding per timestep: a list of float32 `(time_i, embed_dim)`; NaN where a whole patch is unobserved.

    Of a model with `views`, the tokens of the longest view, linear in between, its channels added with fixed signs;
    NaN before the first and after the last observed timestep.
    """
    if model.config.resolutions:
        tokens = view_tokens(model.encode_tokens, max(model.config.resolutions), sequences.values)
        return [
            at_timesteps(t, x, model.config.patch)
            for t, x in zip(tokens, sequences.values, strict=True)
        ]
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
    if model.config.resolutions:
        all_tokens = view_tokens(
            model.encode_tokens, max(model.config.resolutions), sequences.values
        )
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
    lengths = sequences.lengths
    cells = math.prod(model.config.cells)
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and (
            (end - start + 1) * cells * -(-lengths[order[end]] // model.config.patch)
            <= batch_tokens
        ):
            end += 1
        rows = order[start:end]
        yield rows, torch.from_numpy(sequences.batch(rows)).to(device)
        start = end


def check_channels(model: TemporalJEPA, sequences: Sequences) -> None:
    """Raise ValueError unless the model takes the channels of the sequences; one with `views` takes any."""
    if model.config.resolutions and sequences.frame is None:
        return
    frames = model.config.frame, sequences.frame
    if None not in frames and frames[0] != frames[1]:
        raise ValueError(
            f"{sequences.source}: the model expects frames of {frames[0]} (rows, columns, channels), got "
            f"{frames[1]}; read films at the size, scenes with the agents= it was trained on"
        )
    if sequences.n_channels != model.config.input_dim:
        names = ", ".join(sequences.channels[:8])
        raise ValueError(
            f"{sequences.source}: the model expects {model.config.input_dim} channels, got {sequences.n_channels} "
            f"({names}); choose the channels it was trained on, in the same order"
        )
