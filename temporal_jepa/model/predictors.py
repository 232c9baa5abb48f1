"""Predictors: from the encoded visible tokens to the representations of masked ones.

Legend of shapes: `B` batch, `N` tokens of the grid, `K` visible tokens, `M` masked tokens, `D`
width, `P` width of the predictor.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ..config import TemporalJEPAConfig
from .encoder import Encoded
from .masks import gather_tokens
from .random import Dropout
from .transformer import Transformer


class TokenPredictor(nn.Module):
    """A narrow transformer in which mask tokens at the masked positions read the context."""

    def __init__(self, config: TemporalJEPAConfig):
        super().__init__()
        width = config.predictor_embed_dim
        self.proj_in = nn.Linear(config.embed_dim, width)
        self.mask_token = nn.Parameter(torch.randn(width) * 0.02)
        self.transformer = Transformer(width, config.predictor_depth, config)
        self.proj_out = nn.Linear(width, config.embed_dim)

    def forward(
        self, context: Encoded, positions: Tensor, valid: Tensor | None
    ) -> Tensor:
        """Predict the tokens at grid positions.

        Args:
            context: the encoded visible tokens, `K` of them.
            positions: int64 `(B, M)`.
            valid: bool `(B, M)`, False for padding; None if there is none.

        Returns:
            `(B, M, D)`.
        """
        visible = self.proj_in(context.layers[-1])  # (B, K, P)
        masked = self.mask_token.expand(*positions.shape, -1).to(
            visible.dtype
        )  # (B, M, P)
        all_valid = None
        if valid is not None or context.valid is not None:
            all_valid = torch.cat(
                [
                    _valid_or_ones(context.valid, context.positions),
                    _valid_or_ones(valid, positions),
                ],
                dim=1,
            )
        h = torch.cat([visible, masked], dim=1)  # (B, K + M, P)
        at = torch.arange(positions.shape[1], device=h.device) + visible.shape[1]
        all_positions = torch.cat([context.positions, positions], dim=1)
        h = self.transformer(
            h, all_positions, all_valid, context.num_tokens, at.expand(len(h), -1)
        )[-1]
        predicted: Tensor = self.proj_out(h)  # (B, M, D)
        return predicted


def _valid_or_ones(valid: Tensor | None, positions: Tensor) -> Tensor:
    return torch.ones_like(positions, dtype=torch.bool) if valid is None else valid


class PooledPredictor(nn.Module):
    """Predicts one vector from one vector: residual MLP blocks, `(B, D)` -> `(B, D)`."""

    def __init__(self, config: TemporalJEPAConfig):
        super().__init__()
        width = config.predictor_embed_dim
        self.proj_in = nn.Linear(config.embed_dim, width)
        self.blocks = nn.ModuleList()
        for _ in range(config.predictor_depth):
            self.blocks.append(
                nn.Sequential(
                    nn.LayerNorm(width),
                    nn.Linear(width, 4 * width),
                    nn.GELU(),
                    nn.Linear(4 * width, width),
                    Dropout(config.dropout),
                )
            )
        self.norm = nn.LayerNorm(width)
        self.proj_out = nn.Linear(width, config.embed_dim)

    def forward(self, pooled: Tensor) -> Tensor:
        """`(B, embed_dim)` -> `(B, embed_dim)`."""
        h = self.proj_in(pooled)
        for block in self.blocks:
            h = h + block(h)
        predicted: Tensor = self.proj_out(self.norm(h))
        return predicted


class RecurrentPredictor(nn.Module):
    """A recurrent network in both directions (GRU), which knows what is near in time.

    For one token per time; masked places are 0.
    """

    def __init__(self, config: TemporalJEPAConfig):
        super().__init__()
        width = config.embed_dim
        narrow = config.predictor_embed_dim
        self.gru = nn.GRU(width, narrow, batch_first=True, bidirectional=True)
        self.proj_out = nn.Linear(2 * narrow, width)

    def forward(self, context: Encoded, positions: Tensor, observed: Tensor) -> Tensor:
        """Predict the tokens at grid positions.

        Args:
            context: the encoded visible tokens.
            positions: int64 `(B, M)`.
            observed: bool `(B, N)`, the tokens that are visible or masked; what comes after the
                last of them is padding, which the predictor does not read.

        Returns:
            `(B, M, D)`.
        """
        grid, _ = context.on_grid()  # (B, N, D)
        place = torch.arange(1, grid.shape[1] + 1, device=grid.device)
        lengths = (observed * place).amax(1).clamp(min=1)  # (B,)
        if bool((lengths == grid.shape[1]).all()):
            states = self.gru(grid)[0]
        else:
            packed = pack_padded_sequence(
                grid, lengths.cpu(), batch_first=True, enforce_sorted=False
            )
            states, _ = pad_packed_sequence(
                self.gru(packed)[0], batch_first=True, total_length=grid.shape[1]
            )
        return gather_tokens(self.proj_out(states), positions)
