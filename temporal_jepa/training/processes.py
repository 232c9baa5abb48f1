"""The processes of a run under torchrun: how they join, and what is said when one is lost."""

import contextlib
import gc
import os
import re
import secrets
import time
from collections.abc import Iterator
from datetime import timedelta

import torch
import torch.distributed as dist
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from ..data.sequences import listed

TIMEOUT = timedelta(minutes=10)  # for which processes wait for each other
POLL = 0.02  # seconds between two looks for processes that come
# What gloo says in a RuntimeError when another process is gone, or does not answer.
SIGNS = re.compile(
    r"gloo|connection (closed|reset|refused)|broken pipe|socket|timed out|connectfullmesh",
    re.IGNORECASE,
)
_stores: dict[tuple[str | None, ...], Store] = {}


@contextlib.contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the processes that torchrun started; an error in one of them ends all of them.

    Args:
        device: where they compute.

    Raises:
        ConnectionError: if another process is gone, or has not answered for 10 minutes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or dist.is_initialized():
        yield
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    with _losses_explained():
        _join(backend)
        try:
            dist.barrier()
            yield
            dist.barrier()
        finally:
            gc.collect()  # the trainer's reducer must be gone before the group it talks through
            dist.destroy_process_group()


def _join(backend: str) -> None:
    """Join the others in a part of the store that nobody used before.

    The store may hold addresses of processes that are gone: of those before a restart of torchrun,
    or of an earlier call in the same script. PyTorch overwrites them, but another process may read
    them first, and then waits for ever or finds no connection.
    """
    names = ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE")
    key = tuple(map(os.environ.get, names))
    if (
        key not in _stores
    ):  # kept, for the others too: the first process may be its server
        _stores[key] = next(rendezvous("env://", timeout=TIMEOUT))[0]
    rank, world = (int(os.environ[name]) for name in names[2:])
    store = PrefixStore("temporal-jepa", _stores[key])
    name = _invite(store, world) if rank == 0 else _follow(store, rank)
    dist.init_process_group(
        backend,
        store=PrefixStore(name, store),
        rank=rank,
        world_size=world,
        timeout=TIMEOUT,
    )


def _invite(store: Store, world: int) -> str:
    """In the first process: a new name, once all others have it.

    Each says hello with a number of its own, under which it finds the name. A number that was left
    behind gets an answer too, which nobody reads.

    Raises:
        ConnectionError: if some do not come.
    """
    name = secrets.token_hex(8)
    answered: dict[int, str] = {}
    missing = list(range(1, world))
    until = time.monotonic() + TIMEOUT.total_seconds()
    while missing:
        if time.monotonic() > until:
            raise ConnectionError(
                f"process 0 of {world} waited {TIMEOUT.seconds // 60} minutes for "
                f"{listed(map(str, missing))}, which did not come; start all of them again"
            )
        for rank in missing:
            hello = f"hello/{rank}"
            number = store.get(hello).decode() if store.check([hello]) else ""
            if number and answered.get(rank) != number:
                answered[rank] = number
                store.set(f"welcome/{rank}/{number}", name)
        missing = [rank for rank in missing if not store.check([f"{name}/{rank}"])]
        time.sleep(POLL)
    return name


def _follow(store: Store, rank: int) -> str:
    """In another process: the name that the first one gives to this one, and no older name."""
    number = secrets.token_hex(8)
    store.set(f"hello/{rank}", number)
    name = str(store.get(f"welcome/{rank}/{number}").decode())
    store.set(f"{name}/{rank}", "here")
    return name


@contextlib.contextmanager
def _losses_explained() -> Iterator[None]:
    """Say in words that another process is gone."""
    from torch.distributed.checkpoint.api import CheckpointException

    try:
        yield
    except (RuntimeError, CheckpointException, SystemExit) as error:
        # torchrun ends the others with SIGTERM, which may come while this one leaves.
        cause = _loss(error.__context__ if isinstance(error, SystemExit) else error)
        if cause is None:
            raise
        raise ConnectionError(
            f"process {os.environ['RANK']} of {os.environ['WORLD_SIZE']} lost another one, which "
            f"ended, was killed or does not answer ({cause}); if it said why, its message is among "
            "these"
        ) from error


def _loss(error: BaseException | None) -> str | None:
    """What was noticed of the loss of another process; None for any other error."""
    failures = getattr(error, "failures", {})
    first = next(iter(failures.values()), (error,))[0]
    text = str(first).partition("\n")[0].strip()
    is_of_group = isinstance(first, dist.DistError) or SIGNS.search(text)
    if not isinstance(first, RuntimeError) or not is_of_group:
        return None
    text = re.sub(r"\[\S*\.(cc|cpp|hpp):\d+\]\s*", "", text)  # a line of a source file
    return text.partition(". This ")[0].rstrip(".")
