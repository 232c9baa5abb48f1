"""The attentive probe: a learned query that reads frozen tokens.

Legend of shapes: `n` sequences, `N` tokens, `D` their width, `B` batch, `H` heads, `W` width of the
probe.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..model.random import DrawFrom, Dropout, dropout_from
from ..model.transformer import grid_coordinates, sincos
from .probes import check_classes, check_labels, class_scores

Array = npt.NDArray[Any]
Tokens = tuple[Array, Array]
"""Tokens float `(n, N, D)` and observed bool `(n, N)`, False where a token is padding."""

WIDTH = 64
HEADS = 4
BATCH = 64
RATE = 1e-3
EPOCHS = 40
STEPS = (300, 1500)  # optimizer steps: EPOCHS, within these bounds


class AttentiveHead(nn.Module):
    """One query per head reads the tokens of a sequence; an MLP and a linear classifier follow.

    The attentive pooling of V-JEPA's evaluation (arXiv 2404.08471, section 4). Tokens of our
    encoders hold no absolute position (it only rotates queries and keys), so the head adds one.
    """

    def __init__(self, dim: int, classes: int, cells: tuple[int, int]):
        super().__init__()
        self.cells = cells
        self.proj_in = nn.Linear(dim, WIDTH)
        query = torch.randn(HEADS, 1, WIDTH // HEADS)
        self.query = nn.Parameter(0.02 * query)
        self.key_value = nn.Linear(WIDTH, 2 * WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.mlp = nn.Sequential(
            nn.Linear(WIDTH, 2 * WIDTH),
            nn.GELU(),
            Dropout(0.2),
            nn.Linear(2 * WIDTH, WIDTH),
        )
        self.proj_out = nn.Sequential(
            nn.LayerNorm(WIDTH),
            Dropout(0.2),
            nn.Linear(WIDTH, classes),
        )

    def forward(self, tokens: Tensor, observed: Tensor) -> Tensor:
        """Tokens `(B, N, D)` and observed bool `(B, N)` -> logits `(B, classes)`."""
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        coordinates = grid_coordinates(positions, self.cells)  # (N, axes)
        h = self.proj_in(tokens) + sincos(coordinates, WIDTH)  # (B, N, W)
        h = self.norm(h)
        keys_values = self.key_value(h).unflatten(
            -1, (2, HEADS, -1)
        )  # (B, N, 2, H, W / H)
        keys, values = keys_values.permute(2, 0, 3, 1, 4)  # (B, H, N, W / H) each
        query = self.query.expand(len(tokens), -1, -1, -1)  # (B, H, 1, W / H)
        mask = observed[:, None, None, :]
        h = F.scaled_dot_product_attention(query, keys, values, attn_mask=mask)
        h = h.flatten(1)  # (B, W)
        logits: Tensor = self.proj_out(h + self.mlp(h))
        return logits


def attentive_probe(
    train: Tokens,
    train_y: Any,
    test: Tokens,
    test_y: Any,
    cells: tuple[int, int] = (1, 1),
    seed: int = 0,
) -> float:
    """Accuracy on the test sequences of an `AttentiveHead` fitted on frozen tokens.

    AdamW with peak learning rate 1e-3, warm-up, cosine decay and weight decay 0.05; 40 epochs (300
    to 1500 steps) in batches of 64. Tokens are standardized on train. Runs on the CPU, with random
    numbers from the seed alone, so it repeats itself on the same machine.

    Args:
        train: tokens float `(n_train, N, D)` and observed bool `(n_train, N)`, see `embed_tokens`.
        train_y: labels `(n_train,)`.
        test: tokens and observed of the test sequences; `N` may differ.
        test_y: labels `(n_test,)`; one that train lacks counts as an error.
        cells: (rows, columns) of the token grid at one time; time is slowest.
        seed: seed of the weights, the order of batches and dropout.

    Raises:
        ValueError: for shapes that do not agree, a single class in train, or a sequence without a
            token.
    """
    return attentive_scores(train, train_y, test, test_y, cells, seed)["accuracy"]


@torch.inference_mode(False)
def attentive_scores(
    train: Tokens,
    train_y: Any,
    test: Tokens,
    test_y: Any,
    cells: tuple[int, int] = (1, 1),
    seed: int = 0,
) -> dict[str, float]:
    """The scores of `attentive_probe`: `accuracy` and `balanced_accuracy`, see `class_scores`."""
    _check_tokens(train, "train")
    _check_tokens(test, "test")
    train_labels = check_labels(train_y, len(train[0]), "train")
    test_labels = check_labels(test_y, len(test[0]), "test")
    check_classes(train_labels, test_labels)
    classes, codes = np.unique(train_labels, return_inverse=True)
    mean, std = _statistics(train)
    generator = torch.Generator().manual_seed(seed)
    with DrawFrom(generator):
        head = AttentiveHead(train[0].shape[2], len(classes), cells)
    with dropout_from(head, generator):
        _fit(head, *_standardized(train, mean, std), torch.from_numpy(codes), seed)
    tokens, observed = _standardized(test, mean, std)
    parts = zip(torch.split(tokens, 256), torch.split(observed, 256), strict=True)
    with torch.no_grad():
        predicted = torch.cat([head(*part).argmax(1) for part in parts])
    return class_scores(test_labels, classes[predicted.numpy()])


def _check_tokens(part: Tokens, name: str) -> None:
    tokens, observed = part
    if tokens.ndim != 3 or observed.shape != tokens.shape[:2]:
        raise ValueError(
            f"expected {name} tokens (n, N, D) and observed (n, N), got {tokens.shape} and "
            f"{observed.shape}"
        )
    empty = ~observed.any(1)
    if empty.any():
        raise ValueError(f"{empty.sum()} {name} sequences have no token")


def _fit(
    head: AttentiveHead, tokens: Tensor, observed: Tensor, y: Tensor, seed: int
) -> None:
    """Train the head in place, and leave it in evaluation mode."""
    n = len(y)
    batch = min(BATCH, n)
    steps = int(np.clip(EPOCHS * n // batch, *STEPS))
    optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, total_steps=steps, pct_start=0.1
    )
    rng = np.random.default_rng(seed)
    epochs = -(-steps * batch // n)
    order = np.concatenate([rng.permutation(n) for _ in range(epochs)])
    for rows in order[: steps * batch].reshape(steps, batch):
        logits = head(tokens[rows], observed[rows])
        loss: Tensor = F.cross_entropy(logits, y[rows])
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    head.eval()


def _statistics(part: Tokens) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each feature over observed tokens, `(D,)`; 1 if constant."""
    tokens, observed = part
    rows = tokens[observed].astype(np.float64)
    std = rows.std(0)
    resolution = (1e-6 if tokens.dtype == np.float32 else 1e-13) * np.abs(rows).max(0)
    resolution += 1e-12
    std[std < resolution] = 1.0
    dtype = torch.from_numpy(tokens).dtype  # float64 stays
    return torch.from_numpy(rows.mean(0)).to(dtype), torch.from_numpy(std).to(dtype)


def _standardized(part: Tokens, mean: Tensor, std: Tensor) -> tuple[Tensor, Tensor]:
    """Standardized tokens, 0 where there is none, and observed."""
    observed = torch.from_numpy(part[1])
    tokens = ((torch.from_numpy(part[0]).to(mean.dtype) - mean) / std).float()
    tokens = torch.where(observed[..., None], tokens, 0.0)
    return tokens, observed
