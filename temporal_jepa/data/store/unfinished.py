"""What to say where a store was meant and none stands: one half made, or a folder above stores."""

from __future__ import annotations

import shlex
from pathlib import Path

from ..sequences import listed
from .description import STORE, is_store
from .flat import shard_name
from .writer import JOURNAL, before

AGAIN = "give the same temporal-jepa prepare command again"


def refuse_no_store(path: Path) -> None:
    """ValueError that says what to do, if a store was meant by a path without one.

    Args:
        path: of data; a store, or any other file or folder, is none of these.
    """
    if not path.name or is_store(path) or path.is_file():
        return
    said = _within(path) if path.is_dir() else _beside(path)
    if said:
        raise ValueError(said)


def _beside(path: Path) -> str:
    """What stands beside a missing store, which `prepare` was making or replacing."""
    old, partial = before(path), path.with_name(f".{path.name}.partial")
    if is_store(old):
        new = f", the new one, whole, {partial}" if is_store(partial) else ""
        return (
            f"{path} is missing: it was being replaced when that was stopped. The old store is "
            f"{old}{new}; {AGAIN}, or put the old one back: "
            f"mv {shlex.quote(str(old))} {shlex.quote(str(path))}"
        )
    if partial.is_dir():
        return f"{path} is not finished, it is still {partial}; {AGAIN} to go on"
    return ""


def _within(folder: Path) -> str:
    """What a folder holds that is no store: the beginning of one, or stores."""
    name = folder.name
    if (folder / JOURNAL).is_file() or (name[0] == "." and name.endswith(".partial")):
        return f"{folder} is the beginning of a store; {AGAIN} to go on"
    if (folder / shard_name("values", 0)).is_file():
        return (
            f"{folder} has the files of a store, but no {STORE}, without which they are not "
            "understood; copy the store again with all of its files, or make it again with "
            "temporal-jepa prepare"
        )
    stores = sorted(each.parent for each in folder.glob(f"[!.]*/{STORE}"))
    if stores:
        return f"{folder} is no store but holds {listed(map(str, stores))}; name one of them"
    begun = sorted(str(each.parent) for each in folder.glob(f".*.partial/{JOURNAL}"))
    if begun and not any(each.name[0] != "." for each in folder.iterdir()):
        return f"{folder} holds only the beginning of a store, {begun[0]}; {AGAIN} to go on"
    return ""
