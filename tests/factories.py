"""Small models and data that tests of several rooms share."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

TINY: dict[str, Any] = {
    "embed_dim": 16,
    "predictor_embed_dim": 16,
    "num_heads": 2,
    "encoder_depth": 1,
    "predictor_depth": 1,
}
"""The smallest architecture that still has every part."""

SMALL: dict[str, Any] = {**TINY, "encoder_depth": 2, "dropout": 0.0}
"""Two layers, and no dropout: a forward pass is a function."""


def random_walks(
    n: int = 8, channels: int = 2, length: int = 20, seed: int = 0
) -> npt.NDArray[np.float32]:
    """Series of one length: float32 `(n, channels, length)`."""
    steps = np.random.default_rng(seed).normal(size=(n, channels, length))
    return steps.cumsum(axis=2).astype(np.float32)


def ragged_walks(
    n: int = 8, channels: int = 2, seed: int = 0
) -> list[npt.NDArray[np.float32]]:
    """Series of 8, 11, 14, ... timesteps: `n` times `(channels, time)`."""
    longest = random_walks(n, channels, 8 + 3 * n, seed)
    return [x[:, : 8 + 3 * i] for i, x in enumerate(longest)]


def edit_json(path: Path, change: Callable[[Any], Any]) -> None:
    """Rewrite a JSON file as a person would: with its checksum deleted."""
    content = json.loads(path.read_text("utf-8"))
    content.pop("sha256", None)
    change(content)
    path.write_text(json.dumps(content), "utf-8")
