"""Checkpoints of a run: the newest two that are whole, on any number of processes.

They are written in a thread by PyTorch's DCP while training goes on, each process its share, and
are read by any number of processes. A checkpoint whose files were changed is never used: the one
before is.
"""

import contextlib
import errno
import re
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch import Tensor

from ..files import MANIFEST
from ..files.printable import printable
from .processes import TIMEOUT

if TYPE_CHECKING:
    from .storage import Reader

FOLDER = "checkpoint"
STEP = re.compile(r"step-(\d{8,18})")
KEPT = 2
NO_DAMAGE = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # reading failed, not the file
UNFINISHED = f"was not written to its end ({MANIFEST} is missing)"
State = dict[str, Tensor]
Shapes = Mapping[str, tuple[list[int], torch.dtype]]


class Checkpoints:
    """The checkpoints in the folder of a run; all processes of the run call all methods.

    Args:
        run: the run folder.
        settings: those of the run on which its steps depend, as "pretrain.seed"; checkpoints of
            others are refused, whose files were copied into the folder. One that does not store
            them, of an earlier version, is accepted.
    """

    def __init__(self, run: Path, settings: Mapping[str, Any] | None = None):
        self.folder = run / FOLDER
        self.origin = None
        if settings is not None:
            self.origin = {"folder": str(run.absolute()), "settings": dict(settings)}
        self.is_distributed = dist.is_initialized()
        self.rank = dist.get_rank() if self.is_distributed else 0
        self.world = dist.get_world_size() if self.is_distributed else 1
        # Of its own: another thread than that of training waits for the others.
        self.group = None
        if self.is_distributed:
            self.group = dist.new_group(backend="gloo", timeout=TIMEOUT)
        self.damaged: set[int] = set()  # steps whose checkpoint was found damaged
        self._writing: tuple[int, Any] | None = None
        if not self.is_distributed:  # DCP says so each time
            warnings.filterwarnings("ignore", "torch.distributed is disabled")

    def save(self, step: int, state: State) -> None:
        """Copy a state, and begin to write it.

        Raises:
            FloatingPointError: if a weight or moment is not finite; nothing is written.
            OSError: if the checkpoint before could not be written, or its folder is a link.
        """
        from torch.distributed.checkpoint.state_dict_saver import async_save

        from .storage import Writer

        self.wait()
        self._check_finite(step, state)
        folder = self.folder / f"step-{step:08d}"
        _check_no_link(self.folder)
        if self.rank == 0:  # the others write after the first process has planned
            _delete(folder)  # a damaged one of the same step
        writer = Writer(folder, self.origin)
        future = async_save(
            state,
            storage_writer=writer,
            process_group=self.group,
        )
        self._writing = step, future

    def wait(self) -> None:
        """Wait until the checkpoint that is being written is whole; then delete older ones.

        Raises:
            OSError: if it cannot be written, for example because the disk is full.
        """
        from torch.distributed.checkpoint.api import CheckpointException

        if self._writing is None:
            return
        step, future = self._writing
        self._writing = None
        try:
            future.result()
        except CheckpointException as error:
            first, _ = next(iter(error.failures.values()))
            if not isinstance(first, OSError):
                raise
            raise first from None
        self.damaged.discard(step)
        if self.rank == 0:
            _prune(self.folder, step, self.damaged)

    def load(self, template: Callable[[Shapes], State]) -> State | None:
        """The state of the newest checkpoint that is whole.

        A damaged one is left out with a warning that says how many steps are repeated.

        Args:
            template: from shape and type of each tensor, the tensors to read into: split over
                processes or whole, whatever they were when they were written.

        Returns:
            None if there is no checkpoint; one whose writing was interrupted is none.

        Raises:
            ValueError: if there are checkpoints and none is whole, or the newest is of a run with
                other settings, or `template` finds that it is of another model.
            OSError: if the folder is a link.
        """
        _check_no_link(self.folder)
        steps = self._agreed(_begun_steps(self.folder))
        damages: list[str] = []
        for step in reversed(steps):
            folder = self.folder / f"step-{step:08d}"
            damage, reader = self._checked(folder)
            if reader is not None:
                self._check_origin(reader)
                self._warn(
                    damages, f"from step {step}, and repeats {steps[-1] - step} steps"
                )
                state = template(reader.shapes())
                self._read(state, reader)
                return state
            damages.append(f"{folder} {damage}")
            if damage != UNFINISHED:
                self.damaged.add(step)
        if self.damaged:
            raise ValueError(
                f"{'; '.join(damages)}, and there is no other checkpoint; copy one of them again, "
                "or delete them to start again"
            )
        self._warn(damages, "from the start of the run")
        return None

    def _check_origin(self, reader: "Reader") -> None:
        """ValueError if a checkpoint is known to be of another run."""
        other = "" if self.origin is None else reader.other_origin(self.origin)
        if other:
            raise ValueError(
                f"{reader.folder} {other}; copy the checkpoint of this run again, or delete that "
                "folder to continue from the one before"
            )

    def _warn(self, damages: list[str], where: str) -> None:
        if damages and self.rank == 0:
            warnings.warn(
                f"{'; '.join(damages)}. Training continues {where}", stacklevel=3
            )

    def _read(self, state: State, reader: "Reader") -> None:
        """Fill a state. ValueError if the manifest does not say where all of it is."""
        from torch.distributed.checkpoint.api import CheckpointException
        from torch.distributed.checkpoint.state_dict_loader import load

        try:
            load(
                state,
                storage_reader=reader,
                process_group=self.group,
            )
        except CheckpointException as error:
            first, _ = next(iter(error.failures.values()))
            if isinstance(first, OSError):
                raise first from None
            cause = printable(str(first).partition("\n")[0])[:200]
            raise ValueError(
                f"{reader.folder} cannot be read ({cause}); delete it to continue from another one"
            ) from None

    def _checked(self, folder: Path) -> "tuple[str, Reader | None]":
        """How a checkpoint is damaged, or its reader; processes share the files to check."""
        from .storage import Reader

        reader = None
        try:
            reader = Reader(folder)
            damage = reader.damage(slice(self.rank, None, self.world))
            damage = f"is damaged ({damage})" if damage else ""
        except FileNotFoundError:
            damage = UNFINISHED
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and error.errno in NO_DAMAGE:
                raise
            reason = str(error).partition("\n")[0]
            damage = f"is damaged ({reason})"
        found = [damage]
        if self.is_distributed:
            found = [""] * self.world
            dist.all_gather_object(found, damage, group=self.group)
        first = next((text for text in found if text), "")
        return first, None if first else reader

    def _agreed(self, steps: list[int]) -> list[int]:
        """What the first process finds on disk."""
        if not self.is_distributed:
            return steps
        found = [steps]
        dist.broadcast_object_list(found, src=0, group=self.group)
        return found[0]

    def _check_finite(self, step: int, state: State) -> None:
        """FloatingPointError unless all numbers are finite, in all processes."""
        is_finite = all(
            bool(_local(value).isfinite().all()) for value in state.values()
        )
        flag = torch.tensor(int(is_finite))
        if self.is_distributed:
            dist.all_reduce(flag, op=dist.ReduceOp.MIN, group=self.group)
        if not flag:
            raise FloatingPointError(
                f"the weights are not finite at step {step}, and are not stored; the checkpoint "
                "before is kept. Lower lr, and resume"
            )


def stored_steps(run: Path) -> list[int]:
    """The steps of the checkpoints in a run folder that were written to their end, in order."""
    steps = _begun_steps(run / FOLDER)
    return [
        step
        for step in steps
        if (run / FOLDER / f"step-{step:08d}" / MANIFEST).is_file()
    ]


def _begun_steps(folder: Path) -> list[int]:
    """The steps that have a folder, also those whose writing was interrupted, in order."""
    found = [] if folder.is_symlink() or not folder.is_dir() else folder.iterdir()
    matches = [
        STEP.fullmatch(path.name)
        for path in found
        if path.is_dir() and not path.is_symlink()
    ]
    return sorted(int(match[1]) for match in matches if match)


def _check_no_link(folder: Path) -> None:
    """OSError if the folder of checkpoints is a symbolic link."""
    if folder.is_symlink():
        raise FileExistsError(
            f"{folder} is a symbolic link, and a link is not followed for writing; delete it, or "
            "put the whole run folder where it points to"
        )


def delete_checkpoints(run: Path) -> None:
    """Delete all checkpoints of a run, also those of earlier versions (`step-N.pt`)."""
    for step in _begun_steps(run / FOLDER):
        _delete(run / FOLDER / f"step-{step:08d}")
    for path in (run / FOLDER).glob("step-*.pt"):
        path.unlink(missing_ok=True)


def _prune(folder: Path, newest: int, damaged: set[int]) -> None:
    """Keep the checkpoint of step `newest`, which was just written, and the whole one before."""
    stored = stored_steps(folder.parent)
    whole = [step for step in stored if step <= newest and step not in damaged]
    for step in {*_begun_steps(folder)} - {*whole[-KEPT:]}:
        _delete(folder / f"step-{step:08d}")


def _delete(folder: Path) -> None:
    """Delete a checkpoint, or a link in its place; half of it has no manifest, and is none."""
    if folder.is_symlink():
        folder.unlink()
        return
    with contextlib.suppress(OSError):
        (folder / MANIFEST).unlink()
    shutil.rmtree(folder, ignore_errors=True)


def _local(value: Tensor) -> Tensor:
    """The part of a tensor that this process has."""
    to_local = getattr(value, "to_local", None)
    return value if to_local is None else to_local()
