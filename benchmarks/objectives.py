"""What does prediction add? One encoder, one stream of synthetic series, one probe: only the objective differs.

python benchmarks/objectives.py FOLDER/ucr FOLDER/uea --seeds 0 1 2 3 4 --half --most 150 --out objectives.csv
python benchmarks/objectives.py --summary objectives.csv

Each objective trains the encoder of `series_small.py` (half as wide by default) from the same weights on the same
series, then a ridge classifier reads its frozen features on every set: "shipped", the embedding of `series-small` with
the values beside, and "last", mean, spread and maximum of the last layer alone. A CSV that is there is continued.
"""

import argparse
import copy
import csv
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
from scipy.stats import wilcoxon
from series_small import build, train, twins_head, twins_loss
from torch import Tensor, nn

from temporal_jepa.data import Sequences
from temporal_jepa.embed import embed_sequences
from temporal_jepa.model.jepa import TemporalJEPA
from temporal_jepa.model.losses import variance_covariance
from temporal_jepa.model.masks import gather_tokens, kept_positions
from temporal_jepa.model.multiscale import embed_views

COLUMNS = ("objective", "seed", "dataset", "shipped", "last", "cpu_seconds")


@dataclass(frozen=True)
class Objective:
    """What is minimised.

    Args:
        predict: "tokens" (the target encoder's last layer), "layers" (the mean of all its layers), "time" (that mean,
            standardised over the time of each series), "finer" (the target encoder sees twice the resolution),
            "values" or "" (nothing).
        weight: of the prediction.
        regularise: whether variance and covariance of the context tokens count.
        twins: whether series of one process must find each other.
        teacher: "ema", "untrained" or "reconstruction": targets come from an encoder trained to reconstruct, frozen.
        context: weight of predicting visible tokens, divided by the root of their distance from a hidden one.
        settings: fields of `TemporalJEPAConfig`.
    """

    predict: str = "tokens"
    weight: float = 1.0
    regularise: bool = True
    twins: bool = False
    teacher: str = "ema"
    context: float = 0.0
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


OBJECTIVES = {
    "untrained": Objective(predict="", regularise=False),
    "regulariser": Objective(predict=""),
    "prediction": Objective(regularise=False),
    "reconstruction": Objective(predict="values", regularise=False),
    "tokens": Objective(),
    "tokens, weight 4": Objective(weight=4.0),
    "tokens, random masks": Objective(settings={"mask": "random"}),
    "tokens, long blocks (80 %)": Objective(settings={"mask_ratio": 0.8}),
    "tokens, future (50 %)": Objective(settings={"mask": "future", "mask_ratio": 0.5}),
    "tokens, four masks (75 %)": Objective(settings={"num_masks": 4, "mask_ratio": 0.75}),
    "tokens, larger predictor": Objective(
        settings={"predictor_embed_dim": 128, "predictor_depth": 4}
    ),
    "all layers": Objective(predict="layers"),
    "all layers, over time": Objective(predict="time"),
    "finer tokens": Objective(predict="finer"),
    "tokens, visible ones too": Objective(context=0.5),
    "untrained teacher": Objective(teacher="untrained"),
    "reconstructing teacher": Objective(teacher="reconstruction"),
    "twins": Objective(predict="", regularise=False, twins=True),
    "twins, regulariser": Objective(predict="", twins=True),
    "twins, tokens": Objective(twins=True),
}


@torch.no_grad()
def targets(model: TemporalJEPA, x: Tensor, kind: str) -> Tensor:
    """What is to be predicted at every token of the context's grid: `(B, T, 1)` -> `(B, N, D)`."""
    if kind == "values":
        return torch.unflatten(x[:, :, 0], 1, (-1, model.config.patch))
    layers = model.target_encoder.encode(*model.target_encoder.prepare(x)).layers
    if kind in ("layers", "time"):
        normed = [F.layer_norm(h, h.shape[-1:]) for h in layers]
        if kind == "time":
            normed = [
                (h - h.mean(1, keepdim=True)) / (h.var(1, keepdim=True) + 1e-4).sqrt()
                for h in layers
            ]
        return torch.stack(normed).mean(0)
    last = F.layer_norm(layers[-1], layers[-1].shape[-1:])
    return torch.unflatten(last, 1, (-1, 2)).mean(2) if kind == "finer" else last


def token_terms(
    model: TemporalJEPA, head: nn.Module, x: Tensor, generator: torch.Generator, what: Objective
) -> dict[str, Tensor]:
    """Prediction and regulariser of one batch, `(B, T, 1)`."""
    encoder = model.context_encoder
    repeats = model.config.num_masks
    target = targets(model, x, what.predict) if what.predict else None
    if what.predict == "finer":
        x = torch.unflatten(x, 1, (-1, 2)).mean(2)
    visible = model.draw_masks(x, generator).flatten(0, 1)  # (V * B, N)
    x, known = encoder.prepare(x)
    context = encoder.encode(
        x.repeat(repeats, 1, 1), encoder.mask(known.repeat(repeats, 1, 1), visible)
    )
    terms = {}
    if target is not None:
        index, valid = kept_positions(torch.ones_like(visible) if what.context else ~visible)
        wanted = gather_tokens(target.repeat(repeats, 1, 1), index)
        error = F.smooth_l1_loss(
            head(model.predictor(context, index, valid)), wanted, reduction="none"
        ).mean(2)
        weight = torch.ones_like(error)
        if what.context:
            time = torch.arange(visible.shape[1])
            apart = (time[:, None] - time).abs() + 10_000 * visible[:, None]  # (V * B, N, N)
            weight = torch.where(visible, what.context / apart.amin(2).clamp(min=1).sqrt(), 1.0)
        terms["prediction"] = what.weight * (error * weight).sum() / weight.sum()
    if what.regularise:
        spread = variance_covariance(
            context.layers[-1], context.index, context.valid, context.num_tokens
        )
        terms["regulariser"] = (
            model.config.variance_weight * spread.variance
            + model.config.covariance_weight * spread.covariance
        )
    return terms


def trained(what: Objective, options: argparse.Namespace) -> TemporalJEPA:
    """The model after `options.steps` of this objective, its target encoder ready to embed."""
    model = build(options, **what.settings)
    if what == OBJECTIVES["untrained"]:
        return model.eval()
    if what.teacher == "reconstruction":
        teacher = trained(OBJECTIVES["reconstruction"], options).target_encoder
        model.target_encoder.load_state_dict(teacher.state_dict())
    patch = model.config.patch
    heads = {
        "twins": twins_head(options),
        "tokens": nn.Linear(options.width, patch) if what.predict == "values" else nn.Identity(),
    }

    def terms(x: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        found = {"twins": twins_loss(model, heads["twins"], x)} if what.twins else {}
        if what.predict or what.regularise:
            found |= token_terms(model, heads["tokens"], x[::2], generator, what)
        return found

    if what.teacher != "ema":  # the teacher stays as it is, the student is what embeds
        model.update_target = lambda momentum: None  # type: ignore[method-assign]
    train(model, heads.values(), terms, options)
    if what.teacher != "ema":
        model.target_encoder.load_state_dict(copy.deepcopy(model.context_encoder.state_dict()))
    return model


def some(sequences: Sequences, most: int) -> Sequences:
    """At most so many of them, the same each time."""
    if len(sequences) <= most:
        return sequences
    return sequences.select(np.sort(np.random.default_rng(0).permutation(len(sequences))[:most]))


def features(model: TemporalJEPA, sequences: Sequences) -> dict[str, npt.NDArray[np.float32]]:
    """Embedding name -> `(n, features)`."""
    last = embed_views(model.encode_channels("stats"), (256,), sequences.values)
    return {
        "shipped": embed_sequences(model, sequences),
        "last": last[:, : 3 * model.config.embed_dim],
    }


def run(options: argparse.Namespace) -> None:
    from temporal_jepa.evaluation.probes import probe

    names = sorted(find_sets(options.folders, None))
    paths = find_sets(options.folders, names[::2] if options.half else names)
    splits = {
        name: [some(load(path), options.most) for path in pair]
        for name, pair in sorted(paths.items())
    }
    there = options.out.exists() and set(
        pd.read_csv(options.out)[["objective", "seed"]].itertuples(index=False, name=None)
    )
    with options.out.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if file.tell() == 0:
            writer.writeheader()
        for seed in options.seeds:
            options.seed = seed
            for name in options.objectives or OBJECTIVES:
                if there and (name, seed) in there:
                    continue
                began = time.process_time()
                model = trained(OBJECTIVES[name], options)
                rows = []
                spent = round(time.process_time() - began)
                for dataset, (fitted, held) in splits.items():
                    pairs = features(model, fitted), features(model, held)
                    scores = {
                        kind: probe(
                            pairs[0][kind], fitted.labels, pairs[1][kind], held.labels, "ridge", 0
                        )
                        for kind in pairs[0]
                    }
                    rows.append(
                        {
                            "objective": name,
                            "seed": options.seed,
                            "dataset": dataset,
                            "cpu_seconds": spent,
                            **scores,
                        }
                    )
                writer.writerows(rows)
                file.flush()
                print(
                    name,
                    options.seed,
                    f"{spent} s",
                    *(f"{k} {np.mean([r[k] for r in rows]):.4f}" for k in scores),
                    flush=True,
                )


def summary(path: Path) -> str:
    """Means over sets and seeds, and each objective against the regulariser alone and the untrained encoder."""
    table = pd.read_csv(path)
    lines = []
    for kind in ("shipped", "last"):
        seeds = table.groupby("objective")["seed"].nunique()
        means = table.pivot_table(index="dataset", columns="objective", values=kind)
        lines += [
            f"\n{kind}, {len(means)} sets",
            "",
            "| objective | seeds | CPU s | mean | std over seeds | against the regulariser alone | p "
            "| against untrained | p |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for name in (name for name in OBJECTIVES if name in means):
            rows = table[table["objective"] == name]
            over = rows.groupby("seed")[kind].mean()
            cells = [
                name,
                str(seeds[name]),
                f"{rows['cpu_seconds'].mean():.0f}",
                f"{over.mean():.4f}",
                f"{over.std():.4f}",
            ]
            for other in ("regulariser", "untrained"):
                shared = set(rows["seed"]) & set(table.loc[table["objective"] == other, "seed"])
                pair = table[table["seed"].isin(shared) & table["objective"].isin([name, other])]
                both = pair.pivot_table(index="dataset", columns="objective", values=kind)
                if name == other or both.shape[1] < 2:
                    cells += ["", ""]
                    continue
                gain = (both[name] - both[other]).round(9)
                p = wilcoxon(gain, zero_method="pratt").pvalue if gain.any() else 1.0
                cells += [
                    f"{gain.mean():+.4f} ({(gain > 0).sum()}/{(gain == 0).sum()}/{(gain < 0).sum()})",
                    f"{p:.2g}",
                ]
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER", help="of data sets, as for classify.py"
    )
    parser.add_argument(
        "--objectives",
        nargs="+",
        choices=OBJECTIVES,
        metavar="NAME",
        help=f"of {', '.join(OBJECTIVES)}",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--pairs", type=int, default=32, help="pairs of series a step")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument(
        "--half",
        action="store_true",
        help="every second set in alphabetical order, those of development",
    )
    parser.add_argument(
        "--most", type=int, default=10**9, metavar="N", help="series of a split at most"
    )
    parser.add_argument("--out", type=Path, default=Path("objectives.csv"))
    parser.add_argument("--summary", type=Path, metavar="CSV", help="only summarise this file")
    options = parser.parse_args()
    if options.summary is None and not options.folders:
        parser.error("give a FOLDER of data sets, or --summary CSV")
    torch.set_num_threads(1)
    if options.summary is None:
        run(options)
    print(summary(options.summary or options.out))


if __name__ == "__main__":
    main()
