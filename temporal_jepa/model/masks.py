"""Which tokens the context encoder may see. A mask is bool, True = visible; counts are exact in every sample.

Legend: `B` batch, `N` tokens of the grid (time x row x column, time slowest), `K` kept tokens, `D` width.
"""

import operator
from typing import Literal

import torch
from torch import Tensor

MaskKind = Literal["random", "block", "future", "tube"]


def generate_temporal_mask(
    key: torch.Generator | int, seq_len: int, mask_ratio: float = 0.5
) -> tuple[Tensor, torch.Generator]:
    """Draw one random mask over timesteps: exactly `round(mask_ratio * seq_len)` hidden, at least one of each kind.

    Args:
        key: the random state, handed back for the next draw; an int starts a new generator with that seed.
        seq_len: number of timesteps, at least 2.
        mask_ratio: share of timesteps to hide, strictly between 0 and 1.

    Returns:
        `(visible, key)`: visible is bool `(seq_len,)`, True = visible.

    Raises:
        ValueError: if `seq_len` is below 2 or `mask_ratio` lies outside (0, 1).

    >>> visible, key = generate_temporal_mask(0, seq_len=10, mask_ratio=0.3)
    >>> int(visible.sum())
    7
    """
    generator = (
        key
        if isinstance(key, torch.Generator)
        else torch.Generator().manual_seed(operator.index(key))
    )
    if seq_len < 2:
        raise ValueError(
            f"seq_len must be at least 2 (one visible and one masked timestep), got {seq_len}"
        )
    observed = torch.ones(1, seq_len, dtype=torch.bool)
    return draw_visible(observed, "random", mask_ratio, generator)[0], generator


def draw_visible(
    observed: Tensor,
    kind: MaskKind,
    mask_ratio: float,
    generator: torch.Generator,
    grid: tuple[int, int, int] | None = None,
) -> Tensor:
    """Draw a visible mask for every sample of a batch, over its observed tokens only.

    `random` hides single tokens; `block` hides contiguous boxes of the grid (I-JEPA's multi-block idea, arXiv
    2301.08243, in time, row and column); `future` hides the last timesteps; `tube` hides cells (row, column) through
    all time, in blocks of a film that are small in one half of the samples and large in the other (the short- and
    long-range masks of V-JEPA, arXiv 2404.08471), or whole agents of a scene (one row), or, of a plain series, blocks
    of time. A sample with `n` observed tokens has
    exactly `round(mask_ratio * n)` of them hidden, never none and never all; one with a single token keeps it.

    Args:
        observed: bool `(B, N)`, False for padding and missing tokens, which are never visible.
        kind: "random", "block", "future" or "tube".
        mask_ratio: share of observed tokens to hide, strictly between 0 and 1.
        generator: random state (CPU), advanced by the draw.
        grid: `(time, rows, columns)` with product `N`; a plain series when left out.

    Returns:
        bool `(B, N)`, True = visible.

    Raises:
        ValueError: for an unknown kind, a ratio outside (0, 1), or a grid that does not hold `N` tokens.
    """
    if not 0.0 < mask_ratio < 1.0:
        raise ValueError(f"mask_ratio must lie strictly between 0 and 1, got {mask_ratio}")
    batch, tokens = observed.shape
    grid = grid or (tokens, 1, 1)
    if grid[0] * grid[1] * grid[2] != tokens:
        raise ValueError(
            f"the grid {grid} holds {grid[0] * grid[1] * grid[2]} tokens, the mask has {tokens}"
        )
    if kind == "random":
        order = torch.rand(batch, tokens, generator=generator)
    elif kind == "block":
        order = _block_order(batch, grid, mask_ratio, generator)
    elif kind == "future":
        time = torch.arange(grid[0]).repeat_interleave(grid[1] * grid[2])  # (N,)
        order = (
            -time.float() + torch.rand(batch, tokens, generator=generator) * 0.5
        )  # later first, ties at random
    elif kind == "tube":
        order = _tube_order(batch, grid, mask_ratio, generator)
    else:
        raise ValueError(f"mask must be 'random', 'block', 'future' or 'tube', got {kind!r}")
    order = order.to(observed.device).masked_fill(~observed, float("inf"))
    count = observed.sum(1)  # (B,)
    hidden = torch.minimum(
        (mask_ratio * count).round().clamp(min=1).long(), (count - 1).clamp(min=0)
    )
    rank = order.argsort(1).argsort(1)  # (B, N) place of every token in its sample's order
    return observed & (rank >= hidden[:, None])


def _tube_order(
    batch: int, grid: tuple[int, int, int], mask_ratio: float, generator: torch.Generator
) -> Tensor:
    """Order in which tokens are hidden so that whole cells go first, at all times: `(B, N)`, smallest first."""
    time, rows, columns = grid
    if rows * columns == 1:
        return _block_order(batch, grid, mask_ratio, generator)
    if rows == 1:  # agents: who stands beside whom says nothing
        return torch.rand(batch, columns, generator=generator).repeat(1, time)
    small, large = (
        _block_order(batch, (1, rows, columns), mask_ratio, generator, share)
        for share in (0.25, 1.0)
    )
    return torch.where(torch.rand(batch, 1, generator=generator) < 0.5, small, large).repeat(
        1, time
    )


def _block_order(
    batch: int,
    grid: tuple[int, int, int],
    mask_ratio: float,
    generator: torch.Generator,
    share: float = 0.5,
) -> Tensor:
    """Order in which tokens are hidden so that whole boxes go first: `(B, N)`, smallest first.

    Each axis is cut into segments whose length is drawn around `share` of what must be hidden, at a random offset per
    sample; all tokens of a box share one random score, and inside a box they follow one another.
    """
    segments = torch.zeros(batch, 1, dtype=torch.long)  # (B, cells so far)
    inside = torch.zeros(1, 1)
    for extent in grid:
        longest = max(1, round(mask_ratio * extent * share))
        length = torch.randint(max(1, longest // 2), longest + 1, (batch, 1), generator=generator)
        offset = (torch.rand(batch, 1, generator=generator) * length).long()
        place = torch.arange(extent)[None] + offset  # (B, extent)
        segments = (
            segments[:, :, None] * (2 * extent + 1) + (place // length)[:, None, :]
        ).flatten(1)
        inside = (inside[:, :, None] * extent + torch.arange(extent)[None, None, :]).flatten(1)
    _, box = torch.unique(
        segments, return_inverse=True
    )  # boxes numbered from 0 over the batch: (B, N)
    score = torch.rand(batch, int(box.max()) + 1, generator=generator).gather(1, box)
    direction = (
        torch.rand(batch, 1, generator=generator) - 0.5
    )  # which end of a box that is hidden in part goes first
    return score.double() + direction * inside.double() * (1e-9 / inside.numel())


def kept_index(kept: Tensor) -> tuple[Tensor, Tensor | None]:
    """Positions of the kept tokens of every sample, padded to the longest row.

    Args:
        kept: bool `(B, N)`.

    Returns:
        `(index, valid)`: index is int64 `(B, K)` in increasing order, `K` the largest count of the batch (at least 1);
        valid is bool `(B, K)`, False where a row has fewer tokens, or None when no row has.
    """
    count = kept.sum(1)
    longest = max(int(count.max()), 1)
    index = torch.argsort(~kept, dim=1, stable=True)[:, :longest]
    if bool((count == longest).all()):
        return index, None
    return index, torch.arange(longest, device=kept.device)[None] < count[:, None]


def gather_tokens(tokens: Tensor, index: Tensor) -> Tensor:
    """Pick tokens row by row, each row with its own index: `(B, N, D)`, `(B, K)` -> `(B, K, D)`."""
    batch, count, width = tokens.shape
    rows = torch.arange(batch, device=tokens.device)[:, None] * count
    flat = tokens.reshape(batch * count, width).index_select(0, (index + rows).flatten())
    return flat.view(batch, index.shape[1], width)  # (B, K, D)
