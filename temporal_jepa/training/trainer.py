"""The training loop, on one process or under torchrun.

Batches and masks are functions of the step, see `batches`, and dropout is seeded by it. So a
checkpoint stores no random state, and an interrupted run ends in the weights of an uninterrupted
one.
"""

import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ..config import PretrainConfig
from ..data.sequences import Sequences
from ..model.ema import momentum_at
from ..model.jepa import TemporalJEPA
from ..model.objectives.objective import pad_tokens
from ..model.random import dropout_from, generator_on
from ..model.transformer import Block
from .batches import Batch, Batches, as_float, plan_batches, random_seed
from .callbacks import Callbacks, OnRow, Row
from .checkpoints import Shapes
from .collapse import collapse_verdict, position_statistics
from .prefetch import Prefetch
from .sharding import shard, whole, whole_model

# Collapse statistics come from at most this many values, of the sequences and of their tokens.
STATISTICS_VALUES = 2**23
# Prefixes of the names in a state.
MODEL = "model."
COMPONENTS = MODEL + "components."
OPTIMIZER = "optimizer."
NOTHING = torch.empty(0)
PATIENCE = 20
"""Steps in a row whose gradient is not finite, after which training stops."""


class Trainer:
    """Model, optimizer and step count; `train_step` does one optimizer step.

    Under torchrun, each process takes its share of the same global batch, so results do not depend
    on the number of processes, except for the order of floating-point sums.

    A step whose gradient is not finite is left out: it changes no weight, and is counted in
    `skipped`.

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
                f"a batch of {batches.size} sequences does not split evenly over {self.world} "
                f"processes of {config.accumulate} micro-batches each; make batch_size a multiple "
                f"of {self.world * config.accumulate}"
            )
        self.config = config
        self.batches = batches
        self.step = 0
        self.device = pick_device(config.device)
        on_cuda = self.device.type == "cuda"
        self.bf16 = config.precision == "bf16" or (
            config.precision == "auto" and on_cuda
        )
        self.skipped = 0
        self.skipped_in_a_row = 0
        self.terms: dict[str, Tensor] = {}  # of the last step that was not left out
        if config.activation_checkpointing:
            checkpoint_activations(model)
        self.is_sharded = config.shard and self.world > 1
        if self.is_sharded:
            shard(model, self.device)
        self.model = model.to(self.device).train()
        self.optimizer = make_optimizer(model, config, fused=self.device.type != "mps")
        self.offset = self._offset()
        self.own_rows = batches.rows(self.rank, self.world)
        self.prepared = Prefetch(self._prepare)
        self.parallel: nn.Module = self.model
        if self.world > 1 and not self.is_sharded:
            self.parallel = DistributedDataParallel(self.model)
        if config.compile:
            self.parallel = torch.compile(self.parallel)  # type: ignore[assignment]

    @torch.inference_mode(False)
    def run(
        self,
        on_row: OnRow,
        stop_after: Callable[["Trainer"], bool] = lambda trainer: False,
        on_step: OnRow | None = None,
    ) -> None:
        """Train to the last step.

        Args:
            on_row: called with each row of metrics.
            stop_after: called after each step; returning True stops the training.
            on_step: called with the `metrics` of each step, which are copied from the device for
                it. None: nothing is copied.
        """
        began = time.perf_counter()
        since = began
        counted = self.step
        waited = self.prepared.waited
        try:
            while self.step < self.config.steps:
                self.train_step()
                if on_step is not None and self.terms:
                    on_step(self.metrics(self.terms))
                if self.is_due(self.config.log_every) and self.terms:
                    row = self.metrics(self.terms)
                    now = time.perf_counter()
                    samples = (self.step - counted) * self.batches.size
                    row["samples_per_s"] = samples / max(now - since, 1e-9)
                    row["elapsed_s"] = now - began
                    row["data_wait"] = (self.prepared.waited - waited) / (now - since)
                    waited = self.prepared.waited
                    if self.is_due(self.config.watch_every):
                        row |= self.collapse_statistics(row.get("relative_loss", 0.0))
                    since = time.perf_counter()
                    counted = self.step
                    on_row(row)
                if stop_after(self):
                    break
        finally:
            self.prepared.close()
        self.model.eval()

    @torch.inference_mode(False)
    def train_step(self) -> dict[str, Tensor]:
        """One optimizer step and EMA update. Returns the terms of the loss, scalars.

        Raises:
            FloatingPointError: if the gradients of the last 20 steps, or of all, were not finite.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr(self.step)
        is_last = self.step + 1 == self.config.steps
        batch = self._aligned(self.prepared.get(self.step, is_last))
        seed = random_seed(self.config.seed, 5, self.step, self.rank)
        with dropout_from(self.model, generator_on(self.device, seed)):
            terms = self._accumulate_gradients(batch)
        norm = whole(
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip)
        )
        terms["grad_norm"] = norm
        is_finite = bool(norm.isfinite())
        if is_finite:
            self.terms = dict(terms)
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if is_finite:
            self.skipped_in_a_row = 0
            self.model.update_target(self.momentum())
        else:
            self._leave_out()
        return terms

    def _leave_out(self) -> None:
        """Count a step that changes nothing; stop after too many in a row."""
        self.skipped += 1
        self.skipped_in_a_row += 1
        is_over = self.step == self.config.steps and not self.terms
        if self.skipped_in_a_row >= PATIENCE or is_over:
            raise FloatingPointError(
                f"the loss or its gradient was not finite in the last {self.skipped_in_a_row} "
                f"steps, up to step {self.step}; the weights before them are kept. Lower lr "
                f"({self.config.rate:g}), use precision fp32, or rescale the data if some values "
                "are huge"
            )

    def _prepare(self, step: int) -> Batch:
        """This process's rows of the batch of a step, with what the objective draws."""
        x = self._centered(self.batches.values(step, self.own_rows))
        return self.batches.draw(self.model, x, step, self.own_rows)

    def _aligned(self, batch: Batch) -> Batch:
        """The batch, padded to the longest row of all processes: they sum over positions."""
        x, drawn = batch.x, batch.drawn
        if self.world == 1:
            return batch
        longest = torch.tensor(x.shape[1], device=self.device)
        dist.all_reduce(longest, op=dist.ReduceOp.MAX)
        missing = int(longest) - x.shape[1]
        if not missing:
            return batch
        x = nn.functional.pad(as_float(x), (0, 0, 0, missing), value=math.nan)
        if isinstance(drawn, Tensor) and drawn.ndim > 2:
            config = self.model.config
            tokens = math.ceil(x.shape[1] / config.patch) * math.prod(config.cells)
            drawn = pad_tokens(drawn, tokens)
        return Batch(x, drawn)

    def _accumulate_gradients(self, batch: Batch) -> dict[str, Tensor]:
        """Forward and backward of this process's share of the batch, part by part."""
        totals: dict[str, Tensor] = {}
        parts = self.config.accumulate
        count = len(self.own_rows) // parts
        for part in range(parts):
            rows = slice(part * count, (part + 1) * count)
            wait = self._wait(is_last=part == parts - 1)
            with (
                wait,
                torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16),
            ):
                drawn = batch.drawn
                if isinstance(drawn, Tensor):
                    drawn = drawn[:, rows].to(self.device)
                terms = self.parallel(as_float(batch.x[rows].to(self.device)), drawn)
                (terms["loss"] / parts).backward()
            for name, value in terms.items():
                totals[name] = totals.get(name, 0.0) + value.detach() / parts
        return totals

    def _wait(self, is_last: bool) -> AbstractContextManager[None]:
        """Gradients are averaged over processes after the last part of a batch."""
        if isinstance(self.parallel, DistributedDataParallel) and not is_last:
            return self.parallel.no_sync()
        if self.is_sharded:
            self.model.set_requires_gradient_sync(is_last)  # type: ignore[operator]
        return nullcontext()

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
        row["skipped"] = self.skipped
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
        self.model.eval()
        parts = [
            self.model.encode_context(part)
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

    def whole_model(self) -> TemporalJEPA | None:
        """The model in the first process, None in the others; all processes call it."""
        if self.is_sharded:
            return whole_model(self.model)
        return self.model if self.rank == 0 else None

    def state(self) -> dict[str, Tensor]:
        """What a checkpoint holds: the step, weights and optimizer moments, by name.

        Sharded, each process has its part.
        """
        state = {
            "step": torch.tensor(self.step),
            "skipped": torch.tensor(self.skipped),
        }
        for name, value in self.model.state_dict().items():
            state[MODEL + name] = value
        moments = self.optimizer.state_dict()["state"]
        for index, name in enumerate(self._optimized()):
            for kind, value in moments.get(index, {}).items():
                state[f"{OPTIMIZER}{name}.{kind}"] = value
        return state

    def template(self, shapes: Shapes) -> dict[str, Tensor]:
        """Tensors to read a state into, from the shape and type of each.

        Raises:
            ValueError: if it is the state of another model.
        """
        weights = self.model.state_dict()
        self._check_shapes({name: shape for name, (shape, _) in shapes.items()})
        state = {}
        for name, (shape, dtype) in shapes.items():
            owner = name.removeprefix(MODEL)
            if name.startswith(OPTIMIZER):
                owner = name.removeprefix(OPTIMIZER).rpartition(".")[0]
            weight: Tensor = weights.get(owner, NOTHING)
            if hasattr(weight, "to_local") and list(weight.shape) == shape:
                state[name] = torch.zeros_like(weight, dtype=dtype)
            else:
                state[name] = torch.zeros(shape, dtype=dtype)
        return state

    def _check_shapes(self, found: Mapping[str, list[int]]) -> None:
        """ValueError unless a state has these shapes, with or without moments."""
        weights = self.model.state_dict()
        needed = {MODEL + name: list(value.shape) for name, value in weights.items()}
        needed |= {"step": [], "skipped": []}
        moments: dict[str, list[int]] = {}
        for name in self._optimized():
            shape = list(weights[name].shape)
            kinds = {"step": [], "exp_avg": shape, "exp_avg_sq": shape}
            moments |= {f"{OPTIMIZER}{name}.{kind}": kinds[kind] for kind in kinds}
        expected = needed | moments
        for name in sorted(found.keys() | needed.keys()):
            if name.startswith(COMPONENTS):  # a model gets as many as it finds
                continue
            if found.get(name) != expected.get(name):
                raise ValueError(
                    f"the checkpoint is of another model: {name} has shape {found.get(name)}, "
                    f"expected {expected.get(name)}; copy the run folder again, or start a new run"
                )

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from `state()`."""
        weights = {}
        moments: dict[int, dict[str, Tensor]] = {}
        index = {name: number for number, name in enumerate(self._optimized())}
        for name, value in state.items():
            if name.startswith(MODEL):
                weights[name.removeprefix(MODEL)] = value
            elif name.startswith(OPTIMIZER):
                owner, _, kind = name.removeprefix(OPTIMIZER).rpartition(".")
                moments.setdefault(index[owner], {})[kind] = value
        self.model.load_state_dict(weights)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.offset = self._offset()
        self.step = int(state["step"])
        self.skipped = int(state["skipped"])

    def _optimized(self) -> list[str]:
        """Names of the weights in the order of the optimizer."""
        names = {weight: name for name, weight in self.model.named_parameters()}
        groups = self.optimizer.param_groups
        return [names[weight] for group in groups for weight in group["params"]]


def checkpoint_activations(model: TemporalJEPA) -> None:
    """Compute the activations of trained blocks again in the backward pass, to save memory.

    Raises:
        ValueError: if dropout would be drawn again.
    """
    if model.config.dropout > 0:
        raise ValueError(
            "activation_checkpointing computes each block twice, so dropout must be 0, got "
            f"{model.config.dropout}; leave out one of them"
        )
    for module in model.modules():
        if isinstance(module, Block):
            module.recomputes = True


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
    on_step: OnRow | None = None,
) -> TemporalJEPA:
    """Train in memory, in place.

    Args:
        model: from `initial_model`, or loaded.
        sequences: at least two.
        config: default `PretrainConfig()`.
        pretrained: whether the model is trained already, for the defaults of `steps` and `lr`.
        on_row: called with each row of metrics (see `docs/cli.md`, metrics.jsonl).
        on_step: called with the numbers of each step; both as in `pretrain`.

    Returns:
        The same model, in evaluation mode on its device.

    Raises:
        ValueError: for data that cannot be trained on.
        FloatingPointError: if the loss or its gradient is not finite in 20 steps in a row.
        Exception: what a callback raises, but `StopTraining`.
    """
    config = (config or PretrainConfig()).resolved(len(sequences), pretrained)
    batches = plan_batches(model, sequences.check_observed(), config)
    callbacks = Callbacks(on_row, on_step)
    Trainer(model, batches, config).run(
        callbacks.row,
        lambda trainer: callbacks.is_over,
        None if on_step is None else callbacks.step,
    )
    callbacks.raise_error()
    return model
