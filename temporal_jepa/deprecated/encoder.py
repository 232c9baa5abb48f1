"""Moved to `temporal_jepa.model.encoder`."""

from temporal_jepa.deprecated._moved import names_of
from temporal_jepa.model import encoder

__getattr__ = names_of(__name__, encoder)
