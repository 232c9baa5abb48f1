"""How surprising is each moment of a long series: far from what is known, or not what the rest of it lets expect."""

import os
from typing import Any, Literal, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from ..checkpoint import from_pretrained
from ..config import PretrainConfig
from ..data.sequences import Sequences
from ..embed import check_channels, embed_sequences
from ..model.jepa import TemporalJEPA
from ..training.initial import channel_statistics, initial_model
from ..training.trainer import pick_device, train

Array = npt.NDArray[Any]
Kind = Literal["distance", "error"]
# timesteps of a window that the data choose
SHORTEST = 16
LONGEST = 512
PERIOD_FROM = 2**16  # the period is looked for in at most so many timesteps, the first
TOKENS = 16  # of a window, when an encoder is trained here: a tenth of the time of 64, and no worse
LAPS = 8  # windows that cover a timestep when distances are taken; half as many when errors are
PAIRS = 2  # masks drawn for a window, each followed by its complement: every token is predicted so many times
NEIGHBOURS = 20  # known windows whose mean distance counts, at most a tenth of them: what is odd twice is still odd
FLAT = 1e-3  # of a channel's deviation: what varies less in a window is not blown up to deviation 1
REFERENCES = 10_000  # known windows that are kept to compare with, evenly spaced
CHUNK = 512  # rows of a table of distances, a bound on memory


class SurpriseDetector(BaseEstimator):
    """Scores every timestep of a long series, without labels.

    Two questions are asked of windows that overlap. `distance`: how far is the window from the nearest known
    windows (nearest-neighbour outliers, Angiulli and Pizzuti 2002)? A window is described by the embedding of its shape
    (each channel with mean 0 and deviation 1) and, with the same weight, by its values without their mean: an encoder
    tells shapes apart, the values tell how large they are. `error`: how far is the encoder's view of a hidden part from
    what was predicted from the rest of the window? A timestep gets the mean over the windows that cover it.

    What is known is the series given to `fit`: a part that is known to be clean, or the whole recording where what is
    odd is rare, for a window is never compared with one that overlaps it.

    Scores are calibrated on the series of `fit`: 0 is their median, 1 the `quantile` of them, and an alarm is a score
    above 1. So scores of different kinds, channels and recordings compare.

    A series is an array `(time,)` or `(channels, time)`; a list holds several, of any lengths; `Sequences` will do.
    NaN is a missing value; the score is NaN where whole windows are missing.

    Args:
        model: what embeds: a `TemporalJEPA`, a fitted `TemporalJEPAEmbedder`, or a name for `from_pretrained` (a run
            folder, "series-small"). None: an encoder of its own, see `steps`.
        window: timesteps of a window. None: whole periods of the series (`period`) that last at least 256; at most an
            eighth of the longest series, and what the model was trained on.
        method: "distance", "error", or "both", the mean of the two scores.
        quantile: share of the series of `fit` that scores below 1.
        steps: optimizer steps when no model is given; 0 leaves the encoder as drawn. None: 0 for `distance`, for which
            training on the windows of one series was measured to change nothing, and 300 for what needs a predictor.
        random_state: int for the same result every time on the same machine, a RandomState, or None.
        device: "cpu", "cuda", ..., or "auto".

    Attributes:
        model_: the encoder, in evaluation mode.
        window_: timesteps of a window.

    >>> x = np.sin(np.arange(400) / 5)
    >>> x[300:310] = 0
    >>> detector = SurpriseDetector(window=32, random_state=0).fit(x[:200])
    >>> 290 < int(detector.score(x).argmax()) < 320
    True
    """

    def __init__(
        self,
        model: TemporalJEPA | BaseEstimator | str | os.PathLike[str] | None = None,
        window: int | None = None,
        method: Literal["distance", "error", "both"] = "distance",
        quantile: float = 0.99,
        steps: int | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str = "cpu",
    ):
        self.model = model
        self.window = window
        self.method = method
        self.quantile = quantile
        self.steps = steps
        self.random_state = random_state
        self.device = device

    def fit(self, X: Any, y: Any = None) -> Self:
        """Learn what is known; `y` is ignored.

        Raises:
            ValueError: for parameters out of range, other channels than the model's, infinite values, a channel
                without an observed value, or series too short for two windows that do not overlap.
        """
        known = _series(X).check_observed()
        kinds: tuple[Kind, ...] = ("distance", "error") if self.method == "both" else (self.method,)
        if not set(kinds) <= {"distance", "error"}:
            raise ValueError(f"method must be 'distance', 'error' or 'both', got {self.method!r}")
        if not 0 < self.quantile < 1:
            raise ValueError(f"quantile must lie strictly between 0 and 1, got {self.quantile}")
        self.seed_ = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        given = self._given()
        if given is not None and given.config.channel_independent and "error" in kinds:
            raise ValueError(
                f"method {self.method!r} needs a model of the channels together; this one sees each alone"
            )
        if (
            given is not None and not given.config.channel_independent
        ):  # an encoder with views takes any channels
            check_channels(given, known)
        self.unit_ = channel_statistics(known)[1]
        self.window_ = self._window(known, given)
        self.model_ = (given or self._own(known)).eval()
        self.known_ = known
        if "distance" in kinds:
            self._remember(known)
        self.scale_: dict[Kind, tuple[float, float]] = {}
        for kind in kinds:
            raw = np.concatenate(self._raw(kind, known.values))
            low, high = np.nanquantile(raw, [0.5, self.quantile]).tolist()
            self.scale_[kind] = low, max(high - low, 1e-3 * abs(low), 1e-6)
        return self

    def score(self, X: Any, y: Any = None) -> npt.NDArray[np.float32]:
        """How surprising each timestep of one series is: float32 `(time,)`; `y` is ignored.

        Where `X` begins with a series of `fit` (as in `fit(x[:1000]).score(x)`), that part is not compared with itself.

        Raises:
            ValueError: for several series, other channels than in `fit`, or a series without an observed value.
            NotFittedError: before `fit`.
        """
        series = _series(X)
        if len(series) != 1:
            raise ValueError(f"score takes one series, got {len(series)}; score_each takes several")
        return self.score_each(series)[0]

    def score_each(self, X: Any) -> list[npt.NDArray[np.float32]]:
        """`score` of several series: a list of float32 `(time_i,)`; faster than one at a time. Raises as `score`."""
        check_is_fitted(self)
        series = _series(X)
        if series.n_channels != self.known_.n_channels:
            raise ValueError(
                f"expected {self.known_.n_channels} channels, as in fit, got {series.n_channels}"
            )
        if empty := [
            name for name, x in zip(series.ids, series.values, strict=True) if np.isnan(x).all()
        ]:
            raise ValueError(f"series {empty[0]} has no observed value: all of it is missing (NaN)")
        total = [np.zeros(n) for n in series.lengths]
        for kind, (low, unit) in self.scale_.items():
            for sum_, raw in zip(total, self._raw(kind, series.values), strict=True):
                sum_ += (raw - low) / unit / len(self.scale_)
        return [each.astype(np.float32) for each in total]

    def predict(self, X: Any) -> npt.NDArray[np.bool_]:
        """Which timesteps are alarms, a score above 1: bool `(time,)`. Raises as `score`."""
        return np.asarray(self.score(X) > 1)

    def _given(self) -> TemporalJEPA | None:
        if isinstance(self.model, BaseEstimator):
            check_is_fitted(self.model, "model_")
            return cast(TemporalJEPA, self.model.model_)
        if self.model is None or isinstance(self.model, TemporalJEPA):
            return self.model
        return from_pretrained(self.model, self.device)

    def _window(self, known: Sequences, model: TemporalJEPA | None) -> int:
        longest = int(known.lengths.max())
        if self.window is None:
            usual = _whole_periods(max(map(period, known.values)))
            most = (
                model.config.seq_len if model and not model.config.channel_independent else LONGEST
            )
            usual = min(usual, most, longest // 8)
            window = max(usual, min(SHORTEST, longest // 2))
        else:
            window = int(self.window)
        if window < 4 or longest < 2 * window:
            raise ValueError(
                f"{known.source}: the longest series to learn from has {longest} timesteps, but two windows of at "
                f"least 4 are needed that do not overlap, and a window is {window}; give a longer series or a smaller "
                "window"
            )
        return window

    def _own(self, known: Sequences) -> TemporalJEPA:
        shapes = Sequences(self._windows(known.values, self._places(known.values, LAPS))[1])
        model = initial_model(shapes, self.seed_, patch_len=max(1, self.window_ // TOKENS))
        steps = (0 if self.method == "distance" else 300) if self.steps is None else self.steps
        if not steps:
            return model.to(pick_device(self.device))
        return train(model, shapes, PretrainConfig(steps, seed=self.seed_, device=self.device))

    def _places(self, series: list[Array], laps: int) -> Array:
        """Where windows start, so that each timestep is in `laps` of them; the last is at the end: (which, where)."""
        places = []
        for i, x in enumerate(series):
            last = max(len(x) - self.window_, 0)
            starts = np.unique(
                np.append(np.arange(0, last + 1, max(1, self.window_ // laps)), last)
            ).tolist()
            places += [(i, s) for s in starts if not np.isnan(x[s : s + self.window_]).all()]
        return np.array(places, dtype=np.int64)  # (m, 2)

    def _windows(self, series: list[Array], places: Array) -> tuple[list[Array], list[Array]]:
        """Windows `(window, channels)` without their mean, in units of the channels; then also with deviation 1."""
        values = []
        shapes = []
        for i, start in places.tolist():
            w = series[i][start : start + self.window_] / self.unit_
            count = np.maximum((~np.isnan(w)).sum(0), 1)
            w = w - np.nansum(w, axis=0) / count
            values.append(w)
            shapes.append(w / np.maximum(np.sqrt(np.nansum(w**2, axis=0) / count), FLAT))
        return values, shapes

    def _raw(self, kind: Kind, series: list[Array]) -> list[Array]:
        """Distance or error before calibration, for each timestep: a list of float64 `(time_i,)`."""
        places = self._places(series, LAPS if kind == "distance" else LAPS // 2)
        rows = (
            self._distances(series, places) if kind == "distance" else self._errors(series, places)
        )
        total, count = ([np.zeros(len(x)) for x in series] for _ in range(2))
        for (i, start), row in zip(places.tolist(), rows, strict=True):
            total[i][start : start + self.window_] += np.nan_to_num(row[: len(series[i]) - start])
            count[i][start : start + self.window_] += ~np.isnan(row[: len(series[i]) - start])
        return [
            np.where(c > 0, t / np.maximum(c, 1), np.nan) for t, c in zip(total, count, strict=True)
        ]

    def _encodable(self, shapes: list[Array]) -> Sequences:
        """Shapes in the units that the encoder is used to."""
        norm = self.model_.target_encoder.normalizer
        mean = norm.mean.cpu().numpy()
        std = norm.std.cpu().numpy()
        return Sequences([shape * std + mean for shape in shapes])

    def _described(self, series: list[Array], places: Array) -> tuple[Array, Array]:
        """Windows as the embeddings of their shapes, and as their values: `(m, D)` each."""
        windows, shapes = self._windows(series, places)
        values = np.zeros((len(places), self.window_, series[0].shape[1]), dtype=np.float32)
        for row, w in zip(values, windows, strict=True):
            row[: len(w)] = np.nan_to_num(w)
        return embed_sequences(self.model_, self._encodable(shapes)), values.reshape(
            len(places), -1
        )

    def _remember(self, known: Sequences) -> None:
        """Describe the windows of the known series; the two parts of a description get the same total variance."""
        places = self._places(known.values, LAPS)
        self.places_ = places[np.unique(np.linspace(0, len(places) - 1, REFERENCES).astype(int))]
        parts = self._described(known.values, self.places_)
        self.sizes_ = [max(float(np.sqrt(part.var(0).sum())), 1e-6) for part in parts]
        self.references_ = self._weighed(*parts)

    def _weighed(self, embeddings: Array, values: Array) -> Array:
        return np.concatenate([embeddings / self.sizes_[0], values / self.sizes_[1]], axis=1)

    def _distances(self, series: list[Array], places: Array) -> Array:
        """Mean distance of windows to the nearest known ones that do not overlap them, `(m, window)`."""
        Z = self._weighed(*self._described(series, places))
        square = (self.references_**2).sum(1)
        own = np.array(
            [
                [np.array_equal(x[: len(k)], k, equal_nan=True) for k in self.known_.values]
                for x in series
            ]
        )
        count = max(1, min(NEIGHBOURS, len(square) // 10))
        out = np.empty(len(Z))
        for rows in np.array_split(np.arange(len(Z)), -(-len(Z) // CHUNK)):
            table = (Z[rows] ** 2).sum(1)[:, None] + square - 2 * Z[rows] @ self.references_.T
            which, start = places[rows].T
            overlap = np.abs(start[:, None] - self.places_[:, 1]) < self.window_
            table[overlap & own[which][:, self.places_[:, 0]]] = np.inf
            nearest = np.partition(table, count - 1, axis=1)[:, :count]
            there = np.isfinite(nearest)
            total = np.sqrt(np.where(there, np.maximum(nearest, 0), 0)).sum(1)
            out[rows] = np.where(there.any(1), total / np.maximum(there.sum(1), 1), np.nan)
        return np.broadcast_to(out[:, None], (len(out), self.window_))

    @torch.no_grad()
    def _errors(self, series: list[Array], places: Array) -> Array:
        """Mean prediction error of each timestep over masks that hide all of it, `(m, window)`."""
        windows = self._encodable(self._windows(series, places)[1])
        generator = torch.Generator().manual_seed(self.seed_)
        model = self.model_
        device = next(self.model_.parameters()).device
        out = []
        for rows in np.array_split(np.arange(len(windows)), -(-len(windows) // 64)):
            x = torch.from_numpy(windows.batch(rows)).to(device)
            seen = model.context_encoder.tokens_observed(model.context_encoder.prepare(x)[1])
            errors = []
            for _ in range(PAIRS):
                visible = model.draw_masks(x, generator)[0]
                rest = seen & ~visible
                rest = torch.where(
                    rest.any(1, keepdim=True), rest, visible
                )  # a lone token is always visible
                errors += [model.prediction_error(x, visible), model.prediction_error(x, rest)]
            mean = torch.stack(errors).nanmean(0)  # (B, N)
            steps = mean.repeat_interleave(model.config.patch, dim=1)[:, : x.shape[1]]
            out.append(
                np.pad(
                    steps.cpu().numpy(),
                    ((0, 0), (0, self.window_ - x.shape[1])),
                    constant_values=np.nan,
                )
            )
        return np.concatenate(out)


def period(x: Array) -> int:
    """The dominant period of x `(time, channels)`, in timesteps, up to 512; 0 where there is none.

    It is the lag of the highest peak of the autocorrelation (mean over channels, missing values count as the mean)
    after that has first fallen below 0, if the peak is above a tenth.
    """
    x = x[:PERIOD_FROM].astype(np.float64)
    x = np.nan_to_num(x - np.nanmean(x, axis=0))
    power = np.abs(np.fft.rfft(x, 2 * len(x), axis=0)) ** 2
    products = np.fft.irfft(power, axis=0)[: min(len(x) // 2, LONGEST + 1)]  # (lag, channels)
    correlation = (products / np.maximum(products[0], 1e-12)).mean(1)
    fell = np.flatnonzero(correlation < 0)
    if not len(fell):
        return 0
    lag = int(fell[0] + correlation[fell[0] :].argmax())
    return lag if correlation[lag] > 0.1 else 0


def _whole_periods(lag: int) -> int:
    """The fewest whole periods that last at least 256 timesteps; 256 timesteps where there is no period."""
    return min(lag * -(-256 // lag), LONGEST) if lag else 256


def _series(X: Any) -> Sequences:
    """One or several long series: an array `(time,)` or `(channels, time)`, a list of such, or `Sequences`."""
    if isinstance(X, Sequences):
        if X.frame is not None:
            raise ValueError(
                f"{X.source}: expected series, got frames of {X.frame} (rows, columns, channels)"
            )
        return X
    return Sequences.from_arrays(
        X if isinstance(X, (list, tuple)) and (not X or np.ndim(X[0])) else [X]
    )
