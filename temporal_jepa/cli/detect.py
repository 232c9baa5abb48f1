"""`temporal-jepa detect`: score every timestep of long series, and draw the highest anomalies."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import ReadOptions, flags
from ..files import folder_of, read_config
from .console import command, record, show_facts, show_lines
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

DIFFERENT = 10.0  # ratio of the scales of two series, above which a caution is printed
MANY = 0.2  # share of the timesteps above 1 that is too large for anomalies
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
    each: bool = False,
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
        temporal-jepa detect series-small servers/ --each --out scores.csv

    Args:
        run: run folder, series-small, or a model on the Hugging Face hub.
        data: file or folder of long sequences.
        out: .csv or .parquet; an HTML page is written beside it (default: RUN/anomalies.csv).
        normal_prefix: length of the anomaly-free start of each series, in timesteps or as a share
            such as 0.2 (default: scores are relative to the reference).
        reference: file of series without anomalies (default: the training data of the run).
        each: judge each series by itself: its reference is its own normal prefix, or all of it.
            For series of different kinds or scales
        window: timesteps compared at a time (default: as in training, fewer for short series).
        quantile: share of the reference's timesteps that score at most 1; anomalies score above 1.
        overwrite: replace the files.
        device: where to compute: "cpu", "cuda", "mps", or "auto" (CUDA, else MPS, else CPU).
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
    known, about = _reference(run, config, series, reference, normal_prefix, each)
    detector = AnomalyDetector(run, window, quantile, device)
    scores, windows = _scores(detector, known, series, each)
    top = peaks(scores, max(windows))
    cautions = _cautions(known, series, scores, quantile, each)
    options = {"out": out, "normal_prefix": normal_prefix, "reference": reference}
    numbers = {"quantile": quantile, "window": window}
    again = flags({**options, **vars(reading), **numbers})
    again += ["--each"] if each else []
    html = anomaly_page(
        series,
        scores,
        top,
        window=max(windows),
        quantile=quantile,
        reference=about,
        cautions=cautions,
        command=command("detect", run, data, *again),
    )
    write_page_and_table(page, html, path, _table(series, scores))
    highest = listed(describe_timestep(series, i, step) for i, step, *_ in top[:3])
    show_facts(
        [
            ("reference", about),
            ("window", f"{_span(windows)} timesteps", max(windows)),
            _anomalies(scores),
            ("table", path),
            ("page", page),
            ("highest", highest, [_peak(series, scores, *peak) for peak in top]),
        ]
    )
    record(cautions=cautions)
    show_lines(*(f"note: {caution}" for caution in cautions))


def _anomalies(scores: "Scores") -> tuple[str, str, int]:
    """How many timesteps score above 1, in how many intervals."""
    from ..report.plots import runs

    count = sum(int((score > 1).sum()) for score in scores)
    intervals = sum(len(runs(score > 1)) for score in scores)
    total = sum(map(len, scores))
    record(timesteps=total, intervals=intervals)
    where = f"in {intervals} interval{'s' * (intervals != 1)}"
    return "anomalies", f"{count} of {total} timesteps score above 1, {where}", count


def _scores(
    detector: "AnomalyDetector", known: "Sequences", series: "Sequences", each: bool
) -> "tuple[Scores, list[int]]":
    """The scores of each series, and the window of each reference, with progress.

    With `each`, series i is measured against reference i alone.
    """
    from ..checkpoint import from_pretrained
    from ..estimators.anomaly import AnomalyDetector

    total = int(known.lengths.sum() + series.lengths.sum())
    with Counter("timesteps", total) as counter:
        if not each:
            detector.fit(known, on_timesteps=counter.add)
            scores = detector.score_each(series, on_timesteps=counter.add)
            return scores, [detector.window_]
        options = detector.get_params()
        options["model"] = from_pretrained(options["model"], device=options["device"])
        scores = []
        windows = []
        for i in range(len(series)):
            own = AnomalyDetector(**options)
            own.fit(known.select([i]), on_timesteps=counter.add)
            chosen = series.select([i])
            scores += own.score_each(chosen, on_timesteps=counter.add)
            windows.append(own.window_)
    return scores, windows


def _cautions(
    known: "Sequences",
    series: "Sequences",
    scores: "Scores",
    quantile: float,
    each: bool,
) -> list[str]:
    """What may make the number of anomalies say little, and what to do."""
    import numpy as np

    found = []
    ratio = 1.0 if each else _ratio_of_scales(series)
    if ratio > DIFFERENT:
        found.append(
            f"the scales of the series differ up to {ratio:,.0f} times and one threshold "
            "stands for all, so the small ones hardly score; --each judges each series by itself"
        )
    share = float(np.mean(np.concatenate(scores) > 1))
    if share > MANY:
        found.append(
            f"{share:.0%} of the timesteps score above 1: the reference does not resemble these "
            "series; give a longer --normal-prefix or another --reference"
        )
    pairs = zip(known.values, series.values, strict=False)
    same = all(np.array_equal(x, y, equal_nan=True) for x, y in pairs)
    if len(known) == len(series) and same:
        found.append(
            f"the reference is the series themselves, so about {1 - quantile:.2g} of all timesteps "
            "score above 1 whatever they hold; --normal-prefix or --reference states what is "
            "normal"
        )
    return found


def _ratio_of_scales(series: "Sequences") -> float:
    """The largest ratio of the deviations of two series in one channel; constant ones count not."""
    import numpy as np

    deviations = np.array([np.nanstd(x, axis=0) for x in series.values])
    deviations[~(deviations > 0)] = np.nan
    if np.isnan(deviations).all(axis=0).any():
        deviations = deviations[:, ~np.isnan(deviations).all(axis=0)]
    if not deviations.size:
        return 1.0
    return float((np.nanmax(deviations, 0) / np.nanmin(deviations, 0)).max())


def _span(numbers: list[int]) -> str:
    """The only number, or the lowest and the highest."""
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


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
    each: bool,
) -> "tuple[Sequences, str]":
    """The series that scores are measured against, and the same in words."""
    from ..data.sequences import Sequences

    if file is not None and (each or prefix is not None):
        name = "--each" if each else "--normal-prefix"
        raise UsageError(f"give {name} or --reference, not both")
    by_itself = ", each series by itself" if each else ""
    if prefix is not None:
        starts = [x[: _prefix_length(prefix, len(x))] for x in series.values]
        about = f"the start of each series (--normal-prefix {prefix}){by_itself}"
        return Sequences(starts, ids=series.ids, source=series.source), about
    if each:
        return series, f"the series themselves{by_itself}"
    what = "the reference"
    if file is None:
        advice = (
            f"state with --normal-prefix how much of {series.source} is normal, or judge each "
            "series by itself with --each"
        )
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
