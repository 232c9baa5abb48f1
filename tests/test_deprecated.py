"""Names of version 0.1 still work and warn."""

import importlib

import pytest

from temporal_jepa.estimators.embedder import TemporalJEPAEmbedder
from temporal_jepa.evaluation.neighbors import Index
from temporal_jepa.model.jepa import random_init_like
from temporal_jepa.model.tokenizers import PatchGrid
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.run import pretrain


@pytest.mark.parametrize(
    ("module", "name", "new"),
    [
        ("search", "Index", Index),
        ("estimator", "TemporalJEPAEmbedder", TemporalJEPAEmbedder),
        ("embedding", "initial_model", initial_model),
        ("embedding", "untrained_twin", random_init_like),
        ("runs", "pretrain", pretrain),
        ("tokenizers", "Boxes", PatchGrid),
    ],
)
def test_a_moved_name_is_the_same_object_and_warns(module: str, name: str, new: object) -> None:
    old = importlib.import_module(f"temporal_jepa.{module}")
    with pytest.warns(DeprecationWarning, match=f"{module}.{name} is deprecated"):
        assert getattr(old, name) is new


def test_an_unknown_name_is_an_attribute_error() -> None:
    old = importlib.import_module("temporal_jepa.search")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        old.nothing  # noqa: B018
