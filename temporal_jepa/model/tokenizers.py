"""From values to tokens: normalisation, and the maps from patches of timesteps to vectors.

Legend of shapes: `B` batch, `T` timesteps, `C` channels, `P` timesteps a patch, `N` tokens, `D` width, `W` conv width;
`A` cells (row, column) of a frame, `F` channels of a cell. A plain series has one cell of all its channels.
Every tokenizer takes values that are 0 where unobserved, so hidden content cannot leak through a convolution.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import TemporalJEPAConfig


class Normalizer(nn.Module):
    """Channel statistics of the training data, and each sequence's own where asked; unobserved values become 0."""

    mean: Tensor
    std: Tensor
    slope: Tensor

    def __init__(self, config: TemporalJEPAConfig):
        super().__init__()
        self.instance = config.normalize == "instance"
        self.register_buffer("mean", torch.zeros(config.input_dim))
        self.register_buffer("std", torch.ones(config.input_dim))
        self.register_buffer(
            "slope", torch.ones(config.input_dim)
        )  # std of the first difference, in units of std

    def forward(self, x: Tensor, observed: Tensor) -> Tensor:
        """`(B, T, C)` values and bool -> `(B, T, C)`; statistics of a sequence come from its observed values only."""
        x = torch.where(observed, (x - self.mean) / self.std, 0.0)
        if self.instance:
            mean, std = self.moments(x, observed)
            x = torch.where(observed, (x - mean[:, None]) / std[:, None], 0.0)
        return x

    def moments(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each sequence and channel, `(B, C)` each; `x` is 0 where unobserved."""
        count = observed.sum(1).clamp(min=1)  # (B, C)
        mean = x.sum(1) / count
        square = torch.where(observed, x - mean[:, None], 0.0).square().sum(1) / count
        return mean, square.sqrt().clamp(min=0.01)


class PatchGrid:
    """Which values belong to which token of the grid: boxes of `patch_len` x `patch_size` x `patch_size`."""

    def __init__(self, config: TemporalJEPAConfig):
        self.rows, self.columns, self.channels = config.picture
        self.cells = config.cells
        self.patch = config.patch
        self.side = config.side

    def split(self, x: Tensor) -> Tensor:
        """`(B, T, C)` -> `(B, N, values of a box)`, zeros beyond the picture's edge; `T` in whole patches."""
        (r, s) = self.cells
        p = self.side
        x = torch.unflatten(x, -1, (self.rows, self.columns, self.channels))
        x = F.pad(
            x, (0, 0, 0, s * p - self.columns, 0, r * p - self.rows)
        )  # (B, T, r * p, s * p, F)
        x = torch.unflatten(torch.unflatten(x, 3, (s, p)), 2, (r, p))
        x = torch.unflatten(x, 1, (-1, self.patch))  # (B, T / P, P, r, p, s, p, F)
        return x.permute(0, 1, 3, 5, 2, 4, 6, 7).flatten(4).flatten(1, 3)

    def spread(self, visible: Tensor) -> Tensor:
        """`(B, N)` -> `(B, T, C)`: every value gets what its token has."""
        (r, s) = self.cells
        p = self.side
        x = visible.reshape(len(visible), -1, 1, r, 1, s, 1, 1)
        x = x.expand(-1, -1, self.patch, -1, p, -1, p, self.channels).reshape(
            len(x), -1, r * p, s * p, self.channels
        )
        return x[:, :, : self.rows, : self.columns].flatten(2)


def _patches(x: Tensor, patch_len: int) -> Tensor:
    """`(B, N*P, ...)` -> `(B, N, P, ...)`."""
    return torch.unflatten(x, 1, (-1, patch_len))


class LinearTokenizer(nn.Module):
    """One linear map of the values of each box, "linear", "patch" and "tubelet": `(B, T, C)` -> `(B, N, D)`."""

    def __init__(self, config: TemporalJEPAConfig):
        super().__init__()
        self.grid = PatchGrid(config)
        self.project = nn.Linear(
            config.patch * config.side**2 * config.picture[2], config.embed_dim
        )

    def forward(self, x: Tensor, observed: Tensor, slope: Tensor) -> Tensor:
        """`x (B, N*P, C)`, zeros where unobserved."""
        tokens: Tensor = self.project(self.grid.split(x))  # (B, N, D)
        return tokens


class ConvTokenizer(nn.Module):
    """Value and slope through convolutions of several reaches, summarised over each patch by mean and maximum.

    The patch's own mean and standard deviation go in beside them, so that offset and scale are never lost.
    """

    KERNELS: ClassVar = {
        "conv": ((3, 1), (9, 1), (17, 1)),
        "dilated": ((9, 1), (9, 2), (9, 4), (9, 8), (9, 16)),
    }
    """Tokenizer -> (timesteps, dilation) of its convolutions."""

    def __init__(self, config: TemporalJEPAConfig):
        super().__init__()
        self.patch_len = config.patch
        width = config.embed_dim // 2
        self.channels = config.picture[2]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(
                2 * self.channels, width, length, padding=length // 2 * dilation, dilation=dilation
            )
            for length, dilation in self.KERNELS[config.tokenizer]
        )
        features = 2 * len(self.convolutions) * width + 2 * self.channels
        self.norm = nn.LayerNorm(features)
        self.project = nn.Linear(features, config.embed_dim)

    def forward(self, x: Tensor, observed: Tensor, slope: Tensor) -> Tensor:
        """`x (B, T, C)`, zeros where unobserved; observed bool `(B, T, C)`; slope `(C,)`. Each cell for itself."""
        cells = x.shape[-1] // self.channels
        if (
            cells > 1
        ):  # cells to the front by cutting and joining: torch.export cannot follow a flattened transpose
            x, observed = (
                torch.cat(torch.split(v, self.channels, dim=-1)) for v in (x, observed)
            )  # (A * B, T, F)
        tokens = self._cell(x, observed, slope[: self.channels])  # (A * B, T / P, D)
        if cells > 1:
            tokens = torch.unflatten(tokens, 0, (cells, -1)).permute(1, 2, 0, 3).flatten(1, 2)
        return tokens  # (B, N, D), time slowest

    def _cell(self, x: Tensor, observed: Tensor, slope: Tensor) -> Tensor:
        """One cell: `(B, N*P, F)` -> `(B, N, D)`."""
        step = torch.where(observed[:, 1:] & observed[:, :-1], x[:, 1:] - x[:, :-1], 0.0) / slope
        signal = torch.cat([x, F.pad(step, (0, 0, 1, 0))], dim=-1).transpose(1, 2)  # (B, 2C, T)
        waves = F.gelu(torch.cat([conv(signal) for conv in self.convolutions], dim=1))  # (B, W, T)
        waves = torch.unflatten(waves, 2, (-1, self.patch_len))  # (B, W, N, P)
        seen = _patches(observed.any(-1), self.patch_len)[:, None]  # (B, 1, N, P)
        mean = (waves * seen).sum(-1) / seen.sum(-1).clamp(min=1)  # (B, W, N)
        highest = waves.masked_fill(~seen, -1.0).amax(-1)  # (B, W, N), GELU stays above -0.2
        # (B, N, P, C)
        values = _patches(x, self.patch_len)
        there = _patches(observed, self.patch_len)
        count = there.sum(2).clamp(min=1)  # (B, N, C)
        level = values.sum(2) / count
        spread = (
            torch.where(there, values - level[:, :, None], 0.0)
            .square()
            .sum(2)
            .div(count)
            .add(1e-6)
            .sqrt()
        )
        features = torch.cat([mean.transpose(1, 2), highest.transpose(1, 2), level, spread], dim=-1)
        tokens: Tensor = self.project(self.norm(features))  # (B, N, D)
        return tokens
