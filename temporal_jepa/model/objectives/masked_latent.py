"""Prediction of masked latents with an EMA target: the objective of the configuration."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ...config import TemporalJEPAConfig
from ..encoder import ContextEncoder, Encoded, masked_mean
from ..losses import mean_predictor_loss, token_loss
from ..masks import gather_tokens, positions_of
from ..predictors import PooledPredictor, TokenPredictor
from ..regularizers import Regularizer, VICReg, check_regularizer
from .masked import Mask, MaskedObjective
from .objective import Drawn


class MaskedLatent(MaskedObjective):
    """Predict the target encoder's representation of the masked tokens from the visible ones.

    The joint-embedding predictive architecture of I-JEPA (arXiv 2301.08243): the target encoder is
    an EMA copy that sees everything and has no gradient, its output is layer-normed, and the loss
    is smooth L1. With `predict="pooled"` in the configuration one vector, the mean of the masked
    tokens, is predicted from the mean of the visible ones.

    Args:
        regularizer: of the visible tokens; None: `VICReg` with `variance_weight` and
            `covariance_weight` of the configuration.
        mask: draws the masks; None: by `mask` and `mask_ratio` of the configuration.
    """

    uses_target: ClassVar[bool] = True

    def __init__(
        self, regularizer: Regularizer | None = None, mask: Mask | None = None
    ):
        super().__init__(mask)
        check_regularizer(regularizer)
        self.regularizer = regularizer

    def setup(self, config: TemporalJEPAConfig) -> None:
        """The predictor and the regularizer."""
        is_pooled = config.predict == "pooled"
        self.predictor: TokenPredictor | PooledPredictor = (
            PooledPredictor(config) if is_pooled else TokenPredictor(config)
        )
        self._configured = VICReg(config.variance_weight, config.covariance_weight)
        if self.regularizer is not None:
            self.regularizer.setup(config)

    def forward(
        self,
        encoder: ContextEncoder,
        x: Tensor,
        observed: Tensor,
        drawn: Drawn,
        target: ContextEncoder | None = None,
    ) -> dict[str, Tensor]:
        """The loss of the masked tokens.

        Args:
            encoder: the context encoder.
            x: values `(B, T, C)` with `T` in whole patches.
            observed: bool `(B, T, C)`.
            drawn: bool `(V, B, N)`, True = visible: V masks that share one target pass.
            target: the target encoder.

        Returns:
            Scalars: `loss` (to minimize), `prediction_loss`, `relative_loss` (divided by the loss
            of predicting the mean target), and the terms of the regularizer.
        """
        assert isinstance(drawn, Tensor)
        assert target is not None
        token_observed = encoder.tokens_observed(observed)  # (B, N)
        if drawn.ndim != 3 or drawn.shape[1:] != token_observed.shape:
            expected = ", ".join(map(str, token_observed.shape))
            raise ValueError(
                f"visible must be (masks, {expected}), got {tuple(drawn.shape)}"
            )
        num_masks = len(drawn)
        visible = drawn.flatten(0, 1)  # (V*B, N)
        masked = token_observed.repeat(num_masks, 1) & ~visible
        positions, valid = positions_of(masked)  # (V*B, M)
        wanted = targets_at(target, x, observed, positions)  # (V*B, M, D)
        observed = encoder.mask(observed.repeat(num_masks, 1, 1), visible)
        context = encoder.encode(x.repeat(num_masks, 1, 1), observed)
        predicted, wanted, valid = self._predict(context, wanted, positions, valid)
        prediction = token_loss(predicted.float(), wanted, valid)
        mean_loss = mean_predictor_loss(wanted, valid).clamp(min=1e-3)
        terms = (self.regularizer or self._configured)(context)
        return {
            "loss": prediction + terms.pop("regularizer"),
            "prediction_loss": prediction,
            "relative_loss": prediction.detach() / mean_loss,
            **terms,
        }

    def _predict(
        self, context: Encoded, wanted: Tensor, positions: Tensor, valid: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Predicted and target representations, `(B, M, D)` each, and which are valid, `(B, M)`.

        The pooled predictor has `M` = 1: the mean of the masked tokens.
        """
        if isinstance(self.predictor, TokenPredictor):
            return self.predictor(context, positions, valid), wanted, valid
        wanted = masked_mean(wanted, valid)[:, None]
        pooled = masked_mean(context.layers[-1], context.valid)
        predicted = self.predictor(pooled)[:, None]
        has_masked = None if valid is None else valid.any(1)
        if has_masked is None or bool(has_masked.all()):
            return predicted, wanted, None
        return predicted, wanted, has_masked[:, None]

    @torch.no_grad()
    def error(
        self,
        encoder: ContextEncoder,
        target: ContextEncoder,
        x: Tensor,
        observed: Tensor,
        visible: Tensor,
    ) -> Tensor:
        """Smooth L1 of each masked token: bool `(B, N)` -> `(B, N)`, NaN elsewhere.

        Raises:
            ValueError: if the predictor predicts one pooled vector.
        """
        if not isinstance(self.predictor, TokenPredictor):
            raise ValueError(
                'prediction_error needs predict="tokens"; this model predicts one pooled vector'
            )
        context = encoder.encode(x, encoder.mask(observed, visible))
        masked = encoder.tokens_observed(observed) & ~visible
        positions, valid = positions_of(masked)
        wanted = targets_at(target, x, observed, positions)
        predicted = self.predictor(context, positions, valid)
        error = F.smooth_l1_loss(predicted, wanted, reduction="none").mean(-1)  # (B, M)
        grid = error.new_full(masked.shape, float("nan")).scatter(1, positions, error)
        return grid.masked_fill(~masked, float("nan"))


@torch.no_grad()
def targets(
    target: ContextEncoder, x: Tensor, observed: Tensor
) -> tuple[Tensor, Tensor]:
    """Layer-normed target tokens in fp32, `(B, N, D)`, and which are observed, `(B, N)`."""
    tokens, token_observed = target.encode(x, observed).on_grid()
    return F.layer_norm(tokens.float(), tokens.shape[-1:]), token_observed


@torch.no_grad()
def targets_at(
    target: ContextEncoder, x: Tensor, observed: Tensor, positions: Tensor
) -> Tensor:
    """`targets` at grid positions of `V` masks: `(V * B, M)` -> `(V * B, M, D)`."""
    num_masks = len(positions) // len(x)
    if num_masks > 1:  # together, the masks hide most tokens
        tokens, _ = targets(target, x, observed)  # (B, N, D)
        return gather_tokens(tokens.repeat(num_masks, 1, 1), positions)
    tokens = target.encode_at(x, observed, positions)
    return F.layer_norm(tokens.float(), tokens.shape[-1:])
