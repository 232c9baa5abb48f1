"""Moved to `temporal_jepa.model.masks`."""

from temporal_jepa.deprecated._moved import names_of
from temporal_jepa.model import masks

__getattr__ = names_of(__name__, masks, kept_index="positions_of")
