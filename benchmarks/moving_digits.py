"""Films of which everything is known: real handwritten digits that drift over a black picture.

python benchmarks/moving_digits.py --seeds 0 1 2 --out digits.csv

Each clip shows one of scikit-learn's 8 x 8 digits, scaled to 14 x 14, in 16 frames of 32 x 32 pixels. It moves in a
straight line and never touches the edge: the place where it is drawn from is symmetric in time, so that only the order
of the frames tells the direction. Train and test clips show disjoint digit images (the last third is by other writers).
Everybody is fitted on the pixels of the train clips; labels are for the probe alone, ridge on standardised features:
digit (10 classes), direction (8 classes of 45 degrees), speed (R squared of a ridge regression).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

Array = npt.NDArray[Any]
DIGIT, FIRST_TEST = 14, 1198  # pixels of a digit; first digit image of the test clips
TASKS = ("digit", "direction", "speed")


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
