"""From values to tokens: normalization, and the maps from patches of timesteps to vectors.

Legend of shapes: `B` batch, `T` timesteps, `C` channels, `P` timesteps per patch, `N` tokens, `D`
width, `W` width of the convolutions; `R` x `S` cells (rows x columns) of a frame, `p` pixels per
side of a cell, `F` channels of a pixel. A plain series has one cell of all its channels. Tokenizers
take values that are 0 where unobserved, so that masked content cannot leak through a convolution.
"""

from collections.abc import Mapping
from typing import ClassVar, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import TemporalJEPAConfig


class Normalizer(nn.Module):
    """Standardize channels; unobserved values become 0.

    Uses the channel statistics of the training data and, with `normalize="instance"`, each
    sequence's own on top. With `normalize="slow"` the standardized channels are mixed.
    """

    mean: Tensor
    std: Tensor
    slope: Tensor
    mixing: Tensor

    def __init__(self, config: TemporalJEPAConfig):
        super().__init__()
        self.instance = config.normalize == "instance"
        self.register_buffer("mean", torch.zeros(config.input_dim))
        self.register_buffer("std", torch.ones(config.input_dim))
        # Standard deviation of the first difference, in units of std.
        self.register_buffer("slope", torch.ones(config.input_dim))
        self.mixes = config.normalize == "slow"
        if self.mixes:
            self.register_buffer("mixing", torch.eye(config.input_dim))

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """`(B, T, C)` and bool `(B, T, C)` -> `(B, T, C)`; statistics are of observed values."""
        x = torch.where(observed, (x - self.mean) / self.std, 0.0)
        if self.mixes:  # in fp32: small differences of channels become large ones
            with torch.autocast(x.device.type, enabled=False):
                x = x @ self.mixing
        if self.instance:
            mean, std = self.moments(x, observed)
            x = torch.where(observed, (x - mean[:, None]) / std[:, None], 0.0)
        return x

    def observed(self, observed: Tensor) -> Tensor:
        """Which values of the output are observed: bool `(B, T, C)` each.

        A mixture is observed where any channel is; a missing channel counts as its mean there.
        """
        return (
            observed.any(-1, keepdim=True).expand_as(observed)
            if self.mixes
            else observed
        )

    def moments(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and std of each sequence and channel, `(B, C)` each; `x` is 0 where unobserved."""
        count = observed.sum(1).clamp(min=1)  # (B, C)
        mean = x.sum(1) / count
        square = torch.where(observed, x - mean[:, None], 0.0).square().sum(1) / count
        return mean, square.sqrt().clamp(min=0.01)


def largest(x: Tensor) -> Tensor:
    """The maximum over the last axis, with gradients that torch.compile computes too.

    The gradient of `amax` looks for values that equal the maximum. Compiled, values are computed
    again for it, may differ from the maximum by rounding, and the gradient is then 0 / 0. That of
    `max` keeps the index; without gradients `amax` is three times as fast.
    """
    return x.max(-1).values if x.requires_grad else x.amax(-1)


class PatchGrid:
    """Which values belong to which token: boxes of `patch_len` x `patch_size` x `patch_size`."""

    def __init__(self, config: TemporalJEPAConfig):
        self.height, self.width, self.channels = config.frame_shape
        self.rows, self.columns = config.cells
        self.patch_len = config.patch
        self.side = config.side

    def patchify(self, x: Tensor) -> Tensor:
        """`(B, T, C)` -> `(B, N, P * p * p * F)`; `T` in whole patches, zeros beyond the frame."""
        below = self.rows * self.side - self.height
        right = self.columns * self.side - self.width
        x = torch.unflatten(x, -1, (self.height, self.width, self.channels))
        x = F.pad(x, (0, 0, 0, right, 0, below))  # (B, T, R * p, S * p, F)
        x = torch.unflatten(x, 3, (self.columns, self.side))
        x = torch.unflatten(x, 2, (self.rows, self.side))
        x = torch.unflatten(x, 1, (-1, self.patch_len))  # (B, T / P, P, R, p, S, p, F)
        return x.permute(0, 1, 3, 5, 2, 4, 6, 7).flatten(4).flatten(1, 3)

    def unpatchify(self, tokens: Tensor) -> Tensor:
        """One value per token to all values of its box: `(B, N)` -> `(B, T, C)`."""
        high = self.rows * self.side
        wide = self.columns * self.side
        x = tokens.reshape(len(tokens), -1, 1, self.rows, 1, self.columns, 1, 1)
        x = x.expand(
            -1, -1, self.patch_len, -1, self.side, -1, self.side, self.channels
        )
        x = x.reshape(len(x), -1, high, wide, self.channels)
        return x[:, :, : self.height, : self.width].flatten(2)


class LinearTokenizer(nn.Module):
    """A linear map of each box, for "linear" and "tubelet": `(B, T, C)` -> `(B, N, D)`."""

    def __init__(self, config: TemporalJEPAConfig):
        super().__init__()
        self.grid = PatchGrid(config)
        values = config.patch * config.side**2 * config.frame_shape[2]
        self.project = nn.Linear(values, config.embed_dim)

    def forward(self, x: Tensor, observed: Tensor, slope: Tensor) -> Tensor:
        """`x (B, T, C)`, zeros where unobserved -> `(B, N, D)`."""
        return _project(self.project, self.grid.patchify(x))


class PatchTokenizer(nn.Module):
    """A perceptron of two hidden layers on each box, for "patch": `(B, T, C)` -> `(B, N, D)`.

    The mean and standard deviation of each channel over the box are concatenated to its values. A
    token sees its own box alone, as the targets of `NextLatent` must.
    """

    def __init__(self, config: TemporalJEPAConfig):
        super().__init__()
        self.grid = PatchGrid(config)
        self.channels = config.frame_shape[2]
        values = config.patch * config.side**2 * self.channels
        width = 2 * config.embed_dim
        self.layers = nn.Sequential(
            nn.Linear(values + 2 * self.channels, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, config.embed_dim),
        )

    def forward(self, x: Tensor, observed: Tensor, slope: Tensor) -> Tensor:
        """`x (B, T, C)`, zeros where unobserved, bool `(B, T, C)` -> `(B, N, D)`."""
        boxes = self.grid.patchify(x)  # (B, N, values)
        values = torch.unflatten(boxes, -1, (-1, self.channels))
        is_observed = torch.unflatten(
            self.grid.patchify(observed), -1, (-1, self.channels)
        )
        count = is_observed.sum(-2).clamp(min=1)  # (B, N, C)
        mean = values.sum(-2) / count
        deviation = torch.where(is_observed, values - mean[..., None, :], 0.0)
        std = (deviation.square().sum(-2) / count + 1e-6).sqrt()
        tokens: Tensor = self.layers(torch.cat([boxes, mean, std], dim=-1))
        return tokens


class ConvTokenizer(nn.Module):
    """Convolutions of several kernels over value and slope, mean- and max-pooled per patch.

    The mean and standard deviation of the patch are concatenated: offset and scale are kept.
    """

    KERNELS: ClassVar = {
        "conv": ((3, 1), (9, 1), (17, 1)),
        "dilated": ((9, 1), (9, 2), (9, 4), (9, 8), (9, 16)),
        "filters": ((9, 1), (9, 2), (9, 4), (9, 8), (9, 16)),
    }
    """Tokenizer -> (kernel size, dilation) of its convolutions."""

    def __init__(self, config: TemporalJEPAConfig):
        super().__init__()
        self.patch_len = config.patch
        self.channels = config.frame_shape[2]
        width = config.embed_dim // 2
        self.convolutions = nn.ModuleList()
        for kernel_size, dilation in self.KERNELS[config.tokenizer]:
            padding = kernel_size // 2 * dilation
            self.convolutions.append(
                nn.Conv1d(
                    2 * self.channels,
                    width,
                    kernel_size,
                    padding=padding,
                    dilation=dilation,
                )
            )
        features = 2 * len(self.convolutions) * width + 2 * self.channels
        self.norm = nn.LayerNorm(features)
        self.project = nn.Linear(features, config.embed_dim)

    def forward(self, x: Tensor, observed: Tensor, slope: Tensor) -> Tensor:
        """`x (B, T, C)`, zeros where unobserved, bool `(B, T, C)`, slope `(C,)` -> `(B, N, D)`.

        The cells of a frame are separate series that share the weights.
        """
        cells = x.shape[-1] // self.channels
        slope = slope[: self.channels]
        if cells == 1:
            return self._tokenize(x, observed, slope)
        # Split and concatenate: torch.export cannot follow a flattened transpose.
        x = torch.cat(torch.split(x, self.channels, dim=-1))  # (cells * B, T, F)
        observed = torch.cat(torch.split(observed, self.channels, dim=-1))
        tokens = self._tokenize(x, observed, slope)  # (cells * B, T / P, D)
        tokens = torch.unflatten(tokens, 0, (cells, -1))
        return tokens.permute(1, 2, 0, 3).flatten(1, 2)  # (B, N, D), time slowest

    def _tokenize(self, x: Tensor, observed: Tensor, slope: Tensor) -> Tensor:
        """One cell: `(B, T, F)` -> `(B, T / P, D)`."""
        return self.pool(self.responses(x, observed, slope), x, observed)

    def responses(self, x: Tensor, observed: Tensor | None, slope: Tensor) -> Tensor:
        """The responses of all kernels to one cell at each timestep.

        Args:
            x: `(B, T, F)`, 0 where unobserved.
            observed: bool `(B, T, F)`; None if all values are.
            slope: `(F,)`.

        Returns:
            `(B, W, T)`.
        """
        step = x[:, 1:] - x[:, :-1]
        both_observed = None
        if observed is not None:
            both_observed = observed[:, 1:] & observed[:, :-1]
            step = torch.where(both_observed, step, 0.0)
        step = self._scaled(step, both_observed, slope)
        signal = torch.cat([x, F.pad(step, (0, 0, 1, 0))], dim=-1)
        signal = signal.transpose(1, 2)  # (B, 2F, T)
        return torch.cat(self._convolve(signal), dim=1)

    def pool(self, responses: Tensor, x: Tensor, observed: Tensor | None) -> Tensor:
        """Responses `(B, W, T)` to `x (B, T, F)` -> tokens `(B, N, D)`; arguments as above."""
        waves = F.gelu(responses)
        if observed is None:
            wave_mean = self._patches(waves, 2).mean(3)  # (B, W, N)
            wave_max = F.max_pool1d(waves, self.patch_len)
            values = self._patches(x, 1)  # (B, N, P, F)
            mean = values.mean(2)
            variance = (values - mean[:, :, None]).square().mean(2)
        else:
            wave_mean, wave_max = self._pool_observed(waves, observed)
            values = self._patches(x, 1)
            value_observed = self._patches(observed, 1)
            count = value_observed.sum(2).clamp(min=1)  # (B, N, F)
            mean = values.sum(2) / count
            deviation = torch.where(value_observed, values - mean[:, :, None], 0.0)
            variance = deviation.square().sum(2) / count
        std = (variance + 1e-6).sqrt()
        features = torch.cat(
            [wave_mean.transpose(1, 2), wave_max.transpose(1, 2), mean, std], dim=-1
        )
        return _project(self.project, self.norm(features))  # (B, N, D)

    def _pool_observed(self, waves: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and maximum over the observed timesteps of each patch, `(B, W, N)` each."""
        patches = self._patches(waves, 2)  # (B, W, N, P)
        timestep_observed = self._patches(observed.any(-1), 1)[:, None]  # (B, 1, N, P)
        count = timestep_observed.sum(-1).clamp(min=1)
        mean = (patches * timestep_observed).sum(-1) / count
        # GELU stays above -0.2.
        observed_waves = patches.masked_fill(~timestep_observed, -1.0)
        return mean, largest(observed_waves)

    def _scaled(self, step: Tensor, observed: Tensor | None, slope: Tensor) -> Tensor:
        """First differences `(B, T - 1, F)`, 0 where unobserved, in units of their scale."""
        return step / slope

    def _convolve(self, signal: Tensor) -> list[Tensor]:
        """The responses of the kernels of each dilation: `(B, 2F, T)` -> `(B, width, T)` each."""
        return [conv(signal) for conv in self.convolutions]

    def _patches(self, x: Tensor, dim: int) -> Tensor:
        """Split the time axis into patches: `(..., T, ...)` -> `(..., T / P, P, ...)`."""
        return torch.unflatten(x, dim, (-1, self.patch_len))


class FilterTokenizer(ConvTokenizer):
    """A `ConvTokenizer` that responds to shape alone, for "filters".

    The slope is standardized for each sequence, and the kernels on values add up to 0, so that a
    response does not depend on the level. `MultiResolution` embeds the responses too.
    """

    def _scaled(self, step: Tensor, observed: Tensor | None, slope: Tensor) -> Tensor:
        if observed is None:
            square = step.square().mean(1, keepdim=True)
        else:
            count = observed.sum(1, keepdim=True).clamp(min=1)
            square = step.square().sum(1, keepdim=True) / count
        return step / square.sqrt().clamp(min=1e-4)

    def _convolve(self, signal: Tensor) -> list[Tensor]:
        weight = torch.stack([conv.weight for conv in self._layers()])
        on_values, on_slope = torch.split(weight, self.channels, dim=2)
        on_values = on_values - on_values.mean(3, keepdim=True)
        kernels = torch.cat([on_values, on_slope], dim=2)  # (dilations, width, 2F, k)
        if not torch.is_grad_enabled() and not torch.compiler.is_exporting():
            return [self._as_products(signal, kernels)]
        return [
            F.conv1d(
                signal, kernel, conv.bias, padding=conv.padding, dilation=conv.dilation
            )
            for kernel, conv in zip(kernels.unbind(0), self._layers(), strict=True)
        ]

    def _as_products(self, signal: Tensor, kernels: Tensor) -> Tensor:
        """All convolutions of `signal (B, 2F, T)` as one batch of matrix products: `(B, W, T)`.

        Several times as fast as convolutions of few channels; without gradients.
        """
        batch, channels, length = signal.shape
        taps = kernels.shape[3]
        dilations = [int(conv.dilation[0]) for conv in self._layers()]
        edge = taps // 2 * max(dilations)
        padded = F.pad(signal, (edge, edge))
        row, channel, _ = padded.stride()
        shifted = []  # the signal at every tap of a kernel
        for dilation in dilations:
            start = edge - taps // 2 * dilation
            shape = (batch, channels, taps, length)
            stride = (row, channel, dilation, 1)
            shifted.append(padded.as_strided(shape, stride, start))
        columns = torch.stack(shifted, dim=1).flatten(2, 3)  # (B, dilations, 2F * k, T)
        bias = torch.stack([cast(Tensor, conv.bias) for conv in self._layers()])
        responses = torch.matmul(kernels.flatten(2), columns) + bias[:, :, None]
        return responses.flatten(1, 2)

    def _layers(self) -> list[nn.Conv1d]:
        return [conv for conv in self.convolutions if isinstance(conv, nn.Conv1d)]


def _project(layer: nn.Linear, x: Tensor) -> Tensor:
    """`layer(x)`; without gradients, inputs are padded to a multiple of four.

    Otherwise kernels on the CPU round a row by its alignment in memory, that is by its place in the
    batch.
    """
    padding = (0, -x.shape[-1] % 4)
    if padding[1] and not torch.is_grad_enabled():
        return F.linear(F.pad(x, padding), F.pad(layer.weight, padding), layer.bias)
    projected: Tensor = layer(x)
    return projected


TOKENIZERS: Mapping[str, type[nn.Module]] = {
    "linear": LinearTokenizer,
    "conv": ConvTokenizer,
    "dilated": ConvTokenizer,
    "filters": FilterTokenizer,
    "patch": PatchTokenizer,
    "tubelet": LinearTokenizer,
}
"""The module of each `TemporalJEPAConfig.tokenizer`."""
