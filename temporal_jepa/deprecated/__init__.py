"""Module paths of version 0.1, found through `temporal_jepa.__path__`; to be removed in 0.3."""
