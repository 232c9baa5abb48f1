"""Save and load models, as functions: the methods of `TemporalJEPA` of the same names."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .model.jepa import TemporalJEPA
from .model.modules import Modules


def save_pretrained(
    model: TemporalJEPA,
    folder: str | os.PathLike[str],
    details: Mapping[str, Any] | None = None,
) -> Path:
    """Write `config.json`, `model.safetensors` and a model card into `folder`.

    Each file is whole or as before, whatever stops the process, and holds the checksum of its
    content.

    Args:
        model: the model, on any device.
        folder: created if missing; files of these three names are replaced.
        details: further entries of `config.json`, for example how the model was trained.

    Returns:
        The folder.

    Raises:
        OSError: if the folder cannot be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = save_pretrained(from_pretrained("series-small"), folder)
    ...     sorted(file.name for file in path.iterdir())
    ['README.md', 'config.json', 'model.safetensors']
    """
    return model.save_pretrained(folder, details)


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

    >>> import torch
    >>> model = from_pretrained("series-small")
    >>> model.embed(torch.randn(2, 80, 1), dim=128).shape  # (batch, time, channels) in
    torch.Size([2, 128])
    """
    return TemporalJEPA.from_pretrained(source, device, modules)
