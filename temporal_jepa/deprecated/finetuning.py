"""Moved to `temporal_jepa.estimators.classifier`."""

from temporal_jepa.deprecated._moved import names_of
from temporal_jepa.estimators import classifier

__getattr__ = names_of(__name__, classifier)
