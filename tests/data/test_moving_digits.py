"""Synthetic clips move as their ground truth says."""

import numpy as np
import pytest

from temporal_jepa.data.moving_digits import (
    SHARE,
    draw,
    generate_background,
    generate_clips,
    lay_under,
)

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


@pytest.mark.parametrize("kind", ["drift", "flicker"])
def test_a_seed_gives_the_same_backgrounds(kind: str) -> None:
    ground = generate_background(kind, 5, seed=3, frames=4, size=24)
    again = generate_background(kind, 5, seed=3, frames=4, size=24)
    other = generate_background(kind, 5, seed=4, frames=4, size=24)
    np.testing.assert_array_equal(ground, again)
    assert ground.shape == (5, 4, 24, 24)
    assert ground.dtype == np.float32
    assert ground.min() >= 0
    assert ground.max() <= 1
    assert ground.std() > 0.2, "it uses the range"
    assert not np.array_equal(ground, other)
    assert not np.array_equal(ground[0], ground[1])


def test_a_drifting_background_moves_in_a_straight_line() -> None:
    frames = 9
    ground = generate_background("drift", 60, seed=0, frames=frames, size=32)
    shift = np.stack(
        [offset_of(a, b) for a, b in zip(ground[:, 0], ground[:, 4], strict=True)]
    )
    later = np.stack(
        [offset_of(a, b) for a, b in zip(ground[:, 4], ground[:, 8], strict=True)]
    )
    found = np.hypot(*shift.T) / 4
    np.testing.assert_allclose(shift, later, atol=1)
    room = 32 * (1 - SHARE) / (frames - 1)
    assert found.min() > 0.25 * room - 0.3
    assert found.max() < room + 0.3
    direction = np.round(np.arctan2(*shift.T) * 4 / np.pi).astype(int) % 8
    assert set(direction) == set(range(8))
    clips = generate_clips(IMAGES, 60, seed=0, frames=frames)
    assert (direction == clips.direction).mean() < 0.35, "not that of the image"


def offset_of(first: np.ndarray, second: np.ndarray, most: int = 10) -> np.ndarray:
    """Whole pixels (down, right) by which a frame moved: where the overlap differs least."""
    inner = slice(most, -most)
    wanted = first[inner, inner]
    side = range(-most, most + 1)
    error = np.full((len(side), len(side)), np.inf)
    for i, down in enumerate(side):
        for j, right in enumerate(side):
            moved = np.roll(second, (-down, -right), axis=(0, 1))[inner, inner]
            error[i, j] = np.square(moved - wanted).mean()
    return np.array(np.unravel_index(error.argmin(), error.shape)) - most


def test_flicker_is_new_in_each_frame() -> None:
    ground = generate_background("flicker", 20, seed=0)
    before = ground[:, :-1].ravel() - 0.5
    after = ground[:, 1:].ravel() - 0.5
    assert abs(np.corrcoef(before, after)[0, 1]) < 0.01


def test_a_background_lies_under_the_image() -> None:
    clips = generate_clips(IMAGES, 40, seed=1)
    ground = generate_background("drift", 40, seed=2)
    videos = lay_under(clips.videos, ground)
    assert videos.dtype == np.uint8
    assert videos.shape == clips.videos.shape
    assert (videos >= clips.videos).all()
    is_dark = clips.videos == 0
    np.testing.assert_allclose(videos[is_dark], 255 * ground[is_dark], atol=0.51)
    is_bright = clips.videos == 255
    assert (videos[is_bright] == 255).all()
    np.testing.assert_array_equal(lay_under(clips.videos, 0 * ground), clips.videos)
    faint = lay_under(clips.videos, 0.5 * ground)
    assert faint[is_dark].max() <= 128


def test_another_kind_of_background_is_refused() -> None:
    with pytest.raises(ValueError, match="one of drift, flicker, got 'rain'"):
        generate_background("rain", 2)
