"""The log of a run: torn, damaged and missing rows are told apart."""

import json
from pathlib import Path

import pytest

from temporal_jepa.training.metrics import (
    append_row,
    missing_rows,
    read_rows,
    truncate_rows,
)

CONFIG = {"pretrain": {"steps": 7, "log_every": 2}}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    for step in (2, 4, 6, 7):
        append_row(tmp_path, {"step": step, "loss": step / 10})
    return tmp_path


def steps(run: Path) -> list[int]:
    return [row["step"] for row in read_rows(run)]


def test_rows_are_read_by_step_the_later_of_two(run: Path) -> None:
    append_row(run, {"step": 4, "loss": 9.0})
    assert read_rows(run)[1] == {"step": 4, "loss": 9.0}
    assert steps(run) == [2, 4, 6, 7]


def test_a_last_row_cut_short_is_left_out(run: Path) -> None:
    file = run / "metrics.jsonl"
    file.write_bytes(file.read_bytes()[:-9])
    assert steps(run) == [2, 4, 6]


def test_a_changed_row_is_refused_and_a_resumed_run_goes_on_without(run: Path) -> None:
    file = run / "metrics.jsonl"
    file.write_text(file.read_text().replace("0.4", "0.3"))
    with pytest.raises(ValueError, match="line 2 was changed after it was written"):
        read_rows(run)
    with pytest.warns(UserWarning, match="1 lines were changed.*line 2"):
        truncate_rows(run, up_to=6)
    assert steps(run) == [2, 6]


def test_rows_of_earlier_versions_have_no_checksum(run: Path) -> None:
    (run / "metrics.jsonl").write_text(json.dumps({"step": 1, "loss": 2.0}) + "\n")
    assert read_rows(run) == [{"step": 1, "loss": 2.0}]


@pytest.mark.parametrize(
    ("newest", "kept", "missing"),
    [(7, 4, ""), (7, 3, "step 7"), (5, 2, ""), (5, 1, "step 4"), (0, 0, "")],
)
def test_rows_before_a_checkpoint_are_missed(
    run: Path, newest: int, kept: int, missing: str
) -> None:
    if newest:
        (run / "checkpoint" / f"step-{newest:08d}").mkdir(parents=True)
    text = missing_rows(run, read_rows(run)[:kept], CONFIG)
    assert missing in text
    assert bool(text) == bool(missing)


def test_a_folder_that_is_gone_is_named(run: Path) -> None:
    with pytest.raises(FileNotFoundError, match="was removed or renamed"):
        append_row(run / "gone", {"step": 1})
