"""The interface of a training objective."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ...config import TemporalJEPAConfig
from ..encoder import ContextEncoder
from ..part import Part

Drawn = torch.Generator | Tensor


class Objective(Part):
    """What a `TemporalJEPA` is trained on: a part that turns a batch into a loss.

    A subclass implements `forward`, and `setup` if it has weights of its own. Its constructor
    stores every argument under the name of the argument, as in scikit-learn, so that the objective
    can be copied, printed and stored. See docs/objectives.md for a complete example.

    Attributes:
        uses_target: whether `forward` takes `target`, the EMA copy of the encoder. Otherwise
            embeddings come from the weights of the last step.
        recipe: fields of `TemporalJEPAConfig` that suit the objective, used where the caller names
            no other value.
        video_recipe: the same for video, where it replaces fields of `recipe`.
        fewest_tokens: tokens of a training crop at least.
    """

    uses_target: ClassVar[bool] = False
    recipe: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    video_recipe: ClassVar[Mapping[str, Any]] = MappingProxyType({})
    fewest_tokens: ClassVar[int] = 2

    def setup(self, config: TemporalJEPAConfig) -> None:
        """Create the modules of the objective, for example a predictor; called once per model.

        Raises:
            ValueError: if the objective cannot train an encoder of this configuration.
        """

    def draw(
        self, encoder: ContextEncoder, x: Tensor, generator: torch.Generator
    ) -> Drawn:
        """Random choices for a batch; what is returned becomes `drawn` of `forward`.

        The default returns the generator. An objective that draws something for every sequence, as
        a mask, returns a tensor `(V, B, ...)`. In training it is called for one sequence at a time,
        without padding and with a generator of that sequence, so that the result depends neither on
        the other sequences of the batch nor on the number of processes; see `draw_each`.

        Args:
            encoder: the context encoder.
            x: `(B, T, C)`, NaN where unobserved, or bytes.
            generator: random state (CPU).
        """
        return generator

    def draw_each(
        self, encoder: ContextEncoder, x: Tensor, generators: Sequence[torch.Generator]
    ) -> Drawn | None:
        """What `draw` returns for each sequence of a batch on its own, side by side.

        Args:
            encoder: the context encoder.
            x: `(B, T, C)`, NaN where unobserved, or bytes.
            generators: random state (CPU) of each sequence.

        Returns:
            `(V, B, ...)`; shorter sequences are padded with 0 at the end of the third axis. None if
            `draw` returns no tensor: it does not draw for each sequence.
        """
        if type(self).draw is Objective.draw:
            return None
        parts = []
        for row, generator in zip(x, generators, strict=True):
            own = row[: _observed_length(row)][None]
            drawn = self.draw(encoder, own, generator)
            if not isinstance(drawn, Tensor):
                return None
            parts.append(drawn)
        if parts[0].ndim < 3:
            return torch.cat(parts, dim=1)
        longest = math.ceil(x.shape[1] / encoder.config.patch)
        longest *= math.prod(encoder.config.cells)
        widest = max(longest, *(part.shape[2] for part in parts))
        return torch.cat([pad_tokens(part, widest) for part in parts], dim=1)

    def forward(
        self, encoder: ContextEncoder, x: Tensor, observed: Tensor, drawn: Drawn
    ) -> dict[str, Tensor]:
        """The terms of a batch, scalars.

        Args:
            encoder: the context encoder.
            x: values `(B, T, C)` with `T` in whole patches.
            observed: bool `(B, T, C)`.
            drawn: from `draw`.

        Returns:
            `loss`, which is minimized, and any other terms, which are logged without their
            gradients. `relative_loss` is 1 where nothing is learned; the report shows it.
        """
        raise NotImplementedError


def pad_tokens(drawn: Tensor, count: int) -> Tensor:
    """Pad what was drawn with 0 at the end: `(V, B, N, ...)` -> `(V, B, count, ...)`."""
    missing = count - drawn.shape[2]
    if missing <= 0:
        return drawn
    return F.pad(drawn, (0, 0) * (drawn.ndim - 3) + (0, missing))


def _observed_length(row: Tensor) -> int:
    """Timesteps up to the last observed value of `(T, C)`, at least 1."""
    if row.dtype == torch.uint8:
        return len(row)
    observed = torch.nonzero(~row.isnan().all(1))
    return int(observed[-1]) + 1 if len(observed) else 1
