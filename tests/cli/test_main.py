"""Exit codes, errors as one line, help, and standard streams."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from processes import start_script, wait
from terminal import FAST, READ, Terminal

from temporal_jepa import data as data_room
from temporal_jepa.cli import main as cli
from temporal_jepa.cli.options import UsageError
from temporal_jepa.training import run as runs
from temporal_jepa.version import __version__

HELPS = """
import sys, time
from temporal_jepa.cli import main as cli
seconds = []
for words in [["--help"], *([verb, "--help"] for verb in cli.VERBS)]:
    began = time.process_time()
    assert cli.main(words) == 0
    seconds.append(time.process_time() - began)
heavy = {"torch", "pandas", "sklearn", "numpy", "matplotlib", "rich", "aeon"} & set(sys.modules)
print(time.process_time() - sum(seconds) + max(seconds), *heavy, file=sys.stderr)
"""


@pytest.mark.parametrize("verb", list(cli.VERBS))
def test_help_is_written_for_a_shell(tj: Terminal, verb: str) -> None:
    _, out, _ = tj(verb, "--help")
    text = " ".join(out.split())
    for part in ("`", "a list or", "temporal_jepa.", "patch_len,", 'log="'):
        assert part not in text


def test_a_wrong_shell_has_no_example_that_is_none(tj: Terminal) -> None:
    message = tj.refuses("completion", "foo", code=2)
    assert "got 'foo'; see temporal-jepa completion --help" in message


def test_the_version_answers_programs(tj: Terminal) -> None:
    assert json.loads(tj.succeeds("--version", "--json")) == {"version": __version__}


def test_help_of_every_verb_is_quick_and_loads_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELPS], capture_output=True, text=True, check=True
    )
    seconds, *heavy = done.stderr.split()
    assert not heavy
    assert float(seconds) < 0.2 * 2, (
        "start and slowest help; twice what an idle machine may take"
    )
    for verb, function in cli.VERBS.items():
        assert (function.__doc__ or "").splitlines()[0] in done.stdout
        assert f"usage: temporal-jepa {verb}" in done.stdout


def test_no_verb_shows_the_overview(tj: Terminal) -> None:
    assert tj()[::2] == (2, cli.overview() + "\n")
    assert tj("--help")[:2] == (0, cli.overview() + "\n")
    assert tj("--version")[0] == 0


def test_an_unknown_verb(tj: Terminal) -> None:
    assert "'pretrian'; did you mean pretrain?" in tj.refuses("pretrian", code=2)


def test_bad_data_and_damaged_runs_are_one_line(
    tj: Terminal, data: Path, run: Path, tmp_path: Path
) -> None:
    out = ["--out", tmp_path / "r"]
    assert "none.csv" in tj.refuses("pretrain", "--data", tmp_path / "none.csv", *out)
    assert "steps" in tj.refuses("pretrain", "--data", data, *READ, *out, "--steps=-1")
    lines = [f"{t},{t % 3}" for t in range(40)]
    (tmp_path / "one.csv").write_text("\n".join(["t,x", *lines]), "utf-8")
    assert "--window" in tj.refuses(
        "pretrain", "--data", tmp_path / "one.csv", *out, *FAST
    )
    assert "config.json" in tj.refuses("report", tmp_path)
    assert "without --resume" in tj.refuses("pretrain", "--resume", "--out", tmp_path)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_bytes((run / "config.json").read_bytes())
    (broken / "model.safetensors").write_bytes(
        (run / "model.safetensors").read_bytes()[:1000]
    )
    assert "damaged" in tj.refuses("embed", broken, data)
    (broken / "config.json").write_text("{", "utf-8")
    assert "JSON" in tj.refuses("inspect", broken)


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "r/model"),
            "r/model: no space left on device; free some",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/r"),
            "/r: permission denied; choose",
        ),
        (FloatingPointError("the loss is not finite"), "the loss is not finite"),
        (
            ModuleNotFoundError("needs pyarrow: pip install x"),
            "needs pyarrow: pip install x",
        ),
        (ValueError("two\nlines"), "two lines"),
        (MemoryError(), "out of memory: lower --batch-size"),
    ],
)
def test_errors_of_the_machine(
    tj: Terminal,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    part: str,
) -> None:
    def fail(*given: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(runs, "execute", fail)
    words = ["pretrain", "--data", data, "--out", tmp_path / "r", *READ, *FAST]
    assert part in tj.refuses(*words)
    with pytest.raises(type(error)):
        tj(*words, "--traceback")
    monkeypatch.setenv(cli.TRACEBACK, "1")
    with pytest.raises(type(error)):
        tj(*words)


def test_a_defect_keeps_its_traceback(
    tj: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*given: Any, **options: Any) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(data_room, "read", fail)
    with pytest.raises(RuntimeError, match="a defect"):
        tj("inspect", "f.csv")


def test_interrupted(tj: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*given: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(data_room, "read", stop)
    assert tj("inspect", "f.csv")[::2] == (143, "interrupted\n")


def _signalled(name: str) -> Any:
    return lambda: os.kill(os.getpid(), getattr(signal, name))


def _raising(error: BaseException) -> Any:
    def fail() -> None:
        raise error

    return fail


HAPPENINGS = {
    "done": (0, lambda: None),
    "bad data": (1, _raising(ValueError("bad"))),
    "wrong words": (2, _raising(UsageError("wrong"))),
    "Ctrl-C": (130, _raising(KeyboardInterrupt())),
    "SIGTERM": (143, _signalled("SIGTERM")),
    "SIGHUP": (129, _signalled("SIGHUP")),
    "closed pipe": (141, _raising(BrokenPipeError())),
}


@pytest.mark.parametrize("what", HAPPENINGS)
def test_exit_codes(tj: Terminal, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    if what == "SIGHUP" and not hasattr(signal, "SIGHUP"):
        pytest.skip("no SIGHUP here")
    code, happen = HAPPENINGS[what]

    def doctor() -> None:
        """Stand in for a verb."""
        happen()

    monkeypatch.setitem(cli.VERBS, "doctor", doctor)
    assert tj("doctor")[0] == code


def test_the_documentation_has_the_same_exit_codes() -> None:
    text = (Path(__file__).parents[2] / "docs" / "cli.md").read_text("utf-8")
    table = text.partition("| code | meaning |")[2].partition("\n\n")[0]
    cells = [line.split("|")[1] for line in table.splitlines() if line.count("|") > 2]
    documented = {int(code) for cell in cells for code in re.findall(r"\d+", cell)}
    assert documented == {code for code, _ in HAPPENINGS.values()}


def test_a_closed_pipe_is_quiet(data: Path) -> None:
    command = [sys.executable, "-m", "temporal_jepa", "inspect", str(data)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_standard_output_that_is_closed_or_full(data: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    words = ["-m", "temporal_jepa", "inspect", str(data)]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, *words],
        stderr=subprocess.PIPE,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, *words], stdout=full, stderr=subprocess.PIPE
        )
    message = b"error: standard output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, message)


def test_inspecting_a_file_loads_no_torch(data: Path) -> None:
    script = (
        "import sys; from temporal_jepa.cli.main import main; code = main(sys.argv[1:]); "
        "print(*{'torch', 'sklearn', 'matplotlib'} & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "inspect", str(data)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "series           12" in done.stdout
    assert done.stderr == "\n"


REPORT = """
import sys
from temporal_jepa.cli.main import main
assert "matplotlib" not in sys.modules
code = main(["report", *sys.argv[1:]])
assert "matplotlib" in sys.modules
sys.exit(code)
"""


def test_without_a_home_matplotlib_is_quiet(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "home").touch()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in [*os.environ]:
        if name.startswith(("MPL", "XDG")):
            monkeypatch.delenv(name)
    script = tmp_path / "main.py"
    script.write_text(REPORT)
    page = tmp_path / "r.html"
    said = tmp_path / "said.txt"
    process = start_script(script, run, "--out", page, output=said)
    assert wait([process]) == [0]
    assert said.read_text() == f"{page}\n"
    assert "<svg" in page.read_text("utf-8")


def test_a_question_shows_its_readings_on_lines_of_their_own(
    tj: Terminal, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text('{"a": [1, 2], "b": [3, 4]}')
    code, _, error = tj("inspect", tmp_path / "a.json")
    assert code == 1
    lines = [line.strip().replace("'", "") for line in error.splitlines()]
    assert any(line.startswith("--layout recording") for line in lines)
    assert any(line.startswith("--layout wide") for line in lines)


@pytest.mark.parametrize(
    ("verb", "arguments", "goes_on"),
    [
        ("prepare", {"out": "store"}, True),
        ("prepare", {"verify": True}, False),
        ("embed", {"out": "embeddings"}, True),
        ("embed", {"out": "a.npz"}, False),
        ("embed", {}, False),
        ("probe", {"out": "probe"}, False),
    ],
)
def test_an_interrupted_command_that_goes_on_says_so(
    verb: str, arguments: dict[str, Any], goes_on: bool
) -> None:
    assert ("to go on" in cli._interrupted(verb, arguments)) == goes_on


def test_inspect_of_a_wide_table_proposes_a_label(tj: Terminal, tmp_path: Path) -> None:
    rows = [f"{k % 3},{k % 2},{k},{'ab'[k % 2]}" for k in range(8)]
    file = tmp_path / "a.csv"
    file.write_text("t0,t1,t2,kind\n" + "\n".join(rows) + "\n")
    out = tj.succeeds("inspect", file)
    assert "note: column 'kind' has 2 different entries; --label kind if it" in out
    assert out.endswith(" --label kind\n")
