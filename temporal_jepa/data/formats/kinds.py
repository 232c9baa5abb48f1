"""What a file is, by its name and its first bytes; and how to convert what is not read."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from ...config import ReadOptions
from . import textfiles

HEAD = 4096  # bytes that tell what a file is
TEXT_TABLES = (".csv", ".tsv", ".txt")
POINTER = b"version https://git-lfs"
ZIP = b"PK\x03\x04"
ALIKE = (
    {".json", ".jsonl", ".ndjson", ".geojson"},
    {".parquet", ".pq"},
    {".feather", ".arrow", ".ipc"},
    {".xlsx", ".xlsm"},
    {".npy", ".npz"},
    {".h5", ".hdf5", ".hdf"},
    {".edf", ".bdf"},
    {".arff", ".ts", ".tsf"},
)
"""Extensions whose readers tell themselves apart."""

WITH_MNE = "pass mne.io.read_raw(PATH).get_data() as an array (channels, time)"
WITH_XARRAY = "pass xarray.open_dataset(PATH), or one variable of it, to read"
UNPACK = "unpack it first"
SAVE = "save it as .xlsx or .csv"
REFUSED = {
    ".pkl .pickle .joblib": (
        "a pickle, which can run code when it is loaded",
        "load it yourself, for example with pandas.read_pickle(PATH), and pass the object to read",
    ),
    ".pt .pth": (
        "a file of PyTorch",
        "pass torch.load(PATH, weights_only=True), or the tensor in it, to read",
    ),
    ".mat": (
        "a MATLAB file",
        "pass an array of scipy.io.loadmat(PATH) to read, or writematrix(X, 'data.csv') in MATLAB",
    ),
    ".rds .rda .rdata": (
        "a file of R",
        "in R: write.csv(x, 'data.csv', row.names = FALSE)",
    ),
    ".sav": (
        "a file of SPSS",
        "pandas.read_spss(PATH).to_csv('data.csv', index=False)",
    ),
    ".dta": (
        "a file of Stata",
        "pandas.read_stata(PATH).to_csv('data.csv', index=False)",
    ),
    ".sas7bdat .xpt": (
        "a file of SAS",
        "pandas.read_sas(PATH).to_csv('data.csv', index=False)",
    ),
    ".xls": ("an old workbook of Excel", SAVE),
    ".xlsb": ("a binary workbook of Excel", SAVE),
    ".ods": ("a workbook of LibreOffice", SAVE),
    ".numbers": ("a workbook of Numbers", SAVE),
    ".nc .nc4 .cdf .grib .grb .grib2 .zarr": ("gridded data", WITH_XARRAY),
    ".nwb": (
        "a file of Neurodata Without Borders",
        "open it with pynwb, and pass the arrays",
    ),
    ".orc": ("an ORC file", "pandas.read_orc(PATH).to_parquet('data.parquet')"),
    ".avro": (
        "an Avro file",
        "convert it to .parquet, for example with polars.read_avro(PATH)",
    ),
    ".crypt .encrypted": ("an encrypted file", "decrypt it first"),
    ".db .sqlite .sqlite3 .duckdb": (
        "a database",
        "pass pandas.read_sql(QUERY, CONNECTION) to read",
    ),
    ".tfrecord .tfrecords": (
        "a file of TensorFlow",
        "write its arrays with numpy.savez",
    ),
    ".wav .mp3 .flac .ogg": (
        "sound",
        "pass the array of soundfile.read(PATH) or scipy.io.wavfile.read(PATH) to read",
    ),
    ".fif .gdf .set .vhdr .cnt .bci": ("a recording of the brain", WITH_MNE),
    ".hea .atr": ("a PhysioNet record", "pass wfdb.rdrecord(PATH).p_signal to read"),
    ".shp .gpkg": (
        "a file of a geographic information system",
        "geopandas.read_file(PATH).to_file('data.geojson')",
    ),
    ".kmz": ("a compressed KML file", "unzip it, and name the .kml file in it"),
    ".tar .tgz .7z .rar .zst .lz4 .z": ("an archive", UNPACK),
    ".html .htm": ("a web page", "download the file itself"),
    ".pdf": ("a document", "save its table as .csv"),
    ".png .jpg .jpeg": (
        "an image",
        "a folder of a video's frames as images is read, or an array of them",
    ),
    ".xml": ("XML of a kind that is not read", "write a table as .csv"),
    ".lfs": (
        "a pointer of Git LFS instead of the file",
        "git lfs pull fetches the file",
    ),
}
"""Extensions -> what a file is that is not read, and how to convert it."""
MAGIC = (
    (0, b"PAR1", ".parquet"),
    (0, b"PARE", ".crypt"),
    (0, b"ARROW1", ".feather"),
    (0, b"FEA1", ".feather"),
    (0, b"\xff\xff\xff\xff", ".arrow"),
    (0, b"\x89HDF\r\n\x1a\n", ".h5"),
    (512, b"\x89HDF\r\n\x1a\n", ".h5"),
    (0, b"\x93NUMPY", ".npy"),
    (0, b"\xffBIOSEMI", ".bdf"),
    (8, b".FIT", ".fit"),
    (0, b"CDF\x01", ".nc"),
    (0, b"CDF\x02", ".nc"),
    (0, b"CDF\x05", ".nc"),
    (0, b"GRIB", ".grib"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", ".xls"),
    (0, b"MATLAB 5.0", ".mat"),
    (0, b"\x80\x02", ".pkl"),
    (0, b"\x80\x03", ".pkl"),
    (0, b"\x80\x04", ".pkl"),
    (0, b"\x80\x05", ".pkl"),
    (0, b"RDX", ".rds"),
    (0, b"X\n\x00\x00\x00", ".rds"),
    (0, b"$FL2", ".sav"),
    (0, b"$FL3", ".sav"),
    (0, b"<stata_dta>", ".dta"),
    (0, b"\x71\x01\x01\x00", ".dta"),
    (0, b"\x71\x02\x01\x00", ".dta"),
    (0, b"\x72\x01\x01\x00", ".dta"),
    (0, b"\x72\x02\x01\x00", ".dta"),
    (0, b"\x73\x01\x01\x00", ".dta"),
    (0, b"\x73\x02\x01\x00", ".dta"),
    (8, b"WAVEfmt ", ".wav"),
    (0, b"ORC", ".orc"),
    (0, b"Obj\x01", ".avro"),
    (0, b"SQLite format 3\x00", ".sqlite"),
    (8, b"DUCK", ".duckdb"),
    (0, b"%PDF", ".pdf"),
    (0, b"\x89PNG", ".png"),
    (0, b"\xff\xd8\xff", ".jpg"),
    (0, b"7z\xbc\xaf\x27\x1c", ".7z"),
    (0, b"Rar!\x1a\x07", ".rar"),
    (0, b"\x28\xb5\x2f\xfd", ".zst"),
    (0, b"\x04\x22\x4d\x18", ".lz4"),
    (257, b"ustar", ".tar"),
    (0, b"fLaC", ".flac"),
    (0, b"OggS", ".ogg"),
)
"""Offset and first bytes -> the extension for them."""
MEMBERS = (
    (r"xl/workbook\.xml", ".xlsx"),
    (r"xl/workbook\.bin", ".xlsb"),
    (r"content\.xml", ".ods"),
    (r"[^/]*\.npy", ".npz"),
    (r".*data\.pkl", ".pt"),
    (r"doc\.kml", ".kmz"),
)
"""A file in a zip archive -> the extension for the archive."""
TEXTS = (
    (r"(<\?xml.*?\?>\s*)?(<!--.*?-->\s*)*<gpx\b", ".gpx"),
    (r"(<\?xml.*?\?>\s*)?(<!--.*?-->\s*)*<kml\b", ".kml"),
    (r"(<\?xml.*?\?>\s*)?(<!--.*?-->\s*)*<TrainingCenterDatabase\b", ".tcx"),
    (r"(<\?xml.*?\?>\s*)?<!doctype html|(<\?xml.*?\?>\s*)?<html\b", ".html"),
    (r"<\?xml\b", ".xml"),
    (r"[{]\s*[\"}]|\[\s*[{\[]\s*[\"\d\[-]", ".json"),
    (
        r"([%#].*\n|\s)*@relation\b(?s:.*)^@(frequency|horizon|missing|equallength)\b",
        ".tsf",
    ),
    (r"([%#].*\n|\s)*@relation\b", ".arff"),
    (r"([%#].*\n|\s)*@problemname\b", ".ts"),
)
"""The start of a text -> the extension for it."""


def identify(path: Path, options: ReadOptions, notes: list[str]) -> str:
    """The extension that says how to read a file: that of its name, unless its content differs.

    Args:
        path: the file, which may be compressed.
        options: `table` chooses a file of a zip archive.
        notes: gets a line where the content is of another kind than the name says.

    Raises:
        AmbiguousError: for an archive of several files.
        ValueError: for a kind that is not read, with how to convert it.
    """
    head = _head(path)
    named = path.suffix.lower()
    found = _by_bytes(head) or _by_members(path, head)
    if found is None:
        named = textfiles.inner_suffix(path, options.table)
        found = _by_content(path, head, named, options)
    alike = any({named, found} <= family for family in ALIKE)
    kind = named if found is None or alike else found
    if kind == ".xls" and head and _is_text(head):
        raise ValueError(f"{path}: named .xls, but holds text; rename it to .csv")
    refuse(path, kind)
    if kind != named:
        name = f"the name ends with {named}" if named else "the name has no extension"
        notes.append(f"{name}, the content is {kind}")
    return kind


def _by_content(
    path: Path, head: bytes, named: str, options: ReadOptions
) -> str | None:
    """The extension that a text stands for, which may be compressed; None if it could be any.

    Raises:
        ValueError: for a compressed file that is no text.
    """
    if _is_packed(head):
        head = _unpacked_head(path, options)
        found = _by_bytes(head)
        if found is not None:
            refuse(path, found)
            raise ValueError(f"{path}: a compressed {found} file; unpack it first")
    found = _by_text(head)
    if found == ".json" and named in TEXT_TABLES and not _ends_like_json(path):
        return None  # a table whose first field is a list
    return found


def _is_packed(head: bytes) -> bool:
    """Whether a file is compressed."""
    return head.startswith(tuple(textfiles.MAGIC))


def is_archive(path: Path) -> bool:
    """Whether a file is a zip archive of other files."""
    head = _head(path)
    return head.startswith(ZIP) and _by_members(path, head) is None


def refuse(path: Path, kind: str) -> None:
    """ValueError for a kind of file that is not read."""
    for extensions, (what, advice) in REFUSED.items():
        if kind in extensions.split():
            raise ValueError(f"{path}: not read: {what} ({kind}); {advice}")


def _ends_like_json(path: Path) -> bool:
    """Whether a file ends with a bracket, or is compressed."""
    with path.open("rb") as file:
        if _is_packed(file.read(8)):
            return True
        file.seek(max(path.stat().st_size - HEAD, 0))
        return file.read().rstrip()[-1:] in (b"]", b"}")


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


def _unpacked_head(path: Path, options: ReadOptions) -> bytes:
    """The first bytes of a compressed file, none if it is damaged, which its reader reports."""
    member = None
    if _head(path).startswith(ZIP):
        member = textfiles.find_member(path, options.table)
    try:
        with textfiles.open_bytes(path, member) as stream:
            return bytes(stream.read(HEAD))
    except textfiles.DAMAGED:
        return b""


def _by_bytes(head: bytes) -> str | None:
    """The extension that the first bytes stand for, None for text and what is unknown."""
    if head.startswith(POINTER):
        return ".lfs"
    if head.startswith(b"0       ") and _is_length_of_header(head[184:192]):
        return ".edf"
    for offset, start, kind in () if _is_text(head) else MAGIC:
        if head.startswith(start, offset):
            return kind
    return None  # also for names of columns such as PARENT_ID,ORCID


def _is_text(head: bytes) -> bool:
    """Whether the first bytes can be text, with no control characters."""
    return head[:1] < b"\x80" and not any(b < 9 or 13 < b < 27 for b in head)


def _is_length_of_header(field: bytes) -> bool:
    """Whether a field holds the length of the header of an EDF file: 256 bytes a signal and 256."""
    text = field.strip()
    return text.isdigit() and int(text) % 256 == 0


def _by_members(path: Path, head: bytes) -> str | None:
    """The extension that the files in a zip archive stand for, None if it holds any others."""
    if not head.startswith(ZIP):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except textfiles.DAMAGED:
        return None
    for pattern, kind in MEMBERS:
        if any(re.fullmatch(pattern, name) for name in names):
            return kind
    return None


def _by_text(head: bytes) -> str | None:
    """The extension that the first characters of a text stand for, None if they could be any."""
    text = head.decode("utf-8-sig", errors="replace").lstrip()
    for pattern, kind in TEXTS:
        if re.match(pattern, text, re.IGNORECASE | re.MULTILINE):
            return kind
    return None
