"""Temporal JEPA: self-supervised representations of sequences by predicting masked timesteps in latent space.

The public names are loaded at their first use (PEP 562), so that the command line can answer without loading torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from .version import __version__ as __version__

if TYPE_CHECKING:
    from .checkpoint import from_pretrained as from_pretrained
    from .checkpoint import save_pretrained as save_pretrained
    from .config import RECIPE as RECIPE
    from .config import PretrainConfig as PretrainConfig
    from .config import TemporalJEPAConfig as TemporalJEPAConfig
    from .data import Sequences as Sequences
    from .data import read as read
    from .ema import default_momentum as default_momentum
    from .ema import ema_update as ema_update
    from .encoder import ContextEncoder as ContextEncoder
    from .estimator import TemporalJEPAEmbedder as TemporalJEPAEmbedder
    from .losses import loss as loss
    from .masks import generate_temporal_mask as generate_temporal_mask
    from .model import TemporalJEPA as TemporalJEPA
    from .model import build as build
    from .model import build_context_encoder as build_context_encoder
    from .model import build_predictor as build_predictor
    from .model import output_size as output_size
    from .runs import pretrain as pretrain

_HOMES = {
    "checkpoint": ("from_pretrained", "save_pretrained"),
    "config": ("RECIPE", "PretrainConfig", "TemporalJEPAConfig"),
    "data": ("Sequences", "read"),
    "ema": ("default_momentum", "ema_update"),
    "encoder": ("ContextEncoder",),
    "estimator": ("TemporalJEPAEmbedder",),
    "losses": ("loss",),
    "masks": ("generate_temporal_mask",),
    "model": ("TemporalJEPA", "build", "build_context_encoder", "build_predictor", "output_size"),
    "runs": ("pretrain",),
}
__all__ = [name for names in _HOMES.values() for name in names]


def __getattr__(name: str) -> Any:
    for module, names in _HOMES.items():
        if name in names:
            value = getattr(importlib.import_module(f".{module}", __name__), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
