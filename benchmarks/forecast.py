"""What do frozen embeddings know of the future? Ridge regression on them, beside simple forecasts.

python benchmarks/forecast.py ETTh1.csv ETTh2.csv exchange_rate.csv --seeds 0 1 2 --out forecast.csv
python benchmarks/forecast.py --summary forecast.csv

A table has a row per timestep and a column per variable, after a column of dates. Splits are the
usual ones: 12, 4 and 4 months of ETT, 70, 10 and 20 % of others; values are standardized by the
train split; MSE and MAE are over all variables, horizons and test windows (every fifth,
`--stride`). Each variable is a series of its own; the input is the last 336 timesteps.

naive, seasonal   the last value; the last day (if not ETT, the last value is the better one)
dlinear    moving average of 25 and remainder, a linear map of each (Zeng et al. 2023), by ridge
values     ridge on the input with mean 0 and standard deviation 1
untrained, pretrained   ridge on the frozen embedding of the same: random weights, and after 300
                        steps on train
untrained+values, pretrained+values   ridge on both

The penalty of each ridge regression is chosen on the validation split, for each horizon.
"""

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from results import Results, markdown_table, parser_of

from temporal_jepa.config import PretrainConfig
from temporal_jepa.data import Sequences
from temporal_jepa.embed import embed_sequences
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import train

Array = npt.NDArray[Any]
Errors = list[tuple[float, float]]  # (MSE, MAE) for each horizon
INPUT = 336
HORIZONS = (24, 48, 96, 168, 336, 720)
PENALTIES = 10.0 ** np.arange(-2, 6)
FITTED_ON = 8000  # train windows that a ridge regression is fitted on, evenly spaced
COLUMNS = ("table", "method", "seed", "horizon", "mse", "mae", "seconds")
METHODS = (
    "naive",
    "seasonal",
    "dlinear",
    "values",
    "untrained",
    "pretrained",
    "untrained+values",
    "pretrained+values",
)


def splits(path: Path) -> tuple[Array, list[tuple[int, int]]]:
    """Standardized values `(time, variables)`; start and end of train, validation and test."""
    values = pd.read_csv(path).iloc[:, 1:].to_numpy(float)
    if path.stem.startswith("ETTh"):
        ends = [30 * 24 * months for months in (12, 16, 20)]
    else:
        ends = [int(0.7 * len(values)), int(0.8 * len(values)), len(values)]
    fitted = values[: ends[0]]
    standardized = (values - fitted.mean(0)) / fitted.std(0)
    return standardized, list(zip([0, *ends[:-1]], ends, strict=True))


def windows(x: Array, start: int, end: int, stride: int) -> tuple[Array, Array]:
    """Inputs `(n, 336)` and futures `(n, 720)` that begin in start..end, NaN beyond end."""
    firsts = np.arange(max(start, INPUT), end - HORIZONS[0] + 1, stride)
    inputs = np.stack(
        [x[first - INPUT : first] for first in firsts]
    )  # (windows, 336, variables)
    futures = np.full((len(firsts), HORIZONS[-1], x.shape[1]), np.nan)
    for future, first in zip(futures, firsts, strict=True):
        part = x[first : min(first + HORIZONS[-1], end)]
        future[: len(part)] = part
    return _each_variable(inputs), _each_variable(futures)


def _each_variable(x: Array) -> Array:
    """`(windows, time, variables)` -> `(variables * windows, time)`."""
    return x.transpose(2, 0, 1).reshape(-1, x.shape[1])


def ridge(fit: Array, target: Array, others: list[Array]) -> Iterator[list[Array]]:
    """Predictions for other features, one list for each penalty.

    Features are standardized, the offset is not penalized.
    """
    mean = fit.mean(0)
    std = fit.std(0) + 1e-6
    offset = target.mean(0)
    Z = (fit - mean) / std
    values, vectors = np.linalg.eigh(Z.T @ Z)
    turned = vectors.T @ (Z.T @ (target - offset))
    for penalty in PENALTIES:
        weights = vectors @ (
            turned / (np.maximum(values, 0) + penalty * len(Z) / 1000)[:, None]
        )
        yield [(other - mean) / std @ weights + offset for other in others]


def errors(predicted: Array, future: Array) -> Errors:
    """Over the windows whose future is known that far."""
    out = []
    for horizon in HORIZONS:
        known = np.isfinite(future[:, horizon - 1])
        off = predicted[known, :horizon] - future[known, :horizon]
        out.append((float(np.mean(off**2)), float(np.mean(np.abs(off)))))
    return out


def by_ridge(
    features: list[Array], units: list[tuple[Array, Array]], futures: list[Array]
) -> Errors:
    """Errors on test of ridge regression, its penalty chosen on validation.

    Args:
        features: of train, validation and test.
        units: mean and scale `(n, 1)` that were removed from each of them.
        futures: of each of them.
    """
    whole = np.isfinite(futures[0]).all(1)
    (mean, scale), *other_units = units
    target = (futures[0][whole] - mean[whole]) / scale[whole]
    best = [(np.inf, (np.nan, np.nan))] * len(HORIZONS)
    for predictions in ridge(features[0][whole], target, features[1:]):
        validation, test = (
            errors(predicted * scale + mean, future)
            for predicted, (mean, scale), future in zip(
                predictions, other_units, futures[1:], strict=True
            )
        )
        for i in range(len(HORIZONS)):
            best[i] = min(best[i], (validation[i][0], test[i]))
    return [test_errors for _, test_errors in best]


def shapes(inputs: Array) -> tuple[Array, tuple[Array, Array]]:
    """Inputs with mean 0 and standard deviation 1, and both; the latter at least a tenth."""
    mean = inputs.mean(1, keepdims=True)
    scale = np.maximum(inputs.std(1, keepdims=True), 0.1)
    return (inputs - mean) / scale, (mean, scale)


def decomposed(inputs: Array) -> Array:
    """Moving average of 25 with repeated ends, and the remainder: `(n, 672)`."""
    padded = np.pad(inputs, ((0, 0), (12, 12)), mode="edge")
    trend = np.lib.stride_tricks.sliding_window_view(padded, 25, axis=1).mean(-1)
    return np.concatenate([trend, inputs - trend], axis=1)


def as_sequences(inputs: Array) -> Sequences:
    return Sequences([x[:, None] for x in inputs.astype(np.float32)])


def encoder(fitted: Array, seed: int, steps: int) -> Any:
    """An encoder of one variable, trained on these windows without labels."""
    sequences = as_sequences(fitted)
    model = initial_model(sequences, seed, patch_len=8)
    if steps:
        model = train(model, sequences, PretrainConfig(steps, seed=seed, device="cpu"))
    return model.eval()


class Table:
    """The windows of a table, and the rows that are written for it."""

    def __init__(self, path: Path, stride: int, results: Results):
        x, ((_, end), validation, test) = splits(path)
        step = max(1, (end - INPUT) * x.shape[1] // FITTED_ON)
        parts = [
            windows(x, 0, end, step),
            windows(x, *validation, stride),
            windows(x, *test, stride),
        ]
        self.name = path.stem
        self.results = results
        self.inputs = [inputs for inputs, _ in parts]
        self.futures = [futures for _, futures in parts]
        scaled = [shapes(inputs) for inputs in self.inputs]
        self.values = [values for values, _ in scaled]
        self.units = [units for _, units in scaled]

    def write(self, method: str, seed: int, found: Errors, began: float) -> None:
        seconds = round(time.perf_counter() - began, 1)
        for horizon, (mse, mae) in zip(HORIZONS, found, strict=True):
            row = (
                self.name,
                method,
                seed,
                horizon,
                round(mse, 4),
                round(mae, 4),
                seconds,
            )
            self.results.add(dict(zip(COLUMNS, row, strict=True)))
        print(self.name, method, seed, [round(mse, 3) for mse, _ in found], flush=True)

    def measure_controls(self) -> None:
        """Forecasts without an encoder."""
        began = time.perf_counter()
        test = self.inputs[2]
        future = self.futures[2]
        last = np.repeat(test[:, -1:], HORIZONS[-1], axis=1)
        self.write("naive", 0, errors(last, future), began)
        day = np.resize(test[:, -24:].T, (HORIZONS[-1], len(test))).T
        self.write("seasonal", 0, errors(day, future), began)
        none = [
            (np.zeros((len(part), 1)), np.ones((len(part), 1))) for part in self.inputs
        ]
        parts = [decomposed(part) for part in self.inputs]
        self.write("dlinear", 0, by_ridge(parts, none, self.futures), began)
        self.write("values", 0, by_ridge(self.values, self.units, self.futures), began)

    def measure_encoder(self, method: str, seed: int, steps: int) -> None:
        began = time.perf_counter()
        model = encoder(self.values[0], seed, steps)
        Z = [embed_sequences(model, as_sequences(part)) for part in self.values]
        self.write(method, seed, by_ridge(Z, self.units, self.futures), began)
        both = [
            np.concatenate(pair, axis=1) for pair in zip(Z, self.values, strict=True)
        ]
        self.write(
            f"{method}+values", seed, by_ridge(both, self.units, self.futures), began
        )


def run(options: argparse.Namespace) -> None:
    results = Results(options.out, COLUMNS)
    done = results.done("table", "method", "seed")
    for path in options.tables:
        table = Table(path, options.stride, results)
        if (table.name, "values", "0") not in done:
            table.measure_controls()
        for seed in options.seeds:
            for method, steps in (("untrained", 0), ("pretrained", 300)):
                if (table.name, f"{method}+values", str(seed)) not in done:
                    table.measure_encoder(method, seed, steps)


def summarize(path: Path) -> str:
    """MSE and MAE of every table and horizon, the best MSE in bold."""
    table = pd.read_csv(path)
    methods = [method for method in METHODS if method in set(table.method)]
    rows = []
    for (name, horizon), part in table.groupby(["table", "horizon"]):
        means = part.groupby("method")[["mse", "mae"]].mean()
        best = means.mse.idxmin()
        cells = [_cell(means, method) for method in methods]
        rows.append(
            [name, horizon]
            + [
                f"**{cell}**" if method == best else cell
                for method, cell in zip(methods, cells, strict=True)
            ]
        )
    means = table.groupby("method")[["mse", "mae"]].mean()
    rows.append(["mean", "", *(_cell(means, method) for method in methods)])
    spread = table.groupby(["method", "seed"]).mse.mean().groupby("method").std()
    cells = [
        "" if np.isnan(spread[method]) else f"{spread[method]:.3f}"
        for method in methods
    ]
    rows.append(["std over seeds, MSE", "", *cells])
    header = ["table", "horizon", *methods]
    return f"MSE / MAE, mean over seeds\n\n{markdown_table(header, rows)}"


def _cell(means: pd.DataFrame, method: str) -> str:
    if method not in means.index:
        return ""
    return f"{means.mse[method]:.3f} / {means.mae[method]:.3f}"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("tables", nargs="*", type=Path, help="CSV files")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--stride",
        type=int,
        default=5,
        help="timesteps between validation and test windows",
    )
    parser.add_argument("--out", type=Path, default=Path("forecast.csv"))
    parser.add_argument(
        "--summary", type=Path, metavar="CSV", help="only summarize this file"
    )
    options = parser.parse_args()
    if options.summary is None and not options.tables:
        parser.error("give CSV files of data, or --summary CSV")
    if options.summary is None:
        run(options)
    print(summarize(options.summary or options.out))


if __name__ == "__main__":
    main()
