"""How good are frozen embeddings? Many data sets, embedders and seeds, one probe for all.

python benchmarks/classify.py FOLDER [FOLDER ...] --seeds 0 1 2 --probe ridge --out results.csv
python benchmarks/classify.py --summary results.csv [--published published.csv] [--plot ranks.png]
python benchmarks/classify.py FOLDER --most 100 --probe 1nn few1 few5 map nmi --out measures.csv

A FOLDER holds NAME/NAME_TRAIN.ts (or .tsv, .txt) and NAME/NAME_TEST.ts, or such files directly.
Every embedder is fitted on the values of TRAIN, never on labels and never on TEST. Embedders:

raw          the values, resampled to one length
stats        mean, standard deviation, minimum and maximum of each channel
minirocket   MiniRocket (needs aeon)
token        the encoder after pretraining with the defaults, which start from series-small
untrained    the same architecture with weights drawn from the seed
pooled       an encoder pretrained from scratch to predict one vector from one vector
token:init_from=scratch,steps=1000   the last three with other settings of model or training
series-small the general encoder of the package, as it is; series-small:FOLDER another model
series-small-untrained   its architecture with weights drawn from the seed, also with :FOLDER
series-small-128, series-small-untrained-128   their compact embeddings; the components of each are
                         fitted on the same synthetic series, see `components.py`
package.module:Class     anything with fit(X) and transform(X), X (n, channels, time) or a list of
                         (channels, time)

The CSV gets a row for each (dataset, embedder, pool, probe, seed) as soon as it is known; rows that
exist are not computed again, so an interrupted run continues. `cv_accuracy` is cross-validated on
TRAIN alone: the pooling is chosen by it. `measures.py` says what 1nn, few1, few5, map and nmi are;
a file with one of them is summarized in one table, the probes as columns.
"""

import argparse
import functools
import importlib
import multiprocessing
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
from measures import MEASURES, comparable, measure
from results import Results, parser_of, setting
from summary import COLUMNS, summarize

from temporal_jepa.config import Pool, PretrainConfig
from temporal_jepa.data import Sequences, read

Features = npt.NDArray[Any]
ENCODERS = ("untrained", "token", "pooled")
GENERAL = (
    "series-small",
    "series-small-untrained",
    "series-small-128",
    "series-small-untrained-128",
)
COMPACT = "-128"
EMBEDDERS = ("raw", "stats", "minirocket", *ENCODERS)
# Run for the first seed only.
DETERMINISTIC = ("raw", "stats", "series-small", "series-small-128")
ENDINGS = (".ts", ".tsv", ".txt")
FOLDS = 5
LARGEST_CHECKED = (
    2000  # larger train splits are not cross-validated: a probe takes minutes
)
THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


@dataclass(frozen=True)
class Task:
    """One embedder on one data set with one seed; gives a row for every pooling and probe."""

    dataset: str
    train: Path
    test: Path
    embedder: str
    seed: int
    probes: tuple[str, ...]
    steps: int | None
    most: int | None


@dataclass(frozen=True)
class Embedded:
    """Features of both splits, and the seconds that fitting and embedding took."""

    pool: str
    train: Features
    test: Features
    fit: float
    embedding: float


def find_sets(
    folders: list[Path], wanted: list[str] | None
) -> dict[str, tuple[Path, Path]]:
    """Name -> (train file, test file), largest first so that parallel jobs end together."""
    found: dict[str, tuple[Path, Path]] = {}
    for folder in folders:
        for train in sorted([*folder.glob("*_TRAIN.*"), *folder.glob("*/*_TRAIN.*")]):
            name = train.stem.removesuffix("_TRAIN")
            test = train.with_name(train.name.replace("_TRAIN.", "_TEST."))
            if (
                train.suffix in ENDINGS
                and test.exists()
                and (wanted is None or name in wanted)
            ):
                found.setdefault(name, (train, test))
    unknown = sorted(set(wanted or ()) - set(found))
    if unknown:
        sys.exit(
            f"error: no NAME_TRAIN and NAME_TEST file for {', '.join(unknown)} in {folders}"
        )

    def size(item: tuple[str, tuple[Path, Path]]) -> int:
        return sum(path.stat().st_size for path in item[1])

    return dict(sorted(found.items(), key=size, reverse=True))


def load(path: Path) -> Sequences:
    """A labeled split; a delimited file of the UCR archive has its labels in the first column."""
    options = {} if path.suffix == ".ts" else {"layout": "wide", "label": "0"}
    sequences = read(path, **options)
    if sequences.labels is None:
        sys.exit(f"error: {path}: no labels were found")
    return sequences


def capped(sequences: Sequences, most: int | None) -> Sequences:
    """At most so many series, drawn from seed 0."""
    if most is None or len(sequences) <= most:
        return sequences
    rows = np.random.default_rng(0).permutation(len(sequences))[:most]
    return sequences.select(np.sort(rows))


def embed(task: Task, train: Sequences, test: Sequences) -> Iterator[Embedded]:
    """The features of a task, one item for each pooling."""
    name = task.embedder.partition(":")[0]
    if name in ENCODERS:
        yield from _pretrained(task, train, test)
    elif name in GENERAL:
        yield _general(task, train, test)
    else:
        yield _other(task, train, test)


def _pretrained(task: Task, train: Sequences, test: Sequences) -> Iterator[Embedded]:
    """An encoder pretrained on TRAIN, or its random initialization, with every pooling."""
    from temporal_jepa.embed import embed_sequences
    from temporal_jepa.model.jepa import random_init_like
    from temporal_jepa.training.initial import start_of
    from temporal_jepa.training.trainer import train as fit_model

    name, _, text = task.embedder.partition(":")
    architecture = dict(setting(part) for part in text.split(",") if part)
    known = [field.name for field in fields(PretrainConfig)]
    training = {
        key: architecture.pop(key) for key in list(architecture) if key in known
    }
    if task.steps is not None:
        training.setdefault("steps", task.steps)
    if name == "pooled":
        architecture["predict"] = "pooled"
    began = time.perf_counter()
    start = start_of(train, architecture.pop("init_from", None), architecture)
    model = start.model(train, task.seed)
    if name == "untrained":
        model = random_init_like(model, task.seed)
    else:
        config = PretrainConfig(**{"seed": task.seed, "device": "cpu", **training})
        fit_model(model, train, config.resolved(len(train), warm=start.pretrained))
    fit = time.perf_counter() - began
    model.eval()
    # "all" is "quantiles" for a model of several resolutions.
    pools = ("mean", "all") if model.config.resolutions else get_args(Pool)
    for pool in pools:
        began = time.perf_counter()
        train_Z = embed_sequences(model, train, pool)
        test_Z = embed_sequences(model, test, pool)
        yield Embedded(pool, train_Z, test_Z, fit, time.perf_counter() - began)


def _general(task: Task, train: Sequences, test: Sequences) -> Embedded:
    """The general encoder of the package or of a folder, or its random initialization."""
    from temporal_jepa.embed import embed_sequences

    name, _, folder = task.embedder.partition(":")
    is_untrained = name.startswith("series-small-untrained")
    dim = 128 if name.endswith(COMPACT) else None
    seed = task.seed if is_untrained else None
    model = _general_model(folder or "series-small", seed, dim is not None)
    began = time.perf_counter()
    train_Z = embed_sequences(model, train, dim=dim)
    test_Z = embed_sequences(model, test, dim=dim)
    return Embedded("all", train_Z, test_Z, 0.0, time.perf_counter() - began)


@functools.lru_cache(maxsize=8)
def _general_model(source: str, seed: int | None, needs_components: bool) -> Any:
    """A stored model, or its architecture with random weights and components of its own."""
    from components import synthetic_cuts, with_components

    from temporal_jepa import from_pretrained
    from temporal_jepa.model.jepa import random_init_like

    model = from_pretrained(source)
    if seed is None:
        return model
    model = random_init_like(model, seed)
    return with_components(model, synthetic_cuts()) if needs_components else model


def _other(task: Task, train: Sequences, test: Sequences) -> Embedded:
    """Features without an encoder of ours: controls, or a class by its name."""
    from temporal_jepa.evaluation import probes

    began = time.perf_counter()
    fit = 0.0
    if task.embedder == "raw":
        length = min(int(train.lengths.max()), probes.LONGEST_RAW)
        train_Z = probes.raw_features(train.values, length)
        test_Z = probes.raw_features(test.values, length)
    elif task.embedder == "stats":
        train_Z = probes.stat_features(train.values)
        test_Z = probes.stat_features(test.values)
    elif task.embedder == "minirocket":
        train_Z, test_Z = probes.minirocket_features(
            train.values, test.values, task.seed
        )
    else:
        module, _, kind = task.embedder.partition(":")
        embedder = _construct(getattr(importlib.import_module(module), kind), task.seed)
        embedder.fit(_collection(train))
        fit = time.perf_counter() - began
        train_Z = np.asarray(embedder.transform(_collection(train)))
        test_Z = np.asarray(embedder.transform(_collection(test)))
    return Embedded("", train_Z, test_Z, fit, time.perf_counter() - began - fit)


def _construct(kind: Callable[..., Any], seed: int) -> Any:
    """An estimator with this seed, if it takes one."""
    estimator = kind()
    if "random_state" in getattr(estimator, "get_params", dict)():
        estimator.set_params(random_state=seed)
    return estimator


def _collection(sequences: Sequences) -> Any:
    """`(n, channels, time)`, or a list of `(channels, time)` if lengths differ."""
    series = [x.T for x in sequences.values]
    return np.stack(series) if len({x.shape for x in series}) == 1 else series


def cross_validated(
    Z: Features, y: npt.NDArray[np.str_], kind: str, seed: int
) -> float:
    """Mean accuracy of the probe over folds of TRAIN; NaN if no class has two rows."""
    from sklearn.model_selection import StratifiedKFold

    from temporal_jepa.evaluation.probes import probe

    folds = min(FOLDS, int(np.unique(y, return_counts=True)[1].max()))
    if folds < 2 or len(y) > LARGEST_CHECKED:
        return float("nan")
    split = StratifiedKFold(folds, shuffle=True, random_state=seed).split(Z, y)
    return float(np.mean([probe(Z[a], y[a], Z[b], y[b], kind, seed) for a, b in split]))  # type: ignore[arg-type]


def work(task: Task) -> list[dict[str, Any]]:
    """All rows of a task; runs in a process of its own, on one thread."""
    import torch

    from temporal_jepa.evaluation.probes import probe

    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "The least populated class", UserWarning)
    warnings.filterwarnings("ignore", ".*labels that train lacks.*", UserWarning)
    train = capped(load(task.train), task.most)
    test = capped(load(task.test), task.most)
    assert train.labels is not None
    assert test.labels is not None
    rows = []
    for found in embed(task, train, test):
        for kind in task.probes:
            began = time.perf_counter()
            if kind in MEASURES:
                is_compact = task.embedder.partition(":")[0].endswith(COMPACT)
                a, b = comparable(found.train, found.test, is_compact)
                accuracy = measure(kind, a, train.labels, b, test.labels)
            else:
                accuracy = probe(
                    found.train, train.labels, found.test, test.labels, kind, task.seed
                )  # type: ignore[arg-type]
            probing = time.perf_counter() - began
            checked = float("nan")
            if found.pool and kind not in MEASURES:
                checked = cross_validated(found.train, train.labels, kind, task.seed)
            rows.append(
                {
                    "dataset": task.dataset,
                    "embedder": task.embedder,
                    "pool": found.pool,
                    "probe": kind,
                    "seed": task.seed,
                    "accuracy": round(accuracy, 6),
                    "cv_accuracy": round(checked, 6),
                    "fit_seconds": round(found.fit, 3),
                    "embed_seconds": round(found.embedding, 3),
                    "probe_seconds": round(probing, 3),
                    "n_train": len(train),
                    "n_test": len(test),
                    "classes": len(np.unique(train.labels)),
                    "length": int(train.lengths.max()),
                    "channels": train.n_channels,
                    "steps": "" if task.steps is None else task.steps,
                }
            )
    return rows


def tasks(options: argparse.Namespace, results: Results) -> list[Task]:
    """What is still to do."""
    done = results.done("dataset", "embedder", "seed", "probe", "steps")
    steps = "" if options.steps is None else str(options.steps)
    todo = []
    for name, (train, test) in find_sets(options.folders, options.sets).items():
        for embedder in options.embedders:
            seeds = options.seeds[:1] if embedder in DETERMINISTIC else options.seeds
            for seed in seeds:
                left = tuple(
                    kind
                    for kind in options.probe
                    if (name, embedder, str(seed), kind, steps) not in done
                )
                if left:
                    todo.append(
                        Task(
                            name,
                            train,
                            test,
                            embedder,
                            seed,
                            left,
                            options.steps,
                            options.most,
                        )
                    )
    return todo


def run(options: argparse.Namespace) -> int:
    """Do the tasks, writing each row at once; returns the number that failed."""
    results = Results(options.out, COLUMNS)
    todo = tasks(options, results)
    failed = 0
    print(
        f"{len(todo)} tasks, {options.jobs} at a time; rows go to {options.out}",
        flush=True,
    )
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, mp_context=spawn) as pool:
        futures: dict[Future[list[dict[str, Any]]], Task] = {
            pool.submit(work, task): task for task in todo
        }
        for number, future in enumerate(as_completed(futures), 1):
            task = futures[future]
            error = future.exception()
            where = f"[{number}/{len(todo)}] {task.dataset} {task.embedder} seed {task.seed}"
            if error is not None:
                failed += 1
                print(f"{where}: FAILED {type(error).__name__}: {error}", flush=True)
                continue
            rows = future.result()
            results.add(*rows)
            scores = " ".join(
                f"{r['pool'] or '-'}/{r['probe']} {r['accuracy']:.3f}" for r in rows
            )
            print(
                f"{where}: {scores} ({rows[0]['fit_seconds']:.0f} s to fit)", flush=True
            )
    return failed


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--embedders", nargs="+", default=[*EMBEDDERS], metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--probe",
        nargs="+",
        default=["ridge"],
        choices=["ridge", "linear", "knn", "svm", *MEASURES],
    )
    parser.add_argument(
        "--most",
        type=int,
        metavar="N",
        help="at most N series a split, drawn at random",
    )
    parser.add_argument("--sets", nargs="+", metavar="NAME", help="only these")
    parser.add_argument(
        "--steps", type=int, help="of pretraining, for all sets; default: the library's"
    )
    parser.add_argument(
        "--jobs", type=int, default=1, help="processes, each on one thread"
    )
    parser.add_argument("--out", type=Path, default=Path("results.csv"))
    parser.add_argument(
        "--summary", type=Path, metavar="CSV", help="only summarize this file"
    )
    parser.add_argument(
        "--published",
        type=Path,
        metavar="CSV",
        help="accuracies of others: dataset,method,...",
    )
    parser.add_argument(
        "--plot", type=Path, metavar="PNG", help="draw the critical-difference diagram"
    )
    parser.add_argument(
        "--of",
        default="token",
        metavar="NAME",
        help="the embedder compared with all others",
    )
    options = parser.parse_args()
    if options.summary is None and not options.folders:
        parser.error("give a FOLDER of data sets, or --summary CSV")
    for name in THREADS:
        os.environ.setdefault(name, "1")
    failed = run(options) if options.summary is None else 0
    print(
        summarize(
            options.summary or options.out, options.of, options.published, options.plot
        )
    )
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
