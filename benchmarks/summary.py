"""The tables of `classify.py`, in markdown, from its CSV."""

from pathlib import Path

import numpy as np
import pandas as pd

COLUMNS = (
    "dataset",
    "embedder",
    "pool",
    "probe",
    "seed",
    "accuracy",
    "cv_accuracy",
    "fit_seconds",
    "embed_seconds",
    "probe_seconds",
    "n_train",
    "n_test",
    "classes",
    "length",
    "channels",
    "steps",
)
BOOTSTRAPS = 10_000
TIE = 1e-9


def summarise(path: Path, of: str, published: Path | None = None, plot: Path | None = None) -> str:
    """All tables; one part for each probe in the file."""
    table = pd.read_csv(
        path, dtype={"dataset": str, "embedder": str, "pool": str}, keep_default_na=True
    )
    table["pool"] = table["pool"].fillna("")
    table = table.drop_duplicates(
        ["dataset", "embedder", "pool", "probe", "seed", "steps"], keep="last"
    )
    if table["steps"].nunique(dropna=False) > 1:  # rows of several budgets: one name each
        named = table["steps"].notna() & (table["pool"] != "") & (table["embedder"] != "untrained")
        table.loc[named, "embedder"] += "@" + table.loc[named, "steps"].astype("Int64").astype(str)
    if table.empty:
        return f"{path} holds no rows yet"
    parts = []
    for probe, rows in table.groupby("probe"):
        pool, reasons = best_pool(rows)
        chosen = rows[(rows["pool"] == pool) | (rows["pool"] == "")]
        scores = chosen.pivot_table(
            index="dataset", columns="embedder", values="accuracy", aggfunc="mean"
        )
        scores = scores[order(list(scores.columns), of)]
        whole = scores.dropna()
        parts.append(f"# Probe: {probe}\n\n{reasons}\n\n{per_set(scores, chosen)}")
        if len(whole) < 2:
            parts.append(
                f"{len(whole)} set(s) are done for every embedder; comparisons need at least two."
            )
            continue
        parts += [overall(whole, chosen), versus(whole, of)]
        if published is not None:
            parts.append(beside_published(scores, published, of))
        if plot is not None:
            target = (
                plot if table["probe"].nunique() == 1 else plot.with_stem(f"{plot.stem}-{probe}")
            )
            draw_ranks(whole, target)
            parts.append(f"Critical-difference diagram: {target}")
    return "\n\n".join(parts) + "\n"


def order(names: list[str], of: str) -> list[str]:
    """Controls first, in a fixed order, then the rest, then `of`."""
    first = ["raw", "stats", "minirocket", "untrained", "pooled"]
    rank = {name: place for place, name in enumerate(first)} | {of: 99}
    return sorted(names, key=lambda name: (rank.get(name, 50), name))


def best_pool(rows: pd.DataFrame) -> tuple[str, str]:
    """The pooling that suits the untrained encoder best in cross-validation on TRAIN, and the table that says so."""
    encoders = rows[rows["pool"] != ""]
    if encoders.empty:
        return "", "No encoder among the embedders."
    judge = (
        "untrained" if (encoders["embedder"] == "untrained").any() else encoders["embedder"].iloc[0]
    )
    checked = encoders[encoders["embedder"] == judge]
    by_set = checked.pivot_table(
        index="dataset", columns="pool", values="cv_accuracy", aggfunc="mean"
    ).dropna()
    best = str(by_set.mean().idxmax())
    cells = encoders.pivot_table(
        index="embedder", columns="pool", values=["cv_accuracy", "accuracy"], aggfunc="mean"
    )
    lines = [
        f"Pooling of all encoders: **{best}**, the best of the {judge} encoder by cross-validation on the train "
        f"splits (mean over {len(by_set)} sets); test labels have no part in the choice.",
        "",
        "| encoder | pool | train CV | test |",
        "|---|---|---|---|",
    ]
    for name, row in cells.iterrows():
        for pool in by_set.columns:
            lines.append(
                f"| {name} | {pool} | {row['cv_accuracy', pool]:.4f} | {row['accuracy', pool]:.4f} |"
            )
    return best, "\n".join(lines)


def per_set(scores: pd.DataFrame, rows: pd.DataFrame) -> str:
    """Accuracy of every embedder on every set, mean over its seeds; the best in bold."""
    names = list(scores.columns)
    facts = rows.groupby("dataset")[["n_train", "length", "channels"]].first()
    seeds = rows.groupby("embedder")["seed"].nunique()
    lines = [
        "| set | train x length x channels | "
        + " | ".join(f"{n} ({seeds[n]})" for n in names)
        + " |",
        "|---|---|" + "---|" * len(names),
    ]
    for dataset, row in scores.iterrows():
        n, length, channels = facts.loc[str(dataset)]
        cells = [
            "" if np.isnan(v) else f"**{v:.3f}**" if v >= row.max() - TIE else f"{v:.3f}"
            for v in row
        ]
        lines.append(f"| {dataset} | {n} x {length} x {channels} | " + " | ".join(cells) + " |")
    return "Accuracy on TEST, mean over seeds (their number in brackets).\n\n" + "\n".join(lines)


def overall(scores: pd.DataFrame, rows: pd.DataFrame) -> str:
    """Mean accuracy, its spread over seeds, mean rank, and seconds, over the sets that every embedder has done."""
    ranks = scores.round(9).rank(axis=1, ascending=False, method="average").mean()
    lines = [
        f"Over the {len(scores)} sets that all have done:",
        "",
        "| embedder | mean accuracy | std of the mean over seeds | mean rank | fit seconds, mean | longest fit | "
        "embed seconds, mean |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in scores.columns:
        own = rows[(rows["embedder"] == name) & rows["dataset"].isin(scores.index)]
        seeds = (
            own.pivot_table(index="dataset", columns="seed", values="accuracy")
            .dropna(axis=1)
            .mean()
        )
        spread = f"{seeds.std():.4f}" if len(seeds) > 1 else ""
        slowest = own.sort_values("fit_seconds").iloc[-1]
        lines.append(
            f"| {name} | {scores[name].mean():.4f} | {spread} | {ranks[name]:.2f} | "
            f"{own['fit_seconds'].mean():.1f} | {slowest['fit_seconds']:.1f} ({slowest['dataset']}) | "
            f"{own['embed_seconds'].mean():.2f} |"
        )
    return "\n".join(lines)


def versus(scores: pd.DataFrame, of: str) -> str:
    """`of` against every other embedder, paired over the sets."""
    if of not in scores:
        return f"{of!r} is not among the embedders; name another with --of."
    lines = [
        f"`{of}` against each, paired over {len(scores)} sets (interval: bootstrap over sets; p: Wilcoxon "
        "signed-rank, two-sided):",
        "",
        "| against | wins / ties / losses | mean difference | 95 % interval | p |",
        "|---|---|---|---|---|",
    ]
    for name in scores.columns.drop(of):
        difference = (scores[of] - scores[name]).to_numpy()
        low, high = bootstrap(difference)
        lines.append(
            f"| {name} | {counts(difference)} | {difference.mean():+.4f} | {low:+.4f} .. {high:+.4f} | "
            f"{wilcoxon(difference):.2g} |"
        )
    return "\n".join(lines)


def counts(difference: np.ndarray) -> str:
    wins = int((difference > TIE).sum())
    losses = int((difference < -TIE).sum())
    return f"{wins} / {len(difference) - wins - losses} / {losses}"


def bootstrap(difference: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean over sets drawn with replacement."""
    drawn = np.random.default_rng(0).choice(difference, (BOOTSTRAPS, len(difference)))
    low, high = np.percentile(drawn.mean(1), [2.5, 97.5])
    return float(low), float(high)


def wilcoxon(difference: np.ndarray) -> float:
    """Two-sided p, zero differences split (Pratt); 1 when there is no difference at all."""
    from scipy.stats import wilcoxon as test

    if not (np.abs(difference) > TIE).any():
        return 1.0
    return float(test(difference.round(9), zero_method="pratt").pvalue)


def beside_published(scores: pd.DataFrame, path: Path, of: str) -> str:
    """Means over the sets in common with each published column, and `of` against it."""
    others = pd.read_csv(path, index_col="dataset", comment="#")
    title = (
        f"Beside published accuracies ({path.name}): other probes than here; the ts2vec column is second-hand, its "
        "univariate cells are unchecked."
    )
    head = [
        "published",
        "sets",
        "its mean",
        *map(str, scores.columns),
        f"{of}: wins / ties / losses",
    ]
    lines = [title, "", "| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name in others.columns:
        both = (
            scores.dropna()
            .join(pd.to_numeric(others[name]).rename("published"), how="inner")
            .dropna()
        )
        if both.empty:
            continue
        means = " | ".join(f"{both[column].mean():.4f}" for column in scores.columns)
        # Published tables have three decimals: compare at that precision.
        against = (
            counts((both[of].round(3) - both["published"].round(3)).to_numpy())
            if of in both
            else ""
        )
        lines.append(
            f"| {name} | {len(both)} | {both['published'].mean():.4f} | {means} | {against} |"
        )
    return "\n".join(lines)


def draw_ranks(scores: pd.DataFrame, path: Path) -> None:
    """Critical-difference diagram (Demsar 2006): mean ranks, and the distance significant by the Nemenyi test."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from scipy.stats import studentized_range

    ranks = scores.round(9).rank(axis=1, ascending=False).mean().sort_values()
    k = len(ranks)
    n = len(scores)
    critical = studentized_range.ppf(0.95, k, np.inf) / np.sqrt(2) * np.sqrt(k * (k + 1) / (6 * n))
    figure, axes = plt.subplots(figsize=(7, 0.5 * k + 1))
    axes.scatter(ranks, range(k), zorder=3)
    for place, (name, rank) in enumerate(ranks.items()):
        axes.annotate(
            f"{name}  {rank:.2f}",
            (rank, place),
            xytext=(0, 5),
            textcoords="offset points",
            ha="center",
        )
        axes.plot(
            [rank - critical / 2, rank + critical / 2], [place, place], color="0.6", lw=4, zorder=2
        )
    title = f"{n} sets; embedders whose bars do not overlap differ (Nemenyi, p < .05, CD {critical:.2f})"
    axes.set(
        yticks=[],
        ylim=(k - 0.5, -0.7),
        xlim=(0.5, k + 1.5),
        xlabel="mean rank (1 is best)",
        title=title,
    )
    axes.title.set_fontsize(9)
    axes.spines[["left", "top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    plt.close(figure)
