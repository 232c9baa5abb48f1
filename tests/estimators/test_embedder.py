import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from factories import ragged_walks, random_walks
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from temporal_jepa import read
from temporal_jepa.config import RECIPE, PretrainConfig
from temporal_jepa.data.sequences import Sequences
from temporal_jepa.embed import embed_sequences
from temporal_jepa.estimators.embedder import (
    ARCHITECTURE,
    TemporalJEPAEmbedder,
    threads,
)
from temporal_jepa.model.jepa import TemporalJEPA
from temporal_jepa.model.multiscale import HIGHEST
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.run import pretrain
from temporal_jepa.training.trainer import train

ESTIMATOR = {"steps": 2, "embed_dim": 8, "num_heads": 2, "encoder_depth": 1}
WIDTH = 3 * 8 * 2  # pool="all": mean, std and max of the tokenizer and of one layer


def small(**parameters: object) -> TemporalJEPAEmbedder:
    return TemporalJEPAEmbedder(**{**ESTIMATOR, "random_state": 0, **parameters})


# check_array_api_input skips itself unless SCIPY_ARRAY_API=1; no check is expected to fail.
@parametrize_with_checks(
    [
        TemporalJEPAEmbedder(**ESTIMATOR),
        TemporalJEPAEmbedder(**ESTIMATOR, dim=2),
        TemporalJEPAEmbedder(frozen=True, pool="mean"),
    ]
)
def test_scikit_learn_checks(estimator: TemporalJEPAEmbedder, check) -> None:
    check(estimator)


def test_import_loads_no_aeon_and_no_distributed_checkpoints() -> None:
    code = (
        "import sys, temporal_jepa.estimators.embedder, temporal_jepa.evaluation.probes; "
        "assert 'aeon' not in sys.modules; "
        "assert 'torch.distributed.checkpoint' not in sys.modules"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2]
    )


def test_defaults_are_those_of_the_configurations() -> None:
    parameters = TemporalJEPAEmbedder().get_params()
    defaults = PretrainConfig()
    for name in ("steps", "batch_size", "lr"):
        assert parameters[name] == getattr(defaults, name)
    config = (
        TemporalJEPAEmbedder(steps=1, random_state=0, init_from="scratch")
        .fit(random_walks())
        .model_.config
    )
    assert {name: getattr(config, name) for name in RECIPE} == dict(RECIPE)
    chosen = dict(zip(ARCHITECTURE, (32, 1, 2, 4, 0.4, "instance"), strict=True))
    config = TemporalJEPAEmbedder(steps=1, **chosen).fit(random_walks()).model_.config
    assert {name: getattr(config, name) for name in ARCHITECTURE} == chosen


def test_it_equals_the_functions_of_the_library() -> None:
    X = random_walks()
    sequences = Sequences.from_arrays(X)
    architecture = {name: value for name, value in ESTIMATOR.items() if name != "steps"}
    model = initial_model(sequences, 3, **architecture)
    train(model, sequences, PretrainConfig(steps=2, seed=3, device="cpu"))
    estimator = small(random_state=3)
    np.testing.assert_allclose(
        estimator.fit_transform(X), embed_sequences(model, sequences), atol=1e-5
    )
    assert estimator.history_[-1]["step"] == 2
    assert estimator.history_[-1]["verdict"]


def test_the_seed_decides_and_labels_do_not_matter() -> None:
    X = random_walks()
    first = small().fit(X).transform(X)
    np.testing.assert_array_equal(first, small().fit(X, np.arange(8)).transform(X))
    assert not np.array_equal(first, small(random_state=1).fit(X).transform(X))
    state = np.random.RandomState(0)
    assert not np.array_equal(
        small(random_state=state).fit_transform(X),
        small(random_state=state).fit_transform(X),
    )


@pytest.mark.parametrize("normalize", ["dataset", "instance"])
def test_other_series_of_a_batch_do_not_change_a_bit(normalize: str) -> None:
    X = [*ragged_walks(12), *random_walks(12, seed=1)]
    estimator = small(normalize=normalize).fit(X)
    whole = estimator.transform(X)
    order = np.random.default_rng(0).permutation(len(X))
    np.testing.assert_array_equal(
        np.concatenate([estimator.transform([x]) for x in X]), whole
    )
    np.testing.assert_array_equal(
        estimator.transform([X[i] for i in order]), whole[order]
    )
    alone = estimator.transform_timesteps(X[3:4])
    steps = estimator.transform_timesteps(X)
    np.testing.assert_array_equal(alone[0], steps[3])
    assert [s.shape for s in steps] == [(x.shape[1], 8) for x in X]
    assert {s.dtype for s in steps} == {np.dtype(np.float32)}


def test_arrays_lists_and_tables_of_the_same_series_agree() -> None:
    X = random_walks(channels=1)
    Z = small().fit(X).transform(X)
    table = X[:, 0]
    frame = pd.DataFrame(table, columns=[f"t{i}" for i in range(20)])
    for other in (
        list(X),
        table,
        table.tolist(),
        list(table),
        frame,
        table.astype(np.float32),
        np.asfortranarray(table),
    ):
        np.testing.assert_allclose(small().fit(other).transform(other), Z, atol=1e-6)
    estimator = small().fit(frame)
    assert estimator.n_features_in_ == 20
    assert list(estimator.feature_names_in_) == list(frame.columns)
    np.testing.assert_array_equal(estimator.transform(X), estimator.transform(frame))
    assert (
        estimator.transform(X[:, :, :13]).shape == Z.shape
    )  # as (n, channels, time), any length
    with pytest.raises(ValueError, match="The feature names should match"):
        estimator.transform(frame.iloc[:, :13])
    with pytest.raises(
        ValueError, match="X has 13 features, but TemporalJEPAEmbedder is expecting 20"
    ):
        small().fit(table).transform(table[:, :13])
    assert small().fit(X).n_features_in_ == 1
    assert small().fit(ragged_walks()).n_features_in_ == 2
    assert small().fit([x[0] for x in ragged_walks()]).n_features_in_ == 1


def test_missing_values_and_padding() -> None:
    X = ragged_walks()
    padded = np.full((8, 2, 29), np.nan)
    for row, x in zip(padded, X, strict=True):
        row[:, : x.shape[1]] = x
    estimator = small().fit(X)
    np.testing.assert_allclose(
        estimator.transform(padded), estimator.transform(X), atol=1e-6
    )
    padded[:, 1, 3:5] = np.nan
    assert np.isfinite(small().fit_transform(padded)).all()


def test_output_names_and_containers() -> None:
    X = random_walks()
    for pool, width in (("mean", 8), ("all", WIDTH)):
        estimator = small(pool=pool).fit(X)
        assert estimator.transform(X).shape == (8, width)
        assert list(estimator.get_feature_names_out()) == [
            f"layer{layer}_{statistic}_{k}"
            for layer in ((1,) if pool == "mean" else (0, 1))
            for statistic in (("mean",) if pool == "mean" else ("mean", "std", "max"))
            for k in range(8)
        ]
        assert width == len(estimator.get_feature_names_out())
    frame = pd.DataFrame(X[:, 0], index=list("abcdefgh"))
    out = small().set_output(transform="pandas").fit(frame).transform(frame)
    assert list(out.index) == list("abcdefgh")
    assert out.shape == (8, WIDTH)


@pytest.mark.parametrize("container", ["pandas", "polars"])
def test_tables_of_embeddings_have_named_columns(container: str) -> None:
    library = pytest.importorskip(container)
    estimator = TemporalJEPAEmbedder.from_pretrained("series-small")
    assert estimator.get_feature_names_out()[-1] == "std_0"
    estimator.set_output(transform=container)
    frames = [pd.DataFrame(x.T, columns=["a", "b"]) for x in random_walks()]
    out = estimator.transform(frames)  # not fitted: the features follow the channels
    assert isinstance(out, library.DataFrame)
    assert list(out.columns) == list(estimator.get_feature_names_out())
    expected = np.stack([np.mean(frame["b"]) for frame in frames])
    np.testing.assert_allclose(out["mean_b"], expected, atol=0.05)
    assert clone(estimator).fit(frames).transform(frames).shape == out.shape


def test_clone_pickle_pipeline_and_grid_search() -> None:
    X = random_walks(12)
    y = np.arange(12) % 2
    estimator = small(lr=1e-4).fit(X)
    assert clone(estimator).get_params() == estimator.get_params()
    assert not hasattr(clone(estimator), "model_")
    Z = estimator.transform(X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(estimator)).transform(X), Z)
    search = GridSearchCV(
        make_pipeline(small(), RidgeClassifier()),
        {"temporaljepaembedder__pool": ["mean", "all"]},
        cv=2,
    )
    assert search.fit(X, y).predict(X).shape == (12,)


def test_saved_and_loaded(tmp_path: Path) -> None:
    X = random_walks()
    estimator = small(normalize="instance").fit(X)
    estimator.save_pretrained(tmp_path / "model")
    loaded = TemporalJEPAEmbedder.from_pretrained(tmp_path / "model")
    np.testing.assert_array_equal(loaded.transform(X), estimator.transform(X))
    assert loaded.n_features_in_ == 2
    assert list(loaded.get_feature_names_out()) == list(
        estimator.get_feature_names_out()
    )
    assert loaded.init_from == tmp_path / "model"
    univariate = small().fit(X[:, 0])
    univariate.save_pretrained(tmp_path / "model")
    again = TemporalJEPAEmbedder.from_pretrained(tmp_path / "model", pool="mean")
    assert again.transform(X[:, 1, :9]).shape == (
        8,
        8,
    )  # no columns to keep: a table of any length


def test_compact_embeddings(tmp_path: Path) -> None:
    X = random_walks(24)
    estimator = small(dim=5).fit(X)
    Z = estimator.transform(X)
    assert Z.shape == (24, 5)
    assert clone(estimator).dim == 5
    np.testing.assert_array_equal(estimator.transform(X[3:4]), Z[3:4])
    names = [f"component{i}" for i in range(5)]
    assert list(estimator.get_feature_names_out()) == names
    frame = clone(estimator).set_output(transform="pandas").fit_transform(X)
    assert list(frame.columns) == names
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(estimator)).transform(X), Z)
    estimator.save_pretrained(tmp_path)
    loaded = TemporalJEPAEmbedder.from_pretrained(tmp_path, dim=12)
    np.testing.assert_array_equal(loaded.transform(X)[:, :5], Z)
    with pytest.raises(ValueError, match=r"dim=13 is more than the 12 .* model stores"):
        TemporalJEPAEmbedder.from_pretrained(tmp_path, dim=13)
    y = np.arange(24) % 2
    search = GridSearchCV(
        make_pipeline(small(), RidgeClassifier()),
        {"temporaljepaembedder__dim": [2, None]},
        cv=2,
    )
    assert search.fit(X, y).predict(X).shape == (24,)


def test_a_dim_that_the_series_cannot_give_is_refused_before_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr("temporal_jepa.estimators.embedder.train", refuse)
    message = r"dim=5 is more than the 4 .* that 8 series give, one for every 2; choose"
    with pytest.raises(ValueError, match=message):
        small(dim=5).fit(random_walks(8))
    with pytest.raises(ValueError, match=r'dim=2 needs pool="all"'):
        small(dim=2, pool="mean").fit(random_walks(8))


def test_not_fitted() -> None:
    for method in ("transform", "transform_timesteps"):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(small(), method)(random_walks())
    with pytest.raises(NotFittedError, match="not fitted yet"):
        small().save_pretrained("nowhere")


def test_a_table_of_timesteps_is_named_with_the_call_that_reads_it() -> None:
    table = pd.DataFrame({"who": list("aabb"), "step": [1, 2, 1, 2], "v": [1.0] * 4})
    message = r"text in the columns who; pass temporal_jepa.read\(X, id=COLUMN"
    with pytest.raises(ValueError, match=message):
        small().fit(table)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (random_walks(1), "1 sample"),
        (ragged_walks(1), "1 sample"),
        (
            random_walks(1)[0],
            None,
        ),  # two univariate series, a guess that cannot be told apart
        (random_walks()[:, :, :1], "1 timesteps"),
        (random_walks(4, 1)[:, 0, :1], r"1 feature\(s\)"),
        (np.where(random_walks() > 3, np.inf, random_walks()), "infinity"),
        ([np.where(x > 3, np.inf, x) for x in ragged_walks()], "infinite in float32"),
        (
            np.stack([random_walks(8, 1)[:, 0], np.full((8, 20), np.nan)], axis=1),
            "no observed value in any series .* in channel '1'; leave it out",
        ),
        (
            [*ragged_walks(3), np.full((2, 9), np.nan)],
            "1 series have no observed value",
        ),
        ([*ragged_walks(3), random_walks(1, 3)[0]], "one number of channels"),
        ([x.T for x in ragged_walks()], "one number of channels"),
        (np.zeros((0, 2, 20)), r"0 sample\(s\)"),
        ([], "at least one series in X, got none"),
        (None, "expected an array, .* got None"),
        ("a.csv", "got 'a.csv'; temporal_jepa.read takes files"),
        (np.array([["a", "b"], ["c", "d"]]), "could not convert string"),
        (np.zeros((4, 20), "datetime64[D]"), "expected numbers, got an array of dates"),
    ],
)
def test_bad_series_are_named(X: object, message: str | None) -> None:
    if message is None:
        assert small().fit_transform(X).shape == (2, WIDTH)
    else:
        with pytest.raises(ValueError, match=message):
            small().fit(X)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"pool": "max"}, "pool must be"),
        ({"steps": -1}, "steps must be at least 1"),
        ({"mask_ratio": 1.0}, "mask_ratio must be strictly between"),
        ({"normalize": "batch"}, "normalize must be one of"),
        ({"device": "gpu"}, "device must be"),
        ({"frozen": "no"}, "frozen must be True or False, got 'no'"),
        ({"embed_dim": 9}, "embed_dim must be .* multiple"),
        ({"patch_len": 16}, "20 timesteps.* 32.*patch_len"),
    ],
)
def test_bad_parameters_are_named(parameters: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**parameters).fit(random_walks())


def test_other_channels_than_in_fit() -> None:
    estimator = small().fit(random_walks())
    for X in (random_walks(channels=3), random_walks(channels=1)[:, 0]):
        with pytest.raises(ValueError, match="the model expects 2 channels, got"):
            estimator.transform(X)


def test_masked_values_are_missing_values() -> None:
    X = np.random.default_rng(0).normal(size=(6, 2, 30))
    masked = np.ma.masked_where(X > 1, X)
    missing = np.where(X > 1, np.nan, X)
    embedder = TemporalJEPAEmbedder(steps=2, random_state=0).fit(missing)
    assert np.array_equal(embedder.transform(masked), embedder.transform(missing))


@pytest.mark.parametrize("kind", [np.int64, np.float32])
def test_pixels_in_0_to_255_must_be_bytes(kind: type) -> None:
    video = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 4, 3), dtype=np.uint8)
    estimator = small().fit(video)
    np.testing.assert_allclose(
        estimator.transform(video / 255), estimator.transform(video), atol=1e-5
    )
    with pytest.raises(
        ValueError,
        match=r"bytes \(uint8, 0..255\) or as numbers in 0..1, got .* up to 255",
    ):
        estimator.transform(video.astype(kind))


def test_sequences_equal_arrays() -> None:
    X = np.random.default_rng(0).normal(size=(6, 2, 30)).astype(np.float32)
    sequences = Sequences.from_arrays(X)
    one = small().fit(sequences)
    other = small().fit(X)
    assert one.n_features_in_ == other.n_features_in_ == 2
    np.testing.assert_array_equal(one.transform(sequences), other.transform(X))
    np.testing.assert_array_equal(one.transform(X), other.transform(sequences))
    with pytest.raises(ValueError, match="expected at least 2 series"):
        small().fit(sequences.select([0]))
    with pytest.raises(ValueError, match="expects 2 channels, got"):
        one.transform(Sequences.from_arrays(X[:, :1]))


@pytest.mark.parametrize("shape", [(6, 10, 4, 2), (6, 8, 12, 12, 1)])
def test_scenes_and_video(shape: tuple[int, ...], tmp_path) -> None:
    X = np.random.default_rng(0).random(shape).astype(np.float32)
    embedder = TemporalJEPAEmbedder(steps=2, random_state=0).fit(X)
    Z = embedder.transform(X)
    assert Z.shape[0] == 6
    assert np.isfinite(Z).all()
    embedder.save_pretrained(tmp_path)
    np.testing.assert_allclose(
        TemporalJEPAEmbedder.from_pretrained(tmp_path).transform(X), Z, atol=1e-6
    )
    with pytest.raises(ValueError, match="frames of"):
        embedder.transform(
            np.swapaxes(X, 2, 3)[:, :, :, ::-1]
            if len(shape) == 4
            else X[:, :, :6].repeat(2, 4)
        )


def test_tensors_and_arrays_of_arrays_are_read() -> None:
    series = ragged_walks()
    ragged = np.empty(len(series), dtype=object)
    ragged[:] = series
    expected = small().fit_transform(series)
    np.testing.assert_array_equal(small().fit_transform(ragged), expected)
    tensors = [torch.from_numpy(x).requires_grad_() for x in series]
    np.testing.assert_array_equal(small().fit_transform(tensors), expected)


FROZEN = {"init_from": "series-small", "frozen": True, "pool": "mean"}


def test_a_frozen_encoder_is_the_pretrained_one() -> None:
    X = random_walks()
    estimator = TemporalJEPAEmbedder(**FROZEN, random_state=0)
    Z = estimator.fit_transform(X)
    loaded = TemporalJEPAEmbedder.from_pretrained("series-small", pool="mean")
    np.testing.assert_array_equal(Z, loaded.transform(X))
    weights = loaded.model_.state_dict()
    for name, value in estimator.model_.state_dict().items():
        np.testing.assert_array_equal(value, weights[name])
    assert not estimator.model_.training
    assert estimator.history_ == []
    assert estimator.n_features_in_ == estimator.channels_ == 2
    # None is the general encoder, also for one series.
    alone = TemporalJEPAEmbedder(frozen=True, pool="mean").fit(X[:1])
    np.testing.assert_array_equal(alone.transform(X), Z)
    with pytest.raises(ValueError, match="expected series of 2 channels"):
        alone.transform(X[:, :1])


def test_a_frozen_encoder_in_the_tools_of_scikit_learn() -> None:
    X = random_walks(12, 1)[:, 0]
    y = np.arange(12) % 2
    frame = pd.DataFrame(X, columns=[f"t{i}" for i in range(20)])
    estimator = TemporalJEPAEmbedder(**FROZEN)
    assert clone(estimator).get_params() == estimator.get_params()
    pipeline = make_pipeline(estimator, RidgeClassifier())
    scores = cross_val_score(pipeline, frame, y, cv=3, error_score="raise")
    assert scores.shape == (3,)
    search = GridSearchCV(pipeline, {"temporaljepaembedder__pool": ["mean", "all"]})
    assert search.fit(frame, y).predict(frame).shape == (12,)
    fitted = clone(estimator).set_output(transform="pandas").fit(frame)
    assert list(fitted.feature_names_in_) == list(frame.columns)
    Z = fitted.transform(frame)
    assert list(Z.columns) == list(fitted.get_feature_names_out())
    again = pickle.loads(pickle.dumps(fitted)).transform(frame)
    np.testing.assert_array_equal(again, Z)


def test_a_loaded_encoder_survives_clone_and_is_never_trained(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("trained")

    monkeypatch.setattr("temporal_jepa.estimators.embedder.train", refuse)
    X = random_walks(12)
    y = np.arange(12) % 2
    loaded = TemporalJEPAEmbedder.from_pretrained("series-small", pool="mean")
    Z = loaded.transform(X)
    copied = clone(loaded)
    assert not hasattr(copied, "model_")
    np.testing.assert_array_equal(copied.transform(X), Z)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(clone(loaded))).transform(X), Z
    )
    pipeline = make_pipeline(loaded, RidgeClassifier())
    scores = cross_val_score(pipeline, X, y, cv=3, error_score="raise")
    assert scores.shape == (3,)
    with pytest.raises(AssertionError, match="trained"):
        clone(loaded).set_params(frozen=False).fit(X)


def test_the_folds_of_tracks_are_tracks() -> None:
    rng = np.random.default_rng(0)
    places = [rng.normal(size=(30, 2)).cumsum(axis=0) for _ in range(12)]
    table = pd.DataFrame(np.concatenate(places), columns=["x", "y"])
    table["t"] = np.tile(np.arange(30), 12)
    table[["track", "kind"]] = np.repeat(
        [[f"t{i}", "ab"[i % 2]] for i in range(12)], 30, 0
    )
    tracks = read(table, layout="tracks", id="track", time="t", label="kind")
    assert tracks.places is not None

    train_set, test_set = train_test_split(tracks, test_size=4, random_state=0)
    assert isinstance(train_set, Sequences)
    assert train_set.places is not None
    assert sorted([*train_set.ids, *test_set.ids]) == sorted(tracks.ids)

    class Recorder(TemporalJEPAEmbedder):
        seen: ClassVar[list[Sequences]] = []

        def fit(self, X, y=None):
            self.seen.append(X)
            return super().fit(X, y)

    pipeline = make_pipeline(Recorder(steps=1, random_state=0), RidgeClassifier())
    grid = {"recorder__pool": ["mean", "all"]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise")
    search.fit(tracks, tracks.labels)
    assert len(Recorder.seen) == 5
    assert all(fold.places is not None for fold in Recorder.seen)


def test_what_is_not_stored_must_be_fitted() -> None:
    for parameters in ({"init_from": "scratch"}, {"embed_dim": 8}):
        with pytest.raises(NotFittedError):
            TemporalJEPAEmbedder(frozen=True, **parameters).transform(random_walks())


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["threading", "loky"])
def test_cross_validation_in_threads_and_processes(backend: str) -> None:
    X = random_walks(12)
    y = np.arange(12) % 2
    pipeline = make_pipeline(
        TemporalJEPAEmbedder(**FROZEN, n_jobs=1), RidgeClassifier()
    )
    expected = cross_val_score(pipeline, X, y, cv=3)
    with joblib.parallel_backend(backend, n_jobs=2):
        found = cross_val_score(pipeline, X, y, cv=3, error_score="raise")
    np.testing.assert_array_equal(found, expected)


def test_a_pipeline_with_a_memory_embeds_once(tmp_path: Path) -> None:
    X = random_walks(12)
    y = np.arange(12) % 2
    embedder = TemporalJEPAEmbedder(**FROZEN)
    pipeline = make_pipeline(embedder, RidgeClassifier(), memory=str(tmp_path))
    pipeline.fit(X, y)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TemporalJEPAEmbedder, "fit", None)
        pipeline.set_params(ridgeclassifier__alpha=2.0).fit(X, y)


def test_a_nested_frame_of_sktime_is_refused() -> None:
    X = random_walks()
    cells = [[pd.Series(channel) for channel in x] for x in X]
    nested = pd.DataFrame(cells, columns=["a", "b"])
    with pytest.raises(ValueError, match="nested DataFrame, as sktime") as caught:
        TemporalJEPAEmbedder(**FROZEN).fit(nested)
    assert "\n" not in str(caught.value)
    same = [np.stack([*row]) for row in nested.to_numpy()]
    np.testing.assert_array_equal(same, X)


def test_a_stored_model_can_be_frozen(tmp_path: Path) -> None:
    X = random_walks()
    trained = small().fit(X)
    trained.save_pretrained(tmp_path)
    frozen = TemporalJEPAEmbedder(init_from=tmp_path, frozen=True).fit(X)
    np.testing.assert_array_equal(frozen.transform(X), trained.transform(X))


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {"init_from": "scratch"},
            "needs a pretrained encoder.*got init_from='scratch'",
        ),
        ({"embed_dim": 8}, "brings its own architecture; leave out embed_dim"),
        ({"pool": "max"}, "pool must be"),
    ],
)
def test_what_cannot_be_frozen_is_named(parameters: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TemporalJEPAEmbedder(frozen=True, **parameters).fit(random_walks())


def test_threads_are_chosen_and_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    X = random_walks()
    estimator = small().fit(X)
    before = torch.get_num_threads()
    seen = []
    embed = TemporalJEPA.embed

    def counted(*args: Any) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return embed(*args)

    monkeypatch.setattr(TemporalJEPA, "embed", counted)
    cores = os.cpu_count() or 1
    for n_jobs in (1, None, -1, -cores, 10**6):
        estimator.set_params(n_jobs=n_jobs).transform(X)
        estimator.transform_timesteps(X)
        assert torch.get_num_threads() == before
    assert seen == [1, before, cores, 1, cores]
    with pytest.raises(ValueError, match="missing"):
        estimator.set_params(n_jobs=1).transform(np.full((1, 2, 9), np.nan))
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("n_jobs", [0, "2", 1.5, True])
def test_a_wrong_number_of_threads_is_named_in_fit(n_jobs: object) -> None:
    with pytest.raises(ValueError, match="n_jobs must be a whole number from 1"):
        small(n_jobs=n_jobs).fit(random_walks())


def test_uses_at_one_time_put_the_first_number_of_threads_back() -> None:
    torch.set_num_threads(2)
    first = threads(1)
    second = threads(-1)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert torch.get_num_threads() == 2


def test_transform_copies_no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    estimator = small().fit(random_walks())
    used = []
    embed = TemporalJEPA.embed

    def kept(self: TemporalJEPA, *args: Any) -> torch.Tensor:
        used.append(self)
        return embed(self, *args)

    monkeypatch.setattr(TemporalJEPA, "embed", kept)
    estimator.transform(random_walks())
    assert used[0] is estimator.model_
    assert next(estimator.model_.parameters()).dtype == torch.float32


def test_frames_have_a_row_per_timestep() -> None:
    X = random_walks()
    frames = [pd.DataFrame(x.T, columns=["a", "b"]) for x in X]
    estimator = TemporalJEPAEmbedder(**FROZEN).fit(frames)
    np.testing.assert_array_equal(estimator.transform(X), estimator.transform(frames))
    frames[1] = frames[1].rename(columns={"b": "c"})
    with pytest.raises(ValueError, match=r"columns a, b .* got a, c in X\[1\]"):
        estimator.transform(frames)


def test_series_too_short_to_train_on_can_be_embedded() -> None:
    X = random_walks()[:, :, :3]
    with pytest.raises(ValueError, match=r"has 3 timesteps, too few.*frozen=True"):
        TemporalJEPAEmbedder().fit(X)
    Z = TemporalJEPAEmbedder(frozen=True).fit_transform(X)
    assert np.isfinite(Z).all()


def test_channels_in_another_order_are_refused(tmp_path: Path) -> None:
    frames = [pd.DataFrame(x.T, columns=["a", "b"]) for x in random_walks()]
    estimator = TemporalJEPAEmbedder(**FROZEN).fit(frames)
    swapped = [frame[["b", "a"]] for frame in frames]
    with pytest.raises(ValueError, match=r"channels a, b, in this order.* got b, a"):
        estimator.transform(swapped)
    unnamed = [frame.to_numpy().T for frame in frames]
    np.testing.assert_array_equal(
        estimator.transform(unnamed), estimator.transform(frames)
    )
    run = pretrain(
        Sequences.from_arrays(frames),
        tmp_path / "run",
        PretrainConfig(steps=1),
        {"embed_dim": 16, "num_heads": 2, "predictor_embed_dim": 16},
    )
    with pytest.raises(ValueError, match="channels a, b, in this order"):
        TemporalJEPAEmbedder.from_pretrained(run).transform(swapped)


@pytest.mark.parametrize("kind", ["id", "index"])
def test_a_table_of_timesteps_is_not_a_table_of_series(kind: str) -> None:
    frames = [pd.DataFrame(x.T, columns=["a", "b"]) for x in random_walks()]
    table = pd.concat(frames, keys=range(len(frames)), names=["id", "time"])
    if kind == "id":
        table = table.reset_index()
    with pytest.raises(ValueError, match=r"one timestep.*temporal_jepa\.read"):
        TemporalJEPAEmbedder(frozen=True).fit(table)


def test_adapt_refuses_no_steps() -> None:
    estimator = small().fit(random_walks())
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        estimator.adapt(random_walks(), steps=0)


def test_a_start_that_the_length_decides_is_said() -> None:
    X = [np.zeros((1, HIGHEST + 1)), np.ones((1, 40))]
    X = [x + np.random.default_rng(0).normal(size=x.shape) for x in X]
    with pytest.warns(UserWarning, match=r"starts from scratch: some series have more"):
        TemporalJEPAEmbedder(steps=1, random_state=0).fit(X)
