"""Prediction of values instead of latents: the controls of a JEPA, with the same encoder."""

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from ...config import TemporalJEPAConfig
from ..encoder import ContextEncoder
from ..losses import sum_over_processes, world_size
from ..masks import gather_tokens, positions_of
from ..predictors import RecurrentPredictor, TokenPredictor
from .masked import Mask, MaskedObjective
from .next_latent import check_causal, check_horizons, check_local
from .objective import Drawn, Objective

Predictor = Literal["recurrent", "transformer"]


class MaskedValues(MaskedObjective):
    """Predict the values of the masked patches from the visible tokens: a masked autoencoder.

    The target is standardized as the normalizer does (arXiv 2111.06377 for images), the loss is the
    mean squared error of the observed values.

    Args:
        predictor: "recurrent", in both directions, as `MaskedContrast`, or "transformer", as
            `MaskedLatent`, which the tokens of a video need.
        mask: draws the masks; None: by `mask` and `mask_ratio` of the configuration.
    """

    recipe: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"tokenizer": "patch", "encoder_depth": 0, "mask": "random", "mask_ratio": 0.5}
    )

    def __init__(self, predictor: Predictor = "recurrent", mask: Mask | None = None):
        super().__init__(mask)
        if predictor not in get_args(Predictor):
            known = ", ".join(get_args(Predictor))
            raise ValueError(f"predictor must be one of {known}, got {predictor!r}")
        self.predictor = predictor

    def setup(self, config: TemporalJEPAConfig) -> None:
        """The predictor of the masked tokens, and the decoder of their values."""
        self.read: RecurrentPredictor | TokenPredictor
        if self.predictor == "transformer":
            self.read = TokenPredictor(config)
        elif math.prod(config.cells) == 1:
            self.read = RecurrentPredictor(config)
        else:
            raise ValueError(
                "a recurrent predictor takes one token per time, got "
                f'{config.cells} (rows, columns) of them; use predictor="transformer"'
            )
        self.decode = value_decoder(config)

    def forward(
        self, encoder: ContextEncoder, x: Tensor, observed: Tensor, drawn: Drawn
    ) -> dict[str, Tensor]:
        """The error of the masked values; arguments as `Objective.forward`."""
        assert isinstance(drawn, Tensor)
        wanted, is_value = values_of(encoder, x, observed)  # (B, N, values)
        token_observed = encoder.tokens_observed(observed)
        terms = []
        for visible in drawn:
            context = encoder.encode(x, encoder.mask(observed, visible))
            positions, valid = positions_of(token_observed & ~visible)
            if isinstance(self.read, RecurrentPredictor):
                predicted = self.read(context, positions, token_observed)
            else:
                predicted = self.read(context, positions, valid)
            counted = gather_tokens(is_value, positions)
            if valid is not None:
                counted = counted & valid[..., None]
            terms.append(
                value_terms(
                    self.decode(predicted), gather_tokens(wanted, positions), counted
                )
            )
        return mean_terms(terms)


class NextValues(Objective):
    """Predict the values of the next patches from the tokens so far: a forecast.

    Args:
        horizons: how many tokens ahead.
    """

    recipe: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"tokenizer": "patch", "attention": "causal"}
    )
    video_recipe: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"tokenizer": "tubelet"}
    )

    def __init__(self, horizons: Sequence[int] = (1,)):
        super().__init__()
        self.horizons = check_horizons(horizons)

    def setup(self, config: TemporalJEPAConfig) -> None:
        """The decoder of each horizon."""
        check_local(self, config)
        check_causal(self, config)
        self.heads = nn.ModuleList(value_decoder(config) for _ in self.horizons)

    def forward(
        self, encoder: ContextEncoder, x: Tensor, observed: Tensor, drawn: Drawn
    ) -> dict[str, Tensor]:
        """The mean error over horizons; arguments as `Objective.forward`."""
        wanted, is_value = values_of(encoder, x, observed)  # (B, N, values)
        encoded = encoder.encode(x, observed, drop=False)
        context = encoded.layers[-1]
        valid = encoder.tokens_observed(observed)
        terms = []
        for horizon, head in zip(self.horizons, self.heads, strict=True):
            shift = horizon * math.prod(encoder.config.cells)
            counted = is_value[:, shift:] & valid[:, :-shift, None]
            terms.append(
                value_terms(head(context[:, :-shift]), wanted[:, shift:], counted)
            )
        return mean_terms(terms)


class Autoencoder(Objective):
    """Reconstruct the values of each patch from its token, with nothing masked."""

    recipe: ClassVar[Mapping[str, Any]] = MappingProxyType({"tokenizer": "patch"})
    video_recipe: ClassVar[Mapping[str, Any]] = MappingProxyType(
        {"tokenizer": "tubelet"}
    )
    fewest_tokens: ClassVar[int] = 1

    def setup(self, config: TemporalJEPAConfig) -> None:
        """The decoder."""
        self.decode = value_decoder(config)

    def forward(
        self, encoder: ContextEncoder, x: Tensor, observed: Tensor, drawn: Drawn
    ) -> dict[str, Tensor]:
        """The error of all observed values; arguments as `Objective.forward`."""
        wanted, is_value = values_of(encoder, x, observed)
        tokens, _ = encoder.encode(x, observed).on_grid()
        return value_terms(self.decode(tokens), wanted, is_value)


def value_decoder(config: TemporalJEPAConfig) -> nn.Module:
    """A perceptron with one hidden layer from a token to the values of its patch."""
    width = 2 * config.embed_dim
    values = config.patch * config.side**2 * config.frame_shape[2]
    return nn.Sequential(
        nn.Linear(config.embed_dim, width), nn.GELU(), nn.Linear(width, values)
    )


def values_of(
    encoder: ContextEncoder, x: Tensor, observed: Tensor
) -> tuple[Tensor, Tensor]:
    """The standardized values of each patch, `(B, N, values)`, and which are observed."""
    values = encoder.grid.patchify(encoder.normalizer(x, observed))
    return values, encoder.grid.patchify(encoder.normalizer.observed(observed))


def value_terms(
    predicted: Tensor, wanted: Tensor, counted: Tensor
) -> dict[str, Tensor]:
    """The mean squared error where `counted`, and relative to that of predicting the mean.

    Their averages over processes are the means over all processes.
    """
    wanted = wanted.float()
    count = counted.sum().float()
    count = (sum_over_processes(count) / world_size()).clamp(min=1e-6)
    error = ((predicted.float() - wanted).square() * counted).sum() / count
    mean = sum_over_processes((wanted * counted).sum() / count) / world_size()
    variance = ((wanted - mean).square() * counted).sum() / count
    variance = sum_over_processes(variance) / world_size()
    relative = torch.where(variance > 0, error / variance.clamp(min=1e-6), 1.0)
    return {"loss": error, "prediction_loss": error, "relative_loss": relative.detach()}


def mean_terms(terms: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each term."""
    return {
        name: torch.stack([each[name] for each in terms]).mean() for name in terms[0]
    }
