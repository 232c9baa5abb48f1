"""`temporal-jepa doctor`: is everything here? `temporal-jepa demo`: the whole job on real data that ships with aeon."""

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import time
from pathlib import Path
from typing import Any

import torch

from . import checkpoint, runs
from .commands import needs_folder, score, write_embeddings
from .config import PretrainConfig
from .console import Progress, command, facts, say, show
from .data import read
from .embedding import embed_sequences
from .report import write_report
from .version import __version__

EXTRAS = {"parquet": ("pyarrow",), "video": ("av",), "onnx": ("onnx", "onnxscript", "onnxruntime"),
          "tensorboard": ("tensorboard",), "hub": ("huggingface_hub",), "aeon": ("aeon",)}  # fmt: skip
SETS = {"ArrowHead": "one channel", "BasicMotions": "six channels", "JapaneseVowels": "12 channels, unequal lengths"}
COLUMNS = {"raw values": "raw values", "untrained encoder": "untrained", "pretrained encoder": "pretrained",
           "MiniRocket": "MiniRocket"}  # fmt: skip


def doctor(options: argparse.Namespace) -> None:
    """Print versions, devices and missing extras."""
    cards = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    devices = [*map(torch.cuda.get_device_name, cards), *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]
    facts([("temporal-jepa", __version__), ("python", platform.python_version()), ("platform", platform.platform())])
    facts([(name, importlib.metadata.version(name)) for name in _needed()])
    facts([("devices", ", ".join(devices)), ("threads", f"{torch.get_num_threads()} of {os.cpu_count()} cores")])
    missing = []
    for extra, modules in EXTRAS.items():
        absent = [name for name in modules if importlib.util.find_spec(name) is None]
        missing += [extra] if absent else []
        say(f"[{extra}]".ljust(15) + (f"missing {', '.join(absent)}" if absent else "installed"))
    say(f"to add them: pip install 'temporal-jepa[{','.join(missing)}]'" if missing else "all extras are here")


def _needed() -> list[str]:
    """Names of the packages that the library needs, as installed; the usual ones in a bare checkout."""
    try:
        required = importlib.metadata.requires("temporal-jepa") or []
    except importlib.metadata.PackageNotFoundError:
        required = ["torch", "numpy", "pandas", "scikit-learn", "safetensors"]
    return [re.split(r"[^\w-]", name)[0] for name in required if "extra ==" not in name]


def demo(options: argparse.Namespace) -> None:
    """Pretrain, embed, probe and report on each set, and one table of all."""
    spec = importlib.util.find_spec("aeon")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the demo's data ships with aeon: pip install 'temporal-jepa[aeon]'")
    home, out, began = Path(spec.submodule_search_locations[0], "datasets", "data"), Path(options.out), time.monotonic()
    mark = _claim(out)
    results = {name: _job(home / name / name, out / name, options.steps) for name in SETS}
    checkpoint.write_atomically(mark, json.dumps(results, indent=2).encode() + b"\n")
    rows = []
    for name, result in results.items():
        scores = {row["features"]: f"{row['accuracy']:.3f}" for row in result["scores"]}
        rows.append((name, *(scores.get(column, "-") for column in COLUMNS)))
    say("")
    show("accuracy of a ridge classifier on frozen features (higher is better)", ["data set", *COLUMNS.values()], rows)
    for name, result in results.items():
        say("", f"{name}: {result['verdict']}", f"  checkpoint  {out / name / checkpoint.WEIGHTS}",
            f"  report      {out / name / 'report.html'}")  # fmt: skip
    say("", f"{time.monotonic() - began:.0f} s in all. On your own file:", f"  {command('inspect', 'FILE')}",
        f"  {command('pretrain', '--data', 'FILE', '--out', 'runs/mine')}")  # fmt: skip


def _claim(out: Path) -> Path:
    """Mark the folder as the demo's, whose runs a later demo may replace; refuse one that holds anything else."""
    needs_folder(out)
    mark = out / "demo.json"
    if not mark.is_file():
        if out.exists() and any(out.iterdir()):
            raise FileExistsError(f"{out} is there already and not from a demo; choose another folder with --out")
        out.mkdir(parents=True, exist_ok=True)
        checkpoint.write_atomically(mark, b"{}\n")
    return mark


def _job(source: Path, run: Path, steps: int) -> dict[str, Any]:
    files = {part: f"{source}_{part.upper()}.ts" for part in ("train", "test")}
    train, test = read(files["train"]), read(files["test"])
    say("", f"{source.name} ({SETS[source.name]}): {len(train)} series to train on, labels unseen; {len(test)} to test")
    config = PretrainConfig(steps=steps, device="cpu").settled(len(train))
    with Progress(config) as progress:
        runs.pretrain(train, run, config, overwrite=True, on_row=progress.row)
    model = checkpoint.from_pretrained(run)
    for name, part in (("embeddings.npz", train), ("embeddings-test.npz", test)):
        write_embeddings(run / name, part, embed_sequences(model, part))
    result = score(run, train, test)
    checkpoint.write_atomically(run / "probe.json", json.dumps(result, indent=2).encode() + b"\n")
    write_report(run, overwrite=True)
    return {"verdict": progress.verdict, **result}
