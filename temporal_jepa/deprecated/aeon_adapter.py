"""Moved to `temporal_jepa.estimators.aeon`."""

from temporal_jepa.deprecated._moved import names_of
from temporal_jepa.estimators import aeon

__getattr__ = names_of(__name__, aeon)
