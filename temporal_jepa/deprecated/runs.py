"""Moved to `temporal_jepa.training.run`."""

from temporal_jepa.deprecated._moved import names_of
from temporal_jepa.training import run

__getattr__ = names_of(__name__, run)
