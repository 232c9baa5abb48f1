"""Synthetic clips move as their ground truth says."""

import numpy as np

from temporal_jepa.data.moving_digits import SHARE, draw, generate_clips

IMAGES = np.random.default_rng(0).uniform(0.5, 1, (6, 8, 8))


def centers(videos: np.ndarray) -> np.ndarray:
    """Center of mass (row, column) of every frame: `(n, frames, 2)`."""
    mass = videos.sum((2, 3))
    pixels = np.arange(videos.shape[2])
    rows = (videos.sum(3) * pixels).sum(2) / mass
    columns = (videos.sum(2) * pixels).sum(2) / mass
    return np.stack([rows, columns], axis=-1)


def test_images_move_as_stated_and_stay_inside() -> None:
    clips = generate_clips(IMAGES, 80, seed=1)
    moved = np.diff(centers(clips.videos), axis=1)
    np.testing.assert_allclose(
        np.linalg.norm(moved, axis=2).mean(1), clips.speed, atol=0.05
    )
    angle = np.arctan2(moved.mean(1)[:, 0], moved.mean(1)[:, 1])
    off = (angle - clips.direction * np.pi / 4 + np.pi) % (2 * np.pi) - np.pi
    assert (np.abs(off) < np.pi / 8 + 0.05).all()
    mass = clips.videos.sum((2, 3), dtype=float)
    assert np.ptp(mass, axis=1).max() < 0.02 * mass.max(), "nothing is cut off"
    assert set(clips.direction) == set(range(8))


def test_a_seed_gives_the_same_clips() -> None:
    videos = generate_clips(IMAGES, 5, seed=3, frames=4, size=24).videos
    again = generate_clips(IMAGES, 5, seed=3, frames=4, size=24).videos
    other = generate_clips(IMAGES, 5, seed=4, frames=4, size=24).videos
    np.testing.assert_array_equal(videos, again)
    assert videos.shape == (5, 4, 24, 24)
    assert not np.array_equal(videos, other)


def test_draw_puts_the_image_at_its_place() -> None:
    size = round(8 / SHARE)
    (video,) = draw(IMAGES[:1], np.array([[[0.0, 0.0], [0.0, 100.0]]]), size)
    assert video[0].max() > 100
    assert not video[1].any()
