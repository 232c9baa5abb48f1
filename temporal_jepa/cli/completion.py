"""Scripts that complete the command line in a shell."""

from collections.abc import Callable, Mapping

from .options import parser_of_all

PATHS = {"FILE": "file", "OUT": "file", "QUERY": "file", "RUN": "directory"}
"""Metavar of an argument -> what completes it."""


def script_for(shell: str, verbs: Mapping[str, Callable[..., None]]) -> str:
    """A script that completes verbs, options and paths.

    Args:
        shell: "bash", "zsh" or "fish".
        verbs: verb -> its function.

    Raises:
        ModuleNotFoundError: without shtab.
    """
    try:
        import shtab
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "completion needs shtab: pip install 'temporal-jepa[completion]'"
        ) from None
    parser, actions = parser_of_all(verbs)
    for action in actions:
        kind = PATHS.get(str(action.metavar))
        if kind is not None:
            action.complete = shtab.CHOICE_FUNCTIONS[kind]  # type: ignore[attr-defined]
    return shtab.complete(parser, shell)
