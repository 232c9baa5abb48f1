"""Fine-tuning with labels, as a scikit-learn classifier or regressor.

A ridge model is fitted on frozen features first. Then the encoder is trained on the labels, a
random part of the tokens masked in each step, and a ridge head is refitted on the tuned features.
The number of steps is chosen on held-out training series; 0 steps is one of the candidates, since
with few labels frozen features are often the best.
"""

import copy
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import torch
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax
from sklearn import config_context
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.linear_model import RidgeClassifier, RidgeClassifierCV, RidgeCV
from sklearn.model_selection import (
    ShuffleSplit,
    StratifiedKFold,
    StratifiedShuffleSplit,
)
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
)
from torch import Tensor, nn

from ..data.labels import task_of
from ..data.sequences import Sequences
from ..embed import embed_sequences
from .embedder import TemporalJEPAEmbedder, as_seed, kept_fitted

MASK_RATIO = 0.3  # of the observed tokens, in each step
HELD_OUT = 0.25  # fraction of the series on which the number of steps is chosen
FEWEST = 16  # series for holding out any
STAGES = 4  # numbers of steps to choose from, besides 0
CHANNEL_ROWS = 64  # channels of a batch at most, where each is encoded separately
FOLDS = 5  # of a cross-validation that calibrates probabilities
LOG_TEMPERATURES = (-5.0, 3.0)  # between which the temperature lies

# Routing of metadata is about the estimators of the caller, not about those in here.
PLAIN = partial(config_context, enable_metadata_routing=False)

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]


class _FineTuner(BaseEstimator):
    """Shared by `TemporalJEPAClassifier` and `TemporalJEPARegressor`."""

    def __init__(
        self,
        base: TemporalJEPAEmbedder | str | os.PathLike[str] | None = None,
        steps: int = 200,
        batch_size: int = 32,
        lr: float = 5e-4,
        random_state: int | np.random.RandomState | None = None,
        device: str = "cpu",
    ):
        self.base = base
        self.steps = steps
        self.batch_size = batch_size
        self.lr = lr
        self.random_state = random_state
        self.device = device

    def _initial_embedder(self, X: Any, seed: int) -> TemporalJEPAEmbedder:
        """The embedder to fine-tune: fitted, loaded, or a copy of the given one."""
        if self.base is None:
            return TemporalJEPAEmbedder(random_state=seed, device=self.device).fit(X)
        if not isinstance(self.base, TemporalJEPAEmbedder):
            return TemporalJEPAEmbedder.from_pretrained(self.base, device=self.device)
        if hasattr(self.base, "model_"):
            return copy.deepcopy(self.base)
        fitted: TemporalJEPAEmbedder = clone(self.base).fit(X)
        return fitted

    def __sklearn_clone__(self) -> Self:
        """A fitted base stays fitted in a clone, so that cross-validation fine-tunes it."""
        fresh: Self = super().__sklearn_clone__()
        fresh.base = kept_fitted(self.base, fresh.base)
        return fresh

    @torch.inference_mode(False)
    def _fit(
        self,
        X: Any,
        y: Array,
        head: Pipeline,
        weights: Floats | None,
        is_classification: bool = False,
    ) -> Array:
        """Fit `embedder_` and `head_`.

        Args:
            X: series.
            y: `(n,)`, float or class numbers.
            head: an unfitted ridge model.
            weights: `(n,)`, or None. Series of weight 0 are left out.
            is_classification: whether `y` are class numbers.

        Returns:
            the features of the series that are not left out, `(m, features)`.
        """
        if self.steps < 0 or self.batch_size < 1 or not self.lr > 0:
            raise ValueError(
                "steps must be at least 0, batch_size at least 1 and lr above 0, got "
                f"{self.steps}, {self.batch_size} and {self.lr}"
            )
        seed = as_seed(self.random_state)
        self.embedder_ = self._initial_embedder(X, seed)
        sequences = self.embedder_.sequences(X)
        if (
            self.embedder_.channels_ is None
        ):  # a general encoder is bound to these channels
            self.embedder_.channels_ = sequences.n_channels
            self.embedder_.n_features_in_ = sequences.n_channels
        self.n_features_in_ = self.embedder_.n_features_in_
        check_consistent_length(sequences.values, y)
        labeled = _Labeled(sequences, y, weights, is_classification).observed()
        self.scores_, decisions = self._try_stages(labeled, head, seed)
        # The fewest steps among the best.
        self.steps_ = max(
            self.scores_, key=lambda steps: (self.scores_[steps], -steps), default=0
        )
        if self.steps_:
            for _ in _finetune(self.embedder_, labeled, [self.steps_], self, seed):
                pass
        self._held_out_decisions = decisions.get(self.steps_)
        features = _embedded(self.embedder_, labeled.sequences)
        self.head_ = _fit_head(head, features, labeled.y, labeled.weights)
        return features

    def _try_stages(
        self, labeled: "_Labeled", head: Pipeline, seed: int
    ) -> tuple[dict[int, float], dict[int, "_Decisions"]]:
        """Fine-tune a copy on three quarters of the series, and score it on the others.

        Returns:
            the score after each number of steps, and for classes the decisions; empty for too few
            series.
        """
        stages = np.unique(np.linspace(0, self.steps, STAGES + 1).astype(int)).tolist()
        split = _held_out(labeled, seed)
        if split is None or len(stages) == 1:
            return {}, {}
        train, held_out = (labeled.select(rows) for rows in split)
        embedder = copy.deepcopy(self.embedder_)
        scores = {}
        decisions = {}
        for steps in _finetune(embedder, train, stages, self, seed):
            features = _embedded(embedder, train.sequences)
            fitted = _fit_head(clone(head), features, train.y, train.weights)
            features = _embedded(embedder, held_out.sequences)
            with PLAIN():
                score = fitted.score(features, held_out.y, held_out.weights)
            scores[steps] = float(score)
            if labeled.is_classification:
                logits = _logits(fitted.decision_function(features))
                decisions[steps] = _Decisions(logits, held_out.y, held_out.weights)
        return scores, decisions

    def _features(self, X: Any) -> npt.NDArray[np.float32]:
        """Embeddings of `X`; NotFittedError before `fit`."""
        check_is_fitted(self)
        return self.embedder_.transform(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags


@dataclass(frozen=True)
class _Labeled:
    """Series with their targets.

    Args:
        sequences: `n` series.
        y: `(n,)`, float or class numbers.
        weights: `(n,)`, or None.
        is_classification: whether `y` are class numbers.
    """

    sequences: Sequences
    y: Array
    weights: Floats | None
    is_classification: bool

    def select(self, rows: Array) -> "_Labeled":
        """The series at these indices, or where a mask is True."""
        weights = None if self.weights is None else self.weights[rows]
        return replace(
            self,
            sequences=self.sequences.select(rows),
            y=self.y[rows],
            weights=weights,
        )

    def observed(self) -> "_Labeled":
        """Without series of weight 0."""
        if self.weights is None:
            return self
        return self.select(self.weights > 0)


class _Decisions(NamedTuple):
    """Ridge scores of series that the encoder and the ridge model were not trained on."""

    logits: Floats  # (n, classes)
    codes: Array  # (n,), the true classes
    weights: Floats | None  # (n,)


class TemporalJEPAClassifier(ClassifierMixin, _FineTuner):
    """Classify series with an encoder that is fine-tuned on their labels.

    Args:
        base: a fitted `TemporalJEPAEmbedder`; an unfitted one, which is fitted on `X` first; a run
            folder or the name of a model to load; None: the default embedder, fitted on `X`.
        steps: maximum number of optimizer steps; 0 leaves the encoder frozen.
        batch_size: series per step.
        lr: peak learning rate of the encoder.
        random_state: int for reproducible results, a RandomState, or None.
        device: "cpu", "cuda", ..., or "auto"; a fitted `base` stays on its device.

    Attributes:
        embedder_: the fine-tuned embedder.
        head_: ridge classifier on its standardized features.
        steps_: the number of steps that was chosen.
        scores_: accuracy on held-out training series after each number of steps.
        classes_: the classes, sorted.
        temperature_: what ridge scores are divided by before their softmax is a probability; chosen
            on series that encoder and ridge model were not trained on.

    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(20, 1, 32)), np.repeat(["low", "high"], 10)
    >>> X[y == "high"] += 2
    >>> base = TemporalJEPAEmbedder(steps=2, pool="mean", random_state=0).fit(X)
    >>> TemporalJEPAClassifier(base, steps=4, random_state=0).fit(X, y).score(X, y)
    1.0
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fine-tune on series and their classes.

        Args:
            X: series, as in `TemporalJEPAEmbedder`.
            y: `(n,)`.
            sample_weight: `(n,)`, how much each series counts in the loss, the ridge model, the
                choice of steps and the probabilities; a series of weight 0 is left out there. None:
                1 each. An encoder that is fitted on `X` first weighs all series alike.

        Raises:
            ValueError: for fewer than 2 classes, continuous targets, lengths that differ, weights
                below 0, or series that the embedder refuses.
        """
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        weights = _as_weights(sample_weight, len(y))
        counted = y if weights is None else y[weights > 0]
        self.classes_ = np.unique(counted)
        if len(self.classes_) < 2:
            raise ValueError(
                f"expected at least 2 classes, got {len(counted)} series of "
                f"{len(self.classes_)} class"
            )
        codes = np.searchsorted(self.classes_, y).clip(max=len(self.classes_) - 1)
        head = make_pipeline(
            StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 10))
        )
        features = self._fit(X, codes, head, weights, is_classification=True)
        decisions = self._held_out_decisions
        if decisions is None or self.steps_ == 0:  # features do not depend on labels
            if weights is not None:
                codes = codes[weights > 0]
                weights = weights[weights > 0]
            alpha = float(self.head_[-1].alpha_)
            decisions = _cross_validated(features, codes, weights, alpha)
        self.temperature_ = _temperature(decisions)
        del self._held_out_decisions
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The class of each series, `(n,)`."""
        features = self._features(X)
        codes = self.head_.predict(features)
        return np.asarray(self.classes_[codes])

    def decision_function(self, X: Any) -> npt.NDArray[np.float64]:
        """Ridge scores: `(n, classes)`, or `(n,)` for two classes, positive for the second."""
        features = self._features(X)
        return np.asarray(self.head_.decision_function(features))

    def predict_proba(self, X: Any) -> Floats:
        """The probability of each class, `(n, classes)`, in the order of `classes_`.

        The softmax of the ridge scores divided by `temperature_`. The most probable class is that
        of `predict`.
        """
        logits = _logits(self.decision_function(X))
        return np.asarray(softmax(logits / self.temperature_, axis=1))


class TemporalJEPARegressor(RegressorMixin, _FineTuner):
    """Regression of one number per series. Arguments as `TemporalJEPAClassifier`.

    `scores_` are coefficients of determination.

    >>> X = np.random.default_rng(0).normal(size=(12, 1, 40)).cumsum(-1)
    >>> regressor = TemporalJEPARegressor("series-small", steps=0).fit(X, X.mean((1, 2)))
    >>> regressor.predict(X[:2]).shape
    (2,)
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fine-tune on series and numbers `y (n,)`.

        `sample_weight` and errors are as in `TemporalJEPAClassifier.fit`.
        """
        y = column_or_1d(y, dtype=np.float64, warn=True)
        assert_all_finite(y, input_name="y")
        head = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 10)))
        self._fit(X, y, head, _as_weights(sample_weight, len(y)))
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """The number of each series, `(n,)`."""
        features = self._features(X)
        return np.asarray(self.head_.predict(features))


def finetune(
    X: Any, y: Any = None, **options: Any
) -> TemporalJEPAClassifier | TemporalJEPARegressor:
    """Fit a classifier, or a regressor if the targets are numbers with a fraction.

    Args:
        X: series, as in `TemporalJEPAEmbedder`.
        y: targets `(n,)`; for `Sequences` their labels by default, see `task_of`.
        options: arguments of the classifier or regressor.

    >>> X, y = np.random.default_rng(0).normal(size=(20, 1, 32)), np.linspace(0.1, 2, 20)
    >>> base = TemporalJEPAEmbedder(steps=2, pool="mean", random_state=0)
    >>> type(finetune(X, y, base=base, steps=2, random_state=0)).__name__
    'TemporalJEPARegressor'
    """
    if y is None and isinstance(X, Sequences) and X.labels is not None:
        y = X.labels
        if (X.task or task_of(y, X.source)) == "regression":
            return TemporalJEPARegressor(**options).fit(X, X.targets())
    if y is None:
        raise ValueError("fine-tuning needs labels: pass y, or sequences with labels")
    if type_of_target(y).startswith("continuous"):
        return TemporalJEPARegressor(**options).fit(X, y)
    return TemporalJEPAClassifier(**options).fit(X, y)


def _as_weights(sample_weight: Any, n: int) -> Floats | None:
    """Weights `(n,)`; ValueError unless they are finite, not negative, and some above 0."""
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (n,):
        raise ValueError(
            f"expected sample_weight of shape ({n},), one weight for each series, got "
            f"{weights.shape}"
        )
    if not np.isfinite(weights).all() or weights.min() < 0 or weights.max() == 0:
        raise ValueError(
            "sample_weight must be finite, at least zero, and not zero for all series"
        )
    return weights


def _fit_head(
    head: Pipeline, features: Array, y: Array, weights: Floats | None
) -> Pipeline:
    """Fit a scaler and a ridge model, weighted alike."""
    given = {}
    if weights is not None:
        given = {f"{name}__sample_weight": weights for name in head.named_steps}
    with PLAIN():
        return head.fit(features, y, **given)


def _logits(decisions: Array) -> Floats:
    """Decisions `(n, classes)`; those of two classes, `(n,)`, become `(n, 2)`."""
    decisions = decisions.astype(np.float64)
    if decisions.ndim == 1:
        return np.stack([-decisions / 2, decisions / 2], axis=1)
    return decisions


def _cross_validated(
    features: Array, codes: Array, weights: Floats | None, alpha: float
) -> _Decisions | None:
    """Ridge scores of series that the ridge model of their fold was not fitted on.

    Series that are the only ones of their class are never held out. None if all are.
    """
    counts = np.bincount(codes)
    others = np.flatnonzero(counts[codes] > 1)
    if not len(others):
        return None
    folds = min(FOLDS, int(counts[counts > 1].min()))
    features = features.astype(np.float64)  # a small alpha is lost in float32
    splitter = StratifiedKFold(folds, shuffle=True, random_state=0)
    logits = np.zeros((len(codes), len(counts)))
    for _, chosen in splitter.split(others, codes[others]):
        held_out = others[chosen]
        rows = np.setdiff1d(np.arange(len(codes)), held_out)
        head = make_pipeline(StandardScaler(), RidgeClassifier(alpha))
        of_rows = None if weights is None else weights[rows]
        _fit_head(head, features[rows], codes[rows], of_rows)
        logits[held_out] = _logits(head.decision_function(features[held_out]))
    chosen_weights = None if weights is None else weights[others]
    return _Decisions(logits[others], codes[others], chosen_weights)


def _temperature(decisions: _Decisions | None) -> float:
    """The temperature with the lowest log loss (Guo et al. 2017); 1 without decisions.

    Classes are smoothed as in Platt scaling, so that few series do not make it 0.
    """
    if decisions is None:
        return 1.0
    logits, codes, weights = decisions
    n, count = logits.shape
    goal = np.full(logits.shape, 1 / (n + count))
    goal[np.arange(n), codes] += n / (n + count)

    def log_loss(log_temperature: float) -> float:
        scaled = log_softmax(logits / np.exp(log_temperature), axis=1)
        losses = -(goal * scaled).sum(1)
        return float(np.average(losses, weights=weights))

    found = minimize_scalar(log_loss, bounds=LOG_TEMPERATURES, method="bounded")
    return float(np.exp(found.x))


def _held_out(
    labeled: _Labeled, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None:
    """Indices to fine-tune on and to choose the number of steps on; None if there are too few."""
    n = len(labeled.sequences)
    if n < FEWEST:
        return None
    splitter: Any = ShuffleSplit(1, test_size=HELD_OUT, random_state=seed)
    classes = None
    if labeled.is_classification:
        classes = labeled.y
        counts = np.bincount(classes)
        if counts.min() < 2 or round(HELD_OUT * n) < len(counts):
            return None
        splitter = StratifiedShuffleSplit(1, test_size=HELD_OUT, random_state=seed)
    train, held_out = next(splitter.split(np.zeros(n), classes))
    return train, held_out


def _finetune(
    embedder: TemporalJEPAEmbedder,
    labeled: _Labeled,
    stages: list[int],
    options: "_FineTuner",
    seed: int,
) -> Iterator[int]:
    """Fine-tune the encoder of `embedder` in place; yields the number of steps at each stage."""
    sequences = labeled.sequences
    model = embedder.model_
    encoder = model.target_encoder
    device = next(model.parameters()).device
    total = max(stages)
    outputs = int(labeled.y.max()) + 1 if labeled.is_classification else 1
    goal, weights = (part.to(device) for part in _goal(labeled))
    head = _Head(_embedded(embedder, sequences), outputs).to(device)
    optimizer = _optimizer(encoder, head, options.lr)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 + 0.5 * math.cos(math.pi * step / total)
    )
    batch_size = min(options.batch_size, len(sequences))
    if model.config.channel_independent:  # a series is a batch of channels
        batch_size = min(batch_size, max(2, CHANNEL_ROWS // sequences.n_channels))
    order = np.random.default_rng([seed, 6])
    masks = torch.Generator().manual_seed(seed)
    reader = model.embedder(embedder.pool, embedder.dim)
    for step in range(total + 1):
        if step in stages:
            yield step
        if step == total:
            return
        rows = order.choice(len(sequences), batch_size, replace=False)
        x = torch.from_numpy(sequences.batch(rows)).to(device)
        encoder.requires_grad_(True)
        predicted = head(reader.features(x, MASK_RATIO, masks))
        error = _error(predicted, goal[rows], weights[rows])
        optimizer.zero_grad()
        error.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        encoder.requires_grad_(False)


def _goal(labeled: _Labeled) -> tuple[Tensor, Tensor]:
    """What is to be predicted, class numbers or standardized numbers, and weights, `(n,)` each."""
    y = labeled.y if labeled.is_classification else _standardized(labeled.y)
    weights = np.ones(len(y)) if labeled.weights is None else labeled.weights
    return torch.from_numpy(y), torch.from_numpy(weights).float()


def _embedded(
    embedder: TemporalJEPAEmbedder, sequences: Sequences
) -> npt.NDArray[np.float32]:
    """The features of `TemporalJEPAEmbedder.transform`, `(n, features)`."""
    return embed_sequences(embedder.model_, sequences, embedder.pool, dim=embedder.dim)


def _optimizer(encoder: nn.Module, head: nn.Module, lr: float) -> torch.optim.Optimizer:
    """AdamW, the head at twice the learning rate of the encoder."""
    groups = [
        {"params": [*encoder.parameters()], "lr": lr},
        {"params": [*head.parameters()], "lr": 2 * lr},
    ]
    is_fused = next(encoder.parameters()).device.type != "mps"
    return torch.optim.AdamW(
        groups, weight_decay=0.01, betas=(0.9, 0.95), fused=is_fused
    )


class _Head(nn.Module):
    """A linear map, initialized to zero, of features standardized as before fine-tuning."""

    mean: Tensor
    std: Tensor

    def __init__(self, features: npt.NDArray[np.float32], outputs: int):
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(features.mean(0)))
        self.register_buffer("std", torch.from_numpy(features.std(0) + 1e-3))
        self.weight = nn.Parameter(
            torch.zeros(outputs, features.shape[1], dtype=torch.float32)
        )
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=torch.float32))

    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.linear(
            (features - self.mean) / self.std, self.weight, self.bias
        )


def _standardized(y: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return np.asarray((y - y.mean()) / (y.std() or 1.0), dtype=np.float32)


def _error(outputs: Tensor, goal: Tensor, weights: Tensor) -> Tensor:
    """Cross-entropy for classes, squared error for numbers; the weighted mean."""
    if outputs.shape[1] == 1:
        errors = (outputs[:, 0] - goal).square()
    else:
        errors = nn.functional.cross_entropy(outputs, goal, reduction="none")
    return (errors * weights).sum() / weights.sum()
