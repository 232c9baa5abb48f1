"""Pretraining as a LightningModule: the loop, logs and devices are those of Lightning.

pip install lightning; python examples/with_lightning.py [FOLDER]

The file is not named lightning.py, which would hide the package. `temporal_jepa.pretrain` has in
addition checkpoints that resume with the same batches, and statistics of collapse.
"""

import sys
from pathlib import Path

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from temporal_jepa import (
    PretrainConfig,
    Sequences,
    TemporalJEPA,
    TemporalJEPADataset,
    from_pretrained,
)
from temporal_jepa.model.ema import momentum_at
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import make_optimizer


class Pretraining(lightning.LightningModule):
    """Masks, loss and the moving average of the target encoder, for batches (B, T, C)."""

    def __init__(self, model: TemporalJEPA, steps: int):
        super().__init__()
        self.model = model
        self.steps = steps

    def training_step(self, x: Tensor, index: int) -> dict[str, Tensor]:
        """The loss of a batch; all terms are logged."""
        terms = self.model.training_step(x)
        self.log_dict(terms, prog_bar=True)
        return terms

    def on_train_batch_end(self, *batch: object) -> None:
        """After the step of the optimizer, the target follows the encoder."""
        start = self.model.config.momentum
        self.model.update_target(momentum_at(self.global_step, self.steps, start))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW with weight decay on matrices only."""
        return make_optimizer(self.model, PretrainConfig(lr=2e-3), fused=False)


def main(
    out: str | Path = "runs/with-lightning", steps: int = 60
) -> lightning.LightningModule:
    """Pretrain, save, and embed a batch."""
    lightning.seed_everything(0)
    random = np.random.default_rng(0)
    data = Sequences.from_arrays(random.normal(size=(64, 2, 96)).cumsum(-1))
    dataset = TemporalJEPADataset(data)
    loader = DataLoader(dataset, 32, shuffle=True, collate_fn=dataset.collate)
    module = Pretraining(initial_model(data, embed_dim=32, num_heads=4), steps)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_steps=steps,
        gradient_clip_val=1.0,
        default_root_dir=out,
        enable_checkpointing=False,
        logger=False,
    )
    trainer.fit(module, loader)
    module.model.save_pretrained(out)
    print(from_pretrained(out).embed(next(iter(loader))).shape)
    return module


if __name__ == "__main__":
    main(*sys.argv[1:])
