"""An encoder of your own: dilated convolutions in place of the transformer.

python examples/own_encoder.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from temporal_jepa import PretrainConfig, Sequences, from_pretrained, pretrain
from temporal_jepa.config import TemporalJEPAConfig
from temporal_jepa.embed import embed_sequences
from temporal_jepa.model.modules import Modules


class Convolutions(nn.Module):
    """Tokens (B, N, D) to tokens (B, N, D), each of 15 tokens around it."""

    def __init__(self, config: TemporalJEPAConfig):
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Conv1d(config.embed_dim, config.embed_dim, 3, padding="same", dilation=d)
            for d in (1, 2, 4)
        )
        self.norm = nn.LayerNorm(config.embed_dim)

    def forward(self, tokens: Tensor) -> Tensor:
        """Masked tokens are 0."""
        h = tokens.mT
        for layer in self.layers:
            h = h + nn.functional.gelu(layer(h))
        return self.norm(h.mT)


def main(out: str | Path = "runs/own-encoder", steps: int = 60) -> Tensor:
    """Pretrain it, load it, and embed with it."""
    random = np.random.default_rng(0)
    data = Sequences.from_arrays(random.normal(size=(64, 2, 96)).cumsum(-1))
    modules = Modules(encoder=Convolutions)
    run = pretrain(
        data,
        out,
        PretrainConfig(steps=steps, device="cpu"),
        {"patch_len": 4, "embed_dim": 32},
        init_from="scratch",
        modules=modules,
        overwrite=True,
        on_row=lambda row: print(row["step"], f"{row['relative_loss']:.3f}"),
    )
    model = from_pretrained(run, modules=modules)  # passed again, also to resume
    return embed_sequences(model, data)


if __name__ == "__main__":
    print(main(*sys.argv[1:]).shape)
