"""Films of which everything is known: real handwritten digits that drift over a black picture.

python benchmarks/moving_digits.py --seeds 0 1 2 --out digits.csv [--clips 1500] [--attentive] [--set mask=block ...]

Each clip shows one of scikit-learn's 8 x 8 digits, scaled to .44 of a frame's side. It moves in a straight line and
never touches the edge; its path is drawn so that it would be as likely backwards: only the order of the frames tells
the direction. Train and test clips show disjoint digit images (the last third is by other writers).
Everybody is fitted on the pixels of the train clips and embeds all clips; the labels are for the probe, ridge on
standardised features: digit (10 classes) and direction (8 of 45 degrees), accuracy; speed, R squared. Embedders:

pca, frames      pixels of each frame to 64 principal components, the 16 frames one after the other
pca, pooled      the same components, their mean, standard deviation and maximum over the frames
untrained        the encoder as drawn from the seed
autoencoder      the same encoder, trained to fill in the hidden boxes' pixels (arXiv 2203.12602) through our predictor
pretrained       the same encoder, trained as `temporal-jepa pretrain` does for films
... + query      an attentive probe on the tokens instead, with --attentive
"""

import argparse
import ast
import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from temporal_jepa.config import PretrainConfig
from temporal_jepa.data import Sequences
from temporal_jepa.data.moving_digits import generate_clips
from temporal_jepa.embed import embed_sequences, embed_tokens
from temporal_jepa.evaluation.attentive import attentive_probe
from temporal_jepa.evaluation.probes import probe
from temporal_jepa.model.jepa import TemporalJEPA
from temporal_jepa.model.masks import gather_tokens, kept_positions
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import train

Array = npt.NDArray[Any]
Labels = dict[str, Array]
FIRST_TEST = 1198  # digit image of the test clips
COLUMNS = ("embedder", "seed", "digit", "direction", "speed", "cpu_seconds", "clips")
COMPONENTS = 64


def digits(n: int, split: str, seed: int, frames: int = 16, size: int = 32) -> tuple[Array, Labels]:
    """Films of a split, "train" or "test", and what is known of them."""
    images, names = load_digits(return_X_y=True)
    part = slice(FIRST_TEST) if split == "train" else slice(FIRST_TEST, None)
    clips = generate_clips(
        images[part].reshape(-1, 8, 8) / 16, n, 2 * seed + (split == "test"), frames, size
    )
    return clips.videos, {
        "digit": names[part][clips.image],
        "direction": clips.direction,
        "speed": clips.speed,
    }


class MaskedAutoencoder(TemporalJEPA):
    """The encoder, masks and predictor of a model, trained to say the pixels of the hidden boxes, normalised."""

    def __init__(self, model: TemporalJEPA):
        super().__init__(model.config)
        self.load_state_dict(model.state_dict())
        values = model.config.patch * model.config.side**2 * model.config.frame_shape[2]
        self.predictor.leave = nn.Linear(model.config.predictor_embed_dim, values)

    def forward(self, x: Tensor, visible: Tensor) -> dict[str, Tensor]:
        encoder = self.context_encoder
        (visible,) = visible
        x, known = encoder.prepare(x)
        index, valid = kept_positions(encoder.tokens_observed(known) & ~visible)
        guess = self.predictor(
            encoder.encode(x, encoder.mask(known, visible)), index, valid
        )  # (B, M, values)
        wanted = gather_tokens(encoder.grid.patchify(encoder.normalizer(x, known)), index)
        error = F.mse_loss(guess, wanted)
        nothing = error.new_zeros(())
        return {
            "loss": error,
            "prediction_loss": error.detach(),
            "relative_loss": error.detach() / wanted.var(),
            "variance_loss": nothing,
            "covariance_loss": nothing,
        }


def pixels(known: Array, asked: Array, pooled: bool) -> tuple[Array, Array]:
    """Principal components of the frames of films `(n, time, ...)`, fitted on the known: `(n, features)` of both."""
    frames = [films.reshape(-1, films[0, 0].size) / 255 for films in (known, asked)]
    pca = PCA(COMPONENTS, random_state=0).fit(frames[0][::4])
    Z = [
        pca.transform(x).reshape(len(c), -1, COMPONENTS)
        for x, c in zip(frames, (known, asked), strict=True)
    ]
    if pooled:
        return tuple(np.concatenate([z.mean(1), z.std(1), z.max(1)], axis=1) for z in Z)
    return tuple(z.reshape(len(z), -1) for z in Z)


def fitted(name: str, sequences: Sequences, seed: int, changed: dict[str, Any]) -> TemporalJEPA:
    """The encoder of this name, in evaluation mode."""
    training = {
        key: value for key, value in changed.items() if key in PretrainConfig.__dataclass_fields__
    }
    rest = {
        key: value for key, value in changed.items() if key not in training
    }  # refused when misspelt
    model = initial_model(sequences, seed, **rest)
    if name == "autoencoder":
        model = MaskedAutoencoder(model)
    if name != "untrained":
        train(model, sequences, PretrainConfig(**{"seed": seed, "device": "cpu", **training}))
    if name == "autoencoder":
        model.update_target(0.0)
    return model.eval()


def scores(known: Labels, asked: Labels, Z: tuple[Array, Array]) -> list[float]:
    """Digit, direction and speed of the asked, told from features `(n, F)`."""
    speed = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 11))).fit(
        Z[0], known["speed"]
    )
    accuracy = [probe(Z[0], known[task], Z[1], asked[task]) for task in ("digit", "direction")]
    return [*accuracy, float(speed.score(Z[1], asked["speed"]))]


def queried(
    known: Labels, asked: Labels, tokens: Any, cells: tuple[int, int], seed: int
) -> list[float]:
    """Digit and direction read from tokens by a learnt query."""
    a, b = tokens
    accuracy = [
        attentive_probe(a, known[task], b, asked[task], cells, seed)
        for task in ("digit", "direction")
    ]
    return [*accuracy, float("nan")]


def rows(seed: int, options: argparse.Namespace) -> Iterator[tuple[str, list[float], float]]:
    """(embedder, scores, seconds of fitting) of every embedder, on clips drawn from the seed."""
    train_films, known = digits(options.clips, "train", seed, options.frames, options.size)
    test_films, asked = digits(options.clips // 2, "test", seed, options.frames, options.size)
    parts = [Sequences.from_arrays(films) for films in (train_films, test_films)]
    for name in ("frames", "pooled"):
        began = time.process_time()
        Z = pixels(train_films, test_films, name == "pooled")
        took = time.process_time() - began
        yield f"pca, {name}", scores(known, asked, Z), took
    for name in ("untrained", "autoencoder", "pretrained"):
        began = time.process_time()
        model = fitted(name, parts[0], seed, options.set)
        took = time.process_time() - began
        yield (
            name,
            scores(known, asked, tuple(embed_sequences(model, part) for part in parts)),
            took,
        )
        if options.attentive:
            tokens = [embed_tokens(model, part) for part in parts]
            yield f"{name} + query", queried(known, asked, tokens, model.config.cells, seed), took


def summarise(path: Path) -> str:
    """Mean and standard deviation over the seeds, as a table in Markdown."""
    with path.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    lines = [
        "| embedder | digit | direction | speed (R squared) | CPU seconds |",
        "|---|---|---|---|---|",
    ]
    for name in dict.fromkeys(row["embedder"] for row in found):
        own = [row for row in found if row["embedder"] == name]
        cells = [np.array([float(row[task]) for row in own]) for task in COLUMNS[2:6]]
        texts = [
            f"{v.mean():.3f} ± {v.std(ddof=1):.3f}" if len(v) > 1 else f"{v.mean():.3f}"
            for v in cells[:3]
        ]
        lines.append(f"| {name} | {' | '.join(texts)} | {cells[3].mean():.0f} |")
    return "\n".join(lines)


def setting(text: str) -> tuple[str, Any]:
    key, _, value = text.partition("=")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--clips", type=int, default=1500, help="train clips; half as many to test")
    parser.add_argument("--frames", type=int, default=16, help="of a clip")
    parser.add_argument("--size", type=int, default=32, help="rows and columns of a frame")
    parser.add_argument(
        "--set",
        nargs="*",
        type=setting,
        default=[],
        metavar="NAME=VALUE",
        help="of model or training",
    )
    parser.add_argument(
        "--attentive", action="store_true", help="also probe the tokens with a learnt query"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("digits.csv"), help="rows are appended as they are known"
    )
    options = parser.parse_args()
    options.set = dict(options.set)
    for seed in options.seeds:
        for name, found, took in rows(seed, options):
            new = not options.out.exists()
            with options.out.open("a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                if new:
                    writer.writerow(COLUMNS)
                writer.writerow(
                    [name, seed, *(f"{value:.4f}" for value in found), f"{took:.1f}", options.clips]
                )
            print(
                f"seed {seed} {name}: " + " ".join(f"{v:.3f}" for v in found) + f" ({took:.0f} s)",
                flush=True,
            )
    print(summarise(options.out))


if __name__ == "__main__":
    main()
