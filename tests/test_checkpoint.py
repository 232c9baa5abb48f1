"""Models on disk: whole or not at all, faults named. The round trip is in test_contract."""

import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from factories import edit_json

from temporal_jepa import (
    RECIPE,
    TemporalJEPA,
    TemporalJEPAConfig,
    from_pretrained,
    save_pretrained,
)

CONFIG = TemporalJEPAConfig(
    input_dim=2, seq_len=100, **{**RECIPE, "embed_dim": 16, "num_heads": 2}
)


@pytest.fixture
def model() -> TemporalJEPA:
    torch.manual_seed(0)
    return TemporalJEPA(CONFIG).eval()


def test_a_saved_model_is_three_files_and_a_card_of_its_data(
    model: TemporalJEPA, tmp_path: Path
) -> None:
    folder = save_pretrained(
        model, tmp_path / "a" / "model", {"data": {"n": 3, "path": "x.csv"}}
    )
    assert {p.name for p in folder.iterdir()} == {
        "config.json",
        "model.safetensors",
        "README.md",
    }
    assert "3 sequences of x.csv" in (folder / "README.md").read_text()


def test_no_pickle_is_written_or_read(model: TemporalJEPA, tmp_path: Path) -> None:
    folder = save_pretrained(model, tmp_path)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "model.bin")
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors is missing"):
        from_pretrained(folder)


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_weights_cut_short_are_named(
    model: TemporalJEPA, tmp_path: Path, keep: float
) -> None:
    path = save_pretrained(model, tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged"):
        from_pretrained(tmp_path)


def test_wrong_folders_are_explained(model: TemporalJEPA, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        from_pretrained(tmp_path / "nothing")
    for name in ("runs/nothing", "./nothing/a", "~/nothing", "~nobody/a", "../a/b"):
        with pytest.raises(FileNotFoundError, match="did pretrain finish"):
            from_pretrained(name)
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing"):
        from_pretrained(tmp_path)
    config = save_pretrained(model, tmp_path) / "config.json"
    with pytest.raises(ValueError, match="is a file; expected a folder"):
        from_pretrained(config)
    text = config.read_text()
    config.write_text(text[:50])
    with pytest.raises(ValueError, match="not valid JSON"):
        from_pretrained(tmp_path)
    config.write_text(text.replace("embed_dim", "embed_dims", 1))
    with pytest.raises(ValueError, match="was changed after it was written"):
        from_pretrained(tmp_path)
    edit_json(config, lambda content: None)
    with pytest.raises(ValueError, match="did you mean 'embed_dim'"):
        from_pretrained(tmp_path)
    config.write_text(json.dumps({"format": 2, "model": {}}))
    with pytest.raises(ValueError, match='expected "format": 1'):
        from_pretrained(tmp_path)


def test_weights_of_another_model_are_refused(
    model: TemporalJEPA, tmp_path: Path
) -> None:
    save_pretrained(model, tmp_path / "a")
    save_pretrained(TemporalJEPA(replace(CONFIG, encoder_depth=1)), tmp_path / "b")
    shutil.copy(
        tmp_path / "b" / "model.safetensors", tmp_path / "a" / "model.safetensors"
    )
    with pytest.raises(ValueError, match="belong to different models"):
        from_pretrained(tmp_path / "a")
    edit_json(tmp_path / "a" / "config.json", lambda content: None)
    with pytest.raises(
        ValueError, match=r"does not fit .*config\.json: (Missing|Unexpected) key"
    ):
        from_pretrained(tmp_path / "a")


def test_the_methods_are_the_functions(model: TemporalJEPA, tmp_path: Path) -> None:
    model.save_pretrained(tmp_path / "method", {"note": "a"})
    save_pretrained(model, tmp_path / "function", {"note": "a"})
    for name in ("config.json", "model.safetensors", "README.md"):
        written = (tmp_path / "method" / name).read_bytes()
        assert written == (tmp_path / "function" / name).read_bytes()
    x = torch.randn(2, 50, 2)
    again = TemporalJEPA.from_pretrained(tmp_path / "method")
    assert torch.equal(again.embed(x), model.embed(x))


@pytest.mark.parametrize("error", [ConnectionError("no"), ValueError("bad name")])
def test_a_model_that_the_hub_does_not_give_may_be_a_run(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def fail(*args: object, **more: object) -> None:
        raise error

    monkeypatch.setattr(hub, "snapshot_download", fail)
    with pytest.raises(FileNotFoundError) as raised:
        from_pretrained("me/model")
    text = str(raised.value)
    assert text.startswith("me/model: no such folder here, and no model of this name")
    assert "for a run, check the path" in text


def test_a_full_disk_stays_one_in_a_download(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")

    def fail(*args: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(hub, "snapshot_download", fail)
    with pytest.raises(OSError, match="No space left"):
        from_pretrained("me/model")


def test_a_model_on_the_hub_loads_and_has_no_path_of_its_data(
    model: TemporalJEPA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub")
    model.save_pretrained(tmp_path / "run", {"data": {"n": 3, "path": "/secret/x.csv"}})

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        shutil.copytree(folder_path, tmp_path / "hub")
        return SimpleNamespace(commit_url=f"https://hub/{repo_id}")

    created = []
    monkeypatch.setattr(hub.HfApi, "upload_folder", upload_folder)
    monkeypatch.setattr(
        hub.HfApi, "create_repo", lambda self, *args, **more: created.append(args)
    )
    loaded = TemporalJEPA.from_pretrained(tmp_path / "run")
    assert loaded.push_to_hub("me/model", private=True) == "https://hub/me/model"
    assert created == [("me/model",)]
    card = (tmp_path / "hub" / "README.md").read_text("utf-8")
    assert 'from_pretrained("me/model")' in card
    assert "secret" not in (tmp_path / "hub" / "config.json").read_text("utf-8")
    x = torch.randn(2, 50, 2)
    assert torch.equal(from_pretrained(tmp_path / "hub").embed(x), model.embed(x))
