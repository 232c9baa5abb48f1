"""Measures of few labels, search and clusters, and their table."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from measures import MEASURES, comparable, measure
from summary import COLUMNS, summarize


@pytest.mark.parametrize("kind", MEASURES)
@pytest.mark.parametrize("is_compact", [True, False])
def test_clusters_are_found_and_noise_is_chance(kind: str, is_compact: bool) -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b"], 30)
    apart = rng.normal(size=(60, 5)) + 20 * (y == "a")[:, None]
    train, test = comparable(apart, apart[::-1], is_compact)
    assert measure(kind, train, y, test, y[::-1]) > 0.99
    noise = rng.normal(size=(120, 5))
    train, test = comparable(noise[:60], noise[60:], is_compact)
    assert measure(kind, train, y, test, y) < (0.1 if kind == "nmi" else 0.75)


def test_features_that_train_lacks_have_no_weight() -> None:
    train = np.array([[1.0, 0.0], [1.0, 2.0]])
    test = np.array([[500.0, 1.0]])
    assert comparable(train, test, is_compact=False)[1].tolist() == [[0.0, 0.0]]
    assert comparable(train, test, is_compact=True)[1].tolist() == test.tolist()


def test_the_table_has_measures_as_columns_and_pairs_below(tmp_path: Path) -> None:
    row = dict.fromkeys(COLUMNS, 0)
    rows = []
    for i in range(6):
        for name, value in (("raw", 0.5), ("minirocket", 0.6), ("series-small", 0.7)):
            for kind in ("1nn", "map"):
                rows.append(
                    {
                        **row,
                        "dataset": f"set{i}",
                        "embedder": name,
                        "probe": kind,
                        "pool": "all" if name == "series-small" else "",
                        "accuracy": value + 0.01 * i,
                        "steps": np.nan,
                    }
                )
    pd.DataFrame(rows).to_csv(tmp_path / "m.csv", index=False)
    text = summarize(tmp_path / "m.csv", of="token")
    assert "All 6 sets" in text
    assert "The 3 sets without development" in text
    assert "| series-small | 0.725 | 0.725 |" in text
    assert "| series-small - minirocket | +0.100 (6/0, 0.031) |" in text
