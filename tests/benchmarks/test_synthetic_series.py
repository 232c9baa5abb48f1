"""Synthetic series: reproducible, addressable one by one, varied, and quick to make."""

import time

import numpy as np
import pytest
from synthetic_series import CHUNK, FAMILIES, synthetic_pairs, synthetic_series


def test_a_series_depends_on_the_seed_and_its_number_alone() -> None:
    many = synthetic_series(CHUNK + 8, length=64, seed=3)
    np.testing.assert_array_equal(
        synthetic_series(12, length=64, seed=3, start=CHUNK - 4), many[CHUNK - 4 :]
    )
    assert not np.allclose(synthetic_series(8, length=64, seed=4), many[:8])


def test_every_series_is_standardized_and_no_two_are_equal() -> None:
    x = synthetic_series(CHUNK, length=128)
    assert x.dtype == np.float32
    np.testing.assert_allclose(x.mean(1), 0, atol=1e-4)
    np.testing.assert_allclose(x.std(1), 1, atol=1e-3)
    similarity = np.corrcoef(x) - np.eye(CHUNK)
    assert np.median(np.abs(similarity)) < 0.2
    assert similarity.max() < 0.9999


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
@pytest.mark.parametrize("length", [32, 200])
def test_every_family_gives_finite_series_that_vary(
    family: object, length: int
) -> None:
    x = family(np.random.default_rng(0), 40, length)  # type: ignore[operator]
    assert x.shape == (40, length)
    assert np.isfinite(x).all()
    assert (x.std(1) > 0).mean() > 0.8


def test_smooth_and_rough_series_are_both_there() -> None:
    roughness = np.diff(synthetic_series(CHUNK, length=256), axis=1).std(1)
    assert np.quantile(roughness, 0.1) < 0.1 < 0.5 < np.quantile(roughness, 0.9)


def test_a_thousand_take_seconds() -> None:
    began = time.process_time()
    synthetic_series(1024)
    assert time.process_time() - began < 3  # 0.4 s on one core of an AMD EPYC


@pytest.mark.parametrize(
    "arguments", [{"n": -1}, {"n": 1, "length": 8}, {"n": 1, "start": -1}]
)
def test_impossible_requests_are_refused(arguments: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="expected n and start >= 0 and length >= 32"):
        synthetic_series(**arguments)


def test_pairs_are_similar_but_not_equal() -> None:
    x = synthetic_pairs(CHUNK, length=128, seed=1)
    assert x.shape == (CHUNK, 2, 128)
    np.testing.assert_array_equal(
        synthetic_pairs(5, length=128, seed=1, start=300), x[300:305]
    )
    spectra = (
        np.log(np.abs(np.fft.rfft(x)[:, :, 1:]) ** 2 + 1)
        .reshape(CHUNK, 2, 16, 4)
        .mean(-1)
    )  # (n, 2, bands)
    apart = np.linalg.norm(spectra[:, 0] - spectra[:, 1], axis=1)
    strangers = np.linalg.norm(
        spectra[:, 0] - np.roll(spectra[:, 1], 1, axis=0), axis=1
    )
    assert np.median(apart) < 0.5 * np.median(strangers)
    assert (np.abs(x[:, 0] - x[:, 1]).max(1) > 0.01).mean() > 0.95
