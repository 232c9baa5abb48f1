"""Names that a module path of version 0.1 still offers."""

import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any


def names_of(old: str, *modules: ModuleType, **renamed: str) -> Callable[[str], Any]:
    """A module-level `__getattr__` (PEP 562) that warns and looks a name up in its new modules.

    Args:
        old: the old module path.
        modules: the modules that hold the names now.
        renamed: old name to new name, where they differ.
    """

    def getattr_and_warn(name: str) -> Any:
        for module in modules:
            new = renamed.get(name, name)
            if hasattr(module, new):
                warnings.warn(
                    f"{old}.{name} is deprecated; use {module.__name__}.{new}",
                    DeprecationWarning,
                    stacklevel=2,
                )
                return getattr(module, new)
        raise AttributeError(f"module {old!r} has no attribute {name!r}")

    return getattr_and_warn
