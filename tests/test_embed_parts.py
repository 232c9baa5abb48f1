"""Embeddings in parts: equal to those in one piece, and never lost or computed twice."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from factories import TINY
from processes import start_script
from small_runs import walks

from temporal_jepa import TemporalJEPA
from temporal_jepa.cli.main import main
from temporal_jepa.embed import embed_sequences, embed_timesteps
from temporal_jepa.embed import parts as parts_module
from temporal_jepa.embed.parts import (
    Parts,
    embed_in_parts,
    model_digest,
    read_parts,
)
from temporal_jepa.training.initial import initial_model

DATA = walks(40)
SOURCE = {"model": "m", "data": "d"}


@pytest.fixture(scope="module")
def model() -> TemporalJEPA:
    return initial_model(DATA, **TINY)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_module, "PART_BYTES", 2**12)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_parts_are_the_whole_in_order(model: TemporalJEPA, tmp_path: Path) -> None:
    seen: list[int] = []
    parts = Parts(tmp_path / "out")
    count = embed_in_parts(model, DATA, parts, SOURCE, on_sequences=seen.append)
    assert count >= 8
    assert len(seen) >= count
    assert sum(seen) == 40
    table = pd.read_parquet(tmp_path / "out")
    assert table["id"].tolist() == DATA.ids
    np.testing.assert_array_equal(
        table.select_dtypes("float32"), embed_sequences(model, DATA)
    )
    embed_in_parts(model, DATA, Parts(tmp_path / "npy", "npy"), SOURCE)
    np.testing.assert_array_equal(
        read_parts(tmp_path / "npy"), embed_sequences(model, DATA)
    )
    with pytest.raises(ValueError, match="read it with pandas"):
        read_parts(tmp_path / "out")


def test_parts_of_timesteps(model: TemporalJEPA, tmp_path: Path) -> None:
    embed_in_parts(model, DATA, Parts(tmp_path / "out", timesteps=True), SOURCE)
    table = pd.read_parquet(tmp_path / "out")
    expected = np.concatenate(embed_timesteps(model, DATA))
    np.testing.assert_array_equal(table.select_dtypes("float32"), expected)
    assert table.groupby("id", sort=False)["timestep"].max().tolist() == [
        length - 1 for length in DATA.lengths
    ]


def test_processes_share_the_parts(
    model: TemporalJEPA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embed_in_parts(model, DATA, Parts(tmp_path / "one"), SOURCE)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        embed_in_parts(model, DATA, Parts(tmp_path / "two"), SOURCE)
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_whole_parts_are_not_computed_again_and_damaged_ones_are(
    model: TemporalJEPA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = Parts(tmp_path / "out", "npy")
    count = embed_in_parts(model, DATA, parts, SOURCE)
    whole = contents(parts.folder)
    (parts.folder / "part-00001.npy").unlink()
    flipped = bytearray(whole["part-00002.npy"])
    flipped[-5] ^= 1
    (parts.folder / "part-00002.npy").write_bytes(flipped)
    (parts.folder / "_part-00003.json").write_text("{}")
    with pytest.raises(ValueError, match=r"3 of .* parts are missing or damaged"):
        read_parts(parts.folder)
    computed: list[int] = []
    real = parts_module._write_part

    def counted(parts: Parts, number: int, *arguments: Any) -> None:
        computed.append(number)
        real(parts, number, *arguments)

    monkeypatch.setattr(parts_module, "_write_part", counted)
    assert embed_in_parts(model, DATA, parts, SOURCE) == count
    assert computed == [1, 2, 3]
    assert contents(parts.folder) == whole


@pytest.mark.parametrize("name", ["part-00001-ids.npy", "part-00001-labels.npy"])
@pytest.mark.parametrize("content", [None, b"damaged"])
def test_ids_and_labels_beside_a_part_are_checked_too(
    model: TemporalJEPA, tmp_path: Path, name: str, content: bytes | None
) -> None:
    parts = Parts(tmp_path / "out", "npy")
    labeled = replace(DATA, labels=np.array(["a", "b"] * 20))
    embed_in_parts(model, labeled, parts, SOURCE)
    before = contents(parts.folder)
    path = parts.folder / name
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"1 of .* parts are missing or damaged"):
        read_parts(parts.folder)
    embed_in_parts(model, labeled, parts, SOURCE)
    assert contents(parts.folder) == before


def test_parts_of_something_else_are_not_mixed(
    model: TemporalJEPA, tmp_path: Path
) -> None:
    parts = Parts(tmp_path / "out", "npy")
    embed_in_parts(model, DATA, parts, SOURCE)
    with pytest.raises(ValueError, match="made with another model;"):
        embed_in_parts(model, DATA, parts, {**SOURCE, "model": "other"})
    with pytest.raises(ValueError, match="made with another pool"):
        embed_in_parts(model, DATA, Parts(parts.folder, "npy", "mean"), SOURCE)
    embed_in_parts(
        model, DATA, Parts(parts.folder, "npy", "mean"), SOURCE, overwrite=True
    )
    assert read_parts(parts.folder).shape == (40, 16)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("")
    with pytest.raises(ValueError, match="choose a new folder"):
        embed_in_parts(model, DATA, Parts(tmp_path / "mine"), SOURCE, overwrite=True)


def test_a_model_is_identified_by_its_weights(model: TemporalJEPA) -> None:
    assert model_digest(model) == model_digest(initial_model(DATA, **TINY))
    assert model_digest(model) != model_digest(initial_model(DATA, seed=1, **TINY))


@pytest.mark.slow
def test_a_killed_command_goes_on_where_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(0)
    np.save(tmp_path / "x.npy", rng.standard_normal((400, 1, 64)).cumsum(2))
    size = 2**14
    script = (
        f"import os; os.chdir({str(tmp_path)!r}); "
        f"from temporal_jepa.embed import parts; parts.PART_BYTES = {size}; "
        "from temporal_jepa.cli.main import main; main()"
    )
    words = ["embed", "series-small", "x.npy", "--dim", "128", "--out"]
    (tmp_path / "main.py").write_text(script)
    said = tmp_path / "said.txt"
    killed = start_script(tmp_path / "main.py", *words, "killed", output=said)
    while not (tmp_path / "killed" / "_part-00001.json").exists():
        time.sleep(0.01)
        assert killed.is_alive(), said.read_text()
    killed.kill()
    killed.join()
    first = tmp_path / "killed" / "part-00000.parquet"
    before = first.stat().st_mtime_ns
    count = len(list((tmp_path / "killed").glob("part-*")))
    monkeypatch.setattr(parts_module, "PART_BYTES", size)
    monkeypatch.chdir(tmp_path)
    for name in ("killed", "whole"):
        assert main([*words, name]) == 0
    assert first.stat().st_mtime_ns == before
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert count < len(list((tmp_path / "whole").glob("part-*")))
    stored = json.loads((tmp_path / "whole" / "_embedding.json").read_text())
    assert stored["n"] == 400


def test_damaged_ids_are_made_again(model: TemporalJEPA, tmp_path: Path) -> None:
    parts = Parts(tmp_path / "out", "npy")
    embed_in_parts(model, DATA, parts, SOURCE)
    whole = contents(parts.folder)
    for name in ("part-00000-ids.npy", "part-00001-ids.npy"):
        content = bytearray(whole[name])
        content[-4] ^= 1
        (parts.folder / name).write_bytes(content)
    (parts.folder / "part-00002-ids.npy").unlink()
    with pytest.raises(ValueError, match="missing or damaged"):
        read_parts(parts.folder)
    embed_in_parts(model, DATA, parts, SOURCE)
    assert contents(parts.folder) == whole


def test_a_kill_before_the_description_blocks_nothing(
    model: TemporalJEPA, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / ".temporal-jepa-0123456789abcdef.json").write_text("{")
    embed_in_parts(model, DATA, Parts(folder), SOURCE)
    assert not list(folder.glob(".temporal-jepa-*"))


def test_parts_of_a_process_that_was_replaced_are_made_again(
    model: TemporalJEPA, tmp_path: Path
) -> None:
    """It may go on writing after another began to overwrite its embeddings."""
    new, old = Parts(tmp_path / "new", "npy"), Parts(tmp_path / "old", "npy")
    embed_in_parts(model, DATA, new, SOURCE)
    embed_in_parts(model, DATA, old, {**SOURCE, "model": "other"})
    whole = contents(new.folder)
    for name, content in contents(old.folder).items():
        if "part-00001" in name:
            (new.folder / name).write_bytes(content)
    with pytest.raises(ValueError, match="missing or damaged"):
        read_parts(new.folder)
    embed_in_parts(model, DATA, new, SOURCE)
    assert contents(new.folder) == whole
