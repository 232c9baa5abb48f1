"""The context encoder: visible timesteps to tokens to one vector. The target encoder is a copy of it.

Legend of shapes: `B` batch, `T` timesteps, `C` channels (input_dim), `P` timesteps a patch, `N` tokens, `K` kept
tokens, `D` width. Hiding is one mechanism: padding, missing values (NaN) and masked timesteps are all *unobserved*
values; a tokenizer sees zeros there, and a token without any observed value is dropped.
"""

import math
from dataclasses import dataclass
from typing import get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import Pool, TemporalJEPAConfig
from .masks import gather_tokens, kept_index
from .tokenizers import ConvTokenizer, LinearTokenizer, Normalizer, PatchGrid
from .transformer import Transformer

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)  # of tokens over time, for pool="quantiles"
MAX_TOKENS = 16384  # longest accepted sequence, in tokens: attention is quadratic and this is where memory ends


@dataclass(frozen=True)
class Encoded:
    """An encoded batch: `layers`, `(B, K, D)` each, the last normed; their places `index` and `valid`, `(B, K)`."""

    layers: list[Tensor]
    index: Tensor
    valid: Tensor | None
    num_tokens: int

    def on_grid(self) -> tuple[Tensor, Tensor]:
        """The last layer at its grid places: `(B, N, D)`, zeros elsewhere, and bool `(B, N)`, True = encoded."""
        tokens = self.layers[-1]
        batch, count, width = tokens.shape
        if self.valid is None and count == self.num_tokens:
            return tokens, torch.ones_like(self.index, dtype=torch.bool)
        valid = torch.ones_like(self.index, dtype=torch.bool) if self.valid is None else self.valid
        place = torch.where(
            valid, self.index, self.num_tokens
        )  # padding goes to a spare place at the end
        grid = tokens.new_zeros(batch, self.num_tokens + 1, width)
        grid.scatter_(1, place[:, :, None].expand(-1, -1, width), tokens)
        there = torch.zeros(batch, self.num_tokens + 1, dtype=torch.bool, device=tokens.device)
        there.scatter_(1, place, True)
        return grid[:, :-1], there[:, :-1]


class ContextEncoder(nn.Module):
    """Tokens of the visible timesteps through bidirectional attention: `(B, T, C)` -> `(B, embed_dim)`."""

    def __init__(self, config: TemporalJEPAConfig):
        super().__init__()
        self.config = config
        self.normalizer = Normalizer(config)
        self.tokenizer = (
            ConvTokenizer(config)
            if config.tokenizer in ConvTokenizer.KERNELS
            else LinearTokenizer(config)
        )
        self.transformer = Transformer(config.embed_dim, config.encoder_depth, config)
        self.grid = PatchGrid(config)

    def forward(
        self, x: Tensor, visible: Tensor | None = None, observed: Tensor | None = None
    ) -> Tensor:
        """Mean of the final tokens of the visible, observed timesteps.

        Args:
            x: float `(B, T, input_dim)`; NaN counts as unobserved. Any `T` up to `MAX_TOKENS * patch_len`.
            visible: bool `(T,)` or `(B, T)`, True = visible; what is hidden cannot reach the output.
            observed: bool `(B, T)` or `(B, T, input_dim)`, False for padding and missing values.

        Returns:
            float `(B, embed_dim)`.

        Raises:
            ValueError: for a wrong shape, too long a sequence, or one without any visible observed timestep.
        """
        x, known = self.prepare(x, observed)
        if visible is not None:
            if visible.dtype != torch.bool or visible.shape not in (x.shape[1:2], x.shape[:2]):
                raise ValueError(
                    f"visible must be bool (seq_len,) or (batch, seq_len) for x {tuple(x.shape)}, "
                    f"got {visible.dtype} {tuple(visible.shape)}"
                )
            known = known & visible.expand(x.shape[:2])[:, :, None]
        if not bool(known.flatten(1).any(1).all()):
            raise ValueError(
                "every sequence needs at least one visible, observed timestep; got one with none"
            )
        encoded = self.encode(x, known)
        return masked_mean(encoded.layers[-1], encoded.valid)

    def prepare(self, x: Tensor, observed: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Check the input and pad it to whole patches: `(x, known)`, both `(B, N*P, C)`; known is bool."""
        channels = self.config.input_dim
        patch = self.config.patch
        longest = MAX_TOKENS // math.prod(self.config.cells) * patch
        if x.ndim != 3 or x.shape[-1] != channels:
            hint = (
                "; the axes look swapped: pass x.transpose(1, 2)"
                if x.ndim == 3 and x.shape[1] == channels
                else ""
            )
            raise ValueError(
                f"x must be (batch, seq_len, input_dim={channels}), got {tuple(x.shape)}{hint}"
            )
        if not len(x):
            raise ValueError("x must hold at least one sequence, got a batch of 0")
        if not 1 <= x.shape[1] <= longest:
            raise ValueError(
                f"seq_len must lie in 1..{longest}, got {x.shape[1]}; cut it into windows"
            )
        x = x.to(self.normalizer.mean.dtype)
        known = ~x.isnan()
        if observed is not None:
            if observed.dtype != torch.bool or observed.shape not in (x.shape[:2], x.shape):
                raise ValueError(
                    f"observed must be bool {tuple(x.shape[:2])} or {tuple(x.shape)}, "
                    f"got {observed.dtype} {tuple(observed.shape)}"
                )
            known = known & (observed if observed.ndim == 3 else observed[:, :, None])
        rest = -x.shape[1] % patch
        return F.pad(x, (0, 0, 0, rest)), F.pad(known, (0, 0, 0, rest))

    def tokens_observed(self, known: Tensor) -> Tensor:
        """Which tokens hold an observed value: bool `(B, N*P, C)` -> `(B, N)`."""
        return self.grid.split(known).any(-1)

    def mask(self, known: Tensor, visible: Tensor) -> Tensor:
        """Make the values of hidden tokens unobserved: known `(B, N*P, C)`, visible `(B, N)`."""
        return known & self.grid.spread(visible)

    def encode(self, x: Tensor, known: Tensor, drop: bool = True) -> Encoded:
        """Encode what is known of a prepared batch, `(B, N*P, C)`; tokens with nothing known are dropped first.

        Without `drop` they stay and are masked: the same result, in shapes that do not depend on the values.
        """
        tokens = self.tokenizer(
            self.normalizer(x, known), known, self.normalizer.slope
        )  # (B, N, D)
        seen = self.tokens_observed(known)
        count = tokens.shape[1]
        if drop:
            index, valid = kept_index(seen)  # (B, K)
            if index.shape[1] < count or valid is not None:
                tokens = gather_tokens(tokens, index)  # (B, K, D)
        else:
            index = torch.arange(count, device=x.device).expand(seen.shape)
            valid = seen
        return Encoded(self.transformer(tokens, index, valid), index, valid, count)


def masked_mean(tokens: Tensor, valid: Tensor | None) -> Tensor:
    """Mean over the real tokens: `(B, K, D)`, bool `(B, K)` or None -> `(B, D)`."""
    if valid is None:
        return tokens.mean(1)
    return (tokens * valid[..., None]).sum(1) / valid.sum(1, keepdim=True).clamp(min=1)


def pool_tokens(encoded: Encoded, pool: Pool) -> Tensor:
    """Pool `(B, K, D)` layers into one vector per sequence; real tokens only, see `TemporalJEPA.embed`."""
    if pool not in get_args(Pool):
        raise ValueError(f"pool must be one of {', '.join(get_args(Pool))}, got {pool!r}")
    if pool == "mean":
        return masked_mean(encoded.layers[-1], encoded.valid)
    if pool == "quantiles":
        return torch.cat([_quantiles(tokens, encoded.valid) for tokens in encoded.layers], dim=1)
    pooled = []
    for tokens in encoded.layers:
        mean = masked_mean(tokens, encoded.valid)
        std = masked_mean((tokens - mean[:, None]).square(), encoded.valid).clamp(min=1e-12).sqrt()
        if encoded.valid is not None:
            tokens = tokens.masked_fill(~encoded.valid[..., None], float("-inf"))
        pooled += [mean, std, tokens.amax(1)]
    return torch.cat(pooled, dim=1)


def view_pool(pool: Pool) -> Pool:
    """The pooling of an encoder with views: quantiles are what it is meant for, and what "all" asks of it."""
    return "quantiles" if pool == "all" else pool


def _quantiles(tokens: Tensor, valid: Tensor | None) -> Tensor:
    """Quantiles over the real tokens, linear in between: `(B, K, D)` -> `(B, len(QUANTILES) * D)`."""
    if valid is not None:
        tokens = tokens.masked_fill(~valid[..., None], float("inf"))
    ordered = tokens.sort(1).values
    count = (
        tokens.new_full((len(tokens),), tokens.shape[1])
        if valid is None
        else valid.sum(1).to(tokens.dtype)
    )
    place = (count - 1).clamp(min=0)[:, None] * tokens.new_tensor(QUANTILES)  # (B, Q)
    low, high = (
        end.long()[..., None].expand(-1, -1, tokens.shape[2])
        for end in (place.floor(), place.ceil())
    )
    # (B, Q, D)
    below = ordered.gather(1, low)
    above = ordered.gather(1, high)
    return (below + (above - below) * (place - place.floor())[..., None]).flatten(1)


def append_moments(encoder: ContextEncoder, features: Tensor, x: Tensor, known: Tensor) -> Tensor:
    """With `normalize="instance"`, add what normalising took away: each sequence's mean and std, `(B, F + 2 C)`.

    In steps of 1/1024 of the data's spread: finer differences are rounding, which a scaler after this would blow up.
    """
    norm = encoder.normalizer
    if not norm.instance:
        return features
    scaled = torch.where(known, (x - norm.mean) / norm.std, 0.0)
    moments = (torch.round(part * 1024) / 1024 for part in norm.moments(scaled, known))
    return torch.cat([features, *moments], dim=1)
