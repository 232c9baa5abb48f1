"""Two frozen dataclasses: what decides architecture and objective, and how to train. Quick to load: no torch here."""

import difflib
import math
import numbers
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

RATE, WARM_STEPS = 2e-3, 100  # of training from scratch; of going on from weights, at a tenth of the rate
Pool = Literal["mean", "stats", "all", "quantiles"]

RECIPE: Mapping[str, Any] = {
    "embed_dim": 64,
    "predictor_embed_dim": 48,
    "encoder_depth": 2,
    "predictor_depth": 2,
    "num_heads": 4,
    "dropout": 0.0,
    "mask_ratio": 0.6,
    "momentum": 0.99,
    "tokenizer": "conv",
    "positions": "rotary",
    "mask": "block",
    "normalize": "dataset",
    "variance_weight": 0.5,
    "covariance_weight": 0.02,
}
"""Settings recommended for series and tracks: `TemporalJEPAConfig(input_dim=C, seq_len=T, **RECIPE)`."""

VIDEO: Mapping[str, Any] = {"embed_dim": 128, "predictor_embed_dim": 64, "encoder_depth": 4, "tokenizer": "tubelet",
                            "mask": "random", "variance_weight": 0.0, "covariance_weight": 0.0}  # fmt: skip
"""What is recommended otherwise when a timestep is a picture: `{**RECIPE, **VIDEO}` with `frame=(rows, columns, C)`."""


@dataclass(frozen=True)
class TemporalJEPAConfig:
    """Everything that decides the architecture and the objective. The first ten are those of `build`.

    Args:
        input_dim: channels of a timestep.
        embed_dim: width of the encoder and of an embedding of one token.
        predictor_embed_dim: width of the predictor, narrower so that it cannot do the encoder's work.
        encoder_depth: attention blocks of the encoder.
        predictor_depth: blocks of the predictor.
        num_heads: attention heads of both.
        dropout: on the residual branches and attention, in training only; 0 is usual in pretraining.
        seq_len: timesteps of a training window; other lengths are accepted too.
        mask_ratio: share of a sequence's observed tokens to hide.
        momentum: of the target encoder at the start of training.
        tokenizer: "linear" (a token per timestep), "patch" (a linear map of `patch_len` timesteps), "conv"
            (convolutions of three lengths, summarised over each patch), "dilated" (the same with one length at five
            dilations) or "tubelet" (a linear map of boxes of `patch_len` x `patch_size` x `patch_size` in a film).
        patch_len: timesteps a token; left out, 1 for "linear", 2 for "tubelet" and else the power of two that gives at
            most 64 tokens.
        frame: (rows, columns, channels) of a timestep, `input_dim` values in all, for tokens on a grid of (time, row,
            column): a picture, for "tubelet"; a scene (1, agents, features), each agent through the same tokenizer.
        patch_size: rows and columns a token of "tubelet"; left out, 8, or less in smaller pictures.
        positions: "sincos" (added to the tokens) or "rotary" (rotates queries and keys, arXiv 2104.09864).
        predict: "tokens" (every masked token at its position) or "pooled" (one vector from one vector, as `build`).
        mask: "random", "block", "future" or "tube", see `masks.draw_visible`.
        num_masks: masks that share one target pass.
        normalize: "none"; "dataset" (channel statistics of the training data); "instance" (then also each sequence's
            own, which are appended to its embedding).
        variance_weight: weight of the variance term on the encoder's tokens; 0 switches the regulariser off.
        covariance_weight: weight of the covariance term.
        views: lengths for an encoder of any series, see `views.embed_views`: each channel by itself is stretched to
            them. `input_dim` is then 1 and `normalize` "instance". Empty: sequences are embedded as they are.
    """

    input_dim: int
    embed_dim: int = 128
    predictor_embed_dim: int = 64
    encoder_depth: int = 4
    predictor_depth: int = 2
    num_heads: int = 8
    dropout: float = 0.1
    seq_len: int = 60
    mask_ratio: float = 0.5
    momentum: float = 0.996
    tokenizer: Literal["linear", "patch", "conv", "dilated", "tubelet"] = "linear"
    patch_len: int | None = None
    frame: tuple[int, int, int] | None = None
    patch_size: int | None = None
    positions: Literal["sincos", "rotary"] = "sincos"
    predict: Literal["tokens", "pooled"] = "tokens"
    mask: Literal["random", "block", "future", "tube"] = "random"
    num_masks: int = 1
    normalize: Literal["none", "dataset", "instance"] = "none"
    variance_weight: float = 0.5
    covariance_weight: float = 0.02
    views: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Resolve `patch_len` and `patch_size` and refuse what cannot be built."""
        _check_numbers(self)
        self._check_frame()
        if self.patch_len is None:
            length = 1
            while self.tokenizer in ("patch", "conv", "dilated") and length * 64 < self.seq_len:
                length *= 2
            object.__setattr__(self, "patch_len", 2 if self.tokenizer == "tubelet" else length)
        for name in ("input_dim", "embed_dim", "predictor_embed_dim", "num_heads", "seq_len", "patch_len", "num_masks"):
            _require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        for name in ("encoder_depth", "predictor_depth", "variance_weight", "covariance_weight"):
            _require(getattr(self, name) >= 0, name, "at least 0", getattr(self, name))
        _require(0 <= self.dropout < 1, "dropout", "in [0, 1)", self.dropout)
        _require(0 < self.mask_ratio < 1, "mask_ratio", "strictly between 0 and 1", self.mask_ratio)
        _require(0 <= self.momentum <= 1, "momentum", "in [0, 1]", self.momentum)
        for name in ("embed_dim", "predictor_embed_dim"):
            width = getattr(self, name)
            _require(width % (2 * self.num_heads) == 0, name, f"a multiple of 2 x num_heads ({self.num_heads})", width)
        _require(self.tokenizer != "linear" or self.patch_len == 1, "patch_len", "1 for 'linear'", self.patch_len)
        for name, choices in _CHOICES.items():
            _require(getattr(self, name) in choices, name, f"one of {', '.join(choices)}", getattr(self, name))
        object.__setattr__(self, "views", tuple(self.views))
        alone = not self.views or (self.input_dim == 1 and self.normalize == "instance")
        _require(alone, "views", 'empty unless input_dim is 1 and normalize "instance"', self.views)

    def _check_frame(self) -> None:
        tubes = self.tokenizer == "tubelet"
        if self.frame is not None:
            object.__setattr__(self, "frame", tuple(self.frame))
            whole = len(self.frame) == 3 and all(isinstance(extent, int) and extent > 0 for extent in self.frame)
            _require(whole, "frame", "three whole numbers (rows, columns, channels)", self.frame)
            total = math.prod(self.frame)
            _require(total == self.input_dim, "frame", f"input_dim={self.input_dim} values in all", self.frame)
        _require(not tubes or self.frame is not None, "frame", '(rows, columns, channels) for "tubelet"', None)
        instance = tubes and self.normalize == "instance"  # statistics of every pixel would be the picture itself
        _require(not instance, "normalize", '"dataset" or "none" for films', self.normalize)
        size = (min(8, max(self.picture[:2])) if tubes else 1) if self.patch_size is None else self.patch_size
        _require(size >= 1 and (tubes or size == 1), "patch_size", 'at least 1, and 1 unless "tubelet"', size)
        object.__setattr__(self, "patch_size", size)

    @property
    def patch(self) -> int:
        """`patch_len`, resolved."""
        assert self.patch_len is not None
        return self.patch_len

    @property
    def side(self) -> int:
        """`patch_size`, resolved."""
        assert self.patch_size is not None
        return self.patch_size

    @property
    def picture(self) -> tuple[int, int, int]:
        """(rows, columns, channels) of a timestep: `frame`, or one cell of all channels."""
        return self.frame or (1, 1, self.input_dim)

    @property
    def cells(self) -> tuple[int, int]:
        """(rows, columns) of the token grid at one time."""
        rows, columns, _ = self.picture
        return -(-rows // self.side), -(-columns // self.side)


@dataclass(frozen=True)
class PretrainConfig:
    """How long and how to train.

    Args:
        steps: optimizer steps; 0 means ten epochs, at least 300 and at most 1200 steps; or 100 where weights are given.
        batch_size: sequences a step, over all processes and accumulated parts; at most the number of sequences.
        lr: peak learning rate of AdamW; left out, 2e-3, or a tenth of it where weights are given.
        weight_decay: on matrices; biases, norms and mask tokens have none.
        warmup: share of the steps over which lr rises linearly before its cosine to 0.
        clip: largest gradient norm.
        crop: shortest random crop, as a share of each sequence; 1 trains on whole sequences.
        accumulate: parts a batch is split into to save memory; the regulariser then sees one part at a time.
        seed: of weights, order, crops and masks.
        device: "auto" (CUDA, else MPS, else CPU), or a torch device.
        precision: "fp32", "bf16" (autocast), or "auto": bf16 on CUDA.
        compile: compile the model with torch.compile.
        save_every: steps between checkpoints.
        log_every: steps between rows of metrics.
        watch_every: steps between collapse statistics.
        tensorboard: also write TensorBoard events (extra `[tensorboard]`).
    """

    steps: int = 0
    batch_size: int = 32
    lr: float | None = None
    weight_decay: float = 0.05
    warmup: float = 0.1
    clip: float = 1.0
    crop: float = 0.5
    accumulate: int = 1
    seed: int = 0
    device: str = "auto"
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    compile: bool = False
    save_every: int = 100
    log_every: int = 10
    watch_every: int = 50
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be run."""
        _check_numbers(self)
        _require(0 <= self.seed < 2**32, "seed", "in 0..2**32-1", self.seed)
        for name in ("batch_size", "accumulate", "save_every", "log_every", "watch_every"):
            _require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        _require(self.steps >= 0, "steps", "at least 1, or 0 to let the data decide", self.steps)
        for name, low, high in (("lr", 0, math.inf), ("clip", 0, math.inf), ("crop", 0, 1.0)):
            if getattr(self, name) is not None and not low < getattr(self, name) <= high:
                raise ValueError(f"{name} must be above {low} and at most {high}, got {getattr(self, name)}")
        if not 0 <= self.warmup < 1 or self.weight_decay < 0:
            raise ValueError(
                f"warmup must lie in [0, 1) and weight_decay be at least 0, got {self.warmup} and {self.weight_decay}"
            )
        if self.precision not in ("auto", "fp32", "bf16"):
            raise ValueError(f"precision must be 'auto', 'fp32' or 'bf16', got {self.precision!r}")

    def settled(self, n: int, warm: bool = False) -> "PretrainConfig":
        """The same for `n` sequences, with `steps` and `lr` decided; `warm` where training goes on from weights."""
        epochs = math.ceil(10 * n / min(self.batch_size, max(n, 1)))
        steps, lr = (WARM_STEPS, RATE / 10) if warm else (min(max(epochs, 300), 1200), RATE)
        return replace(self, steps=self.steps or steps, lr=lr if self.lr is None else self.lr)

    @property
    def rate(self) -> float:
        """`lr`, settled."""
        assert self.lr is not None
        return self.lr


_CHOICES = {
    "tokenizer": ("linear", "patch", "conv", "dilated", "tubelet"),
    "positions": ("sincos", "rotary"),
    "predict": ("tokens", "pooled"),
    "mask": ("random", "block", "future", "tube"),
    "normalize": ("none", "dataset", "instance"),
}


def _check_numbers(config: Any) -> None:
    """Make the numbers of a dataclass plain int and float; refuse text, 2.5 steps, an infinite rate."""
    for field in fields(config):
        value = getattr(config, field.name)
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if field.type is int or (field.type == int | None and value is not None):
            _require(whole, field.name, "a whole number", value)
            object.__setattr__(config, field.name, int(value))
        elif field.type is float or (field.type == float | None and value is not None):
            _require(whole or isinstance(value, numbers.Real), field.name, "a number", value)
            _require(not isinstance(value, bool) and math.isfinite(value), field.name, "a finite number", value)
            object.__setattr__(config, field.name, float(value))


def _require(holds: bool, name: str, expected: str, got: object) -> None:
    if not holds:
        raise ValueError(f"{name} must be {expected}, got {got!r}")


def in_words(model: Mapping[str, Any], channels: Sequence[str] | None = None) -> str:
    """What a timestep is, from the fields of a configuration and, for a model of any channels, those of its data.

    >>> in_words({"input_dim": 12288, "frame": [64, 64, 3]})
    'pictures of 64 x 64 x 3'
    """
    if frame := model.get("frame"):
        words = f"{frame[1]} agents with {frame[2]} features", f"pictures of {' x '.join(map(str, frame))}"
        return words[frame[0] > 1]
    if model.get("views") and not channels:
        return "any channels, each by itself"
    count = len(channels or ()) if model.get("views") else model.get("input_dim")
    return f"{count} channel{'s' * (count != 1)}"


def flags(values: Mapping[str, Any], usual: Mapping[str, Any]) -> list[str]:
    """`--name value` for each value that is set and not the usual one; what is True is a flag alone."""
    words: list[str] = []
    for name, value in values.items():
        if value is not None and value != usual.get(name):
            text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [text])]
    return words


def make_config(**options: Any) -> TemporalJEPAConfig:
    """`TemporalJEPAConfig(**options)` with a clear error for a misspelt or missing option.

    Raises:
        ValueError: naming the unknown option and the nearest known one, or that `input_dim` is missing.
    """
    known = [field.name for field in fields(TemporalJEPAConfig)]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known options: {', '.join(known)}"
            raise ValueError(f"unknown option {name!r}{hint}")
    if "input_dim" not in options:
        raise ValueError("input_dim is required: the number of channels of a timestep")
    return TemporalJEPAConfig(**options)
