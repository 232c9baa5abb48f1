"""Names of version 0.1 still work and warn."""

import importlib

import numpy as np
import pytest

from temporal_jepa.config import make_config
from temporal_jepa.estimators.anomaly import AnomalyDetector
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
def test_a_moved_name_is_the_same_object_and_warns(
    module: str, name: str, new: object
) -> None:
    old = importlib.import_module(f"temporal_jepa.{module}")
    with pytest.warns(DeprecationWarning, match=f"{module}.{name} is deprecated"):
        assert getattr(old, name) is new


def test_an_unknown_name_is_an_attribute_error() -> None:
    old = importlib.import_module("temporal_jepa.search")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        old.nothing  # noqa: B018


def test_renamed_arguments_warn_and_work() -> None:
    index = Index([[0.0], [1.0], [3.0]])
    with pytest.warns(DeprecationWarning, match="exclude"):
        ids, _ = index.nearest([[0.0]], k=1, but=np.array([0]))
    assert ids.tolist() == [[1]]
    with pytest.warns(DeprecationWarning, match="resolutions"):
        config = make_config(
            input_dim=1, views=(64, 128), normalize="instance", tokenizer="conv"
        )
    assert config.resolutions == (64, 128)


def test_the_old_detector_is_the_new_one() -> None:
    old = importlib.import_module("temporal_jepa.surprise")
    with pytest.warns(DeprecationWarning, match="SurpriseDetector"):
        assert isinstance(old.SurpriseDetector(), AnomalyDetector)


def test_the_old_detector_refuses_what_it_never_had() -> None:
    old = importlib.import_module("temporal_jepa.surprise")
    with pytest.warns(DeprecationWarning), pytest.raises(TypeError, match="windows"):  # noqa: PT030
        old.SurpriseDetector(windows=32)
