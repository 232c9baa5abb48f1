"""`temporal-jepa embed`: turn sequences into vectors."""

import io
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..config import Pool, ReadOptions
from ..files import folder_of, read_config, write_atomically
from .console import is_one_of_several, record, show_lines
from .progress import Counter
from .reading import read_as_trained
from .writing import check_folder, check_parquet, output_path, write_table

SUFFIXES = (".npz", ".npy", ".csv", ".parquet")
PartKind = Literal["parquet", "npy"]

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ..data import Sequences
    from ..embed.parts import Parts
    from ..model.jepa import TemporalJEPA

    Vectors = npt.NDArray[np.float32] | list[npt.NDArray[np.float32]]


def embed(
    run: str,
    data: str,
    *,
    out: str | None = None,
    pool: Pool | None = None,
    dim: int | None = None,
    timesteps: bool = False,
    parts: PartKind | None = None,
    overwrite: bool = False,
    device: str = "cpu",
    reading: ReadOptions,
) -> None:
    """Turn sequences into vectors.

    Examples:
        temporal-jepa embed runs/a data.csv
        temporal-jepa embed series-small data.csv --dim 128
        temporal-jepa embed runs/a new.csv --timesteps --out new.parquet
        temporal-jepa embed runs/a large.store --out embeddings

    Args:
        run: run folder, series-small, or a model on the Hugging Face hub.
        data: file or folder of sequences.
        out: .npz, .npy, .csv or .parquet (the last two with ids, labels, times and names of the
            features), or a folder for parts, which are written as they are computed; a stopped
            command goes on with the next part (default: RUN/embeddings.npz).
        pool: how the vectors of the parts of a sequence become one: "mean", "all" (mean, std and
            max of every layer) or "quantiles" (of every layer) (default: all).
        dim: columns of a compact embedding, the first principal components of the features
            (default: 0, all features, hundreds or thousands of columns).
        timesteps: one vector per timestep instead of one per sequence.
        parts: kind of the files in the folder --out: "parquet", with the columns of one file, or
            "npy" (default: parquet).
        overwrite: replace the file, or the embeddings in the folder.
        device: where to compute: "cpu", "cuda", "mps", or "auto" (CUDA, else MPS, else CPU).
        reading: how the data is read (default: as the training data of the run)
    """
    from ..checkpoint import from_pretrained
    from ..training.trainer import pick_device

    if timesteps and dim:
        raise ValueError(
            "--dim is of one vector per sequence; leave out --timesteps or --dim"
        )
    if timesteps and pool:
        raise ValueError(
            "--pool makes one vector of a sequence; leave out --timesteps or --pool"
        )
    pool = pool or "all"
    model = from_pretrained(run, str(pick_device(device)))
    in_parts = parts is not None or (out is not None and not Path(out).suffix)
    if in_parts:
        path = _folder(out, parts)
    else:
        path = output_path(out, run, "embeddings.npz", overwrite, SUFFIXES)
    sequences = read_as_trained(data, reading, read_config(folder_of(run)))
    with Counter("sequences", len(sequences)) as counter:
        if in_parts:
            from ..embed.parts import Parts

            plan = Parts(path, parts or "parquet", pool, dim or None, timesteps)
            shape = _embed_in_parts(model, sequences, plan, overwrite, counter)
        else:
            shape = _embed_whole(model, sequences, path, pool, dim, timesteps, counter)
    record(embeddings=path)
    show_lines(f"{path}: {shape}")


def _folder(out: str | None, kind: PartKind | None) -> Path:
    """The folder for parts."""
    if out is None or Path(out).suffix in SUFFIXES:
        raise ValueError(
            f"--parts {kind} writes a folder, got --out {out or '(none)'}; name a folder, for "
            "example --out embeddings"
        )
    check_folder(Path(out))
    if kind != "npy":
        check_parquet()
    return Path(out)


def _embed_in_parts(
    model: "TemporalJEPA",
    sequences: "Sequences",
    parts: "Parts",
    overwrite: bool,
    counter: Counter,
) -> str:
    from ..embed.parts import embed_in_parts, model_digest
    from ..training.run import facts

    source = {"model": model_digest(model), "data": facts(sequences)["digest"]}
    written: list[int] = []
    count = embed_in_parts(
        model, sequences, parts, source, overwrite, counter.add, written.append
    )
    record(sequences=len(sequences), parts=count)
    said = f"{len(sequences)} sequences in {count} part{'s' * (count != 1)} (.{parts.kind})"
    if written or is_one_of_several():
        return said
    return f"{said}; all of it was there already, nothing was done"


def _embed_whole(
    model: "TemporalJEPA",
    sequences: "Sequences",
    path: Path,
    pool: Pool,
    dim: int | None,
    timesteps: bool,
    counter: Counter,
) -> str:
    from ..embed import (
        embed_sequences,
        embed_timesteps,
        feature_names,
        timestep_names,
    )

    vectors: Vectors
    if timesteps:
        vectors = embed_timesteps(model, sequences, on_sequences=counter.add)
        names = timestep_names(model)
        count = sum(map(len, vectors))
        record(timesteps=count, features=vectors[0].shape[1])
        shape = f"{count} timesteps of {len(vectors)} sequences, {vectors[0].shape[1]} features"
    else:
        vectors = embed_sequences(
            model, sequences, pool, dim=dim or None, on_sequences=counter.add
        )
        names = feature_names(model, sequences.channels, pool, dim or None)
        shape = f"{len(vectors)} sequences, {vectors.shape[1]} features"
        record(features=vectors.shape[1])
    record(sequences=len(vectors))
    write_embeddings(path, sequences, vectors, names)
    return shape


def write_embeddings(
    path: Path,
    sequences: "Sequences",
    vectors: "Vectors",
    names: Iterable[str] = (),
) -> None:
    """Write embeddings: .csv and .parquet as `as_frame`, .npz with ids and labels, .npy alone.

    Args:
        path: name that ends in .npz, .npy, .csv or .parquet.
        sequences: what was embedded.
        vectors: `(n, features)`; or a list of `(time_i, features)`, which .npz and .npy hold padded
            with NaN to `(n, longest, features)`.
        names: of the features; needed for .csv and .parquet.
    """
    if path.suffix in (".npz", ".npy"):
        _write_arrays(path, sequences, vectors)
    else:
        from ..embed import as_frame

        write_table(path, as_frame(sequences, vectors, list(names)))


def _write_arrays(path: Path, sequences: "Sequences", vectors: "Vectors") -> None:
    import numpy as np

    from ..data import Sequences

    arrays: dict[str, Any] = {"ids": np.array(sequences.ids)}
    if sequences.labels is not None:
        arrays["labels"] = sequences.labels
    if isinstance(vectors, list):
        arrays["embeddings"] = Sequences(vectors).batch(range(len(vectors)))
        arrays["lengths"] = sequences.lengths
    else:
        arrays["embeddings"] = vectors
    content = io.BytesIO()
    if path.suffix == ".npy":
        np.save(content, arrays["embeddings"])
    else:
        np.savez_compressed(content, allow_pickle=False, **arrays)
    write_atomically(path, content.getvalue())
