"""`temporal-jepa doctor`: is everything here? `temporal-jepa demo`: the whole job on real data that ships with aeon."""

import argparse
import importlib.metadata
import importlib.util
import io
import json
import os
import platform
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import checkpoint
from ..config import PretrainConfig, ReadOptions
from ..data import read
from ..data.moving_digits import generate_clips
from ..embed import embed_sequences
from ..evaluation.score import score
from ..files import GENERAL, SCRATCH, WEIGHTS, write_atomically
from ..report.report import write_report
from ..training import run as runs
from ..version import __version__
from .commands import write_embeddings
from .console import Progress, command, facts, needs_folder, say, show

EXTRAS = {
    "parquet": ("pyarrow",),
    "video": ("av",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "tensorboard": ("tensorboard",),
    "hub": ("huggingface_hub",),
    "aeon": ("aeon",),
}
SETS = {
    "ArrowHead": "one channel",
    "BasicMotions": "six channels",
    "JapaneseVowels": "12 channels, unequal lengths; an encoder from scratch",
}
PARTS = ("TRAIN", "TEST")
TRACKS = "WristTracks"
FILMS = "MovingDigits"
COLUMNS = {
    "raw values": "raw values",
    "untrained encoder": "untrained",
    f"{GENERAL} as it is": GENERAL,
    "pretrained encoder": "pretrained",
    "MiniRocket": "MiniRocket",
}


def doctor(options: argparse.Namespace) -> None:
    """Print versions, devices and missing extras."""
    cards = range(torch.cuda.device_count()) if torch.cuda.is_available() else ()
    devices = [
        *map(torch.cuda.get_device_name, cards),
        *(["mps"] if torch.backends.mps.is_available() else []),
        "cpu",
    ]
    facts(
        [
            ("temporal-jepa", __version__),
            ("python", platform.python_version()),
            ("platform", platform.platform()),
        ]
    )
    facts([(name, importlib.metadata.version(name)) for name in _needed()])
    facts(
        [
            ("devices", ", ".join(devices)),
            ("threads", f"{torch.get_num_threads()} of {os.cpu_count()} cores"),
        ]
    )
    missing = []
    for extra, modules in EXTRAS.items():
        absent = [name for name in modules if importlib.util.find_spec(name) is None]
        missing += [extra] if absent else []
        say(f"[{extra}]".ljust(15) + (f"missing {', '.join(absent)}" if absent else "installed"))
    say(
        f"to add them: pip install 'temporal-jepa[{','.join(missing)}]'"
        if missing
        else "all extras are here"
    )


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
        raise ModuleNotFoundError(
            "the demo's data ships with aeon: pip install 'temporal-jepa[aeon]'"
        )
    home = Path(spec.submodule_search_locations[0], "datasets", "data")
    out = Path(options.out)
    began = time.monotonic()
    mark = _claim(out)
    results = {}
    for name, text in SETS.items():
        files = tuple(home / name / f"{name}_{part}.ts" for part in PARTS)
        results[name] = _job(
            text, files, out / name, options.steps, SCRATCH if SCRATCH in text else None
        )
    text = "where a wrist went: BasicMotions' accelerations integrated twice"
    files = tuple(
        _write_tracks(home / f"BasicMotions/BasicMotions_{part}.ts", out, part) for part in PARTS
    )
    results[TRACKS] = _job(
        text, files, out / TRACKS, options.steps or 150, features="dx,dy,speed", label="kind"
    )
    text = "scikit-learn's handwritten digits on the move; the class is where to"
    files = tuple(_write_films(out, part) for part in PARTS)
    results[FILMS] = _job(text, files, out / FILMS, options.steps or 100)
    write_atomically(mark, json.dumps(results, indent=2).encode() + b"\n")
    rows = []
    for name, result in results.items():
        scores = {row["features"]: f"{row['accuracy']:.3f}" for row in result["scores"]}
        rows.append((name, *(scores.get(column, "-") for column in COLUMNS)))
    say("")
    show(
        "accuracy of a ridge classifier on frozen features (higher is better)",
        ["data set", *COLUMNS.values()],
        rows,
    )
    for name, result in results.items():
        say(
            "",
            f"{name}: {result['verdict']}",
            f"  checkpoint  {out / name / WEIGHTS}",
            f"  report      {out / name / 'report.html'}",
        )
    say(
        "",
        f"{time.monotonic() - began:.0f} s in all. On your own file:",
        f"  {command('inspect', 'FILE')}",
        f"  {command('pretrain', '--data', 'FILE', '--out', 'runs/mine')}",
    )


def _claim(out: Path) -> Path:
    """Mark the folder as the demo's, whose runs a later demo may replace; refuse one that holds anything else."""
    needs_folder(out)
    mark = out / "demo.json"
    if not mark.is_file():
        if out.exists() and any(out.iterdir()):
            raise FileExistsError(
                f"{out} is there already and not from a demo; choose another folder with --out"
            )
        out.mkdir(parents=True, exist_ok=True)
        write_atomically(mark, b"{}\n")
    return mark


def _write_tracks(source: Path, out: Path, part: str) -> Path:
    """A table of fixes by dead reckoning: the first two real accelerations of each series, integrated twice."""
    recorded = read(source)
    lines = ["track,time,x,y,kind"]
    for name, x, kind in zip(
        recorded.ids, recorded.values, np.asarray(recorded.labels), strict=True
    ):
        speed = np.cumsum(x[:, :2] - x[:, :2].mean(0), axis=0) / 10  # ten a second
        place = np.cumsum(speed - speed.mean(0), axis=0) / 10
        lines += [f"{name},{t / 10},{x:.4f},{y:.4f},{kind}" for t, (x, y) in enumerate(place)]
    path = out / f"{TRACKS}_{part}.csv"
    write_atomically(path, "\n".join([*lines, ""]).encode())
    return path


def _write_films(out: Path, part: str) -> Path:
    """Films of 8 frames of 24 x 24 pixels; train and test show different digits."""
    from sklearn.datasets import load_digits

    train = part == "TRAIN"
    digits = load_digits().images / 16
    pictures = digits[:1198] if train else digits[1198:]  # the last third is by other writers
    clips = generate_clips(pictures, 300 if train else 200, seed=int(train), frames=8, size=24)
    path = out / f"{FILMS}_{part}.npz"
    content = io.BytesIO()
    np.savez_compressed(content, X=clips.videos, y=clips.direction)
    write_atomically(path, content.getvalue())
    return path


def _job(
    text: str,
    files: tuple[Path, ...],
    run: Path,
    steps: int,
    init_from: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    train, test = (read(file, **options) for file in files)
    say(
        "",
        f"{run.name} ({text}): {len(train)} sequences to train on, labels unseen; {len(test)} to test",
    )
    plan = runs.plan(
        train,
        run,
        PretrainConfig(steps=steps, device="cpu"),
        init_from=init_from,
        overwrite=True,
        options=ReadOptions.from_dict(options),
    )
    with Progress(plan.config) as progress:
        runs.execute(plan, progress.row)
    model = checkpoint.from_pretrained(run)
    for name, part in (("embeddings.npz", train), ("embeddings-test.npz", test)):
        write_embeddings(run / name, part, embed_sequences(model, part))
    result = score(run, train, test)
    write_atomically(run / "probe.json", json.dumps(result, indent=2).encode() + b"\n")
    write_report(run, overwrite=True)
    return {"verdict": progress.verdict, **result}
