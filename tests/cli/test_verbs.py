"""The verbs that use a run: embed, probe, report, export, detect; doctor and demo."""

import importlib.util
import json
import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from graphs import writes_graphs
from terminal import FAST, READ, Terminal, write_csv

from temporal_jepa.cli import demo
from temporal_jepa.cli.probe import probe
from temporal_jepa.data import pendulums
from temporal_jepa.evaluation import attentive
from temporal_jepa.files import read_config


def test_embed_writes_what_the_name_says(
    tj: Terminal, data: Path, run: Path, tmp_path: Path
) -> None:
    assert "12 sequences" in tj.succeeds("embed", run, data, "--overwrite")
    with np.load(run / "embeddings.npz") as stored:
        vectors = stored["embeddings"]
        ids = stored["ids"]
        labels = stored["labels"]
    assert vectors.dtype == np.float32
    assert len(vectors) == 12
    assert ids[1] == "s1"
    assert labels[1] == "b"
    assert "--overwrite" in tj.refuses("embed", run, data)
    tj.succeeds("embed", run, data, "--out", tmp_path / "e.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "e.npy"), vectors)
    tj.succeeds("embed", run, data, "--out", tmp_path / "new" / "e.csv")
    frame = pd.read_csv(tmp_path / "new" / "e.csv")
    assert list(frame)[:3] == ["id", "label", "start"]
    np.testing.assert_allclose(frame.iloc[:, 4:], vectors, rtol=1e-5)
    tj.succeeds("embed", run, data, "--out", tmp_path / "e.npz", "--pool", "mean")
    assert np.load(tmp_path / "e.npz")["embeddings"].shape == (12, 16)
    assert ".npz" in tj.refuses("embed", run, data, "--out", tmp_path / "e.txt")
    pytest.importorskip("pyarrow")
    tj.succeeds("embed", run, data, "--out", tmp_path / "e.parquet")
    table = pd.read_parquet(tmp_path / "e.parquet")
    assert list(table) == list(frame)
    assert {"layer0_mean_0", "layer1_max_15"} <= {*table}


def test_embed_timesteps_of_unequal_lengths(
    tj: Terminal, data: Path, run: Path, tmp_path: Path
) -> None:
    tj.succeeds("embed", run, data, "--timesteps", "--out", tmp_path / "e.npz")
    with np.load(tmp_path / "e.npz") as stored:
        assert stored["embeddings"].shape == (12, 16, 16)
        assert stored["lengths"].tolist() == [12] + [16] * 11
        assert np.isnan(stored["embeddings"][0, 12:]).all()
    tj.succeeds("embed", run, data, "--timesteps", "--out", tmp_path / "e.csv")
    table = pd.read_csv(tmp_path / "e.csv")
    assert list(table)[:3] == ["id", "label", "timestep"]
    assert len(table) == 12 + 11 * 16


def test_embed_reads_new_data_without_the_columns_it_lacks(
    tj: Terminal, run: Path, tmp_path: Path
) -> None:
    bare = write_csv(tmp_path / "bare.csv", labels=False)
    out = tj.succeeds("embed", run, bare, "--out", tmp_path / "e.npz")
    assert f"{bare} has no column 'kind'" in out
    assert "labels" not in np.load(tmp_path / "e.npz")
    words = ["embed", run, bare, "--out", tmp_path / "f.npz"]
    assert "'kind'" in tj.refuses(*words, "--label", "kind")


def test_embed_takes_channels_by_name(
    tj: Terminal, data: Path, run: Path, tmp_path: Path
) -> None:
    frame = pd.read_csv(data)
    frame[["track", "t", "x1", "x0", "kind"]].to_csv(
        tmp_path / "swapped.csv", index=False
    )
    frame.rename(columns={"x1": "y"}).to_csv(tmp_path / "other.csv", index=False)
    for name in ("data", "swapped", "other"):
        file = data if name == "data" else tmp_path / f"{name}.csv"
        code, out, error = tj("embed", run, file, "--out", tmp_path / f"{name}.npy")
        assert code == 0, error
        assert ("reordered as in training: x0, x1" in out) == (name == "swapped")
        assert ("channels x0, y, but the run was trained on x0, x1" in error) == (
            name == "other"
        )
        np.testing.assert_array_equal(
            np.load(tmp_path / f"{name}.npy"), np.load(tmp_path / "data.npy")
        )


def test_embed_refuses_a_device_that_is_not_there(
    tj: Terminal, data: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    words = ["embed", run, data, "--out", tmp_path / "e.npz", "--device"]
    assert "'cuda'" in tj.refuses(*words, "cuda")
    assert "'banana'" in tj.refuses(*words, "banana")


def test_out_that_passes_through_a_file(
    tj: Terminal, data: Path, run: Path, tmp_path: Path
) -> None:
    file = tmp_path / "afile"
    file.touch()
    part = f"--out: {file} is a file, expected a folder"
    for out in (file, file / "x"):
        assert part in tj.refuses(
            "pretrain", "--data", data, "--out", out, *READ, *FAST
        )
    assert part in tj.refuses("embed", run, data, "--out", file / "e.npz")
    assert part in tj.refuses("report", run, "--out", file / "r.html")
    if importlib.util.find_spec("aeon") is not None:
        assert part in tj.refuses("demo", "--out", file / "d")


@pytest.mark.usefixtures("no_minirocket")
def test_probe_scores_the_encoder_beside_its_controls(
    tj: Terminal, data: Path, run: Path, tmp_path: Path
) -> None:
    test = write_csv(tmp_path / "test.csv", n=10, seed=1)
    out = tj.succeeds("probe", run, "--test", test, "--overwrite")
    result = json.loads((run / "probe.json").read_text("utf-8"))
    names = [row["features"] for row in result["scores"]]
    assert names == [
        "raw values",
        "mean/std/min/max",
        "untrained encoder",
        "pretrained encoder",
    ]
    assert (result["train"], result["test"]) == (str(data), str(test))
    assert (result["n_test"], result["n_classes"]) == (10, 2)
    assert (result["commonest"], result["majority"]) == ("a", 0.5)
    assert "predicting 'a', the most frequent class: 0.500" in out
    for name in names:
        assert name in out
    assert "--overwrite" in tj.refuses("probe", run, "--test", test)
    code, out, error = tj("probe", run, "--kind", "knn", "--out", tmp_path / "p.json")
    assert code == 0
    assert "has changed" not in error
    assert "no --test: scored on 4 sequences" in out
    assert "not from pretraining, 10 times with others" in out


@pytest.mark.usefixtures("no_minirocket")
def test_a_probe_of_few_sequences_is_the_mean_of_ten_splits(
    tj: Terminal, run: Path, tmp_path: Path
) -> None:
    out = tj.succeeds("probe", run, "--out", tmp_path / "p.json")
    assert "ridge on 8 sequences, 4 to test, mean of 10 splits, 2 classes" in out
    assert re.search(r"features +accuracy +std\n", out)
    result = json.loads((tmp_path / "p.json").read_text("utf-8"))
    assert (result["splits"], result["n_test_each"], result["n_test"]) == (10, 4, 12)
    assert sum(test for _, test in result["classes"].values()) == 12
    assert {"accuracy_std", "balanced_accuracy_std"} < set(result["scores"][0])
    words = ["--kind", "attentive", "--out", tmp_path / "a.json"]
    assert "to test, 2 classes" in tj.succeeds("probe", run, *words)


@pytest.mark.usefixtures("no_minirocket")
def test_a_probe_of_enough_sequences_splits_once(
    tj: Terminal, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[probe.__module__], "ENOUGH", 4)
    out = tj.succeeds("probe", run, "--out", tmp_path / "p.json")
    assert "ridge on 8 sequences, 4 to test, 2 classes" in out
    assert "splits" not in json.loads((tmp_path / "p.json").read_text("utf-8"))


def test_probe_with_a_query_on_tokens(
    tj: Terminal, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attentive, "STEPS", (20, 20))
    words = ["probe", run, "--kind", "attentive", "--out", tmp_path / "p.json"]
    assert "attentive on" in tj.succeeds(*words)
    scores = json.loads((tmp_path / "p.json").read_text("utf-8"))["scores"]
    names = [row["features"] for row in scores]
    assert names == ["raw values", "untrained encoder", "pretrained encoder"]
    assert {row["probe"] for row in scores} == {"attentive"}
    assert "--pool" in tj.refuses(*words, "--pool", "mean", "--overwrite")


@pytest.mark.usefixtures("no_minirocket")
def test_probe_refuses_what_cannot_be_scored(
    tj: Terminal, run: Path, tmp_path: Path
) -> None:
    bare = write_csv(tmp_path / "bare.csv", labels=False)
    words = ["probe", run, "--out", tmp_path / "p.json", "--test"]
    assert "--label COL" in tj.refuses(*words, bare, "--label", "")
    wide = write_csv(tmp_path / "wide.csv", channels=3)
    assert "expects 2 channels, got 3" in tj.refuses(*words, wide)
    assert not (tmp_path / "p.json").exists()


@pytest.mark.usefixtures("no_minirocket")
def test_probe_says_when_its_data_has_changed(
    tj: Terminal, run: Path, tmp_path: Path
) -> None:
    config = read_config(run)
    del config["sha256"]
    config["data"]["path"] = str(write_csv(tmp_path / "data.csv", seed=1))
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    (tmp_path / "model.safetensors").write_bytes(
        (run / "model.safetensors").read_bytes()
    )
    code, _, error = tj("probe", tmp_path)
    assert code == 0, error
    assert "data.csv has changed" in error


def test_a_bundled_model_has_no_data_of_its_own(
    tj: Terminal, run: Path, data: Path
) -> None:
    assert "--train" in tj.refuses("probe", "series-small", "--out", run / "x.json")
    assert "--among" in tj.refuses("nearest", "series-small", run)
    refused = tj.refuses("detect", "series-small", data, "--out", run / "x.csv")
    assert "--normal-prefix" in refused
    assert "--each" in refused


@writes_graphs
def test_report_and_export(tj: Terminal, run: Path, tmp_path: Path) -> None:
    page = tmp_path / "r.html"
    assert tj.succeeds("report", run, "--out", page).strip() == str(page)
    assert "--overwrite" in tj.refuses("report", run, "--out", page)
    words = ["export", run, "--format", "torch", "--out", tmp_path / "m.pt2"]
    tj.succeeds(*words)
    assert (tmp_path / "m.pt2").stat().st_size > 0
    assert "--overwrite" in tj.refuses(*words)


def test_channels_of_a_graph_are_checked(
    tj: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    words = ["export", "series-small", "--length", 20, "--out", tmp_path / "m.onnx"]
    assert "--channels must be at least 1" in tj.refuses(*words, "--channels", 0)
    made = []
    monkeypatch.setattr(
        "temporal_jepa.model.export.export", lambda *args, **_: made.append(args)
    )
    out = tj.succeeds(*words, "--channels", 3)
    assert "x (batch, 20, 3) float32" in out
    assert made[0][4] == 3


def test_prepare_says_a_time_left_only_when_it_knows_one(
    tj: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("temporal_jepa.cli.prepare.EVERY", 0.0)
    data = write_csv(tmp_path / "data.csv")
    out = tj.succeeds("prepare", data, "--out", tmp_path / "store")
    assert "MB written" in out
    assert "day" not in out


def test_inspect_takes_the_address_of_a_store(
    tj: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_JEPA_CACHE", str(tmp_path / "cache"))
    data = write_csv(tmp_path / "data.csv")
    tj.succeeds("prepare", data, "--out", tmp_path / "store")
    url = f"file://{tmp_path / 'store'}"
    assert f"pretrain --data {url}" in tj.succeeds("inspect", url)


def test_a_run_that_is_not_finished_says_how_to_finish_it(
    tj: Terminal, tmp_path: Path
) -> None:
    data = write_csv(tmp_path / "data.csv")
    run = tmp_path / "run"
    tj.succeeds("pretrain", "--data", data, "--out", run, "--steps", 2)
    (run / "model.safetensors").unlink()
    assert f"pretrain --out {run} --resume" in tj.refuses("embed", run, data)


def test_doctor(tj: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name == "pyarrow" else real(name),
    )
    out = tj.succeeds("doctor")
    for part in ("torch", "devices", "threads", "[parquet]      missing pyarrow"):
        assert part in out
    assert "pip install 'temporal-jepa[parquet" in out


@pytest.mark.usefixtures("no_minirocket")
def test_demo(tj: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("aeon") is None:
        pytest.skip("aeon is not installed")
    monkeypatch.setattr(demo, "SETS", {"GunPoint": "one channel"})
    generate = pendulums.generate_recordings
    monkeypatch.setattr(
        pendulums, "generate_recordings", lambda n, seed: generate(n // 10, seed=seed)
    )
    words = ["demo", "--out", tmp_path / "d", "--steps", "2"]
    out = tj.succeeds(*words)
    for part in (
        "GunPoint (one channel)",
        "WristTracks (",
        " pretrained",
        "--data FILE",
    ):
        assert part in out
    for name in ("WristTracks", "MovingDigits"):
        assert "<svg" in (tmp_path / "d" / name / "report.html").read_text("utf-8")
    files = {path.name for path in (tmp_path / "d" / "GunPoint").iterdir()}
    assert {
        "model.safetensors",
        "embeddings.npz",
        "embeddings-test.npz",
        "probe.json",
    } <= files
    jobs = demo._jobs
    monkeypatch.setattr(demo, "_jobs", lambda *given: jobs(*given)[1:2])
    assert "WristTracks" not in tj.succeeds(*words)  # its own folder is replaced
    (tmp_path / "mine.txt").touch()
    assert "not from a demo" in tj.refuses("demo", "--out", tmp_path)


def test_demo_without_aeon(
    tj: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install 'temporal-jepa[aeon]'" in tj.refuses(
        "demo", "--out", tmp_path / "d"
    )
    assert not (tmp_path / "d").exists()


def write_targets(path: Path, n: int, seed: int) -> Path:
    """A wide table: noisy waves; the target is their amplitude, with a fraction."""
    rng = np.random.default_rng(seed)
    amplitude = rng.uniform(1, 3, n)
    waves = (
        amplitude[:, None] * np.sin(np.arange(16) / 2) + rng.normal(size=(n, 16)) / 9
    )
    table = pd.DataFrame(waves, columns=[f"t{k}" for k in range(16)])
    table.insert(0, "height", amplitude)
    table.to_csv(path, index=False)
    return path


@pytest.mark.usefixtures("no_minirocket")
def test_probe_of_a_regression_shows_r2_beside_the_mean(
    tj: Terminal, tmp_path: Path
) -> None:
    train = write_targets(tmp_path / "train.csv", 24, 0)
    test = write_targets(tmp_path / "test.csv", 12, 1)
    words = ["probe", "series-small", "--train", train, "--test", test]
    words += ["--label", "height", "--layout", "wide", "--out", tmp_path / "p.json"]
    out = tj.succeeds(*words)
    assert "R2" in out
    assert "RMSE" in out
    assert "accuracy" not in out
    assert "the mean of the train targets" in out
    result = json.loads((tmp_path / "p.json").read_text("utf-8"))
    assert result["task"] == "regression"
    assert {"r2", "rmse"} <= result["scores"][0].keys()
    refused = tj.refuses(*words, "--overwrite", "--kind", "attentive")
    assert "ridge" in refused
    out = tj.succeeds(*words[:-1], tmp_path / "held.json", "--task", "regression")
    assert "R2" in out


@pytest.mark.usefixtures("no_minirocket")
def test_probe_counts_classes_and_balances_uneven_ones(
    tj: Terminal, run: Path, tmp_path: Path
) -> None:
    test = write_csv(tmp_path / "test.csv", n=10, seed=1)
    table = pd.read_csv(test)
    table = table[~table["track"].isin(["s1", "s3"])]
    table.to_csv(test, index=False)
    words = ["probe", run, "--out", tmp_path / "p.json", "--test", test]
    out = tj.succeeds(*words)
    assert "balanced accuracy" in out
    assert "a (6 + 5), b (6 + 3)" in out
    even = write_csv(tmp_path / "even.csv", n=10, seed=1)
    out = tj.succeeds(*words[:-1], even, "--overwrite")
    assert "balanced accuracy" not in out


@pytest.mark.filterwarnings("default")  # the command line shows it
@pytest.mark.usefixtures("no_minirocket")
def test_probe_warns_when_test_is_train(
    tj: Terminal, run: Path, data: Path, tmp_path: Path
) -> None:
    code, _, error = tj("probe", run, "--test", data, "--out", tmp_path / "p.json")
    assert code == 0
    assert "train sequences" in error


def test_a_store_that_is_there_is_said_to_be(tj: Terminal, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(1, 2, 400)))
    words = ("prepare", tmp_path / "x.npy", "--out", tmp_path / "store")
    first, second = tj.succeeds(*words), tj.succeeds(*words)
    assert "nothing was done" not in first
    assert "was there already, made from the same data; nothing was done" in second
    for said in (first, second):  # one series is cut
        assert f"--data {tmp_path / 'store'} --window 50 --out runs/a" in said


def test_parts_that_are_there_are_said_to_be(
    tj: Terminal, run: Path, data: Path, tmp_path: Path
) -> None:
    words = ("embed", run, data, "--out", tmp_path / "parts")
    assert tj.succeeds(*words).endswith(" parts (.parquet)\n")
    assert "parts (.parquet); all of it was there already" in tj.succeeds(*words)
    one = write_csv(tmp_path / "one.csv", n=1)
    said = tj.succeeds("embed", run, one, "--out", tmp_path / "one")
    assert said.endswith("in 1 part (.parquet)\n")


def test_a_pool_of_timesteps_is_refused(tj: Terminal, run: Path, data: Path) -> None:
    said = tj.refuses("embed", run, data, "--timesteps", "--pool", "all")
    assert "leave out --timesteps or --pool" in said


def test_prepare_hides_the_flags_that_it_refuses(
    tj: Terminal, data: Path, tmp_path: Path
) -> None:
    assert "--stride" in tj("inspect", "--help")[1]
    assert "--window" not in tj("prepare", "--help")[1]
    words = ("prepare", data, "--out", tmp_path / "s")
    assert "a store keeps whole series" in tj.refuses(*words, "--window", "9")


def test_a_run_says_where_its_model_is(
    tj: Terminal, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("pretrain", "--data", data, "--out", tmp_path / "r", *READ, *FAST)
    said = tj.succeeds(*words)
    assert f"model  {tmp_path / 'r' / 'model.safetensors'}" in said
    assert "processes" not in said
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert "trains on 2 processes" in tj.succeeds(*words, "--dry-run", "--overwrite")
