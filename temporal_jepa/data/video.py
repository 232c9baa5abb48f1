"""Films: video files and folders of pictures, decoded once into a file of bytes that training reads through a map."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import accumulate
from math import floor, prod
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import numpy.typing as npt

from ..config import ReadOptions
from .ffmpeg import Facts, Region, Target, decode, survey
from .sequences import AGENTS, SOME, Frame, Sequences, listed

VIDEOS = (
    ".mp4",
    ".m4v",
    ".mov",
    ".avi",
    ".mkv",
    ".webm",
    ".mpg",
    ".mpeg",
    ".m2ts",
    ".wmv",
    ".flv",
    ".ogv",
    ".3gp",
    ".gif",
)
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
VIDEO_OPTIONS = ("fps", "resize", "region")
CLIP = 16  # frames of a clip, the default window
RATE = 8.0  # frames a second, where the films have as many
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
T = TypeVar("T")
R = TypeVar("R")


def frame_shape(options: ReadOptions) -> tuple[int, int]:
    """Rows and columns of a frame, from `options.resize`."""
    text = "64" if options.resize is None else str(options.resize)
    found = re.fullmatch(r"([1-9]\d{0,3})(?:x([1-9]\d{0,3}))?", text.strip())
    if found is None:
        raise ValueError(
            f"resize={text!r}: expected pixels, such as 64 (a square) or 96x64 (width x height)"
        )
    return int(found[2] or found[1]), int(found[1])


def crop_region(options: ReadOptions) -> Region | str:
    """The part of a frame to keep, from `options.region`: "none", "center" or (width, height, left, top)."""
    text = "center" if options.region is None else str(options.region).strip()
    if text in ("none", "center"):
        return text
    found = re.fullmatch(r"([2-9]|[1-9]\d+)x([2-9]|[1-9]\d+)\+(\d+)\+(\d+)", text)
    if found is None:
        raise ValueError(
            f"region={text!r}: expected none, center or WIDTHxHEIGHT+LEFT+TOP, such as 320x240+0+40"
        )
    width, height, left, top = map(int, found.groups())
    return width, height, left, top


@dataclass(frozen=True)
class Film:
    """One film: a video file, or a folder of pictures in files of their own (`loose`), in the order of their names."""

    place: Path
    name: str
    label: str | None
    files: list[Path]
    loose: bool


def is_video(path: Path) -> bool:
    """Whether a path is a video file, or a folder (of folders, of folders) with mostly videos or pictures in it."""
    if path.is_dir():
        kinds = [file.suffix.lower() in (*VIDEOS, *PICTURES) for file in _below(path)]
        return 2 * sum(kinds) > len(kinds)
    return path.suffix.lower() in VIDEOS


def read_video(path: Path, options: ReadOptions) -> Sequences:
    """Films as sequences of frames in bytes: values ``(frames, height * width * channels)`` of uint8, not cut yet.

    path: a video file; a folder of videos, whose inner folders are labels; a folder of pictures, which is one film; or
        a folder of such folders, in inner folders that are labels, or not.
    The frames lie in a temporary file without a name, which is gone when nobody maps it any longer, and `values` are
    views of its map. `times` are seconds from the start of a film; pictures in a folder have none.
    Raises ValueError when no film can be decoded, naming the first; ModuleNotFoundError without PyAV.
    """
    rows_columns = frame_shape(options)
    region = crop_region(options)
    films = _films(path)
    found = _each(_survey, films, threading.Event())
    damaged = [text for text in found if isinstance(text, str)]
    known = [
        (film, facts) for film, facts in zip(films, found, strict=True) if isinstance(facts, Facts)
    ]
    if not known:
        raise ValueError(damaged[0])
    fps = options.fps or min(RATE, float(np.median([facts.rate for _, facts in known])))
    shape = (*rows_columns, 1 if all(facts.gray for _, facts in known) else 3)
    decoded = _decoded(known, Target(fps, shape, region))
    damaged += [text for _, text in decoded if text]
    kept: list[tuple[Film, Any]] = [
        (film, x) for (film, _), (x, _) in zip(known, decoded, strict=True) if len(x)
    ]
    if not kept:
        raise ValueError(damaged[0])
    notes = [
        _described([facts for _, facts in known], films[0].loose),
        _taken(fps, shape, options, films[0].loose),
    ]
    if damaged:
        notes.append(f"damaged: {listed(damaged)}")
    if len(kept) < len(films):
        notes.append(f"{len(films) - len(kept)} of {len(films)} films are left out")
    labels = [film.label for film, _ in kept if film.label is not None]
    if labels:
        notes.append("labels are the names of the inner folders")
    return Sequences(
        [x for _, x in kept],
        np.array(labels) if labels else None,
        [film.name for film, _ in kept],
        times=None if films[0].loose else [np.arange(len(x)) / fps for _, x in kept],
        source=str(path),
        notes=tuple(notes),
        frame=shape,
    )


def from_pictures(
    array: npt.NDArray[Any], layout: str | None, source: str
) -> tuple[npt.NDArray[Any], list[str]]:
    """An array of pictures as clips ``(n, frames, rows, columns, channels)``, and notes; a scene stays as it is.

    array: the same with five axes; four axes are gray clips when they hold bytes or the last is longer than `AGENTS`,
        or one film ``(frames, rows, columns, channels)``; three are one gray film if `layout` is "video".
    Bytes stay as they are, numbers in 0..1 too; numbers in 0..255 become bytes.
    """
    shape = array.shape
    scene = (
        len(shape) == 4 and array.dtype != np.uint8 and shape[3] <= AGENTS
        if layout is None
        else layout == "scene"
    )
    if len(shape) not in ((4,) if scene else (4, 5) if layout is None else (3, 4, 5)):
        wanted = (
            "a scene (n, time, agents, features)"
            if scene
            else "clips (n, frames, rows, columns[, channels])"
        )
        raise ValueError(f"{source}: expected {wanted}, got an array of shape {shape}")
    if scene:
        note = f"{shape[0]} scenes of {shape[2]} agents with {shape[3]} features (layout=video: pictures)"
        return array.astype(np.float32, copy=False), [note]
    if len(shape) == 3:
        array = array[None, ..., None]
    elif len(shape) == 4 and shape[3] in (1, 3, 4) and min(shape[1:3]) > 4:
        array = array[None]
    elif len(shape) == 4:
        array = array[..., None]
    n, frames, rows, columns, channels = array.shape
    notes = [
        f"{n} clips of {frames} pictures, {rows} x {columns} pixels (rows x columns), {channels} channels"
    ]
    if array.dtype == np.uint8:
        return array, notes
    # NaN when there is one
    low = array.min()
    high = array.max()
    if 0 <= low <= high <= 1:
        return array, [*notes, f"its numbers are {low:g} to {high:g}: taken as brightness, 0..1"]
    if 0 <= low <= high <= 255:
        whole = np.empty(array.shape, np.uint8)
        for clip, numbers in zip(whole, array, strict=True):
            clip[:] = np.rint(numbers)
        return whole, [*notes, f"its numbers are {low:g} to {high:g}: taken as bytes, 0..255"]
    return array, [
        *notes,
        f"its numbers are {low:g} to {high:g}: taken as they are (pictures have 0..1 or 0..255)",
    ]


def shrunk(sequences: Sequences, most: int = 8) -> Sequences:
    """Films with each picture averaged over a grid of at most `most` x `most` cells, for simple features of them.

    Values become float32 ``(frames, cells * channels)``, bytes as 0..1; series that are no films stay as they are.
    """
    if sequences.frame is None or sequences.frame[0] == 1:
        return sequences
    rows, columns, channels = sequences.frame
    (down, high), (across, wide) = (_cells(extent, most) for extent in (rows, columns))
    values = []
    for x in sequences.values:
        scale = 255 if x.dtype == np.uint8 else 1
        sums = np.add.reduceat(
            x.reshape(-1, rows, columns, channels), down, axis=1, dtype=np.float32
        )
        cells = np.add.reduceat(sums, across, axis=2) / (
            scale * high[:, None, None] * wide[:, None]
        )
        values.append(cells.reshape(len(x), -1))
    return replace(sequences, values=values, channels=[], frame=(len(high), len(wide), channels))


def _cells(extent: int, most: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Where each of at most `most` equal parts of `extent` pixels begins, and how many pixels it has."""
    edges = np.linspace(0, extent, min(extent, most) + 1).astype(np.int64)
    return edges[:-1], np.diff(edges)


def _films(path: Path) -> list[Film]:
    """The films of a path, in order; ValueError where videos, pictures and other files are mixed."""
    if path.is_file():
        return [Film(path, path.name, None, [path], False)]
    files = sorted(_below(path), key=lambda file: _natural(file.relative_to(path)))
    loose = 2 * sum(file.suffix.lower() in PICTURES for file in files) > len(files)
    kinds = PICTURES if loose else VIDEOS
    if strays := [file.relative_to(path) for file in files if file.suffix.lower() not in kinds]:
        raise ValueError(
            f"{path}: expected only {'pictures' if loose else 'videos'}, but found {listed(strays)}; move "
            f"them away"
        )
    groups: dict[Path, list[Path]] = {}
    for file in files:
        groups.setdefault(file.parent if loose else file, []).append(file)
    inner = {place.relative_to(path).parts[:-1] for place in groups}
    if len({len(parts) for parts in inner}) > 1 or any(len(parts) > 1 for parts in inner):
        raise ValueError(
            f"{path}: expected films in this folder, or all of them in inner folders that are labels, got "
            f"some in {listed(sorted('/'.join(parts) or '.' for parts in inner))}"
        )
    names = {
        place: place.relative_to(path) if place != path else Path(path.name) for place in groups
    }
    return [
        Film(place, str(names[place]), (*names[place].parts[:-1], None)[0], own, loose)
        for place, own in groups.items()
    ]


def _below(folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
    """All files in a folder and its inner folders, without the hidden ones; a link back to a folder above is left."""
    above = (*above, folder.resolve())
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if not entry.is_dir():
            yield entry
        elif entry.resolve() not in above:
            yield from _below(entry, above)


def _natural(name: Path) -> list[tuple[str, int]]:
    """A key that sorts frame2 before frame10."""
    return [(text, int(number or -1)) for text, number in re.findall(r"(\D*)(\d*)", str(name))]


def _each(work: Callable[[T], R], items: Iterable[T], stop: threading.Event) -> list[R]:
    """What `work` makes of each item, in order; on all cores, for FFmpeg works outside Python's lock.

    When one raises, or the user interrupts, `stop` asks the others to end.
    """
    with ThreadPoolExecutor(CORES) as pool:
        try:
            return list(pool.map(work, items))
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _survey(film: Film) -> Facts | str:
    try:
        return survey(film.files, film.loose)
    except ValueError as error:
        return f"{film.place}: {error}"


def _decoded(
    known: list[tuple[Film, Facts]], target: Target
) -> list[tuple[npt.NDArray[np.uint8], str]]:
    """The frames of each film, ``(frames, height * width * channels)``, and what is damaged in it, "" for nothing."""
    width = prod(target.shape)
    stop = threading.Event()
    lock = threading.Lock()
    counts = [
        facts.pictures if film.loose else floor(facts.seconds * target.fps + 0.05) + 1
        for film, facts in known
    ]
    starts = [0, *accumulate(counts)]
    share = max(1, CORES // len(known))

    def fill(film: Film, facts: Facts, at: int, end: int, threads: int, lost: list[str]) -> int:
        """Write the frames of a film at their place and say where they end."""
        for picture, times in decode(film.files, film.loose, facts, target, threads, lost):
            times = min(times, end - at)
            data = picture.tobytes()
            with lock:
                file.seek(at * width)
                for _ in range(times):
                    file.write(data)
            at += times
            if stop.is_set() or (lost and threads > 1):
                break
        return at

    def work(job: tuple[Film, Facts, int, int]) -> tuple[int, str]:
        lost: list[str] = []
        ends = fill(*job, share, lost)
        if (
            lost and share > 1
        ):  # FFmpeg's threads mend a damaged film in another way each time, one always in the same
            lost.clear()
            ends = fill(*job, 1, lost)
        return ends, _damage(*job[:2], ends - job[2], target.fps, lost)

    jobs = [
        (*pair, start, start + count)
        for pair, start, count in zip(known, starts, counts, strict=False)
    ]
    with _space(starts[-1] * width) as file:  # closed, it lives as long as its map
        done = _each(work, jobs, stop)
        file.flush()
        frames = np.asarray(np.memmap(file, np.uint8, "r", shape=(starts[-1], width)))
    return [(frames[start:end], text) for start, (end, text) in zip(starts, done, strict=False)]


def _space(size: int) -> IO[bytes]:
    """A temporary file of `size` bytes without a name; ValueError where the disk is too small."""
    place = tempfile.gettempdir()
    if size > (free := shutil.disk_usage(place).free):
        raise ValueError(
            f"the frames need {size / 1e9:.1f} GB in {place}, where {free / 1e9:.1f} GB are free; choose "
            f"a smaller resize= or fps=, or another folder: TMPDIR=FOLDER"
        )
    file = tempfile.TemporaryFile()  # noqa: SIM115
    file.truncate(size)
    return file


def _damage(film: Film, facts: Facts, frames: int, fps: float, lost: list[str]) -> str:
    """What is damaged in a film that gave so many frames, "" for nothing."""
    texts = [f"{count} x {reason}" for reason, count in Counter(lost).most_common(SOME)]
    if not frames:
        return f"{film.place}: no picture can be decoded ({', '.join(texts) or 'there is none'})"
    ends = (frames - 1) / fps
    missing = facts.missing + facts.seconds - ends
    if not film.loose and missing > max(1.0, 1 / fps, 0.02 * ends):
        texts.append(f"{missing:.1f} s are missing after {ends:.1f} s; is it cut short?")
    return f"{film.place}: {', '.join(texts)}" if texts else ""


def _described(facts: list[Facts], loose: bool) -> str:
    """What the films are, in a line."""
    codecs = Counter(f.codec for f in facts)
    sizes = Counter(f"{f.width}x{f.height}" for f in facts)
    rows = [
        f"{len(facts)} film{'s' * (len(facts) > 1)}",
        f"{_span([f.pictures for f in facts])} pictures",
        *(listed(name for name, _ in counts.most_common()) for counts in (sizes, codecs)),
    ]
    if not loose:
        rates = _span([round(f.rate, 2) for f in facts])
        rows += [
            f"{rates} a second" + ", unsteady" * (not all(f.steady for f in facts)),
            f"{sum(f.seconds + 1 / f.rate for f in facts):.1f} s",
        ]
    return ", ".join(rows)


def _taken(fps: float, shape: Frame, options: ReadOptions, loose: bool) -> str:
    """How the films became frames, in a line."""
    names = {"none": "the whole picture", "center": "the middle of each picture"}
    area = names.get(str(crop_region(options)), options.region)
    rate = "every picture" + " (they have no time: fps is not used)" * (options.fps is not None)
    return (
        f"{rate if loose else f'{fps:g} pictures a second'}, {area} at {shape[1]}x{shape[0]}, "
        f"{'gray' if shape[2] == 1 else 'colour'}: fps, resize and region choose others"
    )


def _span(numbers: list[float] | list[int]) -> str:
    return (
        f"{min(numbers):g}"
        if min(numbers) == max(numbers)
        else f"{min(numbers):g} to {max(numbers):g}"
    )
