"""What the verbs of the command line do. A command takes the parsed options, prints for people, and writes files."""

import argparse
import io
import json
import logging
import math
import sys
import warnings
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import yaml

from .. import checkpoint
from ..config import PretrainConfig, ReadOptions, in_words
from ..data import Sequences, read
from ..data.series_tables import MissingColumnError
from ..data.video import VIDEO_OPTIONS, holds_video
from ..embed import embed_sequences, embed_timesteps
from ..evaluation.score import score, split
from ..files import (
    CONFIG,
    WEIGHTS,
    channels_of,
    folder_of,
    read_config,
    write_atomically,
)
from ..model.export import export as write_graph
from ..report.report import write_report
from ..training import run as runs
from ..training.trainer import pick_device
from .console import Progress, check_out, command, facts, needs_folder, say, show
from .main import MODEL_FIELDS, READING, as_flags

SHAPING = (
    "window",
    "stride",
    "features",
    "step",
    "gap",
    "max_speed",
    "agents",
    "time_unit",
)
"""Options that name no columns of a file."""


def _given(
    options: argparse.Namespace, run: Mapping[str, Any] | None = None, file: str = ""
) -> dict[str, Any]:
    """The keyword arguments of `read`: given on the command line, else stored with the run.

    What names columns is taken from the run only for files of the same kind as the run's own data.
    """
    stored: Mapping[str, Any] = {}
    if run is not None:
        data = run.get("data", {})
        same = Path(data.get("path", "")).suffix.lower() == Path(file).suffix.lower()
        shaping = (*SHAPING, *(VIDEO_OPTIONS if holds_video(Path(file)) else ()))
        stored = {
            k: v
            for k, v in data.get("options", {}).items()
            if same or k in shaping or (k, v) == ("layout", "scene")
        }
    chosen = {
        name: getattr(options, name) for name in READING if getattr(options, name) is not None
    }
    return {**stored, **chosen}


def read_as_trained(
    file: str, options: argparse.Namespace, run: Mapping[str, Any] | None
) -> Sequences:
    """Read a file as the command line says, else as the run's own data was read.

    A column that only the run names, of ids, times or labels, may be absent. Channels take the order of training.
    """
    given = _given(options, run, file)
    announce(file)
    while True:
        try:
            return _as_trained(read(file, **given), run or {})
        except MissingColumnError as error:
            if error.option == "values" or getattr(options, error.option) is not None:
                raise
            say(
                f"note: {file} has no column {given.pop(error.option)!r}, the {error.option} of "
                "the data trained on; read without it"
            )


def _as_trained(sequences: Sequences, run: Mapping[str, Any]) -> Sequences:
    """The channels in the order of training where names tell it; a warning where the names are others."""
    trained = run.get("data", {}).get("channels", [])
    found = sequences.channels
    if trained and run["model"].get("resolutions") and len(found) != len(trained):
        raise ValueError(
            f"{sequences.source} has {in_words({'input_dim': len(found)})}, the run was trained on "
            f"{in_words({'input_dim': len(trained)})} ({', '.join(trained[:8])})"
        )
    unnamed = any(all(name.isdigit() for name in names) for names in (trained, found))
    if unnamed or found == trained or len(found) != len(trained):
        return sequences
    if sorted(found) != sorted(trained):
        print(
            f"warning: {sequences.source} has the channels {', '.join(found)}, but the run was trained on "
            f"{', '.join(trained)}; they are taken in this order",
            file=sys.stderr,
        )
        return sequences
    say(
        f"note: the channels of {sequences.source} were put in the order of training: {', '.join(trained)}"
    )
    order = [found.index(name) for name in trained]
    return replace(sequences, values=[x[:, order] for x in sequences.values], channels=trained)


def announce(file: str) -> None:
    """Say that films are being decoded: long ones take minutes."""
    if holds_video(Path(file)):
        say(f"{file}: decoding its videos, once")


def pretrain(options: argparse.Namespace) -> None:
    """Train, and say how it went and what to do next."""
    if options.out:
        needs_folder(Path(options.out))
    config = PretrainConfig(**{f.name: getattr(options, f.name) for f in fields(PretrainConfig)})
    model = {name: value for name in MODEL_FIELDS if (value := getattr(options, name)) is not None}
    announce(options.data)
    plan = runs.plan(
        options.data,
        options.out if options.resume or not options.dry_run else None,
        config,
        model,
        resume=options.resume,
        init_from=options.init_from,
        overwrite=options.overwrite,
        options=ReadOptions.from_dict(_given(options)),
    )
    say(f"{options.data}: {_size(plan.sequences)}")
    say(*(f"  {as_flags(note)}" for note in plan.sequences.notes))
    say(f"  starts from {plan.start}")
    if options.dry_run:
        _dry_run(plan)
        return
    with Progress(plan.config) as progress:
        run = runs.execute(plan, progress.row)
    say(
        "",
        progress.verdict or "already trained to the last step",
        f"checkpoint  {run / WEIGHTS}",
        "next",
        f"  {command('embed', run, options.data)}",
        f"  {command('report', run)}",
    )


def _size(sequences: Sequences) -> str:
    low = int(sequences.lengths.min())
    high = int(sequences.lengths.max())
    span = f"{low}" if low == high else f"{low} to {high}"
    what = in_words({"input_dim": sequences.n_channels, "frame": sequences.frame})
    return f"{len(sequences)} sequences of {what}, {span} timesteps"


def _dry_run(plan: runs.Plan) -> None:
    network = plan.model
    config = plan.config
    settings = network.config
    size = plan.batches.size
    sequences = plan.batches.sequences  # single channels if they are trained on
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    longest = min(int(sequences.lengths.max()), settings.seq_len)
    tokens = -(-longest // settings.patch) * math.prod(settings.cells)
    # Weights of both encoders, gradients and two moments; then about 16 saved activations of a token's width a block.
    state = 4 * (sum(p.numel() for p in network.parameters()) + 3 * trained)
    seen = round((1 - settings.mask_ratio) * tokens)
    blocks = settings.encoder_depth * seen * settings.embed_dim
    blocks += settings.predictor_depth * tokens * settings.predictor_embed_dim
    activations = 4 * 16 * blocks * size * settings.num_masks // config.accumulate
    say(
        yaml.safe_dump(
            {"model": vars(settings), "training": vars(config)}, sort_keys=False
        ).rstrip(),
        "",
    )
    facts(
        [
            (
                "parameters",
                f"{trained:,} trained, {sum(p.numel() for p in network.parameters()):,} with the target's",
            ),
            (
                "steps",
                f"{config.steps} of {size} sequences, {config.steps * size / len(sequences):.1f} epochs",
            ),
            (
                "tokens",
                f"{tokens} a sequence of {longest} timesteps, {seen} of them seen by the context encoder",
            ),
            (
                "memory",
                f"about {(state + activations) / 2**20:.0f} MiB beside the data and torch itself",
            ),
            ("written", "nothing: this is a dry run"),
        ]
    )


def embed(options: argparse.Namespace) -> None:
    """Write the embeddings of a file."""
    model = checkpoint.from_pretrained(options.run, str(pick_device(options.device)))
    local = Path(options.run).is_dir()
    out = Path(options.out or (Path(options.run) if local else Path()) / "embeddings.npz")
    check_out(out, options.overwrite, (".npz", ".npy", ".csv", ".parquet"))
    stored = read_config(Path(options.run)) if local else None
    sequences = read_as_trained(options.data, options, stored)
    vectors: Any
    if options.timesteps:
        vectors = embed_timesteps(model, sequences)
        shape = f"{sum(map(len, vectors))} timesteps of {len(vectors)} sequences, {vectors[0].shape[1]} features"
    else:
        vectors = embed_sequences(model, sequences, options.pool)
        shape = f"{len(vectors)} sequences, {vectors.shape[1]} features"
    write_embeddings(out, sequences, vectors)
    say(f"{out}: {shape}")


def write_embeddings(
    path: Path,
    sequences: Sequences,
    vectors: npt.NDArray[np.float32] | list[npt.NDArray[np.float32]],
) -> None:
    """Write embeddings with ids and labels: .npz, .npy (the array alone), .csv or .parquet (a row a vector).

    vectors: `(n, features)`; or one `(time_i, features)` a sequence, which an array holds padded with NaN to
        `(n, longest, features)`, beside `lengths (n,)`.
    """
    content = io.BytesIO()
    steps = isinstance(vectors, list)
    if path.suffix in (".npz", ".npy"):
        array = (
            Sequences(vectors).batch(range(len(vectors))) if isinstance(vectors, list) else vectors
        )
        beside = {"ids": np.array(sequences.ids)}
        beside |= {} if sequences.labels is None else {"labels": sequences.labels}
        beside |= {"lengths": sequences.lengths} if steps else {}
        if path.suffix == ".npy":
            np.save(content, array)
        else:
            np.savez_compressed(content, allow_pickle=False, embeddings=array, **beside)
    else:
        import pandas as pd

        rows = np.repeat(np.arange(len(sequences)), sequences.lengths if steps else 1)
        flat = np.concatenate(vectors) if isinstance(vectors, list) else vectors
        table: dict[str, Any] = {"id": np.array(sequences.ids)[rows]}
        table |= {} if sequences.labels is None else {"label": sequences.labels[rows]}
        table |= (
            {"timestep": np.concatenate([np.arange(n) for n in sequences.lengths])} if steps else {}
        )
        frame = pd.DataFrame(table | {f"e{i}": flat[:, i] for i in range(flat.shape[1])})
        if path.suffix == ".csv":
            frame.to_csv(content, index=False)
        else:
            frame.to_parquet(content, index=False)
    write_atomically(path, content.getvalue())


def probe(options: argparse.Namespace) -> None:
    """Score a run's embedding beside its controls."""
    run = folder_of(options.run)
    local = Path(options.run).is_dir()
    config = read_config(run)
    out = Path(options.out or (run if local else Path()) / "probe.json")
    check_out(out, options.overwrite)
    if options.kind == "attentive" and options.pool != "all":
        raise ValueError("--kind attentive reads tokens and pools none; leave out --pool")
    file = options.train or (config.get("data", {}).get("path") if local else None)
    if file is None:
        raise ValueError(
            f"{options.run} does not say what it was trained on; name labelled sequences with --train"
        )
    train = read_as_trained(file, options, config)
    if options.train is None and not any(
        getattr(options, name) is not None for name in READING if name != "label"
    ):
        _compare(train, config)
    if options.test:
        test = read_as_trained(options.test, options, config)
        how = f"scored on {options.test}"
    else:
        train, test = split(train, options.seed)
        how = f"no --test: scored on {len(test)} sequences of {file} held out from the classifier, not from pretraining"
    say(how)
    result = score(run, train, test, kind=options.kind, pool=options.pool, seed=options.seed)
    result |= {"train": file, "test": options.test or f"held out of {file}"}
    write_atomically(out, json.dumps(result, indent=2).encode() + b"\n")
    title = f"{options.kind} on {len(train)} sequences, {len(test)} to test, {result['n_classes']} classes"
    show(
        title,
        ["features", "accuracy"],
        [(row["features"], f"{row['accuracy']:.3f}") for row in result["scores"]],
    )
    say(
        f"always saying {result['commonest']!r}, the commonest: {result['majority']:.3f}; written to {out}"
    )


def _compare(sequences: Sequences, config: Mapping[str, Any]) -> None:
    digest = config.get("data", {}).get("digest")
    if digest and digest != runs.facts(sequences)["digest"]:
        print(
            f"warning: {sequences.source} has changed since the run was trained on it",
            file=sys.stderr,
        )


def report(options: argparse.Namespace) -> None:
    """Write the report of a run."""
    run = Path(options.run)
    needs_folder(Path(options.out).parent if options.out else run)
    given = read_as_trained(options.data, options, read_config(run)) if options.data else None
    say(str(write_report(run, sequences=given, out=options.out, overwrite=options.overwrite)))


def export(options: argparse.Namespace) -> None:
    """Write the embedding as a graph."""
    model = checkpoint.from_pretrained(options.run)
    channels = channels_of(read_config(folder_of(options.run))) or 1
    out = Path(
        options.out
        or Path(options.run) / ("model.onnx" if options.format == "onnx" else "model.pt2")
    )
    check_out(out, options.overwrite)
    out.parent.mkdir(parents=True, exist_ok=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what torch's exporters say about their own insides
        logging.disable(logging.WARNING)
        try:
            write_graph(model, out, options.format, options.pool, channels)
        finally:
            logging.disable(logging.NOTSET)
    known = "no missing values" if model.config.channel_independent else "NaN where missing"
    say(f"{out}: x (batch, time, {channels}) float32, {known} -> (batch, features)")


def inspect(options: argparse.Namespace) -> None:
    """Show what is understood of a file, or the facts of a run."""
    path = Path(options.data)
    if (path / CONFIG).is_file():
        _inspect_run(path)
        return
    given = _given(options)
    announce(options.data)
    sequences = read(path, **given)
    facts(sequences.summary())
    say(*(f"note: {as_flags(note)}" for note in sequences.notes))
    read_options = ReadOptions.from_dict(given)
    if (window := runs.load(sequences, read_options)[1].window) != read_options.window:
        say(
            f"note: pretrain cuts this one series into windows of {window} timesteps by itself; --window sets another"
        )
    flags = [
        word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", value)
    ]
    say(
        "",
        f"next: {command('pretrain', '--data', options.data, *flags, '--out', 'runs/' + (path.stem or 'a'))}",
    )


def _inspect_run(run: Path) -> None:
    config = read_config(run)
    data = config.get("data", {})
    training = config.get("pretrain", {})
    lines = (
        (run / runs.METRICS).read_text("utf-8").splitlines()
        if (run / runs.METRICS).is_file()
        else []
    )
    last = json.loads(lines[-1]) if lines and lines[-1].endswith("}") else {}
    files = sorted(p.name for p in run.iterdir() if p.is_file() and not p.name.startswith("."))
    rows = [
        ("run", run),
        (
            "data",
            f"{data.get('path')}: {data.get('n')} sequences of "
            f"{in_words(config['model'], data.get('channels'))}",
        ),
        ("step", f"{last.get('step', 0)} of {training.get('steps')}"),
        (
            "relative loss",
            f"{last['relative_loss']:.3f}" if "relative_loss" in last else "none yet",
        ),
        ("verdict", last.get("verdict", "none yet")),
        ("files", ", ".join(files)),
        ("model", ", ".join(f"{k} {v}" for k, v in config["model"].items() if v or v == 0)),
    ]
    facts(rows)
    unfinished = last.get("step", 0) < (training.get("steps") or 0)
    say(
        f"next: {command('pretrain', '--out', run, '--resume') if unfinished else command('report', run)}"
    )
