"""Anomaly scores for every timestep of long series, from distances between windows."""

import os
import warnings
from typing import Any, NamedTuple, Self, cast

import numpy as np
import numpy.typing as npt
from scipy.signal import find_peaks
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..checkpoint import from_pretrained
from ..data.sequences import Sequences
from ..embed import check_channels, embed_sequences
from ..files import GENERAL
from ..model.jepa import TemporalJEPA
from ..training.initial import channel_statistics
from ..training.trainer import pick_device

Array = npt.NDArray[Any]

# Timesteps of a window that the data choose.
SHORTEST = 16
USUAL = 256
LONGEST = 512
PERIOD_FROM = 2**16  # the period is looked for in the first timesteps only
OVERLAP = 8  # windows that cover a timestep
NEIGHBORS = 20  # reference windows whose mean distance is the score, at most a tenth of them
FLAT = 1e-3  # of a channel's deviation: a window that varies less is not scaled up to deviation 1
REFERENCES = 10_000  # reference windows that are kept, evenly spaced
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
            `TemporalJEPA`, or a fitted `TemporalJEPAEmbedder`.
        window: timesteps of a window. None: whole periods of the series (see `period`) that last at
            least 256 timesteps, but at most an eighth of the longest series and the length the
            model was trained on.
        quantile: share of the reference that scores below 1.
        device: "cpu", "cuda", ..., or "auto"; only used to load a model by name.

    Attributes:
        model_: the encoder, in evaluation mode.
        window_: timesteps of a window.

    >>> x = np.sin(np.arange(400) / 5)
    >>> x[300:310] = 0
    >>> detector = AnomalyDetector(window=32).fit(x[:200])
    >>> 290 < int(detector.score(x).argmax()) < 320
    True
    """

    def __init__(
        self,
        model: TemporalJEPA | BaseEstimator | str | os.PathLike[str] = GENERAL,
        window: int | None = None,
        quantile: float = 0.99,
        device: str = "cpu",
    ):
        self.model = model
        self.window = window
        self.quantile = quantile
        self.device = device

    def fit(self, X: Any, y: Any = None) -> Self:
        """Embed the windows of the reference and calibrate the scores; `y` is ignored.

        Raises:
            ValueError: for parameters out of range, other channels than the model's, infinite
                values, a channel without an observed value, or series too short for two windows
                that do not overlap.
        """
        reference = _as_series(X).check_observed()
        if not 0 < self.quantile < 1:
            raise ValueError(f"quantile must lie strictly between 0 and 1, got {self.quantile}")
        self.model_ = self._load_model().eval()
        check_channels(self.model_, reference)
        self.reference_ = reference
        self.unit_ = channel_statistics(reference)[1]
        self.window_ = self._choose_window()

        starts = [self._starts(x) for x in reference.values]
        vectors = [self._describe(x, s) for x, s in zip(reference.values, starts, strict=True)]
        step = -(-sum(map(len, starts)) // REFERENCES)
        self.starts_ = [s[::step] for s in starts]
        kept = np.concatenate([v[::step] for v in vectors])
        self.scale_ = _balance(kept, values=self.window_ * reference.n_channels)
        self.vectors_ = [v[::step] / self.scale_ for v in vectors]

        distances = [
            self._distance(x, s, v / self.scale_)
            for x, s, v in zip(reference.values, starts, vectors, strict=True)
        ]
        levels = np.nanquantile(np.concatenate(distances), [0.5, self.quantile])
        self.median_, high = levels.tolist()
        self.range_ = max(high - self.median_, 1e-3 * abs(self.median_), 1e-6)
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
            raise ValueError(f"score takes one series, got {len(series)}; score_each takes several")
        return self.score_each(series)[0]

    def score_each(self, X: Any) -> list[npt.NDArray[np.float32]]:
        """`score` for several series: a list of float32 `(time_i,)`. Raises as `score`."""
        check_is_fitted(self)
        series = _as_series(X)
        channels = self.reference_.n_channels
        if series.n_channels != channels:
            raise ValueError(f"expected {channels} channels, as in fit, got {series.n_channels}")
        for name, x in zip(series.ids, series.values, strict=True):
            if np.isnan(x).all():
                raise ValueError(f"series {name} has no observed value: all of it is missing (NaN)")
        scores = []
        for x in series.values:
            starts = self._starts(x)
            distance = self._distance(x, starts, self._describe(x, starts) / self.scale_)
            scores.append(((distance - self.median_) / self.range_).astype(np.float32))
        return scores

    def predict(self, X: Any) -> npt.NDArray[np.bool_]:
        """Which timesteps are anomalies, a score above 1: bool `(time,)`. Raises as `score`."""
        return np.asarray(self.score(X) > 1)

    def _load_model(self) -> TemporalJEPA:
        if isinstance(self.model, TemporalJEPA):
            return self.model
        if isinstance(self.model, BaseEstimator):
            check_is_fitted(self.model, "model_")
            return cast(TemporalJEPA, self.model.model_)
        return from_pretrained(self.model, str(pick_device(self.device)))

    def _choose_window(self) -> int:
        longest = int(self.reference_.lengths.max())
        if self.window is not None:
            window = int(self.window)
        else:
            config = self.model_.config
            periods = [period(x) for x in self.reference_.values]
            window = min(_whole_periods(max(periods)), longest // 8)
            if not config.channel_independent:
                window = min(window, config.seq_len)
            window = max(window, min(SHORTEST, longest // 2))
        if window < 4 or longest < 2 * window:
            raise ValueError(
                f"{self.reference_.source}: the longest reference series has {longest} timesteps, "
                f"but two windows of at least 4 that do not overlap are needed, and a window is "
                f"{window}; give a longer series or a smaller window"
            )
        return window

    def _starts(self, x: Array) -> Array:
        """First timesteps of the windows of x, int `(m,)`; the last window is at the end.

        Windows without an observed value are left out.
        """
        last = max(len(x) - self.window_, 0)
        step = max(1, self.window_ // OVERLAP)
        starts = []
        for start in [*range(0, last, step), last]:
            if not np.isnan(x[start : start + self.window_]).all():
                starts.append(start)
        return np.array(starts)

    def _describe(self, x: Array, starts: Array) -> Array:
        """Windows as the embedding of their shape and their values, `(m, F + window * channels)`.

        Values are in units of the reference, without the mean of the window; 0 where missing.
        """
        normalizer = self.model_.target_encoder.normalizer
        mean = normalizer.mean.cpu().numpy()
        std = normalizer.std.cpu().numpy()
        values = np.zeros((len(starts), self.window_, x.shape[1]), dtype=np.float32)
        shapes = []
        for row, start in zip(values, starts.tolist(), strict=True):
            window = x[start : start + self.window_] / self.unit_
            observed = np.maximum((~np.isnan(window)).sum(0), 1)
            window = window - np.nansum(window, axis=0) / observed
            deviation = np.sqrt(np.nansum(window**2, axis=0) / observed)
            row[: len(window)] = np.nan_to_num(window)
            # In the units of the model's training data.
            shapes.append(window / np.maximum(deviation, FLAT) * std + mean)
        embeddings = embed_sequences(self.model_, Sequences(shapes))
        return np.concatenate([embeddings, values.reshape(len(values), -1)], axis=1)

    def _distance(self, x: Array, starts: Array, vectors: Array) -> Array:
        """Distance of each timestep to the reference, float64 `(time,)`; NaN if not covered."""
        parts = np.array_split(np.arange(len(starts)), -(-len(starts) // CHUNK))
        distances = [self._nearest(x, starts[rows], vectors[rows]) for rows in parts]
        total = np.zeros(len(x))
        count = np.zeros(len(x))
        for start, distance in zip(starts.tolist(), np.concatenate(distances), strict=True):
            if not np.isnan(distance):
                total[start : start + self.window_] += distance
                count[start : start + self.window_] += 1
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN
            return total / count

    def _nearest(self, x: Array, starts: Array, vectors: Array) -> Array:
        """Mean distance of windows of x to the nearest reference windows, float64 `(m,)`.

        If x begins with a reference series, overlapping windows of that series are left out; NaN if
        no window remains.
        """
        tables = []
        for series, its_starts, its_vectors in zip(
            self.reference_.values, self.starts_, self.vectors_, strict=True
        ):
            squares = (vectors**2).sum(1)[:, None] + (its_vectors**2).sum(1)
            table = squares - 2 * vectors @ its_vectors.T
            if np.array_equal(x[: len(series)], series, equal_nan=True):
                overlaps = np.abs(starts[:, None] - its_starts) < self.window_
                table[overlaps] = np.inf
            tables.append(table)
        table = np.concatenate(tables, axis=1)
        neighbors = max(1, min(NEIGHBORS, table.shape[1] // 10))
        nearest = np.partition(table, neighbors - 1, axis=1)[:, :neighbors]
        usable = np.isfinite(nearest)
        nearest = np.where(usable, np.maximum(nearest, 0), 0)
        with np.errstate(invalid="ignore"):  # 0 / 0 is NaN
            return np.asarray(np.sqrt(nearest).sum(1) / usable.sum(1), dtype=np.float64)


class Peak(NamedTuple):
    """The highest score of a region above 1, from timestep `start` to before `end`."""

    series: int
    timestep: int
    start: int
    end: int


def peaks(scores: list[npt.NDArray[np.float32]], apart: int, count: int = 12) -> list[Peak]:
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
        padded = np.pad(np.nan_to_num(score, nan=-np.inf), 1, constant_values=-np.inf)
        below = np.flatnonzero(padded <= 1)
        for timestep in (find_peaks(padded, distance=apart)[0] - 1).tolist():
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
    x = x[:PERIOD_FROM].astype(np.float64)
    x = np.nan_to_num(x - np.nanmean(x, axis=0))
    spectrum = np.fft.rfft(x, 2 * len(x), axis=0)
    products = np.fft.irfft(np.abs(spectrum) ** 2, axis=0)
    products = products[: len(x) // 2][: LONGEST + 1]  # (lag, channels)
    correlation = (products / np.maximum(products[0], 1e-12)).mean(1)
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
        scale[part] = max(np.sqrt(vectors[:, part].var(0).sum()), 1e-6)
    return scale


def _as_series(X: Any) -> Sequences:
    """Long series: an array `(time,)` or `(channels, time)`, a list of such, or `Sequences`."""
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
        model: TemporalJEPA | BaseEstimator | str | os.PathLike[str] = GENERAL,
        window: int | None = None,
        quantile: float = 0.99,
        device: str = "cpu",
        **removed: Any,
    ):
        warnings.warn("SurpriseDetector is now AnomalyDetector", DeprecationWarning, stacklevel=2)
        if removed.get("method", "distance") != "distance":
            raise ValueError("method was removed; scores are distances to the reference")
        super().__init__(model, window, quantile, device)
