"""Small data and settings of the training tests; child processes import them too."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from factories import random_walks

from temporal_jepa import PretrainConfig, Sequences

SHORT = PretrainConfig(steps=12, batch_size=6, save_every=5, log_every=3, watch_every=6)
CALM = replace(SHORT, steps=4, lr=1e-4, log_every=1)


def walks(n: int = 15, seed: int = 0, channels: int = 2) -> Sequences:
    """Random walks of 20 to 49 timesteps, one of them with missing values."""
    rng = np.random.default_rng(seed)
    arrays = []
    for length in rng.integers(20, 50, n):
        arrays.append(np.cumsum(rng.standard_normal((channels, length)), 1))
    arrays[3][:, 5:9] = np.nan
    return Sequences.from_arrays(arrays)


def even_walks() -> Sequences:
    """Random walks of one length, without missing values."""
    return Sequences.from_arrays(random_walks(12, length=40))


def drop_checkpoint(run: Path, step: int) -> None:
    """Delete a checkpoint, as if the run had been killed before it."""
    shutil.rmtree(run / "checkpoint" / f"step-{step:08d}")
