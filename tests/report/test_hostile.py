"""Names that are HTML: no page runs them, in a real browser, and all show them as text."""

import html
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from factories import TINY

from temporal_jepa import PretrainConfig, pretrain
from temporal_jepa.cli.main import main
from temporal_jepa.report.report import write_report

pytestmark = pytest.mark.slow  # trains a run and makes four pages

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
OWN = "document.title='OWNED'"
HOSTILE = {
    "script": f"<script>{OWN}</script>",
    "event": f"<img src=x onerror={OWN}>",
    "attribute": f"\" onmouseover={OWN} autofocus onfocus={OWN} x='",
    "close": f"</figcaption></style></title></svg></script><script>{OWN}</script>",
    "svg": f"<svg onload={OWN}><text>",
    "link": f"<a href=javascript:{OWN}>",
    "template": "{{ 7 * 7 }}{% raw %}",
    "entity": "&lt;script&gt;&#60;b&#62;",
    "mathtext": "$\\frac{x}{0}$",
    "comment": "<!-- --><![CDATA[",
}
BROWSER = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"),
    *("--no-first-run", "--disable-background-networking", "--disable-sync"),
    *("--disable-component-update", "--virtual-time-budget=2000", "--dump-dom"),
)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every page that the package writes, of data whose every name is HTML."""
    folder = tmp_path_factory.mktemp("pages")
    names = list(HOSTILE.values())
    rng = np.random.default_rng(0)
    columns = [f"<b onclick={OWN}>x", f"y'\"><script>{OWN}</script>"]
    quoted = ['"' + name.replace('"', '""') + '"' for name in (*columns, *names)]
    rows = [f"track,t,{quoted[0]},{quoted[1]},kind"]
    for i in range(12):
        kind = quoted[2 + i % 3]
        ident = quoted[2 + i % len(names)].removesuffix('"') + f'{i}"'
        for t in range(48):
            x, y = rng.normal(size=2) + np.sin(t * (1 + i % 2))
            rows.append(f"{ident},{t},{x:.4f},{y:.4f},{kind}")
    data = folder / f"<img src=x onerror={OWN}>.csv"
    data.write_text("\n".join(rows) + "\n", "utf-8")
    run = folder / f"<svg onload={OWN}>"
    options = {"id": "track", "time": "t", "label": "kind"}
    config = PretrainConfig(steps=2, batch_size=4, device="cpu")
    pretrain(data, run, config, TINY, objective="next", data_options=options)
    found = {"report": write_report(run)}
    for words in (
        ("detect", run, data, "--window", 12, "--out", folder / "anomalies.csv"),
        ("states", run, data, "--out", folder / "states.csv"),
        ("nearest", run, data, "--out", folder / "nearest.html"),
    ):
        assert main([str(word) for word in words]) == 0
    found |= {path.stem: path for path in sorted(folder.glob("*.html"))}
    return found


def test_every_page_is_made(pages: dict[str, Path]) -> None:
    assert {"report", "anomalies", "states", "nearest"} <= set(pages)


@pytest.mark.parametrize("name", ["report", "anomalies", "states", "nearest"])
def test_names_are_text_in_the_source(pages: dict[str, Path], name: str) -> None:
    text = pages[name].read_text("utf-8")
    assert "<script" not in text
    assert not re.search(r"<[^>\"']*\son\w+=", text)
    assert not re.search(r'(href|src|style)="[^"]*javascript:', text)
    shown = html.unescape(text)
    assert HOSTILE["script"] in shown


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: apt-get install chromium")
@pytest.mark.parametrize("name", ["report", "anomalies", "states", "nearest"])
def test_no_page_runs_a_name_in_a_browser(
    pages: dict[str, Path], tmp_path: Path, name: str
) -> None:
    page = tmp_path / "page.html"
    page.write_bytes(pages[name].read_bytes())
    dom = browse(page, tmp_path)
    title = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
    assert title
    assert html.unescape(title[1]) != "OWNED"
    tags = set(re.findall(r"<([a-zA-Z][\w:-]*)", dom))
    assert not tags & {"script", "img", "a", "iframe", "object", "embed"}
    assert HOSTILE["script"] in html.unescape(dom)
    # The browser would run it: the same page with a name that is not escaped.
    text = page.read_text("utf-8")
    page.write_text(
        text.replace("</h1>", f"{HOSTILE['event']}{HOSTILE['script']}</h1>"), "utf-8"
    )
    assert "<title>OWNED</title>" in browse(page, tmp_path)


def browse(page: Path, folder: Path) -> str:
    """The document as a headless Chromium has it after its scripts ran."""
    assert CHROMIUM is not None
    profile = f"--user-data-dir={folder / 'profile'}"
    done = subprocess.run(
        [CHROMIUM, *BROWSER, profile, page.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout
