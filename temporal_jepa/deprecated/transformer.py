"""Moved to `temporal_jepa.model.transformer`."""

from temporal_jepa.deprecated._moved import names_of
from temporal_jepa.model import transformer

__getattr__ = names_of(
    __name__, transformer, Stack="Transformer", coordinates="grid_coordinates"
)
