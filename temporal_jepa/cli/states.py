"""`temporal-jepa states`: find kinds of moments in sequences, and write the segments of each."""

from typing import TYPE_CHECKING, Any

from ..config import ReadOptions, flags
from ..files import folder_of, read_config
from .console import command, say, show_facts
from .detect import WINDOWS
from .progress import Counter
from .reading import read_as_trained
from .writing import check_output, output_path, write_page_and_table

if TYPE_CHECKING:
    import pandas as pd

    from ..data import Sequences
    from ..evaluation.states import States


def states(
    run: str,
    data: str,
    *,
    out: str | None = None,
    count: int | None = None,
    reference: str | None = None,
    seed: int = 0,
    overwrite: bool = False,
    device: str = "cpu",
    reading: ReadOptions,
) -> None:
    """Find states of sequences over time, without labels.

    Examples:
        temporal-jepa states runs/a recording.csv
        temporal-jepa states runs/a new.csv --reference recording.csv --count 5 --out new.csv

    Args:
        run: run folder, series-small, or a model on the Hugging Face hub.
        data: file or folder of sequences.
        out: .csv or .parquet; an HTML page is written beside it (default: RUN/states.csv).
        count: number of states (default: chosen on the data, at most 8).
        reference: file in which the states are found and numbered (default: the data).
        seed: seed of the search for states.
        overwrite: replace the files.
        device: where to compute: "cpu", "cuda", "mps", or "auto" (CUDA, else MPS, else CPU).
        reading: how the data is read (default: as the training data of the run)
    """
    from ..checkpoint import from_pretrained
    from ..evaluation.states import find_states
    from ..report.pages import states_page
    from ..training.trainer import pick_device

    path = output_path(out, run, "states.csv", overwrite, (".csv", ".parquet"))
    page = path.with_suffix(".html")
    check_output(page, overwrite)
    model = from_pretrained(run, str(pick_device(device)))
    config = read_config(folder_of(run))
    sequences = read_as_trained(data, reading, config, ignore=WINDOWS)
    known = None
    if reference is not None:
        known = read_as_trained(reference, reading, config, ignore=WINDOWS)
    total = len(sequences) + (0 if known is None else len(known))
    with Counter("sequences", total) as counter:
        found = find_states(model, sequences, count, seed, known, counter.add)
    table = _table(sequences, found)
    options = {"out": out, "count": count, "reference": reference, "seed": seed or None}
    options |= vars(reading)
    html = states_page(
        sequences, found, command=command("states", run, data, *flags(options))
    )
    write_page_and_table(page, html, path, table)
    shares = [f"{state}: {share:.0%}" for state, share in enumerate(found.shares)]
    show_facts(
        [
            ("states", found.count),
            ("share of time", ", ".join(shares), list(found.shares)),
            ("segments", len(table)),
            ("table", path),
            ("page", page),
        ]
    )
    say("", "noise is divided into states too: judge them by the drawings on the page")


def _table(sequences: "Sequences", states: "States") -> "pd.DataFrame":
    """One row per segment: id, start, stop (the timestep after it), state.

    With the times of the first and last timestep if the data has them.
    """
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for i, segments in enumerate(states.segments):
        for part in segments:
            row: dict[str, Any] = {
                "id": sequences.ids[i],
                "start": part.start,
                "stop": part.stop,
            }
            if sequences.times is not None:
                row["first_time"] = sequences.times[i][part.start]
                row["last_time"] = sequences.times[i][part.stop - 1]
            rows.append({**row, "state": part.state})
    return pd.DataFrame(rows)
