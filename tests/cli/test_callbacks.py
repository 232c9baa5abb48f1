"""`pretrain --callback`: code that the command line names, and that no file can name."""

import shutil
from pathlib import Path

import pytest
from factories import edit_json
from terminal import FAST, READ, Terminal

from temporal_jepa.training.checkpoints import stored_steps

CODE = """
from pathlib import Path
from temporal_jepa import StopTraining

def log(row):
    with Path({log!r}).open("a") as file:
        file.write(str(row["step"]) + "\\n")

def stop(row):
    if row["step"] == 3:
        raise StopTraining

def fails(row):
    {{}}["key"]

number = 5
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    file = tmp_path / "callbacks_of_mine.py"
    file.write_text(CODE.format(log=str(tmp_path / "log")), "utf-8")
    return file


def test_callbacks_are_called_in_order_until_one_ends_the_training(
    tj: Terminal, data: Path, code: Path, tmp_path: Path
) -> None:
    words = ["pretrain", "--data", data, "--out", tmp_path / "r", *READ, *FAST]
    words += ["--callback", f"{code}:log", "--callback", "callbacks_of_mine:stop"]
    shown = tj.succeeds(*words)
    assert (tmp_path / "log").read_text() == "1\n2\n3\n"
    assert "ended by a callback after step 3 of 4; to go on: temporal-jepa" in shown
    assert "--resume --callback" in shown
    stored = (tmp_path / "r" / "config.json").read_text("utf-8")
    assert "callback" not in stored
    tj.succeeds("pretrain", "--out", tmp_path / "r", "--resume")
    assert (tmp_path / "log").read_text() == "1\n2\n3\n"


def test_a_callback_that_fails_is_one_line(
    tj: Terminal, data: Path, code: Path, tmp_path: Path
) -> None:
    words = ["pretrain", "--data", data, "--out", tmp_path / "r", *READ, *FAST]
    word = f"{code}:fails"
    message = tj.refuses(*words, "--callback", word)
    assert f"--callback {word} failed after step 1, KeyError: 'key'" in message
    assert "--resume" in message
    assert stored_steps(tmp_path / "r") == [1]


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("log", ["MODULE:NAME or FILE.py:NAME", "'log'"]),
        ("callbacks_of_mine:number", ["a function", "int"]),
        ("callbacks_of_mine:nothing", ["callbacks_of_mine has no nothing"]),
        ("callbacks_of_mine.py:nothing", ["callbacks_of_mine.py has no nothing"]),
        ("no_such_module:log", ["ModuleNotFoundError", "no_such_module"]),
        ("nowhere.py:log", ["FileNotFoundError", "nowhere.py"]),
    ],
)
@pytest.mark.usefixtures("code")
def test_words_that_name_no_function(tj: Terminal, word: str, parts: list[str]) -> None:
    words = ["pretrain", "--data", "no.csv", "--out", "r", "--callback", word]
    message = tj.refuses(*words, code=2)
    for part in [f"--callback {word}" if ":" in word else "--callback", *parts]:
        assert part in message


@pytest.mark.parametrize(
    ("part", "name"),
    [
        ("pretrain", "callback"),
        ("pretrain", "callback=callbacks_of_mine:log,x"),
        ("model", "callback"),
    ],
)
def test_a_run_folder_of_a_stranger_runs_no_code(
    tj: Terminal, run: Path, code: Path, tmp_path: Path, part: str, name: str
) -> None:
    folder = Path(shutil.copytree(run, tmp_path / "r"))
    change = {name: "callbacks_of_mine:log"}
    edit_json(folder / "config.json", lambda config: config[part].update(change))
    _, _, message = tj("pretrain", "--out", folder, "--resume")
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    assert not (tmp_path / "log").exists()


def test_a_settings_file_runs_no_code(
    tj: Terminal, data: Path, code: Path, tmp_path: Path
) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(f"callback: {code.stem}:log\nsteps: 2\n", "utf-8")
    words = ["pretrain", "--config", file, "--data", data, "--out", tmp_path / "r"]
    message = tj.refuses(*words, *READ, code=2)
    assert "--callback runs code" in message
    assert str(file) in message
    assert not (tmp_path / "log").exists()
    printed = tj.succeeds(
        *["pretrain", "--print-config", "--callback", f"{code.stem}:log"]
    )
    assert "callback" not in printed
