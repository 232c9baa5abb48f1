"""Functions of the user for `--callback`: code that the command line alone names."""

import os
import pkgutil
import runpy
import sys
from collections.abc import Callable, Sequence
from typing import Any

from .options import UsageError

EXAMPLES = "for example my_module:watch or folder/file.py:watch"


def load_callbacks(words: Sequence[str]) -> Callable[[dict[str, Any]], None]:
    """One function of a row that calls those of `--callback` in their order.

    Args:
        words: each `module:function` or `path/to/file.py:function`. The module is looked for where
            Python looks, and last in the current folder. It is executed.

    Raises:
        UsageError: for other words, a module or function that is missing, or a module that fails.
    """
    functions = [(word, _load(word)) for word in words]

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


def _load(word: str) -> Callable[[dict[str, Any]], Any]:
    """The function that a word names."""
    source, colon, name = word.rpartition(":")
    if not colon or not source or not name:
        raise UsageError(
            f"--callback must be MODULE:FUNCTION or FILE.py:FUNCTION, got {word!r}; {EXAMPLES}"
        )
    if not source.endswith(".py") and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        if source.endswith(".py"):
            function = runpy.run_path(source)[name]
        else:
            function = pkgutil.resolve_name(word)
    except (KeyError, AttributeError):
        raise UsageError(f"--callback {word}: {source} has no {name}") from None
    except Exception as error:
        raise UsageError(
            f"--callback {word} cannot be loaded, {_in_words(error)}; {EXAMPLES}"
        ) from error
    if not callable(function):
        raise UsageError(
            f"--callback {word} must be a function of a row, got {type(function).__name__}"
        )
    return function  # type: ignore[no-any-return]


def _in_words(error: Exception) -> str:
    """The type of an error and what it says, in one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
