"""Pretraining: a short loop on PyTorch's engine, resumable anywhere, alone or under torchrun.

The order of sequences is a function of (seed, epoch), crops of (seed, epoch, index), masks and dropout of (seed, step);
so a checkpoint needs no random state, and an interrupted run ends in the weights of the uninterrupted one.
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

from ..config import PretrainConfig as PretrainConfig
from ..data.sequences import Sequences, missing, stack
from ..embed import check_channels, single_channels
from ..model.ema import momentum_at
from ..model.jepa import TemporalJEPA
from .collapse import collapse_verdict, position_statistics

Row = dict[str, Any]
STATISTICS_VALUES = 2**23  # most values of the sequences that collapse statistics come from


class Batches:
    """The training batches as pure functions of the step: nothing to save, nothing to restore."""

    def __init__(self, sequences: Sequences, config: PretrainConfig, seq_len: int, shortest: int):
        sequences.check_observed()
        if len(sequences) < 2:
            raise ValueError(
                f"{sequences.source}: pretraining compares sequences and needs at least 2, got {len(sequences)}; "
                "cut a long recording into windows with window=LENGTH"
            )
        if (longest := min(int(sequences.lengths.max()), seq_len)) < shortest:
            raise ValueError(
                f"{sequences.source}: the longest training window has {longest} timesteps, but a masked and a visible "
                f"patch need {shortest}; choose a smaller patch_len, a larger seq_len or longer series"
            )
        self.sequences = sequences
        self.config = config
        self.seq_len = seq_len
        self.shortest = shortest
        self.size = min(config.batch_size, len(sequences))
        self._order = lru_cache(maxsize=2)(self._permutation)

    def _permutation(self, epoch: int) -> npt.NDArray[np.int64]:
        return np.random.default_rng([self.config.seed, 1, epoch]).permutation(len(self.sequences))

    def epoch(self, step: int) -> int:
        """Epoch of the first sequence of step `step` (0-based)."""
        return step * self.size // len(self.sequences)

    def values(self, step: int) -> Tensor:
        """Batch of step `step`: float32 `(B, T, C)`, cropped, padded with NaN."""
        places = np.arange(step * self.size, (step + 1) * self.size)
        share = np.random.default_rng([self.config.seed, 2, step]).uniform(self.config.crop, 1.0)
        crops = []
        for place in places.tolist():
            epoch, within = divmod(place, len(self.sequences))
            index = int(self._order(epoch)[within])
            x = self.sequences.values[index]
            length = min(max(round(share * len(x)), self.shortest), len(x), self.seq_len)
            noise = np.random.default_rng([self.config.seed, 3, epoch, index])
            start = int(noise.random() * (len(x) - length + 1))
            if missing(x[start : start + length]):  # a gap: move to where something was observed
                anchor = noise.choice(np.flatnonzero(~np.isnan(x).all(1)))
                start = int(np.clip(anchor - length // 2, 0, len(x) - length))
            crops.append(x[start : start + length])
        return torch.from_numpy(stack(crops))

    def generator(self, step: int) -> torch.Generator:
        """Random state of the masks of step `step`."""
        state = np.random.SeedSequence([self.config.seed, 4, step]).generate_state(1)[0]
        return torch.Generator().manual_seed(int(state))


def plan_batches(model: TemporalJEPA, sequences: Sequences, config: PretrainConfig) -> Batches:
    """The batches this model would be trained on; ValueError when it cannot be trained on these sequences.

    A model with `views` is trained on every channel by itself.
    """
    check_channels(model, sequences)
    if model.config.resolutions and len(sequences) > 1:
        sequences = single_channels(sequences.check_observed(), model.config.seq_len)
    return Batches(sequences, config, model.config.seq_len, 2 * model.config.patch)


class Trainer:
    """Model, optimizer and step count; `advance` does one optimizer step.

    Under torchrun each process takes its share of the same global batch, so results do not depend on their number
    beyond the order of floating-point sums.
    """

    def __init__(self, model: TemporalJEPA, sequences: Sequences, config: PretrainConfig):
        self.rank, self.world = (
            (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
        )
        self.config = config.resolved(len(sequences))
        self.step = 0
        self.batches = plan_batches(model, sequences, config)
        parts = self.world * config.accumulate
        if self.batches.size % parts:
            raise ValueError(
                f"a batch of {self.batches.size} does not split into {self.world} processes x {config.accumulate} parts"
            )
        self.device = pick_device(config.device)
        self.bf16 = config.precision == "bf16" or (
            config.precision == "auto" and self.device.type == "cuda"
        )
        self.model = model.to(self.device).train()
        decayed = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
        plain = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decayed, "weight_decay": config.weight_decay},
                {"params": plain, "weight_decay": 0.0},
            ],
            lr=self.config.rate,
            betas=(0.9, 0.95),
            fused=self.device.type != "mps",
        )
        self.parallel: nn.Module = self.model
        if self.world > 1:
            self.parallel = DistributedDataParallel(self.model)
        if config.compile:
            self.parallel = torch.compile(self.parallel)  # type: ignore[assignment]

    def lr(self, step: int) -> float:
        """Learning rate of step `step` (0-based): linear warm-up, then a half cosine to 0."""
        warmup = max(1, round(self.config.warmup * self.config.steps))
        if step < warmup:
            return self.config.rate * (step + 1) / warmup
        return (
            self.config.rate
            * 0.5
            * (1 + math.cos(math.pi * (step - warmup) / max(1, self.config.steps - warmup)))
        )

    def train_step(self) -> dict[str, Tensor]:
        """One step: forward target and context, backward and step, EMA. Returns scalar tensors."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr(self.step)
        x = self.batches.values(self.step)
        visible = self.model.draw_masks(x, self.batches.generator(self.step))
        noise = int(
            np.random.SeedSequence([self.config.seed, 5, self.step, self.rank]).generate_state(1)[0]
        )
        torch.default_generator.manual_seed(
            noise
        )  # for dropout; `train` gives the caller's state back
        if self.device.type == "cuda":
            torch.cuda.manual_seed(noise)
        totals: dict[str, Tensor] = {}
        count = self.batches.size // (self.world * self.config.accumulate)
        for part in range(self.config.accumulate):
            start = (part * self.world + self.rank) * count
            last = part == self.config.accumulate - 1
            wait = self.parallel.no_sync() if self.world > 1 and not last else nullcontext()  # type: ignore[operator]
            with wait, torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
                terms = self.parallel(
                    x[start : start + count].to(self.device),
                    visible[:, start : start + count].to(self.device),
                )
                (terms["loss"] / self.config.accumulate).backward()
            for name, value in terms.items():
                totals[name] = totals.get(name, 0.0) + value.detach() / self.config.accumulate
        totals["grad_norm"] = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        self.model.update_target(self.momentum())
        return totals

    def values(self, terms: dict[str, Tensor]) -> dict[str, float]:
        """Terms of a step as numbers, averaged over processes."""
        row = torch.stack(list(terms.values())) / self.world
        if self.world > 1:
            dist.all_reduce(row)
        return dict(zip(terms, row.tolist(), strict=True))

    def momentum(self) -> float:
        """Momentum of the target after the step just taken."""
        return momentum_at(self.step, self.config.steps, self.model.config.momentum)

    @torch.no_grad()
    def collapse_statistics(self, relative_loss: float) -> Row:
        """Statistics of the context encoder's tokens, from the same sequences each time."""
        sequences = self.batches.sequences
        seq_len = self.model.config.seq_len
        values_each = min(int(sequences.lengths.max()), seq_len) * self.model.config.input_dim
        most = max(16, min(128, STATISTICS_VALUES // values_each))
        rows = np.unique(np.linspace(0, len(sequences) - 1, most).astype(int))
        x = torch.from_numpy(sequences.batch(rows)[:, :seq_len]).to(self.device)
        encoder = self.model.context_encoder
        self.model.eval()
        tokens, observed = encoder.encode(*encoder.prepare(x)).on_grid()
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

    def run(self, on_row: Callable[[Row], None], on_step: Callable[["Trainer"], bool]) -> None:
        """Advance to the last step, or until `on_step` says True; see `train`. Leaves the model in evaluation mode."""
        config = self.config
        began = time.perf_counter()
        since = began
        counted = self.step
        with torch.random.fork_rng(devices=[self.device] if self.device.type == "cuda" else []):
            while self.step < config.steps:
                terms = self.train_step()
                final = self.step == config.steps
                if self.step % config.log_every == 0 or final:
                    values = self.values(terms)
                    if not math.isfinite(values["loss"] + values["grad_norm"]):
                        raise FloatingPointError(
                            f"the loss is not finite at step {self.step}; lower lr ({config.lr})"
                        )
                    now = time.perf_counter()
                    speed = (self.step - counted) * self.batches.size / max(now - since, 1e-9)
                    row: Row = {
                        "step": self.step,
                        "epoch": self.batches.epoch(self.step),
                        **values,
                        "lr": self.lr(self.step - 1),
                        "momentum": self.momentum(),
                        "samples_per_s": speed,
                        "elapsed_s": now - began,
                    }
                    if self.step % config.watch_every == 0 or final:
                        row |= self.collapse_statistics(values["relative_loss"])
                    since = time.perf_counter()
                    counted = self.step
                    on_row(row)
                if on_step(self):
                    break
        self.model.eval()

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
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = int(state["step"])


def pick_device(name: str) -> torch.device:
    """The torch device called `name`; "auto" is CUDA (this process's), else MPS, else the CPU."""
    if name == "auto":
        name = (
            "cuda"
            if torch.cuda.is_available()
            else "mps"
            if torch.backends.mps.is_available()
            else "cpu"
        )
    try:
        device = torch.device(name)
        if device.type == "meta":
            raise TypeError
    except (RuntimeError, TypeError):
        raise ValueError(
            f"device must be 'auto', 'cpu', 'cuda', 'cuda:1', 'mps', ..., got {name!r}"
        ) from None
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ValueError(
            "device 'mps' was asked for, but this torch sees no such device: temporal-jepa doctor"
        )
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ValueError(
                "device 'cuda' was asked for, but this torch sees no such device: temporal-jepa doctor"
            )
        device = torch.device(
            "cuda", int(os.environ.get("LOCAL_RANK", 0)) if device.index is None else device.index
        )
        torch.cuda.set_device(device)
    return device


def train(
    model: TemporalJEPA,
    sequences: Sequences,
    config: PretrainConfig | None = None,
    *,
    on_row: Callable[[Row], None] = lambda row: None,
    on_step: Callable[[Trainer], bool] = lambda trainer: False,
    state: dict[str, Any] | None = None,
) -> TemporalJEPA:
    """Train in memory, in place.

    Args:
        model: from `initial_model`, or loaded.
        sequences: at least two.
        config: default `PretrainConfig()`.
        on_row: called with each row of metrics (see `docs/cli.md`, metrics.jsonl).
        on_step: called after each step; True ends the training there.
        state: of a `Trainer`, to go on from.

    Returns:
        The same model, in evaluation mode on its device.

    Raises:
        ValueError: for data that cannot be trained on.
        FloatingPointError: if the loss stops being finite; the weights are then of no use.
    """
    trainer = Trainer(model, sequences, config or PretrainConfig())
    if state is not None:
        trainer.restore(state)
    trainer.run(on_row, on_step)
    return model
