"""Moved to `temporal_jepa.report.plots`."""

from temporal_jepa.deprecated._moved import names_of
from temporal_jepa.report import plots

__getattr__ = names_of(__name__, plots)
