"""What stands where a store was meant is named, with what to do."""

import os
import shlex
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from temporal_jepa import read
from temporal_jepa.cli.main import main
from temporal_jepa.data.store import writer
from temporal_jepa.data.store.prepare import prepare


@pytest.fixture
def store(tmp_path: Path) -> Path:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(6, 2, 20)))
    prepare(tmp_path / "x.npy", tmp_path / "stores" / "a")
    return tmp_path / "stores" / "a"


@pytest.fixture
def stopped(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store whose replacement was killed between two renames."""
    np.save(tmp_path / "y.npy", np.random.default_rng(1).normal(size=(7, 2, 20)))
    real = os.replace

    def killed(source: Any, target: Any) -> None:
        if Path(target) == store:
            raise KeyboardInterrupt
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(writer.os, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            prepare(tmp_path / "y.npy", store, overwrite=True)
    assert not store.exists()
    return store


def test_the_old_store_can_be_put_back_by_the_command_that_is_named(
    stopped: Path,
) -> None:
    with pytest.raises(ValueError, match="was being replaced when") as caught:
        read(stopped)
    assert f"the new one, whole, {stopped.parent / '.a.partial'}" in str(caught.value)
    _, old, place = shlex.split(str(caught.value).rpartition("back: ")[2])
    os.replace(old, place)
    assert len(read(stopped)) == 6


def test_the_same_command_puts_the_new_store_in_its_place(
    stopped: Path, tmp_path: Path
) -> None:
    assert len(prepare(tmp_path / "y.npy", stopped, overwrite=True)) == 7
    assert len(read(stopped)) == 7
    assert [path.name for path in stopped.parent.iterdir()] == ["a"]


def test_a_store_is_not_verified_while_it_is_away(
    stopped: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", str(stopped), "--verify"]) == 1
    assert "was being replaced when" in capsys.readouterr().err


def test_the_beginning_of_a_store_is_named(store: Path) -> None:
    partial = store.rename(store.with_name(".a.partial"))
    (partial / "store.json").rename(partial / "journal.json")
    again = "give the same temporal-jepa prepare command again to go on"
    with pytest.raises(
        ValueError, match=rf"a is not finished, .*\.a\.partial; {again}"
    ):
        read(store)
    with pytest.raises(ValueError, match=rf"is the beginning of a store; {again}"):
        read(partial)
    with pytest.raises(ValueError, match=rf"holds only the beginning .*; {again}"):
        read(partial.parent)


def test_a_store_that_was_copied_in_part_is_named(store: Path) -> None:
    (store / "store.json").unlink()
    with pytest.raises(
        ValueError, match=r"a has the files of a store, but no store\.json"
    ):
        read(store)


def test_a_folder_above_stores_names_them(store: Path) -> None:
    shutil.copytree(store, store.with_name("b"))
    with pytest.raises(
        ValueError, match=r"is no store but holds \S*/a, \S*/b; name one"
    ):
        read(store.parent)
