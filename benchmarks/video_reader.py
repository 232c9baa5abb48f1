"""How much memory and time does a long video take, and how fast are its clips fed to training?

python benchmarks/video_reader.py [--hours 2] [--video FILE] [--workers]

Makes a video of drifting noise (24 frames per second, 160 x 120, H.264, a key frame every 250), or
takes --video. A fresh process reads it with the defaults and draws every clip twice in random
order, in batches of 32, from the memory map as training does. For comparison it draws 100 clips by
decoding each at its access (open, seek, decode, scale). Memory is the process's own (RssAnon,
polled) and with the pages of the map (VmHWM), which the system may take back.

--workers makes 12 videos of 100 seconds instead and reads them with one thread, with two (what the
reader does on two cores) and with two processes of one thread each, started beforehand; rounds are
interleaved.
"""

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import av
import numpy as np

RATE = 24
HEIGHT = 120
WIDTH = 160


def make(path: Path, hours: float) -> None:
    """Noise that drifts over the frame, another one every ten seconds."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(
            "libx264", rate=RATE, options={"preset": "ultrafast", "g": "250"}
        )
        stream.height = HEIGHT
        stream.width = WIDTH
        stream.pix_fmt = "yuv420p"
        for k in range(round(hours * 3600 * RATE)):
            if k % 240 == 0:
                coarse = rng.integers(
                    0, 256, (HEIGHT // 8, WIDTH // 8 + 60, 3), dtype=np.uint8
                )
                scene = coarse.repeat(8, axis=0).repeat(8, axis=1)
            left = 2 * (k % 240)
            pixels = np.ascontiguousarray(scene[:, left : left + WIDTH])
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
        container.mux(stream.encode())


def memory(name: str) -> float:
    """A line of /proc/self/status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def accessed(path: str, start: float, frames: int, fps: float) -> int:
    """Decode the clip that starts at `start` seconds, as a reader without a map would."""
    from temporal_jepa.data.ffmpeg import Clock, FrameFormat, _Resizer, resample

    resize = _Resizer(FrameFormat(fps, (64, 64, 3), "center"), Path(path), [])
    count = 0
    with av.open(path) as container:
        stream = container.streams.video[0]
        container.seek(int(start / stream.time_base), stream=stream)
        wanted = (
            frame for frame in container.decode(stream) if frame.time >= start - 1e-6
        )
        for frame, repeats in resample(wanted, Clock(1 / RATE), fps):
            resize(frame)
            count += repeats
            if count >= frames:
                break
    return count


def measure(path: str) -> dict[str, float]:
    """In a fresh process: read, feed, compare."""
    from temporal_jepa.data import read

    peak = [memory("RssAnon")]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], memory("RssAnon"))

    threading.Thread(target=watch, daemon=True).start()
    found = {"before, own MB": peak[0]}
    began = time.perf_counter()
    cpu = time.process_time()
    clips = read(path)
    found |= {
        "read, seconds": time.perf_counter() - began,
        "read, CPU seconds": time.process_time() - cpu,
        "read, peak own MB": peak[0],
        "read, peak MB with mapped pages": memory("VmHWM"),
        "map, MB": sum(x.nbytes for x in clips.values) / 1e6,
        "clips": len(clips),
    }
    order = np.concatenate(
        [np.random.default_rng(k).permutation(len(clips)) for k in range(2)]
    )
    began = time.perf_counter()
    for rows in np.array_split(order, max(1, len(order) // 32)):
        clips.batch(rows)
    found |= {
        "fed, clips/s": len(order) / (time.perf_counter() - began),
        "fed, peak own MB": peak[0],
        "fed, peak MB with mapped pages": memory("VmHWM"),
    }
    began = time.perf_counter()
    for row in order[:100]:
        accessed(path, 2.0 * row, 16, 8.0)
    done.set()
    return found | {
        "decoded at each access, clips/s": len(order[:100])
        / (time.perf_counter() - began)
    }


def read_alone(paths: list[Path]) -> int:
    """Read videos one after the other on one thread."""
    from temporal_jepa.data import read, video

    video.CORES = 1
    return sum(len(read(path)) for path in paths)


def compare_workers(folder: Path, rounds: int = 7) -> None:
    """Threads beside processes."""
    from temporal_jepa.data import read, video

    for k in range(12):
        make(folder / f"{k}.mp4", 100 / 3600)
    videos = sorted(folder.iterdir())
    seconds = np.zeros((rounds, 3))
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(read_alone, [videos[:1], videos[1:2]]))
        for row in seconds:
            for place, cores in enumerate((1, 2)):
                video.CORES, began = cores, time.perf_counter()
                read(folder)
                row[place] = time.perf_counter() - began
            began = time.perf_counter()
            list(pool.map(read_alone, [videos[::2], videos[1::2]]))
            row[2] = time.perf_counter() - began
    print(
        "| workers | seconds, median | times as fast as one thread, median (quartiles) |",
        "|---|---|---|",
        sep="\n",
    )
    for name, column in zip(
        ("one thread", "two threads", "two processes"), seconds.T, strict=True
    ):
        low, middle, high = np.percentile(seconds[:, 0] / column, (25, 50, 75))
        print(
            f"| {name} | {np.median(column):.2f} | {middle:.2f} ({low:.2f}-{high:.2f}) |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--video", type=Path)
    parser.add_argument("--workers", action="store_true")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(measure(options.measure)))
        return
    with tempfile.TemporaryDirectory() as folder:
        if options.workers:
            compare_workers(Path(folder))
            return
        path = options.video or Path(folder, "video.mp4")
        if options.video is None:
            began = time.perf_counter()
            make(path, options.hours)
            print(
                f"video made in {time.perf_counter() - began:.0f} s, "
                f"{path.stat().st_size / 1e6:.0f} MB\n"
            )
        words = [sys.executable, __file__, "--measure", str(path)]
        found = json.loads(
            subprocess.run(words, check=True, capture_output=True, text=True).stdout
        )
    print(
        "| what | measured |",
        "|---|---|",
        *(f"| {name} | {value:.4g} |" for name, value in found.items()),
        sep="\n",
    )


if __name__ == "__main__":
    main()
