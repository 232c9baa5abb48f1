"""`temporal-jepa serve`: embeddings over HTTP, from a model that stays in memory."""

import json
import socket
import tempfile
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from ..config import Pool, ReadOptions
from ..files import channels_of, folder_of, read_config
from .console import record, say
from .options import UsageError
from .reading import read_as_trained

if TYPE_CHECKING:
    from ..data import Sequences

NEEDS = "serve needs its extra: pip install 'temporal-jepa[serve]'"
LARGEST = 16 * 2**20  # bytes of a body
TOO_LARGE = f"expected a body of at most {LARGEST:,} bytes; send fewer series at once"
MOST_SERIES = 10_000
LONGEST = 65_536  # timesteps of a series
EXPECTED = '{"series": [[[1.0, 2.0, ...], ...], ...]}, series of channels of numbers'


def serve(
    run: str,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    pool: Pool = "all",
    dim: int | None = None,
    reading: ReadOptions,
) -> None:
    """Answer requests for embeddings over HTTP, until Ctrl-C.

    Examples:
        temporal-jepa serve runs/a
        temporal-jepa serve series-small --dim 128 --port 9000

    Args:
        run: run folder, series-small, or a model on the Hugging Face hub.
        host: address to listen on; others than 127.0.0.1 are reached from other machines, without
            a password.
        port: number of the port.
        pool: how the vectors of the parts of a sequence become one: "mean", "all" (mean, std and
            max of every layer) or "quantiles" (of every layer).
        dim: numbers of a compact embedding (default: 0, all features).
        reading: how a body of CSV is read (default: as the training data of the run)
    """
    if not 0 < port < 2**16:
        raise UsageError(f"--port: expected a number from 1 to 65535, got {port}")
    app = application(run, pool, dim or None, reading)
    import uvicorn

    config = uvicorn.Config(app, host=host, port=port, log_level="warning")
    with _listening(host, port) as listener:
        record(host=host, port=port)
        say(f"http://{host}:{port}  POST /embed, GET /health; Ctrl-C stops")
        uvicorn.Server(config).run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    """A socket that listens; OSError that says what to change if the address cannot be used."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise OSError(
            f"cannot listen on {host}:{port}: {reason}; choose another --port or --host"
        ) from None


def application(run: str, pool: Pool, dim: int | None, reading: ReadOptions) -> Any:
    """The ASGI application of a model; requests are computed one at a time.

    Raises:
        ImportError: without the extra `[serve]`.
        ValueError: for a `dim` that the model cannot compute.
    """
    try:
        from starlette.applications import Starlette
        from starlette.concurrency import run_in_threadpool
        from starlette.requests import Request
        from starlette.responses import JSONResponse
        from starlette.routing import Route
    except ImportError:
        raise ImportError(NEEDS) from None
    from ..checkpoint import from_pretrained
    from ..embed import embed_sequences

    model = from_pretrained(run)
    model.embedder(pool, dim)
    config = read_config(folder_of(run))
    one = Lock()

    def answer(body: bytes, is_csv: bool) -> dict[str, Any]:
        sequences = _read_csv(body, reading, config) if is_csv else _read_json(body)
        _check_size(sequences)
        with one:
            vectors = embed_sequences(model, sequences.check_observed(), pool, dim=dim)
        return {"ids": list(sequences.ids), "vectors": vectors.tolist()}

    async def embed(request: Request) -> JSONResponse:
        is_csv = request.headers.get("content-type", "").startswith("text/csv")
        body = await _body(request)
        if body is None:
            return JSONResponse({"error": TOO_LARGE}, 413)
        try:
            found = await run_in_threadpool(answer, body, is_csv)
        except (ValueError, MemoryError, RecursionError) as error:
            return JSONResponse({"error": " ".join(str(error).split())}, 422)
        return JSONResponse(found)

    async def health(request: Request) -> JSONResponse:
        facts = {"status": "ok", "model": folder_of(run).name, "dim": dim, "pool": pool}
        return JSONResponse({**facts, "channels": channels_of(config)})

    routes = [Route("/embed", embed, methods=["POST"]), Route("/health", health)]
    return Starlette(routes=routes)


async def _body(request: Any) -> bytes | None:
    """The body of a request; None if it is too large, without reading it to its end."""
    parts = bytearray()
    async for part in request.stream():
        parts += part
        if len(parts) > LARGEST:
            return None
    return bytes(parts)


def _read_json(body: bytes) -> "Sequences":
    """The series of a body of JSON; null is a missing value."""
    import numpy as np

    from ..data import Sequences

    try:
        arrays = [np.array(x, dtype=np.float64) for x in json.loads(body)["series"]]
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise ValueError(f"expected {EXPECTED}; {error}") from None
    if not arrays or any(x.ndim != 2 for x in arrays):
        raise ValueError(f"expected {EXPECTED}")
    return Sequences.from_arrays(arrays)


def _read_csv(body: bytes, reading: ReadOptions, config: dict[str, Any]) -> "Sequences":
    """The sequences of a body of CSV, read as a file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "body.csv"
        file.write_bytes(body)
        try:
            return read_as_trained(str(file), reading, config, is_quiet=True)
        except ValueError as error:
            raise ValueError(str(error).replace(f"{folder}/", "")) from None


def _check_size(sequences: "Sequences") -> None:
    """ValueError for more or longer series than a request may have."""
    longest = int(sequences.lengths.max())
    if len(sequences) > MOST_SERIES or longest > LONGEST:
        raise ValueError(
            f"expected at most {MOST_SERIES:,} series of at most {LONGEST:,} timesteps, got "
            f"{len(sequences):,} of up to {longest:,}; send fewer, or cut them"
        )
