"""What do embeddings of video know? Retrieval of changed clips, order of frames, anomalies.

python benchmarks/video.py FOLDER --seeds 0 1 2 --out video.csv

FOLDER holds video files. Each is read at 8 frames per second of --size x --size and cut into
clips of 16 frames. The first 60 % of each video is for training (no labels), the last 30 % for
testing, so no train clip overlaps a test clip. Scores, each beside its controls:

retrieval   of a changed test clip, is the nearest train clip of the same video? Mean over videos;
            each change alone: none, hue (color channels rotated), crop (the middle 70 %), speed
            (every other frame)
order       ridge on frozen embeddings tells clips from the same clips with shuffled frames;
            accuracy, chance is .5
surprise    in 200 clips of moving digits (moving_digits.py) the digit vanishes, or 12 frames are
            missing, at a random frame. The score of a time is the error of predicting it from all
            before it, largest over the frame, over its mean in train clips. AUROC of that moment
            among all times; control: change of the pixels
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from moving_digits import FIRST_TEST, digits, pixels
from results import Results, markdown_table, parser_of, setting
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
Score = tuple[str, str, float]  # (score, embedder, value)
FRAMES = 16  # of a clip
MISSED = 12  # frames that are missing where a digit jumps
STRIDE = 8  # frames between the starts of clips
CHANGES = ("none", "hue", "crop", "speed")
COLUMNS = ("score", "embedder", "seed", "value")


def load_clips(folder: Path, size: int) -> dict[str, tuple[Array, Array]]:
    """Split -> (clips uint8 `(n, time, rows, columns, 3)`, number of the video of each).

    The split "fast" has every other frame of "test".
    """
    videos = read_video(folder, ReadOptions(resize=size))
    clips: dict[str, list[Array]] = {"train": [], "test": [], "fast": []}
    owners: dict[str, list[int]] = {"train": [], "test": [], "fast": []}
    for number, values in enumerate(videos.values):
        video = values.reshape(len(values), *videos.frame)
        train_part = video[: int(0.6 * len(video))]
        test_part = video[int(0.7 * len(video)) :]
        for split, part, speed in (
            ("train", train_part, 1),
            ("test", test_part, 1),
            ("fast", test_part, 2),
        ):
            length = speed * FRAMES
            for start in range(0, len(part) - length + 1, STRIDE):
                clips[split].append(part[start : start + length : speed])
                owners[split].append(number)
    return {split: (np.stack(clips[split]), np.array(owners[split])) for split in clips}


def changed(clips: Array, change: str) -> Array:
    """The same clips, changed."""
    if change == "hue":
        return np.roll(clips, 1, axis=-1)
    if change == "crop":
        rows, columns = (
            np.linspace(0.15 * (n - 1), 0.85 * (n - 1), n).round().astype(int)
            for n in clips.shape[2:4]
        )
        return clips[:, :, rows][:, :, :, columns]
    return clips


def histogram(clips: Array) -> Array:
    """Mean color histogram, 4 x 4 x 4 bins: `(n, 64)`."""
    weights = np.array([16, 4, 1], dtype=np.uint8)
    codes = (clips // 64 * weights).sum(-1, dtype=np.int64).reshape(len(clips), -1)
    return np.stack([np.bincount(row, minlength=64) / len(row) for row in codes])


def trained(
    clips: Array, seed: int, options: argparse.Namespace
) -> tuple[TemporalJEPA, TemporalJEPA]:
    """The encoder before and after training on clips."""
    sequences = Sequences.from_arrays(clips)
    before = initial_model(sequences, seed, **dict(options.set)).eval()
    after = initial_model(sequences, seed, **dict(options.set)).eval()
    config = PretrainConfig(steps=options.steps, seed=seed, device="cpu")
    return before, train(after, sequences, config)


def retrieval(Z: Array, owners: Array, queries: Array, query_owners: Array) -> float:
    """Share of the queries whose nearest neighbor is of the same video, mean over videos."""
    nearest = Index(Z).nearest(queries, k=1)[0][:, 0]
    hit = owners[nearest] == query_owners
    return float(
        np.mean(
            [hit[query_owners == video].mean() for video in np.unique(query_owners)]
        )
    )


def order(
    embed: Callable[[Array], Array], parts: tuple[Array, Array], seed: int
) -> float:
    """Accuracy of telling clips from the same clips with shuffled frames."""
    rng = np.random.default_rng(seed)
    sets = []
    for clips in parts:
        shuffled = np.stack([clip[rng.permutation(FRAMES)] for clip in clips])
        sets.append(embed(np.concatenate([clips, shuffled])))
        sets.append(np.repeat([0, 1], len(clips)))
    return probe(*sets)


def score_videos(seed: int, options: argparse.Namespace) -> Iterator[Score]:
    """Retrieval and order, on the videos of the folder."""
    parts = load_clips(options.folder, options.size)
    known, owners = parts["train"]
    embedders: dict[str, Callable[[Array], Array]] = {}
    for name, model in zip(
        ("untrained", "pretrained"), trained(known, seed, options), strict=True
    ):
        embedders[name] = lambda x, model=model: embed_sequences(
            model, Sequences.from_arrays(x)
        )
    if seed == 0:  # these are deterministic
        embedders["color histogram"] = histogram
        embedders["pixels + PCA"] = lambda x: pixels(known, x, True)[1]
    for name, embed in embedders.items():
        Z = embed(known)
        for change in CHANGES:
            clips, query_owners = parts["fast" if change == "speed" else "test"]
            value = retrieval(Z, owners, embed(changed(clips, change)), query_owners)
            yield f"retrieval, {change}", name, value
        yield "order", name, order(embed, (known, parts["test"][0]), seed)


def anomalous_clips(n: int, seed: int, size: int) -> tuple[Array, Array]:
    """Clips of test digits and the frame at which one vanishes (first half) or jumps (second)."""
    images = load_digits().images[FIRST_TEST:] / 16
    long = generate_clips(
        images, n, seed=1000 + seed, frames=FRAMES + MISSED, size=size
    ).videos
    when = np.random.default_rng(seed).integers(4, FRAMES - 1, n)
    clips = long[:, :FRAMES].copy()
    for i, t in enumerate(when):
        clips[i, t:] = 0 if i < n // 2 else long[i, t + MISSED :]
    return clips, when


def errors(model: TemporalJEPA, clips: Array) -> Array:
    """Error of predicting each time from all before it, the frame's maximum: `(n, times - 1)`."""
    x = torch.from_numpy(Sequences.from_arrays(clips).batch(range(len(clips))))
    cells = int(np.prod(model.config.cells))
    time = torch.arange(-(-x.shape[1] // model.config.patch) * cells) // cells
    out = []
    for t in range(1, int(time[-1]) + 1):
        visible = (time < t).expand(len(x), -1)
        parts = [
            model.prediction_error(values, mask)[:, time == t]
            for values, mask in zip(x.split(64), visible.split(64), strict=True)
        ]
        out.append(torch.cat(parts).amax(1))
    return torch.stack(out, 1).numpy()


def pixel_change(clips: Array, patch: int) -> Array:
    """Mean change of the pixels between frames, the largest of each time: `(n, times - 1)`."""
    step = np.abs(np.diff(clips.astype(float), axis=1, prepend=clips[:, :1])).mean(
        (2, 3)
    )
    return step.reshape(len(clips), -1, patch).max(2)[:, 1:]


def score_anomalies(seed: int, options: argparse.Namespace) -> Iterator[Score]:
    """AUROC of the moment at which a digit vanishes or jumps."""
    known, _ = digits(500, "train", seed, FRAMES, options.size)
    before, after = trained(known, seed, options)
    clips, when = anomalous_clips(200, seed, options.size)
    patch = after.config.patch
    truth = np.arange(1, FRAMES // patch) == when[:, None] // patch  # (n, times - 1)
    scores = {
        "untrained": errors(before, clips) / errors(before, known[:100]).mean(0),
        "pretrained": errors(after, clips) / errors(after, known[:100]).mean(0),
        "pixel change": pixel_change(clips, patch),
    }
    for name, score in scores.items():
        for what, part in (("vanishes", slice(0, 100)), ("jumps", slice(100, 200))):
            value = roc_auc_score(truth[part].ravel(), score[part].ravel())
            yield f"surprise, {what}", name, float(value)


def summarize(results: Results) -> str:
    """Mean over seeds of every score and embedder."""
    values: dict[tuple[str, str], list[float]] = {}
    for row in results.rows():
        values.setdefault((row["score"], row["embedder"]), []).append(
            float(row["value"])
        )
    scores = dict.fromkeys(score for score, _ in values)
    names = dict.fromkeys(name for _, name in values)
    rows = []
    for score in scores:
        found = [values.get((score, name)) for name in names]
        rows.append([score, *(f"{np.mean(v):.3f}" if v else "" for v in found)])
    return markdown_table(["score", *names], rows)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--size", type=int, default=32, help="rows and columns of a frame"
    )
    parser.add_argument("--steps", type=int, default=300, help="of pretraining")
    parser.add_argument(
        "--set",
        nargs="*",
        type=setting,
        default=[],
        metavar="NAME=VALUE",
        help="of the model",
    )
    parser.add_argument("--out", type=Path, default=Path("video.csv"))
    options = parser.parse_args()
    results = Results(options.out, COLUMNS)
    for seed in options.seeds:
        for part in (score_anomalies, score_videos):
            for score, name, value in part(seed, options):
                row = (score, name, seed, f"{value:.4f}")
                results.add(dict(zip(COLUMNS, row, strict=True)))
                print(f"seed {seed} {score}, {name}: {value:.3f}", flush=True)
    print(summarize(results))


if __name__ == "__main__":
    main()
