"""Train the general encoder that ships as `series-small`, on synthetic series alone.

python benchmarks/series_small.py --out runs/series-small

The objective has two parts. Tokens: on one series of each pair, predict the masked tokens, with
the regularizer, as in `TemporalJEPA.forward`. Positive pairs ("twins"): two series of one random
process, cut at different places, must find each other in the batch (InfoNCE, arXiv 1807.03748),
once by a projection of statistics of the tokenizer's responses and once by one of statistics of
all layers of the context encoder. `objectives.py` measures what each part adds, with the loop of
this script.
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
from results import parser_of
from synthetic_series import synthetic_pairs
from torch import Tensor, nn

from temporal_jepa.checkpoint import save_pretrained
from temporal_jepa.config import RECIPE, TemporalJEPAConfig
from temporal_jepa.model.ema import momentum_at
from temporal_jepa.model.jepa import TemporalJEPA
from temporal_jepa.model.multiscale import standardize_at
from temporal_jepa.model.tokenizers import ConvTokenizer

LENGTHS = (64, 96, 128, 256)  # timesteps to which a batch is resampled, in turn
SHORTEST = 0.8  # of a series that is left by cutting
SHARPNESS = 6.0  # of the sigmoid whose mean is the share of positive responses
TEMPERATURE = 0.15
STOCK = 8  # steps for which pairs are drawn together


def build(options: argparse.Namespace, **changes: Any) -> TemporalJEPA:
    """The model before the first step, with random weights."""
    settings = {
        **RECIPE,
        "input_dim": 1,
        "seq_len": 256,
        "patch_len": 8,
        "embed_dim": options.width,
        "predictor_embed_dim": 64,
        "encoder_depth": options.depth,
        "tokenizer": "filters",
        "normalize": "instance",
        "resolutions": (0.0, 0.5, 1.0),
    }
    torch.manual_seed(options.seed)
    model = TemporalJEPA(TemporalJEPAConfig(**{**settings, **changes}))
    model.set_normalizer(torch.zeros(1), torch.ones(1), torch.full((1,), 0.2))
    return model


def batches(options: argparse.Namespace) -> Iterator[Tensor]:
    """`(2 * pairs, L, 1)`, the series of a pair one after the other.

    L alternates between `LENGTHS`. No pair is drawn twice.
    """
    rng = np.random.default_rng([options.seed, 1])
    for step in range(options.steps):
        if step % STOCK == 0:
            first = step * options.pairs
            stock = synthetic_pairs(
                STOCK * options.pairs, seed=options.seed, start=first
            )
        rows = stock[(step % STOCK) * options.pairs :][: options.pairs].reshape(
            -1, stock.shape[2]
        )
        length = LENGTHS[step % len(LENGTHS)]
        series = []
        for row in rows:
            width = int(len(row) * rng.uniform(SHORTEST, 1))
            start = rng.integers(len(row) - width + 1)
            x = torch.from_numpy(row[None, start : start + width, None]).double()
            series.append(standardize_at(x, length).float())  # (1, 1, L)
        yield torch.cat(series).transpose(1, 2)


def token_statistics(tokens: Tensor) -> Tensor:
    """Mean, standard deviation and maximum over the tokens: `(B, N, D)` -> `(B, 3 D)`."""
    std = (tokens.var(1, unbiased=False) + 1e-5).sqrt()
    return torch.cat([tokens.mean(1), std, tokens.amax(1)], dim=1)


def response_statistics(responses: Tensor) -> Tensor:
    """Mean of GELU, maximum and share of positive responses: `(B, W, T)` -> `(B, 3 W)`."""
    share = torch.sigmoid(SHARPNESS * responses).mean(2)
    return torch.cat([F.gelu(responses).mean(2), responses.amax(2), share], dim=1)


class PairHeads(nn.Module):
    """The projections in which pairs are compared: of responses, and of all layers."""

    def __init__(self, model: TemporalJEPA):
        super().__init__()
        config = model.config
        tokenizer = model.context_encoder.tokenizer
        assert isinstance(tokenizer, ConvTokenizer)
        responses = sum(conv.out_channels for conv in tokenizer.convolutions)
        self.responses = projection(3 * responses)
        self.layers = projection(3 * config.embed_dim * (config.encoder_depth + 1))


def projection(width: int) -> nn.Module:
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, 256), nn.GELU(), nn.Linear(256, 128)
    )


def pair_loss(model: TemporalJEPA, heads: PairHeads, x: Tensor) -> Tensor:
    """InfoNCE: row 2i must find row 2i + 1 in the batch, and the other way round."""
    encoder = model.context_encoder
    x, observed = encoder.prepare(x)
    x = encoder.normalizer(x, observed)
    tokenizer = encoder.tokenizer
    assert isinstance(tokenizer, ConvTokenizer)
    responses = tokenizer.responses(x, observed, encoder.normalizer.slope)
    tokens = tokenizer.pool(responses, x, observed)
    layers = encoder.attend(tokens, encoder.tokens_observed(observed)).layers
    statistics = torch.cat([token_statistics(tokens) for tokens in layers], dim=1)
    by_responses = info_nce(heads.responses(response_statistics(responses)))
    return by_responses + info_nce(heads.layers(statistics))


def info_nce(z: Tensor) -> Tensor:
    """`(B, F)`, the rows of a pair one after the other -> scalar."""
    z = F.normalize(z, dim=1)
    similarity = (z @ z.T / TEMPERATURE).fill_diagonal_(-1e9)
    return F.cross_entropy(similarity, torch.arange(len(z)) ^ 1)


def adamw(parameters: list[nn.Parameter], lr: float) -> torch.optim.AdamW:
    """AdamW with weight decay on matrices only."""
    matrices = [p for p in parameters if p.ndim > 1]
    vectors = [p for p in parameters if p.ndim <= 1]
    return torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": 0.05},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=lr,
        betas=(0.9, 0.95),
        fused=True,
    )


def train(
    model: TemporalJEPA,
    heads: Iterable[nn.Module],
    terms_of: Callable[[Tensor, torch.Generator], dict[str, Tensor]],
    options: argparse.Namespace,
) -> TemporalJEPA:
    """Minimize the sum of the terms of each batch over the weights of the model and the heads."""
    trainable = [
        p for part in (model, *heads) for p in part.parameters() if p.requires_grad
    ]
    optimizer = adamw(trainable, options.lr)
    warm = max(1, options.steps // 10)

    def rate(step: int) -> float:
        progress = max(0, step - warm) / max(1, options.steps - warm)
        return min((step + 1) / warm, 0.5 + 0.5 * math.cos(math.pi * progress))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    generator = torch.Generator().manual_seed(options.seed)
    began = time.process_time()
    for step, x in enumerate(batches(options), 1):
        terms = terms_of(x, generator)
        sum(terms.values(), torch.zeros(())).backward()
        nn.utils.clip_grad_norm_(trainable, 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        schedule.step()
        model.update_target(momentum_at(step, options.steps, model.config.momentum))
        if step % 100 == 0 or step == options.steps:
            values = {
                name: round(float(value.detach()), 4) for name, value in terms.items()
            }
            seconds = round(time.process_time() - began)
            print(json.dumps({"step": step, **values, "cpu_s": seconds}), flush=True)
    return model.eval()


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--steps", type=int, default=7813)
    parser.add_argument(
        "--pairs", type=int, default=64, help="pairs of series per step"
    )
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.process_time()
    model = build(options)
    heads = PairHeads(model)

    def terms(x: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        half = x[::2]
        return {
            "twins": pair_loss(model, heads, x),
            "tokens": model(half, model.draw_masks(half, generator))["loss"],
        }

    train(model, [heads], terms, options)
    details = {
        "pretrain": {
            name: value for name, value in vars(options).items() if name != "out"
        },
        "data": {"path": "synthetic_pairs", "n": 2 * options.steps * options.pairs},
        "cpu_seconds": round(time.process_time() - began),
    }
    # In half precision; loading makes it float32 again.
    save_pretrained(model.half(), options.out, details)


if __name__ == "__main__":
    main()
