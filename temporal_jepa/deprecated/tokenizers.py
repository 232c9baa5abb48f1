"""Moved to `temporal_jepa.model.tokenizers`."""

from temporal_jepa.deprecated._moved import names_of
from temporal_jepa.model import tokenizers

__getattr__ = names_of(__name__, tokenizers, Boxes="PatchGrid")
