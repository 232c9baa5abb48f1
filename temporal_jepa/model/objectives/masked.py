"""What objectives with masks share."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ...config import TemporalJEPAConfig
from ..encoder import ContextEncoder
from ..masks import draw_visible
from .objective import Objective

Mask = Callable[[Tensor, torch.Generator, tuple[int, int, int]], Tensor]
"""bool `(B, N)` observed, generator, grid (time, rows, columns) -> bool `(B, N)` visible."""


class MaskedObjective(Objective):
    """An objective that masks tokens: `drawn` is bool `(V, B, N)`, True = visible.

    Args:
        mask: draws the masks of a batch; None: as the configuration says (`mask`, `mask_ratio`).
    """

    def __init__(self, mask: Mask | None = None):
        super().__init__()
        self.mask = mask

    def draw(
        self, encoder: ContextEncoder, x: Tensor, generator: torch.Generator
    ) -> Tensor:
        """As `draw_masks`."""
        return draw_masks(encoder, x, generator, self.mask)


def draw_masks(
    encoder: ContextEncoder,
    x: Tensor,
    generator: torch.Generator,
    mask: Mask | None = None,
) -> Tensor:
    """Masks for a batch, with exact counts per sample.

    Args:
        encoder: its configuration says how to mask.
        x: float `(B, T, C)`, NaN where unobserved, or bytes, which are all observed.
        generator: random state (CPU), advanced by the draw.
        mask: draws the masks instead.

    Returns:
        bool `(num_masks, B, N)`, True = visible.

    Raises:
        ValueError: if `mask` returns anything else.
    """
    config = encoder.config
    rows, columns = config.cells
    if x.dtype == torch.uint8:
        count = math.ceil(x.shape[1] / config.patch) * rows * columns
        observed = torch.ones(len(x), count, dtype=torch.bool)
    else:
        _, values_observed = encoder.prepare(x)
        observed = encoder.tokens_observed(values_observed)
    grid = (observed.shape[1] // (rows * columns), rows, columns)
    if mask is None:
        mask = partial(_as_configured, config)
    masks = [mask(observed, generator, grid) for _ in range(config.num_masks)]
    for visible in masks:
        if visible.dtype != torch.bool or visible.shape != observed.shape:
            raise ValueError(
                f"a mask must return bool {tuple(observed.shape)}, True = visible, got "
                f"{visible.dtype} {tuple(visible.shape)}"
            )
    return torch.stack(masks) & observed


def _as_configured(
    config: TemporalJEPAConfig,
    observed: Tensor,
    generator: torch.Generator,
    grid: tuple[int, int, int],
) -> Tensor:
    return draw_visible(observed, config.mask, config.mask_ratio, generator, grid)
