"""`store.json`: what a store holds, with checksums of its files and of itself."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ...config import ReadOptions, shortened
from ...files.sealed import checksum
from ..sequences import listed
from .flat import shard_name
from .remote import LARGEST_JSON, is_cached, local

STORE = "store.json"
FORMAT = "temporal-jepa store"
VERSION = 1
AGAIN = "make it again with temporal-jepa prepare, or copy it again"


def _is_count(value: Any, low: int = 0) -> bool:
    return type(value) is int and low <= value < 2**62


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _is_counts(value: Any, number: int) -> bool:
    if not isinstance(value, list) or len(value) != number:
        return False
    return all(_is_count(entry, 1) for entry in value)


def _is_type(value: Any, kinds: str) -> bool:
    return isinstance(value, str) and value in TYPES and np.dtype(value).kind in kinds


def _is_files(value: Any) -> bool:
    return isinstance(value, dict) and all(
        FILE.fullmatch(name)
        and isinstance(facts, dict)
        and _is_count(facts.get("bytes"), 1)
        and isinstance(facts.get("sha256"), str)
        for name, facts in value.items()
    )


def _is_facts(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    labels, times = value.get("labels", 0), value.get("times", 0)
    return (
        all(_is_count(value.get(name)) for name in ("missing", "blank", "constant"))
        and all(_is_texts(value.get(n)) for n in ("constant_ids", "constant_channels"))
        and (
            labels is None
            or (isinstance(labels, dict) and all(map(_is_count, labels.values())))
        )
        and (times is None or (_is_texts(times) and len(times) == 2))
    )


TYPES = (
    *("float16", "float32", "float64", "bool"),
    *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)),
    *(f"datetime64[{unit}]" for unit in ("s", "ms", "us", "ns")),
)
FILE = re.compile(r"[a-z]+(-[a-z]+)?-\d{5,9}\.bin")
ENTRIES: dict[str, Callable[[Any], bool]] = {
    "series": lambda value: _is_count(value, 1),
    "timesteps": lambda value: _is_count(value, 1),
    "lengths": lambda value: _is_counts(value, 3),
    "channels": lambda value: _is_texts(value) and bool(value),
    "frame": lambda value: value is None or _is_counts(value, 3),
    "dtypes": lambda value: (
        _is_texts(value) and bool(value) and all(_is_type(t, "fiub") for t in value)
    ),
    "times": lambda value: value is None or _is_type(value, "fiuM"),
    "places": lambda value: isinstance(value, bool),
    "degrees": lambda value: isinstance(value, bool),
    "task": lambda value: value is None or isinstance(value, str),
    "label_width": lambda value: (
        value is None or (_is_count(value, 1) and value < 2**28)
    ),
    "facts": _is_facts,
    "shard_bytes": lambda value: _is_count(value, 1),
    "files": _is_files,
    "source": lambda value: isinstance(value, str),
    "notes": _is_texts,
    "options": lambda value: isinstance(value, dict),
    "clip": lambda value: value is None or _is_count(value, 1),
    "plan": lambda value: isinstance(value, dict) and "source" in value,
}


def is_store(path: Any) -> bool:
    """Whether a path is a folder that `temporal-jepa prepare` made."""
    return isinstance(path, (str, Path)) and (Path(path) / STORE).is_file()


def with_options_of_store(data: Any, options: ReadOptions) -> ReadOptions:
    """The options, after those with which the source of a store was read, if `data` is a store."""
    data = local(data)
    if not is_store(data):
        return options
    stored = stored_options(Path(data), read_description(Path(data)))
    return replace(stored, **{name: getattr(options, name) for name in options.given()})


def stored_options(folder: Path, content: Mapping[str, Any]) -> ReadOptions:
    """The options with which the source of a store was read."""
    try:
        return ReadOptions.from_dict(content["options"])
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{folder / STORE}: not expected in 'options': {error}; {AGAIN}"
        ) from None


def suffix_of(path: str) -> str:
    """The extension of a file in lower case, of a store that of its source."""
    path = local(path)
    if is_store(path):
        path = str(read_description(Path(path))["source"])
    return Path(path).suffix.lower()


def dumped(content: Mapping[str, Any]) -> bytes:
    """A description with its own checksum, as bytes."""
    return json.dumps({**content, "checksum": _sum(content)}, indent=1).encode() + b"\n"


def _sum(content: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in content.items() if name != "checksum"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def read_description(folder: Path) -> dict[str, Any]:
    """The description of a store; the sizes of its files are checked, not their bytes.

    Raises:
        ValueError: for a damaged description, one of another version, and a file that is missing
            or of another size.
    """
    path = folder / STORE
    if path.stat().st_size > LARGEST_JSON:
        raise ValueError(f"{path} is longer than a description can be; {AGAIN}")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no valid JSON ({error}); {AGAIN}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f'{path}: expected "format": "{FORMAT}"; {AGAIN}')
    if content.get("version") != VERSION:
        raise ValueError(
            f"{path}: a store of version {shortened(content.get('version'))}, this program reads "
            f"version {VERSION}; make the store again, or install a newer temporal-jepa"
        )
    if content.get("checksum") != _sum(content):
        raise ValueError(f"{path} does not fit its checksum: it was changed; {AGAIN}")
    _check_entries(path, content)
    if not is_cached(folder):  # else files come when they are read
        for name, facts in content["files"].items():
            _check_size(folder / name, facts["bytes"])
    return content


def _check_entries(path: Path, content: dict[str, Any]) -> None:
    """ValueError for an entry of another type, or one that does not fit another."""
    wrong = [
        name
        for name, is_right in ENTRIES.items()
        if not is_right(content.get(name, ...))
    ]
    if not wrong and (content["times"] is None) != (content["facts"]["times"] is None):
        wrong = ["times"]
    if wrong:
        raise ValueError(
            f"{path}: not expected in {listed(map(repr, wrong))}: "
            f"{str(content.get(wrong[0]))[:80]!r}; {AGAIN}"
        )


def _check_size(path: Path, expected: int) -> None:
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        raise ValueError(f"{path} of the store is missing; {AGAIN}") from None
    if size != expected:
        raise ValueError(f"{path} has {size} bytes, expected {expected}; {AGAIN}")


def damaged_files(folder: Path, content: Mapping[str, Any]) -> Iterator[str | None]:
    """Read every file of a store: for each its name if its bytes are not the recorded ones."""
    for name, facts in content["files"].items():
        yield None if checksum(folder / name) == facts["sha256"] else name


def verify(folder: Path) -> dict[str, Any]:
    """Read every byte of a store and compare the checksums.

    Returns:
        The description.

    Raises:
        ValueError: for a path that is no store, and for damaged files, which are named.
    """
    if not is_store(folder):
        raise ValueError(f"{folder} is no store: it has no {STORE}")
    content = read_description(folder)
    wrong = [name for name in damaged_files(folder, content) if name]
    if wrong:
        raise ValueError(
            f"{folder}: {len(wrong)} of {len(content['files'])} files are damaged (their bytes "
            f"changed): {listed(wrong)}; {AGAIN}"
        )
    return content


def digest_of(content: Mapping[str, Any], stream: str) -> str:
    """Text that identifies the bytes of a stream, from the recorded checksums."""
    digest = hashlib.sha256()
    number = 0
    while (name := shard_name(stream, number)) in content["files"]:
        digest.update(content["files"][name]["sha256"].encode())
        number += 1
    return digest.hexdigest()
