"""The training loop, on one process or under torchrun.

Every random choice is a function of the seed and the place in training: the order of sequences of
(seed, epoch), a crop of (seed, epoch, sequence), masks and dropout of (seed, step). So a checkpoint
stores no random state, and an interrupted run ends in the weights of an uninterrupted one.
"""

import math
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..config import PretrainConfig
from ..data.sequences import Sequences, missing, stack
from ..embed import as_training_data, check_channels
from ..model.ema import momentum_at
from ..model.jepa import TemporalJEPA
from ..model.objectives.objective import Drawn
from ..model.random import dropout_from, generator_on
from .collapse import collapse_verdict, position_statistics

Row = dict[str, Any]
OnRow = Callable[[Row], None]
# Collapse statistics come from at most this many values, of the sequences and of their tokens.
STATISTICS_VALUES = 2**23


class Batches:
    """The training batches as functions of the step, so there is no state to save.

    Args:
        sequences: at least two.
        config: its `batch_size`, `crop` and `seed` decide the batches.
        seq_len: longest crop, in timesteps.
        shortest: shortest crop, in timesteps; shorter sequences are not cropped.
    """

    def __init__(
        self, sequences: Sequences, config: PretrainConfig, seq_len: int, shortest: int
    ):
        if len(sequences) < 2:
            raise ValueError(
                f"{sequences.source}: pretraining compares sequences and needs at least 2, got "
                f"{len(sequences)}; cut a long recording into windows with window=LENGTH"
            )
        longest = min(int(sequences.lengths.max()), seq_len)
        if longest < shortest:
            raise ValueError(
                f"{sequences.source}: the longest training window has {longest} timesteps, but "
                f"the patches that the objective compares need {shortest}; choose a smaller "
                "patch_len, a larger seq_len or longer series"
            )
        self.sequences = sequences
        self.config = config
        self.seq_len = seq_len
        self.shortest = shortest
        self.size = min(config.batch_size, len(sequences))
        self._order = lru_cache(maxsize=2)(self._permutation)

    def values(self, step: int) -> Tensor:
        """The batch of a step, `(B, T, C)`, cropped: float32, padded with NaN.

        Video of equal length stays as bytes, see `as_float`: a fourth of the copy to the device.
        """
        share = self._random(2, step).uniform(self.config.crop, 1.0)
        places = range(step * self.size, (step + 1) * self.size)
        crops = [self._crop(place, share) for place in places]
        is_bytes = all(crop.dtype == np.uint8 for crop in crops)
        if is_bytes and len({len(crop) for crop in crops}) == 1:
            return torch.from_numpy(np.stack(crops))
        return torch.from_numpy(stack(crops))

    def generator(self, step: int) -> torch.Generator:
        """The random generator that draws the masks of a step."""
        return torch.Generator().manual_seed(random_seed(self.config.seed, 4, step))

    def epoch(self, step: int) -> int:
        """Epoch of the first sequence of step `step` (0-based)."""
        return step * self.size // len(self.sequences)

    def _crop(self, place: int, share: float) -> npt.NDArray[Any]:
        """A random crop of the sequence at a place in the order of all epochs."""
        epoch, within = divmod(place, len(self.sequences))
        index = int(self._order(epoch)[within])
        x = self.sequences.values[index]
        length = min(max(round(share * len(x)), self.shortest), len(x), self.seq_len)
        random = self._random(3, epoch, index)
        start = int(random.random() * (len(x) - length + 1))
        if missing(x[start : start + length]):  # move to where something was observed
            anchor = random.choice(np.flatnonzero(~np.isnan(x).all(1)))
            start = int(np.clip(anchor - length // 2, 0, len(x) - length))
        return x[start : start + length]

    def _permutation(self, epoch: int) -> npt.NDArray[np.int64]:
        return self._random(1, epoch).permutation(len(self.sequences))

    def _random(self, *purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, *purpose])


def as_float(x: Tensor) -> Tensor:
    """A batch as float32; bytes 0..255 as 0..1."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x


def plan_batches(
    model: TemporalJEPA, sequences: Sequences, config: PretrainConfig
) -> Batches:
    """The batches on which a model is trained.

    A multi-resolution model is trained on single channels, each resampled to its `seq_len`.

    Args:
        model: to be trained.
        sequences: at least two, checked by `Sequences.check_observed`.
        config: how to train.

    Raises:
        ValueError: if the model cannot be trained on these sequences.
    """
    check_channels(model, sequences)
    least = model.trainable().fewest_tokens * model.config.patch
    if model.config.channel_independent and len(sequences) > 1:
        longest = int(sequences.lengths.max())
        sequences = as_training_data(model, sequences)
        if int(sequences.lengths.max()) < least:
            raise ValueError(
                f"{sequences.source}: the longest series has {longest} timesteps, too few to train "
                "on; embed them with the encoder as it is: TemporalJEPAEmbedder(frozen=True), or "
                "temporal-jepa embed series-small FILE"
            )
    return Batches(sequences, config, model.config.seq_len, least)


class Trainer:
    """Model, optimizer and step count; `train_step` does one optimizer step.

    Under torchrun, each process takes its share of the same global batch, so results do not depend
    on the number of processes, except for the order of floating-point sums.

    Args:
        model: trained in place.
        batches: from `plan_batches`.
        config: resolved, see `PretrainConfig.resolved`.
    """

    def __init__(self, model: TemporalJEPA, batches: Batches, config: PretrainConfig):
        self.rank = dist.get_rank() if dist.is_initialized() else 0
        self.world = dist.get_world_size() if dist.is_initialized() else 1
        if batches.size % (self.world * config.accumulate):
            raise ValueError(
                f"a batch of {batches.size} does not split into {self.world} processes x "
                f"{config.accumulate} parts"
            )
        self.config = config
        self.batches = batches
        self.step = 0
        self.device = pick_device(config.device)
        on_cuda = self.device.type == "cuda"
        self.bf16 = config.precision == "bf16" or (
            config.precision == "auto" and on_cuda
        )
        self.model = model.to(self.device).train()
        self.optimizer = make_optimizer(model, config, fused=self.device.type != "mps")
        self.offset = self._offset()
        self.parallel: nn.Module = self.model
        if self.world > 1:
            self.parallel = DistributedDataParallel(self.model)
        if config.compile:
            self.parallel = torch.compile(self.parallel)  # type: ignore[assignment]

    @torch.inference_mode(False)
    def run(
        self,
        on_row: OnRow,
        stop_after: Callable[["Trainer"], bool] = lambda trainer: False,
    ) -> None:
        """Train to the last step.

        Args:
            on_row: called with each row of metrics.
            stop_after: called after each step; returning True stops the training.
        """
        began = time.perf_counter()
        since = began
        counted = self.step
        while self.step < self.config.steps:
            terms = self.train_step()
            if self.is_due(self.config.log_every):
                row = self.metrics(terms)
                now = time.perf_counter()
                samples = (self.step - counted) * self.batches.size
                row["samples_per_s"] = samples / max(now - since, 1e-9)
                row["elapsed_s"] = now - began
                if self.is_due(self.config.watch_every):
                    row |= self.collapse_statistics(row.get("relative_loss", 0.0))
                since = time.perf_counter()
                counted = self.step
                on_row(row)
            if stop_after(self):
                break
        self.model.eval()

    @torch.inference_mode(False)
    def train_step(self) -> dict[str, Tensor]:
        """One optimizer step and EMA update. Returns the terms of the loss, scalars."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr(self.step)
        x = self._centered(self.batches.values(self.step))
        drawn = self.model.draw(x, self.batches.generator(self.step))
        seed = random_seed(self.config.seed, 5, self.step, self.rank)
        with dropout_from(self.model, generator_on(self.device, seed)):
            terms = self._accumulate_gradients(x, drawn)
        terms["grad_norm"] = nn.utils.clip_grad_norm_(
            self.model.parameters(), self.config.clip
        )
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.model.update_target(self.momentum())
        return terms

    def _accumulate_gradients(self, x: Tensor, drawn: Drawn) -> dict[str, Tensor]:
        """Forward and backward of this process's share of the batch, part by part."""
        totals: dict[str, Tensor] = {}
        parts = self.config.accumulate
        count = self.batches.size // (self.world * parts)
        for part in range(parts):
            start = (part * self.world + self.rank) * count
            rows = slice(start, start + count)
            synchronize = self.world == 1 or part == parts - 1
            wait = nullcontext() if synchronize else self.parallel.no_sync()  # type: ignore[operator]
            with (
                wait,
                torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16),
            ):
                ours = drawn
                if isinstance(drawn, Tensor):
                    ours = drawn[:, rows].to(self.device)
                terms = self.parallel(as_float(x[rows].to(self.device)), ours)
                (terms["loss"] / parts).backward()
            for name, value in terms.items():
                totals[name] = totals.get(name, 0.0) + value.detach() / parts
        return totals

    def _offset(self) -> Tensor | None:
        """The offset of the model on the CPU, None if it is 0 or of the raw channels."""
        offset = self.model.offset.detach().cpu()
        is_used = bool(offset.any()) and not self.model.config.channel_independent
        return offset if is_used else None

    def _centered(self, x: Tensor) -> Tensor:
        """A batch without the offset of the model, float32."""
        return x if self.offset is None else (x - self.offset).float()

    def lr(self, step: int) -> float:
        """Learning rate of step `step` (0-based): linear warm-up, then a half cosine to 0."""
        peak = self.config.rate
        warmup = max(1, round(self.config.warmup * self.config.steps))
        if step < warmup:
            return peak * (step + 1) / warmup
        angle = math.pi * (step - warmup) / max(1, self.config.steps - warmup)
        return peak * 0.5 * (1 + math.cos(angle))

    def momentum(self) -> float:
        """Momentum of the target encoder after the step just taken."""
        return momentum_at(self.step, self.config.steps, self.model.config.momentum)

    def is_due(self, every: int) -> bool:
        """Whether the step just taken is the last one or a multiple of `every`."""
        return self.step % every == 0 or self.step == self.config.steps

    def metrics(self, terms: dict[str, Tensor]) -> Row:
        """The row of metrics of the step just taken, its terms averaged over processes."""
        values = torch.stack(list(terms.values())) / self.world
        if self.world > 1:
            dist.all_reduce(values)
        row: Row = {"step": self.step, "epoch": self.batches.epoch(self.step)}
        row.update(zip(terms, values.tolist(), strict=True))
        if not math.isfinite(row["loss"] + row["grad_norm"]):
            raise FloatingPointError(
                f"the loss is not finite at step {self.step}; lower lr ({self.config.lr})"
            )
        row["lr"] = self.lr(self.step - 1)
        row["momentum"] = self.momentum()
        return row

    @torch.no_grad()
    def collapse_statistics(self, relative_loss: float) -> Row:
        """Statistics of the context encoder's tokens, from the same sequences each time."""
        sequences = self.batches.sequences
        config = self.model.config
        length = min(int(sequences.lengths.max()), config.seq_len)
        tokens_each = math.ceil(length / config.patch) * math.prod(config.cells)
        values_each = max(length * config.input_dim, tokens_each * config.embed_dim)
        most = max(16, min(128, STATISTICS_VALUES // values_each))
        rows = np.unique(np.linspace(0, len(sequences) - 1, most).astype(int))
        x = torch.from_numpy(sequences.batch(rows)[:, : config.seq_len])
        x = self._centered(x).to(self.device)
        count = self.batches.size // (self.world * self.config.accumulate)
        encoder = self.model.context_encoder
        self.model.eval()
        parts = [
            encoder.encode(*encoder.prepare(part)).on_grid()
            for part in torch.split(x, count)  # as many at once as in training
        ]
        tokens, observed = (torch.cat(part) for part in zip(*parts, strict=True))
        self.model.train()
        std, rank, samples = position_statistics(tokens.float(), observed)
        verdict = collapse_verdict(std, rank, tokens.shape[-1], samples, relative_loss)
        return {
            "std": float(np.median(std)) if std else None,
            "rank": float(np.median(rank)) if rank else None,
            "std_per_position": std,
            "rank_per_position": rank,
            "verdict": str(verdict),
        }

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds: the step, weights and optimizer moments."""
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from `state()`."""
        self.model.load_state_dict(state["model"])
        self.offset = self._offset()
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])


def make_optimizer(
    model: nn.Module, config: PretrainConfig, fused: bool = True
) -> torch.optim.Optimizer:
    """AdamW with weight decay on matrices only."""
    trained = [p for p in model.parameters() if p.requires_grad]
    matrices = [p for p in trained if p.ndim >= 2]
    vectors = [p for p in trained if p.ndim < 2]
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": config.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=config.rate,
        betas=(0.9, 0.95),
        fused=fused,
    )


def random_seed(*entropy: int) -> int:
    """A seed for torch from the numbers that identify a random choice."""
    return int(np.random.SeedSequence(entropy).generate_state(1)[0])


def pick_device(name: str) -> torch.device:
    """The torch device called `name`; "auto" is the accelerator if there is one, else the CPU."""
    usable = torch.device("cpu")
    if torch.accelerator.is_available():
        usable = torch.accelerator.current_accelerator() or usable
    try:
        device = usable if name == "auto" else torch.device(name)
    except (RuntimeError, TypeError):
        raise ValueError(
            f"device must be 'auto', 'cpu', 'cuda', 'cuda:1', 'mps', ..., got {name!r}"
        ) from None
    if device.type not in ("cpu", usable.type):
        raise ValueError(
            f"device {name!r} is not available here; see temporal-jepa doctor"
        )
    if device.type == "cuda":
        if device.index is None:
            device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
        torch.cuda.set_device(device)
    return device


@torch.inference_mode(False)
def train(
    model: TemporalJEPA,
    sequences: Sequences,
    config: PretrainConfig | None = None,
    *,
    pretrained: bool = False,
    on_row: OnRow = lambda row: None,
) -> TemporalJEPA:
    """Train in memory, in place.

    Args:
        model: from `initial_model`, or loaded.
        sequences: at least two.
        config: default `PretrainConfig()`.
        pretrained: whether the model is trained already, for the defaults of `steps` and `lr`.
        on_row: called with each row of metrics (see `docs/cli.md`, metrics.jsonl).

    Returns:
        The same model, in evaluation mode on its device.

    Raises:
        ValueError: for data that cannot be trained on.
        FloatingPointError: if the loss is not finite; the weights are then useless.
    """
    config = (config or PretrainConfig()).resolved(len(sequences), pretrained)
    batches = plan_batches(model, sequences.check_observed(), config)
    Trainer(model, batches, config).run(on_row)
    return model
