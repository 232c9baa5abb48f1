"""States of sequences: kinds of moments, found without labels from the tokens of an encoder.

A moment is a window of a few tokens, described by the mean and the standard deviation of their
features. A single token says where in a step or a turn a moment is, a window says what is going on.
The moments are clustered by k-means, and a path through the clusters is chosen that switches
seldom.

Legend of shapes: `N` tokens of a sequence, `F` features of a token, `D` principal components, `K`
states.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import numpy.typing as npt
from scipy.ndimage import uniform_filter1d
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

from ..data.sequences import Sequences, listed, missing
from ..embed import embed_layers
from ..embed.share import Share
from ..model.jepa import TemporalJEPA

Array = npt.NDArray[Any]

# Chosen on two splits of benchmarks/states.py.
WINDOW = 5  # tokens of a moment
COMPONENTS = 16  # principal components of the moments
SWITCH = 1.0  # cost of a change of state, in mean squared distances from the centers
GAIN = 0.04  # share of the variance of moments that a further state explains at least
MOST = 8  # states, unless more are asked for
FITTED = 20_000  # moments that are clustered at most, evenly spaced
CONSTANT = 1e-5  # a feature that varies less is constant, in the size of all features
TYPICAL = 5  # places of each state


class Segment(NamedTuple):
    """Consecutive timesteps of one state: `start` to `stop` - 1."""

    start: int
    stop: int
    state: int


class Place(NamedTuple):
    """Timesteps `start` to `stop` - 1 of a sequence, by its index."""

    sequence: int
    start: int
    stop: int


@dataclass(frozen=True)
class States:
    """States of sequences, the most frequent is number 0.

    Args:
        count: number of states.
        timesteps: the state of each timestep, int `(time_i,)` for each sequence; -1 where a whole
            patch is unobserved.
        segments: of each sequence, in order.
        shares: of the observed timesteps, `(count,)`.
        typical: for each state the moments nearest to its center, nearest first, in different
            segments.
        moment: timesteps of a moment, about.
        is_chosen: whether the number of states was chosen, not asked for.
    """

    count: int
    timesteps: list[npt.NDArray[np.int64]]
    segments: list[list[Segment]]
    shares: npt.NDArray[np.float64]
    typical: list[list[Place]]
    moment: int
    is_chosen: bool


def find_states(
    model: TemporalJEPA,
    sequences: Sequences,
    count: int | None = None,
    seed: int = 0,
    reference: Sequences | None = None,
    on_sequences: Callable[[int], None] = lambda count: None,
) -> States:
    """Find states of sequences, without labels.

    Sequences longer than those of training are embedded in pieces that overlap by a half.

    Args:
        model: as trained or loaded, of series or trajectories.
        sequences: any lengths, NaN where missing.
        count: number of states; None: see `StateModel`.
        seed: of k-means.
        reference: the sequences in which states are found and numbered; None: `sequences`.
        on_sequences: called with numbers of sequences that are embedded, also of the reference.

    Raises:
        ValueError: for scenes and video, other channels than those of the model, sequences without
            any observed value, or more states than there are different moments.

    >>> from temporal_jepa.training.initial import initial_model
    >>> recordings = Sequences.from_arrays(np.random.default_rng(0).normal(size=(4, 2, 60)))
    >>> model = initial_model(recordings, objective="next", patch_len=5).eval()
    >>> found = find_states(model, recordings, count=2)
    >>> found.timesteps[0].shape, found.segments[0][0].start
    ((60,), 0)
    """
    if model.config.frame is not None:
        raise ValueError(
            "states are of series and trajectories, not of scenes or video"
        )
    features = _features(model, sequences, on_sequences)
    known = features
    if reference is not None:
        known = _features(model, reference, on_sequences)
    found = StateModel(count, seed).fit(known)
    tokens = [
        _token_at(model, values, len(x))
        for x, values in zip(features, sequences.values, strict=True)
    ]
    timesteps = [
        np.where(at < 0, -1, found.decode(x)[at])
        for x, at in zip(features, tokens, strict=True)
    ]
    distances = [found.distances(x) for x in features]
    segments = [segments_of(states) for states in timesteps]
    number = len(found.centers)
    return States(
        number,
        timesteps,
        segments,
        _shares(timesteps, number),
        [
            _typical(state, segments, tokens, [x[:, state] for x in distances])
            for state in range(number)
        ],
        WINDOW * model.config.patch,
        count is None,
    )


def segments_of(states: Array) -> list[Segment]:
    """Runs of equal states `(n,)`, without those of -1.

    >>> segments_of(np.array([0, 0, 2, -1, 2]))
    [Segment(start=0, stop=2, state=0), Segment(start=2, stop=3, state=2), \
Segment(start=4, stop=5, state=2)]
    """
    changes = np.flatnonzero(np.diff(states)) + 1
    starts = [0, *changes.tolist()]
    stops = [*changes.tolist(), len(states)]
    return [
        Segment(start, stop, int(states[start]))
        for start, stop in zip(starts, stops, strict=True)
        if states[start] >= 0
    ]


class StateModel:
    """K-means over moments, and a path through its clusters that switches seldom.

    Args:
        count: number of states. None: states are added one by one, up to `MOST`, while each
            explains at least `GAIN` of the variance of all moments.
        seed: of k-means.

    Attributes:
        centers: `(K, D)`, after `fit`; that of the most frequent state first.
    """

    def __init__(self, count: int | None = None, seed: int = 0):
        is_whole = isinstance(count, int | np.integer) and not isinstance(count, bool)
        if count is not None and not (is_whole and count >= 1):
            raise ValueError(f"expected a whole number of states from 1, got {count!r}")
        self.count = count
        self.seed = seed

    def fit(self, features: Sequence[Array]) -> Self:
        """Find the states of tokens.

        Args:
            features: `(N_i, F)` for each sequence; a row of NaN is no token.

        Raises:
            ValueError: if there are fewer different moments than states.
        """
        tokens = np.concatenate(features)
        found = tokens[~np.isnan(tokens).all(axis=1)]
        if not len(found) or not np.isfinite(found).all():
            raise ValueError(
                "the tokens are not finite, or there are none: the sequences hold huge values, or "
                "no whole patch is observed; rescale them, or leave them out"
            )
        self.mean = np.nanmean(tokens, axis=0)
        std = np.nanstd(tokens, axis=0)
        rounding = CONSTANT * np.sqrt(np.nanmean(tokens**2))
        self.std = np.where(std > rounding, std, np.inf)
        moments = np.concatenate([self._moments(x) for x in features])
        moments = moments[~np.isnan(moments[:, 0])]
        moments = moments[
            np.linspace(0, len(moments) - 1, min(len(moments), FITTED)).astype(int)
        ]
        pca = PCA(min(COMPONENTS, *moments.shape), random_state=self.seed)
        with np.errstate(invalid="ignore"):  # a single moment has no variance
            points = pca.fit_transform(moments)  # (n, D)
        self.project = pca.transform
        most = len(np.unique(points.round(6), axis=0))
        if self.count is not None and self.count > most:
            raise ValueError(
                f"{self.count} states, but there are only {most} different moments in "
                f"{len(moments)} tokens; ask for fewer"
            )
        clusters = self._cluster(points, most)
        self.centers: Array = clusters.cluster_centers_
        self.unit = max(float(clusters.inertia_) / len(points), 1e-12)
        shares = _shares([self.decode(x) for x in features], len(self.centers))
        self.centers = self.centers[np.argsort(-shares, kind="stable")]
        return self

    def _cluster(self, points: Array, most: int) -> KMeans:
        """K-means with the requested number of clusters, or as many as are worth it."""
        if self.count is not None:
            return self._kmeans(points, self.count)
        one = self._kmeans(points, 1)
        best = one
        for count in range(2, min(MOST, most) + 1):
            more = self._kmeans(points, count)
            if best.inertia_ - more.inertia_ < GAIN * one.inertia_:
                break
            best = more
        return best

    def _kmeans(self, points: Array, count: int) -> KMeans:
        return KMeans(count, n_init=5, random_state=self.seed).fit(points)

    def _moments(self, features: Array) -> Array:
        """Mean and deviation of the tokens around each token: `(N, F)` -> `(N, 2 F)`."""
        observed = ~np.isnan(features[:, :1])
        tokens = np.where(observed, (features - self.mean) / self.std, 0.0)
        weight = _window_mean(observed.astype(np.float64))
        weight = np.maximum(weight, 1e-12)
        mean = _window_mean(tokens) / weight
        variance = _window_mean(tokens**2) / weight - mean**2
        moments = np.hstack([mean, np.sqrt(np.maximum(variance, 0.0))])
        return np.where(observed, moments, np.nan)

    def distances(self, features: Array) -> Array:
        """Squared distances of the moments of a sequence from the centers, in mean ones.

        Args:
            features: `(N, F)`, as in `fit`.

        Returns:
            `(N, K)`, NaN where there is no token.
        """
        moments = self._moments(features)
        is_token = ~np.isnan(moments[:, 0])
        points = np.full((len(moments), self.centers.shape[1]), np.nan)
        if is_token.any():
            points[is_token] = self.project(moments[is_token])
        squares = (points[:, None] - self.centers) ** 2  # (N, K, D)
        distances: Array = squares.sum(axis=2) / self.unit
        return distances

    def decode(self, features: Array) -> npt.NDArray[np.int64]:
        """The state of each token of a sequence, int `(N,)`; -1 where there is no token."""
        distances = self.distances(features)
        observed = ~np.isnan(distances[:, 0])
        states = cheapest_path(np.nan_to_num(distances), SWITCH)
        return np.where(observed, states, -1)


def _window_mean(rows: Array) -> Array:
    """The mean over `WINDOW` rows around each row, 0 beyond the ends: `(N, F)`."""
    mean: Array = uniform_filter1d(rows, WINDOW, axis=0, mode="constant")
    return mean


def cheapest_path(costs: Array, switch: float) -> npt.NDArray[np.int64]:
    """The states with the lowest sum of costs, by dynamic programming (Viterbi).

    Args:
        costs: of each state at each step, `(N, K)`.
        switch: cost of a change of state.

    Returns:
        int `(N,)`.
    """
    steps, count = costs.shape
    previous = np.zeros((steps, count), dtype=np.int64)
    total = costs[0].copy()  # (K,), of the best path that ends in each state
    for step in range(1, steps):
        best = int(total.argmin())
        is_change = total > total[best] + switch
        previous[step] = np.where(is_change, best, np.arange(count))
        total = np.minimum(total, total[best] + switch) + costs[step]
    path = np.zeros(steps, dtype=np.int64)
    path[-1] = total.argmin()
    for step in range(steps - 1, 0, -1):
        path[step - 1] = previous[step, path[step]]
    return path


def _features(
    model: TemporalJEPA, sequences: Sequences, on_sequences: Callable[[int], None]
) -> list[Array]:
    """Tokens of all layers, `(N_i, F)`; sequences longer than in training in pieces.

    Each piece begins half a piece before the tokens that are taken of it.
    """
    _check_observed(sequences)
    patch = model.config.patch
    half = max(model.config.seq_len // patch // 2, 1)  # tokens
    pieces: list[Array] = []
    skipped: list[int] = []
    owners: list[int] = []
    for i, x in enumerate(sequences.values):
        tokens = math.ceil(len(x) / patch)
        starts = [0]
        if not model.config.channel_independent and len(x) > model.config.seq_len:
            starts = [*range(0, tokens - half, half)]
        for start in starts:
            stop = tokens if len(starts) == 1 else start + 2 * half
            pieces.append(x[start * patch : stop * patch])
            skipped.append(half if start else 0)
            owners.append(i)
    cut = Sequences(pieces, channels=sequences.channels, source=sequences.source)
    share = Share(on_sequences, len(sequences), len(cut))
    found = embed_layers(model, cut, on_sequences=share.add)
    parts: list[list[Array]] = [[] for _ in sequences.values]
    for owner, skip, embedding in zip(owners, skipped, found, strict=True):
        parts[owner].append(embedding[skip:])
    return [np.concatenate(own) for own in parts]


def _check_observed(sequences: Sequences) -> None:
    """ValueError if a sequence has no observed value."""
    blank = [
        name
        for name, x in zip(sequences.ids, sequences.values, strict=True)
        if missing(x)
    ]
    if blank:
        raise ValueError(
            f"{sequences.source}: no observed value in {listed(blank)}; leave them out"
        )


def _token_at(model: TemporalJEPA, values: Array, tokens: int) -> npt.NDArray[np.int64]:
    """The token of each timestep, int `(time,)`; -1 before the first and after the last one."""
    at = np.arange(len(values))
    if not model.config.channel_independent:
        return at // model.config.patch
    observed = np.flatnonzero(~np.isnan(values).all(axis=1))
    first, last = observed[[0, -1]]
    token = (at - first) * tokens // (last - first + 1)
    return np.where((at < first) | (at > last), -1, token)


def _shares(states: Sequence[Array], count: int) -> npt.NDArray[np.float64]:
    """The share of each state among observed places, `(count,)`."""
    observed = np.concatenate(states)
    observed = observed[observed >= 0]
    return np.bincount(observed, minlength=count) / max(len(observed), 1)


def _typical(
    state: int,
    segments: Sequence[Sequence[Segment]],
    tokens: Sequence[Array],
    distances: Sequence[Array],
) -> list[Place]:
    """The moments nearest to the center of a state, one of each segment at most.

    Args:
        state: its number.
        segments: of each sequence.
        tokens: the token of each timestep `(time_i,)`.
        distances: from the center, `(N_i,)`.
    """
    found = []
    for i, own in enumerate(segments):
        for segment in own:
            if segment.state != state:
                continue
            first, last = tokens[i][[segment.start, segment.stop - 1]]
            best = first + int(np.nanargmin(distances[i][first : last + 1]))
            around = np.abs(tokens[i] - best) <= WINDOW // 2
            steps = np.flatnonzero(around & (tokens[i] >= 0))
            place = Place(i, int(steps[0]), int(steps[-1]) + 1)
            found.append((float(distances[i][best]), place))
    found.sort()
    return [place for _, place in found[:TYPICAL]]
