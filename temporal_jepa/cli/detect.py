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
from ..data.sequences import listed, moment
from ..estimators.anomaly import AnomalyDetector, peaks
from ..files import read_config, write_atomically
from ..report import svg as figures
from ..report.report import page as written
from .commands import read_as_trained
from .console import check_out, command, facts
from .main import READING

Array = npt.NDArray[Any]
Row = dict[str, Any]
# series drawn whole; channels of each
DRAWN = 6
DRAWN_CHANNELS = 3


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
    told = {
        "known": how,
        "window": detector.window_,
        "method": "distance",
        "quantile": options.quantile,
    }
    write_atomically(page, write_page(series, scores, top, told, again))
    count = sum(int((s > 1).sum()) for s in scores)
    facts(
        [
            ("known", how),
            ("window", f"{detector.window_} timesteps"),
            ("alarms", f"{count} of {sum(map(len, scores))} timesteps, scores above 1"),
            ("table", out),
            ("page", page),
            ("look first at", listed(_where(series, i, peak) for i, peak, *_ in top[:3])),
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


def _where(series: Sequences, i: int, step: int) -> str:
    """A timestep in words: series if there are several, and its time if there is one."""
    when = str(step) if series.times is None else f"{step} ({moment(series.times[i][step])})"
    return when if len(series) == 1 else f"{series.ids[i]}: {when}"


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


def write_page(
    series: Sequences, scores: list[Array], top: list[Any], told: Row, again: str
) -> bytes:
    """The page: the series with their scores, and the highest moments from near."""
    spans = [figures.runs(score > 1) for score in scores]
    order = list(dict.fromkeys([i for i, *_ in top] + list(range(len(series)))))[:DRAWN]
    whole = [
        {
            "id": series.ids[i],
            "svg": figures.scored(
                f"whole{i}", series.values[i][:, :DRAWN_CHANNELS], scores[i], spans[i], wide=True
            ),
        }
        for i in order
    ]
    near = []
    for place, (i, peak, start, end) in enumerate(top):
        margin = 2 * told["window"]
        first = max(0, start - margin)
        last = min(len(scores[i]), end + margin)
        x = series.values[i][first:last, :DRAWN_CHANNELS]
        svg = figures.scored(f"near{place}", x, scores[i][first:last], spans[i], first)
        near.append(
            {
                "where": _where(series, i, peak),
                "score": f"{scores[i][peak]:.1f}",
                "svg": svg,
                "span": f"{start} to {end - 1}" if end > start + 1 else str(start),
            }
        )
    alarms = sum(int((s > 1).sum()) for s in scores)
    total = sum(map(len, scores))
    drawn = {
        "shown": figures.legend(series.channels[:DRAWN_CHANNELS]),
        "total": series.n_channels,
        "map": False,
        "film": False,
    }
    return written(
        "surprise.html",
        source=Path(series.source).name,
        n=len(series),
        total=total,
        alarms=alarms,
        whole=whole,
        near=near,
        regions=sum(map(len, spans)),
        drawn=drawn,
        again=again,
        **told,
    )
