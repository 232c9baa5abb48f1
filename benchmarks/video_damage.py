"""Does a damaged video give the same frames at every reading, and never a crash?

python benchmarks/video_damage.py [--files 240] [--seed 0]

Makes a video of each of twelve kinds of file, changes up to 200 random bytes of each copy (of every
second one in the header too), cuts every fifth short, and reads it with one core, with two, and
with two again.
"""

import argparse
import faulthandler
import hashlib
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from temporal_jepa.data import read, video

KINDS = {
    "h264.mp4": ("libx264", "yuv420p"),
    "h264.m2ts": ("libx264", "yuv420p"),
    "deep.mp4": ("libx264", "yuv420p10le"),
    "vp9.webm": ("libvpx-vp9", "yuv420p"),
    "mpeg2.mpg": ("mpeg2video", "yuv420p"),
    "mpeg4.avi": ("mpeg4", "yuv420p"),
    "jpeg.mov": ("mjpeg", "yuvj420p"),
    "prores.mov": ("prores_ks", "yuv422p10le"),
    "animated.gif": ("gif", "rgb8"),
    "lossless.mkv": ("ffv1", "yuv420p"),
    "flash.flv": ("flv", "yuv420p"),
    "windows.wmv": ("wmv2", "yuv420p"),
}


def make(path: Path, codec: str, form: str) -> bytes:
    """120 frames of noise that drifts."""
    noise = np.random.default_rng(0).integers(0, 256, (96, 400, 3), dtype=np.uint8)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=24)
        stream.height = 96
        stream.width = 128
        stream.pix_fmt = form
        for k in range(120):
            frame = av.VideoFrame.from_ndarray(
                np.ascontiguousarray(noise[:, 2 * k : 2 * k + 128]), "rgb24"
            )
            frame.pts, frame.time_base = k, Fraction(1, 24)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path.read_bytes()


def damaged(data: bytes, k: int, rng: np.random.Generator) -> bytes:
    """A copy with changed bytes, perhaps cut short."""
    copy = bytearray(data)
    for place in rng.integers(
        0 if k % 2 else len(copy) // 10, len(copy), int(rng.integers(1, 200))
    ):
        copy[place] = int(rng.integers(256))
    return bytes(copy[: int(rng.integers(len(copy)))] if k % 5 == 0 else copy)


def outcome(path: Path, cores: int) -> str:
    """What a reading gave: the frames and notes, or the refusal."""
    video.CORES = cores
    try:
        found = read(path)
    except ValueError as error:
        return f"refused: {error}"
    digest = hashlib.sha256(b"".join(x.tobytes() for x in found.values))
    return f"{digest.hexdigest()} {found.notes}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=240)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    faulthandler.enable()
    rng = np.random.default_rng(options.seed)
    names = list(KINDS)
    counts = {"read": 0, "refused": 0, "differ": 0}
    longest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        videos = {name: make(Path(folder, name), *kind) for name, kind in KINDS.items()}
        for k in range(options.files):
            path = Path(folder, "damaged").with_suffix(
                Path(names[k % len(names)]).suffix
            )
            path.write_bytes(damaged(videos[names[k % len(names)]], k, rng))
            began = time.perf_counter()
            outcomes = [outcome(path, cores) for cores in (1, 2, 2)]
            longest = max(longest, time.perf_counter() - began)
            counts["refused" if outcomes[0].startswith("refused") else "read"] += 1
            counts["differ"] += len(set(outcomes)) > 1
    print(
        f"{counts['read']} read, {counts['refused']} refused, {counts['differ']} differ between "
        f"readings; the longest three readings took {longest:.1f} s"
    )


if __name__ == "__main__":
    main()
