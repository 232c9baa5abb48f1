"""The transformer shared by encoder and predictor: positions, a pre-norm block, a stack of blocks.

Legend of shapes: `B` batch, `K` tokens, `D` width, `H` heads, `d` width of a head, `A` grid axes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import TemporalJEPAConfig
from .random import Dropout


def grid_coordinates(positions: Tensor, cells: tuple[int, int]) -> Tensor:
    """Coordinates of grid positions, time slowest; axes of extent 1 are left out.

    Args:
        positions: int64 `(...)`.
        cells: (rows, columns) of the grid at one time.

    Returns:
        int64 `(..., A)`.

    >>> grid_coordinates(torch.tensor([0, 1, 6, 7]), (2, 3)).tolist()
    [[0, 0, 0], [0, 0, 1], [1, 0, 0], [1, 0, 1]]
    """
    rows, columns = cells
    axes = [positions // (rows * columns)]
    if rows > 1:
        axes.append(positions // columns % rows)
    if columns > 1:
        axes.append(positions % columns)
    return torch.stack(axes, dim=-1)


def angles(coordinates: Tensor, width: int) -> Tensor:
    """Angles of sinusoids at grid coordinates: `(..., A)` -> `(..., width / 2)`.

    Each axis gets an equal part of the width; its frequencies fall geometrically from 1 to 1/10000
    (arXiv 1706.03762, section 3.5).
    """
    axes = coordinates.shape[-1]
    count = width // 2 // axes
    exponent = torch.arange(
        count, device=coordinates.device, dtype=torch.float32
    ) / max(count, 1)
    frequency = 10000.0 ** (-exponent)
    angle = (coordinates[..., None].float() * frequency).flatten(-2)  # (..., A * count)
    return F.pad(angle, (0, width // 2 - axes * count))


def sincos(coordinates: Tensor, width: int) -> Tensor:
    """Additive sinusoidal position embedding: `(..., A)` -> `(..., width)`."""
    angle = angles(coordinates, width)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def rotate(q: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (arXiv 2104.09864, eq. 34): q `(B, H, K, d)`, cos `(B, 1, K, d / 2)`."""
    a, b = q.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class Block(nn.Module):
    """Pre-norm transformer block with bidirectional attention: `(B, K, D)` -> `(B, K, D)`."""

    def __init__(self, dim: int, num_heads: int, dropout: float, depth: int):
        super().__init__()
        self.num_heads = num_heads
        self.dropout = Dropout(dropout)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.up = nn.Linear(dim, 4 * dim)
        self.down = nn.Linear(4 * dim, dim)
        for layer in (self.qkv, self.out, self.up, self.down):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        # The residual stream keeps its scale at any depth (GPT-2).
        for branch in (self.out, self.down):
            branch.weight.data.mul_((2 * depth) ** -0.5)

    def forward(
        self, h: Tensor, rotation: tuple[Tensor, Tensor] | None, attend: Tensor | None
    ) -> Tensor:
        """`attend` is bool `(B, 1, 1, K)`, the keys that may be read; None: all."""
        qkv = self.qkv(self.norm1(h))  # (B, K, 3D)
        qkv = torch.unflatten(qkv, -1, (3, self.num_heads, -1))  # (B, K, 3, H, d)
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))  # (B, H, K, d)
        if rotation is not None:
            q = rotate(q, *rotation)
            k = rotate(k, *rotation)
        if self.training and self.dropout.rate > 0:
            heads = self._attend(q, k, v, attend)
        else:
            heads = F.scaled_dot_product_attention(q, k, v, attn_mask=attend)
        attended = self.out(heads.transpose(1, 2).flatten(2))  # (B, K, D)
        h = h + self.dropout(attended)
        expanded = F.gelu(self.up(self.norm2(h)))  # (B, K, 4D)
        h = h + self.dropout(self.down(expanded))
        return h

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, attend: Tensor | None) -> Tensor:
        """Attention with dropout on its weights: `(B, H, K, d)` each -> `(B, H, K, d)`."""
        scores = q @ k.transpose(2, 3) * q.shape[-1] ** -0.5  # (B, H, K, K)
        if attend is not None:
            scores = scores.masked_fill(~attend, float("-inf"))
        weights: Tensor = self.dropout(scores.softmax(-1))
        return weights @ v


class Transformer(nn.Module):
    """A stack of blocks with positions, shared by the encoder and the token predictor."""

    def __init__(self, dim: int, depth: int, config: TemporalJEPAConfig):
        super().__init__()
        self.dim = dim
        self.head_dim = dim // config.num_heads
        self.rotary = config.positions == "rotary"
        self.cells = config.cells
        self.blocks = nn.ModuleList(
            Block(dim, config.num_heads, config.dropout, depth) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(
        self, h: Tensor, positions: Tensor, valid: Tensor | None
    ) -> list[Tensor]:
        """The input and the output of every layer, `(B, K, D)` each.

        The first has no positions added; the last is layer-normed.

        Args:
            h: `(B, K, D)`.
            positions: int64 `(B, K)`, grid positions.
            valid: bool `(B, K)`, False for padding; None if there is none.
        """
        layers = [h]
        coordinates = grid_coordinates(positions, self.cells)  # (B, K, A)
        rotation = None
        if self.rotary:
            angle = angles(coordinates, self.head_dim)[:, None]  # (B, 1, K, d/2)
            rotation = (angle.cos().to(h.dtype), angle.sin().to(h.dtype))
        else:
            h = h + sincos(coordinates, self.dim).to(h.dtype)
        attend = None if valid is None else valid[:, None, None, :]
        for block in self.blocks:
            h = block(h, rotation, attend)
            layers.append(h)
        if self.blocks:
            layers.pop()  # replaced by its normed version
        return [*layers, self.norm(h)]
