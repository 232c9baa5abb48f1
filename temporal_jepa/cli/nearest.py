"""`temporal-jepa nearest`: which sequences does the encoder find most like this one?"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import checkpoint
from ..data import Sequences
from ..data.sequences import listed
from ..embed import embed_sequences
from ..evaluation.neighbors import Index
from ..files import folder_of, read_config, write_atomically
from ..report.pages import neighbors_page
from .commands import read_as_trained
from .console import check_out, say, show

SHOWN = 12  # queries in the table and on the page


def nearest(options: argparse.Namespace) -> None:
    """Print the nearest sequences of each query, and draw them if asked."""
    out = Path(options.out) if options.out else None
    if out is not None:
        check_out(out, options.overwrite, (".html",))
    model = checkpoint.from_pretrained(options.run)
    config = read_config(folder_of(options.run))
    trained_on = config.get("data", {}).get("path") if Path(options.run).is_dir() else None
    file = options.among or trained_on
    if file is None:
        raise ValueError(
            f"{options.run} does not say what it was trained on; name sequences to search with --among"
        )
    among = read_as_trained(file, options, config)
    queries, own = _queries(file, among, options, config)
    vectors = embed_sequences(model, among, options.pool)
    asked = embed_sequences(model, queries, options.pool) if own is None else vectors[own]
    near, distance = Index(vectors).nearest(asked, options.k, own)
    rows = [
        (
            queries.ids[q] if k == 0 else "",
            among.ids[i],
            *(() if among.labels is None else (str(among.labels[i]),)),
            f"{distance[q, k]:.2f}",
        )
        for q in range(min(len(queries), SHOWN))
        for k, i in enumerate(near[q])
    ]
    header = ["query", "nearest", *(() if among.labels is None else ("label",)), "distance"]
    show(f"nearest of {len(among)} sequences of {file}", header, rows)
    if len(queries) > SHOWN:
        say(f"the first {SHOWN} of {len(queries)} queries")
    if out is not None:
        few = np.arange(min(len(queries), SHOWN))
        text = neighbors_page(
            queries.select(few),
            among,
            near,
            distance,
            run=Path(options.run).resolve().name,
            total=len(queries),
        )
        write_atomically(out, text)
        say(str(out))


def _queries(
    file: str, among: Sequences, options: argparse.Namespace, config: dict[str, Any]
) -> tuple[Sequences, npt.NDArray[np.int64] | None]:
    """The sequences asked for: of a file, or one of those that are searched, by its name.

    Of those that are searched also where they stand, so that none is found as its own neighbour.
    """
    if Path(options.query).exists():
        if Path(options.query).resolve() == Path(file).resolve():
            return among, np.arange(len(among))
        return read_as_trained(options.query, options, config), None
    if options.query not in among.ids:
        raise ValueError(
            f"{options.query}: no such file, and no sequence of {file} has this name; they are called "
            f"{listed(among.ids)}"
        )
    own = np.array([among.ids.index(options.query)])
    return among.select(own), own
