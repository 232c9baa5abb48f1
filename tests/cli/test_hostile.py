"""Hostile settings, names and configurations on the command line: one clear line, nothing else."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from terminal import FAST, READ, Terminal

from temporal_jepa import from_pretrained
from temporal_jepa.cli import embed as embed_verb
from temporal_jepa.cli.console import say, show_table, warn
from temporal_jepa.cli.options import UsageError, parse
from temporal_jepa.cli.pretrain import pretrain
from temporal_jepa.files.printable import printable

ESCAPES = "\x1b]0;owned\x07\x1b[31m\u202e\u2066\x9b2J\r\x00\ud800"
ALIASES = "a: &a [x, x, x]\nb: &b [*a, *a, *a]\nc: [*b, *b, *b]\n"


@pytest.mark.parametrize(
    ("flag", "value", "expected"),
    [
        ("--embed-dim", 10**12, "embed_dim must be at most 65,536"),
        ("--steps", 10**20, "steps must be at most 1,000,000,000"),
        ("--batch-size", 10**9, "batch_size must be at most 16,777,216"),
        ("--seq-len", 10**12, "seq_len must be at most 16,777,216"),
        ("--num-masks", 10**9, "num_masks must be at most 1,024"),
        ("--patch-len", 10**12, "patch_len must be at most"),
        ("--encoder-depth", 10**9, "encoder_depth must be at most 1,024"),
        ("--window", 10**15, "window must be at most"),
        ("--header", 10**19, "header must be at most"),
        ("--save-every", 10**30, "save_every must be at most"),
        ("--lr", "1e300", "lr must be a finite number, at most 1e30"),
        ("--steps", "9" * 5000, "expected a whole number"),
    ],
)
def test_absurd_settings_are_refused_before_anything_is_allocated(
    tj: Terminal, data: Path, tmp_path: Path, flag: str, value: object, expected: str
) -> None:
    code, _, error = tj(
        "pretrain", "--data", data, "--out", tmp_path / "r", *READ, flag, value
    )
    assert code in (1, 2)
    assert expected in error
    assert error.count("\n") == 1
    assert len(error) < 300
    assert not (tmp_path / "r").exists()


def test_a_model_larger_than_memory_is_refused_by_an_estimate(
    tj: Terminal, data: Path, tmp_path: Path
) -> None:
    words = ("--embed-dim", 65536, "--encoder-depth", 512, "--init-from", "scratch")
    error = tj.refuses(
        "pretrain", "--data", data, "--out", tmp_path / "r", *READ, *words
    )
    assert "lower embed_dim (65536), encoder_depth (512)" in error
    assert "TEMPORAL_JEPA_MEMORY_CHECK=0" in error


@pytest.mark.parametrize(
    "shortage",
    [
        MemoryError("Unable to allocate 5.6 TiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 24"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB"),
    ],
)
def test_memory_that_runs_out_is_one_line_with_what_to_change(
    tj: Terminal,
    data: Path,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    shortage: Exception,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise shortage

    monkeypatch.setattr(embed_verb, "read_as_trained", fail)
    error = tj.refuses("embed", run, data, "--out", tmp_path / "e.npy")
    assert "out of memory" in error
    assert "--window" in error


def test_memory_that_runs_out_in_training_names_settings(
    tj: Terminal, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("temporal_jepa.training.trainer.Trainer.train_step", fail)
    words = ("pretrain", "--data", data, "--out", tmp_path / "r", *READ, *FAST)
    error = tj.refuses(*words)
    assert "lower batch_size (it is 4), raise accumulate (it is 1)" in error


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ALIASES, "an alias"),
        ("steps: 3\nsteps: 4", "'steps' stands twice"),
        ("steps: !!python/object/apply:os.system [x]", "a tag"),
        ("1: 3", "no name of an option"),
        ("steps=3 --out: x", "no name of an option"),
        ("? [a]\n: 3", "must be text"),
        ("values: " + "[" * 5000, "lists in lists"),
        ("<<: {steps: 3}", "no name of an option"),
        ("overwrite: no", "must be true or false"),
        ("label: true", "write it in quotes"),
        ("data: {path: x}", "one value or a list of values"),
        ('values: ["a,b"]', "commas separate values"),
        ("x" * 300_000, "larger than 262,144 bytes"),
        ("a: \x00", "unacceptable character"),
        ("steps: " + "9" * 5000, "whole number"),
    ],
)
def test_yaml_is_bounded_and_plain(tmp_path: Path, text: str, expected: str) -> None:
    file = tmp_path / "settings.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=r"expected|must|at most") as caught:
        parse(pretrain, ["--config", str(file)])
    assert expected in str(caught.value)
    assert len(str(caught.value)) < 400


def test_yaml_means_what_is_written(tmp_path: Path) -> None:
    file = tmp_path / "settings.yaml"
    lines = ["id: 2024-01-01", "time: 12:30:00", "label: no", "lr: 1e-3", "steps: 7"]
    file.write_text("\n".join([*lines, "values: [007, 1.50]", "resume: true"]), "utf-8")
    given = parse(pretrain, ["--config", str(file)])
    assert given["reading"].given() == ["id", "time", "label", "values"]
    assert given["reading"].id == "2024-01-01"
    assert given["reading"].time == "12:30:00"
    assert given["reading"].label == "no"
    assert given["reading"].values == ("007", "1.50")
    assert given["training"].lr == 0.001
    assert given["training"].steps == 7
    assert given["resume"] is True


def test_printed_settings_are_read_again(tj: Terminal, tmp_path: Path) -> None:
    words = ["--label", "no", "--values", "1,2024-01-01", "--lr", "0.0001", "--compile"]
    text = tj.succeeds("pretrain", *words, "--print-config")
    file = tmp_path / "settings.yaml"
    file.write_text(text, "utf-8")
    again = parse(pretrain, ["--config", str(file)])
    before = parse(pretrain, words)
    assert again["reading"] == before["reading"]
    assert again["training"] == before["training"]


def test_escapes_never_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    say(f"id {ESCAPES}\nsecond")
    warn(ESCAPES)
    show_table(ESCAPES, ["a", ESCAPES], [("[red]x[/]", ESCAPES), (":bell:", "[/oops]")])
    out, error = capsys.readouterr()
    for char in "\x1b\x07\u202e\u2066\x9b\r\x00\ud800":
        assert char not in out + error
    assert "\\x1b]0;owned" in out
    assert "\\u202e" in error
    assert "[red]x[/]" in out
    assert ":bell:" in out
    assert out.splitlines()[0].endswith("\\nsecond")
    assert printable("naïve Zürich 東京 \u0646\u200c\u0645 👩\u200d🚀") == (
        "naïve Zürich 東京 \u0646\u200c\u0645 👩\u200d🚀"
    )


def test_escapes_in_files_and_names_are_shown_as_text(
    tj: Terminal, tmp_path: Path
) -> None:
    file = tmp_path / "a\x1b[31mb.csv"
    rows = [f"s\x1b[2J{i},{t},{t * i % 5}" for i in range(4) for t in range(20)]
    file.write_text("\n".join(["track,t,x\x1b]0;y\x07", *rows]), "utf-8")
    for words in (
        ("inspect", file),
        ("inspect", tmp_path / "none\x1b[31m"),
        ("embed", "series-small", file, "--out", tmp_path / "\x1b[3m.npy"),
        ("pretrain", "--data", file, "--out", tmp_path / "r", "--id", "\x1b[31m"),
        ("\x1b[31m",),
        ("inspect", file, "--\x1b[31m"),
    ):
        _, out, error = tj(*words)
        assert "\x1b" not in out + error
        assert "\x07" not in out + error
        assert "\\x1b" in out + error


STRANGE_VALUES: list[Any] = [None, [], {}, "x", -1, 1.5, math.nan, 10**30, [[None]]]
ENTRIES = (
    ("model",),
    ("model", "input_dim"),
    ("model", "embed_dim"),
    ("model", "frame"),
    ("model", "resolutions"),
    ("model", "tokenizer"),
    ("model", "variance_weight"),
    ("objective",),
    ("objective", "regularizer"),
    ("modules",),
    ("pretrain",),
    ("pretrain", "steps"),
    ("data",),
    ("data", "path"),
    ("data", "options"),
    ("data", "channels"),
    ("data", "lengths"),
    ("init_from",),
    ("environment",),
)


@pytest.mark.parametrize("entry", ENTRIES, ids=".".join)
def test_strange_entries_of_config_json_are_refused_or_do_no_harm(
    run: Path, data: Path, tj: Terminal, tmp_path: Path, entry: tuple[str, ...]
) -> None:
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    file = copied / "config.json"
    whole = json.loads(file.read_text("utf-8"))
    del whole["sha256"]  # edited on purpose
    for value in STRANGE_VALUES:
        config = json.loads(json.dumps(whole))
        holder = config
        for name in entry[:-1]:
            holder = holder[name]
        holder[entry[-1]] = value
        file.write_text(json.dumps(config), "utf-8")
        code, _, error = tj("inspect", copied)
        assert code == 0 or (error.startswith("error: ") and error.count("\n") == 1)
        problem = refusal(copied)
        assert problem is None or ("config" in problem and len(problem) < 600)


def refusal(folder: Path) -> str | None:
    """Why a model is refused; any other error is raised."""
    try:
        from_pretrained(folder)
    except ValueError as problem:
        return str(problem)
    return None


def test_a_strange_header_of_weights_is_refused(run: Path, tmp_path: Path) -> None:
    copied = tmp_path / "run"
    shutil.copytree(run, copied)
    file = copied / "model.safetensors"
    content = file.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    name = next(name for name in header if name.endswith("proj_in.weight"))
    body = content[8 + size :]
    texts = [b"[" * 5000, b"null", b"\xff" * 9]
    for part, value in [
        ("shape", [2**40, 2**40]),
        ("shape", [-1]),
        ("dtype", "F8_E5M2"),
        ("dtype", []),
        ("data_offsets", [0, 10**18]),
    ]:
        changed = json.loads(json.dumps(header))
        changed[name][part] = value
        texts.append(json.dumps(changed).encode())
    damaged = [len(text).to_bytes(8, "little") + text + body for text in texts]
    damaged += [(2**63).to_bytes(8, "little") + content[8:], content[:100], b""]
    for each in damaged:
        file.write_bytes(each)
        with pytest.raises(ValueError, match=r"damaged|does not fit|changed"):
            from_pretrained(copied)
