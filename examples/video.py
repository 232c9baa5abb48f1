"""Video: handwritten digits that move over a black background, from an array to a report.

python examples/video.py [FOLDER]

The digits are real, scikit-learn's 8 x 8 (Alpaydin and Kaynak, 1998); train and test clips show
different ones. For your own data, `read("clips/")` reads a folder of video files, and
`read("video.mp4")` cuts a long one into clips.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits

from temporal_jepa import PretrainConfig, Sequences, pretrain
from temporal_jepa.data.moving_digits import generate_clips
from temporal_jepa.evaluation import score
from temporal_jepa.report.report import write_report

DIRECTIONS = np.array(
    [
        "east",
        "south-east",
        "south",
        "south-west",
        "west",
        "north-west",
        "north",
        "north-east",
    ]
)


def clips(part: str, n: int) -> Sequences:
    """Clips of 8 frames of 24 x 24 pixels; the label is the direction of motion."""
    digits = load_digits().images / 16
    digits = digits[:1198] if part == "train" else digits[1198:]
    generated = generate_clips(digits, n, seed=len(part), frames=8, size=24)
    # uint8 (n, time, rows, columns)
    return Sequences.from_arrays(generated.videos, DIRECTIONS[generated.direction])


def main(out: str | Path = "runs/example-video", steps: int = 150) -> dict[str, Any]:
    """Pretrain without labels, then score the embedding on unseen clips."""
    train = clips("train", 400)
    test = clips("test", 200)
    run = pretrain(
        train, out, PretrainConfig(steps=steps, device="cpu"), overwrite=True
    )

    result = score(run, train, test)
    for row in result["scores"]:
        print(f"ridge on {row['features']:24} {row['accuracy']:.3f}")
    print(write_report(run, sequences=train, overwrite=True))
    return result


if __name__ == "__main__":
    main(*sys.argv[1:])
