"""Train the general encoder that ships as `series-small`, on synthetic series alone.

python benchmarks/series_small.py --out runs/series-small

The objective has two parts. Tokens: on one series of each pair, predict the hidden tokens, with the regulariser, as in
`TemporalJEPA.forward`. Twins: two series of one random process, cut at different places, must find each other in the
batch (InfoNCE, arXiv 1807.03748) by a projection of what all layers of the context encoder say on the mean.
`objectives.py` asks what each part adds, with the loop of this script.
"""

import argparse
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from synthetic_series import synthetic_pairs
from torch import Tensor, nn

from temporal_jepa.checkpoint import save_pretrained
from temporal_jepa.config import RECIPE, TemporalJEPAConfig
from temporal_jepa.model.ema import momentum_at
from temporal_jepa.model.encoder import Encoded
from temporal_jepa.model.jepa import TemporalJEPA
from temporal_jepa.model.multiscale import standardised

VIEWS = (128, 256, 512)
SHORTEST = 0.8  # of a series that is left by cutting
TEMPERATURE = 0.15


def build(options: argparse.Namespace, **changed: Any) -> TemporalJEPA:
    settings = {
        **RECIPE,
        "embed_dim": options.width,
        "predictor_embed_dim": 64,
        "encoder_depth": options.depth,
    }
    settings |= {"tokenizer": "dilated", "normalize": "instance", **changed}
    torch.manual_seed(options.seed)
    model = TemporalJEPA(
        TemporalJEPAConfig(input_dim=1, seq_len=256, patch_len=8, **settings, resolutions=VIEWS)
    )
    model.set_normalizer(torch.zeros(1), torch.ones(1), torch.full((1,), 0.2))
    return model


def batches(options: argparse.Namespace) -> Iterator[Tensor]:
    """`(2 * pairs, L, 1)`, twins side by side; L goes through the views. No pair is seen twice."""
    rng = np.random.default_rng([options.seed, 1])
    for step in range(options.steps):
        if step % 8 == 0:
            stock = synthetic_pairs(
                8 * options.pairs, seed=options.seed, start=step * options.pairs
            )
        rows = stock[(step % 8) * options.pairs :][: options.pairs].reshape(-1, stock.shape[2])
        cut = []
        for row in rows:
            width = int(len(row) * rng.uniform(SHORTEST, 1))
            first = rng.integers(len(row) - width + 1)
            cut.append(standardised(row[first : first + width, None], VIEWS[step % len(VIEWS)]))
        yield torch.from_numpy(np.concatenate(cut)).float()[:, :, None]


def gist(encoded: Encoded) -> Tensor:
    """Mean, spread and maximum over the tokens of each layer."""
    parts = [
        (h.mean(1), (h.var(1, unbiased=False) + 1e-5).sqrt(), h.amax(1)) for h in encoded.layers
    ]
    return torch.cat([feature for part in parts for feature in part], dim=1)


def twins_head(options: argparse.Namespace) -> nn.Module:
    width = 3 * options.width * (options.depth + 1)
    return nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 256), nn.GELU(), nn.Linear(256, 128))


def twins_loss(model: TemporalJEPA, head: nn.Module, x: Tensor) -> Tensor:
    z = F.normalize(
        head(gist(model.context_encoder.encode(*model.context_encoder.prepare(x)))), dim=1
    )
    likeness = (z @ z.T / TEMPERATURE).fill_diagonal_(-1e9)
    return F.cross_entropy(likeness, torch.arange(len(z)) ^ 1)


def train(
    model: TemporalJEPA,
    heads: Iterable[nn.Module],
    terms_of: Callable[[Tensor, torch.Generator], dict[str, Tensor]],
    options: argparse.Namespace,
) -> TemporalJEPA:
    """Minimise the sum of the terms of each batch over the weights of the model and the heads."""
    learnt = [p for part in (model, *heads) for p in part.parameters() if p.requires_grad]
    matrices = [p for p in learnt if p.ndim > 1]
    plain = [p for p in learnt if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.05}, {"params": plain, "weight_decay": 0.0}],
        lr=options.lr,
        betas=(0.9, 0.95),
        fused=True,
    )
    warm = max(1, options.steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min(
            (step + 1) / warm,
            0.5 + 0.5 * math.cos(math.pi * max(0, step - warm) / max(1, options.steps - warm)),
        ),
    )
    generator = torch.Generator().manual_seed(options.seed)
    began = time.process_time()
    for step, x in enumerate(batches(options), 1):
        terms = terms_of(x, generator)
        sum(terms.values(), torch.zeros(())).backward()
        nn.utils.clip_grad_norm_(learnt, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        model.update_target(momentum_at(step, options.steps, model.config.momentum))
        if step % 100 == 0 or step == options.steps:
            values = {name: round(float(value.detach()), 4) for name, value in terms.items()}
            print(
                json.dumps({"step": step, **values, "cpu_s": round(time.process_time() - began)}),
                flush=True,
            )
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=32, help="pairs of series a step")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    model = build(options)
    head = twins_head(options)

    def terms(x: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        half = x[::2]
        return {
            "twins": twins_loss(model, head, x),
            "tokens": model(half, model.draw_masks(half, generator))["loss"],
        }

    train(model, [head], terms, options)
    details = {
        "pretrain": {name: value for name, value in vars(options).items() if name != "out"},
        "data": {"path": "synthetic_pairs", "n": 2 * options.steps * options.pairs},
        "cpu_seconds": round(time.process_time() - began),
    }
    save_pretrained(
        model.half(), options.out, details
    )  # half the size; loading makes it float32 again


if __name__ == "__main__":
    main()
