"""Training on several processes, with whole and with split weights."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from processes import run_script
from small_runs import walks

from temporal_jepa import PretrainConfig, from_pretrained, pretrain
from temporal_jepa.training.batches import plan_batches
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import Trainer

MODEL = {
    "embed_dim": 32,
    "num_heads": 2,
    "predictor_embed_dim": 16,
    "patch_len": 4,
}
CONFIG = PretrainConfig(
    steps=25, batch_size=16, lr=3e-4, device="cpu", log_every=1, save_every=1000
)
"""At higher rates rounding errors grow faster: to 1e-4 within 50 steps."""
SCRIPT = """
import sys
from dataclasses import replace
import torch
from small_runs import walks
from test_sharding import CONFIG, MODEL
from temporal_jepa import pretrain

torch.set_num_threads(1)
change = {"shard": True, "activation_checkpointing": True} if "shard" in sys.argv else {}
pretrain(walks(60), sys.argv[1] + "/run", replace(CONFIG, **change), MODEL)
"""


def run_on(tmp_path: Path, processes: int, *words: str) -> Path:
    """A run of `CONFIG` on several processes."""
    run_script(tmp_path, SCRIPT, *words, processes=processes)
    return tmp_path / "run"


def losses_of(run: Path) -> list[float]:
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("alone") / "run"
    return pretrain(walks(60), out, CONFIG, MODEL)


@pytest.mark.slow
def test_four_processes_train_as_one(tmp_path: Path, alone: Path) -> None:
    losses = losses_of(run_on(tmp_path, 4))
    assert len(losses) == CONFIG.steps
    assert losses == pytest.approx(losses_of(alone), abs=1e-5)


@pytest.mark.slow
def test_split_weights_train_as_whole_ones(tmp_path: Path, alone: Path) -> None:
    """Sums in another order drift apart, slowly at first."""
    run = run_on(tmp_path, 2, "shard")
    losses = losses_of(run)
    expected = losses_of(alone)
    assert losses[:20] == pytest.approx(expected[:20], abs=1e-5)
    assert losses == pytest.approx(expected, abs=1e-3)
    weights = from_pretrained(run).state_dict()
    for name, weight in from_pretrained(alone).state_dict().items():
        assert weights[name].shape == weight.shape
        torch.testing.assert_close(weights[name], weight, atol=3e-3, rtol=3e-2)


def trainer_of(**change: Any) -> Trainer:
    config = PretrainConfig(steps=6, batch_size=8, device="cpu", **change).resolved(60)
    model = initial_model(walks(60), **MODEL)
    return Trainer(model, plan_batches(model, walks(60), config), config)


def test_activation_checkpointing_changes_no_gradient() -> None:
    plain = trainer_of()
    recomputing = trainer_of(activation_checkpointing=True)
    for _ in range(3):
        expected = plain.train_step()
        found = recomputing.train_step()
        for name in expected:
            assert torch.equal(expected[name], found[name]), name


def test_activation_checkpointing_refuses_dropout() -> None:
    config = PretrainConfig(activation_checkpointing=True).resolved(60)
    model = initial_model(walks(60), dropout=0.1, **MODEL)
    with pytest.raises(ValueError, match="dropout must be 0"):
        Trainer(model, plan_batches(model, walks(60), config), config)


def test_shard_on_one_process_is_said_to_do_nothing(tmp_path: Path) -> None:
    config = PretrainConfig(steps=2, batch_size=8, device="cpu", shard=True)
    with pytest.warns(UserWarning, match="no effect on one process; start several"):
        pretrain(walks(60), tmp_path / "run", config, MODEL)


def test_a_trainer_goes_on_after_it_stopped() -> None:
    trainer = trainer_of()
    trainer.run(lambda row: None, stop_after=lambda trainer: trainer.step == 2)
    trainer.run(lambda row: None)
    assert trainer.step == 6
