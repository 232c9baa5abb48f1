"""Notes on several parts or files as those on the whole."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

PADDED = "padding (missing values at the end) cut off {} series: lengths {} to {}"
PADDING = re.compile(re.escape(PADDED).replace(r"\{\}", r"(\d+)"))
COUNT = re.compile(r"(\d+)( of (\d+))? (.*?)( \(.*)?", re.DOTALL)
EXAMPLE = re.compile(r"such as '[^']*'")
VARYING = re.compile(rf"{EXAMPLE.pattern}|'[^']*'|\d+(?:[.,:e+-]+\d+)*")
NAMED = 4  # files that a note names
SHOWN = 8  # notes on some of the files
KEPT = 200  # different sentences; more are counted


def merged_notes(notes: Iterable[str], more: Iterable[str]) -> list[str]:
    """Notes on all parts so far, and on one more: counts in front of equal sentences add up."""
    out = list(notes)
    for note in more:
        for k, old in enumerate(out):
            both = _added(old, note)
            if both is not None:
                out[k] = both
                break
        else:
            out.append(note)
    return out


def _added(old: str, new: str) -> str | None:
    """Two notes as one, None if they say different things."""
    if old == new and not COUNT.fullmatch(old):
        return old
    padded, more = PADDING.fullmatch(old), PADDING.fullmatch(new)
    if padded and more:
        count = int(padded[1]) + int(more[1])
        low = min(int(padded[2]), int(more[2]))
        high = max(int(padded[3]), int(more[3]))
        return PADDED.format(count, low, high)
    a, b = COUNT.fullmatch(old), COUNT.fullmatch(new)
    if not a or not b or a[4] != b[4]:
        return None
    total = "" if a[3] is None else f" of {int(a[3]) + int(b[3] or 0)}"
    return f"{int(a[1]) + int(b[1])}{total} {a[4]}{a[5] or ''}"


class FileNotes:
    """What is said of the files of a folder: each sentence once, with the files that it is about.

    Sentences that differ only in numbers and examples are one. Counts in front add up.

    >>> notes = FileNotes()
    >>> notes.add("a.csv", ["channels: x", "2 rows are left out"])
    >>> notes.add("b.csv", ["channels: x"])
    >>> notes.add("c.csv", ["channels: x", "3 rows are left out"])
    >>> notes.lines()
    ['channels: x', 'in a.csv, c.csv: 5 rows are left out']
    """

    def __init__(self, state: Mapping[str, Any] | None = None):
        """The notes so far: `state` of others, in JSON."""
        self.state: dict[str, Any] = {
            "files": 0,
            "said": {},
            "more": 0,
            **(state or {}),
        }

    def add(self, file: str, notes: Iterable[str]) -> None:
        """Add the notes on one file."""
        self.state["files"] += 1
        said = self.state["said"]
        for kind, note in _by_kind(notes).items():
            if kind in said:
                _add_to(said[kind], file, note)
            elif len(said) < KEPT:
                said[kind] = {"note": note, "count": 1, "names": [file], "is_sum": True}
            else:
                self.state["more"] += 1

    def lines(self) -> list[str]:
        """Notes on all files, then those on some, the most frequent first."""
        files = self.state["files"]
        entries = list(self.state["said"].values())
        whole = [x for x in entries if x["count"] == files and x["is_sum"]]
        others = [x for x in entries if x not in whole]
        others.sort(key=lambda entry: -entry["count"])
        shown = others[:SHOWN] if len(others) > SHOWN + 1 else others
        lines = [entry["note"] for entry in whole]
        lines += [_about(entry, files) for entry in shown]
        more = len(others) - len(shown) + self.state["more"]
        if more:
            lines.append(
                f"and {more} more notes on single files; read one of them to see its notes"
            )
        return lines


def _by_kind(notes: Iterable[str]) -> dict[str, str]:
    """Notes by their text without numbers and examples; names of columns stay."""
    found: dict[str, str] = {}
    for note in notes:
        counts = COUNT.fullmatch(note) is not None
        kind = VARYING.sub(_without, note.partition(" (")[0] if counts else note)
        while kind in found:
            kind += "+"
        found[kind] = note
    return found


def _without(match: re.Match[str]) -> str:
    """A number or an example as #, a quoted name as it is."""
    return match[0] if match[0].startswith("'") else "#"


def _add_to(entry: dict[str, Any], file: str, note: str) -> None:
    """Add the note on a file to those on others; as their sum if that is one true sentence."""
    old = entry["note"]
    both = _added(old, note)
    if EXAMPLE.sub("", old) == EXAMPLE.sub("", note) and not COUNT.fullmatch(old):
        both = old
    details = {
        match and match[5] for match in (COUNT.fullmatch(old), COUNT.fullmatch(note))
    }
    if entry["is_sum"] and both is not None and len(details) == 1:
        entry["note"] = both
    else:
        entry["is_sum"] = False
    entry["count"] += 1
    entry["names"] = [*entry["names"], file][: NAMED + 1]


def _about(entry: Mapping[str, Any], files: int) -> str:
    """A note with the files that it is about; of sentences that differ, that on the first."""
    first, *names = entry["names"]
    if entry["is_sum"]:
        return f"in {_names([first, *names], entry['count'])}: {entry['note']}"
    others = "all others"
    if entry["count"] < files:
        others = _names(names, entry["count"] - 1)
    return f"in {first} (likewise in {others}): {entry['note']}"


def _names(names: list[str], count: int) -> str:
    """Names of some of `count` files."""
    shown = names if len(names) == count else names[: NAMED - 1]
    more = count - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
