"""Names and formats of a model or run folder on disk; no torch."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .atomic import flush_folder as flush_folder
from .atomic import replacing as replacing
from .atomic import write_atomically as write_atomically
from .sealed import read_json as read_json
from .sealed import write_json as write_json
from .stored import check_entries

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"
MANIFEST = "manifest.json"  # of a checkpoint
BUNDLED = Path(__file__).parents[1] / "pretrained"  # models in the package, by name
GENERAL = "series-small"  # the bundled encoder of time series
SCRATCH = "scratch"  # randomly initialized weights

RENAMED = {"views": "resolutions", "size": "resize", "area": "region"}
"""Options in configurations of version 0.1 -> their names since 0.2."""


def read_config(folder: Path) -> dict[str, Any]:
    """The parsed `config.json` of a model or run folder.

    Options that were renamed since the file was written have their current names.

    Raises:
        FileNotFoundError: if the file is missing.
        OSError: if it cannot be read, or is no file.
        ValueError: if it is no JSON, was changed after it was written, or is of another format.
    """
    path = folder / CONFIG
    if not path.exists():
        raise FileNotFoundError(missing_file(path))
    config = read_json(path)
    if config.get("format") != 1 or not isinstance(config.get("model"), dict):
        raise ValueError(
            f"{path} is not a configuration that this version reads: "
            'expected "format": 1 and "model": {...}'
        )
    try:
        check_entries(config)
        config["model"] = _with_current_names(config["model"])
        data = config.get("data", {})
        if "options" in data:
            options = _with_current_names(data["options"])
            config["data"] = {**data, "options": options}
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged, or was written by another version: {error}; copy it again"
        ) from None
    return config


def _with_current_names(options: Mapping[str, Any]) -> dict[str, Any]:
    current = {RENAMED.get(name, name): value for name, value in options.items()}
    if len(current) < len(options):
        raise ValueError(
            f"one option stands twice, under its old and new name: {', '.join(RENAMED)}"
        )
    return current


def missing_file(path: Path) -> str:
    """The message for a file that a model folder should have."""
    if (path.parent / "checkpoint").is_dir():
        return (
            f"{path} is missing; finish the run with: "
            f"temporal-jepa pretrain --out {shlex.quote(str(path.parent))} --resume"
        )
    if not path.parent.exists():
        return f"{path.parent}: no such folder (did pretrain finish?); expected a run folder"
    return f"{path} is missing; a model is a folder with {CONFIG} and {WEIGHTS}"


def channels_of(config: Mapping[str, Any]) -> int | None:
    """Number of channels that a stored model was trained on.

    None for a model that takes any channels and does not store how many it was trained on.
    """
    if not config["model"].get("resolutions"):
        return int(config["model"]["input_dim"])
    if config.get("channels"):
        return int(config["channels"])
    return len(config.get("data", {}).get("channels", ())) or None


def folder_of(source: str | os.PathLike[str]) -> Path:
    """The folder of a model: a local one, one in the package, or a download from the hub.

    Raises:
        FileNotFoundError: if there is no such model.
        ValueError: if `source` is a file.
    """
    folder = Path(source)
    if folder.is_dir():
        return folder
    text = os.fspath(source)
    bundled = sorted(path.name for path in BUNDLED.iterdir())
    if text in bundled:
        return BUNDLED / text
    if folder.exists():
        raise ValueError(
            f"{text} is a file; expected a folder with {CONFIG} and {WEIGHTS}"
        )
    if text.count("/") != 1 or _is_local(folder):
        raise FileNotFoundError(
            f"{text}: no such folder (did pretrain finish?); expected a run folder, a model, "
            f"{' or '.join(bundled)}, or 'owner/name' on the hub"
        )
    return _downloaded(text)


def _is_local(folder: Path) -> bool:
    """Whether a path that does not exist names a folder here, and no model on the hub."""
    first = str(folder.parts[0]) if folder.parts else ""
    return (
        folder.is_absolute()
        or first.startswith((".", "~"))
        or first == "runs"
        or folder.parent.is_dir()
    )


def _downloaded(text: str) -> Path:
    """The folder of a model of the Hugging Face hub.

    Raises:
        FileNotFoundError: if it cannot be loaded, or the extra `[hub]` is missing.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise FileNotFoundError(
            f"{text}: no such folder; to look it up on the Hugging Face hub: "
            "pip install 'temporal-jepa[hub]'"
        ) from None
    try:
        return Path(snapshot_download(text, allow_patterns=[CONFIG, WEIGHTS, CARD]))
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno:  # a full disk, for example
            raise
        raise FileNotFoundError(
            f"{text}: no such folder here, and no model of this name could be loaded from the "
            f"Hugging Face hub ({type(error).__name__}); for a run, check the path and whether "
            "pretrain finished; for a model of the hub, its name and the connection"
        ) from error
