"""Is the encoder collapsing? VICRegTerms and effective rank of its tokens, overall and at every position, and a verdict."""

import math

import torch
from torch import Tensor


@torch.no_grad()
def effective_rank(features: Tensor) -> float:
    """Effective number of directions used: `exp(entropy)` of the normalised singular values (RankMe, arXiv 2210.02885).

    Args:
        features: float `(n, D)`; centred here, so that a constant offset does not count as a direction.

    Returns:
        Between 1 (or 0 when all rows are equal) and `min(n, D)`.
    """
    values = torch.linalg.svdvals((features - features.mean(0)).double())
    if not bool(values.sum() > 1e-9 * max(1.0, float(features.abs().max()))):
        return 0.0
    share = values / values.sum()
    return float(torch.exp(torch.special.entr(share).sum()))


@torch.no_grad()
def position_statistics(
    tokens: Tensor, observed: Tensor, most: int = 16
) -> tuple[list[float], list[float], list[int]]:
    """VICRegTerms across the batch, position by position: a pooled number can look healthy while every position is dead.

    Args:
        tokens: float `(B, N, D)` on the grid.
        observed: bool `(B, N)`.
        most: report at most this many positions, evenly spaced.

    Returns:
        `(std, rank, samples)`, one number a position each: the standard deviation across samples, averaged over
        dimensions and divided by the root mean square of all tokens; the effective rank; and the samples they come
        from. Positions seen by fewer than a half of the best position's samples, or by fewer than three, are left out.
    """
    count = observed.sum(0)
    usable = (count >= max(3.0, 0.5 * float(count.max()))).nonzero().flatten()
    if len(usable) > most:
        usable = usable[torch.linspace(0, len(usable) - 1, most).round().long()]
    scale = tokens[observed].square().mean().sqrt().clamp(min=1e-12)
    stds = []
    ranks = []
    for position in usable.tolist():
        rows = tokens[observed[:, position], position]  # (b, D)
        stds.append(float(rows.std(0).mean() / scale))
        ranks.append(effective_rank(rows))
    return stds, ranks, count[usable].tolist()


def collapse_verdict(std: list[float], rank: list[float], width: int, samples: list[int]) -> str:
    """Say in words whether a representation collapsed, from `position_statistics`.

    Args:
        std: relative spread across samples per position.
        rank: effective rank per position.
        width: dimension of the tokens.
        samples: how many samples each position's statistics were taken from.

    Returns:
        A sentence that starts with "healthy", "weak" or "collapsed".

    >>> collapse_verdict([0.001], [1.0], width=64, samples=[100])[:9]
    'collapsed'
    """
    if not std:
        return (
            "unknown: fewer than three sequences share any position, so spread cannot be measured"
        )
    if not all(map(math.isfinite, [*std, *rank])):
        return "unknown: the statistics are not finite"
    spread = sorted(std)[len(std) // 2]
    directions, best = sorted(zip(rank, (min(width, n - 1) for n in samples), strict=True))[
        len(rank) // 2
    ]
    facts = f"spread across sequences {spread:.2f} of the token scale, {directions:.1f} of {best} directions in use"
    if spread < 0.02 or directions < min(1.5, 0.75 * best):
        return (
            f"collapsed: all sequences look alike to the encoder ({facts}); raise variance_weight, lower lr, "
            "or look for a few extreme sequences (normalize 'instance' tames them)"
        )
    if spread < 0.1 or directions < 0.08 * best:
        return f"weak: the encoder uses little of its width ({facts})"
    return f"healthy: sequences are told apart at every position ({facts})"
