"""Embeddings of more sequences than fit in memory: written in parts as they are computed.

A folder holds `part-00000.parquet` (or `.npy`), `part-00001.parquet`, ... in the order of the
sequences. `_embedding.json` says what was embedded, how and by which model; `_part-00000.json` has
the checksum of a part. A part that is there is whole, and is not computed again.
"""

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tokenize import TokenError
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..config import Pool
from ..data.formats.arrays import read_array
from ..data.formats.libraries import readable
from ..data.sequences import Sequences, located
from ..files import read_json, replacing, write_json
from ..files.atomic import TEMPORARY
from ..files.printable import printable
from ..files.sealed import SHA256, checksum, seal
from ..model.jepa import TemporalJEPA
from .arrays import embed_sequences, embed_timesteps
from .frames import Vectors, as_frame
from .names import feature_names, timestep_names

DESCRIPTION = "_embedding.json"
AGAIN = "embed again with the same command"
PART = re.compile(r"part-(\d{5,9})\.npy")
PART_BYTES = 2**26  # of embeddings in a part
FEWEST = 8  # parts, so that a stop loses little and processes share the work
LONGEST_WAIT = 600  # seconds
PartKind = Literal["parquet", "npy"]


@dataclass(frozen=True)
class Parts:
    """What is embedded, and how it is cut into parts.

    Args:
        folder: where the parts are written.
        kind: "parquet" (the columns of `as_frame`) or "npy" (an array of features, beside
            `part-00000-ids.npy` and `part-00000-labels.npy`).
        pool: see `TemporalJEPA.embed`.
        dim: see `TemporalJEPA.embed`.
        timesteps: an embedding for each timestep instead of each sequence.
    """

    folder: Path
    kind: PartKind = "parquet"
    pool: Pool = "all"
    dim: int | None = None
    timesteps: bool = False


def embed_in_parts(
    model: TemporalJEPA,
    sequences: Sequences,
    parts: Parts,
    source: Mapping[str, Any],
    overwrite: bool = False,
    on_sequences: Callable[[int], None] = lambda count: None,
    on_part: Callable[[int], None] = lambda number: None,
) -> int:
    """Embed sequences into a folder, part by part; call it again to go on after a stop.

    Under torchrun each process takes its share of the parts; these do not depend on the number of
    processes.

    Args:
        model: as trained or loaded.
        sequences: any number; those of one part at a time are in memory.
        parts: what to write where.
        source: what identifies model and data; parts of others are not continued.
        overwrite: replace the embeddings of something else.
        on_sequences: called with numbers of sequences that this process has done.
        on_part: called with the number of each part that this process has written; those that
            were there are not.

    Returns:
        The number of parts of all processes.

    Raises:
        ValueError: if the folder holds embeddings of something else or made in another way, or as
            `embed_sequences`.
        OSError: if a part cannot be written; those before are whole.
    """
    rank = int(os.environ.get("RANK", "0"))
    world = int(os.environ.get("WORLD_SIZE", "1"))
    size = _sequences_of_part(model, sequences, parts)
    description = _describe(sequences, parts, source, size)
    _begin(parts.folder, description, overwrite, is_first=rank == 0)
    of = str(seal(description)[SHA256])
    count = -(-len(sequences) // size)
    for number in range(rank, count, world):
        first = number * size
        rows = np.arange(first, min(first + size, len(sequences)))
        if not _is_whole(parts, number, of):
            some = sequences.select(rows)
            vectors = _vectors(model, some, parts, on_sequences)
            names = _names(model, sequences, parts)
            _write_part(parts, number, some, vectors, names, of)
            on_part(number)
        else:
            on_sequences(len(rows))
    return count


def read_parts(folder: str | os.PathLike[str]) -> npt.NDArray[np.float32]:
    """The embeddings in a folder of .npy parts as one array, `(n, features)`.

    Parts in Parquet are read with `pandas.read_parquet(folder)`.

    Raises:
        FileNotFoundError: if there are none.
        ValueError: if a part is missing or was changed after it was written.
    """
    folder = Path(folder)
    stored = read_json(folder / DESCRIPTION)
    parts = Parts(folder, "npy")
    if stored.get("kind") != "npy":
        raise ValueError(
            f"{folder} holds Parquet; read it with pandas.read_parquet({str(folder)!r})"
        )
    count = _part_count(folder, stored)
    of = str(seal(stored)[SHA256])
    whole = _whole_parts(parts, count, of)
    if len(whole) < count:
        first = next(k for k in range(count) if k not in whole)
        raise ValueError(
            f"{folder}: {count - len(whole)} of {count} parts are missing or damaged, the first "
            f"is {_path(parts, first).name}; {AGAIN}"
        )
    arrays = [_features(_path(parts, number)) for number in range(count)]
    if len({x.shape[1] for x in arrays}) > 1:
        raise ValueError(f"{folder}: the parts have different features; {AGAIN}")
    return np.concatenate(arrays)


def _whole_parts(parts: Parts, count: int, of: str) -> set[int]:
    """The numbers of the parts that are there and whole; others than those promised are not."""
    found = (PART.fullmatch(path.name) for path in parts.folder.iterdir())
    begun = (int(match[1]) for match in found if match is not None)
    return {k for k in begun if k < count and _is_whole(parts, k, of)}


def _part_count(folder: Path, stored: Mapping[str, Any]) -> int:
    """The number of parts that a description promises."""
    n, size = stored.get("n"), stored.get("sequences_per_part")
    if type(n) is not int or type(size) is not int or n < 1 or size < 1:
        raise ValueError(
            f"{folder / DESCRIPTION} does not say how many sequences there are; {AGAIN}"
        )
    return -(-n // size)


def _features(path: Path) -> npt.NDArray[np.float32]:
    """The embeddings in a part; its header is checked before memory is taken."""
    with located(path), readable(path, "NumPy array", ValueError, TokenError):
        found = read_array(path)
    if found.dtype != np.float32 or found.ndim != 2:
        raise ValueError(
            f"{path}: expected embeddings (n, features) as float32, got "
            f"{found.shape} of {printable(str(found.dtype))[:80]}; {AGAIN}"
        )
    return found


def model_digest(model: TemporalJEPA) -> str:
    """Identifies what a model computes: SHA-256 of its configuration and weights."""
    digest = sha256(repr(model.config).encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _vectors(
    model: TemporalJEPA,
    some: Sequences,
    parts: Parts,
    on_sequences: Callable[[int], None] = lambda count: None,
) -> Vectors:
    if parts.timesteps:
        return embed_timesteps(model, some, on_sequences=on_sequences)
    return embed_sequences(
        model, some, parts.pool, dim=parts.dim, on_sequences=on_sequences
    )


def _sequences_of_part(model: TemporalJEPA, sequences: Sequences, parts: Parts) -> int:
    """How many sequences give a part of about 64 MB."""
    first = _vectors(model, sequences.select([0]), parts)
    width = first[0].shape[-1]
    rows = float(np.mean(sequences.lengths)) if parts.timesteps else 1.0
    most = -(-len(sequences) // FEWEST)
    return max(1, min(most, int(PART_BYTES / (4 * width * rows))))


def _describe(
    sequences: Sequences, parts: Parts, source: Mapping[str, Any], size: int
) -> dict[str, Any]:
    return {
        "format": 2,
        **source,
        "n": len(sequences),
        "kind": parts.kind,
        "pool": parts.pool,
        "dim": parts.dim,
        "timesteps": parts.timesteps,
        "sequences_per_part": size,
    }


def _begin(
    folder: Path, description: dict[str, Any], overwrite: bool, is_first: bool
) -> None:
    """Check that a folder is empty or holds parts of the same embedding, and describe them."""
    path = folder / DESCRIPTION
    if not is_first:
        _wait_for(path, description)
        return
    if path.exists():
        differing = _differing(path, description)
        if not differing:
            return
        if not overwrite:
            raise ValueError(
                f"{folder} holds embeddings made with another {', '.join(differing)}; choose "
                "another --out, or pass --overwrite to replace them"
            )
        path.unlink()
        for part in folder.glob("*part-*"):
            part.unlink()
    elif folder.is_dir() and not all(
        TEMPORARY.fullmatch(file.name) for file in folder.iterdir()
    ):
        raise ValueError(
            f"{folder} holds other files and no {DESCRIPTION}; choose a new folder for --out"
        )
    write_json(path, description)


def _differing(path: Path, description: Mapping[str, Any]) -> list[str]:
    """What differs in the description of the parts in a folder."""
    stored = read_json(path, f"delete {path.parent} to embed again")
    return [name for name, value in description.items() if stored.get(name) != value]


def _wait_for(path: Path, description: Mapping[str, Any]) -> None:
    """Wait until the first process has described the parts."""
    until = time.monotonic() + LONGEST_WAIT
    while not path.exists() or _differing(path, description):
        if time.monotonic() > until:
            raise ValueError(
                f"{path} does not describe these embeddings after {LONGEST_WAIT} seconds; see the "
                "message of the first process, which writes it"
            )
        time.sleep(0.1)


def _path(parts: Parts, number: int) -> Path:
    return parts.folder / f"part-{number:05d}.{parts.kind}"


def _checksum_path(parts: Parts, number: int) -> Path:
    return parts.folder / f"_part-{number:05d}.json"


def _is_whole(parts: Parts, number: int, of: str) -> bool:
    """Whether a part of this embedding is there, with the content that was written."""
    path = _path(parts, number)
    try:
        stored = read_json(_checksum_path(parts, number))
        if stored["size"] != path.stat().st_size:
            return False
        if (
            stored.get("of", of) != of
        ):  # by a process that was replaced and still writes
            return False
        beside = stored.get("beside", {})
        return stored["content"] == checksum(path) and all(
            beside[name] == checksum(parts.folder / Path(name).name) for name in beside
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _names(model: TemporalJEPA, sequences: Sequences, parts: Parts) -> list[str]:
    """The names of the features."""
    if parts.timesteps:
        return timestep_names(model)
    return feature_names(model, sequences.channels, parts.pool, parts.dim)


def _write_part(
    parts: Parts,
    number: int,
    some: Sequences,
    vectors: Vectors,
    names: list[str],
    of: str,
) -> None:
    """Write a part, and then its checksum, which makes it whole."""
    path = _path(parts, number)
    beside: list[Path] = []
    if parts.kind == "npy":
        beside = _write_arrays(path, some, vectors)
    else:
        with replacing(path) as file:
            as_frame(some, vectors, names).to_parquet(file, index=False)
    content = {
        "of": of,
        "size": path.stat().st_size,
        "content": checksum(path),
        "beside": {file.name: checksum(file) for file in beside},
    }
    write_json(_checksum_path(parts, number), content)


def _write_arrays(path: Path, some: Sequences, vectors: Vectors) -> list[Path]:
    """Write the array of a part, and others beside it, whose paths are returned."""
    arrays = {"-ids": np.array(some.ids)}
    if some.labels is not None:
        arrays["-labels"] = np.asarray(some.labels)
    if isinstance(vectors, list):
        arrays["-lengths"] = np.array([len(each) for each in vectors])
        vectors = np.concatenate(vectors)
    for name, array in {**arrays, "": vectors}.items():
        with replacing(path.with_name(f"{path.stem}{name}.npy")) as file:
            np.save(file, array, allow_pickle=False)
    return [path.with_name(f"{path.stem}{name}.npy") for name in arrays]
