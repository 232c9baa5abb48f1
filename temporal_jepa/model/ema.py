"""The target encoder's weights: an exponential moving average (EMA) of the context encoder's."""

import math
from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

Tree: TypeAlias = Mapping[str, Any]  # nested mapping of tensors
Params = TypeVar("Params", nn.Module, Tree)


def default_momentum() -> float:
    """The default momentum of `ema_update`: 0.996 (BYOL, arXiv 2006.07733), see also `RECIPE`.

    >>> default_momentum()
    0.996
    """
    return 0.996


@torch.no_grad()
def ema_update(
    context_params: Params, target_params: Params, momentum: float = 0.996
) -> Params:
    """Move the target towards the context: `target = momentum * target + (1 - momentum) * context`.

    Modules are updated in place, floating-point buffers too; integer buffers are copied. Mappings
    (a state dict, or mappings nested in mappings) are left alone and a new one is returned. No
    gradient flows through the update.

    Args:
        context_params: module or (nested) mapping of tensors to move towards.
        target_params: the same structure, keys and shapes.
        momentum: fraction of the target that is kept, in [0, 1]; 1 freezes it, 0 copies the
            context.

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
        # Parameters and buffers apart: under FSDP2 the former are DTensors, the latter are not.
        for kind in ("named_parameters", "named_buffers"):
            context = dict(getattr(context_params, kind)())
            target = dict(getattr(target_params, kind)())
            _check_same(context, target)
            _update_in_place(context, target, momentum)
        return target_params
    if isinstance(context_params, Mapping) and isinstance(target_params, Mapping):
        return _updated_copy(context_params, target_params, momentum)
    raise TypeError(
        "ema_update expects two modules or two mappings of tensors, got "
        f"{type(context_params).__name__} and {type(target_params).__name__}"
    )


def momentum_at(step: int, steps: int, start: float, end: float = 1.0) -> float:
    """Momentum after optimizer step `step` (1-based) of `steps`: a half cosine (BYOL, eq. 3)."""
    angle = math.pi * min(step, steps) / max(steps, 1)
    return end - (end - start) * (math.cos(angle) + 1) / 2


def _update_in_place(
    context: Mapping[str, Tensor], target: Mapping[str, Tensor], momentum: float
) -> None:
    averaged = []
    for name, tensor in target.items():
        if tensor.is_floating_point() or tensor.is_complex():
            averaged.append(name)
        else:
            tensor.copy_(context[name])
    if averaged:
        old = [target[name] for name in averaged]
        new = [context[name].to(target[name]) for name in averaged]
        update = get_ema_multi_avg_fn(momentum)  # type: ignore[no-untyped-call]
        update(old, new, 0)


def _updated_copy(
    context: Tree, target: Tree, momentum: float, path: str = ""
) -> dict[str, Any]:
    _check_same(context, target, path)
    updated: dict[str, Any] = {}
    for name, old in target.items():
        new = context[name]
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            updated[name] = _updated_copy(new, old, momentum, f"{path}{name}.")
        elif isinstance(old, Tensor) and isinstance(new, Tensor):
            updated[name] = old.detach().clone()
            _update_in_place({name: new}, {name: updated[name]}, momentum)
        else:
            raise TypeError(
                f"{path}{name}: expected two tensors or two mappings, "
                f"got {type(old)} and {type(new)}"
            )
    return updated


def _check_same(context: Tree, target: Tree, path: str = "") -> None:
    if context.keys() != target.keys():
        missing = sorted(path + name for name in context.keys() - target.keys())
        extra = sorted(path + name for name in target.keys() - context.keys())
        raise ValueError(
            "context and target must have the same keys; "
            f"only in context: {missing}; only in target: {extra}"
        )
    for name, old in target.items():
        new = context[name]
        both = isinstance(old, Tensor) and isinstance(new, Tensor)
        if both and old.shape != new.shape:
            raise ValueError(
                f"{path}{name}: context has shape {tuple(new.shape)}, target {tuple(old.shape)}; "
                "they must be equal"
            )
