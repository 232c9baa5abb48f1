"""Temporal JEPA: self-supervised representations of sequences by predicting masked timesteps in latent space."""

__version__ = "0.1.0"

from .config import RECIPE as RECIPE
from .config import TemporalJEPAConfig as TemporalJEPAConfig
from .ema import default_momentum as default_momentum
from .ema import ema_update as ema_update
from .losses import loss as loss
from .masks import generate_temporal_mask as generate_temporal_mask
from .model import ContextEncoder as ContextEncoder
from .model import TemporalJEPA as TemporalJEPA
from .model import build as build
from .model import build_context_encoder as build_context_encoder
from .model import build_predictor as build_predictor
from .model import output_size as output_size
