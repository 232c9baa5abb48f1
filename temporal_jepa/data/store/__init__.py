"""Stores: series in flat files that are larger than memory, made by `temporal-jepa prepare`."""
