"""A store in an object store: a real S3 server on this machine."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import TINY

from temporal_jepa import PretrainConfig, from_pretrained, pretrain, read
from temporal_jepa.cli.main import main
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
