"""Nearest-neighbor search on arrays, and the verb that prints and draws the neighbors."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from temporal_jepa.cli import main as cli
from temporal_jepa.config import PretrainConfig
from temporal_jepa.evaluation.neighbors import Index, standardize
from temporal_jepa.training.run import pretrain


def test_nearest_agree_with_all_distances() -> None:
    random = np.random.default_rng(0)
    Z = random.normal(size=(50, 7)) * 10 + 5
    queries = random.normal(size=(9, 7)) * 10 + 5
    distance = np.linalg.norm(standardize(queries, Z)[:, None] - standardize(Z), axis=2)
    nearest, found = Index(Z).nearest(queries, k=4)
    np.testing.assert_array_equal(nearest, np.argsort(distance, axis=1)[:, :4])
    np.testing.assert_allclose(found, np.sort(distance, axis=1)[:, :4])


def test_constant_and_missing_features_have_no_weight() -> None:
    Z = np.array([[0.0, 0, 3, np.nan], [1, 1000, 3, np.nan], [2, 2000, 3, np.nan]])
    ids, distance = Index(Z, ["a", "b", "c"]).nearest([2, 2000, 99, 1], k=2)
    assert ids.tolist() == ["c", "b"]
    np.testing.assert_allclose(distance, [0, np.sqrt(2 * 1.5)])
    assert Index(Z).nearest([np.nan, 1000, np.nan, np.nan], k=1)[1] == 0


def test_a_row_is_not_its_own_neighbor_but_its_copy_is() -> None:
    index = Index([[0.0], [1.0], [1.0], [9.0]])
    near, distance = index.neighbors(k=2)
    assert near[:3, 0].tolist() == [1, 2, 1]
    assert not (near == np.arange(4)[:, None]).any()
    assert distance[1, 0] == 0
    with pytest.warns(DeprecationWarning, match="neighbors"):
        np.testing.assert_array_equal(index.neighbours(k=2)[0], near)


def test_exclude_minus_one_leaves_out_none() -> None:
    index = Index([[0.0], [1.0], [5.0]])
    assert index.nearest([[0.0], [0.0]], k=1, exclude=np.array([0, -1]))[0].tolist() == [[1], [0]]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Index(np.zeros((0, 2))), r"0 sample\(s\)"),
        (lambda: Index(np.zeros((3, 2)), ["a"]), "3 ids"),
        (lambda: Index(np.zeros((3, 2))).nearest([1, 2, 3]), "expecting 2 features"),
        (lambda: Index(np.zeros((3, 2))).nearest([1, 2], k=4), "k from 1 to 3"),
        (lambda: Index(np.zeros((3, 2))).neighbors(k=3), "k from 1 to 2"),
    ],
)
def test_mistakes_are_explained(make: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table of tracks, which turn left or right."""
    folder = tmp_path_factory.mktemp("nearest")
    lines = ["track,time,x,y,kind"]
    for i in range(8):
        angle = np.linspace(0, 2, 20) * (1 if i % 2 else -1)
        lines += [
            f"t{i},{t},{np.sin(a) * (9 + i)},{np.cos(a) * (9 + i)},{'LR'[i % 2]}"
            for t, a in enumerate(angle)
        ]
    (folder / "tracks.csv").write_text("\n".join(lines) + "\n", "utf-8")
    small = {
        "embed_dim": 16,
        "predictor_embed_dim": 16,
        "encoder_depth": 1,
        "predictor_depth": 1,
        "num_heads": 2,
    }
    config = PretrainConfig(steps=2, device="cpu")
    options = {"layout": "tracks", "label": "kind"}
    return pretrain(str(folder / "tracks.csv"), folder / "run", config, small, data_options=options)


def test_the_verb_prints_and_draws(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.html"
    assert cli.main(["nearest", str(run), "t3", "--k", "3", "--out", str(out)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[1] == ["query", "nearest", "label", "distance"]
    assert rows[2][0] == "t3"
    assert [row[-2] for row in rows[2:5]] == ["R", "R", "R"]
    assert "t3" not in {row[-3] for row in rows[2:5]}
    text = out.read_text("utf-8")
    assert text.count("<figure") == 4
    assert "A dot marks the start of each path." in text
    assert "m across" in text
    assert "<script" not in text
    assert cli.main(["nearest", str(run), "t3", "--out", str(out)]) == 1  # it is there already
    assert "--overwrite" in capsys.readouterr().err


def test_a_file_of_queries_and_one_to_search(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = run.parent / "tracks.csv"
    assert (
        cli.main(["nearest", str(run), str(data), "--k", "1"]) == 0
    )  # the same file: none is its own neighbour
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert len(rows) == 8
    assert all(row[0] != row[1] for row in rows)
    other = tmp_path / "other.csv"
    other.write_text(data.read_text("utf-8"), "utf-8")
    assert cli.main(["nearest", str(run), str(other), "--k", "1"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert len(rows) == 8
    assert all(row[0] == row[1] and row[-1] == "0.00" for row in rows)


def test_an_unknown_query_is_one_line(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["nearest", str(run), "nobody"]) == 1
    assert "nobody: no such file, and no sequence of" in capsys.readouterr().err
