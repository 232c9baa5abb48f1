"""JSON files and lines that hold their own checksum, so that one write publishes both.

A file whose checksum does not fit was damaged, or edited: it is refused, never believed. One
without a checksum, of an earlier version or edited on purpose, is read.
"""

import json
import zlib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from .atomic import read_file, write_atomically

SHA256 = "sha256"  # the entry of a file
CRC = "crc"  # the entry of a line
PART = 2**22  # bytes that are read at a time
LARGEST = 2**26  # bytes of a JSON file that is read


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """The content as JSON holds it (tuples are lists), with the checksum of all of it."""
    stored: dict[str, Any] = json.loads(json.dumps(content))
    stored.pop(SHA256, None)
    return {**stored, SHA256: digest(stored)}


def digest(content: Any) -> str:
    """The SHA-256 of a JSON value, whatever the order of its entries."""
    return sha256(_canonical(content)).hexdigest()


def json_bytes(content: Mapping[str, Any]) -> bytes:
    """A sealed JSON file, to be written."""
    return json.dumps(seal(content), indent=2).encode() + b"\n"


def checksum(path: Path) -> str:
    """The SHA-256 of a file, which is read a part at a time."""
    found = sha256()
    with path.open("rb") as file:
        while part := file.read(PART):
            found.update(part)
    return found.hexdigest()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a sealed JSON file, whole or not at all."""
    write_atomically(path, json_bytes(content))


def read_json(path: Path, again: str = "copy it again") -> dict[str, Any]:
    """The content of a JSON file; its checksum, if it has one, is an entry.

    Args:
        path: file to read.
        again: advice, what to do about a damaged file.

    Raises:
        OSError: if the file cannot be read, or is no file.
        ValueError: if it is no JSON object, or was changed after it was written.
    """
    text = read_file(path, LARGEST)
    try:
        found = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path} is not valid JSON ({reason}); {again}") from None
    if not isinstance(found, dict):
        raise ValueError(
            f"{path}: expected a JSON object {{...}}, got {json_type(found)}; {again}"
        )
    content_alone = {name: value for name, value in found.items() if name != SHA256}
    if SHA256 in found and found[SHA256] != digest(content_alone):
        raise ValueError(
            f"{path} was changed after it was written: its checksum is not that of its content; "
            f'{again}, or delete its line "{SHA256}" if you edited it on purpose'
        )
    return found


def json_type(found: Any) -> str:
    """What a JSON value is, in words.

    >>> json_type(None), json_type([1]), json_type(True), json_type({})
    ('null', 'a list [...]', 'true', 'an object {...}')
    """
    if isinstance(found, dict):
        return "an object {...}"
    if found is None or isinstance(found, bool):
        return json.dumps(found)
    if isinstance(found, list):
        return "a list [...]"
    return "text" if isinstance(found, str) else "a number"


def seal_line(row: Mapping[str, Any]) -> str:
    """A row as one line of JSON with its checksum."""
    stored = json.loads(json.dumps(row))
    return json.dumps({**stored, CRC: f"{zlib.crc32(_canonical(stored)):08x}"})


def read_line(line: bytes) -> dict[str, Any] | None:
    """The row in a line of JSON, without its checksum; None if the line is damaged."""
    try:
        row = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    if not isinstance(row, dict):
        return None
    expected = row.pop(CRC, None)
    if expected is not None and expected != f"{zlib.crc32(_canonical(row)):08x}":
        return None
    return row


def _canonical(content: Any) -> bytes:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return text.encode("ascii")
