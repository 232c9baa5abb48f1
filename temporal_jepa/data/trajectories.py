"""Trajectories: who was where when. Cleaned, split, resampled, and described by features of movement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config import ReadOptions
from .sequences import Sequences, listed
from .wgs84 import arc, bearing, to_ecef, to_local, to_lonlat, wrap

Floats = npt.NDArray[np.float64]

DEFAULT = ("dx", "dy", "speed")  # without dt, which tells how the recorder was set: see docs/log.md
SCENE = ("x", "y")  # by default for agents: where they stand to each other
FEATURES = (
    "x",
    "y",
    "z",
    "lon",
    "lat",
    "dx",
    "dy",
    "speed",
    "acceleration",
    "heading",
    "turn",
    "dt",
)
MOVEMENT_OPTIONS = ("features", "step", "gap", "max_speed", "agents", "time_unit")
NEED_TIMES = {"speed", "acceleration", "dt"}
FAR = 10  # times the usual interval between fixes is a gap, which resampling never bridges


def check_features(options: ReadOptions) -> None:
    """ValueError for an unknown feature, for one named twice, and for an empty list."""
    if options.features is None:
        return
    if wrong := [name for name in options.features if name not in FEATURES]:
        raise ValueError(
            f"features: expected some of {', '.join(FEATURES)}, got {listed(map(repr, wrong))}; "
            "further columns of a table are named with values="
        )
    if len(set(options.features)) < max(len(options.features), 1):
        raise ValueError(
            "features: expected different names, at least one, got "
            f"{listed(options.features) or 'none'}"
        )


@dataclass
class Track:
    """Fixes in the order of time: `seconds (n,)` from the first, `places (n, 2)`, further values `(n, k)`."""

    id: str
    label: str | None
    times: npt.NDArray[Any] | None
    places: Floats
    values: Floats

    @property
    def seconds(self) -> Floats:
        """Times in seconds since the first fix; a fix a second when there are no times."""
        if self.times is None:
            return np.arange(len(self.places), dtype=np.float64)
        return _seconds(self.times - self.times[0])

    def part(self, at: Any, id: str | None = None) -> Track:
        """Some of the fixes: a slice or a boolean mask."""
        times = None if self.times is None else self.times[at]
        return Track(id or self.id, self.label, times, self.places[at], self.values[at])


def _seconds(since: npt.NDArray[Any]) -> Floats:
    return np.asarray(
        since / np.timedelta64(1, "s") if since.dtype.kind == "m" else since, dtype=np.float64
    )


def _without_jumps(
    tracks: list[Track], degrees: bool, max_speed: float, notes: list[str]
) -> list[Track]:
    """Tracks without the fixes that cannot be reached at `max_speed` from the fixes around them."""
    kept = [
        t.part(_reachable(t.seconds, to_ecef(t.places) if degrees else t.places, max_speed))
        for t in tracks
    ]
    if jumps := sum(len(t.places) for t in tracks) - sum(len(t.places) for t in kept):
        notes.append(
            f"{jumps} fixes are left out as jumps: faster than {max_speed:g} m/s from the fixes around them"
        )
    return kept


def _reachable(seconds: Floats, points: Floats, max_speed: float) -> npt.NDArray[np.bool_]:
    """The longest run without a fast step, and on both sides of it every fix that the last kept one can reach."""
    fast = np.linalg.norm(np.diff(points, axis=0), axis=1) > max_speed * np.diff(seconds)
    keep = np.ones(len(points), bool)
    if not fast.any():
        return keep
    edges = np.r_[0, np.flatnonzero(fast) + 1, len(points)]
    longest = int(np.argmax(np.diff(edges)))
    first = edges[longest]
    end = edges[longest + 1]
    for last, others in ((end - 1, range(end, len(points))), (first, range(first - 1, -1, -1))):
        for k in others:
            near = np.linalg.norm(points[k] - points[last])
            keep[k] = near <= max_speed * abs(seconds[k] - seconds[last])
            last = k if keep[k] else last
    return keep


def _gap(tracks: list[Track], options: ReadOptions) -> float:
    """Seconds from which an interval splits a track; with a step and no gap, ten times the usual interval or step."""
    if options.gap is not None or options.step is None or tracks[0].times is None:
        return options.gap or np.inf
    return FAR * max(options.step, _usual(tracks))


def _usual(tracks: list[Track]) -> float:
    intervals = np.concatenate([np.diff(t.seconds) for t in tracks])
    return float(np.median(intervals)) if len(intervals) else 0.0


def _split(tracks: list[Track], gap: float, notes: list[str]) -> list[Track]:
    """Tracks cut where there was no fix for `gap` seconds; the parts of "a" are "a#1", "a#2", ..."""
    out: list[Track] = []
    for track in tracks:
        cuts = [0, *(np.flatnonzero(np.diff(track.seconds) >= gap) + 1), len(track.places)]
        parts = [slice(a, b) for a, b in pairwise(cuts)]
        out += (
            [track]
            if len(parts) == 1
            else [track.part(p, f"{track.id}#{k}") for k, p in enumerate(parts, 1)]
        )
    if len(out) > len(tracks):
        notes.append(
            f"{len(tracks)} tracks were split into {len(out)} where no fix came for {gap:g} s"
        )
    return out


def _resampled(track: Track, step: float, degrees: bool, late: float) -> Track:
    """Fixes every `step` seconds, from `late` seconds after the first, on straight lines (also through the Earth)."""
    old = track.seconds
    new = np.arange(int((old[-1] - late) / step + 1e-9) + 1) * step + late
    columns = np.concatenate(
        [to_ecef(track.places) if degrees else track.places, track.values], axis=1
    )
    made = np.stack([np.interp(new, old, column) for column in columns.T], axis=1)
    width = columns.shape[1] - track.values.shape[1]
    places = to_lonlat(made[:, :width]) if degrees else made[:, :width]
    start = track.times[0] if track.times is not None else 0
    offset = (
        (new * 1e9).round().astype("timedelta64[ns]") if isinstance(start, np.datetime64) else new
    )
    return Track(track.id, track.label, start + offset, places, made[:, width:])


def movement(
    places: Floats, seconds: Floats, degrees: bool, origin: Floats | None = None
) -> dict[str, Floats]:
    """What can be said of the movement along places ``(n, 2)`` at `seconds (n,)`: name -> ``(n,)``.

    x, y: metres east and north of the origin, by default the first place. dx, dy: metres east and north from the place
    before. speed: m/s from there; acceleration: m/s2. heading: radians clockwise from north. turn: change of the
    heading at the place before, in [-pi, pi), positive to the right. dt: seconds since the place before. NaN where it
    is not defined: at the start, and headings where nothing moved.
    """
    local: Callable[[Floats, Floats], Floats] = to_local if degrees else np.subtract
    here = local(places, places[:1] if origin is None else origin)
    steps = local(places[1:], places[:-1])
    length = np.linalg.norm(steps, axis=1)
    dt = np.diff(seconds)
    speed = (arc(length) if degrees else length) / dt
    turn = wrap(bearing(steps[1:]) - bearing(local(places[:-2], places[1:-1])) - np.pi)
    late = {
        "dx": steps[:, 0],
        "dy": steps[:, 1],
        "dt": dt,
        "speed": speed,
        "heading": bearing(steps),
        "acceleration": np.diff(speed) / dt[1:],
        "turn": turn,
    }
    n = len(places)
    out = {name: np.r_[np.full(n - len(x), np.nan), x] for name, x in late.items()}
    return {**out, "x": here[:, 0], "y": here[:, 1], "lon": places[:, 0], "lat": places[:, 1]}


def described(
    tracks: list[Track],
    channels: list[str],
    options: ReadOptions,
    source: str,
    notes: list[str],
    *,
    degrees: bool,
    together: bool = False,
) -> Sequences:
    """Tracks, cleaned as `options` say, as `Sequences`: its features, then the further values, named by `channels`.

    degrees: places are longitude and latitude, else metres. With the feature z, the first further value is the height.
    together: agents of one scene, with one origin of x and y (the mean place) and resampled at common times.
    Raises ValueError when no track has two fixes, or a feature needs times or degrees that are not there.
    """
    features = _features(tracks, options, source, degrees, together)
    further = channels[1:] if "z" in features else channels
    if twice := {*features} & {*further}:
        raise ValueError(
            f"{source}: {listed(sorted(twice))} is a feature and a column; rename the column"
        )
    tracks = _cleaned(tracks, options, source, notes, degrees=degrees, together=together)
    origin = _middle(tracks, degrees) if together else None
    values = []
    for track in tracks:
        known = movement(track.places, track.seconds, degrees, origin)
        if "z" in features:
            known["z"] = track.values[:, 0]
        own = track.values[:, len(channels) - len(further) :]
        values.append(
            np.column_stack([*(known[name] for name in features), own]).astype(np.float32)
        )
    notes.append(
        f"features: {', '.join(features)}"
        + (f"; further channels: {listed(further)}" if further else "")
    )
    return Sequences(
        values,
        None if tracks[0].label is None else np.array([t.label for t in tracks]),
        [t.id for t in tracks],
        [*features, *further],
        None if tracks[0].times is None else [t.times for t in tracks if t.times is not None],
        source,
        (*notes, *_facts(tracks, degrees)),
        places=[t.places for t in tracks],
        degrees=degrees,
    )


def _features(
    tracks: list[Track], options: ReadOptions, source: str, degrees: bool, together: bool
) -> tuple[str, ...]:
    """The features asked for, or the default; ValueError for those that the tracks cannot have."""
    default = DEFAULT if tracks[0].times is not None else DEFAULT[:2]
    features = options.features or (SCENE if together else default)
    if tracks[0].times is None and (
        asked := sorted(
            NEED_TIMES & {*features} | {*options.given(*MOVEMENT_OPTIONS)} - {"features"}
        )
    ):
        raise ValueError(
            f"{source}: {listed(asked)} needs the times of the fixes; name their column with time="
        )
    if not degrees and {"lon", "lat"} & {*features}:
        raise ValueError(
            f"{source}: the places are in metres, and lon and lat are degrees; ask for the features x and "
            "y, which are metres from the first fix"
        )
    return features


def _middle(tracks: list[Track], degrees: bool) -> Floats:
    """The mean of all places, `(1, 2)`."""
    everywhere = np.concatenate([t.places for t in tracks])
    return (
        to_lonlat(to_ecef(everywhere).mean(0, keepdims=True))
        if degrees
        else everywhere.mean(0, keepdims=True)
    )


def _facts(tracks: list[Track], degrees: bool) -> list[str]:
    """What the tracks are like: where, how long, how often a fix."""
    points = [to_ecef(t.places) if degrees else t.places for t in tracks]
    lengths = [
        np.linalg.norm(np.diff(p, axis=0), axis=1).sum() / (1000 if degrees else 1) for p in points
    ]
    low, high = (f(np.concatenate([t.places for t in tracks]), axis=0) for f in (np.min, np.max))
    x, y = ("longitude", "latitude") if degrees else ("x", "y")
    facts = [
        f"places: {x} {low[0]:.8g} to {high[0]:.8g}, {y} {low[1]:.8g} to {high[1]:.8g}",
        f"length of a track: {_span(lengths)} {'km' if degrees else 'm'}",
    ]
    if tracks[0].times is None:
        return facts
    between = np.concatenate([np.diff(t.seconds) for t in tracks])
    limit = FAR * _usual(tracks)
    gaps = f"; {(between > limit).sum()} intervals are over {FAR} times the median (gap={limit:g} splits there)"
    facts.append(f"duration of a track: {_span([t.seconds[-1] for t in tracks])} s")
    facts.append(f"seconds between fixes: {_span(between)}" + gaps * bool((between > limit).any()))
    return facts


def _span(values: Any) -> str:
    return f"{np.min(values):.5g} / {np.median(values):.5g} / {np.max(values):.5g} (min / median / max)"


def _cleaned(
    tracks: list[Track],
    options: ReadOptions,
    source: str,
    notes: list[str],
    *,
    degrees: bool,
    together: bool,
) -> list[Track]:
    """Without jumps, split at gaps, resampled; tracks of a single fix are left out."""
    if options.max_speed is not None:
        tracks = _without_jumps(tracks, degrees, options.max_speed, notes)
    tracks = _split(tracks, _gap(tracks, options), notes)
    if options.step is not None:
        offsets = _offsets(tracks) if together else np.zeros(len(tracks))
        late = -offsets % options.step
        tracks = [
            _resampled(t, options.step, degrees, s) for t, s in zip(tracks, late, strict=True)
        ]
        notes.append(
            f"resampled to a fix every {options.step:g} s, along straight lines between fixes"
        )
    kept = [t for t in tracks if len(t.places) > 1]
    if len(kept) < len(tracks):
        notes.append(f"{len(tracks) - len(kept)} tracks of a single fix are left out")
    if not kept:
        raise ValueError(
            f"{source}: no track has two fixes or more; is the column that names the tracks right (id=)?"
        )
    return kept


def _offsets(tracks: list[Track]) -> Floats:
    """Seconds from the first fix of all to the first of each track, `(tracks,)`."""
    starts = np.array([t.times[0] for t in tracks if t.times is not None])
    return _seconds(starts - starts.min())
