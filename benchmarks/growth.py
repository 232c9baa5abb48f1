"""How do time and memory grow with series, timesteps, channels, and tokens in training?

python benchmarks/growth.py [--model series-small] [--axes n channels ...] [--quick]

Every point is measured in a process of its own, on one thread. CPU seconds are those of the call
alone, after a small one. The peak is resident memory above that before the call, without the
output. Exponents are fitted in log-log over the points that a line names. `--model random` is the
architecture of `series-small` with random weights.

n          series of 150 timesteps
timesteps  of one series; beyond 65,536 it is resampled
channels   of two series of 150 timesteps
tokens     one step of training from scratch, the tokenizer "linear", a batch of two
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection

import numpy as np
import torch
from reading_memory import memory
from results import markdown_table, parser_of
from series_small import build
from speed import machine

from temporal_jepa import Sequences, from_pretrained
from temporal_jepa.config import RECIPE, PretrainConfig, TemporalJEPAConfig
from temporal_jepa.embed import embed_sequences
from temporal_jepa.model.jepa import TemporalJEPA
from temporal_jepa.training.trainer import Trainer, plan_batches

LENGTH = 150
REPEATED = 1.0  # seconds below which a call is timed again
Call = Callable[[], int]  # returns the bytes of its output


@dataclass(frozen=True)
class Axis:
    """What grows, and over which of its points the exponents are fitted."""

    what: str
    points: tuple[int, ...]
    fitted: tuple[int, int]
    quick: tuple[int, ...]


AXES = {
    "n": Axis(
        "series of 150 timesteps",
        (100, 1_000, 10_000, 100_000),
        (1_000, 100_000),
        (250, 1_000),
    ),
    "timesteps": Axis(
        "timesteps of one series",
        (100, 1_000, 10_000, 65_536, 1_000_000),
        (1_000, 65_536),
        (200, 400),
    ),
    "channels": Axis(
        "channels of two series of 150 timesteps",
        (1, 5, 20, 100, 500),
        (5, 500),
        (2, 4),
    ),
    "tokens": Axis(
        "tokens of two series in a training step",
        (60, 256, 1_024, 4_096, 16_384),
        (1_024, 16_384),
        (30, 60),
    ),
}


@dataclass(frozen=True)
class Cost:
    """Of one call: CPU seconds, MB at the peak and MB of the output."""

    seconds: float
    peak: float
    output: float


def model_of(name: str) -> TemporalJEPA:
    """A pretrained model, or the architecture of `series-small` with random weights."""
    if name != "random":
        return from_pretrained(name)
    return build(argparse.Namespace(width=64, depth=2, seed=0)).eval()


def walks(n: int, channels: int, timesteps: int) -> Sequences:
    """Random walks, float32; no copy is made."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((n, channels, timesteps), dtype=np.float32)
    return Sequences.from_arrays(np.cumsum(X, axis=2, out=X))


def embedding(axis: str, point: int, model: TemporalJEPA) -> Call:
    """Embed random walks of a size."""
    shape = {"n": 1, "channels": 1, "timesteps": LENGTH}
    shape |= {"n": 2} if axis == "channels" else {}
    shape[axis] = point
    sequences = walks(**shape)
    return lambda: embed_sequences(model, sequences).nbytes


def training(tokens: int) -> Call:
    """One training step at a number of tokens."""
    torch.manual_seed(0)
    settings = {**RECIPE, "tokenizer": "linear", "seq_len": tokens}
    model = TemporalJEPA(TemporalJEPAConfig(input_dim=1, **settings))
    sequences = walks(2, 1, tokens)
    config = PretrainConfig(batch_size=2, crop=1.0, device="cpu").resolved(2, False)
    trainer = Trainer(model, plan_batches(model, sequences, config), config)

    def step() -> int:
        trainer.train_step()
        return 0

    return step


def calls(axis: str, point: int, name: str) -> tuple[Call, Call]:
    """A small call that warms up, and the one to measure."""
    if axis == "tokens":
        return training(16), training(point)
    model = model_of(name)
    return embedding("n", 2, model), embedding(axis, point, model)


def cost(axis: str, point: int, name: str) -> Cost:
    """Measure one call, in a fresh process."""
    torch.set_num_threads(1)
    small, call = calls(axis, point, name)
    small()  # loads what libraries load late
    before = memory("VmRSS")
    seconds: list[float] = []
    output = 0
    while not seconds or (len(seconds) < 3 and sum(seconds) < REPEATED):
        began = time.process_time()
        output = call()
        seconds.append(time.process_time() - began)
    peak = memory("VmHWM") - before - output / 1e6
    return Cost(min(seconds), peak, output / 1e6)


def measure(axis: str, point: int, name: str) -> Cost:
    """The cost of a point. The process is forked: no import raises its peak."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)

    def run(to: Connection) -> None:
        to.send(cost(axis, point, name))

    process = context.Process(target=run, args=(there,))
    process.start()
    there.close()
    try:
        found: Cost = here.recv()
    except EOFError:
        raise RuntimeError(f"no result at {point} {axis}") from None
    finally:
        process.join()
    return found


def exponent(points: list[int], values: list[float]) -> float:
    """Slope of the least-squares line in log-log."""
    logs = np.log(np.maximum(values, 1e-9))
    return float(np.polyfit(np.log(points), logs, 1)[0])


def table(name: str, axis: Axis, costs: dict[int, Cost]) -> str:
    """A row per point, and the exponents."""
    rows = []
    for point, found in costs.items():
        cells = [f"{point:,}", f"{found.seconds:.3f}"]
        cells += [f"{1e3 * found.seconds / point:.3f}"]
        rows.append([*cells, f"{found.peak:.0f}", f"{found.output:.1f}"])
    low, high = axis.fitted
    points = [point for point in costs if low <= point <= high]
    if len(points) < 2:
        points = list(costs)
    seconds = exponent(points, [costs[point].seconds for point in points])
    peak = exponent(points, [costs[point].peak for point in points])
    span = f"{points[0]:,} to {points[-1]:,}"
    rows.append([f"exponent, {span}", f"{seconds:.2f}", "", f"{peak:.2f}", ""])
    header = [name, "CPU seconds", "ms each", "peak MB", "output MB"]
    return markdown_table(header, rows)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--model", default="series-small")
    parser.add_argument("--axes", nargs="*", default=list(AXES), choices=list(AXES))
    parser.add_argument("--quick", action="store_true", help="two small points each")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{machine()}; {options.model}, load {os.getloadavg()[0]:.1f}")
    for name in options.axes:
        axis = AXES[name]
        costs = {}
        for point in axis.quick if options.quick else axis.points:
            costs[point] = measure(name, point, options.model)
            print(name, point, costs[point], file=sys.stderr, flush=True)
        print(f"\n### {axis.what}\n\n{table(name, axis, costs)}", flush=True)


if __name__ == "__main__":
    main()
