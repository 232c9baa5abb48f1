"""Moved to `temporal_jepa.report.svg`."""

from temporal_jepa.deprecated._moved import names_of
from temporal_jepa.report import svg

__getattr__ = names_of(__name__, svg)
