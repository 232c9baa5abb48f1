"""A permutation that is computed place by place."""

from collections import Counter
from itertools import pairwise

import pytest

from temporal_jepa.training.order import permuted


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 16, 17, 1000, 4097])
def test_every_number_comes_once(n: int) -> None:
    for key in range(3):
        found = [permuted(place, n, key) for place in range(n)]
        assert sorted(found) == list(range(n))


def test_the_key_chooses_the_order() -> None:
    orders = {tuple(permuted(k, 50, key) for k in range(50)) for key in range(200)}
    assert len(orders) == 200


def test_all_orders_are_about_equally_likely() -> None:
    """24 orders of four, 4,800 keys: 200 each, standard deviation 14."""
    counts = Counter(
        tuple(permuted(place, 4, key) for place in range(4)) for key in range(4800)
    )
    assert len(counts) == 24
    assert max(abs(count - 200) for count in counts.values()) < 75


def test_neighbors_are_not_neighbors_afterwards() -> None:
    n = 2000
    order = [permuted(place, n, 3) for place in range(n)]
    near = sum(abs(a - b) <= 10 for a, b in pairwise(order))
    assert near < 3 * 20  # 20 of 2000 are expected


def test_a_billion_sequences_cost_no_memory() -> None:
    n = 10**9 + 7
    assert len({permuted(place, n, 1) for place in range(1000)}) == 1000
    assert all(0 <= permuted(n - 1 - place, n, 1) < n for place in range(100))
