"""Films made from small pictures that drift over a black ground: of each, everything is known."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
SHARE = 0.44  # side of the moving picture, of the side of the film


@dataclass(frozen=True)
class Clips:
    """Films and what is known of them, `n` each.

    films: uint8 `(n, frames, size, size)`. picture: which picture moves. direction: 0..7, of 45 degrees each, from
    east clockwise. speed: pixels a frame.
    """

    films: npt.NDArray[np.uint8]
    picture: Array
    direction: Array
    speed: Array


def generate_clips(
    pictures: Array, n: int, seed: int = 0, frames: int = 16, size: int = 32
) -> Clips:
    """Films of one picture each, moving in a straight line that ends before the edge.

    A path is as likely as the same path backwards: only the order of the frames tells the direction.

    Args:
        pictures: `(m, rows, columns)` with values in 0..1, such as scikit-learn's digits over 16.
        n: number of films.
        seed: of pictures and paths.
        frames: of a film.
        size: rows and columns of a film.

    >>> generate_clips(np.ones((3, 8, 8)), n=5).films.shape
    (5, 16, 32, 32)
    """
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, len(pictures), n)
    angle = rng.uniform(0, 2 * np.pi, n)
    room = size * (
        1 - SHARE * (1 + 1 / min(pictures.shape[1:]))
    )  # a blurred edge is half a pixel wider
    speed = rng.uniform(0.25, 1.0, n) * room / (frames - 1)
    step = speed[:, None] * np.stack(
        [np.sin(angle), np.cos(angle)], axis=1
    )  # (n, 2): rows down, columns to the right
    middle = rng.uniform(-0.5, 0.5, (n, 2)) * (room - np.abs(step) * (frames - 1))
    when = np.arange(frames) - (frames - 1) / 2
    places = (
        middle[:, None] + when[:, None] * step[:, None]
    )  # (n, frames, 2), from the middle of the film
    return Clips(
        draw(pictures[picture], places, size),
        picture,
        ((angle * 4 / np.pi + 0.5) % 8).astype(int),
        speed,
    )


def draw(pictures: Array, places: Array, size: int) -> npt.NDArray[np.uint8]:
    """Pictures `(n, rows, columns)` around places `(n, frames, 2)`, by linear interpolation, cut at the edge."""
    pixels = np.arange(size) + 0.5 - size / 2
    weights = []
    for axis, side in enumerate(pictures.shape[1:]):
        inside = (
            (pixels - places[..., axis, None]) * side / (SHARE * size) + side / 2 - 0.5
        )  # (n, frames, size)
        weights.append(np.clip(1 - np.abs(inside[..., None] - np.arange(side)), 0, None))
    films: Array = (
        weights[0] @ pictures[:, None] @ weights[1].swapaxes(-1, -2)
    )  # (n, frames, size, size)
    return np.asarray((films * 255).round(), dtype=np.uint8)
