"""What do labels add by fine-tuning? The same ridge head on the frozen and on the tuned encoder.

python benchmarks/finetune.py FOLDER/ucr FOLDER/uea --sets SwedishLeaf ECG200 --out finetune.csv

The two bases are `series-small` and an encoder pretrained from scratch on TRAIN. The classifier
chooses the number of steps on held-out TRAIN series; 0 is one of the candidates. TEST is only
scored. Seconds: one thread, both fits.
"""

import time
import warnings
from pathlib import Path

import torch
from classify import find_sets, load
from results import Results, parser_of

from temporal_jepa import TemporalJEPAEmbedder
from temporal_jepa.data import Sequences
from temporal_jepa.estimators.classifier import TemporalJEPAClassifier

BASES = ("series-small", "scratch")
COLUMNS = ("dataset", "base", "seed", "frozen", "finetuned", "steps", "seconds")


def compare(
    train: Sequences, test: Sequences, base: str, seed: int, steps: int
) -> dict[str, object]:
    """Accuracy on TEST without and with fine-tuning."""
    start: str | TemporalJEPAEmbedder = base
    if base == "scratch":
        start = TemporalJEPAEmbedder(init_from="scratch", random_state=seed).fit(train)
    frozen = TemporalJEPAClassifier(start, 0, random_state=seed)
    finetuned = TemporalJEPAClassifier(start, steps, random_state=seed)
    began = time.perf_counter()
    frozen.fit(train, train.labels)
    finetuned.fit(train, train.labels)
    return {
        "seconds": round(time.perf_counter() - began),
        "frozen": round(float(frozen.score(test, test.labels)), 4),
        "finetuned": round(float(finetuned.score(test, test.labels)), 4),
        "steps": finetuned.steps_,
    }


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument(
        "folders",
        nargs="+",
        type=Path,
        metavar="FOLDER",
        help="of data sets, as for classify.py",
    )
    parser.add_argument("--sets", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--bases", nargs="+", default=BASES, choices=BASES)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument(
        "--steps", type=int, default=200, help="of fine-tuning, at most"
    )
    parser.add_argument("--out", type=Path, default=Path("finetune.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "The least populated class", UserWarning)
    results = Results(options.out, COLUMNS)
    for name, paths in find_sets(options.folders, options.sets).items():
        train, test = map(load, paths)
        for base in options.bases:
            for seed in options.seeds:
                scores = compare(train, test, base, seed, options.steps)
                row = {"dataset": name, "base": base, "seed": seed, **scores}
                results.add(row)
                print(*(row[column] for column in COLUMNS), flush=True)


if __name__ == "__main__":
    main()
