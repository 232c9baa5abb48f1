"""Diagnostics of representation collapse: standard deviation and effective rank of the tokens."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

# Medians over positions below which the representation counts as collapsed, or as weak.
COLLAPSED_STD = 0.02
WEAK_STD = 0.1
WEAK_RANK = 0.08  # of the largest possible rank
HEALTHY = "no sign of collapse"
UNLEARNED_LOSS = 0.98  # relative loss; 1 is the loss of predicting the mean target

Level = Literal["collapsed", "weak", "healthy", "unknown"]


@dataclass(frozen=True)
class Verdict:
    """Whether a representation collapsed, and why we think so. `str()` gives one sentence.

    Args:
        level: "collapsed", "weak", "healthy", or "unknown" where nothing could be measured.
        reasons: one clause each, the most important first.

    >>> print(Verdict("weak", ("the encoder uses little of its width",)))
    weak: the encoder uses little of its width
    """

    level: Level
    reasons: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.level}: {'; '.join(self.reasons)}"


@torch.no_grad()
def effective_rank(features: Tensor) -> float:
    """Effective rank (RankMe, arXiv 2210.02885): `exp(entropy)` of the normalized singular values.

    Args:
        features: float `(n, D)`; centered here, so a constant offset is no direction.

    Returns:
        Between 1 and `min(n, D)`; 0 if all rows are equal.
    """
    singular_values = torch.linalg.svdvals((features - features.mean(0)).double())
    total = singular_values.sum()
    negligible = 1e-9 * max(1.0, float(features.abs().max()))
    if not float(total) > negligible:
        return 0.0
    return float(torch.exp(torch.special.entr(singular_values / total).sum()))


@torch.no_grad()
def position_statistics(
    tokens: Tensor, observed: Tensor, max_positions: int = 16
) -> tuple[list[float], list[float], list[int]]:
    """Standard deviation and effective rank across sequences, separately for each position.

    Statistics over all tokens together can look healthy although every position has collapsed,
    because tokens of different positions still differ.

    Args:
        tokens: float `(B, N, D)` on the grid.
        observed: bool `(B, N)`.
        max_positions: report at most this many positions, evenly spaced.

    Returns:
        `(std, rank, samples)`, one number per position: the standard deviation across sequences,
        averaged over dimensions and divided by the root mean square of all tokens; the effective
        rank; the number of sequences observed there. Positions observed in fewer than three
        sequences, or in fewer than half as many as the best position, are left out.
    """
    count = observed.sum(0)
    positions = (count >= max(3.0, 0.5 * float(count.max()))).nonzero().flatten()
    if len(positions) > max_positions:
        evenly = torch.linspace(
            0, len(positions) - 1, max_positions, dtype=torch.float32
        )
        positions = positions[evenly.round().long()]
    scale = tokens[observed].square().mean().sqrt().clamp(min=1e-12)
    std = []
    rank = []
    for position in positions.tolist():
        rows = tokens[observed[:, position], position]  # (b, D)
        std.append(float(rows.std(0).mean() / scale))
        rank.append(effective_rank(rows))
    return std, rank, count[positions].tolist()


def collapse_verdict(
    std: list[float],
    rank: list[float],
    width: int,
    samples: list[int],
    relative_loss: float = 0.0,
) -> Verdict:
    """Judge a representation by `position_statistics` and the loss of its predictor.

    Args:
        std: standard deviation per position.
        rank: effective rank per position.
        width: dimension of the tokens.
        samples: number of sequences behind each position's statistics.
        relative_loss: prediction loss divided by the loss of predicting the mean target.

    >>> print(collapse_verdict([0.85], [6.5], width=64, samples=[8]))
    healthy: no sign of collapse (std 0.85 of the token scale, effective rank 6.5 of 7)
    """
    level: Level = "unknown"
    reason = "fewer than three sequences share any position, so std cannot be measured"
    if std:
        middle = len(std) // 2
        median_std = sorted(std)[middle]
        largest_ranks = [min(width, n - 1) for n in samples]
        median_rank, largest = sorted(zip(rank, largest_ranks, strict=True))[middle]
        if median_std < COLLAPSED_STD or median_rank < min(1.5, 0.75 * largest):
            level = "collapsed"
            reason = (
                "all sequences have nearly the same tokens; raise variance_weight, lower lr, or "
                'look for a few extreme sequences (normalize "instance" rescales them)'
            )
        elif median_std < WEAK_STD or median_rank < WEAK_RANK * largest:
            level = "weak"
            reason = "the encoder uses little of its width"
        else:
            level = "healthy"
            reason = HEALTHY
        reason += f" (std {median_std:.2f} of the token scale, "
        reason += f"effective rank {median_rank:.1f} of {largest})"
    if relative_loss <= UNLEARNED_LOSS:
        return Verdict(level, (reason,))
    unlearned = "the prediction is no better than guessing, train longer"
    return Verdict("collapsed" if level == "collapsed" else "weak", (unlearned, reason))
