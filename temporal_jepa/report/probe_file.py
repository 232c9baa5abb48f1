"""What `probe.json` must hold, so that a report can show it."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..config import shortened

AGAIN = "probe the run again"
NEEDED = ("pretrained encoder", "untrained encoder")
COUNTS = ("n_train", "n_test", "n_classes")
SHOWN = (str, int, type(None))  # types of the options in the command that is shown


def check_probe(path: Path, probe: Mapping[str, Any]) -> None:
    """ValueError unless a probe of classes or numbers has its scores, of the right types."""
    is_regression = probe.get("task") == "regression"
    for name in ("probe",) if is_regression else ("probe", "commonest"):
        _check(path, name, probe.get(name), isinstance(probe.get(name), str))
    for name in COUNTS[:2] if is_regression else COUNTS:
        count = probe.get(name)
        _check(path, name, count, type(count) is int and 0 < count < 2**53)
    metrics = ("r2", "rmse") if is_regression else ("accuracy",)
    if is_regression:
        _check(path, "mean", probe.get("mean"), _has(probe.get("mean"), *metrics))
    else:
        _check(path, "majority", probe.get("majority"), _has(probe, "majority"))
    for name in ("kind", "pool", "seed", "dim", "train", "test"):
        _check(path, name, probe.get(name), isinstance(probe.get(name), SHOWN))
    rows = probe.get("scores")
    _check(path, "scores", rows, isinstance(rows, list))
    for row in rows or ():
        is_row = _has(row, *metrics) and isinstance(row.get("features"), str)
        _check(path, "scores", row, is_row)
    names = [row["features"] for row in rows or ()]
    _check(path, "scores", names, {*NEEDED} <= {*names})


def _has(entry: Any, *names: str) -> bool:
    """Whether an object has finite numbers under these names, shares of 1 but for r2 and rmse."""
    if not isinstance(entry, Mapping):
        return False
    for name in names:
        value: Any = entry.get(name)
        if type(value) not in (int, float) or not math.isfinite(value):
            return False
        if name not in ("r2", "rmse") and not 0 <= value <= 1:
            return False
    return True


def _check(path: Path, name: str, value: Any, is_right: bool) -> None:
    if not is_right:
        raise ValueError(
            f'{path}: not expected in "{name}": {shortened(value)}; {AGAIN}'
        )
