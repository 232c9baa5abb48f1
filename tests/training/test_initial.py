"""The model before the first step: channel statistics, weights from the seed, fitting settings."""

import numpy as np
import pytest
from factories import TINY, ragged_walks

from temporal_jepa import Sequences
from temporal_jepa.embed import embed_sequences
from temporal_jepa.training.initial import channel_statistics, initial_model


def ragged() -> Sequences:
    return Sequences.from_arrays(ragged_walks())


def random_video(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_statistics_are_those_of_the_observed_values() -> None:
    scale = np.array([1.0, 5.0, 0.0])[:, None]
    offset = np.array([0.0, -3.0, 7.0])[:, None]
    X = np.random.default_rng(0).standard_normal((50, 3, 40)) * scale + offset
    X[:, :, 10:20] = np.nan
    mean, std, slope = channel_statistics(Sequences.from_arrays(X))
    np.testing.assert_allclose(
        mean, [np.nanmean(X[:, 0]), np.nanmean(X[:, 1]), 7.0], atol=1e-5
    )
    np.testing.assert_allclose(
        std, [np.nanstd(X[:, 0]), np.nanstd(X[:, 1]), 1.0], rtol=1e-5
    )
    np.testing.assert_allclose(slope, [2**0.5, 2**0.5, 1.0], rtol=0.05)


def test_pixels_share_their_statistics() -> None:
    video = random_video(5, 4, 6, 7, 3)
    mean, std, slope = channel_statistics(Sequences.from_arrays(video))
    wanted = video.mean((0, 1, 2, 3)) / 255
    np.testing.assert_allclose(mean.reshape(42, 3), np.tile(wanted, (42, 1)), rtol=1e-5)
    np.testing.assert_allclose(
        std.reshape(42, 3)[0], (video / 255).std((0, 1, 2, 3)), rtol=1e-5
    )
    assert slope.shape == (126,)


def test_bytes_and_fractions_are_the_same_video() -> None:
    video = random_video(4, 6, 16, 16)
    as_bytes = Sequences.from_arrays(video)
    as_floats = Sequences.from_arrays(video[..., None].astype(np.float32) / 255)
    assert as_bytes.values[0].dtype == np.uint8
    assert np.shares_memory(as_bytes.values[0], video)
    assert as_bytes.frame == as_floats.frame == (16, 16, 1)
    model = initial_model(as_bytes)
    assert model.config.tokenizer == "tubelet"
    assert model.config.cells == (2, 2)
    np.testing.assert_allclose(
        embed_sequences(model, as_bytes), embed_sequences(model, as_floats), atol=1e-5
    )


def test_another_tokenizer_takes_a_frame_as_one_vector() -> None:
    flat = initial_model(
        Sequences.from_arrays(random_video(4, 6, 16, 16)), tokenizer="linear"
    )
    assert flat.config.frame is None
    assert flat.config.input_dim == 256


def test_an_array_of_four_axes_with_many_columns_is_video() -> None:
    """Not a scene: no agent has 20 features."""
    assert Sequences.from_arrays(np.zeros((2, 6, 20, 20))).frame == (20, 20, 1)


@pytest.mark.parametrize(
    ("scale", "offset"), [(1000, 50), (1e-12, 0), (1e-30, 0), (1e30, 0)]
)
def test_units_do_not_matter(scale: float, offset: float) -> None:
    data = ragged()
    scaled = [
        (scale * x.astype(np.float64) + offset).astype(np.float32) for x in data.values
    ]
    other = Sequences(scaled)
    found = embed_sequences(initial_model(other, **TINY), other)
    np.testing.assert_allclose(
        found, embed_sequences(initial_model(data, **TINY), data), atol=2e-3
    )


def test_an_offset_that_float32_cannot_hold_is_named() -> None:
    X = 1e9 + 100 * np.random.default_rng(0).standard_normal((9, 1, 30))
    with pytest.warns(UserWarning, match="channel 0"):
        initial_model(Sequences.from_arrays(np.float32(X)), **TINY)


def test_the_seed_decides_the_weights() -> None:
    data = ragged()
    first = embed_sequences(initial_model(data, 0, **TINY), data)
    assert np.array_equal(first, embed_sequences(initial_model(data, 0, **TINY), data))
    assert not np.allclose(first, embed_sequences(initial_model(data, 1, **TINY), data))


def test_settings_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match="unknown option 'depth'"):
        initial_model(ragged(), depth=3)
