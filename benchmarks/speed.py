"""Speed of a training step and of embedding at the default sizes, beside other libraries' blocks.

python benchmarks/speed.py [--rounds 9] [--threads 1] [--batch 64] [--compile] [--profile]

The step is the same for all: encode the visible half of the tokens, predict the other half with a
narrow transformer of the same kind of blocks, smooth L1 to the layer-normed tokens of the EMA
encoder, backward, clip, fused AdamW, EMA. Ours is the library as it is, with its checks for
missing values and unequal lengths; the others are written by hand around the blocks and handle
neither. All run in fp32 and under bf16 autocast, and each is compared with ours in both. Rounds are
interleaved (A B C, B C A, ...), so that a slow moment affects all.
"""

import copy
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from results import markdown_table, parser_of
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from temporal_jepa.config import TemporalJEPAConfig
from temporal_jepa.model.jepa import TemporalJEPA
from temporal_jepa.model.regularizers import variance_covariance
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
OURS = "temporal-jepa"
PRECISIONS = ("fp32", "bf16")
# (width, depth) -> blocks that map (B, K, D) to (B, K, D), normed at the end
Transformer = Callable[[int, int], nn.Module]


def torch_transformer(width: int, depth: int) -> nn.Module:
    layer = nn.TransformerEncoderLayer(
        width,
        HEADS,
        4 * width,
        dropout=0.0,
        activation="gelu",
        norm_first=True,
        batch_first=True,
    )
    return nn.TransformerEncoder(
        layer, depth, norm=nn.LayerNorm(width), enable_nested_tensor=False
    )


def x_transformer(width: int, depth: int) -> nn.Module:
    from x_transformers import Encoder  # type: ignore[import-untyped]

    blocks: nn.Module = Encoder(
        dim=width,
        depth=depth,
        heads=HEADS,
        attn_dim_head=width // HEADS,
        attn_flash=True,
    )
    return blocks


class TimmBlock(nn.Module):
    """As in timm: pre-norm, one map for q, k and v, fused attention."""

    def __init__(self, width: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, K, D)` -> `(B, K, D)`."""
        qkv = self.qkv(self.norm1(x)).unflatten(-1, (3, HEADS, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind(0)
        heads = F.scaled_dot_product_attention(q, k, v)
        x = x + self.proj(heads.transpose(1, 2).flatten(2))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


def timm_transformer(width: int, depth: int) -> nn.Module:
    blocks = (TimmBlock(width) for _ in range(depth))
    return nn.Sequential(*blocks, nn.LayerNorm(width, eps=1e-6))


PEERS: dict[str, Transformer] = {
    "torch.nn.TransformerEncoder": torch_transformer,
    "x-transformers": x_transformer,
    "timm-like blocks": timm_transformer,
}


class PeerEncoder(nn.Module):
    """A linear tokenizer, positions, and the blocks of another library."""

    positions: Tensor

    def __init__(self, transformer: Transformer):
        super().__init__()
        self.project = nn.Linear(CHANNELS, WIDTH)
        self.transformer = transformer(WIDTH, DEPTH)
        self.register_buffer("positions", sincos(torch.arange(STEPS)[:, None], WIDTH))

    def forward(self, x: Tensor, index: Tensor | None = None) -> Tensor:
        """`(B, N, C)`, tokens to keep `(B, K)` or None for all -> `(B, K, D)`."""
        positions = self.positions
        if index is not None:
            x = pick(x, index)
            positions = positions[index]
        tokens: Tensor = self.transformer(self.project(x) + positions)
        return tokens


class Peer(nn.Module):
    """The same method, lean, around the blocks of another library."""

    positions: Tensor

    def __init__(self, transformer: Transformer):
        super().__init__()
        self.context_encoder = PeerEncoder(transformer)
        self.target_encoder = (
            copy.deepcopy(self.context_encoder).requires_grad_(False).eval()
        )
        self.proj_in = nn.Linear(WIDTH, NARROW)
        self.proj_out = nn.Linear(NARROW, WIDTH)
        self.mask_token = nn.Parameter(torch.randn(NARROW) * 0.02)
        self.transformer = transformer(NARROW, SHALLOW)
        self.register_buffer("positions", sincos(torch.arange(STEPS)[:, None], NARROW))

    def forward(
        self, x: Tensor, visible: Tensor, masked: Tensor, regularized: bool
    ) -> Tensor:
        """`x (B, N, C)`, positions of the visible `(B, K)` and masked tokens `(B, M)` -> loss."""
        with torch.no_grad():
            target = pick(self.target_encoder(x), masked)
            target = F.layer_norm(target, target.shape[-1:])
        context = self.context_encoder(x, visible)
        mask_tokens = self.mask_token.expand(*masked.shape, -1)
        tokens = torch.cat([self.proj_in(context), mask_tokens], dim=1)
        filled = self.transformer(
            tokens + self.positions[torch.cat([visible, masked], dim=1)]
        )
        loss = F.smooth_l1_loss(self.proj_out(filled[:, visible.shape[1] :]), target)
        if regularized:
            terms = variance_covariance(context, visible, None, x.shape[1])
            loss = loss + terms.variance + 0.04 * terms.covariance
        return loss


def pick(tokens: Tensor, index: Tensor) -> Tensor:
    """Tokens of each row at its own positions: `(B, N, D)`, `(B, K)` -> `(B, K, D)`."""
    rows = torch.arange(len(tokens))[:, None] * tokens.shape[1]
    return (
        tokens.flatten(0, 1)
        .index_select(0, (index + rows).flatten())
        .view(*index.shape, -1)
    )


@dataclass(frozen=True)
class Setting:
    """How a training step is run."""

    batch: int
    regularized: bool
    precision: str = "fp32"
    compiled: bool = False

    def autocast(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16")


def adamw(model: nn.Module) -> torch.optim.AdamW:
    trainable = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.AdamW(trainable, lr=1e-3, fused=True)


def descend(model: nn.Module, optimizer: torch.optim.AdamW, loss: Tensor) -> None:
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def our_step(setting: Setting) -> Callable[[], object]:
    config = CONFIG
    if not setting.regularized:
        config = replace(CONFIG, variance_weight=0.0, covariance_weight=0.0)
    model = TemporalJEPA(config)
    terms_of = torch.compile(model) if setting.compiled else model
    optimizer = adamw(model.train())
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(setting.batch, STEPS, CHANNELS)

    def step() -> None:
        visible = model.draw_masks(x, generator)
        with setting.autocast():
            terms = terms_of(x, visible)
        descend(model, optimizer, terms["loss"])
        model.update_target(0.996)

    return step


def peer_step(transformer: Transformer, setting: Setting) -> Callable[[], object]:
    model = Peer(transformer)
    loss_of = torch.compile(model) if setting.compiled else model
    optimizer = adamw(model)
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(setting.batch, STEPS, CHANNELS)
    masked = round(RATIO * STEPS)
    context = list(model.context_encoder.parameters())
    target = list(model.target_encoder.parameters())
    update_target = get_ema_multi_avg_fn(0.996)

    def step() -> None:
        order = torch.rand(x.shape[:2], generator=generator).argsort(1)
        visible, hidden = order[:, masked:], order[:, :masked]
        with setting.autocast():
            loss = loss_of(x, visible, hidden, setting.regularized)
        descend(model, optimizer, loss)
        with torch.no_grad():
            update_target(target, context, 0)

    return step


def steps(
    batch: int, regularized: bool, compiled: bool
) -> dict[str, Callable[[], object]]:
    """All training steps, in both precisions, by name."""
    found = {}
    for precision in PRECISIONS:
        setting = Setting(batch, regularized, precision, compiled)
        found[f"{OURS}, {precision}"] = our_step(setting)
        for name, transformer in PEERS.items():
            found[f"{name}, {precision}"] = peer_step(transformer, setting)
    return found


def our_embedding(batch: int) -> Callable[[], object]:
    model = TemporalJEPA(CONFIG).eval()
    x = torch.randn(batch, STEPS, CHANNELS)
    return lambda: model.embed(x, "mean")


def peer_embedding(transformer: Transformer, batch: int) -> Callable[[], object]:
    model = PeerEncoder(transformer).eval()
    x = torch.randn(batch, STEPS, CHANNELS)

    @torch.no_grad()
    def run() -> Tensor:
        return model(x).mean(1)

    return run


def race(
    rivals: dict[str, Callable[[], object]], rounds: int, seconds: float
) -> dict[str, np.ndarray]:
    """Seconds per call, `(rounds,)` each.

    Every round runs all, in rotated order, for about `seconds` each.
    """
    repeats = {}
    for name, call in rivals.items():
        call()
        call()
        began = time.perf_counter()
        call()
        repeats[name] = max(1, round(seconds / (time.perf_counter() - began)))
    times: dict[str, list[float]] = {name: [] for name in rivals}
    names = list(rivals)
    for _ in range(rounds):
        for name in names:
            began = time.perf_counter()
            for _ in range(repeats[name]):
                rivals[name]()
            times[name].append((time.perf_counter() - began) / repeats[name])
        names = [*names[1:], names[0]]
    return {name: np.array(values) for name, values in times.items()}


def report(title: str, times: dict[str, np.ndarray], batch: int) -> None:
    """Samples per second (median over rounds), and ours over each rival, round by round."""
    rows = []
    for name, seconds in times.items():
        low, middle, high = np.percentile(seconds / times[OURS], [25, 50, 75])
        ratio = "" if name == OURS else f"{middle:.2f}x ({low:.2f}-{high:.2f})"
        rows.append([name, f"{batch / np.median(seconds):.0f}", ratio])
    header = [
        "blocks",
        "samples/s",
        "ours is faster by: median (quartiles over rounds)",
    ]
    print(f"\n### {title}\n\n{markdown_table(header, rows)}", flush=True)


def report_steps(title: str, times: dict[str, np.ndarray], batch: int) -> None:
    """Samples per second (median over rounds), and ours in each precision over each rival."""
    rows = []
    for name, seconds in times.items():
        row = [name, f"{batch / np.median(seconds):.0f}"]
        for precision in PRECISIONS:
            ratios = seconds / times[f"{OURS}, {precision}"]
            low, middle, high = np.percentile(ratios, [25, 50, 75])
            is_ours = name.startswith(OURS)
            row.append("" if is_ours else f"{middle:.2f}x ({low:.2f}-{high:.2f})")
        rows.append(row)
    header = ["blocks", "samples/s"]
    header += [f"ours in {precision} is faster by" for precision in PRECISIONS]
    print(f"\n### {title}\n\n{markdown_table(header, rows)}", flush=True)


def machine() -> str:
    """Processor, threads, versions."""
    return (
        f"{platform.processor() or platform.machine()} "
        f"({torch.backends.cpu.get_cpu_capability()}), {torch.get_num_threads()} thread(s), "
        f"torch {torch.__version__}, Python {platform.python_version()}"
    )


def profile(step: Callable[[], object]) -> None:
    """Time of our step by operator."""
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as trace

    for _ in range(3):
        step()
    with trace(activities=[ProfilerActivity.CPU]) as found:
        for _ in range(10):
            step()
    by_operator = found.key_averages()
    print(
        by_operator.table("self_cpu_time_total", row_limit=30, max_name_column_width=50)
    )


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument(
        "--seconds", type=float, default=1.0, help="of each rival in each round"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument(
        "--compile", action="store_true", help="compile all training steps (minutes)"
    )
    parser.add_argument(
        "--profile", action="store_true", help="only the time by operator"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    batch = options.batch
    print(f"{machine()}; batch {batch}, {options.rounds} rounds")
    if options.profile:
        for precision in PRECISIONS:
            profile(our_step(Setting(batch, True, precision)))
        return
    for regularized in (False, True):
        rivals = steps(batch, regularized, options.compile)
        title = f"Training step, regularizer {'on' if regularized else 'off'}"
        report_steps(title, race(rivals, options.rounds, options.seconds), batch)
    for size in (batch, 16 * batch):
        rivals = {OURS: our_embedding(size)}
        for name, transformer in PEERS.items():
            rivals[name] = peer_embedding(transformer, size)
        report(
            f"Embedding, batch {size}",
            race(rivals, options.rounds, options.seconds),
            size,
        )


if __name__ == "__main__":
    main()
