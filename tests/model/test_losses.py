"""The objective and the collapse statistics, against plain computations."""

import re

import pytest
import torch

from temporal_jepa.model.losses import loss, mean_predictor_loss, token_loss, variance_covariance
from temporal_jepa.training.collapse import collapse_verdict, effective_rank, position_statistics


def test_token_loss_ignores_padding() -> None:
    predicted = torch.randn(2, 4, 3)
    target = torch.randn(2, 4, 3)
    valid = torch.tensor([[True, True, True, True], [True, False, False, False]])
    expected = loss(predicted[valid], target[valid])
    predicted[~valid] = 1e6
    torch.testing.assert_close(token_loss(predicted, target, valid), expected)


def test_mean_predictor_is_the_unit_of_the_relative_loss() -> None:
    target = torch.randn(5, 7, 3)
    mean = target.flatten(0, 1).mean(0).expand(5, 7, 3)
    torch.testing.assert_close(mean_predictor_loss(target), loss(mean, target))


def spread(tokens: torch.Tensor) -> tuple[float, float]:
    index = torch.arange(tokens.shape[1]).expand(tokens.shape[:2])
    terms = variance_covariance(tokens, index, None, tokens.shape[1])
    return float(terms.variance), float(terms.covariance)


def test_variance_sees_collapse_across_sequences_and_across_time() -> None:
    torch.manual_seed(0)
    healthy = 2 * torch.randn(64, 20, 8)
    same_sequence = healthy[:1].expand(
        64, -1, -1
    )  # pooled variance is fine, every position is dead
    same_time = healthy[:, :1].expand(-1, 20, -1)
    assert spread(healthy)[0] < 0.02
    assert spread(same_sequence)[0] == pytest.approx(0.5, abs=0.02)
    assert spread(same_time)[0] == pytest.approx(0.5, abs=0.02)
    assert spread(torch.zeros(64, 20, 8))[0] > 0.95


def test_covariance_is_the_mean_off_diagonal() -> None:
    torch.manual_seed(0)
    tokens = torch.randn(30, 10, 4)
    tokens[..., 1] = tokens[..., 0]
    covariance = torch.cov(tokens.flatten(0, 1).T)
    expected = (covariance.square().sum() - covariance.diagonal().square().sum()) / 4
    assert spread(tokens)[1] == pytest.approx(float(expected), rel=1e-4)


def test_padding_does_not_reach_the_regulariser() -> None:
    torch.manual_seed(0)
    tokens = torch.randn(6, 5, 4, requires_grad=True)
    valid = torch.ones(6, 5, dtype=torch.bool)
    valid[0, 3:] = False
    index = torch.arange(5).expand(6, 5)
    terms = variance_covariance(tokens, index, valid, 5)
    (terms.variance + terms.covariance).backward()
    assert tokens.grad is not None
    assert float(tokens.grad[~valid].abs().max()) == 0.0
    noisy = tokens.detach().clone()
    noisy[~valid] = 1e3
    torch.testing.assert_close(variance_covariance(noisy, index, valid, 5).variance, terms.variance)


def test_gradient_pushes_a_small_spread_apart() -> None:
    tokens = (0.1 * torch.randn(32, 6, 4)).requires_grad_()
    index = torch.arange(6).expand(32, 6)
    before = variance_covariance(tokens, index, None, 6).variance
    before.backward()
    assert tokens.grad is not None
    after = variance_covariance(tokens.detach() - 5.0 * tokens.grad, index, None, 6).variance
    assert after < before


def test_effective_rank() -> None:
    torch.manual_seed(0)
    assert effective_rank(torch.randn(500, 6)) == pytest.approx(6, abs=0.3)
    assert effective_rank(torch.randn(500, 1) * torch.ones(1, 6)) == pytest.approx(1, abs=1e-3)
    assert effective_rank(torch.ones(50, 6)) == 0.0


def test_verdicts() -> None:
    torch.manual_seed(0)
    observed = torch.ones(50, 6, dtype=torch.bool)
    for tokens, word in (
        (torch.randn(50, 6, 16), "healthy"),
        (torch.randn(1, 6, 16).expand(50, -1, -1), "collapsed"),
    ):
        std, rank, samples = position_statistics(tokens, observed)
        assert (len(std), samples) == (6, [50] * 6)
        assert collapse_verdict(std, rank, 16, samples).startswith(word)
    direction = torch.randn(16)
    std, rank, samples = position_statistics(torch.randn(50, 6, 1) * direction, observed)
    assert collapse_verdict(std, rank, 16, samples).startswith("collapsed")
    assert collapse_verdict([], [], 16, []).startswith("unknown")
    assert collapse_verdict([float("nan")], [float("nan")], 16, [9]).startswith("unknown")


def test_positions_that_few_sequences_reach_do_not_decide() -> None:
    torch.manual_seed(0)
    observed = torch.zeros(128, 50, dtype=torch.bool)
    observed[:, :4] = True
    observed[:2] = True
    std, rank, samples = position_statistics(torch.randn(128, 50, 16), observed)
    assert len(std) == 4
    assert collapse_verdict(std, rank, 16, samples).startswith("healthy")
    observed[:70, 4:20] = (
        True  # positions of 128 and of 70 samples: each is measured against its own
    )
    std, rank, samples = position_statistics(torch.randn(128, 50, 256), observed)
    assert set(samples) == {128, 70}
    found = re.search(r"([\d.]+) of (\d+) directions", collapse_verdict(std, rank, 256, samples))
    assert found
    assert float(found[1]) <= float(found[2]) == 69
    assert position_statistics(torch.randn(2, 5, 16), torch.ones(2, 5, dtype=torch.bool))[0] == []
