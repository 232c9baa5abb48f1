"""Which tokens the context encoder sees.

A mask is bool, True = visible. The number of masked tokens is exact in every sample.

Legend: `B` batch, `N` tokens of the grid (time x row x column, time slowest), `K` kept tokens,
`D` width.
"""

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Literal, TypeAlias

import torch
from torch import Tensor

MaskKind = Literal["random", "block", "future", "tube"]
Grid: TypeAlias = tuple[int, int, int]
"""Extent of the grid of tokens: (time, rows, columns)."""
Draw: TypeAlias = Callable[[int], Tensor]
"""A number of random numbers per sample -> these, in [0, 1), `(B, count)`."""


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
    generator: torch.Generator | Sequence[torch.Generator],
    grid: Grid | None = None,
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
        generator: random state (CPU), advanced by the draw. With one generator for each sample, a
            mask depends on its sample alone: not on the others, nor on padding at the end.
        grid: `(time, rows, columns)` with product `N` (default: a plain series).

    Returns:
        bool `(B, N)`, True = visible.

    Raises:
        ValueError: for an unknown kind, a ratio outside (0, 1), a grid that does not hold `N`
            tokens, or another number of generators than samples.
    """
    if not 0.0 < mask_ratio < 1.0:
        raise ValueError(
            f"mask_ratio must lie strictly between 0 and 1, got {mask_ratio}"
        )
    batch, tokens = observed.shape
    grid = grid or (tokens, 1, 1)
    size = math.prod(grid)
    if size != tokens:
        raise ValueError(f"the grid {grid} holds {size} tokens, the mask has {tokens}")
    if kind not in ORDERS:
        raise ValueError(
            f"mask must be 'random', 'block', 'future' or 'tube', got {kind!r}"
        )
    order = torch.full((batch, tokens), float("inf"), dtype=torch.float64)
    for rows, extent, draw in _groups(observed, generator, grid):
        own = (extent, *grid[1:])
        order[rows, : math.prod(own)] = ORDERS[kind](own, mask_ratio, draw).double()
    order = order.to(observed.device).masked_fill(~observed, float("inf"))
    count = observed.sum(1)  # (B,)
    wanted = (mask_ratio * count.float()).round().clamp(min=1).long()
    masked = torch.minimum(wanted, (count - 1).clamp(min=0))
    # Tokens with the smallest order are masked first.
    rank = order.argsort(1).argsort(1)  # (B, N)
    return observed & (rank >= masked[:, None])


def _groups(
    observed: Tensor,
    generator: torch.Generator | Sequence[torch.Generator],
    grid: Grid,
) -> Iterator[tuple[Tensor, int, Draw]]:
    """Samples that are drawn together: their rows, their extent in time, and their numbers.

    One generator draws for the whole batch. Several draw for the samples of each length.
    """
    batch = len(observed)
    if isinstance(generator, torch.Generator):
        yield torch.arange(batch), grid[0], partial(_uniform, generator, batch)
        return
    if len(generator) != batch:
        raise ValueError(
            f"expected a generator for each of {batch} samples, got {len(generator)}"
        )
    at_time = torch.unflatten(observed.cpu(), 1, (grid[0], -1)).any(2)  # (B, time)
    times = torch.arange(1, grid[0] + 1)
    extents = (at_time * times).amax(1).clamp(min=1)  # (B,)
    for extent in sorted({*extents.tolist()}):
        rows = torch.nonzero(extents == extent)[:, 0]
        own = [generator[row] for row in rows.tolist()]
        yield rows, extent, partial(_uniform_each, own)


def _uniform(generator: torch.Generator, batch: int, count: int) -> Tensor:
    """Numbers in [0, 1), `(batch, count)`, from one generator."""
    return torch.rand(batch, count, generator=generator, dtype=torch.float32)


def _uniform_each(generators: Sequence[torch.Generator], count: int) -> Tensor:
    """Numbers in [0, 1), `(B, count)`, each row from its own generator."""
    return torch.cat([_uniform(generator, 1, count) for generator in generators])


def _random_order(grid: Grid, mask_ratio: float, draw: Draw) -> Tensor:
    """Single tokens: `(B, N)`."""
    return draw(math.prod(grid))


def _future_order(grid: Grid, mask_ratio: float, draw: Draw) -> Tensor:
    """Later timesteps first: `(B, N)`."""
    time = torch.arange(grid[0]).repeat_interleave(grid[1] * grid[2])  # (N,)
    return draw(math.prod(grid)) * 0.5 - time.float()


def _tube_order(grid: Grid, mask_ratio: float, draw: Draw) -> Tensor:
    """Whole cells first: `(B, N)`."""
    time, rows, columns = grid
    if rows * columns == 1:
        return _block_order(grid, mask_ratio, draw)
    if rows == 1:  # agents of a scene have no neighborhood
        return draw(columns).repeat(1, time)
    cells = (1, rows, columns)
    small = _block_order(cells, mask_ratio, draw, extent_ratio=0.25)
    large = _block_order(cells, mask_ratio, draw, extent_ratio=1.0)
    is_small = draw(1) < 0.5
    return torch.where(is_small, small, large).repeat(1, time)


def _block_order(
    grid: Grid, mask_ratio: float, draw: Draw, extent_ratio: float = 0.5
) -> Tensor:
    """Whole boxes first: `(B, N)`.

    Each axis is cut into segments of about `extent_ratio` of the masked extent, at a random offset
    per sample. All tokens of a box share one random score; inside a box they are in order.
    """
    boxes = math.prod(extent + 1 for extent in grid)  # more than there can be
    numbers = draw(2 * len(grid) + 1 + boxes)
    axes, direction, scores = torch.split(numbers, [2 * len(grid), 1, boxes], dim=1)
    box = torch.zeros(len(numbers), 1, dtype=torch.long)  # (B, cells so far)
    inside = torch.zeros(1, 1, dtype=torch.float32)
    for axis, extent in enumerate(grid):
        longest = max(1, round(mask_ratio * extent * extent_ratio))
        shortest = max(1, longest // 2)
        first, second = axes[:, 2 * axis, None], axes[:, 2 * axis + 1, None]
        length = shortest + (first * (longest + 1 - shortest)).long()  # (B, 1)
        offset = (second * length).long()
        segment = (torch.arange(extent)[None] + offset) // length  # (B, extent)
        # There are at most `extent + 1` segments, so every box gets a number of its own.
        box = (box[:, :, None] * (extent + 1) + segment[:, None, :]).flatten(1)
        inside = (
            inside[:, :, None] * extent + torch.arange(extent)[None, None, :]
        ).flatten(1)
    score = scores.gather(1, box)
    # Which end of a partly masked box goes first; too small to reorder boxes.
    sign = direction - 0.5
    order: Tensor = score.double() + sign * inside.double() * (1e-9 / inside.numel())
    return order


ORDERS: Mapping[str, Callable[[Grid, float, Draw], Tensor]] = {
    "random": _random_order,
    "block": _block_order,
    "future": _future_order,
    "tube": _tube_order,
}
"""Kind of mask -> the order in which tokens are masked, smallest first: grid, mask ratio and random
numbers -> `(B, N)`."""


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
