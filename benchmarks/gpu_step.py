"""Speed of a training step on films: a ViT-S sized encoder on clips of 16 x 224 x 224, beside a plain ViT's blocks.

python benchmarks/gpu_step.py [--batch 16] [--rounds 20] [--peak 989]      on a GPU: bf16, compiled
python benchmarks/gpu_step.py --toy                                        seconds on a CPU: does it run?

Ours is the whole step of `temporal_jepa.training`: masks, target pass over all tokens, context pass over the visible
ones, predictor, regulariser if any, backward, clip, AdamW, EMA. "plain" is the least a JEPA of this size has to do:
pre-norm blocks on scaled_dot_product_attention in nn.Sequential without positions or masks, all tokens forward without
gradients, the visible share forward and backward, a narrow stack over all tokens, smooth L1, fused AdamW. Samples a
second are medians over rounds; the share of peak is counted floating-point operations (torch's own counter, of the
plain step) over --peak, dense TFLOP/s of the device in bf16.
"""

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from temporal_jepa.config import RECIPE, VIDEO, PretrainConfig, TemporalJEPAConfig
from temporal_jepa.data import Sequences
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import Trainer, plan_batches

SIZE = {
    "embed_dim": 384,
    "encoder_depth": 12,
    "num_heads": 6,
    "predictor_embed_dim": 192,
    "predictor_depth": 6,
    "patch_len": 2,
    "patch_size": 16,
}
TOY = {
    "embed_dim": 64,
    "encoder_depth": 2,
    "num_heads": 4,
    "predictor_embed_dim": 32,
    "predictor_depth": 1,
    "patch_len": 2,
    "patch_size": 16,
}


class PlainBlock(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, h: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm1(h)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        h = h + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return h + self.mlp(self.norm2(h))


class Plain(nn.Module):
    """Tokens in, loss out: target pass, context pass, predictor."""

    def __init__(self, config: TemporalJEPAConfig, tokens: int):
        super().__init__()
        self.kept = round((1 - config.mask_ratio) * tokens)
        self.proj_in = nn.Linear(
            config.patch * config.side**2 * config.frame_shape[2], config.embed_dim
        )
        wide = [PlainBlock(config.embed_dim, config.num_heads) for _ in range(config.encoder_depth)]
        narrow = [
            PlainBlock(config.predictor_embed_dim, config.num_heads)
            for _ in range(config.predictor_depth)
        ]
        self.encoder = nn.Sequential(*wide)
        self.predictor = nn.Sequential(*narrow)
        self.down = nn.Linear(config.embed_dim, config.predictor_embed_dim)
        self.up = nn.Linear(config.predictor_embed_dim, config.embed_dim)

    def forward(self, boxes: Tensor) -> Tensor:
        with torch.no_grad():
            target = self.encoder(self.proj_in(boxes))
        context = self.encoder(self.proj_in(boxes[:, : self.kept]))
        hidden = boxes.shape[1] - self.kept
        asked = F.pad(self.down(context), (0, 0, 0, hidden))
        return F.smooth_l1_loss(
            self.up(self.predictor(asked)[:, self.kept :]), target[:, self.kept :]
        )


def ours(
    films: np.ndarray, config: TemporalJEPAConfig, training: PretrainConfig
) -> Callable[[], object]:
    sequences = Sequences.from_arrays(films)
    model = initial_model(sequences, 0, **vars(config))
    training = training.resolved(len(sequences))
    return Trainer(model, plan_batches(model, sequences, training), training).train_step


def plain(
    films: np.ndarray, config: TemporalJEPAConfig, device: torch.device, fast: bool
) -> Callable[[], object]:
    tokens = films.shape[1] // config.patch * int(np.prod(config.cells))
    model: nn.Module = Plain(config, tokens).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    step = torch.compile(model) if fast else model
    boxes = torch.randn(
        len(films), tokens, config.patch * config.side**2 * config.frame_shape[2], device=device
    )

    def advance() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=fast):
            step(boxes).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return advance


def seconds(step: Callable[[], object], rounds: int, device: torch.device) -> float:
    """Median of `rounds` steps, after five to warm up."""
    took = []
    for _ in range(rounds + 5):
        began = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        took.append(time.perf_counter() - began)
    return float(np.median(took[5:]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--peak", type=float, default=989.0, help="dense TFLOP/s in bf16; 989 is an H100 SXM's"
    )
    parser.add_argument(
        "--toy",
        action="store_true",
        help="small, on the CPU, not compiled; --batch, --rounds and --peak do not count",
    )
    options = parser.parse_args()
    device, side = (torch.device("cpu"), 32) if options.toy else (torch.device("cuda"), 224)
    batch = 2 if options.toy else options.batch
    films = np.random.default_rng(0).integers(0, 256, (batch, 16, side, side, 3), dtype=np.uint8)
    config = TemporalJEPAConfig(
        **{**RECIPE, **VIDEO, **(TOY if options.toy else SIZE)},
        input_dim=side * side * 3,
        frame=(side, side, 3),
        seq_len=16,
    )
    training = PretrainConfig(
        steps=1000, batch_size=batch, crop=1.0, device=device.type, compile=not options.toy
    )
    steps = {
        "ours": ours(films, config, training),
        "plain": plain(films, config, device, not options.toy),
    }
    with FlopCounterMode(display=False) as counter:
        plain(films, config, device, fast=False)()
    work = counter.get_total_flops()
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    print(
        f"{name}, torch {torch.__version__}, batch {batch}, {work / batch / 1e9:.2f} GFLOP a sample"
    )
    print("| step | samples/s | share of peak |\n|---|---|---|")
    for key, step in steps.items():
        took = seconds(step, 2 if options.toy else options.rounds, device)
        share = f"{work / took / 1e12 / options.peak:.1%}" if device.type == "cuda" else "-"
        print(f"| {key} | {batch / took:.1f} | {share} |", flush=True)


if __name__ == "__main__":
    main()
