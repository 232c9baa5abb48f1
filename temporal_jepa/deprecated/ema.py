"""Moved to `temporal_jepa.model.ema`."""

from temporal_jepa.deprecated._moved import names_of
from temporal_jepa.model import ema

__getattr__ = names_of(__name__, ema)
