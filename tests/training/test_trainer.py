"""Training: batches are functions of the step, and resumed runs equal uninterrupted ones."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories import TINY
from processes import run_script, start_script, wait
from small_runs import CALM, SHORT, even_walks, walks

from temporal_jepa import (
    PretrainConfig,
    Sequences,
    TemporalJEPA,
    from_pretrained,
    pretrain,
)
from temporal_jepa.config import VIDEO
from temporal_jepa.embed import embed_sequences
from temporal_jepa.model.objectives import OBJECTIVES, MaskedLatent
from temporal_jepa.training.batches import Batches, plan_batches
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.run import facts
from temporal_jepa.training.trainer import Trainer, train


def same_weights(a: TemporalJEPA, b: TemporalJEPA) -> bool:
    ours = a.state_dict()
    theirs = b.state_dict()
    return ours.keys() == theirs.keys() and all(
        torch.equal(ours[name], theirs[name]) for name in ours
    )


def trainer_of(config: PretrainConfig) -> Trainer:
    model = initial_model(walks(), **TINY)
    return Trainer(model, plan_batches(model, walks(), config), config)


def logged_steps(run: Path) -> list[int]:
    return [
        json.loads(line)["step"]
        for line in (run / "metrics.jsonl").read_text().splitlines()
    ]


def test_batches_are_functions_of_the_step() -> None:
    sequences = walks()
    first, second = (
        Batches(sequences, SHORT, seq_len=30, shortest=2) for _ in range(2)
    )
    for step in (7, 0, 3):
        assert np.array_equal(
            first.values(step).numpy(), second.values(step).numpy(), equal_nan=True
        )
        assert torch.equal(
            torch.rand(3, generator=first.generator(step)),
            torch.rand(3, generator=second.generator(step)),
        )
    assert first.values(0).shape[1] <= 30
    assert not np.array_equal(
        first.values(0).numpy(), first.values(1).numpy(), equal_nan=True
    )


def test_an_epoch_visits_every_sequence_once() -> None:
    sequences = Sequences.from_arrays(np.arange(12.0)[:, None] * np.ones((12, 8)))
    batches = Batches(
        sequences, replace(SHORT, batch_size=4, crop=1.0), seq_len=8, shortest=2
    )
    for epoch in range(2):
        seen = torch.cat(
            [batches.values(3 * epoch + step)[:, 0, 0] for step in range(3)]
        )
        assert sorted(seen.tolist()) == list(range(12))
    assert [batches.epoch(step) for step in (0, 2, 3)] == [0, 0, 1]


def test_training_leaves_the_global_random_state_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train(initial_model(walks(), dropout=0.1, **TINY), walks(), replace(SHORT, steps=2))
    assert torch.equal(torch.rand(3), expected)


def test_a_run_is_reproducible_and_learns_something() -> None:
    rows: list[dict[str, float]] = []
    first = train(
        initial_model(walks(), **TINY),
        walks(),
        replace(SHORT, steps=60),
        on_row=rows.append,
    )
    again = train(initial_model(walks(), **TINY), walks(), replace(SHORT, steps=60))
    other = train(
        initial_model(walks(), seed=1, **TINY),
        walks(),
        replace(SHORT, steps=60, seed=1),
    )
    assert same_weights(first, again)
    assert not same_weights(first, other)
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert str(rows[-1]["verdict"]).startswith("healthy")
    assert not first.training


def test_ema_follows_the_optimizer_step() -> None:
    trainer = trainer_of(replace(SHORT, warmup=0.0, lr=2e-3))
    name = "transformer.blocks.0.up.weight"
    target = trainer.model.target_encoder.get_parameter(name).clone()
    trainer.train_step()
    context = trainer.model.context_encoder.get_parameter(name)
    expected = torch.lerp(target, context.detach(), 1 - trainer.momentum())
    torch.testing.assert_close(
        trainer.model.target_encoder.get_parameter(name), expected
    )


def test_crops_never_fall_into_a_gap() -> None:
    X = np.full((8, 1, 200), np.nan)
    X[:, :, 190:] = 1.0
    batches = Batches(
        Sequences.from_arrays(X), replace(SHORT, crop=0.05), seq_len=20, shortest=2
    )
    for step in range(20):
        assert not bool(batches.values(step).isnan().all(dim=1).any())


def test_learning_rate_warms_up_and_falls_to_zero() -> None:
    trainer = trainer_of(replace(SHORT, steps=100, warmup=0.1, lr=1.0))
    rates = [trainer.lr(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[9] == pytest.approx(1.0)
    assert max(rates) <= 1.0
    assert rates[-1] < 0.01
    groups = {
        group["weight_decay"]: group["params"]
        for group in trainer.optimizer.param_groups
    }
    assert all(p.ndim >= 2 for p in groups[0.05])
    assert all(p.ndim < 2 for p in groups[0.0])


def test_accumulation_equals_one_batch_without_the_regulariser() -> None:
    losses = {"variance_weight": 0.0, "covariance_weight": 0.0, "num_masks": 1, **TINY}
    data = Sequences.from_arrays(np.random.default_rng(0).standard_normal((12, 2, 32)))
    config = replace(SHORT, steps=3, crop=1.0)
    whole = train(initial_model(data, **losses), data, config)
    parts = train(initial_model(data, **losses), data, replace(config, accumulate=3))
    for a, b in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-3)


def test_a_run_folder_holds_what_was_promised(tmp_path: Path) -> None:
    folder = pretrain(walks(), tmp_path / "run", SHORT, TINY)
    rows = [
        json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()
    ]
    assert [row["step"] for row in rows] == [3, 6, 9, 12]
    assert {"loss", "relative_loss", "lr", "momentum", "samples_per_s"} <= rows[
        0
    ].keys()
    assert "verdict" in rows[-1]
    assert len(rows[1]["std_per_position"]) > 1
    config = json.loads((folder / "config.json").read_text())
    assert config["data"]["n"] == 15
    assert config["model"]["embed_dim"] == 16
    assert sorted(p.name for p in (folder / "checkpoint").iterdir()) == [
        "step-00000010",
        "step-00000012",
    ]
    assert "15 sequences" in (folder / "README.md").read_text()
    assert embed_sequences(from_pretrained(folder), walks()).shape == (15, 2 * 3 * 16)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_a_checkpoint_and_the_resumed_run_is_equal(
    tmp_path: Path, number: int
) -> None:
    settings = {**TINY, "dropout": 0.1}
    whole = pretrain(walks(), tmp_path / "whole", SHORT, settings)

    def interrupt(row: dict[str, float]) -> None:
        if row["step"] == 6:
            os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit):
        pretrain(walks(), tmp_path / "cut", SHORT, settings, on_row=interrupt)
    cut = pretrain(walks(), tmp_path / "cut", SHORT, settings, resume=True)
    assert same_weights(from_pretrained(whole), from_pretrained(cut))
    assert logged_steps(whole) == logged_steps(cut)


def test_killed_between_checkpoints_resumes_to_the_same_weights(tmp_path: Path) -> None:
    out = tmp_path / "killed"
    code = f"""
import os, signal
from factories import TINY
from small_runs import SHORT, walks
from temporal_jepa import pretrain

def kill(row):
    if row["step"] == 9:
        os.kill(os.getpid(), signal.SIGKILL)

pretrain(walks(), {str(out)!r}, SHORT, TINY, on_row=kill)
"""
    (tmp_path / "main.py").write_text(code)
    process = start_script(tmp_path / "main.py", output=tmp_path / "said.txt")
    assert wait([process]) == [-signal.SIGKILL]
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9, "lo')  # a line cut short by the kill
    pretrain(walks(), out, SHORT, TINY, resume=True)
    whole = pretrain(walks(), tmp_path / "whole", SHORT, TINY)
    assert same_weights(from_pretrained(whole), from_pretrained(out))
    assert logged_steps(out) == [3, 6, 9, 12]


def test_nothing_is_overwritten_without_being_asked(tmp_path: Path) -> None:
    out = pretrain(walks(), tmp_path / "run", SHORT, TINY)
    before = (out / "model.safetensors").read_bytes()
    with pytest.raises(ValueError, match="already holds a run; choose another folder"):
        pretrain(walks(), out, SHORT, TINY)
    assert (out / "model.safetensors").read_bytes() == before
    (out / "notes.txt").write_text("mine")
    pretrain(walks(), out, replace(SHORT, seed=3), TINY, overwrite=True)
    assert (out / "model.safetensors").read_bytes() != before
    assert (out / "notes.txt").read_text() == "mine"


def test_resume_refuses_other_settings_and_other_data(tmp_path: Path) -> None:
    out = pretrain(walks(), tmp_path / "run", SHORT, TINY)
    with pytest.raises(ValueError, match=r"pretrain\.lr was 0\.002 and is 0\.1"):
        pretrain(walks(), out, replace(SHORT, lr=0.1), TINY, resume=True)
    with pytest.raises(ValueError, match=r"model\.encoder_depth was 1 and is 2"):
        pretrain(walks(), out, SHORT, {**TINY, "encoder_depth": 2}, resume=True)
    with pytest.raises(ValueError, match=r"data\.digest"):
        pretrain(
            walks(seed=0).select(list(range(14, -1, -1))), out, SHORT, TINY, resume=True
        )
    with pytest.raises(ValueError, match="holds no run to resume"):
        pretrain(walks(), tmp_path / "new", SHORT, TINY, resume=True)
    pretrain(walks(), out, replace(SHORT, log_every=1), TINY, resume=True)


def test_two_runs_never_share_a_folder(tmp_path: Path) -> None:
    out = tmp_path / "run"
    seen: list[str] = []

    def second(row: dict[str, float]) -> None:
        with pytest.raises(ValueError, match="in use by another run") as error:
            pretrain(walks(), out, SHORT, TINY, overwrite=True)
        seen.append(str(error.value))

    pretrain(walks(), out, SHORT, TINY, on_row=second)
    assert len(seen) == 4


def test_init_from_takes_weights_only(tmp_path: Path) -> None:
    first = pretrain(walks(), tmp_path / "first", SHORT, TINY)
    second = pretrain(
        walks(seed=1),
        tmp_path / "second",
        replace(SHORT, steps=1, lr=1e-9),
        init_from=first,
    )
    a = from_pretrained(first)
    b = from_pretrained(second)
    torch.testing.assert_close(
        a.context_encoder.transformer.norm.weight,
        b.context_encoder.transformer.norm.weight,
    )
    with pytest.raises(
        ValueError, match="init_from brings its own architecture; leave out embed_dim"
    ):
        pretrain(walks(), tmp_path / "third", SHORT, {"embed_dim": 32}, init_from=first)
    with pytest.raises(ValueError, match="expects 2 channels, got 3"):
        pretrain(walks(channels=3), tmp_path / "fourth", SHORT, init_from=first)


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        (
            walks(4).select([0]),
            {},
            "at least 2, got 1; cut a long recording into windows",
        ),
        (
            Sequences.from_arrays(np.ones((1, 1, 5))),
            {},
            "one series of 5 timesteps is too few to train on; embed with the encoder",
        ),
        (
            Sequences.from_arrays(np.ones((4, 1, 5))),
            {"patch_len": 4},
            "has 5 timesteps, but .* need 8",
        ),
        (walks(), {"embed_dims": 3}, "did you mean 'embed_dim'"),
        (walks(), {"seq_len": 1}, "longest training window has 1 timesteps"),
    ],
)
def test_data_that_cannot_be_trained_on(
    tmp_path: Path, data: Sequences, settings: dict[str, int], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        pretrain(data, tmp_path / "run", SHORT, settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": -1}, "steps .*-1"),
        ({"steps": 2.5}, "steps .*2.5"),
        ({"steps": "3"}, "steps .*'3'"),
        ({"crop": 0.0}, "crop .*0"),
        ({"lr": -1.0}, "lr .*-1"),
        ({"lr": float("inf")}, "lr .*inf"),
        ({"precision": "fp16"}, "precision .*bf16.*'fp16'"),
        ({"warmup": 1.0}, "warmup .*1"),
        ({"seed": -1}, "seed .*-1"),
    ],
)
def test_wrong_training_settings(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SHORT, **change)


def test_the_data_decide_the_steps() -> None:
    assert [PretrainConfig().resolved(n).steps for n in (2, 500, 3000, 10**6)] == [
        300,
        300,
        938,
        1200,
    ]
    assert PretrainConfig(steps=7).resolved(10**6).steps == 7


class Sometimes(MaskedLatent):
    """Its loss is NaN at some calls."""

    def __init__(self, bad: tuple[int, ...] = ()):
        super().__init__()
        self.bad = bad
        self.calls = 0

    def forward(self, *arguments: Any, **given: Any) -> dict[str, torch.Tensor]:
        terms = super().forward(*arguments, **given)
        self.calls += 1
        if self.calls - 1 in self.bad:
            terms["loss"] = terms["loss"] * float("nan")
        return terms


def test_a_step_that_is_not_finite_is_left_out_and_counted() -> None:
    config = replace(SHORT, log_every=1).resolved(15)
    model = initial_model(walks(), 0, Sometimes((2, 3)), **TINY)
    trainer = Trainer(model, plan_batches(model, walks(), config), config)
    rows: list[dict[str, Any]] = []
    for _ in range(2):
        trainer.train_step()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    for _ in range(2):
        terms = trainer.train_step()
        assert not bool(terms["grad_norm"].isfinite())
    after = model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    trainer.run(rows.append)
    assert trainer.step == config.steps
    assert [row["skipped"] for row in rows] == [2] * 8
    assert all(np.isfinite(row["loss"]) for row in rows)
    assert all(bool(v.isfinite().all()) for v in model.state_dict().values())
    assert trainer.state()["skipped"] == 2


def test_training_stops_when_no_step_is_finite_any_more(tmp_path: Path) -> None:
    bad = Sometimes(tuple(range(7, 100)))
    config = replace(SHORT, steps=60, save_every=5)
    with pytest.raises(FloatingPointError, match=r"20 steps, up to step 27.*Lower lr"):
        pretrain(walks(), tmp_path / "run", config, TINY, objective=bad)
    newest = sorted((tmp_path / "run" / "checkpoint").iterdir())[-1]
    assert "25" in newest.name  # of the weights of step 7, which are finite


def test_a_loss_that_never_is_finite_is_said() -> None:
    model = initial_model(walks(), **TINY)
    with torch.no_grad():
        model.context_encoder.transformer.norm.weight.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match="not finite in the last 12 steps"):
        train(model, walks(), SHORT)
    with pytest.raises(ValueError, match="device must be"):
        train(initial_model(walks(), **TINY), walks(), replace(SHORT, device="abacus"))


def test_collapse_statistics_encode_as_many_at_once_as_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = replace(SHORT, batch_size=4, accumulate=2).resolved(15)
    trainer = trainer_of(config)
    encoder = trainer.model.context_encoder
    encode = encoder.encode
    sizes: list[int] = []

    def spy(x: torch.Tensor, observed: torch.Tensor) -> Any:
        sizes.append(len(x))
        return encode(x, observed)

    monkeypatch.setattr(encoder, "encode", spy)
    found = trainer.collapse_statistics(0.5)
    assert max(sizes) == 2
    assert sum(sizes) == len(walks())
    trainer.batches.size = 2 * len(walks())
    whole = trainer.collapse_statistics(0.5)
    for name in ("std_per_position", "rank_per_position"):
        np.testing.assert_allclose(found[name], whole[name], rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("data", [walks, even_walks])
def test_two_processes_train_as_one(
    tmp_path: Path, data: Callable[[], Sequences]
) -> None:
    """Unequal lengths, so different lengths of padding per process, must not stop the other one."""
    code = f"""
import torch
from factories import TINY
from small_runs import CALM, {data.__name__}
from temporal_jepa import pretrain

torch.set_num_threads(1)
pretrain({data.__name__}(), {str(tmp_path / "two")!r}, CALM, TINY)
"""
    run_script(tmp_path, code, processes=2)
    pretrain(data(), tmp_path / "one", CALM, TINY)
    one, two = (
        json.loads((tmp_path / name / "metrics.jsonl").read_text().splitlines()[0])
        for name in ("one", "two")
    )
    for name in one.keys() - {"samples_per_s", "elapsed_s", "data_wait", "crc"}:
        assert two[name] == pytest.approx(one[name], rel=1e-3), name
    config = json.loads((tmp_path / "two" / "config.json").read_text())
    assert config["environment"]["processes"] == 2
    weights = from_pretrained(tmp_path / "two").state_dict()
    for name, weight in from_pretrained(tmp_path / "one").state_dict().items():
        torch.testing.assert_close(
            weights[name], weight, atol=1e-3, rtol=1e-2, msg=name
        )


@pytest.mark.slow
def test_every_objective_trains_on_two_processes_as_on_one(tmp_path: Path) -> None:
    """Sequences of unequal lengths, so that the processes have unequal numbers of tokens."""
    code = f"""
import json, os, sys
import numpy as np
import torch
import torch.distributed as dist
from factories import random_walks
from temporal_jepa import PretrainConfig, Sequences
from temporal_jepa.model.objectives import OBJECTIVES, MaskedLatent
from temporal_jepa.model.regularizers import SIGReg
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import train

torch.set_num_threads(1)
if "RANK" in os.environ:
    dist.init_process_group("gloo")
x = random_walks(32, 3, 40)
x[:4, :, 20:] = np.nan
x[5, 1] = np.nan
losses = {{}}
objectives = [*(kind() for kind in OBJECTIVES.values()), MaskedLatent(SIGReg())]
for objective in objectives:
    data = Sequences.from_arrays(x)
    small = {{"embed_dim": 16, "num_heads": 2, "predictor_embed_dim": 16, "patch_len": 4}}
    config = PretrainConfig(steps=6, batch_size=16, device="cpu", log_every=1)
    rows = []
    train(initial_model(data, 0, objective, **small), data, config, on_row=rows.append)
    losses[repr(objective)] = [row["loss"] for row in rows]
name = "two" if dist.is_initialized() else "one"
if name == "one" or dist.get_rank() == 0:
    with open({str(tmp_path)!r} + "/" + name + ".json", "w") as file:
        json.dump(losses, file)
"""
    for processes in (1, 2):
        run_script(tmp_path, code, processes=processes)
    one, two = (
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "two")
    )
    assert len(one) == len(OBJECTIVES) + 1
    for objective, losses in one.items():
        assert two[objective] == pytest.approx(losses, abs=1e-5), objective


def test_a_lone_recording_is_cut_into_windows(tmp_path: Path) -> None:
    recording = Sequences(
        [np.random.default_rng(0).standard_normal((400, 2)).astype(np.float32)]
    )
    out = pretrain(recording, tmp_path / "run", SHORT, TINY)
    data = json.loads((out / "config.json").read_text())["data"]
    assert (data["n"], data["options"]) == (8, {"window": 50})


def test_files_of_somebody_else_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("thesis")
    (tmp_path / "checkpoint").mkdir()
    for overwrite in (False, True):
        with pytest.raises(
            ValueError,
            match=r"is not a run folder but contains README\.md, checkpoint",
        ):
            pretrain(walks(), tmp_path, SHORT, TINY, overwrite=overwrite)
    assert (tmp_path / "README.md").read_text() == "thesis"


@pytest.mark.parametrize(
    "change", [{"device": "cuda:77"}, {"device": "meta"}, {"accumulate": 4}]
)
def test_a_refused_overwrite_leaves_the_old_run_whole(
    tmp_path: Path, change: dict[str, object]
) -> None:
    out = pretrain(walks(), tmp_path / "run", SHORT, TINY)
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises((ValueError, RuntimeError)):
        pretrain(walks(), out, replace(SHORT, **change), TINY, overwrite=True)  # type: ignore[arg-type]
    assert before == {
        path: path.read_bytes() for path in out.rglob("*") if path.is_file()
    }
    with pytest.raises((ValueError, RuntimeError)):
        pretrain(walks(), tmp_path / "new", replace(SHORT, **change), TINY)  # type: ignore[arg-type]
    pretrain(walks(), tmp_path / "new", SHORT, TINY)


def test_a_resumed_run_keeps_its_start_and_architecture(tmp_path: Path) -> None:
    first = pretrain(walks(), tmp_path / "first", SHORT, TINY)
    second = pretrain(walks(), tmp_path / "second", SHORT, init_from=first)
    pretrain(walks(), first, SHORT, resume=True)
    pretrain(walks(), second, SHORT, TINY, init_from=first, resume=True)
    with pytest.raises(ValueError, match="leave out init_from"):
        pretrain(walks(), second, SHORT, init_from="scratch", resume=True)
    shutil.rmtree(first)
    pretrain(walks(), second, SHORT, resume=True)
    assert json.loads((second / "config.json").read_text())["init_from"] == str(first)


def test_batches_are_planned_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Batches] = []

    class Counted(Batches):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr("temporal_jepa.training.batches.Batches", Counted)
    pretrain(walks(), tmp_path / "run", replace(SHORT, steps=1), TINY)
    assert len(made) == 1


def test_every_series_is_in_the_digest() -> None:
    rng = np.random.default_rng(0)
    X = rng.standard_normal((600, 1, 9))
    for changed in rng.integers(0, 600, 20):
        other = X.copy()
        other[changed] *= 2
        assert (
            facts(Sequences.from_arrays(X))["digest"]
            != facts(Sequences.from_arrays(other))["digest"]
        )


def test_video_stays_bytes_until_it_is_on_the_device():
    clips = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 8, 1), dtype=np.uint8)
    config = PretrainConfig(steps=3, batch_size=4, crop=1.0, device="cpu").resolved(6)
    losses = []
    for data in (clips, clips / np.float32(255)):
        sequences = Sequences.from_arrays(data)
        model = initial_model(sequences, 0, **{**VIDEO, **TINY})
        trainer = Trainer(model, plan_batches(model, sequences, config), config)
        is_bytes = trainer.batches.values(0).dtype == torch.uint8
        assert is_bytes == (data.dtype == np.uint8)
        losses.append([float(trainer.train_step()["loss"]) for _ in range(3)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
