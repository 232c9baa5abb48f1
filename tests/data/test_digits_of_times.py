"""Digits that write months, days of two-digit years or clock times."""

import numpy as np
import pandas as pd
import pytest

from temporal_jepa.data import read
from temporal_jepa.data.tables.readings import AmbiguousError


def table(name, values):
    return pd.DataFrame({name: values, "v": np.arange(len(values)) * 0.5})


def times(name, values, **options):
    return read(table(name, values), **options).times[0]


@pytest.mark.parametrize("name", ["month", "time", "date", "Datum"])
def test_digits_of_months_are_months(name):
    months = [100 * year + month for year in (2023, 2024) for month in range(1, 13)]
    found = times(name, months)
    assert found[12] == np.datetime64("2024-01-01")
    assert found[23] == np.datetime64("2024-12-01")


def test_digits_of_days_of_two_digit_years():
    assert times("date", [240131, 240201, 240202, 240203, 240204])[1] == np.datetime64(
        "2024-02-01"
    )


@pytest.mark.parametrize(("name", "ways"), [("date", 2), ("time", 3)])
def test_digits_of_days_in_two_orders_are_a_question(name, ways):
    days = [230101 + k for k in range(24)]
    with pytest.raises(AmbiguousError) as error:
        times(name, days)
    assert len(error.value.readings) == ways
    for reading in error.value.readings:
        found = times(name, days, **reading.options)
        if reading.options == {"date_order": "ymd"}:
            assert found[23] == np.datetime64("2023-01-24")
    assert len(found) == 24


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("step", [202401, 202402, 202403]),
        ("time_ms", [240131, 240201, 240202]),
        ("time", [240131, 240140, 240199]),
        ("time", [100000, 100100, 100200]),
    ],
)
def test_counts_are_no_dates(name, values):
    assert times(name, values).dtype.kind in "if"


@pytest.mark.parametrize("tail", ["", "00"])
def test_clock_times_with_zeros_in_front(tail):
    found = times("time", [text + tail for text in ("0000", "0030", "0100", "2330")])
    assert found.tolist() == [0, 1800, 3600, 84600]


def test_counts_with_zeros_in_front_are_counts():
    found = times("time", ["0000", "0030", "0100", "0160"])
    assert found.tolist() == [0, 30, 100, 160]
