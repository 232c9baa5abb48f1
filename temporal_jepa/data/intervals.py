"""The time between timesteps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config import TIME_UNITS

Array = npt.NDArray[Any]

SECOND = np.timedelta64(1, "s")
EQUAL = 0.01  # largest deviation of equal intervals, as a share of the median
SERIES = 200  # whose intervals are looked at, evenly spread over all
STEPS = 10_000  # timesteps of each


def in_words(step: Any) -> str:
    """A time between two timesteps, in the largest unit of which it has one.

    >>> in_words(np.timedelta64(90, "m")), in_words(np.timedelta64(20, "ms")), in_words(0.5)
    ('1.5 h', '20 ms', '0.5')
    """
    if not isinstance(step, np.timedelta64):
        return f"{step:g}"
    seconds = step / SECOND
    for unit in ("d", "h", "min", "s", "ms", "us"):
        if seconds >= TIME_UNITS[unit]:
            return f"{seconds / TIME_UNITS[unit]:.4g} {unit}"
    return f"{seconds * 1e9:g} ns"


def by_months(times: Array) -> Array:
    """Times counted in months where all are at one moment of their month."""
    if times.dtype.kind != "M" or not len(times):
        return times
    month = times.astype("datetime64[M]")
    within = times - month
    return month if (within == within[0]).all() else times


def usual_interval(times: Sequence[Array]) -> tuple[str, float] | None:
    """The median interval between timesteps, in words and as a number; None without any.

    The number is in seconds where times are dates. Of many or long series, some are looked at.

    Args:
        times: of each series, in order ``(time_i,)``.

    >>> usual_interval([np.array(["2024-01-31T00:00", "2024-01-31T00:10"], "datetime64[ns]")])
    ('10 min', 600.0)
    """
    chosen = np.linspace(0, len(times) - 1, min(len(times), SERIES)).astype(int)
    some = [times[i][:STEPS] for i in chosen.tolist()]
    steps = np.concatenate([np.diff(x) for x in some])
    if not len(steps):
        return None
    usual = np.median(steps)
    number = float(usual / SECOND if steps.dtype.kind == "m" else usual)
    months = _equal_months(some)
    if months is not None:
        return f"{months} month{'s' * (months > 1)}", number
    deviation = np.abs(steps - usual)
    is_equal = bool((deviation <= EQUAL * usual).all())
    return in_words(usual) + ("" if is_equal else " (median)"), number


def _equal_months(times: Sequence[Array]) -> int | None:
    """How many whole months each interval has, None if it is not one number."""
    if times[0].dtype.kind != "M":
        return None
    counted = [by_months(x) for x in times if len(x) > 1]
    if any(x.dtype != np.dtype("datetime64[M]") for x in counted):
        return None
    steps = np.unique(np.concatenate([np.diff(x) for x in counted]).astype(np.int64))
    return int(steps[0]) if len(steps) == 1 else None
