"""Anomaly scores for every timestep of long series, from distances between windows."""

import os
import warnings
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy.signal import find_peaks
from sklearn.base import BaseEstimator
from sklearn.utils.metadata_routing import UNUSED
from sklearn.utils.validation import check_is_fitted

from ..checkpoint import from_pretrained
from ..data.sequences import Sequences
from ..embed import check_channels, embed_sequences
from ..embed.share import Share
from ..files import GENERAL
from ..model.jepa import TemporalJEPA
from ..training.initial import channel_statistics
from ..training.trainer import pick_device
from .embedder import NESTED, TemporalJEPAEmbedder, is_nested, kept_fitted

Array = npt.NDArray[Any]

# Timesteps of a window that the data choose.
FEWEST = 4  # of any window
SHORTEST = 16
USUAL = 256
LONGEST = 512
PERIOD_FROM = 2**16  # the period is looked for in the first timesteps only
OVERLAP = 8  # windows that cover a timestep
NEIGHBORS = (
    20  # reference windows whose mean distance is the score, at most a tenth of them
)
FLAT = 1e-3  # of a channel's deviation: a window that varies less is not scaled up to deviation 1
REFERENCES = 10_000  # reference windows that are kept, evenly spaced
THRESHOLD = 1.0  # of a score, above which a timestep is an anomaly
CHUNK = 512  # rows of a table of distances, a bound on memory


class AnomalyDetector(BaseEstimator):
    """Scores every timestep of a long series by its distance to reference data, without labels.

    The score of a window is its mean distance to the nearest reference windows that do not overlap
    it (nearest-neighbor outliers, Angiulli and Pizzuti 2002). A window is described by the
    embedding of its shape (each channel with mean 0 and deviation 1) and, with the same weight, by
    its values without their mean: the encoder compares shapes, the values compare sizes. A timestep
    gets the mean over the windows that cover it. Averaging over 20 neighbors keeps the score of a
    repeated anomaly high.

    The reference is the series given to `fit`: data known to be normal, or the whole recording if
    anomalies are rare.

    Scores are calibrated on the reference: 0 is the median, 1 the `quantile`, and a score above 1
    is an anomaly. Scores of different channels and recordings are therefore comparable.

    A series is an array `(time,)` or `(channels, time)`; a list or `Sequences` holds several, of
    any lengths. NaN is a missing value; the score is NaN where whole windows are missing.

    Args:
        model: the encoder: a name for `from_pretrained` ("series-small", a run folder), a
            `TemporalJEPA`, or a fitted or frozen `TemporalJEPAEmbedder`.
        window: timesteps of a window. None: whole periods of the series (see `period`) that last at
            least 256 timesteps, but at most an eighth of the longest series and the length the
            model was trained on.
        quantile: share of the reference that scores below 1.
        device: "cpu", "cuda", ..., or "auto"; only used to load a model by name.
        dim: numbers that describe the shape of a window, see `TemporalJEPA.embed`; 128 keeps a
            tenth of the memory of a long reference. None: all features.

    The names of PyOD are there too: `decision_scores_`, `labels_`, `threshold_` and
    `decision_function`, of timesteps. As there, a high score is an anomaly; scikit-learn's
    `decision_function` of outliers has the other sign.

    Attributes:
        model_: the encoder, in evaluation mode.
        window_: timesteps of a window.
        decision_scores_: the scores of the reference, float32 `(time,)`, several series one after
            the other.
        labels_: 1 where they are above `threshold_`, else 0: int64 `(time,)`.
        threshold_: 1, above which a timestep is an anomaly.

    >>> x = np.sin(np.arange(400) / 5)
    >>> x[300:310] = 0
    >>> detector = AnomalyDetector(window=32).fit(x[:200])
    >>> 290 < int(detector.score(x).argmax()) < 320
    True
    """

    # A callback is no metadata of timesteps that a pipeline could route.
    __metadata_request__fit: ClassVar = {"on_timesteps": UNUSED}

    def __init__(
        self,
        model: TemporalJEPA | TemporalJEPAEmbedder | str | os.PathLike[str] = GENERAL,
        window: int | None = None,
        quantile: float = 0.99,
        device: str = "cpu",
        dim: int | None = None,
    ):
        self.model = model
        self.window = window
        self.quantile = quantile
        self.device = device
        self.dim = dim

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        on_timesteps: Callable[[int], None] = lambda count: None,
    ) -> Self:
        """Embed the windows of the reference and calibrate the scores; `y` is ignored.

        Args:
            X: the reference.
            y: ignored.
            on_timesteps: called with numbers of timesteps that are done.

        Raises:
            ValueError: for parameters out of range, a `dim` that the model cannot compute, other
                channels than the model's, infinite values, a channel without an observed value, or
                series too short for two windows that do not overlap.
        """
        reference = _as_series(X).check_observed()
        if not 0 < self.quantile < 1:
            raise ValueError(
                f"quantile must lie strictly between 0 and 1, got {self.quantile}"
            )
        self.model_ = self._load_model().eval()
        check_channels(self.model_, reference)
        self.unit_ = channel_statistics(reference)[1]
        self.window_ = self._choose_window(reference)

        windows = [self._windows(x, on_timesteps) for x in reference.values]
        step = -(-sum(len(w.starts) for w in windows) // REFERENCES)
        self.reference_ = [w.select(slice(None, None, step)) for w in windows]
        vectors = np.concatenate([w.vectors for w in self.reference_])
        self.scale_ = _balance(vectors, values=self.window_ * reference.n_channels)

        distances = np.concatenate([self._distance(w, on_timesteps) for w in windows])
        self.median_, high = np.nanquantile(distances, [0.5, self.quantile]).tolist()
        below = distances[distances < high]
        if high >= np.nanmax(distances) and len(below):
            high = float(below.max())  # the highest timesteps tie, and are above 1
        self.range_ = max(high - self.median_, 1e-3 * abs(self.median_), 1e-6)
        self.threshold_ = THRESHOLD
        self.decision_scores_ = self._calibrated(distances)
        self.labels_ = (self.decision_scores_ > THRESHOLD).astype(np.int64)
        return self

    def score(self, X: Any, y: Any = None) -> npt.NDArray[np.float32]:
        """The anomaly score of each timestep of one series: float32 `(time,)`; `y` is ignored.

        If `X` begins with a series of `fit`, as in `fit(x[:1000]).score(x)`, the windows of that
        part are not compared with themselves.

        Raises:
            ValueError: for several series, other channels than in `fit`, or a series without an
                observed value.
            NotFittedError: before `fit`.
        """
        series = _as_series(X)
        if len(series) != 1:
            raise ValueError(
                f"score takes one series, got {len(series)}; score_each takes several"
            )
        return self.score_each(series)[0]

    def score_each(
        self, X: Any, *, on_timesteps: Callable[[int], None] = lambda count: None
    ) -> list[npt.NDArray[np.float32]]:
        """`score` for several series: a list of float32 `(time_i,)`. Raises as `score`.

        Args:
            X: the series.
            on_timesteps: called with numbers of timesteps that are done.
        """
        check_is_fitted(self)
        series = _as_series(X)
        channels = len(self.unit_)
        if series.n_channels != channels:
            raise ValueError(
                f"expected {channels} channels, as in fit, got {series.n_channels}"
            )
        for name, x in zip(series.ids, series.values, strict=True):
            if np.isnan(x).all():
                raise ValueError(
                    f"series {name} has no observed value: all of it is missing (NaN)"
                )
        scores = []
        for x in series.values:
            windows = self._windows(x, on_timesteps)
            scores.append(self._calibrated(self._distance(windows, on_timesteps)))
        return scores

    def decision_function(self, X: Any) -> npt.NDArray[np.float32]:
        """`score`, by the name that it has in PyOD."""
        return self.score(X)

    def fit_predict(self, X: Any, y: Any = None) -> npt.NDArray[np.int64]:
        """`labels_` after `fit`, as in PyOD; `y` is ignored. Raises as `fit`."""
        return self.fit(X).labels_

    def predict(self, X: Any) -> npt.NDArray[np.bool_]:
        """Which timesteps are anomalies, a score above 1: bool `(time,)`. Raises as `score`."""
        return np.asarray(self.score(X) > THRESHOLD)

    def _calibrated(self, distances: Array) -> npt.NDArray[np.float32]:
        """Distances as scores."""
        score = (distances - self.median_) / self.range_
        return np.asarray(score, dtype=np.float32)

    def __sklearn_clone__(self) -> Self:
        """A fitted `model` stays fitted in a clone."""
        fresh: Self = super().__sklearn_clone__()
        fresh.model = kept_fitted(self.model, fresh.model)
        return fresh

    def __sklearn_tags__(self) -> Any:
        """A row of a table is a channel, not a sample, so that checks of samples do not apply."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.allow_nan = True
        return tags

    def _load_model(self) -> TemporalJEPA:
        if isinstance(self.model, TemporalJEPA):
            return self.model
        if isinstance(self.model, TemporalJEPAEmbedder):
            return self.model.fitted_model()
        return from_pretrained(self.model, str(pick_device(self.device)))

    def _choose_window(self, reference: Sequences) -> int:
        longest = int(reference.lengths.max())
        if self.window is not None:
            window = int(self.window)
            if window < FEWEST:
                raise ValueError(
                    f"window must be at least {FEWEST} timesteps, got {self.window}"
                )
        else:
            config = self.model_.config
            periods = [period(x) for x in reference.values]
            window = min(_whole_periods(max(periods)), longest // 8)
            if not config.channel_independent:
                window = min(window, config.seq_len)
            window = max(window, min(SHORTEST, longest // 2))
        if window < FEWEST or longest < 2 * window:
            raise ValueError(
                f"{reference.source}: the longest reference series has {longest} timesteps, "
                f"but two windows of at least {FEWEST} that do not overlap are needed, and a "
                f"window is {window}; give a longer series or a smaller window"
            )
        return window

    def _windows(self, x: Array, on_timesteps: Callable[[int], None]) -> "_Windows":
        """Overlapping windows of x `(time, channels)`; the last is at the end.

        Windows without an observed value are left out. Half of the timesteps are done then.
        """
        normalizer = self.model_.target_encoder.normalizer
        mean = normalizer.mean.cpu().numpy() + self.model_.offset.cpu().double().numpy()
        std = normalizer.std.cpu().numpy()
        last = max(len(x) - self.window_, 0)
        step = max(1, self.window_ // OVERLAP)
        starts = []
        shapes = []
        values = []
        for start in [*range(0, last, step), last]:
            window = x[start : start + self.window_] / self.unit_
            missing = np.isnan(window)
            if missing.all():
                continue
            observed = np.maximum((~missing).sum(0), 1)
            window = window - np.nansum(window, axis=0) / observed
            deviation = np.sqrt(np.nansum(window**2, axis=0) / observed)
            shape = window / np.maximum(deviation, FLAT)
            starts.append(start)
            shapes.append(
                shape * std + mean
            )  # in the units of the model's training data
            row = np.zeros((self.window_, x.shape[1]), dtype=np.float32)
            row[: len(window)] = np.nan_to_num(window)
            values.append(row.ravel())
        share = Share(on_timesteps, len(x) // 2, len(shapes))
        embeddings = embed_sequences(
            self.model_, Sequences(shapes), dim=self.dim, on_sequences=share.add
        )
        vectors = np.concatenate([embeddings, np.array(values)], axis=1)
        return _Windows(x, np.array(starts), vectors)

    def _distance(
        self, windows: "_Windows", on_timesteps: Callable[[int], None]
    ) -> Array:
        """Distance of each timestep to the reference, float64 `(time,)`; NaN if not covered.

        The other half of the timesteps is done then.
        """
        n = len(windows.starts)
        length = len(windows.series)
        share = Share(on_timesteps, length - length // 2, n)
        distances = []
        for rows in np.array_split(np.arange(n), -(-n // CHUNK)):
            distances.append(self._nearest(windows.select(rows)))
            share.add(len(rows))
        total = np.zeros(len(windows.series))
        count = np.zeros(len(windows.series))
        for start, distance in zip(
            windows.starts, np.concatenate(distances), strict=True
        ):
            if not np.isnan(distance):
                total[start : start + self.window_] += distance
                count[start : start + self.window_] += 1
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN
            return total / count

    def _nearest(self, windows: "_Windows") -> Array:
        """Mean distance of windows to the nearest reference windows, float64 `(m,)`.

        If a series begins with a reference series, overlapping windows of the two are not compared;
        NaN if no reference window remains.
        """
        vectors = windows.vectors / self.scale_
        tables = []
        for reference in self.reference_:
            others = reference.vectors / self.scale_
            squares = (vectors**2).sum(1)
            other_squares = (others**2).sum(1)
            table = squares[:, None] + other_squares - 2 * vectors @ others.T
            prefix = windows.series[: len(reference.series)]
            if np.array_equal(prefix, reference.series, equal_nan=True):
                gaps = np.abs(windows.starts[:, None] - reference.starts)
                table[gaps < self.window_] = np.inf
            tables.append(table)
        table = np.concatenate(tables, axis=1)
        neighbors = max(1, min(NEIGHBORS, table.shape[1] // 10))
        nearest = np.partition(table, neighbors - 1, axis=1)[:, :neighbors]
        usable = np.isfinite(nearest)
        nearest = np.where(usable, np.maximum(nearest, 0), 0)
        total = np.sqrt(nearest).sum(1)
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN
            distance: Array = total / usable.sum(1)
        return distance


class _Windows(NamedTuple):
    """Windows of one series.

    A vector holds the embedding of the shape, then the values of the window in units of the
    reference, without their mean and 0 where missing.
    """

    series: Array  # (time, channels)
    starts: Array  # (m,)
    vectors: Array  # (m, F + window * channels)

    def select(self, rows: slice | Array) -> "_Windows":
        return _Windows(self.series, self.starts[rows], self.vectors[rows])


class Peak(NamedTuple):
    """The highest score of a region above 1, from timestep `start` to before `end`."""

    series: int
    timestep: int
    start: int
    end: int


def peaks(
    scores: list[npt.NDArray[np.float32]], apart: int, count: int = 12
) -> list[Peak]:
    """The highest peaks of anomaly scores, highest first, one per region above 1.

    Without a score above 1, the highest peak alone.

    Args:
        scores: one array `(time_i,)` per series, NaN where missing.
        apart: timesteps between two peaks of a series, at least.
        count: peaks to return, at most.
    """
    found = []
    for i, score in enumerate(scores):
        # The ends count as valleys, so that the first and the last timestep can be a peak.
        padded = np.pad(score, 1, constant_values=-np.inf)
        padded[np.isnan(padded)] = -np.inf
        below = np.flatnonzero(padded <= 1)
        timesteps = find_peaks(padded, distance=apart)[0] - 1
        for timestep in timesteps.tolist():
            after = np.searchsorted(below, timestep + 1)
            start = int(below[after - 1])
            end = max(int(below[after]) - 1, timestep + 1)
            found.append((float(score[timestep]), Peak(i, timestep, start, end)))
    found.sort(key=lambda entry: -entry[0])
    regions: dict[tuple[int, int], Peak] = {}
    for height, peak in found:
        if height > 1 or not regions:
            regions.setdefault((peak.series, peak.start), peak)
    return list(regions.values())[:count]


def period(x: Array) -> int:
    """The dominant period of x `(time, channels)`, in timesteps, up to 512; 0 if there is none.

    It is the lag of the highest peak of the autocorrelation (mean over channels, missing values
    count as the mean) after that has first fallen below 0, if the peak is above a tenth.
    """
    if len(x) < 4:
        return 0
    x = x[:PERIOD_FROM].astype(np.float64)
    x = np.nan_to_num(x - np.nanmean(x, axis=0))
    spectrum = np.fft.rfft(x, 2 * len(x), axis=0)
    products = np.fft.irfft(np.abs(spectrum) ** 2, axis=0)
    products = products[: len(x) // 2][: LONGEST + 1]  # (lag, channels)
    energy = np.maximum(products[0], 1e-12)
    correlation = (products / energy).mean(1)
    negative = np.flatnonzero(correlation < 0)
    if len(negative) == 0:
        return 0
    first = negative[0]
    lag = int(first + correlation[first:].argmax())
    return lag if correlation[lag] > 0.1 else 0


def _whole_periods(lag: int) -> int:
    """The fewest whole periods that last at least 256 timesteps; 256 without a period."""
    if lag == 0:
        return USUAL
    return min(lag * -(-USUAL // lag), LONGEST)


def _balance(vectors: Array, values: int) -> Array:
    """Scales `(D,)` that give the embedding and the last `values` features the same variance."""
    scale = np.empty(vectors.shape[1], dtype=np.float32)
    for part in (slice(None, -values), slice(-values, None)):
        variance = vectors[:, part].var(0).sum()
        scale[part] = max(np.sqrt(variance), 1e-6)
    return scale


def _as_series(X: Any) -> Sequences:
    """Long series: an array `(time,)` or `(channels, time)`, a list of such, or `Sequences`."""
    if is_nested(X):
        raise ValueError(NESTED)
    if not isinstance(X, Sequences):
        if not isinstance(X, (list, tuple)) or (X and np.ndim(X[0]) == 0):
            X = [X]
        return Sequences.from_arrays(X)
    if X.frame is not None:
        raise ValueError(
            f"{X.source}: expected series, got frames of {X.frame} (rows, columns, channels)"
        )
    return X


class SurpriseDetector(AnomalyDetector):
    """Deprecated name of `AnomalyDetector`.

    `removed` takes the old arguments `method="distance"`, `steps` and `random_state`; they have no
    effect.
    """

    def __init__(
        self,
        model: TemporalJEPA | TemporalJEPAEmbedder | str | os.PathLike[str] = GENERAL,
        window: int | None = None,
        quantile: float = 0.99,
        device: str = "cpu",
        **removed: Any,
    ):
        warnings.warn(
            "SurpriseDetector is now AnomalyDetector", DeprecationWarning, stacklevel=2
        )
        unknown = removed.keys() - {"method", "steps", "random_state"}
        if unknown:
            raise TypeError(f"unexpected arguments: {', '.join(sorted(unknown))}")
        if removed.get("method", "distance") != "distance":
            raise ValueError(
                "method was removed; scores are distances to the reference"
            )
        super().__init__(model, window, quantile, device)
