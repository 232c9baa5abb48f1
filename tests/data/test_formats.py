"""Files of each format read as written; what is not read is named, with how to convert it."""

import ctypes
import datetime
import gzip
import importlib.util
import json
import pickle
import re
import sqlite3
import zipfile

import garmin_fit_sdk
import h5py
import numpy as np
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyedflib
import pytest
import scipy.io

from temporal_jepa.config import ReadOptions
from temporal_jepa.data import read
from temporal_jepa.data.formats.kinds import identify
from temporal_jepa.data.tables.readings import AmbiguousError

LONG = pd.DataFrame(
    {
        "id": ["a", "a", "b", "b", "b"],
        "time": [0, 1, 0, 1, 2],
        "v": [1.5, 2.5, 3.5, None, 5.5],
        "label": ["up", "up", "down", "down", "down"],
    }
)
UTC = datetime.UTC


def check_long(s):
    assert s.ids == ["a", "b"]
    assert s.channels == ["v"]
    assert s.labels.tolist() == ["up", "down"]
    assert [t.tolist() for t in s.times] == [[0, 1], [0, 1, 2]]
    np.testing.assert_array_equal(s.values[1], [[3.5], [np.nan], [5.5]])


def noted(s, text):
    return any(text in note for note in s.notes)


# Tables: workbooks, JSON, Arrow.


def workbook(path, **sheets):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_workbook(tmp_path):
    with pd.ExcelWriter(tmp_path / "a.xlsx") as writer:
        LONG.to_excel(writer, index=False)
    check_long(read(tmp_path / "a.xlsx"))


def test_workbook_with_dates_and_text_ids(tmp_path):
    when = datetime.datetime
    rows = [
        ["id", "time", "v"],
        ["01", when(2024, 1, 2, 12, 30), 1.5],
        ["01", when(2024, 2, 1, 12, 30), 2],
        ["1", when(2024, 1, 2), None],
        ["1", when(2024, 1, 3), 4],
    ]
    s = read(workbook(tmp_path / "a.xlsx", Data=rows))
    assert s.ids == ["01", "1"]
    assert s.times[0][1] == np.datetime64("2024-02-01T12:30")
    np.testing.assert_array_equal(s.values[1], [[np.nan], [4]])


def test_hours_in_a_workbook(tmp_path):
    hours = pd.date_range("2024-02-01 22:00", periods=4, freq="h")  # over midnight
    rows = [[when.to_pydatetime(), k] for k, when in enumerate(hours)]
    s = read(workbook(tmp_path / "a.xlsx", Data=[["time", "v"], *rows]))
    np.testing.assert_array_equal(s.times[0], hours.to_numpy())


def test_sheets_of_a_workbook_are_chosen(tmp_path):
    one = [["time", "v"], [0, 1.0], [1, 2.0]]
    two = [["time", "v"], [0, 5.0], [1, 7.0]]
    path = workbook(tmp_path / "a.xlsx", Notes=[["made by hand"]], First=one)
    s = read(path)
    assert s.values[0].tolist() == [[1], [2]]
    assert noted(s, "Notes")
    path = workbook(tmp_path / "b.xlsx", First=one, Second=two)
    with pytest.raises(AmbiguousError, match=r"table='First'(?s:.)*table='Second'"):
        read(path)
    assert read(path, table="Second").values[0].tolist() == [[5], [7]]
    with pytest.raises(ValueError, match=r"b\.xlsx.*table='Third'.*First, Second"):
        read(path, table="Third")


def test_json_records_and_lines(tmp_path):
    LONG.to_json(tmp_path / "a.json", orient="records")
    LONG.to_json(tmp_path / "a.jsonl", orient="records", lines=True)
    LONG.to_json(tmp_path / "b.json", orient="records", lines=True)
    LONG.to_json(tmp_path / "c.json", orient="split", index=False)
    LONG.to_json(tmp_path / "d.json")  # columns of objects
    LONG.to_json(tmp_path / "e.json", orient="index")
    LONG.to_json(tmp_path / "f.json", orient="table")
    (tmp_path / "g.json").write_text(
        LONG.astype(object)
        .where(LONG.notna(), None)
        .to_dict("list")
        .__repr__()
        .replace("'", '"')
        .replace("None", "null")
    )
    records = json.loads((tmp_path / "a.json").read_text())
    (tmp_path / "h.json").write_text(json.dumps({"source": "x", "data": records}))
    (tmp_path / "a.json.gz").write_bytes(
        gzip.compress((tmp_path / "a.json").read_bytes())
    )
    for path in tmp_path.iterdir():
        check_long(read(path))


def test_json_with_lists_is_a_series_a_record(tmp_path):
    (tmp_path / "a.jsonl").write_text(
        '{"item_id": "p", "start": "2024-01-01", "target": [1, 2, 3], "cat": [0]}\n'
        '{"item_id": "q", "start": "2024-01-01", "target": [4, null], "cat": [1]}\n'
    )
    s = read(tmp_path / "a.jsonl")
    assert s.ids == ["p", "q"]
    assert s.channels == ["target"]
    np.testing.assert_array_equal(s.values[1], [[4], [np.nan]])
    (tmp_path / "b.json").write_text('{"X": [[1, 2, 3], [4, 5, 7]], "y": ["u", "w"]}')
    s = read(tmp_path / "b.json", label="y")
    assert s.labels.tolist() == ["u", "w"]
    assert s.values[1][:, 0].tolist() == [4, 5, 7]


def test_json_of_one_series_and_of_tables_under_keys(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"id": "p", "time": [0, 10], "flow": [1.5, 2.5]}')
    s = read(path)
    assert s.ids == ["p"]
    assert s.channels == ["flow"]
    assert s.times[0].tolist() == [0, 10]
    hours = {"time": ["2024-01-01T00:00", "2024-01-01T01:00"], "temp": [1.5, 2.5]}
    path.write_text(json.dumps({"latitude": 52.5, "hourly": hours}))
    assert read(path).channels == ["temp"]
    path.write_text(
        json.dumps({"a": {"b": [{"time": 0, "v": 1}, {"time": 1, "v": 3}]}})
    )
    assert read(path, table="a.b").values[0].tolist() == [[1], [3]]
    rows = [{"time": 0, "v": 1}, {"time": 1, "v": 3}]
    path.write_text(json.dumps({"p": rows, "q": rows}))
    with pytest.raises(AmbiguousError, match=r"table='q'(?s:.)*layout='long'"):
        read(path)
    assert read(path, layout="long").ids == ["p", "q"]
    path.write_text('{"p": [1, 2, 3], "q": [4, 5]}')
    assert read(path).ids == ["p", "q"]


def test_json_of_rows_and_of_numbers(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[["time", "v"], [0, 1.5], [1, 2.5]]')
    assert read(path).values[0].tolist() == [[1.5], [2.5]]
    path.write_text("[1.5, 2.5, null]")
    np.testing.assert_array_equal(read(path).values[0][:, 0], [1.5, 2.5, np.nan])
    path.write_text("[[1, 2, 3], [4, 5]]")
    assert read(path).lengths.tolist() == [3, 2]
    path.write_text('{"a": [{"t": 0}], "b": [{"t": 1}]}')
    with pytest.raises(AmbiguousError, match=r"table='a'(?s:.)*table='b'"):
        read(path)
    path.write_text('{"time": [0, 1], "v": [1]}')
    with pytest.raises(ValueError, match=r"a\.json.*time \(2\), v \(1\)"):
        read(path)
    path.write_text('{"time": 0}\n{"time": 1\n')
    with pytest.raises(ValueError, match=r"a\.json.*line 2 is not valid JSON"):
        read(path)
    path.write_text('{"p": {"x": 1}, "q": {"y": 1}}')
    with pytest.raises(ValueError, match=r"read_json"):
        read(path)


def test_feather_and_arrow(tmp_path):
    table = pa.Table.from_pandas(LONG)
    pyarrow.feather.write_feather(LONG, tmp_path / "a.feather")
    with pa.ipc.new_file(tmp_path / "a.arrow", table.schema) as file:
        file.write_table(table)
    with pa.ipc.new_stream(tmp_path / "b.arrow", table.schema) as file:
        file.write_table(table)
    for path in tmp_path.iterdir():
        check_long(read(path))
    (tmp_path / "a.arrow").write_bytes((tmp_path / "a.arrow").read_bytes()[:200])
    with pytest.raises(ValueError, match=r"a\.arrow.*cut short"):
        read(tmp_path / "a.arrow")


# Arrays and signals: HDF5, EDF.


def test_hdf5(tmp_path):
    X = np.random.default_rng(0).normal(size=(4, 2, 9)).astype(np.float32)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data/X"] = X
        file["data/names"] = ["p", "q"]
    s = read(tmp_path / "a.h5")
    np.testing.assert_array_equal(s.values[2], X[2].T)
    assert noted(s, "data/X")
    with h5py.File(tmp_path / "b.hdf5", "w") as file:
        file["X"] = X
        file["y"] = np.array([b"u", b"w", b"u", b"w"])
    assert read(tmp_path / "b.hdf5").labels.tolist() == ["u", "w", "u", "w"]
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["train/values"] = X
        file["test/values"] = X[:2]
    with pytest.raises(AmbiguousError, match=r"table='test/values'"):
        read(tmp_path / "c.h5")
    assert len(read(tmp_path / "c.h5", table="test/values")) == 2
    with pytest.raises(ValueError, match=r"c\.h5.*table='x'.*test/values"):
        read(tmp_path / "c.h5", table="x")


def test_arrays_for_training_and_test_are_chosen(tmp_path):
    X = np.random.default_rng(0).normal(size=(4, 2, 9))
    arrays = {"X_train": X, "y_train": [0, 1, 0, 1], "X_test": X[:2], "y_test": [1, 0]}
    np.savez(tmp_path / "a.npz", **arrays)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, array in arrays.items():
            file[name] = array
    for path in (tmp_path / "a.npz", tmp_path / "a.h5"):
        with pytest.raises(
            AmbiguousError, match=r"table='X_t\w+'(?s:.)*table='X_t\w+'"
        ):
            read(path)
        assert read(path, table="X_test").labels.tolist() == ["1", "0"]


def test_hdf5_of_others_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_group("frame").attrs["pandas_type"] = "frame"
    with pytest.raises(ValueError, match=r"a\.h5.*pandas\.read_hdf"):
        read(tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["x"] = np.ones((2, 3))
        file["x"].attrs["MATLAB_class"] = b"double"
    with pytest.raises(ValueError, match=r"b\.h5.*MATLAB"):
        read(tmp_path / "b.h5")
    (tmp_path / "c.h5").write_bytes((tmp_path / "b.h5").read_bytes()[:300])
    with pytest.raises(ValueError, match=r"c\.h5.*cut short"):
        read(tmp_path / "c.h5")


def write_edf(path, rates, kind=pyedflib.FILETYPE_EDFPLUS):
    """A recording of 2 seconds whose channel k is k + n / 100 at sample n."""
    writer = pyedflib.EdfWriter(str(path), len(rates), file_type=kind)
    writer.setStartdatetime(datetime.datetime(2024, 1, 2, 3, 4, 5))
    for k, rate in enumerate(rates):
        writer.setSignalHeader(
            k,
            {
                "label": f"ch{k}",
                "dimension": "uV",
                "sample_frequency": rate,
                "physical_min": -100.0,
                "physical_max": 100.0,
                "digital_min": -32768,
                "digital_max": 32767,
            },
        )
    writer.writeSamples(
        [k + np.arange(2.0 * rate) / 100 for k, rate in enumerate(rates)]
    )
    if kind == pyedflib.FILETYPE_EDFPLUS:
        writer.writeAnnotation(0.5, 0.1, "blink")
    writer.close()
    return path


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.edf", pyedflib.FILETYPE_EDFPLUS), ("a.bdf", pyedflib.FILETYPE_BDF)],
)
def test_edf(tmp_path, name, kind):
    s = read(write_edf(tmp_path / name, [10, 10], kind))
    assert s.channels == ["ch0", "ch1"]
    expected = np.stack([np.arange(20) / 100, 1 + np.arange(20) / 100], axis=1)
    np.testing.assert_allclose(s.values[0], expected, atol=0.004)
    assert s.times[0][:2].tolist() == [
        np.datetime64("2024-01-02T03:04:05", "ns").item(),
        np.datetime64("2024-01-02T03:04:05.1", "ns").item(),
    ]
    assert read(tmp_path / name, values="ch1").channels == ["ch1"]
    assert read(tmp_path / name, window=5).lengths.tolist() == [5, 5, 5, 5]


def test_edf_that_is_cut_short_is_refused_without_a_word_of_edflib(tmp_path, capfd):
    path = write_edf(tmp_path / "a.edf", [10, 10])
    content = path.read_bytes()
    path.write_bytes(content[:-7])
    with pytest.raises(ValueError, match=rf"a\.edf.*expected {len(content)} bytes, as"):
        read(path)
    ctypes.CDLL(None).fflush(None)  # what C has printed
    assert capfd.readouterr() == ("", "")


def test_edf_of_many_channels_is_recognized(tmp_path):
    path = write_edf(tmp_path / "a.edf", [10] * 20)
    path.rename(tmp_path / "a.dat")
    assert read(tmp_path / "a.dat").n_channels == 20
    path = write_edf(tmp_path / "a.bdf", [10] * 20, pyedflib.FILETYPE_BDF)
    path.rename(tmp_path / "b.dat")
    assert read(tmp_path / "b.dat").n_channels == 20


def test_edf_of_several_rates_is_a_question(tmp_path):
    path = write_edf(tmp_path / "a.edf", [10, 20, 20])
    with pytest.raises(AmbiguousError, match=r"values='ch0'(?s:.)*values='ch1,ch2'"):
        read(path)
    assert read(path, values="ch1,ch2").values[0].shape == (40, 2)
    with pytest.raises(ValueError, match=r"a\.edf.*'ch9'"):
        read(path, values="ch9")
    with pytest.raises(ValueError, match=r"a\.edf.*label="):
        read(path, label="ch0")


# Archives of time series: .arff and .tsf (.ts has tests of its own).

ARFF = """% made
@relation Tiny
@attribute relational relational
  @attribute att0 numeric
  @attribute att1 numeric
  @attribute att2 numeric
@end relational
@attribute activity {Walk,'Run fast'}
@data
'1.0,2.0,3.0\\n4.0,5.0,6.0',Walk
"1.5,?,3.5\\n4.5,5.5,6.5",'Run fast'
"""


def test_arff_of_the_uea_archive(tmp_path):
    path = tmp_path / "a.arff"
    path.write_text(ARFF)
    s = read(path, label="activity")
    assert s.labels.tolist() == ["Walk", "Run fast"]
    assert s.values[0].tolist() == [[1, 4], [2, 5], [3, 6]]
    np.testing.assert_array_equal(s.values[1][1], [np.nan, 5.5])


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ('"dd/MM/yyyy"', "01/02/2024"),
        ("'MM/dd/yyyy HH:mm'", "02/01/2024 00:00"),
        ("yyyyMMdd", "2024-02-01"),
    ],
)
def test_dates_of_arff_are_written_as_the_header_says(tmp_path, form, text):
    path = tmp_path / "a.arff"
    head = f"@relation a\n@attribute t date {form}\n@attribute v numeric\n@data\n"
    path.write_text(head + f'"{text}",1\n"{text.replace("2024", "2025")}",2\n')
    assert read(path).times[0][0] == np.datetime64("2024-02-01")


def test_a_date_of_arff_in_another_format_is_named(tmp_path):
    path = tmp_path / "a.arff"
    head = '@relation a\n@attribute t date "dd/MM/yyyy"\n@attribute v numeric\n@data\n'
    path.write_text(head + '"01/02/2024",1\n"02/13/2024",2\n')
    with pytest.raises(ValueError, match="line 6: '02/13/2024' is not written in"):
        read(path)


def test_arff_of_unequal_lengths(tmp_path):
    path = tmp_path / "a.arff"
    path.write_text(
        ARFF.replace("'1.0,2.0,3.0\\n4.0,5.0,6.0'", "'1.0,2.0,?\\n4.0,5.0,?'")
    )
    assert read(path).lengths.tolist() == [2, 3]


def test_arff_of_the_ucr_archive(tmp_path):
    path = tmp_path / "a.arff"
    path.write_text(
        "@relation x\n@attribute att1 numeric\n@attribute att2 numeric\n@attribute att3 real\n"
        "@attribute att4 real\n@attribute att5 real\n@attribute target {1,2}\n@data\n"
        "1,2,3,4,5,1\n6,5,4,3,?,2\n"
    )
    s = read(path)
    assert s.labels.tolist() == ["1", "2"]
    assert [x[:, 0].tolist() for x in s.values] == [[1, 2, 3, 4, 5], [6, 5, 4, 3]]


def test_numbers_of_nominal_attributes_are_no_values(tmp_path):
    path = tmp_path / "a.arff"
    path.write_text(
        "@relation eeg\n@attribute AF3 numeric\n@attribute F7 numeric\n"
        "@attribute eyes {0,1}\n@data\n1.5,2,0\n2.5,3,0\n3.5,5,1\n"
    )
    assert read(path, layout="recording").channels == ["AF3", "F7"]


def test_bad_arff(tmp_path):
    path = tmp_path / "a.arff"
    path.write_text(
        "@relation x\n@attribute a numeric\n@attribute b numeric\n@data\n{0 1}\n"
    )
    with pytest.raises(ValueError, match=r"a\.arff.*line 5: sparse"):
        read(path)
    path.write_text(
        "@relation x\n@attribute a numeric\n@attribute b numeric\n@data\n1\n"
    )
    with pytest.raises(ValueError, match=r"a\.arff.*line 5: expected 2 values"):
        read(path)
    path.write_text("@relation x\n@attribute a numeric\n@data\n1\nx\n")
    with pytest.raises(ValueError, match=r"a\.arff.*line 5: expected a number.*'x'"):
        read(path)


TSF = """# Tiny
@relation tiny
@attribute series_name string
@attribute state string
@attribute start_timestamp date
@frequency {frequency}
@horizon 2
@missing true
@equallength false
@data
T1:NSW:2024-01-31 00-00-00:1,2.5,?
T2:VIC:2023-12-01 06-30-00:4,5
"""


@pytest.mark.parametrize(
    ("frequency", "times"),
    [
        ("monthly", ["2024-01-31", "2024-02-29", "2024-03-31"]),
        ("quarterly", ["2024-01-31", "2024-04-30", "2024-07-31"]),
        ("yearly", ["2024-01-31", "2025-01-31", "2026-01-31"]),
        ("weekly", ["2024-01-31", "2024-02-07", "2024-02-14"]),
        ("half_hourly", ["2024-01-31T00:00", "2024-01-31T00:30", "2024-01-31T01:00"]),
        ("10_minutes", ["2024-01-31T00:00", "2024-01-31T00:10", "2024-01-31T00:20"]),
        ("4_seconds", ["2024-01-31", "2024-01-31T00:00:04", "2024-01-31T00:00:08"]),
    ],
)
def test_tsf(tmp_path, frequency, times):
    path = tmp_path / "a.tsf"
    path.write_text(TSF.format(frequency=frequency))
    s = read(path)
    assert s.ids == ["T1", "T2"]
    np.testing.assert_array_equal(s.values[0][:, 0], [1, 2.5, np.nan])
    assert s.lengths.tolist() == [3, 2]
    np.testing.assert_array_equal(s.times[0], np.array(times, "datetime64[s]"))
    assert s.times[1][0] == np.datetime64("2023-12-01T06:30")
    assert noted(s, "state")
    assert read(path, label="state").labels.tolist() == ["NSW", "VIC"]


def test_bad_tsf(tmp_path):
    path = tmp_path / "a.tsf"
    path.write_text(TSF.format(frequency="sometimes"))
    with pytest.raises(ValueError, match=r"a\.tsf.*@frequency 'sometimes'"):
        read(path)
    path.write_text(TSF.format(frequency="daily").replace("T2:", ""))
    with pytest.raises(ValueError, match=r"a\.tsf.*line 12"):
        read(path)


# Tracks: KML, TCX, FIT.


def test_kml(tmp_path):
    path = tmp_path / "a.kml"
    path.write_text(
        '<kml xmlns="http://www.opengis.net/kml/2.2" '
        'xmlns:gx="http://www.google.com/kml/ext/2.2"><Document>'
        "<Placemark><name>run</name><gx:Track>"
        "<when>2024-05-01T08:00:00Z</when><when>2024-05-01T08:00:10Z</when>"
        "<gx:coord>8 47 400</gx:coord><gx:coord>8.001 47 401</gx:coord>"
        "</gx:Track></Placemark></Document></kml>"
    )
    s = read(path)
    assert s.ids == ["1 run"]
    np.testing.assert_allclose(s.places[0], [[8, 47], [8.001, 47]])
    assert s.times[0][1] == np.datetime64("2024-05-01T08:00:10")
    assert s.channels == ["dx", "dy", "speed"]
    path.write_text(
        "<kml><Placemark><LineString><coordinates>\n8,47,0 8,47.001,0\n8,47.003\n"
        "</coordinates></LineString></Placemark></kml>"
    )
    s = read(path)
    assert s.places[0].tolist() == [[8, 47], [8, 47.001], [8, 47.003]]
    assert s.times is None
    path.write_text("<!DOCTYPE x><kml/>")
    with pytest.raises(ValueError, match=r"a\.kml.*DOCTYPE"):
        read(path)


def test_tcx(tmp_path):
    def point(second, lat, rate):
        return (
            f"<Trackpoint><Time>2024-05-01T08:00:{second}Z</Time><Position>"
            f"<LatitudeDegrees>{lat}</LatitudeDegrees><LongitudeDegrees>8</LongitudeDegrees>"
            f"</Position><AltitudeMeters>400</AltitudeMeters><HeartRateBpm><Value>{rate}</Value>"
            f"</HeartRateBpm><Extensions><TPX><Watts>{rate + 50}</Watts></TPX></Extensions>"
            "</Trackpoint>"
        )

    path = tmp_path / "a.tcx"
    path.write_text(
        "<TrainingCenterDatabase><Activities><Activity Sport='Running'><Id>morning</Id><Lap>"
        "<AverageHeartRateBpm><Value>99</Value></AverageHeartRateBpm><Track>"
        + point("00", 47, 90)
        + point("10", 47.001, 95)
        + "</Track></Lap></Activity></Activities></TrainingCenterDatabase>"
    )
    s = read(path, values="heart_rate,Watts")
    assert s.ids == ["1 morning"]
    assert s.labels.tolist() == ["Running"]
    assert s.places[0].tolist() == [[8, 47], [8, 47.001]]
    assert s.channels == ["dx", "dy", "speed", "heart_rate", "Watts"]
    assert s.values[0][:, 3:].tolist() == [[90, 140], [95, 145]]


def write_fit(path, placed=True):
    encoder = garmin_fit_sdk.Encoder()
    start = datetime.datetime(2024, 5, 1, 8, tzinfo=UTC)
    numbers = garmin_fit_sdk.Profile["mesg_num"]
    encoder.write_mesg(
        {"mesg_num": numbers["FILE_ID"], "type": "activity", "time_created": start}
    )
    for k in range(3):
        record = {
            "mesg_num": numbers["RECORD"],
            "timestamp": start + datetime.timedelta(seconds=10 * k),
            "heart_rate": 90 + k,
        }
        if placed:
            record["position_lat"] = int((47 + k / 1000) * 2**31 / 180)
            record["position_long"] = int(8 * 2**31 / 180)
        encoder.write_mesg(record)
    encoder.write_mesg(
        {
            "mesg_num": numbers["SESSION"],
            "timestamp": start + datetime.timedelta(seconds=30),
            "start_time": start,
            "sport": "running",
        }
    )
    path.write_bytes(encoder.close())
    return path


def test_fit(tmp_path):
    s = read(write_fit(tmp_path / "a.fit"), values="heart_rate")
    np.testing.assert_allclose(
        s.places[0], [[8, 47], [8, 47.001], [8, 47.002]], atol=1e-6
    )
    assert s.times[0][2] == np.datetime64("2024-05-01T08:00:20")
    assert s.values[0][:, 3].tolist() == [90, 91, 92]
    assert s.labels.tolist() == ["running"]
    s = read(write_fit(tmp_path / "b.fit", placed=False))
    assert s.channels == ["heart_rate"]
    assert s.values[0][:, 0].tolist() == [90, 91, 92]
    (tmp_path / "a.fit").write_bytes((tmp_path / "a.fit").read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"a\.fit.*cut short"):
        read(tmp_path / "a.fit")


# Names and contents.


@pytest.mark.parametrize("name", ["a.csv", "a", "a.txt"])
def test_content_counts_more_than_the_name(tmp_path, name):
    path = tmp_path / name
    LONG.to_parquet(path)
    check_long(read(path))
    assert noted(read(path), ".parquet")
    path.write_text(LONG.to_json(orient="records"))
    check_long(read(path))
    with pd.ExcelWriter(tmp_path / "b.xlsx") as writer:
        LONG.to_excel(writer, index=False)
    path.write_bytes((tmp_path / "b.xlsx").read_bytes())
    check_long(read(path))
    path.write_text(ARFF)
    assert read(path, label="activity").labels.tolist() == ["Walk", "Run fast"]
    path.write_text(TSF.format(frequency="daily"))
    assert read(path).ids == ["T1", "T2"]
    np.save(tmp_path / "c.npy", np.arange(12.0).reshape(2, 6))
    path.write_bytes((tmp_path / "c.npy").read_bytes())
    assert read(path).values[1][:, 0].tolist() == [6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize("name", ["PARENT_ID", "PAR1", "ORCID", "FEA1", "GRIB", "RDX2"])
def test_names_of_columns_are_no_magic_bytes(tmp_path, name):
    path = tmp_path / "a.csv"
    path.write_text(f"{name},time,v\n1,0,2.5\n1,1,3.5\n")
    assert identify(path, ReadOptions(), []) == ".csv"


def test_a_list_in_the_first_field_makes_no_json(tmp_path):
    path = tmp_path / "a.tsv"
    path.write_text("[[8.0,47.0],[8.1,47.1]]\ta\n[[8.0,47.0],[8.1,47.1]]\tb\n")
    assert identify(path, ReadOptions(), []) == ".tsv"


def test_a_table_of_zeros_is_no_edf(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("0       1.5\n1       2.5\n2       4.5\n" * 20)
    assert identify(path, ReadOptions(), []) == ".csv"


def sqlite_file(path):
    with sqlite3.connect(path) as connection:
        connection.execute("create table a (x)")
    connection.close()


REFUSED = {
    "a.pkl": (lambda path: path.write_bytes(pickle.dumps([1, 2])), "read_pickle"),
    "a.mat": (
        lambda path: scipy.io.savemat(path, {"X": np.eye(3)}),
        "scipy.io.loadmat",
    ),
    "a.db": (sqlite_file, "read_sql"),
    "a.nc": (lambda path: path.write_bytes(b"CDF\x01" + bytes(100)), "open_dataset"),
    "a.xls": (lambda path: path.write_bytes(bytes.fromhex("d0cf11e0a1b11ae1")), "xlsx"),
    "a.dta": (lambda path: LONG.to_stata(path), "read_stata"),
    "a.rds": (
        lambda path: path.write_bytes(gzip.compress(b"X\n\0\0\0\3")),
        "write.csv",
    ),
    "a.7z": (lambda path: path.write_bytes(b"7z\xbc\xaf\x27\x1c\0"), "unpack"),
    "a.html": (
        lambda path: path.write_text("<!DOCTYPE html><html></html>"),
        "download",
    ),
    "a.wav": (lambda path: path.write_bytes(b"RIFF\0\0\0\0WAVEfmt "), "soundfile"),
    "a.tar": (lambda path: path.write_bytes(bytes(257) + b"ustar\x0000"), "unpack"),
    "a.lfs": (
        lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"),
        "git lfs pull",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_read_is_refused_with_how_to_convert_it(tmp_path, name):
    write, advice = REFUSED[name]
    write(tmp_path / name)
    with pytest.raises(ValueError, match=rf"{name}.*{advice}"):
        read(tmp_path / name)
    (tmp_path / name).rename(tmp_path / "b.csv")  # the content is recognized
    with pytest.raises(ValueError, match=rf"b\.csv.*{advice}"):
        read(tmp_path / "b.csv")


def test_text_named_xls_is_renamed_by_the_user(tmp_path):
    (tmp_path / "a.xls").write_text("time\tv\n0\t1.5\n1\t2.5\n")
    with pytest.raises(ValueError, match=r"a\.xls.*text.*\.csv"):
        read(tmp_path / "a.xls")


def test_archives_in_archives_are_unpacked_by_the_user(tmp_path):
    LONG.to_parquet(tmp_path / "a.parquet")
    packed = gzip.compress((tmp_path / "a.parquet").read_bytes())
    (tmp_path / "a.parquet.gz").write_bytes(packed)
    with pytest.raises(ValueError, match=r"a\.parquet\.gz.*unpack"):
        read(tmp_path / "a.parquet.gz")


def test_a_zip_named_csv_is_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.csv", "w") as archive:
        archive.writestr("b.csv", LONG.to_csv(index=False))
    check_long(read(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    ("package", "extra", "name"),
    [
        ("openpyxl", "excel", "a.xlsx"),
        ("h5py", "hdf5", "a.h5"),
        ("pyedflib", "signals", "a.edf"),
        ("garmin_fit_sdk", "fit", "a.fit"),
        ("pyarrow", "parquet", "a.feather"),
    ],
)
def test_a_missing_extra_is_named(tmp_path, monkeypatch, package, extra, name):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda n: None if n == package else find(n)
    )
    (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModuleNotFoundError, match=rf"temporal-jepa\[{extra}\]"):
        read(tmp_path / name)


# Folders of parts.


def halves(folder, names, write, frame=LONG):
    folder.mkdir(parents=True, exist_ok=True)
    for k, name in enumerate(names):
        part = frame.iloc[2 * k : 2 * k + 2]
        write(part, folder / name)


def test_parts_of_spark_and_dask_are_one_table(tmp_path):
    names = ["part-00000-x.csv", "part-00001-x.csv", "part-00002-x.csv"]
    halves(tmp_path / "a", names, lambda part, path: part.to_csv(path, index=False))
    (tmp_path / "a" / "_SUCCESS").touch()
    check_long(read(tmp_path / "a"))
    assert noted(read(tmp_path / "a"), "layout='folder'")
    names = ["part.0.parquet", "part.1.parquet", "part.2.parquet"]
    halves(tmp_path / "b", names, lambda part, path: part.to_parquet(path))
    (tmp_path / "b" / "_metadata").touch()
    check_long(read(tmp_path / "b"))
    assert read(tmp_path / "b", layout="recording", time="").lengths.tolist() == [5]


def test_parts_are_in_the_order_of_their_numbers(tmp_path):
    for k in range(11):
        (tmp_path / f"part-{k}.csv").write_text(f"v,w\n{k},{k * k}\n")
    assert read(tmp_path).values[0][:, 0].tolist() == list(range(11))


def test_wide_tables_in_a_folder_are_wide(tmp_path):
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text("subject,t0,t1,t2\np,1,2,4\nq,4,5,7\n")
    s = read(tmp_path)
    assert s.ids == ["a.csv:p", "a.csv:q", "b.csv:p", "b.csv:q"]
    assert s.values[1][:, 0].tolist() == [4, 5, 7]
    assert read(tmp_path, layout="recording").ids == ["a.csv", "b.csv"]


def test_numbered_columns_in_a_folder_are_a_question(tmp_path):
    names = ",".join(f"V_{k}" for k in range(20))
    for name in ("a.csv", "b.csv"):
        rows = [",".join(f"{k + r}.5" for k in range(20)) for r in range(4)]
        (tmp_path / name).write_text("\n".join([names, *rows, ""]))
    with pytest.raises(AmbiguousError, match=r"layout='recording'") as error:
        read(tmp_path)
    assert "layout='wide'" in str(error.value)
    assert read(tmp_path, layout="recording").lengths.tolist() == [4, 4]
    assert len(read(tmp_path, layout="wide")) == 8


def test_the_same_first_line_of_parts_is_a_header_or_data(tmp_path):
    (tmp_path / "part-0.csv").write_text("1,5\n1,6\n")
    (tmp_path / "part-1.csv").write_text("1,5\n3,7\n")
    with pytest.raises(AmbiguousError, match=r"header=1(?s:.)*header=0"):
        read(tmp_path, layout="recording")
    s = read(tmp_path, layout="recording", header=0)
    assert s.values[0].tolist() == [[1, 5], [1, 6], [1, 5], [3, 7]]


def test_parts_without_a_header(tmp_path):
    rows = ["1,5\n2,6\n", "3,7\n4,9\n"]
    for k, text in enumerate(rows):
        (tmp_path / f"part-0000{k}.csv").write_text(text)
    (tmp_path / "part-00002.csv").touch()  # Spark writes empty parts
    s = read(tmp_path, layout="recording")
    assert s.values[0].tolist() == [[1, 5], [2, 6], [3, 7], [4, 9]]


def test_hive_folders_are_columns(tmp_path):
    for year in (2023, 2024):
        folder = tmp_path / "root" / f"machine=m{year}"
        halves(folder, ["0.parquet"], lambda part, path: part.to_parquet(path))
    s = read(tmp_path / "root", id="machine", label="")
    assert s.ids == ["m2023", "m2024"]
    assert s.lengths.tolist() == [2, 2]


def test_parts_of_other_columns_are_refused(tmp_path):
    pd.DataFrame({"a": [1, 2], "b": [3, 4]}).to_parquet(tmp_path / "part-0.parquet")
    pd.DataFrame({"a": [1, 2], "c": [3, 4]}).to_parquet(tmp_path / "part-1.parquet")
    with pytest.raises(ValueError, match=r"part-1\.parquet.*a, b.*a, c"):
        read(tmp_path)
    pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}).to_parquet(tmp_path / "part-1.parquet")
    with pytest.raises(ValueError, match=r"'b' holds numbers in part-0\.parquet"):
        read(tmp_path)


def test_files_that_share_ids_are_one_table_or_many(tmp_path):
    names = ["jan.csv", "feb.csv"]
    frame = LONG.assign(time=range(5)).drop(columns="label")
    frame = pd.concat([frame, frame.assign(time=frame["time"] + 5)])
    for k, name in enumerate(names):
        frame.iloc[5 * k : 5 * k + 5].to_csv(tmp_path / name, index=False)
    with pytest.raises(AmbiguousError, match=r"layout='long'(?s:.)*layout='folder'"):
        read(tmp_path)
    s = read(tmp_path, layout="long")
    assert s.ids == ["a", "b"]
    assert s.lengths.tolist() == [4, 6]
    s = read(tmp_path, layout="folder")
    assert s.ids == ["feb.csv:a", "feb.csv:b", "jan.csv:a", "jan.csv:b"]


def test_files_of_other_ids_are_series_of_their_own(tmp_path):
    LONG[LONG["id"] == "a"].to_csv(tmp_path / "1.csv", index=False)
    LONG[LONG["id"] == "b"].to_csv(tmp_path / "2.csv", index=False)
    s = read(tmp_path)
    assert s.ids == ["1.csv", "2.csv"]
    assert s.labels.tolist() == ["up", "down"]


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".xlsx", ".npz", ".h5"])
def test_files_with_flipped_bits_are_read_or_refused_by_name(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    frame = pd.DataFrame({"time": range(50), "v": np.arange(50) ** 0.5})
    if suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["X"] = np.ones((5, 1, 30))
    elif suffix == ".npz":
        np.savez_compressed(path, X=np.arange(150.0).reshape(5, 1, 30))
    elif suffix == ".xlsx":
        frame.to_excel(path, index=False)
    else:
        getattr(frame, f"to_{suffix[1:]}")(path)
    content = path.read_bytes()
    random = np.random.default_rng(0)
    errors = []
    for _ in range(40):
        flipped = bytearray(content)
        for place in random.integers(len(content), size=4):
            flipped[place] ^= 1 << random.integers(8)
        path.write_bytes(flipped)
        try:
            read(path)
        except ValueError as error:
            errors.append(str(error))
    assert errors
    assert all(error.startswith(str(path)) for error in errors)


@pytest.mark.parametrize("kind", ["complex128", "<U3", "datetime64[s]"])
def test_arrays_of_no_numbers_are_named_with_their_type(tmp_path, kind):
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((3, 4), dtype=kind))
    with pytest.raises(ValueError, match=rf"X \({re.escape(kind)}\)"):
        read(path)


def test_part_files_with_other_headers_are_refused(tmp_path):
    for k, years in enumerate(("2019,2020", "2021,2022")):
        text = f"country,{years}\nA,1,2\nB,3,4\n"
        (tmp_path / f"part-{k}.csv").write_text(text)
    with pytest.raises(ValueError, match=r"'country'.*layout='folder'"):
        read(tmp_path)


def test_rows_of_arff_that_end_with_a_class_are_a_question(tmp_path):
    path = tmp_path / "a.arff"
    path.write_text(
        "@relation r\n@attribute a numeric\n@attribute b numeric\n@attribute kind {u,v}\n"
        "@data\n1.5,2.5,u\n2.5,3.5,v\n1.5,1.25,u\n"
    )
    with pytest.raises(AmbiguousError) as caught:
        read(path)
    wide, recording = (dict(reading.options) for reading in caught.value.readings)
    assert read(path, **wide).labels.tolist() == ["u", "v", "u"]
    assert read(path, **recording).lengths.tolist() == [3]
