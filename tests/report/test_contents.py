"""The report says what is in the data, and how groups of it differ, in the units of the data."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch

from temporal_jepa.data import Sequences
from temporal_jepa.report import plots
from temporal_jepa.report.contents import contents_section
from temporal_jepa.report.differences import differences, is_told_by, traits
from temporal_jepa.report.embeddings import Embedded
from temporal_jepa.report.groups import Groups, groups_section
from temporal_jepa.report.nouns import noun_of
from temporal_jepa.report.pages import render_page
from temporal_jepa.report.places import places_of
from temporal_jepa.report.prediction import PERCENT, _along
from temporal_jepa.report.run import Run
from temporal_jepa.report.scale import scale_of

FEVER = np.arange(40) >= 27


def patients() -> Sequences:
    """Temperatures and pulses of 40 patients, the last 13 with fever."""
    draw = np.random.default_rng(0)
    values = []
    for has_fever in FEVER:
        level = 39.0 if has_fever else 36.8
        temperature = level + 0.2 * draw.normal(size=24)
        pulse = 70 + 5 * draw.normal(size=24)
        values.append(np.column_stack([temperature, pulse]))
    return Sequences(values, channels=["Temp", "Pulse"])


def section_of(data: Sequences) -> Any:
    run = SimpleNamespace(sequences=data)
    return contents_section(cast("Run", run), None)


def test_what_separates_a_group_is_said_in_the_units_of_the_data() -> None:
    found = differences(traits(patients()), FEVER)
    assert found[0].name == "Temp: mean"
    assert found[0].inside == "39"
    assert found[0].outside == "36.8"
    assert found[0].auc == 1
    assert is_told_by(found[0], FEVER)
    assert not any("Pulse" in part.name for part in found)
    at_random = np.random.default_rng(1).permutation(FEVER)
    assert differences(traits(patients()), at_random) == []


def test_groups_that_one_measure_separates_are_not_called_unclear() -> None:
    rows = np.random.default_rng(0).normal(size=(40, 3))
    points = Embedded(patients(), "random weights", rows, rows, 3)
    groups = Groups(FEVER.astype(int), np.arange(40.0), silhouette=0.2)
    section = groups_section(points, groups)
    assert section is not None
    page = render_page("groups.html", groups=section, noun=noun_of(points.sequences))
    text = page.decode()
    assert "No clear groups" not in text
    assert "one measure separates part 2 from the rest" in text
    assert "<b>Temp: mean</b> 39, others 36.8" in text
    assert "are no test" in text


def test_tracks_differ_in_extent_and_speed() -> None:
    steps = np.repeat([1e-5, 1e-2], 6)
    places = [np.arange(5)[:, None] * np.array([step, 0.0]) for step in steps]
    start = np.datetime64("2026-01-01", "ns")
    times = start + np.arange(5) * np.timedelta64(60, "s")
    data = Sequences(
        [np.zeros((5, 1))] * 12, places=places, degrees=True, times=[times] * 12
    )
    found = {part.name: part for part in differences(traits(data), steps > 1e-3)}
    assert found["size across"].inside == "4.45 km"
    assert found["size across"].outside == "4.45 m"
    assert found["mean speed"].inside == "18.6 m/s"
    section = section_of(data)
    assert section["noun"].many == "tracks"
    moved = replace(data, channels=["speed"])
    assert [name for name, *_ in section_of(moved)["ranges"]] == ["speed (m/s)"]
    assert "12 tracks" in section["maps"]["drawn"][0]["svg"]


def test_the_facts_of_the_data_are_named() -> None:
    values = [*patients().values[:10], patients().values[0], np.ones((1, 2))]
    times = [np.arange(len(x)) ** 2 for x in values]
    section = section_of(Sequences(values, times=times, channels=["Temp", "Pulse"]))
    assert dict(section["facts"])["timesteps"].startswith("1 / 24 / 24")
    text = " ".join(section["cautions"])
    assert "not evenly spaced" in text
    assert "Too short, with one value in each channel at most: 1 of 12" in text
    assert dict(section["facts"])["identical"].endswith("of another: 0 = 10")
    assert "same values" not in text
    name, low, _, high = section["ranges"][0]
    temperatures = np.concatenate([x[:, 0] for x in values])
    assert name == "Temp"
    assert low == f"{temperatures.min():.3g}"
    assert high == f"{temperatures.max():.3g}"
    wide = section_of(Sequences([np.zeros((4, 11))]))
    assert len(wide["ranges"]) == 8
    assert wide["more"] == 3


def test_a_series_too_short_to_change_is_not_called_constant() -> None:
    short = np.array([[np.nan, 1.0], [2.0, np.nan]])
    values = [short, np.ones((1, 2)), np.ones((2, 2))]
    assert Sequences(values, ids=["a", "b", "c"]).constant() == ["c"]


def test_every_channel_fills_a_lane_of_its_own() -> None:
    data = patients()
    scale = scale_of(list(data.values), 3)
    lanes = np.concatenate([scale.lanes(x) for x in data.values])
    np.testing.assert_allclose(lanes.min(0), 0, atol=1e-6)
    np.testing.assert_allclose(lanes.max(0), 1, atol=1e-6)
    assert not scale.own.any()
    legend = plots.channel_legend(data, scale)
    assert (
        legend["shown"][0][2]
        == f"{scale.low[0]:.4g} to {scale.high[0]:.4g} in all drawings"
    )


def test_a_channel_whose_series_differ_much_in_range_has_a_scale_for_each() -> None:
    small = [np.sin(np.arange(20.0))[:, None] + i for i in range(5)]
    data = Sequences([*small, 1000 * small[0]])
    scale = scale_of(list(data.values), 1)
    assert scale.own.tolist() == [True]
    assert np.ptp(scale.lanes(data.values[1])) == 1
    (first, *_) = plots.tiles("a", data)
    assert first["ends"] == ["0 -1 to 0.991"]
    empty = scale.lanes(np.full((3, 1), np.nan))
    assert np.isnan(empty).all()


def test_positions_of_resampled_series_are_those_of_the_data() -> None:
    error = torch.ones(2, 3, 6, 1)
    error[:, :, -1] = 2.0
    resampled = Sequences([np.zeros((60, 1))] * 3)
    same = _along(error, resampled, 10, np.array([30, 30, 30]))
    assert same["hardest"] == "timestep 27"
    unequal = _along(error, resampled, 10, np.array([30, 20, 30]))
    assert unequal["hardest"] == f"92 {PERCENT}"


def test_a_name_wraps_before_its_suffix() -> None:
    data = Sequences([np.zeros((4, 1))], ids=["cpu_5f5533.csv"])
    rows = [plots.tiles("a", data)]
    page = render_page(
        "nearest.html",
        run="run",
        source="a",
        n=1,
        total=1,
        dim=None,
        placed=False,
        rows=rows,
        legend=plots.channel_legend(data),
    )
    assert "cpu_<wbr>5f5533<wbr>.csv" in page.decode()


def test_clips_scenes_and_tracks_have_their_nouns() -> None:
    still = np.zeros((2, 3, 4, 4, 1), dtype=np.uint8)
    assert noun_of(Sequences.from_arrays(still)).one == "clip"
    assert noun_of(Sequences.from_arrays(np.zeros((2, 3, 4, 2)))).one == "scene"
    assert noun_of(patients()).many == "series"


def test_the_channels_in_which_a_group_differs_are_drawn() -> None:
    draw = np.random.default_rng(0)
    values = [draw.normal(size=(20, 5)) for _ in range(24)]
    for x in values[:10]:
        x[:, 4] += 8
    data = Sequences(values, channels=list("abcde"))
    rows = np.array([[x[:, 4].mean(), 0.0] for x in values])
    points = Embedded(data, "random weights", rows, rows, 2)
    section = groups_section(
        points, Groups((rows[:, 0] > 4).astype(int), rows[:, 0], 0.9)
    )
    assert section is not None
    for group in section["rows"]:
        assert [name for name, _, _ in group["channels"]["shown"]] == ["e", "a", "b"]
    low, high = (x[:, 4].min() for x in values), (x[:, 4].max() for x in values)
    text = f"{min(low):.4g} to {max(high):.4g} in all drawings"
    assert section["rows"][0]["channels"]["shown"][0][2] == text
    assert [name for name, _, _ in section["channels"]["shown"]] == ["a", "b", "c"]


@pytest.mark.parametrize("degrees", [False, True])
@pytest.mark.parametrize(
    ("where", "together", "away"),
    [
        ([0.0] * 20, [20], 0),
        ([0.0] * 18 + [900.0, -700.0], [18], 2),
        ([0.0] * 12 + [900.0] * 8, [12, 8], 0),
        (np.linspace(-1000, 1000, 20), [20], 0),
    ],
)
def test_places_far_apart_have_a_map_each(
    degrees: bool, where: list[float], together: list[int], away: int
) -> None:
    draw = np.random.default_rng(0)
    unit = 0.03 if degrees else 1.0
    places = [
        unit * (draw.normal(size=(20, 2)).cumsum(axis=0) + np.array([x, 0]))
        for x in where
    ]
    tracks = Sequences([np.zeros((20, 1))] * 20, places=places, degrees=degrees)
    found = places_of(tracks)
    assert [len(members) for members in found.together] == together
    assert len(found.elsewhere) == away
    page = render_page("contents.html", contents=section_of(tracks))
    text = page.decode()
    assert text.count("North is up") == len(together)
    assert ("2 tracks are elsewhere, far from these: 18, 19" in text) == (away == 2)
