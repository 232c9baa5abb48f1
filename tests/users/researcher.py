"""torchrun --nproc-per-node 2 researcher.py mlflow: own data, encoder and objective."""

import sys

import torch
from own_encoder import Convolutions
from own_objective import ArrowOfTime

from temporal_jepa import PretrainConfig, pretrain
from temporal_jepa.model.modules import Modules


class Walks(torch.utils.data.Dataset):
    """Random walks of two channels."""

    def __len__(self):
        return 64

    def __getitem__(self, k):
        seeded = torch.Generator().manual_seed(k)
        return torch.randn(2, 96, generator=seeded).cumsum(-1)


config = PretrainConfig(steps=6, batch_size=16, log_every=2, log=sys.argv[1])
parts = {"modules": Modules(encoder=Convolutions), "objective": ArrowOfTime()}
sizes = {"patch_len": 4, "embed_dim": 32}
pretrain(Walks(), "runs/own", config, sizes, init_from="scratch", **parts)
