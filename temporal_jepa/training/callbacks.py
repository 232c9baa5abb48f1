"""Functions of the user that training calls, and how they end it."""

from collections.abc import Callable
from typing import Any

Row = dict[str, Any]
OnRow = Callable[[Row], object]
"""Takes a row of metrics; what it returns is ignored."""


class StopTraining(Exception):
    """Raised by a callback to end the training after this step, without an error.

    >>> def patient(row):
    ...     if row["loss"] < 0.1:
    ...         raise StopTraining
    """


class Callbacks:
    """Calls `on_step` and `on_row`; what they raise ends the training after the step.

    Args:
        on_row: called with each row of metrics.
        on_step: called with a row after each step; None: nobody listens.

    Attributes:
        is_over: whether a callback raised something.
        error: what it raised, `sys.exit` too, unless that was `StopTraining`.
    """

    def __init__(self, on_row: OnRow, on_step: OnRow | None = None):
        self.on_row = on_row
        self.on_step = on_step
        self.is_over = False
        self.error: BaseException | None = None

    def row(self, row: Row) -> None:
        """Pass a row of metrics on."""
        self._call("on_row", self.on_row, row)

    def step(self, row: Row) -> None:
        """Pass the numbers of a step on."""
        if self.on_step is not None:
            self._call("on_step", self.on_step, row)

    def raise_error(self) -> None:
        """Raise what a callback raised; nothing if that was `StopTraining`."""
        if self.error is not None:
            raise self.error

    def _call(self, role: str, function: OnRow, row: Row) -> None:
        if self.is_over:
            return
        try:
            function(row)
        except StopTraining:
            self.is_over = True
        except BaseException as error:  # noqa: BLE001 - raised again, after a checkpoint
            self.is_over = True
            self.error = error
            error.add_note(
                f"raised by the callback {role}, {name_of(function)}, after step {row['step']}"
            )


def name_of(function: Callable[..., Any]) -> str:
    """The name of a function with its module."""
    module = getattr(function, "__module__", None)
    name = getattr(function, "__qualname__", repr(function))
    return f"{module}.{name}" if module else str(name)
