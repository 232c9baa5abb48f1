"""Names that are HTML: no page runs them, in a real browser, and all show them as text."""

import html
import json
import re
from pathlib import Path

import numpy as np
import pytest
from browser import CHROMIUM, NEEDED, browse, with_script, without_policy
from factories import TINY

from temporal_jepa import PretrainConfig, pretrain
from temporal_jepa.cli.main import main
from temporal_jepa.report.report import write_report

pytestmark = pytest.mark.slow  # trains a run and makes four pages

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
SCRIPTS = re.compile(r"<script[^>]*>.*?</script>", re.DOTALL)
CHOOSE = """
const input = document.querySelector("input");
const names = JSON.parse(document.getElementById("map-data").textContent).ids;
const shown = document.createElement("pre");
for (const name of names) {
  input.value = name;
  input.dispatchEvent(new Event("input"));
  shown.textContent += document.querySelector(".card").innerText + "\\n";
}
shown.id = "shown";
document.body.append(shown);
"""


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
    own = SCRIPTS.findall(text)
    assert len(own) == (2 if name == "report" else 0)  # the data, and the script
    for data in own[:1]:
        assert not set("<>&'") & set(re.sub(r"</?script[^>]*>", "", data))
    text = SCRIPTS.sub("", text)
    assert "<script" not in text
    assert not re.search(r"<[^>\"']*\son\w+=", text)
    assert not re.search(r'(href|src|style)="[^"]*javascript:', text)
    shown = html.unescape(text)
    assert HOSTILE["script"] in shown


@pytest.mark.skipif(CHROMIUM is None, reason=NEEDED)
@pytest.mark.parametrize("name", ["report", "anomalies", "states", "nearest"])
def test_no_page_runs_a_name_in_a_browser(
    pages: dict[str, Path], tmp_path: Path, name: str
) -> None:
    page = tmp_path / "page.html"
    text = pages[name].read_text("utf-8")
    # Not even the policy of the page is needed: names are escaped.
    page.write_text(without_policy(text), "utf-8")
    dom = browse(page, tmp_path)
    assert title_of(dom) != "OWNED"
    tags = set(re.findall(r"<([a-zA-Z][\w:-]*)", SCRIPTS.sub("", dom)))
    assert not tags & {"script", "img", "iframe", "object", "embed"}
    assert not re.search(r'<a (?!href="#\w+")', dom)
    assert HOSTILE["script"] in html.unescape(dom)
    # The browser would run it: the same page with a name that is not escaped,
    injected = text.replace("</h1>", f"{HOSTILE['event']}{HOSTILE['script']}</h1>")
    page.write_text(without_policy(injected), "utf-8")
    assert title_of(browse(page, tmp_path)) == "OWNED"
    # were it not for the policy of the page.
    page.write_text(injected, "utf-8")
    assert title_of(browse(page, tmp_path)) != "OWNED"


@pytest.mark.skipif(CHROMIUM is None, reason=NEEDED)
def test_the_map_shows_names_as_text(pages: dict[str, Path], tmp_path: Path) -> None:
    text = pages["report"].read_text("utf-8")
    page = tmp_path / "page.html"
    page.write_text(with_script(text, CHOOSE), "utf-8")
    dom = browse(page, tmp_path)
    assert title_of(dom) != "OWNED"
    (shown,) = re.findall(r'<pre id="shown">(.*?)</pre>', dom, re.DOTALL)
    shown = " ".join(html.unescape(shown).split())
    data = json.loads(re.sub(r"</?script[^>]*>", "", SCRIPTS.findall(text)[0]))
    for name in (*data["ids"], *data["labels"]):
        assert " ".join(name.split()) in shown


def title_of(dom: str) -> str:
    """The title of a document."""
    found = re.search(r"<title>(.*?)</title>", dom, re.DOTALL)
    assert found
    return html.unescape(found[1])
