"""Moved to `temporal_jepa.training.collapse`."""

from temporal_jepa.deprecated._moved import names_of
from temporal_jepa.training import collapse

__getattr__ = names_of(__name__, collapse)
