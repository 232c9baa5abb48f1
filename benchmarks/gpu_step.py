"""Speed of a training step on video: a ViT-S encoder on clips of 16 x 224 x 224, and a plain ViT.

python benchmarks/gpu_step.py [--batch 16] [--rounds 20] [--peak 989]   on a GPU: bf16, compiled
python benchmarks/gpu_step.py --toy                                     seconds on a CPU: a check

"ours" is the whole step of `temporal_jepa.training`: masks, target pass over all tokens, context
pass over the visible ones, predictor, regularizer if any, backward, clip, AdamW, EMA. "plain" is
the least a JEPA of this size has to do: pre-norm blocks on scaled_dot_product_attention without
positions or masks, all tokens forward without gradients, the visible share forward and backward,
a narrow transformer over all tokens, smooth L1, fused AdamW. "our batch alone" is what ours does on
the CPU before the step: crops, stacking and masks. Rounds are interleaved; samples per second are
medians over rounds, and so is the time relative to the plain step, taken round by round. The share
of peak is the floating-point operations of the plain step (torch's own counter) over --peak, the
device's dense TFLOP/s in bf16.
"""

import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from results import markdown_table, parser_of
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
}
TOY = {
    "embed_dim": 64,
    "encoder_depth": 2,
    "num_heads": 4,
    "predictor_embed_dim": 32,
    "predictor_depth": 1,
}
TUBELET = {"patch_len": 2, "patch_size": 16}


def config_of(side: int, size: dict[str, int]) -> TemporalJEPAConfig:
    """The model of clips of 16 frames of `side` x `side` pixels."""
    return TemporalJEPAConfig(
        **{**RECIPE, **VIDEO, **size, **TUBELET},
        input_dim=side * side * 3,
        frame=(side, side, 3),
        seq_len=16,
    )


class PlainBlock(nn.Module):
    def __init__(self, dim: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(
            nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)
        )

    def forward(self, h: Tensor) -> Tensor:
        q, k, v = (
            self.qkv(self.norm1(h))
            .unflatten(-1, (3, self.heads, -1))
            .permute(2, 0, 3, 1, 4)
        )
        h = h + self.out(
            F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        )
        return h + self.mlp(self.norm2(h))


class Plain(nn.Module):
    """Patches in, loss out: target pass, context pass, predictor."""

    def __init__(self, config: TemporalJEPAConfig, tokens: int):
        super().__init__()
        self.visible = round((1 - config.mask_ratio) * tokens)
        self.proj_in = nn.Linear(values_per_token(config), config.embed_dim)
        self.encoder = nn.Sequential(
            *(
                PlainBlock(config.embed_dim, config.num_heads)
                for _ in range(config.encoder_depth)
            )
        )
        self.predictor = nn.Sequential(
            *(
                PlainBlock(config.predictor_embed_dim, config.num_heads)
                for _ in range(config.predictor_depth)
            )
        )
        self.down = nn.Linear(config.embed_dim, config.predictor_embed_dim)
        self.up = nn.Linear(config.predictor_embed_dim, config.embed_dim)

    def forward(self, patches: Tensor) -> Tensor:
        with torch.no_grad():
            target = self.encoder(self.proj_in(patches))
        context = self.encoder(self.proj_in(patches[:, : self.visible]))
        masked = patches.shape[1] - self.visible
        filled = self.predictor(F.pad(self.down(context), (0, 0, 0, masked)))
        return F.smooth_l1_loss(
            self.up(filled[:, self.visible :]), target[:, self.visible :]
        )


def values_per_token(config: TemporalJEPAConfig) -> int:
    return config.patch * config.side**2 * config.frame_shape[2]


def our_trainer(
    clips: np.ndarray, config: TemporalJEPAConfig, training: PretrainConfig
) -> Trainer:
    sequences = Sequences.from_arrays(clips)
    options = {
        name: value for name, value in vars(config).items() if name != "input_dim"
    }
    model = initial_model(sequences, 0, **options)
    return Trainer(model, plan_batches(model, sequences, training), training)


def batch_of(trainer: Trainer) -> Tensor:
    """What `train_step` does on the CPU first: the batch and its masks."""
    values = trainer.batches.values(trainer.step)
    return trainer.model.draw_masks(values, trainer.batches.generator(trainer.step))


def plain_step(
    clips: np.ndarray, config: TemporalJEPAConfig, device: torch.device, fast: bool
) -> Callable[[], object]:
    tokens = clips.shape[1] // config.patch * int(np.prod(config.cells))
    model: nn.Module = Plain(config, tokens).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    loss_of = torch.compile(model) if fast else model
    patches = torch.randn(len(clips), tokens, values_per_token(config), device=device)

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=fast):
            loss_of(patches).backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def seconds(
    steps: dict[str, Callable[[], object]], rounds: int, device: torch.device
) -> dict[str, np.ndarray]:
    """Seconds per step, `(rounds,)` each, after five rounds to warm up."""
    took: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds + 5):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            if device.type == "cuda":
                torch.cuda.synchronize()
            took[name].append(time.perf_counter() - began)
    return {name: np.array(times[5:]) for name, times in took.items()}


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--peak",
        type=float,
        default=989.0,
        help="dense TFLOP/s in bf16; 989 is an H100 SXM's",
    )
    parser.add_argument(
        "--toy",
        action="store_true",
        help="small, on the CPU, not compiled; --batch, --rounds and --peak have no effect",
    )
    options = parser.parse_args()
    device = torch.device("cpu" if options.toy else "cuda")
    side = 32 if options.toy else 224
    batch = 2 if options.toy else options.batch
    rounds = 2 if options.toy else options.rounds
    clips = np.random.default_rng(0).integers(
        0, 256, (batch, 16, side, side, 3), dtype=np.uint8
    )
    config = config_of(side, TOY if options.toy else SIZE)
    training = PretrainConfig(
        steps=1000,
        batch_size=batch,
        crop=1.0,
        device=device.type,
        compile=not options.toy,
    ).resolved(batch)
    trainer = our_trainer(clips, config, training)
    steps = {
        "ours": trainer.train_step,
        "plain": plain_step(clips, config, device, fast=not options.toy),
        "our batch alone": lambda: batch_of(trainer),
    }
    with FlopCounterMode(display=False) as counter:
        plain_step(clips, config, device, fast=False)()
    work = counter.get_total_flops()
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    per_sample = work / batch / 1e9
    print(
        f"{name}, torch {torch.__version__}, batch {batch}, {per_sample:.2f} GFLOP per sample"
    )
    found = seconds(steps, rounds, device)
    rows = []
    for key, times in found.items():
        took = float(np.median(times))
        relative = float(np.median(times / found["plain"]))
        is_step = device.type == "cuda" and key in ("ours", "plain")
        share = f"{work / took / 1e12 / options.peak:.1%}" if is_step else "-"
        rows.append(
            [key, f"{1e3 * took:.1f}", f"{batch / took:.1f}", f"{relative:.2f}x", share]
        )
    header = ["step", "ms", "samples/s", "time relative to plain", "share of peak"]
    print(markdown_table(header, rows))


if __name__ == "__main__":
    main()
