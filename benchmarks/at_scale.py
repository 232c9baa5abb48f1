"""Embedding on Ray Data and Spark beside one process, and stores in an object store.

    python benchmarks/at_scale.py ray 8192     # seconds, and whether the bits are equal
    python benchmarks/at_scale.py spark 8192   # needs pyspark and Java
    python benchmarks/at_scale.py s3 256       # a store of 256 MB from an S3 server (moto) here

The engines embed with the functions of docs/embed_at_scale.md, one task at a time, so that their
own cost shows. Nothing that it makes belongs into the repository.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from temporal_jepa import Sequences, from_pretrained, read
from temporal_jepa.cli.main import main
from temporal_jepa.embed import embed_sequences

BATCH = 512
DIM = 128
ENDPOINT = "http://127.0.0.1:5123"
SERVER = """
import logging, time
from moto.server import ThreadedMotoServer
logging.disable()
ThreadedMotoServer("127.0.0.1", 5123, verbose=False).start()
print("ready", flush=True)
time.sleep(3600)
"""


def embedded(model: Any, x: Any) -> Any:
    """Embeddings of series `(n, time)`."""
    return embed_sequences(model, Sequences.from_arrays(x[:, None]), dim=DIM)


class Embed:
    """The actor of Ray."""

    def __init__(self) -> None:
        self.model = from_pretrained("series-small")

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"embedding": embedded(self.model, batch["x"])}


def embed_frames(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    """The task of Spark."""
    model = from_pretrained("series-small")
    for frame in frames:
        vectors = embedded(model, np.stack(frame["x"]))
        yield pd.DataFrame({"id": frame["id"], "embedding": list(vectors)})


def on_ray(x: Any) -> Any:
    import ray

    data = ray.data.from_numpy(x).rename_columns({"data": "x"})
    rows = data.map_batches(Embed, batch_size=BATCH, concurrency=1).take_all()
    return np.stack([row["embedding"] for row in rows])


def on_spark(x: Any) -> Any:
    spark = spark_session()
    frame = pd.DataFrame({"id": range(len(x)), "x": list(x)})
    table = spark.createDataFrame(frame, "id long, x array<double>").repartition(1)
    found = table.mapInPandas(embed_frames, "id long, embedding array<float>")
    return np.stack(found.toPandas().sort_values("id")["embedding"])


def spark_session() -> Any:
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master("local[1]")
    size = "spark.sql.execution.arrow.maxRecordsPerBatch"
    return builder.config(size, str(BATCH)).getOrCreate()


def start(engine: str) -> None:
    if engine == "ray":
        import ray

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    else:
        spark_session()


def compare(engine: str, n: int) -> None:
    """Seconds of one process, of the engine, and of one process again."""
    x = np.random.default_rng(0).standard_normal((n, 128)).cumsum(1)
    began = time.perf_counter()
    start(engine)
    print(f"start of {engine}: {time.perf_counter() - began:.1f} s")

    def alone(x: Any) -> Any:
        return embedded(from_pretrained("series-small"), x)

    alone(x[:BATCH])
    expected = None
    functions: list[tuple[str, Callable[[Any], Any]]] = [
        ("one process", alone),
        (engine, on_ray if engine == "ray" else on_spark),
        ("one process", alone),
    ]
    for name, function in functions:
        began = time.perf_counter()
        found = function(x)
        seconds = time.perf_counter() - began
        expected = found if expected is None else expected
        equal = bool((found == expected).all())
        print(f"{name}: {seconds:.2f} s, {n / seconds:.0f} series/s, equal {equal}")


def s3(megabytes: int) -> None:
    """Time of a download, and of reading from the cache beside a local store."""
    os.environ.update(
        AWS_ENDPOINT_URL=ENDPOINT,
        AWS_ACCESS_KEY_ID="key",
        AWS_SECRET_ACCESS_KEY="secret",
        AWS_DEFAULT_REGION="us-east-1",
    )
    command = [sys.executable, "-c", SERVER]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as server,
    ):
        try:
            assert server.stdout is not None
            server.stdout.readline()
            os.environ["TEMPORAL_JEPA_CACHE"] = f"{folder}/cache"
            _s3(Path(folder), megabytes)
        finally:
            server.kill()


def _s3(folder: Path, megabytes: int) -> None:
    import s3fs

    n = megabytes * 10**6 // 4096
    x = np.random.default_rng(0).standard_normal((n, 2, 512), dtype=np.float32)
    np.save(folder / "x.npy", x)
    store = folder / "x.store"
    main(["prepare", str(folder / "x.npy"), "--out", str(store)])
    files = s3fs.S3FileSystem()
    files.mkdir("data")
    for path in store.glob("[!.]*"):
        files.put_file(str(path), f"data/x.store/{path.name}")
    began = time.perf_counter()
    there = read("s3://data/x.store")
    print(f"open: {time.perf_counter() - began:.2f} s, {resident():.0f} MB resident")
    began = time.perf_counter()
    for i in range(0, n, 1000):  # each file of values
        there.values[i]
    seconds = time.perf_counter() - began
    print(
        f"download: {seconds:.2f} s, {megabytes / seconds:.0f} MB/s, {resident():.0f} MB resident"
    )
    began = time.perf_counter()
    files.get_file("data/x.store/values-00000.bin", str(folder / "raw"))
    seconds = time.perf_counter() - began
    size = (folder / "raw").stat().st_size / 1e6
    print(f"s3fs alone: {seconds:.2f} s, {size / seconds:.0f} MB/s")
    for _ in range(3):
        cached, local = (batch_time(data.values) for data in (there, read(store)))
        print(f"a batch of 32: cached {cached:.2f} ms, local {local:.2f} ms")


def batch_time(values: Any, count: int = 200) -> float:
    """Milliseconds to read 32 sequences at random."""
    rows = np.random.default_rng(1).integers(len(values), size=(count, 32)).tolist()
    began = time.perf_counter()
    for batch in rows:
        for row in batch:
            values[row]
    return (time.perf_counter() - began) / count * 1e3


def resident() -> float:
    """Megabytes of this process in memory."""
    text = Path("/proc/self/statm").read_text()
    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    what, amount = sys.argv[1], int(sys.argv[2])
    if what == "s3":
        s3(amount)
    else:
        compare(what, amount)
