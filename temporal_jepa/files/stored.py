"""Which entries `config.json` has, and of which types: a file of a stranger may hold anything."""

from collections.abc import Mapping
from typing import Any

NAMED = {
    dict: "an object {...}",
    list: "a list [...]",
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}
# Entry -> its types; None is accepted where an entry may be empty. Entries without a row are only
# shown, and escaped where they are.
ENTRIES: Mapping[str, tuple[type | None, ...]] = {
    "version": (str,),
    "model": (dict,),
    "model.frame": (list, None),
    "model.resolutions": (list, None),
    "model.input_dim": (int,),
    "model.embed_dim": (int,),
    "model.seq_len": (int,),
    "model.patch_len": (int, None),
    "model.patch_size": (int, None),
    "model.mask": (str,),
    "model.mask_ratio": (float,),
    "model.variance_weight": (float,),
    "model.covariance_weight": (float,),
    "model.tokenizer": (str,),
    "model.normalize": (str,),
    "objective": (dict, None),
    "objective.name": (str,),
    "modules": (dict, None),
    "pretrain": (dict,),
    "pretrain.steps": (int,),
    "pretrain.batch_size": (int,),
    "pretrain.seed": (int,),
    "pretrain.log_every": (int,),
    "sampling": (int,),
    "data": (dict,),
    "data.path": (str, None),
    "data.suffix": (str,),
    "data.options": (dict,),
    "data.n": (int,),
    "data.channels": (list,),
    "data.lengths": (list,),
    "data.digest": (str,),
    "data.notes": (list,),
    "channels": (int, None),
    "init_from": (str, None),
    "environment": (dict,),
    "sha256": (str,),
}
LISTS = {
    "data.channels": str,
    "data.lengths": int,
    "data.notes": str,
    "model.frame": int,
    "model.resolutions": float,
}
"""Entry that is a list -> the type of its parts."""
SHOWN = 80  # characters of a value in a message
LARGEST = 2**53  # of a whole number; beyond it no count is one
DEEPEST = 8


def check_entries(config: Mapping[str, Any]) -> None:
    """ValueError for the first entry of a type that it never has, naming both.

    Args:
        config: a parsed `config.json`.
    """
    for entry, kinds in ENTRIES.items():
        group, _, name = entry.rpartition(".")
        holder = config.get(group) if group else config
        if not isinstance(holder, dict) or name not in holder:
            continue
        value = holder[name]
        if not any(_is(value, kind) for kind in kinds):
            expected = " or ".join(NAMED[kind] for kind in kinds if kind is not None)
            raise ValueError(f'"{entry}" must be {expected}, got {_shown(value)}')
        if isinstance(value, list) and entry in LISTS:
            _check_parts(entry, value)
    _check_objective(config)
    _check_modules(config)
    _check_counts(config)
    _check_depth(config)


def _check_objective(config: Mapping[str, Any]) -> None:
    """ValueError for settings of an objective that has no name."""
    if config.get("objective") and "name" not in config["objective"]:
        raise ValueError('"objective" must have a "name"')


def _check_modules(config: Mapping[str, Any]) -> None:
    """ValueError unless the modules of one's own are names."""
    for part, maker in (config.get("modules") or {}).items():
        if not isinstance(maker, str):
            raise ValueError(f'"modules.{part}" must be text, got {_shown(maker)}')


def _check_parts(entry: str, values: list[Any]) -> None:
    kind = LISTS[entry]
    for value in values:
        if not _is(value, kind):
            raise ValueError(
                f'"{entry}" must be a list of {NAMED[kind].removeprefix("a ")}s, got '
                f"{_shown(value)} in it"
            ) from None


def _check_counts(config: Mapping[str, Any]) -> None:
    """ValueError for counts below 0, and for lengths that are not shortest, median and longest."""
    data = config.get("data", {})
    counts = {
        "data.n": data.get("n", 0),
        "pretrain.steps": config.get("pretrain", {}).get("steps", 0),
        "pretrain.seed": config.get("pretrain", {}).get("seed", 0),
        "channels": config.get("channels") or 0,
    }
    for entry, value in counts.items():
        if value < 0:
            raise ValueError(f'"{entry}" must be at least 0, got {_shown(value)}')
    lengths = data.get("lengths", [])
    is_ordered = len(lengths) == 3 and 0 < lengths[0] <= lengths[1] <= lengths[2]
    if lengths and not is_ordered:
        raise ValueError(
            '"data.lengths" must be the shortest, the median and the longest length, got '
            f"{_shown(lengths)}"
        )


def _check_depth(value: Any, depth: int = 0) -> None:
    """ValueError for nested nonsense, which a page would show, and for numbers too large to be."""
    if depth > DEEPEST:
        raise ValueError(f"it is nested more than {DEEPEST} levels deep")
    if isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError("it holds a whole number above 2^53, which no setting is")
    parts = value.values() if isinstance(value, dict) else value
    if isinstance(value, dict | list):
        for part in parts:
            _check_depth(part, depth + 1)


def _is(value: Any, kind: type | None) -> bool:
    """Whether a value is of a type; true and false are no numbers, whole numbers are numbers."""
    if kind is None:
        return value is None
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int | float)
    if kind is int and isinstance(value, int):
        return abs(value) <= LARGEST
    return isinstance(value, kind)


def _shown(value: Any) -> str:
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # a number of thousands of digits
        return "a value too large to show"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
