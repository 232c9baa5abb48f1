"""Processes of a run: how they find each other, and what one says when another is gone."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import torch.distributed as dist
from processes import run_script

from temporal_jepa.cli.console import command_to_resume
from temporal_jepa.cli.main import main
from temporal_jepa.training import processes
from temporal_jepa.training.processes import _follow, _invite, _losses_explained


def test_processes_do_not_meet_those_that_are_gone() -> None:
    """The store of torchrun outlives a restart."""
    store = dist.HashStore()
    store.set_timeout(timedelta(seconds=20))
    store.set("hello/1", "left behind")
    found = []
    with ThreadPoolExecutor(3) as pool:
        for _ in range(2):
            first = pool.submit(_invite, store, 3)
            others = [pool.submit(_follow, store, rank) for rank in (1, 2)]
            names = {future.result(30) for future in (first, *others)}
            assert len(names) == 1
            found.append(names.pop())
    assert found[0] != found[1]


def test_processes_that_do_not_come_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "TIMEOUT", timedelta(seconds=0.1))
    with pytest.raises(
        ConnectionError, match=r"waited .* for 1, 2, which did not come"
    ):
        _invite(dist.HashStore(), 3)


def test_other_errors_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(RuntimeError, match="shapes"), _losses_explained():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    with pytest.raises(SystemExit), _losses_explained():
        raise SystemExit(143)
    gone = RuntimeError(
        "[/x/gloo/pair.cc:1] Connection closed by peer [::1]:2. This is"
    )
    said = r"0 of 2 .*\(Connection .* \[::1\]:2\)"
    for leaving in (False, True):
        with pytest.raises(ConnectionError, match=said), _losses_explained():
            _raise(gone, leaving)


def _raise(error: Exception, leaving: bool) -> None:
    """Raise an error; SIGTERM of torchrun may come after it."""
    try:
        raise error
    finally:
        if leaving:
            raise SystemExit(143)


TWICE = """
import sys, torch
from small_runs import CALM, walks
from temporal_jepa import pretrain

torch.set_num_threads(1)
for name in "ab":
    pretrain(walks(), sys.argv[1] + "/" + name, CALM, init_from="scratch")
"""


@pytest.mark.slow
def test_a_script_may_pretrain_twice(tmp_path: Path) -> None:
    """Also where the first process holds the store in which they meet."""
    run_script(tmp_path, TWICE, processes=2)
    first, second = (
        (tmp_path / name / "model.safetensors").read_bytes() for name in "ab"
    )
    assert first == second


LEFT = """
import os, sys, torch
from small_runs import CALM, walks
from temporal_jepa import pretrain

torch.set_num_threads(1)
try:
    pretrain(
        walks(), sys.argv[1] + "/run", CALM, init_from="scratch", on_row=lambda row: os._exit(0)
    )
except ConnectionError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_process_says_that_another_is_gone(tmp_path: Path) -> None:
    said = run_script(tmp_path, LEFT, processes=2)
    assert "process 1 of 2 lost another one, which ended, was killed or" in said
    assert "GLHF" not in said


def test_torchrun_is_part_of_the_command_that_resumes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert command_to_resume("r", "d.csv") == "temporal-jepa pretrain --out r --resume"
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setenv("GROUP_WORLD_SIZE", "1")
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "3")
    end = "-m temporal_jepa pretrain --out r --resume"
    one = f"torchrun --standalone --nproc-per-node 4 --max-restarts 3 {end}"
    assert command_to_resume("r", None) == one
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("GROUP_WORLD_SIZE", "2")
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "run-7")
    several = command_to_resume("r", "s3://a/b")
    assert several.startswith("torchrun --nnodes 2 --rdzv-backend c10d --rdzv-id run-7")
    assert several.endswith(
        f"--nproc-per-node 2 --max-restarts 3 {end} --data s3://a/b"
    )


def test_the_command_line_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "data.csv").write_text("id,t,x\n" + "a,1,2\nb,1,3\n" * 9)
    (tmp_path / "run/checkpoint/step-00000001").mkdir(parents=True)

    def lost(*given: object, **named: object) -> None:
        raise ConnectionError("process 1 of 2 lost another one")

    monkeypatch.setattr("temporal_jepa.training.run.plan", lost)
    words = ["pretrain", "--data", str(tmp_path / "data.csv")]
    words += ["--out", str(tmp_path / "run")]
    assert main(words) == 1
    assert "; continue with: temporal-jepa pretrain --out" in capsys.readouterr().err
    monkeypatch.setenv("TORCHELASTIC_MAX_RESTARTS", "1")
    assert main(words) == 1
    assert "; torchrun starts all processes again" in capsys.readouterr().err
