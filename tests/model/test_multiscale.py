"""The encoder of several resolutions: channels encoded separately, raw values concatenated."""

from pathlib import Path

import numpy as np
import pytest
import torch
from factories import random_walks

from temporal_jepa import Sequences
from temporal_jepa.config import RECIPE, TemporalJEPAConfig
from temporal_jepa.embed import embed_sequences, embed_timesteps, embed_tokens
from temporal_jepa.model.export import export
from temporal_jepa.model.jepa import TemporalJEPA

SMALL = {
    **RECIPE,
    "tokenizer": "dilated",
    "normalize": "instance",
    "embed_dim": 16,
    "num_heads": 2,
    "predictor_embed_dim": 16,
    "patch_len": 8,
}
FEATURES = 2 * 3 * 5 * 16  # resolutions x layers x quantiles x width


@pytest.fixture(scope="module")
def model() -> TemporalJEPA:
    torch.manual_seed(0)
    return TemporalJEPA(
        TemporalJEPAConfig(input_dim=1, resolutions=(32, 64), **SMALL)
    ).eval()


def test_channels_are_embedded_by_themselves_and_added_with_signs(
    model: TemporalJEPA,
) -> None:
    X = random_walks(4, 2, 50)
    both, first, second = (
        embed_sequences(model, Sequences.from_arrays(x))
        for x in (X, X[:, :1], X[:, 1:])
    )
    assert both.shape == (4, FEATURES + 2 * 258)
    plus, minus = (first[:, :FEATURES] + s * second[:, :FEATURES] for s in (1, -1))
    apart = [
        np.abs(np.abs(both[:, :FEATURES]) - np.abs(sum_)) for sum_ in (plus, minus)
    ]
    assert np.minimum(*apart).max() < 1e-4
    assert min(part.max() for part in apart) > 0.1  # both signs occur


def test_level_and_scale_are_in_the_values_only(model: TemporalJEPA) -> None:
    X = random_walks(3, 1, 70)
    Z, scaled = (
        embed_sequences(model, Sequences.from_arrays(x)) for x in (X, X * 1e-4 + 3)
    )
    # float32 holds 3 + 1e-4 x to four digits.
    np.testing.assert_allclose(Z[:, :FEATURES], scaled[:, :FEATURES], atol=0.02)
    np.testing.assert_allclose(
        scaled[:, FEATURES:-2], 3 + 1e-4 * Z[:, FEATURES:-2], rtol=1e-5
    )
    np.testing.assert_allclose(
        Z[:, [FEATURES, FEATURES + 255]], X[:, 0, [0, -1]], rtol=1e-5
    )
    np.testing.assert_allclose(
        Z[:, -2:], np.stack([X[:, 0].mean(1), X[:, 0].std(1)], 1), atol=5e-3
    )


def test_standardized_series_have_one_level_and_scale(model: TemporalJEPA) -> None:
    """Otherwise rounding errors are features: hundreds of deviations on the UCR set Symbols."""
    X = random_walks(6, 1, 80)
    X = (X - X.mean(2, keepdims=True)) / X.std(2, keepdims=True)
    X = X * (1 + 1e-6 * np.arange(6)[:, None, None]) + 1e-6
    Z = embed_sequences(model, Sequences.from_arrays(X))
    np.testing.assert_array_equal(Z[:, -2:], np.tile(np.float32([0, 1]), (6, 1)))


def test_a_hundred_channels_do_not_make_a_hundred_times_the_features(
    model: TemporalJEPA,
) -> None:
    Z = embed_sequences(model, Sequences.from_arrays(random_walks(2, 100, 30)))
    assert Z.shape == (2, FEATURES + 100 * (20 + 2))


def test_length_padding_and_missing_values(model: TemporalJEPA) -> None:
    x = random_walks(1, 2, 9)[0]
    padded = np.pad(x, ((0, 0), (3, 5)), constant_values=np.nan)
    Z = embed_sequences(
        model, Sequences.from_arrays([x, padded, random_walks(1, 2, 300)[0]])
    )
    np.testing.assert_allclose(Z[0], Z[1], atol=1e-5)
    line = np.linspace(0, 1, 40, dtype=np.float32)[None]
    holed = line.copy()
    holed[:, 10:20] = np.nan
    Z = embed_sequences(model, Sequences.from_arrays([line, holed]))
    np.testing.assert_allclose(Z[0], Z[1], atol=1e-3)
    absent = np.stack([x[0], np.full(9, np.nan)])
    assert np.isfinite(embed_sequences(model, Sequences.from_arrays([absent, x]))).all()
    assert np.isfinite(
        embed_sequences(model, Sequences.from_arrays([x[:, :1], x[:, :2]]))
    ).all()


@pytest.mark.parametrize(
    ("value", "message"), [(np.inf, "infinite"), (np.nan, "all missing")]
)
def test_a_sequence_that_cannot_be_embedded(
    model: TemporalJEPA, value: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        embed_sequences(model, Sequences([np.full((20, 1), value, dtype=np.float32)]))


def test_resolutions_need_a_model_of_one_channel() -> None:
    with pytest.raises(ValueError, match="input_dim must be 1 with resolutions"):
        TemporalJEPAConfig(input_dim=2, resolutions=(32,), **SMALL)


def test_timesteps_are_tokens_of_the_longest_resolution_linear_in_between(
    model: TemporalJEPA,
) -> None:
    x = random_walks(1, 2, 64)[0].T.copy()
    padded = np.pad(x, ((5, 3), (0, 0)), constant_values=np.nan)
    tokens, seen = embed_tokens(model, Sequences([x]))
    assert tokens.shape == (1, 8, 16)
    assert seen.all()
    steps, later = embed_timesteps(model, Sequences([x, padded]))
    assert steps.shape == (64, 16)
    np.testing.assert_allclose(later[5:-3], steps, atol=1e-5)
    assert np.isnan(later[:5]).all()
    assert np.isnan(later[-3:]).all()
    # The first patch has its middle at 3.5, the second at 11.5.
    np.testing.assert_allclose(steps[3], tokens[0, 0], atol=1e-5)
    between = tokens[0, 0] / 16 + tokens[0, 1] * 15 / 16
    np.testing.assert_allclose(steps[11], between, atol=1e-5)
    one = embed_timesteps(model, Sequences([x[:1]]))[0]
    assert one.shape == (1, 16)
    assert np.isfinite(one).all()


def test_wrong_shapes_are_named(model: TemporalJEPA) -> None:
    for bad in (torch.zeros(4, 3), torch.zeros(0, 4, 3)):
        with pytest.raises(ValueError, match=r"x must be \(batch, seq_len, channels\)"):
            model.embed(bad)
    x = torch.from_numpy(random_walks(2, 40, 2))
    assert model.embed(x.bfloat16()).dtype == torch.float32


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_an_onnx_graph_keeps_constants_and_small_shapes_on_large_levels(
    model: TemporalJEPA, tmp_path: Path
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(export(model, tmp_path / "m.onnx", channels=3))
    x = random_walks(2, 50, 3)
    x[:, :, 0] = 3.3
    x[:, :, 1] = 1e3 + 1e-3 * x[:, :, 1]
    x[:, :, 2] *= 1e-20
    found = session.run(None, {"x": x})[0]
    wanted = model.embed(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-4, rtol=1e-4)
