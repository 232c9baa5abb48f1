"""The scikit-learn transformer: `TemporalJEPAEmbedder().fit(X).transform(X)`."""

import copy
import numbers
import os
import threading
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from ..checkpoint import from_pretrained, save_pretrained
from ..config import RATE, WARM_STEPS, Pool, PretrainConfig
from ..data.datasets import is_dataset, is_stream, series_and_labels
from ..data.sequences import Sequences, listed
from ..data.tensors import is_tensor, unpacked
from ..embed import embed_sequences, embed_timesteps, feature_names
from ..files import GENERAL, SCRATCH, channels_of, folder_of, read_config
from ..model.jepa import TemporalJEPA
from ..model.multiscale import HIGHEST
from ..model.objectives import Objective
from ..training.components import check_fit, fit_components
from ..training.initial import Start, start_of
from ..training.trainer import pick_device, train

ARCHITECTURE = (
    "embed_dim",
    "encoder_depth",
    "num_heads",
    "patch_len",
    "mask_ratio",
    "normalize",
)


class TemporalJEPAEmbedder(TransformerMixin, BaseEstimator):
    """Learn to embed sequences without labels.

    Works in pipelines and grid searches, with `clone`, `set_output` and `pickle`.

    `X` is an array `(n, channels, time)`, a list of arrays `(channels, time_i)` or of DataFrames
    `(time_i, channels)` of any lengths, or a table `(n, time)` (array or DataFrame) of univariate
    series; NaN is a missing value. After fitting on a table, tables must have the same columns;
    pass `X[:, None, :]` for other lengths.
    Scenes are `(n, time, agents, features)`. Video is uint8 `(n, time, rows, columns)` or
    `(n, time, rows, columns, channels)`, uint8 or float in 0..1. `Sequences` from `read` work too.

    Args:
        steps: optimizer steps; 0: see `PretrainConfig`.
        batch_size: series per step.
        lr: peak learning rate; None: see `PretrainConfig`.
        pool: "all", "quantiles" or "mean", see `TemporalJEPA.embed`.
        embed_dim: width of a token. This and the next five are fields of `TemporalJEPAConfig`;
            None: the value in `RECIPE`.
        encoder_depth: attention blocks.
        num_heads: attention heads.
        patch_len: timesteps per token.
        mask_ratio: fraction of a series that is masked in training.
        normalize: "none", "dataset" or "instance".
        init_from: initial weights: "series-small" (the general encoder), a run folder, a model on
            the hub, or "scratch" (random initialization). None: "series-small" for series of up to
            65,536 timesteps; "scratch" for longer ones, for many noisy channels (see `objective`),
            for trajectories, scenes and video, and if a field of the architecture is given.
        frozen: use the pretrained encoder as it is: `fit` reads `X`, loads the weights and trains
            nothing. `init_from` None is "series-small" then; arguments of training are checked but
            not used. `fit` may be left out, since the weights are loaded when they are first used:
            `from_pretrained` returns a frozen embedder, and a clone of it embeds the same.
        random_state: int for reproducible results on one machine, a RandomState, or None.
        device: "cpu", "cuda", ..., or "auto".
        n_jobs: CPU threads of `transform` and `transform_timesteps`, at most all cores; -1: all
            cores, -2: all but one. None: as torch is set, all cores unless
            `torch.set_num_threads` says otherwise. The setting of torch, which all Python threads
            share, is put back afterwards.
        dim: numbers of a compact embedding, from 1 to 128: principal components of the features,
            see `TemporalJEPA.embed`. Those of "series-small" were fitted on synthetic series,
            whitened, and leave out level and scale; those of an encoder from scratch are fitted on
            `X`, one for every two series. None: all features.
        objective: what to train on, from random weights: an `Objective`, "next" (`NextLatent`) or
            "contrast" (`MaskedContrast`). None: masked latents with an EMA target; "next" for 6 or
            more channels with more noise than signal, if `init_from` and the architecture are left
            open, see `temporal_jepa.training.choice`.

    Attributes:
        model_: the trained `TemporalJEPA`, on `device`.
        history_: rows of training metrics; the last holds the collapse `verdict`. Empty if frozen,
            absent after `from_pretrained`.
        channels_: channels of a series; None for "series-small" before fitting, which takes any.
        n_features_in_: columns of a table, else channels.
        feature_names_in_: names of the columns, if `X` was a DataFrame whose columns are strings.

    >>> X = np.random.default_rng(0).normal(size=(8, 2, 30))
    >>> embedder = TemporalJEPAEmbedder(init_from="scratch", steps=2, pool="mean", random_state=0)
    >>> embedder.fit(X).transform(X).shape
    (8, 64)
    """

    def __init__(
        self,
        steps: int = PretrainConfig.steps,
        batch_size: int = PretrainConfig.batch_size,
        lr: float | None = PretrainConfig.lr,
        pool: Pool = "all",
        embed_dim: int | None = None,
        encoder_depth: int | None = None,
        num_heads: int | None = None,
        patch_len: int | None = None,
        mask_ratio: float | None = None,
        normalize: str | None = None,
        init_from: str | os.PathLike[str] | None = None,
        frozen: bool = False,
        random_state: int | np.random.RandomState | None = None,
        device: str = "cpu",
        n_jobs: int | None = None,
        dim: int | None = None,
        objective: Objective | str | None = None,
    ):
        self.steps = steps
        self.batch_size = batch_size
        self.lr = lr
        self.pool = pool
        self.embed_dim = embed_dim
        self.encoder_depth = encoder_depth
        self.num_heads = num_heads
        self.patch_len = patch_len
        self.mask_ratio = mask_ratio
        self.normalize = normalize
        self.init_from = init_from
        self.frozen = frozen
        self.random_state = random_state
        self.device = device
        self.n_jobs = n_jobs
        self.dim = dim
        self.objective = objective

    @torch.inference_mode(False)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Train on `X`, or only load the weights if `frozen`; `y` is ignored.

        Raises:
            ValueError: for fewer than 2 series (1 if frozen), a channel or series without an
                observed value, infinite values, series that are too short to train on, parameters
                out of range, more numbers than components (`dim`), or `frozen` without a pretrained
                encoder.
            FileNotFoundError: if there is no model `init_from`.
        """
        thread_count(self.n_jobs)
        if not isinstance(self.frozen, bool | np.bool_):
            raise ValueError(f"frozen must be True or False, got {self.frozen!r}")
        sequences = self._read(X, is_fitting=True).check_observed()
        self.channels_: int | None = sequences.n_channels
        seed = as_seed(self.random_state)
        config = PretrainConfig(
            self.steps, self.batch_size, self.lr, seed=seed, device=self.device
        )
        start = self._start(sequences)
        model = start.model(sequences, seed)
        self._try_features(model, sequences)
        history: list[dict[str, Any]] = []
        if self.frozen:
            self.model_ = model.to(pick_device(self.device)).eval()
        else:
            self.model_ = train(
                model,
                sequences,
                config,
                pretrained=start.pretrained,
                on_row=history.append,
            )
        if self.model_.components is None and not self.frozen:
            fit_components(self.model_, sequences)
            self._try_features(self.model_, sequences)
        self.history_ = history
        return self

    def _start(self, sequences: Sequences) -> Start:
        """Where training starts; what is frozen must be pretrained."""
        architecture = self._architecture()
        init_from = self.init_from
        if self.frozen and init_from is None:
            init_from = GENERAL
        start = start_of(sequences, init_from, architecture, self.objective)
        longest = int(sequences.lengths.max())
        if init_from is None and not start.pretrained and longest > HIGHEST:
            warnings.warn(
                f"training starts from scratch: {start.reason}; choose with init_from="
                '"series-small" or "scratch"',
                stacklevel=3,
            )
        if self.frozen and not start.pretrained:
            raise ValueError(
                'frozen=True needs a pretrained encoder: init_from="series-small", a run folder '
                f"or a model on the hub; got init_from={init_from!r}, random weights. Name a "
                "pretrained one, or leave out frozen to train"
            )
        return start

    def transform(self, X: Any) -> npt.NDArray[np.float32]:
        """One embedding per series, float32 `(n, features)`.

        The embedding of a series does not depend on the other series in `X`, on the CPU to the last
        bit: series are padded to shapes that do not depend on the others. Another number of threads
        may change the last bits.

        Raises:
            ValueError: for other channels or other columns of a table than in `fit`, or for a
                series without any observed value.
            NotFittedError: before `fit`.
        """
        self._check_ready()
        sequences = self.sequences(X)
        with threads(self.n_jobs):
            embedding = embed_sequences(self.model_, sequences, self.pool, dim=self.dim)
        if self.channels_ is None:  # the features depend on the channels of X
            self._channels_out = list(sequences.channels)
        return embedding

    def get_feature_names_out(
        self, input_features: Any = None
    ) -> npt.NDArray[np.object_]:
        """The names of the features of `transform`, text `(features,)`.

        They say of which resolution, layer and statistic a feature is, as in "res0.5_layer1_q75_5",
        see `temporal_jepa.embed.names`. A general encoder that was not fitted takes any channels,
        on which its features depend: the names are those of the last `transform`, and of one
        channel before it.

        Args:
            input_features: ignored; the features are not those of `X`.

        Raises:
            NotFittedError: before `fit`.
        """
        self._check_ready()
        names = feature_names(self.model_, self._channels_out, self.pool, self.dim)
        return np.asarray(names, dtype=object)

    def transform_timesteps(self, X: Any) -> list[npt.NDArray[np.float32]]:
        """One embedding per timestep: float32 `(time_i, embed_dim)` for each series.

        NaN where a patch is unobserved. Raises as `transform`.
        """
        self._check_ready()
        sequences = self.sequences(X)
        with threads(self.n_jobs):
            return embed_timesteps(self.model_, sequences)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write the fitted model as a folder that `from_pretrained` and the command line read."""
        self._check_ready()
        save_pretrained(self.model_, folder, {"channels": self.channels_})

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str],
        pool: Pool = "all",
        device: str = "cpu",
        dim: int | None = None,
    ) -> Self:
        """A fitted embedder from a stored model.

        It is frozen: `fit` and clones of it, in a cross-validation for example, train nothing.
        `adapt` trains it further, and `set_params(frozen=False)` lets `fit` do so.

        Args:
            source: a run folder, a folder of `save_pretrained`, "owner/name" on the hub, or
                "series-small": the general encoder in the package, trained on synthetic series,
                for any number of channels, any length and scale.
            pool: see `TemporalJEPA.embed`.
            device: device of the model.
            dim: numbers of a compact embedding; None: all features.

        Raises:
            FileNotFoundError: if there is no model.
            ValueError: if it is damaged, or stores fewer than `dim` components.
        """
        embedder = cls(init_from=source, frozen=True, pool=pool, device=device, dim=dim)
        return embedder._load()

    def _load(self) -> Self:
        """Load the pretrained encoder, bound to no series."""
        source = GENERAL if self.init_from is None else self.init_from
        model = from_pretrained(source, str(pick_device(self.device)))
        config = read_config(folder_of(source))
        self.channels_ = channels_of(config)
        if self.channels_ is not None:
            self.n_features_in_ = self.channels_
            stored = config.get("data", {}).get("channels", ())
            self._channel_names = _names_of(stored)
        blank = np.zeros((model.config.seq_len, self.channels_ or 1), dtype=np.float32)
        self._try_features(model, Sequences([blank]))
        self.model_ = model
        return self

    def _architecture(self) -> dict[str, Any]:
        """The requested fields of `TemporalJEPAConfig`."""
        architecture = {name: getattr(self, name) for name in ARCHITECTURE}
        return {
            name: value for name, value in architecture.items() if value is not None
        }

    def _is_stored(self) -> bool:
        """Whether the weights are those of a stored model, so that there is nothing to fit."""
        is_shaped = bool(self._architecture()) or self.objective is not None
        return self.frozen is True and self.init_from != SCRATCH and not is_shaped

    def _check_ready(self) -> None:
        """Load a frozen encoder that was not fitted; NotFittedError for any other."""
        check_is_fitted(self)
        if not hasattr(self, "model_"):
            self._load()

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "model_") or self._is_stored()

    @torch.inference_mode(False)
    def adapt(self, X: Any, steps: int = WARM_STEPS, lr: float = RATE / 10) -> Self:
        """Train a fitted embedder further on `X`, without labels.

        Args:
            X: as in `transform`; at least two series.
            steps: optimizer steps.
            lr: peak learning rate, a tenth of the usual one.

        Raises:
            ValueError: as `fit`.
            NotFittedError: before `fit` or `from_pretrained`.
        """
        self._check_ready()
        if steps == 0:
            raise ValueError("steps must be at least 1, got 0")
        config = PretrainConfig(
            steps,
            self.batch_size,
            lr,
            seed=as_seed(self.random_state),
            device=self.device,
        )
        history: list[dict[str, Any]] = []
        self.model_ = train(
            copy.deepcopy(self.model_), self.sequences(X), config, on_row=history.append
        )
        self.history_ = history
        return self

    def _try_features(self, model: TemporalJEPA, sequences: Sequences) -> None:
        """Embed one series, so that a wrong `pool` or `dim` is refused before training."""
        one = sequences.select([0])
        dim = self.dim
        if dim is not None and model.components is None and not self.frozen:
            check_fit(model, sequences, dim, self.pool)
            dim = None  # the components are fitted after training
        embed_sequences(model.eval(), one, self.pool, dim=dim)
        self._channels_out = list(sequences.channels)

    def fitted_model(self) -> TemporalJEPA:
        """`model_`, loaded if it is frozen and was not used yet; NotFittedError before `fit`."""
        self._check_ready()
        return self.model_

    def sequences(self, X: Any) -> Sequences:
        """`X` as the fitted embedder reads it; raises as `transform`."""
        self._check_ready()
        return self._read(X, is_fitting=False)

    def _read(self, X: Any, is_fitting: bool) -> Sequences:
        """Any accepted `X` as `Sequences`; learns `n_features_in_` when fitting."""
        if isinstance(X, Sequences):
            return self._checked(X, is_fitting)
        X = _as_array_like(_checked_type(X))
        if isinstance(X, list | tuple) and not _is_table(X):
            return self._checked(Sequences.from_arrays(X), is_fitting)
        if np.ndim(X) in (4, 5):  # video and scenes: bytes stay bytes
            return self._checked(Sequences.from_arrays(np.asarray(X)), is_fitting)
        return self._read_array(X, is_fitting)

    def _read_array(self, X: Any, is_fitting: bool) -> Sequences:
        """A table `(n, time)` or an array `(n, channels, time)`, checked as scikit-learn does."""
        checks = {
            "dtype": [np.float64, np.float32],
            "ensure_all_finite": "allow-nan",
            "ensure_min_samples": 2 if is_fitting and not self.frozen else 1,
        }
        if np.ndim(X) == 2 and (is_fitting or self._is_fitted_on_table()):
            width = 2 if is_fitting else 1
            X = validate_data(
                self, X, reset=is_fitting, ensure_min_features=width, **checks
            )
            return Sequences.from_arrays(X)
        X = check_array(X, allow_nd=True, **checks)
        return self._checked(Sequences.from_arrays(X), is_fitting)

    def _is_fitted_on_table(self) -> bool:
        return getattr(self, "n_features_in_", None) != self.channels_

    def _checked(self, sequences: Sequences, is_fitting: bool) -> Sequences:
        if is_fitting:
            if len(sequences) < 2 and not self.frozen:
                raise ValueError(
                    "expected at least 2 series, got 1 sample; cut a long recording into windows"
                )
            # Sets n_features_in_ to the number of channels.
            validate_data(self, [x.T for x in sequences.values], skip_check_array=True)
            self._channel_names = _names_of(sequences.channels)
            return sequences
        fitted: list[str] = getattr(self, "_channel_names", [])
        names = _names_of(sequences.channels) or fitted
        if sequences.n_channels == len(fitted) and names != fitted:
            raise ValueError(
                f"expected the channels {listed(fitted)}, in this order, as in fit, got "
                f"{listed(names)}; choose them in that order, or rename them if they are the same"
            )
        is_bound = self.model_.config.channel_independent and self.channels_ is not None
        if is_bound and sequences.n_channels != self.channels_:
            raise ValueError(
                f"expected series of {self.channels_} channels, as in fit, "
                f"got {sequences.n_channels}"
            )
        return sequences

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        tags.requires_fit = not self._is_stored()
        return tags


def kept_fitted(estimator: Any, cloned: Any) -> Any:
    """What the clone of an estimator holds in place of a part `estimator`.

    A fitted embedder stays fitted, so that an encoder that was trained is not lost; its parameters
    can be set without changing the given one.

    Args:
        estimator: the part, an embedder or anything else.
        cloned: what scikit-learn makes of it.
    """
    if isinstance(estimator, TemporalJEPAEmbedder) and hasattr(estimator, "model_"):
        return copy.copy(estimator)
    return cloned


def _checked_type(X: Any) -> Any:
    """`X` itself; ValueError for what is no array, and for a table of timesteps."""
    is_dict = type(X) is dict  # sparse matrices of scipy are dicts too
    if X is None or is_dict or isinstance(X, str | os.PathLike):
        what = "a dict" if is_dict else repr(X)
        raise ValueError(
            f"expected an array, a list of arrays, a DataFrame or Sequences, got {what}; "
            "temporal_jepa.read takes files, and dicts of DataFrames"
        )
    if is_nested(X):
        raise ValueError(NESTED)
    if getattr(getattr(X, "dtype", None), "kind", "") in ("M", "m"):
        raise ValueError(
            f"expected numbers, got an array of dates ({X.dtype}); temporal_jepa.read takes times "
            "beside values"
        )
    if hasattr(X, "columns"):
        _check_rows(X)
    return X


def _check_rows(X: Any) -> None:
    """ValueError for a DataFrame whose rows are timesteps, by its columns and its index."""
    columns = [str(name).lower() for name in X.columns]
    levels = getattr(getattr(X, "index", None), "nlevels", 1)
    is_long = "id" in columns and bool({"time", "timestamp", "date"} & {*columns})
    if is_long or levels > 1:
        raise ValueError(
            "a row of this DataFrame looks like one timestep, but a table has a series in each "
            "row; pass temporal_jepa.read(X, id=COLUMN, time=COLUMN) if rows are timesteps, "
            "X.to_numpy() if they are series"
        )
    texts = _columns_of_text(X) if hasattr(X, "iloc") else []
    if texts:
        raise ValueError(
            f"expected a table of numbers, a series in each row, got text in the columns "
            f"{listed(texts)}; pass temporal_jepa.read(X, id=COLUMN, time=COLUMN, label=COLUMN) if "
            "rows are timesteps, leave these columns out if they are series"
        )


def _columns_of_text(X: Any) -> list[str]:
    """The columns of a DataFrame that hold text which is no number, by their first values."""
    found = []
    for place, name in enumerate(X.columns):
        known = X.iloc[:, place].dropna()
        if len(known) and isinstance(known.iloc[0], str):
            try:
                float(known.iloc[0])
            except ValueError:
                found.append(str(name))
    return found


NESTED = (
    "got a nested DataFrame, as sktime has them, with a series in each cell; pass a list of arrays "
    "(channels, time_i): [np.stack([*row]) for row in X.to_numpy()]"
)


def is_nested(X: Any) -> bool:
    """Whether `X` is a DataFrame that holds a whole series in each cell."""
    if not hasattr(X, "columns") or not hasattr(X, "iloc") or 0 in X.shape:
        return False
    return np.ndim(X.iloc[0, 0]) == 1


def _names_of(channels: Iterable[str]) -> list[str]:
    """The names of channels; none if they are numbered."""
    names = list(channels)
    return [] if names == [str(k) for k in range(len(names))] else names


def thread_count(n_jobs: int | None) -> int | None:
    """CPU threads of `n_jobs` as scikit-learn counts them, at most all cores.

    Args:
        n_jobs: a number from 1; -1: all cores, -2: all but one, ...; None: as torch is set.

    Returns:
        a number of threads, None for None.

    Raises:
        ValueError: for 0, or for what is no whole number.
    """
    if n_jobs is None:
        return None
    is_whole = isinstance(n_jobs, numbers.Integral) and not isinstance(n_jobs, bool)
    if not is_whole or n_jobs == 0:
        raise ValueError(
            "n_jobs must be a whole number from 1, -1 for all cores, -2 for all but one, or "
            f"None, got {n_jobs!r}"
        )
    cores = os.cpu_count() or 1
    count = int(n_jobs) if n_jobs > 0 else cores + 1 + int(n_jobs)
    return min(max(count, 1), cores)


_THREADS = threading.Lock()
_BORROWED: list[int] = []  # torch's number of threads before each use under way


@contextmanager
def threads(n_jobs: int | None) -> Iterator[None]:
    """Let torch use this many CPU threads, see `thread_count`.

    The setting belongs to the process: the last of several uses at a time decides, and the number
    before the first of them is put back after all have ended.
    """
    count = thread_count(n_jobs)
    if count is None:
        yield
        return
    with _THREADS:
        _BORROWED.append(torch.get_num_threads())
        torch.set_num_threads(count)
    try:
        yield
    finally:
        with _THREADS:
            before = _BORROWED[0]
            _BORROWED.pop()
            if not _BORROWED:
                torch.set_num_threads(before)


def as_seed(state: int | np.random.RandomState | None) -> int:
    """A seed from scikit-learn's `random_state`."""
    if isinstance(state, (int, np.integer)):
        return int(state)
    return int(check_random_state(state).randint(np.iinfo(np.int32).max))


def _as_array_like(X: Any) -> Any:
    """`X` itself if it is a list or has a shape, else an array; masked values become NaN.

    Tensors become arrays, an array of arrays of unequal length and a dataset of PyTorch lists.
    """
    if is_dataset(X) or is_stream(X):
        X, _ = series_and_labels(X)
    if is_tensor(X) or (
        isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1
    ):
        X = unpacked(X)
    if isinstance(X, np.ma.MaskedArray):  # scikit-learn's checks would drop the mask
        return np.ma.filled(X.astype(float), np.nan)
    if isinstance(X, list | tuple) or hasattr(X, "shape"):
        return X
    return np.asarray(X)


def _is_table(X: list[Any] | tuple[Any, ...]) -> bool:
    """Whether a list holds the rows of a table, all of one length."""
    if not X or any(np.ndim(x) > 1 for x in X):
        return False
    return all(np.ndim(x) == 0 for x in X) or len({np.shape(x) for x in X}) == 1
