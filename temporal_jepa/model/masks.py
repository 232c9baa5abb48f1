"""Which tokens the context encoder sees.

A mask is bool, True = visible. The number of masked tokens is exact in every sample.

Legend: `B` batch, `N` tokens of the grid (time x row x column, time slowest), `K` kept tokens,
`D` width.
"""

import operator
from typing import Literal

import torch
from torch import Tensor

MaskKind = Literal["random", "block", "future", "tube"]


def generate_temporal_mask(
    key: torch.Generator | int, seq_len: int, mask_ratio: float = 0.5
) -> tuple[Tensor, torch.Generator]:
    """Draw one random mask over timesteps: exactly `round(mask_ratio * seq_len)` are masked.

    At least one timestep is masked and at least one is visible.

    Args:
        key: the random state, returned for the next draw; an int starts a new generator.
        seq_len: number of timesteps, at least 2.
        mask_ratio: fraction of timesteps to mask, strictly between 0 and 1.

    Returns:
        `(visible, key)`: visible is bool `(seq_len,)`, True = visible.

    Raises:
        ValueError: if `seq_len` is below 2 or `mask_ratio` lies outside (0, 1).

    >>> visible, key = generate_temporal_mask(0, seq_len=10, mask_ratio=0.3)
    >>> int(visible.sum())
    7
    """
    if not isinstance(key, torch.Generator):
        key = torch.Generator().manual_seed(operator.index(key))
    if seq_len < 2:
        raise ValueError(
            f"seq_len must be at least 2 (one visible and one masked timestep), got {seq_len}"
        )
    observed = torch.ones(1, seq_len, dtype=torch.bool)
    return draw_visible(observed, "random", mask_ratio, key)[0], key


def draw_visible(
    observed: Tensor,
    kind: MaskKind,
    mask_ratio: float,
    generator: torch.Generator,
    grid: tuple[int, int, int] | None = None,
) -> Tensor:
    """Draw a mask for every sample of a batch, over its observed tokens only.

    - `random` masks single tokens.
    - `block` masks contiguous boxes of the grid (multi-block masks of I-JEPA, arXiv 2301.08243, in
      time, row and column).
    - `future` masks the last timesteps.
    - `tube` masks cells (row, column) at all times: for video, blocks that are small in one half of
      the samples and large in the other (short- and long-range masks of V-JEPA, arXiv 2404.08471);
      for a scene (one row), whole agents; for a plain series, blocks of time.

    A sample with `n` observed tokens has exactly `round(mask_ratio * n)` of them masked, never none
    and never all; a sample with a single token keeps it.

    Args:
        observed: bool `(B, N)`, False for padding and missing tokens, which are never visible.
        kind: "random", "block", "future" or "tube".
        mask_ratio: fraction of observed tokens to mask, strictly between 0 and 1.
        generator: random state (CPU), advanced by the draw.
        grid: `(time, rows, columns)` with product `N` (default: a plain series).

    Returns:
        bool `(B, N)`, True = visible.

    Raises:
        ValueError: for an unknown kind, a ratio outside (0, 1), or a grid that does not hold `N`
            tokens.
    """
    if not 0.0 < mask_ratio < 1.0:
        raise ValueError(
            f"mask_ratio must lie strictly between 0 and 1, got {mask_ratio}"
        )
    batch, tokens = observed.shape
    grid = grid or (tokens, 1, 1)
    size = grid[0] * grid[1] * grid[2]
    if size != tokens:
        raise ValueError(f"the grid {grid} holds {size} tokens, the mask has {tokens}")
    if kind == "random":
        order = torch.rand(batch, tokens, generator=generator, dtype=torch.float32)
    elif kind == "block":
        order = _block_order(batch, grid, mask_ratio, generator)
    elif kind == "future":
        time = torch.arange(grid[0]).repeat_interleave(grid[1] * grid[2])  # (N,)
        ties = torch.rand(batch, tokens, generator=generator, dtype=torch.float32) * 0.5
        order = ties - time.float()  # later first
    elif kind == "tube":
        order = _tube_order(batch, grid, mask_ratio, generator)
    else:
        raise ValueError(
            f"mask must be 'random', 'block', 'future' or 'tube', got {kind!r}"
        )
    order = order.to(observed.device).masked_fill(~observed, float("inf"))
    count = observed.sum(1)  # (B,)
    wanted = (mask_ratio * count.float()).round().clamp(min=1).long()
    masked = torch.minimum(wanted, (count - 1).clamp(min=0))
    # Tokens with the smallest order are masked first.
    rank = order.argsort(1).argsort(1)  # (B, N)
    return observed & (rank >= masked[:, None])


def _tube_order(
    batch: int,
    grid: tuple[int, int, int],
    mask_ratio: float,
    generator: torch.Generator,
) -> Tensor:
    """Order in which tokens are masked, whole cells first: `(B, N)`, smallest first."""
    time, rows, columns = grid
    if rows * columns == 1:
        return _block_order(batch, grid, mask_ratio, generator)
    if rows == 1:  # agents of a scene have no neighborhood
        return torch.rand(
            batch, columns, generator=generator, dtype=torch.float32
        ).repeat(1, time)
    cells = (1, rows, columns)
    small = _block_order(batch, cells, mask_ratio, generator, extent_ratio=0.25)
    large = _block_order(batch, cells, mask_ratio, generator, extent_ratio=1.0)
    is_small = torch.rand(batch, 1, generator=generator, dtype=torch.float32) < 0.5
    return torch.where(is_small, small, large).repeat(1, time)


def _block_order(
    batch: int,
    grid: tuple[int, int, int],
    mask_ratio: float,
    generator: torch.Generator,
    extent_ratio: float = 0.5,
) -> Tensor:
    """Order in which tokens are masked, whole boxes first: `(B, N)`, smallest first.

    Each axis is cut into segments of about `extent_ratio` of the masked extent, at a random offset
    per sample. All tokens of a box share one random score; inside a box they are in order.
    """
    box = torch.zeros(batch, 1, dtype=torch.long)  # (B, cells so far)
    inside = torch.zeros(1, 1, dtype=torch.float32)
    for extent in grid:
        longest = max(1, round(mask_ratio * extent * extent_ratio))
        length = torch.randint(
            max(1, longest // 2), longest + 1, (batch, 1), generator=generator
        )
        offset = (
            torch.rand(batch, 1, generator=generator, dtype=torch.float32) * length
        ).long()
        segment = (torch.arange(extent)[None] + offset) // length  # (B, extent)
        # Segments are below 2 * extent + 1, so every box gets a number of its own.
        box = (box[:, :, None] * (2 * extent + 1) + segment[:, None, :]).flatten(1)
        inside = (
            inside[:, :, None] * extent + torch.arange(extent)[None, None, :]
        ).flatten(1)
    _, box = torch.unique(
        box, return_inverse=True
    )  # (B, N), numbered from 0 over the batch
    score = torch.rand(
        batch, int(box.max()) + 1, generator=generator, dtype=torch.float32
    )
    score = score.gather(1, box)
    # Which end of a partly masked box goes first; too small to reorder boxes.
    direction = torch.rand(batch, 1, generator=generator, dtype=torch.float32) - 0.5
    return score.double() + direction * inside.double() * (1e-9 / inside.numel())


def positions_of(selected: Tensor) -> tuple[Tensor, Tensor | None]:
    """Positions of the selected tokens of every sample, padded to the longest row.

    Args:
        selected: bool `(B, N)`, for example the visible or the masked tokens.

    Returns:
        `(positions, valid)`: positions is int64 `(B, K)` in increasing order, where `K` is the
        largest count in the batch (at least 1); valid is bool `(B, K)`, False where a row has fewer
        tokens, or None if all rows have `K`.
    """
    count = selected.sum(1)
    longest = max(int(count.max()), 1)
    positions = torch.argsort(~selected, dim=1, stable=True)[:, :longest]
    if bool((count == longest).all()):
        return positions, None
    return positions, torch.arange(longest, device=selected.device)[None] < count[
        :, None
    ]


def gather_tokens(tokens: Tensor, positions: Tensor) -> Tensor:
    """Pick tokens row by row: `(B, N, D)`, int64 `(B, K)` -> `(B, K, D)`."""
    batch, count, width = tokens.shape
    rows = torch.arange(batch, device=tokens.device)[:, None] * count
    flat = tokens.reshape(batch * count, width).index_select(
        0, (positions + rows).flatten()
    )
    return flat.view(batch, positions.shape[1], width)  # (B, K, D)
