"""Sequences as a few letters each: the small drawings that appear where a map is pointed at."""

from itertools import pairwise

import numpy as np

from ..data.sequences import Sequences
from .plots import is_video, path_of
from .run import Row
from .svg import Array

LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
MISSING = "."
LONGEST = 64  # letters of a line
SHORTEST = 12
USUAL = 24  # letters of a line from which a second channel is drawn
MOST_LINES = 3  # channels that are drawn: the first ones


def sketches(sequences: Sequences, budget: int) -> Row | None:
    """Small drawings of all sequences, for `map.js`; None for video.

    Args:
        sequences: those of the map.
        budget: letters that all of them have together, about.

    Returns:
        `kind`: "curves" or "path"; `lines`: how many of `length` letters a drawing has (a path has
        its x and its y); `text`: the letters of all sequences, one after the other. A letter is a
        height in 64 steps between the lowest and the highest value of the sequence.
    """
    if is_video(sequences):
        return None
    is_path = path_of(sequences, 0) is not None
    letters = budget // len(sequences)
    lines = min(sequences.n_channels, MOST_LINES, max(letters // USUAL, 1))
    lines = 2 if is_path else lines
    length = letters // lines
    length = min(max(length, SHORTEST), LONGEST, int(sequences.lengths.max()))
    parts = []
    for i in range(len(sequences)):
        path = path_of(sequences, i) if is_path else None
        if path is None:
            x = np.asarray(sequences.values[i][:, :lines], dtype=np.float64)
            points = _peaks(x, length)
        else:
            points = _evenly(path[:, 0], length)
        parts.append(_letters(points, together=is_path))
    kind = "path" if is_path else "curves"
    return {"kind": kind, "lines": lines, "length": length, "text": "".join(parts)}


def _evenly(x: Array, length: int) -> Array:
    """Rows of `(time, lines)` at `length` evenly spaced times."""
    rows: Array = x[np.linspace(0, len(x) - 1, length).round().astype(int)]
    return rows


def _peaks(x: Array, length: int) -> Array:
    """`(time, lines)` in `length` stretches, each its value that is farthest from the mean."""
    if len(x) <= length:
        return _evenly(x, length)
    observed = np.maximum((~np.isnan(x)).sum(0), 1)
    away = np.abs(x - np.nansum(x, axis=0) / observed)
    away = np.nan_to_num(away, nan=-1.0)
    edges = np.linspace(0, len(x), length + 1).astype(int)
    rows = []
    for start, stop in pairwise(edges.tolist()):
        farthest = start + away[start:stop].argmax(0)
        rows.append(x[farthest, np.arange(x.shape[1])])
    return np.array(rows)


def _letters(points: Array, together: bool) -> str:
    """Points `(length, lines)` as letters; `together`: all lines on one scale, as a map needs."""
    axis = None if together else 0
    known = np.where(np.isnan(points), np.inf, points)
    low = known.min(axis=0)
    high = -np.where(np.isnan(points), np.inf, -points).min(axis=0)
    low = np.where(np.isfinite(low), low, 0.0)
    high = np.where(np.isfinite(high), high, 0.0)
    size = high - low if axis == 0 else np.full_like(low, (high - low).max())
    middle = (high + low) / 2
    unit = np.where(size > 0, size, 1.0)
    heights = 31.5 + 63 * (points - middle) / unit
    codes = np.nan_to_num(heights, nan=-1.0).round().clip(-1, 63).astype(int)
    letters = np.array([*LETTERS, MISSING])
    return "".join(letters[codes.T].ravel())
