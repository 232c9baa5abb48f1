"""Files from public bug reports: each is read as what it says, or an error names the choice.

The kinds are those of a list of faults; the files here are others of the same kinds.
"""

import gzip
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from temporal_jepa.data import Sequences, read
from temporal_jepa.data.tables.readings import AmbiguousError


@pytest.fixture
def read_text(tmp_path: Path):
    """Write a text and read it."""

    def _read(text: str | bytes, name: str = "a.csv", **options: object) -> Sequences:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read(path, **options)

    return _read


def column(found: Sequences, channel: str, series: int = 0) -> list[float]:
    return found.values[series][:, found.channels.index(channel)].tolist()


def moments(found: Sequences, series: int = 0) -> list[str]:
    assert found.times is not None
    return found.times[series].astype("datetime64[s]").astype(str).tolist()


def offered(error: AmbiguousError) -> list[dict[str, object]]:
    return [dict(reading.options) for reading in error.readings]


def read_or_choose(
    reader: Callable[..., Sequences], data: object, **choice: object
) -> Sequences:
    """What is read without an option or, if that is a question, with the option it offers."""
    try:
        return reader(data)
    except AmbiguousError as error:
        if choice not in offered(error):
            raise
    return reader(data, **choice)


# Numbers with separators


def test_thousands_in_quotes_are_numbers_when_a_column_has_a_decimal_point(read_text):
    rows = "".join(f'2024-03-0{k},{k}.25,"{k},50{k}"\n' for k in range(1, 6))
    found = read_text("date,close,volume\n" + rows)
    assert found.channels == ["close", "volume"]
    assert column(found, "volume") == [1501, 2502, 3503, 4504, 5505]


def test_thousands_alone_are_numbers_or_a_question(read_text):
    text = "date,close,volume\n" + "".join(
        f'2024-03-0{k},10{k},"{k},23{k}"\n' for k in range(1, 6)
    )
    found = read_or_choose(read_text, text, decimal=".")
    assert column(found, "volume") == [1231, 2232, 3233, 4234, 5235]


@pytest.mark.parametrize("separator", [" ", "\u202f", "\xa0", "'", "\u2019", "."])
def test_thousands_beside_a_decimal_comma(read_text, separator):
    text = f"time;power\n0;1{separator}234,5\n1;12{separator}345,25\n2;999,75\n"
    found = read_text(text)
    assert column(found, "power") == [1234.5, 12345.25, 999.75]


def test_each_column_has_its_own_decimal_mark(read_text):
    rows = "".join(f"{k};{20 + k},{k};1.{k}\n" for k in range(1, 5))
    found = read_text("time;temp;version\n" + rows)
    np.testing.assert_allclose(
        column(found, "temp"), [21.1, 22.2, 23.3, 24.4], rtol=1e-6
    )
    np.testing.assert_allclose(
        column(found, "version"), [1.1, 1.2, 1.3, 1.4], rtol=1e-6
    )


def test_three_digits_after_a_mark_are_a_question(read_text):
    with pytest.raises(AmbiguousError) as caught:
        read_text("time;v\n0;1.231\n1;1.232\n2;1.233\n")
    assert {"decimal": "."} in offered(caught.value)
    assert {"decimal": ","} in offered(caught.value)
    found = read_text("time;v\n0;1.231\n1;1.232\n2;1.233\n", decimal=",")
    assert column(found, "v") == [1231, 1232, 1233]


@pytest.mark.parametrize("form", ["{} %", "${}", "{} kg"])
def test_units_are_refused_by_name_or_stripped(read_text, form):
    text = "time,v\n" + "".join(f"{k},{form.format(k + 0.5)}\n" for k in range(4))
    with pytest.raises(ValueError, match=r"(?s)'v'.*strip_units"):
        read_text(text)
    assert column(read_text(text, strip_units=True), "v") == [0.5, 1.5, 2.5, 3.5]


# Wide tables


HEADS = {
    "iso": ["2015-07-30", "2015-07-31", "2015-08-01", "2015-08-02", "2015-08-03"],
    "m/d/yy": ["1/30/20", "1/31/20", "2/1/20", "2/2/20", "2/3/20"],
    "yyyymmdd": ["20150730", "20150731", "20150801", "20150802", "20150803"],
    "yyyy-mm": ["2015-10", "2015-11", "2015-12", "2016-01", "2016-02"],
    "R": ["X2015.07.30", "X2015.07.31", "X2015.08.01", "X2015.08.02", "X2015.08.03"],
    "months": ["Oct 2015", "Nov 2015", "Dec 2015", "Jan 2016", "Feb 2016"],
    "years": ["1990", "1991", "1992", "1993", "1994"],
    "hours": ["00:00", "01:00", "02:00", "03:00", "04:00"],
    "stamps": [f"2015-07-30 0{k}:00:00" for k in range(5)],
}


@pytest.mark.parametrize("kind", HEADS)
def test_columns_that_are_times_are_time(read_text, kind):
    head = ",".join(HEADS[kind])
    found = read_text(f"page,{head}\nHome,1,2,3,4,5\nNews,6,5,4,3,2\nHelp,1,1,2,2,9\n")
    assert len(found) == 3
    assert found.n_channels == 1
    assert [x[:, 0].tolist() for x in found.values[:2]] == [
        [1, 2, 3, 4, 5],
        [6, 5, 4, 3, 2],
    ]
    assert found.ids == ["Home", "News", "Help"]


def test_columns_of_times_are_put_in_order(read_text):
    found = read_text(
        "id,2024-03-02,2024-02-28,2024-03-01\na,3,1,2\nb,30,10,20\nc,5,4,3\n"
    )
    assert [x[:, 0].tolist() for x in found.values] == [
        [1, 2, 3],
        [10, 20, 30],
        [4, 3, 5],
    ]


def test_a_label_in_the_last_column_is_no_timestep(read_text):
    text = "id,t0,t1,t2,class\na,1,2,3,0\nb,3,2,1,1\nc,4,4,4,0\n"
    found = read_text(text)
    assert found.lengths.tolist() == [3, 3, 3]
    assert found.labels.tolist() == ["0", "1", "0"]


def test_places_beside_columns_of_dates_are_no_timesteps(read_text):
    text = (
        "Province/State,Country/Region,Lat,Long,1/22/20,1/23/20,1/24/20\n"
        ",Chad,15.45,18.73,0,1,2\nHubei,China,30.97,112.27,444,445,549\n"
        "Anhui,China,31.82,117.22,1,9,15\n"
    )
    found = read_text(text)
    assert [x[:, 0].tolist() for x in found.values] == [
        [0, 1, 2],
        [444, 445, 549],
        [1, 9, 15],
    ]


def test_title_lines_and_an_empty_last_column(read_text):
    text = (
        '"Data Source","Development Indicators",\n\n"Last Updated","2024-03-28",\n\n'
        '"Country Name","Code","1990","1991","1992","1993",\n'
        '"Chad","TCD","1.5","2.5","3.5","4.5",\n"Fiji","FJI","5.5","6.5","","8.5",\n'
        '"Mali","MLI","1.0","1.5","2.0","2.5",\n'
    )
    found = read_text(text)
    assert len(found) == 3
    assert found.values[0][:, 0].tolist() == [1.5, 2.5, 3.5, 4.5]
    assert np.isnan(found.values[1][2, 0])


def test_repeated_subjects_of_a_wide_table_are_not_lost(read_text):
    text = "subject,trial,t0,t1,t2\na,1,1,2,3\na,2,4,5,6\nb,1,7,8,9\nb,2,3,2,1\n"
    found = read_or_choose(read_text, text, layout="wide")
    assert [x[:, 0].tolist() for x in found.values] == [
        [1, 2, 3],
        [4, 5, 6],
        [7, 8, 9],
        [3, 2, 1],
    ]


# Times


@pytest.mark.parametrize("mark", ["/", "-"])
@pytest.mark.parametrize("year", ["24", "2024"])
def test_one_day_above_12_settles_a_whole_column(read_text, mark, year):
    days = [mark.join((f"{day}", "01", year)) for day in (11, 12, 13, 14)]
    found = read_text(
        "time,v\n" + "".join(f"{d},{k}\n" for k, d in enumerate(days, 11))
    )
    assert column(found, "v") == [11, 12, 13, 14]
    assert [m[:10] for m in moments(found)] == [f"2024-01-{d}" for d in range(11, 15)]


def test_dots_mean_day_first(read_text):
    days = "".join(f"0{k}.03.2024,{k}\n" for k in range(1, 5))
    found = read_text("time,v\n" + days)
    assert [m[:10] for m in moments(found)] == [f"2024-03-0{k}" for k in range(1, 5)]


def test_day_and_month_that_nothing_tells_apart_are_a_question(read_text):
    text = "time,v\n01/02/2024,1\n02/02/2024,2\n03/02/2024,3\n"
    with pytest.raises(AmbiguousError) as caught:
        read_text(text)
    assert {option["date_order"] for option in offered(caught.value)} >= {"dmy", "mdy"}
    found = read_text(text, date_order="dmy")
    assert moments(found)[2][:10] == "2024-02-03"


def test_date_and_time_in_two_columns_are_one_time(read_text):
    rows = [
        f"a,2024-05-0{day},0{hour}:00:00,8.{day}{hour},47\n"
        for day in (1, 2, 3)
        for hour in (8, 9)
    ]
    found = read_text("id,date,time,lon,lat\n" + "".join(rows))
    assert found.lengths.tolist() == [6]
    assert found.places[0][:, 0].tolist() == [8.18, 8.19, 8.28, 8.29, 8.38, 8.39]


def test_columns_of_year_month_day_and_hour_are_one_time(read_text):
    rows = "".join(f"2010,12,31,{hour},{hour * 2}\n" for hour in (22, 23))
    found = read_text("year,month,day,hour,pm2.5\n" + rows + "2011,1,1,0,7\n")
    assert found.channels == ["pm2.5"]
    assert moments(found) == [
        "2010-12-31T22:00:00",
        "2010-12-31T23:00:00",
        "2011-01-01T00:00:00",
    ]


def test_a_clock_over_midnight_keeps_the_order_of_the_file(read_text):
    found = read_text("time,v\n23:57,1\n23:59,2\n00:01,3\n00:03,4\n")
    assert column(found, "v") == [1, 2, 3, 4]
    if found.times is not None:
        assert found.times[0].dtype.kind != "M"
        assert np.all(np.diff(found.times[0]) == 120)


def test_compact_stamps_are_moments(read_text):
    stamps = ["20240130235950", "20240130235955", "20240131000000", "20240131000005"]
    rows = "".join(f"a,{stamp},8.00{k},47\n" for k, stamp in enumerate(stamps))
    found = read_text("id,time,lon,lat\n" + rows, features="speed")
    speed = found.values[0][1:, 0]
    assert len(speed) == 3
    assert (np.abs(speed - speed[0]) < 0.01 * speed[0]).all()


@pytest.mark.parametrize(
    "years", [(1066, 1492, 1815), (2300, 2600, 9000), (1000, 2000, 3000)]
)
def test_years_beyond_those_of_nanoseconds_keep_their_order(read_text, years):
    rows = "".join(f"{year}-05-01,{k}\n" for k, year in enumerate(years))
    found = read_text("date,v\n" + rows)
    assert column(found, "v") == [0, 1, 2]
    assert [m[:4] for m in moments(found)] == [str(year) for year in years]


def test_two_rows_at_one_time_need_an_option(read_text):
    text = "time,v\n0,1\n1,2\n1,4\n2,5\n"
    with pytest.raises(ValueError, match="duplicates="):
        read_text(text)
    assert column(read_text(text, duplicates="first"), "v") == [1, 2, 5]
    assert column(read_text(text, duplicates="last"), "v") == [1, 4, 5]
    assert column(read_text(text, duplicates="mean"), "v") == [1, 3, 5]


# Tidy tables, indices and folders


def test_a_value_a_row_becomes_channels(read_text):
    rows = [
        f"{unit},2024-01-01 0{hour}:00,{sensor},{value}\n"
        for unit in "pq"
        for hour in (0, 1, 2)
        for sensor, value in (
            ("temp", hour + 0.5),
            ("flow", (unit == "q") * 10.0 + hour),
        )
    ]
    found = read_text("id,time,sensor,value\n" + "".join(rows))
    assert found.ids == ["p", "q"]
    assert column(found, "temp") == [0.5, 1.5, 2.5]
    assert column(found, "flow", 1) == [10, 11, 12]


@pytest.mark.parametrize("name", ["batch_no", "machine", "device id", "Patient"])
def test_an_id_is_found_by_its_structure(read_text, name):
    rows = "".join(f"{m},{t},{m * 10 + t * 1.5}\n" for m in (3, 1, 2) for t in range(4))
    found = read_text(f"{name},time,v\n" + rows)
    assert found.ids == ["3", "1", "2"]
    assert column(found, "v") == [30, 31.5, 33, 34.5]


def test_three_levels_of_rows_are_two_of_series_and_one_of_time():
    index = pd.MultiIndex.from_product(
        [["n", "s"], ["a", "b"], [0, 1, 2]], names=["site", "id", "t"]
    )
    found = read(pd.DataFrame({"v": np.arange(12.0)}, index=index))
    assert len(found) == 4
    assert [x[:, 0].tolist() for x in found.values] == [
        [0, 1, 2],
        [3, 4, 5],
        [6, 7, 8],
        [9, 10, 11],
    ]


@pytest.mark.parametrize("parts", [["date", "clock"], ["year", "month", "day"]])
def test_levels_of_a_date_are_one_time(parts):
    when = pd.date_range("2024-02-28", periods=4, freq="D")
    table = {
        "machine": np.repeat(["a", "b"], 4),
        "date": np.tile(when.strftime("%Y-%m-%d"), 2),
        "clock": "08:00:00",
        **{part: np.tile(getattr(when, part), 2) for part in ("year", "month", "day")},
    }
    frame = pd.DataFrame(table)[["machine", *parts]].assign(v=np.arange(8.0) ** 2)
    found = read(frame.set_index(["machine", *parts]))
    assert found.ids == ["a", "b"]
    assert column(found, "v", 1) == [16, 25, 36, 49]
    assert [m[:10] for m in moments(found)][:3] == [
        "2024-02-28",
        "2024-02-29",
        "2024-03-01",
    ]


def test_ids_of_a_tidy_table_with_times_of_their_own(read_text):
    rows = [
        f"{vin},20{vin}-01-0{day},{what},{vin * day + add}\n"
        for vin in (17, 21)
        for day in (1, 2, 3)
        for what, add in (("load", 0.5), ("flow", 100))
    ]
    text = "vin,when,variable,value\n" + "".join(rows)
    found = read_text(text)
    assert found.ids == ["17", "21"]
    assert column(found, "load", 1) == [21.5, 42.5, 63.5]
    shuffled = "vin,when,variable,value\n" + "".join(
        rows[::5] + rows[1::5] + rows[2::5]
    )
    with pytest.raises(AmbiguousError) as caught:
        read_text(shuffled + "".join(rows[3::5] + rows[4::5]))
    assert {"id": "vin"} in offered(caught.value)
    found = read_text(text, id="vin")
    assert column(found, "flow") == [117, 134, 151]


def test_dates_as_rows_and_two_levels_of_columns_are_no_wide_table():
    columns = pd.MultiIndex.from_product(
        [["Close", "Open"], ["AA", "BB"]], names=["Price", "Ticker"]
    )
    values = np.arange(24.0).reshape(6, 4)
    dates = pd.date_range("2024", periods=6, name="Date")
    frame = pd.DataFrame(values, index=dates, columns=columns)
    found = read(frame)
    assert set(found.lengths) == {6}
    assert sorted(np.concatenate(found.values, axis=1).T.tolist()) == values.T.tolist()


def test_part_files_are_one_table(tmp_path):
    folder = tmp_path / "table.csv"
    folder.mkdir()
    (folder / "_SUCCESS").write_text("")
    (folder / "part-00000-x.csv").write_text("id,time,v\na,0,1\na,1,2\nb,0,3\n")
    (folder / "part-00001-x.csv").write_text("id,time,v\nb,1,4\nb,2,5\n")
    found = read(folder)
    assert found.ids == ["a", "b"]
    assert [column(found, "v", k) for k in (0, 1)] == [[1, 2], [3, 4, 5]]


# Labels


def test_a_label_of_digits_is_text(read_text):
    found = read_text("label,t0,t1,t2\n01,1,2,3\n1,3,2,1\n001,2,2,2\n")
    assert found.labels.tolist() == ["01", "1", "001"]


def test_labels_of_bytes_are_decoded():
    labels = np.array([b"up", b"down"], dtype=object)
    found = Sequences([np.zeros((2, 1)), np.ones((2, 1))], labels=labels)
    assert found.labels.tolist() == ["up", "down"]


def test_na_is_a_label_on_request(read_text):
    text = "region,label,t0,t1,t2\na,NA,1,2,3\nb,EU,3,2,1\nc,NA,2,2,2\n"
    with pytest.raises(ValueError, match="'label'"):
        read_text(text)
    assert read_text(text, missing="").labels.tolist() == ["NA", "EU", "NA"]


def test_regression_targets_are_no_classes(read_text):
    head = "@problemName P\n@timeStamps false\n@univariate true\n@targetLabel true\n"
    found = read_text(head + "@data\n1,2,3:0.5\n3,2,1:1.25\n2,2,2:7.75\n", "a.ts")
    assert found.task == "regression"
    assert found.labels.astype(float).tolist() == [0.5, 1.25, 7.75]


# Values, threads


def test_a_large_offset_leaves_the_variation(read_text):
    rows = "".join(f"{k},{1e9 + k % 5 * 7:.1f}\n" for k in range(12))
    found = read_text("time,pressure\n" + rows)
    assert not found.constant()
    pressure = found.values[0][:, 0].astype(np.float64)
    np.testing.assert_allclose(
        pressure - pressure[0], [k % 5 * 7 for k in range(12)], atol=0.5
    )


def test_threads_give_the_bits_of_their_seed():
    from temporal_jepa import TemporalJEPAEmbedder

    X = np.random.default_rng(0).normal(size=(8, 1, 24)).cumsum(-1)

    def fit(_: object) -> bytes:
        embedder = TemporalJEPAEmbedder(
            init_from="scratch",
            steps=3,
            embed_dim=8,
            encoder_depth=1,
            num_heads=2,
            random_state=0,
        )
        return embedder.fit(X).transform(X).tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert len({*pool.map(fit, range(8)), fit(0)}) == 1


# What stands around a table


AROUND = {
    "preamble": "Data exported from Monitor 4.2\n\n",
    "comments": "# logger 7\n# unit: see manual\n",
    "sep": "sep=,\n",
}


@pytest.mark.parametrize("kind", AROUND)
def test_lines_above_the_header_are_skipped(read_text, kind):
    found = read_text(AROUND[kind] + "time,load,flow\n0,1.5,7\n1,2.5,8\n2,3.5,9\n")
    assert found.channels == ["load", "flow"]
    assert column(found, "load") == [1.5, 2.5, 3.5]


def test_a_row_of_units_is_no_data(read_text):
    found = read_text("time,load,flow\ns,kW,l/min\n0,1.5,7\n1,2.5,8\n2,3.5,9\n")
    assert column(found, "flow") == [7, 8, 9]


def test_a_footer_is_no_data(read_text):
    found = read_text("time,load\n0,1.5\n1,2.5\n2,3.5\n\nSource: the grid operator\n")
    assert column(found, "load") == [1.5, 2.5, 3.5]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings(read_text, encoding):
    text = "time\tStärke\n0\t1.5\n1\t2.5\n2\t3.5\n"
    found = read_text(text.encode(encoding))
    assert found.channels == ["Stärke"]
    assert column(found, "Stärke") == [1.5, 2.5, 3.5]


# Other files and objects


def test_a_compressed_table(read_text):
    found = read_text(gzip.compress(b"time,v\n0,1.5\n1,2.5\n"), "a.csv.gz")
    assert column(found, "v") == [1.5, 2.5]


def test_json_records(read_text):
    records = [{"id": name, "time": t, "v": t + 0.5} for name in "ab" for t in range(3)]
    found = read_text(json.dumps(records), "a.json")
    assert found.ids == ["a", "b"]
    assert column(found, "v") == [0.5, 1.5, 2.5]


def test_timestamps_in_ts(read_text):
    head = "@problemName P\n@timeStamps true\n@univariate true\n@classLabel true a b\n@data\n"
    found = read_text(head + "(0,1.5),(1,2.5),(3,4.5):a\n(0,3),(1,2),(2,1):b\n", "a.ts")
    assert found.values[0][:, 0].tolist() == [1.5, 2.5, 4.5]
    assert found.times[0].tolist() == [0, 1, 3]


def test_a_tab_in_the_header_of_ts(read_text):
    head = "@problemName\tP\n@timeStamps\tfalse\n@univariate true\n@classLabel\ttrue a b\n@data\n"
    found = read_text(head + "1,2,3:a\n3,2,1:b\n", "a.ts")
    assert found.labels.tolist() == ["a", "b"]


def test_a_line_with_one_date(read_text):
    line = {
        "type": "Feature",
        "properties": {"name": "Hike", "date": "2023-07-09"},
        "geometry": {
            "type": "LineString",
            "coordinates": [[7, 46], [7.001, 46], [7.003, 46]],
        },
    }
    found = read_text(json.dumps(line), "a.geojson")
    assert found.ids == ["Hike"]
    assert found.places[0][:, 0].tolist() == [7, 7.001, 7.003]


def test_gpx_with_an_unbound_prefix(read_text):
    points = "".join(
        f'<trkpt lat="47" lon="8.00{k}"><time>2024-05-01T08:00:0{k}Z</time><extensions>'
        f"<gpxtpx:hr>12{k}</gpxtpx:hr></extensions></trkpt>"
        for k in range(3)
    )
    text = f'<gpx version="1.1"><trk><trkseg>{points}</trkseg></trk></gpx>'
    found = read_text(text, "a.gpx")
    assert found.places[0][:, 0].tolist() == [8, 8.001, 8.002]


def test_ais_sentinels_are_missing(read_text):
    rows = "".join(
        f"2110{ship},2024-01-01 00:0{t}:00,{55 + t * 0.01},{10 + ship}\n"
        for ship in (1, 2)
        for t in range(3)
    )
    found = read_text(
        "MMSI,BaseDateTime,LAT,LON\n" + rows + "21101,2024-01-01 00:03:00,91,181\n"
    )
    assert found.lengths.tolist() == [3, 3]


def test_a_column_of_bytes_is_named(tmp_path):
    path = tmp_path / "geo.parquet"
    pd.DataFrame({"geometry": [b"\x01\x80"] * 3, "time": range(3)}).to_parquet(path)
    with pytest.raises(ValueError, match=r"geo\.parquet.*"):
        read(path)


def test_a_ragged_array_is_a_list_of_series():
    ragged = np.empty(2, dtype=object)
    ragged[:] = [np.array([1.0, 2.0, 3.0]), np.array([4.0, 5.0])]
    found = read(ragged)
    assert [x[:, 0].tolist() for x in found.values] == [[1, 2, 3], [4, 5]]


def test_tensors_of_any_kind():
    import torch

    X = torch.arange(12.0).reshape(2, 1, 6)
    for tensor in (X.to(torch.bfloat16), X.half(), X.clone().requires_grad_()):
        found = read(tensor)
        assert found.values[1][:, 0].tolist() == [6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize("kind", ["polars", "pyarrow"])
def test_frames_of_others_are_read_like_those_of_pandas(kind):
    frame = pd.DataFrame(
        {"id": list("aabb"), "time": [0, 1, 0, 1], "v": [1.5, 2, 3, 4]}
    )
    if kind == "polars":
        import polars as pl

        other = pl.DataFrame(frame.to_dict("list"))
    else:
        import pyarrow as pa

        other = pa.table(frame.to_dict("list"))
    found = read(other)
    assert found.ids == ["a", "b"]
    assert column(found, "v", 1) == [3, 4]
