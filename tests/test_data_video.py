"""Video files, folders of pictures and arrays of frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from temporal_jepa.data import Sequences, read

av = pytest.importorskip("av")

Pictures = npt.NDArray[np.uint8]
GRAY_STEP = 8  # picture k of `ramp` has this times k as its brightness: what was taken can be read off


def ramp(n: int, height: int = 32, width: int = 48) -> Pictures:
    """Pictures of one brightness each, ``(n, height, width, 3)``."""
    levels = (np.arange(n) * GRAY_STEP % 256).astype(np.uint8)
    return np.broadcast_to(levels[:, None, None, None], (n, height, width, 3)).copy()


def film(
    path: Path,
    pictures: Pictures,
    fps: int = 8,
    stamps: list[int] | None = None,
    codec: str = "ffv1",
    form: str = "bgr0",
) -> Path:
    """A lossless film of RGB or gray pictures; stamps: when each is shown, in thousandths of a second."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=fps)
        stream.height, stream.width = pictures.shape[1:3]
        stream.pix_fmt = form
        stream.codec_context.time_base = Fraction(1, 1000 if stamps else fps)
        for k, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, "rgb24" if picture.ndim == 3 else "gray")
            frame.pts = stamps[k] if stamps else k
            frame.time_base = stream.codec_context.time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def levels(sequences: Sequences, i: int = 0) -> list[int]:
    """Which picture of `ramp` each frame shows."""
    return [round(float(x.mean()) / GRAY_STEP) for x in sequences.values[i]]


def test_a_film_is_clips_of_sixteen_frames_in_bytes(tmp_path: Path) -> None:
    found = read(film(tmp_path / "a.mkv", ramp(30)))
    assert found.frame == (64, 64, 3)
    assert found.ids == ["a.mkv@0"]
    assert found.values[0].shape == (16, 64 * 64 * 3)
    assert found.values[0].dtype == np.uint8
    assert levels(found) == list(range(16))
    assert found.times is not None
    assert found.times[0][:3].tolist() == [0.0, 0.125, 0.25]
    assert found.batch([0]).max() == pytest.approx(15 * GRAY_STEP / 255)
    assert "1 film, 30 pictures, 48x32, ffv1, 8 a second, 3.8 s" in found.notes
