"""Embeddings of an encoder that reads all channels jointly: one vector per sequence or timestep.

Legend of shapes: `B` batch, `T` timesteps, `C` channels, `P` timesteps per patch, `N` tokens, `D`
width, `F` features of an embedding.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..config import Pool
from .compact import Components
from .encoder import ContextEncoder, Encoded, pool_tokens
from .masks import draw_visible
from .modules import GridEncoder

MOMENT_STEPS = 1024  # per unit of the training data's standard deviation


class Embedder(nn.Module):
    """Pool the tokens of an encoder. `MultiResolution` has the same methods.

    `forward` is for complete series and for export; `features` takes missing values.

    Args:
        encoder: of all channels.
        pool: see `TemporalJEPA.embed`.
        offset: subtracted from the values, `(C,)`.
        components: of the pooled features, on which these are projected. What
            `normalize="instance"` appends is left out then.
        dim: numbers of the compact embedding; None: as many as there are components.
    """

    offset: Tensor

    def __init__(
        self,
        encoder: ContextEncoder,
        pool: Pool = "all",
        offset: Tensor | None = None,
        components: Components | None = None,
        dim: int | None = None,
    ):
        super().__init__()
        # With a token to spare, no size is ever 1: torch.export would specialize on it. An encoder
        # of one's own may see the end of the grid, so its series must have two tokens instead.
        self.has_spare_token = not isinstance(encoder.transformer, GridEncoder)
        self.encoder = encoder
        self.components = components
        self.dim = dim
        self.pool = pool
        self.register_buffer("offset", offset_of(encoder, offset), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, T, C)` -> `(B, F)`, in shapes that do not depend on the values of `x`.

        With components, `(B, dim)`.
        """
        patch = self.encoder.config.patch
        # Adding the token to the quotient instead lets torch.export guard on the length.
        spare = patch if self.has_spare_token else 0
        tokens = (x.shape[1] + spare + patch - 1) // patch
        x = (x - self.offset).to(self.offset.dtype)
        x = F.pad(x, (0, 0, 0, tokens * patch - x.shape[1]), value=float("nan"))
        observed = ~x.isnan()
        pooled = pool_tokens(self.encoder.encode(x, observed, drop=False), self.pool)
        return self._finished(pooled, x, observed)

    def features(
        self,
        x: Tensor,
        mask_ratio: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Embed sequences with missing values; gradients flow.

        Args:
            x: float `(B, T, C)`, NaN where missing or padded.
            mask_ratio: fraction of the observed tokens to mask at random.
            generator: random state of the masks, required if `mask_ratio` is not 0.

        Returns:
            `(B, F)`; `(B, dim)` with components.
        """
        x, observed = self.encoder.prepare(x - self.offset)
        observed = mask_at_random(self.encoder, observed, mask_ratio, generator)
        encoded = self._encode(x, observed, drop=mask_ratio > 0)
        return self._finished(pool_tokens(encoded, self.pool), x, observed)

    def learned(self, x: Tensor) -> Tensor:
        """The pooled tokens alone: `(B, T, C)`, NaN where missing -> `(B, F)`."""
        encoded = self._encode(*self.encoder.prepare(x - self.offset))
        return pool_tokens(encoded, self.pool)

    def tokens(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The last layer on the grid, `(B, N, D)`, and which tokens are observed, `(B, N)`."""
        return self._encode(*self.encoder.prepare(x - self.offset)).on_grid()

    def timesteps(self, x: Tensor) -> Tensor:
        """The token of every timestep, mean over the cells of a frame: `(B, T, C)` -> `(B, T, D)`.

        NaN where a whole patch is unobserved.
        """
        cells = math.prod(self.encoder.config.cells)
        tokens, observed = self.tokens(x)
        tokens = torch.unflatten(tokens, 1, (-1, cells))
        observed = torch.unflatten(observed, 1, (-1, cells))[..., None]
        mean = (tokens * observed).sum(2) / observed.sum(
            2
        )  # (B, N / cells, D), NaN is 0 / 0
        return mean.repeat_interleave(self.encoder.config.patch, dim=1)[:, : x.shape[1]]

    def _encode(self, x: Tensor, observed: Tensor, drop: bool = False) -> Encoded:
        """Encode prepared values; if not `drop`, the shapes do not depend on what is missing.

        Attention is masked only if the batch has a token without any observed value.
        """
        drop = drop or bool(self.encoder.tokens_observed(observed).all())
        return self.encoder.encode(x, observed, drop)

    def _finished(self, pooled: Tensor, x: Tensor, observed: Tensor) -> Tensor:
        """Project pooled tokens on the components, or append the moments."""
        if self.components is not None:
            compact: Tensor = self.components(pooled)
            return compact[:, : self.dim]
        return self._append_moments(pooled, x, observed)

    def _append_moments(self, pooled: Tensor, x: Tensor, observed: Tensor) -> Tensor:
        """With `normalize="instance"`, append the mean and std that it removes: `(B, F + 2 C)`.

        They are rounded: finer differences are rounding errors, which a later StandardScaler would
        amplify.
        """
        normalizer = self.encoder.normalizer
        if not normalizer.instance:
            return pooled
        scaled = torch.where(observed, (x - normalizer.mean) / normalizer.std, 0.0)
        mean, std = normalizer.moments(scaled, observed)
        moments = torch.cat([mean, std], dim=1)
        return torch.cat(
            [pooled, torch.round(moments * MOMENT_STEPS) / MOMENT_STEPS], dim=1
        )


def offset_of(encoder: ContextEncoder, offset: Tensor | None) -> Tensor:
    """The offset to subtract from raw values, `(C,)`; 0 if there is none."""
    if offset is not None:
        return offset
    return torch.zeros_like(encoder.normalizer.mean)


def mask_at_random(
    encoder: ContextEncoder,
    observed: Tensor,
    mask_ratio: float,
    generator: torch.Generator | None,
) -> Tensor:
    """Mask a fraction of the observed tokens: bool `(B, T, C)` -> `(B, T, C)`."""
    if mask_ratio == 0:
        return observed
    assert generator is not None
    tokens = encoder.tokens_observed(observed).cpu()
    visible = draw_visible(tokens, "random", mask_ratio, generator)
    return encoder.mask(observed, visible.to(observed.device))
