"""What a column of time holds: the right moment, or a question."""

import datetime as dt
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temporal_jepa.config import ReadOptions
from temporal_jepa.data import read
from temporal_jepa.data.tables.readings import AmbiguousError
from temporal_jepa.data.tables.time_columns import TimeColumns, candidates
from temporal_jepa.data.tables.times import read_times


def times(data, codes=None, notes=None, **options):
    """The times of a text of a table or a frame, read from its best candidate."""
    frame = pd.read_csv(io.StringIO(data)) if isinstance(data, str) else data
    given_options = ReadOptions(**options)
    best = candidates(frame, given_options)[0]
    notes = [] if notes is None else notes
    codes = np.zeros(len(frame), int) if codes is None else codes
    return read_times(frame, best, given_options, notes, codes)


def column(*texts, **options):
    return times(pd.DataFrame({"time": texts, "v": 1.0}), **options)


def iso(found):
    assert found.dtype.kind == "M"
    return np.datetime_as_string(found.astype("datetime64[s]")).tolist()


def best(text):
    frame = pd.read_csv(io.StringIO(text))
    found = candidates(frame, ReadOptions())
    return (found[0].names, found[0].kind) if found else None


# One text


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-01-31", "2024-01-31"),
        ("2024-1-5 9:05", "2024-01-05T09:05"),
        ("2024/01/31T10:00:00", "2024-01-31T10"),
        ("2024-01-31 10:00:00,123", "2024-01-31T10:00:00.123"),
        ("2024-01-31T10:00:00.123456789", "2024-01-31T10:00:00.123456789"),
        ("2024-01-31 24:00:00", "2024-02-01"),
        ("2024-06-30 23:59:60", "2024-07-01"),
        ("2024-01-31T10:00:00Z", "2024-01-31T10"),
        ("2024-01-31T10:00:00+05:30", "2024-01-31T04:30"),
        ("2024-01-31T10:00:00-0800", "2024-01-31T18"),
        ("2024-01-31T10:00+01:00[Europe/Paris]", "2024-01-31T09"),
        ("2024-01-31-10.30.00", "2024-01-31T10:30"),
        ("31.01.2024 10:30", "2024-01-31T10:30"),
        ("05.01.24", "2024-01-05"),
        ("31/01/2024 12:05 AM", "2024-01-31T00:05"),
        ("01/31/2024 12:05 p.m.", "2024-01-31T12:05"),
        ("01/31/1999", "1999-01-31"),
        ("31-01-99", "1999-01-31"),
        ("Jan 5, 2024", "2024-01-05"),
        ("July 4th, 2024 at 5:30 pm", "2024-07-04T17:30"),
        ("5 Jan 2024 10:00 PM", "2024-01-05T22"),
        ("Friday, 5 January 2024", "2024-01-05"),
        ("Fri, 05 Jan 2024 10:00:00 +0100", "2024-01-05T09"),
        ("Fri Jan  5 10:00:00 2024", "2024-01-05T10"),
        ("Fri Jan  5 10:00:00 UTC 2024", "2024-01-05T10"),
        ("05JAN2024:10:00:00", "2024-01-05T10"),
        ("10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36"),
        ("05-Jan-24", "2024-01-05"),
        ("2024-Jan-05", "2024-01-05"),
        ("5. März 2024", "2024-03-05"),
        ("mercredi 5 juin 2024", "2024-06-05"),
        ("5 de enero de 2024", "2024-01-05"),
        ("2024年1月5日", "2024-01-05"),
        ("20240131T235950Z", "2024-01-31T23:59:50"),
        ("20240131 10:00:00", "2024-01-31T10"),
        ("2024-W03-2", "2024-01-16"),
        ("2020-W53", "2020-12-28"),
        ("2024-123", "2024-05-02"),
        ("2024Q2", "2024-04-01"),
        ("Q2 2024", "2024-04-01"),
        ("2024-03", "2024-03-01"),
        ("03/2024", "2024-03-01"),
        ("2024M03", "2024-03-01"),
        ("March 2024", "2024-03-01"),
        ("Jan-15", "2015-01-01"),
        ("1066-10-14", "1066-10-14"),
        ("9999-12-31", "9999-12-31"),
    ],
)
def test_a_text_is_its_moment(text, moment):
    assert column(text)[0] == np.datetime64(moment)


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-30",
        "2024-13-01",
        "31/02/2024",
        "2023-W53",
        "2023-366",
        "2024Q5",
        "2024-01-31 25:00",
        "2024-01-31 10:60",
        "13:00 PM",
        "soon",
        "24:61",
    ],
)
def test_what_no_calendar_and_no_clock_has_is_refused(text):
    with pytest.raises(ValueError, match=r"(?s)'time'.*data row 1.*time=''"):
        column(text)


def test_each_row_has_its_own_offset():
    found = column("2024-10-27T02:59:50+02:00", "2024-10-27T02:00:00+01:00")
    assert iso(found) == ["2024-10-27T00:59:50", "2024-10-27T01:00:00"]


def test_the_name_of_a_time_zone_is_refused():
    with pytest.raises(ValueError, match="'CET'"):
        column("2024-01-31 10:00 CET")


def test_times_without_an_offset_among_others_are_noted():
    notes = []
    found = column("2024-01-31T10:00+01:00", "2024-01-31T10:00", notes=notes)
    assert iso(found) == ["2024-01-31T09:00:00", "2024-01-31T10:00:00"]
    assert any("1 times in 'time' have no offset" in note for note in notes)


def test_rows_without_a_time_are_named():
    with pytest.raises(ValueError, match=r"(?s)2 rows.*data row 2.*time=''"):
        column("2024-01-31", None, "2024-02-01", " ")


def test_a_missing_value_of_a_date_is_named():
    for values in (["2024-01", None], pd.PeriodIndex(["2024-01", None], freq="M")):
        with pytest.raises(ValueError, match=r"(?s)'time'.*data row 2"):
            column(*values)


def test_one_wrong_row_is_named():
    days = [f"2024-01-{k:02}" for k in range(1, 20)]
    with pytest.raises(ValueError, match=r"'unknown' in data row 20"):
        column(*days, "unknown")


# Day and month


def test_one_value_proves_the_order_of_all():
    assert iso(column("12/01/24", "13/01/24")) == [
        "2024-01-12T00:00:00",
        "2024-01-13T00:00:00",
    ]
    assert iso(column("01/12/2024", "01/13/2024"))[0] == "2024-01-12T00:00:00"


@pytest.mark.parametrize("mark", ["/", "-"])
def test_day_and_month_that_can_be_exchanged_are_a_question(mark):
    texts = [f"12{mark}01{mark}2024", f"01{mark}02{mark}2024"]
    with pytest.raises(AmbiguousError) as caught:
        column(*texts)
    shown = {r.options["date_order"]: r.rows for r in caught.value.readings}
    assert shown["dmy"] == [(texts[0], "2024-01-12"), (texts[1], "2024-02-01")]
    assert shown["mdy"] == [(texts[1], "2024-01-02"), (texts[0], "2024-12-01")]
    assert iso(column(*texts, date_order="mdy"))[0] == "2024-12-01T00:00:00"


def test_two_orders_in_one_column_are_refused_with_both_values():
    with pytest.raises(ValueError, match=r"(?s)'01/22/2024'.*'13/01/2024'"):
        column("13/01/2024", "01/22/2024")


def test_an_option_that_a_value_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"(?s)'13/01/2024'.*date_order='mdy'"):
        column("12/01/2024", "13/01/2024", date_order="mdy")
    with pytest.raises(ValueError, match="date_order='ymd'"):
        column("13/01/2024", date_order="ymd")
    assert iso(column("2024-01-12", date_order="ymd")) == ["2024-01-12T00:00:00"]


@pytest.mark.parametrize(
    ("texts", "options"),
    [
        (["2024-01-12", "2024-01-13"], {"date_order": "dmy"}),
        (["2024-01-12"] * 20000, {"date_order": "dmy"}),
        (["12 Jan 2024", "13 Jan 2024"], {"date_order": "mdy"}),
        ([1, 2], {"date_order": "dmy"}),
        ([20240113, 20240114], {"date_order": "mdy"}),
        (["10:30", "10:40"], {"date_order": "dmy"}),
        (["10:30", "10:40"], {"time_unit": "s"}),
        (["1 day 10:30:00", "1 day 10:40:00"], {"time_unit": "s"}),
        (pd.to_datetime(["2024-01-12", "2024-01-13"]), {"date_order": "ymd"}),
        (pd.to_timedelta([1, 2], unit="s"), {"time_unit": "ms"}),
    ],
)
def test_an_option_that_a_column_does_not_need_is_refused(texts, options):
    (name,) = options
    with pytest.raises(ValueError, match=f"need no {name}=.*leave it out"):
        column(*texts, **options)


@pytest.mark.parametrize(
    "options", [{"date_order": "dmy"}, {"time_unit": "s"}, {"duplicates": "mean"}]
)
def test_an_option_of_times_is_refused_without_any(options):
    frame = pd.DataFrame({"v": [1.5, 2.0, 3.0]})
    with pytest.raises(ValueError, match="no column is the time; leave it out"):
        read(frame, **options)


def test_dates_that_are_the_same_in_every_order_need_no_choice():
    assert iso(column("01/01/2024", "02/02/2024"))[1] == "2024-02-02T00:00:00"


def test_dots_mean_day_first():
    assert iso(column("01.02.2024", "02.02.2024"))[0] == "2024-02-01T00:00:00"


def test_dots_mean_day_first_in_any_order_of_rows():
    found = column("01.01.2000", "01.02.2000", "02.01.2000")
    assert iso(found)[1] == "2000-02-01T00:00:00"
    assert column("01.31.2000")[0] == np.datetime64("2000-01-31")


def test_two_digits_between_dashes_can_be_the_year():
    with pytest.raises(AmbiguousError) as caught:
        column("24-01-05", "24-01-06")
    orders = {reading.options["date_order"] for reading in caught.value.readings}
    assert {"dmy", "ymd"} <= orders
    found = column("24-01-05", "24-01-06", date_order="ymd")
    assert iso(found)[0] == "2024-01-05T00:00:00"


def test_equal_steps_in_one_order_alone_are_likely():
    notes = []
    days = pd.date_range("2023-12-11", periods=5, freq="28D")
    found = column(*days.strftime("%m/%d/%Y"), notes=notes)
    assert iso(found)[0] == "2023-12-11T00:00:00"
    assert any("date_order='dmy'" in note for note in notes)


@pytest.mark.parametrize("year", [1969, 1999, 2000, 2068])
def test_two_digit_years_are_those_of_posix(year):
    notes = []
    found = column(f"31.12.{year % 100:02}", notes=notes)
    assert found[0] == np.datetime64(f"{year}-12-31")
    assert any("1969 to 2068" in note for note in notes)


def test_years_of_two_centuries_are_refused():
    with pytest.raises(ValueError, match=r"'time'.*four digits"):
        column("31.12.66", "31.12.75")
    with pytest.raises(ValueError, match=r"'YY'.*four digits"):
        times("YY,MM,v\n66,1,0\n75,1,0\n")
    assert iso(column("31.12.99", "31.12.05"))[1] == "2005-12-31T00:00:00"


FORMATS = [
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y/%m/%d %H:%M",
    "%Y.%m.%d",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y %H:%M",
    "%m-%d-%Y %H:%M",
    "%m/%d/%Y %I:%M %p",
    "%d/%m/%y",
    "%m/%d/%y %H:%M:%S",
    "%d-%b-%Y",
    "%d %B %Y %H:%M",
    "%B %d, %Y",
    "%b %d %Y %I:%M:%S %p",
    "%a, %d %b %Y %H:%M:%S +0000",
    "%a %b %d %H:%M:%S %Y",
    "%Y%m%d",
    "%Y%m%dT%H%M%S",
    "%Y%m%d%H%M%S",
    "%Y%m%d%H%M",
    "%G-W%V-%u",
    "%Y-%j",
    "%Y-%m",
    "%B %Y",
    "%d%b%Y:%H:%M:%S",
]
MOMENTS = st.lists(
    st.datetimes(dt.datetime(1969, 1, 1), dt.datetime(2068, 12, 31)),
    min_size=1,
    max_size=6,
)


@pytest.mark.parametrize("form", FORMATS)
@given(moments=MOMENTS)
@settings(max_examples=30, deadline=None)
def test_dates_in_any_format_come_back_or_are_asked_for(form, moments):
    texts = [moment.strftime(form) for moment in moments]
    truth = [dt.datetime.strptime(text, form) for text in texts]
    try:
        found = column(*texts)
    except AmbiguousError:
        assert form[1] in "dm"
        return
    except ValueError:  # years of two digits around 1999 and 2041
        assert "%y" in form
        return
    expected = [np.datetime64(moment.replace(tzinfo=None)) for moment in truth]
    assert found.tolist() == np.array(expected, found.dtype).tolist()


@given(moments=MOMENTS)
@settings(deadline=None)
def test_values_of_dates_come_back(moments):
    truth = np.array(moments, "datetime64[us]")
    frames = [
        pd.DataFrame({"p": moments}, dtype=object),
        pd.DataFrame({"p": truth}),
        pd.DataFrame({"p": pd.DatetimeIndex(truth).tz_localize("UTC")}),
    ]
    for frame in frames:
        assert (times(frame).astype(truth.dtype) == truth).all()


# Values of dates


@pytest.mark.parametrize(
    "values",
    [
        pd.period_range("2024-01-01", periods=2, freq="D"),
        [dt.date(2024, 1, 1), dt.date(2024, 1, 2)],
        pd.Categorical(["2024-01-01", "2024-01-02"]),
        [pd.Timestamp("2024-01-01"), "2024-01-02"],
        np.array(["2024-01-01", "2024-01-02"], "datetime64[s]"),
        pd.DatetimeIndex(["2024-01-01", "2024-01-02"], tz="Europe/Paris")
        + pd.Timedelta("1h"),
    ],
)
def test_dates_of_any_type_are_dates(values):
    found = times(pd.DataFrame({"p": values, "v": 1.0}))
    assert iso(found) == ["2024-01-01T00:00:00", "2024-01-02T00:00:00"]


def test_dates_of_arrow_are_dates():
    pa = pytest.importorskip("pyarrow")
    day = pd.array([dt.date(2024, 1, 1)], dtype=pd.ArrowDtype(pa.date32()))
    utc = pd.ArrowDtype(pa.timestamp("us", "UTC"))
    moment = pd.array([dt.datetime(2024, 1, 1)], dtype=utc)
    for values in (day, moment):
        assert iso(times(pd.DataFrame({"p": values}))) == ["2024-01-01T00:00:00"]


def test_durations_are_seconds():
    found = times(pd.DataFrame({"time": pd.to_timedelta([1, 2], unit="h")}))
    assert found.tolist() == [3600, 7200]
    assert column("0 days 00:00:01.5", "1 days 00:00:00").tolist() == [1.5, 86400]
    assert column("23:59:00", "100:00:00").tolist() == [86340, 360000]


def test_minutes_that_begin_anew_are_refused():
    with pytest.raises(ValueError, match=r"(?s)'time'.*data row 3.*time=''"):
        column("59:58.5", "59:59.5", "00:00.5")
    frame = pd.DataFrame({"time": ["59:58.5", "59:59.5", "00:00.5"]})
    found = times(frame, codes=np.array([0, 0, 1]))
    assert found.tolist() == [3598.5, 3599.5, 0.5]


def test_a_clock_with_dots():
    assert column("18.10.12", "18.20.00", "19.00.00").tolist() == [65412, 66000, 68400]
    table = "Date,Time,v\n10/30/2004,18.10.12,1\n10/30/2004,18.20.00,1\n"
    assert iso(times(table))[0] == "2004-10-30T18:10:12"


@pytest.mark.parametrize(
    ("name", "moment"),
    [
        ("Date (MM/DD/YYYY)", "2024-01-02"),
        ("date dd/mm/yyyy", "2024-02-01"),
        ("DDMMYY", "2024-02-01"),
    ],
)
def test_the_name_of_a_column_spells_the_order(name, moment):
    found = times(pd.DataFrame({name: ["01/02/2024"]}))
    assert found[0] == np.datetime64(moment)


def test_durations_of_two_parts_are_a_question():
    with pytest.raises(AmbiguousError):
        column("05:10", "75:10")
    assert column("05:10", "75:10", time_unit="s").tolist() == [310, 4510]
    assert column("05:10", "75:10", time_unit="min").tolist() == [18600, 270600]
    assert column("5:10.5", "75:10.0").tolist() == [310.5, 4510]


def test_years_that_nanoseconds_do_not_hold_do_not_wrap():
    found = column("1500-01-01", "2024-01-01", "2500-01-01")
    assert (found[1:] > found[:-1]).all()
    assert iso(found)[2] == "2500-01-01T00:00:00"


# Clock times


def test_a_clock_passes_midnight_in_the_order_of_the_file():
    notes = []
    found = column("23:58", "23:59", "00:00", "00:01", notes=notes)
    assert found.tolist() == [86280, 86340, 86400, 86460]
    assert any("order of the file" in note for note in notes)


def test_a_clock_begins_anew_in_each_series():
    frame = pd.DataFrame({"time": ["22:00", "23:00", "00:30", "22:00", "01:00"]})
    found = times(frame, codes=np.array([0, 0, 0, 1, 1]))
    assert found.tolist() == [79200, 82800, 88200, 79200, 90000]


def test_a_clock_of_unknown_series_is_of_one_day():
    frame = pd.DataFrame({"time": ["08:00", "09:00", "08:30"]})
    columns = TimeColumns(("time",), "clock", True)
    found = read_times(frame, columns, ReadOptions(), [])
    assert found.tolist() == [28800, 32400, 30600]


def test_a_clock_that_goes_back_is_refused():
    with pytest.raises(ValueError, match=r"(?s)'time'.*data row 3.*time='DATE,CLOCK'"):
        column("08:00", "09:00", "08:30")


def test_digits_of_a_clock_pass_midnight():
    frame = pd.DataFrame({"time": [2357, 2358, 2359, 0, 1, 2]})
    assert times(frame).tolist() == [86220, 86280, 86340, 86400, 86460, 86520]
    frame = pd.DataFrame({"time": [235958, 235959, 0, 1]})
    assert times(frame).tolist() == [86398, 86399, 86400, 86401]


@pytest.mark.parametrize(
    "numbers", [[0, 1, 2], [0, 100, 200], range(50, 300), range(0, 86400, 600)]
)
def test_counts_are_no_clock(numbers):
    frame = pd.DataFrame({"time": list(numbers)})
    assert times(frame).tolist() == list(numbers)


# Digits


@pytest.mark.parametrize(
    ("numbers", "moment"),
    [
        ([20240130235950, 20240131000000], "2024-01-30T23:59:50"),
        ([202401302359, 202401310000], "2024-01-30T23:59"),
        ([2024013023, 2024013100], "2024-01-30T23"),
        ([20240131, 20240201], "2024-01-31"),
        ([31012024, 1022024], "2024-01-31"),
        ([1312024, 2012024], "2024-01-31"),
        ([2024366, 2024365], "2024-12-31"),
        ([20240131.0, 20240201.0], "2024-01-31"),
    ],
)
def test_digits_under_the_name_of_a_time_are_dates(numbers, moment):
    notes = []
    found = column(*numbers, notes=notes)
    assert found[0] == np.datetime64(moment)
    assert any("time_unit=" in note for note in notes)


def test_digits_of_two_orders_are_a_question():
    with pytest.raises(AmbiguousError):
        column(1022024, 3042024)
    found = column(1022024, 3042024, date_order="dmy")
    assert iso(found)[1] == "2024-04-03T00:00:00"


@pytest.mark.parametrize(
    "numbers", [[1706659190, 1706659200], [1706659190000, 1706659200000], [0, 20240131]]
)
def test_other_numbers_stay_as_they_are(numbers):
    assert column(*numbers).tolist() == numbers


def test_units_of_numbers():
    assert column(0, 2, time_unit="h").tolist() == [0, 7200]
    assert column(0, 2, time_unit="0.5").tolist() == [0, 1]
    assert column(20240131, 20240132, time_unit="s").tolist() == [20240131, 20240132]
    found = column(1706659190000, 1706659190500, time_unit="ms")
    assert found[1] == np.datetime64("2024-01-30T23:59:50.500")
    found = column(45292.5, 45293.0, time_unit="excel")
    assert iso(found) == ["2024-01-01T12:00:00", "2024-01-02T00:00:00"]
    found = column(2460000.5, 2460001.0, time_unit="julian")
    assert iso(found) == ["2023-02-25T00:00:00", "2023-02-25T12:00:00"]
    with pytest.raises(ValueError, match="'time' holds dates"):
        column("2024-01-31", time_unit="h")
    with pytest.raises(ValueError, match=r"2400000\.5"):
        column(60000.0, 60001.0, time_unit="julian")


# Which columns


@pytest.mark.parametrize(
    ("text", "names", "kind"),
    [
        ("date,time,v\n2024-05-01,08:00:00,1\n", "date,time", "date+clock"),
        ("Time,Date,v\n1:00 PM,05/13/2024,1\n", "Date,Time", "date+clock"),
        ("fecha,hora,v\n2024-05-01,08:00,1\n", "fecha,hora", "date+clock"),
        ("date,hour,v\n2024-05-01,23,1\n", "date,hour", "date+clock"),
        ("date,time,v\n20240501,930,1\n", "date,time", "date+clock"),
        ("date,hour,minute,v\n2024-05-01,23,5,1\n", "date,hour,minute", "date+clock"),
        ("year,month,day,hour,v\n2024,1,1,0,5\n", "year,month,day,hour", "parts"),
        ("YY,MM,DD,hh,mm,v\n24,1,1,0,5,7\n", "YY,MM,DD,hh,mm", "parts"),
        ("year,month,day,time,v\n2013,1,1,517,5\n", "year,month,day,time", "parts"),
        ("year,doy,v\n2013,31,5\n", "year,doy", "parts"),
        ("day,hour,v\n1,22,5\n1,23,5\n2,0,5\n", "day,hour", "parts"),
        ("month,day,v\n1,31,5\n2,1,5\n", "month,day", "parts"),
        ("hour,minute,v\n1,58,5\n1,59,5\n", "hour,minute", "parts"),
        ("year,month,v\n2013,Feb,5\n", "year,month", "parts"),
        ("Time (s),v\n0.5,5\n", "Time (s)", "number"),
        ("unixTime,v\n5,5\n", "unixTime", "number"),
        ("date_heure,v\n2024-01-01,5\n", "date_heure", "date"),
        ("created,v\n2024-01-01 10:00,5\n", "created", "date"),
        ("birthday,t,v\n1990-01-02,0,1\n1990-01-02,1,1\n", "t", "number"),
        ("id,year,gdp\na,1990,5.5\na,1991,5.5\nb,1990,6.5\n", "year", "number"),
        ("time,v\n23:00,1\n", "time", "clock"),
        ("date,start,v\n2024-01-01,3,1\n", "date", "date"),
        ("stamp,date,time,v\n2024-01-01 10:00,2024-01-01,10:00,1\n", "stamp", "date"),
    ],
)
def test_the_best_columns_of_time(text, names, kind):
    assert best(text) == (tuple(names.split(",")), kind)


@pytest.mark.parametrize(
    "text",
    [
        "response_time,v\n1,1\n2,1\n",
        "version,v\n1.2.14,1\n1.2.15,1\n",
        "t1,t2\n0,1\n",
        "lifetime,v\n3,1\n",
        "month,day,v\n5,7,1.5\n5,3,1.5\n8,1,1.5\n8,4,1.5\n3,7,2\n",
        "size,v\n2024,1\n2024,2\n",
        "note,v\na 2024-01-01,1\n",
    ],
)
def test_what_is_no_time(text):
    assert best(text) is None


def test_parts_are_joined():
    found = times("YY,MM,DD,hh,mm,v\n24,1,31,23,5,7\n")
    assert iso(found) == ["2024-01-31T23:05:00"]
    found = times("year,month,day,time,v\n2013,1,1,517,5\n2013,1,1,2400,5\n")
    assert iso(found) == ["2013-01-01T05:17:00", "2013-01-02T00:00:00"]
    found = times("date,hour,v\n01.02.2024,24,1\n")
    assert iso(found) == ["2024-02-02T00:00:00"]
    found = times("date,time,v\n2024-05-01,93015,1\n")
    assert iso(found) == ["2024-05-01T09:30:15"]
    found = times("year,week,v\n2024,3,1\n")
    assert iso(found) == ["2024-01-15T00:00:00"]


def test_numbers_in_text_are_numbers():
    table = pd.DataFrame({"YY": ["2024"], "MM": ["01"], "DD": ["31"], "hh": ["05"]})
    assert iso(times(table)) == ["2024-01-31T05:00:00"]
    table = pd.DataFrame({"date": ["20240131"], "time": ["0905"]})
    assert iso(times(table)) == ["2024-01-31T09:05:00"]
    found = times(pd.DataFrame({"time": ["235958", "235959", "000000", "000001"]}))
    assert found.tolist() == [86398, 86399, 86400, 86401]


def test_months_of_two_digit_years_under_their_name():
    found = times("Month,v\nNov-98,1\nDec-98,1\nJan-99,1\n")
    assert iso(found)[2] == "1999-01-01T00:00:00"


def test_parts_without_a_year_are_seconds():
    table = "day,hour,v\n1,23,5\n2,0,5\n2,1,5\n"
    assert times(table).tolist() == [82800, 86400, 90000]
    table = "id,month,day,v\na,1,31,5\na,2,1,5\nb,1,31,5\nb,2,1,5\n"
    found = times(table, codes=np.array([0, 0, 1, 1]))
    assert np.diff(found[:2]).tolist() == [86400]
    with pytest.raises(ValueError, match=r"'month' \+ 'day' hold no year"):
        times(table)
    assert times("hour,minute,v\n22,58,5\n23,59,5\n").tolist() == [82680, 86340]


def test_impossible_parts_name_the_row():
    with pytest.raises(ValueError, match=r"(?s)data row 2.*month 2, day 30"):
        times("year,month,day,v\n2024,2,29,1\n2024,2,30,1\n")


def test_a_value_of_a_date_and_of_a_time_are_joined():
    frame = pd.DataFrame({"d": [dt.date(2024, 1, 1)], "time": [dt.time(1, 30)]})
    assert iso(times(frame)) == ["2024-01-01T01:30:00"]


def test_time_names_several_columns():
    text = "a,b,v\n10:00,2024-01-01,1\n"
    assert iso(times(text, time="a,b")) == ["2024-01-01T10:00:00"]
    frame = pd.DataFrame({"a,b": ["2024-01-01"], "a": 1.0, "b": 2.0})
    assert iso(times(frame, time="a,b")) == ["2024-01-01T00:00:00"]
    with pytest.raises(ValueError, match="'a,v'"):
        times(text, time="a,v")
    with pytest.raises(ValueError, match="'c'"):
        times(text, time="a,c")
    assert candidates(frame, ReadOptions(time="")) == []


def test_a_candidate_says_its_columns():
    assert str(TimeColumns(("date", "time"), "date+clock", True)) == "'date' + 'time'"


@given(
    moments=st.lists(
        st.datetimes(
            dt.datetime(1990, 1, 1),
            dt.datetime(2060, 1, 1),
            timezones=st.integers(-14, 14).map(
                lambda hours: dt.timezone(dt.timedelta(hours=hours, minutes=30))
            ),
        ),
        min_size=1,
        max_size=6,
    )
)
@settings(deadline=None)
def test_offsets_become_utc(moments):
    found = column(*[moment.isoformat() for moment in moments])
    naive = [moment.astimezone(dt.UTC).replace(tzinfo=None) for moment in moments]
    assert (found.astype("datetime64[us]") == np.array(naive, "datetime64[us]")).all()


@pytest.mark.parametrize("mark", "/-")
@pytest.mark.parametrize("last", [2, 11, 16])
def test_seasons_are_no_months(mark, last):
    seasons = [f"{2000 + k}{mark}{k + 1:02}" for k in range(last)]
    with pytest.raises(ValueError, match="seasons of two years"):
        column(*seasons)


def test_months_are_no_seasons():
    assert iso(column("2000/01", "2000/02"))[1] == "2000-02-01T00:00:00"
    assert iso(column("2000/01"))[0] == "2000-01-01T00:00:00"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            ["1", "Total", "4"],
            "1 rows that are no time, the first 'Total' in data row 2",
        ),
        (["1", "2", "Total"], "'Total' looks like a footer: delete this row, or"),
        ([1, None, 4], "the first nan in data row 2; fill in the time or delete these"),
        ([1, None, None], r"the first nan in data row 2 \(all: 2, 3\)"),
        ([1, *[None] * 9], r"\(all: 2, 3, 4, 5, 6, \.\.\.\)"),
        (["2024-01-01", "Summe"], "'Summe' looks like a footer"),
        (["2024-01-01", "soon"], "the first 'soon' in data row 2; fill in the time"),
    ],
)
def test_rows_that_are_no_time_are_all_named(values, message):
    frame = pd.DataFrame({"time": values, "v": 1.0})
    with pytest.raises(ValueError, match=message):
        read(frame, time="time")


def test_the_question_on_durations_shows_how_each_is_read():
    with pytest.raises(AmbiguousError) as error:
        column("75:10", "76:20", "77:30")
    assert "1 h 15 min 10 s" in str(error.value.readings[0])
    assert "75 h 10 min 00 s" in str(error.value.readings[1])


def test_hr_beside_a_date_is_no_hour() -> None:
    frame = pd.DataFrame(
        {
            "id": ["a"] * 3 + ["b"] * 3,
            "date": ["2024-03-01", "2024-03-02", "2024-03-03"] * 2,
            "HR": [0, 1, 0, 1, 1, 0],
            "v": [1.5, 2.5, 3.5, 4.5, 5.5, 6.5],
        }
    )
    found = read(frame)
    assert found.channels == ["HR", "v"]
    assert found.ids == ["a", "b"]
