"""The part of each column: ids and channels by structure, wide tables, levels of names."""

import io
from itertools import product

import numpy as np
import pandas as pd
import pytest

from temporal_jepa.data import AmbiguousError, Sequences, read

draw = np.random.default_rng(0)


def table(text: str) -> pd.DataFrame:
    return pd.read_csv(io.StringIO(text), keep_default_na=False, na_values=[""])


def grid(header: str, *columns: object, values: int = 1) -> pd.DataFrame:
    """All combinations of the entries of columns, with random values beside them."""
    rows = [[*entry, *draw.normal(size=values)] for entry in product(*columns)]
    return pd.DataFrame(rows, columns=header.split(","))


SENSORS = ("temp", "load")
READ = {
    "an id of any name": (
        grid("fuse,time,a,b", "PQR", range(5), values=2),
        {"ids": ["P", "Q", "R"], "channels": ["a", "b"], "lengths": [5, 5, 5]},
    ),
    "rows of several ids in turn": (
        grid("time,fuse,a,b", range(5), "PQ", values=2),
        {"ids": ["P", "Q"], "channels": ["a", "b"]},
    ),
    "a number that names batches": (
        grid("batch_no,t,a", (7, 8, 9), range(5)),
        {"ids": ["7", "8", "9"], "channels": ["a"]},
    ),
    "two columns that together are the id": (
        grid("subject,trial,time,a,b", "AB", (0, 1), range(4), values=2),
        {"ids": ["A 0", "A 1", "B 0", "B 1"], "channels": ["a", "b"]},
    ),
    "numbers of stores and departments": (
        grid("date,store,dept,sales", ["2024-01-01", "2024-01-02"], (1, 2), (1, 2, 3)),
        {"ids": ["1 1", "1 2", "1 3", "2 1", "2 2", "2 3"], "channels": ["sales"]},
    ),
    "a channel in each row": (
        grid("machine,time,sensor,value", "AB", range(4), SENSORS),
        {"ids": ["A", "B"], "channels": ["temp", "load"], "lengths": [4, 4]},
    ),
    "channels of a single recording": (
        grid("time,variable,value", range(4), SENSORS),
        {"channels": ["temp", "load"], "lengths": [4]},
    ),
    "channels with numbers as names": (
        grid("machine,time,sensor,value", "AB", range(4), (1, 2)),
        {"ids": ["A", "B"], "channels": ["1", "2"]},
    ),
    "a sensor of its own for each id": (
        table("id,time,sensor,value\nA,0,a,1\nA,1,a,2\nB,0,b,3\nB,1,b,4\n"),
        {"ids": ["A", "B"], "channels": ["value"]},
    ),
    "a date of birth is no time": (
        table(
            "patient,birth_date,visit,bp\n"
            + "".join(
                f"p{i},195{i}-01-11,{v},{120 + i * v}\n"
                for i in range(4)
                for v in range(1, 6)
            )
        ),
        {"ids": ["p0", "p1", "p2", "p3"], "channels": ["bp"], "lengths": [5] * 4},
    ),
    "a time that restarts under an unusual name": (
        grid("device id,when,a", ("d0", "d1"), range(0, 100, 20)),
        {"ids": ["d0", "d1"], "channels": ["a"], "times": [0, 20, 40, 60, 80]},
    ),
    "a code is no id where times differ": (
        pd.DataFrame(
            {
                "time": pd.date_range("2024", periods=8),
                "weather_code": [1, 2] * 4,
                "v": draw.normal(size=8),
            }
        ),
        {"channels": ["weather_code", "v"], "lengths": [8]},
    ),
    "rows that are countries, columns that are years": (
        table(
            "Country,Code,Indicator,1960,1961,1962\nChad,TCD,GDP,1,2,3\n"
            "Chad,TCD,Pop,4,5,6\nFiji,FJI,GDP,7,8,9\nFiji,FJI,Pop,1,5,6\n"
        ),
        {"ids": ["Chad", "Fiji"], "channels": ["GDP", "Pop"], "lengths": [3, 3]},
    ),
    "two names of a row, one missing": (
        table(
            "Province,Country,2020-01-22,2020-01-23\n,Chad,1,2\nHubei,China,3,4\n"
            "Tibet,China,5,6\n"
        ),
        {"ids": ["Chad", "Hubei China", "Tibet China"], "lengths": [2, 2, 2]},
    ),
    "ids that repeat in a wide table": (
        table("subject,label,t0,t1\nS1,a,1,2\nS1,b,3,2\nS2,a,4,5\n"),
        {"ids": ["S1#1", "S1#2", "S2"], "labels": ["a", "b", "a"]},
    ),
    "columns named by numbers": (
        table("id,-0.5,0.0,0.5\nA,1,2,3\nB,3,2,1\n"),
        {"ids": ["A", "B"], "lengths": [3, 3], "times": [-0.5, 0, 0.5]},
    ),
    "numbered columns with a gap": (
        table("id,t0,t1,t5\nA,1,2,3\nB,3,2,1\n"),
        {"ids": ["A", "B"], "lengths": [3, 3], "times": [0, 1, 5]},
    ),
    "numbers before the channel": (
        table("id,1_x,1_y,2_x,2_y\nA,1,2,3,4\nB,5,6,7,8\n"),
        {"ids": ["A", "B"], "channels": ["x", "y"], "lengths": [2, 2]},
    ),
    "an id that looks like a date": (
        table("id,t0,t1,t2\n2024-01-01,1,2,3\n2024-01-02,3,2,1\n"),
        {"ids": ["2024-01-01", "2024-01-02"], "lengths": [3, 3]},
    ),
    "series of one row": (
        table("id,time,v\na,0,1.5\nb,0,2.5\n"),
        {"ids": ["a", "b"], "lengths": [1, 1]},
    ),
    "empty rows and columns": (
        table("time,v,comment\n0,1,\n1,2,\n,,\n2,4,\n,,\n"),
        {"channels": ["v"], "lengths": [3]},
    ),
    "levels of the rows": (
        pd.DataFrame(
            {"v": range(8)},
            index=pd.MultiIndex.from_product(
                [["p", "q"], ["a", "b"], [0, 1]], names=["site", "id", "t"]
            ),
        ),
        {"ids": ["p a", "p b", "q a", "q b"], "lengths": [2] * 4},
    ),
    "levels of the columns": (
        pd.DataFrame(
            np.arange(24.0).reshape(6, 4),
            index=pd.date_range("2024", periods=6, name="Date"),
            columns=pd.MultiIndex.from_product(
                [["Close", "Open"], ["AA", "BB"]], names=["Price", "Ticker"]
            ),
        ),
        {"ids": ["AA", "BB"], "channels": ["Close", "Open"], "lengths": [6, 6]},
    ),
}


@pytest.mark.parametrize("kind", READ)
def test_what_is_read(kind: str) -> None:
    frame, expected = READ[kind]
    found = read(frame)
    for name, value in expected.items():
        if name == "times":
            assert found.times is not None
            assert found.times[0].tolist() == value
        else:
            assert list(getattr(found, name)) == value


def test_values_of_channels_stand_beside_each_other() -> None:
    frame = grid("machine,time,sensor,value", "AB", range(4), SENSORS)
    found = read(frame.sample(frac=1, random_state=0))
    one = dict(zip(found.ids, found.values, strict=True))["B"]
    chosen = frame[(frame.machine == "B") & (frame.sensor == "load")]
    load = found.channels.index("load")
    np.testing.assert_allclose(one[:, load], chosen["value"], rtol=1e-6)


NUMBERED = ",".join(f"ch{k}" for k in range(4))
HOURS = range(5)
ASKED = {
    "ids or channels": (
        grid("time,kind,value", HOURS, SENSORS),
        [{"id": "kind"}, {"channel": "kind"}],
    ),
    "two ids": (
        pd.DataFrame(
            {
                "subject": list("AAAABBBB"),
                "session": list("aabbccdd"),
                "time": range(8),
                "v": draw.normal(size=8),
                "w": draw.normal(size=8),
            }
        ),
        [{"id": "subject"}, {"id": "session"}],
    ),
    "a state or an id": (
        grid("kind,a,b", "PQ", range(4), values=1)[["kind", "a", "b"]].drop(
            columns="a"
        ),
        [{"id": "kind"}, {"id": "", "label": ""}],
    ),
    "channels or timesteps": (
        pd.DataFrame(draw.normal(size=(9, 4)), columns=NUMBERED.split(",")),
        [{"layout": "wide"}, {"layout": "recording"}],
    ),
    "months of years": (
        table("Year,Jan,Feb,Mar\n2001,1,2,3\n2002,4,3,2\n"),
        [{"layout": "wide"}, {"layout": "recording"}],
    ),
    "a finer clock or an id": (
        table(
            "date,interval,steps\n"
            + "".join(
                f"2024-01-0{d},{5 * k},{d * k}\n" for d in (1, 2, 3) for k in HOURS
            )
        ),
        [{"id": "interval"}, {"id": "", "time": "", "values": "steps"}],
    ),
    "levels without names": (
        pd.DataFrame(
            np.arange(8.0).reshape(2, 4),
            index=pd.date_range("2024", periods=2),
            columns=pd.MultiIndex.from_product([["a", "b"], ["x", "y"]]),
        ),
        [{"id": "level_0"}, {"id": "level_1"}, {"layout": "recording"}],
    ),
}


@pytest.mark.parametrize("kind", ASKED)
def test_what_is_asked(kind: str) -> None:
    frame, expected = ASKED[kind]
    with pytest.raises(AmbiguousError) as caught:
        read(frame)
    offered = [dict(reading.options) for reading in caught.value.readings]
    assert offered == expected
    for options in offered:
        assert isinstance(read(frame, **options), Sequences)


def test_doubled_rows_of_a_channel_do_not_hide_it() -> None:
    frame = grid("machine,time,sensor,value", "AB", range(4), SENSORS)
    doubled = pd.concat([frame, frame.head(1).assign(value=99.0)])
    with pytest.raises(ValueError, match="duplicates="):
        read(doubled)
    assert read(doubled, duplicates="last").values[0][0, 0] == 99
    assert read(doubled, duplicates="first").channels == ["temp", "load"]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("id,time,x\nNA,0,5\nNA,1,6\nUS,2,7\nUS,3,1\n", r"'id'.*missing=''"),
        ("id,t1,t01,t2\na,1,2,3\nb,1,2,3\n", "'t1'.*'t01'"),
        ("id,2024-01-01,2024-01-01.1,2024-01-02\na,1,2,3\nb,1,2,3\n", "2024-01-01.1"),
        (
            "time,pcb\n"
            + "".join(f"{k},{'<0.05' if k % 3 else k / 7}\n" for k in range(20)),
            "'pcb'.*'<0.05'",
        ),
    ],
)
def test_what_is_refused(text: str, named: str) -> None:
    frame = pd.read_csv(io.StringIO(text))
    with pytest.raises(ValueError, match=named):
        read(frame)


def test_a_column_has_one_part() -> None:
    frame = table("time,x,kind\n0,1,a\n1,2,a\n")
    with pytest.raises(ValueError, match="values and label both name the column 'x'"):
        read(frame, values="x", label="x")
    with pytest.raises(ValueError, match="values names a column twice"):
        read(frame, values="x,x")
