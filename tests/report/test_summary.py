import numpy as np
import pytest

from temporal_jepa import Sequences
from temporal_jepa.report.summary import summary_of


def dated(count: int, length: int, minutes: int = 5) -> Sequences:
    step = np.timedelta64(minutes, "m")
    times = [
        np.datetime64("2014-02-14T00:00", "ns") + np.arange(length) * step
        for _ in range(count)
    ]
    values = [np.random.default_rng(i).normal(size=(length, 1)) for i in range(count)]
    return Sequences(values, channels=["load"], times=times)


def test_one_recording_is_said_to_be_one_with_its_length_in_time() -> None:
    recording = dated(1, 14 * 288)
    surprise = {
        "kind": "moments",
        "closeups": [{"at": "2014-02-20 10:00", "id": "0"}],
        "figures": [("0", "")],
        "window": 288,
        "has_times": True,
    }
    found = summary_of(recording.windows(288), recording, None, surprise)
    assert found == [
        "1 recording of 4,032 timesteps, 14 days, one every 5 minutes, from 2014-02-14 to "
        "2014-02-27; 1 channel: load; cut into 14 series.",
        "The most unusual moment is within 1 day of 2014-02-20 10:00.",
    ]
    irregular = recording.times[0].copy()
    irregular[-1] += np.timedelta64(3, "h")
    other = Sequences(list(recording.values), times=[irregular])
    assert "mostly one every 5 minutes" in summary_of(other, None, None, None)[0]


@pytest.mark.parametrize(
    ("level", "sizes", "sentence"),
    [
        ("one", [15], None),
        (
            "clear",
            [9, 6],
            "The other series form 2 groups that are clearly apart, of 9 and 6.",
        ),
        (
            "none",
            [9, 6],
            "No clear groups stand out among the other series.",
        ),
    ],
)
def test_what_stands_out_is_named(
    level: str, sizes: list[int], sentence: str | None
) -> None:
    groups = {
        "rows": [{"size": size} for size in sizes],
        "level": level,
        "alone": {"count": 2, "names": ["a", "b"]},
    }
    found = summary_of(dated(17, 10, 60), None, groups, None)
    expected = [
        "17 series of 10 timesteps, each about 9 hours, one every hour, on 2014-02-14; "
        "1 channel: load.",
        "2 series are unlike all others: a, b.",
        sentence,
    ]
    assert found == [line for line in expected if line]


def test_long_names_are_cut_and_a_long_list_ends_in_dots() -> None:
    names = ["x" * 90, *map(str, range(9))]
    data = Sequences([np.zeros((4, 10))], channels=names)
    (sentence,) = summary_of(data, None, None, None)
    assert f"{'x' * 40}…, 0, 1" in sentence
    assert sentence.endswith("6, ...")
