"""`prepare`: a store has what `read` gives, whatever happens while it is made."""

import json
import os
import pickle
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from temporal_jepa.config import ReadOptions
from temporal_jepa.data import Sequences, read
from temporal_jepa.data.store import (
    blocks,
    columnar,
    folders,
    parts,
    rows,
    scattered,
    text,
)
from temporal_jepa.data.store import prepare as preparing
from temporal_jepa.data.store.description import dumped, verify
from temporal_jepa.data.store.prepare import prepare
from temporal_jepa.data.store.text import cuts, plan_text
from temporal_jepa.data.store.unpacked import plain_text
from temporal_jepa.data.tables.readings import AmbiguousError, Reading

STOPS = 3  # parts between two stops
BENCHMARK = Path(__file__).parents[3] / "benchmarks" / "store.py"


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts so small that a file of a few kB has many."""
    monkeypatch.setattr(parts, "WHOLE", 0)
    monkeypatch.setattr(blocks, "WHOLE", 0)
    monkeypatch.setattr(blocks, "MAPPED_BYTES", 0)
    monkeypatch.setattr(blocks, "BLOCK", 5000)
    monkeypatch.setattr(folders, "FRAMES", 5000)
    monkeypatch.setattr(text, "HEAD", 6000)
    monkeypatch.setattr(text, "UNIT", 3000)
    monkeypatch.setattr(text, "TAIL", 500)
    monkeypatch.setattr(columnar, "ROWS", 64)
    monkeypatch.setattr(scattered, "LARGEST", 20_000)
    monkeypatch.setattr(scattered, "TOGETHER", 3000)


def long_table(series: int = 120, dates: bool = False) -> pd.DataFrame:
    """Series of 20 to 26 rows with a missing value, a label and a channel at 1e9."""
    random_numbers = np.random.default_rng(0)
    rows = []
    for i in range(series):
        for t in range(20 + i % 7):
            when: object = 10 * t
            if dates:
                since = np.timedelta64(1000 * i + 60 * t, "s")
                moment = np.datetime64("2024-01-01T00:00:00") + since
                when = str(moment).replace("T", " ")
            a = np.nan if t == 3 else random_numbers.normal()
            b = 1e9 + random_numbers.normal() if i % 5 == 0 else 1.0
            rows.append((f"s{i}", when, "ab"[i % 2], a, b, i))
    return pd.DataFrame(rows, columns=["id", "time", "label", "a", "b", "c"])


def write_long(path: Path) -> None:
    long_table().to_csv(path, index=False)


def write_dates(path: Path) -> None:
    long_table(dates=True).to_csv(path, index=False)


def write_irregular(path: Path) -> None:
    table = long_table()
    table["time"] += (np.arange(len(table)) % 3 == 0) * 4
    table.to_csv(path, index=False)


def write_whole_ids(path: Path) -> None:
    table = long_table().drop(columns="label")
    table["id"] = table["id"].str[1:].astype(int)
    table.to_csv(path, index=False, float_format="%.3f", sep="\t")


def write_quoted(path: Path) -> None:
    long_table().to_csv(path, index=False, quoting=2)


def write_quoted_separators(path: Path) -> None:
    table = long_table()
    table["id"] = '"x,' + table["id"]
    table.to_csv(path, index=False)


def write_decimal_commas(path: Path) -> None:
    long_table().to_csv(path, index=False, sep=";", decimal=",")


def write_long_numbers(path: Path) -> None:
    table = long_table()
    table["a"] = [f"{x:.25f}" for x in table["a"].fillna(0)]
    table.to_csv(path, index=False)


def write_interleaved(path: Path) -> None:
    long_table().sort_values(["time", "id"], kind="stable").to_csv(path, index=False)


def write_shuffled(path: Path) -> None:
    long_table().sample(frac=1, random_state=0).to_csv(path, index=False)


def wide_table() -> pd.DataFrame:
    values = np.random.default_rng(0).normal(size=(200, 30))
    table = pd.DataFrame(values, columns=[f"t{k}" for k in range(30)])
    table.iloc[5, 20:] = np.nan
    table.iloc[150, 25:] = np.nan
    table.insert(0, "label", ["xy"[k % 2] for k in range(200)])
    return table


def write_wide(path: Path) -> None:
    wide_table().to_csv(path, index=False)


def write_repeated_ids(path: Path) -> None:
    wide_table().assign(name=[f"n{k % 190}" for k in range(200)]).to_csv(
        path, index=False
    )


def write_float64(path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(100, 3, 50))
    array[3, :, 30:] = np.nan
    np.save(path, array)


def write_archive(path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(30, 2, 50))
    np.savez(path, X=array, y=np.arange(30) % 3)


def write_hdf5(path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file["X"] = np.random.default_rng(0).normal(size=(100, 3, 50))
        file["y"] = np.arange(100) % 3


def write_parquet(path: Path) -> None:
    pytest.importorskip("pyarrow")
    long_table().to_parquet(path, index=False, row_group_size=97)


def write_instants(path: Path) -> None:
    pytest.importorskip("pyarrow")
    table = long_table(dates=True)
    table["time"] = pd.to_datetime(table["time"])
    table.to_parquet(path, index=False)


def write_indexed(path: Path) -> None:
    pytest.importorskip("pyarrow")
    table = long_table().drop(columns="label").set_index(["id", "time"])
    table.to_parquet(path, row_group_size=300)


def write_interleaved_rows(path: Path) -> None:
    pytest.importorskip("pyarrow")
    table = long_table().sort_values(["time", "id"], kind="stable")
    table.to_parquet(path, index=False)


def write_wide_rows(path: Path) -> None:
    pytest.importorskip("pyarrow")
    wide_table().to_parquet(path, index=False)


def write_folder(path: Path) -> None:
    path.mkdir()
    for name, table in long_table(12).groupby("id"):
        table[["time", "a", "b"]].to_csv(path / f"{name}.csv", index=False)


def write_labeled_folder(path: Path) -> None:
    for name, table in long_table(12).groupby("id"):
        label = str(table["label"].iloc[0])
        (path / label).mkdir(parents=True, exist_ok=True)
        table[["b", "time", "a"]].to_csv(path / label / f"{name}.csv", index=False)


def write_folder_of_ids(path: Path) -> None:
    """Several series in each file, some with floats as times, labels in all but one."""
    path.mkdir()
    for k in range(6):
        table = long_table(60)
        table = table[table["c"].isin(range(10 * k, 10 * k + 10))].drop(columns="c")
        if k == 4:
            table["time"] += 0.5
        if k == 5:
            table = table.drop(columns="label")
        table.to_csv(path / f"f{k}.csv", index=False)


def write_folder_of_arrays(path: Path) -> None:
    path.mkdir()
    for k in range(5):
        np.save(path / f"{k}.npy", np.random.default_rng(k).normal(size=(90 + k, 3)))


def write_part_texts(path: Path) -> None:
    path.mkdir()
    table = long_table()
    for k, start in enumerate(range(0, len(table), 700)):
        rows = table.iloc[start : start + 700]
        rows.to_csv(path / f"part-{k:05d}.csv", index=False)


def write_part_tables(path: Path) -> None:
    pytest.importorskip("pyarrow")
    table = long_table()
    for k, start in enumerate(range(0, len(table), 700)):
        folder = path / "year=2020"
        folder.mkdir(parents=True, exist_ok=True)
        rows = table.iloc[start : start + 700].drop(columns="label")
        rows = rows.assign(id=rows["id"] + f"-{k}")
        rows.to_parquet(folder / f"part-{k}.parquet", index=False)


def track_table() -> pd.DataFrame:
    """Tracks of 1 to 30 fixes in degrees, two of a single fix, one with a gap."""
    random_numbers = np.random.default_rng(0)
    rows = []
    for i in range(40):
        count = 1 if i in (3, 30) else 20 + i % 11
        wander = random_numbers.normal(0, 1e-4, (count, 2)).cumsum(0)
        places = np.add([8.5, 47.3], wander)
        for t, (lon, lat) in enumerate(places.tolist()):
            next_day = 86400 if i == 7 and t > 9 else 0
            since = np.timedelta64(60 * t + 3 * i + next_day, "s")
            when = str(np.datetime64("2024-05-01T00:00:00") + since).replace("T", " ")
            rows.append((f"t{i}", when, lon, lat, random_numbers.normal(), "ab"[i % 2]))
    return pd.DataFrame(rows, columns=["id", "time", "lon", "lat", "hr", "label"])


def write_tracks(path: Path) -> None:
    track_table().to_csv(path, index=False)


def write_mixed_tracks(path: Path) -> None:
    track_table().sort_values(["time", "id"], kind="stable").to_csv(path, index=False)


def write_track_rows(path: Path) -> None:
    pytest.importorskip("pyarrow")
    track_table().to_parquet(path, index=False)


def recording_table(rows: int = 2500) -> pd.DataFrame:
    random_numbers = np.random.default_rng(0)
    hours = np.datetime64("2024-01-01T00:00:00") + np.arange(rows) * np.timedelta64(
        1, "h"
    )
    table = pd.DataFrame({"time": np.char.replace(hours.astype(str), "T", " ")})
    table["a"] = random_numbers.normal(size=rows).cumsum()
    table["b"] = random_numbers.normal(size=rows)
    table.loc[100:1500, "b"] = np.nan
    table.loc[200:900, "a"] = np.nan
    return table


def write_recording(path: Path) -> None:
    recording_table().to_csv(path, index=False)


def write_recording_at_an_offset(path: Path) -> None:
    """Values that float32 loses, seen only in the last rows: before, the channel is constant."""
    table = recording_table()
    table["c"] = 1e9
    table.loc[2400:, "c"] = 1e9 + np.arange(100) / 8
    table.to_csv(path, index=False)


def write_recording_backwards(path: Path) -> None:
    recording_table().iloc[::-1].to_csv(path, index=False)


def write_recording_rows(path: Path) -> None:
    pytest.importorskip("pyarrow")
    table = recording_table()
    table["time"] = pd.to_datetime(table["time"])
    table.to_parquet(path, index=False)


def write_recording_array(path: Path) -> None:
    array = np.random.default_rng(0).normal(size=(3000, 2))
    array[2900:] = np.nan
    np.save(path, array)


def write_rows_array(path: Path) -> None:
    np.save(path, np.random.default_rng(0).normal(size=(300, 40)))


def write_compressed(path: Path) -> None:
    long_table().to_csv(path, index=False, compression="infer")


def write_utf16(path: Path) -> None:
    long_table().to_csv(path, index=False, encoding="utf-16")


def write_returns(path: Path) -> None:
    long_table().to_csv(path, index=False, lineterminator="\r")


def write_video(path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    for name in ("one", "two"):
        (path / name).mkdir(parents=True)
        for k in range(20):
            pixels = np.random.default_rng(k).integers(0, 255, (16, 16, 3), np.uint8)
            image.fromarray(pixels).save(path / name / f"{k:03d}.png")


SOURCES = {
    "long.csv": write_long,
    "dates.csv": write_dates,
    "irregular.csv": write_irregular,
    "ids.tsv": write_whole_ids,
    "quoted.csv": write_quoted,
    "separators.csv": write_quoted_separators,
    "commas.csv": write_decimal_commas,
    "digits.csv": write_long_numbers,
    "interleaved.csv": write_interleaved,
    "shuffled.csv": write_shuffled,
    "wide.csv": write_wide,
    "repeated.csv": write_repeated_ids,
    "array.npy": write_float64,
    "arrays.npz": write_archive,
    "data.h5": write_hdf5,
    "long.parquet": write_parquet,
    "instants.parquet": write_instants,
    "indexed.parquet": write_indexed,
    "interleaved.parquet": write_interleaved_rows,
    "wide.parquet": write_wide_rows,
    "folder": write_folder,
    "labeled": write_labeled_folder,
    "ids": write_folder_of_ids,
    "arrays": write_folder_of_arrays,
    "texts": write_part_texts,
    "tables": write_part_tables,
    "tracks.csv": write_tracks,
    "mixed.csv": write_mixed_tracks,
    "tracks.parquet": write_track_rows,
    "recording.csv": write_recording,
    "offset.csv": write_recording_at_an_offset,
    "backwards.csv": write_recording_backwards,
    "recording.parquet": write_recording_rows,
    "recording.npy": write_recording_array,
    "rows.npy": write_rows_array,
    "long.csv.gz": write_compressed,
    "long.csv.zip": write_compressed,
    "utf16.csv": write_utf16,
    "returns.csv": write_returns,
    "videos": write_video,
}


def check_equal(found: Sequences, expected: Sequences) -> None:
    """The same series to the last bit, with everything that is known of them."""
    assert list(found.ids) == list(expected.ids)
    assert found.channels == expected.channels
    assert (found.frame, found.task) == (expected.frame, expected.task)
    assert (found.labels is None) == (expected.labels is None)
    if expected.labels is not None:
        assert found.labels is not None
        assert found.labels.tolist() == expected.labels.tolist()
    assert found.lengths.tolist() == expected.lengths.tolist()
    for x, y in zip(found.values, expected.values, strict=True):
        assert x.dtype == y.dtype
        if "offset" in expected.source:  # `read` rounds columns before one like that
            x, y = x.astype(np.float32), y.astype(np.float32)
        assert x.tobytes() == y.tobytes()
    assert (found.times is None) == (expected.times is None)
    for x, y in zip(found.times or [], expected.times or [], strict=True):
        assert x.dtype.kind == y.dtype.kind or {x.dtype.kind, y.dtype.kind} == {*"if"}
        assert np.array_equal(x, y)
    assert (found.places is None) == (expected.places is None)
    for x, y in zip(found.places or [], expected.places or [], strict=True):
        assert x.tobytes() == y.tobytes()


def without_all_tracks(found: Sequences) -> list[str]:
    """The notes in any order, without those that say something of all tracks together."""
    return sorted(note for note in found.notes if not rows.OF_ALL_TRACKS.match(note))


@pytest.mark.parametrize("name", SOURCES)
def test_a_store_has_what_read_gives(
    name: str, tmp_path: Path, small_parts: None
) -> None:
    path = tmp_path / name
    SOURCES[name](path)
    expected = read(path)
    prepare(path, tmp_path / "store")
    found = read(tmp_path / "store")
    assert found.is_stored
    check_equal(found, expected)
    assert without_all_tracks(found) == without_all_tracks(expected)
    assert found.summary()[1:] == expected.summary()[1:]
    verify(tmp_path / "store")


def test_a_series_of_one_row_is_not_called_constant(tmp_path: Path) -> None:
    path = tmp_path / "short.csv"
    path.write_text("id,time,x\na,0,1\na,1,2\nb,0,3\nc,0,4\nc,1,4\n")
    prepare(path, tmp_path / "store")
    for found in (read(path), read(tmp_path / "store")):
        assert "constant throughout: 1 of 3 series (c)" in found.notes


def test_windows_and_selections_of_a_store_are_those_of_read(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    write_long(path)
    expected = read(path)
    found = prepare(path, tmp_path / "store")
    check_equal(found.select([3, 1]), expected.select([3, 1]))
    check_equal(
        found.select(found.lengths > 23), expected.select(expected.lengths > 23)
    )
    check_equal(read(tmp_path / "store", window=7, stride=3), expected.windows(7, 3))
    assert found.windows(7, 3).notes == expected.windows(7, 3).notes
    assert np.array_equal(found.batch([0, 9]), expected.batch([0, 9]), equal_nan=True)
    table = long_table()
    table.loc[25:34, ["a", "b", "c"]] = np.nan  # windows without an observed value
    table.to_csv(path, index=False)
    found = prepare(path, tmp_path / "store", overwrite=True)
    check_equal(found.windows(4), read(path).windows(4))


def test_bytes_do_not_depend_on_the_number_of_processes(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    write_long(path)
    for jobs in ("1", "2"):
        words = [sys.executable, str(BENCHMARK), "small", str(path)]
        subprocess.run([*words, str(tmp_path / jobs), jobs], check=True)
    one, two = (
        {p.name: p.read_bytes() for p in (tmp_path / j).iterdir()} for j in "12"
    )
    assert one == two


@pytest.mark.parametrize("write", [write_long, write_interleaved])
def test_a_killed_preparation_goes_on_and_gives_the_same_bytes(
    write: object, tmp_path: Path
) -> None:
    path = tmp_path / "table.csv"
    write(path)  # type: ignore[operator]
    words = [sys.executable, str(BENCHMARK), "small", str(path)]
    subprocess.run([*words, str(tmp_path / "whole"), "1"], check=True)
    out = tmp_path / "killed"
    random.seed(0)
    for delay in (0.9, 1.2, None):
        child = subprocess.Popen([*words, str(out), "1"])
        if delay is not None:
            timer = threading.Timer(delay, child.send_signal, [signal.SIGKILL])
            timer.start()
        child.wait()
    names = {p.name for p in out.iterdir()}
    assert names == {p.name for p in (tmp_path / "whole").iterdir()}
    for name in names:
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not (tmp_path / ".killed.partial").exists()


@pytest.mark.parametrize(
    "name",
    ["long.csv", "ids", "mixed.csv", "offset.csv", "long.csv.gz", "tables"],
)
def test_each_stop_between_two_parts_is_survived(
    name: str, tmp_path: Path, small_parts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    class StoppedError(Exception):
        pass

    monkeypatch.setattr(preparing, "COMMIT", 1)
    path = tmp_path / name
    SOURCES[name](path)
    prepare(path, tmp_path / "whole")
    seen: list[int] = []

    def stop(progress: preparing.Progress) -> None:
        seen.append(progress.done)
        if len(seen) % STOPS == 0:
            raise StoppedError

    for _ in range(300):
        try:
            prepare(path, tmp_path / "stopped", on_progress=stop)
            break
        except StoppedError:
            continue
    assert len(seen) > STOPS
    names = {file.name for file in (tmp_path / "whole").iterdir()}
    assert names == {file.name for file in (tmp_path / "stopped").iterdir()}
    for file in names:
        whole = (tmp_path / "whole" / file).read_bytes()
        assert whole == (tmp_path / "stopped" / file).read_bytes()


def test_a_full_disk_leaves_what_can_be_used_again(tmp_path: Path) -> None:
    path = tmp_path / "big.npy"
    np.save(path, np.random.default_rng(0).normal(size=(500, 3, 100)).astype("f4"))
    words = [sys.executable, "-m", "temporal_jepa", "prepare", str(path), "--out"]

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))

    out = tmp_path / "store"
    done = subprocess.run([*words, str(out)], preexec_fn=limit, capture_output=True)
    assert done.returncode == 1
    assert done.stderr.decode().count("\n") == 1
    assert not out.exists()
    subprocess.run([*words, str(out)], check=True, capture_output=True)
    assert len(read(out)) == 500


@pytest.fixture
def store(tmp_path: Path) -> Path:
    write_long(tmp_path / "long.csv")
    prepare(tmp_path / "long.csv", tmp_path / "store")
    return tmp_path / "store"


def test_a_finished_store_is_left_as_it_is(store: Path) -> None:
    before = {p.name: p.stat().st_mtime_ns for p in store.iterdir()}
    prepare(store.parent / "long.csv", store)
    assert {p.name: p.stat().st_mtime_ns for p in store.iterdir()} == before


def test_another_source_needs_overwrite(store: Path) -> None:
    with pytest.raises(ValueError, match="another source or with other options"):
        prepare(store.parent / "long.csv", store, values=["a"])
    assert read(store).channels == ["a", "b", "c"]
    prepare(store.parent / "long.csv", store, values=["a"], overwrite=True)
    assert read(store).channels == ["a"]


def test_files_that_are_no_store_are_never_replaced(tmp_path: Path) -> None:
    write_long(tmp_path / "long.csv")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    for overwrite in (False, True):
        with pytest.raises(ValueError, match="is no store"):
            prepare(tmp_path / "long.csv", tmp_path / "mine", overwrite=overwrite)
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    with pytest.raises(ValueError, match="is no store"):
        prepare(tmp_path / "long.csv", tmp_path / "link", overwrite=True)
    (tmp_path / ".other.partial").symlink_to(tmp_path / "mine")
    with pytest.raises(ValueError, match="symbolic link"):
        prepare(tmp_path / "long.csv", tmp_path / "other")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_options_of_reading_do_not_apply_to_a_store(store: Path) -> None:
    with pytest.raises(ValueError, match="is a store"):
        read(store, id="label")
    with pytest.raises(ValueError, match="a store keeps whole series"):
        prepare(store.parent / "long.csv", store.parent / "other", window=3)


def test_every_damage_is_found(store: Path) -> None:
    """Truncations and JSON when it is opened, changed bytes by `verify`."""
    random.seed(0)
    for path in sorted(store.iterdir()):
        content = path.read_bytes()
        path.write_bytes(content[: random.randrange(len(content))])
        with pytest.raises(ValueError, match=path.name):
            read(store)
        for _ in range(5):
            at = random.randrange(len(content))
            changed = bytes([content[at] ^ (1 << random.randrange(8))])
            path.write_bytes(content[:at] + changed + content[at + 1 :])
            with pytest.raises(ValueError, match=path.name):
                verify(store)
            if path.suffix == ".json":
                with pytest.raises(ValueError, match=path.name):
                    read(store)
        path.unlink()
        with pytest.raises((ValueError, OSError)):
            read(store)
        path.write_bytes(content)
    verify(store)


def test_a_store_of_another_version_is_refused(store: Path) -> None:
    content = json.loads((store / "store.json").read_text())
    (store / "store.json").write_text(json.dumps({**content, "version": 99}))
    with pytest.raises(ValueError, match="version 99"):
        read(store)


def test_rows_that_contradict_the_head_are_named(
    tmp_path: Path, small_parts: None
) -> None:
    path = tmp_path / "long.csv"
    table = long_table().astype({"a": object})
    table.loc[2000, "a"] = "broken"
    table.to_csv(path, index=False)
    with pytest.raises(
        ValueError, match=r"in the bytes \d+ to \d+ of the file.*broken"
    ):
        prepare(path, tmp_path / "store")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells it")
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    peaks = []
    for megabytes in (75, 150):
        path = tmp_path / f"{megabytes}.csv"
        subprocess.run(
            [sys.executable, BENCHMARK, "csv", path, str(megabytes)], check=True
        )
        code = (
            "import sys; from temporal_jepa.data.store.prepare import prepare; "
            "prepare(*sys.argv[1:]); "
            "lines = open('/proc/self/status').read().splitlines(); "
            "print(*(x.split()[1] for x in lines if x.startswith('VmHWM')))"
        )
        words = [sys.executable, "-c", code, str(path), str(tmp_path / f"s{megabytes}")]
        peaks.append(int(subprocess.run(words, check=True, capture_output=True).stdout))
    assert max(peaks) < 400_000  # kB
    assert peaks[1] < 1.1 * peaks[0]


def test_reading_is_the_same_after_a_fork_and_in_threads(store: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    found = read(store)
    expected = [x.tobytes() for x in found.values]
    with ThreadPoolExecutor(8) as pool:
        some = [k % len(found) for k in range(1000)]
        for k, x in zip(
            some, pool.map(lambda k: found.values[k].tobytes(), some), strict=True
        ):
            assert x == expected[k]
    child = os.fork()
    if not child:
        right = [x.tobytes() for x in found.values] == expected
        os._exit(0 if right else 1)
    assert os.waitpid(child, 0)[1] == 0


def stop_before_the_rename(source: Path, out: Path, overwrite: bool = False) -> None:
    """`prepare` that is killed when the store is whole but not yet in its place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(preparing, "replace_folder", lambda *folders: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            prepare(source, out, overwrite=overwrite)


def test_a_whole_store_of_an_old_source_is_not_put_in_place(tmp_path: Path) -> None:
    source = tmp_path / "t.csv"
    write_long(source)
    stop_before_the_rename(source, tmp_path / "s")
    long_table(series=5).to_csv(source, index=False)
    with pytest.raises(ValueError, match="overwrite"):
        prepare(source, tmp_path / "s")
    assert len(prepare(source, tmp_path / "s", overwrite=True)) == 5


def test_overwrite_that_was_killed_before_the_rename_goes_on(
    tmp_path: Path, store: Path
) -> None:
    source = tmp_path / "new.csv"
    long_table(series=5).to_csv(source, index=False)
    stop_before_the_rename(source, store, overwrite=True)
    assert len(prepare(source, store, overwrite=True)) == 5
    verify(store)


@pytest.mark.usefixtures("small_parts")
def test_overwrite_does_not_touch_a_preparation_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "t.csv"
    write_long(source)

    def second(progress: object) -> None:
        with pytest.raises(ValueError, match="another process"):
            prepare(source, tmp_path / "s", overwrite=True)

    prepare(source, tmp_path / "s", overwrite=True, on_progress=second)
    verify(tmp_path / "s")


@pytest.mark.usefixtures("small_parts")
def test_a_source_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "t.csv"
    write_long(source)
    with pytest.raises(ValueError, match="changed while it was read"):
        prepare(source, tmp_path / "s", on_progress=lambda progress: os.utime(source))
    assert not (tmp_path / "s").exists()


def test_a_change_behind_a_link_is_seen(tmp_path: Path) -> None:
    write_folder(tmp_path / "elsewhere")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "label").symlink_to(tmp_path / "elsewhere")
    prepare(tmp_path / "folder", tmp_path / "s")
    os.utime(tmp_path / "elsewhere" / "s3.csv", (0, 0))
    with pytest.raises(ValueError, match="another source"):
        prepare(tmp_path / "folder", tmp_path / "s")


@pytest.mark.usefixtures("small_parts")
def test_a_source_that_becomes_shorter_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "t.csv"
    write_long(source)
    with pytest.raises(ValueError, match="became shorter while it was read"):
        prepare(
            source,
            tmp_path / "s",
            on_progress=lambda progress: os.truncate(source, 9000),
        )


def test_a_store_within_its_source_is_refused(tmp_path: Path) -> None:
    write_long(tmp_path / "t.csv")
    with pytest.raises(ValueError, match="lies in"):
        prepare(tmp_path, tmp_path / "s")


@pytest.mark.usefixtures("small_parts")
def test_missing_files_of_a_beginning_are_said_and_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "t.csv"
    write_long(source)
    monkeypatch.setattr(preparing, "COMMIT", 1)
    with pytest.raises(ZeroDivisionError):
        prepare(source, tmp_path / "s", on_progress=lambda progress: 1 / 0)
    (tmp_path / ".s.partial" / "values-00000.bin").unlink()
    with pytest.raises(ValueError, match="start again"):
        prepare(source, tmp_path / "s")
    assert len(prepare(source, tmp_path / "s", overwrite=True)) == 120


@pytest.mark.parametrize("name", ["long.csv.gz", "texts"])
@pytest.mark.usefixtures("small_parts")
def test_a_copy_of_a_source_that_changed_is_not_used(name: str, tmp_path: Path) -> None:
    source = tmp_path / name
    SOURCES[name](source)
    with pytest.raises(ZeroDivisionError):
        prepare(source, tmp_path / "s", on_progress=lambda progress: 1 / 0)
    for file in [source] if source.is_file() else source.iterdir():
        table = pd.read_csv(file)
        table["a"] += 1
        table.to_csv(file, index=False)
    check_equal(prepare(source, tmp_path / "s"), read(source))


@pytest.mark.usefixtures("small_parts")
def test_a_fix_before_a_stop_belongs_to_the_track_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "tracks.csv"
    table = track_table()
    more = table[table["id"] == "t4"].assign(id="t3", label="b")  # it has one fix above
    pd.concat([table, more]).to_csv(source, index=False)
    monkeypatch.setattr(preparing, "COMMIT", 1)
    seen: list[int] = []

    def stop(progress: preparing.Progress) -> None:
        seen.append(progress.done)
        if len(seen) == 8:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        prepare(source, tmp_path / "s", on_progress=stop)
    check_equal(prepare(source, tmp_path / "s"), read(source))


@pytest.mark.parametrize("write", [write_tracks, write_mixed_tracks])
@pytest.mark.usefixtures("small_parts")
def test_tracks_that_are_split_are_counted_once(write: object, tmp_path: Path) -> None:
    source = tmp_path / "tracks.csv"
    write(source)  # type: ignore[operator]
    table = pd.read_csv(source, parse_dates=["time"])
    late = table["id"].isin(["t7", "t8", "t33"]) & (table["time"].dt.minute > 10)
    table.loc[late, "time"] += pd.Timedelta(days=2)
    table.to_csv(source, index=False)
    expected = read(source, gap=600)
    assert "3 tracks were split where no fix came for 600 s" in expected.notes
    found = prepare(source, tmp_path / "s", gap=600)
    check_equal(found, expected)
    assert without_all_tracks(found) == without_all_tracks(expected)


@pytest.mark.parametrize("write", [write_tracks, write_mixed_tracks])
@pytest.mark.usefixtures("small_parts")
def test_a_track_without_a_place_is_left_out(write: object, tmp_path: Path) -> None:
    source = tmp_path / "tracks.csv"
    write(source)  # type: ignore[operator]
    table = pd.read_csv(source)
    table.loc[table["id"].isin(["t19", "t20", "t21"]), ["lon", "lat"]] = np.nan
    table.to_csv(source, index=False)
    check_equal(prepare(source, tmp_path / "s"), read(source))


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@pytest.mark.usefixtures("small_parts")
def test_a_channel_that_begins_after_the_first_rows_is_not_lost(
    suffix: str, tmp_path: Path
) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    source = tmp_path / f"recording{suffix}"
    table = recording_table().assign(time=range(2500))
    table.loc[:1500, "b"] = np.nan
    table["empty"] = np.nan
    if suffix == ".csv":
        table.to_csv(source, index=False)
    else:
        table.to_parquet(source, index=False)
    with pytest.raises(ValueError, match="'b' has no value in the first rows"):
        prepare(source, tmp_path / "s")
    for names in (["a", "b"], ["a"]):
        found = prepare(source, tmp_path / "s", values=names, overwrite=True)
        check_equal(found, read(source, values=names))


@pytest.mark.usefixtures("small_parts")
def test_more_labels_than_series_are_refused(tmp_path: Path) -> None:
    source = tmp_path / "arrays.npz"
    np.savez(source, X=np.ones((30, 2, 50)) * np.arange(50), y=np.arange(31))
    with pytest.raises(ValueError, match="expected 30 labels, one per series, got 31"):
        prepare(source, tmp_path / "s")


def test_a_file_with_a_line_that_is_short_is_named(
    tmp_path: Path, small_parts: None
) -> None:
    source = tmp_path / "r.csv"
    for at in (5, 2000):
        lines = recording_table().to_csv(index=False).splitlines(keepends=True)
        source.write_text("".join([*lines[:at], "2024-01-01\n", *lines[at:]]))
        with pytest.raises(ValueError, match="expected 3 fields") as caught:
            prepare(source, tmp_path / "s")
        assert str(caught.value).count("r.csv") == 1


def test_a_question_is_asked_from_another_process(tmp_path: Path) -> None:
    readings = [Reading("the day first", {"date_order": "dmy"}, ["a"], [["b"]])]
    error = AmbiguousError("what is it", readings)
    error.args = (f"x.csv: {error}",)
    found = pickle.loads(pickle.dumps(error))
    assert (str(found), found.readings) == (str(error), error.readings)


@pytest.mark.skipif(sys.platform != "linux", reason="others refuse such names")
def test_a_name_that_is_no_text_is_refused_as_read_does(tmp_path: Path) -> None:
    write_folder(tmp_path / "folder")
    name = os.fsencode(tmp_path / "folder") + b"/\xfe.csv"
    (tmp_path / "folder" / "s0.csv").rename(os.fsdecode(name))
    with pytest.raises(ValueError, match="half of a character"):
        prepare(tmp_path / "folder", tmp_path / "s")


@pytest.mark.usefixtures("small_parts")
def test_interleaved_rows_that_only_read_understands(tmp_path: Path) -> None:
    source = tmp_path / "t.csv"
    rows = [f" s{i} ; {t};{i}.5,{t}" for t in range(40) for i in range(9)]
    rows = [row.replace(".", "") for row in rows]
    rows.insert(77, "")
    source.write_text("id;time;a\n" + "\n".join(rows))
    expected, found = read(source), prepare(source, tmp_path / "s")
    assert list(found.ids) == list(expected.ids)
    for x, y in zip(found.values, expected.values, strict=True):
        np.testing.assert_array_equal(x, y)


def test_a_quotation_mark_within_a_field_costs_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "t.csv"
    names = ["s0", 's1 5" pipe', *(f"s{i}" for i in range(2, 2000))]
    rows = (f"{name},{t},{t / 2}\n" for name in names for t in range(101))
    source.write_text("id,time,a\n" + "".join(rows))
    monkeypatch.setattr(text, "HEAD", 1000)
    plan = plan_text(plain_text(source, ReadOptions(), tmp_path), source)
    began = time.process_time()
    assert [*cuts(plan, len(plan.prefix))]
    assert time.process_time() - began < 5


def entries(
    content: object, before: tuple[object, ...] = ()
) -> list[tuple[object, ...]]:
    """Where the entries of nested dicts and lists are."""
    found: list[tuple[object, ...]] = []
    keys: list[object] = []
    if isinstance(content, (dict, list)):
        keys = list(content) if isinstance(content, dict) else list(range(len(content)))
        for key in keys:
            value = content[key]  # type: ignore[call-overload,index]
            found += [(*before, key), *entries(value, (*before, key))]
    return found


def test_forged_descriptions_are_read_or_refused(store: Path) -> None:
    path = store / "store.json"
    content = json.loads(path.read_bytes())
    del content["checksum"]
    for place in entries(content):
        for value in (None, 0, -1, 2**62, 1.5, "x", [], {}, [None], True):
            forged = json.loads(json.dumps(content))
            inner = forged
            for key in place[:-1]:
                inner = inner[key]
            inner[place[-1]] = value
            path.write_bytes(dumped(forged))
            try:
                found = read(store)
                found.summary()
                _ = found.values[0], found.ids[0]
            except ValueError:
                pass


def test_forged_ends_of_ids_take_no_memory(store: Path) -> None:
    path = store / "id-ends-00000.bin"
    ends = np.fromfile(path, np.int64)
    ends[0] = 2**60
    ends.tofile(path)
    with pytest.raises(ValueError, match="damaged"):
        _ = read(store).ids[0]


def test_a_folder_of_a_stranger_calls_no_server(store: Path) -> None:
    (store / "remote.json").write_text('{"url": "http://127.0.0.1:9/x"}')
    (store / "values-00000.bin").unlink()
    with pytest.raises(ValueError, match="missing"):
        read(store)
