"""The anomaly detector: planted anomalies, calibration, missing parts, peaks."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.metrics import roc_auc_score
from sklearn.utils import estimator_checks

from temporal_jepa import Sequences, TemporalJEPA
from temporal_jepa.estimators.anomaly import (
    AnomalyDetector,
    SurpriseDetector,
    peaks,
    period,
)
from temporal_jepa.estimators.embedder import TemporalJEPAEmbedder
from temporal_jepa.training.initial import initial_model

ODD = slice(900, 940)


def wave(channels: int = 1, seed: int = 0) -> np.ndarray:
    """`(channels, 1200)`: noisy periods of 40 timesteps; one of the last channel is faster."""
    noise = np.random.default_rng(seed).normal(size=(channels, 1200))
    x = (
        np.sin(2 * np.pi * np.arange(1200) / 40 + np.arange(channels)[:, None])
        + 0.1 * noise
    )
    x[-1, ODD] = np.sin(2 * np.pi * np.arange(40) / 8) + 0.1 * noise[-1, ODD]
    return x.astype(np.float32)


def odd() -> np.ndarray:
    return np.isin(np.arange(1200), np.arange(1200)[ODD])


def encoder(channels: int = 1, seed: int = 0) -> TemporalJEPA:
    """A small encoder with random weights, faster than "series-small"."""
    windows = wave(channels)[:, :600].T.reshape(15, 40, channels)
    return initial_model(Sequences([*windows]), seed, patch_len=2)


def quick(channels: int = 1, **parameters: object) -> AnomalyDetector:
    return AnomalyDetector(**{"model": encoder(channels), "window": 40, **parameters})


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_planted_anomaly_is_found_where_its_values_do_not_show_it(
    channels: int, seed: int
) -> None:
    x = wave(channels, seed)
    detector = quick(model=encoder(channels, seed)).fit(x[:, :600])
    deviation = np.abs(x - x.mean(1, keepdims=True)).max(0)
    assert roc_auc_score(odd(), detector.score(x)) > 0.97
    assert roc_auc_score(odd(), deviation) < 0.65


def test_the_whole_recording_may_be_the_reference() -> None:
    x = wave()
    score = quick().fit(x).score(x)
    assert roc_auc_score(odd(), score) > 0.97
    assert score.dtype == np.float32
    assert score.shape == (1200,)


def test_scores_are_calibrated_on_the_reference() -> None:
    x = wave()[:, :800]
    detector = quick(quantile=0.9).fit(x)
    score = detector.score(x)
    assert np.mean(score < 1) == pytest.approx(0.9, abs=0.01)
    assert np.median(score) == pytest.approx(0, abs=1e-3)
    np.testing.assert_array_equal(detector.predict(x), score > 1)


def test_the_reference_part_is_not_compared_with_itself() -> None:
    x = wave()
    detector = quick().fit(x[:, :600])
    score = detector.score(x)
    assert (
        np.mean(score[:560] > 1) < 0.03
    )  # neither all calm, as next to a copy, nor all odd
    assert np.median(score[:560]) == pytest.approx(np.median(score[600:880]), abs=1)
    moved = detector.score(x[:, 100:])  # does not begin with the reference
    assert np.median(moved[:400]) < np.median(score[:400]) - 0.5


def test_scale_and_offset_do_not_matter() -> None:
    x = wave(2)
    scores = [
        quick(2).fit(y[:, :600]).score(y)
        for y in (x, x * np.float32(1000) + np.float32(50))
    ]
    np.testing.assert_allclose(*scores, atol=0.2)


def test_labels_are_ignored() -> None:
    x = wave()
    scores = [quick().fit(x[:, :600], y).score(x, y) for y in (None, odd())]
    np.testing.assert_array_equal(*scores)


def test_missing_parts() -> None:
    x = wave(2)
    x[:, 300:400] = np.nan
    x[0, 500:700] = np.nan
    detector = quick(2).fit(x)
    missing = np.isnan(detector.score(x))
    assert missing[340:360].all()
    assert not missing[:300].any()
    assert not missing[400:].any()
    assert not detector.predict(x)[350]


def test_lengths() -> None:
    x = wave()[0]
    detector = quick().fit([x[:500], x[500:720]])
    for length in (5, 39, 40, 41, 555):
        score = detector.score(x[:length])
        assert score.shape == (length,)
        assert np.isfinite(score).all()
    same = quick().fit(Sequences([x[:500, None], x[500:720, None]])).score(x)
    np.testing.assert_array_equal(same, detector.score(x))
    several = detector.score_each([x, x[:39], x[500:720]])
    np.testing.assert_allclose(several[0], same, atol=1e-3)
    np.testing.assert_allclose(several[1], detector.score(x[:39]), atol=1e-3)
    np.testing.assert_allclose(several[2], detector.score(x[500:720]), atol=1e-3)


def test_a_constant_series_has_no_anomaly() -> None:
    x = np.ones((1, 400), dtype=np.float32)
    detector = quick().fit(x)
    assert not detector.predict(x).any()
    x[:, 200:] = np.sin(np.arange(200))
    assert detector.predict(x)[230:].all()


@pytest.mark.parametrize(
    ("parameters", "reference", "scored", "message"),
    [
        ({"quantile": 1.0}, (1, 200), (1, 200), "quantile.*1.0"),
        ({}, (1, 79), (1, 200), "79 timesteps, but two windows .* a window is 40"),
        ({"window": None}, (1, 7), (1, 200), "7 timesteps, but two windows"),
        (
            {"window": 1},
            (1, 200),
            (1, 200),
            "window must be at least 4 timesteps, got 1",
        ),
        ({}, (1, 200), (3, 200), "expected 1 channels, as in fit, got 3"),
        ({}, (2, 200), (2, 200), "expects 1 channels, got 2"),
    ],
)
def test_mistakes_are_explained(
    parameters: dict[str, object],
    reference: tuple[int, int],
    scored: tuple[int, int],
    message: str,
) -> None:
    (channels, length), (others, end) = reference, scored
    with pytest.raises(ValueError, match=message):
        quick(**parameters).fit(wave(channels)[:, :length]).score(wave(others)[:, :end])


def test_score_takes_one_series_that_has_a_value() -> None:
    detector = quick().fit(wave())
    with pytest.raises(ValueError, match="expected at least one series"):
        quick().fit([])
    with pytest.raises(ValueError, match="one series, got 2"):
        detector.score([wave()[0], wave()[0]])
    with pytest.raises(ValueError, match="expected series, got frames"):
        detector.score(Sequences([np.zeros((50, 4))], frame=(2, 2, 1)))
    with pytest.raises(ValueError, match="no observed value"):
        detector.score(np.full((1, 100), np.nan))


def test_window_follows_the_period() -> None:
    x = np.sin(2 * np.pi * np.arange(2400) / 40)
    assert period(x[:, None]) == 40
    # Whole periods, 256 timesteps or more, but at most an eighth of the series.
    assert AnomalyDetector().fit(x).window_ == 280
    assert AnomalyDetector().fit(x[:240]).window_ == 30
    for shapeless in (
        np.ones((300, 1)),
        np.random.default_rng(0).normal(size=(4000, 1)),
    ):
        assert period(shapeless) == 0


def test_a_model_by_name_by_folder_or_fitted(tmp_path: Path) -> None:
    x = wave()
    embedder = TemporalJEPAEmbedder(steps=2, random_state=0, init_from="scratch").fit(
        x.reshape(-1, 1, 60)
    )
    embedder.save_pretrained(tmp_path / "saved")
    models = [embedder, embedder.model_, tmp_path / "saved", str(tmp_path / "saved")]
    first, *others = [quick(model=model).fit(x[:, :600]).score(x) for model in models]
    for other in others:
        np.testing.assert_array_equal(first, other)


def test_the_general_encoder_takes_any_channels() -> None:
    x = wave(2)[:, 700:1000]
    score = AnomalyDetector(window=40).fit(x[:, :190]).score(x)
    assert roc_auc_score(odd()[700:1000], score) > 0.97


def test_the_compact_space_finds_the_same_with_less_memory() -> None:
    x = wave()[:, 700:1000]
    full = AnomalyDetector(window=40).fit(x[:, :190])
    compact = AnomalyDetector(window=40, dim=128).fit(x[:, :190])
    assert compact.reference_[0].vectors.shape[1] == 128 + 40
    assert full.reference_[0].vectors.shape[1] > 10 * (128 + 40)
    assert roc_auc_score(odd()[700:1000], compact.score(x)) > 0.97
    with pytest.raises(ValueError, match="dim=129"):
        AnomalyDetector(window=40, dim=129).fit(x)
    with pytest.raises(ValueError, match="dim=8"):
        quick(dim=8).fit(x)  # a model without components


def test_the_old_name_warns() -> None:
    x = wave()
    with pytest.warns(DeprecationWarning, match="AnomalyDetector"):
        old = SurpriseDetector(encoder(), window=40, method="distance", random_state=0)
    np.testing.assert_array_equal(old.fit(x).score(x), quick().fit(x).score(x))
    with (
        pytest.warns(DeprecationWarning, match="AnomalyDetector"),
        pytest.raises(ValueError, match="method"),
    ):
        SurpriseDetector(method="error")


def test_peaks_are_the_highest_of_each_region() -> None:
    low = np.zeros(100)
    high = np.zeros(100)
    high[20:30] = [2, 2, 3, 2, 2, 2, 2, 2, 2, 2]
    high[33] = 2.5  # too close to the peak at 22
    high[80] = 4
    low[50] = 5
    expected = [(0, 50, 50, 51), (1, 80, 80, 81), (1, 22, 20, 30)]
    assert peaks([low, high], apart=20) == expected
    assert peaks([low, high], apart=20, count=1) == expected[:1]
    assert (1, 33, 33, 34) in peaks([low, high], apart=5)


def test_peaks_without_an_anomaly_and_at_the_ends() -> None:
    calm = np.zeros(100)
    calm[50] = 0.5
    assert peaks([np.full(9, np.nan), calm], apart=5) == [(1, 50, 50, 51)]
    edges = np.array([3, 2, 0, np.nan, 0, 4])
    assert peaks([edges], apart=1) == [(0, 5, 5, 6), (0, 0, 0, 2)]


def test_one_timestep_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="timestep"):
        AnomalyDetector().fit(np.ones(1))


def test_an_anomaly_longer_than_the_quantile_in_the_reference_itself_is_found() -> None:
    rng = np.random.default_rng(0)
    x = np.sin(np.arange(3000) / 8) + 0.1 * rng.normal(size=3000)
    x[2300:2340] = 0.0
    is_anomaly = AnomalyDetector().fit(x).predict(x)
    assert is_anomaly[2300:2340].any()
    assert not is_anomaly[:1900].any()


WITHOUT_DATA = [
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_set_params,
    estimator_checks.check_valid_tag_types,
]
"""The others fit tables of 2 to 5 columns, which would be series of so many timesteps."""


@pytest.mark.parametrize("check", WITHOUT_DATA, ids=lambda check: check.__name__)
def test_scikit_learn_checks_without_data(check: Callable[..., None]) -> None:
    check("AnomalyDetector", AnomalyDetector(window=40))
    with pytest.warns(SkipTestWarning, match="two_d_array=False"):
        list(estimator_checks.estimator_checks_generator(AnomalyDetector()))


def test_the_names_of_pyod() -> None:
    x = wave()
    detector = quick()
    labels = detector.fit_predict(x)
    np.testing.assert_array_equal(detector.decision_scores_, detector.score(x))
    np.testing.assert_array_equal(detector.decision_function(x), detector.score(x))
    np.testing.assert_array_equal(labels, detector.predict(x))
    assert labels is detector.labels_
    assert labels.dtype == np.int64
    assert detector.threshold_ == 1
    assert labels[ODD].mean() > 0.2
    assert labels[:860].mean() < 0.01
    several = quick().fit([x[0, :500], x[0, 500:720]])
    assert several.decision_scores_.shape == (720,)
    x[:, 300:400] = np.nan
    gap = quick().fit(x)
    assert np.isnan(gap.decision_scores_[350])
    assert gap.labels_[350] == 0


def test_a_clone_keeps_a_fitted_encoder() -> None:
    x = wave()
    embedder = TemporalJEPAEmbedder(steps=2, random_state=0, init_from="scratch")
    embedder.fit(x.reshape(-1, 1, 60))
    detector = quick(model=embedder)
    score = detector.fit(x).score(x)
    np.testing.assert_array_equal(clone(detector).fit(x).score(x), score)
    frozen = TemporalJEPAEmbedder(frozen=True)  # loaded when it is used
    short = x[:, 700:1000]
    named = AnomalyDetector(window=40).fit(short).score(short)
    found = AnomalyDetector(frozen, window=40).fit(short).score(short)
    np.testing.assert_array_equal(found, named)
    with pytest.raises(NotFittedError):
        quick(model=TemporalJEPAEmbedder()).fit(x)


def test_a_nested_frame_of_sktime_is_refused() -> None:
    nested = pd.DataFrame({"a": [pd.Series(wave()[0])]})
    with pytest.raises(ValueError, match="nested DataFrame, as sktime"):
        quick().fit(nested)


def test_a_callback_is_not_routed_as_metadata() -> None:
    assert not hasattr(AnomalyDetector(), "set_fit_request")
    assert not hasattr(AnomalyDetector(), "set_score_request")
