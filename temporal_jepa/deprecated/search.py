"""Moved to `temporal_jepa.evaluation.neighbors`."""

from temporal_jepa.deprecated._moved import names_of
from temporal_jepa.evaluation import neighbors

__getattr__ = names_of(__name__, neighbors, standard="standardize")
