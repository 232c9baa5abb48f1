"""Bad files: one sentence that says where, what was found, and what to do."""

import importlib.util
import re
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from temporal_jepa.data import read
from temporal_jepa.data.tables.readings import AmbiguousError

TS = (
    "@problemName P\n@dimensions 2\n@equalLength true\n@seriesLength 3\n"
    "@classLabel true up down\n@data\n"
)

CASES = {  # name, content, options, message
    "empty csv": ("a.csv", "", {}, "a.csv: the file is empty"),
    "blank csv": ("a.csv", " \n\n", {}, "the file is empty"),
    "header only": ("a.csv", "time,v\n", {}, "a header line and no data"),
    "binary csv": (
        "a.csv",
        bytes(range(256)) * 9,
        {},
        "expected .csv text, got binary data",
    ),
    "ragged wide": (
        "a.csv",
        "t0,t1,t2\n1,2,3\n1,2\n",
        {},
        "expected 3 fields .* got 2 in line 3",
    ),
    "ragged long": (
        "a.csv",
        "time,v\n1,2\n1,2,3\n",
        {},
        "expected 2 fields .* got 3 in line 3",
    ),
    "text in values": (
        "a.csv",
        "time,v\n0,1\n1,2\n2,x7\n3,4\n",
        {},
        "column 'v' holds 'x7' in data row 3, expected a number",
    ),
    "text asked for": (
        "a.csv",
        "time,v,w\n0,1,a\n1,2,b\n",
        {"values": "w"},
        "column 'w' holds 'a' in data row 1, expected a number .2 such",
    ),
    "only text": (
        "a.csv",
        "name,space\na,1 2\nb,3 4\n",
        {},
        "expected a column of numbers .* got name, space",
    ),
    "duplicate times": (
        "a.csv",
        "id,time,v\na,0,1\nb,0,1\na,1,2\na,1,3\nb,1,3\n",
        {},
        "1 duplicate timestamps, the first is 1"
        r" in series 'a' \(data rows 3 and 4\)",
    ),
    "duplicate dates": (
        "a.csv",
        "date,v\n2024-01-01,1\n2024-01-01,2\n",
        {},
        "the first is 2024-01-01 in .* time=''",
    ),
    "missing time": (
        "a.csv",
        "time,v\n0,1\n,2\n3,3\n",
        {},
        "column 'time' holds 1 rows that are no time, .* data row 2",
    ),
    "no time": (
        "a.csv",
        "time,v\n2024-01-01,1\nlater,2\n",
        {},
        "no time, the first 'later' in data row 2",
    ),
    "changing label": (
        "a.csv",
        "id,time,v,label\na,0,1,u\na,1,1,w\n",
        {},
        "'label' changes within series 'a': 'u', then 'w' in data row 2",
    ),
    "missing label": (
        "a.csv",
        "label,t0,t1\nu,1,2\n,3,4\n",
        {},
        "column 'label' is empty .* in 1 rows, .* label=''",
    ),
    "inf": (
        "a.csv",
        "id,time,v,w\na,0,1,2\na,1,1,inf\n",
        {},
        "series 'a' are infinite .* timestep 1 of channel 'w'",
    ),
    "row of nothing": (
        "a.csv",
        "t0,t1,t2\n1,2,3\n,,\n",
        {},
        "no observed value .*: '1'",
    ),
    "nan channel": (
        "a.csv",
        "time,v,w\n0,1,\n1,2,\n",
        {"values": "v,w"},
        "in any series .all NaN. in channel 'w'; leave it out .of a table, with values=v.$",
    ),
    "nan series": (
        "a.csv",
        "id,time,v\na,0,1\na,1,2\nb,0,\nb,1,\n",
        {},
        "1 series have no observed value .*: 'b'",
    ),
    "no such column": (
        "a.csv",
        "time,speed\n0,1\n1,2\n",
        {"values": "sped"},
        "'sped' that does not exist, .* did you mean 'speed'",
    ),
    "no such layout": (
        "a.csv",
        "time,v\n0,1\n",
        {"layout": "tall"},
        "expected one of the layouts wide, long, recording, tracks, scene .*'tall'",
    ),
    "long without id": (
        "a.csv",
        "time,v\n0,1\n",
        {"layout": "long"},
        "layout long needs a column that names the series",
    ),
    "tall table as .txt": (
        "a.txt",
        "".join(f"{t % 7} {t}.5 2\n" for t in range(300)),
        {},
        "expected the UCR layout .* got 300 rows of 3 numbers; .*layout=recording",
    ),
    "stride alone": (
        "a.csv",
        "time,v\n0,1\n1,2\n",
        {"stride": 3},
        "stride=3 needs window=",
    ),
    "long window": (
        "a.csv",
        "time,v\n0,1\n1,2\n",
        {"window": 3},
        r"longer than the longest series \(2\)",
    ),
    "file as folder": (
        "a.csv",
        "time,v\n0,1\n",
        {"layout": "folder"},
        "expects a folder",
    ),
    "unknown extension": (
        "a.rec",
        "x",
        {},
        "unknown extension '.rec'; expected one of .csv",
    ),
    "ts: no data": (
        "a.ts",
        "@problemName P\n",
        {},
        "expected series after a line @data",
    ),
    "ts: no series": ("a.ts", TS, {}, "expected series after a line @data"),
    "ts: cut in a series": (
        "a.ts",
        TS + "1,2,3:4,5,6:up\n1,2,3:4",
        {},
        "line 8: .* is the file cut short",
    ),
    "ts: cut in a channel": (
        "a.ts",
        TS + "1,2,3:4,5:up\n",
        {},
        "line 7: expected 3 values in each channel .* got 2",
    ),
    "ts: cut in a label": (
        "a.ts",
        TS + "1,2,3:4,5,6:u\n",
        {},
        "the label 'u' is not among up, down",
    ),
    "ts: text": (
        "a.ts",
        TS + "1,2,oops:4,5,6:up\n",
        {},
        "line 7: expected numbers, commas and .*'oops'",
    ),
    "ts: timestamps": (
        "a.ts",
        "@timeStamps true\n@data\n(0,1),(1;2)\n",
        {},
        r"line 3: expected \(time,value\) pairs .*'\(1;2\)'",
    ),
    "ts: options": ("a.ts", TS + "1,2,3:4,5,6:up\n", {"id": "x"}, "leave out id"),
    "npy: empty": (
        "a.npy",
        "",
        {},
        "a.npy: not read: expected arrays .* empty, cut short",
    ),
    "npy: five bytes": ("a.npy", "hello", {}, "a.npy: not read: expected arrays"),
    "npy: text": ("a.npy", "1,2,3\n" * 9, {}, "a.npy: not read: expected arrays"),
    "npz: garbage": ("a.npz", "garbage", {}, "a.npz: not read: expected arrays"),
    "two columns of a name": (
        "a.csv",
        "time,v, v\n0,1,2\n1,3,4\n",
        {},
        "a.csv: several columns have the same name: v",
    ),
    "open quote": (
        "a.csv",
        'time,v\n0,"1\n1,2\n',
        {},
        "a.csv: .* quotation mark is left open in line 2",
    ),
    "open quote in a long file": (
        "a.csv",
        'v\n"1\n' + "2\n" * 70000,
        {},
        "a.csv: .* quotation mark is left open in line 2",
    ),
    "nanosecond duplicates": (
        "a.csv",
        "time,v\n1700000000000000100,1\n1700000000000000000,1\n1700000000000000100,2\n",
        {},
        "1 duplicate timestamps, the first is 1700000000000000100 in",
    ),
    "parquet: empty": ("a.parquet", "", {}, "the file is empty"),
    "parquet: garbage": (
        "a.parquet",
        "garbage and more of it",
        {},
        "not a readable Parquet file",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_file(tmp_path, case):
    name, content, options, message = CASES[case]
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        read(path, **options)


@pytest.mark.parametrize("mapped", [2**26, 0])
@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.parquet"])
def test_a_file_cut_in_half(tmp_path, monkeypatch, name, mapped):
    monkeypatch.setattr("temporal_jepa.data.formats.arrays.MAPPED_BYTES", mapped)
    path = tmp_path / name
    X = np.random.default_rng(0).normal(size=(50, 3, 20))
    if name == "a.parquet":
        pd.DataFrame(X.reshape(50, -1)).rename(columns=str).to_parquet(path)
    else:
        (np.save if name == "a.npy" else np.savez)(path, X)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ValueError, match="cut short"):
        read(path)


def test_pickles_are_never_loaded(tmp_path):
    np.save(
        tmp_path / "a.npy",
        np.array([np.zeros(3), np.zeros(4)], dtype=object),
        allow_pickle=True,
    )
    with pytest.raises(ValueError, match=r"Python objects, which are never loaded"):
        read(tmp_path / "a.npy")


def test_a_compressed_file_with_damaged_bytes(tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, X=np.random.default_rng(0).normal(size=(9, 3, 20)))
    whole = path.read_bytes()
    causes = set()
    for at in range(80, 400, 12):
        path.write_bytes(
            whole[:at]
            + bytes(byte ^ 0xFF for byte in whole[at : at + 12])
            + whole[at + 12 :]
        )
        with pytest.raises(
            ValueError, match=r"^[^\n]*a.npz: not read: [^\n]*$"
        ) as caught:
            read(path)
        causes.add(type(caught.value.__cause__))
    assert {zlib.error, zipfile.BadZipFile} <= causes


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_the_path_is_named_once(tmp_path, value):
    np.save(tmp_path / "a.npy", np.full((3, 2, 9), value))
    for data, where in (
        (tmp_path / "a.npy", f"{tmp_path / 'a.npy'}"),
        (np.full((3, 2, 9), value), "arrays"),
    ):
        with pytest.raises(
            ValueError,
            match=f"^{re.escape(where)}: (no observed value|[0-9]+ values of)",
        ):
            read(data)


def test_npz_without_x(tmp_path):
    np.savez(tmp_path / "a.npz", train=np.zeros((2, 9)), test=np.zeros((2, 9)))
    with pytest.raises(AmbiguousError, match=r"table='train'(?s:.)*table='test'"):
        read(tmp_path / "a.npz")
    assert len(read(tmp_path / "a.npz", table="test")) == 2


def test_arrays_of_objects_are_never_loaded(tmp_path):
    y = np.array(["u", "w"], dtype=object)
    np.savez(tmp_path / "a.npz", X=np.ones((2, 9)), y=y)
    with pytest.raises(ValueError, match=r"a\.npz: .*'y'.*y\.astype\(str\)"):
        read(tmp_path / "a.npz")
    np.save(tmp_path / "a.npy", y)
    with pytest.raises(ValueError, match=r"a\.npy: .*'X'.*objects"):
        read(tmp_path / "a.npy")


def test_missing_file_names_its_neighbour(tmp_path):
    (tmp_path / "data.csv").write_text("time,v\n0,1\n")
    with pytest.raises(FileNotFoundError, match=r"did you mean 'data.csv'"):
        read(tmp_path / "dat.csv")
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        read(tmp_path / "nowhere" / "x.csv")


def test_missing_pyarrow(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_text("x")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ModuleNotFoundError,
        match=r"^reading .parquet needs pyarrow: pip install 'temporal-jepa\[parquet\]'$",
    ):
        read(tmp_path / "a.parquet")


def test_folders(tmp_path):
    with pytest.raises(ValueError, match="the folder holds no files"):
        read(tmp_path)
    (tmp_path / "a.csv").write_text("time,v\n0,1\n1,2\n")
    with pytest.raises(ValueError, match=r"layouts folder, .* got 'tall'"):
        read(tmp_path, layout="tall")
    (tmp_path / "b.csv").write_text("time,w\n0,1\n1,2\n")
    with pytest.raises(
        ValueError,
        match=r"b.csv: expected the columns of a.csv \(v; times are numbers\), got w",
    ):
        read(tmp_path)
    (tmp_path / "notes.md").write_text("hello")
    with pytest.raises(ValueError, match=r"expected files of one type .* got notes.md"):
        read(tmp_path)
    (tmp_path / "X_TRAIN.tsv").write_text("1\t2.5\t3\n")
    with pytest.raises(
        ValueError,
        match=r"holds the splits X_TRAIN.tsv of a set; name one of these files",
    ):
        read(tmp_path)


def test_options_of_tables_do_not_fit_arrays():
    with pytest.raises(
        ValueError,
        match="id=, label= are about columns of a table, and arrays have none",
    ):
        read(np.zeros((2, 9)), id="a", label="b")
    with pytest.raises(ValueError, match=r"expected layout wide .* got 'long'"):
        read(np.zeros((2, 9)), layout="long")


def test_frames_are_checked():
    with pytest.raises(ValueError, match="the table has no rows"):
        read(pd.DataFrame({"time": [], "v": []}))
    with pytest.raises(ValueError, match="the table has no columns"):
        read(pd.DataFrame(index=[1, 2]))
    with pytest.raises(ValueError, match="several columns have the same name: v"):
        read(pd.DataFrame([[1, 2]], columns=["v", "v"]))
    with pytest.raises(
        ValueError,
        match=r"column '1' holds 'a' in data row 1, .* leave the column out with values=",
    ):
        read(
            pd.DataFrame({0: [1.0, 2, 3], 1: ["a", "b", "c"], 2: [4.0, 5, 7]}),
            layout="wide",
            values="0,1,2",
        )


@pytest.mark.parametrize(
    "options",
    [{"decimal": ","}, {"missing": "-99"}, {"channel": "a"}, {"time_unit": "s"}],
    ids=str,
)
def test_options_of_columns_are_not_ignored_for_arrays(options):
    with pytest.raises(ValueError, match="about columns of a table"):
        read(np.zeros((3, 1, 8)), **options)


@pytest.mark.parametrize("option", ["header", "encoding", "table"])
def test_options_of_files_are_not_ignored_for_objects_in_memory(option):
    frame = pd.DataFrame({"time": [0, 1, 2], "x": [0.1, 0.2, 0.4]})
    value = 1 if option == "header" else "utf-8"
    with pytest.raises(ValueError, match=f"objects in memory; leave out {option}="):
        read(frame, **{option: value})


@pytest.mark.parametrize("option", ["header", "encoding"])
def test_options_of_text_are_not_ignored_for_parquet(tmp_path, option):
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    pd.DataFrame({"time": [0, 1, 2], "x": [0.1, 0.2, 0.4]}).to_parquet(path)
    value = 1 if option == "header" else "utf-8"
    with pytest.raises(ValueError, match=f"leave out {option}="):
        read(path, **{option: value})


def test_header_is_the_row_of_the_workbook_below_empty_rows(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    rows = [[], [], ["a", "b"], ["time", "x"], [0, 0.5], [1, 0.75], [2, 0.25]]
    for number, row in enumerate(rows, 1):
        for column, cell in enumerate(row, 1):
            book.active.cell(number, column, cell)
    book.save(tmp_path / "a.xlsx")
    found = read(tmp_path / "a.xlsx", header=4)
    assert found.channels == ["x"]
    assert found.values[0][:, 0].tolist() == [0.5, 0.75, 0.25]


def test_an_image_is_not_a_table(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with pytest.raises(ValueError, match=r"not read: an image \(\.png\)"):
        read(path)


def test_only_empty_values_leave_nothing_to_read():
    frame = pd.DataFrame({"time": [0, 1, 2], "x": [np.nan] * 3})
    with pytest.raises(ValueError, match="no other channel is left"):
        read(frame)


def test_a_file_of_a_folder_without_the_ids_of_the_others(tmp_path: Path) -> None:
    for name in "ab":
        rows = [f"{name}{k},{t},{t * k}\n" for k in range(3) for t in range(5)]
        (tmp_path / f"{name}.csv").write_text("id,time,x\n" + "".join(rows))
    (tmp_path / "c.csv").write_text("time,x\n0,1\n1,2\n2,1\n")
    with pytest.raises(ValueError, match=r"c\.csv: expected the column 'id'"):
        read(tmp_path)
