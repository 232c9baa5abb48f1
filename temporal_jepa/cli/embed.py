"""`temporal-jepa embed`: turn sequences into vectors."""

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import Pool, ReadOptions
from ..files import folder_of, read_config, write_atomically
from .console import say
from .reading import read_as_trained
from .writing import output_path, write_table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ..data import Sequences

    Vectors = npt.NDArray[np.float32] | list[npt.NDArray[np.float32]]


def embed(
    run: str,
    data: str,
    *,
    out: str | None = None,
    pool: Pool = "all",
    dim: int | None = None,
    timesteps: bool = False,
    overwrite: bool = False,
    device: str = "cpu",
    reading: ReadOptions,
) -> None:
    """Turn sequences into vectors.

    Examples:
        temporal-jepa embed runs/a data.csv
        temporal-jepa embed series-small data.csv --dim 128
        temporal-jepa embed runs/a new.csv --timesteps --out new.parquet

    Args:
        run: run folder, series-small, or a model on the Hugging Face hub.
        data: file or folder of sequences.
        out: .npz, .npy, .csv or .parquet (default: RUN/embeddings.npz).
        pool: "mean" of the tokens, "all" (mean, std and max of every layer) or "quantiles" (of
            every layer).
        dim: numbers of a compact embedding, the first principal components of the features
            (default: 0, all features).
        timesteps: one vector per timestep instead of one per sequence.
        overwrite: replace the file.
        device: where to compute.
        reading: how the data is read (default: as the training data of the run)
    """
    from ..checkpoint import from_pretrained
    from ..embed import embed_sequences, embed_timesteps
    from ..training.trainer import pick_device

    model = from_pretrained(run, str(pick_device(device)))
    suffixes = (".npz", ".npy", ".csv", ".parquet")
    path = output_path(out, run, "embeddings.npz", overwrite, suffixes)
    config = read_config(folder_of(run))
    sequences = read_as_trained(data, reading, config)
    vectors: Vectors
    if timesteps:
        if dim:
            raise ValueError(
                "--dim is of one vector per sequence; leave out --timesteps or --dim"
            )
        vectors = embed_timesteps(model, sequences)
        count = sum(map(len, vectors))
        shape = f"{count} timesteps of {len(vectors)} sequences, {vectors[0].shape[1]} features"
    else:
        vectors = embed_sequences(model, sequences, pool, dim=dim or None)
        shape = f"{len(vectors)} sequences, {vectors.shape[1]} features"
    write_embeddings(path, sequences, vectors)
    say(f"{path}: {shape}")


def write_embeddings(path: Path, sequences: "Sequences", vectors: "Vectors") -> None:
    """Write embeddings, with ids and labels in every format but .npy.

    Args:
        path: name that ends in .npz, .npy, .csv or .parquet.
        sequences: what was embedded.
        vectors: `(n, features)`; or a list of `(time_i, features)`, which .npz and .npy hold padded
            with NaN to `(n, longest, features)`.
    """
    if path.suffix in (".npz", ".npy"):
        _write_arrays(path, sequences, vectors)
    else:
        _write_rows(path, sequences, vectors)


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


def _write_rows(path: Path, sequences: "Sequences", vectors: "Vectors") -> None:
    """One row per vector: id, label if there is one, timestep if there are several, features."""
    import numpy as np
    import pandas as pd

    owner = np.arange(len(sequences))
    if isinstance(vectors, list):
        owner = np.repeat(owner, sequences.lengths)
        timesteps = np.concatenate([np.arange(length) for length in sequences.lengths])
        vectors = np.concatenate(vectors)
    else:
        timesteps = None
    columns: dict[str, Any] = {"id": np.array(sequences.ids)[owner]}
    if sequences.labels is not None:
        columns["label"] = sequences.labels[owner]
    if timesteps is not None:
        columns["timestep"] = timesteps
    for feature in range(vectors.shape[1]):
        columns[f"e{feature}"] = vectors[:, feature]
    write_table(path, pd.DataFrame(columns))
