"""The container: its shapes, what it refuses, and that cutting and batching lose nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from temporal_jepa.data import Sequences, read


def series(*lengths, channels=2):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, channels)).astype(np.float32) for n in lengths]


def test_defaults_and_types():
    s = Sequences(series(3, 5), labels=[1.0, 2.0])
    assert len(s) == 2
    assert s.n_channels == 2
    assert s.ids == ["0", "1"]
    assert s.channels == ["0", "1"]
    assert s.labels.tolist() == ["1", "2"]
    assert s.lengths.dtype == np.int64
    assert s.lengths.tolist() == [3, 5]


@pytest.mark.parametrize(
    "X", [np.zeros((4, 3, 10)), [np.zeros((3, 10))] * 4], ids=["array", "list"]
)
def test_from_arrays_takes_time_last(X):
    s = Sequences.from_arrays(X, y=["a", "b", "a", "b"])
    assert s.values[0].shape == (10, 3)
    assert s.values[0].dtype == np.float32
    assert s.labels.tolist() == ["a", "b", "a", "b"]


def test_from_arrays_univariate_and_unequal():
    assert Sequences.from_arrays(np.arange(12).reshape(3, 4)).values[1][
        :, 0
    ].tolist() == [
        4,
        5,
        6,
        7,
    ]
    assert Sequences.from_arrays([[1, 2, 3], [4, 5]]).lengths.tolist() == [3, 2]


def test_a_float32_array_is_not_copied():
    X = np.zeros((2, 3, 10), dtype=np.float32)
    assert np.shares_memory(Sequences.from_arrays(X).values[1], X)


def test_class_labels_are_one_per_series_and_never_numbers_to_predict():
    x = np.zeros((3, 1, 4))
    names = Sequences.from_arrays(x, y=["b", "a", "b"])
    assert names.class_labels.tolist() == ["b", "a", "b"]
    assert read(names, task="classification").class_labels.shape == (3,)
    assert Sequences.from_arrays(x).class_labels is None
    numbers = Sequences.from_arrays(x, y=[0.5, 1.5, 2.5])
    assert read(numbers, task="regression").class_labels is None


def test_batch_pads_with_nan_at_the_end():
    s = Sequences(series(3, 5))
    batch = s.batch([1, 0])
    assert batch.shape == (2, 5, 2)
    np.testing.assert_array_equal(batch[0], s.values[1])
    np.testing.assert_array_equal(batch[1, :3], s.values[0])
    assert np.isnan(batch[1, 3:]).all()


def test_select_by_index_and_by_mask():
    s = Sequences(
        series(3, 5, 4),
        labels=["a", "b", "c"],
        ids=["x", "y", "z"],
        times=[np.arange(n) for n in (3, 5, 4)],
    )
    picked = s.select([2, 0])
    assert picked.ids == ["z", "x"]
    assert picked.labels.tolist() == ["c", "a"]
    assert len(picked.times[0]) == 4
    assert s.select(np.array([False, True, False])).ids == ["y"]


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=4),
    st.integers(1, 10),
    st.integers(1, 12),
)
def test_windows_are_views_of_the_right_place(lengths, length, stride):
    s = Sequences(series(*lengths))
    if length > max(lengths):
        with pytest.raises(ValueError, match="longer than the longest"):
            s.windows(length, stride)
        return
    w = s.windows(length, stride)
    for name, x in zip(w.ids, w.values, strict=True):
        i, start = map(int, name.split("@"))
        assert len(x) == min(length, lengths[i])
        np.testing.assert_array_equal(x, s.values[i][start : start + length])
        assert np.shares_memory(x, s.values[i])
    whole = [sum(n.startswith(f"{i}@") for n in w.ids) for i in range(len(s))]
    assert whole == [1 + max(n - length, 0) // stride for n in lengths]


def test_windows_leave_out_gaps_and_say_so():
    x = np.ones((12, 1), dtype=np.float32)
    x[4:8] = np.nan
    w = Sequences([x], labels=["a"], times=[np.arange(12)]).windows(4)
    assert w.ids == ["0@0", "0@8"]
    assert w.labels.tolist() == ["a", "a"]
    assert w.times[1].tolist() == [8, 9, 10, 11]
    assert "1 windows without one observed value are left out" in w.notes


def test_printing_sequences_shows_one_line_and_no_values():
    x, y = np.ones((4, 2)), np.ones((7, 2))
    shown = repr(Sequences([x, y], labels=["a", "b"], channels=["hr", "speed"]))
    assert (
        shown
        == "<Sequences: 2 series, 4 to 7 timesteps, 2 channels (hr, speed), labels>"
    )
    film = Sequences.from_arrays(np.zeros((2, 4, 5, 6, 3)) + np.arange(3.0))
    assert repr(film) == "<Sequences: 2 series, 4 timesteps, frames of 5 x 6 x 3>"


def test_an_index_gives_a_series_as_estimators_take_it_or_sequences():
    x, y = np.arange(8.0).reshape(4, 2), np.arange(14.0).reshape(7, 2)
    data = Sequences([x, y], labels=["a", "b"], ids=["one", "two"])
    np.testing.assert_array_equal(data[0], x.T)
    np.testing.assert_array_equal(data[-1], y.T)
    assert [series.shape for series in data] == [(2, 4), (2, 7)]
    for key in (slice(1, None), [1], np.array([False, True]), ([1], ...)):
        assert data[key].ids == ["two"]
        assert data[key].labels.tolist() == ["b"]
    with pytest.raises(IndexError, match="there are 2 series, got the index 2"):
        data[2]


@pytest.mark.parametrize("shape", [(3, 6, 5, 4, 1), (3, 6, 4, 2)])
def test_films_and_scenes_of_an_index_are_read_again(shape):
    data = Sequences.from_arrays(np.random.default_rng(0).random(shape))
    again = Sequences.from_arrays([*data, data[0][:2]])
    assert again.frame == data.frame
    assert again.lengths.tolist() == [6, 6, 6, 2]
    np.testing.assert_array_equal(again.values[1], data.values[1])


def test_a_list_of_batches_is_no_list_of_films():
    with pytest.raises(ValueError, match=r"expected X of shape \(n, channels, time\)"):
        Sequences.from_arrays([np.zeros((8, 3, 100)), np.zeros((8, 3, 100))])


def test_copies_are_named():
    x, y = np.arange(8.0).reshape(4, 2), np.ones((4, 2))
    data = Sequences([x, y, x.copy(), x[:3]], ids=["a", "b", "c", "d"])
    row = dict(data.summary())["identical"]
    assert row == "1 series with the values of another: a = c"
    assert "identical" not in dict(data[:2].summary())


def test_films_of_two_sizes_are_refused():
    films = [np.zeros((4, 6, 6, 1)), np.zeros((4, 5, 6, 1))]
    with pytest.raises(ValueError, match=r"one size .* \(5, 6, 1\), \(6, 6, 1\)"):
        Sequences.from_arrays(films)


def days(*texts):
    return np.array(texts, dtype="datetime64[ns]")


def test_summary_says_what_was_understood():
    x, y = series(4, 6)
    x[:, 1] = 7
    y[:, 1] = 7
    x[0, 0] = np.nan
    y[:, 0] = 1
    rows = dict(Sequences([x, y], labels=["a", "b"], ids=["one", "two"]).summary())
    assert rows["timesteps"] == "4 / 5 / 6 (min / median / max)"
    assert rows["missing"] == "5.00 %"
    assert rows["labels"] == "2: a (1), b (1)"
    assert rows["constant channels"] == "1: 1"


@pytest.mark.parametrize(
    ("times", "text", "value"),
    [
        (
            days("2024-01-01T00:00", "2024-01-01T00:10", "2024-01-01T00:20"),
            "10 min",
            600,
        ),
        (days("2024-01-01", "2024-01-02", "2024-01-05"), "2 d (median)", 172_800),
        (days("2024-01-01", "2024-02-01", "2024-03-01"), "1 month", 2_592_000),
        (days("2022-03-05", "2023-03-05", "2024-03-05"), "12 months", 31_579_200),
        (np.array([0.0, 0.1, 0.2]), "0.1", 0.1),
        (np.array([0, 2, 10]), "5 (median)", 5),
    ],
)
def test_the_interval_between_timesteps_is_a_fact(times, text, value):
    facts = {name: rest for name, *rest in Sequences(series(3), times=[times]).facts()}
    assert facts["interval"] == [text, pytest.approx(value)]


def test_single_timesteps_and_series_without_times_have_no_interval():
    assert "interval" not in dict(Sequences(series(3)).summary())
    one = Sequences(series(1), times=[np.arange(1)])
    assert "interval" not in dict(one.summary())


def wrong_times():
    return Sequences(series(3), times=[np.arange(4)])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sequences([]), "expected at least one series, got none"),
        (
            lambda: Sequences(series(3, 0)),
            "series '1': expected at least one timestep, got a series of length zero",
        ),
        (
            lambda: Sequences([np.zeros(3)]),
            r"expected shape \(time, channels\), got \(3,\)",
        ),
        (
            lambda: Sequences(series(3), labels=["a", "b"]),
            "expected 1 labels, one per series, got 2",
        ),
        (
            lambda: Sequences(series(3), labels=[float("nan")]),
            "label of series 0 is missing",
        ),
        (
            lambda: Sequences([*series(3), *series(3, channels=4)]),
            "expected 2 channels .* got 4 in .1.",
        ),
        (
            lambda: Sequences(series(3, 4), ids=["a"]),
            "expected 2 ids, one per series, got 1",
        ),
        (wrong_times, "expected times for each timestep, 3, got 4"),
        (
            lambda: Sequences.from_arrays(np.zeros((10, 100, 4))),
            "100 channels and only 4 timesteps: the axes look swap",
        ),
        (
            lambda: Sequences.from_arrays([np.zeros((50, 3)), np.zeros((60, 3))]),
            r"pass \[x.T for x in X\]",
        ),
        (
            lambda: Sequences.from_arrays([np.zeros((3, 40)), np.zeros((2, 40))]),
            r"got 2, 3 channels \(shapes \(3, 40\), \(2, 40\)\)",
        ),
        (
            lambda: Sequences.from_arrays(
                np.zeros((2, 9)), y=np.ma.masked_equal([0, 1], 1)
            ),
            "label of series 1 is miss",
        ),
        (lambda: Sequences.from_arrays(np.zeros(5)), r"for one series write X\[None\]"),
        (
            lambda: Sequences.from_arrays(np.zeros((0, 3, 5))),
            "at least one series in X, got none",
        ),
        (
            lambda: Sequences.from_arrays([["a", "b"]]),
            r"X\[0\]: expected numbers, got dtype <U1",
        ),
        (lambda: Sequences.from_arrays([[[1, 2], [3]]]), "unequal length as a list"),
        (lambda: Sequences.from_arrays(np.zeros((2, 3, 0))), "length zero"),
        (
            lambda: Sequences.from_arrays(np.zeros((2, 9)), y=np.zeros((2, 1))),
            r"labels of shape \(n,\), got \(2, 1\)",
        ),
        (lambda: Sequences(series(3)).windows(0), "at least 1 timestep, got 0"),
    ],
)
def test_bad_input_is_explained(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e39])
def test_inf_is_located(value):
    X = np.zeros((2, 3, 10))
    X[1, 2, 7] = value
    with pytest.raises(
        ValueError,
        match="1 values of series '1' are infinite in float32, the first at timestep 7 of chan",
    ):
        Sequences.from_arrays(X)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_masked_values_are_missing(dtype):
    X = np.ma.masked_equal(np.arange(24, dtype=dtype).reshape(2, 12), 3)
    for s in (
        read(X),
        read(list(X)),
        Sequences.from_arrays(X),
        read(X.T, layout="recording"),
    ):
        assert np.argwhere(np.isnan(s.values[0])).tolist() == [[3, 0]]
        assert s.values[0][4, 0] == 4


def test_more_channels_than_timesteps_is_only_a_note():
    assert (
        "more channels (30) than timesteps (20)"
        in Sequences.from_arrays(np.zeros((2, 30, 20))).notes[0]
    )


def test_a_channel_without_values_in_any_series_is_named():
    X = np.ones((3, 2, 10))
    X[:, 1] = np.nan
    with pytest.raises(
        ValueError,
        match=r"\(all NaN\) in channel '1'; leave it out",
    ):
        read(X)
    X[0, 1, 4] = 1  # one observed value is enough
    assert len(read(X)) == 3


@pytest.mark.parametrize(
    ("lengths", "stride", "left"), [((10, 7, 3), 4, 5), ((8,), 4, 0), ((8,), 3, 1)]
)
def test_ends_that_fill_no_window_are_counted(
    lengths: tuple[int, ...], stride: int, left: int
) -> None:
    notes = (
        Sequences([np.zeros((n, 1), np.float32) for n in lengths])
        .windows(4, stride)
        .notes
    )
    expected = (
        [f"{left} timesteps at the ends that fill no window are left out"]
        if left
        else []
    )
    assert [n for n in notes if "fill no window" in n] == expected


def test_dates_of_two_units_get_one_that_holds_them():
    near = np.array(["2024-01-01"], "datetime64[ns]")
    far = np.array(["2500-01-01"], "datetime64[us]")
    found = Sequences([np.zeros((1, 1))] * 2, times=[near, far]).times
    joined = np.concatenate(found).astype("datetime64[D]")
    assert joined.astype(str).tolist() == ["2024-01-01", "2500-01-01"]
