"""What does a process pay for its rows of a batch, whatever the number of processes?

python benchmarks/rank_batch.py [--sequences 1000000] [--share 32] [--repeat 20]

One process plays the last rank of runs on 1, 8, 512 and 1,000 processes, with 32 sequences for
each: so the batch of all grows from 32 to 32,000. Prints CPU time of the values and of the masks
of one step, the median of `--repeat` steps, and the memory that the values take. The sequences are
views of one array, so that a million of them fit.
"""

import argparse
import statistics
import time
from dataclasses import replace

import numpy as np

from temporal_jepa import PretrainConfig, Sequences
from temporal_jepa.training.batches import plan_batches
from temporal_jepa.training.initial import initial_model

WORLDS = (1, 8, 512, 1000)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sequences", type=int, default=1_000_000)
    parser.add_argument("--share", type=int, default=32, help="sequences a process")
    parser.add_argument("--repeat", type=int, default=20)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    walk = rng.standard_normal((4, 512 + 1000), dtype=np.float32).cumsum(1)
    few = Sequences.from_arrays([walk[:, k : k + 512] for k in range(1000)])
    model = initial_model(few)
    values = [few.values[k % 1000] for k in range(options.sequences)]
    sequences = replace(few, values=values, ids=[""] * options.sequences)
    print(
        "| processes | batch of all | values | masks | bytes |\n|---|---|---|---|---|"
    )
    for world in WORLDS:
        config = PretrainConfig(steps=10**6, batch_size=options.share * world)
        batches = plan_batches(model, sequences, config.resolved(options.sequences))
        rows = batches.rows(world - 1, world)
        seconds: dict[str, list[float]] = {"values": [], "masks": []}
        for step in range(options.repeat + 1):
            began = time.process_time()
            x = batches.values(step, rows)
            between = time.process_time()
            batches.draw(model, x, step, rows)
            seconds["values"].append(between - began)
            seconds["masks"].append(time.process_time() - between)
        values_ms, masks_ms = (
            1e3 * statistics.median(part[1:]) for part in seconds.values()
        )
        print(
            f"| {world:,} | {batches.size:,} | {values_ms:.2f} ms | {masks_ms:.2f} ms | "
            f"{x.numel() * x.element_size():,} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
