"""From sequences to embeddings: in memory, or in parts on disk."""

from .arrays import centered as centered
from .arrays import check_channels as check_channels
from .arrays import embed_layers as embed_layers
from .arrays import embed_sequences as embed_sequences
from .arrays import embed_timesteps as embed_timesteps
from .arrays import embed_tokens as embed_tokens
from .arrays import learned_features as learned_features
from .frames import as_frame as as_frame
from .names import feature_names as feature_names
from .names import timestep_names as timestep_names
