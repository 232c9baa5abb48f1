"""The attentive probe: a learnt query that reads frozen tokens, beside the probes of pooled vectors in `probes`.

Legend of shapes: `n` sequences, `N` tokens, `D` their width, `B` batch, `H` heads, `W` width of the probe.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model.transformer import grid_coordinates, sincos
from .probes import check_classes

Array = npt.NDArray[Any]
WIDTH = 64
HEADS = 4
# optimizer steps: EPOCHS, within these bounds
BATCH = 64
RATE = 1e-3
EPOCHS = 40
STEPS = (300, 1500)


class AttentiveHead(nn.Module):
    """One query per head reads the tokens of a sequence, then an MLP and a linear map to the classes.

    The attentive pooling of V-JEPA's evaluation (arXiv 2404.08471, section 4); as our tokens hold no absolute place
    (their positions only rotate queries and keys), the keys and values get one here.
    """

    def __init__(self, dim: int, classes: int, cells: tuple[int, int]):
        super().__init__()
        self.cells = cells
        self.proj_in = nn.Linear(dim, WIDTH)
        self.query = nn.Parameter(torch.randn(HEADS, 1, WIDTH // HEADS) * 0.02)
        self.read = nn.Linear(WIDTH, 2 * WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Dropout(0.2), nn.Linear(2 * WIDTH, WIDTH)
        )
        self.proj_out = nn.Sequential(
            nn.LayerNorm(WIDTH), nn.Dropout(0.2), nn.Linear(WIDTH, classes)
        )

    def forward(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """`(B, N, D)` standardised, bool `(B, N)` -> logits `(B, classes)`."""
        places = grid_coordinates(
            torch.arange(tokens.shape[1], device=tokens.device), self.cells
        )  # (N, axes)
        h = self.norm(self.proj_in(tokens) + sincos(places, WIDTH))  # (B, N, W)
        k, v = (
            torch.unflatten(part, -1, (HEADS, -1)).transpose(1, 2)
            for part in self.read(h).chunk(2, dim=-1)
        )
        query = self.query.expand(len(tokens), -1, -1, -1)  # (B, H, 1, W / H)
        h = F.scaled_dot_product_attention(query, k, v, attn_mask=seen[:, None, None, :])[
            :, :, 0
        ].flatten(1)  # (B, W)
        logits: Tensor = self.proj_out(h + self.mlp(h))
        return logits


def attentive_probe(
    train: tuple[Array, Array],
    train_y: Any,
    test: tuple[Array, Array],
    test_y: Any,
    cells: tuple[int, int] = (1, 1),
    seed: int = 0,
) -> float:
    """Accuracy on the test sequences of an `AttentiveHead` fitted on the tokens of the train sequences.

    AdamW, rate 1e-3 with warm-up and cosine, weight decay 0.05, 40 epochs (300 to 1500 steps) in batches of 64; tokens
    are standardised on train. On the CPU and from the seed alone, so the same every time on the same machine.

    Args:
        train: tokens float `(n_train, N, D)` and bool `(n_train, N)`, True = there; see `embedding.embed_tokens`.
        train_y: labels `(n_train,)`.
        test: tokens `(n_test, N', D)` and bool `(n_test, N')`.
        test_y: labels `(n_test,)`; one that train lacks counts as an error.
        cells: (rows, columns) of the token grid at one time; tokens have time slowest.
        seed: of the weights, the order and the dropout.

    Raises:
        ValueError: for shapes that do not agree, a single class in train, or a sequence without a token.
    """
    known = np.asarray(train_y).astype(np.str_)
    asked = np.asarray(test_y).astype(np.str_)
    for name, (tokens, seen), labels in (("train", train, known), ("test", test, asked)):
        if tokens.ndim != 3 or seen.shape != tokens.shape[:2] or len(labels) != len(tokens):
            raise ValueError(
                f"expected {name} tokens (n, N, D), bool (n, N) and n labels, got {tokens.shape}, "
                f"{seen.shape} and {len(labels)}"
            )
        if not seen.any(1).all():
            raise ValueError(f"{int((~seen.any(1)).sum())} {name} sequences have no token")
    check_classes(known, asked)
    classes, codes = np.unique(known, return_inverse=True)
    scale = _moments(*train)
    rng = np.random.default_rng(seed)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        head = AttentiveHead(train[0].shape[2], len(classes), cells)
        _fit(head, train, torch.from_numpy(codes), scale, rng)
    parts = np.array_split(np.arange(len(asked)), -(-len(asked) // 256))
    with torch.no_grad():
        guesses = [head(*_batch(test, part, scale)).argmax(1) for part in parts]
    return float(np.mean(classes[torch.cat(guesses).numpy()] == asked))


def _fit(
    head: AttentiveHead,
    train: tuple[Array, Array],
    y: Tensor,
    scale: tuple[Tensor, Tensor],
    rng: np.random.Generator,
) -> None:
    """Train the head in place, and leave it in evaluation mode."""
    size = min(BATCH, len(y))
    steps = int(np.clip(EPOCHS * len(y) // size, *STEPS))
    optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=0.05)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.1)
    order = np.concatenate([rng.permutation(len(y)) for _ in range(-(-steps * size // len(y)))])
    for step in range(steps):
        rows = order[step * size : (step + 1) * size]
        error: Tensor = F.cross_entropy(head(*_batch(train, rows, scale)), y[rows])
        optimizer.zero_grad()
        torch.autograd.backward(error)
        optimizer.step()
        rate.step()
    head.eval()


def _batch(
    part: tuple[Array, Array], rows: Array, scale: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Standardised tokens of these rows, 0 where there is none, and which are there."""
    tokens, seen = (torch.from_numpy(array[rows]) for array in part)
    return torch.where(seen[..., None], (tokens.float() - scale[0]) / scale[1], 0.0), seen


def _moments(tokens: Array, seen: Array) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every feature over the tokens that are there, `(D,)` each; 1 where constant."""
    rows = tokens[seen].astype(np.float64)
    std = rows.std(0)
    std[std < 1e-6 * np.abs(rows).max(0) + 1e-12] = 1.0
    return torch.from_numpy(rows.mean(0)).float(), torch.from_numpy(std).float()
