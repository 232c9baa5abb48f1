"""Fit the principal components of a model, for compact embeddings, on series without labels."""

import numpy as np
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

MOST = 1024  # series that are embedded to fit components, evenly spaced


def check_fit(
    model: TemporalJEPA, sequences: Sequences, dim: int, pool: Pool = "all"
) -> None:
    """ValueError unless `fit_components` can give a model `dim` components on these sequences."""
    width = learned_features(model, sequences.select([0])).shape[1]
    n = min(len(sequences), MOST)
    kind = "series"
    if model.config.channel_independent:
        n *= sequences.n_channels
        kind = "channels"
    origin = f"that {n} {kind} give, one for every {SERIES_PER_COMPONENT}"
    check_dim(dim, pool, count_possible(n, width), origin)


@torch.inference_mode(False)
def fit_components(model: TemporalJEPA, sequences: Sequences) -> TemporalJEPA:
    """Replace the components of a model by those of its features on these sequences.

    There is one component for every two sequences (channels, if the model encodes them separately),
    at most 128. Components of few sequences are poor: prefer hundreds, of the kind that is to be
    embedded.

    Args:
        model: changed in place.
        sequences: without labels, those of training for example. At most 1024 are used.

    Returns:
        The same model. `model.components` is None if there are too few sequences, or the features
        are equal for all of them.

    Raises:
        ValueError: if the channels differ from the model's, or a sequence has no observed value.
    """
    rows = np.unique(np.linspace(0, len(sequences) - 1, MOST).astype(int))
    features = learned_features(model, sequences.select(rows))
    components = principal_components(torch.from_numpy(features))
    if components is not None:
        components = components.to(next(model.parameters()).device)
    model.components = components
    return model
