"""What does prediction add? One encoder, one stream of series, one probe: the objective varies.

python benchmarks/objectives.py FOLDER/ucr FOLDER/uea --seeds 0 1 2 3 4 --half --most 150
python benchmarks/objectives.py --summary objectives.csv

Each objective trains the encoder of `series_small.py` (half as wide by default) from the same
weights on the same series, then a ridge classifier reads its frozen features on every set:
"shipped", the embedding of `series-small` with raw values, and "last", mean, standard deviation
and maximum of the last layer alone. An existing CSV is continued.
"""

import argparse
import copy
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
import torch.nn.functional as F
from classify import find_sets, load
from results import Results, markdown_table, parser_of
from scipy.stats import wilcoxon
from series_small import PairHeads, build, pair_loss, train
from torch import Tensor, nn

from temporal_jepa.data import Sequences
from temporal_jepa.embed import embed_sequences
from temporal_jepa.model.jepa import TemporalJEPA
from temporal_jepa.model.masks import gather_tokens, positions_of
from temporal_jepa.model.multiscale import fill_missing, standardize_at
from temporal_jepa.model.regularizers import variance_covariance

FEATURES = ("shipped", "last")
COLUMNS = ("objective", "seed", "dataset", *FEATURES, "cpu_seconds")
LENGTH = 256  # to which series are resampled for "last"
ROWS = 64  # channels that are encoded together


@dataclass(frozen=True)
class Objective:
    """What is minimized.

    Args:
        predict: "tokens" (the target encoder's last layer), "layers" (the mean of all its layers),
            "time" (that mean, standardized over the time of each series), "finer" (the target
            encoder sees twice the resolution), "values" or "" (nothing).
        weight: of the prediction.
        regularize: whether variance and covariance of the context tokens count.
        pairs: whether series of one process must find each other.
        teacher: "ema", "untrained" or "reconstruction": the targets come from an encoder trained to
            reconstruct, frozen.
        context: weight of predicting visible tokens, divided by the root of their distance from a
            masked one.
        settings: fields of `TemporalJEPAConfig`.
    """

    predict: str = "tokens"
    weight: float = 1.0
    regularize: bool = True
    pairs: bool = False
    teacher: str = "ema"
    context: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


UNTRAINED = "untrained"
REGULARIZER = "regulariser"
OBJECTIVES = {
    UNTRAINED: Objective(predict="", regularize=False),
    REGULARIZER: Objective(predict=""),
    "prediction": Objective(regularize=False),
    "reconstruction": Objective(predict="values", regularize=False),
    "tokens": Objective(),
    "tokens, weight 4": Objective(weight=4.0),
    "tokens, random masks": Objective(settings={"mask": "random"}),
    "tokens, long blocks (80 %)": Objective(settings={"mask_ratio": 0.8}),
    "tokens, future (50 %)": Objective(settings={"mask": "future", "mask_ratio": 0.5}),
    "tokens, four masks (75 %)": Objective(
        settings={"num_masks": 4, "mask_ratio": 0.75}
    ),
    "tokens, larger predictor": Objective(
        settings={"predictor_embed_dim": 128, "predictor_depth": 4}
    ),
    "all layers": Objective(predict="layers"),
    "all layers, over time": Objective(predict="time"),
    "finer tokens": Objective(predict="finer"),
    "tokens, visible ones too": Objective(context=0.5),
    "untrained teacher": Objective(teacher="untrained"),
    "reconstructing teacher": Objective(teacher="reconstruction"),
    "twins": Objective(predict="", regularize=False, pairs=True),
    "twins, regulariser": Objective(predict="", pairs=True),
    "twins, tokens": Objective(pairs=True),
}
"""Name in the CSV -> objective; "twins" are positive pairs."""


@torch.no_grad()
def targets(model: TemporalJEPA, x: Tensor, kind: str) -> Tensor:
    """What is to be predicted at every token of the context's grid: `(B, T, 1)` -> `(B, N, D)`."""
    if kind == "values":
        return torch.unflatten(x[:, :, 0], 1, (-1, model.config.patch))
    encoder = model.target_encoder
    layers = encoder.encode(*encoder.prepare(x)).layers
    if kind == "layers":
        return torch.stack([F.layer_norm(h, h.shape[-1:]) for h in layers]).mean(0)
    if kind == "time":
        standardized = [
            (h - h.mean(1, keepdim=True)) / (h.var(1, keepdim=True) + 1e-4).sqrt()
            for h in layers
        ]
        return torch.stack(standardized).mean(0)
    last = F.layer_norm(layers[-1], layers[-1].shape[-1:])
    return torch.unflatten(last, 1, (-1, 2)).mean(2) if kind == "finer" else last


def token_terms(
    model: TemporalJEPA,
    head: nn.Module,
    x: Tensor,
    generator: torch.Generator,
    objective: Objective,
) -> dict[str, Tensor]:
    """Prediction and regularizer of one batch, `(B, T, 1)`."""
    encoder = model.context_encoder
    config = model.config
    repeats = config.num_masks
    target = targets(model, x, objective.predict) if objective.predict else None
    if objective.predict == "finer":
        x = torch.unflatten(x, 1, (-1, 2)).mean(2)
    visible = model.draw_masks(x, generator).flatten(0, 1)  # (V * B, N)
    x, observed = encoder.prepare(x)
    observed = encoder.mask(observed.repeat(repeats, 1, 1), visible)
    context = encoder.encode(x.repeat(repeats, 1, 1), observed)
    terms = {}
    if target is not None:
        predict_all = torch.ones_like(visible)
        positions, valid = positions_of(predict_all if objective.context else ~visible)
        wanted = gather_tokens(target.repeat(repeats, 1, 1), positions)
        predicted = head(model.predictor(context, positions, valid))
        error = F.smooth_l1_loss(predicted, wanted, reduction="none").mean(2)
        weight = torch.ones_like(error)
        if objective.context:
            weight = distance_weights(visible, objective.context)
        terms["prediction"] = objective.weight * (error * weight).sum() / weight.sum()
    if objective.regularize:
        spread = variance_covariance(
            context.layers[-1], context.positions, context.valid, context.num_tokens
        )
        terms["regulariser"] = (
            config.variance_weight * spread.variance
            + config.covariance_weight * spread.covariance
        )
    return terms


def distance_weights(visible: Tensor, scale: float) -> Tensor:
    """1 for masked tokens, `scale / sqrt(distance to masked)` for visible ones: `(B, N)`."""
    time = torch.arange(visible.shape[1])
    distance = (time[:, None] - time).abs() + 10_000 * visible[:, None]  # (B, N, N)
    return torch.where(visible, scale / distance.amin(2).clamp(min=1).sqrt(), 1.0)


def trained(objective: Objective, options: argparse.Namespace) -> TemporalJEPA:
    """The model after `options.steps` of this objective, its target encoder ready to embed."""
    model = build(options, **objective.settings)
    if objective == OBJECTIVES[UNTRAINED]:
        return model.eval()
    if objective.teacher == "reconstruction":
        teacher = trained(OBJECTIVES["reconstruction"], options).target_encoder
        model.target_encoder.load_state_dict(teacher.state_dict())
    contrast = PairHeads(model)
    head: nn.Module = nn.Identity()
    if objective.predict == "values":
        head = nn.Linear(options.width, model.config.patch)

    def terms(x: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        found = {}
        if objective.pairs:
            found["twins"] = pair_loss(model, contrast, x)
        if objective.predict or objective.regularize:
            found |= token_terms(model, head, x[::2], generator, objective)
        return found

    if objective.teacher == "ema":
        return train(model, [contrast, head], terms, options)
    # The teacher stays as it is, and the student embeds.
    model.update_target = lambda momentum: None  # type: ignore[method-assign]
    train(model, [contrast, head], terms, options)
    model.target_encoder.load_state_dict(
        copy.deepcopy(model.context_encoder.state_dict())
    )
    return model


def sample(sequences: Sequences, most: int) -> Sequences:
    """At most this many of the sequences, the same each time."""
    if len(sequences) <= most:
        return sequences
    return sequences.select(
        np.sort(np.random.default_rng(0).permutation(len(sequences))[:most])
    )


@torch.no_grad()
def last_layer(model: TemporalJEPA, sequences: Sequences) -> npt.NDArray[np.float32]:
    """Mean, standard deviation and maximum of the last layer's tokens: `(n, 3 D)`.

    The features of the channels are added with fixed random signs, as in `MultiResolution`.
    """
    encoder = model.target_encoder
    series = [fill_missing(torch.from_numpy(x))[None] for x in sequences.values]
    channels = torch.cat([standardize_at(x, LENGTH)[0] for x in series])  # (n * C, L)
    pooled = []
    for rows in channels.float()[:, :, None].split(ROWS):
        tokens = encoder.encode(*encoder.prepare(rows)).layers[-1]
        std = tokens.var(1, unbiased=False).clamp(min=1e-12).sqrt()
        pooled.append(torch.cat([tokens.mean(1), std, tokens.amax(1)], dim=1))
    features = torch.cat(pooled).numpy()
    signs = np.stack(
        [
            np.random.default_rng(channel).choice([-1.0, 1.0], features.shape[1])
            for channel in range(sequences.n_channels)
        ]
    )
    by_channel = features.reshape(len(sequences), sequences.n_channels, -1)
    return (by_channel * signs).sum(1).astype(np.float32)


def evaluate(
    model: TemporalJEPA, splits: Mapping[str, tuple[Sequences, Sequences]]
) -> list[dict[str, Any]]:
    """Accuracy of ridge on both kinds of features, a row for each data set."""
    from temporal_jepa.evaluation.probes import probe

    rows = []
    for name, (fitted, held_out) in splits.items():
        row: dict[str, Any] = {"dataset": name}
        for kind, features in zip(FEATURES, (embed_sequences, last_layer), strict=True):
            train_Z = features(model, fitted)
            test_Z = features(model, held_out)
            row[kind] = probe(
                train_Z, fitted.labels, test_Z, held_out.labels, "ridge", 0
            )
        rows.append(row)
    return rows


def run(options: argparse.Namespace) -> None:
    names = sorted(find_sets(options.folders, None))
    paths = find_sets(options.folders, names[::2] if options.half else names)
    splits = {
        name: (
            sample(load(train_path), options.most),
            sample(load(test_path), options.most),
        )
        for name, (train_path, test_path) in sorted(paths.items())
    }
    results = Results(options.out, COLUMNS)
    done = results.done("objective", "seed")
    for seed in options.seeds:
        options.seed = seed
        for name in options.objectives or OBJECTIVES:
            if (name, str(seed)) in done:
                continue
            began = time.process_time()
            model = trained(OBJECTIVES[name], options)
            seconds = round(time.process_time() - began)
            rows = evaluate(model, splits)
            head = {"objective": name, "seed": seed, "cpu_seconds": seconds}
            results.add(*({**row, **head} for row in rows))
            means = [
                f"{kind} {np.mean([row[kind] for row in rows]):.4f}"
                for kind in FEATURES
            ]
            print(name, seed, f"{seconds} s", *means, flush=True)


def summarize(path: Path) -> str:
    """Means over sets and seeds, and each objective against two controls."""
    table = pd.read_csv(path)
    seeds = table.groupby("objective")["seed"].nunique()
    header = [
        "objective",
        "seeds",
        "CPU s",
        "mean",
        "std over seeds",
        "against the regulariser alone",
        "p",
        "against untrained",
        "p",
    ]
    parts = []
    for kind in FEATURES:
        rows = []
        for name in (name for name in OBJECTIVES if name in seeds):
            own = table[table["objective"] == name]
            by_seed = own.groupby("seed")[kind].mean()
            rows.append(
                [
                    name,
                    seeds[name],
                    f"{own['cpu_seconds'].mean():.0f}",
                    f"{by_seed.mean():.4f}",
                    f"{by_seed.std():.4f}",
                    *against(table, kind, name, REGULARIZER),
                    *against(table, kind, name, UNTRAINED),
                ]
            )
        sets = table["dataset"].nunique()
        parts.append(f"{kind}, {sets} sets\n\n{markdown_table(header, rows)}")
    return "\n\n".join(parts)


def against(table: pd.DataFrame, kind: str, name: str, other: str) -> tuple[str, str]:
    """Mean gain over another objective, wins/ties/losses, and p; over the seeds that both have."""
    rows = table[table["objective"].isin([name, other])]
    shared = rows.groupby("seed")["objective"].nunique()
    rows = rows[rows["seed"].isin(shared.index[shared == 2])]
    both = rows.pivot_table(index="dataset", columns="objective", values=kind)
    if name == other or both.shape[1] < 2:
        return "", ""
    gain = (both[name] - both[other]).round(9)
    p = wilcoxon(gain, zero_method="pratt").pvalue if gain.any() else 1.0
    counts = f"{(gain > 0).sum()}/{(gain == 0).sum()}/{(gain < 0).sum()}"
    return f"{gain.mean():+.4f} ({counts})", f"{p:.2g}"


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument(
        "folders",
        nargs="*",
        type=Path,
        metavar="FOLDER",
        help="of data sets, as for classify.py",
    )
    parser.add_argument(
        "--objectives",
        nargs="+",
        choices=OBJECTIVES,
        metavar="NAME",
        help=f"of {', '.join(OBJECTIVES)}".replace("%", "%%"),
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument(
        "--pairs", type=int, default=32, help="pairs of series per step"
    )
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument(
        "--half",
        action="store_true",
        help="every second set in alphabetical order (development)",
    )
    parser.add_argument(
        "--most", type=int, default=10**9, metavar="N", help="series per split at most"
    )
    parser.add_argument("--out", type=Path, default=Path("objectives.csv"))
    parser.add_argument(
        "--summary", type=Path, metavar="CSV", help="only summarize this file"
    )
    options = parser.parse_args()
    if options.summary is None and not options.folders:
        parser.error("give a FOLDER of data sets, or --summary CSV")
    torch.set_num_threads(1)
    if options.summary is None:
        run(options)
    print(summarize(options.summary or options.out))


if __name__ == "__main__":
    main()
