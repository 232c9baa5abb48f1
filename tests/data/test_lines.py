"""Tables with a whole track in each row."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from temporal_jepa.data import read
from temporal_jepa.data.tables.readings import AmbiguousError

TAXI = [
    [[-8.618643, 41.141412], [-8.618499, 41.141376], [-8.620326, 41.14251]],
    [],
    [[-8.612964, 41.140359], [-8.613378, 41.14035]],
]


def taxis(path: Path) -> Path:
    frame = pd.DataFrame(
        {
            "TRIP_ID": [1372636858620000589, 1372637303620000596, 1372636951620000320],
            "CALL_TYPE": ["C", "B", "C"],
            "TIMESTAMP": [1372636858, 1372637303, 1372636951],
            "MISSING_DATA": [False, False, False],
            "POLYLINE": [str(line) for line in TAXI],
        }
    )
    frame.to_csv(path, index=False)
    return path


def test_lists_of_places_are_tracks_and_their_order_is_asked(tmp_path: Path) -> None:
    path = taxis(tmp_path / "porto.csv")
    with pytest.raises(AmbiguousError, match=r"porto\.csv.*POLYLINE") as error:
        read(path)
    chosen = [reading.options["values"] for reading in error.value.readings]
    assert chosen == ["lat,lon", "lon,lat", "x,y"]
    found = read(path, values="lon,lat")
    assert found.ids == ["1372636858620000589", "1372636951620000320"]
    assert found.times is None
    np.testing.assert_allclose(found.places[0], TAXI[0])
    np.testing.assert_allclose(found.places[1], TAXI[2])
    assert any("TIMESTAMP" in note for note in found.notes)
    assert read(path, values="lon,lat", label="CALL_TYPE").labels.tolist() == ["C", "C"]


@pytest.mark.parametrize("form", ["LINESTRING ({})", "SRID=4326;LineString Z ({})"])
def test_well_known_text(form: str) -> None:
    more = " 400" if "Z" in form else ""
    lines = [
        form.format(", ".join(f"{lon} {lat}{more}" for lon, lat in line))
        for line in (TAXI[0], TAXI[2])
    ]
    frame = pd.DataFrame({"name": ["a", "b"], "where": lines, "class": ["x", "y"]})
    found = read(frame)
    assert found.ids == ["a", "b"]
    assert found.labels.tolist() == ["x", "y"]
    assert found.degrees
    np.testing.assert_allclose(found.places[0], TAXI[0])
    assert any("layout=" in note for note in found.notes)


def test_a_number_beyond_90_degrees_is_the_longitude() -> None:
    lines = [[[47.6205, -122.3493], [47.6206, -122.3494]]] * 2
    found = read(pd.DataFrame({"route": lines}))
    np.testing.assert_allclose(found.places[1], np.array(lines[1])[:, ::-1])
    assert found.ids == ["0", "1"]


def test_meters(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text('id,geom\n7,"LINESTRING (2600000 1200000, 2600003 1200004)"\n')
    found = read(path)
    assert found.values[0][1].tolist() == [3, 4]
    assert found.ids == ["7"]


def test_what_is_not_read_is_refused_by_name() -> None:
    encoded = pd.DataFrame({"summary_polyline": ["_p~iF~ps|U_ulLnnqC_mqNvxq`@"] * 2})
    with pytest.raises(ValueError, match=r"summary_polyline.*polyline\.decode"):
        read(encoded)
    other = pd.DataFrame({"geom": ["SRID=3857;LINESTRING (1 2, 3 4)"] * 2})
    with pytest.raises(ValueError, match=r"geom.*SRID=3857"):
        read(other)
    broken = pd.DataFrame({"path": ["[[1.5, 2.5], [3.5"] * 2})
    with pytest.raises(ValueError, match=r"places.*'path'"):
        read(broken, values="lon,lat")


LINE = "LINESTRING (8.5111 47.1, 8.6 47.2)"


def test_lines_beside_a_series_are_asked() -> None:
    steps = {f"t{k}": np.arange(4.0) ** k for k in range(12)}
    frame = pd.DataFrame({"road": list("abcd"), **steps})
    frame["geom"] = [LINE.replace("47.2", f"47.{k}2") for k in range(4)]
    with pytest.raises(AmbiguousError, match="geom") as error:
        read(frame)
    chosen = [reading.options["layout"] for reading in error.value.readings]
    assert chosen == ["tracks", "wide"]
    assert read(frame, layout="tracks").lengths.tolist() == [2] * 4
    assert read(frame, layout="wide").lengths.tolist() == [12] * 4


def test_a_line_of_many_timesteps_is_no_track() -> None:
    frame = pd.DataFrame({"road": list("aaabbb"), "time": [0, 1, 2] * 2})
    frame = frame.assign(geom=LINE, cars=np.arange(6.0))
    found = read(frame, id="road")
    assert (found.channels, found.lengths.tolist()) == (["cars"], [3, 3])


def test_lists_under_other_names_are_no_tracks() -> None:
    lines = [[[1.5, 2.5], [3.5, 4.5]]] * 3
    with pytest.raises(ValueError, match="signal"):
        read(pd.DataFrame({"signal": lines}))
    frame = pd.DataFrame({"id": [1, 1], "lon": [8, 8.1], "lat": 47.0})
    frame["geometry"] = "LINESTRING (1 2, 3 4)"
    assert read(frame, layout="tracks").lengths.tolist() == [2]


ROUTE = "LINESTRING (8.53811 47.37124, 8.53922 47.37236, 8.54033 47.37348)"
WHOLE = {
    "line": pd.DataFrame(
        {
            "name": ["a", "b"],
            "run": [1, 2],
            "line": [ROUTE, ROUTE.replace("47.371", "47.372")],
        }
    ),
    "list": pd.DataFrame(
        {"name": ["a", "b"], "run": [1, 2], "v": [[0.5, 0.1, 0.9, 0.3]] * 2}
    ),
}


@pytest.mark.parametrize("cell", ["line", "list"])
@pytest.mark.parametrize("option", ["id", "label"])
def test_an_option_for_a_column_that_does_not_exist(cell, option):
    with pytest.raises(ValueError, match=f"{option} names a column 'nope' that does"):
        read(WHOLE[cell], **{option: "nope"})


@pytest.mark.parametrize("cell", ["line", "list"])
def test_two_columns_name_rows_of_whole_series(cell):
    assert read(WHOLE[cell], id="name,run").ids == ["a 1", "b 2"]


@pytest.mark.parametrize("cell", ["line", "list"])
def test_no_id_means_that_rows_are_numbered(cell):
    assert read(WHOLE[cell], id="").ids == ["0", "1"]
