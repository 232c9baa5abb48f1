"""Probes, controls, states and neighbor search on frozen embeddings."""

from .neighbors import Index as Index
from .probes import probe as probe
from .score import score as score
from .score import score_splits as score_splits
from .score import split as split
from .states import find_states as find_states
