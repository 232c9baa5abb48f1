"""Claims about the model: what cannot leak, what cannot matter, what must learn."""

from dataclasses import replace

import pytest
import torch

from temporal_jepa.config import RECIPE, TemporalJEPAConfig
from temporal_jepa.model.jepa import TemporalJEPA

NAN = float("nan")
SMALL = {
    "embed_dim": 16,
    "predictor_embed_dim": 16,
    "num_heads": 2,
    "encoder_depth": 2,
    "predictor_depth": 1,
}
CONFIGS = {
    "seed": TemporalJEPAConfig(input_dim=2, seq_len=32, **SMALL, dropout=0.0),
    "dilated": TemporalJEPAConfig(
        input_dim=2,
        seq_len=32,
        **SMALL,
        dropout=0.0,
        tokenizer="dilated",
        patch_len=4,
        positions="rotary",
    ),
    "recipe": TemporalJEPAConfig(input_dim=2, seq_len=32, **{**RECIPE, **SMALL}, patch_len=4),
    "instance": TemporalJEPAConfig(
        input_dim=2,
        seq_len=32,
        **{**RECIPE, **SMALL, "normalize": "instance", "mask": "future"},
        patch_len=4,
    ),
    "pooled": TemporalJEPAConfig(
        input_dim=2, seq_len=32, **{**RECIPE, **SMALL, "predict": "pooled"}, patch_len=4
    ),
}
every_config = pytest.mark.parametrize("name", CONFIGS)


def built(name: str, **changes: object) -> TemporalJEPA:
    torch.manual_seed(0)
    return TemporalJEPA(replace(CONFIGS[name], **changes)).eval()


def series(batch: int = 6, length: int = 32) -> torch.Tensor:
    """Random series with a gap in one, padding in another and one missing channel value."""
    x = torch.randn(batch, length, 2, generator=torch.Generator().manual_seed(1))
    x[0, 8:14] = NAN
    x[1, 27:] = NAN
    x[2, 3, 0] = NAN
    return x


def masks(model: TemporalJEPA, x: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return model.draw_masks(x, torch.Generator().manual_seed(seed))


@every_config
def test_gradients_reach_every_trainable_parameter_and_no_target(name: str) -> None:
    model = built(name).train()
    x = series()
    model(x, masks(model, x))["loss"].backward()
    for part, parameter in model.named_parameters():
        if part.startswith("target_encoder"):
            assert parameter.grad is None
            assert not parameter.requires_grad
        else:
            assert parameter.grad is not None, part
            assert float(parameter.grad.abs().sum()) > 0 or part.endswith("qkv.bias"), part


@every_config
def test_masked_content_cannot_move_the_context(name: str) -> None:
    model = built(name)
    encoder = model.context_encoder
    x = series()
    visible = masks(model, x)[0]
    hidden = (~visible).repeat_interleave(model.config.patch, 1)[:, :32, None]
    changed = torch.where(hidden & ~x.isnan(), 100 * torch.randn_like(x), x)
    outputs = []
    for content in (x, changed):
        content, known = encoder.prepare(content)
        outputs.append(encoder.encode(content, encoder.mask(known, visible)).layers[-1])
    assert torch.equal(*outputs)
    assert not torch.equal(model.embed(x), model.embed(changed))


@every_config
def test_padding_cannot_move_anything(name: str) -> None:
    model = built(name)
    x = series()
    padded = torch.cat([x, torch.full((6, 13, 2), NAN)], 1)
    for pool in ("mean", "all", "quantiles"):
        torch.testing.assert_close(
            model.embed(padded, pool), model.embed(x, pool), atol=1e-5, rtol=1e-5
        )
    steps = model.embed_timesteps(padded)
    torch.testing.assert_close(
        steps[:, :32], model.embed_timesteps(x), atol=1e-5, rtol=1e-5, equal_nan=True
    )
    visible = masks(model, x)
    more = torch.cat(
        [
            visible,
            torch.zeros(*visible.shape[:2], -(-45 // model.config.patch) - visible.shape[2]).bool(),
        ],
        2,
    )
    plain = model(x, visible)
    long = model(padded, more)
    for term in plain:
        torch.testing.assert_close(long[term], plain[term], atol=1e-5, rtol=1e-4)


@every_config
def test_a_batch_cannot_change_a_row(name: str) -> None:
    model = built(name)
    x = series()
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(model.embed(x[order]), model.embed(x)[order], atol=1e-5, rtol=1e-5)
    alone = torch.cat([model.embed(row[None]) for row in x])
    torch.testing.assert_close(alone, model.embed(x), atol=1e-5, rtol=1e-5)


@every_config
def test_dropping_tokens_equals_masking_them(name: str) -> None:
    encoder = built(name).target_encoder
    x, known = encoder.prepare(series())
    dropped, there = encoder.encode(x, known).on_grid()
    masked, same = encoder.encode(x, known, drop=False).on_grid()
    assert torch.equal(there, same)
    torch.testing.assert_close(dropped[there], masked[there], atol=1e-5, rtol=1e-5)


@every_config
def test_missing_values_are_not_zeros(name: str) -> None:
    model = built(name)
    x = torch.randn(2, 32, 2)
    x[:, 8:20] = NAN
    assert bool(model.embed(x).isfinite().all())
    assert not torch.allclose(model.embed(x), model.embed(x.nan_to_num(0.0)), atol=1e-3)


@pytest.mark.parametrize("name", ["seed", "dilated", "recipe"])
def test_the_predictor_knows_which_positions_are_asked(name: str) -> None:
    model = built(name)
    x = series(4)[3:]
    encoder = model.context_encoder
    prepared, known = encoder.prepare(x)
    visible = torch.zeros(1, known.shape[1] // model.config.patch, dtype=torch.bool)
    visible[:, :3] = True
    context = encoder.encode(prepared, encoder.mask(known, visible))
    predicted = model.predictor(context, torch.tensor([[4, 6]]), None)
    assert (predicted[0, 0] - predicted[0, 1]).abs().max() > 1e-4
    swapped = model.predictor(context, torch.tensor([[6, 4]]), None)
    torch.testing.assert_close(swapped.flip(1), predicted, atol=1e-5, rtol=1e-5)


def test_targets_have_no_dropout_and_are_normalised() -> None:
    torch.manual_seed(0)
    model = TemporalJEPA(replace(CONFIGS["seed"], dropout=0.5))
    assert torch.equal(model.embed(series()), model.embed(series()))
    model.train()
    assert not model.target_encoder.training
    assert model.context_encoder.training
    x, known = model.context_encoder.prepare(series())
    first, seen = model.targets(x, known)
    assert torch.equal(first, model.targets(x, known)[0])
    torch.testing.assert_close(
        first[seen].mean(-1), torch.zeros(int(seen.sum())), atol=1e-5, rtol=0
    )


def test_several_masks_share_a_target_pass() -> None:
    model = built("recipe", num_masks=3)
    x = series()
    visible = masks(model, x)
    assert visible.shape == (3, 6, 8)
    assert not torch.equal(visible[0], visible[1])
    together = model(x[2:], visible[:, 2:])[
        "prediction_loss"
    ]  # equal counts: the mean of means is the mean
    apart = torch.stack(
        [model(x[2:], visible[i : i + 1, 2:])["prediction_loss"] for i in range(3)]
    ).mean()
    torch.testing.assert_close(together, apart, atol=1e-5, rtol=1e-5)


def test_ema_moves_the_target_and_copies_the_normaliser() -> None:
    model = built("recipe")
    model.set_normalizer(
        torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]), torch.tensor([1.0, 1.0])
    )
    with torch.no_grad():
        for parameter in model.context_encoder.parameters():
            parameter.add_(1.0)
    before = model.target_encoder.transformer.norm.weight.clone()
    model.update_target(0.75)
    torch.testing.assert_close(model.target_encoder.transformer.norm.weight, before + 0.25)
    torch.testing.assert_close(model.target_encoder.normalizer.mean, torch.tensor([1.0, 2.0]))


def test_scale_is_kept_where_instances_are_normalised() -> None:
    model = built("instance")
    x = torch.randn(3, 32, 2)
    scaled = model.embed(5 * x + 3)
    plain = model.embed(x)
    torch.testing.assert_close(scaled[:, :-4], plain[:, :-4], atol=1e-3, rtol=1e-3)
    torch.testing.assert_close(
        scaled[:, -4:-2], 5 * plain[:, -4:-2] + 3, atol=6 / 2048, rtol=0
    )  # in steps of 1/1024


def test_residual_branches_are_scaled_once() -> None:
    deep = TemporalJEPA(TemporalJEPAConfig(input_dim=2, encoder_depth=8))
    out = deep.context_encoder.transformer.blocks[0].out.weight
    qkv = deep.context_encoder.transformer.blocks[0].qkv.weight
    xavier = (2 / (128 + 128)) ** 0.5, (2 / (128 + 384)) ** 0.5
    assert out.std().item() == pytest.approx(xavier[0] / 4, rel=0.05)
    assert qkv.std().item() == pytest.approx(xavier[1], rel=0.05)


def test_embeddings_have_the_promised_shape() -> None:
    model = built("recipe")
    x = series()
    assert model.embed(x, "mean").shape == (6, 16)
    assert model.embed(x, "all").shape == (6, 48 * 3)
    steps = model.embed_timesteps(x)
    assert steps.shape == (6, 32, 16)
    assert bool(steps[1, 28:].isnan().all())
    assert not bool(steps[3:].isnan().any())
    with pytest.raises(ValueError, match="pool must be"):
        model.embed(x, "max")  # type: ignore[arg-type]
    assert model.embed(x.double()).dtype == torch.float32
    for bad, message in (
        (torch.full((1, 32, 2), NAN), "all missing"),
        (x[:0], "batch of 0"),
        (1 / x * 0 + 1e38, "not finite"),
    ):
        with pytest.raises(ValueError, match=message):
            model.embed(bad)
    with pytest.raises(ValueError, match=r"visible must be \(masks, 6, 8\), got \(6, 8\)"):
        model(x, masks(model, x)[0])


def test_a_batch_with_nothing_observed_has_a_finite_loss() -> None:
    model = built("recipe")
    x = torch.full((2, 32, 2), NAN)
    assert all(bool(term.isfinite()) for term in model(x, masks(model, x)).values())


def test_prediction_error_is_where_it_was_asked() -> None:
    model = built("recipe")
    x = series()
    visible = masks(model, x)[0]
    error = model.prediction_error(x, visible)
    seen = model.context_encoder.tokens_observed(model.context_encoder.prepare(x)[1])
    assert torch.equal(~error.isnan(), seen & ~visible)
    with pytest.raises(ValueError, match="pooled"):
        built("pooled").prediction_error(x, visible)


def test_patch_length_follows_the_series_length() -> None:
    lengths = {60: 1, 64: 1, 65: 2, 256: 4, 500: 8, 900: 16}
    assert {
        n: TemporalJEPAConfig(input_dim=1, seq_len=n, **RECIPE).patch for n in lengths
    } == lengths


@every_config
def test_training_beats_the_mean_predictor(name: str) -> None:
    """Masked parts of a sine are predictable: against a frozen target the relative loss falls well below 1."""
    model = built(name, variance_weight=0.0, covariance_weight=0.0).train()
    time = torch.arange(32)[None, :, None] * 0.3
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=5e-3)
    history = []
    for _ in range(90):
        x = torch.sin(time + 6 * torch.rand(24, 1, 2, generator=generator))
        terms = model(x, model.draw_masks(x, generator))
        optimizer.zero_grad()
        terms["loss"].backward()
        optimizer.step()
        history.append(terms["relative_loss"].item())
    assert history[0] > 1.0
    assert sum(history[-5:]) / 5 < 0.85
