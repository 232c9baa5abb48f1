"""The target encoder's weights: an exponential moving average (EMA) of the context encoder's, outside the graph."""

import math
from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor, nn

Tree: TypeAlias = Mapping[str, Any]  # of tensors and trees
Params = TypeVar("Params", nn.Module, Tree)


def default_momentum() -> float:
    """The momentum of the target encoder used when none is given: 0.996 (BYOL, arXiv 2006.07733)."""
    return 0.996


@torch.no_grad()
def ema_update(context_params: Params, target_params: Params, momentum: float = 0.996) -> Params:
    """Move the target towards the context: `target = momentum * target + (1 - momentum) * context`.

    Modules are updated in place, floating-point buffers too; integer buffers are copied. Mappings (a state dict, or
    mappings nested in mappings) are left alone and a new one is returned. No gradient flows through the update.

    Args:
        context_params: module or (nested) mapping of tensors to move towards.
        target_params: the same structure, keys and shapes.
        momentum: share of the target kept, in [0, 1]; 1 freezes it, 0 copies the context.

    Returns:
        The updated target: the same module, or a new mapping.

    Raises:
        ValueError: if momentum lies outside [0, 1], or keys or shapes differ.
        TypeError: if the two arguments are not both modules or both mappings of tensors.

    >>> float(ema_update({"w": torch.zeros(1)}, {"w": torch.ones(1)}, momentum=0.75)["w"])
    0.75
    """
    if not 0.0 <= momentum <= 1.0:
        raise ValueError(f"momentum must lie in [0, 1], got {momentum}")
    if isinstance(context_params, nn.Module) and isinstance(target_params, nn.Module):
        context = dict(_named(context_params))
        target = dict(_named(target_params))
        _check_same(context, target)
        inexact = [
            name for name in target if target[name].is_floating_point() or target[name].is_complex()
        ]
        if inexact:
            sources = [context[name].to(target[name]) for name in inexact]
            torch._foreach_lerp_([target[name] for name in inexact], sources, 1.0 - momentum)
        for name in target.keys() - set(inexact):
            target[name].copy_(context[name])
        return target_params
    if isinstance(context_params, Mapping) and isinstance(target_params, Mapping):
        return _blend(context_params, target_params, momentum)
    raise TypeError(
        "ema_update expects two modules or two mappings of tensors, got "
        f"{type(context_params).__name__} and {type(target_params).__name__}"
    )


def momentum_at(step: int, steps: int, start: float, end: float = 1.0) -> float:
    """Momentum after optimizer step `step` (1-based) of `steps`: a half cosine from `start` to `end` (BYOL, eq. 3)."""
    return end - (end - start) * (math.cos(math.pi * min(step, steps) / max(steps, 1)) + 1) / 2


def _named(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [*module.named_parameters(), *module.named_buffers()]


def _blend(context: Tree, target: Tree, momentum: float, path: str = "") -> dict[str, Any]:
    _check_same(context, target, path)
    updated: dict[str, Any] = {}
    for name, old in target.items():
        new = context[name]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            updated[name] = _blend(new, old, momentum, f"{path}{name}.")
        elif isinstance(old, Tensor) and isinstance(new, Tensor):
            inexact = old.is_floating_point() or old.is_complex()
            updated[name] = torch.lerp(old, new.to(old), 1.0 - momentum) if inexact else new.clone()
        else:
            raise TypeError(
                f"{path}{name}: expected two tensors or two mappings, got {type(old)} and {type(new)}"
            )
    return updated


def _check_same(context: Tree, target: Tree, path: str = "") -> None:
    if context.keys() != target.keys():
        missing = sorted(path + name for name in context.keys() - target.keys())
        extra = sorted(path + name for name in target.keys() - context.keys())
        raise ValueError(
            f"context and target must have the same keys; only in context: {missing}; only in target: {extra}"
        )
    for name, old in target.items():
        new = context[name]
        if isinstance(old, Tensor) and isinstance(new, Tensor) and old.shape != new.shape:
            raise ValueError(
                f"{path}{name}: context has shape {tuple(new.shape)}, target {tuple(old.shape)}; they must agree"
            )
