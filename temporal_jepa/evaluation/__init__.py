"""Probes, controls and neighbor search on frozen embeddings."""

from .neighbors import Index as Index
from .probes import probe as probe
from .score import score as score
