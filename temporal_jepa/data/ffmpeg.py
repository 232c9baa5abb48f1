"""Pictures out of film files through PyAV (FFmpeg): what a film is, and its frames at a steady rate, of one size."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from .sequences import Frame

Region = tuple[int, int, int, int]  # width, height, left, top
STILL = (
    60.0  # seconds that a picture stays at most: a longer gap between timestamps counts as these
)
# The mean over the area of a pixel; without the other two, colours come out 1 % too dark.
SCALING = "area+accurate_rnd+full_chroma_int"
UPRIGHT = {
    90: ("transpose=cclock",),
    -90: ("transpose=clock",),
    180: ("hflip", "vflip"),
    -180: ("hflip", "vflip"),
}
SAMPLED = 16  # pictures of a folder that are looked at before decoding, or up to twice as many
GRAY = ("gray", "ya", "mono")  # how FFmpeg's names of such formats begin


@dataclass(frozen=True)
class Facts:
    """What a film is, from its headers and timestamps: nothing is decoded for it.

    codec, width, height: as coded, before any rotation. gray: one channel. pictures: how many there are.
    seconds: from the first picture to the last. missing: how many more the header promises. rate: pictures a second.
    steady: whether their distances are equal. A folder of pictures has a picture a second.
    """

    codec: str
    width: int
    height: int
    gray: bool
    pictures: int
    seconds: float
    missing: float
    rate: float
    steady: bool


@dataclass(frozen=True)
class Target:
    """What films become: frames `shape` (height, width, channels), `fps` a second, of the `area` of each picture.

    area: "none" (all of it), "center" (the largest middle part of the shape's proportions) or (width, height, left,
        top) in pixels of the upright picture.
    """

    fps: float
    shape: Frame
    area: Region | str


class Clock:
    """Seconds since the first picture, from timestamps that may be missing, jump or start again: it never runs back."""

    def __init__(self, period: float):
        self.period = period
        self.now = 0.0
        self.last: float | None = None

    def __call__(self, stamp: float | None) -> float:
        """The time of the next picture, whose timestamp in seconds is `stamp`."""
        if self.last is None or stamp is None:
            step = 0.0 if self.last is None else self.period
        else:
            step = stamp - self.last
        if (
            step < -1 - 16 * self.period
        ):  # earlier than any order of coding makes it: the stamps start again
            self.last = stamp
            step = self.period
        elif step > 0 or self.last is None:
            self.last = (self.last or 0.0) + step if stamp is None else stamp
        self.now += min(max(step, 0.0), STILL)
        return self.now


def survey(files: Sequence[Path], loose: bool) -> Facts:
    """The facts of a film: of one video file, or of pictures in one file each (`loose`).

    Raises ValueError, without the name of the file, when it is no film.
    """
    if loose:
        return _survey_pictures(files)
    with _opened(files[0]) as (container, stream):
        what = _heading(stream)
        base = float(stream.time_base)
        usual = float(stream.average_rate or 1)
        promised = (
            max((stream.duration or 0) * base, stream.frames / usual)
            or (container.duration or 0) / 1e6
        )
        stamps = [stamp * base for stamp in _stamps(container, stream)]
    if not stamps:
        raise ValueError("it holds no pictures; is it cut short?")
    gaps = np.diff(np.unique(stamps)) if min(stamps) < max(stamps) else np.array([1 / usual])
    period = float(np.median(gaps))
    clock = Clock(period)
    seconds = [clock(stamp) for stamp in stamps][-1]
    mean = seconds / max(len(stamps) - 1, 1) or period
    low, high = np.percentile(gaps, (5, 95))
    steady = bool(high - low < 0.2 * period and abs(mean / period - 1) < 0.05)
    missing = promised - (max(stamps) - min(stamps) + period)
    return Facts(*what, len(stamps), seconds, missing, 1 / (mean if steady else period), steady)


def _survey_pictures(files: Sequence[Path]) -> Facts:
    """The facts of pictures in a file each, from the headers of some: gray when all of these are."""
    found = []
    reason = ""
    for file in files[:: 1 + len(files) // SAMPLED]:
        try:
            with _opened(file) as (_, stream):
                found.append(_heading(stream))
        except ValueError as error:
            reason = reason or f"{file.name}: {error}"
    if not found:
        raise ValueError(reason)
    return Facts(
        *found[0][:3], all(what[3] for what in found), len(files), len(files) - 1.0, 0.0, 1.0, True
    )


def _heading(stream: Any) -> tuple[str, int, int, bool]:
    """Codec, width, height and whether it is gray."""
    context = stream.codec_context
    return context.name, context.width, context.height, (context.pix_fmt or "").startswith(GRAY)


def decode(
    files: Sequence[Path], loose: bool, facts: Facts, target: Target, threads: int, lost: list[str]
) -> Iterator[tuple[npt.NDArray[np.uint8], int]]:
    """Pictures ``(height, width, channels)`` at 0, 1/fps, 2/fps, ... seconds, each with the number of moments it fills.

    threads: that FFmpeg may use. lost: gets a reason for each part that is damaged or cannot be decoded; what can, is
    given. Pictures in files of their own (`loose`) have no time: each is given once.
    Raises ValueError, with the name of the file, for a region outside the picture.
    """
    fit = _Fit(target, files[0], lost)
    if loose:
        for file in files:
            yield from (
                (frame, 1)
                for picture in _picture(file, lost)
                if (frame := fit(picture)) is not None
            )
        return
    with _opened(files[0]) as (container, stream):
        alone = (
            stream.codec_context.name == "ffv1"
        )  # on several threads, a damaged one is another film each time
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = 1 if alone else threads
        last = None
        owed = 0
        for picture, times in sampled(
            _frames(container, stream, lost), Clock(1 / facts.rate), target.fps
        ):
            frame = fit(picture)
            owed = owed + times
            last = last if frame is None else frame
            if last is not None:
                yield last, owed
                owed = 0


def sampled(frames: Iterable[Any], clock: Clock, fps: float) -> Iterator[tuple[Any, int]]:
    """For the moments 0, 1/fps, 2/fps, ...: the nearest frame in time (the earlier of two), and for how many of them.

    frames: things with a `time` in seconds or None.
    """
    held = None
    before = 0.0
    moment = 0
    for frame in frames:
        now = clock(frame.time)
        if held is not None:
            upto = max(int(np.floor((before + now) / 2 * fps + 1e-6)) + 1, moment)
            if upto > moment:
                yield held, upto - moment
            moment = upto
        held = frame
        before = now
    upto = int(np.floor(before * fps + 0.05)) + 1  # rounded stamps may end a little early
    if held is not None and upto > moment:
        yield held, upto - moment


class _Fit:
    """Puts a decoded picture upright, crops and scales it, in a chain of FFmpeg's filters."""

    def __init__(self, target: Target, file: Path, lost: list[str]):
        self.target = target
        self.file = file
        self.lost = lost
        self.key: tuple[Any, ...] = ()
        self.graph: Any = None

    def __call__(self, picture: Any) -> npt.NDArray[np.uint8] | None:
        """The frame, or None for a picture with damaged properties."""
        import av

        key = (picture.width, picture.height, picture.format.name, picture.rotation)
        try:
            if key != self.key:
                self.graph = self._chain(*key)
                self.key = key
            self.graph.push(picture)
            array: npt.NDArray[np.uint8] = self.graph.pull().to_ndarray()
        except av.error.FFmpegError as error:
            self.key = ()
            self.lost.append(str(error.strerror))
            return None
        return array.reshape(self.target.shape)

    def _chain(self, width: int, height: int, form: str, rotation: int) -> Any:
        import av

        shown = (height, width) if rotation in (90, -90) else (width, height)
        try:
            region = region_of(*shown, self.target)
        except ValueError as error:
            raise ValueError(f"{self.file}: {error}") from None
        rows, columns, channels = self.target.shape
        steps = [
            *UPRIGHT.get(rotation, ()),
            f"scale={columns}:{rows}:flags={SCALING}",
            f"format={'gray' if channels == 1 else 'rgb24'}",
        ]
        if region != (*shown, 0, 0):
            # to whole pixels of colour, perhaps two of brightness: exact=1 spoils deep colours
            steps.insert(-2, f"crop={':'.join(map(str, region))}")
        graph = av.filter.Graph()
        source: Any = {"width": width, "height": height, "format": form, "time_base": Fraction(1)}
        nodes = [graph.add_buffer(**source)]
        nodes += [graph.add(*step.split("=", 1)) for step in steps]
        graph.link_nodes(*nodes, graph.add("buffersink")).configure()
        return graph


def region_of(width: int, height: int, target: Target) -> Region:
    """The part of a picture of this size that becomes a frame; ValueError when it does not fit."""
    if isinstance(target.area, tuple):
        wide, high, left, top = target.area
        if left + wide > width or top + high > height:
            raise ValueError(
                f"region={wide}x{high}+{left}+{top} (WIDTHxHEIGHT+LEFT+TOP) does not fit into its pictures "
                f"of {width}x{height}"
            )
        return target.area
    if target.area == "none":
        return width, height, 0, 0
    rows, columns, _ = target.shape
    wide = min(width, round(height * columns / rows))
    high = min(height, round(width * rows / columns))
    wide = max(wide, min(2, width))
    high = max(high, min(2, height))
    return wide, high, (width - wide) // 2, (height - high) // 2


class _Bytes:
    """A file as FFmpeg reads it: a damaged header may send it to places that do not exist."""

    def __init__(self, file: IO[bytes]):
        self.file = file
        self.read = file.read
        self.tell = file.tell

    def seek(self, offset: int, whence: int = 0) -> int:
        """The new place, -1 where there is none."""
        try:
            return self.file.seek(offset, whence)
        except (OSError, ValueError):
            return -1


@contextmanager
def _opened(file: Path) -> Iterator[tuple[Any, Any]]:
    """The container of a file and its stream of pictures."""
    if importlib.util.find_spec("av") is None:
        raise ModuleNotFoundError(
            f"reading {file.suffix.lower()} needs PyAV: pip install 'temporal-jepa[video]'"
        )
    import av

    if not file.stat().st_size:
        raise ValueError("the file is empty")
    with file.open(
        "rb"
    ) as opened:  # not its name, in which FFmpeg would look for protocols and patterns
        try:
            container = av.open(_Bytes(opened), metadata_errors="ignore")
        except av.error.FFmpegError as error:
            raise ValueError(
                f"not a film that FFmpeg can read; is it damaged or cut short? ({error.strerror})"
            ) from None
        with container:
            cover = av.stream.Disposition.attached_pic
            streams = [
                stream for stream in container.streams.video if not stream.disposition & cover
            ]
            if not streams:
                raise ValueError(
                    "it holds sound and no pictures"
                    if container.streams.audio
                    else "it holds no pictures"
                )
            if streams[0].codec_context is None:
                raise ValueError("this PyAV has no decoder for it")
            yield container, streams[0]


def _stamps(container: Any, stream: Any) -> Iterator[int]:
    """The timestamps of the packets, in units of the stream; ends where a file is cut."""
    import av

    try:
        for packet in container.demux(stream):
            stamp = packet.dts if packet.pts is None else packet.pts
            if packet.size and stamp is not None:
                yield stamp
    except (av.error.FFmpegError, IndexError):  # the latter where damage makes up streams
        return


def _frames(container: Any, stream: Any, lost: list[str]) -> Iterator[Any]:
    """The frames that can be decoded, in the order of showing."""
    import av

    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets)
            frames = packet.decode()
        except (StopIteration, IndexError):
            return
        except av.error.FFmpegError as error:
            lost.append(str(error.strerror))
            continue
        lost += ["damaged picture" for frame in frames if frame.is_corrupt]
        yield from frames


def _picture(file: Path, lost: list[str]) -> list[Any]:
    """The picture in a file, or nothing."""
    reasons: list[str] = []
    found: list[Any] = []
    try:
        with _opened(file) as (container, stream):
            found = list(islice(_frames(container, stream, reasons), 1))
    except ValueError as error:
        reasons = [str(error)]
    lost += [f"{file.name}: {reason}" for reason in reasons]
    return found
