"""Random numbers from a generator of one's own: torch's global one is neither read nor changed.

So the same seed gives the same bits in threads, and whatever the default dtype and device are.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

FACTORIES = frozenset({torch.empty, torch.zeros, torch.ones, torch.rand, torch.randn})
"""Functions that read the default dtype and device."""
DRAWS = frozenset({torch.rand, torch.randn, Tensor.uniform_, Tensor.normal_})
"""Methods and functions that draw random numbers."""


class DrawFrom(TorchFunctionMode):
    """Within this context, modules are made in float32 on the CPU, with weights from a generator.

    It holds for the current thread only.

    Args:
        generator: random state (CPU), advanced by the draws.

    >>> with DrawFrom(torch.Generator().manual_seed(0)):
    ...     layer = nn.Linear(2, 1)
    >>> with DrawFrom(torch.Generator().manual_seed(0)):
    ...     bool((nn.Linear(2, 1).weight == layer.weight).all())
    True
    """

    def __init__(self, generator: torch.Generator):
        super().__init__()
        self.generator = generator

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call `func` with the generator, and with what it would take from the defaults."""
        kwargs = dict(kwargs or {})
        if func in DRAWS or "generator" in kwargs:  # functions of torch.nn.init have it
            kwargs["generator"] = self.generator
        if func in FACTORIES:
            kwargs["dtype"] = kwargs.get("dtype") or torch.float32
            kwargs["device"] = kwargs.get("device") or "cpu"
        return func(*args, **kwargs)


class Dropout(nn.Module):
    """Dropout in training, with random numbers from `generator`.

    Args:
        rate: probability that a value becomes 0.

    Attributes:
        generator: random state on the device of the values; None: torch's global one. See
            `dropout_from`.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate
        self.generator: torch.Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        """`(...)` -> `(...)`."""
        if not self.training or self.rate == 0:
            return x
        if self.generator is None:
            return F.dropout(x, self.rate)
        return x * _kept(x, self.rate, self.generator)

    def extra_repr(self) -> str:
        """For `print`."""
        return f"rate={self.rate}"


def _kept(x: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """0 where a value is dropped, else what keeps the mean."""
    kept = torch.empty_like(x, requires_grad=False).bernoulli_(
        1 - rate, generator=generator
    )
    return kept.div_(1 - rate)


@contextmanager
def dropout_from(module: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """Within this context, all dropout of a module draws from a generator, which it advances."""
    layers = [layer for layer in module.modules() if isinstance(layer, Dropout)]
    for layer in layers:
        layer.generator = generator
    try:
        yield
    finally:
        for layer in layers:
            layer.generator = None


def generator_on(device: torch.device, seed: int) -> torch.Generator:
    """A new generator on a device."""
    return torch.Generator(device).manual_seed(seed)
