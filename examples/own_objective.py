"""An objective of your own: tell whether a series runs forward or backward in time.

python examples/own_objective.py [FOLDER]
"""

import math
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from temporal_jepa import PretrainConfig, Sequences, pretrain
from temporal_jepa.config import TemporalJEPAConfig
from temporal_jepa.model.encoder import ContextEncoder
from temporal_jepa.model.objectives import Objective


class ArrowOfTime(Objective):
    """Turn half of the series around, and classify which."""

    def setup(self, config: TemporalJEPAConfig) -> None:
        """One linear layer on the mean of the tokens."""
        self.classify = nn.Linear(config.embed_dim, 1)

    def draw(
        self, encoder: ContextEncoder, x: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Which series to turn, bool (1, B); in training drawn for one series at a time."""
        return torch.rand(1, len(x), generator=generator) < 0.5

    def forward(
        self, encoder: ContextEncoder, x: Tensor, observed: Tensor, drawn: Tensor
    ) -> dict[str, Tensor]:
        """The cross-entropy, and the share of right answers."""
        turned = drawn[0]
        x = torch.where(turned[:, None, None], x.flip(1), x)
        observed = torch.where(turned[:, None, None], observed.flip(1), observed)
        tokens, _ = encoder.encode(x, observed).on_grid()  # (B, N, D)
        answer = self.classify(tokens.mean(1))[:, 0]
        loss = nn.functional.binary_cross_entropy_with_logits(answer, turned.float())
        right = ((answer > 0) == turned).float().mean()
        return {"loss": loss, "relative_loss": loss / math.log(2), "right": right}


def main(out: str | Path = "runs/own-objective", steps: int = 60) -> Path:
    """Pretrain on pulses that rise fast and decay slowly."""
    random = np.random.default_rng(0)
    pulses = (random.random((64, 1, 96)) < 0.05) * random.uniform(1, 2, (64, 1, 96))
    for step in range(1, 96):
        pulses[:, :, step] += 0.8 * pulses[:, :, step - 1]
    return pretrain(
        Sequences.from_arrays(pulses + 0.1 * random.normal(size=pulses.shape)),
        out,
        PretrainConfig(steps=steps, device="cpu"),
        {"patch_len": 4, "embed_dim": 32, "num_heads": 4},
        objective=ArrowOfTime(),  # passed again to resume
        overwrite=True,
        on_row=lambda row: print(row["step"], f"{row['right']:.0%} right"),
    )


if __name__ == "__main__":
    print(main(*sys.argv[1:]))
