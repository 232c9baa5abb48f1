"""Trajectories: where a wrist went, from a table of fixes to vectors, scores and maps. Needs aeon, for its data.

python examples/trajectories.py [FOLDER]

The fixes are dead reckoning: BasicMotions holds real accelerations of a smart watch (walking, resting, running,
badminton; ten a second), which are integrated twice here. A table of longitudes and latitudes reads the same way.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from series import data_folder

from temporal_jepa import PretrainConfig, from_pretrained, pretrain, read
from temporal_jepa.embed import embed_sequences
from temporal_jepa.evaluation.neighbors import Index
from temporal_jepa.evaluation.probes import probe
from temporal_jepa.model.jepa import random_init_like
from temporal_jepa.report.report import write_report


def fixes(part: str) -> pd.DataFrame:
    """A row a fix: track, time in seconds, x and y in metres, kind."""
    recorded = read(data_folder() / f"BasicMotions/BasicMotions_{part}.ts")
    tables = []
    for name, x, kind in zip(recorded.ids, recorded.values, recorded.labels, strict=True):
        speed = 0.1 * np.cumsum(x[:, :2] - x[:, :2].mean(0), axis=0)
        place = 0.1 * np.cumsum(speed - speed.mean(0), axis=0)
        time = 0.1 * np.arange(len(x))
        tables.append(
            pd.DataFrame(
                {"track": name, "time": time, "x": place[:, 0], "y": place[:, 1], "kind": kind}
            )
        )
    return pd.concat(tables)


def main(out: str | Path = "runs/example-trajectories", steps: int = 150) -> dict[str, float]:
    """Learn without labels, then see what the vectors know; accuracies on unseen tracks."""
    train, test = (
        read(fixes(part), features="dx,dy,speed", label="kind") for part in ("TRAIN", "TEST")
    )
    run = pretrain(train, out, PretrainConfig(steps=steps, device="cpu"), overwrite=True)
    model = from_pretrained(run)

    near, distance = Index(embed_sequences(model, train)).nearest(embed_sequences(model, test), k=1)
    alike = train.labels[near[:, 0]] == test.labels
    print(
        f"test track 0 is most like train track {near[0, 0]}, at a distance of {distance[0, 0]:.1f}"
    )
    print(f"the nearest train track is of the same kind for {alike.mean():.0%} of the test tracks")

    scores = {}
    for name, encoder in (("untrained", random_init_like(model, seed=0)), ("pretrained", model)):
        Z = [embed_sequences(encoder, part) for part in (train, test)]
        scores[name] = probe(Z[0], train.labels, Z[1], test.labels)
        print(f"ridge on frozen vectors, {name} encoder: {scores[name]:.3f}")
    print(write_report(run, sequences=train, overwrite=True))
    return scores


if __name__ == "__main__":
    main(*sys.argv[1:])
