"""Claims about single models; what every model promises is in test_contract."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from factories import SMALL

from temporal_jepa.config import RECIPE, TemporalJEPAConfig
from temporal_jepa.model.encoder import QUANTILES, pool_tokens
from temporal_jepa.model.jepa import TemporalJEPA
from temporal_jepa.model.masks import gather_tokens, positions_of
from temporal_jepa.model.transformer import Block

NAN = float("nan")
SEED = TemporalJEPAConfig(input_dim=2, seq_len=32, **SMALL)
SERIES = TemporalJEPAConfig(input_dim=2, seq_len=32, **{**RECIPE, **SMALL}, patch_len=4)
DILATED = replace(SERIES, tokenizer="dilated", normalize="none")


def model_of(config: TemporalJEPAConfig, **changes: object) -> TemporalJEPA:
    torch.manual_seed(0)
    return TemporalJEPA(replace(config, **changes)).eval()


def sequences() -> torch.Tensor:
    """Random sequences: one with a gap, one with padding, one with a missing value."""
    x = torch.randn(6, 32, 2, generator=torch.Generator().manual_seed(1))
    x[0, 8:14] = NAN
    x[1, 27:] = NAN
    x[2, 3, 0] = NAN
    return x


def masks(model: TemporalJEPA, x: torch.Tensor) -> torch.Tensor:
    return model.draw_masks(x, torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "config", [SEED, DILATED, SERIES], ids=["linear", "dilated", "conv"]
)
def test_the_predictor_depends_on_the_masked_position(
    config: TemporalJEPAConfig,
) -> None:
    model = model_of(config)
    x = sequences()[3:4]
    encoder = model.context_encoder
    prepared, observed = encoder.prepare(x)
    visible = torch.zeros(1, observed.shape[1] // model.config.patch, dtype=torch.bool)
    visible[:, :3] = True
    context = encoder.encode(prepared, encoder.mask(observed, visible))
    predicted = model.predictor(context, torch.tensor([[4, 6]]), None)
    assert (predicted[0, 0] - predicted[0, 1]).abs().max() > 1e-4
    swapped = model.predictor(context, torch.tensor([[6, 4]]), None)
    torch.testing.assert_close(swapped.flip(1), predicted, atol=1e-5, rtol=1e-5)


def test_targets_have_no_dropout_and_are_normalized() -> None:
    model = model_of(SEED, dropout=0.5)
    assert torch.equal(model.embed(sequences()), model.embed(sequences()))
    model.train()
    assert not model.target_encoder.training
    assert model.context_encoder.training
    x, observed = model.context_encoder.prepare(sequences())
    first, encoded = model.targets(x, observed)
    assert torch.equal(first, model.targets(x, observed)[0])
    means = first[encoded].mean(-1)
    torch.testing.assert_close(means, torch.zeros_like(means), atol=1e-5, rtol=0)


@pytest.mark.parametrize("depth", [0, 2])
@pytest.mark.parametrize("config", [SEED, SERIES], ids=["sincos", "rotary"])
def test_a_last_layer_of_some_tokens_equals_that_of_all(
    config: TemporalJEPAConfig, depth: int
) -> None:
    encoder = model_of(config, encoder_depth=depth).context_encoder
    for x in (sequences(), torch.randn(2, 32, 2)):  # with and without missing values
        prepared, observed = encoder.prepare(x)
        tokens, encoded = encoder.encode(prepared, observed).on_grid()
        positions, valid = positions_of(encoded & (torch.rand(encoded.shape) < 0.5))
        some = encoder.encode_at(prepared, observed, positions)
        expected = gather_tokens(tokens, positions)
        if valid is not None:
            some, expected = some[valid], expected[valid]
        torch.testing.assert_close(some, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("keys", [5, 60])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["fp32", "bf16"])
def test_attention_is_the_fused_kernel_s(dtype: torch.dtype, keys: int) -> None:
    block = Block(32, num_heads=4, dropout=0.0, depth=1)
    q, k, v = (torch.randn(3, 4, keys, 8, dtype=dtype) for _ in range(3))
    attend = torch.rand(3, 1, 1, keys) < 0.7
    attend[..., 0] = True
    for mask in (None, attend):
        parts = [part.clone().requires_grad_() for part in (q, k, v)]
        ours = block._attend(*parts, mask)
        exact = [part.double().detach().requires_grad_() for part in (q, k, v)]
        fused = F.scaled_dot_product_attention(*exact, attn_mask=mask)
        ours.float().square().sum().backward()
        fused.square().sum().backward()
        atol = 1e-5 if dtype == torch.float32 else 0.1
        torch.testing.assert_close(ours.double(), fused, atol=atol, rtol=atol)
        for part, other in zip(parts, exact, strict=True):
            torch.testing.assert_close(
                part.grad.double(), other.grad, atol=atol, rtol=atol
            )


def test_several_masks_share_a_target_pass() -> None:
    model = model_of(SERIES, num_masks=3)
    x = sequences()
    visible = masks(model, x)
    assert visible.shape == (3, 6, 8)
    assert not torch.equal(visible[0], visible[1])
    # Rows of equal counts: the mean of the means is the mean.
    together = model(x[2:], visible[:, 2:])["prediction_loss"]
    apart = [model(x[2:], visible[i : i + 1, 2:])["prediction_loss"] for i in range(3)]
    torch.testing.assert_close(
        together, torch.stack(apart).mean(), atol=1e-5, rtol=1e-5
    )


def test_ema_moves_the_target_and_copies_the_normalizer() -> None:
    model = model_of(SERIES)
    mean = torch.tensor([1.0, 2.0])
    model.set_normalizer(mean, torch.tensor([3.0, 4.0]), torch.ones(2))
    with torch.no_grad():
        for parameter in model.context_encoder.parameters():
            parameter.add_(1.0)
    before = model.target_encoder.transformer.norm.weight.clone()
    model.update_target(0.75)
    torch.testing.assert_close(
        model.target_encoder.transformer.norm.weight, before + 0.25
    )
    torch.testing.assert_close(model.target_encoder.normalizer.mean, mean)


def test_scale_is_kept_where_instances_are_normalized() -> None:
    model = model_of(SERIES, normalize="instance")
    x = torch.randn(3, 32, 2)
    scaled = model.embed(5 * x + 3)
    plain = model.embed(x)
    torch.testing.assert_close(scaled[:, :-4], plain[:, :-4], atol=1e-3, rtol=1e-3)
    # The means are rounded to 1/1024.
    torch.testing.assert_close(
        scaled[:, -4:-2], 5 * plain[:, -4:-2] + 3, atol=6 / 2048, rtol=0
    )


def test_residual_branches_are_scaled_once() -> None:
    deep = TemporalJEPA(TemporalJEPAConfig(input_dim=2, encoder_depth=8))
    block = deep.context_encoder.transformer.blocks[0]
    xavier_out = (2 / (128 + 128)) ** 0.5
    xavier_qkv = (2 / (128 + 384)) ** 0.5
    assert block.out.weight.std().item() == pytest.approx(xavier_out / 4, rel=0.05)
    assert block.qkv.weight.std().item() == pytest.approx(xavier_qkv, rel=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x * NAN, "all missing"),
        (lambda x: x[:0], "at least one sequence"),
        (lambda x: x * 0 + 1e38, "not finite"),
    ],
    ids=["missing", "empty", "huge"],
)
def test_a_batch_that_cannot_be_embedded(change, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model_of(SERIES).embed(change(sequences()))


def test_wrong_pool_and_wrong_masks() -> None:
    model = model_of(SERIES)
    x = sequences()
    with pytest.raises(ValueError, match="pool"):
        model.embed(x, "max")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"visible .*\(6, 8\)"):
        model(x, masks(model, x)[0])
    assert model.embed(x.double()).dtype == torch.float32


def test_a_batch_with_nothing_observed_has_a_finite_loss() -> None:
    model = model_of(SERIES)
    x = torch.full((2, 32, 2), NAN)
    assert all(bool(term.isfinite()) for term in model(x, masks(model, x)).values())


def test_prediction_error_is_at_the_masked_tokens() -> None:
    model = model_of(SERIES)
    x = sequences()
    visible = masks(model, x)[0]
    error = model.prediction_error(x, visible)
    observed = model.context_encoder.tokens_observed(
        model.context_encoder.prepare(x)[1]
    )
    assert torch.equal(~error.isnan(), observed & ~visible)
    with pytest.raises(ValueError, match="pooled"):
        model_of(SERIES, predict="pooled").prediction_error(x, visible)


@pytest.mark.parametrize(
    ("length", "patch"), [(60, 1), (64, 1), (65, 2), (256, 4), (500, 8), (900, 16)]
)
def test_patch_length_follows_the_series_length(length: int, patch: int) -> None:
    assert TemporalJEPAConfig(input_dim=1, seq_len=length, **RECIPE).patch == patch


def test_quantiles_with_gradients_are_those_without() -> None:
    """NumPy sorts where no gradient is wanted."""
    encoder = model_of(SERIES).target_encoder.requires_grad_(True)
    x, observed = encoder.prepare(sequences())
    for drop in (False, True):
        pooled = pool_tokens(encoder.encode(x, observed, drop), "quantiles")
        assert pooled.requires_grad
        with torch.no_grad():
            plain = pool_tokens(encoder.encode(x, observed, drop), "quantiles")
        torch.testing.assert_close(plain, pooled, atol=1e-6, rtol=1e-5)


def test_quantiles_are_those_of_the_observed_tokens() -> None:
    model = model_of(SERIES)
    x = sequences()[:2]
    x[1, 16:] = NAN  # four of eight tokens
    encoded = model.target_encoder.encode(*model.target_encoder.prepare(x))
    pooled = pool_tokens(encoded, "quantiles")
    assert pooled.shape == (2, 3 * len(QUANTILES) * 16)
    tokens = encoded.layers[0][1, :4]
    wanted = torch.quantile(tokens, torch.tensor(QUANTILES), dim=0).flatten()
    torch.testing.assert_close(pooled[1, : len(wanted)], wanted)


def test_a_training_step_draws_masks_and_computes_the_objective() -> None:
    model = model_of(SERIES)
    x = sequences()
    terms = model.training_step(x, torch.Generator().manual_seed(0))
    assert terms["loss"].requires_grad
    torch.testing.assert_close(terms, model(x, masks(model, x)), rtol=0, atol=0)
    model.offset = torch.tensor([2.0**30, -(2.0**29)])
    far = x.double() + model.offset.double()
    moved = model.training_step(far, torch.Generator().manual_seed(0))
    torch.testing.assert_close(moved["loss"], terms["loss"])


def test_a_training_step_follows_the_seed_of_torch() -> None:
    model = model_of(SERIES)
    losses = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        losses.append(model.training_step(sequences())["loss"].item())
    assert losses[0] == losses[1] != losses[2]
