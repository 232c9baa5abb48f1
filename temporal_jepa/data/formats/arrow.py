"""Parquet, Feather and Arrow files, and Arrow tables in memory, to pandas frames."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .libraries import check_size, needs, readable

if TYPE_CHECKING:
    import pandas as pd

STREAM = b"\xff\xff\xff\xff"  # the first bytes of an Arrow stream, which has no footer
FEATHER_V1 = b"FEA1"
DICTIONARY = 2  # kinds of messages of an Arrow stream
BATCH = 3
TOO_LARGE = "split it into files that fit, or keep the columns that you need"


def read_parquet(path: Path) -> pd.DataFrame:
    """A Parquet file as a frame.

    Raises:
        ModuleNotFoundError: without pyarrow.
        ValueError: for an empty or damaged file, and for columns that no frame can hold.
    """
    needs("pyarrow", "parquet", "reading .parquet")
    import pyarrow.parquet

    def load() -> Any:
        with pyarrow.parquet.ParquetFile(path) as file:
            _check_parquet(file.metadata, path)
            table = file.read()
            table.validate(full=True)
            return table

    return _read(path, "Parquet", load)


def _check_parquet(metadata: Any, path: Path) -> None:
    """TooLargeError for a file whose groups of rows are far larger than itself, or than memory.

    A value takes at least a byte in memory, and a repeated one takes none in the file.
    """
    sizes = [
        metadata.row_group(k).total_byte_size for k in range(metadata.num_row_groups)
    ]
    values = metadata.num_rows * max(metadata.num_columns, 1)
    check_size(max(sum(sizes), 8 * values), path, TOO_LARGE)


def read_feather(path: Path) -> pd.DataFrame:
    """A Feather or Arrow IPC file, or an Arrow stream, as a frame.

    Raises:
        ModuleNotFoundError: without pyarrow.
        ValueError: for an empty or damaged file, and for columns that no frame can hold.
    """
    needs("pyarrow", "parquet", f"reading {path.suffix}")
    import pyarrow as pa

    with path.open("rb") as file:
        start = file.read(4)
    if start == FEATHER_V1:
        raise ValueError(
            "Feather of version 1, which is not read; write it again with "
            "pandas.read_feather(PATH).to_feather(PATH)"
        )
    opened = pa.ipc.open_stream if start == STREAM else pa.ipc.open_file

    def load() -> Any:
        with pa.memory_map(str(path)) as source:
            if start != STREAM:
                source.seek(8)  # a file is a stream behind a mark
            check_size(_promised(source), path, TOO_LARGE)
        with pa.OSFile(str(path)) as source:
            reader = opened(source)
            return pa.Table.from_batches(_batches(reader, path), reader.schema)

    return _read(path, "Arrow", load)


def _promised(source: Any) -> int:
    """Bytes that the batches of an Arrow stream take when they are unpacked, and their rows.

    Compressed buffers begin with their length. A column of nothing has rows and no buffers.
    """
    import pyarrow as pa

    total = 0
    for message in pa.ipc.MessageReader.open_stream(source):
        head = message.metadata.to_pybytes()
        message_at = _number(head, 0, "I")
        kind_at = _field(head, message_at, 1)
        header_at = _pointer(head, _field(head, message_at, 2))
        kind = head[kind_at] if kind_at else 0
        if kind == DICTIONARY:
            header_at = _pointer(head, _field(head, header_at, 1))
        if kind in (BATCH, DICTIONARY) and header_at:
            total += _promised_batch(head, header_at, message.body)
    return total


def _promised_batch(head: bytes, batch_at: int, body: Any) -> int:
    """Bytes of a batch when it is unpacked, or 8 for each row if that is more."""
    rows_at = _field(head, batch_at, 0)
    rows = _number(head, rows_at, "q") if rows_at else 0
    buffers_at = _pointer(head, _field(head, batch_at, 2))
    total = 0
    if _field(head, batch_at, 3) and buffers_at:  # compressed
        for k in range(_number(head, buffers_at, "I")):
            at = _number(head, buffers_at + 4 + 16 * k, "q")
            size = _number(head, buffers_at + 12 + 16 * k, "q")
            if size >= 8:
                total += max(_number(body, at, "q"), 0)
    return max(total, 8 * rows)


def _number(data: Any, at: int, form: str) -> int:
    """A little-endian number; struct.error where the data end before it."""
    number: int = struct.unpack_from(f"<{form}", data, at)[0]
    return number


def _field(data: bytes, table: int, k: int) -> int:
    """Where field `k` of a table of FlatBuffers stands, 0 if it has none."""
    if not table:
        return 0
    names = table - _number(data, table, "i")
    if 4 + 2 * k >= _number(data, names, "H"):
        return 0
    offset = _number(data, names + 4 + 2 * k, "H")
    return table + offset if offset else 0


def _pointer(data: bytes, at: int) -> int:
    """What a field points to, 0 for no field."""
    return at + _number(data, at, "I") if at else 0


def _batches(reader: Any, path: Path) -> Iterator[Any]:
    """The batches of an Arrow file or stream, as long as they fit.

    pyarrow and pandas would read behind the end of a broken column, so each batch is validated.
    """
    is_file = hasattr(reader, "num_record_batches")
    count = range(reader.num_record_batches) if is_file else ()
    total = 0
    for batch in map(reader.get_batch, count) if is_file else reader:
        batch.validate(full=True)
        total += batch.nbytes
        check_size(total, path, TOO_LARGE)
        yield batch


def _read(path: Path, kind: str, load: Callable[[], Any]) -> pd.DataFrame:
    """The table of a file as a frame; ValueError for a file that pyarrow cannot read."""
    if not path.stat().st_size:
        raise ValueError("the file is empty")
    with readable(path, f"{kind} file", ValueError):  # the base of pyarrow's
        table = load()
    with readable(path, f"{kind} file"):
        return frame_from_arrow(table)


def frame_from_arrow(data: Any) -> pd.DataFrame:
    """An Arrow table, or what exports one (polars, pyarrow, duckdb), as a frame.

    Fields of structs become columns such as "acc.x". The row index that pandas stored in a table
    comes back.

    Raises:
        ModuleNotFoundError: without pyarrow.
        ValueError: for columns that no frame can hold.
    """
    needs("pyarrow", "parquet", f"reading {type(data).__module__.split('.')[0]} tables")
    import pyarrow as pa

    try:
        table = data if isinstance(data, pa.Table) else pa.table(data)
        while any(pa.types.is_struct(kind) for kind in table.schema.types):
            table = table.flatten()
        table = _with_signed_indices(table)
        frame: pd.DataFrame = table.to_pandas(date_as_object=False)
    except (pa.ArrowException, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"expected a table whose columns pandas can hold, got {type(data).__name__} "
            f"({reason}); select or convert these columns first"
        ) from error
    return frame


def _with_signed_indices(table: Any) -> Any:
    """The table with signed indices of categories; pyarrow 16 to 22 give pandas no others."""
    import pyarrow as pa

    for place, field in enumerate(table.schema):
        kind = field.type
        if pa.types.is_dictionary(kind) and pa.types.is_unsigned_integer(
            kind.index_type
        ):
            signed = pa.dictionary(pa.int64(), kind.value_type, kind.ordered)
            column = table.column(place).cast(signed)
            table = table.set_column(place, field.name, column)
    return table
