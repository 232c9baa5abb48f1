"""Models on disk: safetensors weights, a JSON configuration and a model card."""

import json
import os
import re
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import torch

from ..config import TemporalJEPAConfig, in_words, make_config
from ..files import (
    CARD,
    CONFIG,
    WEIGHTS,
    folder_of,
    missing_file,
    read_config,
    replacing,
)
from ..files.atomic import check_file
from ..files.sealed import SHA256, digest, json_bytes, seal
from ..version import __version__
from .modules import Modules
from .objectives import stored_objective
from .objectives.objective import Objective

PLACE = "PATH_OF_THIS_FOLDER"  # in the card
CONFIG_SHA256 = "config_sha256"  # in the metadata of the weights: what they are of
DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""The names of types in safetensors files."""


def save(
    folder: str | os.PathLike[str],
    details: Mapping[str, Any],
    state: Mapping[str, torch.Tensor],
) -> Path:
    """Write the three files of a model into a folder, see `TemporalJEPA.save_pretrained`.

    Args:
        folder: created if missing; files of these three names are replaced.
        details: entries of `config.json`; "model", "objective" and "modules" are among them.
        state: the tensors of the model by name, on any device.

    Returns:
        The folder.

    Raises:
        OSError: if the folder cannot be written.
    """
    folder = Path(folder)
    config: dict[str, Any] = {"format": 1, "version": __version__, **details}
    weights = {name: value.detach().cpu().contiguous() for name, value in state.items()}
    config = seal(config)
    metadata = {
        "format": "pt",
        SHA256: _checksum(weights),
        CONFIG_SHA256: _identity(config),
    }
    with ExitStack() as files:  # all are on disk before the first one is replaced
        card = files.enter_context(replacing(folder / CARD))
        settings = files.enter_context(replacing(folder / CONFIG))
        model_file = files.enter_context(replacing(folder / WEIGHTS))
        card.write(_card(config).encode())
        settings.write(json_bytes(config))
        _write_weights(model_file, weights, metadata)
    return folder


@dataclass(frozen=True)
class Stored:
    """A model in a folder, before it is built.

    Attributes:
        architecture: of the model.
        objective: what it was trained on, None if that is not of this package.
        weights: its tensors by name, on the CPU, without those of an objective that is None.
        fit: the error that says that weights do not fit the configuration, from its reason.
    """

    architecture: TemporalJEPAConfig
    objective: Objective | None
    weights: dict[str, torch.Tensor]
    fit: Callable[[str], ValueError]


def load(source: str | os.PathLike[str], modules: Modules) -> Stored:
    """What `TemporalJEPA.from_pretrained` builds a model from.

    Raises:
        FileNotFoundError: if there is no such folder, or a file is missing in it.
        ValueError: if a file is damaged or of another format, or other modules are needed.
    """
    folder = folder_of(source)
    config = read_config(folder)
    objective = _objective(folder, config)
    check_modules(folder, config, modules)
    try:
        architecture = make_config(**config["model"])
    except (TypeError, ValueError) as error:
        raise ValueError(
            f'{folder / CONFIG} has a "model" that cannot be built: {error}; copy it again'
        ) from None
    weights = _read_weights(folder / WEIGHTS, config)
    if objective is None:  # it cannot be made again here
        weights = _without_objective(weights)

    def fit(reason: str) -> ValueError:
        return ValueError(
            f"{folder / WEIGHTS} does not fit {folder / CONFIG}: {reason}"
        )

    return Stored(architecture, objective, weights, fit)


def upload(folder: Path, repo_id: str, private: bool) -> str:
    """Copy the files of a model to the Hugging Face hub; see `TemporalJEPA.push_to_hub`."""
    try:
        from huggingface_hub import HfApi
    except ImportError:
        raise ImportError(
            "the Hugging Face hub needs its extra: pip install 'temporal-jepa[hub]'"
        ) from None
    card = folder / CARD
    text = card.read_text("utf-8").replace(PLACE, repo_id)
    card.write_text(text, "utf-8")
    api = HfApi()
    api.create_repo(repo_id, private=private, exist_ok=True)
    commit = api.upload_folder(
        repo_id=repo_id,
        folder_path=folder,
        commit_message="Upload a Temporal JEPA model",
    )
    return str(commit.commit_url)


def _objective(folder: Path, config: Mapping[str, Any]) -> Objective | None:
    """The objective of a stored model, see `stored_objective`."""
    try:
        return stored_objective(config)
    except ValueError as error:
        raise ValueError(f"{folder / CONFIG}: {error}") from None


def _write_weights(
    file: BinaryIO,
    weights: Mapping[str, torch.Tensor],
    metadata: Mapping[str, str],
) -> None:
    """Write a safetensors file: the length of a JSON header, the header, the tensors.

    The library's own writer puts the entries of `metadata` in another order each time, and takes
    memory for all tensors; equal weights should be equal files.
    """
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    wide_first = sorted(weights, key=lambda name: (-weights[name].itemsize, name))
    start = 0
    for name in wide_first:
        value = weights[name]
        header[name] = {
            "dtype": DTYPES[value.dtype],
            "shape": list(value.shape),
            "data_offsets": [start, start + value.nbytes],
        }
        start += value.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # so that the tensors are aligned
    file.write(len(text).to_bytes(8, "little") + text)
    for name in wide_first:
        file.write(_bytes_of(weights[name]))


def _bytes_of(value: torch.Tensor) -> memoryview:
    return value.reshape(-1).view(torch.uint8).numpy().data


def _read_weights(path: Path, config: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """The tensors of a file of weights, on the CPU.

    Raises:
        OSError: if the file is missing, cannot be read, or is no file.
        ValueError: if it is damaged, was changed after it was written, or belongs to another
            configuration.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    advice = "copy it again, or resume the run that wrote it"
    if not path.exists():
        raise FileNotFoundError(missing_file(path))
    check_file(path)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
        weights = load_file(path, device="cpu")
    except SafetensorError as error:
        reason = str(error)[:200]
        raise ValueError(f"{path} is damaged ({reason}); {advice}") from None
    except RuntimeError as error:  # of torch, with the number of an error of the system
        number = re.search(r"\((\d+)\)$", str(error))
        if number is None:
            raise
        code = int(number[1])
        raise OSError(code, os.strerror(code), str(path)) from None
    if SHA256 in metadata and metadata[SHA256] != _checksum(weights):
        raise ValueError(
            f"{path} was changed after it was written: its checksum is not that of its weights; "
            f"{advice}"
        )
    was_edited = SHA256 not in config  # on purpose: its checksum was deleted
    if not was_edited and metadata.get(CONFIG_SHA256) not in (None, _identity(config)):
        raise ValueError(
            f"{path} and {CONFIG} beside it belong to different models: one of them was replaced, "
            "or the program that wrote them was killed between the two; copy or save both again"
        )
    return weights


def _checksum(weights: Mapping[str, torch.Tensor]) -> str:
    """The SHA-256 of names, types, shapes and values."""
    found = sha256()
    for name, value in sorted(weights.items()):
        found.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        found.update(_bytes_of(value))
    return found.hexdigest()


def _identity(config: Mapping[str, Any]) -> str:
    """The SHA-256 of what weights are of: architecture, objective, own modules, training data."""
    parts = [config.get(name) for name in ("model", "objective", "modules")]
    return digest([*parts, config.get("data", {}).get("digest")])


def check_modules(folder: Path, config: Mapping[str, Any], modules: Modules) -> None:
    """ValueError unless a stored model was made with these modules of one's own."""
    stored = config.get("modules") or {}
    if stored != modules.names():
        named = ", ".join(f"{part} {name}" for part, name in stored.items())
        if stored and modules == Modules():
            given = ", ".join(f"{part}={name}" for part, name in stored.items())
            raise ValueError(
                f"{folder}: the model was made with {named}, whose code is not stored with it; get "
                f"it from its author, read it, and pass modules=Modules({given}) in Python"
            )
        raise ValueError(
            f"{folder}: the model was made with {named or 'the modules of the package'}, got "
            f"modules={modules}; pass modules=Modules(...) with what it was made with"
        )


def _without_objective(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {
        name: value
        for name, value in weights.items()
        if not name.startswith("objective.")
    }


def _card(config: Mapping[str, Any]) -> str:
    model = config["model"]
    data = config.get("data", {})
    trained = (
        f"{data['n']} sequences of {Path(data['path']).name}"
        if data
        else "not recorded"
    )
    width = "any number of channels" if model["resolutions"] else model["input_dim"]
    return f"""---
library_name: temporal-jepa
tags: [time-series, self-supervised, jepa]
---
# A Temporal JEPA encoder

Embeds sequences of {in_words(model)} of any length; a missing value is NaN.
Training data, used without labels: {trained}.

```python
from temporal_jepa import from_pretrained
model = from_pretrained("{PLACE}")
embedding = model.embed(x)  # x: float tensor (batch, time, {width})
```

Architecture and training settings are in `config.json`. Scores do not transfer to other data: use
`temporal-jepa probe` to compare the embedding with its controls on yours.
"""
