"""`temporal-jepa serve`: the application answers in process, without a socket."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from terminal import Terminal, write_csv

pytest.importorskip("starlette", reason="needs the extra [serve]")

from temporal_jepa import Sequences, from_pretrained
from temporal_jepa.cli import serve
from temporal_jepa.cli.reading import read_as_trained
from temporal_jepa.config import ReadOptions
from temporal_jepa.embed import embed_sequences
from temporal_jepa.files import read_config


def ask(
    app: Any, method: str, path: str, body: bytes = b"", kind: str = "application/json"
) -> tuple[int, Any]:
    """The status and the JSON that an ASGI application answers with."""
    sent: list[dict[str, Any]] = []
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "headers": [(b"content-type", kind.encode())],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    content = b"".join(message.get("body", b"") for message in sent[1:])
    is_json = content.startswith(b"{")
    return sent[0]["status"], json.loads(content) if is_json else content


@pytest.fixture(scope="module")
def app(run: Path) -> Any:
    return serve.application(str(run), "all", None, ReadOptions())


@pytest.fixture(scope="module")
def general() -> Any:
    return serve.application("series-small", "all", 8, ReadOptions())


def test_series_of_json_are_embedded_as_in_python(app: Any, run: Path) -> None:
    X = np.random.default_rng(0).normal(size=(3, 2, 16)).tolist()
    X[1] = [channel[:12] for channel in X[1]]
    X[2][0][4] = None
    status, found = ask(app, "POST", "/embed", json.dumps({"series": X}).encode())
    arrays = [np.array(x, dtype=float) for x in X]
    data = Sequences.from_arrays(arrays)
    expected = embed_sequences(from_pretrained(run), data)
    assert status == 200
    assert found["ids"] == list(data.ids)
    np.testing.assert_array_equal(np.float32(found["vectors"]), expected)


def test_a_table_is_read_as_the_data_of_the_run(
    app: Any, run: Path, tmp_path: Path
) -> None:
    file = write_csv(tmp_path / "new.csv", n=3, seed=1)
    status, found = ask(app, "POST", "/embed", file.read_bytes(), "text/csv")
    data = read_as_trained(str(file), ReadOptions(), read_config(run))
    assert status == 200
    assert found["ids"] == ["s0", "s1", "s2"]
    expected = embed_sequences(from_pretrained(run), data)
    np.testing.assert_array_equal(np.float32(found["vectors"]), expected)


def test_the_general_model_takes_any_channels(general: Any) -> None:
    body = json.dumps({"series": [np.arange(90).reshape(3, 30).tolist()]}).encode()
    status, found = ask(general, "POST", "/embed", body)
    assert (status, np.shape(found["vectors"])) == (200, (1, 8))
    status, found = ask(general, "GET", "/health")
    assert (status, found["status"], found["model"]) == (200, "ok", "series-small")


@pytest.mark.parametrize(
    ("body", "kind", "part"),
    [
        (b"", "application/json", "series of channels"),
        (b'{"data": []}', "application/json", "series of channels"),
        (b'{"series": []}', "application/json", "series of channels"),
        (b'{"series": [1, 2]}', "application/json", "series of channels"),
        (b'{"series": [[[1, 2], [3]]]}', "application/json", "series of channels"),
        (b'{"series": [[["a", "b"]]]}', "application/json", "series of channels"),
        (b'{"series": [[[]]]}', "application/json", ""),
        (b'{"series": [[[1%s]]]}' % (b"0" * 400), "application/json", "too large"),
        (b"[" * 100_000, "application/json", ""),
        (b'{"series": [[[1, 2, 3]]]}', "application/json", "2 channels"),
        (b'{"series": [[[1, Infinity], [1, 2]]]}', "application/json", "infinite"),
        (b"\x00\x01", "text/csv", "body.csv"),
    ],
)
def test_what_cannot_be_embedded_is_said(
    app: Any, body: bytes, kind: str, part: str
) -> None:
    status, found = ask(app, "POST", "/embed", body, kind)
    assert status == 422
    assert part in found["error"]
    assert "/tmp" not in found["error"]


def test_limits(app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps({"series": np.ones((4, 2, 20)).tolist()}).encode()
    for name, value, code in [
        ("MOST_SERIES", 3, 422),
        ("LONGEST", 19, 422),
        ("LARGEST", len(body) - 1, 413),
    ]:
        with monkeypatch.context() as patch:
            patch.setattr(serve, name, value)
            status, found = ask(app, "POST", "/embed", body)
        assert (status, "at most" in found["error"]) == (code, True)
    assert ask(app, "GET", "/embed")[0] == 405
    assert ask(app, "GET", "/config.json")[0] == 404


def test_the_verb_listens_on_this_machine_alone(
    tj: Terminal, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = pytest.importorskip("uvicorn")
    addresses: list[tuple[str, int]] = []

    def start(self: Any, sockets: list[socket.socket]) -> None:
        addresses.extend(listener.getsockname() for listener in sockets)

    monkeypatch.setattr(server.Server, "run", start)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        message = tj.refuses("serve", run, "--port", port)
        assert f"cannot listen on 127.0.0.1:{port}: " in message
        assert "another --port" in message
    assert f"http://127.0.0.1:{port}" in tj.succeeds("serve", run, "--port", port)
    assert addresses == [("127.0.0.1", port)]
    assert "--dim 1000 is more" in tj.refuses("serve", run, "--dim", "1000")
    assert "65535" in tj.refuses("serve", run, "--port", "70000", code=2)


def test_a_body_of_csv_prints_no_notes(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app = serve.application(str(run), "all", None, ReadOptions())
    capsys.readouterr()
    rows = "".join(f"a,{t},{t % 3},{t % 5}\n" for t in range(16))
    body = f"track,t,x0,x1\n{rows}".encode()
    status, answer = ask(app, "POST", "/embed", body, "text/csv")
    assert status == 200, answer
    assert "note: channels" not in capsys.readouterr().out
