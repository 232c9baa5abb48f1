"""Compact embeddings: principal components, stored with the model."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories import TINY, random_walks
from graphs import writes_graphs
from safetensors.torch import load_file, save_file

from temporal_jepa import Sequences, TemporalJEPA, from_pretrained, save_pretrained
from temporal_jepa.embed import embed_sequences, learned_features
from temporal_jepa.files import BUNDLED
from temporal_jepa.model.compact import COMPONENTS, principal_components
from temporal_jepa.model.export import export
from temporal_jepa.training.components import fit_components
from temporal_jepa.training.initial import initial_model

SEVERAL: dict[str, Any] = {
    **TINY,
    "tokenizer": "filters",
    "normalize": "instance",
    "patch_len": 4,
    "resolutions": (16, 32),
    "seq_len": 32,
}
JOINT: dict[str, Any] = {
    **TINY,
    "tokenizer": "conv",
    "normalize": "instance",
    "patch_len": 4,
}


def fitted(options: dict[str, Any], channels: int = 2, n: int = 40) -> TemporalJEPA:
    """A model with random weights, and components of `n` series."""
    data = Sequences.from_arrays(random_walks(n, channels, 30))
    shown = data
    if "resolutions" in options:
        shown = Sequences([x[:, :1] for x in data.values])
    return fit_components(initial_model(shown, **options).eval(), data)


@pytest.fixture(scope="module")
def small() -> TemporalJEPA:
    return from_pretrained("series-small")


def correlated(n: int) -> torch.Tensor:
    """Six features: two independent ones in three copies and two, and a constant."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, n))
    b -= a * (a @ b) / (a @ a)
    constant = np.full(n, 3.0)
    return torch.tensor(np.stack([5 + a, 10 * a, -a, b, 1 - b, constant], axis=1))


def test_projections_are_uncorrelated_with_variance_one_the_largest_first() -> None:
    Z = correlated(5000)
    components = principal_components(Z, whiten=True)
    assert components is not None
    assert components.count == 2  # the others are copies, or constant
    z = components(Z.float())
    torch.testing.assert_close(z.T @ z / len(z), torch.eye(2), atol=1e-3, rtol=0)
    a = (Z[:, 0] - Z[:, 0].mean()).float()
    assert abs(float(torch.corrcoef(torch.stack([a, z[:, 0]]))[0, 1])) > 0.999
    changed = Z.float().clone()
    changed[:, 5] += 100  # constant when the components were fitted
    torch.testing.assert_close(components(changed), z)


def test_half_as_many_components_as_series_and_few_are_shrunk() -> None:
    Z = torch.from_numpy(np.random.default_rng(0).normal(size=(2000, 60)))
    few = principal_components(Z[:20], whiten=True)
    many = principal_components(Z, whiten=True)
    assert few is not None
    assert many is not None
    assert (few.count, many.count) == (10, 60)
    # The variance of the series themselves; it would be 1 without shrinkage.
    assert few(Z[:20].float()).var(0).max() < 0.2
    assert many(Z.float()).var(0).min() > 0.9
    assert principal_components(Z[:1]) is None
    assert principal_components(torch.ones(50, 4)) is None


def test_distances_without_whitening_are_those_of_standardized_features() -> None:
    Z = torch.from_numpy(
        np.random.default_rng(0).normal(size=(60, 8)) @ np.diag(range(1, 9))
    )
    components = principal_components(Z)
    assert components is not None
    z = components(Z.float())
    assert float(z.var(0, unbiased=False).mean()) == pytest.approx(1, abs=1e-4)
    standardized = (Z - Z.mean(0)) / Z.std(0, unbiased=False)
    torch.testing.assert_close(
        torch.pdist(z), torch.pdist(standardized).float(), atol=1e-3, rtol=0
    )


@pytest.mark.parametrize("options", [JOINT, SEVERAL])
def test_any_dim_is_a_prefix_and_the_first_component_varies_most(
    options: dict[str, Any],
) -> None:
    model = fitted(options)
    data = Sequences.from_arrays(random_walks(9, 2, 30, seed=1))
    assert model.components is not None
    count = model.components.count
    assert count == (40 if "resolutions" in options else 20)
    whole = embed_sequences(model, data, dim=count)
    assert whole.shape == (9, count)
    for dim in (1, 7):
        np.testing.assert_array_equal(
            embed_sequences(model, data, dim=dim), whole[:, :dim]
        )


@pytest.mark.parametrize("options", [JOINT, SEVERAL])
def test_level_and_scale_are_left_out(options: dict[str, Any]) -> None:
    model = fitted(options)
    X = random_walks(5, 2, 30)
    one, other = (
        embed_sequences(model, Sequences.from_arrays(x), dim=8) for x in (X, 2 * X + 16)
    )
    np.testing.assert_allclose(one, other, atol=1e-3)


def test_projections_of_channels_alternate_and_more_than_four_are_added(
    small: TemporalJEPA,
) -> None:
    X = random_walks(3, 2, 90)
    both = embed_sequences(small, Sequences.from_arrays(X), dim=COMPONENTS)
    first, second = (
        embed_sequences(small, Sequences.from_arrays(X[:, i : i + 1]), dim=COMPONENTS)
        for i in (0, 1)
    )
    np.testing.assert_allclose(np.abs(both[:, ::2]), np.abs(first[:, :64]), atol=1e-4)
    np.testing.assert_allclose(np.abs(both[:, 1::2]), np.abs(second[:, :64]), atol=1e-4)
    wide = np.concatenate([X[:, :1], *[np.zeros_like(X[:, :1])] * 3, X[:, 1:]], axis=1)
    sums = embed_sequences(small, Sequences.from_arrays(wide), dim=COMPONENTS)[:, ::4]
    plus, minus = (
        np.abs(first[:, :32] + s * second[:, :32]) / math.sqrt(2) for s in (1, -1)
    )
    apart = [np.abs(np.abs(sums) - sum_) for sum_ in (plus, minus)]
    assert np.minimum(*apart).max() < 1e-4
    assert min(part.max() for part in apart) > 0.1  # both signs occur
    features = learned_features(small, Sequences.from_arrays(X))
    assert features.shape == (6, 4320)
    assert small.components is not None
    alone = small.components(torch.from_numpy(features[::2])).numpy()
    np.testing.assert_allclose(np.abs(first), np.abs(alone), atol=1e-4)


def test_embeddings_of_many_channels_have_the_scale_of_one(small: TemporalJEPA) -> None:
    rng = np.random.default_rng(0)
    sizes = []
    for channels in (1, 4, 30):
        X = rng.normal(size=(12, channels, 60)).cumsum(axis=2)
        Z = embed_sequences(small, Sequences.from_arrays(X), dim=COMPONENTS)
        sizes.append(float((Z - Z.mean(0)).std()))
    assert max(sizes) < 1.5 * min(sizes)


def test_series_of_many_channels_find_their_kind(small: TemporalJEPA) -> None:
    rng = np.random.default_rng(0)
    time = np.arange(80)
    kinds = np.arange(24) % 3
    X = rng.normal(size=(24, 20, 80))
    for i, kind in enumerate(kinds):
        phase = rng.uniform(0, 6, (20, 1))
        X[i] += 2 * np.sin(time * (0.2 + 0.2 * kind) + phase)
    Z = embed_sequences(small, Sequences.from_arrays(X), dim=COMPONENTS)
    distance = np.linalg.norm(Z[:, None] - Z[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (kinds[distance.argmin(1)] == kinds).mean() > 0.9


@pytest.mark.parametrize("options", [JOINT, SEVERAL])
def test_missing_values_and_gradients(options: dict[str, Any]) -> None:
    model = fitted(options)
    X = torch.from_numpy(random_walks(4, 2, 30)).transpose(1, 2).contiguous()
    X[0, 20:] = torch.nan
    X[1, 5:8, 0] = torch.nan
    assert model.embed(X, dim=6).isfinite().all()
    model.target_encoder.requires_grad_(True)
    model.embedder(dim=6).features(X).square().sum().backward()
    assert any(
        p.grad is not None and bool(p.grad.any())
        for p in model.target_encoder.parameters()
    )


@pytest.mark.parametrize(
    ("dim", "pool", "message"),
    [
        (21, "all", "dim=21 is more than the 20 .* stores; choose a dim from 1 to 20"),
        (0, "all", "dim must be a whole number from 1, or None .*, got 0"),
        (2.0, "all", r"got 2\.0"),
        (True, "all", "got True"),
        (4, "mean", "dim=4 needs pool=\"all\", .* got pool='mean'; leave out"),
    ],
)
def test_a_dim_out_of_range_is_one_sentence(dim: Any, pool: Any, message: str) -> None:
    model = fitted(JOINT)
    x = torch.zeros(2, 30, 2)
    with pytest.raises(ValueError, match=message):
        model.embed(x, pool, dim)


def test_saved_loaded_moved_and_in_double_precision(tmp_path: Path) -> None:
    model = fitted(SEVERAL)
    data = Sequences.from_arrays(random_walks(5, 2, 30))
    expected = embed_sequences(model, data, dim=9)
    again = from_pretrained(save_pretrained(model, tmp_path))
    np.testing.assert_array_equal(embed_sequences(again, data, dim=9), expected)
    double = again.double()
    np.testing.assert_allclose(
        embed_sequences(double, data, dim=9), expected, atol=1e-4
    )


def test_models_without_components_load_and_say_so(tmp_path: Path) -> None:
    model = fitted(JOINT)
    path = save_pretrained(model, tmp_path) / "model.safetensors"
    weights = load_file(path)
    save_file({k: v for k, v in weights.items() if "components" not in k}, path)
    old = from_pretrained(tmp_path)
    assert old.components is None
    assert old.compact_dim(1) is None
    data = Sequences.from_arrays(random_walks(3, 2, 30))
    np.testing.assert_array_equal(
        embed_sequences(old, data), embed_sequences(model, data)
    )
    with pytest.raises(
        ValueError, match=r"more than the 0 .*older version\); leave it out"
    ):
        embed_sequences(old, data, dim=4)
    model.load_state_dict(old.state_dict())  # takes the components away
    assert model.components is None
    older = from_pretrained("series-small-0.1")
    assert older.components is None
    assert fit_components(older, data).components.count == 3  # of 6 channels


def test_many_channels_and_long_series_are_sampled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shapes = []

    def recorded(model: TemporalJEPA, sequences: Sequences) -> np.ndarray:
        shapes.append((len(sequences), sequences.n_channels))
        return learned_features(model, sequences)

    monkeypatch.setattr("temporal_jepa.training.components.learned_features", recorded)
    model = fitted(SEVERAL, channels=2, n=4)
    fit_components(model, Sequences.from_arrays(random_walks(40, 100, 12)))
    monkeypatch.setattr("temporal_jepa.training.components.MOST_TOKENS", 100)
    fit_components(model, Sequences.from_arrays(random_walks(40, 1, 80)))
    assert shapes == [(4, 2), (10, 100), (5, 1)]


@writes_graphs
@pytest.mark.parametrize("options", [JOINT, SEVERAL])
def test_a_graph_of_the_compact_embedding(
    options: dict[str, Any], tmp_path: Path
) -> None:
    model = fitted(options)
    path = export(model, tmp_path / "model.pt2", "torch", channels=2, dim=5)
    graph = torch.export.load(path).module()
    x = torch.from_numpy(random_walks(3, 2, 41)).transpose(1, 2).contiguous()
    assert graph(x).shape == (3, 5)
    torch.testing.assert_close(graph(x), model.embed(x, dim=5), atol=1e-4, rtol=1e-4)


def test_the_weights_in_the_package_stay_small(small: TemporalJEPA) -> None:
    assert small.compact_dim(4) == COMPONENTS == 128
    assert small.compact_dim(5) is None  # projections would be added up
    sizes = [path.stat().st_size for path in BUNDLED.rglob("*.safetensors")]
    assert sum(sizes) < 5_000_000
