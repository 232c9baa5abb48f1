"""Collapse diagnostics: effective rank, statistics per position, the verdict."""

import pytest
import torch

from temporal_jepa.training.collapse import (
    Verdict,
    collapse_verdict,
    effective_rank,
    position_statistics,
)


def verdict_of(
    tokens: torch.Tensor, observed: torch.Tensor, relative_loss: float = 0.5
) -> Verdict:
    std, rank, samples = position_statistics(tokens, observed)
    return collapse_verdict(std, rank, tokens.shape[-1], samples, relative_loss)


def test_effective_rank() -> None:
    torch.manual_seed(0)
    assert effective_rank(torch.randn(500, 6)) == pytest.approx(6, abs=0.3)
    assert effective_rank(torch.randn(500, 1) * torch.ones(1, 6)) == pytest.approx(
        1, abs=1e-3
    )
    assert effective_rank(torch.ones(50, 6)) == 0.0


def test_the_verdict_names_what_collapsed() -> None:
    torch.manual_seed(0)
    observed = torch.ones(50, 6, dtype=torch.bool)
    healthy = torch.randn(50, 6, 16)
    same_sequence = healthy[:1].expand(50, -1, -1)
    one_direction = torch.randn(50, 6, 1) * torch.randn(16)
    assert position_statistics(healthy, observed)[2] == [50] * 6
    assert verdict_of(healthy, observed).level == "healthy"
    assert verdict_of(same_sequence, observed).level == "collapsed"
    assert verdict_of(one_direction, observed).level == "collapsed"
    assert verdict_of(healthy[:2], observed[:2]).level == "unknown"


def test_the_verdict_has_one_level() -> None:
    torch.manual_seed(0)
    observed = torch.ones(50, 6, dtype=torch.bool)
    healthy = torch.randn(50, 6, 16)
    unlearned = verdict_of(healthy, observed, relative_loss=0.99)
    assert unlearned.level == "weak"
    assert str(unlearned).startswith("weak: the prediction is no better than guessing")
    assert "healthy" not in str(unlearned)
    assert str(verdict_of(healthy, observed, relative_loss=0.97)).startswith(
        "healthy: no sign"
    )
    collapsed = verdict_of(healthy[:1].expand(50, -1, -1), observed, relative_loss=1.0)
    assert collapsed.level == "collapsed"
    assert "no better than guessing" in str(collapsed)


def test_positions_that_few_sequences_reach_do_not_decide() -> None:
    torch.manual_seed(0)
    observed = torch.zeros(128, 50, dtype=torch.bool)
    observed[:, :4] = True
    observed[:2] = True
    tokens = torch.randn(128, 50, 16)
    assert len(position_statistics(tokens, observed)[0]) == 4
    assert verdict_of(tokens, observed).level == "healthy"


def test_the_rank_is_compared_with_the_rank_its_samples_allow() -> None:
    torch.manual_seed(0)
    observed = torch.zeros(128, 20, dtype=torch.bool)
    observed[:, :4] = True
    observed[:70] = True
    tokens = torch.randn(128, 20, 256)
    assert set(position_statistics(tokens, observed)[2]) == {128, 70}
    assert "of 69)" in str(verdict_of(tokens, observed))
