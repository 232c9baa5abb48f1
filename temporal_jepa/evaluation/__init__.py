"""Probes, controls and neighbour search on frozen embeddings."""
