"""`temporal-jepa inspect`: how a file is read, or the facts of a run; `doctor`: versions."""

import os
import re
from pathlib import Path
from typing import Any

from ..config import ReadOptions, flags, in_words
from ..files import CONFIG, read_config
from ..version import __version__
from .console import (
    command,
    command_to_report,
    command_to_resume,
    record,
    say,
    say_next,
    show_facts,
    show_lines,
)
from .progress import Clock
from .reading import announce_decoding, label_in_question, notes_of

EXTRAS = {
    "parquet": ("pyarrow",),
    "excel": ("openpyxl",),
    "hdf5": ("h5py",),
    "signals": ("pyedflib",),
    "fit": ("garmin_fit_sdk",),
    "video": ("av",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "tensorboard": ("tensorboard",),
    "mlflow": ("mlflow",),
    "wandb": ("wandb",),
    "trackio": ("trackio",),
    "hub": ("huggingface_hub",),
    "s3": ("s3fs",),
    "completion": ("shtab",),
    "serve": ("starlette", "uvicorn"),
    "aeon": ("aeon",),
}


def inspect(data: str, *, reading: ReadOptions) -> None:
    """Show how a file is read, or the facts of a run.

    Examples:
        temporal-jepa inspect data.csv
        temporal-jepa inspect data.csv --id track --values x,y
        temporal-jepa inspect runs/a

    Args:
        data: file or folder of sequences, or a run folder.
        reading: how the data is read (default: inferred, see docs/data.md)
    """
    path = Path(data)
    if (path / CONFIG).is_file():
        _inspect_run(path)
        return
    from ..data import read
    from ..data.training_set import read_to_train_on

    announce_decoding(data)
    with Clock(f"reading {path.name}"):
        sequences = read(data, reading)
        summary = sequences.facts()
        to_train_on, own = read_to_train_on(sequences, reading)
    show_facts(summary)
    say(*notes_of(sequences))
    window = own.window
    if window != reading.window:
        say(
            f"note: pretrain cuts this one series into windows of {window} timesteps; see --window"
        )
    if len(to_train_on) < 2:
        say(
            "note: pretraining needs at least 2 sequences; give more series, or cut this one with "
            "--window LENGTH"
        )
        return
    out = f"runs/{path.stem or 'a'}"
    say("")
    options = flags(vars(reading))
    words = ["pretrain", "--data", data, *options, "--out", out]
    say_next(command(*words))
    label = label_in_question(sequences)
    if label and not reading.given("label"):
        say(f"next, if {label!r} is the label: {command(*words, '--label', label)}")


def _inspect_run(run: Path) -> None:
    from ..training.metrics import missing_rows, read_rows

    config = read_config(run)
    data = config.get("data", {})
    steps = config.get("pretrain", {}).get("steps") or 0
    rows = read_rows(run)
    last = rows[-1] if rows else {}
    what = in_words(config["model"], data.get("channels"))
    step = last.get("step", 0)
    loss = last.get("relative_loss")
    about = {"path": data.get("path"), "n": data.get("n")}
    about |= {"channels": data.get("channels"), "lengths": data.get("lengths")}
    verdict = last.get("verdict")
    files = sorted(
        p.name for p in run.iterdir() if p.is_file() and not p.name.startswith(".")
    )
    model = [
        f"{name} {value}"
        for name, value in config["model"].items()
        if value or value == 0
    ]
    show_facts(
        [
            ("run", run),
            ("objective", _objective(config)),
            (
                "data",
                f"{data.get('path')}: {data.get('n')} sequences of {what}",
                about,
            ),
            ("step", f"{step} of {steps}", step),
            ("relative loss", _in_digits(loss), loss),
            ("verdict", verdict or "none yet", verdict),
            ("files", ", ".join(files), files),
            ("model", ", ".join(model), config["model"]),
        ]
    )
    record(steps=steps)
    lost = missing_rows(run, rows, config)
    if lost:
        say(f"note: {lost}")
    if step < steps:
        say_next(command_to_resume(run, data.get("path")))
    else:
        say_next(command_to_report(run, data.get("path")))


def _in_digits(loss: float | None) -> str:
    return "none yet" if loss is None else f"{loss:.3f}"


def _objective(config: dict[str, Any]) -> str:
    """The objective of a run with its settings."""
    settings = dict(config.get("objective") or {"name": "masked"})
    name = str(settings.pop("name"))
    given = [f"{key} {value}" for key, value in settings.items() if value]
    return ", ".join([name, *given])


def doctor() -> None:
    """Print versions, devices and missing extras.

    Examples:
        temporal-jepa doctor
    """
    import importlib.metadata
    import importlib.util
    import platform

    import torch

    devices = []
    if torch.cuda.is_available():
        devices += [
            torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())
        ]
    if torch.backends.mps.is_available():
        devices.append("mps")
    packages = {name: importlib.metadata.version(name) for name in _required_packages()}
    show_facts(
        [
            ("temporal-jepa", __version__),
            ("python", platform.python_version()),
            ("platform", platform.platform()),
            *packages.items(),
            ("devices", ", ".join([*devices, "cpu"]), [*devices, "cpu"]),
            (
                "threads",
                f"{torch.get_num_threads()} of {os.cpu_count()} cores",
                torch.get_num_threads(),
            ),
        ]
    )
    missing = []
    installed = []
    for extra, modules in EXTRAS.items():
        absent = [name for name in modules if importlib.util.find_spec(name) is None]
        if absent:
            missing.append(extra)
        else:
            installed.append(extra)
        state = f"missing {', '.join(absent)}" if absent else "installed"
        show_lines(f"{f'[{extra}]':<15}{state}")
    record(extras=installed, missing=missing)
    if missing:
        say(f"to add them: pip install 'temporal-jepa[{','.join(missing)}]'")
    else:
        say("all extras are installed")


def _required_packages() -> list[str]:
    """Packages that the library requires, from its metadata; the main ones in a bare checkout."""
    import importlib.metadata

    try:
        requirements = importlib.metadata.requires("temporal-jepa") or []
    except importlib.metadata.PackageNotFoundError:
        requirements = ["torch", "numpy", "pandas", "scikit-learn", "safetensors"]
    return [
        re.split(r"[^\w-]", text)[0] for text in requirements if "extra ==" not in text
    ]
