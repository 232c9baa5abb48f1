"""What the report says that a group differs in."""

import numpy as np

from temporal_jepa import Sequences
from temporal_jepa.report.differences import differences, traits


def describe_groups(data: Sequences, of: np.ndarray) -> list[list[str]]:
    """Of each group, its differences in words."""
    described = traits(data)
    found = [differences(described, of == group) for group in range(of.max() + 1)]
    return [
        [f"{d.name} {d.inside}, others {d.outside}" for d in group] for group in found
    ]


def patients(fever: float, gap: bool = False) -> tuple[Sequences, np.ndarray]:
    """40 patients, 13 of them in group 1 with more fever; a second channel says nothing."""
    random = np.random.default_rng(0)
    of = (np.arange(40) < 13).astype(int)
    values = []
    for group in of:
        warm = 36.8 + fever * group + 0.1 * random.normal(size=30)
        pulse = 70 + 3 * random.normal(size=30)
        if gap and group:
            pulse[:20] = np.nan
        values.append(np.stack([warm, pulse], axis=1))
    return Sequences(values, channels=["Temp", "Pulse"]), of


def test_the_channel_in_which_a_group_differs_is_named_with_its_medians() -> None:
    healthy, febrile = describe_groups(*patients(fever=2.0))
    assert febrile[0].startswith("Temp: mean 38.8, others 36.8")
    assert healthy[0].startswith("Temp: mean 36.8, others 38.8")
    assert not any("Pulse" in line or "timesteps" in line for line in febrile)


def test_nothing_is_said_of_groups_that_do_not_differ() -> None:
    assert describe_groups(*patients(fever=0.0)) == [[], []]


def test_missing_values_and_lengths_are_differences() -> None:
    _, gaps = describe_groups(*patients(fever=0.0, gap=True))
    assert "missing 33%, others 0%" in gaps
    short = Sequences([np.ones((5 + 20 * (k < 6), 1)) * k for k in range(12)])
    long, _ = describe_groups(short, (np.arange(12) >= 6).astype(int))
    assert "timesteps 25, others 5" in long


def test_of_videos_nothing_is_said() -> None:
    video = Sequences.from_arrays(np.random.default_rng(0).random((4, 3, 5, 5, 1)))
    assert describe_groups(video, np.array([0, 0, 1, 1])) == [[], []]


def test_a_channel_without_values_is_left_out() -> None:
    values = [np.full((6, 1), np.nan) for _ in range(3)] + [np.ones((6, 1))] * 3
    found = describe_groups(Sequences(values), np.array([0, 0, 0, 1, 1, 1]))
    assert found[0] == ["missing 100%, others 0%"]
