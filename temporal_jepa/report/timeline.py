"""Time as the data has it: on axes, in captions, and as the length of a sequence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib import dates
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..data.sequences import Sequences, moment

Array = npt.NDArray[Any]
_DATES: Any = dates  # Matplotlib has no types for them

TICKS = 6  # on an axis, about
REGULAR = 0.01  # largest deviation from an even spacing, as a share of it
NANOSECOND = np.timedelta64(1, "ns")
UNITS = {
    "days": 86_400e9,
    "hours": 3_600e9,
    "minutes": 60e9,
    "seconds": 1e9,
    "milliseconds": 1e6,
    "nanoseconds": 1.0,
}
"""Units of a duration in nanoseconds, the largest first."""


@dataclass(frozen=True)
class TimeAxis:
    """Ticks of an axis whose positions are timesteps.

    Args:
        name: of the axis: what its numbers are, or the first and the last date.
        positions: of the ticks, in timesteps; None: Matplotlib chooses.
        labels: one for each tick.
    """

    name: str
    positions: Sequence[float] | None = None
    labels: Sequence[str] = ()

    def put_on(self, ax: Axes) -> None:
        """Write the ticks and the name below an axes."""
        ax.set_xlabel(self.name)
        if self.positions is not None:
            ax.set_xticks(list(self.positions), list(self.labels))


STEPS = TimeAxis("timestep")


def time_axis(times: Array | None, length: int) -> TimeAxis:
    """The axis of a sequence that is drawn over its timesteps 0 to `length` - 1.

    Args:
        times: of the timesteps, `(time,)`; None if the data has none. Another number than `length`
            means that the sequence was resampled between the same ends.
        length: timesteps that are drawn.
    """
    if times is None or not len(times):
        return STEPS
    is_date = times.dtype.kind == "M"
    numbers = _DATES.date2num(times) if is_date else times.astype(np.float64)
    low = float(numbers.min())
    high = float(numbers.max())
    name = "time"
    if is_date and low < high:
        ticks, labels = _date_ticks(low, high)
        name = f"{when(times, 0)} to {when(times, -1)}"
    elif low < high:
        ticks = np.asarray(MaxNLocator(TICKS).tick_values(low, high))
        ticks = ticks[(ticks >= low) & (ticks <= high)]
        labels = [f"{tick:g}" for tick in ticks]
    else:
        ticks = numbers[:1]
        labels = [when(times, 0)]
    scale = (length - 1) / max(len(times) - 1, 1)
    at = np.interp(ticks, numbers, scale * np.arange(len(times)))
    return TimeAxis(name, at.tolist(), labels)


def _date_ticks(low: float, high: float) -> tuple[Array, list[str]]:
    """Ticks between two date numbers of Matplotlib, at whole hours, days, months, ..."""
    locator = _DATES.AutoDateLocator(minticks=3, maxticks=TICKS)
    between = locator.tick_values(_DATES.num2date(low), _DATES.num2date(high))
    ticks = np.array(between)
    ticks = ticks[(ticks >= low) & (ticks <= high)]
    return ticks, list(_DATES.ConciseDateFormatter(locator).format_ticks(ticks))


def show_dates(ax: Axes) -> None:
    """Write the ticks of an axes whose positions are dates."""
    locator = _DATES.AutoDateLocator(minticks=3, maxticks=TICKS)
    ax.xaxis.set_major_locator(locator)
    ax.xaxis.set_major_formatter(_DATES.ConciseDateFormatter(locator))


def when(times: Array, step: int) -> str:
    """The time of a timestep in words: "2026-01-31 22:00".

    >>> when(np.array(["2026-01-31T22:00:00"], dtype="datetime64[ns]"), 0)
    '2026-01-31 22:00'
    """
    date, _, clock = moment(times[step]).partition("T")
    if "." in clock:
        clock = clock.rstrip("0")
    return f"{date} {clock}".rstrip()


def when_or_step(sequences: Sequences, i: int, step: int) -> str:
    """The time of a timestep of sequence i, its number if there are no times."""
    if sequences.times is None:
        return str(step)
    return when(sequences.times[i], step)


def begins(sequences: Sequences, i: int) -> str | None:
    """When sequence i begins, if its times are dates."""
    if sequences.times is None or sequences.times[i].dtype.kind != "M":
        return None
    return when(sequences.times[i], 0)


def since_start(sequences: Sequences, length: int) -> tuple[float, str]:
    """The time between two of `length` timesteps, and the name of an axis in this unit.

    It is 1 and "timestep" if the data has no times, or if they are not evenly spaced.

    Args:
        sequences: whose longest has `length` timesteps, or was resampled to as many.
        length: timesteps that are drawn.
    """
    step = even_step(sequences)
    if step is None:
        return 1.0, STEPS.name
    step *= (int(sequences.lengths.max()) - 1) / max(length - 1, 1)
    assert sequences.times is not None
    if sequences.times[0].dtype.kind != "M":
        return step, "time since the start"
    for unit, size in UNITS.items():
        if length * step >= 2 * size:
            return step / size, f"{unit} since the start"
    return step, "nanoseconds since the start"


def duration_of(sequences: Sequences, i: int) -> float:
    """From the first to the last time of sequence i: seconds of dates, NaN without times."""
    if sequences.times is None:
        return np.nan
    times = sequences.times[i]
    length = times[-1] - times[0]
    if times.dtype.kind == "M":
        length = length / np.timedelta64(1, "s")
    return float(length)


def is_even(sequences: Sequences) -> bool | None:
    """Whether all timesteps are equally far apart; None if the data has no times to tell by."""
    if sequences.times is None or sequences.lengths.max() < 2:
        return None
    return even_step(sequences) is not None


def even_step(sequences: Sequences) -> float | None:
    """The time between timesteps, in nanoseconds if they are dates; None if it varies."""
    if sequences.times is None:
        return None
    parts = [np.diff(times) for times in sequences.times if len(times) > 1]
    if not parts:
        return None
    steps = np.concatenate(parts)
    if steps.dtype.kind == "m":
        steps = steps / NANOSECOND
    usual = float(np.median(steps))
    if usual <= 0 or np.abs(steps - usual).max() > REGULAR * usual:
        return None
    return usual
