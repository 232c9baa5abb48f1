"""Films of which everything is known: real handwritten digits that drift over a black picture.

python benchmarks/moving_digits.py --seeds 0 1 2 --out digits.csv [--clips 1500] [--attentive] [--set mask=block ...]

Each clip shows one of scikit-learn's 8 x 8 digits, scaled to 14 x 14, in 16 frames of 32 x 32 pixels. It moves in a
straight line and never touches the edge; its path is drawn so that it would be as likely backwards, so only the order
of the frames tells the direction. Train and test clips show disjoint digit images (the last third is by other writers).
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from temporal_jepa.attentive import attentive_probe
from temporal_jepa.config import PretrainConfig, TemporalJEPAConfig
from temporal_jepa.data import Sequences
from temporal_jepa.embedding import embed_sequences, embed_tokens, initial_model
from temporal_jepa.masks import gather_tokens, kept_index
from temporal_jepa.model import TemporalJEPA
from temporal_jepa.probes import probe
from temporal_jepa.training import train

Array = npt.NDArray[Any]
DIGIT, FIRST_TEST = 14, 1198  # pixels of a digit; first digit image of the test clips
COLUMNS = ("embedder", "seed", "digit", "direction", "speed", "cpu_seconds", "clips")
COMPONENTS = 64


@dataclass(frozen=True)
class Clips:
    """Films uint8 `(n, frames, size, size)`; and of each the digit, direction (0..7), speed and digit image, `(n,)`."""

    films: npt.NDArray[np.uint8]
    digit: Array
    direction: Array
    speed: Array
    image: Array


def moving_digits(n: int, split: str = "train", seed: int = 0, frames: int = 16, size: int = 32) -> Clips:
    """`n` clips of digits of one split, "train" or "test"."""
    from sklearn.datasets import load_digits

    images, names = load_digits(return_X_y=True)
    rng = np.random.default_rng([seed, split == "test"])
    image = rng.integers(*((0, FIRST_TEST) if split == "train" else (FIRST_TEST, len(names))), n)
    angle, room = rng.uniform(0, 2 * np.pi, n), size - DIGIT
    speed = rng.uniform(0.25, 1.0, n) * room / (frames - 1)  # pixels a frame
    step = speed[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)  # (n, 2): to the right and down
    middle = rng.uniform(-0.5, 0.5, (n, 2)) * (room - np.abs(step) * (frames - 1))
    when = np.arange(frames) - (frames - 1) / 2
    centre = middle[:, None] + when[None, :, None] * step[:, None]  # (n, frames, 2) from the centre of the picture
    films = draw(images[image].reshape(-1, 8, 8) / 16, centre, size)
    return Clips(films, names[image], ((angle * 4 / np.pi + 0.5) % 8).astype(int), speed, image)


def draw(images: Array, centre: Array, size: int) -> npt.NDArray[np.uint8]:
    """Images `(n, 8, 8)` in 0..1 at places `(n, frames, 2)` of black pictures: uint8 `(n, frames, size, size)`."""
    n, frames, _ = centre.shape
    scale = size / DIGIT
    move = torch.zeros(n * frames, 2, 3)
    move[:, 0, 0] = move[:, 1, 1] = scale
    move[:, :, 2] = -torch.from_numpy(centre.reshape(-1, 2)).float() * 2 / DIGIT
    source = torch.from_numpy(images).float()[:, None].repeat_interleave(frames, 0)
    grid = F.affine_grid(move, [n * frames, 1, size, size], align_corners=False)
    films = F.grid_sample(source, grid, align_corners=False).view(n, frames, size, size)
    return (films * 255).round().to(torch.uint8).numpy()


class MaskedAutoencoder(TemporalJEPA):
    """The encoder, masks and predictor of a model, trained to say the pixels of the hidden boxes, normalised."""

    def __init__(self, model: TemporalJEPA):
        super().__init__(model.config)
        self.load_state_dict(model.state_dict())
        values = model.config.patch * model.config.side**2 * model.config.picture[2]
        self.predictor.leave = nn.Linear(model.config.predictor_embed_dim, values)

    def forward(self, x: Tensor, visible: Tensor) -> dict[str, Tensor]:
        encoder, (visible,) = self.context_encoder, visible
        x, known = encoder.prepare(x)
        index, valid = kept_index(encoder.tokens_observed(known) & ~visible)
        guess = self.predictor(encoder.encode(x, encoder.hide(known, visible)), index, valid)  # (B, M, values)
        wanted = gather_tokens(encoder.boxes.split(encoder.normalizer(x, known)), index)
        error = F.mse_loss(guess, wanted)
        nothing = error.new_zeros(())
        return {"loss": error, "prediction_loss": error.detach(), "relative_loss": error.detach() / wanted.var(),
                "variance_loss": nothing, "covariance_loss": nothing}  # fmt: skip


def pixels(known: Array, asked: Array, pooled: bool) -> tuple[Array, Array]:
    """Principal components of the frames of films `(n, time, ...)`, fitted on the known: `(n, features)` of both."""
    frames = [films.reshape(-1, films[0, 0].size) / 255 for films in (known, asked)]
    pca = PCA(COMPONENTS, random_state=0).fit(frames[0][::4])
    Z = [pca.transform(x).reshape(len(c), -1, COMPONENTS) for x, c in zip(frames, (known, asked), strict=True)]
    if pooled:
        return tuple(np.concatenate([z.mean(1), z.std(1), z.max(1)], axis=1) for z in Z)
    return tuple(z.reshape(len(z), -1) for z in Z)


def fitted(name: str, sequences: Sequences, seed: int, changed: dict[str, Any]) -> TemporalJEPA:
    """The encoder of this name, in evaluation mode."""
    training = {key: value for key, value in changed.items() if key in PretrainConfig.__dataclass_fields__}
    rest = {key: value for key, value in changed.items() if key in TemporalJEPAConfig.__dataclass_fields__}
    model = initial_model(sequences, seed, **rest)
    if name == "autoencoder":
        model = MaskedAutoencoder(model)
    if name != "untrained":
        train(model, sequences, PretrainConfig(**{"seed": seed, "device": "cpu", **training}))
    if name == "autoencoder":
        model.update_target(0.0)
    return model.eval()


def scores(known: Clips, asked: Clips, Z: tuple[Array, Array]) -> list[float]:
    """Digit, direction and speed of the asked, told from features `(n, F)`."""
    speed = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 11))).fit(Z[0], known.speed)
    return [probe(Z[0], known.digit, Z[1], asked.digit), probe(Z[0], known.direction, Z[1], asked.direction),
            float(speed.score(Z[1], asked.speed))]  # fmt: skip


def queried(known: Clips, asked: Clips, tokens: Any, cells: tuple[int, int], seed: int) -> list[float]:
    """Digit and direction read from tokens by a learnt query."""
    a, b = tokens
    found = [attentive_probe(a, k, b, q, cells, seed) for k, q in
             ((known.digit, asked.digit), (known.direction, asked.direction))]  # fmt: skip
    return [*found, float("nan")]


def rows(seed: int, options: argparse.Namespace) -> Iterator[tuple[str, list[float], float]]:
    """(embedder, scores, seconds of fitting) of every embedder, on clips drawn from the seed."""
    known = moving_digits(options.clips, "train", seed)
    asked = moving_digits(options.clips // 2, "test", seed)
    parts = [Sequences.from_arrays(clips.films) for clips in (known, asked)]
    for name in ("frames", "pooled"):
        began = time.process_time()
        Z = pixels(known.films, asked.films, name == "pooled")
        took = time.process_time() - began
        yield f"pca, {name}", scores(known, asked, Z), took
    for name in ("untrained", "autoencoder", "pretrained"):
        began = time.process_time()
        model = fitted(name, parts[0], seed, options.set)
        took = time.process_time() - began
        yield name, scores(known, asked, tuple(embed_sequences(model, part) for part in parts)), took
        if options.attentive:
            tokens = [embed_tokens(model, part) for part in parts]
            yield f"{name} + query", queried(known, asked, tokens, model.config.cells, seed), took


def summarise(path: Path) -> str:
    """Mean and standard deviation over the seeds, as a table in Markdown."""
    with path.open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    lines = ["| embedder | digit | direction | speed (R squared) | CPU seconds |", "|---|---|---|---|---|"]
    for name in dict.fromkeys(row["embedder"] for row in found):
        own = [row for row in found if row["embedder"] == name]
        cells = [np.array([float(row[task]) for row in own]) for task in COLUMNS[2:6]]
        texts = [f"{v.mean():.3f} ± {v.std(ddof=1):.3f}" if len(v) > 1 else f"{v.mean():.3f}" for v in cells[:3]]
        lines.append(f"| {name} | {' | '.join(texts)} | {cells[3].mean():.0f} |")
    return "\n".join(lines)


def setting(text: str) -> tuple[str, Any]:
    key, _, value = text.partition("=")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--clips", type=int, default=1500, help="train clips; half as many to test")
    parser.add_argument("--set", nargs="*", type=setting, default=[], metavar="NAME=VALUE", help="of model or training")
    parser.add_argument("--attentive", action="store_true", help="also probe the tokens with a learnt query")
    parser.add_argument("--out", type=Path, default=Path("digits.csv"), help="rows are appended as they are known")
    options = parser.parse_args()
    options.set = dict(options.set)
    for seed in options.seeds:
        for name, found, took in rows(seed, options):
            new = not options.out.exists()
            with options.out.open("a", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                if new:
                    writer.writerow(COLUMNS)
                writer.writerow([name, seed, *(f"{value:.4f}" for value in found), f"{took:.1f}", options.clips])
            print(f"seed {seed} {name}: " + " ".join(f"{v:.3f}" for v in found) + f" ({took:.0f} s)", flush=True)
    print(summarise(options.out))


if __name__ == "__main__":
    main()
