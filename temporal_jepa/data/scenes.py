"""Trajectories that share time and place to scenes: all that moves at one moment, side by side, is one timestep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config import ReadOptions
from .sequences import Sequences, listed, moment

Indices = npt.NDArray[np.int64]

LENGTH = 20  # timesteps of a scene when no window is given: 8 seen and 12 to predict at 2.5 Hz (Pellegrini 2009)


def as_scenes(tracks: Sequences, options: ReadOptions, agents: int | None = None) -> Sequences:
    """Scenes of `options.window` timesteps, one every `options.stride`, with `frame = (1, agents, features)`.

    tracks: series with times on a common clock, one an agent. Agents of a scene are in the order in which they come;
    where one is not there its values are NaN. agents: how many a scene holds (default: `options.agents`, else as many as
    the fullest one needs); of more than that, those that are there longest are kept. Raises ValueError for times on no common clock.
    """
    start, step, steps = _clock(tracks)
    first = np.array([s[0] for s in steps])
    last = np.array([s[-1] for s in steps])
    total = int(last.max()) + 1
    window = min(LENGTH, total) if options.window is None else options.window
    stride = window if options.stride is None else options.stride
    if not 1 <= window <= total or stride < 1:
        raise ValueError(
            f"{tracks.source}: expected a window of 1 to {total} timesteps, the whole recording, and a "
            f"stride of at least 1, got {window} and {stride}"
        )
    there = {
        s: np.flatnonzero((first < s + window) & (last >= s))
        for s in _filled(steps, window, stride, total)
    }
    there = {s: who for s, who in there.items() if len(who)}
    most = max(map(len, there.values()))
    width = agents or options.agents or most
    scenes = []
    for s, who in there.items():
        scene = np.full((window, width, tracks.n_channels), np.nan, dtype=np.float32)
        for place, agent in enumerate(_longest(who, steps, s, window, width)):
            inside = (steps[agent] >= s) & (steps[agent] < s + window)
            scene[steps[agent][inside] - s, place] = tracks.values[agent][inside]
        scenes.append(scene.reshape(window, -1))
    kept = [k for k, scene in enumerate(scenes) if not np.isnan(scene).all()]
    clock = [start + (list(there)[k] + np.arange(window)) * step for k in kept]
    notes = [
        f"{len(kept)} scenes of {window} timesteps, one every {stride}, with up to {most} agents: "
        f"{listed(tracks.channels)} of each"
    ]
    if most > width:
        notes.append(f"scenes of more than {width} agents keep those that are there longest")
    return Sequences(
        [scenes[k] for k in kept],
        None,
        [f"{Path(tracks.source).stem}@{moment(times[0])}" for times in clock],
        [f"{agent}:{channel}" for agent in range(width) for channel in tracks.channels],
        clock,
        tracks.source,
        (*tracks.notes, *notes),
        (1, width, tracks.n_channels),
    )


def _filled(steps: list[Indices], window: int, stride: int, total: int) -> list[int]:
    """Where the windows start that hold a fix; between two recordings there may be many without."""
    last = np.unique(np.concatenate(steps) // stride)[:, None] - np.arange(-(-window // stride))
    starts = np.unique(last) * stride
    return [int(s) for s in starts[(starts >= 0) & (starts <= total - window)]]


def _clock(tracks: Sequences) -> tuple[Any, Any, list[Indices]]:
    """The first time of all, the step between times, and for each track its timesteps since the first time."""
    if tracks.times is None:
        raise ValueError(
            f"{tracks.source}: layout scene needs times, which say who was there together; name their "
            "column with time="
        )
    start = min(t[0] for t in tracks.times)
    unit: Any = np.timedelta64(1, "ns") if tracks.times[0].dtype.kind == "M" else 1
    since = [np.asarray((t - start) / unit, np.float64) for t in tracks.times]
    step = float(np.median(np.concatenate([np.diff(s) for s in since])))
    steps = [np.rint(s / step).astype(np.int64) for s in since]
    if max(np.abs(s / step - k).max() for s, k in zip(since, steps, strict=True)) > 0.01:
        raise ValueError(
            f"{tracks.source}: the times of the tracks are not on one clock of equal steps; step=SECONDS "
            "resamples them"
        )
    return start, (round(step) if step.is_integer() else step) * unit, steps


def _longest(who: Indices, steps: list[Indices], start: int, window: int, most: int) -> Indices:
    """Of these agents the `most` that are there at the most timesteps of a window, in their own order."""
    present = [((steps[a] >= start) & (steps[a] < start + window)).sum() for a in who]
    return np.sort(who[np.argsort(present, kind="stable")[::-1][:most]]).astype(np.int64)
