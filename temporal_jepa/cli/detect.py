"""`temporal-jepa detect`: score every timestep of long series, and draw the highest anomalies."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import ReadOptions, flags
from ..files import folder_of, read_config
from .console import command, record, show_facts
from .options import UsageError
from .progress import Counter
from .reading import read_as_trained, training_file
from .writing import check_output, output_path, write_page_and_table

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from ..data import Sequences
    from ..estimators.anomaly import AnomalyDetector

    Scores = list[npt.NDArray[np.float32]]

WINDOWS = (
    "window",
    "stride",
)  # stored options that do not apply: whole series are scored


def detect(
    run: str,
    data: str,
    *,
    out: str | None = None,
    normal_prefix: str | None = None,
    reference: str | None = None,
    window: int | None = None,
    quantile: float = 0.99,
    overwrite: bool = False,
    device: str = "cpu",
    reading: ReadOptions,
) -> None:
    """Score every timestep of long series for anomalies.

    Examples:
        temporal-jepa detect runs/a new.csv
        temporal-jepa detect series-small recording.csv --normal-prefix 0.2 --out scores.csv

    Args:
        run: run folder, series-small, or a model on the Hugging Face hub.
        data: file or folder of long sequences.
        out: .csv or .parquet; an HTML page is written beside it (default: RUN/anomalies.csv).
        normal_prefix: length of the anomaly-free start of each series, in timesteps or as a share
            such as 0.2 (default: scores are relative to the reference).
        reference: file of series without anomalies (default: the training data of the run).
        window: timesteps compared at a time (default: as in training, fewer for short series).
        quantile: quantile of the reference scores that maps to 1; anomalies score above 1.
        overwrite: replace the files.
        device: where to compute.
        reading: how the data is read (default: as the training data of the run)
    """
    from ..data.sequences import listed
    from ..estimators.anomaly import AnomalyDetector, peaks
    from ..report.pages import anomaly_page, describe_timestep

    path = output_path(out, run, "anomalies.csv", overwrite, (".csv", ".parquet"))
    page = path.with_suffix(".html")
    check_output(page, overwrite)
    config = read_config(folder_of(run))
    _check_kind(run, config)
    series = read_as_trained(data, reading, config, ignore=WINDOWS)
    known, about = _reference(run, config, series, reference, normal_prefix)
    detector = AnomalyDetector(run, window, quantile, device)
    scores = _scores(detector, known, series)
    top = peaks(scores, detector.window_)
    options = {"out": out, "normal_prefix": normal_prefix, "reference": reference}
    numbers = {"quantile": quantile, "window": window}
    again = flags({**options, **vars(reading), **numbers})
    html = anomaly_page(
        series,
        scores,
        top,
        window=detector.window_,
        quantile=quantile,
        reference=about,
        command=command("detect", run, data, *again),
    )
    write_page_and_table(page, html, path, _table(series, scores))
    count = sum(int((score > 1).sum()) for score in scores)
    total = sum(map(len, scores))
    highest = listed(describe_timestep(series, i, step) for i, step, *_ in top[:3])
    record(timesteps=total)
    show_facts(
        [
            ("reference", about),
            ("window", f"{detector.window_} timesteps", detector.window_),
            ("anomalies", f"{count} of {total} timesteps score above 1", count),
            ("table", path),
            ("page", page),
            ("highest", highest, [_peak(series, scores, *peak) for peak in top]),
        ]
    )


def _scores(
    detector: "AnomalyDetector", known: "Sequences", series: "Sequences"
) -> "Scores":
    """The scores of each series, with progress."""
    total = int(known.lengths.sum() + series.lengths.sum())
    with Counter("timesteps", total) as counter:
        detector.fit(known, on_timesteps=counter.add)
        return detector.score_each(series, on_timesteps=counter.add)


def _check_kind(run: str, config: Mapping[str, Any]) -> None:
    """ValueError for a model of video or scenes."""
    frame = config["model"].get("frame")
    if frame:
        what = "scenes of agents" if frame[0] == 1 else "videos"
        raise ValueError(
            f"{run} was trained on {what}; detect scores series and trajectories"
        )


def _reference(
    run: str,
    config: Mapping[str, Any],
    series: "Sequences",
    file: str | None,
    prefix: str | None,
) -> "tuple[Sequences, str]":
    """The series that scores are measured against, and the same in words."""
    from ..data.sequences import Sequences

    if prefix is not None and file is not None:
        raise UsageError("give --normal-prefix or --reference, not both")
    if prefix is not None:
        starts = [x[: _prefix_length(prefix, len(x))] for x in series.values]
        about = f"the start of each series (--normal-prefix {prefix})"
        return Sequences(starts, source=series.source), about
    what = "the reference"
    if file is None:
        advice = f"state with --normal-prefix how much of {series.source} is normal"
        file = training_file(run, config, advice, "--reference", [series.source])
        what = "the training data"
    known = read_as_trained(file, ReadOptions(), config, ignore=WINDOWS)
    return known, f"{what}, {Path(file).name}"


def _prefix_length(prefix: str, length: int) -> int:
    """Timesteps of a normal start: a number of timesteps, or a share such as 0.2 or 20%."""
    if re.fullmatch(r"[1-9]\d*", prefix):
        return int(prefix)
    share = 0.0
    if re.fullmatch(r"\d+(\.\d*)?%", prefix):
        share = float(prefix.removesuffix("%")) / 100
    elif re.fullmatch(r"\d*\.\d+", prefix):
        share = float(prefix)
    if not 0 < share <= 1:
        raise ValueError(
            f"--normal-prefix {prefix}: expected a number of timesteps, or a share such as 0.2"
        )
    return max(round(share * length), 1)


def _peak(
    series: "Sequences", scores: "Scores", i: int, step: int, start: int, stop: int
) -> dict[str, Any]:
    """A peak for programs."""
    score = float(scores[i][step])
    region = {"start": start, "stop": stop}
    return {"id": series.ids[i], "timestep": step, **region, "score": score}


def _table(series: "Sequences", scores: "Scores") -> "pd.DataFrame":
    """One row per timestep: id, timestep, time if it is known, score, anomaly."""
    import numpy as np
    import pandas as pd

    columns: dict[str, Any] = {
        "id": np.repeat(np.array(series.ids), series.lengths),
        "timestep": np.concatenate([np.arange(length) for length in series.lengths]),
    }
    if series.times is not None:
        columns["time"] = np.concatenate(series.times)
    score = np.concatenate(scores)
    return pd.DataFrame({**columns, "score": score, "anomaly": score > 1})
