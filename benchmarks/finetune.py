"""What do labels add by fine-tuning? The same ridge head on the frozen encoder and on the fine-tuned one.

python benchmarks/finetune.py FOLDER/ucr FOLDER/uea --sets SwedishLeaf ECG200 --seeds 0 --out finetune.csv

`series-small` and an encoder trained from scratch on TRAIN are the two bases. How long to fine-tune the classifier
chooses itself on held-out TRAIN series, none being a choice; TEST is only scored. Seconds: one thread, all included.
"""

import argparse
import csv
import time
import warnings
from pathlib import Path

import torch
from classify import find_sets, load

from temporal_jepa import TemporalJEPAEmbedder
from temporal_jepa.estimators.classifier import TemporalJEPAClassifier

COLUMNS = ("dataset", "base", "seed", "frozen", "finetuned", "steps", "seconds")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folders", nargs="+", type=Path, metavar="FOLDER", help="of data sets, as for classify.py"
    )
    parser.add_argument("--sets", nargs="+", metavar="NAME", help="only these")
    parser.add_argument(
        "--bases",
        nargs="+",
        default=["series-small", "scratch"],
        choices=["series-small", "scratch"],
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--steps", type=int, default=200, help="of fine-tuning, at most")
    parser.add_argument("--out", type=Path, default=Path("finetune.csv"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", "The least populated class", UserWarning)
    with options.out.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if file.tell() == 0:
            writer.writeheader()
        for name, paths in find_sets(options.folders, options.sets).items():
            train, test = map(load, paths)
            for base in options.bases:
                for seed in options.seeds:
                    start: str | TemporalJEPAEmbedder = base
                    if base == "scratch":
                        start = TemporalJEPAEmbedder(init_from="scratch", random_state=seed).fit(
                            train
                        )
                    models = [
                        TemporalJEPAClassifier(start, steps, random_state=seed)
                        for steps in (0, options.steps)
                    ]
                    began = time.perf_counter()
                    for model in models:
                        model.fit(train, train.labels)
                    spent = round(time.perf_counter() - began)
                    scores = [round(float(model.score(test, test.labels)), 4) for model in models]
                    row = [name, base, seed, *scores, models[1].steps_, spent]
                    writer.writerow(dict(zip(COLUMNS, row, strict=True)))
                    file.flush()
                    print(*row, flush=True)


if __name__ == "__main__":
    main()
