import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from temporal_jepa.data import read
from temporal_jepa.data.wgs84 import to_ecef, to_local, to_lonlat, wrap

places = arrays(np.float64, (2, 2), elements=st.floats(-1, 1)).map(
    lambda a: a * [180, 90]
)


def fixes(lon, lat, id="a", **more) -> pd.DataFrame:
    time = pd.date_range("2024-01-01", periods=len(lon), freq="10s")
    return pd.DataFrame(
        {"id": id, "time": time, "lon": np.float64(lon), "lat": np.float64(lat), **more}
    )


def noted(sequences, part: str) -> bool:
    return any(part in note for note in sequences.notes)


def channel(sequences, name: str, series: int = 0) -> np.ndarray:
    return sequences.values[series][:, sequences.channels.index(name)]


# Geography. Reference values by pyproj: EPSG:4979 to EPSG:4978, and geodesics of GeographicLib.


def test_ecef_of_known_places() -> None:
    got = to_ecef(np.array([[0.0, 0], [90, 0], [0, 90], [13.4, 52.5]]))
    want = [[6378137, 0, 0], [0, 6378137, 0], [0, 0, 6356752.314245]]
    np.testing.assert_allclose(got[:3], want, atol=1e-6)


@given(places)
def test_places_survive_the_round_trip_through_ecef(lonlat: np.ndarray) -> None:
    back = to_ecef(to_lonlat(to_ecef(lonlat)))
    np.testing.assert_allclose(back, to_ecef(lonlat), atol=1e-3)


@given(places)
def test_distance_is_symmetric(lonlat: np.ndarray) -> None:
    a, b = lonlat
    there = np.linalg.norm(to_local(b, a))
    back = np.linalg.norm(to_local(a, b))
    assert there == pytest.approx(back, abs=1e-6)
    assert there == pytest.approx(np.linalg.norm(to_ecef(a) - to_ecef(b)), abs=1e-6)


@given(st.floats(-10, 10))
def test_wrapped_angles_are_small(angle: float) -> None:
    wrapped = wrap(np.array(angle))
    assert -np.pi <= wrapped <= np.pi
    np.testing.assert_allclose(
        [np.sin(wrapped), np.cos(wrapped)], [np.sin(angle), np.cos(angle)], atol=1e-9
    )


def test_a_degree_is_longer_in_the_north_and_narrower_in_longitude() -> None:
    local = [
        to_local(np.array([0.0, at + 0.01]), np.array([0.0, at]))[1] * 100
        for at in (0, 89)
    ]
    np.testing.assert_allclose(local, [110574.3, 111693.9], atol=1)
    assert to_local(np.array([0.01, 60.0]), np.array([0.0, 60.0]))[
        0
    ] * 100 == pytest.approx(55800.0, abs=1)


# What the features of movement mean.


def test_north_then_east_is_a_turn_to_the_right() -> None:
    s = read(
        fixes([0, 0, 0.001], [0, 0.001, 0.001]),
        features="x,y,dx,dy,speed,heading,turn,acceleration,dt,lon,lat",
    )
    assert s.channels == [
        "x",
        "y",
        "dx",
        "dy",
        "speed",
        "heading",
        "turn",
        "acceleration",
        "dt",
        "lon",
        "lat",
    ]
    np.testing.assert_allclose(channel(s, "y"), [0, 110.57, 110.57], atol=0.02)
    np.testing.assert_allclose(channel(s, "dx"), [np.nan, 0, 111.32], atol=0.02)
    np.testing.assert_allclose(
        channel(s, "speed"), [np.nan, 11.057, 11.132], atol=0.002
    )
    np.testing.assert_allclose(channel(s, "heading"), [np.nan, 0, np.pi / 2], atol=1e-4)
    np.testing.assert_allclose(
        channel(s, "turn"), [np.nan, np.nan, np.pi / 2], atol=1e-4
    )
    np.testing.assert_allclose(
        channel(s, "acceleration"), [np.nan, np.nan, 0.0075], atol=1e-3
    )
    np.testing.assert_allclose(channel(s, "dt"), [np.nan, 10, 10])
    np.testing.assert_allclose(s.places[0], [[0, 0], [0, 0.001], [0.001, 0.001]])


@pytest.mark.parametrize(
    "start", [(179.9995, 10.0), (-180.002, -45.0), (359.9985, 0.0)]
)
def test_the_antimeridian_is_no_border(start: tuple[float, float]) -> None:
    lon = start[0] + np.arange(5) * 0.001
    lat = np.full(5, start[1])
    near = read(fixes(np.arange(5) * 0.001, lat), features="dx,dy,turn")
    for written in ((lon + 180) % 360 - 180, lon % 360):
        there = read(fixes(written, lat), features="dx,dy,turn")
        np.testing.assert_allclose(near.values[0], there.values[0], atol=1e-2)
        assert (
            np.nanmax(
                channel(read(fixes(written, lat), step=5, features="speed"), "speed")
            )
            < 12
        )


def test_straight_over_the_pole() -> None:
    s = read(
        fixes([30, 30, -150, -150], [89.998, 89.999, 89.999, 89.998]),
        features="speed,turn,x,y",
    )
    np.testing.assert_allclose(
        channel(s, "speed")[1:], [11.17, 22.34, 11.17], atol=0.01
    )
    np.testing.assert_allclose(channel(s, "turn")[2:], 0, atol=1e-3)
    np.testing.assert_allclose(channel(s, "y")[-1], 446.8, atol=0.1)
    over = read(fixes([30, -150], [89.999, 89.999]), step=5)
    assert over.places[0][1, 1] == pytest.approx(90, abs=1e-6)


@settings(max_examples=30)
@given(st.floats(-170, 170), st.floats(-60, 60), st.integers(0, 9))
def test_default_features_do_not_tell_where_on_earth(
    lon: float, lat: float, seed: int
) -> None:
    metres = np.random.default_rng(seed).normal(size=(20, 2)).cumsum(0) * 20
    scale = to_local(np.array([lon + 1e-3, lat + 1e-3]), np.array([lon, lat]))[:2] * 1e3
    there = metres / scale + [lon, lat]
    plane = pd.DataFrame(metres, columns=["x", "y"]).assign(time=10 * np.arange(20))
    a = read(fixes(*there.T))
    b = read(plane, layout="tracks")
    assert read(plane[["x", "y"]], layout="tracks").channels == [
        "dx",
        "dy",
    ]  # no times, no speed
    assert a.channels == b.channels == ["dx", "dy", "speed"]
    np.testing.assert_allclose(a.values[0], b.values[0], atol=0.05)
    np.testing.assert_allclose(
        a.values[0][1:, 2], np.linalg.norm(a.values[0][1:, :2], axis=1) / 10, atol=1e-3
    )


def test_tracks_without_times_keep_their_own_fixes():
    lon = [0, 50, 1, 51, 2, 52]
    frame = pd.DataFrame({"id": list("ababab"), "lon": lon, "lat": 10.0})
    by_track = frame.sort_values("id", kind="stable")
    mixed, apart = (read(data, layout="tracks", id="id") for data in (frame, by_track))
    for found, expected in zip(mixed.values, apart.values, strict=True):
        np.testing.assert_array_equal(found, expected)


# Cleaning.


def test_repairs_are_noted() -> None:
    frame = (
        fixes(np.arange(8) * 1e-3, np.zeros(8))
        .iloc[[0, 2, 1, 3, 3, 4, 5, 6, 7]]
        .reset_index(drop=True)
    )
    frame.loc[6, "lat"] = np.nan
    s = read(frame, features="speed,dt")
    assert s.lengths.tolist() == [7]
    np.testing.assert_allclose(channel(s, "dt")[1:], [10, 10, 10, 10, 20, 10])
    for part in (
        "1 fixes without a place",
        "2 fixes were not in time order",
        "1 fixes at the time of another",
    ):
        assert noted(s, part)


def test_without_any_time_fixes_keep_their_order() -> None:
    s = read(fixes([0, 1e-3, 2e-3], [0, 0, 0]).assign(time=pd.NaT), features="dx")
    assert (s.times, s.lengths.tolist()) == (None, [3])


def test_jumps_go_and_the_track_stays() -> None:
    lon = np.arange(40) * 1e-4
    for at in ([0], [39], [7], [20, 21, 22], [3, 30]):
        lat = np.zeros(40)
        lat[at] = 1
        s = read(fixes(lon, lat), max_speed=50, features="lon,lat")
        assert noted(s, f"{len(at)} fixes are left out as jumps")
        np.testing.assert_allclose(channel(s, "lat"), 0)
        assert len(s.values[0]) == 40 - len(at)


def test_a_few_steps_that_are_too_fast_for_the_ground_are_noted() -> None:
    lon, lat = np.arange(100) * 1e-4, np.zeros(100)
    assert not noted(read(fixes(lon, lat)), "faster than")
    lat[99] = 1
    assert noted(
        read(fixes(lon, lat)), "1 of 99 steps between fixes are faster than 60"
    )
    aircraft = read(fixes(np.arange(100) * 10.0 / 100, lat * 0))
    assert not noted(aircraft, "faster than")


def test_gaps_split_and_are_never_bridged() -> None:
    frame = fixes(np.arange(10) * 1e-3, np.zeros(10), label="bus")
    frame.loc[5:, "time"] += pd.Timedelta("1h")
    split = read(frame, gap=600)
    assert (split.ids, split.lengths.tolist(), [*split.labels]) == (
        ["a#1", "a#2"],
        [5, 5],
        ["bus", "bus"],
    )
    assert read(frame).ids == ["a"]
    fine = read(frame, step=5)
    assert (fine.ids, fine.lengths.tolist()) == (["a#1", "a#2"], [9, 9])
    assert read(frame, step=5, gap=0).lengths.tolist() == [3690 // 5 + 1]


@settings(max_examples=30)
@given(st.integers(0, 99), st.sampled_from([1.0, 2.5, 7.0]))
def test_resampled_fixes_lie_on_the_line(seed: int, step: float) -> None:
    rng = np.random.default_rng(seed)
    t = np.r_[0, rng.choice(np.arange(1, 60), 20, replace=False)]
    frame = pd.DataFrame(
        {
            "time": np.sort(t),
            "x": 3.0 * np.sort(t),
            "y": -np.sort(t),
            "v": 2 * np.sort(t),
        }
    )
    s = read(frame, layout="tracks", step=step, gap=0, features="x,speed")
    np.testing.assert_allclose(np.diff(s.times[0]), step)
    np.testing.assert_allclose(channel(s, "x"), 3 * s.times[0], atol=1e-4)
    np.testing.assert_allclose(channel(s, "v"), 2 * s.times[0], atol=1e-4)
    np.testing.assert_allclose(channel(s, "speed")[1:], np.sqrt(10), atol=1e-4)


def test_zones_become_utc() -> None:
    frame = fixes(np.arange(3) * 1e-3, np.zeros(3))
    frame["time"] = [
        "2024-10-27T02:59:50+02:00",
        "2024-10-27T02:00:00+01:00",
        "2024-10-27T01:00:10Z",
    ]  # summer ends
    s = read(frame, features="dt")
    np.testing.assert_allclose(channel(s, "dt")[1:], [10, 10])
    assert str(s.times[0][0]) == "2024-10-27T00:59:50.000000000"
    assert not noted(s, "no offset")
    frame.loc[0, "time"] = "2024-10-27 00:59:50"
    assert noted(read(frame), "1 times in 'time' have no offset from UTC: taken as UTC")


@pytest.mark.parametrize("size", [1e3, 1e6, 1e9])
def test_numbers_since_1970(size: float) -> None:
    frame = fixes(np.arange(3) * 1e-3, np.zeros(3)).assign(
        time=(1.7e9 * size + np.arange(3) * size).astype(np.int64)
    )
    s = read(frame, features="dt")
    np.testing.assert_allclose(channel(s, "dt")[1:], 1)
    assert str(s.times[0][0]) == "2023-11-14T22:13:20.000000000"


def test_features_are_as_asked_and_values_come_after() -> None:
    frame = fixes(
        [0, 1e-3, 1e-3],
        [0, 0, 1e-3],
        hr=[1.0, 2, 3],
        label="run",
        alt=[5.0, 6, 7],
        note="x",
        hour=[1, 2, 3],
    )
    s = read(frame)
    assert (s.channels, [*s.labels], s.ids) == (
        ["dx", "dy", "speed", "hr"],
        ["run"],
        ["a"],
    )
    assert noted(s, "columns left out: alt, note (text such as 'x'), hour")
    s = read(frame, features=["turn", "z"], values="")
    assert s.channels == ["turn", "z"]
    np.testing.assert_allclose(channel(s, "z"), [5, 6, 7])
    assert read(frame, features="speed", values="alt,hr").channels == [
        "speed",
        "alt",
        "hr",
    ]
    assert read(frame, step=5).channels == ["dx", "dy", "speed", "hr"]


# Which tables are tracks, and how their places are written.


@pytest.mark.parametrize(
    "names",
    [
        "lon,lat",
        "Longitude,LATITUDE",
        "lng,lat",
        "location-long,location-lat",
        "position_lon,position_lat",
    ],
)
def test_names_of_places(names: str) -> None:
    frame = fixes([0, 0], [0, 1e-3]).rename(
        columns=dict(zip(["lon", "lat"], names.split(","), strict=True))
    )
    np.testing.assert_allclose(channel(read(frame), "dy"), [np.nan, 110.57], atol=0.01)


def test_tables_that_are_no_tracks_stay_series() -> None:
    stations = pd.DataFrame(
        {
            "id": ["a", "a", "b", "b"],
            "time": [0, 1, 0, 1],
            "lat": [1, 1, 2, 2],
            "lon": 3,
            "v": 4.0,
        }
    )
    wide = pd.DataFrame(
        {"lat": [1.0, 2], "lon": [3.0, 4]} | {f"t{i}": [0.0, i] for i in range(30)}
    )
    plane = pd.DataFrame(
        {
            "id": [1, 1, 2, 2],
            "time": [0, 1, 0, 1],
            "x": [1.0, 2, 3, 4],
            "y": [1.0, 2, 3, 5],
        }
    )
    for frame, channels in ((stations, "lat,lon,v"), (wide, "value"), (plane, "x,y")):
        s = read(frame)
        assert (s.channels, s.places) == (channels.split(","), None)
    moving = fixes([0, 1, 2], [0, 0, 0])
    assert (
        read(moving, layout="long").channels
        == read(moving, values="lon,lat").channels
        == ["lon", "lat"]
    )
    assert read(plane, features="dx,dy").channels == [
        "dx",
        "dy",
    ]  # a feature makes x and y places
    with pytest.raises(
        ValueError,
        match=r"movement needs places, from layout=tracks .* features=, gap=",
    ):
        read(np.zeros((3, 2, 9)), features="speed", gap=3)


def test_places_under_other_names_are_the_first_two_values() -> None:
    frame = pd.DataFrame(
        {
            "who": ["u", "u"],
            "when": [0, 2],
            "px": [1.0, 4],
            "py": [0.0, 4],
            "q": [7.0, 8],
        }
    )
    s = read(
        frame,
        layout="tracks",
        id="who",
        time="when",
        values="px,py,q",
        features="speed",
    )
    np.testing.assert_allclose(s.values[0], [[np.nan, 7], [2.5, 8]])


BAD = {
    "latitude": (
        fixes([0, 1, 2], [0, 91, 2]),
        {},
        r"latitude from -90 to 90 .* 'lat', got 91 in data row 2.*swapped",
    ),
    "longitude": (
        fixes([0, 1, 500], [0, 1, 2]),
        {},
        r"longitude from -180 to 360 .* 'lon', got 500 in data row 3",
    ),
    "infinite": (
        fixes([0, 1], [np.inf, 1]),
        {},
        "latitude from -90 to 90 .* got inf in data row 1 .* leave the field",
    ),
    "too far": (
        pd.DataFrame({"x": [0, 1e300], "y": 0}),
        {"layout": "tracks"},
        "number of meters .* got 1e[+]300",
    ),
    "nowhere": (
        fixes([np.nan] * 2, [1, 2]),
        {"layout": "tracks"},
        "no row has a place and a time",
    ),
    "one fix each": (
        fixes([1, 2], [1, 2]).assign(id=["a", "b"]),
        {"layout": "tracks", "id": "id"},
        "no track has two fixes",
    ),
    "label": (
        fixes([0, 1], [0, 1]).assign(label=["u", "v"]),
        {},
        "column 'label' changes within series 'a'",
    ),
    "feature": (
        fixes([0, 1], [0, 1]),
        {"features": "sped"},
        "features: expected .*different names of x, y, .*, got 'sped'",
    ),
    "twice": (
        fixes([0, 1], [0, 1]),
        {"features": "x,x"},
        "different names of .*, got 'x', 'x'",
    ),
    "none": (
        fixes([0, 1], [0, 1]),
        {"features": ()},
        "features: expected one or more .*, got none",
    ),
    "step": (
        fixes([0, 1], [0, 1]),
        {"step": -1},
        "step must be a number above 0, got -1",
    ),
    "text step": (
        fixes([0, 1], [0, 1]),
        {"step": "5"},
        "step must be a number above 0, got '5'",
    ),
    "height": (
        fixes([0, 1], [0, 1]),
        {"features": "z"},
        "feature z needs a column of heights",
    ),
    "absent": (
        fixes([0, 1], [0, 1]),
        {"id": "who"},
        "id names a column 'who' that does not exist",
    ),
    "text time": (
        fixes([0, 1], [0, 1]).assign(time="noon"),
        {"time": "time"},
        "2 rows that are no time",
    ),
    "endless": (
        fixes([0, 1], [0, 1]).assign(time=[0, np.inf]),
        {},
        "column 'time' holds infinite times",
    ),
    "text place": (
        fixes([0, 1], [0, 1]).assign(lat=["7", "south"]),
        {"layout": "tracks"},
        "column 'lat' holds 'south'",
    ),
    "no times": (
        fixes([0, 1], [0, 1]),
        {"time": "", "step": 5, "features": "speed"},
        "speed, step needs the times",
    ),
    "metres": (
        pd.DataFrame({"x": [0, 1], "y": 0}),
        {"features": "lat"},
        "lon and lat are degrees",
    ),
    "no places": (
        pd.DataFrame({"id": [1, 1], "v": [1.0, 2]}),
        {"layout": "tracks"},
        "columns of places, lon and lat",
    ),
    "agents": (fixes([0, 1], [0, 1]), {"agents": 3}, "agents=3 needs layout='scene'"),
    "half an agent": (
        fixes([0, 1], [0, 1]),
        {"layout": "scene", "agents": 1.5},
        "whole number, got 1.5",
    ),
    "window": (
        fixes([0, 1], [0, 1]),
        {"layout": "scene", "window": 3},
        "window of 1 to 2 timesteps, .* got 3",
    ),
    "no clock": (
        fixes([0, 1, 2], [0, 1, 2]),
        {"layout": "scene", "time": ""},
        "layout scene needs times",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_tables(case: str) -> None:
    frame, options, message = BAD[case]
    with pytest.raises(ValueError, match=message):
        read(frame, **options)


# Scenes.


def test_scenes_stand_agents_side_by_side(tmp_path: Path) -> None:
    lines = [
        f"{10 * t}\t{a}.0\t{t + a}\t{-a}"
        for t in range(12)
        for a in range(1, 4)
        if a < 3 or t > 7
    ]
    (tmp_path / "town.txt").write_text("\n".join(lines))
    s = read(tmp_path / "town.txt", layout="scene", window=4)
    assert (s.frame, s.ids, s.lengths.tolist()) == (
        (1, 3, 2),
        ["town@0", "town@40", "town@80"],
        [4, 4, 4],
    )
    scenes = np.stack(s.values).reshape(3, 4, 3, 2)  # (scene, time, agent, x or y)
    np.testing.assert_allclose(
        scenes[:, :, 1] - scenes[:, :, 0],
        np.broadcast_to([1, -1], (3, 4, 2)),
        atol=1e-6,
    )
    assert np.isnan(scenes[:2, :, 2]).all()
    assert not np.isnan(scenes[2]).any()
    assert s.channels == ["0:x", "0:y", "1:x", "1:y", "2:x", "2:y"]
    two = read(
        tmp_path / "town.txt", layout="scene", window=12, agents=2, features="dx,dy"
    )
    np.testing.assert_allclose(two.values[0][1:], np.tile([1, 0, 1, 0], (11, 1)))
    assert noted(two, "more than 2 agents keep those present longest")
    four = read(tmp_path / "town.txt", layout="scene", agents=4, window=4)
    assert np.isnan(np.stack(four.values)[..., 6:]).all()


def test_long_gap_between_scenes_adds_no_windows() -> None:
    time = np.r_[np.arange(30), 1_700_000_000 + np.arange(30)]
    frame = pd.DataFrame(
        {"time": time, "id": np.repeat([1, 2], 30), "x": np.arange(60.0), "y": 0.0}
    )
    s = read(frame, layout="scene", window=10)
    assert s.lengths.tolist() == [10] * 6
    np.testing.assert_array_equal(s.values[5][:, 0], s.values[0][:, 0] + 50)


def test_agents_without_a_common_clock_are_resampled_at_common_times() -> None:
    parts = [
        pd.DataFrame(
            {
                "id": a,
                "time": np.arange(9) + 0.3 * a,
                "x": np.arange(9) + 0.3 * a,
                "y": 0,
            }
        )
        for a in (0, 1)
    ]
    with pytest.raises(ValueError, match="step=SECONDS"):
        read(pd.concat(parts), layout="scene", window=4)
    s = read(pd.concat(parts), layout="scene", window=8, step=1)
    np.testing.assert_allclose(s.values[0][1:, 0], s.values[0][1:, 2], atol=1e-5)
    assert np.isnan(s.values[0][0, 2])


def test_the_scene_in_the_documentation(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    block = page[page.index("## Scenes") :].split("```")[1].removeprefix("text\n")
    (tmp_path / "a.csv").write_text(block)
    s = read(tmp_path / "a.csv", layout="scene")
    assert (s.frame, s.lengths.tolist()) == ((1, 2, 2), [2])


# GPX and GeoJSON.

POINT = '<trkpt lat="{}" lon="8.0"><ele>{}</ele><time>2024-05-01T08:{:02}:00Z</time></trkpt>'
HEART = (
    "<trkpt lat='47.1' lon='8'><extensions><a:x xmlns:a='a'><a:hr>90</a:hr></a:x></extensions>"
    "</trkpt>"
)


def gpx(*tracks: str) -> str:
    return (
        "<?xml version='1.0'?><gpx xmlns='http://www.topografix.com/GPX/1/1'>"
        + "".join(tracks)
        + "</gpx>"
    )


def segment(start: float, first: int) -> str:
    points = "".join(
        POINT.format(start + 0.001 * k, 400 + k, first + k) for k in range(4)
    )
    return f"<trkseg>{points}</trkseg>"


def test_gpx(tmp_path: Path) -> None:
    path = tmp_path / "day.gpx"
    path.write_text(
        gpx(
            f"<trk><name>up</name><type>hike</type>{segment(47, 0)}{segment(48, 30)}</trk>",
            f"<trk>{segment(1, 2)}</trk>",
        )
    )
    s = read(path, features="dy,dt,z")
    assert (s.ids, s.lengths.tolist(), s.labels) == (
        ["1 up#1", "1 up#2", "2"],
        [4, 4, 4],
        None,
    )
    np.testing.assert_allclose(
        s.values[0][1:],
        [[111.17, 60, 401], [111.17, 60, 402], [111.17, 60, 403]],
        atol=0.02,
    )
    assert str(s.times[0][0]) == "2024-05-01T08:00:00.000000000"


def test_routes_have_no_times_and_extensions_are_values(tmp_path: Path) -> None:
    path = tmp_path / "a.gpx"
    path.write_text(
        gpx("<rte><rtept lat='1' lon='2'/><rtept lat='1.1' lon='2'/></rte>")
    )
    assert (read(path).channels, read(path).times) == (["dx", "dy"], None)
    path.write_text(gpx(f"<trk><type>run</type><trkseg>{HEART * 2}</trkseg></trk>"))
    s = read(path, values="hr")
    assert (s.channels, [*s.labels]) == (["dx", "dy", "hr"], ["run"])
    assert read(path).channels == ["dx", "dy"]


def test_a_folder_of_tracks(tmp_path: Path) -> None:
    for kind, start in (("walk", 0), ("ride", 50)):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "a.gpx").write_text(gpx(f"<trk>{segment(start, 0)}</trk>"))
    (tmp_path / "walk" / "b.gpx").write_text(gpx(f"<trk>{segment(1, 0)}</trk>" * 2))
    s = read(tmp_path, features="dy")
    assert s.ids == ["ride/a.gpx", "walk/a.gpx", "walk/b.gpx:1", "walk/b.gpx:2"]
    assert [*s.labels] == ["ride", "walk", "walk", "walk"]
    for file in tmp_path.glob("*/*.gpx"):
        file.unlink()
        fixes([0, 1, 2], [0, 0, 0]).to_csv(file.with_suffix(".csv"), index=False)
    assert read(tmp_path).ids == ["ride/a.csv", "walk/a.csv", "walk/b.csv"]
    assert read(tmp_path).channels == ["dx", "dy", "speed"]
    points = [
        {
            "type": "Feature",
            "properties": {"id": k // 3},
            "geometry": {"type": "Point", "coordinates": [k, 0]},
        }
        for k in range(6)
    ]
    (tmp_path / "points").mkdir()
    (tmp_path / "points" / "a.json").write_text(
        json.dumps({"type": "FeatureCollection", "features": points})
    )
    assert read(tmp_path / "points").ids == ["a.json:0", "a.json:1"]


def test_a_folder_of_plain_recordings_stays_one(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text(
            "".join(f"{k} {k * k}\n" for k in range(200))
        )
    s = read(tmp_path)
    assert (s.lengths.tolist(), s.places) == ([200, 200], None)


LINE = {
    "type": "LineString",
    "coordinates": [[0, 0, 5], [0.001, 0, 6], [0.001, 0.001, 7]],
}
LINES = {
    "type": "MultiLineString",
    "coordinates": [LINE["coordinates"], LINE["coordinates"]],
}
CLOCK = ["2024-05-01T08:00:00Z", "2024-05-01T10:00:10+02:00", "2024-05-01T08:00:20Z"]


@pytest.mark.parametrize(
    "properties",
    [
        {"times": CLOCK},
        {"coordTimes": CLOCK},
        {"coordinateProperties": {"times": CLOCK}},
    ],
)
def test_geojson_with_times(tmp_path: Path, properties: dict[str, object]) -> None:
    feature = {
        "type": "Feature",
        "properties": {"id": "u", "class": "bus", **properties},
        "geometry": LINE,
    }
    (tmp_path / "a.geojson").write_text(json.dumps(feature))
    s = read(tmp_path / "a.geojson", features="speed,dt,z")
    assert (s.ids, [*s.labels]) == (["u"], ["bus"])
    np.testing.assert_allclose(
        s.values[0][1:], [[11.132, 10, 6], [11.057, 10, 7]], atol=0.002
    )


def test_geojson_shapes(tmp_path: Path) -> None:
    def got(data: object) -> list[str]:
        (tmp_path / "a.json").write_text(json.dumps(data))
        return read(tmp_path / "a.json").ids

    assert got(LINE) == got({**LINE, "type": "MultiPoint"}) == ["0"]
    assert got(LINES) == ["0#1", "0#2"]
    named = [
        {"type": "Feature", "properties": {"name": n}, "geometry": LINE}
        for n in ("p", "q", "q")
    ]
    assert got({"type": "FeatureCollection", "features": named}) == ["p", "q", "q (2)"]
    points = [
        {
            "type": "Feature",
            "properties": {"tid": k % 2, "time": k},
            "geometry": {"type": "Point", "coordinates": [k, 0]},
        }
        for k in range(6)
    ]
    assert got({"type": "FeatureCollection", "features": points}) == ["0", "1"]
    assert got(
        {
            "type": "FeatureCollection",
            "features": [*named, *points, {"type": "Feature", "geometry": None}],
        }
    ) == [
        "p",
        "q",
        "q (2)",
    ]


def test_what_gpx_says_of_its_encoding_does_not_spoil_names(tmp_path: Path) -> None:
    text = '<?xml version="1.0" encoding="ISO-8859-1"?>' + gpx(
        f"<trk><name>\u00e9t\u00e9</name>{segment(1, 0)}</trk>"
    )
    for encoding in ("latin-1", "utf-8"):
        (tmp_path / "a.gpx").write_bytes(text.encode(encoding))
        assert read(tmp_path / "a.gpx").ids == ["1 \u00e9t\u00e9"]


def test_extensions_of_a_point_do_not_replace_the_name_and_time_of_the_track(
    tmp_path: Path,
) -> None:
    more = (
        "<extensions><id>7</id><label>3</label><time>noon</time></extensions></trkpt>"
    )
    (tmp_path / "a.gpx").write_text(
        gpx(f"<trk><name>up</name>{segment(1, 0).replace('</trkpt>', more)}</trk>")
    )
    s = read(tmp_path / "a.gpx")
    assert (s.ids, s.lengths.tolist(), s.labels) == (["1 up"], [4], None)


BROKEN = {
    "laughs": (
        "a.gpx",
        '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><gpx>&b;</gpx>',
        "<!DOCTYPE",
    ),
    "entity": ("a.gpx", '<gpx><!entity a "ha"></gpx>', "<!entity"),
    "cut": (
        "a.gpx",
        gpx(f"<trk>{segment(1, 0)}</trk>")[:300],
        "not valid GPX: .* cut short",
    ),
    "empty": ("a.gpx", "", "the file is empty"),
    "pointless": (
        "a.gpx",
        gpx("<trk><trkseg/></trk><wpt lat='1' lon='2'/>"),
        "1 waypoints",
    ),
    "no lat": (
        "a.gpx",
        gpx("<trk><trkseg><trkpt lon='2'/></trkseg></trk>"),
        "expected numbers in lat, lon",
    ),
    "no number": (
        "a.gpx",
        gpx("<trk><trkseg><trkpt lat='n' lon='2'/></trkseg></trk>"),
        "expected numbers in lat",
    ),
    "cut json": ("a.geojson", json.dumps(LINE)[:40], "not valid JSON: .* cut short"),
    "deep json": ("a.json", "[" * 100000, "not valid JSON"),
    "other json": ("a.json", '["a", 2]', "expected a list of records"),
    "polygon": (
        "a.geojson",
        json.dumps({**LINE, "type": "Polygon"}),
        "feature 0: expected a .*LineString.* Polygon",
    ),
    "no list": (
        "a.geojson",
        '{"type": "FeatureCollection", "features": null}',
        "expected a list of features",
    ),
    "huge": (
        "a.json",
        json.dumps({**LINE, "coordinates": [[10**400, 0]]}),
        "feature 0 is not valid GeoJSON",
    ),
    "no geometry": (
        "a.geojson",
        '{"type": "Feature", "geometry": null}',
        "expected a LineString, .* found none",
    ),
    "no coordinates": (
        "a.geojson",
        '{"type": "LineString"}',
        "feature 0 is not valid GeoJSON .*coordinates",
    ),
    "text": (
        "a.json",
        json.dumps({**LINE, "coordinates": [["a", "b"]]}),
        "feature 0: could not convert",
    ),
    "times": (
        "a.json",
        json.dumps(
            {"type": "Feature", "properties": {"times": CLOCK[:2]}, "geometry": LINE}
        ),
        "a time for each of 3 coordinates, got 2 times",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files(tmp_path: Path, case: str) -> None:
    name, text, message = BROKEN[case]
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / name)


def headerless(path: Path, agents: range, start: int) -> None:
    """Frame, id, x, y: everybody walks for 30 frames."""
    rows = [
        f"{start + 10 * t}\t{a}\t{a + 0.1 * t}\t{0.2 * t}"
        for a in agents
        for t in range(30)
    ]
    path.write_text("\n".join(rows) + "\n", "utf-8")


def test_a_folder_keeps_the_ids_and_clocks_of_each_file(tmp_path: Path) -> None:
    headerless(tmp_path / "a.txt", range(1, 4), 0)
    headerless(
        tmp_path / "b.txt", range(1, 6), 0
    )  # the same ids at the same frames: others, elsewhere
    tracks = read(tmp_path, layout="tracks")
    assert tracks.ids[2:4] == ["a.txt:3", "b.txt:1"]
    assert (tracks.lengths == 30).all()
    assert len(tracks.places) == 8
    scenes = read(tmp_path, layout="scene", window=15)
    assert len(scenes) == 4
    assert scenes.frame[:2] == (1, 5)
    missing = np.isnan(scenes.values[0].reshape(15, 5, -1)).all((0, 2))
    assert missing.tolist() == [False, False, False, True, True]


def test_tracks_are_named_by_what_moves() -> None:
    frame = pd.DataFrame(
        {
            "MMSI": np.repeat([7, 8], 5),
            "timestamp": [*range(5)] * 2,
            "lon": np.linspace(0, 1, 10),
            "lat": np.linspace(0, 1, 10),
        }
    )
    assert read(frame).ids == ["7", "8"]
    assert read(frame.assign(event_id=range(10))).ids == ["7", "8"]  # counts the rows


def test_the_unit_of_time_decides_speeds() -> None:
    frame = pd.DataFrame(
        {"id": "a", "time": [0, 1, 2], "x": [0.0, 3600.0, 7200.0], "y": [0.0, 0.0, 0.0]}
    )
    assert read(frame, features="speed", time_unit=3600).values[0][
        1, 0
    ] == pytest.approx(1.0)
    with pytest.raises(ValueError, match="time_unit must be"):
        read(frame, features="speed", time_unit=-1)


def test_dates_need_no_unit() -> None:
    frame = pd.DataFrame(
        {
            "id": "a",
            "time": ["2020-01-01T00:00", "2020-01-01T00:01"],
            "x": [0.0, 1.0],
            "y": [0.0, 0.0],
        }
    )
    with pytest.raises(ValueError, match="holds dates, which need no time_unit="):
        read(frame, features="speed", time_unit=3600)


def test_scenes_of_a_folder_whose_names_hold_colons(tmp_path: Path) -> None:
    headerless(tmp_path / "a:1.txt", range(1, 4), 0)
    headerless(tmp_path / "a:2.txt", range(1, 3), 0)
    scenes = read(tmp_path, layout="scene", window=30)
    assert len(scenes) == 2
    assert scenes.frame[:2] == (1, 3)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no files"):
        read(tmp_path / "empty", layout="scene")


# Lines without times, a fourth coordinate, other coordinate systems.


def geojson(path: Path, *features: dict[str, object], **more: object) -> Path:
    data = {"type": "FeatureCollection", "features": features, **more}
    path.write_text(json.dumps(data))
    return path


def feature(coordinates: list[list[float]], **properties: object) -> dict[str, object]:
    geometry = {"type": "LineString", "coordinates": coordinates}
    return {"type": "Feature", "properties": properties, "geometry": geometry}


WALK = [[8.0, 47.0], [8.001, 47.0], [8.002, 47.0]]


@pytest.mark.parametrize("name", ["date", "start_time", "timestamp", "time", "begin"])
def test_one_date_of_a_line_is_not_the_time_of_its_points(
    tmp_path: Path, name: str
) -> None:
    lines = [feature(WALK, name=n, **{name: "2024-05-01"}) for n in "ab"]
    s = read(geojson(tmp_path / "a.geojson", *lines))
    assert (s.ids, s.times, s.lengths.tolist()) == (["a", "b"], None, [3, 3])
    np.testing.assert_allclose(channel(s, "dx")[1:], [76.06, 76.06], atol=0.01)
    assert noted(s, name)


@pytest.mark.parametrize("unit", [1, 1000])
def test_a_fourth_coordinate_since_1970_is_the_time(tmp_path: Path, unit: int) -> None:
    start = 1714550400
    line = [[*place, 400, (start + 10 * k) * unit] for k, place in enumerate(WALK)]
    path = geojson(tmp_path / "a.geojson", feature(line, name="a"))
    s = read(path, features="speed,z")
    np.testing.assert_allclose(s.values[0][1:], [[7.606, 400], [7.606, 400]], atol=1e-3)
    assert noted(s, "time=''")
    s = read(path, time="", values="m")
    assert s.times is None
    np.testing.assert_array_equal(channel(s, "m"), [place[3] for place in line])


def test_a_third_coordinate_since_1970_is_no_height(tmp_path: Path) -> None:
    line = [[*place, 1714550400 + 10 * k] for k, place in enumerate(WALK)]
    s = read(geojson(tmp_path / "a.geojson", feature(line, mmsi=5)))
    np.testing.assert_allclose(channel(s, "speed")[1:], [7.606, 7.606], atol=1e-3)
    assert s.ids == ["5"]


def test_another_fourth_coordinate_is_a_measure(tmp_path: Path) -> None:
    line = [[*place, 400, k * 5] for k, place in enumerate(WALK)]
    path = geojson(tmp_path / "a.geojson", feature(line, name="a"))
    s = read(path, values="m")
    assert s.times is None
    np.testing.assert_array_equal(channel(s, "m"), [0, 5, 10])
    assert noted(read(path), "'m'")


def test_other_coordinate_systems_of_geojson_are_refused(tmp_path: Path) -> None:
    def crs(name: str) -> dict[str, object]:
        return {"type": "name", "properties": {"name": name}}

    path = tmp_path / "a.geojson"
    for name in ("urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:EPSG::4326"):
        assert read(geojson(path, feature(WALK), crs=crs(name))).degrees
    for name in ("urn:ogc:def:crs:EPSG::3857", "EPSG:2056", "EPSG:14326"):
        with pytest.raises(ValueError, match=rf"a\.geojson.*{name}"):
            read(geojson(path, feature(WALK), crs=crs(name)))


# What recorders write.


def test_gpx_with_prefixes_that_are_not_declared(tmp_path: Path) -> None:
    path = tmp_path / "a.gpx"
    more = "<extensions><gpxtpx:hr xsi:type='n'>{}</gpxtpx:hr></extensions></trkpt>"
    points = [
        POINT.format(47 + k / 1e3, 400, k).replace("</trkpt>", more.format(100 + k))
        for k in range(3)
    ]
    path.write_text(f"<gpx><trk><trkseg>{''.join(points)}</trkseg></trk></gpx>")
    s = read(path, values="hr")
    np.testing.assert_array_equal(channel(s, "hr"), [100, 101, 102])
    np.testing.assert_allclose(channel(s, "dy")[1:], [111.17, 111.17], atol=0.02)


def test_gpx_with_waypoints_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.gpx"
    points = [
        f"<wpt lat='{47 + k / 1e3}' lon='8'><time>2024-05-01T08:0{k}:00Z</time></wpt>"
        for k in range(3)
    ]
    path.write_text(gpx(*points))
    s = read(path)
    np.testing.assert_allclose(channel(s, "speed")[1:], [1.853, 1.853], atol=1e-3)
    assert noted(s, "3 waypoints")
    path.write_text(gpx(*points, "<wpt lat='1' lon='8'/>"))
    with pytest.raises(ValueError, match=r"a\.gpx.*4 waypoints"):
        read(path)
    path.write_text(gpx(f"<trk>{segment(47, 0)}</trk>", *points))
    assert read(path).ids == ["1"]


def test_ais_writes_numbers_for_what_it_does_not_know() -> None:
    frame = fixes([8, 181, 8.001, 8.002], [47, 91, 47, 47]).rename(
        columns={"id": "mmsi"}
    )
    frame = frame.assign(
        SOG=[1.0, 2, 102.3, 3], COG=[10.0, 0, 360, 5], Heading=[511, 1, 2, 3]
    )
    s = read(frame)
    np.testing.assert_allclose(channel(s, "SOG"), [1, np.nan, 3])
    np.testing.assert_allclose(channel(s, "COG"), [10, np.nan, 5])
    np.testing.assert_allclose(channel(s, "Heading"), [np.nan, 2, 3])
    assert noted(s, "181")
    assert noted(s, "'Heading'")
    frame.loc[1, "lon"] = 0
    assert read(frame).lengths.tolist() == [3]
    frame.loc[1, "lon"] = 181
    other = read(frame.rename(columns={"mmsi": "walker"}), id="walker")
    np.testing.assert_allclose(channel(other, "COG"), [10, 360, 5])


def test_swapped_places_and_places_at_zero_are_named() -> None:
    with pytest.raises(ValueError, match=r"lat.*swapped"):
        read(fixes([47, np.nan, 47.1], [122, 122.1, 122.2]))
    s = read(fixes([8, 0, 8.001], [47, 0, 47]))
    assert noted(s, "1 fixes are at longitude 0, latitude 0")


# Times of fixes


def test_date_and_clock_in_two_columns_are_one_time() -> None:
    frame = fixes(np.arange(4) * 1e-3, np.zeros(4)).drop(columns="time")
    frame["date"] = ["2024-05-01", "2024-05-01", "2024-05-02", "2024-05-02"]
    frame["clock"] = ["08:00:00", "23:59:50", "00:00:00", "00:00:10"]
    s = read(frame, features="dt", time="date,clock")
    np.testing.assert_allclose(channel(s, "dt")[1:], [57590, 10, 10])


def test_a_clock_past_midnight_goes_on() -> None:
    frame = fixes(np.arange(3) * 1e-3, np.zeros(3))
    frame["time"] = ["23:59:50", "00:00:00", "00:00:10"]
    np.testing.assert_allclose(channel(read(frame, features="dt"), "dt")[1:], 10)


@pytest.mark.parametrize(
    ("name", "values", "options"),
    [
        ("timestamp_ms", [0, 10_000, 20_000], {}),
        ("time", [0, 10_000, 20_000], {"time_unit": "ms"}),
        ("time", [1706659190000, 1706659200000, 1706659210000], {}),
        ("time", [20240130235950, 20240131000000, 20240131000010], {}),
        ("date", np.array([540_000, 540_001, 540_002]) / 12, {"time_unit": "excel"}),
        ("Time (min)", [0, 1 / 6, 1 / 3], {}),
    ],
)
def test_units_of_the_times_of_fixes(name, values, options) -> None:
    frame = fixes(np.arange(3) * 1e-3, np.zeros(3)).drop(columns="time")
    frame[name] = values
    expected = 7200 if name == "date" else 10
    dt = channel(read(frame, features="dt", **options), "dt")[1:]
    np.testing.assert_allclose(dt, expected)


def test_days_of_excel_are_a_question() -> None:
    frame = fixes(np.arange(3) * 1e-3, np.zeros(3)).drop(columns="time")
    frame["date"] = [45000.0, 45000.5, 45001.0]
    with pytest.raises(ValueError, match="time_unit='excel'"):
        read(frame, features="dt")


def test_fixes_at_one_time() -> None:
    frame = fixes([179.9, -179.9, 0.0], np.zeros(3))
    frame["time"] = [0, 0, 10]
    places = {
        how: read(frame, duplicates=how).places[0][0, 0]
        for how in ("first", "last", "mean")
    }
    assert places["first"] == 179.9
    assert places["last"] == -179.9
    assert abs(places["mean"]) == pytest.approx(180)
    with pytest.raises(ValueError, match="duplicates="):
        read(frame, duplicates="error")


def test_many_fixes_elsewhere_at_one_time_are_of_other_tracks() -> None:
    frame = fixes(np.arange(20) * 1e-3, np.zeros(20)).drop(columns="id")
    frame["time"] = np.repeat(np.arange(10), 2)
    with pytest.raises(ValueError, match=r"10 of 20 fixes.*id=COLUMN.*duplicates="):
        read(frame)
    assert read(frame, duplicates="first").lengths.tolist() == [10]
    frame["lon"] = np.repeat(np.arange(10), 2) * 1e-3
    assert read(frame).lengths.tolist() == [10]


@pytest.mark.parametrize("year", [1500, 2024, 2500])
def test_dates_of_any_year_have_speeds_and_are_resampled(year) -> None:
    frame = fixes(np.arange(3) * 1e-3, np.zeros(3))
    frame["time"] = [f"{year}-01-01T00:00:{second}" for second in (10, 20, 30)]
    assert channel(read(frame, features="dt"), "dt")[1:].tolist() == [10, 10]
    s = read(frame, step=5)
    assert s.times[0][1] == np.datetime64(f"{year}-01-01T00:00:15")
    scenes = read(frame, layout="scene", window=3)
    assert scenes.times[0][-1] == np.datetime64(f"{year}-01-01T00:00:30")
