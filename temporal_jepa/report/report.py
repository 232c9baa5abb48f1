"""The report of a run: one self-contained HTML file about training, collapse and usefulness.

It is made from the files of the run folder (config.json, metrics.jsonl, model.safetensors,
probe.json) and from the training data, which is read again. A file that is missing leaves out its
section and is named in the report. Here the numbers are computed and the figures are drawn; the
sentences are in `templates/report.html`.
"""

import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from markupsafe import Markup
from sklearn.decomposition import PCA

from ..checkpoint import from_pretrained
from ..config import (
    RECIPE,
    VIDEO,
    PretrainConfig,
    ReadOptions,
    TemporalJEPAConfig,
    flags,
    in_words,
)
from ..data import Sequences, read
from ..embed import check_channels, embed_sequences
from ..evaluation.neighbors import Index, standardize
from ..evaluation.states import WINDOW, find_states
from ..files import (
    BUNDLED,
    GENERAL,
    SCRATCH,
    WEIGHTS,
    read_config,
    read_json,
    write_atomically,
)
from ..files.atomic import check_replaceable
from ..model.jepa import TemporalJEPA, random_init_like
from ..model.losses import mean_predictor_loss
from ..model.objectives import MaskedLatent, stored_objective
from ..training.channels import as_training_data
from ..training.components import fit_components
from ..training.initial import Start
from ..training.metrics import METRICS, missing_rows, read_rows
from ..training.run import facts
from . import plots, svg
from .pages import render_page
from .probe_file import AGAIN, check_probe
from .states import states_section
from .svg import Array

Row = dict[str, Any]

MAX_POINTS = 2000  # sequences that are embedded, evenly spaced over the data
MAX_CLASSES = len(svg.COLORS) * len(
    svg.MARKERS
)  # with a marker of their own; the rest are gray
MAX_LOGGED = 200  # columns of a heat map of metrics
QUERIES = 4
NEIGHBORS = 5
MASKED_SEQUENCES = 64  # whose prediction error is averaged, over this many masks each:
MASKS = 8
MASKS_DRAWN = 4

CONTROLS = {"untrained encoder": "the untrained encoder", "raw values": "raw values"}
LEVELS = ("unknown", "healthy", "weak", "collapsed")  # of a verdict, by severity
_LEVEL = re.compile(r"(?:^|(?<=; ))(unknown|healthy|weak|collapsed): ")


@dataclass(frozen=True)
class _Run:
    """A run folder in memory. `missing` holds a line for each thing that could not be read."""

    folder: Path
    config: Mapping[str, Any]
    rows: list[Row]
    probe: Mapping[str, Any]
    model: TemporalJEPA | None
    sequences: Sequences | None
    missing: list[str]

    @property
    def seed(self) -> int:
        """Seed of the initial weights; the masks of the report are drawn from it too."""
        return int(self.config.get("pretrain", {}).get("seed", 0))

    @property
    def start(self) -> str:
        """Where training started: "scratch", "series-small", a folder or a model on the hub."""
        return Start.stored(self.config).source


@dataclass(frozen=True)
class _Embedded:
    """Embeddings `(n, F)` of the same sequences by a control and after training.

    They are compact, `F` = `dim`, if the model stores 128 components; else all features,
    standardized. A control with random weights gets its own components of the same sequences.

    The control is series-small if training started from it, else the same encoder with random
    weights.
    """

    sequences: Sequences
    control_name: str
    control: Array
    trained: Array
    dim: int | None


def write_report(
    folder: str | Path,
    *,
    sequences: Sequences | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the report of a run folder. The same inputs give the same bytes.

    Args:
        folder: the run folder that `pretrain` wrote; the run may be unfinished.
        sequences: data to draw (default: the training data, read again).
        out: file to write (default: `report.html` in the folder).
        overwrite: replace an existing file.

    Returns:
        The path of the report.

    Raises:
        FileNotFoundError: if the folder holds no run.
        FileExistsError: if the file exists and `overwrite` is False, or is a link or no file.
        ValueError: if a JSON file of the run is damaged, or the channels of `sequences` are not
            those of the model.
    """
    folder = Path(folder)
    path = Path(out) if out is not None else folder / "report.html"
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} already exists; pass overwrite (--overwrite) to replace it or choose another "
            "file (--out)"
        )
    check_replaceable(path)
    run = _load(folder, sequences)
    scores = _scores(run.probe)
    embedded = _embed(run)
    page = render_page(
        "report.html",
        config=run.config,
        headline=_headline(run, scores),
        missing=run.missing,
        scores=scores,
        training=_training(run),
        positions=_positions(run),
        space=_space(embedded),
        neighbors=_neighbors(embedded),
        states=_states(run),
        masks=_masks(run),
        commands=_commands(run),
        settings=_settings(run),
    )
    write_atomically(path, page)
    return path


def _load(folder: Path, given: Sequences | None) -> _Run:
    config = read_config(folder)
    missing: list[str] = []
    model: TemporalJEPA | None = None
    try:
        model = from_pretrained(folder)
    except (FileNotFoundError, ValueError) as error:
        missing.append(f"The trained weights could not be read: {error}")
    if given is None:
        sequences = _read_again(config.get("data", {}), model, missing)
    else:
        sequences = given
        if model is not None:
            check_channels(model, given)
    rows = read_rows(folder)
    lost = missing_rows(folder, rows, config)
    if lost or not rows:
        missing.append(lost or f"{METRICS} holds no training metrics.")
    probe = folder / "probe.json"
    is_probed = probe.exists() or probe.is_symlink()
    scores = read_json(probe, AGAIN) if is_probed else {}
    if scores:
        check_probe(probe, scores)
    return _Run(folder, config, rows, scores, model, sequences, missing)


def _read_again(
    data: Mapping[str, Any], model: TemporalJEPA | None, missing: list[str]
) -> Sequences | None:
    """The training data, from the path and the options that the run stored."""
    if "path" not in data:
        return None
    try:
        sequences = read(data["path"], ReadOptions.from_dict(data.get("options", {})))
        if model is not None:
            check_channels(model, sequences)
    except (OSError, ValueError, ImportError) as error:
        missing.append(f"The data could not be read again: {error}")
        return None
    count = data.get("n", len(sequences))
    if len(sequences) != count:
        missing.append(
            f"The data has changed: {count} sequences then, {len(sequences)} now."
        )
    elif data.get("digest", "") not in ("", facts(sequences)["digest"]):
        missing.append(
            "The data has changed: its values are not those of the training data."
        )
    return sequences


def _logged(rows: list[Row], name: str) -> list[tuple[int, Any]]:
    """The (step, value) pairs of a metric, without the rows that do not hold it."""
    return [(row["step"], row[name]) for row in rows if row.get(name) is not None]


def _column(rows: list[Row], name: str) -> Array:
    """A metric `(rows,)`, NaN in rows that do not hold it."""
    return np.array([row.get(name) for row in rows], dtype=float)


def _headline(run: _Run, scores: Row | None) -> Row:
    data = run.config.get("data", {})
    step = run.rows[-1]["step"] if run.rows else 0
    steps = run.config.get("pretrain", {}).get("steps", math.inf)
    level, reason = _verdict(run.rows, scores)
    return {
        "name": run.folder.resolve().name,
        "source": Path(str(data.get("path", "arrays in memory"))).name,
        "timestep": in_words(run.config["model"], data.get("channels")),
        "start": run.start,
        "step": step,
        "finished": step >= steps and (run.folder / WEIGHTS).is_file(),
        "level": level,
        "reason": reason,
        "losses": _logged(run.rows, "relative_loss"),
        "ranks": _logged(run.rows, "rank"),
    }


def _verdict(rows: list[Row], scores: Row | None) -> tuple[str, str]:
    """The level of the headline, one of `LEVELS`, and the reasons for it.

    It is the last verdict of training, but at best "weak" if pretraining cost accuracy. Version 0.1
    could log two levels in one line ("weak: ...; healthy: ..."): the more severe one holds.
    """
    logged = _logged(rows, "verdict")
    sentence = (
        logged[-1][1] if logged else "unknown: no collapse statistics were logged"
    )
    level = max(_LEVEL.findall(sentence), key=LEVELS.index, default="unknown")
    reason = _LEVEL.sub("", sentence)
    if scores is None or not scores["behind"]:
        return level, reason
    points = [
        f"{_difference(loss, scores)} below {name}"
        for name, loss in scores["behind"].items()
    ]
    cost = f"the pretrained encoder scores {' and '.join(points)}"
    return max(level, "weak", key=LEVELS.index), f"{cost}; {reason}"


def _scores(probe: Mapping[str, Any]) -> Row | None:
    """What probe.json holds, and how the pretrained encoder compares with its controls."""
    if not probe:
        return None
    is_regression = probe.get("task") == "regression"
    metric = "r2" if is_regression else "accuracy"
    values = {row["features"]: row[metric] for row in probe["scores"]}
    ours = values["pretrained encoder"]
    behind = {}
    for features, name in CONTROLS.items():
        if values.get(features, ours) > ours:
            behind[name] = values[features] - ours
    scores = {
        **probe,
        "is_regression": is_regression,
        "values": values,
        "ours": ours,
        "gain": ours - values["untrained encoder"],
        "behind": behind,
    }
    if not is_regression:
        n = probe["n_test"]
        share = (ours * n + 1) / (n + 2)  # smoothed: 40 of 40 is not certainty
        scores["noise"] = 2 * math.sqrt(2 * share * (1 - share) / n)
    return scores


def _difference(value: float, scores: Row) -> str:
    """A difference of two scores, in points of accuracy or as R2."""
    if scores["is_regression"]:
        return f"R² {value:.2f}"
    return f"{100 * value:.1f} points"


def _training(run: _Run) -> Row | None:
    if not run.rows:
        return None
    step = _column(run.rows, "step")
    # The parts of the loss are drawn with the weights that they have in it.
    weights = {
        "loss": 1.0,
        "prediction_loss": 1.0,
        "variance_loss": run.config["model"].get("variance_weight", 0.0),
        "covariance_loss": run.config["model"].get("covariance_weight", 0.0),
    }
    curves = {
        name: weight * _column(run.rows, name)
        for name, weight in weights.items()
        if name in run.rows[0]
    }
    relative = None
    if "relative_loss" in run.rows[0]:
        shares = {"relative loss": _column(run.rows, "relative_loss")}
        relative = svg.lines("relative", step, shares, "step", level=1.0)
    return {
        "seconds": run.rows[-1]["elapsed_s"],
        "speed": np.median(_column(run.rows, "samples_per_s")),
        "loss": svg.lines("loss", step, curves, "step"),
        "legend": svg.legend(curves),
        "relative": relative,
    }


def _positions(run: _Run) -> Row | None:
    """Heat maps of the collapse statistics: position by step."""
    rows = [
        row
        for row in run.rows
        if row.get("std_per_position") and row.get("rank_per_position")
    ]
    if not rows:
        return None
    rows = [rows[i] for i in svg.spread(len(rows), MAX_LOGGED)]
    lengths = run.config.get("data", {}).get("lengths") or [0]
    maps: Row = {"unequal": lengths[0] != lengths[-1]}
    for kind in ("rank", "std"):
        columns = [row[f"{kind}_per_position"] for row in rows]
        values = np.array([*zip_longest(*columns, fillvalue=math.nan)], dtype=float)
        maps[kind] = svg.heat(kind, _column(rows, "step"), values, "step", "position")
    return maps


def _embed(run: _Run) -> _Embedded | None:
    if run.model is None or run.sequences is None or len(run.sequences) < 3:
        return None
    chosen = run.sequences.select(svg.spread(len(run.sequences), MAX_POINTS))
    if run.start == GENERAL:
        name = GENERAL
        control = from_pretrained(BUNDLED / GENERAL)
    else:
        name = "random weights"
        control = random_init_like(run.model, run.seed)
        if run.model.components is not None:
            fit_components(control, run.sequences)
    channels = run.sequences.n_channels
    dim = run.model.compact_dim(channels)
    if control.compact_dim(channels) is None:  # its features vary in fewer directions
        dim = None
    trained, of_control = (
        embed_sequences(model, chosen, dim=dim) for model in (run.model, control)
    )
    if dim is None:
        trained, of_control = standardize(trained), standardize(of_control)
    return _Embedded(chosen, name, of_control, trained, dim)


def _space(embedded: _Embedded | None) -> Row | None:
    """Scatter plots of the first two principal components of the embeddings."""
    if embedded is None:
        return None
    labels = embedded.sequences.classes
    n = len(embedded.sequences)
    codes, legend = _classes(np.zeros(n) if labels is None else labels)
    maps = {
        f"Control: {embedded.control_name}": embedded.control,
        "After training": embedded.trained,
    }
    panels = []
    for i, (title, Z) in enumerate(maps.items()):
        pca = PCA(2, random_state=0)
        with np.errstate(
            invalid="ignore"
        ):  # no variance if all embeddings are the same
            xy = pca.fit_transform(Z)
        shares = np.nan_to_num(pca.explained_variance_ratio_)
        panels.append((title, svg.scatter(f"space{i}", xy, shares, codes)))
    return {
        "panels": panels,
        "n": n,
        "dim": embedded.dim,
        "legend": [] if labels is None else legend,
    }


def _classes(labels: Array) -> tuple[Array, list[tuple[Markup, str]]]:
    """A code for the marker of each label, -1 for all but the most frequent; and their legend."""
    names, index, counts = np.unique(labels, return_inverse=True, return_counts=True)
    frequent = np.sort(np.argsort(-counts, kind="stable")[:MAX_CLASSES])
    code_of = np.full(len(names), -1)
    code_of[frequent] = np.arange(len(frequent))
    legend = [(svg.marker(code), str(names[i])) for code, i in enumerate(frequent)]
    rare = len(names) - len(frequent)
    if rare:
        legend.append((svg.marker(-1), f"{rare} rarer classes"))
    return code_of[index], legend


def _neighbors(embedded: _Embedded | None) -> Row | None:
    """Rows of nearest neighbors, and how often neighbors share their label."""
    if embedded is None:
        return None
    sequences = embedded.sequences
    n = len(sequences)
    k = min(NEIGHBORS, n - 1)
    is_scaled = embedded.dim is None
    near, distance = Index(embedded.trained, scale=is_scaled).neighbors(k)
    queries = svg.spread(n, QUERIES)
    agreement = None
    if sequences.classes is not None:
        _, first, index, counts = np.unique(
            sequences.classes,
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        largest = np.argsort(-counts, kind="stable")[:QUERIES]
        queries = np.sort(first[largest])
        near_control, _ = Index(embedded.control, scale=is_scaled).neighbors(k)
        agreement = {
            "after": np.mean(index[near] == index[:, None]),
            "control": np.mean(index[near_control] == index[:, None]),
            "chance": np.mean((counts[index] - 1) / (n - 1)),
        }
    rows = []
    for q in queries.tolist():
        query = sequences.select([q])
        rows.append(
            plots.neighbor_row(
                f"near{q}", query, sequences.select(near[q]), distance[q]
            )
        )
    channels = plots.channel_legend(sequences)
    return {
        "rows": rows,
        "agreement": agreement,
        "control": embedded.control_name,
        "n": n,
        "k": k,
        "dim": embedded.dim,
        "channels": channels,
    }


def _states(run: _Run) -> Row | None:
    """Sequences over their states, where the objective leads to tokens that have some.

    Those of masked latents agree with what happens less than statistics of windows do, see
    benchmarks/README.md. Sequences need the tokens of a few moments.
    """
    model = run.model
    if model is None or run.sequences is None:
        return None
    config = model.config
    is_series = config.frame is None and not config.channel_independent
    if not is_series or isinstance(model.objective, MaskedLatent):
        return None
    sequences = run.sequences.select(svg.spread(len(run.sequences), MAX_POINTS))
    if np.median(sequences.lengths) < 2 * WINDOW * config.patch:
        return None
    return states_section(sequences, find_states(model, sequences))


def _masks(run: _Run) -> Row | None:
    """Masked sequences with the error of each prediction, and the mean error along the sequence."""
    model = run.model
    if model is None or run.sequences is None:
        return None
    config = model.config
    if not isinstance(model.objective, MaskedLatent) or config.predict == "pooled":
        run.missing.append(
            "Prediction errors are drawn for runs that predict masked latents one by one."
        )
        return None
    sample = run.sequences.select(svg.spread(len(run.sequences), MASKED_SEQUENCES))
    sample = as_training_data(model, sample)
    sample = sample.select(svg.spread(len(sample), MASKED_SEQUENCES))
    error = _prediction_error(model, sample, run.seed)
    masked = error[0].isfinite().numpy()
    bars = error[0].nanmean(-1).numpy()  # (sequence, time)
    drawn = np.flatnonzero(masked.any((1, 2)))
    drawn = drawn[svg.spread(len(drawn), MASKS_DRAWN)]
    limit = 1.05 * float(np.nanmax(bars[drawn], initial=1.0))
    panels = []
    for i in drawn.tolist():
        tokens = math.ceil(min(len(sample.values[i]), config.seq_len) / config.patch)
        figure = plots.masked(
            f"mask{i}",
            sample,
            i,
            mask=masked[i, :tokens],
            error=bars[i, :tokens],
            limit=limit,
            token=(config.patch, config.side),
        )
        panels.append((i, figure))
    mean = error.nanmean((0, 1, 3)).numpy()
    middle = np.arange(len(mean)) * config.patch + (config.patch - 1) / 2
    return {
        "panels": panels,
        "along": svg.lines("along", middle, {"error": mean}, "timestep", level=1.0),
        "config": config,
        "sample": sample,
        "draws": MASKS,
        "channels": plots.channel_legend(sample),
    }


def _prediction_error(
    model: TemporalJEPA, sequences: Sequences, seed: int
) -> torch.Tensor:
    """Error of each masked token over the loss of predicting the mean target, NaN if not masked.

    Returns:
        float `(MASKS, sequences, tokens in time, cells of a timestep)`.
    """
    config = model.config
    batch = sequences.batch(np.arange(len(sequences)))
    x = torch.from_numpy(batch[:, : config.seq_len])  # (B, T, C)
    generator = torch.Generator().manual_seed(seed)
    errors = []
    for _ in range(MASKS):
        visible = model.draw_masks(x, generator)[0]
        errors.append(model.prediction_error(x, visible))  # (B, N)
    target, observed = model.targets(*model.context_encoder.prepare(x))
    unit = max(float(mean_predictor_loss(target, observed)), 1e-9)
    grid = (MASKS, len(sequences), -1, math.prod(config.cells))
    return torch.stack(errors).reshape(grid) / unit


def _settings(run: _Run) -> dict[str, Row]:
    """Tables of name and value: what config.json stores."""
    model = dict(run.config["model"])
    if run.model is not None:
        count = sum(weight.numel() for weight in run.model.context_encoder.parameters())
        model["encoder parameters"] = f"{count:,}"
    return {
        "Model": model,
        "Objective": run.config.get("objective") or {"name": "masked"},
        "Training": run.config.get("pretrain", {}),
        "Data": run.config.get("data", {}),
        "Environment": {
            "temporal-jepa": run.config.get("version", "unknown"),
            **run.config.get("environment", {}),
        },
    }


def _commands(run: _Run) -> dict[str, str]:
    """The command lines that make this run and its files again; defaults are left out."""
    folder = str(run.folder)
    data = run.config.get("data", {})
    path = str(data.get("path", "DATA"))
    train = ["pretrain", "--data", path, "--out", folder]
    train += flags(data.get("options", {}))
    train += flags(run.config.get("pretrain", {}), asdict(PretrainConfig()))
    train += ["--init-from", run.start]
    if run.start == SCRATCH:
        train += _model_flags(run.config["model"])
    objective = _objective_flags(run)
    train += objective or []
    probe = ["probe", folder]
    if run.probe:
        names = {
            "train": "train",
            "test": "test",
            "probe": "kind",
            "pool": "pool",
            "dim": "dim",
            "seed": "seed",
        }
        given = {flag: run.probe.get(name) for name, flag in names.items()}
        if str(given["test"]).startswith("held out of "):
            given["test"] = None
        probe += flags(given)
    words = {"Pretrain": train, "Embed": ["embed", folder, path], "Probe": probe}
    if not run.probe and run.sequences is not None and run.sequences.labels is None:
        del words["Probe"]
    if objective is None:
        del words["Pretrain"]
    words["Report"] = ["report", folder]
    return {
        title: shlex.join(["temporal-jepa", *line]) for title, line in words.items()
    }


def _objective_flags(run: _Run) -> list[str] | None:
    """The flags that name the objective of a run; None if it or its settings have no flags."""
    objective = stored_objective(run.config)
    if objective is None or repr(objective) != repr(type(objective)()):
        return None
    if isinstance(objective, MaskedLatent):  # the default from any start
        return []
    return flags({"objective": run.config["objective"]["name"]})


def _model_flags(model: Mapping[str, Any]) -> list[str]:
    """The flags of the settings that differ from the recommended ones; the data decide the rest."""
    defaults = {**asdict(TemporalJEPAConfig(input_dim=1)), **RECIPE}
    if model.get("tokenizer") == "tubelet":
        defaults |= VIDEO
    defaults |= {"patch_len": None, "patch_size": 1}
    chosen = dict(model)
    for name in ("input_dim", "frame", "resolutions"):
        chosen.pop(name, None)
    return flags(chosen, defaults)
