"""A tokenizer and an encoder of a user."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from factories import random_walks
from graphs import writes_graphs
from small_runs import drop_checkpoint
from torch import Tensor, nn

from temporal_jepa import PretrainConfig, Sequences, from_pretrained, pretrain
from temporal_jepa.config import RECIPE, TemporalJEPAConfig
from temporal_jepa.embed import embed_sequences
from temporal_jepa.model.export import export
from temporal_jepa.model.jepa import TemporalJEPA, draw_model, random_init_like
from temporal_jepa.model.modules import Modules
from temporal_jepa.model.objectives import MaskedLatent, NextLatent, Objective

SMALL = {"embed_dim": 16, "num_heads": 2, "predictor_embed_dim": 16, "patch_len": 4}


class Recurrent(nn.Module):
    """A causal encoder."""

    def __init__(self, config: TemporalJEPAConfig):
        super().__init__()
        self.gru = nn.GRU(config.embed_dim, config.embed_dim, batch_first=True)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.gru(tokens)[0]


class Mixing(nn.Module):
    """Not causal; reads which tokens are observed."""

    def __init__(self, config: TemporalJEPAConfig):
        super().__init__()
        self.mix = nn.Linear(config.embed_dim, config.embed_dim)

    def forward(self, tokens: Tensor, observed: Tensor) -> Tensor:
        count = observed.sum(1)[:, None, None]
        assert not bool(tokens[~observed].any())
        return tokens + self.mix(tokens.sum(1, keepdim=True) / count)


class Means(nn.Module):
    """A tokenizer of the mean of each patch."""

    def __init__(self, config: TemporalJEPAConfig):
        super().__init__()
        self.patch = config.patch
        self.project = nn.Linear(config.input_dim, config.embed_dim)

    def forward(self, x: Tensor, observed: Tensor, slope: Tensor) -> Tensor:
        return self.project(x.unflatten(1, (-1, self.patch)).mean(2))


class Narrow(Recurrent):
    def forward(self, tokens: Tensor) -> Tensor:
        return self.gru(tokens)


def model_of(
    modules: Modules, objective: Objective | None = None, **options: object
) -> TemporalJEPA:
    objective = objective or MaskedLatent()
    settings = {**RECIPE, **objective.recipe, **SMALL, "seq_len": 40, **options}
    config = TemporalJEPAConfig(input_dim=3, **settings)
    return draw_model(config, 0, objective, modules)


def batch() -> Tensor:
    return torch.randn(6, 40, 3, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("encoder", [Recurrent, Mixing])
def test_masked_tokens_do_not_reach_an_encoder(encoder: type[nn.Module]) -> None:
    model = model_of(Modules(encoder=encoder)).eval()
    x = batch()
    visible = model.draw_masks(x, torch.Generator().manual_seed(0))
    part = model.context_encoder
    prepared, observed = part.prepare(x)
    hidden = ~part.grid.unpatchify(visible[0])
    changed = torch.where(hidden, prepared + 3, prepared)
    a, b = (
        part.encode(values, part.mask(observed, visible[0])).layers[-1]
        for values in (prepared, changed)
    )
    torch.testing.assert_close(a, b)
    terms = model(x, visible)
    terms["loss"].backward()
    trained = part.transformer.parameters()
    assert all(bool(p.grad.abs().sum() > 0) for p in trained)


def test_tokens_at_positions_are_those_of_the_grid() -> None:
    encoder = model_of(Modules(encoder=Mixing)).context_encoder.eval()
    x = batch()
    x[0, 8:16] = torch.nan
    x[1, 24:] = torch.nan
    prepared = encoder.prepare(x)
    positions = torch.tensor([[5, 0]] * 6)
    grid, _ = encoder.encode(*prepared).on_grid()
    found = encoder.encode_at(*prepared, positions)
    torch.testing.assert_close(found, grid[:, [5, 0]])


def test_an_encoder_that_sees_the_future_is_refused() -> None:
    model_of(Modules(encoder=Recurrent), NextLatent())
    with pytest.raises(
        ValueError, match="do not depend on later ones; those of Mixing"
    ):
        model_of(Modules(encoder=Mixing), NextLatent())


def test_an_encoder_must_return_tokens() -> None:
    model = model_of(Modules(encoder=Narrow))
    with pytest.raises(ValueError, match=r"must return tokens \(6, 10, 16\).*tuple"):
        model.embed(batch())


def test_the_control_has_other_weights_of_the_same_modules() -> None:
    model = model_of(Modules(tokenizer=Means, encoder=Recurrent))
    control = random_init_like(model, 1)
    ours = model.context_encoder.transformer.encoder.gru.weight_ih_l0
    theirs = control.context_encoder.transformer.encoder.gru.weight_ih_l0
    assert ours.shape == theirs.shape
    assert not torch.equal(ours, theirs)
    assert isinstance(control.context_encoder.tokenizer, Means)


def test_a_run_is_stored_resumed_and_loaded(tmp_path: Path) -> None:
    data = Sequences.from_arrays(random_walks(8, 3, 40))
    config = PretrainConfig(steps=4, save_every=2)
    modules = Modules(tokenizer=Means, encoder=Recurrent)
    whole, cut = (
        pretrain(
            data, tmp_path / name, config, SMALL, objective="next", modules=modules
        )
        for name in ("whole", "cut")
    )
    drop_checkpoint(cut, 4)
    with pytest.raises(
        ValueError, match="made with tokenizer Means, encoder Recurrent"
    ):
        pretrain(data, cut, config, resume=True)
    pretrain(data, cut, config, resume=True, modules=modules)
    told = r"not stored.*modules=Modules\(tokenizer=Means, encoder=Recurrent\)"
    with pytest.raises(ValueError, match=told):
        from_pretrained(cut)
    a, b = (
        embed_sequences(from_pretrained(run, modules=modules), data)
        for run in (whole, cut)
    )
    np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="made with the modules of the package"):
        from_pretrained("series-small", modules=Modules(encoder=Recurrent))


class Neighbors(nn.Module):
    """A token sees its neighbors, and so the end of the grid; not trained to leave it alone."""

    def __init__(self, config: TemporalJEPAConfig):
        super().__init__()
        self.first = nn.Conv1d(config.embed_dim, config.embed_dim, 3, padding="same")
        self.second = nn.Conv1d(config.embed_dim, config.embed_dim, 3, padding="same")

    def forward(self, tokens: Tensor) -> Tensor:
        return self.second(self.first(tokens.mT).relu()).mT


@writes_graphs
def test_a_graph_with_an_encoder_of_ones_own_equals_eager(tmp_path: Path) -> None:
    model = model_of(Modules(encoder=Neighbors)).eval()
    path = export(model, tmp_path / "model.pt2", "torch")
    program = torch.export.load(path).module()
    x = batch()
    x[0, 5:20] = torch.nan
    x[1, 27:] = torch.nan
    for part in (x, x[:1, :17], x[2:4, :5]):
        torch.testing.assert_close(program(part), model.embed(part))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch asks itself
def test_a_model_with_an_encoder_of_ones_own_compiles() -> None:
    model = model_of(Modules(encoder=Neighbors))
    x = batch()
    visible = model.draw_masks(x, torch.Generator().manual_seed(0))
    expected = model(x, visible)
    found = torch.compile(model, backend="eager")(x, visible)
    torch.testing.assert_close(found, expected)
    found["loss"].backward()
    embedder = model.eval().embedder()
    compiled = torch.compile(embedder, backend="eager")
    torch.testing.assert_close(compiled(x), embedder(x))


def test_a_maker_without_a_name_is_written_out() -> None:
    named = Modules(encoder=partial(Recurrent)).names()["encoder"]
    assert "Recurrent" in named
