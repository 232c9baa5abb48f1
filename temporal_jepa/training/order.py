"""The order of sequences in an epoch, computed place by place: nothing is stored.

A permutation of `n` numbers is a keyed bijection: a Feistel network over the next power of four,
applied again until the result is below `n` (cycle walking; Black and Rogaway 2002, section 4). It
costs the same for a hundred sequences and for a billion.
"""

import math

ROUNDS = 6
MASK = 2**64 - 1


def permuted(place: int, n: int, key: int) -> int:
    """Where a place goes in a random permutation of `0 .. n - 1`.

    Args:
        place: in `0 .. n - 1`.
        n: size of the permutation, at least 1.
        key: chooses the permutation, below 2**64.

    Returns:
        In `0 .. n - 1`, another one for each place.

    >>> sorted(permuted(place, 10, key=7) for place in range(10)) == list(range(10))
    True
    """
    half = max(1, math.ceil(max(n - 1, 1).bit_length() / 2))  # bits of each half
    while True:
        place = _feistel(place, half, key)
        if place < n:
            return place


def _feistel(value: int, half: int, key: int) -> int:
    """A bijection of the numbers of `2 * half` bits."""
    mask = (1 << half) - 1
    left, right = value >> half, value & mask
    for number in range(ROUNDS):
        mixed = mix(right ^ mix(mix(key) + number)) & mask
        left, right = right, left ^ mixed
    return left << half | right


def mix(value: int) -> int:
    """A pseudorandom number of 64 bits for a whole number (SplitMix64, Steele et al. 2014)."""
    value = (value + 0x9E3779B97F4A7C15) & MASK
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & MASK
    value = (value ^ value >> 27) * 0x94D049BB133111EB & MASK
    return value ^ value >> 31
