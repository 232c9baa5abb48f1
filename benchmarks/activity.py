"""What do frozen embeddings of body movement encode when one person, or three, are labeled?

Claim, written before any run of this script: next-latent embeddings are above every control at 1
and 3 labeled people (by .05 at 1), level at 15, mean of six splits. It comes from a trial with
small networks, one draw of labeled people and fewer controls, on the same splits.

python benchmarks/activity.py FOLDER/phone_watch.parquet --out activity.csv [--splits 0 1 2 3 4 5]
python benchmarks/activity.py --summary activity.csv [--of METHOD ...] [--against METHOD ...]

Data: accelerometer and gyroscope of a phone and a watch, worn by 23 people who stand up, walk,
turn, walk back and sit down, about ten times each (GeoTecINIT/sp-sw-har-dataset, Matey-Sanz et al.
2023, CC BY 4.0). The table has the columns of the published CSVs and subject, execution, device.

Reading: rows of a device with one timestamp are averaged (the phone delivers in bursts). Both
devices are interpolated to one grid of 50 Hz, over the time that both cover: 12 channels. A token
is 10 timesteps, .2 s; a last incomplete one is left out. Its label is that of the sample of the
phone nearest to its middle (the devices agree on 99.7 % of the samples).

Protocol: a split draws 15 people, whose executions a method sees without labels, and asks about
the other 8. The labels of 1, 3 or 15 of the 15 people are known. With 1 and 3 the score is the
mean of five disjoint draws of people, the same for all methods: single people differ by .1. The
probe is a logistic regression on the features of each token, standardized on the labeled tokens
and divided by the square root of the number of features, so that one fixed penalty (C = 2) suits
all. The score is the macro F1 of the five activities over all tokens of the 8 people.

Methods see no timestep after the token, except those named "centered", whose token is in the
middle of the window, and bidirectional encoders, which read the whole execution. Windows reach
beyond the ends of an execution by repeating its first or last value. The windows of MiniRocket,
principal components and slow features and the penalty of the probe were chosen on splits 1 and 2,
by the scores of the controls. MiniRocket has 2000 kernels: 10000 gave the same on split 1.

statistics            mean, deviation and mean absolute step of each channel over 1, 5, 10 and 20
                      tokens
principal components  of windows of 8 tokens, 64; slow features of 16 tokens, 64
untrained             the encoder of the library, random weights; readings: the last layer, or the
                      tokenizer and all layers
EMA, masked           the same after training with the default settings
masked values         a masked autoencoder: `MaskedValues` with its recurrent predictor, or with
                      attention in encoder and predictor
next values           a forecast of values: `NextValues`
next latent           `NextLatent` with its defaults; "causal" rows have its architecture

With `--center yes` the mean of each execution is subtracted from it first, for every method. A CSV
is continued: `--methods` adds rows to it. An objective of the library is a line of METHODS.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from numpy.lib.stride_tricks import sliding_window_view
from results import Results, markdown_table, parser_of
from scipy.linalg import eigh
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.preprocessing import StandardScaler

from temporal_jepa.config import PretrainConfig
from temporal_jepa.data import Sequences
from temporal_jepa.embed import embed_tokens
from temporal_jepa.model.jepa import TemporalJEPA
from temporal_jepa.model.objectives import MaskedValues, NextLatent, NextValues
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import train

Array = npt.NDArray[Any]
Features = Sequence[Array]
Reader = Callable[[TemporalJEPA, Sequences], list[Array]]
Found = list[Array] | dict[str, list[Array]]
Method = Callable[[Sequences, Sequences, int], Found]

LABELS = ("SEATED", "STANDING_UP", "WALKING", "TURNING", "SITTING_DOWN")
DEVICES = ("phone", "watch")
AXES = ("x_acc", "y_acc", "z_acc", "x_gyro", "y_gyro", "z_gyro")
PERIOD = 20.0  # milliseconds between timesteps
TOKEN = 10  # timesteps
LEARN = 15  # people without labels
LABELED = (1, 3, 15)
DRAWS = 5  # of labeled people, disjoint
PENALTY = 2.0  # C of the logistic regression
KERNELS = 2000  # of MiniRocket
COLUMNS = (
    "split",
    "center",
    "method",
    "reading",
    "features",
    "people",
    "draw",
    "macro_f1",
    "cpu_seconds",
)


@dataclass(frozen=True)
class Recordings:
    """Executions of the test, with a label for each token.

    Args:
        sequences: values of both devices on one grid, whole tokens; ids are "subject/execution".
        labels: numbers of LABELS, `(tokens_i,)` each.
        people: the subject of each execution.
    """

    sequences: Sequences
    labels: list[Array]
    people: Array


def load(path: Path) -> Recordings:
    """All executions of a table."""
    table = pd.read_parquet(path)
    names: list[str] = []
    values: list[Array] = []
    labels: list[Array] = []
    for (subject, execution), rows in table.groupby(
        ["subject", "execution"], observed=True
    ):
        x, y = align(rows)
        names.append(f"{subject}/{execution}")
        values.append(x)
        labels.append(y)
    channels = [f"{device} {axis}" for device in DEVICES for axis in AXES]
    sequences = Sequences(values, ids=names, channels=channels, source=path.name)
    return Recordings(sequences, labels, np.array([n.split("/")[0] for n in names]))


def align(rows: pd.DataFrame) -> tuple[Array, Array]:
    """One execution: values `(tokens * TOKEN, 12)` and labels `(tokens,)`."""
    means = rows.groupby(["device", "timestamp"], observed=True)[list(AXES)].mean()
    devices = [means.loc[device] for device in DEVICES]
    first = max(device.index[0] for device in devices)
    last = min(device.index[-1] for device in devices)
    grid = np.arange(first, last, PERIOD)
    grid = grid[: len(grid) // TOKEN * TOKEN]
    columns = [
        np.interp(grid, device.index, device[axis])
        for device in devices
        for axis in AXES
    ]
    phone = rows[rows["device"] == DEVICES[0]].sort_values("timestamp")
    number = phone["label"].astype(str).map(LABELS.index).to_numpy()
    middle = grid.reshape(-1, TOKEN).mean(axis=1)
    at = nearest(phone["timestamp"].to_numpy(), middle)
    return np.stack(columns, axis=1).astype(np.float32), number[at]


def nearest(times: Array, wanted: Array) -> Array:
    """Position in sorted times that is nearest to each wanted time."""
    after = np.searchsorted(times, wanted).clip(1, len(times) - 1)
    before = after - 1
    return np.where(wanted - times[before] <= times[after] - wanted, before, after)


def without_mean(sequences: Sequences) -> Sequences:
    """Each execution without its own mean."""
    values = [x - x.mean(axis=0) for x in sequences.values]
    return Sequences(values, ids=sequences.ids, channels=sequences.channels)


@dataclass(frozen=True)
class Split:
    """People to learn from and people to ask.

    Args:
        recordings: of everybody.
        order: people in the order of the split; the first LEARN are those to learn from.
    """

    recordings: Recordings
    order: Array

    @classmethod
    def draw(cls, recordings: Recordings, seed: int) -> "Split":
        random = np.random.default_rng(seed)
        return cls(recordings, random.permutation(np.unique(recordings.people)))

    def of(self, people: Array) -> list[int]:
        """Executions of these people."""
        chosen = np.isin(self.recordings.people, people)
        return [int(i) for i in np.flatnonzero(chosen)]

    @property
    def learn(self) -> list[int]:
        """Executions to learn from, without labels."""
        return self.of(self.order[:LEARN])

    @property
    def ask(self) -> list[int]:
        """Executions of the other people."""
        return self.of(self.order[LEARN:])

    def draws(self, count: int) -> list[list[int]]:
        """Executions of `count` labeled people: up to DRAWS disjoint draws.

        The draws of 1 person are the first people of those of 3.
        """
        spacing = max(count, LEARN // DRAWS)
        starts = range(0, LEARN, spacing)
        return [self.of(self.order[start : start + count]) for start in starts]


def probe(features: Features, split: Split, labeled: list[int]) -> float:
    """Macro F1 over the tokens of the people who are asked."""
    labels = split.recordings.labels
    scaler = StandardScaler()
    train_Z = scaler.fit_transform(np.concatenate([features[i] for i in labeled]))
    test_Z = scaler.transform(np.concatenate([features[i] for i in split.ask]))
    shrink = train_Z.dtype.type(train_Z.shape[1] ** -0.5)
    model = LogisticRegression(C=PENALTY, max_iter=1000)
    model.fit(train_Z * shrink, np.concatenate([labels[i] for i in labeled]))
    guess = model.predict(test_Z * shrink)
    truth = np.concatenate([labels[i] for i in split.ask])
    return float(f1_score(truth, guess, average="macro"))


def score(features: Features, split: Split) -> dict[int, list[float]]:
    """Labeled people -> macro F1 of each draw.

    Args:
        features: `(tokens_i, F)` of every execution, in the order of the recordings.
        split: people to learn from and people to ask.
    """
    return {
        people: [probe(features, split, labeled) for labeled in split.draws(people)]
        for people in LABELED
    }


def standardized(learn: Sequences, everyone: Sequences) -> list[Array]:
    """Everyone's values in units of the deviation of each channel in `learn`."""
    scaler = StandardScaler().fit(np.concatenate(learn.values))
    return [scaler.transform(x) for x in everyone.values]


def windows(x: Array, tokens: int, is_centered: bool) -> Array:
    """A window for each token that ends with it, or has it in the middle.

    Args:
        x: `(time, channels)`.
        tokens: length of the window.
        is_centered: whether the token is in the middle.

    Returns:
        `(tokens_i, channels, length)`.
    """
    length = tokens * TOKEN
    extra = length - TOKEN
    after = extra // 2 if is_centered else 0
    padded = np.pad(x, ((extra - after, after), (0, 0)), mode="edge")
    return sliding_window_view(padded, length, axis=0)[::TOKEN]


def raw_tokens(learn: Sequences, everyone: Sequences, seed: int) -> list[Array]:
    """The values of a token, and mean and deviation of each channel."""
    rows = []
    for x in standardized(learn, everyone):
        token = windows(x, 1, False)
        flat = token.reshape(len(token), -1)
        rows.append(np.hstack([flat, token.mean(axis=2), token.std(axis=2)]))
    return rows


def statistics(
    learn: Sequences, everyone: Sequences, seed: int, is_centered: bool = False
) -> list[Array]:
    """Mean, deviation and mean absolute step of each channel over 1, 5, 10 and 20 tokens."""
    rows = []
    for x in standardized(learn, everyone):
        row: list[Array] = []
        for tokens in (1, 5, 10, 20):
            window = windows(x, tokens, is_centered)
            step = np.abs(np.diff(window, axis=2)).mean(axis=2)
            row += [window.mean(axis=2), window.std(axis=2), step]
        rows.append(np.hstack(row))
    return rows


def minirocket(
    learn: Sequences,
    everyone: Sequences,
    seed: int,
    tokens: int,
    is_centered: bool = False,
) -> list[Array]:
    """MiniRocket of windows, its biases fitted on windows of `learn`, without labels."""
    from aeon.transformations.collection.convolution_based import MiniRocket

    own = [windows(x, tokens, is_centered) for x in standardized(learn, learn)]
    rows = [windows(x, tokens, is_centered) for x in standardized(learn, everyone)]
    rocket = MiniRocket(n_kernels=KERNELS, random_state=seed)
    rocket.fit(np.concatenate(own))
    features = np.asarray(rocket.transform(np.concatenate(rows)), dtype=np.float32)
    return np.split(features, np.cumsum([len(x) for x in rows])[:-1])


def flat_windows(
    learn: Sequences, everyone: Sequences, tokens: int
) -> tuple[list[Array], list[Array]]:
    """Windows that end with the token, as vectors: those of `learn`, those of everyone."""
    parts = []
    for part in (learn, everyone):
        cut = [windows(x, tokens, False) for x in standardized(learn, part)]
        parts.append([x.reshape(len(x), -1) for x in cut])
    return parts[0], parts[1]


def components(
    learn: Sequences,
    everyone: Sequences,
    seed: int,
    tokens: int,
    width: int,
) -> list[Array]:
    """Principal components of windows."""
    own, rows = flat_windows(learn, everyone, tokens)
    pca = PCA(width, random_state=seed).fit(np.concatenate(own))
    return [pca.transform(x) for x in rows]


def slow_features(
    learn: Sequences,
    everyone: Sequences,
    seed: int,
    tokens: int,
    width: int,
) -> list[Array]:
    """The linear maps of windows that change least from token to token, at unit variance."""
    own, rows = flat_windows(learn, everyone, tokens)
    whiten = PCA(2 * width, whiten=True, random_state=seed).fit(np.concatenate(own))
    steps = np.concatenate([np.diff(whiten.transform(x), axis=0) for x in own])
    _, slow = eigh(steps.T @ steps, subset_by_index=(0, width - 1))
    return [whiten.transform(x) @ slow for x in rows]


def last_layer(model: TemporalJEPA, sequences: Sequences) -> list[Array]:
    """The tokens of the last layer."""
    tokens, observed = embed_tokens(model, sequences)
    return [row[own] for row, own in zip(tokens, observed, strict=True)]


@torch.inference_mode()
def all_layers(model: TemporalJEPA, sequences: Sequences) -> list[Array]:
    """The tokens of the tokenizer and of every layer, side by side."""
    encoder = model.target_encoder
    rows = []
    for x in sequences.values:
        batch = torch.from_numpy(x)[None] - model.offset
        layers = encoder.encode(*encoder.prepare(batch)).layers
        rows.append(torch.cat([*layers], dim=-1)[0].numpy())
    return rows


READINGS: dict[str, Reader] = {"last layer": last_layer, "all layers": all_layers}


def encoder(
    learn: Sequences,
    everyone: Sequences,
    seed: int,
    training: Mapping[str, Any] | None = MappingProxyType({}),
    readings: Mapping[str, Reader] = MappingProxyType(READINGS),
    **settings: Any,
) -> dict[str, list[Array]]:
    """Readings of an encoder of the library.

    Args:
        learn: to be trained on.
        everyone: to be embedded.
        seed: of the weights and the training.
        training: fields of `PretrainConfig`; None leaves the weights random.
        readings: name -> function of a model and sequences, with `(tokens_i, F)` for each.
        settings: fields of `TemporalJEPAConfig`, the objective among them.
    """
    model = initial_model(learn, seed, **{"patch_len": TOKEN, **settings}).eval()
    if training is not None:
        train(
            model, learn, PretrainConfig(**{"seed": seed, "device": "cpu", **training})
        )
    return {name: read(model, everyone) for name, read in readings.items()}


METHODS: dict[str, Method] = {
    "raw token": raw_tokens,
    "statistics": statistics,
    "statistics, centered": partial(statistics, is_centered=True),
    "MiniRocket": partial(minirocket, tokens=4),
    "MiniRocket, centered": partial(minirocket, tokens=8, is_centered=True),
    "principal components": partial(components, tokens=8, width=64),
    "slow features": partial(slow_features, tokens=16, width=64),
    "untrained": partial(encoder, training=None),
    "untrained, causal": partial(encoder, training=None, **NextLatent.recipe),
    "EMA, masked": encoder,
    "EMA, masked, causal": partial(encoder, **NextLatent.recipe),
    "masked values": partial(encoder, objective=MaskedValues()),
    "masked values, attention": partial(
        encoder, objective=MaskedValues("transformer"), encoder_depth=2
    ),
    "next values": partial(encoder, objective=NextValues()),
    "next latent": partial(encoder, objective=NextLatent()),
    "next latent, slow": partial(encoder, objective=NextLatent(), normalize="slow"),
}


def work(
    split: Split, number: int, center: str, method: str
) -> Iterator[dict[str, Any]]:
    """All rows of a method."""
    everyone = split.recordings.sequences
    if center == "yes":
        everyone = without_mean(everyone)
    began = time.process_time()
    found = METHODS[method](everyone.select(split.learn), everyone, number)
    seconds = time.process_time() - began
    readings = found if isinstance(found, dict) else {"": found}
    for reading, features in readings.items():
        check(features, split.recordings)
        head = {
            "split": number,
            "center": center,
            "method": method,
            "reading": reading,
            "features": features[0].shape[1],
            "cpu_seconds": round(seconds, 1),
        }
        for people, values in score(features, split).items():
            for draw, value in enumerate(values):
                row = {"people": people, "draw": draw, "macro_f1": round(value, 4)}
                yield head | row


def check(features: Features, recordings: Recordings) -> None:
    """ValueError unless there is one row for each token."""
    tokens = [len(x) for x in features]
    if tokens != [len(x) for x in recordings.labels]:
        raise ValueError("expected one row of features for each token")


def run(options: argparse.Namespace) -> None:
    recordings = load(options.table)
    print(
        f"{len(recordings.labels)} executions of {len(set(recordings.people))} people, "
        f"{sum(map(len, recordings.labels))} tokens",
        flush=True,
    )
    results = Results(options.out, COLUMNS)
    done = results.done("split", "center", "method")
    for number in options.splits:
        split = Split.draw(recordings, number)
        for center in options.center:
            for method in options.methods:
                if (str(number), center, method) in done:
                    continue
                began = time.perf_counter()
                results.add(*work(split, number, center, method))
                seconds = time.perf_counter() - began
                print(
                    f"split {number}, center {center}, {method}: {seconds:.0f} s",
                    flush=True,
                )


def summarize(path: Path, of: Sequence[str], against: Sequence[str]) -> str:
    """Tables in Markdown: means over draws, then over splits.

    Args:
        path: CSV file.
        of: rows to compare; all if empty.
        against: rows that are subtracted from them; none if empty.
    """
    table = pd.read_csv(path, keep_default_na=False)
    has_reading = table["reading"] != ""
    table["row"] = table["method"] + (", " + table["reading"]).where(has_reading, "")
    parts = []
    for center, rows in table.groupby("center", sort=False):
        title = "Mean of each execution subtracted. " if center == "yes" else ""
        parts += [
            f"{title}Macro F1 by labeled people, mean ± deviation over splits:",
            scores_table(rows),
        ]
        for name in against:
            parts += [
                f"{title}Difference to {name} by labeled people, mean and splits above:",
                differences_table(rows, of or [*rows["row"].unique()], name),
            ]
    return "\n\n".join(parts)


def by_split(rows: pd.DataFrame, name: str) -> dict[int, dict[int, float]]:
    """Labeled people -> split -> macro F1, mean over draws."""
    found: dict[int, dict[int, float]] = {people: {} for people in LABELED}
    own = rows[rows["row"] == name]
    for people, split in own[["people", "split"]].drop_duplicates().to_numpy():
        draws = own[(own["people"] == people) & (own["split"] == split)]
        found[int(people)][int(split)] = float(draws["macro_f1"].mean())
    return found


def scores_table(rows: pd.DataFrame) -> str:
    lines = []
    for name, own in rows.groupby("row", sort=False):
        scores = [[*part.values()] for part in by_split(rows, str(name)).values()]
        cells = [mean_and_deviation(part) for part in scores]
        seconds = own.drop_duplicates("split")["cpu_seconds"].mean()
        lines.append(
            [name, own["features"].iloc[0], *cells, len(scores[0]), f"{seconds:.1f}"]
        )
    header = ["", "features", *map(str, LABELED), "splits", "CPU s a split"]
    return markdown_table(header, lines)


def mean_and_deviation(values: Sequence[float]) -> str:
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def differences_table(rows: pd.DataFrame, of: Sequence[str], against: str) -> str:
    """Paired differences over the splits that both rows have."""
    other = by_split(rows, against)
    lines = []
    for name in of:
        cells = [name]
        for people, own in by_split(rows, name).items():
            gain = [
                own[split] - other[people][split]
                for split in own
                if split in other[people]
            ]
            if not gain:
                continue
            each = " ".join(f"{value:+.3f}" for value in gain)
            above = sum(value > 0 for value in gain)
            cells.append(f"{np.mean(gain):+.3f}, {above} of {len(gain)}: {each}")
        if name != against and len(cells) > 1:
            lines.append(cells)
    return markdown_table(["", *map(str, LABELED)], lines)


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("table", nargs="?", type=Path)
    parser.add_argument("--splits", nargs="+", type=int, default=[0, 1, 2, 3, 4, 5])
    parser.add_argument("--methods", nargs="+", default=[*METHODS], choices=METHODS)
    parser.add_argument(
        "--center",
        nargs="+",
        default=["no"],
        choices=["no", "yes"],
        help="whether to subtract the mean of each execution",
    )
    parser.add_argument("--out", type=Path, default=Path("activity.csv"))
    parser.add_argument(
        "--summary", type=Path, metavar="CSV", help="only summarize this file"
    )
    parser.add_argument("--of", nargs="+", default=[], help="rows to compare")
    parser.add_argument(
        "--against", nargs="+", default=[], help="rows that are subtracted from them"
    )
    options = parser.parse_args()
    if options.summary is None and options.table is None:
        parser.error("give the table of the data, or --summary CSV")
    if options.summary is None:
        torch.set_num_threads(1)
        run(options)
    print(summarize(options.summary or options.out, options.of, options.against))


if __name__ == "__main__":
    main()
