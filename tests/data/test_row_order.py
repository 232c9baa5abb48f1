"""The order of rows: sorted by series and time, one for each time."""

import numpy as np
import pytest

from temporal_jepa.data.tables.row_order import in_order


def test_rows_are_sorted_within_their_series():
    notes = []
    when = np.array([3, 1, 2, 1])
    order = in_order(when, np.array([0, 1, 0, 0]), ["a", "b"], "error", notes)
    assert order.rows.tolist() == [3, 2, 0, 1]
    assert any("not in time order" in note for note in notes)


def test_rows_of_one_time():
    when = np.array([0, 1, 1, 1, 2])
    codes = np.zeros(5, int)
    matrix = np.array([[1.0, 5], [2, np.nan], [3, 7], [7, 8], [4, np.nan]])
    with pytest.raises(ValueError, match=r"(?s)'a'.*data rows 2 and 3.*duplicates="):
        in_order(when, codes, ["a"], "error", [], matrix)
    kept = {
        how: in_order(when, codes, ["a"], how, []).take(matrix)[:, 0].tolist()
        for how in ("first", "last", "mean")
    }
    assert kept == {"first": [1, 2, 4], "last": [1, 7, 4], "mean": [1, 4, 4]}
    mean = in_order(when, codes, ["a"], "mean", []).take(matrix)[:, 1]
    np.testing.assert_array_equal(mean, [5, 7.5, np.nan])
    same = np.ones((5, 2))
    same[:, 1] = np.nan
    notes: list[str] = []
    copies = in_order(when, codes, ["a"], "error", notes, same)
    assert copies.rows.tolist() == [0, 1, 4]
    assert (
        "2 rows at the time of another of the same series and with its values"
        in (notes[0])
    )
    with pytest.raises(ValueError, match=r"same values\); choose id='sensor'"):
        in_order(when, codes, ["a"], "error", [], same, advice=["id='sensor'"])


@pytest.mark.parametrize("days", [[0, 1, 2, 9], [0, 1, 2, 3]])
def test_unequal_steps_are_noted(days):
    notes = []
    when = np.datetime64("2024-01-01", "ns") + np.array(days, "timedelta64[D]")
    in_order(when, np.zeros(4, int), ["a"], "error", notes)
    assert any("largest 7 d" in note for note in notes) == (days[-1] == 9)


def test_months_are_equal_steps():
    notes = []
    when = np.array(["2024-01", "2024-02", "2024-03"], "datetime64[ns]")
    in_order(when, np.zeros(3, int), ["a"], "error", notes)
    assert notes == []
