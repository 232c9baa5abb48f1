"""The next batch is prepared in a thread while a step is computed."""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Prefetch(Generic[Item]):
    """Computes a function of the step, one step ahead.

    Args:
        make: a function of the step alone, so that nothing changes if it is computed earlier; an
            exception is raised by `get`.

    Attributes:
        waited: seconds that `get` has waited.
    """

    def __init__(self, make: Callable[[int], Item]):
        self.waited = 0.0
        self._make = make
        self._thread: ThreadPoolExecutor | None = None
        self._ahead: tuple[int, Future[Item]] | None = None

    def get(self, step: int, is_last: bool = False) -> Item:
        """The item of a step; that of the next one is begun unless this is the last."""
        began = time.perf_counter()
        if self._ahead is not None and self._ahead[0] == step:
            item = self._ahead[1].result()
        else:
            item = self._make(step)
        self._ahead = None
        if not is_last:
            if self._thread is None:
                self._thread = ThreadPoolExecutor(1, "batches")
            self._ahead = (step + 1, self._thread.submit(self._make, step + 1))
        self.waited += time.perf_counter() - began
        return item

    def close(self) -> None:
        """End the thread; the next `get` begins another."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
        self._thread = None
        self._ahead = None
