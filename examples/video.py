"""Video: handwritten digits that drift over a black picture, from an array of films to vectors, scores and a report.

python examples/video.py [FOLDER]

The digits are real, scikit-learn's 8 x 8 (Alpaydin and Kaynak, 1998); train and test films show different ones. Of your
own, `read("clips/")` reads a folder of video files, and `read("film.mp4")` cuts a long one into clips.
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits

from temporal_jepa import PretrainConfig, Sequences, from_pretrained, pretrain
from temporal_jepa.data.moving_digits import generate_clips
from temporal_jepa.embed import embed_sequences
from temporal_jepa.evaluation.neighbors import Index
from temporal_jepa.evaluation.probes import probe
from temporal_jepa.model.jepa import random_init_like
from temporal_jepa.report.report import write_report

COURSES = np.array(
    ["east", "south-east", "south", "south-west", "west", "north-west", "north", "north-east"]
)


def films(part: str, n: int) -> Sequences:
    """Films of 8 frames of 24 x 24 pixels, labelled by where the digit goes."""
    digits = load_digits().images / 16
    clips = generate_clips(
        digits[:1198] if part == "train" else digits[1198:], n, seed=len(part), frames=8, size=24
    )
    return Sequences.from_arrays(
        clips.films, COURSES[clips.direction]
    )  # uint8 (n, time, rows, columns)


def main(out: str | Path = "runs/example-video", steps: int = 150) -> dict[str, float]:
    """Learn without labels, then see what the vectors know; accuracies on unseen films."""
    train = films("train", 400)
    test = films("test", 200)
    run = pretrain(train, out, PretrainConfig(steps=steps, device="cpu"), overwrite=True)
    model = from_pretrained(run)

    near, distance = Index(embed_sequences(model, train)).nearest(embed_sequences(model, test), k=1)
    print(
        f"test film 0 is most like train film {near[0, 0]}, at a distance of {distance[0, 0]:.1f}"
    )

    scores = {}
    for name, encoder in (("untrained", random_init_like(model, seed=0)), ("pretrained", model)):
        Z = [embed_sequences(encoder, part) for part in (train, test)]
        scores[name] = probe(Z[0], train.labels, Z[1], test.labels)
        print(f"ridge on frozen vectors, {name} encoder: {scores[name]:.3f}")
    print(write_report(run, sequences=train, overwrite=True))
    return scores


if __name__ == "__main__":
    main(*sys.argv[1:])
