"""Probabilities and clusters of the scikit-learn estimators, beside simple controls.

python benchmarks/probabilities.py [--seeds 3] [--clusters]

The labeled sets that ship with aeon, at most 400 series of each. Probabilities: the log loss on
half of the series of classifiers fitted on the other half, clean and with a fifth of all labels
drawn at random; features of `series-small`, no fine-tuning. "temperature 1" is the softmax of ridge
scores as they are, "sigmoid" scikit-learn's `CalibratedClassifierCV` of the same ridge model, and
"logistic" a logistic regression with C = 0.001. Clusters: normalized mutual information with the
classes, which k-means is told the number of; in brackets the share of series that HDBSCAN leaves
out.
"""

import warnings

import numpy as np
from aeon.datasets import load_classification
from results import markdown_table, parser_of
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.linear_model import LogisticRegression, RidgeClassifierCV
from sklearn.metrics import log_loss, normalized_mutual_info_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from speed import machine

from temporal_jepa import Sequences
from temporal_jepa.estimators import TemporalJEPAClassifier, TemporalJEPAClusterer
from temporal_jepa.evaluation.probes import minirocket_features, raw_features

NAMES = (
    "ACSF1",
    "ArrowHead",
    "BasicMotions",
    "GunPoint",
    "ItalyPowerDemand",
    "JapaneseVowels",
    "OSULeaf",
    "UnitTest",
)
MOST = 400
NOISE = 0.2
Labeled = tuple[list[np.ndarray], np.ndarray]


def load(name: str) -> Labeled:
    """Series and class numbers."""
    X, labels = load_classification(name)
    rows = np.random.default_rng(0).permutation(len(labels))[:MOST]
    return [X[row] for row in rows], np.unique(labels[rows], return_inverse=True)[1]


def log_losses(X: list[np.ndarray], y: np.ndarray, seed: int) -> list[float]:
    """Of ours and the controls, for one random half of the series."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    train, test = order[: len(y) // 2], order[len(y) // 2 :]
    classes, codes = np.unique(y[train], return_inverse=True)
    test = test[np.isin(y[test], classes)]
    ours = TemporalJEPAClassifier("series-small", steps=0, random_state=seed)
    ours.fit([X[row] for row in train], codes)
    tested = [X[row] for row in test]
    found = [ours.predict_proba(tested)]
    ours.temperature_ = 1.0
    found.append(ours.predict_proba(tested))
    ridge = make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 10)))
    folds = max(2, min(5, int(np.bincount(codes).min())))
    controls = [
        CalibratedClassifierCV(ridge, method="sigmoid", ensemble=False, cv=folds),
        make_pipeline(StandardScaler(), LogisticRegression(C=1e-3, max_iter=1000)),
    ]
    Z = ours.embedder_.transform(X).astype(np.float64)
    found += [model.fit(Z[train], codes).predict_proba(Z[test]) for model in controls]
    truth = np.searchsorted(classes, y[test])
    return [log_loss(truth, p, labels=range(len(classes))) for p in found]


def mutual_information(X: list[np.ndarray], y: np.ndarray) -> list[str]:
    """Of k-means on compact embeddings, raw values and MiniRocket, and of HDBSCAN."""
    count = len(np.unique(y))
    ours = TemporalJEPAClusterer(count, random_state=0).fit(X)
    found = [ours.labels_]
    values = Sequences.from_arrays(X).values
    length = max(x.shape[1] for x in X)
    rocket, _ = minirocket_features(values, values[:1], 0)
    k_means = make_pipeline(StandardScaler(), KMeans(count, n_init=10, random_state=0))
    found += [k_means.fit_predict(Z) for Z in (raw_features(values, length), rocket)]
    scores = [normalized_mutual_info_score(y, labels) for labels in found]
    density = HDBSCAN(min_cluster_size=5, copy=True)
    labels = TemporalJEPAClusterer(clusterer=density).fit_predict(X)
    of_density = normalized_mutual_info_score(y, labels)
    left_out = np.mean(labels < 0)
    return [*(f"{score:.2f}" for score in scores), f"{of_density:.2f} ({left_out:.0%})"]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--clusters", action="store_true", help="clusters alone")
    given = parser.parse_args()
    if given.clusters:
        print_clusters()
        return
    seeds = range(given.seeds)
    warnings.simplefilter("ignore")  # of solvers that stop early
    losses = []
    for name in NAMES:
        X, y = load(name)
        clean = np.mean([log_losses(X, y, seed) for seed in seeds], axis=0)
        noisy = []
        for seed in seeds:
            rng = np.random.default_rng([seed, 1])
            drawn = rng.integers(0, y.max() + 1, len(y))
            labels = np.where(rng.random(len(y)) < NOISE, drawn, y)
            noisy.append(log_losses(X, labels, seed))
        losses.append([*clean, *np.mean(noisy, axis=0)])
        print(name, *(f"{loss:.3f}" for loss in losses[-1]), flush=True)
    kinds = ["ours", "temperature 1", "sigmoid", "logistic"]
    head = ["set", *kinds, *(f"{kind}, noisy" for kind in kinds)]
    rows = [
        [name, *(f"{loss:.3f}" for loss in row)]
        for name, row in zip(NAMES, losses, strict=True)
    ]
    rows.append(["mean", *(f"{loss:.3f}" for loss in np.mean(losses, axis=0))])
    print(machine())
    print(markdown_table(head, rows))
    print_clusters()


def print_clusters() -> None:
    """The table of clusters."""
    warnings.simplefilter("ignore")
    head = ["set", "k-means", "of raw values", "of MiniRocket", "HDBSCAN (left out)"]
    rows = [[name, *mutual_information(*load(name))] for name in NAMES]
    print(machine())
    print(markdown_table(head, rows))


if __name__ == "__main__":
    main()
