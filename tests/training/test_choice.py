"""Which objective when: next latents for many noisy channels, unless someone says otherwise."""

import time

import numpy as np
import numpy.typing as npt
import pytest
from factories import random_walks

from temporal_jepa import Sequences, TemporalJEPAEmbedder
from temporal_jepa.config import ReadOptions
from temporal_jepa.model.objectives import NextLatent
from temporal_jepa.training.choice import Choice, choose, predictable_share
from temporal_jepa.training.initial import start_of
from temporal_jepa.training.run import PretrainConfig, plan

Array = npt.NDArray[np.float64]


def waves(
    n: int = 40, channels: int = 8, length: int = 60, noise: float = 0.0
) -> Array:
    """Two slow waves of random phase, mixed into channels, and white noise: `(n, C, T)`."""
    random = np.random.default_rng(0)
    phase = random.uniform(0, 6, (n, 2, 1))
    sources = np.sin(np.array([[0.2], [0.3]]) * np.arange(length) + phase)
    mixed = random.normal(size=(channels, 2)) @ sources
    return mixed + noise * mixed.std() * random.normal(size=mixed.shape)


def of(X: Array | list[Array]) -> Sequences:
    return Sequences.from_arrays(X)


def test_noise_makes_a_series_less_predictable() -> None:
    shares = [predictable_share(of(waves(noise=n))) for n in (0.0, 0.5, 1.0, 3.0)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 0.99
    # Noise of equal variance leaves half of it, and the mixture of channels helps a little.
    assert 0.35 < shares[2] < 0.5
    assert shares[3] < 0.1


def test_white_noise_is_not_predictable() -> None:
    X = np.random.default_rng(0).normal(size=(50, 3, 40))
    assert predictable_share(of(X)) < 0.01


def test_the_level_of_a_sequence_predicts_nothing_of_what_varies_in_it() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 2, 40)) + 10 * random.normal(size=(300, 2, 1))
    assert predictable_share(of(X)) < 0.02


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e37])
def test_units_do_not_matter(scale: float) -> None:
    X = waves(noise=1.0)
    scaled = of(scale * X)
    wanted = predictable_share(of(X))
    assert predictable_share(scaled) == pytest.approx(wanted, abs=1e-3)


def test_a_channel_that_a_sequence_lacks_changes_little() -> None:
    X = waves(noise=1.0) + 1e4 * np.arange(8.0)[:, None]
    wanted = predictable_share(of(X))
    X[3, 5] = np.nan
    assert predictable_share(of(X)) == pytest.approx(wanted, abs=0.02)


def test_the_choice_does_not_depend_on_what_was_drawn_before() -> None:
    data = of(waves(noise=1.0))
    before = choose(data)
    np.random.default_rng().normal(size=10)
    assert choose(data) == before


@pytest.mark.parametrize(
    ("X", "objective"),
    [
        (waves(noise=3.0), "next"),
        (waves(noise=0.1), None),  # clean
        (waves(channels=5, noise=3.0), None),  # few channels
        (waves(n=31, noise=3.0), None),  # few sequences
        (waves(length=15, noise=3.0), None),  # short sequences
        ([*waves(length=39, noise=3.0), waves(length=400)[0]], None),  # unequal ones
    ],
)
def test_the_rule(X: Array | list[Array], objective: str | None) -> None:
    assert choose(of(X)).objective == objective


def test_the_sentence_gives_the_numbers_and_the_other_flag() -> None:
    noisy = choose(of(waves(noise=3.0)))
    share = predictable_share(of(waves(noise=3.0)))
    assert (
        f"8 noisy channels (4 timesteps predict {round(100 * share)} %" in noisy.reason
    )
    assert "--init-from series-small" in str(noisy)
    clean = choose(of(waves()))
    assert "0 %" in clean.reason
    assert "--objective next" in str(clean)


def test_damaged_and_odd_data_are_trained_on() -> None:
    X = waves(noise=3.0)
    X[:, 3] = 7.0  # a constant channel
    X[:, 4, :30] = np.nan
    X[5, :6] = np.nan
    X[:, 2] *= 1e30
    ragged = [x[:, : 16 + i] for i, x in enumerate([*X, *X, *X])]
    ragged += [waves(length=128)[0]]
    assert choose(of(ragged)).objective == "next"
    embedder = TemporalJEPAEmbedder(steps=3, batch_size=2, random_state=0).fit(ragged)
    assert np.isfinite(embedder.transform(ragged)).all()


@pytest.mark.parametrize(
    "X",
    [
        np.zeros((1, 1, 1)),
        np.ones((3, 8, 5)),  # nothing varies
        np.arange(16.0).reshape(2, 8, 1),  # one timestep
        random_walks(2, 1, 10),
    ],
)
def test_tiny_data_keep_the_general_encoder(X: Array) -> None:
    assert 0 <= predictable_share(of(X)) <= 1
    assert choose(of(X)).objective is None


def test_many_constant_channels_are_clean() -> None:
    X = np.tile(np.arange(8.0)[:, None], (40, 1, 30))
    assert predictable_share(of(X)) == 1.0
    assert choose(of(X)).objective is None


def test_large_data_take_no_longer() -> None:
    X = np.random.default_rng(0).normal(size=(1000, 64, 300)).astype(np.float32)
    data = of(X)
    began = time.process_time()
    choose(data)
    assert time.process_time() - began < 1


def test_training_starts_as_chosen() -> None:
    noisy = of(waves(noise=3.0))
    start = start_of(noisy)
    assert start.source == "scratch"
    assert isinstance(start.objective, NextLatent)
    assert str(choose(noisy)) == start.reason
    assert start_of(of(waves())).source == "series-small"
    assert start_of(of(waves())).objective is None


def test_what_is_asked_for_overrides_the_choice() -> None:
    noisy = of(waves(noise=3.0))
    assert start_of(noisy, "series-small").source == "series-small"
    assert start_of(noisy, "scratch").objective is None
    assert repr(start_of(noisy, objective="contrast").objective) != repr(NextLatent())
    assert start_of(of(waves()), objective="next").source == "scratch"


def test_one_channel_is_never_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(sequences: Sequences) -> Choice:
        raise AssertionError

    monkeypatch.setattr("temporal_jepa.training.initial.choose", fail)
    noise = np.random.default_rng(0).normal(size=(40, 1, 60))
    assert start_of(of(noise)).source == "series-small"
    scene = of(np.random.default_rng(0).normal(size=(40, 20, 3, 2)))
    assert start_of(scene).objective is None


def test_the_chosen_objective_is_trained_and_stored() -> None:
    planned = plan(
        of(waves(noise=3.0)), None, PretrainConfig(steps=1), options=ReadOptions()
    )
    assert planned.details["objective"]["name"] == "next"
    assert planned.details["init_from"] == "scratch"


def test_an_estimator_follows_the_rule() -> None:
    X = waves(noise=3.0)
    embedder = TemporalJEPAEmbedder(steps=1, random_state=0).fit(X)
    assert embedder.model_.config.input_dim == 8
    assert embedder.model_.config.attention == "causal"
    frozen = TemporalJEPAEmbedder(frozen=True).fit(X)
    assert frozen.model_.config.channel_independent


def test_a_shape_of_the_model_does_not_change_what_is_trained() -> None:
    sequences = of(waves(noise=3.0))
    plain = start_of(sequences)
    shaped = start_of(sequences, architecture={"patch_len": 2, "normalize": "slow"})
    assert isinstance(plain.objective, NextLatent)
    assert isinstance(shaped.objective, NextLatent)
    assert "shaped by patch_len, normalize; trains next latents" in shaped.reason
    assert shaped.model(sequences, 0).config.normalize == "slow"
    for option in ({"mask_ratio": 0.5}, {"normalize": "instance"}, {"momentum": 0.9}):
        masked = start_of(sequences, architecture=option)
        assert masked.objective is None
        assert "trains masked latents" in masked.reason
