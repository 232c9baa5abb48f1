"""Regularizers, against plain computations."""

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from torch import Tensor

from temporal_jepa.config import TemporalJEPAConfig
from temporal_jepa.model.encoder import Encoded
from temporal_jepa.model.regularizers import (
    Regularizer,
    SIGReg,
    VICReg,
    gaussian_distance,
)

CONFIG = TemporalJEPAConfig(input_dim=1, embed_dim=16)


def encoded(tokens: Tensor, valid: Tensor | None = None) -> Encoded:
    batch, count, _ = tokens.shape
    positions = torch.arange(count).expand(batch, count)
    return Encoded([tokens], positions, valid, count)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_distance_of_a_constant_is_the_integral() -> None:
    def squared(t: float) -> float:
        return (1 - np.exp(-t * t / 2)) ** 2 * np.exp(-t * t / 2)

    wanted, _ = quad(squared, -5, 5)
    directions = torch.nn.functional.normalize(normal(16, 32), dim=0)
    found = gaussian_distance(torch.zeros(4, 8, 16), None, directions)
    assert float(found) == pytest.approx(wanted, rel=2e-2)


def test_distance_of_normal_tokens_is_small_and_of_others_is_not() -> None:
    directions = torch.nn.functional.normalize(normal(16, 32), dim=0)
    tokens = normal(64, 64, 16)
    at_normal = gaussian_distance(tokens, None, directions)
    assert float(at_normal) < 1e-3
    for other in (3 * tokens, tokens + 1, tokens[..., :1].expand_as(tokens)):
        assert float(gaussian_distance(other, None, directions)) > 30 * at_normal


@pytest.mark.parametrize("regularizer", [VICReg(), SIGReg()], ids=repr)
def test_padding_does_not_count(regularizer: Regularizer) -> None:
    regularizer.setup(CONFIG)
    tokens = normal(6, 10, 16)
    valid = torch.ones(6, 10, dtype=torch.bool)
    valid[:, 7:] = False
    padded = regularizer(encoded(torch.where(valid[..., None], tokens, 9.0), valid))
    cut = regularizer(encoded(tokens[:, :7]))
    torch.testing.assert_close(padded, cut)


@pytest.mark.parametrize("regularizer", [VICReg(), SIGReg()], ids=repr)
def test_a_step_along_the_gradient_spreads_collapsed_tokens(
    regularizer: Regularizer,
) -> None:
    regularizer.setup(CONFIG)
    tokens = (0.1 * normal(16, 10, 16)).requires_grad_()
    for _ in range(100):
        (gradient,) = torch.autograd.grad(
            regularizer(encoded(tokens))["regularizer"], tokens
        )
        tokens = (tokens - 50 * gradient).detach().requires_grad_()
    assert 0.5 < float(tokens.detach().std()) < 1.5


def test_settings_are_weights() -> None:
    tokens = encoded(0.1 * normal(6, 10, 16))
    terms = VICReg(2.0, 3.0)(tokens)
    by_hand = 2 * terms["variance_loss"] + 3 * terms["covariance_loss"]
    torch.testing.assert_close(terms["regularizer"], by_hand)
    weighted = SIGReg(0.25)
    weighted.setup(CONFIG)
    terms = weighted(tokens)
    torch.testing.assert_close(terms["regularizer"], 0.25 * terms["sigreg_loss"])
