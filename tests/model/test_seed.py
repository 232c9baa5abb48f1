"""The seed's eight functions, row by row: names, defaults, shapes and contracts."""

import inspect

import pytest
import torch

import temporal_jepa
from temporal_jepa import TemporalJEPA, TemporalJEPAConfig

DEFAULTS = {
    "embed_dim": 128,
    "predictor_embed_dim": 64,
    "encoder_depth": 4,
    "predictor_depth": 2,
    "num_heads": 8,
    "dropout": 0.1,
    "seq_len": 60,
    "mask_ratio": 0.5,
    "momentum": 0.996,
}
NAMES = (
    "build",
    "build_context_encoder",
    "build_predictor",
    "default_momentum",
    "ema_update",
    "generate_temporal_mask",
    "loss",
    "output_size",
)


@pytest.mark.parametrize("name", NAMES)
def test_importable_and_attributes_of_the_class(name: str) -> None:
    assert callable(getattr(temporal_jepa, name))
    assert callable(getattr(TemporalJEPA, name))


@pytest.mark.parametrize(("option", "value"), DEFAULTS.items())
def test_option_defaults(option: str, value: object) -> None:
    assert getattr(TemporalJEPAConfig(input_dim=3), option) == value


def test_function_defaults() -> None:
    parameters = inspect.signature(temporal_jepa.ema_update).parameters
    assert parameters["momentum"].default == 0.996
    parameters = inspect.signature(temporal_jepa.generate_temporal_mask).parameters
    assert parameters["mask_ratio"].default == 0.5
    assert temporal_jepa.default_momentum() == TemporalJEPA.default_momentum() == 0.996


def test_output_size_needs_no_input_dim() -> None:
    assert temporal_jepa.output_size() == 128
    assert temporal_jepa.output_size(embed_dim=32) == 32
    assert TemporalJEPA.output_size(input_dim=1, embed_dim=32) == 32


def test_build_gives_two_modules_that_fit_together() -> None:
    encoder, predictor = TemporalJEPA.build(input_dim=5)
    x = torch.randn(3, 60, 5)
    assert encoder(x).shape == (3, 128)
    assert predictor(encoder(x)).shape == (3, 128)
    assert len(encoder.transformer.blocks) == 4
    assert len(predictor.blocks) == 2
    assert predictor.blocks[0][1].out_features == 4 * 64


@pytest.mark.parametrize("length", [1, 7, 60, 200])
def test_any_length_is_accepted(length: int) -> None:
    assert temporal_jepa.build_context_encoder(input_dim=2)(
        torch.randn(2, length, 2)
    ).shape == (
        2,
        128,
    )


def test_order_of_time_matters() -> None:
    encoder = temporal_jepa.build_context_encoder(input_dim=2).eval()
    x = torch.randn(1, 60, 2)
    assert (encoder(x) - encoder(x.flip(1))).abs().max() > 1e-3


@pytest.mark.parametrize("per_sample", [False, True])
def test_masked_timesteps_cannot_reach_the_output(per_sample: bool) -> None:
    encoder = temporal_jepa.build_context_encoder(input_dim=2).eval()
    x = torch.randn(3, 60, 2)
    other = torch.randn(3, 60, 2)
    visible = torch.rand(3, 60) > 0.5 if per_sample else torch.rand(60) > 0.5
    changed = torch.where(visible.expand(3, 60)[..., None], x, other)
    assert torch.equal(encoder(x, visible), encoder(changed, visible))
    assert (encoder(x, visible) - encoder(x)).abs().max() > 1e-4
    poisoned = torch.where(
        visible.expand(3, 60)[..., None], x, torch.full_like(x, float("inf"))
    )
    assert torch.equal(encoder(x, visible), encoder(poisoned, visible))


def test_observed_mask_is_padding() -> None:
    encoder = temporal_jepa.build_context_encoder(input_dim=2).eval()
    x = torch.randn(2, 40, 2)
    padded = torch.cat([x, torch.randn(2, 9, 2)], 1)
    observed = torch.arange(49)[None].expand(2, 49) < 40
    torch.testing.assert_close(
        encoder(padded, observed=observed), encoder(x), atol=1e-5, rtol=0
    )


def test_zero_dropout_and_depth_mean_zero() -> None:
    encoder, predictor = temporal_jepa.build(
        input_dim=2, dropout=0.0, encoder_depth=0, predictor_depth=0
    )
    x = torch.randn(2, 60, 2)
    assert len(encoder.transformer.blocks) == len(predictor.blocks) == 0
    assert torch.equal(encoder.train()(x), encoder.eval()(x))
    noisy = temporal_jepa.build_context_encoder(input_dim=2, dropout=0.5).train()
    assert not torch.equal(noisy(x), noisy(x))
    assert torch.equal(noisy.eval()(x), noisy(x))


def test_loss_is_smooth_l1_with_beta_one() -> None:
    predicted = torch.tensor([[0.0, 0.5], [3.0, -2.0]])
    target = torch.zeros(2, 2)
    assert temporal_jepa.loss(predicted, target).item() == pytest.approx(
        (0 + 0.125 + 2.5 + 1.5) / 4
    )
    with pytest.raises(ValueError, match="one shape"):
        temporal_jepa.loss(torch.zeros(2, 3), torch.zeros(3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"embed_dims": 3, "input_dim": 1}, "did you mean 'embed_dim'"),
        ({}, "input_dim is required"),
        ({"input_dim": 1, "mask_ratio": 1.0}, "strictly between 0 and 1, got 1.0"),
        ({"input_dim": 1, "embed_dim": 100}, "multiple of 16"),
        ({"input_dim": 0}, "at least 1, got 0"),
        (
            {"input_dim": 1, "tokenizer": "convolution"},
            "tokenizer must be .*'convolution'",
        ),
        ({"input_dim": 1, "dropout": 1.5}, r"dropout must be in \[0, 1\), got 1.5"),
    ],
)
def test_wrong_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        temporal_jepa.build(**options)


@pytest.mark.parametrize(
    ("x", "keywords", "message"),
    [
        (torch.zeros(2, 3, 60), {}, "axes look swapped"),
        (torch.zeros(60, 3), {}, r"must be \(batch, seq_len, input_dim=3\)"),
        (torch.zeros(2, 0, 3), {}, "seq_len must lie in"),
        (
            torch.zeros(2, 60, 3),
            {"visible": torch.zeros(60, dtype=torch.bool)},
            "at least one visible",
        ),
        (
            torch.zeros(2, 60, 3),
            {"visible": torch.ones(59, dtype=torch.bool)},
            "visible must be bool",
        ),
        (
            torch.zeros(2, 60, 3),
            {"observed": torch.ones(2, 60)},
            "observed must be bool",
        ),
    ],
)
def test_wrong_input(
    x: torch.Tensor, keywords: dict[str, torch.Tensor], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        temporal_jepa.build_context_encoder(input_dim=3)(x, **keywords)
