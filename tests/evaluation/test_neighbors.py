"""Nearest-neighbor search on arrays."""

from collections.abc import Callable

import numpy as np
import pytest

from temporal_jepa.evaluation.neighbors import Index, standardize


def test_nearest_agree_with_all_distances() -> None:
    random = np.random.default_rng(0)
    Z = random.normal(size=(50, 7)) * 10 + 5
    queries = random.normal(size=(9, 7)) * 10 + 5
    distance = np.linalg.norm(standardize(queries, Z)[:, None] - standardize(Z), axis=2)
    nearest, found = Index(Z).nearest(queries, k=4)
    np.testing.assert_array_equal(nearest, np.argsort(distance, axis=1)[:, :4])
    np.testing.assert_allclose(found, np.sort(distance, axis=1)[:, :4])


def test_constant_and_missing_features_have_no_weight() -> None:
    Z = np.array([[0.0, 0, 3, np.nan], [1, 1000, 3, np.nan], [2, 2000, 3, np.nan]])
    ids, distance = Index(Z, ["a", "b", "c"]).nearest([2, 2000, 99, 1], k=2)
    assert ids.tolist() == ["c", "b"]
    np.testing.assert_allclose(distance, [0, np.sqrt(2 * 1.5)])
    assert Index(Z).nearest([np.nan, 1000, np.nan, np.nan], k=1)[1] == 0


def test_a_row_is_not_its_own_neighbor_but_its_copy_is() -> None:
    index = Index([[0.0], [1.0], [1.0], [9.0]])
    near, distance = index.neighbors(k=2)
    assert near[:3, 0].tolist() == [1, 2, 1]
    assert not (near == np.arange(4)[:, None]).any()
    assert distance[1, 0] == 0
    with pytest.warns(DeprecationWarning, match="neighbors"):
        np.testing.assert_array_equal(index.neighbours(k=2)[0], near)


def test_vectors_on_one_scale_are_compared_as_they_are() -> None:
    Z = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 5.0]])
    near, distance = Index(Z, scale=False).nearest([0.0, 4.0], k=3)
    assert near.tolist() == [2, 0, 1]
    np.testing.assert_allclose(distance, [1, 4, np.sqrt(17)])
    assert Index(Z, scale=False).nearest([1.0, np.nan], k=1)[0].tolist() == [1]
    with pytest.raises(ValueError, match="expected 2 features, got 3"):
        Index(Z, scale=False).nearest([1, 2, 3])


def test_exclude_minus_one_leaves_out_none() -> None:
    index = Index([[0.0], [1.0], [5.0]])
    assert index.nearest([[0.0], [0.0]], k=1, exclude=np.array([0, -1]))[
        0
    ].tolist() == [[1], [0]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Index(np.zeros((0, 2))), r"0 sample\(s\)"),
        (lambda: Index(np.zeros((3, 2)), ["a"]), "3 ids"),
        (lambda: Index(np.zeros((3, 2))).nearest([1, 2, 3]), "expecting 2 features"),
        (lambda: Index(np.zeros((3, 2))).nearest([1, 2], k=4), "k from 1 to 3"),
        (lambda: Index(np.zeros((3, 2))).neighbors(k=3), "k from 1 to 2"),
    ],
)
def test_mistakes_are_explained(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()
