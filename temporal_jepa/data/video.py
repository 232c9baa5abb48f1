"""Video files and folders of image files, decoded once into a file that training maps to memory."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import IO, TypeVar

import numpy as np

from ..config import ReadOptions
from .ffmpeg import FrameFormat, Region, VideoInfo, VideoSource, decode, read_info
from .paths import natural_key, walk
from .sequences import AGENTS, SOME, Array, Sequences, listed

VIDEOS = (
    ".mp4",
    ".m4v",
    ".mov",
    ".avi",
    ".mkv",
    ".webm",
    ".mpg",
    ".mpeg",
    ".mpe",
    ".m2v",
    ".vob",
    ".mts",
    ".m2ts",
    ".wmv",
    ".asf",
    ".flv",
    ".f4v",
    ".ogv",
    ".3gp",
    ".3g2",
    ".mxf",
    ".y4m",
    ".gif",
)
TRANSPORT_STREAM = ".ts"  # also the suffix of a text format of series
PACKET = 188  # bytes of a packet of a transport stream, which begins with SYNC
SYNC = 0x47
SPLITS = ("train", "training", "test", "testing", "val", "valid", "validation", "dev")
ARRAYS = {
    "scene": ("scenes (n, time, agents, features)", (4,)),
    "video": ("clips (n, frames, rows, columns, channels)", (3, 4, 5)),
}
IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
VIDEO_OPTIONS = ("fps", "resize", "region")
CLIP = 16  # frames per clip, the default window
RATE = 8.0  # frames per second, unless the videos have fewer
SIDE = 64  # pixels, the default height and width of a frame
CORES = (
    len(os.sched_getaffinity(0))
    if hasattr(os, "sched_getaffinity")
    else os.cpu_count() or 1
)
LARGE = (
    2**31
)  # bytes of frames from which each must be shown for at most REPEATS moments
REPEATS = 500
T = TypeVar("T")
R = TypeVar("R")


def holds_video(path: Path) -> bool:
    """Whether a path is a video file, or a folder with mostly videos or images, at any depth."""
    if not path.is_dir():
        return _is_video(path)
    matches = [_is(IMAGES, file) or _is_video(file) for file in walk(path)]
    return 2 * sum(matches) > len(matches)


def _is_video(file: Path) -> bool:
    """Whether a file is a video, by its suffix; a .ts file, by its first bytes."""
    if file.suffix.lower() != TRANSPORT_STREAM:
        return _is(VIDEOS, file)
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        start = stream.read(PACKET + 1)
    return len(start) > PACKET and start[0] == start[PACKET] == SYNC


def read_video(path: Path, options: ReadOptions) -> Sequences:
    """Read videos as uint8 sequences ``(frames, height * width * channels)``, not yet cut.

    The frames lie in a nameless temporary file, which is deleted when the last array that maps it
    is freed. `times` are seconds from the start of a video; image files have none.

    Args:
        path: a video file; a folder of videos, whose inner folders are labels; a folder of image
            files, which is one video; or a folder of such folders, with or without labels.
        options: `fps`, `resize` and `region`.

    Raises:
        ValueError: an option is malformed, or no video can be decoded; the message names the first.
        ModuleNotFoundError: PyAV is not installed.
    """
    videos = open_videos(path, options)
    found, notes = videos.decode(videos.infos, is_first=True)
    if found is None:
        raise ValueError(notes[0].removeprefix("damaged: "))
    return found


@dataclass(frozen=True)
class Videos:
    """Videos of which only the headers were read.

    Attributes:
        path: the file or folder.
        infos: the properties of those that can be read.
        damaged: why the others cannot.
        target: the rate and size of all frames.
        options: how to read.
    """

    path: Path
    infos: list[VideoInfo]
    damaged: list[str]
    target: FrameFormat
    options: ReadOptions

    def decode(
        self, infos: list[VideoInfo], *, is_first: bool
    ) -> tuple[Sequences | None, list[str]]:
        """The frames of some of the videos, and notes; None where no frame can be decoded.

        is_first: whether notes speak of all videos, and of those without readable headers.
        """
        count = len(infos)
        damaged = []
        notes = []
        if is_first:
            count += len(self.damaged)
            damaged += self.damaged
            frames = _describe_frames(self.target, self.options, self.infos[0])
            notes += [_describe_videos(self.infos), frames]
        infos, values, reasons = _decode_all(infos, self.target)
        damaged += reasons
        damage = [f"damaged: {listed(damaged)}"] if damaged else []
        if len(infos) < count:
            damage.append(f"{count - len(infos)} of {count} videos are left out")
        if not infos:
            return None, damage
        labels = None
        if infos[0].source.label is not None:
            labels = np.array([info.source.label for info in infos])
            damage.append("labels are the names of the inner folders")
        times = None
        if not infos[0].source.images:
            times = [np.arange(len(frames)) / self.target.fps for frames in values]
        notes += damage
        found = Sequences(
            values,
            labels,
            [info.source.name for info in infos],
            times=times,
            source=str(self.path),
            notes=tuple(notes),
            frame=self.target.shape,
            task=None if labels is None else "classification",
        )
        return found, notes


def open_videos(path: Path, options: ReadOptions) -> Videos:
    """The headers of the videos of a file or folder, see `read_video`."""
    infos, damaged = _read_infos(find_videos(path))
    return Videos(path, infos, damaged, _frame_format(infos, options), options)


def _frame_format(infos: list[VideoInfo], options: ReadOptions) -> FrameFormat:
    """The rate and size of all frames; with one video in color, all have three channels."""
    height, width = frame_shape(options.resize)
    fps = options.fps or min(RATE, float(np.median([info.rate for info in infos])))
    channels = 1 if all(info.gray for info in infos) else 3
    return FrameFormat(fps, (height, width, channels), crop_region(options.region))


def frame_shape(resize: str | int | None) -> tuple[int, int]:
    """Rows and columns of a frame, from "64" or "WIDTHxHEIGHT"."""
    text = str(SIDE if resize is None else resize)
    found = re.fullmatch(r"([1-9]\d{0,3})(?:x([1-9]\d{0,3}))?", text.strip())
    if found is None:
        raise ValueError(
            f"resize={text!r}: expected pixels, such as 64 (a square) or 96x64 (width x height)"
        )
    return int(found[2] or found[1]), int(found[1])


def crop_region(region: str | None) -> Region | str:
    """The part of a frame to keep: "none", "center" or (width, height, left, top)."""
    text = "center" if region is None else region.strip()
    if text in ("none", "center"):
        return text
    found = re.fullmatch(r"([2-9]|[1-9]\d+)x([2-9]|[1-9]\d+)\+(\d+)\+(\d+)", text)
    if found is None:
        raise ValueError(
            f"region={text!r}: expected none, center or WIDTHxHEIGHT+LEFT+TOP, such as 320x240+0+40"
        )
    width, height, left, top = map(int, found.groups())
    return width, height, left, top


def from_frames(array: Array, layout: str | None) -> tuple[Array, list[str]]:
    """Turn an array of frames into clips ``(n, frames, rows, columns, channels)``, with notes.

    uint8 and numbers in 0..1 stay as they are; numbers in 0..255 become uint8. A scene
    ``(n, time, agents, features)`` stays as it is.

    Args:
        array: five axes are clips. Four are gray clips if they are uint8 or the last is longer than
            `AGENTS`, one video ``(frames, rows, columns, channels)`` if the last has 1, 3 or 4, and
            a scene otherwise. Three are one gray video.
        layout: "video" or "scene" to settle which, or None.
    """
    if layout is None:
        agents = (
            array.ndim == 4 and array.dtype != np.uint8 and array.shape[3] <= AGENTS
        )
        layout = "scene" if agents else "video"
    axes, allowed = ARRAYS[layout]
    if array.ndim not in allowed:
        raise ValueError(f"expected {axes}, got an array of shape {array.shape}")
    if layout == "scene":
        note = f"array {array.shape}: {axes} (layout=video if these are frames)"
        return array, [note]
    if array.ndim == 3:
        array = array[None, ..., None]
    elif array.ndim == 4:
        in_color = array.shape[3] in (1, 3, 4) and min(array.shape[1:3]) > 4
        array = array[None] if in_color else array[..., None]
    note = f"array {array.shape}: {axes}"
    if array.dtype == np.uint8:
        return array, [note]
    array, range_note = _understand_range(array)
    return array, [note, range_note]


def _understand_range(array: Array) -> tuple[Array, str]:
    """Numbers in 0..255 as uint8, others as they are, and a note."""
    low = array.min()  # NaN if there is one
    high = array.max()
    taken = "as they are; frames have 0..1 or 0..255"
    if 0 <= low <= high <= 1:
        taken = "brightness, 0..1"
    elif 0 <= low <= high <= 255:
        taken = "bytes, 0..255"
        array = np.rint(array).astype(np.uint8)
    return array, f"values are {low:g} to {high:g}: taken as {taken}"


def pool_frames(sequences: Sequences, grid: int = 8) -> Sequences:
    """Average each video frame over a grid of at most `grid` x `grid` cells, as simple features.

    Values become float32 ``(frames, cells * channels)``, with bytes as 0..1. Series without frames
    are returned unchanged.
    """
    if sequences.frame is None or sequences.frame[0] == 1:
        return sequences
    rows, columns, channels = sequences.frame
    top, heights = _cells(rows, grid)
    left, widths = _cells(columns, grid)
    sizes = heights[:, None, None] * widths[:, None]  # (rows, columns, 1) of the grid
    values = []
    for x in sequences.values:
        frames = x.reshape(-1, rows, columns, channels)
        sums = np.add.reduceat(frames, top, axis=1, dtype=np.float32)
        sums = np.add.reduceat(sums, left, axis=2)
        scale = 255 if x.dtype == np.uint8 else 1
        values.append((sums / (scale * sizes)).reshape(len(x), -1))
    frame = (len(heights), len(widths), channels)
    return replace(sequences, values=values, channels=[], frame=frame)


def _cells(extent: int, grid: int) -> tuple[Array, Array]:
    """Where each of at most `grid` equal parts of `extent` pixels begins, and its size."""
    edges = np.linspace(0, extent, min(extent, grid) + 1).astype(np.int64)
    return edges[:-1], np.diff(edges)


def find_videos(path: Path) -> list[VideoSource]:
    """The videos of a file or folder, in order.

    Raises:
        ValueError: a folder mixes videos, images and other files, or labels are at unequal depths.
    """
    if path.is_file():
        return [VideoSource(path, path.name, None, [path], images=False)]
    files = sorted(walk(path), key=lambda file: natural_key(file.relative_to(path)))
    images = 2 * sum(_is(IMAGES, file) for file in files) > len(files)
    _refuse_others(files, images, path)
    groups: dict[Path, list[Path]] = {}
    for file in files:
        groups.setdefault(file.parent if images else file, []).append(file)
    _check_depths({place.relative_to(path).parent for place in groups})
    return [_source(place, own, path, images) for place, own in groups.items()]


def _check_depths(folders: set[Path]) -> None:
    """ValueError unless videos are in one folder, or all in inner folders that are labels.

    These may lie in one more folder: root/train/class/video.
    """
    tops = sorted({folder.parts[:1] for folder in folders})
    depths = {len(folder.parts) for folder in folders}
    if depths in ({0}, {1}) or (depths == {2} and len(tops) == 1):
        return
    splits = [name for top in tops for name in top if name.lower() in SPLITS]
    if splits and len(splits) == len(tops):
        raise ValueError(
            f"holds the splits {listed(splits)} of a set; name one of these folders"
        )
    raise ValueError(
        "expected videos in this folder, or all of them in inner folders that are labels, "
        f"got some in {listed(sorted(map(str, folders)))}"
    )


def _source(place: Path, files: list[Path], root: Path, images: bool) -> VideoSource:
    name = place.relative_to(root)  # "." for the folder itself
    label = name.parent.name or None
    return VideoSource(
        place, str(name) if name.name else root.name, label, files, images
    )


def _refuse_others(files: list[Path], images: bool, folder: Path) -> None:
    suffixes = IMAGES if images else VIDEOS
    others = [
        file.relative_to(folder)
        for file in files
        if not (_is(IMAGES, file) if images else _is_video(file))
    ]
    if others:
        raise ValueError(
            f"expected only files of one kind ({' '.join(suffixes)}), but found "
            f"{listed(others)}; move them away"
        )


def _is(suffixes: tuple[str, ...], file: Path) -> bool:
    return file.suffix.lower() in suffixes


def _in_parallel(
    work: Callable[[T], R], items: Iterable[T], stop: threading.Event
) -> list[R]:
    """``[work(item) for item in items]`` on all cores; FFmpeg runs outside Python's lock.

    When one raises, or the user interrupts, `stop` tells the others to end.
    """
    with ThreadPoolExecutor(CORES) as pool:
        try:
            return list(pool.map(work, items))
        finally:
            stop.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _read_infos(sources: list[VideoSource]) -> tuple[list[VideoInfo], list[str]]:
    """The properties of the videos that can be read, and why the others cannot."""

    def work(source: VideoSource) -> VideoInfo | str:
        try:
            return read_info(source)
        except ValueError as error:
            return f"{source.path}: {error}"

    found = _in_parallel(work, sources, threading.Event())
    infos = [info for info in found if isinstance(info, VideoInfo)]
    damaged = [reason for reason in found if isinstance(reason, str)]
    if not infos:
        raise ValueError(damaged[0])
    return infos, damaged


def _decode_all(
    infos: list[VideoInfo], target: FrameFormat
) -> tuple[list[VideoInfo], list[Array], list[str]]:
    """The videos that can be decoded, their frames ``(frames, pixels)``, and all damage."""
    counts = [info.frames_at(target.fps) for info in infos]
    starts = [0, *accumulate(counts)]
    shape = (starts[-1], prod(target.shape))
    _check_repeats(prod(shape), starts[-1], sum(info.frames for info in infos))
    with _temporary_file(prod(shape)) as file:  # it lives as long as its map
        frames = np.asarray(np.memmap(file, np.uint8, "r+", shape=shape))
    threads = max(1, CORES // len(infos))
    stop = threading.Event()

    def work(k: int) -> tuple[int, str]:
        space = frames[starts[k] : starts[k + 1]]
        damage: list[str] = []
        n = _fill(space, infos[k], target, threads, damage, stop)
        if damage and threads > 1:
            # FFmpeg conceals damage differently each time on several threads, but not on one.
            damage.clear()
            n = _fill(space, infos[k], target, 1, damage, stop)
        return n, _describe_damage(infos[k], n, target.fps, damage)

    results = _in_parallel(work, range(len(infos)), stop)
    frames.flags.writeable = False
    kept = [k for k, (n, _) in enumerate(results) if n]
    values = [frames[starts[k] : starts[k] + results[k][0]] for k in kept]
    return [infos[k] for k in kept], values, [damage for _, damage in results if damage]


def _check_repeats(size: int, moments: int, frames: int) -> None:
    """ValueError for a few frames that stand still for so long that their copies fill the disk."""
    if size > LARGE and moments > REPEATS * frames:
        raise ValueError(
            f"{frames} frames, shown so long that they would fill {size / 1e9:,.0f} GB as "
            f"{moments:,} frames; choose a smaller fps=, or check the timestamps"
        )


def _fill(
    space: Array,
    info: VideoInfo,
    target: FrameFormat,
    threads: int,
    damage: list[str],
    stop: threading.Event,
) -> int:
    """Decode a video into ``(frames, height * width * channels)``; returns the number of frames."""
    n = 0
    for frame, repeats in decode(info, target, threads, damage):
        space[n : n + repeats] = frame.reshape(-1)
        n += repeats
        if stop.is_set() or (damage and threads > 1):
            break
    return min(n, len(space))


def _temporary_file(size: int) -> IO[bytes]:
    """A nameless temporary file of `size` bytes; ValueError when the disk is too small."""
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if size > free:
        raise ValueError(
            f"the frames need {size / 1e9:.1f} GB in {folder}, which has {free / 1e9:.1f} GB free; "
            "choose a smaller resize= or fps=, or another folder with TMPDIR=FOLDER"
        )
    file = tempfile.TemporaryFile()  # noqa: SIM115
    if hasattr(os, "posix_fallocate"):
        # Reserved now, because a write to the map cannot report that the disk is full.
        os.posix_fallocate(file.fileno(), 0, size)
    else:
        file.truncate(size)
    return file


def _describe_damage(
    info: VideoInfo, frames: int, fps: float, damage: list[str]
) -> str:
    """What is damaged in a video that gave so many frames, "" for nothing."""
    texts = [
        f"{count} x {reason}" for reason, count in Counter(damage).most_common(SOME)
    ]
    if not frames:
        return f"{info.source.path}: no frame can be decoded ({', '.join(texts) or 'none found'})"
    end = (frames - 1) / fps
    missing = info.missing + info.seconds - end
    if not info.source.images and missing > max(1.0, 1 / fps, 0.02 * end):
        texts.append(f"{missing:.1f} s are missing after {end:.1f} s; is it cut short?")
    return f"{info.source.path}: {', '.join(texts)}" if texts else ""


def _describe_videos(infos: list[VideoInfo]) -> str:
    """What the videos are, in one line."""
    facts = [
        "1 video" if len(infos) == 1 else f"{len(infos)} videos",
        f"{_span(info.frames for info in infos)} frames",
        listed(sorted({f"{info.width}x{info.height}" for info in infos})),
        listed(sorted({info.codec for info in infos})),
    ]
    if not infos[0].source.images:
        facts.append(
            f"{_span(round(info.rate, 2) for info in infos)} frames per second"
        )
        if not all(info.steady for info in infos):
            facts.append("unsteady")
        facts.append(f"{sum(info.seconds + 1 / info.rate for info in infos):.1f} s")
    return ", ".join(facts)


def _describe_frames(target: FrameFormat, options: ReadOptions, info: VideoInfo) -> str:
    """How the videos became frames, in one line."""
    rate = f"{target.fps:g} frames per second"
    if info.source.images:
        rate = "every image"
        if options.fps is not None:
            rate += " (image files have no times: fps is not used)"
    height, width, channels = target.shape
    region = {None: "center", "none": "whole frame"}.get(options.region, options.region)
    color = "gray" if channels == 1 else "color"
    return f"{rate}, {region} at {width}x{height}, {color}; change with fps, resize and region"


def _span(numbers: Iterable[float]) -> str:
    ends = sorted({*numbers})
    return f"{ends[0]:g}" if len(ends) == 1 else f"{ends[0]:g} to {ends[-1]:g}"
