"""What objectives with masks share."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..encoder import ContextEncoder
from ..masks import draw_visible
from .objective import Drawn, Objective

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

    def draw_each(
        self, encoder: ContextEncoder, x: Tensor, generators: Sequence[torch.Generator]
    ) -> Drawn | None:
        """As `Objective.draw_each`, for the whole batch at once."""
        is_own = type(self).draw is not MaskedObjective.draw
        if is_own or self.mask is not None:
            return super().draw_each(encoder, x, generators)
        return draw_masks(encoder, x, generators)


def draw_masks(
    encoder: ContextEncoder,
    x: Tensor,
    generator: torch.Generator | Sequence[torch.Generator],
    mask: Mask | None = None,
) -> Tensor:
    """Masks for a batch, with exact counts per sample.

    Args:
        encoder: its configuration says how to mask.
        x: float `(B, T, C)`, NaN where unobserved, or bytes, which are all observed.
        generator: random state (CPU), advanced by the draw; without `mask`, also one for each
            sample.
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
    masks = []
    for _ in range(config.num_masks):
        if mask is None:
            kind, ratio = config.mask, config.mask_ratio
            masks.append(draw_visible(observed, kind, ratio, generator, grid))
        else:
            assert isinstance(generator, torch.Generator)
            masks.append(mask(observed, generator, grid))
    for visible in masks:
        if visible.dtype != torch.bool or visible.shape != observed.shape:
            raise ValueError(
                f"a mask must return bool {tuple(observed.shape)}, True = visible, got "
                f"{visible.dtype} {tuple(visible.shape)}"
            )
    return torch.stack(masks) & observed
