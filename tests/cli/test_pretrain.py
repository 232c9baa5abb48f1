"""`temporal-jepa pretrain`: what it leaves, prints and refuses; `inspect` of its data and run."""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from terminal import FAST, READ, TINY_FLAGS, Terminal

from temporal_jepa import checkpoint
from temporal_jepa.cli.console import Progress
from temporal_jepa.cli.reading import read_as_trained
from temporal_jepa.config import PretrainConfig, ReadOptions
from temporal_jepa.files import read_config


def test_pretrain_leaves_a_run_and_says_what_is_next(
    tj: Terminal, data: Path, tmp_path: Path
) -> None:
    words = ["pretrain", "--data", data, "--out", tmp_path / "a run", *READ, *FAST]
    out = tj.succeeds(*words)
    assert "12 sequences of 2 channels, 12 to 16 timesteps" in out
    assert "step 4/4  loss" in out
    assert "of a guess" in out
    assert any(word in out for word in ("healthy", "weak", "collapsed"))
    assert f"temporal-jepa report '{tmp_path / 'a run'}'" in out
    config = json.loads((tmp_path / "a run" / "config.json").read_text("utf-8"))
    assert config["data"]["options"] == {"id": "track", "time": "t", "label": "kind"}
    assert config["model"]["embed_dim"] == 16
    assert config["pretrain"]["batch_size"] == 4
    assert "--overwrite" in tj.refuses(*words)
    tj.succeeds(*words, "--overwrite")


def test_what_is_next_is_a_table_to_read_and_a_label_in_question(
    tj: Terminal, data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ["--data", data, "--out", run, "--id", "track", "--time", "t", *FAST]
    out = tj.succeeds("pretrain", *words)
    embed = f"temporal-jepa embed {run} {data} --out {run / 'embeddings.csv'} --dim 6"
    assert f"next\n  {embed}\n" in out
    assert f"  temporal-jepa probe {run} --label kind\n" in out
    assert "--dim 6 writes 6 columns" in out
    shown = tj.succeeds("inspect", data, "--id", "track", "--time", "t")
    words = f"pretrain --data {data} --id=track --time=t --out runs/data"
    assert f"\nnext: temporal-jepa {words}\n" in shown
    second = f"next, if 'kind' is the label: temporal-jepa {words} --label kind\n"
    assert shown.endswith(second)
    tj.succeeds(*embed.split()[1:])
    assert len(pd.read_csv(run / "embeddings.csv").filter(like="component").T) == 6
    tj.succeeds("probe", run, "--label", "kind")


def test_verbs_on_a_run_count_the_notes_that_training_printed(
    tj: Terminal, data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ["--id", "track", "--time", "t", *FAST]
    tj.succeeds("pretrain", "--data", data, "--out", run, *words)
    notes = read_config(run)["data"]["notes"]
    inspect = f"temporal-jepa inspect {data} --id=track --time=t"
    embed = ["embed", run, data, "--out", tmp_path / "e.csv"]
    out = tj.succeeds(*embed)
    count = f"note: {len(notes)} notes on reading as at training; to see all: {inspect}"
    assert out.splitlines()[0] == count
    assert out.count("note:") == 1
    assert tj.succeeds(*inspect.split()[1:]).count("note:") == len(notes)
    # with a label some notes change, and only these are printed
    out = tj.succeeds(*embed, "--overwrite", "--label", "kind")
    assert "note: label: column 'kind'\n" in out
    assert "note: channels: x0, x1" not in out
    stored = json.loads(tj.succeeds(*embed, "--overwrite", "--json"))
    assert "channels: x0, x1" in stored["notes"]
    assert len(stored["notes"]) == len(notes)
    # series-small was trained on other data: everything is printed
    general = ["embed", "series-small", data, *words[:4], "--out", tmp_path / "g.npy"]
    assert tj.succeeds(*general).count("note:") == len(notes)


def test_notes_on_data_that_are_left_out_stay(tj: Terminal, tmp_path: Path) -> None:
    data = tmp_path / "tracks.csv"
    lines = ["track,time,x,y"]
    for name, length in (("a", 20), ("b", 20), ("c", 1)):
        lines += [f"{name},{t},{t}.5,{t * t}" for t in range(length)]
    data.write_text("\n".join([*lines, ""]), "utf-8")
    run = tmp_path / "run"
    tj.succeeds("pretrain", "--data", data, "--out", run, "--features", "dx,dy", *FAST)
    out = tj.succeeds("embed", run, data)
    assert "note: 1 tracks of a single fix are left out\n" in out
    assert "notes on reading as at training" in out


def test_dry_run_writes_nothing(tj: Terminal, data: Path, tmp_path: Path) -> None:
    words = ["pretrain", "--data", data, "--dry-run", *READ, *FAST]
    out = tj.succeeds(*words, "--out", tmp_path / "r")
    for part in (
        "embed_dim: 16",
        "parameters",
        "4 of 4 sequences, 1.3 epochs",
        "memory",
    ):
        assert part in out
    assert "16 per sequence" in out
    assert not (tmp_path / "r").exists()
    assert "dry run" in tj.succeeds(*words)  # without --out


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_a_stopped_run_resumes_to_the_same_weights(
    tj: Terminal,
    data: Path,
    run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: int,
) -> None:
    folder = tmp_path / "r"
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "row", lambda self, row: os.kill(os.getpid(), number))
        got, _, error = tj("pretrain", "--data", data, "--out", folder, *READ, *FAST)
    assert got == code
    resume = [
        "pretrain",
        "--out",
        folder,
        "--resume",
    ]  # data and settings come from the run
    assert (
        error
        == f"interrupted; continue with: temporal-jepa {' '.join(map(str, resume))}\n"
    )
    tj.succeeds(*resume)
    assert (folder / "model.safetensors").read_bytes() == (
        run / "model.safetensors"
    ).read_bytes()
    assert "already trained" in tj.succeeds(*resume)
    assert "pretrain.lr" in tj.refuses(*resume, "--lr", "0.5")


def test_init_from_takes_weights_and_architecture(
    tj: Terminal, data: Path, run: Path, tmp_path: Path
) -> None:
    words = ["pretrain", "--data", data, "--steps", "2", *READ]
    started = [*words, "--out", tmp_path / "r", "--init-from", run]
    assert "embed_dim" in tj.refuses(*started, "--embed-dim", 32)
    assert "embed_dim: 16" in tj.succeeds(*started, "--embed-dim", 16, "--dry-run")
    tj.succeeds(*started)
    stored = checkpoint.from_pretrained(tmp_path / "r").config
    assert stored == checkpoint.from_pretrained(run).config
    missing = tmp_path / "no"
    assert str(missing) in tj.refuses(
        *words, "--out", tmp_path / "s", "--init-from", missing
    )


def test_inspect(tj: Terminal, data: Path, run: Path) -> None:
    out = tj.succeeds("inspect", data, *READ)
    for part in ("2: x0, x1", "a (6), b (6)", "12 / 16 / 16"):
        assert part in out
    assert (
        f"pretrain --data {data} --id=track --time=t --label=kind --out runs/data"
        in out
    )
    out = tj.succeeds("inspect", run)
    for part in ("4 of 4", "12 sequences of 2 channels", "embed_dim 16"):
        assert part in out


def test_inspect_suggests_no_pretrain_that_would_fail(
    tj: Terminal, tmp_path: Path
) -> None:
    file = tmp_path / "short.csv"
    file.write_text("time,x\n0,0.5\n1,0.25\n2,0.75\n", "utf-8")
    shown = tj.succeeds("inspect", file)
    assert "pretraining needs at least 2 sequences" in shown
    assert "next:" not in shown


def test_inspect_says_that_two_axes_of_an_array_are_series(
    tj: Terminal, tmp_path: Path
) -> None:
    np.save(tmp_path / "a.npy", np.random.default_rng(0).random((100, 3)))
    shown = tj.succeeds("inspect", tmp_path / "a.npy")
    assert "rows are series (otherwise: --layout recording)\n\nnext:" in shown


def test_inspect_says_that_pretrain_cuts_a_lone_recording(
    tj: Terminal, tmp_path: Path
) -> None:
    file = tmp_path / "one.csv"
    file.write_text("\n".join(["t,x", *(f"{t},{t % 3}" for t in range(400))]), "utf-8")
    assert "windows of 50 timesteps" in tj.succeeds("inspect", file)
    assert "pretrain cuts" not in tj.succeeds("inspect", file, "--window", "20")


def test_progress_is_live_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {
        "step": 10,
        "loss": 0.5,
        "relative_loss": 0.9,
        "samples_per_s": 32.0,
        "rank": 7.0,
        "verdict": "healthy",
    }
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with Progress(PretrainConfig(steps=4000)) as progress:
        progress.row(row)
        assert progress.live is not None
        shown = progress.live.tasks[0]
    assert shown.completed == 10
    text = "loss 0.5000  error 90% of a guess  effective rank 7.0  32 samples/s  1:06:30 left"
    assert shown.fields["facts"] == text
    assert progress.verdict == "healthy"


def test_a_run_on_scenes_reads_later_files_with_as_many_agents(
    tj: Terminal, tmp_path: Path
) -> None:
    def scene(
        name: str, agents: range, separator: str = "\t", header: str = ""
    ) -> Path:
        rows = []
        for t in range(40):
            for a in agents:
                rows.append(separator.join(map(str, (10 * t, a, a + 0.1 * t, 0.2 * t))))
        (tmp_path / name).write_text(header + "\n".join(rows) + "\n", "utf-8")
        return tmp_path / name

    run = tmp_path / "run"
    three = scene("three.txt", range(1, 4))
    words = [
        "pretrain",
        "--data",
        three,
        "--layout",
        "scene",
        "--window",
        "10",
        "--steps",
        "2",
    ]
    tj.succeeds(*words, "--out", run, *TINY_FLAGS)
    assert read_config(run)["data"]["options"] == {
        "layout": "scene",
        "window": 10,
        "agents": 3,
    }
    for later in (
        scene("two.txt", range(1, 3)),
        scene("five.txt", range(1, 6)),
        scene("two.csv", range(1, 3), ",", "time,id,x,y\n"),
    ):
        tj.succeeds("embed", run, later, "--out", tmp_path / "e.npy", "--overwrite")
        assert len(np.load(tmp_path / "e.npy")) == 4
    refused = tj.refuses(
        "detect", run, tmp_path / "no-such-file.txt"
    )  # before any data is read
    assert "scenes" in refused
    assert not (run / "anomalies.csv").exists()


def test_the_unit_of_time_is_a_flag_and_stays_with_the_run(
    tj: Terminal, tmp_path: Path
) -> None:
    file = tmp_path / "h.csv"
    run = tmp_path / "run"
    rows = [
        f"t{i},{t},{3600 * t * (i + 1)},{t * i % 3}"
        for i in range(4)
        for t in range(20)
    ]
    file.write_text("\n".join(["id,time,x,y", *rows]) + "\n", "utf-8")
    words = ["pretrain", "--data", file, "--layout", "tracks", "--features", "speed"]
    tj.succeeds(
        *words, "--time-unit", "3600", "--out", run, "--steps", "2", *TINY_FLAGS
    )
    stored = read_config(run)
    options = {"layout": "tracks", "features": ["speed"], "time_unit": 3600.0}
    assert stored["data"]["options"] == options
    again = read_as_trained(str(file), ReadOptions(), stored)
    assert again.values[0][1, 0] == pytest.approx(1.0, abs=1e-3)


def test_an_objective_is_stored_shown_and_resumed(
    tj: Terminal, data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    words = ["pretrain", "--data", data, "--out", run, "--objective", "next", *READ]
    said = tj.succeeds(*words, "--steps", "2", "--batch-size", "4", "--patch-len", "2")
    assert "starts from scratch; the objective is NextLatent(horizons=(1, 2, 4)" in said
    assert f"temporal-jepa states {run} {data}" in said
    assert "objective        next, horizons [1, 2, 4]" in tj.succeeds("inspect", run)
    tj.succeeds("pretrain", "--out", run, "--resume")
    wrong = ["pretrain", "--data", data, "--objective", "cpc"]
    assert "one of masked, next, contrast" in tj.refuses(*wrong, code=2)
