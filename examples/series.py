"""Series: outlines of arrowheads, from a file to vectors, scores and a report. Needs aeon, which ships the files.

python examples/series.py [FOLDER]

ArrowHead: 36 outlines to learn from and 175 others, three kinds, 251 timesteps of one channel (Ye and Keogh, 2009).
"""

import importlib.util
import sys
from pathlib import Path

from temporal_jepa import PretrainConfig, from_pretrained, pretrain, read
from temporal_jepa.embed import embed_sequences
from temporal_jepa.evaluation.neighbors import Index
from temporal_jepa.evaluation.probes import probe
from temporal_jepa.model.jepa import random_init_like
from temporal_jepa.report.report import write_report


def data_folder() -> Path:
    """Where the installed aeon keeps its data sets."""
    spec = importlib.util.find_spec("aeon")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError(
            "the example's data ships with aeon: pip install 'temporal-jepa[aeon]'"
        )
    return Path(spec.submodule_search_locations[0], "datasets", "data")


def main(out: str | Path = "runs/example-series", steps: int = 150) -> dict[str, float]:
    """Learn without labels, then see what the vectors know; accuracies on unseen series."""
    train, test = (
        read(data_folder() / f"ArrowHead/ArrowHead_{part}.ts") for part in ("TRAIN", "TEST")
    )
    run = pretrain(train, out, PretrainConfig(steps=steps, device="cpu"), overwrite=True)
    model = from_pretrained(run)

    near, distance = Index(embed_sequences(model, train)).nearest(embed_sequences(model, test), k=1)
    alike = train.labels[near[:, 0]] == test.labels
    print(
        f"test series 0 is most like train series {near[0, 0]}, at a distance of {distance[0, 0]:.1f}"
    )
    print(f"the nearest train series is of the same kind for {alike.mean():.0%} of the test series")

    scores = {}
    for name, encoder in (("untrained", random_init_like(model, seed=0)), ("pretrained", model)):
        Z = [embed_sequences(encoder, part) for part in (train, test)]
        scores[name] = probe(Z[0], train.labels, Z[1], test.labels)
        print(f"ridge on frozen vectors, {name} encoder: {scores[name]:.3f}")
    print(write_report(run, sequences=train, overwrite=True))
    return scores


if __name__ == "__main__":
    main(*sys.argv[1:])
