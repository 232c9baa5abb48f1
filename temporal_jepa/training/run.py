"""A run folder: what pretraining leaves on disk, so that nothing is lost and every later step can read it.

`config.json`, `model.safetensors` and `README.md` (see `checkpoint`), `metrics.jsonl` with one row every `log_every`
steps, and `checkpoint/step-N.pt`, the newest two, from which a run resumes.
"""

import contextlib
import gc
import hashlib
import json
import os
import pickle
import platform
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

from ..checkpoint import save_pretrained
from ..config import PretrainConfig, make_config
from ..data import Sequences, read
from ..files import CARD, CONFIG, WEIGHTS, read_config, write_atomically
from ..model.jepa import TemporalJEPA
from ..version import __version__
from .initial import Start, start_of
from .trainer import Row, Trainer, pick_device, plan_batches

METRICS = "metrics.jsonl"
CHECKPOINTS = "checkpoint"
BOARD = "tensorboard"
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
    "model.onnx",
    "model.pt2",
)
FREE_TO_CHANGE = {
    "device",
    "save_every",
    "log_every",
    "watch_every",
    "tensorboard",
}  # a resumed run may differ here


def pretrain(
    data: Any,
    out: str | os.PathLike[str],
    config: PretrainConfig | None = None,
    model: Mapping[str, Any] | None = None,
    *,
    resume: bool = False,
    init_from: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    data_options: Mapping[str, Any] | None = None,
    on_row: Callable[[Row], None] = lambda row: None,
) -> Path:
    """Pretrain without labels and leave a run folder. Under torchrun, every process calls this.

    Args:
        data: `Sequences`, or what `read` takes: a path, a DataFrame, an array.
        out: the run folder, created when missing.
        config: how to train; default `PretrainConfig()`.
        model: fields of `TemporalJEPAConfig` that differ from `RECIPE`.
        resume: go on from the newest checkpoint in `out`, with the same data and settings.
        init_from: what to start from: a saved model or "series-small" (then `model` must be empty), or "scratch"; None:
            `start_of` decides. A resumed run keeps to what it started from.
        overwrite: replace the run that `out` holds.
        data_options: keyword arguments of `read`, also stored in `config.json`.
        on_row: called with each row of metrics, in the first process only.

    Returns:
        The run folder.

    Raises:
        ValueError: for data that cannot be trained on, settings out of range, an `out` that already holds a run, or a
            resume whose data or settings differ.
        KeyboardInterrupt, SystemExit: after SIGINT or SIGTERM, once a checkpoint is written.
        OSError: if the folder cannot be written; the last checkpoint is then still whole.
    """
    config = config or PretrainConfig()
    folder = Path(out)
    restarted = (
        int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
    )  # by torchrun, after a failure
    resume = resume or (restarted and (folder / CONFIG).exists())
    _refuse(folder, resume, overwrite)
    sequences, options = load(data, data_options or {})
    if resume:
        start = stored_start(folder, init_from, model)
    else:
        start = start_of(sequences, init_from, model)
    config = config.resolved(len(sequences), warm=start.pretrained)
    network = first_network(folder if resume else None, sequences, start, config.seed)
    plan_batches(
        network, sequences, config
    )  # refuse what cannot be trained on before anything is written
    described = _described(network, sequences, config, options, start)
    described["model"] |= (
        (model or {}) if resume else {}
    )  # what is asked for, to be compared with what was
    with _process_group(config), _locked(folder):
        first = not dist.is_initialized() or dist.get_rank() == 0
        trainer = Trainer(
            network, sequences, config
        )  # whatever can fail fails here, before an old run is touched
        recorder = _Recorder(folder, config, first, on_row)
        state = _newest_checkpoint(folder) if resume else None
        if first:
            _refuse(folder, resume, overwrite)  # again, now that the folder is ours
            _prepare(folder, resume, described)
            _keep_rows(folder / METRICS, up_to=int(state["step"]) if state else 0)
        if state is not None:
            trainer.restore(state)
        with recorder:
            trainer.run(on_row=recorder.row, on_step=recorder.step)
            if first:
                save_pretrained(network, folder, described)
            recorder.leave_if_stopped()
    return folder


def load(data: Any, options: Mapping[str, Any]) -> tuple[Sequences, dict[str, Any]]:
    """Sequences to train on, and the keyword arguments of `read` that give them again.

    A lone recording is cut into windows, an eighth of it and at most 256 timesteps each, unless `window` is given.
    """
    sequences = data if isinstance(data, Sequences) else read(data, **options)
    if sequences.frame is not None and options.get("layout") == "scene":
        return sequences, {
            **options,
            "agents": sequences.frame[1],
        }  # later files get as many places for agents
    if sequences.frame is not None and sequences.times is not None and not options.get("fps"):
        steps = [
            float(t[1] - t[0]) for t in sequences.times if len(t) > 1
        ]  # later films are read at the same rate
        options = {**options, "fps": round(1 / steps[0], 6)} if steps else options
    window = min(int(sequences.lengths[0]) // 8, 256)
    if len(sequences) > 1 or options.get("window") or window < 8:
        return sequences, dict(options)
    return sequences.windows(window), {**options, "window": window}


class _Recorder:
    """Writes rows and checkpoints while training, and turns SIGINT and SIGTERM into a last checkpoint."""

    def __init__(
        self, folder: Path, config: PretrainConfig, first: bool, on_row: Callable[[Row], None]
    ):
        self.folder = folder
        self.config = config
        self.first = first
        self.on_row = on_row
        self.stop = self.agreed = (
            0  # the signal this process got; the one that all processes know of
        )
        self.board: Any = None
        self.previous: dict[int, Any] = {}
        self.open_board: Callable[[str], Any] | None = None
        if config.tensorboard and first:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError:
                raise ImportError(
                    "tensorboard needs its extra: pip install 'temporal-jepa[tensorboard]'"
                ) from None
            self.open_board = SummaryWriter

    def __enter__(self) -> "_Recorder":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.previous[number] = signal.signal(number, self._signalled)
        if self.open_board is not None:
            self.board = self.open_board(str(self.folder / BOARD))
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, handler)
        if self.board is not None:
            self.board.close()

    def _signalled(self, number: int, frame: object) -> None:
        if self.stop:  # asked twice: do not wait for the step to end
            raise KeyboardInterrupt
        self.stop = number

    def row(self, row: Row) -> None:
        if not self.first:
            return
        with (self.folder / METRICS).open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self.board is not None:
            for name, value in row.items():
                if isinstance(value, float):
                    self.board.add_scalar(name, value, row["step"])
        self.on_row(row)

    def step(self, trainer: Trainer) -> bool:
        """Save when it is time; True when a signal asked to stop (in any process)."""
        last = trainer.step == self.config.steps
        if dist.is_initialized() and (trainer.step % self.config.log_every == 0 or last):
            flag = torch.tensor(self.stop, device=trainer.device)
            dist.all_reduce(flag, op=dist.ReduceOp.MAX)
            self.agreed = int(flag)
        elif not dist.is_initialized():
            self.agreed = self.stop
        due = trainer.step % self.config.save_every == 0 or last
        if self.first and (due or self.agreed):
            save_checkpoint(self.folder, trainer)
        return bool(self.agreed)

    def leave_if_stopped(self) -> None:
        if self.agreed == signal.SIGINT:
            raise KeyboardInterrupt
        if self.agreed:
            sys.exit(128 + self.agreed)


def save_checkpoint(folder: Path, trainer: Trainer, keep: int = 2) -> Path:
    """Write `checkpoint/step-N.pt`, whole or not at all, and delete all but the newest `keep`."""
    if not all(bool(value.isfinite().all()) for value in trainer.model.parameters()):
        raise FloatingPointError(
            f"the weights are not finite at step {trainer.step}; lower lr ({trainer.config.lr})"
        )
    path = folder / CHECKPOINTS / f"step-{trainer.step:08d}.pt"
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            torch.save(trainer.state(), file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    for old in sorted(path.parent.glob("step-*.pt"))[:-keep]:
        old.unlink()
    return path


def _newest_checkpoint(folder: Path) -> dict[str, Any] | None:
    paths = sorted((folder / CHECKPOINTS).glob("step-*.pt"))
    if not paths:
        return None
    try:
        state: dict[str, Any] = torch.load(paths[-1], map_location="cpu", weights_only=True)
        if not {"step", "model", "optimizer"} <= state.keys():
            raise ValueError("it holds no training state")
    except (
        RuntimeError,
        OSError,
        EOFError,
        LookupError,
        AttributeError,
        ValueError,
        pickle.UnpicklingError,
    ) as error:
        other = f"resume again from {paths[-2].name}" if paths[1:] else "start again"
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{paths[-1]} is damaged ({reason}); delete it to {other}") from None
    return state


def _refuse(folder: Path, resume: bool, overwrite: bool) -> None:
    """Refuse to overwrite a run, to resume none, and ever to touch files of somebody else."""
    holds_run = _is_run(folder)
    if resume and not holds_run:
        raise ValueError(f"{folder} holds no run to resume; start one without resume")
    foreign = [
        name
        for name in (*WRITTEN, CHECKPOINTS, BOARD)
        if not holds_run and (folder / name).exists()
    ]
    if foreign:
        raise ValueError(
            f"{folder} is no run, but holds {', '.join(foreign)}, which a run would replace; "
            "choose another folder"
        )
    if holds_run and not resume and not overwrite:
        raise ValueError(
            f"{folder} already holds a run; choose another folder, go on with it (resume=True, --resume) "
            "or replace it (overwrite=True, --overwrite)"
        )


def _is_run(folder: Path) -> bool:
    try:
        return "pretrain" in read_config(folder)
    except (OSError, ValueError):
        return (folder / CONFIG).is_file() and (
            folder / METRICS
        ).is_file()  # a run whose configuration was damaged


def first_network(
    resumed: Path | None,
    sequences: Sequences,
    start: Start,
    seed: int,
) -> TemporalJEPA:
    """The model before the first step; of a resumed run its weights come from the checkpoint, not from its start."""
    if resumed is not None and start.pretrained and any((resumed / CHECKPOINTS).glob("step-*.pt")):
        return TemporalJEPA(make_config(**read_config(resumed)["model"]))
    return start.model(sequences, seed)


def stored_start(
    folder: str | os.PathLike[str],
    init_from: str | os.PathLike[str] | None = None,
    model: Mapping[str, Any] | None = None,
) -> Start:
    """Where the run in the folder started; ValueError if `init_from` is something else."""
    start = Start.stored(read_config(Path(folder)))
    names = () if init_from is None else (os.fspath(init_from), os.path.abspath(init_from))
    if names and start.source not in names:
        raise ValueError(f"{folder}: a resumed run keeps its start, {start}; leave out init_from")
    return start if start.pretrained else Start(start.source, dict(model or {}))


def _prepare(folder: Path, resume: bool, config: dict[str, Any]) -> None:
    """Check that a resumed run is the same; clear an old one that is replaced; write `config.json`."""
    if resume:
        old = read_config(folder)
        _check_same_run(old, json.loads(_json(config)), folder)
    else:
        for path in [
            *(folder / name for name in WRITTEN),
            *(folder / CHECKPOINTS).glob("step-*.pt"),
        ]:
            path.unlink(missing_ok=True)
        shutil.rmtree(folder / BOARD, ignore_errors=True)
    write_atomically(folder / CONFIG, _json(config))


def _check_same_run(old: Mapping[str, Any], new: Mapping[str, Any], folder: Path) -> None:
    for part in ("model", "pretrain", "data"):
        skip = {"path", "options"} if part == "data" else FREE_TO_CHANGE
        before = old.get(part, {})
        now = new[part]
        for name in now.keys() - skip:
            if before.get(name) != now[name]:
                raise ValueError(
                    f"{folder}: a resumed run must have the same settings and data, but {part}.{name} was "
                    f"{before.get(name)!r} and is {now[name]!r}; start a new run, with init_from to keep the weights"
                )


def _keep_rows(path: Path, up_to: int) -> None:
    """Drop rows of metrics past the checkpoint, and a last line cut short by a kill."""
    rows = []
    if up_to and path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                if json.loads(line)["step"] <= up_to:
                    rows.append(line + "\n")
    write_atomically(path, "".join(rows).encode())


def facts(sequences: Sequences) -> dict[str, Any]:
    """What `config.json` says of the data: `n`, `channels`, `lengths`, and a `digest` that tells two data sets apart.

    The channels of a film are its pixels, thousands without a name, and are left out.
    Above 256 MB the digest is taken from 4096 sequences, evenly spaced.
    """
    digest = hashlib.sha256(sequences.lengths.tobytes())
    small = sum(x.nbytes for x in sequences.values) < 2**28
    for i in (
        range(len(sequences)) if small else np.linspace(0, len(sequences) - 1, 4096).astype(int)
    ):
        digest.update(np.ascontiguousarray(sequences.values[i]).tobytes())
    lengths = sequences.lengths
    return {
        "n": len(sequences),
        "channels": [] if sequences.frame and sequences.frame[0] > 1 else list(sequences.channels),
        "lengths": [int(lengths.min()), int(np.median(lengths)), int(lengths.max())],
        "digest": digest.hexdigest()[:16],
    }


def _described(
    network: TemporalJEPA,
    sequences: Sequences,
    config: PretrainConfig,
    options: dict[str, Any],
    start: Start,
) -> dict[str, Any]:
    """All that `config.json` says: the model, how it was trained, on what, where."""
    environment = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
    }
    path = (
        os.path.abspath(sequences.source) if os.path.exists(sequences.source) else sequences.source
    )
    return {
        "format": 1,
        "version": __version__,
        "model": dict(vars(network.config)),
        "pretrain": vars(config),
        "data": {"path": path, "options": options, **facts(sequences)},
        "init_from": start.source,
        "environment": environment,
    }


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, indent=2).encode() + b"\n"


@contextlib.contextmanager
def _process_group(config: PretrainConfig) -> Iterator[None]:
    """Join the processes that torchrun started, for the time of the run; an error there ends this process too."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or dist.is_initialized():
        yield
        return
    cuda = pick_device(config.device).type == "cuda"
    dist.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(minutes=10))
    try:
        dist.barrier()
        yield
        dist.barrier()
    finally:
        gc.collect()  # the trainer's reducer must be gone before the group it talks through
        dist.destroy_process_group()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder while training, so that two runs never write into one; a killed run holds nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        import fcntl
    except ImportError:  # Windows: no advisory locks of this kind
        yield
        return
    if dist.is_initialized() and dist.get_rank() > 0:
        yield
        return
    with (folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ValueError(
                f"{folder} is in use by another run; wait for it or choose another folder"
            ) from None
        yield
