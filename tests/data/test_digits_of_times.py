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


@pytest.mark.parametrize(("name", "ways"), [("date", 3), ("time", 3)])
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


@pytest.mark.parametrize(
    ("texts", "day", "days"),
    [
        (["24-Jan", "24-Feb", "24-Mar"], "dmy", [23, 54, 83]),
        (["24-Jan", "25-Jan", "26-Jan"], "dmy", [23, 24, 25]),
        (["Jan-24", "Jan-25", "Jan-26"], "mdy", [23, 24, 25]),
    ],
)
def test_a_number_beside_a_month_is_a_year_or_a_day(texts, day, days):
    with pytest.raises(AmbiguousError, match="years or days") as error:
        times("time", texts)
    year, other = (reading.options for reading in error.value.readings)
    assert other == {"date_order": day}
    assert times("time", texts, **other).tolist() == days
    assert times("time", texts, **year).astype("datetime64[M]")[0] == np.datetime64(
        "2024-01"
    )


def test_clear_numbers_beside_a_month():
    assert times("time", ["1-Jan", "2-Jan", "3-Jan"]).tolist() == [0, 1, 2]
    assert times("time", ["24-Nov", "24-Dec", "25-Jan"])[2] == np.datetime64("2025-01")
    assert times("time", ["Jan-15", "Feb-15", "Mar-15"])[2] == np.datetime64("2015-03")


@pytest.mark.parametrize(
    "texts",
    [
        ["01-02-03", "02-02-03", "03-02-03", "04-02-03"],
        ["01/02/03", "01/03/03", "01/04/04"],
    ],
)
def test_the_year_can_be_first_where_two_digits_are_in_order(texts):
    with pytest.raises(AmbiguousError) as error:
        times("time", texts)
    orders = [reading.options["date_order"] for reading in error.value.readings]
    assert orders == ["dmy", "mdy", "ymd"]
    assert times("time", texts, date_order="ymd")[0] == np.datetime64("2001-02-03")


def test_a_name_spells_the_digits_of_a_clock():
    assert times("hhmm", [0, 100, 200, 300]).tolist() == [0, 3600, 7200, 10800]


@pytest.mark.parametrize(
    "form",
    [
        "{0:02}.01.2023 00:00 - {1:02}.01.2023 00:00",
        "2023-01-{0:02}T00:00Z/2023-01-{1:02}T00:00Z",
        "2023-01-{0:02} to 2023-01-{1:02}",
    ],
)
def test_intervals_are_read_as_their_beginning(form):
    frame = table("MTU", [form.format(k, k + 1) for k in range(1, 29)])
    found = read(frame)
    assert found.times[0][12] == np.datetime64("2023-01-13")
    assert "intervals in 'MTU' are read as the time when they begin" in found.notes


def test_ranges_of_numbers_are_no_times():
    frame = table("age", [f"{k} - {k + 9}" for k in range(0, 100, 10)])
    assert read(frame).times is None


def test_a_dash_between_date_and_clock_is_no_interval():
    found = times("time", ["2024-01-05 - 10:30", "2024-01-05 - 10:40"])
    assert found[1] == np.datetime64("2024-01-05T10:40")
