"""Score a frozen embedding beside its controls, in one call."""

import contextlib
import os
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..checkpoint import from_pretrained
from ..config import Pool
from ..data.labels import task_of
from ..data.sequences import Sequences, Task, first_equal
from ..data.video import pool_frames
from ..embed import check_channels, embed_sequences, embed_tokens
from ..files import BUNDLED, GENERAL, folder_of, read_config
from ..model.jepa import TemporalJEPA, random_init_like
from . import probes
from .attentive import attentive_scores

ScoreKind = probes.ProbeKind | Literal["attentive"]


def score(
    run_or_model: TemporalJEPA | str | os.PathLike[str],
    train: Sequences,
    test: Sequences,
    *,
    kind: ScoreKind = "ridge",
    pool: Pool = "all",
    seed: int = 0,
    task: Task | None = None,
    dim: int | None = None,
    on_sequences: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """Scores of a classifier or regression on the frozen embedding, and on its controls.

    The controls are raw values, mean/std/min/max, MiniRocket (if aeon is installed) and an encoder
    of the same architecture and normalizer with random weights. The difference between the
    pretrained and the untrained encoder is the effect of pretraining. A run that started from
    "series-small" is also compared with "series-small" itself.

    Args:
        run_or_model: a run folder, a model name such as "series-small", or a `TemporalJEPA`.
        train: labeled sequences that the probe is fitted on.
        test: labeled sequences that it is scored on; `split` holds some out.
        kind: "ridge", "linear", "knn" or "svm", see `probe` and `regress`; or "attentive", a
            learned query on unpooled tokens, see `attentive_probe`.
        pool: how tokens become one embedding, see `TemporalJEPA.embed`; unused by "attentive".
        seed: seed of the probe. The random encoder has the seed of the run.
        task: "classification" or "regression" (default: what the sequences say, or `task_of`).
        dim: adds a row, the pretrained encoder's compact embedding of so many numbers, see
            `TemporalJEPA.embed`. The other rows keep all features.
        on_sequences: called with numbers of sequences that are embedded; each of train and test is
            by every encoder and MiniRocket, and once more with `dim`.

    Returns:
        The content of `probe.json`. `scores` holds one row `{"features", "probe", ...}` each, with
        `accuracy` and `balanced_accuracy`, or `r2` and `rmse`. For classes, `classes` holds the
        number of train and test sequences of each, and `majority` is the accuracy of always
        predicting `commonest`, the most frequent train label. For numbers, `mean` holds the scores
        of always predicting the train mean.

    Raises:
        ValueError: for missing labels, other channels than the model's, a `dim` that the model
            cannot compute, and as `probe`.
        AmbiguousError: if the labels can be classes or numbers to predict.
        FileNotFoundError: if there is no such run or model.

    >>> X = np.random.default_rng(0).normal(size=(12, 1, 30)).cumsum(-1)
    >>> walks = Sequences.from_arrays(X, y=["up", "down"] * 6)
    >>> rows = score("series-small", *split(walks), kind="knn")["scores"]
    >>> [row["features"] for row in rows][:3]
    ['raw values', 'mean/std/min/max', 'untrained encoder']
    """
    return _score(
        run_or_model,
        train,
        test,
        kind=kind,
        pool=pool,
        seed=seed,
        task=task,
        dim=dim,
        on_sequences=on_sequences,
    )[0]


def score_splits(
    run_or_model: TemporalJEPA | str | os.PathLike[str],
    sequences: Sequences,
    *,
    splits: int = 10,
    kind: probes.ProbeKind = "ridge",
    pool: Pool = "all",
    seed: int = 0,
    dim: int | None = None,
    on_sequences: Callable[[int], None] = lambda count: None,
) -> dict[str, Any]:
    """Mean scores of `score` over several draws of `split`, for few sequences.

    Each draw fits the probe again, on other sequences. Sequences are embedded once, and MiniRocket
    is fitted once, on the values of the first draw's train sequences.

    Args:
        run_or_model: as `score`.
        sequences: labeled sequences.
        splits: number of draws.
        kind: "ridge", "linear", "knn" or "svm".
        pool: as `score`.
        seed: seed of the draws and the probe; draws of two seeds differ.
        dim: as `score`.
        on_sequences: as `score`.

    Returns:
        As `score`, where each number of a row is a mean, beside its standard deviation over the
        draws ("accuracy_std" and so on). `n_test` counts the sequences that were tested in any
        draw, `n_test_each` those in each, and `splits` the draws.

    Raises:
        ValueError: as `score` and `split`.

    >>> X = np.random.default_rng(0).normal(size=(12, 1, 30)).cumsum(-1)
    >>> walks = Sequences.from_arrays(X, y=["up", "down"] * 6)
    >>> found = score_splits("series-small", walks, kind="knn")
    >>> found["n_train"], found["n_test_each"], found["n_test"]
    (8, 4, 12)
    """
    held = [_held_out(sequences, seed * splits + i) for i in range(splits)]
    train, test = sequences.select(~held[0]), sequences.select(held[0])
    result, features = _score(
        run_or_model,
        train,
        test,
        kind=kind,
        pool=pool,
        seed=seed,
        task=None,
        dim=dim,
        on_sequences=on_sequences,
    )
    task: Task = result["task"]
    whole = {name: _joined(pair, held[0]) for name, pair in features.items()}
    y = sequences.targets() if task == "regression" else labels_of(sequences)
    drawn = [result["scores"]]
    for mask in held[1:]:
        pairs = {name: (Z[~mask], Z[mask]) for name, Z in whole.items()}
        # Warnings are those of the first draw. A draw whose targets are all equal has no score.
        with warnings.catch_warnings(), contextlib.suppress(ValueError):
            warnings.simplefilter("ignore")
            drawn.append(probes.compare(pairs, y[~mask], y[mask], kind, seed, task))
    tested = sequences.select(np.any(held, axis=0))
    facts = _target_facts if task == "regression" else _class_facts
    result |= {**facts(train, tested), "n_test": len(tested), "n_test_each": len(test)}
    return result | {"splits": len(drawn), "scores": _averaged(drawn)}


def _joined(pair: probes.Pair, is_test: npt.NDArray[np.bool_]) -> probes.FloatArray:
    """Train and test features as the rows of all sequences."""
    train, test = pair
    joined = np.empty((len(is_test), train.shape[1]), np.result_type(train, test))
    joined[~is_test] = train
    joined[is_test] = test
    return joined


def _averaged(drawn: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Rows of scores as means over draws, with standard deviations."""
    rows = []
    for same in zip(*drawn, strict=True):
        row = dict(same[0])
        for name in set(row) - {"features", "probe"}:
            values = [entry[name] for entry in same]
            row[name] = float(np.mean(values))
            row[f"{name}_std"] = float(np.std(values, ddof=len(values) > 1))
        rows.append(row)
    return rows


def _score(
    run_or_model: TemporalJEPA | str | os.PathLike[str],
    train: Sequences,
    test: Sequences,
    *,
    kind: ScoreKind,
    pool: Pool,
    seed: int,
    task: Task | None,
    dim: int | None,
    on_sequences: Callable[[int], None],
) -> tuple[dict[str, Any], dict[str, probes.Pair]]:
    """What `score` returns, and the features that were probed; none by "attentive"."""
    task = task or shared_task(train, test)
    if task == "regression" and kind in ("attentive", "svm"):
        raise ValueError(
            f"kind={kind!r} scores classes; for a regression choose ridge, linear or knn"
        )
    facts = (
        _target_facts(train, test)
        if task == "regression"
        else _class_facts(train, test)
    )
    encoders = _encoders(run_or_model)
    for part in (train, test):
        check_channels(encoders["pretrained encoder"], part)
    _warn_if_equal(train, test)
    result: dict[str, Any] = {"probe": kind, "task": task}
    if kind != "attentive":
        result["pool"] = pool
    if dim is not None:
        result["dim"] = dim
    result |= {
        "train": train.source,
        "test": test.source,
        "n_train": len(train),
        "n_test": len(test),
        **facts,
        "seed": seed,
    }
    if kind == "attentive":
        result["scores"] = _attentive_scores(encoders, train, test, seed, on_sequences)
        return result, {}
    features = _features(encoders, train, test, pool, dim, seed, on_sequences)
    train_y, test_y = (
        part.targets() if task == "regression" else labels_of(part)
        for part in (train, test)
    )
    result["scores"] = probes.compare(features, train_y, test_y, kind, seed, task)
    return result, features


def shared_task(train: Sequences, test: Sequences) -> Task:
    """What the labels of train and test are, see `task_of`.

    Raises:
        ValueError: for missing labels, or if the two say different things.
        AmbiguousError: if the labels can be classes or numbers to predict.
    """
    labels = labels_of(train)
    labels_of(test)
    said = {part.task for part in (train, test) if part.task is not None}
    if len(said) > 1:
        raise ValueError(
            f"{train.source} holds a {train.task}, {test.source} a {test.task}; task= decides"
        )
    return said.pop() if said else task_of(labels, train.source)


def _class_facts(train: Sequences, test: Sequences) -> dict[str, Any]:
    """The number of sequences of each class, and the accuracy of predicting the commonest."""
    train_labels = labels_of(train)
    test_labels = labels_of(test)
    names, counts = np.unique(train_labels, return_counts=True)
    commonest = str(names[counts.argmax()])
    classes = np.unique(np.concatenate([train_labels, test_labels])).tolist()
    return {
        "n_classes": len(names),
        "classes": {
            name: [
                int((labels == name).sum()) for labels in (train_labels, test_labels)
            ]
            for name in classes
        },
        "commonest": commonest,
        "majority": float((test_labels == commonest).mean()),
    }


def _target_facts(train: Sequences, test: Sequences) -> dict[str, Any]:
    """The range of the targets, and the scores of predicting the train mean."""
    targets = probes.check_targets(train.targets(), len(train), "train")
    test_targets = probes.check_targets(test.targets(), len(test), "test")
    mean = float(targets.mean())
    return {
        "targets": [float(targets.min()), float(targets.max())],
        "mean": {
            "predicted": mean,
            **probes.target_scores(test_targets, np.full(len(test), mean)),
        },
    }


def _features(
    encoders: Mapping[str, TemporalJEPA],
    train: Sequences,
    test: Sequences,
    pool: Pool,
    dim: int | None,
    seed: int,
    on_sequences: Callable[[int], None],
) -> dict[str, probes.Pair]:
    """Train and test features of the controls and of each encoder, by name."""
    pretrained = encoders["pretrained encoder"]
    if dim is not None:
        pretrained.embedder(pool, dim)  # refused before anything is computed
    features = probes.controls(
        pool_frames(train).values, pool_frames(test).values, seed, on_sequences
    )
    minirocket = features.pop("MiniRocket", None)

    def pair(encoder: TemporalJEPA, dim: int | None = None) -> probes.Pair:
        found = [
            embed_sequences(encoder, part, pool, dim=dim, on_sequences=on_sequences)
            for part in (train, test)
        ]
        return found[0], found[1]

    for name, encoder in encoders.items():
        features[name] = pair(encoder)
    if dim is not None:
        features[f"pretrained encoder, dim {dim}"] = pair(pretrained, dim)
    if minirocket is not None:
        features["MiniRocket"] = minirocket  # the last row of the table
    return features


def _warn_if_equal(train: Sequences, test: Sequences) -> None:
    """Warn when the probe is scored on the sequences that it is fitted on."""
    if len(train) != len(test):
        return
    pairs = zip(train.values, test.values, strict=True)
    if all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs):
        warnings.warn(
            f"{test.source}: the test sequences are the train sequences, so the scores say "
            "nothing about others",
            stacklevel=3,
        )


def split(
    sequences: Sequences, seed: int = 0, share: float = 0.3
) -> tuple[Sequences, Sequences]:
    """Hold out a share of each class for testing.

    Windows of one series ("a@0", "a@64") and parts of one track ("a#1", "a#2") stay on one side,
    and so do series with the same values.
    Of numbers to predict, a share of all recordings is held out.

    Args:
        sequences: labeled sequences.
        seed: seed of the draw.
        share: share of the recordings of each class that is held out; at least one of two or more.

    Returns:
        The train and the test sequences.

    Raises:
        ValueError: for missing labels, or if every class has only one recording.
        AmbiguousError: if the labels can be classes or numbers to predict.

    >>> X = np.random.default_rng(0).normal(size=(10, 1, 5))
    >>> train, test = split(Sequences.from_arrays(X, y=["a", "b"] * 5))
    >>> len(train), len(test)
    (6, 4)
    """
    test = _held_out(sequences, seed, share)
    return sequences.select(~test), sequences.select(test)


def _held_out(
    sequences: Sequences, seed: int, share: float = 0.3
) -> npt.NDArray[np.bool_]:
    """Which sequences `split` puts into test."""
    labels = labels_of(sequences)
    if (sequences.task or task_of(labels, sequences.source)) == "regression":
        labels = np.zeros_like(labels)
    part = r"@\d+$" if sequences.places is None else r"(#\d+)?(@\d+)?$"
    recordings = np.array([re.sub(part, "", name) for name in sequences.ids])
    is_whole = len(np.unique(recordings)) == len(recordings)
    if is_whole and not sequences.is_stored and sequences.frame is None:
        recordings = recordings[first_equal(sequences.values)]
    held_out: list[str] = []
    for label in np.unique(labels):
        names = np.unique(recordings[labels == label])
        if len(names) > 1:
            count = max(1, round(share * len(names)))
            held_out += np.random.default_rng(seed).permutation(names)[:count].tolist()
    test = np.isin(recordings, held_out)
    if not test.any() or test.all():
        raise ValueError(
            f"{sequences.source}: no class has enough recordings to hold some out; "
            "use other sequences to score on (--test)"
        )
    return np.asarray(test)


def labels_of(sequences: Sequences) -> npt.NDArray[np.str_]:
    """The labels; ValueError with advice if there are none."""
    if sequences.labels is not None:
        return sequences.labels
    advice = "name the label column with label=COL"
    if sequences.frame is not None and sequences.frame[0] > 1:
        advice = "put the videos of each class into a folder of their own"
    raise ValueError(f"{sequences.source} has no labels, which a probe needs; {advice}")


def _encoders(
    run_or_model: TemporalJEPA | str | os.PathLike[str],
) -> dict[str, TemporalJEPA]:
    """The encoders to compare: random weights, pretrained, and the one training started from."""
    config: Mapping[str, Any] = {}
    if isinstance(run_or_model, TemporalJEPA):
        model = run_or_model
    else:
        model = from_pretrained(run_or_model)
        config = read_config(folder_of(run_or_model))
    seed = config.get("pretrain", {}).get("seed", 0)
    encoders = {
        "untrained encoder": random_init_like(model, seed),
        "pretrained encoder": model,
    }
    if config.get("init_from") == GENERAL:
        encoders[f"{GENERAL} as it is"] = from_pretrained(BUNDLED / GENERAL)
    return encoders


def _attentive_scores(
    encoders: Mapping[str, TemporalJEPA],
    train: Sequences,
    test: Sequences,
    seed: int,
    on_sequences: Callable[[int], None],
) -> list[dict[str, Any]]:
    """Attentive probe on raw values, one timestep a token, and on the tokens of each encoder."""
    tokens = {"raw values": (_value_tokens(train), _value_tokens(test), (1, 1))}
    for name, encoder in encoders.items():
        tokens[name] = (
            embed_tokens(encoder, train, on_sequences=on_sequences),
            embed_tokens(encoder, test, on_sequences=on_sequences),
            encoder.config.cells,
        )
    rows = []
    for name, (train_tokens, test_tokens, cells) in tokens.items():
        scores = attentive_scores(
            train_tokens, train.labels, test_tokens, test.labels, cells, seed
        )
        rows.append({"features": name, "probe": "attentive", **scores})
    return rows


def _value_tokens(
    sequences: Sequences,
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Timesteps as tokens: values `(n, N, channels)`, 0 where missing, and observed `(n, N)`."""
    values = pool_frames(sequences).batch(range(len(sequences)))
    return np.nan_to_num(values), np.asarray(~np.isnan(values).all(-1))
