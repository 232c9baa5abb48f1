"""Temporal JEPA: `TemporalJEPA`, and the builders of its two halves.

Legend of shapes: `B` batch, `T` timesteps, `C` channels (input_dim), `N` tokens, `V` masks that
share a target pass, `D` width.
"""

import copy
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..config import Pool, TemporalJEPAConfig, make_config
from ..files import memory
from .compact import COMPONENTS, Components, check_dim, empty_components
from .ema import default_momentum, ema_update
from .encoder import ContextEncoder
from .losses import loss
from .masks import generate_temporal_mask
from .modules import Modules
from .multiscale import GROUPS, MultiResolution
from .objectives import MaskedLatent, NextLatent, Objective, as_objective, describe
from .objectives.masked import draw_masks
from .objectives.masked_latent import targets
from .objectives.objective import Drawn
from .pooling import Embedder
from .predictors import PooledPredictor
from .random import DrawFrom
from .weights import load, save, upload


def build(**options: Any) -> tuple[ContextEncoder, PooledPredictor]:
    """Context encoder and pooled predictor, two modules usable alone.

    `TemporalJEPA` itself predicts tokens unless `predict="pooled"`.

    Args:
        options: fields of `TemporalJEPAConfig`; `input_dim` is required.

    Returns:
        `(context_encoder, predictor)`.

    Raises:
        ValueError: for an unknown option, a missing `input_dim`, or a value out of range.

    >>> context_encoder, predictor = build(input_dim=128, predictor_embed_dim=64, seq_len=60)
    >>> predictor(context_encoder(torch.randn(4, 60, 128))).shape
    torch.Size([4, 128])
    """
    return build_context_encoder(**options), build_predictor(**options)


def build_context_encoder(**options: Any) -> ContextEncoder:
    """`(batch, seq_len, input_dim)` -> `(batch, embed_dim)`; options as `build`.

    >>> build_context_encoder(input_dim=3, embed_dim=32, num_heads=4)(torch.randn(2, 60, 3)).shape
    torch.Size([2, 32])
    """
    return ContextEncoder(make_config(**options))


def build_predictor(**options: Any) -> PooledPredictor:
    """Context `(batch, embed_dim)` -> target `(batch, embed_dim)`; options as `build`.

    >>> build_predictor(input_dim=3, embed_dim=32, predictor_embed_dim=16)(torch.randn(2, 32)).shape
    torch.Size([2, 32])
    """
    return PooledPredictor(make_config(**options))


def output_size(**options: Any) -> int:
    """Width of the encoder's output, `embed_dim`; options as `build`, `input_dim` is not needed.

    >>> output_size(), output_size(embed_dim=32)
    (128, 32)
    """
    return make_config(**{"input_dim": 1, **options}).embed_dim


class TemporalJEPA(nn.Module):
    """Context encoder, EMA target encoder and predictor.

    Args:
        config: architecture, and settings of the default objective.
        objective: what to train on: an `Objective`, whose weights are drawn anew, or its name in
            `OBJECTIVES`. None: `MaskedLatent()`.
        modules: a tokenizer or an encoder of your own.

    Calling it computes the training objective; `embed` embeds. The functional interface is also
    available as `TemporalJEPA.build(...)` and so on.

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

    offset: Tensor
    components: Components | None  # see `embed`, fitted after training

    def __init__(
        self,
        config: TemporalJEPAConfig,
        objective: Objective | str | None = None,
        modules: Modules | None = None,
    ):
        super().__init__()
        self.config = config
        self.own_modules = modules or Modules()
        self.context_encoder = ContextEncoder(config, modules)
        self.target_encoder = (
            copy.deepcopy(self.context_encoder).requires_grad_(False).eval()
        )
        # None if the model was loaded without it.
        self.objective: Objective | None = (
            as_objective(objective) or MaskedLatent()
        ).fresh()
        self.objective.setup(config)
        # Subtracted from raw values before anything else; 0 unless float32 would lose variation.
        self.register_buffer("offset", torch.zeros(config.input_dim))
        self.components = None
        self.register_load_state_dict_pre_hook(  # type: ignore[no-untyped-call]
            _update_weights
        )

    def train(self, mode: bool = True) -> "TemporalJEPA":
        """Set the training mode; the target encoder stays in evaluation mode."""
        super().train(mode)
        self.target_encoder.eval()
        return self

    def draw(self, x: Tensor, generator: torch.Generator) -> Drawn:
        """What the objective draws for a batch: `draw_masks`, or `Objective.draw`."""
        return self.trainable().draw(self.context_encoder, x, generator)

    def draw_each(
        self, x: Tensor, generators: Sequence[torch.Generator]
    ) -> Drawn | None:
        """What the objective draws for each sequence on its own, see `Objective.draw_each`."""
        return self.trainable().draw_each(self.context_encoder, x, generators)

    def draw_masks(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """Masks for a batch, with exact counts per sample.

        Args:
            x: float `(B, T, C)`, NaN where unobserved, or bytes, which are all observed.
            generator: random state (CPU), advanced by the draw.

        Returns:
            bool `(num_masks, B, N)`, True = visible.
        """
        return draw_masks(self.context_encoder, x, generator)

    def forward(self, x: Tensor, drawn: Drawn) -> dict[str, Tensor]:
        """The training objective of one batch.

        Args:
            x: float `(B, T, C)`, NaN where unobserved.
            drawn: from `draw`; for the default objective bool `(V, B, N)` from `draw_masks`: V
                masks that share one target pass.

        Returns:
            Scalars: `loss` (to minimize), and the other terms of the objective. Those of the
            default objective are `prediction_loss`, `relative_loss` (divided by the loss of
            predicting the mean target), `variance_loss`, `covariance_loss`.

        Raises:
            ValueError: if the model was loaded without its objective, or the objective returns no
                loss.
        """
        objective = self.trainable()
        x, observed = self.context_encoder.prepare(x)
        given = {"target": self.target_encoder} if objective.uses_target else {}
        terms = objective(self.context_encoder, x, observed, drawn, **given)
        if not isinstance(terms, dict) or "loss" not in terms:
            got = ", ".join(terms) if isinstance(terms, dict) else type(terms).__name__
            raise ValueError(
                f'{objective!r} must return a dict with "loss" among its terms, got {got}'
            )
        return {
            name: value if name == "loss" else value.detach()
            for name, value in terms.items()
        }

    def training_step(
        self, x: Tensor, generator: torch.Generator | None = None
    ) -> dict[str, Tensor]:
        """The training objective of one batch, with what it draws: all that a loop needs.

        After the step of the optimizer call `update_target`, for example with `momentum_at`.

        Args:
            x: float `(B, T, C)`, NaN where missing or padded, as `TemporalJEPADataset.collate`
                gives it; or bytes of video, which are read as 0..1. A model that encodes channels
                separately takes one channel.
            generator: random state (CPU) of the masks; None: that of torch, which
                `torch.manual_seed` sets.

        Returns:
            Scalars, as `forward`: `loss` to minimize, and terms without a gradient.

        Raises:
            ValueError: as `forward`, or for a wrong shape.

        >>> model = TemporalJEPA(TemporalJEPAConfig(input_dim=3, embed_dim=32, num_heads=4))
        >>> model.training_step(torch.randn(8, 60, 3))["loss"].requires_grad
        True
        """
        if generator is None:
            generator = torch.default_generator
        if x.dtype == torch.uint8:
            x = x.float() / 255
        if not self.config.channel_independent:
            x = (x - self.offset).float()
        terms: dict[str, Tensor] = self(x, self.draw(x, generator))
        return terms

    def trainable(self) -> Objective:
        """The objective; ValueError if the model was loaded without it."""
        if self.objective is None:
            raise ValueError(
                "the model was loaded without its objective, which is not of this package, and "
                "cannot be trained; resume its run with objective=, or start from scratch"
            )
        return self.objective

    @property
    def predictor(self) -> nn.Module | None:
        """The predictor of the objective, None if it has none of that name."""
        found = getattr(self.objective, "predictor", None)
        return found if isinstance(found, nn.Module) else None

    @torch.no_grad()
    def targets(self, x: Tensor, observed: Tensor) -> tuple[Tensor, Tensor]:
        """Layer-normed target tokens in fp32, `(B, N, D)`, and which are observed, `(B, N)`."""
        return targets(self.target_encoder, x, observed)

    def encode_context(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens of the context encoder at their positions, without masks.

        Args:
            x: float `(B, T, C)`, NaN where unobserved.

        Returns:
            `(B, N, D)`, 0 where nothing is observed, and bool `(B, N)`, True where something is.
        """
        encoder = self.context_encoder
        return encoder.encode(*encoder.prepare(x)).on_grid()

    def update_target(self, momentum: float) -> None:
        """Move the target encoder, after the optimizer's step: `ema_update` in place.

        With an objective that has no EMA target, it becomes a copy of the context encoder.
        """
        if not self.trainable().uses_target:
            momentum = 0.0
        ema_update(self.context_encoder, self.target_encoder, momentum)

    def set_normalizer(
        self, mean: Tensor, std: Tensor, slope: Tensor, mixing: Tensor | None = None
    ) -> None:
        """Store the statistics of the training data in both encoders.

        Args:
            mean: of each channel, `(C,)`.
            std: standard deviation of each channel, `(C,)`.
            slope: standard deviation of first differences over `std`, `(C,)`.
            mixing: `(C, C)`, of `normalize="slow"`.
        """
        for encoder in (self.context_encoder, self.target_encoder):
            if mixing is not None:
                encoder.normalizer.mixing.copy_(mixing)
            encoder.normalizer.mean.copy_(mean)
            encoder.normalizer.std.copy_(std)
            encoder.normalizer.slope.copy_(slope)

    def embedder(
        self, pool: Pool = "all", dim: int | None = None
    ) -> Embedder | MultiResolution:
        """The module that embeds with the target encoder, as configured by `resolutions`.

        Raises:
            ValueError: for a `dim` that the model cannot compute, see `embed`.
        """
        kind = MultiResolution if self.config.channel_independent else Embedder
        if dim is None:
            return kind(self.target_encoder, pool, self.offset)
        count = 0 if self.components is None else self.components.count
        check_dim(dim, pool, count, STORED if count else NOT_STORED)
        return kind(self.target_encoder, pool, self.offset, self.components, dim)

    def compact_dim(self, channels: int) -> int | None:
        """The `dim` of searches and maps of series unless another is asked for.

        128 if the model stores that many components, fewer being those of few series, and if
        projections of `channels` are not added up, which loses some of them. Else None, all
        features.
        """
        is_added = self.config.channel_independent and channels > GROUPS
        if self.components is None or self.components.count < COMPONENTS or is_added:
            return None
        return COMPONENTS

    @staticmethod
    @torch.inference_mode(False)
    def from_pretrained(
        source: str | os.PathLike[str],
        device: str = "cpu",
        modules: Modules | None = None,
    ) -> "TemporalJEPA":
        """Load a model, see `temporal_jepa.from_pretrained`: arguments, result and errors."""
        modules = modules or Modules()
        stored = load(source, modules)
        model = draw_model(stored.architecture, 0, stored.objective, modules)
        if stored.objective is None:
            model.objective = None
        try:
            model.load_state_dict(stored.weights)
        except RuntimeError as error:
            raise stored.fit(str(error).splitlines()[-1].strip()) from None
        return model.to(device).eval()

    def save_pretrained(
        self,
        folder: str | os.PathLike[str],
        details: Mapping[str, Any] | None = None,
    ) -> Path:
        """Save the model, see `temporal_jepa.save_pretrained`: arguments, result and errors."""
        config = {
            "model": vars(self.config),
            "objective": describe(self.objective),
            "modules": self.own_modules.names(),
            **(details or {}),
        }
        return save(folder, config, self.state_dict())

    def push_to_hub(self, repo_id: str, *, private: bool = False) -> str:
        """Upload the model to the Hugging Face hub, where `from_pretrained(repo_id)` finds it.

        The weights, the architecture and a card are uploaded; of a run, neither its settings nor
        the path of its data. Log in before, with `hf auth login` or HF_TOKEN.

        Args:
            repo_id: "owner/name", created if missing.
            private: of a new repository: whether only its owners see it.

        Returns:
            The address of the commit.

        Raises:
            ImportError: without the extra `[hub]`.
            OSError: if the hub cannot be reached or refuses the upload.
        """
        with tempfile.TemporaryDirectory() as folder:
            return upload(self.save_pretrained(folder), repo_id, private)

    @torch.no_grad()
    def embed(self, x: Tensor, pool: Pool = "all", dim: int | None = None) -> Tensor:
        """One vector per sequence, from the target encoder in evaluation mode.

        Args:
            x: float `(B, T, C)`, NaN where missing or padded; float64 if float32 cannot hold how it
                varies. A model with `resolutions` takes any `C`, see `MultiResolution`.
            pool: "mean": mean of the last layer's tokens, `(B, D)`; "all": mean, standard deviation
                and maximum over the tokens of the tokenizer and of every layer; "quantiles": five
                quantiles of the same. With `normalize="instance"` each sequence's mean and standard
                deviation per channel are appended.
            dim: project the features of pool "all" on the first `dim` principal components that the
                model stores, see `Components`. What is appended to the features (raw
                values, mean, standard deviation) is left out. None: all features.

        Returns:
            `(B, features)`, or `(B, dim)`; float32 (float64 for a model in double precision).

        Raises:
            ValueError: for a wrong shape, an unknown pool, infinite values, a sequence without any
                observed value, a `dim` with another pool or beyond the components of the model.
        """
        _check_values(x)
        features = self.embedder(pool, dim).features(x)
        if not bool(features.isfinite().all()):
            raise ValueError(
                "the embedding is not finite: x holds huge values; rescale it"
            )
        return features.float() if features.dtype.itemsize < 4 else features

    @torch.no_grad()
    def embed_tokens(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The last layer at its grid positions, time slowest.

        Args:
            x: as `embed`.

        Returns:
            `(B, N, embed_dim)`, 0 where a token has no observed value, and bool `(B, N)`, True
            where it has. With `resolutions`, the tokens of the highest one, channels added up.
        """
        return self.embedder().tokens(x)

    @torch.no_grad()
    def embed_timesteps(self, x: Tensor) -> Tensor:
        """The last layer at the original rate: `(B, T, C)` -> `(B, T, embed_dim)`.

        NaN where a whole patch is unobserved. For video and scenes, the mean over the cells of a
        frame; with `resolutions`, the tokens of the highest one, interpolated.
        """
        return self.embedder().timesteps(x)

    @torch.no_grad()
    def prediction_error(self, x: Tensor, visible: Tensor | None = None) -> Tensor:
        """How badly each token is predicted, `(B, N)`; NaN where none is.

        Args:
            x: float `(B, T, C)`, NaN where unobserved.
            visible: bool `(B, N)`, for `MaskedLatent`: smooth L1 of the masked tokens. None for
                `NextLatent`: one minus the cosine similarity, from the tokens before.

        Raises:
            ValueError: for another objective, or a pooled prediction.
        """
        x, observed = self.context_encoder.prepare(x)
        if isinstance(self.objective, NextLatent) and visible is None:
            return self.objective.error(self.context_encoder, x, observed)
        if not isinstance(self.objective, MaskedLatent) or visible is None:
            raise ValueError(
                "prediction_error needs the objective MaskedLatent and visible, or NextLatent "
                f"without visible; the objective is {self.objective!r}"
            )
        return self.objective.error(
            self.context_encoder, self.target_encoder, x, observed, visible
        )


def _check_values(x: Tensor) -> None:
    """ValueError for infinite values or a sequence without any observed value."""
    if x.ndim != 3 or not len(x):
        raise ValueError(
            f"x must be (batch, seq_len, channels) with at least one sequence, got {tuple(x.shape)}"
        )
    if bool(x.isinf().any()):
        raise ValueError("x holds infinite values; write NaN for missing values")
    if bool(x.flatten(1).isnan().all(1).any()):
        raise ValueError(
            "every sequence needs at least one observed value; got one that is all missing"
        )


STORED = "that the model stores"
NOT_STORED = f"{STORED} (it was trained on too few series, or by an older version)"

RENAMED_WEIGHTS = {"stack": "transformer", "enter": "proj_in", "leave": "proj_out"}
"""Submodules in checkpoints of version 0.1 -> their names since 0.2."""


def _update_weights(
    module: "TemporalJEPA", state_dict: dict[str, Tensor], *_: Any
) -> None:
    """Give the weights of an older checkpoint their current names, in place, and fit the offset.

    The predictor was no part of the objective in version 0.2.

    The offset of a model that encodes channels separately has one value for each channel. A model
    gets as many components as the checkpoint has, none if it has none.
    """
    for name in list(state_dict):
        parts = [RENAMED_WEIGHTS.get(part, part) for part in name.split(".")]
        if parts[0] == "predictor":
            parts = ["objective", *parts]
        state_dict[".".join(parts)] = state_dict.pop(name)
    offset = state_dict.setdefault("offset", torch.zeros_like(module.offset))
    if module.config.channel_independent:
        module.offset = torch.zeros_like(offset, device=module.offset.device)
    directions = state_dict.get("components.directions")
    module.components = None
    if directions is not None:
        module.components = empty_components(*directions.shape).to(module.offset.device)


def draw_model(
    config: TemporalJEPAConfig,
    seed: int,
    objective: Objective | None = None,
    modules: Modules | None = None,
    meta: bool = False,
) -> TemporalJEPA:
    """A float32 model on the CPU with weights drawn from `seed`; no global state has a part.

    With `meta`, a model without weights, on the meta device.

    Raises:
        MemoryError: if the weights do not fit into memory; before they are made.
    """
    if meta:
        with torch.inference_mode(False), torch.device("meta"):
            return TemporalJEPA(config, objective, modules)
    _check_memory(config)
    with torch.inference_mode(False), DrawFrom(torch.Generator().manual_seed(seed)):
        return TemporalJEPA(config, objective, modules)


def _check_memory(config: TemporalJEPAConfig) -> None:
    """MemoryError if the weights cannot fit; a lower bound, from the matrices of the blocks."""
    width, narrow = config.embed_dim, config.predictor_embed_dim
    encoder = 12 * config.encoder_depth * width**2
    if config.tokenizer in ("tubelet", "patch"):  # a matrix of the values of a token
        encoder += config.patch * config.side**2 * config.frame_shape[2] * width
    predictor = 12 * config.predictor_depth * narrow**2
    sizes = {
        "encoder_depth": 2 * 4 * encoder,  # two encoders, of 4 bytes a number
        "predictor_depth": 4 * predictor,
    }
    settings = {
        "encoder_depth": f"embed_dim ({width}), encoder_depth ({config.encoder_depth}) or "
        f"patch_len ({config.patch})",
        "predictor_depth": f"predictor_embed_dim ({narrow}) or predictor_depth "
        f"({config.predictor_depth})",
    }
    largest = max(sizes, key=lambda name: sizes[name])
    memory.check(
        sum(sizes.values()), "a model of this size", f"lower {settings[largest]}"
    )


def random_init_like(model: TemporalJEPA, seed: int) -> TemporalJEPA:
    """The architecture and channel statistics of a model, weights drawn from `seed`.

    It is the control of a trained model.
    """
    control = draw_model(model.config, seed, modules=model.own_modules)
    normalizer = model.context_encoder.normalizer
    mixing = normalizer.mixing if normalizer.mixes else None
    control.set_normalizer(normalizer.mean, normalizer.std, normalizer.slope, mixing)
    control.offset = model.offset.detach().clone()
    return control.eval()
