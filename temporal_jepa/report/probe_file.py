"""What `probe.json` must hold, so that a report can show it."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..config import shortened

AGAIN = "probe the run again"
NEEDED = {"pretrained encoder", "untrained encoder"}
Test = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**53


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_share(value: Any) -> bool:
    return _is_number(value) and 0 <= value <= 1


def _is_option(value: Any) -> bool:
    return value is None or type(value) in (str, int)


def _is_fit(value: Any) -> bool:
    """Whether an object has the scores of a regression."""
    if not isinstance(value, Mapping):
        return False
    return _is_number(value.get("r2")) and _is_number(value.get("rmse"))


def _is_accuracy(value: Any) -> bool:
    """Whether an object has the score of a classification."""
    return isinstance(value, Mapping) and _is_share(value.get("accuracy"))


def _are_rows(is_scored: Test) -> Test:
    """Whether a list has a row of scores for the encoder and its control, and maybe others."""

    def test(rows: Any) -> bool:
        if not isinstance(rows, list) or not all(map(is_scored, rows)):
            return False
        names = [row.get("features") for row in rows]
        return all(map(_is_text, names)) and {*names} >= NEEDED

    return test


OPTIONS = dict.fromkeys(("pool", "seed", "dim", "train", "test"), _is_option)
BOTH: Mapping[str, Test] = {
    "probe": _is_text,
    "n_train": _is_count,
    "n_test": _is_count,
    **OPTIONS,
}
REGRESSION: Mapping[str, Test] = {**BOTH, "mean": _is_fit, "scores": _are_rows(_is_fit)}
CLASSIFICATION: Mapping[str, Test] = {
    **BOTH,
    "n_classes": _is_count,
    "majority": _is_share,
    "commonest": _is_text,
    "scores": _are_rows(_is_accuracy),
}


def check_probe(path: Path, probe: Mapping[str, Any]) -> None:
    """ValueError unless a probe of classes or numbers has its scores, of the right types.

    Args:
        path: the file, for the message.
        probe: its content.
    """
    is_regression = probe.get("task") == "regression"
    tests = REGRESSION if is_regression else CLASSIFICATION
    for name, is_right in tests.items():
        if not is_right(probe.get(name)):
            raise ValueError(
                f'{path}: not expected in "{name}": {shortened(probe.get(name))}; {AGAIN}'
            )
