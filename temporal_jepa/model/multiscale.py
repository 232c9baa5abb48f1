"""Embeddings of any series at several resolutions, each channel encoded separately.

An encoder trained on single standardized channels embeds series of any number of channels, any
length and any scale: every channel is resampled to each resolution and encoded by itself (channel
independence, PatchTST, arXiv 2211.14730). Legend of shapes: `B` batch, `T` timesteps, `C` channels,
`L` timesteps of a resolution, `w` windows, `W` responses, `N` tokens, `D` width, `F` features of a
resolution.
"""

import functools
import math
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import Pool, TemporalJEPAConfig
from .compact import Components
from .encoder import ContextEncoder, Encoded, pool_tokens, quantiles
from .pooling import mask_at_random, offset_of
from .tokenizers import ConvTokenizer, FilterTokenizer

VALUES = 2048  # raw values of a series that are concatenated to its features
POINTS = (8, 256)  # minimum and maximum of them per channel
LOWEST = 64  # timesteps of the lowest resolution that follows the length
HIGHEST = 65536  # timesteps of the highest one; longer series are resampled to it
WINDOW = 256  # timesteps in which tokens attend to each other, at such resolutions
CHUNK = 8192  # timesteps that are encoded together
ROUNDING = 2e-15  # changes below this share of the level are rounding errors of float64
TINY = 1e-307  # keeps a division by 0 from being one
GROUPS = 4  # of channels that share the numbers of a compact embedding
LEVELS = (0.2, 0.4, 0.6, 0.8, 1.0)  # quantiles of responses over time


def windows_at(
    config: TemporalJEPAConfig, resolution: float, length: int
) -> tuple[int, int]:
    """Windows of a series of `length` timesteps at a resolution, and timesteps of each.

    A resolution of 2 or more is one window of so many timesteps. From 0 to 1 it follows the length:
    0 is 64 timesteps, 1 the rate of the series, and what lies between is geometric. Series below
    128 timesteps are stretched, to at most twice their length.

    >>> config = TemporalJEPAConfig(
    ...     input_dim=1, tokenizer="filters", patch_len=8, normalize="instance", resolutions=(0, 1)
    ... )
    >>> [windows_at(config, 1, length) for length in (24, 150, 2000)]
    [(1, 48), (1, 152), (8, 256)]
    """
    if resolution >= 2:
        return 1, int(resolution)
    lowest = min(LOWEST, 2 * length)
    highest = min(max(length, min(2 * LOWEST, 2 * length)), HIGHEST)
    points = round(lowest ** (1 - resolution) * highest**resolution, 6)
    count = math.ceil(points / WINDOW)
    return count, math.ceil(points / count / config.patch) * config.patch


def shapes_at(config: TemporalJEPAConfig, length: int) -> tuple[tuple[int, int], ...]:
    """`windows_at` for all resolutions of a model."""
    return tuple(windows_at(config, size, length) for size in config.resolutions)


def highest(config: TemporalJEPAConfig, length: int) -> int:
    """Timesteps of a series of `length` at its highest resolution."""
    return max(math.prod(shape) for shape in shapes_at(config, length))


def follows_length(config: TemporalJEPAConfig) -> bool:
    """Whether a resolution of a model depends on the length of a series."""
    return any(resolution <= 1 for resolution in config.resolutions)


class MultiResolution(nn.Module):
    """Encode every channel at several resolutions; same methods as `Embedder`.

    The features of the channels are added up, each with fixed random signs (feature hashing, arXiv
    0902.2206), so that their number does not depend on the channels. The encoder sees standardized
    channels; level and scale are in the raw values that are concatenated, see `raw_values`.

    With the tokenizer "filters", the features of a resolution are quantiles over time of its
    responses and of the tokens of every layer but the tokenizer's. Otherwise they are quantiles of
    the tokens of every layer.

    Args:
        encoder: encoder of one channel, with `normalize="instance"`.
        pool: see `TemporalJEPA.embed`; "all" is "quantiles" here.
        offset: subtracted from raw values, `(C,)` or `(1,)`.
        components: of the features of a channel. With them, each channel is projected; the
            projections of up to four channels alternate, those of more are added up, see
            `_alternate`. Raw values, level and scale are left out.
        dim: numbers of the compact embedding; None: as many as there are components.
    """

    offset: Tensor

    def __init__(
        self,
        encoder: ContextEncoder,
        pool: Pool = "all",
        offset: Tensor | None = None,
        components: Components | None = None,
        dim: int | None = None,
    ):
        super().__init__()
        self.register_buffer("offset", offset_of(encoder, offset), persistent=False)
        self.encoder = encoder
        self.components = components
        self.dim = dim
        self.resolutions = encoder.config.resolutions
        self.pool: Pool = "quantiles" if pool == "all" else pool

    def forward(self, x: Tensor) -> Tensor:
        """Complete series, `R` resolutions: `(B, T, C)` -> `(B, R * F + C * (p + 2))`.

        With components, `(B, dim)`.
        """
        # In float32 the rounding errors of a constant would be given a shape.
        return self._embed([x.double() - self.offset.double()])

    def features(
        self,
        x: Tensor,
        mask_ratio: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Embed series with missing values; gradients flow. Arguments as `Embedder.features`.

        Timesteps at both ends without any value are cut off, missing values are interpolated.
        """
        embedded = []
        order: list[int] = []
        for rows, series in self._alike(x.double() - self.offset.double()):
            embedded.append(self._embed(series, mask_ratio, generator))
            order += rows
        return torch.cat(embedded)[np.argsort(order)].float()

    def learned(self, x: Tensor) -> Tensor:
        """The features of each channel, without signs and raw values: `(B * C, R * F)`.

        Rows of a series follow each other. `x` may have missing values.
        """
        channels = x.shape[2]
        features = []
        order: list[int] = []
        for rows, series in self._alike(x.double() - self.offset.double()):
            parts = torch.cat(self._by_resolution(series), dim=1)
            features.append(torch.unflatten(parts, 0, (-1, channels)))
            order += rows
        return torch.cat(features)[np.argsort(order)].flatten(0, 1).float()

    def tokens(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens of the highest resolution, summed over channels: `(B, N, D)`, bool `(B, N)`.

        `N` is that of the longest series.
        """
        found = [
            (rows, self._tokens(series)) for rows, series in self._alike(x.double())
        ]
        longest = max(tokens.shape[1] for _, tokens in found)
        width = self.encoder.config.embed_dim
        out = torch.zeros(len(x), longest, width, dtype=torch.float32, device=x.device)
        observed = torch.zeros(len(x), longest, dtype=torch.bool, device=x.device)
        for rows, tokens in found:
            out[rows, : tokens.shape[1]] = tokens
            observed[rows, : tokens.shape[1]] = True
        return out, observed

    def timesteps(self, x: Tensor) -> Tensor:
        """Tokens of the highest resolution, interpolated in time: `(B, T, C)` -> `(B, T, D)`.

        NaN before the first and after the last observed timestep.
        """
        tokens, observed = self.tokens(x)
        out = tokens.new_full((*x.shape[:2], tokens.shape[2]), float("nan"))
        for series, series_tokens, count, series_out in zip(
            x, tokens, observed.sum(1).tolist(), out, strict=True
        ):
            first, last = observed_span(series)
            length = last - first + 1
            series_out[first : last + 1] = _interpolate_tokens(
                series_tokens[:count], length, self.encoder.config.patch
            )
        return out

    def _alike(self, x: Tensor) -> list[tuple[list[int], list[Tensor]]]:
        """Rows of a batch `(B, T, C)` that have the same shapes at all resolutions.

        Returns:
            For each group, its rows and its series without missing values, `(b, T', C)` each.
        """
        if not bool(x.isnan().any()):
            return [(list(range(len(x))), [x])]
        groups: dict[tuple[tuple[int, int], ...], tuple[list[int], list[Tensor]]] = {}
        for row, values in enumerate(x):
            series = fill_missing(values)[None]
            shapes = shapes_at(self.encoder.config, series.shape[1])
            rows, members = groups.setdefault(shapes, ([], []))
            rows.append(row)
            members.append(series)
        return list(groups.values())

    def _embed(
        self,
        series: list[Tensor],
        mask_ratio: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Complete series of the same shapes, float64 `(b, T, C)` each.

        Returns:
            `(B, R * F + C * (p + 2))`, `B` series in all; `(B, dim)` with components.
        """
        channels = series[0].shape[2]
        features = self._by_resolution(series, mask_ratio, generator)
        if self.components is not None:
            compact = self.components(torch.cat(features, dim=1))  # (B * C, K)
            return _alternate(compact, channels)[:, : self.dim]
        values = torch.cat([raw_values(x) for x in series]).float()
        parts = [_add_channels(part, channels) for part in features]
        return torch.cat([*parts, values], dim=1)

    def _by_resolution(
        self,
        series: list[Tensor],
        mask_ratio: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> list[Tensor]:
        """Features of single channels, `(B * C, F)` for each resolution; arguments as `_embed`."""
        shapes = shapes_at(self.encoder.config, series[0].shape[1])
        parts: dict[tuple[int, int], Tensor] = {}
        for shape in dict.fromkeys(shapes):
            pooled = [
                self._pooled(rows, shape[0], mask_ratio, generator)
                for rows in self._rows(series, shape)
            ]
            parts[shape] = torch.cat(pooled)
        return [parts[shape] for shape in shapes]

    def _tokens(self, series: list[Tensor]) -> Tensor:
        """Tokens of complete series of the same shapes at the highest resolution: `(B, N, D)`."""
        channels = series[0].shape[2]
        highest = max(self.resolutions)
        shape = windows_at(self.encoder.config, highest, series[0].shape[1])
        tokens = [
            self._encode(rows, None, shape[0])[1].layers[-1]
            for rows in self._rows(series, shape)
        ]
        added = _add_channels(torch.cat(tokens), channels)
        return (added / math.sqrt(channels)).float()

    def _rows(self, series: list[Tensor], shape: tuple[int, int]) -> tuple[Tensor, ...]:
        """Channels at a resolution of `shape` (windows, timesteps), standardized.

        Returns:
            `(n, L, 1)` each, chunks of the `B * C` channels that bound the memory.
        """
        length = shape[0] * shape[1]
        rows = torch.cat([standardize_at(x, length).flatten(0, 1) for x in series])
        rows = rows[:, :, None].to(self.encoder.normalizer.mean.dtype)
        if torch.compiler.is_exporting():
            return (rows,)
        count = max(1, CHUNK // length)
        return torch.split(rows, count - count % 8 if count > 8 else count)

    def _pooled(
        self,
        rows: Tensor,
        windows: int,
        mask_ratio: float,
        generator: torch.Generator | None,
    ) -> Tensor:
        """Encode and pool single channels, masked at random: `(n, L, 1)` -> `(n, F)`."""
        observed = None
        if mask_ratio > 0:
            observed = torch.ones_like(rows, dtype=torch.bool)
            observed = mask_at_random(self.encoder, observed, mask_ratio, generator)
            rows = self.encoder.normalizer(rows, observed)
        responses, encoded = self._encode(rows, observed, windows)
        if responses is None or self.pool != "quantiles":
            return pool_tokens(encoded, self.pool)
        valid = None if observed is None else observed[:, :, 0]
        of_responses = quantiles(responses[:, None], valid, LEVELS)
        return torch.cat(
            [of_responses, pool_tokens(encoded.without_tokenizer(), self.pool)], dim=1
        )

    def _encode(
        self, rows: Tensor, observed: Tensor | None, windows: int
    ) -> tuple[Tensor | None, Encoded]:
        """Encode standardized single channels `(n, L, 1)`; tokens attend within windows.

        Returns:
            the responses of a `FilterTokenizer`, `(n, W, L)`, and the encoded tokens.
        """
        encoder = self.encoder
        tokenizer = encoder.tokenizer
        assert isinstance(tokenizer, ConvTokenizer)
        responses = tokenizer.responses(rows, observed, encoder.normalizer.slope)
        tokens = tokenizer.pool(responses, rows, observed)
        seen = None if observed is None else encoder.tokens_observed(observed)
        if windows > 1:
            tokens = torch.unflatten(tokens, 1, (windows, -1)).flatten(0, 1)
            seen = (
                None
                if seen is None
                else torch.unflatten(seen, 1, (windows, -1)).flatten(0, 1)
            )
        encoded = encoder.attend(tokens, seen)
        if windows > 1:
            encoded = encoded.joined(windows)
        return responses if isinstance(tokenizer, FilterTokenizer) else None, encoded


def fill_missing(x: Tensor) -> Tensor:
    """A series without missing values: `(T, C)` -> float64 `(T', C)`.

    Timesteps at both ends without any value are cut off, missing values are interpolated linearly,
    a channel without any value becomes 0.
    """
    first, last = observed_span(x)
    values = x[first : last + 1].double()
    if not bool(values.isnan().any()):
        return values
    filled = values.cpu().numpy().copy()
    time = np.arange(len(filled))
    for channel in filled.T:
        observed = ~np.isnan(channel)
        if observed.any():
            channel[:] = np.interp(time, time[observed], channel[observed])
        else:
            channel[:] = 0.0
    return torch.from_numpy(filled).to(x.device)


def observed_span(x: Tensor) -> tuple[int, int]:
    """First and last timestep with a value: `(T, C)`."""
    observed = torch.nonzero(~x.isnan().all(1))
    return int(observed[0]), int(observed[-1])


def resample(x: Tensor, length: int) -> Tensor:
    """Linear interpolation of each channel: `(B, T, C)` -> `(B, C, length)`."""
    return F.interpolate(
        x.transpose(1, 2), size=length, mode="linear", align_corners=True
    )


def standardize_at(x: Tensor, length: int) -> Tensor:
    """Resample to mean 0 and std 1: `(B, T, C)` -> `(B, C, length)`; constants become 0.

    Differences from the first value are exact, so a large level costs no digits.
    """
    change = x - x[:, :1]
    extent = change.abs().amax(1, keepdim=True)  # (B, 1, C)
    is_constant = extent <= ROUNDING * x.abs().amax(1, keepdim=True)
    change = torch.where(is_constant, 0.0, change / extent.clamp(min=TINY))
    out = resample(change, length)
    out = out - out.mean(2, keepdim=True)
    std = out.square().mean(2, keepdim=True).sqrt()
    return torch.where(std > 0, out / std.clamp(min=TINY), 0.0)


def point_count(channels: int) -> int:
    """How many evenly spaced values of a channel are concatenated to the features."""
    return min(max(VALUES // channels, POINTS[0]), POINTS[1])


def raw_values(x: Tensor) -> Tensor:
    """`p` evenly spaced values of each channel, mean and std: `(B, T, C)` -> `(B, C * (p + 2))`.

    Mean and std are rounded to three digits of the std: for standardized series the rest is
    rounding error, which a later StandardScaler would amplify.
    """
    points = point_count(x.shape[2])
    mean = x.mean(1)
    std = (x - mean[:, None]).square().mean(1).sqrt()
    is_constant = std == 0
    digit = 10.0 ** (torch.log10(torch.where(is_constant, 1.0, std)) - 2).floor()
    level = torch.where(is_constant, mean, torch.round(mean / digit) * digit)
    scale = torch.round(std / digit) * digit
    return torch.cat([resample(x, points).flatten(1), level, scale], dim=1)


def _add_channels(features: Tensor, channels: int) -> Tensor:
    """Sum over channels with fixed signs: `(B * C, ..., F)` -> `(B, ..., F)`."""
    signs = torch.from_numpy(_signs(channels, features.shape[-1])).to(features)
    separate = torch.unflatten(features, 0, (-1, channels))  # (B, C, ..., F)
    if separate.ndim == 4:
        signs = signs[:, None]
    return (separate * signs).sum(1)


def _alternate(projections: Tensor, channels: int) -> Tensor:
    """Projections of all channels in as many numbers as one has: `(B * C, K)` -> `(B, K)`.

    The channels are dealt to at most four groups in turn; those of a group are added up with fixed
    signs and divided by the root of their number. The first component of every group comes first,
    then the second of every group, and so on: `K / 4` of each for four channels.
    """
    count = projections.shape[1]
    signs = torch.from_numpy(_signs(channels, count)).to(projections)
    separate = torch.unflatten(projections, 0, (-1, channels)) * signs  # (B, C, K)
    groups = min(channels, GROUPS)
    sums = []
    for group in range(groups):
        members = separate[:, group::groups]
        sums.append(members.sum(1) / math.sqrt(members.shape[1]))
    return torch.stack(sums, dim=2).flatten(1)[:, :count]


@functools.lru_cache(maxsize=8)
def _signs(channels: int, features: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Fixed random signs, -1 and 1: `(C, F)`."""
    draws = [
        np.random.default_rng(channel).choice([-1.0, 1.0], features)
        for channel in range(channels)
    ]
    return np.stack(draws).astype(np.float32)


def _interpolate_tokens(tokens: Tensor, length: int, patch: int) -> Tensor:
    """Interpolate between the centers of patches: `(N, D)` -> `(length, D)`."""
    count = len(tokens)
    time = torch.arange(length, device=tokens.device, dtype=torch.float64) / max(
        length - 1, 1
    )
    position = (time * (count * patch - 1) - (patch - 1) / 2) / patch
    position = position.clamp(0, count - 1)
    low = position.floor().long().clamp(max=max(count - 2, 0))
    high = (low + 1).clamp(max=count - 1)
    weight = (position - low)[:, None]
    return (tokens[low] * (1 - weight) + tokens[high] * weight).to(tokens.dtype)
