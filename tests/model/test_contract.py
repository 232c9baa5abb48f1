"""One contract for every model: what learns, what cannot leak, what cannot matter, what is saved.

The objective is tested over tokenizer x positions x mask x objective, the embedding over tokenizer
x positions and for a model of several resolutions.
"""

from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from factories import SMALL
from graphs import writes_graphs
from torch import Tensor

from temporal_jepa import (
    Sequences,
    TemporalJEPA,
    TemporalJEPAConfig,
    from_pretrained,
    save_pretrained,
)
from temporal_jepa.config import Pool
from temporal_jepa.embed import embed_sequences, embed_timesteps, embed_tokens
from temporal_jepa.model.export import export

NAN = float("nan")
TOKENIZERS: dict[str, dict[str, Any]] = {
    "linear": {"input_dim": 2, "seq_len": 16},
    "conv": {"input_dim": 2, "seq_len": 32, "patch_len": 4, "normalize": "dataset"},
    "dilated": {"input_dim": 2, "seq_len": 32, "patch_len": 4, "normalize": "instance"},
    "filters": {"input_dim": 2, "seq_len": 32, "patch_len": 4, "normalize": "instance"},
    # video: 5 x 6 pixels are no whole number of patches
    "tubelet": {"input_dim": 60, "seq_len": 8, "frame": (5, 6, 2), "patch_size": 4},
    # a scene: three agents of two features share a tokenizer
    "scene": {"input_dim": 6, "seq_len": 16, "frame": (1, 3, 2), "patch_len": 4},
}
POSITIONS = ("sincos", "rotary")
MASKS = ("random", "block", "future", "tube")
OBJECTIVES = ("tokens", "pooled")
MULTI = "several resolutions"
FOLLOWING = "resolutions that follow the length"
CHANNELS = 2  # of the data that the model of several resolutions embeds


def config_of(tokenizer: str, positions: str, **changes: Any) -> TemporalJEPAConfig:
    kind = "conv" if tokenizer == "scene" else tokenizer
    options = {
        **SMALL,
        **TOKENIZERS[tokenizer],
        "tokenizer": kind,
        "positions": positions,
    }
    return TemporalJEPAConfig(**{**options, **changes})


def model_of(config: TemporalJEPAConfig) -> TemporalJEPA:
    torch.manual_seed(0)
    return TemporalJEPA(config).eval()


def batch_of(config: TemporalJEPAConfig, size: int = 6) -> Tensor:
    """Random sequences: a gap, padding, a missing value and a missing channel in one each."""
    channels = CHANNELS if config.resolutions else config.input_dim
    length = config.seq_len
    x = torch.randn(size, length, channels, generator=torch.Generator().manual_seed(1))
    x[0, length // 4 : length // 2] = NAN
    x[1, -length // 3 :] = NAN
    x[2, 3, 0] = NAN
    x[3, :, 0] = NAN
    return x


def padded(x: Tensor, config: TemporalJEPAConfig) -> Tensor:
    """The same sequences, and three patches without any value."""
    return torch.cat([x, torch.full_like(x[:, : 3 * config.patch], NAN)], dim=1)


def masks(model: TemporalJEPA, x: Tensor) -> Tensor:
    return model.draw_masks(x, torch.Generator().manual_seed(0))


def objectives() -> list[Any]:
    cases = []
    for tokenizer, positions, mask, predict in product(
        TOKENIZERS, POSITIONS, MASKS, OBJECTIVES
    ):
        if mask != "tube" or "frame" in TOKENIZERS[tokenizer]:
            config = config_of(tokenizer, positions, mask=mask, predict=predict)
            cases.append(
                pytest.param(config, id=f"{tokenizer}-{positions}-{mask}-{predict}")
            )
    return cases


def encoders() -> list[Any]:
    return [
        pytest.param(config_of(tokenizer, positions), id=f"{tokenizer}-{positions}")
        for tokenizer, positions in product(TOKENIZERS, POSITIONS)
    ]


def embedders() -> list[Any]:
    options = {
        **SMALL,
        "input_dim": 1,
        "seq_len": 32,
        "patch_len": 4,
        "normalize": "instance",
    }
    multi = TemporalJEPAConfig(**options, tokenizer="dilated", resolutions=(16, 32))
    following = TemporalJEPAConfig(
        **options, tokenizer="filters", resolutions=(0, 0.5, 1)
    )
    return [
        *encoders(),
        pytest.param(multi, id=MULTI),
        pytest.param(following, id=FOLLOWING),
    ]


every_objective = pytest.mark.parametrize("config", objectives())
every_encoder = pytest.mark.parametrize("config", encoders())
every_embedder = pytest.mark.parametrize("config", embedders())


@every_objective
def test_gradients_reach_every_trainable_parameter_and_no_target(
    config: TemporalJEPAConfig,
) -> None:
    """By prediction alone, without the regularizer."""
    config = replace(config, variance_weight=0.0, covariance_weight=0.0)
    model = model_of(config).train()
    x = batch_of(config)
    visible = masks(model, x)
    assert visible.shape[:2] == (1, len(x))
    terms = model(x, visible)
    for name, term in terms.items():
        assert term.shape == (), name
        assert bool(term.isfinite()), name
    terms["loss"].backward()
    for name, parameter in model.named_parameters():
        if name.startswith("target_encoder"):
            assert not parameter.requires_grad
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None, name
            assert float(parameter.grad.abs().sum()) > 0, name


@every_objective
def test_masked_content_cannot_move_the_context(config: TemporalJEPAConfig) -> None:
    model = model_of(config)
    encoder = model.context_encoder
    x = batch_of(config)
    prepared, observed = encoder.prepare(x)
    visible_values = encoder.mask(observed, masks(model, x)[0])
    other = torch.where(visible_values, prepared, 100.0)
    other = torch.where(observed, other, NAN)
    contexts = [
        encoder.encode(values, visible_values).layers[-1]
        for values in (prepared, other)
    ]
    assert torch.equal(*contexts)
    assert not torch.equal(model.embed(x), model.embed(other))


@every_objective
def test_padding_cannot_move_the_objective(config: TemporalJEPAConfig) -> None:
    model = model_of(config)
    x = batch_of(config)
    visible = masks(model, x)
    longer = padded(x, config)
    tokens = masks(model, longer).shape[2]
    more = torch.zeros(*visible.shape[:2], tokens, dtype=torch.bool)
    more[:, :, : visible.shape[2]] = visible
    plain = model(x, visible)
    long = model(longer, more)
    for name, term in plain.items():
        torch.testing.assert_close(long[name], term, atol=1e-5, rtol=1e-4)


@every_objective
def test_order_of_a_batch_cannot_move_the_objective(config: TemporalJEPAConfig) -> None:
    model = model_of(config)
    x = batch_of(config)
    visible = masks(model, x)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    plain = model(x, visible)
    shuffled = model(x[order], visible[:, order])
    for name, term in plain.items():
        torch.testing.assert_close(shuffled[name], term, atol=1e-5, rtol=1e-4)


@every_objective
def test_the_prediction_loss_is_the_mean_over_masked_tokens(
    config: TemporalJEPAConfig,
) -> None:
    """Of the rows one by one, too: no row, and no padding of a shorter row, moves another's."""
    model = model_of(config)
    x = batch_of(config)
    visible = masks(model, x)
    encoder = model.context_encoder
    observed = encoder.tokens_observed(encoder.prepare(x)[1])
    weight = (observed & ~visible[0]).sum(1).float()
    if config.predict == "pooled":
        weight = torch.ones_like(weight)
    rows = [
        model(x[i : i + 1], visible[:, i : i + 1])["prediction_loss"]
        for i in range(len(x))
    ]
    wanted = (torch.stack(rows) * weight).sum() / weight.sum()
    torch.testing.assert_close(
        model(x, visible)["prediction_loss"], wanted, atol=1e-5, rtol=1e-4
    )


@every_embedder
def test_embeddings_have_the_promised_shapes(config: TemporalJEPAConfig) -> None:
    model = model_of(config)
    x = batch_of(config)
    for pool in get_args(Pool):
        Z = model.embed(x, pool)
        assert Z.dtype == torch.float32
        assert Z.shape == (6, Z.shape[1])
        assert bool(Z.isfinite().all())
    tokens, observed = model.embed_tokens(x)
    assert tokens.shape == (*observed.shape, config.embed_dim)
    steps = model.embed_timesteps(x)
    assert steps.shape == (*x.shape[:2], config.embed_dim)
    assert not bool(steps[4:].isnan().any())
    assert bool(steps[1, -config.patch :].isnan().all())


@every_embedder
def test_padding_cannot_move_the_embedding(config: TemporalJEPAConfig) -> None:
    model = model_of(config)
    x = batch_of(config)
    longer = padded(x, config)
    for pool in get_args(Pool):
        torch.testing.assert_close(
            model.embed(longer, pool), model.embed(x, pool), atol=1e-5, rtol=1e-5
        )
    torch.testing.assert_close(
        model.embed_timesteps(longer)[:, : x.shape[1]],
        model.embed_timesteps(x),
        atol=1e-5,
        rtol=1e-5,
        equal_nan=True,
    )


@every_embedder
def test_other_rows_of_a_batch_cannot_move_the_embedding(
    config: TemporalJEPAConfig,
) -> None:
    model = model_of(config)
    x = batch_of(config)
    Z = model.embed(x)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    alone = torch.cat([model.embed(row[None]) for row in x])
    torch.testing.assert_close(model.embed(x[order]), Z[order], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(alone, Z, atol=1e-5, rtol=1e-5)


@every_embedder
def test_sequences_and_tensors_have_the_same_embedding(
    config: TemporalJEPAConfig,
) -> None:
    """`temporal_jepa.embed` cuts the padding and batches by length: neither moves anything."""
    model = model_of(config)
    x = batch_of(config)
    rows = [row.numpy() for row in x]
    rows[1] = rows[1][: -(len(rows[1]) // 3)]
    sequences = Sequences(rows, frame=config.frame)
    Z = embed_sequences(model, sequences, batch_tokens=16)
    torch.testing.assert_close(
        torch.from_numpy(Z), model.embed(x), atol=1e-5, rtol=1e-5
    )
    tokens, observed = embed_tokens(model, sequences, batch_tokens=16)
    wanted, wanted_observed = model.embed_tokens(x)
    assert np.array_equal(observed, wanted_observed.numpy())
    np.testing.assert_allclose(tokens, wanted.numpy(), atol=1e-5)
    steps = embed_timesteps(model, sequences, batch_tokens=16)
    for found, row in zip(steps, model.embed_timesteps(x).numpy(), strict=True):
        np.testing.assert_allclose(found, row[: len(found)], atol=1e-5)


@every_embedder
def test_gradients_of_the_embedding_reach_the_encoder(
    config: TemporalJEPAConfig,
) -> None:
    """For fine-tuning."""
    model = model_of(config)
    encoder = model.target_encoder.requires_grad_(True)
    model.embedder("all").features(batch_of(config)).square().mean().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().sum()) > 0, name


@every_embedder
def test_missing_values_are_not_zeros(config: TemporalJEPAConfig) -> None:
    model = model_of(config)
    x = batch_of(config)[4:]
    x[:, 4:8] = NAN
    assert bool(model.embed(x).isfinite().all())
    assert not torch.allclose(model.embed(x), model.embed(x.nan_to_num(0.0)), atol=1e-3)


@every_encoder
def test_dropping_tokens_equals_masking_their_attention(
    config: TemporalJEPAConfig,
) -> None:
    encoder = model_of(config).target_encoder
    x, observed = encoder.prepare(batch_of(config))
    dropped, there = encoder.encode(x, observed).on_grid()
    masked, same = encoder.encode(x, observed, drop=False).on_grid()
    assert torch.equal(there, same)
    torch.testing.assert_close(dropped[there], masked[there], atol=1e-5, rtol=1e-5)


@every_embedder
def test_a_saved_model_gives_the_same_bits(
    config: TemporalJEPAConfig, tmp_path: Path
) -> None:
    model = model_of(config)
    ones = torch.ones(config.input_dim)
    model.set_normalizer(2 * ones, 3 * ones, 0.5 * ones)
    loaded = from_pretrained(save_pretrained(model, tmp_path))
    assert loaded.config == config
    assert not loaded.training
    x = batch_of(config)
    assert torch.equal(loaded.embed(x), model.embed(x))


def exported_inputs(config: TemporalJEPAConfig) -> list[Tensor]:
    """Other sizes than the exported example.

    The graph of a model of several resolutions takes no missing values.
    """
    batches = [batch_of(config), batch_of(replace(config, seq_len=21), size=4)[:1]]
    return [x.nan_to_num(0.5) for x in batches] if config.resolutions else batches


def exportable() -> list[Any]:
    cases = {case.id: case for case in embedders()}
    return [
        cases[name]
        for name in (
            "linear-sincos",
            "dilated-rotary",
            "tubelet-rotary",
            "scene-sincos",
            MULTI,
        )
    ]


@writes_graphs
@pytest.mark.parametrize("config", exportable())
def test_torch_export_equals_eager(config: TemporalJEPAConfig, tmp_path: Path) -> None:
    model = model_of(config)
    path = export(model, tmp_path / "model.pt2", "torch", channels=CHANNELS)
    program = torch.export.load(path).module()
    for x in exported_inputs(config):
        torch.testing.assert_close(program(x), model.embed(x), atol=1e-4, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_onnx_equals_eager(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    config = config_of("conv", "rotary")
    model = model_of(config)
    session = runtime.InferenceSession(export(model, tmp_path / "model.onnx", "onnx"))
    for x in exported_inputs(config):
        (found,) = session.run(None, {"x": x.numpy()})
        np.testing.assert_allclose(found, model.embed(x).numpy(), atol=1e-4, rtol=1e-4)


def test_an_unknown_export_format_is_named(tmp_path: Path) -> None:
    model = model_of(config_of("linear", "sincos"))
    with pytest.raises(ValueError, match="tflite"):
        export(model, tmp_path / "model", "tflite")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(config_of("linear", "sincos"), id="linear"),
        pytest.param(config_of("conv", "rotary", mask="block"), id="conv"),
        pytest.param(config_of("dilated", "rotary", mask="future"), id="dilated"),
        pytest.param(config_of("conv", "rotary", predict="pooled"), id="pooled"),
    ],
)
def test_training_beats_the_mean_predictor(config: TemporalJEPAConfig) -> None:
    """Masked parts of a sine are predictable: the relative loss falls well below 1."""
    config = replace(config, variance_weight=0.0, covariance_weight=0.0)
    model = model_of(config).train()
    time = torch.arange(config.seq_len)[None, :, None] * 0.3
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=5e-3
    )
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


def test_a_graph_that_an_old_torch_refuses_names_the_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError

    monkeypatch.setattr(torch.export, "export", refuse)
    model = model_of(config_of("linear", "sincos"))
    monkeypatch.setattr("temporal_jepa.model.export.TESTED", "1.0")
    with pytest.raises(AssertionError):
        export(model, tmp_path / "x.pt2", "torch")
    monkeypatch.setattr("temporal_jepa.model.export.TESTED", "99.0")
    with pytest.raises(
        RuntimeError, match=r"refuses this graph, which torch 99\.0 writes"
    ):
        export(model, tmp_path / "x.pt2", "torch")
    assert not list(tmp_path.iterdir())
