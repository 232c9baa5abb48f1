"""Fit the principal components of a model, for compact embeddings, on series without labels."""

import math

import numpy as np
import numpy.typing as npt
import torch

from ..config import Pool
from ..data.sequences import Sequences
from ..embed import learned_features
from ..model.compact import (
    SERIES_PER_COMPONENT,
    check_dim,
    count_possible,
    principal_components,
)
from ..model.jepa import TemporalJEPA

# Components come from at most this many series or channels, and about this many tokens.
MOST = 1024
MOST_TOKENS = 2**20


def check_fit(
    model: TemporalJEPA, sequences: Sequences, dim: int, pool: Pool = "all"
) -> None:
    """ValueError unless `fit_components` can give a model `dim` components on these sequences."""
    width = learned_features(model, sequences.select([0])).shape[1]
    n = len(_sample(model, sequences)) * _rows_of(model, sequences)
    kind = "channels" if model.config.channel_independent else "series"
    origin = f"that {n} {kind} give, one for every {SERIES_PER_COMPONENT}"
    check_dim(dim, pool, count_possible(n, width), origin)


@torch.inference_mode(False)
def fit_components(model: TemporalJEPA, sequences: Sequences) -> TemporalJEPA:
    """Replace the components of a model by those of its features on these sequences.

    There is one component for every two sequences (channels, if the model encodes them separately),
    at most 128. They are not whitened, so distances are about those of all standardized features.

    Args:
        model: changed in place.
        sequences: without labels, those of training for example. At most 1024 series or channels
            are used, evenly spaced, fewer if they are long.

    Returns:
        The same model. `model.components` is None if there are too few sequences, or the features
        are equal for all of them.

    Raises:
        ValueError: if the channels differ from the model's, or a sequence has no observed value.
    """
    some = sequences.select(_sample(model, sequences))
    features = learned_features(model, some)
    components = principal_components(torch.from_numpy(features))
    if components is not None:
        components = components.to(next(model.parameters()).device)
    model.components = components
    return model


def _rows_of(model: TemporalJEPA, sequences: Sequences) -> int:
    """Rows of features that a sequence gives: its channels, if they are encoded separately."""
    return sequences.n_channels if model.config.channel_independent else 1


def _sample(model: TemporalJEPA, sequences: Sequences) -> npt.NDArray[np.int64]:
    """Evenly spaced sequences, few enough to be embedded."""
    config = model.config
    n = len(sequences)
    rows = _rows_of(model, sequences)
    tokens = int(sequences.lengths.sum()) / config.patch * math.prod(config.cells)
    count = min(MOST // rows, int(MOST_TOKENS * n / (tokens * rows)))
    return np.unique(np.linspace(0, n - 1, max(count, 2)).astype(np.int64))
