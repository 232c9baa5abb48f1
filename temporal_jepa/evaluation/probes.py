"""Classifiers and regressions on frozen features, and the controls that belong beside each score.

Legend of shapes: `n` series, `F` features. A series is `(time_i, channels)`, NaN where missing.
"""

import importlib.util
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    RidgeClassifierCV,
    RidgeCV,
)
from sklearn.metrics import r2_score, root_mean_squared_error
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from sklearn.utils import check_array

from ..data.sequences import Task, as_labels, is_missing, listed

FloatArray = npt.NDArray[np.floating[Any]]
ProbeKind = Literal["ridge", "linear", "knn", "svm"]
Pair = tuple[FloatArray, FloatArray]

LONGEST_RAW = 1024  # longer series are resampled to this length before their raw values are probed
MINIROCKET_ROWS = 256  # series that are transformed between two reports of progress
SHORTEST_MINIROCKET = 9  # length of MiniRocket's kernels
FLOAT32_RESOLUTION = 1e-7
FLOAT64_RESOLUTION = 1e-13
_MINIROCKET = threading.Lock()
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
    return classify(train_Z, train_y, test_Z, test_y, kind, seed)["accuracy"]


def classify(
    train_Z: npt.ArrayLike,
    train_y: Any,
    test_Z: npt.ArrayLike,
    test_y: Any,
    kind: ProbeKind = "ridge",
    seed: int = 0,
) -> dict[str, float]:
    """The scores of `probe`: `accuracy`, and `balanced_accuracy`, the mean recall of classes."""
    train, test = usable_features(train_Z, test_Z)
    train_labels = check_labels(train_y, len(train), "train")
    test_labels = check_labels(test_y, len(test), "test")
    check_classes(train_labels, test_labels)
    classifier = _classifier(kind, train_labels, seed)
    if not train.shape[1]:
        classifier = DummyClassifier(strategy="most_frequent")
    with warnings.catch_warnings():
        # A class may have fewer rows than there are folds.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        classifier.fit(train, train_labels)
    return class_scores(test_labels, classifier.predict(test))


def class_scores(
    labels: npt.NDArray[np.str_], predicted: npt.NDArray[np.str_]
) -> dict[str, float]:
    """Accuracy, and balanced accuracy: the mean, over the classes of `labels`, of their recall."""
    hits = predicted == labels
    recalls = [hits[labels == name].mean() for name in np.unique(labels)]
    return {
        "accuracy": float(hits.mean()),
        "balanced_accuracy": float(np.mean(recalls)),
    }


def regress(
    train_Z: npt.ArrayLike,
    train_y: npt.ArrayLike,
    test_Z: npt.ArrayLike,
    test_y: npt.ArrayLike,
    kind: ProbeKind = "ridge",
) -> dict[str, float]:
    """`r2` and `rmse` on the test rows of a regression fitted on the train rows.

    "ridge" (strength by cross-validation), "linear" (least squares) and "knn" (mean of 5 nearest
    neighbors) use features standardized on the train rows. Columns are treated as in `probe`; if
    all are constant (a collapsed encoder), the train mean is predicted.

    Args:
        train_Z: float `(n_train, F)`.
        train_y: numbers `(n_train,)`.
        test_Z: float `(n_test, F)`.
        test_y: numbers `(n_test,)`, at least two different ones.
        kind: "ridge", "linear" or "knn".

    Raises:
        ValueError: for another kind, missing or constant targets, and as `probe`.
    """
    train, test = usable_features(train_Z, test_Z)
    train_targets = check_targets(train_y, len(train), "train")
    test_targets = check_targets(test_y, len(test), "test")
    model = _regressor(kind, len(train))
    if not train.shape[1]:
        model = DummyRegressor()
    model.fit(train, train_targets)
    return target_scores(test_targets, model.predict(test))


def target_scores(
    targets: npt.NDArray[np.float64], predicted: npt.NDArray[np.float64]
) -> dict[str, float]:
    """Coefficient of determination, and root mean squared error in the unit of the targets."""
    return {
        "r2": float(r2_score(targets, predicted)),
        "rmse": float(root_mean_squared_error(targets, predicted)),
    }


def check_targets(y: npt.ArrayLike, n: int, part: str) -> npt.NDArray[np.float64]:
    """Targets `(n,)` as float64; ValueError if any is missing, or if all are equal."""
    targets: npt.NDArray[np.float64] = np.asarray(y, dtype=np.float64)
    if targets.shape != (n,):
        raise ValueError(
            f"expected {n} {part} targets, one per row, got shape {targets.shape}"
        )
    if not np.isfinite(targets).all():
        raise ValueError(f"some {part} targets are missing or infinite")
    if np.ptp(targets) == 0:
        raise ValueError(
            f"all {part} targets are {targets[0]:g}; a regression needs different ones"
        )
    return targets


def usable_features(
    train_Z: npt.ArrayLike, test_Z: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Features whose columns vary in train, NaN replaced by the train mean of the column.

    Raises:
        ValueError: for shapes that do not agree, infinite features, or a row that is all NaN.
    """
    is_single = np.asarray(train_Z).dtype == np.float32
    resolution = FLOAT32_RESOLUTION if is_single else FLOAT64_RESOLUTION
    train = _features(train_Z, "train")
    test = _features(test_Z, "test")
    if train.shape[1] != test.shape[1]:
        raise ValueError(
            f"expected {train.shape[1]} test features as in train, got {test.shape[1]}"
        )
    imputer = SimpleImputer(keep_empty_features=True).fit(train)
    train = imputer.transform(train)
    test = imputer.transform(test)
    scale = np.abs(train).max(axis=0)
    varies = np.ptp(train, axis=0) > resolution * scale
    return train[:, varies], test[:, varies]


def compare(
    features: Mapping[str, tuple[npt.ArrayLike, npt.ArrayLike]],
    train_y: Any,
    test_y: Any,
    kind: ProbeKind = "ridge",
    seed: int = 0,
    task: Task = "classification",
) -> list[dict[str, Any]]:
    """The same probe on several features, the rows of one table.

    Args:
        features: name -> `(train_Z, test_Z)`, as in `probe`; for example `controls(...)` and
            embeddings.
        train_y: labels `(n_train,)`, or numbers for a regression.
        test_y: labels `(n_test,)`, or numbers.
        kind: see `probe` and `regress`.
        seed: see `probe`.
        task: "classification" or "regression".

    Returns:
        One row per entry, in the given order: `features` (the name), `probe` (the kind), and
        `accuracy` and `balanced_accuracy`, or `r2` and `rmse`.

    Raises:
        ValueError: as `probe`, with the name of the features in front.
    """
    rows: list[dict[str, Any]] = []
    for name, (train_Z, test_Z) in features.items():
        try:
            if task == "regression":
                scores = regress(train_Z, train_y, test_Z, test_y, kind)
            else:
                scores = classify(train_Z, train_y, test_Z, test_y, kind, seed)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        rows.append({"features": name, "probe": kind, **scores})
    return rows


def controls(
    train: Sequence[FloatArray],
    test: Sequence[FloatArray],
    seed: int = 0,
    on_sequences: Callable[[int], None] = lambda count: None,
) -> dict[str, Pair]:
    """Features without an encoder: raw values, mean/std/min/max, MiniRocket if aeon is installed.

    Args:
        train: series `(time_i, channels)`. The longest, up to `LONGEST_RAW` timesteps, sets the
            length of the raw values.
        test: series with the same channels.
        seed: seed of MiniRocket.
        on_sequences: called with numbers of sequences that MiniRocket has transformed.

    Returns:
        name -> `(train_Z, test_Z)`, the input of `compare`.
    """
    length = min(max(len(x) for x in train), LONGEST_RAW)
    features: dict[str, Pair] = {
        "raw values": (raw_features(train, length), raw_features(test, length)),
        "mean/std/min/max": (stat_features(train), stat_features(test)),
    }
    if has_minirocket():
        features["MiniRocket"] = minirocket_features(train, test, seed, on_sequences)
    return features


def has_minirocket() -> bool:
    """Whether aeon, which has MiniRocket, is installed."""
    return importlib.util.find_spec("aeon") is not None


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
    train: Sequence[FloatArray],
    test: Sequence[FloatArray],
    seed: int = 0,
    on_sequences: Callable[[int], None] = lambda count: None,
) -> Pair:
    """MiniRocket (arXiv 2012.08791) fitted on train: `(train_Z, test_Z)`, float32 `(n, 9996)`.

    MiniRocket takes series of one length: all are resampled to the longest of train, at least 9
    timesteps. A channel that a series lacks becomes the train mean. `on_sequences` is called with
    numbers of series that are transformed.

    Raises:
        ModuleNotFoundError: without aeon; `pip install "temporal-jepa[aeon]"`.
    """
    import torch
    from aeon.transformations.collection.convolution_based import MiniRocket

    length = max(SHORTEST_MINIROCKET, *(len(x) for x in train))
    channels = train[0].shape[1]
    train_X = raw_features(train, length).reshape(-1, length, channels)
    test_X = raw_features(test, length).reshape(-1, length, channels)
    mean = np.nanmean(train_X, axis=(0, 1))
    train_X = np.where(np.isnan(train_X), mean, train_X)
    test_X = np.where(np.isnan(test_X), mean, test_X)
    if any(x.dtype == np.float64 for x in train):  # float32 cannot hold how they vary
        train_X = train_X - mean
        test_X = test_X - mean
    train_X = train_X.transpose(0, 2, 1).astype(np.float32)  # (n, channels, length)
    test_X = test_X.transpose(0, 2, 1).astype(np.float32)
    # MiniRocket draws from numpy's global generator: one fit at a time, and its state is restored.
    # So is torch's number of threads: numba sets it to all cores when it starts its own.
    with _MINIROCKET, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constant series
        state = np.random.get_state()  # noqa: NPY002
        threads = torch.get_num_threads()
        try:
            rocket = MiniRocket(random_state=seed).fit(train_X)
            found = []
            for X in (train_X, test_X):
                parts = []
                for start in range(0, len(X), MINIROCKET_ROWS):
                    part = X[start : start + MINIROCKET_ROWS]
                    parts.append(rocket.transform(part))
                    on_sequences(len(part))
                found.append(np.concatenate(parts))
        finally:
            np.random.set_state(state)  # noqa: NPY002
            torch.set_num_threads(threads)
        return found[0], found[1]


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
    missing = np.flatnonzero([is_missing(label) for label in labels.tolist()])
    if len(missing) > 0:
        raise ValueError(
            f"{len(missing)} {part} labels are missing, first in row {missing[0]}"
        )
    return as_labels(labels)


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


def _regressor(kind: ProbeKind, n: int) -> Any:
    """An unfitted scikit-learn regression for `n` train rows."""
    if kind == "ridge":
        return make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-3, 3, 10)))
    if kind == "linear":
        return make_pipeline(StandardScaler(), LinearRegression())
    if kind == "knn":
        return make_pipeline(StandardScaler(), KNeighborsRegressor(min(5, n)))
    raise ValueError(
        f"kind={kind!r} scores classes; for a regression choose ridge, linear or knn"
    )


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
