"""Moved to `temporal_jepa.estimators.embedder`."""

from temporal_jepa.deprecated._moved import names_of
from temporal_jepa.estimators import embedder

__getattr__ = names_of(__name__, embedder)
