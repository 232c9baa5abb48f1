"""Tables laid out like well-known public files: read as what they are, or a question.

The layouts are those of the files; the numbers are made up.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from temporal_jepa.data import Sequences, read
from temporal_jepa.data.tables.readings import AmbiguousError


@dataclass
class Table:
    """A table and what it holds.

    Args:
        text: the file.
        values: values of the first series, by channel.
        series: number of series.
        ids: their names; None if the file may have none.
        labels: of the series; None if it has none.
        start: the first time of the first series, to the second; "" if there is none.
        name: of the file.
        options: of `read`.
        may: outcomes beside the right one: "ask", "refuse".
        also: channels that a reader may leave out or keep.
    """

    text: str
    values: dict[str, list[float]]
    series: int = 1
    ids: list[str] | None = None
    labels: list[str] | None = None
    start: str = ""
    name: str = "table.csv"
    options: dict[str, Any] = field(default_factory=dict)
    may: str = ""
    also: tuple[str, ...] = ()


def rows(form: str, count: int = 4, **columns: list[object]) -> str:
    """Lines of a form, such as "{k},{2k}", one for each row."""
    return "".join(
        form.format(k=k, **{n: c[k] for n, c in columns.items()}) + "\n"
        for k in range(count)
    )


nan = float("nan")
HOURLY = [f"2016-07-01 0{k}:00:00" for k in range(4)]

TABLES = {
    "transformer temperature": Table(
        "date,HUFL,HULL,OT\n" + rows("2016-07-01 0{k}:00:00,5.8{k}7,2.00{k},30.5{k}"),
        {"HUFL": [5.807, 5.817, 5.827, 5.837], "OT": [30.50, 30.51, 30.52, 30.53]},
        start="2016-07-01T00:00:00",
        also=("HULL",),
    ),
    "air quality of a city": Table(
        "Date;Time;CO(GT);PT08.S1(CO);T;;\n"
        + rows("10/03/2004;1{k}.00.00;2,{k};136{k};13,{k};;")
        + "11/03/2004;00.00.00;1,2;1185;11,3;;\n31/03/2004;00.00.00;1,5;1183;11,0;;\n;;;;;;\n",
        {
            "CO(GT)": [2.0, 2.1, 2.2, 2.3, 1.2, 1.5],
            "PT08.S1(CO)": [1360, 1361, 1362, 1363, 1185, 1183],
            "T": [13.0, 13.1, 13.2, 13.3, 11.3, 11.0],
        },
        start="2004-03-10T10:00:00",
        may="ask refuse",
    ),
    "household power": Table(
        "Date;Time;Global_active_power;Voltage\n"
        + rows("16/12/2006;17:2{k}:00;4.21{k};234.84{k}")
        + "17/12/2006;00:00:00;?;?\n",
        {
            "Global_active_power": [4.210, 4.211, 4.212, 4.213, nan],
            "Voltage": [234.840, 234.841, 234.842, 234.843, nan],
        },
        start="2006-12-16T17:20:00",
        name="table.txt",
        may="ask",
    ),
    "particles by the hour": Table(
        "No,year,month,day,hour,pm2.5,TEMP,cbwd\n"
        + rows(
            "{n},2010,1,2,{k},{p},-{k}.5,SE", n=[1, 2, 3, 4], p=["NA", 129, 148, 159]
        ),
        {"pm2.5": [nan, 129, 148, 159], "TEMP": [-0.5, -1.5, -2.5, -3.5]},
        start="2010-01-02T00:00:00",
        also=("No",),
    ),
    "weather by ten minutes": Table(
        "Date Time,p (mbar),T (degC)\n"
        + rows("01.01.2009 00:{k}0:00,996.5{k},-8.0{k}"),
        {
            "p (mbar)": [996.50, 996.51, 996.52, 996.53],
            "T (degC)": [-8.00, -8.01, -8.02, -8.03],
        },
        start="2009-01-01T00:00:00",
    ),
    "electricity of customers": Table(
        '"";"MT_001";"MT_002"\n'
        + rows('"2011-01-01 00:{m}:00";{k},5;2{k},75', m=[15, 30, 45, 59]),
        {"MT_001": [0.5, 1.5, 2.5, 3.5], "MT_002": [20.75, 21.75, 22.75, 23.75]},
        start="2011-01-01T00:15:00",
        name="table.txt",
    ),
    "prices of a share": Table(
        "Date,Open,High,Low,Close,Adj Close,Volume\n"
        + rows(
            "2021-03-0{d},1{k}.50,1{k}.75,1{k}.25,1{k}.60,1{k}.55,10{k}500",
            d=[1, 2, 3, 4],
        ),
        {"Open": [10.5, 11.5, 12.5, 13.5], "Volume": [100500, 101500, 102500, 103500]},
        start="2021-03-01T00:00:00",
        also=("High", "Low", "Close", "Adj Close"),
    ),
    "exchange rates, newest first, with an empty last column": Table(
        "Date,USD,JPY,CYP,\n"
        + rows("2024-03-{d},1.08{k},163.{k}5,N/A,", d=[28, 27, 26, 25]),
        {"USD": [1.083, 1.082, 1.081, 1.080], "JPY": [163.35, 163.25, 163.15, 163.05]},
        start="2024-03-25T00:00:00",
        also=("CYP",),
        may="refuse",
    ),
    "a series of a central bank": Table(
        "DATE,UNRATE\n1948-01-01,3.4\n1948-02-01,.\n1948-03-01,4.0\n1948-04-01,3.9\n",
        {"UNRATE": [3.4, nan, 4.0, 3.9]},
        start="1948-01-01T00:00:00",
        options={"missing": "."},
    ),
    "passengers by month": Table(
        '"Month","#Passengers"\n' + rows('"1949-0{m}",1{k}2', m=[1, 2, 3, 4]),
        {"#Passengers": [102, 112, 122, 132]},
        start="1949-01-01T00:00:00",
    ),
    "anomalies of a machine": Table(
        "timestamp,value\n" + rows("2013-12-02 21:{k}5:00,7{k}.967"),
        {"value": [70.967, 71.967, 72.967, 73.967]},
        start="2013-12-02T21:05:00",
    ),
    "visits by page and day": Table(
        "Page,2015-07-01,2015-07-02,2015-07-03,2015-07-04\n"
        + rows(
            "{p}_de.wikipedia.org_all-access,{k},1{k},,2{k}", 3, p=["Ulm", "Ems", "Rom"]
        ),
        {"*": [0, 10, nan, 20]},
        series=3,
        ids=[f"{p}_de.wikipedia.org_all-access" for p in ("Ulm", "Ems", "Rom")],
    ),
    "cases by region and day": Table(
        "Province/State,Country/Region,Lat,Long,1/22/20,1/23/20,1/24/20,1/25/20\n"
        ",Chad,15.4542,18.7322,0,1,2,4\nHubei,China,30.9756,112.2707,444,444,549,761\n"
        "Tibet,China,31.6927,88.0924,0,0,1,1\n",
        {"*": [0, 1, 2, 4]},
        series=3,
    ),
    "indicators by country and year": Table(
        '"Data Source","World Development Indicators",\n\n"Last Updated Date","2024-03-28",\n\n'
        '"Country Name","Country Code","Indicator Name","Indicator Code","1960","1961","1962",'
        '"1963",\n"Chad","TCD","Population","SP.POP","1.5","2.5","3.5","4.5",\n'
        '"Mali","MLI","Population","SP.POP","5.25","","","8.5",\n'
        '"Fiji","FJI","Population","SP.POP","0.5","0.75","0.5","0.25",\n',
        {"*": [1.5, 2.5, 3.5, 4.5]},
        series=3,
        may="ask",
    ),
    "entities and years": Table(
        "Entity,Code,Year,Life expectancy\n"
        + "".join(
            f"{name},{name[:3].upper()},{year},{50 + k + len(name) / 4}\n"
            for name in ("Chad", "Malawi", "Fiji")
            for k, year in enumerate((1950, 1951, 1952))
        ),
        {"Life expectancy": [51, 52, 53]},
        series=3,
        ids=["Chad", "Malawi", "Fiji"],
    ),
    "sales of items by numbered day": Table(
        "id,item_id,dept_id,store_id,d_1,d_2,d_3,d_4\n"
        "H_1_CA,H_1,H,CA,0,1,0,2\nH_2_CA,H_2,H,CA,3,0,0,1\nH_1_TX,H_1,H,TX,0,0,5,6\n",
        {"*": [0, 1, 0, 2]},
        series=3,
        ids=["H_1_CA", "H_2_CA", "H_1_TX"],
    ),
    "a forecasting competition": Table(
        '"V1","V2","V3","V4","V5"\n"Y1","5172.1","5133.5","5186.9","5084.6"\n'
        '"Y2","2070","2104","2394",""\n"Y3","2760","2980","3200","3450"\n',
        {"*": [5172.1, 5133.5, 5186.9, 5084.6]},
        series=3,
        may="ask",
    ),
    "forecasting, long": Table(
        "unique_id,ds,y\n"
        + "".join(f"H{i},{k},{i * 10 + k}.5\n" for i in (1, 2) for k in (1, 2, 3)),
        {"y": [11.5, 12.5, 13.5]},
        series=2,
        ids=["H1", "H2"],
    ),
    "heartbeats with the label last": Table(
        "".join(
            ",".join(f"{(i + 1) * (k + 1) % 17 / 17:.4f}" for k in range(20))
            + f",{i % 2}.0\n"
            for i in range(6)
        ),
        {"value": [round((k + 1) % 17 / 17, 4) for k in range(20)]},
        series=6,
        labels=["0", "1"] * 3,
    ),
    "vital signs with bars": Table(
        "HR|O2Sat|Temp|SBP\n" + rows("9{k}.0|NaN|36.{k}|12{k}"),
        {"HR": [90, 91, 92, 93], "SBP": [120, 121, 122, 123]},
        name="p000001.psv",
        also=("O2Sat", "Temp"),
        may="ask refuse",
    ),
    "engines by cycle": Table(
        "unit_number,time_in_cycles,setting_1,sensor_1,sensor_2\n"
        + "".join(
            f"{u},{c},0.{u}{c},64{c}.{u},158{c}.{u}\n"
            for u in (1, 2, 3)
            for c in (1, 2, 3)
        ),
        {"sensor_1": [641.1, 642.1, 643.1]},
        series=3,
        ids=["1", "2", "3"],
        also=("setting_1", "sensor_2"),
        may="ask",
    ),
    "store sales": Table(
        "date,store_nbr,sales,onpromotion\n"
        + "".join(
            f"2013-01-0{d},{s},{s * 100 + d}.5,{d % 2}\n"
            for d in (1, 2, 3)
            for s in (1, 2)
        ),
        {"sales": [101.5, 102.5, 103.5]},
        series=2,
        ids=["1", "2"],
        also=("onpromotion",),
        may="ask",
    ),
    "store sales by family": Table(
        "id,date,store_nbr,family,sales\n"
        + "".join(
            f"{6 * d + 2 * s + f},2013-01-0{d + 1},{s},{'AB'[f]},{100 * s + 10 * f + d}.5\n"
            for d in range(3)
            for s in range(3)
            for f in range(2)
        ),
        {},
        may="ask refuse must",
    ),
    "activity of a phone": Table(
        "user,activity,timestamp,x-acc,y-acc,z-acc\n"
        + "".join(
            f"{u},Jogging,{49105962326000 + 50000000 * k + u},-0.{k}5,12.{k},0.5{k}\n"
            for u in (33, 17)
            for k in range(4)
        ),
        {"x-acc": [-0.05, -0.15, -0.25, -0.35]},
        series=2,
        ids=["33", "17"],
        also=("y-acc", "z-acc"),
        may="ask",
    ),
    "bikes by the day": Table(
        "instant,dteday,season,temp,cnt\n"
        + rows("{n},2011-01-0{n},1,0.34{k},98{k}", n=[1, 2, 3, 4]),
        {"temp": [0.340, 0.341, 0.342, 0.343], "cnt": [980, 981, 982, 983]},
        start="2011-01-01T00:00:00",
        also=("instant", "season"),
    ),
    "sensors, a value a row": Table(
        "location_id,datetime,parameter,value,units\n"
        + "".join(
            f"{site},2024-01-01T0{k}:00:00Z,{what},{site + k + add},µg/m³\n"
            for site in (7, 9)
            for k in range(3)
            for what, add in (("pm25", 0.5), ("no2", 20))
        ),
        {"pm25": [7.5, 8.5, 9.5], "no2": [27, 28, 29]},
        series=2,
        ids=["7", "9"],
        may="ask",
    ),
    "ships": Table(
        "MMSI,BaseDateTime,LAT,LON,SOG,COG,Heading,VesselName\n"
        + "".join(
            f"36{ship},2023-01-01T00:0{k}:00,{29 + k / 100:.5f},-9{ship}.{k}5,1.{k},18{k},511,A\n"
            for ship in (1, 2)
            for k in range(3)
        ),
        {"SOG": [1.0, 1.1, 1.2], "COG": [180, 181, 182]},
        series=2,
        ids=["361", "362"],
        also=("dx", "dy", "speed", "Heading"),
    ),
    "animals": Table(
        "event-id,visible,timestamp,location-long,location-lat,individual-local-identifier\n"
        + "".join(
            f"{k + 10 * len(who)},true,2019-05-0{k + 1} 06:00:00.000,8.{k}5,47.{k}5,{who}\n"
            for who in ("Anna", "Bert2")
            for k in range(3)
        ),
        {},
        series=2,
        ids=["Anna", "Bert2"],
        also=("dx", "dy", "speed", "visible", "event-id"),
    ),
    "a logger with units": Table(
        "TIMESTAMP\tRECORD\tBattV_Avg\tAirTC_Avg\nTS\tRN\tVolts\tDeg C\n"
        + rows("2024-02-0{d} 12:00:00\t{k}\t12.{k}1\t-3.{k}5", d=[1, 2, 3, 4]),
        {
            "BattV_Avg": [12.01, 12.11, 12.21, 12.31],
            "AirTC_Avg": [-3.05, -3.15, -3.25, -3.35],
        },
        start="2024-02-01T12:00:00",
        name="table.txt",
        also=("RECORD",),
    ),
    "a German spreadsheet": Table(
        "\ufeffDatum;Umsatz;Bestand\r\n"
        + "01.02.2024;1.234,50;12\r\n02.02.2024;987,25;-3\r\n03.02.2024;12.345,00;7\r\n",
        {"Umsatz": [1234.5, 987.25, 12345.0], "Bestand": [12, -3, 7]},
        start="2024-02-01T00:00:00",
    ),
    "a French spreadsheet": Table(
        "Date;Prix;Volume\n13/02/2024;1\u202f234,50;12\n14/02/2024;987,25;1\u202f003\n"
        "15/02/2024;12\u202f345,00;7\n",
        {"Prix": [1234.5, 987.25, 12345.0], "Volume": [12, 1003, 7]},
        start="2024-02-13T00:00:00",
    ),
    "a Swiss spreadsheet": Table(
        "Datum;Preis\n01.02.2024;1'234.50\n02.02.2024;987.25\n03.02.2024;12'345.00\n",
        {"Preis": [1234.5, 987.25, 12345.0]},
        start="2024-02-01T00:00:00",
    ),
    "R, with row names": Table(
        '"","time","flow"\n"1",0,1.5\n"2",1,NA\n"3",2,3.5\n',
        {"flow": [1.5, nan, 3.5]},
    ),
    "pandas, with an index": Table(
        ",machine,t,load\n0,a,0,1.5\n1,a,1,2.5\n2,b,0,3.5\n3,b,1,4.5\n",
        {"load": [1.5, 2.5]},
        series=2,
        ids=["a", "b"],
    ),
    "sunspots without a header": Table(
        "1749;01;1749.042;  96.7; -1.0;   -1;1\n1749;02;1749.123; 104.3; -1.0;   -1;1\n"
        "1749;03;1749.204; 116.7; -1.0;   -1;1\n",
        {},
        may="ask refuse must",
    ),
    "prices with signs and commas": Table(
        'Date,Price,Vol.,Change %\n"Mar 28, 2024","5,254.35",1.5M,0.11%\n'
        '"Mar 27, 2024","5,248.49",1.7M,0.86%\n',
        {},
        may="ask refuse must",
    ),
    "prices of two shares under two lines of names": Table(
        "Price,Close,Close,Open,Open\nTicker,AA,BB,AA,BB\nDate,,,,\n"
        + rows("2024-01-0{d},1{k}.5,2{k}.5,1{k}.25,2{k}.25", d=[2, 3, 4, 5]),
        {"Close": [10.5, 11.5, 12.5, 13.5], "Open": [10.25, 11.25, 12.25, 13.25]},
        series=2,
        ids=["AA", "BB"],
        start="2024-01-02T00:00:00",
    ),
    "flags beside values": Table(
        "freq,unit,geo\\TIME_PERIOD\t2019 \t2020 \t2021 \nA,EUR,AT\t1.5 \t2.5 b\t: \n"
        "A,EUR,BE\t3.5 \t: \t4.5 p\n",
        {},
        name="table.tsv",
        may="ask refuse must",
    ),
}


def outcome(table: Table, folder: Path) -> Sequences | str:
    path = folder / table.name
    path.write_bytes(table.text.encode())
    try:
        return read(path, **table.options)
    except AmbiguousError as error:
        return "ask" if len(error.readings) > 1 else "question without a choice"
    except ValueError as error:
        return "refuse" if table.name in str(error) else f"nameless: {error}"


@pytest.mark.parametrize("kind", TABLES)
def test_a_public_table(kind: str, tmp_path: Path) -> None:
    table = TABLES[kind]
    found = outcome(table, tmp_path)
    if isinstance(found, str):
        assert found in table.may.split(), found
        return
    assert "must" not in table.may, f"read as {found.summary()} {found.notes}"
    assert len(found) == table.series, found.notes
    if table.ids is not None:
        assert found.ids == table.ids
    labels = None if found.labels is None else found.labels.tolist()
    assert labels == table.labels
    check_values(found, table)
    if table.start:
        assert found.times is not None, found.notes
        assert str(found.times[0][0].astype("datetime64[s]")) == table.start


def check_values(found: Sequences, table: Table) -> None:
    """The values of the first series, and no channel that is none."""
    if "*" in table.values:
        assert found.n_channels == 1
        np.testing.assert_allclose(found.values[0][:, 0], table.values["*"], rtol=1e-6)
        return
    assert {*table.values} <= {*found.channels} <= {*table.values, *table.also}
    for name, expected in table.values.items():
        got = found.values[0][:, found.channels.index(name)]
        np.testing.assert_allclose(got, expected, rtol=1e-6)
