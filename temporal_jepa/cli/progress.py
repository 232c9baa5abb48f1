"""Progress of a verb: what is done with the time that is left, or the time so far."""

import sys
import threading
import time
from datetime import timedelta
from typing import Self

from ..files.printable import printable

PATIENCE = 2.0  # seconds before anything is shown
INTERVAL = 10.0  # seconds between lines where there is no terminal


class Counter:
    """Shows how many of `total` are done, on standard error.

    On a terminal it is one line that changes; elsewhere a line every 10 seconds. Nothing is shown
    in the first two seconds.

    Args:
        what: what is counted, "sequences" for example.
        total: how many there are.
    """

    def __init__(self, what: str, total: int):
        self.what = what
        self.total = total
        self.done = 0
        self.began = time.monotonic()
        self.shown = self.began
        self.is_live = sys.stderr.isatty()
        self.has_line = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def add(self, count: int) -> None:
        """Count some that are done."""
        self.done += count
        now = time.monotonic()
        interval = 0.2 if self.is_live else INTERVAL
        if now - self.began < PATIENCE or now - self.shown < interval:
            return
        self.shown = now
        seconds = (now - self.began) * (self.total - self.done) / max(self.done, 1)
        text = f"{self.done} of {self.total} {self.what}, "
        text += f"{timedelta(seconds=round(seconds))} left"
        if self.is_live:
            print(f"\r{text:<70}", end="", file=sys.stderr, flush=True)
            self.has_line = True
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Remove the line from a terminal."""
        if self.has_line:
            print(f"\r{'':<70}\r", end="", file=sys.stderr, flush=True)


class Clock:
    """Shows how long something takes whose end nobody knows.

    On a terminal it is one line that changes, after two seconds; elsewhere a line every 10 seconds.

    Args:
        what: is done, "reading data.csv" for example.
    """

    def __init__(self, what: str):
        self.what = printable(what)[:50]
        self.began = time.monotonic()
        self.over = threading.Event()
        self.has_line = False
        self.thread = threading.Thread(target=self._show, daemon=True)

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *error: object) -> None:
        self.over.set()
        if self.thread.ident is not None:
            self.thread.join()
        if self.has_line:
            print(f"\r{'':<70}\r", end="", file=sys.stderr, flush=True)

    def _show(self) -> None:
        is_live = sys.stderr.isatty()
        wait = PATIENCE if is_live else INTERVAL
        while not self.over.wait(wait):
            so_far = timedelta(seconds=round(time.monotonic() - self.began))
            text = f"{self.what}, {so_far} so far"
            if not is_live:
                print(text, file=sys.stderr, flush=True)
                continue
            wait = 1.0
            self.has_line = True
            print(f"\r{text:<70}", end="", file=sys.stderr, flush=True)
