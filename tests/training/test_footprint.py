"""Memory: what there is, what a run needs, and what is said when it is not enough."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from factories import TINY
from small_runs import SHORT, even_walks

from temporal_jepa import PretrainConfig, pretrain
from temporal_jepa.config import ReadOptions
from temporal_jepa.files import memory
from temporal_jepa.training import footprint as module
from temporal_jepa.training.footprint import check_memory, footprint
from temporal_jepa.training.run import Plan, plan

MIB = 2**20


def planned(**settings: int) -> Plan:
    config = replace(SHORT, **settings)
    return plan(even_walks(), None, config, TINY, options=ReadOptions())


def test_the_machine_and_its_groups_bound_what_is_free(tmp_path: Path) -> None:
    free = memory.available()
    assert free is None or 0 < free < 2**50
    for name, text in (("max", "1000"), ("now", "400"), ("none", "max")):
        (tmp_path / name).write_text(text, "ascii")
    (tmp_path / "memory.stat").write_text("anon 3\ninactive_file 50\n", "ascii")
    left = memory._left_in(tmp_path / "max", tmp_path / "now")
    assert left == [650]
    assert memory._left_in(tmp_path / "none", tmp_path / "now") == []
    assert memory._left_in(tmp_path / "absent", tmp_path / "now") == []


def test_the_estimate_follows_the_settings() -> None:
    run = planned()
    whole = footprint(run.model, run.batches, run.config)
    run = planned(accumulate=2)
    parts = footprint(run.model, run.batches, run.config)
    assert parts.batch * 2 == whole.batch
    assert parts.state == whole.state
    assert parts.total < whole.total
    assert whole.fitting(whole.total) == whole.batch
    assert whole.fitting(whole.state - 1) == 0


def test_a_step_that_does_not_fit_names_a_batch_size_that_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = planned()
    needed = footprint(run.model, run.batches, run.config)
    room = needed.total - 1
    monkeypatch.setattr(memory, "available", lambda: room)
    with pytest.raises(MemoryError, match=r"lower batch_size to 5 .*accumulate=2"):
        pretrain(even_walks(), tmp_path / "a", SHORT, TINY)
    assert not (tmp_path / "a").exists()
    smaller = planned(batch_size=5)
    check_memory(smaller.model, smaller.batches, smaller.config)
    monkeypatch.setenv(memory.SWITCH, "0")
    check_memory(run.model, run.batches, run.config)
    monkeypatch.delenv(memory.SWITCH)
    room = needed.state // 2
    with pytest.raises(MemoryError, match="lower embed_dim or encoder_depth"):
        check_memory(run.model, run.batches, run.config)
    room = needed.state + 1
    with pytest.raises(MemoryError, match="lower seq_len"):
        check_memory(run.model, run.batches, run.config)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    ],
)
def test_a_shortage_says_what_to_change_once(error: Exception) -> None:
    with (
        pytest.raises(MemoryError, match=r"out of memory.*: lower it$") as caught,
        memory.explained("never this"),
        memory.explained("lower it"),
    ):
        raise error
    assert caught.value.__cause__ is error


def test_other_errors_stay_as_they_are() -> None:
    with pytest.raises(RuntimeError, match=r"^shapes$"), memory.explained("lower it"):
        raise RuntimeError("shapes")


def test_training_that_runs_out_of_memory_says_so_in_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: object) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: not enough memory")

    monkeypatch.setattr("temporal_jepa.training.trainer.Trainer.train_step", fail)
    with pytest.raises(MemoryError, match=r"lower batch_size \(it is 6\)"):
        pretrain(even_walks(), tmp_path / "a", SHORT, TINY)


def test_advice_is_of_what_can_still_be_set() -> None:
    plain = module.advice_in_training(PretrainConfig())
    assert "activation_checkpointing" in plain
    config = PretrainConfig(activation_checkpointing=True)
    assert "activation_checkpointing" not in module.advice_in_training(config)
