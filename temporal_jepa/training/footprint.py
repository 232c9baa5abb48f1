"""How much memory a run will take, estimated before it begins."""

import math
import os
from dataclasses import dataclass

import torch

from ..config import PretrainConfig
from ..files import memory
from ..model.jepa import TemporalJEPA
from .batches import Batches
from .trainer import pick_device

SAVED = 16
"""Activations of the width of a token that a block keeps for the backward pass."""
SAVED_BY_KERNELS = 8
"""Activations of the width of a token that convolutions keep for each timestep and cell."""


@dataclass(frozen=True)
class Footprint:
    """Memory of a training step, in bytes, without the data and the libraries.

    Attributes:
        state: weights of both encoders, gradients and two moments, of this process.
        sequence: activations of one sequence with all its masks.
        batch: sequences that are computed at once by this process.
        values: the values of the batch.
    """

    state: int
    sequence: int
    batch: int
    values: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.state + self.sequence * self.batch + self.values

    def fitting(self, limit: int) -> int:
        """The largest number of sequences at once that fits into `limit` bytes; 0: none."""
        each = self.sequence + self.values // max(self.batch, 1)
        return max(limit - self.state, 0) // max(each, 1)


def footprint(
    model: TemporalJEPA, batches: Batches, config: PretrainConfig
) -> Footprint:
    """Estimate the memory of a training step.

    Args:
        model: on any device, `meta` too.
        batches: what it is trained on.
        config: how to train.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    total = sum(p.numel() for p in model.parameters())
    shape = model.config
    tokens, visible = token_counts(model, batches)
    kept = 1 if config.activation_checkpointing else SAVED
    widths = shape.encoder_depth * visible * shape.embed_dim
    widths += shape.predictor_depth * tokens * shape.predictor_embed_dim
    longest = min(batches.longest, shape.seq_len)
    per_timestep = 0
    if shape.tokenizer in ("conv", "dilated", "filters"):
        per_timestep = SAVED_BY_KERNELS * math.prod(shape.cells) * shape.embed_dim
    batch = max(batches.size // (world * config.accumulate), 1)
    return Footprint(
        state=4 * (total + 3 * trained) // (world if config.shard else 1),
        sequence=4 * (kept * widths * shape.num_masks + per_timestep * longest),
        batch=batch,
        values=4 * batch * config.accumulate * longest * shape.input_dim,
    )


def token_counts(model: TemporalJEPA, batches: Batches) -> tuple[int, int]:
    """Tokens of the longest training window, and how many of them the encoder sees."""
    shape = model.config
    longest = min(batches.longest, shape.seq_len)
    tokens = math.ceil(longest / shape.patch) * math.prod(shape.cells)
    return tokens, round((1 - shape.mask_ratio) * tokens)


def check_memory(model: TemporalJEPA, batches: Batches, config: PretrainConfig) -> None:
    """Refuse a run that does not fit into memory, before it begins.

    Raises:
        MemoryError: naming the setting to change and a value that fits.
    """
    needed = footprint(model, batches, config)
    limit = _limit(config)
    if limit is None:
        return
    memory.check(needed.total, "a training step", _advice(needed, limit, config), limit)


def _limit(config: PretrainConfig) -> int | None:
    device = pick_device(config.device)
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free
    return memory.available()


def _advice(needed: Footprint, limit: int, config: PretrainConfig) -> str:
    """What to change, with the largest value that fits."""
    fits = needed.fitting(limit)
    if fits == 0 and needed.state > limit:
        shard = "" if config.shard else ", or split it over processes with shard"
        return f"lower embed_dim or encoder_depth{shard}"
    if fits == 0:
        return "lower seq_len, num_masks or embed_dim, or raise patch_len"
    batch_size = config.batch_size * fits // needed.batch
    parts = config.accumulate * math.ceil(needed.batch / fits)
    return (
        f"lower batch_size to {batch_size} (from {config.batch_size}), or keep it and compute it "
        f"in {parts} parts with accumulate={parts}"
    )


def advice_in_training(config: PretrainConfig) -> str:
    """What to change after memory ran out during training."""
    checkpointing = (
        "" if config.activation_checkpointing else ", set activation_checkpointing"
    )
    return (
        f"lower batch_size (it is {config.batch_size}), raise accumulate (it is "
        f"{config.accumulate}), lower seq_len or num_masks{checkpointing}; then continue with "
        "resume, or start again if no checkpoint was written"
    )
