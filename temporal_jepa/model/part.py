"""A module that knows the arguments it was made with."""

import inspect
from typing import Any, Self

from torch import nn


class Part(nn.Module):
    """A module that can be copied without its weights, printed and stored.

    The constructor of a subclass stores every argument under the name of the argument, as in
    scikit-learn.
    """

    def __init__(self) -> None:
        super().__init__()

    def settings(self) -> dict[str, Any]:
        """The arguments of the constructor.

        Raises:
            ValueError: if the constructor did not store one of them.
        """
        names = [*inspect.signature(type(self).__init__).parameters][1:]
        for name in names:
            if not hasattr(self, name):
                raise ValueError(
                    f"{type(self).__name__} must store its argument {name!r}: self.{name} = {name}"
                )
        return {name: getattr(self, name) for name in names}

    def fresh(self) -> Self:
        """The same part without weights."""
        settings = {
            name: value.fresh() if isinstance(value, Part) else value
            for name, value in self.settings().items()
        }
        return type(self)(**settings)

    def __repr__(self) -> str:
        given = ", ".join(
            f"{name}={value!r}" for name, value in self.settings().items()
        )
        return f"{type(self).__name__}({given})"
