"""A mask of your own: hide the same share of tokens around one moment of each series.

python examples/own_mask.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from temporal_jepa import PretrainConfig, Sequences, pretrain
from temporal_jepa.model.objectives import MaskedLatent


def around_a_moment(
    observed: Tensor, generator: torch.Generator, grid: tuple[int, int, int]
) -> Tensor:
    """Hide the 40 % of the times that are nearest to a moment, more likely the nearer.

    Args:
        observed: bool (B, N), tokens with an observed value.
        generator: random state.
        grid: number of times, rows and columns; N is their product, and time is slowest.

    Returns:
        bool (B, N), True = visible.
    """
    times, rows, columns = grid
    count = len(observed)
    moment = torch.rand(count, 1, generator=generator) * times
    noise = torch.rand(count, times, generator=generator) * 0.2 * times
    distance = (torch.arange(times) - moment).abs() + noise
    rank = distance.argsort(1).argsort(1)
    visible = rank >= round(0.4 * times)
    return visible.repeat_interleave(rows * columns, dim=1)


def main(out: str | Path = "runs/own-mask", steps: int = 60) -> Path:
    """Pretrain with it."""
    random = np.random.default_rng(0)
    data = Sequences.from_arrays(random.normal(size=(64, 2, 96)).cumsum(-1))
    return pretrain(
        data,
        out,
        PretrainConfig(steps=steps, device="cpu"),
        {"patch_len": 4, "embed_dim": 32, "num_heads": 4},
        objective=MaskedLatent(mask=around_a_moment),  # passed again to resume
        overwrite=True,
        on_row=lambda row: print(row["step"], f"{row['relative_loss']:.3f}"),
    )


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
