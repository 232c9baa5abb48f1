"""Settings: how to build a model, how to train it, how to read data.

Each is a frozen dataclass whose fields are keyword arguments, command-line flags and JSON at once.
No torch here: the command line loads this module to print its help.
"""

import difflib
import math
import numbers
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from types import NoneType
from typing import Any, Literal, get_args, get_origin

RATE = 2e-3  # peak learning rate from scratch; a tenth of it from pretrained weights
WARM_STEPS = 20  # optimizer steps from pretrained weights
Pool = Literal["mean", "all", "quantiles"]

LARGEST: Mapping[str, tuple[int, str]] = {
    "input_dim": (2**24, "a timestep has at most that many values"),
    "embed_dim": (2**16, "no encoder of sequences is wider"),
    "predictor_embed_dim": (2**16, "no predictor is wider"),
    "encoder_depth": (1024, "no encoder is deeper"),
    "predictor_depth": (1024, "no predictor is deeper"),
    "num_heads": (1024, "no encoder has more"),
    "seq_len": (2**24, "a window is one item of a batch; longer series are cropped"),
    "patch_len": (2**24, "a patch is a part of a window"),
    "patch_size": (2**12, "a patch is a part of a frame"),
    "num_masks": (1024, "each mask is a pass of the encoder"),
    "steps": (10**9, "at 1,000 steps a second it would be 12 days"),
    "batch_size": (2**24, "a step holds its whole batch in memory"),
    "accumulate": (2**24, "a batch has no more parts than sequences"),
    "save_every": (10**9, "no run has more steps"),
    "log_every": (10**9, "no run has more steps"),
    "watch_every": (10**9, "no run has more steps"),
    "window": (2**40, "no file has longer series"),
    "stride": (2**40, "no file has longer series"),
    "agents": (2**16, "no scene has more"),
    "header": (10**6, "a header is at the start of a file"),
}
"""Option -> the largest value that is accepted, and why; beyond it nothing is computed."""
LARGEST_FLOAT = 1e30  # squares of weights and rates stay finite in float64
MOST_RESOLUTIONS = 64  # each is a pass of the encoder

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
"""Recommended settings: `TemporalJEPAConfig(input_dim=C, seq_len=T, **RECIPE)`."""

VIDEO: Mapping[str, Any] = {
    "embed_dim": 128,
    "predictor_embed_dim": 64,
    "encoder_depth": 4,
    "tokenizer": "tubelet",
    "mask": "random",
    "variance_weight": 0.0,
    "covariance_weight": 0.0,
}
"""Recommended settings for video: `{**RECIPE, **VIDEO}` with `frame=(rows, columns, channels)`."""


@dataclass(frozen=True)
class TemporalJEPAConfig:
    """Architecture and objective. The first ten fields are the options of `build`.

    >>> TemporalJEPAConfig(input_dim=3, tokenizer="conv", seq_len=512).patch_len
    8

    Args:
        input_dim: channels of a timestep.
        embed_dim: width of the encoder, and of the embedding of one token.
        predictor_embed_dim: width of the predictor.
        encoder_depth: attention blocks of the encoder.
        predictor_depth: blocks of the predictor.
        num_heads: attention heads of the encoder and the predictor.
        dropout: probability of dropout on the residual branches and the attention, in training.
        seq_len: timesteps of a training window; other lengths are accepted too.
        mask_ratio: fraction of a sequence's observed tokens to mask.
        momentum: EMA momentum of the target encoder at the start of training.
        tokenizer: "linear" (one token per timestep), "conv" (convolutions of three kernel sizes,
            pooled over each patch), "dilated" (the same with one kernel size and five dilations),
            "filters" (the same, of standardized shape), "patch" (a
            perceptron of two hidden layers, which sees one patch alone) or "tubelet" (a linear map
            of patch_len x patch_size x patch_size pixels of a video).
        patch_len: timesteps per token (default: 1 for "linear", 2 for "tubelet", else the power of
            two that gives at most 64 tokens).
        frame: (rows, columns, channels) of a timestep, `input_dim` values in all, for tokens on a
            grid of (time, row, column): a video frame for "tubelet", or (1, agents, features) for a
            scene whose agents share one tokenizer.
        patch_size: rows and columns of a "tubelet" token (default: 8, less for smaller frames).
        positions: "sincos" (added to the tokens) or "rotary" (arXiv 2104.09864).
        attention: "bidirectional", or "causal" (a token reads those of its own time and before).
        predict: "tokens" (each masked token at its position) or "pooled" (one vector from one
            vector).
        mask: what is masked: "random" (single tokens), "block" (contiguous tokens), "future" (the
            last timesteps) or "tube" (of a video, the same places in all frames; of a scene, whole
            agents).
        num_masks: masks that share one target pass.
        normalize: "none", "dataset" (channel statistics of the training data), "instance" (in
            addition each sequence's own, which are appended to its embedding) or "slow" (in
            addition to "dataset", channels become uncorrelated mixtures, slowest first).
        variance_weight: weight of the variance term of the regularizer; 0 switches it off.
        covariance_weight: weight of the covariance term of the regularizer.
        resolutions: numbers of timesteps to which each channel is resampled and encoded separately.
            A number of 2 or more is fixed; from 0 to 1 it follows the length of the series, see
            `temporal_jepa.model.multiscale.windows_at`. Requires `input_dim` 1 and `normalize`
            "instance". Empty: sequences are encoded as they are.
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
    tokenizer: Literal["linear", "conv", "dilated", "filters", "patch", "tubelet"] = (
        "linear"
    )
    patch_len: int | None = None
    frame: tuple[int, int, int] | None = None
    patch_size: int | None = None
    positions: Literal["sincos", "rotary"] = "sincos"
    attention: Literal["bidirectional", "causal"] = "bidirectional"
    predict: Literal["tokens", "pooled"] = "tokens"
    mask: Literal["random", "block", "future", "tube"] = "random"
    num_masks: int = 1
    normalize: Literal["none", "dataset", "instance", "slow"] = "none"
    variance_weight: float = 0.5
    covariance_weight: float = 0.02
    resolutions: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        """Resolve `patch_len` and `patch_size` and refuse what cannot be built."""
        _check_types(self)
        _check_largest(self)
        self._check_sequences()
        self._resolve_frame()
        self._resolve_patch_len()
        for name in (
            "input_dim",
            "num_heads",
            "seq_len",
            "patch_len",
            "patch_size",
            "num_masks",
        ):
            _require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        for name in (
            "encoder_depth",
            "predictor_depth",
            "variance_weight",
            "covariance_weight",
        ):
            _require(getattr(self, name) >= 0, name, "at least 0", getattr(self, name))
        for name in ("embed_dim", "predictor_embed_dim"):
            width = getattr(self, name)
            is_multiple = width > 0 and width % (2 * self.num_heads) == 0
            expected = f"a positive multiple of {2 * self.num_heads} (2 x num_heads)"
            _require(is_multiple, name, expected, width)
        _require(0 <= self.dropout < 1, "dropout", "in [0, 1)", self.dropout)
        _require(
            0 < self.mask_ratio < 1,
            "mask_ratio",
            "strictly between 0 and 1",
            self.mask_ratio,
        )
        _require(0 <= self.momentum <= 1, "momentum", "in [0, 1]", self.momentum)
        object.__setattr__(self, "resolutions", tuple(self.resolutions))
        if self.resolutions:
            _require(
                self.input_dim == 1, "input_dim", "1 with resolutions", self.input_dim
            )
            expected = '"instance" with resolutions'
            _require(
                self.normalize == "instance", "normalize", expected, self.normalize
            )
            expected = '"conv", "dilated" or "filters" with resolutions'
            has_kernels = self.tokenizer in ("conv", "dilated", "filters")
            _require(has_kernels, "tokenizer", expected, self.tokenizer)
            are_known = all(self._is_resolution(size) for size in self.resolutions)
            expected = f"from 0 to 1, or multiples of patch_len={self.patch_len}"
            _require(are_known, "resolutions", expected, self.resolutions)

    def _check_sequences(self) -> None:
        """ValueError unless `frame` and `resolutions` are sequences of numbers."""
        is_list = self.frame is None or isinstance(self.frame, list | tuple)
        expected = "three whole numbers (rows, columns, channels)"
        _require(is_list, "frame", expected, self.frame)
        is_list = isinstance(self.resolutions, list | tuple)
        _require(is_list, "resolutions", "a list of numbers", self.resolutions)
        expected = f"at most {MOST_RESOLUTIONS} numbers of at most {2**24}"
        is_bounded = len(self.resolutions) <= MOST_RESOLUTIONS and not any(
            isinstance(size, int | float) and size > 2**24 for size in self.resolutions
        )
        _require(is_bounded, "resolutions", expected, self.resolutions)

    def _is_resolution(self, size: object) -> bool:
        """Whether `windows_at` takes a resolution: a share, or timesteps in whole patches."""
        if not isinstance(size, int | float) or isinstance(size, bool):
            return False
        return bool(0 <= size <= 1 or (size >= 2 and size % self.patch == 0))

    def _resolve_frame(self) -> None:
        """Check `frame` and set `patch_size`."""
        is_tubelet = self.tokenizer == "tubelet"
        if self.frame is not None:
            object.__setattr__(self, "frame", tuple(self.frame))
            is_whole = len(self.frame) == 3 and all(
                isinstance(extent, int) and extent > 0 for extent in self.frame
            )
            _require(
                is_whole,
                "frame",
                "three whole numbers (rows, columns, channels)",
                self.frame,
            )
            is_complete = math.prod(self.frame) == self.input_dim
            expected = f"input_dim={self.input_dim} values in all"
            _require(is_complete, "frame", expected, self.frame)
        if is_tubelet:
            expected = '(rows, columns, channels) for "tubelet"'
            _require(self.frame is not None, "frame", expected, None)
            # The statistics of every pixel would be the frame itself.
            is_static = self.normalize != "instance"
            _require(
                is_static, "normalize", '"dataset" or "none" for video', self.normalize
            )
        if self.frame is not None:
            expected = '"dataset", "instance" or "none" for frames'
            _require(self.normalize != "slow", "normalize", expected, self.normalize)
        if self.patch_size is None:
            size = min(8, max(self.frame_shape[:2])) if is_tubelet else 1
            object.__setattr__(self, "patch_size", size)
        _require(
            is_tubelet or self.side == 1, "patch_size", '1 unless "tubelet"', self.side
        )

    def _resolve_patch_len(self) -> None:
        if self.patch_len is None:
            length = 2 if self.tokenizer == "tubelet" else 1
            while (
                self.tokenizer not in ("linear", "tubelet")
                and length * 64 < self.seq_len
            ):
                length *= 2
            object.__setattr__(self, "patch_len", length)
        is_fine = self.tokenizer != "linear" or self.patch_len == 1
        _require(is_fine, "patch_len", "1 for 'linear'", self.patch_len)

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
    def frame_shape(self) -> tuple[int, int, int]:
        """(rows, columns, channels) of a timestep: `frame`, or one cell of all channels."""
        return self.frame or (1, 1, self.input_dim)

    @property
    def cells(self) -> tuple[int, int]:
        """(rows, columns) of the token grid at one time."""
        rows, columns, _ = self.frame_shape
        return math.ceil(rows / self.side), math.ceil(columns / self.side)

    @property
    def channel_independent(self) -> bool:
        """Whether each channel is encoded separately, so that any number of them is accepted."""
        return bool(self.resolutions)


LOGGERS = ("tensorboard", "mlflow", "wandb", "trackio")
"""The trackers of `PretrainConfig.log`: each is the name of its package and of its extra."""


@dataclass(frozen=True)
class PretrainConfig:
    """How long and how to train.

    >>> PretrainConfig(steps=200, precision="fp8")
    Traceback (most recent call last):
    ValueError: precision must be one of auto, fp32, bf16, got 'fp8'

    Args:
        steps: optimizer steps; 0: ten epochs, at least 300 and at most 1200 steps, or 20 steps
            when training starts from pretrained weights.
        batch_size: sequences per step over all processes, at most the number of sequences.
        lr: peak learning rate of AdamW (default: 2e-3, or 2e-4 from pretrained weights).
        weight_decay: weight decay of AdamW on matrices; biases, norms and mask tokens have none.
        warmup: fraction of the steps over which the learning rate rises linearly, before a cosine
            to 0.
        clip: maximum gradient norm.
        crop: shortest random crop, as a fraction of each sequence; 1 trains on whole sequences.
        accumulate: micro-batches per step, to save memory; the regularizer sees one at a time.
        seed: seed of weights, order, crops and masks.
        device: "auto" (CUDA, else MPS, else CPU), or a torch device.
        precision: "fp32", "bf16" (autocast), or "auto": bf16 on CUDA.
        compile: compile the model with torch.compile.
        shard: under torchrun, split weights, gradients and moments over the processes (FSDP2), for
            models that do not fit one device.
        activation_checkpointing: compute the activations of each block again in the backward pass,
            to save memory.
        save_every: steps between checkpoints.
        log_every: steps between rows of metrics.
        watch_every: steps between collapse statistics.
        log: trackers that also get the rows of metrics, as "tensorboard,wandb": tensorboard,
            mlflow, wandb, trackio, each with an extra of its name.
        tensorboard: the same as log="tensorboard".
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
    shard: bool = False
    activation_checkpointing: bool = False
    save_every: int = 100
    log_every: int = 10
    watch_every: int = 50
    log: str | None = None
    tensorboard: bool = False

    def __post_init__(self) -> None:
        """Refuse numbers out of range."""
        _check_types(self)
        _check_largest(self)
        for name in (
            "batch_size",
            "accumulate",
            "save_every",
            "log_every",
            "watch_every",
        ):
            _require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        _require(0 <= self.seed < 2**32, "seed", "in 0..2**32-1", self.seed)
        _require(
            self.steps >= 0, "steps", "at least 1, or 0 for the default", self.steps
        )
        _require(self.lr is None or self.lr > 0, "lr", "above 0", self.lr)
        _require(self.clip > 0, "clip", "above 0", self.clip)
        _require(0 < self.crop <= 1, "crop", "above 0 and at most 1", self.crop)
        _require(0 <= self.warmup < 1, "warmup", "in [0, 1)", self.warmup)
        _require(
            self.weight_decay >= 0, "weight_decay", "at least 0", self.weight_decay
        )
        for name in self.loggers:
            near = difflib.get_close_matches(name, LOGGERS, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            expected = f"among {', '.join(LOGGERS)}, separated by commas"
            if name not in LOGGERS:
                raise ValueError(f"log must be {expected}, got {shortened(name)}{hint}")

    @property
    def loggers(self) -> tuple[str, ...]:
        """The trackers of `log` and `tensorboard`, each once."""
        names = [name.strip() for name in (self.log or "").split(",")]
        asked = ["tensorboard"] * self.tensorboard + [name for name in names if name]
        return tuple(dict.fromkeys(asked))

    def resolved(self, n: int, warm: bool = False) -> "PretrainConfig":
        """The settings for `n` sequences, with `steps` and `lr` decided.

        Args:
            n: number of sequences.
            warm: whether training starts from pretrained weights.
        """
        if warm:
            steps = WARM_STEPS
            lr = RATE / 10
        else:
            ten_epochs = math.ceil(10 * n / min(self.batch_size, max(n, 1)))
            steps = min(max(ten_epochs, 300), 1200)
            lr = RATE
        return replace(
            self, steps=self.steps or steps, lr=lr if self.lr is None else self.lr
        )

    @property
    def rate(self) -> float:
        """`lr`, resolved."""
        assert self.lr is not None
        return self.lr


@dataclass(frozen=True)
class ReadOptions:
    """How to read sequences. None is inferred from the data, "" means that there is none.

    Args:
        layout: "wide" (one series per row), "long" (one timestep per row, a column names each),
            "recording" (all rows are one series), "folder" (one series per file), "tracks" (one GPS
            fix per row), "scene" (the same; everything that moves at one time is one sample) or
            "video" (an array of frames).
        id: column that names the series, or several as "A,B" (subject, trial).
        time: column of the time, or several as "A,B" (date, clock time) that are joined.
        label: column of the label, never used in pretraining.
        values: columns of the values, a list or "A,B,C".
        channel: column that names the channel of each row, in a table (id, time, channel, value).
        task: what the label is, "classification" or "regression".
        duplicates: what to do with rows of one series at one time: "error" (the default for
            series), "first" (for trajectories), "last" or "mean".
        date_order: order of numeric dates, "dmy" (day first), "mdy" or "ymd".
        time_unit: unit of numeric times: s, ms, us, ns, min, h, d, "excel" (days since 1899-12-30),
            "julian" (Julian days), or a number of seconds.
        decimal: decimal mark of numbers in text, "." or ","; the other separates thousands.
        strip_units: accept numbers with a percent sign, currency or unit, and remove it.
        missing: texts that stand for a missing value, a list or "A,B,C" (default:
            NaN, NA, N/A, null, None, ?; an empty field always does).
        header: line number of the header, from 1; 0 for a table without one.
        encoding: encoding of a text file (default: UTF-8, UTF-16 by its mark, or Windows-1252).
        table: sheet of a workbook, or dataset of a file that holds several.
        window: cut series into windows of this many timesteps (default for video: 16 frames).
        stride: timesteps between the starts of windows (default: the window).
        features: trajectories: x, y, z, lon, lat, dx, dy, speed, acceleration, heading, turn,
            dt, a list or "A,B,C"; docs/data.md explains them.
        step: trajectories: resample to one fix every this many seconds.
        gap: trajectories: split where no fix comes for this many seconds; 0 never splits.
        max_speed: trajectories: drop fixes that need a higher speed than this, in m/s.
        agents: scenes: number of agents (default: as many as the fullest scene needs).
        fps: video: frames per second (default: 8, or the video's own rate if lower).
        resize: video: frame size in pixels, 64 for a square or WIDTHxHEIGHT (default: 64).
        region: video: part of each frame, "center" (default), "none" (the whole frame, stretched)
            or WIDTHxHEIGHT+LEFT+TOP.
    """

    layout: str | None = None
    id: str | None = None
    time: str | None = None
    label: str | None = None
    values: tuple[str, ...] | None = None
    channel: str | None = None
    task: Literal["classification", "regression"] | None = None
    duplicates: Literal["error", "first", "last", "mean"] | None = None
    date_order: Literal["dmy", "mdy", "ymd"] | None = None
    time_unit: str | float | None = None
    decimal: Literal[".", ","] | None = None
    strip_units: bool | None = None
    missing: tuple[str, ...] | None = None
    header: int | None = None
    encoding: str | None = None
    table: str | None = None
    window: int | None = None
    stride: int | None = None
    features: tuple[str, ...] | None = None
    step: float | None = None
    gap: float | None = None
    max_speed: float | None = None
    agents: int | None = None
    fps: float | None = None
    resize: str | int | None = None
    region: str | None = None

    def __post_init__(self) -> None:
        """Split "A,B,C", make column names text, and refuse numbers out of range."""
        for name in ("id", "time", "label", "channel", "table"):
            value = getattr(self, name)
            if isinstance(value, list | tuple):
                value = ",".join(map(str, value))
            object.__setattr__(self, name, value if value is None else str(value))
        for name in ("values", "features", "missing"):
            object.__setattr__(self, name, _names(name, getattr(self, name)))
        for name in ("task", "duplicates", "date_order", "decimal"):
            self._check_choice(name)
        object.__setattr__(self, "time_unit", _unit(self.time_unit))
        self._check_plain()
        for name in ("step", "gap", "max_speed", "agents", "fps"):
            self._check_positive(name)
        self._check_together()

    def _check_plain(self) -> None:
        """ValueError for options of another type, which a file of settings can have."""
        for name in ("window", "stride", "header"):
            value = getattr(self, name)
            is_whole = isinstance(value, numbers.Integral)
            is_whole = is_whole and not isinstance(value, bool)
            _require(value is None or is_whole, name, "a whole number", value)
        for name in ("layout", "encoding", "region"):
            value = getattr(self, name)
            is_text = value is None or isinstance(value, str)
            _require(is_text, name, "text", value)
        is_size = self.resize is None or isinstance(self.resize, str | int)
        _require(is_size, "resize", "64 or WIDTHxHEIGHT", self.resize)
        is_switch = self.strip_units in (None, True, False)
        _require(is_switch, "strip_units", "True or False", self.strip_units)
        _check_largest(self)

    def _check_together(self) -> None:
        """ValueError for options that do not fit each other, and for parts of agents."""
        values = self.values or ()
        if len({*values}) < len(values):
            raise ValueError(f"values names a column twice: {', '.join(values)}")
        is_whole = self.agents is None or int(self.agents) == self.agents
        _require(is_whole, "agents", "a whole number", self.agents)
        if self.stride is not None and self.window is None:
            raise ValueError(
                f"stride={self.stride} needs window=: the timesteps of each window"
            )
        if self.agents is not None and self.layout != "scene":
            raise ValueError(f"agents={self.agents} needs layout='scene'")

    def _check_choice(self, name: str) -> None:
        """ValueError unless an option is one of the choices of its annotation."""
        value = getattr(self, name)
        kind = next(field.type for field in fields(self) if field.name == name)
        choices = get_args(get_args(kind)[0])
        expected = f"one of {', '.join(choices)}"
        _require(value is None or value in choices, name, expected, value)

    def _check_positive(self, name: str) -> None:
        value = getattr(self, name)
        if value is None:
            return
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        zero_is_fine = name == "gap"
        expected = (
            "a number, at least 0 (0 never splits)"
            if zero_is_fine
            else "a number above 0"
        )
        in_range = (
            is_number
            and math.isfinite(value)
            and (value > 0 or (zero_is_fine and value == 0))
        )
        _require(in_range, name, expected, value)

    def given(self, *names: str) -> list[str]:
        """Which of these options were set; without names, of all options."""
        return [name for name in names or vars(self) if getattr(self, name) is not None]

    @classmethod
    def from_dict(cls, options: Mapping[str, Any]) -> "ReadOptions":
        """`ReadOptions(**options)`, old names accepted; ValueError for an unknown option."""
        current = {}
        for name, value in options.items():
            new = RENAMED_READ_OPTIONS.get(name, name)
            if new in current:
                raise ValueError(f"{name} and {new} are one option; pass {new} alone")
            current[new] = value
        _refuse_unknown(current, cls)
        return cls(**current)


RENAMED_READ_OPTIONS = {"size": "resize", "area": "region"}
"""Keywords of version 0.1 -> their names since 0.2."""


TIME_UNITS = {
    "s": 1.0,
    "ms": 1e-3,
    "us": 1e-6,
    "ns": 1e-9,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
}
"""Units of numeric times in seconds."""
CALENDARS = ("excel", "julian")  # numeric times that count days from a fixed date


def _unit(given: str | float | None) -> str | float | None:
    """A unit of numeric times by its name, or as a positive number of seconds."""
    if given is None or given in TIME_UNITS or given in CALENDARS:
        return given
    try:
        seconds = float(given)
    except (TypeError, ValueError):
        seconds = math.nan
    names = ", ".join([*TIME_UNITS, *CALENDARS])
    expected = f"{names}, or a number of seconds above 0"
    _require(0 < seconds < math.inf, "time_unit", expected, given)
    return seconds


def _names(name: str, given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if given is None:
        return None
    names = given.split(",") if isinstance(given, str) else given
    is_list = isinstance(names, Iterable) and not isinstance(names, Mapping | bytes)
    _require(is_list, name, 'a list of names, or "A,B,C"', given)
    return tuple(str(each).strip() for each in names)


def _check_types(config: Any) -> None:
    """Check values against the annotations of a dataclass; convert numbers."""
    for field in fields(config):
        value = getattr(config, field.name)
        kinds = get_args(field.type) or (field.type,)
        if get_origin(field.type) is Literal:
            expected = f"one of {', '.join(kinds)}"
            is_choice = isinstance(value, str) and value in kinds
            _require(is_choice, field.name, expected, value)
        elif value is not None or NoneType not in kinds:
            converted = _converted(field.name, value, kinds)
            object.__setattr__(config, field.name, converted)


def _converted(name: str, value: Any, kinds: tuple[Any, ...]) -> Any:
    """A value as the first of these types, which is not `None`; ValueError if it is none."""
    if kinds[0] is int:
        _require(_is_whole(value), name, "a whole number", value)
        return int(value)
    if kinds[0] is float and Ellipsis not in kinds:
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        is_finite = is_number and -LARGEST_FLOAT <= value <= LARGEST_FLOAT
        _require(is_finite, name, "a finite number, at most 1e30", value)
        return float(value)
    names = {bool: "True or False", str: "text"}
    if kinds[0] in names:
        _require(isinstance(value, kinds[0]), name, names[kinds[0]], value)
    return value


def _is_whole(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _check_largest(config: Any) -> None:
    """ValueError for a number that no machine could use; before anything is allocated."""
    for field in fields(config):
        value = getattr(config, field.name)
        if field.name in LARGEST and value is not None:
            most, reason = LARGEST[field.name]
            expected = f"at most {most:,} ({reason})"
            _require(value <= most, field.name, expected, value)


def _require(holds: bool, name: str, expected: str, got: object) -> None:
    if not holds:
        raise ValueError(f"{name} must be {expected}, got {shortened(got)}")


def shortened(value: object, most: int = 80) -> str:
    """A value for a message: its `repr`, cut where it is long.

    >>> shortened("a" * 100, 10)
    "'aaaaaaaaa... (102 characters)"
    """
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 10**40:
        return f"a number of about {math.log10(abs(value)):.0f} digits"
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # numbers of thousands of digits within
        return type(value).__name__
    return text if len(text) <= most else f"{text[:most]}... ({len(text)} characters)"


def in_words(model: Mapping[str, Any], channels: Sequence[str] | None = None) -> str:
    """Describe a timestep from the fields of a configuration.

    Args:
        model: fields of `TemporalJEPAConfig`.
        channels: names of the channels, for a model that takes any.

    >>> in_words({"input_dim": 12288, "frame": [64, 64, 3]})
    'frames of 64 x 64 x 3'
    """
    frame = model.get("frame")
    if frame and frame[0] > 1:
        return f"frames of {' x '.join(map(str, frame))}"
    if frame:
        return f"{frame[1]} agents with {frame[2]} features"
    count = model.get("input_dim")
    if model.get("resolutions"):
        if not channels:
            return "any channels, each encoded separately"
        count = len(channels)
    return "1 channel" if count == 1 else f"{count} channels"


def flags(
    values: Mapping[str, Any], defaults: Mapping[str, Any] | None = None
) -> list[str]:
    """`--name=value` for each value that is set and not its default; a bare `--name` for True."""
    defaults = defaults or {}
    words: list[str] = []
    for name, value in values.items():
        if value is None or value is False or value == defaults.get(name):
            continue
        flag = f"--{name.replace('_', '-')}"
        if isinstance(value, list | tuple):
            value = ",".join(map(str, value))
        words.append(flag if value is True else f"{flag}={value}")
    return words


def make_config(**options: Any) -> TemporalJEPAConfig:
    """`TemporalJEPAConfig(**options)` with a clear error for a misspelt or missing option.

    Raises:
        ValueError: naming the unknown option and the nearest known one, or that `input_dim` is
            missing.
    """
    if "views" in options:  # the name of version 0.1
        warnings.warn("views is now resolutions", DeprecationWarning, stacklevel=3)
        options["resolutions"] = options.pop("views")
    _refuse_unknown(options, TemporalJEPAConfig)
    if "input_dim" not in options:
        raise ValueError("input_dim is required: the number of channels of a timestep")
    return TemporalJEPAConfig(**options)


def _refuse_unknown(options: Mapping[str, Any], kind: Any) -> None:
    """ValueError for an option that is no field of the dataclass `kind`."""
    known = [field.name for field in fields(kind)]
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = (
                f"did you mean {near[0]!r}?"
                if near
                else f"known options: {', '.join(known)}"
            )
            raise ValueError(f"unknown option {name!r}; {hint}")


OF_TABLES = (
    "layout",
    "id",
    "time",
    "label",
    "values",
    "channel",
    "duplicates",
    "date_order",
    "time_unit",
    "decimal",
    "strip_units",
    "missing",
)
"""Options of `ReadOptions` about the columns of a table."""
