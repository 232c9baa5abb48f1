"""The encoder of several resolutions: channels encoded separately, raw values concatenated."""

from pathlib import Path

import numpy as np
import pytest
import torch
from factories import random_walks
from graphs import writes_graphs

from temporal_jepa import Sequences
from temporal_jepa.config import RECIPE, TemporalJEPAConfig
from temporal_jepa.embed import embed_sequences, embed_timesteps, embed_tokens
from temporal_jepa.model.export import export
from temporal_jepa.model.jepa import TemporalJEPA
from temporal_jepa.model.multiscale import windows_at

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


@pytest.mark.parametrize(
    ("level", "scale", "tolerance"),
    [(1e9, 1.0, 1e-4), (1e12, 1.0, 0.1), (0.0, 1e-42, 1e-4), (0.0, 1e-300, 1e-4)],
)
def test_what_float32_cannot_hold_keeps_its_shape(
    model: TemporalJEPA, level: float, scale: float, tolerance: float
) -> None:
    wave = np.sin(np.arange(70) / 5)[None, None]
    Z, moved = (
        embed_sequences(model, Sequences.from_arrays(x))[:, :FEATURES]
        for x in (wave, level + scale * wave)
    )
    np.testing.assert_allclose(moved, Z, atol=tolerance)
    constant = np.full((1, 1, 70), level + 0.1)
    noise = constant * (1 + 1e-15 * (np.arange(70) % 2))  # rounding errors
    plain, noisy = (
        embed_sequences(model, Sequences.from_arrays(x)) for x in (constant, noise)
    )
    np.testing.assert_array_equal(plain[:, :FEATURES], noisy[:, :FEATURES])


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


@pytest.mark.parametrize("resolutions", [(4,), (20,), (True,), ("8",), (-1,)])
def test_resolutions_are_shares_or_whole_patches(resolutions: tuple) -> None:
    with pytest.raises(ValueError, match="from 0 to 1, or multiples of patch_len=8"):
        TemporalJEPAConfig(input_dim=1, resolutions=resolutions, **SMALL)


def test_resolutions_need_convolutions() -> None:
    options = {**SMALL, "tokenizer": "linear", "patch_len": 1}
    with pytest.raises(ValueError, match='tokenizer must be "conv", "dilated"'):
        TemporalJEPAConfig(input_dim=1, resolutions=(32,), **options)


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


@writes_graphs
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


@pytest.fixture(scope="module")
def following() -> TemporalJEPA:
    """A model whose resolutions follow the length."""
    torch.manual_seed(0)
    options = {**SMALL, "tokenizer": "filters", "resolutions": (0, 0.5, 1)}
    return TemporalJEPA(TemporalJEPAConfig(input_dim=1, **options)).eval()


OF_RESPONSES = 5 * 5 * 8  # dilations x quantiles x kernels
OF_FILTERS = 3 * (OF_RESPONSES + 2 * 5 * 16)  # resolutions x (responses + two layers)


def test_resolutions_follow_the_length(following: TemporalJEPA) -> None:
    shapes = {
        length: [windows_at(following.config, r, length) for r in (0, 0.5, 1)]
        for length in (1, 20, 100, 300, 2000, 10**6)
    }
    assert shapes[1] == [(1, 8)] * 3
    assert shapes[20] == [(1, 40)] * 3  # at most twice the length
    assert shapes[100] == [(1, 64), (1, 96), (1, 128)]
    assert shapes[300] == [(1, 64), (1, 144), (2, 152)]
    assert shapes[2000] == [(1, 64), (2, 184), (8, 256)]
    assert shapes[10**6][2] == (256, 256)  # no more than 65,536
    assert windows_at(following.config, 48, 2000) == (1, 48)
    for resolutions in ((1.5,), (-0.1, 1)):
        with pytest.raises(
            ValueError, match="resolutions must be from 0 to 1, or multi"
        ):
            TemporalJEPAConfig(
                input_dim=1,
                **{**SMALL, "tokenizer": "filters", "resolutions": resolutions},
            )


def test_responses_are_of_shape_alone(following: TemporalJEPA) -> None:
    X = random_walks(3, 1, 300)
    Z, scaled = (
        embed_sequences(following, Sequences.from_arrays(x)) for x in (X, 9 * X - 5)
    )
    assert Z.shape == (3, OF_FILTERS + 258)
    np.testing.assert_allclose(Z[:, :OF_FILTERS], scaled[:, :OF_FILTERS], atol=1e-3)
    tokenizer = following.target_encoder.tokenizer
    x = torch.from_numpy(X.transpose(0, 2, 1))
    slope = torch.ones(1)
    plain, shifted = (
        tokenizer.responses(v, None, slope)[..., 70:-70] for v in (x, x + 3)
    )
    torch.testing.assert_close(plain, shifted, atol=1e-4, rtol=1e-4)


def test_features_are_quantiles_of_responses_and_tokens(
    following: TemporalJEPA,
) -> None:
    x = random_walks(1, 1, 128)
    Z = embed_sequences(following, Sequences.from_arrays(x))[0]
    encoder = following.target_encoder
    row = torch.from_numpy((x[0] - x.mean()) / x.std())[..., None]
    with torch.no_grad():
        responses = encoder.tokenizer.responses(row, None, encoder.normalizer.slope)[0]
        observed = torch.ones_like(row, dtype=torch.bool)
        layers = encoder.encode(row, observed).layers[1:]
    highest = Z[2 * OF_FILTERS // 3 : OF_FILTERS]
    of_responses = np.quantile(responses.numpy(), (0.2, 0.4, 0.6, 0.8, 1.0), axis=1)
    levels = (0.1, 0.25, 0.5, 0.75, 0.9)
    of_layers = [np.quantile(tokens[0].numpy(), levels, axis=0) for tokens in layers]
    assert len(of_layers) == 2
    wanted = np.abs(np.concatenate([x.ravel() for x in (of_responses, *of_layers)]))
    # A channel has random signs.
    np.testing.assert_allclose(np.abs(highest), wanted, atol=1e-4)


def test_tokens_attend_within_windows(following: TemporalJEPA) -> None:
    """A change in the last window moves no token of the others, beyond the kernels' reach."""
    row = torch.from_numpy(random_walks(1, 1, 1024)[0, 0])[None, :, None]
    row = (row - row.mean()) / row.std()
    other = row.clone()
    other[:, -256:] = 2 * row[:, -256] - row[:, -256:]  # steps of the same size
    reader = following.embedder()
    with torch.no_grad():
        encoded, changed = (
            reader._encode(x, None, 4)[1].layers[-1][0] for x in (row, other)
        )
    assert encoded.shape == (128, 16)
    apart = (encoded - changed).abs().amax(1)
    assert float(apart[:64].max()) < 1e-4
    assert float(apart[-16:].max()) > 0.1


def test_tokens_of_unequal_lengths_are_padded(following: TemporalJEPA) -> None:
    short, long = random_walks(1, 2, 40)[0].T, random_walks(1, 2, 300)[0].T
    tokens, observed = embed_tokens(following, Sequences([short.copy(), long.copy()]))
    assert observed.sum(1).tolist() == [10, 38]
    assert not tokens[0, 10:].any()
    x = np.full((2, 300, 2), np.nan, dtype=np.float32)
    x[0, 5:45] = short
    x[1] = long
    padded, seen = following.embed_tokens(torch.from_numpy(x))
    np.testing.assert_array_equal(seen.numpy(), observed)
    np.testing.assert_allclose(padded.numpy(), tokens, atol=1e-5)


def test_masked_tokens_are_no_part_of_the_features(following: TemporalJEPA) -> None:
    """As in fine-tuning; gradients reach the kernels through the quantiles."""
    x = torch.from_numpy(random_walks(2, 1, 300).transpose(0, 2, 1).copy())
    reader = following.embedder()
    encoder = following.target_encoder.requires_grad_(True)
    try:
        masked = reader.features(x, 0.5, torch.Generator().manual_seed(0))
        masked[:, :OF_FILTERS].square().sum().backward()
        assert float(encoder.tokenizer.convolutions[0].weight.grad.abs().sum()) > 0
    finally:
        encoder.requires_grad_(False)
        encoder.zero_grad()
    again = reader.features(x, 0.5, torch.Generator().manual_seed(0))
    torch.testing.assert_close(masked.detach(), again)
    other = reader.features(x, 0.5, torch.Generator().manual_seed(1))
    assert float((again - other).abs().max()) > 0.1


@writes_graphs
@pytest.mark.filterwarnings("ignore")
def test_a_graph_of_resolutions_that_follow_the_length_has_one_length(
    following: TemporalJEPA, model: TemporalJEPA, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="pass length="):
        export(following, tmp_path / "m.pt2", "torch")
    with pytest.raises(ValueError, match="at least 1 timestep, got 0"):
        export(following, tmp_path / "m.pt2", "torch", length=0)
    with pytest.raises(ValueError, match="length= has no effect"):
        export(model, tmp_path / "m.pt2", "torch", length=50)
    path = export(following, tmp_path / "m.pt2", "torch", channels=2, length=300)
    x = torch.from_numpy(random_walks(3, 2, 300).transpose(0, 2, 1).copy())
    found = torch.export.load(path).module()(x)
    torch.testing.assert_close(found, following.embed(x), atol=1e-4, rtol=1e-4)
