"""`temporal-jepa probe`: score an embedding beside its controls."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from ..config import Pool, ReadOptions
from ..files import GENERAL, folder_of, read_config, write_json
from .console import record, say, show_table, warn
from .progress import Counter
from .reading import read_as_trained, training_file
from .writing import output_path

ENOUGH = 100  # test sequences for a single split
SPLITS = 10  # of fewer
UNEVEN = 1.5  # times as many sequences as the rarest class has

Kind = Literal["ridge", "linear", "knn", "svm", "attentive"]

if TYPE_CHECKING:
    from ..data import Sequences


def probe(
    run: str,
    *,
    train: str | None = None,
    test: str | None = None,
    kind: Kind = "ridge",
    pool: Pool = "all",
    dim: int | None = None,
    seed: int = 0,
    out: str | None = None,
    overwrite: bool = False,
    reading: ReadOptions,
) -> None:
    """Score the embedding with a simple classifier or regression, beside its controls.

    Examples:
        temporal-jepa probe runs/a --train train.csv --test test.csv
        temporal-jepa probe runs/a --label activity
        temporal-jepa probe runs/a --label height --task regression

    Args:
        run: run folder, series-small, or a model on the Hugging Face hub.
        train: labeled sequences (default: the training data of the run).
        test: labeled sequences to score on (default: a held-out 30 % of --train; if these
            are fewer than 100, the mean of 10 splits).
        kind: classifier on the frozen features, or regression (ridge, linear, knn); "attentive" is
            a classifier with a learned query on unpooled tokens.
        pool: how the vectors of the parts of a sequence become one: "mean", "all" (mean, std and
            max of every layer) or "quantiles" (of every layer).
        dim: also score a compact embedding of so many numbers, the first principal
            components of the features.
        seed: seed of the split and the classifier.
        out: JSON file to write (default: RUN/probe.json).
        overwrite: replace the file.
        reading: how the data is read (default: as the training data of the run)
    """
    config = read_config(folder_of(run))
    path = output_path(out, run, "probe.json", overwrite)
    _check_attentive(kind, pool, dim)
    advice = "name labeled sequences with --train"
    file = train or training_file(run, config, advice, "--train")
    sequences = read_as_trained(file, reading, config)
    if train is None and set(reading.given()) <= {"label", "task"}:
        _warn_if_changed(sequences, config)
    tested = None if test is None else read_as_trained(test, reading, config)
    count = len(sequences) + (0 if tested is None else len(tested))
    with _counter(config, count, dim, kind) as counter:
        options: dict[str, Any] = {"pool": pool, "seed": seed, "dim": dim or None}
        options["on_sequences"] = counter.add
        if tested is not None:
            from ..evaluation.score import score

            say(f"scored on {test}")
            result = score(run, sequences, tested, kind=kind, **options)
        else:
            result = _held_out(run, sequences, file, kind, options)
    result["train"] = file
    result["test"] = test or f"held out of {file}"
    write_json(path, result)
    record(**result, file=path)
    _show(result)
    say(f"written to {path}")


def _check_attentive(kind: str, pool: Pool, dim: int | None) -> None:
    """ValueError for options of pooled embeddings, which an attentive probe does not use."""
    if kind == "attentive" and pool != "all":
        raise ValueError(
            "--kind attentive uses tokens, which are not pooled; leave out --pool"
        )
    if kind == "attentive" and dim:
        raise ValueError(
            "--kind attentive uses tokens, which have no compact form; leave out --dim"
        )


def _held_out(
    run: str, sequences: "Sequences", file: str, kind: Kind, options: dict[str, Any]
) -> dict[str, Any]:
    """Scores on sequences that are held out, of several splits if these are few."""
    from ..evaluation.score import score, score_splits, split

    train, test = split(sequences, options["seed"])
    held = f"no --test: scored on {len(test)} sequences of {file}"
    where = "held out from the classifier but not from pretraining"
    if kind == "attentive" or len(test) >= ENOUGH:
        say(f"{held}, {where}")
        return score(run, train, test, kind=kind, **options)
    say(f"{held}, {where}, {SPLITS} times with others")
    return score_splits(run, sequences, splits=SPLITS, kind=kind, **options)


def _counter(
    config: Mapping[str, Any], count: int, dim: int | None, kind: str
) -> Counter:
    """Progress of embeddings by MiniRocket, the encoder and the untrained one, and others."""
    from ..evaluation.probes import has_minirocket

    times = 2 + (config.get("init_from") == GENERAL) + bool(dim)
    if kind != "attentive":
        times += has_minirocket()
    return Counter("embeddings", times * count)


def _show(result: Mapping[str, Any]) -> None:
    """Print the scores, what they are to be compared with, and what they speak for."""
    from ..report.scores import scores_section
    from ..report.verdict import verdict_of_scores

    title = f"{result['probe']} on {result['n_train']} sequences, {_tested(result)}, "
    if result["task"] == "regression":
        low, high = result["targets"]
        mean = result["mean"]
        title += f"targets from {low:g} to {high:g}"
        columns = {"r2": "R2", "rmse": "RMSE"}
        below = (
            f"always predicting {mean['predicted']:.4g}, the mean of the train targets: "
            f"R2 {mean['r2']:.3f}, RMSE {mean['rmse']:.4g}"
        )
        notes = []
    else:
        title += f"{result['n_classes']} classes"
        columns = {"accuracy": "accuracy"}
        if _are_uneven(result["classes"]):
            columns["balanced_accuracy"] = "balanced accuracy"
        below = (
            f"always predicting {result['commonest']!r}, the most frequent class: "
            f"{result['majority']:.3f}"
        )
        notes = _class_notes(result["classes"])
    if "splits" in result:
        columns = _with_spread(columns)
    rows = [
        (row["features"], *(_number(name, row[name]) for name in columns))
        for row in result["scores"]
    ]
    show_table(title, ["features", *columns.values()], rows)
    say(below, *notes)
    scores = scores_section(result)
    assert scores is not None
    _, advice, reason = verdict_of_scores(scores)
    record(advice=advice, reason=reason)
    say(f"{advice}: {reason}")


def _tested(result: Mapping[str, Any]) -> str:
    """How many sequences are tested, and in how many splits."""
    if "splits" not in result:
        return f"{result['n_test']} to test"
    return f"{result['n_test_each']} to test, mean of {result['splits']} splits"


def _with_spread(columns: Mapping[str, str]) -> dict[str, str]:
    """Columns of means, each followed by that of the standard deviation."""
    found: dict[str, str] = {}
    for name, title in columns.items():
        found |= {name: title, f"{name}_std": "std"}
    return found


def _number(name: str, value: float) -> str:
    """An error in the unit of the targets has four digits, a share three decimals."""
    return f"{value:.4g}" if name.startswith("rmse") else f"{value:.3f}"


def _are_uneven(classes: Mapping[str, list[int]]) -> bool:
    """Whether a class is much more frequent than another, so that accuracy hides the rarer one."""
    for counts in zip(*classes.values(), strict=True):
        present = [count for count in counts if count]
        if max(present) > UNEVEN * min(present):
            return True
    return False


def _class_notes(classes: Mapping[str, list[int]]) -> list[str]:
    """How many sequences each class has, and those that train or test lacks."""
    from ..data.sequences import listed

    shown = [f"{name} ({train} + {test})" for name, (train, test) in classes.items()]
    notes = [f"sequences of each class (train + test): {listed(shown)}"]
    found = {
        "classes that train lacks, always errors": [
            name for name, (train, _) in classes.items() if not train
        ],
        "classes that test lacks, not scored": [
            name for name, (_, test) in classes.items() if not test
        ],
        "classes with a single train sequence": [
            name for name, (train, _) in classes.items() if train == 1
        ],
    }
    for what, names in found.items():
        if names:
            notes.append(f"{what}: {listed(names)}")
    return notes


def _warn_if_changed(sequences: "Sequences", config: Mapping[str, Any]) -> None:
    from ..training.run import facts

    digest = config.get("data", {}).get("digest")
    if digest and digest != facts(sequences)["digest"]:
        warn(f"{sequences.source} has changed since the run was trained on it")
