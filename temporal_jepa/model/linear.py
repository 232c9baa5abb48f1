"""`x @ W.T + b` in fp32 by oneDNN on the CPUs where it beats torch's default, MKL; everywhere else `F.linear`.

Measured by benchmarks/speed.py; decision 0005 says why a private operator of torch is called, and how it is guarded.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@cache
def onednn_is_faster() -> bool:
    """Whether this machine is an AMD with AVX-512 whose torch has the operator, and its result is right.

    Told from the machine and not from a clock: a run must resume with the arithmetic it started with. The environment
    variable `TEMPORAL_JEPA_ONEDNN=0` switches it off.
    """
    if os.environ.get("TEMPORAL_JEPA_ONEDNN") == "0" or torch.backends.cpu.get_cpu_capability() != "AVX512":
        return False
    info = Path("/proc/cpuinfo")
    if not torch._C._has_mkldnn or not info.exists() or "AuthenticAMD" not in info.read_text():
        return False
    x, weight, bias = (torch.linspace(-1, 1, n).view(s) for n, s in ((96, (6, 16)), (128, (8, 16)), (8, (8,))))
    try:
        fast = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    except (AttributeError, RuntimeError):
        return False
    return torch.allclose(fast, F.linear(x, weight, bias), atol=1e-5)


def _multiply(x: Tensor, weight: Tensor, bias: Tensor | None, then: str = "none") -> Tensor:
    product: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, then, [], "none")
    return product


class _Linear(torch.autograd.Function):
    """Forward and both backward products by `_multiply`; differentiable once."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _multiply(x, weight, bias)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        grad = grads[0].reshape(-1, weight.shape[0])  # (n, out)
        to_x = _multiply(grad, weight.t(), None).view(x.shape) if ctx.needs_input_grad[0] else None
        to_weight = _multiply(grad.t(), x.reshape(-1, x.shape[-1]).t(), None)
        return to_x, to_weight, grad.sum(0)


def linear(layer: nn.Linear, x: Tensor, gelu: bool = False) -> Tensor:
    """`layer(x)`, then GELU where asked: `(..., in)` -> `(..., out)`."""
    if (
        torch.compiler.is_compiling()  # first: a traced check of numbers cannot be compiled
        or x.device.type != "cpu"
        or x.dtype != torch.float32
        or torch.is_autocast_enabled("cpu")
        or not onednn_is_faster()
    ):
        return F.gelu(layer(x)) if gelu else layer(x)
    if not torch.is_grad_enabled():
        return _multiply(x, layer.weight, layer.bias, "gelu" if gelu else "none")
    y: Tensor = _Linear.apply(x, layer.weight, layer.bias)  # type: ignore[no-untyped-call]
    return F.gelu(y) if gelu else y
