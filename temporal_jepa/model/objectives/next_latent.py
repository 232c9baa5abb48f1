"""Prediction of the next latent against others: contrastive predictive coding."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from ...config import TemporalJEPAConfig
from ..encoder import ContextEncoder
from ..losses import contrastive_loss, contrastive_terms
from ..transformer import Transformer
from .objective import Drawn, Objective

Negatives = Literal["within", "across", "both"]
LOCAL = ("linear", "patch", "tubelet")  # tokenizers whose tokens see one patch alone


class NextLatent(Objective):
    """Predict the next tokens from those so far, and find them among others.

    Contrastive predictive coding (arXiv 1807.03748): the output of a causal encoder at a token
    predicts the tokenizer's output some tokens later, and the prediction must be more similar to it
    than to other tokens (InfoNCE). Gradients flow through the targets; there is no EMA target.
    Tokens that cannot be predicted, as noise, do not help to find them, so the encoder drops them.

    Args:
        horizons: how many tokens ahead.
        negatives: what a token is told apart from: the other tokens of its sequence ("within"),
            which also drops what is constant in a sequence, those of the whole batch ("across"), or
            the mean of both losses ("both").
        temperature: of the cosine similarities.
        depth: causal blocks between the encoder and the predictions, trained and thrown away.
    """

    recipe: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"tokenizer": "patch", "attention": "causal"}
    )
    video_recipe: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"tokenizer": "tubelet"}
    )

    fewest_tokens: ClassVar[int] = 4

    def __init__(
        self,
        horizons: Sequence[int] = (1, 2, 4),
        negatives: Negatives = "within",
        temperature: float = 0.1,
        depth: int = 0,
    ):
        super().__init__()
        self.horizons = check_horizons(horizons)
        check_negatives(negatives)
        self.negatives = negatives
        self.temperature = temperature
        self.depth = depth

    def setup(self, config: TemporalJEPAConfig) -> None:
        """The predictor of each horizon, and the projector of the targets."""
        check_local(self, config)
        check_causal(self, config)
        width = config.embed_dim
        self.predictor = Transformer(width, self.depth, config) if self.depth else None
        self.project = nn.Linear(width, width)
        self.heads = nn.ModuleList(nn.Linear(width, width) for _ in self.horizons)

    def forward(
        self, encoder: ContextEncoder, x: Tensor, observed: Tensor, drawn: Drawn
    ) -> dict[str, Tensor]:
        """The mean contrastive loss over horizons; arguments as `Objective.forward`."""
        assert isinstance(drawn, torch.Generator)
        encoded = encoder.encode(x, observed, drop=False)
        context = encoded.layers[-1]
        if self.predictor is not None:
            context = self.predictor(
                context, encoded.positions, encoded.valid, encoded.num_tokens
            )[-1]
        targets = self.project(encoded.layers[0])  # (B, N, D)
        valid = encoded.valid
        losses = []
        chances = []
        for horizon, head in zip(self.horizons, self.heads, strict=True):
            shift = horizon * math.prod(encoder.config.cells)
            if shift >= targets.shape[1]:  # the sequence is too short
                continue
            pair_valid = None
            if valid is not None and not bool(valid.all()):
                pair_valid = valid[:, :-shift] & valid[:, shift:]
            loss, chance = contrastive_loss(
                head(context[:, :-shift]),
                targets[:, shift:],
                pair_valid,
                self.negatives,
                self.temperature,
                drawn,
            )
            losses.append(loss)
            chances.append(chance)
        return contrastive_terms(losses, chances)


def check_horizons(horizons: Sequence[int]) -> tuple[int, ...]:
    """The horizons in order; ValueError unless they are whole numbers from 1, 1 among them."""
    are_whole = all(isinstance(h, int) and h >= 1 for h in horizons)
    if 1 not in horizons or not are_whole:
        raise ValueError(
            f"horizons must be whole numbers from 1, 1 among them, got {tuple(horizons)}"
        )
    return tuple(sorted(horizons))


def check_negatives(negatives: object) -> None:
    """ValueError unless the negatives are known."""
    if negatives not in get_args(Negatives):
        known = ", ".join(get_args(Negatives))
        raise ValueError(f"negatives must be one of {known}, got {negatives!r}")


def check_causal(objective: Objective, config: TemporalJEPAConfig) -> None:
    """ValueError unless a token reads those before alone; else it has seen what comes next."""
    if config.attention != "causal":
        raise ValueError(
            f'{type(objective).__name__} needs attention="causal", got {config.attention!r}: a '
            "token that reads later ones need not predict them"
        )


def check_local(objective: Objective, config: TemporalJEPAConfig) -> None:
    """ValueError unless a token sees one patch alone; else a target would be seen beforehand."""
    if config.tokenizer not in LOCAL or config.normalize == "instance":
        raise ValueError(
            f"{type(objective).__name__} needs tokens that see their own patch alone: a tokenizer "
            f'of {", ".join(LOCAL)} and normalize "dataset" or "none", got '
            f"{config.tokenizer!r} and {config.normalize!r}"
        )
