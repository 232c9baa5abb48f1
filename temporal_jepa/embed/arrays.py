"""From sequences to arrays: embeddings in batches of sequences of one padded length."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, get_args, overload

import numpy as np
import numpy.typing as npt
import torch

from ..config import Pool, TemporalJEPAConfig
from ..data.lazy import LazyArrays
from ..data.sequences import Sequences
from ..model.encoder import MAX_TOKENS
from ..model.jepa import TemporalJEPA
from ..model.multiscale import CHUNK, highest, shapes_at
from .frames import as_frame
from .names import feature_names, timestep_names

if TYPE_CHECKING:
    import pandas as pd

BATCH_TOKENS = 4096  # per batch, a bound on memory
Output = Literal["array", "frame"]
"""What embeddings come back as: arrays, or a DataFrame with ids, labels, times and names."""


@overload
def embed_sequences(
    model: TemporalJEPA,
    sequences: Sequences,
    pool: Pool = "all",
    batch_tokens: int = BATCH_TOKENS,
    dim: int | None = None,
    on_sequences: Callable[[int], None] = ...,
    output: Literal["array"] = "array",
) -> npt.NDArray[np.float32]: ...


@overload
def embed_sequences(
    model: TemporalJEPA,
    sequences: Sequences,
    pool: Pool = "all",
    batch_tokens: int = BATCH_TOKENS,
    dim: int | None = None,
    on_sequences: Callable[[int], None] = ...,
    *,
    output: Literal["frame"],
) -> "pd.DataFrame": ...


def embed_sequences(
    model: TemporalJEPA,
    sequences: Sequences,
    pool: Pool = "all",
    batch_tokens: int = BATCH_TOKENS,
    dim: int | None = None,
    on_sequences: Callable[[int], None] = lambda count: None,
    output: Output = "array",
) -> "npt.NDArray[np.float32] | pd.DataFrame":
    """One embedding per sequence, in the order given.

    Args:
        model: as trained or loaded; used on its device.
        sequences: any lengths, NaN where missing; the channels the model was trained on (a model
            with `resolutions` takes any channels).
        pool: see `TemporalJEPA.embed`.
        batch_tokens: tokens per batch.
        dim: numbers of a compact embedding, see `TemporalJEPA.embed`; None: all features.
        on_sequences: called with the number of sequences of each batch that is done.
        output: "array", or "frame": a DataFrame with the ids, labels and times of the sequences,
            see `as_frame`, and the names of the features, see `feature_names`.

    Returns:
        float32 `(n, features)`, or `(n, dim)`; a DataFrame of `n` rows for "frame".

    Raises:
        ValueError: if the channels differ from the model's, a sequence has no observed value, or
            the model cannot compute `dim`; for another `output`.

    >>> from temporal_jepa import from_pretrained
    >>> walks = Sequences.from_arrays(np.random.default_rng(0).normal(size=(3, 1, 40)).cumsum(-1))
    >>> embed_sequences(from_pretrained("series-small"), walks, dim=128).shape
    (3, 128)
    """
    _check_output(output)
    out: npt.NDArray[np.float32] | None = None
    for rows, x in _batches(model, sequences, batch_tokens):
        with torch.inference_mode():
            features = model.embed(x, pool, dim).float().cpu().numpy()
        if out is None:
            out = np.empty((len(sequences), features.shape[1]), dtype=np.float32)
        out[rows] = features[: len(rows)]
        on_sequences(len(rows))
    assert out is not None  # there are no `Sequences` without a sequence
    if output == "array":
        return out
    names = feature_names(model, sequences.channels, pool, dim)
    return as_frame(sequences, out, names)


def _check_output(output: str) -> None:
    """ValueError for an unknown container."""
    if output not in get_args(Output):
        raise ValueError(
            f"output must be one of {', '.join(get_args(Output))}, got {output!r}"
        )


def learned_features(
    model: TemporalJEPA, sequences: Sequences, batch_tokens: int = BATCH_TOKENS
) -> npt.NDArray[np.float32]:
    """The features on which the components of a model are fitted, without what is appended to them.

    Returns:
        float32 `(n, F)`; `(n * channels, F)` for a model that encodes channels separately, the
        channels of a sequence one after the other.

    Raises:
        ValueError: as `embed_sequences`.
    """
    out: dict[int, npt.NDArray[np.float32]] = {}
    reader = model.embedder()
    for rows, x in _batches(model, sequences, batch_tokens):
        with torch.inference_mode():
            features = reader.learned(x).float().cpu().numpy()
        for row, part in zip(rows, np.split(features, len(x)), strict=False):
            out[int(row)] = part
    return np.concatenate([out[row] for row in range(len(sequences))])


@overload
def embed_timesteps(
    model: TemporalJEPA,
    sequences: Sequences,
    batch_tokens: int = BATCH_TOKENS,
    on_sequences: Callable[[int], None] = ...,
    output: Literal["array"] = "array",
) -> list[npt.NDArray[np.float32]]: ...


@overload
def embed_timesteps(
    model: TemporalJEPA,
    sequences: Sequences,
    batch_tokens: int = BATCH_TOKENS,
    on_sequences: Callable[[int], None] = ...,
    *,
    output: Literal["frame"],
) -> "pd.DataFrame": ...


def embed_timesteps(
    model: TemporalJEPA,
    sequences: Sequences,
    batch_tokens: int = BATCH_TOKENS,
    on_sequences: Callable[[int], None] = lambda count: None,
    output: Output = "array",
) -> "list[npt.NDArray[np.float32]] | pd.DataFrame":
    """One embedding per timestep: float32 `(time_i, embed_dim)` for each sequence.

    NaN where a whole patch is unobserved; see `TemporalJEPA.embed_timesteps`. A "frame" has a row
    for each timestep of each sequence. Other arguments and errors as `embed_sequences`.

    >>> from temporal_jepa import from_pretrained
    >>> walks = Sequences.from_arrays(np.random.default_rng(0).normal(size=(3, 1, 40)).cumsum(-1))
    >>> embed_timesteps(from_pretrained("series-small"), walks)[0].shape
    (40, 64)
    """
    _check_output(output)
    out: list[npt.NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(
        sequences
    )
    for rows, x in _batches(model, sequences, batch_tokens):
        steps = model.embed_timesteps(x).float().cpu().numpy()
        for row, embedding in zip(rows, steps, strict=False):  # padding comes last
            out[row] = embedding[: len(sequences.values[row])].copy()
        on_sequences(len(rows))
    if output == "array":
        return out
    return as_frame(sequences, out, timestep_names(model))


def embed_tokens(
    model: TemporalJEPA,
    sequences: Sequences,
    batch_tokens: int = BATCH_TOKENS,
    on_sequences: Callable[[int], None] = lambda count: None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """The tokens of every sequence, padded at the end to those of the longest one.

    Returns:
        float32 `(n, N, embed_dim)`, 0 where there is no token, and bool `(n, N)`, True where there
        is one; see `TemporalJEPA.embed_tokens`.

    Raises:
        ValueError: as `embed_sequences`.
    """
    config = model.config
    if config.channel_independent:
        longest = highest(config, int(sequences.lengths.max())) // config.patch
    else:
        longest = math.ceil(sequences.lengths.max() / config.patch)
        longest *= math.prod(config.cells)
    out = np.zeros((len(sequences), longest, config.embed_dim), dtype=np.float32)
    out_observed = np.zeros((len(sequences), longest), dtype=bool)
    for rows, x in _batches(model, sequences, batch_tokens):
        tokens, observed = model.embed_tokens(x)
        count = min(longest, tokens.shape[1])
        out[rows, :count] = tokens[: len(rows), :count].float().cpu().numpy()
        out_observed[rows, :count] = observed[: len(rows), :count].cpu().numpy()
        on_sequences(len(rows))
    return out, out_observed


def embed_layers(
    model: TemporalJEPA,
    sequences: Sequences,
    batch_tokens: int = BATCH_TOKENS,
    on_sequences: Callable[[int], None] = lambda count: None,
) -> list[npt.NDArray[np.float32]]:
    """The tokens of the tokenizer and of every layer, side by side.

    Returns:
        float32 `(tokens_i, layers * embed_dim)` for each sequence, NaN where a token has no
        observed value. With `resolutions`, the last layer alone.

    Raises:
        ValueError: as `embed_sequences`.
    """
    out: list[npt.NDArray[np.float32]] = [np.empty(0, dtype=np.float32)] * len(
        sequences
    )
    cells = math.prod(model.config.cells)
    for rows, x in _batches(model, sequences, batch_tokens):
        tokens, observed = _layers(model, x)
        tokens = tokens.masked_fill(~observed[..., None], float("nan"))
        found = tokens.float().cpu().numpy()
        for row, embedding, own in zip(rows, found, observed, strict=False):
            count = int(own.sum())
            if not model.config.channel_independent:
                count = math.ceil(len(sequences.values[row]) / model.config.patch)
                count *= cells
            out[row] = embedding[:count].copy()
        on_sequences(len(rows))
    return out


@torch.no_grad()
def _layers(model: TemporalJEPA, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens `(B, N, features)` of a batch, and which are observed, `(B, N)`."""
    if model.config.channel_independent:
        return model.embed_tokens(x)
    encoder = model.target_encoder
    encoded = encoder.encode(*encoder.prepare(x - model.offset))
    side_by_side = torch.cat(encoded.layers, dim=-1)
    return replace(encoded, layers=[side_by_side]).on_grid()


def _batches(
    model: TemporalJEPA, sequences: Sequences, batch_tokens: int
) -> Iterator[tuple[npt.NDArray[np.int64], torch.Tensor]]:
    """Indices `(n,)` and values `(b, T, C)` of sequences of a bucket; rows after `n` are padding.

    Kernels round differently in other shapes. The padded length of a sequence depends on itself
    alone, and `_row_counts` allows few numbers of rows, so that its embedding does not depend on
    the other sequences.
    """
    check_channels(model, sequences)
    config = model.config
    device = next(model.parameters()).device
    buckets: dict[_Bucket, list[int]] = {}
    for row, values in enumerate(sequences.values):
        buckets.setdefault(_bucket(config, values), []).append(row)
    for bucket, members in buckets.items():
        tokens = [size // config.patch for size in bucket.sizes]
        cells = (
            sequences.n_channels
            if config.channel_independent
            else math.prod(config.cells)
        )
        largest, unit = _row_counts(
            min(tokens) * cells, max(tokens) * cells, batch_tokens
        )
        if config.channel_independent and max(bucket.sizes) > CHUNK // 2:
            largest = 1  # `MultiResolution` encodes them one by one anyway
            unit = 1
        if device.type != "cpu":  # small batches are no faster there
            unit = largest
        for start in range(0, len(members), largest):
            rows = np.array(members[start : start + largest])
            padding = np.repeat(rows[:1], -len(rows) % unit)
            batch = sequences.batch(np.concatenate([rows, padding]), bucket.length)
            x = torch.from_numpy(batch)
            if device.type == "mps":  # has no float64
                x = x.float()
            yield rows, x.to(device)


@dataclass(frozen=True)
class _Bucket:
    """What decides the shapes that a sequence meets.

    Args:
        sizes: timesteps that are encoded, at each resolution.
        length: padded length of a sequence; 0 if sequences are resampled anyway.
        is_masked: whether attention is masked.
        is_double: whether the values are float64.
    """

    sizes: tuple[int, ...]
    length: int
    is_masked: bool
    is_double: bool


def _bucket(config: TemporalJEPAConfig, x: npt.NDArray[Any]) -> _Bucket:
    """The bucket of a sequence `(T, C)`.

    With resolutions, sequences of a bucket are resampled to the same numbers of timesteps.
    Otherwise they have 1 to 16 patches, then 8 sizes per octave: any lengths fill few buckets.
    Attention is masked if values are missing or a patch is padding. Then there is a patch to spare,
    because attention is not masked in a batch in which all tokens are observed.
    """
    has_gaps = x.dtype != np.uint8 and bool(np.isnan(x).any())
    is_double = x.dtype == np.float64
    if config.channel_independent:
        length = len(x)
        if has_gaps:  # unobserved ends are cut off
            observed = np.flatnonzero(~np.isnan(x).all(axis=1))
            length = int(np.ptp(observed)) + 1 if len(observed) else 1
        sizes = tuple(math.prod(shape) for shape in shapes_at(config, length))
        return _Bucket(sizes, 0, False, is_double)
    patches = math.ceil(len(x) / config.patch)
    is_masked = has_gaps or _next_size(config, patches) > patches
    padded = _next_size(config, patches + is_masked)
    longest = MAX_TOKENS // math.prod(config.cells)
    length = min(padded, longest) * config.patch
    length = max(length, len(x))  # what is too long is refused as it is
    return _Bucket((length,), length, is_masked, is_double)


def _next_size(config: TemporalJEPAConfig, patches: int) -> int:
    """The next of 1 to 16, 18, 20, ..., 32, 36, 40, ..., 64, 72, ...: 8 per octave.

    Attention of narrow heads rounds by the alignment of the buffers of a thread, except for
    multiples of four.
    """
    is_narrow = config.embed_dim // config.num_heads < 16
    step = max(4 if is_narrow else 1, 2 ** (patches.bit_length() - 4))
    return int(math.ceil(patches / step) * step)


def _row_counts(fewest: int, most: int, batch_tokens: int) -> tuple[int, int]:
    """Rows of a batch at most, and the number of which they are a multiple.

    A row has the same bits in all batches of these sizes: matrix products take rows in groups of 8,
    fewer than 16 of them in another way, and convolutions treat a single row in their own way.

    Args:
        fewest: tokens of a row, at its lowest resolution.
        most: tokens of a row, at its highest resolution.
        batch_tokens: tokens of a batch at most.
    """
    largest = max(1, batch_tokens // max(most, 1))
    unit = 8 if fewest % 8 else 2
    if fewest == 1:
        unit = 16
    unit = min(unit, largest)
    return largest - largest % unit, unit


def check_channels(model: TemporalJEPA, sequences: Sequences) -> None:
    """ValueError unless the model takes the channels of the sequences."""
    config = model.config
    if config.channel_independent:
        if sequences.frame is None:
            return
        raise ValueError(
            f"{sequences.source}: the model embeds series, got frames of {sequences.frame} (rows, "
            'columns, channels); train a model of them, init_from="scratch"'
        )
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
    if isinstance(sequences.values, LazyArrays):
        shifted = sequences.values.mapped(
            partial(_minus, offset=offset),
            frozenset({"float64"}),
            f"- {offset.tolist()}",
        )
        return replace(sequences, values=shifted)
    return replace(sequences, values=[_minus(x, offset) for x in sequences.values])


def _minus(x: npt.NDArray[Any], offset: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    return x.astype(np.float64) - offset
