"""Tokens on a grid of (time, row, column): films and scenes of agents go through the same code as series."""

import numpy as np
import pytest
import torch

from temporal_jepa.config import RECIPE, VIDEO, TemporalJEPAConfig
from temporal_jepa.data.sequences import Sequences
from temporal_jepa.embed import embed_sequences
from temporal_jepa.estimators.embedder import TemporalJEPAEmbedder
from temporal_jepa.model.jepa import TemporalJEPA
from temporal_jepa.model.masks import draw_visible
from temporal_jepa.model.tokenizers import PatchGrid
from temporal_jepa.training.initial import channel_statistics, initial_model

FILM = TemporalJEPAConfig(
    **{**RECIPE, **VIDEO, "embed_dim": 32, "encoder_depth": 1},
    input_dim=10 * 13 * 2,
    frame=(10, 13, 2),
    patch_size=4,
    seq_len=6,
)
SCENE = TemporalJEPAConfig(
    **{**RECIPE, "mask": "tube"}, input_dim=15, frame=(1, 5, 3), seq_len=12, patch_len=2
)


def model_of(config: TemporalJEPAConfig) -> TemporalJEPA:
    torch.manual_seed(0)
    return TemporalJEPA(config).eval()


def test_boxes_split_and_spread_agree() -> None:
    """A value lies in exactly the token that `spread` says, at odd picture sizes too."""
    boxes = PatchGrid(FILM)
    assert FILM.cells == (3, 4)
    for token in range(2 * 3 * 4):
        chosen = torch.arange(24)[None] == token
        x = boxes.spread(chosen).float()  # (1, 4, 260)
        inside = boxes.split(x)
        assert inside[0, token].sum() == x.sum() > 0
        assert inside.sum() == x.sum()
    assert boxes.spread(torch.ones(1, 24, dtype=torch.bool)).all()


@pytest.mark.parametrize("config", [FILM, SCENE])
def test_hidden_content_cannot_reach_the_context(config: TemporalJEPAConfig) -> None:
    model = model_of(config)
    encoder = model.context_encoder
    x = torch.randn(3, config.seq_len, config.input_dim)
    visible = model.draw_masks(x, torch.Generator().manual_seed(1))[0]
    known = encoder.mask(encoder.prepare(x)[1], visible)
    other = torch.where(known, x, 100.0)
    assert not torch.equal(other, x)
    torch.testing.assert_close(
        encoder.encode(x, known).layers[-1], encoder.encode(other, known).layers[-1], rtol=0, atol=0
    )


def test_every_place_counts() -> None:
    """Moving a picture's content to another place, row, column or time, changes the embedding."""
    model = model_of(FILM)
    x = torch.zeros(1, 6, 10, 13, 2)
    x[:, 0:2, 0:4, 0:4] = torch.randn(2, 4, 4, 2)
    moves = (x, x.roll(4, 2), x.roll(4, 3), x.roll(2, 1))
    seen = [model.embed(m.flatten(2), pool="mean") for m in moves]
    for i in range(4):
        for j in range(i):
            assert (seen[i] - seen[j]).abs().max() > 1e-4, (i, j)


def test_tube_masks_are_exact_and_go_through_time() -> None:
    observed = torch.ones(200, 4 * 6 * 8, dtype=torch.bool)
    visible = draw_visible(observed, "tube", 0.75, torch.Generator().manual_seed(0), (4, 6, 8))
    assert (visible.sum(1) == 48).all()
    assert torch.equal(visible.view(200, 4, 48)[:, :1].expand(-1, 4, -1), visible.view(200, 4, 48))
    rough = visible.view(200, 4, 6, 8)[:, 0]
    edges = (
        (rough[:, :, 1:] != rough[:, :, :-1]).sum((1, 2))
        + (rough[:, 1:] != rough[:, :-1]).sum((1, 2))
    ).float()
    few, many = torch.quantile(edges, torch.tensor([0.1, 0.9])).tolist()
    assert many > 3 * few, (
        "small blocks in some samples and large ones in others: one size gives 2.4 at most"
    )
    assert (visible.float().mean(0) > 0.1).all(), "every place is seen now and then"
    agents = draw_visible(
        torch.ones(50, 30, dtype=torch.bool),
        "tube",
        0.4,
        torch.Generator().manual_seed(0),
        (6, 1, 5),
    )
    hidden = ~agents.view(50, 6, 5)
    assert (hidden.all(1) == hidden.any(1)).all()
    assert (hidden[:, 0].sum(1) == 2).all()


def test_an_absent_agent_leaves_no_trace() -> None:
    model = model_of(SCENE)
    x = torch.randn(2, 12, 5, 3)
    x[:, :, 3] = float("nan")
    tokens = model.target_encoder.encode(*model.target_encoder.prepare(x.flatten(2)))
    assert tokens.layers[0].shape[1] == 6 * 4
    shared = x.clone()
    shared[:, :, 0] = x[:, :, 1]
    first = (
        model.target_encoder.encode(*model.target_encoder.prepare(shared.flatten(2)))
        .layers[0]
        .view(2, 6, 4, -1)
    )
    torch.testing.assert_close(first[:, :, 0], first[:, :, 1])  # one tokenizer for all agents


def test_cells_share_their_statistics() -> None:
    films = np.random.default_rng(0).integers(0, 256, (5, 4, 6, 7, 3), dtype=np.uint8)
    mean, std, slope = channel_statistics(Sequences.from_arrays(films))
    np.testing.assert_allclose(
        mean.reshape(42, 3), np.broadcast_to(films.mean((0, 1, 2, 3)) / 255, (42, 3)), rtol=1e-5
    )
    np.testing.assert_allclose(std.reshape(42, 3)[0], (films / 255).std((0, 1, 2, 3)), rtol=1e-5)
    assert slope.shape == (126,)


def test_bytes_stay_bytes_and_mean_the_same() -> None:
    films = np.random.default_rng(0).integers(0, 256, (4, 6, 16, 16), dtype=np.uint8)
    as_bytes = Sequences.from_arrays(films)
    as_floats = Sequences.from_arrays(films[..., None].astype(np.float32) / 255)
    assert as_bytes.values[0].dtype == np.uint8
    assert np.shares_memory(as_bytes.values[0], films)
    assert as_bytes.frame == as_floats.frame == (16, 16, 1)
    assert Sequences.from_arrays(np.zeros((2, 6, 20, 20))).frame == (
        20,
        20,
        1,
    )  # no agent has 20 features
    model = initial_model(as_bytes)
    assert model.config.tokenizer == "tubelet"
    assert model.config.cells == (2, 2)
    np.testing.assert_allclose(
        embed_sequences(model, as_bytes), embed_sequences(model, as_floats), atol=1e-5
    )
    flat = initial_model(as_bytes, tokenizer="linear")
    assert flat.config.frame is None  # the seed's contract: a picture's values are one timestep
    assert flat.config.input_dim == 256


@pytest.mark.parametrize("shape", [(6, 10, 4, 2), (6, 8, 12, 12, 1)])
def test_estimator_takes_scenes_and_films(shape: tuple[int, ...], tmp_path) -> None:
    X = np.random.default_rng(0).random(shape).astype(np.float32)
    embedder = TemporalJEPAEmbedder(steps=2, random_state=0).fit(X)
    Z = embedder.transform(X)
    assert Z.shape[0] == 6
    assert np.isfinite(Z).all()
    embedder.save_pretrained(tmp_path)
    np.testing.assert_allclose(
        TemporalJEPAEmbedder.from_pretrained(tmp_path).transform(X), Z, atol=1e-6
    )
    with pytest.raises(ValueError, match="frames of"):
        embedder.transform(
            np.swapaxes(X, 2, 3)[:, :, :, ::-1] if len(shape) == 4 else X[:, :, :6].repeat(2, 4)
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokenizer": "tubelet"}, "frame must be"),
        ({"frame": (2, 2, 2)}, "frame must be input_dim=12"),
        ({"frame": (2, 6)}, "three whole numbers"),
        ({"frame": (2, 6, 1), "patch_size": 2}, "patch_size must be at least 1, and 1 unless"),
        (
            {"frame": (2, 6, 1), "tokenizer": "tubelet", "normalize": "instance"},
            "normalize must be",
        ),
    ],
)
def test_frames_that_cannot_be(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TemporalJEPAConfig(input_dim=12, **options)
