"""With labels: the encoder fine-tuned for one task, as a scikit-learn classifier or regressor.

A ridge model on frozen features comes first. Then the encoder itself learns from the labels for a while, part of each
series hidden at random, and a ridge model is fitted on what it has become. How long is decided on held-out training
series, where no time at all is one of the choices: with few labels the frozen features are often the best.
"""

import contextlib
import copy
import math
import os
from collections.abc import Callable, Iterator
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
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d
from torch import Tensor, nn

from ..config import Pool
from ..data.sequences import Sequences
from ..embed import embed_sequences
from ..model.encoder import view_pool
from ..model.jepa import TemporalJEPA
from ..model.masks import draw_visible
from ..model.multiscale import ROWS, bridged, channel_signs, standardised, values_beside
from .embedder import TemporalJEPAEmbedder, as_seed

HIDDEN = 0.3  # share of the observed tokens that fine-tuning hides in each step
# share of the series that decides how long, from so many series on
HELD_OUT = 0.25
FEWEST = 16
STAGES = 4  # lengths of fine-tuning to choose among, besides none


class _FineTuner(BaseEstimator):
    """What classifier and regressor share; see there."""

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

    def _start(self, X: Any, seed: int) -> TemporalJEPAEmbedder:
        """The embedder to start from: fitted, loaded, or a copy of the one given."""
        if isinstance(self.base, TemporalJEPAEmbedder):
            return (
                copy.deepcopy(self.base)
                if hasattr(self.base, "model_")
                else clone(self.base).fit(X)
            )
        if self.base is None:
            return TemporalJEPAEmbedder(random_state=seed, device=self.device).fit(X)
        return TemporalJEPAEmbedder.from_pretrained(self.base, device=self.device)

    def __sklearn_clone__(self) -> Self:
        """A fitted base stays fitted in a clone: in cross-validation too, it is where fine-tuning starts."""
        parameters = self.get_params(deep=False)
        return type(self)(
            **{name: v if name == "base" else copy.deepcopy(v) for name, v in parameters.items()}
        )

    def _learn(
        self, X: Any, targets: npt.NDArray[Any], head: Any, groups: npt.NDArray[Any] | None
    ) -> None:
        """Fit `embedder_` and `head_`; targets float `(n,)` or class numbers, groups the classes to hold out evenly."""
        if self.steps < 0 or self.batch_size < 1 or not self.lr > 0:
            raise ValueError(
                f"steps must be at least 0, batch_size at least 1 and lr above 0, got {self.steps}, "
                f"{self.batch_size} and {self.lr}"
            )
        seed = as_seed(self.random_state)
        self.embedder_ = self._start(X, seed)
        sequences = self.embedder_.sequences(X)
        if self.embedder_.channels_ is None:  # one that takes any keeps to these from now on
            self.embedder_.channels_ = self.embedder_.n_features_in_ = sequences.n_channels
        self.n_features_in_ = self.embedder_.n_features_in_
        check_consistent_length(sequences.values, targets)
        stages = np.unique(np.linspace(0, self.steps, STAGES + 1).astype(int)).tolist()
        self.scores_: dict[int, float] = {}
        split = _held_out(groups, len(sequences), seed) if len(stages) > 1 else None
        if split is not None:
            rest, held = split
            model = copy.deepcopy(self.embedder_.model_)
            for stage, done in _tune(
                model, sequences.select(rest), targets[rest], stages, self, seed
            ):
                fitted = copy.deepcopy(head).fit(
                    self._features(done, sequences.select(rest)), targets[rest]
                )
                self.scores_[stage] = float(
                    fitted.score(self._features(done, sequences.select(held)), targets[held])
                )
        self.steps_ = max(self.scores_, key=lambda s: (self.scores_[s], -s)) if self.scores_ else 0
        if self.steps_:
            for _ in _tune(self.embedder_.model_, sequences, targets, [self.steps_], self, seed):
                pass
        self.head_ = head.fit(self._features(self.embedder_.model_, sequences), targets)

    def _features(self, model: TemporalJEPA, sequences: Sequences) -> npt.NDArray[np.float32]:
        return embed_sequences(model, sequences, self.embedder_.pool)

    def _outputs(self, X: Any, method: str) -> Any:
        check_is_fitted(self)
        sequences = self.embedder_.sequences(X)
        return getattr(self.head_, method)(self._features(self.embedder_.exact(), sequences))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        return tags


class TemporalJEPAClassifier(ClassifierMixin, _FineTuner):
    """Classes of series, from an encoder fine-tuned on them; `X` as in `TemporalJEPAEmbedder`.

    Args:
        base: a `TemporalJEPAEmbedder`, fitted, else it is fitted on `X` first; a run folder or the name of a model to
            load; None: the default embedder, fitted on `X`.
        steps: longest fine-tuning, in optimizer steps; 0 leaves the encoder frozen.
        batch_size: series a step.
        lr: peak learning rate of the encoder.
        random_state: int for the same result every time, a RandomState, or None.
        device: "cpu", "cuda", ..., or "auto"; that of a fitted `base` stays.

    Attributes:
        embedder_: the fine-tuned embedder.
        head_: ridge classifier on its standardised features.
        steps_: fine-tuning chosen.
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
        """Learn from series and their classes, `y (n,)`.

        Raises:
            ValueError: for fewer than 2 classes, continuous targets, lengths that differ, or what the embedder refuses.
        """
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"expected series of at least 2 classes, got {len(y)} series of {len(self.classes_)} class"
            )
        self._learn(
            X,
            codes,
            make_pipeline(StandardScaler(), RidgeClassifierCV(np.logspace(-3, 3, 10))),
            codes,
        )
        return self

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The class of each series, `(n,)`."""
        codes = self._outputs(X, "predict")
        return np.asarray(self.classes_[codes])

    def decision_function(self, X: Any) -> npt.NDArray[np.float64]:
        """Ridge scores: `(n, classes)`, or `(n,)` for two classes, positive for the second."""
        return np.asarray(self._outputs(X, "decision_function"))


class TemporalJEPARegressor(RegressorMixin, _FineTuner):
    """A number for each series, from an encoder fine-tuned on them. Arguments as `TemporalJEPAClassifier`.

    `scores_` are coefficients of determination.
    """

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from series and their numbers, `y (n,)`; raises as `TemporalJEPAClassifier.fit`, for NaN too."""
        y = column_or_1d(y, dtype=np.float64, warn=True)
        assert_all_finite(y, input_name="y")
        self._learn(X, y, make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 10))), None)
        return self

    def predict(self, X: Any) -> npt.NDArray[np.float64]:
        """The number of each series, `(n,)`."""
        return np.asarray(self._outputs(X, "predict"))


def finetune(
    X: Any, y: Any = None, **options: Any
) -> TemporalJEPAClassifier | TemporalJEPARegressor:
    """Fit a classifier, or for numbers with a fraction a regressor; options are their arguments.

    `X` is what `TemporalJEPAEmbedder` takes; of `Sequences` the labels are `y` unless others are given.

    >>> X, y = np.random.default_rng(0).normal(size=(20, 1, 32)), np.linspace(0.1, 2, 20)
    >>> base = TemporalJEPAEmbedder(steps=2, pool="mean", random_state=0)
    >>> type(finetune(X, y, base=base, steps=2, random_state=0)).__name__
    'TemporalJEPARegressor'
    """
    if y is None and isinstance(X, Sequences) and X.labels is not None:
        y = X.labels
        with contextlib.suppress(
            ValueError
        ):  # labels are text; what reads as numbers with a fraction is numbers
            numbers = y.astype(np.float64)
            y = numbers if np.isfinite(numbers).all() and (numbers % 1).any() else y
    if y is None:
        raise ValueError(
            "fine-tuning needs a label for each series: y, or the labels of the sequences"
        )
    if type_of_target(y).startswith("continuous"):
        return TemporalJEPARegressor(**options).fit(X, y)
    return TemporalJEPAClassifier(**options).fit(X, y)


def _held_out(
    groups: npt.NDArray[Any] | None, n: int, seed: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]] | None:
    """Indices to learn from and to choose on; None where there are too few series to spare any."""
    if n < FEWEST:
        return None
    if groups is None:
        first = next(ShuffleSplit(1, test_size=HELD_OUT, random_state=seed).split(np.zeros(n)))
        return first[0], first[1]
    counts = np.bincount(groups)
    if counts.min() < 2 or round(HELD_OUT * n) < len(counts):
        return None
    first = next(
        StratifiedShuffleSplit(1, test_size=HELD_OUT, random_state=seed).split(np.zeros(n), groups)
    )
    return first[0], first[1]


def _tune(
    model: TemporalJEPA,
    sequences: Sequences,
    targets: npt.NDArray[Any],
    stages: list[int],
    how: _FineTuner,
    seed: int,
) -> Iterator[tuple[int, TemporalJEPA]]:
    """Fine-tune the encoder that embeds, in place; yields (steps done, model) at each stage."""
    encoder = model.target_encoder
    pool = how.embedder_.pool
    total = max(stages)
    device = next(model.parameters()).device
    classed = targets.dtype.kind in "iu"
    goal = torch.from_numpy(targets if classed else _standard(targets)).to(device)
    head = _Head(
        embed_sequences(model, sequences, pool), int(targets.max()) + 1 if classed else 1
    ).to(device)
    weights = [
        {"params": [*encoder.parameters()], "lr": how.lr},
        {"params": [*head.parameters()], "lr": 2 * how.lr},
    ]
    optimizer = torch.optim.AdamW(
        weights, weight_decay=0.01, betas=(0.9, 0.95), fused=device.type != "mps"
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: 0.5 + 0.5 * math.cos(math.pi * step / total)
    )
    rng = np.random.default_rng([seed, 6])
    generator = torch.Generator().manual_seed(seed)
    features = _whole(model, sequences, pool, generator)
    size = min(how.batch_size, len(sequences))
    if model.config.resolutions:
        features = _views(model, sequences, pool, generator)
        size = min(size, max(2, ROWS // sequences.n_channels))
    for step in range(total + 1):
        if step in stages:
            yield step, model
        if step == total:
            return
        rows = rng.choice(len(sequences), size, replace=False)
        encoder.requires_grad_(True)
        scores = head(features(rows))
        error = _error(scores, goal[torch.from_numpy(rows).to(device)])
        optimizer.zero_grad()
        error.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(encoder.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        encoder.requires_grad_(False)


Features = Callable[[npt.NDArray[np.int64]], Tensor]  # rows -> their features, with a gradient


def _partly(model: TemporalJEPA, x: Tensor, pool: Pool, generator: torch.Generator) -> Tensor:
    """Features of a batch `(B, T, C)`, of which a part is hidden."""
    encoder = model.target_encoder
    x, known = encoder.prepare(x.to(next(model.parameters()).device))
    visible = draw_visible(encoder.tokens_observed(known).cpu(), "random", HIDDEN, generator).to(
        x.device
    )
    return model.features(x, encoder.mask(known, visible), pool)


def _whole(
    model: TemporalJEPA, sequences: Sequences, pool: Pool, generator: torch.Generator
) -> Features:
    return lambda rows: _partly(model, torch.from_numpy(sequences.batch(rows)), pool, generator)


def _views(
    model: TemporalJEPA, sequences: Sequences, pool: Pool, generator: torch.Generator
) -> Features:
    """As `embed_views`: each channel by itself at each length, added with signs; then the values, which stay."""
    # that the encoder appends, always 0 and 1 here
    channels = sequences.n_channels
    moments = 2
    filled = [bridged(x) for x in sequences.values]
    views = [
        torch.from_numpy(np.stack([standardised(x, length) for x in filled])).float()[..., None]
        for length in model.config.resolutions
    ]  # (n, C, L, 1) each
    beside = torch.from_numpy(values_beside(filled)).float()

    def features(rows: npt.NDArray[np.int64]) -> Tensor:
        parts = []
        for view in views:
            part = _partly(model, view[rows].flatten(0, 1), view_pool(pool), generator)[
                :, :-moments
            ]
            signs = torch.from_numpy(channel_signs(channels, part.shape[1])).to(part)
            parts.append((torch.unflatten(part, 0, (-1, channels)) * signs).sum(1))
        return torch.cat([*parts, beside[rows].to(parts[0])], dim=1)

    return features


class _Head(nn.Module):
    """A linear map, at first zero, of features standardised as they were before fine-tuning."""

    mean: Tensor
    spread: Tensor

    def __init__(self, features: npt.NDArray[np.float32], outputs: int):
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(features.mean(0)))
        self.register_buffer("spread", torch.from_numpy(features.std(0) + 1e-3))
        self.weight = nn.Parameter(torch.zeros(outputs, features.shape[1]))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.linear((features - self.mean) / self.spread, self.weight, self.bias)


def _standard(y: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return np.asarray((y - y.mean()) / (y.std() or 1.0), dtype=np.float32)


def _error(scores: Tensor, goal: Tensor) -> Tensor:
    """Cross-entropy of classes, squared error of numbers."""
    if scores.shape[1] == 1:
        return nn.functional.mse_loss(scores[:, 0], goal)
    return nn.functional.cross_entropy(scores, goal)
