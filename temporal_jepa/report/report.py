"""One self-contained HTML file from a run folder: what was trained, whether it is healthy, what it is good for.

Files are the interface: config.json, metrics.jsonl, model.safetensors, embeddings.npz and probe.json of the run folder,
and the data, read again from where the run found it. What is missing is named, and its section is left out.
"""

import json
import math
import shlex
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..checkpoint import from_pretrained
from ..config import RECIPE, VIDEO, PretrainConfig, TemporalJEPAConfig, flags, in_words
from ..data import Sequences, read
from ..embed import as_training_data, check_channels, embed_sequences
from ..evaluation.neighbors import Index, standardize
from ..files import BUNDLED, GENERAL, SCRATCH, read_config, write_atomically
from ..model.jepa import TemporalJEPA, random_init_like
from ..model.losses import mean_predictor_loss
from ..training.initial import Start
from ..training.run import facts
from ..version import __version__
from . import plots as drawings
from . import svg as figures

Array = npt.NDArray[Any]
Row = dict[str, Any]

POINTS = 2000  # sequences in the map of embeddings and in the search for neighbours, evenly spaced over the data
CLASSES = len(figures.COLOURS) * len(
    figures.MARKS
)  # classes with a mark of their own; the rarer ones are grey
QUERIES = 4
NEIGHBOURS = 5
# masks drawn, and sequences they are drawn on, for the error along the series
DRAWS = 8
DRAWN_ON = 64


@dataclass(frozen=True)
class _Run:
    """A run folder in memory; `missing` says in a line each what could not be read."""

    folder: Path
    config: Mapping[str, Any]
    rows: list[Row]
    probe: Mapping[str, Any] | None
    vectors: Mapping[str, Array] | None
    model: TemporalJEPA | None
    sequences: Sequences | None
    missing: list[str]

    @property
    def seed(self) -> int:
        """Of the weights and of the masks that are drawn."""
        return int(self.config.get("pretrain", {}).get("seed", 0))


def write_report(
    folder: str | Path,
    *,
    sequences: Sequences | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
) -> Path:
    """Write the report of a run folder; the same inputs give the same bytes.

    Args:
        folder: the run folder that `pretrain` wrote; an interrupted run will do.
        sequences: the data to show, default what config.json says the run was trained on.
        out: the file to write, default `report.html` in the folder.
        overwrite: replace the file if it is there.

    Returns:
        The path of the report.

    Raises:
        FileNotFoundError: if there is no run in the folder.
        FileExistsError: if the report is there already and `overwrite` is False.
        ValueError: if a JSON file of the run is damaged, or `sequences` have other channels than the model.
    """
    folder = Path(folder)
    path = Path(out) if out is not None else folder / "report.html"
    if path.exists() and not overwrite:
        raise FileExistsError(
            f"{path} is there already; ask to overwrite it (--overwrite), or choose another file"
        )
    run = _load(folder, sequences)
    parts = (_headline, _training, _positions, _space, _masks, _scores, _settings, _commands)
    context = {part.__name__.lstrip("_"): part(run) for part in parts}
    write_atomically(path, page("report.html", missing=run.missing, **context))
    return path


def page(template: str, **context: Any) -> bytes:
    """A page that stands alone, from a template of the package."""
    pages = Environment(
        loader=PackageLoader("temporal_jepa.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return pages.get_template(template).render(context, version=__version__).encode()


def _load(folder: Path, given: Sequences | None) -> _Run:
    config = read_config(folder)
    missing = []
    model: TemporalJEPA | None = None
    try:
        model = from_pretrained(folder)
    except (FileNotFoundError, ValueError) as error:
        missing.append(f"No trained weights, so nothing is drawn that needs the model: {error}")
    sequences = given
    data = config.get("data", {})
    if given is None:
        try:
            sequences = read(data["path"], **data.get("options", {})) if "path" in data else None
            if sequences is not None and model is not None:
                check_channels(model, sequences)
        except (OSError, ValueError, ImportError) as error:
            sequences = None
            missing.append(f"The data could not be read again, so no series are drawn: {error}")
        if sequences is not None and len(sequences) != data.get("n", len(sequences)):
            missing.append(
                f"The data has changed: trained on {data['n']} series, there are {len(sequences)} now."
            )
        elif sequences is not None and data.get("digest") not in (None, facts(sequences)["digest"]):
            missing.append(
                "The data has changed: it holds other values than those the run was trained on."
            )
    elif model is not None:
        check_channels(model, given)
    rows = _metrics(folder / "metrics.jsonl", missing)
    probe = folder / "probe.json"
    scores = _json(probe.read_text("utf-8"), probe) if probe.is_file() else None
    vectors = _vectors(folder / "embeddings.npz", missing)
    return _Run(folder, config, rows, scores, vectors, model, sequences, missing)


def _vectors(path: Path, missing: list[str]) -> dict[str, Array] | None:
    """The arrays of embeddings.npz, or None."""
    if not path.is_file():
        return None
    try:
        with path.open("rb") as content, np.load(content, allow_pickle=False) as file:
            arrays = {name: file[name] for name in ("embeddings", "labels") if name in file}
        numbers = "embeddings" in arrays and arrays["embeddings"].dtype.kind in "fiu"
        if numbers and len({len(array) for array in arrays.values()}) == 1:
            return arrays
        reason = "expected an array 'embeddings' of numbers, and as many labels if there are any"
    except (OSError, EOFError, ValueError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        reason = str(error)
    missing.append(f"The vectors of {path.name} could not be read, so they are not drawn: {reason}")
    return None


def _json(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path} is no valid JSON ({error}); write it again, or remove it"
        ) from None


def _metrics(path: Path, missing: list[str]) -> list[Row]:
    """The rows of metrics.jsonl in order of their step; a last line cut short by a crash is left out."""
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    if lines and not lines[-1].rstrip().endswith("}"):
        del lines[-1]
    rows: dict[int, Row] = {}
    strays = 0
    for line in lines:
        row = _json(line, path)
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows[row["step"]] = row  # a resumed run may log a step again
        else:
            strays += 1
    if strays:
        missing.append(f"{strays} rows of {path.name} have no step and are left out.")
    if not rows:
        missing.append(f"No rows of training metrics in {path.name}, so no curves are drawn.")
    return [rows[step] for step in sorted(rows)]


def _column(rows: list[Row], name: str) -> Array:
    return np.array([math.nan if row.get(name) is None else row[name] for row in rows], dtype=float)


def _headline(run: _Run) -> Row:
    data = run.config.get("data", {})
    wanted = run.config.get("pretrain", {}).get("steps")
    done = run.rows[-1]["step"] if run.rows else 0
    verdicts = [row["verdict"] for row in run.rows if row.get("verdict")]
    finished = run.model is not None and wanted is not None and done >= wanted
    verdict = verdicts[-1] if verdicts else "unknown: no statistics of collapse were logged"
    relative = _column(run.rows, "relative_loss")
    rank = [row["rank"] for row in run.rows if row.get("rank") is not None]
    facts = []
    if np.isfinite(relative).any():
        low = int(np.nanargmin(relative))
        facts.append(
            (
                "Relative loss",
                f"{relative[-1]:.3f}",
                f"1 is guessing the mean; lowest {relative[low]:.3f} at "
                f"step {run.rows[low]['step']}",
            )
        )
    if rank:
        facts.append(
            (
                "Effective rank",
                f"{rank[-1]:.1f}",
                f"of {run.config['model'].get('embed_dim')} directions",
            )
        )
    if (scores := _scores(run)) and scores["ours"] is not None:
        note = (
            ""
            if scores["gain"] is None
            else f"{100 * scores['gain']:+.1f} points on the untrained encoder"
        )
        facts.append(("Accuracy", f"{scores['ours']:.1%}", note))
    if run.rows and (seconds := run.rows[-1].get("elapsed_s")):
        speed = float(np.median([row.get("samples_per_s", 0.0) for row in run.rows]))
        took = f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.1f} min"
        facts.append(("Training time", took, f"{speed:,.0f} series a second"))
    return {
        "name": run.folder.resolve().name,
        "source": Path(str(data.get("path", "arrays in memory"))).name,
        "count": data.get("n"),
        "timestep": in_words(run.config["model"], data.get("channels")),
        "lengths": data.get("lengths"),
        "steps": done,
        "wanted": wanted,
        "finished": finished,
        "start": _start(run),
        "mood": verdict.split(":")[0],
        "verdict": verdict,
        "facts": facts,
    }


def _start(run: _Run) -> str:
    return Start.stored(run.config).source


def _training(run: _Run) -> Row | None:
    if not run.rows:
        return None
    step = _column(run.rows, "step")
    model = run.config["model"]
    weights = {
        "loss": 1.0,
        "prediction_loss": 1.0,
        "variance_loss": model.get("variance_weight", 0.0),
        "covariance_loss": model.get("covariance_weight", 0.0),
    }
    curves = {
        name: weight * _column(run.rows, name) for name, weight in weights.items()
    }  # as they enter the loss
    relative = {"relative loss": _column(run.rows, "relative_loss")}
    return {
        "loss": figures.lines("loss", step, curves, "step"),
        "legend": figures.legend(weights),
        "relative": figures.lines("relative", step, relative, "step", level=1.0),
    }


def _positions(run: _Run) -> Row | None:
    rows = [row for row in run.rows if row.get("std_per_position") and row.get("rank_per_position")]
    if not rows:
        return None
    rows = [rows[i] for i in _spread(len(rows), 200)]
    step = _column(rows, "step")
    lengths = run.config.get("data", {}).get("lengths") or [0]
    maps: Row = {"unequal": lengths[0] != lengths[-1]}
    for kind in ("rank", "std"):
        lists = [row[f"{kind}_per_position"] for row in rows]
        grid = np.full((len(rows), max(map(len, lists))), np.nan)
        for target, values in zip(grid, lists, strict=True):
            target[: len(values)] = values
        maps[kind] = figures.heat(kind, step, grid, "step", "place in the series")
    return maps


def _space(run: _Run) -> Row | None:
    """Maps of the embeddings and nearest neighbours. Neighbours need the data; the map can use embeddings.npz."""
    panels: list[tuple[str, Array, Array | None]] = []
    near = None
    if run.model is not None and run.sequences is not None:
        chosen = run.sequences.select(_spread(len(run.sequences), POINTS))
        warm = _start(run) == GENERAL
        first = (
            from_pretrained(BUNDLED / GENERAL) if warm else random_init_like(run.model, run.seed)
        )
        before, after = (
            standardize(embed_sequences(model, chosen)) for model in (first, run.model)
        )
        panels = [
            (f"Before training ({GENERAL if warm else 'random weights'})", before, chosen.labels),
            ("After training", after, chosen.labels),
        ]
        near = _neighbours(chosen, before, after) if len(chosen) > 2 else None
    if run.vectors is not None and run.vectors["embeddings"].ndim == 2:
        rows = _spread(len(run.vectors["embeddings"]), POINTS)
        stored = standardize(run.vectors["embeddings"][rows])
        labels = run.vectors["labels"][rows] if "labels" in run.vectors else None
        if (
            not panels
            or stored.shape != panels[1][1].shape
            or not np.allclose(stored, panels[1][1], atol=1e-2)
        ):
            panels.append(("The vectors of embeddings.npz", stored, labels))
    panels = [panel for panel in panels if len(panel[1]) > 2]
    if not panels:
        return None
    names, rest = _classes([labels for _, _, labels in panels if labels is not None])
    drawn = []
    for i, (title, Z, labels) in enumerate(panels):
        codes = np.array(
            [0 if labels is None else names.get(str(labels[k]), -1) for k in range(len(Z))]
        )
        drawn.append(
            {
                "title": title,
                "n": len(Z),
                "svg": figures.scatter(f"space{i}", *figures.plane(Z), codes),
            }
        )
    legend = [(figures.mark(code), name) for name, code in names.items()]
    if rest:
        legend.append((figures.mark(-1), f"{rest} rarer classes"))
    return {"panels": drawn, "legend": legend, "near": near}


def _spread(n: int, most: int) -> npt.NDArray[np.int64]:
    """At most `most` of the indices 0..n-1, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, most).astype(np.int64))


def _classes(labels: list[Array]) -> tuple[dict[str, int], int]:
    """A code for each of the most frequent classes, in order of their names, and how many classes have none."""
    if not labels:
        return {}, 0
    names, counts = np.unique(np.concatenate(labels).astype(str), return_counts=True)
    common = np.sort(np.argsort(-counts, kind="stable")[:CLASSES])
    return {str(names[i]): code for code, i in enumerate(common)}, len(names) - len(common)


def _neighbours(chosen: Sequences, before: Array, after: Array) -> Row:
    k = min(NEIGHBOURS, len(chosen) - 1)
    near, distance = Index(after).neighbors(k)
    labels = chosen.labels
    rows = []
    agree = None
    queries: Array = _spread(len(chosen), QUERIES)
    counts: Array = np.zeros(0)
    if labels is not None:
        _, queries, codes, counts = np.unique(
            labels, return_index=True, return_inverse=True, return_counts=True
        )
        queries = np.sort(
            queries[np.argsort(-counts, kind="stable")[:QUERIES]]
        )  # the first of the largest classes
    for q in queries.tolist():
        rows.append(
            drawings.row(f"near{q}", chosen.select([q]), chosen.select(near[q]), distance[q])
        )
    if len(counts) > 1:
        agree = {
            "after": float((codes[near] == codes[:, None]).mean()),
            "before": float((codes[Index(before).neighbors(k)[0]] == codes[:, None]).mean()),
            "chance": float(((counts[codes] - 1) / (len(codes) - 1)).mean()),
        }
    return {
        "rows": rows,
        "agree": agree,
        "n": len(chosen),
        "k": k,
        "channels": drawings.legend(chosen),
    }


def _masks(run: _Run) -> Row | None:
    model = run.model
    sequences = run.sequences
    if model is None or sequences is None:
        return None
    config = model.config
    patch = model.config.patch
    cells = math.prod(model.config.cells)
    few = sequences.select(_spread(len(sequences), DRAWN_ON))
    few = as_training_data(run.model, few)
    few = few.select(_spread(len(few), DRAWN_ON))
    x = torch.from_numpy(few.batch(np.arange(len(few)))[:, : config.seq_len])
    generator = torch.Generator().manual_seed(run.seed)
    draws = [model.draw_masks(x, generator)[0] for _ in range(DRAWS)]
    target, seen = model.targets(*model.context_encoder.prepare(x))
    hidden = (seen & ~draws[0]).numpy().reshape(len(few), -1, cells)
    error = None
    along = None
    top = 1.0
    shown = np.flatnonzero(hidden.any((1, 2)))
    shown = shown[_spread(len(shown), 4)] if len(shown) else shown
    if config.predict == "tokens":
        unit = max(float(mean_predictor_loss(target, seen)), 1e-9)
        errors = (
            torch.stack([model.prediction_error(x, visible) for visible in draws]).numpy() / unit
        )
        errors = errors.reshape(DRAWS, len(few), -1, cells)
        error = errors[0]
        along = _along(errors, patch)
        top = 1.05 * float(np.nanmax(error[shown], initial=1.0))
    panels = []
    for i in shown.tolist():
        n = -(-min(len(few.values[i]), config.seq_len) // patch)
        bars = None if error is None else error[i, :n]
        svg = drawings.masked(f"mask{i}", few, i, hidden[i, :n], (patch, config.side), bars, top)
        panels.append(
            {"svg": svg, "id": few.ids[i], "label": None if few.labels is None else few.labels[i]}
        )
    return {
        "panels": panels,
        "along": along,
        "patch": patch,
        "side": config.side,
        "kind": config.mask,
        "ratio": config.mask_ratio,
        "resolutions": config.resolutions,
        "n": len(few),
        "draws": DRAWS,
        "channels": drawings.legend(few),
    }


def _along(errors: Array, patch: int) -> Markup:
    """The mean error of each time, over masks, series and cells: `errors` is (draws, series, time, cells)."""
    count = np.isfinite(errors).sum((0, 1, 3))
    mean = np.where(count > 0, np.nansum(errors, axis=(0, 1, 3)) / np.maximum(count, 1), np.nan)
    middle = np.arange(len(mean)) * patch + (patch - 1) / 2
    return figures.lines("along", middle, {"error": mean}, "timestep", level=1.0)


def _scores(run: _Run) -> Row | None:
    if not run.probe or not run.probe.get("scores"):
        return None
    scores = run.probe["scores"]
    n = run.probe.get("n_test")
    value = {row["features"]: row["accuracy"] for row in scores}
    ours = value.get("pretrained encoder")
    base = value.get("untrained encoder")
    gain = None if ours is None or base is None else ours - base
    share = (
        (ours * n + 1) / (n + 2) if ours is not None and n else None
    )  # smoothed: 40 of 40 is not certainty
    noise = None if share is None else 2 * math.sqrt(2 * share * (1 - share) / n)
    facts = {
        name: run.probe.get(name)
        for name in ("probe", "n_train", "n_test", "n_classes", "commonest", "majority")
    }
    rows = [
        (row["features"], row["accuracy"], row["features"] == "pretrained encoder")
        for row in scores
    ]
    return {"rows": rows, "ours": ours, "gain": gain, "noise": noise, **facts}


def _settings(run: _Run) -> list[tuple[str, list[tuple[str, str]]]]:
    tables = []
    for title, name in (
        ("Model", "model"),
        ("Training", "pretrain"),
        ("Data", "data"),
        ("Environment", "environment"),
    ):
        rows = [
            (key, _text(value))
            for key, value in run.config.get(name, {}).items()
            if value not in (None, {}, [])
        ]
        if name == "model" and run.model is not None:
            count = sum(p.numel() for p in run.model.context_encoder.parameters())
            rows.append(("encoder parameters", f"{count:,}"))
        if name == "environment":
            rows.insert(0, ("temporal-jepa", str(run.config.get("version", "unknown"))))
        if rows:
            tables.append((title, rows))
    return tables


def _text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} = {_text(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value[:12])) + (
            f", ... ({len(value)})" if len(value) > 12 else ""
        )
    return str(value)


def _commands(run: _Run) -> list[tuple[str, str]]:
    """The shell lines that make this run and its files again; defaults are left out."""
    data = run.config.get("data", {})
    probe = run.probe or {}
    folder = str(run.folder)
    path = str(data.get("path", "DATA"))
    test = str(probe.get("test", "TEST"))
    model = {
        key: value
        for key, value in run.config["model"].items()
        if key not in ("input_dim", "frame", "resolutions")
    }
    film = VIDEO if model.get("tokenizer") == "tubelet" else {}
    usual = {
        **asdict(TemporalJEPAConfig(input_dim=1)),
        **RECIPE,
        **film,
        "patch_len": None,
        "patch_size": 1,
    }
    train = [
        "pretrain",
        "--data",
        path,
        "--out",
        folder,
        *flags(data.get("options", {}), {}),
        *flags(run.config.get("pretrain", {}), asdict(PretrainConfig())),
        "--init-from",
        _start(run),
        *flags(model if _start(run) == SCRATCH else {}, usual),
    ]
    scored = {
        "train": probe.get("train", path),
        "test": None if test.startswith("held out of ") else test,
        "kind": probe.get("probe"),
        "pool": probe.get("pool"),
        "seed": probe.get("seed"),
    }
    steps = {
        "Train": train,
        "Embed": ["embed", folder, path],
        "Report": ["report", folder],
        "Probe": ["probe", folder, *flags(scored, {"kind": "ridge", "pool": "all", "seed": 0})],
    }
    unlabelled = run.probe is None and run.sequences is not None and run.sequences.labels is None
    shown = ("Train", "Embed", *(() if unlabelled else ("Probe",)), "Report")
    return [(title, shlex.join(["temporal-jepa", *steps[title]])) for title in shown]
