"""`temporal-jepa demo`: every verb's work on generated recordings and on real data sets.

The real ones ship with aeon and scikit-learn.
"""

import importlib.util
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config import PretrainConfig, ReadOptions
from ..files import GENERAL, WEIGHTS, replacing, write_atomically, write_json
from .console import Progress, command, record, say, show_table
from .embed import write_embeddings
from .writing import check_folder

PARTS = ("TRAIN", "TEST")
SETS = {
    "ArrowHead": "one channel",
    "BasicMotions": "six channels",
    "JapaneseVowels": "12 channels, unequal lengths",
}
PENDULUMS = "Pendulums"
TRACKS = "WristTracks"
VIDEOS = "MovingDigits"
COLUMNS = {
    "raw values": "raw values",
    "untrained encoder": "untrained",
    f"{GENERAL} as it is": GENERAL,
    "pretrained encoder": "pretrained",
    "MiniRocket": "MiniRocket",
}


@dataclass(frozen=True)
class _Job:
    """One data set: its train and test file, and how they are read and trained on."""

    name: str
    about: str
    files: tuple[Path, ...]
    steps: int = 0
    objective: str | None = None
    reading: ReadOptions = field(default_factory=ReadOptions)


def demo(*, out: str = "runs/demo", steps: int = 0) -> None:
    """Pretrain, embed, probe and report on generated recordings and real data sets.

    Examples:
        temporal-jepa demo
        temporal-jepa demo --out runs/demo

    Args:
        out: folder to write.
        steps: optimizer steps on each data set; 0 chooses for each.
    """
    spec = importlib.util.find_spec("aeon")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "the demo's data ships with aeon: pip install 'temporal-jepa[aeon]'"
        )
    sources = Path(spec.submodule_search_locations[0], "datasets", "data")
    folder = Path(out)
    began = time.monotonic()
    mark = _claim(folder)
    results = {}
    for job in _jobs(sources, folder, steps):
        results[job.name] = _run(job, folder / job.name)
    write_json(mark, results)
    record(folder=folder, results=results)
    rows = []
    for name, result in results.items():
        scores = {row["features"]: f"{row['accuracy']:.3f}" for row in result["scores"]}
        rows.append((name, *(scores.get(column, "-") for column in COLUMNS)))
    say("")
    title = "accuracy of a ridge classifier on frozen features (higher is better)"
    show_table(title, ["data set", *COLUMNS.values()], rows)
    for name, result in results.items():
        say(
            "",
            f"{name}: {result['verdict']}",
            f"  model   {folder / name / WEIGHTS}",
            f"  report  {folder / name / 'report.html'}",
        )
    seconds = time.monotonic() - began
    record(seconds=seconds)
    say(
        "",
        f"{seconds:.0f} s in all. On your own file:",
        f"  {command('inspect', 'FILE')}",
        f"  {command('pretrain', '--data', 'FILE', '--out', 'runs/mine')}",
    )


def _claim(folder: Path) -> Path:
    """Mark the folder as the demo's, which a later demo may replace; refuse any other folder."""
    check_folder(folder)
    mark = folder / "demo.json"
    if not mark.is_file():
        if folder.exists() and any(folder.iterdir()):
            raise FileExistsError(
                f"{folder} exists and is not from a demo; choose another --out"
            )
        write_json(mark, {})
    return mark


def _jobs(sources: Path, folder: Path, steps: int) -> list[_Job]:
    recordings = _Job(
        PENDULUMS,
        "generated: pendulums in 32 channels, under noise twice as strong; the class is the "
        "frequency",
        tuple(_write_pendulums(folder, part) for part in PARTS),
        steps,
        objective="next",
    )
    jobs = [recordings]
    for name, about in SETS.items():
        files = tuple(sources / name / f"{name}_{part}.ts" for part in PARTS)
        jobs.append(_Job(name, about, files, steps))
    motions = [sources / f"BasicMotions/BasicMotions_{part}.ts" for part in PARTS]
    tracks = _Job(
        TRACKS,
        "paths of a wrist: BasicMotions' accelerations, integrated twice",
        tuple(
            _write_tracks(file, folder, part)
            for file, part in zip(motions, PARTS, strict=True)
        ),
        steps or 150,
        reading=ReadOptions(features=("dx", "dy", "speed"), label="kind"),
    )
    videos = _Job(
        VIDEOS,
        "scikit-learn's handwritten digits in motion; the class is the direction",
        tuple(_write_videos(folder, part) for part in PARTS),
        steps or 100,
    )
    return [*jobs, tracks, videos]


def _write_pendulums(folder: Path, part: str) -> Path:
    """Recordings of three classes: a third of the range of frequencies each."""
    import numpy as np

    from ..data.pendulums import generate_recordings

    is_train = part == "TRAIN"
    x, truth = generate_recordings(400 if is_train else 300, seed=1 if is_train else 2)
    names = np.array(["slow", "medium", "fast"])
    classes = names[np.digitize(truth.frequency, (0.3, 0.4))]
    path = folder / f"{PENDULUMS}_{part}.npz"
    with replacing(path) as file:
        np.savez_compressed(file, X=x, y=classes)
    return path


def _write_tracks(recording: Path, folder: Path, part: str) -> Path:
    """A table of fixes by dead reckoning: real accelerations, integrated twice."""
    import numpy as np

    from ..data import read

    recorded = read(recording)
    labels = np.asarray(recorded.labels)
    rate = 10  # per second
    lines = ["track,time,x,y,kind"]
    for name, x, kind in zip(recorded.ids, recorded.values, labels, strict=True):
        acceleration = x[:, :2] - x[:, :2].mean(0)
        velocity = np.cumsum(acceleration, axis=0) / rate
        position = np.cumsum(velocity - velocity.mean(0), axis=0) / rate
        for t, (east, north) in enumerate(position):
            lines.append(f"{name},{t / rate},{east:.4f},{north:.4f},{kind}")
    path = folder / f"{TRACKS}_{part}.csv"
    write_atomically(path, "\n".join([*lines, ""]).encode())
    return path


def _write_videos(folder: Path, part: str) -> Path:
    """Videos of 8 frames of 24 x 24 pixels; train and test show different digits."""
    import numpy as np
    from sklearn.datasets import load_digits

    from ..data.moving_digits import generate_clips

    digits = load_digits().images / 16
    if part == "TRAIN":
        clips = generate_clips(digits[:1198], 300, seed=1, frames=8, size=24)
    else:  # the last third is by other writers
        clips = generate_clips(digits[1198:], 200, seed=0, frames=8, size=24)
    path = folder / f"{VIDEOS}_{part}.npz"
    with replacing(path) as file:
        np.savez_compressed(file, X=clips.videos, y=clips.direction)
    return path


def _run(job: _Job, run: Path) -> dict[str, Any]:
    from ..checkpoint import from_pretrained
    from ..data import read
    from ..embed import embed_sequences
    from ..evaluation.score import score
    from ..report.report import write_report
    from ..training.run import execute, plan

    train, test = (read(file, job.reading) for file in job.files)
    say(
        "",
        f"{job.name} ({job.about}): {len(train)} sequences to train on, {len(test)} to test",
    )
    planned = plan(
        train,
        run,
        PretrainConfig(steps=job.steps, device="cpu"),
        objective=job.objective,
        overwrite=True,
        options=job.reading,
    )
    with Progress(planned.config) as progress:
        execute(planned, progress.row)
    model = from_pretrained(run)
    for name, part in (("embeddings.npz", train), ("embeddings-test.npz", test)):
        write_embeddings(run / name, part, embed_sequences(model, part))
    result = score(run, train, test)
    write_json(run / "probe.json", result)
    write_report(run, overwrite=True)
    return {"verdict": progress.verdict, **result}
