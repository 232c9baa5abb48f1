"""Moved to `temporal_jepa.evaluation.attentive`."""

from temporal_jepa.deprecated._moved import names_of
from temporal_jepa.evaluation import attentive

__getattr__ = names_of(__name__, attentive)
