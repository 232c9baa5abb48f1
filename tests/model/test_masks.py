"""Masks: exact counts, every position covered, tokens gathered from their own sample."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from temporal_jepa.model.masks import (
    draw_visible,
    gather_tokens,
    generate_temporal_mask,
    positions_of,
)

KINDS = ("random", "block", "future", "tube")


@given(st.integers(2, 200), st.floats(0.01, 0.99), st.integers(0, 1000))
def test_seed_mask_is_exact(seq_len: int, ratio: float, seed: int) -> None:
    visible, key = generate_temporal_mask(seed, seq_len, ratio)
    assert visible.shape == (seq_len,)
    assert visible.dtype == torch.bool
    assert int((~visible).sum()) == min(max(round(ratio * seq_len), 1), seq_len - 1)
    assert isinstance(key, torch.Generator)


def test_seed_mask_hands_the_key_back() -> None:
    first, key = generate_temporal_mask(0, 50)
    second, same = generate_temporal_mask(key, 50)
    assert same is key
    assert not torch.equal(first, second)
    assert torch.equal(first, generate_temporal_mask(0, 50)[0])
    assert torch.equal(first, generate_temporal_mask(np.int64(0), 50)[0])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 2"):
        generate_temporal_mask(0, 1)
    with pytest.raises(ValueError, match="strictly between"):
        generate_temporal_mask(0, 10, 1.0)


@pytest.mark.parametrize("kind", KINDS)
@given(st.integers(1, 40), st.floats(0.05, 0.95), st.integers(0, 100))
def test_exact_per_sample_over_observed_tokens(
    kind: str, tokens: int, ratio: float, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed)
    observed = torch.rand(6, tokens, generator=generator) < 0.8
    visible = draw_visible(observed, kind, ratio, generator)
    assert not bool((visible & ~observed).any())
    for row, seen in zip(visible, observed, strict=True):
        n = int(seen.sum())
        hidden = n - int(row.sum())
        assert hidden == (min(max(round(ratio * n), 1), n - 1) if n else 0)


@pytest.mark.parametrize("kind", ["random", "block"])
def test_every_position_is_masked_equally_often(kind: str) -> None:
    visible = draw_visible(
        torch.ones(4000, 24, dtype=torch.bool),
        kind,
        0.5,
        torch.Generator().manual_seed(0),
    )
    share = (~visible).float().mean(0)
    assert share.min() > 0.46
    assert share.max() < 0.54


def test_future_hides_the_last_observed_tokens() -> None:
    observed = torch.ones(2, 10, dtype=torch.bool)
    observed[1, 8:] = False
    visible = draw_visible(observed, "future", 0.5, torch.Generator().manual_seed(0))
    assert visible[0].tolist() == [True] * 5 + [False] * 5
    assert visible[1].tolist() == [True] * 4 + [False] * 6


def test_blocks_are_longer_than_chance() -> None:
    observed = torch.ones(500, 60, dtype=torch.bool)
    changes = {
        kind: float(
            (
                draw_visible(
                    observed, kind, 0.5, torch.Generator().manual_seed(0)
                ).diff(dim=1)
            )
            .float()
            .mean()
        )
        for kind in ("random", "block")
    }
    assert changes["block"] < 0.5 * changes["random"]


def test_blocks_on_a_grid_are_boxes() -> None:
    visible = draw_visible(
        torch.ones(100, 12**3, dtype=torch.bool),
        "block",
        0.5,
        torch.Generator().manual_seed(0),
        grid=(12, 12, 12),
    ).view(100, 12, 12, 12)
    assert bool((visible.flatten(1).sum(1) == 12**3 // 2).all())
    for axis in (1, 2, 3):
        assert visible.diff(dim=axis).float().mean() < 0.4
    with pytest.raises(ValueError, match="holds 8 tokens"):
        draw_visible(
            torch.ones(1, 9, dtype=torch.bool),
            "block",
            0.5,
            torch.Generator(),
            grid=(2, 2, 2),
        )


def test_gather_reads_each_row_from_its_own_sample() -> None:
    tokens = torch.arange(3 * 5).view(3, 5, 1).float()
    kept = torch.tensor(
        [
            [True, False, True, False, False],
            [False, True, True, True, False],
            [False] * 4 + [True],
        ]
    )
    index, valid = positions_of(kept)
    assert valid is not None
    picked = gather_tokens(tokens, index)[..., 0]
    assert [row[real].tolist() for row, real in zip(picked, valid, strict=True)] == [
        [0, 2],
        [6, 7, 8],
        [14],
    ]


def test_unknown_kind_and_ratio() -> None:
    with pytest.raises(ValueError, match="'future' or 'tube', got 'blok'"):
        draw_visible(torch.ones(1, 4, dtype=torch.bool), "blok", 0.5, torch.Generator())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="strictly between"):
        draw_visible(
            torch.ones(1, 4, dtype=torch.bool), "random", 0.0, torch.Generator()
        )


def test_tube_masks_go_through_time_in_small_and_large_blocks() -> None:
    observed = torch.ones(200, 4 * 6 * 8, dtype=torch.bool)
    visible = draw_visible(
        observed, "tube", 0.75, torch.Generator().manual_seed(0), (4, 6, 8)
    )
    assert (visible.sum(1) == 48).all()
    assert (visible.float().mean(0) > 0.1).all(), (
        "every position is visible now and then"
    )
    frames = visible.view(200, 4, 6, 8)
    assert torch.equal(frames[:, :1].expand_as(frames), frames)
    across_rows = (frames[:, 0, 1:] != frames[:, 0, :-1]).sum((1, 2))
    across_columns = (frames[:, 0, :, 1:] != frames[:, 0, :, :-1]).sum((1, 2))
    edges = (across_rows + across_columns).float()
    few, many = torch.quantile(edges, torch.tensor([0.1, 0.9])).tolist()
    assert many > 3 * few, "blocks of one size give 2.4 at most"


def test_tube_masks_of_a_scene_take_whole_agents() -> None:
    observed = torch.ones(50, 6 * 5, dtype=torch.bool)
    visible = draw_visible(
        observed, "tube", 0.4, torch.Generator().manual_seed(0), (6, 1, 5)
    )
    masked = ~visible.view(50, 6, 5)
    assert torch.equal(masked.all(1), masked.any(1))
    assert (masked[:, 0].sum(1) == 2).all()
