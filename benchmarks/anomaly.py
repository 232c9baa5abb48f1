"""Anomalies of long series without labels: VUS-PR of `AnomalyDetector` beside controls.

python benchmarks/anomaly.py FOLDER --seeds 0 1 2 --out anomaly.csv
python benchmarks/anomaly.py --summary anomaly.csv

FOLDER is the Numenta Anomaly Benchmark (`data/` and `labels/combined_windows.json`). The test part
of the UCR anomaly series that ships with aeon is added if aeon is installed. All scorers use the
windows that the detector chooses. The reference is the whole series or, with --reference normal,
its first part, which has no anomaly. Scorers:

random     a random number for each timestep
value      distance of a value to the median of the first part
kmeans     distance of a window's values to the nearest of 20 centers (k-means on sub-sequences)
profile    distance of a window's values to those of the nearest other window (matrix profile)
kmeans_z, profile_z   the same for windows with mean 0 and deviation 1
values     distance of a window's values to the 20 nearest: the detector without its embedding
untrained  `AnomalyDetector` with an encoder of random weights
series-small   `AnomalyDetector()`: the encoder that comes with the library
compact    the same with the 128 principal components of the embedding in place of all features
next_latent    how badly each token is predicted from those before it, by an encoder that is trained
           on the windows of the series (`NextLatent`); mean over the tokens of a window
next_latent_distance   `AnomalyDetector` with the encoder of `next_latent`

Claims about the last three, written before they were run, to be read on the half that is only
reported: `compact` is within .01 of `series-small` and stores a fifth (holds); `next_latent` is
above `kmeans` (fails); `next_latent_distance` is within .01 of `untrained` (fails).

Settings were selected on every second series by name ("dev", --halves dev); the others are only
reported. The first part (15 %, at most 750 timesteps, Numenta's probationary period) is not scored.
VUS-PR is that of Paparrizos et al. 2022 with buffers up to 500 timesteps, the value of aeon's
`range_pr_vus_score` 50 times as fast. Rows of the CSV are written as soon as they are known and are
not computed again.
"""

import argparse
import importlib.util
import json
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from results import Results, markdown_table, parser_of
from sklearn.cluster import KMeans

from temporal_jepa import PretrainConfig, Sequences, TemporalJEPA
from temporal_jepa.estimators.anomaly import AnomalyDetector
from temporal_jepa.model.objectives import NextLatent
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import train

Array = npt.NDArray[Any]
COLUMNS = (
    "series",
    "half",
    "length",
    "window",
    "scorer",
    "reference",
    "seed",
    "vus_pr",
    "seconds",
)
SCORERS = (
    "random",
    "value",
    "kmeans",
    "kmeans_z",
    "profile",
    "profile_z",
    "values",
    "untrained",
    "series-small",
    "compact",
    "next_latent",
    "next_latent_distance",
)
WITH_CHANCE = (
    "random",
    "kmeans",
    "kmeans_z",
    "untrained",
    "next_latent",
    "next_latent_distance",
)
HALVES = ("dev", "other", "ucr")
STEPS = 200  # training of an encoder of next latents
BATCH = 16
TOKENS = 64  # of a window
COMPONENTS = 128  # of the compact embedding
UCR = "135_UCR_Anomaly_InternalBleeding16"


def nab(folder: Path) -> Iterator[tuple[str, Array, Array, int]]:
    """Series with an anomaly: name, values and labels `(time,)`, length of the first part."""
    windows = json.loads((folder / "labels/combined_windows.json").read_text("utf-8"))
    for name in sorted(name for name, spans in windows.items() if spans):
        table = pd.read_csv(folder / "data" / name)
        when = pd.to_datetime(table["timestamp"])
        labels = np.zeros(len(table), dtype=int)
        for start, end in windows[name]:
            labels[(when >= start) & (when <= end)] = 1
        yield (
            name,
            table["value"].to_numpy(float),
            labels,
            min(round(0.15 * len(table)), 750),
        )


def ucr() -> Iterator[tuple[str, Array, Array, int]]:
    """The test part of the UCR anomaly series of aeon; no first part is left out."""
    spec = importlib.util.find_spec("aeon")
    if spec is not None and spec.submodule_search_locations:
        folder = Path(spec.submodule_search_locations[0]) / "datasets/data/KDD-TSAD_135"
        table = pd.read_csv(folder / f"{UCR}_TEST.csv")
        yield UCR, table["value"].to_numpy(float), table["is_anomaly"].to_numpy(int), 0


def vus_pr(
    labels: Array, score: Array, buffers: int = 500, thresholds: int = 250
) -> float:
    """Volume under the precision-recall surface; labels and score `(time,)`.

    All buffers share one sorting.
    """
    n = len(labels)
    order = np.argsort(-score, kind="stable")
    falling = score[order]
    cuts = falling[np.linspace(0, n - 1, thresholds).astype(int)]
    flagged = np.searchsorted(
        -falling, -cuts, side="right"
    )  # timesteps at or above each threshold
    areas = []
    for buffer in range(buffers + 1):
        soft = soft_labels(labels, buffer)
        hits = np.concatenate([[0], np.cumsum(soft[order])])[flagged]
        peaks = np.sort([score[start:end].max() for start, end in regions(soft)])
        found = 1 - np.searchsorted(peaks, cuts, side="left") / len(peaks)
        recall = np.minimum(hits / ((labels.sum() + soft.sum()) / 2), 1) * found
        recall = np.concatenate([[0], recall])
        precision = np.concatenate([[1], hits / flagged])
        areas.append(np.sum(np.diff(recall) * (precision[1:] + precision[:-1]) / 2))
    return float(np.mean(areas))


def soft_labels(labels: Array, buffer: int) -> Array:
    """Labels with a slope of half a buffer on both sides of each anomaly."""
    soft = labels.astype(float)
    n = len(labels)
    if buffer > 1:
        for start, end in regions(labels):
            after = np.arange(end - 1, min(end - 1 + buffer // 2, n))
            before = np.arange(max(start - buffer // 2, 0), start)
            soft[after] += np.sqrt(1 - (after - end + 1) / buffer)
            soft[before] += np.sqrt(1 - (start - before) / buffer)
    return np.minimum(soft, 1)


def regions(labels: Array) -> Array:
    """Where what is above 0 begins and ends, `(n, 2)`."""
    return np.flatnonzero(
        np.diff(np.concatenate([[0], (labels > 0).astype(int), [0]]))
    ).reshape(-1, 2)


def windows_of(x: Array, window: int, normalize: bool) -> Array:
    """Every window of x, `(time - window + 1, window)`; with mean 0 and deviation 1 where asked."""
    views = np.lib.stride_tricks.sliding_window_view(x, window)
    if not normalize:
        return views.astype(np.float32)
    spread = views.std(1, keepdims=True)
    flat = spread < 1e-6 * x.std()
    return np.where(
        flat, 0, (views - views.mean(1, keepdims=True)) / np.where(flat, 1, spread)
    ).astype(np.float32)


def kmeans(views: Array, starts: Array, usable: Array, seed: int) -> Array:
    """Distance of each window to the nearest center of the reference windows."""
    fitted = KMeans(min(20, int(usable.sum())), n_init=1, random_state=seed).fit(
        views[usable]
    )
    return np.asarray(fitted.transform(views).min(1))


def profile(views: Array, starts: Array, usable: Array, count: int) -> Array:
    """Mean distance of windows to the `count` nearest reference windows without overlap."""
    square = (views**2).sum(1)
    places = np.flatnonzero(usable)
    out = np.zeros(len(views))
    count = min(count, len(places))
    for rows in np.array_split(np.arange(len(views)), -(-len(views) // 256)):
        table = (
            square[rows][:, None] + square[places] - 2 * views[rows] @ views[places].T
        )
        table[np.abs(starts[rows][:, None] - starts[places]) < views.shape[1]] = np.inf
        nearest = np.partition(table, count - 1, axis=1)[:, :count]
        seen = np.isfinite(nearest)
        out[rows] = np.sqrt(np.where(seen, np.maximum(nearest, 0), 0)).sum(
            1
        ) / np.maximum(seen.sum(1), 1)
    return out


def spread(values: Array, starts: Array, n: int, window: int) -> Array:
    """For each of n timesteps the mean over the windows that cover it."""
    total = np.zeros(n + 1)
    count = np.zeros(n + 1)
    for sign, place in ((1, starts), (-1, starts + window)):
        np.add.at(total, place, sign * values)
        np.add.at(count, place, sign)
    return np.asarray(total.cumsum()[:n] / np.maximum(count.cumsum()[:n], 1))


def control(
    scorer: str, x: Array, prefix: int, reference: str, window: int, seed: int
) -> Array:
    """The score of each timestep of x `(time,)` by something simple."""
    if scorer == "random":
        return np.random.default_rng(seed).random(len(x))
    if scorer == "value":
        return np.abs(x - np.median(x[: prefix or None]))
    views = windows_of(x, window, scorer.endswith("_z"))
    starts = np.arange(len(views))
    if scorer == "values":
        starts = np.unique(np.append(starts[:: max(1, window // 8)], starts[-1]))
        views = views[starts] - views[starts].mean(1, keepdims=True)
    usable = (starts + window <= prefix) | (reference == "all")
    if scorer.startswith("kmeans"):
        distances = kmeans(views, starts, usable, seed)
    else:
        distances = profile(views, starts, usable, 20 if scorer == "values" else 1)
    return spread(distances, starts, len(x), window)


@lru_cache(maxsize=1)
def trained(series: bytes, window: int, seed: int) -> TemporalJEPA:
    """An encoder of next latents, trained from random weights on the windows of a series.

    The values are bytes of float64, so that the second scorer does not train again.
    """
    x = np.frombuffer(series)
    windows = windows_of(x, window, normalize=False)[:: max(1, window // 8), :, None]
    data = Sequences([*windows])
    patch_len = max(1, window // TOKENS)
    model = initial_model(data, seed, NextLatent(), patch_len=patch_len)
    config = PretrainConfig(
        steps=STEPS, batch_size=BATCH, seed=seed, device="cpu", watch_every=STEPS
    )
    return train(model, data, config)


def prediction_error(model: TemporalJEPA, x: Array, window: int) -> Array:
    """The score of each timestep of x `(time,)` by the error of its token given those before."""
    views = windows_of(x, window, normalize=False)
    starts = np.arange(len(views))
    starts = np.unique(np.append(starts[:: max(1, window // 8)], starts[-1]))
    batch = torch.from_numpy(views[starts, :, None]) - model.offset
    values, observed = model.context_encoder.prepare(batch)
    assert isinstance(model.objective, NextLatent)
    errors = model.objective.error(model.context_encoder, values, observed)  # (m, N)
    return spread(errors.nanmean(1).numpy(), starts, len(x), window)


def score(
    scorer: str, x: Array, prefix: int, reference: str, window: int, seed: int
) -> Array:
    """The score of each timestep of x `(time,)`."""
    seen = x if reference == "all" else x[:prefix]
    if scorer == "series-small":
        return AnomalyDetector(window=window).fit(seen).score(x)
    if scorer == "untrained":
        shapes = windows_of(x, window, normalize=True)[:: max(1, window // 8), :, None]
        model = initial_model(
            Sequences([*shapes]), seed, patch_len=max(1, window // 16)
        )
        return AnomalyDetector(model, window).fit(seen).score(x)
    if scorer == "compact":
        return AnomalyDetector(window=window, dim=COMPONENTS).fit(seen).score(x)
    if scorer == "next_latent":
        return prediction_error(trained(seen.tobytes(), window, seed), x, window)
    if scorer == "next_latent_distance":
        model = trained(seen.tobytes(), window, seed)
        return AnomalyDetector(model, window).fit(seen).score(x)
    return control(scorer, x, prefix, reference, window, seed)


def measure(options: argparse.Namespace) -> None:
    results = Results(options.out, COLUMNS)
    done = results.done("series", "scorer", "reference", "seed")
    reference = options.reference
    series = [*nab(options.folder)]
    if reference == "all":
        series += ucr()
    for place, (name, x, labels, prefix) in enumerate(series):
        half = "ucr" if name == UCR else ("dev", "other")[place % 2]
        if half not in options.halves:
            continue
        seen = x if reference == "all" else x[:prefix]
        window = options.window or AnomalyDetector().fit(seen).window_
        for scorer in options.scorers:
            for seed in options.seeds if scorer in WITH_CHANCE else options.seeds[:1]:
                if (name, scorer, reference, str(seed)) in done:
                    continue
                began = time.perf_counter()
                found = score(scorer, x, prefix, reference, window, seed)
                seconds = round(time.perf_counter() - began, 2)
                value = round(vus_pr(labels[prefix:], found[prefix:]), 5)
                row = (
                    name,
                    half,
                    len(x),
                    window,
                    scorer,
                    reference,
                    seed,
                    value,
                    seconds,
                )
                results.add(dict(zip(COLUMNS, row, strict=True)))
        print(f"{place + 1:3} {name}", flush=True)


def summarize(path: Path) -> str:
    """A table for each reference, and `series-small` against the other scorers."""
    table = pd.read_csv(path)
    header = [
        "scorer",
        "seeds",
        "NAB, dev half",
        "NAB, other half",
        "NAB, all",
        "std over seeds",
        "UCR 135",
        "seconds",
    ]
    parts = []
    for reference, part in table.groupby("reference"):
        rows = []
        for scorer in (s for s in SCORERS if s in set(part.scorer)):
            own = part[part.scorer == scorer]
            means = own.groupby(["half", "series"]).vus_pr.mean().reset_index()
            by_seed = own[own.half != "ucr"].groupby("seed").vus_pr.mean()
            values = [
                means.vus_pr[means.half == "dev"].mean(),
                means.vus_pr[means.half == "other"].mean(),
                means.vus_pr[means.half != "ucr"].mean(),
                by_seed.std(),
                means.vus_pr[means.half == "ucr"].mean(),
            ]
            cells = ["" if np.isnan(value) else f"{value:.3f}" for value in values]
            rows.append([scorer, len(by_seed), *cells, f"{own.seconds.mean():.1f}"])
        parts += [
            f"VUS-PR, mean over series of the mean over seeds; reference: {reference}",
            markdown_table(header, rows),
            compare(part),
        ]
    return "\n\n".join(parts)


def compare(part: pd.DataFrame) -> str:
    """`series-small` against each other scorer, paired over the series of NAB."""
    from scipy.stats import wilcoxon

    wide = (
        part[part.half != "ucr"]
        .pivot_table(index="series", columns="scorer", values="vus_pr")
        .dropna()
    )
    if "series-small" not in wide:
        return ""
    rows = []
    for scorer in (s for s in SCORERS if s in wide and s != "series-small"):
        gain = wide["series-small"] - wide[scorer]
        wins = f"{(gain > 0).sum()} / {(gain < 0).sum()}"
        rows.append(
            [scorer, wins, f"{gain.mean():+.3f}", f"{wilcoxon(gain).pvalue:.2g}"]
        )
    title = (
        f"`series-small` against each, paired over {len(wide)} series "
        "(p: Wilcoxon signed-rank, two-sided):"
    )
    header = ["against", "wins / losses", "mean difference", "p"]
    return f"{title}\n\n{markdown_table(header, rows)}"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, help="folder of the Numenta Anomaly Benchmark"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--scorers", nargs="+", choices=SCORERS, default=SCORERS)
    parser.add_argument("--halves", nargs="+", choices=HALVES, default=HALVES)
    parser.add_argument("--reference", choices=("all", "normal"), default="all")
    parser.add_argument(
        "--window",
        type=int,
        help="timesteps of a window for all scorers; default: as the detector chooses",
    )
    parser.add_argument("--out", type=Path, default=Path("anomaly.csv"))
    parser.add_argument(
        "--summary", type=Path, metavar="CSV", help="only summarize this file"
    )
    options = parser.parse_args()
    if options.summary is None and options.folder is None:
        parser.error("give the FOLDER of the data, or --summary CSV")
    if options.summary is None:
        measure(options)
    print(summarize(options.summary or options.out))


if __name__ == "__main__":
    main()
