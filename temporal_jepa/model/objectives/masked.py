"""What objectives with masks share."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

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
        """Masks for a batch, with exact counts per sample: bool `(num_masks, B, N)`."""
        config = encoder.config
        rows, columns = config.cells
        if x.dtype == torch.uint8:
            count = math.ceil(x.shape[1] / config.patch) * rows * columns
            observed = torch.ones(len(x), count, dtype=torch.bool)
        else:
            _, values_observed = encoder.prepare(x)
            observed = encoder.tokens_observed(values_observed)
        grid = (observed.shape[1] // (rows * columns), rows, columns)
        masks = [
            self._mask(encoder, observed, generator, grid)
            for _ in range(config.num_masks)
        ]
        return torch.stack(masks)

    def _mask(
        self,
        encoder: ContextEncoder,
        observed: Tensor,
        generator: torch.Generator,
        grid: tuple[int, int, int],
    ) -> Tensor:
        config = encoder.config
        if self.mask is None:
            return draw_visible(
                observed, config.mask, config.mask_ratio, generator, grid
            )
        visible = self.mask(observed, generator, grid)
        if visible.dtype != torch.bool or visible.shape != observed.shape:
            raise ValueError(
                f"a mask must return bool {tuple(observed.shape)}, True = visible, got "
                f"{visible.dtype} {tuple(visible.shape)}"
            )
        return visible & observed
