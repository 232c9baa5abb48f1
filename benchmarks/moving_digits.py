"""Videos of which everything is known: real handwritten digits that drift over a black frame.

python benchmarks/moving_digits.py --seeds 0 1 2 --out digits.csv [--attentive] [--set mask=block]

Each clip shows one of scikit-learn's 8 x 8 digits, scaled to .44 of the frame's side. It moves in
a straight line and never touches the edge; its path is drawn so that the reverse is as likely:
only the order of the frames tells the direction. Train and test clips show disjoint digit images
(the last third is by other writers). Every embedder is fitted on the pixels of the train clips
and embeds all clips; the labels are for the probe, ridge on standardized features: digit (10
classes) and direction (8 of 45 degrees), accuracy; speed, R squared. Embedders:

pca, frames      pixels of each frame to 64 principal components, the 16 frames concatenated
pca, pooled      the same components, their mean, standard deviation and maximum over the frames
untrained        the encoder with weights drawn from the seed
autoencoder      the same encoder, trained to reconstruct the masked patches (VideoMAE, arXiv
                 2203.12602) through our predictor
pretrained       the same encoder, trained as `temporal-jepa pretrain` does for video
... + query      an attentive probe on the tokens instead, with --attentive
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from results import Results, markdown_table, parser_of, setting
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
from temporal_jepa.model.masks import gather_tokens, positions_of
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import train

Array = npt.NDArray[Any]
Labels = dict[str, Array]
FIRST_TEST = 1198  # digit image of the test clips
SCORES = ("digit", "direction", "speed")
COLUMNS = ("embedder", "seed", *SCORES, "cpu_seconds", "clips")
COMPONENTS = 64


def digits(
    n: int, split: str, seed: int, frames: int = 16, size: int = 32
) -> tuple[Array, Labels]:
    """Clips of a split, "train" or "test", and their labels."""
    images, names = load_digits(return_X_y=True)
    part = slice(FIRST_TEST) if split == "train" else slice(FIRST_TEST, None)
    images = images[part].reshape(-1, 8, 8) / 16
    clips = generate_clips(images, n, 2 * seed + (split == "test"), frames, size)
    labels = {
        "digit": names[part][clips.image],
        "direction": clips.direction,
        "speed": clips.speed,
    }
    return clips.videos, labels


class MaskedAutoencoder(TemporalJEPA):
    """Encoder, masks and predictor of a model, trained to predict normalized masked pixels."""

    def __init__(self, model: TemporalJEPA):
        super().__init__(model.config)
        self.load_state_dict(model.state_dict())
        values = model.config.patch * model.config.side**2 * model.config.frame_shape[2]
        self.predictor.proj_out = nn.Linear(model.config.predictor_embed_dim, values)

    def forward(self, x: Tensor, visible: Tensor) -> dict[str, Tensor]:
        encoder = self.context_encoder
        (visible,) = visible
        x, observed = encoder.prepare(x)
        positions, valid = positions_of(encoder.tokens_observed(observed) & ~visible)
        context = encoder.encode(x, encoder.mask(observed, visible))
        predicted = self.predictor(context, positions, valid)  # (B, M, values)
        patches = encoder.grid.patchify(encoder.normalizer(x, observed))
        wanted = gather_tokens(patches, positions)
        error = F.mse_loss(predicted, wanted)
        zero = error.new_zeros(())
        return {
            "loss": error,
            "prediction_loss": error.detach(),
            "relative_loss": error.detach() / wanted.var(),
            "variance_loss": zero,
            "covariance_loss": zero,
        }


def pixels(train: Array, test: Array, pooled: bool) -> tuple[Array, Array]:
    """Principal components of the frames, fitted on train: `(n, features)` of both."""
    frames = [clips.reshape(-1, clips[0, 0].size) / 255 for clips in (train, test)]
    pca = PCA(COMPONENTS, random_state=0).fit(frames[0][::4])
    train_Z, test_Z = (
        pca.transform(x).reshape(len(clips), -1, COMPONENTS)
        for x, clips in zip(frames, (train, test), strict=True)
    )
    if not pooled:
        return train_Z.reshape(len(train), -1), test_Z.reshape(len(test), -1)

    def pool(Z: Array) -> Array:
        return np.concatenate([Z.mean(1), Z.std(1), Z.max(1)], axis=1)

    return pool(train_Z), pool(test_Z)


def fitted(
    name: str, sequences: Sequences, seed: int, settings: dict[str, Any]
) -> TemporalJEPA:
    """The encoder of this name, in evaluation mode."""
    names = PretrainConfig.__dataclass_fields__
    training = {key: value for key, value in settings.items() if key in names}
    architecture = {key: value for key, value in settings.items() if key not in names}
    model = initial_model(sequences, seed, **architecture)
    if name == "autoencoder":
        torch.manual_seed(seed)  # of the map to pixels
        model = MaskedAutoencoder(model)
    if name != "untrained":
        train(
            model,
            sequences,
            PretrainConfig(**{"seed": seed, "device": "cpu", **training}),
        )
    if name == "autoencoder":
        model.update_target(0.0)
    return model.eval()


def scores(train: Labels, test: Labels, Z: tuple[Array, Array]) -> list[float]:
    """Digit, direction and speed of the test clips, from features `(n, F)`."""
    accuracy = [probe(Z[0], train[task], Z[1], test[task]) for task in SCORES[:2]]
    speed = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 4, 11)))
    speed.fit(Z[0], train["speed"])
    return [*accuracy, float(speed.score(Z[1], test["speed"]))]


def query_scores(
    train: Labels, test: Labels, tokens: list[Any], cells: tuple[int, int], seed: int
) -> list[float]:
    """Digit and direction, read from tokens by a learned query."""
    accuracy = [
        attentive_probe(tokens[0], train[task], tokens[1], test[task], cells, seed)
        for task in SCORES[:2]
    ]
    return [*accuracy, float("nan")]


def embedders(
    seed: int, options: argparse.Namespace
) -> Iterator[tuple[str, list[float], float]]:
    """Yield (embedder, scores, CPU seconds of fitting), on clips drawn from the seed."""
    train_clips, train_y = digits(
        options.clips, "train", seed, options.frames, options.size
    )
    test_clips, test_y = digits(
        options.clips // 2, "test", seed, options.frames, options.size
    )
    for name in ("frames", "pooled"):
        began = time.process_time()
        Z = pixels(train_clips, test_clips, name == "pooled")
        seconds = time.process_time() - began
        yield f"pca, {name}", scores(train_y, test_y, Z), seconds
    parts = [Sequences.from_arrays(clips) for clips in (train_clips, test_clips)]
    for name in ("untrained", "autoencoder", "pretrained"):
        began = time.process_time()
        model = fitted(name, parts[0], seed, dict(options.set))
        seconds = time.process_time() - began
        Z = (embed_sequences(model, parts[0]), embed_sequences(model, parts[1]))
        yield name, scores(train_y, test_y, Z), seconds
        if options.attentive:
            tokens = [embed_tokens(model, part) for part in parts]
            found = query_scores(train_y, test_y, tokens, model.config.cells, seed)
            yield f"{name} + query", found, seconds


def summarize(results: Results) -> str:
    """Mean and standard deviation over the seeds."""
    rows = results.rows()
    lines = []
    for name in dict.fromkeys(row["embedder"] for row in rows):
        own = [row for row in rows if row["embedder"] == name]
        cells = []
        for task in SCORES:
            values = np.array([float(row[task]) for row in own])
            spread = f" ± {values.std(ddof=1):.3f}" if len(values) > 1 else ""
            cells.append(f"{values.mean():.3f}{spread}")
        seconds = np.mean([float(row["cpu_seconds"]) for row in own])
        lines.append([name, *cells, f"{seconds:.0f}"])
    header = ["embedder", "digit", "direction", "speed (R squared)", "CPU seconds"]
    return markdown_table(header, lines)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--clips", type=int, default=1500, help="train clips; half as many to test"
    )
    parser.add_argument("--frames", type=int, default=16, help="of a clip")
    parser.add_argument(
        "--size", type=int, default=32, help="rows and columns of a frame"
    )
    parser.add_argument(
        "--set",
        nargs="*",
        type=setting,
        default=[],
        metavar="NAME=VALUE",
        help="of model or training",
    )
    parser.add_argument(
        "--attentive",
        action="store_true",
        help="also probe the tokens with a learned query",
    )
    parser.add_argument("--out", type=Path, default=Path("digits.csv"))
    options = parser.parse_args()
    results = Results(options.out, COLUMNS)
    for seed in options.seeds:
        for name, found, seconds in embedders(seed, options):
            row = [name, seed, *(f"{value:.4f}" for value in found), f"{seconds:.1f}"]
            results.add(dict(zip(COLUMNS, [*row, options.clips], strict=True)))
            text = " ".join(f"{value:.3f}" for value in found)
            print(f"seed {seed} {name}: {text} ({seconds:.0f} s)", flush=True)
    print(summarize(results))


if __name__ == "__main__":
    main()
