"""Axes and captions say when, in the time of the data."""

import numpy as np
import pytest

from temporal_jepa import Sequences
from temporal_jepa.report.timeline import STEPS, begins, since_start, time_axis, when

HALF_HOUR = np.timedelta64(30, "m")
START = np.datetime64("2026-01-01T22:00", "ns")


def dated(length: int = 48, step: np.timedelta64 = HALF_HOUR) -> np.ndarray:
    return START + np.arange(length) * step


def test_dates_are_ticks_at_whole_hours_and_the_axis_names_both_ends() -> None:
    axis = time_axis(dated(), 48)
    assert axis.name == "2026-01-01 22:00 to 2026-01-02 21:30"
    assert axis.positions is not None
    ticks = dict(zip(axis.labels, axis.positions, strict=True))
    assert ticks["Jan-02"] == pytest.approx(4)
    assert ticks["12:00"] == pytest.approx(28)


def test_ticks_follow_a_recording_with_gaps() -> None:
    times = dated()
    times[24:] += np.timedelta64(10, "D")
    axis = time_axis(times, 48)
    assert axis.positions is not None
    assert min(axis.positions) >= 0
    assert max(axis.positions) <= 47
    assert list(axis.positions) == sorted(axis.positions)


def test_a_resampled_sequence_has_the_ends_of_its_own() -> None:
    whole = time_axis(dated(97), 97)
    half = time_axis(dated(97), 49)
    assert half.labels == whole.labels
    assert half.positions is not None
    assert whole.positions is not None
    np.testing.assert_allclose(half.positions, np.array(whole.positions) / 2)


@pytest.mark.parametrize("times", [None, np.array([])])
def test_without_times_the_timesteps_are_numbered(times: np.ndarray | None) -> None:
    assert time_axis(times, 9) == STEPS


def test_numbers_are_times_too() -> None:
    axis = time_axis(np.array([10.0, 10.5, 11.0]), 3)
    assert axis.name == "time"
    assert axis.positions is not None
    assert dict(zip(axis.labels, axis.positions, strict=True))["11"] == 2


@pytest.mark.parametrize("length", [1, 3])
def test_equal_times_are_one_tick(length: int) -> None:
    axis = time_axis(np.repeat(START, length), length)
    assert axis.labels == ["2026-01-01 22:00"]


def test_a_moment_has_no_zeros_of_its_nanoseconds() -> None:
    times = np.array(["2026-01-01T22:00:00.250"], dtype="datetime64[ns]")
    assert when(times, 0) == "2026-01-01 22:00:00.25"
    assert when(np.array([2.5]), 0) == "2.5"


def test_the_start_is_a_date_or_nothing() -> None:
    values = [np.zeros((48, 1))]
    assert begins(Sequences(values, times=[dated()]), 0) == "2026-01-01 22:00"
    assert begins(Sequences(values), 0) is None
    assert begins(Sequences(values, times=[np.arange(48)]), 0) is None


@pytest.mark.parametrize(
    ("times", "scale", "name"),
    [
        (dated(), 0.5, "hours since the start"),
        (dated(48, np.timedelta64(1, "D")), 1.0, "days since the start"),
        (dated(48, np.timedelta64(20, "ms")), 20.0, "milliseconds since the start"),
        (np.arange(48) * 0.25, 0.25, "time since the start"),
        (np.arange(48.0) ** 2, 1.0, "timestep"),
        (None, 1.0, "timestep"),
    ],
)
def test_positions_are_durations_where_timesteps_are_even(
    times: np.ndarray | None, scale: float, name: str
) -> None:
    data = Sequences([np.zeros((48, 1))], times=None if times is None else [times])
    found, axis = since_start(data, 48)
    assert axis == name
    assert found == pytest.approx(scale)
