"""Trajectories: the path of a wrist, from a table of positions to embeddings, scores and maps.

python examples/trajectories.py [FOLDER]

BasicMotions holds real accelerations of a smart watch (walking, resting, running, badminton; ten a
second), which are integrated twice here. A table of longitudes and latitudes is read the same way.
The files ship with aeon: pip install 'temporal-jepa[aeon]'.
"""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from series import data_folder

from temporal_jepa import PretrainConfig, pretrain, read
from temporal_jepa.evaluation import score
from temporal_jepa.report.report import write_report


def positions(part: str) -> pd.DataFrame:
    """One row per position: track, time in seconds, x and y in meters, kind of motion."""
    recorded = read(data_folder() / f"BasicMotions/BasicMotions_{part}.ts")
    tables = []
    for name, acceleration, kind in zip(
        recorded.ids, recorded.values, recorded.labels, strict=True
    ):
        acceleration = acceleration[:, :2]
        velocity = 0.1 * np.cumsum(acceleration - acceleration.mean(0), axis=0)
        position = 0.1 * np.cumsum(velocity - velocity.mean(0), axis=0)
        columns = {
            "track": name,
            "time": 0.1 * np.arange(len(position)),
            "x": position[:, 0],
            "y": position[:, 1],
            "kind": kind,
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables)


def main(
    out: str | Path = "runs/example-trajectories", steps: int = 150
) -> dict[str, Any]:
    """Pretrain without labels, then score the embedding on unseen tracks."""
    train = read(positions("TRAIN"), features="dx,dy,speed", label="kind")
    test = read(positions("TEST"), features="dx,dy,speed", label="kind")
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
