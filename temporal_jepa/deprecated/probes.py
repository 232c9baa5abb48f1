"""Moved to `temporal_jepa.evaluation.probes`."""

from temporal_jepa.deprecated._moved import names_of
from temporal_jepa.evaluation import probes

__getattr__ = names_of(__name__, probes)
