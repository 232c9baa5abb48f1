"""From sequences to arrays: statistics, batches of similar length, the order kept."""

import numpy as np
import pytest

from temporal_jepa import Sequences
from temporal_jepa.embed import embed_sequences, embed_timesteps
from temporal_jepa.training.initial import channel_statistics, initial_model

TINY = {"embed_dim": 16, "predictor_embed_dim": 16, "num_heads": 2, "encoder_depth": 1}


def ragged(n: int = 9) -> Sequences:
    rng = np.random.default_rng(0)
    return Sequences.from_arrays(
        [rng.standard_normal((2, length)) for length in rng.integers(8, 40, n)]
    )


def test_statistics_are_those_of_the_observed_values() -> None:
    rng = np.random.default_rng(0)
    X = (
        rng.standard_normal((50, 3, 40)) * np.array([1.0, 5.0, 0.0])[:, None]
        + np.array([0.0, -3.0, 7.0])[:, None]
    )
    X[:, :, 10:20] = np.nan
    mean, std, slope = channel_statistics(Sequences.from_arrays(X))
    np.testing.assert_allclose(mean, [np.nanmean(X[:, 0]), np.nanmean(X[:, 1]), 7.0], atol=1e-5)
    np.testing.assert_allclose(std, [np.nanstd(X[:, 0]), np.nanstd(X[:, 1]), 1.0], rtol=1e-5)
    np.testing.assert_allclose(slope, [2**0.5, 2**0.5, 1.0], rtol=0.05)


def test_units_do_not_matter() -> None:
    data = ragged()
    scaled = Sequences([1000 * x + 50 for x in data.values])
    np.testing.assert_allclose(
        embed_sequences(initial_model(data, **TINY), data),
        embed_sequences(initial_model(scaled, **TINY), scaled),
        atol=2e-3,
    )


@pytest.mark.parametrize("batch_tokens", [1, 50, 4096])
def test_batches_do_not_change_embeddings_or_their_order(batch_tokens: int) -> None:
    data = ragged()
    model = initial_model(data, **TINY)
    found = embed_sequences(model, data, batch_tokens=batch_tokens)
    assert found.dtype == np.float32
    for i in range(len(data)):
        np.testing.assert_allclose(found[i], embed_sequences(model, data.select([i]))[0], atol=1e-5)


def test_timesteps_have_the_length_of_their_series() -> None:
    data = ragged()
    steps = embed_timesteps(initial_model(data, **TINY), data, batch_tokens=60)
    assert [len(x) for x in steps] == data.lengths.tolist()
    assert all(x.shape[1] == 16 and not np.isnan(x).any() for x in steps)


def test_the_seed_decides_the_untrained_model() -> None:
    data = ragged()
    first, same, other = (
        embed_sequences(initial_model(data, seed, **TINY), data) for seed in (0, 0, 1)
    )
    assert np.array_equal(first, same)
    assert not np.allclose(first, other)


def test_wrong_data_is_explained() -> None:
    data = ragged()
    model = initial_model(data, **TINY)
    with pytest.raises(ValueError, match=r"expects 2 channels, got 3 \(0, 1, 2\)"):
        embed_sequences(model, Sequences.from_arrays(np.zeros((2, 3, 9))))
    with pytest.raises(ValueError, match=r"has 8 timesteps, .* need 16"):
        initial_model(Sequences.from_arrays(np.zeros((2, 1, 8))), patch_len=8)
    with pytest.raises(ValueError, match="unknown option 'depth'"):
        initial_model(data, depth=3)


@pytest.mark.parametrize("scale", [1e-12, 1e-30, 1e30])
def test_tiny_and_huge_units_are_units(scale: float) -> None:
    data = ragged()
    scaled = Sequences([(scale * x.astype(np.float64)).astype(np.float32) for x in data.values])
    found = embed_sequences(initial_model(scaled, **TINY), scaled)
    np.testing.assert_allclose(found, embed_sequences(initial_model(data, **TINY), data), atol=2e-3)


def test_an_offset_that_float32_cannot_hold_is_said() -> None:
    X = 1e9 + 100 * np.random.default_rng(0).standard_normal((9, 1, 30))
    with pytest.warns(UserWarning, match="channel 0 varies by less than a millionth of its mean"):
        initial_model(Sequences.from_arrays(X), **TINY)
