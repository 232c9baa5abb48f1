"""Functions of the user in training: what they get, how they end it, what a failing one leaves."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from factories import TINY
from small_runs import CALM, even_walks

from temporal_jepa import StopTraining, from_pretrained, pretrain
from temporal_jepa.training.checkpoints import stored_steps
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import Trainer, train

CONFIG = replace(CALM, steps=6, log_every=2, save_every=100)


def run_in(folder: Path, **callbacks: Any) -> Path:
    return pretrain(
        even_walks(), folder, CONFIG, TINY, init_from="scratch", **callbacks
    )


def rows_of(run: Path) -> list[dict[str, Any]]:
    lines = (run / "metrics.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_every_step_is_told_and_rows_as_they_are_logged(tmp_path: Path) -> None:
    steps: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    run = run_in(tmp_path / "run", on_step=steps.append, on_row=rows.append)
    assert [row["step"] for row in steps] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in rows] == [2, 4, 6]
    assert all(type(value) in (int, float) for row in steps for value in row.values())
    for row, logged in zip(rows, rows_of(run), strict=True):
        same = steps[row["step"] - 1]
        assert {name: logged[name] for name in same} == same


def test_nothing_is_copied_from_the_device_if_nobody_listens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    metrics = Trainer.metrics

    def counted(self: Trainer, terms: Any) -> Any:
        asked.append(self.step)
        return metrics(self, terms)

    monkeypatch.setattr(Trainer, "metrics", counted)
    train(initial_model(even_walks(), **TINY), even_walks(), CONFIG)
    assert asked == [2, 4, 6]


@pytest.mark.parametrize("role", ["on_step", "on_row"])
def test_a_callback_can_end_the_training(tmp_path: Path, role: str) -> None:
    def watch(row: dict[str, Any]) -> None:
        if row["step"] == 2:
            raise StopTraining

    run = run_in(tmp_path / "run", **{role: watch})
    assert stored_steps(run) == [2]
    assert rows_of(run)[-1]["step"] == 2
    from_pretrained(run)
    seen: list[int] = []
    pretrain(
        even_walks(),
        run,
        CONFIG,
        TINY,
        resume=True,
        on_step=lambda row: seen.append(row["step"]),
    )
    assert seen == [3, 4, 5, 6]


@pytest.mark.parametrize(
    ("role", "kind"),
    [("on_step", ZeroDivisionError), ("on_row", ValueError), ("on_step", SystemExit)],
)
def test_a_callback_that_fails_is_named_and_leaves_a_checkpoint(
    tmp_path: Path, role: str, kind: type[BaseException]
) -> None:
    def divides(row: dict[str, Any]) -> None:
        if row["step"] == 4:
            raise kind("of mine")

    with pytest.raises(kind, match="of mine") as found:
        run_in(tmp_path / "cut", **{role: divides})
    (note,) = found.value.__notes__
    assert role in note
    assert "divides, after step 4" in note
    assert stored_steps(tmp_path / "cut") == [4]
    cut = pretrain(even_walks(), tmp_path / "cut", CONFIG, TINY, resume=True)
    whole = run_in(tmp_path / "whole")
    ours, theirs = (from_pretrained(run).state_dict() for run in (cut, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_training_in_memory_ends_in_the_same_ways() -> None:
    seen: list[int] = []

    def watch(row: dict[str, Any]) -> None:
        seen.append(row["step"])
        if len(seen) == 2:
            raise StopTraining

    def fails(row: dict[str, Any]) -> None:
        raise KeyError("of mine")

    model = initial_model(even_walks(), **TINY)
    assert not train(model, even_walks(), CONFIG, on_step=watch).training
    assert seen == [1, 2]
    with pytest.raises(KeyError, match="of mine"):
        train(model, even_walks(), CONFIG, on_step=fails)
