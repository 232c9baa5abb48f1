"""`temporal-jepa prepare`: files that are larger than memory into a store that every verb reads."""

import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import ReadOptions
from .console import command, say, show_facts
from .options import UsageError
from .reading import announce_decoding, notes_of
from .writing import check_folder

if TYPE_CHECKING:
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
    from ..data.store.prepare import prepare as make

    check_folder(Path(out))
    announce_decoding(data)
    found = make(
        data,
        out,
        reading,
        jobs=jobs or os.cpu_count() or 1,
        overwrite=overwrite,
        on_progress=_shown(),
    )
    show_facts(found.summary())
    say(
        *notes_of(found),
        "",
        f"next: {command('pretrain', '--data', out, '--out', 'runs/a')}",
    )


def _verify(store: str, reading: ReadOptions) -> None:
    from ..data.store.description import verify
    from ..data.store.remote import is_remote

    if reading.given():
        raise UsageError("--verify takes no options on reading; leave them out")
    if is_remote(store):
        raise UsageError(
            f"--verify reads a store on this machine, got {store}; what is downloaded from there "
            "is checked on the way"
        )
    content = verify(Path(store))
    size = sum(facts["bytes"] for facts in content["files"].values())
    say(
        f"{store}: all {len(content['files'])} files are whole, {content['series']} series, "
        f"{size / 1e6:.1f} MB"
    )


def _shown() -> Callable[["Progress"], None]:
    """Progress as a line that is written anew on a terminal, elsewhere a line every 5 seconds."""
    began = time.monotonic()
    first: list[int] = []
    last = [began]

    def show(progress: "Progress") -> None:
        first[:] = first or [progress.done]
        now = time.monotonic()
        is_live = sys.stdout.isatty()
        if now - last[0] < (0.2 if is_live else EVERY):
            return
        last[0] = now
        text = (
            f"{100 * progress.done / progress.total:.0f} %  {progress.series} series  "
            f"{progress.written / 1e6:.0f} MB written"
        )
        share = (progress.done - first[0]) / max(progress.total - first[0], 1)
        if share:  # the first part tells nothing about the time of the others
            left = (now - began) * (1 - share) / share
            text += f"  {timedelta(seconds=round(left))} left"
        print(
            f"\r{text:<79}" if is_live else text,
            end="" if is_live else "\n",
            flush=True,
        )

    return show
