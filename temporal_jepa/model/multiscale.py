"""Embeddings of any series at several resolutions, each channel encoded separately.

An encoder trained on single standardized channels embeds series of any number of channels, any
length and any scale: every channel is resampled to each resolution and encoded by itself (channel
independence, PatchTST, arXiv 2211.14730). Legend of shapes: `B` batch, `T` timesteps, `C` channels,
`L` timesteps of a resolution, `N` tokens, `D` width, `F` features of a resolution.
"""

import functools
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import Pool
from .encoder import ContextEncoder, Encoded, pool_tokens
from .pooling import mask_at_random, offset_of

ROWS = 64  # channels that are encoded together
VALUES = 2048  # raw values of a series that are concatenated to its features
POINTS = (8, 256)  # minimum and maximum of them per channel


class MultiResolution(nn.Module):
    """Encode every channel at several resolutions; same methods as `Embedder`.

    The features of the channels are added up, each with fixed random signs (feature hashing, arXiv
    0902.2206), so that their number does not depend on the channels. The encoder sees standardized
    channels; level and scale are in the raw values that are concatenated, see `raw_values`.

    Args:
        encoder: encoder of one channel, with `normalize="instance"`.
        pool: see `TemporalJEPA.embed`; "all" is "quantiles" here.
        offset: subtracted from raw values, `(C,)` or `(1,)`.
    """

    offset: Tensor

    def __init__(
        self,
        encoder: ContextEncoder,
        pool: Pool = "all",
        offset: Tensor | None = None,
    ):
        super().__init__()
        self.register_buffer("offset", offset_of(encoder, offset), persistent=False)
        self.encoder = encoder
        self.resolutions = encoder.config.resolutions
        self.pool: Pool = "quantiles" if pool == "all" else pool

    def forward(self, x: Tensor) -> Tensor:
        """Complete series, `R` resolutions: `(B, T, C)` -> `(B, R * F + C * (p + 2))`."""
        # In float32 the rounding errors of a constant would be given a shape.
        x = x.double() - self.offset.double()
        parts = []
        for length in self.resolutions:
            channels = standardize_at(x, length)  # (B, C, L)
            pooled = pool_tokens(
                self._encode(channels.flatten(0, 1), drop=False), self.pool
            )
            parts.append(_add_channels(pooled, x.shape[2]))
        return torch.cat([*parts, raw_values(x).float()], dim=1)

    def features(
        self,
        x: Tensor,
        mask_ratio: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Embed series with missing values; gradients flow. Arguments as `Embedder.features`.

        Timesteps at both ends without any value are cut off, missing values are interpolated.
        """
        series = [fill_missing(row)[None] for row in x.double() - self.offset.double()]
        parts = []
        for length in self.resolutions:
            channels = torch.cat(
                [standardize_at(row, length) for row in series]
            )  # (B, C, L)
            pooled = [
                pool_tokens(self._encode(rows, True, mask_ratio, generator), self.pool)
                for rows in torch.split(channels.flatten(0, 1), ROWS)
            ]
            parts.append(_add_channels(torch.cat(pooled), x.shape[2]))
        values = torch.cat([raw_values(row) for row in series])
        return torch.cat([*parts, values.float()], dim=1).float()

    def tokens(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens of the highest resolution, summed over channels: `(B, N, D)`, bool `(B, N)`."""
        length = max(self.resolutions)
        channels = torch.cat(
            [standardize_at(fill_missing(row)[None], length) for row in x]
        )
        tokens = [
            self._encode(rows).layers[-1]
            for rows in torch.split(channels.flatten(0, 1), ROWS)
        ]
        added = _add_channels(torch.cat(tokens), x.shape[2]) / x.shape[2] ** 0.5
        return added.float(), torch.ones(
            added.shape[:2], dtype=torch.bool, device=x.device
        )

    def timesteps(self, x: Tensor) -> Tensor:
        """Tokens of the highest resolution, interpolated in time: `(B, T, C)` -> `(B, T, D)`.

        NaN before the first and after the last observed timestep.
        """
        tokens, _ = self.tokens(x)
        out = tokens.new_full((*x.shape[:2], tokens.shape[2]), float("nan"))
        for series, series_tokens, series_out in zip(x, tokens, out, strict=True):
            first, last = _observed_span(series)
            length = last - first + 1
            series_out[first : last + 1] = _interpolate_tokens(
                series_tokens, length, self.encoder.config.patch
            )
        return out

    def _encode(
        self,
        rows: Tensor,
        drop: bool = True,
        mask_ratio: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Encoded:
        """Single channels `(rows, L)` as a batch of the encoder."""
        x = rows[:, :, None].to(self.encoder.normalizer.mean.dtype)
        observed = torch.ones_like(x, dtype=torch.bool)
        observed = mask_at_random(self.encoder, observed, mask_ratio, generator)
        return self.encoder.encode(x, observed, drop)


def fill_missing(x: Tensor) -> Tensor:
    """A series without missing values: `(T, C)` -> float64 `(T', C)`.

    Timesteps at both ends without any value are cut off, missing values are interpolated linearly,
    a channel without any value becomes 0.
    """
    first, last = _observed_span(x)
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


def _observed_span(x: Tensor) -> tuple[int, int]:
    """First and last timestep with a value: `(T, C)`."""
    observed = torch.nonzero(~x.isnan().all(1))
    return int(observed[0]), int(observed[-1])


def resample(x: Tensor, length: int) -> Tensor:
    """Linear interpolation of each channel: `(B, T, C)` -> `(B, C, length)`."""
    return F.interpolate(
        x.transpose(1, 2), size=length, mode="linear", align_corners=True
    )


def standardize_at(x: Tensor, length: int) -> Tensor:
    """Resample to mean 0 and std 1: `(B, T, C)` -> `(B, C, length)`; constants become 0."""
    out = resample(x, length)
    out = out - out.mean(2, keepdim=True)
    std = out.square().mean(2, keepdim=True).sqrt()
    is_constant = std <= 1e-12 * x.abs().amax(1)[:, :, None]
    return torch.where(is_constant, 0.0, out / std.clamp(min=1e-300))


def raw_values(x: Tensor) -> Tensor:
    """`p` evenly spaced values of each channel, mean and std: `(B, T, C)` -> `(B, C * (p + 2))`.

    Mean and std are rounded to three digits of the std: for standardized series the rest is
    rounding error, which a later StandardScaler would amplify.
    """
    points = min(max(VALUES // x.shape[2], POINTS[0]), POINTS[1])
    mean = x.mean(1)
    std = (x - mean[:, None]).square().mean(1).sqrt()
    is_constant = std == 0
    digit = 10.0 ** (torch.log10(torch.where(is_constant, 1.0, std)) - 2).floor()
    level = torch.where(is_constant, mean, torch.round(mean / digit) * digit)
    scale = torch.round(std / digit) * digit
    return torch.cat([resample(x, points).flatten(1), level, scale], dim=1)


def _add_channels(features: Tensor, channels: int) -> Tensor:
    """Sum over channels with fixed signs: `(B * C, ..., F)` -> `(B, ..., F)`."""
    signs = torch.tensor(_signs(channels, features.shape[-1]), device=features.device)
    signs = signs.to(features.dtype)
    separate = torch.unflatten(features, 0, (-1, channels))  # (B, C, ..., F)
    if separate.ndim == 4:
        signs = signs[:, None]
    return (separate * signs).sum(1)


@functools.lru_cache(maxsize=8)
def _signs(channels: int, features: int) -> Sequence[Sequence[float]]:
    """Fixed random signs, -1 and 1: `(C, F)`.

    Lists: an exported graph holds them as constants.
    """
    return [
        np.random.default_rng(channel).choice([-1.0, 1.0], features).tolist()
        for channel in range(channels)
    ]


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
