"""How good are frozen embeddings? Many data sets, several embedders, several seeds, one probe for all.

python benchmarks/classify.py FOLDER [FOLDER ...] --seeds 0 1 2 --probe ridge --out results.csv --jobs 2
python benchmarks/classify.py --summary results.csv [--published published.csv] [--plot ranks.png]

A FOLDER holds NAME/NAME_TRAIN.ts (or .tsv, .txt) and NAME/NAME_TEST.ts, or such files themselves. Every embedder is
fitted on the values of TRAIN, never on labels and never on TEST. Embedders:

raw          the values, resampled to one length
stats        mean, standard deviation, minimum and maximum of each channel
minirocket   MiniRocket (needs aeon)
token        the encoder after pretraining with the library's defaults, which start from series-small
untrained    the same architecture with weights drawn from the seed
pooled       an encoder trained from scratch with the seed's objective, one vector from one vector
token:init_from=scratch,steps=1000   any setting of the model or the training changed, for the last three
series-small the general encoder that comes with the package, as it is; series-small:FOLDER another one of its kind
series-small-untrained   its architecture with weights drawn from the seed, also with :FOLDER
package.module:Class   anything with fit(X) and transform(X), X (n, channels, time) or a list of (channels, time)

The CSV gets a row for each (dataset, embedder, pool, probe, seed) as soon as it is known; what is there already is
not computed again, so a broken run goes on where it was. `cv_accuracy` is cross-validated on TRAIN alone: the pooling
is chosen by it.
"""

import argparse
import ast
import csv
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
from summary import COLUMNS, summarise

from temporal_jepa.config import Pool, PretrainConfig
from temporal_jepa.data import Sequences, read

Features = npt.NDArray[Any]
ENCODERS = ("untrained", "token", "pooled")
GENERAL = ("series-small", "series-small-untrained")
EMBEDDERS = ("raw", "stats", "minirocket", *ENCODERS)
WITHOUT_CHANCE = ("raw", "stats", "series-small")  # run for the first seed only
ENDINGS = (".ts", ".tsv", ".txt")
FOLDS = 5
CHECKED = 2000  # train splits with more rows are not cross-validated: their probe takes minutes


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


def find_sets(folders: list[Path], wanted: list[str] | None) -> dict[str, tuple[Path, Path]]:
    """Name -> (train file, test file), biggest first so that parallel jobs end together."""
    found: dict[str, tuple[Path, Path]] = {}
    for folder in folders:
        for train in sorted([*folder.glob("*_TRAIN.*"), *folder.glob("*/*_TRAIN.*")]):
            name = train.stem.removesuffix("_TRAIN")
            test = train.with_name(train.name.replace("_TRAIN.", "_TEST."))
            if train.suffix in ENDINGS and test.exists() and (wanted is None or name in wanted):
                found.setdefault(name, (train, test))
    if unknown := set(wanted or ()) - set(found):
        sys.exit(
            f"error: no NAME_TRAIN and NAME_TEST file for {', '.join(sorted(unknown))} in {folders}"
        )
    return dict(
        sorted(found.items(), key=lambda item: -sum(path.stat().st_size for path in item[1]))
    )


def load(path: Path) -> Sequences:
    """A labelled split; a delimited file of the UCR archive has its labels in the first column."""
    sequences = read(path)
    if sequences.labels is None:
        sys.exit(f"error: {path}: no labels were found")
    return sequences


def settings(text: str) -> tuple[str, dict[str, Any]]:
    """`token:steps=1000,mask=random` -> ("token", {"steps": 1000, "mask": "random"})."""
    name, _, rest = text.partition(":")
    changed: dict[str, Any] = {}
    for part in filter(None, rest.split(",")):
        key, _, value = part.partition("=")
        try:
            changed[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            changed[key] = value
    return name, changed


def embed(
    task: Task, train: Sequences, test: Sequences
) -> Iterator[tuple[str, Features, Features, float, float]]:
    """Yield (pool, train features, test features, seconds of fitting, seconds of embedding)."""
    name = task.embedder.partition(":")[0]
    if name in (*ENCODERS, *GENERAL):
        yield from (_encoder if name in ENCODERS else _general)(task, train, test)
        return
    from temporal_jepa.evaluation import probes

    began = time.perf_counter()
    fit = 0.0
    if name == "raw":
        length = min(int(train.lengths.max()), probes.LONGEST_RAW)
        pair: tuple[Features, Features] = (
            probes.raw_features(train.values, length),
            probes.raw_features(test.values, length),
        )
    elif name == "stats":
        pair = (probes.stat_features(train.values), probes.stat_features(test.values))
    elif name == "minirocket":
        pair = probes.minirocket_features(train.values, test.values, task.seed)
    else:
        module, _, kind = task.embedder.partition(":")
        embedder = _construct(getattr(importlib.import_module(module), kind), task.seed)
        embedder.fit(_collection(train))
        fit = time.perf_counter() - began
        pair = tuple(np.asarray(embedder.transform(_collection(s))) for s in (train, test))  # type: ignore[assignment]
    yield "", *pair, fit, time.perf_counter() - began - fit


def _construct(kind: Callable[..., Any], seed: int) -> Any:
    """An estimator with this seed, where it takes one."""
    estimator = kind()
    if "random_state" in getattr(estimator, "get_params", dict)():
        estimator.set_params(random_state=seed)
    return estimator


def _collection(sequences: Sequences) -> Any:
    """`(n, channels, time)`, or a list of `(channels, time)` when lengths differ."""
    series = [x.T for x in sequences.values]
    return np.stack(series) if len({x.shape for x in series}) == 1 else series


def _encoder(
    task: Task, train: Sequences, test: Sequences
) -> Iterator[tuple[str, Features, Features, float, float]]:
    from temporal_jepa.embed import embed_sequences
    from temporal_jepa.model.jepa import random_init_like
    from temporal_jepa.training.initial import start_of
    from temporal_jepa.training.trainer import train as fit_model

    name, changed = settings(task.embedder)
    known = {field.name for field in fields(PretrainConfig)}
    training = {key: changed.pop(key) for key in list(changed) if key in known}
    if task.steps is not None:
        training.setdefault("steps", task.steps)
    if name == "pooled":
        changed["predict"] = "pooled"
    began = time.perf_counter()
    start = start_of(train, changed.pop("init_from", None), changed)
    model = start.model(train, task.seed)
    if name == "untrained":
        model = random_init_like(model, task.seed)
    else:
        config = PretrainConfig(**{"seed": task.seed, "device": "cpu", **training})
        fit_model(model, train, config, pretrained=start.pretrained)
    fit = time.perf_counter() - began
    model.eval()
    for pool in ("mean", "stats", "all") if model.config.resolutions else get_args(Pool):
        began = time.perf_counter()
        pair = embed_sequences(model, train, pool), embed_sequences(model, test, pool)
        yield pool, *pair, fit, time.perf_counter() - began


def _general(
    task: Task, train: Sequences, test: Sequences
) -> Iterator[tuple[str, Features, Features, float, float]]:
    """The encoder for any series, pooled by quantiles, which is what "all" means for it."""
    from temporal_jepa import from_pretrained
    from temporal_jepa.embed import embed_sequences
    from temporal_jepa.model.jepa import random_init_like

    name, _, folder = task.embedder.partition(":")
    model = from_pretrained(folder or "series-small")
    if name == "series-small-untrained":
        model = random_init_like(model, task.seed)
    began = time.perf_counter()
    pair = embed_sequences(model, train), embed_sequences(model, test)
    yield "all", *pair, 0.0, time.perf_counter() - began


def cross_validated(Z: Features, y: npt.NDArray[np.str_], kind: str, seed: int) -> float:
    """Mean accuracy of the probe over folds of the train split; NaN when no class has two rows."""
    from sklearn.model_selection import StratifiedKFold

    from temporal_jepa.evaluation.probes import probe

    folds = min(FOLDS, int(np.unique(y, return_counts=True)[1].max()))
    if folds < 2 or len(y) > CHECKED:
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
    train = load(task.train)
    test = load(task.test)
    assert train.labels is not None
    rows = []
    for pool, train_Z, test_Z, fit, embedding in embed(task, train, test):
        for kind in task.probes:
            began = time.perf_counter()
            score = probe(train_Z, train.labels, test_Z, test.labels, kind, task.seed)  # type: ignore[arg-type]
            probing = time.perf_counter() - began
            checked = (
                cross_validated(train_Z, train.labels, kind, task.seed) if pool else float("nan")
            )
            row = [
                task.dataset,
                task.embedder,
                pool,
                kind,
                task.seed,
                round(score, 6),
                round(checked, 6),
                round(fit, 3),
                round(embedding, 3),
                round(probing, 3),
                len(train),
                len(test),
                len(np.unique(train.labels)),
                int(train.lengths.max()),
                train.n_channels,
                task.steps if task.steps is not None else "",
            ]
            rows.append(dict(zip(COLUMNS, row, strict=True)))
    return rows


def finished(out: Path) -> set[tuple[str, ...]]:
    """(dataset, embedder, seed, probe, steps) of the rows that are there."""
    if not out.exists():
        return set()
    with out.open(newline="", encoding="utf-8") as file:
        names = ("dataset", "embedder", "seed", "probe", "steps")
        return {tuple(row[name] for name in names) for row in csv.DictReader(file)}


def tasks(options: argparse.Namespace) -> list[Task]:
    """What is still to do."""
    done = finished(options.out)
    todo = []
    steps = "" if options.steps is None else str(options.steps)
    for name, (train, test) in find_sets(options.folders, options.sets).items():
        for embedder in options.embedders:
            for seed in options.seeds[:1] if embedder in WITHOUT_CHANCE else options.seeds:
                left = tuple(
                    k for k in options.probe if (name, embedder, str(seed), k, steps) not in done
                )
                if left:
                    todo.append(Task(name, train, test, embedder, seed, left, options.steps))
    return todo


def run(options: argparse.Namespace) -> int:
    """Do the tasks, each row to the file at once; the number that failed."""
    todo = tasks(options)
    failed = 0
    print(
        f"{len(todo)} tasks to do, {options.jobs} at a time; rows go to {options.out}", flush=True
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    with (
        options.out.open("a", newline="", encoding="utf-8") as file,
        ProcessPoolExecutor(options.jobs, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        writer = csv.DictWriter(file, COLUMNS)
        if file.tell() == 0:
            writer.writeheader()
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
            writer.writerows(rows)
            file.flush()
            scores = " ".join(f"{r['pool'] or '-'}/{r['probe']} {r['accuracy']:.3f}" for r in rows)
            print(f"{where}: {scores} ({rows[0]['fit_seconds']:.0f} s to fit)", flush=True)
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--embedders", nargs="+", default=[*EMBEDDERS], metavar="NAME")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--probe", nargs="+", default=["ridge"], choices=["ridge", "linear", "knn", "svm"]
    )
    parser.add_argument("--sets", nargs="+", metavar="NAME", help="only these")
    parser.add_argument(
        "--steps", type=int, help="of pretraining, for all sets alike; default: the library's"
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes, each on one thread")
    parser.add_argument("--out", type=Path, default=Path("results.csv"))
    parser.add_argument("--summary", type=Path, metavar="CSV", help="only summarise this file")
    parser.add_argument(
        "--published", type=Path, metavar="CSV", help="accuracies of others: dataset,method,..."
    )
    parser.add_argument(
        "--plot", type=Path, metavar="PNG", help="draw the critical-difference diagram"
    )
    parser.add_argument(
        "--of", default="token", metavar="NAME", help="the embedder compared with all others"
    )
    options = parser.parse_args()
    if options.summary is None and not options.folders:
        parser.error("give a FOLDER of data sets, or --summary CSV")
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    failed = run(options) if options.summary is None else 0
    print(summarise(options.summary or options.out, options.of, options.published, options.plot))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
