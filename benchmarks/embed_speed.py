"""Speed of embedding with `series-small`, beside MiniRocket, a TS2Vec-sized CNN and a commit.

python benchmarks/embed_speed.py [--rounds 9] [--threads 1] [--against FOLDER] [--also CLASS ...]

500 univariate series of 150 timesteps. MiniRocket (aeon, 10,000 kernels) is fitted and transforms
the same series. "TS2Vec-sized CNN" is a dilated residual network of the size of TS2Vec (arXiv
2106.10466: 64 channels, ten blocks, 320 features) with random weights in eager torch, max-pooled
over time. FOLDER is a checkout of an earlier commit (`git worktree add FOLDER COMMIT`): its
package embeds the same series in a process of its own, in the same rounds. CPU and wall seconds;
rounds are interleaved (A B C, B C A, ...), so that a slow moment affects all. CLASS is any
`module:Class` with `fit` and `transform`, as in `classify.py`; it is fitted once, on 50 series.
"""

import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from results import markdown_table, parser_of
from speed import machine
from torch import Tensor, nn

from temporal_jepa import Sequences, from_pretrained
from temporal_jepa.embed import embed_sequences

SERIES = 500
LENGTH = 150
OURS = "series-small"
WORKER = """
import sys, time
import numpy as np
import torch
from temporal_jepa import TemporalJEPAEmbedder
torch.set_num_threads({threads})
X = np.load({path!r})
embedder = TemporalJEPAEmbedder.from_pretrained("series-small")
for line in sys.stdin:
    rows = X[: int(line)]
    cpu, wall = time.process_time(), time.perf_counter()
    embedder.transform(rows)
    print(time.process_time() - cpu, time.perf_counter() - wall, flush=True)
"""
Timed = Callable[[], tuple[float, float]]  # CPU and wall seconds of one call


class DilatedBlock(nn.Module):
    """Two dilated convolutions of three taps, with a residual connection."""

    def __init__(self, inputs: int, outputs: int, dilation: int):
        super().__init__()
        self.first = nn.Conv1d(inputs, outputs, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv1d(
            outputs, outputs, 3, padding=dilation, dilation=dilation
        )
        self.skip = (
            nn.Identity() if inputs == outputs else nn.Conv1d(inputs, outputs, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.second(F.gelu(self.first(F.gelu(x))))
        return hidden + self.skip(x)


def dilated_cnn() -> nn.Module:
    """`(B, 1, T)` -> `(B, 320, T)`."""
    widths = [64] * 10 + [320]
    blocks = [
        DilatedBlock(before, after, 2**index)
        for index, (before, after) in enumerate(
            zip([64, *widths], widths, strict=False)
        )
    ]
    return nn.Sequential(nn.Conv1d(1, 64, 1), *blocks)


def timed(call: Callable[[], object]) -> Timed:
    def run() -> tuple[float, float]:
        cpu, wall = time.process_time(), time.perf_counter()
        call()
        return time.process_time() - cpu, time.perf_counter() - wall

    return run


def minirocket(X: np.ndarray) -> Callable[[], object]:
    from aeon.transformations.collection.convolution_based import MiniRocket

    return lambda: MiniRocket(random_state=0).fit(X).transform(X)


def fitted(name: str, X: np.ndarray) -> Callable[[], object]:
    """A class by its name, `module:Class`, with its defaults."""
    module, _, kind = name.partition(":")
    embedder = getattr(importlib.import_module(module), kind)().fit(X[:50])
    return lambda: embedder.transform(X)


def cnn(X: np.ndarray) -> Callable[[], object]:
    network = dilated_cnn().eval()

    @torch.no_grad()
    def run() -> np.ndarray:
        batches = torch.from_numpy(X).split(64)
        return torch.cat([network(x).amax(2) for x in batches]).numpy()

    return run


def worker(folder: Path, path: Path, threads: int) -> Callable[[int], Timed]:
    """Embeds with the package in a folder, in a process that stays."""
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER.format(threads=threads, path=str(path))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(folder)},
        cwd=folder,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def of(count: int) -> Timed:
        def run() -> tuple[float, float]:
            print(count, file=stdin, flush=True)
            cpu, wall = stdout.readline().split()
            return float(cpu), float(wall)

        return run

    return of


def race(rivals: dict[str, Timed], rounds: int) -> dict[str, np.ndarray]:
    """CPU and wall seconds of each round, `(rounds, 2)` each; two rounds warm up."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in rivals}
    names = list(rivals)
    for _ in range(rounds + 2):
        for name in names:
            times[name].append(rivals[name]())
        names = [*names[1:], names[0]]
    return {name: np.array(values[2:]) for name, values in times.items()}


def report(title: str, times: dict[str, np.ndarray], count: int) -> None:
    """Milliseconds per series, and CPU time relative to ours, round by round."""
    rows = []
    for name, seconds in times.items():
        cpu, wall = np.median(seconds, axis=0) * 1e3 / count
        low, middle, high = np.percentile(
            seconds[:, 0] / times[OURS][:, 0], [25, 50, 75]
        )
        ratio = "" if name == OURS else f"{middle:.2f} ({low:.2f}-{high:.2f})"
        rows.append([name, f"{cpu:.3f}", f"{wall:.3f}", ratio])
    header = [
        "embedder",
        "CPU ms a series",
        "wall ms",
        f"CPU time / {OURS} (quartiles)",
    ]
    print(f"\n### {title}\n\n{markdown_table(header, rows)}", flush=True)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--against", type=Path, metavar="FOLDER", help="checkout of an earlier commit"
    )
    parser.add_argument("--also", nargs="+", default=[], metavar="CLASS")
    options = parser.parse_args()
    os.environ["NUMBA_NUM_THREADS"] = str(options.threads)
    torch.set_num_threads(options.threads)
    walks = np.random.default_rng(0).normal(size=(SERIES, 1, LENGTH)).cumsum(2)
    X = walks.astype(np.float32)
    folder = tempfile.TemporaryDirectory()
    path = Path(folder.name) / "X.npy"
    np.save(path, X)
    model = from_pretrained(OURS)
    sequences = Sequences.from_arrays(X)
    one = Sequences.from_arrays(X[:1])
    rivals: dict[str, Timed] = {
        OURS: timed(lambda: embed_sequences(model, sequences)),
        "MiniRocket, fit and transform": timed(minirocket(X)),
        "TS2Vec-sized CNN": timed(cnn(X)),
    }
    for name in options.also:
        rivals[name] = timed(fitted(name, X))
    singles: dict[str, Timed] = {OURS: timed(lambda: embed_sequences(model, one))}
    if options.against is not None:
        of = worker(options.against.resolve(), path, options.threads)
        rivals["series-small of the other commit"] = of(SERIES)
        singles["series-small of the other commit"] = of(1)
    load = os.getloadavg()[0]
    print(f"{machine()}; {options.rounds} rounds, load {load:.1f}")
    report(
        f"{SERIES} series of {LENGTH} timesteps", race(rivals, options.rounds), SERIES
    )
    report("One series", race(singles, 5 * options.rounds), 1)
    folder.cleanup()


if __name__ == "__main__":
    main()
