"""The interface of a training objective."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import torch
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
        a mask, returns a tensor `(V, B, ...)`: under torchrun it is drawn for the batch of all
        processes, and each gets its rows, so that results do not depend on their number.

        Args:
            encoder: the context encoder.
            x: `(B, T, C)`, NaN where unobserved, or bytes.
            generator: random state (CPU).
        """
        return generator

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
