"""A store in an object store: a real S3 server on this machine."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import TINY

from temporal_jepa import PretrainConfig, from_pretrained, pretrain, read
from temporal_jepa.cli.main import main
from temporal_jepa.config import ReadOptions
from temporal_jepa.data.store import remote
from temporal_jepa.data.store.remote import mirror

s3fs = pytest.importorskip("s3fs")
moto = pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """An S3 file system with the bucket `data`."""
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        files = s3fs.S3FileSystem()
        files.mkdir("data")
        yield files
    server.stop()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TEMPORAL_JEPA_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def store(bucket: Any, tmp_path: Path) -> Path:
    """A store on this machine, and the same at s3://data/walks.store."""
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.standard_normal((12, 2, 40)).cumsum(2))
    folder = tmp_path / "walks.store"
    assert main(["prepare", str(tmp_path / "x.npy"), "--out", str(folder)]) == 0
    if bucket.exists("data/walks.store"):
        bucket.rm("data/walks.store", recursive=True)
    for path in folder.iterdir():
        if path.is_file() and not path.name.startswith("."):
            bucket.put_file(str(path), f"data/walks.store/{path.name}")
    return folder


URL = "s3://data/walks.store"


def test_a_remote_store_trains_as_a_local_one(
    store: Path, cache: Path, tmp_path: Path
) -> None:
    there = read(URL)
    here = read(store)
    assert there.source == URL
    assert there.ids == here.ids
    for a, b in zip(there.values, here.values, strict=True):
        np.testing.assert_array_equal(a, b)
    config = PretrainConfig(steps=3, batch_size=4, device="cpu")
    runs = [
        pretrain(data, tmp_path / name, config, TINY)
        for data, name in ((URL, "a"), (store, "b"))
    ]
    first, second = (from_pretrained(run).state_dict() for run in runs)
    assert all(bool((first[name] == second[name]).all()) for name in first)


def test_files_are_downloaded_once_and_when_they_are_read(
    store: Path, bucket: Any, cache: Path
) -> None:
    sequences = read(URL)
    folder = mirror(URL)
    assert not (folder / "values-00000.bin").exists()
    expected = sequences.values[3]
    assert (folder / "values-00000.bin").exists()
    bucket.rm("data/walks.store/values-00000.bin")
    np.testing.assert_array_equal(read(URL).values[3], expected)


def test_a_damaged_object_is_named(store: Path, bucket: Any, cache: Path) -> None:
    name = "data/walks.store/values-00000.bin"
    content = bytearray(bucket.cat_file(name))
    content[5] ^= 1
    bucket.pipe_file(name, bytes(content))
    with pytest.raises(ValueError, match=r"values-00000\.bin is not what store\.json"):
        read(URL).values[0]
    assert not (mirror(URL) / "values-00000.bin").exists()


def test_what_cannot_be_read_is_said(
    bucket: Any, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FileNotFoundError, match=r"no store\.json .*expected a store"):
        read("s3://data/nothing.store")
    with pytest.raises(FileNotFoundError, match=r"no store\.json"):
        read("s3://no-such-bucket/a.store")
    with pytest.raises(ValueError, match="expected a path, or a place that fsspec"):
        read("nowhere://data/a.store")


def test_the_extra_is_named() -> None:
    script = """
import sys
sys.modules["s3fs"] = None
from temporal_jepa import read
try:
    read("s3://data/walks.store")
except ModuleNotFoundError as error:
    assert "pip install 'temporal-jepa[s3]'" in str(error), error
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_no_server_is_said(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(OSError, match=r"cannot be read .*check the address"):
        read("s3://data/walks.store")
    s3fs.S3FileSystem.clear_instance_cache()


def test_the_command_line_takes_the_address(
    store: Path, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"{k},{t},{k * t % 7},{t}\n" for k in range(8) for t in range(16))
    (tmp_path / "x.csv").write_text("name,t,a,b\n" + rows)
    config = PretrainConfig(steps=1, batch_size=4, device="cpu")
    named = ReadOptions(id="name", time="t", values=("a", "b"))  # not of the store
    pretrain(tmp_path / "x.csv", tmp_path / "run", config, TINY, data_options=named)
    assert main(["inspect", URL]) == 0
    assert URL in capsys.readouterr().out
    there, here = tmp_path / "there.npy", tmp_path / "here.npy"
    run = str(tmp_path / "run")
    assert main(["embed", run, URL, "--out", str(there)]) == 0
    assert main(["embed", run, str(store), "--out", str(here)]) == 0
    np.testing.assert_array_equal(np.load(there), np.load(here))


@pytest.mark.parametrize(
    "command",
    [
        ["prepare", "x.npy", "--out", "s3://data/b.store"],
        ["embed", "series-small", "x.npy", "--out", "s3://data/parts"],
        ["embed", "series-small", "x.npy", "--out", "s3://x.npz"],
        ["pretrain", "--data", "x.npy", "--out", "s3://data/run"],
    ],
)
def test_addresses_are_not_written_as_folders(
    command: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", np.zeros((3, 1, 8)))
    assert main(command) != 0
    assert "outputs are written on this machine" in capsys.readouterr().err
    assert not Path("s3:").exists()


def test_the_cache_keeps_what_was_used_last(
    store: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = (store / "values-00000.bin").stat().st_size + 100
    monkeypatch.setenv("TEMPORAL_JEPA_CACHE_GB", str(most / 1e9))
    mine = cache / "mine.store" / "values-00000.bin"  # no cache of ours: never deleted
    mine.parent.mkdir(parents=True)
    mine.write_bytes(bytes(most))
    there = read(URL)
    assert any("its cache" in note for note in there.notes)
    for a, b in zip(there.values, read(store).values, strict=True):
        np.testing.assert_array_equal(a, b)
        sizes = [path.stat().st_size for path in mirror(URL).glob("*.bin")]
        assert sum(sizes) <= most
    assert mine.exists()
    monkeypatch.setenv("TEMPORAL_JEPA_CACHE_GB", "much")
    with pytest.raises(ValueError, match=r"expected gigabytes, got 'much'"):
        read(URL)


def test_threads_download_a_file_once(
    store: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, here = read(URL), read(store)
    asked: list[str] = []
    blocks = remote._blocks

    def counted(url: str, most: int) -> Iterator[bytes]:
        asked.append(url)
        return blocks(url, most)

    monkeypatch.setattr(remote, "_blocks", counted)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(there.values.__getitem__, range(12)))
    for a, b in zip(found, here.values, strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(asked) == len(set(asked))


def test_a_cached_file_that_was_cut_short_is_downloaded_again(
    store: Path, cache: Path
) -> None:
    expected = read(URL).values[11]
    path = mirror(URL) / "values-00000.bin"
    path.write_bytes(path.read_bytes()[:100])
    np.testing.assert_array_equal(read(URL).values[11], expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, r"values-00000\.bin does not exist, and store\.json lists it"),
        (b"abc", r"its size or checksum differs; upload the store again"),
        (bytes(2**20), r"its size or checksum differs; upload the store again"),
    ],
)
def test_other_objects_are_refused(
    content: bytes | None, message: str, store: Path, bucket: Any, cache: Path
) -> None:
    name = "data/walks.store/values-00000.bin"
    bucket.rm(name)
    if content is not None:
        bucket.pipe_file(name, content)
    with pytest.raises((ValueError, OSError), match=message):
        read(URL).values[0]
    assert not list(mirror(URL).glob("values*"))


def test_a_description_that_is_none_is_refused(bucket: Any, cache: Path) -> None:
    bucket.pipe_file("data/bad.store/store.json", b"{not json")
    with pytest.raises(ValueError, match=r"no valid JSON"):
        read("s3://data/bad.store")


def test_no_credentials_are_said(
    store: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    s3fs.S3FileSystem.clear_instance_cache()
    with pytest.raises(OSError, match=r"cannot be read .*check .*the credentials"):
        read(URL)
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.mark.usefixtures("store", "bucket", "cache")
def test_what_is_cached_is_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache on a disk that is read-only works once it holds the store."""
    expected = read("s3://data/walks.store").values[3]

    def refuse(path: Path, content: bytes) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(remote, "write_atomically", refuse)
    np.testing.assert_array_equal(read("s3://data/walks.store").values[3], expected)
