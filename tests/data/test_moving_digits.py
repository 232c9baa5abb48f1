"""Moving pictures are what is said of them."""

import numpy as np

from temporal_jepa.data.moving_digits import SHARE, draw, generate_clips

PICTURES = np.random.default_rng(0).uniform(0.5, 1, (6, 8, 8))


def centres(films: np.ndarray) -> np.ndarray:
    """Centre of mass (row, column) of every frame: `(n, frames, 2)`."""
    mass = films.sum((2, 3))
    places = np.arange(films.shape[2])
    return np.stack(
        [(films.sum(3) * places).sum(2) / mass, (films.sum(2) * places).sum(2) / mass], axis=-1
    )


def test_pictures_move_as_stated_and_stay_inside() -> None:
    clips = generate_clips(PICTURES, 80, seed=1)
    moved = np.diff(centres(clips.films), axis=1)
    np.testing.assert_allclose(np.linalg.norm(moved, axis=2).mean(1), clips.speed, atol=0.05)
    angle = np.arctan2(moved.mean(1)[:, 0], moved.mean(1)[:, 1])
    off = (angle - clips.direction * np.pi / 4 + np.pi) % (2 * np.pi) - np.pi
    assert (np.abs(off) < np.pi / 8 + 0.05).all()
    mass = clips.films.sum((2, 3), dtype=float)
    assert np.ptp(mass, axis=1).max() < 0.02 * mass.max(), "nothing is cut off"
    assert set(clips.direction) == set(range(8))


def test_a_seed_gives_the_same_films() -> None:
    clips = generate_clips(PICTURES, 5, seed=3, frames=4, size=24)
    np.testing.assert_array_equal(
        clips.films, generate_clips(PICTURES, 5, seed=3, frames=4, size=24).films
    )
    assert clips.films.shape == (5, 4, 24, 24)
    assert not np.array_equal(
        clips.films, generate_clips(PICTURES, 5, seed=4, frames=4, size=24).films
    )


def test_a_picture_is_drawn_where_it_is_asked_for() -> None:
    size = round(8 / SHARE)
    (film,) = draw(PICTURES[:1], np.array([[[0.0, 0.0], [0.0, 100.0]]]), size)
    assert film[0].max() > 100
    assert not film[1].any()
