"""Pages can be read by everyone: axe-core finds nothing, at the width of a phone and of a screen.

axe-core comes from npm, see package.json: `npm ci --prefix tests/report`.
"""

import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import CHROMIUM, DARK, NEEDED, browse, with_script
from factories import TINY

from temporal_jepa import PretrainConfig, Sequences, pretrain
from temporal_jepa.cli.main import main
from temporal_jepa.evaluation.score import score
from temporal_jepa.report.report import write_report

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
pytestmark = [
    pytest.mark.slow,  # trains three runs and opens their pages in a browser
    pytest.mark.skipif(CHROMIUM is None, reason=NEEDED),
]
needs_axe = pytest.mark.skipif(
    not AXE.exists(), reason="needs axe-core: npm ci --prefix tests/report"
)
CONFIG = PretrainConfig(steps=3, batch_size=8, log_every=1, watch_every=2, device="cpu")
# A frame is as wide as it is told to be, a window of the browser at least 500 pixels.
FRAME = """<!DOCTYPE html>
<html lang="en"><title>frame</title><body>
<iframe title="page" style="width:{}px;height:900px;border:0" srcdoc="{}"></iframe>
</body></html>"""
REPORT = """
(async () => {
  const answer = await (%s)();
  const found = parent.document.createElement("pre");
  found.id = "found";
  found.textContent = JSON.stringify(answer);
  parent.document.body.append(found);
})();
"""
CHECK = """async () => {
  const options = { resultTypes: ["violations"], iframes: false };
  const results = await axe.run(document, options);
  return {
    passes: results.passes.length,
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
    violations: results.violations.map((rule) => [rule.id, rule.nodes.map((node) => node.html)]),
  };
}"""
FITS = """async () => {
  const root = document.documentElement;
  const cut = [...document.querySelectorAll("main *")].filter((element) =>
    getComputedStyle(element).overflowX !== "visible" && element.scrollWidth > element.clientWidth);
  const widths = (selector) => [...document.querySelectorAll(selector)]
    .map((element) => element.getBoundingClientRect().width).filter((width) => width > 0);
  return { width: innerWidth, content: root.scrollWidth,
    cut: cut.map((element) => element.outerHTML.slice(0, 80)),
    charts: widths("figure.wide svg"), bars: widths(".scores .track") };
}"""
KEYS = """async () => {
  const map = document.querySelector("figure svg.points");
  const card = document.querySelector(".card");
  const seen = [card.innerText];
  const press = (key) => {
    map.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    seen.push(card.innerText);
  };
  map.focus();
  ["ArrowRight", "ArrowRight", "ArrowLeft", "+"].forEach(press);
  const zoomed = map.querySelector("g").getAttribute("transform");
  ["0", "Escape"].forEach(press);
  const all = map.querySelector("g").getAttribute("transform");
  return { focused: document.activeElement === map, seen, zoomed, all };
}"""
MOUSE = """async () => {
  const map = document.querySelector("figure svg.points");
  const card = document.querySelector(".card");
  map.scrollIntoView();
  const box = map.getBoundingClientRect();
  const [x, y] = map.querySelector("path.dot").getAttribute("d").match(/\\d+/g).map(Number);
  const at = { clientX: box.left + x * box.width / map.viewBox.baseVal.width,
    clientY: box.top + y * box.width / map.viewBox.baseVal.width, pointerType: "mouse" };
  const before = card.innerText;
  map.dispatchEvent(new PointerEvent("pointermove", at));
  return { before, after: card.innerText, drawings: card.querySelectorAll("svg path").length };
}"""
LEGEND = """async () => {
  const [key] = document.querySelectorAll("button.key");
  const dimmed = () => document.querySelectorAll("figure svg.points path.dim").length;
  key.click();
  const one = [key.getAttribute("aria-pressed"), dimmed()];
  key.click();
  return [one, [key.getAttribute("aria-pressed"), dimmed()]];
}"""


def labeled(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(24, 48, 2)).cumsum(1)
    labels = np.array(["calm", "wild", "b & b"] * 8)
    data = Sequences(list(values), labels)
    run = pretrain(data, folder / "series", CONFIG, TINY)
    scores = score(run, data.select(range(12)), data.select(range(12, 24)))
    (run / "probe.json").write_text(json.dumps(scores), "utf-8")
    return write_report(run, sequences=data)


def recording(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    start = np.datetime64("2026-01-01T00:00")
    rows = ["when,load"]
    for hour in range(24 * 40):
        load = np.sin(hour * np.pi / 12) + 0.1 * rng.normal()
        rows.append(f"{start + np.timedelta64(hour, 'h')},{load:.4f}")
    data = folder / "load.csv"
    data.write_text("\n".join(rows) + "\n", "utf-8")
    run = pretrain(
        data, folder / "recording", CONFIG, TINY, data_options={"window": 48}
    )
    return write_report(run)


def tracks(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    steps = list(rng.normal(size=(16, 40, 2)))
    here = np.array([11.5, 48.1])
    places = [here + np.cumsum(0.001 * x, axis=0) for x in steps]
    data = Sequences(steps, channels=["dx", "dy"], places=places, degrees=True)
    run = pretrain(data, folder / "tracks", CONFIG, {**TINY, "patch_len": 4})
    return write_report(run, sequences=data)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The report of each kind of data."""
    folder = tmp_path_factory.mktemp("pages")
    kinds = {"labeled": labeled, "recording": recording, "tracks": tracks}
    found = {name: make(folder).read_text("utf-8") for name, make in kinds.items()}
    run = str(folder / "recording")
    data = str(folder / "load.csv")
    assert main(["detect", run, data, "--out", str(folder / "anomalies.csv")]) == 0
    found["anomalies"] = (folder / "anomalies.html").read_text("utf-8")
    return found


def ask(text: str, question: str, folder: Path, width: int, *options: str) -> Any:
    """What a script finds in a page of a width."""
    framed = FRAME.format(width, html.escape(with_script(text, REPORT % question)))
    page = folder / "page.html"
    page.write_text(framed, "utf-8")
    dom = browse(page, folder, "--window-size=1400,1000", *options)
    found = re.search(r'<pre id="found">(.*?)</pre>', dom, re.DOTALL)
    assert found, "the script did not end"
    return json.loads(html.unescape(found[1]))


def check(text: str, folder: Path, width: int, *options: str) -> Any:
    return ask(with_axe(text), CHECK, folder, width, *options)


def with_axe(text: str) -> str:
    return text.replace("</main>", f"</main><script>{AXE.read_text('utf-8')}</script>")


@needs_axe
@pytest.mark.parametrize(
    ("name", "width", "options"),
    [
        ("labeled", 1280, ()),
        ("labeled", 390, (DARK,)),
        ("recording", 390, ()),
        ("recording", 1280, (DARK,)),
        ("tracks", 390, ()),
        ("anomalies", 390, ()),
    ],
)
def test_axe_finds_nothing(
    reports: dict[str, str],
    tmp_path: Path,
    name: str,
    width: int,
    options: tuple[str, ...],
) -> None:
    found = check(reports[name], tmp_path, width, *options)
    assert found["violations"] == []
    assert found["passes"] > 20
    assert found["dark"] == (DARK in options)


@needs_axe
@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (("<h2>Groups", "<h5>Groups"), "heading-order"),
        (('role="img" aria-label="', 'role="img" data-x="'), "svg-img-alt"),
        (("--soft: #5b6472", "--soft: #b0b6c0"), "color-contrast"),
        (("Find a series <input", "<input"), "label"),
    ],
)
def test_axe_would_find_it(
    reports: dict[str, str], tmp_path: Path, change: tuple[str, str], rule: str
) -> None:
    text = reports["labeled"]
    assert change[0] in text
    found = check(text.replace(*change), tmp_path, 1280)
    assert rule in dict(found["violations"])


@pytest.mark.parametrize("name", ["labeled", "recording", "tracks", "anomalies"])
def test_a_page_fits_a_phone(
    reports: dict[str, str], tmp_path: Path, name: str
) -> None:
    found = ask(reports[name], FITS, tmp_path, 390)
    assert found["width"] == 390
    assert found["content"] <= 390
    assert found["cut"] == []  # nothing is off screen in a part that scrolls
    assert all(width > 300 for width in found["charts"])
    assert bool(found["charts"]) == (name in ("recording", "anomalies"))
    assert all(width > 40 for width in found["bars"])
    assert bool(found["bars"]) == (name == "labeled")


def test_the_map_can_be_used_by_keyboard(
    reports: dict[str, str], tmp_path: Path
) -> None:
    found = ask(reports["labeled"], KEYS, tmp_path, 1280)
    assert found["focused"]
    start, first, second, back, zoomed, _, cleared = found["seen"]
    assert "arrow keys" in start
    assert "Most similar:" in first
    assert len({first, second}) == 2
    assert zoomed == back != second
    assert cleared == start
    assert "scale(1.6)" in found["zoomed"]
    assert "scale(1)" in found["all"]


def test_the_map_shows_what_is_under_the_pointer(
    reports: dict[str, str], tmp_path: Path
) -> None:
    found = ask(reports["tracks"], MOUSE, tmp_path, 1280)
    assert "Most similar:" in found["after"] != found["before"]
    assert found["drawings"] == 6  # the sequence and five others


def test_a_class_of_the_legend_is_highlighted(
    reports: dict[str, str], tmp_path: Path
) -> None:
    found = ask(reports["labeled"], LEGEND, tmp_path, 1280)
    assert found == [["true", 4], ["false", 0]]  # two other classes in two maps


@pytest.mark.parametrize("name", ["labeled", "recording", "tracks"])
def test_without_a_script_the_page_is_whole(reports: dict[str, str], name: str) -> None:
    text = reports[name]
    assert text.count('class="dot"') >= 2  # the points are drawn
    assert re.search(r'class="tools" hidden', text)  # what would not work is not shown
    assert 'role="application"' not in text.split("<script")[0]


def test_the_page_of_a_recording_says_when(reports: dict[str, str]) -> None:
    text = reports["recording"]
    assert "The most surprising moment is at <b>2026-" in " ".join(text.split())
    assert "Hardest is the window from <b>2026-" in text
    assert ">timestep<" not in text
    assert "timestep" not in reports["anomalies"].split("<svg")[1]
