"""Functions and classes of the user: code that the command line alone names."""

import os
import pkgutil
import runpy
import sys
from collections.abc import Callable, Sequence
from typing import Any

from .options import UsageError

EXAMPLES = "for example my_module:name or folder/file.py:name"


def load_callbacks(words: Sequence[str]) -> Callable[[dict[str, Any]], None]:
    """One function of a row that calls those of `--callback` in their order.

    Args:
        words: each as `load_code` takes it.

    Raises:
        UsageError: as `load_code`.
    """
    functions = [(word, load_code("--callback", word)) for word in words]

    def on_step(row: dict[str, Any]) -> None:
        from ..training.callbacks import StopTraining

        for word, function in functions:
            try:
                function(row)
            except StopTraining:
                raise
            except Exception as error:
                raise ValueError(
                    f"--callback {word} failed after step {row['step']}, {_in_words(error)}; a "
                    "checkpoint is written: repair it, then continue with --resume"
                ) from error

    return on_step


def load_code(flag: str, word: str) -> Callable[..., Any]:
    """The function or class that a flag names.

    Args:
        flag: for messages.
        word: `module:name` or `path/to/file.py:name`. The module is looked for where Python looks,
            and last in the current folder. It is executed.

    Raises:
        UsageError: for another word, a module or name that is missing, or a module that fails.
    """
    source, colon, name = word.rpartition(":")
    if not colon or not source or not name:
        raise UsageError(
            f"{flag} must be MODULE:NAME or FILE.py:NAME, got {word!r}; {EXAMPLES}"
        )
    if not source.endswith(".py") and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        if source.endswith(".py"):
            found = runpy.run_path(source)[name]
        else:
            found = pkgutil.resolve_name(word)
    except (KeyError, AttributeError):
        raise UsageError(f"{flag} {word}: {source} has no {name}") from None
    except Exception as error:
        raise UsageError(
            f"{flag} {word} cannot be loaded, {_in_words(error)}; {EXAMPLES}"
        ) from error
    if not callable(found):
        raise UsageError(
            f"{flag} {word} must be a function or a class, got {type(found).__name__}"
        )
    return found  # type: ignore[no-any-return]


def _in_words(error: Exception) -> str:
    """The type of an error and what it says, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
