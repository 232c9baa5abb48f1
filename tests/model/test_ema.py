"""EMA: exact arithmetic, nothing skipped, nothing silently different."""

import pytest
import torch
from torch import nn

from temporal_jepa.model.ema import ema_update, momentum_at


def test_mappings_return_new_tensors() -> None:
    context = {
        "a": torch.ones(2),
        "inner": {"b": torch.full((3,), 4.0)},
        "count": torch.tensor(7),
    }
    target = {
        "a": torch.zeros(2),
        "inner": {"b": torch.zeros(3)},
        "count": torch.tensor(1),
    }
    updated = ema_update(context, target, momentum=0.75)
    assert updated["a"].tolist() == [0.25, 0.25]
    assert updated["inner"]["b"].tolist() == [1.0, 1.0, 1.0]
    assert int(updated["count"]) == 7
    assert target["a"].tolist() == [0.0, 0.0]


def test_modules_in_place_with_buffers() -> None:
    context = nn.BatchNorm1d(3)
    target = nn.BatchNorm1d(3)
    nn.init.constant_(context.weight, 3.0)
    context.running_mean.fill_(10.0)
    context.num_batches_tracked.fill_(5)
    assert ema_update(context, target, momentum=0.5) is target
    assert target.weight.tolist() == [2.0] * 3
    assert target.running_mean.tolist() == [5.0] * 3
    assert int(target.num_batches_tracked) == 5
    assert target.weight.grad_fn is None


def test_state_dicts_follow_modules() -> None:
    context = nn.Linear(3, 2)
    target = nn.Linear(3, 2)
    updated = ema_update(context.state_dict(), target.state_dict(), 0.9)
    ema_update(context, target, 0.9)
    for name, value in target.state_dict().items():
        torch.testing.assert_close(value, updated[name])


def test_differences_are_errors() -> None:
    with pytest.raises(ValueError, match=r"only in context: \['b'\]"):
        ema_update({"a": torch.zeros(1), "b": torch.zeros(1)}, {"a": torch.zeros(1)})
    with pytest.raises(
        ValueError, match=r"inner\.w: context has shape \(2,\), target \(3,\)"
    ):
        ema_update({"inner": {"w": torch.zeros(2)}}, {"inner": {"w": torch.zeros(3)}})
    with pytest.raises(ValueError, match="only in target"):
        ema_update(nn.Linear(2, 2, bias=False), nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"momentum must lie in \[0, 1\], got 1.5"):
        ema_update(nn.Linear(2, 2), nn.Linear(2, 2), 1.5)
    with pytest.raises(TypeError, match="two modules or two mappings"):
        ema_update(nn.Linear(2, 2), {"weight": torch.zeros(2, 2)})  # type: ignore[call-overload]


def test_schedule_rises_from_start_to_end() -> None:
    values = [momentum_at(step, 100, 0.9) for step in range(101)]
    assert values[0] == pytest.approx(0.9)
    assert values[100] == pytest.approx(1.0)
    assert values == sorted(values)
