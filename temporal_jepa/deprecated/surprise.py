"""Moved to `temporal_jepa.estimators.anomaly`."""

from temporal_jepa.deprecated._moved import names_of
from temporal_jepa.estimators import anomaly

__getattr__ = names_of(__name__, anomaly)
