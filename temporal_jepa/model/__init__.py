"""Masks, encoder, predictor, losses and EMA; torch only, no data."""

from .jepa import TemporalJEPA as TemporalJEPA
from .jepa import build as build
from .jepa import build_context_encoder as build_context_encoder
from .jepa import build_predictor as build_predictor
from .jepa import output_size as output_size
