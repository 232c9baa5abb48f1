"""What do frozen embeddings know of the future? Ridge regression on them, beside DLinear and seasonal naive.

python benchmarks/forecast.py ETTh1.csv ETTh2.csv exchange_rate.csv --seeds 0 1 2 --out forecast.csv
python benchmarks/forecast.py --summary forecast.csv

A table has a row a timestep and a column a variable, after a column of dates. Splits as usual: 12, 4 and 4 months of
ETT, 70, 10 and 20 % of others; values standardised by the train split; MSE and MAE over all variables, horizons and
test windows (every fifth, `--stride`). Each variable is a series of its own; the input is the last 336 timesteps.

naive, seasonal   the last value; the last day (for others than ETT, the last value is the better one)
dlinear    moving average of 25 and rest, a linear map of each (Zeng et al. 2023), by ridge regression
values     ridge on the input with mean 0 and deviation 1
untrained, pretrained   ridge on the frozen embedding of the same; the encoder as drawn, and after 300 steps on train
untrained+values, pretrained+values   ridge on both

The penalty of each ridge regression is chosen on the validation split, for each horizon.
"""

import argparse
import csv
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from temporal_jepa.config import PretrainConfig
from temporal_jepa.data import Sequences
from temporal_jepa.embed import embed_sequences
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import train

Array = npt.NDArray[Any]
INPUT = 336
HORIZONS = (24, 48, 96, 168, 336, 720)
PENALTIES = 10.0 ** np.arange(-2, 6)
FITTED_ON = 8000  # train windows that a ridge regression sees, evenly spaced
COLUMNS = ("table", "method", "seed", "horizon", "mse", "mae", "seconds")


def splits(path: Path) -> tuple[Array, list[tuple[int, int]]]:
    """Standardised values `(time, variables)`, and where the train, validation and test split start and end."""
    values = pd.read_csv(path).iloc[:, 1:].to_numpy(float)
    if path.stem.startswith("ETTh"):
        ends = [30 * 24 * months for months in (12, 16, 20)]
    else:
        ends = [int(0.7 * len(values)), int(0.8 * len(values)), len(values)]
    first = values[: ends[0]]
    return (values - first.mean(0)) / first.std(0), list(zip([0, *ends[:-1]], ends, strict=True))


def windows(x: Array, start: int, end: int, stride: int) -> tuple[Array, Array]:
    """Inputs `(n, 336)` and futures `(n, 720)` whose futures begin in start..end, NaN beyond end; all variables."""
    firsts = np.arange(max(start, INPUT), end - HORIZONS[0] + 1, stride)
    inputs = np.stack([x[f - INPUT : f] for f in firsts])  # (windows, 336, variables)
    futures = np.full((len(firsts), HORIZONS[-1], x.shape[1]), np.nan)
    for future, first in zip(futures, firsts, strict=True):
        part = x[first : min(first + HORIZONS[-1], end)]
        future[: len(part)] = part
    return tuple(a.transpose(2, 0, 1).reshape(-1, a.shape[1]) for a in (inputs, futures))  # type: ignore[return-value]


def ridge(fit: Array, target: Array, others: list[Array]) -> Iterator[list[Array]]:
    """Predictions for other features, one list for each penalty: standardised features, unpenalised offset."""
    mean = fit.mean(0)
    std = fit.std(0) + 1e-6
    offset = target.mean(0)
    Z = (fit - mean) / std
    values, vectors = np.linalg.eigh(Z.T @ Z)
    turned = vectors.T @ (Z.T @ (target - offset))
    for penalty in PENALTIES:
        weights = vectors @ (turned / (np.maximum(values, 0) + penalty * len(Z) / 1000)[:, None])
        yield [(other - mean) / std @ weights + offset for other in others]


def errors(predicted: Array, future: Array) -> list[tuple[float, float]]:
    """(MSE, MAE) for each horizon, over the windows whose future is known so far."""
    out = []
    for horizon in HORIZONS:
        known = np.isfinite(future[:, horizon - 1])
        off = predicted[known, :horizon] - future[known, :horizon]
        out.append((float(np.mean(off**2)), float(np.mean(np.abs(off)))))
    return out


def by_ridge(
    features: list[Array], units: list[tuple[Array, Array]], futures: list[Array]
) -> list[tuple[float, float]]:
    """Errors on test of ridge regression on features of (train, validation, test), penalty by validation."""
    whole = np.isfinite(futures[0]).all(1)
    (mean, size), *rest = units
    target = (futures[0][whole] - mean[whole]) / size[whole]
    best = [(np.inf, (np.nan, np.nan))] * len(HORIZONS)
    for predictions in ridge(features[0][whole], target, features[1:]):
        scaled = [p * size + mean for p, (mean, size) in zip(predictions, rest, strict=True)]
        found = zip(errors(scaled[0], futures[1]), errors(scaled[1], futures[2]), strict=True)
        best = [
            min(old, (chosen[0], test)) for old, (chosen, test) in zip(best, found, strict=True)
        ]
    return [test for _, test in best]


def shapes(inputs: Array) -> tuple[Array, tuple[Array, Array]]:
    """Inputs with mean 0 and deviation 1, and what was taken away; where a sensor stands still, divided by a tenth."""
    mean = inputs.mean(1, keepdims=True)
    size = np.maximum(inputs.std(1, keepdims=True), 0.1)
    return (inputs - mean) / size, (mean, size)


def decomposed(inputs: Array) -> Array:
    """Moving average of 25 with repeated ends, and the rest: `(n, 672)`."""
    padded = np.pad(inputs, ((0, 0), (12, 12)), mode="edge")
    trend = np.lib.stride_tricks.sliding_window_view(padded, 25, axis=1).mean(-1)
    return np.concatenate([trend, inputs - trend], axis=1)


def encoder(fitted: Array, seed: int, steps: int) -> Any:
    """An encoder of one variable, trained on these windows without labels."""
    sequences = Sequences([x[:, None] for x in fitted.astype(np.float32)])
    model = initial_model(sequences, seed, patch_len=8)
    if steps:
        model = train(model, sequences, PretrainConfig(steps, seed=seed, device="cpu"))
    return model.eval()


def embedded(model: Any, inputs: list[Array]) -> list[Array]:
    return [
        embed_sequences(model, Sequences([x[:, None] for x in part.astype(np.float32)]))
        for part in inputs
    ]


def measure(options: argparse.Namespace) -> None:
    out = Path(options.out)
    new = not out.exists()
    done = (
        set()
        if new
        else set(pd.read_csv(out)[["table", "method", "seed"]].itertuples(index=False, name=None))
    )
    with out.open("a", newline="") as file:
        rows = csv.writer(file)
        if new:
            rows.writerow(COLUMNS)

        def note(
            table: str, method: str, seed: int, found: list[tuple[float, float]], began: float
        ) -> None:
            for horizon, (mse, mae) in zip(HORIZONS, found, strict=True):
                seconds = round(time.perf_counter() - began, 1)
                rows.writerow([table, method, seed, horizon, round(mse, 4), round(mae, 4), seconds])
            file.flush()
            print(table, method, seed, [round(mse, 3) for mse, _ in found], flush=True)

        for path in map(Path, options.tables):
            x, ((_, end), valid, test) = splits(path)
            step = max(1, (end - INPUT) * x.shape[1] // FITTED_ON)
            parts = [
                windows(x, 0, end, step),
                windows(x, *valid, options.stride),
                windows(x, *test, options.stride),
            ]
            inputs = [p[0] for p in parts]
            futures = [p[1] for p in parts]
            scaled = [shapes(part) for part in inputs]
            values = [s[0] for s in scaled]
            units = [s[1] for s in scaled]
            none = [(np.zeros((len(part), 1)), np.ones((len(part), 1))) for part in inputs]
            if (path.stem, "values", 0) not in done:
                began = time.perf_counter()
                day = np.resize(inputs[2][:, -24:].T, (HORIZONS[-1], len(inputs[2]))).T
                note(
                    path.stem,
                    "naive",
                    0,
                    errors(np.repeat(inputs[2][:, -1:], HORIZONS[-1], 1), futures[2]),
                    began,
                )
                note(path.stem, "seasonal", 0, errors(day, futures[2]), began)
                note(
                    path.stem,
                    "dlinear",
                    0,
                    by_ridge([decomposed(part) for part in inputs], none, futures),
                    began,
                )
                note(path.stem, "values", 0, by_ridge(values, units, futures), began)
            for seed in options.seeds:
                for method, steps in (("untrained", 0), ("pretrained", 300)):
                    if (path.stem, f"{method}+values", seed) in done:
                        continue
                    began = time.perf_counter()
                    Z = embedded(encoder(values[0], seed, steps), values)
                    note(path.stem, method, seed, by_ridge(Z, units, futures), began)
                    both = [np.concatenate(pair, axis=1) for pair in zip(Z, values, strict=True)]
                    note(path.stem, f"{method}+values", seed, by_ridge(both, units, futures), began)


def summarise(path: str) -> None:
    table = pd.read_csv(path)
    order = [
        m
        for m in (
            "naive",
            "seasonal",
            "dlinear",
            "values",
            "untrained",
            "pretrained",
            "untrained+values",
            "pretrained+values",
        )
        if m in set(table.method)
    ]
    print("MSE / MAE, mean over seeds\n")
    print("| table | horizon | " + " | ".join(order) + " |\n|" + "---|" * (len(order) + 2))
    for (name, horizon), part in table.groupby(["table", "horizon"]):
        means = part.groupby("method")[["mse", "mae"]].mean()
        best = means.mse.idxmin()
        cells = []
        for method in order:
            cell = (
                f"{means.mse[method]:.3f} / {means.mae[method]:.3f}"
                if method in means.index
                else ""
            )
            cells.append(f"**{cell}**" if method == best else cell)
        print(f"| {name} | {horizon} | " + " | ".join(cells) + " |")
    means = table.groupby("method")[["mse", "mae"]].mean()
    print(
        "| mean | | " + " | ".join(f"{means.mse[m]:.3f} / {means.mae[m]:.3f}" for m in order) + " |"
    )
    noise = table.groupby(["method", "seed"]).mse.mean().groupby("method").std()
    print(
        "| std over seeds, MSE | | "
        + " | ".join("" if np.isnan(noise[m]) else f"{noise[m]:.3f}" for m in order)
        + " |"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("tables", nargs="*", help="CSV files")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--stride", type=int, default=5, help="timesteps between validation and test windows"
    )
    parser.add_argument("--out", default="forecast.csv")
    parser.add_argument("--summary", metavar="CSV", help="print the table of a run")
    arguments = parser.parse_args()
    if arguments.summary:
        summarise(arguments.summary)
    elif arguments.tables:
        measure(arguments)
        summarise(arguments.out)
    else:
        parser.error("name the data, or a file of results with --summary")
