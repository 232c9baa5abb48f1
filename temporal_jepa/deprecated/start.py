"""Moved to `temporal_jepa.training.initial`."""

from temporal_jepa.deprecated._moved import names_of
from temporal_jepa.training import initial

__getattr__ = names_of(__name__, initial)
