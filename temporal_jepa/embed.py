"""From sequences to arrays: embeddings in batches of sequences of similar length."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .config import Pool
from .data.sequences import Sequences
from .model.jepa import TemporalJEPA
from .model.multiscale import fill_missing, standardize_at

BATCH_TOKENS = 4096  # per batch, a bound on memory


def embed_sequences(
    model: TemporalJEPA,
    sequences: Sequences,
    pool: Pool = "all",
    batch_tokens: int = BATCH_TOKENS,
) -> npt.NDArray[np.float32]:
    """One embedding per sequence, in the order given.

    Args:
        model: as trained or loaded; used on its device.
        sequences: any lengths, NaN where missing; the channels the model was trained on (a model
            with `resolutions` takes any channels).
        pool: see `TemporalJEPA.embed`.
        batch_tokens: tokens per batch.

    Returns:
        float32 `(n, features)`.

    Raises:
        ValueError: if the channels differ from the model's, or a sequence has no observed value.
    """
    order = []
    features = []
    for rows, x in _batches(model, sequences, batch_tokens):
        order.append(rows)
        features.append(model.embed(x, pool).float().cpu().numpy())
    embeddings: npt.NDArray[np.float32] = np.concatenate(features)
    out: npt.NDArray[np.float32] = np.empty_like(embeddings)
    out[np.concatenate(order)] = embeddings
    return out


def embed_timesteps(
    model: TemporalJEPA, sequences: Sequences, batch_tokens: int = BATCH_TOKENS
) -> list[npt.NDArray[np.float32]]:
    """One embedding per timestep: float32 `(time_i, embed_dim)` for each sequence.

    NaN where a whole patch is unobserved; see `TemporalJEPA.embed_timesteps`. Raises as
    `embed_sequences`.
    """
    out: list[npt.NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(
        sequences
    )
    for rows, x in _batches(model, sequences, batch_tokens):
        steps = model.embed_timesteps(x).float().cpu().numpy()
        for row, embedding in zip(rows, steps, strict=True):
            out[row] = embedding[: len(sequences.values[row])]
    return out


def embed_tokens(
    model: TemporalJEPA, sequences: Sequences, batch_tokens: int = BATCH_TOKENS
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """The tokens of every sequence, padded at the end to those of the longest one.

    Returns:
        float32 `(n, N, embed_dim)`, 0 where there is no token, and bool `(n, N)`, True where there
        is one; see `TemporalJEPA.embed_tokens`.

    Raises:
        ValueError: as `embed_sequences`.
    """
    batches = []
    for rows, x in _batches(model, sequences, batch_tokens):
        tokens, observed = model.embed_tokens(x)
        batches.append((rows, tokens.float().cpu().numpy(), observed.cpu().numpy()))
    longest = max(values.shape[1] for _, values, _ in batches)
    out = np.zeros((len(sequences), longest, model.config.embed_dim), dtype=np.float32)
    out_observed = np.zeros((len(sequences), longest), dtype=bool)
    for rows, values, mask in batches:
        out[rows, : values.shape[1]] = values
        out_observed[rows, : values.shape[1]] = mask
    return out, out_observed


def _batches(
    model: TemporalJEPA, sequences: Sequences, batch_tokens: int
) -> Iterator[tuple[npt.NDArray[np.int64], torch.Tensor]]:
    """Indices and values of sequences of similar length, of at most `batch_tokens` tokens."""
    check_channels(model, sequences)
    device = next(model.parameters()).device
    order = np.argsort(sequences.lengths, kind="stable")
    tokens = np.ceil(sequences.lengths[order] / model.config.patch) * math.prod(
        model.config.cells
    )
    start = 0
    while start < len(order):
        end = start + 1
        while end < len(order) and (end + 1 - start) * tokens[end] <= batch_tokens:
            end += 1
        rows = order[start:end]
        x = torch.from_numpy(sequences.batch(rows))
        if device.type == "mps":  # has no float64
            x = x.float()
        yield rows, x.to(device)
        start = end


def check_channels(model: TemporalJEPA, sequences: Sequences) -> None:
    """ValueError unless the model takes the channels of the sequences."""
    config = model.config
    if config.channel_independent and sequences.frame is None:
        return
    both_frames = config.frame is not None and sequences.frame is not None
    if both_frames and config.frame != sequences.frame:
        raise ValueError(
            f"{sequences.source}: the model expects frames of {config.frame} (rows, columns, "
            f"channels), got {sequences.frame}; read video with the resize=, scenes with the "
            "agents= of the training data"
        )
    if sequences.n_channels != config.input_dim:
        names = ", ".join(sequences.channels[:8])
        raise ValueError(
            f"{sequences.source}: the model expects {config.input_dim} channels, got "
            f"{sequences.n_channels} ({names}); choose the channels of the training data, in the "
            "same order"
        )


def centered(sequences: Sequences, offset: npt.NDArray[np.float64]) -> Sequences:
    """The sequences minus an offset `(C,)`, computed in float64; the same ones if it is 0."""
    if not offset.any():
        return sequences
    values: list[npt.NDArray[Any]] = [
        x.astype(np.float64) - offset for x in sequences.values
    ]
    return replace(sequences, values=values)


def as_training_data(model: TemporalJEPA, sequences: Sequences) -> Sequences:
    """The sequences on which the objective of a model is computed.

    A model that encodes channels separately trains on single channels, standardized and resampled
    to `seq_len`. For other models the offset of the model is subtracted; if it is 0, the sequences
    are returned as they are.
    """
    if not model.config.channel_independent:
        return centered(sequences, model.offset.detach().cpu().double().numpy())
    rows: list[npt.NDArray[Any]] = []
    for values in sequences.values:
        x = fill_missing(torch.from_numpy(np.array(values)))[None]
        channels = standardize_at(x, model.config.seq_len)[0].float().numpy()  # (C, L)
        rows.extend(channels[:, :, None])
    if sequences.n_channels == 1:
        return Sequences(
            rows,
            ids=sequences.ids,
            channels=sequences.channels,
            source=sequences.source,
        )
    names = [
        f"{name} {channel}" for name in sequences.ids for channel in sequences.channels
    ]
    return Sequences(rows, ids=names, channels=["value"], source=sequences.source)
