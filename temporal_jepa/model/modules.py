"""A tokenizer and an encoder of one's own in place of those of the package."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from ..config import TemporalJEPAConfig
from .masks import gather_tokens

Maker = Callable[[TemporalJEPAConfig], nn.Module]
"""A function, or the class itself, that makes a module for a configuration."""


@dataclass(frozen=True)
class Modules:
    """Modules of one's own; each is a function of the configuration that returns a new module.

    Args:
        tokenizer: makes a module of `x (B, T, C)`, standardized and 0 where unobserved, bool
            `observed (B, T, C)` and `slope (C,)`, the scale of first differences. It returns tokens
            `(B, N, embed_dim)`, `N = T / patch_len`. For `NextLatent` and `MaskedContrast` a token
            must see its own patch alone.
        encoder: makes a module of tokens `(B, N, embed_dim)` that returns tokens of the same shape.
            Masked and unobserved tokens are 0; if its `forward` has an argument `observed`, it gets
            bool `(B, N)`, True where a token is visible.

    >>> def perceptron(config):
    ...     return nn.Linear(config.embed_dim, config.embed_dim)
    >>> Modules(encoder=perceptron).names()
    {'encoder': 'perceptron'}
    """

    tokenizer: Maker | None = None
    encoder: Maker | None = None

    def __post_init__(self) -> None:
        """ValueError for a module in place of a function that makes one."""
        for name in ("tokenizer", "encoder"):
            if isinstance(getattr(self, name), nn.Module):
                raise ValueError(
                    f"{name} must be a class, or a function of the configuration that returns a "
                    f"module, got a module: {type(getattr(self, name)).__name__}(...)"
                )

    def names(self) -> dict[str, str]:
        """The modules that are given, and the names of their makers."""
        makers = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            part: getattr(maker, "__qualname__", repr(maker))
            for part, maker in makers.items()
            if maker is not None
        }


class GridEncoder(nn.Module):
    """Calls an encoder of one's own, which sees all tokens of the grid, as `Transformer` is called.

    Args:
        config: a causal one is checked.
        encoder: see `Modules`.
    """

    def __init__(self, config: TemporalJEPAConfig, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder
        self.takes_observed = (
            "observed" in inspect.signature(encoder.forward).parameters
        )
        if config.attention == "causal":
            self._check_causal(config)

    def forward(
        self,
        h: Tensor,
        positions: Tensor,
        valid: Tensor | None,
        num_positions: int,
        at: Tensor | None = None,
    ) -> list[Tensor]:
        """The tokens and the output of the encoder; arguments as `Transformer.forward`."""
        batch, _, width = h.shape
        if valid is None:
            valid = torch.ones_like(positions, dtype=torch.bool)
        # Padding goes to a spare position at the end, which is cut off.
        places = torch.where(valid, positions, num_positions)
        grid = h.new_zeros(batch, num_positions + 1, width)
        grid = grid.scatter(1, places[:, :, None].expand(-1, -1, width), h)[:, :-1]
        observed = valid.new_zeros(batch, num_positions + 1)
        observed = observed.scatter(1, places, True)[:, :-1]
        grid = grid * observed[..., None]
        given = (observed,) if self.takes_observed else ()
        encoded = self.encoder(grid, *given)
        if not isinstance(encoded, Tensor) or encoded.shape != grid.shape:
            got = tuple(encoded.shape) if isinstance(encoded, Tensor) else type(encoded)
            raise ValueError(
                f"an encoder must return tokens {tuple(grid.shape)}, as it gets, got {got}"
            )
        return [
            h,
            gather_tokens(
                encoded, positions if at is None else positions.gather(1, at)
            ),
        ]

    @torch.no_grad()
    def _check_causal(self, config: TemporalJEPAConfig) -> None:
        """ValueError if a token depends on a later one."""
        rows, columns = config.cells
        tokens = torch.randn(1, 8 * rows * columns, config.embed_dim)
        positions = torch.arange(tokens.shape[1])[None]
        changed = tokens.clone()
        half = tokens.shape[1] // 2
        changed[:, half:] += 1
        was_training = self.training
        self.eval()
        before, after = (
            self(each, positions, None, tokens.shape[1])[-1][:, :half]
            for each in (tokens, changed)
        )
        self.train(was_training)
        if not torch.allclose(before, after, atol=1e-5):
            raise ValueError(
                f'attention="causal" needs an encoder whose tokens do not depend on later ones; '
                f"those of {type(self.encoder).__name__} do"
            )
