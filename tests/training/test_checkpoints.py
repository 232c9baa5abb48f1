"""Checkpoints: whatever happens to their files, a run never resumes to other weights."""

import errno
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from factories import TINY
from small_runs import SHORT, drop_checkpoint, walks

from temporal_jepa import pretrain
from temporal_jepa.files import write_json
from temporal_jepa.training import storage
from temporal_jepa.training.checkpoints import Checkpoints

CONFIG = replace(SHORT, steps=6, save_every=2)
Damage = Callable[[Path], None]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pretrain(walks(), tmp_path_factory.mktemp("whole") / "run", CONFIG, TINY)


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    """A finished run with the checkpoints of steps 4 and 6."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def newest(run: Path) -> Path:
    return run / "checkpoint" / "step-00000006"


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def other_json(path: Path) -> None:
    path.write_text('{"files": {}, "tensors": []}')


@pytest.mark.parametrize("name", ["manifest.json", "00000.safetensors"])
@pytest.mark.parametrize(
    "damage", [truncate, flip, empty, Path.unlink, replace_by_folder, other_json]
)
def test_the_checkpoint_before_a_damaged_one_is_used(
    run: Path, finished: Path, name: str, damage: Damage
) -> None:
    damage(newest(run) / name)
    with pytest.warns(
        UserWarning,
        match="step-00000006 (is damaged|was not written).* from step 4, and repeats 2 steps",
    ):
        pretrain(walks(), run, CONFIG, TINY, resume=True)
    for file in ("model.safetensors", "checkpoint/step-00000006/00000.safetensors"):
        assert (run / file).read_bytes() == (finished / file).read_bytes()


def test_no_flipped_bit_is_believed(run: Path, finished: Path) -> None:
    """Flips anywhere: each is noticed, or changes nothing."""
    rng = random.Random(0)
    checkpoints = Checkpoints(run)
    for name in ("manifest.json", "00000.safetensors"):
        path = newest(run) / name
        whole = path.read_bytes()
        for _ in range(40):
            content = bytearray(whole)
            content[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
            path.write_bytes(bytes(content))
            damage, _ = checkpoints._checked(newest(run))
            if name == "manifest.json" and not damage:  # as a space or "e" and "E"
                sealed = json.loads(content)
                assert sealed == json.loads(whole)
            else:
                assert damage
        path.write_bytes(whole)


def test_without_a_whole_checkpoint_there_is_an_error(run: Path) -> None:
    for folder in (run / "checkpoint").iterdir():
        flip(folder / "00000.safetensors")
    with pytest.raises(ValueError, match="no other checkpoint; copy one of them again"):
        pretrain(walks(), run, CONFIG, TINY, resume=True)


def test_a_killed_write_leaves_no_checkpoint_and_is_cleaned_up(
    run: Path, finished: Path
) -> None:
    """Killed between the files of a checkpoint and its manifest."""
    (newest(run) / "manifest.json").unlink()
    with pytest.warns(UserWarning, match=r"manifest\.json is missing"):
        pretrain(walks(), run, CONFIG, TINY, resume=True)
    names = sorted(path.name for path in (run / "checkpoint").iterdir())
    assert names == ["step-00000004", "step-00000006"]
    whole = (finished / "model.safetensors").read_bytes()
    assert (run / "model.safetensors").read_bytes() == whole


def test_a_link_is_no_checkpoint(run: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    newest(run).rename(outside)
    newest(run).symlink_to(outside)
    pretrain(walks(), run, CONFIG, TINY, overwrite=True)
    assert (outside / "manifest.json").is_file()


def test_a_full_disk_keeps_the_checkpoint_before(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    real = storage.write_atomically

    def full(path: Path, content: bytes) -> None:
        if "step-00000004" in str(path):
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(path, content)

    monkeypatch.setattr(storage, "write_atomically", full)
    with pytest.raises(OSError, match="No space left"):
        pretrain(walks(), out, CONFIG, TINY)
    monkeypatch.undo()
    assert (out / "checkpoint" / "step-00000002" / "manifest.json").is_file()
    with pytest.warns(UserWarning, match="step-00000004 was not written to its end"):
        pretrain(walks(), out, CONFIG, TINY, resume=True)
    whole = (finished / "model.safetensors").read_bytes()
    assert (out / "model.safetensors").read_bytes() == whole


def test_a_run_of_an_earlier_version_is_not_continued_with_other_batches(
    run: Path,
) -> None:
    config = json.loads((run / "config.json").read_text())
    del config["sampling"], config["sha256"]
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match="drew other batches; finish it with that"):
        pretrain(walks(), run, CONFIG, TINY, resume=True)


def test_files_hold_no_pickle(run: Path) -> None:
    for path in newest(run).iterdir():
        head = path.read_bytes()[:16]
        assert path.suffix in (".json", ".safetensors")
        assert b"PK" not in head
        assert not head.startswith(b"\x80")


def test_a_resumed_run_repeats_what_was_lost(run: Path, finished: Path) -> None:
    drop_checkpoint(run, 6)
    rows: list[dict[str, Any]] = []
    pretrain(walks(), run, CONFIG, TINY, resume=True, on_row=rows.append)
    assert [row["step"] for row in rows] == [6]


def test_a_checkpoint_of_a_run_with_other_settings_is_refused(
    run: Path, tmp_path: Path
) -> None:
    other = pretrain(walks(), tmp_path / "other", replace(CONFIG, seed=1), TINY)
    shutil.rmtree(newest(run))
    shutil.copytree(newest(other), newest(run))
    said = (
        f"step-00000006 is of another run .*{other}.*: its pretrain.seed is 1, that of "
    )
    with pytest.raises(ValueError, match=said):
        pretrain(walks(), run, CONFIG, TINY, resume=True)


def test_a_checkpoint_that_does_not_say_of_which_run_it_is_is_read(run: Path) -> None:
    """As those of earlier versions."""
    for folder in (run / "checkpoint").iterdir():
        manifest = json.loads((folder / "manifest.json").read_text())
        del manifest["run"]
        write_json(folder / "manifest.json", manifest)
    drop_checkpoint(run, 6)
    rows: list[dict[str, Any]] = []
    moved = replace(CONFIG, log_every=1, device="cpu")  # may change
    pretrain(walks(), run, moved, TINY, resume=True, on_row=rows.append)
    assert [row["step"] for row in rows] == [5, 6]
