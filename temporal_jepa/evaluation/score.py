"""Score a frozen embedding beside its controls, in one call."""

import os
import re
from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ..checkpoint import from_pretrained
from ..config import Pool
from ..data.sequences import Sequences
from ..data.video import pool_frames
from ..embed import check_channels, embed_sequences, embed_tokens
from ..files import BUNDLED, GENERAL, folder_of, read_config
from ..model.jepa import TemporalJEPA, random_init_like
from . import probes
from .attentive import attentive_probe

ScoreKind = probes.ProbeKind | Literal["attentive"]


def score(
    run_or_model: TemporalJEPA | str | os.PathLike[str],
    train: Sequences,
    test: Sequences,
    *,
    kind: ScoreKind = "ridge",
    pool: Pool = "all",
    seed: int = 0,
) -> dict[str, Any]:
    """Accuracy of a classifier on the frozen embedding, and of the same classifier on its controls.

    The controls are raw values, mean/std/min/max, MiniRocket (if aeon is installed) and an encoder
    of the same architecture and normalizer with random weights. The difference between the
    pretrained and the untrained encoder is the effect of pretraining. A run that started from
    "series-small" is also compared with "series-small" itself.

    Args:
        run_or_model: a run folder, a model name such as "series-small", or a `TemporalJEPA`.
        train: labeled sequences that the classifier is fitted on.
        test: labeled sequences that it is scored on; `split` holds some out.
        kind: "ridge", "linear", "knn" or "svm", see `probe`; or "attentive", a learned query on
            unpooled tokens, see `attentive_probe`.
        pool: how tokens become one embedding, see `TemporalJEPA.embed`; unused by "attentive".
        seed: seed of the classifier. The random encoder has the seed of the run.

    Returns:
        The content of `probe.json`. `scores` holds one `{"features", "probe", "accuracy"}` per row;
        `majority` is the accuracy of always predicting `commonest`, the most frequent train label.

    Raises:
        ValueError: for missing labels, other channels than the model's, and as `probe`.
        FileNotFoundError: if there is no such run or model.
    """
    train_labels = labels_of(train)
    test_labels = labels_of(test)
    encoders = _encoders(run_or_model)
    for part in (train, test):
        check_channels(encoders["pretrained encoder"], part)
    names, counts = np.unique(train_labels, return_counts=True)
    commonest = str(names[counts.argmax()])
    result: dict[str, Any] = {"probe": kind}
    if kind != "attentive":
        result["pool"] = pool
    result |= {
        "train": train.source,
        "test": test.source,
        "n_train": len(train),
        "n_test": len(test),
        "n_classes": len(names),
        "commonest": commonest,
        "majority": float((test_labels == commonest).mean()),
        "seed": seed,
    }
    if kind == "attentive":
        result["scores"] = _attentive_scores(encoders, train, test, seed)
        return result
    features = probes.controls(
        pool_frames(train).values, pool_frames(test).values, seed
    )
    minirocket = features.pop("MiniRocket", None)
    for name, encoder in encoders.items():
        features[name] = (
            embed_sequences(encoder, train, pool),
            embed_sequences(encoder, test, pool),
        )
    if minirocket is not None:
        features["MiniRocket"] = minirocket  # the last row of the table
    result["scores"] = probes.compare(features, train_labels, test_labels, kind, seed)
    return result


def split(
    sequences: Sequences, seed: int = 0, share: float = 0.3
) -> tuple[Sequences, Sequences]:
    """Hold out a share of each class for testing.

    Windows of one series ("a@0", "a@64") and parts of one track ("a#1", "a#2") stay on one side.

    Args:
        sequences: labeled sequences.
        seed: seed of the draw.
        share: share of the recordings of each class that is held out; at least one of two or more.

    Returns:
        The train and the test sequences.

    Raises:
        ValueError: for missing labels, or if every class has only one recording.
    """
    labels = labels_of(sequences)
    part = r"@\d+$" if sequences.places is None else r"(#\d+)?(@\d+)?$"
    recordings = np.array([re.sub(part, "", name) for name in sequences.ids])
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
    return sequences.select(~test), sequences.select(test)


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
    encoders: Mapping[str, TemporalJEPA], train: Sequences, test: Sequences, seed: int
) -> list[dict[str, Any]]:
    """Attentive probe on raw values, one timestep a token, and on the tokens of each encoder."""
    tokens = {"raw values": (_value_tokens(train), _value_tokens(test), (1, 1))}
    for name, encoder in encoders.items():
        tokens[name] = (
            embed_tokens(encoder, train),
            embed_tokens(encoder, test),
            encoder.config.cells,
        )
    rows = []
    for name, (train_tokens, test_tokens, cells) in tokens.items():
        accuracy = attentive_probe(
            train_tokens, train.labels, test_tokens, test.labels, cells, seed
        )
        rows.append({"features": name, "probe": "attentive", "accuracy": accuracy})
    return rows


def _value_tokens(
    sequences: Sequences,
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """Timesteps as tokens: values `(n, N, channels)`, 0 where missing, and observed `(n, N)`."""
    values = pool_frames(sequences).batch(range(len(sequences)))
    return np.nan_to_num(values), np.asarray(~np.isnan(values).all(-1))
