"""Folders in parts: some files, or some rows of a table in part files, at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

from ...config import ReadOptions
from ..ffmpeg import FrameFormat, VideoInfo
from ..folders import FolderReader, files_of, is_one_table, notes_on
from ..formats.libraries import understood
from ..formats.registry import kind_of
from ..notes import FileNotes
from ..part_files import is_one_text, join_text, keys_of, note_on_parts, part_files
from ..paths import walk
from ..reader import checked, default_window, refuse_for_video
from ..sequences import Sequences
from ..trajectories import OF_ALL_TRACKS
from ..video import holds_video, open_videos
from .columnar import ParquetTable
from .part import NotInPartsError, Part, in_order
from .tables import PARQUET, parquet_table, text_table
from .unpacked import PlainText, unpacked

FRAMES = 2**28  # bytes of frames that are decoded together


def folder_size(path: Path) -> int:
    """Bytes of all files of a folder."""
    return sum(file.stat().st_size for file in walk(path) if file.is_file())


def folder_parts(
    path: Path, options: ReadOptions, jobs: int, folder: Path, state: dict[str, Any]
) -> Generator[Part]:
    """The parts of a folder.

    Args:
        path: the folder.
        options: how to read it.
        jobs: processes that parse.
        folder: for intermediate files.
        state: "next" and "sorted", see `parts_of`.

    Raises:
        NotInPartsError: for a folder that can be read only as a whole.
    """
    if holds_video(path):
        yield from _videos(path, options, state["next"])
        return
    if is_one_table(path, options):
        yield from _one_table(path, options, jobs, folder, state)
        return
    files, labeled = files_of(path, options)
    if options.layout == "scene":
        raise NotInPartsError("all scenes have room for as many agents as the fullest")
    with understood(path):
        reader = FolderReader.of(path, files, labeled, options, keep=False)
    yield from _files(reader, files, options, jobs, state["next"])


def _one_table(
    path: Path, options: ReadOptions, jobs: int, folder: Path, state: dict[str, Any]
) -> Generator[Part]:
    """A table in part files."""
    files = part_files(path, options)
    kind = kind_of(files[0], options)
    if is_one_text(files, kind):

        def write(out: Path) -> None:
            join_text(files, options, out)

        whole = unpacked(folder, f"parts{kind}", write)
        own = replace(options, encoding="utf-8", table=None)
        text = PlainText(whole, own, tuple(note_on_parts(files, options)))
        yield from text_table(text, path, options, jobs, folder, state)
    elif kind in PARQUET and not state["sorted"]:
        keys = tuple(keys_of(path, file) for file in files)
        table = ParquetTable(path, tuple(files), keys)
        notes = tuple(note_on_parts(files, options))
        for part in parquet_table(table, options, state["next"]):
            yield part._replace(notes=notes)
            notes = ()
    else:
        raise NotInPartsError("its parts are joined in memory")


def _files(
    reader: FolderReader,
    files: list[Path],
    options: ReadOptions,
    jobs: int,
    begin: Any,
) -> Generator[Part]:
    """The series of each file.

    A part begins at the number of a file; beside it stand the number of the first file with a
    series, those of files with series and of series so far, and the notes on files.
    """
    start, first_number, read, series, *said = begin or (0, None, 0, 0)
    on_files = FileNotes(*said)
    first = None
    if first_number is not None:
        found = reader.read(files[first_number])
        assert found is not None
        first = files[first_number], found
    for (_, k), found in in_order(_read_file, _calls(reader, files, start), jobs):
        part = None
        if found is not None:
            if first is None:
                first_number = k
                first = files[k], found
            part = checked(reader.named(files[k], found, first), options)
            own = [x for x in part.notes if not OF_ALL_TRACKS.match(x)]
            on_files.add(reader.name(files[k]), own)
            part = replace(part, notes=())
            read += 1
            series += len(part)
        notes = []
        if k + 1 == len(files) and first is not None:
            name = reader.name(first[0])
            notes = notes_on(len(files), read, series, name, reader.labeled)
            notes += on_files.lines()
        where = (k + 1, first_number, read, series, on_files.state)
        yield Part(part, where, k + 1, len(files), notes=tuple(notes))


def _calls(
    reader: FolderReader, files: list[Path], start: int
) -> Iterator[tuple[Any, ...]]:
    for k in range(start, len(files)):
        yield reader, files[k], k


def _read_file(reader: FolderReader, file: Path, number: int) -> Sequences | None:
    """The series of a file; `number` tells the caller which one it was."""
    with understood(file):
        return reader.read(file)


def _videos(path: Path, options: ReadOptions, begin: Any) -> Generator[Part]:
    """The videos of a folder, some at a time.

    Args:
        path: the folder.
        options: how to read them.
        begin: the number of the video at which a part begins; None for the first.
    """
    refuse_for_video(options)
    videos = open_videos(path, options)
    infos = videos.infos
    start = int(begin or 0)
    while start < len(infos):
        stop = _last_together(infos, videos.target, start)
        found, notes = videos.decode(infos[start:stop], is_first=start == 0)
        clip = None if found is None else default_window(found, options, True)
        lost = tuple(notes) if found is None else ()
        yield Part(found, stop, stop, len(infos), clip, notes=lost)
        start = stop


def _last_together(infos: list[VideoInfo], target: FrameFormat, start: int) -> int:
    """Behind the last of the videos from `start` on that are decoded together."""
    size = 0
    for k in range(start, len(infos)):
        size += infos[k].frames_at(target.fps) * prod(target.shape)
        if size > FRAMES and k > start:
            return k
    return len(infos)
