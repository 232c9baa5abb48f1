"""The verb `surprise`: a table with the score of every timestep, and a page that draws the most surprising moments."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from ..config import flags
from ..data import Sequences, read
from ..data.sequences import listed
from ..estimators.anomaly import AnomalyDetector, peaks
from ..files import read_config, write_atomically
from ..report.pages import anomaly_page, describe_timestep
from .commands import read_as_trained
from .console import check_out, command, facts
from .main import READING

Array = npt.NDArray[Any]


def surprise(options: argparse.Namespace) -> None:
    """Score each timestep of each series, write the table and the page, and say where to look."""
    local = Path(options.run).is_dir()
    out = Path(options.out or (Path(options.run) if local else Path()) / "surprise.csv")
    page = out.with_suffix(".html")
    check_out(out, options.overwrite, (".csv", ".parquet"))
    check_out(page, options.overwrite)
    run = _uncut(read_config(Path(options.run))) if local else {}
    if frame := run.get("model", {}).get("frame"):
        what = "scenes of agents" if frame[0] == 1 else "films"
        raise ValueError(
            f"{options.run} was trained on {what}, and surprise scores the timesteps of series and tracks"
        )
    series = read_as_trained(
        options.data, argparse.Namespace(**{**vars(options), "window": None, "stride": None}), run
    )
    known, how = _known(series, options.clean, run)
    detector = AnomalyDetector(options.run, options.window, options.quantile, options.device)
    detector.fit(known)
    scores: list[Array] = [*detector.score_each(series)]
    top = peaks(scores, detector.window_)
    write_atomically(out, _table(out, series, scores))
    again = command("surprise", options.run, options.data, *_flags(options))
    content = anomaly_page(
        series,
        scores,
        top,
        window=detector.window_,
        quantile=options.quantile,
        reference=how,
        command=again,
    )
    write_atomically(page, content)
    count = sum(int((s > 1).sum()) for s in scores)
    facts(
        [
            ("known", how),
            ("window", f"{detector.window_} timesteps"),
            ("alarms", f"{count} of {sum(map(len, scores))} timesteps, scores above 1"),
            ("table", out),
            ("page", page),
            (
                "look first at",
                listed(describe_timestep(series, i, peak) for i, peak, *_ in top[:3]),
            ),
        ]
    )


def _uncut(run: Mapping[str, Any]) -> dict[str, Any]:
    """What config.json says, without the windows into which the run's data was cut."""
    data = run.get("data", {})
    whole = {
        name: value
        for name, value in data.get("options", {}).items()
        if name not in ("window", "stride")
    }
    return {**run, "data": {**data, "options": whole}}


def _known(series: Sequences, clean: str | None, run: Mapping[str, Any]) -> tuple[Sequences, str]:
    """What the scores are measured against: the first part of each series, or the data of the run."""
    if clean is not None:
        share = clean.endswith("%") or "." in clean
        try:
            wanted = float(clean.rstrip("%")) / (100 if clean.endswith("%") else 1)
        except ValueError:
            wanted = -1.0
        if not (0 < wanted <= 1 if share else wanted >= 1 and wanted == int(wanted)):
            raise ValueError(
                f"--clean {clean}: expected a number of timesteps, or a share such as 0.2 or 20%"
            )
        first = [round(wanted * len(x)) if share else int(wanted) for x in series.values]
        known = Sequences(
            [x[: max(n, 1)] for x, n in zip(series.values, first, strict=True)],
            source=series.source,
        )
        return known, f"the first {clean if share else f'{clean} timesteps'} of each series"
    data = run.get("data", {})
    if "path" not in data:
        raise ValueError(
            f"the run does not say what it was trained on; say with --clean how much of {series.source} "
            "is known to be normal"
        )
    known = read(data["path"], **data["options"])
    return known, f"what the run was trained on, {Path(data['path']).name}"


def _table(path: Path, series: Sequences, scores: list[Array]) -> bytes:
    """A row a timestep: id, timestep, time if there is one, score, alarm."""
    columns: dict[str, Any] = {"id": np.repeat(np.array(series.ids), series.lengths)}
    columns["timestep"] = np.concatenate([np.arange(n) for n in series.lengths])
    columns |= {} if series.times is None else {"time": np.concatenate(series.times)}
    score = np.concatenate(scores)
    frame = pd.DataFrame({**columns, "score": score, "alarm": score > 1})
    return (
        frame.to_csv(index=False).encode()
        if path.suffix == ".csv"
        else bytes(frame.to_parquet(index=False))
    )


def _flags(options: argparse.Namespace) -> list[str]:
    names = (
        "out",
        "window",
        "clean",
        "quantile",
        *(name for name in READING if name != "window"),
    )
    return flags(
        {name: getattr(options, name, None) for name in names},
        {"quantile": 0.99},
    )
