"""Tokens on a grid of (time, row, column): video and scenes share the code of series."""

import pytest
import torch

from temporal_jepa.config import RECIPE, VIDEO, TemporalJEPAConfig
from temporal_jepa.model.jepa import TemporalJEPA
from temporal_jepa.model.tokenizers import PatchGrid

CLIP = TemporalJEPAConfig(
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


def test_every_value_lies_in_exactly_one_token() -> None:
    """Also where the frame is no whole number of patches."""
    grid = PatchGrid(CLIP)
    assert CLIP.cells == (3, 4)
    for token in range(2 * 3 * 4):
        chosen = torch.arange(24)[None] == token
        x = grid.unpatchify(chosen).float()  # (1, 4, 260)
        inside = grid.patchify(x)
        assert inside[0, token].sum() == x.sum() > 0
        assert inside.sum() == x.sum()
    assert grid.unpatchify(torch.ones(1, 24, dtype=torch.bool)).all()


def test_time_row_and_column_of_content_matter() -> None:
    model = model_of(CLIP)
    x = torch.zeros(1, 6, 10, 13, 2)
    x[:, 0:2, 0:4, 0:4] = torch.randn(2, 4, 4, 2)
    moves = [x, x.roll(4, dims=2), x.roll(4, dims=3), x.roll(2, dims=1)]
    embeddings = [model.embed(moved.flatten(2), pool="mean") for moved in moves]
    for i in range(4):
        for j in range(i):
            assert (embeddings[i] - embeddings[j]).abs().max() > 1e-4, (i, j)


def tokens_of(model: TemporalJEPA, x: torch.Tensor) -> torch.Tensor:
    """Output of the tokenizer for scenes `(B, T, agents, features)`: `(B, K, D)`."""
    encoder = model.target_encoder
    return encoder.encode(*encoder.prepare(x.flatten(2))).layers[0]


def test_an_absent_agent_has_no_tokens_and_agents_share_a_tokenizer() -> None:
    model = model_of(SCENE)
    x = torch.randn(2, 12, 5, 3)
    x[:, :, 3] = float("nan")
    x[:, :, 0] = x[:, :, 1]
    tokens = tokens_of(model, x)
    assert tokens.shape[1] == 6 * 4
    tokens = tokens.view(2, 6, 4, -1)
    torch.testing.assert_close(tokens[:, :, 0], tokens[:, :, 1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokenizer": "tubelet"}, "frame must be"),
        ({"frame": (2, 2, 2)}, "frame must be .*input_dim=12"),
        ({"frame": (2, 6)}, "frame must be three"),
        ({"frame": (2, 6, 1), "patch_size": 2}, "patch_size must be"),
        (
            {"frame": (2, 6, 1), "tokenizer": "tubelet", "normalize": "instance"},
            "normalize must be",
        ),
    ],
)
def test_frames_that_cannot_be(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TemporalJEPAConfig(input_dim=12, **options)
