"""`temporal-jepa prepare`: files that are larger than memory into a store that every verb reads."""

import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import ReadOptions
from .console import command, record, say, say_next, show_facts
from .options import UsageError
from .reading import announce_decoding, notes_of
from .writing import check_folder

if TYPE_CHECKING:
    from ..data import Sequences
    from ..data.store.prepare import Progress

EVERY = 5.0  # seconds between two lines of progress, where no terminal shows it


def prepare(
    data: str,
    *,
    out: str | None = None,
    jobs: int | None = None,
    verify: bool = False,
    overwrite: bool = False,
    reading: ReadOptions,
) -> None:
    """Read a file or folder into a store: for data larger than memory, and for many processes.

    Examples:
        temporal-jepa prepare data.csv --out stores/data
        temporal-jepa pretrain --data stores/data --out runs/a
        temporal-jepa prepare stores/data --verify

    Args:
        data: file or folder of sequences; with --verify, a store.
        out: folder of the store. A preparation that was interrupted goes on when it is started
            again.
        jobs: processes that parse text (default: the cores).
        verify: read all bytes of a store and compare their checksums.
        overwrite: replace a store that was made from another source or with other options.
        reading: how the data is read (default: inferred, see docs/data.md)
    """
    if verify:
        _verify(data, reading)
        return
    if not out:
        raise UsageError(
            "--out is missing; name a folder for the store, for example --out stores/a"
        )
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs: expected at least 1, got {jobs}")
    from ..data.store.description import is_store
    from ..data.store.prepare import prepare as make

    check_folder(Path(out))
    announce_decoding(data)
    was_there = is_store(out)
    show = _Shown()
    found = make(
        data,
        out,
        reading,
        jobs=jobs or os.cpu_count() or 1,
        overwrite=overwrite,
        on_progress=show,
    )
    show_facts(found.facts())
    record(store=out)
    say(*notes_of(found))
    if was_there and not show.parts:
        say(f"note: {out} was there already, made from the same data; nothing was done")
    if len(found) == 1 and found.lengths[0] < 2:
        say(
            "note: pretraining needs at least 2 sequences; this store holds one timestep"
        )
        return
    window = _window(found)
    cut = ["--window", window] if window else []
    say("")
    say_next(command("pretrain", "--data", out, *cut, "--out", "runs/a"))


def _window(found: "Sequences") -> int | None:
    """Timesteps of windows, for a single series, which is too few to train on; else None."""
    if len(found) > 1:
        return None
    from ..data.reader import recording_window

    length = int(found.lengths[0])
    return recording_window(length) or length // 2


def _verify(store: str, reading: ReadOptions) -> None:
    from ..data.store.description import verify
    from ..data.store.remote import is_remote
    from ..data.store.unfinished import refuse_no_store

    if reading.given():
        raise UsageError("--verify takes no options on reading; leave them out")
    if is_remote(store):
        raise UsageError(
            f"--verify reads a store on this machine, got {store}; what is downloaded from there "
            "is checked on the way"
        )
    refuse_no_store(Path(store))
    content = verify(Path(store))
    size = sum(facts["bytes"] for facts in content["files"].values())
    record(store=store, files=len(content["files"]), series=content["series"])
    record(bytes=size)
    say(
        f"{store}: all {len(content['files'])} files are whole, {content['series']} series, "
        f"{size / 1e6:.1f} MB"
    )


class _Shown:
    """Progress as a line that is written anew on a terminal, elsewhere a line every 5 seconds."""

    def __init__(self) -> None:
        self.began = self.last = time.monotonic()
        self.first = 0
        self.parts = 0

    def __call__(self, progress: "Progress") -> None:
        if not self.parts:
            self.first = progress.done
        self.parts += 1
        now = time.monotonic()
        is_live = sys.stdout.isatty()
        if now - self.last < (0.2 if is_live else EVERY):
            return
        self.last = now
        text = (
            f"{100 * progress.done / progress.total:.0f} %  {progress.series} series  "
            f"{progress.written / 1e6:.0f} MB written"
        )
        share = (progress.done - self.first) / max(progress.total - self.first, 1)
        if share:  # the first part tells nothing about the time of the others
            left = (now - self.began) * (1 - share) / share
            text += f"  {timedelta(seconds=round(left))} left"
        print(
            f"\r{text:<79}" if is_live else text,
            end="" if is_live else "\n",
            flush=True,
        )
