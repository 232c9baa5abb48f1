"""Labels keep their text, and are classes or numbers to predict."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from temporal_jepa.data import read
from temporal_jepa.data.labels import task_of
from temporal_jepa.data.sequences import Sequences, as_labels
from temporal_jepa.data.tables.readings import AmbiguousError


def series(labels: object) -> Sequences:
    n = len(labels)  # type: ignore[arg-type]
    X = np.random.default_rng(0).normal(size=(n, 1, 6))
    return Sequences.from_arrays(X, labels)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["01", "1"], ["01", "1"]),
        ([b"a", b"b"], ["a", "b"]),
        (np.array([b"a", b"b"]), ["a", "b"]),
        ([1.0, 2.0], ["1", "2"]),
        (np.float32([0.1, 2]), ["0.1", "2"]),
        ([True, False], ["True", "False"]),
        (pd.Categorical(["x", "y"]), ["x", "y"]),
        (pd.Series(["NA", "y"], dtype="string"), ["NA", "y"]),
        (np.array([3, 4], dtype=object), ["3", "4"]),
    ],
)
def test_labels_as_text(given: object, expected: list[str]) -> None:
    assert as_labels(given).tolist() == expected
    assert series(given).labels.tolist() == expected


@pytest.mark.parametrize(
    "missing", [None, np.nan, pd.NA, pd.NaT, "", "?", b"?"], ids=repr
)
def test_a_missing_label_is_no_class(missing: object) -> None:
    with pytest.raises(ValueError, match="series 1 is missing"):
        series(np.array(["a", missing], dtype=object))


def test_text_and_few_whole_numbers_are_classes() -> None:
    assert task_of(np.array(["a", "b", "b"])) == "classification"
    assert task_of(np.array(["1", "2"] * 5)) == "classification"
    assert task_of(np.array(["0.5", "1.5"] * 5)) == "classification"
    assert task_of(np.array([str(k % 10) for k in range(100)])) == "classification"
    assert task_of(np.array([str(k % 50) for k in range(450)])) == "classification"
    assert task_of(np.array([f"0{k}" for k in range(9)])) == "classification"


def test_distinct_fractions_are_targets() -> None:
    labels = np.array([f"{k / 7:.3f}" for k in range(1, 20)])
    assert task_of(labels) == "regression"
    found = read(np.random.default_rng(0).normal(size=(4, 6)))
    assert (found.task, found.labels) == (None, None)


@pytest.mark.parametrize(
    "labels",
    [
        [str(k) for k in range(30)],
        [str(k % 40) for k in range(80)],
        ["0.5", "1", "1.5", "2"] * 5,
    ],
    ids=["all distinct", "many", "few fractions"],
)
def test_other_numbers_are_asked(labels: list[str]) -> None:
    with pytest.raises(AmbiguousError, match="task") as error:
        task_of(np.array(labels), "a.csv")
    chosen = [reading.options["task"] for reading in error.value.readings]
    assert chosen == ["classification", "regression"]
    assert "a.csv" in str(error.value)


def table(labels: list[object]) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    values = {f"t{k}": rng.normal(size=len(labels)) for k in range(5)}
    return pd.DataFrame({"label": labels, **values})


def test_reading_notes_the_task_and_takes_a_request() -> None:
    heights = [1.52 + k / 13 for k in range(12)]
    found = read(table(heights))
    assert found.task == "regression"
    assert any("task='classification'" in note for note in found.notes)
    np.testing.assert_allclose(found.targets(), heights)
    assert dict(found.summary())["labels"].endswith("(regression)")
    assert found.select([0, 1]).windows(2).task == "regression"
    assert read(table(heights), task="classification").task == "classification"

    found = read(table(list(range(12))))
    assert found.task is None
    assert any("task='regression'" in note for note in found.notes)
    assert read(table(list(range(12))), task="regression").task == "regression"

    found = read(table(["a", "b"] * 6))
    assert not any("task" in note for note in found.notes)


def test_what_cannot_be_a_regression_is_refused() -> None:
    with pytest.raises(ValueError, match=r"task.*a, b"):
        read(table(["a", "b"] * 6), task="regression")
    found = read(np.random.default_rng(0).normal(size=(4, 6)), task="regression")
    assert found.task is None
    assert any("label=" in note for note in found.notes)


@pytest.mark.parametrize(
    ("header", "labels", "task"),
    [
        ("@classLabel true 1 2 3", "123", "classification"),
        ("@targetLabel true", "123", "regression"),
    ],
)
def test_a_ts_file_states_the_task(
    header: str, labels: str, task: str, tmp_path: Path
) -> None:
    lines = [f"{k},2,3,4:{label}" for k, label in enumerate(labels)]
    path = tmp_path / "a.ts"
    path.write_text("\n".join([header, "@data", *lines]), "utf-8")
    found = read(path)
    assert found.task == task
    assert found.labels.tolist() == list(labels)


def test_folders_are_classes(tmp_path: Path) -> None:
    for k in range(8):
        folder = tmp_path / f"{k / 3:.2f}"
        folder.mkdir()
        (folder / "a.csv").write_text(f"v\n1\n{k}\n3\n", "utf-8")
    found = read(tmp_path)
    assert found.task == "classification"
    assert len(set(found.labels.tolist())) == 8


def hints(data: object, **options: object) -> list[str]:
    """The columns that may be the label, by the notes."""
    notes = read(data, **options).notes
    return [note.split("'")[1] for note in notes if "if it is the label" in note]


def test_columns_beside_the_timesteps_of_a_row_may_be_the_label() -> None:
    table = pd.DataFrame(np.arange(40.0).reshape(8, 5) % 7).add_prefix("t")
    table["kind"] = list("abababab")
    table["level"] = [1, 2, 3, 1, 2, 3, 1, 2]
    table["name"] = list("abcdefgh")
    table["same"] = "x"
    assert hints(table) == ["kind", "level"]
    assert not hints(table, label="kind")
    assert not hints(table, label="")
    kind = "column 'kind' has 2 different entries; label='kind' if it is the label"
    assert kind in read(table).notes


def test_columns_that_are_the_same_throughout_each_file_may_be_the_label(
    tmp_path: Path,
) -> None:
    for k in range(4):
        table = pd.DataFrame({"time": range(3), "v": [0.5 * k, 2, 3]})
        table["kind"] = "ab"[k % 2]
        table["day"] = ["2024-01-01", "2024-01-02"][k % 2]
        table["own"] = "wxyz"[k]
        table["mixed"] = ["a", "b", "a"]
        table.to_csv(tmp_path / f"{k}.csv", index=False)
    assert hints(tmp_path, time="time") == ["kind"]
    assert not hints(tmp_path, time="time", label="kind")
    found = read(tmp_path, time="time", label="kind")
    assert found.labels.tolist() == ["a", "b", "a", "b"]


def test_a_column_that_names_rows_is_not_said_to_be_left_out() -> None:
    table = pd.DataFrame(np.arange(40.0).reshape(8, 5) % 7).add_prefix("t")
    found = read(table.assign(id=range(8)))
    assert found.ids[:2] == ["0", "1"]
    assert not any("counts the rows" in note for note in found.notes)
