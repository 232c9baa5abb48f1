"""The command line: flags from the settings, one-line errors, exit codes. Torch is loaded only when a command runs.

Exit codes: 0 done, 1 the data or settings cannot be used, 2 the command line is wrong, 130 interrupted, 143 terminated.
"""

import argparse
import errno
import importlib
import logging
import os
import re
import shlex
import signal
import sys
import warnings
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

from jsonargparse import ActionConfigFile  # type: ignore[attr-defined]

from ..config import RECIPE, VIDEO, PretrainConfig, ReadOptions, TemporalJEPAConfig
from ..version import __version__
from .options import EXAMPLES, Form, UsageError, Verb, nearest

TRACEBACK = "TEMPORAL_JEPA_TRACEBACK"
FROM_DATA = ("input_dim", "frame", "resolutions")
MODEL_FIELDS = tuple(f.name for f in fields(TemporalJEPAConfig) if f.name not in FROM_DATA)
FITTED = ("seq_len", "patch_len", "patch_size")  # to the data
BUNDLED = Path(__file__).parents[1] / "pretrained" / "series-small"
TEXT = str | None
READING = tuple(f.name for f in fields(ReadOptions))


def _reading(form: Form, otherwise: str = "inferred", windows: bool = True) -> None:
    form.group(f"how the data is read (default: {otherwise}; see docs/data.md)")
    form.flag(
        "layout",
        Literal["wide", "long", "recording", "folder", "tracks", "scene", "video"] | None,
        None,
        "one row a series; a row a timestep of series --id; all rows one series; a file a series; a row a fix; "
        "agents side by side; arrays of pictures",
    )
    form.flag("id", TEXT, None, "column that names the series", "COL")
    form.flag("time", TEXT, None, "column of the time", "COL")
    form.flag(
        "label", TEXT, None, "column of the label, never used in pretraining; '' for none", "COL"
    )
    form.flag("values", str | list[str | int] | None, None, "columns of the values", "A,B,C")
    if windows:
        form.flag("window", int | None, None, "cut series into windows of N timesteps", "N")
        form.flag(
            "stride", int | None, None, "timesteps between windows (default: the window)", "N"
        )
    form.flag(
        "features",
        str | list[str] | None,
        None,
        "of tracks: x,y,dx,dy,speed,heading,turn,dt, ...",
        "A,B,C",
    )
    form.flag("step", float | None, None, "of tracks: resample to a fix every S seconds", "S")
    form.flag("gap", float | None, None, "of tracks: split where no fix comes for S seconds", "S")
    form.flag(
        "max_speed",
        float | None,
        None,
        "of tracks: leave out fixes that are jumps, faster than this",
        "M/S",
    )
    form.flag(
        "time_unit",
        float | None,
        None,
        "of tracks: seconds that a number in the time column counts",
        "S",
    )
    form.flag(
        "agents",
        int | None,
        None,
        "of scenes: so many agents (default: as many as the fullest needs)",
        "N",
    )
    form.flag(
        "fps",
        float | None,
        None,
        "of video: frames a second (default: 8, or what the films have)",
        "X",
    )
    form.flag(
        "resize", TEXT, None, "of video: pixels, 64 for a square or WIDTHxHEIGHT (default: 64)", "N"
    )
    form.flag(
        "region", TEXT, None, "of video: center (default), none or WIDTHxHEIGHT+LEFT+TOP", "REGION"
    )


def _pretrain(form: Form) -> None:
    form.parser.add_argument(
        "--config", action=ActionConfigFile, metavar="FILE", help="YAML with any of these options"
    )
    form.flag("data", TEXT, None, "file or folder of sequences", "FILE")
    form.flag("out", TEXT, None, "run folder to write", "RUN")
    form.flag("resume", bool, False, "go on with the run in --out; all settings come from there")
    form.flag(
        "init_from",
        TEXT,
        None,
        "start from these weights: a run, series-small, or scratch (default: "
        "series-small for series of up to 2048 timesteps unless an option below shapes the model, else scratch)",
        "RUN",
    )
    form.flag("overwrite", bool, False, "replace the run in --out")
    form.flag("dry_run", bool, False, "print settings, size and memory, and write nothing")
    _reading(form)
    form.group("training")
    form.settings(PretrainConfig)
    form.group("model from scratch (patch_len and seq_len are chosen from the data)")
    usual = {
        f.name: RECIPE.get(f.name, f.default)
        for f in fields(TemporalJEPAConfig)
        if f.name not in FROM_DATA
    }
    notes = {
        name: f" (default: {value}{f'; for films {VIDEO[name]}' if name in VIDEO else ''})"
        for name, value in usual.items()
        if name not in FITTED
    }
    form.settings(TemporalJEPAConfig, FROM_DATA, notes, **dict.fromkeys(usual))


def _pool(form: Form) -> None:
    form.flag(
        "pool",
        Literal["mean", "all", "quantiles"],
        "all",
        "mean of tokens; mean, std and max: of every layer; quantiles of all layers",
    )


def _embed(form: Form) -> None:
    form.positional("run", "RUN", "run folder, series-small, or a model on the Hugging Face hub")
    form.positional("data", "FILE", "file or folder of sequences")
    form.flag(
        "out", TEXT, None, ".npz, .npy, .csv or .parquet (default: RUN/embeddings.npz)", "FILE"
    )
    _pool(form)
    form.flag("timesteps", bool, False, "one vector per timestep instead of one per sequence")
    form.flag("overwrite", bool, False, "replace the file")
    form.flag("device", str, "cpu", "where to compute")
    _reading(form, "as the run's own data was read")


def _probe(form: Form) -> None:
    form.positional("run", "RUN", "run folder")
    form.flag("train", TEXT, None, "labelled sequences (default: the run's own data)", "FILE")
    form.flag(
        "test",
        TEXT,
        None,
        "labelled sequences to score on (default: a held-out 30 % of --train)",
        "FILE",
    )
    form.flag(
        "kind",
        Literal["ridge", "linear", "knn", "svm", "attentive"],
        "ridge",
        "the classifier on frozen features; attentive: a learnt query reads the tokens, no pooling",
    )
    _pool(form)
    form.flag("seed", int, 0, "of the split and the classifier")
    form.flag("out", TEXT, None, "file to write (default: RUN/probe.json)", "FILE")
    form.flag("overwrite", bool, False, "replace the file")
    _reading(form, "as the run's own data was read")


def _report(form: Form) -> None:
    form.positional("run", "RUN", "run folder")
    form.flag("out", TEXT, None, "file to write (default: RUN/report.html)", "FILE")
    form.flag("overwrite", bool, False, "replace the file")
    form.flag("data", TEXT, None, "sequences to show (default: the run's own data)", "FILE")
    _reading(form, "as the run's own data was read")


def _surprise(form: Form) -> None:
    form.positional("run", "RUN", "run folder, series-small, or a model on the Hugging Face hub")
    form.positional("data", "FILE", "file or folder of sequences, long ones")
    form.flag(
        "out",
        TEXT,
        None,
        ".csv or .parquet; the page goes beside it (default: RUN/surprise.csv)",
        "FILE",
    )
    form.flag(
        "clean",
        TEXT,
        None,
        "what each series begins with is known to be normal: timesteps, or a share such as "
        "0.2 (default: the run's own data is what is known)",
        "N",
    )
    form.flag(
        "window",
        int | None,
        None,
        "timesteps compared at a time (default: those of training, fewer for short series)",
        "N",
    )
    form.flag(
        "quantile", float, 0.99, "share of what is known that scores below 1, where alarms begin"
    )
    form.flag("overwrite", bool, False, "replace the files")
    form.flag("device", str, "cpu", "where to compute")
    _reading(form, "as the run's own data was read", windows=False)


def _nearest(form: Form) -> None:
    form.positional("run", "RUN", "run folder")
    form.positional(
        "query",
        "QUERY",
        "file of sequences to find others for, or the name of one that is searched",
    )
    form.flag("among", TEXT, None, "sequences to search (default: the run's own data)", "FILE")
    form.flag("k", int, 5, "how many")
    form.flag("out", TEXT, None, "also draw them: an .html to write", "FILE")
    form.flag("overwrite", bool, False, "replace the file")
    _pool(form)
    _reading(form, "as the run's own data was read")


def _export(form: Form) -> None:
    form.positional("run", "RUN", "run folder")
    form.flag("format", Literal["onnx", "torch"], "onnx", "ONNX, or a torch.export program")
    form.flag("out", TEXT, None, "file to write (default: RUN/model.onnx or RUN/model.pt2)", "FILE")
    _pool(form)
    form.flag("overwrite", bool, False, "replace the file")


def _inspect(form: Form) -> None:
    form.positional("data", "FILE", "file or folder of sequences, or a run folder")
    _reading(form)


def _demo(form: Form) -> None:
    form.flag("out", str, "runs/demo", "folder to write", "DIR")
    form.flag("steps", int, 0, "optimizer steps on each data set; 0: as in pretrain")


VERBS = {
    "pretrain": Verb(
        "commands",
        "--data FILE --out RUN [options]",
        "Train an encoder on sequences, without labels",
        (
            "pretrain --data data.csv --out runs/a",
            "pretrain --data data.csv --out runs/a --dry-run",
            "pretrain --data data.csv --out runs/a --steps 2000 --batch-size 64",
            "pretrain --out runs/a --resume",
        ),
        _pretrain,
    ),
    "embed": Verb(
        "commands",
        "RUN FILE [options]",
        "Turn sequences into vectors",
        (
            "embed runs/a data.csv",
            "embed series-small data.csv",
            "embed runs/a new.csv --timesteps --out new.parquet",
        ),
        _embed,
    ),
    "probe": Verb(
        "commands",
        "RUN [--train FILE] [--test FILE] [options]",
        "Score the embedding with a simple classifier, beside its controls",
        ("probe runs/a --train train.csv --test test.csv", "probe runs/a --label activity"),
        _probe,
    ),
    "report": Verb(
        "commands",
        "RUN [options]",
        "Write one HTML page of how the run went",
        ("report runs/a",),
        _report,
    ),
    "surprise": Verb(
        "detect",
        "RUN FILE [options]",
        "Score how surprising each timestep of long series is",
        (
            "surprise runs/a new.csv",
            "surprise series-small recording.csv --clean 0.2 --out scores.csv",
        ),
        _surprise,
    ),
    "nearest": Verb(
        "nearest",
        "RUN QUERY [options]",
        "Find the sequences most like these, by their vectors",
        ("nearest runs/a new.csv", "nearest runs/a 17 --k 10 --out nearest.html"),
        _nearest,
    ),
    "export": Verb(
        "commands",
        "RUN [options]",
        "Write the embedding as a graph that runs without this library",
        ("export runs/a --format onnx --out model.onnx",),
        _export,
    ),
    "inspect": Verb(
        "commands",
        "FILE-or-RUN [options]",
        "Show what is understood of a file, or the facts of a run",
        ("inspect data.csv", "inspect data.csv --id track --values x,y", "inspect runs/a"),
        _inspect,
    ),
    "doctor": Verb(
        "demo", "", "Print versions, devices and missing extras", ("doctor",), lambda form: None
    ),
    "demo": Verb(
        "demo",
        "[options]",
        "Run the whole job on real data sets that ship with aeon: minutes, no download",
        ("demo", "demo --out runs/demo"),
        _demo,
    ),
}


def overview() -> str:
    """What `temporal-jepa --help` prints."""
    verbs = "\n".join(f"  {name:<10}{verb.summary}" for name, verb in VERBS.items())
    return f"""usage: temporal-jepa VERB [options]

Embeddings of sequences, learnt without labels (temporal-jepa {__version__}).

examples:
  temporal-jepa demo
  temporal-jepa inspect data.csv
  temporal-jepa pretrain --data data.csv --out runs/a
  temporal-jepa embed runs/a data.csv

verbs:
{verbs}

options of a verb: temporal-jepa VERB --help
also: --version, --traceback (show where an error came from)"""


def parse(name: str, words: Sequence[str]) -> argparse.Namespace:
    """The options of verb `name`; underscores in flags count as dashes.

    A resumed run takes its defaults from its own config.json, one with --init-from its architecture.

    Raises:
        UsageError: in one line, for what the verb does not know or cannot read.
    """
    given = [re.sub(r"^--[\w-]+", lambda flag: flag[0].replace("_", "-"), word) for word in words]
    given = [word.replace("--print-config", "--print_config") for word in given]
    settings = re.search(r"--config[=\n]([^\n]+)", "\n".join(given))
    form = Form(name, VERBS[name])
    try:
        options = form.parser.parse_args(given).as_dict()
        if stored := _stored(options):
            form.parser.set_defaults(stored)
            options = form.parser.parse_args(given).as_dict()
        if differ := [
            key for key in stored if options["init_from"] and options[key] != stored[key]
        ]:
            raise UsageError(
                f"--init-from brings its own {differ[0]}; leave out --{differ[0].replace('_', '-')}"
            )
    except (argparse.ArgumentError, UnicodeDecodeError) as error:
        raise UsageError(form.explain(str(error), settings[1] if settings else "")) from error
    for key in ("data", "out") if name == "pretrain" else ():
        if not options[key] and not (key == "out" and options["dry_run"]):
            raise UsageError(f"--{key} is missing; for example --{key} {EXAMPLES[key]}")
    return argparse.Namespace(**options)


def _stored(options: dict[str, Any]) -> dict[str, Any]:
    """Defaults that a resumed run, or one that starts from another's weights, takes from that run's config.json."""
    folder = options["out"] if options.get("resume") else options.get("init_from")
    folder = {BUNDLED.name: BUNDLED, "scratch": None}.get(
        folder or "", folder
    )  # names before folders of that name
    if not folder or not (options["resume"] or Path(folder).is_dir()):
        return {}
    if options["resume"] and not Path(folder, "config.json").is_file():
        raise FileNotFoundError(f"{folder} holds no run to resume; start one without --resume")
    config = importlib.import_module("temporal_jepa.checkpoint").read_config(Path(folder))
    stored = {name: config["model"].get(name) for name in MODEL_FIELDS}
    if options["resume"]:
        data = config.get("data", {})
        stored |= {
            **config.get("pretrain", {}),
            **data.get("options", {}),
            "data": data.get("path"),
        }
    return {
        key: ",".join(map(str, value)) if isinstance(value, list) else value
        for key, value in stored.items()
    }


def describe(error: BaseException) -> str:
    """An error as one line for a person."""
    if isinstance(error, OSError) and error.errno and error.strerror:
        hints = {
            errno.ENOSPC: "; free some space, a stopped training goes on with --resume",
            errno.EACCES: "; choose a place you may write to",
        }
        name = f"{error.filename}: " if error.filename else ""
        return f"{name}{error.strerror[0].lower()}{error.strerror[1:]}{hints.get(error.errno, '')}"
    return as_flags(" ".join(str(error).split())) or type(error).__name__


def as_flags(text: str) -> str:
    """A message for Python, `say time=''`, in the words of the command line: `say --time ''`."""
    return re.sub(
        rf"(?<![\w.'\"-])({'|'.join(READING)})=(?=(['\w.]?))",
        lambda m: f"--{m[1].replace('_', '-')}{' ' if m[2] else ''}",
        text,
    )


def _stdout_fails() -> bool:
    """Whether standard output takes no more; it then leads nowhere, else Python complains again at its exit."""
    try:
        print(flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def _stopped(name: str, options: argparse.Namespace | None) -> str:
    if (
        name == "pretrain"
        and options
        and options.out
        and any(Path(options.out).glob("checkpoint/step-*.pt"))
    ):
        return f"interrupted; go on with: temporal-jepa pretrain --out {shlex.quote(options.out)} --resume"
    return "interrupted"


def _run(name: str, words: Sequence[str], show: bool) -> int:
    options = None
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    shown = warnings.showwarning
    warnings.showwarning = lambda text, *rest: print(
        f"warning: {' '.join(str(text).split())}", file=sys.stderr
    )
    try:
        options = parse(name, words)
        command = getattr(importlib.import_module(f".{VERBS[name].home}", __package__), name)
        command(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print(_stopped(name, options), file=sys.stderr)
        return 130
    except (
        SystemExit
    ) as stop:  # --help ends with 0; SIGTERM with 143, here and in a training that saves first
        if stop.code == 128 + signal.SIGTERM:
            print(_stopped(name, options), file=sys.stderr)
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BrokenPipeError:
        _stdout_fails()
        return 141
    except (
        UsageError,
        ValueError,
        OSError,
        ArithmeticError,
        ImportError,
        MemoryError,
        RuntimeError,
    ) as error:
        known = not isinstance(error, RuntimeError) or type(error).__name__ == "OutOfMemoryError"
        if show or not known:
            raise
        text = describe(error)
        if isinstance(error, OSError) and error.errno and not error.filename and _stdout_fails():
            text = f"standard output cannot be written: {error.strerror}"
        print(f"error: {text}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    finally:
        signal.signal(signal.SIGTERM, before)
        warnings.showwarning = shown
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, `sys.argv` when no arguments are given, and return the exit code."""
    if None in (
        sys.stdout,
        sys.stderr,
    ):  # closed by who started this process: temporal-jepa ... >&-
        nowhere = Path(os.devnull).open("w")  # noqa: SIM115
        sys.stdout = sys.stdout or nowhere
        sys.stderr = sys.stderr or nowhere
    words = list(sys.argv[1:] if arguments is None else arguments)
    show = "--traceback" in words or os.environ.get(TRACEBACK, "") not in ("", "0")
    words = [word for word in words if word != "--traceback"]
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview(), file=sys.stdout if words else sys.stderr)
        return 0 if words else 2
    if words[0] == "--version":
        print(f"temporal-jepa {__version__}")
        return 0
    if words[0] not in VERBS:
        print(
            f"error: unknown verb {words[0]!r}{nearest(words[0], [*VERBS], '', 'temporal-jepa')}",
            file=sys.stderr,
        )
        return 2
    logging.getLogger("matplotlib").setLevel(
        logging.ERROR
    )  # what it says of its cache is no news to the user
    # Read when torch and numba are loaded. OpenMP's threads otherwise spin while they wait, and those of numba, which
    # MiniRocket runs in, disturb torch's: on busy cores each makes what follows 10 to 30 times slower.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("NUMBA_THREADING_LAYER", "workqueue")
    return _run(words[0], words[1:], show)
