"""Text files of the UEA archive (.ts)."""

import numpy as np
import pytest

from temporal_jepa.data import read
from temporal_jepa.data.tables.readings import AmbiguousError


@pytest.fixture
def write(tmp_path):
    def _write(header, *rows):
        path = tmp_path / "a.ts"
        path.write_text("\n".join([*header, "@data", *rows, ""]))
        return path

    return _write


def test_header_with_tabs_and_capitals(write):
    s = read(
        write(["@problemName\tx", "@classLabel\ttrue\tUp\tdown"], "1,2:Up", "3,4:down")
    )
    assert s.labels.tolist() == ["Up", "down"]
    assert s.values[1][:, 0].tolist() == [3, 4]
    assert s.task == "classification"


def test_labels_with_colons(write):
    s = read(write(["@classLabel true a:1 a:2"], "1,2:3,4:a:1", "5,6:7,8:a:2"))
    assert s.labels.tolist() == ["a:1", "a:2"]
    assert s.values[1].tolist() == [[5, 7], [6, 8]]


def test_targets_are_numbers_to_predict(write):
    s = read(write(["@targetLabel true"], "1,2:0.25", "3,4:7.5"))
    assert s.labels.tolist() == ["0.25", "7.5"]
    assert s.task == "regression"


def test_a_missing_label_is_no_class(write):
    with pytest.raises(ValueError, match=r"a\.ts: line 4: the label is missing"):
        read(write(["@classLabel true"], "1,2:u", "3,4:?"))


def test_times_that_are_numbers(write):
    s = read(write(["@timeStamps true"], "(0,1.5),(10,?),(20,3.5)", "(5,4),(6,5)"))
    assert [t.tolist() for t in s.times] == [[0, 10, 20], [5, 6]]
    np.testing.assert_array_equal(s.values[0][:, 0], [1.5, np.nan, 3.5])


@pytest.mark.parametrize("date", ["2024-01-{}", "2024/01/{}"])
def test_times_that_are_dates(write, date):
    one = ",".join(f"({date.format(f'{k:02}')} 00:00:00,{k})" for k in (1, 2))
    two = ",".join(f"({date.format(f'{k:02}')} 00:00:00,{k})" for k in (2, 3))
    s = read(write(["@timeStamps true", "@classLabel true x y"], f"{one}:{two}:x"))
    days = np.array(["2024-01-01", "2024-01-02", "2024-01-03"], "datetime64[ns]")
    np.testing.assert_array_equal(s.times[0], days)
    np.testing.assert_array_equal(s.values[0], [[1, np.nan], [2, 2], [np.nan, 3]])
    assert s.labels.tolist() == ["x"]


def test_dates_long_ago_do_not_wrap(write):
    row = "(1500-01-01 00:00:00,1),(1500-01-02 00:00:00,2)"
    times = read(write(["@timeStamps true"], row)).times[0]
    assert str(times[0]).startswith("1500-01-01")
    assert times[0] < times[1]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("(0,1),(0,2)", "two values at one time"),
        ("(01/02/2024,1),(02/02/2024,2)", "01/02/2024"),
        ("(0,1),5", r"\(time,value\)"),
        ("(0,x)", "'x'"),
    ],
)
def test_bad_times_name_the_line(write, row, message):
    with pytest.raises(ValueError, match=rf"a\.ts: line 3: .*{message}"):
        read(write(["@timeStamps true"], row))


def test_channels_of_all_series_agree(write):
    with pytest.raises(ValueError, match=r"a\.ts: line 3: expected 2 channels"):
        read(write([], "1,2:3,4", "1,2"))


def test_a_label_that_the_header_does_not_name(write):
    s = read(write(["@univariate true"], "1,2,3:1", "4,5,6:2"))
    assert s.labels.tolist() == ["1", "2"]
    assert s.n_channels == 1
    path = write([], "1,2,3:1", "4,5,6:2")
    with pytest.raises(AmbiguousError, match=r"label='last'(?s:.)*label=''"):
        read(path)
    assert read(path, label="last").labels.tolist() == ["1", "2"]
    assert read(path, label="").n_channels == 2
    s = read(write(["@classLabel false"], "1,2,3:1,2,4"))
    assert s.labels is None
    assert s.values[0].tolist() == [[1, 1], [2, 2], [3, 4]]


def test_a_last_field_that_is_no_number_is_the_label(write):
    found = read(write(["@problemName x"], "1,2:up", "3,4:1"))
    assert found.labels.tolist() == ["up", "1"]
    assert "the last field is the label: not all are numbers" in found.notes
