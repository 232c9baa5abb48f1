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
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.linear_model import RidgeClassifierCV, RidgeCV
from sklearn.model_selection import ShuffleSplit, StratifiedShuffleSplit
from sklearn.pipeline import make_pipeline
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
from .embedder import TemporalJEPAEmbedder, as_seed

MASK_RATIO = 0.3  # of the observed tokens, in each step
HELD_OUT = 0.25  # fraction of the series on which the number of steps is chosen
FEWEST = 16  # series for holding out any
STAGES = 4  # numbers of steps to choose from, besides 0
CHANNEL_ROWS = 64  # channels of a batch at most, where each is encoded separately


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
        parameters = self.get_params(deep=False)
        base = parameters.pop("base")
        return type(self)(base=base, **copy.deepcopy(parameters))

    @torch.inference_mode(False)
    def _fit(
        self,
        X: Any,
        targets: npt.NDArray[Any],
        head: Any,
        classes: npt.NDArray[Any] | None,
    ) -> None:
        """Fit `embedder_` and `head_`.

        Args:
            X: series.
            targets: `(n,)`, float or class numbers.
            head: an unfitted ridge model.
            classes: `(n,)`, class numbers to stratify by, None for regression.
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
        check_consistent_length(sequences.values, targets)
        self.scores_ = self._scores_of_stages(sequences, targets, head, classes, seed)
        # The fewest steps among the best.
        self.steps_ = max(
            self.scores_, key=lambda steps: (self.scores_[steps], -steps), default=0
        )
        if self.steps_:
            stages = [self.steps_]
            for _ in _finetune(self.embedder_, sequences, targets, stages, self, seed):
                pass
        features = _embedded(self.embedder_, sequences)
        self.head_ = head.fit(features, targets)

    def _scores_of_stages(
        self,
        sequences: Sequences,
        targets: npt.NDArray[Any],
        head: Any,
        classes: npt.NDArray[Any] | None,
        seed: int,
    ) -> dict[int, float]:
        """Score on held-out series after each number of steps; empty for too few series."""
        stages = np.unique(np.linspace(0, self.steps, STAGES + 1).astype(int)).tolist()
        split = _held_out(classes, len(sequences), seed)
        if split is None or len(stages) == 1:
            return {}
        train, held_out = (sequences.select(rows) for rows in split)
        train_targets, held_out_targets = (targets[rows] for rows in split)
        embedder = copy.deepcopy(self.embedder_)
        scores = {}
        for steps in _finetune(embedder, train, train_targets, stages, self, seed):
            fitted = clone(head).fit(_embedded(embedder, train), train_targets)
            features = _embedded(embedder, held_out)
            scores[steps] = float(fitted.score(features, held_out_targets))
        return scores

    def _features(self, X: Any) -> npt.NDArray[np.float32]:
        """Embeddings of `X`; NotFittedError before `fit`."""
        check_is_fitted(self)
        return self.embedder_.transform(X)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags


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

    >>> rng = np.random.default_rng(0)
    >>> X, y = rng.normal(size=(20, 1, 32)), np.repeat(["low", "high"], 10)
    >>> X[y == "high"] += 2
    >>> base = TemporalJEPAEmbedder(steps=2, pool="mean", random_state=0).fit(X)
    >>> TemporalJEPAClassifier(base, steps=4, random_state=0).fit(X, y).score(X, y)
    1.0
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Fine-tune on series and their classes.

        Args:
            X: series, as in `TemporalJEPAEmbedder`.
            y: `(n,)`.

        Raises:
            ValueError: for fewer than 2 classes, continuous targets, lengths that differ, or series
                that the embedder refuses.
        """
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"expected at least 2 classes, got {len(y)} series of {len(self.classes_)} class"
            )
        head = make_pipeline(
            StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 10))
        )
        self._fit(X, codes, head, classes=codes)
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


class TemporalJEPARegressor(RegressorMixin, _FineTuner):
    """Regression of one number per series. Arguments as `TemporalJEPAClassifier`.

    `scores_` are coefficients of determination.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Fine-tune on series and numbers `y (n,)`; raises as `TemporalJEPAClassifier.fit`."""
        y = column_or_1d(y, dtype=np.float64, warn=True)
        assert_all_finite(y, input_name="y")
        head = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 10)))
        self._fit(X, y, head, classes=None)
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


def _held_out(
    classes: npt.NDArray[Any] | None, n: int, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None:
    """Indices to fine-tune on and to choose the number of steps on; None if there are too few."""
    if n < FEWEST:
        return None
    splitter: Any = ShuffleSplit(1, test_size=HELD_OUT, random_state=seed)
    if classes is not None:
        counts = np.bincount(classes)
        if counts.min() < 2 or round(HELD_OUT * n) < len(counts):
            return None
        splitter = StratifiedShuffleSplit(1, test_size=HELD_OUT, random_state=seed)
    train, held_out = next(splitter.split(np.zeros(n), classes))
    return train, held_out


def _finetune(
    embedder: TemporalJEPAEmbedder,
    sequences: Sequences,
    targets: npt.NDArray[Any],
    stages: list[int],
    options: "_FineTuner",
    seed: int,
) -> Iterator[int]:
    """Fine-tune the encoder of `embedder` in place; yields the number of steps at each stage."""
    model = embedder.model_
    encoder = model.target_encoder
    device = next(model.parameters()).device
    total = max(stages)
    is_classification = targets.dtype.kind in "iu"
    goal = torch.from_numpy(
        targets if is_classification else _standardized(targets)
    ).to(device)
    outputs = int(targets.max()) + 1 if is_classification else 1
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
        error = _error(head(reader.features(x, MASK_RATIO, masks)), goal[rows])
        optimizer.zero_grad()
        error.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        encoder.requires_grad_(False)


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


def _error(outputs: Tensor, goal: Tensor) -> Tensor:
    """Cross-entropy for classes, squared error for numbers."""
    if outputs.shape[1] == 1:
        return nn.functional.mse_loss(outputs[:, 0], goal)
    return nn.functional.cross_entropy(outputs, goal)
