"""Models on disk: safetensors weights with a JSON configuration and a model card, and exports that need no library."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from .config import Pool, in_words, make_config
from .encoder import append_moments, pool_tokens, view_pool
from .model import TemporalJEPA
from .version import __version__
from .views import channel_signs, points_of

CONFIG, WEIGHTS, CARD = "config.json", "model.safetensors", "README.md"
BUNDLED = Path(__file__).with_name("pretrained")  # models that come with the package, loaded by name


def save_pretrained(
    model: TemporalJEPA, folder: str | os.PathLike[str], details: Mapping[str, Any] | None = None
) -> Path:
    """Write `config.json`, `model.safetensors` and a model card into `folder`, each file whole or not at all.

    Args:
        model: the model, on any device.
        folder: created when missing; files of these three names are replaced.
        details: further entries of `config.json`: how the model was trained, on what.

    Returns:
        The folder.

    Raises:
        OSError: if the folder cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {"format": 1, "version": __version__, "model": vars(model.config), **(details or {})}
    weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    write_atomically(folder / WEIGHTS, save(weights, metadata={"format": "pt"}))
    write_atomically(folder / CONFIG, json.dumps(config, indent=2).encode() + b"\n")
    write_atomically(folder / CARD, _card(config).encode())
    return folder


def from_pretrained(source: str | os.PathLike[str], device: str = "cpu") -> TemporalJEPA:
    """Load a model from a folder (a run folder, or one from `save_pretrained`), from the package or from the hub.

    Args:
        source: a folder; or, when no such folder exists, "series-small", the general encoder that comes with the
            package, or "owner/name" on the Hugging Face hub (extra `[hub]`).
        device: where to put the model.

    Returns:
        The model in evaluation mode.

    Raises:
        FileNotFoundError: if there is no such folder, or a file is missing in it.
        ValueError: if a file is damaged, of another version, or its weights do not fit its configuration.
    """
    folder = folder_of(source)
    config = read_config(folder)
    model = TemporalJEPA(make_config(**config["model"]))
    path = folder / WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; a model is a folder with {CONFIG} and {WEIGHTS}")
    try:
        weights = load_file(path, device="cpu")
    except SafetensorError as error:
        raise ValueError(f"{path} is damaged ({error}); copy it again, or resume the run that wrote it") from None
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        lines = str(error).splitlines()
        raise ValueError(f"{path} does not fit {folder / CONFIG}: {lines[1].strip() if lines[1:] else error}") from None
    return model.to(device).eval()


def read_config(folder: Path) -> dict[str, Any]:
    """The parsed `config.json` of a model or run folder; FileNotFoundError or ValueError says what is wrong with it."""
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"{path} is missing; a model is a folder with {CONFIG} and {WEIGHTS}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no valid JSON ({error}); copy it again") from None
    if not isinstance(config, dict) or config.get("format") != 1 or not isinstance(config.get("model"), dict):
        raise ValueError(f'{path} is not a configuration this version reads: expected "format": 1 and "model": {{...}}')
    return config


def channels_of(config: Mapping[str, Any]) -> int | None:
    """Channels of the series that a stored model was trained on; None where it takes any and says none."""
    if not config["model"].get("views"):
        return int(config["model"]["input_dim"])
    return config.get("channels") or len(config.get("data", {}).get("channels", ())) or None


def folder_of(source: str | os.PathLike[str]) -> Path:
    """Where a model is: its folder, one in the package, or a download from the hub; raises as `from_pretrained`."""
    folder = Path(source)
    if folder.is_dir():
        return folder
    text = os.fspath(source)
    if text in (bundled := sorted(path.name for path in BUNDLED.iterdir())):
        return BUNDLED / text
    if folder.exists():
        raise ValueError(f"{text} is a file; expected a folder with {CONFIG} and {WEIGHTS}")
    if text.count("/") != 1 or text.startswith((".", "/", "~")) or folder.parent.is_dir():
        raise FileNotFoundError(f"{text}: no such folder; expected a run folder, a model, {' or '.join(bundled)}, or "
                                "'owner/name' on the hub")  # fmt: skip
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise FileNotFoundError(
            f"{text}: no such folder; to look it up on the Hugging Face hub: pip install 'temporal-jepa[hub]'"
        ) from None
    return Path(snapshot_download(text, allow_patterns=[CONFIG, WEIGHTS, CARD]))


def write_atomically(path: Path, content: bytes) -> None:
    """Write under a temporary name beside `path`, then rename: readers see the old file or the whole new one.

    A folder that is not there is made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _card(config: Mapping[str, Any]) -> str:
    model = config["model"]
    data = config.get("data", {})
    trained = f"{data['n']} sequences of {Path(data['path']).name}" if data else "see whoever published it"
    width = "any number of channels" if model["views"] else model["input_dim"]
    return f"""---
library_name: temporal-jepa
tags: [time-series, self-supervised, jepa]
---
# A Temporal JEPA encoder

Embeds sequences of {in_words(model)}; missing values (NaN) and any length are accepted.
Trained without labels on: {trained}.

```python
from temporal_jepa import from_pretrained
model = from_pretrained("PATH_OF_THIS_FOLDER")
embedding = model.embed(x)  # x: float tensor (batch, time, {width})
```

The configuration and how it was trained stand in `config.json`. Scores are not transferable to other data: probe it on
yours, beside the untrained encoder, with `temporal-jepa probe`.
"""


class _Embedder(nn.Module):
    """`TemporalJEPA.embed` as one graph without data-dependent shapes: unobserved tokens are masked, not dropped."""

    def __init__(self, model: TemporalJEPA, pool: Pool):
        super().__init__()
        self.encoder, self.pool = model.target_encoder, pool

    def forward(self, x: Tensor) -> Tensor:
        patch = self.encoder.config.patch
        tokens = (x.shape[1] + 2 * patch - 1) // patch  # one to spare, so that no size is ever 1 (torch.export)
        x = F.pad(x, (0, 0, 0, tokens * patch - x.shape[1]), value=float("nan"))
        known = ~x.isnan()
        features = pool_tokens(self.encoder.encode(x, known, drop=False), self.pool)
        return append_moments(self.encoder, features, x, known)


class _ViewsEmbedder(nn.Module):
    """`views.embed_views` of complete series as one graph: `(batch, time, channels)` -> `(batch, features)`."""

    signs: Tensor

    def __init__(self, model: TemporalJEPA, pool: Pool, channels: int):
        super().__init__()
        self.encoder, self.views, self.points = model.target_encoder, model.config.views, points_of(channels)
        self.pool = view_pool(pool)
        with torch.no_grad():
            count = self._features(torch.zeros(1, self.views[0], 1)).shape[1]
        self.register_buffer("signs", torch.from_numpy(channel_signs(channels, count)).float())

    def _features(self, rows: Tensor) -> Tensor:
        return pool_tokens(self.encoder.encode(rows, torch.ones_like(rows, dtype=torch.bool), drop=False), self.pool)

    def forward(self, x: Tensor) -> Tensor:
        x, parts = x.double(), []  # float32 would turn the rounding errors of a constant into a shape
        for length in self.views:
            rows = self._stretched(x, length)  # (B, C, L)
            rows = rows - rows.mean(2, keepdim=True)
            std = rows.square().mean(2, keepdim=True).sqrt()
            rows = torch.where(std > 1e-9 * x.abs().amax(1)[:, :, None], rows / std.clamp(min=1e-300), 0.0)
            features = self._features(rows.to(self.signs.dtype).flatten(0, 1)[:, :, None])
            parts.append((torch.unflatten(features, 0, (-1, x.shape[2])) * self.signs).sum(1))
        mean = x.mean(1)
        std = (x - mean[:, None]).square().mean(1).sqrt()
        digit = 10.0 ** (torch.log(torch.where(std > 0, std, 1.0)) / math.log(10) - 2).floor()
        level = torch.where(std > 0, torch.round(mean / digit) * digit, mean)
        parts += [self._stretched(x, self.points).flatten(1), level, torch.round(std / digit) * digit]
        return torch.cat([part.float() for part in parts], dim=1)

    @staticmethod
    def _stretched(x: Tensor, length: int) -> Tensor:
        """Each channel resampled linearly: `(B, T, C)` -> `(B, C, length)`."""
        last = x.shape[1] - 1
        place = torch.arange(length, device=x.device) * last  # whole numbers: exact for any time
        low = torch.div(place, length - 1, rounding_mode="floor")
        share = (place - low * (length - 1)).to(x.dtype) / (length - 1)
        high = (low + 1).clamp(max=last)
        return (x[:, low] * (1 - share)[:, None] + x[:, high] * share[:, None]).transpose(1, 2)


def export(
    model: TemporalJEPA,
    path: str | os.PathLike[str],
    format: Literal["onnx", "torch"] = "onnx",
    pool: Pool = "all",
    channels: int = 1,
) -> Path:
    """Write `embed` as one graph, `x (batch, time, channels)` -> `(batch, features)`, batch and time dynamic.

    Args:
        model: the model.
        path: file to write; its folder must exist.
        format: "onnx" (extra `[onnx]`) or "torch" (a `torch.export` program, `.pt2`).
        pool: see `TemporalJEPA.embed`.
        channels: of the graph of a model with `views`, which takes any number of them, but then no missing values.

    Returns:
        The path.

    Raises:
        ImportError: if the extra is missing.
        ValueError: for an unknown format.
    """
    if format not in ("onnx", "torch"):
        raise ValueError(f"format must be 'onnx' or 'torch', got {format!r}")
    path, views = Path(path), bool(model.config.views)
    graph = (_ViewsEmbedder(model.cpu(), pool, channels) if views else _Embedder(model, pool).cpu()).eval()
    example = torch.zeros(2, 4 * model.config.patch + 1, channels if views else model.config.input_dim)
    dynamic = {"x": {0: torch.export.Dim("batch", min=1), 1: torch.export.Dim("time", min=2)}}
    with torch.no_grad():
        if format == "torch":
            torch.export.save(torch.export.export(graph, (example,), dynamic_shapes=dynamic), path)
            return path
        try:
            import onnxscript  # noqa: F401
        except ImportError:
            raise ImportError("export to ONNX needs onnx and onnxscript: pip install 'temporal-jepa[onnx]'") from None
        program = torch.onnx.export(
            graph, (example,), dynamo=True, dynamic_shapes=dynamic, input_names=["x"], output_names=["embedding"],
            external_data=False, verbose=False,
        )  # fmt: skip
        assert program is not None
        program.save(str(path))
    return path
