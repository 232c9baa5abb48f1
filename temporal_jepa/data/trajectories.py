"""Trajectories: clean, split and resample GPS tracks, and compute features of their motion."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..config import ReadOptions
from .sequences import Array, Sequences, listed
from .wgs84 import arc, bearing, to_ecef, to_local, to_lonlat, wrap

DEFAULT = (
    "dx",
    "dy",
    "speed",
)  # without dt, which reveals the settings of a recorder: docs/log.md
SCENE = ("x", "y")  # the default of agents, whose relative positions matter
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
UNITS = {
    "x": "m",
    "y": "m",
    "lon": "degrees",
    "lat": "degrees",
    "dx": "m",
    "dy": "m",
    "speed": "m/s",
    "acceleration": "m/s²",
    "heading": "radians",
    "turn": "radians",
    "dt": "s",
}
"""Units of the features that are computed from degrees."""
MOVEMENT_OPTIONS = ("features", "step", "gap", "max_speed", "agents")
NEED_TIMES = {"speed", "acceleration", "dt"}
FAST = 60.0  # m/s, 216 km/h: faster than nearly all that moves on the ground
SELDOM = 0.05  # of the steps: where more are fast, something that flies is recorded
FAR = 10  # an interval this many times the usual one is a gap, which resampling never bridges

OF_ALL_TRACKS = re.compile(
    r"places: |length of a track|duration of a track|seconds between|\d+ intervals are over"
    r"|\d+ of \d+ steps between"
)
"""How notes begin that say something of all tracks, which is not known of a part."""


class NoTrackError(ValueError):
    """No track has two fixes."""


def check_features(options: ReadOptions) -> None:
    """Raise ValueError for an unknown or repeated feature, or an empty list."""
    features = options.features
    if features is None:
        return
    unknown = {*features} - {*FEATURES}
    if unknown or not features or len({*features}) < len(features):
        raise ValueError(
            f"features: expected one or more different names of {', '.join(FEATURES)}, got "
            f"{listed(map(repr, features)) or 'none'}; name further columns of a table with values="
        )


@dataclass(frozen=True)
class Track:
    """The fixes of one track, in time order.

    Attributes:
        id: name of the track.
        label: its class, None without labels.
        times: ``(n,)`` dates or seconds; 0, 1, 2, ... if unknown.
        places: ``(n, 2)`` x and y in meters, or longitude and latitude in degrees.
        values: ``(n, k)`` further columns.
        timed: whether the times are known.
        degrees: whether places are longitude and latitude.
    """

    id: str
    label: str | None
    times: Array
    places: Array
    values: Array
    timed: bool
    degrees: bool

    @property
    def seconds(self) -> Array:
        """Seconds since the first fix, ``(n,)``."""
        return _seconds(self.times - self.times[0])

    @property
    def points(self) -> Array:
        """Cartesian coordinates in meters: ``(n, 3)`` ECEF for degrees, else places ``(n, 2)``."""
        return to_ecef(self.places) if self.degrees else self.places

    def select(self, rows: Array, id: str | None = None) -> Track:
        """Some of the fixes: indices or a boolean mask."""
        return replace(
            self,
            id=id or self.id,
            times=self.times[rows],
            places=self.places[rows],
            values=self.values[rows],
        )


def _seconds(duration: Array) -> Array:
    if duration.dtype.kind == "m":
        duration = duration / np.timedelta64(1, "s")
    return np.asarray(duration, dtype=np.float64)


def featurize(
    tracks: list[Track],
    columns: list[str],
    options: ReadOptions,
    source: str,
    notes: list[str],
) -> Sequences:
    """Clean tracks and compute the features of their motion.

    Channels are the features, then the further columns. With layout "scene", x and y count from the
    mean of all places, and resampled times are common to all tracks.

    Args:
        tracks: all with times or all without, all in degrees or all in meters.
        columns: names of the columns of `values`; the feature z is one of them.
        options: `layout`, `features`, `step`, `gap` and `max_speed`.
        source: where the tracks come from.
        notes: of the reader; what is done here is added.

    Raises:
        ValueError: no track has two fixes, or a feature cannot be computed.
    """
    features = _features(tracks[0], options)
    further = _further(columns, features)
    tracks = _clean(tracks, options, notes)
    notes.append(f"features: {', '.join(features)}")
    if further:
        notes.append(f"further channels: {listed(further)}")
    channels = [*features, *further]
    origin = _middle(tracks) if options.layout == "scene" else None
    labels = [track.label for track in tracks if track.label is not None]
    times = [track.times for track in tracks if track.timed]
    return Sequences(
        [_channels(track, channels, columns, origin) for track in tracks],
        np.array(labels) if labels else None,
        [track.id for track in tracks],
        channels,
        times or None,
        source,
        (*notes, *_describe(tracks)),
        places=[track.places for track in tracks],
        degrees=tracks[0].degrees,
    )


def notes_on_all(found: Sequences) -> list[str]:
    """Notes on all tracks together, none for series without places."""
    if found.places is None:
        return []
    times = found.times or [np.arange(length) for length in found.lengths]
    each = zip(found.ids, times, found.places, strict=True)
    nothing = np.empty((0, 0))
    timed = found.times is not None
    tracks = [
        Track(id, None, when, where, nothing, timed, found.degrees)
        for id, when, where in each
    ]
    return _describe(tracks)


def _channels(
    track: Track, channels: list[str], columns: list[str], origin: Array | None
) -> Array:
    """Features of a track and further columns, ``(n, channels)``."""
    computed = movement(track.places, track.seconds, track.degrees, origin)
    # Their rounding errors are no variation that float32 would lose.
    known = {name: x.astype(np.float32) for name, x in computed.items()}
    known.update(zip(columns, track.values.T, strict=True))
    return np.column_stack([known[name] for name in channels])


def movement(
    places: Array, seconds: Array, degrees: bool, origin: Array | None = None
) -> dict[str, Array]:
    """Features of the motion along places ``(n, 2)`` at `seconds` ``(n,)``: name -> ``(n,)``.

    - x, y: meters east and north of the origin, by default the first place
    - lon, lat: the places
    - dx, dy: meters east and north of the previous place
    - dt: seconds since the previous place
    - speed: m/s since the previous place
    - acceleration: m/s^2
    - heading: direction from the previous place, in radians clockwise from north
    - turn: change of heading at the previous place, in [-pi, pi), positive to the right

    NaN where a feature is not defined: at the first places, and headings where nothing moves.
    """
    local: Callable[[Array, Array], Array] = to_local if degrees else np.subtract
    here = local(places, places[:1] if origin is None else origin)
    steps = local(places[1:], places[:-1])
    length = np.linalg.norm(steps, axis=1)
    if degrees:
        length = arc(length)
    dt = np.diff(seconds)
    speed = length / dt
    heading = bearing(steps)
    backward = bearing(local(places[:-2], places[1:-1]))

    def pad(feature: Array) -> Array:
        missing = np.full(len(places) - len(feature), np.nan)
        return np.concatenate([missing, feature])

    return {
        "x": here[:, 0],
        "y": here[:, 1],
        "lon": places[:, 0],
        "lat": places[:, 1],
        "dx": pad(steps[:, 0]),
        "dy": pad(steps[:, 1]),
        "dt": pad(dt),
        "speed": pad(speed),
        "acceleration": pad(np.diff(speed) / dt[1:]),
        "heading": pad(heading),
        "turn": pad(wrap(heading[1:] - backward - np.pi)),
    }


def _features(track: Track, options: ReadOptions) -> tuple[str, ...]:
    """The requested features, or the default; ValueError for those that are impossible."""
    features: tuple[str, ...] = DEFAULT if track.timed else DEFAULT[:2]
    if options.layout == "scene":
        features = SCENE
    if options.features is not None:
        features = options.features
    timed = {*features} & NEED_TIMES
    timed.update(options.given(*MOVEMENT_OPTIONS[1:]))
    if timed and not track.timed:
        raise ValueError(
            f"{listed(sorted(timed))} needs the times of the fixes; name their column with time="
        )
    if not track.degrees and {"lon", "lat"} & {*features}:
        raise ValueError(
            "the features lon and lat are degrees, but the places are in meters; use x "
            "and y, which are meters from the first fix"
        )
    return features


def _further(columns: list[str], features: tuple[str, ...]) -> list[str]:
    """The columns that are channels of their own; the column z may be a feature."""
    further = [name for name in columns if name != "z" or "z" not in features]
    both = {*features} & {*further}
    if both:
        raise ValueError(
            f"{listed(sorted(both))} is a feature and a column; rename the column, or "
            "leave further columns out with values=''"
        )
    return further


def _clean(tracks: list[Track], options: ReadOptions, notes: list[str]) -> list[Track]:
    """Drop jumps, split at gaps, resample, and drop tracks of a single fix."""
    if options.max_speed is not None:
        tracks = _drop_jumps(tracks, options.max_speed, notes)
    tracks = _split(tracks, _gap(tracks, options), notes)
    step = options.step
    if step is not None:
        delays = np.zeros(len(tracks))
        if options.layout == "scene":  # so that all tracks have fixes at the same times
            starts = np.array([track.times[0] for track in tracks])
            delays = -_seconds(starts - starts.min()) % step
        tracks = [
            _resample(track, step, d) for track, d in zip(tracks, delays, strict=True)
        ]
        notes.append(
            f"resampled to one fix every {step:g} s, on straight lines between fixes"
        )
    kept = [track for track in tracks if len(track.places) > 1]
    if not kept:
        raise NoTrackError(
            "no track has two fixes or more; does id= name the column of the tracks?"
        )
    if len(kept) < len(tracks):
        notes.append(f"{len(tracks) - len(kept)} tracks of a single fix are left out")
    return kept


def _drop_jumps(tracks: list[Track], max_speed: float, notes: list[str]) -> list[Track]:
    """Drop the fixes that cannot be reached at `max_speed` from the fixes around them."""
    kept = []
    jumps = 0
    for track in tracks:
        reachable = _reachable(track.seconds, track.points, max_speed)
        kept.append(track.select(reachable))
        jumps += int((~reachable).sum())
    if jumps:
        notes.append(
            f"{jumps} fixes are left out as jumps: faster than {max_speed:g} m/s from the fixes "
            "around them"
        )
    return kept


def _reachable(seconds: Array, points: Array, max_speed: float) -> Array:
    """The longest run without a fast step, and around it what the last kept fix can reach."""
    n = len(points)
    keep = np.ones(n, bool)
    fast = np.linalg.norm(np.diff(points, axis=0), axis=1) > max_speed * np.diff(
        seconds
    )
    edges = np.r_[0, np.flatnonzero(fast) + 1, n]
    longest = np.argmax(np.diff(edges))
    first, end = edges[longest : longest + 2]
    for last, others in ((end - 1, range(end, n)), (first, range(first - 1, -1, -1))):
        for k in others:
            distance = np.linalg.norm(points[k] - points[last])
            keep[k] = distance <= max_speed * abs(seconds[k] - seconds[last])
            if keep[k]:
                last = k
    return keep


def _gap(tracks: list[Track], options: ReadOptions) -> float:
    """Seconds without a fix that split a track."""
    if options.gap is not None:
        return options.gap or np.inf
    if options.step is None:
        return np.inf
    return FAR * max(options.step, float(np.median(_intervals(tracks))))


def _intervals(tracks: list[Track]) -> Array:
    """Seconds between the fixes of all tracks; 0 if no track has two."""
    intervals = np.concatenate([np.diff(track.seconds) for track in tracks])
    return intervals if len(intervals) else np.zeros(1)


def _split(tracks: list[Track], gap: float, notes: list[str]) -> list[Track]:
    """Split tracks where no fix comes for `gap` seconds; the parts of "a" are "a#1", "a#2", ..."""
    split: list[Track] = []
    count = 0
    for track in tracks:
        cuts = np.flatnonzero(np.diff(track.seconds) >= gap) + 1
        if not len(cuts):
            split.append(track)
            continue
        count += 1
        parts = np.split(np.arange(len(track.places)), cuts)
        split += [
            track.select(rows, f"{track.id}#{k}") for k, rows in enumerate(parts, 1)
        ]
    if count:
        notes.append(f"{count} tracks were split where no fix came for {gap:g} s")
    return split


def _resample(track: Track, step: float, delay: float) -> Track:
    """Fixes every `step` seconds, from `delay` seconds after the first, on straight lines.

    Lines between longitudes and latitudes are straight through the Earth.
    """
    old = track.seconds
    new = np.arange(int((old[-1] - delay) / step + 1e-9) + 1) * step + delay
    points = track.points
    known = np.concatenate([points, track.values], axis=1)
    made = np.stack([np.interp(new, old, column) for column in known.T], axis=1)
    places, values = np.split(made, [points.shape[1]], axis=1)
    since: Array = new
    if track.times.dtype.kind == "M":
        unit: Any = np.datetime_data(track.times.dtype)[0]
        ticks = new * (np.timedelta64(1, "s") / np.timedelta64(1, unit))
        since = ticks.round().astype(f"timedelta64[{unit}]")
    return replace(
        track,
        times=track.times[0] + since,
        places=to_lonlat(places) if track.degrees else places,
        values=values,
    )


def _middle(tracks: list[Track]) -> Array:
    """The mean of all places, ``(1, 2)``."""
    mean: Array = np.concatenate([track.points for track in tracks]).mean(
        0, keepdims=True
    )
    return to_lonlat(mean) if tracks[0].degrees else mean


def _describe(tracks: list[Track]) -> list[str]:
    """Notes on where the tracks are, how long they are and how often a fix comes."""
    places = np.concatenate([track.places for track in tracks])
    lengths = [
        np.linalg.norm(np.diff(track.points, axis=0), axis=1).sum() for track in tracks
    ]
    axes = ("x", "y")
    length = f"{_span(lengths)} m"
    if tracks[0].degrees:
        axes = ("longitude", "latitude")
        length = f"{_span(np.divide(lengths, 1000))} km"
    spans = [
        f"{axis} {values.min():.8g} to {values.max():.8g}"
        for axis, values in zip(axes, places.T, strict=True)
    ]
    notes = [f"places: {', '.join(spans)}", f"length of a track: {length}"]
    if tracks[0].timed:
        intervals = _intervals(tracks)
        limit = FAR * np.median(intervals)
        gaps = (intervals > limit).sum()
        notes.append(
            f"duration of a track: {_span([track.seconds[-1] for track in tracks])} s"
        )
        notes.append(f"seconds between fixes: {_span(intervals)}")
        if gaps:
            notes.append(
                f"{gaps} intervals are over {FAR} times the median (gap={limit:g} splits)"
            )
    if tracks[0].timed and tracks[0].degrees:
        notes += _fast(tracks)
    return notes


def _fast(tracks: list[Track]) -> list[str]:
    """A note where a few steps are faster than what moves on the ground: a position jumped."""
    speeds = np.concatenate(
        [
            np.linalg.norm(np.diff(track.points, axis=0), axis=1)
            / np.diff(track.seconds)
            for track in tracks
        ]
    )
    count = int((speeds > FAST).sum())
    if not 0 < count <= SELDOM * len(speeds):
        return []
    return [
        f"{count} of {len(speeds)} steps between fixes are faster than {FAST:g} m/s, up to "
        f"{speeds.max():.4g}: jumps? (max_speed={FAST:g} leaves such fixes out)"
    ]


def _span(values: Any) -> str:
    low, middle, high = np.percentile(values, (0, 50, 100))
    return f"{low:.5g} / {middle:.5g} / {high:.5g} (min / median / max)"
