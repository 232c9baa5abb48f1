"""Series on a GPU beside the cores of the same machine: embedding and training steps.

python benchmarks/gpu_series.py [--series 10000] [--rounds 50]
python benchmarks/gpu_series.py --toy    seconds on a CPU: a check

"embed" is `series-small` on random walks of 150 timesteps. "train" is the step from random weights
with the recipe for series, batches of 64 of 300 timesteps: bf16 on the GPU, with and without
torch.compile, fp32 on the CPU. Steps a second are medians over rounds after ten to warm up; the
time of the first compiled step stands apart. The difference is from the embedding of the CPU, in
its standard deviations.
"""

import time

import numpy as np
import torch
from results import markdown_table, parser_of

from temporal_jepa import PretrainConfig, Sequences, from_pretrained
from temporal_jepa.embed import embed_sequences
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import Trainer, plan_batches


def walks(count: int, length: int) -> Sequences:
    """Random walks of one channel."""
    steps = np.random.default_rng(0).normal(size=(count, 1, length))
    return Sequences.from_arrays(steps.cumsum(-1))


def wait(device: str) -> None:
    """Until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()


def embedding(data: Sequences, devices: list[str]) -> list[list[str]]:
    """Series per second of `series-small`, and how far the numbers are from the CPU's."""
    rows = []
    found = {}
    for device in devices:
        model = from_pretrained("series-small", device)
        embed_sequences(model, data.select(range(64)))
        began = time.perf_counter()
        found[device] = embed_sequences(model, data)
        rate = len(data) / (time.perf_counter() - began)
        apart = np.abs(found[device] - found["cpu"]).max()
        scale = found["cpu"].std()
        rows.append(["embed", device, f"{rate:,.0f} series", f"{apart / scale:.0e}"])
    return rows


def training(
    data: Sequences, device: str, compile: bool, rounds: int
) -> tuple[list[str], float]:
    """Steps per second, and the seconds of the first step."""
    config = PretrainConfig(
        steps=1000, batch_size=min(64, len(data)), device=device, compile=compile
    ).resolved(len(data))
    model = initial_model(data)
    trainer = Trainer(model, plan_batches(model, data, config), config)
    took = []
    for _ in range(rounds + 10):
        began = time.perf_counter()
        trainer.train_step()
        wait(device)
        took.append(time.perf_counter() - began)
    if not all(torch.isfinite(p).all() for p in trainer.model.parameters()):
        raise SystemExit("weights are not finite")
    name = f"{device}, compiled" if compile else device
    row = ["train", name, f"{1 / np.median(took[10:]):.1f} steps", ""]
    return row, took[0]


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--series", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--toy", action="store_true", help="small, on the CPU")
    options = parser.parse_args()
    devices = ["cpu"] if options.toy else ["cpu", "cuda"]
    series = 80 if options.toy else options.series
    rounds = 1 if options.toy else options.rounds
    name = "cpu" if options.toy else torch.cuda.get_device_name()
    print(f"{name}, {torch.get_num_threads()} cores, torch {torch.__version__}")

    table = markdown_table(
        ["what", "device", "a second", "largest difference"],
        embedding(walks(series, 150), devices),
    )
    print(table, flush=True)
    data = walks(series, 300)
    for device in devices:
        for compile in (False, True) if device == "cuda" else (False,):
            row, first = training(data, device, compile, rounds)
            print("| " + " | ".join(row) + " |", flush=True)
            if compile:
                print(f"the first compiled step takes {first:.0f} s")


if __name__ == "__main__":
    main()
