from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from temporal_jepa.data import read
from temporal_jepa.data.tables.points import is_place_name
from temporal_jepa.data.tables.readings import AmbiguousError


def table(texts: list[str], name: str = "location", **more: object) -> pd.DataFrame:
    return pd.DataFrame({"tid": 1, "time": range(len(texts)), name: texts, **more})


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# A number with a separator is not a place.


@pytest.mark.parametrize("value", ["1,231", "20,1", "1 234", "3 4", "-1,5", "3.5 4.5"])
def test_text_is_no_place_under_any_other_name(value: str) -> None:
    frame = table([value] * 2, name="volume", close=[1.0, 2])
    for own in (frame, frame.rename(columns={"tid": "id"})):
        with suppress(AmbiguousError):  # of a number with a separator
            assert read(own).places is None


def test_thousands_in_a_file_become_no_track(tmp_path: Path) -> None:
    text = 'date,close,volume\n2024-03-01,101,"1,231"\n2024-03-02,102,"1,232"\n'
    path = write(tmp_path / "a.csv", text)
    with suppress(ValueError):
        assert read(path).places is None


@pytest.mark.parametrize("value", ["1,231", "20,1", "-3,4"])
def test_one_number_or_two_is_asked_under_the_name_of_a_place(value: str) -> None:
    frame = table([value, value.replace("1", "2")], name="position")
    with pytest.raises(AmbiguousError, match="position") as error:
        read(frame)
    chosen = [reading.options for reading in error.value.readings]
    assert {"decimal": ","} in chosen
    assert {"values": "lat,lon"} in chosen


# Which two numbers they are.


@pytest.mark.parametrize(
    "text", ["{} {}", "{}, {}", "{};{}", "({}, {})", "[{}, {}]", "{} {} 3"]
)
def test_two_numbers_in_one_column(text: str) -> None:
    space = [text.format(*place) for place in [(0, 1.5), (-2.5, 1.5), (-2.5, 1e2)]]
    found = read(table(space, "place"), features="dx,dy", values="x,y")
    np.testing.assert_allclose(found.values[0][1:], [[-2.5, 0], [0, 98.5]])
    with pytest.raises(AmbiguousError, match="'place'"):
        read(table(space, "place"))
    any_name = read(table(space, "text"), features="dx,dy", values="x,y")
    np.testing.assert_allclose(any_name.values[0], found.values[0])


@pytest.mark.parametrize("order", ["lat,lon", "lon,lat"])
def test_the_order_of_degrees_is_asked_and_then_taken(order: str) -> None:
    frame = table(["8.1234 7.5", "8.1235 7.5"])
    with pytest.raises(AmbiguousError) as error:
        read(frame)
    assert {"values": order} in [reading.options for reading in error.value.readings]
    found = read(frame, values=order, features="lon,lat")
    want = [[8.1234, 7.5], [8.1235, 7.5]]
    if order == "lat,lon":
        want = [row[::-1] for row in want]
    np.testing.assert_allclose(found.places[0], want)


def test_the_name_of_the_column_states_the_order() -> None:
    for name in ("LatLon", "lat_lng", "latitude/longitude"):
        found = read(table(["10 0", "10.001 0"], name))
        np.testing.assert_allclose(found.places[0], [[0, 10], [0, 10.001]])
    for name in ("LonLat", "lng, lat"):
        found = read(table(["0 10", "0 10.001"], name))
        np.testing.assert_allclose(found.places[0], [[0, 10], [0, 10.001]])


def test_a_number_beyond_90_degrees_is_the_longitude() -> None:
    found = read(table(["47.6205,-122.3493", "47.6206,-122.3493"]))
    np.testing.assert_allclose(found.places[0][0], [-122.3493, 47.6205])
    assert any("values='x,y'" in note for note in found.notes)


@pytest.mark.parametrize(
    "text", ["POINT ({} {})", "point({} {})", "POINT Z ({} {} 400)"]
)
def test_well_known_text_is_a_place_under_any_name(text: str) -> None:
    places = [(8.5417, 47.3769), (8.5418, 47.3769)]
    found = read(table([text.format(*place) for place in places], "where"))
    np.testing.assert_allclose(found.places[0], places)
    assert found.degrees


def test_coarse_well_known_text_is_asked() -> None:
    frame = table(["POINT (1.5 2.5)", "POINT (1.5 3.5)"])
    with pytest.raises(AmbiguousError, match="location"):
        read(frame)
    assert read(frame, values="x,y", features="x,y").values[0][1].tolist() == [0, 1]


def test_coordinates_of_meters_stay_meters() -> None:
    found = read(table(["POINT (2600000 1200000)", "POINT (2600003 1200004)"]))
    assert found.values[0][1].tolist() == [3, 4, 5]


def test_other_coordinate_systems_are_refused() -> None:
    found = read(table(["SRID=4326;POINT(8 47)", "SRID=4326;POINT(8 48)"], "geom"))
    np.testing.assert_allclose(found.places[0], [[8, 47], [8, 48]])
    with pytest.raises(ValueError, match=r"geom.*SRID=3857"):
        read(table(["SRID=3857;POINT(8 47)", "SRID=3857;POINT(8 48)"], "geom"))


def test_a_field_that_is_no_point_is_refused() -> None:
    texts = [f"{k}.1234 120.5" for k in range(30)] + ["home"]
    with pytest.raises(ValueError, match=r"location.*'home'"):
        read(table(texts))


def test_degrees_and_minutes_are_refused_by_name() -> None:
    for text in ("47°12.5'N", "47 12 30 N", "N 47 12.5", "47.21 N", "47:12:30N"):
        with pytest.raises(ValueError, match=r"lat.*decimal degrees"):
            read(pd.DataFrame({"lat": [text] * 2, "lon": [8.0, 8.1]}), strip_units=True)
    with pytest.raises(ValueError, match=r"location.*decimal degrees"):
        read(table(["47°12.5'N 8°30'E", "47°12.6'N 8°30'E"]))


STATION = ["47.6205,-122.3493"] * 3 + ["48.1000,-121.1234"] * 3


def test_the_place_of_a_station_stays_text() -> None:
    for form in ("{}", "POINT ({})"):
        places = [form.format(text.replace(",", " ")) for text in STATION]
        frame = pd.DataFrame({"station": list("aaabbb"), "time": [0, 1, 2] * 2})
        found = read(frame.assign(location=places, v=np.arange(6.0)))
        assert (found.channels, found.places, len(found)) == (["v"], None, 2)


def test_the_place_of_a_row_of_a_wide_table_stays_text() -> None:
    steps = {f"t{k}": np.arange(4.0) ** k for k in range(12)}
    places = [f"47.620{k},-122.3493" for k in range(4)]
    frame = pd.DataFrame({"store": list("abcd"), "location": places, **steps})
    for options in ({}, {"layout": "wide"}):
        found = read(frame, **options)
        assert (found.channels, found.places) == (["value"], None)
        assert found.lengths.tolist() == [12] * 4
    found = read(frame[["location", "t1"]], layout="tracks")
    np.testing.assert_allclose(found.places[0][0], [-122.3493, 47.62])


def test_an_address_is_no_place() -> None:
    frame = table(["12 W 5th St", "100 N Main St"], v=[1.5, 2])
    assert read(frame).channels == ["v"]


def test_points_of_geojson_in_a_field_are_longitude_and_latitude() -> None:
    text = '{{"type": "Point", "coordinates": [{}, {}]}}'
    found = read(table([text.format(8.5, 47.0 + k / 1e3) for k in range(2)], "geom"))
    np.testing.assert_allclose(found.places[0], [[8.5, 47], [8.5, 47.001]])


def test_names_of_places() -> None:
    for name in (
        "location",
        "pickup_location",
        "GPS position",
        "LatLon",
        "geom",
        "wkt",
    ):
        assert is_place_name(name)
    for name in ("volume", "close", "status", "points", "appointment", "wktemp"):
        assert not is_place_name(name)
