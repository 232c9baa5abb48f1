"""How much do frozen features know? Classifiers on arrays, with the controls that belong beside every score.

Legend: `n` series, `F` features. A series is `(time_i, channels)`, NaN where missing.
"""

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.floating[Any]]
ProbeKind = Literal["ridge", "linear", "knn", "svm"]
Pair = tuple[FloatArray, FloatArray]

LONGEST_RAW = 1024  # series longer than this are resampled to it before their raw values are probed
SHORTEST_MINIROCKET = 9  # length of MiniRocket's kernels


def probe(
    train_Z: npt.ArrayLike,
    train_y: Any,
    test_Z: npt.ArrayLike,
    test_y: Any,
    kind: ProbeKind = "ridge",
    seed: int = 0,
) -> float:
    """Accuracy on the test rows of a classifier fitted on the train rows.

    "ridge", "linear" (logistic regression) and "knn" (nearest neighbour) see features standardised on the train rows.
    "svm" is the protocol of TS2Vec (arXiv 2106.10466): an RBF kernel on features as they are, C by 5-fold
    cross-validation, or no regularisation below 50 rows or 5 rows a class.

    A NaN takes its column's train mean. Columns that are constant in train are left out; when all are (a collapsed
    encoder), the most frequent class is predicted. A test label that train lacks counts as an error, with a warning.

    Args:
        train_Z: float `(n_train, F)`.
        train_y: labels `(n_train,)`, at least two classes.
        test_Z: float `(n_test, F)`.
        test_y: labels `(n_test,)`.
        kind: "ridge", "linear", "knn" or "svm".
        seed: of the folds of "svm"; the others involve no chance.

    Raises:
        ValueError: for missing labels, shapes that do not agree, a single class, infinite features, or a row or train
            column of features that is all NaN.
    """
    from sklearn.dummy import DummyClassifier

    train = _features(train_Z, "train")
    test = _features(test_Z, "test")
    if train.shape[1] != test.shape[1]:
        raise ValueError(
            f"expected {train.shape[1]} test features as in train, got {test.shape[1]}"
        )
    known = _labels(train_y, len(train), "train")
    asked = _labels(test_y, len(test), "test")
    check_classes(known, asked)
    if empty := int(np.isnan(train).all(axis=0).sum()):
        raise ValueError(
            f"{empty} of {train.shape[1]} features have no finite value in train; leave them out"
        )
    mean = np.nanmean(train, axis=0)
    train = np.where(np.isnan(train), mean, train)
    test = np.where(np.isnan(test), mean, test)
    varies = np.ptp(train, axis=0) > 1e-7 * np.abs(train).max(
        axis=0
    )  # 1e-7: the resolution of float32
    classifier = _classifier(kind, known, seed)
    if not varies.any():
        classifier = DummyClassifier(strategy="most_frequent")
        varies = np.ones_like(varies)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "The least populated class", UserWarning
        )  # a class smaller than 5 folds
        classifier.fit(train[:, varies], known)
    return float(np.mean(classifier.predict(test[:, varies]) == asked))


def compare(
    features: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
    train_y: Any,
    test_y: Any,
    kind: ProbeKind = "ridge",
    seed: int = 0,
) -> list[dict[str, Any]]:
    """The same probe on several features, for one table: `controls(...)` and the encoders, untrained and pretrained.

    Args:
        features: name -> `(train_Z, test_Z)`, as in `probe`.
        train_y: labels `(n_train,)`.
        test_y: labels `(n_test,)`.
        kind: see `probe`.
        seed: see `probe`.

    Returns:
        One `{"features": name, "probe": kind, "accuracy": float}` for each, in the order given.

    Raises:
        ValueError: as `probe`, with the name of the features in front.
    """
    rows: list[dict[str, Any]] = []
    for name, (train_Z, test_Z) in features.items():
        try:
            accuracy = probe(train_Z, train_y, test_Z, test_y, kind, seed)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        rows.append({"features": name, "probe": kind, "accuracy": accuracy})
    return rows


def controls(
    train: Sequence[FloatArray], test: Sequence[FloatArray], seed: int = 0
) -> dict[str, Pair]:
    """Features that need no encoder of ours: raw values, mean/std/min/max, and MiniRocket where aeon is installed.

    Args:
        train: series `(time_i, channels)`; their longest, at most `LONGEST_RAW`, is the length of the raw values.
        test: series with the same channels.
        seed: of MiniRocket.

    Returns:
        name -> `(train_Z, test_Z)`, what `compare` takes.
    """
    length = min(max(len(x) for x in train), LONGEST_RAW)
    found: dict[str, Pair] = {
        "raw values": (raw_features(train, length), raw_features(test, length)),
        "mean/std/min/max": (stat_features(train), stat_features(test)),
    }
    if importlib.util.find_spec("aeon") is not None:
        found["MiniRocket"] = minirocket_features(train, test, seed)
    return found


def raw_features(values: Sequence[FloatArray], length: int) -> FloatArray:
    """The values themselves: each series resampled linearly to `length` timesteps, gaps bridged, flattened.

    Args:
        values: series `(time_i, channels)`. One of `length` timesteps without gaps is unchanged.
        length: timesteps of the result.

    Returns:
        float64 `(n, length * channels)`, time slowest; NaN where a series lacks a channel altogether.

    Raises:
        ValueError: if `length` is below 1.

    >>> raw_features([np.array([[0.0], [np.nan], [4.0]])], length=5)
    array([[0., 1., 2., 3., 4.]])
    """
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    out = np.full((len(values), length, values[0].shape[1]), np.nan)
    for row, x in zip(out, values, strict=True):
        grid = np.linspace(0.0, len(x) - 1.0, length)
        observed = ~np.isnan(x)
        for channel in np.flatnonzero(observed.any(axis=0)):
            there = np.flatnonzero(observed[:, channel])
            row[:, channel] = np.interp(grid, there, x[there, channel])
    return out.reshape(len(values), -1)


def stat_features(values: Sequence[FloatArray]) -> FloatArray:
    """Mean, standard deviation, minimum and maximum of each channel: float64 `(n, 4 * channels)`, NaN where unseen."""
    out = np.full((len(values), 4, values[0].shape[1]), np.nan)
    for row, x in zip(out, values, strict=True):
        for channel in np.flatnonzero(~np.isnan(x).all(axis=0)):
            seen = x[~np.isnan(x[:, channel]), channel].astype(np.float64)
            row[:, channel] = seen.mean(), seen.std(), seen.min(), seen.max()
    return out.reshape(len(values), -1)


def minirocket_features(
    train: Sequence[FloatArray], test: Sequence[FloatArray], seed: int = 0
) -> Pair:
    """MiniRocket (arXiv 2012.08791), fitted on train: `(train_Z, test_Z)`, float32 `(n, 9996)`.

    It takes one length: all series are resampled to the longest of train, at least 9 timesteps. Gaps are bridged and a
    channel that a series lacks becomes the train mean.

    Raises:
        ModuleNotFoundError: without aeon; `pip install "temporal-jepa[aeon]"`.
    """
    from aeon.transformations.collection.convolution_based import MiniRocket

    length = max(SHORTEST_MINIROCKET, *(len(x) for x in train))
    channels = train[0].shape[1]
    blocks = [
        raw_features(values, length).reshape(-1, length, channels) for values in (train, test)
    ]
    mean = np.nanmean(blocks[0], axis=(0, 1))
    blocks = [
        np.where(np.isnan(b), mean, b).transpose(0, 2, 1).astype(np.float32) for b in blocks
    ]  # (n, C, T)
    state = np.random.get_state()  # noqa: NPY002  MiniRocket seeds numpy's global state: put it back
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about constant series
            rocket = MiniRocket(random_state=seed).fit(blocks[0])
            return rocket.transform(blocks[0]), rocket.transform(blocks[1])
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _classifier(kind: ProbeKind, labels: npt.NDArray[np.str_], seed: int) -> Any:
    """An unfitted scikit-learn classifier for these train labels."""
    from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    if kind == "ridge":
        return make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=np.logspace(-3, 3, 10)))
    if kind == "linear":
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    if kind == "knn":
        return make_pipeline(StandardScaler(), KNeighborsClassifier(n_neighbors=1))
    if kind != "svm":
        raise ValueError(f"probe must be one of {', '.join(get_args(ProbeKind))}, got {kind!r}")
    svm = SVC(C=np.inf, kernel="rbf", gamma="scale", max_iter=10_000_000)
    if len(labels) // len(np.unique(labels)) < 5 or len(labels) < 50:
        return svm
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return GridSearchCV(svm, {"C": [*(10.0**power for power in range(-4, 5)), np.inf]}, cv=folds)


def _features(Z: npt.ArrayLike, which: str) -> npt.NDArray[np.float64]:
    array = np.asarray(Z, dtype=np.float64)
    if array.ndim != 2 or not array.size:
        raise ValueError(f"expected {which} features of shape (n, features), got {array.shape}")
    if infinite := int(np.isinf(array).any(axis=1).sum()):
        raise ValueError(f"{infinite} of {len(array)} {which} rows hold infinite features")
    if empty := int(np.isnan(array).all(axis=1).sum()):
        raise ValueError(
            f"{empty} of {len(array)} {which} rows hold nothing but NaN; did the training diverge?"
        )
    return array


def _labels(y: Any, n: int, which: str) -> npt.NDArray[np.str_]:
    if y is None:
        raise ValueError(
            f"a probe needs labels, but the {which} data has none; name the label column when reading it"
        )
    labels = np.asarray(y)
    if labels.shape != (n,):
        raise ValueError(
            f"expected {n} {which} labels, one for each row of features, got shape {labels.shape}"
        )
    if missing := [i for i, label in enumerate(labels.tolist()) if label is None or label != label]:
        raise ValueError(
            f"{len(missing)} {which} labels are missing, the first in row {missing[0]}"
        )
    return labels.astype(np.str_)


def check_classes(train: npt.NDArray[np.str_], test: npt.NDArray[np.str_]) -> None:
    """ValueError for a single class in train or none of test in it; a warning for test labels that train lacks."""
    classes = np.unique(train)
    if len(classes) < 2:
        raise ValueError(f"expected at least two classes in train, got only {str(classes[0])!r}")
    unseen = ~np.isin(test, classes)
    if not unseen.any():
        return
    names = ", ".join(np.unique(test[unseen])[:5])
    if unseen.all():
        raise ValueError(f"no test label ({names}) occurs in train ({', '.join(classes[:5])})")
    warnings.warn(
        f"{int(unseen.sum())} of {len(test)} test rows have labels that train lacks ({names}): they count as errors",
        stacklevel=3,
    )
