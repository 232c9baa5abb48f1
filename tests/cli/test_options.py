"""Flags: parameters of the verbs and fields of the configurations; errors name what is wrong."""

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from terminal import Terminal

from temporal_jepa.cli.main import VERBS
from temporal_jepa.cli.options import FROM_DATA, as_flags, parse
from temporal_jepa.config import PretrainConfig, ReadOptions, TemporalJEPAConfig

PRETRAIN = ["--data", "d.csv", "--out", "o"]


def parsed(verb: str, *words: Any) -> dict[str, Any]:
    return parse(VERBS[verb], [str(word) for word in words])


def test_without_flags_the_configurations_have_their_defaults() -> None:
    arguments = parsed("pretrain", *PRETRAIN)
    assert arguments["training"] == PretrainConfig()
    assert arguments["reading"] == ReadOptions()
    assert arguments["model"] == {}  # what is given shapes a model from scratch


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("pretrain", PRETRAIN),
        ("embed", ["r", "f"]),
        ("probe", ["r"]),
        ("report", ["r"]),
        ("inspect", ["f"]),
        ("nearest", ["r", "q"]),
        ("detect", ["r", "f"]),
    ],
)
def test_every_field_is_a_flag(
    verb: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    kinds: list[type] = [ReadOptions]
    if verb == "pretrain":
        kinds += [PretrainConfig, TemporalJEPAConfig]
    with pytest.raises(SystemExit):
        parsed(verb, "--help")
    text = capsys.readouterr().out
    for kind in kinds:
        for field in fields(kind):
            flag = f"--{field.name.replace('_', '-')}"
            assert bool(re.search(rf"  {flag}\s", text)) == (
                field.name not in FROM_DATA
            ), flag
    assert isinstance(parsed(verb, *words)["reading"], ReadOptions)


def test_dashes_and_underscores_are_one() -> None:
    for flag in ("--batch-size", "--batch_size"):
        assert parsed("pretrain", *PRETRAIN, flag, 7)["training"].batch_size == 7
    given = parsed("pretrain", "--data", "a_b.csv", "--out=o_o", "--batch_size=7")
    assert (given["data"], given["out"]) == ("a_b.csv", "o_o")


def test_a_value_may_begin_with_a_dash() -> None:
    given = parsed("inspect", "f", "--missing", "-,n.b.", "--values", "-")
    assert (given["reading"].missing, given["reading"].values) == (
        ("-", "n.b."),
        ("-",),
    )
    with pytest.raises(ValueError, match="got -3"):
        parsed("pretrain", *PRETRAIN, "--seed", "-3")


@pytest.mark.parametrize(
    ("old", "new"), [("--size", "resize"), ("--area", "region")], ids=["size", "area"]
)
def test_old_flags_work(old: str, new: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert getattr(parsed("inspect", "f", old, "64")["reading"], new) == "64"
    assert f"{old} is now --{new}" in capsys.readouterr().err


def test_printed_config_can_be_read_again(tj: Terminal, tmp_path: Path) -> None:
    words = [
        *PRETRAIN,
        "--lr",
        "0.1",
        "--mask",
        "random",
        "--values",
        "x,y",
        "--compile",
    ]
    file = tmp_path / "settings.yaml"
    file.write_text(tj.succeeds("pretrain", *words, "--print-config"), "utf-8")
    again = parsed("pretrain", "--config", file, "--steps", 3)
    assert {**again, "config": None} == {
        **parsed("pretrain", *words, "--steps", 3),
        "config": None,
    }


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ("pretrain --stpes 3", ["unknown argument --stpes", "did you mean --steps?"]),
        (
            "pretrain --batch_sise=3",
            ["argument --batch-sise", "did you mean --batch-size?"],
        ),
        (
            "pretrain --steps many",
            ["--steps", "a whole number", "'many'", "for example 500"],
        ),
        ("pretrain --seq-len 1.5", ["--seq-len", "a whole number", "'1.5'"]),
        ("pretrain --lr fast", ["--lr", "a number", "'fast'", "for example 0.002"]),
        (
            "pretrain --mask blok",
            ["--mask", "one of random, block, future, tube", "'blok'"],
        ),
        ("pretrain --lr", ["--lr", "expected one argument", "pretrain --help"]),
        ("pretrain --data d xyz.csv", ["xyz.csv", "pretrain --help"]),
        ("pretrain --out o", ["--data", "for example --data data.csv"]),
        ("pretrain --data d.csv", ["--out", "for example --out runs/a"]),
        ("embed runs/a", ["FILE", "embed --help"]),
        (
            "inspect f.csv --zzz",
            ["unknown argument --zzz", "see temporal-jepa inspect --help"],
        ),
    ],
)
def test_usage_errors(tj: Terminal, words: str, parts: list[str]) -> None:
    message = tj.refuses(*words.split(), code=2)
    for part in parts:
        assert part in message


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"batch_sise: 3", ["argument --batch-sise", "did you mean --batch-size?"]),
        (b"steps: soon", ["--steps", "a whole number", "'soon'"]),
        (b"steps: [", ["c.yaml", "'steps: 500'", "while parsing a flow node"]),
        (b"", ["c.yaml", "'steps: 500'", "None"]),
        (b"- a", ["c.yaml", "'steps: 500'", "['a']"]),
        (b"\xff\xfe", ["c.yaml", "'steps: 500'"]),
    ],
)
def test_errors_in_a_config_file(
    tj: Terminal, tmp_path: Path, content: bytes, parts: list[str]
) -> None:
    (tmp_path / "c.yaml").write_bytes(content)
    message = tj.refuses("pretrain", "--config", tmp_path / "c.yaml", code=2)
    for part in parts:
        assert part in message


def test_a_config_file_that_is_missing(tj: Terminal) -> None:
    assert "nowhere.yaml" in tj.refuses("pretrain", "--config", "nowhere.yaml")


@pytest.mark.parametrize("text", ["[a, b]", "a,b", "[a , b]"])
def test_a_list_of_columns_in_a_config_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(f"values: {text}\ndropout: 0\ncompile: false\nid: 3", "utf-8")
    given = parsed("pretrain", "--config", file, *PRETRAIN)
    assert given["reading"] == ReadOptions(values=("a", "b"), id="3")
    assert given["model"] == {"dropout": 0.0}
    assert given["training"] == PretrainConfig()


def test_messages_for_python_name_flags() -> None:
    assert as_flags(
        "name columns with values=, time=; or say time='' or id=COLUMN"
    ) == ("name columns with --values, --time; or say --time '' or --id COLUMN")
    assert as_flags(
        "window=LENGTH, max_speed=30 cut; a runtime=3 and 'time=3' stay"
    ) == ("--window LENGTH, --max-speed 30 cut; a runtime=3 and 'time=3' stay")
