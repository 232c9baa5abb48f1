"""The attentive probe and the tokens that it reads."""

import numpy as np
import pytest
import torch

from temporal_jepa.config import RECIPE, VIDEO
from temporal_jepa.data.sequences import Sequences
from temporal_jepa.embed import embed_timesteps, embed_tokens
from temporal_jepa.evaluation import attentive
from temporal_jepa.evaluation.attentive import attentive_probe
from temporal_jepa.evaluation.probes import probe
from temporal_jepa.training.initial import initial_model

Tokens = tuple[np.ndarray, np.ndarray]


def placed(n: int, seed: int) -> tuple[Tokens, np.ndarray]:
    """The same tokens in every sequence; the class is the half in which the odd one appears."""
    rng = np.random.default_rng(seed)
    tokens = rng.normal(size=(n, 8, 3)).astype(np.float32) * 0.1
    when = rng.integers(0, 8, n)
    tokens[np.arange(n), when] += 1
    return (tokens, np.ones((n, 8), dtype=bool)), when // 4


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attentive, "STEPS", (150, 150))


def test_it_reads_positions_that_pooling_loses() -> None:
    (train, y) = placed(120, 0)
    (test, z) = placed(120, 1)
    accuracy = attentive_probe(train, y, test, z)
    assert accuracy > 0.9 > 0.7 > probe(train[0].mean(1), y, test[0].mean(1), z)
    assert attentive_probe(train, y, test, z) == accuracy
    shuffled = np.random.default_rng(0).permutation(y)
    assert attentive_probe(train, shuffled, test, z) < 0.75, (
        "random labels cannot be learned"
    )


def test_rows_and_columns_are_positions_too() -> None:
    (train, y) = placed(120, 0)
    (test, z) = placed(120, 1)
    assert attentive_probe(train, y, test, z, cells=(4, 2)) > 0.9


def test_padding_changes_nothing() -> None:
    (train, y) = placed(60, 0)
    (test, z) = placed(60, 1)
    padded = [
        tuple(np.pad(part, [(0, 0), (0, 3), (0, 0)][: part.ndim]) for part in pair)
        for pair in (train, test)
    ]
    for tokens, seen in padded:
        tokens[~seen] = 1e6
    assert attentive_probe(padded[0], y, padded[1], z) == attentive_probe(
        train, y, test, z
    )


def test_global_random_state_is_kept() -> None:
    train, y = placed(20, 0)
    torch.manual_seed(3)
    before = torch.get_rng_state()
    attentive_probe(train, y, train, y)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, s, y: ((t[0], s[0]), y), "expected train tokens"),
        (lambda t, s, y: ((t, s[:, :-1]), y), "expected train tokens"),
        (lambda t, s, y: ((t, s), y[:-1]), "expected 6 train labels"),
        (lambda t, s, y: ((t, s & False), y), "no token"),
        (lambda t, s, y: ((t, s), y * 0), "at least two classes"),
    ],
)
def test_mistakes_are_explained(change, message: str) -> None:
    ((tokens, seen), y) = placed(6, 0)
    train, labels = change(tokens, seen, y)
    with pytest.raises(ValueError, match=message):
        attentive_probe(train, labels, (tokens, seen), y)


def test_tokens_of_series_and_of_video() -> None:
    rng = np.random.default_rng(0)
    series = Sequences([rng.normal(size=(n, 2)).astype(np.float32) for n in (12, 5, 9)])
    model = initial_model(series, **{**RECIPE, "patch_len": 2}).eval()
    tokens, seen = embed_tokens(model, series)
    assert tokens.shape == (3, 6, 64)
    assert seen.sum(1).tolist() == [6, 3, 5]
    assert not tokens[~seen].any()
    for row, steps in zip(tokens, embed_timesteps(model, series), strict=True):
        np.testing.assert_allclose(row.repeat(2, 0)[: len(steps)], steps, atol=1e-5)
    video = Sequences.from_arrays(rng.integers(0, 256, (3, 4, 16, 24), dtype=np.uint8))
    model = initial_model(video, **{**VIDEO, "encoder_depth": 1}).eval()
    tokens, seen = embed_tokens(model, video)
    assert tokens.shape == (3, 2 * 2 * 3, model.config.embed_dim)
    assert seen.all()
