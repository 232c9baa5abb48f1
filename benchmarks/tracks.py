"""What do frozen embeddings of trajectories know? Kinds of vehicles, species, classes of storms, and whose track it is.

python benchmarks/tracks.py FOLDER --out tracks.csv [--sets gotrack animals] [--seeds 0 1 2 3 4]
python benchmarks/tracks.py --summary tracks.csv

FOLDER holds gotrack/go_track_trackspoints.csv and go_track_tracks.csv (UCI GPS Trajectories), vehicles/vehicles.parquet
(chorochronos: trucks and school buses), animals/animals.parquet (Starkey: elk, deer, cattle) and
hurricanes/Hurricanes_1944_to_2013.csv (HURDAT2).

Tracks of fewer than 8 fixes and exact copies are left out. For every seed a split of its own: 70 % train, 30 % test,
stratified; for gotrack whole users are held out (the best balanced of 30 draws). Encoders are pretrained on the train
tracks with the default settings, and all probes are fitted on them:

raw values         the channels resampled to one length, ridge
untrained encoder  weights drawn from the seed, ridge
pretrained         the same after pretraining, ridge
statistics         moments and quantiles of speed, acceleration, turn (and dt), length, duration; random forest
1-NN DTW           paths from their first fix, resampled to 64 places, a band of a tenth
MiniRocket         of the path from its first fix, or of the channels, resampled to the longest of train, ridge

Retrieval: the odd fixes of every test track are looked for among the even fixes of all tracks (T-JEPA, arXiv
2406.12913; TrajCL, arXiv 2210.05155), both with a share of fixes dropped or with noise, in parts of the median step.
`rank` is the mean place of the right one, 1 at best. No method sees where on Earth a track lies.
"""

import argparse
import csv
import sys
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
SETS = ("gotrack", "vehicles", "animals", "hurricanes")
MOTION = ("x", "y", "speed", "acceleration", "turn", "dt")
STEPS = {
    "gotrack": 5.0,
    "vehicles": 30.0,
    "animals": 2.0,
    "hurricanes": 6.0,
}  # --resample: the usual
# interval in the units of the table: seconds, seconds, hours, hours (which are read as seconds)
SHORTEST = 8
DTW_LENGTH = 64
BAND = 0.1
RETRIEVALS = {
    "clean": (0.0, 0.0),
    "drop .1": (0.1, 0.0),
    "drop .2": (0.2, 0.0),
    "drop .3": (0.3, 0.0),
    "drop .4": (0.4, 0.0),
    "noise .5": (0.0, 0.5),
}


def load(folder: Path, name: str, step: float | None) -> tuple[Sequences, Array]:
    """The labelled tracks of a set with all channels, and the group of each, which no split takes apart."""
    options: dict[str, Any] = {"features": [*dict.fromkeys((*MOTION, "dx", "dy"))], "values": ""}
    options |= {} if step is None else {"step": step, "gap": 0}
    if name == "gotrack":
        points = pd.read_csv(folder / "gotrack/go_track_trackspoints.csv")
        tracks = pd.read_csv(folder / "gotrack/go_track_tracks.csv").set_index("id")
        points["kind"] = points["track_id"].map(tracks["car_or_bus"]).map({1: "car", 2: "bus"})
        points = points[["track_id", "time", "longitude", "latitude", "kind"]]
        found = read(points, id="track_id", label="kind", **options)
        groups = tracks["id_android"].loc[[int(i.split("#")[0]) for i in found.ids]].to_numpy()
    else:
        kinds = {"vehicles": "vehicles.parquet", "animals": "animals.parquet"}
        found = read(folder / name / kinds.get(name, "Hurricanes_1944_to_2013.csv"), **options)
        groups = np.arange(len(found))
    assert found.places is not None
    first = {places.tobytes(): i for i, places in reversed([*enumerate(found.places)])}
    kept = [
        i
        for i, x in enumerate(found.values)
        if len(x) >= SHORTEST and first[found.places[i].tobytes()] == i
    ]
    return found.select(kept), groups[kept]


def split(labels: Array, groups: Array, seed: int) -> tuple[Array, Array]:
    """Positions of the train and the test tracks."""
    everyone = np.arange(len(labels))
    if len(np.unique(groups)) == len(groups):
        train, test = train_test_split(everyone, test_size=0.3, stratify=labels, random_state=seed)
        return np.sort(train), np.sort(test)
    names = np.unique(labels)
    draws = list(
        GroupShuffleSplit(30, test_size=0.3, random_state=seed).split(everyone, labels, groups)
    )

    def unbalanced(draw: tuple[Array, Array]) -> float:
        share = [[np.mean(labels[part] == name) for name in names] for part in draw]
        return float(np.abs(np.subtract(*share)).sum() + abs(len(draw[1]) / len(labels) - 0.3))

    return min(draws, key=unbalanced)


def channels(tracks: Sequences, names: tuple[str, ...]) -> Sequences:
    """The same tracks with these channels alone."""
    columns = [tracks.channels.index(name) for name in names]
    return replace(tracks, values=[x[:, columns] for x in tracks.values], channels=list(names))


def statistics(tracks: Sequences, timing: bool) -> Array:
    """What a person would compute of a movement: `(n, features)`."""
    motion = (
        ["speed", "acceleration", "turn", "dt"] if timing else ["speed", "acceleration", "turn"]
    )
    rows = []
    for x in tracks.values:
        row = []
        column = dict(zip(tracks.channels, x.T, strict=True))
        for name in motion:
            v = np.abs(column[name]) if name in ("turn", "acceleration") else column[name]
            v = v[np.isfinite(v)] if np.isfinite(v).any() else np.zeros(1)
            row += [v.mean(), v.std(), *np.quantile(v, [0, 0.1, 0.25, 0.5, 0.75, 0.9, 1])]
        path = np.column_stack([column["x"], column["y"]])
        length = float(np.linalg.norm(np.diff(path, axis=0), axis=1).sum())
        there = float(np.linalg.norm(path[-1] - path[0]))
        row += [length, there, there / max(length, 1e-9), *np.ptp(path, axis=0)]
        rows.append([*row, *([np.nansum(column["dt"]), len(x)] if timing else [])])
    return np.array(rows, dtype=np.float64)


def warped(asked: Sequences, among: Sequences, length: int = DTW_LENGTH) -> Array:
    """DTW distances `(m, n)` of paths from their first fix."""
    blocks = []
    for part in (asked, among):
        flat = raw_features(channels(part, ("x", "y")).values, length)
        blocks.append(np.ascontiguousarray(flat.reshape(-1, length, 2).transpose(0, 2, 1)))
    return np.asarray(dtw_pairwise_distance(blocks[0], blocks[1], window=BAND))


def ridge() -> Any:
    return make_pipeline(
        SimpleImputer(), StandardScaler(), RidgeClassifierCV(alphas=np.logspace(-3, 3, 10))
    )


def classify(
    train: Sequences, test: Sequences, names: tuple[str, ...], seed: int, models: dict[str, Any]
) -> Iterator[tuple[str, Array]]:
    """Yield (method, predicted labels of test)."""
    assert train.labels is not None
    inside = [channels(part, names) for part in (train, test)]
    length = min(int(train.lengths.max()), 1024)
    yield (
        "raw values",
        ridge()
        .fit(raw_features(inside[0].values, length), train.labels)
        .predict(raw_features(inside[1].values, length)),
    )
    for method, model in models.items():
        Z = [embed_sequences(model, part) for part in inside]
        yield method, ridge().fit(Z[0], train.labels).predict(Z[1])
    forest = RandomForestClassifier(500, random_state=seed).fit(
        statistics(train, "dt" in names), train.labels
    )
    yield "statistics", forest.predict(statistics(test, "dt" in names))
    yield "1-NN DTW", train.labels[warped(test, train).argmin(1)]
    paths = [channels(part, ("x", "y")) for part in (train, test)]
    for method, parts in (("MiniRocket, path", paths), ("MiniRocket, same channels", inside)):
        blocks = minirocket_features(parts[0].values, parts[1].values, seed)
        yield method, ridge().fit(blocks[0], train.labels).predict(blocks[1])


def half(
    tracks: Sequences,
    start: int,
    drop: float,
    noise: float,
    random: np.random.Generator,
    every: float | None,
) -> Sequences:
    """Every second fix from `start` on, some of them dropped or moved by a share of the median step; all channels.

    every: seconds between the fixes that are then put in on straight lines; None leaves them as they are.
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
        seconds = since / np.timedelta64(1, "s") if since.dtype.kind == "m" else since.astype(float)
        if every is not None:
            grid = every * np.arange(max(int(seconds[-1] / every), 2) + 1)
            here = np.column_stack([np.interp(grid, seconds, axis) for axis in here.T])
            seconds = grid
        known = movement(here, seconds, tracks.degrees)
        values.append(np.column_stack([known[name] for name in tracks.channels]).astype(np.float32))
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
    """Yield (condition, method, places (m,) of the right track, 1 the first) for the odd halves of the test tracks."""
    for number, (condition, (drop, noise)) in enumerate(RETRIEVALS.items()):
        random = np.random.default_rng([seed, number])
        among = half(tracks, 0, drop, noise, random, every)
        asked = half(tracks.select(test), 1, drop, noise, random, every)
        for method, model in models.items():
            Z = [embed_sequences(model, channels(part, names)) for part in (asked, among)]
            yield condition, method, _places(_distances(Z[0], Z[1]), test)
        S = [statistics(part, "dt" in names) for part in (asked, among)]
        yield condition, "statistics", _places(_distances(S[0], S[1]), test)
        yield condition, "1-NN DTW", _places(warped(asked, among), test)


def _distances(asked: Array, among: Array) -> Array:
    a = standardize(asked, among)
    b = standardize(among)
    return np.asarray((a**2).sum(1)[:, None] + (b**2).sum(1) - 2 * a @ b.T)


def _places(distance: Array, right: Array) -> Array:
    own = distance[np.arange(len(right)), right][:, None]
    return np.asarray(1 + (distance < own).sum(1))


def work(
    folder: Path, name: str, seed: int, names: tuple[str, ...], resample: bool, search: bool
) -> Iterator[dict[str, Any]]:
    """All rows of a set and a seed."""
    every = STEPS[name] if resample else None
    tracks, groups = load(folder, name, every)
    assert tracks.labels is not None
    first, second = split(tracks.labels, groups, seed)
    train = tracks.select(first)
    test = tracks.select(second)
    began = time.process_time()
    untrained = initial_model(channels(train, names), seed).eval()
    trained = initial_model(channels(train, names), seed)
    pretrain(trained, channels(train, names), PretrainConfig(seed=seed, device="cpu"))
    models = {"untrained encoder": untrained, "pretrained": trained.eval()}
    head = {"set": name, "features": ",".join(names) + " resampled" * resample, "seed": seed}
    took = {"pretrained": time.process_time() - began}
    for method, guess in classify(train, test, names, seed, models):
        yield {
            **head,
            "task": "class",
            "method": method,
            "accuracy": accuracy_score(test.labels, guess),
            "balanced": balanced_accuracy_score(test.labels, guess),
            "macro_f1": f1_score(test.labels, guess, average="macro"),
            "seconds": took.get(method, ""),
        }
    if not search:
        return
    whole, _ = load(folder, name, None)
    chosen = np.flatnonzero(np.isin(whole.ids, test.ids))
    for condition, method, places in retrieve(whole, chosen, names, seed, models, every):
        yield {
            **head,
            "task": condition,
            "method": method,
            "rank": places.mean(),
            "first": (places == 1).mean(),
        }


def run(options: argparse.Namespace) -> None:
    done: set[tuple[str, ...]] = set()
    names = tuple(options.features.split(","))
    title = options.features + " resampled" * options.resample
    if options.out.exists():
        with options.out.open(newline="", encoding="utf-8") as file:
            done = {(row["set"], row["features"], row["seed"]) for row in csv.DictReader(file)}
    with options.out.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if file.tell() == 0:
            writer.writeheader()
        for seed in options.seeds:
            for name in options.sets:
                if (name, title, str(seed)) in done:
                    continue
                began = time.perf_counter()
                for row in work(
                    options.folder, name, seed, names, options.resample, seed < options.searches
                ):
                    writer.writerow(
                        {k: round(v, 4) if isinstance(v, float) else v for k, v in row.items()}
                    )
                file.flush()
                print(f"{name} seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)


def summary(path: Path) -> str:
    """Tables in Markdown, means over seeds."""
    table = pd.read_csv(path)
    lines = []
    for features, part in table[table["task"] == "class"].groupby("features", sort=False):
        sets = part["set"].unique()
        heads = [f"{name} ({_seeds(part, name)})" for name in sets]
        lines += [
            "",
            f"Channels {features}; accuracy ± deviation over seeds / balanced accuracy / macro F1:",
            "",
            f"| | {' | '.join(heads)} |",
            "|---" * (len(sets) + 1) + "|",
        ]
        for method, rows in part.groupby("method", sort=False):
            cells = [_cell(rows[rows["set"] == name]) for name in sets]
            lines.append(f"| {method} | {' | '.join(cells)} |")
    for features, part in table[table["task"] != "class"].groupby("features", sort=False):
        wide = part.pivot_table(index=["set", "method"], columns="task", values="rank", sort=False)
        lines += ["", f"Channels {features}; mean rank of the right track:", ""]
        lines += [
            f"| set | features | {' | '.join(wide.columns)} |",
            "|---" * (len(wide.columns) + 2) + "|",
        ]
        for (name, method), row in wide.iterrows():
            where = f"{name} ({_seeds(part, name)})" if method == wide.index[0][1] else ""
            cells = ["" if np.isnan(v) else f"{v:.1f}" for v in row]
            lines.append(f"| {where} | {method} | {' | '.join(cells)} |")
    return "\n".join(lines).strip()


def _seeds(part: pd.DataFrame, name: str) -> str:
    count = part[part["set"] == name]["seed"].nunique()
    return f"{count} seed" + "s" * (count > 1)


def _cell(rows: pd.DataFrame) -> str:
    means = [f"{rows[c].mean():.3f}" for c in ("accuracy", "balanced", "macro_f1")]
    spread = f" ± {rows['accuracy'].std():.3f}" if len(rows) > 1 else ""
    return f"{means[0]}{spread} / {means[1]} / {means[2]}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--sets", nargs="+", default=[*SETS], choices=SETS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument(
        "--features", default="dx,dy,speed", help="channels of the encoder (the default of read)"
    )
    parser.add_argument(
        "--searches", type=int, default=5, metavar="N", help="retrieval for seeds below N only"
    )
    parser.add_argument(
        "--resample", action="store_true", help="at equal times, so that dt says nothing"
    )
    parser.add_argument("--out", type=Path, default=Path("tracks.csv"))
    parser.add_argument(
        "--summary", type=Path, metavar="CSV", help="only print the tables of this file"
    )
    options = parser.parse_args()
    if options.summary is None and options.folder is None:
        parser.error("give the FOLDER of the data, or --summary CSV")
    warnings.filterwarnings("ignore", "unsafe cast from uint64")  # numba, about aeon's DTW
    if options.summary is None:
        run(options)
    print(summary(options.summary or options.out))


if __name__ == "__main__":
    sys.exit(main())
