"""Which names were seen, in eight bytes each."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]


class Seen:
    """A set of texts by their hashes: most are in one sorted array, the newest in a small set."""

    def __init__(self) -> None:
        self._sorted: Hashes = np.empty(0, np.uint64)
        self._new: set[int] = set()

    def add(self, names: Iterable[str]) -> list[str]:
        """Add names; those that were there before, or occur twice among them, are returned.

        Two of 10**7 different names have one hash with a probability of 3e-6; such a name is taken
        as seen.
        """
        names = list(names)
        hashes = np.array([_hash(name) for name in names], np.uint64)
        at = np.searchsorted(self._sorted, hashes)
        inside = np.minimum(at, max(len(self._sorted) - 1, 0))
        there = np.zeros(len(names), bool)
        if len(self._sorted):
            there = self._sorted[inside] == hashes
        again = []
        for name, number, old in zip(
            names, hashes.tolist(), there.tolist(), strict=True
        ):
            if old or number in self._new:
                again.append(name)
            self._new.add(number)
        if len(self._new) > max(2**16, len(self._sorted) // 8):
            new = np.fromiter(self._new, np.uint64, len(self._new))
            self._sorted = np.union1d(self._sorted, new)
            self._new = set()
        return again


def _hash(name: str) -> int:
    data = name.encode(errors="surrogatepass")
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little")
