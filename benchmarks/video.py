"""What do embeddings of films know? Real clips found again, the order of frames told, and surprise at the moment.

python benchmarks/video.py FOLDER --seeds 0 1 2 --out video.csv

FOLDER holds video files. Each is read at 8 pictures a second of --size x --size and cut into clips of 16 frames; the
first 60 % of each film is to learn from (no labels), the last 30 % to ask about, so no clip of one overlaps one of the
other. Scores, each beside its controls:

retrieval   of a test clip that was changed, is the nearest train clip of the same film? Mean over films, each change
            for itself: none, hue (the colours turned by a third), crop (the middle 70 %), speed (every other frame)
order       ridge tells clips from the same clips with shuffled frames, from frozen vectors; accuracy, chance is .5
surprise    in 200 clips of moving digits (see moving_digits.py) the digit vanishes, or 12 frames are missing, at a
            random frame. Each time of a clip gets the error of predicting it from all before it, largest over the
            picture, over its mean in train clips. AUROC of the moment among all times; control: change of the pixels
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from moving_digits import FIRST_TEST, digits, pixels, setting
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from temporal_jepa.config import PretrainConfig, ReadOptions
from temporal_jepa.data import Sequences
from temporal_jepa.data.moving_digits import generate_clips
from temporal_jepa.data.video import read_video
from temporal_jepa.embed import embed_sequences
from temporal_jepa.evaluation.neighbors import Index
from temporal_jepa.evaluation.probes import probe
from temporal_jepa.model.jepa import TemporalJEPA
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import train

Array = npt.NDArray[Any]
# of a clip; that a digit misses when it jumps
FRAMES = 16
MISSED = 12
CHANGES = ("none", "hue", "crop", "speed")


def clips(folder: Path, size: int) -> dict[str, tuple[Array, Array]]:
    """Split -> (clips uint8 `(n, time, rows, columns, 3)`, film of each); "fast" has every other frame of "test"."""
    films = read_video(folder, ReadOptions(resize=size))
    parts: dict[str, list[tuple[Array, int]]] = {"train": [], "test": [], "fast": []}
    for number, film in enumerate(films.values):
        x = film.reshape(len(film), *films.frame)
        a = int(0.6 * len(x))
        b = int(0.7 * len(x))
        for part, whole, length, stride in (
            ("train", x[:a], FRAMES, 8),
            ("test", x[b:], FRAMES, 8),
            ("fast", x[b:], 2 * FRAMES, 8),
        ):
            found = [whole[s : s + length] for s in range(0, len(whole) - length + 1, stride)]
            parts[part] += [(clip[:: length // FRAMES], number) for clip in found]
    return {
        name: (np.stack([c for c, _ in part]), np.array([i for _, i in part]))
        for name, part in parts.items()
    }


def changed(films: Array, change: str) -> Array:
    """The same clips, disturbed."""
    if change == "hue":
        return np.roll(films, 1, axis=-1)
    if change == "crop":
        rows, columns = films.shape[2:4]
        r, c = (
            np.linspace(0.15 * (n - 1), 0.85 * (n - 1), n).round().astype(int)
            for n in (rows, columns)
        )
        return films[:, :, r][:, :, :, c]
    return films


def histogram(films: Array) -> Array:
    """Mean colour histogram, 4 x 4 x 4 bins: `(n, 64)`."""
    codes = (
        (films // 64 * np.array([16, 4, 1], dtype=np.uint8))
        .sum(-1, dtype=np.int64)
        .reshape(len(films), -1)
    )
    return np.stack([np.bincount(row, minlength=64) / len(row) for row in codes])


def trained(
    films: Array, seed: int, options: argparse.Namespace
) -> tuple[TemporalJEPA, TemporalJEPA]:
    """The encoder before and after training on films."""
    sequences = Sequences.from_arrays(films)
    before, after = (initial_model(sequences, seed, **dict(options.set)).eval() for _ in range(2))
    return before, train(
        after, sequences, PretrainConfig(steps=options.steps, seed=seed, device="cpu")
    )


def found(Z: Array, owner: Array, asked: Array, owner_asked: Array) -> float:
    """Share of the asked whose nearest known clip is of the same film, mean over films."""
    near = Index(Z).nearest(asked, k=1)[0][:, 0]
    hit = owner[near] == owner_asked
    return float(np.mean([hit[owner_asked == film].mean() for film in np.unique(owner_asked)]))


def real_films(seed: int, options: argparse.Namespace) -> Iterator[tuple[str, str, float]]:
    """(score, embedder, value) of retrieval and order."""
    parts = clips(options.folder, options.size)
    known, owner = parts["train"]
    models = dict(zip(("untrained", "pretrained"), trained(known, seed, options), strict=True))
    embedders: dict[str, Any] = {
        name: lambda x, model=model: embed_sequences(model, Sequences.from_arrays(x))
        for name, model in models.items()
    }
    if seed == 0:  # these involve no chance
        embedders |= {
            "colour histogram": histogram,
            "pixels + PCA": lambda x: pixels(known, x, True)[1],
        }
    for name, embed in embedders.items():
        Z = embed(known)
        for change in CHANGES:
            films, film = parts["fast" if change == "speed" else "test"]
            yield f"retrieval, {change}", name, found(Z, owner, embed(changed(films, change)), film)
        rng = np.random.default_rng(seed)
        sets = []
        for films in (known, parts["test"][0]):
            mixed = np.stack([clip[rng.permutation(FRAMES)] for clip in films])
            sets += [embed(np.concatenate([films, mixed])), np.repeat([0, 1], len(films))]
        yield "order", name, probe(*sets)


def surprises(n: int, seed: int, size: int) -> tuple[Array, Array]:
    """Films of test digits in which one vanishes (the first half) or misses 12 frames (the others), and the frame."""
    images = load_digits().images[FIRST_TEST:] / 16
    long = generate_clips(images, n, seed=1000 + seed, frames=FRAMES + MISSED, size=size).videos
    when = np.random.default_rng(seed).integers(4, FRAMES - 1, n)
    films = long[:, :FRAMES].copy()
    for i, t in enumerate(when):
        films[i, t:] = 0 if i < n // 2 else long[i, t + MISSED :]
    return films, when


def errors(model: TemporalJEPA, films: Array) -> Array:
    """Error of predicting each time from all before it, largest over the picture: `(n, times - 1)`."""
    x = torch.from_numpy(Sequences.from_arrays(films).batch(range(len(films))))
    cells = int(np.prod(model.config.cells))
    time = torch.arange(-(-x.shape[1] // model.config.patch) * cells) // cells
    out = []
    for t in range(1, int(time[-1]) + 1):
        seen = (time < t).expand(len(x), -1)
        parts = [
            model.prediction_error(a, b)[:, time == t]
            for a, b in zip(x.split(64), seen.split(64), strict=True)
        ]
        out.append(torch.cat(parts).amax(1))
    return torch.stack(out, 1).numpy()


def pixel_change(films: Array, patch: int) -> Array:
    """Mean change of the pixels from frame to frame, the largest of each time: `(n, times - 1)`."""
    step = np.abs(np.diff(films.astype(float), axis=1, prepend=films[:, :1])).mean((2, 3))
    return step.reshape(len(films), -1, patch).max(2)[:, 1:]


def surprise(seed: int, options: argparse.Namespace) -> Iterator[tuple[str, str, float]]:
    """(score, embedder, AUROC) of a digit that vanishes or jumps."""
    known, _ = digits(500, "train", seed, FRAMES, options.size)
    before, after = trained(known, seed, options)
    films, when = surprises(200, seed, options.size)
    patch = after.config.patch
    truth = np.arange(1, FRAMES // patch) == when[:, None] // patch  # (n, times - 1)
    scores = {
        "untrained": errors(before, films) / errors(before, known[:100]).mean(0),
        "pretrained": errors(after, films) / errors(after, known[:100]).mean(0),
        "pixel change": pixel_change(films, patch),
    }
    for name, score in scores.items():
        for what, part in (("vanishes", slice(0, 100)), ("jumps", slice(100, 200))):
            yield (
                f"surprise, {what}",
                name,
                float(roc_auc_score(truth[part].ravel(), score[part].ravel())),
            )


def summarise(path: Path) -> str:
    """Mean over seeds of every score and embedder, as a table in Markdown."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    names = list(dict.fromkeys(row["embedder"] for row in rows))
    lines = ["| score | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for score in dict.fromkeys(row["score"] for row in rows):
        own = {
            n: [float(r["value"]) for r in rows if (r["score"], r["embedder"]) == (score, n)]
            for n in names
        }
        lines.append(
            f"| {score} | "
            + " | ".join(f"{np.mean(v):.3f}" if v else "" for v in own.values())
            + " |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--size", type=int, default=32, help="rows and columns of a frame")
    parser.add_argument("--steps", type=int, default=300, help="of pretraining")
    parser.add_argument(
        "--set", nargs="*", type=setting, default=[], metavar="NAME=VALUE", help="of the model"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("video.csv"), help="rows are appended as they are known"
    )
    options = parser.parse_args()
    new = not options.out.exists()
    with options.out.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if new:
            writer.writerow(("score", "embedder", "seed", "value"))
        for seed in options.seeds:
            parts = surprise(seed, options), real_films(seed, options)
            for score, name, value in (row for part in parts for row in part):
                writer.writerow([score, name, seed, f"{value:.4f}"])
                file.flush()
                print(f"seed {seed} {score}, {name}: {value:.3f}", flush=True)
    print(summarise(options.out))


if __name__ == "__main__":
    main()
