"""The files of a checkpoint: equal to the last bit or refused, on any number of processes."""

import contextlib
import json
import random
import re
import resource
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processes import run_script
from small_runs import CALM, walks
from torch import Tensor

from temporal_jepa.files import write_json
from temporal_jepa.training.batches import plan_batches
from temporal_jepa.training.checkpoints import Checkpoints, Shapes, stored_steps
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.storage import MANIFEST
from temporal_jepa.training.trainer import Trainer

State = dict[str, Tensor]


def state_of(step: int) -> State:
    random = torch.Generator().manual_seed(step)
    return {
        "step": torch.tensor(step),
        "weight": torch.randn(6, 5, generator=random),
        "half": torch.randn(4, generator=random).bfloat16(),
        "none": torch.zeros(0, 3),
    }


def empty(shapes: Shapes) -> State:
    return {
        name: torch.zeros(shape, dtype=kind) for name, (shape, kind) in shapes.items()
    }


def write(run: Path, *steps: int) -> Checkpoints:
    checkpoints = Checkpoints(run)
    for step in steps:
        checkpoints.save(step, state_of(step))
    checkpoints.wait()
    return checkpoints


def read(run: Path) -> State | None:
    return Checkpoints(run).load(empty)


def assert_equal(found: State | None, step: int) -> None:
    expected = state_of(step)
    assert found is not None
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value), name


def newest(run: Path) -> Path:
    return run / "checkpoint" / f"step-{stored_steps(run)[-1]:08d}"


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    state = state_of(3)
    checkpoints.save(3, state)
    for value in state.values():
        value.fill_(7)
    checkpoints.wait()
    assert_equal(read(tmp_path), 3)


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    assert read(tmp_path) is None
    write(tmp_path, 3, 6, 9)
    assert stored_steps(tmp_path) == [6, 9]
    assert_equal(read(tmp_path), 9)


def test_no_file_of_a_checkpoint_can_run_code(tmp_path: Path) -> None:
    write(tmp_path, 3)
    names = sorted(path.name for path in newest(tmp_path).iterdir())
    assert names == ["00000.safetensors", MANIFEST]


def damages(content: bytes, rng: random.Random) -> Iterator[bytes]:
    """Truncated, with a flipped bit, with other bytes, empty, too long."""
    places = [0, 1, 7, 8, 9, len(content) - 1]
    for place in [*places, *(rng.randrange(len(content)) for _ in range(30))]:
        yield content[:place]
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.randrange(8)
        yield bytes(flipped)
    yield content + b"\0"
    yield content[:20] + bytes(20) + content[40:]


@pytest.mark.parametrize("name", ["00000.safetensors", MANIFEST])
def test_a_damaged_checkpoint_is_never_used(tmp_path: Path, name: str) -> None:
    write(tmp_path, 3, 6)
    path = newest(tmp_path) / name
    content = path.read_bytes()
    refused = 0
    for damaged in damages(content, random.Random(0)):
        path.write_bytes(damaged)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            state = read(tmp_path)
        said = "".join(str(warning.message) for warning in caught)
        if said:
            assert re.search(
                "step-00000006 is damaged .*from step 3, and repeats 3", said
            )
            refused += 1
        assert_equal(state, 3 if said else 6)
    assert refused >= (74 if name != MANIFEST else 60)  # of JSON, spaces mean nothing
    path.write_bytes(content)
    assert_equal(read(tmp_path), 6)


def test_a_damaged_checkpoint_does_not_count_as_kept(tmp_path: Path) -> None:
    """Else the whole one would be deleted, and the next damage would lose all."""
    write(tmp_path, 3, 6)
    path = newest(tmp_path) / "00000.safetensors"
    path.write_bytes(path.read_bytes()[::-1])
    checkpoints = Checkpoints(tmp_path)
    with pytest.warns(UserWarning, match="repeats 3 steps"):
        checkpoints.load(empty)
    checkpoints.save(8, state_of(8))
    checkpoints.wait()
    assert stored_steps(tmp_path) == [3, 8]


def test_a_first_checkpoint_that_was_not_finished_is_none(tmp_path: Path) -> None:
    begun = tmp_path / "checkpoint/step-00000003"
    begun.mkdir(parents=True)
    (begun / "00000.safetensors").write_bytes(b"half of it")
    with pytest.warns(
        UserWarning, match="not written to its end .*the start of the run"
    ):
        assert read(tmp_path) is None
    write(tmp_path, 6)
    assert not begun.exists()


def test_a_linked_folder_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "checkpoint").symlink_to(elsewhere)
    with pytest.raises(OSError, match="symbolic link"):
        write(tmp_path, 3)
    with pytest.raises(OSError, match="symbolic link"):
        read(tmp_path)
    assert not list(elsewhere.iterdir())


def test_a_linked_checkpoint_is_replaced(tmp_path: Path) -> None:
    write(tmp_path / "other", 3)
    before = newest(tmp_path / "other")
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint/step-00000003").symlink_to(before)
    assert read(tmp_path) is None
    changed = state_of(3) | {"weight": torch.zeros(6, 5)}
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(3, changed)
    checkpoints.wait()
    assert_equal(read(tmp_path / "other"), 3)


def test_numbers_that_are_not_finite_are_not_stored(tmp_path: Path) -> None:
    checkpoints = write(tmp_path, 3)
    state = state_of(6)
    state["half"][2] = torch.nan
    with pytest.raises(FloatingPointError, match="not finite at step 6"):
        checkpoints.save(6, state)
    checkpoints.wait()
    assert stored_steps(tmp_path) == [3]
    assert_equal(read(tmp_path), 3)


def test_a_full_disk_keeps_the_checkpoint_before(tmp_path: Path) -> None:
    checkpoints = write(tmp_path, 3)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, before[1]))
    try:
        checkpoints.save(6, state_of(6) | {"large": torch.zeros(10**6)})
        with pytest.raises(OSError, match=r"00000\.safetensors"):
            checkpoints.wait()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert stored_steps(tmp_path) == [3]
    with pytest.warns(UserWarning, match="00000006 was not written to its end"):
        assert_equal(read(tmp_path), 3)


KILLED = """
import os, signal, sys
from pathlib import Path
import temporal_jepa.training.storage, torch.distributed.checkpoint.state_dict_saver
from test_storage import write

calls = 0
at = 0

def counted(function):
    def wrapped(*args, **kwargs):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return wrapped

for name in ("fsync", "replace", "unlink", "rmdir", "mkdir"):
    setattr(os, name, counted(getattr(os, name)))
while True:
    at += 1
    calls = 0
    child = os.fork()
    if not child:
        write(Path(sys.argv[1]) / str(at), 3, 6, 9)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    if status == 0:
        break
    assert os.WIFSIGNALED(status), status
print(at)
"""


@pytest.mark.slow
def test_killed_inside_a_write_the_last_whole_one_is_read(tmp_path: Path) -> None:
    """SIGKILL just before each call that changes the disk, of three checkpoints."""
    tries = int(run_script(tmp_path, KILLED))
    assert tries > 20
    reached = set()
    for at in range(1, tries + 1):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # nothing is damaged
            warnings.filterwarnings("ignore", ".* was not written to its end")
            state = read(tmp_path / str(at))
        step = 0 if state is None else int(state["step"])
        if step:
            assert_equal(state, step)
        reached.add(step)
        write(tmp_path / str(at), 12)
        assert_equal(read(tmp_path / str(at)), 12)
    assert reached == {0, 3, 6, 9}


def checked(shapes: Shapes) -> State:
    """Tensors to read into, as `Trainer.template` refuses those of another model."""
    if {name: list(value.shape) for name, value in state_of(0).items()} != {
        name: shape for name, (shape, _) in shapes.items()
    }:
        raise ValueError("another model")
    return empty(shapes)


STRANGE = st.one_of(
    st.none(),
    st.integers(-(2**70), 2**70),
    st.text(max_size=5),
    st.sampled_from(["../x", "/etc/passwd", "load", "float8_e5m2", [], {}, [10**12]]),
)


@given(choices=st.lists(st.integers(0, 30), min_size=6, max_size=6), value=STRANGE)
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_forged_manifest_is_refused_in_words(
    tmp_path: Path, choices: list[int], value: object
) -> None:
    """Whoever can write a checkpoint can write weights, but not more than that."""
    if not (tmp_path / "checkpoint").exists():
        write(tmp_path, 3)
        shutil.copy(newest(tmp_path) / MANIFEST, tmp_path / "whole.json")
    manifest = json.loads((tmp_path / "whole.json").read_text())
    place = manifest
    for choice in choices:
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = keys[choice % len(keys)]
        if not isinstance(place[key], (dict, list)) or not place[key] or choice > 20:
            place[key] = value
            break
        place = place[key]
    write_json(newest(tmp_path) / MANIFEST, manifest)
    with contextlib.suppress(ValueError, OSError):
        Checkpoints(tmp_path).load(checked)


TRAINED = """
import sys
from pathlib import Path
import torch
from test_storage import trained
torch.set_num_threads(1)
trained(Path(sys.argv[1]), sys.argv[2:])
"""


def trained(folder: Path, words: list[str]) -> None:
    """Save the state of a real trainer after three steps, or load it and compare."""
    import torch.distributed as dist

    if not dist.is_initialized() and "alone" not in words:
        dist.init_process_group("gloo")
    trainer = trainer_of(shard="shard" in words)
    checkpoints = Checkpoints(folder)
    if "save" in words:
        for _ in range(3):
            trainer.train_step()
        state = trainer.state()
        checkpoints.save(3, state)
        checkpoints.wait()
        whole = {name: full(value) for name, value in state.items()}
        if checkpoints.rank == 0:
            torch.save(whole, folder / "whole.pt")
    else:
        found = checkpoints.load(trainer.template)
        assert found is not None
        trainer.restore(found)
        expected = torch.load(folder / "whole.pt", weights_only=True)
        state = trainer.state()
        assert state.keys() == expected.keys()
        for name, value in state.items():
            assert torch.equal(full(value), expected[name]), name
    trainer.prepared.close()
    if dist.is_initialized():
        dist.barrier()
        dist.destroy_process_group()


def full(value: Any) -> Tensor:
    return (value.full_tensor() if hasattr(value, "full_tensor") else value).clone()


def trainer_of(**change: Any) -> Trainer:
    small = {"embed_dim": 32, "num_heads": 2, "predictor_embed_dim": 16, "patch_len": 4}
    config = replace(CALM, device="cpu", batch_size=8, **change).resolved(15)
    model = initial_model(walks(), **small)
    return Trainer(model, plan_batches(model, walks(), config), config)


@pytest.mark.slow
def test_split_on_two_processes_read_on_one_and_on_four(tmp_path: Path) -> None:
    run_script(tmp_path, TRAINED, "save", "shard", processes=2)
    assert len(list(newest(tmp_path).glob("*.safetensors"))) == 2
    run_script(tmp_path, TRAINED, "load", "shard", processes=4)
    trained(tmp_path, ["load", "alone"])


def test_the_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 3)
    with pytest.raises(ValueError, match="of another model: "):
        Checkpoints(tmp_path).load(trainer_of().template)
