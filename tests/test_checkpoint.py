"""Models on disk: equal after a round trip, whole or not at all, exports equal to eager."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from temporal_jepa import RECIPE, TemporalJEPA, TemporalJEPAConfig, from_pretrained, save_pretrained
from temporal_jepa.model.export import export

CONFIG = TemporalJEPAConfig(input_dim=2, seq_len=100, **{**RECIPE, "embed_dim": 16, "num_heads": 2})


@pytest.fixture
def model() -> TemporalJEPA:
    torch.manual_seed(0)
    return TemporalJEPA(CONFIG).eval()


def test_round_trip(model: TemporalJEPA, tmp_path: Path) -> None:
    model.set_normalizer(
        torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]), torch.tensor([0.5, 0.6])
    )
    folder = save_pretrained(model, tmp_path / "a" / "model", {"data": {"n": 3, "path": "x.csv"}})
    assert {p.name for p in folder.iterdir()} == {"config.json", "model.safetensors", "README.md"}
    again = from_pretrained(folder)
    assert again.config == model.config
    assert not again.training
    x = torch.randn(3, 40, 2)
    assert torch.equal(again.embed(x), model.embed(x))
    assert "3 sequences of x.csv" in (folder / "README.md").read_text()


def test_no_pickle_is_written_or_read(model: TemporalJEPA, tmp_path: Path) -> None:
    folder = save_pretrained(model, tmp_path)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "model.bin")
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors is missing"):
        from_pretrained(folder)


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
def test_weights_cut_short_are_named(model: TemporalJEPA, tmp_path: Path, keep: float) -> None:
    path = save_pretrained(model, tmp_path) / "model.safetensors"
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged"):
        from_pretrained(tmp_path)


def test_wrong_folders_are_explained(model: TemporalJEPA, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such folder"):
        from_pretrained(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing"):
        from_pretrained(tmp_path)
    config = save_pretrained(model, tmp_path) / "config.json"
    with pytest.raises(ValueError, match="is a file; expected a folder"):
        from_pretrained(config)
    text = config.read_text()
    config.write_text(text[:50])
    with pytest.raises(ValueError, match="no valid JSON"):
        from_pretrained(tmp_path)
    config.write_text(text.replace("embed_dim", "embed_dims", 1))
    with pytest.raises(ValueError, match="did you mean 'embed_dim'"):
        from_pretrained(tmp_path)
    config.write_text(json.dumps({"format": 2, "model": {}}))
    with pytest.raises(ValueError, match='expected "format": 1'):
        from_pretrained(tmp_path)


def test_weights_of_another_model_are_refused(model: TemporalJEPA, tmp_path: Path) -> None:
    save_pretrained(model, tmp_path / "a")
    save_pretrained(TemporalJEPA(replace(CONFIG, encoder_depth=1)), tmp_path / "b")
    shutil.copy(tmp_path / "b" / "model.safetensors", tmp_path / "a" / "model.safetensors")
    with pytest.raises(ValueError, match=r"does not fit .*config\.json: (Missing|Unexpected) key"):
        from_pretrained(tmp_path / "a")


def cases() -> list[torch.Tensor]:
    """Other sizes than the exported example, with a gap and padding."""
    inputs = [torch.randn(1, 2, 2), torch.randn(3, 57, 2), torch.randn(5, 211, 2)]
    inputs[1][0, 10:30] = float("nan")
    inputs[1][1, 40:] = float("nan")
    inputs[2][3, :, 1] = float("nan")
    return inputs


@pytest.mark.parametrize(
    "change", [{}, {"normalize": "instance"}, {"tokenizer": "linear", "patch_len": 1}]
)
def test_torch_export_equals_eager(tmp_path: Path, change: dict[str, object]) -> None:
    model = TemporalJEPA(replace(CONFIG, **change)).eval()
    program = torch.export.load(export(model, tmp_path / "m.pt2", "torch")).module()
    for x in cases():
        torch.testing.assert_close(program(x), model.embed(x), atol=1e-5, rtol=1e-5)


def test_a_scene_with_a_token_each_timestep_is_exported(tmp_path: Path) -> None:
    scene = replace(CONFIG, input_dim=18, frame=(1, 9, 2), tokenizer="conv", patch_len=1)
    model = TemporalJEPA(scene).eval()
    program = torch.export.load(export(model, tmp_path / "m.pt2", "torch")).module()
    x = torch.randn(3, 21, 18)
    x[0, :5, :2] = float("nan")
    torch.testing.assert_close(program(x), model.embed(x), atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_onnx_equals_eager(model: TemporalJEPA, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(export(model, tmp_path / "m.onnx", "onnx"))
    for x in cases():
        (found,) = session.run(None, {"x": x.numpy()})
        np.testing.assert_allclose(found, model.embed(x).numpy(), atol=1e-5, rtol=1e-5)


def test_unknown_format(model: TemporalJEPA, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="'onnx' or 'torch', got 'tflite'"):
        export(model, tmp_path / "m", "tflite")  # type: ignore[arg-type]
