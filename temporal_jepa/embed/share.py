"""Progress in parts of what is counted."""

from collections.abc import Callable


class Share:
    """Counts parts, and reports how much of a whole amount they are; all parts are all of it.

    Args:
        on_count: called with each amount.
        amount: of all parts together, sequences or timesteps for example.
        parts: how many there are.
    """

    def __init__(self, on_count: Callable[[int], None], amount: int, parts: int):
        self.on_count = on_count
        self.amount = amount
        self.parts = max(parts, 1)
        self.done = 0
        self.reported = 0

    def add(self, count: int) -> None:
        """Count some parts that are done."""
        self.done += count
        amount = self.amount * self.done // self.parts
        self.on_count(amount - self.reported)
        self.reported = amount
