"""Notes on the files of a folder: none is lost, and each says which files it is about."""

import json

import numpy as np
import pandas as pd
import pytest

from temporal_jepa.data import read
from temporal_jepa.data.notes import KEPT, SHOWN, FileNotes
from temporal_jepa.data.store.prepare import prepare

SORTED = "rows were not in time order and were sorted"


def lines(*files):
    notes = FileNotes()
    for k, said in enumerate(files):
        notes.add(f"{k}.csv", said)
    return notes.lines()


def recording(*times):
    return "time,v\n" + "".join(f"{t},{t % 3}\n" for t in times)


@pytest.fixture
def folder(tmp_path):
    """Four recordings: two in another order, two with a row twice, two with a gap."""
    rows = {
        "a": (0, 1, 2, 3),
        "b": (1, 0, 2, 3),
        "c": (0, 1, 2, 2, 9),
        "d": (2, 1, 0, 2, 30),
    }
    place = tmp_path / "files"
    place.mkdir()
    for name, times in rows.items():
        (place / f"{name}.csv").write_text(recording(*times))
    return place


def test_a_note_on_all_files_is_said_once():
    assert lines(["channels: x"], ["channels: x"]) == ["channels: x"]
    assert lines([f"2 {SORTED}"], [f"3 {SORTED}"]) == [f"5 {SORTED}"]


def test_notes_on_some_files_name_them_the_most_frequent_first():
    found = lines(["x is left out"], [f"2 {SORTED}"], [f"3 {SORTED}"])
    assert found == [f"in 1.csv, 2.csv: 5 {SORTED}", "in 0.csv: x is left out"]
    many = lines([], *[[f"1 {SORTED}"]] * 9)
    assert many == [f"in 1.csv, 2.csv, 3.csv and 6 more: 9 {SORTED}"]
    five = lines([], *[[f"1 {SORTED}"]] * 5)  # a single one is not folded
    assert five == [f"in 1.csv, 2.csv, 3.csv, 4.csv, 5.csv: 5 {SORTED}"]


def test_of_sentences_that_differ_that_on_the_first_file_is_shown():
    said = [[f"1 of 1 series are uneven (largest {k} min)"] for k in (3, 4)]
    likewise = "in {} (likewise in {}): 1 of 1 series are uneven (largest 3 min)"
    assert lines(*said) == [likewise.format("0.csv", "all others")]
    assert lines([], *said) == [likewise.format("1.csv", "2.csv")]


def test_another_example_is_no_other_note():
    said = [[f"columns left out: who (text such as '{k}')"] for k in (3, 4)]
    assert lines(*said) == said[0]
    assert lines(*said, []) == [f"in 0.csv, 1.csv: {said[0][0]}"]


def test_columns_are_told_apart_by_their_names():
    assert len(lines(["column 'x1' is empty"], ["column 'x2' is empty"])) == 2
    assert len(lines(["column 'a' is empty", "column 'a' is empty"])) == 2


def test_a_long_list_ends_with_a_count_and_a_lone_last_note_is_shown():
    said = [[f"'{k}' is empty"] for k in range(KEPT + 5)]
    assert len(lines([], *said[: SHOWN + 1])) == SHOWN + 1
    found = lines([], *said)
    assert len(found) == SHOWN + 1
    assert found[-1].startswith(f"and {KEPT + 5 - SHOWN} more notes on single files;")


def test_notes_go_on_where_they_were_interrupted():
    notes = FileNotes()
    notes.add("a", ["one"])
    again = FileNotes(json.loads(json.dumps(notes.state)))
    again.add("b", ["two"])
    assert again.lines() == ["in a: one", "in b: two"]


def test_a_folder_keeps_the_notes_on_each_of_its_files(folder):
    notes = read(folder).notes
    assert notes[0] == "layout folder: 4 files, 4 series; all read like a.csv"
    assert f"in b.csv, d.csv: 4 {SORTED}" in notes
    assert any(x.startswith("in c.csv, d.csv: 2 rows at the time of an") for x in notes)
    assert any(x.startswith("in c.csv (likewise in d.csv): 1 of 1") for x in notes)


def test_a_folder_in_parts_has_the_notes_of_one_read_whole(
    folder, tmp_path, monkeypatch
):
    monkeypatch.setattr("temporal_jepa.data.store.parts.WHOLE", 1)
    stored = prepare(folder, tmp_path / "s")
    assert sorted(stored.notes) == sorted(read(folder).notes)


def test_tables_in_memory_are_named_in_notes():
    frames = [
        pd.DataFrame({"time": t, "v": [1.0, 2, 4]}) for t in ([0, 1, 2], [2, 1, 0])
    ]
    assert any(x.startswith("in frame 1: ") for x in read(frames).notes)


def test_notes_on_tracks_are_about_those_of_all_files(tmp_path):
    for k in range(3):
        rows = [f"{t},{8 + k + t / 1000:.3f},50.0" for t in range(0, 60, 10)]
        (tmp_path / f"{k}.csv").write_text("time,lon,lat\n" + "\n".join(rows) + "\n")
    found = read(tmp_path)
    places = [note for note in found.notes if "longitude 8" in note]
    low, high = (f(np.min(p[:, 0]) for p in found.places) for f in (min, max))
    assert (low, round(high, 2)) == (8, 10)
    assert places == ["places: longitude 8 to 10.05, latitude 50 to 50"]
    assert sum(note.startswith("length of a track") for note in found.notes) == 1
