"""Video files, folders of image files and arrays of frames."""

from __future__ import annotations

import gc
import importlib.util
import json
import shutil
import struct
from collections import namedtuple
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from temporal_jepa.cli import main as cli
from temporal_jepa.data import Sequences, read, video
from temporal_jepa.data.ffmpeg import (
    Clock,
    FrameFormat,
    Upright,
    read_info,
    resample,
)
from temporal_jepa.data.video import find_videos, pool_frames
from temporal_jepa.training import run as runs
from temporal_jepa.training.initial import channel_statistics

av = pytest.importorskip("av")

Frames = npt.NDArray[np.uint8]
Moment = namedtuple("Moment", "time")
STEP = 8  # frame k of `ramp` has k times this brightness, so values tell which one was taken


def ramp(n: int, height: int = 32, width: int = 48) -> Frames:
    """Frames of one brightness each, ``(n, height, width, 3)``."""
    levels = (np.arange(n) * STEP % 256).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (n, height, width, 3)).copy()


def write_video(
    path: Path,
    frames: Frames,
    fps: int = 8,
    stamps: list[int] | None = None,
    codec: str = "ffv1",
    form: str = "bgr0",
) -> Path:
    """Write a video of RGB or gray frames, lossless by default; `stamps` are in milliseconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=fps)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], form
        stream.codec_context.time_base = Fraction(1, 1000 if stamps else fps)
        for k, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(
                pixels, "rgb24" if pixels.ndim == 3 else "gray"
            )
            frame.pts = stamps[k] if stamps else k
            frame.time_base = stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_image(path: Path, pixels: Frames) -> Path:
    """Write a PNG file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    form = "rgb24" if pixels.ndim == 3 else "gray"
    coder: Any = av.CodecContext.create("png", "w")
    coder.height, coder.width, coder.pix_fmt, coder.time_base = (
        *pixels.shape[:2],
        form,
        Fraction(1),
    )
    frame = av.VideoFrame.from_ndarray(pixels, form)
    path.write_bytes(
        b"".join(
            bytes(packet) for packet in (*coder.encode(frame), *coder.encode(None))
        )
    )
    return path


def sound(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("aac", rate=44100)
        for k in range(8):
            frame = av.AudioFrame.from_ndarray(
                np.zeros((2, 1024), np.float32), "fltp", "stereo"
            )
            frame.sample_rate = 44100
            frame.pts = 1024 * k
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def levels(sequences: Sequences, i: int = 0) -> list[int]:
    """Which frame of `ramp` each frame shows."""
    return [round(float(x.mean()) / STEP) for x in sequences.values[i]]


def noise(*shape: int) -> Frames:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


# What a video becomes.


def test_a_video_is_clips_of_sixteen_frames_in_uint8(tmp_path: Path) -> None:
    found = read(write_video(tmp_path / "a.mkv", ramp(30)))
    assert found.frame == (64, 64, 3)
    assert found.ids == ["a.mkv@0"]
    assert found.values[0].shape == (16, 64 * 64 * 3)
    assert found.values[0].dtype == np.uint8
    assert levels(found) == list(range(16))
    assert found.times is not None
    assert found.times[0][:3].tolist() == [0.0, 0.125, 0.25]
    assert found.batch([0]).max() == pytest.approx(15 * STEP / 255)
    assert "1 video, 30 frames, 48x32, ffv1, 8 frames per second, 3.8 s" in found.notes


def test_window_and_stride_cut_clips(tmp_path: Path) -> None:
    found = read(write_video(tmp_path / "a.mkv", ramp(10)), window=4, stride=3)
    assert found.ids == ["a.mkv@0", "a.mkv@3", "a.mkv@6"]
    assert levels(found, 1) == [3, 4, 5, 6]


@pytest.mark.parametrize(
    ("rate", "fps", "taken"),
    [
        (24, None, [0, 3, 6, 9, 12, 15, 18, 21]),  # 8 a second
        (24, 12, [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22]),
        (4, None, list(range(24))),  # what it has
        (
            4,
            8,
            [0, 0, *(k for k in range(1, 23) for _ in range(2)), 23],
        ),  # each is shown twice; of two, the earlier
    ],
)
def test_frames_come_at_a_rate(
    tmp_path: Path, rate: int, fps: float | None, taken: list[int]
) -> None:
    found = read(
        write_video(tmp_path / "a.mkv", ramp(24), rate), fps=fps, window=len(taken)
    )
    assert levels(found) == taken


def test_an_unsteady_video_goes_by_its_timestamps(tmp_path: Path) -> None:
    stamps = [0, 100, 200, 300, 400, 1000, 1100, 1700]
    found = read(
        write_video(tmp_path / "a.mkv", ramp(8), stamps=stamps), fps=5, window=9
    )
    assert levels(found) == [0, 2, 4, 4, 5, 5, 6, 6, 7]
    assert "unsteady" in found.notes[0]


def test_resample_takes_the_nearest_frame_in_time() -> None:
    moments = [Moment(t) for t in (0.0, 0.34, 0.66, 1.0, 1.34)]  # rounded thirds

    def taken(fps: float) -> list[tuple[float, int]]:
        return [(frame.time, n) for frame, n in resample(moments, Clock(1 / 3), fps)]

    assert taken(3.0) == [(0.0, 1), (0.34, 1), (0.66, 1), (1.0, 1), (1.34, 1)]
    assert [n for _, n in taken(6.0)] == [
        2,
        2,
        1,
        3,
        1,
    ]  # of two equally near, the earlier
    assert taken(1.0) == [(0.0, 1), (1.0, 1)]


def test_a_clock_never_runs_backwards() -> None:
    clock = Clock(0.1)
    assert [round(clock(t), 3) for t in (5.0, 5.1, 5.3, 5.2, None, 5.5)] == [
        0,
        0.1,
        0.3,
        0.3,
        0.4,
        0.5,
    ]
    assert round(clock(1.0), 3) == 0.6  # the stamps start again
    assert round(clock(1.1), 3) == 0.7
    assert clock(1e9) == pytest.approx(60.7)  # a frame is shown for a minute at most


@pytest.mark.parametrize(
    ("region", "shape", "expected"),
    [
        ("center", (64, 64, 3), (480, 480, 80, 0)),
        ("center", (32, 96, 3), (640, 213, 0, 133)),
        ("none", (64, 64, 3), (640, 480, 0, 0)),
        ((100, 50, 540, 430), (64, 64, 3), (100, 50, 540, 430)),
    ],
)
def test_region(
    region: Any, shape: tuple[int, int, int], expected: tuple[int, ...]
) -> None:
    assert FrameFormat(8.0, shape, region).crop(640, 480) == expected


def test_resize_and_region_by_name(tmp_path: Path) -> None:
    pixels = noise(16, 24, 40, 3)
    path = write_video(tmp_path / "a.mkv", pixels)
    exact = read(path, resize="10x6", region="10x6+3+8")
    assert exact.frame == (6, 10, 3)
    assert (exact.values[0].reshape(16, 6, 10, 3) == pixels[:, 8:14, 3:13]).all()
    middle = read(path, resize=24).values[0].reshape(16, 24, 24, 3)
    assert (middle == pixels[:, :, 8:32]).all()
    squeezed = (
        read(path, resize="20x12", region="none")
        .values[0]
        .reshape(16, 12, 20, 3)
        .astype(float)
    )
    means = pixels.reshape(16, 12, 2, 20, 2, 3).mean((2, 4))
    assert abs(squeezed - means).max() < 3  # of 255, over the area of a pixel


@pytest.mark.parametrize(
    "form", ["yuv420p", "yuv420p10le", "yuv422p12le", "yuv444p16le", "gbrp10le", "bgra"]
)
def test_colors_of_every_depth(tmp_path: Path, form: str) -> None:
    pixels = np.broadcast_to(
        np.array([200, 100, 50], np.uint8), (16, 30, 44, 3)
    ).copy()  # cut at an odd place: 7
    found = read(write_video(tmp_path / "a.mkv", pixels, form=form))
    assert abs(found.values[0].reshape(-1, 3).astype(int) - [200, 100, 50]).max() <= 2


def test_gray_stays_gray(tmp_path: Path) -> None:
    write_video(tmp_path / "c" / "a.mkv", ramp(16)[..., 0], form="gray")
    found = read(tmp_path / "c")
    assert found.frame == (64, 64, 1)
    assert levels(found) == list(range(16))
    write_video(tmp_path / "c" / "b.mkv", ramp(16))
    assert read(tmp_path / "c").frame == (
        64,
        64,
        3,
    )  # one in color: all have three channels


def turned(path: Path, degrees: int) -> None:
    """Write a rotation into the header of an .mp4 file, as telephones do."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40  # the matrix of the track
    cos, sin = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    data[place : place + 36] = struct.pack(
        ">9i", cos << 16, sin << 16, 0, -sin << 16, cos << 16, 0, 0, 0, 1 << 30
    )
    path.write_bytes(data)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_video_is_put_upright(tmp_path: Path, degrees: int) -> None:
    pixels = np.zeros((16, 32, 64, 3), np.uint8)
    pixels[:, :16, :32] = 255  # the upper left quarter
    path = write_video(tmp_path / "a.mp4", pixels, codec="mpeg4", form="yuv420p")
    turned(path, degrees)
    upright = read(path, resize="2x4" if degrees != 180 else "4x2", region="none")
    assert upright.frame is not None
    shown = upright.values[0][3].reshape(upright.frame).mean(-1) > 128
    assert (
        shown == np.rot90(pixels[0, ::16, ::16, 0] > 128, -degrees // 90)
    ).all()  # clockwise


def set_matrix(path: Path, a: int, b: int, c: int, d: int) -> None:
    """Write a display matrix into the header of an .mp4 file."""
    data = bytearray(path.read_bytes())
    place = data.index(b"tkhd") + 4 + 40
    entries = (a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    data[place : place + 36] = struct.pack(">9i", *entries)
    path.write_bytes(data)


def shown_as(picture: np.ndarray, a: int, b: int, c: int, d: int) -> np.ndarray:
    """Where the matrix puts each pixel: (x, y) is shown at (a x + c y, b x + d y)."""
    rows, columns = picture.shape
    places = {
        (a * x + c * y, b * x + d * y): picture[y, x]
        for y in range(rows)
        for x in range(columns)
    }
    xs, ys = (sorted({place[axis] for place in places}) for axis in (0, 1))
    return np.array([[places[x, y] for x in xs] for y in ys])


@pytest.mark.parametrize(
    "matrix",
    [
        (1, 0, 0, 1),
        (-1, 0, 0, 1),
        (1, 0, 0, -1),
        (-1, 0, 0, -1),
        (0, 1, 1, 0),
        (0, -1, 1, 0),
        (0, 1, -1, 0),
        (0, -1, -1, 0),
    ],
)
def test_the_display_matrix_rotates_and_mirrors(
    tmp_path: Path, matrix: tuple[int, int, int, int]
) -> None:
    # All eight orientations of these pixels differ.
    picture = np.array([[255, 255, 0, 255], [255, 0, 0, 0]], np.uint8)
    frame = picture.repeat(16, 0).repeat(16, 1)
    pixels = np.repeat(frame[None, :, :, None], 4, 0).repeat(3, 3)
    path = write_video(tmp_path / "a.mp4", pixels, codec="mpeg4", form="yuv420p")
    set_matrix(path, *matrix)
    expected = shown_as(picture, *matrix)
    height, width = expected.shape
    found = read(path, resize=f"{width}x{height}", region="none")
    shown = found.values[0][1].reshape(found.frame).mean(-1) > 128
    np.testing.assert_array_equal(shown, expected > 128)


def write_jpeg(path: Path, pixels: np.ndarray, orientation: int) -> Path:
    """Write a .jpg file whose EXIF data says how it is to be turned, as cameras do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    coder: Any = av.CodecContext.create("mjpeg", "w")
    coder.height, coder.width = pixels.shape
    coder.pix_fmt, coder.time_base = "yuvj420p", Fraction(1)
    frame = av.VideoFrame.from_ndarray(pixels.repeat(3).reshape(*pixels.shape, 3))
    (packet,) = coder.encode(frame.reformat(format="yuvj420p"))
    tag = struct.pack(">HHIHH", 0x0112, 3, 1, orientation, 0)
    exif = b"Exif\0\0MM\0*" + struct.pack(">IH", 8, 1) + tag + bytes(4)
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    data = bytes(packet)
    path.write_bytes(data[:2] + segment + data[2:])
    return path


EXIF = {
    1: (1, 0, 0, 1),
    2: (-1, 0, 0, 1),
    3: (-1, 0, 0, -1),
    4: (1, 0, 0, -1),
    5: (0, 1, 1, 0),
    6: (0, 1, -1, 0),
    7: (0, -1, -1, 0),
    8: (0, -1, 1, 0),
}
"""Orientation of EXIF -> the matrix that shows it upright."""


@pytest.mark.parametrize("orientation", EXIF)
def test_photographs_are_shown_as_their_exif_data_says(
    tmp_path: Path, orientation: int
) -> None:
    picture = np.array([[255, 255, 0, 255], [255, 0, 0, 0]], np.uint8)
    pixels = picture.repeat(16, 0).repeat(16, 1)
    for name in ("a.jpg", "b.jpg"):
        write_jpeg(tmp_path / name, pixels, orientation)
    expected = shown_as(picture, *EXIF[orientation])
    height, width = expected.shape
    found = read(tmp_path, resize=f"{width}x{height}", region="none")
    shown = found.values[0][1].reshape(found.frame).mean(-1) > 128
    np.testing.assert_array_equal(shown, expected > 128)


def test_orientations_differ_and_other_angles_are_rotated() -> None:
    def upright(*entries: float) -> Upright:
        a, b, c, d = (round(x * 65536) for x in entries)
        return Upright.from_matrix(
            np.int32([a, b, 0, c, d, 0, 0, 0, 1 << 30]).tobytes()
        )

    assert Upright.from_matrix(None) == upright(1, 0, 0, 1) == Upright()
    assert upright(0.9999, 0.01, -0.01, 0.9999) == Upright()
    (step,) = upright(0.5**0.5, 0.5**0.5, -(0.5**0.5), 0.5**0.5).filters
    assert step.startswith("rotate=0.785")


def test_a_transport_stream_is_a_video_and_a_text_of_that_name_is_not(
    tmp_path: Path,
) -> None:
    path = write_video(
        tmp_path / "a.mpg", ramp(20), fps=25, codec="mpeg2video", form="yuv420p"
    )
    for name in ("b.ts", "c.MTS", "d.m2ts"):
        with (
            av.open(str(path)) as source,
            av.open(str(tmp_path / name), "w", format="mpegts") as target,
        ):
            stream = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    target.mux(packet)
        found = read(tmp_path / name)
        assert found.frame == (64, 64, 3)
        assert (np.diff(found.values[0].mean(axis=1)[:5].astype(float)) > 0).all()
    series = tmp_path / "s.ts"
    series.write_text("@classLabel true a b\n@data\n1,2,3:a\n3,2,1:b\n", "utf-8")
    assert read(series).labels.tolist() == ["a", "b"]


def test_splits_are_named_and_a_single_outer_folder_is_passed(tmp_path: Path) -> None:
    for name in ("train/walk/a.mkv", "train/run/b.mkv"):
        write_video(tmp_path / name, ramp(8))
    found = read(tmp_path)
    assert found.labels.tolist() == ["run", "walk"]
    write_video(tmp_path / "test" / "walk" / "c.mkv", ramp(8))
    with pytest.raises(ValueError, match="splits test, train"):
        read(tmp_path)
    (tmp_path / "test").rename(tmp_path / "other")
    with pytest.raises(ValueError, match="inner folders"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("name", "codec", "form"),
    [
        ("a.mp4", "mpeg4", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.mov", "mjpeg", "yuvj420p"),
        ("a.mpg", "mpeg2video", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
        ("a.wmv", "wmv2", "yuv420p"),
        ("a.flv", "flv", "yuv420p"),
        ("a.3gp", "mpeg4", "yuv420p"),
        ("a.y4m", "wrapped_avframe", "yuv420p"),
        ("A.MKV", "ffv1", "bgr0"),
        ("odd %03d: name?.m4v", "mpeg4", "yuv420p"),
    ],
)
def test_kinds_of_files(tmp_path: Path, name: str, codec: str, form: str) -> None:
    found = read(write_video(tmp_path / name, ramp(50), fps=25, codec=codec, form=form))
    assert found.ids == [f"{name}@0"]
    assert (
        np.diff(found.values[0].mean(axis=1)[:10].astype(float)) > STEP
    ).all()  # brighter by three steps each time


# Folders and arrays.


def test_a_folder_of_videos_with_labels(tmp_path: Path) -> None:
    for name, size in {"walk/b10.mkv": 32, "walk/b2.mkv": 40, "run/a.avi": 48}.items():
        write_video(tmp_path / name, ramp(16, size, size))
    (tmp_path / ".hidden").write_text("x")
    found = read(tmp_path)
    assert found.ids == ["run/a.avi@0", "walk/b2.mkv@0", "walk/b10.mkv@0"]
    assert found.labels is not None
    assert found.labels.tolist() == ["run", "walk", "walk"]
    assert {x.shape for x in found.values} == {(16, 64 * 64 * 3)}
    assert "labels are the names of the inner folders" in found.notes


def test_image_files_are_a_video_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for k, pixels in enumerate(ramp(12)):
        write_image(tmp_path / "clip" / f"frame{k}.png", pixels)
    found = read(tmp_path / "clip")
    assert found.ids == ["clip@0"]
    assert levels(found) == list(range(12))
    assert found.times is None
    assert any(
        "fps is not used" in note for note in read(tmp_path / "clip", fps=2).notes
    )


def test_folders_of_folders_of_images(tmp_path: Path) -> None:
    for name in ("up/one", "up/two", "down/three"):
        for k in range(3):
            write_image(tmp_path / name / f"{k}.png", ramp(3)[k, ..., 0])
    plain = read(tmp_path / "up")
    assert (plain.ids, plain.labels, plain.frame) == (
        ["one@0", "two@0"],
        None,
        (64, 64, 1),
    )
    labelled = read(tmp_path)
    assert labelled.ids == ["down/three@0", "up/one@0", "up/two@0"]
    assert labelled.labels is not None
    assert labelled.labels.tolist() == ["down", "up", "up"]


def test_arrays_of_frames(tmp_path: Path) -> None:
    clips = noise(3, 20, 8, 10, 3)
    np.savez(tmp_path / "a.npz", X=clips, y=["a", "b", "a"])
    found = read(tmp_path / "a.npz")
    assert found.frame == (8, 10, 3)
    assert found.labels is not None
    assert [len(x) for x in found.values] == [20, 20, 20]  # clips already
    assert (found.values[1] == clips[1].reshape(20, -1)).all()
    assert found.values[1].dtype == np.uint8
    gray = read(clips[..., 0])
    assert gray.frame == (8, 10, 1)
    one = read(clips[0])
    assert (one.frame, len(one)) == ((8, 10, 3), 1)
    assert one.lengths[0] == 16  # one video (time, rows, columns, channels) is cut
    assert read(clips[0, ..., 0], layout="video").frame == (8, 10, 1)
    assert (
        read(clips[0, :, :, :, 0].astype(float), layout="video").values[0].dtype
        == np.uint8
    )


def test_the_range_of_frames_is_understood() -> None:
    clips = noise(2, 6, 8, 10, 3)
    bright = read(clips / 255)
    assert bright.values[0].dtype == np.float32
    assert any("brightness, 0..1" in note for note in bright.notes)
    whole = read(clips.astype(np.float64))
    assert whole.values[0].dtype == np.uint8
    assert np.allclose(whole.batch([0, 1]), bright.batch([0, 1]), atol=1e-6)
    other = read(clips.astype(np.float32) - 300)
    assert other.values[0].min() < -1
    assert any("as they are" in note for note in other.notes)
    scene = read(np.zeros((4, 10, 5, 2)) + np.arange(10)[:, None, None])
    assert scene.frame == (1, 5, 2)
    with pytest.raises(ValueError, match="expected clips"):
        read(np.zeros((4, 4)), layout="video")


def test_a_large_array_of_bytes_is_not_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("temporal_jepa.data.formats.arrays.MAPPED_BYTES", 1000)
    np.save(tmp_path / "a.npy", noise(3, 8, 16, 16, 3))
    found = read(tmp_path / "a.npy")
    base = found.values[0]
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base, np.memmap)


# Memory and repetition.


def test_frames_lie_in_a_map_that_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    clips = read(
        write_video(tmp_path / "a.mkv", noise(40, 32, 48, 3)), resize=16, window=4
    )
    assert not list((tmp_path / "temporary").iterdir())
    base = clips.values[0]
    parts = clips.windows(2).select([3, 0]).values
    while isinstance(base.base, np.ndarray):
        base = base.base
    assert isinstance(base, np.memmap)
    assert all(
        np.shares_memory(part, clips.values[row])
        for part, row in zip(parts, (1, 0), strict=True)
    )
    assert not clips.values[0].flags.writeable
    before = clips.values[0].copy()
    gc.collect()
    assert (clips.values[0] == before).all()


def test_no_consumer_copies_a_whole_set_of_videos_to_float(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import tracemalloc

    frame = (32, 32, 3)
    values: list[Any] = list(
        noise(600, 8, 32 * 32 * 3)
    )  # 15 MB of bytes, 59 MB as float32
    clips = Sequences(values, frame=frame)
    monkeypatch.setattr("temporal_jepa.training.initial.STATISTICS_VALUES", 2**18)
    tracemalloc.start()
    clips.windows(4).select(np.arange(100)).check_observed()
    clips.summary()
    clips.constant()
    runs.facts(clips)
    channel_statistics(clips)
    clips.batch(range(8))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23, f"{peak / 2**20:.0f} MB"


def test_the_same_video_gives_the_same_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for k in range(3):
        write_video(
            tmp_path / "c" / f"{k}.mp4",
            noise(40, 64, 64, 3),
            24,
            codec="mpeg4",
            form="yuv420p",
        )
    once = read(tmp_path / "c", resize=16)
    monkeypatch.setattr(video, "CORES", 1)
    again = read(tmp_path / "c", resize=16)
    assert all((a == b).all() for a, b in zip(once.values, again.values, strict=True))
    assert runs.facts(once) == runs.facts(again)
    assert once.notes == again.notes


def test_frames_are_averaged_over_a_grid() -> None:
    clips = Sequences([*noise(2, 5, 16 * 24 * 3)], frame=(16, 24, 3))  # type: ignore[list-item]
    small = pool_frames(clips)
    assert small.frame == (8, 8, 3)
    expected = clips.values[1].reshape(5, 8, 2, 8, 3, 3).mean((2, 4)) / 255
    assert np.allclose(small.values[1].reshape(5, 8, 8, 3), expected, atol=1e-6)
    plain = Sequences([np.zeros((4, 2), np.float32)])
    assert pool_frames(plain) is plain


# What is refused, and what is read in part.


def spoil_header(path: Path) -> None:
    path.write_bytes(np.random.default_rng(0).bytes(20_000))


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("no video\n" * 500)


def cut_in_half(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (empty, "the file is empty"),
        (text, "FFmpeg cannot read it as a video"),
        (spoil_header, "FFmpeg cannot read it as a video"),
        (cut_in_half, "is it damaged or cut short?"),
        (sound, "it contains sound but no frames"),
    ],
)
def test_a_file_that_is_not_a_video_is_refused(
    tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    path = write_video(
        tmp_path / "c" / "bad.mp4", noise(30, 64, 64, 3), codec="mpeg4", form="yuv420p"
    )
    spoil(path)
    with pytest.raises(ValueError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ")
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "c")
    write_video(tmp_path / "c" / "good.mkv", ramp(16))
    found = read(tmp_path / "c")
    assert found.ids == ["good.mkv@0"]
    assert any(note.startswith("damaged: ") and message in note for note in found.notes)
    assert "1 of 2 videos are left out" in found.notes


def test_what_decodes_of_a_video_cut_short_is_kept(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", noise(48, 32, 32, 3))
    whole = read(path, window=1)
    cut_in_half(path)
    part = read(path, window=1)
    assert 20 <= len(part) <= 25
    assert all((a == b).all() for a, b in zip(part.values, whole.values, strict=False))
    assert any(
        "s are missing after" in note and "is it cut short?" in note
        for note in part.notes
    )


def test_damage_in_the_middle_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(
        tmp_path / "a.avi", noise(60, 64, 64, 3), codec="mpeg4", form="yuv420p"
    )
    data = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(len(data) // 4, len(data) * 3 // 4, 300):
        data[place] = rng.integers(256)
    path.write_bytes(data)
    found = [read(path) for _ in range(4)]
    monkeypatch.setattr(video, "CORES", 1)
    found.append(read(path))
    assert any("x damaged frame" in note for note in found[0].notes)
    assert len({runs.facts(sequences)["digest"] for sequences in found}) == 1


def test_a_damaged_image_is_left_out(tmp_path: Path) -> None:
    for k, pixels in enumerate(ramp(6)):
        write_image(tmp_path / "c" / f"{k}.png", pixels)
    empty(tmp_path / "c" / "0.png")
    text(tmp_path / "c" / "3.png")
    found = read(tmp_path / "c")
    assert levels(found) == [1, 2, 4, 5]
    assert any(
        "0.png: the file is empty" in note and "3.png: " in note for note in found.notes
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resize": "0"}, "resize='0': expected pixels, such as 64"),
        ({"resize": "big"}, "96x64"),
        ({"fps": 0}, "fps must be a number above 0"),
        ({"fps": float("nan")}, "fps must be"),
        ({"region": "1x5+0+0"}, "region='1x5"),
        ({"region": "left"}, "region='left': expected none, center or WIDTHxHEIGHT"),
        ({"region": "40x40+0+0"}, r"region=40x40\+0\+0 .* does not fit .* 48x32"),
        ({"id": "track"}, "do not apply to video; leave out id"),
        ({"layout": "wide"}, "do not apply to video; leave out layout"),
        ({"stride": 3}, "stride=3 needs window="),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    path = write_video(tmp_path / "a.mkv", ramp(20))
    with pytest.raises(ValueError, match=message):
        read(path, **options)


def test_options_of_video_are_for_video() -> None:
    with pytest.raises(ValueError, match=r"options of video .* fps=, resize="):
        read(np.zeros((4, 100)), fps=3, resize=32)


def test_links_that_lead_back_are_not_followed(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", ramp(16))
    for name in (
        "one",
        "two",
        "three",
    ):  # were they followed, there would be 3 ** 40 files
        (tmp_path / name).symlink_to(tmp_path, target_is_directory=True)
    assert read(tmp_path).ids == ["a.mkv@0"]


def test_folders_that_mix(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", ramp(16))
    write_video(tmp_path / "z.mkv", ramp(16))
    write_image(tmp_path / "b.png", ramp(1)[0])
    with pytest.raises(ValueError, match=r"of one kind .* found b\.png"):
        read(tmp_path)
    (tmp_path / "b.png").unlink()
    write_video(tmp_path / "walk" / "c.mkv", ramp(16))
    with pytest.raises(
        ValueError, match="all of them in inner folders that are labels, got some in"
    ):
        read(tmp_path)


def test_an_image_among_tables_makes_no_video(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.csv").write_text("v\n1\n2\n")
    assert len(read(tmp_path)) == 2
    write_image(tmp_path / "plot.png", ramp(1)[0])
    with pytest.raises(ValueError, match=r"expected files of one type .* got plot.png"):
        read(tmp_path)


def test_a_full_disk_is_noticed_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_video(tmp_path / "a.mkv", ramp(16))
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda place: usage)
    with pytest.raises(
        ValueError,
        match=r"frames need .* smaller resize= or fps=",
    ):
        read(path)


def test_without_pyav(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4", ramp(16), codec="mpeg4", form="yuv420p")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(
        ModuleNotFoundError,
        match=r"reading .mp4 needs PyAV: pip install 'temporal-jepa\[video\]'",
    ):
        read(path)


def test_one_video_that_fails_stops_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for k in range(3):
        write_video(tmp_path / f"{k}.mkv", ramp(16, 32 + 16 * (k == 1)))
    with pytest.raises(ValueError, match=r"0.mkv: region=48x48"):
        read(tmp_path, region="48x48+0+0")
    asked: list[str] = []

    def interrupted(*given: Any) -> Any:
        asked.append("once")
        raise KeyboardInterrupt

    monkeypatch.setattr(video, "CORES", 1)
    monkeypatch.setattr(video, "decode", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read(tmp_path)
    assert asked == ["once"]


def test_a_video_of_changing_size(tmp_path: Path) -> None:
    both = b""
    for size in (32, 64):
        path = write_video(
            tmp_path / f"{size}.mpg",
            ramp(64, size, size),
            25,
            codec="mpeg2video",
            form="yuv420p",
        )
        both += path.read_bytes()
    (tmp_path / "both.mpg").write_bytes(both)
    found = read(tmp_path / "both.mpg", fps=25, window=128)
    assert found.values[0].shape == (128, 64 * 64 * 3)
    (source,) = find_videos(tmp_path / "both.mpg")
    assert read_info(source).frames == 128


def test_a_run_on_videos_reads_later_videos_in_its_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("walk/a.mkv", "run/b.mkv"):
        write_video(tmp_path / "clips" / name, noise(48, 24, 24, 3))
    other = write_video(tmp_path / "other.mkv", noise(16, 24, 24, 3))
    tiny = [
        "--steps",
        "2",
        "--embed-dim",
        "16",
        "--predictor-embed-dim",
        "8",
        "--num-heads",
        "2",
        "--encoder-depth",
        "1",
        "--predictor-depth",
        "1",
    ]
    folder = str(tmp_path / "clips")
    run = str(tmp_path / "run")
    assert (
        cli.main(["pretrain", "--data", folder, "--resize", "16", "--out", run, *tiny])
        == 0
    )
    assert f"{folder}: decoding its videos, once" in capsys.readouterr().out
    stored = json.loads((tmp_path / "run" / "config.json").read_text("utf-8"))
    assert stored["data"]["options"] == {
        "resize": "16",
        "fps": 8.0,
    }  # so that later videos are read at this rate
    assert stored["data"]["channels"] == []  # not the names of 768 pixels
    assert stored["model"]["frame"] == [16, 16, 3]
    assert cli.main(["embed", run, str(other)]) == 0
    assert cli.main(["inspect", folder, "--fps", "4"]) == 0
    shown = capsys.readouterr().out
    assert "embeddings.npz: 1 sequences" in shown
    assert "64 x 64 x 3 (rows, columns, channels)" in shown
    assert (
        f"next: temporal-jepa pretrain --data {folder} --fps=4.0 --out runs/clips"
        in shown
    )


def test_pytorch_axes_are_refused(tmp_path: Path) -> None:
    clips = np.zeros((2, 4, 3, 12, 16), np.uint8)
    np.save(tmp_path / "clips.npy", clips)
    with pytest.raises(ValueError, match=r"transpose\(0, 1, 3, 4, 2\)"):
        read(tmp_path / "clips.npy")
    with pytest.raises(ValueError, match=r"transpose\(0, 1, 3, 4, 2\)"):
        Sequences.from_arrays(clips)
