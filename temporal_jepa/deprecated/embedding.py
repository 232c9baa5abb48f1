"""Moved to `temporal_jepa.embed`, `training.initial` and `model.jepa`."""

from temporal_jepa import embed
from temporal_jepa.deprecated._moved import names_of
from temporal_jepa.model import jepa
from temporal_jepa.training import initial

__getattr__ = names_of(
    __name__, embed, initial, jepa, untrained_twin="random_init_like"
)
