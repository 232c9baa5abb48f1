"""Read a file in the way that the data of a run was read."""

import ast
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config import ReadOptions, flags, in_words
from .console import command, record, recorded, say, warn
from .options import as_flags
from .progress import Clock

if TYPE_CHECKING:
    from ..data import Sequences

OF_COLUMNS = ("layout", "id", "time", "label", "values", "task")
"""Options about the columns of a file; they hold for files of one kind only."""
OF_VIDEO = ("fps", "resize", "region")
OF_LABEL = re.compile(
    r"column .* (is the same throughout each|has \d+ different) \S+; "
    r"label=(?P<name>\'.*\'|\".*\") if it is the label$"
)
OF_LOSSES = re.compile(r"\d.* (left out|dropped|averaged)\b")
"""Notes that count data which are not used: they are printed each time."""


def read_as_trained(
    file: str,
    reading: ReadOptions,
    run: Mapping[str, Any],
    ignore: Sequence[str] = (),
    is_quiet: bool = False,
) -> "Sequences":
    """Read a file as the command line requests, and otherwise as the data of the run was read.

    A column of ids, times or labels that only the run names may be missing. Channels are put in
    the order of training.

    Args:
        file: path of the data.
        reading: options of the command line.
        run: the config.json of the run.
        ignore: options of the run that do not apply.
        is_quiet: leave out the notes on reading.
    """
    from ..data import read
    from ..data.tables.roles import MissingColumnError

    options = _combined(reading, run, file, ignore)
    announce_decoding(file)
    while True:
        try:
            with Clock(f"reading {Path(file).name}"):
                sequences = read(file, options)
            if not is_quiet:
                say(
                    *_news(
                        sequences, run, command("inspect", file, *flags(vars(options)))
                    )
                )
            return _in_order_of_training(sequences, run)
        except MissingColumnError as error:
            name = error.option
            if name == "values" or reading.given(name):
                raise
            column = getattr(options, name)
            say(
                f"note: {file} has no column {column!r}, the {name} of the training data"
            )
            options = replace(options, **{name: None})


def _news(sequences: "Sequences", run: Mapping[str, Any], again: str) -> list[str]:
    """Notes on reading that training did not print, and on data that are left out; others counted.

    Args:
        sequences: what was read.
        run: the config.json of the run.
        again: the command that shows all notes.
    """
    record(notes=[*recorded("notes"), *map(as_flags, sequences.notes)])
    known = run.get("data", {}).get("notes", [])
    same = [x for x in sequences.notes if x in known and not OF_LOSSES.search(x)]
    lines = [f"note: {as_flags(x)}" for x in sequences.notes if x not in same]
    if same:
        count = f"{len(same)} note{'s' * (len(same) > 1)} on reading as at training"
        lines.append(f"note: {count}; to see all: {again}")
    return lines


def notes_of(sequences: "Sequences") -> list[str]:
    """How a file was read, and what would change it, a line each."""
    return [f"note: {as_flags(note)}" for note in sequences.notes]


def label_in_question(sequences: "Sequences") -> str | None:
    """The column that may be the label, by the notes on reading; None if there is a label."""
    if sequences.labels is not None:
        return None
    for note in sequences.notes:
        found = OF_LABEL.search(note)
        if found:
            return str(ast.literal_eval(found["name"]))
    return None


def announce_decoding(file: str) -> None:
    """Say that a video is being decoded, which can take minutes."""
    from ..data.video import holds_video

    if holds_video(Path(file)):
        say(f"{file}: decoding its videos, once")


def _combined(
    reading: ReadOptions, run: Mapping[str, Any], file: str, ignore: Sequence[str]
) -> ReadOptions:
    """Options of the command line over those stored with the run."""
    from ..data.store.description import is_store, suffix_of
    from ..data.store.remote import is_remote
    from ..data.video import holds_video

    data = run.get("data", {})
    stored = data.get("options", {})
    ignored = set(ignore)
    if is_store(file) or is_remote(file):  # its source was read when it was made
        ignored.update(set(stored) - {"window", "stride"})
    elif suffix_of(file) != _suffix_of_training(data):
        ignored.update(OF_COLUMNS)
        if stored.get("layout") == "scene":
            ignored.remove("layout")
        if not holds_video(Path(file)):
            ignored.update(OF_VIDEO)
    options = {name: value for name, value in stored.items() if name not in ignored}
    for name in reading.given():
        options[name] = getattr(reading, name)
    return ReadOptions.from_dict(options)


def _suffix_of_training(data: Mapping[str, Any]) -> str:
    """The suffix of the training data of a run, "" if only an address would tell it.

    An address in a run folder is not asked: the folder may be a stranger's.
    """
    from ..data.store.description import suffix_of
    from ..data.store.remote import is_remote

    path = str(data.get("path") or "")
    return str(data.get("suffix") or "") if is_remote(path) else suffix_of(path)


def _in_order_of_training(
    sequences: "Sequences", run: Mapping[str, Any]
) -> "Sequences":
    """Channels in the order of training, if their names are known; a warning if names differ."""
    trained = run.get("data", {}).get("channels", [])
    channels = sequences.channels
    if trained and run["model"].get("resolutions") and len(channels) != len(trained):
        raise ValueError(
            f"{sequences.source} has {in_words({'input_dim': len(channels)})}, the run was trained "
            f"on {in_words({'input_dim': len(trained)})} ({', '.join(trained[:8])})"
        )
    if channels == trained or len(channels) != len(trained):
        return sequences
    if _are_numbers(channels) or _are_numbers(trained):
        return sequences
    if sorted(channels) != sorted(trained):
        warn(
            f"{sequences.source} has the channels {', '.join(channels)}, but the run was trained "
            f"on {', '.join(trained)}; they are used in the order of the file"
        )
        return sequences
    say(
        f"note: channels of {sequences.source} reordered as in training: {', '.join(trained)}"
    )
    order = [channels.index(name) for name in trained]
    return sequences.reordered(order)


def _are_numbers(names: Sequence[str]) -> bool:
    return all(name.isdigit() for name in names)


def training_file(
    run: str,
    config: Mapping[str, Any],
    advice: str,
    flag: str,
    given: Sequence[str] = (),
) -> str:
    """Path of the data that a run was trained on.

    Args:
        run: the run folder.
        config: its config.json.
        advice: what to do if no path is stored.
        flag: which option names other data.
        given: paths on this command line; an address of the run is opened only if it is one.

    Raises:
        ValueError: if no path is stored, or only the run folder names it and it is an address.
    """
    from ..data.store.remote import refuse_address

    path = config.get("data", {}).get("path")
    if path is None or not Path(run).is_dir():
        raise ValueError(
            f"{run} does not store the path of its training data; {advice}"
        )
    path = str(path)
    if path.rstrip("/") not in (name.rstrip("/") for name in given):
        refuse_address(path, run, f"{flag} {shlex.quote(path)}")
    return path
