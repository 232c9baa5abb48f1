"""Moved to `temporal_jepa.data.moving_digits`."""

from temporal_jepa.data import moving_digits
from temporal_jepa.deprecated._moved import names_of

__getattr__ = names_of(__name__, moving_digits, moving_pictures="generate_clips")
