"""Trackers by name: TensorBoard gets every row; what is unknown, missing or broken is named."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from temporal_jepa import PretrainConfig, pretrain
from temporal_jepa.cli.main import main
from temporal_jepa.config import LOGGERS
from temporal_jepa.training.loggers import KINDS, Loggers, check_installed

X = np.random.default_rng(0).normal(size=(6, 2, 40)).cumsum(-1)


def test_names_are_checked_before_anything_is_read() -> None:
    config = PretrainConfig(log="wandb, tensorboard,wandb", tensorboard=True)
    assert config.loggers == ("tensorboard", "wandb")
    assert PretrainConfig().loggers == ()
    assert tuple(KINDS) == LOGGERS
    with pytest.raises(ValueError, match=r"got 'wanb'; did you mean wandb\?"):
        PretrainConfig(log="tensorboard,wanb")


def test_a_missing_package_is_one_line_on_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = [name for name in LOGGERS if importlib.util.find_spec(name) is None]
    if not absent:
        pytest.skip("all trackers are installed")
    np.save(tmp_path / "x.npy", X)
    words = ["pretrain", "--data", str(tmp_path / "x.npy"), "--steps", "1"]
    code = main([*words, "--out", str(tmp_path / "run"), "--log", absent[0]])
    assert code == 1
    lines = capsys.readouterr().err.splitlines()
    expected = f"{absent[0]} needs its extra: pip install 'temporal-jepa[{absent[0]}]'"
    assert [line for line in lines if "needs" in line] == [f"error: {expected}"]
    with pytest.raises(ImportError, match="needs its extra"):
        check_installed(absent)


def test_tensorboard_gets_every_number_of_a_run_and_of_its_continuation(
    tmp_path: Path,
) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    run = tmp_path / "run"
    config = PretrainConfig(steps=3, log_every=1, log="tensorboard")
    shape = {"embed_dim": 16}
    pretrain(X, run, config, shape)
    pretrain(X, run, config, shape, overwrite=True)  # the old events are gone
    lines = (run / "metrics.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    board = accumulator.EventAccumulator(str(run / "tensorboard"))
    board.Reload()
    losses = [(event.step, event.value) for event in board.Scalars("loss")]
    assert losses == [(row["step"], pytest.approx(row["loss"])) for row in rows]
    assert {"lr", "skipped", "rank"} <= set(board.Tags()["scalars"])
    pretrain(X, run, PretrainConfig(steps=3, log_every=1), shape, resume=True)


def test_a_tracker_that_fails_is_left_out_and_does_not_end_the_run(
    tmp_path: Path,
) -> None:
    pytest.importorskip("tensorboard")
    (tmp_path / "tensorboard").write_text("a file where a folder must be")
    with Loggers(["tensorboard"], tmp_path, {"model": {"embed_dim": 16}}) as loggers:
        with pytest.warns(UserWarning, match=r"tensorboard gets no rows from step 5"):
            loggers.row({"step": 5, "loss": 1.0})
        loggers.row({"step": 6, "loss": 1.0})
