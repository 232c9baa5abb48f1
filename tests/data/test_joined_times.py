"""Columns that are joined to one time: all of them understood, or an error."""

import itertools

import numpy as np
import pandas as pd
import pytest

from temporal_jepa.data import read
from temporal_jepa.data.tables.readings import AmbiguousError


def frame_of(days, values, names):
    rows = list(itertools.product(days, values))
    table = pd.DataFrame([[*day, value] for day, value in rows], columns=names)
    return table.assign(load=np.arange(len(rows)) * 0.5)


def minutes(table, time):
    """The minutes since the first day of a table read with this time."""
    found = read(table, time=time, id="").times[0]
    return ((found - found[0]) / np.timedelta64(1, "m")).tolist()


@pytest.mark.parametrize(
    "names",
    [
        ("annee", "mois", "jour"),
        ("Année", "Mois", "Jour"),
        ("YEAR", "MO", "DY"),
        ("Jahr", "Monat", "Tag"),
        ("anio", "mes", "dia"),
        ("anno", "mese", "giorno"),
        ("yr", "mo", "dy"),
        ("jaar", "maand", "dag"),
    ],
)
def test_parts_of_dates_in_other_words_are_joined(names):
    table = frame_of([(2020, 1)], range(1, 31), names)
    for given in ({}, {"time": ",".join(names)}):
        found = read(table, **given).times[0]
        assert found[29] == np.datetime64("2020-01-30")


def test_parts_with_an_hour():
    names = ("YEAR", "MO", "DY", "HR")
    table = frame_of([(2020, 1, 2), (2020, 1, 3)], range(24), names)
    for given in ({}, {"time": "YEAR,MO,DY,HR"}):
        found = read(table, **given).times[0]
        assert found[25] == np.datetime64("2020-01-03T01")


@pytest.mark.parametrize("time", ["year,moon,day", "year,month,shift"])
def test_a_join_of_an_unknown_part_is_refused(time):
    table = frame_of([(2020, 1)], range(1, 29), time.split(","))
    with pytest.raises(ValueError, match="rename") as error:
        read(table, time=time)
    assert "names several columns" in str(error.value)


def test_a_date_and_two_columns_of_which_one_is_unknown():
    table = frame_of([("2020-01-01", 1)], range(24), ["date", "crew", "hour"])
    with pytest.raises(ValueError, match="rename 'hour'"):
        read(table, time="date,crew,hour")


@pytest.mark.parametrize(
    ("name", "values", "step"),
    [
        ("period", range(1, 49), 30),
        ("HE", range(1, 25), 60),
        ("interval", range(0, 1440, 5), 5),
        ("interval", [100 * h + m for h in range(24) for m in range(0, 60, 5)], 5),
        ("slot", range(96), 15),
        ("time", range(0, 86400, 3600), 60),
        ("hrs", range(24), 60),
    ],
)
def test_periods_of_a_day(name, values, step):
    days = [("2020-01-01",), ("2020-01-02",)]
    table = frame_of(days, values, ["date", name])
    expected = [step * k for k in range(len(table))]
    assert minutes(table, f"date,{name}") == expected


def test_hours_of_a_part_of_the_day():
    table = frame_of([("2020-01-01",)], range(8, 18), ["date", "hour"])
    first = read(table, time="date,hour").times[0][0]
    assert first == np.datetime64("2020-01-01T08")


@pytest.mark.parametrize("values", [range(1, 6), range(8, 18), [1, 3, 4], [7]])
def test_numbers_that_do_not_fill_a_day_are_refused(values):
    table = frame_of([("2020-01-01",)], values, ["date", "sample"])
    with pytest.raises(ValueError, match="expected clock times"):
        read(table, time="date,sample")


def test_the_question_on_numbers_beside_a_date_offers_to_join_them():
    days = [("2024-01-01",), ("2024-01-02",)]
    table = frame_of(days, range(1, 49), ["date", "period"])
    with pytest.raises(AmbiguousError, match="time='date,period'") as error:
        read(table)
    first = error.value.readings[0]
    found = read(table, **first.options).times[0]
    assert found[95] == np.datetime64("2024-01-02T23:30")


def test_a_column_joined_with_itself_is_refused():
    table = frame_of([("2024-01-01",)], range(1, 25), ["date", "period"])
    with pytest.raises(ValueError, match="names a column twice"):
        read(table, time="date,date")
