"""Prediction of masked latents against others, by a predictor that knows what is near."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ...config import TemporalJEPAConfig
from ..encoder import ContextEncoder
from ..losses import contrastive_loss, contrastive_terms
from ..masks import gather_tokens, positions_of
from ..predictors import RecurrentPredictor
from .masked import Mask, MaskedObjective
from .next_latent import Negatives, check_local, check_negatives
from .objective import Drawn


class MaskedContrast(MaskedObjective):
    """Predict the masked tokens from the visible ones, and find them among others.

    As `NextLatent`, for the masked task: the target is the tokenizer's output, gradients flow
    through it, and the prediction must be more similar to it than to other masked tokens. The
    predictor is a recurrent network in both directions (GRU). Attention over all tokens has no
    notion of what is near and does not find weak signals under noise, so the recipe has no
    attention in the encoder either.

    Args:
        negatives: as in `NextLatent`.
        temperature: of the cosine similarities.
        mask: draws the masks; None: by `mask` and `mask_ratio` of the configuration.
    """

    recipe: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"tokenizer": "patch", "encoder_depth": 0, "mask": "random", "mask_ratio": 0.5}
    )

    fewest_tokens: ClassVar[int] = 4

    def __init__(
        self,
        negatives: Negatives = "within",
        temperature: float = 0.1,
        mask: Mask | None = None,
    ):
        super().__init__(mask)
        check_negatives(negatives)
        self.negatives = negatives
        self.temperature = temperature

    def setup(self, config: TemporalJEPAConfig) -> None:
        """The predictor, and the projector of the targets."""
        check_local(self, config)
        if math.prod(config.cells) > 1:
            raise ValueError(
                "MaskedContrast predicts along time alone and takes one token per time, got "
                f"{config.cells} (rows, columns) of them; use NextLatent"
            )
        self.predictor = RecurrentPredictor(config)
        self.project = nn.Linear(config.embed_dim, config.embed_dim)

    def forward(
        self, encoder: ContextEncoder, x: Tensor, observed: Tensor, drawn: Drawn
    ) -> dict[str, Tensor]:
        """The contrastive loss of the masked tokens; arguments as `Objective.forward`."""
        assert isinstance(drawn, Tensor)
        targets = self.project(encoder.tokens(x, observed))  # (B, N, D)
        token_observed = encoder.tokens_observed(observed)
        losses = []
        chances = []
        for visible in drawn:
            context = encoder.encode(x, encoder.mask(observed, visible))
            positions, valid = positions_of(token_observed & ~visible)
            loss, chance = contrastive_loss(
                self.predictor(context, positions, token_observed),
                gather_tokens(targets, positions),
                valid,
                self.negatives,
                self.temperature,
                torch.Generator(),  # no state to store
            )
            losses.append(loss)
            chances.append(chance)
        return contrastive_terms(losses, chances)
