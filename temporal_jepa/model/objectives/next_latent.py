"""Prediction of the next latent against others: contrastive predictive coding."""

import math
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import torch
import torch.nn.functional as F
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
            which also drops what is constant in a sequence, those of the batch ("across"; under
            torchrun, of a process's share of it), or the mean of both losses ("both").
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
        losses = []
        chances = []
        for pairs in self._pairs(encoder, x, observed):
            valid = None if bool(pairs.valid.all()) else pairs.valid
            loss, chance = contrastive_loss(
                pairs.predicted,
                pairs.target,
                valid,
                self.negatives,
                self.temperature,
                drawn,
            )
            losses.append(loss)
            chances.append(chance)
        return contrastive_terms(losses, chances)

    @torch.no_grad()
    def error(self, encoder: ContextEncoder, x: Tensor, observed: Tensor) -> Tensor:
        """How far each token is from what those before it predict.

        One minus the cosine similarity of the token and its prediction, the mean over horizons: 0
        is a perfect prediction, 1 an unrelated one.

        Args:
            encoder: the context encoder that was trained on this objective.
            x: values `(B, T, C)` with `T` in whole patches.
            observed: bool `(B, T, C)`.

        Returns:
            float32 `(B, N)`; NaN at tokens without an observed value, and at those that no token
            before them predicts, as the first.
        """
        shape = encoder.tokens_observed(observed).shape
        total = torch.zeros(shape, device=x.device)
        count = torch.zeros(shape, device=x.device)
        for pairs in self._pairs(encoder, x, observed):
            similarity = F.cosine_similarity(
                pairs.predicted.float(), pairs.target.float(), dim=-1
            )
            total[:, pairs.shift :] += torch.where(pairs.valid, 1 - similarity, 0.0)
            count[:, pairs.shift :] += pairs.valid
        return total / count  # 0 / 0 is NaN

    def _pairs(
        self, encoder: ContextEncoder, x: Tensor, observed: Tensor
    ) -> Iterator["_Pairs"]:
        """The predictions of each horizon, beside their targets; none if it is too long."""
        encoded = encoder.encode(x, observed, drop=False)
        valid = encoded.valid
        assert valid is not None  # tokens are not dropped
        context = encoded.layers[-1]
        if self.predictor is not None:
            context = self.predictor(
                context, encoded.positions, valid, encoded.num_tokens
            )[-1]
        targets = self.project(encoded.layers[0])  # (B, N, D)
        for horizon, head in zip(self.horizons, self.heads, strict=True):
            shift = horizon * math.prod(encoder.config.cells)
            predicted = head(context[:, :-shift])
            is_pair = valid[:, :-shift] & valid[:, shift:]
            yield _Pairs(shift, predicted, targets[:, shift:], is_pair)


class _Pairs(NamedTuple):
    """What a horizon of `shift` tokens predicts."""

    shift: int
    predicted: Tensor  # (B, N - shift, D)
    target: Tensor  # (B, N - shift, D)
    valid: Tensor  # bool (B, N - shift): both tokens have an observed value


def check_horizons(horizons: Sequence[int]) -> tuple[int, ...]:
    """The horizons in order; ValueError unless they are whole numbers from 1, 1 among them."""
    is_list = isinstance(horizons, list | tuple)
    are_whole = is_list and all(isinstance(h, int) and h >= 1 for h in horizons)
    if not are_whole or 1 not in horizons:
        raise ValueError(
            f"horizons must be whole numbers from 1, 1 among them, as (1, 2), got {horizons!r}"
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
