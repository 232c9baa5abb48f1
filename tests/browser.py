"""Pages in a headless Chromium, as a person with a browser has them."""

import re
import shutil
import subprocess
from pathlib import Path

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
NEEDED = "needs chromium: apt-get install chromium"
DARK = "--blink-settings=preferredColorScheme=0"
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-sync"),
    *("--disable-component-update", "--virtual-time-budget=10000", "--dump-dom"),
)
_POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')


def browse(page: Path, folder: Path, *options: str) -> str:
    """The document as a headless Chromium has it after its scripts ran."""
    assert CHROMIUM is not None
    profile = f"--user-data-dir={folder / 'profile'}"
    done = subprocess.run(
        [CHROMIUM, *OPTIONS, *options, profile, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout


def without_policy(text: str) -> str:
    """A page that lets a test run scripts in it."""
    text, count = _POLICY.subn("", text)
    assert count == 1
    return text


def with_script(text: str, script: str) -> str:
    """A page that runs a script of a test after its own."""
    return without_policy(text).replace("</body>", f"<script>{script}</script></body>")
