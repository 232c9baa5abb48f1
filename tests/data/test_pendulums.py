"""Generated recordings of pendulums."""

import numpy as np

from temporal_jepa.data.pendulums import generate_recordings, swing


def test_a_small_swing_has_its_frequency() -> None:
    motion = swing(np.random.default_rng(0), 200, timesteps=400)
    sine = motion.states[..., :2]
    together = sine.sum(
        -1
    )  # the spring does not act on the mode in which both move alike
    is_small = np.abs(sine).max((1, 2)) < 0.5
    assert is_small.sum() >= 3
    for x, frequency in zip(
        together[is_small], motion.frequency[is_small], strict=True
    ):
        spectrum = np.abs(np.fft.rfft(x * np.hanning(400), 8192))
        found = 2 * np.pi * spectrum.argmax() / 8192
        assert abs(found - frequency) < 0.03


def test_recordings_are_those_of_a_seed() -> None:
    x, truth = generate_recordings(6, seed=3, channels=5, timesteps=20)
    again, _ = generate_recordings(6, seed=3, channels=5, timesteps=20)
    other, _ = generate_recordings(6, seed=4, channels=5, timesteps=20)
    assert x.shape == (6, 5, 20)
    assert x.dtype == np.float32
    assert truth.states.shape == (6, 20, 6)
    np.testing.assert_array_equal(x, again)
    assert not np.array_equal(x, other)


def test_noise_is_as_strong_as_it_says() -> None:
    clean, truth = generate_recordings(200, seed=1, noise=0)
    noisy, same = generate_recordings(200, seed=1, noise=3)
    np.testing.assert_array_equal(truth.states, same.states)
    assert abs((noisy - clean).std() - 3) < 0.05
    assert abs(clean.std() - 1) < 0.1
