"""Drawings have a lane for each channel, one scale on a page and a width that fits."""

import re
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from temporal_jepa.checkpoint import from_pretrained
from temporal_jepa.data import Sequences
from temporal_jepa.files import BUNDLED, GENERAL
from temporal_jepa.report import plots, prediction
from temporal_jepa.report.embeddings import Embedded
from temporal_jepa.report.pages import neighbors_page, render_page
from temporal_jepa.report.run import Run
from temporal_jepa.report.scale import scale_of
from temporal_jepa.report.timeline import STEPS

LEVELS = {"Temp": 36.0, "Pulse": 800.0, "SpO2": 9000.0}
CLOCK = np.arange(24.0)


def patients(n: int = 6) -> Sequences:
    """Series of three channels that are far apart; patient i is i higher."""
    values = []
    for i in range(n):
        wave = np.sin(CLOCK + i)[:, None]
        values.append(np.array([*LEVELS.values()]) + wave + i)
    return Sequences(values, channels=[*LEVELS], ids=[f"p_{i}.csv" for i in range(n)])


def ticks(svg: str) -> list[float]:
    """The numbers of all axes that are not negative."""
    return [float(text) for text in re.findall(r">([\d.]+)</text>", svg)]


def test_channels_of_a_large_drawing_have_an_axis_each() -> None:
    data = patients(1)
    x = data.values[0]
    scored = plots.scored("a", x, np.zeros(len(x)))
    masked = plots.masked(
        "b",
        data,
        0,
        mask=np.array([[True], [False]]),
        error=np.array([0.5, np.nan]),
        limit=1.0,
        token=(12, 1),
        axis=STEPS,
        unit="standardized",
    )
    for drawn in (scored, masked):
        for level in LEVELS.values():
            near = [tick for tick in ticks(drawn) if abs(tick - level) <= 2]
            assert len(near) >= 2, level  # a curve that is no flat line
    assert "standardized" in masked
    assert masked.count("opacity: 0.13") == 3  # the hidden part, behind each channel


def test_a_drawing_for_a_phone_is_half_as_wide() -> None:
    x = patients(1).values[0]
    drawn = plots.both_widths("a", plots.scored, x=x, score=np.zeros(len(x)))
    inches = {}
    names: list[set[str]] = []
    for kind, svg in drawn.items():
        width = re.findall(r'viewBox="0 0 ([\d.]+) ', svg)[0]
        inches[kind] = float(width) / 72
        names.append(set(re.findall(r'\bid="([^"]+)"', svg)))
    assert inches == pytest.approx({"wide": plots.WIDE, "narrow": plots.NARROW})
    assert not names[0] & names[1]


def test_a_quarter_of_nearly_flat_series_has_each_its_own_scale() -> None:
    large = [1000 * np.sin(CLOCK)[:, None]] * 6
    small = [np.cos(CLOCK)[:, None]] * 3
    still = [np.zeros((24, 1))] * 20
    assert scale_of([*large, *small], 1).own.tolist() == [True]
    assert scale_of([*large, *large, *small], 1).own.tolist() == [False]
    assert scale_of([*large, *still], 1).own.tolist() == [False]  # they are flat
    assert scale_of([*small, *small, *large[:1]], 1).own.tolist() == [True]


def test_a_legend_says_on_which_scale_drawings_are() -> None:
    data = patients()
    low, high = data.values[0][:, 0].min(), data.values[-1][:, 0].max()
    legend = plots.channel_legend(data, scale_of(data.values, 3))
    assert legend["shown"][0][2] == f"{low:.4g} to {high:.4g} in all drawings"
    varied = Sequences([*patients().values, 500 * patients(1).values[0]])
    legend = plots.channel_legend(varied, scale_of(varied.values, 3))
    assert legend["shown"][0][2] == plots.EACH_ITS_OWN


def test_neighbors_of_all_queries_have_one_scale() -> None:
    data = patients()
    near = np.array([[1], [4]])
    html = neighbors_page(
        data.select([0, 5]), data, near, np.ones((2, 1)), run="run", total=2
    ).decode()
    drawn = data.select([0, 5, 1, 4]).values
    low = min(x[:, 0].min() for x in drawn)
    high = max(x[:, 0].max() for x in drawn)
    assert f"{low:.4g} to {high:.4g} in all drawings" in html
    assert "p_<wbr>0<wbr>.csv" in html


def test_video_and_paths_have_no_scale_of_curves() -> None:
    rows = np.zeros((2, 3))
    walk = Sequences([np.zeros((4, 2))] * 2, channels=["x", "y"])
    clips = Sequences.from_arrays(np.zeros((2, 4, 5, 5, 3), dtype=np.uint8))
    for data in (walk, clips):
        assert Embedded(data, "", rows, rows, None).scale is None
    assert Embedded(patients(2), "", rows, rows, None).scale is not None


def test_errors_of_channels_are_counted_and_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prediction, "SEQUENCES", 4)
    monkeypatch.setattr(prediction, "MASKS", 1)
    model = from_pretrained(BUNDLED / GENERAL)
    run = SimpleNamespace(
        model=model, sequences=patients(4), seed=0, data={}, missing=[]
    )
    section: Any = prediction.prediction_section(cast("Run", run))
    noun = SimpleNamespace(one="series", many="series")
    page = render_page("prediction.html", masks=section, noun=noun).decode()
    text = " ".join(page.split())
    assert "Mean over 4 channels of 4 series" in text
    assert "Values are standardized" in text
    assert "Channel" not in re.sub(r"channels? of", "", text)
    along = max(ticks(section["along"]["svg"]))
    assert along <= len(CLOCK)  # not timesteps after resampling
    for panel in section["panels"]:
        name = panel["id"].rpartition(" ")[2]
        assert name in LEVELS
        assert "standardized" in panel["svg"]


def test_a_thousand_anomalies_stay_small() -> None:
    x = patients(1).values[0].repeat(100, axis=0)
    score = np.tile([0.0, 2.0], 1200)
    calm = plots.scored("a", x, np.zeros(len(x)))
    found = plots.scored("a", x, score)
    assert found.count("opacity: 0.18") == 4  # behind each channel and the score
    assert len(found) - len(calm) < 600_000
