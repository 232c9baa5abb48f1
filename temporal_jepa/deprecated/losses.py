"""Moved to `temporal_jepa.model.losses`."""

from temporal_jepa.deprecated._moved import names_of
from temporal_jepa.model import losses, regularizers

__getattr__ = names_of(__name__, losses, regularizers, Spread="VICRegTerms")
