"""Synthetic clips of an image that drifts over a black ground, with known content and motion.

Like Moving MNIST (Srivastava et al. 2015), but with one image per clip and without bounces. A
background that moves on its own can be laid under the image.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from .sequences import Array

Background = Literal["drift", "flicker"]
SHARE = 0.44  # side of the image, as a share of the side of the frame
BLUR = (
    1 / 16
)  # of the texture of a background: deviation, as a share of the side of the frame


@dataclass(frozen=True)
class Clips:
    """Clips and their ground truth.

    Attributes:
        videos: uint8 ``(n, frames, size, size)``.
        image: ``(n,)`` index of the image that moves.
        direction: ``(n,)`` integers 0 to 7, in steps of 45 degrees from east, clockwise.
        speed: ``(n,)`` pixels per frame.
    """

    videos: Array
    image: Array
    direction: Array
    speed: Array


def generate_clips(
    images: Array, n: int, seed: int = 0, frames: int = 16, size: int = 32
) -> Clips:
    """Clips of one image each, moving in a straight line that ends before the edge.

    A path is as likely as its reverse, so only the order of the frames reveals the direction.

    Args:
        images: ``(m, rows, columns)`` with values in 0..1, such as scikit-learn's digits over 16.
        n: number of clips.
        seed: of images and paths.
        frames: number of frames per clip.
        size: rows and columns of a frame.

    >>> generate_clips(np.ones((3, 8, 8)), n=5).videos.shape
    (5, 16, 32, 32)
    """
    rng = np.random.default_rng(seed)
    image = rng.integers(0, len(images), n)
    angle = rng.uniform(0, 2 * np.pi, n)
    # The blurred edge of an image is half a pixel wider on each side.
    room = size * (1 - SHARE * (1 + 1 / min(images.shape[1:])))
    speed = rng.uniform(0.25, 1.0, n) * room / (frames - 1)
    step = _steps(angle, speed)
    middle = rng.uniform(-0.5, 0.5, (n, 2)) * (room - np.abs(step) * (frames - 1))
    time = np.arange(frames) - (frames - 1) / 2
    places = (
        middle[:, None] + time[:, None] * step[:, None]
    )  # (n, frames, 2), from the center
    return Clips(
        videos=draw(images[image], places, size),
        image=image,
        direction=((angle * 4 / np.pi + 0.5) % 8).astype(int),
        speed=speed,
    )


def draw(images: Array, places: Array, size: int) -> Array:
    """Draw images ``(n, rows, columns)`` at places ``(n, frames, 2)``: ``(n, frames, size, size)``.

    Places are (down, right) of the center, in pixels. Interpolation is linear; what lies outside
    the frame is cut off.
    """
    pixels = np.arange(size) + 0.5 - size / 2
    weights = []
    for axis, side in enumerate(images.shape[1:]):
        inside = (
            (pixels - places[..., axis, None]) * side / (SHARE * size) + side / 2 - 0.5
        )
        distance = np.abs(
            inside[..., None] - np.arange(side)
        )  # (n, frames, size, side)
        weights.append(np.clip(1 - distance, 0, None))
    down, right = weights
    videos: Array = down @ images[:, None] @ right.swapaxes(-1, -2)
    return np.asarray((videos * 255).round(), dtype=np.uint8)


def generate_background(
    kind: Background, n: int, seed: int = 0, frames: int = 16, size: int = 32
) -> Array:
    """Backgrounds to lay under clips: float32 `(n, frames, size, size)` with values in 0..1.

    Args:
        kind: "drift" is a smooth random texture, whose spots are as wide as the strokes of a digit.
            It moves in a straight line, with directions and speeds as likely as those of
            `generate_clips`. "flicker" is white noise that is new in each frame.
        n: number of clips.
        seed: of textures and paths, which do not depend on those of clips of the same seed.
        frames: number of frames per clip.
        size: rows and columns of a frame.

    Raises:
        ValueError: for another kind.
    """
    rng = np.random.default_rng([seed, 1])  # not the numbers of `generate_clips`
    if kind == "flicker":
        return rng.random((n, frames, size, size), dtype=np.float32)
    if kind != "drift":
        known = ", ".join(get_args(Background))
        raise ValueError(f"background must be one of {known}, got {kind!r}")
    angle = rng.uniform(0, 2 * np.pi, n)
    speed = rng.uniform(0.25, 1.0, n) * size * (1 - SHARE) / (frames - 1)
    step = _steps(angle, speed)
    side = 2 * size  # of a texture that repeats: a path is shorter than `size`
    down = np.fft.fftfreq(side)[:, None]  # cycles per pixel
    right = np.fft.rfftfreq(side)
    blur = np.exp(-2 * (np.pi * BLUR * size) ** 2 * (down**2 + right**2))
    blur[0, 0] = 0.0
    out = np.empty((n, frames, size, size), dtype=np.float32)
    for row, (by_row, by_column) in zip(out, step, strict=True):
        texture = np.fft.rfft2(rng.normal(size=(side, side))) * blur
        texture /= np.fft.irfft2(texture).std()
        turn = np.exp(-2j * np.pi * (down * by_row + right * by_column))
        for frame in row:
            frame[:] = np.fft.irfft2(texture)[:size, :size]
            texture *= turn
    ground: Array = np.clip(0.5 + out / 4, 0, 1)
    return ground


def lay_under(videos: Array, background: Array) -> Array:
    """Clips with a background where they are dark: the brighter the image, the less it shows.

    Args:
        videos: uint8 `(n, frames, size, size)`, of `generate_clips`.
        background: `(n, frames, size, size)` with values in 0..1, of `generate_background`; times
            a number below 1, it is fainter.

    Returns:
        uint8 `(n, frames, size, size)`.
    """
    lit = videos + (255 - videos) * background
    return np.asarray(lit.round(), dtype=np.uint8)


def _steps(angle: Array, speed: Array) -> Array:
    """Pixels per frame, `(n, 2)`: down, right."""
    steps: Array = speed[:, None] * np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return steps
