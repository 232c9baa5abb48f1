"""`temporal-jepa probe`: score an embedding beside its controls."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from ..config import Pool, ReadOptions
from ..files import folder_of, read_config, write_atomically
from .console import say, show_table, warn
from .reading import read_as_trained, training_file
from .writing import output_path

if TYPE_CHECKING:
    from ..data import Sequences


def probe(
    run: str,
    *,
    train: str | None = None,
    test: str | None = None,
    kind: Literal["ridge", "linear", "knn", "svm", "attentive"] = "ridge",
    pool: Pool = "all",
    seed: int = 0,
    out: str | None = None,
    overwrite: bool = False,
    reading: ReadOptions,
) -> None:
    """Score the embedding with a simple classifier, beside its controls.

    Examples:
        temporal-jepa probe runs/a --train train.csv --test test.csv
        temporal-jepa probe runs/a --label activity

    Args:
        run: run folder, series-small, or a model on the Hugging Face hub.
        train: labeled sequences (default: the training data of the run).
        test: labeled sequences to score on (default: a held-out 30 % of --train).
        kind: classifier on the frozen features; "attentive" is a learned query on unpooled tokens.
        pool: "mean" of the tokens, "all" (mean, std and max of every layer) or "quantiles" (of
            every layer).
        seed: of the split and the classifier.
        out: JSON file to write (default: RUN/probe.json).
        overwrite: replace the file.
        reading: how the data is read (default: as the training data of the run)
    """
    from ..evaluation.score import score, split

    config = read_config(folder_of(run))
    path = output_path(out, run, "probe.json", overwrite)
    if kind == "attentive" and pool != "all":
        raise ValueError(
            "--kind attentive uses tokens, which are not pooled; leave out --pool"
        )
    file = train or training_file(run, config, "name labeled sequences with --train")
    train_sequences = read_as_trained(file, reading, config)
    if train is None and set(reading.given()) <= {"label"}:
        _warn_if_changed(train_sequences, config)
    if test is not None:
        test_sequences = read_as_trained(test, reading, config)
        say(f"scored on {test}")
    else:
        train_sequences, test_sequences = split(train_sequences, seed)
        say(
            f"no --test: scored on {len(test_sequences)} sequences of {file}, "
            "held out from the classifier but not from pretraining"
        )
    result = score(
        run, train_sequences, test_sequences, kind=kind, pool=pool, seed=seed
    )
    result["train"] = file
    result["test"] = test or f"held out of {file}"
    write_atomically(path, json.dumps(result, indent=2).encode() + b"\n")
    show_table(
        f"{kind} on {result['n_train']} sequences, {result['n_test']} to test, "
        f"{result['n_classes']} classes",
        ["features", "accuracy"],
        [(row["features"], f"{row['accuracy']:.3f}") for row in result["scores"]],
    )
    say(
        f"always predicting {result['commonest']!r}, the most frequent class: "
        f"{result['majority']:.3f}; written to {path}"
    )


def _warn_if_changed(sequences: "Sequences", config: Mapping[str, Any]) -> None:
    from ..training.run import facts

    digest = config.get("data", {}).get("digest")
    if digest and digest != facts(sequences)["digest"]:
        warn(f"{sequences.source} has changed since the run was trained on it")
