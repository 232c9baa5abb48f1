"""A part of a source, and work on parts in several processes."""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, Literal, NamedTuple, TypeVar

from ..sequences import Sequences

WHOLE = 2**26  # bytes up to which a file, or a folder, is read as a whole
R = TypeVar("R")


class NotInPartsError(ValueError):
    """A source that is understood only as a whole."""


class Part(NamedTuple):
    """Some series of a source, or timesteps of its only one.

    Attributes:
        sequences: the series; None for a part without any.
        next: where the next part begins, in JSON; what a source starts from.
        done: how much of the source has been read, of `total`.
        total: the size of the source.
        clip: timesteps of the windows into which video is cut by default, None for others.
        owners: names of which none may come back in a later part: rows of one series would not
            stand together.
        piece: "open" for timesteps of a series that goes on in the next part, "last" for its end.
        notes: what is said besides the notes of the series.
    """

    sequences: Sequences | None
    next: Any
    done: int
    total: int
    clip: int | None = None
    owners: tuple[str, ...] = ()
    piece: Literal["", "open", "last"] = ""
    notes: tuple[str, ...] = ()


def in_order(
    work: Callable[..., R], calls: Iterator[tuple[Any, ...]], jobs: int
) -> Iterator[tuple[Any, R]]:
    """The arguments without the first and the results of calls, in order, in `jobs` processes."""
    if jobs < 2:
        for call in calls:
            yield call[1:], work(*call)
        return
    waiting: deque[tuple[Any, Future[R]]] = deque()
    pool = ProcessPoolExecutor(
        jobs, get_context("spawn"), initializer=_end_with, initargs=(os.getpid(),)
    )
    try:
        for call in calls:
            waiting.append((call[1:], pool.submit(work, *call)))
            if len(waiting) > 2 * jobs:
                arguments, future = waiting.popleft()
                yield arguments, future.result()
        while waiting:
            arguments, future = waiting.popleft()
            yield arguments, future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _end_with(parent: int) -> None:
    """End this process when the one that started it was killed."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
