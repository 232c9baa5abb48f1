"""Names and formats of a model or run folder on disk; no torch."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .config import RENAMED_READ_OPTIONS

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
CARD = "README.md"
BUNDLED = Path(__file__).with_name(
    "pretrained"
)  # models that come with the package, loaded by name
GENERAL = "series-small"  # the bundled encoder of series
SCRATCH = "scratch"  # weights drawn from the seed


def read_config(folder: Path) -> dict[str, Any]:
    """The parsed `config.json` of a model or run folder; FileNotFoundError or ValueError says what is wrong with it."""
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is missing; a model is a folder with {CONFIG} and {WEIGHTS}"
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no valid JSON ({error}); copy it again") from None
    if (
        not isinstance(config, dict)
        or config.get("format") != 1
        or not isinstance(config.get("model"), dict)
    ):
        raise ValueError(
            f'{path} is not a configuration this version reads: expected "format": 1 and "model": {{...}}'
        )
    return _with_current_names(config)


def _with_current_names(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration written by 0.1, with options that have been renamed since."""
    model = dict(config["model"])
    if "views" in model:
        model["resolutions"] = model.pop("views")
    config = {**config, "model": model}
    data = config.get("data", {})
    if "options" in data:
        options = {
            RENAMED_READ_OPTIONS.get(name, name): value for name, value in data["options"].items()
        }
        config["data"] = {**data, "options": options}
    return config


def channels_of(config: Mapping[str, Any]) -> int | None:
    """Channels of the series that a stored model was trained on; None where it takes any and says none."""
    if not config["model"].get("resolutions"):
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
        raise FileNotFoundError(
            f"{text}: no such folder; expected a run folder, a model, {' or '.join(bundled)}, or "
            "'owner/name' on the hub"
        )
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
