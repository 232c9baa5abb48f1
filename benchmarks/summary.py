"""The tables of `classify.py`, in Markdown, from its CSV."""

from pathlib import Path

import numpy as np
import pandas as pd
from measures import MEASURES
from results import markdown_table

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
CONTROLS = ("raw", "stats", "minirocket", "untrained", "pooled")
BOOTSTRAPS = 10_000
MEASURED = (*MEASURES, "ridge", "linear", "knn", "svm")
PAIRS = (
    ("series-small", "series-small-untrained"),
    ("series-small-128", "series-small-untrained-128"),
    ("series-small-128", "series-small"),
    ("series-small-128", "minirocket"),
    ("series-small", "minirocket"),
)
TIE = 1e-9


def summarize(
    path: Path, of: str, published: Path | None = None, plot: Path | None = None
) -> str:
    """All tables; one part for each probe in the file, or `measures_table`.

    Args:
        path: CSV of `classify.py`.
        of: the embedder that is compared with all others.
        published: CSV of published accuracies, a row per data set and a column per method.
        plot: PNG to write the critical-difference diagram to.
    """
    table = load_rows(path)
    if table.empty:
        return f"{path} has no rows yet"
    if table["probe"].isin(MEASURES).any():
        return measures_table(table)
    parts = []
    for probe, rows in table.groupby("probe"):
        pool, pooling = best_pool(rows)
        chosen = rows[(rows["pool"] == pool) | (rows["pool"] == "")]
        scores = chosen.pivot_table(
            index="dataset", columns="embedder", values="accuracy", aggfunc="mean"
        )
        scores = scores[order(list(scores.columns), of)]
        whole = scores.dropna()
        parts.append(f"# Probe: {probe}\n\n{pooling}\n\n{per_set(scores, chosen)}")
        if len(whole) < 2:
            parts.append(
                f"{len(whole)} set(s) are done for every embedder; comparisons need at least two."
            )
            continue
        parts.append(overall(whole, chosen))
        parts.append(versus(whole, of))
        if published is not None:
            parts.append(beside_published(scores, published, of))
        if plot is not None:
            several = table["probe"].nunique() > 1
            target = plot.with_stem(f"{plot.stem}-{probe}") if several else plot
            draw_ranks(whole, target)
            parts.append(f"Critical-difference diagram: {target}")
    return "\n\n".join(parts) + "\n"


def measures_table(rows: pd.DataFrame) -> str:
    """Every probe and measure as a column, a row for each embedder, mean over seeds and sets.

    Tables of all sets, and of every second one in alphabetical order: the others are the sets on
    which the compact embedding was developed. Then the pairs of `PAIRS`, paired over the sets.
    """
    scores = rows.pivot_table(
        index="dataset", columns=["embedder", "probe"], values="accuracy"
    ).dropna()
    kinds = [kind for kind in MEASURED if kind in rows["probe"].unique()]
    names = [str(name) for name in rows["embedder"].unique()]
    parts = []
    for title, some in (
        (f"All {len(scores)} sets", scores),
        (f"The {len(scores) // 2} sets without development", scores.iloc[1::2]),
    ):
        means = some.mean()
        lines = [
            [name, *(f"{means[name, kind]:.3f}" for kind in kinds)] for name in names
        ]
        parts.append(f"{title}:\n\n{markdown_table(['features', *kinds], lines)}")
        lines = []
        for of, other in PAIRS:
            if of in names and other in names:
                cells = [_paired(some[of][kind] - some[other][kind]) for kind in kinds]
                lines.append([f"{of} - {other}", *cells])
        header = ["mean difference (wins / losses, p)", *kinds]
        parts.append(markdown_table(header, lines))
    return "\n\n".join(parts)


def _paired(difference: pd.Series) -> str:
    """`+.012 (14/5, .01)`: the mean, sets won and lost, Wilcoxon's p."""
    values = difference.to_numpy()
    wins, _, losses = counts(values).split(" / ")
    return f"{values.mean():+.3f} ({wins}/{losses}, {wilcoxon(values):.2g})"


def load_rows(path: Path) -> pd.DataFrame:
    """The last row of each task; if budgets differ, the steps are part of an embedder's name."""
    text = {"dataset": str, "embedder": str, "pool": str}
    table = pd.read_csv(path, dtype=text, keep_default_na=True)
    table["pool"] = table["pool"].fillna("")
    task = ["dataset", "embedder", "pool", "probe", "seed", "steps"]
    table = table.drop_duplicates(task, keep="last")
    if table["steps"].nunique(dropna=False) > 1:
        named = (
            table["steps"].notna()
            & (table["pool"] != "")
            & (table["embedder"] != "untrained")
        )
        table.loc[named, "embedder"] += "@" + table.loc[named, "steps"].astype(
            "Int64"
        ).astype(str)
    return table


def order(names: list[str], of: str) -> list[str]:
    """Controls first, in a fixed order, then the rest, then `of`."""
    rank = {name: place for place, name in enumerate(CONTROLS)} | {of: 99}
    return sorted(names, key=lambda name: (rank.get(name, 50), name))


def best_pool(rows: pd.DataFrame) -> tuple[str, str]:
    """The pooling with which the untrained encoder is best in cross-validation on TRAIN.

    Returns:
        Its name, and a table of all poolings.
    """
    encoders = rows[rows["pool"] != ""]
    if encoders.empty:
        return "", "No encoder among the embedders."
    judge = "untrained"
    if not (encoders["embedder"] == judge).any():
        judge = encoders["embedder"].iloc[0]
    by_set = (
        encoders[encoders["embedder"] == judge]
        .pivot_table(
            index="dataset", columns="pool", values="cv_accuracy", aggfunc="mean"
        )
        .dropna()
    )
    best = str(by_set.mean().idxmax())
    means = encoders.pivot_table(
        index="embedder",
        columns="pool",
        values=["cv_accuracy", "accuracy"],
        aggfunc="mean",
    )
    cells = [
        [name, pool, f"{row['cv_accuracy', pool]:.4f}", f"{row['accuracy', pool]:.4f}"]
        for name, row in means.iterrows()
        for pool in by_set.columns
    ]
    text = (
        f"Pooling of all encoders: **{best}**, the best of the {judge} encoder by "
        f"cross-validation on the train splits (mean over {len(by_set)} sets); test labels have "
        "no part in the choice."
    )
    return (
        best,
        f"{text}\n\n{markdown_table(['encoder', 'pool', 'train CV', 'test'], cells)}",
    )


def per_set(scores: pd.DataFrame, rows: pd.DataFrame) -> str:
    """Accuracy of every embedder on every set, mean over its seeds; the best in bold."""
    facts = rows.groupby("dataset")[["n_train", "length", "channels"]].first()
    seeds = rows.groupby("embedder")["seed"].nunique()
    header = [
        "set",
        "train x length x channels",
        *(f"{n} ({seeds[n]})" for n in scores.columns),
    ]
    lines = []
    for dataset, row in scores.iterrows():
        n, length, channels = facts.loc[str(dataset)]
        cells = []
        for value in row:
            text = "" if np.isnan(value) else f"{value:.3f}"
            cells.append(f"**{text}**" if value >= row.max() - TIE else text)
        lines.append([dataset, f"{n} x {length} x {channels}", *cells])
    title = "Accuracy on TEST, mean over seeds (their number in brackets)."
    return f"{title}\n\n{markdown_table(header, lines)}"


def overall(scores: pd.DataFrame, rows: pd.DataFrame) -> str:
    """Mean accuracy, its spread over seeds, mean rank, and seconds, over the sets that all did."""
    ranks = scores.round(9).rank(axis=1, ascending=False, method="average").mean()
    header = [
        "embedder",
        "mean accuracy",
        "std of the mean over seeds",
        "mean rank",
        "fit seconds, mean",
        "longest fit",
        "embed seconds, mean",
    ]
    lines = []
    for name in scores.columns:
        own = rows[(rows["embedder"] == name) & rows["dataset"].isin(scores.index)]
        by_seed = own.pivot_table(index="dataset", columns="seed", values="accuracy")
        means = by_seed.dropna(axis=1).mean()
        slowest = own.sort_values("fit_seconds").iloc[-1]
        lines.append(
            [
                name,
                f"{scores[name].mean():.4f}",
                f"{means.std():.4f}" if len(means) > 1 else "",
                f"{ranks[name]:.2f}",
                f"{own['fit_seconds'].mean():.1f}",
                f"{slowest['fit_seconds']:.1f} ({slowest['dataset']})",
                f"{own['embed_seconds'].mean():.2f}",
            ]
        )
    title = f"Over the {len(scores)} sets that all have done:"
    return f"{title}\n\n{markdown_table(header, lines)}"


def versus(scores: pd.DataFrame, of: str) -> str:
    """`of` against every other embedder, paired over the sets."""
    if of not in scores:
        return f"{of!r} is not among the embedders; name another with --of."
    lines = []
    for name in scores.columns.drop(of):
        difference = (scores[of] - scores[name]).to_numpy()
        low, high = bootstrap(difference)
        lines.append(
            [
                name,
                counts(difference),
                f"{difference.mean():+.4f}",
                f"{low:+.4f} .. {high:+.4f}",
                f"{wilcoxon(difference):.2g}",
            ]
        )
    title = (
        f"`{of}` against each, paired over {len(scores)} sets (interval: bootstrap over sets; "
        "p: Wilcoxon signed-rank, two-sided):"
    )
    header = [
        "against",
        "wins / ties / losses",
        "mean difference",
        "95 % interval",
        "p",
    ]
    return f"{title}\n\n{markdown_table(header, lines)}"


def counts(difference: np.ndarray) -> str:
    """Wins, ties and losses."""
    wins = int((difference > TIE).sum())
    losses = int((difference < -TIE).sum())
    return f"{wins} / {len(difference) - wins - losses} / {losses}"


def bootstrap(difference: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean over sets drawn with replacement."""
    drawn = np.random.default_rng(0).choice(difference, (BOOTSTRAPS, len(difference)))
    low, high = np.percentile(drawn.mean(1), [2.5, 97.5])
    return float(low), float(high)


def wilcoxon(difference: np.ndarray) -> float:
    """Two-sided p, zero differences split (Pratt); 1 if there is no difference at all."""
    from scipy.stats import wilcoxon as test

    if not (np.abs(difference) > TIE).any():
        return 1.0
    return float(test(difference.round(9), zero_method="pratt").pvalue)


def beside_published(scores: pd.DataFrame, path: Path, of: str) -> str:
    """Means over the sets in common with each published column, and `of` against it."""
    others = pd.read_csv(path, index_col="dataset", comment="#")
    title = (
        f"Beside published accuracies ({path.name}): other probes than here; the ts2vec column is "
        "second-hand, its univariate cells are unchecked."
    )
    names = [str(name) for name in scores.columns]
    header = ["published", "sets", "its mean", *names, f"{of}: wins / ties / losses"]
    lines = []
    for name in others.columns:
        published = pd.to_numeric(others[name]).rename("published")
        both = scores.dropna().join(published, how="inner").dropna()
        if both.empty:
            continue
        against = ""
        if of in both:
            # Published tables have three decimals: compare at that precision.
            against = counts(
                (both[of].round(3) - both["published"].round(3)).to_numpy()
            )
        means = [
            f"{both[column].mean():.4f}" for column in ["published", *scores.columns]
        ]
        lines.append([name, len(both), *means, against])
    return f"{title}\n\n{markdown_table(header, lines)}"


def draw_ranks(scores: pd.DataFrame, path: Path) -> None:
    """Critical-difference diagram (Demsar 2006), by the Nemenyi test."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from scipy.stats import studentized_range

    ranks = scores.round(9).rank(axis=1, ascending=False).mean().sort_values()
    k = len(ranks)
    n = len(scores)
    critical = (
        studentized_range.ppf(0.95, k, np.inf)
        / np.sqrt(2)
        * np.sqrt(k * (k + 1) / (6 * n))
    )
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
        bar = [rank - critical / 2, rank + critical / 2]
        axes.plot(bar, [place, place], color="0.6", lw=4, zorder=2)
    axes.set_title(
        f"{n} sets; embedders whose bars do not overlap differ "
        f"(Nemenyi, p < .05, CD {critical:.2f})",
        fontsize=9,
    )
    axes.set(
        yticks=[],
        ylim=(k - 0.5, -0.7),
        xlim=(0.5, k + 1.5),
        xlabel="mean rank (1 is best)",
    )
    axes.spines[["left", "top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    plt.close(figure)
