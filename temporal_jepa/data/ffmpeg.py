"""Video files through PyAV (FFmpeg): their properties, and their frames at one rate and size."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from math import floor
from pathlib import Path
from typing import IO, Any

import numpy as np

from .sequences import Array, Frame

Region = tuple[int, int, int, int]  # width, height, left, top
LONGEST = 60.0  # seconds that a frame is shown at most; longer gaps are cut to this
# The mean over the area of a pixel; without the other two flags, colors come out 1 % too dark.
SCALING = "area+accurate_rnd+full_chroma_int"
SAMPLED = 16  # to twice as many: image files whose headers are read before decoding
MOST_PIXELS = 2**27  # of a frame; larger ones are refused before they are allocated
UNKNOWN_KINDS = 8  # kinds of side data without a name that a frame may have
TILT = 0.017  # one degree: what is nearer to a right angle is one
GRAY = ("gray", "ya", "mono")  # prefixes of FFmpeg's pixel formats with one channel


@dataclass(frozen=True)
class VideoSource:
    """A video file, or a folder of image files that are the frames of one video.

    Attributes:
        path: the file or the folder.
        name: its name within the data set.
        label: its class, None without labels.
        files: the video file, or the image files in order.
        images: whether `files` are image files.
    """

    path: Path
    name: str
    label: str | None
    files: Sequence[Path]
    images: bool


@dataclass(frozen=True)
class VideoInfo:
    """Properties of a video, from its headers and timestamps; nothing is decoded for them.

    Attributes:
        source: the files.
        codec: name of the codec.
        width: pixels as coded, before any rotation.
        height: pixels as coded, before any rotation.
        gray: whether a frame has one channel.
        frames: number of frames.
        seconds: from the first frame to the last. Image files count as one per second.
        missing: seconds of the duration in the header beyond that.
        rate: frames per second.
        steady: whether the frames are equally spaced in time.
    """

    source: VideoSource
    codec: str
    width: int
    height: int
    gray: bool
    frames: int
    seconds: float
    missing: float = 0.0
    rate: float = 1.0
    steady: bool = True

    def frames_at(self, fps: float) -> int:
        """How many frames `decode` gives at most."""
        return self.frames if self.source.images else _moments(self.seconds, fps)


@dataclass(frozen=True)
class FrameFormat:
    """What each decoded frame is resized to.

    Attributes:
        fps: frames per second.
        shape: (height, width, channels).
        region: "none" (the whole frame, stretched), "center" (the largest middle part of the aspect
            ratio of `shape`) or (width, height, left, top) in pixels of the upright frame.
    """

    fps: float
    shape: Frame
    region: Region | str

    def crop(self, width: int, height: int) -> Region:
        """The part of a frame of this size that is kept; ValueError when it does not fit."""
        if self.region == "none":
            return width, height, 0, 0
        if isinstance(self.region, tuple):
            wide, high, left, top = self.region
            if left + wide > width or top + high > height:
                raise ValueError(
                    f"region={wide}x{high}+{left}+{top} (WIDTHxHEIGHT+LEFT+TOP) does not fit into "
                    f"frames of {width}x{height}"
                )
            return self.region
        rows, columns, _ = self.shape
        wide = max(min(width, round(height * columns / rows)), min(2, width))
        high = max(min(height, round(width * rows / columns)), min(2, height))
        return wide, high, (width - wide) // 2, (height - high) // 2


class Clock:
    """Seconds since the first frame, from timestamps that may be missing, jump or start again.

    Time never runs backwards. `period` is the usual time between frames.
    """

    def __init__(self, period: float):
        self.period = period
        self.now = 0.0
        self.last: float | None = None  # the latest timestamp

    def __call__(self, stamp: float | None) -> float:
        """The time of the next frame, whose timestamp in seconds is `stamp`."""
        if self.last is None:
            self.last = stamp or 0.0
            return self.now
        if stamp is None:
            stamp = self.last + self.period
        step = stamp - self.last
        if (
            step < -1 - 16 * self.period
        ):  # further back than reordered frames: a new start
            self.last = stamp
            self.now += self.period
        elif step > 0:
            self.last = stamp
            self.now += min(step, LONGEST)
        return self.now


def read_info(source: VideoSource) -> VideoInfo:
    """Read the properties of a video without decoding it.

    Raises:
        ValueError: it is not a video. The message does not name the file.
    """
    if source.images:
        return _image_info(source)
    with _opened(source.files[0]) as (container, stream):
        header = _header(stream)
        usual_rate = float(stream.average_rate or 1)
        duration = _duration(container, stream, usual_rate)
        stamps = [
            stamp * float(stream.time_base) for stamp in _timestamps(container, stream)
        ]
    if not stamps:
        raise ValueError("no frames found; is it cut short?")
    intervals = np.diff(np.unique(stamps))
    if not len(intervals):
        intervals = np.array([1 / usual_rate])
    period = float(np.median(intervals))
    clock = Clock(period)
    for stamp in stamps:
        clock(stamp)
    seconds = clock.now
    mean = seconds / max(len(stamps) - 1, 1) or period
    low, high = np.percentile(intervals, (5, 95))
    steady = bool(high - low < 0.2 * period and abs(mean / period - 1) < 0.05)
    return VideoInfo(
        source,
        *header,
        frames=len(stamps),
        seconds=seconds,
        missing=duration - (max(stamps) - min(stamps) + period),
        rate=1 / (mean if steady else period),
        steady=steady,
    )


def _duration(container: Any, stream: Any, rate: float) -> float:
    """Seconds of a video by its header, 0 if it does not say."""
    seconds = max(
        (stream.duration or 0) * float(stream.time_base), stream.frames / rate
    )
    return seconds or (container.duration or 0) / 1e6


def _image_info(source: VideoSource) -> VideoInfo:
    """Properties of image files, from the headers of some of them."""
    files = source.files
    headers = []
    reasons = []
    for file in files[:: 1 + len(files) // SAMPLED]:
        try:
            with _opened(file) as (_, stream):
                headers.append(_header(stream))
        except ValueError as error:
            reasons.append(f"{file.name}: {error}")
    if not headers:
        raise ValueError(reasons[0])
    codec, width, height, _ = headers[0]
    gray = all(header[3] for header in headers)
    return VideoInfo(source, codec, width, height, gray, len(files), len(files) - 1.0)


def _header(stream: Any) -> tuple[str, int, int, bool]:
    """Codec, width, height and whether it is gray."""
    context = stream.codec_context
    return (
        context.name,
        context.width,
        context.height,
        (context.pix_fmt or "").startswith(GRAY),
    )


def decode(
    info: VideoInfo, target: FrameFormat, threads: int, damage: list[str]
) -> Iterator[tuple[Array, int]]:
    """Frames ``(height, width, channels)`` at 0, 1/fps, 2/fps, ... seconds.

    Each comes with the number of these moments that it fills. Image files have no times: each is
    given once.

    Args:
        info: the video.
        target: rate and size of the frames.
        threads: how many threads FFmpeg may use.
        damage: a list that gets the reason for each part that is damaged or cannot be decoded.

    Raises:
        ValueError: the region to crop lies outside the frame.
    """
    file = info.source.files[0]
    resize = _Resizer(target, file, damage)
    if info.source.images:
        for frame in _image_frames(info.source.files, damage):
            pixels = resize(frame)
            if pixels is not None:
                yield pixels, 1
        return
    with _opened(file) as (container, stream):
        # On several threads, FFV1 decodes a damaged stream differently each time, unnoticed.
        single = stream.codec_context.name == "ffv1"
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = 1 if single else threads
        frames = _frames(container, stream, damage)
        last = None
        repeats = 0
        for frame, times in resample(frames, Clock(1 / info.rate), target.fps):
            repeats += times
            pixels = resize(frame)
            if pixels is not None:
                last = pixels
            if last is not None:
                yield last, repeats
                repeats = 0


def resample(
    frames: Iterable[Any], clock: Clock, fps: float
) -> Iterator[tuple[Any, int]]:
    """For the moments 0, 1/fps, 2/fps, ...: the nearest frame in time, and for how many of them.

    Of two equally near frames it is the earlier. FFmpeg's filter `fps` takes other frames, drops
    some whose timestamps are rounded, and trusts timestamps that jump: see docs/log.md.

    Args:
        frames: objects with a `time` in seconds or None.
        clock: makes times that never run backwards.
        fps: moments per second.
    """
    held = None
    before = 0.0
    moment = 0
    for frame in frames:
        now = clock(frame.time)
        if held is not None:
            end = floor((before + now) / 2 * fps + 1e-6) + 1
            if end > moment:
                yield held, end - moment
                moment = end
        held = frame
        before = now
    end = _moments(before, fps)
    if held is not None and end > moment:
        yield held, end - moment


def _moments(seconds: float, fps: float) -> int:
    """How many moments 0, 1/fps, ... lie in so many seconds; rounded timestamps may end early."""
    return floor(seconds * fps + 0.05) + 1


@dataclass(frozen=True)
class Upright:
    """How to show a frame as its display matrix says.

    Attributes:
        filters: of FFmpeg, to apply in this order.
        transposed: whether rows become columns.
    """

    filters: tuple[str, ...] = ()
    transposed: bool = False

    @classmethod
    def from_matrix(cls, matrix: bytes | None) -> Upright:
        """From nine int32 in row order: (x, y, 1) is shown at its product with the matrix.

        Cameras write the eight ways to rotate and mirror a picture by right angles, in steps that
        a transposition and two flips express. Other angles are rotated within the frame.
        """
        if matrix is None:
            return cls()
        entries = np.frombuffer(matrix, np.int32)
        a, b, c, d = entries[[0, 1, 3, 4]].astype(float).tolist()
        if max(abs(b), abs(c)) < TILT * max(abs(a), abs(d)):
            return cls(_flips(a < 0, d < 0))
        if max(abs(a), abs(d)) < TILT * max(abs(b), abs(c)):
            return cls(("transpose=cclock_flip", *_flips(c < 0, b < 0)), True)
        if a * d - b * c < 0:
            return cls((*_flips(False, True), f"rotate={np.arctan2(b, a)}"))
        return cls((f"rotate={np.arctan2(b, a)}",))


def _flips(horizontal: bool, vertical: bool) -> tuple[str, ...]:
    return ("hflip",) * horizontal + ("vflip",) * vertical


def _display_matrix(frame: Any) -> bytes | None:
    """The nine numbers that say how to show a frame, None if it has none."""
    for _ in range(UNKNOWN_KINDS):
        try:
            matrix = frame.side_data.get("DISPLAYMATRIX")
        except ValueError as error:  # PyAV has no name for a kind of data, such as EXIF
            kind = re.match(r"\d+", str(error))
            if kind is None:
                raise
            frame = _without_side_data(frame, kind[0])
        else:
            return None if matrix is None else bytes(matrix)
    return None


def _without_side_data(frame: Any, kind: str) -> Any:
    """The frame without one kind of side data, by its number in FFmpeg."""
    import av

    graph = av.filter.Graph()
    size: Any = {"width": frame.width, "height": frame.height}
    source = graph.add_buffer(**size, format=frame.format.name, time_base=Fraction(1))
    delete = graph.add("sidedata", f"mode=delete:type={kind}")
    graph.link_nodes(source, delete, graph.add("buffersink")).configure()
    graph.push(frame)
    return graph.pull()


class _Resizer:
    """Turns a decoded frame upright, crops and scales it, with a chain of FFmpeg's filters."""

    def __init__(self, target: FrameFormat, file: Path, damage: list[str]):
        self.target = target
        self.file = file
        self.damage = damage
        self.key: tuple[Any, ...] = ()
        self.graph: Any = None

    def __call__(self, frame: Any) -> Array | None:
        """The pixels, or None for a frame with damaged properties."""
        import av

        matrix = _display_matrix(frame)
        key = (frame.width, frame.height, frame.format.name, matrix)
        try:
            if key != self.key:
                self.graph = self._chain(*key)
                self.key = key
            self.graph.push(frame)
            pixels: Array = self.graph.pull().to_ndarray()
        except av.error.FFmpegError as error:
            self.key = ()
            self.damage.append(str(error.strerror))
            return None
        return pixels.reshape(self.target.shape)

    def _chain(
        self, width: int, height: int, pixel_format: str, matrix: bytes | None
    ) -> Any:
        import av

        upright = Upright.from_matrix(matrix)
        shown = (height, width) if upright.transposed else (width, height)
        try:
            region = self.target.crop(*shown)
        except ValueError as error:
            raise ValueError(f"{self.file}: {error}") from None
        rows, columns, channels = self.target.shape
        steps = list(upright.filters)
        if region != (*shown, 0, 0):
            # To whole pixels of color, perhaps two of brightness: exact=1 spoils deep colors.
            steps.append(f"crop={':'.join(map(str, region))}")
        steps.append(f"scale={columns}:{rows}:flags={SCALING}")
        steps.append(f"format={'gray' if channels == 1 else 'rgb24'}")
        graph = av.filter.Graph()
        size: Any = {"width": width, "height": height, "format": pixel_format}
        source = graph.add_buffer(**size, time_base=Fraction(1))
        filters = [graph.add(*step.split("=", 1)) for step in steps]
        graph.link_nodes(source, *filters, graph.add("buffersink")).configure()
        return graph


class _SafeSeek:
    """A file as FFmpeg reads it: a damaged header may make it seek to places that do not exist."""

    def __init__(self, file: IO[bytes]):
        self.file = file
        self.read = file.read
        self.tell = file.tell

    def seek(self, offset: int, whence: int = 0) -> int:
        """The new position, -1 where there is none."""
        try:
            return self.file.seek(offset, whence)
        except (OSError, ValueError):
            return -1


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container of a file and its video stream."""
    if importlib.util.find_spec("av") is None:
        raise ModuleNotFoundError(
            f"reading {path.suffix.lower()} needs PyAV: pip install 'temporal-jepa[video]'"
        )
    import av

    if not path.stat().st_size:
        raise ValueError("the file is empty")
    # An open file, because FFmpeg would look for protocols and patterns in a name.
    with path.open("rb") as file:
        try:
            container = av.open(_SafeSeek(file), metadata_errors="ignore")
        except av.error.FFmpegError as error:
            raise ValueError(
                f"FFmpeg cannot read it as a video; is it damaged or cut short? ({error.strerror})"
            ) from None
        with container:
            cover = av.stream.Disposition.attached_pic
            streams = [s for s in container.streams.video if not s.disposition & cover]
            if not streams:
                found = (
                    "sound but no frames" if container.streams.audio else "no frames"
                )
                raise ValueError(f"it contains {found}")
            if streams[0].codec_context is None:
                raise ValueError("this PyAV has no decoder for it")
            # A damaged header may promise a frame of gigabytes.
            streams[0].codec_context.options = {"max_pixels": str(MOST_PIXELS)}
            yield container, streams[0]


def _timestamps(container: Any, stream: Any) -> Iterator[int]:
    """The timestamps of the packets, in units of the stream; ends where the file is cut."""
    import av

    try:
        for packet in container.demux(stream):
            stamp = packet.dts if packet.pts is None else packet.pts
            if packet.size and stamp is not None:
                yield stamp
    except (
        av.error.FFmpegError,
        IndexError,
    ):  # IndexError where damage makes up streams
        return


def _frames(container: Any, stream: Any, damage: list[str]) -> Iterator[Any]:
    """The frames that can be decoded, in presentation order."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            frames = next(packets).decode()
        except (StopIteration, IndexError):
            return
        except av.error.FFmpegError as error:
            damage.append(str(error.strerror))
            continue
        for frame in frames:
            if frame.is_corrupt:
                damage.append("damaged frame")
            yield frame


def _image_frames(files: Sequence[Path], damage: list[str]) -> Iterator[Any]:
    """The first frame of each image file that can be decoded."""
    for file in files:
        reasons: list[str] = []
        try:
            with _opened(file) as (container, stream):
                yield from islice(_frames(container, stream, reasons), 1)
        except ValueError as error:
            reasons.append(str(error))
        damage += [f"{file.name}: {reason}" for reason in reasons]
