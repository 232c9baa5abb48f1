"""Text tables: what stands around the data, the header, and tables of many chunks."""

import gzip
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from temporal_jepa.config import ReadOptions
from temporal_jepa.data import read
from temporal_jepa.data.formats import delimited
from temporal_jepa.data.formats.delimited import read_delimited
from temporal_jepa.data.tables.readings import AmbiguousError


@pytest.fixture
def table(tmp_path):
    """Read a text as a frame; the notes are those of the last one."""

    def _table(text, name="a.csv", **options):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        frame, _, _table.notes = read_delimited(path, ReadOptions(**options))
        return frame

    return _table


DATA = {"time": [0, 1], "v": [1.5, 2.5]}
AROUND = {
    "sep=": ("sep=;\ntime;v\n0;1.5\n1;2.5\n", "semicolons"),
    "titles": ("Station: Berlin\nLat: 52.5\n\ntime,v\n0,1.5\n1,2.5\n", "lines 1 to 2"),
    "padded title": ("Report,,\n,,\ntime,v,\n0,1.5,\n1,2.5,\n", "line 1 "),
    "names and values": ("Device:,x\nSerial:,001\n\ntime,v\n0,1.5\n1,2.5\n", "lines 1"),
    "comments": (
        "# by x\n# of y\ntime,v\n0,1.5\n# pause\n1,2.5\n",
        "comments in line 5",
    ),
    "semicolon comment": ("; by x\ntime,v\n0,1.5\n1,2.5\n", ""),
    "header as comment": ("# by x\n#time,v\n0,1.5\n1,2.5\n", "comment in line 2"),
    "units": ("time,v\ns,m/s\n0,1.5\n1,2.5\n", "line 2 holds units"),
    "units in quotes": (
        "time,v\n'hh:mm:ss.mmm','mV'\n0,1.5\n1,2.5\n",
        "line 2 holds units",
    ),
    "units of a place": (
        "time,v\n ,degrees_east\n0,1.5\n1,2.5\n",
        "line 2 holds units",
    ),
    "units in brackets": ("time;v\n[s];[m]\n0;1.5\n1;2.5\n", "line 2 holds units"),
    "total": ("time,v\n0,1.5\n1,2.5\nTotal,4\n", "footers in line 4"),
    "source": ("time,v\n0,1.5\n1,2.5\n\nSource: a, b, c\n", "footers in line 5"),
    "padded source": ("time,v\n0,1.5\n1,2.5\nSource: x,\n", "footers in line 4"),
    "total and source": (
        "time,v\n0,1.5\n1,2.5\nTotal,4\nSource: a, b, c\n",
        "footers in lines 4, 5",
    ),
    "end": ("time,v\n0,1.5\n1,2.5\nEOF\n", "footers in line 4"),
    "repeated header": ("time,v\n0,1.5\ntime,v\n1,2.5\n", "repeated headers in line 3"),
    "separators at line ends": ("time,v,\n0,1.5,\n1,2.5,\n", ""),
    "separators at ends of rows": ("time,v\n0,1.5,\n1,2.5,\n", ""),
    "separator at the end of the header": ("time,v,\n0,1.5\n1,2.5\n", ""),
    "psql": (" time | v \n------+-----\n 0 | 1.5\n 1 | 2.5\n(2 rows)\n", "bars"),
    "markdown": ("| time | v |\n|---|---|\n| 0 | 1.5 |\n| 1 | 2.5 |\n", "bars"),
    "quotes": ('"time","v"\n"0","1.5"\n"1","2.5"\n', ""),
    "spaces": ("  time   v\n  0    1.5\n  1    2.5\n", "spaces"),
}


@pytest.mark.parametrize("case", AROUND)
def test_what_stands_around_a_table_is_left_out_with_a_note(table, case):
    text, note = AROUND[case]
    frame = table(text).dropna(axis=1, how="all")
    assert frame.to_dict("list") == DATA
    assert any(note in line for line in table.notes) or not note


def test_units_below_numbered_columns(table):
    frame = table("site,0,1\n,V,V\nx,1.5,2\ny,2.5,3\n")
    assert frame["0"].tolist() == [1.5, 2.5]
    assert any("line 2 holds units" in note for note in table.notes)


def test_names_of_rows_without_a_name(table):
    frame = table("v w\na 1.5 2\nb 2.5 3\n")
    assert frame.columns.tolist() == ["Unnamed: 0", "v", "w"]
    assert frame["w"].tolist() == [2, 3]
    assert table(",v\n0,1.5\n1,2.5\n").columns.tolist() == ["Unnamed: 0", "v"]
    frame = table('"date","v"\n"1","2024-01-01",1\n"2","2024-01-02",2\n')
    assert frame.columns.tolist() == ["Unnamed: 0", "date", "v"]
    with pytest.raises(ValueError, match=r"decimal=','"):
        table("a,b\n1,5,7\n2,5,8\n")


def test_fields_hold_separators_line_ends_and_any_length(table):
    long = "x" * 200_000
    frame = table(f'k,v,note\n1,2,"a\nb, c"\n2,3,"say ""hi"""\n3,4,{long}\n')
    assert frame["note"].tolist() == ["a\nb, c", 'say "hi"', long]
    assert frame["v"].tolist() == [2, 3, 4]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("id,time,v\na,0,1\nb,1,2\nb,2\n", 4),
        ("id,time,v\na,0,1\nb,1,2\nb\n", 4),
        ("name,v\nsensor one,1\nsensor one\n", 3),
        ("time,v\n0,1\n1,2,3\n2,3\n", 3),
        ('k,v\n1,"a\nb"\n2,3\n4,5,6\n7,8\n', 5),
    ],
)
def test_a_row_that_is_cut_is_an_error_with_its_line(table, text, line):
    with pytest.raises(ValueError, match=f"fields .* in line {line};"):
        table(text)


@pytest.mark.parametrize(
    ("first", "rows"),
    [
        ("1.5,2.5", ["3.5,4.5"]),
        ("2024-01-01,1.5", ["2024-01-02,2.5", "2024-01-03,3.5"]),
        ("a,up,1.5,2", ["b,down,2.5,3", "c,up,1.5,2"]),
        ("a,up,3,5", ["b,down,4,1"]),
        ("1,2,3", ["2,3,4", "3,4,5"]),
    ],
)
def test_data_in_the_first_line(table, first, rows):
    frame = table("\n".join([first, *rows]))
    assert frame.columns.tolist() == [str(k) for k in range(first.count(",") + 1)]
    assert len(frame) == 1 + len(rows)


@pytest.mark.parametrize(
    ("first", "rows"),
    [
        ("page,2015-07-29,2015-07-30", ["a,1,2", "b,2,3"]),
        ("id,20150729,20150731,20150801", ["a,1,2,4", "b,2,3,1"]),
        ("country,1990,1991", ["a,1,2", "b,2,3"]),
        ("country,20150210,20150209,up", ["1,1.5,2,a", "2,2,3,b"]),
        ("sample,400,402,404,406,408,410", ["a,.1,.2,.1,.3,.1,.1"]),
        ("site,0,1,2", ["a,5,6,3", "b,2,3,1"]),
        ("depth,10,20", ["0.5,1,2", "1.5,2,3"]),
        ("ID,4,3,2,1,0", ["1,.5,0.1,0.2,0.3,0.4", "2,0.1,0.2,0.3,0.4,0.7"]),
        ("id,7,3,9,class", ["x,1.5,0.1,0.2,a", "y,0.1,0.2,0.3,b"]),
        ("name,label", ["a,up", "b,up"]),
    ],
)
def test_names_in_the_first_line(table, first, rows):
    frame = table("\n".join([first, *rows]))
    assert frame.columns.tolist() == first.split(",")
    assert len(frame) == len(rows)


@pytest.mark.parametrize("text", ["up,1,2,3\ndown,3,2,1\n", "1,2,3\n4,9,6\n"])
def test_a_first_line_that_can_be_both_is_a_question(table, text):
    with pytest.raises(AmbiguousError, match="line 1") as caught:
        table(text)
    options = [reading.options for reading in caught.value.readings]
    assert options == [{"header": 1}, {"header": 0}]
    named, data = (table(text, **option) for option in options)
    assert named.columns.tolist() == text.split("\n")[0].split(",")
    assert (len(named), len(data)) == (1, 2)


def test_two_lines_of_names_are_a_question(table):
    text = "Price,Close,Open\nTicker,AAPL,MSFT\nDate,,\n2024-01-01,1.5,2\n2024-01-02,2.5,3\n"
    with pytest.raises(AmbiguousError) as caught:
        table(text)
    assert [reading.options["header"] for reading in caught.value.readings] == [1, 2]
    frame = table(text, header=1)
    assert frame["Close"].tolist() == [1.5, 2.5]
    assert sum("left out" in note for note in table.notes) == 2
    assert table(text, header=2)["MSFT"].tolist() == [2, 3]


def test_the_header_is_where_the_option_says(table):
    text = "Station,Berlin\nSerial,123\ntime,v\n0,1.5\n1,2.5\n"
    assert table(text, header=3).to_dict("list") == DATA
    assert table("1,2\n3,4\n", header=1).columns.tolist() == ["1", "2"]
    assert table("a,b\n3,4\n", header=0)["1"].tolist() == ["b", "4"]
    with pytest.raises(ValueError, match="header=9"):
        table(text, header=9)


def test_a_header_with_fewer_names_than_fields_is_an_error(table):
    with pytest.raises(ValueError, match=r"line 1.*line 2.*decimal=','"):
        table("v\n0,5\n0,7\n")
    assert table("v\n0,5\n0,7\n", decimal=",")["v"].tolist() == [0.5, 0.7]


def test_text_among_numbers_stays_for_the_error(table):
    assert table("time,v\n0,x7\n1,2\n2,3\n3,4\n")["v"].tolist() == ["x7", "2", "3", "4"]


def test_ids_of_any_writing_are_kept(table):
    frame = table("id,time,v\n1e3,0,1\n1000,1,2\n")
    assert frame["id"].tolist() == ["1e3", "1000"]
    frame = table("id,v\n7,1\n8,2\n")
    assert frame["id"].tolist() == [7, 8]
    assert table("code,v\n10,1\n08,2\n")["code"].tolist() == ["10", "08"]


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of 16 rows, so that a small table is read in many."""
    monkeypatch.setattr(delimited, "CELLS", 1)


def rows(n, row):
    return "".join(row(k) + "\n" for k in range(n))


@pytest.mark.usefixtures("small_chunks")
def test_a_column_whose_kind_changes_late_is_read_again(table):
    text = "a,b,c,d\n" + rows(100, lambda k: f"{k},1.{k:03},{k},{k / 4}")
    late = "x,2,007,\n"
    frame = table(text + late)
    assert frame["a"].tolist() == [*map(str, range(100)), "x"]
    assert frame["b"].tolist() == [*(float(f"1.{k:03}") for k in range(100)), 2]
    assert frame["c"].tolist() == [*map(str, range(100)), "007"]
    np.testing.assert_array_equal(frame["d"], [*(k / 4 for k in range(100)), np.nan])


@pytest.mark.usefixtures("small_chunks")
def test_a_late_proof_settles_points_that_were_read_as_decimal(table):
    text = "t;a;b\n" + rows(100, lambda k: f"{k};{k % 9 + 1}.250;3")
    with pytest.raises(AmbiguousError, match=r"'1.250'"):
        table(text)
    frame = table(text + "100;1.250;0,5\n")
    assert frame["a"].tolist() == [
        *((k % 9 + 1) * 1000 + 250 for k in range(100)),
        1250,
    ]
    assert table(text + "100;0.5;1\n")["a"].tolist()[:2] == [1.25, 2.25]


@pytest.mark.usefixtures("small_chunks")
def test_texts_that_repeat_become_categories_and_others_do_not(table):
    text = "id,day,v\n" + rows(6000, lambda k: f"s{k // 100},d{k},{k}")
    frame = table(text)
    assert isinstance(frame["id"].dtype, pd.CategoricalDtype)
    assert frame["id"].tolist() == [f"s{k // 100}" for k in range(6000)]
    assert frame["day"].tolist() == [f"d{k}" for k in range(6000)]
    assert frame["v"].tolist() == list(range(6000))


@pytest.mark.usefixtures("small_chunks")
def test_rows_are_checked_in_every_chunk(table):
    text = "time,v\n" + rows(50, lambda k: f"{k},{k}")
    assert len(table(text + "\nSource: x\n")) == 50
    with pytest.raises(ValueError, match="line 53"):
        table(text + "50,1\n51\n52,1\n")
    with pytest.raises(ValueError, match="line 53"):
        table(text + "\nSource: x\n" + text)


def test_compressed_tables_in_other_encodings(table):
    text = "time;température\n0;1,5\n1;2,5\n".encode("utf-16")
    frame = table(gzip.compress(text), "a.csv.gz")
    assert frame["température"].tolist() == [1.5, 2.5]


DIALECTS = list(itertools.product([",", ";", "\t", "|"], [".", ","]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(-9, 9)), min_size=2, max_size=9),
    st.sampled_from(DIALECTS),
)
def test_any_table_comes_back_from_any_dialect(tmp_path, values, dialect):
    sep, mark = dialect
    frame = pd.DataFrame(values, columns=["v", "w"]).assign(p=0.5)
    path = tmp_path / "a.csv"
    frame.to_csv(path, sep=sep, decimal=mark, index=False)
    found, _, _ = read_delimited(path, ReadOptions())
    np.testing.assert_array_equal(found.to_numpy(np.float64), frame.to_numpy())


def test_the_file_is_named_in_every_question(tmp_path):
    path = tmp_path / "sales.csv"
    path.write_text('day,n\n1,"1,231"\n2,"1,232"\n')
    with pytest.raises(AmbiguousError, match=r"sales.csv: column 'n'"):
        read(path)
    assert read(path, decimal=".").values[0][:, -1].tolist() == [1231, 1232]


@pytest.mark.parametrize("sep", ["\t", ";", "|"])
def test_spaces_within_fields_do_not_separate(table, sep):
    rows = "".join(f"a{sep}01/02/2024 10:0{k}:00{sep}{k}.5\n" for k in range(8))
    frame = table(f"id{sep}time{sep}wind speed\n{rows}")
    assert list(frame.columns) == ["id", "time", "wind speed"]
    assert frame["time"].iloc[1] == "01/02/2024 10:01:00"


def test_a_compact_date_and_its_hour_are_one_field(table):
    rows = [f"20200101 17{k:02}00;1.1;{k}.25" for k in range(5)]
    frame = table("\n".join(rows))
    assert frame.shape == (5, 3)
    assert frame["0"].iloc[1] == "20200101 170100"


@pytest.mark.parametrize(
    ("lines", "width"),
    [
        (["when,city,kind", "2004-04-08 20:00:00,Lyon,Low"], 3),
        (["0.875,08.04.2004 20:00:00,Lyon", "6,08.04.2004 20:00:00,Lyon"], 3),
        (["time,place,kind", "07:00,POINT (36.7 19.1),down"], 3),
        (["name,size", "a,640 480", "b,320 200"], 2),
        (["t v", "0 1,5", "1 2,5"], 2),
        (["a 1,5 2,5", "b 2,5 3,5"], 3),
        (["2024-01-01 00:00:00 1.5", "2024-01-01 00:01:00 2.5"], 3),
        (["time;text", "0;a, b", "1;c, d"], 2),
        (["a,b", "1,x;y", "2,z;w"], 2),
    ],
)
def test_the_separator_is_the_one_that_leaves_whole_fields(table, lines, width):
    assert table("\n".join(lines)).shape[1] == width


def test_a_quoted_decimal_comma_opens_the_points_of_a_file_with_commas(table):
    text = 'k,a,b\nx,24.933,"19,61"\ny,25.786,"19,49"\n'
    assert table(text)["a"].tolist() == [24933, 25786]
    assert table("k,a,b\nx,24.933,1\ny,25.786,2\n")["a"].tolist() == [24.933, 25.786]


def test_dates_of_a_long_file_are_times_a_piece_at_a_time(table):
    start = np.datetime64("2024-02-28T23:00:00")
    times = start + np.arange(20_000) * np.timedelta64(90, "s")
    lines = [f"{str(t).replace('T', ' ')},{k}" for k, t in enumerate(times)]
    text = "\n".join(["time,v", *lines])
    np.testing.assert_array_equal(table(text)["time"], times)
    other = text.replace("2024-03-01 00:00:00", "2024-03-01 00:00 UTC")
    assert table(other)["time"][0] == "2024-02-28 23:00:00"
    assert table(text.replace("time", "unit_id"))["unit_id"][1] == "2024-02-28 23:01:30"
    assert table(text.replace("2024-02-29", "2023-02-29"))["time"][0].endswith(
        "23:00:00"
    )


def test_names_that_start_as_comments_are_kept(table):
    assert table("color,v\n#ff0000,2\n#00ff00,3\n")["color"].tolist() == [
        "#ff0000",
        "#00ff00",
    ]


def test_a_header_whose_first_name_is_a_number_sign_is_no_comment(table):
    rows = "1,0,1.5\n2,1,2.5\n"
    for title in ("", "Plot Title: x\n"):
        for mark in ("#", '"#"'):
            frame = table(f"{title}{mark},time,v\n{rows}")
            assert frame.to_dict("list") == {"#": [1, 2], **DATA}
    assert table("# by x\n#time,v\n0,1.5\n1,2.5\n", header=2).to_dict("list") == DATA
    assert len(table("#,a,b\n" + rows, header=0)) == 2
    with pytest.raises(ValueError, match="header=2"):
        table("# by x\n\ntime,v\n0,1.5\n1,2.5\n", header=2)


def test_a_column_of_numbers_with_units_is_not_cut(table):
    text = "pressure\n101325,061 €\n101326,5 €\n"
    assert table(text, strip_units=True)["pressure"].tolist() == [101325.061, 101326.5]
    with pytest.raises(ValueError, match="strip_units=True"):
        table(text)


@pytest.mark.parametrize("name", ["v", "v;"])
def test_marks_at_the_ends_of_lines_are_no_part_of_the_last_number(table, name):
    frame = table(f"time,{name}\n0,1.5;\n1,2.5;\n")
    assert frame.to_dict("list") == DATA
    assert "lines end with ';', which is left out" in table.notes
    assert table("0,a,1.5;\n1,b,2.5;\n")["2"].tolist() == [1.5, 2.5]


def test_an_average_below_months_is_a_footer(table):
    frame = table("month,v\nJan,1\nFeb,2\nAverage,1.5\n")
    assert frame["month"].tolist() == ["Jan", "Feb"]
    assert "footers in line 4: left out" in table.notes


def test_lines_that_name_columns_together_are_levels(tmp_path):
    path = tmp_path / "a.csv"
    rows = "2024-01-01,1.5,2\n2024-01-02,2.5,3\n"
    path.write_text("Price,Close,Close\nTicker,AA,BB\nDate,,\n" + rows)
    found = read(path)
    assert (list(found.ids), found.channels) == (["AA", "BB"], ["Close"])
    assert [v.ravel().tolist() for v in found.values] == [[1.5, 2.5], [2, 3]]
    assert read(path, layout="recording").channels == ["Close_AA", "Close_BB"]
    path.write_text("time,t,t\ns,C,F\n0,1.5,2\n1,2.5,3\n")
    found = read(path, layout="recording")
    assert (found.channels, found.times[0].tolist()) == (["t_C", "t_F"], [0, 1])
    path.write_text(",In,,Out,\ntime,t,h,t,h\n0,1.5,2,3,4\n1,2.5,3,4,5\n")
    with pytest.raises(AmbiguousError) as caught:
        read(path)
    for reading, series in zip(caught.value.readings, (2, 2, 1), strict=True):
        assert len(read(path, **reading.options)) == series


def test_commas_of_a_header_separate_also_where_they_are_decimal_marks(table):
    frame = table("time,v\n0,1.234\n1,2.345\n", decimal=",")
    assert frame["v"].tolist() == [1234, 2345]
    assert table("v\n0,5\n", decimal=",")["v"].tolist() == [0.5]


def test_errors_and_notes_name_numbers_that_are_not_kept(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("time,v\n0,1k\n1,2k\n2,3\n")
    with pytest.raises(ValueError, match=r"\('v' holds '1k', no number\)"):
        read(path)
    path.write_text(f"time,v\n0,{2**53 + 1}\n1,{2**53 + 3}\n")
    assert any("beyond 2**53 in v" in note for note in read(path).notes)
