"""Classifiers on frozen features, and the control features that belong beside every score.

Legend of shapes: `n` series, `F` features. A series is `(time_i, channels)`, NaN where missing.
"""

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import check_array

from ..data.sequences import listed

FloatArray = npt.NDArray[np.floating[Any]]
ProbeKind = Literal["ridge", "linear", "knn", "svm"]
Pair = tuple[FloatArray, FloatArray]

LONGEST_RAW = 1024  # longer series are resampled to this length before their raw values are probed
SHORTEST_MINIROCKET = 9  # length of MiniRocket's kernels
FLOAT32_RESOLUTION = 1e-7
STATISTICS = (np.nanmean, np.nanstd, np.nanmin, np.nanmax)


def probe(
    train_Z: npt.ArrayLike,
    train_y: Any,
    test_Z: npt.ArrayLike,
    test_y: Any,
    kind: ProbeKind = "ridge",
    seed: int = 0,
) -> float:
    """Accuracy on the test rows of a classifier fitted on the train rows.

    "ridge", "linear" (logistic regression) and "knn" (one nearest neighbor) use features
    standardized on the train rows. "svm" is the protocol of TS2Vec (arXiv 2106.10466): an RBF
    kernel on unscaled features, C by 5-fold cross-validation, or no regularization below 50 rows or
    5 rows a class.

    A NaN is replaced by the train mean of its column. Columns that are constant or all NaN in train
    are left out; if all are (a collapsed encoder), the most frequent class is predicted. A test
    label that train lacks counts as an error, with a warning.

    Args:
        train_Z: float `(n_train, F)`.
        train_y: labels `(n_train,)`, at least two classes.
        test_Z: float `(n_test, F)`.
        test_y: labels `(n_test,)`.
        kind: "ridge", "linear", "knn" or "svm".
        seed: seed of the folds of "svm"; the others are deterministic.

    Raises:
        ValueError: for missing labels, shapes that do not agree, a single class, infinite features,
            or a row that is all NaN.
    """
    train = _features(train_Z, "train")
    test = _features(test_Z, "test")
    if train.shape[1] != test.shape[1]:
        raise ValueError(
            f"expected {train.shape[1]} test features as in train, got {test.shape[1]}"
        )
    train_labels = check_labels(train_y, len(train), "train")
    test_labels = check_labels(test_y, len(test), "test")
    check_classes(train_labels, test_labels)
    imputer = SimpleImputer(keep_empty_features=True).fit(train)
    train = imputer.transform(train)
    test = imputer.transform(test)
    scale = np.abs(train).max(axis=0)
    varies = np.ptp(train, axis=0) > FLOAT32_RESOLUTION * scale
    classifier = _classifier(kind, train_labels, seed)
    if varies.any():
        train = train[:, varies]
        test = test[:, varies]
    else:
        classifier = DummyClassifier(strategy="most_frequent")
    with warnings.catch_warnings():
        # A class may have fewer rows than there are folds.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        classifier.fit(train, train_labels)
    return float(np.mean(classifier.predict(test) == test_labels))


def compare(
    features: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
    train_y: Any,
    test_y: Any,
    kind: ProbeKind = "ridge",
    seed: int = 0,
) -> list[dict[str, Any]]:
    """The same probe on several features, the rows of one table.

    Args:
        features: name -> `(train_Z, test_Z)`, as in `probe`; for example `controls(...)` and
            embeddings.
        train_y: labels `(n_train,)`.
        test_y: labels `(n_test,)`.
        kind: see `probe`.
        seed: see `probe`.

    Returns:
        One `{"features": name, "probe": kind, "accuracy": float}` per entry, in the given order.

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
    """Features without an encoder: raw values, mean/std/min/max, MiniRocket if aeon is installed.

    Args:
        train: series `(time_i, channels)`. The longest, up to `LONGEST_RAW` timesteps, sets the
            length of the raw values.
        test: series with the same channels.
        seed: seed of MiniRocket.

    Returns:
        name -> `(train_Z, test_Z)`, the input of `compare`.
    """
    length = min(max(len(x) for x in train), LONGEST_RAW)
    features: dict[str, Pair] = {
        "raw values": (raw_features(train, length), raw_features(test, length)),
        "mean/std/min/max": (stat_features(train), stat_features(test)),
    }
    if importlib.util.find_spec("aeon") is not None:
        features["MiniRocket"] = minirocket_features(train, test, seed)
    return features


def raw_features(values: Sequence[FloatArray], length: int) -> FloatArray:
    """Raw values, each series resampled linearly to `length` timesteps, missing values bridged.

    Args:
        values: series `(time_i, channels)`. A complete one of `length` timesteps is unchanged.
        length: timesteps of the result.

    Returns:
        float64 `(n, length * channels)`, time slowest; NaN where a series lacks a channel.

    Raises:
        ValueError: if `length` is below 1.

    >>> raw_features([np.array([[0.0], [np.nan], [4.0]])], length=5)
    array([[0., 1., 2., 3., 4.]])
    """
    if length < 1:
        raise ValueError(f"length must be at least 1, got {length}")
    channels = values[0].shape[1]
    out = np.full((len(values), length, channels), np.nan)
    for row, x in zip(out, values, strict=True):
        grid = np.linspace(0.0, len(x) - 1.0, length)
        for channel, column in enumerate(x.T):
            observed = np.flatnonzero(~np.isnan(column))
            if len(observed) > 0:
                row[:, channel] = np.interp(grid, observed, column[observed])
    return out.reshape(len(values), -1)


def stat_features(values: Sequence[FloatArray]) -> FloatArray:
    """Mean, standard deviation, minimum and maximum of each channel over its observed values.

    Args:
        values: series `(time_i, channels)`.

    Returns:
        float64 `(n, 4 * channels)`; NaN where a series lacks a channel.
    """
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # a channel without an observed value
        rows = [[f(x.astype(np.float64), axis=0) for f in STATISTICS] for x in values]
    return np.reshape(rows, (len(values), -1))


def minirocket_features(
    train: Sequence[FloatArray], test: Sequence[FloatArray], seed: int = 0
) -> Pair:
    """MiniRocket (arXiv 2012.08791) fitted on train: `(train_Z, test_Z)`, float32 `(n, 9996)`.

    MiniRocket takes series of one length: all are resampled to the longest of train, at least 9
    timesteps. A channel that a series lacks becomes the train mean.

    Raises:
        ModuleNotFoundError: without aeon; `pip install "temporal-jepa[aeon]"`.
    """
    from aeon.transformations.collection.convolution_based import MiniRocket

    length = max(SHORTEST_MINIROCKET, *(len(x) for x in train))
    channels = train[0].shape[1]
    train_X = raw_features(train, length).reshape(-1, length, channels)
    test_X = raw_features(test, length).reshape(-1, length, channels)
    mean = np.nanmean(train_X, axis=(0, 1))
    train_X = np.where(np.isnan(train_X), mean, train_X)
    test_X = np.where(np.isnan(test_X), mean, test_X)
    train_X = train_X.transpose(0, 2, 1).astype(np.float32)  # (n, channels, length)
    test_X = test_X.transpose(0, 2, 1).astype(np.float32)
    # MiniRocket seeds numpy's global generator, whose state is restored here.
    state = np.random.get_state()  # noqa: NPY002
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # constant series
            rocket = MiniRocket(random_state=seed).fit(train_X)
            return rocket.transform(train_X), rocket.transform(test_X)
    finally:
        np.random.set_state(state)  # noqa: NPY002


def check_labels(y: Any, n: int, part: str) -> npt.NDArray[np.str_]:
    """Labels `(n,)` as strings; ValueError if any is missing."""
    if y is None:
        raise ValueError(
            f"the {part} data has no labels, which a probe needs; name the label column when "
            "reading it"
        )
    labels = np.asarray(y)
    if labels.shape != (n,):
        raise ValueError(
            f"expected {n} {part} labels, one per row, got shape {labels.shape}"
        )
    missing = np.flatnonzero(
        [label is None or label != label for label in labels.tolist()]
    )
    if len(missing) > 0:
        raise ValueError(
            f"{len(missing)} {part} labels are missing, first in row {missing[0]}"
        )
    return labels.astype(np.str_)


def check_classes(train: npt.NDArray[np.str_], test: npt.NDArray[np.str_]) -> None:
    """Check that train labels can teach test labels.

    Warns of test labels that train lacks.

    Raises:
        ValueError: for a single class in train, or if no test label occurs in train.
    """
    classes = np.unique(train)
    if len(classes) < 2:
        raise ValueError(
            f"expected at least two classes in train, got only {str(classes[0])!r}"
        )
    unseen = ~np.isin(test, classes)
    names = listed(np.unique(test[unseen]))
    if unseen.all():
        raise ValueError(f"no test label ({names}) occurs in train ({listed(classes)})")
    if unseen.any():
        warnings.warn(
            f"{unseen.sum()} of {len(test)} test rows have labels that train lacks ({names}); "
            "they count as errors",
            stacklevel=3,
        )


def _classifier(kind: ProbeKind, labels: npt.NDArray[np.str_], seed: int) -> Any:
    """An unfitted scikit-learn classifier for these train labels."""
    if kind == "ridge":
        return make_pipeline(
            StandardScaler(), RidgeClassifierCV(alphas=np.logspace(-3, 3, 10))
        )
    if kind == "linear":
        return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    if kind == "knn":
        return make_pipeline(StandardScaler(), KNeighborsClassifier(n_neighbors=1))
    if kind != "svm":
        raise ValueError(
            f"probe must be one of {', '.join(get_args(ProbeKind))}, got {kind!r}"
        )
    svm = SVC(C=np.inf, kernel="rbf", gamma="scale", max_iter=10_000_000)
    classes = np.unique(labels)
    if len(labels) < 50 or len(labels) // len(classes) < 5:
        return svm
    penalties = [*np.logspace(-4, 4, 9), np.inf]
    folds = StratifiedKFold(5, shuffle=True, random_state=seed)
    return GridSearchCV(svm, {"C": penalties}, cv=folds)


def _features(Z: npt.ArrayLike, part: str) -> npt.NDArray[np.float64]:
    """Features `(n, F)`; ValueError if they cannot be probed."""
    features: npt.NDArray[np.float64] = check_array(
        Z,
        dtype=np.float64,
        ensure_all_finite="allow-nan",
        input_name=f"the {part} features",
    )
    empty = np.isnan(features).all(axis=1)
    if empty.any():
        raise ValueError(
            f"{empty.sum()} of {len(features)} {part} rows are all NaN; did the training diverge?"
        )
    return features
