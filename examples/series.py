"""Series: outlines of arrowheads, from a file to embeddings, scores and a report.

python examples/series.py [FOLDER]

ArrowHead (Ye and Keogh, 2009): 36 outlines to train on and 175 to test on, in three classes, each
with 251 timesteps of one channel. The files ship with aeon: pip install 'temporal-jepa[aeon]'.
"""

import importlib.util
import sys
from pathlib import Path
from typing import Any

from temporal_jepa import PretrainConfig, from_pretrained, pretrain, read
from temporal_jepa.embed import embed_sequences
from temporal_jepa.evaluation import Index, score
from temporal_jepa.report.report import write_report


def data_folder() -> Path:
    """The folder in which the installed aeon keeps its data sets."""
    spec = importlib.util.find_spec("aeon")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            "the data ships with aeon: pip install 'temporal-jepa[aeon]'"
        )
    return Path(spec.origin).parent / "datasets" / "data"


def main(out: str | Path = "runs/example-series", steps: int = 150) -> dict[str, Any]:
    """Pretrain without labels, then score the embedding on unseen series."""
    train = read(data_folder() / "ArrowHead/ArrowHead_TRAIN.ts")
    test = read(data_folder() / "ArrowHead/ArrowHead_TEST.ts")
    run = pretrain(
        train, out, PretrainConfig(steps=steps, device="cpu"), overwrite=True
    )

    result = score(run, train, test)
    for row in result["scores"]:
        print(f"ridge on {row['features']:24} {row['accuracy']:.3f}")

    model = from_pretrained(run)
    index = Index(embed_sequences(model, train))
    nearest, distance = index.nearest(embed_sequences(model, test), k=1)
    same_class = train.labels[nearest[:, 0]] == test.labels
    print(
        f"nearest to test series 0: train series {nearest[0, 0]}, distance {distance[0, 0]:.1f}"
    )
    print(
        f"{same_class.mean():.0%} of the test series have a nearest neighbor of their class"
    )

    print(write_report(run, sequences=train, overwrite=True))
    return result


if __name__ == "__main__":
    main(*sys.argv[1:])
