"""`temporal-jepa report`: one HTML page about a run."""

from pathlib import Path

from ..config import ReadOptions
from ..files import BUNDLED, read_config
from .console import command, record, show_lines
from .progress import Counter
from .reading import read_as_trained
from .writing import check_folder, check_output


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
    _check_run(run, data)  # before imports that take seconds

    from ..report.embeddings import MAX_POINTS
    from ..report.report import write_report

    path = Path(out) if out else Path(run) / "report.html"
    check_folder(path.parent)
    check_output(path, overwrite)
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


def _check_run(run: str, data: str | None) -> None:
    """ValueError with the two commands for data, or a model, in place of a run folder."""
    is_model = not Path(run).exists() and (BUNDLED / run).is_dir()
    if not is_model and not Path(run).is_file():
        return
    file = Path(data or "data.csv") if is_model else Path(run)
    folder = f"runs/{file.stem}"
    train = command("pretrain", "--data", file, "--out", folder)
    what = "a model of the package" if is_model else "a file"
    raise ValueError(
        f"{run} is {what}, and a report is about a run: {train} && {command('report', folder)}"
    )
