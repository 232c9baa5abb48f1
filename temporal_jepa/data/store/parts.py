"""The parts of a source: series that are read together and written one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ...config import ReadOptions
from ..reader import read_unchecked
from ..sequences import Sequences


class Part(NamedTuple):
    """Some series of a source.

    Attributes:
        sequences: the series.
        next: where the next part begins, in JSON; what `parts_of` starts from.
        done: how much of the source has been read, of `total`.
        total: the size of the source.
        clip: timesteps of the windows into which video is cut by default, None for others.
    """

    sequences: Sequences
    next: Any
    done: int
    total: int
    clip: int | None = None


def parts_of(
    path: Path, options: ReadOptions, jobs: int, state: dict[str, Any]
) -> Iterator[Part]:
    """The parts of a file or folder from `state["next"]` on, None for the first.

    What cannot be read in parts, or is small, is one part.
    """
    yield from whole(path, options, state["next"])


def whole(path: Path, options: ReadOptions, begin: Any) -> Iterator[Part]:
    """A source as one part."""
    if begin is None:
        found, clip = read_unchecked(path, options)
        yield Part(found, 1, 1, 1, clip)
