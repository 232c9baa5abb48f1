"""`temporal-jepa completion`: the script of a shell has all verbs and options."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from terminal import Terminal

from temporal_jepa.cli import main as cli

pytest.importorskip("shtab")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_all_verbs_and_options_are_in_the_script(tj: Terminal, shell: str) -> None:
    script = tj.succeeds("completion", shell)
    dash = "-l " if shell == "fish" else "--"
    for verb in cli.VERBS:
        assert re.search(rf"\b{verb}\b", script)
        text = tj.succeeds(verb, "--help")
        flags = re.findall(r"^  (?:-h, )?--([a-z][a-z-]*)", text, re.MULTILINE)
        assert {"help", "json", "traceback"} <= set(flags)
        for flag in flags:
            assert re.search(rf"(?<![\w-]){dash}{flag}(?![\w-])", script), flag


def test_bash_completes(tj: Terminal, tmp_path: Path) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    script = tmp_path / "completion.bash"
    script.write_text(tj.succeeds("completion", "bash"), "utf-8")
    (tmp_path / "data.csv").touch()

    def completed(*words: str) -> list[str]:
        line = " ".join(["temporal-jepa", *words])
        ask = f"""
        source {script.name}
        COMP_WORDS=(temporal-jepa {" ".join(words[:-1])} "{words[-1]}")
        COMP_CWORD={len(words)} COMP_LINE="{line}" COMP_POINT={len(line)}
        $(complete -p temporal-jepa | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        printf '%s\\n' "${{COMPREPLY[@]}}"
        """
        done = subprocess.run(
            [bash, "-c", ask], capture_output=True, text=True, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    assert completed("pre") == ["prepare", "pretrain"]
    assert completed("embed", "runs/a", "data.csv", "--over") == ["--overwrite"]
    assert completed("export", "runs/a", "--format", "") == ["onnx", "torch"]
    assert completed("inspect", "dat") == ["data.csv"]


def test_an_unknown_shell_and_a_missing_library(
    tj: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "bash, zsh, fish" in tj.refuses("completion", "cmd", code=2)
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert "temporal-jepa[completion]" in tj.refuses("completion", "bash")
