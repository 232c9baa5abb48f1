import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from temporal_jepa.data import read
from temporal_jepa.data.geography import to_ecef, to_local, to_lonlat, wrap

places = arrays(np.float64, (2, 2), elements=st.floats(-1, 1)).map(lambda a: a * [180, 90])


def fixes(lon, lat, id="a", **more) -> pd.DataFrame:
    time = pd.date_range("2024-01-01", periods=len(lon), freq="10s")
    return pd.DataFrame({"id": id, "time": time, "lon": np.float64(lon), "lat": np.float64(lat), **more})


def noted(sequences, part: str) -> bool:
    return any(part in note for note in sequences.notes)


def channel(sequences, name: str, series: int = 0) -> np.ndarray:
    return sequences.values[series][:, sequences.channels.index(name)]


# Geography. Reference values: EPSG:4979 to EPSG:4978 of PROJ, and geodesics of GeographicLib (through pyproj).


def test_ecef_of_known_places() -> None:
    got = to_ecef(np.array([[0.0, 0], [90, 0], [0, 90], [13.4, 52.5]]))
    want = [[6378137, 0, 0], [0, 6378137, 0], [0, 0, 6356752.314245]]
    np.testing.assert_allclose(got[:3], want, atol=1e-6)


@given(places)
def test_places_survive_the_way_through_the_earth(lonlat: np.ndarray) -> None:
    back = to_ecef(to_lonlat(to_ecef(lonlat)))
    np.testing.assert_allclose(back, to_ecef(lonlat), atol=1e-3)


@given(places)
def test_distances_do_not_depend_on_who_looks(lonlat: np.ndarray) -> None:
    a, b = lonlat
    there, back = np.linalg.norm(to_local(b, a)), np.linalg.norm(to_local(a, b))
    assert there == pytest.approx(back, abs=1e-6)
    assert there == pytest.approx(np.linalg.norm(to_ecef(a) - to_ecef(b)), abs=1e-6)


@given(st.floats(-10, 10))
def test_wrapped_angles_are_small(angle: float) -> None:
    wrapped = wrap(np.array(angle))
    assert -np.pi <= wrapped <= np.pi
    np.testing.assert_allclose([np.sin(wrapped), np.cos(wrapped)], [np.sin(angle), np.cos(angle)], atol=1e-9)


def test_a_degree_is_longer_in_the_north_and_narrower_in_longitude() -> None:
    local = [to_local(np.array([0.0, at + 0.01]), np.array([0.0, at]))[1] * 100 for at in (0, 89)]
    np.testing.assert_allclose(local, [110574.3, 111693.9], atol=1)
    assert to_local(np.array([0.01, 60.0]), np.array([0.0, 60.0]))[0] * 100 == pytest.approx(55800.0, abs=1)


# What the features of movement mean.


def test_north_then_east_is_a_turn_to_the_right() -> None:
    s = read(fixes([0, 0, 0.001], [0, 0.001, 0.001]), features="x,y,dx,dy,speed,heading,turn,acceleration,dt,lon,lat")
    assert s.channels == ["x", "y", "dx", "dy", "speed", "heading", "turn", "acceleration", "dt", "lon", "lat"]
    np.testing.assert_allclose(channel(s, "y"), [0, 110.57, 110.57], atol=0.02)
    np.testing.assert_allclose(channel(s, "dx"), [np.nan, 0, 111.32], atol=0.02)
    np.testing.assert_allclose(channel(s, "speed"), [np.nan, 11.057, 11.132], atol=0.002)
    np.testing.assert_allclose(channel(s, "heading"), [np.nan, 0, np.pi / 2], atol=1e-4)
    np.testing.assert_allclose(channel(s, "turn"), [np.nan, np.nan, np.pi / 2], atol=1e-4)
    np.testing.assert_allclose(channel(s, "acceleration"), [np.nan, np.nan, 0.0075], atol=1e-3)
    np.testing.assert_allclose(channel(s, "dt"), [np.nan, 10, 10])
    np.testing.assert_allclose(s.places[0], [[0, 0], [0, 0.001], [0.001, 0.001]])


@pytest.mark.parametrize("start", [(179.9995, 10.0), (-180.0, -45.0), (359.9995, 0.0)])
def test_the_antimeridian_is_no_border(start: tuple[float, float]) -> None:
    lon = start[0] + np.arange(5) * 0.001
    lon = np.where(lon > 360, lon - 360, lon)
    wrapped = (lon + 180) % 360 - 180
    near, there = (read(fixes(at, np.full(5, start[1]))) for at in (np.arange(5) * 0.001, wrapped))
    np.testing.assert_allclose(near.values[0], there.values[0], atol=1e-2)
    middle = read(fixes(wrapped, np.full(5, start[1])), step=5, features="speed")
    assert np.nanmax(channel(middle, "speed")) < 12


def test_straight_over_the_pole() -> None:
    s = read(fixes([30, 30, -150, -150], [89.998, 89.999, 89.999, 89.998]), features="speed,turn,x,y")
    np.testing.assert_allclose(channel(s, "speed")[1:], [11.17, 22.34, 11.17], atol=0.01)
    np.testing.assert_allclose(channel(s, "turn")[2:], 0, atol=1e-3)
    np.testing.assert_allclose(channel(s, "y")[-1], 446.8, atol=0.1)
    over = read(fixes([30, -150], [89.999, 89.999]), step=5)
    assert over.places[0][1, 1] == pytest.approx(90, abs=1e-6)


@given(st.floats(-170, 170), st.floats(-60, 60), st.integers(0, 9))
def test_default_features_do_not_tell_where_on_earth(lon: float, lat: float, seed: int) -> None:
    metres = np.random.default_rng(seed).normal(size=(20, 2)).cumsum(0) * 20
    scale = to_local(np.array([lon + 1e-3, lat + 1e-3]), np.array([lon, lat]))[:2] * 1e3
    there, plane = metres / scale + [lon, lat], pd.DataFrame(metres, columns=["x", "y"])
    a, b = read(fixes(*there.T)), read(plane, layout="tracks")
    assert a.channels == b.channels
    np.testing.assert_allclose(a.values[0], b.values[0], atol=0.05)


# Cleaning.


def test_what_is_broken_is_mended_and_said() -> None:
    frame = fixes(np.arange(8) * 1e-3, np.zeros(8)).iloc[[0, 2, 1, 3, 3, 4, 5, 6, 7]].reset_index(drop=True)
    frame.loc[6, "lat"] = np.nan
    s = read(frame, features="speed,dt")
    assert s.lengths.tolist() == [7]
    np.testing.assert_allclose(channel(s, "dt")[1:], [10, 10, 10, 10, 20, 10])
    for part in ("1 fixes without a place", "2 fixes were not in the order of time", "1 fixes at the time of another"):
        assert noted(s, part)


def test_jumps_go_and_the_track_stays() -> None:
    lon = np.arange(40) * 1e-4
    for at in ([0], [39], [7], [20, 21, 22], [3, 30]):
        lat = np.zeros(40)
        lat[at] = 1
        s = read(fixes(lon, lat), max_speed=50, features="lon,lat")
        assert noted(s, f"{len(at)} fixes are left out as jumps")
        np.testing.assert_allclose(channel(s, "lat"), 0)
        assert len(s.values[0]) == 40 - len(at)


def test_gaps_split_and_are_never_bridged() -> None:
    frame = fixes(np.arange(10) * 1e-3, np.zeros(10), label="bus")
    frame.loc[5:, "time"] += pd.Timedelta("1h")
    split = read(frame, gap=600)
    assert (split.ids, split.lengths.tolist(), [*split.labels]) == (["a#1", "a#2"], [5, 5], ["bus", "bus"])
    assert read(frame).ids == ["a"]
    fine = read(frame, step=5)
    assert (fine.ids, fine.lengths.tolist()) == (["a#1", "a#2"], [9, 9])
    assert read(frame, step=5, gap=0).lengths.tolist() == [3690 // 5 + 1]


@given(st.integers(0, 99), st.sampled_from([1.0, 2.5, 7.0]))
def test_resampled_fixes_lie_on_the_line(seed: int, step: float) -> None:
    rng = np.random.default_rng(seed)
    t = np.r_[0, rng.choice(np.arange(1, 60), 20, replace=False)]
    frame = pd.DataFrame({"time": np.sort(t), "x": 3.0 * np.sort(t), "y": -np.sort(t), "v": 2 * np.sort(t)})
    s = read(frame, layout="tracks", step=step, gap=0, features="x,speed")
    np.testing.assert_allclose(np.diff(s.times[0]), step)
    np.testing.assert_allclose(channel(s, "x"), 3 * s.times[0], atol=1e-4)
    np.testing.assert_allclose(channel(s, "v"), 2 * s.times[0], atol=1e-4)
    np.testing.assert_allclose(channel(s, "speed")[1:], np.sqrt(10), atol=1e-4)


def test_zones_become_utc() -> None:
    frame = fixes(np.arange(3) * 1e-3, np.zeros(3))
    frame["time"] = ["2024-10-27T02:59:50+02:00", "2024-10-27T02:00:00+01:00", "2024-10-27T01:00:10Z"]  # summer ends
    s = read(frame, features="dt")
    np.testing.assert_allclose(channel(s, "dt")[1:], [10, 10])
    assert str(s.times[0][0]) == "2024-10-27T00:59:50.000000000"


@pytest.mark.parametrize("size", [1e3, 1e6, 1e9])
def test_numbers_since_1970(size: float) -> None:
    frame = fixes(np.arange(3) * 1e-3, np.zeros(3)).assign(time=(1.7e9 * size + np.arange(3) * size).astype(np.int64))
    s = read(frame, features="dt")
    np.testing.assert_allclose(channel(s, "dt")[1:], 1)
    assert str(s.times[0][0]) == "2023-11-14T22:13:20.000000000"
