"""`examples/minimal.py` and the package agree: losses, gradients, target update, masks."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn

from temporal_jepa import TemporalJEPA, TemporalJEPAConfig
from temporal_jepa.model.masks import draw_visible

CHANNELS = 3
LENGTH = 12
BATCH = 8
DEPTH = 2


def _load_example() -> ModuleType:
    path = Path(__file__).parents[1] / "examples" / "minimal.py"
    spec = importlib.util.spec_from_file_location("minimal", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


minimal = _load_example()

# Our module -> the example's, of one stack of blocks.
BLOCK = {
    "norm1": "norm1",
    "norm2": "norm2",
    "qkv": "qkv",
    "out": "out",
    "up": "mlp.0",
    "down": "mlp.2",
}


def _names() -> dict[str, str]:
    """Our parameter's name -> the example's."""
    names = {"objective.predictor.mask_token": "predictor.mask_token"}
    modules = {
        "objective.predictor.proj_in": "predictor.proj_in",
        "objective.predictor.proj_out": "predictor.proj_out",
    }
    for ours, theirs in (
        ("context_encoder", "context"),
        ("target_encoder", "target"),
        ("objective.predictor", "predictor"),
    ):
        modules[f"{ours}.transformer.norm"] = f"{theirs}.norm"
        for i in range(DEPTH):
            modules |= {
                f"{ours}.transformer.blocks.{i}.{a}": f"{theirs}.blocks.{i}.{b}"
                for a, b in BLOCK.items()
            }
    for ours, theirs in (("context_encoder", "context"), ("target_encoder", "target")):
        modules[f"{ours}.tokenizer.project"] = f"{theirs}.tokenize"
    return names | {
        f"{a}.{leaf}": f"{b}.{leaf}"
        for a, b in modules.items()
        for leaf in ("weight", "bias")
    }


@pytest.fixture
def pair() -> tuple[TemporalJEPA, nn.Module]:
    """The package's model and the example's, with equal weights; target and context differ."""
    torch.manual_seed(0)
    config = TemporalJEPAConfig(
        input_dim=CHANNELS,
        embed_dim=32,
        predictor_embed_dim=16,
        encoder_depth=DEPTH,
        predictor_depth=DEPTH,
        num_heads=4,
        dropout=0.0,
        seq_len=LENGTH,
        tokenizer="linear",
        positions="sincos",
        predict="tokens",
        normalize="none",
        variance_weight=1.0,
        covariance_weight=0.04,
    )
    ours = TemporalJEPA(config)
    theirs = minimal.JEPA(CHANNELS, width=32, narrow=16, depth=DEPTH, heads=4)
    names = _names()
    assert set(names) == {name for name, _ in ours.named_parameters()}
    assert sorted(names.values()) == sorted(
        name for name, _ in theirs.named_parameters()
    )
    with torch.no_grad():
        for value in (
            ours.parameters()
        ):  # norms and biases too, else a swap of two would go unseen
            value.add_(0.05 * torch.randn_like(value))
        for name, value in ours.named_parameters():
            theirs.get_parameter(names[name]).copy_(value)
    return ours, theirs


def _batch() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(BATCH, LENGTH, CHANNELS, generator=generator)
    shown, hidden = minimal.draw_mask(BATCH, LENGTH, 0.5, generator)
    visible = torch.zeros(BATCH, LENGTH, dtype=torch.bool).scatter(1, shown, True)
    return x, visible, shown, hidden


def test_same_mask_from_the_same_generator() -> None:
    shown, hidden = minimal.draw_mask(
        BATCH, LENGTH, 0.75, torch.Generator().manual_seed(3)
    )
    observed = torch.ones(BATCH, LENGTH, dtype=torch.bool)
    visible = draw_visible(observed, "random", 0.75, torch.Generator().manual_seed(3))
    assert shown.tolist() == [row.nonzero().flatten().tolist() for row in visible]
    assert hidden.tolist() == [(~row).nonzero().flatten().tolist() for row in visible]


def test_same_losses_and_gradients(pair: tuple[TemporalJEPA, nn.Module]) -> None:
    ours, theirs = pair
    x, visible, shown, hidden = _batch()
    terms = ours(x, visible[None])
    loss, prediction = theirs(x, shown, hidden)
    assert prediction.item() == pytest.approx(terms["prediction_loss"].item(), abs=1e-6)
    assert loss.item() == pytest.approx(terms["loss"].item(), abs=1e-6)
    terms["loss"].backward()
    loss.backward()
    for name, other in _names().items():
        mine = ours.get_parameter(name).grad
        its = theirs.get_parameter(other).grad
        if name.startswith("target_encoder"):
            assert mine is None
            assert its is None
        else:
            torch.testing.assert_close(
                mine,
                its,
                rtol=1e-4,
                atol=1e-6,
                msg=lambda text, name=name: f"{name}: {text}",
            )


def test_same_target_after_an_update(pair: tuple[TemporalJEPA, nn.Module]) -> None:
    ours, theirs = pair
    before = ours.target_encoder.tokenizer.project.weight.clone()
    ours.update_target(0.9)
    theirs.update_target(0.9)
    for name, other in _names().items():
        torch.testing.assert_close(
            ours.get_parameter(name), theirs.get_parameter(other), rtol=0, atol=1e-7
        )
    assert not torch.equal(before, ours.target_encoder.tokenizer.project.weight)


def test_same_embedding(pair: tuple[TemporalJEPA, nn.Module]) -> None:
    ours, theirs = pair
    x = _batch()[0]
    torch.testing.assert_close(
        ours.embed(x, pool="mean"), theirs.embed(x), rtol=1e-5, atol=1e-6
    )


def test_runs_as_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    minimal.main(steps=5)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[-3:]] == ["raw", "untrained", "trained"]
