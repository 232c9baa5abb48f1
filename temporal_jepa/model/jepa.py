"""The model above its encoder: predictors, TemporalJEPA, the builders of its two halves.

Legend of shapes: `B` batch, `T` timesteps, `C` channels (input_dim), `N` tokens, `K` kept tokens, `M` masked tokens,
`V` masks that share a target pass, `D` width, `P` width of the predictor.
"""

import copy
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import Pool, TemporalJEPAConfig, make_config
from .ema import default_momentum, ema_update
from .encoder import ContextEncoder, Encoded, append_moments, masked_mean, pool_tokens, view_pool
from .losses import loss, mean_predictor_loss, token_loss, variance_covariance
from .masks import draw_visible, gather_tokens, generate_temporal_mask, kept_index
from .transformer import Transformer

if TYPE_CHECKING:
    from .multiscale import FloatArray


class TokenPredictor(nn.Module):
    """A narrow transformer that fills in the masked tokens: mask tokens at the true positions read the context."""

    def __init__(self, config: TemporalJEPAConfig):
        super().__init__()
        self.proj_in = nn.Linear(config.embed_dim, config.predictor_embed_dim)
        self.mask_token = nn.Parameter(torch.randn(config.predictor_embed_dim) * 0.02)
        self.transformer = Transformer(config.predictor_embed_dim, config.predictor_depth, config)
        self.proj_out = nn.Linear(config.predictor_embed_dim, config.embed_dim)

    def forward(self, context: Encoded, index: Tensor, valid: Tensor | None) -> Tensor:
        """Predict the tokens at grid places `index (B, M)`, of which `valid (B, M)` are real -> `(B, M, D)`."""
        seen = self.proj_in(context.layers[-1])  # (B, K, P)
        asked = self.mask_token.expand(*index.shape, -1).to(seen.dtype)  # (B, M, P)
        places = torch.cat([context.index, index], dim=1)  # (B, K + M)
        real = None
        if valid is not None or context.valid is not None:
            masks = [
                (m if m is not None else torch.ones_like(i, dtype=torch.bool))
                for m, i in ((context.valid, context.index), (valid, index))
            ]
            real = torch.cat(masks, dim=1)
        filled = self.transformer(torch.cat([seen, asked], dim=1), places, real)[
            -1
        ]  # (B, K + M, P)
        predicted: Tensor = self.proj_out(filled[:, seen.shape[1] :])  # (B, M, D)
        return predicted


class PooledPredictor(nn.Module):
    """From one vector to one: residual MLP blocks, `(B, embed_dim)` -> `(B, embed_dim)`."""

    def __init__(self, config: TemporalJEPAConfig):
        super().__init__()
        width = config.predictor_embed_dim
        self.proj_in = nn.Linear(config.embed_dim, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(width),
                nn.Linear(width, 4 * width),
                nn.GELU(),
                nn.Linear(4 * width, width),
                nn.Dropout(config.dropout),
            )
            for _ in range(config.predictor_depth)
        )
        self.norm = nn.LayerNorm(width)
        self.proj_out = nn.Linear(width, config.embed_dim)

    def forward(self, pooled: Tensor) -> Tensor:
        """`(B, embed_dim)` -> `(B, embed_dim)`."""
        h = self.proj_in(pooled)
        for block in self.blocks:
            h = h + block(h)
        predicted: Tensor = self.proj_out(self.norm(h))
        return predicted


def build(**options: Any) -> tuple[ContextEncoder, PooledPredictor]:
    """Context encoder and pooled predictor, two modules usable alone: `(context_encoder, predictor)`.

    Args:
        options: fields of `TemporalJEPAConfig`; `input_dim` is required.

    Raises:
        ValueError: for an unknown option, a missing `input_dim`, or a value out of range.

    >>> context_encoder, predictor = build(input_dim=128, embed_dim=128, predictor_embed_dim=64, seq_len=60)
    >>> predictor(context_encoder(torch.randn(4, 60, 128))).shape
    torch.Size([4, 128])
    """
    return build_context_encoder(**options), build_predictor(**options)


def build_context_encoder(**options: Any) -> ContextEncoder:
    """Visible timesteps `(batch, seq_len, input_dim)` -> `(batch, embed_dim)`; options and errors as in `build`."""
    return ContextEncoder(make_config(**options))


def build_predictor(**options: Any) -> PooledPredictor:
    """Context `(batch, embed_dim)` -> predicted target `(batch, embed_dim)`; options and errors as in `build`."""
    return PooledPredictor(make_config(**options))


def output_size(**options: Any) -> int:
    """Width of the encoder's output, `embed_dim`; options and errors as in `build`."""
    return make_config(**options).embed_dim


class TemporalJEPA(nn.Module):
    """Context encoder, EMA target encoder and predictor. Training calls it; people call `embed`.

    The functional interface is at hand as `TemporalJEPA.build(...)` and so on.

    >>> model = TemporalJEPA(TemporalJEPAConfig(input_dim=3, embed_dim=32, num_heads=4))
    >>> model.embed(torch.randn(2, 60, 3), pool="mean").shape
    torch.Size([2, 32])
    """

    build = staticmethod(build)
    build_context_encoder = staticmethod(build_context_encoder)
    build_predictor = staticmethod(build_predictor)
    output_size = staticmethod(output_size)
    default_momentum = staticmethod(default_momentum)
    ema_update = staticmethod(ema_update)
    generate_temporal_mask = staticmethod(generate_temporal_mask)
    loss = staticmethod(loss)

    def __init__(self, config: TemporalJEPAConfig):
        super().__init__()
        self.config = config
        self.context_encoder = ContextEncoder(config)
        self.target_encoder = copy.deepcopy(self.context_encoder).requires_grad_(False).eval()
        self.predictor = (
            TokenPredictor(config) if config.predict == "tokens" else PooledPredictor(config)
        )
        self.register_load_state_dict_pre_hook(_rename_weights)

    def train(self, mode: bool = True) -> "TemporalJEPA":
        """Switch to training mode; the target encoder always stays in evaluation mode (no dropout in the targets)."""
        super().train(mode)
        self.target_encoder.eval()
        return self

    def draw_masks(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Masks for a batch: `x (B, T, C)` -> bool `(num_masks, B, N)`, True = visible, exact counts per sample."""
        encoder = self.context_encoder
        config = self.config
        seen = encoder.tokens_observed(encoder.prepare(x)[1])
        rows, columns = config.cells
        grid = (seen.shape[1] // (rows * columns), rows, columns)
        return torch.stack(
            [
                draw_visible(seen, config.mask, config.mask_ratio, generator, grid)
                for _ in range(config.num_masks)
            ]
        )

    def forward(self, x: Tensor, visible: Tensor) -> dict[str, Tensor]:
        """The training objective of one batch.

        Args:
            x: float `(B, T, C)`, NaN where unobserved.
            visible: bool `(V, B, N)` from `draw_masks`: V masks that share one pass of the target encoder.

        Returns:
            Scalars: `loss` (to minimise), `prediction_loss`, `relative_loss` (over the loss of predicting the mean
            target), `variance_loss`, `covariance_loss`.
        """
        x, known = self.context_encoder.prepare(x)
        target, seen = self.targets(x, known)  # (B, N, D), (B, N)
        if visible.ndim != 3 or visible.shape[1:] != seen.shape:
            raise ValueError(
                f"visible must be (masks, {', '.join(map(str, seen.shape))}), got {tuple(visible.shape)}"
            )
        repeats = visible.shape[0]
        visible = visible.flatten(0, 1)  # (V*B, N)
        context = self.context_encoder.encode(
            x.repeat(repeats, 1, 1), self.context_encoder.mask(known.repeat(repeats, 1, 1), visible)
        )
        masked = seen.repeat(repeats, 1) & ~visible
        index, valid = kept_index(masked)  # (V*B, M)
        wanted = gather_tokens(target.repeat(repeats, 1, 1), index)  # (V*B, M, D)
        if isinstance(self.predictor, PooledPredictor):
            wanted = masked_mean(wanted, valid)[:, None]
            valid = None
            usable = masked.any(1)
            guess = self.predictor(masked_mean(context.layers[-1], context.valid))[:, None]
            valid = None if bool(usable.all()) else usable[:, None]
        else:
            guess = self.predictor(context, index, valid)
        prediction = token_loss(guess.float(), wanted, valid)
        relative = prediction.detach() / mean_predictor_loss(wanted, valid).clamp(min=1e-3)
        regularised = self.config.variance_weight + self.config.covariance_weight > 0
        with torch.set_grad_enabled(regularised and torch.is_grad_enabled()):
            spread = variance_covariance(
                context.layers[-1], context.index, context.valid, context.num_tokens
            )
        weighted = (
            self.config.variance_weight * spread.variance
            + self.config.covariance_weight * spread.covariance
        )
        return {
            "loss": prediction + weighted,
            "prediction_loss": prediction.detach(),
            "relative_loss": relative,
            "variance_loss": spread.variance.detach(),
            "covariance_loss": spread.covariance.detach(),
        }

    @torch.no_grad()
    def targets(self, x: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Layer-normed tokens of the target encoder in fp32: `(B, N, D)` and which are observed, `(B, N)`."""
        with torch.autocast(x.device.type, enabled=False):
            tokens, seen = self.target_encoder.encode(x.float(), known).on_grid()
        return F.layer_norm(tokens, tokens.shape[-1:]), seen

    def update_target(self, momentum: float) -> None:
        """Move the target encoder, after the optimizer's step: `ema_update` in place."""
        ema_update(self.context_encoder, self.target_encoder, momentum)

    def set_normalizer(self, mean: Tensor, std: Tensor, slope: Tensor) -> None:
        """Store the training data's channel statistics, each `(C,)`, in both encoders."""
        for encoder in (self.context_encoder, self.target_encoder):
            encoder.normalizer.mean.copy_(mean)
            encoder.normalizer.std.copy_(std)
            encoder.normalizer.slope.copy_(slope)

    @torch.no_grad()
    def embed(self, x: Tensor, pool: Pool = "all") -> Tensor:
        """One vector per sequence, from the target encoder in evaluation mode.

        Args:
            x: float `(B, T, C)`, NaN where missing or padded. A model with `views` takes any `C`, see `embed_views`.
            pool: "mean" of the last layer's tokens `(B, D)`;
                `(B, 3 D)`; "all": the same of the tokenizer's output and every layer; "quantiles": five
                quantiles over the tokens of each of these. With `normalize="instance"` each
                sequence's mean and standard deviation per channel are appended.

        Returns:
            `(B, features)`, float32 (float64 for a model in double precision).

        Raises:
            ValueError: for a wrong shape, an unknown pool, infinite values, or a sequence without any observed value.
        """
        if self.config.resolutions:
            from .multiscale import embed_views  # needs numpy

            return torch.from_numpy(
                embed_views(self.encode_channels(pool), self.config.resolutions, _rows(x))
            ).to(x.device)
        encoder = self.target_encoder
        x, known = encoder.prepare(x)
        if not bool(known.flatten(1).any(1).all()):
            raise ValueError(
                "every sequence needs at least one observed value; got one that is all missing"
            )
        features = self.features(x, known, pool)
        if not bool(features.isfinite().all()):
            raise ValueError(
                "the embedding is not finite: x holds infinite or huge values; write NaN for what is missing"
            )
        return features.float() if features.dtype.itemsize < 4 else features

    def encode_channels(self, pool: Pool = "all") -> "Callable[[FloatArray], FloatArray]":
        """What `embed_views` asks for: standardised channels `(rows, L)`, without gaps -> `(rows, features)`."""
        return lambda x: pool_tokens(self._encode_rows(x), view_pool(pool)).cpu().numpy()

    def encode_tokens(self, x: "FloatArray") -> "FloatArray":
        """What `view_tokens` asks for: standardised channels `(rows, L)`, without gaps -> `(rows, N, D)`."""
        tokens: FloatArray = self._encode_rows(x).layers[-1].cpu().numpy()
        return tokens

    @torch.no_grad()
    def _encode_rows(self, x: "FloatArray") -> Encoded:
        rows = torch.from_numpy(x[:, :, None]).to(next(self.parameters()).device)
        return self.target_encoder.encode(*self.target_encoder.prepare(rows))

    def features(self, x: Tensor, known: Tensor, pool: Pool = "all") -> Tensor:
        """`embed` of a prepared batch, `(B, N*P, C)`, with a gradient and without checks, for fine-tuning."""
        encoded = self.target_encoder.encode(x, known)
        return append_moments(self.target_encoder, pool_tokens(encoded, pool), x, known)

    @torch.no_grad()
    def embed_tokens(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The last layer at its grid places, time slowest: `(B, T, C)` -> `(B, N, embed_dim)`, bool `(B, N)`.

        False marks tokens without an observed value, which are 0. A model with `views` takes any `C`, see
        `view_tokens`: the tokens of its longest view.
        """
        if self.config.resolutions:
            from .multiscale import view_tokens

            tokens = torch.from_numpy(
                view_tokens(self.encode_tokens, max(self.config.resolutions), _rows(x))
            )
            return tokens, torch.ones(tokens.shape[:2], dtype=torch.bool)
        return self.target_encoder.encode(*self.target_encoder.prepare(x)).on_grid()

    @torch.no_grad()
    def embed_timesteps(self, x: Tensor) -> Tensor:
        """The last layer at the original rate: `(B, T, C)` -> `(B, T, embed_dim)`; NaN where a patch is unobserved.

        Of tokens on a grid (a film, a scene), the mean over the observed cells of each time. Of a model with `views`,
        see `at_timesteps`.
        """
        length = x.shape[1]
        tokens, seen = self.embed_tokens(x)
        if self.config.resolutions:
            from .multiscale import at_timesteps

            pairs = zip(tokens.numpy(), _rows(x), strict=True)
            return torch.stack(
                [torch.from_numpy(at_timesteps(t, row, self.config.patch)) for t, row in pairs]
            )
        cells = math.prod(self.config.cells)
        tokens = torch.unflatten(tokens, 1, (-1, cells))
        seen = torch.unflatten(seen, 1, (-1, cells))[..., None]
        tokens = (tokens * seen).sum(2) / seen.sum(
            2
        )  # (B, N / cells, D), 0 / 0 where nothing is observed
        return tokens.repeat_interleave(self.config.patch, dim=1)[:, :length]

    @torch.no_grad()
    def prediction_error(self, x: Tensor, visible: Tensor) -> Tensor:
        """Where prediction is hard: smooth L1 of each masked token, `(B, T, C)`, `(B, N)` -> `(B, N)`, else NaN."""
        if isinstance(self.predictor, PooledPredictor):
            raise ValueError(
                'prediction_error needs predict="tokens"; this model predicts one pooled vector'
            )
        x, known = self.context_encoder.prepare(x)
        target, seen = self.targets(x, known)
        context = self.context_encoder.encode(x, self.context_encoder.mask(known, visible))
        index, valid = kept_index(seen & ~visible)
        guess = self.predictor(context, index, valid)
        error = F.smooth_l1_loss(guess, gather_tokens(target, index), reduction="none").mean(
            -1
        )  # (B, M)
        grid = error.new_full(seen.shape, float("nan")).scatter(1, index, error)
        return grid.masked_fill(visible | ~seen, float("nan"))


def _rows(x: Tensor) -> "list[FloatArray]":
    """The sequences of a batch `(B, T, C)`, for `views`; padding and gaps are NaN."""
    if x.ndim != 3 or not len(x):
        raise ValueError(
            f"x must be (batch, seq_len, channels) with at least one sequence, got {tuple(x.shape)}"
        )
    return [*x.detach().cpu().double().numpy()]


RENAMED_WEIGHTS = {"stack": "transformer", "enter": "proj_in", "leave": "proj_out"}
"""Names of submodules in checkpoints of 0.1 -> names since 0.2."""


def _rename_weights(module: nn.Module, state_dict: dict[str, Tensor], *_: Any) -> None:
    """Give the weights of a checkpoint of 0.1 their current names, in place and in order."""
    renamed = {
        ".".join(RENAMED_WEIGHTS.get(part, part) for part in name.split(".")): value
        for name, value in state_dict.items()
    }
    state_dict.clear()
    state_dict.update(renamed)


def draw_model(config: TemporalJEPAConfig, seed: int) -> TemporalJEPA:
    """A model with weights from `seed`; the global random state is left alone."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return TemporalJEPA(config)


def random_init_like(model: TemporalJEPA, seed: int) -> TemporalJEPA:
    """The same architecture and channel statistics, weights drawn from `seed`: the control of a trained model."""
    twin = draw_model(model.config, seed)
    normalizer = model.context_encoder.normalizer
    twin.set_normalizer(normalizer.mean, normalizer.std, normalizer.slope)
    return twin.eval()
