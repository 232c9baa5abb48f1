"""Text files: encodings, compression and archives give the same text."""

import bz2
import gzip
import lzma
import zipfile

import pytest

from temporal_jepa.config import ReadOptions
from temporal_jepa.data import read
from temporal_jepa.data.formats import textfiles
from temporal_jepa.data.formats.textfiles import inner_suffix, read_text
from temporal_jepa.data.tables.readings import AmbiguousError

TEXT = "time,température\n0,1\n1,2\n"


def write_zip(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_unicode_encoding_gives_the_same_text(tmp_path, encoding, end):
    text = TEXT.replace("é", "e") if encoding.endswith("e") else TEXT
    path = tmp_path / "a.csv"
    path.write_bytes(text.replace("\n", end).encode(encoding))
    assert read_text(path)[0] == text


def test_utf16_without_a_mark_is_noted(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("time,v\n0,1\n".encode("utf-16-be"))
    assert "UTF-16-BE" in read_text(path)[1][0]


def test_other_encodings_are_named_by_an_option(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("温度\n".encode("shift_jis"))
    assert read_text(path, ReadOptions(encoding="shift_jis"))[0] == "温度\n"
    with pytest.raises(ValueError, match=r"line 1 .*0x.*encoding="):
        read_text(path, ReadOptions(encoding="utf-8"))
    with pytest.raises(ValueError, match="encoding='utf-9'"):
        read_text(path, ReadOptions(encoding="utf-9"))


def test_a_byte_that_is_not_utf8_behind_the_first_block_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr(textfiles, "BLOCK", 7)
    path = tmp_path / "a.csv"
    path.write_bytes(b"v\n" + "é\n".encode() * 50 + b"\xe9\n")
    text, notes = read_text(path)
    assert text.splitlines()[-1] == "é" or text.endswith("é\n")
    assert "line 52 is not UTF-8 (byte 0xe9)" in notes[0]


def test_nul_characters_are_refused_with_their_line(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"time,v\n0,1\n1,2\n" + bytes(50))
    with pytest.raises(ValueError, match=r"line 4 .*NUL"):
        read_text(path)


@pytest.mark.parametrize(
    ("suffix", "compress"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)],
)
def test_compressed_text(tmp_path, suffix, compress):
    path = tmp_path / f"a.CSV{suffix}"
    path.write_bytes(compress(TEXT.encode("utf-16")))
    assert read_text(path)[0] == TEXT
    assert inner_suffix(path) == ".csv"
    path.write_bytes(compress(TEXT.encode() * 999)[:-9])
    with pytest.raises(ValueError, match="cut short"):
        read_text(path)


def test_a_zip_archive_of_one_file(tmp_path):
    path = tmp_path / "a.zip"
    write_zip(path, b_csv=TEXT, __MACOSX___b_csv="x")
    assert inner_suffix(path) == ".csv"
    assert read_text(path)[0] == TEXT
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match="zip file is cut short"):
        inner_suffix(path)


def test_a_zip_archive_of_several_files_asks(tmp_path):
    path = tmp_path / "a.zip"
    write_zip(path, b_csv="v\n1\n", c__d_tsv="v\n2\n")
    with pytest.raises(AmbiguousError, match=r"table='b.csv'") as caught:
        read_text(path)
    assert [dict(reading.options) for reading in caught.value.readings] == [
        {"table": "b.csv"},
        {"table": "c/d.tsv"},
    ]
    assert read_text(path, ReadOptions(table="d.tsv"))[0] == "v\n2\n"
    assert inner_suffix(path, "d.tsv") == ".tsv"
    with pytest.raises(ValueError, match=r"table='e.csv'.*b.csv"):
        read_text(path, ReadOptions(table="e.csv"))


def test_a_file_that_decompresses_without_end_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(textfiles, "LARGE", 2**16)
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"1,2\n" * 2**20))
    with pytest.raises(ValueError, match="decompresses to more than"):
        read_text(path)


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_an_empty_file_says_so(tmp_path, compress):
    path = tmp_path / "a.csv"
    path.write_bytes(compress(b" \r\n"))
    with pytest.raises(ValueError, match="the file is empty"):
        read_text(path)


def test_a_field_of_digits_without_end_is_refused(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("time,v\n0,1\n1," + "7" * 9000 + "x\n")
    with pytest.raises(ValueError, match=r"a.csv: line 3 holds a field of over 4000"):
        read(path)
    path = tmp_path / "b.csv.gz"
    path.write_bytes(gzip.compress(b"0" * 2**21))
    with pytest.raises(ValueError, match=r"b.csv.gz: line 1 holds a field of over"):
        read(path)


def test_documents_beside_the_table_of_an_archive(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("d/a.csv", "time,v\n0,1\n1,2\n")
        archive.writestr("d/README.txt", "about, it\n")
        archive.writestr("notes.md", "# about\n")
    found = read(path)
    assert found.channels == ["v"]
    assert any("'d/a.csv' is read from the archive" in note for note in found.notes)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("b.csv", "time,v\n0,1\n1,2\n")
    with pytest.raises(AmbiguousError, match="2 files") as caught:
        read(path)
    for reading in caught.value.readings:
        assert read(path, **reading.options).channels == ["v"]
