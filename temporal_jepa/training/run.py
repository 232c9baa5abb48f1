"""A run folder: pretraining that can be interrupted, resumed and read by every later step.

It holds `config.json`, `model.safetensors` and `README.md` (see `checkpoint`), `metrics.jsonl` with
one row every `log_every` steps, and the newest two checkpoints, see `checkpoints`.
"""

import contextlib
import hashlib
import json
import os
import platform
import shlex
import shutil
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from filelock import FileLock, Timeout

from ..checkpoint import save_pretrained
from ..config import PretrainConfig, ReadOptions
from ..data import Sequences
from ..data.lazy import LazyArrays
from ..data.store.description import suffix_of
from ..data.store.remote import is_remote
from ..data.training_set import read_to_train_on
from ..files import (
    CARD,
    CONFIG,
    GENERAL,
    SCRATCH,
    WEIGHTS,
    memory,
    read_config,
    replacing,
)
from ..files.atomic import check_replaceable
from ..files.sealed import json_bytes
from ..model.jepa import TemporalJEPA
from ..model.modules import Modules
from ..model.objectives import (
    MaskedLatent,
    Objective,
    as_objective,
    describe,
    stored_objective,
)
from ..model.weights import check_modules
from ..version import __version__
from .batches import SAMPLING, Batches, plan_batches
from .callbacks import Callbacks, OnRow, Row
from .checkpoints import FOLDER as CHECKPOINT_FOLDER
from .checkpoints import Checkpoints, delete_checkpoints, stored_steps
from .components import fit_components
from .footprint import advice_in_training, check_memory
from .initial import Start, start_of
from .loggers import BOARD, Loggers, check_installed
from .metrics import METRICS, append_row, truncate_rows
from .processes import process_group
from .trainer import Trainer, pick_device

LOCK = ".lock"
WRITTEN = (
    CONFIG,
    WEIGHTS,
    CARD,
    METRICS,
    "embeddings.npz",
    "embeddings-test.npz",
    "probe.json",
    "report.html",
    "anomalies.csv",
    "anomalies.html",
    "states.csv",
    "states.html",
    "model.onnx",
    "model.pt2",
)
# Entries of config.json in which a resumed run may differ, for each part that is compared.
FREE_TO_CHANGE = {
    "model": (),
    "pretrain": (
        "device",
        "save_every",
        "log_every",
        "watch_every",
        "log",
        "tensorboard",
        "shard",
        "activation_checkpointing",
    ),
    "data": ("path", "options", "suffix", "notes"),
}


@dataclass(frozen=True)
class Plan:
    """A pretraining run, decided but not begun: made by `plan`, carried out by `execute`.

    Args:
        folder: the run folder; None for a plan that is only shown.
        resume: continue the run in the folder.
        overwrite: replace the run in the folder.
        sequences: training data.
        start: where training starts.
        config: how to train, resolved.
        model: before the first step; of a resumed run, before its checkpoint is loaded.
        batches: what the model is trained on.
        details: the content of `config.json`.
    """

    folder: Path | None
    resume: bool
    overwrite: bool
    sequences: Sequences
    start: Start
    config: PretrainConfig
    model: TemporalJEPA
    batches: Batches
    details: Mapping[str, Any]


@torch.inference_mode(False)
def pretrain(
    data: Any,
    out: str | os.PathLike[str],
    config: PretrainConfig | None = None,
    model: Mapping[str, Any] | None = None,
    *,
    resume: bool = False,
    init_from: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    objective: Objective | str | None = None,
    modules: Modules | None = None,
    data_options: ReadOptions | Mapping[str, Any] | None = None,
    on_row: OnRow = lambda row: None,
    on_step: OnRow | None = None,
) -> Path:
    """Pretrain without labels and write a run folder. Under torchrun, every process calls this.

    Args:
        data: `Sequences`, or what `read` takes: a path, a DataFrame, an array.
        out: the run folder, created if missing.
        config: how to train; default `PretrainConfig()`.
        model: fields of `TemporalJEPAConfig` that differ from `RECIPE`.
        resume: continue from the newest checkpoint in `out`, with the same data and settings.
        init_from: a model to start from, "series-small", or "scratch"; the default depends on the
            data, see `start_of`. A resumed run keeps its start.
        overwrite: replace the run in `out`.
        objective: what to train on, from scratch: an `Objective` or its name, see `TemporalJEPA`.
            A resumed run keeps a named one; pass one of your own again.
        modules: a tokenizer or an encoder of your own; pass it again to resume the run.
        data_options: how to read the data; stored in `config.json`.
        on_row: called with each row of metrics, every `log_every` steps, in the first process
            only.
        on_step: called after each step, in the first process only, with a dict of its `step`,
            `epoch`, `loss` and other terms, `grad_norm`, `lr`, `momentum` and `skipped` as numbers.
            After a step that was left out, the terms are those of the last one that was not.

    A callback that raises `StopTraining` ends the training after this step; the run is complete as
    it is, and can be resumed. Any other exception is raised again, with the name of the callback as
    a note, once a checkpoint is written from which `resume` goes on.

    Returns:
        The run folder.

    Raises:
        ValueError: for data that cannot be trained on, settings out of range, an `out` that already
            holds a run, or a resumed run whose data or settings differ.
        MemoryError: if a step does not fit, by an estimate before it begins or in fact.
        ConnectionError: if another process of the run is gone.
        KeyboardInterrupt, SystemExit: after SIGINT or SIGTERM, once a checkpoint is written. The
            latter also in the other processes if a callback failed in the first.
        OSError: if the folder cannot be written; the last checkpoint is then still whole.

    >>> import tempfile
    >>> X = np.random.default_rng(0).normal(size=(8, 2, 32))  # (n, channels, time)
    >>> small = {"embed_dim": 8, "num_heads": 2, "encoder_depth": 1}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     run = pretrain(X, folder, PretrainConfig(steps=1, device="cpu"), small)
    ...     sorted(file.name for file in run.glob("[a-z]*.*"))
    ['config.json', 'metrics.jsonl', 'model.safetensors']
    """
    if not isinstance(data_options, ReadOptions):
        data_options = ReadOptions.from_dict(data_options or {})
    return execute(
        plan(
            data,
            out,
            config or PretrainConfig(),
            model,
            resume=resume,
            init_from=init_from,
            overwrite=overwrite,
            objective=objective,
            modules=modules,
            options=data_options,
        ),
        on_row,
        on_step,
    )


def plan(
    data: Any,
    out: str | os.PathLike[str] | None,
    config: PretrainConfig,
    architecture: Mapping[str, Any] | None = None,
    *,
    options: ReadOptions,
    resume: bool = False,
    init_from: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    objective: Objective | str | None = None,
    modules: Modules | None = None,
) -> Plan:
    """Read the data and decide everything about a run; write nothing.

    Args:
        data: as `pretrain`.
        out: the run folder; None for a plan that is only shown.
        config: how to train.
        architecture: fields of `TemporalJEPAConfig`, as `model` of `pretrain`.
        options: how to read the data.
        resume: continue the run in `out`.
        init_from: as `pretrain`.
        overwrite: replace the run in `out`.
        objective: as `pretrain`.
        modules: as `pretrain`.

    Raises:
        ValueError: if the run cannot be carried out, as `pretrain`.
    """
    folder = None if out is None else Path(out)
    if folder is not None:
        resume = resume or _is_begun_by_this_job(folder)
        _check_folder(folder, resume, overwrite)
    sequences, options = read_to_train_on(data, options)
    if folder is not None and resume:
        check_modules(folder, read_config(folder), modules or Modules())
        start = _start_of_run(folder, init_from, architecture, as_objective(objective))
        start = replace(start, modules=modules)
    else:
        start = start_of(sequences, init_from, architecture, objective, modules)
    config = config.resolved(len(sequences), start.pretrained)
    if config.shard and int(os.environ.get("WORLD_SIZE", "1")) < 2 and not resume:
        warnings.warn(
            "shard has no effect on one process; start several with torchrun "
            "--nproc-per-node N -m temporal_jepa pretrain ...",
            stacklevel=2,
        )
    is_elsewhere = config.shard and os.environ.get("RANK", "0") != "0"
    model = start.model(sequences, config.seed, meta=is_elsewhere)
    batches = plan_batches(model, sequences, config)
    details = _describe(model, sequences, config, options, start)
    return Plan(
        folder, resume, overwrite, sequences, start, config, model, batches, details
    )


@torch.inference_mode(False)
def execute(
    plan: Plan,
    on_row: OnRow = lambda row: None,
    on_step: OnRow | None = None,
    on_count: Callable[[int], None] = lambda step: None,
) -> Path:
    """Train as planned and write the run folder; callbacks, result and errors as `pretrain`.

    `on_count` is called with the number of steps before the first and after each, which copies
    nothing from the device.
    """
    folder = plan.folder
    assert folder is not None
    check_memory(plan.model, plan.batches, plan.config)
    with (
        process_group(pick_device(plan.config.device)),
        _locked(folder),
        memory.explained(advice_in_training(plan.config)),
    ):
        # Whatever can fail fails before an old run is touched.
        trainer = Trainer(plan.model, plan.batches, plan.config)
        checkpoints = Checkpoints(folder, _settings(plan.details))
        check_installed(plan.config.loggers)
        _check_agreement(plan)
        if _is_first():  # again, now that it is locked
            _check_folder(folder, plan.resume, plan.overwrite)
            if plan.resume:
                _check_same_run(folder, plan.details)
        state = _newest_state(plan, trainer, checkpoints)
        names = plan.config.loggers if _is_first() else ()
        with Loggers(names, folder, plan.details) as loggers:
            if _is_first():
                _begin(plan, folder, int(state["step"]) if state else 0)
            if state is not None:
                trainer.restore(state)
            callbacks = Callbacks(on_row, on_step)
            recorder = _Recorder(folder, plan.config, callbacks, checkpoints, loggers)

            def stop_after(trainer: Trainer) -> bool:
                on_count(trainer.step)
                return recorder.step(trainer)

            with recorder:
                on_count(trainer.step)
                trainer.run(
                    on_row=recorder.row,
                    stop_after=stop_after,
                    on_step=None if on_step is None else recorder.numbers,
                )
                checkpoints.wait()
                model = trainer.whole_model()
                if model is not None:
                    if model.components is None:
                        fit_components(model, plan.sequences)
                    save_pretrained(model, folder, plan.details)
            recorder.exit_if_stopped()
    return folder


def _begin(plan: Plan, folder: Path, step: int) -> None:
    """Write `config.json`, and delete what is of an old run, or of steps after `step`."""
    with replacing(folder / CONFIG) as file:
        file.write(json_bytes(plan.details))
        file.flush()  # a full disk is noticed here, while an old run is still there
        if not plan.resume:
            _clear(folder)
    truncate_rows(folder, up_to=step)


def _newest_state(
    plan: Plan, trainer: Trainer, checkpoints: Checkpoints
) -> dict[str, torch.Tensor] | None:
    """The state to resume from; None for a new run, or one that was killed before its first."""
    state = checkpoints.load(trainer.template) if plan.resume else None
    if state is None and plan.start.has_checkpoint:  # the model has random weights
        raise ValueError(
            f"{plan.folder}: the checkpoints were deleted while the run was read; resume it again"
        )
    return state


def stop_signals() -> list[signal.Signals]:
    """The signals that stop a run, without those that `nohup` or a parent has it ignore."""
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    known = [signal.Signals[name] for name in names if hasattr(signal, name)]
    return [number for number in known if signal.getsignal(number) != signal.SIG_IGN]


# What processes agree on beside the numbers of signals, which are below 100.
STOPPED = 1000  # a callback raised StopTraining
FAILED = 1001  # a callback raised another exception


class _Recorder:
    """Writes metrics and checkpoints during training, and calls the callbacks.

    It stops the training after SIGINT, SIGTERM, SIGHUP, or if a callback does.
    """

    def __init__(
        self,
        folder: Path,
        config: PretrainConfig,
        callbacks: Callbacks,
        checkpoints: Checkpoints,
        loggers: Loggers,
    ):
        self.folder = folder
        self.checkpoints = checkpoints
        self.config = config
        self.callbacks = callbacks
        self.received = 0  # the signal that this process received
        self.agreed = 0  # the signal, STOPPED or FAILED, on which all processes stop
        self.on_exit = contextlib.ExitStack()
        self.loggers = loggers

    def __enter__(self) -> "_Recorder":
        if threading.current_thread() is threading.main_thread():
            for number in stop_signals():
                previous = signal.signal(number, self._receive)
                self.on_exit.callback(signal.signal, number, previous)
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self.on_exit.close()
        if (
            kind is not None
        ):  # training failed, and the last checkpoint may still be written
            with contextlib.suppress(Exception):
                self.checkpoints.wait()

    def _receive(self, number: int, frame: object) -> None:
        if self.received:  # a second signal: do not wait for the step to end
            raise KeyboardInterrupt
        self.received = number

    def row(self, row: Row) -> None:
        """Log a row of metrics."""
        if not _is_first():
            return
        append_row(self.folder, row)
        self.loggers.row(row)
        self.callbacks.row(row)

    def numbers(self, row: Row) -> None:
        """Pass the numbers of a step on."""
        if _is_first():
            self.callbacks.step(row)

    def step(self, trainer: Trainer) -> bool:
        """Write a checkpoint if one is due. Returns True if any process is to stop."""
        listens = self.callbacks.on_step is not None
        if not dist.is_initialized():
            self.agreed = self._reason()
        elif listens or trainer.is_due(self.config.log_every):
            flag = torch.tensor(self._reason(), device=trainer.device)
            dist.all_reduce(flag, op=dist.ReduceOp.MAX)
            self.agreed = int(flag)
        if self.agreed or trainer.is_due(self.config.save_every):
            self.checkpoints.save(trainer.step, trainer.state())
        return bool(self.agreed)

    def _reason(self) -> int:
        """Why this process wants to stop; 0 if it does not."""
        if self.callbacks.error is not None:
            return FAILED
        return STOPPED if self.callbacks.is_over else self.received

    def exit_if_stopped(self) -> None:
        """Leave as the signal, or the exception of a callback, would have done."""
        if self.agreed == STOPPED:
            return
        if self.agreed == FAILED:
            self.callbacks.raise_error()
            sys.exit(1)  # of the other processes
        if self.agreed == signal.SIGINT:
            raise KeyboardInterrupt
        if self.agreed:
            sys.exit(128 + self.agreed)


def _is_begun_by_this_job(folder: Path) -> bool:
    """Whether the run in the folder is one of this job of torchrun, which started again.

    Restarts alone do not say so: a machine that joins later counts none, and a process may have
    been killed before it replaced the run of another job. A job without a name has only them.
    """
    if _job() is None:
        restarts = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
        return restarts != "0" and (folder / CONFIG).exists()
    try:
        environment = read_config(folder).get("environment")
    except (OSError, ValueError):  # no run, or one that is refused later
        return False
    return isinstance(environment, dict) and environment.get("job") == _job()


def _job() -> str | None:
    """The name of the job of torchrun, `--rdzv-id`; None if it has none."""
    name = os.environ.get("TORCHELASTIC_RUN_ID", "none")
    return None if name == "none" else name


def _check_agreement(plan: Plan) -> None:
    """ValueError if processes see different folders: not all of them would continue the run."""
    if not dist.is_initialized():
        return
    found: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(found, (plan.resume, plan.start.has_checkpoint))
    if len(set(found)) > 1:
        raise ValueError(
            f"{plan.folder}: some processes find a run to continue and some do not; the folder "
            "must be one that all machines share"
        )


def _check_folder(folder: Path, resume: bool, overwrite: bool) -> None:
    """Refuse to replace a run unasked, to resume none, and to overwrite files that no run wrote."""
    if _is_run(folder):
        if resume or overwrite:
            return
        raise ValueError(
            f"{folder} already holds a run; choose another folder, continue it (resume=True, "
            "--resume) or replace it (overwrite=True, --overwrite)"
        )
    if resume:
        raise ValueError(f"{folder} holds no run to resume; start one without resume")
    foreign = [
        name
        for name in (*WRITTEN, CHECKPOINT_FOLDER, BOARD)
        if (folder / name).exists()
    ]
    if foreign:
        raise ValueError(
            f"{folder} is not a run folder but contains {', '.join(foreign)}, which pretrain would "
            "overwrite; choose another folder"
        )


def _is_run(folder: Path) -> bool:
    try:
        return "pretrain" in read_config(folder)
    except (OSError, ValueError):  # a run whose configuration is damaged is still a run
        return (folder / CONFIG).is_file() and (folder / METRICS).is_file()


def _clear(folder: Path) -> None:
    """Delete the run in a folder, and no other file; of a link the link, not what it points to.

    What was made from the model goes before the model, and `config.json` stays, to be replaced: so
    a process that is killed in between leaves a run that can be replaced again.
    """
    for name in (CHECKPOINT_FOLDER, BOARD):
        if (folder / name).is_symlink():
            (folder / name).unlink()
    delete_checkpoints(folder)  # first: it can fail, where too many files are open
    for name in reversed(WRITTEN):
        if name != CONFIG:
            (folder / name).unlink(missing_ok=True)
    shutil.rmtree(folder / BOARD, ignore_errors=True)


def _start_of_run(
    folder: Path,
    init_from: str | os.PathLike[str] | None,
    architecture: Mapping[str, Any] | None,
    objective: Objective | None,
) -> Start:
    """Where the run in a folder started, with its architecture and objective."""
    stored = read_config(folder)
    before = stored.get("objective") or describe(MaskedLatent())
    objective = objective or stored_objective(stored)
    if json.loads(_json(describe(objective))) != json.loads(_json(before)):
        raise ValueError(
            f"{folder}: a resumed run keeps its objective, {_in_words(before)}; got "
            f"{_in_words(describe(objective))}"
        )
    start = Start.stored(stored)
    requested = start.source if init_from is None else os.fspath(init_from)
    if start.source not in (requested, os.path.abspath(requested)):
        raise ValueError(
            f"{folder}: a resumed run keeps its start, {start}; leave out init_from"
        )
    has_checkpoint = bool(stored_steps(folder))
    if init_from is None and not has_checkpoint and not _is_here(start.source):
        raise ValueError(
            f"{folder} starts from {start.source}, which is not on this machine; what stands only "
            "in a run folder is not downloaded, repeat it: "
            f"init_from={start.source!r} (--init-from {shlex.quote(start.source)})"
        )
    return replace(
        start,
        architecture={**stored["model"], **(architecture or {})},
        has_checkpoint=has_checkpoint,
        objective=objective,
    )


def _is_here(source: str) -> bool:
    """Whether a start needs no download; an absolute path is no model on the hub."""
    path = Path(source)
    return source in (SCRATCH, GENERAL) or path.is_absolute() or path.is_dir()


def _in_words(objective: Mapping[str, Any]) -> str:
    """A stored objective with the settings that it has."""
    settings = dict(objective)
    name = settings.pop("name")
    given = [f"{key} {value}" for key, value in settings.items() if value is not None]
    return ", ".join([str(name), *given])


def _check_same_run(folder: Path, details: Mapping[str, Any]) -> None:
    stored = read_config(folder)
    if stored.get("sampling", 1) != SAMPLING:
        raise ValueError(
            f"{folder}: the run was begun by version {stored.get('version')}, which drew other "
            "batches; finish it with that version, or start a new run with init_from to keep the "
            "weights"
        )
    details = json.loads(_json(details))  # tuples become lists, as in what is stored
    for part, free in FREE_TO_CHANGE.items():
        before = stored.get(part, {})
        for name, value in details[part].items():
            if name not in free and before.get(name) != value:
                raise ValueError(
                    f"{folder}: a resumed run must have the same settings and data, but "
                    f"{part}.{name} was {before.get(name)!r} and is {value!r}; start a new run, "
                    "with init_from to keep the weights"
                )


def _settings(details: Mapping[str, Any]) -> dict[str, Any]:
    """What the steps of a run depend on, by name; the channels are known by their values."""
    found = {name: details[name] for name in ("sampling", "objective", "init_from")}
    for part, free in FREE_TO_CHANGE.items():
        for name, value in details[part].items():
            if name not in (*free, "channels"):
                found[f"{part}.{name}"] = value
    return found


def facts(sequences: Sequences) -> dict[str, Any]:
    """What `config.json` says about the data; the `digest` identifies its values.

    The channels of a video are its pixels, thousands without a name, and are left out. Above 256 MB
    the digest covers 4096 sequences, evenly spaced; that of a store comes from its checksums.
    """
    lengths = sequences.lengths
    is_video = sequences.frame is not None and sequences.frame[0] > 1
    return {
        "n": len(sequences),
        "channels": [] if is_video else list(sequences.channels),
        "lengths": [int(lengths.min()), int(np.median(lengths)), int(lengths.max())],
        "digest": _digest(sequences),
    }


def _digest(sequences: Sequences) -> str:
    """16 digits that identify the values: of a store from its checksums, nothing is read."""
    if isinstance(sequences.values, LazyArrays):
        return sequences.values.digest[:16]
    rows = np.arange(len(sequences))
    if sum(x.nbytes for x in sequences.values) >= 2**28:
        rows = np.linspace(0, len(sequences) - 1, 4096).astype(int)
    digest = hashlib.sha256(sequences.lengths.tobytes())
    for row in rows:
        digest.update(np.ascontiguousarray(sequences.values[int(row)]).tobytes())
    return digest.hexdigest()[:16]


def _describe(
    model: TemporalJEPA,
    sequences: Sequences,
    config: PretrainConfig,
    options: ReadOptions,
    start: Start,
) -> dict[str, Any]:
    """The content of `config.json`."""
    path = sequences.source
    suffix = ""
    if os.path.exists(path):
        path = os.path.abspath(path)
    if os.path.exists(path) or is_remote(path):
        suffix = suffix_of(path)
    given = {name: getattr(options, name) for name in options.given()}
    return {
        "format": 1,
        "version": __version__,
        "model": vars(model.config),
        "objective": describe(model.objective),
        "modules": model.own_modules.names(),
        "pretrain": vars(config),
        "sampling": SAMPLING,
        "data": {
            "path": path,
            "suffix": suffix,
            "options": given,
            "notes": list(sequences.notes),
            **facts(sequences),
        },
        "init_from": start.source,
        "environment": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "platform": platform.platform(),
            "threads": torch.get_num_threads(),
            "processes": int(os.environ.get("WORLD_SIZE", "1")),
            "job": _job(),
        },
    }


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"


def _is_first() -> bool:
    """Whether this is the only process of a run, or the first of those that torchrun started."""
    return not dist.is_initialized() or dist.get_rank() == 0


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock the folder, so that two runs never write into one; a killed run holds no lock.

    A run that torchrun restarts waits for the processes before it to end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not _is_first():
        yield
        return
    check_replaceable(folder / LOCK)
    is_restart = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"
    lock = FileLock(folder / LOCK, timeout=60 if is_restart else 0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"{folder} is in use by another run; wait for it or choose another folder"
        ) from None
    except NotImplementedError:  # of a file system without locks, from filelock
        raise OSError(
            f"{folder} is on a file system without locks, which keep two runs apart; choose a "
            "folder on another one"
        ) from None
    try:
        yield
    finally:
        lock.release()
