"""`temporal-jepa report`: one HTML page about a run."""

from pathlib import Path

from ..config import ReadOptions
from ..files import BUNDLED, read_config
from .console import record, show_lines
from .progress import Counter
from .reading import read_as_trained
from .writing import check_folder


def report(
    run: str,
    *,
    out: str | None = None,
    overwrite: bool = False,
    data: str | None = None,
    reading: ReadOptions,
) -> None:
    """Write one HTML page about a run: training, embedding, scores.

    Examples:
        temporal-jepa report runs/a

    Args:
        run: run folder.
        out: file to write (default: RUN/report.html).
        overwrite: replace the file.
        data: sequences to show (default: the training data of the run).
        reading: how the data is read (default: as the training data of the run)
    """
    from ..report.embeddings import MAX_POINTS
    from ..report.report import write_report

    if not Path(run).exists() and (BUNDLED / run).is_dir():
        raise ValueError(
            f"{run} is a model of the package, without a run to report; pretrain writes a run "
            "folder"
        )
    check_folder(Path(out).parent if out else Path(run))
    config = read_config(Path(run))
    sequences = None
    count = config.get("data", {}).get("n", MAX_POINTS)
    if data is not None:
        sequences = read_as_trained(data, reading, config)
        count = len(sequences)
    with Counter("embeddings", 2 * min(count, MAX_POINTS)) as counter:
        page = write_report(
            Path(run),
            sequences=sequences,
            out=out,
            overwrite=overwrite,
            on_sequences=counter.add,
        )
    record(page=page)
    show_lines(str(page))
