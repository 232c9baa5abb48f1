"""Scores of a probe beside their controls, and which features they speak for."""

import math
from collections.abc import Mapping
from typing import Any

from scipy.stats import binom

from .run import Row

OURS = "pretrained encoder"
LEVEL = 0.01  # difference of scores up to which they are level
SURE = 0.05  # probability that the best of all features guesses as well, at most
UNTRAINED = "untrained encoder"
MEANING = {
    "raw values": "The measured values as they are. No encoder.",
    "mean/std/min/max": "Four statistics of each channel. No encoder.",
    "series-small as it is": "The encoder of the package, before this training.",
    "MiniRocket": "A standard method with random filters. It needs no training.",
    UNTRAINED: "The same encoder with random weights: what training starts from.",
    OURS: "The encoder of this run.",
}
"""What each kind of features is, the simplest first."""


def scores_section(probe: Mapping[str, Any]) -> Row | None:
    """What probe.json holds, and how the pretrained encoder compares with its controls.

    Differences below `noise` may be chance: twice the standard error of a difference of two
    independent scores of as many test sequences. `guess` is the score of always predicting the most
    frequent class, or the mean; if no features are above it for sure, the scores say nothing.
    `equal` names the controls that may be as good as the best features, the simplest first.
    """
    if not probe:
        return None
    is_regression = probe.get("task") == "regression"
    metric = "r2" if is_regression else "accuracy"
    values = {row["features"]: float(row[metric]) for row in probe["scores"]}
    ours = values[OURS]
    controls = {
        name: value for name, value in values.items() if not name.startswith(OURS)
    }
    best = max(controls, key=lambda name: (controls[name], -_simplicity(name)))
    measure = _r2_difference if is_regression else chance_difference
    noise = measure(ours, probe["n_test"])
    top = max(ours, controls[best])
    guess = 0.0 if is_regression else float(probe["majority"])

    def is_above(value: float) -> bool:
        return _is_above(value, guess, probe["n_test"], len(values), is_regression)

    equal = [
        name
        for name, value in controls.items()
        if top - value <= noise and is_above(value)
    ]
    equal.sort(key=_simplicity)
    advice = "none"
    if is_above(top):
        advice = _advice(ours, controls, noise, equal, _level(probe, is_regression))
    return {
        **probe,
        "is_regression": is_regression,
        "values": values,
        "meaning": MEANING,
        "ours": ours,
        "gain": ours - values[UNTRAINED],
        "noise": noise,
        "best": best,
        "best_value": controls[best],
        "equal": equal,
        "guess": guess,
        "top": top,
        "advice": advice,
    }


def _is_above(
    score: float, guess: float, n: int, count: int, is_regression: bool
) -> bool:
    """Whether the best of `count` scores on `n` test sequences is above guessing for sure.

    Of a share, by the binomial distribution with Bonferroni's correction.
    """
    if is_regression:
        return score > _r2_difference(score, n)
    probability = float(binom.sf(round(score * n) - 1, n, guess))
    return probability * count < SURE


def chance_difference(share: float, n: int) -> float:
    """Twice the standard error of a difference of two shares of `n`, as large as `share`."""
    smoothed = (share * n + 1) / (n + 2)  # 40 of 40 is not certainty
    return 2 * math.sqrt(2 * smoothed * (1 - smoothed) / n)


def _r2_difference(value: float, n: int) -> float:
    """The same of two R2; the standard error of R2 of many samples is 2 R (1 - R2) / sqrt(n)."""
    r2 = min(max(value, 0.0), 1.0)
    return 2 * math.sqrt(2 * 4 * r2 / n) * (1 - r2)


def _simplicity(name: str) -> int:
    names = list(MEANING)
    return names.index(name) if name in names else len(names)


def _level(probe: Mapping[str, Any], is_regression: bool) -> float:
    """The difference up to which two scores are level: `LEVEL`, or one test sequence."""
    return LEVEL if is_regression else max(LEVEL, 1 / probe["n_test"]) + 1e-9


def _advice(
    ours: float,
    controls: Mapping[str, float],
    noise: float,
    equal: list[str],
    level: float,
) -> str:
    """Which features to use.

    "ours"; "control", the best one; "simpler", the first of `equal`, which is level with the best;
    or "few": there are too few test sequences to choose, since the first of `equal` is below.
    """
    best = max(controls.values())
    if best - ours > noise:
        return "control"
    if not equal:
        return "ours"
    return "simpler" if max(ours, best) - controls[equal[0]] <= level else "few"


def written(value: float, is_regression: bool) -> str:
    """A score in words: "92.5%", or "R² 0.925"."""
    return f"R² {value:.3f}" if is_regression else f"{value:.1%}"
