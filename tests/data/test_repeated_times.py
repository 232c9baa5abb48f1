"""Rows that repeat a time: the error names the options that tell them apart."""

import itertools

import numpy as np
import pandas as pd
import pytest

from temporal_jepa.data import read


def table(**columns):
    """All combinations of the entries of columns, with a value."""
    rows = list(itertools.product(*columns.values()))
    frame = pd.DataFrame(rows, columns=list(columns))
    return frame.assign(value=np.sqrt(np.arange(len(rows))))


def error(frame, **options):
    with pytest.raises(ValueError, match=r"choose .*duplicates=") as found:
        read(frame, **options)
    return str(found.value)


DAYS = ["2024-01-01", "2024-01-02"]
STEPS = [0, 1, 2]


@pytest.mark.parametrize(
    ("frame", "options", "way"),
    [
        (table(date=DAYS, von=["00:00", "06:00"]), {"id": ""}, {"time": "date,von"}),
        (
            table(datum=DAYS, time=range(0, 86400, 3600)),
            {"id": "", "time": "time"},
            {"time": "datum,time"},
        ),
        (
            table(date=DAYS, period=range(1, 25)),
            {"id": "", "time": "date"},
            {"time": "date,period"},
        ),
        (table(time=STEPS, gas=["CO", "NO"]), {"id": ""}, {"channel": "gas"}),
        (table(time=STEPS, sensor=[1, 2]), {"id": ""}, {"channel": "sensor"}),
        (
            table(time=STEPS, store=[1, 2], dept=[5, 6]),
            {"id": ""},
            {"id": "store,dept"},
        ),
        (
            table(time=STEPS, store=[1, 2], dept=[5, 6]),
            {"id": "dept"},
            {"id": "dept,store"},
        ),
    ],
)
def test_the_error_names_what_makes_times_unique(frame, options, way):
    ((name, value),) = way.items()
    text = error(
        frame,
        time=options.pop("time", "time" if "time" in frame else "date"),
        **options,
    )
    assert f"{name}={value!r}" in text
    if name != "id":
        options["id"] = ""
    assert read(frame, **{**options, "time": options.get("time"), **way})


def test_a_time_that_is_the_same_throughout_each_series():
    frame = table(employee=["a", "b"], month=STEPS).assign(hire_date="2010-01-01")
    text = error(frame, id="employee", time="hire_date")
    assert "'hire_date' is the same throughout each series" in text


@pytest.mark.parametrize(("how", "fate"), [("first", "left out"), ("mean", "averaged")])
def test_rows_that_repeat_a_time_of_a_channel_are_noted(how, fate):
    frame = table(time=STEPS, sensor=["a", "b"])
    twice = pd.concat([frame, frame[:2]])
    notes = "\n".join(read(twice, channel="sensor", duplicates=how).notes)
    assert "2 rows at the time of another of the same channel are" in notes
    assert fate in notes
