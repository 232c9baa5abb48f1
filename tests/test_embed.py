"""From sequences to arrays: batches of similar length, the order kept."""

from typing import Any, get_args

import numpy as np
import pandas as pd
import pytest
import torch
from factories import TINY, ragged_walks

from temporal_jepa import Sequences, TemporalJEPA, TemporalJEPAConfig
from temporal_jepa.config import Pool
from temporal_jepa.embed import (
    embed_sequences,
    embed_timesteps,
    embed_tokens,
    feature_names,
)
from temporal_jepa.model.multiscale import _signs
from temporal_jepa.training.channels import as_training_data
from temporal_jepa.training.components import fit_components
from temporal_jepa.training.initial import initial_model


def ragged() -> Sequences:
    return Sequences.from_arrays(ragged_walks())


@pytest.mark.parametrize("batch_tokens", [1, 50, 4096])
def test_batches_do_not_change_embeddings_or_their_order(batch_tokens: int) -> None:
    data = ragged().select([3, 0, 7, 1, 5, 2, 6, 4])
    model = initial_model(data, **TINY)
    found = embed_sequences(model, data, batch_tokens=batch_tokens)
    assert found.dtype == np.float32
    for i in range(len(data)):
        np.testing.assert_allclose(
            found[i], embed_sequences(model, data.select([i]))[0], atol=1e-5
        )


def test_timesteps_have_the_length_of_their_series() -> None:
    data = ragged()
    steps = embed_timesteps(initial_model(data, **TINY), data, batch_tokens=60)
    assert [len(x) for x in steps] == data.lengths.tolist()
    assert all(x.shape[1] == 16 and not np.isnan(x).any() for x in steps)


def test_other_channels_than_the_model_are_named() -> None:
    model = initial_model(ragged(), **TINY)
    with pytest.raises(ValueError, match=r"expects 2 channels, got 3 \(0, 1, 2\)"):
        embed_sequences(model, Sequences.from_arrays(np.zeros((2, 3, 9))))


def test_series_that_are_read_only_are_training_data() -> None:
    data = Sequences.from_arrays(np.sin(np.arange(80.0)).reshape(2, 40))
    options = {**TINY, "normalize": "instance", "tokenizer": "dilated"}
    model = initial_model(data, **options, resolutions=(16, 32), seq_len=32)
    for values in data.values:
        values.flags.writeable = False
    assert model.config.channel_independent
    assert len(as_training_data(model, data)) == 2  # a warning of torch is an error


KINDS: dict[str, dict[str, Any]] = {
    "linear": {"tokenizer": "linear", "normalize": "none"},
    "conv": {"tokenizer": "conv", "normalize": "dataset", "patch_len": 2},
    # 30 features of 8 outputs: a product that rounds by alignment unless it is padded
    "narrow": {"tokenizer": "conv", "normalize": "instance", "embed_dim": 8},
    "dilated": {"tokenizer": "dilated", "normalize": "instance", "patch_len": 4},
    "scene": {"tokenizer": "conv", "patch_len": 2, "frame": (1, 3, 1)},
    "video": {"tokenizer": "tubelet", "patch_len": 2, "frame": (1, 3, 1)},
    "several": {
        "tokenizer": "dilated",
        "normalize": "instance",
        "patch_len": 4,
        "resolutions": (16, 32),
    },
    "following": {
        "tokenizer": "filters",
        "normalize": "instance",
        "patch_len": 4,
        "resolutions": (0, 0.5, 1),
    },
}
"""Architectures of models of three channels."""


def mixed(frame: tuple[int, int, int] | None = None) -> Sequences:
    """Series of 15 lengths, one of them frequent; some have gaps, some are float64."""
    rng = np.random.default_rng(0)
    lengths = [*[24] * 20, *range(1, 41, 3), 150]
    values = [1e4 + rng.normal(size=(n, 3)).cumsum(0) for n in lengths]
    for i, x in enumerate(values):
        if i % 3 == 0:
            x[len(x) // 2 :, 1:] = np.nan
        if i % 6 == 0:
            x[1:9] = np.nan
    rows = [x if i % 4 == 1 else x.astype(np.float32) for i, x in enumerate(values)]
    sequences = Sequences(rows, frame=frame)
    for i in range(1, len(rows), 4):
        sequences.values[i] = rows[i]  # stays float64
    return sequences


@pytest.mark.parametrize(
    ("kind", "threads"),
    [*[(kind, 1) for kind in KINDS], ("conv", 2), ("narrow", 2), ("following", 2)],
)
def test_no_bit_depends_on_the_other_sequences(kind: str, threads: int) -> None:
    options = KINDS[kind]
    data = mixed(options.get("frame"))
    several = "resolutions" in options
    first = data if not several else Sequences([x[:, :1] for x in data.values])
    model = initial_model(first, **{**TINY, **options, "seq_len": 32}).eval()
    model.offset += 1e4
    set_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        check_bits(model, data)
    finally:
        torch.set_num_threads(set_before)


def check_bits(model: TemporalJEPA, data: Sequences) -> None:
    whole = embed_sequences(model, data)
    compact = embed_sequences(fit_components(model, data), data, dim=5)
    rng = np.random.default_rng(1)
    for size in (1, 2, 7, 17):
        rows = rng.permutation(len(data))[:size]
        part = selected(data, rows)
        np.testing.assert_array_equal(embed_sequences(model, part), whole[rows])
        np.testing.assert_array_equal(
            embed_sequences(model, part, dim=5), compact[rows]
        )
    steps = embed_timesteps(model, part)
    tokens, observed = embed_tokens(model, part)
    alone = selected(part, [5])
    np.testing.assert_array_equal(embed_timesteps(model, alone)[0], steps[5])
    (some,), (there,) = embed_tokens(model, alone)
    np.testing.assert_array_equal(some, tokens[5, : len(some)])
    np.testing.assert_array_equal(there, observed[5, : len(some)])


@pytest.mark.parametrize("pool", get_args(Pool))
@pytest.mark.parametrize("kind", KINDS)
def test_names_say_which_number_a_feature_is(kind: str, pool: Pool) -> None:
    options = KINDS[kind]
    data = mixed(options.get("frame"))
    several = "resolutions" in options
    first = data if not several else Sequences([x[:, :1] for x in data.values])
    model = initial_model(first, **{**TINY, **options, "seq_len": 32}).eval()
    frame = embed_sequences(model, data, pool, output="frame")
    names = feature_names(model, data.channels, pool)
    assert list(frame) == ["id", *names]
    assert len({*names}) == len(names)
    columns = frame.to_dict("series")
    prefix = "res1_" if kind == "following" else "res32_" if several else ""
    last = f"{prefix}layer1_"
    if pool == "mean" or (pool == "all" and not several):
        tokens, observed = embed_tokens(model, data)
        if not several:  # their channels are added up
            count = observed.sum(1, keepdims=True)
            np.testing.assert_allclose(
                columns[f"{last}mean_3"], (tokens.sum(1) / count)[:, 3], atol=1e-4
            )
    if pool == "all" and not several:
        assert (columns[f"{last}max_3"] >= columns[f"{last}mean_3"]).all()
        assert (columns[f"{last}std_3"] >= 0).all()
    if pool != "mean" and several:
        assert f"{last}q75_15" in columns
        assert (f"{prefix}filter_q20_39" in columns) == (kind == "following")
        assert (f"{prefix}layer0_q50_0" in columns) == (kind != "following")
    if several:
        mean = np.array([np.nanmean(x[:, 1], dtype=np.float64) for x in data.values])
        complete = [not np.isnan(x).any() for x in data.values]
        np.testing.assert_allclose(
            columns["mean_1"][complete], mean[complete], rtol=1e-3
        )
    names = list(embed_timesteps(model, data, output="frame"))
    assert names[2:] == [f"{last}{k}" for k in range(model.config.embed_dim)]


def test_quantiles_by_name_are_ordered() -> None:
    data = ragged()
    first = Sequences([x[:, :1] for x in data.values])
    options = {**TINY, **KINDS["following"], "seq_len": 32}
    model = initial_model(first, **options).eval()
    frame = embed_sequences(model, first, output="frame")
    filters = (
        5 * 8 * 5
    )  # of 5 dilations at 5 levels; features of a channel have fixed signs
    signs = _signs(1, filters + 5 * 16)[0]
    features = [name for name in frame if str(name).startswith("res")]
    frame[features] *= np.tile(signs, 3)
    for name in ("res0.5_layer1_q{}_3", "res1_filter_q{}_17"):
        levels = (20, 40, 60, 80, 100) if "filter" in name else (10, 25, 50, 75, 90)
        table = frame[[name.format(level) for level in levels]].to_numpy()
        assert (np.diff(table) >= 0).all()


def test_a_frame_has_what_went_in() -> None:
    values = [np.sin(np.arange(n) / 3)[:, None] for n in (20, 16)]
    start = np.datetime64("2026-01-01", "ns")
    times = [start + np.arange(len(x)) * np.timedelta64(1, "h") for x in values]
    data = Sequences(values, np.array(["up", "down"]), ["a", "b"], ["pressure"], times)
    model = initial_model(data, **TINY)
    frame = embed_sequences(model, data, output="frame")
    assert list(frame)[:4] == ["id", "label", "start", "end"]
    assert frame["end"][1] == pd.Timestamp("2026-01-01 15:00")
    np.testing.assert_array_equal(
        frame.select_dtypes("float32"), embed_sequences(model, data)
    )
    steps = embed_timesteps(model, data, output="frame")
    assert list(steps)[:4] == ["id", "label", "timestep", "time"]
    assert steps["time"].tolist() == [pd.Timestamp(t) for x in times for t in x]
    assert steps["timestep"].tolist() == [*range(20), *range(16)]
    np.testing.assert_array_equal(
        steps.select_dtypes("float32"), np.concatenate(embed_timesteps(model, data))
    )
    with pytest.raises(ValueError, match="output must be one of array, frame"):
        embed_sequences(model, data, output="table")  # type: ignore[call-overload]


def selected(data: Sequences, rows: Any) -> Sequences:
    """Some sequences, float64 kept."""
    part = data.select(rows)
    for place, row in enumerate(rows):
        part.values[place] = data.values[row]
    return part


def test_series_of_many_lengths_fill_few_batches(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = Sequences([np.sin(np.arange(n))[:, None] for n in range(20, 420)])
    model = initial_model(data, **{**TINY, "patch_len": 2, "tokenizer": "conv"})
    shapes = []
    embed = TemporalJEPA.embed

    def counted(self: TemporalJEPA, x: torch.Tensor, *rest: Any) -> torch.Tensor:
        shapes.append(x.shape)
        return embed(self, x, *rest)

    monkeypatch.setattr(TemporalJEPA, "embed", counted)
    embed_sequences(model, data)
    assert len(shapes) < 80  # 400 lengths
    values = sum(len(x) for x in data.values)
    assert sum(b * t for b, t, _ in shapes) < 1.25 * values
    assert max(b * t // 2 for b, t, _ in shapes) <= 4096


def test_long_series_are_embedded_without_padding(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of rows or of timesteps: lengths that are resampled to one differ widely."""
    lengths = [70_000, 66_000, 90_000, 5_000]
    data = Sequences([np.sin(np.arange(n))[:, None] for n in lengths])
    options = {**TINY, "tokenizer": "filters", "patch_len": 8, "normalize": "instance"}
    config = TemporalJEPAConfig(input_dim=1, **options, resolutions=(0, 1))
    model = TemporalJEPA(config).eval()
    shapes = []
    embed = TemporalJEPA.embed

    def counted(self: TemporalJEPA, x: torch.Tensor, *rest: Any) -> torch.Tensor:
        shapes.append(tuple(x.shape))
        return embed(self, x, *rest)

    monkeypatch.setattr(TemporalJEPA, "embed", counted)
    whole = embed_sequences(model, data)
    assert shapes == [(1, n, 1) for n in lengths]
    alone = embed_sequences(model, data.select([1]))
    np.testing.assert_array_equal(alone[0], whole[1])


def test_the_longest_series_with_a_gap_is_embedded() -> None:
    data = Sequences.from_arrays(np.sin(np.arange(2 * 16384.0))[None, None])
    data.values[0][5:9] = np.nan
    options = {**TINY, "tokenizer": "conv", "patch_len": 2, "encoder_depth": 0}
    model = initial_model(data, **options, seq_len=64)
    assert np.isfinite(embed_sequences(model, data, "mean")).all()
    too_long = Sequences.from_arrays(np.zeros((1, 1, 2 * 16384 + 1)))
    with pytest.raises(ValueError, match=r"lie in 1\.\.32768, got 32769"):
        embed_sequences(model, too_long)
