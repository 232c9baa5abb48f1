"""Every format, read as written; what was inferred is noted and can be overridden."""

import datetime
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from temporal_jepa.config import ReadOptions
from temporal_jepa.data import Sequences, read
from temporal_jepa.data.tables.readings import AmbiguousError

LONG = "track,time,x,y,class\na,0,1,5,u\nb,0,2,6,v\na,1,3,7,u\na,2,4,8,u\nb,1,9,9,v\n"
TS = "# made\n@problemName P\n@timeStamps false\n@dimensions 2\n@classLabel true Up down\n@data\n"
numbers = arrays(
    np.float32,
    st.tuples(st.integers(2, 6), st.integers(5, 9)),
    elements=st.floats(-1e6, 1e6, width=32),
)
in_one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def write(tmp_path):
    def _write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return _write


def noted(sequences, text):
    return any(text in note for note in sequences.notes)


@in_one_folder
@given(numbers)
def test_wide_round_trip(tmp_path, X):
    path = tmp_path / "wide.csv"
    frame = pd.DataFrame(X, columns=[f"t{k}" for k in range(X.shape[1])])
    frame.assign(label=[f"c{i}" for i in range(len(X))]).to_csv(path, index=False)
    s = read(path)
    np.testing.assert_array_equal(np.stack([x[:, 0] for x in s.values]), X)
    assert s.labels.tolist() == [f"c{i}" for i in range(len(X))]


@in_one_folder
@given(
    st.lists(numbers.map(lambda a: a[:2].T), min_size=1, max_size=4),
    st.randoms(use_true_random=False),
)
def test_long_round_trip_in_any_order_of_rows(tmp_path, series, random):
    rows = [
        (f"s{i}", float(t), *row)
        for i, x in enumerate(series)
        for t, row in enumerate(x.tolist())
    ]
    random.shuffle(rows)
    path = tmp_path / "long.csv"
    pd.DataFrame(rows, columns=["id", "time", "a", "b"]).to_csv(path, index=False)
    s = read(path)
    found = dict(zip(s.ids, s.values, strict=True))
    assert len(found) == len(series)
    for i, x in enumerate(series):
        np.testing.assert_array_equal(found[f"s{i}"], x)


def test_long(write):
    s = read(write("a.csv", LONG))
    assert s.ids == ["a", "b"]
    assert s.channels == ["x", "y"]
    assert s.labels.tolist() == ["u", "v"]
    assert s.values[0].tolist() == [[1, 5], [3, 7], [4, 8]]
    assert s.times[1].tolist() == [0, 1]
    assert noted(
        s, "layout long: column 'track' names the series, column 'time' is the time"
    )
    assert noted(s, "label: column 'class'")


def test_every_inference_can_be_overridden(write):
    path = write("a.csv", LONG)
    s = read(path, layout="recording", time="", label="", values="y")
    assert s.channels == ["y"]
    assert s.values[0][:, 0].tolist() == [5, 6, 7, 8, 9]
    assert s.labels is None
    assert s.times is None
    s = read(path, id="class", time="x", values=["y"])
    assert s.ids == ["u", "v"]
    assert s.times[0].tolist() == [1, 3, 4]
    wide = read(write("b.csv", "a,b,c\n1,2,3\n4,5,6\n"), layout="wide")
    assert wide.values[1][:, 0].tolist() == [4, 5, 6]


def test_unsorted_rows_are_sorted_with_a_note(write):
    s = read(
        write("a.csv", "id,date,v\n1,2024-01-03,3\n1,2024-01-01,1\n1,2024-01-02,2\n")
    )
    assert s.values[0][:, 0].tolist() == [1, 2, 3]
    assert s.times[0].dtype == np.dtype("datetime64[ns]")
    assert noted(s, "3 rows were not in time order")


def test_uneven_times_are_noted(write):
    assert noted(
        read(write("a.csv", "time,v\n0,1\n1,2\n2,1\n9,2\n")),
        "1 of 1 series are not equally spaced",
    )


@pytest.mark.parametrize(
    "dates",
    [
        ["2024-01-31", "2024-02-01"],
        ["31/01/2024", "01/02/2024"],
        ["1/31/2024 0:00", "2/1/2024 0:00"],
    ],
)
def test_dates_in_the_usual_orders(write, dates):
    s = read(
        write("a.csv", "when,v\n" + "".join(f"{d},{k}\n" for k, d in enumerate(dates)))
    )
    assert s.times[0].astype("datetime64[D]").tolist() == [
        datetime.date(2024, 1, 31),
        datetime.date(2024, 2, 1),
    ]


def test_one_recording_and_its_windows(write):
    rows = "".join(
        f"2024-01-01 {h:02d}:{m:02d},{h},{m}\n" for h in range(24) for m in range(60)
    )
    path = write("a.csv", "date,h,m\n" + rows)
    s = read(path)
    assert s.lengths.tolist() == [1440]
    assert noted(s, "layout recording")
    assert noted(s, "window=LENGTH cuts it into many")
    w = read(path, window=60, stride=30)
    assert len(w) == 47
    assert w.ids[1] == "a@30"
    assert w.times[1][0] == np.datetime64("2024-01-01T00:30")


def test_forecasting_tables_call_their_value_y(write):
    s = read(write("a.csv", "unique_id,ds,y\na,1,5\na,2,6\nb,1,7\nb,2,7\n"))
    assert s.channels == ["y"]
    assert s.labels is None
    assert noted(s, "column 'y' is a channel, not a label")


def test_wide_with_several_channels_and_unequal_lengths(write):
    s = read(
        write(
            "a.csv",
            "name,x_0,x_1,x_2,y_0,y_1,y_2,target\np,1,2,,4,5,,A\nq,1,2,3,4,,6,B\n",
        ),
        id="name",
    )
    assert s.channels == ["x", "y"]
    assert s.values[0].tolist() == [[1, 4], [2, 5]]
    np.testing.assert_array_equal(s.values[1], [[1, 4], [2, np.nan], [3, 6]])
    assert s.ids == ["p", "q"]
    assert s.labels.tolist() == ["A", "B"]
    assert noted(
        s, "padding (missing values at the end) cut off 1 series: lengths 2 to 3"
    )


def test_numbers_as_header(write, tmp_path):
    assert read(write("a.csv", "label,0,1,2\nu,5,6,7\n")).values[0][:, 0].tolist() == [
        5,
        6,
        7,
    ]
    s = read(write("b.csv", "5.5,6,7\n8,9,1\n"), layout="wide")
    assert s.values[0][:, 0].tolist() == [5.5, 6, 7]
    assert noted(s, "no header line")
    with pytest.raises(AmbiguousError, match=r"(?s)layout='wide'.*layout='recording'"):
        read(tmp_path / "b.csv")
    s = read(write("c.csv", "1,0.5,0.7\n2,0.1,0.2\n1,0.9,0.3\n2,0.4,0.1\n"))
    assert s.labels.tolist() == ["1", "2", "1", "2"]
    assert noted(s, "label=''")


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
@pytest.mark.parametrize(
    "rows",
    [
        ["up,1,2,3", "down,3,2,1", "up,2,3,4"],
        ["1,2,3,up", "3,2,1,down", "2,3,4,up"],
    ],
)
def test_a_label_beside_numbers_makes_no_header(write, name, rows):
    s = read(
        write(
            name, "\n".join(rows).replace(",", "\t" if name == "a.tsv" else ",") + "\n"
        )
    )
    assert s.labels.tolist() == ["up", "down", "up"]
    assert s.lengths.tolist() == [3, 3, 3]
    assert s.values[1][:, 0].tolist() == [3, 2, 1]
    assert noted(s, "is the only one of text: taken as the label")
    column = rows[0].split(",").index("up")
    named = read(write("b.csv", "\n".join(rows)), id=str(column), layout="wide")
    assert named.ids == ["up#1", "down", "up#2"]
    assert noted(named, "ids repeat")


def test_a_text_between_numbers_without_a_header_is_a_question(write):
    path = write("a.csv", "1,2.5,up,3\n3,2,down,1\n2,3,up,4\n")
    with pytest.raises(AmbiguousError, match=r"(?s)label='2' layout='wide'.*id='2'"):
        read(path)
    assert read(path, label="2", layout="wide").lengths.tolist() == [3, 3, 3]


@pytest.mark.parametrize(
    "first", ["label,1,2,3", ",0,1,2", "name,0,1,2", "species,1,2,3,4,5,6"]
)
def test_a_header_that_counts_is_noted(write, first):
    rows = "".join(f"{i},{','.join('54321'[i] * first.count(','))}\n" for i in range(3))
    s = read(write("a.csv", f"{first}\n{rows}"), layout="wide")
    assert noted(s, "the first line counts up: taken as the header")
    assert s.values[0][0, 0] == 5
    assert len(s) == 3


@pytest.mark.parametrize(
    ("one", "other"), [("01", "1"), ("1e3", "1000"), ("9" * 17 + "1", "9" * 17 + "2")]
)
def test_ids_are_text(write, one, other):
    path = write(
        "a.csv", f"id,time,v\n{one},0,1\n{one},1,2\n{other},0,3\n{other},1,4\n"
    )
    s = read(path)
    assert s.ids == [one, other]
    assert s.values[1].tolist() == [[3], [4]]
    renamed = write("b.csv", path.read_text().replace("id", "who"))
    assert read(renamed, id="who").ids == [one, other]


def test_nanoseconds_are_kept(write):
    start = 1_700_000_000_000_000_000
    s = read(
        write(
            "a.csv", "time,v\n" + "".join(f"{start + 100 * k},{k}\n" for k in range(5))
        )
    )
    assert s.times[0].tolist() == [start + 100 * k for k in range(5)]
    assert ("times", f"{start} to {start + 400}") in s.summary()


def test_tall_and_narrow_is_one_recording_unless_the_names_say_otherwise(write):
    rows = "".join(f"{k},{k},{k}.5\n" for k in range(300))
    assert len(read(write("a.csv", "s1,s2,s3\n" + rows))) == 1
    assert len(read(write("b.csv", "t1,t2,t3\n" + rows))) == 300
    assert len(read(write("a.csv", "s1,s2,s3\n" + rows), layout="wide")) == 300


def test_text_counters_and_other_ids_are_left_out_with_a_note(write):
    s = read(
        write(
            "a.csv",
            ",id,track_id,time,note,v\n0,1,a,0,hi,1\n1,2,a,1,ho,2\n2,3,b,0,hu,3\n",
        )
    )
    assert s.ids == ["a", "b"]
    assert s.channels == ["v"]
    assert noted(s, "columns left out: id, note (text such as 'hi')")
    assert noted(s, "left out unnamed columns that are empty or only count the rows")
    assert read(write("b.csv", "time,v,\n0,1,\n1,2,\n")).channels == ["v"]


def test_what_is_left_out_says_why():
    frame = pd.DataFrame(
        {
            "id": list("aabb"),
            "day": [1, 2, 1, 2],
            "heat": ["36,5 °C", "n.b.", "37,1 °C", "36,9 °C"],
            "pressure": ["140/81", "130/80", "141/82", "120/80"],
            "free": [None] * 4,
            "pulse": [70, 71, 72, 73],
        }
    )
    notes = read(frame).notes
    (note,) = (line for line in notes if line.startswith("columns left out"))
    assert "pressure (text such as '140/81')" in note
    assert "free (empty)" in note
    assert "heat (3 of 4 are numbers with a unit such as '36,5 °C'" in note
    assert "others are text such as 'n.b.'; strip_units=True with missing=" in note
    again = read(frame, strip_units=True, missing="n.b.")
    assert again.channels == ["heat", "pulse"]
    tracks = frame.assign(lon=[8.0, 8.1, 8.2, 8.3], lat=47.0).drop(columns="heat")
    assert noted(read(tracks), "pressure (text such as '140/81')")


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (
            "time;a;b\n0;1,5;2,5\n1;2,5;3,5\n",
            "decimals are commas: 1,5 is 1.5",
        ),
        ("time;a;b\n0;1.5;2.5\n1;2.5;3.5\n", "separated by semicolons"),
        ("time,a,b\r0,1.5,2.5\r1,2.5,3.5\r", "layout recording"),
        ("time\ta\tb\n0\t1.5\t2.5\n1\t2.5\t3.5\n", "separated by tabs"),
        ("time  a b\n0 1.5  2.5\n1 2.5 3.5\n", "separated by spaces"),
        ("\ufefftime,a,b\r\n0,1.5,2.5\r\n1,2.5,3.5\r\n", "layout recording"),
    ],
    ids=["comma", "semicolons", "mac", "tabs", "spaces", "bom"],
)
def test_text_dialects(write, content, note):
    s = read(write("a.csv", content))
    assert s.channels == ["a", "b"]
    assert s.values[0].tolist() == [[1.5, 2.5], [2.5, 3.5]]
    assert noted(s, note)


def test_text_that_is_not_utf8_is_read_with_a_note(write):
    s = read(write("a.csv", "time,temp\u00e9rature\n0,1\n1,2\n".encode("cp1252")))
    assert s.channels == ["temp\u00e9rature"]
    assert noted(s, "line 1 is not UTF-8 (byte 0xe9)")


@pytest.mark.parametrize("name", ["a.tsv", "a.txt"])
def test_ucr(write, name):
    rows = ["1\t0.5\t1.5\t2.5", "2\t3\tNaN\tNaN", "-1\tNaN\t5\t6"]
    s = read(write(name, "\n".join(rows) + "\n"))
    assert s.labels.tolist() == ["1", "2", "-1"]
    assert s.lengths.tolist() == [
        3,
        1,
        3,
    ]  # NaN at the end is padding, at the start it is missing
    assert np.isnan(s.values[2][0, 0])


def test_ts_of_unequal_length_with_missing_values(write):
    s = read(write("a.ts", TS + "1,2,3:4,5,6:Up\n1,?:4:down\n"))
    assert s.labels.tolist() == ["Up", "down"]
    assert s.values[0].tolist() == [[1, 4], [2, 5], [3, 6]]
    np.testing.assert_array_equal(s.values[1], [[1, 4], [np.nan, np.nan]])
    assert noted(s, "1 series have channels of unequal length")


def test_ts_without_labels_and_with_targets(write):
    assert read(write("a.ts", "@classLabel false\n@data\n1,2:3,4\n")).labels is None
    assert read(
        write("b.ts", "@targetLabel true\n@data\n1,2:0.25\n")
    ).labels.tolist() == ["0.25"]


def test_numpy_files(tmp_path):
    X = np.random.default_rng(0).normal(size=(4, 2, 9)).astype(np.float32)
    X[1, :, 6:] = np.nan
    np.save(tmp_path / "a.npy", X)
    np.savez(tmp_path / "a.npz", X=X, y=[0, 1, 0, 1])
    for name in ("a.npy", "a.npz"):
        s = read(tmp_path / name)
        assert s.lengths.tolist() == [9, 6, 9, 9]
        np.testing.assert_array_equal(s.values[2], X[2].T)
    assert s.labels.tolist() == ["0", "1", "0", "1"]
    np.save(tmp_path / "b.npy", np.zeros((1000, 3)) + np.arange(1000)[:, None])
    assert read(tmp_path / "b.npy").values[0].shape == (1000, 3)
    assert len(read(tmp_path / "b.npy", layout="wide")) == 1000
    (tmp_path / "a.npz").rename(
        tmp_path / "c.npy"
    )  # what is in it counts, not its name
    assert len(read(tmp_path / "c.npy")) == 4
    (tmp_path / "a.npy").rename(tmp_path / "d.npz")
    assert len(read(tmp_path / "d.npz")) == 4


def test_a_large_npy_file_stays_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr("temporal_jepa.data.formats.arrays.MAPPED_BYTES", 100)
    np.save(tmp_path / "a.npy", np.ones((50, 2, 30), dtype=np.float32))
    base = read(tmp_path / "a.npy").values[0]
    while isinstance(base.base, np.ndarray) and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap)


def test_parquet(tmp_path):
    frame = pd.DataFrame(
        {
            "id": ["a", "a", "b"],
            "time": pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-01"]),
            "v": pd.array([1, None, 3], dtype="Int64"),
        }
    )
    frame.to_parquet(tmp_path / "a.parquet")
    s = read(tmp_path / "a.parquet")
    assert s.ids == ["a", "b"]
    np.testing.assert_array_equal(s.values[0], [[1], [np.nan]])


def test_frames():
    tall = pd.DataFrame({"a": [1.0, 2, 3, 4], "b": [5.0, 6, 7, 8]})
    s = read(tall.set_index(pd.MultiIndex.from_product([["p", "q"], [0, 1]])))
    assert s.ids == ["p", "q"]
    assert s.values[1].tolist() == [[3, 7], [4, 8]]
    s = read(tall.set_index(pd.date_range("2024", periods=4)))
    assert s.times[0][1] == np.datetime64("2024-01-02")
    s = read(tall.set_axis(pd.MultiIndex.from_tuples([("x", 0), ("x", 1)]), axis=1))
    assert s.values[3].tolist() == [[4], [8]]
    assert s.channels == ["x"]
    assert read(tall["a"]).channels == ["a"]
    assert read(pd.DataFrame(np.ones((3, 80)))).lengths.tolist() == [80, 80, 80]


def test_arrays_and_sequences_pass_through():
    s = read(np.arange(24).reshape(2, 2, 6))
    assert s.values[0][:, 1].tolist() == [6, 7, 8, 9, 10, 11]
    assert isinstance(read(s, window=3), Sequences)
    assert read([np.ones((2, 5)), np.ones((2, 7))]).lengths.tolist() == [5, 7]


def test_options_are_keywords_or_one_object():
    X = np.random.default_rng(0).normal(size=(2, 12))
    assert read(X, ReadOptions(window=3)).ids == read(X, window=3).ids
    with pytest.raises(ValueError, match="not both: window"):
        read(X, ReadOptions(), window=3)
    with pytest.raises(ValueError, match="'windw'; did you mean 'window'"):
        read(X, windw=3)


def test_old_names_of_options_warn_and_work():
    clips = np.zeros((1, 20, 8, 8), np.uint8)
    with (
        pytest.warns(DeprecationWarning, match="size= of read is now resize="),
        pytest.raises(ValueError, match=r"options of video .* resize"),
    ):
        read(clips, size=8)


def test_folder_with_one_series_a_file(write, tmp_path):
    for name, rows in {"b": "0,1\n1,2\n", "a": "0,3\n1,4\n2,5\n"}.items():
        write(f"runs/{name}.csv", "time,v\n" + rows)
    write("runs/.hidden", "x")
    s = read(tmp_path / "runs")
    assert s.ids == ["a.csv", "b.csv"]
    assert s.lengths.tolist() == [3, 2]
    assert s.times[0].tolist() == [0, 1, 2]
    assert noted(s, "layout folder: 2 files, 2 series")
    write("runs/a.csv", "time,v,who\n0,3,x\n1,4,y\n1,5,x\n")
    write("runs/b.csv", "time,v,who\n0,3,z\n")
    assert read(tmp_path / "runs", id="who").ids == ["a.csv:x", "a.csv:y", "b.csv"]


def test_folder_of_classes(tmp_path):
    for k, name in enumerate(("run", "walk")):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "1.npy", np.arange(10.0 * (k + 1)).reshape(-1, 2))
    s = read(tmp_path)
    assert s.labels.tolist() == ["run", "walk"]
    assert s.lengths.tolist() == [5, 10]
    assert s.n_channels == 2


def test_a_constant_series_is_allowed_and_noted(write):
    s = read(write("a.csv", "id,time,v\na,0,1\na,1,1\nb,0,1\nb,1,2\n"))
    assert noted(s, "constant throughout: 1 of 2 series (a)")


def test_reading_imports_neither_torch_nor_pandas_when_arrays_do():
    code = (
        "import sys, numpy as np; from temporal_jepa.data import read; "
        "read(np.ones((2, 9)) * [[1], [2]]);"
    )
    run = subprocess.run(
        [sys.executable, "-c", code + "print('pandas' in sys.modules)"],
        capture_output=True,
        text=True,
    )
    assert run.stdout.strip() == "False", run.stderr


@pytest.mark.parametrize(
    ("heading", "name", "lengths"),
    [
        ("## Wide", "a.csv", [3, 2]),
        ("## Long", "a.csv", [2, 1]),
        ("## Recording", "a.csv", [2]),
        ("## Trajectories", "a.csv", [3, 2]),
        ("## UCR", "a.tsv", [3, 2]),
        ("## UEA", "a.ts", [3, 2]),
    ],
)
def test_the_smallest_files_in_the_documentation(write, heading, name, lengths):
    page = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
    block = re.search(r"```text\n(.*?)```", page[page.index(heading) :], re.S)
    assert read(write(name, block[1])).lengths.tolist() == lengths
