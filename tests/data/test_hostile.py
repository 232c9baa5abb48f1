"""Hostile files: a clear error of this package, in bounded time and memory, or a right answer."""

import io
import os
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import hostile_files as hostile
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temporal_jepa.data import read
from temporal_jepa.data.formats import libraries, workbooks
from temporal_jepa.data.sequences import listed
from temporal_jepa.files.printable import printable

EXAMPLES = {".xlsx": 15, ".csv": 60, ".json": 60, ".npy": 60, ".npz": 60}
KINDS = (*hostile.TEXTS, *hostile.BINARY)


@pytest.fixture(scope="session")
def seeds() -> Callable[[str], list[bytes]]:
    found: dict[str, list[bytes]] = {}

    def of(kind: str) -> list[bytes]:
        if kind not in found:
            found.update(hostile.seeds((kind,)))
        return found[kind]

    return of


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_is_read_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory,
    seeds: Callable[[str], list[bytes]],
    kind: str,
) -> None:
    path = tmp_path_factory.mktemp("hostile") / f"file{kind}"
    if kind in hostile.PACKED:
        path = path.with_suffix(f".csv{kind}")
    valid = seeds(kind)

    @settings(max_examples=EXAMPLES.get(kind, 25))
    @given(seed=st.integers(0, 2**32), which=st.integers(0, len(valid) - 1))
    def check(seed: int, which: int) -> None:
        path.write_bytes(
            hostile.mutated(valid[which], kind, random.Random(seed), valid)
        )
        assert hostile.attempt(path) is None

    check()


@pytest.mark.parametrize("kind", KINDS)
def test_the_seeds_of_the_fuzzer_are_read(
    tmp_path: Path, seeds: Callable[[str], list[bytes]], kind: str
) -> None:
    path = tmp_path / f"file{'.csv' if kind in hostile.PACKED else ''}{kind}"
    read_count = 0
    several = 3 if kind in (".parquet", ".feather", ".arrow") else 1
    for data in seeds(kind)[::several]:
        path.write_bytes(data)
        assert hostile.attempt(path) is None
        try:
            read(path)
            read_count += 1
        except ValueError:
            continue
    assert read_count


def header(descr: str, shape: str, body: bytes = b"1" * 80) -> bytes:
    """A .npy file with this header."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + body


def test_promises_of_headers_are_checked_before_allocation(tmp_path: Path) -> None:
    before = hostile.peak(reset=True)
    for shape in ("(10**12,)", "(1000000000000,)", "(-1,)", "(4294967296, 4294967296)"):
        for name, wrap in {
            "a.npy": bytes,
            "a.npz": lambda x: hostile.zipped({"X.npy": x}),
        }.items():
            (tmp_path / name).write_bytes(wrap(header("<f8", shape)))
            with pytest.raises(ValueError, match=f"{name}: not read: expected arrays"):
                read(tmp_path / name)
    for dtype in ("|V0", "<U0"):  # takes no byte, however many there are
        (tmp_path / "a.npy").write_bytes(header(dtype, "(1000000000000,)"))
        with pytest.raises(ValueError, match=r"a\.npy: not read"):
            read(tmp_path / "a.npy")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("X", shape=(10**6, 10**6), dtype="f8", chunks=(100, 100))
    with pytest.raises(ValueError, match=r"a\.h5: promises 8,000 GB.*prepare"):
        read(tmp_path / "a.h5")
    table = pa.table({"v": pa.array(np.zeros(10**6))})
    with pq.ParquetWriter(tmp_path / "a.parquet", table.schema) as writer:
        for _ in range(140):
            writer.write_table(table)
    with pytest.raises(ValueError, match=r"a\.parquet: promises 1\.1 GB"):
        read(tmp_path / "a.parquet")
    assert hostile.peak() - before < 300e6


def test_archives_that_grow_without_end_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("X.npy", hostile.npy(np.zeros((10, 10**6))))
    assert (tmp_path / "a.npz").stat().st_size < 100_000
    monkeypatch.setattr(libraries, "LARGE", 10**7)
    with pytest.raises(
        ValueError, match=r"a\.npz: promises 0\.08 GB, more than 200 times"
    ):
        read(tmp_path / "a.npz")
    monkeypatch.undo()
    assert read(tmp_path / "a.npz").lengths[0] == 10**6
    monkeypatch.setattr(libraries, "available", lambda: 10**6)
    with pytest.raises(
        ValueError, match=r"needs 0\.08 GB of memory, of which 0\.001 GB"
    ):
        read(tmp_path / "a.npz")


def test_only_the_arrays_that_are_read_are_unpacked(tmp_path: Path) -> None:
    x = hostile.npy(np.arange(60.0).reshape(5, 1, 12))
    damaged = hostile.npy(np.arange(9))[:-3]
    (tmp_path / "a.npz").write_bytes(
        hostile.zipped(
            {"X.npy": x, "notes.txt": b"made", "y.npy": hostile.npy(np.arange(5))}
        )
    )
    assert read(tmp_path / "a.npz").labels.tolist() == ["0", "1", "2", "3", "4"]
    (tmp_path / "a.npz").write_bytes(hostile.zipped({"X.npy": x, "y.npy": damaged}))
    with pytest.raises(ValueError, match="cut short or damaged"):
        read(tmp_path / "a.npz")


def workbook(change: Callable[[bytes], bytes]) -> bytes:
    """A small workbook whose sheet was changed."""
    out = io.BytesIO()
    pd.DataFrame({"time": [1, 2], "v": [3, 4]}).to_excel(out, index=False)
    with zipfile.ZipFile(out) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = "xl/worksheets/sheet1.xml"
    return hostile.zipped({**parts, sheet: change(parts[sheet])})


ENTITIES = b'<!DOCTYPE l [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;">]>'
FAR = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>'


def test_workbooks_that_fill_the_memory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(workbook(bytes))
    assert read(path).channels == ["v"]
    path.write_bytes(workbook(lambda sheet: ENTITIES + sheet))
    with pytest.raises(
        ValueError, match=r"a\.xlsx: xl/worksheets/sheet1\.xml contains <!DOCTYPE"
    ):
        read(path)
    path.write_bytes(workbook(lambda sheet: sheet.replace(b"</sheetData>", FAR)))
    with pytest.raises(ValueError, match=r"a\.xlsx: .* row 1,048,576 and few others"):
        read(path)
    monkeypatch.setattr(workbooks, "LARGE", 10**7)
    gap = b" " * 10**7
    path.write_bytes(
        workbook(lambda sheet: sheet.replace(b"</sheetData>", gap + b"</sheetData>"))
    )
    with pytest.raises(
        ValueError, match=r"a\.xlsx: unpacks to 0\.01 GB, over 200 times"
    ):
        read(path)


@pytest.mark.parametrize("suffix", [".gpx", ".kml", ".tcx"])
def test_entities_of_xml_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_bytes(ENTITIES + b"<gpx>&b;</gpx>")
    with pytest.raises(ValueError, match="contains <!DOCTYPE"):
        read(path)


def test_values_of_hdf5_in_other_files_are_never_opened(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(np.arange(45.0).tobytes())
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["X"] = np.ones((3, 9))
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        external = [(str(tmp_path / "secret"), 0, 360)]
        file.create_dataset("X", shape=(5, 9), dtype="f8", external=external)
    with pytest.raises(ValueError, match="lie in other files, which are never opened"):
        read(path)
    with h5py.File(path, "w") as file:
        layout = h5py.VirtualLayout(shape=(3, 9), dtype="f8")
        layout[:] = h5py.VirtualSource(tmp_path / "other.h5", "X", shape=(3, 9))
        file.create_virtual_dataset("X", layout)
    with pytest.raises(ValueError, match="lie in other files, which are never opened"):
        read(path)
    with h5py.File(path, "w") as file:
        file["X"] = h5py.ExternalLink("other.h5", "/X")
        file["loop"] = h5py.SoftLink("/loop")
    with pytest.raises(ValueError, match="expected an array of numbers, got none"):
        read(path)


def test_names_in_archives_are_no_paths(tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    for name in ("../../evil.csv", str(tmp_path / "evil.csv")):
        (folder / "a.zip").write_bytes(
            hostile.zipped({name: b"id,t0,t1\na,1,2\nb,2,3\n"})
        )
        assert len(read(folder / "a.zip")) == 2
    assert [p.name for p in tmp_path.iterdir()] == ["inner"]


def test_pipes_devices_and_loops_in_folders_are_named(tmp_path: Path) -> None:
    for name, make in {
        "loop.csv": lambda path: path.symlink_to(path),
        "zero.csv": lambda path: path.symlink_to("/dev/zero"),
        "pipe.csv": os.mkfifo,
    }.items():
        folder = tmp_path / name.removesuffix(".csv")
        folder.mkdir()
        (folder / "a.csv").write_text("time,v\n0,1\n1,2\n")
        make(folder / name)
        with pytest.raises((ValueError, OSError), match=name):
            read(folder)


def test_control_characters_of_files_do_not_reach_messages(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("time,v\x1b[31m\n0,1\n1,x\x1b]0;title\x9c\n")
    with pytest.raises(ValueError, match=r"v\\x1b\[31m") as caught:
        read(path)
    assert "\x1b" not in str(caught.value)
    assert "\x9c" not in str(caught.value)
    path.write_bytes(hostile.zipped({"a\x1b[31m.csv": b"1", "b.csv": b"2"}))
    with pytest.raises(ValueError, match="holds 2 files") as caught:
        read(path)
    assert "\x1b" not in str(caught.value)
    assert (
        printable("Zürich 東京\n\u202e\ud800", keep="\n")
        == "Zürich 東京\n\\u202e\\ud800"
    )
    assert listed(["a\nb", "c"]) == "a\\nb, c"


def test_messages_have_an_end(tmp_path: Path) -> None:
    path = tmp_path / "a.tsf"
    path.write_text(
        f"@attribute n string\n@attribute s date\n@frequency daily\n@data\nT:{'x' * 10**5}:1,2\n"
    )
    with pytest.raises(ValueError, match="expected a start") as caught:
        read(path)
    assert len(str(caught.value)) < 5000


BAD = {  # kind of finding -> name, content, message
    "a number of channels that is no number": (
        "a.ts", b"@dimensions x\n@data\n1,2:3\n", "expected a whole number after @dimensions",
    ),
    "a question with rows of unequal length": (
        "a.ts", b"@data\n1,2,3:0.5\n2:1\n3,4:1:2\n", "a.ts",
    ),
    "an empty line before the header": (
        "a.tsf", b"\n@attribute n string\n@data\nT:1,2,x\n", "got 'x'",
    ),
    "a heart rate that is no number": (
        "a.tcx",
        b"<TrainingCenterDatabase><Activity><Trackpoint><HeartRateBpm><Value>x</Value></HeartRateBpm>"
        b"</Trackpoint></Activity></TrainingCenterDatabase>",
        "expected a number in HeartRateBpm, got 'x'",
    ),
    "an integer that no float holds": (
        "a.json", b'[{"time": 0, "v": 1}, {"time": 1, "v": ' + b"9" * 400 + b"}]", "a.json",
    ),
    "an index that is not there": (
        "a.json", b'{"schema": {"primaryKey": ["index"]}, "data": [{"n": "a"}]}', "a.json",
    ),
    "an index of another length": (
        "a.json", b'{"columns": ["v"], "index": [0], "data": [[1], [2]]}', "as many rows in data",
    ),
    "a date with two years": (
        "a.arff",
        b"@relation r\n@attribute d date 'yyyy-yyyy'\n@attribute v numeric\n@data\n2024-1,1\n",
        None,
    ),
    "levels of one name": (
        "a.csv", b"9,time,,y\n0,0,#,0\n0,1,1.5,12345-01-01\n0,2,x,4\n0,3,3.5,9\n", "id='level_0'",
    ),
    "an object among the times": (
        "a.json",
        b'[{"time": 0, "v": 1}, {"time": [1, 2], "v": 2}, {"time": {}, "v": 3}]',
        r"column 'time' holds '(\[1, 2\]|\{\})' in data row",
    ),
    "a name in an archive that is no UTF-8": (
        "a.npz",
        hostile.zipped({"é.npy": hostile.npy(np.ones((3, 9)))}).replace(
            "é".encode(), b"\xff\xfe"
        ),
        r"a\.npz: not read",
    ),
    "null alone": ("a.json", b"null", "expected records or columns, got null"),
    "JSON in JSON in JSON": ("a.json", b"[" * 10**6, "nested too deeply"),
    "a name without end": (
        "a.csv", b"time," + b"v" * 5000 + b"\n0,1\n1,2\n", "column 1 has 5,000 characters",
    ),
    "no values along an axis": (
        "a.npy", header("<f8", "(1000000, 0)"), "without any",
    ),
    "fields with names": (
        "a.npy", b"\x93NUMPY\x03\x00" + header("<f8", "(3,)")[8:], "has fields with names",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_what_the_fuzzer_found_is_said_in_words(tmp_path: Path, kind: str) -> None:
    name, content, message = BAD[kind]
    (tmp_path / name).write_bytes(content)
    assert hostile.attempt(tmp_path / name) is None
    if message is None:  # it is read
        assert len(read(tmp_path / name)) == 1
        return
    with pytest.raises(ValueError, match=message):
        read(tmp_path / name)


def test_fields_of_millions_of_characters_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"time,v,note\n0,1,{'x' * 2 * 10**6}\n1,2,y\n")
    assert read(path).channels == ["v"]


def test_too_many_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\n".join([",".join(["1"] * 100_001)] * 2))
    with pytest.raises(ValueError, match="100,001 columns, of which at most 100,000"):
        read(path)


def test_a_batch_of_arrow_is_not_unpacked_to_be_measured(tmp_path: Path) -> None:
    table = pa.table({"v": pa.array(np.zeros(10**7))})
    compressed = pa.ipc.IpcWriteOptions(compression="zstd")
    path = tmp_path / "a.arrow"
    for create in (pa.ipc.new_file, pa.ipc.new_stream):
        with (
            pa.OSFile(str(path), "wb") as out,
            create(out, table.schema, options=compressed) as writer,
        ):
            for _ in range(14):
                writer.write_table(table)
        before = hostile.peak(reset=True)
        with pytest.raises(ValueError, match=r"a\.arrow: promises 1\.1 GB"):
            read(path)
        assert hostile.peak() - before < 50e6


def test_pairs_of_ts_are_found_in_linear_time(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    path.write_text(
        f"@timeStamps true\n@data\n(0,1),({' ' * 10**5}1,2),(3{' ' * 10**5}\n"
    )
    assert hostile.attempt(path) is None


def test_a_header_that_python_2_wrote_does_not_warn(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(header("<f8", "(2L, 5L)"))
    assert hostile.attempt(path) is None
    assert read(path).lengths.tolist() == [5, 5]


def test_a_long_text_among_times_is_named_in_linear_time(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"time,v\n2024-01-01,1\n2024-01-01{'T00:00:0' * 20_000},2\n")
    assert hostile.attempt(path) is None  # at most 10 seconds; it once took 26


def test_an_interval_is_found_in_linear_time(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = "".join(f"{'1 ' * 20_000},{k}\n" for k in range(3))
    path.write_text(f"time,v\n{rows}")
    assert hostile.attempt(path) is None


def test_a_table_of_20_000_columns_is_read_in_seconds(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    steps = range(20_000)
    rows = [f"s{k},{'ab'[k % 2]}," + ",".join(["1.5"] * len(steps)) for k in range(2)]
    header = "id,label," + ",".join(f"t{k}" for k in steps)
    path.write_text("\n".join([header, *rows, ""]))
    assert hostile.attempt(path) is None  # at most 10 seconds; it once took 60
    assert read(path).lengths.tolist() == [20_000, 20_000]


def test_a_video_header_allocates_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.y4m"
    path.write_bytes(b"YUV4MPEG2 W60000 H60000 F25:1\nFRAME\n" + b"x" * 1000)
    assert hostile.attempt(path) is None
    with pytest.raises(ValueError, match=r"a\.y4m: "):
        read(path)
