"""Runs that torchrun starts again, on processes that were killed, or in a job of the same name."""

from dataclasses import replace
from pathlib import Path

import pytest
from factories import TINY
from processes import run_script
from small_runs import CALM, walks

from temporal_jepa import pretrain
from temporal_jepa.training.checkpoints import stored_steps
from temporal_jepa.training.metrics import read_rows

CONFIG = replace(CALM, steps=6, save_every=2, device="cpu")


def test_a_job_of_the_same_name_continues_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a requeue; `overwrite` is for the runs of other jobs."""
    out = tmp_path / "run"
    whole = pretrain(walks(), tmp_path / "whole", CONFIG, TINY)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "run-7")

    def stop(row: dict[str, object]) -> None:
        if row["step"] == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain(walks(), out, CONFIG, TINY, overwrite=True, on_row=stop)
    assert stored_steps(out) == [4, 5]
    steps = []
    pretrain(
        *(walks(), out, CONFIG, TINY),
        overwrite=True,
        on_row=lambda row: steps.append(row["step"]),
    )
    assert steps == [6]
    weights = (whole / "model.safetensors").read_bytes()
    assert (out / "model.safetensors").read_bytes() == weights


def test_the_run_of_another_job_is_not_continued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also not by a process that was killed before it replaced that run."""
    out = pretrain(walks(), tmp_path / "run", CONFIG, TINY)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "run-8")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    with pytest.raises(ValueError, match="already holds a run"):
        pretrain(walks(), out, CONFIG, TINY)
    other = replace(CONFIG, seed=1)
    pretrain(walks(), out, other, TINY, overwrite=True)
    whole = pretrain(walks(), tmp_path / "whole", other, TINY)
    assert [row["loss"] for row in read_rows(out)] == [
        row["loss"] for row in read_rows(whole)
    ]


RESTARTED = """
import os, signal, sys
from dataclasses import replace
import torch
from small_runs import CALM, walks
from temporal_jepa import pretrain
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

torch.set_num_threads(1)

def on_row(row):
    if row["step"] == 3 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)

def train():
    config = replace(CALM, steps=6, save_every=1, device="cpu")
    out = sys.argv[1] + "/run"
    pretrain(walks(), out, config, init_from="scratch", overwrite=True, on_row=on_row)

torchrun = LaunchConfig(
    min_nodes=1,
    max_nodes=1,
    nproc_per_node=2,
    max_restarts=1,
    run_id="walks",
    rdzv_backend="c10d",
    rdzv_endpoint="localhost:0",
    start_method="fork",
)
elastic_launch(torchrun, train)()
"""


@pytest.mark.slow
def test_torchrun_starts_a_killed_process_again(tmp_path: Path) -> None:
    """It goes on with its own run, not with the one that it replaces.

    `torchrun --standalone` calls `elastic_launch` as here, but its processes are not forked.
    """
    config = replace(CALM, steps=6, save_every=1, device="cpu")
    old = replace(config, seed=1)
    pretrain(walks(), tmp_path / "run", old, init_from="scratch")
    pretrain(walks(), tmp_path / "alone", config, init_from="scratch")
    run_script(tmp_path, RESTARTED)
    rows = [read_rows(tmp_path / name) for name in ("run", "alone")]
    found, expected = ([row["loss"] for row in each] for each in rows)
    assert found == pytest.approx(expected, abs=1e-5)


APART = """
import os, sys
from small_runs import CALM, walks
from temporal_jepa import pretrain

out = sys.argv[1] + "/run" + os.environ["RANK"]
try:
    pretrain(walks(), out, CALM, init_from="scratch", resume=os.environ["RANK"] == "0")
except ValueError as error:
    assert "the folder must be one that all machines share" in str(error), error
else:
    raise AssertionError("trained")
"""


@pytest.mark.slow
def test_machines_without_a_shared_folder_are_told(tmp_path: Path) -> None:
    pretrain(walks(), tmp_path / "run0", CALM, init_from="scratch")
    run_script(tmp_path, APART, processes=2)
