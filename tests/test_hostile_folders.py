"""What the package wrote and reads back, damaged: a clear error of its own, or a right answer."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import hostile_folders as folders
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from temporal_jepa.files.sealed import json_bytes, seal_line

EXAMPLES = {"report-log": 3, "report-scores": 3, "shard": 6, "manifest": 10}


@pytest.mark.parametrize("kind", folders.KINDS)
def test_a_damaged_file_of_a_folder_is_read_or_refused_in_words(
    tmp_path_factory: pytest.TempPathFactory, kind: str
) -> None:
    path = folders.placed(kind, tmp_path_factory.mktemp("hostile"))
    whole = path.read_bytes()
    assert folders.attempt(kind, path) is None
    folders.KINDS[kind].read(path.parents[folders.KINDS[kind].file.count("/")])

    @settings(max_examples=EXAMPLES.get(kind, 25))
    @given(seed=st.integers(0, 2**32))
    def check(seed: int) -> None:
        path.write_bytes(folders.KINDS[kind].damage(whole, random.Random(seed)))
        assert folders.attempt(kind, path) is None

    check()


Change = Callable[[bytes], bytes]


def entry(name: str, value: object, seal: Callable[..., bytes] = json_bytes) -> Change:
    """A JSON file with another value under a name, where "a.b" is b in a."""

    def change(data: bytes) -> bytes:
        content = json.loads(data)
        *groups, last = name.split(".")
        holder = content
        for group in groups:
            holder = holder[group]
        holder[last] = value
        return seal(content)

    return change


def last_row(**values: object) -> Change:
    """A log whose last row has other values."""

    def change(data: bytes) -> bytes:
        return data + seal_line({"step": 5, **values}).encode() + b"\n"

    return change


BAD = {
    "a smaller shard, so that files are missing": (
        *("store", entry("shard_bytes", 8, folders._seal_store)),
        r"00001\.bin of the store is missing",
    ),
    "an option that no version has": (
        *("store", entry("options", {"x": 1}, folders._seal_store)),
        r"store\.json: not expected in 'options': unknown option 'x'",
    ),
    "a version without end": (
        *("store", entry("version", "x" * 10**5, folders._seal_store)),
        r"a store of version 'x+\.\.\. \(100002 characters\)",
    ),
    "labels that are no letters": (
        *("store-labels", lambda data: b"\xff" * len(data)),
        "the labels hold numbers that are no letters",
    ),
    "an objective without a name": (
        *("run-config", entry("objective", {"mask": None})),
        r'config\.json is damaged.*"objective" must have a "name"',
    ),
    "a setting that no objective has": (
        *("model-config", entry("objective.x", 1)),
        r"config\.json: the configuration has .* \(no setting x\)",
    ),
    "null": ("run-config", lambda data: b"null", r"config\.json: .*, got null"),
    "a loss that is text": ("run-log", last_row(relative_loss="x"), "line 5 was changed"),
    "a loss that is an object": ("run-log", last_row(relative_loss={}), "line 5 was changed"),
    "a loss that is a list": (
        *("run-log", last_row(relative_loss=[1.5])),
        "line 5 was changed",
    ),
    "scores without the controls": (
        *("report-scores", entry("scores", [])),
        r'probe\.json: not expected in "scores": \[\]; probe the run again',
    ),
    "a count of tests that is text": (
        *("report-scores", entry("n_test", "many")),
        r'probe\.json: not expected in "n_test"',
    ),
    "more parts than a disk has": (
        *("embedding", entry("n", 2**60)),
        "of 576460752303423488 parts are missing or damaged",
    ),
    "parts of no sequence": (
        *("embedding", entry("sequences_per_part", 0)),
        r"_embedding\.json does not say how many sequences",
    ),
    "a part whose header promises 4 TB": (
        *("embedding-part", lambda data: data.replace(b"(2, ", b"(2000000000, ")),
        r"part-00000\.npy: not a readable NumPy array",
    ),
    "a setting without a file": (
        *("settings", lambda data: b"ssteps: 1"),
        r"--config .*a\.yaml: unknown argument --ssteps",
    ),
    "settings that are no text": (
        *("settings", lambda data: b"steps: 5\n\xff"),
        r"a\.yaml: .*byte 9 is no text in UTF-8",
    ),
    "settings that turn text around": (
        *("settings", lambda data: "a\n\u202eb: 1".encode()),
        r"a\.yaml: [^\u202e]*\\u202e[^\u202e]*$",
    ),
}  # fmt: skip
"""What the fuzzer found: the kind of file, what it is changed to, and what is said now."""


@pytest.mark.parametrize("name", BAD)
def test_what_the_fuzzer_found_in_folders_is_said_in_words(
    tmp_path: Path, name: str
) -> None:
    kind, change, message = BAD[name]
    path = folders.placed(kind, tmp_path)
    path.write_bytes(change(path.read_bytes()))
    assert folders.attempt(kind, path) is None
    with pytest.raises(Exception, match=message):
        folders.KINDS[kind].read(path.parents[folders.KINDS[kind].file.count("/")])


def test_a_report_on_a_run_of_unknown_data_is_written(tmp_path: Path) -> None:
    folder = folders.placed("report-log", tmp_path).parent
    folders.KINDS["report-log"].read(folder)
    assert "The encoder was pretrained without labels on" in (
        folder / "report.html"
    ).read_text("utf-8")


def test_parts_are_read_in_their_order(tmp_path: Path) -> None:
    folder = folders.placed("embedding", tmp_path).parent
    from temporal_jepa.embed.parts import read_parts

    parts = [np.load(path) for path in sorted(folder.glob("part-[0-9]????.npy"))]
    assert len(parts) == 6
    assert np.array_equal(read_parts(folder), np.concatenate(parts))
