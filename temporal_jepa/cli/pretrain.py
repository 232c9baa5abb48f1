"""`temporal-jepa pretrain`: train an encoder on sequences, without labels."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..config import PretrainConfig, ReadOptions, in_words
from ..files import WEIGHTS
from .code import load_callbacks
from .console import (
    Progress,
    command,
    command_to_report,
    command_to_resume,
    is_first_process,
    is_one_of_several,
    record,
    say,
    show_facts,
    show_lines,
)
from .options import UsageError, as_flags
from .progress import Clock
from .reading import announce_decoding, label_in_question
from .writing import check_folder

if TYPE_CHECKING:
    from ..data import Sequences
    from ..training.run import Plan


FEW = 8  # columns of the embeddings that are proposed

ObjectiveName = Literal[
    "masked",
    "next",
    "contrast",
    "masked-values",
    "next-values",
    "autoencoder",
    "regularizer",
]
"""The keys of `temporal_jepa.model.objectives.OBJECTIVES`, which loads torch."""


def pretrain(
    *,
    config: str | None = None,
    data: str | None = None,
    out: str | None = None,
    resume: bool = False,
    init_from: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    print_config: bool = False,
    objective: ObjectiveName | None = None,
    callback: list[str] | None = None,
    reading: ReadOptions,
    training: PretrainConfig,
    model: dict[str, Any],
) -> None:
    """Train an encoder on sequences, without labels.

    Examples:
        temporal-jepa pretrain --data data.csv --out runs/a
        temporal-jepa pretrain --data data.csv --out runs/a --dry-run
        temporal-jepa pretrain --data data.csv --out runs/a --steps 2000 --batch-size 64
        temporal-jepa pretrain --out runs/a --resume

    Args:
        config: YAML file with any of these options; those of the command line override it.
        data: file or folder of sequences.
        out: run folder to write.
        resume: continue the run in --out, with the settings stored there.
        init_from: weights to start from: a run, series-small, or scratch (default: series-small for
            series of up to 65,536 timesteps, unless they have many noisy channels or an option
            below shapes the model; else scratch).
        overwrite: replace the run in --out.
        dry_run: print settings, size and memory, and write nothing.
        print_config: print all options as a file for --config, and stop.
        objective: what to train on, from random weights: "masked" (masked latents of an EMA
            target), "next" (the next latents against others of the sequence),
            "contrast" (masked latents against others), or a control: "masked-values",
            "next-values", "autoencoder", "regularizer" (default: "next" for many noisy channels,
            else "masked").
        callback: function of yours, MODULE:FUNCTION or FILE.py:FUNCTION, called with a dict of the
            numbers of each step; may be repeated. It runs as it is, and is never read from a file.
        reading: how the data is read (default: inferred, see docs/data.md)
        training: training
        model: model, when training starts from scratch (the default of --patch-len, --patch-size
            and --seq-len depends on the data)
    """
    if print_config:
        options = {"data": data, "out": out, "init_from": init_from}
        options |= {"objective": objective}
        options |= {**vars(reading), **vars(training), **model}
        _print_settings(options)
        return
    if data is None:
        raise UsageError("--data is missing; for example --data data.csv")
    if out is None and not dry_run:
        raise UsageError("--out is missing; for example --out runs/a")
    if out is not None:
        check_folder(Path(out))
    on_step = load_callbacks(callback) if callback else None
    from ..training.run import execute, plan

    announce_decoding(data)
    with Clock(f"reading {Path(data).name}"):
        planned = plan(
            data,
            out if resume or not dry_run else None,
            training,
            model,
            resume=resume,
            init_from=init_from,
            overwrite=overwrite,
            objective=objective,
            options=reading,
        )
    _announce(planned, data)
    if dry_run:
        _show(planned)
        return
    with Progress(planned.config) as progress:
        run = execute(planned, progress.row, on_step, progress.count)
    following = _following(planned, run, data)
    record(run=run, weights=run / WEIGHTS, next=following, **progress.last)
    say(
        "",
        *_ended(planned, run, progress, command_to_resume(run, data, callback)),
        f"model  {run / WEIGHTS}",
        "next",
        *(f"  {words}" for words in following),
        *_about_dim(following[0]),
    )


def _announce(planned: "Plan", data: str) -> None:
    """Say what is trained on and where training starts."""
    sequences = planned.sequences
    steps = planned.config.steps
    record(data=data, sequences=len(sequences), start=planned.start, steps=steps)
    say(f"{data}: {_size(sequences)}")
    for note in sequences.notes:
        say(f"  {as_flags(note)}")
    say(f"  starts from {planned.start}", *_continued(planned), *_processes())


def _processes() -> list[str]:
    """How many processes train together; nothing for one."""
    if not is_one_of_several():
        return []
    count = os.environ["WORLD_SIZE"]
    machines = int(os.environ.get("GROUP_WORLD_SIZE", "1"))
    where = f" on {machines} machines" if machines > 1 else ""
    return [f"  trains on {count} processes{where}"]


def _continued(planned: "Plan") -> list[str]:
    """Where a resumed run goes on; nothing for a new one."""
    from ..training.checkpoints import stored_steps

    if planned.folder is None or not planned.resume:
        return []
    newest = max(stored_steps(planned.folder), default=0)
    return [f"  continues from step {newest}"]


def _ended(planned: "Plan", run: Path, progress: Progress, again: str) -> list[str]:
    """The verdict, and where a callback ended the training."""
    from ..training.checkpoints import stored_steps

    newest = max(stored_steps(run), default=planned.config.steps)
    record(step=newest)
    lines = [progress.verdict] if progress.verdict else []
    if newest < planned.config.steps:
        ended = f"ended by a callback after step {newest} of {planned.config.steps}"
        return [*lines, f"{ended}; to go on: {again}"]
    return lines or ["already trained to the last step"]


def _following(planned: "Plan", run: Path, data: str) -> list[str]:
    """The commands that come next; states are meant for contrastive objectives."""
    from ..model.objectives import MaskedContrast, NextLatent

    table = ["--out", run / "embeddings.csv", *_few_columns(run)]
    following = [command("embed", run, data, *table), command_to_report(run, data)]
    label = label_in_question(planned.sequences)
    if label:
        following.append(command("probe", run, "--label", label))
    is_contrastive = isinstance(planned.model.objective, NextLatent | MaskedContrast)
    if is_contrastive and planned.sequences.frame is None:
        following.insert(1, command("states", run, data))
    return following


def _few_columns(run: Path) -> list[str]:
    """The option for as many columns as a person reads; nothing if the run stores too few."""
    if not is_first_process():  # the others may come before the file
        return []
    from safetensors import safe_open

    name = "components.directions"
    with safe_open(run / WEIGHTS, "pt") as weights:
        is_stored = name in set(weights.keys())
        count = weights.get_slice(name).get_shape()[0] if is_stored else 0
    return ["--dim", str(min(count, FEW))] if count else []


def _about_dim(words: str) -> list[str]:
    """What the proposed --dim does."""
    dim = re.search(r"--dim (\d+)", words)
    if dim is None:
        return []
    return [
        f"--dim {dim[1]} writes {dim[1]} columns, the first principal components; without it, "
        "all features are written, hundreds or thousands of columns"
    ]


def _size(sequences: "Sequences") -> str:
    low = int(sequences.lengths.min())
    high = int(sequences.lengths.max())
    span = f"{low}" if low == high else f"{low} to {high}"
    what = in_words({"input_dim": sequences.n_channels, "frame": sequences.frame})
    return f"{len(sequences)} sequences of {what}, {span} timesteps"


def _print_settings(settings: dict[str, Any]) -> None:
    """Print settings as YAML."""
    import yaml

    record(**settings)
    show_lines(*yaml.safe_dump(settings, sort_keys=False).splitlines())


def _show(planned: "Plan") -> None:
    """Print what a dry run decides: settings, parameters, steps, tokens, memory."""
    from ..model.objectives.masked import MaskedObjective
    from ..training.footprint import footprint, token_counts

    training = planned.config
    network = planned.model
    config = network.config
    size = planned.batches.size
    # single channels where the model sees one at a time
    sequences = planned.batches.sequences
    trained = sum(p.numel() for p in network.parameters() if p.requires_grad)
    total = sum(p.numel() for p in network.parameters())
    tokens, visible = token_counts(network, planned.batches)
    longest = min(planned.batches.longest, config.seq_len)
    needed = footprint(network, planned.batches, training)
    settings = {"model": vars(config), "training": vars(training)}
    _print_settings(settings)
    show_lines("")

    if isinstance(network.objective, MaskedObjective):
        seen = f"{visible} visible to the encoder"
    else:
        seen = "all visible to the encoder"
    epochs = training.steps * size / len(sequences)
    show_facts(
        [
            ("objective", repr(network.objective)),
            (
                "parameters",
                f"{trained:,} trained, {total:,} with the target encoder",
                {"trained": trained, "total": total},
            ),
            (
                "steps",
                f"{training.steps} of {size} sequences, {epochs:.1f} epochs",
                training.steps,
            ),
            (
                "tokens",
                f"{tokens} per sequence of {longest} timesteps, {seen}",
                tokens,
            ),
            (
                "memory",
                f"about {needed.total / 2**20:.0f} MiB, without data and torch",
                needed.total,
            ),
            ("written", "nothing: this is a dry run", None),
        ]
    )
