"""`temporal-jepa nearest`: the sequences whose embeddings are closest to those of a query."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import Pool, ReadOptions
from ..files import folder_of, read_config, write_atomically
from .console import record, say, show_lines, show_table
from .progress import Counter
from .reading import read_as_trained, training_file
from .writing import check_output

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ..data import Sequences
    from ..model.jepa import TemporalJEPA

    Vectors = npt.NDArray[np.float32]

SHOWN = 12  # queries in the table and on the page


def nearest(
    run: str,
    query: str,
    *,
    among: str | None = None,
    k: int = 5,
    out: str | None = None,
    overwrite: bool = False,
    pool: Pool = "all",
    dim: int | None = None,
    reading: ReadOptions,
) -> None:
    """Find the sequences with the most similar embeddings.

    Examples:
        temporal-jepa nearest runs/a new.csv
        temporal-jepa nearest runs/a 17 --k 10 --out nearest.html
        temporal-jepa nearest series-small 17 --among data.csv --dim 0

    Args:
        run: run folder, series-small, or a model on the Hugging Face hub.
        query: file of sequences, or the name of one of the searched sequences.
        among: sequences to search (default: the training data of the run).
        k: number of neighbors.
        out: HTML page to write, with drawings of the neighbors.
        overwrite: replace the page.
        pool: how the vectors of the parts of a sequence become one: "mean", "all" (mean, std and
            max of every layer) or "quantiles" (of every layer).
        dim: compare compact embeddings of so many numbers, the first principal components
            of the features; 0: all features, standardized (default: 128; 0 if the model stores
            fewer components, or encodes channels separately and there are more than 4).
        reading: how the data is read (default: as the training data of the run)
    """
    import numpy as np

    from ..checkpoint import from_pretrained
    from ..evaluation.neighbors import Index

    if out is not None:
        check_output(Path(out), overwrite, (".html",))
    model = from_pretrained(run)
    config = read_config(folder_of(run))
    advice = "name sequences to search with --among"
    file = among or training_file(run, config, advice, "--among", [query])
    searched = read_as_trained(file, reading, config)
    queries, own = _queries(query, file, searched, reading, config)
    _check_comparable(query, file, queries, searched, own is not None)
    if dim is None and pool == "all":
        dim = model.compact_dim(searched.n_channels)
    dim = dim or None
    vectors, query_vectors = _embed(model, searched, queries, own, pool, dim)
    index = Index(vectors, scale=dim is None)
    near, distance = index.nearest(query_vectors, k, own)
    record(among=file, dim=dim, page=out)
    _record(queries, searched, near, distance)
    shown = queries.select(np.arange(min(len(queries), SHOWN)))
    title = f"nearest of {len(searched)} sequences of {file}"
    _show(title, shown, searched, near, distance)
    _say_notes(dim, len(queries))
    if out is not None:
        from ..report.pages import neighbors_page

        name = Path(run).resolve().name
        html = neighbors_page(
            shown,
            searched,
            near,
            distance,
            run=name,
            total=len(queries),
            dim=dim,
            vectors=index.rows,
        )
        write_atomically(Path(out), html)
        show_lines(out)


def _say_notes(dim: int | None, total: int) -> None:
    """Say what the distances are of, and how many of the queries are shown."""
    if dim is not None:
        say(
            f"note: distances of compact embeddings of {dim} numbers; --dim 0 compares all "
            "features"
        )
    if total > SHOWN:
        say(f"the first {SHOWN} of {total} queries")


def _embed(
    model: "TemporalJEPA",
    searched: "Sequences",
    queries: "Sequences",
    own: "npt.NDArray[np.int64] | None",
    pool: Pool,
    dim: int | None,
) -> "tuple[Vectors, Vectors]":
    """Embeddings of the searched sequences and of the queries, which may be some of them."""
    from ..embed import embed_sequences

    total = len(searched) + (len(queries) if own is None else 0)
    with Counter("sequences", total) as counter:
        vectors = embed_sequences(
            model, searched, pool, dim=dim, on_sequences=counter.add
        )
        if own is not None:
            return vectors, vectors[own]
        return vectors, embed_sequences(
            model, queries, pool, dim=dim, on_sequences=counter.add
        )


def _check_comparable(
    query: str, file: str, queries: "Sequences", searched: "Sequences", is_own: bool
) -> None:
    """ValueError unless the queries have the channels of the searched, and there is another one."""
    if queries.n_channels != searched.n_channels:
        raise ValueError(
            f"{query}: expected {searched.n_channels} channels, as in {file}, got "
            f"{queries.n_channels}"
        )
    if is_own and len(searched) < 2:
        raise ValueError(
            f"{file} holds one sequence, the query itself; name others with --among, or cut it "
            "with --window LENGTH"
        )


def _record(
    queries: "Sequences",
    searched: "Sequences",
    near: "npt.NDArray[Any]",
    distance: "npt.NDArray[Any]",
) -> None:
    """All neighbors of all queries, for programs."""
    found = []
    for q, name in enumerate(queries.ids):
        for i, far in zip(near[q].tolist(), distance[q].tolist(), strict=True):
            entry = {"query": name, "nearest": searched.ids[i]}
            if searched.labels is not None:
                entry["label"] = str(searched.labels[i])
            found.append({**entry, "distance": far})
    record(neighbors=found)


def _show(
    title: str,
    queries: "Sequences",
    searched: "Sequences",
    near: "npt.NDArray[Any]",
    distance: "npt.NDArray[Any]",
) -> None:
    """Print the table: query, neighbor, its label if there is one, distance."""
    header = ["query", "nearest", "label", "distance"]
    if searched.labels is None:
        header.remove("label")
    rows = []
    for q, name in enumerate(queries.ids):
        for rank, i in enumerate(near[q]):
            row = [name if rank == 0 else "", searched.ids[i]]
            if searched.labels is not None:
                row.append(str(searched.labels[i]))
            rows.append((*row, f"{distance[q, rank]:.2f}"))
    show_table(title, header, rows)


def _queries(
    query: str,
    file: str,
    searched: "Sequences",
    reading: ReadOptions,
    config: Mapping[str, Any],
) -> "tuple[Sequences, npt.NDArray[np.int64] | None]":
    """The sequences of a file, or the searched one of that name.

    For searched sequences also their indices, so that none is found as its own neighbor.
    """
    import numpy as np

    from ..data.sequences import listed
    from ..data.store.remote import is_remote

    if Path(query).exists() or is_remote(query):
        if query == file or Path(query).resolve() == Path(file).resolve():
            return searched, np.arange(len(searched))
        return read_as_trained(query, reading, config), None
    if query not in searched.ids:
        raise ValueError(
            f"{query}: no such file, and no sequence of {file} has this name; "
            f"its names are {listed(searched.ids)}"
        )
    own = np.array([searched.ids.index(query)])
    return searched.select(own), own
