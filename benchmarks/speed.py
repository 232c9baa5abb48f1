"""Speed of a training step and of embedding at the seed's default sizes, beside two other libraries' blocks.

python benchmarks/speed.py [--rounds 15] [--threads 1] [--batch 64] [--profile]

The step is the same for everyone: encode the visible half of the tokens, predict the other half with a narrow stack of
the same kind of blocks, smooth L1 to the layer-normed tokens of the EMA encoder, backward, clip, fused AdamW, EMA. Ours
is the library as it is, with its checks for missing values and unequal lengths; the others are written by hand around
the blocks and handle neither. Rounds are interleaved (A B C, B C A, ...), so a slow moment hits all alike.
"""

import argparse
import copy
import platform
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from temporal_jepa.config import TemporalJEPAConfig
from temporal_jepa.model.jepa import TemporalJEPA
from temporal_jepa.model.losses import variance_covariance
from temporal_jepa.model.transformer import sincos

CHANNELS = 128
WIDTH = 128
NARROW = 64
DEPTH = 4
SHALLOW = 2
HEADS = 8
STEPS = 60
RATIO = 0.5
CONFIG = TemporalJEPAConfig(  # the seed's defaults, written out
    input_dim=CHANNELS,
    embed_dim=WIDTH,
    predictor_embed_dim=NARROW,
    encoder_depth=DEPTH,
    predictor_depth=SHALLOW,
    num_heads=HEADS,
    seq_len=STEPS,
    mask_ratio=RATIO,
    dropout=0.0,
    tokenizer="linear",
    positions="sincos",
    predict="tokens",
    num_masks=1,
)
Transformer = Callable[
    [int, int], nn.Module
]  # (width, depth) -> (B, K, D) -> (B, K, D), normed at the end


def torch_stack(width: int, depth: int) -> nn.Module:
    layer = nn.TransformerEncoderLayer(
        width, HEADS, 4 * width, dropout=0.0, activation="gelu", norm_first=True, batch_first=True
    )
    return nn.TransformerEncoder(layer, depth, norm=nn.LayerNorm(width), enable_nested_tensor=False)


def x_transformers_stack(width: int, depth: int) -> nn.Module:
    from x_transformers import Encoder  # type: ignore[import-untyped]

    blocks: nn.Module = Encoder(
        dim=width, depth=depth, heads=HEADS, attn_dim_head=width // HEADS, attn_flash=True
    )
    return blocks


class PeerEncoder(nn.Module):
    """A linear tokenizer, positions, and someone else's blocks: `(B, N, C)`, places `(B, K)` or None -> tokens."""

    places: Tensor

    def __init__(self, stack: Transformer):
        super().__init__()
        self.project = nn.Linear(CHANNELS, WIDTH)
        self.transformer = stack(WIDTH, DEPTH)
        self.register_buffer("places", sincos(torch.arange(STEPS)[:, None], WIDTH))

    def forward(self, x: Tensor, index: Tensor | None = None) -> Tensor:
        if index is not None:
            x = pick(x, index)
        positions = self.places if index is None else self.places[index]
        tokens: Tensor = self.transformer(self.project(x) + positions)
        return tokens


class Peer(nn.Module):
    """The same method, lean, around someone else's blocks."""

    places: Tensor

    def __init__(self, stack: Transformer):
        super().__init__()
        self.context_encoder = PeerEncoder(stack)
        self.target_encoder = copy.deepcopy(self.context_encoder).requires_grad_(False).eval()
        self.proj_in = nn.Linear(WIDTH, NARROW)
        self.proj_out = nn.Linear(NARROW, WIDTH)
        self.mask_token = nn.Parameter(torch.randn(NARROW) * 0.02)
        self.transformer = stack(NARROW, SHALLOW)
        self.register_buffer("places", sincos(torch.arange(STEPS)[:, None], NARROW))

    def forward(self, x: Tensor, index: Tensor, masked: Tensor, regularised: bool) -> Tensor:
        """`x (B, N, C)`, places of the visible tokens `(B, K)` and of the masked ones `(B, M)` -> the loss."""
        with torch.no_grad():
            target = pick(self.target_encoder(x), masked)
            target = F.layer_norm(target, target.shape[-1:])
        context = self.context_encoder(x, index)
        asked = self.mask_token.expand(*masked.shape, -1)
        filled = (
            torch.cat([self.proj_in(context), asked], 1)
            + self.places[torch.cat([index, masked], 1)]
        )
        total = F.smooth_l1_loss(
            self.proj_out(self.transformer(filled)[:, index.shape[1] :]), target
        )
        if regularised:
            spread = variance_covariance(context, index, None, x.shape[1])
            total = total + spread.variance + 0.04 * spread.covariance
        return total


def pick(tokens: Tensor, index: Tensor) -> Tensor:
    rows = torch.arange(len(tokens))[:, None] * tokens.shape[1]
    return tokens.flatten(0, 1).index_select(0, (index + rows).flatten()).view(*index.shape, -1)


def adamw(model: nn.Module) -> torch.optim.AdamW:
    return torch.optim.AdamW(
        (p for p in model.parameters() if p.requires_grad), lr=1e-3, fused=True
    )


def descend(model: nn.Module, optimizer: torch.optim.AdamW, total: Tensor) -> None:
    total.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def our_step(batch: int, regularised: bool) -> Callable[[], None]:
    model = TemporalJEPA(
        CONFIG if regularised else replace(CONFIG, variance_weight=0.0, covariance_weight=0.0)
    )
    optimizer = adamw(model.train())
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, STEPS, CHANNELS)

    def step() -> None:
        descend(model, optimizer, model(x, model.draw_masks(x, generator))["loss"])
        model.update_target(0.996)

    return step


def peer_step(stack: Transformer, batch: int, regularised: bool) -> Callable[[], None]:
    model = Peer(stack)
    optimizer = adamw(model)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, STEPS, CHANNELS)
    hidden = round(RATIO * STEPS)
    ours: list[Tensor] = [*model.context_encoder.parameters()]
    theirs: list[Tensor] = [*model.target_encoder.parameters()]

    def step() -> None:
        order = torch.rand(x.shape[:2], generator=generator).argsort(1)
        descend(model, optimizer, model(x, order[:, hidden:], order[:, :hidden], regularised))
        with torch.no_grad():
            torch._foreach_lerp_(theirs, ours, 1 - 0.996)

    return step


def our_embedding(batch: int) -> Callable[[], None]:
    model = TemporalJEPA(CONFIG).eval()
    x = torch.randn(batch, STEPS, CHANNELS)
    return lambda: void(model.embed(x, "mean"))


def peer_embedding(stack: Transformer, batch: int) -> Callable[[], None]:
    model = PeerEncoder(stack).eval()
    x = torch.randn(batch, STEPS, CHANNELS)

    def run() -> None:
        with torch.no_grad():
            model(x).mean(1)

    return run


def void(_: Any) -> None:
    """Drop a result."""


def race(
    rivals: dict[str, Callable[[], None]], rounds: int, seconds: float
) -> dict[str, np.ndarray]:
    """Seconds a call, `(rounds,)` each; every round runs all, in rotated order, for about `seconds` each."""
    repeats = {}
    for name, call in rivals.items():
        call()
        call()
        began = time.perf_counter()
        call()
        repeats[name] = max(1, round(seconds / (time.perf_counter() - began)))
    times: dict[str, list[float]] = {name: [] for name in rivals}
    names = list(rivals)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            began = time.perf_counter()
            for _ in range(repeats[name]):
                rivals[name]()
            times[name].append((time.perf_counter() - began) / repeats[name])
    return {name: np.array(values) for name, values in times.items()}


def report(title: str, times: dict[str, np.ndarray], batch: int) -> None:
    """Samples a second (median over rounds), and ours over each rival, round by round: median and quartiles."""
    print(
        f"\n### {title}\n\n| blocks | samples/s | ours is faster by: median (quartiles over rounds) |\n|---|---|---|"
    )
    ours = times["temporal-jepa"]
    for name, seconds in times.items():
        low, middle, high = np.percentile(seconds / ours, [25, 50, 75])
        ratio = "" if name == "temporal-jepa" else f"{middle:.2f}x ({low:.2f}-{high:.2f})"
        print(f"| {name} | {batch / np.median(seconds):.0f} | {ratio} |", flush=True)


def machine() -> str:
    """CPU, threads, torch."""
    info = Path("/proc/cpuinfo")
    names = (
        [line for line in info.read_text().splitlines() if "model name" in line]
        if info.exists()
        else []
    )
    cpu = names[0].split(":")[1].strip() if names else platform.processor()
    return f"{cpu}, {torch.get_num_threads()} thread(s), torch {torch.__version__}, Python {platform.python_version()}"


def profile(step: Callable[[], None]) -> None:
    """Where the time of our step goes, by operator."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as trace

    for _ in range(3):
        step()
    with trace(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(10):
            step()
    print(
        found.key_averages().table(
            sort_by="self_cpu_time_total", row_limit=30, max_name_column_width=50
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each rival in each round")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument(
        "--profile", action="store_true", help="only show where our step's time goes"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    batch = options.batch
    print(f"{machine()}; batch {batch}, {options.rounds} rounds")
    if options.profile:
        profile(our_step(batch, regularised=True))
        return
    peers: dict[str, Transformer] = {
        "torch.nn.TransformerEncoder": torch_stack,
        "x-transformers": x_transformers_stack,
    }
    for on in (False, True):
        rivals = {"temporal-jepa": our_step(batch, on)} | {
            n: peer_step(s, batch, on) for n, s in peers.items()
        }
        title = f"Training step, regulariser {'on' if on else 'off'}"
        report(title, race(rivals, options.rounds, options.seconds), batch)
    for size in (batch, 16 * batch):
        rivals = {"temporal-jepa": our_embedding(size)} | {
            n: peer_embedding(s, size) for n, s in peers.items()
        }
        report(f"Embedding, batch {size}", race(rivals, options.rounds, options.seconds), size)


if __name__ == "__main__":
    main()
