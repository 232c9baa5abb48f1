"""The transformer shared by encoder and predictor: positions, a pre-norm block, a stack of blocks.

Legend of shapes: `B` batch, `N` grid positions, `K` tokens, `M` tokens to compute, `D` width, `H`
heads, `d` width of a head, `A` grid axes.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..config import TemporalJEPAConfig
from .masks import gather_tokens
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
    """Rotary positions (arXiv 2104.09864, eq. 34): q `(B, K, H, d)`, cos `(B, K, 1, d / 2)`."""
    a, b = q.chunk(2, dim=-1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)


class Block(nn.Module):
    """Pre-norm transformer block with bidirectional attention: `(B, K, D)` -> `(B, K, D)`."""

    def __init__(self, dim: int, num_heads: int, dropout: float, depth: int):
        super().__init__()
        self.num_heads = num_heads
        self.recomputes = False  # activations in the backward pass, instead of storing
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
        self,
        h: Tensor,
        rotation: tuple[Tensor, Tensor] | None,
        attend: Tensor | None,
        at: Tensor | None = None,
    ) -> Tensor:
        """One block.

        Args:
            h: `(B, K, D)`.
            rotation: cosine and sine of the rotary positions, `(B, K, 1, d / 2)` each, or None.
            attend: bool `(B, 1, Q, K)`, the keys that each query may read (`Q` = 1: the same for
                all queries); None: all.
            at: int64 `(B, M)`, the tokens to compute; None: all.

        Returns:
            `(B, K, D)`, or `(B, M, D)` with `at`.
        """
        if not (self.recomputes and torch.is_grad_enabled()):
            return self._compute(h, rotation, attend, at)
        computed: Tensor = checkpoint(
            self._compute, h, rotation, attend, at, use_reentrant=False
        )
        return computed

    def _compute(
        self,
        h: Tensor,
        rotation: tuple[Tensor, Tensor] | None,
        attend: Tensor | None,
        at: Tensor | None,
    ) -> Tensor:
        normed = self.norm1(h)
        if at is None:
            q, k, v = self._project(normed, rotation)
        else:
            q, k, v = self._project_at(normed, rotation, at)
            h = gather_tokens(h, at)  # (B, M, D)
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))  # (B, H, K, d)
        heads = self._attend(q, k, v, attend).transpose(1, 2).flatten(2)
        h = h + self.dropout(self.out(heads))
        expanded = F.gelu(self.up(self.norm2(h)))  # (B, K, 4D)
        h = h + self.dropout(self.down(expanded))
        return h

    def _project(
        self, h: Tensor, rotation: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of all tokens: `(B, K, D)` -> `(B, K, H, d)` each."""
        qkv = torch.unflatten(self.qkv(h), -1, (3, self.num_heads, -1))
        qk = qkv[:, :, :2]  # (B, K, 2, H, d)
        if rotation is not None:
            cos, sin = rotation
            qk = rotate(qk, cos[:, :, None], sin[:, :, None])
        q, k = qk.unbind(2)
        return q, k, qkv[:, :, 2]

    def _project_at(
        self, h: Tensor, rotation: tuple[Tensor, Tensor] | None, at: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries of the tokens at `at`, `(B, M, H, d)`, keys and values of all."""
        width = h.shape[-1]
        weight, bias = self.qkv.weight, self.qkv.bias
        k, v = self._split(F.linear(h, weight[width:], bias[width:]), 2)
        queried = gather_tokens(h, at)
        (q,) = self._split(F.linear(queried, weight[:width], bias[:width]), 1)
        if rotation is not None:
            k = rotate(k, *rotation)
            cos, sin = (gather_tokens(part.flatten(2), at) for part in rotation)
            q = rotate(q, cos[:, :, None], sin[:, :, None])
        return q, k, v

    def _split(self, projected: Tensor, count: int) -> tuple[Tensor, ...]:
        """`(B, K, count * D)` -> `count` times `(B, K, H, d)`."""
        return torch.unflatten(projected, -1, (count, self.num_heads, -1)).unbind(2)

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, attend: Tensor | None) -> Tensor:
        """Attention, with dropout on its weights in training: `(B, H, K, d)` each, as is q."""
        drops = self.training and self.dropout.rate > 0
        if not drops and not _is_slow_fused(q, k, v):
            return F.scaled_dot_product_attention(q, k, v, attn_mask=attend)
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)  # (B, H, M, K)
        if scores.dtype.itemsize < 4:  # in bf16, CPUs take twice as long for short rows
            scores = scores.float()
        if attend is not None:
            # Finite, so that a row without any valid key is not NaN.
            scores = scores.masked_fill(~attend, torch.finfo(scores.dtype).min)
        weights: Tensor = self.dropout(scores.softmax(-1))
        return weights.to(v.dtype) @ v


def _is_slow_fused(q: Tensor, k: Tensor, v: Tensor) -> bool:
    """Whether two products and a softmax are faster than the fused kernel.

    On CPUs, that kernel is slow in training with few keys and narrow heads, and its backward pass
    takes several times as long in bf16.
    """
    # Compiled, the fused kernel stays: inductor fails on the products of bf16 with dynamic shapes.
    if q.device.type != "cpu" or torch.compiler.is_compiling():
        return False
    keys, width = k.shape[2:]
    if v.dtype == torch.bfloat16:
        return keys <= 512
    return q.requires_grad and keys * width <= 640


def _rows(table: Tensor, index: Tensor) -> Tensor:
    """Rows of a table: `(N, ...)`, int64 `(B, K)` -> `(B, K, ...)`."""
    rows = table.index_select(0, index.flatten())
    return rows.view(*index.shape, *table.shape[1:])


class Transformer(nn.Module):
    """A stack of blocks with positions, shared by the encoder and the token predictor."""

    def __init__(self, dim: int, depth: int, config: TemporalJEPAConfig):
        super().__init__()
        self.dim = dim
        self.head_dim = dim // config.num_heads
        self.rotary = config.positions == "rotary"
        self.causal = config.attention == "causal"
        self.cells = config.cells
        self.blocks = nn.ModuleList(
            Block(dim, config.num_heads, config.dropout, depth) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(dim)

    def forward(
        self,
        h: Tensor,
        positions: Tensor,
        valid: Tensor | None,
        num_positions: int,
        at: Tensor | None = None,
    ) -> list[Tensor]:
        """The input and the output of every layer, `(B, K, D)` each.

        The first has no positions added; the last is layer-normed.

        Args:
            h: `(B, K, D)`.
            positions: int64 `(B, K)`, grid positions.
            valid: bool `(B, K)`, False for padding; None if there is none.
            num_positions: size of the grid.
            at: int64 `(B, M)`, the tokens whose last layer is needed, which is then `(B, M, D)`;
                None: all.
        """
        layers = [h]
        grid = torch.arange(num_positions, device=h.device)
        coordinates = grid_coordinates(grid, self.cells)  # (N, A)
        rotation = None
        if self.rotary:
            angle = angles(coordinates, self.head_dim)[:, None]  # (N, 1, d/2)
            rotation = (
                _rows(angle.cos().to(h.dtype), positions),  # (B, K, 1, d/2)
                _rows(angle.sin().to(h.dtype), positions),
            )
        else:
            table = sincos(coordinates, self.dim).to(h.dtype)  # (N, D)
            h = h + _rows(table, positions)
        last = len(self.blocks) - 1
        for index, block in enumerate(self.blocks):
            queried = at if index == last else None
            attend = self._attend(positions, valid, queried)
            h = block(h, rotation, attend, queried)
            layers.append(h)
        if self.blocks:
            layers.pop()  # replaced by its normed version
        elif at is not None:
            h = gather_tokens(h, at)
        return [*layers, self.norm(h)]

    def _attend(
        self, positions: Tensor, valid: Tensor | None, at: Tensor | None
    ) -> Tensor | None:
        """Which keys a query may read, bool `(B, 1, Q, K)`; None: all of them."""
        attend = None if valid is None else valid[:, None, None, :]
        if not self.causal:
            return attend
        time = positions // math.prod(self.cells)  # (B, K)
        queried = time if at is None else time.gather(1, at)
        is_past = time[:, None, None, :] <= queried[:, None, :, None]
        return is_past if attend is None else attend & is_past
