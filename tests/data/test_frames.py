"""Frames, tensors and data sets of other libraries read as the same data in pandas and NumPy."""

import datetime
import decimal

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
import torch
import xarray as xr

from temporal_jepa.data import Sequences, read
from temporal_jepa.data.tables.readings import AmbiguousError

LONG = pd.DataFrame(
    {
        "id": ["a", "a", "b", "b", "b"],
        "time": pd.to_datetime(
            ["2024-01-01", "2024-01-02", "2024-01-01", "2024-01-02", "2024-01-03"]
        ),
        "v": [1.5, 2.5, 3.5, np.nan, 5.5],
        "w": [1, 2, 3, 4, 6],
        "label": ["up", "up", "down", "down", "down"],
    }
)
WIDE = pd.DataFrame(
    {"label": ["u", "v", "u"], "t0": [1.0, 2, 4], "t1": [2.0, 5, 3], "t2": [0.0, 1, 1]}
)
TRACKS = pd.DataFrame(
    {
        "trip": ["a", "a", "a", "b", "b"],
        "time": pd.to_datetime([0, 10, 20, 0, 10], unit="s"),
        "lon": [8.0, 8.001, 8.002, 8.0, 8.0],
        "lat": [47.0, 47.0, 47.001, 47.0, 47.001],
    }
)
TIDY = pd.DataFrame(
    {
        "id": ["a"] * 4 + ["b"] * 4,
        "time": [0, 0, 1, 1] * 2,
        "sensor": ["p", "q"] * 4,
        "value": [1.5, 2, 3, 4, 5, 6, 7, 9.5],
    }
)
DATES = pd.DataFrame({"page": ["A", "B"], "2015-07-31": [1, 6], "2015-08-01": [2.5, 5]})
FRAMES = {"long": LONG, "wide": WIDE, "tracks": TRACKS, "tidy": TIDY, "dates": DATES}
LIBRARIES = {
    "polars": pl.from_pandas,
    "pyarrow": pa.Table.from_pandas,
    "record batch": pa.RecordBatch.from_pandas,
    "duckdb": lambda frame: duckdb.connect().from_df(frame),
    "arrow dtypes": lambda frame: frame.convert_dtypes(dtype_backend="pyarrow"),
    "nullable dtypes": lambda frame: frame.convert_dtypes(),
    "objects": lambda frame: frame.astype(object),
    "records": lambda frame: frame.to_dict("records"),
    "dict": lambda frame: frame.to_dict("list"),
}


def assert_same(one, other):
    assert one.ids == other.ids
    assert one.channels == other.channels
    for x, y in zip(one.values, other.values, strict=True):
        np.testing.assert_array_equal(x, y)
    for field in ("labels", "times", "places"):
        left, right = getattr(one, field), getattr(other, field)
        assert (left is None) == (right is None), field
        if left is not None:
            for x, y in zip(left, right, strict=True):
                np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("frame", FRAMES)
def test_frames_of_others_read_as_those_of_pandas(frame, library):
    frame = FRAMES[frame]
    assert_same(read(LIBRARIES[library](frame)), read(frame))


WRITERS = {
    "a.csv": lambda frame, path: frame.to_csv(path, index=False),
    "a.csv.gz": lambda frame, path: frame.to_csv(path, index=False),
    "a.parquet": lambda frame, path: frame.to_parquet(path),
    "a.feather": lambda frame, path: frame.to_feather(path),
    "a.xlsx": lambda frame, path: frame.to_excel(path, index=False),
    "a.json": lambda frame, path: frame.to_json(
        path, orient="records", date_format="iso"
    ),
    "a.jsonl": lambda frame, path: frame.to_json(
        path, orient="records", lines=True, date_format="iso"
    ),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("frame", FRAMES)
def test_files_read_as_the_frames_that_were_written(tmp_path, frame, name):
    frame = FRAMES[frame]
    WRITERS[name](frame, tmp_path / name)
    assert_same(read(tmp_path / name), read(frame))


def test_long_values_are_those_of_the_frame():
    s = read(pl.from_pandas(LONG))
    assert s.ids == ["a", "b"]
    assert s.channels == ["v", "w"]
    np.testing.assert_array_equal(s.values[1], [[3.5, 3], [np.nan, 4], [5.5, 6]])
    assert s.labels.tolist() == ["up", "down"]
    assert s.times[1][2] == np.datetime64("2024-01-03")


def test_the_row_index_in_an_arrow_table_comes_back():
    frame = LONG.drop(columns="label").set_index(["id", "time"])
    assert_same(read(pa.Table.from_pandas(frame)), read(frame))
    assert read(frame).lengths.tolist() == [2, 3]


def test_columns_of_every_arrow_type():
    days = [datetime.date(2024, 1, 1), datetime.date(2024, 1, 2)]
    table = pa.table(
        {
            "day": pa.array(days, pa.date32()),
            "price": pa.array([decimal.Decimal("1.25"), None], pa.decimal128(5, 2)),
            "small": pa.array([1, 2], pa.uint8()),
            "half": pa.array(np.array([0.5, 1.5], np.float16)),
            "flag": pa.array([True, False]),
            "acc": pa.array([{"x": 1.0, "y": 2.0}, {"x": 3.0, "y": 4.0}]),
        }
    )
    s = read(table)
    assert s.times[0].tolist() == np.array(days, "datetime64[ns]").tolist()
    values = dict(zip(s.channels, s.values[0].T.tolist(), strict=True))
    assert values["small"] == [1, 2]
    assert values["half"] == [0.5, 1.5]
    assert values["acc.x"] == [1, 3]
    assert values["acc.y"] == [2, 4]
    assert values["price"][0] == 1.25
    assert np.isnan(values["price"][1])


def test_dictionary_columns_are_ids_and_labels():
    frame = LONG.astype({"id": "category", "label": "category"})
    assert_same(read(pa.Table.from_pandas(frame)), read(LONG))
    assert_same(read(pl.from_pandas(frame)), read(LONG))
    assert_same(read(frame), read(LONG))


def test_bytes_are_text_or_refused_by_name():
    coded = LONG.assign(id=LONG["id"].str.encode("utf-8"))
    assert read(coded).ids == ["a", "b"]
    assert read(pa.Table.from_pandas(coded)).ids == ["a", "b"]
    wkb = LONG.assign(geometry=[b"\x01\x80"] * 5)
    with pytest.raises(ValueError, match="'geometry' holds bytes"):
        read(wkb)


def test_cells_of_objects_are_refused_by_name():
    for cell in ({"a": 1}, {1, 2}):
        with pytest.raises(ValueError, match="'meta' holds objects"):
            read(LONG.assign(meta=[cell] * 5))
    with pytest.raises(ValueError, match="'points' holds lists of objects"):
        read(pl.DataFrame({"points": [[{"t": 0, "v": 1.0}], [{"t": 1, "v": 2.0}]]}))


def test_lazy_tables_are_collected_by_the_user():
    with pytest.raises(ValueError, match=r"polars.*LazyFrame.*data\.collect\(\)"):
        read(pl.from_pandas(LONG).lazy())


def test_nullable_numbers_keep_their_missing_values():
    frame = pd.DataFrame(
        {
            "time": [0, 1, 2],
            "v": pd.array([1, None, 3], "Int64"),
            "w": pd.array([0.5, 1.5, None], "Float32"),
            "on": pd.array([True, None, False], "boolean"),
        }
    )
    x = read(frame).values[0]
    np.testing.assert_array_equal(x[:, 0], [1, np.nan, 3])
    np.testing.assert_array_equal(x[:, 1], [0.5, 1.5, np.nan])
    np.testing.assert_array_equal(x[:, 2], [1, np.nan, 0])


def test_large_whole_ids_stay_exact():
    ids = [2**60, 2**60, 2**60 + 1, 2**60 + 1]
    frame = pd.DataFrame({"id": pd.array(ids, "Int64"), "v": [1.0, 2, 3, 5]})
    assert read(frame).ids == [str(2**60), str(2**60 + 1)]


def test_sparse_columns_are_dense():
    frame = pd.DataFrame({"time": [0, 1, 2], "v": pd.arrays.SparseArray([0, 0, 7])})
    assert read(frame).values[0].tolist() == [[0], [0], [7]]


def test_list_columns_are_series():
    frame = pd.DataFrame(
        {"id": ["a", "b"], "x": [[1.0, 2, 3], [4.0, 5]], "y": [[9, 8, 7], [6, 5]]}
    )
    for table in (frame, pl.from_pandas(frame), pa.Table.from_pandas(frame)):
        s = read(table)
        assert s.ids == ["a", "b"]
        assert s.channels == ["x", "y"]
        assert s.values[1].tolist() == [[4, 6], [5, 5]]


def test_the_row_index_names_series_in_lists():
    frame = pd.DataFrame({"x": [[1.0, 2], [4.0, 5, 6]]}, index=["p", "q"])
    assert read(frame).ids == ["p", "q"]
    assert read(frame.rename_axis("machine")).ids == ["p", "q"]


def test_list_columns_with_labels_and_times():
    frame = pd.DataFrame(
        {
            "label": ["u", "w"],
            "time": [[0, 10, 20], [5, 15]],
            "flow": [[1.0, None, 3.0], [4.0, 5.0]],
        }
    )
    s = read(frame)
    assert s.labels.tolist() == ["u", "w"]
    assert s.times[1].tolist() == [5, 15]
    np.testing.assert_array_equal(s.values[0][:, 0], [1, np.nan, 3])


@pytest.mark.parametrize("cells", [["[1, 2, 3]", "[4, 5]"], ["[1. 2. 3.]", "[4. 5.]"]])
def test_lists_in_text(tmp_path, cells):
    pd.DataFrame({"id": ["a", "b"], "x": cells}).to_csv(tmp_path / "a.csv")
    s = read(tmp_path / "a.csv")
    assert [x[:, 0].tolist() for x in s.values] == [[1, 2, 3], [4, 5]]
    assert s.ids == ["a", "b"]


def test_lists_of_dates_in_text():
    dates = "['2024-01-01 00:00', '2024-01-01 06:00']"
    s = read(pd.DataFrame({"id": ["a"], "ts": [dates], "v": ["[1, 2.5]"]}))
    assert s.times[0][1] == np.datetime64("2024-01-01T06:00")
    assert s.values[0].tolist() == [[1], [2.5]]


def test_shortened_lists_in_text_are_refused():
    frame = pd.DataFrame({"id": ["a", "b"], "x": [str(np.arange(2000)), "[1 2]"]})
    with pytest.raises(ValueError, match=r"'x' holds lists that were shortened"):
        read(frame)


def test_a_list_beside_a_time_is_ambiguous():
    frame = pd.DataFrame({"time": [0, 1, 2], "acc": [[1.0, 2], [3.0, 4], [5.0, 7]]})
    with pytest.raises(
        AmbiguousError, match=r"(?s)'acc'.*layout='wide'.*layout='recording'"
    ):
        read(frame)
    assert read(frame, layout="wide").lengths.tolist() == [2, 2, 2]
    s = read(frame, layout="recording")
    assert s.channels == ["acc_0", "acc_1"]
    assert s.values[0].tolist() == [[1, 2], [3, 4], [5, 7]]


def test_lists_that_do_not_fit_are_refused_by_name():
    with pytest.raises(ValueError, match=r"'x' and 1 in column 'y' of row 2"):
        read(pd.DataFrame({"x": [[1, 2], [3, 4]], "y": [[1, 2], [3]]}))
    with pytest.raises(ValueError, match=r"'x' holds no list in row 2"):
        read(pd.DataFrame({"x": [[1, 2], []]}))
    with pytest.raises(ValueError, match=r"'x' holds lists of lists"):
        read(pd.DataFrame({"x": [[[1, 2], [3, 4]], [[1, 2], [3, 4]]]}))


def test_lists_of_places_are_tracks():
    frame = pd.DataFrame(
        {
            "trip": ["a", "b"],
            "time": [[0, 10], [0, 10]],
            "lon": [[8.0, 8.001], [8.0, 8.0]],
            "lat": [[47.0, 47.0], [47.0, 47.001]],
        }
    )
    s = read(frame, id="trip")
    assert s.ids == ["a", "b"]
    np.testing.assert_array_equal(s.places[1], [[8, 47], [8, 47.001]])


def test_a_list_of_frames_is_a_list_of_recordings():
    one = pd.DataFrame({"time": [0, 1], "v": [1.0, 2], "w": [3.0, 5]})
    two = pd.DataFrame({"w": [6.0, 7, 9], "time": [4, 5, 6], "v": [8.0, 9, 1]})
    for make in (pd.DataFrame, pl.from_pandas):
        s = read([make(one), make(two)])
        assert s.ids == ["0", "1"]
        assert s.channels == ["v", "w"]
        assert s.values[1].tolist() == [[8, 6], [9, 7], [1, 9]]
        assert s.times[1].tolist() == [4, 5, 6]
    assert read({"mon": one, "tue": two}).ids == ["mon", "tue"]
    with pytest.raises(ValueError, match=r"frame 1.*v, w.*got v"):
        read([one, two.drop(columns="w")])
    dated = one.assign(time=pd.date_range("2024", periods=2))
    with pytest.raises(
        ValueError, match=r"frame 1.*times are numbers.*times are dates"
    ):
        read([one, dated])
    with pytest.raises(ValueError, match=r"tables only.*'1'"):
        read([one, np.ones((2, 3))])


def test_a_list_of_numbered_frames_is_a_list_of_recordings():
    frames = [pd.DataFrame(np.arange(6.0 * n).reshape(n, 6)) for n in (4, 5)]
    s = read(frames)
    assert s.lengths.tolist() == [4, 5]
    assert s.n_channels == 6
    assert read(frames, layout="wide").lengths.tolist() == [6] * 9
    assert read([LONG, LONG]).ids == ["0:a", "0:b", "1:a", "1:b"]


def test_a_list_of_columns_is_a_list_of_series():
    s = read([pd.Series([1.0, 2], name="a"), pd.Series([3.0, 4, 5], name="b")])
    assert [x[:, 0].tolist() for x in s.values] == [[1, 2], [3, 4, 5]]
    s = read([pl.Series("a", [1.0, 2]), pl.Series("b", [3.0, 4, 5])])
    assert [x[:, 0].tolist() for x in s.values] == [[1, 2], [3, 4, 5]]
    assert read(pl.Series("a", [1.0, 2])).channels == ["a"]


def test_a_dict_of_arrays_is_a_dict_of_series():
    s = read({"a": np.arange(6.0).reshape(2, 3), "b": np.arange(8.0).reshape(2, 4)})
    assert s.ids == ["a", "b"]
    assert s.values[1].tolist() == [[0, 4], [1, 5], [2, 6], [3, 7]]
    s = read({"a": [1.0, 2, 3], "b": [4.0, 5]})
    assert s.ids == ["a", "b"]
    assert s.lengths.tolist() == [3, 2]
    s = read({"X": np.arange(12.0).reshape(2, 1, 6), "y": ["u", "v"]})
    assert s.labels.tolist() == ["u", "v"]


def test_a_dict_of_dicts_is_a_dict_of_recordings():
    s = read({"p": {"u": [1.0, 2], "v": [3.0, 4]}, "q": {"v": [5.0], "u": [6.0]}})
    assert s.ids == ["p", "q"]
    assert s.channels == ["u", "v"]
    assert s.values[1].tolist() == [[6, 5]]


def test_a_dict_of_columns_is_a_table_or_ambiguous():
    columns = {"a": [1.0, 2, 3], "b": [4.0, 5, 7]}
    assert read({"time": [0, 5, 9], **columns}).times[0].tolist() == [0, 5, 9]
    with pytest.raises(AmbiguousError, match=r"layout='recording'(?s:.)*layout='wide'"):
        read(columns)
    assert read(columns, layout="recording").values[0].tolist() == [
        [1, 4],
        [2, 5],
        [3, 7],
    ]
    s = read(columns, layout="wide")
    assert s.ids == ["a", "b"]
    assert s.values[1].tolist() == [[4], [5], [7]]


def test_records_in_memory():
    rows = [{"time": 0, "v": 1.5}, {"time": 1, "v": 2.5}]
    assert read(rows).values[0].tolist() == [[1.5], [2.5]]


def test_ragged_arrays_of_objects_are_lists_of_series():
    ragged = np.empty(2, dtype=object)
    ragged[:] = [np.arange(3.0), np.arange(5.0)]
    assert read(ragged).lengths.tolist() == [3, 5]
    ragged[:] = [np.ones((2, 3)), np.ones((2, 4))]
    assert read(ragged).values[1].shape == (4, 2)
    nested = np.empty((2, 2), dtype=object)
    nested[0] = [np.arange(3.0), np.arange(3.0) + 10]
    nested[1] = [np.arange(4.0), np.arange(4.0) + 10]
    assert read(nested).values[1].tolist() == [[0, 10], [1, 11], [2, 12], [3, 13]]
    numbers = np.array([[1, 2, None], [4, 5, 6]], dtype=object)
    np.testing.assert_array_equal(read(numbers).values[0][:, 0], [1, 2])


def test_structured_arrays_are_tables():
    array = np.array([(0, 1.5), (1, 2.5)], dtype=[("time", "i8"), ("v", "f8")])
    s = read(array)
    assert s.channels == ["v"]
    assert s.times[0].tolist() == [0, 1]
    nested = np.zeros(2, dtype=[("v", "f8", (3,))])
    with pytest.raises(ValueError, match="arrays in v"):
        read(nested)


def test_arrays_that_hold_no_series_are_refused():
    with pytest.raises(ValueError, match=r"data\.toarray\(\)"):
        read(scipy.sparse.csr_array(np.eye(3)))
    with pytest.raises(ValueError, match=r"arrays: "):
        read(np.float64(3))
    with pytest.raises(ValueError, match=r"arrays: .*datetime64"):
        read(np.array(["2024-01-01", "2024-01-02"], "datetime64[D]"))


def test_memory_maps_and_masked_arrays(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(12.0).reshape(2, 6))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    assert read(mapped).values[1][:, 0].tolist() == [6, 7, 8, 9, 10, 11]
    masked = np.ma.masked_equal(np.arange(12).reshape(2, 6), 7)
    assert np.isnan(read(masked).values[1][1, 0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_tensors(dtype):
    X = torch.arange(12).reshape(2, 6).to(dtype).requires_grad_()
    assert read(X).values[1][:, 0].tolist() == [6, 7, 8, 9, 10, 11]
    assert read([X[0], X[1, :3]]).lengths.tolist() == [6, 3]


def test_torch_data_sets_are_read_item_by_item():
    X = torch.arange(12.0).reshape(2, 1, 6)
    s = read(torch.utils.data.TensorDataset(X, torch.tensor([1, 0])))
    assert s.labels.tolist() == ["1", "0"]
    assert s.values[1][:, 0].tolist() == [6, 7, 8, 9, 10, 11]

    class Series(torch.utils.data.Dataset):
        def __len__(self):
            return 2

        def __getitem__(self, k):  # never raises IndexError
            return torch.full((1, 4), float(k))

    assert read(Series()).values[1][:, 0].tolist() == [1, 1, 1, 1]


def test_groups_of_a_table_are_refused():
    with pytest.raises(ValueError, match="DataFrameGroupBy"):
        read(LONG.groupby("id"))


def grid(dims, shape, **coords):
    return xr.DataArray(
        np.arange(np.prod(shape), dtype=float).reshape(shape), coords, dims
    )


def test_xarray_by_the_names_of_dimensions():
    days = pd.date_range("2024-01-01", periods=3)
    s = read(grid(("time", "station"), (3, 2), time=days, station=["a", "b"]))
    assert s.ids == ["a", "b"]
    assert s.values[1][:, 0].tolist() == [1, 3, 5]
    np.testing.assert_array_equal(s.times[0], days.to_numpy())
    s = read(grid(("sensor", "time"), (2, 3), sensor=["p", "q"]))
    assert s.channels == ["p", "q"]
    assert s.values[0].tolist() == [[0, 3], [1, 4], [2, 5]]
    s = read(grid(("trial", "channel", "time"), (2, 2, 3)))
    assert s.values[1].tolist() == [[6, 9], [7, 10], [8, 11]]
    assert read(grid(("x",), (4,))).values[0][:, 0].tolist() == [0, 1, 2, 3]


def test_xarray_dimensions_that_may_be_either_are_ambiguous():
    data = grid(("depth", "time"), (2, 3))
    with pytest.raises(AmbiguousError, match=r"id='depth'(?s:.)*channel='depth'"):
        read(data)
    assert read(data, id="depth").lengths.tolist() == [3, 3]
    assert read(data, channel="depth").channels == ["0", "1"]
    with pytest.raises(ValueError, match=r"lat, lon"):
        read(grid(("time", "lat", "lon"), (3, 2, 2)))
    with pytest.raises(ValueError, match=r"time=NAME"):
        read(grid(("p", "q"), (3, 2)))
    assert read(grid(("p", "channel"), (3, 2)), time="p").lengths.tolist() == [3]


def test_xarray_data_sets_have_variables_as_channels():
    data = xr.Dataset(
        {
            "u": (("station", "time"), [[1.0, 2, 3], [4.0, 5, 6]]),
            "v": (("time", "station"), [[7.0, 8], [9.0, 10], [11.0, 12]]),
            "label": (("station",), ["x", "y"]),
        },
        {"station": ["a", "b"], "time": [0, 10, 20]},
    )
    s = read(data)
    assert s.channels == ["u", "v"]
    assert s.ids == ["a", "b"]
    assert s.values[1].tolist() == [[4, 8], [5, 10], [6, 12]]
    assert s.labels.tolist() == ["x", "y"]
    assert read(data, values="v").channels == ["v"]


def test_xarray_times_are_read_as_those_of_tables():
    days = ["2024-01-03", "2024-01-01", "2024-01-02"]
    for times in (days, pd.to_datetime(days)):
        s = read(grid(("time",), (3,), time=times))
        assert s.values[0][:, 0].tolist() == [1, 2, 0]
        assert s.times[0][0] == np.datetime64("2024-01-01")
    with pytest.raises(ValueError, match=r"xarray.*duplicates="):
        read(grid(("time",), (3,), time=[1, 1, 2]))
    twice = grid(("time",), (3,), time=[1, 1, 2])
    assert read(twice, time="").values[0][:, 0].tolist() == [0, 1, 2]
    assert read(twice, duplicates="last").values[0][:, 0].tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"layout="):
        read(twice, layout="wide")


def test_xarray_channels_of_several_variables():
    both = (("time", "axis"), [[1.0, 2], [3.0, 4], [5.0, 6]])
    s = read(xr.Dataset({"acc": both, "gyr": both}, {"axis": ["x", "y"]}))
    assert s.channels == ["acc_x", "acc_y", "gyr_x", "gyr_y"]
    assert s.values[0][1].tolist() == [3, 4, 3, 4]
    assert read(xr.Dataset({"acc": both})).values[0].tolist() == both[1]
    data = xr.Dataset(
        {"u": (("time", "depth"), both[1]), "v": (("time", "depth"), both[1])}
    )
    with pytest.raises(AmbiguousError, match=r"id='depth'(?s:.)*channel='depth'"):
        read(data)
    assert read(data, id="depth").channels == ["u", "v"]
    assert read(data, channel="depth").channels == ["u_0", "u_1", "v_0", "v_1"]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_tensors_are_arrays_everywhere(dtype):
    X = torch.arange(12).reshape(2, 1, 6).to(dtype).requires_grad_()
    for given in (X, list(X)):
        values = Sequences.from_arrays(given).values
        assert values[1][:, 0].tolist() == [6, 7, 8, 9, 10, 11]


def test_complex_numbers_and_halves_of_characters_are_refused_by_name():
    with pytest.raises(ValueError, match="column 'v' holds complex numbers"):
        read(pd.DataFrame({"time": [0, 1], "v": [1 + 2j, 2]}))
    with pytest.raises(ValueError, match="'v' holds "):
        read(pd.DataFrame({"time": [0, 1], "v": [1 + 2j, 2]}, dtype=object))
    frame = pd.DataFrame({"id": ["a\ud800", "b"], "v": [1.0, 2]}, dtype=object)
    with pytest.raises(ValueError, match="half of a character"):
        read(frame, id="id")
