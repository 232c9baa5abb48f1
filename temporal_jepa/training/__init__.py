"""The training loop, the run folder and what training starts from."""

from .run import pretrain as pretrain
from .trainer import Trainer as Trainer
from .trainer import train as train
