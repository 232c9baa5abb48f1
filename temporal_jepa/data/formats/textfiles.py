"""Text files as lines: encodings, marks of the byte order, line ends and compression."""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ...config import ReadOptions
from ..sequences import did_you_mean, listed
from ..tables.readings import AmbiguousError, Reading, likely

COMPRESSED = (".gz", ".bz2", ".xz", ".zip")
MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
}
MARKS = {  # the mark of UTF-32 starts as that of UTF-16
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
DAMAGED = (  # what the readers of compressed files raise for a broken one
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
    UnicodeDecodeError,  # the name of a file in an archive
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)
_OPEN: dict[str, Callable[[Any], Any]] = {
    "gzip": gzip.open,
    "bzip2": bz2.open,
    "xz": lzma.open,
}
BLOCK = 2**20  # bytes
LARGE = (
    2**30
)  # bytes from which a file that was compressed more than RATIO times is refused
RATIO = 200
DOCUMENT = re.compile(
    r"(?i)(.*/)?(readme|licen[cs]e|notice|citation|changelog)[^/]*|.*\.(md|rst|pdf|html?|docx?)"
)  # files beside a table in an archive
DIGITS = 4000  # in a row; a field of twice as many is surely found


@dataclass(frozen=True)
class TextFile:
    """A text file that was read once to check it; `lines` reads it again.

    Attributes:
        path: the file on disk.
        member: the name of the file in a zip archive, None for others.
        encoding: the name of the codec.
        notes: what was inferred.
    """

    path: Path
    member: str | None
    encoding: str
    notes: tuple[str, ...]

    @contextlib.contextmanager
    def lines(self) -> Iterator[IO[str]]:
        """The text as a stream whose lines end with a line feed."""
        with (
            open_bytes(self.path, self.member) as stream,
            io.TextIOWrapper(stream, self.encoding, errors="replace") as text,
        ):
            yield text


def inner_suffix(path: Path, table: str | None = None) -> str:
    """The extension in lower case that says what a file holds: ".csv" for data.csv.gz.

    For a .zip archive it is that of its one member, or of the member `table`.

    Raises:
        ValueError: for a damaged archive, and for a member that does not exist.
        AmbiguousError: for an archive of several members.
    """
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return PurePosixPath(find_member(path, table)).suffix.lower()
    if suffix in COMPRESSED:
        return Path(path.stem).suffix.lower()
    return suffix


def find_member(path: Path, table: str | None = None) -> str:
    """The name of the one file in a zip archive, or of the file that `table` names.

    Raises:
        ValueError: for a damaged or empty archive, and for a member that does not exist.
        AmbiguousError: for several members.
    """
    names = _members(path)
    if table:
        chosen = [name for name in names if table in (name, PurePosixPath(name).name)]
        if len(chosen) != 1:
            raise ValueError(
                f"table={table!r} is not one of the files in the archive: {listed(names)}"
                f"{did_you_mean(table, names)}"
            )
        return chosen[0]
    if not names:
        raise ValueError("the archive holds no file")
    tables = [name for name in names if not DOCUMENT.fullmatch(name)]
    if len(tables) == 1:
        return tables[0]
    names = tables or names
    if len(names) > 1:
        readings = [Reading(f"the file {name}", {"table": name}) for name in names[:9]]
        raise AmbiguousError(f"the archive holds {len(names)} files", readings)
    return names[0]


def _members(path: Path) -> list[str]:
    """The files in a zip archive, without folders and those that a system hides.

    Raises:
        ValueError: for a damaged archive, and for a document of Office.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            every = archive.namelist()
    except DAMAGED as error:
        raise _damaged("zip", error) from error
    if "[Content_Types].xml" in every:
        raise ValueError(
            "a workbook or document of Office; give it the extension .xlsx"
        )
    return [name for name in every if not (name.endswith("/") or _is_hidden(name))]


def _is_hidden(name: str) -> bool:
    """Whether a member of an archive is one that a system adds, such as __MACOSX/._a.csv."""
    return name.startswith("__MACOSX/") or PurePosixPath(name).name.startswith(".")


@contextlib.contextmanager
def open_bytes(path: Path, member: str | None = None) -> Iterator[Any]:
    """The bytes of a file as a stream, decompressed; its first bytes say how it was compressed.

    Args:
        path: the file on disk.
        member: the name of the file in a zip archive.
    """
    with path.open("rb") as file:
        method = _method(file.read(8))
        file.seek(0)
        if method == "zip":
            with (
                zipfile.ZipFile(file) as archive,
                archive.open(member or find_member(path)) as stream,
            ):
                yield stream
        elif method:
            opened = _OPEN[method]
            with opened(file) as stream:
                yield stream
        else:
            yield file


def _method(first: bytes) -> str:
    """How a file was compressed, "" for not at all."""
    return next((name for mark, name in MAGIC.items() if first.startswith(mark)), "")


def _damaged(method: str, error: Exception) -> ValueError:
    return ValueError(
        f"not read: the {method} file is cut short, damaged or encrypted "
        f"({str(error) or type(error).__name__})"
    )


def open_text(path: Path, options: ReadOptions | None = None) -> TextFile:
    """Find out how a text file is written, and read it once in blocks to check that.

    Raises:
        ValueError: for an empty or binary file, a damaged archive, NUL characters, and text that
            is not in `options.encoding`.
        AmbiguousError: for a zip archive of several files.
    """
    options = options or ReadOptions()
    with path.open("rb") as file:
        method = _method(file.read(8))
    member = find_member(path, options.table) if method == "zip" else None
    try:
        with open_bytes(path, member) as stream:
            encoding, guessed = _encoding(stream.read(4096), options.encoding, path)
        with open_bytes(path, member) as stream:
            wrong = _check(stream, encoding, path.stat().st_size if method else None)
    except DAMAGED as error:
        if not method:
            raise
        raise _damaged(method, error) from error
    notes = []
    if member and not options.table and len(_members(path)) > 1:
        notes.append(likely(f"{member!r} is read from the archive", "table=FILE"))
    if guessed:
        notes.append(f"read as {encoding.upper()}: every other byte is zero")
    if wrong is not None:
        notes.append(_as_windows(wrong, encoding, options))
        encoding = "cp1252"
    return TextFile(path, member, encoding, tuple(notes))


def _as_windows(wrong: tuple[int, int], encoding: str, options: ReadOptions) -> str:
    """The note that a text is read as Windows-1252; ValueError if it is declared otherwise."""
    line, byte = wrong
    if options.encoding or not encoding.startswith("utf-8"):
        raise ValueError(
            f"line {line} is not {encoding} (byte 0x{byte:02x}); is the file cut short? "
            "Otherwise choose another encoding="
        )
    return (
        f"line {line} is not UTF-8 (byte 0x{byte:02x}): the text was read as Windows-1252 "
        "(otherwise: encoding=)"
    )


def read_text(path: Path, options: ReadOptions | None = None) -> tuple[str, list[str]]:
    """The text of a small file with line feeds as line ends, and notes on its encoding.

    Raises:
        ValueError: as `open_text`.
    """
    file = open_text(path, options)
    with file.lines() as lines:
        return lines.read(), list(file.notes)


def _encoding(first: bytes, chosen: str | None, path: Path) -> tuple[str, bool]:
    """The codec of a text by its first bytes, and whether nothing but zero bytes tells it."""
    if chosen:
        return _codec(chosen), False
    for mark, name in MARKS.items():
        if first.startswith(mark):
            return name, False
    pairs = first[: len(first) // 2 * 2]
    halves = {"utf-16-le": pairs[::2], "utf-16-be": pairs[1::2]}
    zeros = {"utf-16-le": pairs[1::2], "utf-16-be": pairs[::2]}
    for name, half in halves.items():
        if len(half) > 1 and half.count(0) == 0 == len(zeros[name].strip(b"\0")):
            return name, True
    if any(0 < byte < 9 or 13 < byte < 26 for byte in first):
        raise ValueError(
            f"expected {path.suffix} text, got binary data; check the extension"
        )
    return "utf-8-sig", False


def _codec(chosen: str) -> str:
    """The name of the codec that an option names, for UTF-8 that which drops a mark."""
    try:
        name = codecs.lookup(chosen).name
    except LookupError:
        raise ValueError(
            f"encoding={chosen!r} is unknown; common ones are utf-8, utf-16, cp1252, shift_jis"
        ) from None
    return "utf-8-sig" if name == "utf-8" else name


def _check(stream: Any, encoding: str, packed: int | None) -> tuple[int, int] | None:
    """The line and the byte at which the text is not in the encoding, None if it is.

    packed: bytes of the file on disk if it is compressed.

    Raises:
        ValueError: for an empty text, a NUL character, and a size that few real files reach.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    total = 0
    line = 1
    blank = True
    while True:
        block = stream.read(BLOCK)
        total += len(block)
        most = LARGE if line > 1 else LARGE // 16
        if packed is not None and total > max(most, RATIO * packed):
            raise ValueError(
                f"decompresses to more than {most:,} bytes, over {RATIO} times its size; "
                "decompress it first if that is right"
            )
        pending = decoder.getstate()[0]
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            data = pending + block
            assert isinstance(pending, bytes)
            return line + data.count(b"\n", 0, error.start), data[error.start]
        _check_text(text, line)
        line += text.count("\n") or text.count("\r")
        blank = blank and not text.strip()
        if not block:
            break
    if blank:
        raise ValueError("the file is empty")
    return None


def _check_text(text: str, line: int) -> None:
    """ValueError for NUL characters, and for digits without end; `line` is the first."""
    at = text.find("\0")
    if at >= 0:
        line += text.count("\n", 0, at)
        raise ValueError(
            f"line {line} holds NUL characters, as a crash of the writer leaves them; remove them, "
            "or check that this is text"
        )
    for k in range(0, len(text) - DIGITS, DIGITS):
        if text[k : k + DIGITS].isdigit():
            line += text.count("\n", 0, k)
            raise ValueError(
                f"line {line} holds a field of over {DIGITS} digits, which is no number; is the "
                "file damaged?"
            )
