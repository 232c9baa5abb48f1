"""The context encoder: encodes visible timesteps as tokens and pools them.

The target encoder is a copy of it.

Legend of shapes: `B` batch, `T` timesteps, `C` channels (input_dim), `P` timesteps per patch, `N`
tokens, `K` kept tokens, `D` width.

Padding, missing values (NaN) and masked timesteps are one thing: *unobserved* values. A tokenizer
sees zeros there, and a token without any observed value is dropped (decision 0002).
"""

import math
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import Pool, TemporalJEPAConfig
from .masks import gather_tokens, positions_of
from .modules import GridEncoder, Modules
from .tokenizers import TOKENIZERS, Normalizer, PatchGrid, largest
from .transformer import Transformer

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)  # of tokens over time, for pool="quantiles"
MAX_TOKENS = 16384  # longest accepted sequence: the time of attention is quadratic


@dataclass(frozen=True)
class Encoded:
    """An encoded batch.

    Attributes:
        layers: `(B, K, D)` each: the tokenizer's output and every layer, the last one normed.
        positions: int64 `(B, K)`, grid positions of the tokens.
        valid: bool `(B, K)`, False for padding; None if there is none.
        num_tokens: size of the grid, `N`.
    """

    layers: list[Tensor]
    positions: Tensor
    valid: Tensor | None
    num_tokens: int

    def without_tokenizer(self) -> "Encoded":
        """The same without the output of the tokenizer."""
        return replace(self, layers=self.layers[1:])

    def joined(self, windows: int) -> "Encoded":
        """Join each `windows` consecutive sequences; tokens keep the positions of their window."""

        def join(x: Tensor) -> Tensor:
            return torch.unflatten(x, 0, (-1, windows)).flatten(1, 2)

        valid = None if self.valid is None else join(self.valid)
        layers = [join(layer) for layer in self.layers]
        return Encoded(layers, join(self.positions), valid, self.num_tokens * windows)

    def on_grid(self) -> tuple[Tensor, Tensor]:
        """The last layer at its grid positions: `(B, N, D)`, and bool `(B, N)`, True = encoded.

        Tokens that were dropped are 0.
        """
        tokens = self.layers[-1]
        batch, count, width = tokens.shape
        valid = self.valid
        if valid is None:
            valid = torch.ones_like(self.positions, dtype=torch.bool)
            if count == self.num_tokens:
                return tokens, valid
        # Padding goes to a spare position at the end, which is cut off.
        positions = torch.where(valid, self.positions, self.num_tokens)
        grid = tokens.new_zeros(batch, self.num_tokens + 1, width)
        grid.scatter_(1, positions[:, :, None].expand(-1, -1, width), tokens)
        encoded = torch.zeros(
            batch, self.num_tokens + 1, dtype=torch.bool, device=tokens.device
        )
        encoded.scatter_(1, positions, True)
        return grid[:, :-1], encoded[:, :-1]


class ContextEncoder(nn.Module):
    """A transformer over the tokens of visible timesteps: `(B, T, C)` -> `(B, embed_dim)`.

    >>> encoder = ContextEncoder(TemporalJEPAConfig(input_dim=3, embed_dim=32, num_heads=4))
    >>> encoder(torch.randn(2, 60, 3), torch.arange(60) < 30).shape  # the first half is visible
    torch.Size([2, 32])
    """

    def __init__(
        self, config: TemporalJEPAConfig, modules: Modules | None = None
    ) -> None:
        super().__init__()
        modules = modules or Modules()
        self.config = config
        self.normalizer = Normalizer(config)
        self.tokenizer = (modules.tokenizer or TOKENIZERS[config.tokenizer])(config)
        self.transformer: Transformer | GridEncoder
        if modules.encoder is not None:
            self.transformer = GridEncoder(config, modules.encoder(config))
        else:
            self.transformer = Transformer(
                config.embed_dim, config.encoder_depth, config
            )
        self.grid = PatchGrid(config)

    def forward(
        self, x: Tensor, visible: Tensor | None = None, observed: Tensor | None = None
    ) -> Tensor:
        """Mean of the final tokens of the visible, observed timesteps.

        Args:
            x: float `(B, T, input_dim)`; NaN counts as unobserved. Any `T` up to
                `MAX_TOKENS * patch_len`.
            visible: bool `(T,)` or `(B, T)`, True = visible; masked values cannot reach the output.
            observed: bool `(B, T)` or `(B, T, input_dim)`, False for padding and missing values.

        Returns:
            float `(B, embed_dim)`.

        Raises:
            ValueError: for a wrong shape, too long a sequence, or a sequence without any visible
                observed timestep.
        """
        x, observed = self.prepare(x, observed)
        if visible is not None:
            if visible.dtype != torch.bool or visible.shape not in (
                x.shape[1:2],
                x.shape[:2],
            ):
                raise ValueError(
                    "visible must be bool (seq_len,) or (batch, seq_len) for x "
                    f"{tuple(x.shape)}, got {visible.dtype} {tuple(visible.shape)}"
                )
            observed = observed & visible.expand(x.shape[:2])[:, :, None]
        if not bool(observed.flatten(1).any(1).all()):
            raise ValueError(
                "every sequence needs at least one visible, observed timestep; got one with none"
            )
        encoded = self.encode(x, observed)
        return masked_mean(encoded.layers[-1], encoded.valid)

    def prepare(
        self, x: Tensor, observed: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Check a batch and pad it to whole patches.

        Returns:
            `(x, observed)`, both `(B, T, C)` with `T` in whole patches; observed is bool.

        Raises:
            ValueError: for a wrong shape or length.
        """
        self._check_shape(x)
        x = x.to(self.normalizer.mean.dtype)
        not_missing = ~x.isnan()
        if observed is None:
            observed = not_missing
        else:
            if observed.dtype != torch.bool or observed.shape not in (
                x.shape[:2],
                x.shape,
            ):
                raise ValueError(
                    f"observed must be bool {tuple(x.shape[:2])} or {tuple(x.shape)}, "
                    f"got {observed.dtype} {tuple(observed.shape)}"
                )
            if observed.ndim == 2:
                observed = observed[:, :, None]
            observed = not_missing & observed
        padding = (0, 0, 0, -x.shape[1] % self.config.patch)
        return F.pad(x, padding), F.pad(observed, padding)

    def _check_shape(self, x: Tensor) -> None:
        channels = self.config.input_dim
        longest = MAX_TOKENS // math.prod(self.config.cells) * self.config.patch
        if x.ndim != 3 or x.shape[-1] != channels:
            hint = ""
            if x.ndim == 3 and x.shape[1] == channels:
                hint = "; the axes look swapped: pass x.transpose(1, 2)"
            raise ValueError(
                f"x must be (batch, seq_len, input_dim={channels}), got {tuple(x.shape)}{hint}"
            )
        if not len(x):
            raise ValueError("x must hold at least one sequence, got a batch of 0")
        if not 1 <= x.shape[1] <= longest:
            raise ValueError(
                f"seq_len must lie in 1..{longest}, got {x.shape[1]}; cut it into windows"
            )

    def tokens_observed(self, observed: Tensor) -> Tensor:
        """Which tokens hold an observed value: bool `(B, T, C)` -> `(B, N)`."""
        return self.grid.patchify(observed).any(-1)

    def mask(self, observed: Tensor, visible: Tensor) -> Tensor:
        """Make masked tokens unobserved: bool `(B, T, C)`, `(B, N)` -> `(B, T, C)`."""
        return observed & self.grid.unpatchify(visible)

    def encode(self, x: Tensor, observed: Tensor, drop: bool = True) -> Encoded:
        """Encode the observed values of a prepared batch, `(B, T, C)` each.

        Args:
            x: values.
            observed: bool.
            drop: gather the tokens with an observed value before attention. Otherwise all tokens
                stay and attention is masked: the same result, in shapes that do not depend on the
                values, as an exported graph needs.
        """
        tokens = self.tokens(x, observed)  # (B, N, D)
        return self.attend(tokens, self.tokens_observed(observed), drop)

    def attend(
        self, tokens: Tensor, observed: Tensor | None, drop: bool = True
    ) -> Encoded:
        """Encode tokens `(B, N, D)`.

        Args:
            tokens: from the tokenizer.
            observed: bool `(B, N)`; None if all tokens are.
            drop: as in `encode`.
        """
        count = tokens.shape[1]
        valid = observed
        if drop and observed is not None:
            tokens, positions, valid = _drop(tokens, observed)  # (B, K, D)
        else:
            positions = torch.arange(count, device=tokens.device).expand(
                tokens.shape[:2]
            )
        layers = self.transformer(tokens, positions, valid, count)
        return Encoded(layers, positions, valid, count)

    def encode_at(self, x: Tensor, observed: Tensor, positions: Tensor) -> Tensor:
        """The last layer at grid positions `(B, M)`: `encode` without the rest of that layer.

        Returns:
            `(B, M, D)`; at positions without an observed value, that of some other token.
        """
        token_observed = self.tokens_observed(observed)  # (B, N)
        tokens, kept, valid = _drop(self.tokens(x, observed), token_observed)
        at = positions
        if kept.shape[1] < token_observed.shape[1] or valid is not None:
            at = (token_observed.cumsum(1) - 1).clamp(min=0).gather(1, positions)
        count = token_observed.shape[1]
        last: Tensor = self.transformer(tokens, kept, valid, count, at)[-1]
        return last

    def tokens(self, x: Tensor, observed: Tensor) -> Tensor:
        """`(B, T, C)` each -> `(B, N, D)`."""
        normalized = self.normalizer(x, observed)
        observed = self.normalizer.observed(observed)
        tokens: Tensor = self.tokenizer(normalized, observed, self.normalizer.slope)
        return tokens


def _drop(tokens: Tensor, observed: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gather the observed tokens: `(B, N, D)`, bool `(B, N)` -> `(B, K, D)`, `positions_of`."""
    positions, valid = positions_of(observed)  # (B, K)
    if positions.shape[1] < observed.shape[1] or valid is not None:
        tokens = gather_tokens(tokens, positions)  # (B, K, D)
    return tokens, positions, valid


def masked_mean(tokens: Tensor, valid: Tensor | None) -> Tensor:
    """Mean over the valid tokens: `(B, K, D)`, bool `(B, K)` or None -> `(B, D)`."""
    if valid is None:
        return tokens.mean(1)
    return (tokens * valid[..., None]).sum(1) / valid.sum(1, keepdim=True).clamp(min=1)


def pool_tokens(encoded: Encoded, pool: Pool) -> Tensor:
    """Pool tokens into one vector per sequence, see `TemporalJEPA.embed`."""
    valid = encoded.valid
    if pool == "mean":
        return masked_mean(encoded.layers[-1], valid)
    if pool == "quantiles":
        layers = torch.stack(encoded.layers, dim=1).transpose(2, 3)
        return quantiles(layers, valid, QUANTILES)
    if pool == "all":
        return torch.cat(
            [_mean_std_max(tokens, valid) for tokens in encoded.layers], dim=1
        )
    raise ValueError(f"pool must be one of {', '.join(get_args(Pool))}, got {pool!r}")


def _mean_std_max(tokens: Tensor, valid: Tensor | None) -> Tensor:
    """`(B, K, D)` -> `(B, 3 D)`."""
    mean = masked_mean(tokens, valid)
    variance = masked_mean((tokens - mean[:, None]).square(), valid)
    if valid is not None:
        tokens = tokens.masked_fill(~valid[..., None], float("-inf"))
    std = variance.clamp(min=1e-12).sqrt()
    return torch.cat([mean, std, largest(tokens.mT)], dim=1)


def quantiles(x: Tensor, valid: Tensor | None, levels: tuple[float, ...]) -> Tensor:
    """Quantiles over the valid places of the last axis, interpolated linearly.

    Args:
        x: `(B, L, D, K)`.
        valid: bool `(B, K)`; None if all are.
        levels: `Q` numbers from 0 to 1.

    Returns:
        `(B, L * Q * D)`.
    """
    if valid is None:
        ordered = _sorted(x.contiguous())
        rank = torch.tensor(levels, dtype=torch.float64) * (x.shape[3] - 1)
        low = rank.floor()
        places = torch.cat([low, rank.ceil()]).long().to(x.device)
        below, above = ordered.index_select(3, places).chunk(2, dim=3)  # (B, L, D, Q)
        share = (rank - low).to(x)
    else:
        ordered = _sorted(x.masked_fill(~valid[:, None, None, :], float("inf")))
        count = valid.sum(1).to(x.dtype)
        rank = (count - 1).clamp(min=0)[:, None] * x.new_tensor(levels)
        rank = rank[:, None, None]  # (B, 1, 1, Q)
        sizes = (-1, x.shape[1], x.shape[2], -1)
        below = ordered.gather(3, rank.floor().long().expand(sizes))
        above = ordered.gather(3, rank.ceil().long().expand(sizes))
        share = rank - rank.floor()
    found = below + (above - below) * share
    return found.transpose(2, 3).flatten(1)


def _sorted(x: Tensor) -> Tensor:
    """Ascending values of the last axis.

    NumPy sorts vectors many times faster than torch, which also ranks them.
    """
    is_plain = x.dtype in (torch.float32, torch.float64) and not x.requires_grad
    if is_plain and x.device.type == "cpu" and not torch.compiler.is_compiling():
        return torch.from_numpy(np.sort(x.numpy(), axis=-1))
    return x.sort(-1).values
