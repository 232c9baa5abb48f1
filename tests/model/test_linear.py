"""The fast product gives the slow one's values and gradients, wherever it is used."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from temporal_jepa.model import linear
from temporal_jepa.model.linear import linear, onednn_is_faster


def forced(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        torch.ops.mkldnn._linear_pointwise(torch.ones(1, 1), torch.ones(1, 1), None, "none", [], "")
    except (AttributeError, RuntimeError):
        pytest.skip("this torch has no such operator")
    monkeypatch.setattr(module, "onednn_is_faster", lambda: True)


@pytest.mark.parametrize("gelu", [False, True])
def test_values_and_gradients_are_those_of_torch(monkeypatch: pytest.MonkeyPatch, gelu: bool) -> None:
    forced(monkeypatch)
    torch.manual_seed(0)
    layer, x = nn.Linear(12, 20), torch.randn(3, 5, 24)[..., ::2].requires_grad_()
    expected = F.gelu(layer(x)) if gelu else layer(x)
    wanted = torch.autograd.grad(expected.square().sum(), [x, *layer.parameters()])
    found = linear(layer, x, gelu)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    for a, b in zip(torch.autograd.grad(found.square().sum(), [x, *layer.parameters()]), wanted, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(linear(layer, x, gelu), expected, atol=1e-5, rtol=1e-5)


def test_other_types_fall_back(monkeypatch: pytest.MonkeyPatch) -> None:
    forced(monkeypatch)
    layer, x = nn.Linear(4, 4).double(), torch.randn(2, 4, dtype=torch.float64)
    assert torch.equal(linear(layer, x), layer(x))
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(nn.Linear(4, 4), x.float()).dtype == torch.bfloat16


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_JEPA_ONEDNN", "0")
    assert onednn_is_faster.__wrapped__() is False
