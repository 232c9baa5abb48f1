"""The objective, against plain computations."""

import pytest
import torch

from temporal_jepa.model.losses import loss, mean_predictor_loss, token_loss
from temporal_jepa.model.regularizers import variance_covariance


def test_token_loss_ignores_padding() -> None:
    predicted = torch.randn(2, 4, 3)
    target = torch.randn(2, 4, 3)
    valid = torch.tensor([[True, True, True, True], [True, False, False, False]])
    expected = loss(predicted[valid], target[valid])
    predicted[~valid] = 1e6
    torch.testing.assert_close(token_loss(predicted, target, valid), expected)


def test_mean_predictor_loss() -> None:
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


def test_padding_does_not_reach_the_regularizer() -> None:
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
    torch.testing.assert_close(
        variance_covariance(noisy, index, valid, 5).variance, terms.variance
    )


def test_gradient_pushes_a_small_spread_apart() -> None:
    tokens = (0.1 * torch.randn(32, 6, 4)).requires_grad_()
    index = torch.arange(6).expand(32, 6)
    before = variance_covariance(tokens, index, None, 6).variance
    before.backward()
    assert tokens.grad is not None
    after = variance_covariance(
        tokens.detach() - 5.0 * tokens.grad, index, None, 6
    ).variance
    assert after < before
