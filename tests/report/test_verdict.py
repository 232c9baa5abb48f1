"""The advice of a report follows from its scores: properties over tables of scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from temporal_jepa.report.scores import MEANING, scores_section
from temporal_jepa.report.verdict import verdict_of_scores


def probe(correct: list[int], n: int, majority: float) -> dict:
    rows = [
        {"features": name, "accuracy": count / n}
        for name, count in zip(MEANING, correct, strict=True)
    ]
    return {"scores": rows, "n_test": n, "majority": majority, "task": "classification"}


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_the_headline_agrees_with_the_scores(data: st.DataObject) -> None:
    n = data.draw(st.integers(5, 400))
    correct = data.draw(st.lists(st.integers(0, n), min_size=6, max_size=6))
    majority = data.draw(st.floats(0.1, 0.9))
    section = scores_section(probe(correct, n, majority))
    assert section is not None
    _, advice, reason = verdict_of_scores(section)
    sentence = f"{advice}: {reason}"
    values = section["values"]
    ours = values["pretrained encoder"]
    best = max(value for name, value in values.items() if name != "pretrained encoder")
    assert f"guessing {majority:.1%}" in sentence
    if advice.startswith("Use this encoder"):
        assert ours > best
    if advice.endswith("instead of this encoder"):
        assert best > ours
    if advice.startswith("Use "):
        named = advice.removeprefix("Use ").split(",")[0]
        named = named.removesuffix(" instead of this encoder")
        value = ours if named.startswith("this encoder") else values[named]
        chance = binom.sf(round(value * n) - 1, n, majority)
        assert 6 * chance < 0.05  # none that is advised is level with guessing
    if "the simplest" in advice:
        value = values[advice.removeprefix("Use ").split(",")[0]]
        assert max(ours, best) - value <= max(0.01, 1 / n) + 1e-9
    if "best control" in sentence or "apart" in sentence:
        assert f"{best:.1%}" in sentence
        assert f"{ours:.1%}" in sentence


@pytest.mark.parametrize("n", [12, 46, 200])
def test_random_labels_are_seldom_said_to_be_told(n: int) -> None:
    random = np.random.default_rng(n)
    said = 0
    for _ in range(300):
        section = scores_section(probe(random.binomial(n, 0.5, 6).tolist(), n, 0.5))
        assert section is not None
        said += section["advice"] != "none"
    assert said <= 0.05 * 300 + 8  # three deviations above a twentieth
