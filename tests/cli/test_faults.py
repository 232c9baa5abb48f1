"""Full disks, links, pipes and signals: one line, an exit code, and what was there before."""

import os
import resource
import shutil
import signal
from pathlib import Path

import pytest
from factories import TINY
from small_runs import SHORT, walks
from terminal import FAST, READ, Terminal

from temporal_jepa.cli.console import Progress
from temporal_jepa.training.run import pretrain

OUTPUTS = {
    "embed": "embeddings.npz",
    "embed --out OUT": "e.csv",
    "report": "report.html",
    "detect": "anomalies.csv",
    "states": "states.csv",
    "nearest --out OUT": "n.html",
    "export --format torch": "model.pt2",
    "probe": "probe.json",
}


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run, tmp_path / "copy"))


def words(command: str, run: Path, data: Path, out: Path) -> list[str]:
    """A command line that replaces `out`."""
    verb, *options = command.replace("OUT", str(out)).split()
    query = {"nearest": ["s3"], "report": [], "export": [], "probe": []}
    given = query.get(verb, [str(data)])
    return [verb, str(run), *given, *options, "--overwrite"]


@pytest.mark.usefixtures("no_minirocket")
@pytest.mark.parametrize("command", OUTPUTS)
def test_a_full_disk_keeps_the_old_file(
    tj: Terminal, copy: Path, data: Path, command: str
) -> None:
    out = copy / OUTPUTS[command]
    out.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    try:
        code, _, error = tj(*words(command, copy, data, out))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 1
    last = error.splitlines()[-1]
    assert last.startswith("error: ")
    assert out.stem in last
    assert "file too large; " in last
    assert out.read_bytes() == b"old"
    assert not list(copy.rglob(".temporal-jepa-*"))


@pytest.mark.parametrize("command", OUTPUTS)
def test_an_output_that_is_a_link_is_refused(
    tj: Terminal, copy: Path, data: Path, command: str
) -> None:
    kept = copy / "kept"
    kept.write_bytes(b"kept")
    out = copy / OUTPUTS[command]
    out.unlink(missing_ok=True)
    out.symlink_to(kept)
    assert "is a symbolic link" in tj.refuses(*words(command, copy, data, out))
    assert kept.read_bytes() == b"kept"


def test_pipes_are_refused_before_they_are_opened(
    tj: Terminal, copy: Path, data: Path, tmp_path: Path
) -> None:
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    out = ("--out", pipe, "--overwrite")
    assert "is a named pipe" in tj.refuses("embed", copy, data, *out)
    assert "a pipe or a device" in tj.refuses("embed", copy, pipe)
    inside = tmp_path / "folder"
    inside.mkdir()
    pipe.rename(inside / "a.csv")
    assert "is a named pipe" in tj.refuses("inspect", inside)
    for name in ("model.safetensors", "config.json"):
        (copy / name).unlink()
        os.mkfifo(copy / name)
        assert f"{name} is a named pipe" in tj.refuses("embed", copy, data)


def test_a_lock_that_is_a_link_destroys_nothing(
    tj: Terminal, data: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(b"kept")
    out = tmp_path / "r"
    out.mkdir()
    (out / ".lock").symlink_to(kept)
    start = ("pretrain", "--data", data, "--out", out, *READ, *FAST)
    assert ".lock is a symbolic link" in tj.refuses(*start)
    assert kept.read_bytes() == b"kept"


def test_overwriting_on_a_full_disk_keeps_the_old_run(
    tj: Terminal, copy: Path, data: Path
) -> None:
    before = {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    try:
        start = ("pretrain", "--data", data, "--out", copy, *READ, *FAST)
        assert "config.json: file too large" in tj.refuses(*start, "--overwrite")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    after = {path.name: path.read_bytes() for path in copy.iterdir() if path.is_file()}
    assert after == before


def test_overwriting_follows_no_link(tmp_path: Path) -> None:
    run = pretrain(walks(), tmp_path / "r", SHORT, TINY)
    elsewhere = tmp_path / "elsewhere"
    (run / "checkpoint").rename(elsewhere)
    (run / "checkpoint").symlink_to(elsewhere)
    kept = sorted(path.name for path in elsewhere.iterdir())
    pretrain(walks(), run, SHORT, TINY, overwrite=True)
    assert sorted(path.name for path in elsewhere.iterdir()) == kept
    assert not (run / "checkpoint").is_symlink()


@pytest.mark.parametrize(
    ("numbers", "code"),
    [
        ([signal.SIGHUP], 129),
        ([signal.SIGINT, signal.SIGINT], 130),
        ([signal.SIGTERM, signal.SIGINT], 130),
    ],
)
def test_signals_leave_a_run_that_resumes(
    tj: Terminal,
    data: Path,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    numbers: list[int],
    code: int,
) -> None:
    def send(self: Progress, row: object) -> None:
        for number in numbers:
            os.kill(os.getpid(), number)

    out = tmp_path / "r"
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "row", send)
        got, _, error = tj("pretrain", "--data", data, "--out", out, *READ, *FAST)
    assert got == code
    assert error.startswith("interrupted")
    tj.succeeds("pretrain", "--out", out, "--resume")
    weights = [(folder / "model.safetensors").read_bytes() for folder in (out, run)]
    assert weights[0] == weights[1]


def test_a_hangup_that_is_ignored_stops_nothing(
    tj: Terminal, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As under nohup."""
    monkeypatch.setattr(
        Progress, "row", lambda self, row: os.kill(os.getpid(), signal.SIGHUP)
    )
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        start = ("pretrain", "--data", data, "--out", tmp_path / "r", *READ, *FAST)
        tj.succeeds(*start)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_folder_that_is_removed_while_it_is_written_to_is_named(
    tj: Terminal, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "r"
    monkeypatch.setattr(Progress, "row", lambda self, row: shutil.rmtree(out))
    assert str(out) in tj.refuses(
        "pretrain", "--data", data, "--out", out, *READ, *FAST
    )


def test_the_end_of_a_log_that_is_missing_is_said(tj: Terminal, copy: Path) -> None:
    file = copy / "metrics.jsonl"
    file.write_bytes(file.read_bytes().splitlines(keepends=True)[0])
    said = "metrics.jsonl ends at step 2, but step 4 was trained"
    assert said in tj.succeeds("inspect", copy)
    tj.succeeds("report", copy, "--overwrite")
    assert said in (copy / "report.html").read_text("utf-8")
