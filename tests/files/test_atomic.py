"""Outputs are whole or as before, follow no link, and leave nothing behind."""

import contextlib
import errno
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from temporal_jepa.files import atomic
from temporal_jepa.files.atomic import (
    append_line,
    check_file,
    read_file,
    replacing,
    write_atomically,
)


@contextlib.contextmanager
def limit(what: int, value: int) -> Iterator[None]:
    """A lower limit of this process, for as long as the block lasts."""
    soft, hard = resource.getrlimit(what)
    resource.setrlimit(what, (value, hard))
    try:
        yield
    finally:
        resource.setrlimit(what, (soft, hard))


@pytest.fixture(autouse=True)
def _another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders are cleaned once for each process, and each test is one."""
    monkeypatch.setattr(atomic, "_cleaned", set())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_appears_whole_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with replacing(path) as file:
        file.write(b"new")
        assert not path.exists()
        assert file.name.endswith(".txt")
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["a.txt"]


def test_an_error_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with contextlib.suppress(KeyError), replacing(path) as file:
        file.write(b"half")
        raise KeyError
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.txt"]


def test_a_full_disk_leaves_the_old_file_and_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with limit(resource.RLIMIT_FSIZE, 100), pytest.raises(OSError) as caught:  # noqa: PT011
        write_atomically(path, bytes(1000))
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["a.txt"]


def test_no_descriptor_left_is_an_error_of_that_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    free = os.dup(0)
    os.close(free)
    with limit(resource.RLIMIT_NOFILE, free), pytest.raises(OSError) as caught:  # noqa: PT011
        write_atomically(path, b"new")
    assert (caught.value.errno, caught.value.filename) == (errno.EMFILE, str(path))


@pytest.mark.parametrize("target", ["kept.txt", "nothing"])
def test_a_link_is_not_written_through(tmp_path: Path, target: str) -> None:
    (tmp_path / "kept.txt").write_bytes(b"kept")
    link = tmp_path / "link"
    link.symlink_to(target)
    with pytest.raises(FileExistsError, match=r"symbolic link.*not followed"):
        write_atomically(link, b"new")
    with pytest.raises(FileExistsError, match=r"symbolic link.*not followed"):
        append_line(link, "new")
    assert (tmp_path / "kept.txt").read_bytes() == b"kept"
    assert names(tmp_path) == ["kept.txt", "link"]


def test_a_link_that_appears_while_writing_is_replaced_not_followed(
    tmp_path: Path,
) -> None:
    kept = tmp_path / "kept.txt"
    kept.write_bytes(b"kept")
    with replacing(tmp_path / "a.txt") as file:
        file.write(b"new")
        (tmp_path / "a.txt").symlink_to(kept)
    assert kept.read_bytes() == b"kept"
    assert not (tmp_path / "a.txt").is_symlink()


def test_pipes_devices_and_folders_are_refused_before_they_are_opened(
    tmp_path: Path,
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path, kind in (
        (pipe, "named pipe"),
        (tmp_path, "folder"),
        (Path("/dev/null"), "device"),
    ):
        with pytest.raises(OSError, match=f"{kind}, expected a file"):
            check_file(path)
        with pytest.raises(OSError, match=kind):
            read_file(path, 10)
        with pytest.raises(OSError, match=kind):
            write_atomically(path, b"")


def test_a_file_that_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a"
    with path.open("wb") as file:
        file.truncate(2**40)  # takes no space
    with pytest.raises(ValueError, match="larger than 100 bytes"):
        read_file(path, 100)


WRITER = """
import sys, time
from pathlib import Path
from temporal_jepa.files.atomic import replacing
with replacing(Path(sys.argv[1])) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(60)
"""


def test_leftovers_of_killed_writers_are_removed_and_of_living_ones_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path / "a.txt")]
    killed, living = (
        subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)
    )
    for process in (killed, living):
        assert process.stdout is not None
        assert process.stdout.readline() == b"writing\n"
    killed.kill()
    killed.communicate()
    mine = tmp_path / ".temporal-jepa-notes.txt"
    mine.write_bytes(b"no name of a temporary file")
    assert len(names(tmp_path)) == 3
    write_atomically(tmp_path / "b.txt", b"new")
    assert len(names(tmp_path)) == 3  # b.txt came, the leftover of the killed one went
    living.send_signal(signal.SIGTERM)
    living.communicate()
    monkeypatch.setattr(atomic, "_cleaned", set())
    write_atomically(tmp_path / "b.txt", b"new")
    assert names(tmp_path) == [mine.name, "b.txt"]


def test_a_leftover_that_is_a_link_is_left_alone(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_bytes(b"kept")
    (tmp_path / f".temporal-jepa-{'0' * 16}").symlink_to(kept)
    write_atomically(tmp_path / "a", b"new")
    assert kept.read_bytes() == b"kept"


def test_clocks_play_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    path = tmp_path / "a"
    write_atomically(path, b"old")
    os.utime(path, (2**33, 2**33))  # the year 2242
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new"
