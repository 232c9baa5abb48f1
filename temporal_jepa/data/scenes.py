"""Scenes: agents that move at the same time, side by side in one timestep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..config import ReadOptions
from .sequences import Array, Sequences, listed, moment

LENGTH = (
    20  # default timesteps: 8 seen and 12 to predict at 2.5 Hz (Pellegrini et al. 2009)
)


def as_scenes(
    tracks: Sequences, options: ReadOptions, agents: int | None = None
) -> Sequences:
    """Turn tracks into scenes with `frame` (1, agents, features).

    The agents of a scene are in the order of the tracks. The values of an agent are NaN while it is
    absent.

    Args:
        tracks: one series per agent, with times on a common clock.
        options: `window` (timesteps per scene, default 20), `stride` (default: the window) and
            `agents`.
        agents: how many agents a scene holds (default: `options.agents`, else as many as the
            fullest scene needs). Of more, those present longest are kept.

    Raises:
        ValueError: the tracks have no times or no common clock, or the window is too long.
    """
    start, tick, steps = _clock(tracks)
    # The fixes of all tracks in time order, so that those of a window are neighbors.
    step = np.concatenate(steps)
    order = np.argsort(step, kind="stable")
    step = step[order]
    agent = np.repeat(np.arange(len(tracks)), tracks.lengths)[order]
    values = np.concatenate(tracks.values)[order]

    window, stride, windows = _windows(step, options)
    fullest = max(len(np.unique(agent[rows])) for _, rows in windows)
    width = agents or options.agents or fullest
    scenes = []
    times = []
    for first, rows in windows:
        scene = _scene(step[rows] - first, agent[rows], values[rows], window, width)
        if not np.isnan(
            scene
        ).all():  # dx and dy are missing at the first fix of a track
            scenes.append(scene.reshape(window, -1))
            times.append(start + (first + np.arange(window)) * tick)
    notes = [
        f"{len(scenes)} scenes of {window} timesteps, one every {stride}, with up to {fullest} "
        f"agents: {listed(tracks.channels)} of each"
    ]
    if fullest > width:
        notes.append(f"scenes of more than {width} agents keep those present longest")
    name = Path(tracks.source).stem
    return Sequences(
        scenes,
        ids=[f"{name}@{moment(clock[0])}" for clock in times],
        channels=[
            f"{k}:{channel}" for k in range(width) for channel in tracks.channels
        ],
        times=times,
        source=tracks.source,
        notes=(*tracks.notes, *notes),
        frame=(1, width, tracks.n_channels),
    )


def _clock(tracks: Sequences) -> tuple[Any, Any, list[Array]]:
    """The first time of all, the time between timesteps, and the timesteps of each track."""
    if tracks.times is None:
        raise ValueError(
            "layout scene needs times, which say who is present together; name "
            "their column with time="
        )
    start = min(times[0] for times in tracks.times)
    unit: Any = 1
    if isinstance(start, np.datetime64):
        code: Any = np.datetime_data(start.dtype)[0]
        unit = np.timedelta64(1, code)
    since = [np.asarray((times - start) / unit, np.float64) for times in tracks.times]
    tick = float(np.median(np.concatenate([np.diff(s) for s in since])))
    steps = [np.rint(s / tick).astype(np.int64) for s in since]
    for exact, rounded in zip(since, steps, strict=True):
        if np.abs(exact / tick - rounded).max() > 0.01:
            raise ValueError(
                "the tracks are not on one clock of equal steps; resample them with step=SECONDS"
            )
    return start, (round(tick) if tick.is_integer() else tick) * unit, steps


def _windows(
    step: Array, options: ReadOptions
) -> tuple[int, int, list[tuple[int, slice]]]:
    """The window, the stride, and for each window its first timestep and its fixes."""
    total = int(step[-1]) + 1
    window = min(LENGTH, total) if options.window is None else options.window
    stride = window if options.stride is None else options.stride
    if not 1 <= window <= total or stride < 1:
        raise ValueError(
            f"expected a window of 1 to {total} timesteps, the whole recording, and a "
            f"stride of at least 1, got {window} and {stride}"
        )
    # Only windows that may hold a fix: between two recordings there may be years without.
    overlapping = np.arange(-(-window // stride))  # windows that hold the same timestep
    starts = np.unique(np.unique(step // stride)[:, None] - overlapping) * stride
    starts = starts[(starts >= 0) & (starts <= total - window)]
    bounds = np.searchsorted(step, [starts, starts + window])
    windows = [
        (first, slice(*rows)) for first, rows in zip(starts, bounds.T, strict=True)
    ]
    return window, stride, windows


def _scene(step: Array, agent: Array, values: Array, window: int, width: int) -> Array:
    """A scene ``(window, width, features)`` of these fixes, with the agents present longest."""
    _, index, counts = np.unique(agent, return_inverse=True, return_counts=True)
    longest = np.sort(np.argsort(counts, kind="stable")[::-1][:width])
    slots = np.full(len(counts), -1)
    slots[longest] = np.arange(len(longest))
    slot = slots[index]  # the place of each fix in the scene, -1 for none
    kept = slot >= 0
    scene = np.full((window, width, values.shape[1]), np.nan, dtype=values.dtype)
    scene[step[kept], slot[kept]] = values[kept]
    return scene
