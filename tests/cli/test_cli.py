"""The command line: what it prints, what it writes, what it refuses, and with which exit code."""

import errno
import importlib.util
import json
import os
import signal
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from temporal_jepa import checkpoint
from temporal_jepa.cli import commands, demo
from temporal_jepa.cli import main as cli
from temporal_jepa.config import PretrainConfig, TemporalJEPAConfig
from temporal_jepa.data.video import VIDEO_OPTIONS
from temporal_jepa.evaluation import attentive, probes
from temporal_jepa.files import read_config
from temporal_jepa.training import run as runs

TINY = [
    "--embed-dim",
    "16",
    "--predictor-embed-dim",
    "8",
    "--num-heads",
    "2",
    "--encoder-depth",
    "1",
    "--predictor-depth",
    "1",
]
FAST = [*TINY, "--steps", "4", "--log-every", "2", "--watch-every", "2", "--batch-size", "4"]


def write_csv(
    path: Path, n: int = 12, length: int = 16, labels: bool = True, channels: int = 2, seed: int = 0
) -> Path:
    """A long table: two classes of noisy waves; series 0 is shorter than the others."""
    draw = np.random.default_rng(seed)
    lines = ["track,t," + ",".join(f"x{c}" for c in range(channels)) + ",kind" * labels]
    for i in range(n):
        for t in range(length - 4 * (i == 0)):
            values = np.sin(t * (1 + i % 2) / 2) + 0.1 * draw.standard_normal(channels)
            lines.append(
                f"s{i},{t}," + ",".join(f"{v:.4f}" for v in values) + f",{'ab'[i % 2]}" * labels
            )
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


READ = ["--id", "track", "--time", "t", "--label", "kind"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_csv(tmp_path_factory.mktemp("data") / "data.csv")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "a"
    assert cli.main(["pretrain", "--data", str(data), "--out", str(folder), *READ, *FAST]) == 0
    return folder


class Terminal:
    """Runs a command and gives its exit code, standard output and standard error."""

    def __init__(self, capsys: pytest.CaptureFixture[str]):
        self.capsys = capsys

    def __call__(self, *words: Any) -> tuple[int, str, str]:
        self.capsys.readouterr()
        code = cli.main([str(word) for word in words])
        return code, *self.capsys.readouterr()

    def refuses(self, *words: Any, code: int = 1) -> str:
        """The one line on standard error of a command that must fail."""
        got, _, error = self(*words)
        assert got == code, error
        assert error.startswith("error: "), error
        assert error.count("\n") == 1, error
        return error.strip()


@pytest.fixture
def tj(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)


HELPS = """
import sys, time
from temporal_jepa.cli import main as cli
for words in [["--help"], *([verb, "--help"] for verb in cli.VERBS)]:
    assert cli.main(words) == 0
heavy = {"torch", "pandas", "sklearn", "numpy", "matplotlib", "rich", "aeon"} & set(sys.modules)
print(time.process_time(), *heavy, file=sys.stderr)
"""


def test_help_of_every_verb_is_quick_and_loads_nothing_heavy() -> None:
    done = subprocess.run([sys.executable, "-c", HELPS], capture_output=True, text=True, check=True)
    seconds, *heavy = done.stderr.split()
    assert not heavy
    assert float(seconds) < 0.5 * 2, (
        "nine helps in one process; one alone must take less than 0.5 s"
    )
    for verb, facts in cli.VERBS.items():
        assert facts.summary in done.stdout
        assert f"temporal-jepa {verb}" in done.stdout
    assert "(type:" not in done.stdout


def test_no_verb_shows_the_overview(tj: Terminal) -> None:
    assert tj()[::2] == (2, cli.overview() + "\n")
    assert tj("--help")[:2] == (0, cli.overview() + "\n")
    assert tj("--version")[0] == 0


def test_flags_are_the_settings() -> None:
    options = vars(cli.parse("pretrain", ["--data", "d.csv", "--out", "o"]))
    for field in fields(PretrainConfig):
        assert options[field.name] == field.default, field.name
    for field in fields(TemporalJEPAConfig):
        if field.name not in cli.FROM_DATA:
            assert options[field.name] is None, (
                field.name
            )  # what is given shapes a model from scratch
    reading = set(cli.READING)
    for verb, words in {
        "pretrain": ["--data", "d", "--out", "o"],
        "embed": ["r", "f"],
        "probe": ["r"],
        "report": ["r"],
        "inspect": ["f"],
        "nearest": ["r", "q"],
        "surprise": ["r", "f"],
    }.items():
        windows = (
            {"window", "stride"} if verb == "surprise" else set()
        )  # it has a window of its own
        assert reading - windows <= set(vars(cli.parse(verb, words))), verb


def test_dashes_and_underscores_are_one() -> None:
    for flag in ("--batch-size", "--batch_size"):
        assert cli.parse("pretrain", ["--data", "d", "--out", "o", flag, "7"]).batch_size == 7
    assert cli.parse("pretrain", ["--data", "a_b.csv", "--out=o_o", "--batch_size=7"]).out == "o_o"


def test_printed_config_can_be_read_again(tj: Terminal, tmp_path: Path) -> None:
    words = [
        "--data",
        "d.csv",
        "--out",
        "o",
        "--lr",
        "0.1",
        "--mask",
        "random",
        "--values",
        "x,y",
        "--compile",
    ]
    code, printed, _ = tj("pretrain", *words, "--print-config")
    assert code == 0
    file = tmp_path / "settings.yaml"
    file.write_text(printed, "utf-8")
    again = vars(cli.parse("pretrain", ["--config", str(file), "--steps", "3"]))
    assert {**again, "config": None} == {**vars(cli.parse("pretrain", words)), "steps": 3}


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("pretrian", "unknown verb 'pretrian'; did you mean pretrain?"),
        ("pretrain --stpes 3", "unknown option --stpes; did you mean --steps?"),
        ("pretrain --batch_sise=3", "unknown option --batch-sise; did you mean --batch-size?"),
        (
            "pretrain --steps many",
            "--steps expects a whole number, got 'many'; for example --steps 500",
        ),
        (
            "pretrain --seq-len 1.5",
            "--seq-len expects a whole number, got '1.5'; for example --seq-len 64",
        ),
        ("pretrain --lr fast", "--lr expects a number, got 'fast'; for example --lr 0.002"),
        (
            "pretrain --mask blok",
            "--mask expects one of random, block, future, tube, got 'blok'; for example --mask random",
        ),
        (
            "pretrain --layout tall",
            "--layout expects one of wide, long, recording, folder, tracks, scene, video, got",
        ),
        ("pretrain --lr", "--lr expects a value"),
        ("pretrain data.csv", "unexpected argument 'data.csv'"),
        ("pretrain --out o", "--data is missing; for example --data data.csv"),
        ("pretrain --data d.csv", "--out is missing; for example --out runs/a"),
        ("pretrain --config nowhere.yaml", "nowhere.yaml"),
        ("embed runs/a", "data is missing; usage: temporal-jepa embed RUN FILE"),
        ("inspect f.csv --zzz", "unknown option --zzz; see temporal-jepa inspect --help"),
    ],
)
def test_usage_errors(tj: Terminal, words: str, part: str) -> None:
    assert part in tj.refuses(*words.split(), code=2)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("batch_sise: 3", "--config: unknown key 'batch_sise'; did you mean batch_size?"),
        ("steps: soon", "--steps expects a whole number, got 'soon'; for example --steps 500"),
        ("id: 3", "--id expects text, got '3'; for example --id subject"),
        (
            "steps: [",
            "c.yaml: expected YAML with lines such as 'steps: 500': while parsing a flow node did not find",
        ),
        ("", "c.yaml: expected YAML with lines such as 'steps: 500': the file is empty"),
        ("- a", "c.yaml: expected YAML with lines such as 'steps: 500': - a"),
    ],
)
def test_errors_in_a_config_file(tj: Terminal, tmp_path: Path, text: str, part: str) -> None:
    (tmp_path / "c.yaml").write_text(text, "utf-8")
    assert part in tj.refuses("pretrain", "--config", tmp_path / "c.yaml", code=2)


def test_a_config_file_that_is_no_text_and_one_with_a_list_of_columns(
    tj: Terminal, tmp_path: Path
) -> None:
    file = tmp_path / "c.yaml"
    file.write_bytes(b"\xff\xfe")
    assert f"--config {file}: expected YAML" in tj.refuses("pretrain", f"--config={file}", code=2)
    for text, values in (("[a, b]", ["a", "b"]), ("[0, 1]", [0, 1]), ("a,b", "a,b")):
        file.write_text(f"values: {text}", "utf-8")
        assert (
            cli.parse("pretrain", ["--config", str(file), "--data", "d", "--out", "o"]).values
            == values
        )


def test_pretrain_leaves_a_run_and_says_what_is_next(
    tj: Terminal, data: Path, tmp_path: Path
) -> None:
    code, out, _ = tj("pretrain", "--data", data, "--out", tmp_path / "a run", *READ, *FAST)
    assert code == 0
    assert "12 sequences of 2 channels, 12 to 16 timesteps" in out
    assert "step 4/4  loss" in out
    assert "relative loss" in out
    assert any(word in out for word in ("healthy", "weak", "collapsed"))
    assert f"temporal-jepa report '{tmp_path / 'a run'}'" in out
    config = json.loads((tmp_path / "a run" / "config.json").read_text("utf-8"))
    assert config["data"]["options"] == {"id": "track", "time": "t", "label": "kind"}
    assert config["model"]["embed_dim"] == 16
    assert config["pretrain"]["batch_size"] == 4
    assert "already holds a run" in tj.refuses(
        "pretrain", "--data", data, "--out", tmp_path / "a run", *READ, *FAST
    )
    assert (
        tj("pretrain", "--data", data, "--out", tmp_path / "a run", "--overwrite", *READ, *FAST)[0]
        == 0
    )


def test_dry_run_writes_nothing(tj: Terminal, data: Path, tmp_path: Path) -> None:
    code, out, _ = tj(
        "pretrain", "--data", data, "--out", tmp_path / "r", "--dry-run", *READ, *FAST
    )
    assert code == 0
    for part in (
        "embed_dim: 16",
        "parameters",
        "4 of 4 sequences, 1.3 epochs",
        "16 a sequence",
        "memory",
        "dry run",
    ):
        assert part in out
    assert not (tmp_path / "r").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
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
        patch.setattr(commands.Progress, "row", lambda self, row: os.kill(os.getpid(), number))
        got, _, error = tj("pretrain", "--data", data, "--out", folder, *READ, *FAST)
    assert got == code
    assert error == f"interrupted; go on with: temporal-jepa pretrain --out {folder} --resume\n"
    got, _, error = tj(
        "pretrain", "--out", folder, "--resume"
    )  # data and settings come from the run
    assert got == 0, error
    assert (folder / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()
    assert "already trained" in tj("pretrain", "--out", folder, "--resume")[1]
    assert "pretrain.lr" in tj.refuses("pretrain", "--out", folder, "--resume", "--lr", "0.5")


def test_interrupted_elsewhere(tj: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(path: object, **options: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(commands, "read", stop)
    assert tj("inspect", "f.csv")[::2] == (143, "interrupted\n")


def test_init_from_takes_weights_and_architecture(
    tj: Terminal, data: Path, run: Path, tmp_path: Path
) -> None:
    words = [
        "pretrain",
        "--data",
        data,
        "--out",
        tmp_path / "r",
        *READ,
        "--init-from",
        run,
        "--steps",
        "2",
    ]
    assert "leave out --embed-dim" in tj.refuses(*words, "--embed-dim", 32, code=2)
    assert "embed_dim: 16" in tj(*words, "--dry-run")[1]
    assert tj(*words)[0] == 0
    assert (
        checkpoint.from_pretrained(tmp_path / "r").config == checkpoint.from_pretrained(run).config
    )
    assert tj.refuses(
        "pretrain", "--data", data, "--out", tmp_path / "s", *READ, "--init-from", tmp_path / "no"
    )


def test_embed_writes_what_the_name_says(
    tj: Terminal, data: Path, run: Path, tmp_path: Path
) -> None:
    import pandas as pd

    code, out, _ = tj("embed", run, data, "--overwrite")
    assert code == 0
    assert "12 sequences" in out
    with np.load(run / "embeddings.npz") as stored:
        vectors = stored["embeddings"]
        ids = stored["ids"]
        labels = stored["labels"]
    assert vectors.dtype == np.float32
    assert len(vectors) == 12
    assert ids[1] == "s1"
    assert labels[1] == "b"
    assert "already" in tj.refuses("embed", run, data)
    assert tj("embed", run, data, "--out", tmp_path / "e.npy")[0] == 0
    np.testing.assert_array_equal(np.load(tmp_path / "e.npy"), vectors)
    assert tj("embed", run, data, "--out", tmp_path / "new" / "e.csv")[0] == 0
    frame = pd.read_csv(tmp_path / "new" / "e.csv")
    assert list(frame)[:3] == ["id", "label", "e0"]
    np.testing.assert_allclose(frame.iloc[:, 2:], vectors, rtol=1e-5)
    assert tj("embed", run, data, "--out", tmp_path / "e.npz", "--pool", "mean")[0] == 0
    assert np.load(tmp_path / "e.npz")["embeddings"].shape == (12, 16)
    assert "ends in .npz" in tj.refuses("embed", run, data, "--out", tmp_path / "e.txt")
    pytest.importorskip("pyarrow")
    assert tj("embed", run, data, "--out", tmp_path / "e.parquet")[0] == 0
    assert pd.read_parquet(tmp_path / "e.parquet").shape == frame.shape


def test_embed_reads_new_data_without_the_columns_it_lacks(
    tj: Terminal, run: Path, tmp_path: Path
) -> None:
    bare = write_csv(tmp_path / "bare.csv", labels=False)
    code, out, error = tj("embed", run, bare, "--out", tmp_path / "e.npz")
    assert code == 0, error
    assert (
        f"note: {bare} has no column 'kind', the label of the data trained on; read without it"
        in out
    )
    assert "labels" not in np.load(tmp_path / "e.npz")
    words = ["embed", run, bare, "--out", tmp_path / "f.npz"]
    assert "label names a column 'kind' that does not exist" in tj.refuses(
        *words, "--label", "kind"
    )


def test_embed_takes_channels_by_name(tj: Terminal, data: Path, run: Path, tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.read_csv(data)
    frame[["track", "t", "x1", "x0", "kind"]].to_csv(tmp_path / "swapped.csv", index=False)
    frame.rename(columns={"x1": "y"}).to_csv(tmp_path / "other.csv", index=False)
    for name in ("data", "swapped", "other"):
        file = data if name == "data" else tmp_path / f"{name}.csv"
        code, out, error = tj("embed", run, file, "--out", tmp_path / f"{name}.npy")
        assert code == 0, error
        assert ("were put in the order of training: x0, x1" in out) == (name == "swapped")
        assert ("channels x0, y, but the run was trained on x0, x1" in error) == (name == "other")
        np.testing.assert_array_equal(
            np.load(tmp_path / f"{name}.npy"), np.load(tmp_path / "data.npy")
        )


def test_embed_refuses_a_device_that_is_not_there(
    tj: Terminal, data: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    words = ["embed", run, data, "--out", tmp_path / "e.npz", "--device"]
    assert "'cuda' was asked for" in tj.refuses(*words, "cuda")
    assert "got 'banana'" in tj.refuses(*words, "banana")


def test_out_that_passes_through_a_file(
    tj: Terminal, data: Path, run: Path, tmp_path: Path
) -> None:
    file = tmp_path / "afile"
    file.touch()
    part = f"--out: {file} is a file, and the name of a folder is needed there"
    for out in (file, file / "x"):
        assert part in tj.refuses("pretrain", "--data", data, "--out", out, *READ, *FAST)
    assert part in tj.refuses("embed", run, data, "--out", file / "e.npz")
    assert part in tj.refuses("report", run, "--out", file / "r.html")
    if importlib.util.find_spec("aeon") is not None:
        assert part in tj.refuses("demo", "--out", file / "d")


def test_embed_timesteps_of_unequal_lengths(
    tj: Terminal, data: Path, run: Path, tmp_path: Path
) -> None:
    import pandas as pd

    assert tj("embed", run, data, "--timesteps", "--out", tmp_path / "e.npz")[0] == 0
    with np.load(tmp_path / "e.npz") as stored:
        assert stored["embeddings"].shape == (12, 16, 16)
        assert stored["lengths"].tolist() == [12] + [16] * 11
        assert np.isnan(stored["embeddings"][0, 12:]).all()
    assert tj("embed", run, data, "--timesteps", "--out", tmp_path / "e.csv")[0] == 0
    assert len(pd.read_csv(tmp_path / "e.csv")) == 12 + 11 * 16


@pytest.fixture
def no_minirocket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        probes, "minirocket_features", lambda train, test, seed: (np.ones((len(train), 1)),) * 2
    )
    real = probes.controls
    monkeypatch.setattr(
        probes,
        "controls",
        lambda *given: {k: v for k, v in real(*given).items() if k != "MiniRocket"},
    )


@pytest.mark.usefixtures("no_minirocket")
def test_probe_scores_the_encoder_beside_its_controls(
    tj: Terminal, data: Path, run: Path, tmp_path: Path
) -> None:
    test = write_csv(tmp_path / "test.csv", n=10, seed=1)
    code, out, error = tj("probe", run, "--test", test, "--overwrite")
    assert code == 0, error
    result = json.loads((run / "probe.json").read_text("utf-8"))
    names = [row["features"] for row in result["scores"]]
    assert names == ["raw values", "mean/std/min/max", "untrained encoder", "pretrained encoder"]
    assert (result["train"], result["test"], result["n_test"], result["n_classes"]) == (
        str(data),
        str(test),
        10,
        2,
    )
    assert f"always saying {result['commonest']!r}, the commonest: {result['majority']:.3f}" in out
    assert (result["commonest"], result["majority"]) == ("a", 0.5)
    for name in names:
        assert name in out
    assert "already" in tj.refuses("probe", run, "--test", test)
    code, out, error = tj("probe", run, "--kind", "knn", "--out", tmp_path / "p.json")
    assert code == 0
    assert "has changed" not in error
    assert "no --test: scored on 4 sequences" in out
    assert "not from pretraining" in out


def test_probe_with_a_query_that_reads_tokens(
    tj: Terminal, data: Path, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attentive, "STEPS", (20, 20))
    code, out, error = tj("probe", run, "--kind", "attentive", "--out", tmp_path / "p.json")
    assert code == 0, error
    assert "attentive on" in out
    scores = json.loads((tmp_path / "p.json").read_text("utf-8"))["scores"]
    assert [row["features"] for row in scores] == [
        "raw values",
        "untrained encoder",
        "pretrained encoder",
    ]
    assert {row["probe"] for row in scores} == {"attentive"}


@pytest.mark.usefixtures("no_minirocket")
def test_probe_refuses_what_cannot_be_scored(tj: Terminal, run: Path, tmp_path: Path) -> None:
    bare = write_csv(tmp_path / "bare.csv", labels=False)
    words = ["probe", run, "--out", tmp_path / "p.json", "--test"]
    assert "--label COL" in tj.refuses(*words, bare, "--label", "")
    wide = write_csv(tmp_path / "wide.csv", channels=3)
    assert "expects 2 channels, got 3" in tj.refuses(*words, wide)
    assert not (tmp_path / "p.json").exists()


@pytest.mark.usefixtures("no_minirocket")
def test_probe_says_when_its_data_has_changed(tj: Terminal, run: Path, tmp_path: Path) -> None:
    config = read_config(run)
    config["data"]["path"] = str(write_csv(tmp_path / "data.csv", seed=1))
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    (tmp_path / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes())
    code, _, error = tj("probe", tmp_path)
    assert code == 0, error
    assert "data.csv has changed since the run was trained on it" in error


def test_report_export_and_inspect(tj: Terminal, data: Path, run: Path, tmp_path: Path) -> None:
    report = tmp_path / "r.html"
    code, out, error = tj("report", run, "--out", report)
    assert (code, out.strip()) == (0, str(report)), error
    assert "overwrite" in tj.refuses("report", run, "--out", report)
    code, out, error = tj("export", run, "--format", "torch", "--out", tmp_path / "m.pt2")
    assert code == 0, error
    assert (tmp_path / "m.pt2").stat().st_size > 0
    assert "overwrite" in tj.refuses(
        "export", run, "--format", "torch", "--out", tmp_path / "m.pt2"
    )
    code, out, _ = tj("inspect", data, *READ)
    assert code == 0
    for part in ("2: x0, x1", "a (6), b (6)", "12 / 16 / 16", f"pretrain --data {data} --id track"):
        assert part in out
    code, out, _ = tj("inspect", run)
    assert code == 0
    for part in ("4 of 4", "12 sequences of 2 channels", "embed_dim 16"):
        assert part in out


def test_inspect_says_that_pretrain_cuts_a_lone_recording(tj: Terminal, tmp_path: Path) -> None:
    (tmp_path / "one.csv").write_text(
        "t,x\n" + "\n".join(f"{t},{t % 3}" for t in range(400)), "utf-8"
    )
    assert (
        "pretrain cuts this one series into windows of 50 timesteps"
        in tj("inspect", tmp_path / "one.csv")[1]
    )
    assert "pretrain cuts" not in tj("inspect", tmp_path / "one.csv", "--window", "20")[1]


def test_doctor(tj: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pyarrow" else real(name)
    )
    code, out, _ = tj("doctor")
    assert code == 0
    for part in (
        "torch",
        "devices",
        "threads",
        "[parquet]      missing pyarrow",
        "pip install 'temporal-jepa[parquet",
    ):
        assert part in out


def test_bad_data_and_damaged_runs_are_one_line(
    tj: Terminal, data: Path, run: Path, tmp_path: Path
) -> None:
    out = ["--out", tmp_path / "r"]
    assert "no file or folder" in tj.refuses("pretrain", "--data", tmp_path / "none.csv", *out)
    assert "steps must be at least 1" in tj.refuses(
        "pretrain", "--data", data, *READ, *out, "--steps=-1"
    )
    (tmp_path / "one.csv").write_text(
        "t,x\n" + "\n".join(f"{t},{t % 3}" for t in range(40)), "utf-8"
    )
    assert "--window" in tj.refuses("pretrain", "--data", tmp_path / "one.csv", *out, *FAST)
    assert "is missing" in tj.refuses("report", tmp_path)
    assert "holds no run to resume" in tj.refuses("pretrain", "--resume", "--out", tmp_path)
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_bytes((run / "config.json").read_bytes())
    (broken / "model.safetensors").write_bytes((run / "model.safetensors").read_bytes()[:1000])
    assert "damaged" in tj.refuses("embed", broken, data)
    (broken / "config.json").write_text("{", "utf-8")
    assert "no valid JSON" in tj.refuses("inspect", broken)


@pytest.mark.parametrize(
    ("error", "part"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "r/model"),
            "r/model: no space left on device; free some",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", "/r"),
            "/r: permission denied; choose a place",
        ),
        (FloatingPointError("the loss is not finite"), "the loss is not finite"),
        (
            ModuleNotFoundError("reading .parquet needs pyarrow: pip install x"),
            "needs pyarrow: pip install x",
        ),
        (ValueError("two\nlines"), "two lines"),
        (MemoryError(), "MemoryError"),
    ],
)
def test_errors_of_the_machine(
    tj: Terminal,
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    part: str,
) -> None:
    def fail(*given: Any, **options: Any) -> None:
        raise error

    monkeypatch.setattr(runs, "execute", fail)
    words = ["pretrain", "--data", data, "--out", tmp_path / "r", *READ, *FAST]
    assert part in tj.refuses(*words)
    with pytest.raises(type(error)):
        tj(*words, "--traceback")
    monkeypatch.setenv(cli.TRACEBACK, "1")
    with pytest.raises(type(error)):
        tj(*words)


def test_a_bug_keeps_its_traceback(tj: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: Any, **options: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(commands, "read", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        tj("inspect", "f.csv")


def test_a_closed_pipe_is_quiet(data: Path) -> None:
    command = [sys.executable, "-m", "temporal_jepa", "inspect", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_standard_output_that_is_closed_or_full(data: Path, tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    words = ["-m", "temporal_jepa", "inspect", str(data)]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", sys.executable, *words], stderr=subprocess.PIPE
    )
    assert (done.returncode, done.stderr) == (0, b"")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, *words], stdout=full, stderr=subprocess.PIPE)
    message = b"error: standard output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, message)


def test_without_a_home_matplotlib_is_quiet(run: Path, tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("MPL", "XDG"))}
    done = subprocess.run(
        [sys.executable, "-m", "temporal_jepa", "inspect", str(run)],
        env={**environment, "HOME": str(tmp_path / "home")},
        stderr=subprocess.PIPE,
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_progress_is_live_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {
        "step": 10,
        "loss": 0.5,
        "relative_loss": 0.9,
        "samples_per_s": 32.0,
        "rank": 7.0,
        "verdict": "healthy",
    }
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with commands.Progress(PretrainConfig(steps=4000)) as progress:
        progress.row(row)
        assert progress.live is not None
        shown = progress.live.tasks[0]
    assert shown.completed == 10
    assert (
        shown.fields["facts"]
        == "loss 0.5000  relative loss 0.900  rank 7.0  32 samples/s  1:06:30 left"
    )
    assert progress.verdict == "healthy"


@pytest.mark.usefixtures("no_minirocket")
def test_demo(tj: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("aeon") is None:
        pytest.skip("aeon is not installed")
    monkeypatch.setattr(demo, "SETS", {"GunPoint": "one channel"})
    for _ in range(2):  # its own folder is replaced
        code, out, error = tj("demo", "--out", tmp_path / "d", "--steps", "2")
        assert code == 0, error
    for part in (
        "GunPoint (one channel)",
        "WristTracks (where",
        " pretrained",
        "report.html",
        "--data FILE",
    ):
        assert part in out
    assert "A dot marks the start of each path." in (
        tmp_path / "d" / "WristTracks" / "report.html"
    ).read_text("utf-8")
    assert "Frames of each video" in (tmp_path / "d" / "MovingDigits" / "report.html").read_text(
        "utf-8"
    )
    files = {path.name for path in (tmp_path / "d" / "GunPoint").iterdir()}
    assert {
        "model.safetensors",
        "embeddings.npz",
        "embeddings-test.npz",
        "probe.json",
        "report.html",
    } <= files
    (tmp_path / "mine.txt").touch()
    assert "not from a demo" in tj.refuses("demo", "--out", tmp_path)


def test_demo_without_aeon(tj: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "pip install 'temporal-jepa[aeon]'" in tj.refuses("demo", "--out", tmp_path / "d")
    assert not (tmp_path / "d").exists()


def test_messages_speak_of_flags() -> None:
    say = cli.as_flags
    assert say("name columns with values=, time=; or say time='' or id=COLUMN") == (
        "name columns with --values, --time; or say --time '' or --id COLUMN"
    )
    assert say("window=LENGTH, max_speed=30 cut; a runtime=3 and 'time=3' stay") == (
        "--window LENGTH, --max-speed 30 cut; a runtime=3 and 'time=3' stay"
    )


def test_the_flags_of_messages_are_those_of_read() -> None:
    assert {*commands.SHAPING, *VIDEO_OPTIONS, "layout", "id", "time", "label", "values"} == {
        *cli.READING
    }


def test_options_that_would_be_ignored_are_refused(tj: Terminal, run: Path) -> None:
    assert "leave out --pool" in tj.refuses(
        "probe", run, "--kind", "attentive", "--pool", "mean", "--overwrite"
    )
    assert "name labelled sequences with --train" in tj.refuses(
        "probe", "series-small", "--out", run / "x.json"
    )
    assert "name sequences to search with --among" in tj.refuses("nearest", "series-small", run)


def test_a_run_on_scenes_reads_later_files_with_as_many_agents(
    tj: Terminal, tmp_path: Path
) -> None:
    def scene(name: str, agents: range, sep: str = "\t", head: str = "") -> Path:
        rows = [
            sep.join(map(str, (10 * t, a, a + 0.1 * t, 0.2 * t))) for t in range(40) for a in agents
        ]
        (tmp_path / name).write_text(head + "\n".join(rows) + "\n", "utf-8")
        return tmp_path / name

    run = tmp_path / "run"
    code, _, error = tj(
        "pretrain",
        "--data",
        scene("three.txt", range(1, 4)),
        "--layout",
        "scene",
        "--window",
        "10",
        "--out",
        run,
        "--steps",
        "2",
        *TINY,
    )
    assert code == 0, error
    assert read_config(run)["data"]["options"] == {"layout": "scene", "window": 10, "agents": 3}
    for later in (
        scene("two.txt", range(1, 3)),
        scene("five.txt", range(1, 6)),
        scene("two.csv", range(1, 3), ",", "time,id,x,y\n"),
    ):
        code, _, error = tj("embed", run, later, "--out", tmp_path / "e.npy", "--overwrite")
        assert code == 0, error
        assert len(np.load(tmp_path / "e.npy")) == 4
    refused = tj.refuses("surprise", run, tmp_path / "no-such-file.txt")  # before any data is read
    assert "was trained on scenes of agents, and surprise scores" in refused
    assert not (run / "surprise.csv").exists()


def test_the_unit_of_time_is_a_flag_and_stays_with_the_run(tj: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "h.csv"
    run = tmp_path / "run"
    rows = [f"t{i},{t},{3600 * t * (i + 1)},{t * i % 3}" for i in range(4) for t in range(20)]
    file.write_text("\n".join(["id,time,x,y", *rows]) + "\n", "utf-8")
    code, _, error = tj(
        "pretrain",
        "--data",
        file,
        "--layout",
        "tracks",
        "--features",
        "speed",
        "--time-unit",
        "3600",
        "--out",
        run,
        "--steps",
        "2",
        *TINY,
    )
    assert code == 0, error
    stored = read_config(run)
    assert stored["data"]["options"] == {
        "layout": "tracks",
        "features": ["speed"],
        "time_unit": 3600.0,
    }
    again = commands.read_as_trained(str(file), cli.parse("embed", [str(run), str(file)]), stored)
    assert again.values[0][1, 0] == pytest.approx(1.0, abs=1e-3)
