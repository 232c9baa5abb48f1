"""Which objective when? The general encoder or next latents, and what predicts it without labels.

python benchmarks/when.py FOLDER --out when.csv [--sets uea activity hidden] [--seeds 0 1]
python benchmarks/when.py --summary when.csv

Claim, written before the first run. "series-small" encodes each channel by itself; next latents
(`NextLatent`, from scratch) read all channels jointly. (a) For one label a sequence and few clean
channels, series-small is at least level: mean of the UEA sets. (b) For questions about moments of
sequences of several channels, next latents win, the more so the more noise there is. (c) Under
noise they win for whole sequences too. So a rule needs the number of channels and the noise, and
the question asked, which no statistic of the data knows.

FOLDER holds uea/NAME/NAME_TRAIN.ts and activity/phone_watch.parquet. Sets:

uea       eight sets, one label a sequence; at most 1000 sequences of a split. "choose" is 5-fold
          cross-validation on TRAIN, "report" is TEST. Labels: all, and one a class (five draws)
activity  12 channels, see `activity.py`: after training on whole executions, macro F1 of tokens of
          .2 s from 1, 3 and 15 people, and which of the 15 an execution is of, from the half of
          them; and the activity in windows of 2 s, which are the sequences then, from 1 and 15
          people. Split 1 is "choose", the others are "report"
hidden    two pendulums seen through the first 2, 8 or 32 channels, see `hidden_state.py`: R squared
          of the state in each patch of 4 timesteps, and of the three parameters of a sequence, by
          ridge from the labels of 20 and 200 sequences, on 100 others, after training on 100 or
          1000. World 1 is "choose", the others are "report"

Methods, all without labels and with the defaults of the library:

series-small            as it is; "adapted": after the 20 steps of `fit`
series-small, channels  its tokens of each channel side by side, not summed (moments only)
untrained               the encoder of next latents, random weights
next latent             trained on the set from scratch, 300 to 1200 steps
statistics, MiniRocket  for whole sequences; raw: the values of a token (moments only)

Whole sequences are embedded with pool "all" and scored by ridge; moments by `embed_timesteps`, the
mean over a token. Columns of each row: the share of variance that is constant in a sequence, and
the share of what varies in it that is predictable, see `temporal_jepa.training.choice`.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import activity
import numpy as np
import numpy.typing as npt
import torch
from classify import capped, cross_validated, find_sets
from hidden_state import World
from measures import comparable, measure
from results import Results, markdown_table, parser_of
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from temporal_jepa import PretrainConfig, Sequences, from_pretrained
from temporal_jepa.data import read
from temporal_jepa.embed import embed_sequences, embed_timesteps
from temporal_jepa.evaluation import probes
from temporal_jepa.model.jepa import TemporalJEPA
from temporal_jepa.model.objectives import NextLatent
from temporal_jepa.training.choice import predictable_share
from temporal_jepa.training.initial import initial_model
from temporal_jepa.training.trainer import train

Array = npt.NDArray[Any]
Score = Callable[[Any], float]

MOST = 1000  # sequences of a split of the UEA sets
KNOWN, ASKED = 200, 100  # sequences of a world
WINDOW = 10  # tokens of a window of body movement
PATCH = 4  # timesteps of a token of the pendulums
TRAITS = ("channels", "sequences", "timesteps", "constant", "predictable")
COLUMNS = ("set", "seed", "question", "labels", "part", "method", "score", "cpu_s")
SEQUENCE_METHODS = (
    "series-small",
    "series-small, adapted",
    "untrained",
    "next latent",
    "statistics",
    "MiniRocket",
)
TOKEN_METHODS = (
    "series-small",
    "series-small, channels",
    "untrained",
    "next latent",
    "raw",
)
METHODS = tuple(dict.fromkeys(SEQUENCE_METHODS + TOKEN_METHODS))


@dataclass(frozen=True)
class Question:
    """Something asked of the embeddings of a set.

    Args:
        name: "sequences" or "moments".
        labels: how many are known.
        part: "choose" or "report".
        score: of features: `(n, F)` for sequences, a list of `(tokens_i, F)` for moments.
    """

    name: str
    labels: str
    part: str
    score: Score


@dataclass(frozen=True)
class Case:
    """A set.

    Args:
        name: of the set.
        learn: what methods are trained on.
        everyone: what is embedded.
        token: timesteps of a token, for moments.
        questions: that are asked.
    """

    name: str
    learn: Sequences
    everyone: Sequences
    token: int
    questions: tuple[Question, ...]


def uea(folder: Path, seed: int) -> Iterator[Case]:
    """The sets of the archive."""
    for name, (train_file, test_file) in find_sets([folder / "uea"], None).items():
        learn = capped(read(train_file), MOST)
        test = capped(read(test_file), MOST)
        everyone = Sequences([*learn.values, *test.values])
        n = len(learn)
        y, test_y = learn.labels, test.labels
        assert y is not None
        assert test_y is not None
        questions = (
            Question(
                "sequences", "all", "choose", partial(_folds, n=n, y=y, seed=seed)
            ),
            Question(
                "sequences", "all", "report", partial(_test, n=n, y=y, test_y=test_y)
            ),
            Question(
                "sequences",
                "1 a class",
                "report",
                partial(_few, n=n, y=y, test_y=test_y),
            ),
        )
        yield Case(name, replace(learn, labels=None), everyone, 1, questions)


def _folds(Z: Array, n: int, y: Array, seed: int) -> float:
    return cross_validated(Z[:n], y, "ridge", seed)


def _test(Z: Array, n: int, y: Array, test_y: Array) -> float:
    return probes.probe(Z[:n], y, Z[n:], test_y)


def _few(Z: Array, n: int, y: Array, test_y: Array) -> float:
    a, b = comparable(Z[:n], Z[n:], False)
    return measure("few1", a, y, b, test_y)


def movement(folder: Path, number: int) -> Iterator[Case]:
    """Body movement: moments of whole executions, then windows as sequences."""
    recordings = activity.load(folder / "activity" / "phone_watch.parquet")
    split = activity.Split.draw(recordings, number)
    part = "choose" if number == 1 else "report"
    questions = tuple(
        Question(
            "moments",
            f"{people} people",
            part,
            partial(_f1, split=split, people=people),
        )
        for people in activity.LABELED
    )
    person = Question("sequences", "whose, half", part, partial(_whose, split=split))
    everyone = recordings.sequences
    learn = everyone.select(split.learn)
    yield Case("activity", learn, everyone, activity.TOKEN, (*questions, person))
    yield _windows(split, part)


def _f1(features: list[Array], split: activity.Split, people: int) -> float:
    draws = split.draws(people)
    return float(
        np.mean([activity.probe(features, split, labeled) for labeled in draws])
    )


def _whose(Z: Array, split: activity.Split) -> float:
    """Accuracy of the person of every second execution, of the people who are learned from."""
    people = split.recordings.people
    known, asked = split.learn[::2], split.learn[1::2]
    return probes.probe(Z[known], people[known], Z[asked], people[asked])


def _windows(split: activity.Split, part: str) -> Case:
    """Windows of an execution, labeled by the activity of most of their tokens."""
    values: list[Array] = []
    labels: list[str] = []
    owners: list[int] = []
    recordings = split.recordings
    for row, (x, y) in enumerate(
        zip(recordings.sequences.values, recordings.labels, strict=True)
    ):
        for first in range(0, len(y) - WINDOW + 1, WINDOW):
            timesteps = slice(first * activity.TOKEN, (first + WINDOW) * activity.TOKEN)
            values.append(x[timesteps])
            labels.append(str(np.bincount(y[first : first + WINDOW]).argmax()))
            owners.append(row)
    everyone = Sequences(values)
    learn = everyone.select(
        [int(i) for i in np.flatnonzero(np.isin(owners, split.learn))]
    )
    score = partial(
        _window_accuracy, split=split, owners=np.array(owners), y=np.array(labels)
    )
    questions = tuple(
        Question("sequences", f"{people} people", part, partial(score, people=people))
        for people in (1, 15)
    )
    return Case("activity windows", learn, everyone, activity.TOKEN, questions)


def _window_accuracy(
    Z: Array, split: activity.Split, owners: Array, y: Array, people: int
) -> float:
    asked = np.isin(owners, split.ask)
    scores = []
    for labeled in split.draws(people):
        known = np.isin(owners, labeled)
        scores.append(probes.probe(Z[known], y[known], Z[asked], y[asked]))
    return float(np.mean(scores))


def hidden(number: int, options: Any) -> Iterator[Case]:
    """The pendulums of a world, through some channels, under some noise."""
    world = World(number)
    part = "choose" if number == 1 else "report"
    for channels, noise, count in product(
        options.channels, options.noise, options.counts
    ):
        kind, _, strength = noise.partition("-")
        learn, _ = world.draw(1000 + number, count, kind, float(strength))
        known, state = world.draw(2000 + number, KNOWN, kind, float(strength))
        asked, wanted = world.draw(3000 + number, ASKED, kind, float(strength))
        middle = np.concatenate([state, wanted])[:, PATCH // 2 :: PATCH]
        given = np.concatenate(
            [_parameters(2000 + number, KNOWN), _parameters(3000 + number, ASKED)]
        )
        questions = [
            Question(name, f"{labels} sequences", part, partial(score, labels=labels))
            for labels in (20, KNOWN)
            for name, score in (
                ("moments", partial(_state, middle=middle)),
                ("sequences", partial(_given, given=given)),
            )
        ]
        yield Case(
            f"hidden {channels} channels, {noise}, {count} sequences",
            _sequences(learn[..., :channels]),
            _sequences(np.concatenate([known, asked])[..., :channels]),
            PATCH,
            tuple(questions),
        )


def _sequences(x: Array) -> Sequences:
    return Sequences([*x.astype(np.float32)])


def _parameters(seed: int, count: int) -> Array:
    """Frequency, coupling and damping of the sequences that `World.draw` makes from a seed."""
    random = np.random.default_rng([seed, 2])
    ranges = ((0.2, 0.5), (0, 0.5), (0, 0.03))
    return np.hstack([random.uniform(*ends, (count, 1)) for ends in ranges])


def _state(features: list[Array], labels: int, middle: Array) -> float:
    Z = np.stack(features)
    known = Z[:labels].reshape(-1, Z.shape[-1])
    asked = Z[KNOWN:].reshape(-1, Z.shape[-1])
    return _r2(
        known, middle[:labels].reshape(-1, 6), asked, middle[KNOWN:].reshape(-1, 6)
    )


def _given(Z: Array, labels: int, given: Array) -> float:
    return _r2(Z[:labels], given[:labels], Z[KNOWN:], given[KNOWN:])


def _r2(known: Array, y: Array, asked: Array, wanted: Array) -> float:
    """R squared of a ridge regression, mean over targets, at least -1."""
    regression = make_pipeline(StandardScaler(), RidgeCV(alphas=np.logspace(-1, 5, 13)))
    guess = regression.fit(known, y).predict(asked)
    share = np.square(guess - wanted).mean(0) / wanted.var(0)
    return float(max(-1.0, 1 - share.mean()))


@dataclass(frozen=True)
class Embedded:
    """What a method makes of a set: features of sequences and of moments, when asked for."""

    sequences: Callable[[], Array]
    moments: Callable[[], list[Array]]


def embedded(method: str, case: Case, seed: int) -> Embedded:
    """The features of a method."""
    if method in ("statistics", "MiniRocket", "raw"):
        return _control(method, case, seed)
    if method == "series-small, channels":
        model = from_pretrained("series-small")
        return Embedded(_nothing, partial(_side_by_side, model, case))
    model = _trained(method, case.learn, seed)
    return Embedded(
        partial(embed_sequences, model, case.everyone),
        partial(_tokens, model, case.everyone, case.token),
    )


def _nothing() -> Array:
    raise NotImplementedError


def _trained(method: str, learn: Sequences, seed: int) -> TemporalJEPA:
    if method == "series-small":
        return from_pretrained("series-small")
    config = PretrainConfig(seed=seed, device="cpu", watch_every=10**6)
    if method == "series-small, adapted":
        return train(from_pretrained("series-small"), learn, config, pretrained=True)
    model = initial_model(learn, seed, NextLatent())
    return model.eval() if method == "untrained" else train(model, learn, config)


def _tokens(model: TemporalJEPA, sequences: Sequences, token: int) -> list[Array]:
    """The mean embedding over the timesteps of each token."""
    return [
        x[: len(x) // token * token].reshape(-1, token, x.shape[1]).mean(axis=1)
        for x in embed_timesteps(model, sequences)
    ]


def _side_by_side(model: TemporalJEPA, case: Case) -> list[Array]:
    """Tokens of each channel alone, concatenated."""
    found = []
    for channel in range(case.everyone.n_channels):
        alone = Sequences([x[:, [channel]] for x in case.everyone.values])
        found.append(_tokens(model, alone, case.token))
    return [np.hstack(parts) for parts in zip(*found, strict=True)]


def _control(method: str, case: Case, seed: int) -> Embedded:
    if method == "raw":
        return Embedded(_nothing, partial(_raw, case))
    values = case.everyone.values
    if method == "statistics":
        return Embedded(lambda: probes.stat_features(values), list)
    learn = case.learn.values
    return Embedded(lambda: probes.minirocket_features(learn, values, seed)[1], list)


def _raw(case: Case) -> list[Array]:
    """The values of a token, and mean and deviation of each channel."""
    scaler = StandardScaler().fit(np.concatenate(case.learn.values))
    rows = []
    for x in case.everyone.values:
        whole = scaler.transform(x[: len(x) // case.token * case.token])
        token = whole.reshape(-1, case.token, x.shape[1])
        flat = token.reshape(len(token), -1)
        rows.append(np.hstack([flat, token.mean(axis=1), token.std(axis=1)]))
    return rows


def traits(sequences: Sequences) -> dict[str, float]:
    """What is known of a set without labels: TRAITS.

    "constant" is the share of the variance of a channel that lies between the means of sequences.
    """
    everything = np.concatenate(sequences.values).astype(np.float64)
    variance = everything.var(axis=0)
    within = sum(len(x) * x.astype(np.float64).var(axis=0) for x in sequences.values)
    constant = 1 - (within / len(everything) / variance).mean()
    return {
        "channels": sequences.n_channels,
        "sequences": len(sequences),
        "timesteps": int(np.median(sequences.lengths)),
        "constant": round(float(constant), 3),
        "predictable": round(predictable_share(sequences), 3),
    }


def run(results: Results, case: Case, seed: int, methods: Sequence[str]) -> None:
    """Score methods on a set; rows that exist are kept."""
    facts = traits(case.learn)
    print(case.name, facts, flush=True)
    done = results.done("set", "seed", "method")
    asked = {question.name for question in case.questions}
    wanted = [*SEQUENCE_METHODS] if "sequences" in asked else []
    wanted += [*TOKEN_METHODS] if "moments" in asked else []
    for method in dict.fromkeys(wanted):
        is_done = (case.name, str(seed), method) in done
        if is_done or method not in methods or _is_left_out(method, case):
            continue
        began = time.process_time()
        found = embedded(method, case, seed)
        features: dict[str, Any] = {}
        if method in SEQUENCE_METHODS and "sequences" in asked:
            features["sequences"] = found.sequences()
        if method in TOKEN_METHODS and "moments" in asked:
            features["moments"] = found.moments()
        seconds = time.process_time() - began
        rows = []
        for question in case.questions:
            if question.name in features:
                score = question.score(features[question.name])
                head = {"set": case.name, "seed": seed, "method": method}
                head |= {"score": f"{score:.4f}", "cpu_s": f"{seconds:.1f}", **facts}
                about = {"question": question.name, "labels": question.labels}
                rows.append(head | about | {"part": question.part})
        results.add(*rows)
        scores = " ".join(
            f"{r['question'][0]}/{r['labels'][:3]} {r['score']}" for r in rows
        )
        print(f"  {method}: {scores} ({seconds:.0f} s)", flush=True)


def _is_left_out(method: str, case: Case) -> bool:
    """The 20 steps are measured on recordings only, where they change nothing."""
    return method == "series-small, adapted" and case.name.startswith("hidden")


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--out", type=Path, default=Path("when.csv"))
    parser.add_argument("--sets", nargs="+", default=["uea", "activity", "hidden"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--splits", type=int, nargs="+", default=[1, 0])
    parser.add_argument("--worlds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--channels", type=int, nargs="+", default=[2, 8, 32])
    parser.add_argument(
        "--noise", nargs="+", default=["white-0", "white-1", "white-5", "fixed-2"]
    )
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--counts", type=int, nargs="+", default=[100, 1000])
    parser.add_argument(
        "--summary", type=Path, metavar="CSV", help="only summarize this file"
    )
    options = parser.parse_args()
    if options.summary is None:
        if options.folder is None:
            parser.error("give the FOLDER of the data, or --summary CSV")
        torch.set_num_threads(1)
        results = Results(options.out, (*COLUMNS, *TRAITS))
        for case, seed in cases(options):
            run(results, case, seed, options.methods)
    print(summarize(options.summary or options.out))


def cases(options: Any) -> Iterator[tuple[Case, int]]:
    """The sets, with the seed of the methods."""
    for seed in options.seeds if "uea" in options.sets else []:
        for case in uea(options.folder, seed):
            yield case, seed
    for number in options.splits if "activity" in options.sets else []:
        for case in movement(options.folder, number):
            yield case, number
    for number in options.worlds if "hidden" in options.sets else []:
        for case in hidden(number, options):
            yield case, number


def summarize(path: Path) -> str:
    """A table for each question: sets by methods, the mean over seeds."""
    import pandas as pd

    table = pd.read_csv(path)
    parts = []
    for (part, question), rows in table.groupby(["part", "question"]):
        methods = [*dict.fromkeys(rows["method"])]
        lines = []
        for (name, labels), own in rows.groupby(["set", "labels"], sort=False):
            first = own.iloc[0]
            facts = [first["channels"], first["sequences"], first["timesteps"]]
            facts += [f"{own[name].mean():.2f}" for name in TRAITS[3:]]
            means: Mapping[Any, float] = own.groupby("method")["score"].mean()
            scores = [f"{means[m]:.3f}" if m in means else "" for m in methods]
            lines.append([name, *facts, labels, *scores])
        header = ["set", *TRAITS, "labels", *methods]
        parts += [f"{question}, {part}:", markdown_table(header, lines)]
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
