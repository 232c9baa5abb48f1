"""Names of columns that are times."""

import datetime as dt

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temporal_jepa.config import ReadOptions
from temporal_jepa.data import read
from temporal_jepa.data.tables.header_times import names_as_times
from temporal_jepa.data.tables.readings import AmbiguousError

MOMENTS = st.lists(
    st.datetimes(dt.datetime(1969, 1, 1), dt.datetime(2068, 12, 31)),
    min_size=2,
    max_size=6,
)


def iso(found):
    return np.datetime_as_string(found.astype("datetime64[s]")).tolist()


@pytest.mark.parametrize(
    "names",
    [
        ["2015-07-31", "2015-08-01", "2015-08-03"],
        ["7/31/15", "8/1/15", "8/3/15"],
        ["31.07.2015", "01.08.2015", "03.08.2015"],
        ["20150731", "20150801", "20150803"],
        ["X2015.07.31", "X2015.08.01", "X2015.08.03"],
        ["2015-07-31 00:00:00", "2015-08-01 00:00:00", "2015-08-03 00:00:00"],
        ["Jul 31, 2015", "Aug 1, 2015", "Aug 3, 2015"],
    ],
)
def test_names_that_are_days(names):
    assert iso(names_as_times(names, ReadOptions())) == [
        "2015-07-31T00:00:00",
        "2015-08-01T00:00:00",
        "2015-08-03T00:00:00",
    ]


@pytest.mark.parametrize(
    "names",
    [
        ["2015-07", "2015-08", "2016-01"],
        ["201507", "201508", "201601"],
        ["Jul-15", "Aug-15", "Jan-16"],
        ["2015 Jul", "2015 Aug", "2016 Jan"],
        ["July 2015", "August 2015", "January 2016"],
        ["2015M07", "2015M08", "2016M01"],
    ],
)
def test_names_that_are_months_of_years(names):
    assert iso(names_as_times(names, ReadOptions())) == [
        "2015-07-01T00:00:00",
        "2015-08-01T00:00:00",
        "2016-01-01T00:00:00",
    ]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["Jan", "Mar", "Feb"], [1, 3, 2]),
        (["Nov", "Dec", "Jan"], [11, 12, 13]),
        (["Mo", "Di", "Mi"], [0, 1, 2]),
        (["00:00", "01:00", "13:30"], [0, 3600, 48600]),
        (["22:00", "23:00", "00:00"], [79200, 82800, 86400]),
        (["11 AM", "12 PM", "1 PM"], [39600, 43200, 46800]),
        (["0h", "1h", "2h"], [0, 3600, 7200]),
        (["h0", "h1", "h10"], [0, 3600, 36000]),
        (["30-Jan", "31-Jan", "1-Feb"], [29, 30, 31]),
    ],
)
def test_names_that_are_numbers_of_time(names, found):
    assert names_as_times(names, ReadOptions()).tolist() == found


@pytest.mark.parametrize(
    "names",
    [
        ["a", "b"],
        ["t0", "t1"],
        ["1", "2", "3"],
        ["x_1", "x_2"],
        ["2015-07-31", "total"],
        ["2015-07-31", "Aug 2015"],
        ["mar", "temp"],
        [],
    ],
)
def test_names_that_are_no_times(names):
    assert names_as_times(names, ReadOptions()) is None


@pytest.mark.parametrize("names", [["1677", "2015"], ["X1677", "X2015"]])
def test_names_that_are_years(names):
    found = names_as_times(names, ReadOptions())
    assert iso(found) == ["1677-01-01T00:00:00", "2015-01-01T00:00:00"]


def test_months_of_years_may_be_in_any_order():
    found = names_as_times(["Sep-97", "Jul-97", "Aug-97"], ReadOptions())
    assert iso(found)[0] == "1997-09-01T00:00:00"
    with pytest.raises(ValueError, match="four digits"):
        names_as_times(["Sep-07", "Jul-07", "Aug-07"], ReadOptions())


def test_names_whose_day_and_month_can_be_exchanged_are_a_question():
    names = ["1/2/2020", "1/3/2020", "1/4/2020"]
    with pytest.raises(AmbiguousError):
        names_as_times(names, ReadOptions())
    found = names_as_times(names, ReadOptions(date_order="mdy"))
    assert iso(found)[2] == "2020-01-04T00:00:00"


@pytest.mark.parametrize(
    "form",
    ["%Y-%m-%d", "%m/%d/%y", "X%Y.%m.%d", "%Y%m%d", "%Y-%m", "%b %Y", "%d.%m.%Y %H:%M"],
)
@given(moments=MOMENTS)
@settings(max_examples=30, deadline=None)
def test_names_in_any_format_come_back_or_are_asked_for(form, moments):
    names = [moment.strftime(form) for moment in moments]
    try:
        found = names_as_times(names, ReadOptions())
    except AmbiguousError:
        assert form == "%m/%d/%y"
        return
    except ValueError:  # years of two digits around 1999 and 2041
        assert "%y" in form
        return
    truth = [dt.datetime.strptime(name, form) for name in names]
    assert (found.astype("datetime64[us]") == np.array(truth, "datetime64[us]")).all()


def test_the_order_of_dates_that_name_columns_is_noted():
    names = ["id", "13/01/2024", "14/01/2024", "15/01/2024"]
    frame = pd.DataFrame([["a", 1, 2, 3], ["b", 3, 2, 5]], columns=names)
    notes = read(frame).notes
    assert "dates in 'column names' are read with the day first" in notes
