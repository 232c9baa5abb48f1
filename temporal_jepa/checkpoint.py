"""Save and load models: safetensors weights, a JSON configuration and a model card."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from .config import in_words, make_config
from .files import (
    CARD,
    CONFIG,
    WEIGHTS,
    folder_of,
    missing_file,
    read_config,
    write_atomically,
)
from .model.jepa import TemporalJEPA, draw_model
from .model.modules import Modules
from .model.objectives import describe, stored_objective
from .version import __version__


def save_pretrained(
    model: TemporalJEPA,
    folder: str | os.PathLike[str],
    details: Mapping[str, Any] | None = None,
) -> Path:
    """Write `config.json`, `model.safetensors` and a model card into `folder`.

    Each file is written atomically.

    Args:
        model: the model, on any device.
        folder: created if missing; files of these three names are replaced.
        details: further entries of `config.json`, for example how the model was trained.

    Returns:
        The folder.

    Raises:
        OSError: if the folder cannot be written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = {
        "format": 1,
        "version": __version__,
        "model": vars(model.config),
        "objective": describe(model.objective),
        "modules": model.own_modules.names(),
        **(details or {}),
    }
    weights = {
        name: value.detach().cpu().contiguous()
        for name, value in model.state_dict().items()
    }
    write_atomically(folder / WEIGHTS, save(weights, metadata={"format": "pt"}))
    write_atomically(folder / CONFIG, json.dumps(config, indent=2).encode() + b"\n")
    write_atomically(folder / CARD, _card(config).encode())
    return folder


@torch.inference_mode(False)
def from_pretrained(
    source: str | os.PathLike[str],
    device: str = "cpu",
    modules: Modules | None = None,
) -> TemporalJEPA:
    """Load a model from a folder, from the package or from the Hugging Face hub.

    Args:
        source: a run folder or one from `save_pretrained`; if no such folder exists, "series-small"
            (the general encoder in the package) or "owner/name" on the hub (extra `[hub]`).
        device: device of the model.
        modules: the tokenizer or the encoder of your own with which the model was made.

    Returns:
        The model in evaluation mode. An objective that is not of this package is left out: the
        model embeds, and is not trained further.

    Raises:
        FileNotFoundError: if there is no such folder, or a file is missing in it.
        ValueError: if a file is damaged or of another format, the weights do not fit the
            configuration, or the model was made with other modules.
    """
    folder = folder_of(source)
    config = read_config(folder)
    objective = stored_objective(config)
    modules = modules or Modules()
    check_modules(folder, config, modules)
    model = draw_model(make_config(**config["model"]), 0, objective, modules)
    path = folder / WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(missing_file(path))
    try:
        weights = load_file(path, device="cpu")
    except SafetensorError as error:
        raise ValueError(
            f"{path} is damaged ({error}); copy it again, or resume the run that wrote it"
        ) from None
    if objective is None:  # it cannot be made again here
        weights = _without_objective(weights)
        model.objective = None
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(f"{path} does not fit {folder / CONFIG}: {reason}") from None
    return model.to(device).eval()


def check_modules(folder: Path, config: Mapping[str, Any], modules: Modules) -> None:
    """ValueError unless a stored model was made with these modules of one's own."""
    stored = config.get("modules") or {}
    if stored != modules.names():
        named = ", ".join(f"{part} {name}" for part, name in stored.items())
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
model = from_pretrained("PATH_OF_THIS_FOLDER")
embedding = model.embed(x)  # x: float tensor (batch, time, {width})
```

Architecture and training settings are in `config.json`. Scores do not transfer to other data: use
`temporal-jepa probe` to compare the embedding with its controls on yours.
"""
