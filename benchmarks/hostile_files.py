"""Small valid files of every kind that is read, ways to damage them, and what a reader may answer.

`benchmarks/fuzz.py` runs them by the million, `tests/data/test_hostile.py` a few thousand.
"""

import bz2
import contextlib
import datetime
import gzip
import io
import itertools
import json
import linecache
import lzma
import random
import re
import resource
import sys
import tempfile
import time
import traceback
import warnings
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

import temporal_jepa
from temporal_jepa.data import read

PACKAGE = str(Path(temporal_jepa.__file__).parent)
SECONDS = 10.0  # of one processor that a small file may take at most
PEAK = 600e6  # bytes of memory that a small file may take at most
GROWN = 50e6  # bytes by which memory may grow before its mark is reset
KILOBYTE = 1 if sys.platform == "darwin" else 1024  # in which the system counts it
LONGEST = 6000  # characters of a message
ALLOWED = (
    "ValueError",
    "AmbiguousError",
    "ObjectsError",
    "TooLargeError",
    "ChoiceError",
    "UsageError",
)
UNCLEAR = re.compile(
    r"invalid literal|could not convert string|out of bounds|not enough values to unpack"
    r"|too many values to unpack|has no attribute|is not subscriptable|unhashable"
    r"|list index|index out of range|NoneType|cannot reshape|could not broadcast"
    r"|object of type|not supported between|codec can't|Traceback|<class '"
    r"|ufunc|All arrays must be|positional argument|\bassert",
    re.IGNORECASE,
)
"""What Python and NumPy say, which tells a user nothing about the file."""

WORDS = (
    "1e999",
    "-1e999",
    "inf",
    "-inf",
    "nan",
    "",
    "?",
    "-1",
    "0",
    "1e308",
    "1e-320",
    "9" * 30,
    "9" * 400,
    "-9223372036854775809",
    "18446744073709551616",
    "0x10",
    "1_000",
    "1,5",
    "1.234,5",
    "٣",
    "²",
    "\uff11",
    "½",
    "\u22125",
    "true",
    "None",
    "null",
    "NaT",
    "2024-02-30",
    "2024-01-01",
    "9999-99-99",
    "9999-12-31",
    "0000-00-00",
    "0001-01-01",
    "12345-01-01",
    "-0044-03-15",
    "31.12.2023",
    "23:59:60",
    "24:00",
    "2024-W54",
    "2024-01-01T00:00:00+99:99",
    "1e20",
    "'",
    '"',
    '"a\nb"',
    "\\",
    "\\ud800",
    "\ud800",
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\u202egnp.exe",
    "\x00",
    "\r",
    "\x85",
    "\u2028",
    "\ufeff",
    "<script>alert(1)</script>",
    "../../etc/passwd",
    "/dev/zero",
    "a" * 300,
    "%s%n",
    "{0}",
    "=1+1",
    "N/A",
    "47°N",
    "lat",
    "lon",
    "time",
    "id",
    "label",
    "[1,2]",
    "{}",
    "(1,2)",
    "POINT(1 2)",
    "LINESTRING(1 2,3 4)",
    ",",
    ";",
    ":",
    "\t",
    "|",
    "#",
    "%",
    "@",
    "{",
    "}",
    "[",
    "]",
    "\n",
)
"""Fields of which some reader of the world is known to stumble."""

DTYPES = (
    "<f8", ">f8", "<f2", "<f4", "<f16", "<c16", "<i8", ">i4", "|i1", "|u1", "<u8", "|b1", "|O",
    "<U5", "|S3", "|V0", "|V7", "<U0", "|S0", "<M8[ns]", "<M8[D]", "<m8[s]", "<M8", "<U999999999",
    "|V2147483647", "<f3", "<q9", "x", "", "<f8,<f8", "<i4,<U3", "a\x1b[31m",
)  # fmt: skip
"""Types of a .npy header, some of which no array can have."""


def text_seeds() -> dict[str, list[str]]:
    """Texts of each kind, by extension."""
    rows = range(8)
    wide = "id,label,t0,t1,t2,t3\n" + "".join(
        f"s{k},{'ab'[k % 2]},{k},{k + 1},2,3\n" for k in rows
    )
    long = "id,time,x,y\n" + "".join(f"{k // 4},{k % 4},{k}.5,{k * k}\n" for k in rows)
    dated = "date;value;other\n" + "".join(
        f"{k + 1:02}.01.2024 12:30;{k},5;7\n" for k in rows
    )
    tracks = "track,time,lon,lat\n" + "".join(
        f"{k // 4},2024-01-01 00:0{k}:00,{8 + k / 100},{47 + k / 99}\n" for k in rows
    )
    quoted = '"a, b","c"\n' + "".join(f'"1,{k}","x ""{k}"""\n' for k in rows)
    units = "# made by hand\ntime,v\ns,m/s\n" + "".join(
        f"{k},{k * 2}.25\n" for k in rows
    )
    narrow = "id,time,variable,value\n" + "".join(
        f"a,{k},{v},{k}\n" for k in rows for v in "uv"
    )
    levels = "x,x,y,y\na,b,a,b\n" + "".join(f"{k},1,2,{k}.5\n" for k in rows)
    lists = "id,values\n" + "".join(f'{k},"[1, {k}, 3]"\n' for k in rows)
    lines = "id,geometry\n" + "".join(
        f'{k},"LINESTRING(1 2, 3 {k}, 5 6)"\n' for k in rows
    )
    dates = "id," + ",".join(f"2024-01-0{k}" for k in range(1, 7)) + "\n"
    dates += "".join(f"{k}," + ",".join(map(str, range(6))) + "\n" for k in rows)
    ucr = "".join(
        f"{k % 2}\t" + "\t".join(map(str, range(k, k + 9))) + "\n" for k in rows
    )
    plain = "".join(f"{k}.5 {k * k} 3\n" for k in rows)
    records = [{"id": k // 4, "time": k % 4, "v": k * 0.5} for k in rows]
    features = [
        {
            "type": "Feature",
            "properties": {"name": f"t{k}", "times": [10, 20, 30], "label": "a"},
            "geometry": {
                "type": "LineString",
                "coordinates": [[8, 47], [8.1, 47.1], [8.2, 47.3]],
            },
        }
        for k in range(2)
    ]
    points = [
        {
            "type": "Feature",
            "properties": {"time": f"2024-01-01T00:0{k}:00Z", "id": "a"},
            "geometry": {"type": "Point", "coordinates": [8 + k / 9, 47]},
        }
        for k in range(4)
    ]
    split = {
        "columns": ["time", "v"],
        "index": [0, 1, 2],
        "data": [[0, 1], [1, 2], [2, 3.5]],
    }
    schema = {"schema": {"fields": [], "primaryKey": ["index"]}, "data": records}
    trk = "".join(
        f'<trkpt lat="{47 + k}" lon="8"><ele>{k}</ele><time>2024-01-01T00:0{k}:00Z</time>'
        f"<extensions><hr>{90 + k}</hr></extensions></trkpt>"
        for k in range(4)
    )
    placed = "".join(
        f"<Trackpoint><Time>2024-05-01T08:00:{k}0Z</Time><Position><LatitudeDegrees>4{k}"
        "</LatitudeDegrees><LongitudeDegrees>8</LongitudeDegrees></Position><HeartRateBpm><Value>"
        f"9{k}</Value></HeartRateBpm></Trackpoint>"
        for k in range(4)
    )
    return {
        ".csv": [wide, long, dated, tracks, quoted, units, narrow, levels, lists, lines, dates],
        ".tsv": [ucr, long.replace(",", "\t")],
        ".txt": [plain, ucr.replace("\t", " "), dated],
        ".json": [
            json.dumps(records),
            json.dumps({"time": [0, 1, 2], "v": [1, 2.5, None]}),
            json.dumps(split),
            json.dumps(schema),
            json.dumps({"meta": {"a": 1}, "rows": records}),
            json.dumps([{"id": "a", "values": [1, 2, 3]}, {"id": "b", "values": [3, 4]}]),
            json.dumps({"v": {"0": 1, "1": 2}, "w": {"0": 1, "1": 3}}),
            json.dumps([["a", "b"], [1, 2], [3, 4]]),
        ],
        ".jsonl": ["\n".join(map(json.dumps, records))],
        ".ndjson": ["\n".join(map(json.dumps, records))],
        ".geojson": [
            json.dumps({"type": "FeatureCollection", "features": features}),
            json.dumps({"type": "FeatureCollection", "features": points}),
        ],
        ".arff": [
            "@relation Tiny\n@attribute relational relational\n  @attribute att0 numeric\n"
            "  @attribute att1 numeric\n@end relational\n@attribute activity {Walk,'Run fast'}\n"
            "@data\n'1.0,2.0\\n4.0,5.0',Walk\n\"1.5,?\\n4.5,5.5\",'Run fast'\n",
            "@relation r\n@attribute att1 numeric\n@attribute att2 real\n@attribute target {1,2}\n"
            "@data\n1,2,1\n3,4.5,2\n?,4.5,2\n",
            "@relation r\n@attribute when date 'dd/MM/yyyy'\n@attribute v numeric\n@data\n"
            "01/02/2024,1\n02/02/2024,2\n",
        ],
        ".gpx": [
            f'<?xml version="1.0"?><gpx><trk><name>a</name><type>run</type><trkseg>{trk}</trkseg>'
            "</trk></gpx>",
            '<gpx xmlns="http://x/1"><wpt lat="1" lon="2"><time>2024-01-01T00:00:00Z</time></wpt>'
            '<wpt lat="1.5" lon="2"><time>2024-01-01T00:01:00Z</time></wpt></gpx>',
        ],
        ".kml": [
            "<kml><Placemark><name>a</name><gx:Track><when>2024-01-01T00:00:00Z</when>"
            "<when>2024-01-01T00:00:09Z</when><gx:coord>8 47 1</gx:coord><gx:coord>8 47.1 1"
            "</gx:coord></gx:Track></Placemark></kml>",
            "<kml><Placemark><LineString><coordinates>8,47,1 8,48,1 8.5,48</coordinates>"
            "</LineString></Placemark></kml>",
        ],
        ".tcx": [
            "<TrainingCenterDatabase><Activities><Activity Sport='Running'><Id>m</Id><Lap><Track>"
            f"{placed}</Track></Lap></Activity></Activities></TrainingCenterDatabase>"
        ],
        ".ts": [
            "@problemName P\n@dimensions 2\n@equalLength true\n@seriesLength 3\n"
            "@classLabel true up down\n@data\n1,2,3:4,5,6:up\n1,?,3:4,5,7:down\n",
            "@timeStamps true\n@data\n(2024-01-01 00:00:00,1),(2024-01-01 01:00:00,2):"
            "(2024-01-01 00:00:00,3)\n(2024-01-02 00:00:00,1):(2024-01-02 00:00:00,2)\n",
            "@univariate true\n@targetLabel true\n@data\n1,2,3:0.5\n2,3:0.75\n",
            "@data\n1,2,3:a\n3,4,5:b\n",
        ],
        ".tsf": [
            "@relation r\n@attribute series_name string\n@attribute start date\n@frequency daily\n"
            "@missing true\n@data\nT1:2024-01-01 00-00-00:1,2,?,4\nT2:2024-02-01 00-00-00:5,6\n",
            "@attribute series_name string\n@frequency monthly\n@data\nT1:1,2\nT2:3,4,5\n",
        ],
    }  # fmt: skip


def _saved(write: Callable[[Path], Any], suffix: str) -> bytes:
    """What a writer that takes a path writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"seed{suffix}"
        write(path)
        return path.read_bytes()


def npy(array: Any) -> bytes:
    """An array as the bytes of a .npy file."""
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    """A zip archive of these files."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def arrays() -> list[Any]:
    """Arrays of every type that a .npy or HDF5 file can hold."""
    x = np.arange(60.0).reshape(5, 1, 12)
    flat = np.arange(40)
    return [
        x, x[:, 0], x[0, 0], x.astype("f4"), x.astype(">f8"), x.astype("f2"), x.astype("g"),
        x.astype("i8"), x.astype("u1"), x > 3, x + 1j, flat.astype("M8[s]"), flat.astype("m8[ns]"),
        flat.astype("U3"), flat.astype("S3"), np.zeros(6, [("a", "f8"), ("b", "U3")]),
        np.zeros((2, 3), [("a", "f8", 2)]), np.zeros(3, "V5"), np.float64(3), np.zeros((0, 3)),
        np.zeros((3, 0)), np.full((3, 4), np.nan), np.full((3, 4), np.inf), np.array([None, 1]),
        np.full((2, 3), 1e300), np.full((2, 3), 2**63, "u8"), np.zeros((2, 3, 4, 5)),
        np.zeros((1, 2, 3, 4, 5)), np.zeros((1,) * 9), np.zeros((2, 5, 8, 8, 3), "u1"),
    ]  # fmt: skip


def frames() -> list[pd.DataFrame]:
    """Frames with columns of every type that Parquet and Arrow can hold."""
    n = 6
    count = range(n)
    days = pd.date_range("2024-01-01", periods=n)
    columns: dict[str, Any] = {
        "time": days,
        "zoned": days.tz_localize("Europe/Berlin"),
        "id": pd.Categorical(["a", "b"] * 3),
        "text": [f"t{k}" for k in count],
        "list": [[1.0, 2.0, k] for k in count],
        "ragged": [[1.0] * k for k in count],
        "nested": [[[1, 2], [3, k]] for k in count],
        "struct": [{"x": k, "y": {"z": 1.5}} for k in count],
        "bytes": [b"a\xff"] * n,
        "bool": [True, False] * 3,
        "huge": pd.Series([2**63] * n, dtype="uint64"),
        "delta": pd.to_timedelta(count, "h"),
        "clock": [datetime.time(k, 1) for k in count],
        "day": [datetime.date(2024, 1, k + 1) for k in count],
        "old": [datetime.date(1, 1, 1)] * n,
        "none": [None] * n,
        "int": pd.Series([1, None, 3, 4, 5, 6], dtype="Int64"),
        "inf": [np.inf] * n,
        "v": np.arange(n) * 1.5,
    }
    pairs = [["time", "v"], ["id", "time", "v"], ["id", "list"], ["struct"]]
    pairs += [[name, "v"] for name in columns if name != "v"] + [
        [name] for name in columns
    ]
    return [pd.DataFrame({name: columns[name] for name in names}) for names in pairs]


def _edf(path: Path, kind: int) -> None:
    import pyedflib

    writer = pyedflib.EdfWriter(str(path), 2, file_type=kind)
    writer.setStartdatetime(datetime.datetime(2024, 1, 2, 3, 4, 5))
    for k in range(2):
        writer.setSignalHeader(
            k,
            {
                "label": f"ch{k}", "dimension": "uV", "sample_frequency": 10,
                "physical_min": -100.0, "physical_max": 100.0,
                "digital_min": -32768, "digital_max": 32767,
            },
        )  # fmt: skip
    writer.writeSamples([k + np.arange(20.0) / 100 for k in range(2)])
    writer.close()


def _fit(path: Path) -> None:
    import garmin_fit_sdk

    encoder = garmin_fit_sdk.Encoder()
    start = datetime.datetime(2024, 5, 1, 8, tzinfo=datetime.UTC)
    numbers = garmin_fit_sdk.Profile["mesg_num"]
    encoder.write_mesg(
        {"mesg_num": numbers["FILE_ID"], "type": "activity", "time_created": start}
    )
    for k in range(4):
        record = {
            "mesg_num": numbers["RECORD"],
            "timestamp": start + datetime.timedelta(seconds=10 * k),
            "heart_rate": 90 + k,
            "position_lat": int((47 + k / 1000) * 2**31 / 180),
            "position_long": int(8 * 2**31 / 180),
        }
        encoder.write_mesg(record)
    path.write_bytes(encoder.close())


def _video(path: Path, codec: str, form: str) -> None:
    import av

    noise = np.random.default_rng(0).integers(0, 256, (32, 60, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=8)
        stream.height = stream.width = 32
        stream.pix_fmt = form
        for k in range(6):
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(noise[:, k : k + 32]), "rgb24"
            )
            frame.pts, frame.time_base = k, Fraction(1, 8)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


VIDEOS = {
    ".mp4": ("libx264", "yuv420p"),
    ".mkv": ("ffv1", "yuv420p"),
    ".avi": ("mpeg4", "yuv420p"),
    ".mov": ("mjpeg", "yuvj420p"),
    ".gif": ("gif", "rgb8"),
    ".mpg": ("mpeg2video", "yuv420p"),
    ".y4m": ("wrapped_avframe", "yuv420p"),
    ".webm": ("libvpx-vp9", "yuv420p"),
}


def _h5(array: Any) -> bytes:
    import h5py

    def write(path: Path) -> None:
        with h5py.File(path, "w") as file:
            file["X"] = array
            file.create_dataset("more/packed", data=np.ones((4, 9)), compression="gzip")

    return _saved(write, ".h5")


def _h5_seeds() -> list[bytes]:
    found = []
    for array in arrays():
        try:
            found.append(_h5(array))
        except TypeError:  # dates and text of NumPy have no type in HDF5
            continue
    return found


def _stream(frame: pd.DataFrame) -> bytes:
    import pyarrow as pa

    out = io.BytesIO()
    table = pa.Table.from_pandas(frame)
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)
    return out.getvalue()


def _xlsx(frame: pd.DataFrame) -> bytes:
    return _saved(lambda path: frame.to_excel(path, index=False), ".xlsx")


def seeds(kinds: tuple[str, ...] = ()) -> dict[str, list[bytes]]:
    """Valid files, by extension; of all kinds, or of these."""
    texts = {name: [t.encode() for t in found] for name, found in text_seeds().items()}
    simple = pd.DataFrame(
        {"id": list("aabb"), "time": [0, 1, 0, 1], "v": [1.5, 2, 3, 4]}
    )
    dated = simple.assign(time=pd.date_range("2024-01-01", periods=4), w=[1, 2.5, 3, 9])
    makers: dict[str, Callable[[], list[bytes]]] = {
        ".npy": lambda: [npy(array) for array in arrays()],
        ".npz": lambda: [
            zipped({"X.npy": npy(arrays()[0]), "y.npy": npy(np.arange(5))}),
            *(zipped({"X.npy": npy(array)}) for array in arrays()),
        ],
        ".h5": _h5_seeds,
        ".parquet": lambda: [
            _saved(lambda path, f=frame: f.to_parquet(path), ".parquet") for frame in frames()
        ],
        ".feather": lambda: [
            _saved(lambda path, f=frame: f.to_feather(path), ".feather") for frame in frames()
        ],
        ".arrow": lambda: [_stream(frame) for frame in frames()],
        ".xlsx": lambda: [_xlsx(simple), _xlsx(dated)],
        ".fit": lambda: [_saved(_fit, ".fit")],
        ".edf": lambda: [_saved(lambda path: _edf(path, 0), ".edf")],
        ".bdf": lambda: [_saved(lambda path: _edf(path, 2), ".bdf")],
        ".gz": lambda: [gzip.compress(text, mtime=0) for text in texts[".csv"][:4]],
        ".bz2": lambda: [bz2.compress(texts[".csv"][1])],
        ".xz": lambda: [lzma.compress(texts[".csv"][1])],
        ".zip": lambda: [
            zipped({"a.csv": texts[".csv"][0]}),
            zipped({"a.csv": texts[".csv"][0], "../b.csv": texts[".csv"][1]}),
            zipped({"a.json": texts[".json"][0], "README.md": b"x"}),
        ],
    }  # fmt: skip
    for suffix, (codec, form) in VIDEOS.items():
        makers[suffix] = lambda s=suffix, c=codec, f=form: [  # type: ignore[misc]
            _saved(lambda path: _video(path, c, f), s)
        ]
    wanted = kinds or (*texts, *makers)
    return {name: texts[name] if name in texts else makers[name]() for name in wanted}


TEXTS = (*text_seeds(),)
ZIPS = (".npz", ".xlsx", ".zip")
PACKED = {".gz": gzip, ".bz2": bz2, ".xz": lzma}


def mutated(data: bytes, kind: str, rng: random.Random, others: list[bytes]) -> bytes:
    """A damaged copy of a file, in a way that fits its kind most of the time."""
    if kind in TEXTS and rng.random() < 0.9:
        return damaged_text(data, rng)
    if kind in ZIPS and rng.random() < 0.7:
        return _zip(data, rng)
    if kind in PACKED and rng.random() < 0.7:
        module: Any = PACKED[kind]
        return bytes(module.compress(damaged_text(module.decompress(data), rng)))
    if kind == ".npy" and rng.random() < 0.7:
        return damaged_npy(data, rng)
    return damaged_bytes(data, rng, others)


def damaged_text(data: bytes, rng: random.Random) -> bytes:
    """Fields and lines replaced, removed, doubled or swapped."""
    text = data.decode("utf-8", "surrogateescape")
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        text = rng.choice(_EDITS)(text, rng)
    encoding = rng.choices(("utf-8", "utf-16", "latin-1"), (30, 1, 1))[0]
    return (
        text.encode(encoding, "surrogateescape" if encoding == "utf-8" else "replace")
        if not _has_surrogate(text)
        else text.encode("utf-8", "surrogatepass")
    )


def _has_surrogate(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)


def _swap_field(text: str, rng: random.Random) -> str:
    """One field as another word."""
    fields = [m.span() for m in re.finditer(r"[^\s,;:<>\"'{}\[\]()=|]+", text)]
    if not fields:
        return text + rng.choice(WORDS)
    start, end = rng.choice(fields)
    return text[:start] + rng.choice(WORDS) + text[end:]


def _swap_column(text: str, rng: random.Random) -> str:
    """A field as the same word on all lines."""
    mark = rng.choice((",", ";", "\t", ":", " "))
    word = rng.choice(WORDS)
    at = rng.randrange(4)
    lines = []
    for line in text.split("\n"):
        cells = line.split(mark)
        if at < len(cells) > 1:
            cells[at] = word
        lines.append(mark.join(cells))
    return "\n".join(lines)


def _insert(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(WORDS) + text[at:]


def _cut(text: str, rng: random.Random) -> str:
    return text[: rng.randrange(len(text) + 1)]


def _drop(text: str, rng: random.Random) -> str:
    start = rng.randrange(len(text) + 1)
    return text[:start] + text[start + rng.choice((1, 1, 2, 5, 30)) :]


def _shuffle_lines(text: str, rng: random.Random) -> str:
    """A line removed, doubled or moved."""
    lines = text.split("\n")
    line = lines.pop(rng.randrange(len(lines)))
    for _ in range(rng.choice((0, 1, 2))):
        lines.insert(rng.randrange(len(lines) + 1), line)
    return "\n".join(lines)


def _repeat(text: str, rng: random.Random) -> str:
    """A piece many times over: deep nesting, long fields, many columns."""
    start = rng.randrange(len(text) + 1)
    piece = text[start : start + rng.choice((1, 1, 2, 8))]
    return text[:start] + piece * rng.choice((2, 50, 1500, 20_000)) + text[start:]


_EDITS = (_swap_field,) * 5 + (
    _swap_column,
    _insert,
    _cut,
    _drop,
    _shuffle_lines,
    _repeat,
)


def damaged_bytes(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Bits flipped, numbers replaced by extreme ones, pieces cut, doubled or taken from others."""
    copy = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        if not copy:
            break
        at = rng.randrange(len(copy))
        how = rng.randrange(8)
        if how < 3:
            copy[at] ^= 1 << rng.randrange(8)
        elif how == 3:
            size = rng.choice((1, 2, 4, 8))
            number = rng.choice((0, 1, 2**31, 2**31 - 1, 2**40, 2**63 - 1, -1)) % 2 ** (
                8 * size
            )
            copy[at : at + size] = number.to_bytes(size, rng.choice(("little", "big")))
        elif how == 4:
            copy[at] = rng.randrange(256)
        elif how == 5:
            del copy[at : at + rng.choice((1, 4, 64, len(copy)))]
        elif how == 6:
            copy[at:at] = copy[at : at + rng.choice((1, 4, 64))]
        else:
            other = rng.choice(others)
            start = rng.randrange(len(other) + 1)
            copy[at : at + 32] = other[start : start + 32]
    return bytes(copy)


def damaged_npy(data: bytes, rng: random.Random) -> bytes:
    """A .npy file with another header."""
    dtype = rng.choice(DTYPES)
    sizes = (
        0,
        1,
        3,
        40,
        -1,
        10**6,
        10**11,
        10**12,
        2**63,
        10**30,
        True,
        1.5,
        "'a'",
        "None",
    )
    shape = tuple(rng.choice(sizes) for _ in range(rng.choice((0, 1, 2, 3, 5, 33))))
    found = re.search(rb"'descr': (.*?), 'fortran_order'", data)
    descr = (
        repr(dtype) if rng.random() < 0.5 or not found else found[1].decode("latin-1")
    )
    shown = "(" + "".join(f"{size}, " for size in shape) + ")"
    if rng.random() < 0.3:
        shown = re.search(rb"'shape': (\(.*?\))", data)[1].decode() if found else shown  # type: ignore[index]
    order = rng.choice(("False", "False", "True", "1", "None"))
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shown}, }}"
    if rng.random() < 0.2:
        header = damaged_text(header.encode(), rng).decode("latin-1")
    raw = header.encode("latin-1", "replace").ljust(rng.choice((0, 118))) + b"\n"
    version = rng.choice((1, 1, 1, 2, 3, 9))
    size = (
        len(raw).to_bytes(2 if version == 1 else 4, "little")
        if len(raw) < 2**16
        else b"\xff\xff"
    )
    body = data[-(len(data) // 2) :]
    return b"\x93NUMPY" + bytes((version, 0)) + size + raw + body


def _zip(data: bytes, rng: random.Random) -> bytes:
    """An archive with a damaged, renamed or doubled file in it."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = rng.choice([*members])
    content = members[name]
    if name.endswith(".npy"):
        content = damaged_npy(content, rng)
    elif name.endswith((".xml", ".rels", ".csv", ".json")):
        content = damaged_text(content, rng)
    else:
        content = damaged_bytes(content, rng, [data])
    how = rng.randrange(10)
    if how == 0:
        del members[name]
    elif how == 1:
        members[
            rng.choice(
                (
                    "../" + name,
                    "/" + name,
                    name + "\x1b[31m",
                    "y.npy",
                    "X.npy",
                    "a/X.npy",
                )
            )
        ] = content
    else:
        members[name] = content
    return zipped(members)


class Finding(NamedTuple):
    """What a reader should not have done."""

    what: str  # the type and the place, which tell findings apart
    text: str  # the message, or the traceback


def peak(reset: bool = False) -> float:
    """The largest resident memory of this process in bytes, since the last reset on Linux."""
    if reset:
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5")
    return KILOBYTE * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def attempt(path: Path, **options: Any) -> Finding | None:
    """Read a file; None for an answer that is right, or an error that is clear.

    An error is clear that this package raised itself: a ValueError with the name of the file,
    without control characters, and not what Python or NumPy say. Nothing may warn, take long or
    take much memory.
    """

    def whole() -> None:
        assert read(path, **options).summary()

    return judge(whole, path)


def judge(action: Callable[[], None], path: Path) -> Finding | None:
    """The same for any function that reads what is at a path."""
    before = peak()
    start = time.process_time()
    finding = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            action()
        except Exception as error:  # noqa: BLE001 - any is a finding, or clear
            finding = judged(error, path)
    seconds = time.process_time() - start
    grown = peak() - before
    if grown > GROWN:  # so that the next file is not hidden below this mark
        peak(reset=True)
    if finding is not None:
        return finding
    if caught:
        first = caught[0]
        place = f"{Path(first.filename).name}:{first.lineno}"
        return Finding(f"warning {first.category.__name__} {place}", str(first.message))
    if seconds > SECONDS:
        return Finding("slow", f"{seconds:.1f} s")
    if grown > PEAK - GROWN:
        return Finding("memory", f"{grown / 1e6:.0f} MB")
    return None


def judged(error: BaseException, path: Path) -> Finding | None:
    """The finding that an error is, None if it is clear."""
    what = _fault(error, path)
    if what is None:
        return None
    if "was not understood" in str(error) and error.__cause__ is not None:
        error = error.__cause__
    calls = "".join(traceback.format_tb(error.__traceback__)[-3:])
    shown = f"{str(error)[:500]}\n{calls}".encode("ascii", "backslashreplace")
    return Finding(what, shown.decode())


def _fault(error: BaseException, path: Path) -> str | None:
    """What is wrong with an error, in words that tell findings apart; None if it is clear."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    assert last is not None
    file, number = last.tb_frame.f_code.co_filename, last.tb_lineno
    place = f"{Path(file).name}:{number}"
    name = type(error).__name__
    text = str(error)
    if name not in ALLOWED:
        return f"type {name} {place}"
    line = linecache.getline(file, number).strip()
    if not file.startswith(PACKAGE) or not line.startswith("raise"):
        return f"bare {name} {place}"
    if "was not understood" in text and error.__cause__ is not None:
        return _fault(error.__cause__, path)  # the net caught it
    if path.name not in text:
        return f"unnamed {place}"
    said = text.replace(str(path), "")
    found = UNCLEAR.search(
        re.sub(r"(?s)\(.*\)", "", said)
    )  # what libraries say stands in brackets
    if found:
        return f"unclear {found[0]!r} {place}"
    control = re.search(
        r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\ud800-\udfff]", said
    )
    if control:
        return f"control {control[0]!a} {place}"
    return f"long {place}" if len(said) > LONGEST else None


def cases(kind: str, start: int = 0, found: list[bytes] | None = None) -> Any:
    """Damaged files of a kind without end; the k-th depends on k alone."""
    found = found or seeds((kind,))[kind]
    for k in itertools.count(start):
        rng = random.Random(f"{kind} {k}")
        yield mutated(rng.choice(found), kind, rng, found)


BINARY = (
    ".npy", ".npz", ".h5", ".parquet", ".feather", ".arrow", ".xlsx", ".fit", ".edf", ".bdf", ".gz",
    ".bz2", ".xz", ".zip", *VIDEOS,
)  # fmt: skip
"""The kinds of `seeds` that are no plain text."""
