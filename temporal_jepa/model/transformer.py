"""The attention stack shared by encoder and predictor: positions, a pre-norm block, a stack of them.

Legend of shapes: `B` batch, `K` tokens, `D` width, `H` heads, `d` width of a head, `A` axes of the grid.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import TemporalJEPAConfig


def angles(positions: Tensor, width: int) -> Tensor:
    """Angles of sinusoids at grid positions: `(..., A)` with A axes -> `(..., width / 2)`, shared among the axes.

    Frequencies fall geometrically from 1 to 1/10000 along each axis (arXiv 1706.03762, section 3.5).
    """
    axes = positions.shape[-1]
    count = width // 2 // axes
    frequency = 10000.0 ** (
        -torch.arange(count, device=positions.device, dtype=torch.float32) / max(count, 1)
    )
    angle = (positions[..., None].float() * frequency).flatten(-2)  # (..., A * count)
    return F.pad(angle, (0, width // 2 - axes * count))


def coordinates(index: Tensor, cells: tuple[int, int]) -> Tensor:
    """Places on the grid, time slowest: index `(...)`, cells (rows, columns) -> `(..., A)`, no axes of extent 1.

    >>> coordinates(torch.tensor([0, 1, 6, 7]), (2, 3)).tolist()
    [[0, 0, 0], [0, 0, 1], [1, 0, 0], [1, 0, 1]]
    """
    rows, columns = cells
    axes = [index // (rows * columns)]
    axes += [index // columns % rows] if rows > 1 else []
    axes += [index % columns] if columns > 1 else []
    return torch.stack(axes, dim=-1)


def sincos(positions: Tensor, width: int) -> Tensor:
    """Additive sinusoidal position embedding: `(..., A)` -> `(..., width)`."""
    angle = angles(positions, width)
    return torch.cat([angle.sin(), angle.cos()], dim=-1)


def rotate(q: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotary positions (RoFormer, arXiv 2104.09864, eq. 34): q `(B, H, K, d)`, cos and sin `(B, 1, K, d/2)`."""
    a, b = q.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class Block(nn.Module):
    """Pre-norm transformer block with bidirectional attention: `(B, K, D)` -> `(B, K, D)`."""

    def __init__(self, dim: int, num_heads: int, dropout: float, depth: int):
        super().__init__()
        self.num_heads = num_heads
        self.dropout = dropout
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.up = nn.Linear(dim, 4 * dim)
        self.down = nn.Linear(4 * dim, dim)
        for layer in (self.qkv, self.out, self.up, self.down):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        for branch in (
            self.out,
            self.down,
        ):  # the residual stream keeps its scale at any depth (GPT-2)
            branch.weight.data.mul_((2 * depth) ** -0.5)

    def forward(
        self, h: Tensor, rotation: tuple[Tensor, Tensor] | None, attend: Tensor | None
    ) -> Tensor:
        """`attend` bool `(B, 1, 1, K)` marks the keys that may be read; None: all."""
        qkv = torch.unflatten(
            self.qkv(self.norm1(h)), -1, (3, self.num_heads, -1)
        )  # (B, K, 3, H, d)
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))  # (B, H, K, d)
        if rotation is not None:
            q = rotate(q, *rotation)
            k = rotate(k, *rotation)
        rate = self.dropout if self.training else 0.0
        read = F.scaled_dot_product_attention(q, k, v, attn_mask=attend, dropout_p=rate)
        h = h + F.dropout(self.out(read.transpose(1, 2).flatten(2)), rate)  # (B, K, D)
        return h + F.dropout(self.down(F.gelu(self.up(self.norm2(h)))), rate)


class Transformer(nn.Module):
    """Blocks with positions: adds or rotates them as configured. Shared by the encoder and the token predictor."""

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

    def forward(self, h: Tensor, index: Tensor, valid: Tensor | None) -> list[Tensor]:
        """`h (B, K, D)`, grid places `(B, K)`, valid bool `(B, K)` or None -> the input and every layer's output.

        The last is layer-normed; the first has no positions added yet.
        """
        layers = [h]
        positions = coordinates(index, self.cells)  # (B, K, A)
        rotation = None
        if self.rotary:
            angle = angles(positions, self.head_dim)[:, None]  # (B, 1, K, d/2)
            rotation = (angle.cos().to(h.dtype), angle.sin().to(h.dtype))
        else:
            h = h + sincos(positions, self.dim).to(h.dtype)
        attend = None if valid is None else valid[:, None, None, :]
        for block in self.blocks:
            h = block(h, rotation, attend)
            layers.append(h)
        return [*layers[: max(len(layers) - 1, 1)], self.norm(h)]
