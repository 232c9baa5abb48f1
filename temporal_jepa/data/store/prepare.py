"""`prepare`: a file or folder into a store, part by part, in bounded memory."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from filelock import FileLock, Timeout

from ...config import ReadOptions
from ...files import write_atomically
from ..labels import with_task
from ..notes import merged_notes
from ..paths import walk
from ..reader import with_constant
from ..sequences import Sequences, located
from .description import STORE, is_store, read_description
from .facts import NotInOrderError
from .opening import sequences_of
from .part import Part
from .parts import LONGEST, parts_of
from .scattered import SORTED
from .seen import Seen
from .unpacked import UNPACKED
from .writer import JOURNAL, LosesError, StoreWriter, before, replace_folder

LOCK = "lock"
PLAN = "plan.json"  # beside copies of the source: what they were made of
COMMIT = 2**26  # bytes of values after which what was written is made to last
START_OF_PARTS: dict[str, Any] = {
    "next": None,
    "notes": [],
    "clip": None,
    "dropped": [],  # owners without a series: tracks of a single fix
}
START: dict[str, Any] = {
    **START_OF_PARTS,
    "sorted": False,  # rows of one series stand in several places
    "whole": False,  # the source is read as a whole
    "exact": False,  # float32 loses the values of a recording
    "unlabeled": False,  # some series have no label
    "times": None,  # the type of all times
}
"""What is known of a source before its first part, in the journal of the store."""


class Progress(NamedTuple):
    """How far a preparation is."""

    done: int  # of the source: bytes, series or files
    total: int
    series: int
    written: int  # bytes of values


def prepare(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    options: ReadOptions | None = None,
    *,
    jobs: int = 1,
    overwrite: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    **keywords: Any,
) -> Sequences:
    """Read a file or folder into a store of flat files, which every verb reads without loading it.

    A preparation that was killed goes on where it was when it is started again with the same
    source and options; its store has the bytes of one that was never killed. A finished store is
    left as it is.

    Args:
        source: path of a file or folder, as `read` takes it.
        out: the folder of the store; while it is made, its files are in ``.OUT.partial`` beside it.
        options: how to read, see `ReadOptions`; `window` and `stride` are chosen when the store is
            used.
        jobs: processes that parse. The bytes of the store do not depend on it.
        overwrite: replace a store, or the beginning of one, with another source or options.
        on_progress: called after each part.
        keywords: the fields of `ReadOptions`, in place of `options`.

    Returns:
        The sequences of the store.

    Raises:
        ValueError: for a source that cannot be used, see `read`; an `out` that holds another
            store, or files that are no store; two preparations of one store at a time.
        OSError: when the disk is full, for example. What was written so far is used again.
    """
    options = options or ReadOptions.from_dict(keywords)
    if options.given("window", "stride"):
        raise ValueError(
            "a store keeps whole series; leave out window= and stride=, and give them to the verb "
            "that uses the store: temporal-jepa pretrain --data STORE --window LENGTH"
        )
    path, folder = Path(source), Path(out)
    plan = plan_of(path, options)
    if path.is_dir() and folder.resolve().is_relative_to(path.resolve()):
        raise ValueError(
            f"{folder} lies in {path}, where it would be data; choose another --out"
        )
    if _is_done(folder, plan, overwrite):
        _remove_leftovers(folder)
        return sequences_of(folder, read_description(folder))
    partial = folder.with_name(f".{folder.name}.partial")
    if partial.is_symlink():
        raise ValueError(f"{partial} is a symbolic link, which is not written through")
    partial.mkdir(parents=True, exist_ok=True)
    with _locked(partial):
        _discard_other(partial, plan, overwrite)
        if not is_store(partial):
            with located(path):
                _fill(partial, path, options, plan, jobs, on_progress)
        for name in (SORTED, UNPACKED):
            shutil.rmtree(partial / name, ignore_errors=True)
        (partial / JOURNAL).unlink(missing_ok=True)
        replace_folder(partial, folder)
        # Only now: before the rename, another process could take a new lock in the folder.
        (folder / LOCK).unlink(missing_ok=True)
    return sequences_of(folder, read_description(folder))


def plan_of(path: Path, options: ReadOptions) -> dict[str, Any]:
    """What a store is made from: the source with its size, and the options, in JSON."""
    if not path.exists():
        raise FileNotFoundError(f"no file or folder {path}")
    size, newest = 0, 0
    digest = hashlib.sha256()
    for file in sorted(walk(path)) if path.is_dir() else [path]:
        if file.is_file():
            status = file.stat()
            size += status.st_size
            newest = max(newest, status.st_mtime_ns)
            digest.update(os.fsencode(file.relative_to(path)))
            digest.update(f" {status.st_size} {status.st_mtime_ns}\n".encode())
    given = {name: getattr(options, name) for name in options.given()}
    plan = {
        "source": os.path.abspath(path),
        "bytes": size,
        "modified": newest,
        "options": given,
    }
    if path.is_dir():
        plan["files"] = digest.hexdigest()
    as_read: dict[str, Any] = json.loads(json.dumps(plan))  # tuples become lists
    return as_read


def _is_done(folder: Path, plan: dict[str, Any], overwrite: bool) -> bool:
    """Whether the store is there already.

    Raises:
        ValueError: for another store without `overwrite`, and for a folder of other files.
    """
    if not folder.exists() and not folder.is_symlink():
        return False
    if folder.is_symlink() or not is_store(folder):
        if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
            folder.rmdir()
            return False
        raise ValueError(
            f"{folder} exists and is no store (a folder with {STORE}); choose another --out"
        )
    try:
        made = read_description(folder)["plan"]
    except ValueError:
        if overwrite:
            return False
        raise
    if made == plan:
        return not overwrite
    if overwrite:
        return False
    raise ValueError(
        f"{folder} is a store of another source or with other options (made from "
        f"{made['source']}); pass overwrite=True (--overwrite) to replace it, or another --out"
    )


def _discard_other(partial: Path, plan: dict[str, Any], overwrite: bool) -> None:
    """Delete what is finished but damaged, and with `overwrite` what cannot be continued.

    Raises:
        ValueError: for a finished store of another plan without `overwrite`.
    """
    if is_store(partial):
        try:
            if read_description(partial)["plan"] == plan:
                return
        except ValueError:
            _empty(partial)
            return
        if not overwrite:
            raise ValueError(
                f"{partial} holds a store of another source or with other options (the file "
                "changed, or the options); start anew with overwrite=True (--overwrite), or choose "
                "another --out"
            )
        _empty(partial)
    elif overwrite:
        try:
            StoreWriter(partial, plan).close()
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            _empty(partial)


def _discard_other_copies(partial: Path, plan: dict[str, Any]) -> None:
    """Delete copies that were made of another source; a journal may not be there to tell."""
    place = partial / UNPACKED
    mark = place / PLAN
    own = json.dumps(plan).encode()
    if mark.is_file() and mark.read_bytes() == own:
        return
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    write_atomically(mark, own)


def _empty(partial: Path) -> None:
    """Delete all but the lock; first what says that the rest is whole."""
    for name in (STORE, JOURNAL):
        (partial / name).unlink(missing_ok=True)
    for path in partial.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def _remove_leftovers(folder: Path) -> None:
    """Delete what a process left that was killed after it had put the store in its place."""
    with contextlib.suppress(OSError):
        (folder / LOCK).unlink(missing_ok=True)
    if is_store(before(folder)) and not before(folder).is_symlink():
        shutil.rmtree(before(folder), ignore_errors=True)


class _locked:
    """Hold a lock in a folder, which a killed process does not."""

    def __init__(self, folder: Path):
        self.folder = folder
        if (folder / LOCK).is_symlink():
            raise ValueError(f"{folder / LOCK} is a symbolic link; delete it")
        self.lock = FileLock(folder / LOCK, timeout=0)

    def __enter__(self) -> None:
        try:
            self.lock.acquire()
        except Timeout:
            raise ValueError(
                f"{self.folder} is being written by another process; wait for it, or choose "
                "another --out"
            ) from None

    def __exit__(self, *error: object) -> None:
        self.lock.release()


class _Anew(Exception):
    """What was written has to be written again, in another way."""

    def __init__(self, **change: Any):
        super().__init__()
        self.change = change


def _fill(
    partial: Path,
    path: Path,
    options: ReadOptions,
    plan: dict[str, Any],
    jobs: int,
    on_progress: Callable[[Progress], None],
) -> None:
    """Write all parts of a source that are not in the store yet, and finish it."""
    writer = StoreWriter(partial, plan)
    _discard_other_copies(partial, plan)
    state = {**START, **(writer.unit or {})}
    while True:
        source = parts_of(path, options, jobs, partial, state)
        try:
            state = _write(writer, source, state, on_progress)
            break
        except _Anew as anew:
            source.close()
            writer = _emptied(writer)
            state = {**state, **START_OF_PARTS, **anew.change}
            writer.commit(state)
    if not writer.facts.series:
        raise ValueError("expected at least one series, got none")
    if plan_of(path, options) != plan:
        raise ValueError(
            "it changed while it was read; start again with overwrite=True (--overwrite) when "
            "nothing writes to it"
        )
    writer.commit(state)
    _finish(writer, path, options, plan, state)


def _write(
    writer: StoreWriter,
    source: Iterable[Part],
    state: dict[str, Any],
    on_progress: Callable[[Progress], None],
) -> dict[str, Any]:
    """Write parts, and the state behind the last one.

    Raises:
        _Anew: when a part shows that those before were written in another way than it needs.
    """
    seen = Seen()
    seen.add([*_owners(writer), *state["dropped"]])
    since = writer.streams["values"].size
    for part in source:
        if seen.add(part.owners):
            raise _Anew(sorted=True)
        notes = part.notes
        if part.sequences is not None:
            found = _as_stored(part.sequences, writer.head, state)
            notes = (*notes, *found.notes)
            _append(writer, found, part, state)
        state = {
            **state,
            "next": part.next,
            "notes": merged_notes(state["notes"], notes),
            "clip": max(filter(None, (part.clip, state["clip"])), default=None),
            "dropped": [*state["dropped"], *_dropped(part)],
        }
        written = writer.streams["values"].size
        if written - since >= COMMIT:
            writer.commit(state)
            since = written
        on_progress(Progress(part.done, part.total, writer.facts.series, written))
    return state


def _owners(writer: StoreWriter) -> Iterator[str]:
    """The names of all series so far; of parts of a track, a#1, also that of the track."""
    for name in writer.ids():
        yield name
        if writer.head.get("places") and "#" in name:
            yield name.rpartition("#")[0]


def _dropped(part: Part) -> list[str]:
    """The owners of a part of which it has no series."""
    ids = [] if part.sequences is None else [*part.sequences.ids]
    kept = {*ids, *(name.rpartition("#")[0] for name in ids)}
    return [name for name in part.owners if name not in kept]


def _append(
    writer: StoreWriter, found: Sequences, part: Part, state: dict[str, Any]
) -> None:
    """Write the series of a part, or the timesteps of a series of several parts."""
    if not part.piece:
        writer.add(found)
        return
    dtype = "float64" if state["exact"] else "float32"
    try:
        writer.extend(found, dtype=dtype, last=part.piece == "last")
    except LosesError:
        raise _Anew(exact=True) from None
    except NotInOrderError:
        if max(part.total, writer.plan["bytes"]) > LONGEST:
            raise
        raise _Anew(whole=True) from None


def _as_stored(
    found: Sequences, head: Mapping[str, Any], state: dict[str, Any]
) -> Sequences:
    """The series of a part as those before it: channels in order, labels and times of one type.

    Raises:
        _Anew: when those before have to be as these.
    """
    channels = head.get("channels", found.channels)
    if found.channels != channels and sorted(found.channels) == sorted(channels):
        found = found.reordered([found.channels.index(name) for name in channels])
    found = _labeled_as(found, head, state)
    kind = _type_of_times(found, head, state)
    if kind is not None and found.times is not None:
        found = replace(found, times=[x.astype(kind) for x in found.times])
    return found


def _labeled_as(
    found: Sequences, head: Mapping[str, Any], state: dict[str, Any]
) -> Sequences:
    """The series without their labels, where some before them have none.

    Raises:
        _Anew: when those before have labels, and these have none.
    """
    if found.labels is None:
        if head.get("has_labels") and not state["unlabeled"]:
            raise _Anew(unlabeled=True)
        return found
    if head.get("has_labels", True) and not state["unlabeled"]:
        return found
    note = "some have no labels: there are none"
    return replace(found, labels=None, task=None, notes=(*found.notes, note))


def _type_of_times(
    found: Sequences, head: Mapping[str, Any], state: dict[str, Any]
) -> str | None:
    """The type that the times of a part are converted to, None for their own.

    Raises:
        _Anew: when the times before it have to be converted.
    """
    expected: str | None = state["times"] or head.get("times")
    if found.times is None:
        return None
    own = {x.dtype for x in found.times}
    if expected is None:
        return str(_common_type(own)) if len(own) > 1 else None
    if own == {np.dtype(expected)}:
        return None
    if len({x.kind == "M" for x in (*own, np.dtype(expected))}) > 1:
        return None  # refused by the writer
    common = str(_common_type({*own, np.dtype(expected)}))
    if common != expected:
        raise _Anew(times=common)
    return common


def _common_type(kinds: set[Any]) -> Any:
    """The type that holds times of several: dates of several units have not all of them in [ns]."""
    if any(kind.kind == "M" for kind in kinds):
        return np.dtype("datetime64[us]")
    return np.result_type(*kinds)


def _emptied(writer: StoreWriter) -> StoreWriter:
    """A writer that begins anew in the folder of another."""
    writer.close()
    (writer.folder / JOURNAL).unlink(missing_ok=True)  # first: it counts on the others
    for file in writer.folder.iterdir():
        if file.name != LOCK and file.is_file():
            file.unlink()
    return StoreWriter(writer.folder, writer.plan)


def _finish(
    writer: StoreWriter,
    path: Path,
    options: ReadOptions,
    plan: dict[str, Any],
    state: dict[str, Any],
) -> None:
    """Write the description, with what can be said only when all series are known."""
    given = {name: getattr(options, name) for name in options.given()}
    content = writer.described(
        {
            "source": str(path),
            "notes": state["notes"],
            "options": given,
            "clip": state["clip"],
            "plan": plan,
        }
    )
    found = replace(sequences_of(writer.folder, content), source=str(path))
    found = with_task(found, options.task)
    found = with_constant(found, writer.facts.constant, writer.facts.constant_ids)
    content["notes"] = found.notes
    content["task"] = found.task
    writer.seal(content)
