"""Recordings of several channels with the objective of next latents, from `fit` to `adapt`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from factories import ragged_walks

from temporal_jepa import TemporalJEPAEmbedder
from temporal_jepa.evaluation.states import find_states
from temporal_jepa.model.objectives import NextLatent

SMALL = {"embed_dim": 16, "num_heads": 2, "encoder_depth": 1, "patch_len": 2}


def arrays() -> list[Any]:
    return ragged_walks(6, channels=3)


def with_gaps() -> list[Any]:
    found = arrays()
    found[0][1, 2:5] = np.nan
    found[3][:, 4:8] = np.nan  # two whole patches
    return found


def frames() -> list[Any]:
    return [pd.DataFrame(x.T, columns=["a", "b", "c"]) for x in with_gaps()]


@pytest.mark.parametrize("make", [arrays, with_gaps, frames])
def test_fit_transform_and_adapt(make: Callable[[], list[Any]]) -> None:
    X = make()
    lengths = [max(x.shape) for x in X]
    embedder = TemporalJEPAEmbedder(
        steps=3, batch_size=4, objective=NextLatent((1, 2)), random_state=0, **SMALL
    )
    assert np.isfinite(embedder.fit(X).transform(X)).all()
    steps = embedder.transform_timesteps(X)
    assert [x.shape for x in steps] == [(length, 16) for length in lengths]
    missing = [np.flatnonzero(np.isnan(x).any(axis=1)).tolist() for x in steps]
    assert missing == [[], [], [], [4, 5, 6, 7] if make is not arrays else [], [], []]
    states = find_states(embedder.model_, embedder.sequences(X), 2)
    assert [len(x) for x in states.timesteps] == lengths
    before = embedder.transform(X)
    embedder.adapt(X, steps=2)
    assert repr(embedder.model_.objective) == repr(NextLatent((1, 2)))
    assert len(embedder.history_) >= 1
    assert not np.array_equal(embedder.transform(X), before)


def test_a_stored_embedder_adapts_with_its_objective(tmp_path: Path) -> None:
    X = arrays()
    given = NextLatent((1, 4), negatives="both")
    embedder = TemporalJEPAEmbedder(
        steps=2, batch_size=4, objective=given, random_state=0, **SMALL
    ).fit(X)
    embedder.save_pretrained(tmp_path / "model")
    loaded = TemporalJEPAEmbedder.from_pretrained(tmp_path / "model")
    np.testing.assert_array_equal(loaded.transform(X), embedder.transform(X))
    head = "objective.heads.0.weight"
    start = loaded.model_.state_dict()[head].clone()
    np.testing.assert_array_equal(start, embedder.model_.state_dict()[head])
    loaded.adapt(X, steps=2, lr=1e-3)
    assert repr(loaded.model_.objective) == repr(given)
    assert not np.array_equal(loaded.model_.state_dict()[head], start)
