"""What do frozen embeddings of trajectories know? Vehicles, species, storms, and whose track it is.

python benchmarks/tracks.py FOLDER --out tracks.csv [--sets gotrack animals] [--seeds 0 1 2 3 4]
python benchmarks/tracks.py --summary tracks.csv

FOLDER holds gotrack/go_track_trackspoints.csv and go_track_tracks.csv (UCI GPS Trajectories),
vehicles/vehicles.parquet (chorochronos: trucks and school buses), animals/animals.parquet (Starkey:
elk, deer, cattle) and hurricanes/Hurricanes_1944_to_2013.csv (HURDAT2).

Tracks of fewer than 8 fixes and exact copies are left out. Every seed has its own split: 70 %
train, 30 % test, stratified; for gotrack whole users are held out (the best balanced of 30
draws). Encoders are pretrained on the train tracks with the default settings, and all probes are
fitted on them:

raw values         the channels resampled to one length, ridge
untrained encoder  weights drawn from the seed, ridge
pretrained         the same after pretraining, ridge
statistics         moments and quantiles of speed, acceleration, turn (and dt), length, duration;
                   random forest
1-NN DTW           paths from their first fix, resampled to 64 places, a band of a tenth
MiniRocket         of the path from its first fix, or of the channels, resampled to the longest of
                   train, ridge

Retrieval: the odd fixes of every test track are searched among the even fixes of all tracks
(T-JEPA, arXiv 2406.12913; TrajCL, arXiv 2210.05155), both with a share of fixes dropped or with
noise, in units of the median step. `rank` is the mean place of the right track, 1 at best. No
method sees where on Earth a track lies.
"""

import argparse
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from aeon.distances import dtw_pairwise_distance
from results import Results, markdown_table, parser_of
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import RidgeClassifierCV
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score
from sklearn.model_selection import GroupShuffleSplit, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from temporal_jepa.config import PretrainConfig
from temporal_jepa.data import Sequences, read
from temporal_jepa.data.trajectories import movement
from temporal_jepa.embed import embed_sequences
from temporal_jepa.evaluation.neighbors import standardize
from temporal_jepa.evaluation.probes import minirocket_features, raw_features
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import train as pretrain

Array = npt.NDArray[Any]
COLUMNS = (
    "set",
    "features",
    "seed",
    "task",
    "method",
    "accuracy",
    "balanced",
    "macro_f1",
    "rank",
    "first",
    "seconds",
)
FILES = {
    "vehicles": "vehicles/vehicles.parquet",
    "animals": "animals/animals.parquet",
    "hurricanes": "hurricanes/Hurricanes_1944_to_2013.csv",
}
SETS = ("gotrack", *FILES)
MOTION = ("x", "y", "speed", "acceleration", "turn", "dt", "dx", "dy")
# --resample: the usual interval in units of the table, read as seconds (hours of the last two)
STEPS = {"gotrack": 5.0, "vehicles": 30.0, "animals": 2.0, "hurricanes": 6.0}
SHORTEST = 8
DTW_LENGTH = 64
BAND = 0.1
RETRIEVALS = {  # share of dropped fixes, noise
    "clean": (0.0, 0.0),
    "drop .1": (0.1, 0.0),
    "drop .2": (0.2, 0.0),
    "drop .3": (0.3, 0.0),
    "drop .4": (0.4, 0.0),
    "noise .5": (0.0, 0.5),
}


def load(folder: Path, name: str, step: float | None) -> tuple[Sequences, Array]:
    """The labeled tracks of a set, all channels, and their groups, which no split takes apart."""
    options: dict[str, Any] = {"features": MOTION, "values": ""}
    if step is not None:
        options |= {"step": step, "gap": 0}
    if name == "gotrack":
        points = pd.read_csv(folder / "gotrack/go_track_trackspoints.csv")
        tracks = pd.read_csv(folder / "gotrack/go_track_tracks.csv").set_index("id")
        points["kind"] = (
            points["track_id"].map(tracks["car_or_bus"]).map({1: "car", 2: "bus"})
        )
        points = points[["track_id", "time", "longitude", "latitude", "kind"]]
        found = read(points, id="track_id", label="kind", **options)
        groups = (
            tracks["id_android"]
            .loc[[int(i.split("#")[0]) for i in found.ids]]
            .to_numpy()
        )
    else:
        found = read(folder / FILES[name], **options)
        groups = np.arange(len(found))
    kept = []
    seen = set()
    assert found.places is not None
    for i, places in enumerate(found.places):
        is_copy = places.tobytes() in seen
        seen.add(places.tobytes())
        if len(places) >= SHORTEST and not is_copy:
            kept.append(i)
    return found.select(kept), groups[kept]


def split(labels: Array, groups: Array, seed: int) -> tuple[Array, Array]:
    """Positions of the train and the test tracks."""
    everyone = np.arange(len(labels))
    if len(np.unique(groups)) == len(groups):
        train, test = train_test_split(
            everyone, test_size=0.3, stratify=labels, random_state=seed
        )
        return np.sort(train), np.sort(test)
    names = np.unique(labels)
    shuffled = GroupShuffleSplit(30, test_size=0.3, random_state=seed)

    def unbalanced(draw: tuple[Array, Array]) -> float:
        shares = [[np.mean(labels[part] == name) for name in names] for part in draw]
        return float(
            np.abs(np.subtract(*shares)).sum() + abs(len(draw[1]) / len(labels) - 0.3)
        )

    return min(shuffled.split(everyone, labels, groups), key=unbalanced)


def channels(tracks: Sequences, names: tuple[str, ...]) -> Sequences:
    """The same tracks with these channels only."""
    columns = [tracks.channels.index(name) for name in names]
    return replace(
        tracks, values=[x[:, columns] for x in tracks.values], channels=list(names)
    )


def statistics(tracks: Sequences, timing: bool) -> Array:
    """What a person would compute of a movement: `(n, features)`."""
    motion = ["speed", "acceleration", "turn"]
    if timing:
        motion.append("dt")
    rows = []
    for x in tracks.values:
        row = []
        column = dict(zip(tracks.channels, x.T, strict=True))
        for name in motion:
            v = (
                np.abs(column[name])
                if name in ("turn", "acceleration")
                else column[name]
            )
            v = v[np.isfinite(v)] if np.isfinite(v).any() else np.zeros(1)
            row += [
                v.mean(),
                v.std(),
                *np.quantile(v, [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1]),
            ]
        path = np.column_stack([column["x"], column["y"]])
        length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
        distance = float(np.linalg.norm(path[-1] - path[0]))
        row += [length, distance, distance / max(length, 1e-9), *np.ptp(path, axis=0)]
        if timing:
            row += [np.nansum(column["dt"]), len(x)]
        rows.append(row)
    return np.array(rows, dtype=np.float64)


def warped(queries: Sequences, among: Sequences, length: int = DTW_LENGTH) -> Array:
    """DTW distances `(m, n)` of paths from their first fix."""
    blocks = []
    for part in (queries, among):
        flat = raw_features(channels(part, ("x", "y")).values, length)
        blocks.append(
            np.ascontiguousarray(flat.reshape(-1, length, 2).transpose(0, 2, 1))
        )
    return np.asarray(dtw_pairwise_distance(blocks[0], blocks[1], window=BAND))


def classify(
    train: Sequences,
    test: Sequences,
    names: tuple[str, ...],
    seed: int,
    models: dict[str, Any],
) -> Iterator[tuple[str, Array]]:
    """Yield (method, predicted labels of test)."""
    assert train.labels is not None

    def ridge(train_Z: Array, test_Z: Array) -> Array:
        model = make_pipeline(
            SimpleImputer(),
            StandardScaler(),
            RidgeClassifierCV(alphas=np.logspace(-3, 3, 10)),
        )
        return model.fit(train_Z, train.labels).predict(test_Z)

    chosen = [channels(part, names) for part in (train, test)]
    length = min(int(train.lengths.max()), 1024)
    yield "raw values", ridge(*(raw_features(part.values, length) for part in chosen))
    for method, model in models.items():
        yield method, ridge(*(embed_sequences(model, part) for part in chosen))
    forest = RandomForestClassifier(500, random_state=seed)
    forest.fit(statistics(train, "dt" in names), train.labels)
    yield "statistics", forest.predict(statistics(test, "dt" in names))
    yield "1-NN DTW", train.labels[warped(test, train).argmin(1)]
    paths = [channels(part, ("x", "y")) for part in (train, test)]
    for method, parts in (
        ("MiniRocket, path", paths),
        ("MiniRocket, same channels", chosen),
    ):
        yield (
            method,
            ridge(*minirocket_features(parts[0].values, parts[1].values, seed)),
        )


def half(
    tracks: Sequences,
    start: int,
    drop: float,
    noise: float,
    random: np.random.Generator,
    every: float | None,
) -> Sequences:
    """Every second fix from `start` on, some of them dropped or moved; all channels.

    Args:
        tracks: whole tracks.
        start: 0 or 1.
        drop: share of the fixes to drop.
        noise: standard deviation of the noise, in units of the median step.
        random: random state.
        every: seconds between fixes that are interpolated; None leaves the fixes as they are.
    """
    assert tracks.places is not None
    assert tracks.times is not None
    places = []
    values = []
    for place, when in zip(tracks.places, tracks.times, strict=True):
        at = np.arange(start, len(place), 2)
        at = np.sort(random.permutation(at)[: max(3, round((1 - drop) * len(at)))])
        here = place[at]
        step = np.median(np.linalg.norm(np.diff(place, axis=0), axis=1))
        here = here + random.normal(size=here.shape) * noise * step
        since = when[at] - when[at][0]
        seconds = (
            since / np.timedelta64(1, "s")
            if since.dtype.kind == "m"
            else since.astype(float)
        )
        if every is not None:
            grid = every * np.arange(max(int(seconds[-1] / every), 2) + 1)
            here = np.column_stack([np.interp(grid, seconds, axis) for axis in here.T])
            seconds = grid
        motion = movement(here, seconds, tracks.degrees)
        columns = [motion[name] for name in tracks.channels]
        values.append(np.column_stack(columns).astype(np.float32))
        places.append(here)
    return replace(tracks, values=values, places=places, times=None)


def retrieve(
    tracks: Sequences,
    test: Array,
    names: tuple[str, ...],
    seed: int,
    models: dict[str, Any],
    every: float | None,
) -> Iterator[tuple[str, str, Array]]:
    """Yield (condition, method, ranks `(m,)` of the right track, 1 the first).

    The queries are the odd halves of the test tracks.
    """
    for number, (condition, (drop, noise)) in enumerate(RETRIEVALS.items()):
        random = np.random.default_rng([seed, number])
        among = half(tracks, 0, drop, noise, random, every)
        queries = half(tracks.select(test), 1, drop, noise, random, every)
        for method, model in models.items():
            Z = [
                embed_sequences(model, channels(part, names))
                for part in (queries, among)
            ]
            yield condition, method, _ranks(_distances(*Z), test)
        S = [statistics(part, "dt" in names) for part in (queries, among)]
        yield condition, "statistics", _ranks(_distances(*S), test)
        yield condition, "1-NN DTW", _ranks(warped(queries, among), test)


def _distances(queries: Array, among: Array) -> Array:
    a = standardize(queries, among)
    b = standardize(among)
    return np.asarray((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T)


def _ranks(distance: Array, right: Array) -> Array:
    own = distance[np.arange(len(right)), right][:, None]
    return np.asarray(1 + (distance < own).sum(1))


def work(options: argparse.Namespace, name: str, seed: int) -> Iterator[dict[str, Any]]:
    """All rows of a set and a seed."""
    names = tuple(options.features.split(","))
    every = STEPS[name] if options.resample else None
    tracks, groups = load(options.folder, name, every)
    assert tracks.labels is not None
    first, second = split(tracks.labels, groups, seed)
    train = tracks.select(first)
    test = tracks.select(second)
    began = time.process_time()
    untrained = initial_model(channels(train, names), seed).eval()
    trained = initial_model(channels(train, names), seed)
    pretrain(trained, channels(train, names), PretrainConfig(seed=seed, device="cpu"))
    seconds = {"pretrained": time.process_time() - began}
    models = {"untrained encoder": untrained, "pretrained": trained.eval()}
    head = {"set": name, "features": title(options), "seed": seed}
    for method, guess in classify(train, test, names, seed, models):
        yield {
            **head,
            "task": "class",
            "method": method,
            "accuracy": accuracy_score(test.labels, guess),
            "balanced": balanced_accuracy_score(test.labels, guess),
            "macro_f1": f1_score(test.labels, guess, average="macro"),
            "seconds": seconds.get(method, ""),
        }
    if seed >= options.searches:
        return
    whole, _ = load(options.folder, name, None)
    chosen = np.flatnonzero(np.isin(whole.ids, test.ids))
    for condition, method, ranks in retrieve(whole, chosen, names, seed, models, every):
        yield {
            **head,
            "task": condition,
            "method": method,
            "rank": ranks.mean(),
            "first": (ranks == 1).mean(),
        }


def title(options: argparse.Namespace) -> str:
    """The column `features`."""
    return (
        f"{options.features} resampled" if options.resample else str(options.features)
    )


def run(options: argparse.Namespace) -> None:
    results = Results(options.out, COLUMNS)
    done = results.done("set", "features", "seed")
    for seed in options.seeds:
        for name in options.sets:
            if (name, title(options), str(seed)) in done:
                continue
            began = time.perf_counter()
            rows = [
                {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
                for row in work(options, name, seed)
            ]
            results.add(*rows)  # all at once: what is in the file is done
            print(
                f"{name} seed {seed}: {time.perf_counter() - began:.0f} s", flush=True
            )


def summarize(path: Path) -> str:
    """Tables in Markdown, means over seeds."""
    table = pd.read_csv(path)
    parts = []
    for features, part in table[table["task"] == "class"].groupby(
        "features", sort=False
    ):
        sets = part["set"].unique()
        header = ["", *(f"{name} ({_seeds(part, name)})" for name in sets)]
        rows = [
            [method, *(_cell(own[own["set"] == name]) for name in sets)]
            for method, own in part.groupby("method", sort=False)
        ]
        parts += [
            f"Channels {features}; accuracy ± deviation over seeds / balanced accuracy / macro F1:",
            markdown_table(header, rows),
        ]
    for features, part in table[table["task"] != "class"].groupby(
        "features", sort=False
    ):
        wide = part.pivot_table(
            index=["set", "method"], columns="task", values="rank", sort=False
        )
        rows = []
        for (name, method), row in wide.iterrows():
            first = method == wide.index[0][1]
            cells = ["" if np.isnan(value) else f"{value:.1f}" for value in row]
            rows.append(
                [f"{name} ({_seeds(part, name)})" if first else "", method, *cells]
            )
        parts += [
            f"Channels {features}; mean rank of the right track:",
            markdown_table(["set", "features", *wide.columns], rows),
        ]
    return "\n\n".join(parts)


def _seeds(part: pd.DataFrame, name: str) -> str:
    count = part[part["set"] == name]["seed"].nunique()
    return f"{count} seeds" if count > 1 else "1 seed"


def _cell(rows: pd.DataFrame) -> str:
    means = [f"{rows[c].mean():.3f}" for c in ("accuracy", "balanced", "macro_f1")]
    spread = f" ± {rows['accuracy'].std():.3f}" if len(rows) > 1 else ""
    return f"{means[0]}{spread} / {means[1]} / {means[2]}"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--sets", nargs="+", default=[*SETS], choices=SETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument(
        "--features",
        default="dx,dy,speed",
        help="channels of the encoder (the default of read)",
    )
    parser.add_argument(
        "--searches",
        type=int,
        default=5,
        metavar="N",
        help="retrieval for seeds below N only",
    )
    parser.add_argument(
        "--resample",
        action="store_true",
        help="at equal intervals, so that dt is constant",
    )
    parser.add_argument("--out", type=Path, default=Path("tracks.csv"))
    parser.add_argument(
        "--summary", type=Path, metavar="CSV", help="only summarize this file"
    )
    options = parser.parse_args()
    if options.summary is None and options.folder is None:
        parser.error("give the FOLDER of the data, or --summary CSV")
    warnings.filterwarnings(
        "ignore", "unsafe cast from uint64"
    )  # numba, about aeon's DTW
    if options.summary is None:
        run(options)
    print(summarize(options.summary or options.out))


if __name__ == "__main__":
    main()
