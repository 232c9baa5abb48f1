"""One JSON object for programs: `--json`."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from terminal import FAST, READ, Terminal, write_csv

from temporal_jepa import data as data_room
from temporal_jepa.cli import console, demo
from temporal_jepa.cli import main as cli
from temporal_jepa.model import export
from temporal_jepa.training import run as runs

EXPECTED: Mapping[str, tuple[list[str], str]] = {
    "inspect": (
        ["DATA", *READ],
        "source series timesteps channels missing labels times next",
    ),
    "prepare": (["DATA", *READ, "--out", "OUT"], "series channels store next"),
    "pretrain": (
        ["--data", "DATA", *READ, *FAST, "--out", "OUT"],
        "data sequences start run step steps loss verdict weights next",
    ),
    "embed": (
        ["RUN", "DATA", "--out", "OUT.npy"],
        "embeddings sequences features",
    ),
    "probe": (["RUN", "--out", "OUT.json"], "scores n_train n_test majority file"),
    "report": (["RUN", "--out", "OUT.html"], "page"),
    "detect": (
        ["RUN", "DATA", "--out", "OUT.csv"],
        "reference window anomalies timesteps highest table page",
    ),
    "states": (
        ["RUN", "DATA", "--out", "OUT.csv"],
        "states share_of_time segments table page",
    ),
    "nearest": (["RUN", "s3", "--k", "2"], "among dim page neighbors"),
    "export": (["RUN", "--out", "OUT.onnx"], "graph format channels length dim"),
    "serve": (["RUN", "--port", "18123"], "host port"),
    "doctor": ([], "temporal-jepa python torch devices threads extras missing"),
    "completion": (["bash"], "shell script"),
    "demo": (["--out", "OUT"], "folder results seconds"),
}
"""Verb -> the words of a command, and keys that its answer has."""


def answer(text: str) -> dict[str, Any]:
    """The one object on standard output, on one line."""
    assert text.count("\n") == 1, text
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


def test_no_verb_is_left_out() -> None:
    assert set(EXPECTED) == set(cli.VERBS)


@pytest.mark.usefixtures("no_minirocket")
@pytest.mark.parametrize("verb", EXPECTED)
def test_every_verb_answers_with_one_object(
    tj: Terminal,
    data: Path,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    verb: str,
) -> None:
    if verb == "demo":
        pytest.importorskip("aeon")
        monkeypatch.setattr(demo, "_jobs", lambda *given: [])
    if verb == "completion":
        pytest.importorskip("shtab")
    if verb == "serve":
        server = pytest.importorskip("uvicorn")
        monkeypatch.setattr(server.Server, "run", lambda *given, **options: None)
    monkeypatch.setattr(export, "export", lambda *given, **options: None)
    places = {"DATA": str(data), "RUN": str(run)}
    words, keys = EXPECTED[verb]
    words = [
        places.get(word, word.replace("OUT", str(tmp_path / "out"))) for word in words
    ]
    code, out, _ = tj(verb, *words, "--json")
    assert code == 0
    assert set(keys.split()) <= set(answer(out))


def test_values_are_numbers_and_lists(tj: Terminal, data: Path, run: Path) -> None:
    found = answer(tj.succeeds("--json", "inspect", data, *READ))
    assert found["series"] == 12
    assert found["timesteps"] == {"min": 12, "median": 16, "max": 16}
    assert found["channels"] == ["x0", "x1"]
    assert found["missing"] == 0
    assert found["labels"] == {"a": 6, "b": 6}
    of_run = answer(tj.succeeds("inspect", run, "--json"))
    assert (of_run["step"], of_run["steps"]) == (4, 4)
    assert of_run["relative_loss"] > 0
    assert of_run["model"]["seq_len"] == 16
    near = answer(tj.succeeds("nearest", run, data, "--k", "2", "--json"))["neighbors"]
    # every query, also those that the table for people leaves out
    assert [entry["query"] for entry in near] == [f"s{i // 2}" for i in range(24)]
    assert near[0]["distance"] <= near[1]["distance"]


def test_what_a_person_reads_is_as_before(tj: Terminal, data: Path) -> None:
    plain = tj.succeeds("inspect", data, *READ)
    assert plain.startswith("source ")
    _, out, error = tj("inspect", data, *READ, "--json")
    notes = [line for line in plain.splitlines() if line.startswith("note:")]
    assert notes
    assert [line for line in error.splitlines() if line.startswith("note:")] == notes
    assert "note:" not in out


def test_a_dry_run_and_settings(tj: Terminal, data: Path) -> None:
    words = ["pretrain", "--data", data, *READ, *FAST]
    dry = answer(tj.succeeds(*words, "--dry-run", "--json"))
    assert dry["parameters"]["trained"] < dry["parameters"]["total"]
    assert dry["steps"] == dry["training"]["steps"] == 4
    assert dry["memory"] > 1000
    settings = answer(tj.succeeds(*words, "--print-config", "--json"))
    assert settings["batch_size"] == 4


@pytest.mark.parametrize(
    ("words", "code", "part"),
    [
        (["inspect", "no.csv"], 1, "no.csv"),
        (["inspect", "no.csv", "--idd", "a"], 2, "did you mean --id?"),
        (["inspct", "no.csv"], 2, "did you mean inspect?"),
        (["pretrain", "--out", "a"], 2, "--data"),
        ([], 2, "VERB"),
    ],
)
def test_an_error_is_an_object_and_the_code_stays(
    tj: Terminal, words: list[str], code: int, part: str
) -> None:
    got, out, error = tj(*words, "--json")
    assert got == code == tj(*words)[0]
    found = answer(out)
    assert set(found) == {"error"}
    assert part in found["error"]
    assert part in error


def test_an_interrupted_command(tj: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*given: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(data_room, "read", stop)
    code, out, _ = tj("inspect", "f.csv", "--json")
    assert (code, answer(out)) == (143, {"error": "interrupted"})


def test_what_libraries_print_is_not_in_the_way(
    tj: Terminal, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = runs.execute

    def noisy(*given: Any) -> Path:
        print("from a library")
        return real(*given)

    monkeypatch.setattr(runs, "execute", noisy)
    words = ["pretrain", "--data", data, *READ, *FAST, "--out", tmp_path / "r"]
    _, out, error = tj(*words, "--json")
    assert answer(out)["step"] == 4
    assert "from a library" in error
    assert "step 4/4" in error


def test_one_process_of_many_answers(
    tj: Terminal, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    assert tj("inspect", data, *READ, "--json")[:2] == (0, "")


def test_values_that_json_does_not_have(capsys: pytest.CaptureFixture[str]) -> None:
    values = [np.float32("nan"), float("inf"), np.int64(3), Path("a"), (True, None)]
    console.print_json({"values": values, "name": "\x1b[31mé"})
    line = capsys.readouterr().out
    assert line.isascii()
    assert "\x1b" not in line
    found = {"values": [None, None, 3, "a", [True, None]], "name": "\x1b[31mé"}
    assert json.loads(line) == found


def test_help_stays_help(tj: Terminal) -> None:
    assert tj.succeeds("inspect", "--help", "--json").startswith("usage: ")


def test_names_of_a_file_do_not_end_the_object(tj: Terminal, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "data.csv", labels=False)
    file.write_text(file.read_text("utf-8").replace("x0", 'a"\x1b'), "utf-8")
    code, out, _ = tj("inspect", file, "--id", "track", "--time", "t", "--json")
    assert code == 0
    assert answer(out)["channels"] == ['a"\x1b', "x1"]


def test_a_closed_pipe_is_quiet(data: Path) -> None:
    words = [sys.executable, "-m", "temporal_jepa", "inspect", str(data), "--json"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert b"Error" not in process.stderr.read()
    assert process.returncode == 141
