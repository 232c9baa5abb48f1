"""Slow features, against what they are made of, and as a normalizer."""

import numpy as np
import pytest
import torch
from factories import random_walks

from temporal_jepa import PretrainConfig, Sequences, from_pretrained, save_pretrained
from temporal_jepa.embed import embed_sequences
from temporal_jepa.model.jepa import random_init_like
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.slow import slow_mixtures
from temporal_jepa.training.trainer import train

SMALL = {"embed_dim": 16, "num_heads": 2, "patch_len": 4, "normalize": "slow"}


def mixed(n: int = 40) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A slow and a fast wave and white noise, `(n, 3, 200)`, mixed; sources and mixture."""
    rng = np.random.default_rng(0)
    time = np.arange(200)
    phase = rng.uniform(0, 6, (2, n, 1))
    sources = np.stack(
        [
            np.sin(0.03 * time + phase[0]),
            np.sin(0.3 * time + phase[1]),
            3 * rng.normal(size=(n, 200)),
        ],
        axis=1,
    )
    mixture = rng.normal(size=(3, 3))
    return np.einsum("nst,sc->nct", sources, mixture), sources, mixture


def test_mixtures_are_uncorrelated_and_the_slowest_comes_first() -> None:
    x, sources, _ = mixed()
    values = [each.T for each in x]
    flat = np.concatenate(values)
    mean, std = flat.mean(0), flat.std(0)
    mixing, slope = slow_mixtures(values, mean, std, lag=4)
    found = (flat - mean) / std @ mixing
    np.testing.assert_allclose(np.cov(found.T), np.eye(3), atol=0.01)
    truth = sources.transpose(0, 2, 1).reshape(-1, 3)
    for k in range(3):
        assert abs(np.corrcoef(found[:, k], truth[:, k])[0, 1]) > 0.99
    steps = np.concatenate([np.diff(each, axis=0) for each in (values - mean) / std])
    np.testing.assert_allclose(slope, (steps @ mixing).std(0), rtol=1e-2)
    assert slope[0] < slope[1] < slope[2]


@pytest.mark.parametrize("kind", ["constant", "twice", "missing", "short"])
def test_odd_channels_stay_finite(kind: str) -> None:
    x = random_walks(12, 3, 40)
    if kind == "constant":
        x[:, 1] = 2.0
    if kind == "twice":
        x[:, 1] = x[:, 0]
    if kind == "missing":
        x[::2, 1] = np.nan
        x[3, :, 10:20] = np.nan
    if kind == "short":
        x = x[:, :, :4]
    data = Sequences.from_arrays(x)
    model = initial_model(data, 0, **SMALL)
    assert bool(model.context_encoder.normalizer.mixing.isfinite().all())
    assert np.isfinite(embed_sequences(model.eval(), data)).all()


def test_values_that_are_missing_do_not_reach_the_tokens() -> None:
    data = Sequences.from_arrays(random_walks(12, 3, 40))
    encoder = initial_model(data, 0, objective="next", **SMALL).context_encoder.eval()
    x = torch.randn(4, 40, 3)
    prepared, observed = encoder.prepare(x)
    observed = observed.clone()
    observed[:, 8:12] = False
    changed = prepared.clone()
    changed[:, 8:12] += 5
    a, b = (encoder.tokens(values, observed) for values in (prepared, changed))
    torch.testing.assert_close(a, b)


def test_a_model_is_trained_stored_and_compared(tmp_path) -> None:
    x, _, _ = mixed(24)
    data = Sequences.from_arrays(x)
    model = initial_model(data, 0, objective="next", **SMALL)
    train(model, data, PretrainConfig(steps=3, device="cpu"))
    loaded = from_pretrained(save_pretrained(model, tmp_path))
    np.testing.assert_array_equal(
        embed_sequences(model, data), embed_sequences(loaded, data)
    )
    control = random_init_like(model, 1)
    ours, theirs = (m.target_encoder.normalizer.mixing for m in (model, control))
    torch.testing.assert_close(ours, theirs)
    assert not bool((ours == torch.eye(3)).all())


def test_frames_are_refused() -> None:
    video = Sequences.from_arrays(random_walks(12, 3, 40))
    with pytest.raises(ValueError, match=r'normalize must be "dataset", "instance"'):
        initial_model(video, 0, frame=(1, 3, 1), **SMALL)


def test_mixtures_are_computed_in_full_precision() -> None:
    x = random_walks(12, 3, 40)
    x[:, 1] = x[:, 0] + 0.01 * x[:, 2]  # their difference becomes a mixture
    model = initial_model(Sequences.from_arrays(x), 0, **SMALL)
    normalizer = model.context_encoder.normalizer
    values = torch.from_numpy(x.transpose(0, 2, 1)).float()
    observed = torch.ones_like(values, dtype=torch.bool)
    expected = normalizer(values, observed)
    with torch.autocast("cpu", torch.bfloat16):
        found = normalizer(values, observed)
    torch.testing.assert_close(found, expected)
